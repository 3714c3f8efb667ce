/* front.c - the first to see a request: counts it and gives it to the family of its inode. */
#include "fs_impl.h"

#include <errno.h>

static const struct fs_family *family_of(struct fs *fs, fuse_ino_t ino)
{
	return control_owns(ino) ? &fs_control : fs->family;
}

#define COUNT(id) stats_inc(fs_of(req)->c.stats, STAT_FUSE_##id)

/* For what a family has not: ENOSYS, by which the kernel learns that no file of the mount has it
 * and asks no more. That a control file has nothing to sync, or to seek in, says nothing of the
 * others. */
static void reply_lacking(fuse_req_t req, fuse_ino_t ino)
{
	fuse_reply_err(req, control_owns(ino) ? EOPNOTSUPP : ENOSYS);
}

/* Defines front_OP, which takes `params` (after req and ino) and passes `args` on. */
#define FRONT(op, id, params, args)                                             \
	static void front_##op params                                            \
	{                                                                        \
		const struct fs_family *family = family_of(fs_of(req), ino);     \
                                                                                 \
		COUNT(id);                                                       \
		if (family->ops.op)                                              \
			family->ops.op args;                                     \
		else                                                             \
			reply_lacking(req, ino);                                 \
	}

static void front_init(void *userdata, struct fuse_conn_info *conn)
{
	struct fs *fs = userdata;

	if (fs->family->init)
		fs->family->init(fs, conn);
}

static void front_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	bool control = control_owns(parent) || control_has_name(parent, name);

	COUNT(LOOKUP);
	(control ? &fs_control : fs_of(req)->family)->ops.lookup(req, parent, name);
}

FRONT(getattr, GETATTR, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), (req, ino, fi))
FRONT(setattr, SETATTR,
      (fuse_req_t req, fuse_ino_t ino, struct stat *st, int what, struct fuse_file_info *fi),
      (req, ino, st, what, fi))
FRONT(readlink, READLINK, (fuse_req_t req, fuse_ino_t ino), (req, ino))
FRONT(mknod, MKNOD, (fuse_req_t req, fuse_ino_t ino, const char *name, mode_t mode, dev_t dev),
      (req, ino, name, mode, dev))
FRONT(mkdir, MKDIR, (fuse_req_t req, fuse_ino_t ino, const char *name, mode_t mode),
      (req, ino, name, mode))
FRONT(unlink, UNLINK, (fuse_req_t req, fuse_ino_t ino, const char *name), (req, ino, name))
FRONT(symlink, SYMLINK, (fuse_req_t req, const char *target, fuse_ino_t ino, const char *name),
      (req, target, ino, name))
FRONT(open, OPEN, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), (req, ino, fi))
FRONT(create, CREATE,
      (fuse_req_t req, fuse_ino_t ino, const char *name, mode_t mode, struct fuse_file_info *fi),
      (req, ino, name, mode, fi))
FRONT(read, READ, (fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi),
      (req, ino, size, offset, fi))
FRONT(write, WRITE,
      (fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
       struct fuse_file_info *fi),
      (req, ino, data, size, offset, fi))
FRONT(flush, FLUSH, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), (req, ino, fi))
FRONT(fsync, FSYNC, (fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi),
      (req, ino, datasync, fi))
FRONT(release, RELEASE, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), (req, ino, fi))
FRONT(opendir, OPENDIR, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), (req, ino, fi))
FRONT(readdir, READDIR,
      (fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi),
      (req, ino, size, offset, fi))
FRONT(readdirplus, READDIR,
      (fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi),
      (req, ino, size, offset, fi))
FRONT(releasedir, RELEASEDIR, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi),
      (req, ino, fi))
FRONT(fsyncdir, FSYNC, (fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi),
      (req, ino, datasync, fi))
FRONT(statfs, STATFS, (fuse_req_t req, fuse_ino_t ino), (req, ino))
FRONT(setxattr, XATTR,
      (fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags),
      (req, ino, name, value, size, flags))
FRONT(getxattr, XATTR, (fuse_req_t req, fuse_ino_t ino, const char *name, size_t size),
      (req, ino, name, size))
