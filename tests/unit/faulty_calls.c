#include "faulty_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
	int calls, nth, error;
	unsigned percent, seed;
} faulty;

void faulty_nth(int n, int error)
{
	faulty.calls = 0;
	faulty.nth = n;
	faulty.error = error;
	faulty.percent = 0;
}

void faulty_share(unsigned percent, unsigned seed)
{
	faulty_nth(0, 0);
	faulty.percent = percent;
	faulty.seed = seed;
}

int faulty_stop(void)
{
	int calls = faulty.calls;

	faulty_nth(0, 0);
	return calls;
}

static unsigned roll(unsigned n)
{
	return (unsigned)rand_r(&faulty.seed) / 7 % n;
}

/* Whether this call fails: errno is set. *n: what is to be written, which may become less. */
static bool fails(size_t *n)
{
	faulty.calls++;
	if (faulty.calls == faulty.nth) {
		errno = faulty.error;
		return true;
	}
	if (roll(100) >= faulty.percent)
		return false;
	/* O_DIRECT takes whole blocks. */
	if (n && *n > 4096 && roll(2)) {
		*n = (1 + roll((unsigned)(*n / 4096))) * 4096;
		return false;
	}
	errno = roll(2) ? EIO : ENOSPC;
	return true;
}

#define WRAP(name, arguments, ...)                                                                 \
	int __real_##name arguments;                                                               \
	int __wrap_##name arguments;                                                               \
	int __wrap_##name arguments                                                                \
	{                                                                                          \
		return fails(NULL) ? -1 : __real_##name(__VA_ARGS__);                              \
	}

WRAP(fsync, (int fd), fd)
WRAP(fdatasync, (int fd), fd)
WRAP(fchmod, (int fd, mode_t mode), fd, mode)
WRAP(fchown, (int fd, uid_t uid, gid_t gid), fd, uid, gid)
WRAP(ftruncate64, (int fd, off_t size), fd, size)
WRAP(fallocate64, (int fd, int mode, off_t offset, off_t length), fd, mode, offset, length)
WRAP(renameat, (int from, const char *name, int to, const char *new_name), from, name, to, new_name)
WRAP(renameat2, (int from, const char *name, int to, const char *new_name, unsigned flags), from,
     name, to, new_name, flags)
WRAP(openat64, (int fd, const char *name, int flags, mode_t mode), fd, name, flags, mode)
WRAP(__openat64_2, (int fd, const char *name, int flags), fd, name, flags)

ssize_t __real_pwrite64(int fd, const void *data, size_t n, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t n, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t n, off_t offset)
{
	return fails(&n) ? -1 : __real_pwrite64(fd, data, n, offset);
}

ssize_t __real_pwritev64v2(int fd, const struct iovec *v, int count, off_t offset, int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *v, int count, off_t offset, int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *v, int count, off_t offset, int flags)
{
	return fails(NULL) ? -1 : __real_pwritev64v2(fd, v, count, offset, flags);
}

ssize_t __real_copy_file_range(int in, off_t *from, int out, off_t *to, size_t n, unsigned flags);
ssize_t __wrap_copy_file_range(int in, off_t *from, int out, off_t *to, size_t n, unsigned flags);
ssize_t __wrap_copy_file_range(int in, off_t *from, int out, off_t *to, size_t n, unsigned flags)
{
	return fails(&n) ? -1 : __real_copy_file_range(in, from, out, to, n, flags);
}
