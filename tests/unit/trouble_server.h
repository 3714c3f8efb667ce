/* trouble_server.h - an HTTP server in the test's own process that misbehaves on demand: the
 * path of a request says how (trouble_server.c lists them). */
#ifndef TROUBLE_SERVER_H
#define TROUBLE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>

struct server {
	int fd, port;
	pthread_t thread;
	atomic_int connections; /* accepted so far */
	atomic_int requests;
	atomic_int open; /* connection threads that have not ended */
	atomic_bool stopping;
};

/* Listens on 127.0.0.1, or on ::1; NULL where the machine has no IPv6. */
struct server *server_start(int family);
/* Waits for all connections to end. */
void server_stop(struct server *s);
/* A listening socket on a port of the kernel's choice; -1 when the address is not to be had. */
int server_listen(int family, int *port);

#endif
