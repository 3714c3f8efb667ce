/* mem_io.c - a tree in memory: reading and writing the values.
 *
 * A value is pages (pages.h) and a size, under the object's lock: readers share it, a write
 * has it alone, so that overlapping writes are whole (W6). Bytes beyond the size are zero or
 * holes at any time, so that growing shows zeros without more ado (W10). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "pailfs/base/range.h"
#include "src/store/mem_impl.h"

void mem_resize(struct mem_object *o, uint64_t size)
{
	/* To the end of all offsets: pages may have been allocated beyond the size. */
	if (size <= o->size)
		pages_punch(&o->pages, (struct range){size, (uint64_t)INT64_MAX + 1});
	o->size = size;
	o->mtime = o->ctime = mem_now();
}

static const struct tree_handle_ops mem_handle_ops;

void mem_handle_make(struct mem_object *o, int flags, struct tree_handle **out)
{
	struct tree_handle *h = xcalloc(1, sizeof(*h));

	h->ops = &mem_handle_ops;
	atomic_init(&h->refs, 1);
	h->object = tree_object_ref(&o->base);
	h->fd = -1;
	h->readable = (flags & O_ACCMODE) != O_WRONLY;
	h->writable = (flags & O_ACCMODE) != O_RDONLY;
	*out = h;
}

void mem_truncate_at_open(struct mem_object *o, int flags)
{
	if (!(flags & O_TRUNC))
		return;
	pthread_rwlock_wrlock(&o->lock);
	mem_resize(o, 0);
	pthread_rwlock_unlock(&o->lock);
}

/* The answers of a directory's open(2) for what is no file. */
int mem_check_file(const struct mem_object *o)
{
	if (S_ISREG(o->type))
		return 0;
	return S_ISDIR(o->type) ? -EISDIR : S_ISLNK(o->type) ? -ELOOP : -ENXIO;
}

int mem_open(struct tree_object *base, int flags, struct tree_handle **out)
{
	struct mem_object *o = mem_object(base);
	int r = mem_check_file(o);

	if (r)
		return r;
	mem_truncate_at_open(o, flags);
	mem_handle_make(o, flags, out);
	return 0;
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
	.fsync = mem_fsync,
	.close = mem_close,
	.fallocate = mem_fallocate,
	.seek = mem_seek,
	.copy_range = mem_copy_range,
};
