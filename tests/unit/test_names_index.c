/* The index of names by itself: what pages prove, and where the gaps are. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"
#include "src/names/index.h"
#include "unit.h"

#define TTL 1000
#define NEGATIVE_TTL 100

static struct index *ix;
static struct stats *stats;

static void setup(void)
{
	stats = stats_create();
	ix = index_create(&(struct index_config){
		.metadata_ttl_ns = TTL,
		.negative_ttl_ns = NEGATIVE_TTL,
		.max_entries = 1000,
		.stats = stats,
	});
}

static void teardown(void)
{
	index_destroy(ix);
	ck_assert_int_eq(stats_get(stats, STAT_NAMES_ENTRIES), 0);
	stats_destroy(stats);
}

/* `keys` are separated by '|'. */
static bool feed_at(uint64_t time, const char *prefix, bool delimited, const char *start_after,
                    const char *keys, const char *continuation)
{
	struct store_entry entries[64] = {0};
	struct index_page page = {
		.prefix = prefix,
		.delimited = delimited,
		.start_after = start_after,
		.entries = entries,
		.continuation = continuation,
		.time = time,
	};
	char *copy = xstrdup(keys), *rest = copy, *key;
	bool told;

	while ((key = strsep(&rest, "|")) && *key) {
		entries[page.count].key = key;
		entries[page.count].key_length = strlen(key);
		entries[page.count].attr.size = strlen(key);
		entries[page.count++].attr.is_prefix = key[strlen(key) - 1] == '/';
	}
	told = index_feed(ix, &page);
	free(copy);
	return told;
}

static bool feed(const char *prefix, bool delimited, const char *start_after, const char *keys,
                 bool more)
{
	return feed_at(0, prefix, delimited, start_after, keys, more ? "token" : NULL);
}

/* What a reader sees of a directory, in steps of max: names, then "." at the end or the gap in
 * parentheses, with '$' for a NUL. */
static char *describe(const char *prefix, size_t max, uint64_t now)
{
	struct buf text = BUF_INIT;
	char *after = NULL;
	struct index_reading r;

	do {
		index_read(ix, prefix, after, max, (struct index_time){now, UINT64_MAX}, &r);
		for (size_t i = 0; i < r.count; i++) {
			struct names_entry *e = &r.entries[i];

			buf_addf(&text, "%s%s%s ", e->name, e->directory ? "/" : "",
			         e->hides_object ? "!" : "");
			free(after);
			after = e->name;
			e->name = NULL;
		}
		free(r.entries);
		if (r.end) {
			buf_addc(&text, '.');
		} else if (r.count < max) {
			buf_addc(&text, '(');
			for (size_t i = 0; i < r.gap.length; i++)
				buf_addc(&text, r.gap.data[i] ? r.gap.data[i] : '$');
			buf_adds(&text, r.gap_is_key ? "=)" : ")");
		}
		free(r.gap.data);
	} while (!r.end && r.count == max);
	free(after);
	return buf_detach(&text);
}

static void is_at(uint64_t now, const char *prefix, const char *expected)
{
	for (size_t max = 1; max < 5; max++) {
		char *seen = describe(prefix, max, now);

		ck_assert_str_eq(seen, expected);
		free(seen);
	}
}

static void is(const char *prefix, const char *expected)
{
	is_at(0, prefix, expected);
}

static char letter(enum index_answer answer)
{
	return "FDA?b"[answer];
}

/* What is known of some names, a letter each: File, Directory, Absent, ? unknown, b unknown
 * below. */
static void knows_at(uint64_t now, const char *prefix, const char *names, const char *expected)
{
	char *copy = xstrdup(names), *rest = copy, *name, answers[64] = "";
	struct names_entry e;

	while ((name = strsep(&rest, " "))) {
		char one[2] = {letter(index_find(ix, prefix, name,
		                                 (struct index_time){now, UINT64_MAX}, &e))};

		strcat(answers, one);
	}
	ck_assert_msg(!strcmp(answers, expected), "'%s' in '%s' are %s, not %s", names, prefix,
	              answers, expected);
	free(copy);
}

static void knows(const char *prefix, const char *names, const char *expected)
{
	knows_at(0, prefix, names, expected);
}

START_TEST(a_grouped_page)
{
	knows("", "a b", "??");
	is("", "()");
	feed("", true, NULL, "a|b-c|b/|d", true);
	knows("", "0 a aa b b-c b. c d d! e", "AFADFAAb??");
	is("", "a b-c b/ (d$)");
	feed("", true, "d", "d/|e", false);
	knows("", "d e f \xff", "DFAA");
	is("", "a b-c b/ d/! e .");
	knows("b/", "x", "?");
	is("b/", "()");
}
END_TEST

