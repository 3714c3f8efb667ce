/* ending.c - the end of a mount: by SIGINT, SIGTERM and SIGHUP, and what it waits for.
 *
 * When libfuse's loop ends, its threads throw away what requests they have just taken. Whoever
 * waits for one is told so; but with writeback, one that brings bytes for which write(2) has
 * returned long since has nobody waiting. So the signals do not end the loop. They go to a thread
 * that lets the family finish while all others serve; then it ends the loop, and wakes the main
 * thread there, which sleeps until a signal comes, by one that means nothing else. */
#include "fs_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/thread.h"

#define WAKE SIGURG
/* How often it is looked whether something has come to its end. */
#define LOOK_MS 2

static void pause_a_little(void)
{
	const struct timespec t = {.tv_nsec = LOOK_MS * NS_PER_MS};

	nanosleep(&t, NULL);
}

/* What tells that the dispatch thread has come to a place in its queue. */
struct milestone {
	struct dispatch_task task;
	atomic_bool reached;
};

static void set_reached(struct dispatch_task *task)
{
	atomic_store(&container_of(task, struct milestone, task)->reached, true);
}

static void milestone_post(struct milestone *m, struct fs *fs)
{
	m->task.run = set_reached;
	atomic_init(&m->reached, false);
	dispatch_post(fs->dispatch, &m->task);
}

/* ---- signals ---- */

static void finish_family(struct fs *fs)
{
	struct milestone m;

	if (!fs->family->finish)
		return;
	parked_stop(fs);
	fs->family->finish(fs);
	milestone_post(&m, fs);
	while (!atomic_load(&m.reached))
		pause_a_little();
}

static void *wait_for_signal(void *arg)
{
	struct ending *e = arg;
	int number;

	do
		sigwait(&e->signals, &number);
	while (number == WAKE && !atomic_load(&e->over));
	if (!atomic_load(&e->over)) {
		finish_family(e->fs);
		fuse_session_exit(e->fs->session);
	}
	/* Again, since a wake that comes just before it sleeps is lost. */
	while (!atomic_load(&e->over)) {
		pthread_kill(e->server, WAKE);
		pause_a_little();
	}
	return NULL;
}

static void do_nothing(int number)
{
}

int ending_begin(struct fs *fs, struct ending *e)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction wake = {.sa_handler = do_nothing};
	struct sigaction action;

	e->fs = fs;
	e->server = pthread_self();
	atomic_init(&e->over, false);
	sigaction(WAKE, &wake, NULL);
	sigemptyset(&e->signals);
	sigaddset(&e->signals, WAKE);
	/* What nohup(1) or a shell has us ignore stays ignored, though sigwait() would take it. */
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (!sigaction(ends[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(&e->signals, ends[i]);
	return thread_start(&e->thread, "pailfs-signal", wait_for_signal, e);
}

void ending_end(struct ending *e)
{
	atomic_store(&e->over, true);
	pthread_kill(e->thread, WAKE);
	pthread_join(e->thread, NULL);
}

/* ---- notices ---- */

void settle_notices(struct fs *fs)
{
	struct pollfd device = {.fd = fuse_session_fd(fs->session), .events = POLLIN};
	struct fuse_buf request = {0};
	struct milestone m;

	/* What poll saw may be gone when it is to be read: its caller was killed. */
	fcntl(device.fd, F_SETFL, O_NONBLOCK);
	fuse_session_reset(fs->session);
	milestone_post(&m, fs);
	while (!atomic_load(&m.reached)) {
		if (poll(&device, 1, LOOK_MS) <= 0)
			continue;
		if (!(device.revents & POLLIN))
			device.fd = -1; /* unmounted: no notice waits any more */
		else if (fuse_session_receive_buf(fs->session, &request) > 0)
			fuse_session_process_buf(fs->session, &request);
	}
	free(request.mem);
}
