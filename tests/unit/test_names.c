/* Names over a bucket in memory: what is shown, and the number of requests that it takes. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bucket.h"
#include "pailfs/base/log.h"
#include "pailfs/base/xalloc.h"
#include "pailfs/names.h"

#define EVERYTHING (STORE_LIST | STORE_ORDERED_LIST | STORE_FLAT_LIST)
#define TTL (10 * NS_PER_SECOND)
#define NEGATIVE_TTL (2 * NS_PER_SECOND)

static struct bucket *b;
static struct names *n;
static struct test_clock test_clock;
static struct stats *stats;

static void start_with(size_t max_entries, uint64_t ttl)
{
	n = names_create(&(struct names_config){
		.store = &b->store,
		.stats = stats,
		.clock = &test_clock.clock,
		.metadata_ttl_ns = ttl,
		.negative_ttl_ns = MIN(ttl, NEGATIVE_TTL),
		.max_entries = max_entries,
	});
}

static void start(void)
{
	start_with(1000000, TTL);
}

static void setup(void)
{
	test_clock_init(&test_clock);
	stats = stats_create();
	b = bucket_create(EVERYTHING, "", 1000);
	n = NULL;
}

static void teardown(void)
{
	names_destroy(n);
	ck_assert_int_eq(stats_get(stats, STAT_NAMES_ENTRIES), 0);
	bucket_destroy(b);
	stats_destroy(stats);
}

static void pass(uint64_t ns)
{
	atomic_fetch_add(&test_clock.now, ns);
}

/* A request and how it ended. */
struct asked_lookup {
	struct names_lookup q;
	int result;
	bool ended;
};

static void lookup_ended(struct names_lookup *q, int result)
{
	struct asked_lookup *a = container_of(q, struct asked_lookup, q);

	ck_assert(!a->ended);
	a->result = result;
	a->ended = true;
}

static void ask(struct asked_lookup *a, const char *prefix, const char *name)
{
	*a = (struct asked_lookup){.q.done = lookup_ended};
	a->result = names_lookup(n, &a->q, prefix, name);
	a->ended = a->result != 0;
	if (a->result == 1)
		a->result = 0;
}

static int lookup(const char *prefix, const char *name, struct names_entry *e)
{
	struct asked_lookup a;

	ask(&a, prefix, name);
	while (!a.ended)
		ck_assert(bucket_step(b));
	if (a.result == 0)
		ck_assert_str_eq(a.q.entry.name, name);
	if (e)
		*e = a.q.entry;
	names_entry_release(&a.q.entry);
	return a.result;
}

static bool is_file(const char *prefix, const char *name)
{
	struct names_entry e;

	return lookup(prefix, name, &e) == 0 && !e.directory &&
	       e.attr.size == strlen(prefix) + strlen(name);
}

static bool is_directory(const char *prefix, const char *name)
{
	struct names_entry e;

	return lookup(prefix, name, &e) == 0 && e.directory && e.attr.is_prefix;
}

struct asked_readdir {
	struct names_readdir q;
	int result;
	bool ended;
};

static void readdir_ended(struct names_readdir *q, int result)
{
	struct asked_readdir *a = container_of(q, struct asked_readdir, q);

	ck_assert(!a->ended);
	a->result = result;
	a->ended = true;
}

static void ask_some(struct asked_readdir *a, const char *prefix, const char *after, size_t max)
{
	*a = (struct asked_readdir){.q.done = readdir_ended};
	a->result = names_readdir(n, &a->q, prefix, after, max);
	a->ended = a->result != 0;
	if (a->result == 1)
		a->result = 0;
}

static int some(struct asked_readdir *a, const char *prefix, const char *after, size_t max)
{
	ask_some(a, prefix, after, max);
	while (!a->ended)
		ck_assert(bucket_step(b));
	return a->result;
}

/* Reads a directory to its end in steps of `max`; the names joined by '|', with a '/' behind
 * directories, or NULL and *error. */
static char *read_all(const char *prefix, size_t max, int *error)
{
	struct buf all = BUF_INIT;
	char *cursor = NULL, *last = NULL;
	bool end = false;

	while (!end) {
		struct asked_readdir a;

		*error = some(&a, prefix, cursor, max);
		if (*error) {
			buf_release(&all);
			free(cursor);
			free(last);
			return NULL;
		}
		ck_assert(a.q.count > 0 || a.q.end);
		ck_assert_uint_le(a.q.count, max);
		for (size_t i = 0; i < a.q.count; i++) {
			const struct names_entry *e = &a.q.entries[i];
			char *place = xasprintf("%s/", e->name);

			/* The order that names come in, so that a reader gets on. */
			ck_assert_msg(!last || strcmp(last, place) < 0, "'%s' after '%s' in '%s'",
			              place, last, prefix);
			free(last);
			last = place;
			buf_addf(&all, "%s%s%s", all.length ? "|" : "", e->name,
			         e->directory ? "/" : "");
			ck_assert_uint_eq(e->directory, e->attr.is_prefix);
			if (!e->directory)
				ck_assert_uint_eq(e->attr.size, strlen(prefix) + strlen(e->name));
		}
		if (a.q.count > 0) {
			free(cursor);
			cursor = names_cursor(&a.q.entries[a.q.count - 1]);
		}
		end = a.q.end;
		names_readdir_release(&a.q);
	}
	free(cursor);
	free(last);
	return buf_detach(&all);
}

