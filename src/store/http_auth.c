/* http_auth.c - the credentials and the region that all operations of a store share.
 *
 * Reading credentials may block on files, so a thread of its own does it. It reads them when
 * the service has refused the ones that we have or their time is nearly over; and, since
 * whoever rotates keys writes the new ones before the old ones end, when what they are read
 * from has changed, for which an operation now and then asks it to look. Operations that need
 * fresh ones wait in a list, and one reading serves them all; but no longer than their own time,
 * because the files may lie on a file system that does not answer. So each waits for its timer,
 * which the end of a reading hurries, as a cancel does. */
#include "src/store/http_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/lock.h"
#include "pailfs/base/log.h"
#include "pailfs/base/xalloc.h"

/* Fresh ones are read this long before the old ones expire, so that no request waits. */
#define RENEW_BEFORE_NS (int64_t)(60 * NS_PER_SECOND)
/* A reading that hangs does not keep a mount from its end. */
#define CLOSE_PATIENCE_NS NS_PER_SECOND
/* What holds nothing newer yet is not looked at for every request. */
#define LOOK_PAUSE_NS (5 * NS_PER_SECOND)

static uint64_t stamp_of(struct http_store *hs)
{
	return hs->dialect->credentials_stamp ?
	               hs->dialect->credentials_stamp(hs->source.config) : 0;
}

/* Reads once. The stamp is older than what is read, so no change is missed. */
static void read_once(struct http_store *hs, uint64_t stamp)
{
	struct dialect_credentials *fresh = NULL, *old = NULL;
	struct buf error = BUF_INIT;
	int r = hs->dialect->credentials(hs->source.config, &fresh, &error);

	pthread_mutex_lock(&hs->lock);
	hs->auth_stamp = stamp;
	if (!r) {
		old = hs->credentials;
		hs->credentials = fresh;
	}
	pthread_mutex_unlock(&hs->lock);
	if (r)
		log_warn(LOG_STORE, "%s: credentials could not be read again: %s", hs->source.display,
		         error.data);
	else
		log_info(LOG_STORE, "%s: credentials were read again", hs->source.display);
	dialect_credentials_unref(old);
	buf_release(&error);
}

/* With the lock held, under which a waiter whose time is over leaves the list. */
static void wake_waiters(struct http_store *hs)
{
	struct http_op *h;

	list_for_each_safe(h, &hs->auth_waiters, link) {
		list_remove(&h->link);
		net_timer_hurry(hs->net, &h->timer);
	}
}

static void wait_over(struct net_timer *t)
{
	struct http_op *h = container_of(t, struct http_op, timer);
	bool read;

	pthread_mutex_lock(&h->hs->lock);
	read = list_empty(&h->link);
	list_remove(&h->link);
	pthread_mutex_unlock(&h->hs->lock);
	if (!read) {
		h->why = "the credentials could not be read again in time; check the file system that "
			 "they are on";
		h->op->exhausted = true;
	}
	/* Without fresh ones the old may still do: the service decides. */
	http_op_resume(h, read ? 0 : -ETIMEDOUT);
}

static void look(struct dispatch_task *task)
{
	struct http_store *hs = container_of(task, struct http_store, auth_task);
	bool again;

	do {
		uint64_t stamp = stamp_of(hs);
		bool read;

		pthread_mutex_lock(&hs->lock);
		read = hs->auth_must || stamp != hs->auth_stamp;
		hs->auth_must = false;
		pthread_mutex_unlock(&hs->lock);
		if (read)
			read_once(hs, stamp);
		pthread_mutex_lock(&hs->lock);
		again = hs->auth_must;
		hs->auth_reading = again;
		if (!again)
			wake_waiters(hs);
		pthread_mutex_unlock(&hs->lock);
	} while (again);
}

int http_auth_open(struct http_store *hs, struct buf *error)
{
	int r;

	if (!hs->dialect->credentials)
		return 0;
	hs->auth_stamp = stamp_of(hs);
	r = hs->dialect->credentials(hs->source.config, &hs->credentials, error);
	return r ? r : dispatch_create("credentials", &hs->dispatch);
}

bool http_auth_close(struct http_store *hs)
{
	if (hs->dispatch && !dispatch_destroy_within(hs->dispatch, CLOSE_PATIENCE_NS)) {
		log_warn(LOG_STORE, "%s: credentials are still being read, and are let go", hs->source.display);
		return false;
	}
	dialect_credentials_unref(hs->credentials);
	free(hs->region);
	return true;
}

/* With the lock held: whether the caller must post the task when it has let the lock go. */
static bool must_post(struct http_store *hs)
{
	bool idle = !hs->auth_reading;

	hs->auth_reading = true;
	hs->auth_task.run = look;
	return idle;
}

static int take(struct http_op *h, bool refused)
{
	struct http_store *hs = h->hs;
	uint64_t now = clock_monotonic(hs->store.clock);
	bool post = false, wait, ending;
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
	ending = left < RENEW_BEFORE_NS;
	if (wait || (now >= hs->auth_look_ns && (ending || hs->auth_stamp))) {
		hs->auth_must = hs->auth_must || wait || ending;
		post = must_post(hs);
		hs->auth_look_ns = now + LOOK_PAUSE_NS;
	}
	if (wait) {
		list_append(&hs->auth_waiters, &h->link);
		http_op_sleep(h, wait_over, h->deadline_ns > now ? h->deadline_ns - now : 0);
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

struct dialect_session http_auth_session(const struct http_op *h)
{
	return (struct dialect_session){.credentials = h->credentials,
	                                .region = h->region ? h->region : "",
	                                .realtime_ns = clock_realtime(h->hs->store.clock)};
}
