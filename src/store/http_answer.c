/* http_answer.c - what the headers of an answer say, and whether it answers what was asked.
 *
 * A server is believed only as far as it agrees with what is known: the range asked for, the
 * size of the version that is pinned, and its validators. Precondition headers are not enough,
 * because plain web servers and caches in between may ignore them. */
#include "src/store/http_answer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "pailfs/base/xalloc.h"

static void copy_value(char *out, size_t size, const char *value, size_t n)
{
	if (n >= size)
		return;
	memcpy(out, value, n);
	out[n] = '\0';
}

void answer_take_etag(struct store_attr *attr, const char *tag, size_t n)
{
	size_t head = n >= 2 && !memcmp(tag, "W/", 2) ? 2 : 0;
	bool quoted = n > head && tag[head] == '"', empty = n <= (quoted ? head + 2 : head);

	attr->etag[0] = '\0';
	if (!empty && n + (quoted ? 0 : 2) < sizeof(attr->etag))
		snprintf(attr->etag, sizeof(attr->etag), quoted ? "%.*s" : "\"%.*s\"", (int)n, tag);
}

int answer_parse_content_range(const char *s, size_t n, uint64_t *start, uint64_t *end, uint64_t *total)
{
	const char *limit = s + n, *dash, *slash;

	*start = *end = *total = DIALECT_UNKNOWN;
	if (n < 6 || strncasecmp(s, "bytes ", 6))
		return -EINVAL;
	s += 6;
	while (s < limit && *s == ' ')
		s++;
	slash = memchr(s, '/', (size_t)(limit - s));
	if (!slash)
		return -EINVAL;
	if (slash - s != 1 || *s != '*') {
		dash = memchr(s, '-', (size_t)(slash - s));
		if (!dash || dialect_parse_number(s, (size_t)(dash - s), start) ||
		    dialect_parse_number(dash + 1, (size_t)(slash - dash - 1), end) ||
		    *end < *start || *end >= DIALECT_UNKNOWN - 1)
			goto invalid;
		(*end)++;
	}
	slash++;
	if (limit - slash == 1 && *slash == '*')
		return *start == DIALECT_UNKNOWN ? -EINVAL : 0;
	if (dialect_parse_number(slash, (size_t)(limit - slash), total) ||
	    (*end != DIALECT_UNKNOWN && *end > *total))
		goto invalid;
	return 0;
invalid:
	*start = *end = *total = DIALECT_UNKNOWN;
	return -EINVAL;
}

/* A server may not send us to sleep for longer than the budget anyway. */
#define RETRY_AFTER_MAX 3600

/* A Retry-After that is a date is turned into a delay by the answer's own clock, since ours may
 * differ; Date may stand before it or behind it. */
static void settle_retry_after(struct dialect_answer *a)
{
	if (a->date_s && a->retry_at_s > a->date_s)
		a->retry_after_ns =
		        (uint64_t)MIN(a->retry_at_s - a->date_s, RETRY_AFTER_MAX) * NS_PER_SECOND;
}

static int64_t parse_seconds(const char *value, size_t n)
{
	return dialect_parse_date(value, n) / (int64_t)NS_PER_SECOND;
}

void answer_header(struct dialect_answer *a, const char *name, const char *value, size_t n)
{
	uint64_t number;

	if (!strcmp(name, "content-length")) {
		if (!a->encoded && !dialect_parse_number(value, n, &number))
			a->content_length = number;
	} else if (!strcmp(name, "transfer-encoding")) {
		/* The body's end is told by other means, whatever Content-Length says (RFC 9112). */
		a->encoded = true;
		a->content_length = DIALECT_UNKNOWN;
	} else if (!strcmp(name, "content-range")) {
		a->has_range = !answer_parse_content_range(value, n, &a->range_start, &a->range_end,
		                                           &a->range_total);
	} else if (!strcmp(name, "content-type")) {
		copy_value(a->attr.content_type, sizeof(a->attr.content_type), value, n);
	} else if (!strcmp(name, "etag")) {
		answer_take_etag(&a->attr, value, n);
	} else if (!strcmp(name, "last-modified")) {
		a->attr.mtime_ns = dialect_parse_date(value, n);
	} else if (!strcmp(name, "date")) {
		a->date_s = parse_seconds(value, n);
		settle_retry_after(a);
	} else if (!strcmp(name, "location")) {
		copy_value(a->location, sizeof(a->location), value, n);
	} else if (!strcmp(name, "retry-after")) {
		if (!dialect_parse_number(value, n, &number))
			a->retry_after_ns = MIN(number, RETRY_AFTER_MAX) * NS_PER_SECOND;
		else
			a->retry_at_s = parse_seconds(value, n);
		settle_retry_after(a);
	}
}

bool answer_etag_is_strong(const char *etag)
{
	return etag[0] && strncmp(etag, "W/", 2) != 0;
}

static bool same_etag(const char *a, const char *b)
{
	if (!strncmp(a, "W/", 2))
		a += 2;
	if (!strncmp(b, "W/", 2))
		b += 2;
	return !strcmp(a, b);
}

/* False only when the answer says that it is of another version; what is not told cannot
 * differ. mtimes are compared where there is no ETag, by the second: Last-Modified has no
 * more, while a listing may. */
static bool same_version(const struct store_attr *pinned, const struct dialect_answer *a)
{
	if (pinned->version[0] && a->attr.version[0] && strcmp(pinned->version, a->attr.version) != 0)
		return false;
	if (pinned->etag[0] && a->attr.etag[0])
		return same_etag(pinned->etag, a->attr.etag);
	/* What a listing rounded pins nothing. */
	if (pinned->size_unknown)
		return true;
	return !pinned->mtime_ns || !a->attr.mtime_ns ||
	       pinned->mtime_ns / (int64_t)NS_PER_SECOND == a->attr.mtime_ns / (int64_t)NS_PER_SECOND;
}

enum answer_check answer_check_get(const struct dialect_call *call, const struct dialect_answer *a,
                                   const char **why)
{
	const struct store_attr *pinned = call->version;
	bool size_known = pinned && !pinned->size_unknown;
	/* One entity tag with two sizes is a server in confusion, not another version. */
	enum answer_check resized = pinned && pinned->etag[0] && a->attr.etag[0] ? ANSWER_WRONG
	                                                                         : ANSWER_CHANGED;

	*why = "another version answered";
	if (pinned && !same_version(pinned, a))
		return ANSWER_CHANGED;
	*why = "the size is another";
	if (a->status == 200) {
		if (size_known && a->content_length != DIALECT_UNKNOWN &&
		    a->content_length != pinned->size)
			return resized;
		*why = "the whole file came instead of the range";
		/* A server may answer so when all was asked for. */
		if (call->offset != 0 || a->content_length != call->length)
			return ANSWER_IGNORED_RANGE;
		*why = "";
		return ANSWER_GOOD;
	}
	if (size_known && a->range_total != DIALECT_UNKNOWN && a->range_total != pinned->size)
		return resized;
	*why = "neither 206 nor 200";
	if (a->status != 206)
		return ANSWER_WRONG;
	*why = "no usable Content-Range";
	if (!a->has_range || a->range_start == DIALECT_UNKNOWN)
		return ANSWER_WRONG;
	*why = "the Content-Range is not the one asked for";
	if (a->range_start != call->offset || a->range_end > call->offset + call->length)
		return ANSWER_WRONG;
	*why = "Content-Length and Content-Range disagree";
	if (a->content_length != DIALECT_UNKNOWN &&
	    a->content_length != a->range_end - a->range_start)
		return ANSWER_WRONG;
	*why = "";
	return ANSWER_GOOD;
}
