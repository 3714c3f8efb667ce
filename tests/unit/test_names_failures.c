/* Names: a store that fails, answers oddly, or may not be listed. */
#include <limits.h>
#include "names_fixture.h"
#include "src/names/denials.h"

/* ---- failures ---- */

START_TEST(an_error_is_not_a_short_directory)
{
	struct asked_readdir a;
	int error;

	for (int i = 0; i < 2500; i++)
		bucket_addf(b, "%05d", i);
	b->fail_page = 2;
	start_with(1000000, NS_PER_MS); /* no page ahead, which would fail unseen */
	ck_assert_ptr_null(read_all("", 100, &error));
	ck_assert_int_eq(error, -EIO);
	ck_assert_int_eq(some(&a, "", "00998", 10), 0);
	names_readdir_release(&a.q);
	ck_assert_uint_eq(count_all("", 100), 2500);
	ck_assert_uint_eq(b->lists, 4);
	b->list_error = -ETIMEDOUT;
	pass(TTL);
	ck_assert_int_eq(lookup("", "00001", NULL), -ETIMEDOUT);
	b->list_error = 0;
	ck_assert(is_file("", "00001"));
}
END_TEST

START_TEST(a_failed_page_ahead_is_asked_again)
{
	for (int i = 0; i < 2500; i++)
		bucket_addf(b, "%05d", i);
	b->fail_page = 2;
	start();
	ck_assert_uint_eq(count_all("", 100), 2500);
	ck_assert_uint_eq(b->lists, 4);
}
END_TEST

/* A token that repeats, at once or in a circle, ends the listing with an error. */
START_TEST(an_endless_listing_ends)
{
	int error;

	for (int i = 0; i < 10; i++)
		bucket_addf(b, "%05d", i);
	b->page_size = 4;
	b->token_circle = (unsigned)_i + 1;
	log_open("/dev/null", "error");
	start();
	ck_assert_ptr_null(read_all("", 100, &error));
	ck_assert_int_eq(error, -EIO);
	ck_assert_uint_le(b->lists, 30);
	b->token_circle = 0;
	ck_assert_uint_eq(count_all("", 100), 10);
	log_open("stderr", "warn");
}
END_TEST

START_TEST(empty_pages_are_passed_over)
{
	for (int i = 0; i < 10; i++)
		bucket_addf(b, "%05d", i);
	b->page_size = 4;
	b->empty_pages = 3;
	start();
	ck_assert_uint_eq(count_all("", 100), 10);
	b->empty_pages = 2;
	pass(TTL);
	ck_assert(is_file("", "00005"));
	b->empty_pages = 2;
	ck_assert_int_eq(lookup("", "x", NULL), -ENOENT);
}
END_TEST

/* Pages that tell nothing, each with a new token: a listing in keys' order, and one in none. */
START_TEST(a_listing_that_tells_nothing_ends)
{
	static const struct { uint64_t page_ns; unsigned lists; bool reversed; } rows[] = {
		{NS_PER_MS, 1000, false}, {NS_PER_SECOND, 60, false},
		{NS_PER_MS, 1000, true}, {NS_PER_SECOND, 60, true},
	};
	int error;

	for (int i = 0; i < 10; i++)
		bucket_addf(b, "%05d", i);
	b->page_size = 4;
	b->reversed = rows[_i].reversed;
	b->clock = &test_clock;
	log_open("/dev/null", "error");
	start();
	/* What tells something may take its time. */
	b->page_ns = PATIENCE / 2;
	ck_assert_uint_eq(count_all("", 100), 10);
	pass(TTL);
	b->page_ns = rows[_i].page_ns;
	b->empty_pages = UINT_MAX;
	b->lists = 0;
	ck_assert_ptr_null(read_all("", 100, &error));
	ck_assert_int_eq(error, -EIO);
	ck_assert_uint_eq(b->lists, rows[_i].lists);
	log_open("stderr", "warn");
}
END_TEST

START_TEST(odd_servers_are_read_right)
{
	for (int i = 0; i < 200; i++)
		bucket_addf(b, "%02d/%d", i / 4, i % 4);
	b->page_size = 7;
	b->shows_prefix_again = _i & 1;
	b->ignores_start_after = _i & 2;
	log_open("/dev/null", "warn");
	start();
	ck_assert_uint_eq(walk(""), 200);
	pass(TTL);
	ck_assert(is_file("37/", "3"));
	ck_assert_uint_eq(count_all("", 5), 50);
	ck_assert_int_eq(lookup("37/", "4", NULL), -ENOENT);
	ck_assert_uint_eq(walk(""), 200);
	log_open("stderr", "warn");
}
END_TEST

START_TEST(pages_out_of_order_are_read_whole)
{
	for (int i = 0; i < 200; i++)
		bucket_addf(b, "%02d/%d", i / 4, i % 4);
	b->page_size = 7;
	b->reversed = true;
	log_open("/dev/null", "warn");
	start();
	ck_assert_uint_eq(walk(""), 200);
	ck_assert_int_eq(lookup("37/", "4", NULL), -ENOENT);
	log_open("stderr", "warn");
}
END_TEST

/* ---- without the right to list ---- */

