/* Which reads are one stream: the kernel's reordering, interleaving, chance and strides. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"
#include "src/read/streams.h"
#include "unit.h"

#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define GIB (1ull << 30)

static struct streams streams;

static void setup(void)
{
	memset(&streams, 0, sizeof(streams));
}

static struct policy_stream *observe(uint64_t start, uint64_t length)
{
	return streams_observe(&streams, (struct range){start, start + length}, 256 * KIB);
}

static unsigned count_used(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < STREAMS_MAX; i++)
		n += streams.streams[i].used_tick != 0;
	return n;
}

START_TEST(a_forward_reader_is_one_stream)
{
	struct policy_stream *s = observe(5 * MIB, 128 * KIB);

	ck_assert_uint_eq(s->confidence, 0);
	ck_assert_uint_eq(s->opening, 128 * KIB);
	for (uint64_t i = 1; i < 100; i++)
		ck_assert_ptr_eq(observe(5 * MIB + i * 128 * KIB, 128 * KIB), s);
	ck_assert_uint_eq(s->first, 5 * MIB);
	ck_assert_uint_eq(s->frontier, 5 * MIB + 100 * 128 * KIB);
	ck_assert_uint_eq(s->confidence, 198);
	ck_assert_uint_eq(count_used(), 1);
}
END_TEST

/* R4: pairs swapped, then blocks of four in any order. */
START_TEST(reordering_does_not_break_a_stream)
{
	static const uint64_t order[] = {0, 1, 2, 3, 5, 4, 7, 6, 10, 9, 11, 8, 15, 13, 12, 14, 16};
	struct policy_stream *s = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		struct policy_stream *now = observe(order[i] * MIB, MIB);

		ck_assert(!s || s == now);
		s = now;
		ck_assert_int_eq(s->advanced, s->frontier == (order[i] + 1) * MIB);
	}
	ck_assert_uint_eq(s->frontier, 17 * MIB);
	ck_assert_uint_eq(count_used(), 1);
}
END_TEST

/* R4: the pairs of a reader swapped from its first one on. */
START_TEST(a_reader_swapped_at_its_beginning_is_one_stream)
{
	struct policy_stream *s = NULL;

	for (uint64_t pair = 0; pair < 40; pair += 2) {
		observe(pair * 128 * KIB + 128 * KIB, 128 * KIB);
		s = observe(pair * 128 * KIB, 128 * KIB);
	}
	ck_assert_uint_eq(count_used(), 1);
	ck_assert_uint_eq(s->first, 0);
	ck_assert_uint_eq(s->frontier, 40 * 128 * KIB);
}
END_TEST

/* Who reads up to where another began stays another: that one is far ahead. */
START_TEST(a_stream_that_meets_an_older_one_stays_apart)
{
	struct policy_stream *ahead, *s;

	for (uint64_t i = 0; i < 100; i++)
		ahead = observe(20 * MIB + i * 128 * KIB, 128 * KIB);
	for (uint64_t i = 0; i < 170; i++)
		s = observe(i * 128 * KIB, 128 * KIB);
	ck_assert_uint_eq(count_used(), 2);
	ck_assert_uint_eq(s->frontier, 170 * 128 * KIB);
	ck_assert_uint_eq(ahead->frontier, 20 * MIB + 100 * 128 * KIB);
}
END_TEST

/* R5: 32 readers of one inode take turns, or come as they like. */
START_TEST(interleaved_streams_stay_apart)
{
	struct policy_stream *mine[32];
	uint64_t at[32];
	unsigned seed = (unsigned)_i + 1;

	for (uint64_t k = 0; k < 32; k++) {
		at[k] = k * GIB;
		mine[k] = observe(at[k], 128 * KIB);
		at[k] += 128 * KIB;
	}
	for (unsigned step = 0; step < 4000; step++) {
		size_t k = _i ? (size_t)rand_r(&seed) % 32 : step % 32;

		ck_assert_ptr_eq(observe(at[k], 128 * KIB), mine[k]);
		at[k] += 128 * KIB;
	}
	ck_assert_uint_eq(count_used(), 32);
	for (size_t k = 0; k < 32; k++)
		ck_assert_uint_eq(mine[k]->frontier, at[k]);
}
END_TEST

