/* The three policies as tables: what each says to fetch for a read. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs-config.h"
#include "pailfs/base/clock.h"
#include "pailfs/base/xalloc.h"
#include "src/read/streams.h"
#include "unit.h"

#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define GIB (1ull << 30)

static const struct policy_limits usual = {
	.range_buffer = 8 * MIB,
	.max_window = 128 * MIB,
	.max_part = 8 * MIB,
	.max_gap = 256 * KIB,
	.kernel_ahead = MIB,
};

/* Bytes from `loaded` are there; the rest of the object is absent. */
static struct policy_read read_of(struct range range, struct range loaded, uint64_t size)
{
	struct policy_read read = {.range = range, .object_size = size, .missing = range.start};

	if (range.start >= loaded.start && range.start < loaded.end)
		read.missing = loaded.end < range.end ? loaded.end : range.end;
	read.stalled = read.missing < range.end;
	return read;
}

/* What a plan makes the store send, a buffer of `loaded` being there: at most two ranges. */
static size_t requests(const struct policy_plan *plan, struct range loaded, struct range out[2])
{
	struct range before = {plan->demand.start, plan->demand.end}, after = before;
	size_t n = 0;

	if (!range_overlaps(plan->demand, loaded)) {
		out[0] = plan->demand;
		return 1;
	}
	before.end = loaded.start;
	after.start = loaded.end;
	if (!range_empty(before))
		out[n++] = before;
	if (!range_empty(after))
		out[n++] = after;
	return n;
}

static void plan_ranged(uint64_t buffer, struct range range, struct range loaded, uint64_t size,
                        struct policy_plan *plan)
{
	struct policy_limits limits = {.range_buffer = buffer};
	struct policy_history history = {0};
	struct policy_stream stream = {.first = range.start, .frontier = range.end};
	struct policy_read read = read_of(range, loaded, size);

	*plan = (struct policy_plan){0};
	policy_ranged.plan(&limits, &history, &stream, &read, plan);
	ck_assert(range_empty(plan->ahead));
}

/* The 13 overlaps with a buffer that holds [100, 200), request for request. */
START_TEST(ranged_overlaps)
{
	static const struct {
		struct range read;
		size_t count;
		struct range get[2];
	} rows[] = {
		{{150, 500}, 1, {{200, 500}}},             /* the rest is no shorter than the buffer */
		{{199, 201}, 1, {{200, 300}}},             /* the rest loads the buffer */
		{{120, 180}, 0, {{0}}},
		{{250, 500}, 1, {{250, 500}}},
		{{0, 50}, 1, {{0, 100}}},
		{{50, 250}, 2, {{50, 100}, {200, 250}}},   /* exactly itself; what is there stays */
		{{50, 150}, 1, {{50, 100}}},
		{{80, 120}, 1, {{80, 100}}},               /* loads [80, 180), of which a part is there */
		{{100, 250}, 1, {{200, 300}}},
		{{150, 200}, 0, {{0}}},
		{{100, 200}, 0, {{0}}},
		{{200, 300}, 1, {{200, 300}}},
		{{0, 100}, 1, {{0, 100}}},
	};
	struct range loaded = {100, 200}, out[2];
	struct policy_plan plan;

	plan_ranged(100, rows[_i].read, loaded, 1000, &plan);
	ck_assert_uint_eq(requests(&plan, loaded, out), rows[_i].count);
	for (size_t i = 0; i < rows[_i].count; i++) {
		ck_assert_uint_eq(out[i].start, rows[_i].get[i].start);
		ck_assert_uint_eq(out[i].end, rows[_i].get[i].end);
	}
	/* The same with the buffer off: exactly what was asked for, each time. */
	plan_ranged(0, rows[_i].read, (struct range){0}, 1000, &plan);
	ck_assert_uint_eq(plan.demand.start, rows[_i].read.start);
	ck_assert_uint_eq(plan.demand.end, rows[_i].read.end);
}
END_TEST

START_TEST(ranged_sizes_against_a_buffer_of_256)
{
	static const struct {
		uint64_t length, got;
	} rows[] = {{50, 256}, {255, 256}, {256, 256}, {257, 257}, {300, 300}};
	struct policy_plan plan;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		plan_ranged(256, (struct range){1000, 1000 + rows[i].length}, (struct range){0}, 5000, &plan);
		ck_assert_uint_eq(plan.demand.start, 1000);
		ck_assert_uint_eq(range_length(plan.demand), rows[i].got);
		/* And none goes beyond the value. */
		plan_ranged(256, (struct range){1000, 1000 + rows[i].length}, (struct range){0},
		            1000 + rows[i].length, &plan);
		ck_assert_uint_eq(plan.demand.end, 1000 + rows[i].length);
	}
}
END_TEST

