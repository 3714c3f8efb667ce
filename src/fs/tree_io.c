/* tree_io.c - values of local-backed stores for the kernel, and the family's table.
 *
 * Where a handle has a descriptor, a long reply to READ is spliced from it: the bytes do not
 * pass through this process. A WRITE arrives in memory and is written from there. Splicing it too
 * would save a copy and cost more: two more system calls for each request of any kind, and a
 * page at a time into the backing's cache (measured on ext4: nearly twice the CPU).
 *
 * What the kernel caches of a file is kept over an open if the backing still shows what the
 * kernel was told last; otherwise the open drops it, and the attributes with it. So an open
 * sees what others wrote to the backing before it, and in between the kernel asks again
 * each TREE_TIMEOUT (R2). A write is in the backing file when it returns, and what others wrote to
 * the same page is not overwritten with old bytes.
 *
 * With the option `writeback` the kernel keeps writes in its page cache and sends them later, whole
 * pages at a time, and nobody else may write to the backing. The kernel then owns sizes and
 * times and asks for neither, so:
 *	opening	for writing opens for reading as well, because the kernel reads the page of which
 *		a part is written through the writer's handle; and drops no pages, because the
 *		backing differs from what the kernel was told by what is still on its way
 *	ends	are the kernel's to know, also for O_APPEND
 *	holes	are not told: SEEK_DATA and SEEK_HOLE arrive before the pages that fill them
 *	errors	of a late write are kept by the kernel for fsync(2) and close(2)
 *	the end	of a mount under open files has it send what it keeps: tree_control.c
 *
 * No lock operation is implemented, so the kernel keeps advisory locks itself (W13). */
#include "tree_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* The handle of a request, with a reference; answers it itself when there is none. */
static struct tree_handle *handle_of(fuse_req_t req, struct fuse_file_info *fi)
{
	struct tree_handle *h = handle_ref(tree_of(req), fi->fh);

	if (!h)
		fuse_reply_err(req, EBADF);
	return h;
}

/* Also after a reply that has failed, with which the request is gone. */
static void drop_handle(struct fs *fs, fuse_ino_t ino, uint64_t id)
{
	struct tree_handle *h = handle_remove(fs->state, id);

	if (!h)
		return;
	stats_add(fs->c.stats, STAT_OPEN_FILES, -1);
	inode_closing(fs->state, ino, h);
	tree_close(h);
}

static void keep_handle(struct fs *fs, fuse_ino_t ino, struct tree_handle *h, struct fuse_file_info *fi)
{
	stats_inc(fs->c.stats, STAT_OPEN_FILES);
	inode_opened(fs->state, ino, h);
	fi->fh = handle_add(fs->state, h);
}

/* ---- opening ---- */

/* The kernel reads the page of which a part is written through the writer's handle, so with
 * writeback that one must be able to read. */
static int cache_flags(const struct tree_state *t, int flags)
{
	return t->writeback && (flags & O_ACCMODE) == O_WRONLY ? (flags & ~O_ACCMODE) | O_RDWR : flags;
}

static int open_value(struct tree_state *t, struct tree_object *n, int flags, struct tree_handle **out)
{
	int wanted = cache_flags(t, flags), r = tree_open(n, wanted, out);

	return r == -EACCES && wanted != flags ? tree_open(n, flags, out) : r;
}

static int create_value(struct tree_state *t, struct tree_object *dir, const char *name, int flags,
                        mode_t mode, const struct tree_caller *caller, struct tree_handle **out,
                        struct stat *st)
{
	int wanted = cache_flags(t, flags), r = tree_create(dir, name, wanted, mode, caller, out, st);

	/* A file that is there already, and may not be read. */
	return r == -EACCES && wanted != flags ? tree_create(dir, name, flags, mode, caller, out, st) : r;
}

/* Whether writes through a handle must pass the kernel's cache by, which stays right beside them:
 * the backing lets this process write, and not read. */
static bool cannot_cache(const struct tree_state *t, const struct tree_handle *h)
{
	return t->writeback && h->writable && !h->readable;
}

static void open_op(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct tree_state *t = fs->state;
	scoped_object n = inode_object(t, ino);
	struct tree_handle *h;
	struct stat st;
	int r = n ? open_value(t, n, fi->flags, &h) : -ESTALE;

	if (!r && !t->writeback) {
		r = tree_getattr(n, &st);
		if (r)
			tree_close(h);
	}
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	fi->keep_cache = t->writeback || inode_was_told(t, ino, &st);
	fi->direct_io = cannot_cache(t, h);
	/* Attributes alone (the negative offset): that takes no page's lock, so a thread that
	 * serves requests may do it. */
	if (!fi->keep_cache)
		fuse_lowlevel_notify_inval_inode(fs->session, ino, -1, 0);
	keep_handle(fs, ino, h, fi);
	if (fuse_reply_open(req, fi))
		drop_handle(fs, ino, fi->fh);
}

