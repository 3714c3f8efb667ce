/* retry.h - whether and when to try again: pure functions, no clock and no chance inside. */
#ifndef PAILFS_RETRY_H
#define PAILFS_RETRY_H

#include <stdbool.h>
#include <stdint.h>

enum retry_class {
	RETRY_NEVER,  /* another attempt would end the same */
	RETRY_FEW,    /* hardly passes by itself, as a certificate that is wrong: a few attempts */
	RETRY_ALWAYS, /* until the time is over */
};

/* The class of net_request.error. What body() returned is its owner's to judge. */
enum retry_class retry_class_of_error(int error);

struct retry_question {
	enum retry_class class;  /* of the attempt that just failed */
	unsigned attempts;       /* that failed, this one included; at least 1 */
	unsigned few;            /* of them those of RETRY_FEW; each kind of trouble has its end */
	uint64_t left_ns;        /* until the operation must end: of retry_timeout */
	uint64_t retry_after_ns; /* what the server asked for; 0: nothing */
	uint64_t random;         /* any 64 bits */
};

/* True: try again after *delay_ns, which leaves some of the time for it. The delay is drawn
 * evenly from a window that doubles with each attempt, 100 ms to 10 s (full jitter), on top
 * of what the server asked for. False: give up, also when the server asks for more time than
 * is left. */
bool retry_decide(const struct retry_question *q, uint64_t *delay_ns);

#endif
