/* nullfs MOUNTPOINT [-o size=BYTES] - a FUSE daemon that does nothing but answer.
 *
 * Serves four files of zeros, file0 to file3, from memory: what a read costs in the kernel,
 * in libfuse and in one copy, with nothing behind it. The limit that a benchmark sets other
 * daemons against; so it is no more than libfuse's low-level API used in the plainest way,
 * with the options that pailfs uses (clone_fd, requests of up to 1 MiB). */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES = 4, FIRST_INO = 2, REQUEST_MAX = 1 << 20, THREADS = 4 };

struct nullfs {
	unsigned long long size;
};

static const char zeros[REQUEST_MAX];

static struct stat nullfs_stat(fuse_req_t req, fuse_ino_t ino)
{
	const struct nullfs *fs = fuse_req_userdata(req);
	struct stat st = {.st_ino = ino, .st_nlink = 1, .st_blksize = 4096};

	st.st_mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0555 : S_IFREG | 0444;
	st.st_size = ino == FUSE_ROOT_ID ? 0 : (off_t)fs->size;
	return st;
}

static void nullfs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {.attr_timeout = 3600, .entry_timeout = 3600};

	if (strncmp(name, "file", 4) != 0 || name[4] < '0' || name[4] >= '0' + FILES || name[5]) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	entry.ino = FIRST_INO + (fuse_ino_t)(name[4] - '0');
	entry.attr = nullfs_stat(req, entry.ino);
	fuse_reply_entry(req, &entry);
}

static void nullfs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = nullfs_stat(req, ino);

	fuse_reply_attr(req, &st, 3600);
}

static void nullfs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void nullfs_read(fuse_req_t req, fuse_ino_t ino, size_t n, off_t offset,
			struct fuse_file_info *fi)
{
	const struct nullfs *fs = fuse_req_userdata(req);
	unsigned long long left = (unsigned long long)offset < fs->size ? fs->size - offset : 0;

	if (n > left)
		n = left;
	if (n > sizeof(zeros))
		fuse_reply_err(req, EINVAL);
	else
		fuse_reply_buf(req, zeros, n);
}

static const struct fuse_lowlevel_ops operations = {
	.lookup = nullfs_lookup,
	.getattr = nullfs_getattr,
	.open = nullfs_open,
	.read = nullfs_read,
};

int main(int argc, char **argv)
{
	struct nullfs fs = {.size = 2ULL << 30};
	static const struct fuse_opt options[] = {
		{"size=%llu", offsetof(struct nullfs, size), 0},
		FUSE_OPT_END,
	};
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct fuse_cmdline_opts command = {0};
	struct fuse_loop_config *loop = NULL;
	struct fuse_session *session = NULL;
	int status = 1;

	if (fuse_opt_parse(&args, &fs, options, NULL) || fuse_parse_cmdline(&args, &command) ||
	    !command.mountpoint) {
		fputs("usage: nullfs MOUNTPOINT [-o size=BYTES]\n", stderr);
		goto out;
	}
	session = fuse_session_new(&args, &operations, sizeof(operations), &fs);
	if (!session || fuse_set_signal_handlers(session))
		goto out;
	if (fuse_session_mount(session, command.mountpoint))
		goto out;
	loop = fuse_loop_cfg_create();
	fuse_loop_cfg_set_clone_fd(loop, 1);
	fuse_loop_cfg_set_max_threads(loop, THREADS);
	status = fuse_session_loop_mt(session, loop) ? 1 : 0;
	fuse_session_unmount(session);
out:
	if (loop)
		fuse_loop_cfg_destroy(loop);
	if (session)
		fuse_session_destroy(session);
	free(command.mountpoint);
	fuse_opt_free_args(&args);
	return status;
}
