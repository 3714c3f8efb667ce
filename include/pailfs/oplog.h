/* oplog.h - the operation log: a line a store operation, in the columns that warp's tools
 * replay. Written by a thread of its own; a caller never waits: when the writer falls behind,
 * lines are dropped and counted (pailfs_oplog_dropped_total). */
#ifndef PAILFS_OPLOG_H
#define PAILFS_OPLOG_H

#include <stdint.h>
#include "pailfs/base/buf.h"
#include "pailfs/base/stats.h"

struct oplog;

struct oplog_entry {
	const char *op;         /* GET, GET_RANGE, PUT, LIST, STAT, DELETE … */
	unsigned thread;        /* the loop that carried it */
	uint64_t objects;       /* n_objects: 1, or the entries of a page */
	uint64_t bytes;         /* payload */
	const char *endpoint;   /* scheme://host:port, no secret */
	const char *file;       /* key or prefix */
	const char *error;      /* "" or a short text */
	int64_t start_ns, first_byte_ns, end_ns; /* realtime; first_byte 0: none came */
};

/* Opens (appends to) path; compresses when it ends in .zst. Returns 0 or -errno. */
int oplog_open(const char *path, struct stats *stats, struct oplog **out);
/* Any thread; copies what it needs. NULL: does nothing. */
void oplog_add(struct oplog *o, const struct oplog_entry *e);
/* Writes what is queued and closes. NULL is fine. */
void oplog_close(struct oplog *o);

/* Reads such a file, compressed or not, and adds a table: requests, errors, bytes and the
 * percentiles of their times, by operation and endpoint; lines that are none of ours are
 * counted below it. Returns 0, or -errno (-EBADMSG: damaged, the table is of what came
 * before). */
int oplog_summary(const char *path, struct buf *out);

#endif
