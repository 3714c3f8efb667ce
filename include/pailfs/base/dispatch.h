/* dispatch.h - a thread that runs the tasks posted to it, one after the other.
 *
 * For work that must not happen in the thread that finds it necessary: telling the kernel
 * to forget an entry (which may wait for a request that only this thread would answer),
 * reading credentials again, closing descriptors. */
#ifndef PAILFS_BASE_DISPATCH_H
#define PAILFS_BASE_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>
#include "pailfs/base/list.h"

struct dispatch_task {
	void (*run)(struct dispatch_task *task); /* on the dispatch thread; may free the task */
	/* Private. */
	struct list link;
	uint64_t at_ns; /* monotonic; not before */
};

struct dispatch;

/* Starts the thread. Returns 0 or -errno; `name` (15 characters at most) shows in ps. */
int dispatch_create(const char *name, struct dispatch **out);
/* Runs what was posted, then ends the thread. Nothing may be posted any more. */
void dispatch_destroy(struct dispatch *d);
/* The same, for tasks that may hang. False when they have not ended in so much time: the thread
 * goes on until the process ends, and what its tasks use must stay for it. */
bool dispatch_destroy_within(struct dispatch *d, uint64_t ns);
/* From any thread. The task belongs to the dispatch until it runs. */
void dispatch_post(struct dispatch *d, struct dispatch_task *task);
/* The same, to run when so much time has passed, or at the end. */
void dispatch_post_later(struct dispatch *d, struct dispatch_task *task, uint64_t delay_ns);

#endif
