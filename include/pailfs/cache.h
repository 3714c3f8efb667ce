/* cache.h - clean bytes of object versions in memory, under one budget with two lanes.
 *
 * A *segment* is the memory of one ranged GET: a contiguous range of one object version, of
 * which the first `filled` bytes are present and the rest wanted by the fetch that fills it.
 * The segments of one object never overlap, so a byte is absent, wanted or present, and is
 * fetched once however many ask (single flight). That is finer than fixed blocks with page
 * maps, costs no bitmap, and a small ranged read holds just its own bytes.
 *
 * Waiters wait for ranges and wake when *their* bytes have arrived. When a fetch fails, what
 * it had filled stays, the rest is absent again, and each waiter is told to decide anew.
 *
 * Each version has an object of its own here: nothing is invalidated in place. Dirty bytes
 * never come here.
 *
 * Memory is given up in this order: idle buffers; segments of which as much was read as they
 * hold (the kernel has those pages), longest unused first; and for demand only, segments that
 * are still to be read. Speculation pushes those out only when nobody has come for them while
 * half the budget was given to others, leaves demand a share, and gets nothing while demand waits.
 *
 * One lock covers it all: what happens under it is a search among a few segments, and a lock
 * a shard would only make the budget harder to hold. No callback runs under it. Any thread
 * may call anything. */
#ifndef PAILFS_CACHE_H
#define PAILFS_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "pailfs/base/list.h"
#include "pailfs/base/range.h"
#include "pailfs/base/stats.h"

struct cache;
struct cache_object; /* what the cache holds of one object version */
struct cache_segment;

struct cache_config {
	uint64_t memory;     /* bytes, all data buffers together */
	struct stats *stats;
};

struct cache *cache_create(const struct cache_config *config);
/* Every object must have been put back. */
void cache_destroy(struct cache *c);

/* Begins to hold bytes for an object version; destroy it when no reader is left (its
 * segments go at once: a reopened file finds its bytes in the kernel's page cache). Nothing
 * may be pinned, waited for or on its way then. */
struct cache_object *cache_object_create(struct cache *c);
void cache_object_destroy(struct cache_object *o);

enum cache_lane { CACHE_DEMAND, CACHE_SPECULATION };

/* What one pin may span: the largest FUSE read. Segments begin and end at multiples of a page
 * or at the value's end, so it lies in at most so many. */
#define CACHE_PIN_BYTES (1u << 20)
#define CACHE_MAX_IOV (CACHE_PIN_BYTES / 4096 + 1)

/* A range of which every byte is held where it is. */
struct cache_pin {
	struct cache_segment *segments[CACHE_MAX_IOV];
	struct iovec iov[CACHE_MAX_IOV];
	int count;
};

/* Waits for a range, and pins it. Embedded in a request; used again after it woke. */
struct cache_waiter {
	/* The range has arrived and is pinned (0), or a fetch of part of it has failed and
	 * nothing is (-errno: decide anew). Runs once a wait, on the thread of the event, no lock
	 * held; never inside cache_wait. */
	void (*wake)(struct cache_waiter *w, int result);
	/* Private. */
	struct list link;
	struct range range;
	struct cache_pin *pin;
	uint64_t need;   /* bytes, of one that waits for memory */
	enum { WAITS_NOT, WAITS_FOR_BYTES, WAITS_FOR_MEMORY } waits; /* the cache's lock */
	bool withdrawn;  /* likewise */
	bool in_turn;    /* likewise; it has waited for memory */
	int result;
};

void cache_waiter_init(struct cache_waiter *w, void (*wake)(struct cache_waiter *w, int result),
                       struct cache_pin *pin);

/* How a range stands: all present, all present or on its way, or partly absent; `missing`
 * (NULL: not wanted) is its first absent byte, its end when there is none. */
enum cache_state { CACHE_PRESENT, CACHE_WANTED, CACHE_ABSENT };
enum cache_state cache_look(struct cache_object *o, struct range r, uint64_t *missing);

/* Claims what is absent of r, all of it or nothing, for fetches that the caller must now
 * start: segments of at most `max` bytes, wanted, for cache_claimed to take from the list. r
 * begins at a page and ends at one or with the value; max is whole pages. Returns 0, with an
 * empty list when nothing is absent; -ENOBUFS when the lane has no room, or others wait for it
 * (demand: wait with cache_wait_memory); or -ENOMEM when the system has none. Where it had some but
 * not enough, the beginning is claimed, with 0. w: for whom, NULL for nobody in particular; who has
 * waited for memory is not behind those who still do. */
int cache_claim(struct cache_object *o, struct range r, size_t max, enum cache_lane lane,
                const struct cache_waiter *w, struct list *claimed);
/* The next segment of a claim, in order; NULL after the last. */
struct cache_segment *cache_claimed(struct list *claimed);
struct range cache_segment_range(const struct cache_segment *s);
void *cache_segment_memory(const struct cache_segment *s);
/* The fetch has brought the first `filled` bytes; wakes who waited for them. */
void cache_filled(struct cache_segment *s, size_t filled);
/* The fetch has ended: 0 when all of it was filled, else what was not is absent again and
 * its waiters wake with `error`. The segment must not be touched any more. */
void cache_finish(struct cache_segment *s, int error);

/* Pins r when all of it is present (1), or waits for it when nothing of it is absent (0: w
 * will wake). Else -EAGAIN, or -EINTR for a waiter that was withdrawn. What is waited for is
 * held as what is pinned. */
int cache_wait(struct cache_object *o, struct cache_waiter *w, struct range r);
/* Gives a pinned range back, after the reply; one that is not pinned is fine. */
void cache_unpin(struct cache_object *o, struct cache_pin *pin);
/* Waits until a demand claim of r, which got -ENOBUFS, would be granted: wake(0). Those who wait come
 * in order, and who finds the memory gone again comes first. Returns 1 without queueing when it would
 * be granted now, or -EINTR as above. Holds nothing meanwhile. */
int cache_wait_memory(struct cache_object *o, struct cache_waiter *w, struct range r, size_t max);
/* Withdraws a waiter, from its waits to come too; false when it does not wait, or has woken or
 * is about to. Any thread, from cache_waiter_init on. */
bool cache_unwait(struct cache *c, struct cache_waiter *w);

#endif
