/* http_op.c - one operation over HTTP, from its start to its `done`.
 *
 * An operation is a sequence of attempts. An attempt takes credentials, builds and signs a
 * request and gives it to a loop; the loop's callbacks fill the answer; when it has ended,
 * http_judge.c says what is next.
 *
 * A GET goes on behind the bytes that were delivered already, with the version's validator,
 * so what has been told to progress() is final. Bytes are believed only after the answer's
 * headers were checked (http_answer.c), which is why a body is never copied before.
 *
 * Nothing sleeps. At any moment one thread owns the operation (enum http_op_state); a cancel
 * from another one only leaves a mark and wakes whatever the operation waits for. */
#include "src/store/http_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/crypto.h"
#include "pailfs/base/lock.h"
#include "pailfs/base/xalloc.h"
#include "pailfs/retry.h"

#define ERROR_BODY_MAX (64u << 10)
/* A mount that cannot reach its store says so soon. */
#define PROBE_TIMEOUT_NS (15 * NS_PER_SECOND)

static const struct net_handler op_handler;

static struct store_get *get_of(struct http_op *h)
{
	return container_of(h->op, struct store_get, op);
}

static struct store_list *list_of(struct http_op *h)
{
	return container_of(h->op, struct store_list, op);
}

static uint64_t now_of(struct http_op *h)
{
	return clock_monotonic(h->hs->store.clock);
}

/* ---- life ---- */

struct http_op *http_op_create(struct http_store *hs, struct store_op *op, enum http_op_kind kind)
{
	struct http_op *h = xcalloc(1, sizeof(*h));

	h->hs = hs;
	h->op = op;
	h->kind = kind;
	h->speculative = op->speculative;
	h->why = "";
	pthread_mutex_init(&h->lock, NULL);
	list_init(&h->link);
	dialect_request_init(&h->request);
	buf_init(&h->body);
	buf_init(&h->redirect);
	buf_init(&h->before);
	list_page_init(&h->page);
	h->deadline_ns = op->started_ns + hs->retry_timeout_ns;
	op->state = h;
	return h;
}

