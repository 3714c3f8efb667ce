/* store_tree.h - local-backed stores: names in directories, values written in place.
 *
 * A bucket has keys; a local-backed store (dir, direct, mem) has a *tree* of objects as a
 * file system has inodes. Everything is synchronous and answered in the caller's thread.
 *
 *	tree_object   an inode, counted. It stays what its holder looked up when the name is
 *	              unlinked, renamed or replaced (W17). It is not the store_object of store.h,
 *	              which is one *version* of a value and carries validators: here the backing
 *	              is the truth and nothing is pinned (R2).
 *	tree_handle   an open value. Where it has a descriptor (fd >= 0), plain I/O on that
 *	              descriptor is the I/O of the handle, so the file system may splice from it.
 *	tree_dir      an open directory.
 *
 * Names are single components: 1 to 255 bytes, no '/', not "." or "..": -EINVAL otherwise, and
 * -ENAMETOOLONG for longer ones. With that and links never followed, no name reaches anything
 * outside the root (F7). Paths are walked component by component.
 *
 * All functions return 0 or -errno (some a count), as the system call of the same purpose
 * would give it. Call a tree only through them: they check what the vtable may rely on.
 * Optional operations are NULL in the vtable and answered with -EOPNOTSUPP. Any thread may
 * call anything, also on one object or handle at once; a tree_dir belongs to one call at a
 * time. What is created gets the mode as given:
 * the process's umask is 0. Outputs are set on success only; objects come out with a reference for the caller. */
#ifndef PAILFS_STORE_TREE_H
#define PAILFS_STORE_TREE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <time.h>

struct store_tree_ops;
struct tree_handle_ops;

struct tree_object {
	struct store_tree *tree;
	atomic_uint refs;
};

struct store_tree {
	const struct store_tree_ops *ops;
	const char *name;          /* "dir", "direct", "mem" */
	struct tree_object *root;
	bool read_only;            /* what would change something is -EROFS */
	bool network;              /* the backing reports write errors at close, as NFS does */
	bool descriptors;          /* handles have one: values are local files */
	size_t max_objects;        /* no more should be held for long; 0: any number */
};

struct tree_handle {
	const struct tree_handle_ops *ops;
	atomic_uint refs;
	struct tree_object *object; /* counted */
	int fd;                    /* -1: none; closed with the handle */
	bool readable, writable;   /* what it can do: at least what it was opened for */
	atomic_bool strict;        /* the caller's: it writes by tree_set_range() only */
};

struct tree_dir; /* the store's own */

/* On whose behalf something is created (W16). NULL stands for the process itself. */
struct tree_caller {
	uid_t uid;
	gid_t gid;
	/* The supplementary groups, asked for only when they matter. Returns how many there
	 * are, of which the first `max` stand in `list` (0: it may be NULL), or -errno. NULL: none. */
	int (*groups)(const struct tree_caller *caller, gid_t *list, int max);
};

/* Whether the caller is of that group, or root. */
bool tree_caller_in_group(const struct tree_caller *caller, gid_t gid);

/* Which fields of a struct tree_change to apply. */
enum tree_change_what {
	TREE_SET_MODE = 1 << 0,
	TREE_SET_UID = 1 << 1,
	TREE_SET_GID = 1 << 2,
	TREE_SET_SIZE = 1 << 3,
	TREE_SET_TIMES = 1 << 4,
};

struct tree_change {
	unsigned what;
	mode_t mode;               /* permission bits with suid, sgid and sticky */
	uid_t uid;
	gid_t gid;
	off_t size;                /* bytes; growing fills with zeros, old bytes never show (W10) */
	struct timespec times[2];  /* access, modification; UTIME_NOW and UTIME_OMIT as in utimensat */
};

/* ---- life ---- */

void tree_destroy(struct store_tree *t); /* every object and handle is gone; NULL is fine */

struct tree_object *tree_object_ref(struct tree_object *o);
void tree_object_unref(struct tree_object *o); /* NULL is fine */

/* ---- names ---- */

int tree_lookup(struct tree_object *dir, const char *name, struct tree_object **out, struct stat *st);
/* Walks a path of names separated by single slashes, from the root; "" is the root itself.
 * Symbolic links are not followed: -ELOOP for one in the middle. */
int tree_walk(struct store_tree *t, const char *path, struct tree_object **out, struct stat *st);

/* Creates (flags: O_CREAT implied, O_EXCL, O_TRUNC and the access mode as in open(2)) and
 * opens. An existing value is opened unless O_EXCL is set. */
int tree_create(struct tree_object *dir, const char *name, int flags, mode_t mode,
                const struct tree_caller *caller, struct tree_handle **handle, struct stat *st);
