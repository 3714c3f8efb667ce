/* The pure parts of speaking HTTP: URLs, dates, ranges, the indexes of folders; and a folder
 * as a server gives it. */
#include <check.h>
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/log.h"
#include "pailfs/net.h"
#include "src/store/dialect.h"
#include "src/store/http_answer.h"
#include "src/store/http_index.h"
#include "src/store/store_impl.h"
#include "src/store/url.h"
#include "http_server.h"
#include "unit.h"

/* ---- URLs ---- */

START_TEST(urls_split)
{
	struct url u;

	ck_assert_int_eq(url_split("HTTPS://a:b@[::1]:8443/p/q?x=1?y#z", &u), 0);
	ck_assert(u.secure);
	ck_assert(u.userinfo.n == 3 && !strncmp(u.userinfo.s, "a:b", 3));
	ck_assert(u.host.n == 5 && !strncmp(u.host.s, "[::1]", 5));
	ck_assert(u.port.n == 4 && !strncmp(u.port.s, "8443", 4));
	ck_assert(u.path.n == 4 && !strncmp(u.path.s, "/p/q", 4));
	ck_assert(u.query.n == 5 && !strncmp(u.query.s, "x=1?y", 5));
	ck_assert_int_eq(url_split("http://h", &u), 0);
	ck_assert_uint_eq(u.path.n, 0);
	ck_assert(!u.has_query);
}
END_TEST

START_TEST(urls_that_are_none)
{
	static const char *const bad[] = {"", "http:", "http://", "ftp://h/", "http://h:port/", "http://[::1/",
	                                  "http://h:123456/", "http://h:65536/", "http://h/a b", "http://h/\n", "http://:80/",
	                                  "http://[::1]x/", "//h/", "http://a@/"};
	struct url u;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(url_split(bad[i], &u) == -EINVAL, "%s", bad[i]);
}
END_TEST

START_TEST(origins_compare)
{
	struct url a, b;

	url_split("http://h/x", &a);
	url_split("http://H:80/y", &b);
	ck_assert(url_same_origin(&a, &b));
	url_split("https://h/x", &b);
	ck_assert(!url_same_origin(&a, &b));
	url_split("http://h:81/x", &b);
	ck_assert(!url_same_origin(&a, &b));
	url_split("http://h.evil/x", &b);
	ck_assert(!url_same_origin(&a, &b));
}
END_TEST

/* RFC 3986, 5.4, as far as it speaks of what a Location holds. */
static const struct {
	const char *reference, *target;
} references[] = {
	{"g", "http://a/b/c/g"},
	{"./g", "http://a/b/c/g"},
	{"g/", "http://a/b/c/g/"},
	{"/g", "http://a/g"},
	{"//g", "http://g"},
	{"?y", "http://a/b/c/d;p?y"},
	{"g?y", "http://a/b/c/g?y"},
	{"#s", "http://a/b/c/d;p?q"},
	{"g#s", "http://a/b/c/g"},
	{";x", "http://a/b/c/;x"},
	{"", "http://a/b/c/d;p?q"},
	{".", "http://a/b/c/"},
	{"./", "http://a/b/c/"},
	{"..", "http://a/b/"},
	{"../g", "http://a/b/g"},
	{"../..", "http://a/"},
	{"../../../g", "http://a/g"},
	{"/./g", "http://a/g"},
	{"/../g", "http://a/g"},
	{"g.", "http://a/b/c/g."},
	{"..g", "http://a/b/c/..g"},
	{"./../g", "http://a/b/g"},
	{"g/./h", "http://a/b/c/g/h"},
	{"g/../h", "http://a/b/c/h"},
	{"g?y/../x", "http://a/b/c/g?y/../x"},
	{"https://h/x", "https://h/x"},
	/* A scheme begins with a letter. */
	{".a:b", "http://a/b/c/.a:b"},
	{"10:30.log", "http://a/b/c/10:30.log"},
	{"2024-01-31T12:00", "http://a/b/c/2024-01-31T12:00"},
	/* Blanks have no place in a reference, and are meant all the same. */
	{"my file", "http://a/b/c/my%20file"},
	{"/x y?z w#t u", "http://a/x%20y?z%20w"},
	{"https://h/x y", "https://h/x%20y"},
	{"  g ", "http://a/b/c/g"},
	{" https://h/x ", "https://h/x"},
	{"a:b", NULL},
	{"mailto:x", NULL},
	{"file:///etc/passwd", NULL},
	{"/a\rb", NULL},
};

