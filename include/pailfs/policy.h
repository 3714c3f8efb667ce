/* policy.h - what to fetch for a read: pure decisions, one policy one file.
 *
 * A policy sees one stream of reads of one object version and says what to fetch. It does no
 * I/O, takes no lock and asks no clock; the reader carries out what it says. What the three
 * promise stands in docs/semantics.md under "What is fetched". */
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
	uint64_t max_gap;       /* ranges with at most so many bytes between them are worth one GET */
	uint64_t first_byte_ns; /* from a GET's start to its first byte, as measured; 0: unknown */
	uint64_t rate;          /* bytes a second of one connection after that; 0: unknown */
	uint64_t kernel_ahead;  /* how far the kernel itself reads ahead, bytes */
};

/* One sequence of reads found in an object's reads (streams.h finds them). */
struct policy_stream {
	/* Kept by streams.c. */
	uint64_t first;         /* where the stream began */
	uint64_t frontier;      /* end of the furthest byte asked for */
	bool advanced;          /* … and this read has moved it */
	bool adjoins;           /* … from where it was, without a gap to speak of */
	uint64_t joint;         /* where it was; with a gap, or for another read, this one's start */
	uint64_t piece;         /* start of the last part of it without a gap */
	uint64_t opening;       /* length of the first read there */
	unsigned reads;         /* observed so far, this one included */
	unsigned confidence;    /* how sure it is that the stream goes on: 2 for each read next to
	                         * the frontier, 1 for each at most max_gap beyond; 0: a single read */
	bool counted;           /* its run stands in policy_history already */
	uint64_t used_tick;     /* for choosing which to forget; 0: the slot is free */
	/* Kept by the policy and the reader. */
	uint64_t window;        /* bytes to keep fetched or on the way beyond the frontier */
	uint64_t grown_at, grown_ns; /* the frontier and the time when that was last decided */
	uint64_t rate;          /* bytes a second that the stream read before that; 0: unknown */
	unsigned settled;       /* decisions since a larger window was no faster; 0: it grows */
	unsigned patience;      /* so many of them before that is tried again */
	uint64_t fetched_to;    /* end of what this stream has caused to be fetched */
	bool directory;         /* reads the directory at the end */
};

/* What is known of an object's reads over all its streams. */
struct policy_history {
	uint64_t reads;         /* before this one */
	uint64_t typical_run;   /* bytes that a finished stream read; 0: none finished yet */
	uint64_t runs[3];       /* of the last ones that finished … */
	unsigned finished;      /* … how many those were */
	unsigned active;        /* streams with a window that take turns, this one included */
	uint64_t waits;         /* reads of which a byte was neither there nor on its way, the
	                         * present one included */
	bool whole;             /* all of it was fetched, or asked for */
	bool tail;              /* its first read was at its end: a directory may stand there, so
	                         * the reader looks at what is there, and tells … */
	struct range directory; /* … where; empty: not known */
	bool archive;           /* … and that members stand before it */
};

/* What was observed of this read. */
struct policy_read {
	struct range range;     /* what was asked for; not empty, inside the value */
	uint64_t object_size;
	uint64_t now_ns;        /* monotonic */
	uint64_t missing;       /* its first byte that is neither there nor on its way; its end: none */
	bool stalled;           /* a byte of it is not there: its reader will wait */
};

struct policy_plan {
	struct range demand;    /* to fetch now, in one GET where nothing of it is there; starts at
	                         * or before the read, covers it */
	struct range ahead;     /* speculation, what is there left out; empty: none */
	uint64_t part;          /* how long one GET of `ahead` is to be, bytes */
	char why[160];           /* what was seen and chosen, for user.pailfs.why */
};

struct policy {
	const char *name;
	void (*plan)(const struct policy_limits *limits, struct policy_history *history,
	             struct policy_stream *stream, const struct policy_read *read,
	             struct policy_plan *plan);
};

extern const struct policy policy_sequential, policy_ranged, policy_auto;

/* The policy of that name, NULL when there is none (or it was left out of the build). */
const struct policy *policy_by_name(const char *name);
/* The bytes that each of the last streams read at least; 0 before there were enough. */
static inline uint64_t policy_sure_run(const struct policy_history *h)
{
	uint64_t least = h->runs[0] < h->runs[1] ? h->runs[0] : h->runs[1];

	if (h->finished < 3)
		return 0;
	return least < h->runs[2] ? least : h->runs[2];
}

/* The bytes that a stream has read without a gap. */
static inline uint64_t policy_run(const struct policy_stream *s)
{
	return s->frontier - s->piece;
}

/* Whether nothing of the read is left to be fetched. */
static inline bool policy_read_covered(const struct policy_read *read)
{
	return read->missing >= read->range.end;
}

/* NULL-terminated, in the order in which help shows them. */
extern const struct policy *const policy_list[];

#endif
