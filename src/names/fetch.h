/* fetch.h - one question to the store, and what its answer teaches the index.
 *
 * A fetch is a LIST (one page; or all pages, where the store's order is not that of keys), or
 * the HEADs that stand for it where listing is denied. Whoever waits for the same answer
 * shares it. The lock of `struct names` covers all but fetch_start. */
#ifndef PAILFS_NAMES_FETCH_H
#define PAILFS_NAMES_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "index.h"
#include "question.h"
#include "pailfs/base/list.h"
#include "pailfs/store.h"

/* What was changed while a fetch was under way: its answer may be older. */
struct change {
	char *prefix, *name; /* name NULL: everything below prefix was forgotten */
	bool learnt;         /* else forgotten */
	bool absent;
	struct store_attr attr;
	uint64_t time;
};

struct fetch {
	struct list link;       /* in names.fetches */
	struct list start_link; /* to be started by who holds it */
	struct list waiters;
	struct question question;
	uint64_t asked;         /* when */
	uint64_t patience_ns;   /* how long pages may tell nothing, as in names_config */
	struct change *changes;
	size_t change_count;
	/* Runs as store_op.done does. */
	void (*finished)(struct fetch *f, int result);
	void *owner;
	char error[256];        /* a sentence on a failure */
	bool exhausted;         /* as of store_op: asking the store anew would be no use now */

	/* Private. */
	struct store_list list;
	struct store_lookup lookup;
	struct store_list *pages; /* FETCH_WHOLE: those that have come */
	size_t page_count;
	char *seen_token;       /* to notice tokens that repeat */
	size_t tokens;
	uint64_t told;          /* when a page last told something, or since when it is asked for */
	unsigned idle_pages;    /* since then */
	int first_error;        /* FETCH_HEAD: what name gave */
};

/* Takes the question over. */
struct fetch *fetch_create(struct question *q, uint64_t now);
void fetch_destroy(struct fetch *f);
/* As a store operation's start: 0, 1 or -errno. Call it without the lock. */
int fetch_start(struct fetch *f, struct store *s);
void fetch_cancel(struct fetch *f);

/* Takes in how an operation ended, and when. Returns 0: the index knows; -errno: it failed; FETCH_AGAIN:
 * start it again, more is needed; FETCH_DISORDER: the pages do not come in the order of
 * keys, so nothing can be concluded from one. */
enum { FETCH_AGAIN = 1, FETCH_DISORDER = 2 };
int fetch_take(struct fetch *f, int result, uint64_t now, struct index *ix);
/* What was changed meanwhile is changed once more on top of the answer. */
void fetch_replay(struct fetch *f, struct index *ix);
/* Notes a change, if the answer may tell of it. */
void fetch_note(struct fetch *f, const struct change *c);

/* Feeds a directory from all pages of its listing, in whatever order they came. */
void fetch_feed_whole(struct index *ix, const char *prefix, const struct store_list *pages,
                      size_t count, uint64_t time);
/* Feeds the root from the one object that there is (NULL: there is none). */
void fetch_feed_only(struct index *ix, const struct store_entry *only, uint64_t time);

/* May the answer show this key, or that it is absent? */
bool fetch_may_show(const struct fetch *f, const char *key);
bool fetch_answers(const struct fetch *f, const struct question *q);

#endif
