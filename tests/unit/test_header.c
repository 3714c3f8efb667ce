/* Lines of an answer's headers, as a table. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"
#include "src/net/header.h"
#include "unit.h"

#define X31 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X124 X31 X31 X31 X31

static const struct {
	const char *line, *name, *value; /* name NULL: no header */
} lines[] = {
	{"ETag: \"a\"\r\n", "etag", "\"a\""},
	{"CONTENT-length:5\r\n", "content-length", "5"},
	{"x-a:  b: c \t \r\n", "x-a", "b: c"},
	{"x-a:\r\n", "x-a", ""},
	{"x-a: \t\r\n", "x-a", ""},
	{"x-a:b", "x-a", "b"},
	{"x-[\\]^_`{|}~\xc3\x84:b\r\n", "x-[\\]^_`{|}~\xc3\x84", "b"},
	{X124 "xxx: b\r\n", X124 "xxx", "b"},
	{X124 "xxxx: b\r\n", NULL, NULL},
	{": b\r\n", NULL, NULL},
	{"two words: b\r\n", NULL, NULL},
	{"before : b\r\n", NULL, NULL},
	{"no colon\r\n", NULL, NULL},
	{" folded: b\r\n", NULL, NULL},
	{"\tfolded: b\r\n", NULL, NULL},
	{"\r\n", NULL, NULL},
	{"", NULL, NULL},
};

START_TEST(splits_by_the_table)
{
	struct header h;
	size_t n = strlen(lines[_i].line);
	char *line = malloc(n + 1); /* of its very size, so that a sanitizer sees a step beyond */

	memcpy(line, lines[_i].line, n);
	line = realloc(line, n ? n : 1);
	ck_assert_int_eq(header_parse(line, n, &h), lines[_i].name != NULL);
	if (lines[_i].name) {
		ck_assert_str_eq(h.name, lines[_i].name);
		ck_assert_uint_eq(h.value_length, strlen(lines[_i].value));
		ck_assert_mem_eq(h.value, lines[_i].value, h.value_length);
	}
	free(line);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("header");
	TCase *tc = tcase_create("header");

	tcase_add_loop_test(tc, splits_by_the_table, 0, ARRAY_SIZE(lines));
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
