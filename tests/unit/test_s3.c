/* The S3 dialect without a network: sources, URLs, signatures, answers and sentences. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/xalloc.h"
#include "src/store/s3.h"
#include "unit.h"

/* Sunday, 24 May 2026, 12:00 UTC */
#define NOW_S 1779624000ll

static struct store_options options;
static struct dialect_source source;

static void set_up(void)
{
	static const char *const variables[] = {"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION",
	                                        "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
	                                        "AWS_ENDPOINT_URL_S3"};

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		unsetenv(variables[i]);
	setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
	options = (struct store_options){.region = NULL};
	source = (struct dialect_source){.config = NULL};
}

static void forget(void)
{
	s3_release(source.config);
	free(source.display);
	free(source.root);
	free(source.identity);
	free(source.region);
	source = (struct dialect_source){.config = NULL};
}

static int configure(const char *name, struct buf *error)
{
	struct store_config config = {.source = name, .options = &options, .clock = &clock_system};

	forget();
	return dialect_s3.configure(&config, &source, error);
}

static const struct s3_config *configured(const char *name, const char *endpoint)
{
	struct buf error = BUF_INIT;
	char *endpoints[] = {(char *)(uintptr_t)endpoint, NULL};

	options.endpoints = endpoint ? endpoints : NULL;
	ck_assert_msg(configure(name, &error) == 0, "%s", error.data);
	options.endpoints = NULL;
	buf_release(&error);
	return source.config;
}

/* ---- sources ---- */

static const struct {
	const char *name, *display, *root;
} sources[] = {
        {"s3://data", "s3://data", ""},
        {"s3://data/", "s3://data", ""},
        {"s3://data/a/b", "s3://data/a/b", "a/b/"},
        {"s3://data/a/b/", "s3://data/a/b", "a/b/"},
        {"s3://data/a b%20", "s3://data/a b%20", "a b%20/"},
        {"s3://My_Bucket", "s3://My_Bucket", ""},
        {"s3://tenant:data/x", "s3://tenant:data/x", "x/"},
};

START_TEST(takes_sources_apart)
{
	configured(sources[_i].name, NULL);
	ck_assert_str_eq(source.display, sources[_i].display);
	ck_assert_str_eq(source.root, sources[_i].root);
	ck_assert_str_eq(source.region, "us-east-1");
	ck_assert_uint_eq(source.endpoint_count, 1);
	ck_assert_uint_ne(source.capabilities & STORE_ORDERED_LIST, 0);
	forget();
}
END_TEST

static const struct {
	const char *name, *endpoint, *region;
	int addressing;
	const char *words;
} refused[] = {
        {"s3://", NULL, NULL, ADDRESSING_AUTO, "bucket's name is missing"},
        {"s3:///x", NULL, NULL, ADDRESSING_AUTO, "bucket's name is missing"},
        {"s3://a b", NULL, NULL, ADDRESSING_AUTO, "no bucket's name"},
        {"s3://..", NULL, NULL, ADDRESSING_AUTO, "no bucket's name"},
        {"s3://b?x=y", NULL, NULL, ADDRESSING_AUTO, "no bucket's name"},
        {"s3://data--usw2-az1--x-s3", NULL, NULL, ADDRESSING_AUTO, "directory bucket"},
        {"s3://data", "localhost:9000", NULL, ADDRESSING_AUTO, "https://host[:port]"},
        {"s3://data", "ftp://localhost", NULL, ADDRESSING_AUTO, "https://host[:port]"},
        {"s3://data", "http://h/?x", NULL, ADDRESSING_AUTO, "https://host[:port]"},
        {"s3://data", "http://key:geheim@h/", NULL, ADDRESSING_AUTO, "holds credentials"},
        {"s3://data", NULL, "evil.com/", ADDRESSING_AUTO, "no region's name"},
        {"s3://data", NULL, "", ADDRESSING_AUTO, "no region's name"},
        {"s3://data", "http://127.0.0.1:1", NULL, ADDRESSING_VIRTUAL, "addressing=path"},
        {"s3://data", "http://[::1]:1", NULL, ADDRESSING_VIRTUAL, "addressing=path"},
        {"s3://Data_1", NULL, NULL, ADDRESSING_VIRTUAL, "addressing=path"},
};

