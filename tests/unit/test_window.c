/* The window's growth against simulated links, and what is measured of a link. */
#include <check.h>
#include <stdlib.h>
#include "pailfs/base/clock.h"
#include "src/read/link.h"
#include "src/read/window.h"
#include "unit.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static struct policy_limits limits_of(uint64_t first_byte_ns, uint64_t rate)
{
	return (struct policy_limits){
		.max_window = 128 * MIB,
		.max_part = 8 * MIB,
		.first_byte_ns = first_byte_ns,
		.rate = rate,
	};
}

/* Reads on in steps of 1 MiB over a link of which a GET takes first_byte + part / rate, with a
 * reader that takes at most `most` bytes a second; `noise` percent of the time comes and goes.
 * Returns the bytes that were read when the window first was at least `until`; 0: never. */
static uint64_t simulate(struct policy_stream *s, const struct policy_limits *limits, uint64_t most,
                         unsigned noise, uint64_t until)
{
	struct policy_read read = {.object_size = 64 * GIB, .stalled = true, .now_ns = 1};
	struct policy_plan plan;
	unsigned seed = 5;
	uint64_t reached = 0;

	*s = (struct policy_stream){0};
	for (uint64_t at = 0; at < 4 * GIB; at += MIB) {
		double seconds, rate;

		read.range = (struct range){at, at + MIB};
		read.missing = read.range.end;
		s->frontier = read.range.end;
		s->advanced = true;
		window_adjust(limits, s, &read);
		window_plan(limits, s, &read, &plan);
		if (s->window >= until && !reached)
			reached = at;
		ck_assert_uint_le(s->window, limits->max_window);
		ck_assert_uint_ge(s->window, MIB);
		seconds = (double)limits->first_byte_ns / 1e9 + (double)plan.part / (double)limits->rate;
		rate = (double)s->window / seconds;
		rate = rate < (double)most ? rate : (double)most;
		rate *= 1 + ((double)(rand_r(&seed) % 200) / 100 - 1) * noise / 100;
		read.now_ns += (uint64_t)((double)MIB / rate * 1e9);
	}
	return reached;
}

START_TEST(grows_to_what_a_far_store_needs)
{
	struct policy_limits far = limits_of(30 * NS_PER_MS, 80000000);
	struct policy_stream s;
	uint64_t reached = simulate(&s, &far, 2 * GIB, (unsigned)_i, 128 * MIB);

	ck_assert_uint_gt(reached, 0);
	ck_assert_uint_le(reached, 300 * MIB);
	ck_assert_uint_ge(s.window, 64 * MIB);
}
END_TEST

/* There the processor is what it waits for, and its stalls are no reason to fetch more. */
START_TEST(stalls_do_not_widen_it_where_the_store_is_near)
{
	struct policy_limits near = limits_of(300000, 1500000000);
	struct policy_stream s;

	simulate(&s, &near, 600000000, (unsigned)_i, UINT64_MAX);
	ck_assert_uint_le(s.window, 32 * MIB);
}
END_TEST

START_TEST(is_a_share_of_the_run_where_the_store_is_near)
{
	static const struct { uint64_t run, max, window; } rows[] = {
		{0, 128 * MIB, 4 * MIB},
		{16 * MIB, 128 * MIB, 4 * MIB},
		{64 * MIB, 128 * MIB, 16 * MIB},
		{2 * GIB, 128 * MIB, 32 * MIB},
		{2 * GIB, 8 * MIB, 8 * MIB},
	};
	struct policy_limits limits = limits_of(300000, 1500000000);
	struct policy_stream s = {.piece = GIB, .frontier = GIB + rows[_i].run, .advanced = true};
	struct policy_read read = {.object_size = 8 * GIB};

	limits.max_window = rows[_i].max;
	window_adjust(&limits, &s, &read);
	window_adjust(&limits, &s, &read);
	ck_assert_uint_eq(s.window, rows[_i].window);
}
END_TEST

/* Far, but the line is full: no more than brings something. */
START_TEST(stops_where_more_brings_nothing)
{
	struct policy_limits far = limits_of(30 * NS_PER_MS, 80000000);
	struct policy_stream s;

	simulate(&s, &far, 150000000, 0, UINT64_MAX);
	ck_assert_uint_le(s.window, 32 * MIB);
}
END_TEST

/* With nothing measured yet the store is taken for a far one. */
START_TEST(opens_by_the_distance)
{
	static const struct { uint64_t first_byte_ns, max, window; } rows[] = {
		{0, 128 * MIB, 8 * MIB},
		{300000, 128 * MIB, 4 * MIB},
		{30 * NS_PER_MS, 128 * MIB, 8 * MIB},
		{300000, 2 * MIB, 2 * MIB},
	};
	struct policy_limits limits = limits_of(rows[_i].first_byte_ns, 1500000000);
	struct policy_read read = {.object_size = GIB};
	struct policy_stream s = {0};

	limits.max_window = rows[_i].max;
	window_adjust(&limits, &s, &read);
	ck_assert_uint_eq(s.window, rows[_i].window);
}
END_TEST

