/* Operations over HTTP against a server that answers by a script: every fault of the read
 * contract (R2, R3, F1 to F3), with what is asked next and what arrives in the end. */
#include <check.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/log.h"
#include "pailfs/net.h"
#include "pailfs/store.h"
#include "src/store/dialect.h"
#include "src/store/store_impl.h"
#include "http_server.h"

static struct http_server *server;
static struct net *net;
static struct stats *stats;
static struct store *store;
static char *source;

/* ---- a dialect of its own, for what plain web servers lack ---- */

/* Credentials are numbered as they are read, the region goes into the path, a listing is a line
 * a key, and an error's body is the name of its verdict. */
struct toy {
	char *origin;
	atomic_uint read;      /* credentials read so far */
	int64_t lifetime_ns;   /* of credentials; 0: for ever */
	bool fail;             /* reading them */
};

static struct toy *toy_config;

static int toy_configure(const struct store_config *config, struct dialect_source *out, struct buf *error)
{
	struct toy *t = xcalloc(1, sizeof(*t));

	t->origin = xstrdup(config->source);
	toy_config = t;
	*out = (struct dialect_source){
		.config = t,
		.capabilities = STORE_LIST | STORE_ORDERED_LIST | STORE_FLAT_LIST,
		.display = xstrdup("toy://bucket"),
		.root = xstrdup(""),
		.identity = xstrdup("toy"),
		.region = xstrdup("here"),
		.endpoint_count = 1,
	};
	return 0;
}

static void toy_release(void *config)
{
	struct toy *t = config;

	free(t->origin);
	free(t);
}

static void toy_endpoint(const void *config, size_t index, const char *region, struct buf *url)
{
	buf_addf(url, "%s/%s", ((const struct toy *)config)->origin, region);
}

static int toy_credentials(const void *config, struct dialect_credentials **out, struct buf *error)
{
	struct toy *t = (struct toy *)config;
	unsigned n = atomic_fetch_add(&t->read, 1);
	char id[32];

	if (n && t->fail) {
		buf_adds(error, "the file is gone");
		return -EACCES;
	}
	snprintf(id, sizeof(id), "key-%u", n);
	*out = dialect_credentials_create(id, "secret", "", "the test",
	                                  t->lifetime_ns ? clock_realtime(&clock_system) + t->lifetime_ns
	                                                 : INT64_MAX);
	return 0;
}

/* What toy's credentials come from; 0: it never changes. */
static _Atomic uint64_t toy_stamp;

static uint64_t toy_credentials_stamp(const void *config)
{
	return atomic_load(&toy_stamp);
}

static int toy_build(const void *config, const struct dialect_call *call, const char *endpoint,
                     struct dialect_request *r)
{
	buf_addf(&r->url, "%s/%s", endpoint, call->op == DIALECT_LIST ? "" : call->key);
	if (call->op == DIALECT_HEAD)
		r->method = NET_HEAD;
	if (call->op == DIALECT_GET)
		dialect_request_header(r, "Range", "bytes=%lu-%lu", (unsigned long)call->offset,
		                       (unsigned long)(call->offset + call->length - 1));
	if (call->continuation)
		buf_addf(&r->url, "?after=%s", call->continuation);
	return 0;
}

static void toy_sign(const void *config, const struct dialect_session *session, struct dialect_request *r)
{
	dialect_request_header(r, "Authorization", "%s", session->credentials->id);
}

static bool toy_trusts(const void *config, const char *url)
{
	return !strncmp(url, ((const struct toy *)config)->origin,
	                strlen(((const struct toy *)config)->origin));
}

static int toy_parse_list(const void *config, const struct dialect_call *call, const struct dialect_answer *a,
                          const char *body, size_t n, struct list_page *page)
{
	struct store_attr attr = {.size = 1};

	for (const char *end; (end = memchr(body, '\n', n)); n -= (size_t)(end + 1 - body), body = end + 1) {
		size_t length = (size_t)(end - body);

		if (length && *body == '?')
			return -EBADMSG;
		if (length && *body == '>' && call->continuation &&
		    !strncmp(call->continuation, body + 1, length - 1))
			return -ESTALE;
		if (length && *body == '>')
			list_page_continue(page, body + 1, length - 1);
		else
			list_page_add(page, body, length, &attr);
	}
	return 0;
}

static enum dialect_verdict toy_classify(const void *config, const struct dialect_call *call,
                                         struct dialect_answer *a, const char *body, size_t n)
{
	if (!strcmp(body, "expired"))
		return DIALECT_EXPIRED;
	if (!strcmp(body, "region")) {
		snprintf(a->region, sizeof(a->region), "there");
		return DIALECT_WRONG_REGION;
	}
	if (!strcmp(body, "again"))
		return DIALECT_AGAIN;
	return dialect_classify_status(a->status);
}

static const struct dialect toy_dialect = {
	.name = "toy",
	.configure = toy_configure,
	.release = toy_release,
	.endpoint = toy_endpoint,
	.credentials = toy_credentials,
	.credentials_stamp = toy_credentials_stamp,
	.build = toy_build,
	.sign = toy_sign,
	.trusts = toy_trusts,
	.parse_list = toy_parse_list,
	.classify = toy_classify,
};

/* ---- fixture ---- */

