/* index.c - the directories of a bucket, made of what pages of listings proved.
 *
 * A LIST proves more than the names in it: between the first and the last place that it
 * covers there are no others. So a directory is a row of disjoint *spans*, each an interval
 * [from, to) of the possible keys of its children with the records that stand in it and the
 * time when that was so. A key inside a span is known to exist or to be absent; one outside
 * is unknown; a directory is complete when its spans join without a gap. A page of a
 * delimited listing gives one span to one directory. A page of a flat listing gives one to
 * every directory that it touches: those wholly inside it become complete, the ones at its
 * edges are extended. A HEAD gives a span that is one key wide. New spans cut away what they
 * overlap, and forgetting is cutting.
 *
 * A name stands for two keys, "name" (the object) and "name/" (what lies below), which a
 * listing shows apart: "a", then "a-b" and "a.c", which sort before '/', then "a/". A
 * directory is therefore read in the order of name + "/": an object is held back until the
 * listing has passed the place where a directory of the same name would stand, and nothing
 * else waits for it. The objects held back at any place are prefixes of one another (whatever
 * sorts between "a" and "a/" begins with "a"), so they form a stack, and when a reader
 * continues after a name the stack is rebuilt by asking for the prefixes of that name. */
#include "index.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include "page.h"
#include "pailfs/base/list.h"
#include "pailfs/base/xalloc.h"

#define NAME_LENGTH_MAX 255 /* of a component; M1 */
#define SPANS_KEPT 8        /* of a directory in use, however large they are */
#define LOOK_AHEAD_SPANS 2  /* how far index_read looks for the next gap */

struct span {
	struct place from, to; /* from < to; the memory is the span's */
	uint64_t time;
	uint64_t number;       /* grows from span to span as they are learnt */
	struct page *page;     /* counted */
	size_t first, count;   /* its records that stand in here */
	size_t hidden;         /* children in here that cannot be shown */
};

struct directory {
	char *prefix;
	size_t prefix_length;
	struct span *spans;    /* disjoint and in order */
	size_t span_count, span_capacity;
	struct place token_place; /* where the listing that `token` continues ended */
	char *token;
	uint64_t token_time;
	char *hidden_example;
	size_t hidden_told;
	struct index_notes notes;
	struct list used;      /* in index.used */
	UT_hash_handle hh;
};

struct index {
	struct index_config config;
	struct string_table strings;
	struct directory *directories; /* by prefix */
	struct list used;              /* most recently used first */
	size_t names, weight;          /* records in spans; the same with spans and directories */
	uint64_t spans_made;
};

/* ---- places ---- */

static int place_compare(const struct place *a, const struct place *b)
{
	if (!a->data || !b->data)
		return (a->data == NULL) - (b->data == NULL);
	return key_compare(a->data, a->length, b->data, b->length);
}

static struct place place_copy(const char *data, size_t length)
{
	struct place p = {xmalloc(length + 1), length};

	memcpy(p.data, data, length);
	p.data[length] = '\0';
	return p;
}

static struct place place_dup(const struct place *p)
{
	return p->data ? place_copy(p->data, p->length) : *p;
}

/* The place right behind a key: no other string lies between them. */
static struct place place_behind(const char *key, size_t length)
{
	struct place p = place_copy(key, length);

	p.length++; /* the NUL that place_copy put there */
	return p;
}

/* The place behind every key that begins with these bytes. */
static struct place place_behind_prefix(const char *prefix, size_t length)
{
	struct place p;

	while (length > 0 && (unsigned char)prefix[length - 1] == 0xff)
		length--;
	if (length == 0)
		return (struct place){NULL, 0};
	p = place_copy(prefix, length);
	p.data[length - 1]++;
	return p;
}

/* ---- directories ---- */

static struct directory *directory_find(struct index *ix, const char *prefix, size_t length)
{
	struct directory *d;

	HASH_FIND(hh, ix->directories, prefix, length, d);
	return d;
}

static void directory_use(struct index *ix, struct directory *d)
{
	list_remove(&d->used);
	list_prepend(&ix->used, &d->used);
}

