/* mem.c - a tree in memory: empty at the start, gone at the end.
 *
 * It is a whole file system (links, holes, attributes), because what stands on it, the mount
 * and the tests, shall not have to know which store is beneath. Two kinds of locks: the
 * tree's for names and link counts, each object's for its attributes and bytes; the tree's is
 * taken first. A directory's entry holds a reference of its object, so an object lives while
 * it has a name or somebody holds it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pailfs/base/buf.h"
#include "pailfs/base/lock.h"
#include "src/store/mem_impl.h"

/* ---- objects ---- */

static struct mem_object *object_make(struct mem_tree *t, mode_t mode, uid_t uid, gid_t gid)
{
	struct mem_object *o = xcalloc(1, sizeof(*o));

	o->base.tree = &t->base;
	atomic_init(&o->base.refs, 1);
	o->ino = ++t->next_ino;
	o->type = mode & S_IFMT;
	o->mode = mode & 07777;
	o->uid = uid;
	o->gid = gid;
	o->atime = o->mtime = o->ctime = mem_now();
	pages_init(&o->pages, &t->budget);
	pthread_rwlock_init(&o->lock, NULL);
	return o;
}

static void free_one(struct mem_object *o, struct mem_object **doomed)
{
	struct mem_entry *e, *tmp;

	HASH_ITER(hh, o->entries, e, tmp) {
		struct mem_object *child = e->object;

		HASH_DEL(o->entries, e);
		free(e);
		if (atomic_fetch_sub_explicit(&child->base.refs, 1, memory_order_acq_rel) == 1) {
			child->doomed = *doomed;
			*doomed = child;
		}
	}
	mem_xattrs_free(o);
	pages_release(&o->pages);
	pthread_rwlock_destroy(&o->lock);
	free(o->target);
	free(o);
}

/* One after the other, not one within the other: a tree may be deeper than a stack. */
static void mem_object_free(struct tree_object *base)
{
	struct mem_object *doomed = mem_object(base);

	while (doomed) {
		struct mem_object *o = doomed;

		doomed = o->doomed;
		free_one(o, &doomed);
	}
}

static void stat_locked(struct mem_object *o, struct stat *st)
{
	pthread_rwlock_rdlock(&o->lock);
	*st = (struct stat){
		.st_ino = o->ino,
		.st_mode = o->type | o->mode,
		.st_nlink = o->links,
		.st_uid = o->uid,
		.st_gid = o->gid,
		.st_rdev = o->device,
		.st_size = (off_t)o->size,
		.st_blksize = PAGE_BYTES,
		.st_blocks = (blkcnt_t)(o->pages.count * (PAGE_BYTES / 512)),
		.st_atim = o->atime,
		.st_mtim = o->mtime,
		.st_ctim = o->ctime,
	};
	pthread_rwlock_unlock(&o->lock);
}

static void touch(struct mem_object *o, bool modified)
{
	pthread_rwlock_wrlock(&o->lock);
	o->ctime = mem_now();
	if (modified)
		o->mtime = o->ctime;
	pthread_rwlock_unlock(&o->lock);
}

/* ---- names; all with the tree's lock held ---- */

static struct mem_entry *entry_find(struct mem_object *dir, const char *name)
{
	struct mem_entry *e;

	HASH_FIND_STR(dir->entries, name, e);
	return e;
}

/* Takes the reference of o. */
static void entry_add(struct mem_object *dir, const char *name, struct mem_object *o)
{
	size_t n = strlen(name);
	struct mem_entry *e = xcalloc(1, sizeof(*e) + n + 1);

	memcpy(e->name, name, n + 1);
	e->object = o;
	HASH_ADD_KEYPTR(hh, dir->entries, e->name, n, e);
	if (S_ISDIR(o->type)) {
		o->parent = dir;
		dir->links++;
	}
	dir->size++;
	touch(dir, true);
}

/* Returns the object with the entry's reference. */
static struct mem_object *entry_remove(struct mem_object *dir, struct mem_entry *e)
{
	struct mem_object *o = e->object;

	HASH_DEL(dir->entries, e);
	free(e);
	if (S_ISDIR(o->type)) {
		o->parent = NULL;
		dir->links--;
	}
	dir->size--;
	touch(dir, true);
	return o;
}

/* The object has one name less; a directory has but one. */
static void lose_name(struct mem_object *o)
{
	o->links = S_ISDIR(o->type) ? 0 : o->links - 1;
	touch(o, false);
}

