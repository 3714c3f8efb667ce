/* Names: the number of requests that an answer takes (M2, M3). */
#include "names_fixture.h"

static void reads_as_many(const char *prefix, size_t count)
{
	char *all;
	int error;
	size_t found = 1;

	all = read_all(prefix, 1000, &error);
	ck_assert_ptr_nonnull(all);
	for (const char *c = all; *c; c++)
		found += *c == '|';
	ck_assert_uint_eq(found, count);
	free(all);
}

/* ---- counts ---- */

START_TEST(a_cold_file_costs_one_list)
{
	for (int i = 0; i < 900; i++)
		bucket_addf(b, "dir/%04d", i);
	bucket_add(b, "else");
	start();
	ck_assert(is_directory("", "dir"));
	ck_assert(is_file("dir/", "0899"));
	ck_assert_int_eq(lookup("dir/", "0900", NULL), -ENOENT);
	ck_assert_uint_eq(b->lists, 1);
}
END_TEST

START_TEST(a_cold_file_of_a_large_directory_costs_two)
{
	for (int i = 0; i < 3000; i++)
		bucket_addf(b, "dir/%04d", i);
	start();
	ck_assert(is_directory("", "dir"));
	ck_assert(is_file("dir/", "2000"));
	ck_assert_uint_eq(b->lists, 2);
	ck_assert_uint_eq(b->heads, 0);
}
END_TEST

START_TEST(a_probe_counts_for_the_root)
{
	for (int i = 0; i < 3000; i++)
		bucket_addf(b, "dir/%04d", i);
	start();
	probe();
	ck_assert(is_directory("", "dir"));
	reads_as("", "dir/");
	ck_assert_uint_eq(b->lists, 0);
	ck_assert(is_file("dir/", "2000"));
	ck_assert_uint_eq(b->lists, 1);
}
END_TEST

/* Who opens one file after another by name does not pay for each. */
START_TEST(files_of_a_page_cost_two_lists)
{
	struct asked_lookup asked[16];

	for (int i = 0; i < 500; i++) {
		bucket_addf(b, "dir/%04d", i);
		bucket_addf(b, "more/%04d", i);
	}
	start();
	probe();
	for (int i = 499; i >= 0; i--) {
		char name[8];

		snprintf(name, sizeof(name), "%04d", i);
		ck_assert(is_file("dir/", name));
	}
	ck_assert_uint_eq(b->lists, 2);
	/* Nor many who come at once. */
	bucket_set_mode(b, BUCKET_STEPS);
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		char name[8];

		snprintf(name, sizeof(name), "%04zu", 30 * i);
		ask(&asked[i], "more/", name);
	}
	while (bucket_step(b))
		;
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		ck_assert(asked[i].ended);
		ck_assert_int_eq(asked[i].result, 0);
		names_entry_release(&asked[i].q.entry);
	}
	ck_assert_uint_eq(b->lists, 4);
}
END_TEST

/* Programs look for what is not there, under one name after another. */
START_TEST(absent_names_of_a_small_directory_cost_two_lists)
{
	char name[16];

	for (int i = 0; i < 3000; i++)
		bucket_addf(b, i < 400 ? "small/%04d" : "large/%04d", i);
	start();
	reads_as_many("small/", 400);
	reads_as_many("large/", 2600);
	ck_assert_uint_eq(b->lists, 4);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "0000-%d", i);
		ck_assert_int_eq(lookup("small/", name, NULL), -ENOENT);
	}
	ck_assert_uint_eq(b->lists, 4);
	pass(3 * NS_PER_SECOND);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "0000-%d", i);
		ck_assert_int_eq(lookup("small/", name, NULL), -ENOENT);
	}
	ck_assert_uint_eq(b->lists, 6);
	ck_assert_str_eq(b->last_list, "small/|/|");
	/* Whoever waits for just one name to appear asks for no others. */
	for (unsigned i = 1; i <= 2; i++) {
		pass(3 * NS_PER_SECOND);
		ck_assert_int_eq(lookup("small/", "new", NULL), -ENOENT);
		ck_assert_uint_eq(b->lists, 6 + i);
		ck_assert_str_eq(b->last_list, "small/new||");
	}
	/* The page of a large directory tells little of what is absent. */
	for (unsigned i = 1; i <= 3; i++) {
		snprintf(name, sizeof(name), "2500-%u", i);
		ck_assert_int_eq(lookup("large/", name, NULL), -ENOENT);
	}
	ck_assert_uint_eq(b->lists, 11);
}
END_TEST

START_TEST(names_crowded_out_cost_one_more)
{
	bucket_add(b, "n");
	for (int i = 0; i < 3000; i++)
		bucket_addf(b, "n-%04d", i);
	bucket_add(b, "n/below");
	bucket_add(b, "m");
	for (int i = 0; i < 3000; i++)
		bucket_addf(b, "m-%04d", i);
	start();
	ck_assert(is_directory("", "n"));
	ck_assert_uint_eq(b->lists, 2);
	ck_assert(is_file("n/", "below"));
	ck_assert_uint_eq(b->lists, 2);
	ck_assert(is_file("", "m"));
	ck_assert_uint_eq(b->lists, 4);
}
END_TEST

