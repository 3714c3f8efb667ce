/* Exponential back-off with full jitter: many clients that a server has turned away at once
 * come back spread over the whole window. */
#include "pailfs/retry.h"
#include <errno.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/xalloc.h"

#define WINDOW_MIN (100 * NS_PER_MS)
#define WINDOW_MAX (10 * NS_PER_SECOND)
#define FEW_ATTEMPTS 3u

enum retry_class retry_class_of_error(int error)
{
	switch (error) {
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -ECONNABORTED:
	case -EHOSTUNREACH:
	case -ETIMEDOUT:
	case -EMFILE:
	case -ENFILE:
	case -EADDRNOTAVAIL:
		return RETRY_ALWAYS;
	case -EPROTO:
		return RETRY_FEW;
	default:
		return RETRY_NEVER;
	}
}

bool retry_decide(const struct retry_question *q, uint64_t *delay_ns)
{
	unsigned doublings = MIN(q->attempts - 1, 7u);
	uint64_t window = MIN(WINDOW_MIN << doublings, WINDOW_MAX), jitter = q->random % window;

	if (q->class == RETRY_NEVER || (q->class == RETRY_FEW && q->few >= FEW_ATTEMPTS))
		return false;
	if (q->left_ns < q->retry_after_ns || q->left_ns - q->retry_after_ns < WINDOW_MIN)
		return false;
	/* The last attempt comes while there is still time for an answer. */
	*delay_ns = q->retry_after_ns + MIN(jitter, (q->left_ns - q->retry_after_ns) / 2);
	return true;
}