/* Limits are the user's to set: the largest ones mean all of the value, however far that is. */
START_TEST(limits_may_be_as_large_as_they_like)
{
	const struct policy_limits far = {.max_gap = UINT64_MAX - 1, .first_byte_ns = 1, .rate = 1,
	                                  .max_window = MIB, .max_part = MIB};
	struct policy_read head = read_of((struct range){0, 4096}, (struct range){0}, GIB);
	struct policy_history history = {.reads = 1};
	struct policy_stream stream = {.frontier = 4096};
	struct policy_plan plan;

	plan_ranged(UINT64_MAX, (struct range){1000, 2000}, (struct range){0}, 5000, &plan);
	ck_assert_uint_eq(plan.demand.start, 1000);
	ck_assert_uint_eq(plan.demand.end, 5000);
	plan = (struct policy_plan){0};
	policy_auto.plan(&far, &history, &stream, &head, &plan);
	ck_assert_uint_eq(plan.ahead.end, GIB);
}
END_TEST

START_TEST(sequential_fetches_ahead_from_the_first_read_on)
{
	struct policy_history history = {0};
	struct policy_stream stream = {.first = 5 * MIB, .frontier = 5 * MIB + 128 * KIB,
	                               .fetched_to = 5 * MIB, .advanced = true};
	struct policy_read read = read_of((struct range){5 * MIB, 5 * MIB + 128 * KIB},
	                                  (struct range){0}, GIB);
	struct policy_plan plan = {0};

	policy_sequential.plan(&usual, &history, &stream, &read, &plan);
	ck_assert_uint_gt(range_length(plan.demand), 128 * KIB);
	ck_assert_uint_eq(plan.ahead.start, plan.demand.end);
	ck_assert_uint_ge(plan.ahead.end, 5 * MIB + 4 * MIB);
	ck_assert_ptr_nonnull(strstr(plan.why, "sequential"));
}
END_TEST

/* ---- auto, over whole runs of reads with what they fetched being there ---- */

struct run {
	struct policy_limits limits;
	struct streams streams;
	struct range_set there;
	uint64_t size, asked, gets;
	struct policy_plan plan;
};

static void run_init(struct run *r, uint64_t size)
{
	memset(r, 0, sizeof(*r));
	range_set_init(&r->there);
	r->size = size;
	r->limits = usual;
}

static void run_read(struct run *r, uint64_t start, uint64_t length)
{
	struct policy_read read = {.range = {start, start + length}, .object_size = r->size,
	                           .now_ns = r->streams.tick * 1000000};
	struct policy_stream *stream;
	struct range gap;

	read.missing = range_set_first_gap(&r->there, read.range, &gap) ? gap.start : read.range.end;
	read.stalled = read.missing < read.range.end;
	stream = streams_observe(&r->streams, read.range, r->limits.max_gap);
	r->plan = (struct policy_plan){0};
	policy_auto.plan(&r->limits, &r->streams.history, stream, &read, &r->plan);
	r->streams.history.reads++;
	ck_assert_uint_le(r->plan.demand.start, start);
	ck_assert_uint_ge(r->plan.demand.end, start + length);
	ck_assert_uint_le(r->plan.demand.end, r->size);
	r->gets += read.stalled;
	range_set_add(&r->there, r->plan.demand);
	range_set_add(&r->there, r->plan.ahead);
	stream->fetched_to = MAX(stream->fetched_to, MAX(r->plan.demand.end, r->plan.ahead.end));
	r->asked += length;
}

static uint64_t run_end(struct run *r)
{
	uint64_t got = range_set_total(&r->there);

	range_set_release(&r->there);
	return got;
}

START_TEST(auto_takes_a_small_object_whole)
{
	struct run r;

	run_init(&r, 400 * KIB);
	run_read(&r, 0, 4 * KIB);
	ck_assert_uint_eq(r.plan.demand.end, 400 * KIB);
	run_end(&r);
}
END_TEST

