/* names.c - questions about names, answered from the index or by the fewest requests.
 *
 * A question is answered from the index (index.c) when that knows; otherwise it waits for a
 * fetch (fetch.c) that will make it known, started for it or under way already, and is then
 * decided anew. Which LIST answers the most is decided in question.c. What a question's own
 * fetch brought is believed for that question however short the TTLs are, so each question
 * ends.
 *
 * A question may be a *guest* of a fetch that was made for another one and may tell of it, too.
 * When that fails because of what it asked for, the guest asks by itself. When it fails because
 * the store could not be reached in all the time that there is, so has the guest (F1).
 *
 * The next page of a listing is asked for while its reader is in the second half of this one:
 * it would be asked for anyway. */
#include "names_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "directory.h"
#include "pailfs/base/lock.h"
#include "pailfs/base/log.h"
#include "pailfs/base/xalloc.h"

static void work_init(struct work *work, struct names *n)
{
	work->names = n;
	work->call = 0;
	list_init(&work->starts);
	list_init(&work->ready);
}

/* ---- the course of a fetch ---- */

/* Is that the answer of a store that does not list here? Credentials that are expired or wrong
 * tell nothing of that. Of a web server's folder without an index nothing can be concluded
 * either, whatever it says. */
static bool is_denial(const struct fetch *f, int result)
{
	if (f->question.kind == FETCH_WHOLE)
		return result == -EACCES || result == -ENOENT || result == -EOPNOTSUPP;
	return f->question.kind == FETCH_PAGE && result == -EACCES && f->list.op.denied;
}

/* Listing may be denied for a directory, for parts of names in it, or just above it, where the
 * walk must not begin then. */
static void learn_denial(struct names *n, const struct question *q)
{
	size_t directory = strlen(q->directory), asked = strlen(q->prefix);
	struct index_notes *notes = index_notes(n->index, q->prefix);

	if (asked >= directory)
		deny(n, q->directory, asked > directory);
	else if (notes)
		notes->walked = 0;
}

/* An operation of a fetch has ended. */
static void settle(struct work *work, struct fetch *f, int result)
{
	struct names *n = work->names;
	struct index_notes *notes;
	struct list waiters;
	bool failed;

	scoped_lock(&n->lock);
	result = fetch_take(f, result, clock_monotonic(n->clock), n->index);
	/* Whoever asked may have left: then what has come is enough. */
	if (result == FETCH_AGAIN && !n->closing && !list_empty(&f->waiters)) {
		list_append(&work->starts, &f->start_link);
		n->starting++;
		return;
	}
	list_remove(&f->link);
	list_init(&waiters);
	list_splice(&waiters, &f->waiters);
	if (result == FETCH_DISORDER && n->ordered) {
		log_warn(LOG_NAMES, "the server does not list keys in their order: directories are "
		         "listed as a whole before anything is shown");
		n->ordered = false;
	}
	fetch_replay(f, n->index);
	failed = result < 0;
	if (!failed && f->question.kind == FETCH_PAGE &&
	    strlen(f->question.prefix) > strlen(f->question.directory)) {
		notes = index_notes(n->index, f->question.directory);
		if (notes)
			notes->asked = f->asked;
	}
	if (failed && is_denial(f, result)) {
		learn_denial(n, &f->question);
		result = 0;
	}
	while (!list_empty(&waiters)) {
		struct waiter *w = list_first(&waiters, struct waiter, link);

		list_remove(&w->link);
		w->waiting = false;
		if (failed)
			memcpy(w->lookup ? w->lookup->error : w->readdir->error, f->error,
			       sizeof(f->error));
		if (result < 0 && (!w->guest || f->exhausted))
			waiter_ready(work, w, result);
		else
			decide(work, w);
	}
	index_trim(n->index);
	if (n->closing)
		pthread_cond_broadcast(&n->idle);
	fetch_destroy(f);
}

static void waiter_destroy(struct waiter *w)
{
	free(w->prefix);
	free(w->name);
	free(w);
}

/* Starts what is to be started and answers who is ready. The waiter of the call that this is
 * is not called back: its result is returned, 0 when it still waits. (It may have been
 * answered by another thread meanwhile and be gone; so it is known by number.) */
