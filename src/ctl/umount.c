/* umount.c - umount(8) does not wait for a FUSE daemon, so this does: when pailctl umount
 * returns 0, all that was written is where it belongs and no process is left. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ctl.h"
#include "pailfs/base/xalloc.h"

/* The daemon ends by itself once it is unmounted; longer than its own patience with a store
 * that does not answer is a fault. */
#define WAIT_MS 120000

/* A descriptor that becomes readable when the daemon ends, or -1 where it cannot be known. */
static int watch_daemon(uint64_t pid)
{
	char name[64] = "", *path;
	FILE *f;

	/* Its number is of its own PID namespace; in ours it may be anybody's. */
	path = xasprintf("/proc/%llu/comm", (unsigned long long)pid);
	f = fopen(path, "re");
	free(path);
	if (!f)
		return -1;
	if (!fgets(name, sizeof(name), f) || strcmp(name, "pailfs\n"))
		*name = '\0';
	fclose(f);
	return *name ? (int)syscall(SYS_pidfd_open, (pid_t)pid, 0) : -1;
}

static int run_fusermount(const char *mountpoint, bool lazy)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid) {
		execlp("fusermount3", "fusermount3", lazy ? "-uqz" : "-uq", "--", mountpoint, NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return -ENOENT;
	/* fusermount3 does not tell the causes apart; a mount in use is the usual one. */
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EBUSY;
}

static int detach(const char *mountpoint, bool lazy, struct buf *error)
{
	int err;

	if (geteuid() == 0)
		err = umount2(mountpoint, lazy ? MNT_DETACH : 0) ? -errno : 0;
	else
		err = run_fusermount(mountpoint, lazy);
	if (err == -EBUSY)
		buf_addf(error,
			 "%s: is in use; fuser -vm %s shows by whom, and pailctl umount -l "
			 "detaches it all the same",
			 mountpoint, mountpoint);
	else if (err == -ENOENT && geteuid() != 0)
		buf_adds(error, "fusermount3 is missing: install the package fuse3");
	else if (err)
		buf_addf(error, "%s: %s", mountpoint, strerror(-err));
	return err;
}

static int wait_for(int daemon, const char *mountpoint, struct buf *error)
{
	struct pollfd p = {.fd = daemon, .events = POLLIN};
	int n;

	do
		n = poll(&p, 1, WAIT_MS);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return 0;
	buf_addf(error, "%s: is unmounted, but its daemon has not ended yet; its log tells why",
		 mountpoint);
	return -ETIMEDOUT;
}

int unmount(const struct target *t, bool lazy, struct buf *error)
{
	struct ctl_message *m = xcalloc(1, sizeof(*m));
	struct buf ignored = BUF_INIT;
	int daemon = -1, err;

	m->command = CTL_HELLO;
	err = target_ask(t, m, &ignored);
	if (err && err != -ENOTCONN) {
		buf_adds(error, ignored.data);
		goto out;
	}
	if (!err) {
		daemon = watch_daemon(m->daemon);
		*m = (struct ctl_message){.command = CTL_FLUSH};
		err = target_ask(t, m, error);
		if (err && err != -EOPNOTSUPP)
			goto out;
		buf_reset(error);
	}
	err = detach(t->mountpoint, lazy, error);
	if (!err && daemon >= 0 && !lazy)
		err = wait_for(daemon, t->mountpoint, error);
out:
	if (daemon >= 0)
		close(daemon);
	buf_release(&ignored);
	free(m);
	return err;
}
