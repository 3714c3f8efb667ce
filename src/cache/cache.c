/* cache.c - segments, their waiters, and the budget.
 *
 * State of a segment x invariants:
 *
 *	state     range          filled       lists             pins
 *	FILLING   as claimed     grows        none              any
 *	CLEAN     == filled      == range     fresh or spent    any; off the lists while > 0
 *
 * A segment is *spent* once it was read to its end: the kernel's page cache has it, so a
 * modest amount of these is kept (a reader that goes back a little, or with O_DIRECT) and
 * they go first when memory is needed. Before that it is *fresh*: fetched for somebody who
 * has still to come. A segment whose fetch failed shrinks to what was filled, or goes.
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
#define SPENT_SHARE(memory) MIN((memory) / 8, 32ull << 20)
#define IDLE_SHARE(memory) MIN((memory) / 8, 32ull << 20)
/* Spent segments of at most this size go at once: each would cost searches for nothing. */
#define SMALL_SEGMENT (64u << 10)

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
	size_t filled;
	size_t read_to; /* the furthest byte that was pinned, from the segment's start */
	unsigned pins;
	struct list lru; /* in cache.fresh or cache.spent */
};

struct cache_object {
	struct cache *cache;
	struct cache_segment **segments; /* lock; sorted, disjoint */
	size_t count, capacity;
	struct list waiters; /* lock; struct cache_waiter.link */
};

struct cache {
	struct stats *stats;
	uint64_t memory;

	pthread_mutex_t lock; /* covers everything below and in objects and segments */
	struct pool pool;
	uint64_t held;                    /* bytes of all segments */
	uint64_t filling[2];              /* of these, FILLING, by lane */
	uint64_t fresh_bytes, spent_bytes; /* of these, on the lists */
	struct list fresh, spent;
	struct list memory_waiters;
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

struct cache_object *cache_object_create(struct cache *c)
{
	struct cache_object *o = xcalloc(1, sizeof(*o));

	o->cache = c;
	list_init(&o->waiters);
	return o;
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
	return s->read_to >= s->filled;
}

static void list_out(struct cache *c, struct cache_segment *s)
{
	if (is_spent(s))
		c->spent_bytes -= s->memory_size;
	else
		c->fresh_bytes -= s->memory_size;
	list_remove(&s->lru);
}

/* Takes a segment that is on no list, and not empty, out of its object and frees it. */
static void segment_free(struct cache_segment *s)
{
	struct cache_object *o = s->object;
	struct cache *c = o->cache;
	size_t i = find(o, s->range.start);

	assert(o->segments[i] == s);
	memmove(o->segments + i, o->segments + i + 1, (o->count - i - 1) * sizeof(*o->segments));
	o->count--;
	c->held -= s->memory_size;
	stats_add(c->stats, STAT_MEMORY_CACHE, -(int64_t)s->memory_size);
	if (!is_spent(s))
		stats_add(c->stats, STAT_CACHE_UNUSED_BYTES, (int64_t)(s->filled - s->read_to));
	pool_free(&c->pool, s->memory, s->asked);
	free(s);
}

static void evict(struct cache *c, struct list *from)
{
	struct cache_segment *s = list_first(from, struct cache_segment, lru);

	list_out(c, s);
	segment_free(s);
	stats_inc(c->stats, STAT_CACHE_EVICTIONS);
}

/* A clean segment that nobody pins goes onto its list, or goes. */
static void list_in(struct cache *c, struct cache_segment *s)
{
	if (!is_spent(s)) {
		list_append(&c->fresh, &s->lru);
		c->fresh_bytes += s->memory_size;
		return;
	}
	if (s->memory_size <= SMALL_SEGMENT) {
		segment_free(s);
	} else {
		list_append(&c->spent, &s->lru);
		c->spent_bytes += s->memory_size;
		while (c->spent_bytes > SPENT_SHARE(c->memory))
			evict(c, &c->spent);
	}
	pool_trim(&c->pool, IDLE_SHARE(c->memory));
}

void cache_object_destroy(struct cache_object *o)
{
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
		segment_free(s);
	}
	pool_trim(&c->pool, IDLE_SHARE(c->memory));
	pthread_mutex_unlock(&c->lock);
	free(o->segments);
	free(o);
}

