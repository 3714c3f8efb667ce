/* ctl.h - pailctl's own parts. */
#ifndef PAILFS_CTL_PRIVATE_H
#define PAILFS_CTL_PRIVATE_H

#include <stdbool.h>
#include "pailfs/base/buf.h"
#include "pailfs/ctl.h"

/* A place in a mount. */
struct target {
	char *mountpoint;
	char *path; /* below it, without '/' at either end; "" is the mount itself */
};

/* Finds the mount that `name` lies in, without asking the mount itself where that can be
 * avoided, so that it works on one that hangs. absent_too: so may one that is not there, in a
 * directory that is. Returns 0, or -errno with a line in `error`. */
int target_find(const char *name, bool absent_too, struct target *out, struct buf *error);
void target_release(struct target *t);

/* Sends a message (version and path are set here) and waits for the answer in it. Returns its
 * result, or -errno when it could not be sent: -ENOTTY or -ENOENT where nothing here is a
 * pailfs mount, -ENOTCONN where its daemon has gone. A line for the user is added to
 * `error`. */
int target_ask(const struct target *t, struct ctl_message *m, struct buf *error);
/* Adds a file of MOUNTPOINT/.pailfs. Returns 0, or -errno with a line in `error`. */
int target_read(const struct target *t, const char *file, struct buf *out, struct buf *error);

/* Writes bytes at `offset` of a file in a mount: inside it, or -EINVAL and nothing has changed (W2).
 * On failure a line is in `error`. */
int set_range(const char *file, uint64_t offset, const struct buf *bytes, struct buf *error);

/* Writes what is dirty, unmounts, and waits until the daemon has gone. `lazy` detaches a mount
 * that is in use, and does not wait. Returns 0, or -errno with a line in `error`. */
int unmount(const struct target *t, bool lazy, struct buf *error);

/* Says in a few lines what statistics in the Prometheus text format mean. */
void summarize_stats(const char *text, struct buf *out);

#endif