START_TEST(references_resolve)
{
	struct buf out = BUF_INIT;
	int r;

	buf_adds(&out, "before ");
	r = url_resolve("http://a/b/c/d;p?q", references[_i].reference, &out);
	if (references[_i].target) {
		ck_assert_int_eq(r, 0);
		ck_assert_str_eq(out.data + 7, references[_i].target);
	} else {
		ck_assert_int_eq(r, -EINVAL);
	}
	buf_release(&out);
}
END_TEST

/* ---- dates, numbers, ranges ---- */

static int64_t date(const char *s)
{
	return dialect_parse_date(s, strlen(s));
}

START_TEST(dates_in_every_form)
{
	const int64_t t = 784111777 * (int64_t)NS_PER_SECOND;

	ck_assert_int_eq(date("Sun, 06 Nov 1994 08:49:37 GMT"), t);
	ck_assert_int_eq(date("Sunday, 06-Nov-94 08:49:37 GMT"), t);
	ck_assert_int_eq(date("Sun Nov  6 08:49:37 1994"), t);
	ck_assert_int_eq(date("1994-11-06T08:49:37Z"), t);
	ck_assert_int_eq(date("1994-11-06T08:49:37.250Z"), t + 250 * (int64_t)NS_PER_MS);
	ck_assert_int_eq(date("Sun, 29 Feb 2032 00:00:00 GMT"), 1961625600 * (int64_t)NS_PER_SECOND);
	ck_assert_int_eq(date(""), 0);
	ck_assert_int_eq(date("Sun, 06 Foo 1994 08:49:37 GMT"), 0);
	ck_assert_int_eq(date("Sun, 99 Nov 1994 08:49:37 GMT"), 0);
	ck_assert_int_eq(date("9999-11-06T08:49:37Z"), 0);
	ck_assert_int_eq(date("soon"), 0);
	ck_assert_int_eq(date("Sunday, 06-Nov-xx 08:49:37 GMT"), 0);
	ck_assert_int_eq(date("Sun, 06 Nov 1994 24:49:37 GMT"), 0);
	ck_assert_int_eq(date("2000-02-29T00:00:00Z"), 951782400 * (int64_t)NS_PER_SECOND);
	ck_assert_int_eq(date("2000-13-01T00:00:00Z"), 0);
	ck_assert_int_eq(date("Sun, 06 Nov 1994 08:49:37 GMT and much more than any date has"), 0);
}
END_TEST

START_TEST(numbers_are_digits)
{
	uint64_t v;

	ck_assert_int_eq(dialect_parse_number("18446744073709551615", 20, &v), 0);
	ck_assert_uint_eq(v, UINT64_MAX);
	ck_assert_int_eq(dialect_parse_number("18446744073709551616", 20, &v), -EINVAL);
	ck_assert_int_eq(dialect_parse_number("-1", 2, &v), -EINVAL);
	ck_assert_int_eq(dialect_parse_number("", 0, &v), -EINVAL);
	ck_assert_int_eq(dialect_parse_number("1 ", 2, &v), -EINVAL);
}
END_TEST

static const struct {
	const char *value;
	int result;
	uint64_t start, end, total;
} content_ranges[] = {
	{"bytes 0-99/1234", 0, 0, 100, 1234},
	{"BYTES  5-5/6", 0, 5, 6, 6},
	{"bytes 0-99/*", 0, 0, 100, DIALECT_UNKNOWN},
	{"bytes */1234", 0, DIALECT_UNKNOWN, DIALECT_UNKNOWN, 1234},
	{"bytes */*", -EINVAL},
	{"bytes 9-3/10", -EINVAL},
	{"bytes 0-10/10", -EINVAL},
	{"bytes 0-18446744073709551615/*", -EINVAL},
	{"bytes 0-18446744073709551614/*", -EINVAL},
	{"bytes -5/10", -EINVAL},
	{"bytes 0-5", -EINVAL},
	{"items 0-5/10", -EINVAL},
	{"bytes 0-5/10 and more", -EINVAL},
	{"bytes", -EINVAL},
	{"", -EINVAL},
};

