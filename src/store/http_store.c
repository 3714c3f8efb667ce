/* http_store.c - a store over a dialect of HTTP: its life and its operations.
 *
 * What an operation asks is a struct dialect_call; the rest of its life is http_op.c's. */
#include "src/store/http_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs-config.h"
#include "pailfs/base/lock.h"
#include "pailfs/base/xalloc.h"

static struct http_store *http_store_of(struct store *s)
{
	return container_of(s, struct http_store, store);
}

static void http_destroy(struct store *s)
{
	struct http_store *hs = http_store_of(s);

	if (!http_auth_close(hs))
		return;
	endpoint_set_release(&hs->endpoints);
	if (hs->source.config)
		hs->dialect->release(hs->source.config);
	free(hs->source.display);
	free(hs->source.root);
	free(hs->source.identity);
	free(hs->source.region);
	buf_release(&hs->moved);
	free(hs->user_agent);
	pthread_mutex_destroy(&hs->lock);
	store_fini(&hs->store);
	free(hs);
}

static int http_lookup(struct store *s, struct store_lookup *op)
{
	struct http_op *h = http_op_create(http_store_of(s), &op->op, HTTP_OP_LOOKUP);

	h->call = (struct dialect_call){.op = DIALECT_HEAD, .key = op->key};
	return http_op_start(h);
}

static int start_list(struct store *s, struct store_list *op, bool probing)
{
	struct http_op *h = http_op_create(http_store_of(s), &op->op, HTTP_OP_LIST);

	h->probing = probing;
	h->call = (struct dialect_call){
		.op = DIALECT_LIST,
		.prefix = op->prefix,
		.delimited = op->delimited,
		.start_after = op->start_after,
		.continuation = op->continuation,
	};
	return http_op_start(h);
}

static int http_list(struct store *s, struct store_list *op)
{
	return start_list(s, op, false);
}

static int http_probe(struct store *s, struct store_list *op)
{
	struct http_op *h;

	if (s->capabilities & STORE_LIST)
		return start_list(s, op, true);
	h = http_op_create(http_store_of(s), &op->op, HTTP_OP_PROBE_FILE);
	h->probing = true;
	h->call = (struct dialect_call){.op = DIALECT_GET, .key = s->root, .length = 1};
	return http_op_start(h);
}

static int http_get_range(struct store *s, struct store_get *op)
{
	struct http_op *h = http_op_create(http_store_of(s), &op->op, HTTP_OP_GET);

	h->call = (struct dialect_call){
		.op = DIALECT_GET,
		.key = op->object->key,
		.offset = op->offset,
		.length = op->length,
		.version = &h->version,
	};
	h->version = op->object->attr;
	return http_op_start(h);
}

static void http_cancel(struct store *s, struct store_op *op)
{
	http_op_cancel(op->state);
}

static void http_promote(struct store *s, struct store_op *op)
{
	http_op_promote(op->state);
}

static void http_describe(struct store *s, struct buf *out)
{
	struct http_store *hs = http_store_of(s);

	scoped_lock(&hs->lock);
	for (size_t i = 0; i < hs->source.endpoint_count; i++) {
		buf_adds(out, "endpoint = ");
		hs->dialect->endpoint(hs->source.config, i, hs->region, out);
		buf_addc(out, '\n');
	}
	if (*hs->region)
		buf_addf(out, "region = %s\n", hs->region);
	if (hs->credentials) {
		buf_adds(out, "key = ");
		dialect_add_short_id(out, hs->credentials->id);
		buf_addf(out, " (from %s)\n", hs->credentials->origin);
	} else if (hs->dialect->credentials) {
		buf_adds(out, "key = none, requests are not signed\n");
	}
}

static const struct store_ops http_store_ops = {
	.destroy = http_destroy,
	.describe = http_describe,
	.probe = http_probe,
	.lookup = http_lookup,
	.list = http_list,
	.get_range = http_get_range,
	.cancel = http_cancel,
	.promote = http_promote,
};

int http_store_create(const struct dialect *dialect, const struct store_config *config,
                      struct store **out, struct buf *error)
{
	struct http_store *hs = xcalloc(1, sizeof(*hs));
	const char *reader = config->options->reader_type;
	int r;

	hs->dialect = dialect;
	hs->net = config->net;
	hs->oplog = config->oplog;
	hs->retry_timeout_ns = config->options->retry_timeout_ns;
	hs->user_agent = reader && *reader
	                         ? xasprintf("User-Agent: pailfs/" PAILFS_VERSION " md/reader_type#%s", reader)
	                         : xstrdup("User-Agent: pailfs/" PAILFS_VERSION);
	pthread_mutex_init(&hs->lock, NULL);
	list_init(&hs->auth_waiters);
	buf_init(&hs->moved);
	r = dialect->configure(config, &hs->source, error);
	if (!r) {
		store_init(&hs->store, &http_store_ops, dialect->name, hs->source.capabilities,
		           hs->source.identity, hs->source.root, config);
		hs->region = xstrdup(hs->source.region);
		endpoint_set_init(&hs->endpoints, hs->source.endpoint_count);
		r = http_auth_open(hs, error);
	}
	if (r) {
		http_destroy(&hs->store);
		return r;
	}
	*out = &hs->store;
	return 0;
}
