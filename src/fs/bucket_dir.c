/* bucket_dir.c - looking up and listing names.
 *
 * A directory is listed as a stream: a reply goes out as soon as the names index knows some
 * entries. An entry's offset is its number in the stream. A handle keeps the batch that it
 * is in, and the cursors at which its replies began, so that seekdir() finds its way back
 * without a list of all names in memory. */
#include "bucket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/lock.h"
#include "pailfs/base/log.h"

#define BATCH_ENTRIES 512
#define CHECKPOINT_EVERY 4096 /* entries between two cursors that are kept */

/* ---- lookup ---- */

struct lookup_request {
	struct parked parked;
	struct names_lookup names;
	struct node *parent;
};

static void lookup_reply(struct fs *fs, fuse_req_t req, struct node *parent, struct names_lookup *q,
                         int result)
{
	struct nodes *nodes = nodes_of(fs);
	struct fuse_entry_param entry;
	struct node *node;

	/* What the kernel keeps of absent names it forgets with their directory, as a refresh has
	 * it do; but never with the root. So it asks for those again, which costs no request. */
	if (result == -ENOENT && q->entry.valid_ns && parent != nodes->root) {
		entry = (struct fuse_entry_param){
		        .entry_timeout = (double)q->entry.valid_ns / (double)NS_PER_SECOND};
		fuse_reply_entry(req, &entry); /* inode 0: the kernel keeps that there is none */
	} else if (result < 0) {
		fuse_reply_err(req, -result);
	} else {
		node = node_enter(nodes, parent, &q->entry);
		bucket_fill_entry(fs, node, q->entry.valid_ns, &entry);
		if (fuse_reply_entry(req, &entry))
			node_forget(nodes, node->id, 1); /* the caller is gone and will not */
	}
	names_entry_release(&q->entry);
}

static void lookup_done(struct names_lookup *q, int result)
{
	struct lookup_request *r = container_of(q, struct lookup_request, names);
	struct fs *fs = r->parked.fs;

	unpark(&r->parked);
	lookup_reply(fs, r->parked.req, r->parent, q, result);
	node_put(nodes_of(fs), r->parent);
	parked_unref(&r->parked);
}

static void lookup_interrupt(struct parked *p)
{
	names_lookup_interrupt(p->fs->c.names, &container_of(p, struct lookup_request, parked)->names);
}

static void lookup_free(struct parked *p)
{
	free(container_of(p, struct lookup_request, parked));
}

void bucket_lookup(fuse_req_t req, fuse_ino_t parent_ino, const char *name)
{
	struct fs *fs = fs_of(req);
	struct node *parent = node_get(nodes_of(fs), parent_ino);
	struct lookup_request *r;
	int result;

	if (!parent) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if (strlen(name) > 255) {
		fuse_reply_err(req, ENAMETOOLONG);
		return;
	}
	r = xcalloc(1, sizeof(*r));
	r->parent = parent;
	r->names.done = lookup_done;
	r->parked.interrupt = lookup_interrupt;
	r->parked.destroy = lookup_free;
	node_ref(nodes_of(fs), parent);
	park(&r->parked, fs, req, true);
	result = names_lookup(fs->c.names, &r->names, parent->key, name);
	if (result != 0)
		lookup_done(&r->names, result < 0 ? result : 0);
}

/* ---- listing ---- */

struct checkpoint {
	uint64_t offset;
	char *after; /* the cursor of the entry with that offset */
};

/* One request at a time uses a handle: the kernel holds the position's lock of the open
 * directory over it. */
struct dir_handle {
	atomic_uint refs;      /* the kernel's, and one of each request: an interrupt may come late */
	struct nodes *nodes;
	struct node *node;
	struct names_readdir batch;
	bool loaded;           /* batch holds entries … */
	uint64_t loaded_ns;    /* … since then */
	uint64_t batch_offset; /* the offset of the entry before batch.entries[0] */
	struct checkpoint *checkpoints;
	size_t checkpoint_count;
};

struct dir_request {
	struct parked parked;
	struct dir_handle *dir;
	struct names_readdir load; /* the handle's next batch while it is asked for: an interrupt
	                            * that comes late must not meet another request's */
	uint64_t load_offset;  /* the offset of the entry before load.entries[0] */
	bool plus;
	size_t size;
	uint64_t offset;       /* reply with what comes after it */
	char *data;
	size_t used;
	bool named;            /* there is more than "." and ".." in the reply */
};

/* Offsets 1 and 2 are "." and "..". */
#define FIRST_OFFSET 2

void bucket_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct nodes *nodes = nodes_of(fs_of(req));
	struct node *node = node_get(nodes, ino);
	struct dir_handle *d;

	if (!node) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	d = xcalloc(1, sizeof(*d));
	atomic_init(&d->refs, 1);
	d->nodes = nodes;
	d->node = node;
	node_ref(nodes, node);
	pthread_mutex_lock(&nodes->lock);
	fi->fh = slots_add(&nodes->handles, d);
	pthread_mutex_unlock(&nodes->lock);
	/* The names index and the kernel's entries do the caching, with their time limits. */
	fuse_reply_open(req, fi);
}

