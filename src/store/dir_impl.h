/* dir_impl.h - what the parts of the dir store share, and direct with them; private to the room. */
#ifndef PAILFS_STORE_DIR_IMPL_H
#define PAILFS_STORE_DIR_IMPL_H

#include <pthread.h>
#include "pailfs/base/buf.h"
#include "pailfs/base/xalloc.h"
#include "pailfs/store_tree.h"

enum { DIR_LOCKS = 64 };

struct dir_tree;

struct dir_object {
	struct tree_object base;
	int fd;                     /* O_PATH; -1 never */
	dev_t dev;
	ino_t ino;
	mode_t type;                /* S_IFMT bits; an inode never changes them */
};

struct dir_tree {
	struct store_tree base;
	dev_t dev;                  /* the root's */
	int proc_fd;                /* /proc/self/fd: the way from an O_PATH descriptor to an open one */
	bool assume;                /* we may act as the caller: dir_identity.c */
	/* One of these stands between set_range (shared) and truncation (exclusive) of an inode,
	 * chosen by its number: two objects may stand for one inode. */
	pthread_rwlock_t size_locks[DIR_LOCKS];
	/* Where direct is different. */
	void (*fini)(struct dir_tree *t); /* NULL: nothing more to do */
	/* Makes the handle that owns fd and holds o; closes fd when it fails. */
	int (*handle_make)(struct dir_object *o, int fd, int flags, struct tree_handle **out);
	/* The handle's own descriptor that goes through the page cache. */
	int (*handle_fd)(struct tree_handle *h);
};

static inline struct dir_object *dir_object(struct tree_object *o)
{
	return container_of(o, struct dir_object, base);
}

static inline struct dir_tree *dir_tree(struct tree_object *o)
{
	return container_of(o->tree, struct dir_tree, base);
}

/* dir.c: fills a tree for the directory `path`, which is the first member of what its destroy
 * will free. */
int dir_tree_init(struct dir_tree *t, const char *path, bool read_only, struct buf *error);
extern const struct store_tree_ops dir_tree_ops;

/* dir_io.c */
extern const struct tree_handle_ops dir_handle_ops;
/* Opens an object anew, through /proc/self/fd; returns the descriptor or -errno. */
int dir_reopen(struct dir_object *o, int flags);
int dir_handle_make(struct dir_object *o, int fd, int flags, struct tree_handle **out);
int dir_handle_fd(struct tree_handle *h);
/* Through fd, or a descriptor of its own when that is -1. */
int dir_truncate(struct dir_object *o, int fd, off_t size);
/* The object behind an open descriptor; fills st. */
int dir_object_from_fd(struct dir_tree *t, int fd, struct dir_object **out, struct stat *st);
int dir_open(struct tree_object *o, int flags, struct tree_handle **out);
/* Creates the value's successor beside it and renames. */
int dir_put(struct tree_object *dir, const char *name, const void *data, size_t length,
            const struct tree_caller *caller);
/* Writes all of it, or -errno. */
int dir_write_all(int fd, const void *data, size_t n, off_t offset);
pthread_rwlock_t *dir_size_lock(struct dir_object *o);

/* dir_identity.c: between enter and leave this thread creates as the caller does. */
struct dir_identity {
	bool assumed, groups;
};
bool dir_identity_possible(void);
int dir_identity_enter(struct dir_tree *t, const struct tree_caller *caller, mode_t mode,
                       struct dir_identity *id);
void dir_identity_leave(struct dir_identity *id);

#endif
