/* tree_impl.h - what the files of the tree family share: inodes and open handles of a
 * local-backed store. */
#ifndef PAILFS_FS_TREE_IMPL_H
#define PAILFS_FS_TREE_IMPL_H

#include <uthash.h>
#include "pailfs/store_tree.h"
#include "fs_impl.h"
#include "slots.h"

/* What is believed without asking. The backing is the truth and others may change it, so
 * that is short (R2); a name that is absent is asked for each time, because somebody may
 * be waiting for it to appear. */
#define TREE_TIMEOUT 1.0

/* The largest request of the kernel, and how many buffers of that size are kept. */
#define TREE_REQUEST ((size_t)1 << 20)
enum { TREE_BUFFERS = 8 };

struct inode_key {
	dev_t dev;
	ino_t ino;
};

/* What tells that a file's bytes may have changed. */
struct inode_version {
	off_t size;
	struct timespec mtime, ctime;
};

/* A name that the kernel knows a file by. */
struct inode_name {
	struct inode_name *next;
	uint64_t parent;
	char name[];
};

/* An inode that the kernel refers to. */
struct inode {
	struct inode_key key;
	uint64_t id;
	bool directory;
	uint64_t lookups;           /* tree_state.lock; how often the kernel was told of it */
	struct tree_object *object; /* ours until the last lookup is forgotten */
	struct inode_name *names;   /* tree_state.lock; the last met first; of a directory none */
	unsigned handles;           /* tree_state.lock; open ones, and … */
	unsigned writers;           /* tree_state.lock; … those that can write */
	struct tree_handle *handle; /* tree_state.lock; the last of them, not counted; or NULL */
	struct list age;            /* tree_state.lock; in tree_state.oldest */
	struct inode_version told;   /* tree_state.lock; what the kernel was told last */
	UT_hash_handle hh;          /* tree_state.lock */
};

struct tree_state {
	struct store_tree *tree;
	pthread_mutex_t lock;
	struct slots inodes;        /* lock; by the nodeid */
	struct inode *by_key;       /* lock */
	struct list oldest;         /* lock; all inodes, the last looked up at the end */
	bool trimming;              /* lock; trim_task was posted and has not ended */
	struct dispatch_task trim_task;
	struct fs *fs;
	pthread_mutex_t handle_lock;
	struct slots handles;       /* handle_lock; of tree_handle */
	struct slots directories;   /* handle_lock; of tree_dir */
	void *buffers[TREE_BUFFERS]; /* handle_lock; TREE_REQUEST bytes each, not in use now */
	unsigned spare_buffers;     /* handle_lock */
	size_t splice;              /* bytes that one reply may be spliced with at most */
	atomic_bool writeback;      /* the kernel keeps writes and sends them later */
};

static inline struct tree_state *tree_of(fuse_req_t req)
{
	return fs_of(req)->state;
}

/* ---- tree_inode.c ---- */

int tree_state_create(struct fs *fs);
void tree_state_destroy(struct fs *fs);

/* The object behind a nodeid, with a reference; NULL for an id that was never given. */
struct tree_object *inode_object(struct tree_state *t, uint64_t id);
/* Lets go of it at the end of the scope. */
static inline void scoped_object_put_(struct tree_object **o)
{
	tree_object_unref(*o);
}
#define scoped_object __attribute__((cleanup(scoped_object_put_))) struct tree_object *

/* The nodeid of an object that the kernel is told of now, as `name` of a directory: takes the
 * reference; the object may turn out to be known already. */
uint64_t inode_remember(struct tree_state *t, struct tree_object *o, const struct stat *st,
                             uint64_t parent, const char *name);
/* The kernel knows what has these attributes under another name. */
void inode_renamed(struct tree_state *t, const struct stat *st, uint64_t parent, const char *name,
                   uint64_t new_parent, const char *new_name);
/* Whether as many are held as the store wants: what need not be looked up should not be. */
bool inode_crowded(struct tree_state *t);
/* Takes note of a handle that was opened, or that is about to be closed. */
void inode_opened(struct tree_state *t, uint64_t id, struct tree_handle *h);
void inode_closing(struct tree_state *t, uint64_t id, struct tree_handle *h);
/* An open handle, with a reference, or NULL. It may be NULL although there is one: only the
 * last one that was opened is known. */
struct tree_handle *inode_handle(struct tree_state *t, uint64_t id);
/* The nodeids of files that somebody can write to; the caller frees the list. */
size_t inode_written(struct tree_state *t, uint64_t **ids);
void inode_forget(struct tree_state *t, uint64_t id, uint64_t lookups);
/* The kernel is told these attributes. */
void inode_tell(struct tree_state *t, uint64_t id, const struct stat *st);
/* Whether they are what it was told last. */
bool inode_was_told(struct tree_state *t, uint64_t id, const struct stat *st);

uint64_t handle_add(struct tree_state *t, struct tree_handle *h);
/* An open value, with a reference for the caller. */
struct tree_handle *handle_ref(struct tree_state *t, uint64_t id);
struct tree_handle *handle_remove(struct tree_state *t, uint64_t id);
uint64_t dir_handle_add(struct tree_state *t, struct tree_dir *d);
/* The kernel sends one request at a time for an open directory. */
struct tree_dir *dir_handle_get(struct tree_state *t, uint64_t id);
struct tree_dir *dir_handle_remove(struct tree_state *t, uint64_t id);

/* Memory for one request, aligned to a page: from a few that are kept, because fresh memory
 * costs a fault a page. NULL: there is none. */
void *buffer_get(struct tree_state *t);
void buffer_put(struct tree_state *t, void *buffer);

/* ---- tree_meta.c ---- */

/* A caller in terms of the store, for the time of its request. */
struct caller {
	struct tree_caller base;
	fuse_req_t req;
};
void caller_init(struct caller *c, fuse_req_t req);

void inode_entry(uint64_t id, const struct stat *st, struct fuse_entry_param *e);
void tree_lookup_op(fuse_req_t req, fuse_ino_t parent, const char *name);
void tree_forget_op(fuse_req_t req, fuse_ino_t ino, uint64_t lookups);
void tree_forget_multi_op(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void tree_getattr_op(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void tree_setattr_op(fuse_req_t req, fuse_ino_t ino, struct stat *st, int what, struct fuse_file_info *fi);
void tree_readlink_op(fuse_req_t req, fuse_ino_t ino);
void tree_mknod_op(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device);
void tree_mkdir_op(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void tree_symlink_op(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void tree_unlink_op(fuse_req_t req, fuse_ino_t parent, const char *name);
void tree_rmdir_op(fuse_req_t req, fuse_ino_t parent, const char *name);
void tree_rename_op(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                    const char *new_name, unsigned flags);
void tree_link_op(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name);
void tree_statfs_op(fuse_req_t req, fuse_ino_t ino);
void tree_setxattr_op(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
                      int flags);
void tree_getxattr_op(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void tree_listxattr_op(fuse_req_t req, fuse_ino_t ino, size_t size);
void tree_removexattr_op(fuse_req_t req, fuse_ino_t ino, const char *name);

/* ---- tree_control.c ---- */

/* What pailctl asks of a tree; fs_family.command. */
bool tree_command(struct fs *fs, struct ctl_message *m);
/* Has the kernel send what it keeps of writes, on the dispatch thread. */
void tree_send_kept(struct fs *fs);

/* ---- tree_dir.c ---- */

void tree_opendir_op(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void tree_readdir_op(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void tree_readdirplus_op(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                         struct fuse_file_info *fi);
void tree_releasedir_op(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void tree_fsyncdir_op(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

#endif
