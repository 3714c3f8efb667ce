/* The operation log, read back by another program and by its own summary. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "pailfs/base/xalloc.h"
#include "pailfs/oplog.h"
#include "unit.h"

static char directory[32];
static struct stats *stats;

static void setup(void)
{
	strcpy(directory, "/tmp/test_oplog.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	stats = stats_create();
}

static void teardown(void)
{
	char *command = xasprintf("rm -r %s", directory);

	ck_assert_int_eq(system(command), 0);
	free(command);
	stats_destroy(stats);
}

static char *in_directory(const char *name)
{
	return xasprintf("%s/%s", directory, name);
}

/* What zstd or cat prints of a file. */
static void read_file(const char *path, struct buf *out)
{
	size_t n = strlen(path);
	bool zst = n > 4 && !strcmp(path + n - 4, ".zst");
	char *command = xasprintf("%s '%s'", zst ? "zstd -qdc" : "cat", path);
	FILE *f = popen(command, "r");
	char block[4096];

	ck_assert_ptr_nonnull(f);
	while ((n = fread(block, 1, sizeof(block), f)))
		buf_add(out, block, n);
	ck_assert_int_eq(pclose(f), 0);
	free(command);
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

static const struct oplog_entry example = {
        .op = "GET_RANGE",
        .thread = 3,
        .objects = 1,
        .bytes = 65536,
        .endpoint = "http://127.0.0.1:9000",
        .file = "a\tb\"c\n",
        .error = "",
        .start_ns = 1700000000123456789,
        .first_byte_ns = 1700000000200000000,
        .end_ns = 1700000000223456789,
};

START_TEST(columns)
{
	char *path = in_directory("log.tsv");
	struct buf text = BUF_INIT;
	struct oplog *o;
	char *line, *client;

	ck_assert_int_eq(oplog_open(path, stats, &o), 0);
	oplog_add(o, &example);
	oplog_close(o);
	read_file(path, &text);
	ck_assert_uint_eq(count_lines(text.data), 2);
	line = strchr(text.data, '\n');
	*line++ = '\0';
	ck_assert_str_eq(text.data, "idx\tthread\top\tclient_id\tn_objects\tbytes\tendpoint\tfile\terror"
	                            "\tstart\tfirst_byte\tend\tduration_ns");
	ck_assert_msg(!strncmp(line, "0\t3\tGET_RANGE\t", 14), "%s", line);
	client = line + 14;
	ck_assert_uint_eq(strcspn(client, "\t"), 8);
	ck_assert_str_eq(client + 8, "\t1\t65536\thttp://127.0.0.1:9000\ta\\x09b\\x22c\\x0a\t\t"
	                             "2023-11-14T22:13:20.123456789Z\t2023-11-14T22:13:20.200000000Z\t"
	                             "2023-11-14T22:13:20.223456789Z\t100000000\n");
	free(path);
	buf_release(&text);
}
END_TEST

START_TEST(no_first_byte_and_no_strings)
{
	char *path = in_directory("log.tsv");
	struct oplog_entry e = {.op = "STAT", .end_ns = 5, .start_ns = 2};
	struct buf text = BUF_INIT;
	struct oplog *o;

	ck_assert_int_eq(oplog_open(path, stats, &o), 0);
	oplog_add(o, &e);
	oplog_close(o);
	read_file(path, &text);
	ck_assert_ptr_nonnull(strstr(text.data, "\t0\t0\t\t\t\t1970-01-01T00:00:00.000000002Z\t\t"
	                                        "1970-01-01T00:00:00.000000005Z\t3\n"));
	free(path);
	buf_release(&text);
}
END_TEST

enum { THREADS = 4, LINES = 20000 };

static void *add_many(void *arg)
{
	for (int i = 0; i < LINES; i++)
		oplog_add(arg, &example);
	return NULL;
}

/* Whatever the speed of the writer, each line is written or counted as dropped. */
START_TEST(nothing_is_lost_uncounted)
{
	char *path = in_directory(_i ? "log.zst" : "log.tsv");
	struct buf text = BUF_INIT, table = BUF_INIT;
	pthread_t threads[THREADS];
	struct oplog *o;
	size_t lines;

	ck_assert_int_eq(oplog_open(path, stats, &o), 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, add_many, o), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	oplog_close(o);
	read_file(path, &text);
	lines = count_lines(text.data) - 1;
	ck_assert_uint_gt(lines, 0);
	ck_assert_int_eq((int64_t)lines + stats_get(stats, STAT_OPLOG_DROPPED), THREADS * LINES);
	ck_assert_int_eq(oplog_summary(path, &table), 0);
	ck_assert_ptr_null(strstr(table.data, "are not of"));
	free(path);
	buf_release(&text);
	buf_release(&table);
}
END_TEST

START_TEST(appends)
{
	char *path = in_directory("log.zst");
	struct buf text = BUF_INIT;
	struct oplog *o;

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(oplog_open(path, stats, &o), 0);
		oplog_add(o, &example);
		oplog_close(o);
	}
	read_file(path, &text);
	ck_assert_uint_eq(count_lines(text.data), 3);
	free(path);
	buf_release(&text);
}
END_TEST

