/* dir.c - a local directory as a store: names and attributes (dir_io.c has the values).
 *
 * An object is an O_PATH descriptor. So renamed, unlinked and hard-linked files, and paths of
 * any length, behave as they do on the backing file system, and a name is always one
 * component below a descriptor, opened with O_NOFOLLOW. That alone keeps everything inside
 * the root: without "..", slashes and links there is nothing for openat2's RESOLVE_BENEATH to
 * forbid. The system calls that take no O_PATH descriptor reach the inode through
 * /proc/self/fd, whose links lead to the object itself and are not paths. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "src/store/dir_impl.h"

/* "/proc/self/fd/N": path for calls that want one, name for those relative to proc_fd. */
struct proc_path {
	char path[32];
};

static const char *proc_path(struct proc_path *p, int fd)
{
	snprintf(p->path, sizeof(p->path), "/proc/self/fd/%d", fd);
	return p->path;
}

static const char *proc_name(struct proc_path *p, int fd)
{
	snprintf(p->path, sizeof(p->path), "%d", fd);
	return p->path;
}

static int result(int r)
{
	return r < 0 ? -errno : 0;
}

/* What the inode numbers of a device are changed by. The mount shows one device; if another
 * file system is mounted below the root, two files could have one number there, and tar and
 * rsync would take them for hard links, find(1) a mount point for a loop. */
static ino_t scatter(const struct dir_tree *t, dev_t dev)
{
	return dev == t->dev ? 0 : (ino_t)dev * 0x9e3779b97f4a7c15;
}

