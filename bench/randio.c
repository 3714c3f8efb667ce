/* randio read|write|fsync FILE SIZE COUNT - reads or writes COUNT blocks of SIZE bytes at
 * random offsets, multiples of SIZE, from a fixed seed; with fsync after each write.
 * In a language whose own cost does not show beside a block of 4 KiB. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

int main(int argc, char **argv)
{
	uint64_t state = 1;
	struct stat st;

	if (argc != 5) {
		fputs("usage: randio read|write|fsync FILE SIZE COUNT\n", stderr);
		return 2;
	}
	int reading = !strcmp(argv[1], "read"), syncing = !strcmp(argv[1], "fsync");
	size_t size = strtoul(argv[3], NULL, 10), count = strtoul(argv[4], NULL, 10);
	char *block = calloc(1, size ? size : 1);
	int fd = open(argv[2], reading ? O_RDONLY : O_RDWR);

	if (!block || !size || fd < 0 || fstat(fd, &st) < 0 || (size_t)st.st_size < size) {
		fprintf(stderr, "randio: %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	for (size_t i = 0; i < count; i++) {
		off_t offset = (off_t)(next_random(&state) % ((uint64_t)st.st_size / size) * size);
		ssize_t n;

		memcpy(block, &i, size < sizeof(i) ? size : sizeof(i));
		n = reading ? pread(fd, block, size, offset) : pwrite(fd, block, size, offset);
		if (n != (ssize_t)size || (syncing && fsync(fd) < 0)) {
			fprintf(stderr, "randio: %s at %lld: %s\n", argv[2], (long long)offset,
				n < 0 ? strerror(errno) : "short");
			return 1;
		}
	}
	return close(fd) < 0;
}
