/* What the end of an object tells of its directory: archives made by hand, and damaged ones. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/buf.h"
#include "src/read/footer.h"

static void add_little(struct buf *b, uint64_t value, size_t n)
{
	for (; n--; value >>= 8)
		buf_addc(b, (char)value);
}

/* The records behind a zip's directory of that size; ZIP64 ones where `large`. */
static struct buf zip_end(uint64_t directory, bool large, size_t comment)
{
	struct buf b = BUF_INIT;

	if (large) {
		buf_add(&b, "PK\6\6", 4);
		add_little(&b, 44, 8);
		for (size_t i = 12; i < 40; i++)
			buf_addc(&b, 1);
		add_little(&b, directory, 8);
		add_little(&b, 12345, 8);
		buf_add(&b, "PK\6\7", 4);
		for (size_t i = 4; i < 20; i++)
			buf_addc(&b, 1);
	}
	buf_add(&b, "PK\5\6", 4);
	for (size_t i = 4; i < 12; i++)
		buf_addc(&b, 1);
	add_little(&b, large ? 0xffffffff : directory, 4);
	add_little(&b, large ? 0xffffffff : 12345, 4);
	add_little(&b, comment, 2);
	for (size_t i = 0; i < comment; i++)
		buf_addc(&b, 'c');
	return b;
}

static struct footer look(const struct buf *b, uint64_t size)
{
	return footer_find((const uint8_t *)b->data, b->length, size);
}

/* Loops over: a comment or none, ZIP64 records or none. */
START_TEST(a_zip_tells_where_its_directory_is)
{
	bool large = _i & 1;
	struct buf b = zip_end(5000, large, _i & 2 ? 77 : 0);
	struct footer f = look(&b, 1000000);

	ck_assert_int_eq(f.kind, FOOTER_ZIP);
	ck_assert_uint_eq(f.directory.end, 1000000 - b.length);
	ck_assert_uint_eq(range_length(f.directory), 5000);
	buf_release(&b);
}
END_TEST

/* A comment may hold what looks like an end record. */
START_TEST(the_record_that_reaches_the_end_counts)
{
	struct buf b = zip_end(5000, false, 60), inner = zip_end(77, false, 9);
	struct footer f;

	memcpy(b.data + b.length - 50, inner.data, inner.length);
	f = look(&b, 1000000);
	ck_assert_uint_eq(range_length(f.directory), 5000);
	buf_release(&b);
	buf_release(&inner);
}
END_TEST

START_TEST(parquet_tells_where_its_footer_is)
{
	struct buf b = BUF_INIT;
	struct footer f;

	add_little(&b, 3000, 4);
	buf_add(&b, "PAR1", 4);
	f = look(&b, 100000);
	ck_assert_int_eq(f.kind, FOOTER_PARQUET);
	ck_assert_uint_eq(f.directory.start, 100000 - 8 - 3000);
	ck_assert_uint_eq(f.directory.end, 100000 - 8);
	buf_release(&b);
}
END_TEST

START_TEST(what_cannot_be_is_not_believed)
{
	struct buf zip = zip_end(5000, false, 0), large = zip_end(1ull << 60, true, 0);
	struct buf record = BUF_INIT, parquet = BUF_INIT;

	/* Longer than the object, or nothing at all. */
	ck_assert_int_eq(look(&zip, 4000).kind, FOOTER_UNKNOWN);
	ck_assert_int_eq(look(&large, 1ull << 40).kind, FOOTER_UNKNOWN);
	add_little(&parquet, 0xfffffff0, 4);
	buf_add(&parquet, "PAR1", 4);
	ck_assert_int_eq(look(&parquet, 100000).kind, FOOTER_UNKNOWN);
	ck_assert_int_eq(footer_find((const uint8_t *)"", 0, 0).kind, FOOTER_UNKNOWN);
	/* ZIP64 records that are not among the bytes at hand. */
	buf_add(&record, large.data + large.length - 22, 22);
	ck_assert_int_eq(look(&record, 1000000).kind, FOOTER_UNKNOWN);
	/* Cut short. */
	zip.length--;
	ck_assert_int_eq(look(&zip, 1000000).kind, FOOTER_UNKNOWN);
	buf_release(&zip);
	buf_release(&large);
	buf_release(&record);
	buf_release(&parquet);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("footer");
	TCase *tc = tcase_create("footer");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, a_zip_tells_where_its_directory_is, 0, 4);
	tcase_add_test(tc, the_record_that_reaches_the_end_counts);
	tcase_add_test(tc, parquet_tells_where_its_footer_is);
	tcase_add_test(tc, what_cannot_be_is_not_believed);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
