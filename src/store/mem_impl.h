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
	struct page_pool pool;
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

/* mem.c: an object without a name, with one reference. */
struct mem_object *mem_object_make(struct mem_tree *t, mode_t mode, uid_t uid, gid_t gid);
void mem_stat(struct mem_object *o, struct stat *st);
/* Its change time, and its modification time too. */
void mem_touch(struct mem_object *o, bool modified);

/* mem_names.c: as store_tree.h says of the functions of the same names. */
int mem_lookup(struct tree_object *dir, const char *name, struct tree_object **out, struct stat *st);
int mem_create(struct tree_object *dir, const char *name, int flags, mode_t mode,
               const struct tree_caller *caller, struct tree_handle **handle, struct stat *st);
int mem_make(struct tree_object *dir, const char *name, mode_t mode, dev_t device, const char *target,
             const struct tree_caller *caller, struct tree_object **out, struct stat *st);
int mem_unlink(struct tree_object *dir, const char *name, bool directory);
int mem_rename(struct tree_object *from, const char *name, struct tree_object *to, const char *new_name,
               unsigned flags);
int mem_put(struct tree_object *dir, const char *name, const void *data, size_t length,
            const struct tree_caller *caller);
int mem_link(struct tree_object *o, struct tree_object *dir, const char *name);
ssize_t mem_readlink(struct tree_object *o, char *buffer, size_t size);
int mem_opendir(struct tree_object *o, struct tree_dir **out);
int mem_readdir(struct tree_dir *d, off_t offset, tree_entry_fn *fn, void *context);
int mem_fsyncdir(struct tree_dir *d, bool data_only);
void mem_closedir(struct tree_dir *d);

/* mem_io.c: opening is check_file, truncate_at_open and handle_make, which a create does under
 * the tree's lock. */
int mem_open(struct tree_object *o, int flags, struct tree_handle **out);
/* The answers of a directory's open(2) for what is no file; 0 for one. */
int mem_check_file(const struct mem_object *o);
void mem_truncate_at_open(struct mem_object *o, int flags);
void mem_handle_make(struct mem_object *o, int flags, struct tree_handle **out);
/* With the object's lock held. */
void mem_resize(struct mem_object *o, uint64_t size);

/* mem_xattr.c */
ssize_t mem_getxattr(struct tree_object *o, const char *name, void *value, size_t size);
ssize_t mem_listxattr(struct tree_object *o, char *list, size_t size);
int mem_setxattr(struct tree_object *o, const char *name, const void *value, size_t size, int flags);
int mem_removexattr(struct tree_object *o, const char *name);
void mem_xattrs_free(struct mem_object *o);

#endif
