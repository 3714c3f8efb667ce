/* A value's pages when there is no room (test_tree_model.c has the rest). */
#include <check.h>
#include <errno.h>
#include <string.h>
#include "src/store/pages.h"

enum { LIMIT = 10 };

static const struct range all = {0, (uint64_t)LIMIT * PAGE_BYTES};

/* Else writes that fail, each at another place, would take memory that no limit counts. */
START_TEST(what_found_no_room_has_grown_nothing)
{
	struct page_pool pool;
	struct pages p;

	page_pool_init(&pool, 0);
	pages_init(&p, &pool);
	ck_assert_uint_eq(pages_write(&p, "x", 1, 0), 0);
	ck_assert_uint_eq(pages_write(&p, "x", 1, 1ull << 40), 0);
	ck_assert_int_eq(pages_fill(&p, (struct range){1ull << 40, (1ull << 40) + 1}), -ENOSPC);
	ck_assert_ptr_null(p.root);
	ck_assert_uint_eq(p.height, 0);
	pages_release(&p);
	page_pool_release(&pool);
}
END_TEST

START_TEST(a_range_is_filled_or_left)
{
	static const uint64_t far = 1ull << 50;
	struct page_pool pool;
	struct pages p;

	page_pool_init(&pool, LIMIT);
	pages_init(&p, &pool);
	ck_assert_uint_eq(pages_write(&p, "x", 1, 5 * PAGE_BYTES), 1);
	ck_assert_uint_eq(pages_write(&p, "y", 1, far), 1);
	ck_assert_int_eq(pages_fill(&p, all), -ENOSPC);
	ck_assert_int_eq(pages_fill(&p, (struct range){0, far}), -ENOSPC);
	ck_assert_uint_eq(p.count, 2);
	ck_assert_uint_eq(page_pool_used(&pool), 2);
	/* Those that are there need no room. */
	ck_assert_int_eq(pages_fill(&p, (struct range){1, all.end - PAGE_BYTES}), 0);
	ck_assert_uint_eq(page_pool_used(&pool), LIMIT);
	ck_assert_int_eq(pages_fill(&p, (struct range){1, all.end - PAGE_BYTES}), 0);
	pages_release(&p);
	ck_assert_uint_eq(page_pool_used(&pool), 0);
	page_pool_release(&pool);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pages");
	TCase *tc = tcase_create("pages");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, what_found_no_room_has_grown_nothing);
	tcase_add_test(tc, a_range_is_filled_or_left);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
