/* policy_auto.c - starts exact, and fetches more than was asked only on evidence.
 *
 *	a small object, read from its start     all of it: one GET beats two
 *	a first read at the end                 the tail: archives and footers keep their
 *	                                        directories there
 *	a directory that the tail tells of      what is left of it
 *	a read at the start                     the head, and a round trip's worth more: what
 *	                                        begins there mostly goes on
 *	a single read elsewhere                 exactly itself; as far as the last streams all
 *	                                        went; or, in an archive, its first member
 *	a second one next to it                 up to where this object's streams usually end;
 *	                                        before there is such experience, FIRST_RUN where
 *	                                        the first was short: a header before its body
 *	a stream that goes on beyond that       three times as much as it has read so far
 *	… and has come to PIPELINE bytes, or    a window with several GETs in flight, which
 *	  out of the head                       doubles when the reader stalls
 *	a far object that was waited for        all of it, see worth_all()
 *	  as long as it takes to come
 *
 * A reader that scatters has short streams, so its typical run is short and it stays with
 * nearly exact ranges; nothing has to be switched back. */
#include <stdio.h>
#include "window.h"

#define SMALL_OBJECT (512ull << 10)
#define TAIL_REACH (64ull << 10)
#define TAIL_FETCH (512ull << 10)
/* Of a longer directory the usual rules fetch what is read. */
#define DIRECTORY_FETCH (32ull << 20)
#define HEAD_FETCH (512ull << 10)
#define HEAD_PART (1ull << 20)
#define UNKNOWN_ROUND_TRIP (2ull << 20)
#define MEMBER_FETCH (512ull << 10)
/* The kernel reads ahead of what follows a header too, doubling its step each time. */
#define FIRST_RUN(kernel_ahead) MAX(1ull << 20, 2 * (kernel_ahead))
#define SHORT_READ (128ull << 10)
#define PIPELINE (3ull << 20)
#define LEAST_SHARE (8ull << 20)
/* The most that is ever fetched because a reader scatters over it, and in how many GETs. */
#define WHOLE_FETCH (64ull << 20)
#define WHOLE_GETS 8

enum sight { SMALL, TAIL, DIRECTORY, WHOLE, HEAD, SINGLE, STREAM, COVERED, YOUNG };

static const char *const sights[] = {
	[SMALL] = "a small object from its start: all of it",
	[TAIL] = "a first read at the end: the tail",
	[DIRECTORY] = "the directory that the tail tells of: the rest of it",
	[WHOLE] = "waited for as long as all of it takes: all of it",
	[HEAD] = "a read at the start: the head",
	[SINGLE] = "a single read: it, as far as others went",
	[STREAM] = "a stream: a window ahead of it",
	[COVERED] = "a stream, still inside what was fetched",
	[YOUNG] = "a young stream: as far as they usually go",
};

/* Rent or buy: nobody can know whether a reader that scatters over a far object will come back
 * often enough that fetching all of it pays. Who buys when the round trips waited for come to the
 * price never takes more than twice as long as who knows. The price is the time of WHOLE_GETS
 * at once: a round trip, and a share of the object each. A near object is never bought, since
 * waiting for it is cheap, nor a large one: a reader that scatters over it gets its own bytes. */
static bool worth_all(const struct policy_limits *limits, const struct policy_history *history,
                      const struct policy_read *read)
{
	uint64_t carried = (history->waits - 1) * WHOLE_GETS * round_trip_worth(limits);

	return !history->whole && !policy_read_covered(read) && is_far(limits) &&
	       read->object_size <= MIN(WHOLE_FETCH, limits->max_window) && carried >= read->object_size;
}

/* How much a stream must have read for a window. Where others that were as long went on to an end,
 * or it is covered anyway, that is later; and sooner where each step on the way is a far one, but
 * not for one that began like a header. */
static uint64_t pipeline(const struct policy_limits *limits, const struct policy_history *history,
                         const struct policy_stream *stream, const struct policy_read *read)
{
	bool experience = history->finished && policy_run(stream) <= 2 * history->typical_run;

	if (experience || policy_read_covered(read))
		return PIPELINE;
	return is_far(limits) && stream->opening > SHORT_READ ? 0 : PIPELINE / 2;
}

static enum sight see(const struct policy_limits *limits, const struct policy_history *history,
                      const struct policy_stream *stream, const struct policy_read *read)
{
	uint64_t span = stream->frontier - stream->first;

	if (read->range.start == 0 && read->object_size <= SMALL_OBJECT)
		return SMALL;
	if (history->reads == 0 && read->range.end + TAIL_REACH >= read->object_size)
		return TAIL;
	if (range_overlaps(read->range, history->directory) &&
	    range_length(history->directory) <= DIRECTORY_FETCH)
		return DIRECTORY;
	if (worth_all(limits, history, read))
		return WHOLE;
	if (read->range.start == 0)
		return HEAD;
	/* From the start one step is evidence enough, once it nears the head's end. */
	if (stream->first == 0 && stream->confidence >= 1 && span > HEAD_FETCH / 2)
		return STREAM;
	if (stream->confidence >= 4 && span >= pipeline(limits, history, stream, read))
		return STREAM;
	if (stream->confidence < 2 || !stream->adjoins)
		return SINGLE;
	if (!pipeline(limits, history, stream, read))
		return STREAM;
	return policy_read_covered(read) ? COVERED : YOUNG;
}

