/* cache.c - segments, their waiters, and the budget.
 *
 * State of a segment x invariants:
 *
 *	state     range          filled       lists             pins
 *	FILLING   as claimed     grows        none              any
 *	CLEAN     == filled      == range     fresh or spent    any; off the lists while > 0
 *
 * A segment is *spent* once as many bytes were read as it has: the kernel's page cache has
 * them, so a modest amount of these is kept (a reader that goes back a little, or with
 * O_DIRECT) and they go first when memory is needed. Before that it is *fresh*: fetched for
 * somebody who has still to come. A fresh one is *stale* when nobody came while others were
 * given half the budget; speculation may have its memory then, or what random readers left
 * unread would stand in the way of every stream for ever. A segment whose fetch failed
 * shrinks to what was filled, or goes.
 *
 * A waiter pins what it waits for. So what has arrived of a request stays until the rest
 * does, and as a claim is granted whole or not at all, requests that together need more than
 * the budget pass one after the other: none holds a part and waits for another's.
 *
 * An object's segments stand in an array sorted by their start. There are few: a stream's
 * window in parts; small ones go as soon as they are spent. */
#include "pailfs/cache.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/lock.h"
#include "pool.h"

/* Speculation may hold this share of the budget; the rest is demand's. */
#define SPECULATION_SHARE(memory) ((memory) / 4 * 3)
/* What is kept of spent segments, and of idle buffers: enough to be warm, too little to
 * matter. */
#define SPENT_SHARE(memory) MIN((memory) / 8, 16ull << 20)
#define IDLE_SHARE(memory) MIN((memory) / 8, 16ull << 20)
/* A fresh segment is stale after so many bytes were given to readers of others. */
#define STALE_AFTER(memory) ((memory) / 2)
/* Spent segments of at most this size go at once: each would cost searches for nothing. */
#define SMALL_SEGMENT (64u << 10)
#define PAGE 4096u

enum segment_state { SEGMENT_FILLING, SEGMENT_CLEAN };

struct cache_segment {
	struct cache_object *object; /* constant */
	struct range range;          /* lock; the end moves once, when a fetch fails */
	void *memory;                /* constant; its first `filled` bytes never change */
	size_t memory_size;          /* constant; what it counts in the budget */
	size_t asked;                /* constant; what pool_alloc was asked for */

	/* Under the cache's lock. */
	enum segment_state state;
	enum cache_lane lane; /* which lane counts it while FILLING */
	size_t filled;        /* whole pages until all is there */
	uint64_t read;        /* bytes that were pinned, one pinned twice counts twice */
	uint64_t listed_at;   /* cache.delivered when it came onto its list */
	unsigned pins;
	struct list link;     /* CLEAN: cache.fresh or .spent; before: its claimer's list */
};

struct cache_object {
	struct cache *cache;
	struct cache_segment **segments; /* lock; sorted, disjoint */
	size_t count, capacity;
	struct list waiters; /* lock; struct cache_waiter.link; all have pinned their segments */
};

struct cache {
	struct stats *stats;
	uint64_t memory;

	pthread_mutex_t lock; /* covers everything below and in objects and segments */
	struct pool pool;
	uint64_t held;                    /* bytes of all segments */
	uint64_t filling[2];              /* of these, FILLING, by lane */
	uint64_t fresh_bytes, spent_bytes; /* of these, on the lists */
	uint64_t delivered;               /* bytes pinned since the start */
	struct list fresh, spent;         /* the longest unused first */
	struct list memory_waiters;       /* the first come first */
};

struct cache *cache_create(const struct cache_config *config)
{
	struct cache *c = xcalloc(1, sizeof(*c));

	c->stats = config->stats;
	c->memory = config->memory;
	pthread_mutex_init(&c->lock, NULL);
	pool_init(&c->pool);
	list_init(&c->fresh);
	list_init(&c->spent);
	list_init(&c->memory_waiters);
	stats_add(c->stats, STAT_MEMORY_LIMIT, (int64_t)c->memory);
	return c;
}

