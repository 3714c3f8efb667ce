/* tree_store.c - a store around a tree: what is local has names, values and range writes of
 * its own (store_tree.h), and nothing to ask for asynchronously. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"
#include "pailfs/store_tree.h"
#include "src/store/store_impl.h"

static void tree_store_destroy(struct store *s)
{
	tree_destroy(s->tree);
	store_fini(s);
	free(s);
}

static const struct store_ops tree_store_ops = {
	.destroy = tree_store_destroy,
};

int tree_store_create(const struct store_config *config, const char *path, tree_create_fn *create,
                      struct store **out, struct buf *error)
{
	struct store_tree *tree;
	struct store *s;
	int r = create(path, config->options->read_only, &tree, error);

	if (r)
		return r;
	s = xcalloc(1, sizeof(*s));
	store_init(s, &tree_store_ops, tree->name,
	           STORE_SET_RANGE | (tree->read_only ? STORE_READ_ONLY : 0), config->source, "", config);
	s->tree = tree;
	*out = s;
	return 0;
}
