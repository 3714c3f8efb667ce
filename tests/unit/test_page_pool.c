/* The pages of mem://: apart from each other, zeros at first, within the limit, and gone from
 * the process when they are given back. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "src/store/page_pool.h"

enum { PAGES = 16384 }; /* 64 MiB */

/* How many of these addresses have memory behind them. */
static size_t resident(void *const *pages)
{
	unsigned char there;
	size_t count = 0;

	for (size_t i = 0; i < PAGES; i++) {
		ck_assert_int_eq(mincore(pages[i], PAGE_BYTES, &there), 0);
		count += there & 1;
	}
	return count;
}

static bool is_filled(const unsigned char *page, unsigned char with)
{
	for (size_t i = 0; i < PAGE_BYTES; i++)
		if (page[i] != with)
			return false;
	return true;
}

/* Each slot of an array has a page or none, filled with its slot's number. */
START_TEST(pages_are_apart_and_zero_at_first)
{
	enum { SLOTS = 1000 };
	unsigned seed = (unsigned)_i + 1;
	void *slots[SLOTS] = {0};
	struct page_pool pool;
	uint64_t used = 0;

	page_pool_init(&pool, SLOTS);
	for (int step = 0; step < 20000; step++) {
		int i = rand_r(&seed) % SLOTS;

		if (slots[i]) {
			ck_assert(is_filled(slots[i], (unsigned char)(i | 1)));
			page_give(&pool, slots[i]);
			slots[i] = NULL;
			used--;
		} else {
			slots[i] = page_take(&pool);
			ck_assert_ptr_nonnull(slots[i]);
			ck_assert_uint_eq((uintptr_t)slots[i] % PAGE_BYTES, 0);
			ck_assert(is_filled(slots[i], 0));
			memset(slots[i], i | 1, PAGE_BYTES);
			used++;
		}
		ck_assert_uint_eq(page_pool_used(&pool), used);
	}
	for (int i = 0; i < SLOTS; i++)
		if (slots[i])
			page_give(&pool, slots[i]);
	page_pool_release(&pool);
}
END_TEST

START_TEST(keeps_to_its_limit)
{
	struct page_pool pool;
	void *a, *b;

	page_pool_init(&pool, 2);
	a = page_take(&pool);
	b = page_take(&pool);
	ck_assert(a && b);
	ck_assert_ptr_null(page_take(&pool));
	page_give(&pool, a);
	a = page_take(&pool);
	ck_assert_ptr_nonnull(a);
	page_give(&pool, a);
	page_give(&pool, b);
	page_pool_release(&pool);
}
END_TEST

/* Also when one page in a thousand stays: a heap would keep all that lies below it. */
START_TEST(gives_memory_back)
{
	static void *pages[PAGES];
	struct page_pool pool;

	page_pool_init(&pool, PAGES);
	for (size_t i = 0; i < PAGES; i++)
		pages[i] = page_take(&pool);
	ck_assert_uint_eq(resident(pages), PAGES);
	for (size_t i = 0; i < PAGES; i++)
		if (i % 1000)
			page_give(&pool, pages[i]);
	/* What stays lies in 17 of the 65 slabs of 255 pages. */
	ck_assert_uint_le(resident(pages), 17 * 255);
	for (size_t i = 0; i < PAGES; i += 1000)
		page_give(&pool, pages[i]);
	ck_assert_uint_eq(resident(pages), 0);
	page_pool_release(&pool);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("page_pool");
	TCase *tc = tcase_create("page_pool");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, pages_are_apart_and_zero_at_first, 0, 10);
	tcase_add_test(tc, keeps_to_its_limit);
	tcase_add_test(tc, gives_memory_back);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
