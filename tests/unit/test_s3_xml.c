/* Listings and errors as AWS, radosgw, minio and versitygw write them, and as nobody should. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"
#include "src/store/s3_xml.h"
#include "unit.h"

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define NAMESPACE " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

static int parse_below(const char *prefix, const char *body, struct store_list *out)
{
	struct list_page page;
	int result;

	memset(out, 0, sizeof(*out));
	list_page_init(&page);
	result = s3_xml_parse_list(body, strlen(body), prefix, &page);
	if (!result)
		list_page_finish(&page, out, true);
	else
		list_page_release(&page);
	return result;
}

static int parse(const char *body, struct store_list *out)
{
	return parse_below("", body, out);
}

static void release(struct store_list *l)
{
	free(l->entries);
	free(l->memory);
	free(l->next_continuation);
}

START_TEST(reads_what_aws_writes)
{
	struct store_list l;
	const struct store_attr *a;

	ck_assert_int_eq(
	        parse(HEAD
	              "<ListBucketResult" NAMESPACE ">"
	              "<Name>data</Name><Prefix>a/</Prefix><NextContinuationToken>1ueGcxLPRx1Tr/"
	              "XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</NextContinuationToken><KeyCount>3</KeyCount>"
	              "<MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter><EncodingType>url</EncodingType>"
	              "<IsTruncated>true</IsTruncated>"
	              "<Contents><Key>a/z+x.bin</Key><LastModified>2024-02-29T17:50:30.123Z</LastModified>"
	              "<ETag>&quot;fba9dede5f27731c9771645a39863328-3&quot;</ETag>"
	              "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><Size>434234</Size>"
	              "<Owner><ID>x</ID><DisplayName>Key</DisplayName></Owner>"
	              "<StorageClass>STANDARD_IA</StorageClass></Contents>"
	              "<Contents><Key>a/b%2Bc</Key><LastModified>2024-02-29T17:50:30.000Z</LastModified>"
	              "<ETag>&quot;fba9dede5f27731c9771645a39863328&quot;</ETag><Size>0</Size></Contents>"
	              "<CommonPrefixes><Prefix>a/c/</Prefix></CommonPrefixes>"
	              "</ListBucketResult>",
	              &l),
	        0);
	ck_assert_uint_eq(l.entry_count, 3);
	ck_assert_uint_eq(l.unusable, 0);
	ck_assert_str_eq(l.next_continuation, "1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=");

	ck_assert_str_eq(l.entries[0].key, "a/b+c");
	ck_assert_uint_eq(l.entries[0].key_length, 5);
	ck_assert_uint_eq(l.entries[0].attr.size, 0);
	ck_assert(!l.entries[0].attr.size_unknown);
	ck_assert_str_eq(l.entries[1].key, "a/c/");
	ck_assert(l.entries[1].attr.is_prefix);
	ck_assert_str_eq(l.entries[2].key, "a/z x.bin");
	a = &l.entries[2].attr;
	ck_assert(!a->is_prefix);
	ck_assert_uint_eq(a->size, 434234);
	ck_assert_str_eq(a->etag, "\"fba9dede5f27731c9771645a39863328-3\"");
	ck_assert_str_eq(a->storage_class, "STANDARD_IA");
	ck_assert_int_eq(a->mtime_ns, 1709229030123000000ll);
	release(&l);
}
END_TEST

/* How a key is written, and which key it is. */
static const struct {
	const char *encoding, *keys[2], *decoded[2];
} spellings[] = {
        {"url", {"one+two", "c%2B%2B"}, {"one two", "c++"}},
        /* A server that writes %20 may leave a plus alone. */
        {"url", {"one%20two", "x+c"}, {"one two", "x+c"}},
        {"url", {"%e2%82%ac", "%E2%82%AC2"}, {"\xe2\x82\xac", "\xe2\x82\xac" "2"}},
        {"url", {"100%", "100%zz"}, {"100%", "100%zz"}},
        {"url", {"%01", "%FF%FE"}, {"\x01", "\xff\xfe"}},
        {"url", {"%2525", "%3C%26%3E"}, {"%25", "<&>"}},
        {"", {"one%20two", "x+c"}, {"one%20two", "x+c"}},
        {"", {"&lt;&amp;&#x9;", " b "}, {"<&\t", " b "}},
};

