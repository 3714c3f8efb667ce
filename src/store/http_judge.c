/* http_judge.c - what is next after an attempt.
 *
 *	done        the answer is the one that was asked for
 *	at once     something was learnt (a region, a redirect): ask again
 *	renew       likewise, with fresh credentials
 *	later       the trouble may pass: after a back-off
 *	fail        it will not pass
 *
 * Decisions only: nothing here waits, starts or ends anything. */
#include "src/store/http_store.h"

#include <errno.h>
#include <string.h>
#include "pailfs/base/xalloc.h"
#include "src/store/url.h"

#define REDIRECTS_MAX 5
/* How often a wrong region or a dialect's other way of asking is tried in one operation. */
#define REGIONS_MAX 2
#define AGAIN_MAX 4

static const char no_size[] = "the server does not tell the file's size";

static struct store_get *get_of(struct http_op *h)
{
	return container_of(h->op, struct store_get, op);
}

void http_check_answer(struct http_op *h)
{
	h->answer.status = h->net.status;
	h->check = answer_check_get(&h->call, &h->answer, &h->why);
	h->checked = true;
	if (h->check == ANSWER_GOOD && h->kind == HTTP_OP_GET)
		h->end = h->answer.status == 206 ? h->answer.range_end - get_of(h)->offset
		                                 : get_of(h)->length;
}

static enum http_next fail(int *result, int error)
{
	*result = error;
	return HTTP_FAIL;
}

static enum http_next later(struct http_op *h, int *result, int error)
{
	h->retry = RETRY_ALWAYS;
	*result = error;
	return HTTP_LATER;
}

/* It hardly passes, but may. */
static enum http_next a_few_times(struct http_op *h, int *result, int error)
{
	h->retry = RETRY_FEW;
	*result = error;
	return HTTP_LATER;
}

/* F3: at most five, never from https to http. Whether the new place learns who we are is
 * build()'s business. */
static enum http_next follow(struct http_op *h, int *result)
{
	struct buf target = BUF_INIT;
	struct url from, to;

	*result = -EIO;
	if (!h->answer.location[0]) {
		h->why = "a redirect without a Location, or with one of more than 8 KiB";
		return HTTP_FAIL;
	}
	if (h->redirects++ == REDIRECTS_MAX) {
		h->why = "more than 5 redirects";
		return HTTP_FAIL;
	}
	if (url_resolve(h->request.url.data, h->answer.location, &target) ||
	    url_split(h->request.url.data, &from) || url_split(target.data, &to)) {
		h->why = "a redirect to what is no http URL";
	} else if (from.secure && !to.secure) {
		h->why = "a redirect from https to http, which is refused";
	} else if (to.userinfo.n) {
		h->why = "a redirect with a password in it, which is refused";
	} else {
		buf_release(&h->redirect);
		h->redirect = target;
		return HTTP_AT_ONCE;
	}
	buf_release(&target);
	return HTTP_FAIL;
}

/* The version that is wanted is not under its key any more. Where the bucket keeps it, it is
 * asked for by its ID from now on. */
static enum http_next gone(struct http_op *h, int *result, int error)
{
	struct store_object *o = h->kind == HTTP_OP_GET ? get_of(h)->object : NULL;

	if (!o || h->version.version[0] || !*store_object_version(o))
		return fail(result, error);
	atomic_store(&o->superseded, true);
	h->why = "";
	return HTTP_AT_ONCE;
}

static enum http_next judge_refusal(struct http_op *h, int *result)
{
	const struct dialect *d = h->hs->dialect;

	h->verdict = d->classify(h->hs->source.config, &h->call, &h->answer, h->body.data, h->body.length);
	h->judged = true;
	switch (h->verdict) {
	case DIALECT_RETRY:
		return later(h, result, -EIO);
	case DIALECT_NOT_FOUND:
		return gone(h, result, -ENOENT);
	case DIALECT_NO_BUCKET:
		return fail(result, -ENOENT);
	case DIALECT_EXPIRED:
		if (d->credentials && !h->auth_again)
			return HTTP_RENEW;
		return fail(result, -EACCES);
	case DIALECT_DENIED:
		/* The answer to a HEAD has no body to tell more. */
		h->op->denied = !strcmp(h->answer.code, "AccessDenied") ||
		                (h->call.op == DIALECT_HEAD && h->answer.status == 403);
		return fail(result, -EACCES);
	case DIALECT_CLOCK_SKEW:
		return fail(result, -EACCES);
	case DIALECT_WRONG_REGION:
		if (!h->answer.region[0] || h->regions++ == REGIONS_MAX)
			return fail(result, -EIO);
		http_auth_learn_region(h->hs, h->answer.region);
		buf_reset(&h->redirect);
		return HTTP_AT_ONCE;
	case DIALECT_REDIRECT:
		return follow(h, result);
	case DIALECT_CHANGED:
		return gone(h, result, -ESTALE);
	case DIALECT_OUT_OF_RANGE:
		/* Ranges lie inside the version that is believed in, so there is another one
		 * now. An empty file has no first byte to probe. */
		if (h->kind == HTTP_OP_PROBE_FILE && h->answer.range_total == 0)
			return HTTP_DONE;
		return fail(result, h->kind == HTTP_OP_GET ? -ESTALE : -EIO);
	case DIALECT_AGAIN:
		/* What is asked differently may be led elsewhere, or nowhere. */
		buf_reset(&h->redirect);
		h->redirects = 0;
		return h->again++ < AGAIN_MAX ? HTTP_AT_ONCE : fail(result, -EIO);
	case DIALECT_UNSUPPORTED:
		return fail(result, -EOPNOTSUPP);
	case DIALECT_FATAL:
		break;
	}
	return fail(result, -EIO);
}