static struct directory *directory_get(struct index *ix, const char *prefix, size_t length)
{
	struct directory *d = directory_find(ix, prefix, length);

	if (!d) {
		d = xcalloc(1, sizeof(*d));
		d->prefix = xstrndup(prefix, length);
		d->prefix_length = length;
		list_init(&d->used);
		HASH_ADD_KEYPTR(hh, ix->directories, d->prefix, length, d);
		ix->weight++;
	}
	directory_use(ix, d);
	return d;
}

static void count_names(struct index *ix, size_t added, size_t removed)
{
	ix->names += added - removed;
	ix->weight += added - removed;
	stats_add(ix->config.stats, STAT_NAMES_ENTRIES, (int64_t)added - (int64_t)removed);
}

static void span_release(struct index *ix, struct span *s)
{
	count_names(ix, 0, s->count);
	ix->weight--;
	page_unref(s->page);
	free(s->from.data);
	free(s->to.data);
}

/* The part of s in [from, to), which lies inside it; what is hidden goes with the caller. */
static struct span span_slice(struct index *ix, const struct span *s, const struct place *from,
                              const struct place *to)
{
	struct span part = {
		.from = place_dup(from),
		.to = place_dup(to),
		.time = s->time,
		.number = s->number,
		.page = page_ref(s->page),
	};
	size_t last = s->first + s->count, end = last;

	part.first = page_find(s->page, from->data, from->length);
	part.first = MIN(MAX(part.first, s->first), last);
	if (to->data)
		end = MIN(page_find(s->page, to->data, to->length), last);
	part.count = MAX(end, part.first) - part.first;
	count_names(ix, part.count, 0);
	ix->weight++;
	return part;
}

