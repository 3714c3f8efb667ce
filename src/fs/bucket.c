/* bucket.c - a bucket as a family of FUSE operations: the table, and what needs no network. */
#include "bucket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int bucket_create(struct fs *fs)
{
	fs->state = nodes_create(fs, store_capabilities(fs->c.store) & STORE_LIST ? store_root(fs->c.store) : "");
	return 0;
}

static void bucket_destroy(struct fs *fs)
{
	/* The end of a mount does not wait for what is open to be closed. */
	if (fs->state)
		bucket_close_directories(fs->state);
	nodes_destroy(fs->state);
}

static void bucket_init(struct fs *fs, struct fuse_conn_info *conn)
{
	/* It bounds READs as well, in pages. Where a page has 64 KiB, or the administrator allows
	 * more of them, a READ would be longer than what can be pinned for it. */
	conn->max_write = MIN(conn->max_write, CACHE_PIN_BYTES);
	/* Readahead goes far beyond the default of 12 requests in the background. */
	conn->max_background = 128;
	conn->congestion_threshold = 96;
	/* Versions never change under a node: nothing is asked again to keep pages (R2). */
	conn->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA;
	conn->want |= conn->capable & (FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS |
	                               FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
}

void bucket_fill_entry(struct fs *fs, const struct node *node, uint64_t valid_ns,
                       struct fuse_entry_param *out)
{
	*out = (struct fuse_entry_param){
	        .ino = node->id,
	        .generation = 0, /* the nodeid holds it already */
	        .attr_timeout = FOREVER_SECONDS,
	        .entry_timeout = (double)valid_ns / (double)NS_PER_SECOND,
	};
	node_stat(fs, node, &out->attr);
}

/* Forgets the name of `length` bytes at key + start, in the directory whose prefix is before it. */
static void forget_name(struct fs *fs, const char *key, size_t start, size_t length)
{
	struct nodes *nodes = nodes_of(fs);
	struct node *parent;
	char *prefix = xstrndup(key, start), *name = xstrndup(key + start, length);

	names_forget(fs->c.names, prefix, name);
	pthread_mutex_lock(&nodes->lock);
	HASH_FIND(hh, nodes->by_key, prefix, start, parent);
	uint64_t parent_id = parent ? parent->id : 0;
	pthread_mutex_unlock(&nodes->lock);
	if (parent_id)
		forget_entry(fs, parent_id, name);
	free(prefix);
	free(name);
}

void bucket_forget_name(struct fs *fs, const struct node *node)
{
	size_t length;
	const char *name = node_name(node, &length);

	forget_name(fs, node->key, (size_t)(name - node->key), length);
}

static void bucket_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	node_forget(nodes_of(fs_of(req)), ino, n);
	fuse_reply_none(req);
}

static void bucket_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		node_forget(nodes_of(fs_of(req)), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void bucket_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct node *node = node_get(nodes_of(fs_of(req)), ino);
	struct stat st;

	if (!node) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	node_stat(fs_of(req), node, &st);
	fuse_reply_attr(req, &st, FOREVER_SECONDS);
}

/* Who may come this far may read all. Without an answer the kernel would take every file for a
 * program. */
static void bucket_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	struct node *node = node_get(nodes_of(fs_of(req)), ino);
	mode_t mode = fs_of(req)->file_mode;

	if (!node)
		fuse_reply_err(req, ESTALE);
	else
		fuse_reply_err(req, mask & X_OK && !node->directory && !(mode & 0111) ? EACCES : 0);
}

static void bucket_statfs(fuse_req_t req, fuse_ino_t ino)
{
	/* Large and harmless: tools that check for room must not refuse (M5). */
	struct statvfs st = {
	        .f_bsize = 4096,
	        .f_frsize = 4096,
	        .f_blocks = 1ull << 40,
	        .f_bfree = 1ull << 39,
	        .f_bavail = 1ull << 39,
	        .f_files = 1ull << 32,
	        .f_ffree = 1ull << 31,
	        .f_favail = 1ull << 31,
	        .f_namemax = 255,
	};

	fuse_reply_statfs(req, &st);
}

/* The whole value is data: there are no holes in a bucket. */
static void bucket_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
	struct node *node = node_get(nodes_of(fs_of(req)), ino);
	struct stat st = {0};

	if (node)
		node_stat(fs_of(req), node, &st);
	if (offset < 0 || offset >= st.st_size)
		fuse_reply_err(req, ENXIO);
	else
		fuse_reply_lseek(req, whence == SEEK_DATA ? offset : st.st_size);
}

/* ---- what pailctl asks ---- */

/* Forgets what stands, or does not, under a path, and all below it: in the index, and what the
 * kernel was told. */
