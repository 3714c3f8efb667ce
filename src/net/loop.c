/* The loop: a thread, an epoll set and a CURLM.
 *
 * curl tells which sockets it waits for and when it wants to be called; we wait for them in
 * epoll and hand it what happens (curl_multi_socket_action). Beside curl_multi_perform that
 * saves a poll(2) for each transfer and round.
 *
 * Other threads put messages into the inbox, and wake the thread only when it sleeps. A
 * request or timer is in the inbox once, however much is wanted of it; `wants` gathers it.
 *
 * A round is: sleep; what sockets and clocks say; the inbox; start what there is room for;
 * then tell owners what has ended. Owners are called with no lock held, and from outside of
 * curl but for header() and body(). */
#include "src/net/loop.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "pailfs/base/lock.h"
#include "pailfs/base/log.h"
#include "pailfs/base/thread.h"
#include "src/net/http.h"

enum { DEMAND, SPECULATION };

void loop_post(struct net_loop *l, struct net_message *m, unsigned wants)
{
	bool wake;

	{
		scoped_lock(&l->lock);
		if (m->wants & WANT_NOTHING)
			return;
		if (!m->wants)
			list_append(&l->inbox, &m->link);
		m->wants |= wants;
		wake = l->asleep;
		l->asleep = false;
	}
	if (wake)
		eventfd_write(l->wake_fd, 1);
}

static unsigned take_message(struct net_loop *l, struct net_message *m)
{
	scoped_lock(&l->lock);
	unsigned wants = m->wants;

	list_remove(&m->link);
	m->wants = 0;
	return wants;
}

/* Takes the message back: nobody may want anything of a thing that is ending. An owner may
 * still ask for a cancel until its callback has learnt of the end; that is ignored. */
static void close_message(struct net_loop *l, struct net_message *m)
{
	scoped_lock(&l->lock);
	list_remove(&m->link);
	m->wants = WANT_NOTHING;
}

/* ---- curl ---- */

/* curl's CURLMOPT_SOCKETFUNCTION: what it wants watched has changed. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
	struct net_loop *l = data;
	struct transfer *t = NULL;

	if (what != CURL_POLL_REMOVE &&
	    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t) == CURLE_OK && t)
		t->fd = fd;
	sockets_want(&l->sockets, fd, what);
	return 0;
}

static void socket_event(struct net_loop *l, int fd, uint32_t events)
{
	int running, mask = 0;

	if (!sockets_wanted(&l->sockets, fd))
		return;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		mask |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		mask |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		mask |= CURL_CSELECT_ERR;
	curl_multi_socket_action(l->multi, fd, mask, &running);
}

/* curl's CURLMOPT_TIMERFUNCTION. */
static int on_timer(CURLM *multi, long timeout_ms, void *data)
{
	struct net_loop *l = data;

	l->curl_at_ns = timeout_ms < 0 ? UINT64_MAX
			: timeout_ms == 0
				? 0
				: clock_monotonic(l->net->config.clock) + timeout_ms * NS_PER_MS;
	return 0;
}

/* ---- requests ---- */

/* The last that is done with a request here; it may be freed or started again inside. */
static void request_done(struct net_loop *l, struct net_request *r)
{
	close_message(l, &r->message);
	atomic_fetch_sub_explicit(&l->load, 1, memory_order_relaxed);
	r->handler->done(r);
}

/* For a request that never ran. */
static void request_fail(struct net_loop *l, struct net_request *r, int error, const char *text)
{
	r->error = error;
	snprintf(r->error_text, sizeof(r->error_text), "%s", text);
	request_done(l, r);
}

static void transfer_end(struct net_loop *l, struct transfer *t, CURLcode code)
{
	struct net_request *r = t->request;

	curl_multi_remove_handle(l->multi, t->easy);
	transfer_finish(t, code);
	list_remove(&t->link);
	list_prepend(&l->idle, &t->link); /* the one used last has the warmest buffers */
	l->running_count--;
	request_done(l, r);
}

static void request_cancel(struct net_loop *l, struct net_request *r)
{
	if (r->transfer) {
		r->transfer->error = -ECANCELED;
		r->transfer->text[0] = 0;
		transfer_end(l, r->transfer, CURLE_ABORTED_BY_CALLBACK);
	} else {
		list_remove(&r->link);
		request_fail(l, r, -ECANCELED, "cancelled");
	}
}

