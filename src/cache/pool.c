/* pool.c - size classes of four steps an octave, from 4 KiB on: at most a fifth is wasted.
 *
 * An idle buffer holds its links in its own first bytes. What is given back first is what was
 * idle longest: while a window grows its parts grow too, and the sizes that it has left
 * behind must not keep the place of those in use.
 *
 * A buffer of at least a huge page is made of those where the system has some (the kernel's
 * Documentation/admin-guide/mm/transhuge.rst): it is filled to its end anyway, and who copies
 * from it then has a fault and an address to look up for two megabytes instead of for a page. */
#include "pool.h"

#include <sys/mman.h>

struct pool_buffer {
	struct list by_class, by_age;
	size_t size;
};

#define PAGE 4096ull
#define HUGE_PAGE (2ull << 20)

/* One, two and three pages; from class 3 on 2^k * (4, 5, 6, 7) pages: all are whole pages. */
static size_t class_size(unsigned k)
{
	return k < 3 ? PAGE * (k + 1) : (size_t)((PAGE << ((k - 3) / 4)) * (4 + (k - 3) % 4));
}

static unsigned class_of(size_t n)
{
	unsigned k = 0;

	while (k < POOL_CLASSES - 1 && class_size(k) < n)
		k++;
	return k;
}

void pool_init(struct pool *p)
{
	for (unsigned k = 0; k < POOL_CLASSES; k++)
		list_init(&p->idle[k]);
	list_init(&p->by_age);
	p->idle_bytes = 0;
}

size_t pool_size(size_t n)
{
	return class_size(class_of(n));
}

static void take(struct pool *p, struct pool_buffer *b)
{
	list_remove(&b->by_class);
	list_remove(&b->by_age);
	p->idle_bytes -= b->size;
}

static void *map(size_t size)
{
	void *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return m == MAP_FAILED ? NULL : m;
}

/* A mapping that begins where a huge page can; newer kernels would place it so by themselves. */
static void *map_huge(size_t size)
{
	uint8_t *m = map(size + HUGE_PAGE);
	size_t before;

	if (!m)
		return NULL;
	before = (size_t)(-(uintptr_t)m & (HUGE_PAGE - 1));
	if (before)
		munmap(m, before);
	munmap(m + before + size, HUGE_PAGE - before);
	madvise(m + before, size, MADV_HUGEPAGE); /* small pages are no failure */
	return m + before;
}

void *pool_alloc(struct pool *p, size_t n)
{
	unsigned k = class_of(n);
	struct pool_buffer *b;

	if (!list_empty(&p->idle[k])) {
		b = list_first(&p->idle[k], struct pool_buffer, by_class);
		take(p, b);
		return b;
	}
	return class_size(k) < HUGE_PAGE ? map(class_size(k)) : map_huge(class_size(k));
}

void pool_free(struct pool *p, void *buffer, size_t n)
{
	unsigned k = class_of(n);
	struct pool_buffer *b = buffer;

	b->size = class_size(k);
	list_prepend(&p->idle[k], &b->by_class);
	list_append(&p->by_age, &b->by_age);
	p->idle_bytes += b->size;
}

void pool_trim(struct pool *p, uint64_t keep)
{
	while (p->idle_bytes > keep) {
		struct pool_buffer *b = list_first(&p->by_age, struct pool_buffer, by_age);

		take(p, b);
		munmap(b, b->size);
	}
}
