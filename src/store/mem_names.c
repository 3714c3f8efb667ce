/* mem_names.c - a tree in memory: the names in its directories, and what makes and replaces
 * objects under them. All of it happens under the tree's lock, so each change of names is one
 * step. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pailfs/base/lock.h"
#include "src/store/mem_impl.h"

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
	mem_touch(dir, true);
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
	mem_touch(dir, true);
	return o;
}

/* The object has one name less; a directory has but one. */
static void lose_name(struct mem_object *o)
{
	o->links = S_ISDIR(o->type) ? 0 : o->links - 1;
	mem_touch(o, false);
}

static bool is_ancestor(const struct mem_object *o, const struct mem_object *below)
{
	for (; below; below = below->parent)
		if (below == o)
			return true;
	return false;
}

int mem_lookup(struct tree_object *base, const char *name, struct tree_object **out, struct stat *st)
{
	struct mem_object *dir = mem_object(base);
	struct mem_entry *e;

	if (!S_ISDIR(dir->type))
		return -ENOTDIR;
	scoped_lock(&mem_tree(dir)->lock);
	e = entry_find(dir, name);
	if (!e)
		return -ENOENT;
	mem_stat(e->object, st);
	*out = tree_object_ref(&e->object->base);
	return 0;
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
	mem_stat(dir, &st);
	if (st.st_mode & S_ISGID) {
		gid = st.st_gid;
		if (S_ISDIR(mode))
			mode |= S_ISGID;
		else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !tree_caller_in_group(caller, gid))
			mode &= ~(mode_t)S_ISGID;
	}
	*out = mem_object_make(mem_tree(dir), mode, caller->uid, gid);
	(*out)->links = S_ISDIR(mode) ? 2 : 1;
	entry_add(dir, name, *out);
	return 0;
}

int mem_make(struct tree_object *base, const char *name, mode_t mode, dev_t device,
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
	mem_stat(o, st);
	*out = tree_object_ref(&o->base);
	return 0;
}

int mem_unlink(struct tree_object *base, const char *name, bool directory)
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
		mem_touch(old, false);
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
	mem_touch(o, false);
	return 0;
}

int mem_rename(struct tree_object *from, const char *name, struct tree_object *to,
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

int mem_link(struct tree_object *base, struct tree_object *dir, const char *name)
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
	mem_touch(o, false);
	return 0;
}

ssize_t mem_readlink(struct tree_object *base, char *buffer, size_t size)
{
	struct mem_object *o = mem_object(base);
	size_t n;

	if (!o->target)
		return -EINVAL;
	n = MIN(size, strlen(o->target));
	memcpy(buffer, o->target, n);
	return (ssize_t)n;
}

int mem_create(struct tree_object *base, const char *name, int flags, mode_t mode,
                      const struct tree_caller *caller, struct tree_handle **handle, struct stat *st)
{
	struct mem_object *dir = mem_object(base), *o = NULL;
	struct mem_entry *e;
	int r = 0;

	scoped_lock(&mem_tree(dir)->lock);
	e = S_ISDIR(dir->type) ? entry_find(dir, name) : NULL;
	if (e) {
		o = e->object;
		r = flags & O_EXCL ? -EEXIST : mem_check_file(o);
		if (!r)
			mem_truncate_at_open(o, flags);
	} else {
		r = make_locked(dir, name, S_IFREG | mode, caller, &o);
	}
	if (r)
		return r;
	mem_stat(o, st);
	mem_handle_make(o, flags, handle);
	return 0;
}

/* A new object takes the name in one step, which is all that a crash-safe put needs here. */
int mem_put(struct tree_object *base, const char *name, const void *data, size_t length,
                   const struct tree_caller *caller)
{
	struct mem_object *dir = mem_object(base), *o, *old = NULL;
	struct pages pages;
	struct mem_entry *e;
	int r = 0;

	pages_init(&pages, &mem_tree(dir)->pool);
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

int mem_opendir(struct tree_object *o, struct tree_dir **out)
{
	if (!S_ISDIR(mem_object(o)->type))
		return -ENOTDIR;
	*out = xcalloc(1, sizeof(**out));
	(*out)->object = mem_object(tree_object_ref(o));
	return 0;
}

int mem_readdir(struct tree_dir *d, off_t offset, tree_entry_fn *fn, void *context)
{
	if (!offset)
		names_take(d);
	for (size_t i = (size_t)offset; offset >= 0 && i < d->count; i++)
		if (!fn(context, d->names[i].name, d->names[i].ino, d->names[i].type, (off_t)i + 1))
			break;
	return 0;
}

int mem_fsyncdir(struct tree_dir *d, bool data_only)
{
	return 0;
}

void mem_closedir(struct tree_dir *d)
{
	names_free(d);
	tree_object_unref(&d->object->base);
	free(d);
}
