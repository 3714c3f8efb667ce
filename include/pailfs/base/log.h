/* log.h - one line an event, to standard error, syslog or a file.
 *
 * The process has one log, configured once by log_open() before threads start; that is the
 * one piece of state here that is not passed around, because libfuse and signal paths log
 * too. Secrets never come here: callers name keys by log-safe forms only (F7).
 *
 * A line says what, which object, which endpoint, and what to do. The first place that
 * knows an error logs it; those above pass it on in silence. */
#ifndef PAILFS_BASE_LOG_H
#define PAILFS_BASE_LOG_H

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* The folders of src/ that have something to say, and what lies beside them. */
enum log_room {
	LOG_MAIN,
	LOG_NET,
	LOG_STORE,
	LOG_NAMES,
	LOG_READ,
	LOG_FS,
	LOG_OPLOG,
	LOG_ROOMS, /* their number */
};

/* `target`: "stderr", "syslog", or a path to append to. `level`: error, warn, info, debug,
 * or debug:ROOM[+ROOM…] (also separated by commas), which gives debug lines of these rooms
 * only. Returns 0, -EINVAL for a level that it does not know, or what opening the file
 * gave. Call it before threads start; again to switch over. */
int log_open(const char *target, const char *level);
bool log_enabled(enum log_level level, enum log_room room);
/* Any thread. A line longer than 4 KiB is cut; control bytes are made visible. */
void log_write(enum log_level level, enum log_room room, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

#define log_at_(level, room, ...)                           \
	do {                                                 \
		if (log_enabled(level, room))                \
			log_write(level, room, __VA_ARGS__); \
	} while (0)
#define log_error(room, ...) log_at_(LOG_LEVEL_ERROR, room, __VA_ARGS__)
#define log_warn(room, ...) log_at_(LOG_LEVEL_WARN, room, __VA_ARGS__)
#define log_info(room, ...) log_at_(LOG_LEVEL_INFO, room, __VA_ARGS__)
#define log_debug(room, ...) log_at_(LOG_LEVEL_DEBUG, room, __VA_ARGS__)

#endif
