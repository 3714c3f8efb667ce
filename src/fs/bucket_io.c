/* bucket_io.c - opening and reading objects.
 *
 * Opening asks nothing (M3): the first GET's If-Match finds out whether what was believed
 * still holds. When it does not, and nobody has seen a byte of the old version yet, the node
 * moves on to the new one in silence; otherwise the reader gets ESTALE (R2).
 *
 * The first byte that is given out settles a node for good: pages of it stay in the kernel
 * when the file is closed. Several reads may find out at once that the object was replaced,
 * or bring bytes of it while another read is moving the node on; so who moves it and who
 * settles it decide under nodes.lock, and bytes of a reader that is not the node's any more
 * are read again. */
#include "bucket.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/lock.h"
#include "pailfs/base/log.h"

struct read_request {
	struct parked parked;
	struct reader_request read;
	struct node *node;
	struct reader *reader;     /* counted */
	struct names_lookup names; /* to find the version to move on to */
	size_t size;
	off_t offset;
	uint64_t started_ns;
	bool moved;                /* it is moving on or has done so: once is enough */
	bool settled;              /* the node was when r took its reader, which then stays */
};

/* The path below the mount's root, which the user's globs speak of. */
static const char *relative_path(const struct fs *fs, const struct node *node)
{
	const char *root = nodes_of((struct fs *)fs)->root->key;

	return node->key + strlen(root);
}

const struct policy *bucket_policy(const struct fs *fs, const struct node *node)
{
	const struct config *c = fs->c.config;
	const char *path = relative_path(fs, node), *base = strrchr(path, '/');

	if (node->policy)
		return node->policy;
	for (size_t i = 0; i < c->rule_count; i++) {
		const char *glob = c->rules[i].glob;
		const char *what = strchr(glob, '/') || !base ? path : base + 1;

		if (!fnmatch(glob, what, 0))
			return policy_by_name(c->rules[i].policy);
	}
	return policy_by_name(c->read_policy);
}

void bucket_set_policy(struct fs *fs, struct node *node, const struct policy *policy)
{
	scoped_lock(&nodes_of(fs)->lock);
	node->policy = policy;
	if (node->reader)
		reader_set_policy(node->reader, policy);
}

void bucket_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct nodes *nodes = nodes_of(fs);
	struct node *node = node_get(nodes, ino);
	int err = 0;

	if (!node) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	pthread_mutex_lock(&nodes->lock);
	if (node->directory)
		err = EISDIR;
	else if ((fi->flags & O_ACCMODE) != O_RDONLY)
		err = EROFS;
	else if (node->superseded)
		err = ESTALE; /* the VFS looks the name up again and opens what it finds */
	if (!err) {
		if (!node->object)
			node->object = store_object_open(fs->c.store, node->key, &node->attr);
		if (!node->reader)
			node->reader = reader_create(fs->c.engine, node->object, bucket_policy(fs, node));
		node->opens++;
	}
	pthread_mutex_unlock(&nodes->lock);
	if (err) {
		fuse_reply_err(req, err);
		return;
	}
	stats_inc(fs->c.stats, STAT_OPEN_FILES);
	fi->fh = node->id;
	fi->keep_cache = 1;
	fi->noflush = 1; /* there is nothing to flush: saves a request a close */
	fuse_reply_open(req, fi);
}

/* Who asks why a file was read so, or failed, mostly asks when it is closed again. */
static void keep_last_words(struct node *node)
{
	struct buf why = BUF_INIT, error = BUF_INIT;

	reader_why(node->reader, &why);
	reader_error(node->reader, &error);
	free(node->why);
	free(node->error);
	node->why = buf_detach(&why);
	node->error = buf_detach(&error);
}

static void close_one(struct fs *fs, struct node *node)
{
	struct nodes *nodes = nodes_of(fs);
	struct reader *last = NULL;

	pthread_mutex_lock(&nodes->lock);
	if (--node->opens == 0) {
		keep_last_words(node);
		last = node->reader;
		node->reader = NULL;
	}
	pthread_mutex_unlock(&nodes->lock);
	reader_destroy(last);
	stats_add(fs->c.stats, STAT_OPEN_FILES, -1);
}

void bucket_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct node *node = node_get(nodes_of(fs_of(req)), ino);

	if (node)
		close_one(fs_of(req), node);
	fuse_reply_err(req, 0);
}

