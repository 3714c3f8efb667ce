/* fetch.c - questions to the store (fetch.h).
 *
 * A page that tells nothing (empty, or only of keys already passed, and "more follows") is
 * followed by its token at once, so that whoever waits sees progress or an error. A server
 * whose tokens go round in a circle would keep us there for ever: a token is kept and
 * compared with those that follow, and replaced at every power of two (Brent), which finds a
 * circle of any length. One whose tokens are always new is given up after some time (F1). */
#include "fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/log.h"
#include "pailfs/base/xalloc.h"

/* Pages in a row that tell nothing, before a server is given up: S3 sends them where many objects
 * were deleted in a bucket that keeps versions. */
#define IDLE_PAGES_MAX 1000

static void list_done(struct store_op *op, int result)
{
	struct fetch *f = container_of(op, struct fetch, list.op);

	f->finished(f, result);
}

static void lookup_done(struct store_op *op, int result)
{
	struct fetch *f = container_of(op, struct fetch, lookup.op);

	f->finished(f, result);
}

struct fetch *fetch_create(struct question *q, uint64_t now)
{
	struct fetch *f = xcalloc(1, sizeof(*f));

	list_init(&f->link);
	list_init(&f->start_link);
	list_init(&f->waiters);
	f->question = *q;
	*q = (struct question){0};
	f->asked = f->told = now;
	return f;
}

static void change_release(struct change *c)
{
	free(c->prefix);
	free(c->name);
}

void fetch_destroy(struct fetch *f)
{
	store_list_release(&f->list);
	for (size_t i = 0; i < f->page_count; i++)
		store_list_release(&f->pages[i]);
	free(f->pages);
	for (size_t i = 0; i < f->change_count; i++)
		change_release(&f->changes[i]);
	free(f->changes);
	question_release(&f->question);
	free(f->seen_token);
	free(f);
}

static bool is_head(const struct fetch *f)
{
	return f->question.kind == FETCH_HEAD || f->question.kind == FETCH_ONLY;
}

int fetch_start(struct fetch *f, struct store *s)
{
	const struct question *q = &f->question;

	if (is_head(f)) {
		f->lookup = (struct store_lookup){.op.done = lookup_done, .key = q->prefix};
		return store_lookup(s, &f->lookup);
	}
	f->list = (struct store_list){
		.op.done = list_done,
		.prefix = q->prefix,
		.delimited = q->delimited,
		.start_after = q->continuation ? NULL : q->start_after,
		.continuation = q->continuation,
	};
	return store_list(s, &f->list);
}

void fetch_cancel(struct fetch *f)
{
	store_cancel(is_head(f) ? &f->lookup.op : &f->list.op);
}

/* ---- LIST ---- */

static void add_question(struct buf *out, const struct question *q)
{
	buf_adds(out, "LIST of '");
	buf_add_quoted(out, q->prefix, strlen(q->prefix), 200);
	buf_addc(out, '\'');
	if (q->start_after) {
		buf_adds(out, " behind '");
		buf_add_quoted(out, q->start_after, strlen(q->start_after), 200);
		buf_addc(out, '\'');
	}
}

/* Continues with a page's token, which is taken from it. */
static int continue_listing(struct fetch *f, struct store_list *page)
{
	struct question *q = &f->question;
	char *token = page->next_continuation;

	if (q->continuation && !f->seen_token)
		f->seen_token = xstrdup(q->continuation);
	if (f->seen_token && !strcmp(token, f->seen_token)) {
		struct buf where = BUF_INIT;

		add_question(&where, q);
		log_error(LOG_NAMES, "%s: the server repeats its continuation token, so that the listing "
		          "would never end; given up", where.data);
		buf_release(&where);
		return -EIO;
	}
	f->tokens++;
	if ((f->tokens & (f->tokens - 1)) == 0) {
		free(f->seen_token);
		f->seen_token = xstrdup(token);
	}
	free(q->continuation);
	q->continuation = token;
	page->next_continuation = NULL;
	return FETCH_AGAIN;
}

static bool in_order(const struct store_list *page)
{
	for (size_t i = 1; i < page->entry_count; i++) {
		if (strcmp(page->entries[i - 1].key, page->entries[i].key) > 0)
			return false;
	}
	return true;
}