static int work_run(struct work *work)
{
	struct names *n = work->names;
	int own_result = 0;

	while (!list_empty(&work->starts)) {
		struct fetch *f = list_first(&work->starts, struct fetch, start_link);
		int result;

		list_remove(&f->start_link);
		result = fetch_start(f, n->store);
		pthread_mutex_lock(&n->lock);
		n->starting--;
		if (n->closing)
			pthread_cond_broadcast(&n->idle);
		pthread_mutex_unlock(&n->lock);
		if (result != 0)
			settle(work, f, result);
	}
	while (!list_empty(&work->ready)) {
		struct waiter *w = list_first(&work->ready, struct waiter, link);
		struct names_lookup *lookup = w->lookup;
		struct names_readdir *readdir = w->readdir;
		int result = w->result;
		bool own;

		list_remove(&w->link);
		own = w->call == work->call;
		waiter_destroy(w);
		if (own)
			own_result = result ? result : 1;
		else if (lookup)
			lookup->done(lookup, result);
		else
			readdir->done(readdir, result);
	}
	return own_result;
}

void fetch_finished(struct fetch *f, int result)
{
	struct work work;

	work_init(&work, f->owner);
	settle(&work, f, result);
	work_run(&work);
}

/* ---- the contract ---- */

struct names *names_create(const struct names_config *config)
{
	struct names *n = xcalloc(1, sizeof(*n));

	n->store = config->store;
	n->clock = config->clock;
	n->capabilities = store_capabilities(config->store);
	n->ordered = n->capabilities & STORE_ORDERED_LIST;
	n->metadata_ttl_ns = config->metadata_ttl_ns;
	n->negative_ttl_ns = config->negative_ttl_ns;
	n->patience_ns = config->patience_ns;
	n->root = xstrdup(store_root(config->store));
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->idle, NULL);
	list_init(&n->fetches);
	n->index = index_create(&(struct index_config){
		.metadata_ttl_ns = config->metadata_ttl_ns,
		.negative_ttl_ns = config->negative_ttl_ns,
		.max_entries = config->max_entries,
		.stats = config->stats,
	});
	return n;
}