/* The number of the first span that ends behind this place. */
static size_t directory_span_at(const struct directory *d, const struct place *at)
{
	size_t low = 0, high = d->span_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (place_compare(&d->spans[middle].to, at) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Puts `n` spans in place of those from number `begin` to before `end`. */
static void directory_splice(struct index *ix, struct directory *d, size_t begin, size_t end,
                             const struct span *spans, size_t n)
{
	size_t count = d->span_count - (end - begin) + n;

	for (size_t i = begin; i < end; i++)
		span_release(ix, &d->spans[i]);
	if (count > d->span_capacity) {
		d->span_capacity = MAX(count, d->span_capacity * 2);
		d->spans = xrealloc(d->spans, d->span_capacity, sizeof(*d->spans));
	}
	if (d->span_count > end && begin + n != end)
		memmove(d->spans + begin + n, d->spans + end,
		        (d->span_count - end) * sizeof(*d->spans));
	if (n > 0)
		memcpy(d->spans + begin, spans, n * sizeof(*spans));
	d->span_count = count;
}

/* Makes [from, to) unknown, or known by `fresh` (taken over) when that is not NULL. */
static void directory_cut(struct index *ix, struct directory *d, const struct place *from,
                          const struct place *to, const struct span *fresh)
{
	size_t begin = directory_span_at(d, from), end = begin, n = 0;
	struct span parts[3];

	while (end < d->span_count && place_compare(&d->spans[end].from, to) < 0)
		end++;
	if (begin < end && place_compare(&d->spans[begin].from, from) < 0) {
		parts[n] = span_slice(ix, &d->spans[begin], &d->spans[begin].from, from);
		parts[n++].hidden = d->spans[begin].hidden;
	}
	if (fresh)
		parts[n++] = *fresh;
	if (begin < end && place_compare(&d->spans[end - 1].to, to) > 0)
		parts[n++] = span_slice(ix, &d->spans[end - 1], to, &d->spans[end - 1].to);
	directory_splice(ix, d, begin, end, parts, n);
}

static void directory_destroy(struct index *ix, struct directory *d)
{
	directory_splice(ix, d, 0, d->span_count, NULL, 0);
	HASH_DEL(ix->directories, d);
	list_remove(&d->used);
	ix->weight--;
	free(d->spans);
	free(d->token_place.data);
	free(d->token);
	free(d->hidden_example);
	free(d->prefix);
	free(d);
}

struct index *index_create(const struct index_config *config)
{
	struct index *ix = xcalloc(1, sizeof(*ix));

	ix->config = *config;
	string_table_init(&ix->strings);
	list_init(&ix->used);
	return ix;
}

void index_destroy(struct index *ix)
{
	struct directory *d, *next;

	if (!ix)
		return;
	HASH_ITER(hh, ix->directories, d, next)
		directory_destroy(ix, d);
	string_table_release(&ix->strings);
	free(ix);
}

/* The span that knows about a key, or NULL, and the key's record, or NULL. */
static const struct span *find_key(const struct directory *d, const char *key, size_t length,
                                   const struct record **record)
{
	struct place at = {(char *)key, length};
	size_t i = directory_span_at(d, &at), n;
	const struct span *s;

	*record = NULL;
	if (i == d->span_count || place_compare(&d->spans[i].from, &at) > 0)
		return NULL;
	s = &d->spans[i];
	n = page_find(s->page, key, length);
	if (n >= s->first && n < s->first + s->count) {
		const struct record *r = &s->page->records[n];

		if (!key_compare(page_key(s->page, r), r->key_length, key, length))
			*record = r;
	}
	return s;
}

/* Puts what is known of one key: a record (attr) or its absence; `forget`: nothing. */
static void set_key(struct index *ix, struct directory *d, const char *key, size_t length,
                    const struct store_attr *attr, uint64_t time, bool forget)
{
	struct place from = place_copy(key, length), to = place_behind(key, length);
	struct page_builder builder;
	struct span span = {.time = time, .number = ix->spans_made++};

	if (!forget) {
		page_builder_init(&builder, &ix->strings);
		if (attr)
			page_builder_add(&builder, key, length, attr);
		span.page = page_builder_finish(&builder);
		span.count = span.page->count;
		span.from = place_dup(&from);
		span.to = place_dup(&to);
		count_names(ix, span.count, 0);
		ix->weight++;
	}
	directory_cut(ix, d, &from, &to, forget ? NULL : &span);
	free(from.data);
	free(to.data);
}

/* ---- learning ---- */

struct feeding {
	struct index *ix;
	const struct index_page *page;
	const struct store_entry *entries; /* those of the page that lie in its interval */
	size_t count;
	size_t base;       /* the length of the topmost directory's prefix */
	struct place from; /* where the page begins, as a whole key */
};

static bool name_usable(const char *name, size_t length)
{
	if (length == 0 || length > NAME_LENGTH_MAX)
		return false;
	if (name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.')))
		return false;
	return !memchr(name, '\0', length);
}

/* The key of the child of a directory through which `key` is reached, both given behind the
 * directory's prefix. */
static size_t child_length(const char *key, size_t length)
{
	const char *slash = memchr(key, '/', length);

	return slash ? (size_t)(slash - key) + 1 : length;
}

/* Where the page begins among the children of the directory that this prefix names. */
static struct place feeding_from(const struct feeding *f, const char *prefix, size_t length,
                                 size_t begin, size_t end)
{
	const char *rest = f->from.data + length;
	size_t rest_length, child;

	if (f->from.length <= length || memcmp(f->from.data, prefix, length))
		return place_copy("", 0);
	rest_length = f->from.length - length;
	if (rest_length == 1 && rest[0] == '\0')
		return place_copy("", 0); /* right behind the directory's own marker */
	child = child_length(rest, rest_length);
	if (child == rest_length && rest[child - 1] != '/')
		return place_copy(rest, rest_length);
	/* It begins below a sub-directory, so that this one is known only if a key shows it. */
	if (begin < end && f->entries[begin].key_length >= length + child &&
	    !memcmp(f->entries[begin].key + length, rest, child))
		return place_copy(rest, child);
	return place_behind(rest, child);
}

/* Where it ends, likewise. `last`: the page's last key lies in this directory. */
static struct place feeding_to(const struct feeding *f, size_t length, bool last)
{
	const struct index_page *page = f->page;
	const struct store_entry *e;
	size_t asked = strlen(page->prefix);

	if (page->continuation) {
		if (!last)
			return (struct place){NULL, 0};
		e = &f->entries[f->count - 1];
		if (e->key_length == length)
			return place_copy("", 0); /* the directory's own marker */
		return place_behind(e->key + length,
		                    child_length(e->key + length, e->key_length - length));
	}
	if (asked <= length)
		return (struct place){NULL, 0};
	return place_behind_prefix(page->prefix + length, asked - length);
}

static void feed_directory(struct feeding *f, const char *prefix, size_t length, size_t begin,
                           size_t end)
{
	struct index *ix = f->ix;
	struct directory *d = directory_get(ix, prefix, length);
	struct page_builder builder;
	struct span span = {
		.time = f->page->time,
		.number = ix->spans_made++,
		.hidden = length == f->base ? f->page->unusable : 0,
	};
	const char *hidden = NULL;
	size_t hidden_length = 0, next;

	page_builder_init(&builder, &ix->strings);
	for (size_t i = begin; i < end; i = next) {
		const struct store_entry *e = &f->entries[i];
		const char *key = e->key + length;
		size_t child = child_length(key, e->key_length - length);
		bool directory;

		next = i + 1;
		if (child == 0)
			continue; /* the directory's own marker */
		directory = key[child - 1] == '/';
		while (directory && next < end && f->entries[next].key_length >= length + child &&
		       !memcmp(f->entries[next].key + length, key, child))
			next++;
		if (!name_usable(key, child - directory)) {
			/* Counted before if the page begins below it. */
			span.hidden += f->from.length <= length + child ||
			               memcmp(f->from.data, e->key, length + child);
			hidden = key;
			hidden_length = child;
			continue;
		}
		/* What stands first may be the marker itself, with its time; else only its being
		 * there is known. */
		page_builder_add(&builder, key, child,
		                 directory && e->key_length > length + child
		                         ? &(const struct store_attr){.is_prefix = true}
		                         : &e->attr);
		if (directory && !f->page->delimited)
			feed_directory(f, e->key, length + child, i, next);
	}
	span.page = page_builder_finish(&builder);
	span.count = span.page->count;
	span.from = feeding_from(f, prefix, length, begin, end);
	span.to = feeding_to(f, length, end == f->count);
	if (hidden) {
		free(d->hidden_example);
		d->hidden_example = xstrndup(hidden, hidden_length);
	}
	count_names(ix, span.count, 0);
	ix->weight++;
	if (place_compare(&span.from, &span.to) < 0)
		directory_cut(ix, d, &span.from, &span.to, &span);
	else
		span_release(ix, &span);
}

/* The directories that the page begins in, and shows no key of, have ended before it. */
static void feed_passed(struct feeding *f)
{
	const struct store_entry *first = f->entries;

	for (size_t i = f->base; i < f->from.length; i++) {
		if (f->from.data[i] == '/' && (f->count == 0 || first->key_length <= i ||
		                               memcmp(first->key, f->from.data, i + 1)))
			feed_directory(f, f->from.data, i + 1, 0, 0);
	}
}

/* A listing from the start of a directory also tells its parent whether there is such a one. */
static void feed_parent(struct index *ix, const char *prefix, size_t length, bool exists,
                        uint64_t time)
{
	const struct store_attr directory = {.is_prefix = true};
	const struct record *record;
	const struct span *known;
	struct directory *parent;
	size_t base = length - 1;
	uint64_t ttl;

	while (base > 0 && prefix[base - 1] != '/')
		base--;
	if (!name_usable(prefix + base, length - 1 - base))
		return;
	parent = directory_get(ix, prefix, base);
	known = find_key(parent, prefix + base, length - base, &record);
	ttl = exists ? ix->config.metadata_ttl_ns : ix->config.negative_ttl_ns;
	if (known && exists == (record != NULL) && time < known->time + ttl)
		return;
	set_key(ix, parent, prefix + base, length - base, exists ? &directory : NULL, time, false);
}

bool index_feed(struct index *ix, const struct index_page *page)
{
	size_t asked = strlen(page->prefix), base = asked, skip = 0;
	struct feeding f = {.ix = ix, .page = page};
	struct directory *d;
	bool told;

	while (base > 0 && page->prefix[base - 1] != '/')
		base--;
	f.base = base;
	if (page->start_after && strcmp(page->start_after, page->prefix) >= 0)
		f.from = place_behind(page->start_after, strlen(page->start_after));
	else
		f.from = place_copy(page->prefix, asked);
	/* Some servers show a common prefix once more to who starts after it. */
	while (skip < page->count &&
	       key_compare(page->entries[skip].key, page->entries[skip].key_length, f.from.data,
	                   f.from.length) < 0)
		skip++;
	f.entries = page->entries + skip;
	f.count = page->count - skip;
	told = !page->continuation || f.count > 0;
	if (told) {
		if (base == asked && asked > 0 && !page->start_after)
			feed_parent(ix, page->prefix, asked, f.count > 0, page->time);
		if (!page->delimited)
			feed_passed(&f);
		feed_directory(&f, page->prefix, base, 0, f.count);
		d = directory_get(ix, page->prefix, base);
		if (page->delimited && base == asked) {
			free(d->token);
			free(d->token_place.data);
			d->token = NULL;
			d->token_place = (struct place){NULL, 0};
			if (page->continuation) {
				d->token = xstrdup(page->continuation);
				d->token_place = feeding_to(&f, base, true);
				d->token_time = page->time;
			}
		}
	}
	free(f.from.data);
	return told;
}

void index_learn(struct index *ix, const char *prefix, const char *name,
                 const struct store_attr *attr, uint64_t time)
{
	struct directory *d = directory_get(ix, prefix, strlen(prefix));
	size_t length = strlen(name);
	char key[NAME_LENGTH_MAX + 2];

	if (!name_usable(name, length))
		return;
	memcpy(key, name, length);
	key[length] = '/';
	set_key(ix, d, key, length, attr && !attr->is_prefix ? attr : NULL, time, false);
	set_key(ix, d, key, length + 1, attr && attr->is_prefix ? attr : NULL, time, false);
}

void index_forget(struct index *ix, const char *prefix, const char *name)
{
	struct directory *d = directory_find(ix, prefix, strlen(prefix));
	size_t length = strlen(name);
	char key[NAME_LENGTH_MAX + 2];

	if (!d || !name_usable(name, length))
		return;
	memcpy(key, name, length);
	key[length] = '/';
	set_key(ix, d, key, length, NULL, 0, true);
	set_key(ix, d, key, length + 1, NULL, 0, true);
}

void index_forget_below(struct index *ix, const char *prefix)
{
	size_t length = strlen(prefix);
	struct directory *d, *next;

	HASH_ITER(hh, ix->directories, d, next) {
		if (d->prefix_length >= length && !memcmp(d->prefix, prefix, length))
			directory_destroy(ix, d);
	}
}

void index_trim(struct index *ix)
{
	struct directory *d;

	while (ix->weight > ix->config.max_entries && ix->used.next != ix->used.prev)
		directory_destroy(ix, list_last(&ix->used, struct directory, used));
	if (list_empty(&ix->used))
		return;
	/* One directory is larger than all that may be held: keep what was listed last, which
	 * is where its reader stands, and enough of it for what the reader holds back. */
	d = list_first(&ix->used, struct directory, used);
	while (ix->weight > ix->config.max_entries && d->span_count > SPANS_KEPT) {
		size_t oldest = 0;

		for (size_t i = 1; i < d->span_count; i++) {
			if (d->spans[i].number < d->spans[oldest].number)
				oldest = i;
		}
		directory_splice(ix, d, oldest, oldest + 1, NULL, 0);
	}
}

/* ---- asking ---- */

/* For how long what was learnt at `then` is believed from now on; false: it is not. */
static bool believed(uint64_t then, uint64_t ttl, struct index_time time, uint64_t *valid_ns)
{
	uint64_t age = time.now > then ? time.now - then : 0;

	*valid_ns = age < ttl ? ttl - age : 0;
	return age < ttl || then >= time.since;
}

enum index_answer index_find(struct index *ix, const char *prefix, const char *name,
                             struct index_time time, struct names_entry *e)
{
	struct directory *d = directory_find(ix, prefix, strlen(prefix));
	uint64_t ttl = ix->config.metadata_ttl_ns, negative = ix->config.negative_ttl_ns;
	const struct record *file, *below;
	const struct span *file_span, *below_span;
	size_t length = strlen(name);
	char key[NAME_LENGTH_MAX + 2];
	uint64_t valid, below_valid;

	e->valid_ns = negative;
	if (!name_usable(name, length))
		return INDEX_ABSENT;
	if (!d)
		return INDEX_UNKNOWN;
	directory_use(ix, d);
	memcpy(key, name, length);
	key[length] = '/';
	file_span = find_key(d, key, length, &file);
	below_span = find_key(d, key, length + 1, &below);

	if (below && believed(below_span->time, ttl, time, &e->valid_ns)) {
		e->directory = true;
		e->hides_object = file != NULL;
		page_attr(below_span->page, below, &ix->strings, &e->attr);
		return INDEX_DIRECTORY;
	}
	if (!file_span || !believed(file_span->time, file ? ttl : negative, time, &valid))
		return INDEX_UNKNOWN;
	if (!below_span || below ||
	    !believed(below_span->time, file ? ttl : negative, time, &below_valid))
		return INDEX_UNKNOWN_BELOW;
	e->valid_ns = MIN(valid, below_valid);
	if (!file)
		return INDEX_ABSENT;
	e->directory = false;
	e->hides_object = false;
	page_attr(file_span->page, file, &ix->strings, &e->attr);
	return INDEX_FILE;
}

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
	believed(s->time, sc->ix->config.metadata_ttl_ns, sc->time, &e->valid_ns);
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
			sc->stack[sc->depth++] = (struct held_back){s, r};
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
 * after which a byte below '/' follows. They are believed whatever their age: they were shown
 * by the listing that the reader is in. False, and the gap, where one is not known. */
static bool scan_resume(struct scan *sc, const struct directory *d, const char *after)
{
	for (size_t i = 1; after[i - 1] && after[i]; i++) {
		const struct record *record;
		const struct span *s;

		if ((unsigned char)after[i] >= '/')
			continue;
		s = find_key(d, after, i, &record);
		if (!s) {
			sc->r->gap = place_copy(after, i);
			sc->r->gap_is_key = true;
			return false;
		}
		if (record)
			sc->stack[sc->depth++] = (struct held_back){s, record};
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
		    !believed(s->time, ix->config.metadata_ttl_ns, time, &valid))
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

bool index_knows_start(struct index *ix, const char *prefix, struct index_time time)
{
	struct directory *d = directory_find(ix, prefix, strlen(prefix));
	uint64_t valid;

	return d && d->span_count > 0 && d->spans[0].from.length == 0 &&
	       believed(d->spans[0].time, ix->config.metadata_ttl_ns, time, &valid);
}

const char *index_continuation(struct index *ix, const char *prefix, const struct place *gap,
                               struct index_time time)
{
	struct directory *d = directory_find(ix, prefix, strlen(prefix));
	uint64_t valid;

	if (!d || !d->token || place_compare(&d->token_place, gap) ||
	    !believed(d->token_time, ix->config.metadata_ttl_ns, time, &valid))
		return NULL;
	return d->token;
}

size_t index_take_hidden(struct index *ix, const char *prefix, const char **example)
{
	struct directory *d = directory_find(ix, prefix, strlen(prefix));
	size_t hidden = 0;

	if (!d)
		return 0;
	for (size_t i = 0; i < d->span_count; i++)
		hidden += d->spans[i].hidden;
	*example = d->hidden_example;
	if (hidden == d->hidden_told)
		return 0;
	d->hidden_told = hidden;
	return hidden;
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
			    !believed(s->time, ix->config.metadata_ttl_ns, time, &valid))
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

struct index_notes *index_notes(struct index *ix, const char *prefix)
{
	struct directory *d = directory_find(ix, prefix, strlen(prefix));

	return d ? &d->notes : NULL;
}