/* Notes whether a page told anything. False: too many did not, or for too long. */
static bool gets_on(struct fetch *f, bool told, uint64_t now)
{
	struct buf where = BUF_INIT;

	if (told) {
		f->told = now;
		f->idle_pages = 0;
		return true;
	}
	if (++f->idle_pages < IDLE_PAGES_MAX && now - f->told < f->patience_ns)
		return true;
	add_question(&where, &f->question);
	log_error(LOG_NAMES, "%s: the server sent %u pages without a name, and says that more follow; given up",
	          where.data, f->idle_pages);
	buf_release(&where);
	f->exhausted = true;
	return false;
}

static int take_page(struct fetch *f, uint64_t now, struct index *ix)
{
	struct store_list *list = &f->list;
	const struct question *q = &f->question;
	struct index_page page = {
		.prefix = q->prefix,
		.delimited = q->delimited,
		.start_after = q->start_after,
		.entries = list->entries,
		.count = list->entry_count,
		.unusable = list->unusable,
		.continuation = list->next_continuation,
		.time = f->asked,
	};
	size_t prefix_length = strlen(q->prefix);
	const char *last;
	bool told;
	int result;

	for (size_t i = 0; i < page.count; i++) {
		if (strncmp(page.entries[i].key, q->prefix, prefix_length)) {
			log_error(LOG_NAMES, "the server's listing holds keys that were not asked for");
			return -EIO;
		}
	}
	if (!in_order(list) || (q->continuation && page.count > 0 && q->start_after &&
	                        strcmp(page.entries[0].key, q->start_after) < 0))
		return FETCH_DISORDER;
	if (list->next_continuation && q->continuation &&
	    !strcmp(list->next_continuation, q->continuation))
		return continue_listing(f, list); /* fails, and says so */
	told = index_feed(ix, &page);
	last = page.count > 0 ? page.entries[page.count - 1].key : NULL;
	if (told && (!list->next_continuation || !q->goal || strcmp(last, q->goal) >= 0))
		return 0;
	if (!gets_on(f, told, now))
		return -EIO;
	if (told) {
		free(f->question.start_after);
		f->question.start_after = xstrdup(last);
	}
	result = continue_listing(f, list);
	store_list_release(list);
	return result;
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct store_entry *)a)->key, ((const struct store_entry *)b)->key);
}

void fetch_feed_whole(struct index *ix, const char *prefix, const struct store_list *pages,
                      size_t count, uint64_t time)
{
	struct index_page page = {.prefix = prefix, .delimited = true, .time = time};
	struct store_entry *all = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct store_list *part = &pages[i];

		all = xrealloc(all, page.count + part->entry_count + 1, sizeof(*all));
		if (part->entry_count > 0)
			memcpy(all + page.count, part->entries, part->entry_count * sizeof(*all));
		page.count += part->entry_count;
		page.unusable += part->unusable;
	}
	qsort(all, page.count, sizeof(*all), compare_entries);
	page.entries = all;
	index_feed(ix, &page);
	free(all);
}

/* Where pages come in an order of the server's own, only all of them tell what is absent. */
static int take_part(struct fetch *f, uint64_t now, struct index *ix)
{
	struct store_list *part;

	f->pages = xrealloc(f->pages, f->page_count + 1, sizeof(*f->pages));
	part = &f->pages[f->page_count++];
	*part = f->list;
	f->list = (struct store_list){0};
	if (part->next_continuation)
		return gets_on(f, part->entry_count > 0, now) ? continue_listing(f, part) : -EIO;
	fetch_feed_whole(ix, f->question.prefix, f->pages, f->page_count, f->asked);
	return 0;
}

/* ---- HEAD ---- */

void fetch_feed_only(struct index *ix, const struct store_entry *only, uint64_t time)
{
	index_feed(ix, &(struct index_page){
		.prefix = "",
		.entries = only,
		.count = only ? 1 : 0,
		.time = time,
	});
}

