/* loop.h - one thread, one CURLM: what the files of this room share. */
#ifndef PAILFS_NET_LOOP_H
#define PAILFS_NET_LOOP_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include "pailfs/net.h"
#include "src/net/sockets.h"
#include "src/net/timer.h"

#define NET_LOOPS_MAX 16u

struct net_loop {
	/* Constant while the thread runs. */
	struct net *net;
	pthread_t thread;
	int epoll_fd;
	int wake_fd;    /* an eventfd, watched edge-triggered and never read */
	unsigned slots; /* transfers at once */

	atomic_uint load; /* requests started and not done */

	/* The lock's. */
	pthread_mutex_t lock;
	struct list inbox; /* struct net_message */
	bool asleep;       /* in epoll_wait: a new message must wake it */
	bool stopping;

	/* The thread's. */
	CURLM *multi;
	uint64_t now_ns;           /* read once a round */
	uint64_t curl_at_ns;       /* when curl wants to be called; UINT64_MAX: not */
	uint64_t overdue_at_ns;    /* when to look for what must end; UINT64_MAX: never */
	struct list waiting[2];    /* requests in the queue: demand, speculation */
	struct list running, idle; /* struct transfer */
	unsigned running_count;
	struct timer_heap timers;
	struct sockets sockets;
};

struct net {
	struct net_config config; /* its strings are copies */
	unsigned loop_count;
	struct net_loop loops[];
};

/* What is posted to a loop; bits of net_message.wants. */
enum {
	WANT_START = 1 << 0,
	WANT_CANCEL = 1 << 1,
	WANT_PROMOTE = 1 << 2,
	WANT_SET = 1 << 3,
	WANT_HURRY = 1 << 4,
	WANT_NOTHING = 1 << 5, /* it has ended: more is not heard until it is started again */
};

/* Makes the loop and starts its thread. Returns 0 or -errno, with nothing left behind. */
int loop_start(struct net_loop *l, struct net *net, unsigned index, unsigned slots);
/* Ends the thread and frees what the loop has. */
void loop_stop(struct net_loop *l);
/* From any thread. */
void loop_post(struct net_loop *l, struct net_message *m, unsigned wants);

#endif
