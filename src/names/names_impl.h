/* names_impl.h - what the parts of the names share: names.c has the contract and the course of a
 * fetch, decide.c what a question comes to. All but fetch_finished needs names.lock. */
#ifndef PAILFS_NAMES_IMPL_H
#define PAILFS_NAMES_IMPL_H

#include <pthread.h>
#include "denials.h"
#include "fetch.h"
#include "index.h"
#include "question.h"
#include "pailfs/names.h"

struct names {
	struct store *store;
	const struct clock *clock;
	unsigned capabilities;
	uint64_t metadata_ttl_ns, negative_ttl_ns;
	uint64_t patience_ns;
	char *root;

	pthread_mutex_t lock;
	/* Under the lock. */
	struct index *index;
	struct list fetches;      /* under way or about to start */
	size_t starting;          /* of these, not yet handed to the store */
	bool ordered;             /* one page tells what is absent between its keys */
	uint64_t calls;           /* so far that had to wait */
	bool closing;
	pthread_cond_t idle;      /* a fetch has started or ended, while closing */
	struct denials denials;
	uint64_t *clashes_told;   /* hashes of keys */
	size_t clash_count;
};

/* A question that is not answered yet; exactly one of lookup and readdir is set. */
struct waiter {
	struct list link;         /* in fetch.waiters or work.ready */
	struct names_lookup *lookup;
	struct names_readdir *readdir;
	char *prefix;
	char *name;               /* or the cursor; may be NULL then */
	size_t max;
	uint64_t since;
	uint64_t call;            /* the call that made it */
	bool waiting;             /* in fetch.waiters */
	bool guest;               /* waits, or has waited, for a fetch that was not made for it */
	bool exact;               /* has asked for what the listing left open */
	int result;
};

/* What a call or an event leaves to be done without the lock. */
struct work {
	struct names *names;
	uint64_t call;            /* numbers the calls; 0 for an event */
	struct list starts;       /* fetches */
	struct list ready;        /* waiters whose done is to run */
};

static inline struct index_time time_of(const struct names *n, uint64_t since)
{
	return (struct index_time){.now = clock_monotonic(n->clock), .since = since};
}

/* ---- decide.c ---- */

/* Each returns 1 or -errno when the answer is known, which it has put into the request, and 0
 * when not: then `answer` or `r` says what is missing. after: a cursor, or NULL; `exact`: the
 * question's own HEAD has come, and what it says is all there is to know. */
int answer_lookup(struct names *n, struct names_lookup *q, const char *prefix, const char *name,
                  struct index_time time, bool exact, enum index_answer *answer);
int answer_readdir(struct work *work, struct names_readdir *q, const char *prefix, const char *after,
                   size_t max, struct index_time time, struct index_reading *r);
/* A question that has no answer waits for a fetch that will bring it, started if there is none
 * under way. The second returns -errno when it shall not wait. */
void ask_lookup(struct work *work, struct waiter *w, enum index_answer answer);
int ask_readdir(struct work *work, struct waiter *w, struct index_reading *r);
/* Answers a waiter whose fetch has ended, or lets it wait for the next. */
void decide(struct work *work, struct waiter *w);
/* The waiter's done is to run, with this result. */
void waiter_ready(struct work *work, struct waiter *w, int result);
/* Listing a prefix was denied. lookups_only: for parts of names below it, not for itself. */
void deny(struct names *n, const char *prefix, bool lookups_only);

/* ---- names.c ---- */

/* Of each fetch that decide.c makes. */
void fetch_finished(struct fetch *f, int result);

#endif
