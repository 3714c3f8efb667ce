/* http.c - the dialect of plain web servers, for a single file: http://HOST/PATH.
 *
 * Nothing is known of the file before the mount's probe, a ranged GET of its first byte: the
 * size comes from Content-Range, the version from ETag or Last-Modified. A strong ETag goes
 * into If-Match, else the date into If-Unmodified-Since; a server may ignore both, so every
 * answer's validators and size are compared as well (http_answer.c). A weak ETag never
 * matches in If-Match and is compared only.
 *
 * The query string may be a secret (a presigned URL): it goes out with each request and is
 * shown nowhere. */
#include "src/store/http_dialect.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "pailfs/base/crypto.h"
#include "pailfs/base/xalloc.h"
#include "src/store/http_answer.h"

struct http_config {
	char *origin; /* scheme://host:port */
	char *target; /* what follows it: path and query, as given */
};

static void http_release(void *config)
{
	struct http_config *c = config;

	free(c->origin);
	free(c->target);
	free(c);
}

static char *origin_of(const struct url *u)
{
	struct buf b = BUF_INIT;

	url_add_origin(&b, u);
	return buf_detach(&b);
}

/* The file's name: the last component of the path, decoded; "file" where it cannot be a name. */
static char *name_of(const struct url *u)
{
	const char *slash = memrchr(u->path.s, '/', u->path.n);
	struct buf b = BUF_INIT;
	char *name;

	if (slash)
		url_add_decoded(&b, slash + 1, u->path.n - (size_t)(slash + 1 - u->path.s));
	name = buf_detach(&b);
	if (*name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..") && strlen(name) <= 255)
		return name;
	free(name);
	return xstrdup("file");
}

int http_check_source(const struct store_config *config, struct url *out, struct buf *error)
{
	const char *source = config->source;

	if (url_split(source, out)) {
		buf_add_quoted(error, source, strcspn(source, "?"), 120);
		buf_adds(error, ": not a valid URL; write http://HOST/PATH, with blanks as %20");
		return -EINVAL;
	}
	if (out->userinfo.n) {
		url_add_origin(error, out);
		buf_adds(error, ": a user or password in the URL would show in ps; it is not taken");
		return -EINVAL;
	}
	if (config->options->endpoints && config->options->endpoints[0]) {
		buf_adds(error, "endpoint= has no meaning for a source that is a URL itself; leave it out");
		return -EINVAL;
	}
	return 0;
}

static int http_configure(const struct store_config *config, struct dialect_source *out, struct buf *error)
{
	const char *source = config->source;
	struct http_config *c;
	struct url u;
	size_t shown;
	uint8_t digest[SHA256_SIZE];
	char hex[2 * SHA256_SIZE + 1];
	int r = http_check_source(config, &u, error);

	if (r)
		return r;
	c = xcalloc(1, sizeof(*c));
	c->origin = origin_of(&u);
	c->target = xasprintf("%s%.*s", u.path.n ? "" : "/", (int)strcspn(u.path.s, "#"), u.path.s);
	shown = strcspn(source, "?#");
	/* Two queries may name two files, and must not stand in a cache directory. */
	crypto_sha256(c->target, strlen(c->target), digest);
	crypto_hex(digest, 8, hex);
	*out = (struct dialect_source){
		.config = c,
		.capabilities = STORE_READ_ONLY,
		.display = xstrndup(source, shown),
		.root = name_of(&u),
		.identity = xasprintf("http %.*s %s", (int)shown, source, hex),
		.region = xstrdup(""),
		.endpoint_count = 1,
	};
	return 0;
}

static void http_endpoint(const void *config, size_t index, const char *region, struct buf *url)
{
	const struct http_config *c = config;

	buf_adds(url, c->origin);
}

/* IMF-fixdate, whatever the locale. */
static void add_http_date(struct dialect_request *r, const char *name, int64_t ns)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)(ns / (int64_t)NS_PER_SECOND);
	struct tm tm;

	gmtime_r(&t, &tm);
	dialect_request_header(r, name, "%.3s, %02d %.3s %d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday,
	                       tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour,
	                       tm.tm_min, tm.tm_sec);
}

void http_add_range(struct dialect_request *r, const struct dialect_call *call)
{
	const struct store_attr *v = call->version;

	dialect_request_header(r, "Range", "bytes=%" PRIu64 "-%" PRIu64, call->offset,
	                       call->offset + call->length - 1);
	if (!v)
		return;
	if (answer_etag_is_strong(v->etag))
		dialect_request_header(r, "If-Match", "%s", v->etag);
	else if (v->mtime_ns && !v->size_unknown)
		add_http_date(r, "If-Unmodified-Since", v->mtime_ns);
}

static int http_build(const void *config, const struct dialect_call *call, const char *endpoint,
                      struct dialect_request *r)
{
	const struct http_config *c = config;

	buf_adds(&r->url, endpoint);
	buf_adds(&r->url, c->target);
	switch (call->op) {
	case DIALECT_GET:
		r->method = NET_GET;
		http_add_range(r, call);
		return 0;
	case DIALECT_HEAD:
		r->method = NET_HEAD;
		return 0;
	case DIALECT_LIST:
		break;
	}
	return -EOPNOTSUPP;
}

static enum dialect_verdict http_classify(const void *config, const struct dialect_call *call,
                                          struct dialect_answer *a, const char *body, size_t n)
{
	return dialect_classify_status(a->status);
}

void http_header(const void *config, struct dialect_answer *a, const char *name, const char *value,
                 size_t n)
{
	/* What CDNs and stores behind a presigned URL call it. */
	if ((!strcmp(name, "x-request-id") || !strcmp(name, "x-amz-request-id")) && n < sizeof(a->request_id))
		snprintf(a->request_id, sizeof(a->request_id), "%s", value);
}

const struct dialect dialect_http = {
	.name = "http",
	.configure = http_configure,
	.release = http_release,
	.endpoint = http_endpoint,
	.build = http_build,
	.header = http_header,
	.classify = http_classify,
};
