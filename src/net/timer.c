/* A binary heap whose members know their place, so that one that is called early leaves it
 * without a search. */
#include "src/net/timer.h"
#include <stdlib.h>

void timer_heap_release(struct timer_heap *h)
{
	free(h->timers);
	*h = (struct timer_heap){0};
}

static void place(struct timer_heap *h, struct net_timer *t, size_t i)
{
	h->timers[i] = t;
	t->heap_index = i;
}

/* Puts t where it belongs, at i or nearer to the root. */
static void sift_up(struct timer_heap *h, struct net_timer *t, size_t i)
{
	for (; i > 0; i = (i - 1) / 2) {
		struct net_timer *parent = h->timers[(i - 1) / 2];

		if (parent->at_ns <= t->at_ns)
			break;
		place(h, parent, i);
	}
	place(h, t, i);
}

/* Puts t where it belongs, at i or farther from the root. */
static void sift_down(struct timer_heap *h, struct net_timer *t, size_t i)
{
	for (size_t child; (child = 2 * i + 1) < h->count; i = child) {
		if (child + 1 < h->count && h->timers[child + 1]->at_ns < h->timers[child]->at_ns)
			child++;
		if (t->at_ns <= h->timers[child]->at_ns)
			break;
		place(h, h->timers[child], i);
	}
	place(h, t, i);
}

void timer_heap_add(struct timer_heap *h, struct net_timer *t)
{
	if (h->count == h->capacity) {
		h->capacity = h->capacity ? 2 * h->capacity : 16;
		h->timers = xrealloc(h->timers, h->capacity, sizeof(h->timers[0]));
	}
	sift_up(h, t, h->count++);
}

void timer_heap_remove(struct timer_heap *h, struct net_timer *t)
{
	size_t i = t->heap_index;
	struct net_timer *last = h->timers[--h->count];

	if (last == t)
		return;
	if (i > 0 && last->at_ns < h->timers[(i - 1) / 2]->at_ns)
		sift_up(h, last, i);
	else
		sift_down(h, last, i);
}

struct net_timer *timer_heap_first(const struct timer_heap *h)
{
	return h->count ? h->timers[0] : NULL;
}
