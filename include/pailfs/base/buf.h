/* buf.h - a growing byte string, always followed by a NUL that does not count.
 *
 * The idea is git's strbuf. A buf belongs to one thread at a time. */
#ifndef PAILFS_BASE_BUF_H
#define PAILFS_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

struct buf {
	char *data; /* never NULL after buf_init: an empty buf points at a static "" */
	size_t length;
	size_t capacity; /* 0: data is not ours to free */
};

#define BUF_INIT {.data = (char *)""}

void buf_init(struct buf *b);
void buf_release(struct buf *b); /* frees; the buf is empty and usable again */
void buf_reset(struct buf *b);   /* empties and keeps the memory */
void buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *data, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vaddf(struct buf *b, const char *format, va_list ap)
        __attribute__((format(printf, 2, 0)));
void buf_truncate(struct buf *b, size_t length); /* length <= b->length */
/* Hands the string over; the caller frees it, the buf is empty. */
char *buf_detach(struct buf *b);

/* Adds s with each byte outside RFC 3986's unreserved set as %XX; a '/' stays when
 * keep_slash is set. That is the UriEncode of S3's signing documentation. */
void buf_add_uri(struct buf *b, const char *s, size_t n, int keep_slash);

/* Adds s so that it stands on one line of a log or an answer: control bytes, quotes and
 * backslashes as \xNN; cut with "…" after max bytes. */
void buf_add_quoted(struct buf *b, const char *s, size_t n, size_t max);

#endif