/* ---- reading ---- */

static void read_finish(struct read_request *r, int result);

static void read_free(struct parked *p)
{
	struct read_request *r = container_of(p, struct read_request, parked);

	reader_unref(r->reader);
	free(r);
}

/* At the mount's end: who waits for a silent server is told now, not when its time is up. The read
 * may be moving on at this moment, and neither waits then. */
static void read_interrupt(struct parked *p)
{
	struct read_request *r = container_of(p, struct read_request, parked);

	names_lookup_interrupt(p->fs->c.names, &r->names);
	reader_interrupt(p->fs->c.engine, &r->read);
}

static void read_done(struct reader_request *q, int result)
{
	read_finish(container_of(q, struct read_request, read), result);
}

/* Reads through the node's reader of this moment. */
static void read_start(struct read_request *r)
{
	struct nodes *nodes = nodes_of(r->parked.fs);
	int result;

	pthread_mutex_lock(&nodes->lock);
	r->reader = reader_ref(r->node->reader);
	r->settled = r->node->settled;
	pthread_mutex_unlock(&nodes->lock);
	result = reader_read(r->reader, &r->read, (uint64_t)r->offset, r->size);
	if (result != 0)
		read_finish(r, result < 0 ? result : 0);
}

static void read_end(struct read_request *r, int error)
{
	struct fs *fs = r->parked.fs;

	unpark(&r->parked);
	if (error)
		fuse_reply_err(r->parked.req, error);
	else if (r->read.pin.count == 0)
		fuse_reply_buf(r->parked.req, NULL, 0);
	else
		fuse_reply_iov(r->parked.req, r->read.pin.iov, r->read.pin.count);
	stats_observe(fs->c.stats, HISTOGRAM_READ, clock_monotonic(fs->c.clock) - r->started_ns);
	if (!error) {
		stats_add(fs->c.stats, STAT_READ_BYTES, (int64_t)range_length(r->read.range));
		reader_done(&r->read);
	}
	node_put(nodes_of(fs), r->node);
	parked_unref(&r->parked);
}

/* Whether the bytes that r has may be given out: they are of the version that the node is and,
 * from now on, stays. */
static bool settle(struct read_request *r)
{
	if (r->settled)
		return true;
	scoped_lock(&nodes_of(r->parked.fs)->lock);
	if (r->node->reader != r->reader)
		return false;
	r->node->settled = true;
	return true;
}

/* Another version stands under the key now, or none: whoever opens the name shall find that. */
static void supersede(struct fs *fs, struct node *node, const char *consequence)
{
	struct nodes *nodes = nodes_of(fs);
	bool found, told;

	pthread_mutex_lock(&nodes->lock);
	found = node->superseded; /* by a lookup, which has the new one */
	if (!found) {
		node->superseded = true;
		HASH_DEL(nodes->by_key, node);
	}
	told = node->told;
	node->told = true;
	pthread_mutex_unlock(&nodes->lock);
	if (!told)
		log_warn(LOG_FS, "%s: the object was replaced or deleted while it was being read; %s",
		         node->key, consequence);
	if (!found)
		bucket_forget_name(fs, node);
}

static void read_stale(struct read_request *r)
{
	supersede(r->parked.fs, r->node, "its readers get ESTALE, open it again for the new version");
	read_end(r, ESTALE);
}

/* Whether the kernel may learn from the reply where the version ends. It may still go by the size of
 * a longer one; and when it was told anything of the node since it sent the READ, it leaves aside
 * that the reply is short, and zeros stand for what is missing (R3). So a READ that has seen the
 * node move on fails, and the kernel sends another for the page that is wanted. An empty reply from
 * beyond the end would make its own place the end. */
static bool says_the_end(const struct read_request *r)
{
	struct range range = r->read.range;

	if ((uint64_t)r->offset > range.start)
		return false;
	return !r->moved || !r->node->shortened || range_length(range) == r->size;
}

/* A node that is settled keeps its object. */
static void read_good(struct read_request *r)
{
	bool good = says_the_end(r);

	if (store_object_is_superseded(r->node->object))
		supersede(r->parked.fs, r->node, "its readers go on with the version that the bucket "
		          "keeps, open it again for the new one");
	if (!good)
		reader_done(&r->read);
	read_end(r, good ? 0 : ESTALE);
}

