/* The choice of an endpoint, by cases and by a simulated outage. */
#include <check.h>
#include <stdlib.h>
#include "pailfs/base/clock.h"
#include "pailfs/endpoint.h"
#include "unit.h"

#define MS NS_PER_MS
#define S NS_PER_SECOND

START_TEST(takes_turns_and_prefers_the_idle)
{
	struct endpoint_set s;

	endpoint_set_init(&s, 3);
	for (size_t i = 0; i < 6; i++)
		ck_assert_uint_eq(endpoint_choose(&s, S), i % 3);
	endpoint_ended(&s, 1, false, S);
	endpoint_cancelled(&s, 1);
	ck_assert_uint_eq(endpoint_choose(&s, S), 1);
	ck_assert_uint_eq(endpoint_choose(&s, S), 1);
	ck_assert_uint_eq(endpoint_choose(&s, S), 2);
	endpoint_set_release(&s);
}
END_TEST

START_TEST(the_only_one_is_always_taken)
{
	struct endpoint_set s;

	endpoint_set_init(&s, 1);
	for (int i = 0; i < 100; i++) {
		ck_assert_uint_eq(endpoint_choose(&s, S), 0);
		endpoint_ended(&s, 0, true, S);
	}
	endpoint_set_release(&s);
}
END_TEST

START_TEST(leaves_out_the_failing_and_tries_it_again)
{
	struct endpoint_set s;
	uint64_t now = S, block = 200 * MS;

	endpoint_set_init(&s, 2);
	/* Five in flight to the first when it breaks: one outage. */
	for (int i = 0; i < 10; i++)
		endpoint_choose(&s, now);
	for (int i = 0; i < 5; i++)
		endpoint_ended(&s, 0, true, now);
	ck_assert_uint_eq(s.endpoints[0].failures, 1);

	for (int round = 0; round<12; round++, block = block * 2> 30 * S ? 30 * S : block * 2) {
		/* Nothing until the block is over. */
		ck_assert_uint_eq(s.endpoints[0].blocked_until_ns, now + block);
		ck_assert_uint_eq(endpoint_choose(&s, now + block - 1), 1);
		/* Then one request, and no second one beside it. */
		now += block;
		ck_assert_uint_eq(endpoint_choose(&s, now), 0);
		ck_assert_uint_eq(endpoint_choose(&s, now), 1);
		endpoint_ended(&s, 0, true, now);
	}
	now += block;
	ck_assert_uint_eq(endpoint_choose(&s, now), 0);
	endpoint_ended(&s, 0, false, now);
	ck_assert_uint_eq(s.endpoints[0].failures, 0);
	ck_assert_uint_eq(endpoint_choose(&s, now), 0);
	ck_assert_uint_eq(endpoint_choose(&s, now), 0);
	endpoint_set_release(&s);
}
END_TEST

START_TEST(with_all_blocked_takes_the_first_to_return)
{
	struct endpoint_set s;

	endpoint_set_init(&s, 3);
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(endpoint_choose(&s, S), i);
	endpoint_ended(&s, 2, true, S);
	endpoint_ended(&s, 0, true, S + 1 * MS);
	endpoint_ended(&s, 1, true, S + 2 * MS);
	ck_assert_uint_eq(endpoint_choose(&s, S + 3 * MS), 2);
	ck_assert_uint_eq(endpoint_choose(&s, S + 3 * MS), 2);
	endpoint_set_release(&s);
}
END_TEST

/* One of four is down for a minute: it costs few requests, and gets its share again after. */
START_TEST(an_outage_costs_little)
{
	struct endpoint_set s;
	unsigned lost = 0, after = 0;
	uint64_t now;

	endpoint_set_init(&s, 4);
	for (now = S; now < 61 * S; now += MS) {
		size_t i = endpoint_choose(&s, now);

		lost += i == 2;
		endpoint_ended(&s, i, i == 2, now);
	}
	ck_assert_uint_lt(lost, 12);
	for (now = 92 * S; now < 93 * S; now += MS) {
		size_t i = endpoint_choose(&s, now);

		after += i == 2;
		endpoint_ended(&s, i, false, now);
	}
	ck_assert_uint_eq(after, 250);
	endpoint_set_release(&s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("endpoint");
	TCase *tc = tcase_create("endpoint");

	tcase_add_test(tc, takes_turns_and_prefers_the_idle);
	tcase_add_test(tc, the_only_one_is_always_taken);
	tcase_add_test(tc, leaves_out_the_failing_and_tries_it_again);
	tcase_add_test(tc, with_all_blocked_takes_the_first_to_return);
	tcase_add_test(tc, an_outage_costs_little);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
