/* chaos_bucket.c - a store that does badly on purpose, over any that is asked asynchronously;
 * chaos.h says what it can be told to do.
 *
 * An operation gets a twin that is given to the store below. What is to happen later waits
 * in a list for a thread, so that an operation that is delayed or fails ends like any other:
 * pending, on another thread, once.
 *
 *	state      belongs to
 *	QUEUED     the list; the thread takes it out when it is due
 *	STARTING   whoever is inside the lower store's start
 *	BELOW      the lower store
 *	ENDED      whoever runs the caller's done */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/lock.h"
#include "pailfs/base/thread.h"
#include "pailfs/base/xalloc.h"
#include "src/store/chaos.h"
#include "src/store/store_impl.h"

#define NEVER UINT64_MAX

struct chaos_store {
	struct store store; /* first */
	struct store *inner;
	struct chaos_plan plan;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* The lock's. */
	struct list queue;  /* struct chaos_op, in no order */
	bool stopping;
};

enum chaos_state { CHAOS_QUEUED, CHAOS_STARTING, CHAOS_BELOW, CHAOS_ENDED };

struct chaos_op {
	struct chaos_store *cs;
	struct store_op *outer;
	enum chaos_operation kind; /* CHAOS_PROBE to CHAOS_LOOKUP */
	union {
		struct store_op op; /* first in each of the others */
		struct store_get get;
		struct store_list list;
		struct store_lookup lookup;
	} twin;
	int error;           /* to end with, 0: none; with `cut` after a part */
	bool cut;            /* the twin asks for a part only */
	atomic_uint refs;    /* the start's, and the end's */
	/* The store's lock's. */
	struct list link;
	enum chaos_state state;
	bool cancelled;
	uint64_t due_ns;
};

struct chaos_object {
	struct store_object object; /* first */
	struct store_object *inner;
};

static struct chaos_store *chaos_of(struct store *s)
{
	return container_of(s, struct chaos_store, store);
}

/* Decides what becomes of an operation; when it is due. */
static void decide(struct chaos_op *c)
{
	struct chaos_store *cs = c->cs;
	size_t whole = c->kind == CHAOS_GET ? c->twin.get.length : 0;
	struct chaos_fate fate = chaos_decide(&cs->plan, c->kind, whole);

	if (fate.hang)
		c->due_ns = NEVER;
	else if (fate.delay_ns)
		c->due_ns = clock_monotonic(cs->store.clock) + fate.delay_ns;
	c->error = fate.error;
	c->cut = fate.error && fate.length;
	if (c->cut)
		c->twin.get.length = fate.length;
}

/* ---- ends ---- */

/* Touches no store: it may go once the operation's owner has been told of the end. */
static void unref(struct chaos_op *c)
{
	if (atomic_fetch_sub(&c->refs, 1) == 1)
		free(c);
}

/* Brings the twin's results over. */
static int deliver(struct chaos_op *c, int result)
{
	const struct store_op *twin = &c->twin.op;
	struct store_list *list;

	switch (c->kind) {
	case CHAOS_GET:
		container_of(c->outer, struct store_get, op)->filled = c->twin.get.filled;
		break;
	case CHAOS_LOOKUP:
		container_of(c->outer, struct store_lookup, op)->attr = c->twin.lookup.attr;
		break;
	default:
		list = container_of(c->outer, struct store_list, op);
		list->entries = c->twin.list.entries;
		list->entry_count = c->twin.list.entry_count;
		list->unusable = c->twin.list.unusable;
		list->next_continuation = c->twin.list.next_continuation;
		list->memory = c->twin.list.memory;
		break;
	}
	if (!result && c->cut)
		result = c->error;
	if (result && !twin->error[0])
		snprintf(c->outer->error, sizeof(c->outer->error), "chaos: %s", strerror(-result));
	else
		memcpy(c->outer->error, twin->error, sizeof(c->outer->error));
	c->outer->denied = twin->denied;
	c->outer->exhausted = twin->exhausted;
	return result;
}

static void finish(struct chaos_op *c, int result)
{
	c->outer->done(c->outer, deliver(c, result));
	unref(c);
}

static void twin_done(struct store_op *twin, int result)
{
	struct chaos_op *c = container_of(twin, struct chaos_op, twin.op);

	pthread_mutex_lock(&c->cs->lock);
	c->state = CHAOS_ENDED;
	pthread_mutex_unlock(&c->cs->lock);
	finish(c, result);
}