START_TEST(decodes_keys)
{
	struct buf body = BUF_INIT;
	struct store_list l;

	/* The encoding stands behind the keys, as it may. */
	buf_adds(&body, "<ListBucketResult>");
	for (int i = 0; i < 2; i++)
		buf_addf(&body, "<Contents><Key>%s</Key><Size>1</Size></Contents>", spellings[_i].keys[i]);
	buf_addf(&body, "<EncodingType>%s</EncodingType></ListBucketResult>", spellings[_i].encoding);
	ck_assert_int_eq(parse(body.data, &l), 0);
	ck_assert_uint_eq(l.entry_count, 2);
	for (int i = 0; i < 2; i++) {
		const char *want = spellings[_i].decoded[i];

		ck_assert_msg(!strcmp(l.entries[0].key, want) || !strcmp(l.entries[1].key, want),
		              "%s is not %s or %s", want, l.entries[0].key, l.entries[1].key);
	}
	release(&l);
	buf_release(&body);
}
END_TEST

START_TEST(every_byte_round_trips)
{
	struct buf body = BUF_INIT;
	struct store_list l;

	buf_adds(&body, "<ListBucketResult><EncodingType>url</EncodingType>");
	for (int c = 1; c < 256; c++) {
		char key[3] = {'k', (char)c, 'x'};

		buf_adds(&body, "<Contents><Key>");
		buf_add_uri(&body, key, 3, 1);
		buf_adds(&body, "</Key><Size>1</Size></Contents>");
	}
	buf_adds(&body, "</ListBucketResult>");
	ck_assert_int_eq(parse(body.data, &l), 0);
	ck_assert_uint_eq(l.entry_count, 255);
	for (int c = 1; c < 256; c++) {
		ck_assert_uint_eq(l.entries[c - 1].key_length, 3);
		ck_assert_int_eq((unsigned char)l.entries[c - 1].key[1], c);
	}
	release(&l);
	buf_release(&body);
}
END_TEST

START_TEST(takes_references_that_xml_does_not_have)
{
	struct store_list l;

	/* As radosgw writes a token, and others a key that they do not encode. */
	ck_assert_int_eq(parse("<ListBucketResult><IsTruncated>true</IsTruncated>"
	                       "<Contents><Key>a&#x01;b</Key><Size>1</Size></Contents>"
	                       "<Contents><Key>c&#31;&#x9;&#x1F;&amp;&#65;</Key></Contents>"
	                       "<Contents><Key>n&#0;ul</Key></Contents>"
	                       "<Contents><Key>\xef\xb7\x8f</Key></Contents>"
	                       "<NextContinuationToken>&#x1;z&#x01;</NextContinuationToken>"
	                       "</ListBucketResult>",
	                       &l),
	                 0);
	ck_assert_uint_eq(l.entry_count, 3);
	ck_assert_str_eq(l.entries[0].key, "a\001b");
	ck_assert_str_eq(l.entries[1].key, "c\037\t\037&A");
	ck_assert_str_eq(l.entries[2].key, "\xef\xb7\x8f");
	ck_assert_uint_eq(l.unusable, 1);
	ck_assert_str_eq(l.next_continuation, "\001z\001");
	release(&l);
	ck_assert_int_eq(parse("<ListBucketResult><Key>&#;&#x;</Key></ListBucketResult>", &l), -EBADMSG);
	ck_assert_int_eq(parse("<ListBucketResult><Key>&#x1", &l), -EBADMSG);
	ck_assert_int_eq(parse("<ListBucketResult>&#x1g;</ListBucketResult>", &l), -EBADMSG);
}
END_TEST

START_TEST(counts_what_cannot_be_delivered)
{
	struct buf body = BUF_INIT;
	struct store_list l;

	buf_adds(&body, "<ListBucketResult><EncodingType>url</EncodingType>"
	                "<Contents><Key>a%00b</Key><Size>1</Size></Contents>"
	                "<Contents><Size>1</Size></Contents>"
	                "<Contents><Key></Key><Size>1</Size></Contents>"
	                "<CommonPrefixes><Prefix>no-slash</Prefix></CommonPrefixes>"
	                "<Contents><Key>");
	for (int i = 0; i < 9000; i++)
		buf_addc(&body, 'k');
	buf_adds(&body, "</Key><Size>1</Size></Contents>"
	                "<Contents><Key>good</Key><Size>x</Size></Contents></ListBucketResult>");
	ck_assert_int_eq(parse(body.data, &l), 0);
	ck_assert_uint_eq(l.entry_count, 1);
	ck_assert_uint_eq(l.unusable, 5);
	ck_assert_str_eq(l.entries[0].key, "good");
	ck_assert(l.entries[0].attr.size_unknown);
	release(&l);
	buf_release(&body);
}
END_TEST

