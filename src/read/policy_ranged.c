/* policy_ranged.c - exact ranges behind a buffer, as s3torchconnector's range reader.
 *
 * A request of at least range_buffer bytes fetches just itself; a smaller one loads the
 * buffer at its start. One that begins inside what is loaded takes the overlap from there,
 * and the rule holds for the rest; one that begins before it loads anew at its start.
 *
 * The buffer is the cache: what is loaded is what the cache has or has under way of the
 * request's beginning. So the streams of an inode do not take one buffer from each other, and
 * where a load reaches into an older one, only the bytes that are not there are fetched. */
#include <stdio.h>
#include "pailfs/base/xalloc.h"
#include "pailfs/policy.h"

static void plan(const struct policy_limits *limits, struct policy_history *history,
                 struct policy_stream *stream, const struct policy_read *read,
                 struct policy_plan *plan)
{
	struct range rest = {read->missing, read->range.end};
	uint64_t buffer = limits->range_buffer;
	const char *chose;

	plan->demand = read->range;
	plan->ahead = (struct range){read->range.end, read->range.end};
	if (range_empty(rest)) {
		chose = "from what is loaded";
	} else if (range_length(rest) >= buffer) {
		chose = "exactly what was asked for";
	} else {
		plan->demand.end = rest.start + MIN(buffer, read->object_size - rest.start);
		chose = "loaded the buffer";
	}
	snprintf(plan->why, sizeof(plan->why), "ranged: %s (range_buffer %llu KiB)", chose,
	         (unsigned long long)(buffer >> 10));
}

const struct policy policy_ranged = {.name = "ranged", .plan = plan};
