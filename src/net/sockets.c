/* A kept connection stays in the epoll set while it is idle, so a request over it costs no
 * epoll_ctl(2). Should the server close it meanwhile, the event takes it out of the set, and
 * curl finds out when it next wants the connection.
 *
 * Only sockets that we opened are treated so: curl tells us when those are closed, while a
 * resolver's descriptor may be closed, and its number given away, in silence. */
#include "src/net/sockets.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "pailfs/base/log.h"
#include "pailfs/base/xalloc.h"

void sockets_release(struct sockets *s)
{
	free(s->watched);
	*s = (struct sockets){.epoll_fd = -1};
}

static struct watched *watched_at(struct sockets *s, int fd)
{
	if ((size_t)fd >= s->count) {
		size_t count = MAX((size_t)fd + 1, 2 * s->count);

		s->watched = xrealloc(s->watched, count, sizeof(s->watched[0]));
		memset(s->watched + s->count, 0, (count - s->count) * sizeof(s->watched[0]));
		s->count = count;
	}
	return &s->watched[fd];
}

static void set_registered(struct sockets *s, int fd, struct watched *w, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};
	int op = !events ? EPOLL_CTL_DEL : w->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (epoll_ctl(s->epoll_fd, op, fd, &e) < 0 && events)
		log_error(LOG_NET, "cannot watch a socket: %s", strerror(errno));
	w->registered = events;
}

void sockets_want(struct sockets *s, int fd, int what)
{
	struct watched *w = watched_at(s, fd);

	w->wanted = 0;
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		w->wanted |= EPOLLIN;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		w->wanted |= EPOLLOUT;
	if (w->wanted != w->registered && (w->wanted || !w->ours))
		set_registered(s, fd, w, w->wanted);
}

bool sockets_wanted(struct sockets *s, int fd)
{
	struct watched *w = watched_at(s, fd);

	if (!w->wanted && w->registered)
		set_registered(s, fd, w, 0);
	return w->wanted != 0;
}

curl_socket_t sockets_open(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

	if (fd < 0)
		return CURL_SOCKET_BAD;
	*watched_at(data, fd) = (struct watched){.ours = true};
	return fd;
}

int sockets_close(void *data, curl_socket_t fd)
{
	*watched_at(data, fd) = (struct watched){0}; /* close takes it out of the epoll set */
	return close(fd);
}
