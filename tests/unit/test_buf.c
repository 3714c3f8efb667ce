/* The growing string, and the two encodings that it offers. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/buf.h"
#include "unit.h"

START_TEST(grows_and_detaches)
{
	struct buf b = BUF_INIT;
	char *s;

	ck_assert_str_eq(b.data, "");
	for (int i = 0; i < 1000; i++)
		buf_addf(&b, "%03d,", i);
	ck_assert_uint_eq(b.length, 4000);
	ck_assert_str_eq(b.data + 3996, "999,");
	buf_truncate(&b, 3);
	ck_assert_str_eq(b.data, "000");
	s = buf_detach(&b);
	ck_assert_str_eq(s, "000");
	ck_assert_uint_eq(b.length, 0);
	free(s);
	buf_release(&b);
}
END_TEST

static const struct {
	const char *in, *with_slash, *without;
} uris[] = {
        {"a/b c", "a/b%20c", "a%2Fb%20c"},
        {"A-Z_a.z~0", "A-Z_a.z~0", "A-Z_a.z~0"},
        {"\x01+\xc3\xa9", "%01%2B%C3%A9", "%01%2B%C3%A9"},
        {"", "", ""},
};

START_TEST(encodes_uris)
{
	struct buf b = BUF_INIT;

	buf_add_uri(&b, uris[_i].in, strlen(uris[_i].in), 1);
	ck_assert_str_eq(b.data, uris[_i].with_slash);
	buf_reset(&b);
	buf_add_uri(&b, uris[_i].in, strlen(uris[_i].in), 0);
	ck_assert_str_eq(b.data, uris[_i].without);
	buf_release(&b);
}
END_TEST

START_TEST(quotes_for_one_line)
{
	struct buf b = BUF_INIT;

	buf_add_quoted(&b, "a\nb\"\\", 5, 100);
	ck_assert_str_eq(b.data, "a\\x0ab\\x22\\x5c");
	buf_reset(&b);
	buf_add_quoted(&b, "abcdef", 6, 3);
	ck_assert_str_eq(b.data, "abc…");
	buf_release(&b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("buf");
	TCase *tc = tcase_create("buf");

	tcase_add_test(tc, grows_and_detaches);
	tcase_add_loop_test(tc, encodes_uris, 0, sizeof(uris) / sizeof(uris[0]));
	tcase_add_test(tc, quotes_for_one_line);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
