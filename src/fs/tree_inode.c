/* tree_inode.c - which inodes of the backing the kernel refers to, and which handles it holds.
 *
 * A node is found by its id, and by device and inode number when a lookup meets it again: a
 * hard link, or a name that was renamed. The node holds its object, and the object the
 * backing's inode, so the number is not given to another file meanwhile.
 *
 * That costs the store a descriptor an inode, and the kernel remembers as many as its memory
 * allows. When there are more than the store wants, the kernel is told to drop the names of
 * files that were not looked up for longest, all of each, and then forgets them; from the dispatch
 * thread, because it waits for requests in those directories to end. Directories are
 * spared (somebody may have mounted something on one) and open files (a running program's
 * path would read as deleted). Each such notice waits for the requests to the directory that
 * are under way; listings, which bring many inodes at once, bring none while there are too
 * many. A walk through many directories never runs out of descriptors by this; one through
 * a single huge directory may still meet EMFILE. */
#include "tree_impl.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pailfs/base/lock.h"

/* A key is compared as bytes, so its padding must be zero. */
static struct inode_key key_of(const struct stat *st)
{
	struct inode_key key;

	memset(&key, 0, sizeof(key));
	key.dev = st->st_dev;
	key.ino = st->st_ino;
	return key;
}

static struct inode_version version_of(const struct stat *st)
{
	return (struct inode_version){.size = st->st_size, .mtime = st->st_mtim, .ctime = st->st_ctim};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* ---- names ---- */

/* More names than this of one file are not kept: what the kernel knows by others stays with it, but
 * so many names are one descriptor. */
enum { NAMES_MAX = 64 };

static struct inode_name *name_make(uint64_t parent, const char *name, struct inode_name *next)
{
	size_t size = strlen(name) + 1;
	struct inode_name *n = xmalloc(sizeof(*n) + size);

	n->next = next;
	n->parent = parent;
	memcpy(n->name, name, size);
	return n;
}

static void names_free(struct inode_name *names)
{
	while (names) {
		struct inode_name *next = names->next;

		free(names);
		names = next;
	}
}

static void names_remove(struct inode_name **names, uint64_t parent, const char *name)
{
	for (; *names; names = &(*names)->next)
		if ((*names)->parent == parent && !strcmp((*names)->name, name)) {
			struct inode_name *found = *names;

			*names = found->next;
			free(found);
			return;
		}
}

/* The newest first, and no more than there are: others have gone. */
static void names_add(struct inode_name **names, uint64_t parent, const char *name, nlink_t links)
{
	nlink_t most = MIN(links, NAMES_MAX);
	struct inode_name **end;

	names_remove(names, parent, name);
	*names = name_make(parent, name, *names);
	for (end = &(*names)->next; *end && most > 1; end = &(*end)->next)
		most--;
	names_free(*end);
	*end = NULL;
}

static void inode_free(struct inode *n)
{
	tree_object_unref(n->object);
	names_free(n->names);
	free(n);
}

/* What libfuse can splice in one piece. Its pipe has room for a reply and its header; a pipe
 * beyond the system's limit takes CAP_SYS_RESOURCE, and without it libfuse copies through
 * memory that it maps and unmaps each time: three times the CPU. The kernel's readahead keeps
 * to this size; a longer read goes through a buffer of ours. */
static size_t splice_limit(void)
{
	const int room = (int)TREE_REQUEST * 2;
	int ends[2], got;

	if (pipe2(ends, O_CLOEXEC))
		return TREE_REQUEST / 2;
	got = fcntl(ends[0], F_SETPIPE_SZ, room);
	close(ends[0]);
	close(ends[1]);
	return got >= room ? TREE_REQUEST : TREE_REQUEST / 2;
}

int tree_state_create(struct fs *fs)
{
	struct tree_state *t = xcalloc(1, sizeof(*t));
	struct tree_object *root;
	uint64_t id;
	struct stat st;
	int r;

	t->tree = store_tree(fs->c.store);
	t->splice = t->tree->descriptors ? splice_limit() : TREE_REQUEST;
	fs->readahead_kib = (unsigned)(t->splice >> 10);
	root = t->tree->root;
	r = tree_getattr(root, &st);
	if (r) {
		free(t);
		return r;
	}
	pthread_mutex_init(&t->lock, NULL);
	pthread_mutex_init(&t->handle_lock, NULL);
	list_init(&t->oldest);
	t->fs = fs;
	id = inode_remember(t, tree_object_ref(root), &st, 0, NULL);
	assert(id == FUSE_ROOT_ID);
	fs->state = t;
	return 0;
}

void tree_state_destroy(struct fs *fs)
{
	struct tree_state *t = fs->state;
	uint32_t index = 0;
	struct inode *n;
	struct tree_handle *h;
	struct tree_dir *d;

	if (!t)
		return;
	/* An unmount tells of no forgotten nodes, and the kernel waits for no RELEASE. */
	while ((h = slots_next(&t->handles, &index)))
		tree_close(h);
	index = 0;
	while ((d = slots_next(&t->directories, &index)))
		tree_closedir(t->tree, d);
	index = 0;
	HASH_CLEAR(hh, t->by_key);
	while ((n = slots_next(&t->inodes, &index)))
		inode_free(n);
	slots_release(&t->inodes);
	slots_release(&t->handles);
	slots_release(&t->directories);
	while (t->spare_buffers)
		free(t->buffers[--t->spare_buffers]);
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->handle_lock);
	free(t);
	fs->state = NULL;
}

