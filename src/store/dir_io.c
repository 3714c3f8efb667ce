/* dir_io.c - a local directory as a store: reading and writing the values.
 *
 * A handle is a descriptor of the value's own file, so a range is written where it lies and
 * the rest of the value is not touched (W1). Nothing is cached or delayed here: adjacent
 * writes are coalesced by the page cache beneath (W14), and fsync is the backing's.
 *
 * The one thing that the kernel has no call for is a write that must not extend. set_range
 * looks at the size first; so that no truncation comes between the look and the write, both
 * take the inode's size lock. Other processes that shrink the backing file at that moment
 * are beyond it, as they are for any user of a local file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "src/store/dir_impl.h"

static int result(int r)
{
	return r < 0 ? -errno : 0;
}

static ssize_t count(ssize_t n)
{
	return n < 0 ? -errno : n;
}

pthread_rwlock_t *dir_size_lock(struct dir_object *o)
{
	return &dir_tree(&o->base)->size_locks[(o->ino ^ o->dev) % DIR_LOCKS];
}

/* ---- handles ---- */

int dir_handle_make(struct dir_object *o, int fd, int flags, struct tree_handle **out)
{
	struct tree_handle *h = xcalloc(1, sizeof(*h));

	h->ops = &dir_handle_ops;
	atomic_init(&h->refs, 1);
	h->object = tree_object_ref(&o->base);
	h->fd = fd;
	h->readable = (flags & O_ACCMODE) != O_WRONLY;
	h->writable = (flags & O_ACCMODE) != O_RDONLY;
	*out = h;
	return 0;
}

int dir_handle_fd(struct tree_handle *h)
{
	return h->fd;
}

int dir_open(struct tree_object *base, int flags, struct tree_handle **out)
{
	struct dir_object *o = dir_object(base);
	int fd;

	if (S_ISDIR(o->type))
		return -EISDIR;
	if (flags & O_TRUNC) {
		pthread_rwlock_wrlock(dir_size_lock(o));
		fd = dir_reopen(o, flags);
		pthread_rwlock_unlock(dir_size_lock(o));
	} else {
		fd = dir_reopen(o, flags);
	}
	return fd < 0 ? fd : dir_tree(base)->handle_make(o, fd, flags, out);
}

static void dir_close(struct tree_handle *h)
{
	close(h->fd);
	tree_object_unref(h->object);
	free(h);
}

