/* net.h - HTTP requests, many at once, over libcurl.
 *
 * Each loop is a thread that owns one CURLM, an inbox and its timers; only that thread
 * touches curl. A request is intrusive: its owner embeds it and keeps it valid until `done`
 * has run. Nothing here retries or interprets; that is the store's business, with the pure
 * functions of retry.h and endpoint.h. */
#ifndef PAILFS_NET_H
#define PAILFS_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/list.h"
#include "pailfs/base/stats.h"

struct net;

/* What a running request holds for itself, and one with a body twice; for the memory budget.
 * From 128 KiB on the size makes no difference to the throughput over loopback. */
#define NET_BUFFER_SIZE (256u << 10)

struct net_config {
	unsigned loops;              /* threads, 1 to 16; 0: by the number of processors, 1 to 4 */
	unsigned connections;        /* at most at once, all loops together */
	unsigned connect_timeout_ms; /* until a connection (with TLS) stands */
	unsigned stall_timeout_ms;   /* without a byte arriving or leaving; 0: for ever */
	bool http2;                  /* prior knowledge on http://, ALPN on https:// */
	const char *ca_file;         /* NULL: AWS_CA_BUNDLE, then the system's; copied */
	struct stats *stats;         /* NULL: not counted */
	const struct clock *clock;
};

/* Starts the loops. Returns 0, -EINVAL for an unreadable ca_file, or -errno. */
int net_create(const struct net_config *config, struct net **out);
/* Ends the threads. Every request must be done and every timer fired or cancelled. */
void net_destroy(struct net *net);

enum net_method { NET_GET, NET_HEAD, NET_PUT, NET_POST, NET_DELETE, NET_PROPFIND };

struct net_request;
struct net_loop;
struct transfer;

/* What other threads want of a request or a timer, on its way to the loop that has it. */
struct net_message {
	struct list link; /* in the loop's inbox; the loop's lock */
	unsigned wants;   /* the loop's lock */
	bool is_timer;    /* constant while posted */
};

/* All run on the request's loop thread. None may block. */
struct net_handler {
	/* A header of the final answer; informational (1xx) answers are not shown. name is
	 * NUL-terminated in lower case, value is trimmed and NUL-terminated; both are borrowed.
	 * net_request.status is set already. NULL: not wanted. */
	void (*header)(struct net_request *r, const char *name, const char *value,
		       size_t value_length);
	/* Body bytes, borrowed. 0 to go on, -errno to end the request with that error (the
	 * connection is then closed). */
	int (*body)(struct net_request *r, const void *data, size_t n);
	/* Exactly once; never inside net_start, but perhaps, as it is another thread, before that
	 * has returned. The request may be freed or started again from here. */
	void (*done)(struct net_request *r);
};

struct net_request {
	/* Set by the owner before net_start; strings and headers stay valid until done. */
	const struct net_handler *handler;
	enum net_method method;
	const char *url;            /* absolute, encoded; redirects are not followed */
	const char *const *headers; /* "Name: value" lines */
	size_t header_count;
	const struct iovec *send;   /* the body of a PUT or POST; sent with Content-Length */
	int send_count;
	bool speculative;           /* yields to those that are not when connections are short;
				     * the loop's from net_start on */
	uint64_t deadline_ns;       /* monotonic: when it is ended, with -ETIMEDOUT, be it in the
				     * queue or under way; 0: never. Its handler may move it */

	/* Set by the loop before done. */
	int error;            /* 0, or -errno: -ECONNREFUSED (also by way of a proxy),
			       * -ECONNRESET, -EHOSTUNREACH (name not resolved), -ETIMEDOUT
			       * (no connection, a stall, or the deadline), -EACCES (the proxy
			       * does not let us), -ECONNABORTED (no end of the TLS handshake),
			       * -EPROTO (certificate, malformed HTTP),
			       * -ECANCELED, -EINVAL (no http or https URL), what the
			       * system says when there is no socket (-EMFILE …; the server
			       * was not asked), or what body() returned */
	char error_text[160]; /* curl's words for it; "" without an error */
	int status;           /* HTTP status; 0 when no answer came */
	/* Monotonic; 0: not reached. A request starts when it leaves the queue. */
	uint64_t started_ns, first_byte_ns, finished_ns;
	uint64_t received, sent; /* payload bytes */
	unsigned resent;         /* how often it went out again (net_start) */
	char remote[64];         /* address:port that answered */
	unsigned thread;         /* the loop's number, from 0 */

	/* Private to net. */
	struct net_message message;
	struct net_loop *loop;     /* constant from net_start on */
	struct list link;          /* in the loop's queue; its thread */
	struct transfer *transfer; /* while it runs; the loop's thread */
};

/* Queues the request on the least busy loop; any thread. `done` always follows. What was sent
 * over a kept connection that then ended without one byte of answer goes out again by itself,
 * over a fresh connection: a write may so arrive twice, as with every retry. (libcurl does not
 * do that when it notices while a body is going out: then it is -ECONNRESET.) More than
 * `connections` wait in two queues, speculative ones last. Requests without speculation that
 * come when all connections are taken by speculative ones wait for the first to end. */
void net_start(struct net *net, struct net_request *r);
/* Asks for an early end; any thread; between net_start and the return of done, after which the
 * request may be gone. `done` follows, with -ECANCELED unless the request was finished
 * already. */
void net_cancel(struct net *net, struct net_request *r);
/* Turns a waiting or running speculative request into one that is not; any thread. */
void net_promote(struct net *net, struct net_request *r);

/* A timer of the loops; fires once, on a loop thread. */
struct net_timer {
	void (*fire)(struct net_timer *t); /* t may be freed or set again from here */
	/* Private to net. */
	struct net_message message;
	struct net_loop *loop;
	uint64_t at_ns;
	size_t heap_index;
};

/* Fires after delay_ns; any thread; the timer must not be set already. */
void net_timer_set(struct net *net, struct net_timer *t, uint64_t delay_ns);
/* Makes it fire now, from the loop's thread, if it has not fired yet; any thread. The caller
 * waits for `fire` as ever, so that there is one way only for a timer to end. */
void net_timer_hurry(struct net *net, struct net_timer *t);

#endif
