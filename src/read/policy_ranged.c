/* policy_ranged.c - exact ranges behind one buffer, as s3torchconnector's range reader.
 *
 * A request of at least range_buffer bytes fetches just itself; a smaller one loads the
 * buffer at its start. One that begins inside what is loaded takes the overlap from there,
 * and the rule holds for the rest; one that begins before it loads anew at its start. */
#include <stdio.h>
#include "pailfs/base/xalloc.h"
#include "pailfs/policy.h"

static void plan(const struct policy_limits *limits, struct policy_history *history,
                 struct policy_stream *stream, const struct policy_read *read,
                 struct policy_plan *plan)
{
	struct range rest = read->range, loaded = history->loaded;
	uint64_t buffer = limits->range_buffer;
	const char *chose = "exact";

	plan->demand = read->range;
	plan->ahead = (struct range){read->range.end, read->range.end};
	if (rest.start >= loaded.start && rest.start < loaded.end)
		rest.start = MIN(loaded.end, rest.end);
	if (range_empty(rest)) {
		chose = "from the buffer";
	} else if (range_length(rest) < buffer) {
		rest.end = MIN(rest.start + buffer, read->object_size);
		history->loaded = rest;
		plan->demand = (struct range){MIN(read->range.start, rest.start), rest.end};
		chose = "loaded the buffer";
	}
	snprintf(plan->why, sizeof(plan->why), "ranged: %s, range_buffer %llu KiB", chose,
	         (unsigned long long)(buffer >> 10));
}

const struct policy policy_ranged = {.name = "ranged", .plan = plan};
