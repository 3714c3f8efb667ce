/* One HTTP transfer.
 *
 * Setting up an easy handle from nothing costs more than a small request, so handles are
 * made once with all that never changes, and each request sets only what differs: URL,
 * method, header lines, length of the body. Every method with a body is curl's upload with
 * another verb, which sends Content-Length and adds no Content-Type of its own.
 *
 * Nothing is gathered here: header lines and body bytes go to the request's handler as they
 * come. What a server can make grow is bounded: curl limits a header line (100 KiB), we the
 * sum of all lines. */
#include "src/net/http.h"
#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "src/net/header.h"

/* Less than curl's own limit (300 KiB in newer versions), so that ours is the one met. */
#define HEADER_BYTES_MAX (256u << 10)

/* The handler ended it, or we did: curl is told to stop and this is what is reported. */
static size_t give_up(struct transfer *t, int error, const char *text)
{
	t->error = error;
	snprintf(t->text, sizeof(t->text), "%s", text);
	return 0; /* never a count that curl takes for success: it calls with at least a byte */
}

static void show_header(struct net_request *r, const char *line, size_t n)
{
	struct header h;
	char small[512], *value; /* most values fit; the line is curl's, with no NUL after it */

	if (!r->handler->header || !header_parse(line, n, &h))
		return;
	value = h.value_length < sizeof(small) ? small : xmalloc(h.value_length + 1);
	memcpy(value, h.value, h.value_length);
	value[h.value_length] = 0;
	r->handler->header(r, h.name, value, h.value_length);
	if (value != small)
		free(value);
}

/* A line at a time; a status line begins each answer and an empty one ends its headers. */
static size_t on_header(char *line, size_t size, size_t n, void *data)
{
	struct transfer *t = data;
	struct net_request *r = t->request;

	t->active_ns = t->loop->now_ns;
	t->header_bytes += n;
	if (t->header_bytes > HEADER_BYTES_MAX)
		return give_up(t, -EPROTO, "the answer's headers exceed 256 KiB");
	if (t->in_headers && (line[0] == '\r' || line[0] == '\n')) {
		t->in_headers = false;
	} else if (t->in_headers) {
		show_header(r, line, n);
	} else if (n > 5 && memcmp(line, "HTTP/", 5) == 0 && r->status == 0) {
		long status = 0;

		curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
		if (status >= 200) {
			r->status = (int)status;
			r->first_byte_ns = clock_monotonic(t->loop->net->config.clock);
			t->in_headers = true;
		}
	}
	return n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *data)
{
	struct transfer *t = data;
	struct net_request *r = t->request;
	int error;

	t->active_ns = t->loop->now_ns;
	t->in_headers = false; /* trailers are no headers */
	r->received += n;
	error = r->handler->body ? r->handler->body(r, bytes, n) : 0;
	return error ? give_up(t, error, "the answer was not accepted") : n;
}

static size_t on_send(char *buffer, size_t size, size_t n, void *data)
{
	struct transfer *t = data;
	struct net_request *r = t->request;
	size_t done = 0;

	t->active_ns = t->loop->now_ns;
	n *= size;
	while (done < n && t->send_index < r->send_count) {
		const struct iovec *v = &r->send[t->send_index];
		size_t part = MIN(n - done, v->iov_len - t->send_offset);

		if (part > 0) /* an empty one may have no address */
			memcpy(buffer + done, (const char *)v->iov_base + t->send_offset, part);
		done += part;
		t->send_offset += part;
		if (t->send_offset == v->iov_len) {
			t->send_index++;
			t->send_offset = 0;
		}
	}
	r->sent += done;
	return done;
}

/* curl sends a body again when the kept connection it chose turned out to be dead. */
static int on_rewind(void *data, curl_off_t offset, int origin)
{
	struct transfer *t = data;

	if (origin != SEEK_SET || offset != 0)
		return CURL_SEEKFUNC_CANTSEEK;
	t->send_index = 0;
	t->send_offset = 0;
	t->request->sent = 0;
	return CURL_SEEKFUNC_OK;
}

