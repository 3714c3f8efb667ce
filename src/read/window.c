/* window.c - how much to keep on its way for a stream.
 *
 * By Little's law a window of W bytes in GETs that take T carries at most W / T, and what T is
 * was measured. A stream that reads much less than that is held up by something else, the
 * processor or its own work, and more on its way would be memory for nothing. One that comes
 * near it is held up by its window:
 *
 *	growing    twice as much after each window, while that makes the stream faster by an
 *	           eighth
 *	settled    it did not: half of it again. After some windows, and more of them each time,
 *	           it grows once more, to see
 *
 * So a far store gets its many GETs within a few round trips. A near one is held up by the
 * processor, which each GET costs much the same whatever its length: there the window is a share
 * of what the stream has read, so that its GETs grow long and no more is fetched in vain. */
#include "window.h"

#define FIRST_NEAR (4ull << 20)
#define MOST_NEAR (32ull << 20) /* longer GETs save nothing more */
#define NEAR_SHARE 4
#define FIRST_FAR (8ull << 20)
#define SMALLEST_PART (1ull << 20)
#define FIRST_PATIENCE 4
#define MOST_PATIENCE 64

static bool is_near(const struct policy_limits *limits)
{
	return limits->first_byte_ns && !is_far(limits); /* 0: not known yet */
}

static uint64_t near_window(const struct policy_stream *s)
{
	return MIN(MAX(policy_run(s) / NEAR_SHARE, FIRST_NEAR), MOST_NEAR);
}

/* Who began at the object's start and has shown that it goes on mostly reads all of it; it has
 * waited for a round trip by then, and who opened at its first read is so much ahead. */
static uint64_t first_window(const struct policy_limits *limits, const struct policy_stream *s)
{
	uint64_t window = is_near(limits) ? FIRST_NEAR : FIRST_FAR;

	if (is_far(limits) && s->first == 0 && s->confidence > 0)
		window = 2 * FIRST_FAR;
	return MIN(window, limits->max_window);
}

static uint64_t part_size(const struct policy_limits *limits, const struct policy_stream *s)
{
	/* Many short GETs fill a far window sooner. A near one needs a next GET while one is read. */
	uint64_t parts = is_far(limits) ? 16 : 2;

	return MIN(MAX(s->window / parts, SMALLEST_PART), limits->max_part);
}

/* How long a GET of the window takes, nanoseconds; 0: unknown. */
static uint64_t get_ns(const struct policy_limits *limits, const struct policy_stream *s)
{
	if (!limits->first_byte_ns || !limits->rate)
		return 0;
	return limits->first_byte_ns +
	       (uint64_t)((double)part_size(limits, s) / (double)limits->rate * NS_PER_SECOND);
}

/* Whether the window, rather than something else, is what holds the stream to this rate. */
static bool window_limits(const struct policy_limits *limits, const struct policy_stream *s, uint64_t rate)
{
	uint64_t ns = get_ns(limits, s);

	return !ns || (double)rate * (double)ns / NS_PER_SECOND > 0.6 * (double)s->window;
}

static void grow(const struct policy_limits *limits, struct policy_stream *s, uint64_t rate)
{
	s->settled = 0;
	s->rate = rate;
	s->window = MIN(2 * s->window, limits->max_window);
}

static void settle(struct policy_stream *s)
{
	s->settled = 1;
	s->patience = s->patience ? MIN(2 * s->patience, MOST_PATIENCE) : FIRST_PATIENCE;
	s->window /= 2;
}

static void stalled(const struct policy_limits *limits, struct policy_stream *stream,
                    const struct policy_read *read)
{
	uint64_t passed = stream->frontier - stream->grown_at, rate;
	uint64_t ns = read->now_ns - stream->grown_ns;
	bool watched = stream->grown_ns != 0;

	/* A window's GETs, started together, end together: what passes in less than the time of one
	 * is a burst, and tells no rate. */
	if (watched && (passed < stream->window || ns < get_ns(limits, stream)))
		return;
	stream->grown_at = stream->frontier;
	stream->grown_ns = read->now_ns;
	if (!watched)
		return;
	rate = (uint64_t)MAX((double)passed / (double)MAX(ns, 1) * NS_PER_SECOND, 1);
	if (!window_limits(limits, stream, rate)) {
		stream->rate = rate;
	} else if (stream->settled) {
		stream->rate = (3 * stream->rate + rate) / 4;
		if (++stream->settled > stream->patience)
			grow(limits, stream, stream->rate);
	} else if (stream->rate == 0 || rate > stream->rate + stream->rate / 8) {
		grow(limits, stream, rate);
	} else {
		settle(stream);
	}
}

void window_adjust(const struct policy_limits *limits, struct policy_stream *stream,
                   const struct policy_read *read)
{
	if (!stream->window)
		stream->window = first_window(limits, stream);
	else if (read->stalled && stream->advanced)
		stalled(limits, stream, read);
	if (is_near(limits))
		stream->window = MAX(stream->window, near_window(stream));
	stream->window = MIN(stream->window, limits->max_window);
}

void window_plan(const struct policy_limits *limits, struct policy_stream *stream,
                 const struct policy_read *read, struct policy_plan *plan)
{
	uint64_t end = MIN(stream->frontier + stream->window, read->object_size), from;

	plan->part = part_size(limits, stream);
	plan->demand = read->range;
	plan->ahead = (struct range){read->range.end, read->range.end};
	if (!stream->advanced)
		return;
	/* What is asked for and what follows it come in one GET. What was fetched ahead before and
	 * is not there any more (evicted, failed) is not counted on. */
	if (!policy_read_covered(read)) {
		plan->demand.start = read_joint(limits, stream, read);
		plan->demand.end = MAX(MIN(read->range.start + plan->part, end), read->range.end);
		stream->fetched_to = plan->demand.end;
	}
	from = MAX(stream->fetched_to, plan->demand.end);
	/* Whole parts only, but for the last one of the object. */
	if (end < read->object_size && end > from)
		end = from + (end - from) / plan->part * plan->part;
	plan->ahead = (struct range){from, MAX(from, end)};
}