static void progress(struct store_get *twin, size_t filled)
{
	struct chaos_op *c = container_of(twin, struct chaos_op, twin.get);
	struct store_get *get = container_of(c->outer, struct store_get, op);

	get->filled = filled;
	get->progress(get, filled);
}

/* ---- starts ---- */

static int start_twin(struct chaos_op *c)
{
	struct store *inner = c->cs->inner;

	switch (c->kind) {
	case CHAOS_PROBE:
		return store_probe(inner, &c->twin.list);
	case CHAOS_LIST:
		return store_list(inner, &c->twin.list);
	case CHAOS_LOOKUP:
		return store_lookup(inner, &c->twin.lookup);
	default:
		return store_get_range(inner, &c->twin.get);
	}
}

/* Gives the twin to the lower store. 0: it is pending there, or has ended meanwhile. */
static int descend(struct chaos_op *c)
{
	int r;

	pthread_mutex_lock(&c->cs->lock);
	c->state = CHAOS_STARTING;
	atomic_store(&c->refs, 2);
	pthread_mutex_unlock(&c->cs->lock);
	r = start_twin(c);
	pthread_mutex_lock(&c->cs->lock);
	if (r) {
		c->state = CHAOS_ENDED;
		atomic_store(&c->refs, 1);
	} else if (c->state == CHAOS_STARTING) {
		c->state = CHAOS_BELOW;
		/* What came while there was nothing to cancel yet. */
		if (c->cancelled)
			store_cancel(&c->twin.op);
	}
	pthread_mutex_unlock(&c->cs->lock);
	if (!r)
		unref(c);
	return r;
}

/* The thread's turn: what was decided happens. */
static void happen(struct chaos_op *c, bool cancelled)
{
	int r = cancelled ? -ECANCELED : c->cut ? 0 : c->error;

	if (!r)
		r = descend(c);
	if (r)
		finish(c, r > 0 ? 0 : r);
}

static void *chaos_main(void *data)
{
	struct chaos_store *cs = data;

	pthread_mutex_lock(&cs->lock);
	while (!cs->stopping) {
		uint64_t now = clock_monotonic(cs->store.clock);
		struct chaos_op *c, *first = NULL;

		list_for_each(c, &cs->queue, link)
			if (!first || c->due_ns < first->due_ns)
				first = c;
		if (first && first->due_ns <= now) {
			bool cancelled = first->cancelled;

			list_remove(&first->link);
			first->state = CHAOS_ENDED;
			pthread_mutex_unlock(&cs->lock);
			happen(first, cancelled);
			pthread_mutex_lock(&cs->lock);
		} else if (first && first->due_ns != NEVER) {
			struct timespec until = timespec_from_ns((int64_t)first->due_ns);

			pthread_cond_timedwait(&cs->wake, &cs->lock, &until);
		} else {
			pthread_cond_wait(&cs->wake, &cs->lock);
		}
	}
	pthread_mutex_unlock(&cs->lock);
	return NULL;
}

static struct chaos_op *op_create(struct store *s, struct store_op *outer, enum chaos_operation kind)
{
	struct chaos_op *c = xcalloc(1, sizeof(*c));

	c->cs = chaos_of(s);
	c->outer = outer;
	c->kind = kind;
	atomic_init(&c->refs, 1);
	c->state = CHAOS_STARTING;
	list_init(&c->link);
	outer->state = c;
	return c;
}

/* As store.h says of a start. */
static int op_start(struct chaos_op *c)
{
	bool queue;
	int r;

	c->twin.op.speculative = c->outer->speculative;
	decide(c);
	queue = c->due_ns != 0;
	pthread_mutex_lock(&c->cs->lock);
	if (queue) {
		c->state = CHAOS_QUEUED;
		list_append(&c->cs->queue, &c->link);
		pthread_cond_signal(&c->cs->wake);
	}
	pthread_mutex_unlock(&c->cs->lock);
	if (queue)
		return 0;
	r = c->error && !c->cut ? c->error : descend(c);
	if (!r)
		return 0;
	r = deliver(c, r > 0 ? 0 : r);
	free(c);
	return r ? r : 1;
}

/* ---- operations ---- */

static int start_list(struct store *s, struct store_list *op, enum chaos_operation kind)
{
	struct chaos_op *c = op_create(s, &op->op, kind);

	c->twin.list = (struct store_list){
		.op.done = twin_done,
		.prefix = op->prefix,
		.delimited = op->delimited,
		.start_after = op->start_after,
		.continuation = op->continuation,
	};
	return op_start(c);
}

