/* pages.h - the bytes of one value in memory: pages of 4 KiB, with holes.
 *
 * No locking: the value's lock protects them. */
#ifndef PAILFS_STORE_PAGES_H
#define PAILFS_STORE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "pailfs/base/range.h"
#include "src/store/page_pool.h"

struct pages {
	struct page_pool *pool;
	void *root;        /* a page when height is 0, else a node */
	unsigned height;
	uint64_t count;    /* pages that are there */
};

void pages_init(struct pages *p, struct page_pool *pool);
void pages_release(struct pages *p);

/* Holes read as zeros. */
void pages_read(const struct pages *p, void *buffer, size_t n, uint64_t offset);
/* Returns how many bytes found room; less than n only when the pool is used up. */
size_t pages_write(struct pages *p, const void *data, size_t n, uint64_t offset);
/* Makes the range read as zeros; whole pages of it become holes. */
void pages_punch(struct pages *p, struct range r);
/* Makes pages where there are holes: all, or none and -ENOSPC. Where others take what is free
 * meanwhile, it may be some. */
int pages_fill(struct pages *p, struct range r);
/* The first byte at or after offset that lies in a page (data) or in none (hole);
 * UINT64_MAX: no data follows. */
uint64_t pages_seek(const struct pages *p, uint64_t offset, bool data);

#endif
