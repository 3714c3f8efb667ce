/* mount.h - builds the stack of layers for one mount and runs it. */
#ifndef PAILFS_MOUNT_H
#define PAILFS_MOUNT_H

#include "pailfs/config.h"

/* Opens the log, reaches the store, mounts and serves until unmounted. Calls `ready` exactly
 * once, on the calling thread: with error 0 when the mount answers, or with -errno and a line
 * (no "pailfs: ", no newline) that says what failed, where, and what to do. config->mountpoint
 * is absolute, and nothing is left mounted afterwards. Returns the exit status: 0, or 32 when
 * the mount failed or did not end cleanly. */
int mount_run(const struct config *config, void (*ready)(void *arg, int error, const char *line),
              void *arg);

#endif
