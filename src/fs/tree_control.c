/* tree_control.c - what pailctl asks of a local-backed store. */
#include "tree_impl.h"

void tree_command(struct fs *fs, struct ctl_message *m)
{
	switch (m->command) {
	case CTL_FLUSH: /* what was written is in the files themselves */
		ctl_answer(m, 0, "", 0);
		break;
	}
}
