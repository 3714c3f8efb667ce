/* mountinfo.c - proc(5)'s mountinfo: fields apart by spaces, and a space, tab, newline or
 * backslash inside one written as three octal digits. */
#include "pailfs/base/mountinfo.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"

static bool is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' &&
	       s[2] <= '7';
}

static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (*s == '\\' && is_octal(s + 1)) {
			*out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/* True when `path` is `point` or lies below it. */
static bool contains(const char *point, const char *path)
{
	size_t n = strlen(point);

	if (!strcmp(point, "/"))
		return true;
	return !strncmp(point, path, n) && (path[n] == '/' || !path[n]);
}

/* "36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw,errors=continue" */
static bool split(char *line, char **point, char **type, char **source)
{
	char *save = NULL, *word, *tail;
	int i = 0;

	line[strcspn(line, "\n")] = '\0';
	tail = strstr(line, " - ");
	if (!tail)
		return false;
	*tail = '\0';
	for (word = strtok_r(line, " ", &save); word && i < 4; i++)
		word = strtok_r(NULL, " ", &save);
	*point = word;
	*type = strtok_r(tail + 3, " ", &save);
	*source = *type ? strtok_r(NULL, " ", &save) : NULL;
	if (!*point || !*source)
		return false;
	unescape(*point);
	unescape(*type);
	unescape(*source);
	return true;
}

int mountinfo_find(FILE *f, const char *path, struct mountinfo *out)
{
	char *line = NULL, *point, *type, *source;
	size_t capacity = 0;

	*out = (struct mountinfo){0};
	while (getline(&line, &capacity, f) > 0) {
		if (!split(line, &point, &type, &source) || !contains(point, path))
			continue;
		/* A later mount on the same place hides the earlier one. */
		if (out->point && strlen(point) < strlen(out->point))
			continue;
		mountinfo_release(out);
		*out = (struct mountinfo){xstrdup(point), xstrdup(type), xstrdup(source)};
	}
	free(line);
	return out->point ? 0 : -ENOENT;
}

void mountinfo_release(struct mountinfo *m)
{
	free(m->point);
	free(m->type);
	free(m->source);
	*m = (struct mountinfo){0};
}