static bool is_ancestor(const struct mem_object *o, const struct mem_object *below)
{
	for (; below; below = below->parent)
		if (below == o)
			return true;
	return false;
}

static int mem_lookup(struct tree_object *base, const char *name, struct tree_object **out, struct stat *st)
{
	struct mem_object *dir = mem_object(base);
	struct mem_entry *e;

	if (!S_ISDIR(dir->type))
		return -ENOTDIR;
	scoped_lock(&mem_tree(dir)->lock);
	e = entry_find(dir, name);
	if (!e)
		return -ENOENT;
	stat_locked(e->object, st);
	*out = tree_object_ref(&e->object->base);
	return 0;
}

static bool in_group(const struct tree_caller *caller, gid_t gid)
{
	gid_t groups[256];
	int n;

	if (!caller->uid || caller->gid == gid)
		return true;
	n = caller->groups ? caller->groups(caller, groups, ARRAY_SIZE(groups)) : 0;
	for (int i = 0; i < MIN(n, (int)ARRAY_SIZE(groups)); i++)
		if (groups[i] == gid)
			return true;
	return false;
}

/* Makes an object under a free name, with the owner and group that POSIX and the parent's
 * setgid bit ask for (W16). */
static int make_locked(struct mem_object *dir, const char *name, mode_t mode,
                       const struct tree_caller *caller, struct mem_object **out)
{
	const struct tree_caller self = {.uid = geteuid(), .gid = getegid()};
	gid_t gid;
	struct stat st;

	if (!S_ISDIR(dir->type))
		return -ENOTDIR;
	if (!dir->links)
		return -ENOENT;
	if (entry_find(dir, name))
		return -EEXIST;
	if (!caller)
		caller = &self;
	gid = caller->gid;
	stat_locked(dir, &st);
	if (st.st_mode & S_ISGID) {
		gid = st.st_gid;
		if (S_ISDIR(mode))
			mode |= S_ISGID;
		else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !in_group(caller, gid))
			mode &= ~(mode_t)S_ISGID;
	}
	*out = object_make(mem_tree(dir), mode, caller->uid, gid);
	(*out)->links = S_ISDIR(mode) ? 2 : 1;
	entry_add(dir, name, *out);
	return 0;
}

static int mem_make(struct tree_object *base, const char *name, mode_t mode, dev_t device,
                    const char *target, const struct tree_caller *caller,
                    struct tree_object **out, struct stat *st)
{
	struct mem_object *dir = mem_object(base), *o;
	int r;

	scoped_lock(&mem_tree(dir)->lock);
	r = make_locked(dir, name, mode, caller, &o);
	if (r)
		return r;
	o->device = device;
	if (target) {
		o->target = xstrdup(target);
		o->size = strlen(target);
	}
	stat_locked(o, st);
	*out = tree_object_ref(&o->base);
	return 0;
}

static int mem_unlink(struct tree_object *base, const char *name, bool directory)
{
	struct mem_object *dir = mem_object(base), *o;
	struct mem_entry *e;

	pthread_mutex_lock(&mem_tree(dir)->lock);
	e = S_ISDIR(dir->type) ? entry_find(dir, name) : NULL;
	o = e ? e->object : NULL;
	if (!o || S_ISDIR(o->type) != directory || (directory && o->entries)) {
		pthread_mutex_unlock(&mem_tree(dir)->lock);
		return !o ? -ENOENT : S_ISDIR(o->type) != directory ? (directory ? -ENOTDIR : -EISDIR) : -ENOTEMPTY;
	}
	entry_remove(dir, e);
	lose_name(o);
	pthread_mutex_unlock(&mem_tree(dir)->lock);
	tree_object_unref(&o->base);
	return 0;
}

/* Whether `o` may take the place of `old`. */
static int check_replace(const struct mem_object *o, const struct mem_object *old)
{
	if (S_ISDIR(o->type) != S_ISDIR(old->type))
		return S_ISDIR(o->type) ? -ENOTDIR : -EISDIR;
	return old->entries ? -ENOTEMPTY : 0;
}

