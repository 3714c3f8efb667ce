/* Which pending signals end a caller's wait, by the lines of /proc/PID/status. */
#include <check.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "pailfs/base/xalloc.h"
#include "src/fs/signals.h"
#include "unit.h"

#define BIT(signal) (UINT64_C(1) << ((signal) - 1))

static const struct {
	const char *name;
	uint64_t own, shared, blocked;
	bool leave;
} cases[] = {
	{"none: its process stops, or is frozen or traced", 0, 0, 0, false},
	{"^Z", 0, BIT(SIGTSTP), 0, false},
	{"kill -STOP", 0, BIT(SIGSTOP), 0, false},
	{"a terminal in the background", BIT(SIGTTIN), BIT(SIGTTOU), 0, false},
	{"goes on", 0, BIT(SIGCONT), 0, false},
	{"a child has ended, the window has changed", 0, BIT(SIGCHLD) | BIT(SIGWINCH), 0, false},
	{"Go's scheduler", BIT(SIGURG), 0, 0, false},
	{"a profiler", BIT(SIGVTALRM), BIT(SIGPROF), 0, false},
	{"killed", BIT(SIGKILL), 0, 0, true},
	{"^C, handled", 0, BIT(SIGINT), 0, true},
	{"^C after ^Z", 0, BIT(SIGINT) | BIT(SIGTSTP), 0, true},
	{"its time is up", 0, BIT(SIGALRM), 0, true},
	{"another's signal to the thread", BIT(SIGUSR1), 0, 0, true},
	{"the last signal there is", BIT(64), 0, 0, true},
	{"blocked", BIT(SIGUSR1), BIT(SIGINT), BIT(SIGUSR1) | BIT(SIGINT), false},
	{"one of two is blocked", BIT(SIGUSR1), BIT(SIGINT), BIT(SIGUSR1), true},
};

static bool leaves(const char *text)
{
	FILE *f = fmemopen((char *)text, strlen(text), "r");
	bool leave = signals_ask_to_leave(f);

	fclose(f);
	return leave;
}

START_TEST(tells_who_leaves)
{
	char text[512];

	snprintf(text, sizeof(text),
	         "Name:\tSigPnd: 1\nGroups:\t0 1 2\nThreads:\t1\nSigQ:\t2/31192\nSigPnd:\t%016lx\n"
	         "ShdPnd:\t%016lx\nSigBlk:\t%016lx\nSigIgn:\t%016lx\nSigCgt:\t%016lx\n",
	         (unsigned long)cases[_i].own, (unsigned long)cases[_i].shared,
	         (unsigned long)cases[_i].blocked, (unsigned long)UINT64_MAX, (unsigned long)UINT64_MAX);
	ck_assert_msg(leaves(text) == cases[_i].leave, "%s", cases[_i].name);
}
END_TEST

START_TEST(what_does_not_say_leaves)
{
	ck_assert(leaves("Name:\tcat\n"));
	ck_assert(leaves("SigPnd:\t0\nShdPnd:\t0\n"));
	ck_assert(signals_ask_thread_to_leave(0));
}
END_TEST

START_TEST(reads_what_the_kernel_says)
{
	sigset_t set;

	ck_assert(!signals_ask_thread_to_leave(getpid()));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	ck_assert(!signals_ask_thread_to_leave(getpid()));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("signals");
	TCase *tc = tcase_create("signals");

	tcase_add_loop_test(tc, tells_who_leaves, 0, ARRAY_SIZE(cases));
	tcase_add_test(tc, what_does_not_say_leaves);
	tcase_add_test(tc, reads_what_the_kernel_says);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