static struct dir_handle *dir_get(struct nodes *nodes, const struct fuse_file_info *fi)
{
	scoped_lock(&nodes->lock);
	return slots_get(&nodes->handles, fi->fh);
}

static void dir_drop_batch(struct dir_handle *d)
{
	if (d->loaded)
		names_readdir_release(&d->batch);
	d->loaded = false;
}

/* Whoever begins anew, as by rewinddir(), is shown what there is now, under new numbers. */
static void dir_rewind(struct dir_handle *d)
{
	dir_drop_batch(d);
	for (size_t i = 0; i < d->checkpoint_count; i++)
		free(d->checkpoints[i].after);
	free(d->checkpoints);
	d->checkpoints = NULL;
	d->checkpoint_count = 0;
}

static void dir_unref(struct dir_handle *d)
{
	if (atomic_fetch_sub(&d->refs, 1) != 1)
		return;
	dir_rewind(d);
	node_put(d->nodes, d->node);
	free(d);
}

void bucket_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct nodes *nodes = nodes_of(fs_of(req));
	struct dir_handle *d = dir_get(nodes, fi);

	pthread_mutex_lock(&nodes->lock);
	slots_remove(&nodes->handles, fi->fh);
	pthread_mutex_unlock(&nodes->lock);
	dir_unref(d);
	fuse_reply_err(req, 0);
}

void bucket_close_directories(struct nodes *nodes)
{
	struct dir_handle *d;
	uint32_t index = 0;

	while ((d = slots_next(&nodes->handles, &index)))
		dir_unref(d);
}

static void dir_request_free(struct parked *p)
{
	struct dir_request *r = container_of(p, struct dir_request, parked);

	dir_unref(r->dir);
	free(r->data);
	free(r);
}

static void dir_finish(struct dir_request *r, int result)
{
	unpark(&r->parked);
	/* What is in the buffer is delivered; the error comes again with the next call. */
	if (result < 0 && !r->named)
		fuse_reply_err(r->parked.req, -result);
	else
		fuse_reply_buf(r->parked.req, r->data, r->used);
	parked_unref(&r->parked);
}

/* Adds one entry; false when the buffer is full. */
static bool dir_add(struct dir_request *r, const struct names_entry *e, uint64_t offset)
{
	struct fs *fs = r->parked.fs;
	struct nodes *nodes = r->dir->nodes;
	size_t room = r->size - r->used, need;
	struct fuse_entry_param entry;
	struct node *node;
	uint64_t age;

	if (!r->plus || e->attr.size_unknown) {
		char *key = xasprintf("%s%s%s", r->dir->node->key, e->name, e->directory ? "/" : "");
		struct stat st = {.st_ino = node_ino(key), .st_mode = e->directory ? S_IFDIR : S_IFREG};

		free(key);
		/* Without an inode in it the kernel looks the name up when it is used. */
		entry = (struct fuse_entry_param){.attr = st};
		need = r->plus ? fuse_add_direntry_plus(r->parked.req, r->data + r->used, room, e->name,
		                                        &entry, (off_t)offset) :
		                 fuse_add_direntry(r->parked.req, r->data + r->used, room, e->name, &st,
		                                   (off_t)offset);
		if (need > room)
			return false;
		r->used += need;
		return true;
	}
	if (fuse_add_direntry_plus(r->parked.req, NULL, 0, e->name, NULL, 0) > room)
		return false;
	node = node_enter(nodes, r->dir->node, e);
	/* A reader may take its time over a batch. */
	age = clock_monotonic(fs->c.clock) - r->dir->loaded_ns;
	bucket_fill_entry(fs, node, e->valid_ns - MIN(age, e->valid_ns), &entry);
	r->used += fuse_add_direntry_plus(r->parked.req, r->data + r->used, room, e->name, &entry,
	                                  (off_t)offset);
	return true;
}

/* "." and "..": never looked up, so they carry no node. */
static void dir_add_dots(struct dir_request *r)
{
	static const char *const dots[] = {".", ".."};
	const struct node *node = r->dir->node;

	while (r->offset < FIRST_OFFSET) {
		struct names_entry e = {.name = (char *)dots[r->offset], .directory = true};
		size_t room = r->size - r->used, need;
		struct fuse_entry_param entry = {
		        .attr = {.st_ino = r->offset ? node_parent_ino(r->dir->nodes, node) : node->ino,
		                 .st_mode = S_IFDIR}};

		need = r->plus ? fuse_add_direntry_plus(r->parked.req, r->data + r->used, room, e.name,
		                                        &entry, (off_t)r->offset + 1) :
		                 fuse_add_direntry(r->parked.req, r->data + r->used, room, e.name,
		                                   &entry.attr, (off_t)r->offset + 1);
		if (need > room)
			return;
		r->used += need;
		r->offset++;
	}
}

