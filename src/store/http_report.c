/* http_report.c - what is told about operations: statistics, the operation log, sentences.
 *
 * Nothing here shows a URL beyond its origin and the source as configured, because a query
 * string may be a presigned URL's secret. */
#include "src/store/http_store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "pailfs/base/crypto.h"
#include "pailfs/base/lock.h"
#include "pailfs/base/log.h"
#include "pailfs/base/xalloc.h"
#include "src/store/url.h"

/* The same failure of the same object is not logged again for so long. */
#define SAY_AGAIN_NS (10 * NS_PER_SECOND)

static const char *method_name(const struct http_op *h)
{
	switch (h->call.op) {
	case DIALECT_LIST:
		return "LIST";
	case DIALECT_HEAD:
		return "HEAD";
	case DIALECT_GET:
		break;
	}
	return "GET";
}

static const char *object_name(const struct http_op *h)
{
	return h->call.op == DIALECT_LIST ? h->call.prefix : h->call.key;
}

/* Where the request went: scheme://host:port. */
static void add_origin(struct buf *out, const struct http_op *h)
{
	struct url u;

	if (!url_split(h->request.url.data, &u))
		url_add_origin(out, &u);
	else
		buf_adds(out, h->hs->source.display);
}

static void add_what(struct buf *out, const struct http_op *h)
{
	const char *name = object_name(h);

	buf_adds(out, h->hs->source.display);
	/* A single file's name is in the source. */
	if (h->hs->store.capabilities & STORE_LIST && *name) {
		buf_addf(out, ": %s of ", method_name(h));
		buf_add_quoted(out, name, strlen(name), 80);
	} else {
		buf_addf(out, ": %s", method_name(h));
	}
}

/* ---- an attempt ---- */

static enum stat_id first_stat(const struct http_op *h)
{
	switch (h->call.op) {
	case DIALECT_LIST:
		return STAT_REQ_LIST_OK;
	case DIALECT_HEAD:
		return STAT_REQ_HEAD_OK;
	case DIALECT_GET:
		break;
	}
	return STAT_REQ_GET_OK;
}

/* A few words on why an attempt did not succeed. */
static void add_short_reason(struct buf *out, const struct http_op *h)
{
	if (h->why[0])
		buf_adds(out, h->why);
	else if (h->judged && h->answer.code[0])
		buf_addf(out, "%d %s", h->answer.status, h->answer.code);
	else if (h->judged)
		buf_addf(out, "status %d", h->answer.status);
	else if (h->net.error_text[0])
		buf_add_quoted(out, h->net.error_text, strlen(h->net.error_text), 120);
	else
		buf_adds(out, strerror(-h->net.error));
}

static void add_to_oplog(const struct http_op *h, const char *error)
{
	const struct clock *clock = h->hs->store.clock;
	/* The loops measure by the monotonic clock; the log is in the time of day. */
	int64_t shift = clock_realtime(clock) - (int64_t)clock_monotonic(clock);
	const struct net_request *r = &h->net;
	struct oplog_entry e = {
		.op = h->call.op == DIALECT_HEAD   ? "STAT"
		      : h->call.op == DIALECT_LIST ? "LIST"
		                                   : "GET_RANGE",
		.thread = r->thread,
		.objects = h->call.op == DIALECT_LIST ? h->page.count : 1,
		.bytes = r->received,
		.file = object_name(h),
		.error = error,
	};
	struct buf origin = BUF_INIT;

	add_origin(&origin, h);
	e.endpoint = origin.data;
	e.start_ns = (int64_t)r->started_ns + shift;
	e.first_byte_ns = r->first_byte_ns ? (int64_t)r->first_byte_ns + shift : 0;
	e.end_ns = (int64_t)r->finished_ns + shift;
	oplog_add(h->hs->oplog, &e);
	buf_release(&origin);
}

static void count(struct http_op *h, enum stat_id outcome)
{
	struct stats *stats = h->hs->store.stats;

	if (h->counted)
		return;
	h->counted = true;
	stats_inc(stats, outcome);
	stats_add(stats, STAT_RECEIVED_BYTES, (int64_t)h->net.received);
	stats_add(stats, STAT_SENT_BYTES, (int64_t)h->net.sent);
}

void http_report_arrived(struct http_op *h)
{
	count(h, first_stat(h));
}

void http_report_attempt(struct http_op *h, bool retried, bool failed)
{
	struct stats *stats = h->hs->store.stats;
	const struct net_request *r = &h->net;
	struct buf reason = BUF_INIT;

	/* What ended in the queue was never sent. */
	if (!r->started_ns)
		return;
	count(h, first_stat(h) + (retried ? 2 : failed ? 1 : 0));
	/* Two requests reached the server, or its door: the first counts, too. */
	stats_add(stats, first_stat(h) + 2, r->resent);
	if (r->first_byte_ns)
		stats_observe(stats, HISTOGRAM_FIRST_BYTE, r->first_byte_ns - r->started_ns);
	stats_observe(stats, HISTOGRAM_REQUEST, r->finished_ns - r->started_ns);
	if (retried || failed)
		add_short_reason(&reason, h);
	if (h->hs->oplog)
		add_to_oplog(h, reason.data);
	if (retried && log_enabled(LOG_LEVEL_INFO, LOG_STORE)) {
		struct buf what = BUF_INIT;

		add_what(&what, h);
		log_info(LOG_STORE, "%s: %s; trying again (attempt %u)%s%s", what.data, reason.data,
		         h->attempts, h->answer.request_id[0] ? ", request ID " : "",
		         h->answer.request_id);
		buf_release(&what);
	}
	buf_release(&reason);
}

