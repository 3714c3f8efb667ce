/* directory.c - directories as rows of spans (directory.h). */
#include "directory.h"

#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"

/* ---- places ---- */

int place_compare(const struct place *a, const struct place *b)
{
	if (!a->data || !b->data)
		return (a->data == NULL) - (b->data == NULL);
	return key_compare(a->data, a->length, b->data, b->length);
}

struct place place_copy(const char *data, size_t length)
{
	struct place p = {xmalloc(length + 1), length};

	memcpy(p.data, data, length);
	p.data[length] = '\0';
	return p;
}

struct place place_dup(const struct place *p)
{
	return p->data ? place_copy(p->data, p->length) : *p;
}

struct place place_behind(const char *key, size_t length)
{
	struct place p = place_copy(key, length);

	p.length++; /* the NUL that place_copy put there */
	return p;
}

struct place place_behind_prefix(const char *prefix, size_t length)
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

struct directory *directory_find(struct index *ix, const char *prefix, size_t length)
{
	struct directory *d;

	HASH_FIND(hh, ix->directories, prefix, length, d);
	return d;
}

void directory_use(struct index *ix, struct directory *d)
{
	list_remove(&d->used);
	list_prepend(&ix->used, &d->used);
}

struct directory *directory_get(struct index *ix, const char *prefix, size_t length)
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

static void span_release(struct span *s)
{
	page_unref(s->page);
	free(s->from.data);
	free(s->to.data);
}

/* The part of s in [from, to), which lies inside it; what is hidden goes with the caller. */
static struct span span_slice(const struct span *s, const struct place *from,
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
	return part;
}

size_t directory_span_at(const struct directory *d, const struct place *at)
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

void directory_splice(struct index *ix, struct directory *d, size_t begin, size_t end,
                      const struct span *spans, size_t n)
{
	size_t count = d->span_count - (end - begin) + n;
	int64_t names = 0;

	for (size_t i = begin; i < end; i++) {
		names -= (int64_t)d->spans[i].count;
		span_release(&d->spans[i]);
	}
	for (size_t i = 0; i < n; i++)
		names += (int64_t)spans[i].count;
	ix->weight += (size_t)names + n - (end - begin);
	stats_add(ix->config.stats, STAT_NAMES_ENTRIES, names);
	if (count > d->span_capacity) {
		d->span_capacity = MAX(count, d->span_capacity * 2);
		d->spans = xrealloc(d->spans, d->span_capacity, sizeof(*d->spans));
	}
	if (d->span_count > end)
		memmove(d->spans + begin + n, d->spans + end,
		        (d->span_count - end) * sizeof(*d->spans));
	if (n > 0)
		memcpy(d->spans + begin, spans, n * sizeof(*spans));
	d->span_count = count;
}

/* Makes [from, to) unknown, or known by `fresh` when that is not NULL. */
static void replace(struct index *ix, struct directory *d, const struct place *from,
                    const struct place *to, const struct span *fresh)
{
	size_t begin = directory_span_at(d, from), end = begin, n = 0;
	struct span parts[3];

	while (end < d->span_count && place_compare(&d->spans[end].from, to) < 0)
		end++;
	if (begin < end && place_compare(&d->spans[begin].from, from) < 0) {
		parts[n] = span_slice(&d->spans[begin], &d->spans[begin].from, from);
		parts[n++].hidden = d->spans[begin].hidden;
	}
	if (fresh)
		parts[n++] = *fresh;
	if (begin < end && place_compare(&d->spans[end - 1].to, to) > 0)
		parts[n++] = span_slice(&d->spans[end - 1], to, &d->spans[end - 1].to);
	directory_splice(ix, d, begin, end, parts, n);
}

void directory_cut(struct index *ix, struct directory *d, const struct place *from,
                   const struct place *to)
{
	replace(ix, d, from, to, NULL);
}

void directory_put(struct index *ix, struct directory *d, struct span *fresh)
{
	fresh->number = ix->spans_made++;
	if (place_compare(&fresh->from, &fresh->to) < 0)
		replace(ix, d, &fresh->from, &fresh->to, fresh);
	else
		span_release(fresh);
}

void directory_put_key(struct index *ix, struct directory *d, const char *key, size_t length,
                       const struct store_attr *attr, uint64_t time)
{
	struct span span = {
		.from = place_copy(key, length),
		.to = place_behind(key, length),
		.time = time,
	};
	struct page_builder builder;

	page_builder_init(&builder, &ix->strings);
	if (attr)
		page_builder_add(&builder, key, length, attr);
	span.page = page_builder_finish(&builder);
	span.count = span.page->count;
	directory_put(ix, d, &span);
}

void directory_destroy(struct index *ix, struct directory *d)
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

const struct span *directory_find_key(const struct directory *d, const char *key, size_t length,
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

bool name_usable(const char *name, size_t length)
{
	if (length == 0 || length > NAME_LENGTH_MAX)
		return false;
	if (name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.')))
		return false;
	return !memchr(name, '\0', length);
}

bool index_believes(uint64_t then, uint64_t ttl, struct index_time time, uint64_t *valid_ns)
{
	uint64_t age = time.now > then ? time.now - then : 0;

	*valid_ns = age < ttl ? ttl - age : 0;
	return age < ttl || then >= time.since;
}