static int dir_flush(struct tree_handle *h)
{
	int fd;

	if (!h->object->tree->network)
		return 0;
	fd = fcntl(h->fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : result(close(fd));
}

int dir_truncate(struct dir_object *o, int fd, off_t size)
{
	int own_fd = -1, r;

	if (fd < 0)
		fd = own_fd = dir_reopen(o, O_WRONLY);
	if (fd < 0)
		return fd;
	pthread_rwlock_wrlock(dir_size_lock(o));
	r = result(ftruncate(fd, size));
	pthread_rwlock_unlock(dir_size_lock(o));
	if (own_fd >= 0)
		close(own_fd);
	return r;
}

/* ---- reading and writing ---- */

static ssize_t dir_read(struct tree_handle *h, void *buffer, size_t n, off_t offset)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = pread(h->fd, (char *)buffer + done, n - done, offset + (off_t)done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (!r)
			break;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

static ssize_t dir_write(struct tree_handle *h, const void *data, size_t n, off_t offset)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = pwrite(h->fd, (const char *)data + done, n - done, offset + (off_t)done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return done ? (ssize_t)done : r ? -errno : -EIO;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

static ssize_t dir_append(struct tree_handle *h, const void *data, size_t n)
{
	struct iovec v = {(void *)data, n};

	/* The offset only says that the file's position stays as it is. */
	return count(pwritev2(h->fd, &v, 1, 0, RWF_APPEND));
}

int dir_write_all(int fd, const void *data, size_t n, off_t offset)
{
	struct tree_handle h = {.fd = fd};
	size_t done = 0;

	/* After a short count the next call brings the reason. */
	while (done < n) {
		ssize_t r = dir_write(&h, (const char *)data + done, n - done, offset + (off_t)done);

		if (r < 0)
			return (int)r;
		done += (size_t)r;
	}
	return 0;
}

static int dir_set_range(struct tree_handle *h, off_t offset, const void *data, size_t n)
{
	pthread_rwlock_t *lock = dir_size_lock(dir_object(h->object));
	struct stat st;
	int r;

	pthread_rwlock_rdlock(lock);
	r = result(fstat(h->fd, &st));
	if (!r && offset + (off_t)n > st.st_size)
		r = -EINVAL;
	if (!r)
		r = dir_write_all(h->fd, data, n, offset);
	pthread_rwlock_unlock(lock);
	return r;
}

static int dir_fsync(struct tree_handle *h, bool data_only)
{
	return result(data_only ? fdatasync(h->fd) : fsync(h->fd));
}

/* The kernel asks for security.capability before each write of a user. From the descriptor that
 * is a microsecond or two; through /proc, as for a value that is not open, it is ten. */
static ssize_t dir_handle_getxattr(struct tree_handle *h, const char *name, void *value, size_t size)
{
	return count(fgetxattr(h->fd, name, value, size));
}

static int dir_fallocate(struct tree_handle *h, int mode, off_t offset, off_t length)
{
	/* What moves bytes or sizes down is not for a file that others write at offsets. */
	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	return result(fallocate(h->fd, mode, offset, length));
}

static off_t dir_seek(struct tree_handle *h, off_t offset, int whence)
{
	off_t r = lseek(h->fd, offset, whence);

	return r < 0 ? -errno : r;
}

static ssize_t dir_copy_range(struct tree_handle *in, off_t in_offset, struct tree_handle *out,
                              off_t out_offset, size_t n)
{
	return count(copy_file_range(in->fd, &in_offset, out->fd, &out_offset, n, 0));
}

const struct tree_handle_ops dir_handle_ops = {
	.read = dir_read,
	.write = dir_write,
	.append = dir_append,
	.set_range = dir_set_range,
	.fsync = dir_fsync,
	.close = dir_close,
	.flush = dir_flush,
	.getxattr = dir_handle_getxattr,
	.fallocate = dir_fallocate,
	.seek = dir_seek,
	.copy_range = dir_copy_range,
};

/* ---- replacing a whole value ---- */

/* A new file beside the value under a name of its own, as the caller would make it. */
static int put_create(struct dir_tree *t, int dir_fd, const struct tree_caller *caller, char name[32])
{
	struct dir_identity id;
	int fd = -EEXIST, r;

	r = dir_identity_enter(t, caller, S_IFREG | 0600, &id);
	if (r)
		return r;
	for (int attempt = 0; attempt < 16 && fd == -EEXIST; attempt++) {
		uint64_t random;

		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			fd = -EIO;
		else
			snprintf(name, 32, ".pailfs-%016llx", (unsigned long long)random);
		if (fd == -EEXIST)
			fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd == -1)
			fd = -errno;
	}
	dir_identity_leave(&id);
	return fd;
}

int dir_put(struct tree_object *dir, const char *name, const void *data, size_t length,
            const struct tree_caller *caller)
{
	int dir_fd = dir_object(dir)->fd, fd, sync_fd, r;
	struct stat old = {.st_mode = S_IFREG | 0644};
	bool replaces;
	char temporary[32];

	r = result(fstatat(dir_fd, name, &old, AT_SYMLINK_NOFOLLOW));
	replaces = !r;
	if (r && r != -ENOENT)
		return r;
	if (!S_ISREG(old.st_mode))
		return S_ISDIR(old.st_mode) ? -EISDIR : -EINVAL;
	fd = put_create(dir_tree(dir), dir_fd, caller, temporary);
	if (fd < 0)
		return fd;
	r = dir_write_all(fd, data, length, 0);
	/* The owner first: a change of it takes suid and sgid away. */
	if (!r && replaces && fchown(fd, old.st_uid, old.st_gid) && errno != EPERM)
		r = -errno;
	if (!r)
		r = result(fchmod(fd, old.st_mode & 07777));
	if (!r)
		r = result(fsync(fd));
	close(fd);
	if (!r)
		r = result(renameat(dir_fd, temporary, dir_fd, name));
	if (r) {
		unlinkat(dir_fd, temporary, 0);
		return r;
	}
	sync_fd = dir_reopen(dir_object(dir), O_RDONLY | O_DIRECTORY);
	if (sync_fd < 0)
		return sync_fd;
	r = result(fsync(sync_fd));
	close(sync_fd);
	return r;
}
