/* The cache by its state table, its budget, and a random model against the object's bytes. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/cache.h"
#include "unit.h"

#define PAGE 4096ull

static struct stats *stats;
static struct cache *cache;
static struct cache_object *object;

static void setup_memory(uint64_t memory)
{
	stats = stats_create();
	cache = cache_create(&(struct cache_config){.memory = memory, .stats = stats});
	object = cache_object_create(cache);
}

static void setup(void)
{
	setup_memory(64 * PAGE);
}

static uint64_t memory_used(void)
{
	return (uint64_t)(stats_get(stats, STAT_MEMORY_DEMAND) + stats_get(stats, STAT_MEMORY_SPECULATION) +
	                  stats_get(stats, STAT_MEMORY_CACHE));
}

static void teardown(void)
{
	cache_object_destroy(object);
	ck_assert_uint_eq(memory_used(), 0);
	ck_assert_int_eq(stats_get(stats, STAT_MEMORY_CACHE), 0);
	cache_destroy(cache);
	stats_destroy(stats);
}

static struct range pages(uint64_t first, uint64_t end)
{
	return (struct range){first * PAGE, end * PAGE};
}

struct reading {
	struct cache_waiter waiter;
	struct cache_pin pin;
	struct range range;
	int woken, result;
};

static void on_wake(struct cache_waiter *w, int result)
{
	struct reading *r = container_of(w, struct reading, waiter);

	r->woken++;
	r->result = result;
}

static int reading_wait(struct reading *r, struct range range)
{
	cache_waiter_init(&r->waiter, on_wake, &r->pin);
	r->range = range;
	r->woken = 0;
	return cache_wait(object, &r->waiter, range);
}

static unsigned char byte_at(uint64_t offset)
{
	return (unsigned char)(offset * 31 + offset / 4096 * 7);
}

static void fill_bytes(struct cache_segment *s, size_t from, size_t to)
{
	unsigned char *memory = cache_segment_memory(s);

	for (size_t i = from; i < to; i++)
		memory[i] = byte_at(cache_segment_range(s).start + i);
}

static void check_pinned(const struct reading *r)
{
	uint64_t at = r->range.start;

	for (int i = 0; i < r->pin.count; i++) {
		const unsigned char *bytes = r->pin.iov[i].iov_base;

		for (size_t k = 0; k < r->pin.iov[i].iov_len; k++, at++)
			if (bytes[k] != byte_at(at))
				ck_abort_msg("byte %llu is wrong", (unsigned long long)at);
	}
	ck_assert_uint_eq(at, r->range.end);
}

/* Claims exactly one segment. */
static struct cache_segment *claim_one(struct range r, enum cache_lane lane)
{
	struct list claimed = LIST_INIT(claimed);
	struct cache_segment *s;

	ck_assert_int_eq(cache_claim(object, r, 1u << 30, lane, NULL, &claimed), 0);
	s = cache_claimed(&claimed);
	ck_assert_ptr_nonnull(s);
	ck_assert(list_empty(&claimed));
	return s;
}

static int claim_fails(struct range r, enum cache_lane lane)
{
	struct list claimed = LIST_INIT(claimed);
	int err = cache_claim(object, r, 1u << 30, lane, NULL, &claimed);

	ck_assert(list_empty(&claimed));
	return err;
}

static void bring(struct range r, enum cache_lane lane)
{
	struct cache_segment *s = claim_one(r, lane);
	size_t n = (size_t)range_length(cache_segment_range(s));

	fill_bytes(s, 0, n);
	cache_filled(s, n);
	cache_finish(s, 0);
}

static void read_now(struct range r)
{
	struct reading reading;

	ck_assert_int_eq(reading_wait(&reading, r), 1);
	check_pinned(&reading);
	cache_unpin(object, &reading.pin);
}

