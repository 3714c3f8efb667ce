/* Size classes, reuse and trimming. */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"
#include "src/cache/pool.h"
#include "unit.h"

START_TEST(classes_are_whole_pages_and_waste_little)
{
	size_t last = 0;

	for (size_t n = 1; n < (64u << 20); n += 1 + n / 37) {
		size_t size = pool_size(n);

		ck_assert_uint_ge(size, n);
		ck_assert_uint_eq(size % 4096, 0);
		ck_assert_uint_ge(size, last);
		if (n > 4 * 4096)
			ck_assert_uint_le(size - n, n / 4 + 4096);
		last = size;
	}
	ck_assert_uint_eq(pool_size(1), 4096);
	ck_assert_uint_eq(pool_size(5 * 4096), 5 * 4096);
	for (size_t n = 1u << 12; n <= 64u << 20; n *= 2)
		ck_assert_uint_eq(pool_size(n), n);
}
END_TEST

START_TEST(an_idle_buffer_is_used_again)
{
	struct pool p;
	char *a, *b;

	pool_init(&p);
	a = pool_alloc(&p, 100000);
	memset(a, 1, pool_size(100000));
	pool_free(&p, a, 100000);
	ck_assert_uint_eq(p.idle_bytes, pool_size(100000));
	b = pool_alloc(&p, 99000);
	ck_assert_ptr_eq(a, b);
	ck_assert_uint_eq(p.idle_bytes, 0);
	pool_free(&p, b, 99000);
	pool_trim(&p, 0);
	ck_assert_uint_eq(p.idle_bytes, 0);
}
END_TEST

START_TEST(trimming_keeps_what_it_may)
{
	struct pool p;
	void *buffers[8];

	pool_init(&p);
	for (int i = 0; i < 8; i++)
		buffers[i] = pool_alloc(&p, (size_t)4096 << i);
	for (int i = 0; i < 8; i++)
		pool_free(&p, buffers[i], (size_t)4096 << i);
	ck_assert_uint_eq(p.idle_bytes, 255 * 4096);
	pool_trim(&p, 300 * 4096);
	ck_assert_uint_eq(p.idle_bytes, 255 * 4096);
	pool_trim(&p, 200 * 4096);
	ck_assert_uint_eq(p.idle_bytes, 192 * 4096);
	pool_trim(&p, 100 * 4096);
	/* The one freed last is too large to stay. */
	ck_assert_uint_eq(p.idle_bytes, 0);
}
END_TEST

/* Pages that the process has mapped (proc(5), statm). */
static unsigned long mapped(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%lu", &pages), 1);
	fclose(f);
	return pages;
}

/* … and what was mapped around it for that is gone. */
START_TEST(a_large_buffer_begins_where_a_huge_page_can)
{
	static const size_t sizes[] = {2u << 20, 5u << 19, 3u << 20, 8u << 20};
	unsigned long before = mapped();
	struct pool p;

	pool_init(&p);
	for (size_t i = 0; i < 40; i++) {
		size_t size = sizes[i % ARRAY_SIZE(sizes)];
		char *buffer = pool_alloc(&p, size);

		ck_assert_ptr_nonnull(buffer);
		ck_assert_uint_eq((uintptr_t)buffer % (2u << 20), 0);
		buffer[0] = buffer[size - 1] = 1;
		pool_free(&p, buffer, size);
		pool_trim(&p, 0);
	}
	ck_assert_uint_lt(mapped(), before + (16u << 20) / 4096);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pool");
	TCase *tc = tcase_create("pool");

	tcase_add_test(tc, classes_are_whole_pages_and_waste_little);
	tcase_add_test(tc, an_idle_buffer_is_used_again);
	tcase_add_test(tc, trimming_keeps_what_it_may);
	tcase_add_test(tc, a_large_buffer_begins_where_a_huge_page_can);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
