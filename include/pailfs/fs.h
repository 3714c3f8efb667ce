/* fs.h - the FUSE face: sessions, nodes, requests and replies.
 *
 * Two families of stores have two tables of FUSE operations: a bucket's (names that expire,
 * nodes that are versions, reads through the read engine) and a local-backed store's (its
 * tree answers at once). FUSE threads never wait on the network: a request that must wait
 * is parked with its waiter, and the thread whose event completes it replies. */
#ifndef PAILFS_FS_H
#define PAILFS_FS_H

#include <stdbool.h>
#include "pailfs/base/dispatch.h"
#include "pailfs/base/stats.h"
#include "pailfs/config.h"
#include "pailfs/names.h"
#include "pailfs/read.h"
#include "pailfs/store.h"

struct fs;

struct fs_config {
	const struct config *config;
	struct store *store;
	struct names *names;        /* NULL for a local-backed store */
	struct read_engine *engine; /* likewise */
	struct stats *stats;
	const struct clock *clock;
};

/* Makes the session and mounts it; nothing is served yet. The caller has blocked SIGTERM,
 * SIGINT and SIGHUP in all threads, and fs_serve takes them. Returns 0, or -errno with a line
 * in `error`. */
int fs_mount(const struct fs_config *config, struct fs **out, struct buf *error);
/* Serves until unmounted or told to stop by SIGTERM, SIGINT or SIGHUP; then lets pending
 * requests end. Returns 0 or -errno. */
int fs_serve(struct fs *fs);
/* Unmounts if that has not happened, and frees. NULL is fine. */
void fs_destroy(struct fs *fs);

#endif
