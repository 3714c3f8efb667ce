/* mount.h - builds the stack of layers for one mount and runs it. */
#ifndef PAILFS_MOUNT_H
#define PAILFS_MOUNT_H

#include "pailfs/config.h"

/* mount(8)'s exit statuses. */
enum mount_status {
	MOUNT_GOOD = 0,
	MOUNT_USAGE = 1,   /* what was asked for cannot work on any machine or day */
	MOUNT_FAILED = 32, /* the mount failed, or did not end cleanly */
};

/* Opens the log, reaches the store, mounts and serves until unmounted. Calls `ready` exactly
 * once, on the calling thread: with MOUNT_GOOD when the mount answers, or with another status
 * and a line (no "pailfs: ", no newline) that says what failed, where, and what to do. With
 * MOUNT_GOOD the line is "" or a warning, which is in the log, too.
 * config->mountpoint is absolute, and nothing is left mounted afterwards. */
enum mount_status mount_run(const struct config *config,
                            void (*ready)(void *arg, enum mount_status status, const char *line),
                            void *arg);

#endif
