/* window.h - the readahead window that the sequential and auto policies share. Pure. */
#ifndef PAILFS_READ_WINDOW_H
#define PAILFS_READ_WINDOW_H

#include "pailfs/base/xalloc.h"
#include "pailfs/policy.h"

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