static void setup(const struct dialect *dialect, const char *path, unsigned retry_ms, unsigned stall_ms)
{
	struct net_config nc = {
		.connections = 8,
		.loops = 2,
		.connect_timeout_ms = 2000,
		.stall_timeout_ms = stall_ms,
		.clock = &clock_system,
	};
	struct store_options options = {.retry_timeout_ns = retry_ms * NS_PER_MS, .reader_type = "auto"};
	struct store_config config = {.options = &options, .clock = &clock_system};
	struct buf error = BUF_INIT;

	log_open("/dev/null", "debug");
	stats = nc.stats = config.stats = stats_create();
	server = http_server_start();
	ck_assert_int_eq(net_create(&nc, &net), 0);
	config.net = net;
	config.source = source = xasprintf("http://127.0.0.1:%d%s", server->port, path);
	if (dialect)
		ck_assert_int_eq(http_store_create(dialect, &config, &store, &error), 0);
	else
		ck_assert_msg(!store_create(&config, &store, &error), "%s", error.data);
	buf_release(&error);
}

static void teardown(void)
{
	store_destroy(store);
	net_destroy(net);
	http_server_stop(server);
	stats_destroy(stats);
	free(source);
}

struct waiter {
	sem_t ended;
	pthread_mutex_t lock; /* an operation is cancelled with it held, and only before its end */
	int result;
	unsigned calls;
};

static struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note_done(struct store_op *op, int result)
{
	scoped_lock(&waiter.lock);
	waiter.result = result;
	waiter.calls++;
	sem_post(&waiter.ended);
}

static void prepare(struct store_op *op)
{
	sem_init(&waiter.ended, 0, 0);
	waiter.calls = 0;
	op->done = note_done;
}

static int wait_for(int started)
{
	if (started)
		return started > 0 ? 0 : started;
	sem_wait(&waiter.ended);
	ck_assert_uint_eq(waiter.calls, 1);
	return waiter.result;
}

static size_t last_progress;

static void note_progress(struct store_get *get, size_t filled)
{
	ck_assert_uint_eq(filled, get->filled);
	ck_assert_uint_gt(filled, last_progress);
	last_progress = filled;
}

static const struct store_attr data_attr = {.size = 20, .etag = "\"v1\""};
static char got[64], error_text[256];

/* Reads [offset, offset+length) of a 20 byte object. */
static int read_data(const struct store_attr *attr, uint64_t offset, size_t length)
{
	struct store_object *o = store_object_open(store, "data", attr);
	struct store_get get = {.object = o, .offset = offset, .length = length, .buffer = got,
	                        .progress = note_progress};
	int r;

	memset(got, 0, sizeof(got));
	last_progress = 0;
	prepare(&get.op);
	r = wait_for(store_get_range(store, &get));
	ck_assert_uint_le(get.filled, length);
	if (!r)
		ck_assert_uint_eq(get.filled, length);
	snprintf(error_text, sizeof(error_text), "%s", get.op.error);
	store_object_unref(o);
	return r;
}

/* ---- faults of a ranged GET ---- */

#define HEAD_206(range, length) \
	"HTTP/1.1 206 Partial Content\r\nETag: \"v1\"\r\nContent-Range: bytes " range \
	"\r\nContent-Length: " length "\r\n\r\n"
#define GOOD HEAD_206("4-13/20", "10") "456789abcd"
#define STATUS(line) "HTTP/1.1 " line "\r\nContent-Length: 0\r\n\r\n"

struct fault {
	const char *name;
	struct http_step steps[4]; /* the last one that has an answer, or does something, repeats */
	int result;
	size_t requests;           /* that the server saw; 0: any number */
	const char *second;        /* what the second request holds, or NULL */
	const char *says;          /* what the sentence holds, or NULL */
};

