/* endpoint.c - endpoint= as a user writes it: http://store{1...8}:9000 is eight of them. */
#include "option.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"

#define MAX_ENDPOINTS 1024

/* "{FIRST...LAST}"; returns what follows it, or NULL. */
static const char *parse_braces(const char *s, unsigned long *first, unsigned long *last)
{
	char *end;

	if (!isdigit((unsigned char)s[1]))
		return NULL;
	*first = strtoul(s + 1, &end, 10);
	if (strncmp(end, "...", 3) || !isdigit((unsigned char)end[3]))
		return NULL;
	*last = strtoul(end + 3, &end, 10);
	return *end == '}' && *last >= *first && *last - *first < MAX_ENDPOINTS ? end + 1 : NULL;
}

static int expand_into(const char *pattern, char ***list, size_t *count)
{
	const char *open = strchr(pattern, '{'), *rest;
	unsigned long first, last;
	int err = 0;

	if (!open) {
		if (*count == MAX_ENDPOINTS)
			return -EINVAL;
		*list = xrealloc(*list, *count + 2, sizeof(**list));
		(*list)[(*count)++] = xstrdup(pattern);
		(*list)[*count] = NULL;
		return 0;
	}
	rest = parse_braces(open, &first, &last);
	if (!rest)
		return -EINVAL;
	for (unsigned long i = 0; i <= last - first && !err; i++) {
		char *one = xasprintf("%.*s%lu%s", (int)(open - pattern), pattern, first + i, rest);

		err = expand_into(one, list, count);
		free(one);
	}
	return err;
}

int expand_endpoint(const char *pattern, char ***list, size_t *count)
{
	const char *host = strstr(pattern, "://");

	if (strncmp(pattern, "http://", 7) && strncmp(pattern, "https://", 8))
		return -EINVAL;
	host += 3;
	if (!*host || *host == '/' || memchr(host, '@', strcspn(host, "/?#")))
		return -EINVAL;
	return expand_into(pattern, list, count);
}
