/* Where listing is denied: for what it holds, for how long, and how much is remembered. */
#include <check.h>
#include <stdio.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/log.h"
#include "src/names/denials.h"
#include "unit.h"

#define NOW NS_PER_SECOND
#define LATER (NOW + 3600 * NS_PER_SECOND)

static struct denials d;

static void setup(void)
{
	d = (struct denials){0};
	log_open("/dev/null", "warn");
}

static void teardown(void)
{
	denials_release(&d);
}

static const struct {
	const char *denied;
	bool lookups_only, below;
	const char *prefix;
	bool names, listing; /* no use in a LIST of a name there, of the directory */
} cases[] = {
	{"a/", false, true, "a/", true, true},
	{"a/", false, true, "a/b/", true, true},
	{"a/", false, true, "a/b/c/", true, true},
	{"a/", false, true, "", false, false},
	{"a/", false, true, "ab/", false, false},
	{"a/", false, true, "b/a/", false, false},
	{"a/b/", false, true, "a/", false, false},
	{"a/b/", false, true, "a/b/c/", true, true},
	{"a//", false, true, "a/", false, false},
	{"a//", false, true, "a//b/", true, true},
	{"", false, true, "", true, true},
	{"", false, true, "a/", true, true},
	{"a/", false, false, "a/", true, true},
	{"a/", false, false, "a/b/", false, false},
	{"", false, false, "a/", false, false},
	{"a/", true, true, "a/", true, false},
	{"a/", true, true, "a/b/", true, false},
};

START_TEST(holds_for_the_right_places)
{
	denials_add(&d, cases[_i].denied, cases[_i].lookups_only, cases[_i].below, NOW);
	ck_assert(denials_hold(&d, cases[_i].prefix, false, NOW) == cases[_i].names);
	ck_assert(denials_hold(&d, cases[_i].prefix, true, NOW) == cases[_i].listing);
	ck_assert(!denials_hold(&d, cases[_i].prefix, false, LATER));
	ck_assert(!denials_hold(&d, cases[_i].prefix, true, LATER));
}
END_TEST

/* A later one for a part of a name does not lengthen the directory's own. */
START_TEST(both_kinds_have_their_own_time)
{
	denials_add(&d, "a/", false, true, NOW);
	denials_add(&d, "a/", true, true, LATER);
	ck_assert(denials_hold(&d, "a/", false, LATER));
	ck_assert(!denials_hold(&d, "a/", true, LATER));
}
END_TEST

START_TEST(is_forgotten_above_and_below)
{
	const char *const prefixes[] = {"a/", "a/b/", "a/b/c/", "a/x/", "ab/"};

	for (int i = 0; i < 5; i++)
		denials_add(&d, prefixes[i], false, false, NOW);
	denials_forget(&d, "a/b/");
	for (int i = 0; i < 5; i++)
		ck_assert(denials_hold(&d, prefixes[i], true, NOW) == (i > 2));
}
END_TEST

static const char *numbered(int i)
{
	static char prefix[32];

	snprintf(prefix, sizeof(prefix), "%d/", i);
	return prefix;
}

/* The one learnt first goes, unless it was learnt again. */
START_TEST(the_latest_are_kept)
{
	for (int i = 0; i < DENIALS_MAX; i++)
		denials_add(&d, numbered(i), false, true, NOW);
	denials_add(&d, numbered(0), false, true, NOW);
	ck_assert(!d.full);
	for (int i = 0; i < 10; i++)
		denials_add(&d, numbered(DENIALS_MAX + i), false, true, NOW);
	ck_assert(d.full);
	for (int i = 0; i < DENIALS_MAX + 10; i++)
		ck_assert(denials_hold(&d, numbered(i), true, NOW) == (i == 0 || i > 10));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("denials");
	TCase *tc = tcase_create("denials");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, holds_for_the_right_places, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tc, both_kinds_have_their_own_time);
	tcase_add_test(tc, is_forgotten_above_and_below);
	tcase_add_test(tc, the_latest_are_kept);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
