/* s3.c - the S3 dialect: which request an operation is, how it is signed, what comes back.
 *
 * Reads carry the version that they are about: If-Match with the ETag, and the version's id
 * where the bucket keeps versions. The payload of a request with a body is not hashed over
 * TLS, which protects it already. Host, the x-amz headers and the content's headers are
 * signed, and nothing that a proxy may rewrite on the way.
 *
 * What differs between the servers that speak S3 is dealt with where it shows: encoded keys in
 * s3_xml.c, error codes in s3_error.c. */
#include "src/store/s3.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "pailfs/base/xalloc.h"
#include "src/store/credentials.h"
#include "src/store/http_answer.h"
#include "src/store/s3_xml.h"
#include "src/store/url.h"

#define MAX_KEYS 1000

/* ---- requests ---- */

static void add_parameter(struct buf *url, const char *name, const char *value)
{
	buf_addf(url, "&%s=", name);
	buf_add_uri(url, value, strlen(value), 0);
}

static void build_list(const struct dialect_call *call, struct dialect_request *r)
{
	buf_addf(&r->url, "?list-type=2&encoding-type=url&max-keys=%d", MAX_KEYS);
	if (call->delimited)
		add_parameter(&r->url, "delimiter", "/");
	if (call->prefix && *call->prefix)
		add_parameter(&r->url, "prefix", call->prefix);
	if (call->continuation && *call->continuation)
		add_parameter(&r->url, "continuation-token", call->continuation);
	else if (call->start_after && *call->start_after)
		add_parameter(&r->url, "start-after", call->start_after);
}

static void build_get(const struct s3_config *c, const struct dialect_call *call,
                      struct dialect_request *r)
{
	const struct store_attr *version = call->version;

	if (version && version->version[0] && !atomic_load(&c->memory->no_versions)) {
		buf_adds(&r->url, "?versionId=");
		buf_add_uri(&r->url, version->version, strlen(version->version), 0);
	}
	dialect_request_header(r, "range", "bytes=%" PRIu64 "-%" PRIu64, call->offset,
	                       call->offset + call->length - 1);
	if (version && answer_etag_is_strong(version->etag))
		dialect_request_header(r, "if-match", "%s", version->etag);
}

static int s3_build(const void *config, const struct dialect_call *call, const char *endpoint,
                    struct dialect_request *r)
{
	const struct s3_config *c = config;

	s3_add_bucket_url(c, endpoint, &r->url);
	if (call->op != DIALECT_LIST) {
		if (!*call->key)
			return -EINVAL;
		buf_add_uri(&r->url, call->key, strlen(call->key), 1);
	}
	switch (call->op) {
	case DIALECT_LIST:
		r->method = NET_GET;
		build_list(call, r);
		return 0;
	case DIALECT_HEAD:
		r->method = NET_HEAD;
		return 0;
	case DIALECT_GET:
		r->method = NET_GET;
		build_get(c, call, r);
		return 0;
	}
	return -EOPNOTSUPP;
}

/* ---- signing ---- */

static const char *method_name(enum net_method method)
{
	switch (method) {
	case NET_GET:
		return "GET";
	case NET_HEAD:
		return "HEAD";
	case NET_PUT:
		return "PUT";
	case NET_POST:
		return "POST";
	case NET_DELETE:
		return "DELETE";
	case NET_PROPFIND:
		return "PROPFIND";
	}
	return "";
}

static bool is_header(const char *line, const char *name)
{
	size_t n = strlen(name);

	return !strncasecmp(line, name, n) && line[n] == ':';
}

/* A request that is signed again, for another host or at another time, loses what the first
 * signing added. */
static void drop_signature(struct dialect_request *r)
{
	static const char *const ours[] = {"authorization", "x-amz-content-sha256", "x-amz-date",
	                                   "x-amz-security-token"};
	size_t kept = 0;

	for (size_t i = 0; i < r->header_count; i++) {
		bool drop = false;

		for (size_t k = 0; k < ARRAY_SIZE(ours); k++)
			drop = drop || is_header(r->headers[i], ours[k]);
		if (drop)
			free(r->headers[i]);
		else
			r->headers[kept++] = r->headers[i];
	}
	r->header_count = kept;
}

/* The Host that goes out: curl leaves out the scheme's own port. */
static void add_host(struct buf *out, const struct url *u)
{
	const char *usual = u->secure ? "443" : "80";

	buf_add(out, u->host.s, u->host.n);
	if (u->port.n && (u->port.n != strlen(usual) || strncmp(u->port.s, usual, u->port.n)))
		buf_addf(out, ":%.*s", (int)u->port.n, u->port.s);
}

static bool is_signed(const char *line)
{
	return !strncasecmp(line, "x-amz-", 6) || is_header(line, "content-type") ||
	       is_header(line, "content-md5");
}

static void s3_sign(const void *config, const struct dialect_session *session,
                    struct dialect_request *r)
{
	const struct s3_config *c = config;
	const struct dialect_credentials *credentials = session->credentials;
	struct sigv4_header headers[DIALECT_MAX_HEADERS + 1];
	struct buf host = BUF_INIT, path = BUF_INIT, query = BUF_INIT, names = BUF_INIT;
	struct buf authorization = BUF_INIT;
	char date[SIGV4_DATE_SIZE], hash[2 * SHA256_SIZE + 1] = SIGV4_EMPTY_PAYLOAD;
	struct sigv4_request request = {.method = method_name(r->method), .headers = headers};
	struct sigv4_key key;
	struct url u;