/* Reads what the node has become. */
static void read_again(struct read_request *r)
{
	r->moved = true;
	reader_unref(r->reader);
	read_start(r);
}

/* Under nodes.lock: whether nobody can tell that the node was another version before, or it has
 * moved on already. */
static bool may_move_on(const struct read_request *r)
{
	const struct node *node = r->node;

	return node->reader != r->reader || (!node->told && !node->settled && node->opens == 1);
}

/* What the kernel knows of the node is of the version before. It asks anew once it is told so,
 * which is before the reply. It must not be told when the new version is shorter: the size that a
 * short reply brings counts only if nothing was told since the READ was sent, and with the old
 * one the rest would be zeros to the reader (R3). The name is forgotten instead, so whoever opens
 * it next brings the new size along; who has it open learns that at the end. */
static void tell_moved_on(struct fs *fs, const struct node *node)
{
	if (node->shortened)
		bucket_forget_name(fs, node);
	else /* a negative offset drops the attributes only and waits for no page */
		fuse_lowlevel_notify_inval_inode(fs->session, node->id, -1, 0);
}

static void moved_on(struct names_lookup *q, int result)
{
	struct read_request *r = container_of(q, struct read_request, names);
	struct fs *fs = r->parked.fs;
	struct nodes *nodes = nodes_of(fs);
	struct node *node = r->node;
	struct reader *old = NULL;
	bool moved;

	pthread_mutex_lock(&nodes->lock);
	/* Another request of the same reader may have moved it already. */
	moved = node->reader != r->reader;
	if (!moved && result >= 0 && !q->entry.directory && may_move_on(r)) {
		moved = true;
		node->shortened = q->entry.attr.size < node->attr.size;
		old = node->reader;
		store_object_unref(node->object);
		node->attr = q->entry.attr;
		node->object = store_object_open(fs->c.store, node->key, &node->attr);
		node->reader = reader_create(fs->c.engine, node->object, bucket_policy(fs, node));
	}
	pthread_mutex_unlock(&nodes->lock);
	names_entry_release(&q->entry);
	if (!moved) {
		read_stale(r);
		return;
	}
	if (old) {
		tell_moved_on(fs, node);
		reader_destroy(old);
	}
	read_again(r);
}

static void move_on(struct read_request *r)
{
	struct fs *fs = r->parked.fs;
	size_t length;
	const char *start = node_name(r->node, &length);
	char *prefix = xstrndup(r->node->key, (size_t)(start - r->node->key));
	char *name = xstrndup(start, length);
	int result;

	r->moved = true;
	r->names.done = moved_on;
	names_forget(fs->c.names, prefix, name);
	result = names_lookup(fs->c.names, &r->names, prefix, name);
	free(prefix);
	free(name);
	if (result != 0)
		moved_on(&r->names, result < 0 ? result : 0);
}

static void read_finish(struct read_request *r, int result)
{
	struct nodes *nodes = nodes_of(r->parked.fs);
	bool may;

	if (result == 0 && !settle(r)) {
		reader_done(&r->read);
		if (r->moved)
			read_stale(r);
		else
			read_again(r);
	} else if (result == 0) {
		read_good(r);
	} else if (result != -ESTALE && result != -ENOENT) {
		read_end(r, -result);
	} else {
		pthread_mutex_lock(&nodes->lock);
		may = !r->moved && may_move_on(r);
		pthread_mutex_unlock(&nodes->lock);
		if (may)
			move_on(r);
		else
			read_stale(r);
	}
}

void bucket_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct node *node = node_get(nodes_of(fs), ino);
	struct read_request *r;

	if (!node || node->directory) {
		fuse_reply_err(req, node ? EISDIR : ESTALE);
		return;
	}
	r = xmalloc(sizeof(*r)); /* most of it is the pin's arrays, which need no zeroing */
	memset(&r->parked, 0, sizeof(r->parked));
	memset(&r->names, 0, sizeof(r->names));
	r->parked.destroy = read_free;
	r->parked.interrupt = read_interrupt;
	reader_request_init(&r->read, read_done);
	r->reader = NULL;
	r->node = node;
	r->size = size;
	r->offset = offset;
	r->moved = r->settled = false;
	r->started_ns = clock_monotonic(fs->c.clock);
	node_ref(nodes_of(fs), node);
	park(&r->parked, fs, req, false); /* the kernel interrupts no buffered read */
	read_start(r);
}
