/* question.c - which request tells the most about names.
 *
 *   a name       LIST of all that begins with it, not grouped: the object and, if they fit in
 *                the page, all keys below name/, so that `cat dir/file` needs no more. Where
 *                "name-x", "name.y" … fill the page before name/ could come, one more. The
 *                second name that is asked for in a directory makes it likely that others
 *                follow: then the first page of the directory comes first, where that tells
 *                something new, as it does of a small one's absent names after negative_ttl.
 *   a directory  grouped at '/', from where the index has a gap. But where its parent was
 *                listed a moment ago, the reader is likely to walk the tree: then keys are
 *                listed from here on through all that the parent holds, and what holds the
 *                parent if that was listed, too: a thousand names a LIST however small the
 *                directories are. When a second such page ends below one of our
 *                sub-directories, there is more than a page below it, and grouping is better
 *                from there on.
 *
 * A listing goes on by the token of the page before where there is one, and otherwise after
 * the last key that is known. A walk under a directory that is higher up begins somewhere
 * inside it, which only start-after can say. */
#include "question.h"

#include <stdlib.h>
#include <string.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/xalloc.h"

#define WALK_NS (30 * NS_PER_SECOND) /* a directory that was listed is being walked for so long */

void question_release(struct question *q)
{
	free(q->prefix);
	free(q->start_after);
	free(q->continuation);
	free(q->goal);
	free(q->directory);
	*q = (struct question){0};
}

struct question question_key(enum fetch_kind kind, const char *directory, const char *key)
{
	return (struct question){
		.kind = kind,
		.prefix = xstrdup(key),
		.directory = xstrdup(directory),
	};
}

struct question question_whole(const char *directory)
{
	return (struct question){
		.kind = FETCH_WHOLE,
		.delimited = true,
		.prefix = xstrdup(directory),
		.directory = xstrdup(directory),
	};
}

/* The place in a directory as the key to start after: every key that sorts behind the place
 * sorts behind it, and hardly any other. `flat`: keys below a sub-directory that ends there
 * are to be passed over, too. */
static char *start_after(const char *prefix, const struct place *place, bool flat)
{
	struct buf key = BUF_INIT;

	if (place->length == 0)
		return flat ? xstrdup(prefix) : NULL;
	buf_adds(&key, prefix);
	buf_add(&key, place->data, place->length - 1);
	if (place->data[place->length - 1] == '\0') { /* right behind a key */
		if (flat && key.data[key.length - 1] == '/')
			buf_adds(&key, KEY_LAST);
	} else if (place->data[place->length - 1] > 1 || place->data[place->length - 1] < 0) {
		buf_addc(&key, (char)(place->data[place->length - 1] - 1));
		buf_adds(&key, KEY_LAST);
	}
	return buf_detach(&key);
}

/* The prefix of the parent of a directory below the root, or NULL. */
static char *parent_of(const char *prefix, const char *root)
{
	size_t length = strlen(prefix), top = strlen(root);

	if (length <= top)
		return NULL;
	length--; /* its own '/' */
	while (length > top && prefix[length - 1] != '/')
		length--;
	return xstrndup(prefix, length);
}

/* The topmost directory of those above that are being walked, or NULL. */
static char *walked_above(struct index *ix, const char *prefix, const char *root, uint64_t now)
{
	char *top = NULL, *parent;

	while ((parent = parent_of(top ? top : prefix, root))) {
		struct index_notes *notes = index_notes(ix, parent);

		if (!notes || !notes->walked || now - notes->walked >= WALK_NS) {
			free(parent);
			break;
		}
		notes->walked = now;
		free(top);
		top = parent;
	}
	return top;
}

struct question question_listing(struct index *ix, const char *directory, const struct place *gap,
                                 const char *root, bool flat, struct index_time time)
{
	const char *token = index_continuation(ix, directory, gap, time);
	struct index_notes *notes = index_notes(ix, directory);
	char *above = NULL;
	struct question q = {
		.kind = FETCH_PAGE,
		.delimited = true,
		.directory = xstrdup(directory),
	};

	if (!token && flat)
		above = walked_above(ix, directory, root, time.now);
	if (above && place_is_below(gap)) {
		/* The last page ended below a sub-directory. Once it is worth to go on there. */
		if (notes->descents++ == 0) {
			q.start_after = index_end_below(ix, directory, gap, time);
		} else {
			free(above);
			above = NULL;
		}
	}
	if (!q.start_after) {
		/* It must get us behind the directory's own marker, at least. */
		q.start_after = start_after(directory, gap, above != NULL);
		q.goal = xasprintf("%s%.*s", directory, gap->length ? (int)gap->length : 1,
		                   gap->length ? gap->data : "\x01");
	}
	q.delimited = !above;
	q.prefix = above ? above : xstrdup(directory);
	q.continuation = token ? xstrdup(token) : NULL;
	return q;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

bool question_equals(const struct question *a, const struct question *b)
{
	return a->kind == b->kind && a->delimited == b->delimited && same(a->prefix, b->prefix) &&
	       same(a->start_after, b->start_after);
}
