/* What pailctl says of statistics, made by the daemon's own formatter. */
#include <check.h>
#include <string.h>
#include "pailfs/base/stats.h"
#include "src/ctl/ctl.h"
#include "unit.h"

static void has(const struct buf *text, const char *line)
{
	ck_assert_msg(strstr(text->data, line), "no \"%s\" in:\n%s", line, text->data);
}

START_TEST(summarizes)
{
	struct stats *s = stats_create();
	struct buf text = BUF_INIT, out = BUF_INIT;

	stats_add(s, STAT_REQ_GET_OK, 12);
	stats_add(s, STAT_REQ_GET_RETRY, 3);
	stats_add(s, STAT_REQ_LIST_OK, 2);
	stats_add(s, STAT_REQ_HEAD_ERROR, 1);
	stats_add(s, STAT_RECEIVED_BYTES, 3 << 20);
	stats_add(s, STAT_READ_BYTES, 2 << 20);
	stats_add(s, STAT_CACHE_HITS, 7);
	stats_add(s, STAT_CACHE_MISSES, 5);
	stats_add(s, STAT_MEMORY_DEMAND, 1 << 20);
	stats_add(s, STAT_MEMORY_CACHE, 1 << 20);
	stats_add(s, STAT_MEMORY_LIMIT, 64 << 20);
	stats_observe(s, HISTOGRAM_FIRST_BYTE, 2000000);
	stats_observe(s, HISTOGRAM_FIRST_BYTE, 4000000);
	stats_format(s, &text);
	summarize_stats(text.data, &out);
	has(&out, "requests    get 12 (tried again 3), head 0 (failed 1), list 2\n");
	has(&out, "received    3.0 MiB for reads of 2.0 MiB (1.50)\n");
	has(&out, "sent        0 B for writes of 0 B\n");
	has(&out, "first byte  3.00 ms on average\n");
	has(&out, "cache       7 reads at once, 5 after a wait\n");
	has(&out, "memory      2.0 MiB of 64.0 MiB\n");
	ck_assert_ptr_null(strstr(out.data, "request     "));
	buf_release(&text);
	buf_release(&out);
	stats_destroy(s);
}
END_TEST

START_TEST(summarizes_nothing)
{
	struct buf out = BUF_INIT;

	summarize_stats("", &out);
	has(&out, "requests    none\n");
	buf_release(&out);
}
END_TEST

START_TEST(places_outside_a_mount)
{
	struct buf error = BUF_INIT;
	struct target t = {0};

	ck_assert_int_lt(target_find("/no/such/place", true, &t, &error), 0);
	ck_assert_str_eq(error.data, "/no/such/place: No such file or directory");
	buf_reset(&error);
	ck_assert_int_lt(target_find("/proc", false, &t, &error), 0);
	ck_assert_str_eq(error.data, "/proc: is not in a pailfs mount");
	buf_release(&error);
	target_release(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctl");
	TCase *t = tcase_create("ctl");

	tcase_add_test(t, summarizes);
	tcase_add_test(t, summarizes_nothing);
	tcase_add_test(t, places_outside_a_mount);
	suite_add_tcase(s, t);
	return unit_run(s);
}
