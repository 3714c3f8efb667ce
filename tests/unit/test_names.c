/* Names: what is shown of a bucket, for how long it is believed, what equal questions share. */
#include "names_fixture.h"

/* ---- names ---- */

START_TEST(finds_and_lists)
{
	bucket_add(b, "file");
	bucket_add(b, "dir/one");
	bucket_add(b, "dir/two");
	bucket_add(b, "dir/sub/three");
	bucket_add(b, "empty/");
	start();
	ck_assert(is_file("", "file"));
	ck_assert(is_directory("", "dir"));
	ck_assert(is_directory("", "empty"));
	ck_assert(is_file("dir/", "one"));
	ck_assert(is_directory("dir/", "sub"));
	ck_assert(is_file("dir/sub/", "three"));
	ck_assert_int_eq(lookup("", "fil", NULL), -ENOENT);
	ck_assert_int_eq(lookup("", "files", NULL), -ENOENT);
	ck_assert_int_eq(lookup("dir/", "none", NULL), -ENOENT);
	ck_assert_int_eq(lookup("", "di", NULL), -ENOENT);
	reads_as("", "dir/|empty/|file");
	reads_as("dir/", "one|sub/|two");
	reads_as("empty/", "");
	reads_as("dir/sub/", "three");
}
END_TEST

START_TEST(starts_below_a_root)
{
	bucket_destroy(b);
	b = bucket_create(EVERYTHING, "base/", 3);
	bucket_add(b, "above");
	bucket_add(b, "base/a/1");
	bucket_add(b, "base/a/2");
	bucket_add(b, "base/b/1");
	bucket_add(b, "base/c");
	bucket_add(b, "later");
	start();
	probe();
	reads_as("base/", "a/|b/|c");
	reads_as("base/a/", "1|2");
	reads_as("base/b/", "1");
	ck_assert(is_file("base/", "c"));
}
END_TEST

START_TEST(refuses_impossible_names)
{
	char name[258];

	memset(name, 'x', 257);
	name[256] = '\0';
	start();
	ck_assert_int_eq(lookup("", name, NULL), -ENAMETOOLONG);
	name[255] = '\0';
	bucket_add(b, name);
	ck_assert(is_file("", name));
	ck_assert_int_eq(lookup("", ".", NULL), -ENOENT);
	ck_assert_int_eq(lookup("", "", NULL), -ENOENT);
}
END_TEST

/* M1: what cannot be a file name is not shown, and hides nothing else. */
START_TEST(hides_what_cannot_be_shown)
{
	char name[300] = "";

	memset(name, 'x', 256);
	bucket_add(b, name);
	bucket_addf(b, "%s/below", name);
	bucket_add(b, "//deep");
	bucket_add(b, "a//b");
	bucket_add(b, "a/./c");
	bucket_add(b, "a/../d");
	bucket_add(b, "a/..");
	bucket_add(b, "a/.hidden");
	bucket_add(b, "a/...");
	bucket_add(b, "a/good");
	bucket_add(b, "\x01");
	bucket_add(b, "e\xcc\x81");
	bucket_add(b, "\xc3\xa9");
	bucket_add(b, "\xff\xfe");
	bucket_add(b, " space ");
	bucket_add(b, "back\\slash");
	bucket_add(b, "new\nline");
	start();
	reads_as("", "\x01| space |a/|back\\slash|e\xcc\x81|new\nline|\xc3\xa9|\xff\xfe");
	reads_as("a/", "...|.hidden|good");
	pass(TTL);
	ck_assert(is_file("", "\xff\xfe"));
	ck_assert(is_file("", "\x01"));
	ck_assert(is_file("", "e\xcc\x81"));
	ck_assert_int_eq(lookup("", "e", NULL), -ENOENT);
	ck_assert_int_eq(lookup("a/", "..", NULL), -ENOENT);
	/* Page ends everywhere. */
	for (b->page_size = 1; b->page_size < 8; b->page_size++) {
		pass(TTL);
		reads_as("", "\x01| space |a/|back\\slash|e\xcc\x81|new\nline|\xc3\xa9|\xff\xfe");
		reads_as("a/", "...|.hidden|good");
	}
}
END_TEST

