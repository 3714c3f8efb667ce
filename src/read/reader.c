/* reader.c - carries out what a policy says.
 *
 * A read goes: observe and plan (the reader's lock) -> claim what is absent (the cache's
 * lock) -> start the GETs -> pin what is there, or wait for it (no lock held while a store
 * is called: one that answers at once fills and wakes inside the call).
 *
 * Claiming decides who fetches, so a race between two reads ends with one GET and one that
 * waits for it. When a fetch ends early its waiters come back through reader_go(), which
 * claims what is absent then, exactly; a final error goes to those who waited for it.
 *
 * A failure is remembered for a second: the kernel follows a failed READ at once with one of
 * the same place (F1). */
#include "pailfs/read.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/lock.h"
#include "pailfs/base/log.h"
#include "streams.h"

#define FAILURES_KEPT 4
#define FAILURE_NS NS_PER_SECOND
/* The share of the GETs in flight that may be speculation: demand always finds a free one. */
#define SPECULATIVE_GETS(n) ((n) - (n) / 4)

struct read_engine {
	struct read_config config;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	unsigned in_flight;   /* lock; GETs of all readers */
	unsigned speculative; /* lock; of these */
};

struct failure {
	struct range range;
	uint64_t until_ns;
	int error;
};

struct reader {
	struct read_engine *engine;
	struct store_object *object;
	struct cache_object *cached;

	pthread_mutex_t lock; /* covers what follows */
	unsigned refs;        /* the owner's, other users', and one for each fetch */
	bool closed;
	bool delivered;
	const struct policy *policy;
	struct streams streams;
	struct list fetches;
	struct failure failures[FAILURES_KEPT];
	unsigned next_failure;
	char why[160];
	char error[256];
};

/* One GET of one segment. */
struct fetch {
	struct store_get get;
	struct reader *reader;
	struct cache_segment *segment;
	struct list link; /* in reader.fetches; reader's lock */
	bool speculative;
};

struct read_engine *read_engine_create(const struct read_config *config)
{
	struct read_engine *e = xcalloc(1, sizeof(*e));

	e->config = *config;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->idle, NULL);
	return e;
}

