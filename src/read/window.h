/* window.h - the readahead window that the sequential and auto policies share. Pure. */
#ifndef PAILFS_READ_WINDOW_H
#define PAILFS_READ_WINDOW_H

#include "pailfs/base/clock.h"
#include "pailfs/base/xalloc.h"
#include "pailfs/policy.h"

/* Where a round trip takes longer than this, waiting costs more than bytes do. */
#define FAR_NS (5 * NS_PER_MS)

/* False also while that is not known yet. */
static inline bool is_far(const struct policy_limits *limits)
{
	return limits->first_byte_ns >= FAR_NS;
}

/* The bytes that one connection carries in the time of a round trip; 0: unknown. */
static inline uint64_t round_trip_worth(const struct policy_limits *limits)
{
	return (uint64_t)((double)limits->first_byte_ns * (double)limits->rate / NS_PER_SECOND);
}

/* Where a GET for this read begins: a gap that the reader's stream has left behind is what a
 * request that overtook another leaves, and that one comes next (R4). */
static inline uint64_t read_joint(const struct policy_limits *limits, const struct policy_stream *stream,
                                  const struct policy_read *read)
{
	return read->range.start - stream->joint <= limits->max_gap ? stream->joint : read->range.start;
}

/* Opens the stream's window, or, when its reader has stalled, doubles it where that is what holds
 * the stream up, and goes back when it made the stream no faster. Decides once a window of bytes:
 * one stall is often seen by several requests. */
void window_adjust(const struct policy_limits *limits, struct policy_stream *stream,
                   const struct policy_read *read);

/* Plans to keep the window's bytes beyond the frontier fetched or on their way, in parts that
 * leave several GETs in flight. A read that does not move the frontier gets just itself. */
void window_plan(const struct policy_limits *limits, struct policy_stream *stream,
                 const struct policy_read *read, struct policy_plan *plan);

#endif
