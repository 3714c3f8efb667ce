/* tree_dir.c - listing the directories of local-backed stores. */
#include "tree_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void tree_opendir_op(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct tree_state *t = tree_of(req);
	scoped_object n = inode_object(t, ino);
	struct tree_dir *d;
	int r = n ? tree_opendir(n, &d) : -ESTALE;

	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	fi->fh = dir_handle_add(t, d);
	if (fuse_reply_open(req, fi))
		tree_closedir(t->tree, dir_handle_remove(t, fi->fh));
}

void tree_releasedir_op(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct tree_state *t = tree_of(req);
	struct tree_dir *d = dir_handle_remove(t, fi->fh);

	if (d)
		tree_closedir(t->tree, d);
	fuse_reply_err(req, 0);
}

void tree_fsyncdir_op(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct tree_state *t = tree_of(req);
	struct tree_dir *d = dir_handle_get(t, fi->fh);

	fuse_reply_err(req, d ? -tree_fsyncdir(t->tree, d, datasync) : EBADF);
}

/* A reply that is being filled. */
struct listing {
	fuse_req_t req;
	struct tree_state *tree;
	struct tree_object *dir;
	fuse_ino_t ino;
	char *data;
	size_t size, used;
};

static bool add_entry(void *context, const char *name, uint64_t ino, mode_t type, off_t next)
{
	struct stat st = {.st_ino = ino, .st_mode = type};
	struct listing *l = context;
	size_t n;

	if (control_has_name(l->ino, name))
		return true;
	n = fuse_add_direntry(l->req, l->data + l->used, l->size - l->used, name, &st, next);
	if (n > l->size - l->used)
		return false;
	l->used += n;
	return true;
}

/* With attributes. An entry that cannot be looked up (it went, or descriptors are short) is
 * given with its type alone, and the kernel asks again when it needs more. */
static bool add_entry_plus(void *context, const char *name, uint64_t ino, mode_t type, off_t next)
{
	struct fuse_entry_param e = {.attr = {.st_ino = ino, .st_mode = type}};
	struct listing *l = context;
	size_t left = l->size - l->used;
	struct tree_object *o;
	struct stat st;

	if (control_has_name(l->ino, name))
		return true;
	/* Asked for its length first: a lookup that does not fit would have to be undone. */
	if (fuse_add_direntry_plus(l->req, NULL, 0, name, NULL, 0) > left)
		return false;
	if (strcmp(name, ".") && strcmp(name, "..") && !inode_crowded(l->tree) &&
	    !tree_lookup(l->dir, name, &o, &st))
		inode_entry(inode_remember(l->tree, o, &st, l->ino, name), &st, &e);
	l->used += fuse_add_direntry_plus(l->req, l->data + l->used, left, name, &e, next);
	return true;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi,
                 tree_entry_fn *add)
{
	struct tree_state *t = tree_of(req);
	struct tree_dir *d = dir_handle_get(t, fi->fh);
	scoped_object n = inode_object(t, ino);
	struct listing l = {.req = req, .tree = t, .ino = ino, .size = size};
	int r;

	if (!d || !n) {
		fuse_reply_err(req, EBADF);
		return;
	}
	l.dir = n;
	l.data = xmalloc(size);
	r = tree_readdir(t->tree, d, offset, add, &l);
	if (r && !l.used)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, l.data, l.used);
	free(l.data);
}

void tree_readdir_op(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	list(req, ino, size, offset, fi, add_entry);
}

void tree_readdirplus_op(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                         struct fuse_file_info *fi)
{
	list(req, ino, size, offset, fi, add_entry_plus);
}
