/* store.c - the table of stores and the one way to call them.
 *
 * Every operation goes through a wrapper here, which holds the caller to the contract (our
 * own code: asserts) and what came from outside to the store's abilities (errors), so that
 * no implementation checks them again. */
#include "pailfs/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs-config.h"
#include "pailfs/base/xalloc.h"
#include "pailfs/store_tree.h"
#include "src/store/dialect.h"
#include "src/store/store_impl.h"

/* ---- the table ---- */

/* The first row whose scheme begins the source and whose tail ends it is taken. A row has a
 * dialect of http_store, or makes a tree of what follows the scheme. */
struct store_kind {
	const char *scheme, *tail;
	const struct dialect *dialect;
	tree_create_fn *tree;
};

static const struct store_kind kinds[] = {
#ifdef HAVE_STORE_S3
	{"s3://", "", .dialect = &dialect_s3},
#endif
#ifdef HAVE_STORE_HTTP
	{"http://", "/", .dialect = &dialect_http_folder},
	{"https://", "/", .dialect = &dialect_http_folder},
	{"http://", "", .dialect = &dialect_http},
	{"https://", "", .dialect = &dialect_http},
#endif
#ifdef HAVE_STORE_DIR
	{"file://", "", .tree = dir_tree_create},
#endif
#ifdef HAVE_STORE_DIRECT
	{"direct://", "", .tree = direct_tree_create},
#endif
#ifdef HAVE_STORE_MEM
	{"mem://", "", .tree = mem_tree_create},
#endif
};

static bool has_tail(const char *s, const char *tail)
{
	size_t n = strlen(s), k = strlen(tail);

	return n >= k && !strcmp(s + n - k, tail);
}

static const struct store_kind *find_kind(const char *source)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strncmp(source, kinds[i].scheme, strlen(kinds[i].scheme)) &&
		    has_tail(source, kinds[i].tail))
			return &kinds[i];
	return NULL;
}

static void complain_unknown(const char *source, struct buf *error)
{
	const char *last = "";

	buf_add_quoted(error, source, strcspn(source, "?"), 80);
	buf_adds(error, ": no store speaks this; a source begins with");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!strcmp(last, kinds[i].scheme))
			continue;
		last = kinds[i].scheme;
		buf_addf(error, "%s %s", i ? "," : "", last);
	}
}

#ifdef HAVE_STORE_CHAOS
/* Puts the layer of faults over a bucket, or over the tree in a local-backed store. */
static int add_chaos(const struct store_config *config, struct store **s, struct buf *error)
{
	const char *spec = config->options->chaos;

	if ((*s)->tree)
		return chaos_tree_create(spec, (*s)->tree, &(*s)->tree, error);
	return chaos_store_create(spec, *s, config, s, error);
}
#endif

int store_create(const struct store_config *config, struct store **out, struct buf *error)
{
	const struct store_kind *kind = find_kind(config->source);
	struct store *s = NULL;
	int r;

	*out = NULL;
	if (!kind) {
		complain_unknown(config->source, error);
		return -EINVAL;
	}
	if (kind->dialect)
		r = http_store_create(kind->dialect, config, &s, error);
	else
		r = tree_store_create(config, config->source + strlen(kind->scheme), kind->tree, &s, error);
#ifdef HAVE_STORE_CHAOS
	if (!r && config->options->chaos)
		r = add_chaos(config, &s, error);
#endif
	if (r)
		store_destroy(s);
	else
		*out = s;
	return r;
}

void store_destroy(struct store *s)
{
	if (s)
		s->ops->destroy(s);
}

/* ---- for implementations ---- */

void store_init(struct store *s, const struct store_ops *ops, const char *name, unsigned capabilities,
                const char *identity, const char *root, const struct store_config *config)
{
	*s = (struct store){
		.ops = ops,
		.name = name,
		.capabilities = capabilities,
		.identity = xstrdup(identity),
		.root = xstrdup(root),
		.stats = config->stats,
		.clock = config->clock,
	};
}

void store_fini(struct store *s)
{
	free(s->identity);
	free(s->root);
}

void store_object_init(struct store_object *o, struct store *s, const char *key,
                       const struct store_attr *attr)
{
	o->store = s;
	atomic_init(&o->refs, 1);
	o->key = xstrdup(key);
	o->attr = *attr;
	atomic_init(&o->version, NULL);
	atomic_init(&o->superseded, false);
}

void store_object_fini(struct store_object *o)
{
	free(o->key);
	free(atomic_load(&o->version));
}