/* ls -l: the listing, and a look at each name. */
START_TEST(a_listing_costs_its_pages)
{
	size_t max[] = {7, 100, 999, 1000, 5000};
	int error;

	for (int i = 0; i < 5000; i++)
		bucket_addf(b, "dir/%04d.jpg", i);
	start();
	probe();
	for (size_t i = 0; i < ARRAY_SIZE(max); i++) {
		char *names = read_all("dir/", max[i], &error), *rest = names, *name;

		while ((name = strsep(&rest, "|")))
			ck_assert(is_file("dir/", name));
		ck_assert_uint_eq(b->lists, 5);
		free(names);
		pass(TTL);
		atomic_store(&b->lists, 0);
	}
	/* A cold look at the directory brings the first page. */
	ck_assert(is_directory("", "dir"));
	ck_assert_uint_eq(b->lists, 1);
	ck_assert_uint_eq(count_all("dir/", 100), 5000);
	ck_assert_uint_eq(b->lists, 5);
	ck_assert_uint_eq(b->heads, 0);
}
END_TEST

START_TEST(a_walk_costs_its_pages)
{
	/* 50 directories side by side, ten by five, and each with a sub-directory. */
	for (int i = 0; i < 5000; i++) {
		bucket_addf(b, "flat/%02d/%03d", i / 100, i % 100);
		bucket_addf(b, "nested/%d/%d/%03d", i / 1000, i / 100 % 10, i % 100);
		bucket_addf(b, "pairs/%02d/%03d%s", i / 100, i % 100, i % 100 < 50 ? "" : "/x");
	}
	start();
	probe();
	ck_assert_uint_eq(walk("flat/"), 5000);
	ck_assert_uint_le(b->lists, 7);
	atomic_store(&b->lists, 0);
	ck_assert_uint_eq(walk("nested/"), 5000);
	ck_assert_uint_le(b->lists, 10);
	atomic_store(&b->lists, 0);
	ck_assert_uint_eq(walk("pairs/"), 5000);
	ck_assert_uint_le(b->lists, 10);
	pass(TTL);
	atomic_store(&b->lists, 0);
	ck_assert_uint_eq(walk(""), 15000);
	ck_assert_uint_le(b->lists, 20);
}
END_TEST

/* Directories with more than a page below their sub-directories. */
START_TEST(a_deep_walk_stays_near_its_pages)
{
	for (int i = 0; i < 20; i++) {
		for (int k = 0; k < 30; k++)
			bucket_addf(b, "t/%02d/%02d", i, k);
		for (int k = 0; k < 3000; k++)
			bucket_addf(b, "t/%02d/deep/%04d", i, k);
	}
	start();
	probe();
	ck_assert_uint_eq(walk(""), 20 * 3030);
	/* 61 pages, and one more where a directory was listed by grouping after all. */
	ck_assert_uint_le(b->lists, 61 + 25);
}
END_TEST

START_TEST(shows_the_first_names_at_once)
{
	struct asked_readdir a;

	for (int i = 0; i < 20000; i++)
		bucket_addf(b, "%05d", i);
	start();
	ck_assert_int_eq(some(&a, "", NULL, 100), 0);
	ck_assert_uint_eq(a.q.count, 100);
	ck_assert(!a.q.end);
	ck_assert_uint_eq(b->lists, 1);
	names_readdir_release(&a.q);
}
END_TEST

START_TEST(asks_for_the_next_page_ahead)
{
	struct asked_readdir a;

	for (int i = 0; i < 2000; i++)
		bucket_addf(b, "%05d", i);
	bucket_set_mode(b, BUCKET_STEPS);
	start();
	ck_assert_int_eq(some(&a, "", NULL, 400), 0);
	names_readdir_release(&a.q);
	ck_assert(!bucket_step(b));
	ck_assert_int_eq(some(&a, "", "00399", 400), 0);
	names_readdir_release(&a.q);
	ck_assert(bucket_step(b));
	ck_assert(!bucket_step(b));
	ask_some(&a, "", "00999", 400);
	ck_assert(a.ended);
	ck_assert_uint_eq(a.q.count, 400);
	names_readdir_release(&a.q);
	ck_assert_uint_eq(count_all("", 100), 2000);
	ck_assert_uint_eq(b->lists, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names_counts");
	TCase *tc = tcase_create("names_counts");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_cold_file_costs_one_list);
	tcase_add_test(tc, a_cold_file_of_a_large_directory_costs_two);
	tcase_add_test(tc, a_probe_counts_for_the_root);
	tcase_add_test(tc, files_of_a_page_cost_two_lists);
	tcase_add_test(tc, absent_names_of_a_small_directory_cost_two_lists);
	tcase_add_test(tc, names_crowded_out_cost_one_more);
	tcase_add_test(tc, a_listing_costs_its_pages);
	tcase_add_test(tc, a_walk_costs_its_pages);
	tcase_add_test(tc, a_deep_walk_stays_near_its_pages);
	tcase_add_test(tc, shows_the_first_names_at_once);
	tcase_add_test(tc, asks_for_the_next_page_ahead);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