START_TEST(summary)
{
	char *path = in_directory("log.zst");
	struct buf table = BUF_INIT;
	struct oplog_entry e = example;
	struct oplog *o;
	FILE *f;

	ck_assert_int_eq(oplog_open(path, stats, &o), 0);
	for (int i = 1; i <= 100; i++) {
		e.first_byte_ns = e.start_ns + i * 500000;
		e.end_ns = e.start_ns + i * 1000000;
		e.error = i > 97 ? "503 SlowDown" : "";
		e.bytes = 1 << 20;
		oplog_add(o, &e);
	}
	e.op = "LIST";
	oplog_add(o, &e);
	oplog_close(o);
	ck_assert_int_eq(oplog_summary(path, &table), 0);
	ck_assert_ptr_nonnull(strstr(table.data, "GET_RANGE        100       3     100.0 MiB     25.00     "
	                                         "50.00     90.00     99.00    100.00  http://127"));
	ck_assert_ptr_nonnull(strstr(table.data, "\nLIST "));

	/* A daemon killed in the middle of a write. */
	buf_reset(&table);
	ck_assert_int_eq(truncate(path, 150), 0);
	ck_assert_int_eq(oplog_summary(path, &table), -EBADMSG);
	buf_reset(&table);
	f = fopen(path, "w");
	fputs("something else\nentirely", f);
	fclose(f);
	ck_assert_int_eq(oplog_summary(path, &table), 0);
	ck_assert_ptr_nonnull(strstr(table.data, "2 lines are not of"));
	free(path);
	buf_release(&table);
}
END_TEST

/* Text whose end is the end of a block that the reader takes at once. */
START_TEST(a_log_of_whole_blocks)
{
	char *path = in_directory("log.zst");
	char *command = xasprintf("yes 'no line of a log' | head -c 131072 | zstd -qo '%s'", path);
	struct buf table = BUF_INIT;

	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(oplog_summary(path, &table), 0);
	buf_release(&table);
	free(command);
	free(path);
}
END_TEST

START_TEST(failures)
{
	char *path = in_directory("no/such/log");
	struct oplog *o;

	ck_assert_int_eq(oplog_open(path, stats, &o), -ENOENT);
	ck_assert_int_eq(oplog_open("/dev/full", stats, &o), -ENOSPC);
	oplog_add(NULL, &example);
	oplog_close(NULL);
	free(path);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("oplog");
	TCase *t = tcase_create("oplog");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, columns);
	tcase_add_test(t, no_first_byte_and_no_strings);
	tcase_add_loop_test(t, nothing_is_lost_uncounted, 0, 2);
	tcase_add_test(t, appends);
	tcase_add_test(t, summary);
	tcase_add_test(t, a_log_of_whole_blocks);
	tcase_add_test(t, failures);
	suite_add_tcase(s, t);
	return unit_run(s);
}
