/* names_fixture.h - names over a bucket in memory (bucket.h), and questions that are asked to
 * their end: each step of the bucket answers one request. */
#ifndef PAILFS_TESTS_NAMES_FIXTURE_H
#define PAILFS_TESTS_NAMES_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bucket.h"
#include "unit.h"
#include "pailfs/base/log.h"
#include "pailfs/base/xalloc.h"
#include "pailfs/names.h"

#define EVERYTHING (STORE_LIST | STORE_ORDERED_LIST | STORE_FLAT_LIST)
#define TTL (10 * NS_PER_SECOND)
#define NEGATIVE_TTL (2 * NS_PER_SECOND)
#define PATIENCE (60 * NS_PER_SECOND)

static struct bucket *b;
static struct names *n;
static struct test_clock test_clock;
static struct stats *stats;

static inline void start_with(size_t max_entries, uint64_t ttl)
{
	n = names_create(&(struct names_config){
		.store = &b->store,
		.stats = stats,
		.clock = &test_clock.clock,
		.metadata_ttl_ns = ttl,
		.patience_ns = PATIENCE,
		.negative_ttl_ns = MIN(ttl, NEGATIVE_TTL),
		.max_entries = max_entries,
	});
}

static inline void start(void)
{
	start_with(1000000, TTL);
}

static inline void setup(void)
{
	test_clock_init(&test_clock);
	stats = stats_create();
	b = bucket_create(EVERYTHING, "", 1000);
	n = NULL;
}

static inline void teardown(void)
{
	names_destroy(n);
	ck_assert_int_eq(stats_get(stats, STAT_NAMES_ENTRIES), 0);
	bucket_destroy(b);
	stats_destroy(stats);
}

static inline void pass(uint64_t ns)
{
	atomic_fetch_add(&test_clock.now, ns);
}

/* A request and how it ended. */
struct asked_lookup {
	struct names_lookup q;
	int result;
	bool ended;
};

static inline void lookup_ended(struct names_lookup *q, int result)
{
	struct asked_lookup *a = container_of(q, struct asked_lookup, q);

	ck_assert(!a->ended);
	a->result = result;
	a->ended = true;
}

static inline void ask(struct asked_lookup *a, const char *prefix, const char *name)
{
	*a = (struct asked_lookup){.q.done = lookup_ended};
	a->result = names_lookup(n, &a->q, prefix, name);
	a->ended = a->result != 0;
	if (a->result == 1)
		a->result = 0;
}

static inline int lookup(const char *prefix, const char *name, struct names_entry *e)
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

static inline bool is_file(const char *prefix, const char *name)
{
	struct names_entry e;

	return lookup(prefix, name, &e) == 0 && !e.directory &&
	       e.attr.size == strlen(prefix) + strlen(name);
}

static inline bool is_directory(const char *prefix, const char *name)
{
	struct names_entry e;

	return lookup(prefix, name, &e) == 0 && e.directory && e.attr.is_prefix;
}

struct asked_readdir {
	struct names_readdir q;
	int result;
	bool ended;
};

static inline void readdir_ended(struct names_readdir *q, int result)
{
	struct asked_readdir *a = container_of(q, struct asked_readdir, q);

	ck_assert(!a->ended);
	a->result = result;
	a->ended = true;
}

static inline void ask_some(struct asked_readdir *a, const char *prefix, const char *after, size_t max)
{
	*a = (struct asked_readdir){.q.done = readdir_ended};
	a->result = names_readdir(n, &a->q, prefix, after, max);
	a->ended = a->result != 0;
	if (a->result == 1)
		a->result = 0;
}

static inline int some(struct asked_readdir *a, const char *prefix, const char *after, size_t max)
{
	ask_some(a, prefix, after, max);
	while (!a->ended)
		ck_assert(bucket_step(b));
	return a->result;
}

/* Reads a directory to its end in steps of `max`; the names joined by '|', with a '/' behind
 * directories, or NULL and *error. */
static inline char *read_all(const char *prefix, size_t max, int *error)
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

static inline void reads_as(const char *prefix, const char *expected)
{
	for (size_t max = 1; max <= 7; max += 3) {
		int error;
		char *names = read_all(prefix, max, &error);

		ck_assert_int_eq(error, 0);
		ck_assert_str_eq(names, expected);
		free(names);
	}
}

static inline size_t count_all(const char *prefix, size_t max)
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
static inline size_t walk(const char *prefix)
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

static inline void never(struct store_op *op, int result)
{
	ck_abort_msg("a store that answers at once called back");
}

/* What a mount does before it serves. */
static inline void probe(void)
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

#endif
