/* sockets.h - the descriptors that a loop's curl waits for, in an epoll set.
 *
 * It belongs to the loop's thread. */
#ifndef PAILFS_NET_SOCKETS_H
#define PAILFS_NET_SOCKETS_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What epoll and curl each think of a descriptor; EPOLLIN, EPOLLOUT. */
struct watched {
	uint32_t registered; /* what epoll watches; 0: it is not in the set */
	uint32_t wanted;     /* what curl wants watched; 0: nothing */
	bool ours;           /* opened by sockets_open, so its end is told too */
};

struct sockets {
	int epoll_fd;            /* the loop's */
	struct watched *watched; /* by descriptor */
	size_t count;
};

void sockets_release(struct sockets *s);
/* curl wants fd watched for these CURL_POLL_ values. */
void sockets_want(struct sockets *s, int fd, int what);
/* epoll has something on fd. Whether curl wants to hear it; if not, it will not come again. */
bool sockets_wanted(struct sockets *s, int fd);

/* As curl's CURLOPT_OPENSOCKETFUNCTION and CURLOPT_CLOSESOCKETFUNCTION; data: struct sockets.
 * Where there is no socket, errno tells why. */
curl_socket_t sockets_open(void *data, curlsocktype purpose, struct curl_sockaddr *address);
int sockets_close(void *data, curl_socket_t fd);

#endif
