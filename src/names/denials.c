/* denials.c - where listing was answered with 403 (denials.h). */
#include "denials.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include "pailfs/base/buf.h"
#include "pailfs/base/clock.h"
#include "pailfs/base/log.h"
#include "pailfs/base/xalloc.h"

#define DENIAL_NS (60 * NS_PER_SECOND) /* policies change; that a LIST costs little tells us */

struct denial {
	bool below;
	uint64_t names_until;   /* no use in a LIST of a name */
	uint64_t listing_until; /* nor of the directory; 0: that was never denied */
	UT_hash_handle hh;
	char prefix[];
};

static void drop(struct denials *d, struct denial *denial)
{
	HASH_DEL(d->all, denial);
	free(denial);
}

void denials_release(struct denials *d)
{
	while (d->all)
		drop(d, d->all);
}

bool denials_hold(const struct denials *d, const char *prefix, bool listing, uint64_t now)
{
	const struct denial *denial;
	size_t n = 0;

	/* The root, then each directory on the way. */
	for (;;) {
		HASH_FIND(hh, d->all, prefix, n, denial);
		if (denial && (denial->below || !prefix[n]) &&
		    now < (listing ? denial->listing_until : denial->names_until))
			return true;
		if (!prefix[n])
			return false;
		n += strcspn(prefix + n, "/");
		n += prefix[n] == '/';
	}
}

static void tell(const char *prefix, bool lookups_only)
{
	struct buf where = BUF_INIT;

	buf_add_quoted(&where, prefix, strlen(prefix), 1024);
	log_warn(LOG_NAMES, "listing below '%s' is denied: its names are looked up one by one%s",
	         where.data, lookups_only ? "" : " and cannot be listed");
	buf_release(&where);
}

static struct denial *learn(struct denials *d, const char *prefix)
{
	size_t n = strlen(prefix);
	struct denial *denial;

	HASH_FIND(hh, d->all, prefix, n, denial);
	if (denial) {
		HASH_DEL(d->all, denial);
	} else {
		denial = xcalloc(1, sizeof(*denial) + n + 1);
		memcpy(denial->prefix, prefix, n + 1);
	}
	HASH_ADD_KEYPTR(hh, d->all, denial->prefix, n, denial);
	return denial;
}

void denials_add(struct denials *d, const char *prefix, bool lookups_only, bool below, uint64_t now)
{
	struct denial *denial = learn(d, prefix);
	bool news = !denial->names_until || (!lookups_only && !denial->listing_until);

	denial->below = below;
	denial->names_until = now + DENIAL_NS;
	if (!lookups_only)
		denial->listing_until = now + DENIAL_NS;
	if (HASH_COUNT(d->all) > DENIALS_MAX) {
		drop(d, d->all);
		if (!d->full)
			log_warn(LOG_NAMES, "listing is denied for more than %d directories: no more "
			         "are told of", DENIALS_MAX);
		d->full = true;
	}
	if (news && !d->full)
		tell(prefix, lookups_only);
}

void denials_forget(struct denials *d, const char *prefix)
{
	struct denial *denial, *next;

	HASH_ITER(hh, d->all, denial, next) {
		if (!strncmp(denial->prefix, prefix, strlen(prefix)) ||
		    !strncmp(denial->prefix, prefix, strlen(denial->prefix)))
			drop(d, denial);
	}
}
