/* dispatch.c - one thread, one queue. */
#include "pailfs/base/dispatch.h"

#include <pthread.h>
#include <stdlib.h>
#include "pailfs/base/lock.h"

struct dispatch {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t posted;
	struct list tasks; /* lock */
	bool ending;       /* lock */
};

static void *dispatch_main(void *arg)
{
	struct dispatch *d = arg;

	for (;;) {
		struct dispatch_task *task;

		pthread_mutex_lock(&d->lock);
		while (list_empty(&d->tasks) && !d->ending)
			pthread_cond_wait(&d->posted, &d->lock);
		if (list_empty(&d->tasks)) {
			pthread_mutex_unlock(&d->lock);
			return NULL;
		}
		task = list_first(&d->tasks, struct dispatch_task, link);
		list_remove(&task->link);
		pthread_mutex_unlock(&d->lock);
		task->run(task);
	}
}

int dispatch_create(const char *name, struct dispatch **out)
{
	struct dispatch *d = xcalloc(1, sizeof(*d));
	int err;

	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->posted, NULL);
	list_init(&d->tasks);
	err = pthread_create(&d->thread, NULL, dispatch_main, d);
	if (err) {
		pthread_cond_destroy(&d->posted);
		pthread_mutex_destroy(&d->lock);
		free(d);
		return -err;
	}
	pthread_setname_np(d->thread, name);
	*out = d;
	return 0;
}

void dispatch_destroy(struct dispatch *d)
{
	if (!d)
		return;
	pthread_mutex_lock(&d->lock);
	d->ending = true;
	pthread_cond_signal(&d->posted);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->thread, NULL);
	pthread_cond_destroy(&d->posted);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

void dispatch_post(struct dispatch *d, struct dispatch_task *task)
{
	scoped_lock(&d->lock);
	list_append(&d->tasks, &task->link);
	pthread_cond_signal(&d->posted);
}
