/* denials.h - where listing was answered with 403, for a while.
 *
 * A denial holds for a directory's prefix and, in a bucket, for all that is below it. One that
 * was seen for a part of a name says nothing of the directory itself: some policies allow to list
 * just that. Only the latest are kept: one that was forgotten costs a LIST and is learnt again
 * from its answer. Under the lock of `struct names`. */
#ifndef PAILFS_NAMES_DENIALS_H
#define PAILFS_NAMES_DENIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DENIALS_MAX 1024

struct denials {
	struct denial *all; /* a table by prefix, in the order in which they were learnt */
	bool full;          /* some were forgotten; no more are told of */
};

void denials_release(struct denials *d);
/* Is there no use in a LIST of this directory (`listing`), or of a name in it? */
bool denials_hold(const struct denials *d, const char *prefix, bool listing, uint64_t now);
/* lookups_only: seen for a part of a name; below: holds for all directories below, too. The
 * first time, a line in the log says so. */
void denials_add(struct denials *d, const char *prefix, bool lookups_only, bool below,
                 uint64_t now);
/* Those that hold for this prefix or anything below it. */
void denials_forget(struct denials *d, const char *prefix);

#endif
