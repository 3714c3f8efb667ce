/* Any bytes as a key, a prefix and a token: the URL is clean, names what was asked and nothing
 * else, and its canonical form is in order. The input is cut into the three at its first two
 * NULs. */
#include <string.h>
#include "fuzz.h"
#include "pailfs/base/xalloc.h"
#include "src/store/s3.h"
#include "src/store/url.h"

static char host[] = "http://h";
static char *endpoints[] = {host};

static bool is_clean(const char *url)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	                              "-._~/:?&=%";

	return url[strspn(url, allowed)] == '\0';
}

/* The parameter's decoded value is what was asked; not there at all for an empty one. */
static void check_parameter(const char *query, const char *name, const char *value)
{
	size_t n = strlen(name);
	struct buf decoded = BUF_INIT;
	bool found = false;

	for (const char *p = query; *p; p += strcspn(p, "&"), p += *p == '&') {
		if (strncmp(p, name, n) || p[n] != '=')
			continue;
		must(!found);
		found = true;
		url_add_decoded(&decoded, p + n + 1, strcspn(p + n + 1, "&"));
	}
	must(found == (*value != '\0'));
	must(!strcmp(decoded.data, value));
	buf_release(&decoded);
}

/* The canonical query's names, in order and each once. */
static void check_order(const char *canonical)
{
	const char *query = strchr(strchr(canonical, '\n') + 1, '\n') + 1, *end = strchr(query, '\n');
	char *copy = xstrndup(query, (size_t)(end - query)), *rest = copy, *part, last[64] = "";

	while ((part = strsep(&rest, "&")) && *part) {
		char *equals = strchr(part, '=');

		must(equals);
		*equals = '\0';
		must(strcmp(last, part) < 0);
		snprintf(last, sizeof(last), "%s", part);
	}
	free(copy);
}

static void check_request(const struct s3_config *c, const struct dialect_call *call)
{
	struct dialect_credentials *credentials =
	        dialect_credentials_create("AKIAIOSFODNN7EXAMPLE", "secret", "token", "test", INT64_MAX);
	struct dialect_session session = {credentials, "us-east-1", 0};
	struct buf canonical = BUF_INIT, names = BUF_INIT, path = BUF_INIT, query = BUF_INIT;
	const struct sigv4_header header = {"host", "h"};
	struct sigv4_request request;
	struct dialect_request r;
	struct url u;

	dialect_request_init(&r);
	if (dialect_s3.build(c, call, "http://h", &r)) {
		must(call->op != DIALECT_LIST && !*call->key);
		goto out;
	}
	must(is_clean(r.url.data));
	must(!url_split(r.url.data, &u));
	if (call->op == DIALECT_LIST) {
		buf_add(&query, u.query.s, u.query.n);
		check_parameter(query.data, "prefix", call->prefix);
		check_parameter(query.data, "continuation-token", call->continuation);
		check_parameter(query.data, "delimiter", "/");
	} else {
		must(!u.has_query);
		url_add_decoded(&path, u.path.s, u.path.n);
		must(!strncmp(path.data, "/data/", 6) && !strcmp(path.data + 6, call->key));
	}

	dialect_s3.sign(c, &session, &r);
	must(dialect_request_find(&r, "authorization"));
	must(!strcmp(dialect_request_find(&r, "x-amz-security-token"), "token"));

	buf_reset(&path);
	buf_add(&path, u.path.s, u.path.n);
	request = (struct sigv4_request){"GET", path.data, query.data, &header, 1, SIGV4_EMPTY_PAYLOAD};
	sigv4_canonical_request(&request, &canonical, &names);
	check_order(canonical.data);
	must(!strcmp(names.data, "host"));
out:
	dialect_request_release(&r);
	dialect_credentials_unref(credentials);
	buf_release(&canonical);
	buf_release(&names);
	buf_release(&path);
	buf_release(&query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct s3_memory memory = {.no_versions = false};
	struct s3_config config = {.display = (char *)"s3://data", .bucket = (char *)"data",
	                           .endpoints = endpoints, .endpoint_count = 1, .memory = &memory};
	char *parts[3];
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t n = strnlen((const char *)data + at, size - at);

		parts[i] = xstrndup((const char *)data + at, n);
		at += n + (at + n < size);
	}
	sigv4_cache_init(&memory.keys);
	check_request(&config, &(struct dialect_call){.op = DIALECT_HEAD, .key = parts[0]});
	check_request(&config, &(struct dialect_call){.op = DIALECT_LIST, .prefix = parts[1],
	                                              .continuation = parts[2], .delimited = true});
	sigv4_cache_release(&memory.keys);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		free(parts[i]);
	return 0;
}
