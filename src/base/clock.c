/* clock.c - the system's clocks. */
#include "pailfs/base/clock.h"

static uint64_t monotonic(const struct clock *c)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)timespec_to_ns(&t);
}

static int64_t realtime(const struct clock *c)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return timespec_to_ns(&t);
}

const struct clock clock_system = {.monotonic = monotonic, .realtime = realtime};
