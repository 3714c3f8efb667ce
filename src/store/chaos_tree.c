/* chaos_tree.c - a local-backed store that does badly on purpose, over any other; chaos.h says
 * what it can be told to do.
 *
 * Each object, handle and directory stands around one of the store below. A handle here has
 * no descriptor, whatever the one below has: what is spliced from a descriptor or to it
 * would pass the faults by. For the same reason the tree calls itself a network's, so that
 * flush, which reports at close, is asked for.
 *
 * An operation that fails here has not been started below, with two exceptions that the
 * contract knows: a write that is cut short has written as much as it says, and a set_range
 * that is cut short, which says nothing, has written some bytes of its range. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/xalloc.h"
#include "pailfs/store_tree.h"
#include "src/store/chaos.h"

struct chaos_tree {
	struct store_tree base;
	struct store_tree *inner;
	struct chaos_plan plan;
};

struct chaos_object {
	struct tree_object base;
	struct tree_object *inner; /* counted */
};

struct chaos_handle {
	struct tree_handle base; /* its fd is -1 */
	struct tree_handle *inner;
};

struct tree_dir {
	struct chaos_tree *tree;
	struct tree_dir *inner; /* the lower store's own */
};

static const struct tree_handle_ops chaos_handle_ops;

static struct chaos_tree *chaos_tree(struct tree_object *o)
{
	return container_of(o->tree, struct chaos_tree, base);
}

static struct tree_object *inner_object(struct tree_object *o)
{
	return container_of(o, struct chaos_object, base)->inner;
}

static struct tree_handle *inner_handle(struct tree_handle *h)
{
	return container_of(h, struct chaos_handle, base)->inner;
}

/* ---- fate ---- */

/* Decides about an operation, after the delay that was decided. */
static struct chaos_fate meet(struct chaos_tree *t, enum chaos_operation operation, size_t length)
{
	struct chaos_fate fate = chaos_decide(&t->plan, operation, length);
	struct timespec delay = timespec_from_ns((int64_t)fate.delay_ns);

	if (fate.delay_ns)
		while (clock_nanosleep(CLOCK_MONOTONIC, 0, &delay, &delay) == EINTR)
			;
	return fate;
}

/* For operations that happen or do not. */
static int spared(struct tree_object *o, enum chaos_operation operation)
{
	return meet(chaos_tree(o), operation, 0).error;
}

/* ---- objects and handles ---- */

/* Takes the reference of inner. */
static struct tree_object *object_make(struct chaos_tree *t, struct tree_object *inner)
{
	struct chaos_object *o = xcalloc(1, sizeof(*o));

	o->base.tree = &t->base;
	atomic_init(&o->base.refs, 1);
	o->inner = inner;
	return &o->base;
}

static void chaos_object_free(struct tree_object *base)
{
	struct chaos_object *o = container_of(base, struct chaos_object, base);

	tree_object_unref(o->inner);
	free(o);
}

/* Takes inner and the reference of o. */
static struct tree_handle *handle_make(struct tree_object *o, struct tree_handle *inner)
{
	struct chaos_handle *h = xcalloc(1, sizeof(*h));

	h->base.ops = &chaos_handle_ops;
	atomic_init(&h->base.refs, 1);
	h->base.object = o;
	h->base.fd = -1;
	h->base.readable = inner->readable;
	h->base.writable = inner->writable;
	h->inner = inner;
	return &h->base;
}

static void chaos_close(struct tree_handle *base)
{
	struct chaos_handle *h = container_of(base, struct chaos_handle, base);

	tree_close(h->inner);
	tree_object_unref(h->base.object);
	free(h);
}

/* ---- names ---- */

static int chaos_lookup(struct tree_object *dir, const char *name, struct tree_object **out,
                        struct stat *st)
{
	struct tree_object *inner;
	int r = spared(dir, CHAOS_LOOKUP);

	if (!r)
		r = tree_lookup(inner_object(dir), name, &inner, st);
	if (!r)
		*out = object_make(chaos_tree(dir), inner);
	return r;
}

static int chaos_create(struct tree_object *dir, const char *name, int flags, mode_t mode,
                        const struct tree_caller *caller, struct tree_handle **handle,
                        struct stat *st)
{
	struct tree_handle *inner;
	int r = spared(dir, CHAOS_CREATE);

	if (!r)
		r = tree_create(inner_object(dir), name, flags, mode, caller, &inner, st);
	if (!r)
		*handle = handle_make(object_make(chaos_tree(dir), tree_object_ref(inner->object)),
		                      inner);
	return r;
}

static int chaos_make(struct tree_object *dir, const char *name, mode_t mode, dev_t device,
                      const char *target, const struct tree_caller *caller,
                      struct tree_object **out, struct stat *st)
{
	struct tree_object *inner;
	int r = spared(dir, CHAOS_MAKE);

