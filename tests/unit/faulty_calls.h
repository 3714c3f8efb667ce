/* faulty_calls.h - the system calls with which the dir and direct stores change files, some of
 * which fail: the linker's --wrap leads them here (meson.build). Reading calls are left alone,
 * and so is what cleans up after a failure. One thread at a time. */
#ifndef PAILFS_TESTS_FAULTY_CALLS_H
#define PAILFS_TESTS_FAULTY_CALLS_H

/* The nth call from now on (1: the first) fails with this errno; none other does. */
void faulty_nth(int n, int error);
/* So many per cent fail with EIO or ENOSPC, or write a part. */
void faulty_share(unsigned percent, unsigned seed);
/* No call fails any more. Returns how many there were since the last of these functions. */
int faulty_stop(void);

#endif
