/* What a GET and a probe over HTTP make of a server's faults. */
#include <sys/resource.h>
#include "http_store_fixture.h"
#include "src/store/http_store.h"

/* ---- faults of a ranged GET ---- */

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
	{"a request ID that would write to a terminal",
	 {{"HTTP/1.1 404 N\r\nX-Request-Id: a\033[31mb\r\nContent-Length: 0\r\n\r\n"}}, -ENOENT, 1, NULL,
	 "(request ID a\\x1b[31mb)"},
	{"403", {{STATUS("403 Forbidden")}}, -EACCES, 1, NULL, "403"},
	{"407", {{STATUS("407 Who")}}, -EACCES, 1, NULL, "http_proxy"},
	{"401", {{STATUS("401 Who")}}, -EACCES, 1},
	{"400", {{STATUS("400 Bad")}}, -EIO, 1},
	{"501", {{STATUS("501 No")}}, -EOPNOTSUPP, 1},
	{"412", {{STATUS("412 Precondition Failed")}}, -ESTALE, 1},
	{"416: the file shrank", {{STATUS("416 Range")}}, -ESTALE, 1},
	{"304 is no answer", {{STATUS("304 Not Modified")}}, -EIO, 1},
	{"204 is no answer", {{"HTTP/1.1 204 No Content\r\n\r\n"}, {GOOD}}, 0, 2},
	{"another ETag", {{"HTTP/1.1 206 P\r\nETag: \"v2\"\r\nContent-Range: bytes 4-13/20\r\n"
	                   "Content-Length: 10\r\n\r\nABCDEFGHIJ"}}, -ESTALE, 1},
	{"the same ETag without quotes", {{"HTTP/1.1 206 P\r\nETag: v1\r\nContent-Range: bytes 4-13/20\r\n"
	                                   "Content-Length: 10\r\n\r\n456789abcd"}}, 0, 1},
	{"an empty ETag is none", {{"HTTP/1.1 206 P\r\nETag: \"\"\r\nContent-Range: bytes 4-13/20\r\n"
	                            "Content-Length: 10\r\n\r\n456789abcd"}}, 0, 1},
	{"another size", {{"HTTP/1.1 206 P\r\nContent-Range: bytes 4-13/21\r\nContent-Length: 10\r\n\r\n"
	                   "456789abcd"}}, -ESTALE, 1},
	{"another size under the same tag", {{HEAD_206("4-13/21", "10") "456789abcd"}, {GOOD}}, 0, 2},
	{"a part with status 200", {{"HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\n\r\n"
	                             "456789abcd"}, {GOOD}}, 0, 2},
	{"200 of another size", {{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n012"}}, -ESTALE, 1},
	{"200 again and again: the server knows no ranges",
	 {{"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n0123456789abcdefghij"}}, -EIO, 3, NULL, "Range"},
	{"200 once", {{"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n0123456789abcdefghij"}, {GOOD}}, 0, 2},
	{"another start", {{HEAD_206("5-14/20", "10") "56789abcde"}, {GOOD}}, 0, 2},
	{"a part of the range: the rest is asked for",
	 {{HEAD_206("4-12/20", "9") "456789abc"}, {HEAD_206("13-13/20", "1") "d"}}, 0, 2,
	 "Range: bytes=13-13\r\n"},
	{"a part of the range that ends early",
	 {{HEAD_206("4-12/20", "9") "456", .close = true}, {HEAD_206("7-13/20", "7") "789abcd"}}, 0, 2,
	 "Range: bytes=7-13\r\n"},
	{"a part of the range with more than it",
	 {{"HTTP/1.1 206 P\r\nContent-Range: bytes 4-6/20\r\nTransfer-Encoding: chunked\r\n\r\n"
	   "5\r\n45678\r\n0\r\n\r\n"}, {GOOD}}, 0, 2, "Range: bytes=4-13\r\n"},
	{"a part of the range of no told length",
	 {{"HTTP/1.1 206 P\r\nContent-Range: bytes 4-6/20\r\nTransfer-Encoding: chunked\r\n\r\n"
	   "3\r\n456\r\n0\r\n\r\n"}, {HEAD_206("7-13/20", "7") "789abcd"}}, 0, 2,
	 "Range: bytes=7-13\r\n"},
	{"a part of the range from within it", {{HEAD_206("5-12/20", "8") "56789abc"}, {GOOD}}, 0, 2},
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
	{"a chunked body with a length that is not its own",
	 {{"HTTP/1.1 206 P\r\nContent-Range: bytes 4-13/20\r\nContent-Length: 10\r\n"
	   "Transfer-Encoding: chunked\r\n\r\n2\r\n45\r\n8\r\n6789abcd\r\n1\r\ne\r\n0\r\n\r\n"},
	  {HEAD_206("6-13/20", "8") "6789abcd"}}, 0, 2, "Range: bytes=6-13\r\n"},
	{"a chunked body that ends before its end is told",
	 {{"HTTP/1.1 206 P\r\nContent-Range: bytes 4-13/20\r\nTransfer-Encoding: chunked\r\n\r\n"
	   "2\r\n45\r\n8\r\n6789abcd\r\n", .close = true}, {HEAD_206("6-13/20", "8") "6789abcd"}},
	 0, 2, "Range: bytes=6-13\r\n"},
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

START_TEST(a_query_needs_no_path)
{
	static const struct http_step steps[] = {{GOOD}};

	setup(NULL, "?token=s3cret#top", 5000, 1000);
	http_server_script(server, steps, 1);
	ck_assert_int_eq(read_data(&data_attr, 4, 10), 0);
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 0), "GET /?token=s3cret HTTP/1.1\r\n"));
	ck_assert_str_eq(store_root(store), "file");
	teardown();
}
END_TEST

