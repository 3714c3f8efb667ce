/* preflight.h - what can be known to be wrong before a mount is tried. */
#ifndef PAILFS_PREFLIGHT_H
#define PAILFS_PREFLIGHT_H

#include "pailfs/config.h"

/* Checks the mount point, /dev/fuse and fusermount3, and makes c->mountpoint absolute.
 * Returns 0, or -errno with a line in `error` that says what is wrong and what to do. Asks
 * nothing of the store. */
int preflight(struct config *c, struct buf *error);

#endif