static void reads_as(const char *prefix, const char *expected)
{
	for (size_t max = 1; max <= 7; max += 3) {
		int error;
		char *names = read_all(prefix, max, &error);

		ck_assert_int_eq(error, 0);
		ck_assert_str_eq(names, expected);
		free(names);
	}
}

static size_t count_all(const char *prefix, size_t max)
{
	int error;
	char *names = read_all(prefix, max, &error);
	size_t count = names && names[0] ? 1 : 0;

	ck_assert_int_eq(error, 0);
	for (const char *c = names; *c; c++)
		count += *c == '|';
	free(names);
	return count;
}

/* find: lists every directory before it goes below it. Returns the number of files. */
static size_t walk(const char *prefix)
{
	int error;
	char *names = read_all(prefix, 100, &error), *rest = names, *name;
	size_t files = 0;

	ck_assert_int_eq(error, 0);
	while ((name = strsep(&rest, "|")) && *name) {
		char *below = xasprintf("%s%s", prefix, name);

		if (name[strlen(name) - 1] == '/')
			files += walk(below);
		else
			files++;
		free(below);
	}
	free(names);
	return files;
}

static void never(struct store_op *op, int result)
{
	ck_abort_msg("a store that answers at once called back");
}

/* What a mount does before it serves. */
static void probe(void)
{
	struct store_list page = {.op.done = never, .prefix = b->store.root, .delimited = true};
	int mode = b->mode;

	b->mode = BUCKET_AT_ONCE;
	ck_assert_int_eq(store_list(&b->store, &page), 1);
	names_feed(n, &page);
	store_list_release(&page);
	b->mode = mode;
	atomic_store(&b->lists, 0);
}

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

/* ---- a model ---- */

static const char *random_name(unsigned *seed)
{
	static const char *names[] = {"a", "a-", "a-b", "a.b", "a/", "a0", "ab", "b", "b!", "b!!",
	                              "b!!c", "c", "\xc3\xa9", "\xff", "zz", "a-b-c", "-", "!"};

	return names[(size_t)rand_r(seed) % ARRAY_SIZE(names)];
}

static char *random_prefix(unsigned *seed, int depth)
{
	struct buf prefix = BUF_INIT;

	for (int i = rand_r(seed) % (depth + 1); i > 0; i--) {
		const char *name = random_name(seed);

		buf_add(&prefix, name, strcspn(name, "/"));
		buf_addc(&prefix, '/');
	}
	return buf_detach(&prefix);
}

static int compare_shown(const void *a, const void *b_)
{
	return strcmp(*(char *const *)a, *(char *const *)b_);
}

/* What the bucket's keys say a directory shows. */
static char *truth(const char *prefix)
{
	size_t length = strlen(prefix), count = 0;
	char **shown = xcalloc(b->count + 1, sizeof(*shown));
	struct buf all = BUF_INIT;

	for (size_t i = 0; i < b->count; i++) {
		const char *rest = b->keys[i] + length;

		if (strncmp(b->keys[i], prefix, length) || !*rest)
			continue;
		shown[count++] = xasprintf("%.*s/", (int)strcspn(rest, "/"), rest);
	}
	qsort(shown, count, sizeof(*shown), compare_shown);
	for (size_t i = 0; i < count; i++) {
		char *key = xasprintf("%s%s", prefix, shown[i]);

		if (i == 0 || strcmp(shown[i - 1], shown[i]))
			buf_addf(&all, "%s%.*s", all.length ? "|" : "",
			         (int)strlen(shown[i]) - !bucket_has_below(b, key), shown[i]);
		free(key);
	}
	for (size_t i = 0; i < count; i++)
		free(shown[i]);
	free(shown);
	return buf_detach(&all);
}

static void mutate(unsigned *seed)
{
	for (int i = 0; i < 5; i++) {
		char *prefix = random_prefix(seed, 3);
		char *key = xasprintf("%s%s", prefix, random_name(seed));

		if (rand_r(seed) % 3)
			bucket_add(b, key);
		else
			bucket_remove(b, key);
		free(key);
		free(prefix);
	}
}

