/* index.h - what listings have shown of a bucket's directories; index.c explains it.
 *
 * No requests, locks or clock: the caller brings pages and the time, and holds its lock. A
 * directory is named by its prefix, "" or a key ending in '/'. A child's *key* is its name,
 * with a '/' behind it when it is a directory; children are known in the order of their keys,
 * as listings bring them. */
#ifndef PAILFS_NAMES_INDEX_H
#define PAILFS_NAMES_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "pailfs/names.h"

struct index;

struct index_config {
	uint64_t metadata_ttl_ns, negative_ttl_ns;
	size_t max_entries;
	struct stats *stats;
};

struct index *index_create(const struct index_config *config);
void index_destroy(struct index *ix);

/* A place among the keys of a directory's children, between two possible keys: before `data`
 * (length bytes, may hold a NUL at its end), or after all of them when data is NULL. */
struct place {
	char *data;
	size_t length;
};

/* Right behind a sub-directory? */
static inline bool place_is_below(const struct place *p)
{
	return p->data && p->length >= 2 && !memcmp(p->data + p->length - 2, "/", 2);
}

/* Appended to a prefix: sorts behind all keys that begin with it, but for absurd ones. Some
 * servers refuse what is not UTF-8, so it is its last character, U+10FFFF. */
#define KEY_LAST "\xf4\x8f\xbf\xbf"

/* ---- learning ---- */

struct index_page {
	const char *prefix;      /* the LIST's own, which need not end at a '/' */
	bool delimited;
	const char *start_after; /* NULL: from the first key with this prefix; otherwise whatever
	                          * comes after this key */
	const struct store_entry *entries; /* in the order of their keys */
	size_t count;
	size_t unusable;
	const char *continuation; /* NULL: all that follows with this prefix is in the page */
	uint64_t time;           /* when it was asked for */
};

/* Takes in a page, in place of what was known of the same keys. False: it tells nothing,
 * since it ends where it began and more follow. */
bool index_feed(struct index *ix, const struct index_page *page);
/* One child is what attr says, or is absent (NULL), and nothing of the same name hides it. */
void index_learn(struct index *ix, const char *prefix, const char *name,
                 const struct store_attr *attr, uint64_t time);
void index_forget(struct index *ix, const char *prefix, const char *name);
void index_forget_below(struct index *ix, const char *prefix);
/* Forgets the directories that were used least recently until the index is within its size. */
void index_trim(struct index *ix);

/* ---- asking ---- */

/* What is believed: what was learnt less than a TTL ago, or since the question was asked. */
struct index_time {
	uint64_t now, since;
};

enum index_answer {
	INDEX_FILE,
	INDEX_DIRECTORY,
	INDEX_ABSENT,
	INDEX_UNKNOWN,       /* whether there is an object of that name */
	INDEX_UNKNOWN_BELOW, /* whether there are keys below name/; about the object it is known */
};

/* Sets e->valid_ns unless unknown, and all but the name for a file or a directory. */
enum index_answer index_find(struct index *ix, const char *prefix, const char *name,
                             struct index_time time, struct names_entry *e);

struct index_reading {
	struct names_entry *entries; /* the caller frees them with their names */
	size_t count;
	bool end;                    /* nothing follows these entries */
	/* Unless end: where the first gap in what is known begins (the caller frees gap.data),
	 * and how many children are known between these entries and the gap. No gap.data: none
	 * was found near. */
	struct place gap;
	size_t ahead;
	bool gap_is_key;             /* the gap is just that one key, which the reader may have to
	                              * be shown; it lies before `after` */
};

/* At most max entries after the one of name `after` (NULL: from the start). */
void index_read(struct index *ix, const char *prefix, const char *after, size_t max,
                struct index_time time, struct index_reading *r);

/* Is it known how the listing of a directory begins? */
bool index_knows_start(struct index *ix, const char *prefix, struct index_time time);
/* Is all of it known, and so little that one page would tell it again? */
bool index_knows_small(struct index *ix, const char *prefix, struct index_time time);

/* The token that continues the last delimited listing of a directory, if that ended exactly
 * at the gap; NULL otherwise. Valid until the index changes. */
const char *index_continuation(struct index *ix, const char *prefix, const struct place *gap,
                               struct index_time time);

/* How many names of a directory that is wholly known cannot be shown (M1), and one of them;
 * 0 when that was asked before with the same outcome. */
size_t index_take_hidden(struct index *ix, const char *prefix, const char **example);

/* The last key of a page that ended below a sub-directory, which leaves a gap right behind
 * that: a flat listing goes on after it. The caller frees it. */
char *index_end_below(struct index *ix, const char *prefix, const struct place *gap,
                      struct index_time time);

/* What the driver notes about a directory, kept and forgotten with it; NULL: nothing is known
 * of the directory. Valid until the index changes. */
struct index_notes {
	uint64_t walked;   /* when a reader had all of its listing, or went on below; 0: never */
	unsigned descents; /* flat pages since then that began below a sub-directory */
	uint64_t asked;    /* when one of its names was last asked for by a LIST of its own; 0: never */
};
struct index_notes *index_notes(struct index *ix, const char *prefix);

#endif
