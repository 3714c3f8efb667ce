/* window.h - the readahead window that the sequential and auto policies share. Pure. */
#ifndef PAILFS_READ_WINDOW_H
#define PAILFS_READ_WINDOW_H

#include "pailfs/base/xalloc.h"
#include "pailfs/policy.h"

/* Doubles the window, once for each half of it that the stream has passed since the last
 * time: one stall is often seen by several requests. */
void window_grow(const struct policy_limits *limits, struct policy_stream *stream);

/* Plans to keep the window's bytes beyond the frontier fetched or on their way, in parts that
 * leave several GETs in flight. */
void window_plan(const struct policy_limits *limits, struct policy_stream *stream,
                 const struct policy_read *read, struct policy_plan *plan);

#endif