START_TEST(refuses_with_a_sentence)
{
	struct buf error = BUF_INIT;
	char *endpoints[] = {(char *)(uintptr_t)refused[_i].endpoint, NULL};

	options.endpoints = refused[_i].endpoint ? endpoints : NULL;
	options.region = refused[_i].region;
	options.addressing = refused[_i].addressing;
	ck_assert_int_eq(configure(refused[_i].name, &error), -EINVAL);
	ck_assert_msg(strstr(error.data, refused[_i].words) != NULL, "%s", error.data);
	ck_assert_ptr_null(strstr(error.data, "geheim"));
	ck_assert_ptr_null(strchr(error.data, '\n'));
	buf_release(&error);
	forget();
}
END_TEST

START_TEST(settings_come_from_the_environment)
{
	setenv("AWS_REGION", "eu-west-1", 1);
	setenv("AWS_ENDPOINT_URL_S3", "http://localhost:9000/", 1);
	configured("s3://data", NULL);
	ck_assert_str_eq(source.region, "eu-west-1");
	ck_assert_str_eq(source.identity, "s3 http://localhost:9000 data");
	options.region = "eu-west-2";
	configured("s3://data", "http://LOCALHOST:9001//");
	ck_assert_str_eq(source.region, "eu-west-2");
	ck_assert_str_eq(source.identity, "s3 http://localhost:9001 data");
	forget();
}
END_TEST

START_TEST(several_endpoints_are_one_bucket)
{
	char *endpoints[] = {(char *)"http://a:1", (char *)"http://b:2", NULL};
	struct buf error = BUF_INIT, url = BUF_INIT;

	options.endpoints = endpoints;
	ck_assert_int_eq(configure("s3://data", &error), 0);
	ck_assert_uint_eq(source.endpoint_count, 2);
	dialect_s3.endpoint(source.config, 1, "any", &url);
	ck_assert_str_eq(url.data, "http://b:2");
	buf_release(&url);
	buf_release(&error);
	forget();
}
END_TEST

/* ---- URLs ---- */

static const struct {
	const char *bucket, *endpoint, *region;
	int addressing;
	const char *url;
} addresses[] = {
        {"data", NULL, "us-east-1", ADDRESSING_AUTO, "https://data.s3.us-east-1.amazonaws.com/k"},
        {"data", NULL, "cn-north-1", ADDRESSING_AUTO, "https://data.s3.cn-north-1.amazonaws.com.cn/k"},
        {"data", NULL, "eu-west-1", ADDRESSING_PATH, "https://s3.eu-west-1.amazonaws.com/data/k"},
        {"my.data", NULL, "eu-west-1", ADDRESSING_AUTO, "https://s3.eu-west-1.amazonaws.com/my.data/k"},
        {"my.data", NULL, "eu-west-1", ADDRESSING_VIRTUAL, "https://my.data.s3.eu-west-1.amazonaws.com/k"},
        {"My_Data", NULL, "us-east-1", ADDRESSING_AUTO, "https://s3.us-east-1.amazonaws.com/My_Data/k"},
        {"data", "https://s3.eu-west-3.amazonaws.com", NULL, ADDRESSING_AUTO,
         "https://data.s3.eu-west-3.amazonaws.com/k"},
        {"data", "http://localhost:7480", NULL, ADDRESSING_AUTO, "http://localhost:7480/data/k"},
        {"data", "http://localhost:7480", NULL, ADDRESSING_VIRTUAL, "http://data.localhost:7480/k"},
        {"data", "http://127.0.0.1:80/s3/", NULL, ADDRESSING_AUTO, "http://127.0.0.1:80/s3/data/k"},
        {"data", "http://[::1]:80", NULL, ADDRESSING_AUTO, "http://[::1]:80/data/k"},
        {"t:data", "http://h", NULL, ADDRESSING_AUTO, "http://h/t%3Adata/k"},
};

static void build(const struct dialect_call *call, struct dialect_request *r)
{
	struct buf endpoint = BUF_INIT;

	dialect_request_init(r);
	dialect_s3.endpoint(source.config, 0, source.region, &endpoint);
	ck_assert_int_eq(dialect_s3.build(source.config, call, endpoint.data, r), 0);
	buf_release(&endpoint);
}

START_TEST(addresses_buckets)
{
	struct dialect_request r;
	char *name = xasprintf("s3://%s", addresses[_i].bucket);

	options.region = addresses[_i].region;
	options.addressing = addresses[_i].addressing;
	configured(name, addresses[_i].endpoint);
	build(&(struct dialect_call){.op = DIALECT_HEAD, .key = "k"}, &r);
	ck_assert_str_eq(r.url.data, addresses[_i].url);
	ck_assert_int_eq(r.method, NET_HEAD);
	dialect_request_release(&r);
	free(name);
	forget();
}
END_TEST

