/* node.c - nodes by number, and the newest version by key. */
#include "node.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/crypto.h"
#include "pailfs/base/lock.h"

uint64_t node_ino(const char *key)
{
	uint64_t h = crypto_hash64(key, strlen(key)) & (CONTROL_FIRST_INO - 1);

	/* 0 is no inode; 1 is the root's, which tools know it by. */
	return h > 1 ? h : h + 2;
}

static struct node *node_new(struct nodes *n, char *key, bool directory, const struct store_attr *attr)
{
	struct node *node = xcalloc(1, sizeof(*node));

	node->id = slots_add(&n->table, node);
	node->key = key;
	node->directory = directory;
	node->ino = node_ino(key);
	node->attr = *attr;
	HASH_ADD_KEYPTR(hh, n->by_key, node->key, strlen(node->key), node);
	stats_inc(n->fs->c.stats, STAT_NODES);
	return node;
}

static void node_free(struct nodes *n, struct node *node)
{
	assert(!node->reader);
	if (!node->superseded)
		HASH_DEL(n->by_key, node);
	slots_remove(&n->table, node->id);
	store_object_unref(node->object);
	stats_add(n->fs->c.stats, STAT_NODES, -1);
	free(node->key);
	free(node->why);
	free(node->error);
	free(node);
}

struct nodes *nodes_create(struct fs *fs, const char *root_key)
{
	static const struct store_attr directory = {.is_prefix = true};
	struct nodes *n = xcalloc(1, sizeof(*n));

	n->fs = fs;
	pthread_mutex_init(&n->lock, NULL);
	n->root = node_new(n, xstrdup(root_key), true, &directory);
	assert(n->root->id == FUSE_ROOT_ID);
	n->root->ino = FUSE_ROOT_ID;
	n->root->lookups = 1;
	return n;
}

void nodes_destroy(struct nodes *n)
{
	struct node *node;
	uint32_t i = 0;

	if (!n)
		return;
	while ((node = slots_next(&n->table, &i))) {
		/* The kernel sends no RELEASE for what is open when the mount is torn down. */
		reader_destroy(node->reader);
		node->reader = NULL;
		node_free(n, node);
	}
	pthread_mutex_destroy(&n->lock);
	slots_release(&n->table);
	slots_release(&n->handles);
	free(n);
}

struct node *node_get(struct nodes *n, uint64_t id)
{
	scoped_lock(&n->lock);
	return slots_get(&n->table, id);
}

static void free_if_unused(struct nodes *n, struct node *node)
{
	if (!node->lookups && !node->users && !node->opens)
		node_free(n, node);
}

void node_ref(struct nodes *n, struct node *node)
{
	scoped_lock(&n->lock);
	node->users++;
}

void node_put(struct nodes *n, struct node *node)
{
	scoped_lock(&n->lock);
	node->users--;
	free_if_unused(n, node);
}

bool node_same_version(const struct store_attr *a, const struct store_attr *b)
{
	if (a->size != b->size)
		return false;
	if (*a->version && *b->version)
		return !strcmp(a->version, b->version);
	if (*a->etag && *b->etag)
		return !strcmp(a->etag, b->etag);
	return a->mtime_ns == b->mtime_ns;
}

struct node *node_enter(struct nodes *n, const struct node *parent, const struct names_entry *entry)
{
	char *key = xasprintf("%s%s%s", parent->key, entry->name, entry->directory ? "/" : "");
	struct node *node;

	scoped_lock(&n->lock);
	HASH_FIND(hh, n->by_key, key, strlen(key), node);
	if (node && !node->directory && !node_same_version(&node->attr, &entry->attr)) {
		HASH_DEL(n->by_key, node);
		node->superseded = true;
		node = NULL;
	}
	if (node) {
		/* The same bytes, written again, have another time, and so has a directory whose
		 * marker was not seen before (M6). Readers need not know. */
		node->attr.mtime_ns = entry->attr.mtime_ns ? entry->attr.mtime_ns : node->attr.mtime_ns;
		free(key);
	} else {
		node = node_new(n, key, entry->directory, &entry->attr);
	}
	node->lookups++;
	return node;
}

void node_forget(struct nodes *n, uint64_t id, uint64_t lookups)
{
	struct node *node = node_get(n, id);

	if (!node || node == n->root)
		return;
	scoped_lock(&n->lock);
	node->lookups -= MIN(lookups, node->lookups);
	free_if_unused(n, node);
}

const char *node_name(const struct node *node, size_t *length)
{
	size_t end = strlen(node->key), start;

	if (node->directory && end)
		end--;
	for (start = end; start > 0 && node->key[start - 1] != '/'; start--)
		;
	*length = end - start;
	return node->key + start;
}

uint64_t node_parent_ino(const struct nodes *n, const struct node *node)
{
	size_t length, parent = (size_t)(node_name(node, &length) - node->key);
	uint64_t ino;
	char *key;

	if (parent <= strlen(n->root->key))
		return n->root->ino;
	key = xstrndup(node->key, parent);
	ino = node_ino(key);
	free(key);
	return ino;
}

void node_stat(const struct fs *fs, const struct node *node, struct stat *st)
{
	struct nodes *n = fs->state;

	scoped_lock(&n->lock);
	stat_defaults(fs, st, node->directory, node->directory ? 0 : node->attr.size, node->attr.mtime_ns);
	st->st_ino = node->ino;
}
