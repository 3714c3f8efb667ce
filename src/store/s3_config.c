/* s3_config.c - from "s3://bucket/prefix" and the options to endpoints and addressing.
 *
 * A bucket stands either in the path (http://host/bucket/key) or in the host's name
 * (https://bucket.host/key). AWS wants the second; a server of one's own rarely has the DNS
 * names for it. So `auto` takes the host for AWS's endpoints, unless the bucket's name has
 * a dot (its certificate covers one label) or is no host name, and the path for all others. */
#include "src/store/s3.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "pailfs/base/xalloc.h"
#include "src/store/credentials.h"
#include "src/store/url.h"

#define MAX_ENDPOINTS 64
#define MAX_BUCKET 255
#define MAX_PREFIX 1024
#define PROVIDER_DOMAIN ".amazonaws.com"
#define PROVIDER_DOMAIN_CHINA ".amazonaws.com.cn"

/* ---- names ---- */

bool s3_region_is_valid(const char *region)
{
	size_t n = strspn(region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                          "0123456789-_");

	return n && n < 40 && !region[n];
}

/* What may be one or more labels of a host's name: the buckets that S3 creates today. */
static bool is_host_name(const char *bucket)
{
	size_t n = strlen(bucket);

	if (n < 3 || n > 63 || !isalnum((unsigned char)bucket[0]) ||
	    !isalnum((unsigned char)bucket[n - 1]))
		return false;
	return strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-.") == n &&
	       !strstr(bucket, "..");
}

/* Older buckets and other servers allow more than S3 does now; what would change the URL or
 * the log line is refused. */
static bool is_bucket_name(const char *bucket)
{
	size_t n = strspn(bucket, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                          "0123456789-._:");

	return n && n <= MAX_BUCKET && !bucket[n] && strcmp(bucket, ".") && strcmp(bucket, "..");
}

static bool ends_with(const char *s, size_t n, const char *end)
{
	size_t length = strlen(end);

	return n > length && !strncasecmp(s + n - length, end, length);
}

/* "eu-central-1" has two dashes; "accelerate", "external-1" and a bare "s3" have not. */
static bool is_region_label(const char *label, size_t n)
{
	const char *dash = memchr(label, '-', n);

	return dash && memchr(dash + 1, '-', n - (size_t)(dash + 1 - label));
}

static bool is_label(const char *label, size_t n, const char *name)
{
	return n == strlen(name) && !strncasecmp(label, name, n);
}

/* The length of the host's name without the provider's domain; 0: it is not below that. */
static size_t below_provider(const char *host, size_t n)
{
	if (ends_with(host, n, PROVIDER_DOMAIN))
		return n - strlen(PROVIDER_DOMAIN);
	if (ends_with(host, n, PROVIDER_DOMAIN_CHINA))
		return n - strlen(PROVIDER_DOMAIN_CHINA);
	return 0;
}

/* AWS's S3 itself: a label that names it, and behind that only where. Below the same domain
 * stand hosts that anybody may rent and name: "s3-mine-1.us-east-1.elb.amazonaws.com". */
static bool is_provider_host(const char *host, size_t n)
{
	const char *end = host + below_provider(host, n), *next;
	bool is_s3 = false;

	for (const char *label = host; label < end; label = next + 1) {
		next = memchr(label, '.', (size_t)(end - label));
		if (!next)
			next = end;
		n = (size_t)(next - label);
		if (is_label(label, n, "s3") || (n > 3 && !strncasecmp(label, "s3-", 3)))
			is_s3 = true;
		else if (!is_region_label(label, n) && !is_label(label, n, "dualstack") &&
		         !is_label(label, n, "vpce"))
			is_s3 = false;
	}
	return is_s3;
}

bool s3_region_of_host(const char *host, size_t n, char region[40])
{
	char copy[256], *label;

	if (n >= sizeof(copy) || !is_provider_host(host, n))
		return false;
	n = below_provider(host, n);
	memcpy(copy, host, n);
	copy[n] = '\0';
	label = strrchr(copy, '.');
	label = label ? label + 1 : copy;
	if (!strncmp(label, "s3-", 3))
		label += 3;
	if (!is_region_label(label, strlen(label)) || !s3_region_is_valid(label))
		return false;
	strcpy(region, label);
	return true;
}

/* ---- endpoints ---- */