/* ---- nodes ---- */

struct tree_object *inode_object(struct tree_state *t, uint64_t id)
{
	struct inode *n;

	scoped_lock(&t->lock);
	n = slots_get(&t->inodes, id);
	return n ? tree_object_ref(n->object) : NULL;
}

enum { TRIM_BATCH = 256 };

/* Chooses up to `max` of the oldest inodes that may go, and copies their names. */
static int choose(struct tree_state *t, int max, struct inode_name **names)
{
	struct inode *n;
	unsigned left;
	int count = 0;

	scoped_lock(&t->lock);
	left = HASH_COUNT(t->by_key);
	list_for_each_safe(n, &t->oldest, age) {
		if (!left-- || count == max)
			break;
		/* To the end, chosen or not: the next round shall not meet it again. */
		list_remove(&n->age);
		list_append(&t->oldest, &n->age);
		if (!n->names || n->handles)
			continue;
		for (const struct inode_name *name = n->names; name; name = name->next)
			*names = name_make(name->parent, name->name, *names);
		count++;
	}
	return count;
}

static void trim(struct dispatch_task *task)
{
	struct tree_state *t = container_of(task, struct tree_state, trim_task);
	long surplus;
	int count;

	pthread_mutex_lock(&t->lock);
	surplus = (long)HASH_COUNT(t->by_key) - (long)(t->tree->max_objects / 4 * 3);
	pthread_mutex_unlock(&t->lock);
	for (; surplus > 0; surplus -= count) {
		struct inode_name *names = NULL;

		count = choose(t, (int)MIN(surplus, TRIM_BATCH), &names);
		for (const struct inode_name *n = names; n; n = n->next)
			fuse_lowlevel_notify_inval_entry(t->fs->session, n->parent, n->name,
			                                 strlen(n->name));
		names_free(names);
		if (!count)
			break;
	}
	scoped_lock(&t->lock);
	t->trimming = false;
}

uint64_t inode_remember(struct tree_state *t, struct tree_object *o, const struct stat *st,
                             uint64_t parent, const char *name)
{
	struct inode_key key = key_of(st);
	struct tree_object *spare = NULL;
	bool too_many = false;
	struct inode *n;
	uint64_t id;

	pthread_mutex_lock(&t->lock);
	HASH_FIND(hh, t->by_key, &key, sizeof(key), n);
	if (n) {
		spare = o;
		list_remove(&n->age);
	} else {
		n = xcalloc(1, sizeof(*n));
		n->key = key;
		n->object = o;
		n->directory = S_ISDIR(st->st_mode);
		n->id = slots_add(&t->inodes, n);
		HASH_ADD(hh, t->by_key, key, sizeof(key), n);
		too_many = t->tree->max_objects && HASH_COUNT(t->by_key) > t->tree->max_objects &&
		           !t->trimming;
		t->trimming = t->trimming || too_many;
	}
	list_append(&t->oldest, &n->age);
	if (name && !n->directory)
		names_add(&n->names, parent, name, st->st_nlink);
	n->lookups++;
	n->told = version_of(st);
	id = n->id;
	pthread_mutex_unlock(&t->lock);
	tree_object_unref(spare);
	if (too_many) {
		t->trim_task.run = trim;
		dispatch_post(t->fs->dispatch, &t->trim_task);
	}
	return id;
}

void inode_renamed(struct tree_state *t, const struct stat *st, uint64_t parent, const char *name,
                   uint64_t new_parent, const char *new_name)
{
	struct inode_key key = key_of(st);
	struct inode *n;

	scoped_lock(&t->lock);
	HASH_FIND(hh, t->by_key, &key, sizeof(key), n);
	if (!n || n->directory)
		return;
	names_remove(&n->names, parent, name);
	names_add(&n->names, new_parent, new_name, st->st_nlink);
}

