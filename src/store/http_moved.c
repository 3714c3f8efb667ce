/* http_moved.c - where a single file was found behind redirects.
 *
 * Download pages answer each request with a redirect to the place that has the bytes, often
 * with a signature in it that holds for some minutes. Following it anew for each range would
 * double the requests, so the last good place is asked directly for a while. Whatever goes
 * wrong there is no verdict about the file: the source is asked then. Versions are checked as
 * ever, so a place that holds an older file is found out. */
#include "src/store/http_store.h"

#include "pailfs/base/lock.h"

#define REMEMBER_NS (60 * NS_PER_SECOND)

static bool has_one_file(const struct http_store *hs)
{
	return !(hs->store.capabilities & STORE_LIST);
}

void http_moved_take(struct http_op *h)
{
	struct http_store *hs = h->hs;

	h->shortcut = false;
	if (!has_one_file(hs) || h->redirect.length || h->straight)
		return;
	scoped_lock(&hs->lock);
	if (!hs->moved.length || clock_monotonic(hs->store.clock) >= hs->moved_until_ns)
		return;
	buf_add(&h->redirect, hs->moved.data, hs->moved.length);
	h->shortcut = true;
}

void http_moved_learn(struct http_op *h)
{
	struct http_store *hs = h->hs;

	if (!has_one_file(hs) || !h->redirect.length || h->shortcut)
		return;
	scoped_lock(&hs->lock);
	buf_reset(&hs->moved);
	buf_add(&hs->moved, h->redirect.data, h->redirect.length);
	hs->moved_until_ns = clock_monotonic(hs->store.clock) + REMEMBER_NS;
}

bool http_moved_forget(struct http_op *h)
{
	if (!h->shortcut)
		return false;
	h->shortcut = false;
	h->straight = true;
	h->redirects = 0;
	buf_reset(&h->redirect);
	scoped_lock(&h->hs->lock);
	h->hs->moved_until_ns = 0;
	return true;
}