/* Runs of one kind differ by some pages. */
static uint64_t with_slack(uint64_t run)
{
	return (run + run / 32 + 4095) & ~4095ull;
}

/* Where a young stream will probably end. */
static uint64_t expected_end(const struct policy_limits *limits, const struct policy_history *history,
                             const struct policy_stream *stream, const struct policy_read *read)
{
	uint64_t run = policy_run(stream);

	if (history->finished && run <= 2 * history->typical_run)
		return MAX(read->range.end, stream->piece + with_slack(history->typical_run));
	if (!history->finished && stream->opening <= SHORT_READ)
		return read->range.start + FIRST_RUN(limits->kernel_ahead);
	return read->range.start + MAX(3 * run, range_length(read->range));
}

/* How far to fetch for a read that stands by itself. */
static uint64_t single_end(const struct policy_history *history, const struct policy_stream *stream,
                           const struct policy_read *read)
{
	uint64_t sure = policy_sure_run(history);

	if (stream->reads > 1 || policy_read_covered(read))
		return read->range.end;
	if (!sure && history->archive && stream->opening <= SHORT_READ)
		sure = history->finished ? MIN(history->typical_run, MEMBER_FETCH) : MEMBER_FETCH;
	return sure > range_length(read->range) ? read->range.start + with_slack(sure) : read->range.end;
}

/* Streams that take turns share the largest window: each is as likely to end before what is ahead
 * of it was read, and together they fill the link. */
static struct policy_limits shared(const struct policy_limits *limits, const struct policy_history *history)
{
	struct policy_limits own = *limits;

	if (history->active > 1)
		own.max_window = MAX(limits->max_window / 2 / history->active,
		                     MIN(LEAST_SHARE, limits->max_window));
	return own;
}

static void plan(const struct policy_limits *limits, struct policy_history *history,
                 struct policy_stream *stream, const struct policy_read *read,
                 struct policy_plan *plan)
{
	uint64_t size = read->object_size, more;
	struct policy_limits own;
	enum sight sight;

	history->waits += !policy_read_covered(read);
	sight = see(limits, history, stream, read);
	/* A directory at the end says nothing of how long the runs before it are. */
	stream->directory = stream->first + TAIL_FETCH >= size || sight == DIRECTORY;
	plan->demand = read->range;
	plan->ahead = (struct range){read->range.end, read->range.end};
	switch (sight) {
	case SMALL:
		plan->demand.end = size;
		break;
	case TAIL:
		history->tail = true;
		plan->demand.start = MIN(read->range.start, size > TAIL_FETCH ? size - TAIL_FETCH : 0);
		plan->demand.end = size;
		break;
	case DIRECTORY:
		plan->demand.end = MAX(read->range.end, history->directory.end);
		break;
	case WHOLE:
		history->whole = true;
		plan->ahead = (struct range){0, size};
		plan->part = MIN(MAX(size / (2 * WHOLE_GETS), HEAD_PART), limits->max_part);
		break;
	case HEAD:
		plan->demand.end = MIN(MAX(read->range.end, HEAD_FETCH), size);
		/* What a round trip would carry is waited for, or comes meanwhile. The first file of
		 * all tells what that is. */
		more = limits->first_byte_ns ? limits->max_gap : UNKNOWN_ROUND_TRIP;
		plan->ahead = (struct range){plan->demand.end,
		                             plan->demand.end + MIN(more, size - plan->demand.end)};
		plan->part = MIN(HEAD_PART, limits->max_part);
		break;
	case STREAM:
		own = shared(limits, history);
		window_adjust(&own, stream, read);
		window_plan(&own, stream, read, plan);
		break;
	case YOUNG:
		plan->demand.start = read_joint(limits, stream, read);
		plan->demand.end = MIN(MAX(read->range.end, expected_end(limits, history, stream, read)), size);
		break;
	case SINGLE:
		plan->demand.end = MIN(single_end(history, stream, read), size);
		break;
	case COVERED:
		break;
	}
	snprintf(plan->why, sizeof(plan->why), "auto: %s (window %llu KiB, run %llu KiB)", sights[sight],
	         (unsigned long long)(stream->window >> 10),
	         (unsigned long long)(policy_run(stream) >> 10));
}

const struct policy policy_auto = {.name = "auto", .plan = plan};
