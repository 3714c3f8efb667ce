/* link.c - a slowly rising minimum of times, a slowly falling maximum of rates.
 *
 * A time to the first byte may hold a handshake and a wait for a free connection, and a rate
 * the other streams' share or a pause of ours; the least of the former and the most of the
 * latter are the link's own. Both forget, slowly, since links change: a rate is mostly measured
 * while other GETs run, and must not become what is left by those. */
#include "link.h"

#include "pailfs/base/clock.h"
#include "pailfs/base/xalloc.h"

/* Shorter bodies arrive in one piece with their headers and tell no rate. */
#define SHORTEST (128u << 10)

void link_observe_first_byte(struct link *l, uint64_t first_byte_ns)
{
	l->first_byte_ns = l->first_byte_ns ? MIN(first_byte_ns, l->first_byte_ns + l->first_byte_ns / 64)
	                                    : first_byte_ns;
}

void link_observe_rate(struct link *l, uint64_t bytes, uint64_t transfer_ns)
{
	uint64_t rate;

	if (bytes < SHORTEST)
		return;
	rate = (uint64_t)((double)bytes * NS_PER_SECOND / (double)MAX(transfer_ns, 1000));
	l->rate = MAX(rate, l->rate - l->rate / 256);
}

uint64_t link_round_trip(const struct link *l)
{
	double bytes = (double)l->first_byte_ns * (double)l->rate / NS_PER_SECOND;

	return bytes > (double)LINK_MOST ? LINK_MOST : (uint64_t)bytes;
}
