/* list_page.h - a page of a listing while it is being made.
 *
 * The parsers add entries in whatever order the service sends them; keys stand in one block
 * of memory, so a page of a thousand names is two allocations. A page belongs to one thread. */
#ifndef PAILFS_STORE_LIST_PAGE_H
#define PAILFS_STORE_LIST_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include "pailfs/base/buf.h"
#include "pailfs/store.h"

struct list_page {
	struct store_entry *entries; /* key is not valid before list_page_finish */
	size_t count, capacity;
	struct buf keys;             /* NUL-terminated, one after the other */
	size_t unusable;
	struct buf continuation;     /* empty: this is the last page */
	bool truncated;              /* continuation is valid */
};

void list_page_init(struct list_page *p);
void list_page_release(struct list_page *p);
/* Adds a key, or a prefix that ends in '/' when attr->is_prefix; bytes as in the bucket
 * (decoded). One with a NUL inside, or an empty one, is only counted. */
void list_page_add(struct list_page *p, const char *key, size_t n, const struct store_attr *attr);
/* There is another page, reached by this token. */
void list_page_continue(struct list_page *p, const char *token, size_t n);
/* Moves all into op (entries, count, unusable, next_continuation, memory), in the byte order
 * of the keys when `sorted`, without the entries at or before op->start_after. The page is
 * empty then. */
void list_page_finish(struct list_page *p, struct store_list *op, bool sorted);

#endif
