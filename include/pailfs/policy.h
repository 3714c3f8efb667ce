/* policy.h - what to fetch for a read: pure decisions, one policy one file.
 *
 * A policy sees one stream of reads of one object version and says what to fetch. It does no
 * I/O, takes no lock and asks no clock; the reader carries out what it says. semantics.md,
 * section 1, is what the three must do. */
#ifndef PAILFS_POLICY_H
#define PAILFS_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "pailfs/base/range.h"

/* What the user and the machine allow. */
struct policy_limits {
	uint64_t range_buffer;  /* bytes; 0: exact ranges */
	uint64_t max_window;    /* the largest window of one stream, bytes */
	uint64_t max_part;      /* the largest single GET, bytes */
};

/* One reader found in an object's reads (streams.h finds them). Zeroed for a new one. */
struct policy_stream {
	/* Kept by streams.c. */
	uint64_t first;         /* where the stream began */
	uint64_t frontier;      /* end of the furthest byte asked for */
	uint64_t last_offset, last_end;
	uint64_t stride;        /* distance of the last two starts when that repeats, else 0 */
	unsigned reads;         /* observed so far, this one included */
	unsigned sequential;    /* of these, how many went on where the stream stood, in a row */
	uint64_t bytes;         /* asked for by them */
	uint64_t used_tick;     /* for choosing which to forget */
	/* Kept by the policy. */
	uint64_t window;        /* bytes to keep fetched or on the way beyond the frontier */
	uint64_t fetched_to;    /* end of what this stream has caused to be fetched */
	struct range loaded;    /* ranged: the buffer's range */
};

/* What was observed of this read. */
struct policy_read {
	struct range range;     /* what was asked for; not empty, inside the value */
	uint64_t object_size;
	bool stalled;           /* a byte of it is not there: its reader will wait */
	bool in_flight;         /* … but all of it is on its way */
	bool first;             /* the first read of this object version */
	unsigned scattered;     /* of the object's last 8 reads, how many began a new stream */
};

struct policy_plan {
	struct range demand;    /* to fetch at once; covers the missing part of the read */
	struct range ahead;     /* speculation; empty: none. Behind the demand */
	uint64_t part;          /* how long one GET of `ahead` is to be, bytes */
	bool keep;              /* false: give the bytes up soon, the kernel has them */
	char why[96];           /* what was seen and chosen, for user.pailfs.why */
};

struct policy {
	const char *name;
	void (*plan)(const struct policy_limits *limits, struct policy_stream *stream,
	             const struct policy_read *read, struct policy_plan *plan);
};

extern const struct policy policy_sequential, policy_ranged, policy_auto;

/* The policy of that name, NULL when there is none (or it was left out of the build). */
const struct policy *policy_by_name(const char *name);
/* NULL-terminated, in the order in which help shows them. */
extern const struct policy *const policy_list[];

#endif
