/* http_store.h - what the files of the http store share; private to it.
 *
 * http_store.c  life, configuration, the store's operations
 * http_op.c     one operation: attempts, retries, cancelling
 * http_judge.c  what is next after an attempt
 * http_moved.c  where a single file was found behind redirects
 * http_auth.c   the credentials and the region that all operations share
 * http_report.c sentences, statistics and log lines about what happened */
#ifndef PAILFS_STORE_HTTP_STORE_H
#define PAILFS_STORE_HTTP_STORE_H

#include <pthread.h>
#include "pailfs/base/dispatch.h"
#include "pailfs/endpoint.h"
#include "pailfs/net.h"
#include "pailfs/oplog.h"
#include "pailfs/retry.h"
#include "src/store/dialect.h"
#include "src/store/http_answer.h"
#include "src/store/list_page.h"
#include "src/store/store_impl.h"

/* An operation's time begins anew whenever so many bytes have come: what flows slowly is not
 * what has failed. */
#define HTTP_PROGRESS_STEP (64u << 10)

struct http_store {
	struct store store; /* first: a struct store * is ours */

	/* Constant after http_store_create. */
	const struct dialect *dialect;
	struct dialect_source source;
	struct net *net;
	struct oplog *oplog;
	uint64_t retry_timeout_ns;
	char *user_agent;             /* the header line */
	struct dispatch *dispatch;    /* reads credentials; NULL: the dialect has none */

	pthread_mutex_t lock;
	/* The lock's. */
	struct dialect_credentials *credentials; /* NULL: anonymous */
	char *region;
	struct endpoint_set endpoints;
	struct buf moved;             /* where redirects led; empty: nowhere */
	uint64_t moved_until_ns;      /* monotonic: for how long that is believed */
	struct list auth_waiters;     /* struct http_op, waiting for the credentials */
	bool auth_reading;            /* auth_task is posted or runs */
	bool auth_must;               /* it shall read, whether anything has changed or not */
	uint64_t auth_stamp;          /* of what was read last; 0: nothing there can change */
	uint64_t auth_look_ns;        /* monotonic: not looked for fresh ones before, unless refused */
	struct dispatch_task auth_task;
	struct {
		uint64_t hash;        /* of what was said; 0: nothing */
		uint64_t at_ns;
	} said[16];                   /* the latest log lines, so that an outage is not one per request */
};

enum http_op_kind {
	HTTP_OP_LOOKUP,
	HTTP_OP_LIST,
	HTTP_OP_GET,
	HTTP_OP_PROBE_FILE, /* a GET of one byte that answers as a listing does */
};

/* Where an operation is. Exactly one thread works on it in DECIDING; in the others it belongs
 * to whoever wakes it.
 *
 *	DECIDING    a callback of ours or the start runs it
 *	ON_NET      between net_start and its done
 *	ON_TIMER    until the timer has fired; in auth_waiters or not */
enum http_op_state { HTTP_OP_DECIDING, HTTP_OP_ON_NET, HTTP_OP_ON_TIMER };

struct http_op {
	struct http_store *hs;
	struct store_op *op;
	enum http_op_kind kind;
	struct list link;             /* auth_waiters */

	pthread_mutex_t lock;         /* a leaf but for the loops' own: net is called with it held,
	                               * so that a cancel meets a request that is started */
	/* The lock's. */
	enum http_op_state state;
	bool cancelled, speculative;