static int rename_locked(struct mem_object *from, const char *name, struct mem_object *to,
                         const char *new_name, unsigned flags, struct mem_object **replaced)
{
	struct mem_entry *e = entry_find(from, name), *at = entry_find(to, new_name);
	struct mem_object *o, *old = at ? at->object : NULL;
	int r;

	if (!e || !to->links)
		return -ENOENT;
	o = e->object;
	if (old && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (!old && (flags & RENAME_EXCHANGE))
		return -ENOENT;
	if (S_ISDIR(o->type) && is_ancestor(o, to))
		return -EINVAL;
	if (old == o)
		return 0;
	if (flags & RENAME_EXCHANGE) {
		if (S_ISDIR(old->type) && is_ancestor(old, from))
			return -EINVAL;
		entry_remove(from, e);
		entry_remove(to, at);
		entry_add(from, name, old);
		entry_add(to, new_name, o);
		touch(old, false);
	} else {
		r = old ? check_replace(o, old) : 0;
		if (r)
			return r;
		if (old) {
			*replaced = entry_remove(to, at);
			lose_name(old);
		}
		entry_remove(from, e);
		entry_add(to, new_name, o);
	}
	touch(o, false);
	return 0;
}

static int mem_rename(struct tree_object *from, const char *name, struct tree_object *to,
                      const char *new_name, unsigned flags)
{
	struct mem_object *replaced = NULL;
	struct mem_tree *t = mem_tree(mem_object(from));
	int r;

	pthread_mutex_lock(&t->lock);
	r = rename_locked(mem_object(from), name, mem_object(to), new_name, flags, &replaced);
	pthread_mutex_unlock(&t->lock);
	tree_object_unref(replaced ? &replaced->base : NULL);
	return r;
}

static int mem_link(struct tree_object *base, struct tree_object *dir, const char *name)
{
	struct mem_object *o = mem_object(base), *to = mem_object(dir);

	scoped_lock(&mem_tree(o)->lock);
	if (S_ISDIR(o->type))
		return -EPERM;
	if (!S_ISDIR(to->type))
		return -ENOTDIR;
	if (!o->links || !to->links)
		return -ENOENT;
	if (entry_find(to, name))
		return -EEXIST;
	o->links++;
	entry_add(to, name, mem_object(tree_object_ref(base)));
	touch(o, false);
	return 0;
}

static ssize_t mem_readlink(struct tree_object *base, char *buffer, size_t size)
{
	struct mem_object *o = mem_object(base);
	size_t n;

	if (!o->target)
		return -EINVAL;
	n = MIN(size, strlen(o->target));
	memcpy(buffer, o->target, n);
	return (ssize_t)n;
}

/* ---- attributes ---- */

static int mem_getattr(struct tree_object *base, struct stat *st)
{
	struct mem_object *o = mem_object(base);

	scoped_lock(&mem_tree(o)->lock);
	stat_locked(o, st);
	return 0;
}

static void set_time(struct timespec *t, const struct timespec *to)
{
	if (to->tv_nsec == UTIME_NOW)
		*t = mem_now();
	else if (to->tv_nsec != UTIME_OMIT)
		*t = *to;
}

/* With the object's lock held. Bytes beyond the size are zero or holes at any time, so that
 * growing shows zeros without more ado. */
static void resize(struct mem_object *o, uint64_t size)
{
	if (size < o->size)
		pages_punch(&o->pages, (struct range){size, (o->size + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES});
	o->size = size;
	o->mtime = o->ctime = mem_now();
}

static int mem_setattr(struct tree_object *base, const struct tree_change *c, struct tree_handle *h)
{
	struct mem_object *o = mem_object(base);

	if ((c->what & TREE_SET_SIZE) && !S_ISREG(o->type))
		return S_ISDIR(o->type) ? -EISDIR : -EINVAL;
	pthread_rwlock_wrlock(&o->lock);
	if (c->what & TREE_SET_SIZE)
		resize(o, (uint64_t)c->size);
	if (c->what & (TREE_SET_UID | TREE_SET_GID)) {
		if (c->what & TREE_SET_UID)
			o->uid = c->uid;
		if (c->what & TREE_SET_GID)
			o->gid = c->gid;
		if (!S_ISDIR(o->type)) {
			o->mode &= ~(mode_t)S_ISUID;
			if (o->mode & S_IXGRP)
				o->mode &= ~(mode_t)S_ISGID;
		}
	}
	if (c->what & TREE_SET_MODE)
		o->mode = c->mode & 07777;
	if (c->what & TREE_SET_TIMES) {
		set_time(&o->atime, &c->times[0]);
		set_time(&o->mtime, &c->times[1]);
	}
	o->ctime = mem_now();
	pthread_rwlock_unlock(&o->lock);
	return 0;
}

static int mem_statfs(struct tree_object *base, struct statvfs *st)
{
	const struct page_budget *b = &mem_tree(mem_object(base))->budget;
	uint64_t used = atomic_load_explicit(&b->used, memory_order_relaxed);

	*st = (struct statvfs){
		.f_bsize = PAGE_BYTES,
		.f_frsize = PAGE_BYTES,
		.f_blocks = b->limit,
		.f_bfree = b->limit - MIN(used, b->limit),
		.f_files = UINT32_MAX,
		.f_ffree = UINT32_MAX,
		.f_favail = UINT32_MAX,
		.f_namemax = 255,
	};
	st->f_bavail = st->f_bfree;
	return 0;
}

/* ---- values ---- */

static const struct tree_handle_ops mem_handle_ops;

static void handle_make(struct mem_object *o, int flags, struct tree_handle **out)
{
	struct tree_handle *h = xcalloc(1, sizeof(*h));

	h->ops = &mem_handle_ops;
	atomic_init(&h->refs, 1);
	h->object = tree_object_ref(&o->base);
	h->fd = -1;
	h->writable = (flags & O_ACCMODE) != O_RDONLY;
	*out = h;
}

static void truncate_at_open(struct mem_object *o, int flags)
{
	if (!(flags & O_TRUNC))
		return;
	pthread_rwlock_wrlock(&o->lock);
	resize(o, 0);
	pthread_rwlock_unlock(&o->lock);
}

/* The answers of a directory's open(2) for what is no file. */
static int check_file(const struct mem_object *o)
{
	if (S_ISREG(o->type))
		return 0;
	return S_ISDIR(o->type) ? -EISDIR : S_ISLNK(o->type) ? -ELOOP : -ENXIO;
}

static int mem_open(struct tree_object *base, int flags, struct tree_handle **out)
{
	struct mem_object *o = mem_object(base);
	int r = check_file(o);

	if (r)
		return r;
	truncate_at_open(o, flags);
	handle_make(o, flags, out);
	return 0;
}

static int mem_create(struct tree_object *base, const char *name, int flags, mode_t mode,
                      const struct tree_caller *caller, struct tree_handle **handle, struct stat *st)
{
	struct mem_object *dir = mem_object(base), *o = NULL;
	struct mem_entry *e;
	int r = 0;

	scoped_lock(&mem_tree(dir)->lock);
	e = S_ISDIR(dir->type) ? entry_find(dir, name) : NULL;
	if (e) {
		o = e->object;
		r = flags & O_EXCL ? -EEXIST : check_file(o);
		if (!r)
			truncate_at_open(o, flags);
	} else {
		r = make_locked(dir, name, S_IFREG | mode, caller, &o);
	}
	if (r)
		return r;
	stat_locked(o, st);
	handle_make(o, flags, handle);
	return 0;
}

/* A new object takes the name in one step, which is all that a crash-safe put needs here. */
static int mem_put(struct tree_object *base, const char *name, const void *data, size_t length,
                   const struct tree_caller *caller)
{
	struct mem_object *dir = mem_object(base), *o, *old = NULL;
	struct pages pages;
	struct mem_entry *e;
	int r = 0;

	pages_init(&pages, &mem_tree(dir)->budget);
	if (pages_write(&pages, data, length, 0) < length) {
		pages_release(&pages);
		return -ENOSPC;
	}
	pthread_mutex_lock(&mem_tree(dir)->lock);
	e = S_ISDIR(dir->type) ? entry_find(dir, name) : NULL;
	if (e && !S_ISREG(e->object->type))
		r = S_ISDIR(e->object->type) ? -EISDIR : -EINVAL;
	else if (e)
		old = entry_remove(dir, e);
	if (!r)
		r = make_locked(dir, name, S_IFREG | 0644, caller, &o);
	if (!r) {
		o->pages = pages;
		o->size = length;
		if (old) {
			o->mode = old->mode;
			o->uid = old->uid;
			o->gid = old->gid;
			lose_name(old);
		}
	}
	pthread_mutex_unlock(&mem_tree(dir)->lock);
	if (r)
		pages_release(&pages);
	tree_object_unref(old ? &old->base : NULL);
	return r;
}

static ssize_t mem_read(struct tree_handle *h, void *buffer, size_t n, off_t offset)
{
	struct mem_object *o = mem_object(h->object);

	pthread_rwlock_rdlock(&o->lock);
	n = (uint64_t)offset < o->size ? MIN(n, o->size - (uint64_t)offset) : 0;
	pages_read(&o->pages, buffer, n, (uint64_t)offset);
	pthread_rwlock_unlock(&o->lock);
	return (ssize_t)n;
}

static ssize_t write_locked(struct mem_object *o, const void *data, size_t n, uint64_t offset)
{
	size_t done = pages_write(&o->pages, data, n, offset);

	if (!done)
		return -ENOSPC;
	o->size = MAX(o->size, offset + done);
	o->mtime = o->ctime = mem_now();
	return (ssize_t)done;
}

static ssize_t mem_write(struct tree_handle *h, const void *data, size_t n, off_t offset)
{
	struct mem_object *o = mem_object(h->object);
	ssize_t r;

	pthread_rwlock_wrlock(&o->lock);
	r = write_locked(o, data, n, (uint64_t)offset);
	pthread_rwlock_unlock(&o->lock);
	return r;
}

static ssize_t mem_append(struct tree_handle *h, const void *data, size_t n)
{
	struct mem_object *o = mem_object(h->object);
	ssize_t r;

	pthread_rwlock_wrlock(&o->lock);
	r = o->size + n <= INT64_MAX ? write_locked(o, data, n, o->size) : -EFBIG;
	pthread_rwlock_unlock(&o->lock);
	return r;
}

static int mem_set_range(struct tree_handle *h, off_t offset, const void *data, size_t n)
{
	struct mem_object *o = mem_object(h->object);
	ssize_t r = -EINVAL;

	pthread_rwlock_wrlock(&o->lock);
	if ((uint64_t)offset + n <= o->size)
		r = write_locked(o, data, n, (uint64_t)offset);
	pthread_rwlock_unlock(&o->lock);
	return r < 0 ? (int)r : (size_t)r < n ? -ENOSPC : 0;
}

static int mem_truncate(struct tree_handle *h, off_t size)
{
	struct tree_change change = {.what = TREE_SET_SIZE, .size = size};

	return mem_setattr(h->object, &change, h);
}

static int mem_fsync(struct tree_handle *h, bool data_only)
{
	return 0;
}

static int mem_fallocate(struct tree_handle *h, int mode, off_t offset, off_t length)
{
	struct mem_object *o = mem_object(h->object);
	struct range r = {(uint64_t)offset, (uint64_t)offset + (uint64_t)length};
	int err = 0;

	if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) ||
	    ((mode & FALLOC_FL_PUNCH_HOLE) && mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)))
		return -EOPNOTSUPP;
	pthread_rwlock_wrlock(&o->lock);
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		pages_punch(&o->pages, r);
	else if (range_length(r) / PAGE_BYTES > o->pages.budget->limit)
		err = -ENOSPC;
	else
		err = pages_fill(&o->pages, r);
	if (!err && !(mode & FALLOC_FL_KEEP_SIZE))
		o->size = MAX(o->size, r.end);
	if (!err)
		o->mtime = o->ctime = mem_now();
	pthread_rwlock_unlock(&o->lock);
	return err;
}

