/* stat.c - .pailfs/stats for people: what was asked of the store, and for what. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "ctl.h"
#include "pailfs/base/xalloc.h"

/* The sum of the samples of this name whose labels contain `label` ("" matches all). */
static double sum(const char *text, const char *name, const char *label)
{
	size_t n = strlen(name);
	double total = 0;

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t length = strcspn(line, "\n");
		const char *value;

		if (strncmp(line, name, n) || (line[n] != '{' && line[n] != ' '))
			continue;
		if (*label && !memmem(line, length, label, strlen(label)))
			continue;
		value = memrchr(line, ' ', length);
		if (value)
			total += strtod(value + 1, NULL);
	}
	return total;
}

static void add_bytes(struct buf *out, double n)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	size_t i = 0;

	for (; n >= 1024 && i + 1 < ARRAY_SIZE(units); i++)
		n /= 1024;
	buf_addf(out, "%.*f %s", i ? 1 : 0, n, units[i]);
}

static void add_requests(const char *text, struct buf *out)
{
	static const char *const ops[] = {"get", "head", "list", "put", "post", "delete", "copy"};
	bool any = false;

	buf_adds(out, "requests    ");
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		static const char name[] = "pailfs_store_requests_total";
		char *ok = xasprintf("op=\"%s\",result=\"ok\"", ops[i]);
		char *error = xasprintf("op=\"%s\",result=\"error\"", ops[i]);
		char *retry = xasprintf("op=\"%s\",result=\"retry\"", ops[i]);
		double good = sum(text, name, ok), bad = sum(text, name, error),
		       again = sum(text, name, retry);

		free(ok);
		free(error);
		free(retry);
		if (good + bad + again == 0)
			continue;
		buf_addf(out, "%s%s %.0f", any ? ", " : "", ops[i], good);
		if (bad > 0)
			buf_addf(out, " (failed %.0f)", bad);
		if (again > 0)
			buf_addf(out, " (tried again %.0f)", again);
		any = true;
	}
	buf_adds(out, any ? "\n" : "none\n");
}

static void add_moved(const char *text, const char *title, const char *name, const char *face_name,
		      const char *face, struct buf *out)
{
	double store = sum(text, name, ""), files = sum(text, face_name, "");

	buf_adds(out, title);
	add_bytes(out, store);
	buf_adds(out, face);
	add_bytes(out, files);
	if (files > 0)
		buf_addf(out, " (%.2f)", store / files);
	buf_addc(out, '\n');
}

static void add_mean(const char *text, const char *title, const char *name, struct buf *out)
{
	char *total_name = xasprintf("%s_sum", name), *count_name = xasprintf("%s_count", name);
	double total = sum(text, total_name, ""), count = sum(text, count_name, "");

	if (count > 0)
		buf_addf(out, "%s%.2f ms on average\n", title, total / count * 1000);
	free(total_name);
	free(count_name);
}

void summarize_stats(const char *text, struct buf *out)
{
	double hits = sum(text, "pailfs_cache_hits_total", "");
	double misses = sum(text, "pailfs_cache_misses_total", "");

	add_requests(text, out);
	add_moved(text, "received    ", "pailfs_store_received_bytes_total",
		  "pailfs_read_bytes_total", " for reads of ", out);
	add_moved(text, "sent        ", "pailfs_store_sent_bytes_total",
		  "pailfs_written_bytes_total", " for writes of ", out);
	add_mean(text, "first byte  ", "pailfs_store_first_byte_seconds", out);
	add_mean(text, "request     ", "pailfs_store_request_seconds", out);
	add_mean(text, "read        ", "pailfs_fuse_read_seconds", out);
	buf_addf(out, "cache       %.0f reads at once, %.0f after a wait\n", hits, misses);
	buf_adds(out, "memory      ");
	add_bytes(out, sum(text, "pailfs_memory_bytes", ""));
	buf_adds(out, " of ");
	add_bytes(out, sum(text, "pailfs_memory_limit_bytes", ""));
	buf_addf(out, "\nfiles       %.0f open, %.0f names known\n",
		 sum(text, "pailfs_open_files", ""), sum(text, "pailfs_names_entries", ""));
}