START_TEST(region_is_read_from_aws_hosts)
{
	static const struct {
		const char *host, *region;
	} hosts[] = {
	        {"s3.amazonaws.com", NULL},
	        {"data.s3.amazonaws.com", NULL},
	        {"s3-external-1.amazonaws.com", NULL},
	        {"data.s3-accelerate.amazonaws.com", NULL},
	        {"s3.eu-west-1.amazonaws.com", "eu-west-1"},
	        {"data.s3.eu-west-1.amazonaws.com", "eu-west-1"},
	        {"data.s3-eu-west-1.amazonaws.com", "eu-west-1"},
	        {"s3.dualstack.us-west-2.amazonaws.com", "us-west-2"},
	        {"s3-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"},
	        {"s3.cn-north-1.amazonaws.com.cn", "cn-north-1"},
	        {"s3.eu-west-1.amazonaws.com.evil.com", NULL},
	        {"ec2-1-2-3-4.compute-1.amazonaws.com", NULL},
	        {"", NULL},
	};
	char region[40];

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		bool found = s3_region_of_host(hosts[i].host, strlen(hosts[i].host), region);

		ck_assert_msg(found == (hosts[i].region != NULL), "%s", hosts[i].host);
		if (found)
			ck_assert_str_eq(region, hosts[i].region);
	}
}
END_TEST

/* ---- requests ---- */

START_TEST(keys_are_encoded_once)
{
	struct dialect_request r;

	configured("s3://data", "http://h");
	build(&(struct dialect_call){.op = DIALECT_HEAD, .key = "/a b/../\xc3\xa4+%20?#&=\x01~"}, &r);
	ck_assert_str_eq(r.url.data, "http://h/data//a%20b/../%C3%A4%2B%2520%3F%23%26%3D%01~");
	dialect_request_release(&r);
	forget();
}
END_TEST

START_TEST(a_get_carries_its_version)
{
	struct store_attr version = {.etag = "\"e-2\""};
	struct dialect_call call = {.op = DIALECT_GET, .key = "k", .offset = 5, .length = 10,
	                            .version = &version};
	struct dialect_request r;

	configured("s3://data", "http://h");
	build(&call, &r);
	ck_assert_str_eq(r.url.data, "http://h/data/k");
	ck_assert_str_eq(dialect_request_find(&r, "Range"), "bytes=5-14");
	ck_assert_str_eq(dialect_request_find(&r, "If-Match"), "\"e-2\"");
	dialect_request_release(&r);

	strcpy(version.version, "a/b+c");
	build(&call, &r);
	ck_assert_str_eq(r.url.data, "http://h/data/k?versionId=a%2Fb%2Bc");
	dialect_request_release(&r);

	/* A weak tag would never match. */
	strcpy(version.etag, "W/\"e\"");
	version.version[0] = '\0';
	build(&call, &r);
	ck_assert_ptr_null(dialect_request_find(&r, "If-Match"));
	dialect_request_release(&r);

	call.version = NULL;
	call.offset = UINT64_MAX / 2;
	call.length = 1;
	build(&call, &r);
	ck_assert_str_eq(dialect_request_find(&r, "Range"),
	                 "bytes=9223372036854775807-9223372036854775807");
	ck_assert_ptr_null(dialect_request_find(&r, "If-Match"));
	dialect_request_release(&r);
	forget();
}
END_TEST

static const struct {
	struct dialect_call call;
	const char *query;
} lists[] = {
        {{.op = DIALECT_LIST, .prefix = ""}, ""},
        {{.op = DIALECT_LIST, .prefix = "a b/", .delimited = true}, "&delimiter=%2F&prefix=a%20b%2F"},
        {{.op = DIALECT_LIST, .prefix = "", .start_after = "m&n"}, "&start-after=m%26n"},
        {{.op = DIALECT_LIST, .prefix = "p/", .start_after = "p/m", .continuation = "t+/="},
         "&prefix=p%2F&continuation-token=t%2B%2F%3D"},
};

