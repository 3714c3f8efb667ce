/* range.c - sets of half-open byte ranges, as a sorted array: the sets here are small, and an
 * array is searched by halving. */
#include "pailfs/base/range.h"

#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"

void range_set_init(struct range_set *s)
{
	*s = (struct range_set){0};
}

void range_set_release(struct range_set *s)
{
	free(s->ranges);
	range_set_init(s);
}

/* The index of the first range whose end is at or after `at`. */
static size_t first_ending_at(const struct range_set *s, uint64_t at)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->ranges[middle].end < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Replaces `old` ranges from index i on with the n in `with`. */
static void splice(struct range_set *s, size_t i, size_t old, const struct range *with, size_t n)
{
	size_t count = s->count - old + n;

	if (count > s->capacity) {
		s->capacity = MAX(count, s->capacity * 2);
		s->ranges = xrealloc(s->ranges, s->capacity, sizeof(*s->ranges));
	}
	if (s->count > i + old)
		memmove(s->ranges + i + n, s->ranges + i + old,
		        (s->count - i - old) * sizeof(*s->ranges));
	if (n)
		memcpy(s->ranges + i, with, n * sizeof(*with));
	s->count = count;
}

void range_set_add(struct range_set *s, struct range r)
{
	size_t i, j;

	if (range_empty(r))
		return;
	i = first_ending_at(s, r.start);
	for (j = i; j < s->count && s->ranges[j].start <= r.end; j++) {
		r.start = MIN(r.start, s->ranges[j].start);
		r.end = MAX(r.end, s->ranges[j].end);
	}
	splice(s, i, j - i, &r, 1);
}

void range_set_remove(struct range_set *s, struct range r)
{
	struct range rest[2];
	size_t i, j, n = 0;

	if (range_empty(r))
		return;
	i = first_ending_at(s, r.start + 1);
	for (j = i; j < s->count && s->ranges[j].start < r.end; j++) {
		if (s->ranges[j].start < r.start)
			rest[n++] = (struct range){s->ranges[j].start, r.start};
		if (s->ranges[j].end > r.end)
			rest[n++] = (struct range){r.end, s->ranges[j].end};
	}
	splice(s, i, j - i, rest, n);
}

bool range_set_contains(const struct range_set *s, struct range r)
{
	struct range gap;

	return !range_set_first_gap(s, r, &gap);
}

bool range_set_overlaps(const struct range_set *s, struct range r)
{
	size_t i = first_ending_at(s, r.start + 1);

	return !range_empty(r) && i < s->count && s->ranges[i].start < r.end;
}

uint64_t range_set_total(const struct range_set *s)
{
	uint64_t total = 0;

	for (size_t i = 0; i < s->count; i++)
		total += range_length(s->ranges[i]);
	return total;
}

bool range_set_first_gap(const struct range_set *s, struct range r, struct range *gap)
{
	size_t i;

	if (range_empty(r))
		return false;
	i = first_ending_at(s, r.start + 1);
	if (i < s->count && s->ranges[i].start <= r.start)
		r.start = s->ranges[i++].end;
	if (r.start >= r.end)
		return false;
	if (i < s->count && s->ranges[i].start < r.end)
		r.end = s->ranges[i].start;
	*gap = r;
	return true;
}
