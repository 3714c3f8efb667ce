/* dialect.c - what the dialects share: credentials, the request under construction, numbers,
 * dates, and the plain meaning of a status. */
#include "src/store/dialect.h"

#include <errno.h>
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
	a->url = "";
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

/* ---- numbers ---- */

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

/* ---- dates ---- */

struct date {
	int year, month, day, hour, minute, second;
};

/* Reads n digits; -1 when there are other bytes. */
static int digits(const char *s, size_t n)
{
	int v = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (s[i] - '0');
	}
	return v;
}

static int month_number(const char *name)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (!strncasecmp(name, months + 3 * (size_t)i, 3))
			return i + 1;
	return 0;
}

/* "12:00:00" */
static bool read_time(const char *s, struct date *d)
{
	d->hour = digits(s, 2);
	d->minute = digits(s + 3, 2);
	d->second = digits(s + 6, 2);
	return s[2] == ':' && s[5] == ':' && d->hour >= 0 && d->hour < 24 && d->minute >= 0 &&
	       d->minute < 60 && d->second >= 0 && d->second <= 60;
}

static int64_t to_ns(const struct date *d)
{
	/* Days since the epoch by Hinnant's rule: a year begins in March, so that a leap day is
	 * its last. */
	int year = d->year - (d->month <= 2), of_year = (153 * ((d->month + 9) % 12) + 2) / 5 + d->day - 1;
	int era = year / 400, of_era = year % 400;
	int64_t days = (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;

	/* Years that an int64 of nanoseconds cannot hold are no dates of files either. */
	if (d->year < 1970 || d->year > 2200 || d->month < 1 || d->day < 1 || d->day > 31)
		return 0;
	return (((days * 24 + d->hour) * 60 + d->minute) * 60 + d->second) * (int64_t)NS_PER_SECOND;
}

/* The digits after an ISO date's seconds, as ns. */
static int64_t fraction_ns(const char *s, const char *end)
{
	int64_t ns = 0, unit = 100000000;

	if (s == end || *s++ != '.')
		return 0;
	for (; s < end && *s >= '0' && *s <= '9'; s++, unit /= 10)
		ns += (*s - '0') * unit;
	return ns;
}

/* Every answer has two of these and a listing's page a thousand, so they are read by position
 * and not by sscanf. */
int64_t dialect_parse_date(const char *s, size_t n)
{
	const char *comma = memchr(s, ',', n);
	struct date d = {0};
	int64_t ns;

	if (n >= 20 && s[4] == '-' && s[7] == '-' && s[10] == 'T') { /* 2024-01-31T12:00:00.000Z */
		d.year = digits(s, 4);
		d.month = digits(s + 5, 2);
		d.day = digits(s + 8, 2);
		if (d.month > 12 || !read_time(s + 11, &d))
			return 0;
		ns = to_ns(&d);
		return ns ? ns + fraction_ns(s + 19, s + n) : 0;
	}
	if (n == 29 && comma == s + 3) { /* Wed, 31 Jan 2024 12:00:00 GMT */
		d.day = digits(s + 5, 2);
		d.month = month_number(s + 8);
		d.year = digits(s + 12, 4);
		return read_time(s + 17, &d) ? to_ns(&d) : 0;
	}
	if (comma && n - (size_t)(comma - s) == 24 && comma[4] == '-') { /* Wednesday, 31-Jan-24 12:00:00 GMT */
		d.day = digits(comma + 2, 2);
		d.month = month_number(comma + 5);
		d.year = digits(comma + 9, 2);
		if (d.year < 0 || !read_time(comma + 12, &d))
			return 0;
		/* A year far ahead is of the last century. */
		d.year += d.year < 70 ? 2000 : 1900;
		return to_ns(&d);
	}
	if (n == 24 && !comma) { /* Wed Jan 31 12:00:00 2024 */
		d.month = month_number(s + 4);
		d.day = s[8] == ' ' ? digits(s + 9, 1) : digits(s + 8, 2);
		d.year = digits(s + 20, 4);
		return read_time(s + 11, &d) ? to_ns(&d) : 0;
	}
	return 0;
}
