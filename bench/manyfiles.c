/* manyfiles create|list|read|remove DIRECTORY COUNT - COUNT files of 1 KiB in one directory: made,
 * listed with their attributes, listed and read one after the other, or removed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int create(int dir, const char *name)
{
	static const char body[1024];
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0644);

	if (fd < 0)
		return -1;
	if (write(fd, body, sizeof(body)) != sizeof(body)) {
		close(fd);
		return -1;
	}
	return close(fd);
}

static int look(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW);
}

static int read_whole(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY);
	char bytes[4096];
	ssize_t n;

	if (fd < 0)
		return -1;
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		;
	close(fd);
	return (int)n;
}

/* How many of the directory's files were visited, -1 when one could not be. */
static long visit(const char *path, int (*how)(int dir, const char *name))
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	long seen = 0;

	if (!dir)
		return -1;
	while (seen >= 0 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			seen = how(dirfd(dir), entry->d_name) == 0 ? seen + 1 : -1;
	closedir(dir);
	return seen;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fputs("usage: manyfiles create|list|read|remove DIRECTORY COUNT\n", stderr);
		return 2;
	}
	long count = atol(argv[3]);
	int dir = open(argv[2], O_RDONLY | O_DIRECTORY);
	int rc = dir < 0 ? -1 : 0;

	if (rc == 0 && !strcmp(argv[1], "list"))
		rc = visit(argv[2], look) == count ? 0 : -1;
	else if (rc == 0 && !strcmp(argv[1], "read"))
		rc = visit(argv[2], read_whole) == count ? 0 : -1;
	else
		for (long i = 0; rc == 0 && i < count; i++) {
			char name[32];

			snprintf(name, sizeof(name), "file-%06ld", i);
			rc = argv[1][0] == 'c' ? create(dir, name) : unlinkat(dir, name, 0);
		}
	if (rc)
		fprintf(stderr, "manyfiles: %s %s: %s\n", argv[1], argv[2], strerror(errno));
	return rc ? 1 : 0;
}
