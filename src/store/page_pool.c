/* page_pool.c - see page_pool.h. Pages come from slabs of 1 MiB, which are aligned to their
 * size, so that a page's address tells its slab; a slab's first page holds its map. When its
 * last page is given back, the slab keeps its addresses and that first page, and the system
 * gets the others: nothing is unmapped, so no pattern of use can run into the system's limit
 * on mappings. New pages come from slabs that are in use already, as long as there are any. */
#include "src/store/page_pool.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include "pailfs/base/lock.h"

enum {
	SLAB_BYTES = 1 << 20,
	SLAB_PAGES = SLAB_BYTES / PAGE_BYTES, /* with the first, which is the slab's own */
};

struct slab {
	struct list link;           /* in page_pool.slabs unless it is full */
	unsigned used;              /* pages, with the first */
	uint64_t taken[SLAB_PAGES / 64]; /* a bit a page, the first one's always set */
};

void page_pool_init(struct page_pool *p, uint64_t limit)
{
	*p = (struct page_pool){.limit = limit};
	pthread_mutex_init(&p->lock, NULL);
	list_init(&p->slabs);
}

void page_pool_release(struct page_pool *p)
{
	struct slab *s;

	assert(!p->used);
	list_for_each_safe(s, &p->slabs, link)
		munmap(s, SLAB_BYTES);
	pthread_mutex_destroy(&p->lock);
}

static struct slab *slab_make(void)
{
	char *map = mmap(NULL, 2 * SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before = -(uintptr_t)map % SLAB_BYTES;
	struct slab *s;

	if (map == MAP_FAILED)
		return NULL;
	if (before)
		munmap(map, before);
	s = (struct slab *)(map + before);
	munmap(map + before + SLAB_BYTES, SLAB_BYTES - before);
	s->taken[0] = 1;
	s->used = 1;
	return s;
}

static void *slab_take(struct slab *s)
{
	unsigned word = 0, bit;

	while (!~s->taken[word])
		word++;
	bit = (unsigned)__builtin_ctzll(~s->taken[word]);
	s->taken[word] |= 1ull << bit;
	s->used++;
	return (char *)s + (size_t)(word * 64 + bit) * PAGE_BYTES;
}

void *page_take(struct page_pool *p)
{
	struct slab *s;
	void *page;

	pthread_mutex_lock(&p->lock);
	if (p->used < p->limit && list_empty(&p->slabs)) {
		s = slab_make();
		if (s)
			list_append(&p->slabs, &s->link);
	}
	if (p->used == p->limit || list_empty(&p->slabs)) {
		pthread_mutex_unlock(&p->lock);
		return NULL;
	}
	s = container_of(p->slabs.next, struct slab, link);
	page = slab_take(s);
	if (s->used == SLAB_PAGES)
		list_remove(&s->link);
	p->used++;
	pthread_mutex_unlock(&p->lock);
	return memset(page, 0, PAGE_BYTES);
}

void page_give(struct page_pool *p, void *page)
{
	size_t offset = (uintptr_t)page % SLAB_BYTES, index = offset / PAGE_BYTES;
	struct slab *s = (struct slab *)((char *)page - offset);

	scoped_lock(&p->lock);
	assert(s->taken[index / 64] & 1ull << index % 64);
	s->taken[index / 64] &= ~(1ull << index % 64);
	if (s->used-- == SLAB_PAGES)
		list_prepend(&p->slabs, &s->link);
	if (s->used == 1) {
		list_remove(&s->link);
		list_append(&p->slabs, &s->link);
		madvise((char *)s + PAGE_BYTES, SLAB_BYTES - PAGE_BYTES, MADV_DONTNEED);
	}
	p->used--;
}

uint64_t page_pool_used(struct page_pool *p)
{
	scoped_lock(&p->lock);
	return p->used;
}
