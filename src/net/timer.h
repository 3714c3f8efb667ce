/* timer.h - the timers of a loop: a binary heap, earliest first. Not locked: the loop's. */
#ifndef PAILFS_NET_TIMER_H
#define PAILFS_NET_TIMER_H

#include "pailfs/net.h"

struct timer_heap {
	struct net_timer **timers;
	size_t count, capacity;
};

void timer_heap_release(struct timer_heap *h);
void timer_heap_add(struct timer_heap *h, struct net_timer *t); /* by t->at_ns */
void timer_heap_remove(struct timer_heap *h, struct net_timer *t);
/* The earliest, or NULL. */
struct net_timer *timer_heap_first(const struct timer_heap *h);

#endif
