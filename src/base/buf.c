/* buf.c - a growing byte string. Capacity grows by half, so that appending is linear. */
#include "pailfs/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"

void buf_init(struct buf *b)
{
	*b = (struct buf)BUF_INIT;
}

void buf_release(struct buf *b)
{
	if (b->capacity)
		free(b->data);
	buf_init(b);
}

void buf_reset(struct buf *b)
{
	buf_truncate(b, 0);
}

void buf_reserve(struct buf *b, size_t more)
{
	size_t need = b->length + more + 1, capacity;

	if (need <= b->capacity)
		return;
	capacity = MAX(need, b->capacity + b->capacity / 2);
	capacity = MAX(capacity, 64);
	b->data = xrealloc(b->capacity ? b->data : NULL, capacity, 1);
	b->capacity = capacity;
	b->data[b->length] = '\0';
}

void buf_add(struct buf *b, const void *data, size_t n)
{
	if (!n)
		return;
	buf_reserve(b, n);
	memcpy(b->data + b->length, data, n);
	b->length += n;
	b->data[b->length] = '\0';
}

void buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_vaddf(struct buf *b, const char *format, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	buf_reserve(b, 64);
	n = vsnprintf(b->data + b->length, b->capacity - b->length, format, ap);
	if (n > 0 && (size_t)n >= b->capacity - b->length) {
		buf_reserve(b, (size_t)n);
		n = vsnprintf(b->data + b->length, b->capacity - b->length, format, again);
	}
	va_end(again);
	if (n > 0)
		b->length += (size_t)n;
}

void buf_addf(struct buf *b, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	buf_vaddf(b, format, ap);
	va_end(ap);
}

void buf_truncate(struct buf *b, size_t length)
{
	b->length = length;
	if (b->capacity)
		b->data[length] = '\0';
}

char *buf_detach(struct buf *b)
{
	char *s = b->capacity ? b->data : xstrdup("");

	buf_init(b);
	return s;
}

static int unreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void buf_add_uri(struct buf *b, const char *s, size_t n, int keep_slash)
{
	buf_reserve(b, n);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (unreserved(c) || (c == '/' && keep_slash))
			buf_addc(b, (char)c);
		else
			buf_addf(b, "%%%02X", c);
	}
}

void buf_add_quoted(struct buf *b, const char *s, size_t n, size_t max)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (i == max) {
			buf_adds(b, "…");
			return;
		}
		if (c < 0x20 || c == 0x7f || c == '"' || c == '\\')
			buf_addf(b, "\\x%02x", c);
		else
			buf_addc(b, (char)c);
	}
}
