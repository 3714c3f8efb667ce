/* directory.h - directories as rows of spans; the inside of the index (index.c explains it). */
#ifndef PAILFS_NAMES_DIRECTORY_H
#define PAILFS_NAMES_DIRECTORY_H

#include <uthash.h>
#include "index.h"
#include "page.h"
#include "pailfs/base/list.h"

#define NAME_LENGTH_MAX 255 /* of a component; M1 */

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
	size_t weight;                 /* records in spans, spans and directories */
	uint64_t spans_made;           /* so far */
};

/* ---- places: the caller frees data ---- */

int place_compare(const struct place *a, const struct place *b);
struct place place_copy(const char *data, size_t length);
struct place place_dup(const struct place *p);
/* The place right behind a key: no other string lies between them. */
struct place place_behind(const char *key, size_t length);
/* The place behind every key that begins with these bytes. */
struct place place_behind_prefix(const char *prefix, size_t length);

/* ---- directories ---- */

/* Can a child have this name (M1)? */
bool name_usable(const char *name, size_t length);

/* NULL when nothing is known of it. */
struct directory *directory_find(struct index *ix, const char *prefix, size_t length);
/* Makes it if need be. It counts as used. */
struct directory *directory_get(struct index *ix, const char *prefix, size_t length);
void directory_use(struct index *ix, struct directory *d);
void directory_destroy(struct index *ix, struct directory *d);

/* The number of the first span that ends behind this place. */
size_t directory_span_at(const struct directory *d, const struct place *at);
/* Puts `n` spans in place of those from number `begin` to before `end`, which are released. */
void directory_splice(struct index *ix, struct directory *d, size_t begin, size_t end,
                      const struct span *spans, size_t n);
/* Makes [from, to) unknown. */
void directory_cut(struct index *ix, struct directory *d, const struct place *from,
                   const struct place *to);
/* Takes over a new span, in place of what it overlaps; one that holds no place is dropped. */
void directory_put(struct index *ix, struct directory *d, struct span *fresh);
/* Makes one key known: what attr says, or its absence (NULL). */
void directory_put_key(struct index *ix, struct directory *d, const char *key, size_t length,
                       const struct store_attr *attr, uint64_t time);

/* The span that knows about a key, or NULL, and the key's record, or NULL. */
const struct span *directory_find_key(const struct directory *d, const char *key, size_t length,
                                      const struct record **record);

/* For how long what was learnt at `then` is believed from now on; false: it is not. */
bool index_believes(uint64_t then, uint64_t ttl, struct index_time time, uint64_t *valid_ns);

#endif