/* A reader that scatters over 1 GiB is taken for a stream next to never. */
START_TEST(random_reads_are_no_streams)
{
	uint64_t length = (uint64_t[]){4 * KIB, 256 * KIB, MIB}[_i];
	unsigned seed = 17, joined = 0;

	for (int i = 0; i < 20000; i++) {
		uint64_t at = (uint64_t)rand_r(&seed) % (GIB / length) * length;

		joined += observe(at, length)->confidence > 0;
	}
	ck_assert_uint_lt(joined, length == 4 * KIB ? 20 : length == MIB ? 1200 : 300);
}
END_TEST

/* Random reads of 1 MiB that the kernel sends in eight parts: each is proven by its end, and
 * the next must not join it from afar. */
START_TEST(random_runs_stay_apart)
{
	unsigned seed = 3, longer = 0;

	for (int i = 0; i < 2000; i++) {
		uint64_t at = (uint64_t)rand_r(&seed) % 1024 * MIB * 4;

		for (uint64_t k = 0; k < 8; k++) {
			struct policy_stream *s = observe(at + k * 128 * KIB, 128 * KIB);

			longer += s->frontier - s->first > MIB;
		}
	}
	ck_assert_uint_lt(longer, 2000 * 8 / 50);
	ck_assert_uint_ge(streams.history.typical_run, 900 * KIB);
	ck_assert_uint_le(streams.history.typical_run, 1200 * KIB);
}
END_TEST

/* The headers of a tar: 12 KiB each 132 KiB. */
START_TEST(a_stride_is_a_stream)
{
	struct policy_stream *s = observe(0, 12 * KIB);

	for (uint64_t i = 1; i < 20; i++) {
		ck_assert_ptr_eq(observe(i * 200 * KIB, 12 * KIB), s);
		ck_assert_uint_eq(s->confidence, i); /* a gap is worth less than a neighbour */
	}
}
END_TEST

START_TEST(a_stride_beyond_the_gap_is_none)
{
	observe(0, 12 * KIB);
	for (uint64_t i = 1; i < 20; i++)
		ck_assert_uint_eq(observe(i * 400 * KIB, 12 * KIB)->confidence, 0);
}
END_TEST

/* A mapped file: the kernel reads around the fault, so the next reads overlap or adjoin. */
START_TEST(read_around_goes_on)
{
	struct policy_stream *s = observe(10 * MIB - 512 * KIB, MIB);

	ck_assert_ptr_eq(observe(10 * MIB + 512 * KIB, MIB), s);
	ck_assert_ptr_eq(observe(11 * MIB, MIB), s); /* overlaps */
	ck_assert_uint_eq(s->confidence, 4);
	ck_assert_uint_eq(s->frontier, 12 * MIB);
}
END_TEST

START_TEST(reading_again_proves_nothing)
{
	struct policy_stream *s = observe(MIB, 64 * KIB);

	for (int i = 0; i < 10; i++) {
		ck_assert_ptr_eq(observe(MIB, 64 * KIB), s);
		ck_assert(!s->advanced);
	}
	ck_assert_uint_eq(s->confidence, 0);
	ck_assert_uint_eq(s->reads, 11);
}
END_TEST

START_TEST(the_longest_unused_stream_is_forgotten)
{
	struct policy_stream *first = observe(0, 4 * KIB);

	for (uint64_t i = 1; i < STREAMS_MAX; i++)
		observe(i * GIB, 4 * KIB);
	ck_assert_ptr_eq(observe(4 * KIB, 4 * KIB), first);
	observe(100 * GIB, 4 * KIB);
	ck_assert_ptr_eq(observe(8 * KIB, 4 * KIB), first);
	ck_assert_uint_eq(observe(GIB + 4 * KIB, 4 * KIB)->confidence, 0); /* it was the oldest */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("streams");
	TCase *tc = tcase_create("streams");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, a_forward_reader_is_one_stream);
	tcase_add_test(tc, reordering_does_not_break_a_stream);
	tcase_add_test(tc, a_reader_swapped_at_its_beginning_is_one_stream);
	tcase_add_test(tc, a_stream_that_meets_an_older_one_stays_apart);
	tcase_add_loop_test(tc, interleaved_streams_stay_apart, 0, 3);
	tcase_add_loop_test(tc, random_reads_are_no_streams, 0, 3);
	tcase_add_test(tc, random_runs_stay_apart);
	tcase_add_test(tc, a_stride_is_a_stream);
	tcase_add_test(tc, a_stride_beyond_the_gap_is_none);
	tcase_add_test(tc, read_around_goes_on);
	tcase_add_test(tc, reading_again_proves_nothing);
	tcase_add_test(tc, the_longest_unused_stream_is_forgotten);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
