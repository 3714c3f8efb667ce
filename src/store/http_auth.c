/* http_auth.c - the credentials and the region that all operations of a store share.
 *
 * Reading credentials may block on files, so a thread of its own does it; operations that
 * need fresh ones wait in a list, and one reading serves them all. */
#include "src/store/http_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/lock.h"
#include "pailfs/base/log.h"
#include "pailfs/base/xalloc.h"

/* Fresh ones are read this long before the old ones expire, so that no request waits. */
#define RENEW_BEFORE_NS (int64_t)(60 * NS_PER_SECOND)
/* Files that hold nothing newer yet are not read for every request. */
#define RENEW_PAUSE_NS (5 * NS_PER_SECOND)

static void read_credentials(struct dispatch_task *task)
{
	struct http_store *hs = container_of(task, struct http_store, auth_task);
	struct dialect_credentials *fresh = NULL, *old = NULL;
	struct list waiters = LIST_INIT(waiters);
	struct buf error = BUF_INIT;
	struct http_op *h, *next;
	int r = hs->dialect->credentials(hs->source.config, &fresh, &error);

	pthread_mutex_lock(&hs->lock);
	if (!r) {
		old = hs->credentials;
		hs->credentials = fresh;
	}
	hs->auth_reading = false;
	list_splice(&waiters, &hs->auth_waiters);
	pthread_mutex_unlock(&hs->lock);

	dialect_credentials_unref(old);
	if (r)
		log_warn(LOG_STORE, "%s: credentials could not be read again: %s", hs->source.display,
		         error.data);
	list_for_each_safe(h, next, &waiters, link) {
		list_remove(&h->link);
		http_op_authorized(h);
	}
	buf_release(&error);
}

int http_auth_open(struct http_store *hs, struct buf *error)
{
	int r;

	if (!hs->dialect->credentials)
		return 0;
	r = hs->dialect->credentials(hs->source.config, &hs->credentials, error);
	return r ? r : dispatch_create("credentials", &hs->dispatch);
}

void http_auth_close(struct http_store *hs)
{
	if (hs->dispatch)
		dispatch_destroy(hs->dispatch);
	dialect_credentials_unref(hs->credentials);
	free(hs->region);
}

/* With the lock held: whether the caller must post the task when it has let the lock go. */
static bool must_read(struct http_store *hs)
{
	bool idle = !hs->auth_reading;

	hs->auth_reading = true;
	hs->auth_task.run = read_credentials;
	return idle;
}

static int take(struct http_op *h, bool refused)
{
	struct http_store *hs = h->hs;
	uint64_t now = clock_monotonic(hs->store.clock);
	bool post = false, wait = false;
	int64_t left = INT64_MAX;

	pthread_mutex_lock(&hs->lock);
	if (hs->dispatch && hs->credentials && hs->credentials->expires_ns != INT64_MAX)
		left = hs->credentials->expires_ns - clock_realtime(hs->store.clock);
	/* Refused credentials are worth reading again only if nobody has done so since h took
	 * them. Those that a reading did not renew are tried as they are: the service's clock
	 * decides. */
	if (refused)
		wait = hs->dispatch && hs->credentials == h->credentials;
	else
		wait = left <= 0 && !h->auth_again;
	h->auth_again = h->auth_again || refused || wait;
	if (wait || (left < RENEW_BEFORE_NS && now >= hs->auth_renew_ns)) {
		post = must_read(hs);
		hs->auth_renew_ns = now + RENEW_PAUSE_NS;
	}
	if (wait) {
		pthread_mutex_lock(&h->lock);
		h->state = HTTP_OP_ON_AUTH;
		pthread_mutex_unlock(&h->lock);
		list_append(&hs->auth_waiters, &h->link);
	} else {
		dialect_credentials_unref(h->credentials);
		h->credentials = hs->credentials ? dialect_credentials_ref(hs->credentials) : NULL;
		free(h->region);
		h->region = xstrdup(hs->region);
	}
	pthread_mutex_unlock(&hs->lock);

	/* h is not ours any more when it waits. */
	if (post)
		dispatch_post(hs->dispatch, &hs->auth_task);
	return !wait;
}

int http_auth_take(struct http_op *h)
{
	return take(h, false);
}

int http_auth_renew(struct http_op *h)
{
	return take(h, true);
}

void http_auth_learn_region(struct http_store *hs, const char *region)
{
	scoped_lock(&hs->lock);
	if (!strcmp(hs->region, region))
		return;
	log_info(LOG_STORE, "%s is in region %s, not %s", hs->source.display, region,
	         *hs->region ? hs->region : "an unknown one");
	free(hs->region);
	hs->region = xstrdup(region);
}