static void http_op_destroy(struct http_op *h)
{
	dialect_request_release(&h->request);
	dialect_credentials_unref(h->credentials);
	free(h->region);
	buf_release(&h->body);
	buf_release(&h->redirect);
	buf_release(&h->before);
	list_page_release(&h->page);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

/* What was asked for is here; puts it where the caller finds it. */
static void deliver(struct http_op *h)
{
	struct store_attr *attr = &h->answer.attr;

	switch (h->kind) {
	case HTTP_OP_LOOKUP:
		attr->size = h->answer.content_length == DIALECT_UNKNOWN ? 0 : h->answer.content_length;
		container_of(h->op, struct store_lookup, op)->attr = *attr;
		break;
	case HTTP_OP_LIST:
		list_page_finish(&h->page, list_of(h),
		                 h->hs->store.capabilities & STORE_ORDERED_LIST);
		break;
	case HTTP_OP_PROBE_FILE:
		attr->size = h->answer.range_total != DIALECT_UNKNOWN ? h->answer.range_total
		                                                      : h->answer.content_length;
		list_page_add(&h->page, h->call.key, strlen(h->call.key), attr);
		list_page_finish(&h->page, list_of(h), false);
		break;
	case HTTP_OP_GET:
		break;
	}
}

/* The end of a pending operation. A cancel may still come while done() runs, so h lives until
 * it has returned. */
static void finish(struct http_op *h, int result)
{
	if (result)
		http_report_failure(h, result);
	else
		deliver(h);
	h->op->done(h->op, result);
	http_op_destroy(h);
}

/* ---- an attempt ---- */

static void take_endpoint(struct http_op *h)
{
	scoped_lock(&h->hs->lock);
	h->endpoint = endpoint_choose(&h->hs->endpoints, now_of(h));
}

/* An attempt that was cancelled, did not leave the queue, found no descriptor for its socket or was
 * led elsewhere tells nothing of the endpoint that it took. */
static bool asked_endpoint(const struct http_op *h)
{
	int error = h->net.error;

	return error != -ECANCELED && error != -EMFILE && error != -ENFILE && h->net.started_ns &&
	       !h->elsewhere;
}

static void release_endpoint(struct http_op *h, bool failed)
{
	scoped_lock(&h->hs->lock);
	if (!asked_endpoint(h))
		endpoint_cancelled(&h->hs->endpoints, h->endpoint);
	else
		endpoint_ended(&h->hs->endpoints, h->endpoint, failed, now_of(h));
}

static void reset_answer(struct http_op *h)
{
	dialect_answer_init(&h->answer);
	buf_reset(&h->body);
	list_page_release(&h->page);
	h->checked = h->judged = h->too_big = h->counted = false;
	h->why = "";
}

/* Where the request goes: the endpoint, or where a redirect led; and who it may tell who we
 * are. */
static int build(struct http_op *h)
{
	const struct dialect *d = h->hs->dialect;
	const void *config = h->hs->source.config;
	struct dialect_session session = http_auth_session(h);
	struct buf endpoint = BUF_INIT;
	bool trusted = true;
	int r;

	dialect_request_release(&h->request);
	d->endpoint(config, h->endpoint, h->region, &endpoint);
	r = d->build(config, &h->call, endpoint.data, &h->request);
	buf_release(&endpoint);
	if (r)
		return r;
	h->elsewhere = h->redirect.length > 0;
	if (h->elsewhere) {
		trusted = d->trusts && d->trusts(config, h->redirect.data);
		buf_reset(&h->request.url);
		buf_add(&h->request.url, h->redirect.data, h->redirect.length);
	}
	if (d->sign && trusted)
		d->sign(config, &session, &h->request);
	return 0;
}

static void fill_net_request(struct http_op *h)
{
	size_t n = h->request.header_count;

	for (size_t i = 0; i < n; i++)
		h->headers[i] = h->request.headers[i];
	h->headers[n++] = h->hs->user_agent;
	/* Who compresses on the way would change lengths and tags, and listings cannot be read then:
	 * without this header everybody may (RFC 9110, 12.5.3). */
	h->headers[n++] = "Accept-Encoding: identity";
	h->net = (struct net_request){
		.handler = &op_handler,
		.method = h->request.method,
		.url = h->request.url.data,
		.headers = h->headers,
		.header_count = n,
		.deadline_ns = h->deadline_ns,
	};
	if (h->request.body.length) {
		h->send = (struct iovec){h->request.body.data, h->request.body.length};
		h->net.send = &h->send;
		h->net.send_count = 1;
	}
}

/* Hands the request to the loops. Once the lock is let go, h may be gone. */
static int send(struct http_op *h)
{
	fill_net_request(h);
	h->attempts++;
	scoped_lock(&h->lock);
	if (h->cancelled)
		return -ECANCELED;
	h->net.speculative = h->speculative;
	h->state = HTTP_OP_ON_NET;
	net_start(h->hs->net, &h->net);
	return 0;
}

/* A version is asked for by its ETag, so that the answer tells when it is not the one under the
 * key any more; by its ID from then on, or where there is no ETag that can be asked for. */
static void choose_version(struct http_op *h, const struct store_object *o)
{
	bool by_id = store_object_is_superseded(o) || !answer_etag_is_strong(o->attr.etag);

	snprintf(h->version.version, sizeof(h->version.version), "%s",
	         by_id ? store_object_version(o) : "");
}

/* Returns 0 when the operation is under way, so that h is not the caller's any more, or
 * -errno. */
static int attempt(struct http_op *h, bool renew)
{
	int r;

	reset_answer(h);
	if (!(renew ? http_auth_renew(h) : http_auth_take(h)))
		return 0;
	if (h->kind == HTTP_OP_GET) {
		struct store_get *get = get_of(h);

		h->told = h->began = get->filled;
		h->call.offset = get->offset + get->filled;
		h->call.length = get->length - get->filled;
		choose_version(h, get->object);
	}
	http_moved_take(h);
	take_endpoint(h);
	r = build(h);
	if (!r)
		r = send(h);
	if (r) {
		h->net.error = -ECANCELED;
		release_endpoint(h, false);
	}
	return r;
}

/* As attempt(), for an operation whose caller knows it to be pending. */
static void go_on(struct http_op *h, bool renew)
{
	int r = attempt(h, renew);

	if (r)
		finish(h, r);
}

int http_op_start(struct http_op *h)
{
	int r;

	if (h->probing)
		h->deadline_ns = h->op->started_ns + MIN(h->hs->retry_timeout_ns, PROBE_TIMEOUT_NS);
	r = attempt(h, false);
	if (r) {
		http_report_failure(h, r);
		http_op_destroy(h);
	}
	return r;
}

void http_op_sleep(struct http_op *h, void (*fire)(struct net_timer *t), uint64_t delay_ns)
{
	scoped_lock(&h->lock);
	h->state = HTTP_OP_ON_TIMER;
	h->timer.fire = fire;
	net_timer_set(h->hs->net, &h->timer, h->cancelled ? 0 : delay_ns);
}

void http_op_resume(struct http_op *h, int result)
{
	bool cancelled;

	pthread_mutex_lock(&h->lock);
	h->state = HTTP_OP_DECIDING;
	cancelled = h->cancelled;
	pthread_mutex_unlock(&h->lock);
	if (cancelled)
		finish(h, -ECANCELED);
	else if (result)
		finish(h, result);
	else
		go_on(h, false);
}

static void retry_now(struct net_timer *t)
{
	http_op_resume(container_of(t, struct http_op, timer), 0);
}

static void retry_later(struct http_op *h, int result, uint64_t delay_ns)
{
	buf_reset(&h->before);
	http_report_sentence(h, result, &h->before);
	h->before_result = result;
	/* Where a redirect led may be what fails. */
	buf_reset(&h->redirect);
	h->redirects = 0;
	http_op_sleep(h, retry_now, delay_ns);
}

/* ---- from other threads ---- */

void http_op_cancel(struct http_op *h)
{
	scoped_lock(&h->lock);
	if (h->cancelled)
		return;
	h->cancelled = true;
	if (h->state == HTTP_OP_ON_NET)
		net_cancel(h->hs->net, &h->net);
	else if (h->state == HTTP_OP_ON_TIMER)
		net_timer_hurry(h->hs->net, &h->timer);
}

void http_op_promote(struct http_op *h)
{
	scoped_lock(&h->lock);
	if (!h->speculative)
		return;
	h->speculative = false;
	if (h->state == HTTP_OP_ON_NET)
		net_promote(h->hs->net, &h->net);
}

/* ---- the answer, on a loop's thread ---- */

static struct http_op *op_of(struct net_request *r)
{
	return container_of(r, struct http_op, net);
}

static void on_header(struct net_request *r, const char *name, const char *value, size_t n)
{
	struct http_op *h = op_of(r);

	h->answer.status = r->status;
	answer_header(&h->answer, name, value, n);
	if (h->hs->dialect->header)
		h->hs->dialect->header(h->hs->source.config, &h->answer, name, value, n);
}

static int on_text(struct http_op *h, const void *data, size_t n, size_t max)
{
	if (n > max - h->body.length) {
		buf_add(&h->body, data, max - h->body.length);
		h->too_big = true;
		return -EMSGSIZE;
	}
	buf_add(&h->body, data, n);
	return 0;
}

static int on_data(struct http_op *h, const void *data, size_t n)
{
	struct store_get *get;

	bool first = !h->checked;

	if (first)
		http_check_answer(h);
	if (h->check != ANSWER_GOOD)
		return -EBADMSG;
	if (h->kind == HTTP_OP_PROBE_FILE)
		return 0;
	get = get_of(h);
	if (first)
		store_object_learn_version(get->object, h->answer.attr.version);
	if (n > h->end - get->filled) {
		h->why = "more bytes came than there should be";
		return -EBADMSG;
	}
	memcpy((char *)get->buffer + get->filled, data, n);
	get->filled += n;
	if (get->filled - h->extended_at >= HTTP_PROGRESS_STEP) {
		h->extended_at = get->filled;
		h->deadline_ns = now_of(h) + h->hs->retry_timeout_ns;
		h->net.deadline_ns = h->deadline_ns;
	}
	/* Without a Content-Length nothing says yet that there is no more. */
	if (get->filled == h->end && h->answer.content_length == DIALECT_UNKNOWN)
		return 0;
	/* Whoever is answered now may look at the counters before done() has run. */
	if (get->filled == get->length)
		http_report_arrived(h);
	h->told = get->filled;
	if (get->progress)
		get->progress(get, get->filled);
	return 0;
}

static int on_body(struct net_request *r, const void *data, size_t n)
{
	struct http_op *h = op_of(r);

	if (!http_is_success(r->status))
		return on_text(h, data, n, ERROR_BODY_MAX);
	return http_op_is_data(h) ? on_data(h, data, n) : on_text(h, data, n, h->hs->dialect->list_max);
}

/* ---- what is next ---- */

static bool may_retry(struct http_op *h, uint64_t *delay)
{
	uint64_t now = now_of(h);
	struct retry_question q;

	h->failures++;
	h->few += h->retry == RETRY_FEW;
	q = (struct retry_question){
		.class = h->retry,
		.attempts = h->failures,
		.few = h->few,
		.left_ns = h->deadline_ns > now ? h->deadline_ns - now : 0,
		.retry_after_ns = h->answer.retry_after_ns,
	};
	crypto_random(&q.random, sizeof(q.random));
	return retry_decide(&q, delay);
}

/* The last attempt has only what time the others left. When that was over before it could succeed
 * or fail by itself, the one before says more. */
static bool is_cut_short(struct http_op *h)
{
	return h->net.error == -ETIMEDOUT && !h->judged && h->before.length > 0 &&
	       now_of(h) >= h->deadline_ns;
}

static void on_done(struct net_request *r)
{
	struct http_op *h = op_of(r);
	uint64_t delay = 0;
	enum http_next next;
	bool cancelled, trouble;
	int result = 0;

	pthread_mutex_lock(&h->lock);
	h->state = HTTP_OP_DECIDING;
	cancelled = h->cancelled;
	pthread_mutex_unlock(&h->lock);

	next = http_judge(h, cancelled, &result);
	trouble = next == HTTP_LATER;
	/* Of a body without a length all may have come, but not its end. */
	if (next != HTTP_DONE && h->kind == HTTP_OP_GET)
		get_of(h)->filled = h->told;
	if (next == HTTP_DONE)
		http_moved_learn(h);
	else if (!cancelled && next != HTTP_AT_ONCE && http_moved_forget(h))
		next = HTTP_AT_ONCE;
	if (next == HTTP_LATER && !may_retry(h, &delay)) {
		h->op->exhausted = h->retry == RETRY_ALWAYS;
		h->cut_short = is_cut_short(h);
		if (h->cut_short)
			result = h->before_result;
		next = HTTP_FAIL;
	}
	release_endpoint(h, trouble);
	http_report_attempt(h, next != HTTP_DONE && next != HTTP_FAIL,
	                    next == HTTP_FAIL && result != -ECANCELED);
	switch (next) {
	case HTTP_DONE:
		finish(h, 0);
		break;
	case HTTP_FAIL:
		finish(h, result);
		break;
	case HTTP_LATER:
		retry_later(h, result, delay);
		break;
	case HTTP_AT_ONCE:
	case HTTP_RENEW:
		go_on(h, next == HTTP_RENEW);
		break;
	}
}

static const struct net_handler op_handler = {
	.header = on_header,
	.body = on_body,
	.done = on_done,
};
