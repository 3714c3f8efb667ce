/* control.c - the directory .pailfs: it exists at the root of every mount and is never
 * listed there. A file's text is made when it is opened, so that a reader sees one moment. */
#include "fs_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pailfs-config.h"
#include "pailfs/base/lock.h"

static void format_stats(struct fs *fs, struct buf *out)
{
	stats_format(fs->c.stats, out);
}

static void format_config(struct fs *fs, struct buf *out)
{
	struct buf effect = BUF_INIT;
	const char *line;
	size_t n;

	config_format(fs->c.config, out);
	store_describe(fs->c.store, &effect);
	if (effect.length)
		buf_adds(out, "\n# in effect, with the environment and the AWS files:\n");
	for (line = effect.data; *line; line += n) {
		n = strcspn(line, "\n") + 1; /* each is ended */
		buf_adds(out, "# ");
		buf_add(out, line, n);
	}
	buf_release(&effect);
}

static void format_version(struct fs *fs, struct buf *out)
{
	buf_adds(out, "pailfs " PAILFS_VERSION "\n");
}

static const struct control_file {
	const char *name;
	void (*format)(struct fs *fs, struct buf *out); /* NULL: takes ioctls instead */
} files[] = {
        {"stats", format_stats},
        {"config", format_config},
        {"version", format_version},
        {"ctl", NULL},
};

/* The directory's inode is the first; the files follow in the order of the table. */
static const struct control_file *file_of(fuse_ino_t ino)
{
	uint64_t i = ino - CONTROL_FIRST_INO;

	return i >= 1 && i <= ARRAY_SIZE(files) ? &files[i - 1] : NULL;
}

static void control_stat(struct fs *fs, fuse_ino_t ino, struct stat *st)
{
	const struct control_file *f = file_of(ino);

	stat_defaults(fs, st, !f, 0, clock_realtime(fs->c.clock));
	st->st_ino = ino;
	st->st_mode = f ? S_IFREG | 0444 : S_IFDIR | 0555;
}

static void control_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {.entry_timeout = 60};

	if (parent == FUSE_ROOT_ID)
		entry.ino = CONTROL_FIRST_INO;
	for (size_t i = 0; parent != FUSE_ROOT_ID && i < ARRAY_SIZE(files); i++)
		if (!strcmp(name, files[i].name))
			entry.ino = CONTROL_FIRST_INO + 1 + i;
	if (!entry.ino) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	control_stat(fs_of(req), entry.ino, &entry.attr);
	fuse_reply_entry(req, &entry);
}

static void control_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	control_stat(fs_of(req), ino, &st);
	fuse_reply_attr(req, &st, 1);
}

/* The text of an open file. A reader may close it as soon as the kernel has the bytes of its
 * last reply, while the thread that sent it is still on its way back: so it is counted. */
struct control_text {
	atomic_uint refs;
	struct list link; /* in control_texts */
	struct buf text;
};

static struct control_text *control_text_create(struct fs *fs)
{
	struct control_text *t = xmalloc(sizeof(*t));

	atomic_init(&t->refs, 1);
	buf_init(&t->text);
	scoped_lock(&fs->control_lock);
	list_append(&fs->control_texts, &t->link);
	return t;
}

static void control_text_unref(struct fs *fs, struct control_text *t)
{
	if (atomic_fetch_sub(&t->refs, 1) > 1)
		return;
	pthread_mutex_lock(&fs->control_lock);
	list_remove(&t->link);
	pthread_mutex_unlock(&fs->control_lock);
	buf_release(&t->text);
	free(t);
}

static int control_create(struct fs *fs)
{
	pthread_mutex_init(&fs->control_lock, NULL);
	list_init(&fs->control_texts);
	return 0;
}

/* The end of a mount does not wait for what is open to be closed. */
static void control_destroy(struct fs *fs)
{
	while (!list_empty(&fs->control_texts))
		control_text_unref(fs, list_first(&fs->control_texts, struct control_text, link));
	pthread_mutex_destroy(&fs->control_lock);
}

static void control_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct control_file *f = file_of(ino);
	struct control_text *t;

	if (!f) {
		fuse_reply_err(req, EISDIR);
		return;
	}
	if ((fi->flags & O_ACCMODE) != O_RDONLY) {
		fuse_reply_err(req, EACCES);
		return;
	}
	t = control_text_create(fs_of(req));
	if (f->format)
		f->format(fs_of(req), &t->text);
	fi->fh = (uintptr_t)t;
	fi->direct_io = 1; /* its size is not known before it is read */
	fi->noflush = 1;
	fuse_reply_open(req, fi);
}

static void control_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct control_text *t = (struct control_text *)(uintptr_t)fi->fh;
	size_t from = MIN((size_t)offset, t->text.length);
	struct fs *fs = fs_of(req); /* the request is gone once it is answered */

	atomic_fetch_add(&t->refs, 1);
	fuse_reply_buf(req, t->text.data + from, MIN(size, t->text.length - from));
	control_text_unref(fs, t);
}

/* Kernels that do not know noflush ask at each close, whose error it would be. */
static void control_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

