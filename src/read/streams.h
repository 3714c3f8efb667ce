/* streams.h - finds the sequences in an object's reads.
 *
 * The kernel sends the reads of one sequential reader out of order (R4), and several readers
 * interleave on one inode, also through one descriptor (R5). So streams are found by
 * position: each read joins the stream whose frontier it is near, or begins one. Pure. */
#ifndef PAILFS_READ_STREAMS_H
#define PAILFS_READ_STREAMS_H

#include "pailfs/policy.h"

#define STREAMS_MAX 32

struct streams {
	struct policy_stream streams[STREAMS_MAX];
	struct policy_history history;
	struct policy_stream *recent; /* the one that was joined last; NULL at first */
	uint64_t tick;
};

/* Finds or begins the stream of this read and counts it there. A read at most max_gap beyond
 * the stream that was read last goes on with it. */
struct policy_stream *streams_observe(struct streams *s, struct range read, uint64_t max_gap);

#endif