START_TEST(absent_wanted_present)
{
	struct cache_segment *s;
	struct reading whole, part;
	uint64_t missing;

	ck_assert_int_eq(cache_look(object, pages(0, 8), &missing), CACHE_ABSENT);
	ck_assert_uint_eq(missing, 0);
	ck_assert_int_eq(reading_wait(&whole, pages(0, 8)), -EAGAIN);
	s = claim_one(pages(0, 8), CACHE_DEMAND);
	ck_assert_int_eq(cache_look(object, pages(0, 8), &missing), CACHE_WANTED);
	ck_assert_uint_eq(missing, 8 * PAGE);
	ck_assert_int_eq(cache_look(object, pages(2, 12), &missing), CACHE_ABSENT);
	ck_assert_uint_eq(missing, 8 * PAGE);
	ck_assert_int_eq(reading_wait(&whole, pages(0, 8)), 0);
	ck_assert_int_eq(reading_wait(&part, pages(1, 3)), 0);
	fill_bytes(s, 0, 8 * PAGE);
	/* Who waits for the beginning need not wait for the end, but for whole pages. */
	cache_filled(s, 3 * PAGE - 1);
	ck_assert_int_eq(part.woken, 0);
	cache_filled(s, 3 * PAGE);
	ck_assert_int_eq(part.woken, 1);
	ck_assert_int_eq(part.result, 0);
	check_pinned(&part);
	ck_assert_int_eq(whole.woken, 0);
	cache_filled(s, 8 * PAGE);
	ck_assert_int_eq(whole.woken, 1);
	check_pinned(&whole);
	cache_finish(s, 0);
	ck_assert_int_eq(cache_look(object, pages(0, 8), &missing), CACHE_PRESENT);
	cache_unpin(object, &whole.pin);
	cache_unpin(object, &part.pin);
	cache_unpin(object, &part.pin); /* nothing is pinned: fine */
}
END_TEST

START_TEST(a_byte_is_claimed_once)
{
	struct list claimed = LIST_INIT(claimed);
	struct cache_segment *middle = claim_one(pages(4, 6), CACHE_SPECULATION), *s;
	const struct range want[] = {pages(0, 3), pages(3, 4), pages(6, 9)};

	/* What is absent around it, in parts of at most three pages. */
	ck_assert_int_eq(cache_claim(object, pages(0, 9), 3 * PAGE, CACHE_DEMAND, NULL, &claimed), 0);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		s = cache_claimed(&claimed);
		ck_assert_uint_eq(cache_segment_range(s).start, want[i].start);
		ck_assert_uint_eq(cache_segment_range(s).end, want[i].end);
		cache_finish(s, -EIO);
	}
	ck_assert_ptr_null(cache_claimed(&claimed));
	ck_assert_int_eq(claim_fails(pages(4, 6), CACHE_DEMAND), 0);
	cache_finish(middle, -EIO);
}
END_TEST

START_TEST(a_failure_leaves_what_came)
{
	struct cache_segment *s = claim_one(pages(0, 8), CACHE_DEMAND);
	struct reading first, last, across;
	uint64_t missing;

	ck_assert_int_eq(reading_wait(&first, pages(0, 2)), 0);
	ck_assert_int_eq(reading_wait(&last, pages(6, 8)), 0);
	ck_assert_int_eq(reading_wait(&across, pages(1, 7)), 0);
	fill_bytes(s, 0, 3 * PAGE + 100);
	cache_filled(s, 3 * PAGE + 100);
	ck_assert_int_eq(first.woken, 1);
	cache_finish(s, -EIO);
	ck_assert_int_eq(last.woken, 1);
	ck_assert_int_eq(last.result, -EIO);
	ck_assert_int_eq(last.pin.count, 0);
	ck_assert_int_eq(across.woken, 1);
	ck_assert_int_eq(across.result, -EIO);
	ck_assert_int_eq(cache_look(object, pages(0, 8), &missing), CACHE_ABSENT);
	ck_assert_uint_eq(missing, 3 * PAGE);
	check_pinned(&first);
	cache_unpin(object, &first.pin);
	/* And the next claim begins at a page. */
	s = claim_one(pages(2, 8), CACHE_DEMAND);
	ck_assert_uint_eq(cache_segment_range(s).start, 3 * PAGE);
	cache_finish(s, -ECANCELED);
}
END_TEST

