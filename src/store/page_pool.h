/* page_pool.h - the memory of a tree in memory: pages of 4 KiB, up to a limit.
 *
 * What is not used goes back to the system, which a heap does not promise: a few pages that
 * stay in use between others that are freed can hold all of it. Any thread may call
 * anything. */
#ifndef PAILFS_STORE_PAGE_POOL_H
#define PAILFS_STORE_PAGE_POOL_H

#include <pthread.h>
#include <stdint.h>
#include "pailfs/base/list.h"

enum { PAGE_BYTES = 4096 };

struct page_pool {
	uint64_t limit;             /* pages that may be in use at once */
	pthread_mutex_t lock;
	uint64_t used;              /* lock; pages that are in use */
	struct list slabs;          /* lock; those that have a free page, empty ones last */
};

void page_pool_init(struct page_pool *p, uint64_t limit);
void page_pool_release(struct page_pool *p); /* all pages were given back */

/* A page of zeros; NULL: the limit is reached, or the system has no memory. */
void *page_take(struct page_pool *p);
void page_give(struct page_pool *p, void *page);

uint64_t page_pool_used(struct page_pool *p);

#endif
