/* decide.c - what a question about names comes to: an answer from the index, or a wait for the
 * fetch that answers the most. What the log says once is said on the way. */
#include "names_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "directory.h"
#include "pailfs/base/log.h"
#include "pailfs/base/xalloc.h"

#define PREFETCH_AHEAD 500                     /* names known ahead of a reader, or fewer */
#define CLASHES_TOLD_MAX 4096

/* ---- what is said once ---- */

static void tell_clash(struct names *n, const char *prefix, const char *name)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */
	struct buf key = BUF_INIT;

	for (const char *part = prefix; part; part = part == prefix ? name : NULL) {
		for (const char *c = part; *c; c++)
			hash = (hash ^ (unsigned char)*c) * 1099511628211u;
	}
	for (size_t i = 0; i < n->clash_count; i++) {
		if (n->clashes_told[i] == hash)
			return;
	}
	if (n->clash_count == CLASHES_TOLD_MAX)
		return;
	n->clashes_told = xrealloc(n->clashes_told, n->clash_count + 1, sizeof(hash));
	n->clashes_told[n->clash_count++] = hash;
	buf_add_quoted(&key, prefix, strlen(prefix), 1024);
	buf_add_quoted(&key, name, strlen(name), NAME_LENGTH_MAX);
	log_warn(LOG_NAMES, "'%s' is an object and also a prefix of others: the directory is shown, "
	         "the object cannot be reached", key.data);
	buf_release(&key);
}

static void tell_hidden(struct names *n, const char *prefix)
{
	const char *example;
	size_t hidden = index_take_hidden(n->index, prefix, &example);
	struct buf where = BUF_INIT, which = BUF_INIT;

	if (hidden == 0)
		return;
	buf_add_quoted(&where, prefix, strlen(prefix), 1024);
	if (example)
		buf_add_quoted(&which, example, strlen(example), 300);
	log_warn(LOG_NAMES, "listing of '%s': %zu names cannot be shown as file names%s%s%s",
	         where.data, hidden, example ? ", such as '" : " (a NUL in them)", which.data,
	         example ? "'" : "");
	buf_release(&where);
	buf_release(&which);
}

/* ---- asking the store ---- */

static bool denied(const struct names *n, const char *prefix, bool listing)
{
	return denials_hold(&n->denials, prefix, listing, clock_monotonic(n->clock));
}

void deny(struct names *n, const char *prefix, bool lookups_only)
{
	denials_add(&n->denials, prefix, lookups_only, n->ordered, clock_monotonic(n->clock));
}

static struct question continue_listing(struct names *n, const char *prefix,
                                        const struct place *gap, struct index_time time)
{
	return question_listing(n->index, prefix, gap, n->root, n->capabilities & STORE_FLAT_LIST,
	                        time);
}

/* Some fetch under way that answers just this question, or NULL. */
static struct fetch *fetch_find(struct names *n, const struct question *q)
{
	struct fetch *f;

	list_for_each(f, &n->fetches, link) {
		if (fetch_answers(f, q))
			return f;
	}
	return NULL;
}

/* The fetch that answers q, made if there is none. Takes q over. */
static struct fetch *fetch_for(struct work *work, struct question *q)
{
	struct names *n = work->names;
	struct fetch *f = fetch_find(n, q);

	if (f) {
		question_release(q);
		return f;
	}
	f = fetch_create(q, clock_monotonic(n->clock));
	f->patience_ns = n->patience_ns;
	f->finished = fetch_finished;
	f->owner = n;
	list_append(&n->fetches, &f->link);
	list_append(&work->starts, &f->start_link);
	n->starting++;
	return f;
}

/* One that may happen to tell of a key. */
static struct fetch *fetch_find_host(struct names *n, const char *key)
{
	struct fetch *f;

	list_for_each(f, &n->fetches, link) {
		if (fetch_may_show(f, key))
			return f;
	}
	return NULL;
}

static void wait_for(struct waiter *w, struct fetch *f)
{
	list_append(&f->waiters, &w->link);
	w->waiting = true;
}

/* ---- deciding a question ---- */

/* A web server's index may leave sizes open. A file is no answer then before its HEAD has come;
 * `exact`: it has, and what it says is all there is to know. */
int answer_lookup(struct names *n, struct names_lookup *q, const char *prefix, const char *name,
                  struct index_time time, bool exact, enum index_answer *answer)
{
	*answer = index_find(n->index, prefix, name, time, &q->entry);
	if (*answer == INDEX_FILE && q->entry.attr.size_unknown && !exact) {
		q->entry = (struct names_entry){0};
		return 0;
	}
	switch (*answer) {
	case INDEX_FILE:
	case INDEX_DIRECTORY:
		q->entry.name = xstrdup(name);
		if (q->entry.hides_object)
			tell_clash(n, prefix, name);
		return 1;
	case INDEX_ABSENT:
		return -ENOENT;
	default:
		return 0;
	}
}

/* Will the reader ask for the page behind the gap soon, and will it be believed then? */
static bool worth_prefetching(const struct names *n, const struct index_reading *r)
{
	return n->ordered && !n->closing && n->metadata_ttl_ns >= NS_PER_SECOND && r->gap.data &&
	       !r->gap_is_key && !place_is_below(&r->gap) && r->ahead <= PREFETCH_AHEAD;
}

