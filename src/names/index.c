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
 * directory.c holds the spans, feed.c makes them of pages, reading.c reads directories. */
#include "index.h"

#include <stdlib.h>
#include <string.h>
#include "directory.h"
#include "pailfs/base/xalloc.h"

#define SPANS_KEPT 8 /* of a directory in use, however large they are */
#define SMALL_DIRECTORY 500 /* names; a page has up to 1,000 */

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

/* ---- learning ---- */

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
	directory_put_key(ix, d, key, length, attr && !attr->is_prefix ? attr : NULL, time);
	directory_put_key(ix, d, key, length + 1, attr && attr->is_prefix ? attr : NULL, time);
}

static void forget_key(struct index *ix, struct directory *d, const char *key, size_t length)
{
	struct place from = place_copy(key, length), to = place_behind(key, length);

	directory_cut(ix, d, &from, &to);
	free(from.data);
	free(to.data);
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
	forget_key(ix, d, key, length);
	forget_key(ix, d, key, length + 1);
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
	file_span = directory_find_key(d, key, length, &file);
	below_span = directory_find_key(d, key, length + 1, &below);

	if (below && index_believes(below_span->time, ttl, time, &e->valid_ns)) {
		e->directory = true;
		e->hides_object = file != NULL;
		page_attr(below_span->page, below, &ix->strings, &e->attr);
		return INDEX_DIRECTORY;
	}
	if (!file_span || !index_believes(file_span->time, file ? ttl : negative, time, &valid))
		return INDEX_UNKNOWN;
	if (!below_span || below ||
	    !index_believes(below_span->time, file ? ttl : negative, time, &below_valid))
		return INDEX_UNKNOWN_BELOW;
	e->valid_ns = MIN(valid, below_valid);
	if (!file)
		return INDEX_ABSENT;
	e->directory = false;
	e->hides_object = false;
	page_attr(file_span->page, file, &ix->strings, &e->attr);
	return INDEX_FILE;
}

bool index_knows_start(struct index *ix, const char *prefix, struct index_time time)
{
	struct directory *d = directory_find(ix, prefix, strlen(prefix));
	uint64_t valid;

	return d && d->span_count > 0 && d->spans[0].from.length == 0 &&
	       index_believes(d->spans[0].time, ix->config.metadata_ttl_ns, time, &valid);
}

bool index_knows_small(struct index *ix, const char *prefix, struct index_time time)
{
	struct directory *d = directory_find(ix, prefix, strlen(prefix));
	struct place at = {(char *)"", 0};
	size_t names = 0;
	uint64_t valid;

	for (size_t i = 0; d && i < d->span_count; i++) {
		const struct span *s = &d->spans[i];

		if (place_compare(&s->from, &at) > 0 ||
		    !index_believes(s->time, ix->config.metadata_ttl_ns, time, &valid))
			return false;
		names += s->count;
		at = s->to;
	}
	return d && !at.data && names <= SMALL_DIRECTORY;
}

const char *index_continuation(struct index *ix, const char *prefix, const struct place *gap,
                               struct index_time time)
{
	struct directory *d = directory_find(ix, prefix, strlen(prefix));
	uint64_t valid;

	if (!d || !d->token || place_compare(&d->token_place, gap) ||
	    !index_believes(d->token_time, ix->config.metadata_ttl_ns, time, &valid))
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

struct index_notes *index_notes(struct index *ix, const char *prefix)
{
	struct directory *d = directory_find(ix, prefix, strlen(prefix));

	return d ? &d->notes : NULL;
}
