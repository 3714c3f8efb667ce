/* window.c - see window.h. */
#include "window.h"

#define SMALLEST_PART (1ull << 20)

void window_grow(const struct policy_limits *limits, struct policy_stream *stream,
                 const struct policy_read *read)
{
	uint64_t passed = stream->frontier - stream->grown_at, rate;
	uint64_t us = (read->now_ns - stream->grown_ns) / 1000;
	bool first = stream->grown_ns == 0;

	if (!first && passed < stream->window)
		return;
	rate = first || !us ? 0 : passed * 1000000 / us;
	if (!rate || !stream->rate || rate > stream->rate + stream->rate / 8)
		stream->window = MIN(stream->window * 2, limits->max_window);
	stream->rate = rate;
	stream->grown_at = stream->frontier;
	stream->grown_ns = read->now_ns;
}

void window_plan(const struct policy_limits *limits, struct policy_stream *stream,
                 const struct policy_read *read, struct policy_plan *plan)
{
	/* Where a round trip is worth much, many short GETs fill the window sooner. */
	uint64_t parts = limits->round_trip >= SMALLEST_PART ? 16 : 4, from;
	uint64_t end = MIN(stream->frontier + stream->window, read->object_size);

	plan->part = MIN(MAX(stream->window / parts, SMALLEST_PART), limits->max_part);
	plan->demand = read->range;
	plan->ahead = (struct range){read->range.end, read->range.end};
	if (!stream->advanced)
		return;
	/* What is asked for and what follows it come in one GET. What was fetched ahead before and
	 * is not there any more (evicted, failed) is not counted on. */
	if (!policy_read_covered(read)) {
		plan->demand.end = MAX(MIN(read->range.start + plan->part, end), read->range.end);
		stream->fetched_to = plan->demand.end;
	}
	from = MAX(stream->fetched_to, plan->demand.end);
	/* Whole parts only, but for the last one of the object. */
	if (end < read->object_size && end > from)
		end = from + (end - from) / plan->part * plan->part;
	plan->ahead = (struct range){from, MAX(from, end)};
}
