/* target.c - from a path to the mount that it lies in, and to its daemon. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "ctl.h"
#include "pailfs/base/mountinfo.h"
#include "pailfs/base/xalloc.h"

/* The path with all but its last component resolved: a mount point's own last component is
 * the mount's root, and resolving that asks its daemon. NULL when that cannot be said. */
static char *resolve_parent(const char *name)
{
	char *copy = xstrdup(name), *other = xstrdup(name), *path = NULL;
	const char *last = basename(copy);
	char *parent = NULL;

	if (strcmp(last, ".") && strcmp(last, "..") && strcmp(last, "/"))
		parent = realpath(dirname(other), NULL);
	if (parent)
		path = xasprintf("%s/%s", strcmp(parent, "/") ? parent : "", last);
	free(parent);
	free(copy);
	free(other);
	return path;
}

/* Fills `out` when path lies in a FUSE mount. */
static bool find_mount(const char *path, struct target *out)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	struct mountinfo m = {0};
	bool found;

	if (!f)
		return false;
	found = !mountinfo_find(f, path, &m) && !strncmp(m.type, "fuse", 4);
	if (found) {
		const char *rest = path + (strcmp(m.point, "/") ? strlen(m.point) : 0);

		*out = (struct target){xstrdup(m.point), xstrdup(rest + (*rest == '/'))};
	}
	mountinfo_release(&m);
	fclose(f);
	return found;
}

int target_find(const char *name, bool absent_too, struct target *out, struct buf *error)
{
	char *path = resolve_parent(name);
	bool found = path && find_mount(path, out);
	int err;

	free(path);
	/* The mount itself is found now; inside it a last link must be followed too. */
	if (found && !*out->path)
		return 0;
	path = realpath(name, NULL);
	err = path ? -ENOTTY : -errno;
	if (found && absent_too && err == -ENOENT)
		return 0;
	if (found)
		target_release(out);
	found = path && find_mount(path, out);
	free(path);
	if (found)
		return 0;
	buf_addf(error, "%s: %s", name,
		 err == -ENOTTY ? "is not in a pailfs mount" : strerror(-err));
	return err;
}

void target_release(struct target *t)
{
	free(t->mountpoint);
	free(t->path);
	*t = (struct target){0};
}

static int open_file(const struct target *t, const char *file, struct buf *error)
{
	char *name = xasprintf("%s/%s", t->mountpoint, file);
	int fd = open(name, O_RDONLY | O_CLOEXEC), err = errno;

	free(name);
	if (fd >= 0)
		return fd;
	if (err == ENOENT || err == ENOTDIR)
		buf_addf(error, "%s: is not a pailfs mount", t->mountpoint);
	else if (err == ENOTCONN)
		buf_addf(error, "%s: its daemon has gone; remove the mount with fusermount3 -u %s",
			 t->mountpoint, t->mountpoint);
	else
		buf_addf(error, "%s/%s: %s", t->mountpoint, file, strerror(err));
	return -err;
}

int target_ask(const struct target *t, struct ctl_message *m, struct buf *error)
{
	size_t n = strlen(t->path);
	int fd, err = 0;

	if (n >= sizeof(m->path)) {
		buf_addf(error, "%s: %s", t->path, strerror(ENAMETOOLONG));
		return -ENAMETOOLONG;
	}
	m->version = CTL_VERSION;
	m->result = 0;
	memset(m->path, 0, sizeof(m->path));
	memcpy(m->path, t->path, n);
	fd = open_file(t, CTL_FILE, error);
	if (fd < 0)
		return fd;
	if (ioctl(fd, CTL_IOCTL, m))
		err = -errno;
	close(fd);
	if (!err && m->length > sizeof(m->data))
		err = -EPROTO;
	if (!err && !m->result)
		return 0;
	buf_addf(error, "%s%s%s: ", t->mountpoint, *t->path ? "/" : "", t->path);
	if (err || !m->length)
		buf_adds(error, err == -EPROTO ? "pailctl and the mount are of different versions"
					       : strerror(err ? -err : -m->result));
	else
		buf_add_quoted(error, m->data, strnlen(m->data, m->length), sizeof(m->data));
	return err ? err : m->result;
}

int target_read(const struct target *t, const char *file, struct buf *out, struct buf *error)
{
	char *name = xasprintf(".pailfs/%s", file);
	int fd = open_file(t, name, error), err = 0;
	char block[65536];
	ssize_t n;

	if (fd < 0) {
		free(name);
		return fd;
	}
	while ((n = read(fd, block, sizeof(block))) > 0)
		buf_add(out, block, (size_t)n);
	if (n < 0) {
		err = -errno;
		buf_addf(error, "%s/%s: %s", t->mountpoint, name, strerror(-err));
	}
	close(fd);
	free(name);
	return err;
}