static int add_endpoint(struct s3_config *c, const char *given, struct buf *error)
{
	char *endpoint;
	struct url u;
	size_t n;

	if (c->endpoint_count == MAX_ENDPOINTS) {
		buf_addf(error, "more than %d endpoints", MAX_ENDPOINTS);
		return -EINVAL;
	}
	if (url_split(given, &u) || u.has_query) {
		buf_adds(error, "endpoint \"");
		buf_add_quoted(error, given, strcspn(given, "?@"), 80);
		buf_adds(error, "\" is no URL; write it as https://host[:port]");
		return -EINVAL;
	}
	if (u.userinfo.n) {
		buf_adds(error, "endpoint= holds credentials; put them into the environment or the "
		                "AWS files");
		return -EINVAL;
	}
	n = (size_t)(u.path.s + u.path.n - given);
	while (n && given[n - 1] == '/')
		n--;
	/* Hosts are compared and signed as they go out, which is in lower case. */
	endpoint = xstrndup(given, n);
	for (char *p = endpoint; p < endpoint + (u.path.s - given) && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	c->endpoints = xrealloc(c->endpoints, c->endpoint_count + 1, sizeof(*c->endpoints));
	c->endpoints[c->endpoint_count++] = endpoint;
	return 0;
}

static bool is_address(struct url_part host)
{
	char text[64];
	struct in_addr v4;

	if (host.n >= sizeof(text))
		return false;
	memcpy(text, host.s, host.n);
	text[host.n] = '\0';
	return text[0] == '[' || inet_pton(AF_INET, text, &v4) == 1;
}

static int choose_addressing(struct s3_config *c, const struct store_options *o, struct buf *error)
{
	bool provider = true, address = false;
	struct url u;

	for (size_t i = 0; i < c->endpoint_count; i++) {
		if (url_split(c->endpoints[i], &u))
			continue;
		provider = provider && is_provider_host(u.host.s, u.host.n);
		address = address || is_address(u.host);
	}
	switch (o->addressing) {
	case ADDRESSING_AUTO:
		c->virtual_host = provider && is_host_name(c->bucket) && !strchr(c->bucket, '.');
		break;
	case ADDRESSING_PATH:
		c->virtual_host = false;
		break;
	case ADDRESSING_VIRTUAL:
		c->virtual_host = true;
		if (address || !is_host_name(c->bucket)) {
			buf_addf(error, "addressing=virtual puts the bucket into the host's name, which %s; "
			                "use addressing=path",
			         address ? "an IP address has no room for" : "this bucket's cannot be part of");
			return -EINVAL;
		}
	}
	return 0;
}

void s3_endpoint(const void *config, size_t index, const char *region, struct buf *url)
{
	const struct s3_config *c = config;

	if (c->endpoint_count)
		buf_adds(url, c->endpoints[index % c->endpoint_count]);
	else
		buf_addf(url, "https://s3.%s%s", region,
		         strncmp(region, "cn-", 3) ? PROVIDER_DOMAIN : PROVIDER_DOMAIN_CHINA);
}

void s3_add_bucket_url(const struct s3_config *c, const char *endpoint, struct buf *url)
{
	const char *host = strstr(endpoint, "://") + 3;

	if (c->virtual_host) {
		buf_add(url, endpoint, (size_t)(host - endpoint));
		buf_addf(url, "%s.%s/", c->bucket, host);
	} else {
		buf_addf(url, "%s/", endpoint);
		buf_add_uri(url, c->bucket, strlen(c->bucket), 0);
		buf_addc(url, '/');
	}
}

/* Credentials go to our endpoints, to the bucket's name below them and, when the endpoint is
 * AWS's, to all of AWS's S3 hosts; and never over plain HTTP when the endpoint is HTTPS. What is
 * at http:// often does nothing but lead to https://, where they are safer. */
bool s3_trusts(const void *config, const char *url)
{
	const struct s3_config *c = config;
	struct url target, ours;

	if (url_split(url, &target) || target.userinfo.n)
		return false;
	if (!c->endpoint_count)
		return target.secure && is_provider_host(target.host.s, target.host.n);
	for (size_t i = 0; i < c->endpoint_count; i++) {
		struct url inner = target;
		size_t bucket = strlen(c->bucket) + 1;

		if (url_split(c->endpoints[i], &ours))
			continue;
		if (url_same_origin(&ours, &target) || url_is_upgrade(&ours, &target))
			return true;
		if (target.host.n > bucket && !strncasecmp(target.host.s, c->bucket, bucket - 1) &&
		    target.host.s[bucket - 1] == '.') {
			inner.host.s += bucket;
			inner.host.n -= bucket;
			if (url_same_origin(&ours, &inner) || url_is_upgrade(&ours, &inner))
				return true;
		}
		if (ours.secure && target.secure && is_provider_host(ours.host.s, ours.host.n) &&
		    is_provider_host(target.host.s, target.host.n))
			return true;
	}
	return false;
}

/* ---- the source ---- */

static int parse_source(struct s3_config *c, const char *source, char **root, struct buf *error)
{
	const char *bucket = source + strlen("s3://"), *slash, *prefix;
	size_t n;

	if (strncmp(source, "s3://", 5)) {
		buf_adds(error, "an S3 source is s3://BUCKET[/PREFIX]");
		return -EINVAL;
	}
	slash = strchr(bucket, '/');
	c->bucket = slash ? xstrndup(bucket, (size_t)(slash - bucket)) : xstrdup(bucket);
	prefix = slash ? slash + 1 : "";
	n = strlen(prefix);
	if (!is_bucket_name(c->bucket)) {
		buf_adds(error, "s3://");
		buf_add_quoted(error, c->bucket, strlen(c->bucket), 80);
		buf_adds(error, *c->bucket ? ": this is no bucket's name; a source is s3://BUCKET[/PREFIX]"
		                           : ": the bucket's name is missing; a source is s3://BUCKET[/PREFIX]");
		return -EINVAL;
	}
	if (ends_with(c->bucket, strlen(c->bucket), "--x-s3")) {
		buf_addf(error, "s3://%s: directory buckets (S3 Express) want sessions, which are not "
		                "supported; use a general purpose bucket",
		         c->bucket);
		return -EINVAL;
	}
	if (n > MAX_PREFIX) {
		buf_addf(error, "s3://%s: the prefix is longer than %d bytes", c->bucket, MAX_PREFIX);
		return -EINVAL;
	}
	*root = xasprintf("%s%s", prefix, n && prefix[n - 1] != '/' ? "/" : "");
	while (n && prefix[n - 1] == '/')
		n--;
	c->display = n ? xasprintf("s3://%s/%.*s", c->bucket, (int)n, prefix)
	               : xasprintf("s3://%s", c->bucket);
	return 0;
}

/* The option, then what the environment and the profile say, then what the endpoint's name
 * says, then AWS's first region, which answers for where the bucket really is. */
static int choose_region(const struct s3_config *c, const char *wanted, char **region,
                         struct buf *error)
{
	char of_host[40];
	struct url u;

	if (wanted && !s3_region_is_valid(wanted)) {
		buf_adds(error, "region \"");
		buf_add_quoted(error, wanted, strlen(wanted), 60);
		buf_adds(error, "\" is no region's name; one is, for example, eu-central-1");
		return -EINVAL;
	}
	if (!wanted && c->endpoint_count && !url_split(c->endpoints[0], &u) &&
	    s3_region_of_host(u.host.s, u.host.n, of_host))
		wanted = of_host;
	*region = xstrdup(wanted ? wanted : S3_DEFAULT_REGION);
	return 0;
}

int s3_configure(const struct store_config *config, struct dialect_source *out, struct buf *error)
{
	const struct store_options *o = config->options;
	struct s3_config *c = xcalloc(1, sizeof(*c));
	struct credentials_settings settings = {.region = NULL};
	struct buf endpoint = BUF_INIT;
	int result;

	out->config = c;
	c->memory = xcalloc(1, sizeof(*c->memory));
	sigv4_cache_init(&c->memory->keys);
	c->profile = o->profile ? xstrdup(o->profile) : NULL;
	c->no_sign = o->no_sign;
	result = parse_source(c, config->source, &out->root, error);
	if (!result)
		result = credentials_read_settings(o->profile, &settings, error);
	if (!result && o->endpoints)
		for (size_t i = 0; o->endpoints[i] && !result; i++)
			result = add_endpoint(c, o->endpoints[i], error);
	if (!result && !c->endpoint_count && settings.endpoint_url)
		result = add_endpoint(c, settings.endpoint_url, error);
	if (!result)
		result = choose_addressing(c, o, error);
	if (!result)
		result = choose_region(c, o->region ? o->region : settings.region, &out->region, error);
	if (!result) {
		/* AWS's buckets have one name space over all regions. */
		s3_endpoint(c, 0, out->region, &endpoint);
		out->identity = xasprintf("s3 %s %s", c->endpoint_count ? endpoint.data : "aws", c->bucket);
		out->display = xstrdup(c->display);
		out->capabilities = STORE_LIST | STORE_ORDERED_LIST | STORE_FLAT_LIST | STORE_READ_ONLY;
		out->endpoint_count = c->endpoint_count ? c->endpoint_count : 1;
	}
	credentials_settings_release(&settings);
	buf_release(&endpoint);
	return result;
}

void s3_release(void *config)
{
	struct s3_config *c = config;

	if (!c)
		return;
	for (size_t i = 0; i < c->endpoint_count; i++)
		free(c->endpoints[i]);
	free(c->endpoints);
	free(c->display);
	free(c->bucket);
	free(c->profile);
	sigv4_cache_release(&c->memory->keys);
	free(c->memory);
	free(c);
}