static int take_only(struct fetch *f, int result, struct index *ix)
{
	const struct store_entry only = {
		.key = f->question.prefix,
		.key_length = strlen(f->question.prefix),
		.attr = f->lookup.attr,
	};

	if (result < 0 && result != -ENOENT)
		return result;
	fetch_feed_only(ix, result == 0 ? &only : NULL, f->asked);
	return 0;
}

/* Without the right to list, an absent key and a hidden one look alike on most servers: 403.
 * A name of which neither "name" nor "name/" can be seen is then taken for a directory, or
 * nothing below it could be reached. A server that says 404 is believed. */
static int take_head(struct fetch *f, int result, struct index *ix)
{
	const struct store_attr directory = {.is_prefix = true}, *attr = NULL;
	struct question *q = &f->question;
	size_t length = strlen(q->prefix), base = strlen(q->directory);
	bool below = q->prefix[length - 1] == '/';
	char *name;

	if (result != 0 && result != -ENOENT && (result != -EACCES || !f->lookup.op.denied))
		return result;
	if (!below && result != 0) {
		char *key = xasprintf("%s/", q->prefix);

		free(q->prefix);
		q->prefix = key;
		f->first_error = result;
		return FETCH_AGAIN;
	}
	if (!below)
		attr = &f->lookup.attr;
	else if (result != -ENOENT)
		attr = &directory;
	else if (f->first_error == -EACCES)
		return -EACCES;
	name = xstrndup(q->prefix + base, length - base - below);
	index_learn(ix, q->directory, name, attr, f->asked);
	free(name);
	return 0;
}

int fetch_take(struct fetch *f, int result, uint64_t now, struct index *ix)
{
	const struct store_op *op = is_head(f) ? &f->lookup.op : &f->list.op;

	if (result == 1)
		result = 0;
	if (result < 0) {
		memcpy(f->error, op->error, sizeof(f->error));
		f->exhausted = op->exhausted;
	}
	switch (f->question.kind) {
	case FETCH_HEAD:
		return take_head(f, result, ix);
	case FETCH_ONLY:
		return take_only(f, result, ix);
	case FETCH_WHOLE:
		return result < 0 ? result : take_part(f, now, ix);
	case FETCH_PAGE:
		return result < 0 ? result : take_page(f, now, ix);
	}
	return -EIO;
}

/* ---- what changes meanwhile ---- */

void fetch_note(struct fetch *f, const struct change *c)
{
	char *key = c->name ? xasprintf("%s%s", c->prefix, c->name) : NULL;

	if (!key || fetch_may_show(f, key)) {
		f->changes = xrealloc(f->changes, f->change_count + 1, sizeof(*f->changes));
		f->changes[f->change_count] = *c;
		f->changes[f->change_count].prefix = xstrdup(c->prefix);
		f->changes[f->change_count++].name = c->name ? xstrdup(c->name) : NULL;
	}
	free(key);
}

void fetch_replay(struct fetch *f, struct index *ix)
{
	for (size_t i = 0; i < f->change_count; i++) {
		const struct change *c = &f->changes[i];

		if (!c->name)
			index_forget_below(ix, c->prefix);
		else if (c->learnt)
			index_learn(ix, c->prefix, c->name, c->absent ? NULL : &c->attr, c->time);
		else
			index_forget(ix, c->prefix, c->name);
	}
}

/* Is s the key, or the key with a '/' behind it? */
static bool is_key_or_below(const char *s, const char *key)
{
	size_t length = strlen(key);

	return !strncmp(s, key, length) && (!s[length] || !strcmp(s + length, "/"));
}

bool fetch_may_show(const struct fetch *f, const char *key)
{
	const struct question *q = &f->question;
	size_t length = strlen(q->prefix);

	if (is_head(f))
		return is_key_or_below(q->prefix, key);
	if (strncmp(q->prefix, key, length) || (q->delimited && strchr(key + length, '/')))
		return false;
	return !q->start_after || strcmp(key, q->start_after) > 0;
}

bool fetch_answers(const struct fetch *f, const struct question *q)
{
	if (f->question.kind != q->kind)
		return false;
	if (q->kind == FETCH_HEAD)
		return is_key_or_below(f->question.prefix, q->prefix);
	return question_equals(&f->question, q);
}
