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
 * Memory is given up in this order: idle buffers; segments read to their end (the kernel has
 * those pages), longest unused first; and for demand only, segments that nobody has read to
 * the end. Speculation never pushes out what is still to be read and leaves demand a share.
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

/* A reader's claim on a range: pins it, and waits for it. Embedded in a request. */
struct cache_waiter {
	/* All of the range has arrived (0), or a fetch of part of it has failed (-errno: decide
	 * anew). Runs once, on the thread of the event, no lock held; never inside cache_wait. */
	void (*wake)(struct cache_waiter *w, int result);
	/* Private. */
	struct list link;
	struct range range;
	struct cache_object *object;
	int result;
};

/* What one pin may span: the largest FUSE read. Segments start at multiples of a page (the
 * reader rounds what it claims), so it lies in at most so many. */
#define CACHE_PIN_BYTES (1u << 20)
#define CACHE_MAX_IOV (CACHE_PIN_BYTES / 4096 + 1)

/* Pins what stands for r, when all of it is present: fills iov and returns their number; 0
 * when a byte is absent or wanted. Unpin with cache_unpin when the reply has been sent. */
struct cache_pin {
	struct cache_segment *segments[CACHE_MAX_IOV];
	struct iovec iov[CACHE_MAX_IOV];
	int count;
};
int cache_pin(struct cache_object *o, struct range r, struct cache_pin *pin);
void cache_unpin(struct cache_object *o, struct cache_pin *pin);

/* How a range stands: all present, all present or on its way, or partly absent. */
enum cache_state { CACHE_PRESENT, CACHE_WANTED, CACHE_ABSENT };
enum cache_state cache_look(struct cache_object *o, struct range r);

/* Claims the first absent part of r, at most `max` bytes, for a fetch that the caller must
 * now start: a segment with memory, wanted. Returns 0 and the segment, 1 when nothing of r is
 * absent, or -ENOMEM when the lane has no room (demand: only while everything is pinned or
 * in flight; wait with cache_wait_memory). */
int cache_claim(struct cache_object *o, struct range r, size_t max, enum cache_lane lane,
                struct cache_segment **out);
struct range cache_segment_range(const struct cache_segment *s);
void *cache_segment_memory(const struct cache_segment *s);
/* The fetch has brought the first `filled` bytes; wakes who waited for them. */
void cache_filled(struct cache_segment *s, size_t filled);
/* The fetch has ended: 0 when all of it was filled, else what was not is absent again and
 * its waiters wake with `error`. The segment must not be touched any more. */
void cache_finish(struct cache_segment *s, int error);

/* Waits for r, of which nothing is absent. Returns 0 when the waiter was queued, 1 when all
 * is present already (it was not), -EAGAIN when something is absent after all. */
int cache_wait(struct cache_object *o, struct cache_waiter *w, struct range r);
/* Takes a waiter back; false when it has woken or is about to. */
bool cache_unwait(struct cache_object *o, struct cache_waiter *w);

/* Waits until memory was given back: wake(0). For a demand claim that got -ENOMEM. Returns 1
 * without queueing when there is some now. */
int cache_wait_memory(struct cache_object *o, struct cache_waiter *w);

#endif