int answer_readdir(struct work *work, struct names_readdir *q, const char *prefix, const char *after,
                   size_t max, struct index_time time, struct index_reading *r)
{
	struct names *n = work->names;
	struct index_notes *notes;
	struct question next;

	index_read(n->index, prefix, after, max, time, r);
	if (r->count == 0 && !r->end)
		return 0;
	q->entries = r->entries;
	q->count = r->count;
	q->end = r->end;
	for (size_t i = 0; i < r->count; i++) {
		if (r->entries[i].hides_object)
			tell_clash(n, prefix, r->entries[i].name);
	}
	if (r->end) {
		notes = index_notes(n->index, prefix);
		notes->walked = time.now;
		notes->descents = 0;
		tell_hidden(n, prefix);
	} else if (worth_prefetching(n, r) && !denied(n, prefix, true)) {
		next = continue_listing(n, prefix, &r->gap, time);
		fetch_for(work, &next);
	}
	free(r->gap.data);
	r->gap.data = NULL;
	return 1;
}

/* Is a name the second one of late, at least, that is asked for in a directory of which a listing
 * would tell more? That is one of which none is known; or a small one whose listing is too old to say
 * what is absent: programs that look for files in several places ask for many absent names. */
static bool more_names_likely(struct names *n, const char *prefix, struct index_time time)
{
	struct index_notes *notes = index_notes(n->index, prefix);
	uint64_t late = n->metadata_ttl_ns;
	struct fetch *f;

	if (denied(n, prefix, true))
		return false;
	if (index_knows_start(n->index, prefix, time)) {
		if (!index_knows_small(n->index, prefix, time))
			return false;
		late = n->negative_ttl_ns;
	}
	if (notes && notes->asked && time.now - notes->asked < late)
		return true;
	list_for_each(f, &n->fetches, link) {
		if (!strcmp(f->question.directory, prefix))
			return true;
	}
	return false;
}

void ask_lookup(struct work *work, struct waiter *w, enum index_answer answer)
{
	struct names *n = work->names;
	const struct place start = {(char *)"", 0};
	struct index_time time = time_of(n, w->since);
	char *key = xasprintf("%s%s", w->prefix, w->name);
	struct fetch *host = NULL;
	struct question q;

	if (!(n->capabilities & STORE_LIST)) {
		q = question_key(FETCH_ONLY, "", n->root);
	} else if (answer == INDEX_FILE || denied(n, w->prefix, false)) {
		w->exact = answer == INDEX_FILE;
		q = question_key(FETCH_HEAD, w->prefix, key);
	} else if (!n->ordered || !(n->capabilities & STORE_FLAT_LIST)) {
		q = question_whole(w->prefix);
	} else {
		if (answer == INDEX_UNKNOWN_BELOW) {
			char *below = xasprintf("%s/", key);

			free(key);
			key = below;
		}
		q = question_key(FETCH_PAGE, w->prefix, key);
		if (!w->guest && !fetch_find(n, &q)) {
			host = fetch_find_host(n, key);
			if (!host && answer == INDEX_UNKNOWN &&
			    more_names_likely(n, w->prefix, time)) {
				question_release(&q);
				q = continue_listing(n, w->prefix, &start, time);
				host = fetch_for(work, &q);
			}
		}
	}
	w->guest = host != NULL;
	wait_for(w, host ? host : fetch_for(work, &q));
	question_release(&q);
	free(key);
}

int ask_readdir(struct work *work, struct waiter *w, struct index_reading *r)
{
	struct names *n = work->names;
	struct question q;

	if (!(n->capabilities & STORE_LIST)) {
		q = question_key(FETCH_ONLY, "", n->root);
	} else if (denied(n, w->prefix, true)) {
		free(r->gap.data);
		return -EACCES;
	} else if (!n->ordered) {
		q = question_whole(w->prefix);
	} else if (r->gap_is_key) {
		char *key = xasprintf("%s%.*s", w->prefix, (int)r->gap.length, r->gap.data);

		q = question_key(FETCH_PAGE, w->prefix, key);
		free(key);
	} else {
		q = continue_listing(n, w->prefix, &r->gap, time_of(n, w->since));
	}
	free(r->gap.data);
	wait_for(w, fetch_for(work, &q));
	return 0;
}

void waiter_ready(struct work *work, struct waiter *w, int result)
{
	if (w->lookup)
		w->lookup->state = NULL;
	else
		w->readdir->state = NULL;
	w->result = result;
	list_append(&work->ready, &w->link);
}

void decide(struct work *work, struct waiter *w)
{
	struct names *n = work->names;
	struct index_time time = time_of(n, w->since);
	int result;

	if (n->closing) {
		result = -ECANCELED;
	} else if (w->lookup) {
		enum index_answer answer;

		result = answer_lookup(n, w->lookup, w->prefix, w->name, time, w->exact,
		                       &answer);
		if (result == 0)
			ask_lookup(work, w, answer);
	} else {
		struct index_reading r;

		result = answer_readdir(work, w->readdir, w->prefix, w->name, w->max, time, &r);
		if (result == 0)
			result = ask_readdir(work, w, &r);
	}
	if (result != 0)
		waiter_ready(work, w, result == 1 ? 0 : result);
}