static void checkpoint_add(struct dir_handle *d, uint64_t offset, char *after)
{
	uint64_t last = d->checkpoint_count ? d->checkpoints[d->checkpoint_count - 1].offset : FIRST_OFFSET;

	if (offset < last + CHECKPOINT_EVERY) {
		free(after);
		return;
	}
	d->checkpoints = xrealloc(d->checkpoints, d->checkpoint_count + 1, sizeof(*d->checkpoints));
	d->checkpoints[d->checkpoint_count++] = (struct checkpoint){offset, after};
}

/* The last cursor that stands at or before an offset; NULL: none does. */
static const struct checkpoint *checkpoint_before(const struct dir_handle *d, uint64_t offset)
{
	size_t i = d->checkpoint_count;

	while (i && d->checkpoints[i - 1].offset > offset)
		i--;
	return i ? &d->checkpoints[i - 1] : NULL;
}

/* Asks for the batch that brings a reader at `offset` on: the one behind this, or, where that
 * would lead away or a cursor is nearer, the one behind the cursor. This one stays until that has
 * come: whoever tries again after a failure goes on behind the last name that was shown, whatever
 * became of those before it. Returns as names_readdir. */
static int dir_load(struct dir_request *r, uint64_t offset)
{
	struct dir_handle *d = r->dir;
	const struct names_readdir *b = &d->batch;
	const struct checkpoint *c = checkpoint_before(d, offset);
	uint64_t end = d->batch_offset + b->count;
	const char *after = NULL;
	char *own = NULL;
	int result;

	if (d->loaded && b->count && offset >= end && (!c || c->offset <= end)) {
		after = own = names_cursor(&b->entries[b->count - 1]);
		checkpoint_add(d, end, xstrdup(own));
		r->load_offset = end;
	} else {
		r->load_offset = c ? c->offset : FIRST_OFFSET;
		after = c ? c->after : NULL;
	}
	result = names_readdir(r->parked.fs->c.names, &r->load, d->node->key, after, BATCH_ENTRIES);
	free(own);
	return result;
}

static void dir_take_load(struct dir_request *r)
{
	struct dir_handle *d = r->dir;

	dir_drop_batch(d);
	d->batch = r->load;
	d->batch_offset = r->load_offset;
	d->loaded = true;
	d->loaded_ns = clock_monotonic(r->parked.fs->c.clock);
}

/* Fills the reply from the batch, and loads the next as long as no name is in the reply. */
static void dir_go(struct dir_request *r)
{
	struct dir_handle *d = r->dir;
	int result;

	for (;;) {
		struct names_readdir *b = &d->batch;

		while (d->loaded && r->offset >= d->batch_offset && r->offset < d->batch_offset + b->count) {
			const struct names_entry *e = &b->entries[r->offset - d->batch_offset];

			if (!control_has_name(d->node->id, e->name)) {
				if (!dir_add(r, e, r->offset + 1)) {
					dir_finish(r, 0);
					return;
				}
				r->named = true;
			}
			r->offset++;
		}
		/* What is there goes out first: names appear before the listing is complete. "." and
		 * ".." wait for others: the kernel asks for attributes with the first reply, and
		 * with more of them where it was of use. */
		if (r->named || (d->loaded && b->end && r->offset >= d->batch_offset + b->count)) {
			dir_finish(r, 0);
			return;
		}
		result = dir_load(r, r->offset);
		if (result == 0)
			return;
		if (result < 0) {
			dir_finish(r, result);
			return;
		}
		dir_take_load(r);
	}
}

static void dir_loaded(struct names_readdir *load, int result)
{
	struct dir_request *r = container_of(load, struct dir_request, load);

	if (result < 0) {
		dir_finish(r, result);
		return;
	}
	dir_take_load(r);
	dir_go(r);
}

static void dir_interrupt(struct parked *p)
{
	names_readdir_interrupt(p->fs->c.names, &container_of(p, struct dir_request, parked)->load);
}

static void dir_read(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *fi, bool plus)
{
	struct dir_handle *d = dir_get(nodes_of(fs_of(req)), fi);
	struct dir_request *r;

	if (!d) {
		fuse_reply_err(req, EBADF);
		return;
	}
	atomic_fetch_add(&d->refs, 1);
	r = xcalloc(1, sizeof(*r));
	r->dir = d;
	r->plus = plus;
	r->size = size;
	r->offset = (uint64_t)offset;
	r->data = xmalloc(size);
	r->parked.interrupt = dir_interrupt;
	r->parked.destroy = dir_request_free;
	r->load.done = dir_loaded;
	park(&r->parked, fs_of(req), req, true);
	if (offset == 0)
		dir_rewind(d);
	dir_add_dots(r);
	dir_go(r);
}

void bucket_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	dir_read(req, size, offset, fi, false);
}

void bucket_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                        struct fuse_file_info *fi)
{
	dir_read(req, size, offset, fi, true);
}
