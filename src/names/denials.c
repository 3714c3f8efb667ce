/* denials.c - where listing was answered with 403 (denials.h). */
#include "denials.h"

#include <stdlib.h>
#include <string.h>
#include "pailfs/base/buf.h"
#include "pailfs/base/clock.h"
#include "pailfs/base/log.h"
#include "pailfs/base/xalloc.h"

#define DENIAL_NS (60 * NS_PER_SECOND) /* policies change; that a LIST costs little tells us */

void denials_release(struct denials *d)
{
	for (size_t i = 0; i < d->count; i++)
		free(d->all[i].prefix);
	free(d->all);
}

bool denials_hold(const struct denials *d, const char *prefix, bool listing, uint64_t now)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct denial *denial = &d->all[i];
		size_t length = strlen(denial->prefix);

		if (now < denial->until && !(listing && denial->lookups_only) &&
		    !strncmp(denial->prefix, prefix, length) && (denial->below || !prefix[length]))
			return true;
	}
	return false;
}

void denials_add(struct denials *d, const char *prefix, bool lookups_only, bool below, uint64_t now)
{
	struct buf where = BUF_INIT;

	for (size_t i = 0; i < d->count; i++) {
		if (!strcmp(d->all[i].prefix, prefix) && d->all[i].lookups_only == lookups_only) {
			d->all[i].until = now + DENIAL_NS;
			return;
		}
	}
	d->all = xrealloc(d->all, d->count + 1, sizeof(*d->all));
	d->all[d->count++] = (struct denial){
		.prefix = xstrdup(prefix),
		.lookups_only = lookups_only,
		.below = below,
		.until = now + DENIAL_NS,
	};
	buf_add_quoted(&where, prefix, strlen(prefix), 1024);
	log_warn(LOG_NAMES, "listing below '%s' is denied: its names are looked up one by one%s",
	         where.data, lookups_only ? "" : " and cannot be listed");
	buf_release(&where);
}

void denials_forget(struct denials *d, const char *prefix)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->count; i++) {
		const char *denied = d->all[i].prefix;

		if (!strncmp(denied, prefix, strlen(prefix)) ||
		    !strncmp(denied, prefix, strlen(denied)))
			free(d->all[i].prefix);
		else
			d->all[kept++] = d->all[i];
	}
	d->count = kept;
}
