/* link.h - what a round trip to the store is worth, measured on the engine's own GETs. Pure. */
#ifndef PAILFS_READ_LINK_H
#define PAILFS_READ_LINK_H

#include <stdint.h>

/* The most that a round trip is ever taken to be worth, bytes. */
#define LINK_MOST (32ull << 20)

struct link {
	uint64_t first_byte_ns; /* from a request's start to its first byte; 0: unknown */
	uint64_t rate;          /* bytes a second of one connection after that; 0: unknown */
};

/* A GET's first bytes have come, so long after its start. */
void link_observe_first_byte(struct link *l, uint64_t first_byte_ns);
/* It has ended: `bytes` more came within transfer_ns after those. */
void link_observe_rate(struct link *l, uint64_t bytes, uint64_t transfer_ns);
/* The bytes that a connection would have carried in the time of one round trip: a gap that is
 * no longer is cheaper fetched than left out. 0: not known yet. */
uint64_t link_round_trip(const struct link *l);

#endif
