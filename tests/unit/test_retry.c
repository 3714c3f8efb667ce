/* Whether and when to try again, as a table. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/xalloc.h"
#include "pailfs/retry.h"
#include "unit.h"

#define MS NS_PER_MS
#define S NS_PER_SECOND
#define MAX_RANDOM UINT64_MAX

static const struct {
	struct retry_question q;
	bool again;
	uint64_t delay_min, delay_max;
} decisions[] = {
	{{RETRY_NEVER, 1, 0, 60 * S, 0, 0}, false, 0, 0},
	{{RETRY_ALWAYS, 1, 0, 60 * S, 0, 0}, true, 0, 0},
	/* The window is 100 ms first and doubles; the last value in it is just below. */
	{{RETRY_ALWAYS, 1, 0, 60 * S, 0, 100 * MS - 1}, true, 100 * MS - 1, 100 * MS - 1},
	{{RETRY_ALWAYS, 1, 0, 60 * S, 0, 100 * MS}, true, 0, 0},
	{{RETRY_ALWAYS, 2, 0, 60 * S, 0, 200 * MS - 1}, true, 200 * MS - 1, 200 * MS - 1},
	{{RETRY_ALWAYS, 5, 0, 60 * S, 0, 1600 * MS - 1}, true, 1600 * MS - 1, 1600 * MS - 1},
	{{RETRY_ALWAYS, 8, 0, 60 * S, 0, 10 * S - 1}, true, 10 * S - 1, 10 * S - 1},
	{{RETRY_ALWAYS, 4000000000u, 0, 60 * S, 0, 10 * S - 1}, true, 10 * S - 1, 10 * S - 1},
	{{RETRY_ALWAYS, 30, 0, 60 * S, 0, MAX_RANDOM}, true, 0, 10 * S - 1},
	/* What the server asks for comes first, and the jitter on top. */
	{{RETRY_ALWAYS, 1, 0, 60 * S, 5 * S, 50 * MS}, true, 5050 * MS, 5050 * MS},
	{{RETRY_ALWAYS, 1, 0, 60 * S, 61 * S, 0}, false, 0, 0},
	{{RETRY_ALWAYS, 1, 0, 60 * S, 60 * S, 0}, false, 0, 0},
	{{RETRY_ALWAYS, 1, 0, 60 * S, MAX_RANDOM, 0}, false, 0, 0},
	/* The time that is left. */
	{{RETRY_ALWAYS, 1, 0, 0, 0, 0}, false, 0, 0},
	{{RETRY_ALWAYS, 1, 0, 99 * MS, 0, 0}, false, 0, 0},
	{{RETRY_ALWAYS, 10, 0, 1 * S, 0, 9 * S}, true, 500 * MS, 500 * MS},
	{{RETRY_ALWAYS, 10, 0, 3 * S, 2 * S, 9 * S}, true, 2500 * MS, 2500 * MS},
	{{RETRY_FEW, 1, 1, 60 * S, 0, 0}, true, 0, 0},
	{{RETRY_FEW, 2, 2, 60 * S, 0, 0}, true, 0, 0},
	{{RETRY_FEW, 3, 3, 60 * S, 0, 0}, false, 0, 0},
	/* Other trouble before it does not count. */
	{{RETRY_FEW, 9, 1, 60 * S, 0, 0}, true, 0, 0},
	{{RETRY_FEW, 9, 3, 60 * S, 0, 0}, false, 0, 0},
	{{RETRY_ALWAYS, 9, 8, 60 * S, 0, 0}, true, 0, 0},
};

START_TEST(decides_by_the_table)
{
	uint64_t delay = 12345;

	ck_assert_int_eq(retry_decide(&decisions[_i].q, &delay), decisions[_i].again);
	if (decisions[_i].again) {
		ck_assert_uint_ge(delay, decisions[_i].delay_min);
		ck_assert_uint_le(delay, decisions[_i].delay_max);
	} else {
		ck_assert_uint_eq(delay, 12345);
	}
}
END_TEST

/* Every sequence of failures ends in time, with an attempt at the end of it. */
START_TEST(ends_within_the_time)
{
	unsigned seed = (unsigned)_i;
	uint64_t spent = 0, timeout = 60 * S, delay;
	struct retry_question q = {.class = RETRY_ALWAYS, .attempts = 1};

	for (;; q.attempts++) {
		ck_assert_uint_lt(q.attempts, 10000);
		q.left_ns = timeout - spent;
		q.random = (uint64_t)rand_r(&seed) * 7919;
		q.retry_after_ns = rand_r(&seed) % 4 ? 0 : 200 * MS;
		if (!retry_decide(&q, &delay))
			break;
		ck_assert_uint_lt(delay, q.left_ns);
		spent += delay;
	}
	ck_assert_uint_ge(spent, timeout - 300 * MS);
}
END_TEST

START_TEST(errors_have_classes)
{
	static const struct {
		int error;
		enum retry_class class;
	} cases[] = {
		{-ECONNRESET, RETRY_ALWAYS}, {-ECONNREFUSED, RETRY_ALWAYS},
		{-ETIMEDOUT, RETRY_ALWAYS},  {-EHOSTUNREACH, RETRY_ALWAYS},
		{-ECONNABORTED, RETRY_ALWAYS},
		{-EPROTO, RETRY_FEW},        {-ECANCELED, RETRY_NEVER},
		{-EINVAL, RETRY_NEVER},      {-ENOENT, RETRY_NEVER},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ck_assert_int_eq(retry_class_of_error(cases[i].error), cases[i].class);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("retry");
	TCase *tc = tcase_create("retry");

	tcase_add_loop_test(tc, decides_by_the_table, 0, ARRAY_SIZE(decisions));
	tcase_add_loop_test(tc, ends_within_the_time, 0, 20);
	tcase_add_test(tc, errors_have_classes);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
