/* names.h - what is believed about the names of a bucket (docs/semantics.md, M1 to M4).
 *
 * An index of directories made of the keys that listings showed. One LIST answers all it
 * can: names, sizes, times and ETags below it cost no request for metadata_ttl, and a name
 * that is not in it is known to be absent for negative_ttl. Concurrent questions that the
 * same LIST answers share it. The index keeps within its size by forgetting directories that
 * were not used for longest.
 *
 * A directory is named by its prefix: "" (the root of the bucket) or a key ending in '/'. A
 * store that cannot list has one directory, "", with its one object.
 *
 * Any thread may call; callbacks run on a store thread, no lock held. */
#ifndef PAILFS_NAMES_H
#define PAILFS_NAMES_H

#include <stdbool.h>
#include <stdint.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/stats.h"
#include "pailfs/store.h"

struct names;

struct names_config {
	struct store *store;
	struct stats *stats;
	const struct clock *clock;
	uint64_t metadata_ttl_ns, negative_ttl_ns;
	uint64_t patience_ns;    /* how long pages of a listing may follow each other without a name */
	size_t max_entries;      /* names held at most; directories being listed may exceed it */
};

struct names *names_create(const struct names_config *config);
/* No request may be pending. Ends what was asked for ahead, and waits for that; the store must
 * still be there. NULL is fine. */
void names_destroy(struct names *n);

/* The first page of the root's listing, as store_probe brought it (still owned by the
 * caller). Not called when listing is denied (names_deny_list is). */
void names_feed(struct names *n, const struct store_list *page);
/* Listing below prefix was answered with 403: names are looked up by HEAD from now on. */
void names_deny_list(struct names *n, const char *prefix);

struct names_entry {
	char *name;              /* one component, no '/' */
	bool directory;          /* a common prefix or a `name/` marker */
	bool hides_object;       /* a directory, and an object of the same name is not shown */
	struct store_attr attr;
	uint64_t valid_ns;       /* for how long from now it may be believed (kernel's timeout) */
};

struct names_lookup {
	/* Runs once when names_lookup returned 0: 0, -ENOENT (see entry.valid_ns for how long
	 * that may be believed), -ENAMETOOLONG, or the store's error. */
	void (*done)(struct names_lookup *q, int result);
	struct names_entry entry; /* the result; names_entry_release it */
	char error[256];
	/* Private; zero before the first call. */
	void *state;
	bool interrupted;
};

/* What stands under `name` in the directory `prefix`. Returns 1: known, entry is set; 0:
 * pending; -ENOENT: known to be absent (entry.valid_ns is set); other -errno. A cold
 * question is one flat LIST with the name as its prefix, which answers for the object and
 * for all below name/ that fits in one page. */
int names_lookup(struct names *n, struct names_lookup *q, const char *prefix, const char *name);
void names_entry_release(struct names_entry *e);

struct names_readdir {
	void (*done)(struct names_readdir *q, int result);
	/* Result: some of the entries after `after`, in a stable order. */
	struct names_entry *entries;
	size_t count;
	bool end;                /* nothing follows these */
	char error[256];
	/* Private; zero before the first call. */
	void *state;
	bool interrupted;
};

/* Up to `max` entries of the directory `prefix` that come after the cursor `after` (NULL:
 * from the start; otherwise the cursor of the last entry taken, see names_cursor), in the order
 * of name + "/". Streams: answers as soon as some are known. A name is held back until the
 * listing has passed name/ (M1). Returns 1, 0 (pending) or -errno: -EACCES where listing is
 * denied. An error in the middle is an error, never a short directory. */
int names_readdir(struct names *n, struct names_readdir *q, const char *prefix, const char *after, size_t max);
void names_readdir_release(struct names_readdir *q);
/* The cursor that continues after this entry; the caller frees it. */
char *names_cursor(const struct names_entry *e);

/* Waits no longer: done runs with -EINTR unless it is about to run already. A question that is
 * asked with q after that gets -EINTR instead of waiting, so an interrupt may come at any time
 * while q is there. A listing that nobody waits for ends after its page. */
void names_lookup_interrupt(struct names *n, struct names_lookup *q);
void names_readdir_interrupt(struct names *n, struct names_readdir *q);

/* Forgets what is believed of one name (a read found another version under it), or of
 * everything below a prefix (pailctl refresh). */
void names_forget(struct names *n, const char *prefix, const char *name);
void names_forget_below(struct names *n, const char *prefix);
/* A fresh answer about one name came by another way (a HEAD, a GET's headers, our own write).
 * attr NULL: there is nothing of that name. */
void names_learn(struct names *n, const char *prefix, const char *name, const struct store_attr *attr);

#endif