bool inode_crowded(struct tree_state *t)
{
	scoped_lock(&t->lock);
	return t->tree->max_objects && HASH_COUNT(t->by_key) > t->tree->max_objects;
}

void inode_opened(struct tree_state *t, uint64_t id, struct tree_handle *h)
{
	struct inode *n;

	scoped_lock(&t->lock);
	n = slots_get(&t->inodes, id);
	if (!n)
		return;
	n->handles++;
	n->writers += h->writable;
	n->handle = h;
}

void inode_closing(struct tree_state *t, uint64_t id, struct tree_handle *h)
{
	struct inode *n;

	scoped_lock(&t->lock);
	n = slots_get(&t->inodes, id);
	if (!n)
		return;
	n->handles--;
	n->writers -= h->writable;
	if (n->handle == h)
		n->handle = NULL;
}

struct tree_handle *inode_handle(struct tree_state *t, uint64_t id)
{
	struct inode *n;

	scoped_lock(&t->lock);
	n = slots_get(&t->inodes, id);
	return n && n->handle ? tree_handle_ref(n->handle) : NULL;
}

size_t inode_written(struct tree_state *t, uint64_t **ids)
{
	uint32_t index = 0;
	size_t count = 0;
	struct inode *n;

	scoped_lock(&t->lock);
	*ids = xmalloc((HASH_COUNT(t->by_key) + 1) * sizeof(**ids));
	while ((n = slots_next(&t->inodes, &index)))
		if (n->writers)
			(*ids)[count++] = n->id;
	return count;
}

void inode_forget(struct tree_state *t, uint64_t id, uint64_t lookups)
{
	struct inode *n;

	pthread_mutex_lock(&t->lock);
	n = slots_get(&t->inodes, id);
	if (n) {
		n->lookups -= MIN(n->lookups, lookups);
		if (n->lookups || id == FUSE_ROOT_ID) {
			n = NULL;
		} else {
			HASH_DEL(t->by_key, n);
			slots_remove(&t->inodes, id);
			list_remove(&n->age);
		}
	}
	pthread_mutex_unlock(&t->lock);
	if (n)
		inode_free(n);
}

void inode_tell(struct tree_state *t, uint64_t id, const struct stat *st)
{
	struct inode *n;

	scoped_lock(&t->lock);
	n = slots_get(&t->inodes, id);
	if (n)
		n->told = version_of(st);
}

bool inode_was_told(struct tree_state *t, uint64_t id, const struct stat *st)
{
	struct inode_version v = version_of(st);
	struct inode *n;

	scoped_lock(&t->lock);
	n = slots_get(&t->inodes, id);
	return n && n->told.size == v.size && same_time(&n->told.mtime, &v.mtime) &&
	       same_time(&n->told.ctime, &v.ctime);
}

/* ---- handles ---- */

uint64_t handle_add(struct tree_state *t, struct tree_handle *h)
{
	scoped_lock(&t->handle_lock);
	return slots_add(&t->handles, h);
}

struct tree_handle *handle_ref(struct tree_state *t, uint64_t id)
{
	struct tree_handle *h;

	scoped_lock(&t->handle_lock);
	h = slots_get(&t->handles, id);
	return h ? tree_handle_ref(h) : NULL;
}

struct tree_handle *handle_remove(struct tree_state *t, uint64_t id)
{
	scoped_lock(&t->handle_lock);
	return slots_remove(&t->handles, id);
}

uint64_t dir_handle_add(struct tree_state *t, struct tree_dir *d)
{
	scoped_lock(&t->handle_lock);
	return slots_add(&t->directories, d);
}

struct tree_dir *dir_handle_get(struct tree_state *t, uint64_t id)
{
	scoped_lock(&t->handle_lock);
	return slots_get(&t->directories, id);
}

struct tree_dir *dir_handle_remove(struct tree_state *t, uint64_t id)
{
	scoped_lock(&t->handle_lock);
	return slots_remove(&t->directories, id);
}

void *buffer_get(struct tree_state *t)
{
	void *b = NULL;

	pthread_mutex_lock(&t->handle_lock);
	if (t->spare_buffers)
		b = t->buffers[--t->spare_buffers];
	pthread_mutex_unlock(&t->handle_lock);
	if (!b && posix_memalign(&b, 4096, TREE_REQUEST))
		return NULL;
	return b;
}

void buffer_put(struct tree_state *t, void *buffer)
{
	void *surplus = buffer;

	pthread_mutex_lock(&t->handle_lock);
	if (buffer && t->spare_buffers < TREE_BUFFERS) {
		t->buffers[t->spare_buffers++] = buffer;
		surplus = NULL;
	}
	pthread_mutex_unlock(&t->handle_lock);
	free(surplus);
}
