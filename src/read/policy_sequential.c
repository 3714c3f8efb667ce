/* policy_sequential.c - one forward stream with a growing window, as s3torchconnector's
 * sequential reader: what is ahead will be read, so it is fetched from the first read on. */
#include <stdio.h>
#include "window.h"

static void plan(const struct policy_limits *limits, struct policy_history *history,
                 struct policy_stream *stream, const struct policy_read *read,
                 struct policy_plan *plan)
{
	window_adjust(limits, stream, read);
	window_plan(limits, stream, read, plan);
	snprintf(plan->why, sizeof(plan->why), "sequential: window %llu KiB",
	         (unsigned long long)(stream->window >> 10));
}

const struct policy policy_sequential = {.name = "sequential", .plan = plan};
