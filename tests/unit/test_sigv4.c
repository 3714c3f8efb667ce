/* Signatures against what AWS publishes: the examples of S3's API reference, and the rows of
 * aws-sig-v4-test-suite that do not depend on the path being encoded twice or normalised,
 * which S3 does not do. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/xalloc.h"
#include "src/store/sigv4.h"
#include "unit.h"

struct vector {
	const char *name;
	struct sigv4_request request;
	const char *signed_headers, *signature;
};

#define HEADERS(...)                                                           \
	.headers = (const struct sigv4_header[]){__VA_ARGS__},                 \
	.header_count = sizeof((const struct sigv4_header[]){__VA_ARGS__}) /   \
	                sizeof(struct sigv4_header)

/* ---- the S3 API reference ---- */

#define S3_COMMON                                                              \
	{"host", "examplebucket.s3.amazonaws.com"}, {"x-amz-date", "20130524T000000Z"}
#define EMPTY_HASH {"x-amz-content-sha256", SIGV4_EMPTY_PAYLOAD}
#define WELCOME "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"

static const struct vector s3_examples[] = {
        {
                "GET object, ranged",
                {"GET", "/test.txt", "", HEADERS(S3_COMMON, EMPTY_HASH, {"range", "bytes=0-9"}),
                 SIGV4_EMPTY_PAYLOAD},
                "host;range;x-amz-content-sha256;x-amz-date",
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        },
        {
                "PUT object",
                {"PUT", "/test%24file.text", "",
                 HEADERS(S3_COMMON, {"date", "Fri, 24 May 2013 00:00:00 GMT"},
                         {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                         {"x-amz-content-sha256", WELCOME}),
                 WELCOME},
                "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        },
        {
                "GET bucket lifecycle",
                {"GET", "/", "lifecycle", HEADERS(S3_COMMON, EMPTY_HASH), SIGV4_EMPTY_PAYLOAD},
                "host;x-amz-content-sha256;x-amz-date",
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        },
        {
                "GET bucket, list objects",
                {"GET", "/", "prefix=J&max-keys=2", HEADERS(S3_COMMON, EMPTY_HASH),
                 SIGV4_EMPTY_PAYLOAD},
                "host;x-amz-content-sha256;x-amz-date",
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        },
};

/* Holds us to the Authorization header of a vector. */
static void expect_signature(const struct vector *v, const char *id, const char *secret,
                             const char *time, const char *service)
{
	struct buf expected = BUF_INIT, got = BUF_INIT;
	struct sigv4_key key;

	ck_assert_int_eq(sigv4_derive_key(secret, time, "us-east-1", service, &key), 0);
	sigv4_authorize(&v->request, &key, id, time, &got);
	buf_addf(&expected,
	         "AWS4-HMAC-SHA256 Credential=%s/%.8s/us-east-1/%s/aws4_request, "
	         "SignedHeaders=%s, Signature=%s",
	         id, time, service, v->signed_headers, v->signature);
	ck_assert_msg(strcmp(got.data, expected.data) == 0, "%s: %s", v->name, got.data);
	buf_release(&expected);
	buf_release(&got);
}

START_TEST(s3_examples_of_the_reference)
{
	expect_signature(&s3_examples[_i], "AKIAIOSFODNN7EXAMPLE",
	                 "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524T000000Z", "s3");
}
END_TEST

/* ---- aws-sig-v4-test-suite ---- */

#define SUITE_COMMON {"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}
#define ALNUM "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define TOKEN                                                                                     \
	"AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRX"   \
	"mxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburE"   \
	"Dy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL"   \
	"64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

static const struct vector suite_rows[] = {
        {"get-vanilla",
         {"GET", "/", "", HEADERS(SUITE_COMMON), SIGV4_EMPTY_PAYLOAD},
         "host;x-amz-date",
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {"get-unreserved",
         {"GET", "/-._~" ALNUM, "", HEADERS(SUITE_COMMON), SIGV4_EMPTY_PAYLOAD},
         "host;x-amz-date",
         "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
        {"get-utf8",
         {"GET", "/%E1%88%B4", "", HEADERS(SUITE_COMMON), SIGV4_EMPTY_PAYLOAD},
         "host;x-amz-date",
         "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
        {"get-vanilla-empty-query-key",
         {"GET", "/", "Param1=value1", HEADERS(SUITE_COMMON), SIGV4_EMPTY_PAYLOAD},
         "host;x-amz-date",
         "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
        {"get-vanilla-query-order-key-case",
         {"GET", "/", "Param2=value2&Param1=value1", HEADERS(SUITE_COMMON), SIGV4_EMPTY_PAYLOAD},
         "host;x-amz-date",
         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
        {"get-vanilla-query-unreserved",
         {"GET", "/", "-._~" ALNUM "=-._~" ALNUM, HEADERS(SUITE_COMMON), SIGV4_EMPTY_PAYLOAD},
         "host;x-amz-date",
         "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
        {"get-vanilla-utf8-query",
         {"GET", "/", "%E1%88%B4=bar", HEADERS(SUITE_COMMON), SIGV4_EMPTY_PAYLOAD},
         "host;x-amz-date",
         "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
        {"get-header-value-trim",
         {"GET", "/", "",
          HEADERS(SUITE_COMMON, {"my-header1", " value1"}, {"my-header2", " \"a   b   c\" "}),
          SIGV4_EMPTY_PAYLOAD},
         "host;my-header1;my-header2;x-amz-date",
         "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
        {"post-header-key-sort",
         {"POST", "/", "", HEADERS(SUITE_COMMON, {"my-header1", "value1"}), SIGV4_EMPTY_PAYLOAD},
         "host;my-header1;x-amz-date",
         "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
        {"post-header-value-case",
         {"POST", "/", "", HEADERS(SUITE_COMMON, {"my-header1", "VALUE1"}), SIGV4_EMPTY_PAYLOAD},
         "host;my-header1;x-amz-date",
         "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
        {"post-sts-header-before",
         {"POST", "/", "", HEADERS(SUITE_COMMON, {"x-amz-security-token", TOKEN}),
          SIGV4_EMPTY_PAYLOAD},
         "host;x-amz-date;x-amz-security-token",
         "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
        {"post-vanilla",
         {"POST", "/", "", HEADERS(SUITE_COMMON), SIGV4_EMPTY_PAYLOAD},
         "host;x-amz-date",
         "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
        {"post-vanilla-query",
         {"POST", "/", "Param1=value1", HEADERS(SUITE_COMMON), SIGV4_EMPTY_PAYLOAD},
         "host;x-amz-date",
         "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
        {"post-x-www-form-urlencoded, the body Param1=value1",
         {"POST", "/", "",
          HEADERS(SUITE_COMMON, {"content-type", "application/x-www-form-urlencoded"}),
          "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"},
         "content-type;host;x-amz-date",
         "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
};

START_TEST(rows_of_the_test_suite)
{
	expect_signature(&suite_rows[_i], "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
	                 "20150830T123600Z", "service");
}
END_TEST

/* ---- our own ---- */

/* A name that continues with a byte below '=' sorts behind the shorter name all the same. */
START_TEST(orders_parameters_by_name_then_value)
{
	const struct sigv4_header host[] = {{"host", "h"}};
	struct buf out = BUF_INIT, headers = BUF_INIT;

	sigv4_canonical_request(&(struct sigv4_request){"GET", "/", "a-b=1&a=2&a=1&&b&a%2F=", host, 1,
	                                                SIGV4_UNSIGNED_PAYLOAD},
	                        &out, &headers);
	ck_assert_str_eq(out.data, "GET\n/\na=1&a=2&a%2F=&a-b=1&b=\nhost:h\n\nhost\n"
	                           "UNSIGNED-PAYLOAD");
	buf_release(&out);
	buf_release(&headers);
}
END_TEST

/* The query of a redirect is what a server likes to write there. */
START_TEST(takes_any_number_of_parameters)
{
	const struct sigv4_header host[] = {{"host", "h"}};
	struct buf out = BUF_INIT, headers = BUF_INIT, query = BUF_INIT, sorted = BUF_INIT;

	for (int i = 0; i < 1000; i++) {
		buf_addf(&query, "%sp%03d", i ? "&" : "", 999 - i);
		buf_addf(&sorted, "%sp%03d=", i ? "&" : "", i);
	}
	sigv4_canonical_request(&(struct sigv4_request){"GET", "/", query.data, host, 1,
	                                                SIGV4_UNSIGNED_PAYLOAD},
	                        &out, &headers);
	ck_assert_ptr_nonnull(strstr(out.data, sorted.data));
	buf_release(&out);
	buf_release(&headers);
	buf_release(&query);
	buf_release(&sorted);
}
END_TEST

START_TEST(formats_dates)
{
	char date[SIGV4_DATE_SIZE];

	sigv4_format_date(1369353600ll * (int64_t)NS_PER_SECOND + 999999999, date);
	ck_assert_str_eq(date, "20130524T000000Z");
	sigv4_format_date(1709251199ll * (int64_t)NS_PER_SECOND, date);
	ck_assert_str_eq(date, "20240229T235959Z");
}
END_TEST

START_TEST(refuses_a_region_that_is_too_long)
{
	struct sigv4_key key;
	char region[100];

	memset(region, 'r', sizeof(region) - 1);
	region[sizeof(region) - 1] = '\0';
	ck_assert_int_eq(sigv4_derive_key("secret", "20130524T000000Z", region, "s3", &key), -EINVAL);
}
END_TEST

/* Whatever changed, the cache gives what deriving afresh gives. */
START_TEST(cache_notices_every_change)
{
	static const struct {
		const char *secret, *date, *region;
	} steps[] = {
	        {"one", "20240101T000000Z", "us-east-1"},
	        {"one", "20240101T235959Z", "us-east-1"},
	        {"one", "20240102T000000Z", "us-east-1"},
	        {"one", "20240102T000000Z", "eu-central-1"},
	        {"two", "20240102T000000Z", "eu-central-1"},
	        {"one", "20240102T000000Z", "eu-central-1"},
	};
	struct sigv4_cache cache;

	sigv4_cache_init(&cache);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct sigv4_key cached, fresh;

		ck_assert_int_eq(sigv4_cache_get(&cache, steps[i].secret, steps[i].date,
		                                 steps[i].region, "s3", &cached),
		                 0);
		sigv4_derive_key(steps[i].secret, steps[i].date, steps[i].region, "s3", &fresh);
		ck_assert_str_eq(cached.day, fresh.day);
		ck_assert_str_eq(cached.region, fresh.region);
		ck_assert_mem_eq(cached.secret, fresh.secret, sizeof(fresh.secret));
	}
	sigv4_cache_release(&cache);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sigv4");
	TCase *tc = tcase_create("sigv4");

	tcase_add_loop_test(tc, s3_examples_of_the_reference, 0, ARRAY_SIZE(s3_examples));
	tcase_add_loop_test(tc, rows_of_the_test_suite, 0, ARRAY_SIZE(suite_rows));
	tcase_add_test(tc, orders_parameters_by_name_then_value);
	tcase_add_test(tc, takes_any_number_of_parameters);
	tcase_add_test(tc, formats_dates);
	tcase_add_test(tc, refuses_a_region_that_is_too_long);
	tcase_add_test(tc, cache_notices_every_change);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
