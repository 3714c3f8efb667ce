/* The interval set, by cases and by a random model. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/range.h"
#include "unit.h"

START_TEST(adds_and_merges)
{
	struct range_set s;

	range_set_init(&s);
	range_set_add(&s, (struct range){10, 20});
	range_set_add(&s, (struct range){30, 40});
	ck_assert_uint_eq(s.count, 2);
	range_set_add(&s, (struct range){20, 30});
	ck_assert_uint_eq(s.count, 1);
	ck_assert_uint_eq(s.ranges[0].start, 10);
	ck_assert_uint_eq(s.ranges[0].end, 40);
	range_set_add(&s, (struct range){5, 5});
	ck_assert_uint_eq(s.count, 1);
	range_set_release(&s);
}
END_TEST

/* 256 bytes as booleans stand beside the set through random changes. */
START_TEST(agrees_with_a_bitmap)
{
	enum { SIZE = 256 };
	unsigned seed = (unsigned)_i + 1;
	bool model[SIZE] = {false};
	struct range_set s;

	range_set_init(&s);
	for (int step = 0; step < 2000; step++) {
		uint64_t a = (uint64_t)rand_r(&seed) % SIZE, b = (uint64_t)rand_r(&seed) % (SIZE + 1);
		struct range r = {a < b ? a : b, a < b ? b : a}, gap;
		bool add = rand_r(&seed) % 2, all = true, any = false, found;
		uint64_t total = 0, first, i;

		if (add)
			range_set_add(&s, r);
		else
			range_set_remove(&s, r);
		for (i = r.start; i < r.end; i++)
			model[i] = add;
		a = (uint64_t)rand_r(&seed) % SIZE;
		b = (uint64_t)rand_r(&seed) % (SIZE + 1);
		r = (struct range){a < b ? a : b, a < b ? b : a};
		for (i = 0; i < SIZE; i++)
			total += model[i];
		first = r.end;
		for (i = r.end; i-- > r.start;) {
			all = all && model[i];
			any = any || model[i];
			if (!model[i])
				first = i;
		}
		ck_assert_uint_eq(range_set_total(&s), total);
		ck_assert_int_eq(range_set_contains(&s, r), all);
		ck_assert_int_eq(range_set_overlaps(&s, r), any);
		found = range_set_first_gap(&s, r, &gap);
		ck_assert_int_eq(found, first < r.end);
		if (found) {
			ck_assert_uint_eq(gap.start, first);
			for (i = gap.start; i < gap.end; i++)
				ck_assert(!model[i]);
			ck_assert(gap.end == r.end || model[gap.end]);
		}
		for (size_t k = 1; k < s.count; k++)
			ck_assert_uint_lt(s.ranges[k - 1].end, s.ranges[k].start);
	}
	range_set_release(&s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("range");
	TCase *tc = tcase_create("range");

	tcase_add_test(tc, adds_and_merges);
	tcase_add_loop_test(tc, agrees_with_a_bitmap, 0, 8);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
