/* summary.c - what an operation log says in all.
 *
 * The times are kept, eight bytes a line and kind, and sorted at the end: exact percentiles of
 * a hundred million lines take less memory than a way to estimate them takes explaining. */
#include "pailfs/oplog.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zstd.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/xalloc.h"

enum {
	OP = 2,
	BYTES = 5,
	ENDPOINT,
	FILE_NAME,
	ERROR_TEXT,
	START,
	FIRST_BYTE,
	END,
	DURATION,
	COLUMNS
};

struct times {
	int64_t *ns;
	size_t count, capacity;
};

struct group {
	char *op, *endpoint;
	uint64_t requests, errors, bytes;
	struct times durations, first_bytes;
};

struct summary {
	struct group *groups;
	size_t count;
	uint64_t unknown; /* lines */
};

static void times_add(struct times *t, int64_t ns)
{
	if (t->count == t->capacity) {
		t->capacity = t->capacity ? t->capacity * 2 : 64;
		t->ns = xrealloc(t->ns, t->capacity, sizeof(*t->ns));
	}
	t->ns[t->count++] = ns;
}

static int compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The nearest rank, in milliseconds; the times are sorted. */
static double percentile(const struct times *t, unsigned percent)
{
	size_t rank = (t->count * percent + 99) / 100;

	return t->count ? (double)t->ns[rank ? rank - 1 : 0] / (double)NS_PER_MS : 0;
}

static struct group *find_group(struct summary *s, const char *op, const char *endpoint)
{
	struct group *g;

	/* The last one first: lines of one kind stand together. */
	for (size_t i = s->count; i--;)
		if (!strcmp(s->groups[i].op, op) && !strcmp(s->groups[i].endpoint, endpoint))
			return &s->groups[i];
	s->groups = xrealloc(s->groups, s->count + 1, sizeof(*s->groups));
	g = &s->groups[s->count++];
	*g = (struct group){.op = xstrdup(op), .endpoint = xstrdup(endpoint)};
	return g;
}

/* RFC 3339 in UTC, with nanoseconds. */
static int parse_time(const char *s, int64_t *ns)
{
	struct tm tm = {0};
	const char *rest = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t fraction = 0, unit = (int64_t)NS_PER_SECOND;

	if (!rest)
		return -EINVAL;
	if (*rest == '.')
		for (rest++; *rest >= '0' && *rest <= '9' && unit > 1; rest++) {
			unit /= 10;
			fraction += (*rest - '0') * unit;
		}
	if (strcmp(rest, "Z"))
		return -EINVAL;
	*ns = timegm(&tm) * (int64_t)NS_PER_SECOND + fraction;
	return 0;
}

static void take_line(struct summary *s, char *line)
{
	char *column[COLUMNS], *end;
	int64_t start, first, duration;
	unsigned long long bytes;
	struct group *g;
	int n = 0;

	if (!strncmp(line, "idx\t", 4))
		return;
	for (char *word; n < COLUMNS && (word = strsep(&line, "\t"));)
		column[n++] = word;
	if (n < COLUMNS || line || parse_time(column[START], &start))
		goto unknown;
	bytes = strtoull(column[BYTES], &end, 10);
	if (*end)
		goto unknown;
	duration = strtoll(column[DURATION], &end, 10);
	if (*end)
		goto unknown;
	g = find_group(s, column[OP], column[ENDPOINT]);
	g->requests++;
	g->errors += *column[ERROR_TEXT] != '\0';
	g->bytes += bytes;
	times_add(&g->durations, duration);
	if (!parse_time(column[FIRST_BYTE], &first))
		times_add(&g->first_bytes, first - start);
	return;
unknown:
	s->unknown++;
}

/* Takes whole lines out of `text`; the last time, what is left as well. */
static void take_lines(struct summary *s, struct buf *text, bool last)
{
	char *line = text->data, *end;

	while ((end = memchr(line, '\n', text->length - (size_t)(line - text->data)))) {
		*end = '\0';
		take_line(s, line);
		line = end + 1;
	}
	if (line > text->data) {
		text->length -= (size_t)(line - text->data);
		memmove(text->data, line, text->length + 1);
	}
	if (last && text->length)
		s->unknown++;
}

