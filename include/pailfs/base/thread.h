/* thread.h - starting a thread.
 *
 * Signals are the main thread's business, and that of the one that waits for those that end a
 * mount: every thread of ours has all of them blocked from its first moment on, whoever starts
 * it and when. */
#ifndef PAILFS_BASE_THREAD_H
#define PAILFS_BASE_THREAD_H

#include <pthread.h>

/* Starts run(arg) in a thread that is to be joined; `name` (15 characters at most) shows in ps.
 * Returns 0 or -errno. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg);

#endif