/* The network's own failures. What a body brought before stays delivered. */
static enum http_next judge_network(struct http_op *h, int *result)
{
	int error = h->net.error;
	bool unreachable = error == -ECONNREFUSED || error == -EHOSTUNREACH;

	h->retry = retry_class_of_error(error);
	/* Whoever mounts with a misspelt host, or by https what is http, wants to know now; but of
	 * several endpoints one that answers is enough. */
	if (h->probing && (unreachable || error == -ECONNABORTED) &&
	    h->failures + 1 >= h->hs->source.endpoint_count)
		h->retry = RETRY_FEW;
	if (unreachable || error == -ETIMEDOUT)
		*result = -ETIMEDOUT;
	else if (error == -EACCES || error == -ENOMEM || error == -EMFILE || error == -ENFILE)
		*result = error;
	else
		*result = -EIO;
	return HTTP_LATER;
}

/* The server chose to send less, as it may: the rest is asked for, at once if this was more than
 * a drop, so that nobody makes us ask for every byte. */
static enum http_next judge_part(struct http_op *h, int *result)
{
	h->told = h->end;
	h->why = "a part of the range came";
	return h->end - h->began >= HTTP_PROGRESS_STEP ? HTTP_AT_ONCE : later(h, result, -EIO);
}

static enum http_next judge_data(struct http_op *h, int *result)
{
	struct store_get *get;

	if (!h->checked)
		http_check_answer(h);
	switch (h->check) {
	case ANSWER_CHANGED:
		return gone(h, result, -ESTALE);
	case ANSWER_WRONG:
		return later(h, result, -EIO);
	case ANSWER_IGNORED_RANGE:
		if (h->kind == HTTP_OP_GET)
			return a_few_times(h, result, -EIO);
		/* An empty file may be answered whole. */
		return h->answer.content_length == 0 ? HTTP_DONE : fail(result, -EOPNOTSUPP);
	case ANSWER_GOOD:
		break;
	}
	if (h->why[0])
		return later(h, result, -EIO);
	if (h->net.error)
		return judge_network(h, result);
	if (h->kind == HTTP_OP_PROBE_FILE) {
		if (h->answer.range_total == DIALECT_UNKNOWN &&
		    (h->answer.status == 206 || h->answer.content_length == DIALECT_UNKNOWN)) {
			h->why = no_size;
			return fail(result, -EOPNOTSUPP);
		}
		return HTTP_DONE;
	}
	get = get_of(h);
	if (get->filled < h->end) {
		h->why = "the body ended early";
		return later(h, result, -EIO);
	}
	return get->filled < get->length ? judge_part(h, result) : HTTP_DONE;
}

static enum http_next judge_list(struct http_op *h, int *result)
{
	int r;

	if (h->too_big) {
		h->why = "the listing's page is too long to be one";
		return fail(result, -EIO);
	}
	if (h->net.error)
		return judge_network(h, result);
	r = h->hs->dialect->parse_list(h->hs->source.config, &h->call, &h->answer, h->body.data,
	                               h->body.length, &h->page);
	if (r == -ESTALE) {
		h->why = "the listing repeats its continuation token";
		return fail(result, -EIO);
	}
	if (r) {
		h->why = "the answer is no listing";
		return a_few_times(h, result, -EIO);
	}
	return HTTP_DONE;
}

/* A page that is made as it is asked for is often sent without a length. It must not pass for an
 * empty file. A folder has no size. */
static enum http_next judge_lookup(struct http_op *h, int *result)
{
	const char *key = h->call.key;
	bool folder = *key && key[strlen(key) - 1] == '/';

	if (h->net.error)
		return judge_network(h, result);
	if (h->answer.content_length == DIALECT_UNKNOWN && !folder) {
		h->why = no_size;
		return fail(result, -EOPNOTSUPP);
	}
	return HTTP_DONE;
}

static enum http_next judge_answer(struct http_op *h, int *result)
{
	int status = h->net.status;

	h->answer.status = status;
	h->answer.url = h->request.url.data;
	if (!status)
		return judge_network(h, result);
	if (!http_is_success(status))
		return judge_refusal(h, result);
	if (http_op_is_data(h))
		return judge_data(h, result);
	if (h->kind == HTTP_OP_LIST)
		return judge_list(h, result);
	return judge_lookup(h, result);
}

enum http_next http_judge(struct http_op *h, bool cancelled, int *result)
{
	enum http_next next = judge_answer(h, result);

	/* A cancel that comes when all is here already has come too late. */
	return cancelled && next != HTTP_DONE ? fail(result, -ECANCELED) : next;
}
