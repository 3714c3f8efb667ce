/* The statistics: the text that Prometheus reads, and the manual's table. */
#include <check.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/stats.h"
#include "unit.h"

static struct stats *stats;
static struct buf text;

static void set_up(void)
{
	stats = stats_create();
	buf_init(&text);
}

static void tear_down(void)
{
	buf_release(&text);
	stats_destroy(stats);
}

static void ck_has(const char *line)
{
	ck_assert_msg(strstr(text.data, line), "not there: %s", line);
}

START_TEST(shows_what_was_counted)
{
	stats_inc(stats, STAT_REQ_GET_OK);
	stats_add(stats, STAT_REQ_GET_OK, 2);
	stats_add(stats, STAT_RECEIVED_BYTES, 5000000000);
	stats_add(stats, STAT_GETS_IN_FLIGHT, 1);
	stats_add(stats, STAT_GETS_IN_FLIGHT, -1);
	stats_format(stats, &text);
	ck_has("# TYPE pailfs_store_requests_total counter\n"
	       "pailfs_store_requests_total{op=\"get\",result=\"ok\"} 3\n"
	       "pailfs_store_requests_total{op=\"get\",result=\"error\"} 0\n");
	ck_has("\npailfs_store_received_bytes_total 5000000000\n");
	ck_has("# TYPE pailfs_gets_in_flight gauge\npailfs_gets_in_flight 0\n");
}
END_TEST

/* The format wants a metric's lines together, under one HELP and one TYPE, and a sample once. */
START_TEST(each_metric_is_one_group)
{
	struct buf seen = BUF_INIT, name = BUF_INIT, entry = BUF_INIT;
	char *rest, *line;

	stats_format(stats, &text);
	for (line = strtok_r(text.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		buf_reset(&entry);
		if (!strncmp(line, "# HELP ", 7)) {
			buf_reset(&name);
			buf_add(&name, line + 7, strcspn(line + 7, " "));
			ck_assert_msg(strlen(line) > 7 + name.length + 1, "without help: %s", line);
		} else if (!strncmp(line, "# TYPE ", 7)) {
			ck_assert_int_eq(strncmp(line + 7, name.data, name.length), 0);
		} else {
			ck_assert_int_eq(strncmp(line, name.data, name.length), 0);
			ck_assert(isdigit(line[strlen(line) - 1]));
		}
		/* All of the line but its value. */
		buf_addf(&entry, "\n%.*s\n", (int)(strrchr(line, ' ') - line), line);
		ck_assert_msg(!strstr(seen.data, entry.data), "twice: %s", line);
		buf_add(&seen, entry.data, entry.length);
	}
	buf_release(&seen);
	buf_release(&name);
	buf_release(&entry);
}
END_TEST

START_TEST(buckets_are_cumulative)
{
	static const uint64_t ns[] = {0, 100000, 100001, 150000, 7200000000000};

	for (size_t i = 0; i < sizeof(ns) / sizeof(*ns); i++)
		stats_observe(stats, HISTOGRAM_READ, ns[i]);
	stats_format(stats, &text);
	ck_has("# TYPE pailfs_fuse_read_seconds histogram\n"
	       "pailfs_fuse_read_seconds_bucket{le=\"0.0001\"} 2\n"
	       "pailfs_fuse_read_seconds_bucket{le=\"0.0002\"} 4\n"
	       "pailfs_fuse_read_seconds_bucket{le=\"0.0004\"} 4\n");
	ck_has("\npailfs_fuse_read_seconds_bucket{le=\"+Inf\"} 5\n"
	       "pailfs_fuse_read_seconds_sum 7200.000350001\npailfs_fuse_read_seconds_count 5\n");
}
END_TEST

START_TEST(the_manual_has_each_metric_once)
{
	struct buf entry = BUF_INIT, manual = BUF_INIT;
	char *rest, *line;

	stats_format_manual(&manual);
	stats_format(stats, &text);
	for (line = strtok_r(text.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		const char *found;

		if (strncmp(line, "# HELP ", 7))
			continue;
		buf_reset(&entry);
		buf_addf(&entry, ".It Li %.*s No (", (int)strcspn(line + 7, " "), line + 7);
		found = strstr(manual.data, entry.data);
		ck_assert_msg(found && !strstr(found + 1, entry.data), "not once: %s", entry.data);
	}
	ck_assert_ptr_nonnull(strstr(manual.data,
	                             ".It Li pailfs_store_requests_total No (counter by op and result)\n"
	                             "Requests sent to the store;"));
	ck_assert_ptr_nonnull(strstr(manual.data, "pailfs_fuse_read_seconds No (histogram)\n"));
	buf_release(&entry);
	buf_release(&manual);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stats");
	TCase *tc = tcase_create("stats");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, shows_what_was_counted);
	tcase_add_test(tc, each_metric_is_one_group);
	tcase_add_test(tc, buckets_are_cumulative);
	tcase_add_test(tc, the_manual_has_each_metric_once);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