void read_engine_destroy(struct read_engine *e)
{
	if (!e)
		return;
	pthread_mutex_lock(&e->lock);
	while (e->in_flight)
		pthread_cond_wait(&e->idle, &e->lock);
	pthread_mutex_unlock(&e->lock);
	pthread_cond_destroy(&e->idle);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

/* Takes the right to one more GET. Demand always gets it; the net room queues it when the
 * connections are short. */
static bool engine_enter(struct read_engine *e, bool speculative)
{
	scoped_lock(&e->lock);
	if (speculative && e->in_flight >= SPECULATIVE_GETS(e->config.max_gets))
		return false;
	e->in_flight++;
	e->speculative += speculative;
	return true;
}

static void engine_leave(struct read_engine *e, bool speculative)
{
	scoped_lock(&e->lock);
	e->speculative -= speculative;
	if (--e->in_flight == 0)
		pthread_cond_broadcast(&e->idle);
}

struct reader *reader_create(struct read_engine *e, struct store_object *object, const struct policy *policy)
{
	struct reader *r = xcalloc(1, sizeof(*r));

	r->engine = e;
	r->object = store_object_ref(object);
	r->cached = cache_object_create(e->config.cache);
	r->policy = policy;
	r->refs = 1;
	pthread_mutex_init(&r->lock, NULL);
	list_init(&r->fetches);
	return r;
}

struct reader *reader_ref(struct reader *r)
{
	scoped_lock(&r->lock);
	r->refs++;
	return r;
}

void reader_unref(struct reader *r)
{
	bool last;

	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	last = --r->refs == 0;
	pthread_mutex_unlock(&r->lock);
	if (!last)
		return;
	cache_object_destroy(r->cached);
	store_object_unref(r->object);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void reader_destroy(struct reader *r)
{
	struct fetch *f;

	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->closed = true;
	list_for_each(f, &r->fetches, link)
		store_cancel(&f->get.op);
	pthread_mutex_unlock(&r->lock);
	reader_unref(r);
}

static void remember_failure(struct reader *r, struct fetch *f, int error)
{
	struct range failed = {f->get.offset + f->get.filled, f->get.offset + f->get.length};

	scoped_lock(&r->lock);
	r->failures[r->next_failure++ % FAILURES_KEPT] = (struct failure){
	        .range = failed,
	        .until_ns = clock_monotonic(r->engine->config.clock) + FAILURE_NS,
	        .error = error,
	};
	snprintf(r->error, sizeof(r->error), "%s", f->get.op.error);
}

static void fetch_end(struct fetch *f, int result)
{
	struct reader *r = f->reader;
	struct read_engine *e = r->engine;
	bool speculative = f->speculative;

	/* Out of the list first: from here on nobody cancels it. */
	pthread_mutex_lock(&r->lock);
	list_remove(&f->link);
	pthread_mutex_unlock(&r->lock);
	stats_add(e->config.stats, STAT_GETS_IN_FLIGHT, -1);
	if (result < 0 && result != -ECANCELED)
		remember_failure(r, f, result);
	if (result == 0)
		cache_filled(f->segment, f->get.length);
	cache_finish(f->segment, result);
	free(f);
	reader_unref(r);
	engine_leave(e, speculative);
}

static void fetch_done(struct store_op *op, int result)
{
	fetch_end(container_of(op, struct fetch, get.op), result);
}

static void fetch_progress(struct store_get *get, size_t filled)
{
	cache_filled(container_of(get, struct fetch, get)->segment, filled);
}

static void fetch_start(struct reader *r, struct cache_segment *segment, bool speculative)
{
	struct fetch *f = xcalloc(1, sizeof(*f));
	struct range range = cache_segment_range(segment);
	int result;

	f->reader = r;
	f->segment = segment;
	f->speculative = speculative;
	f->get.op.done = fetch_done;
	f->get.op.speculative = speculative;
	f->get.object = r->object;
	f->get.offset = range.start;
	f->get.length = (size_t)range_length(range);
	f->get.buffer = cache_segment_memory(segment);
	f->get.progress = fetch_progress;
	stats_add(r->engine->config.stats, STAT_GETS_IN_FLIGHT, 1);
	pthread_mutex_lock(&r->lock);
	r->refs++;
	list_append(&r->fetches, &f->link);
	pthread_mutex_unlock(&r->lock);
	result = store_get_range(r->engine->config.store, &f->get);
	if (result != 0)
		fetch_end(f, result < 0 ? result : 0);
}

/* Starts GETs for what is absent of the demand; -ENOMEM when the budget has no room. */
static int fetch_demand(struct reader *r, struct range demand)
{
	struct cache_segment *segment;
	int err;

	while ((err = cache_claim(r->cached, demand, r->engine->config.limits.max_part, CACHE_DEMAND,
	                          &segment)) == 0) {
		engine_enter(r->engine, false);
		fetch_start(r, segment, false);
	}
	return err < 0 ? err : 0;
}

/* Starts GETs for speculation as far as budget and connections go; returns how far that was. */
static uint64_t fetch_ahead(struct reader *r, struct range ahead, uint64_t part)
{
	struct cache_segment *segment;

	while (!range_empty(ahead)) {
		struct range next = {ahead.start, MIN(ahead.end, ahead.start + part)};

		while (cache_look(r->cached, next) == CACHE_ABSENT) {
			if (!engine_enter(r->engine, true))
				return ahead.start;
			if (cache_claim(r->cached, next, part, CACHE_SPECULATION, &segment)) {
				engine_leave(r->engine, true);
				return ahead.start;
			}
			fetch_start(r, segment, true);
		}
		ahead.start = next.end;
	}
	return ahead.start;
}

/* Segments are whole pages (cache.h); so are nearly all reads that the kernel sends. */
static struct range whole_pages(struct range r, uint64_t size)
{
	return (struct range){r.start & ~(uint64_t)4095, MIN((r.end + 4095) & ~(uint64_t)4095, size)};
}

static struct range page_range(const struct reader_request *q)
{
	return whole_pages(q->range, q->reader->object->attr.size);
}

/* Observes the read and asks the policy. */
static void make_plan(struct reader *r, struct range range, struct policy_plan *plan,
                      struct policy_stream **stream, bool *hit)
{
	enum cache_state state = cache_look(r->cached, range);
	struct policy_read read = {
	        .range = range,
	        .object_size = r->object->attr.size,
	        .now_ns = clock_monotonic(r->engine->config.clock),
	        .stalled = state != CACHE_PRESENT,
	        .in_flight = state == CACHE_WANTED,
	};

	*plan = (struct policy_plan){0};
	*hit = !read.stalled;
	*stream = streams_observe(&r->streams, range);
	r->policy->plan(&r->engine->config.limits, &r->streams.history, *stream, &read, plan);
	r->streams.history.reads++;
	assert(plan->demand.start <= range.start && plan->demand.end >= range.end);
	assert(plan->demand.end <= read.object_size && plan->ahead.end <= read.object_size);
	plan->demand = whole_pages(plan->demand, read.object_size);
	memcpy(r->why, plan->why, sizeof(r->why));
	log_debug(LOG_READ, "%s [%llu, %llu) %s: GET [%llu, %llu), ahead to %llu by %llu; %s", r->object->key,
	          (unsigned long long)range.start, (unsigned long long)range.end,
	          state == CACHE_PRESENT ? "present" : state == CACHE_WANTED ? "on its way" : "absent",
	          (unsigned long long)plan->demand.start, (unsigned long long)plan->demand.end,
	          (unsigned long long)plan->ahead.end, (unsigned long long)plan->part, plan->why);
	(*stream)->fetched_to = MAX((*stream)->fetched_to, plan->demand.end);
}

static int remembered_failure(struct reader *r, struct range range)
{
	uint64_t now = clock_monotonic(r->engine->config.clock);

	for (size_t i = 0; i < FAILURES_KEPT; i++)
		if (r->failures[i].until_ns > now && range_overlaps(r->failures[i].range, range))
			return r->failures[i].error;
	return 0;
}

static void request_wake(struct cache_waiter *w, int result);

/* Fetches what is absent of the demand and pins, or waits. Returns as reader_read does. */
static int reader_go(struct reader_request *q)
{
	struct reader *r = q->reader;
	int result;

	for (;;) {
		if (atomic_load(&q->interrupted))
			return -EINTR;
		result = fetch_demand(r, q->demand);
		if (result == -ENOMEM && range_length(q->demand) > range_length(page_range(q))) {
			q->demand = page_range(q);
			continue;
		}
		if (result < 0 && result != -ENOMEM)
			return result;
		if (cache_pin(r->cached, q->range, &q->pin) > 0) {
			pthread_mutex_lock(&r->lock);
			r->delivered = true;
			pthread_mutex_unlock(&r->lock);
			return 1;
		}
		/* A second failure of a fetch that came and went meanwhile must not be fetched
		 * for ever. */
		pthread_mutex_lock(&r->lock);
		int failed = remembered_failure(r, q->range);
		pthread_mutex_unlock(&r->lock);
		if (failed)
			return failed;
		q->waiter.wake = request_wake;
		if (result == -ENOMEM)
			result = cache_wait_memory(r->cached, &q->waiter);
		else
			result = cache_wait(r->cached, &q->waiter, q->range);
		if (result == 0)
			return 0;
	}
}

static void request_wake(struct cache_waiter *w, int result)
{
	struct reader_request *q = container_of(w, struct reader_request, waiter);

	/* A cancelled fetch was somebody else's business: decide anew, for what was asked only. */
	if (result == 0 || result == -ECANCELED) {
		q->demand = page_range(q);
		result = reader_go(q);
	}
	if (result != 0)
		q->done(q, result < 0 ? result : 0);
}

int reader_read(struct reader *r, struct reader_request *q, uint64_t offset, size_t length)
{
	uint64_t size = r->object->attr.size, reached;
	struct policy_stream *stream;
	struct policy_plan plan;
	uint64_t first;
	bool hit;
	int result;

	q->reader = r;
	q->pin.count = 0;
	atomic_init(&q->interrupted, false);
	list_init(&q->waiter.link);
	offset = MIN(offset, size);
	q->range = (struct range){offset, offset + MIN(length, size - offset)};
	if (range_empty(q->range))
		return 1;

	pthread_mutex_lock(&r->lock);
	result = remembered_failure(r, q->range);
	if (!result)
		make_plan(r, q->range, &plan, &stream, &hit);
	first = result ? 0 : stream->first;
	pthread_mutex_unlock(&r->lock);
	if (result)
		return result;
	stats_inc(r->engine->config.stats, hit ? STAT_CACHE_HITS : STAT_CACHE_MISSES);

	q->demand = plan.demand;
	if (range_empty(plan.ahead))
		return reader_go(q);
	/* Demand first: its GET is on its way before those of the speculation. */
	result = fetch_demand(r, plan.demand);
	if (result == 0) {
		reached = fetch_ahead(r, plan.ahead, plan.part);
		pthread_mutex_lock(&r->lock);
		/* The slot may belong to another stream by now. */
		if (stream->first == first)
			stream->fetched_to = MAX(stream->fetched_to, reached);
		pthread_mutex_unlock(&r->lock);
	}
	return reader_go(q);
}

void reader_done(struct reader_request *q)
{
	cache_unpin(q->reader->cached, &q->pin);
}

void reader_interrupt(struct reader_request *q)
{
	atomic_store(&q->interrupted, true);
	if (cache_unwait(q->reader->cached, &q->waiter))
		q->done(q, -EINTR);
}

void reader_set_policy(struct reader *r, const struct policy *policy)
{
	scoped_lock(&r->lock);
	r->policy = policy;
}

const struct policy *reader_policy(struct reader *r)
{
	scoped_lock(&r->lock);
	return r->policy;
}

void reader_why(struct reader *r, struct buf *out)
{
	scoped_lock(&r->lock);
	buf_adds(out, *r->why ? r->why : "nothing was read yet");
}

void reader_error(struct reader *r, struct buf *out)
{
	scoped_lock(&r->lock);
	buf_adds(out, r->error);
}

bool reader_delivered(struct reader *r)
{
	scoped_lock(&r->lock);
	return r->delivered;
}
