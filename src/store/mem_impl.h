/* mem_impl.h - what the parts of the mem store share; private to the room. */
#ifndef PAILFS_STORE_MEM_IMPL_H
#define PAILFS_STORE_MEM_IMPL_H

#include <pthread.h>
#include <time.h>
#include <uthash.h>
#include "pailfs/base/xalloc.h"
#include "pailfs/store_tree.h"
#include "src/store/pages.h"

struct mem_tree {
	struct store_tree base;
	struct page_budget budget;
	pthread_mutex_t lock;
	ino_t next_ino;             /* lock */
};

struct mem_object {
	struct tree_object base;
	/* Constant. */
	ino_t ino;
	mode_t type;
	dev_t device;
	char *target;               /* of a symbolic link */

	/* The tree's lock. */
	struct mem_entry *entries;
	struct mem_object *parent;  /* of a directory that has a name; not counted */
	nlink_t links;              /* 0: it has no name any more */

	pthread_rwlock_t lock;
	/* lock */
	mode_t mode;                /* permission bits */
	uid_t uid;
	gid_t gid;
	uint64_t size;
	struct pages pages;
	struct timespec atime, mtime, ctime;
	struct mem_xattr *xattrs;

	struct mem_object *doomed;  /* the next to free, after the last reference has gone */
};

struct mem_entry {
	struct mem_object *object;  /* counted */
	UT_hash_handle hh;
	char name[];
};

struct mem_xattr {
	struct mem_xattr *next;
	size_t size;
	char *name, *value;
};

static inline struct mem_object *mem_object(struct tree_object *o)
{
	return container_of(o, struct mem_object, base);
}

static inline struct mem_tree *mem_tree(struct mem_object *o)
{
	return container_of(o->base.tree, struct mem_tree, base);
}

static inline struct timespec mem_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t;
}

/* mem_xattr.c */
ssize_t mem_getxattr(struct tree_object *o, const char *name, void *value, size_t size);
ssize_t mem_listxattr(struct tree_object *o, char *list, size_t size);
int mem_setxattr(struct tree_object *o, const char *name, const void *value, size_t size, int flags);
int mem_removexattr(struct tree_object *o, const char *name);
void mem_xattrs_free(struct mem_object *o);

#endif