START_TEST(the_end_of_a_value_is_no_page)
{
	struct range end = {8 * PAGE, 8 * PAGE + 77};

	bring(end, CACHE_DEMAND);
	read_now(end);
}
END_TEST

START_TEST(a_withdrawn_waiter_does_not_wake)
{
	struct cache_segment *s = claim_one(pages(0, 4), CACHE_DEMAND);
	struct reading r;

	ck_assert_int_eq(reading_wait(&r, pages(0, 4)), 0);
	ck_assert(cache_unwait(cache, &r.waiter));
	ck_assert(!cache_unwait(cache, &r.waiter));
	fill_bytes(s, 0, 4 * PAGE);
	cache_filled(s, 4 * PAGE);
	cache_finish(s, 0);
	ck_assert_int_eq(r.woken, 0);
	/* One that was withdrawn before it came to wait does not begin to. */
	ck_assert_int_eq(cache_wait(object, &r.waiter, pages(0, 4)), -EINTR);
	ck_assert_int_eq(cache_wait_memory(object, &r.waiter, pages(0, 4), PAGE), -EINTR);
}
END_TEST

START_TEST(speculation_leaves_demand_a_share)
{
	/* 64 pages: speculation may have 48. */
	bring(pages(0, 32), CACHE_SPECULATION);
	ck_assert_int_eq(claim_fails(pages(100, 120), CACHE_SPECULATION), -ENOBUFS);
	bring(pages(32, 48), CACHE_SPECULATION);
	ck_assert_int_eq(claim_fails(pages(100, 104), CACHE_SPECULATION), -ENOBUFS);
	/* Demand takes the rest, then what was fetched ahead, the oldest first. */
	bring(pages(100, 116), CACHE_DEMAND);
	ck_assert_int_eq(cache_look(object, pages(0, 48), NULL), CACHE_PRESENT);
	bring(pages(200, 216), CACHE_DEMAND);
	ck_assert_int_eq(cache_look(object, pages(0, 32), NULL), CACHE_ABSENT);
	ck_assert_int_eq(cache_look(object, pages(32, 48), NULL), CACHE_PRESENT);
	ck_assert_uint_le(memory_used(), 64 * PAGE);
}
END_TEST

START_TEST(speculation_gets_nothing_while_demand_waits)
{
	struct reading pinned, waiting;

	bring(pages(0, 40), CACHE_DEMAND);
	ck_assert_int_eq(reading_wait(&pinned, pages(0, 40)), 1);
	cache_waiter_init(&waiting.waiter, on_wake, &waiting.pin);
	ck_assert_int_eq(cache_wait_memory(object, &waiting.waiter, pages(100, 132), 1u << 20), 0);
	ck_assert_int_eq(claim_fails(pages(200, 204), CACHE_SPECULATION), -ENOBUFS);
	ck_assert(cache_unwait(cache, &waiting.waiter));
	bring(pages(200, 204), CACHE_SPECULATION);
	cache_unpin(object, &pinned.pin);
}
END_TEST

START_TEST(what_was_read_goes_first)
{
	bring(pages(0, 20), CACHE_DEMAND);
	bring(pages(20, 40), CACHE_DEMAND);
	read_now(pages(20, 40));
	bring(pages(100, 132), CACHE_DEMAND);
	ck_assert_int_eq(cache_look(object, pages(0, 20), NULL), CACHE_PRESENT);
	ck_assert_int_eq(cache_look(object, pages(20, 40), NULL), CACHE_ABSENT);
}
END_TEST