/* curl does not ask why it got none. */
static curl_socket_t on_open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct transfer *t = data;
	curl_socket_t fd = sockets_open(&t->loop->sockets, purpose, address);

	/* A name may have addresses that this machine lacks. */
	t->socket_error = fd == CURL_SOCKET_BAD && errno != EAFNOSUPPORT ? -errno : 0;
	return fd;
}

/* The connection stands, with TLS; the request goes out next. When curl has found that the kept
 * connection it chose was dead, that is for the second time. */
static int on_connected(void *data, char *remote_ip, char *local_ip, int remote_port,
			int local_port)
{
	struct transfer *t = data;
	struct net_request *r = t->request;

	r->resent += t->connected;
	t->connected = true;
	t->active_ns = t->loop->now_ns;
	snprintf(r->remote, sizeof(r->remote), strchr(remote_ip, ':') ? "[%s]:%d" : "%s:%d",
		 remote_ip, remote_port);
	return CURL_PREREQFUNC_OK;
}

/* curl parses the authorities once for all connections, unless a directory of them, which many
 * distributions set beside the file, may hold more: then anew for each connection. A ca_file
 * is also meant to be all that is trusted. */
static void set_authorities(CURL *e, const char *ca_file)
{
	const char *file = ca_file;

	if (ca_file)
		curl_easy_setopt(e, CURLOPT_CAINFO, ca_file);
	else
		curl_easy_getinfo(e, CURLINFO_CAINFO, &file);
	if (file && access(file, R_OK) == 0)
		curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
}

struct transfer *transfer_create(struct net_loop *l)
{
	const struct net_config *c = &l->net->config;
	struct transfer *t = xcalloc(1, sizeof(*t));
	CURL *e = t->easy = curl_easy_init();

	if (!e) {
		free(t);
		return NULL;
	}
	t->loop = l;
	list_init(&t->link);
	curl_easy_setopt(e, CURLOPT_PRIVATE, t);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->text);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(e, CURLOPT_READFUNCTION, on_send);
	curl_easy_setopt(e, CURLOPT_READDATA, t);
	curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_rewind);
	curl_easy_setopt(e, CURLOPT_SEEKDATA, t);
	curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, t);
	curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, sockets_close);
	curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, &l->sockets);

	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* never wait for a resolver's thread */
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L); /* a key may hold "/../" */
	curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)NET_BUFFER_SIZE);
	curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, (long)NET_BUFFER_SIZE);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_timeout_ms);
	set_authorities(e, c->ca_file);
	return t;
}

void transfer_destroy(struct transfer *t)
{
	curl_easy_cleanup(t->easy);
	free(t->lines);
	free(t);
}

/* curl takes header lines as a list and does not copy it: the nodes are an array of ours and
 * the strings the owner's. */
static void set_lines(struct transfer *t, const struct net_request *r, bool has_body)
{
	size_t n = 0, max = r->header_count + 1;
	bool expect = false;

	if (t->line_capacity < max) {
		t->line_capacity = max + 8;
		t->lines = xrealloc(t->lines, t->line_capacity, sizeof(t->lines[0]));
	}
	for (size_t i = 0; i < r->header_count; i++) {
		t->lines[n++].data = (char *)r->headers[i];
		expect = expect || strncasecmp(r->headers[i], "Expect:", 7) == 0;
	}
	/* An empty one keeps curl from adding its own, which costs a round trip. */
	if (has_body && !expect)
		t->lines[n++].data = (char *)"Expect:";
	for (size_t i = 0; i < n; i++)
		t->lines[i].next = i + 1 < n ? &t->lines[i + 1] : NULL;
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, n ? t->lines : NULL);
}

