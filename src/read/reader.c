/* reader.c - carries out what a policy says.
 *
 * A read goes: observe, plan and claim what is absent (the reader's lock) -> start the GETs ->
 * pin what is there, or wait for it (no lock held while a store is called: one that answers at
 * once fills and wakes inside the call).
 *
 * Claiming decides who fetches. It is one step with the plan, so each plan sees what those
 * before it have claimed, and reads that arrive together are not fetched in slices. When a
 * fetch ends early its waiters come back through reader_go(), which claims what is absent then,
 * exactly; a final error goes to those who waited for it.
 *
 * A failure is remembered for a second: the kernel follows a failed READ at once with one of
 * the same place (F1). */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "footer.h"
#include "pailfs/base/log.h"
#include "reader_impl.h"

#define PAGE 4096ull

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
	list_init(&r->pending);
	list_init(&r->queued);
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
	assert(list_empty(&r->pending) && list_empty(&r->fetches));
	cache_object_destroy(r->cached);
	store_object_unref(r->object);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void reader_destroy(struct reader *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->closed = true;
	fetch_cancel_all(r);
	pthread_mutex_unlock(&r->lock);
	reader_unref(r);
}

/* Segments are whole pages (cache.h); so are nearly all reads that the kernel sends. */
static struct range whole_pages(struct range r, uint64_t size)
{
	if (range_empty(r))
		return r;
	return (struct range){r.start & ~(PAGE - 1), MIN((r.end + PAGE - 1) & ~(PAGE - 1), size)};
}

static struct range page_range(const struct reader_request *q)
{
	return whole_pages(q->range, q->reader->object->attr.size);
}

/* What was planned is ours to be sure of: nothing of it came from outside. */
static void check_plan(const struct policy_plan *plan, const struct policy_read *read)
{
	assert(plan->demand.start <= read->range.start && plan->demand.end >= read->range.end);
	assert(plan->demand.end <= read->object_size && plan->ahead.end <= read->object_size);
	assert(range_empty(plan->ahead) || plan->part > 0);
}

/* Observes the read and asks the policy. The reader's lock is held. */
static struct policy_stream *make_plan(struct reader *r, const struct policy_read *read,
                                       struct policy_plan *plan)
{
	struct policy_limits limits = fetch_limits(r->engine);
	struct policy_stream *stream;

	*plan = (struct policy_plan){0};
	stream = streams_observe(&r->streams, read->range, limits.max_gap);
	r->policy->plan(&limits, &r->streams.history, stream, read, plan);
	r->streams.history.reads++;
	check_plan(plan, read);
	plan->demand = whole_pages(plan->demand, read->object_size);
	plan->ahead = whole_pages(plan->ahead, read->object_size);
	plan->part = MAX(plan->part & ~(PAGE - 1), PAGE);
	stream->fetched_to = MAX(stream->fetched_to, plan->demand.end);
	memcpy(r->why, plan->why, sizeof(r->why));
	log_debug(LOG_READ, "%s [%llu, %llu) %s: GET [%llu, %llu), ahead to %llu by %llu; %s", r->object->key,
	          (unsigned long long)read->range.start, (unsigned long long)read->range.end,
	          !read->stalled ? "present" : policy_read_covered(read) ? "on its way" : "absent",
	          (unsigned long long)plan->demand.start, (unsigned long long)plan->demand.end,
	          (unsigned long long)plan->ahead.end, (unsigned long long)plan->part, plan->why);
	return stream;
}

static int remembered_failure(struct reader *r, struct range range)
{
	uint64_t now = clock_monotonic(r->engine->config.clock);

	for (size_t i = 0; i < FAILURES_KEPT; i++)
		if (r->failures[i].until_ns > now && range_overlaps(r->failures[i].range, range))
			return r->failures[i].error;
	return 0;
}

/* Why a read whose bytes are absent shall not ask for them; 0: it may. The reader's lock is
 * held. */
static int refusal(struct reader *r, struct range range)
{
	/* Whoever still reads a version that its owner has let go of must ask for the next. */
	return r->closed ? -ESTALE : remembered_failure(r, range);
}

static int refusal_now(struct reader *r, struct range range)
{
	scoped_lock(&r->lock);
	return refusal(r, range);
}

/* Claims what was planned, demand first: its GET is on its way before those of the speculation.
 * What cannot be claimed now is left to reader_go(). The reader's lock is held. */
static void claim_plan(struct reader *r, const struct policy_read *read, const struct policy_plan *plan,
                       struct policy_stream *stream, struct list *batch)
{
	if (!policy_read_covered(read) && (refusal(r, read->range) || !fetch_may_start(r->engine) ||
	                                   fetch_claim(r, plan->demand, NULL, batch)))
		return;
	stream->fetched_to =
	        MAX(stream->fetched_to, fetch_claim_ahead(r, plan->ahead, plan->part, batch));
}