	/* Of the thread that runs the operation. */
	struct dialect_call call;
	struct store_attr version;    /* GET: which one must answer */
	struct dialect_request request;
	struct dialect_answer answer;
	struct dialect_credentials *credentials; /* what this attempt was signed with */
	char *region;                 /* likewise */
	struct net_request net;
	const char *headers[DIALECT_MAX_HEADERS + 2];
	struct iovec send;
	struct net_timer timer;
	struct buf body;              /* of a listing, or of an error */
	struct list_page page;
	struct buf redirect;          /* the URL to ask instead; empty: the endpoint */
	size_t endpoint;              /* that this attempt took */
	bool elsewhere;               /* but a redirect led it away from there */
	bool shortcut;                /* `redirect` is remembered, not given to us */
	bool straight;                /* what is remembered was no good: ask the source */
	uint64_t deadline_ns;         /* monotonic: nothing is tried any more after it */
	uint64_t extended_at;         /* value of filled when the deadline was last moved */
	size_t told;                  /* value of filled that is final: progress() may know it */
	size_t began;                 /* value of filled when this attempt began */
	unsigned attempts;            /* requests made, those that a redirect answered included */
	unsigned failures;            /* attempts in trouble that may pass */
	unsigned few;                 /* of them those in trouble that hardly does */
	unsigned redirects, regions, again;
	bool auth_again;              /* credentials were read anew for this operation */
	struct buf before;            /* the sentence on the attempt before this one; "" none */
	int before_result;            /* and its error */
	bool cut_short;               /* this one's time was over before it could tell as much */
	bool probing;                 /* a mount's first question */
	/* Of this attempt's answer. */
	bool checked;
	enum answer_check check;
	size_t end;                   /* GET, once checked as good: value of filled at the body's end */
	bool too_big;
	bool counted;                 /* in the statistics, as a success */
	const char *why;              /* a few words on what is wrong with it; "" */
	enum dialect_verdict verdict; /* valid when judged */
	bool judged;
	enum retry_class retry;       /* valid for what may be tried again */
};

/* ---- http_op.c ---- */

/* Makes an operation; the caller fills its call, then starts it, as store.h says of a start. */
struct http_op *http_op_create(struct http_store *hs, struct store_op *op, enum http_op_kind kind);
int http_op_start(struct http_op *h);
/* Waits for the timer, which a cancel hurries; `fire` takes h back by http_op_resume. */
void http_op_sleep(struct http_op *h, void (*fire)(struct net_timer *t), uint64_t delay_ns);
/* Goes on, or ends with what is not 0, or with a cancel that came meanwhile. */
void http_op_resume(struct http_op *h, int result);
void http_op_cancel(struct http_op *h);
void http_op_promote(struct http_op *h);

static inline bool http_op_is_data(const struct http_op *h)
{
	return h->kind == HTTP_OP_GET || h->kind == HTTP_OP_PROBE_FILE;
}

static inline bool http_is_success(int status)
{
	return status >= 200 && status < 300;
}

/* ---- http_judge.c ---- */

enum http_next { HTTP_DONE, HTTP_AT_ONCE, HTTP_RENEW, HTTP_LATER, HTTP_FAIL };

/* Checks the headers of an answer with data before its body is believed; sets check, why. */
void http_check_answer(struct http_op *h);
/* Judges an attempt that has ended. *result is what the operation ends with if it is not tried
 * again; h->retry says how hopeful HTTP_LATER is. */
enum http_next http_judge(struct http_op *h, bool cancelled, int *result);

/* ---- http_moved.c ---- */

/* Before an attempt: goes where others were led, if that is known. */
void http_moved_take(struct http_op *h);
/* An attempt was a success: remembers where it had been led. */
void http_moved_learn(struct http_op *h);
/* An attempt was none. True when it had gone where others were led: h asks the source next. */
bool http_moved_forget(struct http_op *h);

/* ---- http_auth.c ---- */

/* Reads the first credentials; blocks. Returns 0 or -errno with a sentence. */
int http_auth_open(struct http_store *hs, struct buf *error);
/* False when a reading hangs: all of hs must then stay as it is for it. */
bool http_auth_close(struct http_store *hs);
/* Takes what the next attempt signs with. Returns 1 when h has credentials and region, 0 when
 * it waits for fresh ones, h being on its timer. */
int http_auth_take(struct http_op *h);
/* The service refused h's credentials as expired: as http_auth_take, after they were read
 * again, unless that has happened since h took them. */
int http_auth_renew(struct http_op *h);
void http_auth_learn_region(struct http_store *hs, const char *region);
/* What the dialect is told of who asks, with the time of now. Borrows h's credentials and region. */
struct dialect_session http_auth_session(const struct http_op *h);

/* ---- http_report.c ---- */

/* All bytes of a GET are here: counts it. */
void http_report_arrived(struct http_op *h);
/* An attempt has ended: statistics and the operation log. One that we cancelled is no error. */
void http_report_attempt(struct http_op *h, bool retried, bool failed);
/* Adds the sentence on the attempt that has just failed, with the request's ID. */
void http_report_sentence(const struct http_op *h, int error, struct buf *out);
/* The sentence of a final failure goes to op->error and, once, to the log. */
void http_report_failure(struct http_op *h, int error);

#endif