static struct net_request *next_waiting(struct net_loop *l)
{
	for (int lane = DEMAND; lane <= SPECULATION; lane++)
		if (!list_empty(&l->waiting[lane]))
			return list_first(&l->waiting[lane], struct net_request, link);
	return NULL;
}

static bool can_start(struct net_loop *l)
{
	return l->running_count < l->slots && next_waiting(l);
}

static void request_run(struct net_loop *l, struct net_request *r)
{
	struct transfer *t = list_empty(&l->idle) ? transfer_create(l)
						  : list_first(&l->idle, struct transfer, link);
	int error = t ? transfer_prepare(t, r) : -ENOMEM;
	uint64_t stall_ns = l->net->config.stall_timeout_ms * NS_PER_MS;

	list_remove(&r->link);
	if (t)
		list_remove(&t->link);
	if (t)
		list_append(error ? &l->idle : &l->running, &t->link);
	if (error) {
		request_fail(l, r, error, "no memory for the transfer");
		return;
	}
	l->running_count++;
	l->overdue_at_ns = MIN(l->overdue_at_ns, transfer_due(t, stall_ns));
	if (curl_multi_add_handle(l->multi, t->easy) != CURLM_OK)
		transfer_end(l, t, CURLE_OUT_OF_MEMORY);
}

static void request_message(struct net_loop *l, struct net_request *r, unsigned wants)
{
	if (wants & WANT_START) {
		list_append(&l->waiting[r->speculative ? SPECULATION : DEMAND], &r->link);
		if (r->deadline_ns)
			l->overdue_at_ns = MIN(l->overdue_at_ns, r->deadline_ns);
	}
	if ((wants & WANT_PROMOTE) && r->speculative) {
		r->speculative = false;
		if (!r->transfer) {
			list_remove(&r->link);
			list_append(&l->waiting[DEMAND], &r->link);
		}
	}
	if (wants & WANT_CANCEL)
		request_cancel(l, r);
}

/* Tells the owners of what curl has finished. */
static void collect(struct net_loop *l)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(l->multi, &left))) {
		struct transfer *t;
		CURLcode code = m->data.result; /* m is gone with the handle */

		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		transfer_end(l, t, code);
	}
}

/* Takes out of a queue what shall not start any more; *next is lowered to when to look again. */
static void take_late(struct net_loop *l, struct list *waiting, struct list *late, uint64_t *next)
{
	struct net_request *r;

	list_for_each_safe(r, waiting, link) {
		if (!r->deadline_ns)
			continue;
		if (r->deadline_ns <= l->now_ns) {
			list_remove(&r->link);
			list_append(late, &r->link);
		} else {
			*next = MIN(*next, r->deadline_ns);
		}
	}
}

static void end_overdue(struct net_loop *l)
{
	uint64_t stall_ns = l->net->config.stall_timeout_ms * NS_PER_MS, next = UINT64_MAX;
	struct list overdue = LIST_INIT(overdue), late = LIST_INIT(late);
	struct transfer *t;

	take_late(l, &l->waiting[DEMAND], &late, &next);
	take_late(l, &l->waiting[SPECULATION], &late, &next);
	list_for_each_safe(t, &l->running, link) {
		if (transfer_overdue(t, l->now_ns, stall_ns)) {
			list_remove(&t->link);
			list_append(&overdue, &t->link);
		} else {
			next = MIN(next, transfer_due(t, stall_ns));
		}
	}
	l->overdue_at_ns = next;
	while (!list_empty(&overdue))
		transfer_end(l, list_first(&overdue, struct transfer, link),
			     CURLE_OPERATION_TIMEDOUT);
	while (!list_empty(&late)) {
		struct net_request *r = list_first(&late, struct net_request, link);

		list_remove(&r->link);
		request_fail(l, r, -ETIMEDOUT, "all connections were busy all the time");
	}
}

/* ---- timers ---- */

static void timer_message(struct net_loop *l, struct net_timer *t, unsigned wants)
{
	if (wants & WANT_HURRY) {
		if (!(wants & WANT_SET))
			timer_heap_remove(&l->timers, t);
		t->at_ns = 0;
		wants |= WANT_SET;
	}
	if (wants & WANT_SET)
		timer_heap_add(&l->timers, t);
}

static void fire_timers(struct net_loop *l)
{
	struct net_timer *t;

	while ((t = timer_heap_first(&l->timers)) && t->at_ns <= l->now_ns) {
		timer_heap_remove(&l->timers, t);
		close_message(l, &t->message);
		t->fire(t);
	}
}