static void control_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	control_text_unref(fs_of(req), (struct control_text *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

static void list_files(fuse_req_t req, size_t size, off_t offset, bool plus)
{
	char data[2048];
	size_t used = 0, most = MIN(size, sizeof(data));

	for (size_t i = (size_t)offset; i < ARRAY_SIZE(files) + 2; i++) {
		const char *name = i == 0 ? "." : i == 1 ? ".." : files[i - 2].name;
		struct fuse_entry_param entry = {
		        .attr = {.st_mode = i < 2 ? S_IFDIR : S_IFREG,
		                 .st_ino = i == 0 ? CONTROL_FIRST_INO :
		                           i == 1 ? FUSE_ROOT_ID : CONTROL_FIRST_INO + i - 1}};
		size_t room = most - used, need;

		need = plus ? fuse_add_direntry_plus(req, data + used, room, name, &entry, (off_t)i + 1) :
		              fuse_add_direntry(req, data + used, room, name, &entry.attr, (off_t)i + 1);
		if (need > room)
			break;
		used += need;
	}
	fuse_reply_buf(req, data, used);
}

static void control_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                            struct fuse_file_info *fi)
{
	list_files(req, size, offset, false);
}

static void control_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                                struct fuse_file_info *fi)
{
	list_files(req, size, offset, true);
}

static void control_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_open(req, fi);
}

static void control_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

static void control_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255};

	fuse_reply_statfs(req, &st);
}

static void control_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	fuse_reply_err(req, mask & W_OK ? EACCES : 0);
}

/* No attributes: where the kernel checks ACLs it opens nothing before it knows that there is none. */
static void control_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	fuse_reply_err(req, ENODATA);
}

static void control_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	if (size)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_xattr(req, 0);
}

/* ---- what pailctl asks ---- */

/* An answer that may wait for what was posted to the dispatch thread before it: a refresh is
 * over when the kernel has forgotten. Others do not, since that may take as long as a server is
 * silent. */
struct ctl_reply {
	struct dispatch_task task;
	fuse_req_t req;
	struct ctl_message message;
};

static void send_reply(struct dispatch_task *task)
{
	struct ctl_reply *r = container_of(task, struct ctl_reply, task);

	fuse_reply_ioctl(r->req, 0, &r->message, sizeof(r->message));
	free(r);
}

void ctl_answer(struct ctl_message *m, int result, const char *text, size_t n)
{
	n = MIN(n, sizeof(m->data));
	memcpy(m->data, text, n);
	m->length = (uint32_t)n;
	m->result = result;
}

/* A message names files by path, past the permissions that stand on the way there: with
 * allow_other it is for the mount's owner alone. */
static bool may_command(fuse_req_t req, uint32_t command)
{
	uid_t uid = fuse_req_ctx(req)->uid;

	return command == CTL_HELLO || uid == 0 || uid == getuid();
}

/* Returns whether the answer shall wait for the dispatch thread. */
static bool run_command(struct fs *fs, struct ctl_message *m)
{
	bool wait = false;

	if (m->version != CTL_VERSION || m->length > sizeof(m->data) ||
	    !memchr(m->path, '\0', sizeof(m->path))) {
		m->length = 0;
		m->result = -EPROTO;
		return false;
	}
	m->result = -EOPNOTSUPP;
	if (m->command == CTL_HELLO) {
		m->daemon = (uint64_t)getpid();
		ctl_answer(m, 0, PAILFS_VERSION, strlen(PAILFS_VERSION));
	} else if (fs->family->command) {
		wait = fs->family->command(fs, m);
	}
	if (m->result == -EOPNOTSUPP)
		m->length = 0;
	return wait;
}

static void control_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
                          struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size,
                          size_t out_size)
{
	const struct control_file *f = file_of(ino);
	struct ctl_reply *r;
	bool wait = false;

	if (!f || f->format || cmd != (unsigned)CTL_IOCTL || in_size != sizeof(r->message) ||
	    out_size != sizeof(r->message)) {
		fuse_reply_err(req, ENOTTY);
		return;
	}
	r = xmalloc(sizeof(*r));
	r->task.run = send_reply;
	r->req = req;
	memcpy(&r->message, in, sizeof(r->message));
	if (may_command(req, r->message.command))
		wait = run_command(fs_of(req), &r->message);
	else
		ctl_answer(&r->message, -EPERM, "", 0);
	if (wait)
		dispatch_post(fs_of(req)->dispatch, &r->task);
	else
		send_reply(&r->task);
}

const struct fs_family fs_control = {
        .create = control_create,
        .destroy = control_destroy,
        .ops = {
                .lookup = control_lookup,
                .getattr = control_getattr,
                .open = control_open,
                .read = control_read,
                .flush = control_flush,
                .release = control_release,
                .opendir = control_opendir,
                .readdir = control_readdir,
                .readdirplus = control_readdirplus,
                .releasedir = control_releasedir,
                .statfs = control_statfs,
                .access = control_access,
                .getxattr = control_getxattr,
                .listxattr = control_listxattr,
                .ioctl = control_ioctl,
        },
};
