/* dialect.c - what the dialects share: credentials, the request under construction, numbers,
 * dates, and the plain meaning of a status. */
#include "src/store/dialect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "pailfs/base/xalloc.h"

/* ---- credentials ---- */

static char *copy(const char *s)
{
	return xstrdup(s ? s : "");
}

struct dialect_credentials *dialect_credentials_create(const char *id, const char *secret,
                                                       const char *token, const char *origin,
                                                       int64_t expires_ns)
{
	struct dialect_credentials *c = xcalloc(1, sizeof(*c));

	atomic_init(&c->refs, 1);
	c->id = copy(id);
	c->secret = copy(secret);
	c->token = copy(token);
	c->origin = copy(origin);
	c->expires_ns = expires_ns;
	return c;
}

struct dialect_credentials *dialect_credentials_ref(struct dialect_credentials *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

static void free_secret(char *s)
{
	explicit_bzero(s, strlen(s));
	free(s);
}

void dialect_credentials_unref(struct dialect_credentials *c)
{
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1)
		return;
	free(c->id);
	free_secret(c->secret);
	free_secret(c->token);
	free(c->origin);
	free(c);
}

void dialect_add_short_id(struct buf *out, const char *id)
{
	size_t n = strlen(id);

	/* A short id would be shown nearly whole by its ends. */
	if (n < 12)
		buf_add_quoted(out, id, MIN(n, 2), 2);
	else
		buf_add_quoted(out, id, 4, 4);
	buf_adds(out, "…");
	if (n >= 12)
		buf_add_quoted(out, id + n - 3, 3, 3);
}

/* ---- requests ---- */

void dialect_request_init(struct dialect_request *r)
{
	r->method = NET_GET;
	r->header_count = 0;
	buf_init(&r->url);
	buf_init(&r->body);
}

void dialect_request_release(struct dialect_request *r)
{
	for (size_t i = 0; i < r->header_count; i++)
		free(r->headers[i]);
	buf_release(&r->url);
	buf_release(&r->body);
	dialect_request_init(r);
}

void dialect_request_header(struct dialect_request *r, const char *name, const char *format, ...)
{
	struct buf line = BUF_INIT;
	va_list ap;

	if (r->header_count == DIALECT_MAX_HEADERS)
		abort();
	buf_addf(&line, "%s: ", name);
	va_start(ap, format);
	buf_vaddf(&line, format, ap);
	va_end(ap);
	buf_truncate(&line, strcspn(line.data, "\r\n"));
	r->headers[r->header_count++] = buf_detach(&line);
}

const char *dialect_request_find(const struct dialect_request *r, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < r->header_count; i++)
		if (!strncasecmp(r->headers[i], name, n) && r->headers[i][n] == ':')
			return r->headers[i] + n + 2;
	return NULL;
}

/* ---- answers ---- */

void dialect_answer_init(struct dialect_answer *a)
{
	memset(a, 0, sizeof(*a));
	a->content_length = DIALECT_UNKNOWN;
	a->range_start = a->range_end = a->range_total = DIALECT_UNKNOWN;
}

enum dialect_verdict dialect_classify_status(int status)
{
	switch (status) {
	case 301: case 302: case 303: case 307: case 308:
		return DIALECT_REDIRECT;
	case 401: case 403: case 407:
		return DIALECT_DENIED;
	case 404: case 410:
		return DIALECT_NOT_FOUND;
	case 405: case 501: case 505:
		return DIALECT_UNSUPPORTED;
	case 408: case 425: case 429:
		return DIALECT_RETRY;
	case 412:
		return DIALECT_CHANGED;
	case 416:
		return DIALECT_OUT_OF_RANGE;
	}
	/* A success status arrives here when the answer was not the one that was asked for. */
	return status >= 500 || (status >= 200 && status < 300) ? DIALECT_RETRY : DIALECT_FATAL;
}

/* ---- numbers and dates ---- */

int dialect_parse_number(const char *s, size_t n, uint64_t *out)
{
	uint64_t v = 0;

	if (!n)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		unsigned digit = (unsigned char)s[i] - '0';

		if (digit > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v))
			return -EINVAL;
	}
	*out = v;
	return 0;
}

static int month_number(const char *name)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (!strncasecmp(name, months + 3 * (size_t)i, 3))
			return i;
	return -1;
}

static int64_t to_ns(int year, int month, int day, int hour, int minute, int second)
{
	struct tm tm = {.tm_year = year - 1900, .tm_mon = month, .tm_mday = day,
	                .tm_hour = hour, .tm_min = minute, .tm_sec = second};

	/* Years that an int64 of nanoseconds cannot hold are no dates of files either. */
	if (year < 1970 || year > 2200 || month < 0 || month > 11 || day < 1 || day > 31 || hour < 0 ||
	    hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return 0;
	return (int64_t)timegm(&tm) * (int64_t)NS_PER_SECOND;
}

/* The digits after an ISO date's seconds, as ns. */
static int64_t fraction_ns(const char *s)
{
	int64_t ns = 0, unit = 100000000;

	if (*s++ != '.')
		return 0;
	for (; *s >= '0' && *s <= '9'; s++, unit /= 10)
		ns += (*s - '0') * unit;
	return ns;
}

int64_t dialect_parse_date(const char *s, size_t n)
{
	char text[48], month[4] = "";
	int year = 0, day = 0, hour = 0, minute = 0, second = 0, mon = 0, used = 0;
	int64_t ns;

	if (n >= sizeof(text))
		return 0;
	memcpy(text, s, n);
	text[n] = '\0';

	/* 2024-01-31T12:00:00.000Z */
	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &year, &mon, &day, &hour, &minute, &second,
	           &used) == 6) {
		ns = to_ns(year, mon - 1, day, hour, minute, second);
		return ns ? ns + fraction_ns(text + used) : 0;
	}
	/* Wed, 31 Jan 2024 12:00:00 GMT */
	if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d", &day, month, &year, &hour,
	           &minute, &second) == 6)
		return to_ns(year, month_number(month), day, hour, minute, second);
	/* Wednesday, 31-Jan-24 12:00:00 GMT: a year far ahead is of the last century. */
	if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d", &day, month, &year, &hour,
	           &minute, &second) == 6)
		return to_ns(year + (year < 70 ? 2000 : 1900), month_number(month), day, hour, minute,
		             second);
	/* Wed Jan 31 12:00:00 2024 */
	if (sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d", month, &day, &hour, &minute,
	           &second, &year) == 6)
		return to_ns(year, month_number(month), day, hour, minute, second);
	return 0;
}
