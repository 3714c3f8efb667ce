/* fetch.c - the GETs of the read engine: one segment of the cache each.
 *
 * State of a fetch x who frees it:
 *
 *	STARTING   claimed, and on its way into store_get_range; cannot be cancelled yet
 *	RUNNING    the store has it; it may be cancelled and promoted
 *	ENDED      it ended before its starter had taken note, which frees it then
 *
 * It stands in its reader's list while it may be cancelled, and leaves that under the reader's
 * lock before the operation's `done` returns: so nobody cancels what has gone (store.h).
 *
 * Coalescing: while as many GETs are in flight as may be, demand waits here, by reader; each
 * end of a GET starts one for the longest waiting request and all of the same object that
 * stand at most max_gap apart. A lone reader never comes here: its next range is known only
 * when it asks, and what lies between its ranges is bridged by its stream (streams.c). */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "reader_impl.h"

#define FAILURE_NS NS_PER_SECOND
/* How many of the GETs in flight may be speculation: demand finds a free one, but where there is
 * just one for both. */
#define SPECULATIVE_GETS(n) MAX((n) - MAX((n) / 4, 1), 1)

/* The kernel's own default. */
#define KERNEL_AHEAD (128ull << 10)
/* Taken for a round trip's worth until one was measured, and where a store is so near that its
 * answers cost more in processor time than in waiting. */
#define LEAST_GAP (256ull << 10)

enum fetch_state { FETCH_STARTING, FETCH_RUNNING, FETCH_ENDED };

struct fetch {
	struct store_get get;
	struct reader *reader;
	struct cache_segment *segment;
	/* The store's thread. */
	uint64_t started_ns, first_ns; /* first_ns 0: nothing has come yet */
	size_t first_filled;
	/* The reader's lock. */
	struct list link; /* in reader.fetches */
	struct list starting; /* the starter's; in its batch */
	enum fetch_state state;
	bool wanted;      /* not speculation, or not any more */
};

/* ---- the engine ---- */

struct read_engine *read_engine_create(const struct read_config *config)
{
	struct read_engine *e = xcalloc(1, sizeof(*e));

	assert(config->limits.max_part >= 4096);
	e->config = *config;
	e->config.limits.max_part &= ~4095ull;
	e->kernel_ahead = KERNEL_AHEAD;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->idle, NULL);
	list_init(&e->queue);
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

void read_engine_set_kernel_ahead(struct read_engine *e, uint64_t bytes)
{
	scoped_lock(&e->lock);
	e->kernel_ahead = bytes;
}

/* The gap that is cheaper fetched than left out, bytes. The engine's lock is held. */
static uint64_t max_gap(const struct read_engine *e)
{
	uint64_t measured = link_round_trip(&e->link);

	if (e->config.limits.max_gap != UINT64_MAX)
		return e->config.limits.max_gap;
	return MAX(measured, LEAST_GAP);
}

struct policy_limits fetch_limits(struct read_engine *e)
{
	struct policy_limits limits = e->config.limits;

	scoped_lock(&e->lock);
	limits.max_gap = max_gap(e);
	limits.first_byte_ns = e->link.first_byte_ns;
	limits.rate = e->link.rate;
	limits.kernel_ahead = e->kernel_ahead;
	return limits;
}

static void engine_enter(struct read_engine *e)
{
	scoped_lock(&e->lock);
	e->in_flight++;
}

/* Whether speculation may start another GET. */
static bool may_speculate(struct read_engine *e)
{
	scoped_lock(&e->lock);
	return e->in_flight < SPECULATIVE_GETS(e->config.max_gets);
}

bool fetch_may_start(struct read_engine *e)
{
	scoped_lock(&e->lock);
	return e->in_flight < e->config.max_gets;
}

/* ---- coalescing ---- */

bool fetch_queue(struct reader_request *q)
{
	struct reader *r = q->reader;
	struct read_engine *e = r->engine;

	scoped_lock(&e->lock);
	if (q->interrupted || e->in_flight < e->config.max_gets)
		return false;
	if (list_empty(&r->pending))
		list_append(&e->queue, &r->queued);
	list_append(&r->pending, &q->pending);
	q->queued = true;
	return true;
}

bool fetch_unqueue(struct read_engine *e, struct reader_request *q)
{
	scoped_lock(&e->lock);
	q->interrupted = true;
	if (!q->queued)
		return false;
	q->queued = false;
	list_remove(&q->pending);
	if (list_empty(&q->reader->pending))
		list_remove(&q->reader->queued);
	return true;
}