	drop_signature(r);
	if (!credentials || url_split(r->url.data, &u))
		return;
	sigv4_format_date(session->realtime_ns, date);
	if (r->body.length && u.secure) {
		strcpy(hash, SIGV4_UNSIGNED_PAYLOAD);
	} else if (r->body.length) {
		uint8_t digest[SHA256_SIZE];

		crypto_sha256(r->body.data, r->body.length, digest);
		crypto_hex(digest, sizeof(digest), hash);
	}
	dialect_request_header(r, "x-amz-content-sha256", "%s", hash);
	dialect_request_header(r, "x-amz-date", "%s", date);
	if (*credentials->token)
		dialect_request_header(r, "x-amz-security-token", "%s", credentials->token);

	add_host(&host, &u);
	buf_add(&path, u.path.s, u.path.n);
	if (!path.length)
		buf_addc(&path, '/');
	buf_add(&query, u.query.s, u.query.n);
	/* Room for all names at once, so that those that are there do not move. */
	buf_reserve(&names, 64 * DIALECT_MAX_HEADERS);
	headers[request.header_count++] = (struct sigv4_header){"host", host.data};
	for (size_t i = 0; i < r->header_count; i++) {
		size_t n = strcspn(r->headers[i], ":");
		char *name = names.data + names.length;

		if (!is_signed(r->headers[i]) || n >= 64)
			continue;
		for (size_t k = 0; k < n; k++)
			buf_addc(&names, (char)tolower((unsigned char)r->headers[i][k]));
		buf_addc(&names, '\0');
		headers[request.header_count++] =
		        (struct sigv4_header){name, r->headers[i] + n + 1};
	}
	request.path = path.data;
	request.query = query.data;
	request.payload = hash;
	if (!sigv4_cache_get(&c->memory->keys, credentials->secret, date, session->region, "s3",
	                     &key)) {
		sigv4_authorize(&request, &key, credentials->id, date, &authorization);
		dialect_request_header(r, "authorization", "%s", authorization.data);
		explicit_bzero(&key, sizeof(key));
	}
	buf_release(&authorization);
	buf_release(&names);
	buf_release(&query);
	buf_release(&path);
	buf_release(&host);
}

static int s3_credentials(const void *config, struct dialect_credentials **out, struct buf *error)
{
	const struct s3_config *c = config;
	struct buf sentence = BUF_INIT;
	int result;

	*out = NULL;
	if (c->no_sign)
		return 0;
	result = credentials_read(c->profile, out, &sentence);
	if (result)
		buf_addf(error, "%s: %s", c->display, sentence.data);
	buf_release(&sentence);
	return result;
}

static uint64_t s3_credentials_stamp(const void *config)
{
	const struct s3_config *c = config;

	return c->no_sign ? 0 : credentials_stamp(c->profile);
}

/* ---- answers ---- */

/* The two names that AWS's support asks for, as "REQUEST-ID ID-2", in whatever order they
 * come; the first alone where both do not fit. */
static void add_request_id(struct dialect_answer *a, const char *id, bool first)
{
	char both[2 * sizeof(a->request_id)];
	int n;

	if (!a->request_id[0] || !strcmp(a->request_id, id))
		n = snprintf(both, sizeof(both), "%s", id);
	else
		n = snprintf(both, sizeof(both), "%s %s", first ? id : a->request_id,
		             first ? a->request_id : id);
	if (n > 0 && (size_t)n < sizeof(a->request_id))
		memcpy(a->request_id, both, (size_t)n + 1);
	else if (first)
		snprintf(a->request_id, sizeof(a->request_id), "%.*s", (int)sizeof(a->request_id) - 1,
		         id);
}

static void s3_header(const void *config, struct dialect_answer *a, const char *name,
                      const char *value, size_t n)
{
	if (strncmp(name, "x-amz-", 6))
		return;
	name += 6;
	if (!strcmp(name, "request-id")) {
		add_request_id(a, value, true);
	} else if (!strcmp(name, "id-2")) {
		add_request_id(a, value, false);
	} else if (!strcmp(name, "bucket-region")) {
		if (s3_region_is_valid(value))
			strcpy(a->region, value);
	} else if (!strcmp(name, "version-id")) {
		/* "null" is the one version that is overwritten in place. */
		if (n < sizeof(a->attr.version) && strcmp(value, "null"))
			strcpy(a->attr.version, value);
	} else if (!strcmp(name, "storage-class")) {
		if (n < sizeof(a->attr.storage_class))
			strcpy(a->attr.storage_class, value);
	}
}

static int s3_parse_list(const void *config, const struct dialect_call *call,
                         const struct dialect_answer *a, const char *body, size_t n,
                         struct list_page *page)
{
	int result = s3_xml_parse_list(body, n, call->prefix ? call->prefix : "", page);

	if (result)
		return result;
	if (page->truncated && call->continuation &&
	    !strcmp(page->continuation.data, call->continuation))
		return -ESTALE;
	return 0;
}

const struct dialect dialect_s3 = {
        .name = "s3",
        .configure = s3_configure,
        .release = s3_release,
        .endpoint = s3_endpoint,
        .credentials = s3_credentials,
        .credentials_stamp = s3_credentials_stamp,
        .build = s3_build,
        .sign = s3_sign,
        .trusts = s3_trusts,
        .header = s3_header,
        /* 1,000 keys of 1,024 bytes, each of them encoded, are half of it. */
        .list_max = 8 << 20,
        .parse_list = s3_parse_list,
        .classify = s3_classify,
        .explain = s3_explain,
};
