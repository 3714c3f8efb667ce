/* tree_meta.c - names and attributes of local-backed stores for the kernel.
 *
 * Each operation is one or two calls of the store in the thread that serves the request. The
 * kernel has checked permissions (default_permissions); what the daemon adds is that new
 * files belong to the caller (W16). */
#include "tree_impl.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int caller_groups(const struct tree_caller *base, gid_t *list, int max)
{
	const struct caller *c = container_of(base, const struct caller, base);

	return fuse_req_getgroups(c->req, max, list);
}

void caller_init(struct caller *c, fuse_req_t req)
{
	const struct fuse_ctx *context = fuse_req_ctx(req);

	c->base = (struct tree_caller){.uid = context->uid, .gid = context->gid, .groups = caller_groups};
	c->req = req;
}

/* What an id stands for, with a reference; answers the request itself when it stands for
 * nothing. */
static struct tree_object *object_of(fuse_req_t req, fuse_ino_t ino)
{
	struct tree_object *o = inode_object(tree_of(req), ino);

	if (!o)
		fuse_reply_err(req, ESTALE);
	return o;
}

void inode_entry(uint64_t id, const struct stat *st, struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param){
		.ino = id,
		.attr = *st,
		.attr_timeout = TREE_TIMEOUT,
		.entry_timeout = TREE_TIMEOUT,
	};
}

/* Takes the reference of o. */
static void reply_entry(fuse_req_t req, int r, struct tree_object *o, const struct stat *st,
                        fuse_ino_t parent, const char *name)
{
	struct tree_state *t = tree_of(req);
	struct fuse_entry_param e;

	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	inode_entry(inode_remember(t, o, st, parent, name), st, &e);
	if (fuse_reply_entry(req, &e))
		inode_forget(t, e.ino, 1);
}

void tree_lookup_op(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	scoped_object dir = object_of(req, parent);
	struct tree_object *o = NULL;
	struct stat st;
	int r;

	if (!dir)
		return;
	r = tree_lookup(dir, name, &o, &st);
	reply_entry(req, r, o, &st, parent, name);
}

void tree_forget_op(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	inode_forget(tree_of(req), ino, lookups);
	fuse_reply_none(req);
}

