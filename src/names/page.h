/* page.h - the names that one listing page showed in one directory, in compact memory.
 *
 * A page is built once and never changes; the spans that show parts of it count references.
 * A record costs 32 bytes and the bytes of its name and ETag; storage classes and content
 * types, of which there are few, are interned. Not thread-safe: the index's lock covers it. */
#ifndef PAILFS_NAMES_PAGE_H
#define PAILFS_NAMES_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "pailfs/base/buf.h"
#include "pailfs/store.h"

/* The few strings that many records share. Number 0 is "", also for what comes when the
 * table is full: both fields are for show. */
struct string_table {
	char **strings;
	uint16_t count;
};

void string_table_init(struct string_table *t);
void string_table_release(struct string_table *t);

struct record {
	uint64_t size;
	int64_t mtime_ns;
	uint32_t text;          /* where its bytes begin: key, ETag, version, no NUL between */
	uint16_t key_length;    /* of the name and, for a directory, the '/' after it */
	uint8_t etag_length, version_length;
	uint16_t storage_class, content_type;
	bool size_unknown;
};

struct page {
	unsigned refs;
	size_t count;
	const char *text;
	struct record records[]; /* in the order of their keys; the text stands behind them */
};

struct page_builder {
	struct string_table *strings;
	struct record *records;
	size_t count, capacity;
	struct buf text;
};

void page_builder_init(struct page_builder *b, struct string_table *strings);
/* A key that does not come after the one before is not added: false. */
bool page_builder_add(struct page_builder *b, const char *key, size_t length,
                      const struct store_attr *attr);
/* The page with one reference, the caller's. Releases what the builder holds. */
struct page *page_builder_finish(struct page_builder *b);

struct page *page_ref(struct page *p);
void page_unref(struct page *p);

static inline const char *page_key(const struct page *p, const struct record *r)
{
	return p->text + r->text;
}

static inline bool record_is_directory(const struct page *p, const struct record *r)
{
	return p->text[r->text + r->key_length - 1] == '/';
}

/* The number of the first record whose key is not before `key`. */
size_t page_find(const struct page *p, const char *key, size_t length);
void page_attr(const struct page *p, const struct record *r, const struct string_table *strings,
               struct store_attr *attr);

/* The byte order of keys; a proper prefix comes first. */
int key_compare(const char *a, size_t a_length, const char *b, size_t b_length);

#endif