static int read_plain(FILE *f, struct summary *s, struct buf *text)
{
	char block[65536];
	size_t n;

	while ((n = fread(block, 1, sizeof(block), f))) {
		buf_add(text, block, n);
		take_lines(s, text, false);
	}
	return ferror(f) ? -EIO : 0;
}

static int read_compressed(FILE *f, struct summary *s, struct buf *text)
{
	ZSTD_DCtx *decoder = ZSTD_createDCtx();
	char block[65536], clear[131072];
	size_t left = 0;
	int err = decoder ? 0 : -ENOMEM;

	for (size_t n; !err && (n = fread(block, 1, sizeof(block), f));) {
		ZSTD_inBuffer in = {block, n, 0};
		size_t produced = sizeof(clear);

		/* A full output may have left more inside the decoder. */
		while (!err && (in.pos < in.size || (left && produced == sizeof(clear)))) {
			ZSTD_outBuffer out = {clear, sizeof(clear), 0};

			left = ZSTD_decompressStream(decoder, &out, &in);
			if (ZSTD_isError(left))
				err = -EBADMSG;
			produced = out.pos;
			buf_add(text, clear, produced);
			take_lines(s, text, false);
		}
	}
	if (!err && ferror(f))
		err = -EIO;
	if (!err && left)
		err = -EBADMSG;
	ZSTD_freeDCtx(decoder);
	return err;
}

static void add_bytes(struct buf *out, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double n = (double)bytes;
	size_t i = 0;

	for (; n >= 1024 && i + 1 < ARRAY_SIZE(units); i++)
		n /= 1024;
	buf_addf(out, " %9.*f %-3s", i ? 1 : 0, n, units[i]);
}

static void format_group(const struct group *g, struct buf *out)
{
	struct times whole = g->durations, first = g->first_bytes;

	qsort(whole.ns, whole.count, sizeof(*whole.ns), compare_times);
	qsort(first.ns, first.count, sizeof(*first.ns), compare_times);
	buf_addf(out, "%-10s %9llu %7llu", g->op, (unsigned long long)g->requests,
		 (unsigned long long)g->errors);
	add_bytes(out, g->bytes);
	buf_addf(out, " %9.2f %9.2f %9.2f %9.2f %9.2f  %s\n", percentile(&first, 50),
		 percentile(&whole, 50), percentile(&whole, 90), percentile(&whole, 99),
		 percentile(&whole, 100), g->endpoint);
}

int oplog_summary(const char *path, struct buf *out)
{
	struct summary s = {0};
	struct buf text = BUF_INIT;
	unsigned char magic[4] = {0};
	FILE *f = fopen(path, "re");
	bool compressed;
	int err;

	if (!f)
		return -errno;
	compressed = fread(magic, 1, sizeof(magic), f) == sizeof(magic) &&
		     !memcmp(magic, "\x28\xb5\x2f\xfd", sizeof(magic));
	rewind(f);
	err = compressed ? read_compressed(f, &s, &text) : read_plain(f, &s, &text);
	take_lines(&s, &text, true);
	buf_addf(out, "%-10s %9s %7s %13s %9s %9s %9s %9s %9s  %s\n", "operation", "requests",
		 "errors", "bytes", "first ms", "p50 ms", "p90 ms", "p99 ms", "max ms", "endpoint");
	for (size_t i = 0; i < s.count; i++) {
		format_group(&s.groups[i], out);
		free(s.groups[i].op);
		free(s.groups[i].endpoint);
		free(s.groups[i].durations.ns);
		free(s.groups[i].first_bytes.ns);
	}
	if (s.unknown)
		buf_addf(out, "%llu lines are not of an operation log\n",
			 (unsigned long long)s.unknown);
	free(s.groups);
	buf_release(&text);
	fclose(f);
	return err;
}