/* Makes a node without opening it. mode has its type: S_IFDIR, S_IFLNK, S_IFREG (also when there
 * is none), S_IFIFO, S_IFSOCK, and with `device` S_IFCHR and S_IFBLK. target: of a link, else
 * NULL. */
int tree_make(struct tree_object *dir, const char *name, mode_t mode, dev_t device, const char *target,
              const struct tree_caller *caller, struct tree_object **out, struct stat *st);
int tree_link(struct tree_object *o, struct tree_object *dir, const char *name, struct stat *st);
int tree_unlink(struct tree_object *dir, const char *name);
int tree_rmdir(struct tree_object *dir, const char *name);
/* flags: 0, RENAME_NOREPLACE or RENAME_EXCHANGE; others -EINVAL. */
int tree_rename(struct tree_object *from, const char *name, struct tree_object *to,
                const char *new_name, unsigned flags);

/* Replaces the whole value under a name, or makes it (mode 0644), with the
 * mode and owner of what it replaces: a temporary file, fsync, rename, directory fsync. A
 * crash at any moment leaves all-old or all-new (W8), and so does an error; only one of the
 * directory fsync leaves the new value. */
int tree_put(struct tree_object *dir, const char *name, const void *data, size_t length,
             const struct tree_caller *caller);

/* ---- attributes ---- */

int tree_getattr(struct tree_object *o, struct stat *st);
/* Applies the change in the order size, owner, mode, times, and stops at the first error; an
 * error of asking for the attributes afterwards comes when the change has been made.
 * handle: an open writable one of this object (a size change then needs no permission,
 * as ftruncate), or NULL. st: the attributes afterwards. */
int tree_setattr(struct tree_object *o, const struct tree_change *change, struct tree_handle *handle,
                 struct stat *st);
/* The target's length, cut to `size`; not NUL-terminated. */
ssize_t tree_readlink(struct tree_object *o, char *buffer, size_t size);
/* As getxattr(2) and its kin: size 0 asks for the length. handle: an open one of this object,
 * through which a store may have a shorter way, or NULL. */
ssize_t tree_getxattr(struct tree_object *o, struct tree_handle *handle, const char *name, void *value,
                      size_t size);
ssize_t tree_listxattr(struct tree_object *o, char *list, size_t size);
int tree_setxattr(struct tree_object *o, const char *name, const void *value, size_t size, int flags);
int tree_removexattr(struct tree_object *o, const char *name);
int tree_statfs(struct tree_object *o, struct statvfs *st);

/* ---- values ---- */

/* flags: the access mode, O_TRUNC, O_SYNC, O_DSYNC, O_NOATIME; others are ignored. O_APPEND
 * too: the caller gives offsets. */
int tree_open(struct tree_object *o, int flags, struct tree_handle **out);
/* What a network backing reports at close; call it for each close(2) of a user. */
int tree_flush(struct tree_handle *h);
struct tree_handle *tree_handle_ref(struct tree_handle *h);
/* Gives a reference back; the last one closes. NULL is fine. */
void tree_close(struct tree_handle *h);

/* Reads up to n bytes; less only at the value's end. */
ssize_t tree_read(struct tree_handle *h, void *buffer, size_t n, off_t offset);
/* POSIX: writes up to n bytes, extends, fills a gap with zeros (W2). Less than n only when the
 * rest failed (disk full, limits); -errno when nothing was written. */
ssize_t tree_write(struct tree_handle *h, const void *data, size_t n, off_t offset);
/* The same at the end of the value, wherever that is at this moment. */
ssize_t tree_append(struct tree_handle *h, const void *data, size_t n);

/* Strict: overwrites exactly [offset, offset+n) of the value. It never extends and never
 * creates: -EINVAL and an unchanged value when the range starts below zero or does not lie
 * inside the value; nothing at all, mtime included, for n = 0 (W2, W4). A truncation of
 * this object through the same tree comes wholly before or wholly after. All n bytes are
 * written, or -errno: then only bytes inside the range may have changed. */
int tree_set_range(struct tree_handle *h, off_t offset, const void *data, size_t n);
/* The same by path: -ENOENT for a missing one (W3), -EISDIR, -EINVAL when it is no file. */
int tree_set_range_at(struct store_tree *t, const char *path, off_t offset, const void *data, size_t n);

int tree_fsync(struct tree_handle *h, bool data_only);
int tree_fallocate(struct tree_handle *h, int mode, off_t offset, off_t length);
/* whence: SEEK_DATA or SEEK_HOLE; -ENXIO past the end. Returns the offset. */
off_t tree_seek(struct tree_handle *h, off_t offset, int whence);
/* As copy_file_range(2) between two handles of one tree. */
ssize_t tree_copy_range(struct tree_handle *in, off_t in_offset, struct tree_handle *out,
                        off_t out_offset, size_t n);

/* ---- directories ---- */