/* ---- properties ---- */

unsigned store_capabilities(const struct store *s)
{
	return s->capabilities;
}

const char *store_name(const struct store *s)
{
	return s->name;
}

const char *store_identity(const struct store *s)
{
	return s->identity;
}

const char *store_root(const struct store *s)
{
	return s->root;
}

void store_describe(struct store *s, struct buf *out)
{
	if (s->ops->describe)
		s->ops->describe(s, out);
}

struct store_tree *store_tree(struct store *s)
{
	return s->tree;
}

/* ---- objects ---- */

struct store_object *store_object_open(struct store *s, const char *key, const struct store_attr *believed)
{
	struct store_object *o;

	assert(key && believed);
	if (s->ops->object_open)
		return s->ops->object_open(s, key, believed);
	o = xmalloc(sizeof(*o));
	store_object_init(o, s, key, believed);
	return o;
}

struct store_object *store_object_ref(struct store_object *o)
{
	unsigned before = atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);

	assert(before > 0);
	return o;
}

void store_object_unref(struct store_object *o)
{
	unsigned before;

	if (!o)
		return;
	before = atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel);
	assert(before > 0);
	if (before > 1)
		return;
	if (o->store->ops->object_release) {
		o->store->ops->object_release(o);
		return;
	}
	store_object_fini(o);
	free(o);
}

const char *store_object_version(const struct store_object *o)
{
	const char *learnt = atomic_load(&o->version);

	return o->attr.version[0] || !learnt ? o->attr.version : learnt;
}

void store_object_learn_version(struct store_object *o, const char *version)
{
	char *none = NULL, *copy;

	if (!*version || *store_object_version(o))
		return;
	copy = xstrdup(version);
	if (!atomic_compare_exchange_strong(&o->version, &none, copy))
		free(copy);
}

bool store_object_is_superseded(const struct store_object *o)
{
	return atomic_load_explicit(&o->superseded, memory_order_relaxed);
}

/* ---- operations ---- */

static void op_begin(struct store *s, struct store_op *op)
{
	assert(op->done);
	op->store = s;
	op->state = NULL;
	op->error[0] = '\0';
	op->denied = op->exhausted = false;
	op->started_ns = clock_monotonic(s->clock);
	list_init(&op->link);
}

static void list_begin(struct store *s, struct store_list *op)
{
	op_begin(s, &op->op);
	op->entries = NULL;
	op->entry_count = op->unusable = 0;
	op->next_continuation = NULL;
	op->memory = NULL;
}

int store_probe(struct store *s, struct store_list *op)
{
	list_begin(s, op);
	if (!op->prefix)
		op->prefix = s->root;
	return s->ops->probe ? s->ops->probe(s, op) : -EOPNOTSUPP;
}

int store_lookup(struct store *s, struct store_lookup *op)
{
	assert(op->key);
	op_begin(s, &op->op);
	return s->ops->lookup ? s->ops->lookup(s, op) : -EOPNOTSUPP;
}

int store_list(struct store *s, struct store_list *op)
{
	assert(op->prefix);
	list_begin(s, op);
	if (!(s->capabilities & STORE_LIST) || !s->ops->list)
		return -EOPNOTSUPP;
	if (!op->delimited && !(s->capabilities & STORE_FLAT_LIST))
		return -EOPNOTSUPP;
	if (op->start_after && !(s->capabilities & STORE_ORDERED_LIST))
		return -EOPNOTSUPP;
	return s->ops->list(s, op);
}

int store_get_range(struct store *s, struct store_get *op)
{
	const struct store_attr *attr = &op->object->attr;

	op_begin(s, &op->op);
	op->filled = 0;
	if (op->offset + op->length < op->offset)
		return -EINVAL;
	if (!attr->size_unknown && op->offset + op->length > attr->size)
		return -EINVAL;
	if (!op->length)
		return 1;
	assert(op->buffer);
	return s->ops->get_range ? s->ops->get_range(s, op) : -EOPNOTSUPP;
}

void store_cancel(struct store_op *op)
{
	if (op->store->ops->cancel)
		op->store->ops->cancel(op->store, op);
}

void store_promote(struct store_op *op)
{
	if (op->store->ops->promote)
		op->store->ops->promote(op->store, op);
}

void store_list_release(struct store_list *op)
{
	free(op->entries);
	free(op->next_continuation);
	free(op->memory);
	op->entries = NULL;
	op->entry_count = 0;
	op->next_continuation = NULL;
	op->memory = NULL;
}