START_TEST(a_flat_page)
{
	feed("p/", false, NULL, "p/|p/a/1|p/a/2|p/b|p/c/d/x|p/c/e", true);
	is("p/", "a/ b c/ (c/$)");
	is("p/a/", "1 2 .");
	is("p/c/", "d/ (e$)");
	is("p/c/d/", "x .");
	knows("p/c/", "d d.x e e-", "DAb?");
	/* The directory itself is there. */
	knows("", "p", "D");
	knows("", "o q", "??");
	/* The page after it ends what it began in. */
	feed("p/", false, "p/c/e", "p/d", false);
	is("p/c/", "d/ e .");
	is("p/", "a/ b c/ d .");
}
END_TEST

START_TEST(a_page_that_begins_below)
{
	feed("", false, "m/n/k", "m/n/l|z", true);
	is("m/n/", "()");
	knows("m/n/", "k l m", "?FA");
	knows("m/", "n o", "DA");
	knows("", "m n z zz", "DAb?");
	/* Nothing more of it: it has ended, but whether it is there is not known. */
	feed("", false, "q/r/k", "q/s", false);
	knows("q/r/", "l", "A");
	knows("q/", "r s", "?F");
	feed("", false, "x/", "y", true);
	is("x/", ".");
	knows("", "x xx y z", "AAFA");
}
END_TEST

START_TEST(a_page_for_a_name)
{
	feed("d/name", false, NULL, "d/name|d/name-1|d/name.x/y|d/name/z|d/names", false);
	knows("d/", "name name-1 name.x names name0 nam nbme", "DFDFA??");
	is("d/name/", "z .");
	is("d/", "()");
	feed("d/long", false, NULL, "d/long|d/long-1", true);
	knows("d/", "long long-0 long.", "bA?");
	feed("d/long/", false, NULL, "", false);
	knows("d/", "long", "F");
	feed("d/long/", false, NULL, "d/long/x", true);
	knows("d/", "long", "D");
	feed("none", false, NULL, "", false);
	knows("", "none none-x nonf", "AA?");
	feed("\xff", false, NULL, "\xff|\xff\xff", false);
	knows("", "\xff \xff\xff \xff\xff\xff", "FFA");
}
END_TEST

/* New pages take the place of what they overlap, wherever their ends lie. */
START_TEST(pages_overlap)
{
	feed("", true, NULL, "a|c|e|g|i", false);
	feed("", true, "b", "c|d", true);
	is("", "a c d e g i .");
	feed("", true, "d", "f", true);
	is("", "a c d f g i .");
	feed("", true, "f", "", false);
	is("", "a c d f .");
	feed("", true, NULL, "z", true);
	is("", "z .");
	feed("", true, NULL, "", false);
	is("", ".");
	ck_assert(!feed("", true, NULL, "", true));
	ck_assert(!feed("", true, "y", "a|b", true));
	ck_assert(feed("", true, "y", "a|b|z", true));
	is("", "z .");
	knows("", "a y z", "AAF");
}
END_TEST

START_TEST(single_names)
{
	struct store_attr file = {.size = 5, .etag = "\"x\"", .version = "v1"};
	const struct store_attr directory = {.is_prefix = true};
	struct names_entry e;

	index_learn(ix, "d/", "b", &file, 0);
	knows("d/", "a b c", "?F?");
	index_find(ix, "d/", "b", (struct index_time){0, 0}, &e);
	ck_assert_uint_eq(e.attr.size, 5);
	ck_assert_str_eq(e.attr.etag, "\"x\"");
	ck_assert_str_eq(e.attr.version, "v1");
	is("d/", "()");
	feed("d/", true, NULL, "d/a|d/b|d/c", false);
	index_forget(ix, "d/", "b");
	knows("d/", "a b c", "F?F");
	is("d/", "a (b)");
	index_learn(ix, "d/", "b", &directory, 0);
	is("d/", "a b/ c .");
	index_learn(ix, "d/", "c", NULL, 0);
	is("d/", "a b/ .");
	index_learn(ix, "d/", "bb", &file, 0);
	is("d/", "a b/ bb .");
	index_forget_below(ix, "d/");
	is("d/", "()");
}
END_TEST

