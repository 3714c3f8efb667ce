/* reply.c - requests that wait, and what is told to the kernel outside of replies.
 *
 * A parked request has two references at most: its creator's, and one of the interrupt on
 * its way through the interrupts' thread. libfuse calls the interrupt function under a lock
 * of the request that unpark() takes too, so after unpark() no new interrupt starts; one that
 * was posted before finds the memory still there.
 *
 * That thread is not the one that tells the kernel to forget a name: the kernel waits then for
 * the questions about that directory to end, which are the ones that want to be interrupted. */
#include "fs_impl.h"

#include <stdlib.h>
#include <string.h>
#include "pailfs/base/lock.h"
#include "signals.h"

/* How long a caller may have had to wait for Ctrl-C after ^Z. */
#define LOOK_AGAIN_NS (200 * NS_PER_MS)

/* The kernel tells of a caller's signals once. While they are none that ask it to leave, it is
 * looked for others until there is one, the answer has come, or the mount ends. */
static bool may_go_on(const struct parked *p)
{
	return atomic_load(&p->refs) > 1 && !atomic_load(&p->fs->stopping) &&
	       !signals_ask_thread_to_leave(p->caller);
}

static void run_interrupt(struct dispatch_task *task)
{
	struct parked *p = container_of(task, struct parked, task);

	if (may_go_on(p)) {
		dispatch_post_later(p->fs->interrupts, &p->task, LOOK_AGAIN_NS);
		return;
	}
	p->interrupt(p);
	parked_unref(p);
}

static void post_interrupt(struct parked *p)
{
	if (!p->interrupt || atomic_exchange(&p->interrupt_posted, true))
		return;
	atomic_fetch_add(&p->refs, 1);
	p->task.run = run_interrupt;
	dispatch_post(p->fs->interrupts, &p->task);
}

static void on_interrupt(fuse_req_t req, void *data)
{
	struct parked *p = data;

	stats_inc(p->fs->c.stats, STAT_FUSE_INTERRUPT);
	post_interrupt(p);
}

void park(struct parked *p, struct fs *fs, fuse_req_t req, bool interruptible)
{
	p->fs = fs;
	p->req = req;
	p->interruptible = interruptible;
	p->caller = fuse_req_ctx(req)->pid;
	atomic_init(&p->refs, 1);
	atomic_init(&p->interrupt_posted, false);
	pthread_mutex_lock(&fs->parked_lock);
	list_append(&fs->parked, &p->link);
	fs->parked_count++;
	pthread_mutex_unlock(&fs->parked_lock);
	/* Runs on_interrupt at once when the interrupt came first. */
	if (interruptible)
		fuse_req_interrupt_func(req, on_interrupt, p);
	if (interruptible && atomic_load(&fs->stopping))
		post_interrupt(p);
}

void unpark(struct parked *p)
{
	struct fs *fs = p->fs;

	if (p->interruptible)
		fuse_req_interrupt_func(p->req, NULL, NULL);
	scoped_lock(&fs->parked_lock);
	list_remove(&p->link);
}

void parked_unref(struct parked *p)
{
	struct fs *fs = p->fs;

	if (atomic_fetch_sub(&p->refs, 1) != 1)
		return;
	p->destroy(p);
	scoped_lock(&fs->parked_lock);
	if (--fs->parked_count == 0)
		pthread_cond_broadcast(&fs->parked_gone);
}

static void interrupt_all(struct fs *fs)
{
	struct parked *p;

	list_for_each(p, &fs->parked, link)
		post_interrupt(p);
}

void parked_stop(struct fs *fs)
{
	scoped_lock(&fs->parked_lock);
	atomic_store(&fs->stopping, true);
	interrupt_all(fs);
}

void parked_drain(struct fs *fs)
{
	pthread_mutex_lock(&fs->parked_lock);
	interrupt_all(fs);
	/* Until the last is gone, not only unparked: the thread that answers still needs us. */
	while (fs->parked_count)
		pthread_cond_wait(&fs->parked_gone, &fs->parked_lock);
	pthread_mutex_unlock(&fs->parked_lock);
}

struct forget {
	struct dispatch_task task;
	struct fs *fs;
	fuse_ino_t parent;
	char name[];
};

static void run_forget(struct dispatch_task *task)
{
	struct forget *f = container_of(task, struct forget, task);

	if (!atomic_load(&f->fs->stopping))
		fuse_lowlevel_notify_inval_entry(f->fs->session, f->parent, f->name, strlen(f->name));
	free(f);
}

void forget_entry(struct fs *fs, fuse_ino_t parent, const char *name)
{
	size_t n = strlen(name) + 1;
	struct forget *f = xcalloc(1, sizeof(*f) + n);

	f->task.run = run_forget;
	f->fs = fs;
	f->parent = parent;
	memcpy(f->name, name, n);
	dispatch_post(fs->dispatch, &f->task);
}

void stat_defaults(const struct fs *fs, struct stat *st, bool directory, uint64_t size, int64_t mtime_ns)
{
	*st = (struct stat){
	        .st_mode = directory ? S_IFDIR | fs->dir_mode : S_IFREG | fs->file_mode,
	        .st_nlink = 1,
	        .st_uid = fs->uid,
	        .st_gid = fs->gid,
	        .st_size = (off_t)size,
	        .st_blksize = 4096, /* with more, Python reads more than it was asked for (M5) */
	        .st_blocks = (blkcnt_t)((size + 511) / 512),
	        .st_mtim = timespec_from_ns(mtime_ns),
	};
	st->st_atim = st->st_ctim = st->st_mtim;
}