static enum cache_state look(const struct cache_object *o, struct range r)
{
	enum cache_state state = CACHE_PRESENT;
	size_t i;

	for (i = find(o, r.start); r.start < r.end; i++) {
		const struct cache_segment *s;

		if (i == o->count || o->segments[i]->range.start > r.start)
			return CACHE_ABSENT;
		s = o->segments[i];
		if (s->range.start + s->filled < MIN(r.end, s->range.end))
			state = CACHE_WANTED;
		r.start = s->range.end;
	}
	return state;
}

enum cache_state cache_look(struct cache_object *o, struct range r)
{
	scoped_lock(&o->cache->lock);
	return look(o, r);
}

int cache_pin(struct cache_object *o, struct range r, struct cache_pin *pin)
{
	struct cache *c = o->cache;
	size_t i;

	scoped_lock(&c->lock);
	pin->count = 0;
	if (look(o, r) != CACHE_PRESENT)
		return 0;
	for (i = find(o, r.start); r.start < r.end; i++) {
		struct cache_segment *s = o->segments[i];
		uint64_t end = MIN(r.end, s->range.end);

		assert(pin->count < CACHE_MAX_IOV);
		if (s->state == SEGMENT_CLEAN && s->pins == 0)
			list_out(c, s);
		s->pins++;
		s->read_to = MAX(s->read_to, (size_t)(end - s->range.start));
		pin->segments[pin->count] = s;
		pin->iov[pin->count++] = (struct iovec){
		        .iov_base = (char *)s->memory + (r.start - s->range.start),
		        .iov_len = (size_t)(end - r.start),
		};
		r.start = end;
	}
	return pin->count;
}

/* Takes the waiters for memory onto `woken`. */
static void take_memory_waiters(struct cache *c, struct list *woken)
{
	struct cache_waiter *w;

	list_for_each(w, &c->memory_waiters, link)
		w->result = 0;
	list_splice(woken, &c->memory_waiters);
}

static void wake_all(struct list *woken)
{
	while (!list_empty(woken)) {
		struct cache_waiter *w = list_first(woken, struct cache_waiter, link);

		list_remove(&w->link);
		w->wake(w, w->result); /* w may be gone now */
	}
}

void cache_unpin(struct cache_object *o, struct cache_pin *pin)
{
	struct list woken = LIST_INIT(woken);
	struct cache *c = o->cache;

	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < pin->count; i++) {
		struct cache_segment *s = pin->segments[i];

		assert(s->pins > 0);
		if (--s->pins == 0 && s->state == SEGMENT_CLEAN)
			list_in(c, s);
	}
	pin->count = 0;
	take_memory_waiters(c, &woken);
	pthread_mutex_unlock(&c->lock);
	wake_all(&woken);
}

/* Makes room for n bytes more in the lane; false when there is none to be had. */
static bool reserve(struct cache *c, size_t n, enum cache_lane lane)
{
	if (lane == CACHE_SPECULATION &&
	    c->filling[CACHE_SPECULATION] + c->fresh_bytes + n > SPECULATION_SHARE(c->memory))
		return false;
	while (c->held + n > c->memory) {
		if (!list_empty(&c->spent))
			evict(c, &c->spent);
		else if (lane == CACHE_DEMAND && !list_empty(&c->fresh))
			evict(c, &c->fresh);
		else
			return false;
	}
	if (c->held + n + c->pool.idle_bytes > c->memory)
		pool_trim(&c->pool, c->memory - c->held - n);
	return true;
}

/* Cuts r to its first part that no segment covers; false when there is none. */
static bool first_absent(const struct cache_object *o, struct range *r)
{
	size_t i;

	for (i = find(o, r->start); i < o->count && o->segments[i]->range.start <= r->start; i++)
		r->start = o->segments[i]->range.end;
	if (i < o->count)
		r->end = MIN(r->end, o->segments[i]->range.start);
	return r->start < r->end;
}

int cache_claim(struct cache_object *o, struct range r, size_t max, enum cache_lane lane,
                struct cache_segment **out)
{
	struct cache *c = o->cache;
	struct cache_segment *s;
	size_t i, size;
	void *memory;

