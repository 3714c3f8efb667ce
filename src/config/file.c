/* file.c - configuration files: `name = value` lines; a section is a glob over SOURCE.
 *
 *	connections = 128
 *	[s3://training-*]
 *	region = eu-central-1
 *
 * inih splits the lines. Its own limits are silent (a line of 199 bytes, a section name of 49,
 * where a bucket's alone may have 63), so the reader that feeds it takes the section's name
 * itself and refuses what does not fit. */
#include "option.h"

#include <errno.h>
#include <fnmatch.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"

struct reading {
	struct config *config;
	FILE *file;
	const char *path;
	struct option_layer layer; /* its number is that of the section */
	unsigned line;
	bool applies; /* the section's glob matches SOURCE */
	struct buf *error;
	bool failed;
};

static void reading_fail(struct reading *r, const char *what)
{
	if (!r->failed)
		buf_addf(r->error, "%s:%u: %s", r->path, r->line, what);
	r->failed = true;
}

/* `line` begins with a '['. */
static void begin_section(struct reading *r, char *line)
{
	char *end = strrchr(line, ']');
	const char *source = r->config->source;

	if (!end) {
		reading_fail(r, "a section's name ends with ]");
		return;
	}
	*end = '\0';
	r->applies = source && !fnmatch(line + 1, source, 0);
	r->layer.number++;
}

/* fgets for inih. */
static char *next_line(char *out, int size, void *stream)
{
	struct reading *r = stream;
	char *line = NULL, *start;
	const char *text;
	size_t capacity = 0;
	ssize_t n = getline(&line, &capacity, r->file);

	if (n < 0 || r->failed) {
		free(line);
		return NULL;
	}
	start = line;
	if (r->line++ == 0 && !strncmp(start, "\xef\xbb\xbf", 3))
		start += 3;
	/* To inih an indented line is one more value of the name above it; here it is a line. */
	text = start + strspn(start, " \t");
	if (*text == '#' || *text == ';') {
		text = "\n";
	} else if (*text == '[') {
		begin_section(r, line + (text - line));
		text = "[x]\n";
	}
	if (strlen(text) >= (size_t)size) {
		reading_fail(r, "the line is too long");
		text = "\n";
	}
	strcpy(out, text);
	free(line);
	return out;
}

static int take_value(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;
	struct buf item = BUF_INIT, why = BUF_INIT;
	char *where;

	if (!r->applies || r->failed)
		return 1;
	where = xasprintf("%s:%u", r->path, r->line);
	r->layer.where = where;
	buf_addf(&item, "%s=%s", name, value);
	/* A word of mount(8) stands alone on its line elsewhere; here it says yes. */
	if (!option_find(name, strlen(name)) && !strcmp(value, "yes"))
		buf_truncate(&item, strlen(name));
	if (option_apply(r->config, item.data, item.length, &r->layer, &why))
		reading_fail(r, why.data);
	r->layer.where = NULL;
	free(where);
	buf_release(&item);
	buf_release(&why);
	return 1;
}

int config_read_file(struct config *c, const char *path, unsigned *layer, struct buf *error)
{
	struct reading r = {.config = c,
			    .path = path,
			    .applies = true,
			    .error = error,
			    .layer = {.number = *layer + 1, .file = true}};
	int line;

	r.file = fopen(path, "re");
	if (!r.file) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		buf_addf(error, "%s: %s", path, strerror(errno));
		return -EINVAL;
	}
	line = ini_parse_stream(next_line, &r, take_value, &r);
	if (line) {
		r.line = line > 0 ? (unsigned)line : r.line;
		reading_fail(&r, "a line is NAME = VALUE or [GLOB]");
	}
	fclose(r.file);
	*layer = r.layer.number;
	return r.failed ? -EINVAL : 0;
}