/* M1: "a" is held back until "a/" would have come; "a-…" is not. */
START_TEST(holds_back_only_the_name_in_doubt)
{
	struct asked_readdir a;

	bucket_add(b, "a");
	for (int i = 0; i < 5000; i++)
		bucket_addf(b, "a-%04d", i);
	bucket_add(b, "a/x");
	bucket_add(b, "b");
	bucket_add(b, "b.c");
	start();
	ck_assert_int_eq(some(&a, "", NULL, 10), 0);
	ck_assert_uint_eq(a.q.count, 10);
	ck_assert_str_eq(a.q.entries[0].name, "a-0000");
	ck_assert_uint_eq(b->lists, 1);
	names_readdir_release(&a.q);
	ck_assert_uint_eq(count_all("", 100), 5003);
	ck_assert_uint_eq(b->lists, 6);
	ck_assert_int_eq(some(&a, "", "a-4999", 10), 0);
	ck_assert_uint_eq(a.q.count, 3);
	ck_assert_str_eq(a.q.entries[0].name, "a");
	ck_assert(a.q.entries[0].directory);
	ck_assert(a.q.entries[0].hides_object);
	ck_assert_str_eq(a.q.entries[1].name, "b.c");
	ck_assert_str_eq(a.q.entries[2].name, "b");
	names_readdir_release(&a.q);
	ck_assert(is_directory("", "a"));
	ck_assert(is_file("a/", "x"));
}
END_TEST

static size_t count_lines(const char *path, const char *with)
{
	FILE *f = fopen(path, "r");
	char line[5000];
	size_t count = 0;

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		count += strstr(line, with) != NULL;
	fclose(f);
	return count;
}

START_TEST(says_once_what_is_not_shown)
{
	char path[] = "/tmp/test_names.XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(log_open(path, "warn"), 0);
	bucket_add(b, "clash");
	bucket_add(b, "clash/x");
	bucket_add(b, "other");
	bucket_add(b, "other/y");
	bucket_add(b, "d//x");
	bucket_add(b, "d//y");
	bucket_add(b, "d/.");
	bucket_add(b, "d/ok");
	b->page_size = 2;
	start();
	for (int i = 0; i < 3; i++) {
		reads_as("", "clash/|d/|other/");
		ck_assert(is_directory("", "clash"));
		reads_as("d/", "ok");
		pass(TTL);
	}
	ck_assert_int_eq(log_open("stderr", "warn"), 0);
	ck_assert_uint_eq(count_lines(path, "'clash'"), 1);
	ck_assert_uint_eq(count_lines(path, "'other'"), 1);
	ck_assert_uint_eq(count_lines(path, "cannot be shown as file names"), 1);
	ck_assert_uint_eq(count_lines(path, "listing of 'd/'"), 1);
	unlink(path);
}
END_TEST

/* ---- time ---- */

START_TEST(believes_for_the_ttl)
{
	struct names_entry e;

	bucket_add(b, "there");
	start();
	ck_assert_int_eq(lookup("", "there", &e), 0);
	ck_assert_uint_eq(e.valid_ns, TTL);
	ck_assert_int_eq(lookup("", "absent", &e), -ENOENT);
	ck_assert_uint_eq(e.valid_ns, NEGATIVE_TTL);
	ck_assert_uint_eq(b->lists, 2);
	pass(NEGATIVE_TTL - 1);
	ck_assert_int_eq(lookup("", "absent", &e), -ENOENT);
	ck_assert_uint_eq(e.valid_ns, 1);
	ck_assert_uint_eq(b->lists, 2);
	pass(1);
	bucket_add(b, "absent");
	bucket_remove(b, "there");
	ck_assert(is_file("", "absent"));
	ck_assert_uint_eq(b->lists, 3);
	ck_assert_int_eq(lookup("", "there", &e), 0);
	ck_assert_uint_eq(e.valid_ns, TTL - NEGATIVE_TTL);
	ck_assert_uint_eq(b->lists, 3);
	pass(TTL - NEGATIVE_TTL);
	ck_assert_int_eq(lookup("", "there", NULL), -ENOENT);
}
END_TEST

