/* slots.c - see slots.h. A freed slot is used again at once, under its next generation. */
#include "slots.h"

#include <stdlib.h>
#include "pailfs/base/xalloc.h"

#define GENERATIONS (1u << 30)

static struct slot *find(const struct slots *s, uint64_t number)
{
	uint32_t index = (uint32_t)number - 1;
	struct slot *slot;

	if (!(uint32_t)number || index >= s->count)
		return NULL;
	slot = &s->slots[index];
	return slot->item && slot->generation == number >> 32 ? slot : NULL;
}

uint64_t slots_add(struct slots *s, void *item)
{
	struct slot *slot;

	if (s->free) {
		slot = &s->slots[s->free - 1];
		s->free = slot->next_free;
	} else {
		if (s->count == s->capacity) {
			s->capacity = MAX(64, s->capacity * 2);
			s->slots = xrealloc(s->slots, s->capacity, sizeof(*s->slots));
		}
		slot = &s->slots[s->count++];
		slot->generation = 0;
	}
	slot->item = item;
	return (uint64_t)slot->generation << 32 | (uint64_t)(slot - s->slots + 1);
}

void *slots_get(const struct slots *s, uint64_t number)
{
	struct slot *slot = find(s, number);

	return slot ? slot->item : NULL;
}

void *slots_remove(struct slots *s, uint64_t number)
{
	struct slot *slot = find(s, number);
	void *item;

	if (!slot)
		return NULL;
	item = slot->item;
	slot->item = NULL;
	slot->generation = (slot->generation + 1) % GENERATIONS;
	slot->next_free = s->free;
	s->free = (uint32_t)number;
	return item;
}

void *slots_next(const struct slots *s, uint32_t *index)
{
	while (*index < s->count) {
		void *item = s->slots[(*index)++].item;

		if (item)
			return item;
	}
	return NULL;
}

void slots_release(struct slots *s)
{
	free(s->slots);
	*s = (struct slots){0};
}
