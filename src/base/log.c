/* log.c - the process's one log.
 *
 * A line is formatted on the stack and written with one write(2) (or given to syslog), so
 * lines of several threads never mix and no lock is held around I/O. */
#include "pailfs/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include "pailfs/base/xalloc.h"

#define LINE_SIZE 4096

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const char *const room_names[LOG_ROOMS] = {
        [LOG_MAIN] = "main", [LOG_NET] = "net", [LOG_STORE] = "store", [LOG_NAMES] = "names",
        [LOG_READ] = "read", [LOG_FS] = "fs",   [LOG_OPLOG] = "oplog",
};

/* Written by log_open() only, before there are threads. */
static struct {
	int fd; /* -1: syslog */
	enum log_level level;
	unsigned debug_rooms; /* bits; with level LOG_LEVEL_DEBUG */
} the_log = {.fd = STDERR_FILENO, .level = LOG_LEVEL_WARN, .debug_rooms = ~0u};

static int parse_rooms(const char *s, unsigned *rooms)
{
	*rooms = 0;
	while (*s) {
		size_t n = strcspn(s, ",+"), i;

		for (i = 0; i < LOG_ROOMS; i++)
			if (strlen(room_names[i]) == n && !strncmp(s, room_names[i], n))
				break;
		if (i == LOG_ROOMS)
			return -EINVAL;
		*rooms |= 1u << i;
		s += n;
		s += *s != '\0';
	}
	return *rooms ? 0 : -EINVAL;
}

static int parse_level(const char *s, enum log_level *level, unsigned *rooms)
{
	*rooms = ~0u;
	if (!strncmp(s, "debug:", 6)) {
		*level = LOG_LEVEL_DEBUG;
		return parse_rooms(s + 6, rooms);
	}
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
		if (!strcmp(s, level_names[i])) {
			*level = (enum log_level)i;
			return 0;
		}
	return -EINVAL;
}

int log_open(const char *target, const char *level)
{
	enum log_level new_level;
	unsigned rooms;
	int fd, err;

	err = parse_level(level, &new_level, &rooms);
	if (err)
		return err;
	if (!strcmp(target, "stderr")) {
		fd = STDERR_FILENO;
	} else if (!strcmp(target, "syslog")) {
		openlog("pailfs", LOG_PID, LOG_DAEMON);
		fd = -1;
	} else {
		fd = open(target, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (fd < 0)
			return -errno;
	}
	if (the_log.fd > STDERR_FILENO)
		close(the_log.fd);
	the_log.fd = fd;
	the_log.level = new_level;
	the_log.debug_rooms = rooms;
	return 0;
}

bool log_enabled(enum log_level level, enum log_room room)
{
	if (level == LOG_LEVEL_DEBUG)
		return the_log.level == LOG_LEVEL_DEBUG && (the_log.debug_rooms & 1u << room);
	return level <= the_log.level;
}

/* Object names and server texts come into lines: a newline in one must not forge a second. */
static void make_visible(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			s[i] = '?';
}

void log_write(enum log_level level, enum log_room room, const char *format, ...)
{
	static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
	char line[LINE_SIZE];
	size_t head = 0;
	va_list ap;
	int n;

	if (the_log.fd >= 0) {
		struct timespec now;
		struct tm tm;

		clock_gettime(CLOCK_REALTIME, &now);
		gmtime_r(&now.tv_sec, &tm);
		head = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
		head += (size_t)snprintf(line + head, sizeof(line) - head, ".%03ldZ pailfs[%d] %s %s: ",
		                         now.tv_nsec / 1000000, (int)getpid(), level_names[level],
		                         room_names[room]);
	}
	va_start(ap, format);
	n = vsnprintf(line + head, sizeof(line) - head - 1, format, ap);
	va_end(ap);
	if (n < 0)
		return;
	head += MIN((size_t)n, sizeof(line) - head - 2);
	make_visible(line, head);
	if (the_log.fd < 0) {
		syslog(priorities[level], "%.*s", (int)head, line);
		return;
	}
	line[head++] = '\n';
	/* A log that cannot be written must not stop the file system. */
	if (write(the_log.fd, line, head) < 0)
		return;
}
