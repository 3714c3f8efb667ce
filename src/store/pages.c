/* pages.c - see pages.h. A radix tree whose height grows with the highest page: a value of one
 * page is that page and nothing else, and a hole of any length costs nothing. */
#include "src/store/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"

enum { FAN_BITS = 6, FAN = 1 << FAN_BITS };

struct node {
	void *slots[FAN];
};

/* How many pages a tree of this height can hold; 64 bits of page numbers are never full. */
static uint64_t reach(unsigned height)
{
	return height * FAN_BITS >= 64 ? UINT64_MAX : 1ull << (height * FAN_BITS);
}

static unsigned slot_of(uint64_t index, unsigned height)
{
	return (unsigned)(index >> ((height - 1) * FAN_BITS)) % FAN;
}

void pages_init(struct pages *p, struct page_pool *pool)
{
	*p = (struct pages){.pool = pool};
}

static void *page_get(const struct pages *p, uint64_t index)
{
	void *at = p->root;

	if (index >= reach(p->height))
		return NULL;
	for (unsigned h = p->height; h && at; h--)
		at = ((struct node *)at)->slots[slot_of(index, h)];
	return at;
}

/* Where the page of this number hangs, or will; grows the tree as far. */
static void **slot_make(struct pages *p, uint64_t index)
{
	void **at = &p->root;

	while (index >= reach(p->height)) {
		if (p->root) {
			struct node *above = xcalloc(1, sizeof(*above));

			above->slots[0] = p->root;
			p->root = above;
		}
		p->height++;
	}
	for (unsigned h = p->height; h; h--) {
		if (!*at)
			*at = xcalloc(1, sizeof(struct node));
		at = &((struct node *)*at)->slots[slot_of(index, h)];
	}
	return at;
}

/* The page, made of zeros if it was a hole; NULL, and nothing has grown, when there is no room. */
static void *page_make(struct pages *p, uint64_t index)
{
	void *page = page_get(p, index);

	if (page)
		return page;
	page = page_take(p->pool);
	if (page) {
		*slot_make(p, index) = page;
		p->count++;
	}
	return page;
}

static void page_free(struct pages *p, void *page)
{
	page_give(p->pool, page);
	p->count--;
}

/* Frees the pages first to last (inclusive) below *at, whose own first page is number
 * `base`, and the nodes that this empties. */
static void drop(struct pages *p, void **at, unsigned height, uint64_t base, uint64_t first, uint64_t last)
{
	struct node *n = *at;
	bool empty = true;
	uint64_t step;

	if (!n)
		return;
	if (!height) {
		page_free(p, n);
		*at = NULL;
		return;
	}
	step = reach(height - 1);
	for (unsigned i = 0; i < FAN; i++) {
		uint64_t start = base + i * step;

		if (n->slots[i] && start <= last && start + (step - 1) >= first)
			drop(p, &n->slots[i], height - 1, start, first, last);
		empty = empty && !n->slots[i];
	}
	if (empty) {
		free(n);
		*at = NULL;
	}
}

void pages_release(struct pages *p)
{
	drop(p, &p->root, p->height, 0, 0, UINT64_MAX);
	p->height = 0;
}

void pages_read(const struct pages *p, void *buffer, size_t n, uint64_t offset)
{
	char *to = buffer;

	while (n) {
		size_t within = offset % PAGE_BYTES, part = MIN(n, PAGE_BYTES - within);
		const char *page = page_get(p, offset / PAGE_BYTES);

		if (page)
			memcpy(to, page + within, part);
		else
			memset(to, 0, part);
		to += part;
		offset += part;
		n -= part;
	}
}

size_t pages_write(struct pages *p, const void *data, size_t n, uint64_t offset)
{
	const char *from = data;
	size_t done = 0;

	while (done < n) {
		size_t within = offset % PAGE_BYTES, part = MIN(n - done, PAGE_BYTES - within);
		char *page = page_make(p, offset / PAGE_BYTES);

		if (!page)
			break;
		memcpy(page + within, from + done, part);
		offset += part;
		done += part;
	}
	return done;
}

/* Zeros that lie in one page. */
static void clear(struct pages *p, uint64_t start, uint64_t end)
{
	char *page = page_get(p, start / PAGE_BYTES);

	if (page && end > start)
		memset(page + start % PAGE_BYTES, 0, end - start);
}

void pages_punch(struct pages *p, struct range r)
{
	uint64_t first = r.start / PAGE_BYTES + (r.start % PAGE_BYTES != 0), last = r.end / PAGE_BYTES;

	if (range_empty(r))
		return;
	if (first > last) {
		clear(p, r.start, r.end);
		return;
	}
	clear(p, r.start, first * PAGE_BYTES);
	clear(p, last * PAGE_BYTES, r.end);
	if (first < last && first < reach(p->height))
		drop(p, &p->root, p->height, 0, first, last - 1);
}

/* How many of these pages are holes. */
static uint64_t holes(const struct pages *p, uint64_t first, uint64_t last)
{
	uint64_t count = last - first + 1;

	for (uint64_t i = first; i <= last && i < reach(p->height); i++)
		count -= page_get(p, i) != NULL;
	return count;
}

int pages_fill(struct pages *p, struct range r)
{
	uint64_t first = r.start / PAGE_BYTES, last;

	if (range_empty(r))
		return 0;
	last = (r.end - 1) / PAGE_BYTES;
	/* What cannot be shall not take all that is free before it is found out. */
	if (last - first >= p->pool->limit ||
	    holes(p, first, last) > p->pool->limit - page_pool_used(p->pool))
		return -ENOSPC;
	for (uint64_t i = first; i <= last; i++)
		if (!page_make(p, i))
			return -ENOSPC;
	return 0;
}

/* The first page at or after index below `at`, UINT64_MAX when there is none. */
static uint64_t next_page(const void *at, unsigned height, uint64_t base, uint64_t index)
{
	const struct node *n = at;

	if (!at)
		return UINT64_MAX;
	if (!height)
		return base;
	for (unsigned i = index <= base ? 0 : slot_of(index, height); i < FAN; i++) {
		uint64_t start = base + i * reach(height - 1);
		uint64_t found = next_page(n->slots[i], height - 1, start, index);

		if (found != UINT64_MAX)
			return found;
	}
	return UINT64_MAX;
}

uint64_t pages_seek(const struct pages *p, uint64_t offset, bool data)
{
	uint64_t index = offset / PAGE_BYTES, found = index;

	if (data)
		found = index < reach(p->height) ? next_page(p->root, p->height, 0, index) : UINT64_MAX;
	else
		while (page_get(p, found))
			found++;
	if (found == UINT64_MAX)
		return UINT64_MAX;
	return found == index ? offset : found * PAGE_BYTES;
}