static int stat_fd(const struct dir_tree *t, int fd, struct stat *st)
{
	if (fstatat(fd, "", st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -errno;
	st->st_ino ^= scatter(t, st->st_dev);
	return 0;
}

/* ---- objects ---- */

/* Takes fd, also when it fails. */
static int object_make(struct dir_tree *t, int fd, struct dir_object **out, struct stat *st)
{
	struct dir_object *o;
	int r = stat_fd(t, fd, st);

	if (r) {
		close(fd);
		return r;
	}
	o = xcalloc(1, sizeof(*o));
	o->base.tree = &t->base;
	atomic_init(&o->base.refs, 1);
	o->fd = fd;
	o->dev = st->st_dev;
	o->ino = st->st_ino;
	o->type = st->st_mode & S_IFMT;
	*out = o;
	return 0;
}

int dir_object_from_fd(struct dir_tree *t, int fd, struct dir_object **out, struct stat *st)
{
	struct proc_path p;
	int path_fd = openat(t->proc_fd, proc_name(&p, fd), O_PATH | O_CLOEXEC);

	return path_fd < 0 ? -errno : object_make(t, path_fd, out, st);
}

static void dir_object_free(struct tree_object *base)
{
	struct dir_object *o = dir_object(base);

	close(o->fd);
	free(o);
}

int dir_reopen(struct dir_object *o, int flags)
{
	struct proc_path p;
	int fd;

	/* Anything else would block, or talk to a device of the daemon's machine. */
	if (o->type != S_IFREG && o->type != S_IFDIR)
		return o->type == S_IFLNK ? -ELOOP : -ENXIO;
	fd = openat(dir_tree(&o->base)->proc_fd, proc_name(&p, o->fd), flags | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

/* ---- names ---- */

static int dir_lookup(struct tree_object *dir, const char *name, struct tree_object **out, struct stat *st)
{
	int fd = openat(dir_object(dir)->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct dir_object *o;
	int r = fd < 0 ? -errno : object_make(dir_tree(dir), fd, &o, st);

	if (!r)
		*out = &o->base;
	return r;
}

static int dir_create(struct tree_object *dir, const char *name, int flags, mode_t mode,
                      const struct tree_caller *caller, struct tree_handle **handle, struct stat *st)
{
	struct dir_tree *t = dir_tree(dir);
	bool truncate = flags & O_TRUNC;
	struct dir_identity id;
	struct dir_object *o;
	int fd, r;

	flags &= O_ACCMODE | O_EXCL | O_SYNC | O_DSYNC;
	r = dir_identity_enter(t, caller, S_IFREG | mode, &id);
	if (r)
		return r;
	/* Not blocking: the name may meanwhile be a FIFO's. */
	fd = openat(dir_object(dir)->fd, name,
	            flags | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode);
	r = fd < 0 ? -errno : 0;
	dir_identity_leave(&id);
	if (r)
		return r;
	r = dir_object_from_fd(t, fd, &o, st);
	if (r) {
		close(fd);
		return r;
	}
	if (!S_ISREG(o->type))
		r = S_ISDIR(o->type) ? -EISDIR : -ENXIO;
	/* Not by openat(), which would not wait for a set_range. */
	else if (truncate && st->st_size)
		r = dir_truncate(o, (flags & O_ACCMODE) == O_RDONLY ? -1 : fd, 0);
	if (!r && truncate)
		r = stat_fd(t, fd, st);
	if (r)
		close(fd);
	else
		r = t->handle_make(o, fd, flags, handle);
	tree_object_unref(&o->base);
	return r;
}

static int dir_make(struct tree_object *dir, const char *name, mode_t mode, dev_t device,
                    const char *target, const struct tree_caller *caller,
                    struct tree_object **out, struct stat *st)
{
	int dir_fd = dir_object(dir)->fd, r;
	struct dir_identity id;

	r = dir_identity_enter(dir_tree(dir), caller, mode, &id);
	if (r)
		return r;
	if (S_ISDIR(mode))
		r = result(mkdirat(dir_fd, name, mode & 07777));
	else if (S_ISLNK(mode))
		r = result(symlinkat(target, dir_fd, name));
	else
		r = result(mknodat(dir_fd, name, mode, device));
	dir_identity_leave(&id);
	return r ? r : dir_lookup(dir, name, out, st);
}

static int dir_unlink(struct tree_object *dir, const char *name, bool directory)
{
	return result(unlinkat(dir_object(dir)->fd, name, directory ? AT_REMOVEDIR : 0));
}

static int dir_rename(struct tree_object *from, const char *name, struct tree_object *to,
                      const char *new_name, unsigned flags)
{
	return result(renameat2(dir_object(from)->fd, name, dir_object(to)->fd, new_name, flags));
}

static int dir_link(struct tree_object *o, struct tree_object *dir, const char *name)
{
	int fd = dir_object(o)->fd, r;
	struct proc_path p;

	/* The direct way wants CAP_DAC_READ_SEARCH and says ENOENT without it. */
	r = result(linkat(fd, "", dir_object(dir)->fd, name, AT_EMPTY_PATH));
	if (r == -ENOENT)
		r = result(linkat(dir_tree(o)->proc_fd, proc_name(&p, fd), dir_object(dir)->fd,
		                  name, AT_SYMLINK_FOLLOW));
	return r;
}

static ssize_t dir_readlink(struct tree_object *o, char *buffer, size_t size)
{
	ssize_t n = readlinkat(dir_object(o)->fd, "", buffer, size);

	/* For an O_PATH descriptor of something else the kernel says ENOENT. */
	return n < 0 ? (errno == ENOENT ? -EINVAL : -errno) : n;
}

/* ---- attributes ---- */

static int dir_getattr(struct tree_object *o, struct stat *st)
{
	return stat_fd(dir_tree(o), dir_object(o)->fd, st);
}

static int dir_setattr(struct tree_object *base, const struct tree_change *change,
                       struct tree_handle *handle)
{
	struct dir_object *o = dir_object(base);
	int proc_fd = dir_tree(base)->proc_fd, r = 0;
	struct proc_path p;

	if (change->what & TREE_SET_SIZE)
		r = dir_truncate(o, handle ? dir_tree(base)->handle_fd(handle) : -1, change->size);
	if (!r && (change->what & (TREE_SET_UID | TREE_SET_GID)))
		r = result(fchownat(o->fd, "", change->what & TREE_SET_UID ? change->uid : (uid_t)-1,
		                    change->what & TREE_SET_GID ? change->gid : (gid_t)-1,
		                    AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
	if (!r && (change->what & TREE_SET_MODE))
		r = result(fchmodat(proc_fd, proc_name(&p, o->fd), change->mode & 07777, 0));
	if (!r && (change->what & TREE_SET_TIMES))
		r = result(utimensat(proc_fd, proc_name(&p, o->fd), change->times, 0));
	return r;
}

/* The links below /proc/self/fd lead to a symbolic link itself, too: its attributes are
 * reached without following it. */
static ssize_t dir_getxattr(struct tree_object *o, const char *name, void *value, size_t size)
{
	struct proc_path p;
	ssize_t n = getxattr(proc_path(&p, dir_object(o)->fd), name, value, size);

	return n < 0 ? -errno : n;
}

static ssize_t dir_listxattr(struct tree_object *o, char *list, size_t size)
{
	struct proc_path p;
	ssize_t n = listxattr(proc_path(&p, dir_object(o)->fd), list, size);

	return n < 0 ? -errno : n;
}

static int dir_setxattr(struct tree_object *o, const char *name, const void *value, size_t size, int flags)
{
	struct proc_path p;

	return result(setxattr(proc_path(&p, dir_object(o)->fd), name, value, size, flags));
}

static int dir_removexattr(struct tree_object *o, const char *name)
{
	struct proc_path p;

	return result(removexattr(proc_path(&p, dir_object(o)->fd), name));
}

static int dir_statfs(struct tree_object *o, struct statvfs *st)
{
	return result(fstatvfs(dir_object(o)->fd, st));
}

/* ---- directories ---- */

struct tree_dir {
	int fd;
	ino_t scatter;              /* the device's */
	off_t position;             /* where the entry at `start` of the buffer begins */
	size_t start, end;          /* what of the buffer has not been given yet */
	_Alignas(8) char buffer[32768];
};

struct dirent64 {
	uint64_t d_ino;
	int64_t d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

static int dir_opendir(struct tree_object *o, struct tree_dir **out)
{
	int fd = dir_reopen(dir_object(o), O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return fd;
	*out = xmalloc(sizeof(**out));
	(*out)->fd = fd;
	(*out)->scatter = scatter(dir_tree(o), dir_object(o)->dev);
	(*out)->position = 0;
	(*out)->start = (*out)->end = 0;
	return 0;
}

static int dir_readdir(struct tree_dir *d, off_t offset, tree_entry_fn *fn, void *context)
{
	if (offset != d->position) {
		if (lseek(d->fd, offset, SEEK_SET) < 0)
			return -errno;
		d->position = offset;
		d->start = d->end = 0;
	}
	for (;;) {
		const struct dirent64 *e;

		if (d->start == d->end) {
			ssize_t n = syscall(SYS_getdents64, d->fd, d->buffer, sizeof(d->buffer));

			if (n <= 0)
				return n ? -errno : 0;
			d->start = 0;
			d->end = (size_t)n;
		}
		e = (const void *)(d->buffer + d->start);
		if (!fn(context, e->d_name, e->d_ino ^ d->scatter, (mode_t)e->d_type << 12, e->d_off))
			return 0;
		d->start += e->d_reclen;
		d->position = e->d_off;
	}
}

static int dir_fsyncdir(struct tree_dir *d, bool data_only)
{
	return result(data_only ? fdatasync(d->fd) : fsync(d->fd));
}

static void dir_closedir(struct tree_dir *d)
{
	close(d->fd);
	free(d);
}

/* ---- life ---- */

static bool is_of_type(int fd, const unsigned *types, size_t n)
{
	struct statfs st;

	if (fstatfs(fd, &st))
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned)st.f_type == types[i])
			return true;
	return false;
}

/* File systems that may tell of a failed write at close(2) for the first time. */
static bool is_network(int fd)
{
	static const unsigned types[] = {0x6969 /* NFS */, 0x517b /* SMB */, 0xff534d42 /* CIFS */,
	                                 0xfe534d42 /* SMB2 */, 0x01021997 /* 9P */, 0x00c36400 /* Ceph */,
	                                 0x65735546 /* FUSE */, 0x5346414f /* AFS */};

	return is_of_type(fd, types, ARRAY_SIZE(types));
}

/* File systems whose files are made up while they are read and have no size before. Through a
 * mount they would look empty. */
static bool is_made_up(int fd)
{
	static const unsigned types[] = {PROC_SUPER_MAGIC, SYSFS_MAGIC,   DEBUGFS_MAGIC,
	                                 TRACEFS_MAGIC,    SECURITYFS_MAGIC, CGROUP2_SUPER_MAGIC,
	                                 CGROUP_SUPER_MAGIC};

	return is_of_type(fd, types, ARRAY_SIZE(types));
}

static size_t descriptor_limit(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) ? 1024 : (size_t)MIN(limit.rlim_cur, 1u << 30);
}

static bool is_read_only(int fd)
{
	struct statvfs st;

	return !fstatvfs(fd, &st) && (st.f_flag & ST_RDONLY);
}

int dir_tree_init(struct dir_tree *t, const char *path, bool read_only, struct buf *error)
{
	struct dir_object *root;
	struct stat st;
	int fd, r;

	*t = (struct dir_tree){
		.base = {.ops = &dir_tree_ops, .name = "dir", .descriptors = true},
		.assume = dir_identity_possible(),
		.handle_make = dir_handle_make,
		.handle_fd = dir_handle_fd,
	};
	t->proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (t->proc_fd < 0) {
		r = -errno;
		buf_addf(error, "/proc/self/fd: %s; a local store needs /proc mounted", strerror(-r));
		return r;
	}
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && is_made_up(fd)) {
		buf_add_quoted(error, path, strlen(path), 200);
		buf_adds(error, ": files there have no size before they are read, so a mount could only "
		                "show them empty; mount a directory on a disk, or in memory");
		close(fd);
		close(t->proc_fd);
		return -EOPNOTSUPP;
	}
	r = fd < 0 ? -errno : result(fstat(fd, &st));
	if (!r) {
		t->dev = st.st_dev;
		r = object_make(t, fd, &root, &st);
	}
	if (r) {
		buf_add_quoted(error, path, strlen(path), 200);
		buf_addf(error, ": %s; SOURCE must be an existing directory that this user may enter",
		         strerror(-r));
		close(t->proc_fd);
		return r;
	}
	t->base.root = &root->base;
	t->base.max_objects = descriptor_limit() / 2;
	t->base.network = is_network(fd);
	/* Then the kernel shall know, and say so before anything reaches us. */
	t->base.read_only = read_only || is_read_only(fd);
	for (size_t i = 0; i < DIR_LOCKS; i++)
		pthread_rwlock_init(&t->size_locks[i], NULL);
	return 0;
}

static void dir_destroy(struct store_tree *base)
{
	struct dir_tree *t = container_of(base, struct dir_tree, base);

	if (t->fini)
		t->fini(t);
	close(t->proc_fd);
	for (size_t i = 0; i < DIR_LOCKS; i++)
		pthread_rwlock_destroy(&t->size_locks[i]);
	free(t);
}

int dir_tree_create(const char *path, bool read_only, struct store_tree **out, struct buf *error)
{
	struct dir_tree *t = xcalloc(1, sizeof(*t));
	int r = dir_tree_init(t, path, read_only, error);

	if (r)
		free(t);
	else
		*out = &t->base;
	return r;
}

const struct store_tree_ops dir_tree_ops = {
	.destroy = dir_destroy,
	.object_free = dir_object_free,
	.lookup = dir_lookup,
	.create = dir_create,
	.make = dir_make,
	.unlink = dir_unlink,
	.rename = dir_rename,
	.put = dir_put,
	.getattr = dir_getattr,
	.setattr = dir_setattr,
	.open = dir_open,
	.statfs = dir_statfs,
	.opendir = dir_opendir,
	.readdir = dir_readdir,
	.fsyncdir = dir_fsyncdir,
	.closedir = dir_closedir,
	.link = dir_link,
	.readlink = dir_readlink,
	.getxattr = dir_getxattr,
	.listxattr = dir_listxattr,
	.setxattr = dir_setxattr,
	.removexattr = dir_removexattr,
};