static uint64_t gap_between(struct range a, struct range b)
{
	if (a.end < b.start)
		return b.start - a.end;
	return b.end < a.start ? a.start - b.end : 0;
}

static void take_queued(struct reader_request *q, struct list *batch)
{
	q->queued = false;
	list_remove(&q->pending);
	list_append(batch, &q->pending);
}

/* Takes the longest waiting request and those that one GET can serve with it onto `batch`, and
 * the range of that; false when there is none or it may not start. The engine's lock is held. */
static bool take_batch(struct read_engine *e, struct list *batch, struct range *merged)
{
	struct reader_request *q;
	uint64_t gap = max_gap(e);
	struct reader *r;
	bool grown = true;

	if (list_empty(&e->queue) || e->in_flight >= e->config.max_gets)
		return false;
	r = list_first(&e->queue, struct reader, queued);
	q = list_first(&r->pending, struct reader_request, pending);
	*merged = q->demand;
	take_queued(q, batch);
	/* Each that joins may bring others within reach. */
	while (grown) {
		grown = false;
		list_for_each_safe(q, &r->pending, pending) {
			struct range both = {MIN(merged->start, q->demand.start),
			                     MAX(merged->end, q->demand.end)};

			if (gap_between(*merged, q->demand) > gap ||
			    range_length(both) > MAX(e->config.limits.max_part, range_length(*merged)))
				continue;
			*merged = both;
			take_queued(q, batch);
			grown = true;
		}
	}
	/* Readers take turns. */
	list_remove(&r->queued);
	if (!list_empty(&r->pending))
		list_append(&e->queue, &r->queued);
	return true;
}

/* A GET has ended: starts what waited for that. The engine may be gone afterwards. */
static void engine_leave(struct read_engine *e)
{
	struct list batch = LIST_INIT(batch);
	struct range merged;

	pthread_mutex_lock(&e->lock);
	e->in_flight--;
	while (take_batch(e, &batch, &merged)) {
		e->in_flight++; /* keeps the engine, and the place, meanwhile */
		pthread_mutex_unlock(&e->lock);
		/* Its requests hold the reader until they end, which none does before its turn
		 * below. Where the budget has no room for all together, each asks by itself. */
		fetch_demand(list_first(&batch, struct reader_request, pending)->reader, merged, NULL);
		while (!list_empty(&batch)) {
			struct reader_request *q = list_first(&batch, struct reader_request, pending);

			list_remove(&q->pending);
			reader_resume(q);
		}
		pthread_mutex_lock(&e->lock);
		e->in_flight--;
	}
	if (e->in_flight == 0)
		pthread_cond_broadcast(&e->idle);
	pthread_mutex_unlock(&e->lock);
}

/* ---- one GET ---- */

static void remember_failure(struct reader *r, struct fetch *f, int error)
{
	struct range failed = {f->get.offset + f->get.filled, f->get.offset + f->get.length};

	r->failures[r->next_failure++ % FAILURES_KEPT] = (struct failure){
	        .range = failed,
	        .until_ns = clock_monotonic(r->engine->config.clock) + FAILURE_NS,
	        .error = error,
	};
	snprintf(r->error, sizeof(r->error), "%s", f->get.op.error);
}

static void measure_first_byte(struct fetch *f)
{
	struct read_engine *e = f->reader->engine;

	scoped_lock(&e->lock);
	link_observe_first_byte(&e->link, f->first_ns - f->started_ns);
}

static void measure_rate(struct fetch *f)
{
	struct read_engine *e = f->reader->engine;
	uint64_t now = clock_monotonic(e->config.clock);

	if (!f->first_ns)
		return;
	scoped_lock(&e->lock);
	link_observe_rate(&e->link, f->get.length - f->first_filled, now - f->first_ns);
}

static void fetch_end(struct fetch *f, int result)
{
	struct reader *r = f->reader;
	struct read_engine *e = r->engine;
	struct cache_segment *segment = f->segment;
	size_t length = f->get.length;
	bool starting;

	if (result == 0)
		measure_rate(f);
	pthread_mutex_lock(&r->lock);
	if (result < 0 && result != -ECANCELED)
		remember_failure(r, f, result);
	list_remove(&f->link);
	starting = f->state == FETCH_STARTING;
	f->state = FETCH_ENDED;
	pthread_mutex_unlock(&r->lock);
	if (!starting)
		free(f);
	stats_add(e->config.stats, STAT_GETS_IN_FLIGHT, -1);
	if (result == 0)
		cache_filled(segment, length);
	cache_finish(segment, result);
	reader_unref(r);
	engine_leave(e);
}