static void create_op(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                      struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct tree_state *t = fs->state;
	scoped_object dir = inode_object(t, parent);
	struct fuse_entry_param e;
	struct tree_handle *h;
	struct caller c;
	struct stat st;
	int r;

	caller_init(&c, req);
	r = dir ? create_value(t, dir, name, fi->flags, mode, &c.base, &h, &st) : -ESTALE;
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	inode_entry(inode_remember(t, tree_object_ref(h->object), &st, parent, name), &st, &e);
	fi->direct_io = cannot_cache(t, h);
	keep_handle(fs, e.ino, h, fi);
	if (fuse_reply_create(req, &e, fi)) {
		drop_handle(fs, e.ino, fi->fh);
		inode_forget(t, e.ino, 1);
	}
}

static void flush_op(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct tree_handle *h;

	/* ENOSYS tells the kernel not to ask again, which saves a request a close. */
	if (!tree_of(req)->tree->network) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	h = handle_of(req, fi);
	if (h)
		fuse_reply_err(req, -tree_flush(h));
	tree_close(h);
}

static void release_op(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	drop_handle(fs_of(req), ino, fi->fh);
	fuse_reply_err(req, 0);
}

/* ---- reading and writing ---- */

/* Below this the copy is cheaper than the pipe (a tenth of a small read's CPU; at 512 KiB the
 * copy costs a quarter more). */
#define SPLICE_LEAST ((size_t)32 << 10)

/* How much of a read lies inside the file. A reply that is spliced does not say. */
static int64_t bytes_inside(int fd, off_t offset, size_t size)
{
	struct stat st;

	if (fstat(fd, &st) || offset >= st.st_size)
		return 0;
	return (int64_t)MIN(size, (uint64_t)(st.st_size - offset));
}

static void read_op(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct tree_handle *h = handle_of(req, fi);
	struct tree_state *t = tree_of(req);
	struct fuse_bufvec from = FUSE_BUFVEC_INIT(size);
	void *buffer;
	ssize_t n;

	if (!h)
		return;
	if (h->fd >= 0 && size >= SPLICE_LEAST && size <= t->splice) {
		from.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
		from.buf[0].fd = h->fd;
		from.buf[0].pos = offset;
		stats_add(fs_of(req)->c.stats, STAT_READ_BYTES, bytes_inside(h->fd, offset, size));
		fuse_reply_data(req, &from, 0);
		tree_close(h);
		return;
	}
	buffer = buffer_get(t);
	n = buffer ? tree_read(h, buffer, MIN(size, TREE_REQUEST), offset) : -ENOMEM;
	if (n < 0) {
		fuse_reply_err(req, (int)-n);
	} else {
		stats_add(fs_of(req)->c.stats, STAT_READ_BYTES, n);
		fuse_reply_buf(req, buffer, (size_t)n);
	}
	buffer_put(t, buffer);
	tree_close(h);
}

/* Pages that the kernel has kept: all or an error. It does not look at how much of them was taken,
 * and calls them clean. */