static const struct fault faults[] = {
	{"none", {{GOOD}}, 0, 1},
	{"503 once", {{STATUS("503 Busy")}, {GOOD}}, 0, 2},
	{"503 in a row", {{STATUS("503 Busy")}, {STATUS("500 No")}, {STATUS("429 Slow")}, {GOOD}}, 0, 4},
	{"503 for ever is never ENOENT", {{STATUS("503 Busy")}}, -EIO, 0, NULL, "503"},
	{"404", {{STATUS("404 Not Found")}}, -ENOENT, 1, NULL, "404"},
	{"410", {{STATUS("410 Gone")}}, -ENOENT, 1},
	{"403", {{STATUS("403 Forbidden")}}, -EACCES, 1, NULL, "403"},
	{"401", {{STATUS("401 Who")}}, -EACCES, 1},
	{"400", {{STATUS("400 Bad")}}, -EIO, 1},
	{"501", {{STATUS("501 No")}}, -EOPNOTSUPP, 1},
	{"412", {{STATUS("412 Precondition Failed")}}, -ESTALE, 1},
	{"416: the file shrank", {{STATUS("416 Range")}}, -ESTALE, 1},
	{"304 is no answer", {{STATUS("304 Not Modified")}}, -EIO, 1},
	{"204 is no answer", {{"HTTP/1.1 204 No Content\r\n\r\n"}, {GOOD}}, 0, 2},
	{"another ETag", {{"HTTP/1.1 206 P\r\nETag: \"v2\"\r\nContent-Range: bytes 4-13/20\r\n"
	                   "Content-Length: 10\r\n\r\nABCDEFGHIJ"}}, -ESTALE, 1},
	{"another size", {{"HTTP/1.1 206 P\r\nContent-Range: bytes 4-13/21\r\nContent-Length: 10\r\n\r\n"
	                   "456789abcd"}}, -ESTALE, 1},
	{"another size under the same tag", {{HEAD_206("4-13/21", "10") "456789abcd"}, {GOOD}}, 0, 2},
	{"a part with status 200", {{"HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\n\r\n"
	                             "456789abcd"}, {GOOD}}, 0, 2},
	{"200 of another size", {{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n012"}}, -ESTALE, 1},
	{"200 for ever", {{"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n0123456789abcdefghij"}}, -EIO, 0,
	 NULL, "Range"},
	{"200 once", {{"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n0123456789abcdefghij"}, {GOOD}}, 0, 2},
	{"another start", {{HEAD_206("5-14/20", "10") "56789abcde"}, {GOOD}}, 0, 2},
	{"a shorter range", {{HEAD_206("4-12/20", "9") "456789abc"}, {GOOD}}, 0, 2},
	{"a longer range", {{HEAD_206("4-14/20", "11") "456789abcde"}, {GOOD}}, 0, 2},
	{"no Content-Range", {{"HTTP/1.1 206 P\r\nContent-Length: 10\r\n\r\n456789abcd"}, {GOOD}}, 0, 2},
	{"a Content-Range that is none", {{HEAD_206("x-y/z", "10") "456789abcd"}, {GOOD}}, 0, 2},
	{"a Content-Range that is huge", {{HEAD_206("4-18446744073709551615/20", "10") "456789abcd"},
	                                  {GOOD}}, 0, 2},
	{"wrong for ever", {{HEAD_206("5-14/20", "10") "56789abcde"}}, -EIO, 0, NULL, "Content-Range"},
	{"Content-Length is another", {{HEAD_206("4-13/20", "9") "456789abc"}, {GOOD}}, 0, 2},
	{"the body ends early: go on behind it",
	 {{HEAD_206("4-13/20", "10") "45678", .close = true}, {HEAD_206("9-13/20", "5") "9abcd"}}, 0, 2,
	 "Range: bytes=9-13\r\n"},
	{"a reset in the body: go on behind it",
	 {{HEAD_206("4-13/20", "10") "4567", .reset = true}, {HEAD_206("8-13/20", "6") "89abcd"}}, 0, 2,
	 "Range: bytes=8-13\r\n"},
	{"it resumes with the version",
	 {{HEAD_206("4-13/20", "10") "4567", .close = true}, {HEAD_206("8-13/20", "6") "89abcd"}}, 0, 2,
	 "If-Match: \"v1\"\r\n"},
	{"changed between the two halves",
	 {{HEAD_206("4-13/20", "10") "4567", .close = true}, {STATUS("412 Changed")}}, -ESTALE, 2},
	{"a chunked body that ends early",
	 {{"HTTP/1.1 206 P\r\nContent-Range: bytes 4-13/20\r\nTransfer-Encoding: chunked\r\n\r\n"
	   "3\r\n456\r\n0\r\n\r\n"}, {HEAD_206("7-13/20", "7") "789abcd"}}, 0, 2, "Range: bytes=7-13\r\n"},
	{"a chunked body that goes on",
	 {{"HTTP/1.1 206 P\r\nContent-Range: bytes 4-13/20\r\nTransfer-Encoding: chunked\r\n\r\n"
	   "c\r\n456789abcdef\r\n0\r\n\r\n"}, {GOOD}}, 0, 2, "Range: bytes=4-13\r\n"},
	{"a chunked body whose surplus comes later",
	 {{"HTTP/1.1 206 P\r\nContent-Range: bytes 4-13/20\r\nTransfer-Encoding: chunked\r\n\r\n"
	   "2\r\n45\r\n8\r\n6789abcd\r\n1\r\ne\r\n0\r\n\r\n"}, {HEAD_206("6-13/20", "8") "6789abcd"}},
	 0, 2},
	{"a reset before the answer", {{.reset = true}, {GOOD}}, 0, 2},
	{"the connection ends before the answer", {{.close = true}, {GOOD}}, 0, 2},
	{"no HTTP", {{"SSH-2.0-OpenSSH\r\n\r\n", .close = true}, {GOOD}}, 0, 2},
	{"a stall before the answer", {{.hang = true}, {GOOD}}, 0, 2, "Range: bytes=4-13\r\n"},
	{"a stall in the body: go on behind it",
	 {{HEAD_206("4-13/20", "10") "4567", .hang = true}, {HEAD_206("8-13/20", "6") "89abcd"}}, 0, 2,
	 "Range: bytes=8-13\r\n"},
	{"stalls for ever", {{.hang = true}}, -ETIMEDOUT, 0},
	{"a redirect without a place", {{STATUS("307 Go")}}, -EIO, 1},
	{"a redirect by path", {{"HTTP/1.1 307 Go\r\nLocation: /b/../other?x=1\r\nContent-Length: 0\r\n\r\n"},
	                        {GOOD}}, 0, 2, "GET /other?x=1 HTTP/1.1\r\n"},
	{"a redirect by a relative path", {{"HTTP/1.1 302 Go\r\nLocation: c\r\nContent-Length: 0\r\n\r\n"},
	                                   {GOOD}}, 0, 2, "GET /dir/c HTTP/1.1\r\n"},
	{"redirects without end", {{"HTTP/1.1 302 Go\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"}},
	 -EIO, 6, NULL, "redirects"},
	{"a redirect to ftp", {{"HTTP/1.1 302 Go\r\nLocation: ftp://x/y\r\nContent-Length: 0\r\n\r\n"}},
	 -EIO, 1},
	{"a redirect with a password",
	 {{"HTTP/1.1 302 Go\r\nLocation: http://a:b@127.0.0.1/y\r\nContent-Length: 0\r\n\r\n"}}, -EIO, 1},
};

static bool hangs(const struct fault *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(f->steps); i++)
		if (f->steps[i].hang)
			return true;
	return false;
}

static size_t step_count(const struct fault *f)
{
	size_t n = ARRAY_SIZE(f->steps);

	while (n > 1 && !f->steps[n - 1].answer && !f->steps[n - 1].reset && !f->steps[n - 1].close &&
	       !f->steps[n - 1].hang)
		n--;
	return n;
}

START_TEST(get_survives)
{
	const struct fault *f = &faults[_i];
	bool hopeless = f->requests == 0;
	uint64_t start;
	int r;

	setup(NULL, "/dir/data?token=s3cret", hopeless ? 400 : 20000, hangs(f) ? 200 : 10000);
	http_server_script(server, f->steps, step_count(f));
	start = clock_monotonic(&clock_system);
	r = read_data(&data_attr, 4, 10);
	ck_assert_msg(r == f->result, "%s: %d instead of %d (%s)", f->name, r, f->result, error_text);
	if (!r)
		ck_assert_msg(!strcmp(got, "456789abcd"), "%s: %s", f->name, got);
	else
		ck_assert_msg(error_text[0], "%s: no sentence", f->name);
	ck_assert_ptr_null(strstr(error_text, "s3cret"));
	if (f->says)
		ck_assert_msg(strstr(error_text, f->says), "%s: %s", f->name, error_text);
	if (f->requests && !hangs(f))
		ck_assert_msg(http_server_count(server) == f->requests, "%s: %zu requests", f->name,
		              http_server_count(server));
	if (f->second)
		ck_assert_msg(strstr(http_server_request(server, 1), f->second), "%s: %s", f->name,
		              http_server_request(server, 1));
	if (hopeless)
		ck_assert_uint_lt(clock_monotonic(&clock_system) - start, 5 * NS_PER_SECOND);
	ck_assert_uint_eq(stats_get(stats, STAT_REQ_GET_OK), r == 0);
	ck_assert_uint_eq(stats_get(stats, STAT_REQ_GET_ERROR), r != 0);
	if (!hangs(f))
		ck_assert_uint_eq((size_t)stats_get(stats, STAT_REQ_GET_RETRY), http_server_count(server) - 1);
	teardown();
}
END_TEST

START_TEST(asks_what_it_should)
{
	static const struct http_step steps[] = {{GOOD}};
	const char *q;

	setup(NULL, "/dir/data%20x?token=s3cret", 5000, 1000);
	http_server_script(server, steps, 1);
	ck_assert_int_eq(read_data(&data_attr, 4, 10), 0);
	q = http_server_request(server, 0);
	ck_assert_ptr_eq(strstr(q, "GET /dir/data%20x?token=s3cret HTTP/1.1\r\n"), q);
	ck_assert_ptr_nonnull(strstr(q, "\r\nRange: bytes=4-13\r\n"));
	ck_assert_ptr_nonnull(strstr(q, "\r\nIf-Match: \"v1\"\r\n"));
	ck_assert_ptr_nonnull(strstr(q, "\r\nUser-Agent: pailfs/"));
	ck_assert_ptr_nonnull(strstr(q, " md/reader_type#auto\r\n"));
	ck_assert_int_eq(stats_get(stats, STAT_RECEIVED_BYTES), 10);
	ck_assert_str_eq(store_root(store), "data x");
	ck_assert_ptr_null(strstr(store_identity(store), "s3cret"));
	teardown();
}
END_TEST

START_TEST(retry_after_is_honoured)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"}, {GOOD}};
	uint64_t start = clock_monotonic(&clock_system);

	setup(NULL, "/data", 5000, 1000);
	http_server_script(server, steps, 2);
	ck_assert_int_eq(read_data(&data_attr, 4, 10), 0);
	ck_assert_uint_ge(clock_monotonic(&clock_system) - start, NS_PER_SECOND);
	/* One that does not fit the budget ends the operation at once. */
	start = clock_monotonic(&clock_system);
	static const struct http_step later[] = {
		{"HTTP/1.1 503 Busy\r\nRetry-After: 100\r\nContent-Length: 0\r\n\r\n"}};
	http_server_script(server, later, 1);
	ck_assert_int_eq(read_data(&data_attr, 4, 10), -EIO);
	ck_assert_uint_lt(clock_monotonic(&clock_system) - start, NS_PER_SECOND);
	teardown();
}
END_TEST

/* A server that keeps moving a byte now and then never stalls, yet the operation ends. */
START_TEST(drips_end)
{
	static const struct http_step steps[] = {
		{HEAD_206("4-13/20", "10") "456789abcd", .drip_ms = 20}};
	uint64_t start;

	setup(NULL, "/data", 500, 5000);
	http_server_script(server, steps, 1);
	start = clock_monotonic(&clock_system);
	ck_assert_int_eq(read_data(&data_attr, 4, 10), -ETIMEDOUT);
	ck_assert_uint_lt(clock_monotonic(&clock_system) - start, 1000 * NS_PER_MS);
	teardown();
}
END_TEST

/* The last attempt has what time the others left: when that ends it, they say what is wrong. */
START_TEST(an_attempt_that_is_cut_short_says_nothing)
{
	static const struct http_step silent[] = {
		{"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"}, {.hang = true}};
	static const struct http_step begun[] = {
		{"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"}, {HEAD_206("4-13/20", "10") "456", .hang = true}};

	setup(NULL, "/data", 500, 5000);
	http_server_script(server, _i ? begun : silent, 2);
	ck_assert_int_eq(read_data(&data_attr, 4, 10), -EIO);
	ck_assert_ptr_nonnull(strstr(error_text, "status 503"));
	ck_assert_uint_eq(http_server_count(server), 2);
	teardown();
}
END_TEST

START_TEST(ranges_are_checked_before_asking)
{
	static const struct http_step steps[] = {{GOOD}};

	setup(NULL, "/data", 1000, 1000);
	http_server_script(server, steps, 1);
	ck_assert_int_eq(read_data(&data_attr, 11, 10), -EINVAL);
	ck_assert_int_eq(read_data(&data_attr, UINT64_MAX - 3, 10), -EINVAL);
	ck_assert_int_eq(read_data(&data_attr, 20, 0), 0);
	ck_assert_uint_eq(http_server_count(server), 0);
	teardown();
}
END_TEST

/* What a redirect led to is asked directly by the next reads, until it fails. */
START_TEST(redirects_are_remembered)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 302 Go\r\nLocation: /signed?x=s3cret\r\nContent-Length: 0\r\n\r\n"}, {GOOD}, {GOOD},
		{STATUS("403 Expired")},
		{"HTTP/1.1 302 Go\r\nLocation: /fresh\r\nContent-Length: 0\r\n\r\n"}, {GOOD}, {GOOD},
		{STATUS("404 Gone")}, {STATUS("404 Gone")}};
	static const char *const lines[] = {"GET /data ", "GET /signed?x=s3cret ", "GET /signed?x=s3cret ",
	                                    "GET /signed?x=s3cret ", "GET /data ", "GET /fresh ",
	                                    "GET /fresh ", "GET /fresh ", "GET /data "};

	setup(NULL, "/data", 5000, 1000);
	http_server_script(server, steps, ARRAY_SIZE(steps));
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(read_data(&data_attr, 4, 10), 0);
	ck_assert_int_eq(read_data(&data_attr, 4, 10), -ENOENT);
	ck_assert_ptr_null(strstr(error_text, "s3cret"));
	ck_assert_uint_eq(http_server_count(server), ARRAY_SIZE(lines));
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		ck_assert_ptr_eq(strstr(http_server_request(server, i), lines[i]), http_server_request(server, i));
	teardown();
}
END_TEST

