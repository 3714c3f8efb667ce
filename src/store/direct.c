/* direct.c - a local directory through O_DIRECT: the dir store with other handles.
 *
 * The daemon's reads and writes pass the backing's page cache by; the mount's own face stays
 * cached by the kernel. O_DIRECT moves whole blocks at the device's alignment, so:
 *
 * Ragged ends are read, changed and written as blocks. All who write a block hold a lock on
 * it, those too who write it whole: else a write that came between another's reading and
 * writing would be undone. A lock is on pages rather than blocks, because of the next point.
 *
 * The last block of a value whose length is no multiple of the block cannot be written this
 * way without making the value longer for a moment, and a crash would leave it so. Its bytes
 * go through the page cache, by a second descriptor. The kernel keeps both views of a page
 * the same as long as no two write it at once, which the locks see to.
 *
 * The sizes: a writer holds the inode's size lock shared, so that the size it looks at does
 * not shrink under it. That it grows does no harm: then a block takes the page cache's way
 * without need. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pailfs/base/range.h"
#include "src/store/dir_impl.h"

enum {
	BUFFER_BYTES = 1 << 20,     /* what one FUSE request carries at most */
	BUFFERS_MAX = 16,
	LOCK_BYTES = 4096,
	NEAR_BYTES = 65536,
};

/* A range of one inode that somebody writes, on the writer's stack. */
struct block_lock {
	struct block_lock *next;
	dev_t dev;
	ino_t ino;
	struct range range;
};

struct direct_tree {
	struct dir_tree dir;
	pthread_mutex_t lock;
	pthread_cond_t changed;     /* a lock or a buffer was given back */
	struct block_lock *held;    /* lock */
	void *spare[BUFFERS_MAX];   /* lock; buffers that are not in use */
	int spares, buffers;        /* lock; how many of these, and of all */
};

struct direct_handle {
	/* Its fd is -1: no plain I/O for others. It is readable where `direct` may read, as changing
	 * part of a block needs. */
	struct tree_handle base;
	int direct, buffered;       /* two descriptors of the value */
	size_t block;               /* offsets, lengths and memory are multiples of it */
};

static struct direct_handle *direct_handle(struct tree_handle *h)
{
	return container_of(h, struct direct_handle, base);
}

static struct direct_tree *direct_tree(struct direct_handle *h)
{
	return container_of(dir_tree(h->base.object), struct direct_tree, dir);
}

static uint64_t down(uint64_t n, size_t unit)
{
	return n - n % unit;
}

static uint64_t up(uint64_t n, size_t unit)
{
	return down(n + unit - 1, unit);
}

static int result(int r)
{
	return r < 0 ? -errno : 0;
}

/* ---- locks and buffers ---- */

static bool is_held(const struct direct_tree *t, const struct block_lock *wanted)
{
	for (const struct block_lock *l = t->held; l; l = l->next)
		if (l->ino == wanted->ino && l->dev == wanted->dev &&
		    range_overlaps(l->range, wanted->range))
			return true;
	return false;
}

static void blocks_lock(struct direct_handle *h, struct block_lock *l, uint64_t start, uint64_t end)
{
	struct direct_tree *t = direct_tree(h);
	const struct dir_object *o = dir_object(h->base.object);
	size_t unit = MAX(h->block, LOCK_BYTES);

	l->dev = o->dev;
	l->ino = o->ino;
	l->range = (struct range){down(start, unit), up(end, unit)};
	pthread_mutex_lock(&t->lock);
	while (is_held(t, l))
		pthread_cond_wait(&t->changed, &t->lock);
	l->next = t->held;
	t->held = l;
	pthread_mutex_unlock(&t->lock);
}