/* ---- a failure ---- */

static const char *network_advice(int error, const char *text)
{
	switch (error) {
	case -ECONNREFUSED:
		return "check that the server runs and its port is right";
	case -EHOSTUNREACH:
		return "check the host name and the network";
	case -ETIMEDOUT:
		return "check the network, or raise connect_timeout=, stall_timeout= and retry_timeout=";
	case -EACCES:
		return "the proxy refuses: check the user and password in https_proxy, and no_proxy";
	case -EMFILE:
	case -ENFILE:
		return "raise the limit on open files, or mount with fewer connections=";
	case -ECONNABORTED:
		if (strcasestr(text, "wrong version number"))
			return "the server does not speak TLS there: check whether it is http://";
		return "the server broke off the TLS handshake: see its log";
	case -EPROTO:
		if (strcasestr(text, "certificate") || strcasestr(text, "ssl"))
			return "check the server's certificate and ca_file=";
		return "check that the endpoint speaks HTTP there";
	}
	return "check the network and the server";
}

/* A proxy speaks for itself: no dialect knows what to say of it. */
static bool is_of_proxy(const struct http_op *h)
{
	return h->answer.status == 407;
}

static const char *status_advice(const struct http_op *h)
{
	if (is_of_proxy(h))
		return "the proxy refuses: check the user and password in http_proxy, and no_proxy";
	switch (h->verdict) {
	case DIALECT_NOT_FOUND:
	case DIALECT_NO_BUCKET:
		return h->call.op == DIALECT_LIST || h->hs->store.capabilities & STORE_LIST ?
		               "there is nothing under this name" :
		               "there is nothing under this name; a folder's URL ends in '/'";
	case DIALECT_DENIED:
		if (h->call.op == DIALECT_LIST)
			return "the server does not show an index of this folder";
		return "the server does not let us";
	case DIALECT_EXPIRED:
		return "the server does not let us";
	case DIALECT_CHANGED:
	case DIALECT_OUT_OF_RANGE:
		return "the file was changed on the server";
	case DIALECT_UNSUPPORTED:
		return "the server does not do this";
	default:
		return "see the server's log";
	}
}

static void add_sentence(struct buf *out, const struct http_op *h, int error)
{
	struct dialect_session session = http_auth_session(h);

	if (h->judged && !h->why[0] && h->hs->dialect->explain && !is_of_proxy(h)) {
		h->hs->dialect->explain(h->hs->source.config, &h->call, &session, &h->answer, h->verdict,
		                        out);
		return;
	}
	add_what(out, h);
	if (h->checked && h->check == ANSWER_IGNORED_RANGE) {
		buf_adds(out, ": the server sends the whole file where a part was asked for, so it cannot "
		              "be read in parts; use a server that supports Range requests");
	} else if (h->why[0]) {
		buf_addf(out, ": %s", h->why);
	} else if (h->judged) {
		buf_addf(out, ": status %d; %s", h->answer.status, status_advice(h));
	} else if (h->net.error) {
		buf_addf(out, ": ");
		add_origin(out, h);
		buf_adds(out, ": ");
		buf_add_quoted(out, h->net.error_text, strlen(h->net.error_text), 120);
		buf_addf(out, "; %s", network_advice(h->net.error, h->net.error_text));
	} else {
		buf_addf(out, ": %s", strerror(-error));
	}
}

/* Whether this failure has not been logged just now. */
static bool is_news(struct http_store *hs, const struct http_op *h, int error)
{
	const char *name = object_name(h);
	uint64_t hash = crypto_hash64(name, strlen(name)) ^ (uint64_t)(-error * 131 + (int)h->call.op + 1);
	size_t oldest = 0;
	uint64_t now;

	scoped_lock(&hs->lock);
	/* Under the lock: not before what another thread has just noted. */
	now = clock_monotonic(hs->store.clock);
	for (size_t i = 0; i < ARRAY_SIZE(hs->said); i++) {
		if (hs->said[i].hash == hash && now - hs->said[i].at_ns < SAY_AGAIN_NS)
			return false;
		if (hs->said[i].at_ns < hs->said[oldest].at_ns)
			oldest = i;
	}
	hs->said[oldest].hash = hash;
	hs->said[oldest].at_ns = now;
	return true;
}

void http_report_sentence(const struct http_op *h, int error, struct buf *out)
{
	add_sentence(out, h, error);
	if (h->answer.request_id[0]) {
		buf_adds(out, " (request ID ");
		buf_add_quoted(out, h->answer.request_id, strlen(h->answer.request_id), 96);
		buf_addc(out, ')');
	}
}

void http_report_failure(struct http_op *h, int error)
{
	struct buf s = BUF_INIT;

	if (error == -ECANCELED)
		return;
	if (h->cut_short)
		buf_add(&s, h->before.data, h->before.length);
	else
		http_report_sentence(h, error, &s);
	if (h->attempts > 1)
		buf_addf(&s, " (attempt %u)", h->attempts);
	snprintf(h->op->error, sizeof(h->op->error), "%s", s.data);
	/* Absent names are no trouble, another version is the reader's to judge, and a mount
	 * that fails says so itself. */
	if (error == -ENOENT || h->probing)
		log_debug(LOG_STORE, "%s", s.data);
	else if (error == -ESTALE)
		log_info(LOG_STORE, "%s", s.data);
	else if (is_news(h->hs, h, error))
		log_warn(LOG_STORE, "%s", s.data);
	buf_release(&s);
}