FRONT(listxattr, XATTR, (fuse_req_t req, fuse_ino_t ino, size_t size), (req, ino, size))
FRONT(removexattr, XATTR, (fuse_req_t req, fuse_ino_t ino, const char *name), (req, ino, name))
FRONT(access, OTHER, (fuse_req_t req, fuse_ino_t ino, int mask), (req, ino, mask))
FRONT(ioctl, IOCTL,
      (fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg, struct fuse_file_info *fi,
       unsigned flags, const void *in, size_t in_size, size_t out_size),
      (req, ino, cmd, arg, fi, flags, in, in_size, out_size))
FRONT(fallocate, FALLOCATE,
      (fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length, struct fuse_file_info *fi),
      (req, ino, mode, offset, length, fi))
FRONT(copy_file_range, COPY,
      (fuse_req_t req, fuse_ino_t ino, off_t off_in, struct fuse_file_info *fi_in, fuse_ino_t ino_out,
       off_t off_out, struct fuse_file_info *fi_out, size_t length, int flags),
      (req, ino, off_in, fi_in, ino_out, off_out, fi_out, length, flags))
FRONT(lseek, LSEEK,
      (fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi),
      (req, ino, offset, whence, fi))

/* Of the names that exist, the kernel lets these two change the control directory's. */
static void front_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct fs_family *family = fs_of(req)->family;

	COUNT(RMDIR);
	if (control_owns(parent) || control_has_name(parent, name))
		fuse_reply_err(req, EPERM);
	else if (family->ops.rmdir)
		family->ops.rmdir(req, parent, name);
	else
		fuse_reply_err(req, ENOSYS);
}

/* Two inodes: neither may be a control file. */
static void front_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                         const char *new_name, unsigned flags)
{
	const struct fs_family *family = fs_of(req)->family;

	COUNT(RENAME);
	if (control_owns(parent) || control_owns(new_parent) || control_has_name(parent, name) ||
	    control_has_name(new_parent, new_name))
		fuse_reply_err(req, EPERM);
	else if (family->ops.rename)
		family->ops.rename(req, parent, name, new_parent, new_name, flags);
	else
		fuse_reply_err(req, ENOSYS);
}

static void front_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
	const struct fs_family *family = fs_of(req)->family;

	COUNT(LINK);
	if (control_owns(ino) || control_owns(new_parent))
		fuse_reply_err(req, EPERM);
	else if (family->ops.link)
		family->ops.link(req, ino, new_parent, new_name);
	else
		fuse_reply_err(req, ENOSYS);
}

static void front_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	COUNT(FORGET);
	if (control_owns(ino))
		fuse_reply_none(req);
	else
		fs_of(req)->family->ops.forget(req, ino, n);
}

static void front_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	size_t kept = 0;

	COUNT(FORGET);
	for (size_t i = 0; i < count; i++)
		if (!control_owns(forgets[i].ino))
			forgets[kept++] = forgets[i];
	fs_of(req)->family->ops.forget_multi(req, kept, forgets);
}

const struct fuse_lowlevel_ops fs_front_ops = {
        .init = front_init,
        .lookup = front_lookup,
        .forget = front_forget,
        .forget_multi = front_forget_multi,
        .getattr = front_getattr,
        .setattr = front_setattr,
        .readlink = front_readlink,
        .mknod = front_mknod,
        .mkdir = front_mkdir,
        .unlink = front_unlink,
        .rmdir = front_rmdir,
        .symlink = front_symlink,
        .rename = front_rename,
        .link = front_link,
        .open = front_open,
        .create = front_create,
        .read = front_read,
        .write = front_write,
        .flush = front_flush,
        .fsync = front_fsync,
        .release = front_release,
        .opendir = front_opendir,
        .readdir = front_readdir,
        .readdirplus = front_readdirplus,
        .releasedir = front_releasedir,
        .fsyncdir = front_fsyncdir,
        .statfs = front_statfs,
        .setxattr = front_setxattr,
        .getxattr = front_getxattr,
        .listxattr = front_listxattr,
        .removexattr = front_removexattr,
        .access = front_access,
        .ioctl = front_ioctl,
        .fallocate = front_fallocate,
        .copy_file_range = front_copy_file_range,
        .lseek = front_lseek,
};
