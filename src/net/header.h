/* header.h - one line of an answer's headers. Pure. */
#ifndef PAILFS_NET_HEADER_H
#define PAILFS_NET_HEADER_H

#include <stdbool.h>
#include <stddef.h>

struct header {
	char name[128];    /* in lower case */
	const char *value; /* trimmed; in the line, not NUL-terminated */
	size_t value_length;
};

/* False for a line that is no header that anybody asks for: without a colon, the continuation
 * of another, with a name that is empty, very long or has spaces or control bytes in it. */
bool header_parse(const char *line, size_t n, struct header *h);

#endif