START_TEST(content_ranges_parse)
{
	const char *value = content_ranges[_i].value;
	uint64_t start, end, total;

	ck_assert_msg(answer_parse_content_range(value, strlen(value), &start, &end, &total) ==
	              content_ranges[_i].result, "%s", value);
	if (content_ranges[_i].result) {
		ck_assert(start == DIALECT_UNKNOWN && end == DIALECT_UNKNOWN && total == DIALECT_UNKNOWN);
		return;
	}
	ck_assert_uint_eq(start, content_ranges[_i].start);
	ck_assert_uint_eq(end, content_ranges[_i].end);
	ck_assert_uint_eq(total, content_ranges[_i].total);
}
END_TEST

#define AT_NOON "Wed, 31 Jan 2024 12:00:00 GMT"
#define AFTER_NOON "Wed, 31 Jan 2024 12:00:30 GMT"

/* Seconds that Retry-After asks for. A date there is compared with the server's own clock, on
 * whichever side of it that is told. */
static const struct {
	const char *headers[2][2];
	uint64_t seconds;
} delays[] = {
	{{{"retry-after", "7"}}, 7},
	{{{"retry-after", "4000"}}, 3600},
	{{{"retry-after", "-1"}}, 0},
	{{{"retry-after", "soon"}}, 0},
	{{{"retry-after", "7"}, {"date", AT_NOON}}, 7},
	{{{"date", AT_NOON}, {"retry-after", AFTER_NOON}}, 30},
	{{{"retry-after", AFTER_NOON}, {"date", AT_NOON}}, 30},
	{{{"date", AFTER_NOON}, {"retry-after", AT_NOON}}, 0},
	{{{"retry-after", AFTER_NOON}}, 0},
};

START_TEST(delays_are_read)
{
	struct dialect_answer a;

	dialect_answer_init(&a);
	for (size_t i = 0; i < 2 && delays[_i].headers[i][0]; i++)
		answer_header(&a, delays[_i].headers[i][0], delays[_i].headers[i][1],
		              strlen(delays[_i].headers[i][1]));
	ck_assert_uint_eq(a.retry_after_ns, delays[_i].seconds * NS_PER_SECOND);
}
END_TEST

START_TEST(short_ids_tell_little)
{
	struct buf b = BUF_INIT;

	dialect_add_short_id(&b, "AKIAIOSFODNN7EXAMPLE");
	ck_assert_str_eq(b.data, "AKIA…PLE");
	buf_reset(&b);
	dialect_add_short_id(&b, "minio");
	ck_assert_str_eq(b.data, "mi…");
	buf_release(&b);
}
END_TEST

START_TEST(header_values_stay_on_their_line)
{
	struct dialect_request r;

	dialect_request_init(&r);
	dialect_request_header(&r, "If-Match", "%s", "\"a\"\r\nX-Evil: 1");
	ck_assert_str_eq(r.headers[0], "If-Match: \"a\"");
	ck_assert_str_eq(dialect_request_find(&r, "if-match"), "\"a\"");
	ck_assert_ptr_null(dialect_request_find(&r, "if"));
	dialect_request_release(&r);
}
END_TEST

/* ---- indexes ---- */

static struct store_list listed;

/* Parses with the folder http://h/a%20b/ standing for the prefix d/. */
static int parse(int (*parser)(const struct http_index *, const char *, size_t), const char *body)
{
	struct list_page page;
	struct http_index index = {.url = "http://h/a%20b/", .directory = "d/", .prefix = "d/", .page = &page};
	int r;

	memset(&listed, 0, sizeof(listed));
	list_page_init(&page);
	r = parser(&index, body, strlen(body));
	list_page_finish(&page, &listed, true);
	return r;
}

static const struct store_entry *entry(const char *key)
{
	for (size_t i = 0; i < listed.entry_count; i++)
		if (!strcmp(listed.entries[i].key, key))
			return &listed.entries[i];
	ck_abort_msg("no %s", key);
}