START_TEST(works_without_any_ttl)
{
	bucket_add(b, "a");
	for (int i = 0; i < 2500; i++)
		bucket_addf(b, "a-%04d", i);
	bucket_add(b, "d/x");
	start_with(1000, 0);
	ck_assert(is_file("", "a"));
	ck_assert_int_eq(lookup("", "b", NULL), -ENOENT);
	ck_assert(is_directory("", "d"));
	ck_assert_uint_eq(count_all("", 500), 2502);
	ck_assert_uint_eq(walk(""), 2502);
	bucket_remove(b, "a");
	ck_assert_int_eq(lookup("", "a", NULL), -ENOENT);
}
END_TEST

START_TEST(forgets_and_learns)
{
	struct store_attr attr = {.size = 77, .etag = "\"new\""};
	struct names_entry e;

	for (int i = 0; i < 100; i++)
		bucket_addf(b, "d/%02d", i);
	start();
	ck_assert_uint_eq(count_all("d/", 30), 100);
	ck_assert_uint_eq(b->lists, 1);
	names_forget(n, "d/", "50");
	ck_assert(is_file("d/", "49"));
	ck_assert_uint_eq(b->lists, 1);
	ck_assert(is_file("d/", "50"));
	ck_assert_uint_eq(b->lists, 2);
	names_learn(n, "d/", "50", &attr);
	ck_assert_int_eq(lookup("d/", "50", &e), 0);
	ck_assert_uint_eq(e.attr.size, 77);
	ck_assert_str_eq(e.attr.etag, "\"new\"");
	names_learn(n, "d/", "51", NULL);
	ck_assert_int_eq(lookup("d/", "51", NULL), -ENOENT);
	names_learn(n, "d/", "extra", &attr);
	ck_assert_int_eq(lookup("d/", "extra", NULL), 0);
	attr.is_prefix = true;
	names_learn(n, "d/", "52", &attr);
	ck_assert(is_directory("d/", "52"));
	ck_assert_uint_eq(b->lists, 2);
	bucket_remove(b, "d/10");
	names_forget_below(n, "d/");
	ck_assert_int_eq(lookup("d/", "10", NULL), -ENOENT);
	ck_assert_uint_eq(count_all("d/", 30), 99);
}
END_TEST

/* What was changed while a LIST was under way is not undone by its older answer. */
START_TEST(a_change_outlives_an_older_listing)
{
	struct store_attr attr = {.size = 77};
	struct names_entry e;
	struct asked_readdir a;
	unsigned lists;

	bucket_add(b, "d/a");
	bucket_add(b, "d/b");
	bucket_add(b, "d/c");
	bucket_set_mode(b, BUCKET_STEPS);
	start();
	ask_some(&a, "d/", NULL, 10);
	names_learn(n, "d/", "a", &attr);
	names_learn(n, "d/", "b", NULL);
	names_forget(n, "d/", "c");
	ck_assert(bucket_step(b));
	while (!a.ended)
		ck_assert(bucket_step(b));
	names_readdir_release(&a.q);
	ck_assert_int_eq(lookup("d/", "a", &e), 0);
	ck_assert_uint_eq(e.attr.size, 77);
	ck_assert_int_eq(lookup("d/", "b", NULL), -ENOENT);
	lists = b->lists;
	ck_assert(is_file("d/", "c"));
	ck_assert_uint_eq(b->lists, lists + 1);
}
END_TEST

/* ---- sharing ---- */

START_TEST(equal_questions_share_a_list)
{
	struct asked_lookup asked[16], other;
	struct asked_readdir reading[4];

	bucket_add(b, "d/a");
	bucket_set_mode(b, BUCKET_STEPS);
	start();
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
		ask(&asked[i], "d/", "a");
	ck_assert(bucket_step(b));
	ck_assert(!bucket_step(b));
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		ck_assert(asked[i].ended);
		ck_assert_int_eq(asked[i].result, 0);
		names_entry_release(&asked[i].q.entry);
	}
	/* A listing under way answers for its names, too. */
	pass(TTL);
	for (size_t i = 0; i < ARRAY_SIZE(reading); i++)
		ask_some(&reading[i], "d/", NULL, 10);
	ask(&other, "d/", "a");
	ck_assert(bucket_step(b));
	ck_assert(!bucket_step(b));
	ck_assert(other.ended);
	names_entry_release(&other.q.entry);
	for (size_t i = 0; i < ARRAY_SIZE(reading); i++) {
		ck_assert(reading[i].ended && reading[i].q.end);
		names_readdir_release(&reading[i].q);
	}
	ck_assert_uint_eq(b->lists, 2);
}
END_TEST