void tree_forget_multi_op(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		inode_forget(tree_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/* ---- attributes ---- */

static void reply_attr(fuse_req_t req, int r, fuse_ino_t ino, const struct stat *st)
{
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	inode_tell(tree_of(req), ino, st);
	fuse_reply_attr(req, st, TREE_TIMEOUT);
}

void tree_getattr_op(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	scoped_object n = object_of(req, ino);
	struct stat st;

	if (!n)
		return;
	if (tree_of(req)->writeback && atomic_load(&fs_of(req)->stopping)) {
		/* The kernel asks this before a write into pages whose attributes it was told to
		 * forget (tree_control.c). One writer that goes on would keep the mount from its end. */
		fuse_reply_err(req, ENOTCONN);
		return;
	}
	reply_attr(req, tree_getattr(n, &st), ino, &st);
}

static struct timespec time_of(int what, int set, int now, struct timespec given)
{
	if (what & now)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	return what & set ? given : (struct timespec){.tv_nsec = UTIME_OMIT};
}

static void change_of(const struct stat *st, int what, struct tree_change *change)
{
	*change = (struct tree_change){.mode = st->st_mode & 07777, .uid = st->st_uid, .gid = st->st_gid,
	                               .size = st->st_size};
	if (what & FUSE_SET_ATTR_MODE)
		change->what |= TREE_SET_MODE;
	if (what & FUSE_SET_ATTR_UID)
		change->what |= TREE_SET_UID;
	if (what & FUSE_SET_ATTR_GID)
		change->what |= TREE_SET_GID;
	if (what & FUSE_SET_ATTR_SIZE)
		change->what |= TREE_SET_SIZE;
	if (what & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME |
	            FUSE_SET_ATTR_MTIME_NOW))
		change->what |= TREE_SET_TIMES;
	change->times[0] = time_of(what, FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW, st->st_atim);
	change->times[1] = time_of(what, FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW, st->st_mtim);
}

/* The kernel's note of when it took a write or changed a size (writeback), rather than a user's wish. */
static bool is_time_of_write(int what)
{
	const int times = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_CTIME;

	return (what & times) == (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_CTIME);
}

void tree_setattr_op(fuse_req_t req, fuse_ino_t ino, struct stat *st, int what, struct fuse_file_info *fi)
{
	scoped_object n = object_of(req, ino);
	struct tree_handle *h = NULL;
	struct tree_change change;
	struct stat after;
	int r;

	if (!n)
		return;
	change_of(st, what, &change);
	/* The kernel names a handle for fchmod and futimens too, whatever its mode. */
	if (fi)
		h = handle_ref(tree_of(req), fi->fh);
	r = tree_setattr(n, &change, h && h->writable ? h : NULL, &after);
	/* A writer need not be the owner, who alone may set a time: then the file keeps the time at
	 * which the bytes came to it. */
	if (r == -EPERM && is_time_of_write(what)) {
		change.what &= ~TREE_SET_TIMES;
		r = tree_setattr(n, &change, h && h->writable ? h : NULL, &after);
	}
	reply_attr(req, r, ino, &after);
	tree_close(h);
}

void tree_readlink_op(fuse_req_t req, fuse_ino_t ino)
{
	scoped_object n = object_of(req, ino);
	char target[PATH_MAX];
	ssize_t r;

	if (!n)
		return;
	r = tree_readlink(n, target, sizeof(target) - 1);
	if (r < 0) {
		fuse_reply_err(req, (int)-r);
		return;
	}
	target[r] = '\0';
	fuse_reply_readlink(req, target);
}

void tree_statfs_op(fuse_req_t req, fuse_ino_t ino)
{
	scoped_object n = object_of(req, ino);
	struct statvfs st;
	int r;

	if (!n)
		return;
	r = tree_statfs(n, &st);
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_statfs(req, &st);
}

/* ---- making and removing ---- */

static void make_node(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device,
                      const char *target)
{
	scoped_object dir = object_of(req, parent);
	struct tree_object *o = NULL;
	struct caller c;
	struct stat st;
	int r;

	if (!dir)
		return;
	caller_init(&c, req);
	r = tree_make(dir, name, mode, device, target, &c.base, &o, &st);
	reply_entry(req, r, o, &st, parent, name);
}

void tree_mknod_op(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
	make_node(req, parent, name, mode, device, NULL);
}

void tree_mkdir_op(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	make_node(req, parent, name, (mode & 07777) | S_IFDIR, 0, NULL);
}

void tree_symlink_op(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	make_node(req, parent, name, S_IFLNK, 0, target);
}

void tree_unlink_op(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	scoped_object dir = object_of(req, parent);

	if (dir)
		fuse_reply_err(req, -tree_unlink(dir, name));
}

void tree_rmdir_op(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	scoped_object dir = object_of(req, parent);

	if (dir)
		fuse_reply_err(req, -tree_rmdir(dir, name));
}

/* What was renamed is asked for, because nothing tells which file the kernel moves; where files
 * cost no descriptors, their names are of no use. */
static void note_rename(struct tree_state *t, fuse_ino_t parent, const char *name,
                        struct tree_object *to, fuse_ino_t new_parent, const char *new_name)
{
	struct tree_object *o;
	struct stat st;

	if (!t->tree->max_objects || tree_lookup(to, new_name, &o, &st))
		return;
	inode_renamed(t, &st, parent, name, new_parent, new_name);
	tree_object_unref(o);
}

void tree_rename_op(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                    const char *new_name, unsigned flags)
{
	struct tree_state *t = tree_of(req);
	scoped_object from = object_of(req, parent);
	scoped_object to = NULL;
	int r;

	if (!from)
		return;
	to = object_of(req, new_parent);
	if (!to)
		return;
	r = tree_rename(from, name, to, new_name, flags);
	if (!r)
		note_rename(t, parent, name, to, new_parent, new_name);
	if (!r && (flags & RENAME_EXCHANGE))
		note_rename(t, new_parent, new_name, from, parent, name);
	fuse_reply_err(req, -r);
}

void tree_link_op(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
	scoped_object n = object_of(req, ino);
	scoped_object dir = NULL;
	struct stat st;
	int r;

	if (!n)
		return;
	dir = object_of(req, new_parent);
	if (!dir)
		return;
	r = tree_link(n, dir, new_name, &st);
	reply_entry(req, r, r ? NULL : tree_object_ref(n), &st, new_parent, new_name);
}

/* ---- extended attributes ---- */

/* Answers a question for bytes, or for their number (size 0). */
static void reply_bytes(fuse_req_t req, ssize_t r, const char *bytes, size_t size)
{
	if (r < 0)
		fuse_reply_err(req, (int)-r);
	else if (!size)
		fuse_reply_xattr(req, (size_t)r);
	else
		fuse_reply_buf(req, bytes, (size_t)r);
}

/* An ACL sets the mode's bits, and whoever is not of the file's group leaves it no sgid bit. The
 * backing looks at this process, which may do anything. */
static int drop_sgid(fuse_req_t req, struct tree_object *o)
{
	struct tree_change change = {.what = TREE_SET_MODE};
	struct caller c;
	struct stat st;
	int r = tree_getattr(o, &st);

	caller_init(&c, req);
	if (r || !(st.st_mode & S_ISGID) || tree_caller_in_group(&c.base, st.st_gid))
		return r;
	change.mode = st.st_mode & 07777 & ~(mode_t)S_ISGID;
	return tree_setattr(o, &change, NULL, &st);
}

void tree_setxattr_op(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
                      int flags)
{
	scoped_object n = object_of(req, ino);
	int r;

	if (!n)
		return;
	r = tree_setxattr(n, name, value, size, flags);
	if (!r && !strcmp(name, "system.posix_acl_access"))
		r = drop_sgid(req, n);
	fuse_reply_err(req, -r);
}

void tree_getxattr_op(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	scoped_object n = object_of(req, ino);
	struct tree_handle *h;
	char *value;

	if (!n)
		return;
	h = inode_handle(tree_of(req), ino);
	value = size ? xmalloc(size) : NULL;
	reply_bytes(req, tree_getxattr(n, h, name, value, size), value, size);
	free(value);
	tree_close(h);
}

/* Takes the attributes from a list that are for root alone; returns what is left. */
static ssize_t hide_trusted(char *list, ssize_t length)
{
	static const char trusted[] = "trusted.";
	ssize_t left = 0;

	for (ssize_t i = 0, size; i < length; i += size) {
		size = (ssize_t)strlen(list + i) + 1;
		if (!strncmp(list + i, trusted, sizeof(trusted) - 1))
			continue;
		memmove(list + left, list + i, (size_t)size);
		left += size;
	}
	return left;
}

void tree_listxattr_op(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	scoped_object n = object_of(req, ino);
	ssize_t length;
	char *list;

	if (!n)
		return;
	list = xmalloc(XATTR_LIST_MAX);
	length = tree_listxattr(n, list, XATTR_LIST_MAX);
	if (length > 0 && fuse_req_ctx(req)->uid)
		length = hide_trusted(list, length);
	if (size && length > (ssize_t)size)
		length = -ERANGE;
	reply_bytes(req, length, list, size);
	free(list);
}

void tree_removexattr_op(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	scoped_object n = object_of(req, ino);

	if (n)
		fuse_reply_err(req, -tree_removexattr(n, name));
}
