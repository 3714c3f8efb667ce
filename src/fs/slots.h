/* slots.h - numbers that stand for pointers in what the kernel holds (node ids, file handles).
 *
 * A number is an index and a generation, so one that came back late or wrong finds nothing
 * instead of somebody else's memory, and a table could be handed to another process. No
 * locking: the owner's lock protects a table. */
#ifndef PAILFS_FS_SLOTS_H
#define PAILFS_FS_SLOTS_H

#include <stdint.h>

struct slot {
	void *item;
	uint32_t generation;
	uint32_t next_free; /* index + 1 of the next free slot; 0: none */
};

struct slots {
	struct slot *slots;
	uint32_t count, capacity, free;
};

/* The first number is 1, the root's in FUSE; all are below 2^62. */
uint64_t slots_add(struct slots *s, void *item);
void *slots_get(const struct slots *s, uint64_t number); /* NULL: no such */
void *slots_remove(struct slots *s, uint64_t number);    /* likewise */
/* Frees the table, not what stands in it; a zeroed table is an empty one. */
void slots_release(struct slots *s);
/* Goes over what is left: start with *index = 0; NULL at the end. */
void *slots_next(const struct slots *s, uint32_t *index);

#endif