/* One entry. `type` holds the S_IFMT bits, 0 unknown; `next` continues behind it. Returns
 * false when it was not taken and no more are wanted. */
typedef bool tree_entry_fn(void *context, const char *name, uint64_t ino, mode_t type, off_t next);

int tree_opendir(struct tree_object *o, struct tree_dir **out);
/* Gives the entries that follow `offset` (0: the start), "." and ".." included, in a stable
 * order; entries that come or go meanwhile are seen or not, all others exactly once. */
int tree_readdir(struct store_tree *t, struct tree_dir *d, off_t offset, tree_entry_fn *fn, void *context);
int tree_fsyncdir(struct store_tree *t, struct tree_dir *d, bool data_only);
void tree_closedir(struct store_tree *t, struct tree_dir *d);

/* ---- for stores ---- */

/* What a store must give. Arguments are checked already; the semantics stand above. */
struct store_tree_ops {
	void (*destroy)(struct store_tree *t);
	void (*object_free)(struct tree_object *o); /* at the last unref */

	int (*lookup)(struct tree_object *dir, const char *name, struct tree_object **out, struct stat *st);
	int (*create)(struct tree_object *dir, const char *name, int flags, mode_t mode,
	              const struct tree_caller *caller, struct tree_handle **handle, struct stat *st);
	/* mode has a type. */
	int (*make)(struct tree_object *dir, const char *name, mode_t mode, dev_t device,
	            const char *target, const struct tree_caller *caller,
	            struct tree_object **out, struct stat *st);
	int (*unlink)(struct tree_object *dir, const char *name, bool directory);
	int (*rename)(struct tree_object *from, const char *name, struct tree_object *to,
	              const char *new_name, unsigned flags);
	int (*put)(struct tree_object *dir, const char *name, const void *data, size_t length,
	           const struct tree_caller *caller);
	int (*getattr)(struct tree_object *o, struct stat *st);
	int (*setattr)(struct tree_object *o, const struct tree_change *change, struct tree_handle *handle);
	int (*open)(struct tree_object *o, int flags, struct tree_handle **out);
	int (*statfs)(struct tree_object *o, struct statvfs *st);
	int (*opendir)(struct tree_object *o, struct tree_dir **out);
	int (*readdir)(struct tree_dir *d, off_t offset, tree_entry_fn *fn, void *context);
	int (*fsyncdir)(struct tree_dir *d, bool data_only);
	void (*closedir)(struct tree_dir *d);
	/* Optional. */
	int (*link)(struct tree_object *o, struct tree_object *dir, const char *name);
	ssize_t (*readlink)(struct tree_object *o, char *buffer, size_t size);
	ssize_t (*getxattr)(struct tree_object *o, const char *name, void *value, size_t size);
	ssize_t (*listxattr)(struct tree_object *o, char *list, size_t size);
	int (*setxattr)(struct tree_object *o, const char *name, const void *value, size_t size, int flags);
	int (*removexattr)(struct tree_object *o, const char *name);
};

struct tree_handle_ops {
	ssize_t (*read)(struct tree_handle *h, void *buffer, size_t n, off_t offset);
	ssize_t (*write)(struct tree_handle *h, const void *data, size_t n, off_t offset);
	ssize_t (*append)(struct tree_handle *h, const void *data, size_t n);
	int (*set_range)(struct tree_handle *h, off_t offset, const void *data, size_t n);
	int (*fsync)(struct tree_handle *h, bool data_only);
	void (*close)(struct tree_handle *h); /* frees the handle, lets go of its object */
	/* Optional. */
	int (*flush)(struct tree_handle *h);
	ssize_t (*getxattr)(struct tree_handle *h, const char *name, void *value, size_t size);
	int (*fallocate)(struct tree_handle *h, int mode, off_t offset, off_t length);
	off_t (*seek)(struct tree_handle *h, off_t offset, int whence);
	ssize_t (*copy_range)(struct tree_handle *in, off_t in_offset, struct tree_handle *out,
	                      off_t out_offset, size_t n);
};

/* The stores: what stands behind "file://", "direct://" and "mem://". `path` names an existing
 * directory. On failure a line in `error` says what,
 * where and what to do. */
struct buf;
int dir_tree_create(const char *path, bool read_only, struct store_tree **out, struct buf *error);
int direct_tree_create(const char *path, bool read_only, struct store_tree **out, struct buf *error);
/* path must be "". */
int mem_tree_create(const char *path, bool read_only, struct store_tree **out, struct buf *error);

/* A layer over any of them that does badly on purpose, for tests: `spec` says how (the option
 * chaos=, src/store/chaos.h). Takes inner unless it fails; -EINVAL with a line in `error` when
 * it does not understand. It gives out no descriptors, so that nothing passes it by. */
int chaos_tree_create(const char *spec, struct store_tree *inner, struct store_tree **out, struct buf *error);

#endif
