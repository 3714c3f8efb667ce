/* readahead.c - the kernel's own readahead for this mount.
 *
 * It hangs on the mount's backing device, which /proc/self/mountinfo names without a request
 * to the file system (that nobody serves yet). */
#include "fs_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pailfs/base/log.h"

/* Undoes the octal escapes that mountinfo writes for blanks and backslashes, in place. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* The device of what was mounted last at this place, as "MAJOR:MINOR". */
static bool find_device(const char *mountpoint, char device[32])
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	bool found = false;
	char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		char here[32], *at = NULL;

		/* ID PARENT MAJOR:MINOR ROOT MOUNTPOINT … */
		if (sscanf(line, "%*s %*s %31s %*s %ms", here, &at) == 2) {
			unescape(at);
			if (!strcmp(at, mountpoint)) {
				memcpy(device, here, sizeof(here));
				found = true;
			}
		}
		free(at);
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

void readahead_set(const char *mountpoint, unsigned kib)
{
	char device[32], path[96], value[16];
	int fd, n;

	if (!find_device(mountpoint, device))
		return;
	snprintf(path, sizeof(path), "/sys/class/bdi/%s/read_ahead_kb", device);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	n = snprintf(value, sizeof(value), "%u", kib);
	if (fd < 0 || write(fd, value, (size_t)n) != n)
		log_debug(LOG_FS, "%s: the kernel's readahead stays as it is: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}