/* ---- the thread ---- */

static void read_inbox(struct net_loop *l)
{
	struct list batch =
		LIST_INIT(batch); /* what comes while we read waits for the next round */

	{
		scoped_lock(&l->lock);
		list_splice(&batch, &l->inbox);
	}
	while (!list_empty(&batch)) {
		struct net_message *m = list_first(&batch, struct net_message, link);
		unsigned wants = take_message(l, m);

		if (m->is_timer)
			timer_message(l, container_of(m, struct net_timer, message), wants);
		else
			request_message(l, container_of(m, struct net_request, message), wants);
	}
}

/* Until when epoll may sleep, in its milliseconds; -1: until something happens. */
static int sleep_ms(struct net_loop *l)
{
	struct net_timer *t = timer_heap_first(&l->timers);
	uint64_t until = MIN(l->curl_at_ns, l->overdue_at_ns), now;

	if (can_start(l))
		return 0;
	if (t)
		until = MIN(until, t->at_ns);
	if (until == UINT64_MAX)
		return -1;
	now = clock_monotonic(l->net->config.clock);
	if (until <= now)
		return 0;
	return (int)MIN((until - now + NS_PER_MS - 1) / NS_PER_MS, 60000);
}

/* Sleeps, then lets curl have what its sockets got. False when the loop shall end. */
static bool wait_for_events(struct net_loop *l)
{
	struct epoll_event events[64];
	int n, timeout = sleep_ms(l);

	{
		scoped_lock(&l->lock);
		if (l->stopping)
			return false;
		if (!list_empty(&l->inbox))
			timeout = 0;
		l->asleep = timeout != 0;
	}
	n = epoll_wait(l->epoll_fd, events, ARRAY_SIZE(events), timeout);
	{
		scoped_lock(&l->lock);
		l->asleep = false;
	}
	l->now_ns = clock_monotonic(l->net->config.clock);
	for (int i = 0; i < n; i++)
		if (events[i].data.fd != l->wake_fd)
			socket_event(l, events[i].data.fd, events[i].events);
	return true;
}

static void *loop_main(void *data)
{
	struct net_loop *l = data;
	int running;

	while (wait_for_events(l)) {
		fire_timers(l);
		read_inbox(l);
		while (can_start(l))
			request_run(l, next_waiting(l));
		if (l->curl_at_ns <= l->now_ns) {
			l->curl_at_ns = UINT64_MAX;
			curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
		}
		collect(l);
		if (l->overdue_at_ns <= l->now_ns)
			end_overdue(l);
	}
	return NULL;
}

static void loop_release(struct net_loop *l)
{
	struct transfer *t;

	list_for_each_safe(t, &l->idle, link)
		transfer_destroy(t);
	if (l->multi)
		curl_multi_cleanup(l->multi);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	timer_heap_release(&l->timers);
	sockets_release(&l->sockets);
	pthread_mutex_destroy(&l->lock);
}

int loop_start(struct net_loop *l, struct net *net, unsigned index, unsigned slots)
{
	struct epoll_event wake = {.events = EPOLLIN | EPOLLET};
	char name[16];
	int error = 0;

	*l = (struct net_loop){.net = net, .slots = slots};
	l->curl_at_ns = l->overdue_at_ns = UINT64_MAX;
	pthread_mutex_init(&l->lock, NULL);
	list_init(&l->inbox);
	list_init(&l->waiting[DEMAND]);
	list_init(&l->waiting[SPECULATION]);
	list_init(&l->running);
	list_init(&l->idle);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->sockets.epoll_fd = l->epoll_fd;
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->multi = curl_multi_init();
	wake.data.fd = l->wake_fd;
	if (l->epoll_fd < 0 || l->wake_fd < 0 ||
	    epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &wake) < 0)
		error = -errno;
	else if (!l->multi)
		error = -ENOMEM;
	if (error)
		goto out;
	curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
	curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
	curl_multi_setopt(l->multi, CURLMOPT_MAXCONNECTS, (long)slots);
	snprintf(name, sizeof(name), "net %u", index);
	error = thread_start(&l->thread, name, loop_main, l);
out:
	if (error)
		loop_release(l);
	return error;
}

void loop_stop(struct net_loop *l)
{
	{
		scoped_lock(&l->lock);
		l->stopping = true;
	}
	eventfd_write(l->wake_fd, 1);
	pthread_join(l->thread, NULL);
	loop_release(l);
}