/* Reads in the wrong order: the last part first is not the whole (R4). */
START_TEST(read_means_all_of_it)
{
	struct reading r;

	bring(pages(0, 8), CACHE_DEMAND);
	read_now(pages(4, 8));
	ck_assert_int_eq(cache_look(object, pages(0, 4), NULL), CACHE_PRESENT);
	ck_assert_int_eq(reading_wait(&r, pages(0, 4)), 1);
	cache_unpin(object, &r.pin);
	/* A small one goes when all was read. */
	ck_assert_int_eq(cache_look(object, pages(0, 8), NULL), CACHE_ABSENT);
}
END_TEST

START_TEST(stale_leftovers_make_way_for_speculation)
{
	bring(pages(0, 40), CACHE_DEMAND); /* somebody's, who does not come back */
	ck_assert_int_eq(claim_fails(pages(100, 116), CACHE_SPECULATION), -ENOBUFS);
	for (uint64_t i = 0; i < 8; i++) {
		bring(pages(200 + i * 4, 204 + i * 4), CACHE_DEMAND);
		read_now(pages(200 + i * 4, 204 + i * 4));
	}
	/* Half the budget was given to others. */
	bring(pages(100, 116), CACHE_SPECULATION);
	ck_assert_int_eq(cache_look(object, pages(0, 40), NULL), CACHE_ABSENT);
}
END_TEST

START_TEST(a_pin_holds_and_memory_waiters_come_in_order)
{
	struct reading pinned, first, second;

	bring(pages(0, 60), CACHE_DEMAND);
	ck_assert_int_eq(reading_wait(&pinned, pages(0, 60)), 1);
	ck_assert_int_eq(claim_fails(pages(100, 110), CACHE_DEMAND), -ENOBUFS);
	cache_waiter_init(&first.waiter, on_wake, &first.pin);
	cache_waiter_init(&second.waiter, on_wake, &second.pin);
	first.woken = second.woken = 0;
	ck_assert_int_eq(cache_wait_memory(object, &first.waiter, pages(100, 110), 1u << 20), 0);
	/* Nor is there for this one: both stay. */
	ck_assert_int_eq(cache_wait_memory(object, &second.waiter, pages(0, 70), 1u << 20), 0);
	ck_assert_int_eq(first.woken + second.woken, 0);
	cache_unpin(object, &pinned.pin);
	ck_assert_int_eq(first.woken, 1);
	ck_assert_int_eq(second.woken, 1);
}
END_TEST

/* However many small ones come: F1. */
START_TEST(who_waits_for_memory_is_not_overtaken)
{
	struct cache_segment *large = claim_one(pages(0, 40), CACHE_DEMAND);
	struct cache_segment *small = claim_one(pages(40, 60), CACHE_DEMAND), *s;
	struct list claimed = LIST_INIT(claimed);
	struct reading first, second;

	cache_waiter_init(&first.waiter, on_wake, &first.pin);
	cache_waiter_init(&second.waiter, on_wake, &second.pin);
	first.woken = second.woken = 0;
	ck_assert_int_eq(cache_wait_memory(object, &first.waiter, pages(100, 128), 1u << 20), 0);
	/* It would fit, but comes later. */
	ck_assert_int_eq(claim_fails(pages(200, 204), CACHE_DEMAND), -ENOBUFS);
	ck_assert_int_eq(cache_wait_memory(object, &second.waiter, pages(200, 204), 1u << 20), 0);
	cache_finish(small, -EIO);
	ck_assert_int_eq(first.woken, 0);
	cache_finish(large, -EIO);
	ck_assert_int_eq(first.woken + second.woken, 2);

	/* Somebody comes before the first has claimed; so it waits again, before all others. */
	large = claim_one(pages(0, 40), CACHE_DEMAND);
	small = claim_one(pages(40, 50), CACHE_DEMAND);
	cache_waiter_init(&second.waiter, on_wake, &second.pin);
	ck_assert_int_eq(cache_wait_memory(object, &second.waiter, pages(200, 232), 1u << 20), 0);
	ck_assert_int_eq(cache_wait_memory(object, &first.waiter, pages(100, 128), 1u << 20), 0);
	first.woken = second.woken = 0;
	cache_finish(large, -EIO);
	ck_assert_int_eq(first.woken, 1);
	ck_assert_int_eq(second.woken, 0);
	ck_assert_int_eq(cache_claim(object, pages(100, 128), 1u << 20, CACHE_DEMAND, &first.waiter, &claimed), 0);
	s = cache_claimed(&claimed);
	ck_assert_ptr_nonnull(s);
	cache_finish(s, -EIO);
	ck_assert_int_eq(second.woken, 1);
	cache_finish(small, -EIO);
}
END_TEST