START_TEST(html_of_many_servers)
{
	http_index_init();
	ck_assert_int_eq(parse(http_index_parse_html,
	                       "<html><head><title>Index of /a b/</title></head><body bgcolor=\"white\">\n"
	                       "<h1>Index of /a b/</h1><hr><pre><a href=\"../\">../</a>\n"
	                       "<a href=\"sub%20dir/\">sub dir/</a>  31-Jan-2024 12:00   -\n"
	                       "<a href=\"x%26y%3Fz\">x&amp;y?z</a>  31-Jan-2024 12:00   1234\n"
	                       "<a href='q&amp;r'>q&amp;r</a>\n</pre></body></html>"), 0);
	ck_assert_uint_eq(listed.entry_count, 3);
	ck_assert(entry("d/sub dir/")->attr.is_prefix);
	ck_assert(entry("d/x&y?z")->attr.size_unknown);
	ck_assert(!entry("d/q&r")->attr.is_prefix);
	store_list_release(&listed);

	/* By hand, or nearly. */
	ck_assert_int_eq(parse(http_index_parse_html,
	                       "<a href=\"my file.txt\">x</a><a href=\" two words/ \">y</a>"
	                       "<a href=\"10:30.log\">z</a>"), 0);
	ck_assert_uint_eq(listed.entry_count, 3);
	entry("d/my file.txt");
	entry("d/two words/");
	entry("d/10:30.log");
	store_list_release(&listed);

	/* Apache: sorting links, the parent by its path, an icon before the name. */
	ck_assert_int_eq(parse(http_index_parse_html,
	                       "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\"><table>"
	                       "<tr><th><a href=\"?C=N;O=D\">Name</a></th></tr>"
	                       "<tr><td><a href=\"/\">Parent Directory</a></td></tr>"
	                       "<tr><td><a href=\"f.txt\"><img src=\"/i.gif\"></a></td>"
	                       "<td><a href=\"f.txt\">f.txt</a></td></tr>"
	                       "<tr><td><A HREF=\"/a%20b/g\">g</A><a name=x>anchor</a></td></tr>"
	                       "<tr><td><a href=\"sub\"><img></a><a href=\"sub/\">sub/</a></td></tr></table>"), 0);
	ck_assert_uint_eq(listed.entry_count, 4);
	entry("d/sub/");
	entry("d/f.txt");
	entry("d/g");
	store_list_release(&listed);
}
END_TEST

START_TEST(html_that_leads_elsewhere)
{
	http_index_init();
	ck_assert_int_eq(parse(http_index_parse_html,
	                       "<a href=\"http://other/a%20b/x\">1</a><a href=\"https://h/a%20b/x\">2</a>"
	                       "<a href=\"sub/deeper\">3</a><a href=\"javascript:alert(1)\">4</a>"
	                       "<a href=\"#top\">5</a><a href=\"\">6</a><a href=\".\">7</a>"
	                       "<a href=\"//h/a%20b/good\">8</a><a href=\"mailto:me@h\">9</a>"
	                       "<a href=\"bad%2Fslash\">10</a><a href=\"%2e%2e/\">11</a>"
	                       "<a href=\"nul%00x\">12</a><a>13</a><a href>14</a>"), 0);
	ck_assert_uint_eq(listed.entry_count, 1);
	entry("d/good");
	ck_assert_uint_eq(listed.unusable, 3);
	store_list_release(&listed);
	ck_assert_int_eq(parse(http_index_parse_html, ""), -EBADMSG);
	store_list_release(&listed);
}
END_TEST

START_TEST(html_without_an_end)
{
	struct buf b = BUF_INIT;

	http_index_init();
	for (int i = 0; i < 100000; i++)
		buf_adds(&b, "<div><p>");
	buf_adds(&b, "<a href=x>");
	ck_assert_int_eq(parse(http_index_parse_html, b.data), 0);
	store_list_release(&listed);
	buf_release(&b);
}
END_TEST