START_TEST(agrees_with_the_bucket)
{
	unsigned seed = (unsigned)_i * 7919 + 1;

	b->page_size = 1 + (size_t)rand_r(&seed) % 12;
	b->shows_prefix_again = rand_r(&seed) % 2;
	if (rand_r(&seed) % 2)
		bucket_set_mode(b, BUCKET_STEPS);
	log_open("/dev/null", "error");
	for (int i = rand_r(&seed) % 30; i >= 0; i--)
		mutate(&seed);
	start_with(rand_r(&seed) % 3 ? 1000000 : 20, rand_r(&seed) % 8 ? TTL : 0);
	for (int step = 0; step < 400; step++) {
		char *prefix = random_prefix(&seed, 2), *expected, *got, *key;
		const char *name = random_name(&seed);
		size_t length = strcspn(name, "/");
		char *plain = xstrndup(name, length);
		bool file, below;
		int error, result;

		switch (rand_r(&seed) % 12) {
		case 0:
			mutate(&seed);
			pass(TTL);
			while (bucket_step(b)) /* pages ahead are of before */
				;
			names_forget_below(n, "");
			break;
		case 1:
			while (bucket_step(b))
				;
			mutate(&seed);
			pass(TTL);
			break;
		case 2:
			pass(TTL / 3);
			break;
		case 3:
			names_forget(n, prefix, plain);
			break;
		case 4:
			names_forget_below(n, prefix);
			break;
		case 5:
		case 6:
		case 7:
			expected = truth(prefix);
			got = read_all(prefix, 1 + (size_t)rand_r(&seed) % 6, &error);
			ck_assert_int_eq(error, 0);
			ck_assert_str_eq(got, expected);
			free(expected);
			free(got);
			break;
		default:
			key = xasprintf("%s%s", prefix, plain);
			file = bucket_has(b, key);
			free(key);
			key = xasprintf("%s%s/", prefix, plain);
			below = bucket_has_below(b, key);
			free(key);
			result = lookup(prefix, plain, NULL);
			ck_assert_int_eq(result, file || below ? 0 : -ENOENT);
			if (below)
				ck_assert(is_directory(prefix, plain));
			else if (file)
				ck_assert(is_file(prefix, plain));
		}
		free(plain);
		free(prefix);
	}
	log_open("stderr", "warn");
}
END_TEST

/* ---- threads ---- */

struct crowd_member {
	struct names_lookup lookup;
	struct names_readdir readdir;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool ended;
	int result;
	unsigned seed;
};

static void member_wake(struct crowd_member *m, int result)
{
	pthread_mutex_lock(&m->lock);
	m->ended = true;
	m->result = result;
	pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->lock);
}

static void member_lookup_done(struct names_lookup *q, int result)
{
	member_wake(container_of(q, struct crowd_member, lookup), result);
}

static void member_readdir_done(struct names_readdir *q, int result)
{
	member_wake(container_of(q, struct crowd_member, readdir), result);
}

static int member_wait(struct crowd_member *m, int result)
{
	if (result)
		return result == 1 ? 0 : result;
	pthread_mutex_lock(&m->lock);
	while (!m->ended)
		pthread_cond_wait(&m->wake, &m->lock);
	pthread_mutex_unlock(&m->lock);
	return m->result;
}

static void *crowd(void *arg)
{
	struct crowd_member *m = arg;

	for (int i = 0; i < 400; i++) {
		char name[16], prefix[16];
		int what = rand_r(&m->seed) % 8, result;

		snprintf(prefix, sizeof(prefix), "%02d/", rand_r(&m->seed) % 20);
		snprintf(name, sizeof(name), "%02d", rand_r(&m->seed) % 60);
		m->ended = false;
		if (what < 4) {
			m->lookup = (struct names_lookup){.done = member_lookup_done};
			result = names_lookup(n, &m->lookup, prefix, name);
			if (result == 0 && what == 0)
				names_lookup_interrupt(n, &m->lookup);
			result = member_wait(m, result);
			ck_assert(result == (atoi(name) < 50 ? 0 : -ENOENT) || result == -EINTR);
			names_entry_release(&m->lookup.entry);
		} else if (what < 6) {
			m->readdir = (struct names_readdir){.done = member_readdir_done};
			result = names_readdir(n, &m->readdir, prefix, NULL, 100);
			if (result == 0 && what == 4)
				names_readdir_interrupt(n, &m->readdir);
			result = member_wait(m, result);
			ck_assert(result == 0 || result == -EINTR);
			names_readdir_release(&m->readdir);
		} else if (what == 6) {
			names_forget(n, prefix, name);
			pass(TTL / 50);
		} else {
			names_forget_below(n, i % 10 ? prefix : "");
		}
	}
	return NULL;
}

