/* tree.c - the one way to call a local-backed store.
 *
 * The wrappers refuse what no store should have to look at (names that are not one component,
 * ranges that are none, changes to a read-only tree) and give operations that a store lacks
 * their errno. What is composed of other operations alone (walking a path, set_range by
 * path) stands here once for all stores. */
#include "pailfs/store_tree.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"

static int check_name(const char *name)
{
	size_t n = strlen(name);

	if (n > NAME_MAX)
		return -ENAMETOOLONG;
	if (!n || !strcmp(name, ".") || !strcmp(name, "..") || memchr(name, '/', n))
		return -EINVAL;
	return 0;
}

/* For what changes the directory. */
static int check_change(const struct tree_object *dir, const char *name)
{
	int r = check_name(name);

	return r ? r : dir->tree->read_only ? -EROFS : 0;
}

static int check_range(off_t offset, size_t n)
{
	off_t end;

	if (offset < 0)
		return -EINVAL;
	return n > SSIZE_MAX || __builtin_add_overflow(offset, (off_t)n, &end) ? -EFBIG : 0;
}

/* ---- life ---- */

void tree_destroy(struct store_tree *t)
{
	if (!t)
		return;
	tree_object_unref(t->root);
	t->ops->destroy(t);
}

struct tree_object *tree_object_ref(struct tree_object *o)
{
	unsigned before = atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);

	assert(before > 0);
	return o;
}

void tree_object_unref(struct tree_object *o)
{
	unsigned before;

	if (!o)
		return;
	before = atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel);
	assert(before > 0);
	if (before == 1)
		o->tree->ops->object_free(o);
}

/* ---- callers ---- */

bool tree_caller_in_group(const struct tree_caller *caller, gid_t gid)
{
	bool found = !caller->uid || caller->gid == gid;
	int count, got;
	gid_t *list;

	if (found || !caller->groups)
		return found;
	count = MAX(caller->groups(caller, NULL, 0), 0);
	list = xmalloc((size_t)count * sizeof(*list) + 1);
	got = caller->groups(caller, list, count);
	for (int i = 0; i < MIN(got, count) && !found; i++)
		found = list[i] == gid;
	free(list);
	return found;
}

/* ---- names ---- */

int tree_lookup(struct tree_object *dir, const char *name, struct tree_object **out, struct stat *st)
{
	int r = check_name(name);

	return r ? r : dir->tree->ops->lookup(dir, name, out, st);
}

int tree_walk(struct store_tree *t, const char *path, struct tree_object **out, struct stat *st)
{
	struct tree_object *o = tree_object_ref(t->root);
	char name[NAME_MAX + 1];
	int r = tree_getattr(o, st);

	while (!r && *path) {
		size_t n = strcspn(path, "/");
		struct tree_object *next;

		if (n > NAME_MAX) {
			r = -ENAMETOOLONG;
			break;
		}
		if (!S_ISDIR(st->st_mode)) {
			r = S_ISLNK(st->st_mode) ? -ELOOP : -ENOTDIR;
			break;
		}
		snprintf(name, sizeof(name), "%.*s", (int)n, path);
		r = tree_lookup(o, name, &next, st);
		if (!r) {
			tree_object_unref(o);
			o = next;
			path += n;
			path += *path == '/';
		}
	}
	if (r)
		tree_object_unref(o);
	else
		*out = o;
	return r;
}

int tree_create(struct tree_object *dir, const char *name, int flags, mode_t mode,
                const struct tree_caller *caller, struct tree_handle **handle, struct stat *st)
{
	int r = check_change(dir, name);

	return r ? r : dir->tree->ops->create(dir, name, flags, mode & 07777, caller, handle, st);
}

int tree_make(struct tree_object *dir, const char *name, mode_t mode, dev_t device, const char *target,
              const struct tree_caller *caller, struct tree_object **out, struct stat *st)
{
	int r = check_change(dir, name);

	if (r)
		return r;
	if (!(mode & S_IFMT))
		mode |= S_IFREG;
	if (S_ISLNK(mode) != (target != NULL))
		return -EINVAL;
	if (S_ISLNK(mode)) {
		if (!dir->tree->ops->readlink)
			return -EOPNOTSUPP;
		mode = S_IFLNK | 0777;
	}
	return dir->tree->ops->make(dir, name, mode, device, target, caller, out, st);
}