	if (!r)
		r = tree_make(inner_object(dir), name, mode, device, target, caller, &inner, st);
	if (!r)
		*out = object_make(chaos_tree(dir), inner);
	return r;
}

static int chaos_unlink(struct tree_object *dir, const char *name, bool directory)
{
	int r = spared(dir, CHAOS_UNLINK);

	if (r)
		return r;
	return directory ? tree_rmdir(inner_object(dir), name)
	                 : tree_unlink(inner_object(dir), name);
}

static int chaos_rename(struct tree_object *from, const char *name, struct tree_object *to,
                        const char *new_name, unsigned flags)
{
	int r = spared(from, CHAOS_RENAME);

	return r ? r : tree_rename(inner_object(from), name, inner_object(to), new_name, flags);
}

static int chaos_put(struct tree_object *dir, const char *name, const void *data, size_t length,
                     const struct tree_caller *caller)
{
	int r = meet(chaos_tree(dir), CHAOS_PUT, length).error;

	return r ? r : tree_put(inner_object(dir), name, data, length, caller);
}

static int chaos_link(struct tree_object *o, struct tree_object *dir, const char *name)
{
	struct stat st;
	int r = spared(o, CHAOS_LINK);

	return r ? r : tree_link(inner_object(o), inner_object(dir), name, &st);
}

static ssize_t chaos_readlink(struct tree_object *o, char *buffer, size_t size)
{
	int r = spared(o, CHAOS_READLINK);

	return r ? r : tree_readlink(inner_object(o), buffer, size);
}

/* ---- attributes ---- */

static int chaos_getattr(struct tree_object *o, struct stat *st)
{
	int r = spared(o, CHAOS_GETATTR);

	return r ? r : tree_getattr(inner_object(o), st);
}

static int chaos_setattr(struct tree_object *o, const struct tree_change *change,
                         struct tree_handle *handle)
{
	struct stat st;
	int r = spared(o, change->what & TREE_SET_SIZE ? CHAOS_TRUNCATE : CHAOS_SETATTR);

	return r ? r
	         : tree_setattr(inner_object(o), change, handle ? inner_handle(handle) : NULL, &st);
}

static ssize_t chaos_getxattr(struct tree_object *o, const char *name, void *value, size_t size)
{
	int r = spared(o, CHAOS_XATTR);

	return r ? r : tree_getxattr(inner_object(o), NULL, name, value, size);
}

static ssize_t chaos_listxattr(struct tree_object *o, char *list, size_t size)
{
	int r = spared(o, CHAOS_XATTR);

	return r ? r : tree_listxattr(inner_object(o), list, size);
}

static int chaos_setxattr(struct tree_object *o, const char *name, const void *value, size_t size,
                          int flags)
{
	int r = spared(o, CHAOS_XATTR);

	return r ? r : tree_setxattr(inner_object(o), name, value, size, flags);
}

static int chaos_removexattr(struct tree_object *o, const char *name)
{
	int r = spared(o, CHAOS_XATTR);

	return r ? r : tree_removexattr(inner_object(o), name);
}

static int chaos_statfs(struct tree_object *o, struct statvfs *st)
{
	int r = spared(o, CHAOS_STATFS);

	return r ? r : tree_statfs(inner_object(o), st);
}

/* ---- values ---- */

static int chaos_open(struct tree_object *o, int flags, struct tree_handle **out)
{
	struct tree_handle *inner;
	int r = spared(o, CHAOS_OPEN);

	if (!r)
		r = tree_open(inner_object(o), flags, &inner);
	if (!r)
		*out = handle_make(tree_object_ref(o), inner);
	return r;
}

static int chaos_flush(struct tree_handle *h)
{
	int r = spared(h->object, CHAOS_FLUSH);

	return r ? r : tree_flush(inner_handle(h));
}

/* Whole or not at all: a short read means the value's end. */
static ssize_t chaos_read(struct tree_handle *h, void *buffer, size_t n, off_t offset)
{
	int r = spared(h->object, CHAOS_READ);

	return r ? r : tree_read(inner_handle(h), buffer, n, offset);
}

static ssize_t chaos_write(struct tree_handle *h, const void *data, size_t n, off_t offset)
{
	struct chaos_fate fate = meet(chaos_tree(h->object), CHAOS_WRITE, n);

	return fate.length ? tree_write(inner_handle(h), data, fate.length, offset) : fate.error;
}

static ssize_t chaos_append(struct tree_handle *h, const void *data, size_t n)
{
	struct chaos_fate fate = meet(chaos_tree(h->object), CHAOS_WRITE, n);

	return fate.length ? tree_append(inner_handle(h), data, fate.length) : fate.error;
}