/* unzip -l and one member, as they were traced. */
START_TEST(auto_lists_an_archive_with_one_get)
{
	static const struct range listing[] = {
		{1048821760, 1048824022}, {1048682496, 1048690688}, {1048690688, 1048723456},
		{1048723456, 1048821760},
	};
	static const struct range member[] = {
		{647036928, 647045120}, {647045120, 647077888}, {647077888, 647200768},
		{647200768, 647446528}, {647446528, 647938048}, {647938048, 648921088},
	};
	struct run r;

	run_init(&r, 1048824022);
	for (size_t i = 0; i < ARRAY_SIZE(listing); i++)
		run_read(&r, listing[i].start, range_length(listing[i]));
	ck_assert_uint_eq(r.gets, 1);
	for (size_t i = 0; i < ARRAY_SIZE(member); i++)
		run_read(&r, member[i].start, range_length(member[i]));
	ck_assert_uint_eq(r.gets, 3);
	/* The next ones know how long a member is. */
	for (uint64_t k = 1; k < 4; k++) {
		for (size_t i = 0; i < ARRAY_SIZE(member); i++)
			run_read(&r, member[i].start - k * 50 * MIB, range_length(member[i]));
		ck_assert_uint_le(r.gets, 3 + 2 * k);
	}
	ck_assert_uint_le(r.asked, r.size);
	ck_assert_uint_le(run_end(&r), r.asked + r.asked / 4 + 512 * KIB);
}
END_TEST

/* A ZIP64 archive of 600 GiB: its directory, told by the tail, is one GET more, however the
 * reader goes through it, and says nothing of how long a member is. */
START_TEST(auto_fetches_a_directory_that_the_tail_tells_of)
{
	uint64_t size = 600 * GIB, start = size - 8 * MIB - 100, step = _i ? MIB : 8 * KIB;
	struct policy_history *history;
	struct run r;

	run_init(&r, size);
	history = &r.streams.history;
	run_read(&r, size - 4 * KIB, 4 * KIB);
	ck_assert(history->tail);
	history->directory = (struct range){start, size - 100};
	history->archive = true;
	for (uint64_t at = start & ~4095ull; at < size; at += step)
		run_read(&r, at, MIN(step, size - at));
	ck_assert_uint_eq(r.gets, 2);
	for (uint64_t k = 1; k < 5; k++) {
		uint64_t before = range_set_total(&r.there);

		r.gets = 0;
		run_read(&r, k * GIB, 8 * KIB);
		for (uint64_t at = 8 * KIB; at < 2 * MIB; at += MIB)
			run_read(&r, k * GIB + at, MIB);
		ck_assert_uint_le(r.gets, 2);
		ck_assert_uint_le(range_set_total(&r.there) - before, 2 * MIB + 512 * KIB);
	}
	run_end(&r);
}
END_TEST

/* Behind 30 ms, what 8 connections bring in the time that was waited for is fetched whole; a
 * larger object is not, nor one that is near, however long a reader scatters over it. */
START_TEST(auto_fetches_a_far_object_whole_once_that_was_waited_for)
{
	static const struct {
		uint64_t size, first_byte_ns;
		unsigned waits; /* 0: never */
	} rows[] = {
		{16 * MIB, 30 * NS_PER_MS, 2}, {35 * MIB, 30 * NS_PER_MS, 3}, {64 * MIB, 30 * NS_PER_MS, 5},
		{65 * MIB, 30 * NS_PER_MS, 0}, {16 * MIB, NS_PER_MS, 0},      {16 * MIB, 0, 0},
	};
	unsigned waits = 0;
	struct run r;

	run_init(&r, rows[_i].size);
	r.limits.first_byte_ns = rows[_i].first_byte_ns;
	r.limits.rate = 80000000;
	for (uint64_t k = 0; k < 60 && !r.streams.history.whole; k++) {
		run_read(&r, r.size / 64 * (5 * k % 63 + 1), 4 * KIB);
		waits++;
	}
	ck_assert_uint_eq(r.streams.history.whole ? waits : 0, rows[_i].waits);
	if (rows[_i].waits) {
		ck_assert(strstr(r.plan.why, "all of it"));
		ck_assert_uint_eq(run_end(&r), rows[_i].size);
	} else {
		ck_assert_uint_eq(r.asked, 60 * 4 * KIB);
		ck_assert_uint_eq(run_end(&r), r.asked);
	}
}
END_TEST

/* R4: a request that overtook the one before it brings that one's bytes as well. */
START_TEST(auto_takes_what_was_overtaken_along)
{
	struct run r;

	run_init(&r, GIB);
	run_read(&r, 100 * MIB, 8 * KIB);
	run_read(&r, 100 * MIB + 8 * KIB, 32 * KIB);
	run_read(&r, 200 * MIB, 8 * KIB);
	run_read(&r, 200 * MIB + 40 * KIB, 16 * KIB);
	ck_assert_uint_eq(r.plan.demand.start, 200 * MIB + 8 * KIB);
	run_read(&r, 200 * MIB + 8 * KIB, 32 * KIB);
	ck_assert_uint_eq(r.gets, 4);
	run_end(&r);
}
END_TEST

