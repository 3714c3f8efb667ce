/* signals.h - whether a caller's pending signals ask it to leave. */
#ifndef PAILFS_FS_SIGNALS_H
#define PAILFS_FS_SIGNALS_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/* Whether a thread should wait for its request no longer, by a file of the form of
 * /proc/PID/status: true when it has a signal that does not only tell of something, as those of
 * job control and of children do, and when the file does not say. */
bool signals_ask_to_leave(FILE *status);
/* The same of a thread as we see it; true of one that cannot be looked at. */
bool signals_ask_thread_to_leave(pid_t thread);

#endif