/* libcurl before 8.0.0 fails on the second request of a connection that began with HTTP/2 by
 * prior knowledge ("Error in the HTTP2 framing layer"): there, each gets a fresh one. */
static bool prior_knowledge_is_for_once(void)
{
	return curl_version_info(CURLVERSION_NOW)->version_num < 0x080000;
}

static void set_version(CURL *e, const struct net_config *c, const char *url)
{
	bool tls = strncasecmp(url, "https:", 6) == 0;
	bool once = c->http2 && !tls && prior_knowledge_is_for_once();

	curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
	                 !c->http2 ? CURL_HTTP_VERSION_1_1 :
	                 tls       ? CURL_HTTP_VERSION_2TLS :
	                             CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
	curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, (long)once);
	curl_easy_setopt(e, CURLOPT_FORBID_REUSE, (long)once);
	curl_easy_setopt(e, CURLOPT_PIPEWAIT, (long)(c->http2 && !once));
}

int transfer_prepare(struct transfer *t, struct net_request *r)
{
	static const char *const verbs[] = {
		[NET_GET] = "GET",   [NET_HEAD] = "HEAD",     [NET_PUT] = "PUT",
		[NET_POST] = "POST", [NET_DELETE] = "DELETE", [NET_PROPFIND] = "PROPFIND",
	};
	CURL *e = t->easy;
	bool has_body = r->method == NET_PUT || r->method == NET_POST || r->send_count > 0;
	bool plain = r->method == NET_GET || r->method == NET_HEAD || r->method == NET_PUT;
	curl_off_t length = 0;

	for (int i = 0; i < r->send_count; i++)
		length += (curl_off_t)r->send[i].iov_len;
	curl_easy_setopt(e, CURLOPT_UPLOAD, 0L);
	curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, plain ? NULL : verbs[r->method]);
	if (has_body) {
		curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, length);
	} else if (r->method == NET_HEAD) {
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	}
	set_version(e, &t->loop->net->config, r->url);
	set_lines(t, r, has_body);
	if (curl_easy_setopt(e, CURLOPT_URL, r->url) != CURLE_OK)
		return -ENOMEM;

	t->request = r;
	t->active_ns = t->loop->now_ns;
	t->fd = -1;
	t->unsent = -1;
	t->connected = false;
	t->in_headers = false;
	t->header_bytes = 0;
	t->error = 0;
	t->socket_error = 0;
	t->send_index = 0;
	t->send_offset = 0;
	t->text[0] = 0;
	r->transfer = t;
	r->resent = 0;
	r->started_ns = clock_monotonic(t->loop->net->config.clock);
	return 0;
}

/* A resolver that gets no descriptor does not say so. */
static int descriptor_shortage(void)
{
	int fd = eventfd(0, EFD_CLOEXEC), error = errno;

	if (fd < 0)
		return error == EMFILE || error == ENFILE ? -error : 0;
	close(fd);
	return 0;
}

/* A proxy that did not connect us told why: it does not let us, or could not reach the server.
 * 0: there was none, or it did. */
static int error_from_proxy(struct transfer *t)
{
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	if (t->connected || status < 300)
		return 0;
	return status < 500 ? -EACCES : -ECONNREFUSED;
}

/* The errors that net.h promises, for curl's. */
static int error_from_curl(struct transfer *t, CURLcode code)
{
	int proxy = error_from_proxy(t);
	long system = 0;

	if (proxy)
		return proxy;
	switch (code) {
	case CURLE_OK:
		return t->request->status ? 0 : -EPROTO;
	case CURLE_URL_MALFORMAT:
		return -EINVAL;
	case CURLE_UNSUPPORTED_PROTOCOL: /* the URL's, or an answer in HTTP/0.9 */
		return t->connected ? -EPROTO : -EINVAL;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		t->socket_error = descriptor_shortage();
		return t->socket_error ? t->socket_error : -EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		if (t->socket_error)
			return t->socket_error;
		curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &system);
		switch (system) {
		case EHOSTUNREACH:
		case ENETUNREACH:
			return -EHOSTUNREACH;
		case ETIMEDOUT:
		case EADDRNOTAVAIL:
			return -(int)system;
		default:
			return -ECONNREFUSED;
		}
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_HTTP2_STREAM:
		return -ECONNRESET;
	case CURLE_SSL_CONNECT_ERROR: /* a certificate that is not trusted is another */
		return -ECONNABORTED;
	case CURLE_OUT_OF_MEMORY: /* also what it says of a header line that is too long */
		return t->connected ? -EPROTO : -ENOMEM;
	default:
		return -EPROTO;
	}
}