void cache_destroy(struct cache *c)
{
	if (!c)
		return;
	assert(c->held == 0 && list_empty(&c->memory_waiters));
	pool_trim(&c->pool, 0);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static enum stat_id lane_gauge(enum cache_lane lane)
{
	return lane == CACHE_DEMAND ? STAT_MEMORY_DEMAND : STAT_MEMORY_SPECULATION;
}

/* The index of the first segment that ends after `at`. */
static size_t find(const struct cache_object *o, uint64_t at)
{
	size_t low = 0, high = o->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (o->segments[middle]->range.end <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_spent(const struct cache_segment *s)
{
	return s->read >= s->filled;
}

static void list_out(struct cache *c, struct cache_segment *s)
{
	if (is_spent(s))
		c->spent_bytes -= s->memory_size;
	else
		c->fresh_bytes -= s->memory_size;
	list_remove(&s->link);
}

/* Takes a segment, whose range is not empty, out of its object. */
static void segment_detach(struct cache_segment *s)
{
	struct cache_object *o = s->object;
	size_t i = find(o, s->range.start);

	assert(i < o->count && o->segments[i] == s);
	memmove(o->segments + i, o->segments + i + 1, (o->count - i - 1) * sizeof(*o->segments));
	o->count--;
}

/* Frees a segment that is on no list, in no object and not pinned. */
static void segment_free(struct cache_segment *s)
{
	struct cache *c = s->object->cache;

	assert(s->pins == 0 && s->state == SEGMENT_CLEAN);
	c->held -= s->memory_size;
	stats_add(c->stats, STAT_MEMORY_CACHE, -(int64_t)s->memory_size);
	if (!is_spent(s))
		stats_add(c->stats, STAT_CACHE_UNUSED_BYTES, (int64_t)(s->filled - s->read));
	pool_free(&c->pool, s->memory, s->asked);
	free(s);
}

static void evict(struct cache *c, struct list *from)
{
	struct cache_segment *s = list_first(from, struct cache_segment, link);

	list_out(c, s);
	segment_detach(s);
	segment_free(s);
	stats_inc(c->stats, STAT_CACHE_EVICTIONS);
}

/* A clean segment that nobody pins goes onto its list, or goes. */
static void list_in(struct cache *c, struct cache_segment *s)
{
	s->listed_at = c->delivered;
	if (!is_spent(s)) {
		list_append(&c->fresh, &s->link);
		c->fresh_bytes += s->memory_size;
		return;
	}
	if (s->memory_size <= SMALL_SEGMENT) {
		segment_detach(s);
		segment_free(s);
	} else {
		list_append(&c->spent, &s->link);
		c->spent_bytes += s->memory_size;
		while (c->spent_bytes > SPENT_SHARE(c->memory))
			evict(c, &c->spent);
	}
	pool_trim(&c->pool, IDLE_SHARE(c->memory));
}

/* ---- pins ---- */

/* `delivered`: the bytes were there for their reader. */
static void unpin(struct cache *c, struct cache_pin *pin, bool delivered)
{
	for (int i = 0; i < pin->count; i++) {
		struct cache_segment *s = pin->segments[i];

		assert(s->pins > 0);
		if (!delivered)
			s->read -= pin->iov[i].iov_len;
		if (--s->pins == 0 && s->state == SEGMENT_CLEAN)
			list_in(c, s);
	}
	pin->count = 0;
}

/* Pins what stands for r, of which nothing is absent. */
static void pin_range(struct cache_object *o, struct range r, struct cache_pin *pin)
{
	struct cache *c = o->cache;

	c->delivered += range_length(r);
	pin->count = 0;
	for (size_t i = find(o, r.start); r.start < r.end; i++) {
		struct cache_segment *s = o->segments[i];
		uint64_t end = MIN(r.end, s->range.end);

		assert(pin->count < CACHE_MAX_IOV);
		if (s->state == SEGMENT_CLEAN && s->pins == 0)
			list_out(c, s);
		s->pins++;
		s->read += end - r.start;
		pin->segments[pin->count] = s;
		pin->iov[pin->count++] = (struct iovec){
		        .iov_base = (char *)s->memory + (r.start - s->range.start),
		        .iov_len = (size_t)(end - r.start),
		};
		r.start = end;
	}
}

/* ---- the budget ---- */

/* Whether demand would get n bytes more now. One that finds nothing in its way does even where
 * it wants more than the budget, or it would wait for ever. */
static bool room_for(const struct cache *c, uint64_t n)
{
	uint64_t stuck = c->held - c->spent_bytes - c->fresh_bytes;

	return stuck == 0 || stuck + n <= c->memory;
}

/* Whether a demand claim of n bytes is granted. Whoever comes while others wait is behind them: of
 * requests that fit at once there may always be some, and one that needs more would wait for ever. */
static bool is_granted(const struct cache *c, uint64_t n, const struct cache_waiter *w)
{
	return ((w && w->in_turn) || list_empty(&c->memory_waiters)) && room_for(c, n);
}

static void evict_stale(struct cache *c, uint64_t enough)
{
	uint64_t before = c->fresh_bytes;

	while (!list_empty(&c->fresh) && before - c->fresh_bytes < enough) {
		struct cache_segment *s = list_first(&c->fresh, struct cache_segment, link);

		if (c->delivered - s->listed_at < STALE_AFTER(c->memory))
			break;
		evict(c, &c->fresh);
	}
}

/* Makes room for n bytes more in the lane; false when there is none to be had. */
static bool reserve(struct cache *c, uint64_t n, enum cache_lane lane, const struct cache_waiter *w)
{
	if (lane == CACHE_SPECULATION) {
		uint64_t share = SPECULATION_SHARE(c->memory);
		uint64_t ahead = c->filling[CACHE_SPECULATION] + c->fresh_bytes + n;

		if (!list_empty(&c->memory_waiters))
			return false;
		if (ahead > share)
			evict_stale(c, ahead - share);
		if (c->filling[CACHE_SPECULATION] + c->fresh_bytes + n > share ||
		    c->held - c->spent_bytes + n > c->memory)
			return false;
	} else if (!is_granted(c, n, w)) {
		return false;
	}
	while (c->held + n > c->memory && !list_empty(&c->spent))
		evict(c, &c->spent);
	while (c->held + n > c->memory && !list_empty(&c->fresh))
		evict(c, &c->fresh);
	if (c->held + n + c->pool.idle_bytes > c->memory)
		pool_trim(&c->pool, c->held + n < c->memory ? c->memory - c->held - n : 0);
	return true;
}

/* ---- waking ---- */

static void wake_all(struct list *woken)
{
	while (!list_empty(woken)) {
		struct cache_waiter *w = list_first(woken, struct cache_waiter, link);

		list_remove(&w->link);
		w->wake(w, w->result); /* w may be gone now */
	}
}

static void decide(struct cache_waiter *w, int result, struct list *woken)
{
	w->result = result;
	w->waits = WAITS_NOT;
	list_remove(&w->link);
	list_append(woken, &w->link);
}

/* Takes those waiters for memory onto `woken` that would get theirs now, in their order. */
static void take_memory_waiters(struct cache *c, struct list *woken)
{
	uint64_t need = 0;

	while (!list_empty(&c->memory_waiters)) {
		struct cache_waiter *w = list_first(&c->memory_waiters, struct cache_waiter, link);

		need += w->need;
		if (!room_for(c, need))
			break;
		w->in_turn = true;
		decide(w, 0, woken);
	}
}

static enum cache_state look(const struct cache_object *o, struct range r, uint64_t *missing)
{
	enum cache_state state = CACHE_PRESENT;
	size_t i;

	for (i = find(o, r.start); r.start < r.end; i++) {
		const struct cache_segment *s;

		if (i == o->count || o->segments[i]->range.start > r.start) {
			state = CACHE_ABSENT;
			break;
		}
		s = o->segments[i];
		if (s->range.start + s->filled < MIN(r.end, s->range.end))
			state = CACHE_WANTED;
		r.start = s->range.end;
	}
	if (missing)
		*missing = MIN(r.start, r.end);
	return state;
}

/* Takes those whose wait is over onto `woken`: all bytes present, or, with an error, some
 * absent. Only a waiter that overlaps what changed can have been decided. */
static void take_waiters(struct cache_object *o, struct range changed, int error, struct list *woken)
{
	struct cache_waiter *w;

	list_for_each_safe(w, &o->waiters, link) {
		enum cache_state state;

		if (!range_overlaps(w->range, changed))
			continue;
		state = look(o, w->range, NULL);
		if (state == CACHE_WANTED)
			continue;
		if (state == CACHE_ABSENT)
			unpin(o->cache, w->pin, false);
		decide(w, state == CACHE_PRESENT ? 0 : error, woken);
	}
}

/* ---- objects ---- */

struct cache_object *cache_object_create(struct cache *c)
{
	struct cache_object *o = xcalloc(1, sizeof(*o));

	o->cache = c;
	list_init(&o->waiters);
	return o;
}

void cache_object_destroy(struct cache_object *o)
{
	struct list woken = LIST_INIT(woken);
	struct cache *c;

	if (!o)
		return;
	c = o->cache;
	pthread_mutex_lock(&c->lock);
	assert(list_empty(&o->waiters));
	while (o->count) {
		struct cache_segment *s = o->segments[o->count - 1];

		assert(s->state == SEGMENT_CLEAN && s->pins == 0);
		list_out(c, s);
		segment_detach(s);
		segment_free(s);
	}
	pool_trim(&c->pool, IDLE_SHARE(c->memory));
	take_memory_waiters(c, &woken);
	pthread_mutex_unlock(&c->lock);
	wake_all(&woken);
	free(o->segments);
	free(o);
}

enum cache_state cache_look(struct cache_object *o, struct range r, uint64_t *missing)
{
	scoped_lock(&o->cache->lock);
	return look(o, r, missing);
}

/* ---- claims ---- */

/* Cuts r to its first part that no segment covers, at most max long; false when there is
 * none. */
static bool first_absent(const struct cache_object *o, struct range *r, size_t max)
{
	size_t i;

	for (i = find(o, r->start); i < o->count && o->segments[i]->range.start <= r->start; i++)
		r->start = o->segments[i]->range.end;
	if (i < o->count)
		r->end = MIN(r->end, o->segments[i]->range.start);
	if (r->start >= r->end)
		return false;
	r->end = MIN(r->end, r->start + max);
	return true;
}

/* What a claim would take of the budget. */
static uint64_t claim_cost(const struct cache_object *o, struct range r, size_t max)
{
	struct range part = r;
	uint64_t cost = 0;

	while (first_absent(o, &part, max)) {
		cost += pool_size((size_t)range_length(part));
		part = (struct range){part.end, r.end};
	}
	return cost;
}

static int claim_part(struct cache_object *o, struct range part, enum cache_lane lane,
                      struct list *claimed)
{
	struct cache *c = o->cache;
	size_t n = (size_t)range_length(part), i = find(o, part.start);
	void *memory = pool_alloc(&c->pool, n);
	struct cache_segment *s;

	if (!memory)
		return -ENOMEM;
	s = xcalloc(1, sizeof(*s));
	s->object = o;
	s->range = part;
	s->memory = memory;
	s->memory_size = pool_size(n);
	s->asked = n;
	s->state = SEGMENT_FILLING;
	s->lane = lane;
	if (o->count == o->capacity) {
		o->capacity = o->capacity ? o->capacity * 2 : 8;
		o->segments = xrealloc(o->segments, o->capacity, sizeof(*o->segments));
	}
	memmove(o->segments + i + 1, o->segments + i, (o->count - i) * sizeof(*o->segments));
	o->segments[i] = s;
	o->count++;
	c->held += s->memory_size;
	c->filling[lane] += s->memory_size;
	stats_add(c->stats, lane_gauge(lane), (int64_t)s->memory_size);
	list_append(claimed, &s->link);
	return 0;
}

int cache_claim(struct cache_object *o, struct range r, size_t max, enum cache_lane lane,
                const struct cache_waiter *w, struct list *claimed)
{
	struct range part = r;
	uint64_t cost;
	int err = 0;

	assert(r.start % PAGE == 0 && max % PAGE == 0 && max > 0);
	scoped_lock(&o->cache->lock);
	/* Making room may take away segments of this object that stand in r. */
	while ((cost = claim_cost(o, r, max)) != 0) {
		if (!reserve(o->cache, cost, lane, w))
			return -ENOBUFS;
		if (claim_cost(o, r, max) == cost)
			break;
	}
	while (!err && first_absent(o, &part, max)) {
		err = claim_part(o, part, lane, claimed);
		part = (struct range){part.end, r.end};
	}
	return list_empty(claimed) ? err : 0;
}

struct cache_segment *cache_claimed(struct list *claimed)
{
	struct cache_segment *s;

	if (list_empty(claimed))
		return NULL;
	s = list_first(claimed, struct cache_segment, link);
	list_remove(&s->link);
	return s;
}

struct range cache_segment_range(const struct cache_segment *s)
{
	return s->range;
}

void *cache_segment_memory(const struct cache_segment *s)
{
	return s->memory;
}

void cache_filled(struct cache_segment *s, size_t filled)
{
	struct list woken = LIST_INIT(woken);
	struct cache_object *o = s->object;
	size_t length = (size_t)range_length(s->range);

	assert(filled <= length);
	/* Whole pages only, so that what a failure leaves begins and ends at pages. */
	if (filled < length)
		filled -= filled % PAGE;
	pthread_mutex_lock(&o->cache->lock);
	assert(s->state == SEGMENT_FILLING && filled >= s->filled);
	if (filled > s->filled) {
		struct range changed = {s->range.start + s->filled, s->range.start + filled};

		s->filled = filled;
		take_waiters(o, changed, 0, &woken);
	}
	pthread_mutex_unlock(&o->cache->lock);
	wake_all(&woken);
}

void cache_finish(struct cache_segment *s, int error)
{
	struct list woken = LIST_INIT(woken);
	struct cache_object *o = s->object;
	struct cache *c = o->cache;
	struct range absent = {s->range.start + s->filled, s->range.end};

	pthread_mutex_lock(&c->lock);
	assert(s->state == SEGMENT_FILLING);
	assert(error || range_empty(absent));
	c->filling[s->lane] -= s->memory_size;
	stats_add(c->stats, lane_gauge(s->lane), -(int64_t)s->memory_size);
	stats_add(c->stats, STAT_MEMORY_CACHE, (int64_t)s->memory_size);
	s->state = SEGMENT_CLEAN;
	/* Whoever waits for what is absent now must see that, and gives its pins back. */
	s->pins++;
	if (s->filled == 0)
		segment_detach(s);
	else
		s->range.end = absent.start;
	if (!range_empty(absent))
		take_waiters(o, absent, error, &woken);
	s->pins--;
	if (s->filled == 0)
		segment_free(s);
	else if (s->pins == 0)
		list_in(c, s);
	take_memory_waiters(c, &woken);
	pthread_mutex_unlock(&c->lock);
	wake_all(&woken);
}

/* ---- waiting ---- */

void cache_waiter_init(struct cache_waiter *w, void (*wake)(struct cache_waiter *w, int result),
                       struct cache_pin *pin)
{
	w->wake = wake;
	w->pin = pin;
	w->waits = WAITS_NOT;
	w->withdrawn = w->in_turn = false;
	list_init(&w->link);
	pin->count = 0;
}

int cache_wait(struct cache_object *o, struct cache_waiter *w, struct range r)
{
	enum cache_state state;

	scoped_lock(&o->cache->lock);
	if (w->withdrawn)
		return -EINTR;
	state = look(o, r, NULL);
	if (state == CACHE_ABSENT)
		return -EAGAIN;
	pin_range(o, r, w->pin);
	if (state == CACHE_PRESENT)
		return 1;
	w->range = r;
	w->waits = WAITS_FOR_BYTES;
	list_append(&o->waiters, &w->link);
	return 0;
}

void cache_unpin(struct cache_object *o, struct cache_pin *pin)
{
	struct list woken = LIST_INIT(woken);
	struct cache *c = o->cache;

	if (pin->count == 0)
		return;
	pthread_mutex_lock(&c->lock);
	unpin(c, pin, true);
	take_memory_waiters(c, &woken);
	pthread_mutex_unlock(&c->lock);
	wake_all(&woken);
}

int cache_wait_memory(struct cache_object *o, struct cache_waiter *w, struct range r, size_t max)
{
	struct cache *c = o->cache;

	scoped_lock(&c->lock);
	if (w->withdrawn)
		return -EINTR;
	w->need = claim_cost(o, r, max);
	if (w->need == 0 || is_granted(c, w->need, w))
		return 1;
	w->waits = WAITS_FOR_MEMORY;
	if (w->in_turn)
		list_prepend(&c->memory_waiters, &w->link);
	else
		list_append(&c->memory_waiters, &w->link);
	return 0;
}

bool cache_unwait(struct cache *c, struct cache_waiter *w)
{
	struct list woken = LIST_INIT(woken);
	bool waited;

	pthread_mutex_lock(&c->lock);
	w->withdrawn = true;
	waited = w->waits != WAITS_NOT;
	if (w->waits == WAITS_FOR_BYTES)
		unpin(c, w->pin, false);
	if (waited)
		list_remove(&w->link);
	w->waits = WAITS_NOT;
	take_memory_waiters(c, &woken);
	pthread_mutex_unlock(&c->lock);
	wake_all(&woken);
	return waited;
}
