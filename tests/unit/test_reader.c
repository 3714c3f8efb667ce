/* The read engine over a store in memory that is slow, fails and is cancelled: every byte that
 * is delivered is right, every request ends, every reservation goes back to zero. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pailfs/base/lock.h"
#include "pailfs/read.h"
#include "src/store/store_impl.h"
#include "unit.h"

#define PAGE 4096ull
#define MIB (1ull << 20)
#define LOG_MAX 512

static unsigned char byte_at(uint64_t offset)
{
	return (unsigned char)(offset * 131 + offset / 4096 * 17 + offset / MIB);
}

/* ---- the store ---- */

enum { WORKERS = 3 };

/* How it behaves; constant while it is used, but for `held`. */
struct manner {
	unsigned delay_us;      /* up to so much before each piece */
	unsigned piece;         /* bytes a progress; 0: all at once */
	unsigned fail_percent;  /* of the GETs, after a part of their bytes */
	bool barren;            /* what fails brings no byte */
	unsigned inside_percent; /* of the GETs end inside their start, well or not */
};

struct slow_store {
	struct store store; /* first */
	struct manner manner;
	pthread_t threads[WORKERS];
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* lock */
	bool stopping, held;    /* held: GETs are taken, none begins */
	struct list queue;      /* struct slow_op.link */
	struct range log[LOG_MAX];
	size_t gets;
	unsigned running, most_running;
};

struct slow_op {
	struct list link;       /* the store's lock */
	struct store_get *get;
	atomic_bool cancelled;
	unsigned seed;
};

static struct slow_store *slow_of(struct store *s)
{
	return container_of(s, struct slow_store, store);
}

static void deliver(struct slow_store *s, struct store_get *get, size_t upto)
{
	unsigned char *buffer = get->buffer;

	for (size_t i = get->filled; i < upto; i++)
		buffer[i] = byte_at(get->offset + i);
	get->filled = upto;
	if (get->progress)
		get->progress(get, upto);
}

/* Brings the bytes, or some; the result of the GET. */
static int bring(struct slow_store *s, struct slow_op *op)
{
	struct store_get *get = op->get;
	bool fails = (unsigned)rand_r(&op->seed) % 100 < s->manner.fail_percent;
	size_t part = s->manner.barren ? 0 : (size_t)rand_r(&op->seed) % get->length;
	size_t end = fails ? part : get->length;
	size_t piece = s->manner.piece ? s->manner.piece : get->length;

	while (get->filled < end && !atomic_load(&op->cancelled)) {
		if (s->manner.delay_us)
			usleep((useconds_t)((unsigned)rand_r(&op->seed) % s->manner.delay_us));
		deliver(s, get, MIN(end, get->filled + piece));
	}
	if (get->filled == get->length)
		return 0;
	snprintf(get->op.error, sizeof(get->op.error), "made to fail");
	return atomic_load(&op->cancelled) ? -ECANCELED : -EIO;
}

