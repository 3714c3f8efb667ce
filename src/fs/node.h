/* node.h - the nodes of a bucket mount: one version of one key each (R2).
 *
 * A nodeid is a slot of the table and the slot's generation, never a pointer. The attributes
 * and pages of a node never change; a version that somebody else made is a new node, with
 * the same st_ino. The newest node of a key is found by the key. */
#ifndef PAILFS_FS_NODE_H
#define PAILFS_FS_NODE_H

#include <uthash.h>
#include "fs_impl.h"
#include "slots.h"

struct node {
	uint64_t id;               /* the FUSE nodeid */
	char *key;                 /* constant; a directory's ends in '/', the root's is the store's */
	bool directory;            /* constant */
	uint64_t ino;              /* constant; a hash of the key (M5) */

	/* Under nodes.lock. */
	struct store_attr attr;    /* constant once settled, but for the time */
	uint64_t lookups;          /* the kernel's references */
	unsigned opens;            /* open handles */
	unsigned users;            /* requests that work with it now */
	bool superseded;           /* another version is known to stand under the key */
	bool told;                 /* … and the log says that this one's readers have met that */
	bool settled;              /* the kernel was given bytes of this version, for good (R2) */
	bool shortened;            /* it has moved on to a shorter version; constant once settled */
	struct store_object *object; /* files, from the first open on */
	struct reader *reader;     /* files, while opens > 0 */
	const struct policy *policy; /* set through the attribute; NULL: by the rules */
	char *why, *error;           /* what the last reader that was closed had to say; NULL */
	UT_hash_handle hh;         /* in nodes.by_key, unless superseded */
};

struct nodes {
	struct fs *fs;
	pthread_mutex_t lock; /* covers the rest */
	struct slots table;
	struct slots handles; /* open directories */
	struct node *by_key;
	struct node *root;
};

/* The root has nodeid FUSE_ROOT_ID and lives as long as the table. */
struct nodes *nodes_create(struct fs *fs, const char *root_key);
void nodes_destroy(struct nodes *n);

/* The node of a nodeid that the kernel holds; NULL for one that was never given out or is
 * forgotten. Valid while the kernel holds it: during a request that names it. */
struct node *node_get(struct nodes *n, uint64_t id);
/* A reference beyond the request that names the node; put it back with node_put. */
void node_ref(struct nodes *n, struct node *node);
void node_put(struct nodes *n, struct node *node);
/* Finds or makes the node for what a listing or lookup showed below a directory, and counts
 * one lookup of the kernel's. */
struct node *node_enter(struct nodes *n, const struct node *parent, const struct names_entry *entry);
void node_forget(struct nodes *n, uint64_t id, uint64_t lookups);

/* The name in its parent directory, borrowed from the key; its length, and the length of the
 * parent's key before it. */
const char *node_name(const struct node *node, size_t *length);
/* Whether two descriptions are of the same version of a value. */
bool node_same_version(const struct store_attr *a, const struct store_attr *b);

/* The inode number of a key: the same on every mount (M5). */
uint64_t node_ino(const char *key);
/* That of the directory that a node lies in; the root lies in itself. */
uint64_t node_parent_ino(const struct nodes *n, const struct node *node);
/* Takes nodes.lock. */
void node_stat(const struct fs *fs, const struct node *node, struct stat *st);

#endif
