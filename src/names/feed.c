/* feed.c - what a page of a listing proves: index_feed.
 *
 * A page holds whatever lies between the place where it was to begin and the last of its keys,
 * or the end of its prefix when it was the last page. Cut down to one directory, that is an
 * interval of children. Where an end of the page lies below a sub-directory, the interval ends
 * right behind that one: its other keys may be on another page. */
#include "directory.h"

#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"

struct feeding {
	struct index *ix;
	const struct index_page *page;
	const struct store_entry *entries; /* those of the page that lie in its interval */
	size_t count;
	size_t base;       /* the length of the topmost directory's prefix */
	struct place from; /* where the page begins, as a whole key */
};

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
	directory_put(ix, d, &span);
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
	known = directory_find_key(parent, prefix + base, length - base, &record);
	ttl = exists ? ix->config.metadata_ttl_ns : ix->config.negative_ttl_ns;
	if (known && exists == (record != NULL) && time < known->time + ttl)
		return;
	directory_put_key(ix, parent, prefix + base, length - base, exists ? &directory : NULL, time);
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
