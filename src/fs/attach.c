/* attach.c - the mount itself, and one line on why it failed.
 *
 * What the kernel refuses by an errno, libfuse and fusermount3 tell on standard error, in lines of
 * their own. For that moment they write to a file in memory, and the cause that they tell becomes
 * part of our one line. What others wrote meanwhile, and all of it when the mount stands, goes on
 * to where it was meant for. */
#include "fs_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "pailfs/base/log.h"

__attribute__((format(printf, 2, 0)))
static void log_fuse(enum fuse_log_level level, const char *format, va_list ap)
{
	struct buf line = BUF_INIT;

	buf_vaddf(&line, format, ap);
	while (line.length && line.data[line.length - 1] == '\n')
		buf_truncate(&line, line.length - 1);
	if (level <= FUSE_LOG_ERR)
		log_error(LOG_FS, "%s", line.data);
	else if (level <= FUSE_LOG_INFO)
		log_info(LOG_FS, "%s", line.data);
	else
		log_debug(LOG_FS, "%s", line.data);
	buf_release(&line);
}

void attach_log(void)
{
	fuse_set_log_func(log_fuse);
}

/* Standard error, while it goes to the file. */
struct diversion {
	FILE *file; /* NULL: there is none, and standard error is what it was */
	int saved;
};

static void divert(struct diversion *d)
{
	int fd = memfd_create("stderr", MFD_CLOEXEC);

	d->file = fd < 0 ? NULL : fdopen(fd, "w+");
	if (!d->file) {
		if (fd >= 0)
			close(fd);
		return;
	}
	d->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (d->saved < 0 || dup2(fd, STDERR_FILENO) < 0) {
		if (d->saved >= 0)
			close(d->saved);
		fclose(d->file);
		d->file = NULL;
		return;
	}
	fuse_set_log_func(NULL); /* which is standard error */
}

/* Adds to `cause`, unless that is NULL, what libfuse ("fuse: ...") and fusermount3 have said. */
static void restore(struct diversion *d, struct buf *cause)
{
	char *line = NULL;
	size_t capacity = 0;

	if (!d->file)
		return;
	attach_log();
	dup2(d->saved, STDERR_FILENO);
	close(d->saved);
	rewind(d->file);
	while (getline(&line, &capacity, d->file) > 0) {
		if (cause && !strncmp(line, "fuse", strlen("fuse")))
			buf_addf(cause, "%s%.*s", cause->length ? ", " : "",
			         (int)strcspn(line, "\n"), line);
		else
			fputs(line, stderr);
	}
	free(line);
	fclose(d->file);
}

int attach(struct fs *fs, struct buf *error)
{
	struct buf cause = BUF_INIT;
	struct diversion d;
	int err = 0;

	divert(&d);
	errno = 0;
	if (fuse_session_mount(fs->session, fs->mountpoint))
		err = errno ? -errno : -EIO;
	restore(&d, err ? &cause : NULL);
	if (err) {
		buf_addf(error, "%s: cannot mount: %s", fs->mountpoint,
		         cause.length ? cause.data : strerror(-err));
		if (err == -EPERM)
			buf_adds(error, "; a container needs --device /dev/fuse --cap-add "
			                "SYS_ADMIN, and users other than root a fusermount3 that is "
			                "setuid root");
	}
	buf_release(&cause);
	return err;
}