START_TEST(a_lone_request_passes_though_larger_than_the_budget)
{
	struct reading waiting;
	struct cache_segment *s;

	bring(pages(0, 10), CACHE_DEMAND);
	s = claim_one(pages(100, 200), CACHE_DEMAND);
	ck_assert_int_eq(claim_fails(pages(300, 301), CACHE_DEMAND), -ENOBUFS);
	cache_waiter_init(&waiting.waiter, on_wake, &waiting.pin);
	waiting.woken = 0;
	ck_assert_int_eq(cache_wait_memory(object, &waiting.waiter, pages(300, 301), 1u << 20), 0);
	cache_finish(s, -EIO);
	ck_assert_int_eq(waiting.woken, 1);
}
END_TEST

/* ---- the model ---- */

enum { OBJECT_PAGES = 96, FETCHES = 12, READINGS = 8 };

struct model_fetch {
	struct cache_segment *segment; /* NULL: free */
	size_t filled;
};

static void model_claim(struct model_fetch *fetches, unsigned *seed, uint64_t size)
{
	uint64_t first = (uint64_t)rand_r(seed) % OBJECT_PAGES;
	struct range r = pages(first, first + 1 + (uint64_t)rand_r(seed) % 12);
	struct list claimed = LIST_INIT(claimed);
	struct cache_segment *s;
	int unused = 0;

	for (int i = 0; i < FETCHES; i++)
		unused += !fetches[i].segment;
	if (unused < FETCHES / 2)
		return;
	r.end = MIN(r.end, size);
	cache_claim(object, r, 4 * PAGE, rand_r(seed) % 2 ? CACHE_DEMAND : CACHE_SPECULATION, NULL, &claimed);
	while ((s = cache_claimed(&claimed)) != NULL) {
		for (int i = 0; i < FETCHES; i++)
			if (!fetches[i].segment) {
				fetches[i] = (struct model_fetch){.segment = s};
				s = NULL;
				break;
			}
		if (s)
			cache_finish(s, -ECANCELED);
	}
}

static void model_fetch(struct model_fetch *f, unsigned *seed, bool end)
{
	size_t length, filled;

	if (!f->segment)
		return;
	length = (size_t)range_length(cache_segment_range(f->segment));
	filled = end ? length : f->filled + (size_t)rand_r(seed) % (length - f->filled + 1);
	if (end && rand_r(seed) % 4 == 0) {
		cache_finish(f->segment, rand_r(seed) % 2 ? -EIO : -ECANCELED);
		f->segment = NULL;
		return;
	}
	fill_bytes(f->segment, f->filled, filled);
	cache_filled(f->segment, filled);
	f->filled = filled;
	if (filled == length) {
		cache_finish(f->segment, 0);
		f->segment = NULL;
	}
}