int tree_link(struct tree_object *o, struct tree_object *dir, const char *name, struct stat *st)
{
	int r = check_change(dir, name);

	assert(o->tree == dir->tree);
	if (r)
		return r;
	if (!o->tree->ops->link)
		return -EOPNOTSUPP;
	r = o->tree->ops->link(o, dir, name);
	return r ? r : tree_getattr(o, st);
}

int tree_unlink(struct tree_object *dir, const char *name)
{
	int r = check_change(dir, name);

	return r ? r : dir->tree->ops->unlink(dir, name, false);
}

int tree_rmdir(struct tree_object *dir, const char *name)
{
	int r = check_change(dir, name);

	return r ? r : dir->tree->ops->unlink(dir, name, true);
}

int tree_rename(struct tree_object *from, const char *name, struct tree_object *to,
                const char *new_name, unsigned flags)
{
	int r = check_change(from, name);

	assert(from->tree == to->tree);
	if (!r)
		r = check_name(new_name);
	if (r)
		return r;
	if (flags && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE)
		return -EINVAL;
	return from->tree->ops->rename(from, name, to, new_name, flags);
}

int tree_put(struct tree_object *dir, const char *name, const void *data, size_t length,
             const struct tree_caller *caller)
{
	int r = check_change(dir, name);

	if (!r)
		r = check_range(0, length);
	return r ? r : dir->tree->ops->put(dir, name, data, length, caller);
}

/* ---- attributes ---- */

int tree_getattr(struct tree_object *o, struct stat *st)
{
	return o->tree->ops->getattr(o, st);
}

int tree_setattr(struct tree_object *o, const struct tree_change *change, struct tree_handle *handle,
                 struct stat *st)
{
	int r = 0;

	assert(!handle || handle->object->tree == o->tree);
	if (o->tree->read_only)
		return -EROFS;
	if ((change->what & TREE_SET_SIZE) && change->size < 0)
		return -EINVAL;
	if (change->what)
		r = o->tree->ops->setattr(o, change, handle);
	return r ? r : tree_getattr(o, st);
}

ssize_t tree_readlink(struct tree_object *o, char *buffer, size_t size)
{
	return o->tree->ops->readlink ? o->tree->ops->readlink(o, buffer, size) : -EINVAL;
}

ssize_t tree_getxattr(struct tree_object *o, struct tree_handle *handle, const char *name, void *value,
                      size_t size)
{
	assert(!handle || handle->object->tree == o->tree);
	if (handle && handle->ops->getxattr)
		return handle->ops->getxattr(handle, name, value, size);
	return o->tree->ops->getxattr ? o->tree->ops->getxattr(o, name, value, size) : -EOPNOTSUPP;
}

ssize_t tree_listxattr(struct tree_object *o, char *list, size_t size)
{
	return o->tree->ops->listxattr ? o->tree->ops->listxattr(o, list, size) : -EOPNOTSUPP;
}

int tree_setxattr(struct tree_object *o, const char *name, const void *value, size_t size, int flags)
{
	if (o->tree->read_only)
		return -EROFS;
	return o->tree->ops->setxattr ? o->tree->ops->setxattr(o, name, value, size, flags)
	                              : -EOPNOTSUPP;
}

int tree_removexattr(struct tree_object *o, const char *name)
{
	if (o->tree->read_only)
		return -EROFS;
	return o->tree->ops->removexattr ? o->tree->ops->removexattr(o, name) : -EOPNOTSUPP;
}

int tree_statfs(struct tree_object *o, struct statvfs *st)
{
	return o->tree->ops->statfs(o, st);
}

/* ---- values ---- */

int tree_open(struct tree_object *o, int flags, struct tree_handle **out)
{
	flags &= O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC | O_NOATIME;
	if (o->tree->read_only && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC)))
		return -EROFS;
	return o->tree->ops->open(o, flags, out);
}