static off_t mem_seek(struct tree_handle *h, off_t offset, int whence)
{
	struct mem_object *o = mem_object(h->object);
	off_t r = -ENXIO;

	pthread_rwlock_rdlock(&o->lock);
	if ((uint64_t)offset < o->size) {
		uint64_t found = pages_seek(&o->pages, (uint64_t)offset, whence == SEEK_DATA);

		if (whence == SEEK_HOLE)
			r = (off_t)MIN(found, o->size);
		else if (found < o->size)
			r = (off_t)found;
	}
	pthread_rwlock_unlock(&o->lock);
	return r;
}

/* In pieces, as copy_file_range(2) may: one lock at a time. */
static ssize_t mem_copy_range(struct tree_handle *in, off_t in_offset, struct tree_handle *out,
                              off_t out_offset, size_t n)
{
	enum { PIECE = 1 << 20 };
	char *piece;
	ssize_t r;

	if (in->object == out->object && in_offset < out_offset + (off_t)n &&
	    out_offset < in_offset + (off_t)n)
		return -EINVAL;
	n = MIN(n, PIECE);
	piece = xmalloc(n);
	r = mem_read(in, piece, n, in_offset);
	if (r > 0)
		r = mem_write(out, piece, (size_t)r, out_offset);
	free(piece);
	return r;
}

