/* pool.h - memory for segments: page-aligned buffers that are used again while warm.
 *
 * Fresh pages cost a fault each, a third of the processor's time on loopback; so freed buffers
 * stay idle until the budget wants them. Not locked: the cache's lock covers it. */
#ifndef PAILFS_CACHE_POOL_H
#define PAILFS_CACHE_POOL_H

#include <stddef.h>
#include <stdint.h>
#include "pailfs/base/list.h"

#define POOL_CLASSES 64

struct pool {
	struct list idle[POOL_CLASSES]; /* by size class, the one freed last first */
	struct list by_age;             /* all of them, the one freed first first */
	uint64_t idle_bytes;
};

void pool_init(struct pool *p);
/* The bytes that a buffer for n bytes takes: the next size class. */
size_t pool_size(size_t n);
/* A buffer of pool_size(n) bytes; NULL when the system has none. */
void *pool_alloc(struct pool *p, size_t n);
/* Back into the idle list; n as it was asked for. */
void pool_free(struct pool *p, void *buffer, size_t n);
/* Gives idle buffers back to the system, the longest idle first, until at most `keep` bytes
 * are idle. */
void pool_trim(struct pool *p, uint64_t keep);

#endif