/* ---- validators ---- */

START_TEST(weak_tags_are_compared_only)
{
	static const struct store_attr weak = {.size = 20, .etag = "W/\"v1\"", .mtime_ns = 1};
	static const struct http_step steps[] = {{GOOD}};
	static const struct http_step other[] = {
		{"HTTP/1.1 206 P\r\nETag: W/\"v2\"\r\nContent-Range: bytes 4-13/20\r\n"
		 "Content-Length: 10\r\n\r\n456789abcd"}};

	setup(NULL, "/data", 1000, 1000);
	http_server_script(server, steps, 1);
	ck_assert_int_eq(read_data(&weak, 4, 10), 0);
	ck_assert_ptr_null(strstr(http_server_request(server, 0), "If-Match"));
	http_server_script(server, other, 1);
	ck_assert_int_eq(read_data(&weak, 4, 10), -ESTALE);
	teardown();
}
END_TEST

START_TEST(dates_stand_in_for_tags)
{
	static const struct store_attr dated = {.size = 20, .mtime_ns = 1706702400 * (int64_t)NS_PER_SECOND};
	static const struct http_step same[] = {
		{"HTTP/1.1 206 P\r\nLast-Modified: Wed, 31 Jan 2024 12:00:00 GMT\r\n"
		 "Content-Range: bytes 4-13/20\r\nContent-Length: 10\r\n\r\n456789abcd"}};
	static const struct http_step other[] = {
		{"HTTP/1.1 206 P\r\nLast-Modified: Wed, 31 Jan 2024 12:00:01 GMT\r\n"
		 "Content-Range: bytes 4-13/20\r\nContent-Length: 10\r\n\r\n456789abcd"}};

	setup(NULL, "/data", 1000, 1000);
	http_server_script(server, same, 1);
	ck_assert_int_eq(read_data(&dated, 4, 10), 0);
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 0),
	                             "If-Unmodified-Since: Wed, 31 Jan 2024 12:00:00 GMT\r\n"));
	http_server_script(server, other, 1);
	ck_assert_int_eq(read_data(&dated, 4, 10), -ESTALE);
	teardown();
}
END_TEST

