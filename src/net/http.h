/* http.h - one HTTP transfer: a request given to curl, and curl's answers given back.
 *
 * Everything here belongs to the loop's thread. */
#ifndef PAILFS_NET_HTTP_H
#define PAILFS_NET_HTTP_H

#include "src/net/loop.h"

/* An easy handle with the options that never change, used again and again. */
struct transfer {
	struct net_loop *loop;
	CURL *easy;
	struct list link;            /* the loop's running or idle */
	struct net_request *request; /* NULL while idle */
	struct curl_slist *lines;    /* the request's header lines, in one block */
	size_t line_capacity;

	uint64_t active_ns; /* when a byte last moved; from `connected` on */
	int fd;     /* the socket that curl watches for it; -1: none yet, or shared with others */
	int unsent; /* bytes in the kernel's send queue when last looked at */
	bool connected;
	bool in_headers;     /* of the final answer */
	size_t header_bytes; /* of all answers, informational ones too */
	int error;           /* why we ended it, 0: we did not */
	int socket_error;    /* why there is no socket, or none for a resolver; 0: there is */
	int send_index;      /* the next byte to send */
	size_t send_offset;
	char text[CURL_ERROR_SIZE]; /* what curl or we say of the failure */
};

/* NULL when curl has no memory. */
struct transfer *transfer_create(struct net_loop *l);
void transfer_destroy(struct transfer *t);
/* Sets the handle up for r. Returns 0 or -errno; then r has nothing of t. */
int transfer_prepare(struct transfer *t, struct net_request *r);
/* Writes down how it ended: r's results are final then, and t can be used again. */
void transfer_finish(struct transfer *t, CURLcode code);
/* Whether the transfer must end: its deadline is over, or no byte has moved for stall_ns (0: for
 * ever is fine). Sets its error then. */
bool transfer_overdue(struct transfer *t, uint64_t now_ns, uint64_t stall_ns);
/* When that may be so at the earliest; UINT64_MAX: never. */
uint64_t transfer_due(const struct transfer *t, uint64_t stall_ns);

#endif