START_TEST(many_threads_ask)
{
	struct crowd_member members[6] = {0};
	pthread_t threads[ARRAY_SIZE(members)];

	for (int i = 0; i < 1000; i++)
		bucket_addf(b, "%02d/%02d", i / 50, i % 50);
	b->page_size = 40;
	bucket_set_mode(b, BUCKET_THREAD);
	start_with(300, TTL);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		pthread_mutex_init(&members[i].lock, NULL);
		pthread_cond_init(&members[i].wake, NULL);
		members[i].seed = (unsigned)i + 1;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, crowd, &members[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		pthread_join(threads[i], NULL);
}
END_TEST

/* A million names: what is held is compact and found in a moment. */
START_TEST(a_million_names)
{
	enum { NAMES = 1000000 };
	struct asked_readdir a;
	size_t count = 0;
	char *cursor = NULL;
	bool end = false;

	b->keys = xcalloc(NAMES, sizeof(*b->keys));
	b->capacity = b->count = NAMES;
	for (size_t i = 0; i < NAMES; i++)
		b->keys[i] = xasprintf("train/sample-%07zu.jpg", i);
	start_with(2 * NAMES, 1000 * NS_PER_SECOND);
	while (!end) {
		ck_assert_int_eq(some(&a, "train/", cursor, 128), 0);
		count += a.q.count;
		if (a.q.count > 0) {
			free(cursor);
			cursor = names_cursor(&a.q.entries[a.q.count - 1]);
		}
		end = a.q.end;
		names_readdir_release(&a.q);
	}
	free(cursor);
	ck_assert_uint_eq(count, NAMES);
	ck_assert_uint_eq(b->lists, NAMES / 1000);
	for (unsigned i = 0, seed = 1; i < 100000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "sample-%07d.jpg", rand_r(&seed) % NAMES);
		ck_assert(is_file("train/", name));
	}
	ck_assert_uint_eq(b->lists, NAMES / 1000);
	/* And "train" itself. */
	ck_assert_int_eq(stats_get(stats, STAT_NAMES_ENTRIES), NAMES + 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names");
	TCase *tc = tcase_create("names"), *model = tcase_create("model");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_checked_fixture(model, setup, teardown);
	tcase_set_timeout(tc, 120); /* a million names take a while under a sanitizer */
	tcase_set_timeout(model, 60);
	tcase_add_test(tc, finds_and_lists);
	tcase_add_test(tc, starts_below_a_root);
	tcase_add_test(tc, refuses_impossible_names);
	tcase_add_test(tc, hides_what_cannot_be_shown);
	tcase_add_test(tc, holds_back_only_the_name_in_doubt);
	tcase_add_test(tc, says_once_what_is_not_shown);
	tcase_add_test(tc, a_cold_file_costs_one_list);
	tcase_add_test(tc, a_cold_file_of_a_large_directory_costs_two);
	tcase_add_test(tc, a_probe_counts_for_the_root);
	tcase_add_test(tc, files_of_a_page_cost_two_lists);
	tcase_add_test(tc, names_crowded_out_cost_one_more);
	tcase_add_test(tc, a_listing_costs_its_pages);
	tcase_add_test(tc, a_walk_costs_its_pages);
	tcase_add_test(tc, a_deep_walk_stays_near_its_pages);
	tcase_add_test(tc, shows_the_first_names_at_once);
	tcase_add_test(tc, asks_for_the_next_page_ahead);
	tcase_add_test(tc, believes_for_the_ttl);
	tcase_add_test(tc, works_without_any_ttl);
	tcase_add_test(tc, forgets_and_learns);
	tcase_add_test(tc, a_change_outlives_an_older_listing);
	tcase_add_test(tc, equal_questions_share_a_list);
	tcase_add_loop_test(tc, guests_share_the_end_of_all_retries, 0, 2);
	tcase_add_test(tc, interrupts);
	tcase_add_test(tc, interrupts_before_the_question);
	tcase_add_test(tc, an_error_is_not_a_short_directory);
	tcase_add_test(tc, a_failed_page_ahead_is_asked_again);
	tcase_add_loop_test(tc, an_endless_listing_ends, 0, 4);
	tcase_add_test(tc, empty_pages_are_passed_over);
	tcase_add_loop_test(tc, odd_servers_are_read_right, 0, 4);
	tcase_add_test(tc, pages_out_of_order_are_read_whole);
	tcase_add_test(tc, looks_names_up_where_listing_is_denied);
	tcase_add_test(tc, bad_credentials_deny_nothing);
	tcase_add_test(tc, hidden_directories_can_be_passed);
	tcase_add_test(tc, a_directory_may_be_listed_where_names_may_not);
	tcase_add_test(tc, folders_are_listed_whole);
	tcase_add_test(tc, a_single_object_is_all_there_is);
	tcase_add_test(tc, keeps_within_its_size);
	tcase_add_test(tc, many_threads_ask);
	tcase_add_test(tc, a_million_names);
	tcase_add_loop_test(model, agrees_with_the_bucket, 0, 40);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, model);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
