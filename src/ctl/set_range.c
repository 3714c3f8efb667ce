/* set_range.c - bytes inside a file, which is never extended or created.
 *
 * The file is opened as any program would, so that its own permissions decide. Its descriptor is
 * made strict before the first byte goes (ctl.h): whether the range fits is looked at here, so that
 * one which does not changes nothing, and again with each request of the kernel, where no
 * truncation comes between. The bytes pass the page cache by, beside which the kernel keeps
 * its pages right. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ctl.h"

/* The kernel may keep earlier writes for a while (writeback), of which the store must know before
 * it can tell where the value ends. It sends them when somebody closes the file. */
static int send_kept(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 || close(copy) ? -errno : 0;
}

static int write_all(int fd, uint64_t offset, const struct buf *bytes)
{
	size_t done = 0;

	while (done < bytes->length) {
		ssize_t n = pwrite(fd, bytes->data + done, bytes->length - done,
		                   (off_t)(offset + done));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (!n)
			return -EIO;
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}

static int write_inside(int fd, uint64_t offset, const struct buf *bytes, struct buf *error)
{
	uint32_t version = CTL_VERSION;
	struct stat st;
	uint64_t end;
	int err;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (ioctl(fd, CTL_STRICT, &version)) {
		if (errno != ENOTTY)
			return -errno;
		buf_adds(error, "is not in a mount of file://, direct:// or mem://");
		return -EOPNOTSUPP;
	}
	err = send_kept(fd);
	if (!err && fstat(fd, &st))
		err = -errno;
	if (err)
		return err;
	if (__builtin_add_overflow(offset, bytes->length, &end) || end > (uint64_t)st.st_size) {
		buf_adds(error, "the range does not lie inside the file");
		return -EINVAL;
	}
	return write_all(fd, offset, bytes);
}

int set_range(const char *file, uint64_t offset, const struct buf *bytes, struct buf *error)
{
	struct buf why = BUF_INIT;
	int fd, err;

	/* Without O_NONBLOCK a FIFO would wait for its reader. */
	fd = open(file, O_WRONLY | O_DIRECT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	err = fd < 0 ? -errno : write_inside(fd, offset, bytes, &why);
	if (fd >= 0 && close(fd) && !err)
		err = -errno;
	if (err)
		buf_addf(error, "%s: %s", file, why.length ? why.data : strerror(-err));
	buf_release(&why);
	return err;
}
