/* generate.c - makes what follows from the program's tables, when pailfs is built.
 *
 *	generate manual FILE   FILE with @OPTIONS@, @STATISTICS@ and @VERSION@ filled in
 *	generate completion    bash completion for pailfs */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs-config.h"
#include "pailfs/base/stats.h"
#include "pailfs/config.h"

/* Each mark stands alone on its line, which mdoc wants anyway. */
static int fill_manual(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t capacity = 0;

	if (!f) {
		fprintf(stderr, "generate: %s: %s\n", path, strerror(errno));
		return -errno;
	}
	while (getline(&line, &capacity, f) > 0) {
		if (!strcmp(line, "@OPTIONS@\n"))
			config_format_manual(out);
		else if (!strcmp(line, "@STATISTICS@\n"))
			stats_format_manual(out);
		else if (!strcmp(line, "@VERSION@\n"))
			buf_adds(out, PAILFS_VERSION "\n");
		else
			buf_adds(out, line);
	}
	free(line);
	fclose(f);
	return 0;
}

int main(int argc, char **argv)
{
	struct buf out = BUF_INIT;
	int err = -EINVAL;

	if (argc == 3 && !strcmp(argv[1], "manual")) {
		err = fill_manual(argv[2], &out);
	} else if (argc == 2 && !strcmp(argv[1], "completion")) {
		config_format_completion(&out);
		err = 0;
	} else {
		fprintf(stderr, "usage: generate manual FILE | completion\n");
	}
	if (!err && fwrite(out.data, 1, out.length, stdout) < out.length)
		err = -EIO;
	buf_release(&out);
	return err ? 1 : 0;
}