/* ---- the probe of a single file ---- */

static struct store_list probed;

static int probe(void)
{
	int r;

	memset(&probed, 0, sizeof(probed));
	probed.delimited = true;
	prepare(&probed.op);
	r = wait_for(store_probe(store, &probed));
	snprintf(error_text, sizeof(error_text), "%s", probed.op.error);
	return r;
}

struct probe_case {
	const char *name, *answer;
	int result;
	uint64_t size;
	const char *says;
};

static const struct probe_case probes[] = {
	{"a file", HEAD_206("0-0/20", "1") "0", 0, 20},
	{"a file of one byte, answered whole", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0", 0, 1},
	{"an empty file, answered whole", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0, 0},
	{"an empty file, refused", "HTTP/1.1 416 R\r\nContent-Range: bytes */0\r\nContent-Length: 0\r\n\r\n", 0, 0},
	{"no ranges", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n0123", -EOPNOTSUPP, 0, "Range"},
	{"no ranges and no length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
	 -EOPNOTSUPP, 0, "Range"},
	{"no size", HEAD_206("0-0/*", "1") "0", -EOPNOTSUPP, 0, "size"},
	{"absent", STATUS("404 No"), -ENOENT, 0, "404"},
	{"denied", STATUS("403 No"), -EACCES, 0, "403"},
};

START_TEST(probe_finds_the_file)
{
	const struct probe_case *c = &probes[_i];
	struct http_step step = {c->answer};
	int r;

	setup(NULL, "/dir/data?token=s3cret", 1000, 1000);
	http_server_script(server, &step, 1);
	r = probe();
	ck_assert_msg(r == c->result, "%s: %d", c->name, r);
	if (!r) {
		ck_assert_uint_eq(probed.entry_count, 1);
		ck_assert_str_eq(probed.entries[0].key, "data");
		ck_assert_uint_eq(probed.entries[0].attr.size, c->size);
		ck_assert_ptr_null(probed.next_continuation);
	} else {
		ck_assert_msg(strstr(error_text, c->says), "%s: %s", c->name, error_text);
		ck_assert_ptr_nonnull(strstr(error_text, "/dir/data"));
		ck_assert_ptr_null(strstr(error_text, "s3cret"));
	}
	store_list_release(&probed);
	teardown();
}
END_TEST

START_TEST(nobody_listens)
{
	uint64_t start = clock_monotonic(&clock_system);

	setup(NULL, "/data", 60000, 10000);
	shutdown(server->fd, SHUT_RDWR);
	ck_assert_int_eq(probe(), -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(error_text, "check that the server runs"));
	ck_assert_uint_lt(clock_monotonic(&clock_system) - start, 5 * NS_PER_SECOND);
	teardown();
}
END_TEST

START_TEST(lookup_by_head)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nETag: \"v1\"\r\nContent-Type: text/plain\r\n"
		 "Last-Modified: Wed, 31 Jan 2024 12:00:00 GMT\r\n\r\n"}};
	struct store_lookup op = {.key = "data"};

	setup(NULL, "/data", 1000, 1000);
	http_server_script(server, steps, 1);
	prepare(&op.op);
	ck_assert_int_eq(wait_for(store_lookup(store, &op)), 0);
	ck_assert_uint_eq(op.attr.size, 20);
	ck_assert(!op.attr.size_unknown);
	ck_assert_str_eq(op.attr.etag, "\"v1\"");
	ck_assert_str_eq(op.attr.content_type, "text/plain");
	ck_assert_int_eq(op.attr.mtime_ns, 1706702400 * (int64_t)NS_PER_SECOND);
	teardown();
}
END_TEST

