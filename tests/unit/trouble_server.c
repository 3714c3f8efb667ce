/* A thread a connection; each request is looked up in a table of what to say and what to do
 * with the connection then. */
#include "trouble_server.h"
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pailfs/base/buf.h"
#include "pailfs/base/xalloc.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define OK_1000 OK "Content-Length: 1000\r\n\r\n"
#define OK_CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"
#define FILLER "0123456789012345678901234567890123456789012345678901234567890123"
#define HINT "HTTP/1.1 103 Early Hints\r\n"

static const struct trouble {
	const char *path;
	const char *first; /* said once */
	const char *again; /* then this, 20,000 times; NULL: not */
	enum { KEEP, CLOSE, RESET, HOLD } then;
} troubles[] = {
	{"/missing", "HTTP/1.1 404 Not Found\r\nX-Why: because\r\nContent-Length: 5\r\n\r\nnope!"},
	{"/redirect", "HTTP/1.1 302 Found\r\nLocation: /bytes/5\r\nContent-Length: 0\r\n\r\n"},
	{"/informational",
	 HINT "X-Early: 1\r\n\r\n" OK "X-Final:  a b \t\r\nContent-Length: 4\r\n\r\ndone"},
	{"/trailer", OK "Transfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n"
			"4\r\nbody\r\n0\r\nX-Late: 1\r\n\r\n"},
	{"/encoded", OK "Content-Encoding: gzip\r\nContent-Length: 15\r\n\r\nnot gzip at all"},
	{"/once", OK "Content-Length: 4\r\n\r\nonce", .then = CLOSE},
	{"/truncated", OK_1000 "short", .then = CLOSE},
	{"/chunk-truncated", OK_CHUNKED "100\r\nshort", .then = CLOSE},
	{"/bad-chunk", OK_CHUNKED "zz\r\nshort", .then = CLOSE},
	{"/reset", OK_1000 "short", .then = RESET},
	{"/nothing", "", .then = CLOSE},
	{"/garbage", "this is no HTTP\r\n\r\n", .then = CLOSE},
	{"/many-headers", OK, "X-Filler: " FILLER "\r\n", CLOSE},
	{"/many-informational", "", HINT "X-Filler: " FILLER "\r\n\r\n", CLOSE},
	{"/long-header", OK "X-Filler: ", FILLER, CLOSE},
	/* As a proxy, to CONNECT. */
	{"forbidden.invalid:443", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"},
	{"password.invalid:443", "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n"},
	{"gone.invalid:443", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"},
	{"/silent", "", .then = HOLD},
	{"/stall", OK_1000 "short", .then = HOLD},
};

struct connection {
	struct server *server;
	int fd;
	int served; /* requests before this one */
};

static void say(int fd, const char *text)
{
	size_t n = strlen(text), done = 0;

	while (done < n) {
		ssize_t part = send(fd, text + done, n - done, MSG_NOSIGNAL);

		if (part <= 0)
			return;
		done += (size_t)part;
	}
}

/* Holds the connection open until the client has gone or the test ends. */
static void hold(struct connection *c)
{
	struct timeval wait = {.tv_usec = 20000};
	char byte;

	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	while (!atomic_load(&c->server->stopping))
		if (recv(c->fd, &byte, 1, 0) == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
			return;
}

static void reset(int fd)
{
	struct linger now = {.l_onoff = 1};

	usleep(20000); /* what was said shall arrive */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* Returns whether the connection goes on. */
static bool make_trouble(struct connection *c, const struct trouble *t)
{
	say(c->fd, t->first);
	for (int i = 0; t->again && i < 20000; i++)
		say(c->fd, t->again);
	if (t->then == RESET)
		reset(c->fd);
	else if (t->then == HOLD)
		hold(c);
	return t->then == KEEP;
}

/* /bytes/N: N times "x". */
static void answer_bytes(int fd, const char *method, size_t n)
{
	char head[128], block[4096];

	snprintf(head, sizeof(head), OK "Content-Length: %zu\r\nETag: \"e\"\r\n\r\n", n);
	say(fd, head);
	memset(block, 'x', sizeof(block));
	for (size_t part; n > 0 && strcmp(method, "HEAD") != 0; n -= part) {
		part = MIN(n, sizeof(block) - 1);
		block[part] = 0;
		say(fd, block);
		block[part] = 'x';
	}
}

/* /echo: the method, the request's head and its body, a line each. Any other path that is not
 * in the table: the path. */
static void answer_text(int fd, const char *status, const char *a, const char *b, const char *c)
{
	char head[128];

	snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", status,
		 strlen(a) + strlen(b) + strlen(c));
	say(fd, head);
	say(fd, a);
	say(fd, b);
	say(fd, c);
}

/* /slow: ten bytes, each 60 ms after the one before. */
static void answer_slowly(int fd)
{
	say(fd, OK "Content-Length: 10\r\n\r\n");
	for (int i = 0; i < 10; i++) {
		usleep(60000);
		say(fd, "s");
	}
}

static bool serve(struct connection *c, const char *head, const char *body)
{
	char method[16], path[64];
	size_t n;

	if (sscanf(head, "%15s %63s", method, path) != 2)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(troubles); i++)
		if (strcmp(path, troubles[i].path) == 0)
			return make_trouble(c, &troubles[i]);
	/* /first: only a connection's first request has an answer. */
	if (strcmp(path, "/first") == 0 && c->served > 0)
		return false;
	if (sscanf(path, "/bytes/%zu", &n) == 1)
		answer_bytes(c->fd, method, n);
	else if (strcmp(path, "/slow") == 0)
		answer_slowly(c->fd);
	else if (strcmp(path, "/first") == 0)
		answer_text(c->fd, "200 OK", "first", "", "");
	else if (strcmp(path, "/echo") == 0)
		answer_text(c->fd, "200 OK", head, "\n", body);
	else
		answer_text(c->fd, "500 Unknown", path, "", "");
	return true;
}

/* Adds what arrives. False at the connection's end. */
static bool receive(int fd, struct buf *in)
{
	char block[65536];
	ssize_t n = recv(fd, block, sizeof(block), 0);

	if (n > 0 && in->length == 0 && block[0] == 0x16) { /* TLS */
		say(fd, "HTTP/1.1 400 Speak plainly\r\n\r\n");
		return false;
	}
	if (n > 0)
		buf_add(in, block, (size_t)n);
	return n > 0;
}

static void *connection_main(void *data)
{
	struct connection *c = data;
	struct buf in = BUF_INIT;
	bool go_on = true;

	while (go_on) {
		char *end, *head, *length;
		size_t head_size, body_size = 0;

		while (!(end = strstr(in.data, "\r\n\r\n")) && (go_on = receive(c->fd, &in)))
			;
		if (!go_on)
			break;
		head_size = (size_t)(end - in.data) + 4;
		head = xstrndup(in.data, head_size);
		if ((length = strcasestr(head, "Content-Length:")))
			body_size = strtoul(length + 15, NULL, 10);
		while (in.length < head_size + body_size && receive(c->fd, &in))
			;
		atomic_fetch_add(&c->server->requests, 1);
		go_on = serve(c, head, in.data + head_size);
		c->served++;
		free(head);
		buf_reset(&in);
	}
	buf_release(&in);
	close(c->fd);
	atomic_fetch_sub(&c->server->open, 1);
	free(c);
	return NULL;
}

static void *server_main(void *data)
{
	struct server *s = data;
	int fd;

	while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
		struct connection *c = xmalloc(sizeof(*c));
		pthread_t thread;
		int on = 1;

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		*c = (struct connection){s, fd};
		atomic_fetch_add(&s->connections, 1);
		atomic_fetch_add(&s->open, 1);
		pthread_create(&thread, NULL, connection_main, c);
		pthread_detach(thread);
	}
	return NULL;
}

int server_listen(int family, int *port)
{
	struct sockaddr_in four = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr *address = family == AF_INET ? (void *)&four : (void *)&six;
	socklen_t size = family == AF_INET ? sizeof(four) : sizeof(six);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, address, size) < 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	ck_assert_int_eq(listen(fd, 256), 0);
	ck_assert_int_eq(getsockname(fd, address, &size), 0);
	*port = ntohs(family == AF_INET ? four.sin_port : six.sin6_port);
	return fd;
}

struct server *server_start(int family)
{
	struct server *s = xcalloc(1, sizeof(*s));

	s->fd = server_listen(family, &s->port);
	if (s->fd < 0) {
		free(s);
		return NULL;
	}
	pthread_create(&s->thread, NULL, server_main, s);
	return s;
}

void server_stop(struct server *s)
{
	atomic_store(&s->stopping, true);
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
	while (atomic_load(&s->open) > 0)
		usleep(1000);
	free(s);
}
