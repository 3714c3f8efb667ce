/* reader_impl.h - what the two halves of the read engine share: reader.c decides for a read,
 * fetch.c has the GETs. */
#ifndef PAILFS_READ_READER_IMPL_H
#define PAILFS_READ_READER_IMPL_H

#include <pthread.h>
#include "link.h"
#include "pailfs/base/lock.h"
#include "pailfs/read.h"
#include "streams.h"

#define FAILURES_KEPT 4

struct read_engine {
	struct read_config config;  /* constant */

	pthread_mutex_t lock;       /* covers what follows; the innermost */
	pthread_cond_t idle;
	unsigned in_flight;         /* GETs of all readers */
	struct link link;
	uint64_t kernel_ahead;
	struct list queue;          /* struct reader.queued: those with requests in `pending` */
};

struct failure {
	struct range range;
	uint64_t until_ns;
	int error;
};

struct reader {
	struct read_engine *engine;
	struct store_object *object;
	struct cache_object *cached;

	struct list pending; /* engine's lock; struct reader_request.pending */
	struct list queued;  /* engine's lock */

	pthread_mutex_t lock; /* covers what follows */
	unsigned refs;        /* the owner's, other users', and one for each fetch */
	bool closed;
	const struct policy *policy;
	struct streams streams;
	struct list fetches;
	struct failure failures[FAILURES_KEPT];
	unsigned next_failure;
	char why[sizeof(((struct policy_plan *)0)->why)];
	char error[sizeof(((struct store_op *)0)->error)];
};

/* The limits as they are now: the user's, with what was measured. */
struct policy_limits fetch_limits(struct read_engine *e);
/* Whether fewer GETs are in flight than may be. */
bool fetch_may_start(struct read_engine *e);
/* Claims what is absent of demand and appends its fetches to `batch`, which the caller starts
 * once it has let go of the reader's lock, which is held: 0, -ENOBUFS when the budget has no
 * room, or -ENOMEM. w: for whom, as of cache_claim. */
int fetch_claim(struct reader *r, struct range demand, const struct cache_waiter *w, struct list *batch);
/* The same for speculation, as far as budget and connections go; returns how far that was. */
uint64_t fetch_claim_ahead(struct reader *r, struct range ahead, uint64_t part, struct list *batch);
/* Starts the GETs of a batch, in its order. No lock is held. */
void fetch_launch(struct list *batch);
/* Claims and starts. Demand starts however many GETs are in flight. */
int fetch_demand(struct reader *r, struct range demand, const struct cache_waiter *w);
/* Queues a request whose demand is absent until a GET may start, when all that may be in flight
 * are: false when they are not. It comes back through reader_resume. */
bool fetch_queue(struct reader_request *q);
/* Takes a queued request back, and lets it queue no more; false when it is not queued (any
 * more). */
bool fetch_unqueue(struct read_engine *e, struct reader_request *q);
/* Somebody waits for the range: its GETs are speculation no more. The reader's lock is held. */
void fetch_promote(struct reader *r, struct range range);
/* Asks all GETs of a reader that was closed to end. The reader's lock is held. */
void fetch_cancel_all(struct reader *r);

/* Goes on with a request that was queued; ends it where nothing is left to wait for. */
void reader_resume(struct reader_request *q);

#endif