/* ---- cancelling ---- */

static void cancel_after(unsigned ms, const struct http_step *step)
{
	struct store_object *o;
	struct store_get get = {.offset = 4, .length = 10, .buffer = got};
	uint64_t start;

	setup(NULL, "/data", 20000, 20000);
	http_server_script(server, step, 1);
	o = store_object_open(store, "data", &data_attr);
	get.object = o;
	prepare(&get.op);
	ck_assert_int_eq(store_get_range(store, &get), 0);
	usleep(ms * 1000);
	start = clock_monotonic(&clock_system);
	{
		scoped_lock(&waiter.lock);
		store_cancel(&get.op);
		store_cancel(&get.op);
	}
	ck_assert_int_eq(wait_for(0), -ECANCELED);
	ck_assert_uint_lt(clock_monotonic(&clock_system) - start, NS_PER_SECOND);
	store_object_unref(o);
	teardown();
}

START_TEST(cancel_at_once)
{
	static const struct http_step hang = {.hang = true};

	cancel_after(0, &hang);
}
END_TEST

START_TEST(cancel_on_the_net)
{
	static const struct http_step hang = {HEAD_206("4-13/20", "10") "456", .hang = true};

	cancel_after(100, &hang);
}
END_TEST

START_TEST(cancel_in_back_off)
{
	static const struct http_step busy = {
		"HTTP/1.1 503 Busy\r\nRetry-After: 10\r\nContent-Length: 0\r\n\r\n"};

	cancel_after(100, &busy);
}
END_TEST

/* Cancels and ends meet in every order; each operation still ends once. */
START_TEST(cancel_races)
{
	static const struct http_step steps[] = {{STATUS("503 Busy")}, {GOOD}, {GOOD, .close = true},
	                                         {STATUS("500 Busy"), .close = true}, {GOOD}};
	unsigned seed = 1;

	setup(NULL, "/data", 20000, 20000);
	for (int i = 0; i < 200; i++) {
		struct store_object *o = store_object_open(store, "data", &data_attr);
		struct store_get get = {.object = o, .offset = 4, .length = 10, .buffer = got};
		int r;

		http_server_script(server, steps, 1 + (size_t)i % 5);
		get.op.speculative = i % 2;
		prepare(&get.op);
		ck_assert_int_eq(store_get_range(store, &get), 0);
		usleep((unsigned)rand_r(&seed) % 1500);
		{
			scoped_lock(&waiter.lock);
			if (!waiter.calls) {
				store_promote(&get.op);
				store_cancel(&get.op);
			}
		}
		r = wait_for(0);
		ck_assert(r == 0 || r == -ECANCELED);
		store_object_unref(o);
	}
	teardown();
}
END_TEST