static ssize_t write_pages(struct tree_handle *h, const char *data, size_t size, off_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = tree_write(h, data + done, size - done, offset + (off_t)done);

		if (n <= 0)
			return n ? n : -EIO;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static ssize_t write_data(const struct tree_state *t, struct tree_handle *h, const char *data, size_t size,
                          off_t offset, const struct fuse_file_info *fi)
{
	/* The kernel sends these through any handle of the file. */
	if (fi->writepage)
		return write_pages(h, data, size, offset);
	if (atomic_load(&h->strict)) {
		int err = tree_set_range(h, offset, data, size);

		return err ? err : (ssize_t)size;
	}
	/* The offset of an O_APPEND write is where the kernel believes the end to be, which
	 * another process may have moved. With writeback nobody has, and the kernel alone knows. */
	if ((fi->flags & O_APPEND) && !t->writeback)
		return tree_append(h, data, size);
	return tree_write(h, data, size, offset);
}

static void write_op(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
                     struct fuse_file_info *fi)
{
	struct tree_handle *h = handle_of(req, fi);
	ssize_t n;

	if (!h)
		return;
	n = write_data(tree_of(req), h, data, size, offset, fi);
	if (n < 0) {
		fuse_reply_err(req, (int)-n);
	} else {
		stats_add(fs_of(req)->c.stats, STAT_WRITTEN_BYTES, n);
		fuse_reply_write(req, (size_t)n);
	}
	tree_close(h);
}

static void fsync_op(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct tree_handle *h = handle_of(req, fi);

	if (h)
		fuse_reply_err(req, -tree_fsync(h, datasync));
	tree_close(h);
}

static void fallocate_op(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                         struct fuse_file_info *fi)
{
	struct tree_handle *h = handle_of(req, fi);

	if (h)
		fuse_reply_err(req, -tree_fallocate(h, mode, offset, length));
	tree_close(h);
}

static void lseek_op(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
	struct tree_handle *h;
	off_t r;

	/* The kernel asks before it has sent the pages that it keeps, and what is a hole in the
	 * backing may be none. By ENOSYS it takes every file for data from end to end. */
	if (tree_of(req)->writeback) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	h = handle_of(req, fi);
	if (!h)
		return;
	r = tree_seek(h, offset, whence);
	if (r < 0)
		fuse_reply_err(req, (int)-r);
	else
		fuse_reply_lseek(req, r);
	tree_close(h);
}

/* A program asks for all of a file at once, and gets as much as it needs by asking again. A thread
 * that copied all would serve nobody else for seconds. */
#define COPY_MOST ((size_t)16 << 20)

static void copy_file_range_op(fuse_req_t req, fuse_ino_t ino_in, off_t offset_in,
                               struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t offset_out,
                               struct fuse_file_info *fi_out, size_t length, int flags)
{
	struct tree_handle *in = handle_of(req, fi_in), *out;
	ssize_t n;

	if (!in)
		return;
	out = handle_of(req, fi_out);
	if (out) {
		n = tree_copy_range(in, offset_in, out, offset_out, MIN(length, COPY_MOST));
		if (n < 0)
			fuse_reply_err(req, (int)-n);
		else
			fuse_reply_write(req, (size_t)n);
	}
	tree_close(out);
	tree_close(in);
}

static void ioctl_op(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
                     struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size,
                     size_t out_size)
{
	struct tree_handle *h;
	uint32_t version;

	if (cmd != (unsigned)CTL_STRICT || in_size != sizeof(version) || (flags & FUSE_IOCTL_DIR)) {
		fuse_reply_err(req, ENOTTY);
		return;
	}
	h = handle_of(req, fi);
	if (!h)
		return;
	memcpy(&version, in, sizeof(version));
	if (version == CTL_VERSION) {
		atomic_store(&h->strict, true);
		fuse_reply_ioctl(req, 0, NULL, 0);
	} else {
		fuse_reply_err(req, EPROTO);
	}
	tree_close(h);
}

/* ---- the family ---- */

static void init(struct fs *fs, struct fuse_conn_info *conn)
{
	unsigned want = FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_READDIRPLUS |
	                FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS |
	                FUSE_CAP_ASYNC_DIO | FUSE_CAP_POSIX_ACL;
	struct tree_state *t = fs->state;

	/* ACLs too: where a file has one, the mode's group bits are its mask, and the kernel's
	 * check of the mode alone would give the group what the ACL denies it. */
	if (fs->c.config->writeback)
		want |= FUSE_CAP_WRITEBACK_CACHE;
	else
		conn->want &= ~FUSE_CAP_WRITEBACK_CACHE;
	conn->want |= want & conn->capable;
	t->writeback = conn->want & FUSE_CAP_WRITEBACK_CACHE;
	conn->max_write = (unsigned)TREE_REQUEST;
	/* suid and sgid bits are for the kernel to clear: it knows who writes. It also must when a file
	 * is truncated as it is opened, which it does by itself as long as that is not OPEN's part. */
	conn->want &= ~(FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_ATOMIC_O_TRUNC);
	/* Pages that move to the mount's cache are gone from the backing's. */
	conn->want &= ~FUSE_CAP_SPLICE_MOVE;
}

const struct fs_family fs_tree = {
	.create = tree_state_create,
	.destroy = tree_state_destroy,
	.init = init,
	.command = tree_command,
	.finish = tree_send_kept,
	.ops = {
		.lookup = tree_lookup_op,
		.forget = tree_forget_op,
		.forget_multi = tree_forget_multi_op,
		.getattr = tree_getattr_op,
		.setattr = tree_setattr_op,
		.readlink = tree_readlink_op,
		.mknod = tree_mknod_op,
		.mkdir = tree_mkdir_op,
		.symlink = tree_symlink_op,
		.unlink = tree_unlink_op,
		.rmdir = tree_rmdir_op,
		.rename = tree_rename_op,
		.link = tree_link_op,
		.statfs = tree_statfs_op,
		.setxattr = tree_setxattr_op,
		.getxattr = tree_getxattr_op,
		.listxattr = tree_listxattr_op,
		.removexattr = tree_removexattr_op,
		.opendir = tree_opendir_op,
		.readdir = tree_readdir_op,
		.readdirplus = tree_readdirplus_op,
		.releasedir = tree_releasedir_op,
		.fsyncdir = tree_fsyncdir_op,
		.open = open_op,
		.create = create_op,
		.read = read_op,
		.write = write_op,
		.flush = flush_op,
		.release = release_op,
		.fsync = fsync_op,
		.fallocate = fallocate_op,
		.lseek = lseek_op,
		.copy_file_range = copy_file_range_op,
		.ioctl = ioctl_op,
	},
};