/* A random reader, in one request a read or in two, gets what it asked for. */
START_TEST(auto_is_exact_where_reads_scatter)
{
	uint64_t length = _i ? 256 * KIB : 4 * KIB;
	struct run r;
	unsigned seed = 7;

	run_init(&r, GIB);
	for (int i = 0; i < 400; i++) {
		uint64_t at = (uint64_t)rand_r(&seed) % (GIB / length - 1) * length;

		run_read(&r, at, length);
		if (_i == 2)
			run_read(&r, at + length, length / 2);
	}
	ck_assert_uint_le(run_end(&r), r.asked + r.asked / 20);
}
END_TEST

START_TEST(auto_opens_a_window_for_who_reads_from_the_start)
{
	struct run r;

	run_init(&r, GIB);
	run_read(&r, 0, 128 * KIB);
	ck_assert_uint_eq(r.plan.demand.end, 512 * KIB);
	for (uint64_t at = 128 * KIB; at < 600 * KIB; at += 128 * KIB)
		run_read(&r, at, 128 * KIB);
	ck_assert_ptr_nonnull(strstr(r.plan.why, "a stream: a window"));
	ck_assert_uint_ge(run_end(&r), 6 * MIB);
}
END_TEST

START_TEST(auto_reads_ahead_of_a_strided_index)
{
	struct run r;

	run_init(&r, 64 * MIB);
	for (uint64_t at = 0; at + 12 * KIB < 64 * MIB; at += 128 * KIB + 512)
		run_read(&r, at & ~4095ull, 12 * KIB);
	/* 509 reads, and hardly any that had to be fetched by itself. */
	ck_assert_uint_le(r.gets, 12);
	run_end(&r);
}
END_TEST

START_TEST(auto_keeps_a_window_a_stream)
{
	uint64_t at[8];
	struct run r;

	run_init(&r, 8 * GIB);
	for (uint64_t k = 0; k < 8; k++)
		at[k] = k * GIB + 12345 * 4096;
	for (int step = 0; step < 64; step++)
		for (size_t k = 0; k < 8; k++, at[k - 1] += 256 * KIB)
			run_read(&r, at[k], 256 * KIB);
	for (size_t k = 0; k < 8; k++)
		ck_assert_uint_gt(r.streams.streams[k].window, 0);
	ck_assert_uint_le(r.gets, 8 * 8);
	run_end(&r);
}
END_TEST

START_TEST(policies_have_names)
{
	for (const struct policy *const *p = policy_list; *p; p++)
		ck_assert_ptr_eq(policy_by_name((*p)->name), *p);
	ck_assert_ptr_null(policy_by_name("no-such"));
}
END_TEST

/* In a build of some policies, too: what may be chosen is there, and so is what nobody chose. */
START_TEST(options_name_policies_that_there_are)
{
	char words[] = POLICY_WORDS, *save, *word;

	ck_assert_ptr_nonnull(policy_by_name(POLICY_DEFAULT));
	for (word = strtok_r(words, "|", &save); word; word = strtok_r(NULL, "|", &save))
		ck_assert_ptr_nonnull(policy_by_name(word));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy");
	TCase *tc = tcase_create("policy");

	tcase_add_loop_test(tc, ranged_overlaps, 0, 13);
	tcase_add_test(tc, ranged_sizes_against_a_buffer_of_256);
	tcase_add_test(tc, limits_may_be_as_large_as_they_like);
	tcase_add_test(tc, sequential_fetches_ahead_from_the_first_read_on);
	tcase_add_test(tc, auto_takes_a_small_object_whole);
	tcase_add_test(tc, auto_lists_an_archive_with_one_get);
	tcase_add_loop_test(tc, auto_fetches_a_directory_that_the_tail_tells_of, 0, 2);
	tcase_add_loop_test(tc, auto_fetches_a_far_object_whole_once_that_was_waited_for, 0, 6);
	tcase_add_test(tc, auto_takes_what_was_overtaken_along);
	tcase_add_loop_test(tc, auto_is_exact_where_reads_scatter, 0, 3);
	tcase_add_test(tc, auto_opens_a_window_for_who_reads_from_the_start);
	tcase_add_test(tc, auto_reads_ahead_of_a_strided_index);
	tcase_add_test(tc, auto_keeps_a_window_a_stream);
	tcase_add_test(tc, policies_have_names);
	tcase_add_test(tc, options_name_policies_that_there_are);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