START_TEST(a_plan_is_whole_parts_ahead_of_the_frontier)
{
	struct policy_limits limits = limits_of(300000, 1500000000);
	struct policy_stream s = {.window = 8 * MIB, .frontier = 10 * MIB, .advanced = true,
	                          .fetched_to = 10 * MIB};
	struct policy_read read = {.range = {9 * MIB, 10 * MIB}, .object_size = 100 * MIB,
	                           .missing = 9 * MIB, .stalled = true};
	struct policy_plan plan;

	/* Absent: what is asked for and what follows come in one GET. */
	window_plan(&limits, &s, &read, &plan);
	ck_assert_uint_eq(plan.part, 4 * MIB);
	ck_assert_uint_eq(plan.demand.start, 9 * MIB);
	ck_assert_uint_eq(plan.demand.end, 13 * MIB);
	ck_assert_uint_eq(plan.ahead.start, 13 * MIB);
	ck_assert_uint_eq(plan.ahead.end, 17 * MIB);
	/* There: only what is missing of the window, once it is a part. */
	s.fetched_to = 17 * MIB;
	read.missing = read.range.end;
	window_plan(&limits, &s, &read, &plan);
	ck_assert_uint_eq(plan.demand.end, 10 * MIB);
	ck_assert(range_empty(plan.ahead));
	s.frontier = 13 * MIB;
	window_plan(&limits, &s, &read, &plan);
	ck_assert_uint_eq(range_length(plan.ahead), 4 * MIB);
	/* Near the end: the rest, whatever it is. */
	s.frontier = 99 * MIB;
	s.fetched_to = 99 * MIB + 1;
	read.object_size = 100 * MIB - 7;
	window_plan(&limits, &s, &read, &plan);
	ck_assert_uint_eq(plan.ahead.end, 100 * MIB - 7);
	/* What does not move the frontier gets just itself. */
	s.advanced = false;
	read.missing = read.range.start;
	window_plan(&limits, &s, &read, &plan);
	ck_assert_uint_eq(plan.demand.end, 10 * MIB);
	ck_assert(range_empty(plan.ahead));
}
END_TEST

static void link_observe(struct link *l, uint64_t first_byte_ns, uint64_t bytes, uint64_t transfer_ns)
{
	link_observe_first_byte(l, first_byte_ns);
	link_observe_rate(l, bytes, transfer_ns);
}

START_TEST(a_round_trip_is_worth_what_it_carries)
{
	struct link l = {0};

	ck_assert_uint_eq(link_round_trip(&l), 0);
	/* The first holds a handshake; short bodies tell no rate. */
	link_observe(&l, 90 * NS_PER_MS, 4096, 10);
	ck_assert_uint_eq(link_round_trip(&l), 0);
	link_observe(&l, 30 * NS_PER_MS, 8 * MIB, 8 * MIB * 1000 / 80);
	ck_assert_uint_ge(link_round_trip(&l), 2300000);
	ck_assert_uint_le(link_round_trip(&l), 2500000);
	/* A share of the line, and a wait for a connection, are not the link. */
	link_observe(&l, 300 * NS_PER_MS, 8 * MIB, 8 * MIB * 1000 / 5);
	ck_assert_uint_ge(link_round_trip(&l), 2200000);
	/* But it is believed when it stays so. */
	for (int i = 0; i < 2000; i++)
		link_observe(&l, 60 * NS_PER_MS, 8 * MIB, 8 * MIB * 1000 / 20);
	ck_assert_uint_ge(link_round_trip(&l), 1100000);
	ck_assert_uint_le(link_round_trip(&l), 1300000);
	/* At most 32 MiB. */
	for (int i = 0; i < 2000; i++)
		link_observe(&l, 5 * NS_PER_SECOND, 64 * MIB, NS_PER_SECOND / 100);
	ck_assert_uint_eq(link_round_trip(&l), LINK_MOST);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("window");
	TCase *tc = tcase_create("window");

	tcase_add_loop_test(tc, grows_to_what_a_far_store_needs, 0, 10);
	tcase_add_loop_test(tc, is_a_share_of_the_run_where_the_store_is_near, 0, 5);
	tcase_add_loop_test(tc, stalls_do_not_widen_it_where_the_store_is_near, 0, 30);
	tcase_add_test(tc, stops_where_more_brings_nothing);
	tcase_add_loop_test(tc, opens_by_the_distance, 0, 4);
	tcase_add_test(tc, a_plan_is_whole_parts_ahead_of_the_frontier);
	tcase_add_test(tc, a_round_trip_is_worth_what_it_carries);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
