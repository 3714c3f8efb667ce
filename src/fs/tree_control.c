/* tree_control.c - what the kernel keeps of writes (writeback), and what pailctl asks of a
 * local-backed store.
 *
 * The kernel sends what it keeps of a file when the file is closed or synced. When a mount ends
 * under open files, or somebody asks, it is made to: a notice that a file's pages are no longer
 * good has it send those that are dirty first, and wait. Such a notice comes from the dispatch
 * thread, since others must serve the writes meanwhile; at the end of a mount all of them do (ending.c). */
#include "tree_impl.h"

#include <stdlib.h>

struct sending {
	struct dispatch_task task;
	struct fs *fs;
};

static void run_sending(struct dispatch_task *task)
{
	struct sending *s = container_of(task, struct sending, task);
	uint64_t *ids;
	size_t count = inode_written(s->fs->state, &ids);

	for (size_t i = 0; i < count; i++)
		fuse_lowlevel_notify_inval_inode(s->fs->session, ids[i], 0, 0);
	free(ids);
	free(s);
}

void tree_send_kept(struct fs *fs)
{
	struct tree_state *t = fs->state;
	struct sending *s;

	if (!t->writeback)
		return;
	s = xcalloc(1, sizeof(*s));
	s->task.run = run_sending;
	s->fs = fs;
	dispatch_post(fs->dispatch, &s->task);
}

bool tree_command(struct fs *fs, struct ctl_message *m)
{
	if (m->command != CTL_FLUSH)
		return false;
	tree_send_kept(fs);
	ctl_answer(m, 0, "", 0);
	return true;
}