START_TEST(json_of_nginx)
{
	ck_assert_int_eq(parse(http_index_parse_json,
	                       "[{\"name\":\"sub\",\"type\":\"directory\",\"mtime\":\"Wed, 31 Jan 2024 12:00:00 GMT\"},"
	                       "{\"name\":\"f\\u00e9\",\"type\":\"file\",\"size\":1234,"
	                       "\"mtime\":\"Wed, 31 Jan 2024 12:00:00 GMT\"},"
	                       "{\"name\":\"s\",\"type\":\"other\"},{\"name\":\"a/b\",\"type\":\"file\"},"
	                       "{\"name\":\"n\\u0000x\",\"type\":\"file\"},{\"name\":\"..\",\"type\":\"file\"}]"), 0);
	ck_assert_uint_eq(listed.entry_count, 2);
	ck_assert_uint_eq(listed.unusable, 3);
	ck_assert(entry("d/sub/")->attr.is_prefix);
	ck_assert_uint_eq(entry("d/f\xc3\xa9")->attr.size, 1234);
	ck_assert(!entry("d/f\xc3\xa9")->attr.size_unknown);
	ck_assert_int_eq(entry("d/f\xc3\xa9")->attr.mtime_ns, 1706702400 * (int64_t)NS_PER_SECOND);
	store_list_release(&listed);
	ck_assert_int_eq(parse(http_index_parse_json, " [\r\n\t] \n"), 0);
	store_list_release(&listed);
}
END_TEST

/* A tree of [1,1,…] in a page of 16 MiB would be half a GiB, so none is built of so much. */
START_TEST(json_with_much_in_an_entry)
{
	struct buf body = BUF_INIT;
	size_t small = 0;

	buf_adds(&body, "[");
	for (int i = 0; i < 2; i++) {
		buf_adds(&body, "{\"name\":\"x\",\"type\":\"file\",\"extra\":[0");
		for (int k = 0; k < 3000 + 3000 * i; k++)
			buf_adds(&body, ",1");
		buf_adds(&body, i ? "]}]" : "]},");
		small = small ? small : body.length;
	}
	ck_assert_int_eq(parse(http_index_parse_json, body.data), -EBADMSG);
	store_list_release(&listed);
	buf_truncate(&body, small - 1);
	buf_addc(&body, ']');
	ck_assert_int_eq(parse(http_index_parse_json, body.data), 0);
	ck_assert_uint_eq(listed.entry_count, 1);
	store_list_release(&listed);
	buf_release(&body);
}
END_TEST

/* M1: names that are no UTF-8 are names, and cost no other name its own. */
START_TEST(json_of_bytes)
{
	ck_assert_int_eq(parse(http_index_parse_json,
	                       "[{\"name\":\"\xff\xc3\",\"type\":\"file\",\"size\":1},"
	                       "{\"name\":\"f\xc3\xa9\",\"type\":\"file\",\"size\":2},"
	                       "{\"name\":\"\xc2\x80\\u0001\\u65e5\",\"type\":\"file\",\"size\":3},"
	                       "{\"name\":\"\xed\xa0\x80\",\"type\":\"directory\"}]"), 0);
	ck_assert_uint_eq(listed.entry_count, 4);
	ck_assert_uint_eq(entry("d/\xff\xc3")->attr.size, 1);
	ck_assert_uint_eq(entry("d/f\xc3\xa9")->attr.size, 2);
	ck_assert_uint_eq(entry("d/\xc2\x80\x01\xe6\x97\xa5")->attr.size, 3);
	ck_assert(entry("d/\xed\xa0\x80/")->attr.is_prefix);
	store_list_release(&listed);
}
END_TEST

START_TEST(json_that_is_no_index)
{
	static const char *const bad[] = {"", "{}", "[", "[,]", "[]]", "[1]", "[{}]",
	                                  "[{\"name\":\"x\",\"type\":\"file\"},]",
	                                  "[{\"name\":\"x\",\"type\":\"file\"}",
	                                  "[{\"name\":\"\xff\",\"type\":\"file\"}{}]", "[{\"name\":1,\"type\":\"file\"}]", "[{\"name\":\"x\"",
	                                  "[{\"name\":\"x\"}]", "\xff", "[{\"name\":\"\xff\"}]"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(parse(http_index_parse_json, bad[i]) == -EBADMSG, "%s", bad[i]);
		store_list_release(&listed);
	}
}
END_TEST

#define DAV_RESPONSE(href, props)                                                            \
	"<D:response><D:href>" href "</D:href><D:propstat><D:prop>" props "</D:prop>"        \
	"<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"