int tree_flush(struct tree_handle *h)
{
	return h->ops->flush ? h->ops->flush(h) : 0;
}

struct tree_handle *tree_handle_ref(struct tree_handle *h)
{
	unsigned before = atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);

	assert(before > 0);
	return h;
}

void tree_close(struct tree_handle *h)
{
	if (h && atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) == 1)
		h->ops->close(h);
}

ssize_t tree_read(struct tree_handle *h, void *buffer, size_t n, off_t offset)
{
	if (offset < 0)
		return -EINVAL;
	n = MIN(n, (size_t)SSIZE_MAX);
	return n ? h->ops->read(h, buffer, n, offset) : 0;
}

ssize_t tree_write(struct tree_handle *h, const void *data, size_t n, off_t offset)
{
	int r = check_range(offset, n);

	if (!h->writable)
		return -EBADF;
	return r ? r : n ? h->ops->write(h, data, n, offset) : 0;
}

ssize_t tree_append(struct tree_handle *h, const void *data, size_t n)
{
	int r = check_range(0, n);

	if (!h->writable)
		return -EBADF;
	return r ? r : n ? h->ops->append(h, data, n) : 0;
}

int tree_set_range(struct tree_handle *h, off_t offset, const void *data, size_t n)
{
	if (!h->writable)
		return -EBADF;
	/* A range that ends beyond what an offset can say fits in no value. */
	if (check_range(offset, n))
		return -EINVAL;
	return n ? h->ops->set_range(h, offset, data, n) : 0;
}

int tree_set_range_at(struct store_tree *t, const char *path, off_t offset, const void *data, size_t n)
{
	struct tree_object *o;
	struct tree_handle *h;
	struct stat st;
	int r = tree_walk(t, path, &o, &st);

	if (r)
		return r;
	if (!S_ISREG(st.st_mode))
		r = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	else if (check_range(offset, n))
		r = -EINVAL;
	else if (t->read_only)
		r = -EROFS;
	else if (n)
		r = tree_open(o, O_WRONLY, &h);
	if (!r && n) {
		r = tree_set_range(h, offset, data, n);
		tree_close(h);
	}
	tree_object_unref(o);
	return r;
}

int tree_fsync(struct tree_handle *h, bool data_only)
{
	return h->ops->fsync(h, data_only);
}

int tree_fallocate(struct tree_handle *h, int mode, off_t offset, off_t length)
{
	off_t end;

	if (!h->writable)
		return -EBADF;
	if (offset < 0 || length <= 0)
		return -EINVAL;
	if (__builtin_add_overflow(offset, length, &end))
		return -EFBIG;
	return h->ops->fallocate ? h->ops->fallocate(h, mode, offset, length) : -EOPNOTSUPP;
}

off_t tree_seek(struct tree_handle *h, off_t offset, int whence)
{
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	if (offset < 0)
		return -ENXIO;
	return h->ops->seek ? h->ops->seek(h, offset, whence) : -EOPNOTSUPP;
}

ssize_t tree_copy_range(struct tree_handle *in, off_t in_offset, struct tree_handle *out,
                        off_t out_offset, size_t n)
{
	assert(in->object->tree == out->object->tree);
	if (!out->writable)
		return -EBADF;
	if (check_range(in_offset, n) || check_range(out_offset, n))
		return -EINVAL;
	return out->ops->copy_range ? out->ops->copy_range(in, in_offset, out, out_offset, n)
	                            : -EOPNOTSUPP;
}

/* ---- directories ---- */

int tree_opendir(struct tree_object *o, struct tree_dir **out)
{
	return o->tree->ops->opendir(o, out);
}

int tree_readdir(struct store_tree *t, struct tree_dir *d, off_t offset, tree_entry_fn *fn, void *context)
{
	return t->ops->readdir(d, offset, fn, context);
}

int tree_fsyncdir(struct store_tree *t, struct tree_dir *d, bool data_only)
{
	return t->ops->fsyncdir(d, data_only);
}

void tree_closedir(struct store_tree *t, struct tree_dir *d)
{
	t->ops->closedir(d);
}
