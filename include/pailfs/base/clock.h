/* clock.h - time, replaceable in tests.
 *
 * What needs the time of day or an interval is given a `const struct clock *` when it is
 * made; a test gives it a clock of its own. Any thread may ask. */
#ifndef PAILFS_BASE_CLOCK_H
#define PAILFS_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_MS 1000000ull
#define NS_PER_SECOND 1000000000ull

struct clock {
	uint64_t (*monotonic)(const struct clock *); /* ns since some start; never goes back */
	int64_t (*realtime)(const struct clock *);   /* ns since the epoch */
};

extern const struct clock clock_system;

static inline uint64_t clock_monotonic(const struct clock *c)
{
	return c->monotonic(c);
}

static inline int64_t clock_realtime(const struct clock *c)
{
	return c->realtime(c);
}

static inline struct timespec timespec_from_ns(int64_t ns)
{
	int64_t s = ns / (int64_t)NS_PER_SECOND, rest = ns % (int64_t)NS_PER_SECOND;

	if (rest < 0) {
		rest += (int64_t)NS_PER_SECOND;
		s--;
	}
	return (struct timespec){.tv_sec = s, .tv_nsec = rest};
}

static inline int64_t timespec_to_ns(const struct timespec *t)
{
	return t->tv_sec * (int64_t)NS_PER_SECOND + t->tv_nsec;
}

#endif
