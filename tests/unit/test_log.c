/* The log: what is written, and that a line is a line whatever stands in it. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "pailfs/base/buf.h"
#include "pailfs/base/log.h"
#include "unit.h"

static char path[] = "/tmp/pailfs-log-XXXXXX";
static struct buf text;

static void set_up(void)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	unlink(path);
	buf_init(&text);
}

static void tear_down(void)
{
	ck_assert_int_eq(log_open("stderr", "warn"), 0);
	unlink(path);
	buf_release(&text);
}

static const char *read_log(void)
{
	char part[4096];
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	buf_reset(&text);
	while ((n = fread(part, 1, sizeof(part), f)))
		buf_add(&text, part, n);
	fclose(f);
	return text.data;
}

static const struct {
	const char *level, *written; /* of an error, warn, info and debug line of main, then of net */
} levels[] = {
	{"error", "e...e..."},          {"warn", "ew..ew.."},           {"info", "ewi.ewi."},
	{"debug", "ewidewid"},          {"debug:net", "ewi.ewid"},      {"debug:main", "ewidewi."},
	{"debug:net+main", "ewidewid"}, {"debug:net,read", "ewi.ewid"},
};

START_TEST(each_level_writes_what_it_should)
{
	ck_assert_int_eq(log_open(path, levels[_i].level), 0);
	for (unsigned i = 0; i < 8; i++) {
		enum log_level level = (enum log_level)(i % 4);
		enum log_room room = i < 4 ? LOG_MAIN : LOG_NET;
		char line[] = {'#', (char)('0' + i), '\n', '\0'};
		bool expected = levels[_i].written[i] != '.';

		ck_assert_int_eq(log_enabled(level, room), expected);
		log_at_(level, room, "#%u", i);
		ck_assert_int_eq(strstr(read_log(), line) != NULL, expected);
	}
}
END_TEST

START_TEST(a_level_that_is_none_changes_nothing)
{
	static const char *const wrong[] = {"",        "loud",          "Error",
	                                    "debug:",  "debug:nothing", "debug:net+x",
	                                    "info:net"};

	ck_assert_int_eq(log_open(path, "info"), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		ck_assert_int_eq(log_open("stderr", wrong[i]), -EINVAL);
	ck_assert_int_eq(log_open("/nonexistent/log", "info"), -ENOENT);
	log_info(LOG_NET, "still here");
	ck_assert_ptr_nonnull(strstr(read_log(), " info net: still here\n"));
}
END_TEST

START_TEST(the_file_is_the_owners_and_grows)
{
	struct stat st;

	umask(0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(log_open(path, "warn"), 0);
		log_warn(LOG_STORE, "line %d", i);
	}
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_ptr_nonnull(strstr(read_log(), "line 0\n"));
	ck_assert_ptr_nonnull(strstr(read_log(), "line 1\n"));
}
END_TEST

/* What a server or an object's name brings must not look like a line of ours. */
START_TEST(nothing_forges_a_line)
{
	const char *line;

	ck_assert_int_eq(log_open(path, "warn"), 0);
	log_warn(LOG_STORE, "%s",
	         "name\n2026-01-01T00:00:00.000Z pailfs[1] error main: \x1b[2J\r\x7fé");
	line = read_log();
	ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
	for (const char *p = line; p[1]; p++)
		ck_assert_msg((unsigned char)*p >= 0x20 && *p != 0x7f, "byte %d", *p);
	ck_assert_ptr_nonnull(strstr(line, "é\n"));
}
END_TEST

START_TEST(a_long_line_is_cut)
{
	static char name[10000];

	memset(name, 'n', sizeof(name) - 1);
	ck_assert_int_eq(log_open(path, "warn"), 0);
	log_warn(LOG_STORE, "%s", name);
	log_warn(LOG_STORE, "next");
	ck_assert_uint_le(strcspn(read_log(), "\n"), 4096);
	ck_assert_uint_ge(strcspn(text.data, "\n"), 4000);
	ck_assert_ptr_nonnull(strstr(text.data, "store: next\n"));
}
END_TEST

static void *write_lines(void *arg)
{
	for (int i = 0; i < 500; i++)
		log_warn(LOG_NET, "begin %s end", (const char *)arg);
	return NULL;
}

START_TEST(lines_of_threads_do_not_mix)
{
	static char words[4][200];
	pthread_t threads[4];
	char *rest, *line;
	int lines = 0;

	ck_assert_int_eq(log_open(path, "warn"), 0);
	for (int i = 0; i < 4; i++) {
		memset(words[i], 'a' + i, sizeof(words[i]) - 1);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines, words[i]), 0);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	read_log();
	for (line = strtok_r(text.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		const char *word = strstr(line, "begin ");

		ck_assert_ptr_nonnull(word);
		word += strlen("begin ");
		ck_assert_uint_eq(strspn(word, (char[]){*word, 0}), sizeof(words[0]) - 1);
		ck_assert_str_eq(word + sizeof(words[0]) - 1, " end");
		lines++;
	}
	ck_assert_int_eq(lines, 2000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tc = tcase_create("log");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, each_level_writes_what_it_should, 0,
	                    sizeof(levels) / sizeof(*levels));
	tcase_add_test(tc, a_level_that_is_none_changes_nothing);
	tcase_add_test(tc, the_file_is_the_owners_and_grows);
	tcase_add_test(tc, nothing_forges_a_line);
	tcase_add_test(tc, a_long_line_is_cut);
	tcase_add_test(tc, lines_of_threads_do_not_mix);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
