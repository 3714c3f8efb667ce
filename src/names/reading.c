/* reading.c - a directory in the order in which it is shown: index_read.
 *
 * A name stands for two keys, "name" (the object) and "name/" (what lies below), which a
 * listing shows apart: "a", then "a-b" and "a.c", which sort before '/', then "a/". A
 * directory is therefore read in the order of name + "/": an object is held back until the
 * listing has passed the place where a directory of the same name would stand, and nothing
 * else waits for it. The objects held back at any place are prefixes of one another (whatever
 * sorts between "a" and "a/" begins with "a"), so they form a stack, and when a reader
 * continues after a name the stack is rebuilt by asking for the prefixes of that name. */
#include "directory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"

#define LOOK_AHEAD_SPANS 2 /* how far to look for the next gap */

struct held_back {
	const struct span *span;
	const struct record *record;
};

struct scan {
	struct index *ix;
	struct index_reading *r;
	struct index_time time;
	size_t max, capacity;
	struct held_back stack[NAME_LENGTH_MAX + 1]; /* prefixes of one another, growing */
	size_t depth;
};

static void scan_hold_back(struct scan *sc, const struct span *s, const struct record *record)
{
	assert(sc->depth < ARRAY_SIZE(sc->stack));
	sc->stack[sc->depth++] = (struct held_back){s, record};
}

static bool scan_full(const struct scan *sc)
{
	return sc->r->count == sc->max;
}

static void scan_emit(struct scan *sc, const struct span *s, const struct record *record,
                      bool hides_object)
{
	struct index_reading *r = sc->r;
	struct names_entry *e;
	bool directory = record_is_directory(s->page, record);

	if (r->count == sc->capacity) {
		sc->capacity = MIN(sc->max, sc->capacity ? sc->capacity * 2 : 32);
		r->entries = xrealloc(r->entries, sc->capacity, sizeof(*r->entries));
	}
	e = &r->entries[r->count++];
	e->name = xstrndup(page_key(s->page, record), record->key_length - directory);
	e->directory = directory;
	e->hides_object = hides_object;
	page_attr(s->page, record, &sc->ix->strings, &e->attr);
	index_believes(s->time, sc->ix->config.metadata_ttl_ns, sc->time, &e->valid_ns);
}

/* How the key "name/" of the object on top of the stack compares to a place. */
static int scan_compare_top(const struct scan *sc, const char *key, size_t length)
{
	const struct held_back *top = &sc->stack[sc->depth - 1];
	char below[NAME_LENGTH_MAX + 2];

	memcpy(below, page_key(top->span->page, top->record), top->record->key_length);
	below[top->record->key_length] = '/';
	return key_compare(below, (size_t)top->record->key_length + 1, key, length);
}

/* Gives out the objects held back whose "name/" lies before this place (NULL: all). */
static void scan_release_before(struct scan *sc, const char *key, size_t length)
{
	while (sc->depth > 0 && !scan_full(sc) &&
	       (!key || scan_compare_top(sc, key, length) < 0)) {
		const struct held_back *top = &sc->stack[--sc->depth];

		scan_emit(sc, top->span, top->record, false);
	}
}

/* Gives out what stands in a span from this place on; returns how much of it is left. */
static size_t scan_span(struct scan *sc, const struct span *s, const struct place *at)
{
	size_t end = s->first + s->count;
	size_t i = MAX(page_find(s->page, at->data, at->length), s->first);

	for (; i < end; i++) {
		const struct record *r = &s->page->records[i];
		const char *key = page_key(s->page, r);
		bool hides = false;

		scan_release_before(sc, key, r->key_length);
		if (scan_full(sc))
			break;
		if (!record_is_directory(s->page, r)) {
			scan_hold_back(sc, s, r);
			continue;
		}
		if (sc->depth > 0 && scan_compare_top(sc, key, r->key_length) == 0) {
			hides = true;
			sc->depth--;
		}
		scan_emit(sc, s, r, hides);
	}
	return end - i;
}

/* The objects that were held back when the reader had come to this name: those prefixes of it
 * after which a byte below '/' follows. They are believed whatever their age: they were shown by
 * the listing that the reader is in. False, and the gap, where one is not known. */
static bool scan_resume(struct scan *sc, const struct directory *d, const char *after)
{
	for (size_t i = 1; after[i - 1] && after[i]; i++) {
		const struct record *record;
		const struct span *s;

		if ((unsigned char)after[i] >= '/')
			continue;
		s = directory_find_key(d, after, i, &record);
		if (!s) {
			sc->r->gap = place_copy(after, i);
			sc->r->gap_is_key = true;
			return false;
		}
		if (record)
			scan_hold_back(sc, s, record);
	}
	return true;
}

void index_read(struct index *ix, const char *prefix, const char *after, size_t max,
                struct index_time time, struct index_reading *r)
{
	struct directory *d = directory_find(ix, prefix, strlen(prefix));
	struct scan sc = {.ix = ix, .r = r, .time = time, .max = max};
	char *last = after ? xasprintf("%s/", after) : NULL;
	struct place start = last ? place_behind(last, strlen(last)) : place_copy("", 0), at = start;
	uint64_t valid;
	unsigned looked_ahead = 0;

	*r = (struct index_reading){0};
	if (!d) {
		r->gap = place_copy("", 0);
		goto out;
	}
	directory_use(ix, d);
	if (after && !scan_resume(&sc, d, after))
		goto out;
	for (size_t i = directory_span_at(d, &at); i < d->span_count && at.data; i++) {
		const struct span *s = &d->spans[i];

		if (place_compare(&s->from, &at) > 0 ||
		    !index_believes(s->time, ix->config.metadata_ttl_ns, time, &valid))
			break;
		if (scan_full(&sc) && ++looked_ahead > LOOK_AHEAD_SPANS)
			goto out;
		r->ahead += scan_span(&sc, s, &at);
		at = s->to;
	}
	scan_release_before(&sc, at.data, at.length);
	r->end = !at.data && !scan_full(&sc);
	r->gap = place_dup(&at);
out:
	free(start.data);
	free(last);
}

char *index_end_below(struct index *ix, const char *prefix, const struct place *gap,
                      struct index_time time)
{
	struct buf key = BUF_INIT;
	struct place at = *gap;
	struct directory *d;
	uint64_t valid;

	buf_adds(&key, prefix);
	do {
		buf_add(&key, at.data, at.length - 1);
		d = directory_find(ix, key.data, key.length);
		at = (struct place){(char *)"", 0};
		for (size_t i = 0; d && at.data && i < d->span_count; i++) {
			const struct span *s = &d->spans[i];

			if (place_compare(&s->from, &at) > 0 ||
			    !index_believes(s->time, ix->config.metadata_ttl_ns, time, &valid))
				break;
			at = s->to;
		}
	} while (place_is_below(&at));
	if (!at.data)
		buf_adds(&key, KEY_LAST); /* all of it is known */
	else if (at.length > 0 && at.data[at.length - 1] == '\0')
		buf_add(&key, at.data, at.length - 1);
	return buf_detach(&key);
}