START_TEST(looks_names_up_where_listing_is_denied)
{
	struct asked_readdir a;

	bucket_add(b, "free/x");
	bucket_add(b, "secret/file");
	bucket_add(b, "secret/marked/");
	bucket_add(b, "secret/marked/y");
	b->denied = "secret/";
	log_open("/dev/null", "warn");
	start();
	ck_assert_int_eq(some(&a, "secret/", NULL, 10), -EACCES);
	ck_assert_str_eq(a.q.error, "403 AccessDenied");
	ck_assert_uint_eq(b->lists, 1);
	ck_assert(is_file("secret/", "file"));
	ck_assert_uint_eq(b->heads, 1);
	ck_assert(is_directory("secret/", "marked"));
	ck_assert_uint_eq(b->heads, 3);
	ck_assert(is_file("secret/marked/", "y"));
	ck_assert_int_eq(lookup("secret/", "none", NULL), -ENOENT);
	ck_assert_uint_eq(b->heads, 6);
	ck_assert_int_eq(lookup("secret/", "none", NULL), -ENOENT);
	ck_assert(is_file("secret/", "file"));
	ck_assert_uint_eq(b->heads, 6);
	ck_assert_uint_eq(b->lists, 1);
	reads_as("free/", "x");
	/* Refreshing forgets the denial. */
	b->denied = NULL;
	names_forget_below(n, "secret/");
	reads_as("secret/", "file|marked/");
	log_open("stderr", "warn");
}
END_TEST

/* M2: more directories than are remembered cost a LIST each when their turn comes again. */
START_TEST(a_forgotten_denial_costs_a_list)
{
	char prefix[32];
	size_t asked;

	b->denied = "secret";
	for (int i = 0; i <= DENIALS_MAX; i++) {
		snprintf(prefix, sizeof(prefix), "secret%d/x", i);
		bucket_add(b, prefix);
	}
	log_open("/dev/null", "warn");
	start();
	for (int i = 0; i <= DENIALS_MAX; i++) {
		snprintf(prefix, sizeof(prefix), "secret%d/", i);
		ck_assert(is_file(prefix, "x"));
	}
	asked = b->lists;
	ck_assert_int_eq(lookup("secret1/", "y", NULL), -ENOENT);
	ck_assert_uint_eq(b->lists, asked);
	ck_assert_int_eq(lookup("secret0/", "y", NULL), -ENOENT);
	ck_assert_uint_eq(b->lists, asked + 1);
	ck_assert_int_eq(lookup("secret0/", "z", NULL), -ENOENT);
	ck_assert_uint_eq(b->lists, asked + 1);
	log_open("stderr", "warn");
}
END_TEST

/* A wrong key is not a missing permission. */
START_TEST(bad_credentials_deny_nothing)
{
	bucket_add(b, "x");
	start();
	b->list_error = -EACCES;
	ck_assert_int_eq(lookup("", "x", NULL), -EACCES);
	b->list_error = 0;
	ck_assert(is_file("", "x"));
	ck_assert_uint_eq(b->heads, 0);
}
END_TEST

START_TEST(hidden_directories_can_be_passed)
{
	struct asked_readdir a;

	bucket_add(b, "dir/sub/file");
	b->denied = "";
	b->denies_heads = true;
	log_open("/dev/null", "warn");
	start();
	names_deny_list(n, "");
	ck_assert_int_eq(some(&a, "", NULL, 10), -EACCES);
	ck_assert(is_directory("", "dir"));
	ck_assert(is_directory("dir/", "sub"));
	ck_assert(is_file("dir/sub/", "file"));
	ck_assert_uint_eq(b->lists, 0);
	log_open("stderr", "warn");
}
END_TEST

/* Some policies allow to list a directory, but not a part of a name. */
START_TEST(a_directory_may_be_listed_where_names_may_not)
{
	bucket_add(b, "d/x1");
	bucket_add(b, "d/x2");
	b->denied = "d/x";
	log_open("/dev/null", "warn");
	start();
	ck_assert(is_file("d/", "x1"));
	ck_assert_uint_eq(b->heads, 1);
	reads_as("d/", "x1|x2");
	ck_assert(is_file("d/", "x2"));
	ck_assert_uint_eq(b->heads, 1);
	log_open("stderr", "warn");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names_failures");
	TCase *tc = tcase_create("names_failures");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, an_error_is_not_a_short_directory);
	tcase_add_test(tc, a_failed_page_ahead_is_asked_again);
	tcase_add_loop_test(tc, an_endless_listing_ends, 0, 4);
	tcase_add_test(tc, empty_pages_are_passed_over);
	tcase_add_loop_test(tc, a_listing_that_tells_nothing_ends, 0, 4);
	tcase_add_loop_test(tc, odd_servers_are_read_right, 0, 4);
	tcase_add_test(tc, pages_out_of_order_are_read_whole);
	tcase_add_test(tc, looks_names_up_where_listing_is_denied);
	tcase_add_test(tc, a_forgotten_denial_costs_a_list);
	tcase_add_test(tc, bad_credentials_deny_nothing);
	tcase_add_test(tc, hidden_directories_can_be_passed);
	tcase_add_test(tc, a_directory_may_be_listed_where_names_may_not);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
