/* range.h - half-open byte ranges and sets of them.
 *
 * A set keeps its ranges sorted, disjoint and not touching. No locking: it belongs to its
 * owner's lock or thread. */
#ifndef PAILFS_BASE_RANGE_H
#define PAILFS_BASE_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t start, end; /* bytes; start <= end, the end is not in it */
};

static inline uint64_t range_length(struct range r)
{
	return r.end - r.start;
}

static inline bool range_empty(struct range r)
{
	return r.end <= r.start;
}

static inline bool range_overlaps(struct range a, struct range b)
{
	return a.start < b.end && b.start < a.end;
}

static inline struct range range_intersect(struct range a, struct range b)
{
	struct range r = {a.start > b.start ? a.start : b.start, a.end < b.end ? a.end : b.end};

	if (r.end < r.start)
		r.end = r.start;
	return r;
}

struct range_set {
	struct range *ranges;
	size_t count, capacity;
};

void range_set_init(struct range_set *s);
void range_set_release(struct range_set *s);
/* An empty range changes nothing. */
void range_set_add(struct range_set *s, struct range r);
void range_set_remove(struct range_set *s, struct range r);
bool range_set_contains(const struct range_set *s, struct range r); /* every byte of r */
bool range_set_overlaps(const struct range_set *s, struct range r); /* any byte of r */
uint64_t range_set_total(const struct range_set *s);
/* The first part of r that is not in the set; false when there is none. */
bool range_set_first_gap(const struct range_set *s, struct range r, struct range *gap);

#endif
