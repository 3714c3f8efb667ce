/* preflight.c - each common cause of a failed mount has a line of its own here, since what
 * the kernel, libfuse and fusermount3 say of them does not tell what to do. */
#include "preflight.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>
#include "pailfs/base/mountinfo.h"
#include "pailfs/base/xalloc.h"

#define MOUNTINFO "/proc/self/mountinfo"

static int resolve(struct config *c, struct buf *error)
{
	char *path = realpath(c->mountpoint, NULL);
	int err = errno;

	if (path) {
		free(c->mountpoint);
		c->mountpoint = path;
		return 0;
	}
	buf_addf(error, "%s: ", c->mountpoint);
	switch (err) {
	case ENOENT:
		buf_addf(error, "the mount point does not exist; make it with mkdir -p %s",
			 c->mountpoint);
		break;
	case ENOTCONN:
		buf_adds(error,
			 "it lies in a mount whose daemon has gone; remove that with "
			 "fusermount3 -u");
		break;
	default:
		buf_adds(error, strerror(err));
	}
	return -err;
}

/* A mount outlives a daemon that was killed. Only our own are asked, which answer this without
 * a store: another one's daemon may hang, and then we would. */
static bool is_dead(const struct mountinfo *m)
{
	struct statfs ignored;

	return !strcmp(m->type, "fuse.pailfs") && statfs(m->point, &ignored) && errno == ENOTCONN;
}

/* A file system that is mounted here is in the way when it is another FUSE mount, most
 * likely our own from before; an empty directory on a disk may be mounted upon. */
static int check_not_mounted(const struct config *c, struct buf *error)
{
	struct mountinfo m;
	FILE *f = fopen(MOUNTINFO, "re");
	int err = 0;

	if (!f)
		return 0;
	if (!mountinfo_find(f, c->mountpoint, &m) && !strcmp(m.point, c->mountpoint) &&
	    !strncmp(m.type, "fuse", 4)) {
		if (is_dead(&m))
			buf_addf(error,
				 "%s: a dead mount of %s is there, whose daemon has gone; remove "
				 "it with fusermount3 -u %s",
				 c->mountpoint, m.source, c->mountpoint);
		else
			buf_addf(error,
				 "%s: %s is mounted there already (%s); unmount it with "
				 "fusermount3 -u %s",
				 c->mountpoint, m.source, m.type, c->mountpoint);
		err = -EBUSY;
	}
	mountinfo_release(&m);
	fclose(f);
	return err;
}

static int check_directory(const struct config *c, struct buf *error)
{
	const struct dirent *entry;
	struct stat st;
	DIR *dir;
	int err = 0;

	if (stat(c->mountpoint, &st))
		goto failed;
	if (!S_ISDIR(st.st_mode)) {
		buf_addf(error, "%s: the mount point is not a directory", c->mountpoint);
		return -ENOTDIR;
	}
	dir = opendir(c->mountpoint);
	if (!dir)
		goto failed;
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) {
			buf_addf(error, "%s: the mount point is not empty (there is ",
				 c->mountpoint);
			buf_add_quoted(error, entry->d_name, strlen(entry->d_name), 60);
			buf_adds(error,
				 "), and a mount would hide that; choose an empty directory");
			err = -ENOTEMPTY;
			break;
		}
	closedir(dir);
	/* fusermount3 refuses what its caller could not write to. */
	if (!err && geteuid() != 0 && access(c->mountpoint, W_OK)) {
		buf_addf(error,
			 "%s: only root may mount on a directory that is not the user's own to "
			 "write; choose another or change its owner",
			 c->mountpoint);
		err = -EACCES;
	}
	return err;
failed:
	err = -errno;
	buf_addf(error, "%s: %s", c->mountpoint, strerror(-err));
	return err;
}

static int check_device(struct buf *error)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC), err = errno;

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (err == ENOENT || err == ENODEV || err == ENXIO)
		buf_adds(error,
			 "/dev/fuse is missing: load the module with modprobe fuse; a container "
			 "needs --device /dev/fuse --cap-add SYS_ADMIN");
	else if (err == EACCES || err == EPERM)
		buf_addf(error,
			 "/dev/fuse: %s; its mode should be 666, and a container needs --device "
			 "/dev/fuse --cap-add SYS_ADMIN",
			 strerror(err));
	else
		buf_addf(error, "/dev/fuse: %s", strerror(err));
	return -err;
}

static bool in_path(const char *program)
{
	const char *path = getenv("PATH");
	bool found = false;

	for (path = path ? path : "/usr/bin:/bin"; *path && !found; path += *path == ':') {
		size_t n = strcspn(path, ":");
		char *name = xasprintf("%.*s/%s", (int)n, path, program);

		found = !access(name, X_OK);
		free(name);
		path += n;
	}
	return found;
}

/* Only root mounts without help. */
static int check_helper(const struct config *c, struct buf *error)
{
	bool needed = geteuid() != 0 || strstr(c->fuse_options.data, "auto_unmount");

	if (!needed || !access("/usr/bin/fusermount3", X_OK) || in_path("fusermount3"))
		return 0;
	buf_adds(error, "fusermount3 is missing, without which only root can mount: install the "
			"package fuse3");
	return -ENOENT;
}

static int check_allow_other(const struct config *c, struct buf *error)
{
	char line[256];
	bool allowed = false;
	FILE *f;

	if (!c->allow_other || geteuid() == 0)
		return 0;
	f = fopen("/etc/fuse.conf", "re");
	while (f && !allowed && fgets(line, sizeof(line), f))
		allowed = !strncmp(line, "user_allow_other", strlen("user_allow_other"));
	if (f)
		fclose(f);
	if (allowed)
		return 0;
	buf_adds(error,
		 "allow_other: for users other than root it needs a line user_allow_other in "
		 "/etc/fuse.conf");
	return -EPERM;
}

int preflight(struct config *c, struct buf *error)
{
	int err = resolve(c, error);

	if (!err)
		err = check_not_mounted(c, error);
	if (!err)
		err = check_directory(c, error);
	if (!err)
		err = check_device(error);
	if (!err)
		err = check_helper(c, error);
	if (!err)
		err = check_allow_other(c, error);
	return err;
}