static void fetch_done(struct store_op *op, int result)
{
	fetch_end(container_of(op, struct fetch, get.op), result);
}

static void fetch_progress(struct store_get *get, size_t filled)
{
	struct fetch *f = container_of(get, struct fetch, get);

	if (!f->first_ns) {
		f->first_ns = clock_monotonic(f->reader->engine->config.clock);
		f->first_filled = filled;
		measure_first_byte(f);
	}
	cache_filled(f->segment, filled);
}

/* Makes fetches of what was claimed, for the caller to start. The reader's lock is held. */
static void prepare(struct reader *r, struct list *claimed, bool speculative, struct list *batch)
{
	struct cache_segment *segment;

	while ((segment = cache_claimed(claimed)) != NULL) {
		struct fetch *f = xcalloc(1, sizeof(*f));
		struct range range = cache_segment_range(segment);

		f->reader = r;
		f->segment = segment;
		f->wanted = !speculative;
		f->get.op.done = fetch_done;
		f->get.op.speculative = speculative;
		f->get.object = r->object;
		f->get.offset = range.start;
		f->get.length = (size_t)range_length(range);
		f->get.buffer = cache_segment_memory(segment);
		f->get.progress = fetch_progress;
		stats_add(r->engine->config.stats, STAT_GETS_IN_FLIGHT, 1);
		engine_enter(r->engine);
		r->refs += 2; /* the fetch's, and the starter's while it looks at what became of it */
		list_append(&r->fetches, &f->link);
		list_append(batch, &f->starting);
	}
}

static void start(struct fetch *f)
{
	struct reader *r = f->reader;
	struct read_engine *e = r->engine;
	bool ended;
	int result;

	f->started_ns = clock_monotonic(e->config.clock);
	result = store_get_range(e->config.store, &f->get);
	if (result != 0)
		fetch_end(f, result < 0 ? result : 0);
	pthread_mutex_lock(&r->lock);
	ended = f->state == FETCH_ENDED;
	if (!ended) {
		f->state = FETCH_RUNNING;
		/* What was asked for while there was nothing to ask it of. */
		if (r->closed)
			store_cancel(&f->get.op);
		else if (f->get.op.speculative && f->wanted)
			store_promote(&f->get.op);
	}
	pthread_mutex_unlock(&r->lock);
	if (ended)
		free(f);
	reader_unref(r);
}

void fetch_launch(struct list *batch)
{
	while (!list_empty(batch)) {
		struct fetch *f = list_first(batch, struct fetch, starting);

		list_remove(&f->starting);
		start(f);
	}
}

void fetch_cancel_all(struct reader *r)
{
	struct fetch *f;

	list_for_each(f, &r->fetches, link)
		if (f->state == FETCH_RUNNING)
			store_cancel(&f->get.op);
}

void fetch_promote(struct reader *r, struct range range)
{
	struct fetch *f;

	list_for_each(f, &r->fetches, link) {
		struct range own = {f->get.offset, f->get.offset + f->get.length};

		if (f->wanted || !range_overlaps(own, range))
			continue;
		f->wanted = true;
		if (f->state == FETCH_RUNNING)
			store_promote(&f->get.op);
	}
}

int fetch_claim(struct reader *r, struct range demand, const struct cache_waiter *w, struct list *batch)
{
	struct list claimed = LIST_INIT(claimed);
	int err = cache_claim(r->cached, demand, r->engine->config.limits.max_part, CACHE_DEMAND, w, &claimed);

	prepare(r, &claimed, false, batch);
	return err;
}

uint64_t fetch_claim_ahead(struct reader *r, struct range ahead, uint64_t part, struct list *batch)
{
	struct list claimed = LIST_INIT(claimed);

	while (!range_empty(ahead)) {
		struct range next = {ahead.start, MIN(ahead.end, ahead.start + part)};

		if (cache_look(r->cached, next, NULL) == CACHE_ABSENT) {
			if (!may_speculate(r->engine) ||
			    cache_claim(r->cached, next, part, CACHE_SPECULATION, NULL, &claimed))
				break;
			prepare(r, &claimed, true, batch);
		}
		ahead.start = next.end;
	}
	return ahead.start;
}

int fetch_demand(struct reader *r, struct range demand, const struct cache_waiter *w)
{
	struct list batch = LIST_INIT(batch);
	int err;

	pthread_mutex_lock(&r->lock);
	err = fetch_claim(r, demand, w, &batch);
	pthread_mutex_unlock(&r->lock);
	fetch_launch(&batch);
	return err;
}