static void mem_close(struct tree_handle *h)
{
	tree_object_unref(h->object);
	free(h);
}

static const struct tree_handle_ops mem_handle_ops = {
	.read = mem_read,
	.write = mem_write,
	.append = mem_append,
	.set_range = mem_set_range,
	.truncate = mem_truncate,
	.fsync = mem_fsync,
	.close = mem_close,
	.fallocate = mem_fallocate,
	.seek = mem_seek,
	.copy_range = mem_copy_range,
};

/* ---- directories ---- */

/* What stood in the directory when it was read from the start: going on in it needs no
 * cursor that outlives the entries. */
struct tree_dir {
	struct mem_object *object;  /* counted */
	struct mem_name {
		ino_t ino;
		mode_t type;
		char *name;
	} *names;
	size_t count;
};

static void names_free(struct tree_dir *d)
{
	for (size_t i = 0; i < d->count; i++)
		free(d->names[i].name);
	free(d->names);
	d->names = NULL;
	d->count = 0;
}

static void names_add(struct tree_dir *d, const char *name, const struct mem_object *o)
{
	d->names[d->count++] = (struct mem_name){.ino = o->ino, .type = o->type, .name = xstrdup(name)};
}

static void names_take(struct tree_dir *d)
{
	struct mem_object *o = d->object;
	struct mem_entry *e, *tmp;

	names_free(d);
	scoped_lock(&mem_tree(o)->lock);
	d->names = xcalloc(HASH_COUNT(o->entries) + 2, sizeof(*d->names));
	names_add(d, ".", o);
	names_add(d, "..", o->parent ? o->parent : o);
	HASH_ITER(hh, o->entries, e, tmp)
		names_add(d, e->name, e->object);
}

