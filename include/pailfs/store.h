/* store.h - where objects live: what every store can do, and what some can.
 *
 * Two families of operations hang on a store:
 *
 *   buckets      names are keys in one flat space; asked over a network, asynchronously:
 *                lookup, list, get_range.
 *   local-backed names live in directories; answered at once, in the caller's thread:
 *                struct store_tree (store_tree.h). They can write a byte range inside a
 *                value: capability STORE_SET_RANGE.
 *
 * The file system asks by capability, never by name.
 *
 * In a bucket names and objects are two things. A *key* names; a `struct store_object` is the
 * version that was found under it at one time, counted, and stays what its holder opened when
 * the key is deleted or replaced.
 *
 * Asynchronous operations are intrusive: the caller embeds and fills one, and starts it. The
 * start returns
 *	0        pending: `done` will run exactly once, on another thread, never inside start
 *	1        finished with success now: `done` will not run
 *	-errno   failed now: `done` will not run
 * Everything that the operation points at stays valid until then. Operations retry by
 * themselves within retry_timeout (F1, F2); what arrives here is final.
 *
 * The errors that every operation may give, beside those it names:
 *	-EACCES  403, wrong or missing credentials     -ENOENT  no such key
 *	-ESTALE  412 or a changed validator: another version stands under the key (R2), and
 *	         this one is not to be had any more
 *	-EIO     answers kept being wrong, or 5xx, until the retry budget was gone
 *	-ETIMEDOUT unreachable or stalled until then   -ECANCELED store_cancel came first
 *	-EOPNOTSUPP the store lacks the operation      -ENOMEM, -EMFILE …  as of the system
 *
 * Any thread may call anything here unless said otherwise. */
#ifndef PAILFS_STORE_H
#define PAILFS_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "pailfs/base/buf.h"
#include "pailfs/base/clock.h"
#include "pailfs/base/list.h"
#include "pailfs/base/stats.h"

struct store;
struct store_op;
struct store_tree;
struct net;
struct oplog;

enum store_capability {
	STORE_SET_RANGE = 1 << 0,  /* local-backed: has a tree, byte ranges are written in place */
	STORE_LIST = 1 << 1,       /* keys can be listed; without it there is one object (store_root) */
	STORE_READ_ONLY = 1 << 2,  /* no operation writes */
	STORE_ORDERED_LIST = 1 << 3, /* list pages come in the byte order of keys and can start anywhere */
	STORE_FLAT_LIST = 1 << 4,  /* list without a delimiter works */
};

/* What is known of a value without reading it. */
struct store_attr {
	uint64_t size;          /* bytes */
	int64_t mtime_ns;       /* since the epoch; 0: unknown */
	char etag[72];          /* in quotes, a weak one with W/ before them; "" unknown. One that is
	                         * longer is replaced by "" and the version check falls back to
	                         * size and mtime */
	char version[72];       /* version id or generation; "" none */
	char storage_class[24];
	char content_type[80];  /* "" unknown */
	bool is_prefix;         /* a common prefix, or a key that ends in '/': a directory */
	bool size_unknown;      /* http listings may round; a lookup tells */
};

/* One version of one value. */
struct store_object {
	struct store *store;
	atomic_uint refs;
	char *key;              /* never NULL; bytes as in the bucket, no leading '/' */
	struct store_attr attr; /* what this version is; never changes */
	_Atomic(char *) version; /* its ID, when attr has none and an answer has told it since */
	atomic_bool superseded;  /* no longer under its key, but read on by its ID */
};

struct store_object *store_object_ref(struct store_object *o);
void store_object_unref(struct store_object *o); /* NULL is fine */
/* The version's ID as far as it is known, "" if not; valid as long as the object. A listing does
 * not tell it, the first GET that was for just this version does. */
const char *store_object_version(const struct store_object *o);
/* Learns it. All answers for one version say the same, so the first will do. */
void store_object_learn_version(struct store_object *o, const char *version);
/* Whether a get_range found the key replaced or deleted, and went on with this version because
 * the bucket keeps it (R2). */
bool store_object_is_superseded(const struct store_object *o);

/* ---- configuration and life ---- */

struct store_config {
	const char *source;        /* as the user wrote it */
	const struct store_options *options;
	struct net *net;           /* NULL for local-backed stores */
	struct stats *stats;
	struct oplog *oplog;       /* NULL: off */
	const struct clock *clock;
};

/* The options that stores read; config/ fills it. Strings may be NULL (unset). */
struct store_options {
	char **endpoints;          /* as given, {1...8} expanded; NULL-terminated; NULL: none */
	const char *region, *profile;
	bool no_sign;
	enum { ADDRESSING_AUTO, ADDRESSING_PATH, ADDRESSING_VIRTUAL } addressing;
	uint64_t retry_timeout_ns;
	bool read_only;
	const char *reader_type;   /* for the User-Agent's md/reader_type#POLICY */
	const char *chaos;         /* what the chaos layer does (chaos.c); NULL: no layer */
};

