/* chaos.h - faults on purpose: what is to go wrong, and when; private to the room.
 *
 * A plan is parsed from the text of the option chaos=, a list of
 *
 *	delay=30ms         every operation begins so much later (us, ms, s)
 *	error=WHEN:ERRNO   the operation ends with this error instead: EIO, ENOSPC …
 *	short=WHEN         a transfer brings a part of its bytes only
 *	hang=WHEN          the operation does not end until it is cancelled (buckets)
 *	space=64k          so many bytes can be written, then ENOSPC (trees; k, m, g)
 *	seed=7             of the dice; the same operations in the same order fare the same
 *
 * WHEN is a share ("5%"), one operation ("@3", the third) or all from one on ("@3+"). Names of
 * operations may follow: "error=@3:EIO:write:fsync" counts writes and fsyncs alone and lets
 * the third of them fail. error, short and hang may be repeated; the first that applies does.
 *
 * The two layers, chaos_bucket.c and chaos_tree.c, carry out what a plan decides. */
#ifndef PAILFS_STORE_CHAOS_H
#define PAILFS_STORE_CHAOS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "pailfs/base/buf.h"

/* The operations of buckets, then those of trees: CHAOS_LOOKUP is of both. Their names in a
 * plan are these in lower case. */
enum chaos_operation {
	CHAOS_PROBE, CHAOS_LIST, CHAOS_GET, CHAOS_LOOKUP,
	CHAOS_CREATE, CHAOS_MAKE, CHAOS_LINK, CHAOS_UNLINK, CHAOS_RENAME, CHAOS_PUT,
	CHAOS_GETATTR, CHAOS_SETATTR, CHAOS_TRUNCATE, CHAOS_READLINK, CHAOS_XATTR, CHAOS_STATFS,
	CHAOS_OPEN, CHAOS_FLUSH, CHAOS_READ, CHAOS_WRITE, CHAOS_SET_RANGE, CHAOS_FSYNC,
	CHAOS_FALLOCATE, CHAOS_SEEK, CHAOS_COPY, CHAOS_OPENDIR, CHAOS_READDIR, CHAOS_FSYNCDIR,
	CHAOS_OPERATIONS
};

enum chaos_effect { CHAOS_ERROR, CHAOS_SHORT, CHAOS_HANG };

struct chaos_rule {
	enum chaos_effect effect;
	int error;                  /* with CHAOS_ERROR: -errno */
	double share;               /* 0 to 1; used when `first` is 0 */
	uint64_t first, last;       /* which of the operations, counted from 1 */
	uint32_t operations;        /* a bit each */
	uint64_t seen;              /* the plan's lock; how many of these operations there were */
};

enum { CHAOS_RULES_MAX = 16 };

struct chaos_plan {
	uint64_t delay_ns, seed;
	struct chaos_rule rules[CHAOS_RULES_MAX];
	size_t rule_count;
	pthread_mutex_t lock;
	uint64_t dice;              /* lock */
	uint64_t space;             /* lock; bytes that can still be written */
};

/* What becomes of one operation. */
struct chaos_fate {
	uint64_t delay_ns;          /* it begins so much later */
	bool hang;
	size_t length;              /* of the bytes it was to transfer, so many are */
	int error;                  /* 0, or the -errno with which it ends, after those bytes */
};

enum chaos_family { CHAOS_BUCKET, CHAOS_TREE };

/* Parses spec. -EINVAL with a line in `error` for what is not of the grammar above, or nothing
 * that could happen in this family; the plan needs no release then. */
int chaos_plan_init(struct chaos_plan *p, const char *spec, enum chaos_family family,
                    struct buf *error);
void chaos_plan_release(struct chaos_plan *p);

/* Decides about an operation that begins now and transfers `length` bytes, 0: none. A part is
 * never empty and never the whole. Any thread may call it. */
struct chaos_fate chaos_decide(struct chaos_plan *p, enum chaos_operation operation, size_t length);

#endif