static void *slow_main(void *data)
{
	struct slow_store *s = data;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		struct slow_op *op;
		struct store_get *get;
		int result;

		while (!s->stopping && (s->held || list_empty(&s->queue)))
			pthread_cond_wait(&s->wake, &s->lock);
		if (s->stopping)
			break;
		op = list_first(&s->queue, struct slow_op, link);
		list_remove(&op->link);
		pthread_mutex_unlock(&s->lock);
		result = bring(s, op);
		pthread_mutex_lock(&s->lock);
		s->running--;
		pthread_mutex_unlock(&s->lock);
		get = op->get;
		get->op.done(&get->op, result);
		free(op); /* only now: until done has returned it may be cancelled */
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static int slow_get(struct store *store, struct store_get *get)
{
	struct slow_store *s = slow_of(store);
	struct slow_op *op = xcalloc(1, sizeof(*op));
	bool inside;
	int result;

	op->get = get;
	get->op.state = op;
	pthread_mutex_lock(&s->lock);
	if (s->gets < LOG_MAX)
		s->log[s->gets] = (struct range){get->offset, get->offset + get->length};
	op->seed = (unsigned)++s->gets;
	s->running++;
	s->most_running = MAX(s->most_running, s->running);
	inside = (unsigned)rand_r(&op->seed) % 100 < s->manner.inside_percent;
	if (!inside) {
		list_append(&s->queue, &op->link);
		pthread_cond_signal(&s->wake);
	} else {
		s->running--;
	}
	pthread_mutex_unlock(&s->lock);
	if (!inside)
		return 0;
	result = bring(s, op);
	free(op);
	return result ? result : 1;
}

static void slow_cancel(struct store *store, struct store_op *op)
{
	struct slow_op *o = op->state;

	atomic_store(&o->cancelled, true);
}

static void slow_promote(struct store *store, struct store_op *op)
{
	ck_assert_ptr_nonnull(op->state);
}

static void slow_destroy(struct store *store)
{
	struct slow_store *s = slow_of(store);

	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_broadcast(&s->wake);
	pthread_mutex_unlock(&s->lock);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(s->threads[i], NULL);
	ck_assert(list_empty(&s->queue));
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	store_fini(store);
	free(s);
}

static const struct store_ops slow_ops = {
	.destroy = slow_destroy,
	.get_range = slow_get,
	.cancel = slow_cancel,
	.promote = slow_promote,
};

static void slow_hold(struct slow_store *s, bool held)
{
	scoped_lock(&s->lock);
	s->held = held;
	pthread_cond_broadcast(&s->wake);
}

/* ---- what stands around the engine ---- */

static struct stats *stats;
static struct slow_store *store;
static struct cache *cache;
static struct read_engine *engine;
static struct store_object *object;
static struct reader *reader;

static bool is_started(uint64_t offset)
{
	scoped_lock(&store->lock);
	for (size_t i = 0; i < store->gets; i++)
		if (store->log[i].start == offset)
			return true;
	return false;
}

static void begin(uint64_t size, uint64_t memory, unsigned max_gets, struct manner manner,
                  const struct policy *policy, struct policy_limits limits)
{
	struct store_config config = {.clock = &clock_system};
	struct store_attr attr = {.size = size};

	stats = stats_create();
	config.stats = stats;
	store = xcalloc(1, sizeof(*store));
	store_init(&store->store, &slow_ops, "slow", 0, "slow", "", &config);
	store->manner = manner;
	pthread_mutex_init(&store->lock, NULL);
	pthread_cond_init(&store->wake, NULL);
	list_init(&store->queue);
	for (int i = 0; i < WORKERS; i++)
		pthread_create(&store->threads[i], NULL, slow_main, store);
	cache = cache_create(&(struct cache_config){.memory = memory, .stats = stats});
	engine = read_engine_create(&(struct read_config){.store = &store->store, .cache = cache,
	                                                  .stats = stats, .clock = &clock_system,
	                                                  .limits = limits, .max_gets = max_gets});
	object = store_object_open(&store->store, "value", &attr);
	reader = reader_create(engine, object, policy);
}

static void end(void)
{
	reader_destroy(reader);
	store_object_unref(object);
	read_engine_destroy(engine);
	ck_assert_int_eq(stats_get(stats, STAT_MEMORY_DEMAND), 0);
	ck_assert_int_eq(stats_get(stats, STAT_MEMORY_SPECULATION), 0);
	ck_assert_int_eq(stats_get(stats, STAT_MEMORY_CACHE), 0);
	ck_assert_int_eq(stats_get(stats, STAT_GETS_IN_FLIGHT), 0);
	cache_destroy(cache);
	store_destroy(&store->store);
	stats_destroy(stats);
}

static const struct policy_limits usual = {
	.range_buffer = 8 * MIB,
	.max_window = 4 * MIB,
	.max_part = MIB,
	.max_gap = UINT64_MAX,
};

/* ---- one read that waits ---- */

struct reading {
	struct reader_request request;
	sem_t ended;
	int result;
};

/* Compares what was delivered and gives it back at once, as a FUSE request does: one that
 * held its bytes while its thread waits for others' could keep those from ever coming. */
static void take(struct reading *r, int result)
{
	uint64_t at = r->request.range.start;

	r->result = result;
	if (result)
		return;
	for (int i = 0; i < r->request.pin.count; i++) {
		const unsigned char *bytes = r->request.pin.iov[i].iov_base;

		for (size_t k = 0; k < r->request.pin.iov[i].iov_len; k++, at++)
			if (bytes[k] != byte_at(at))
				ck_abort_msg("byte %llu is wrong", (unsigned long long)at);
	}
	ck_assert_uint_eq(at, r->request.range.end);
	reader_done(&r->request);
}

static void on_done(struct reader_request *q, int result)
{
	struct reading *r = container_of(q, struct reading, request);

	take(r, result);
	sem_post(&r->ended);
}

/* 0 pending, 1 it has ended. */
static int start_read(struct reading *r, uint64_t offset, size_t length)
{
	int result;

	reader_request_init(&r->request, on_done);
	sem_init(&r->ended, 0, 0);
	result = reader_read(reader, &r->request, offset, length);
	if (result != 0)
		take(r, result < 0 ? result : 0);
	return result != 0;
}

static int end_read(struct reading *r, int started)
{
	if (!started)
		sem_wait(&r->ended);
	sem_destroy(&r->ended);
	return r->result;
}

static int read_range(uint64_t offset, size_t length)
{
	struct reading *r = malloc(sizeof(*r));
	int result = end_read(r, start_read(r, offset, length));

	free(r);
	return result;
}

/* ---- cases ---- */

START_TEST(reads_are_clipped_to_the_value)
{
	struct reading r;

	begin(10000, MIB, 4, (struct manner){0}, &policy_ranged, (struct policy_limits){.max_part = MIB});
	ck_assert_int_eq(start_read(&r, 10000, 100), 1);
	ck_assert_int_eq(r.request.pin.count, 0);
	ck_assert_int_eq(start_read(&r, UINT64_MAX - 5, 100), 1);
	ck_assert_int_eq(r.result, 0);
	ck_assert_int_eq(end_read(&r, start_read(&r, 9999, 1000)), 0);
	ck_assert_uint_eq(range_length(r.request.range), 1);
	ck_assert_uint_eq(store->log[0].start, 8192);
	ck_assert_uint_eq(store->log[0].end, 10000);
	end();
}
END_TEST

/* The table of the range reader, in pages: the buffer holds [100, 200). What each read makes
 * the store send; the bytes are compared in end_read(). (One read is at most 256 pages.) */
START_TEST(ranged_asks_for_what_its_rules_say)
{
	static const struct {
		struct range read;
		size_t gets;
		struct range get[2], exact[2]; /* with the buffer; without it */
	} rows[] = {
		{{150, 400}, 1, {{200, 400}}, {{150, 400}}},
		{{199, 201}, 1, {{200, 300}}, {{199, 201}}},
		{{120, 180}, 0, {{0}}, {{120, 180}}},
		{{250, 500}, 1, {{250, 500}}, {{250, 500}}},
		{{0, 50}, 1, {{0, 100}}, {{0, 50}}},
		{{50, 250}, 2, {{50, 100}, {200, 250}}, {{50, 250}}},
		{{50, 150}, 1, {{50, 100}}, {{50, 150}}},
		{{80, 120}, 1, {{80, 100}}, {{80, 120}}},
		{{100, 250}, 1, {{200, 300}}, {{100, 250}}},
		{{150, 200}, 0, {{0}}, {{150, 200}}},
		{{100, 200}, 0, {{0}}, {{100, 200}}},
		{{200, 300}, 1, {{200, 300}}, {{200, 300}}},
		{{0, 100}, 1, {{0, 100}}, {{0, 100}}},
	};
	bool buffered = _i % 2 == 0;
	size_t row = (size_t)_i / 2, before, gets;
	struct policy_limits limits = {.range_buffer = buffered ? 100 * PAGE : 0, .max_part = 4 * MIB};

	ck_assert_uint_lt(row, ARRAY_SIZE(rows));
	begin(1000 * PAGE, 64 * MIB, 4, (struct manner){.piece = 10000}, &policy_ranged, limits);
	if (buffered) {
		ck_assert_int_eq(read_range(100 * PAGE, PAGE), 0);
		ck_assert_uint_eq(store->gets, 1);
		ck_assert_uint_eq(store->log[0].end, 200 * PAGE);
	}
	before = store->gets;
	ck_assert_int_eq(read_range(rows[row].read.start * PAGE,
	                            (size_t)range_length(rows[row].read) * PAGE), 0);
	gets = buffered ? rows[row].gets : 1;
	ck_assert_uint_eq(store->gets - before, gets);
	for (size_t i = 0; i < gets; i++) {
		struct range want = buffered ? rows[row].get[i] : rows[row].exact[i];

		ck_assert_uint_eq(store->log[before + i].start, want.start * PAGE);
		ck_assert_uint_eq(store->log[before + i].end, want.end * PAGE);
	}
	end();
}
END_TEST

/* Requests that find all GETs taken wait, and those close to each other become one. */
START_TEST(near_ranges_become_one_get)
{
	struct policy_limits limits = {.max_part = MIB, .max_gap = 8 * PAGE};
	struct reading first, near[4];
	static const uint64_t at[] = {120, 100, 110, 400};

	begin(1000 * PAGE, 64 * MIB, 1, (struct manner){0}, &policy_ranged, limits);
	slow_hold(store, true);
	ck_assert_int_eq(start_read(&first, 0, PAGE), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(start_read(&near[i], at[i] * PAGE, 4 * PAGE), 0);
	slow_hold(store, false);
	ck_assert_int_eq(end_read(&first, 0), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(end_read(&near[i], 0), 0);
	ck_assert_uint_eq(store->gets, 3);
	ck_assert_uint_eq(store->log[1].start, 100 * PAGE);
	ck_assert_uint_eq(store->log[1].end, 124 * PAGE);
	ck_assert_uint_eq(store->log[2].start, 400 * PAGE);
	ck_assert_uint_eq(store->log[2].end, 404 * PAGE);
	ck_assert_uint_eq(store->most_running, 1);
	end();
}
END_TEST

START_TEST(an_interrupt_ends_a_read_wherever_it_waits)
{
	struct policy_limits limits = {.max_part = MIB};
	struct reading first, queued, memory;

	begin(1000 * PAGE, 16 * PAGE, 1, (struct manner){0}, &policy_ranged, limits);
	slow_hold(store, true);
	ck_assert_int_eq(start_read(&first, 0, 16 * PAGE), 0);
	ck_assert_int_eq(start_read(&queued, 100 * PAGE, PAGE), 0);
	reader_interrupt(engine, &queued.request);
	ck_assert_int_eq(end_read(&queued, 0), -EINTR);
	ck_assert_int_eq(start_read(&memory, 200 * PAGE, PAGE), 0);
	reader_interrupt(engine, &first.request);
	ck_assert_int_eq(end_read(&first, 0), -EINTR);
	slow_hold(store, false);
	ck_assert_int_eq(end_read(&memory, 0), 0);
	ck_assert_uint_eq(store->gets, 2);
	end();
}
END_TEST

static void *interrupt_soon(void *q)
{
	unsigned seed = (unsigned)(uintptr_t)q ^ (unsigned)clock_monotonic(&clock_system);

	usleep((useconds_t)rand_r(&seed) % 500);
	reader_interrupt(engine, q);
	return NULL;
}

/* A request that is used again, as by a file that moves on to another version, may be interrupted
 * at any moment: while it waits, or so that it does not begin to. */
START_TEST(an_interrupt_may_come_at_any_time)
{
	struct policy_limits limits = {.max_part = MIB};
	struct reading r;
	uint64_t at = 0;
	pthread_t thread;
	int result;

	begin(1000 * PAGE, 64 * PAGE, 1, (struct manner){.delay_us = 100}, &policy_ranged, limits);
	for (int i = 0; i < 300; i++) {
		reader_request_init(&r.request, on_done);
		sem_init(&r.ended, 0, 0);
		ck_assert_int_eq(pthread_create(&thread, NULL, interrupt_soon, &r.request), 0);
		do {
			result = reader_read(reader, &r.request, at++ * 37 % 1000 * PAGE, PAGE);
			if (result)
				take(&r, MIN(result, 0));
			else
				sem_wait(&r.ended);
		} while (r.result == 0);
		ck_assert_int_eq(r.result, -EINTR);
		pthread_join(thread, NULL);
		sem_destroy(&r.ended);
	}
	end();
}
END_TEST

START_TEST(a_failure_is_remembered_a_moment)
{
	struct policy_limits limits = {.max_part = MIB};
	struct buf said = BUF_INIT;

	begin(1000 * PAGE, MIB, 4, (struct manner){.fail_percent = 100}, &policy_ranged, limits);
	ck_assert_int_eq(read_range(0, 16 * PAGE), -EIO);
	ck_assert_int_eq(read_range(15 * PAGE, PAGE), -EIO);
	ck_assert_uint_eq(store->gets, 1);
	reader_error(reader, &said);
	ck_assert_str_eq(said.data, "made to fail");
	usleep(1100000);
	ck_assert_int_eq(read_range(15 * PAGE, PAGE), -EIO);
	ck_assert_uint_eq(store->gets, 2);
	buf_release(&said);
	end();
}
END_TEST

/* A store that starts nothing, as one without descriptors, is asked once for all that was planned
 * and once for what was read. */
START_TEST(what_cannot_be_started_is_not_tried_for_ever)
{
	struct policy_limits limits = {.max_part = 16 * PAGE, .range_buffer = MIB};

	begin(1000 * PAGE, 4 * MIB, 64, (struct manner){.fail_percent = 100, .barren = true,
	                                                .inside_percent = 100}, &policy_ranged, limits);
	ck_assert_int_eq(read_range(0, PAGE), -EIO);
	ck_assert_uint_le(store->gets, 16 + 1);
	end();
}
END_TEST

/* However few GETs there are: one is left for a read that nobody foresaw. */
START_TEST(speculation_leaves_demand_a_get)
{
	struct policy_limits limits = {.max_part = MIB, .max_window = 8 * MIB};
	static const unsigned most[] = {2, 3, 8};
	struct reading r[2];

	begin(64 * MIB, 64 * MIB, most[_i], (struct manner){0}, &policy_sequential, limits);
	slow_hold(store, true);
	ck_assert_int_eq(start_read(&r[0], 0, PAGE), 0);
	ck_assert_int_eq(start_read(&r[1], 40 * MIB, PAGE), 0);
	ck_assert(is_started(40 * MIB));
	slow_hold(store, false);
	ck_assert_int_eq(end_read(&r[0], 0), 0);
	ck_assert_int_eq(end_read(&r[1], 0), 0);
	end();
}
END_TEST

/* What its owner let go of ends at once, for those who still read it. */
START_TEST(a_closed_reader_cancels_and_refuses)
{
	struct policy_limits limits = {.max_part = MIB};
	struct reading r;

	begin(1000 * PAGE, MIB, 4, (struct manner){0}, &policy_ranged, limits);
	slow_hold(store, true);
	ck_assert_int_eq(start_read(&r, 0, 4 * PAGE), 0);
	reader_ref(reader);
	reader_destroy(reader);
	slow_hold(store, false);
	ck_assert_int_eq(end_read(&r, 0), -ESTALE);
	ck_assert_int_eq(read_range(100 * PAGE, PAGE), -ESTALE);
	ck_assert_uint_eq(store->gets, 1);
	reader_unref(reader);
	reader = NULL;
	end();
}
END_TEST

START_TEST(says_what_was_seen_and_chosen)
{
	struct buf said = BUF_INIT;

	begin(1000 * PAGE, 64 * MIB, 4, (struct manner){0}, &policy_auto, usual);
	reader_why(reader, &said);
	ck_assert_str_eq(said.data, "nothing was read yet");
	buf_reset(&said);
	ck_assert_int_eq(read_range(999 * PAGE, PAGE), 0);
	reader_why(reader, &said);
	ck_assert_ptr_nonnull(strstr(said.data, "auto: a first read at the end: the tail"));
	buf_release(&said);
	reader_set_policy(reader, &policy_ranged);
	ck_assert_ptr_eq(reader_policy(reader), &policy_ranged);
	end();
}
END_TEST

/* ---- the model ---- */

struct model {
	pthread_t thread;
	unsigned seed;
	uint64_t size;
	unsigned count, failed;
	bool interrupts;
};

/* Runs of reads of one size, forward, by stride, backward or anywhere; two at a time, as the
 * kernel's readahead has them. */
static void *read_at_random(void *data)
{
	struct model *m = data;
	struct reading *two = malloc(2 * sizeof(*two));
	unsigned done = 0;

	while (done < m->count) {
		uint64_t at = (uint64_t)rand_r(&m->seed) * 4096 % m->size;
		size_t length = (size_t)1 << (unsigned)rand_r(&m->seed) % 19;
		int64_t steps[] = {(int64_t)length, (int64_t)length * 3, -(int64_t)length};
		int64_t step = steps[(unsigned)rand_r(&m->seed) % 3];
		unsigned run = 1 + (unsigned)rand_r(&m->seed) % 16;

		if ((unsigned)rand_r(&m->seed) % 4)
			length = (length + 4095) & ~(size_t)4095;
		while (run-- && at < m->size && done < m->count) {
			int started[2];

			for (int i = 0; i < 2; i++) {
				started[i] = start_read(&two[i], at, length);
				at = (uint64_t)((int64_t)at + step);
			}
			if (m->interrupts && (unsigned)rand_r(&m->seed) % 8 == 0 && !started[0])
				reader_interrupt(engine, &two[0].request);
			for (int i = 0; i < 2; i++) {
				int result = end_read(&two[i], started[i]);

				ck_assert(result == 0 || result == -EIO || result == -EINTR);
				m->failed += result == -EIO;
				done++;
			}
		}
	}
	free(two);
	return NULL;
}

static const struct policy *const policies[] = {&policy_sequential, &policy_ranged, &policy_auto};
static const uint64_t budgets[] = {64 * PAGE, 4 * MIB, 64 * MIB};
static const struct manner manners[] = {
	{.inside_percent = 100},
	{.piece = 50000, .delay_us = 60},
	{.piece = 30001, .delay_us = 30, .fail_percent = 3, .inside_percent = 30},
};

START_TEST(random_reads_agree_with_the_bytes)
{
	enum { THREADS = 5 };
	struct model models[THREADS];
	const struct manner *manner = &manners[_i / 9 % 3];
	struct policy_limits limits = usual;
	unsigned failed = 0;

	limits.range_buffer = _i % 2 ? MIB : 100000;
	limits.max_gap = _i % 2 ? UINT64_MAX : 64 * PAGE;
	limits.max_part = _i / 3 % 3 ? MIB : 8 * PAGE;
	begin(10 * MIB + 12345, budgets[_i / 3 % 3], _i % 2 ? 2 : 16, *manner, policies[_i % 3], limits);
	for (unsigned i = 0; i < THREADS; i++) {
		models[i] = (struct model){.seed = (unsigned)_i * 100 + i, .size = 10 * MIB + 12345,
		                           .count = 150, .interrupts = i == 0};
		pthread_create(&models[i].thread, NULL, read_at_random, &models[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(models[i].thread, NULL);
		failed += models[i].failed;
	}
	if (!manner->fail_percent)
		ck_assert_uint_eq(failed, 0);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reader");
	TCase *cases = tcase_create("cases"), *model = tcase_create("model");

	tcase_add_test(cases, reads_are_clipped_to_the_value);
	tcase_add_loop_test(cases, ranged_asks_for_what_its_rules_say, 0, 26);
	tcase_add_test(cases, near_ranges_become_one_get);
	tcase_add_test(cases, an_interrupt_ends_a_read_wherever_it_waits);
	tcase_add_test(cases, an_interrupt_may_come_at_any_time);
	tcase_add_test(cases, a_failure_is_remembered_a_moment);
	tcase_add_test(cases, what_cannot_be_started_is_not_tried_for_ever);
	tcase_add_loop_test(cases, speculation_leaves_demand_a_get, 0, 3);
	tcase_add_test(cases, a_closed_reader_cancels_and_refuses);
	tcase_add_test(cases, says_what_was_seen_and_chosen);
	tcase_set_timeout(cases, 30);
	tcase_add_loop_test(model, random_reads_agree_with_the_bytes, 0, 27);
	tcase_set_timeout(model, 60);
	suite_add_tcase(suite, cases);
	suite_add_tcase(suite, model);
	return unit_run(suite);
}