/* ---- credentials, regions, listings: the toy dialect ---- */

static struct store_list listed;

static int list(const char *continuation)
{
	memset(&listed, 0, sizeof(listed));
	listed.prefix = "";
	listed.continuation = continuation;
	prepare(&listed.op);
	return wait_for(store_list(store, &listed));
}

#define OK_LIST "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nb\na\nc\n"

START_TEST(lists_in_order)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nb\na\n\n>c\nc"}, {OK_LIST}};

	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 2);
	ck_assert_int_eq(list(NULL), 0);
	ck_assert_uint_eq(listed.entry_count, 2);
	ck_assert_uint_eq(listed.unusable, 1);
	ck_assert_str_eq(listed.entries[0].key, "a");
	ck_assert_str_eq(listed.entries[1].key, "b");
	ck_assert_str_eq(listed.next_continuation, "c");
	store_list_release(&listed);
	ck_assert_int_eq(list("c"), 0);
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 1), "GET /here/?after=c "));
	ck_assert_uint_eq(listed.entry_count, 3);
	ck_assert_ptr_null(listed.next_continuation);
	store_list_release(&listed);
	teardown();
}
END_TEST

START_TEST(lists_that_turn_in_circles_end)
{
	static const struct http_step steps[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na\n>x\n"}};

	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 1);
	ck_assert_int_eq(list("x"), -EIO);
	ck_assert_uint_eq(http_server_count(server), 1);
	ck_assert_ptr_nonnull(strstr(listed.op.error, "continuation"));
	teardown();
}
END_TEST

START_TEST(bodies_that_are_no_listing_are_retried)
{
	static const struct http_step steps[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n?x\n"},
	                                         {OK_LIST}};

	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 2);
	ck_assert_int_eq(list(NULL), 0);
	ck_assert_uint_eq(listed.entry_count, 3);
	store_list_release(&listed);
	teardown();
}
END_TEST

START_TEST(a_listing_without_end_is_cut)
{
	struct buf body = BUF_INIT;
	struct http_step step;

	buf_adds(&body, "HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n");
	for (int i = 0; i < 2000000; i++)
		buf_adds(&body, "aaaaaaaa\n\n");
	step = (struct http_step){body.data};
	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, &step, 1);
	ck_assert_int_eq(list(NULL), -EIO);
	ck_assert_ptr_nonnull(strstr(listed.op.error, "16 MiB"));
	ck_assert_uint_eq(http_server_count(server), 1);
	teardown();
	buf_release(&body);
}
END_TEST

START_TEST(expired_credentials_are_read_again)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 400 Bad\r\nContent-Length: 7\r\n\r\nexpired"}, {OK_LIST}};

	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 2);
	ck_assert_int_eq(list(NULL), 0);
	store_list_release(&listed);
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 0), "Authorization: key-0\r\n"));
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 1), "Authorization: key-1\r\n"));
	teardown();
}
END_TEST

START_TEST(expired_twice_is_denied)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 400 Bad\r\nContent-Length: 7\r\n\r\nexpired"}};

	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 1);
	ck_assert_int_eq(list(NULL), -EACCES);
	ck_assert_uint_eq(http_server_count(server), 2);
	/* Nothing to read any more: the old ones are tried, and denied. */
	toy_config->fail = true;
	http_server_script(server, steps, 1);
	ck_assert_int_eq(list(NULL), -EACCES);
	ck_assert_uint_eq(http_server_count(server), 2);
	teardown();
}
END_TEST

START_TEST(credentials_are_read_before_they_expire)
{
	static const struct http_step steps[] = {{OK_LIST}};

	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 1);
	toy_config->lifetime_ns = 1; /* of all but the first */
	ck_assert_int_eq(list(NULL), 0);
	store_list_release(&listed);
	ck_assert_uint_eq(atomic_load(&toy_config->read), 1);
	teardown();
}
END_TEST

/* Nobody has refused the old ones: what they came from has changed. Who notices does not wait. */
START_TEST(changed_credentials_are_read)
{
	static const struct http_step steps[] = {{OK_LIST}};
	bool fresh = false;

	atomic_store(&toy_stamp, 1);
	setup(&toy_dialect, "", 2000, 1000);
	atomic_store(&toy_stamp, 2);
	http_server_script(server, steps, 1);
	for (int i = 0; i < 200 && !fresh; i++) {
		ck_assert_int_eq(list(NULL), 0);
		store_list_release(&listed);
		fresh = strstr(http_server_request(server, http_server_count(server) - 1),
		               "Authorization: key-1\r\n");
		usleep(5000);
	}
	ck_assert(fresh);
	/* Nothing new, or not yet looked for again. */
	ck_assert_int_eq(list(NULL), 0);
	store_list_release(&listed);
	ck_assert_uint_eq(atomic_load(&toy_config->read), 2);
	atomic_store(&toy_stamp, 0);
	teardown();
}
END_TEST