/* A name that a listing under way may tell of waits for that. When it fails at the end of all
 * retries, the name's time is over, too (F1); else it is asked for by itself. */
START_TEST(guests_share_the_end_of_all_retries)
{
	struct asked_readdir listing;
	struct asked_lookup guest;

	bucket_add(b, "d/a");
	bucket_set_mode(b, BUCKET_STEPS);
	b->list_error = -ETIMEDOUT;
	b->exhausts = _i;
	start();
	ask_some(&listing, "d/", NULL, 10);
	ask(&guest, "d/", "a");
	ck_assert(bucket_step(b));
	ck_assert(listing.ended);
	ck_assert_int_eq(listing.result, -ETIMEDOUT);
	if (b->exhausts) {
		ck_assert(guest.ended);
		ck_assert_int_eq(guest.result, -ETIMEDOUT);
	} else {
		ck_assert(!guest.ended);
		b->list_error = 0;
		ck_assert(bucket_step(b));
		ck_assert_int_eq(guest.result, 0);
		names_entry_release(&guest.q.entry);
	}
	ck_assert(!bucket_step(b));
	ck_assert_uint_eq(b->lists, 2 - _i);
}
END_TEST

START_TEST(interrupts)
{
	struct asked_lookup asked[2];
	struct asked_readdir a;

	bucket_add(b, "d/a");
	bucket_set_mode(b, BUCKET_STEPS);
	start();
	ask(&asked[0], "d/", "a");
	ask(&asked[1], "d/", "a");
	names_lookup_interrupt(n, &asked[0].q);
	ck_assert(asked[0].ended);
	ck_assert_int_eq(asked[0].result, -EINTR);
	ck_assert(bucket_step(b));
	ck_assert(asked[1].ended);
	names_lookup_interrupt(n, &asked[1].q);
	ck_assert_int_eq(asked[1].result, 0);
	names_entry_release(&asked[1].q.entry);
	ask_some(&a, "", NULL, 10);
	names_readdir_interrupt(n, &a.q);
	ck_assert(a.ended);
	ck_assert_int_eq(a.result, -EINTR);
	ck_assert(bucket_step(b));
	reads_as("", "d/");
	ck_assert_uint_eq(b->lists, 2);
}
END_TEST

/* Nobody waits for all the pages of a directory that a server lists in its own order. */
START_TEST(a_listing_that_nobody_waits_for_ends_after_its_page)
{
	struct asked_readdir first, second;

	bucket_destroy(b);
	b = bucket_create(STORE_LIST, "", 10);
	for (int i = 0; i < 100; i++)
		bucket_addf(b, "d/%02d", i);
	bucket_set_mode(b, BUCKET_STEPS);
	start();
	ask_some(&first, "d/", NULL, 10);
	ask_some(&second, "d/", NULL, 10);
	ck_assert(bucket_step(b));
	names_readdir_interrupt(n, &first.q);
	ck_assert(bucket_step(b)); /* the other one still waits */
	names_readdir_interrupt(n, &second.q);
	ck_assert(bucket_step(b));
	ck_assert(!bucket_step(b));
	ck_assert_uint_eq(b->lists, 3);
	ck_assert_int_eq(some(&first, "d/", NULL, 1000), 0);
	ck_assert_uint_eq(first.q.count, 100);
	names_readdir_release(&first.q);
}
END_TEST

/* An interrupt may be faster than the question that it is for. What is known is told all the
 * same. */
START_TEST(interrupts_before_the_question)
{
	struct names_lookup l = {.done = lookup_ended};
	struct names_readdir r = {.done = readdir_ended};

	bucket_add(b, "d/a");
	bucket_set_mode(b, BUCKET_STEPS);
	start();
	names_lookup_interrupt(n, &l);
	ck_assert_int_eq(names_lookup(n, &l, "d/", "a"), -EINTR);
	names_readdir_interrupt(n, &r);
	ck_assert_int_eq(names_readdir(n, &r, "d/", NULL, 10), -EINTR);
	ck_assert(!bucket_step(b));
	bucket_set_mode(b, BUCKET_AT_ONCE);
	reads_as("d/", "a");
	ck_assert_int_eq(names_lookup(n, &l, "d/", "a"), 1);
	names_entry_release(&l.entry);
	ck_assert_int_eq(names_readdir(n, &r, "d/", NULL, 10), 1);
	names_readdir_release(&r);
}
END_TEST

