/* xalloc.h - small allocations, which do not fail.
 *
 * A daemon that cannot get a few hundred bytes cannot report it either, so these end the
 * process with a line on standard error. Data buffers never come from here: they are
 * reserved from the memory budget, which may say no (cache.h). All may be called from any
 * thread; the caller owns the result and gives it to free(). */
#ifndef PAILFS_BASE_XALLOC_H
#define PAILFS_BASE_XALLOC_H

#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
/* Grows p (NULL: a new one) to count elements of size bytes; a product that overflows ends
 * the process. */
void *xrealloc(void *p, size_t count, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The structure that holds `member` at `pointer`. */
#define container_of(pointer, type, member) \
	((type *)((char *)(pointer) - offsetof(type, member)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