START_TEST(agrees_with_the_bytes)
{
	struct model_fetch fetches[FETCHES] = {{0}};
	struct reading readings[READINGS];
	bool waits[READINGS] = {false}, pinned[READINGS] = {false};
	uint64_t memory = (uint64_t[]){4, 20, 64, 1000}[_i % 4] * PAGE, size = OBJECT_PAGES * PAGE - 1234;
	unsigned seed = (unsigned)_i + 1;

	setup_memory(memory);
	for (int step = 0; step < 20000; step++) {
		int i = rand_r(&seed) % READINGS;
		uint64_t a = (uint64_t)rand_r(&seed) % size;
		struct range r = {a, MIN(a + 1 + (uint64_t)rand_r(&seed) % (6 * PAGE), size)};
		int result;

		switch (rand_r(&seed) % 6) {
		case 0:
			model_claim(fetches, &seed, size);
			break;
		case 1:
		case 2:
			model_fetch(&fetches[rand_r(&seed) % FETCHES], &seed, rand_r(&seed) % 3 == 0);
			break;
		case 3:
			if (waits[i] || pinned[i])
				break;
			result = reading_wait(&readings[i], r);
			ck_assert(result == 1 || result == 0 || result == -EAGAIN);
			pinned[i] = result == 1;
			waits[i] = result == 0;
			if (result == 1)
				check_pinned(&readings[i]);
			break;
		case 4:
			if (pinned[i]) {
				check_pinned(&readings[i]); /* still: nothing was taken away */
				cache_unpin(object, &readings[i].pin);
			}
			pinned[i] = false;
			break;
		case 5:
			if (waits[i] && rand_r(&seed) % 8 == 0) {
				ck_assert(cache_unwait(cache, &readings[i].waiter));
				waits[i] = false;
			}
			break;
		}
		for (int k = 0; k < READINGS; k++) {
			if (!waits[k])
				continue;
			/* It waits exactly as long as its bytes are on their way. */
			ck_assert_int_eq(readings[k].woken == 0,
			                 cache_look(object, readings[k].range, NULL) == CACHE_WANTED);
			if (!readings[k].woken)
				continue;
			ck_assert_int_eq(readings[k].woken, 1);
			waits[k] = false;
			pinned[k] = readings[k].result == 0;
			if (pinned[k])
				check_pinned(&readings[k]);
		}
		/* A lone claim may be larger than the tiniest budget. */
		ck_assert_uint_le(memory_used(), MAX(memory, 12 * PAGE));
	}
	for (int i = 0; i < FETCHES; i++)
		if (fetches[i].segment)
			cache_finish(fetches[i].segment, -EIO);
	for (int i = 0; i < READINGS; i++) {
		if (waits[i]) {
			ck_assert_int_eq(readings[i].woken, 1);
			pinned[i] = readings[i].result == 0;
		}
		if (pinned[i])
			cache_unpin(object, &readings[i].pin);
	}
	ck_assert_int_eq(stats_get(stats, STAT_MEMORY_DEMAND), 0);
	ck_assert_int_eq(stats_get(stats, STAT_MEMORY_SPECULATION), 0);
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cache");
	TCase *cases = tcase_create("cases"), *model = tcase_create("model");

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, absent_wanted_present);
	tcase_add_test(cases, a_byte_is_claimed_once);
	tcase_add_test(cases, a_failure_leaves_what_came);
	tcase_add_test(cases, the_end_of_a_value_is_no_page);
	tcase_add_test(cases, a_withdrawn_waiter_does_not_wake);
	tcase_add_test(cases, speculation_leaves_demand_a_share);
	tcase_add_test(cases, speculation_gets_nothing_while_demand_waits);
	tcase_add_test(cases, what_was_read_goes_first);
	tcase_add_test(cases, read_means_all_of_it);
	tcase_add_test(cases, stale_leftovers_make_way_for_speculation);
	tcase_add_test(cases, a_pin_holds_and_memory_waiters_come_in_order);
	tcase_add_test(cases, who_waits_for_memory_is_not_overtaken);
	tcase_add_test(cases, a_lone_request_passes_though_larger_than_the_budget);
	tcase_add_loop_test(model, agrees_with_the_bytes, 0, 8);
	tcase_set_timeout(model, 120);
	suite_add_tcase(suite, cases);
	suite_add_tcase(suite, model);
	return unit_run(suite);
}
