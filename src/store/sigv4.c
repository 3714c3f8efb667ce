/* sigv4.c - AWS Signature Version 4.
 *
 * A request is put into one canonical text; its digest, the time and the scope make the
 * string to sign; the key is an HMAC chain over the scope's parts. The only judgement here
 * is the order of query parameters: by name, then value, compared as encoded bytes, name by
 * name, because '=' sorts behind '-' and '.' and would otherwise take part. */
#include "src/store/sigv4.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/lock.h"
#include "pailfs/base/xalloc.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

void sigv4_format_date(int64_t ns, char date[SIGV4_DATE_SIZE])
{
	time_t seconds = timespec_from_ns(ns).tv_sec;
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(date, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm);
}

struct parameter {
	const char *name, *value; /* not terminated */
	size_t name_length, value_length;
};

static int compare_bytes(const char *a, size_t a_length, const char *b, size_t b_length)
{
	int order = memcmp(a, b, a_length < b_length ? a_length : b_length);

	if (order)
		return order;
	return a_length < b_length ? -1 : a_length > b_length;
}

static int compare_parameters(const void *left, const void *right)
{
	const struct parameter *a = left, *b = right;
	int order = compare_bytes(a->name, a->name_length, b->name, b->name_length);

	return order ? order : compare_bytes(a->value, a->value_length, b->value, b->value_length);
}

/* A redirect's query is the server's: it may have any number of parameters. */
static void add_canonical_query(struct buf *out, const char *query)
{
	struct parameter *parameters;
	size_t count = 1;

	for (const char *s = query; *s; s++)
		count += *s == '&';
	parameters = xcalloc(count, sizeof(parameters[0]));
	count = 0;
	while (*query) {
		size_t length = strcspn(query, "&"), name_length = strcspn(query, "=&");
		struct parameter p = {.name = query, .name_length = name_length};

		if (name_length < length) {
			p.value = query + name_length + 1;
			p.value_length = length - name_length - 1;
		} else {
			p.value = "";
		}
		if (length)
			parameters[count++] = p;
		query += length;
		query += *query == '&';
	}
	qsort(parameters, count, sizeof(parameters[0]), compare_parameters);
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_addc(out, '&');
		buf_add(out, parameters[i].name, parameters[i].name_length);
		buf_addc(out, '=');
		buf_add(out, parameters[i].value, parameters[i].value_length);
	}
	free(parameters);
}

static int compare_headers(const void *left, const void *right)
{
	const struct sigv4_header *const *a = left, *const *b = right;

	return strcmp((*a)->name, (*b)->name);
}

static void add_trimmed(struct buf *out, const char *value)
{
	value += strspn(value, " ");
	while (*value) {
		size_t word = strcspn(value, " "), spaces = strspn(value + word, " ");

		buf_add(out, value, word);
		if (value[word + spaces])
			buf_addc(out, ' ');
		value += word + spaces;
	}
}

void sigv4_canonical_request(const struct sigv4_request *r, struct buf *out,
                             struct buf *signed_headers)
{
	const struct sigv4_header *headers[SIGV4_MAX_HEADERS];

	assert(r->header_count <= SIGV4_MAX_HEADERS);
	for (size_t i = 0; i < r->header_count; i++)
		headers[i] = &r->headers[i];
	qsort(headers, r->header_count, sizeof(headers[0]), compare_headers);

	buf_addf(out, "%s\n%s\n", r->method, r->path);
	add_canonical_query(out, r->query);
	buf_addc(out, '\n');
	for (size_t i = 0; i < r->header_count; i++) {
		buf_addf(out, "%s:", headers[i]->name);
		add_trimmed(out, headers[i]->value);
		buf_addc(out, '\n');
		buf_addf(signed_headers, "%s%s", i ? ";" : "", headers[i]->name);
	}
	buf_addf(out, "\n%s\n%s", signed_headers->data, r->payload);
}

int sigv4_derive_key(const char *secret_key, const char *date, const char *region,
                     const char *service, struct sigv4_key *key)
{
	uint8_t step[SHA256_SIZE];
	struct buf start = BUF_INIT;

	if (strlen(region) >= sizeof(key->region) || strlen(service) >= sizeof(key->service))
		return -EINVAL;
	memcpy(key->day, date, SIGV4_DAY_LENGTH);
	key->day[SIGV4_DAY_LENGTH] = '\0';
	strcpy(key->region, region);
	strcpy(key->service, service);

	/* Reserved at once, so that growing leaves no copy of the secret behind. */
	buf_reserve(&start, strlen(secret_key) + 5);
	buf_adds(&start, "AWS4");
	buf_adds(&start, secret_key);
	crypto_hmac_sha256(start.data, start.length, key->day, SIGV4_DAY_LENGTH, step);
	crypto_hmac_sha256(step, sizeof(step), region, strlen(region), step);
	crypto_hmac_sha256(step, sizeof(step), service, strlen(service), step);
	crypto_hmac_sha256(step, sizeof(step), "aws4_request", strlen("aws4_request"), key->secret);
	explicit_bzero(start.data, start.length);
	explicit_bzero(step, sizeof(step));
	buf_release(&start);
	return 0;
}

void sigv4_authorize(const struct sigv4_request *r, const struct sigv4_key *key,
                     const char *access_key, const char *date, struct buf *out)
{
	struct buf canonical = BUF_INIT, signed_headers = BUF_INIT, text = BUF_INIT;
	uint8_t digest[SHA256_SIZE];
	char hex[2 * SHA256_SIZE + 1];

	sigv4_canonical_request(r, &canonical, &signed_headers);
	crypto_sha256(canonical.data, canonical.length, digest);
	crypto_hex(digest, sizeof(digest), hex);
	buf_addf(&text, ALGORITHM "\n%s\n%s/%s/%s/aws4_request\n%s", date, key->day, key->region,
	         key->service, hex);
	crypto_hmac_sha256(key->secret, sizeof(key->secret), text.data, text.length, digest);
	crypto_hex(digest, sizeof(digest), hex);
	buf_addf(out,
	         ALGORITHM " Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s",
	         access_key, key->day, key->region, key->service, signed_headers.data, hex);
	/* The canonical text holds the session token. */
	explicit_bzero(canonical.data, canonical.length);
	buf_release(&canonical);
	buf_release(&signed_headers);
	buf_release(&text);
}

void sigv4_cache_init(struct sigv4_cache *c)
{
	memset(c, 0, sizeof(*c));
	pthread_mutex_init(&c->lock, NULL);
}

void sigv4_cache_release(struct sigv4_cache *c)
{
	pthread_mutex_destroy(&c->lock);
	explicit_bzero(c, sizeof(*c));
}

int sigv4_cache_get(struct sigv4_cache *c, const char *secret_key, const char *date,
                    const char *region, const char *service, struct sigv4_key *key)
{
	size_t length = strlen(secret_key);
	int result;

	scoped_lock(&c->lock);
	if (c->secret_key[0] && !strcmp(c->secret_key, secret_key) &&
	    !memcmp(c->key.day, date, SIGV4_DAY_LENGTH) && !strcmp(c->key.region, region) &&
	    !strcmp(c->key.service, service)) {
		*key = c->key;
		return 0;
	}
	result = sigv4_derive_key(secret_key, date, region, service, key);
	if (!result && length < sizeof(c->secret_key)) {
		memcpy(c->secret_key, secret_key, length + 1);
		c->key = *key;
	}
	return result;
}
