/* tree_control.c - what pailctl asks of a local-backed store. */
#include "tree_impl.h"

#include <errno.h>
#include <fcntl.h>

/* Whether the whole range lies inside a value, and this part of it inside the range. */
static bool range_fits(const struct ctl_message *m, off_t size)
{
	uint64_t end, part_end;

	return !__builtin_add_overflow(m->start, m->total, &end) && end <= (uint64_t)size &&
	       !__builtin_add_overflow(m->offset, m->length, &part_end) && m->offset >= m->start &&
	       part_end <= end;
}

static int set_range(struct fs *fs, const struct ctl_message *m)
{
	struct tree_state *t = fs->state;
	struct tree_object *o;
	struct tree_handle *h;
	struct stat st;
	uint64_t id;
	int err = tree_walk(t->tree, m->path, &o, &st);

	if (err)
		return err;
	if (S_ISDIR(st.st_mode))
		err = -EISDIR;
	else if (!S_ISREG(st.st_mode))
		err = -EINVAL;
	else
		err = tree_open(o, O_WRONLY, &h);
	if (err)
		goto out;
	/* tree_set_range() holds each part to the value's size as it is then. */
	err = range_fits(m, st.st_size) ? tree_set_range(h, (off_t)m->offset, m->data, m->length)
					: -EINVAL;
	tree_close(h);
	id = !err && m->length ? inode_known(t, &st) : 0;
	if (id)
		forget_bytes(fs, id, (off_t)m->offset, (off_t)m->length);
	if (!err)
		stats_add(fs->c.stats, STAT_WRITTEN_BYTES, m->length);
out:
	tree_object_unref(o);
	return err;
}

void tree_command(struct fs *fs, struct ctl_message *m)
{
	switch (m->command) {
	case CTL_SET_RANGE:
		ctl_answer(m, set_range(fs, m), "", 0);
		break;
	case CTL_FLUSH: /* what was written is in the files themselves */
		ctl_answer(m, 0, "", 0);
		break;
	}
}