void names_destroy(struct names *n)
{
	struct fetch *f;

	if (!n)
		return;
	/* Nobody waits for what is under way now: pages asked for ahead, or for questions that
	 * were interrupted. A fetch can be cancelled once the store has it, and is ours until
	 * settle() has the lock. */
	pthread_mutex_lock(&n->lock);
	n->closing = true;
	while (n->starting > 0)
		pthread_cond_wait(&n->idle, &n->lock);
	list_for_each(f, &n->fetches, link)
		fetch_cancel(f);
	while (!list_empty(&n->fetches) || n->starting > 0)
		pthread_cond_wait(&n->idle, &n->lock);
	pthread_mutex_unlock(&n->lock);

	index_destroy(n->index);
	denials_release(&n->denials);
	free(n->clashes_told);
	free(n->root);
	pthread_cond_destroy(&n->idle);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

void names_feed(struct names *n, const struct store_list *page)
{
	uint64_t now = clock_monotonic(n->clock);

	scoped_lock(&n->lock);
	if (!(n->capabilities & STORE_LIST))
		fetch_feed_only(n->index, page->entry_count > 0 ? page->entries : NULL, now);
	else if (n->ordered)
		index_feed(n->index, &(struct index_page){
			.prefix = page->prefix,
			.delimited = page->delimited,
			.start_after = page->start_after,
			.entries = page->entries,
			.count = page->entry_count,
			.unusable = page->unusable,
			.continuation = page->next_continuation,
			.time = now,
		});
	else if (!page->next_continuation)
		fetch_feed_whole(n->index, page->prefix, page, 1, now);
	index_trim(n->index);
}

void names_deny_list(struct names *n, const char *prefix)
{
	scoped_lock(&n->lock);
	deny(n, prefix, false);
}

static struct waiter *waiter_create(struct work *work, const char *prefix, const char *name,
                                    uint64_t since)
{
	struct waiter *w = xcalloc(1, sizeof(*w));

	w->call = work->call = ++work->names->calls;
	list_init(&w->link);
	w->prefix = xstrdup(prefix);
	w->name = name ? xstrdup(name) : NULL;
	w->since = since;
	return w;
}

int names_lookup(struct names *n, struct names_lookup *q, const char *prefix, const char *name)
{
	enum index_answer answer;
	struct index_time time;
	struct work work;
	struct waiter *w;
	int result;

	q->entry = (struct names_entry){0};
	q->error[0] = '\0';
	if (strlen(name) > NAME_LENGTH_MAX)
		return -ENAMETOOLONG;
	work_init(&work, n);
	pthread_mutex_lock(&n->lock);
	time = time_of(n, clock_monotonic(n->clock));
	result = answer_lookup(n, q, prefix, name, time, false, &answer);
	if (result == 0 && q->interrupted)
		result = -EINTR;
	if (result != 0) {
		pthread_mutex_unlock(&n->lock);
		return result;
	}
	q->state = w = waiter_create(&work, prefix, name, time.since);
	w->lookup = q;
	ask_lookup(&work, w, answer);
	pthread_mutex_unlock(&n->lock);
	return work_run(&work);
}

void names_entry_release(struct names_entry *e)
{
	free(e->name);
	e->name = NULL;
}

int names_readdir(struct names *n, struct names_readdir *q, const char *prefix,
                  const char *after, size_t max)
{
	struct index_reading r;
	struct index_time time;
	struct work work;
	struct waiter *w;
	int result;

	q->entries = NULL;
	q->count = 0;
	q->end = false;
	q->error[0] = '\0';
	work_init(&work, n);
	pthread_mutex_lock(&n->lock);
	time = time_of(n, clock_monotonic(n->clock));
	result = answer_readdir(&work, q, prefix, after, max, time, &r);
	if (result == 0 && q->interrupted) {
		free(r.gap.data);
		result = -EINTR;
	} else if (result == 0) {
		q->state = w = waiter_create(&work, prefix, after, time.since);
		w->readdir = q;
		w->max = max;
		result = ask_readdir(&work, w, &r);
		if (result != 0) {
			waiter_destroy(w);
			q->state = NULL;
		}
	}
	pthread_mutex_unlock(&n->lock);
	if (result == 0)
		return work_run(&work);
	work_run(&work); /* a page ahead */
	return result;
}

void names_readdir_release(struct names_readdir *q)
{
	for (size_t i = 0; i < q->count; i++)
		names_entry_release(&q->entries[i]);
	free(q->entries);
	q->entries = NULL;
	q->count = 0;
}

char *names_cursor(const struct names_entry *e)
{
	return xstrdup(e->name);
}

/* Takes a waiter away from its fetch; NULL when it does not wait, or is about to be answered. */
static struct waiter *interrupt(struct names *n, void **state, bool *interrupted)
{
	struct waiter *w;

	scoped_lock(&n->lock);
	*interrupted = true;
	w = *state;
	if (!w || !w->waiting)
		return NULL;
	list_remove(&w->link);
	*state = NULL;
	return w;
}

void names_lookup_interrupt(struct names *n, struct names_lookup *q)
{
	struct waiter *w = interrupt(n, &q->state, &q->interrupted);

	if (!w)
		return;
	waiter_destroy(w);
	q->done(q, -EINTR);
}

void names_readdir_interrupt(struct names *n, struct names_readdir *q)
{
	struct waiter *w = interrupt(n, &q->state, &q->interrupted);

	if (!w)
		return;
	waiter_destroy(w);
	q->done(q, -EINTR);
}

/* A change that fetches under way may not know of. */
static void change(struct names *n, const struct change *c)
{
	struct fetch *f;

	list_for_each(f, &n->fetches, link)
		fetch_note(f, c);
}

void names_forget(struct names *n, const char *prefix, const char *name)
{
	scoped_lock(&n->lock);
	index_forget(n->index, prefix, name);
	change(n, &(struct change){.prefix = (char *)prefix, .name = (char *)name});
}

void names_forget_below(struct names *n, const char *prefix)
{
	scoped_lock(&n->lock);
	index_forget_below(n->index, prefix);
	denials_forget(&n->denials, prefix);
	change(n, &(struct change){.prefix = (char *)prefix});
}

void names_learn(struct names *n, const char *prefix, const char *name,
                 const struct store_attr *attr)
{
	struct change c = {
		.prefix = (char *)prefix,
		.name = (char *)name,
		.learnt = true,
		.absent = !attr,
		.time = clock_monotonic(n->clock),
	};

	if (attr)
		c.attr = *attr;
	scoped_lock(&n->lock);
	index_learn(n->index, prefix, name, attr, c.time);
	change(n, &c);
	index_trim(n->index);
}