static void refresh(struct fs *fs, const char *path)
{
	struct nodes *nodes = nodes_of(fs);
	char *prefix = xasprintf("%s%s%s", nodes->root->key, path, *path ? "/" : "");
	size_t n = strlen(prefix), count = 0, start;
	struct node *node, *next, **known;

	pthread_mutex_lock(&nodes->lock);
	known = xmalloc(HASH_COUNT(nodes->by_key) * sizeof(*known));
	HASH_ITER(hh, nodes->by_key, node, next)
		if (!strncmp(node->key, prefix, n) && node->key[n]) {
			node->users++;
			known[count++] = node;
		}
	pthread_mutex_unlock(&nodes->lock);
	names_forget_below(fs->c.names, prefix);
	if (*path) {
		for (start = n - 1; start > 0 && prefix[start - 1] != '/'; start--)
			;
		forget_name(fs, prefix, start, n - 1 - start);
	}
	for (size_t i = 0; i < count; i++) {
		bucket_forget_name(fs, known[i]);
		node_put(nodes, known[i]);
	}
	free(known);
	free(prefix);
}

/* What is known under a key, a directory's without its '/' too; the caller's to put, or NULL. */
static struct node *find_node(struct fs *fs, const char *key)
{
	struct nodes *nodes = nodes_of(fs);
	char *directory = xasprintf("%s/", key);
	struct node *node;

	pthread_mutex_lock(&nodes->lock);
	HASH_FIND(hh, nodes->by_key, key, strlen(key), node);
	if (!node)
		HASH_FIND(hh, nodes->by_key, directory, strlen(directory), node);
	if (node)
		node->users++;
	pthread_mutex_unlock(&nodes->lock);
	free(directory);
	return node;
}

/* Finds the file that a message names; false, with the answer set, when there is none. */
static bool find_file(struct fs *fs, struct ctl_message *m, const char *key, struct node **out)
{
	static const char unknown[] = "nothing is known of this file: look at it first";
	static const char directory[] = "is a directory; name a file in it (-o policy_rule=GLOB:POLICY "
	                                "sets the policy of many)";
	struct node *node = find_node(fs, key);

	if (node && !node->directory) {
		*out = node;
		return true;
	}
	if (node) {
		node_put(nodes_of(fs), node);
		ctl_answer(m, -EISDIR, directory, strlen(directory));
	} else {
		ctl_answer(m, -ENOENT, unknown, strlen(unknown));
	}
	return false;
}

static void set_policy(struct fs *fs, struct node *node, struct ctl_message *m)
{
	static const char unknown[] = "the policies are sequential, ranged and auto";
	char *name = xstrndup(m->data, m->length);
	const struct policy *policy;

	pthread_mutex_lock(&nodes_of(fs)->lock);
	policy = *name ? policy_by_name(name) : bucket_policy(fs, node);
	pthread_mutex_unlock(&nodes_of(fs)->lock);
	if (!policy) {
		ctl_answer(m, -EINVAL, unknown, strlen(unknown));
	} else {
		if (*name)
			bucket_set_policy(fs, node, policy);
		ctl_answer(m, 0, policy->name, strlen(policy->name));
	}
	free(name);
}

static bool bucket_command(struct fs *fs, struct ctl_message *m)
{
	struct nodes *nodes = nodes_of(fs);
	char *key = xasprintf("%s%s", nodes->root->key, m->path);
	struct buf text = BUF_INIT;
	struct node *node;

	switch (m->command) {
	case CTL_REFRESH:
		refresh(fs, m->path);
		ctl_answer(m, 0, "", 0);
		break;
	case CTL_FLUSH: /* nothing is ever dirty */
		ctl_answer(m, 0, "", 0);
		break;
	case CTL_WHY:
		if (!find_file(fs, m, key, &node))
			break;
		bucket_why(fs, node, &text);
		ctl_answer(m, 0, text.data, text.length);
		node_put(nodes, node);
		break;
	case CTL_POLICY:
		if (!find_file(fs, m, key, &node))
			break;
		set_policy(fs, node, m);
		node_put(nodes, node);
		break;
	}
	buf_release(&text);
	free(key);
	return m->command == CTL_REFRESH;
}

const struct fs_family fs_bucket = {
        .create = bucket_create,
        .destroy = bucket_destroy,
        .init = bucket_init,
        .command = bucket_command,
        .ops = {
                .lookup = bucket_lookup,
                .forget = bucket_forget,
                .forget_multi = bucket_forget_multi,
                .getattr = bucket_getattr,
                .access = bucket_access,
                .open = bucket_open,
                .read = bucket_read,
                .release = bucket_release,
                .opendir = bucket_opendir,
                .readdir = bucket_readdir,
                .readdirplus = bucket_readdirplus,
                .releasedir = bucket_releasedir,
                .statfs = bucket_statfs,
                .getxattr = bucket_getxattr,
                .setxattr = bucket_setxattr,
                .listxattr = bucket_listxattr,
                .lseek = bucket_lseek,
        },
};
