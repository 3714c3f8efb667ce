/* bucket.h - what the files of the bucket family share. */
#ifndef PAILFS_FS_BUCKET_H
#define PAILFS_FS_BUCKET_H

#include "node.h"

static inline struct nodes *nodes_of(struct fs *fs)
{
	return fs->state;
}

/* A version does not change, so neither do its attributes. */
#define FOREVER_SECONDS (365.0 * 86400)

/* The reply's fields for a node, whose name may be believed for valid_ns. */
void bucket_fill_entry(struct fs *fs, const struct node *node, uint64_t valid_ns,
                       struct fuse_entry_param *out);
/* Forgets, here and in the kernel, what is believed of a node's name. */
void bucket_forget_name(struct fs *fs, const struct node *node);

/* The policy that a file is read with: its own, else the first rule that matches its path,
 * else read_policy=. Under nodes.lock. */
const struct policy *bucket_policy(const struct fs *fs, const struct node *node);
void bucket_set_policy(struct fs *fs, struct node *node, const struct policy *policy);

void bucket_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void bucket_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void bucket_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void bucket_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                        struct fuse_file_info *fi);
/* Of those that are still open, once no request is under way. */
void bucket_close_directories(struct nodes *nodes);
void bucket_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

void bucket_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void bucket_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void bucket_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

void bucket_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void bucket_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
                     int flags);
void bucket_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);

/* Adds what the read engine decided for a file, and why. */
void bucket_why(struct fs *fs, struct node *node, struct buf *out);

#endif