static void blocks_unlock(struct direct_handle *h, struct block_lock *l)
{
	struct direct_tree *t = direct_tree(h);
	struct block_lock **at = &t->held;

	pthread_mutex_lock(&t->lock);
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

/* Waits while all are in use; nobody holds two. NULL: no memory. */
static void *buffer_get(struct direct_tree *t)
{
	void *b = NULL;

	pthread_mutex_lock(&t->lock);
	while (!t->spares && t->buffers == BUFFERS_MAX)
		pthread_cond_wait(&t->changed, &t->lock);
	if (t->spares)
		b = t->spare[--t->spares];
	else if (!posix_memalign(&b, LOCK_BYTES, BUFFER_BYTES))
		t->buffers++;
	else
		b = NULL;
	pthread_mutex_unlock(&t->lock);
	return b;
}

static void buffer_put(struct direct_tree *t, void *b)
{
	pthread_mutex_lock(&t->lock);
	t->spare[t->spares++] = b;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

/* ---- handles ---- */

/* What offsets and memory must be a multiple of; 0: O_DIRECT does not work here. Kernels
 * before 6.1 do not say; what they all take is a page. */
static size_t alignment_of(int fd)
{
#ifdef STATX_DIOALIGN
	struct statx st;

	if (!statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) && (st.stx_mask & STATX_DIOALIGN)) {
		size_t n = MAX(st.stx_dio_offset_align, st.stx_dio_mem_align);

		return st.stx_dio_offset_align && BUFFER_BYTES % n == 0 ? n : 0;
	}
#endif
	return LOCK_BYTES;
}

static const struct tree_handle_ops direct_handle_ops;

static int direct_handle_make(struct dir_object *o, int fd, int flags, struct tree_handle **out)
{
	bool writable = (flags & O_ACCMODE) != O_RDONLY;
	int sync = flags & (O_SYNC | O_DSYNC), direct;
	struct direct_handle *h;
	bool readable = true;
	size_t block = 0;

	direct = dir_reopen(o, O_DIRECT | sync | (writable ? O_RDWR : O_RDONLY));
	if (direct == -EACCES && writable) {
		direct = dir_reopen(o, O_DIRECT | sync | O_WRONLY);
		readable = false;
	}
	/* Who created a file may write to it by the descriptor that this gave, and by no other if the
	 * mode forbids it: then all of it goes through the page cache. */
	if (direct == -EACCES && writable) {
		direct = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		direct = direct < 0 ? -errno : direct;
		readable = (flags & O_ACCMODE) == O_RDWR;
	}
	if (direct >= 0)
		block = alignment_of(direct);
	if (!block) {
		close(fd);
		if (direct >= 0)
			close(direct);
		return direct < 0 ? direct : -EINVAL;
	}
	h = xcalloc(1, sizeof(*h));
	h->base.ops = &direct_handle_ops;
	atomic_init(&h->base.refs, 1);
	h->base.object = tree_object_ref(&o->base);
	h->base.fd = -1;
	h->base.readable = readable;
	h->base.writable = writable;
	h->direct = direct;
	h->buffered = fd;
	h->block = block;
	*out = &h->base;
	return 0;
}

static int direct_handle_fd(struct tree_handle *h)
{
	return direct_handle(h)->buffered;
}

static void direct_close(struct tree_handle *base)
{
	struct direct_handle *h = direct_handle(base);

	close(h->direct);
	close(h->buffered);
	tree_object_unref(base->object);
	free(h);
}

/* ---- reading ---- */

static ssize_t read_blocks(struct direct_handle *h, void *buffer, size_t n, uint64_t offset)
{
	ssize_t r;

	do
		r = pread(h->direct, buffer, n, (off_t)offset);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static ssize_t direct_read(struct tree_handle *base, void *buffer, size_t n, off_t start)
{
	struct direct_handle *h = direct_handle(base);
	uint64_t offset = (uint64_t)start, end = offset + n;
	char *to = buffer, *bounce;
	ssize_t r = 0;

	if (!h->base.readable)
		return -EBADF;
	/* Whole blocks into memory that suits them: as the kernel asks us for pages. */
	if (!((offset | n | (uintptr_t)to) % h->block))
		return read_blocks(h, buffer, n, offset);
	bounce = buffer_get(direct_tree(h));
	if (!bounce)
		return -ENOMEM;
	while (offset < end) {
		uint64_t from = down(offset, h->block);
		size_t skip = offset - from, want = MIN(up(end, h->block) - from, BUFFER_BYTES), part;

		r = read_blocks(h, bounce, want, from);
		if (r <= (ssize_t)skip)
			break;
		part = MIN((size_t)r - skip, end - offset);
		memcpy(to, bounce + skip, part);
		to += part;
		offset += part;
		if ((size_t)r < want)
			break;
	}
	buffer_put(direct_tree(h), bounce);
	return r < 0 ? r : to - (char *)buffer;
}

/* ---- writing ---- */

/* The part of a write that O_DIRECT takes in one go: blocks [from, to) that hold the bytes
 * up to `end`. Empty when the first block is the value's ragged last one. */
static struct range plan_blocks(const struct direct_handle *h, uint64_t offset, uint64_t end, uint64_t size)
{
	struct range r = {down(offset, h->block), up(end, h->block)};
	bool ragged_start = r.start < offset, ragged_end = r.end > end;

	if (r.end - r.start > BUFFER_BYTES) {
		r.end = r.start + BUFFER_BYTES;
		ragged_end = false;
	}
	/* A block of which bytes are kept must lie inside the value, and be readable. */
	if (ragged_end && (r.end > size || !h->base.readable))
		r.end -= h->block;
	if (ragged_start && (r.start + h->block > size || !h->base.readable))
		r.end = r.start;
	return r;
}

static int fill(struct direct_handle *h, char *bounce, struct range blocks, struct range part)
{
	size_t n = range_length(part);
	ssize_t r = read_blocks(h, bounce + (part.start - blocks.start), n, part.start);

	return r < 0 ? (int)r : (size_t)r < n ? -EIO : 0;
}

/* Takes what the first and the last block hold beside the bytes that are written: with one
 * read when they are near, since a device's answer takes longer than the bytes between. */
static int fill_ends(struct direct_handle *h, char *bounce, struct range blocks, uint64_t offset,
                     uint64_t end)
{
	const struct range first = {blocks.start, blocks.start + h->block};
	const struct range last = {blocks.end - h->block, blocks.end};
	bool ragged_start = offset > blocks.start, ragged_end = end < blocks.end;
	int r = 0;

	if (ragged_start && ragged_end && range_length(blocks) <= NEAR_BYTES)
		return fill(h, bounce, blocks, blocks);
	if (ragged_start)
		r = fill(h, bounce, blocks, first);
	if (!r && ragged_end)
		r = fill(h, bounce, blocks, last);
	return r;
}

static ssize_t write_blocks(struct direct_handle *h, char *bounce, struct range blocks, const void *data,
                            uint64_t offset, uint64_t end)
{
	ssize_t n;
	int r;

	end = MIN(end, blocks.end);
	r = fill_ends(h, bounce, blocks, offset, end);
	if (r)
		return r;
	memcpy(bounce + (offset - blocks.start), data, end - offset);
	do
		n = pwrite(h->direct, bounce, blocks.end - blocks.start, (off_t)blocks.start);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (blocks.start + (uint64_t)n <= offset)
		return -EIO;
	return (ssize_t)(MIN(blocks.start + (uint64_t)n, end) - offset);
}

/* With the size lock and the blocks' lock held. */
static ssize_t write_locked(struct direct_handle *h, const char *data, size_t n, uint64_t offset)
{
	uint64_t start = offset, end = offset + n;
	char *bounce = buffer_get(direct_tree(h));
	ssize_t r = 0;

	if (!bounce)
		return -ENOMEM;
	while (offset < end) {
		struct range blocks;
		struct stat st;

		r = result(fstat(h->buffered, &st));
		if (r)
			break;
		blocks = plan_blocks(h, offset, end, (uint64_t)st.st_size);
		if (!range_empty(blocks)) {
			r = write_blocks(h, bounce, blocks, data, offset, end);
		} else {
			size_t part = MIN(end - offset, h->block - offset % h->block);

			r = pwrite(h->buffered, data, part, (off_t)offset);
			if (r < 0)
				r = errno == EINTR ? 0 : -errno;
		}
		if (r < 0)
			break;
		data += r;
		offset += (uint64_t)r;
	}
	buffer_put(direct_tree(h), bounce);
	return offset > start ? (ssize_t)(offset - start) : r;
}

static ssize_t write_range(struct direct_handle *h, const void *data, size_t n, uint64_t offset)
{
	struct block_lock lock;
	ssize_t r;

	blocks_lock(h, &lock, offset, offset + n);
	r = write_locked(h, data, n, offset);
	blocks_unlock(h, &lock);
	return r;
}

static ssize_t direct_write(struct tree_handle *base, const void *data, size_t n, off_t offset)
{
	pthread_rwlock_t *lock = dir_size_lock(dir_object(base->object));
	ssize_t r;

	pthread_rwlock_rdlock(lock);
	r = write_range(direct_handle(base), data, n, (uint64_t)offset);
	pthread_rwlock_unlock(lock);
	return r;
}

/* Alone, so that the end stays where it is until the bytes stand there. */
static ssize_t direct_append(struct tree_handle *base, const void *data, size_t n)
{
	struct direct_handle *h = direct_handle(base);
	pthread_rwlock_t *lock = dir_size_lock(dir_object(base->object));
	struct stat st;
	ssize_t r;

	pthread_rwlock_wrlock(lock);
	r = result(fstat(h->buffered, &st));
	if (!r)
		r = write_range(h, data, n, (uint64_t)st.st_size);
	pthread_rwlock_unlock(lock);
	return r;
}

static int direct_set_range(struct tree_handle *base, off_t offset, const void *data, size_t n)
{
	struct direct_handle *h = direct_handle(base);
	pthread_rwlock_t *lock = dir_size_lock(dir_object(base->object));
	size_t done = 0;
	struct stat st;
	ssize_t r;

	pthread_rwlock_rdlock(lock);
	r = result(fstat(h->buffered, &st));
	if (!r && offset + (off_t)n > st.st_size)
		r = -EINVAL;
	while (!r && done < n) {
		ssize_t part = write_range(h, (const char *)data + done, n - done, (uint64_t)offset + done);

		if (part < 0)
			r = part;
		else
			done += (size_t)part;
	}
	pthread_rwlock_unlock(lock);
	return (int)r;
}

static int direct_fsync(struct tree_handle *base, bool data_only)
{
	int fd = direct_handle_fd(base);

	return result(data_only ? fdatasync(fd) : fsync(fd));
}

static int direct_fallocate(struct tree_handle *base, int mode, off_t offset, off_t length)
{
	struct direct_handle *h = direct_handle(base);
	struct tree_handle plain = {.fd = h->buffered};
	struct block_lock lock;
	int r;

	blocks_lock(h, &lock, (uint64_t)offset, (uint64_t)offset + (uint64_t)length);
	r = dir_handle_ops.fallocate(&plain, mode, offset, length);
	blocks_unlock(h, &lock);
	return r;
}

static ssize_t direct_getxattr(struct tree_handle *base, const char *name, void *value, size_t size)
{
	struct tree_handle plain = {.fd = direct_handle(base)->buffered};

	return dir_handle_ops.getxattr(&plain, name, value, size);
}

static off_t direct_seek(struct tree_handle *base, off_t offset, int whence)
{
	struct tree_handle plain = {.fd = direct_handle(base)->buffered};

	return dir_handle_ops.seek(&plain, offset, whence);
}

static ssize_t direct_copy_range(struct tree_handle *in, off_t in_offset, struct tree_handle *out,
                                 off_t out_offset, size_t n)
{
	struct tree_handle from = {.fd = direct_handle(in)->buffered}, to = {.fd = direct_handle(out)->buffered};
	struct block_lock lock;
	ssize_t r;

	blocks_lock(direct_handle(out), &lock, (uint64_t)out_offset, (uint64_t)out_offset + n);
	r = dir_handle_ops.copy_range(&from, in_offset, &to, out_offset, n);
	blocks_unlock(direct_handle(out), &lock);
	return r;
}

static const struct tree_handle_ops direct_handle_ops = {
	.read = direct_read,
	.write = direct_write,
	.append = direct_append,
	.set_range = direct_set_range,
	.fsync = direct_fsync,
	.close = direct_close,
	.getxattr = direct_getxattr,
	.fallocate = direct_fallocate,
	.seek = direct_seek,
	.copy_range = direct_copy_range,
};

/* ---- life ---- */

static void direct_fini(struct dir_tree *dir)
{
	struct direct_tree *t = container_of(dir, struct direct_tree, dir);

	while (t->spares)
		free(t->spare[--t->spares]);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
}

static int open_direct(int dir, const char *name, int flags)
{
	int fd = openat(dir, name, flags | O_DIRECT | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

/* Some regular file of the directory that can be opened, -EINVAL for one that can but for
 * O_DIRECT, or -ENOENT. */
static int open_some_file(int root)
{
	int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), file = -ENOENT;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return -ENOENT;
	}
	while (file < 0 && file != -EINVAL && (e = readdir(dir)))
		if (e->d_type == DT_REG)
			file = open_direct(fd, e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	closedir(dir);
	return file;
}

/* Whether files of this directory can be opened with O_DIRECT. A nameless one tells; where none
 * can be made, as on NFS or a read-only file system, one that is there; where there is none,
 * each open will tell for itself. */
static int probe(struct dir_tree *t)
{
	int root = dir_object(t->base.root)->fd, fd = open_direct(root, ".", O_TMPFILE | O_RDWR);
	bool works;

	if (fd < 0 && fd != -EINVAL)
		fd = open_some_file(root);
	if (fd < 0)
		return fd == -EINVAL ? -EOPNOTSUPP : 0;
	works = alignment_of(fd) > 0;
	close(fd);
	return works ? 0 : -EOPNOTSUPP;
}

int direct_tree_create(const char *path, bool read_only, struct store_tree **out, struct buf *error)
{
	struct direct_tree *t = xcalloc(1, sizeof(*t));
	int r = dir_tree_init(&t->dir, path, read_only, error);

	if (r) {
		free(t);
		return r;
	}
	t->dir.base.name = "direct";
	t->dir.base.descriptors = false;
	t->dir.handle_make = direct_handle_make;
	t->dir.handle_fd = direct_handle_fd;
	t->dir.fini = direct_fini;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->changed, NULL);
	r = probe(&t->dir);
	if (r) {
		buf_add_quoted(error, path, strlen(path), 200);
		buf_adds(error, ": the file system there cannot do O_DIRECT; mount it as file:// instead");
		tree_destroy(&t->dir.base);
		return r;
	}
	*out = &t->dir.base;
	return 0;
}
