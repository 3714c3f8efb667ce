/* pool.h - memory for segments: page-aligned buffers that are used again while warm.
 *
 * Fresh pages cost a fault each, a tenth of the time that a MiB takes from the network on
 * loopback; so freed buffers stay idle in lists by size class until the budget wants them.
 * Not locked: the cache's lock covers it. */
#ifndef PAILFS_CACHE_POOL_H
#define PAILFS_CACHE_POOL_H

#include <stddef.h>
#include <stdint.h>

#define POOL_CLASSES 64

struct pool_buffer;

struct pool {
	struct pool_buffer *idle[POOL_CLASSES];
	uint64_t idle_bytes;
};

/* The bytes that a buffer for n bytes takes: the next size class. */
size_t pool_size(size_t n);
/* A buffer of pool_size(n) bytes; NULL when the system has none. */
void *pool_alloc(struct pool *p, size_t n);
/* Back into the idle list; n as it was asked for. */
void pool_free(struct pool *p, void *buffer, size_t n);
/* Gives idle buffers back to the system until at most `keep` bytes are idle. */
void pool_trim(struct pool *p, uint64_t keep);

#endif