START_TEST(dav_multistatus)
{
	ck_assert_int_eq(
		parse(http_index_parse_dav,
	              "<?xml version=\"1.0\"?><D:multistatus xmlns:D=\"DAV:\" xmlns:l=\"DAV:\">"
	              DAV_RESPONSE("/a%20b/", "<l:resourcetype><D:collection/></l:resourcetype>")
	              DAV_RESPONSE("/a%20b/sub/", "<l:resourcetype><D:collection/></l:resourcetype>")
	              DAV_RESPONSE("/a%20b/other", "<l:resourcetype><D:collection/></l:resourcetype>")
	              DAV_RESPONSE("http://h/a%20b/f%25", "<l:getcontentlength>12</l:getcontentlength>"
	                           "<l:getlastmodified>Wed, 31 Jan 2024 12:00:00 GMT</l:getlastmodified>"
	                           "<l:getetag>\"e1\"</l:getetag><l:resourcetype/>")
	              "<D:response><D:href>/a%20b/g</D:href><D:propstat><D:prop><l:getcontentlength>9"
	              "</l:getcontentlength></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>"
	              "</D:response>"
	              DAV_RESPONSE("https://inside:8443/a%20b/proxied", "<l:getetag>e2</l:getetag>")
	              DAV_RESPONSE("https://inside:8443/elsewhere/x", "") "</D:multistatus>"), 0);
	ck_assert_uint_eq(listed.entry_count, 5);
	ck_assert_str_eq(entry("d/proxied")->attr.etag, "\"e2\"");
	ck_assert(entry("d/sub/")->attr.is_prefix);
	ck_assert(entry("d/other/")->attr.is_prefix);
	ck_assert_uint_eq(entry("d/f%")->attr.size, 12);
	ck_assert_str_eq(entry("d/f%")->attr.etag, "\"e1\"");
	ck_assert_int_eq(entry("d/f%")->attr.mtime_ns, 1706702400 * (int64_t)NS_PER_SECOND);
	ck_assert(entry("d/g")->attr.size_unknown);
	store_list_release(&listed);
}
END_TEST

