/* readahead.c - the kernel's own readahead for this mount.
 *
 * It hangs on the mount's backing device. The kernel cuts it to what INIT offered when it
 * takes the answer to INIT, so it can be set only after that: a stat() of the mount is
 * answered then. That waits for our own threads, so it is the dispatch thread's to do. */
#include "fs_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "pailfs/base/log.h"

struct readahead_task {
	struct dispatch_task task;
	struct read_engine *engine; /* NULL where reads do not go through one */
	unsigned kib;
	char mountpoint[];
};

static bool set(const char *mountpoint, unsigned kib)
{
	char path[96], value[16];
	struct stat st;
	bool done;
	int fd, n;

	if (stat(mountpoint, &st))
		return false;
	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(st.st_dev),
	         minor(st.st_dev));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	n = snprintf(value, sizeof(value), "%u", kib);
	done = fd >= 0 && write(fd, value, (size_t)n) == n;
	if (!done)
		log_debug(LOG_FS, "%s: the kernel's readahead stays as it is: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return done;
}

static void run(struct dispatch_task *task)
{
	struct readahead_task *t = container_of(task, struct readahead_task, task);

	/* What a reader seems to want is partly what the kernel adds. */
	if (set(t->mountpoint, t->kib) && t->engine)
		read_engine_set_kernel_ahead(t->engine, (uint64_t)t->kib << 10);
	free(t);
}

void readahead_set(struct fs *fs, unsigned kib)
{
	size_t n = strlen(fs->mountpoint) + 1;
	struct readahead_task *t = xcalloc(1, sizeof(*t) + n);

	t->task.run = run;
	t->engine = fs->c.engine;
	t->kib = kib;
	memcpy(t->mountpoint, fs->mountpoint, n);
	dispatch_post(fs->dispatch, &t->task);
}