	scoped_lock(&c->lock);
	if (!first_absent(o, &r))
		return 1;
	r.end = MIN(r.end, r.start + max);
	size = pool_size((size_t)range_length(r));
	if (!reserve(c, size, lane))
		return -ENOMEM;
	memory = pool_alloc(&c->pool, (size_t)range_length(r));
	if (!memory)
		return -ENOMEM;

	s = xcalloc(1, sizeof(*s));
	s->object = o;
	s->range = r;
	s->memory = memory;
	s->memory_size = size;
	s->asked = (size_t)range_length(r);
	s->state = SEGMENT_FILLING;
	s->lane = lane;
	list_init(&s->lru);
	if (o->count == o->capacity) {
		o->capacity = o->capacity ? o->capacity * 2 : 8;
		o->segments = xrealloc(o->segments, o->capacity, sizeof(*o->segments));
	}
	i = find(o, r.start); /* only now: reserve() may have evicted segments of this object */
	memmove(o->segments + i + 1, o->segments + i, (o->count - i) * sizeof(*o->segments));
	o->segments[i] = s;
	o->count++;
	c->held += size;
	c->filling[lane] += size;
	stats_add(c->stats, lane_gauge(lane), (int64_t)size);
	*out = s;
	return 0;
}

struct range cache_segment_range(const struct cache_segment *s)
{
	return s->range;
}

void *cache_segment_memory(const struct cache_segment *s)
{
	return s->memory;
}

/* Takes those whose wait is over onto `woken`: all bytes present, or, with an error, some
 * absent. Only a waiter that overlaps what changed can have been decided. */
static void take_waiters(struct cache_object *o, struct range changed, int error, struct list *woken)
{
	struct cache_waiter *w, *next;

	list_for_each_safe(w, next, &o->waiters, link) {
		enum cache_state state;

		if (!range_overlaps(w->range, changed))
			continue;
		state = look(o, w->range);
		if (state == CACHE_WANTED)
			continue;
		w->result = state == CACHE_PRESENT ? 0 : error;
		list_remove(&w->link);
		list_append(woken, &w->link);
	}
}

void cache_filled(struct cache_segment *s, size_t filled)
{
	struct list woken = LIST_INIT(woken);
	struct cache_object *o = s->object;

	pthread_mutex_lock(&o->cache->lock);
	assert(s->state == SEGMENT_FILLING && filled >= s->filled && filled <= range_length(s->range));
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
	if (s->filled == 0) {
		segment_free(s);
	} else {
		s->range.end = absent.start;
		if (s->pins == 0)
			list_in(c, s);
	}
	if (!range_empty(absent))
		take_waiters(o, absent, error, &woken);
	take_memory_waiters(c, &woken);
	pthread_mutex_unlock(&c->lock);
	wake_all(&woken);
}

int cache_wait(struct cache_object *o, struct cache_waiter *w, struct range r)
{
	scoped_lock(&o->cache->lock);
	switch (look(o, r)) {
	case CACHE_PRESENT:
		return 1;
	case CACHE_ABSENT:
		return -EAGAIN;
	case CACHE_WANTED:
		break;
	}
	w->range = r;
	list_append(&o->waiters, &w->link);
	return 0;
}

static bool list_take(struct list *head, struct list *node)
{
	for (struct list *l = head->next; l != head; l = l->next)
		if (l == node) {
			list_remove(l);
			return true;
		}
	return false;
}

bool cache_unwait(struct cache_object *o, struct cache_waiter *w)
{
	/* One that has been decided stands in a list of the thread that will wake it. */
	scoped_lock(&o->cache->lock);
	return list_take(&o->waiters, &w->link) || list_take(&o->cache->memory_waiters, &w->link);
}

int cache_wait_memory(struct cache_object *o, struct cache_waiter *w)
{
	struct cache *c = o->cache;

	scoped_lock(&c->lock);
	if (!list_empty(&c->spent) || !list_empty(&c->fresh))
		return 1;
	list_append(&c->memory_waiters, &w->link);
	return 0;
}