static int mem_opendir(struct tree_object *o, struct tree_dir **out)
{
	if (!S_ISDIR(mem_object(o)->type))
		return -ENOTDIR;
	*out = xcalloc(1, sizeof(**out));
	(*out)->object = mem_object(tree_object_ref(o));
	return 0;
}

static int mem_readdir(struct tree_dir *d, off_t offset, tree_entry_fn *fn, void *context)
{
	if (!offset)
		names_take(d);
	for (size_t i = (size_t)offset; offset >= 0 && i < d->count; i++)
		if (!fn(context, d->names[i].name, d->names[i].ino, d->names[i].type, (off_t)i + 1))
			break;
	return 0;
}

static int mem_fsyncdir(struct tree_dir *d, bool data_only)
{
	return 0;
}

static void mem_closedir(struct tree_dir *d)
{
	names_free(d);
	tree_object_unref(&d->object->base);
	free(d);
}

/* ---- life ---- */

static void mem_destroy(struct store_tree *base)
{
	struct mem_tree *t = container_of(base, struct mem_tree, base);

	pthread_mutex_destroy(&t->lock);
	free(t);
}

static const struct store_tree_ops mem_tree_ops = {
	.destroy = mem_destroy,
	.object_free = mem_object_free,
	.lookup = mem_lookup,
	.create = mem_create,
	.make = mem_make,
	.unlink = mem_unlink,
	.rename = mem_rename,
	.put = mem_put,
	.getattr = mem_getattr,
	.setattr = mem_setattr,
	.open = mem_open,
	.statfs = mem_statfs,
	.opendir = mem_opendir,
	.readdir = mem_readdir,
	.fsyncdir = mem_fsyncdir,
	.closedir = mem_closedir,
	.link = mem_link,
	.readlink = mem_readlink,
	.getxattr = mem_getxattr,
	.listxattr = mem_listxattr,
	.setxattr = mem_setxattr,
	.removexattr = mem_removexattr,
};

/* Half of the machine's memory, as tmpfs. */
static uint64_t page_limit(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	return pages > 0 && size > 0 ? (uint64_t)pages / 2 * ((uint64_t)size / PAGE_BYTES) : 1 << 18;
}

int mem_tree_create(const char *path, bool read_only, struct store_tree **out, struct buf *error)
{
	struct mem_object *root;
	struct mem_tree *t;

	if (*path) {
		buf_adds(error, "mem://: nothing follows it; each mount has a memory of its own");
		return -EINVAL;
	}
	t = xcalloc(1, sizeof(*t));
	t->base.ops = &mem_tree_ops;
	t->base.name = "mem";
	t->base.read_only = read_only;
	pthread_mutex_init(&t->lock, NULL);
	t->budget.limit = page_limit();
	root = object_make(t, S_IFDIR | 0755, geteuid(), getegid());
	root->links = 2;
	t->base.root = &root->base;
	*out = &t->base;
	return 0;
}
