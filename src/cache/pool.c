/* pool.c - size classes of four steps an octave, from 4 KiB on: at most a fifth is wasted.
 * An idle buffer holds its list's link in its own first bytes. */
#include "pool.h"

#include <sys/mman.h>

struct pool_buffer {
	struct pool_buffer *next;
};

#define SMALLEST 16384ull /* a quarter of it is a page: every class is whole pages */

/* Class 0 is one page; class k > 0 is SMALLEST * 2^(k / 4) * (4 + k % 4) / 4 … in pages. */
static size_t class_size(unsigned k)
{
	return k < 4 ? SMALLEST / 4 * (k + 1) : (size_t)((SMALLEST << (k / 4 - 1)) / 4 * (4 + k % 4));
}

static unsigned class_of(size_t n)
{
	unsigned k = 0;

	while (k < POOL_CLASSES - 1 && class_size(k) < n)
		k++;
	return k;
}

size_t pool_size(size_t n)
{
	return class_size(class_of(n));
}

void *pool_alloc(struct pool *p, size_t n)
{
	unsigned k = class_of(n);
	struct pool_buffer *b = p->idle[k];
	void *fresh;

	if (b) {
		p->idle[k] = b->next;
		p->idle_bytes -= class_size(k);
		return b;
	}
	fresh = mmap(NULL, class_size(k), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return fresh == MAP_FAILED ? NULL : fresh;
}

void pool_free(struct pool *p, void *buffer, size_t n)
{
	unsigned k = class_of(n);
	struct pool_buffer *b = buffer;

	b->next = p->idle[k];
	p->idle[k] = b;
	p->idle_bytes += class_size(k);
}

void pool_trim(struct pool *p, uint64_t keep)
{
	/* The large ones first: fewest calls for the most bytes. */
	for (unsigned k = POOL_CLASSES; k-- > 0 && p->idle_bytes > keep;)
		while (p->idle[k] && p->idle_bytes > keep) {
			struct pool_buffer *b = p->idle[k];

			p->idle[k] = b->next;
			p->idle_bytes -= class_size(k);
			munmap(b, class_size(k));
		}
}