/* ---- other stores ---- */

START_TEST(folders_are_listed_whole)
{
	bucket_destroy(b);
	b = bucket_create(STORE_LIST, "", 3);
	bucket_add(b, "a");
	bucket_add(b, "a-b");
	bucket_add(b, "d/x");
	bucket_add(b, "d/y/z");
	bucket_add(b, "e");
	bucket_add(b, "f");
	b->reversed = true;
	start();
	ck_assert(is_file("d/", "x"));
	ck_assert_int_eq(lookup("d/", "q", NULL), -ENOENT);
	ck_assert_uint_eq(b->lists, 1);
	reads_as("d/", "x|y/");
	ck_assert_uint_eq(b->lists, 1);
	reads_as("", "a-b|a|d/|e|f");
	ck_assert_uint_eq(b->lists, 3);
	ck_assert(is_file("d/y/", "z"));
	ck_assert_uint_eq(b->flat_lists, 0);
	b->token_circle = 2;
	pass(TTL);
	log_open("/dev/null", "warn");
	ck_assert_int_eq(lookup("", "a", NULL), -EIO);
	log_open("stderr", "warn");
}
END_TEST

START_TEST(a_single_object_is_all_there_is)
{
	bucket_destroy(b);
	b = bucket_create(0, "file.zip", 3);
	bucket_add(b, "file.zip");
	start();
	ck_assert(is_file("", "file.zip"));
	ck_assert_int_eq(lookup("", "other", NULL), -ENOENT);
	reads_as("", "file.zip");
	ck_assert_uint_eq(b->heads, 1);
	pass(TTL);
	reads_as("", "file.zip");
	ck_assert_uint_eq(b->heads, 2);
	bucket_remove(b, "file.zip");
	pass(TTL);
	reads_as("", "");
	ck_assert_int_eq(lookup("", "file.zip", NULL), -ENOENT);
	ck_assert_uint_eq(b->heads, 3);
}
END_TEST

/* ---- size ---- */

START_TEST(keeps_within_its_size)
{
	for (int i = 0; i < 3000; i++)
		bucket_addf(b, "%03d/%02d", i / 10, i % 10);
	for (int i = 0; i < 3000; i++)
		bucket_addf(b, "big/%04d", i);
	b->page_size = 100;
	start_with(500, TTL);
	ck_assert_uint_eq(walk(""), 6000);
	ck_assert_int_le(stats_get(stats, STAT_NAMES_ENTRIES), 1000);
	ck_assert_uint_eq(count_all("big/", 64), 3000);
	ck_assert_int_le(stats_get(stats, STAT_NAMES_ENTRIES), 1000);
	for (int i = 0; i < 300; i++) {
		char *name = xasprintf("%03d/", i);

		ck_assert(is_file(name, "05"));
		free(name);
	}
	ck_assert_int_le(stats_get(stats, STAT_NAMES_ENTRIES), 1000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names");
	TCase *tc = tcase_create("names");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, finds_and_lists);
	tcase_add_test(tc, starts_below_a_root);
	tcase_add_test(tc, refuses_impossible_names);
	tcase_add_test(tc, hides_what_cannot_be_shown);
	tcase_add_test(tc, holds_back_only_the_name_in_doubt);
	tcase_add_test(tc, says_once_what_is_not_shown);
	tcase_add_test(tc, believes_for_the_ttl);
	tcase_add_test(tc, works_without_any_ttl);
	tcase_add_test(tc, forgets_and_learns);
	tcase_add_test(tc, a_change_outlives_an_older_listing);
	tcase_add_test(tc, equal_questions_share_a_list);
	tcase_add_loop_test(tc, guests_share_the_end_of_all_retries, 0, 2);
	tcase_add_test(tc, interrupts);
	tcase_add_test(tc, interrupts_before_the_question);
	tcase_add_test(tc, a_listing_that_nobody_waits_for_ends_after_its_page);
	tcase_add_test(tc, folders_are_listed_whole);
	tcase_add_test(tc, a_single_object_is_all_there_is);
	tcase_add_test(tc, keeps_within_its_size);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