START_TEST(delivers_nothing_from_elsewhere)
{
	struct store_list l;

	ck_assert_int_eq(parse_below("a b/",
	                             "<ListBucketResult><EncodingType>url</EncodingType>"
	                             "<Contents><Key>a+b/</Key></Contents>"
	                             "<Contents><Key>a+b/c</Key></Contents>"
	                             "<Contents><Key>a+b</Key></Contents>"
	                             "<Contents><Key>a+c/d</Key></Contents>"
	                             "<CommonPrefixes><Prefix>/</Prefix></CommonPrefixes></ListBucketResult>",
	                             &l),
	                 0);
	ck_assert_uint_eq(l.entry_count, 2);
	ck_assert_uint_eq(l.unusable, 3);
	ck_assert_str_eq(l.entries[1].key, "a b/c");
	release(&l);
}
END_TEST

static const struct {
	const char *written, *etag;
} etags[] = {
        {"&quot;abc&quot;", "\"abc\""},
        {"abc", "\"abc\""},
        {"W/&quot;abc&quot;", "W/\"abc\""},
        {"", ""},
        {"&quot;&quot;", ""},
        {"W/&quot;&quot;", ""},
        {"&quot;0123456789012345678901234567890123456789012345678901234567890123456789&quot;", ""},
};

START_TEST(quotes_etags)
{
	struct buf body = BUF_INIT;
	struct store_list l;

	buf_addf(&body, "<ListBucketResult><Contents><Key>k</Key><ETag>%s</ETag></Contents></ListBucketResult>",
	         etags[_i].written);
	ck_assert_int_eq(parse(body.data, &l), 0);
	ck_assert_str_eq(l.entries[0].attr.etag, etags[_i].etag);
	release(&l);
	buf_release(&body);
}
END_TEST

START_TEST(a_marker_is_a_prefix)
{
	struct store_list l;

	ck_assert_int_eq(parse("<ListBucketResult><Contents><Key>dir/</Key><Size>0</Size></Contents>"
	                       "<IsTruncated>false</IsTruncated></ListBucketResult>",
	                       &l),
	                 0);
	ck_assert(l.entries[0].attr.is_prefix);
	ck_assert_ptr_null(l.next_continuation);
	release(&l);
}
END_TEST

static const char *const no_listings[] = {
        "",
        "\n",
        "not found",
        "<html><body>404</body></html>",
        /* status 200, and failed all the same */
        HEAD "<Error><Code>InternalError</Code><Message>m</Message></Error>",
        /* cut off */
        "<ListBucketResult><Contents><Key>a</Key>",
        "<ListBucketResult><Contents><Key>a</Key></Contents>",
        "<ListBucketResult></ListBucketResult><ListBucketResult/>",
        /* more to come, but from where? */
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<ListBucketResult><IsTruncated>True</IsTruncated></ListBucketResult>",
        "<ListBucketResult><IsTruncated> 1\n</IsTruncated></ListBucketResult>",
        /* bombs */
        "<!DOCTYPE ListBucketResult><ListBucketResult/>",
        "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>"
        "<ListBucketResult><Contents><Key>&b;</Key></Contents></ListBucketResult>",
        "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><ListBucketResult/>",
        "<ListBucketResult><Contents><Key>&unknown;</Key></Contents></ListBucketResult>",
        /* 17 deep */
        "<ListBucketResult><b><c><d><e><f><g><h><i><j><k><l><m><n><o><p><q/></p></o></n></m></l>"
        "</k></j></i></h></g></f></e></d></c></b></ListBucketResult>",
        /* control bytes must come encoded */
        "<ListBucketResult><Contents><Key>\x01</Key></Contents></ListBucketResult>",
};

START_TEST(refuses_what_is_no_listing)
{
	struct store_list l;

	ck_assert_int_eq(parse(no_listings[_i], &l), -EBADMSG);
}
END_TEST