START_TEST(dav_that_is_hostile)
{
	static const char *const bad[] = {
		"", "<html/>", "<multistatus><response>",
		"<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><multistatus>&b;</multistatus>",
		("<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a>"
		 "</a></a></a></a></a></a></a></a></a>"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(parse(http_index_parse_dav, bad[i]) == -EBADMSG, "%s", bad[i]);
		store_list_release(&listed);
	}
}
END_TEST

/* ---- a folder on a server ---- */

static sem_t ended;
static int ended_with;

static void note_done(struct store_op *op, int result)
{
	ended_with = result;
	sem_post(&ended);
}

static int wait_for(int started)
{
	if (started)
		return started > 0 ? 0 : started;
	sem_wait(&ended);
	return ended_with;
}

static int list(struct store *s, const char *prefix)
{
	listed = (struct store_list){.op.done = note_done, .prefix = prefix, .delimited = true};
	return wait_for(store_list(s, &listed));
}

#define HTML(body, length) \
	"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: " length "\r\n\r\n" body
#define NO_METHOD "HTTP/1.1 405 Not Allowed\r\nContent-Length: 0\r\n\r\n"

static struct http_server *server;
static struct net *net;
static struct stats *stats;
static struct store *store;
static char *source;

static void setup_at(const char *path)
{
	struct net_config nc = {.connections = 4, .loops = 1, .connect_timeout_ms = 2000,
	                        .stall_timeout_ms = 2000, .clock = &clock_system};
	struct store_options options = {.retry_timeout_ns = 3 * NS_PER_SECOND};
	struct store_config config = {.options = &options, .clock = &clock_system};
	struct buf error = BUF_INIT;

	log_open("/dev/null", "error");
	sem_init(&ended, 0, 0);
	stats = nc.stats = config.stats = stats_create();
	server = http_server_start();
	ck_assert_int_eq(net_create(&nc, &net), 0);
	config.net = net;
	config.source = source = xasprintf("http://127.0.0.1:%d%s", server->port, path);
	ck_assert_msg(!store_create(&config, &store, &error), "%s", error.data);
	ck_assert_uint_eq(store_capabilities(store), STORE_LIST | STORE_READ_ONLY);
	ck_assert_str_eq(store_root(store), "");
}

static void setup(void)
{
	setup_at("/a%20b/");
}

static void teardown(void)
{
	store_destroy(store);
	net_destroy(net);
	http_server_stop(server);
	stats_destroy(stats);
	free(source);
}

START_TEST(folders_of_plain_servers)
{
	static const struct http_step steps[] = {{NO_METHOD}, {HTML("<a href=\"x\">x</a>", "17")},
	                                         {HTML("<a href=\"y%20z\">y</a><a href=\"q\"></a>", "37")},
	                                         {HTML("<a href=\"../\">up</a>", "20")}};

	setup();
	http_server_script(server, steps, ARRAY_SIZE(steps));
	ck_assert_int_eq(list(store, ""), 0);
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 0), "PROPFIND /a%20b/ HTTP/1.1\r\n"));
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 0), "\r\nDepth: 1\r\n"));
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 0), "<propfind"));
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 1), "GET /a%20b/ HTTP/1.1\r\n"));
	ck_assert_uint_eq(listed.entry_count, 1);
	ck_assert_str_eq(listed.entries[0].key, "x");
	store_list_release(&listed);
	/* What was learnt is not asked again; a prefix inside a folder is a filter. */
	ck_assert_int_eq(list(store, "sub dir/y"), 0);
	ck_assert_uint_eq(http_server_count(server), 3);
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 2), "GET /a%20b/sub%20dir/ HTTP/1.1\r\n"));
	ck_assert_uint_eq(listed.entry_count, 1);
	ck_assert_str_eq(listed.entries[0].key, "sub dir/y z");
	store_list_release(&listed);
	/* An empty folder is there. */
	ck_assert_int_eq(list(store, "void/"), 0);
	ck_assert_uint_eq(listed.entry_count, 1);
	ck_assert_str_eq(listed.entries[0].key, "void/");
	ck_assert(listed.entries[0].attr.is_prefix);
	store_list_release(&listed);
	/* Nobody asked for anything compressed. */
	for (size_t i = 0; i < http_server_count(server); i++)
		ck_assert_ptr_nonnull(strstr(http_server_request(server, i),
		                             "\r\nAccept-Encoding: identity\r\n"));
	teardown();
}
END_TEST

START_TEST(folders_of_dav_servers)
{
	static const char body[] = "<D:multistatus xmlns:D=\"DAV:\">" DAV_RESPONSE("/a%20b/", "")
		DAV_RESPONSE("/a%20b/f", "<D:getcontentlength>3</D:getcontentlength>") "</D:multistatus>";
	char *answer = xasprintf("HTTP/1.1 207 Multi\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
	struct http_step steps[] = {{answer}, {"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"}};

	setup();
	http_server_script(server, steps, 2);
	ck_assert_int_eq(list(store, ""), 0);
	ck_assert_uint_eq(listed.entry_count, 1);
	ck_assert_uint_eq(listed.entries[0].attr.size, 3);
	store_list_release(&listed);
	/* A server that is known to speak it means what it says. */
	ck_assert_int_eq(list(store, "gone/"), -ENOENT);
	ck_assert_uint_eq(http_server_count(server), 2);
	teardown();
	free(answer);
}
END_TEST

/* References are relative to the place that answered. */
START_TEST(folders_that_moved)
{
	static const char multistatus[] = "<D:multistatus xmlns:D=\"DAV:\">" DAV_RESPONSE("/c/", "")
		DAV_RESPONSE("/c/f", "") "</D:multistatus>";
	char *dav = xasprintf("HTTP/1.1 207 Multi\r\nContent-Length: %zu\r\n\r\n%s",
	                      strlen(multistatus), multistatus);
	struct http_step steps[] = {
		{"HTTP/1.1 301 M\r\nLocation: /c/index.php?all\r\nContent-Length: 0\r\n\r\n"},
		{_i ? dav : HTML("<a href=\"/c/f\">f</a>", "20")}};

	setup();
	http_server_script(server, steps, 2);
	ck_assert_int_eq(list(store, "s/"), 0);
	ck_assert_uint_eq(http_server_count(server), 2);
	ck_assert_uint_eq(listed.entry_count, 2);
	ck_assert_str_eq(listed.entries[0].key, "s/f");
	store_list_release(&listed);
	teardown();
	free(dav);
}
END_TEST

START_TEST(folders_by_a_roundabout_path)
{
	static const struct http_step steps[] = {{NO_METHOD}, {HTML("<a href=\"/b/f\">f</a>", "20")}};

	setup_at("/a/../b/");
	http_server_script(server, steps, 2);
	ck_assert_int_eq(list(store, ""), 0);
	ck_assert_uint_eq(listed.entry_count, 1);
	ck_assert_str_eq(listed.entries[0].key, "f");
	store_list_release(&listed);
	teardown();
}
END_TEST

START_TEST(files_in_folders)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 206 P\r\nContent-Range: bytes 1-2/3\r\nContent-Length: 2\r\n\r\nbc"}};
	struct store_attr attr = {.size = 3, .mtime_ns = 1706702400 * (int64_t)NS_PER_SECOND};
	struct store_object *o;
	char data[3] = "";

	setup();
	http_server_script(server, steps, 1);
	o = store_object_open(store, "s/x?y%", &attr);
	struct store_get get = {.op.done = note_done, .object = o, .offset = 1, .length = 2, .buffer = data};
	ck_assert_int_eq(wait_for(store_get_range(store, &get)), 0);
	ck_assert_str_eq(data, "bc");
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 0), "GET /a%20b/s/x%3Fy%25 HTTP/1.1\r\n"));
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 0), "\r\nIf-Unmodified-Since: Wed, 31 Jan 2024"));
	store_object_unref(o);
	teardown();
}
END_TEST