/* The part of a range that is written is its end: that fits into the value only if all does. */
static int chaos_set_range(struct tree_handle *h, off_t offset, const void *data, size_t n)
{
	struct chaos_fate fate = meet(chaos_tree(h->object), CHAOS_SET_RANGE, n);
	size_t skip = n - fate.length;
	int r = 0;

	if (fate.length)
		r = tree_set_range(inner_handle(h), offset + (off_t)skip, (const char *)data + skip,
		                   fate.length);
	return r ? r : fate.error;
}

static int chaos_fsync(struct tree_handle *h, bool data_only)
{
	int r = spared(h->object, CHAOS_FSYNC);

	return r ? r : tree_fsync(inner_handle(h), data_only);
}

static int chaos_fallocate(struct tree_handle *h, int mode, off_t offset, off_t length)
{
	size_t taken = mode & FALLOC_FL_PUNCH_HOLE ? 0 : (size_t)length;
	int r = meet(chaos_tree(h->object), CHAOS_FALLOCATE, taken).error;

	return r ? r : tree_fallocate(inner_handle(h), mode, offset, length);
}

static off_t chaos_seek(struct tree_handle *h, off_t offset, int whence)
{
	int r = spared(h->object, CHAOS_SEEK);

	return r ? r : tree_seek(inner_handle(h), offset, whence);
}

static ssize_t chaos_copy_range(struct tree_handle *in, off_t in_offset, struct tree_handle *out,
                                off_t out_offset, size_t n)
{
	struct chaos_fate fate = meet(chaos_tree(out->object), CHAOS_COPY, n);

	if (fate.error && !fate.length)
		return fate.error;
	return tree_copy_range(inner_handle(in), in_offset, inner_handle(out), out_offset,
	                       fate.length);
}

static const struct tree_handle_ops chaos_handle_ops = {
	.read = chaos_read,
	.write = chaos_write,
	.append = chaos_append,
	.set_range = chaos_set_range,
	.fsync = chaos_fsync,
	.close = chaos_close,
	.flush = chaos_flush,
	.fallocate = chaos_fallocate,
	.seek = chaos_seek,
	.copy_range = chaos_copy_range,
};

/* ---- directories ---- */

static int chaos_opendir(struct tree_object *o, struct tree_dir **out)
{
	struct tree_dir *inner;
	int r = spared(o, CHAOS_OPENDIR);

	if (!r)
		r = tree_opendir(inner_object(o), &inner);
	if (r)
		return r;
	*out = xmalloc(sizeof(**out));
	**out = (struct tree_dir){chaos_tree(o), inner};
	return 0;
}

static int chaos_readdir(struct tree_dir *d, off_t offset, tree_entry_fn *fn, void *context)
{
	int r = meet(d->tree, CHAOS_READDIR, 0).error;

	return r ? r : tree_readdir(d->tree->inner, d->inner, offset, fn, context);
}

static int chaos_fsyncdir(struct tree_dir *d, bool data_only)
{
	int r = meet(d->tree, CHAOS_FSYNCDIR, 0).error;

	return r ? r : tree_fsyncdir(d->tree->inner, d->inner, data_only);
}

static void chaos_closedir(struct tree_dir *d)
{
	tree_closedir(d->tree->inner, d->inner);
	free(d);
}

/* ---- life ---- */

static void chaos_destroy(struct store_tree *base)
{
	struct chaos_tree *t = container_of(base, struct chaos_tree, base);

	tree_destroy(t->inner);
	chaos_plan_release(&t->plan);
	free(t);
}

static const struct store_tree_ops chaos_tree_ops = {
	.destroy = chaos_destroy,
	.object_free = chaos_object_free,
	.lookup = chaos_lookup,
	.create = chaos_create,
	.make = chaos_make,
	.unlink = chaos_unlink,
	.rename = chaos_rename,
	.put = chaos_put,
	.getattr = chaos_getattr,
	.setattr = chaos_setattr,
	.open = chaos_open,
	.statfs = chaos_statfs,
	.opendir = chaos_opendir,
	.readdir = chaos_readdir,
	.fsyncdir = chaos_fsyncdir,
	.closedir = chaos_closedir,
	.link = chaos_link,
	.readlink = chaos_readlink,
	.getxattr = chaos_getxattr,
	.listxattr = chaos_listxattr,
	.setxattr = chaos_setxattr,
	.removexattr = chaos_removexattr,
};

int chaos_tree_create(const char *spec, struct store_tree *inner, struct store_tree **out,
                      struct buf *error)
{
	struct chaos_tree *t = xcalloc(1, sizeof(*t));
	int r = chaos_plan_init(&t->plan, spec, CHAOS_TREE, error);

	if (r) {
		free(t);
		return r;
	}
	t->base = (struct store_tree){
		.ops = &chaos_tree_ops,
		.name = inner->name,
		.read_only = inner->read_only,
		.network = true,
		.max_objects = inner->max_objects,
	};
	t->inner = inner;
	t->base.root = object_make(t, tree_object_ref(inner->root));
	*out = &t->base;
	return 0;
}