START_TEST(the_region_is_learnt_once)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 400 Bad\r\nContent-Length: 6\r\n\r\nregion"}, {OK_LIST}};

	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 2);
	ck_assert_int_eq(list(NULL), 0);
	store_list_release(&listed);
	ck_assert_int_eq(list(NULL), 0);
	store_list_release(&listed);
	ck_assert_uint_eq(http_server_count(server), 3);
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 0), "GET /here/ "));
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 1), "GET /there/ "));
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 2), "GET /there/ "));
	teardown();
}
END_TEST

START_TEST(wrong_regions_end)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 400 Bad\r\nContent-Length: 6\r\n\r\nregion"}};

	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 1);
	ck_assert_int_eq(list(NULL), -EIO);
	ck_assert_uint_le(http_server_count(server), 4);
	teardown();
}
END_TEST

START_TEST(asking_otherwise_ends)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 400 Bad\r\nContent-Length: 5\r\n\r\nagain"}};

	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 1);
	ck_assert_int_eq(list(NULL), -EIO);
	ck_assert_uint_le(http_server_count(server), 6);
	teardown();
}
END_TEST

/* Within the provider a redirect is signed anew; elsewhere nothing says who we are. */
START_TEST(secrets_stay_with_the_provider)
{
	char *here, *away;
	struct http_step steps[3] = {{0}, {0}, {OK_LIST}};

	setup(&toy_dialect, "", 2000, 1000);
	here = xasprintf("HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:%d/x\r\nContent-Length: 0\r\n\r\n",
	                 server->port);
	away = xasprintf("HTTP/1.1 307 Go\r\nLocation: http://localhost:%d/y\r\nContent-Length: 0\r\n\r\n",
	                 server->port);
	steps[0].answer = here;
	steps[1].answer = away;
	http_server_script(server, steps, 3);
	ck_assert_int_eq(list(NULL), 0);
	store_list_release(&listed);
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 1), "GET /x "));
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 1), "Authorization: "));
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 2), "GET /y "));
	ck_assert_ptr_null(strstr(http_server_request(server, 2), "Authorization: "));
	teardown();
	free(here);
	free(away);
}
END_TEST

/* ---- many at once ---- */

struct many {
	struct store_get get;
	sem_t *ended;
	char data[11];
	int result;
};

static void many_done(struct store_op *op, int result)
{
	struct many *m = container_of(op, struct many, get.op);

	m->result = result;
	sem_post(m->ended);
}

START_TEST(many_at_once)
{
	enum { COUNT = 100 };
	static const struct http_step steps[] = {
		{GOOD}, {STATUS("503 Busy")}, {GOOD, .close = true}, {.reset = true}, {GOOD}};
	struct many *many = xcalloc(COUNT, sizeof(*many));
	struct store_object *o;
	sem_t ended;

	setup(NULL, "/data", 20000, 5000);
	http_server_script(server, steps, ARRAY_SIZE(steps));
	sem_init(&ended, 0, 0);
	o = store_object_open(store, "data", &data_attr);
	for (int i = 0; i < COUNT; i++) {
		struct many *m = &many[i];

		m->ended = &ended;
		m->get = (struct store_get){.object = o, .offset = 4, .length = 10, .buffer = m->data,
		                            .op.done = many_done, .op.speculative = i % 3 == 0};
		ck_assert_int_eq(store_get_range(store, &m->get), 0);
	}
	for (int i = 0; i < COUNT; i++)
		sem_wait(&ended);
	for (int i = 0; i < COUNT; i++) {
		ck_assert_int_eq(many[i].result, 0);
		ck_assert_str_eq(many[i].data, "456789abcd");
	}
	store_object_unref(o);
	free(many);
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_store");
	TCase *tc = tcase_create("http_store");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, get_survives, 0, ARRAY_SIZE(faults));
	tcase_add_test(tc, asks_what_it_should);
	tcase_add_test(tc, retry_after_is_honoured);
	tcase_add_test(tc, redirects_are_remembered);
	tcase_add_test(tc, drips_end);
	tcase_add_loop_test(tc, an_attempt_that_is_cut_short_says_nothing, 0, 2);
	tcase_add_test(tc, ranges_are_checked_before_asking);
	tcase_add_test(tc, weak_tags_are_compared_only);
	tcase_add_test(tc, dates_stand_in_for_tags);
	tcase_add_loop_test(tc, probe_finds_the_file, 0, ARRAY_SIZE(probes));
	tcase_add_test(tc, nobody_listens);
	tcase_add_test(tc, lookup_by_head);
	tcase_add_test(tc, cancel_at_once);
	tcase_add_test(tc, cancel_on_the_net);
	tcase_add_test(tc, cancel_in_back_off);
	tcase_add_test(tc, cancel_races);
	tcase_add_test(tc, lists_in_order);
	tcase_add_test(tc, lists_that_turn_in_circles_end);
	tcase_add_test(tc, bodies_that_are_no_listing_are_retried);
	tcase_add_test(tc, a_listing_without_end_is_cut);
	tcase_add_test(tc, expired_credentials_are_read_again);
	tcase_add_test(tc, expired_twice_is_denied);
	tcase_add_test(tc, credentials_are_read_before_they_expire);
	tcase_add_test(tc, changed_credentials_are_read);
	tcase_add_test(tc, the_region_is_learnt_once);
	tcase_add_test(tc, wrong_regions_end);
	tcase_add_test(tc, asking_otherwise_ends);
	tcase_add_test(tc, secrets_stay_with_the_provider);
	tcase_add_test(tc, many_at_once);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
