/* store_impl.h - what an implementation of a store fills in; private to the room.
 *
 * An implementation embeds a struct store, first, fills it with store_init and returns it
 * from its create function. Its operations are called through the wrappers of store.c only,
 * which have checked the arguments: a key is not NULL, a range lies inside the value and is
 * not empty, the operation is one that the capabilities allow. */
#ifndef PAILFS_STORE_IMPL_H
#define PAILFS_STORE_IMPL_H

#include "pailfs/store.h"

/* Everything that is NULL is answered with -EOPNOTSUPP; open, release, cancel and promote
 * have defaults that suit a store without anything of its own behind an object. */
struct store_ops {
	void (*destroy)(struct store *s);
	/* NULL: there is nothing to tell. */
	void (*describe)(struct store *s, struct buf *out);

	/* As store.h says of store_probe, store_lookup … An operation's `error` is "" when the
	 * function is called. */
	int (*probe)(struct store *s, struct store_list *op);
	int (*lookup)(struct store *s, struct store_lookup *op);
	int (*list)(struct store *s, struct store_list *op);
	int (*get_range)(struct store *s, struct store_get *op);
	void (*cancel)(struct store *s, struct store_op *op);
	void (*promote)(struct store *s, struct store_op *op);

	/* Makes an object (store_object_init) with more behind it. */
	struct store_object *(*object_open)(struct store *s, const char *key,
	                                    const struct store_attr *believed);
	/* The last reference has gone: frees what is the implementation's and, with
	 * store_object_fini, the object. */
	void (*object_release)(struct store_object *o);
};

struct store {
	const struct store_ops *ops;
	const char *name;
	unsigned capabilities;
	char *identity, *root;  /* owned by the store: store_fini frees them */
	struct store_tree *tree; /* store_tree() */
	struct stats *stats;
	const struct clock *clock;
};

/* Copies the strings. */
void store_init(struct store *s, const struct store_ops *ops, const char *name, unsigned capabilities,
                const char *identity, const char *root, const struct store_config *config);
void store_fini(struct store *s);

/* Fills an object that is embedded in the implementation's own, with one reference. */
void store_object_init(struct store_object *o, struct store *s, const char *key,
                       const struct store_attr *attr);
/* Frees what store_object_init made, not the object itself. */
void store_object_fini(struct store_object *o);

/* chaos_bucket.c: a layer of faults over inner, which it owns then. The same for a tree is
 * chaos_tree_create (store_tree.h). */
int chaos_store_create(const char *spec, struct store *inner, const struct store_config *config,
                       struct store **out, struct buf *error);

/* http_store.c: the asynchronous operations over a dialect. */
struct dialect;
int http_store_create(const struct dialect *dialect, const struct store_config *config,
                      struct store **out, struct buf *error);

/* tree_store.c: a store around the tree that `create` makes of the source's path. */
typedef int tree_create_fn(const char *path, bool read_only, struct store_tree **out, struct buf *error);
int tree_store_create(const struct store_config *config, const char *path, tree_create_fn *create,
                      struct store **out, struct buf *error);

#endif
