/* http_folder.c - the dialect of plain web servers, for a folder: http://HOST/PATH/.
 *
 * A listing is one request for one folder: WebDAV's PROPFIND where the server knows it, else
 * a GET of the index page, as JSON or HTML. Which of the two is learnt from the first answer
 * and remembered. Listings come in no order, have no pages, and know nothing of what lies
 * deeper. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"
#include "src/store/http_dialect.h"
#include "src/store/http_index.h"

enum way { WAY_UNKNOWN, WAY_DAV, WAY_INDEX };

struct folder_config {
	char *origin;   /* scheme://host:port */
	char *path;     /* of the folder, as given: begins and ends with '/' */
	atomic_int way; /* how this server lists; learnt once */
};

static void folder_release(void *config)
{
	struct folder_config *c = config;

	free(c->origin);
	free(c->path);
	free(c);
}

static int folder_configure(const struct store_config *config, struct dialect_source *out, struct buf *error)
{
	struct folder_config *c;
	struct buf origin = BUF_INIT;
	struct url u;
	int r = http_check_source(config, &u, error);

	if (r)
		return r;
	if (u.has_query) {
		buf_adds(error, "a folder's URL with a query is not taken; a file's URL has no slash at its end");
		return -EINVAL;
	}
	http_index_init();
	url_add_origin(&origin, &u);
	c = xcalloc(1, sizeof(*c));
	c->origin = buf_detach(&origin);
	c->path = xstrndup(u.path.s, u.path.n);
	*out = (struct dialect_source){
		.config = c,
		.capabilities = STORE_LIST | STORE_READ_ONLY,
		.display = xasprintf("%s%s", c->origin, c->path),
		.root = xstrdup(""),
		.identity = xasprintf("http %s%s", c->origin, c->path),
		.region = xstrdup(""),
		.endpoint_count = 1,
	};
	return 0;
}

static void folder_endpoint(const void *config, size_t index, const char *region, struct buf *url)
{
	buf_adds(url, ((const struct folder_config *)config)->origin);
}

/* The length of the prefix that is a folder: up to its last slash. */
static size_t folder_length(const char *prefix)
{
	const char *slash = strrchr(prefix, '/');

	return slash ? (size_t)(slash - prefix) + 1 : 0;
}

static void add_url(struct buf *out, const char *endpoint, const struct folder_config *c, const char *key,
                    size_t n)
{
	buf_adds(out, endpoint);
	buf_adds(out, c->path);
	buf_add_uri(out, key, n, 1);
}

static const char propfind[] =
	"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
	"<propfind xmlns=\"DAV:\"><prop><resourcetype/><getcontentlength/><getlastmodified/>"
	"<getetag/></prop></propfind>\n";

static void build_list(const struct folder_config *c, struct dialect_request *r)
{
	if (atomic_load_explicit(&c->way, memory_order_relaxed) == WAY_INDEX) {
		r->method = NET_GET;
		dialect_request_header(r, "Accept", "application/json, text/html;q=0.9, */*;q=0.1");
		return;
	}
	r->method = NET_PROPFIND;
	dialect_request_header(r, "Depth", "1");
	dialect_request_header(r, "Content-Type", "application/xml; charset=utf-8");
	buf_adds(&r->body, propfind);
}

static int folder_build(const void *config, const struct dialect_call *call, const char *endpoint,
                        struct dialect_request *r)
{
	const struct folder_config *c = config;

	if (call->op == DIALECT_LIST) {
		if (!call->delimited || call->start_after || call->continuation)
			return -EINVAL;
		add_url(&r->url, endpoint, c, call->prefix, folder_length(call->prefix));
		build_list(c, r);
		return 0;
	}
	add_url(&r->url, endpoint, c, call->key, strlen(call->key));
	if (call->op == DIALECT_HEAD)
		r->method = NET_HEAD;
	else
		http_add_range(r, call);
	return 0;
}

/* The way is a memory of the server, not of the configuration; that is why it is atomic. */
static void learn(const void *config, enum way way)
{
	atomic_store_explicit(&((struct folder_config *)config)->way, way, memory_order_relaxed);
}

static int folder_parse_list(const void *config, const struct dialect_call *call,
                             const struct dialect_answer *a, const char *body, size_t n,
                             struct list_page *page)
{
	size_t length = folder_length(call->prefix);
	char *directory = xstrndup(call->prefix, length);
	struct buf url = BUF_INIT;
	struct http_index index = {.directory = directory, .prefix = call->prefix, .page = page};
	int r;

	/* References are relative to the folder that answered, which is not always the one that was
	 * asked. */
	url_resolve(a->url, ".", &url);
	index.url = url.data;
	if (a->status == 207) {
		r = http_index_parse_dav(&index, body, n);
		if (!r)
			learn(config, WAY_DAV);
	} else if (strstr(a->attr.content_type, "json")) {
		r = http_index_parse_json(&index, body, n);
	} else {
		r = http_index_parse_html(&index, body, n);
	}
	/* The folder itself, as a bucket's marker would be: one that is empty is there all the
	 * same. */
	if (!r && length && !call->prefix[length])
		list_page_add(page, directory, length, &(struct store_attr){.is_prefix = true});
	buf_release(&url);
	free(directory);
	return r;
}

static enum dialect_verdict folder_classify(const void *config, const struct dialect_call *call,
                                            struct dialect_answer *a, const char *body, size_t n)
{
	const struct folder_config *c = config;
	enum dialect_verdict verdict = dialect_classify_status(a->status);
	size_t path = strcspn(a->location, "?#");

	/* The server's way to say that this is a folder: there is no file of this name. */
	if (call->op != DIALECT_LIST && verdict == DIALECT_REDIRECT && path && a->location[path - 1] == '/')
		return DIALECT_NOT_FOUND;
	/* Servers refuse a method that they do not know in many ways; only one that we cannot
	 * authenticate with would refuse the GET as well. */
	if (call->op == DIALECT_LIST && atomic_load_explicit(&c->way, memory_order_relaxed) == WAY_UNKNOWN &&
	    (verdict == DIALECT_UNSUPPORTED || verdict == DIALECT_NOT_FOUND || verdict == DIALECT_DENIED ||
	     verdict == DIALECT_FATAL)) {
		learn(config, WAY_INDEX);
		return DIALECT_AGAIN;
	}
	return verdict;
}

const struct dialect dialect_http_folder = {
	.name = "http",
	.configure = folder_configure,
	.release = folder_release,
	.endpoint = folder_endpoint,
	.build = folder_build,
	.header = http_header,
	.list_max = 16 << 20,
	.parse_list = folder_parse_list,
	.classify = folder_classify,
};
