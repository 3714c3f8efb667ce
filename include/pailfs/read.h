/* read.h - the read engine: a read becomes hits, joins of fetches under way, and merged
 * ranged GETs; demand before speculation.
 *
 * One reader serves all handles of one object version, since streams belong to the inode,
 * not to the descriptor (R5). */
#ifndef PAILFS_READ_H
#define PAILFS_READ_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "pailfs/base/buf.h"
#include "pailfs/base/clock.h"
#include "pailfs/base/stats.h"
#include "pailfs/cache.h"
#include "pailfs/policy.h"
#include "pailfs/store.h"

struct read_engine;
struct reader;

struct read_config {
	struct store *store;
	struct cache *cache;
	struct stats *stats;
	const struct clock *clock;
	struct policy_limits limits; /* max_gap UINT64_MAX: what a round trip would have carried,
	                              * measured; what follows that is not used */
	unsigned max_gets;      /* in flight at once, all readers together; beyond them, demand
	                         * ranges of a reader at most limits.max_gap apart become one GET */
};

struct read_engine *read_engine_create(const struct read_config *config);
/* Waits until the last fetch of every destroyed reader has ended. */
void read_engine_destroy(struct read_engine *e);

/* How far the kernel reads ahead by itself, bytes: 128 KiB unless told otherwise. */
void read_engine_set_kernel_ahead(struct read_engine *e, uint64_t bytes);

/* A reader of this version; takes a reference of the object. */
struct reader *reader_create(struct read_engine *e, struct store_object *object, const struct policy *policy);
/* For whoever works with a reader while its owner may let go of it. NULL is fine for unref. */
struct reader *reader_ref(struct reader *r);
void reader_unref(struct reader *r);
/* The owner's end: cancels the reader's fetches and drops the reference that reader_create
 * gave. NULL is fine. */
void reader_destroy(struct reader *r);

/* One read, embedded in the caller's request. */
struct reader_request {
	/* Runs exactly once, when reader_read returned 0, on any thread: with the bytes pinned
	 * in `pin` (result 0), or -errno. The caller replies and calls reader_done. */
	void (*done)(struct reader_request *q, int result);
	struct range range;     /* set by reader_read: clipped to the value */
	struct cache_pin pin;
	/* Private. */
	struct reader *reader;
	struct cache_waiter waiter;
	struct range demand;    /* what the plan said to fetch for it */
	struct list pending;    /* while it waits for a GET to end before it may start one */
	bool queued;            /* it does so; the engine's lock */
	bool interrupted;       /* the engine's lock */
};

/* Once, before the first reader_read; an interrupt may come from then on. */
void reader_request_init(struct reader_request *q, void (*done)(struct reader_request *q, int result));

/* Reads [offset, offset+length), clipped to the value (R1), of at most CACHE_PIN_BYTES. Returns 1 when the bytes are
 * pinned now (0 of them at or past the end; done will not run), 0 pending, -errno. */
int reader_read(struct reader *r, struct reader_request *q, uint64_t offset, size_t length);
/* Gives the pinned bytes back, after the reply. */
void reader_done(struct reader_request *q);
/* Ends a pending read early: done runs with -EINTR unless it is finishing already. A read that q is
 * used for after that waits for nothing, and gets -EINTR instead. Any thread. */
void reader_interrupt(struct read_engine *e, struct reader_request *q);

void reader_set_policy(struct reader *r, const struct policy *policy);
const struct policy *reader_policy(struct reader *r);
/* Adds one line: what was seen and chosen. */
void reader_why(struct reader *r, struct buf *out);
/* Adds a sentence on the last failure; nothing when there was none. */
void reader_error(struct reader *r, struct buf *out);

#endif