/* Fetches what is absent of the demand and pins, or waits. Returns as reader_read does. */
static int reader_go(struct reader_request *q, bool queued)
{
	struct reader *r = q->reader;
	int result;

	for (;;) {
		result = cache_wait(r->cached, &q->waiter, q->range);
		if (result != -EAGAIN)
			break;
		result = refusal_now(r, q->range);
		if (result)
			break;
		if (!queued && fetch_queue(q))
			return 0;
		result = fetch_demand(r, q->demand, &q->waiter);
		if (result != 0 && result != -ENOBUFS)
			break;
		if (result == 0 || range_length(q->demand) > range_length(page_range(q))) {
			q->demand = page_range(q);
			continue;
		}
		result = cache_wait_memory(r->cached, &q->waiter, q->demand, r->engine->config.limits.max_part);
		if (result <= 0)
			break;
	}
	return result;
}

/* Where a reader went to the end first, what stands there may say what will be read next. This
 * comes before the reply, since the next read comes after it. */
static void look_at_end(struct reader_request *q)
{
	uint64_t size = q->reader->object->attr.size;
	struct policy_history *h = &q->reader->streams.history;
	uint8_t tail[FOOTER_BYTES], *at = tail + sizeof(tail);
	struct footer footer;

	if (q->range.end < size)
		return;
	scoped_lock(&q->reader->lock);
	if (!h->tail || !range_empty(h->directory))
		return;
	for (int i = q->pin.count; i-- > 0 && at > tail;) {
		const struct iovec *part = &q->pin.iov[i];
		size_t n = MIN(part->iov_len, (size_t)(at - tail));

		at -= n;
		memcpy(at, (const uint8_t *)part->iov_base + part->iov_len - n, n);
	}
	footer = footer_find(at, (size_t)(tail + sizeof(tail) - at), size);
	h->directory = footer.directory;
	h->archive = footer.kind == FOOTER_ZIP;
}

static void finish(struct reader_request *q, int result)
{
	if (result == 0)
		look_at_end(q);
	q->done(q, result);
}

void reader_resume(struct reader_request *q)
{
	int result = reader_go(q, true);

	if (result != 0)
		finish(q, MIN(result, 0));
}

static void request_wake(struct cache_waiter *w, int result)
{
	struct reader_request *q = container_of(w, struct reader_request, waiter);

	if (result == 0 && q->pin.count > 0) {
		finish(q, 0);
	} else if (result == 0 || result == -ECANCELED) {
		/* There is memory now, or somebody else's fetch was cancelled: decide anew, for
		 * what was asked only. */
		q->demand = page_range(q);
		reader_resume(q);
	} else {
		finish(q, result);
	}
}

void reader_request_init(struct reader_request *q, void (*done)(struct reader_request *q, int result))
{
	q->done = done;
	q->queued = q->interrupted = false;
	cache_waiter_init(&q->waiter, request_wake, &q->pin);
	list_init(&q->pending);
}

int reader_read(struct reader *r, struct reader_request *q, uint64_t offset, size_t length)
{
	struct policy_read read = {
	        .object_size = r->object->attr.size,
	        .now_ns = clock_monotonic(r->engine->config.clock),
	};
	struct policy_stream *stream;
	struct list batch = LIST_INIT(batch);
	struct policy_plan plan;
	int result;

	q->reader = r;
	offset = MIN(offset, read.object_size);
	q->range = (struct range){offset, offset + MIN(length, read.object_size - offset)};
	if (range_empty(q->range))
		return 1;
	assert(range_length(q->range) <= CACHE_PIN_BYTES);

	read.range = q->range;
	pthread_mutex_lock(&r->lock);
	read.stalled = cache_look(r->cached, q->range, &read.missing) != CACHE_PRESENT;
	stream = make_plan(r, &read, &plan);
	claim_plan(r, &read, &plan, stream, &batch);
	/* What was planned is asked for once: of many GETs that fail as they are started, only the
	 * last failures are remembered, and the others would be asked for again and again. */
	q->demand = list_empty(&batch) ? plan.demand : page_range(q);
	if (read.stalled)
		fetch_promote(r, q->range);
	pthread_mutex_unlock(&r->lock);
	stats_inc(r->engine->config.stats, read.stalled ? STAT_CACHE_MISSES : STAT_CACHE_HITS);

	fetch_launch(&batch);
	result = reader_go(q, false);
	if (result > 0)
		look_at_end(q);
	return result;
}

void reader_done(struct reader_request *q)
{
	cache_unpin(q->reader->cached, &q->pin);
}

void reader_interrupt(struct read_engine *e, struct reader_request *q)
{
	/* In this order: one that is kept from the queue goes on to the cache. */
	bool queued = fetch_unqueue(e, q), waited = cache_unwait(e->config.cache, &q->waiter);

	if (queued || waited)
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