/* Signed URLs are long: with a session's token in them they are over 2 KiB. */
START_TEST(redirects_may_be_long)
{
	static const size_t lengths[] = {5000, 9000};
	struct buf location = BUF_INIT, answer = BUF_INIT;
	struct http_step steps[2] = {{0}, {GOOD}};

	buf_adds(&location, "/other?signature=");
	while (location.length < lengths[_i])
		buf_addc(&location, 'x');
	buf_addf(&answer, "HTTP/1.1 302 Go\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", location.data);
	steps[0].answer = answer.data;
	setup(NULL, "/data", 1000, 1000);
	http_server_script(server, steps, 2);
	if (!_i) {
		ck_assert_int_eq(read_data(&data_attr, 4, 10), 0);
		ck_assert_ptr_nonnull(strstr(http_server_request(server, 1), location.data));
	} else {
		ck_assert_int_eq(read_data(&data_attr, 4, 10), -EIO);
		ck_assert_ptr_nonnull(strstr(error_text, "8 KiB"));
	}
	teardown();
	buf_release(&location);
	buf_release(&answer);
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

static struct rlimit descriptors;

static void take_descriptors(void)
{
	int next = dup(server->fd);
	struct rlimit none = {.rlim_cur = (rlim_t)next};

	close(next);
	getrlimit(RLIMIT_NOFILE, &descriptors);
	none.rlim_max = descriptors.rlim_max;
	setrlimit(RLIMIT_NOFILE, &none);
}

static void give_descriptors(void)
{
	setrlimit(RLIMIT_NOFILE, &descriptors);
}

/* The endpoint was never asked, so it is not left out meanwhile. */
START_TEST(a_lack_of_descriptors_is_waited_for)
{
	static const struct http_step steps[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n"}};
	struct store_lookup op = {.key = "data"};
	struct endpoint seen;
	int started;

	setup(NULL, "/data", 10000, 1000);
	http_server_script(server, steps, 1);
	take_descriptors();
	prepare(&op.op);
	started = store_lookup(store, &op);
	usleep(300000);
	{
		struct http_store *hs = container_of(store, struct http_store, store);

		scoped_lock(&hs->lock);
		seen = hs->endpoints.endpoints[0];
	}
	give_descriptors();
	ck_assert_uint_eq(seen.failures, 0);
	ck_assert_uint_eq(seen.blocked_until_ns, 0);
	ck_assert_int_eq(wait_for(started), 0);
	ck_assert_int_gt(stats_get(stats, STAT_REQ_HEAD_RETRY), 0);
	teardown();
}
END_TEST

START_TEST(a_lack_of_descriptors_says_what_to_do)
{
	setup(NULL, "/data", 500, 1000);
	take_descriptors();
	ck_assert_int_eq(read_data(&data_attr, 4, 10), -EMFILE);
	give_descriptors();
	ck_assert_ptr_nonnull(strstr(error_text, "Too many open files; raise the limit"));
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

/* R3: not an empty file. */
START_TEST(a_file_without_a_size_is_refused)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"}};
	struct store_lookup op = {.key = "data"};

	setup(NULL, "/data", 1000, 1000);
	http_server_script(server, steps, 1);
	prepare(&op.op);
	ck_assert_int_eq(wait_for(store_lookup(store, &op)), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(op.op.error, "does not tell the file's size"));
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_store");
	TCase *tc = tcase_create("http_store");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, get_survives, 0, ARRAY_SIZE(faults));
	tcase_add_test(tc, asks_what_it_should);
	tcase_add_test(tc, a_query_needs_no_path);
	tcase_add_loop_test(tc, redirects_may_be_long, 0, 2);
	tcase_add_test(tc, retry_after_is_honoured);
	tcase_add_test(tc, redirects_are_remembered);
	tcase_add_test(tc, drips_end);
	tcase_add_loop_test(tc, an_attempt_that_is_cut_short_says_nothing, 0, 2);
	tcase_add_test(tc, ranges_are_checked_before_asking);
	tcase_add_test(tc, weak_tags_are_compared_only);
	tcase_add_test(tc, dates_stand_in_for_tags);
	tcase_add_loop_test(tc, probe_finds_the_file, 0, ARRAY_SIZE(probes));
	tcase_add_test(tc, nobody_listens);
	tcase_add_test(tc, a_lack_of_descriptors_is_waited_for);
	tcase_add_test(tc, a_lack_of_descriptors_says_what_to_do);
	tcase_add_test(tc, lookup_by_head);
	tcase_add_test(tc, a_file_without_a_size_is_refused);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
