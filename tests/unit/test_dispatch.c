/* The dispatch thread: order, and what is not due yet. */
#include <check.h>
#include <semaphore.h>
#include <stdio.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/dispatch.h"
#include "unit.h"

struct step {
	struct dispatch_task task;
	char name;
};

static char ran[16];
static size_t count;
static sem_t last;

static void note(struct dispatch_task *task)
{
	ran[count++] = container_of(task, struct step, task)->name;
	ran[count] = '\0';
	sem_post(&last);
}

static struct step step(char name)
{
	return (struct step){.task.run = note, .name = name};
}

static void wait_for(unsigned steps)
{
	while (steps-- > 0)
		sem_wait(&last);
}

static void setup(void)
{
	count = 0;
	sem_init(&last, 0, 0);
}

START_TEST(runs_in_order)
{
	struct step steps[] = {step('a'), step('b'), step('c')};
	struct dispatch *d;

	ck_assert_int_eq(dispatch_create("test", &d), 0);
	for (int i = 0; i < 3; i++)
		dispatch_post(d, &steps[i].task);
	dispatch_destroy(d);
	ck_assert_str_eq(ran, "abc");
}
END_TEST

START_TEST(runs_later_when_it_is_time)
{
	struct step steps[] = {step('d'), step('b'), step('c'), step('a')};
	uint64_t start = clock_monotonic(&clock_system);
	struct dispatch *d;

	ck_assert_int_eq(dispatch_create("test", &d), 0);
	dispatch_post_later(d, &steps[0].task, 90 * NS_PER_MS);
	dispatch_post_later(d, &steps[1].task, 30 * NS_PER_MS);
	dispatch_post_later(d, &steps[2].task, 60 * NS_PER_MS);
	dispatch_post(d, &steps[3].task);
	wait_for(4);
	ck_assert_uint_ge(clock_monotonic(&clock_system) - start, 90 * NS_PER_MS);
	ck_assert_str_eq(ran, "abcd");
	dispatch_destroy(d);
}
END_TEST

START_TEST(the_end_waits_for_no_time)
{
	struct step steps[] = {step('b'), step('a')};
	struct dispatch *d;

	ck_assert_int_eq(dispatch_create("test", &d), 0);
	dispatch_post_later(d, &steps[0].task, 3600 * NS_PER_SECOND);
	dispatch_post(d, &steps[1].task);
	dispatch_destroy(d);
	ck_assert_str_eq(ran, "ab");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dispatch");
	TCase *tc = tcase_create("dispatch");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, runs_in_order);
	tcase_add_test(tc, runs_later_when_it_is_time);
	tcase_add_test(tc, the_end_waits_for_no_time);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
