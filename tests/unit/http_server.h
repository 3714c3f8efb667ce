/* http_server.h - a web server in the test's own process that answers by a script.
 *
 * Each request takes the next step of the script, whatever connection it comes over; the last
 * step answers all that follow. What was asked is kept for the test to look at. Failing
 * system calls end the test: there is nothing to recover. */
#ifndef PAILFS_TESTS_HTTP_SERVER_H
#define PAILFS_TESTS_HTTP_SERVER_H

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "pailfs/base/buf.h"
#include "pailfs/base/lock.h"
#include "pailfs/base/xalloc.h"

struct http_step {
	const char *answer;  /* head and body as they go over the wire; NULL: none at all */
	unsigned delay_ms;   /* before the answer */
	bool close;          /* an orderly end behind the answer */
	bool reset;          /* RST behind it */
	bool hang;           /* nothing more, until the server stops */
	unsigned drip_ms;    /* a pause between any two bytes of it */
};

#define HTTP_SERVER_MAX 1024

struct http_server {
	int fd;
	int port;
	pthread_t thread;
	pthread_mutex_t lock;
	/* The lock's. */
	bool stopping;
	const struct http_step *steps;
	size_t step_count;
	char *requests[HTTP_SERVER_MAX]; /* head and body */
	size_t request_count;
	int connections[HTTP_SERVER_MAX];
	pthread_t threads[HTTP_SERVER_MAX];
	size_t connection_count;
};

struct http_connection {
	struct http_server *server;
	int fd;
};

static inline void http_server_send(int fd, const char *s, size_t n, unsigned drip_ms)
{
	while (n) {
		ssize_t k = send(fd, s, drip_ms ? 1 : n, MSG_NOSIGNAL);

		if (k <= 0)
			return;
		s += k;
		n -= (size_t)k;
		if (drip_ms)
			usleep(drip_ms * 1000);
	}
}

/* Reads one request; false at the end of the connection. What follows it stays in `in`. */
static inline bool http_server_receive(int fd, struct buf *in, struct buf *request)
{
	char chunk[4096];
	const char *end;

	while (!(end = strstr(in->data, "\r\n\r\n"))) {
		ssize_t n = recv(fd, chunk, sizeof(chunk), 0);

		if (n <= 0)
			return false;
		buf_add(in, chunk, (size_t)n);
	}
	buf_reset(request);
	buf_add(request, in->data, (size_t)(end + 4 - in->data));
	memmove(in->data, in->data + request->length, in->length - request->length);
	buf_truncate(in, in->length - request->length);
	const char *header = strcasestr(request->data, "\r\ncontent-length:");
	size_t body = header ? strtoul(header + 17, NULL, 10) : 0;

	while (in->length < body) {
		ssize_t n = recv(fd, chunk, sizeof(chunk), 0);

		if (n <= 0)
			return false;
		buf_add(in, chunk, (size_t)n);
	}
	buf_add(request, in->data, body);
	memmove(in->data, in->data + body, in->length - body);
	buf_truncate(in, in->length - body);
	return true;
}

static inline struct http_step http_server_next(struct http_server *s, struct buf *request)
{
	scoped_lock(&s->lock);
	size_t i = s->request_count++;

	ck_assert_uint_lt(i, HTTP_SERVER_MAX);
	s->requests[i] = buf_detach(request);
	return s->steps[MIN(i, s->step_count - 1)];
}

static inline void *http_server_connection(void *data)
{
	struct http_connection *c = data;
	struct buf in = BUF_INIT, request = BUF_INIT;
	bool open = true;

	while (open && http_server_receive(c->fd, &in, &request)) {
		struct http_step step = http_server_next(c->server, &request);

		usleep(step.delay_ms * 1000);
		if (step.answer)
			http_server_send(c->fd, step.answer, strlen(step.answer), step.drip_ms);
		if (step.hang) {
			char byte;

			while (recv(c->fd, &byte, 1, 0) > 0)
				;
			open = false;
		}
		if (step.reset) {
			struct linger now = {.l_onoff = 1, .l_linger = 0};

			usleep(20000); /* or the bytes before it are lost */
			setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
			open = false;
		}
		open = open && !step.close;
	}
	{
		scoped_lock(&c->server->lock);
		for (size_t i = 0; i < c->server->connection_count; i++)
			if (c->server->connections[i] == c->fd)
				c->server->connections[i] = -1;
		close(c->fd);
	}
	buf_release(&in);
	buf_release(&request);
	free(c);
	return NULL;
}

static inline void *http_server_main(void *data)
{
	struct http_server *s = data;

	for (;;) {
		int fd = accept(s->fd, NULL, NULL);
		struct http_connection *c;

		/* A test took the descriptors before we were here; the kernel wants one to wait. */
		if (fd < 0 && errno == EMFILE) {
			usleep(10000);
			continue;
		}
		scoped_lock(&s->lock);
		if (fd < 0 || s->stopping) {
			if (fd >= 0)
				close(fd);
			return NULL;
		}
		ck_assert_uint_lt(s->connection_count, HTTP_SERVER_MAX);
		c = xmalloc(sizeof(*c));
		*c = (struct http_connection){s, fd};
		s->connections[s->connection_count] = fd;
		pthread_create(&s->threads[s->connection_count], NULL, http_server_connection, c);
		s->connection_count++;
	}
}

static inline struct http_server *http_server_start(void)
{
	struct http_server *s = xcalloc(1, sizeof(*s));
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(s->fd, (struct sockaddr *)&a, n), 0);
	ck_assert_int_eq(listen(s->fd, 64), 0);
	ck_assert_int_eq(getsockname(s->fd, (struct sockaddr *)&a, &n), 0);
	s->port = ntohs(a.sin_port);
	pthread_mutex_init(&s->lock, NULL);
	pthread_create(&s->thread, NULL, http_server_main, s);
	return s;
}

/* The script from now on; what was asked before is forgotten. */
static inline void http_server_script(struct http_server *s, const struct http_step *steps, size_t n)
{
	scoped_lock(&s->lock);
	for (size_t i = 0; i < s->request_count; i++)
		free(s->requests[i]);
	s->request_count = 0;
	s->steps = steps;
	s->step_count = n;
}

static inline size_t http_server_count(struct http_server *s)
{
	scoped_lock(&s->lock);
	return s->request_count;
}

/* The text of request i; "" when it has not come. Borrowed until the next script. */
static inline const char *http_server_request(struct http_server *s, size_t i)
{
	scoped_lock(&s->lock);
	return i < s->request_count ? s->requests[i] : "";
}

static inline void http_server_stop(struct http_server *s)
{
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	shutdown(s->fd, SHUT_RDWR);
	for (size_t i = 0; i < s->connection_count; i++)
		if (s->connections[i] >= 0)
			shutdown(s->connections[i], SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	for (size_t i = 0; i < s->connection_count; i++)
		pthread_join(s->threads[i], NULL);
	http_server_script(s, NULL, 0);
	close(s->fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

#endif