START_TEST(a_redirect_to_a_slash_is_a_folder)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 301 M\r\nLocation: http://127.0.0.1/a%20b/sub/\r\nContent-Length: 0\r\n\r\n"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"}};
	struct store_lookup op = {.op.done = note_done, .key = "sub"};

	setup();
	http_server_script(server, steps, 2);
	ck_assert_int_eq(wait_for(store_lookup(store, &op)), -ENOENT);
	ck_assert_uint_eq(http_server_count(server), 1);
	teardown();
}
END_TEST

START_TEST(folders_that_are_no_folders)
{
	static const struct http_step steps[] = {
		{NO_METHOD}, {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"}};

	setup();
	http_server_script(server, steps, 2);
	ck_assert_int_eq(list(store, ""), -EIO);
	ck_assert_ptr_nonnull(strstr(listed.op.error, "no listing"));
	ck_assert_uint_le(http_server_count(server), 8);
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_dialect");
	TCase *tc = tcase_create("http_dialect");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, urls_split);
	tcase_add_test(tc, urls_that_are_none);
	tcase_add_test(tc, origins_compare);
	tcase_add_loop_test(tc, references_resolve, 0, ARRAY_SIZE(references));
	tcase_add_test(tc, dates_in_every_form);
	tcase_add_test(tc, numbers_are_digits);
	tcase_add_loop_test(tc, content_ranges_parse, 0, ARRAY_SIZE(content_ranges));
	tcase_add_loop_test(tc, delays_are_read, 0, ARRAY_SIZE(delays));
	tcase_add_test(tc, short_ids_tell_little);
	tcase_add_test(tc, header_values_stay_on_their_line);
	tcase_add_test(tc, html_of_many_servers);
	tcase_add_test(tc, html_that_leads_elsewhere);
	tcase_add_test(tc, html_without_an_end);
	tcase_add_test(tc, json_of_nginx);
	tcase_add_test(tc, json_with_much_in_an_entry);
	tcase_add_test(tc, json_of_bytes);
	tcase_add_test(tc, json_that_is_no_index);
	tcase_add_test(tc, dav_multistatus);
	tcase_add_test(tc, dav_that_is_hostile);
	tcase_add_test(tc, folders_of_plain_servers);
	tcase_add_test(tc, folders_of_dav_servers);
	tcase_add_loop_test(tc, folders_that_moved, 0, 2);
	tcase_add_test(tc, folders_by_a_roundabout_path);
	tcase_add_test(tc, files_in_folders);
	tcase_add_test(tc, a_redirect_to_a_slash_is_a_folder);
	tcase_add_test(tc, folders_that_are_no_folders);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
