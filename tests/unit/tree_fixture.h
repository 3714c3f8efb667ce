/* tree_fixture.h - the local-backed stores as loop indices, each on a fresh root. */
#ifndef PAILFS_TESTS_TREE_FIXTURE_H
#define PAILFS_TESTS_TREE_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "pailfs/base/buf.h"
#include "pailfs/base/xalloc.h"
#include "pailfs/store_tree.h"
#include "unit.h"

enum fixture_store {
	FIXTURE_DIR,
	FIXTURE_DIRECT,
	FIXTURE_MEM,
	FIXTURE_PLAIN_STORES,
	FIXTURE_CHAOS = FIXTURE_PLAIN_STORES, /* dir, under a layer of faults that brings none */
	FIXTURE_STORES
};

struct fixture {
	enum fixture_store store;
	char path[64];            /* the backing directory; "" for mem */
	struct store_tree *tree;
	struct tree_object *root; /* borrowed */
};

/* Puts a layer of faults over the store. */
static inline void fixture_disturb(struct fixture *f, const char *spec)
{
	struct buf error = BUF_INIT;

	ck_assert_msg(!chaos_tree_create(spec, f->tree, &f->tree, &error), "%s", error.data);
	f->root = f->tree->root;
}

/* Under the build directory: /tmp may be a tmpfs without O_DIRECT or xattrs. */
static void fixture_open(struct fixture *f, int store)
{
	struct buf error = BUF_INIT;
	int r = -EINVAL;

	f->store = (enum fixture_store)store;
	strcpy(f->path, "tree-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(f->path));
	switch (f->store) {
	case FIXTURE_DIR:
	case FIXTURE_CHAOS:
		r = dir_tree_create(f->path, false, &f->tree, &error);
		break;
	case FIXTURE_DIRECT:
		r = direct_tree_create(f->path, false, &f->tree, &error);
		break;
	case FIXTURE_MEM:
		r = mem_tree_create("", false, &f->tree, &error);
		break;
	case FIXTURE_STORES:
		break;
	}
	ck_assert_msg(!r, "%s", error.data);
	buf_release(&error);
	f->root = f->tree->root;
	if (f->store == FIXTURE_CHAOS)
		fixture_disturb(f, "seed=1");
	umask(0);
}

/* The value v, opened for reading and writing; NULL when that fails. */
static inline struct tree_handle *fixture_value(struct fixture *f)
{
	struct tree_object *o;
	struct tree_handle *h;
	struct stat st;
	int r;

	if (tree_lookup(f->root, "v", &o, &st))
		return NULL;
	r = tree_open(o, O_RDWR, &h);
	tree_object_unref(o);
	return r ? NULL : h;
}

static void fixture_close(struct fixture *f)
{
	char *command = xasprintf("rm -rf ./%s", f->path);

	tree_destroy(f->tree);
	ck_assert_int_eq(system(command), 0);
	free(command);
}

#endif
