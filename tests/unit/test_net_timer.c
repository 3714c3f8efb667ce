/* Timers of the loops: set and hurried from another thread. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/lock.h"
#include "pailfs/base/xalloc.h"
#include "pailfs/net.h"
#include "unit.h"

enum { COUNT = 200 };

struct alarm {
	struct net_timer timer;
	uint64_t fired_ns; /* 0: not yet; the lock's */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t rang = PTHREAD_COND_INITIALIZER;

static void alarm_fire(struct net_timer *t)
{
	struct alarm *a = container_of(t, struct alarm, timer);

	scoped_lock(&lock);
	ck_assert_uint_eq(a->fired_ns, 0);
	a->fired_ns = clock_monotonic(&clock_system);
	pthread_cond_signal(&rang);
}

static uint64_t wait_for(struct alarm *a)
{
	scoped_lock(&lock);
	while (!a->fired_ns)
		pthread_cond_wait(&rang, &lock);
	return a->fired_ns;
}

START_TEST(timers_fire_when_they_should)
{
	struct net_config config = {.loops = 2, .connections = 2, .clock = &clock_system};
	struct alarm *a = xcalloc(COUNT, sizeof(*a));
	uint64_t begun, wanted[COUNT];
	unsigned seed = 1;
	struct net *net;

	ck_assert_int_eq(net_create(&config, &net), 0);
	begun = clock_monotonic(&clock_system);
	for (int i = 0; i < COUNT; i++) {
		a[i].timer.fire = alarm_fire;
		wanted[i] = rand_r(&seed) % 200 * NS_PER_MS;
		if (i % 4 == 0)
			wanted[i] = 1000 * NS_PER_SECOND;
		net_timer_set(net, &a[i].timer, wanted[i]);
	}
	usleep(50000);
	for (int i = 0; i < COUNT; i += 4)
		net_timer_hurry(net, &a[i].timer);
	for (int i = 0; i < COUNT; i++) {
		uint64_t fired = wait_for(&a[i]);

		if (i % 4) {
			ck_assert_uint_ge(fired, begun + wanted[i]);
			ck_assert_uint_lt(fired, begun + wanted[i] + 5 * NS_PER_SECOND);
		} else {
			ck_assert_uint_lt(fired, begun + 5 * NS_PER_SECOND);
		}
	}
	net_destroy(net);
	free(a);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("net_timer");
	TCase *tc = tcase_create("net_timer");

	unsetenv("AWS_CA_BUNDLE");
	tcase_set_timeout(tc, 100);
	tcase_add_test(tc, timers_fire_when_they_should);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