START_TEST(a_list_asks_for_a_page)
{
	struct dialect_request r;
	struct buf want = BUF_INIT;

	configured("s3://data", "http://h");
	build(&lists[_i].call, &r);
	buf_addf(&want, "http://h/data/?list-type=2&encoding-type=url&max-keys=1000%s", lists[_i].query);
	ck_assert_str_eq(r.url.data, want.data);
	ck_assert_int_eq(r.method, NET_GET);
	buf_release(&want);
	dialect_request_release(&r);
	forget();
}
END_TEST

/* ---- signing ---- */

static struct dialect_credentials *example_credentials(const char *token)
{
	return dialect_credentials_create("AKIAIOSFODNN7EXAMPLE",
	                                  "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", token,
	                                  "AWS_ACCESS_KEY_ID", INT64_MAX);
}

/* The lifecycle and list examples of S3's reference, as a request of ours; their signed headers
 * are the ones that we sign. */
START_TEST(signs_like_the_reference)
{
	static const struct {
		const char *url, *signature;
	} examples[] = {
	        {"https://examplebucket.s3.amazonaws.com/?lifecycle",
	         "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
	        {"https://examplebucket.s3.amazonaws.com:443/?max-keys=2&prefix=J",
	         "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
	};
	struct dialect_session session = {example_credentials(NULL), "us-east-1",
	                                  1369353600ll * (int64_t)NS_PER_SECOND};

	configured("s3://examplebucket", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		struct dialect_request r;

		dialect_request_init(&r);
		buf_adds(&r.url, examples[i].url);
		/* Twice, as after a redirect. */
		dialect_s3.sign(source.config, &session, &r);
		dialect_s3.sign(source.config, &session, &r);
		ck_assert_uint_eq(r.header_count, 3);
		ck_assert_ptr_nonnull(strstr(dialect_request_find(&r, "Authorization"),
		                             examples[i].signature));
		ck_assert_str_eq(dialect_request_find(&r, "x-amz-date"), "20130524T000000Z");
		dialect_request_release(&r);
	}
	dialect_credentials_unref((struct dialect_credentials *)(uintptr_t)session.credentials);
	forget();
}
END_TEST

START_TEST(tokens_and_bodies_are_signed)
{
	struct dialect_session session = {example_credentials("token"), "eu-west-1",
	                                  NOW_S * (int64_t)NS_PER_SECOND};
	struct dialect_request r;

	configured("s3://data", "http://h");
	dialect_request_init(&r);
	r.method = NET_POST;
	buf_adds(&r.url, "http://h/data/k");
	buf_adds(&r.body, "Welcome to Amazon S3.");
	dialect_request_header(&r, "Content-Type", "%s", "text/plain");
	dialect_request_header(&r, "Range", "%s", "bytes=0-1");
	dialect_s3.sign(source.config, &session, &r);
	ck_assert_str_eq(dialect_request_find(&r, "x-amz-security-token"), "token");
	ck_assert_str_eq(dialect_request_find(&r, "x-amz-content-sha256"),
	                 "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
	ck_assert_ptr_nonnull(strstr(dialect_request_find(&r, "Authorization"),
	                             "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;"
	                             "x-amz-security-token,"));
	ck_assert_ptr_nonnull(strstr(dialect_request_find(&r, "Authorization"),
	                             "/20260524/eu-west-1/s3/aws4_request"));
	/* Over TLS the body goes unhashed. */
	buf_reset(&r.url);
	buf_adds(&r.url, "https://h/data/k");
	dialect_s3.sign(source.config, &session, &r);
	ck_assert_str_eq(dialect_request_find(&r, "x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
	dialect_request_release(&r);
	dialect_credentials_unref((struct dialect_credentials *)(uintptr_t)session.credentials);
	forget();
}
END_TEST

START_TEST(anonymous_requests_are_bare)
{
	struct dialect_session session = {NULL, "us-east-1", 0};
	struct dialect_credentials *c;
	struct dialect_request r;
	struct buf error = BUF_INIT;

	options.no_sign = true;
	configured("s3://data", NULL);
	ck_assert_int_eq(dialect_s3.credentials(source.config, &c, &error), 0);
	ck_assert_ptr_null(c);
	build(&(struct dialect_call){.op = DIALECT_HEAD, .key = "k"}, &r);
	dialect_s3.sign(source.config, &session, &r);
	ck_assert_uint_eq(r.header_count, 0);
	dialect_request_release(&r);
	buf_release(&error);
	forget();
}
END_TEST

START_TEST(missing_credentials_name_the_bucket)
{
	struct dialect_credentials *c;
	struct buf error = BUF_INIT;

	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	configured("s3://data", NULL);
	ck_assert_int_eq(dialect_s3.credentials(source.config, &c, &error), -EACCES);
	ck_assert_ptr_eq(strstr(error.data, "s3://data: no credentials: "), error.data);
	buf_release(&error);
	forget();
}
END_TEST

static const struct {
	const char *endpoint, *url;
	bool trusted;
} trust[] = {
        {NULL, "https://data.s3.eu-west-1.amazonaws.com/k", true},
        {NULL, "https://s3-eu-west-1.amazonaws.com/data/k", true},
        {NULL, "http://data.s3.eu-west-1.amazonaws.com/k", false},
        {NULL, "https://ec2-1-2-3-4.compute-1.amazonaws.com/k", false},
        {NULL, "https://s3.amazonaws.com.evil.com/", false},
        {NULL, "https://s3-mine-1.us-east-1.elb.amazonaws.com/", false},
        {NULL, "https://s3.x.us-east-1.rds.amazonaws.com/", false},
        {NULL, "https://xs3.us-east-1.amazonaws.com/", false},
        {NULL, "https://amazonaws.com/", false},
        {NULL, "https://s3.amazonaws.com/data/k", true},
        {NULL, "https://my.s3-data.s3.eu-west-1.amazonaws.com/k", true},
        {NULL, "https://s3-data.elb.S3.eu-west-1.amazonaws.com/k", true},
        {NULL, "https://data.s3.dualstack.eu-west-1.amazonaws.com/k", true},
        {NULL, "https://data.s3-accelerate.dualstack.amazonaws.com/k", true},
        {NULL, "https://bucket.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com/data/k", true},
        {NULL, "https://data.s3.cn-north-1.amazonaws.com.cn/k", true},
        {NULL, "https://user@s3.amazonaws.com/", false},
        {"http://127.0.0.1:7480", "http://127.0.0.1:7480/x", true},
        {"http://127.0.0.1:7480", "http://127.0.0.1:7481/x", false},
        {"http://127.0.0.1:7480", "https://127.0.0.1:7480/x", false},
        {"http://127.0.0.1:7480", "http://localhost:7480/x", false},
        {"http://minio.lan", "https://minio.lan/data/k", true},
        {"http://minio.lan:80", "https://minio.lan:443/data/k", true},
        {"http://minio.lan", "https://minio.lan:9000/data/k", false},
        {"http://minio.lan:9000", "https://minio.lan/data/k", false},
        {"http://minio.lan", "https://other.lan/data/k", false},
        {"https://minio.lan", "https://data.minio.lan/k", true},
        {"https://minio.lan", "https://other.minio.lan/k", false},
        {"https://minio.lan", "http://minio.lan/k", false},
        {"https://minio.lan", "https://s3.us-east-1.amazonaws.com/k", false},
        {"https://minio.lan", "nonsense", false},
};

START_TEST(trusts_its_own_hosts_only)
{
	configured("s3://data", trust[_i].endpoint);
	ck_assert_int_eq(dialect_s3.trusts(source.config, trust[_i].url), trust[_i].trusted);
	forget();
}
END_TEST

/* ---- answers ---- */

static void header(struct dialect_answer *a, const char *name, const char *value)
{
	dialect_s3.header(source.config, a, name, value, strlen(value));
}

START_TEST(headers_tell)
{
	struct dialect_answer a;

	configured("s3://data", NULL);
	dialect_answer_init(&a);
	header(&a, "x-amz-id-2", "extended");
	header(&a, "x-amz-request-id", "REQUEST");
	header(&a, "x-amz-bucket-region", "eu-west-1");
	header(&a, "x-amz-version-id", "v1");
	header(&a, "x-amz-storage-class", "GLACIER");
	header(&a, "x-amz-meta-version-id", "no");
	header(&a, "server", "AmazonS3");
	ck_assert_str_eq(a.request_id, "REQUEST extended");
	ck_assert_str_eq(a.region, "eu-west-1");
	ck_assert_str_eq(a.attr.version, "v1");
	ck_assert_str_eq(a.attr.storage_class, "GLACIER");

	dialect_answer_init(&a);
	header(&a, "x-amz-request-id", "tx00000e1b5c9fbd0b8c3a1-0067a5d2c3-5e29-default");
	header(&a, "x-amz-id-2",
	       "eftixk72aD6Ap51TnqcoF8eFidJG9Z/2mkiDFu8yU9AS1ed4OpIszj7UDNEHGran1234567890");
	header(&a, "x-amz-bucket-region", "evil.com/");
	header(&a, "x-amz-version-id", "null");
	ck_assert_str_eq(a.request_id, "tx00000e1b5c9fbd0b8c3a1-0067a5d2c3-5e29-default");
	ck_assert_str_eq(a.region, "");
	ck_assert_str_eq(a.attr.version, "");
	forget();
}
END_TEST

START_TEST(a_repeated_token_is_noticed)
{
	static const char body[] = "<ListBucketResult><IsTruncated>true</IsTruncated>"
	                           "<NextContinuationToken>t</NextContinuationToken></ListBucketResult>";
	struct dialect_call call = {.op = DIALECT_LIST, .prefix = ""};
	struct dialect_answer a;
	struct list_page page;
	const char *before[] = {NULL, "s", "t"};

	configured("s3://data", NULL);
	dialect_answer_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
		call.continuation = before[i];
		list_page_init(&page);
		ck_assert_int_eq(dialect_s3.parse_list(source.config, &call, &a, body, strlen(body), &page),
		                 i == 2 ? -ESTALE : 0);
		list_page_release(&page);
	}
	forget();
}
END_TEST

#define ERROR(code) "<Error><Code>" code "</Code><Message>words</Message></Error>"
#define L DIALECT_LIST
#define H DIALECT_HEAD
#define G DIALECT_GET

static const struct {
	enum dialect_op op;
	int status;
	const char *region, *location, *body;
	enum dialect_verdict verdict;
	const char *learnt;
} answers[] = {
        {G, 404, "", "", ERROR("NoSuchKey"), DIALECT_NOT_FOUND, ""},
        {H, 404, "", "", "", DIALECT_NOT_FOUND, ""},
        {L, 404, "", "", "", DIALECT_NO_BUCKET, ""},
        {L, 404, "", "", ERROR("NoSuchBucket"), DIALECT_NO_BUCKET, ""},
        {G, 404, "", "", ERROR("NoSuchBucket"), DIALECT_NO_BUCKET, ""},
        {G, 404, "", "", ERROR("NoSuchVersion"), DIALECT_CHANGED, ""},
        {G, 403, "", "", ERROR("AccessDenied"), DIALECT_DENIED, ""},
        {H, 403, "", "", "", DIALECT_DENIED, ""},
        {G, 403, "", "", ERROR("InvalidObjectState"), DIALECT_DENIED, ""},
        {G, 403, "", "", ERROR("SignatureDoesNotMatch"), DIALECT_EXPIRED, ""},
        {G, 403, "", "", ERROR("InvalidAccessKeyId"), DIALECT_EXPIRED, ""},
        {G, 400, "", "", ERROR("ExpiredToken"), DIALECT_EXPIRED, ""},
        {G, 400, "", "", ERROR("TokenRefreshRequired"), DIALECT_EXPIRED, ""},
        {H, 400, "", "", "", DIALECT_EXPIRED, ""},
        {G, 403, "", "", ERROR("RequestTimeTooSkewed"), DIALECT_CLOCK_SKEW, ""},
        {G, 400, "", "", ERROR("KMS.DisabledException"), DIALECT_DENIED, ""},
        {G, 400, "", "", ERROR("KMS.SomethingNew"), DIALECT_DENIED, ""},
        {G, 400, "", "", ERROR("KMS.ThrottlingException"), DIALECT_RETRY, ""},
        {G, 412, "", "", ERROR("PreconditionFailed"), DIALECT_CHANGED, ""},
        {G, 416, "", "", ERROR("InvalidRange"), DIALECT_OUT_OF_RANGE, ""},
        {G, 503, "", "", ERROR("SlowDown"), DIALECT_RETRY, ""},
        {G, 503, "", "", "<html>", DIALECT_RETRY, ""},
        {G, 500, "", "", ERROR("InternalError"), DIALECT_RETRY, ""},
        {G, 400, "", "", ERROR("RequestTimeout"), DIALECT_RETRY, ""},
        {G, 429, "", "", "", DIALECT_RETRY, ""},
        {G, 501, "", "", ERROR("NotImplemented"), DIALECT_UNSUPPORTED, ""},
        {G, 400, "", "", ERROR("InvalidRequest"), DIALECT_FATAL, ""},
        /* Where the bucket is, by header, element, message or host. */
        {L, 301, "eu-west-1", "", ERROR("PermanentRedirect"), DIALECT_WRONG_REGION, "eu-west-1"},
        {H, 301, "eu-west-1", "", "", DIALECT_WRONG_REGION, "eu-west-1"},
        {H, 400, "eu-west-1", "", "", DIALECT_WRONG_REGION, "eu-west-1"},
        {L, 400, "", "", "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>",
         DIALECT_WRONG_REGION, "eu-west-1"},
        {L, 400, "", "",
         "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'a' is wrong; expecting "
         "'eu-west-2'</Message></Error>",
         DIALECT_WRONG_REGION, "eu-west-2"},
        {L, 400, "", "", "<Error><Code>AuthorizationHeaderMalformed</Code><Region>a.b/</Region></Error>",
         DIALECT_DENIED, ""},
        {L, 301, "", "",
         "<Error><Code>PermanentRedirect</Code><Endpoint>data.s3-ap-east-1.amazonaws.com</Endpoint></Error>",
         DIALECT_WRONG_REGION, "ap-east-1"},
        {L, 301, "", "", ERROR("PermanentRedirect"), DIALECT_FATAL, ""},
        {L, 307, "", "https://h/", ERROR("TemporaryRedirect"), DIALECT_REDIRECT, ""},
        {L, 307, "", "", ERROR("TemporaryRedirect"), DIALECT_REDIRECT, ""},
        /* The region stands in many answers; it makes no other error one of regions. */
        {L, 403, "us-east-1", "", ERROR("AccessDenied"), DIALECT_DENIED, "us-east-1"},
};

START_TEST(errors_are_classified)
{
	struct dialect_call call = {.op = answers[_i].op, .key = "k", .prefix = "", .length = 1};
	struct dialect_answer a;

	configured("s3://data", NULL);
	dialect_answer_init(&a);
	a.status = answers[_i].status;
	strcpy(a.region, answers[_i].region);
	strcpy(a.location, answers[_i].location);
	ck_assert_int_eq(dialect_s3.classify(source.config, &call, &a, answers[_i].body,
	                                     strlen(answers[_i].body)),
	                 answers[_i].verdict);
	ck_assert_str_eq(a.region, answers[_i].learnt);
	forget();
}
END_TEST

/* Credentials that may read objects but no versions are learnt once, by all that are refused. */
START_TEST(versions_are_given_up_when_denied)
{
	struct store_attr version = {.etag = "\"e\"", .version = "v"};
	struct dialect_call call = {.op = DIALECT_GET, .key = "k", .length = 1, .version = &version};
	struct dialect_request before, r;
	struct dialect_answer a;

	configured("s3://data", "http://h");
	build(&call, &before);
	dialect_answer_init(&a);
	a.status = 403;
	a.url = before.url.data;
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(dialect_s3.classify(source.config, &call, &a, ERROR("AccessDenied"),
		                                     strlen(ERROR("AccessDenied"))),
		                 DIALECT_AGAIN);
	build(&call, &r);
	ck_assert_str_eq(r.url.data, "http://h/data/k");
	ck_assert_str_eq(dialect_request_find(&r, "if-match"), "\"e\"");
	a.url = r.url.data;
	ck_assert_int_eq(dialect_s3.classify(source.config, &call, &a, ERROR("AccessDenied"),
	                                     strlen(ERROR("AccessDenied"))),
	                 DIALECT_DENIED);
	dialect_request_release(&before);
	dialect_request_release(&r);
	forget();
}
END_TEST

/* ---- sentences ---- */

static const struct {
	enum dialect_op op;
	int status;
	const char *body, *sentence;
	bool anonymous;
	int64_t server_s;
} sentences[] = {
        {L, 403, ERROR("AccessDenied"),
         "s3://data/p: 403 AccessDenied for ListBucket with key AKIA…PLE (from AWS_ACCESS_KEY_ID); "
         "check the bucket's policy or pick another profile with -o profile="},
        {L, 403, ERROR("AccessDenied"),
         "s3://data/p: 403 AccessDenied for ListBucket without credentials; it is not public: give "
         "credentials instead of -o no_sign",
         .anonymous = true},
        {H, 403, "",
         "s3://data/k\\x01: 403 Forbidden for HeadObject with key AKIA…PLE (from AWS_ACCESS_KEY_ID); "
         "check the bucket's policy or pick another profile with -o profile="},
        {L, 404, ERROR("NoSuchBucket"),
         "s3://data/p: 404 NoSuchBucket for ListBucket at http://h:1; check the bucket's name, "
         "endpoint and region"},
        {G, 404, ERROR("NoSuchKey"),
         "s3://data/k\\x01: 404 NoSuchKey for GetObject; it is not in the bucket"},
        {L, 403, ERROR("InvalidAccessKeyId"),
         "s3://data/p: 403 InvalidAccessKeyId for ListBucket with key AKIA…PLE (from "
         "AWS_ACCESS_KEY_ID); check the access key where it comes from, and that the endpoint is its own"},
        {L, 403, ERROR("RequestTimeTooSkewed"),
         "s3://data/p: 403 RequestTimeTooSkewed for ListBucket with key AKIA…PLE (from "
         "AWS_ACCESS_KEY_ID); this machine's clock is 60 minutes ahead of the server's: set it",
         .server_s = NOW_S - 3600},
        {L, 403, ERROR("RequestTimeTooSkewed"),
         "s3://data/p: 403 RequestTimeTooSkewed for ListBucket with key AKIA…PLE (from "
         "AWS_ACCESS_KEY_ID); set this machine's clock"},
        {L, 400, ERROR("InvalidRequest"), "s3://data/p: 400 InvalidRequest for ListBucket: words"},
        {L, 400,
         "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>",
         "s3://data/p: 400 AuthorizationHeaderMalformed for ListBucket; the bucket is in region "
         "eu-west-1: mount with -o region=eu-west-1"},
        {G, 403, ERROR("InvalidObjectState"),
         "s3://data/k\\x01: 403 InvalidObjectState for GetObject with key AKIA…PLE (from "
         "AWS_ACCESS_KEY_ID); it is archived: restore it first (aws s3api restore-object)"},
        {G, 502, "", "s3://data/k\\x01: 502 Bad Gateway for GetObject"},
};

START_TEST(failures_have_a_sentence)
{
	struct dialect_call call = {.op = sentences[_i].op, .key = "k\x01", .prefix = "p/", .length = 1};
	struct dialect_credentials *c = example_credentials("token");
	struct dialect_session session = {sentences[_i].anonymous ? NULL : c, "us-east-1",
	                                  NOW_S * (int64_t)NS_PER_SECOND};
	struct dialect_answer a;
	struct buf out = BUF_INIT;
	enum dialect_verdict verdict;

	configured("s3://data/p", "http://h:1");
	dialect_answer_init(&a);
	a.status = sentences[_i].status;
	a.date_s = sentences[_i].server_s;
	verdict = dialect_s3.classify(source.config, &call, &a, sentences[_i].body,
	                              strlen(sentences[_i].body));
	dialect_s3.explain(source.config, &call, &session, &a, verdict, &out);
	ck_assert_str_eq(out.data, sentences[_i].sentence);
	buf_release(&out);
	dialect_credentials_unref(c);
	forget();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("s3");
	TCase *tc = tcase_create("s3");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_loop_test(tc, takes_sources_apart, 0, ARRAY_SIZE(sources));
	tcase_add_loop_test(tc, refuses_with_a_sentence, 0, ARRAY_SIZE(refused));
	tcase_add_test(tc, settings_come_from_the_environment);
	tcase_add_test(tc, several_endpoints_are_one_bucket);
	tcase_add_loop_test(tc, addresses_buckets, 0, ARRAY_SIZE(addresses));
	tcase_add_test(tc, region_is_read_from_aws_hosts);
	tcase_add_test(tc, keys_are_encoded_once);
	tcase_add_test(tc, a_get_carries_its_version);
	tcase_add_loop_test(tc, a_list_asks_for_a_page, 0, ARRAY_SIZE(lists));
	tcase_add_test(tc, signs_like_the_reference);
	tcase_add_test(tc, tokens_and_bodies_are_signed);
	tcase_add_test(tc, anonymous_requests_are_bare);
	tcase_add_test(tc, missing_credentials_name_the_bucket);
	tcase_add_loop_test(tc, trusts_its_own_hosts_only, 0, ARRAY_SIZE(trust));
	tcase_add_test(tc, headers_tell);
	tcase_add_test(tc, a_repeated_token_is_noticed);
	tcase_add_loop_test(tc, errors_are_classified, 0, ARRAY_SIZE(answers));
	tcase_add_test(tc, versions_are_given_up_when_denied);
	tcase_add_loop_test(tc, failures_have_a_sentence, 0, ARRAY_SIZE(sentences));
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
