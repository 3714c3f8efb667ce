/* signals.c - whether a caller's pending signals ask it to leave.
 *
 * The kernel sends an INTERRUPT for whatever wakes a waiting caller: any signal, but also a stop of
 * its process by another thread, a tracer, and the freezer of suspend and of containers, which
 * leave no signal behind. A local disk's caller would go on waiting for all but a fatal one, and
 * programs rely on that: with EINTR, `ls` fails when it was stopped and continued, and whatever
 * Go compiles, which signals itself all the time, fails at any moment.
 *
 * A signal that is fatal shows as SIGKILL, whatever its number is. So what remains to be told
 * apart is what programs handle: those that are meant to interrupt, and those that only tell. */
#include "signals.h"

#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const int that_only_tell[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU,   SIGCONT,
                                     SIGCHLD, SIGURG,  SIGWINCH, SIGPROF, SIGVTALRM};

bool signals_ask_to_leave(FILE *status)
{
	uint64_t own = 0, shared = 0, blocked = 0, pending;
	char *line = NULL;
	size_t size = 0;
	int found = 0;

	while (getline(&line, &size, status) > 0) {
		found += sscanf(line, "SigPnd: %" SCNx64, &own) == 1;
		found += sscanf(line, "ShdPnd: %" SCNx64, &shared) == 1;
		found += sscanf(line, "SigBlk: %" SCNx64, &blocked) == 1;
	}
	free(line);
	pending = (own | shared) & ~blocked;
	for (size_t i = 0; i < sizeof(that_only_tell) / sizeof(that_only_tell[0]); i++)
		pending &= ~(UINT64_C(1) << (that_only_tell[i] - 1));
	return found != 3 || pending;
}

bool signals_ask_thread_to_leave(pid_t thread)
{
	char name[64];
	bool leave;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/status", (int)thread);
	f = fopen(name, "re");
	if (!f)
		return true;
	leave = signals_ask_to_leave(f);
	fclose(f);
	return leave;
}
