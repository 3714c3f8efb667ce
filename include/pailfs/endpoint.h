/* endpoint.h - which of several endpoints a request goes to.
 *
 * A pure state machine: the caller has the clock, and the lock if several threads ask. It
 * knows endpoints by index; what they are called is the store's business. */
#ifndef PAILFS_ENDPOINT_H
#define PAILFS_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint {
	unsigned in_flight;
	unsigned failures;         /* since the last success; those of one outage's crowd are one */
	uint64_t blocked_until_ns; /* 0: not blocked */
};

struct endpoint_set {
	struct endpoint *endpoints;
	size_t count;
	size_t turn; /* where the next search begins */
};

void endpoint_set_init(struct endpoint_set *s, size_t count); /* count >= 1 */
void endpoint_set_release(struct endpoint_set *s);

/* The one with the least in flight, in turn among equals. One that failed is left out for a
 * while (200 ms, doubling to 30 s), then gets one request as a trial; when all are left out,
 * the one whose time ends first. Counts the request as in flight until endpoint_ended. */
size_t endpoint_choose(struct endpoint_set *s, uint64_t now_ns);
/* `failed`: the endpoint itself did badly (unreachable, reset, stalled, 5xx); a 404 is no
 * failure of it. */
void endpoint_ended(struct endpoint_set *s, size_t index, bool failed, uint64_t now_ns);
/* The request ended without telling anything: it was cancelled. */
void endpoint_cancelled(struct endpoint_set *s, size_t index);

#endif
