/* dispatch.c - one thread, one queue; and what is not due yet in another, by time. */
#include "pailfs/base/dispatch.h"

#include <pthread.h>
#include <stdlib.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/lock.h"
#include "pailfs/base/thread.h"

struct dispatch {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t posted;
	struct list tasks; /* lock */
	struct list later; /* lock; the next first */
	bool ending;       /* lock */
	bool ended;        /* lock; the thread runs no task any more */
};

/* Under the lock. The next task, NULL: the end. */
static struct dispatch_task *take_task(struct dispatch *d)
{
	struct dispatch_task *task;
	struct timespec at;

	for (;;) {
		if (!list_empty(&d->tasks)) {
			task = list_first(&d->tasks, struct dispatch_task, link);
			break;
		}
		if (list_empty(&d->later)) {
			if (d->ending)
				return NULL;
			pthread_cond_wait(&d->posted, &d->lock);
			continue;
		}
		task = list_first(&d->later, struct dispatch_task, link);
		if (d->ending || task->at_ns <= clock_monotonic(&clock_system))
			break;
		at = timespec_from_ns((int64_t)task->at_ns);
		pthread_cond_timedwait(&d->posted, &d->lock, &at);
	}
	list_remove(&task->link);
	return task;
}

static void *dispatch_main(void *arg)
{
	struct dispatch *d = arg;
	struct dispatch_task *task;

	for (;;) {
		pthread_mutex_lock(&d->lock);
		task = take_task(d);
		d->ended = !task;
		if (d->ended)
			pthread_cond_broadcast(&d->posted);
		pthread_mutex_unlock(&d->lock);
		if (!task)
			return NULL;
		task->run(task);
	}
}

static void dispatch_free(struct dispatch *d)
{
	pthread_cond_destroy(&d->posted);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

int dispatch_create(const char *name, struct dispatch **out)
{
	struct dispatch *d = xcalloc(1, sizeof(*d));
	pthread_condattr_t attributes;
	int err;

	pthread_mutex_init(&d->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&d->posted, &attributes);
	pthread_condattr_destroy(&attributes);
	list_init(&d->tasks);
	list_init(&d->later);
	err = thread_start(&d->thread, name, dispatch_main, d);
	if (err) {
		dispatch_free(d);
		return err;
	}
	*out = d;
	return 0;
}

static void dispatch_end(struct dispatch *d)
{
	scoped_lock(&d->lock);
	d->ending = true;
	pthread_cond_broadcast(&d->posted);
}

void dispatch_destroy(struct dispatch *d)
{
	if (!d)
		return;
	dispatch_end(d);
	pthread_join(d->thread, NULL);
	dispatch_free(d);
}

bool dispatch_destroy_within(struct dispatch *d, uint64_t ns)
{
	struct timespec end = timespec_from_ns((int64_t)(clock_monotonic(&clock_system) + ns));
	bool ended;

	dispatch_end(d);
	pthread_mutex_lock(&d->lock);
	while (!d->ended && !pthread_cond_timedwait(&d->posted, &d->lock, &end))
		;
	ended = d->ended;
	pthread_mutex_unlock(&d->lock);
	if (ended)
		dispatch_destroy(d);
	return ended;
}

void dispatch_post(struct dispatch *d, struct dispatch_task *task)
{
	scoped_lock(&d->lock);
	list_append(&d->tasks, &task->link);
	pthread_cond_signal(&d->posted);
}

void dispatch_post_later(struct dispatch *d, struct dispatch_task *task, uint64_t delay_ns)
{
	struct dispatch_task *other;
	struct list *next = &d->later;

	task->at_ns = clock_monotonic(&clock_system) + delay_ns;
	scoped_lock(&d->lock);
	list_for_each(other, &d->later, link) {
		if (other->at_ns > task->at_ns) {
			next = &other->link;
			break;
		}
	}
	list_insert(next, &task->link);
	pthread_cond_signal(&d->posted);
}
