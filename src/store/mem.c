/* mem.c - a tree in memory: empty at the start, gone at the end.
 *
 * It is a whole file system (links, holes, attributes), because what stands on it, the mount
 * and the tests, shall not have to know which store is beneath. Objects and attributes are
 * here, names in mem_names.c, values in mem_io.c, extended attributes in mem_xattr.c.
 *
 * Two kinds of locks: the tree's for names and link counts, each object's for its attributes
 * and bytes; the tree's is taken first. A directory's entry holds a reference of its object,
 * so an object lives while it has a name or somebody holds it. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "pailfs/base/buf.h"
#include "pailfs/base/lock.h"
#include "src/store/mem_impl.h"

/* ---- objects ---- */

struct mem_object *mem_object_make(struct mem_tree *t, mode_t mode, uid_t uid, gid_t gid)
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
	pages_init(&o->pages, &t->pool);
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

void mem_stat(struct mem_object *o, struct stat *st)
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

void mem_touch(struct mem_object *o, bool modified)
{
	pthread_rwlock_wrlock(&o->lock);
	o->ctime = mem_now();
	if (modified)
		o->mtime = o->ctime;
	pthread_rwlock_unlock(&o->lock);
}

/* ---- attributes ---- */

static int mem_getattr(struct tree_object *base, struct stat *st)
{
	struct mem_object *o = mem_object(base);

	scoped_lock(&mem_tree(o)->lock);
	mem_stat(o, st);
	return 0;
}

static void set_time(struct timespec *t, const struct timespec *to)
{
	if (to->tv_nsec == UTIME_NOW)
		*t = mem_now();
	else if (to->tv_nsec != UTIME_OMIT)
		*t = *to;
}

static int mem_setattr(struct tree_object *base, const struct tree_change *c, struct tree_handle *h)
{
	struct mem_object *o = mem_object(base);

	if ((c->what & TREE_SET_SIZE) && !S_ISREG(o->type))
		return S_ISDIR(o->type) ? -EISDIR : -EINVAL;
	pthread_rwlock_wrlock(&o->lock);
	if (c->what & TREE_SET_SIZE)
		mem_resize(o, (uint64_t)c->size);
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
	struct page_pool *pool = &mem_tree(mem_object(base))->pool;

	*st = (struct statvfs){
		.f_bsize = PAGE_BYTES,
		.f_frsize = PAGE_BYTES,
		.f_blocks = pool->limit,
		.f_bfree = pool->limit - page_pool_used(pool),
		.f_files = UINT32_MAX,
		.f_ffree = UINT32_MAX,
		.f_favail = UINT32_MAX,
		.f_namemax = 255,
	};
	st->f_bavail = st->f_bfree;
	return 0;
}

/* ---- life ---- */

static void mem_destroy(struct store_tree *base)
{
	struct mem_tree *t = container_of(base, struct mem_tree, base);

	page_pool_release(&t->pool);
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
	page_pool_init(&t->pool, page_limit());
	root = mem_object_make(t, S_IFDIR | 0755, geteuid(), getegid());
	root->links = 2;
	t->base.root = &root->base;
	*out = &t->base;
	return 0;
}