/* Of a proxy's URL that it cannot take, curl shows all, its password too. */
static void hide_proxy(struct transfer *t)
{
	static const char says[] = "Unsupported proxy";

	if (strncmp(t->text, says, strlen(says)) == 0)
		snprintf(t->text, sizeof(t->text), "http_proxy or https_proxy is no proxy's URL");
}

void transfer_finish(struct transfer *t, CURLcode code)
{
	struct net_request *r = t->request;
	const struct net_config *c = &t->loop->net->config;
	long connects = 0;

	r->finished_ns = clock_monotonic(c->clock);
	r->error = t->error ? t->error : error_from_curl(t, code);
	if (r->error && r->error == t->socket_error)
		snprintf(t->text, sizeof(t->text), "no socket: %s", strerror(-r->error));
	else if (r->error && !t->text[0])
		snprintf(t->text, sizeof(t->text), "%s", curl_easy_strerror(code));
	hide_proxy(t);
	snprintf(r->error_text, sizeof(r->error_text), "%.*s", (int)sizeof(r->error_text) - 1,
		 r->error ? t->text : "");
	curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
	if (c->stats && connects > 0)
		stats_add(c->stats, STAT_CONNECTIONS_OPENED, connects);
	r->transfer = NULL;
	t->request = NULL;
}

static bool is_stalled(struct transfer *t, uint64_t now_ns, uint64_t stall_ns)
{
	int unsent;
	char text[64];

	if (!t->connected) /* curl has a timeout for that */
		t->active_ns = now_ns;
	if (now_ns - t->active_ns < stall_ns)
		return false;
	/* What curl handed to the kernel may still be on its way over a slow link. */
	if (t->request->sent > 0 && t->request->status == 0 && t->fd >= 0 &&
	    ioctl(t->fd, SIOCOUTQ, &unsent) == 0 && unsent > 0 && unsent != t->unsent) {
		t->unsent = unsent;
		t->active_ns = now_ns;
		return false;
	}
	snprintf(text, sizeof(text), "no byte moved for %llu ms", stall_ns / NS_PER_MS);
	give_up(t, -ETIMEDOUT, text);
	return true;
}

static bool is_late(struct transfer *t, uint64_t now_ns)
{
	const struct net_request *r = t->request;
	char text[80];

	if (!r->deadline_ns || now_ns < r->deadline_ns)
		return false;
	if (t->connected)
		snprintf(text, sizeof(text), "not finished in time (%llu bytes came, the last %llu ms ago)",
		         (unsigned long long)r->received, (now_ns - t->active_ns) / NS_PER_MS);
	else
		snprintf(text, sizeof(text), "not connected in time");
	give_up(t, -ETIMEDOUT, text);
	return true;
}

bool transfer_overdue(struct transfer *t, uint64_t now_ns, uint64_t stall_ns)
{
	return is_late(t, now_ns) || (stall_ns && is_stalled(t, now_ns, stall_ns));
}

uint64_t transfer_due(const struct transfer *t, uint64_t stall_ns)
{
	uint64_t deadline = t->request->deadline_ns, due = deadline ? deadline : UINT64_MAX;

	return stall_ns ? MIN(due, t->active_ns + stall_ns) : due;
}