START_TEST(refuses_more_entries_than_the_limit)
{
	for (int extra = 0; extra < 2; extra++) {
		struct buf body = BUF_INIT;
		struct store_list l;

		buf_adds(&body, "<ListBucketResult>");
		for (int i = 0; i < S3_XML_MAX_ENTRIES + extra; i++)
			buf_addf(&body, "<Contents><Key>%05d</Key></Contents>", i);
		buf_adds(&body, "</ListBucketResult>");
		ck_assert_int_eq(parse(body.data, &l), extra ? -EBADMSG : 0);
		if (!extra)
			release(&l);
		buf_release(&body);
	}
}
END_TEST

START_TEST(reads_a_namespace_prefix)
{
	struct store_list l;

	ck_assert_int_eq(parse("<s3:ListBucketResult xmlns:s3=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
	                       "<s3:Contents><s3:Key>k</s3:Key></s3:Contents></s3:ListBucketResult>",
	                       &l),
	                 0);
	ck_assert_uint_eq(l.entry_count, 1);
	release(&l);
}
END_TEST

/* ---- errors ---- */

START_TEST(reads_errors)
{
	static const char body[] =
	        HEAD "<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is "
	             "malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'</Message>"
	             "<Region>eu-west-1</Region><Endpoint>data.s3-eu-west-1.amazonaws.com</Endpoint>"
	             "<RequestId>4442587FB7D0A2F9</RequestId><HostId>h</HostId></Error>";
	struct s3_error e;

	ck_assert_int_eq(s3_xml_parse_error(body, strlen(body), &e), 0);
	ck_assert_str_eq(e.code, "AuthorizationHeaderMalformed");
	ck_assert_str_eq(e.region, "eu-west-1");
	ck_assert_str_eq(e.endpoint, "data.s3-eu-west-1.amazonaws.com");
	ck_assert_str_eq(e.request_id, "4442587FB7D0A2F9");
}
END_TEST

START_TEST(keeps_what_stood_before_the_damage)
{
	static const char body[] = "<Error><Code>SlowDown</Code><Message>Please reduce your req";
	struct s3_error e;

	ck_assert_int_eq(s3_xml_parse_error(body, strlen(body), &e), -EBADMSG);
	ck_assert_str_eq(e.code, "SlowDown");
	ck_assert_str_eq(e.message, "");
}
END_TEST

START_TEST(cuts_long_texts)
{
	struct buf body = BUF_INIT;
	struct s3_error e;

	buf_adds(&body, "<Error><Code>");
	for (int i = 0; i < 500; i++)
		buf_addc(&body, 'c');
	buf_adds(&body, "</Code></Error>");
	ck_assert_int_eq(s3_xml_parse_error(body.data, body.length, &e), 0);
	ck_assert_uint_eq(strlen(e.code), sizeof(e.code) - 1);
	buf_release(&body);
}
END_TEST

START_TEST(no_error_is_said_so)
{
	static const char *const bodies[] = {"", "<html/>", "<Error></Error>", "<a><Error><Code>x</Code></Error></a>",
	                                     "<!DOCTYPE a [<!ENTITY c \"x\">]><Error><Code>&c;</Code></Error>"};
	struct s3_error e;

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		ck_assert_int_eq(s3_xml_parse_error(bodies[i], strlen(bodies[i]), &e), -EBADMSG);
		ck_assert_str_eq(e.code, "");
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("s3_xml");
	TCase *tc = tcase_create("s3_xml");

	tcase_add_test(tc, reads_what_aws_writes);
	tcase_add_loop_test(tc, decodes_keys, 0, ARRAY_SIZE(spellings));
	tcase_add_test(tc, every_byte_round_trips);
	tcase_add_test(tc, takes_references_that_xml_does_not_have);
	tcase_add_test(tc, counts_what_cannot_be_delivered);
	tcase_add_test(tc, delivers_nothing_from_elsewhere);
	tcase_add_loop_test(tc, quotes_etags, 0, ARRAY_SIZE(etags));
	tcase_add_test(tc, a_marker_is_a_prefix);
	tcase_add_loop_test(tc, refuses_what_is_no_listing, 0, ARRAY_SIZE(no_listings));
	tcase_add_test(tc, refuses_more_entries_than_the_limit);
	tcase_add_test(tc, reads_a_namespace_prefix);
	tcase_add_test(tc, reads_errors);
	tcase_add_test(tc, keeps_what_stood_before_the_damage);
	tcase_add_test(tc, cuts_long_texts);
	tcase_add_test(tc, no_error_is_said_so);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
