/* policy_auto.c - starts exact, and fetches more than was asked only on evidence.
 *
 *	a small object, read from its start     all of it: one GET beats two
 *	a first read at the end                 the tail: archives and footers keep their
 *	                                        directories there
 *	a single read                           exactly itself
 *	a second one next to it                 up to where this object's streams usually end;
 *	                                        before there is such experience, FIRST_RUN
 *	a stream that goes on beyond that       as much again as it has read so far
 *	… and has come to PIPELINE bytes        a window with several GETs in flight, which
 *	                                        doubles when the reader stalls
 *
 * A reader that scatters has short streams, so its typical run is short and it stays with
 * nearly exact ranges; nothing has to be switched back. */
#include <stdio.h>
#include "window.h"

#define SMALL_OBJECT (512ull << 10)
#define TAIL_REACH (64ull << 10)
#define TAIL_FETCH (512ull << 10)
#define FIRST_RUN (1ull << 20)
#define PIPELINE (3ull << 20)
#define FIRST_WINDOW (8ull << 20)

static uint64_t page_up(uint64_t n)
{
	return (n + 4095) & ~4095ull;
}

static void plan(const struct policy_limits *limits, struct policy_history *history,
                 struct policy_stream *stream, const struct policy_read *read,
                 struct policy_plan *plan)
{
	uint64_t run = stream->frontier - stream->first, expected, size = read->object_size;
	const char *saw;

	plan->demand = read->range;
	plan->ahead = (struct range){read->range.end, read->range.end};
	if (size <= SMALL_OBJECT && read->range.start == 0) {
		plan->demand = (struct range){0, size};
		saw = "a small object from its start: all of it";
	} else if (history->reads == 0 && read->range.end + TAIL_REACH >= size) {
		plan->demand.start = MIN(read->range.start, size > TAIL_FETCH ? size - TAIL_FETCH : 0);
		plan->demand.end = size;
		stream->tail = true;
		saw = "a first read at the end: the tail";
	} else if (stream->confidence < 2) {
		saw = "a single read: exactly it";
	} else if (run >= PIPELINE && stream->confidence >= 4) {
		if (!stream->window)
			stream->window = MIN(FIRST_WINDOW, limits->max_window);
		else if (read->stalled)
			window_grow(limits, stream, read);
		window_plan(limits, stream, read, plan);
		saw = "a stream: a window ahead of it";
	} else if (!read->stalled || read->in_flight) {
		saw = "a stream, still inside what was fetched";
	} else {
		expected = stream->first + (history->typical_run ? page_up(history->typical_run) : FIRST_RUN);
		if (history->typical_run == 0)
			expected = read->range.start + FIRST_RUN;
		else if (read->range.end >= expected)
			expected = read->range.start + MAX(run, range_length(read->range));
		plan->demand.end = MIN(MAX(read->range.end, expected), size);
		saw = "a young stream: as far as they usually go";
	}
	snprintf(plan->why, sizeof(plan->why), "auto: %s (window %llu KiB, run %llu KiB)", saw,
	         (unsigned long long)(stream->window >> 10), (unsigned long long)(run >> 10));
}

const struct policy policy_auto = {.name = "auto", .plan = plan};