static int chaos_probe(struct store *s, struct store_list *op)
{
	return start_list(s, op, CHAOS_PROBE);
}

static int chaos_list(struct store *s, struct store_list *op)
{
	return start_list(s, op, CHAOS_LIST);
}

static int chaos_lookup(struct store *s, struct store_lookup *op)
{
	struct chaos_op *c = op_create(s, &op->op, CHAOS_LOOKUP);

	c->twin.lookup = (struct store_lookup){.op.done = twin_done, .key = op->key};
	return op_start(c);
}

static int chaos_get_range(struct store *s, struct store_get *op)
{
	struct chaos_op *c = op_create(s, &op->op, CHAOS_GET);

	c->twin.get = (struct store_get){
		.op.done = twin_done,
		.object = container_of(op->object, struct chaos_object, object)->inner,
		.offset = op->offset,
		.length = op->length,
		.buffer = op->buffer,
		.progress = op->progress ? progress : NULL,
	};
	return op_start(c);
}

static void chaos_cancel(struct store *s, struct store_op *op)
{
	struct chaos_op *c = op->state;

	scoped_lock(&c->cs->lock);
	if (c->cancelled)
		return;
	c->cancelled = true;
	if (c->state == CHAOS_QUEUED) {
		c->due_ns = 0;
		pthread_cond_signal(&c->cs->wake);
	} else if (c->state == CHAOS_BELOW) {
		store_cancel(&c->twin.op);
	}
}

static void chaos_promote(struct store *s, struct store_op *op)
{
	struct chaos_op *c = op->state;

	scoped_lock(&c->cs->lock);
	if (c->state == CHAOS_QUEUED)
		c->twin.op.speculative = false;
	else if (c->state == CHAOS_BELOW)
		store_promote(&c->twin.op);
}

/* ---- objects and life ---- */

static struct store_object *chaos_object_open(struct store *s, const char *key,
                                              const struct store_attr *believed)
{
	struct chaos_object *o = xmalloc(sizeof(*o));

	store_object_init(&o->object, s, key, believed);
	o->inner = store_object_open(chaos_of(s)->inner, key, believed);
	return &o->object;
}

static void chaos_object_release(struct store_object *object)
{
	struct chaos_object *o = container_of(object, struct chaos_object, object);

	store_object_unref(o->inner);
	store_object_fini(&o->object);
	free(o);
}

static void chaos_destroy(struct store *s)
{
	struct chaos_store *cs = chaos_of(s);

	pthread_mutex_lock(&cs->lock);
	cs->stopping = true;
	pthread_cond_signal(&cs->wake);
	pthread_mutex_unlock(&cs->lock);
	pthread_join(cs->thread, NULL);
	pthread_cond_destroy(&cs->wake);
	pthread_mutex_destroy(&cs->lock);
	chaos_plan_release(&cs->plan);
	store_destroy(cs->inner);
	store_fini(&cs->store);
	free(cs);
}

static void chaos_describe(struct store *s, struct buf *out)
{
	store_describe(chaos_of(s)->inner, out);
}

static const struct store_ops chaos_ops = {
	.destroy = chaos_destroy,
	.describe = chaos_describe,
	.probe = chaos_probe,
	.lookup = chaos_lookup,
	.list = chaos_list,
	.get_range = chaos_get_range,
	.cancel = chaos_cancel,
	.promote = chaos_promote,
	.object_open = chaos_object_open,
	.object_release = chaos_object_release,
};

int chaos_store_create(const char *spec, struct store *inner, const struct store_config *config,
                       struct store **out, struct buf *error)
{
	struct chaos_store *cs;
	pthread_condattr_t monotonic;
	int r;

	cs = xcalloc(1, sizeof(*cs));
	r = chaos_plan_init(&cs->plan, spec, CHAOS_BUCKET, error);
	if (r) {
		free(cs);
		return r;
	}
	store_init(&cs->store, &chaos_ops, inner->name, inner->capabilities, inner->identity, inner->root,
	           config);
	cs->inner = inner;
	list_init(&cs->queue);
	pthread_mutex_init(&cs->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&cs->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	r = thread_start(&cs->thread, "chaos", chaos_main, cs);
	if (r) {
		buf_addf(error, "chaos: no thread: %s", strerror(-r));
		pthread_cond_destroy(&cs->wake);
		pthread_mutex_destroy(&cs->lock);
		chaos_plan_release(&cs->plan);
		store_fini(&cs->store);
		free(cs);
		return r;
	}
	*out = &cs->store;
	return 0;
}
