/* The choice of an endpoint.
 *
 *	state     failures  blocked_until     gets
 *	good      0         0                 its share
 *	blocked   > 0       in the future     nothing, unless all are blocked
 *	on trial  > 0       past              one request at a time
 *
 * When an endpoint breaks, all that is in flight to it fails together; while it is blocked
 * further failures tell nothing new, so they do not lengthen the block. */
#include "pailfs/endpoint.h"
#include <assert.h>
#include <stdlib.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/xalloc.h"

#define BLOCK_MIN (200 * NS_PER_MS)
#define BLOCK_MAX (30 * NS_PER_SECOND)

void endpoint_set_init(struct endpoint_set *s, size_t count)
{
	assert(count >= 1);
	*s = (struct endpoint_set){.count = count};
	s->endpoints = xcalloc(count, sizeof(s->endpoints[0]));
}

void endpoint_set_release(struct endpoint_set *s)
{
	free(s->endpoints);
	*s = (struct endpoint_set){0};
}

static bool is_open(const struct endpoint *e, uint64_t now_ns)
{
	return e->failures == 0 || (e->blocked_until_ns <= now_ns && e->in_flight == 0);
}

/* Is a the better choice? */
static bool is_better(const struct endpoint *a, const struct endpoint *b, uint64_t now_ns)
{
	bool a_open = is_open(a, now_ns), b_open = is_open(b, now_ns);

	if (a_open != b_open)
		return a_open;
	return a_open ? a->in_flight < b->in_flight : a->blocked_until_ns < b->blocked_until_ns;
}

size_t endpoint_choose(struct endpoint_set *s, uint64_t now_ns)
{
	size_t best = s->turn;

	for (size_t i = 1; i < s->count; i++) {
		size_t other = (s->turn + i) % s->count;

		if (is_better(&s->endpoints[other], &s->endpoints[best], now_ns))
			best = other;
	}
	s->endpoints[best].in_flight++;
	s->turn = (best + 1) % s->count;
	return best;
}

void endpoint_ended(struct endpoint_set *s, size_t index, bool failed, uint64_t now_ns)
{
	struct endpoint *e = &s->endpoints[index];

	endpoint_cancelled(s, index);
	if (!failed) {
		e->failures = 0;
		e->blocked_until_ns = 0;
	} else if (e->blocked_until_ns <= now_ns) {
		e->blocked_until_ns = now_ns + MIN(BLOCK_MIN << MIN(e->failures, 8u), BLOCK_MAX);
		e->failures++;
	}
}

void endpoint_cancelled(struct endpoint_set *s, size_t index)
{
	assert(index < s->count && s->endpoints[index].in_flight > 0);
	s->endpoints[index].in_flight--;
}