/* Parses source, reads credentials, builds the store; asks nothing of the network yet.
 * Returns 0, or -errno with a line in `error` that says what, where and what to do; -EINVAL
 * means that the source or an option can never be right, and nothing else. */
int store_create(const struct store_config *config, struct store **out, struct buf *error);
/* All operations must have ended and all objects been released. NULL is fine. */
void store_destroy(struct store *s);

unsigned store_capabilities(const struct store *s);
const char *store_name(const struct store *s);  /* "s3", "http", "dir" … */
/* The identity under which cached data may be kept: endpoint, account, bucket. */
const char *store_identity(const struct store *s);
/* The key prefix that SOURCE names: "" or ending in '/'; for a single file its name. */
const char *store_root(const struct store *s);
/* Adds lines on what the options, the environment and the AWS files have come to by now: each
 * endpoint, the region, whose key signs ("region = eu-west-1\n"); no secret. None for a local-backed
 * store. Any thread. */
void store_describe(struct store *s, struct buf *out);
/* NULL unless STORE_SET_RANGE. */
struct store_tree *store_tree(struct store *s);

/* ---- asynchronous operations ---- */

struct store_op {
	void (*done)(struct store_op *op, int result); /* 0 or -errno; may free the op */
	bool speculative;          /* nobody waits for it yet */
	/* A sentence on the last failure, with the request's ID; "" without one. For
	 * user.pailfs.error and for the mount's own failure line. */
	char error[256];
	/* With -EACCES: the credentials are good, but this is not allowed with them. */
	bool denied;
	/* The store was in trouble until retry_timeout was over, or says that it will be: whoever
	 * has waited for this operation need not try another. */
	bool exhausted;
	/* Private to the store. */
	struct store *store;
	void *state;
	struct list link;
	uint64_t started_ns;
};

/* Asks for an early end of a pending operation; `done` follows as ever, never from inside.
 * The caller sees to it that the operation has not ended: it calls with a lock held under
 * which its `done` takes note, so that `done` cannot return meanwhile. */
void store_cancel(struct store_op *op);
/* Somebody waits for it now. The same holds for the caller. */
void store_promote(struct store_op *op);

/* Reaches the store once, as a mount does before it goes to the background: resolves the
 * region, checks the credentials and that bucket or file exist. For a bucket it is the first
 * page of the root's listing, delivered as by store_list; for a single file a ranged GET of
 * one byte that fills entries[0]. */
struct store_list;
int store_probe(struct store *s, struct store_list *op);

/* Asks about one key (HEAD). The last resort: a list answers more (M2). */
struct store_lookup {
	struct store_op op;
	const char *key;
	struct store_attr attr;    /* set on success */
};
int store_lookup(struct store *s, struct store_lookup *op);

/* The object that is believed to be under key: no request (M3); get_range finds out. */
struct store_object *store_object_open(struct store *s, const char *key, const struct store_attr *believed);

struct store_entry {
	const char *key;           /* whole key, or prefix ending in '/'; NUL-terminated. A key
	                            * with a NUL inside is never delivered, only counted */
	size_t key_length;
	struct store_attr attr;
};

/* One page of a listing. */
struct store_list {
	struct store_op op;
	/* Set by the caller. */
	const char *prefix;        /* "" or any prefix of keys */
	bool delimited;            /* group at '/': entries below come as one prefix */
	const char *start_after;   /* NULL, or only keys after it; STORE_ORDERED_LIST only */
	const char *continuation;  /* NULL, or next_continuation of the page before */
	/* Set on success; store_list_release frees them. Entries and prefixes stand merged in the
	 * order of their keys where the store is STORE_ORDERED_LIST. */
	struct store_entry *entries;
	size_t entry_count;
	size_t unusable;           /* keys that could not be delivered (M1) */
	char *next_continuation;   /* NULL: this was the last page */
	void *memory;              /* private: what the entries' keys stand in */
};
int store_list(struct store *s, struct store_list *op);
void store_list_release(struct store_list *op);

/* Reads [offset, offset+length) of an object into the caller's memory. The range must lie
 * inside the value (R1); the request carries the version (R2); every answer is checked
 * (R3): on success exactly length bytes have arrived. */
struct store_get {
	struct store_op op;
	struct store_object *object;
	uint64_t offset;
	size_t length;
	void *buffer;              /* length bytes, the caller's */
	/* Tells that the first `filled` bytes are there and final, as they arrive; NULL: not
	 * wanted. Runs on the store's thread (or inside store_get_range for a store that answers
	 * at once); must not block. A retried request goes on behind them, so `filled` never
	 * goes back. */
	void (*progress)(struct store_get *get, size_t filled);
	size_t filled;
};
int store_get_range(struct store *s, struct store_get *op);

#endif