START_TEST(names_expire)
{
	struct names_entry e;

	feed_at(0, "", true, NULL, "a|b", "token");
	feed_at(500, "", true, "b", "c", NULL);
	knows_at(NEGATIVE_TTL - 1, "", "a aa", "FA");
	knows_at(NEGATIVE_TTL, "", "a aa", "F?");
	is_at(TTL - 1, "", "a b c .");
	is_at(TTL, "", "()");
	knows_at(TTL, "", "a c", "?F");
	knows_at(TTL + 499, "", "c", "F");
	knows_at(TTL + 500, "", "c", "?");
	/* But what was learnt since the question was asked counts. */
	ck_assert_int_eq(index_find(ix, "", "c", (struct index_time){9999, 500}, &e), INDEX_FILE);
	ck_assert_uint_eq(e.valid_ns, 0);
	ck_assert_int_eq(index_find(ix, "", "c", (struct index_time){9999, 501}, &e),
	                 INDEX_UNKNOWN);
	ck_assert_int_eq(index_find(ix, "", "c", (struct index_time){600, 600}, &e), INDEX_FILE);
	ck_assert_uint_eq(e.valid_ns, 900);
}
END_TEST

/* A reader that continues after a name still gets what was held back before it. */
START_TEST(what_was_held_back_comes)
{
	struct index_reading r;

	feed("", true, NULL, "a|a-|a-b|a-b.c|a-b.c-d|b", false);
	is("", "a- a-b.c-d a-b.c a-b a b .");
	index_forget(ix, "", "a-b");
	index_read(ix, "", "a-b.c", 10, (struct index_time){0}, &r);
	ck_assert(r.gap_is_key);
	ck_assert_uint_eq(r.gap.length, 3);
	ck_assert_str_eq(r.gap.data, "a-b");
	ck_assert_uint_eq(r.count, 0);
	free(r.gap.data);
}
END_TEST

START_TEST(listings_go_on)
{
	struct place gap = {(char *)"b", 2};
	const struct index_time now = {0};
	char *key;

	feed("", true, NULL, "a|b", true);
	ck_assert_str_eq(index_continuation(ix, "", &gap, now), "token");
	gap.data = (char *)"a";
	ck_assert_ptr_null(index_continuation(ix, "", &gap, now));
	gap.data = (char *)"b";
	ck_assert_ptr_null(index_continuation(ix, "", &gap, (struct index_time){TTL, TTL}));
	feed("", true, "b", "", false);
	ck_assert_ptr_null(index_continuation(ix, "", &gap, now));

	gap = (struct place){(char *)"s/", 3};
	feed("w/", false, NULL, "w/r|w/s/t/u/v", true);
	is("w/", "r s/ (s/$)");
	key = index_end_below(ix, "w/", &gap, now);
	ck_assert_str_eq(key, "w/s/t/u/v");
	free(key);
	feed("w/s/", false, NULL, "w/s/t/u/v", false);
	key = index_end_below(ix, "w/", &gap, now);
	ck_assert_str_eq(key, "w/s/" KEY_LAST);
	free(key);
}
END_TEST

START_TEST(hidden_names_are_told_once)
{
	const char *example;

	feed("", true, NULL, "/|a|b/", false);
	feed("d/", false, NULL, "d/./x|d/./y|d/..|d//|d/c", true);
	ck_assert_uint_eq(index_take_hidden(ix, "", &example), 1);
	ck_assert_str_eq(example, "/");
	ck_assert_uint_eq(index_take_hidden(ix, "", &example), 0);
	is("d/", "(c$)");
	feed("d/", false, NULL, "d/./x", true);
	feed("d/", false, "d/./x", "d/./y|d/c", false);
	ck_assert_uint_eq(index_take_hidden(ix, "d/", &example), 1);
	ck_assert_str_eq(example, "./");
	is("d/", "c .");
}
END_TEST

START_TEST(the_least_used_goes_first)
{
	char directory[8], keys[16];

	for (int i = 0; i < 400; i++) {
		snprintf(directory, sizeof(directory), "%03d/", i);
		snprintf(keys, sizeof(keys), "%03d/a|%03d/b", i, i);
		feed(directory, true, NULL, keys, false);
	}
	knows("000/", "a x", "FA");
	index_trim(ix);
	knows("000/", "a x", "FA");
	knows("399/", "a x", "FA");
	knows("001/", "a x", "??");
	ck_assert_int_le(stats_get(stats, STAT_NAMES_ENTRIES), 1000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names_index");
	TCase *tc = tcase_create("names_index");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_grouped_page);
	tcase_add_test(tc, a_flat_page);
	tcase_add_test(tc, a_page_that_begins_below);
	tcase_add_test(tc, a_page_for_a_name);
	tcase_add_test(tc, pages_overlap);
	tcase_add_test(tc, single_names);
	tcase_add_test(tc, names_expire);
	tcase_add_test(tc, what_was_held_back_comes);
	tcase_add_test(tc, listings_go_on);
	tcase_add_test(tc, hidden_names_are_told_once);
	tcase_add_test(tc, the_least_used_goes_first);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
