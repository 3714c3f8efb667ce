/* oplog.c - the operation log's writer.
 *
 * A caller copies its entry into the front buffer under a lock that is held for that copy
 * only; the writer swaps the front buffer for an empty one, and formats, compresses and writes
 * without the lock. A full front buffer means that the writer fell behind: the line is
 * dropped and counted.
 *
 * Lines are gathered for up to a second, since compressing one at a time does not. Each batch
 * is a zstd frame of its own and, as far as the file system does it, one write: what a killed
 * daemon wrote is readable, and another may append to it. */
#include "pailfs/oplog.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>
#include "pailfs/base/buf.h"
#include "pailfs/base/clock.h"
#include "pailfs/base/lock.h"
#include "pailfs/base/log.h"
#include "pailfs/base/thread.h"
#include "pailfs/base/xalloc.h"

#define QUEUE_BYTES (1u << 20)
#define GATHER_NS NS_PER_SECOND
#define COMPRESSION 3

static const char header[] = "idx\tthread\top\tclient_id\tn_objects\tbytes\tendpoint\tfile\terror\t"
			     "start\tfirst_byte\tend\tduration_ns\n";

enum { OP, ENDPOINT, FILE_NAME, ERROR_TEXT, STRINGS };

/* An entry in the queue; its strings follow, in the order of the enum. */
struct record {
	struct oplog_entry entry; /* its pointers mean nothing here */
	size_t lengths[STRINGS];
};

struct oplog {
	struct stats *stats;
	int fd;
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under the lock. */
	struct buf *front;
	bool stop;

	/* The writer's. */
	struct buf queues[2];
	ZSTD_CCtx *compressor; /* NULL: plain text */
	uint64_t index;        /* of the next line */
	char client[9];
	bool failed; /* a failed write was logged */
};

void oplog_add(struct oplog *o, const struct oplog_entry *e)
{
	static const size_t limits[STRINGS] = {
		[OP] = 32,
		[ENDPOINT] = 512,
		[FILE_NAME] = 4096,
		[ERROR_TEXT] = 200,
	};
	const char *strings[STRINGS] = {
		[OP] = e->op,
		[ENDPOINT] = e->endpoint,
		[FILE_NAME] = e->file,
		[ERROR_TEXT] = e->error,
	};
	struct record r = {.entry = *e};
	size_t before, total = sizeof(r);
	bool wake;

	if (!o)
		return;
	for (int i = 0; i < STRINGS; i++) {
		r.lengths[i] = strings[i] ? strnlen(strings[i], limits[i]) : 0;
		total += r.lengths[i];
	}
	{
		scoped_lock(&o->lock);
		before = o->front->length;
		if (before + total > QUEUE_BYTES) {
			stats_inc(o->stats, STAT_OPLOG_DROPPED);
			return;
		}
		buf_add(o->front, &r, sizeof(r));
		for (int i = 0; i < STRINGS; i++)
			if (r.lengths[i])
				buf_add(o->front, strings[i], r.lengths[i]);
		/* The first one begins the gathering, the one in the middle ends it early. */
		wake = !before || (before < QUEUE_BYTES / 2 && before + total >= QUEUE_BYTES / 2);
	}
	if (wake)
		pthread_cond_signal(&o->wake);
}

/* ---- the writer ---- */

static void add_time(struct buf *out, int64_t ns)
{
	struct timespec t = timespec_from_ns(ns);
	struct tm tm;

	gmtime_r(&t.tv_sec, &tm);
	buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", tm.tm_year + 1900, tm.tm_mon + 1,
		 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, t.tv_nsec);
}

static const char *add_text(struct buf *out, const char *s, size_t n)
{
	buf_add_quoted(out, s, n, n);
	buf_addc(out, '\t');
	return s + n;
}

/* Adds a record as a line; returns the end of its strings. */
static const char *add_line(struct oplog *o, struct buf *out, const struct record *r,
			    const char *strings)
{
	const struct oplog_entry *e = &r->entry;

	buf_addf(out, "%llu\t%u\t", (unsigned long long)o->index++, e->thread);
	strings = add_text(out, strings, r->lengths[OP]);
	buf_addf(out, "%s\t%llu\t%llu\t", o->client, (unsigned long long)e->objects,
		 (unsigned long long)e->bytes);
	strings = add_text(out, strings, r->lengths[ENDPOINT]);
	strings = add_text(out, strings, r->lengths[FILE_NAME]);
	strings = add_text(out, strings, r->lengths[ERROR_TEXT]);
	add_time(out, e->start_ns);
	buf_addc(out, '\t');
	if (e->first_byte_ns)
		add_time(out, e->first_byte_ns);
	buf_addc(out, '\t');
	add_time(out, e->end_ns);
	buf_addf(out, "\t%lld\n", (long long)(e->end_ns - e->start_ns));
	return strings;
}

static int write_all(int fd, const char *data, size_t n)
{
	while (n) {
		ssize_t done = write(fd, data, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		data += done;
		n -= (size_t)done;
	}
	return 0;
}

static int write_batch(struct oplog *o, const struct buf *text)
{
	struct buf frame = BUF_INIT;
	size_t n;
	int err;

	if (!o->compressor)
		return write_all(o->fd, text->data, text->length);
	buf_reserve(&frame, ZSTD_compressBound(text->length));
	n = ZSTD_compress2(o->compressor, frame.data, ZSTD_compressBound(text->length), text->data,
			   text->length);
	err = ZSTD_isError(n) ? -EIO : write_all(o->fd, frame.data, n);
	buf_release(&frame);
	return err;
}

/* Writes what is in `queue` and empties it. */
static void drain(struct oplog *o, struct buf *queue)
{
	struct buf text = BUF_INIT;
	const char *at = queue->data, *end = at + queue->length;
	uint64_t first = o->index;
	struct record r;
	int err;

	while (at < end) {
		memcpy(&r, at, sizeof(r));
		at = add_line(o, &text, &r, at + sizeof(r));
	}
	buf_reset(queue);
	err = write_batch(o, &text);
	if (err) {
		stats_add(o->stats, STAT_OPLOG_DROPPED, (int64_t)(o->index - first));
		if (!o->failed)
			log_error(LOG_OPLOG,
				  "oplog: %s; lines are dropped and counted in "
				  "pailfs_oplog_dropped_total",
				  strerror(-err));
		o->failed = true;
	}
	buf_release(&text);
}

/* Waits for a first line, then for as many as come soon. Returns the queue to drain, or NULL
 * at the end. */
static struct buf *take_queue(struct oplog *o)
{
	struct timespec until;
	struct buf *full;

	scoped_lock(&o->lock);
	while (!o->front->length && !o->stop)
		pthread_cond_wait(&o->wake, &o->lock);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until = timespec_from_ns(timespec_to_ns(&until) + (int64_t)GATHER_NS);
	while (o->front->length < QUEUE_BYTES / 2 && !o->stop)
		if (pthread_cond_timedwait(&o->wake, &o->lock, &until))
			break;
	full = o->front;
	if (!full->length)
		return NULL;
	o->front = full == &o->queues[0] ? &o->queues[1] : &o->queues[0];
	return full;
}

static void *writer(void *arg)
{
	struct oplog *o = arg;
	struct buf *queue;

	while ((queue = take_queue(o)))
		drain(o, queue);
	return NULL;
}

/* ---- life ---- */

static bool ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

static int begin_file(struct oplog *o, const char *path)
{
	const struct buf text = {.data = (char *)(uintptr_t)header, .length = sizeof(header) - 1};
	struct stat st;

	/* Names of objects are nobody else's to read. */
	o->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (o->fd < 0 || fstat(o->fd, &st))
		return -errno;
	if (ends_in(path, ".zst")) {
		o->compressor = ZSTD_createCCtx();
		if (!o->compressor)
			return -ENOMEM;
		ZSTD_CCtx_setParameter(o->compressor, ZSTD_c_compressionLevel, COMPRESSION);
		ZSTD_CCtx_setParameter(o->compressor, ZSTD_c_checksumFlag, 1);
	}
	return st.st_size ? 0 : write_batch(o, &text);
}

static void oplog_free(struct oplog *o)
{
	ZSTD_freeCCtx(o->compressor);
	if (o->fd >= 0)
		close(o->fd);
	buf_release(&o->queues[0]);
	buf_release(&o->queues[1]);
	pthread_cond_destroy(&o->wake);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

int oplog_open(const char *path, struct stats *stats, struct oplog **out)
{
	struct oplog *o = xcalloc(1, sizeof(*o));
	pthread_condattr_t attr;
	uint32_t random = 0;
	int err;

	o->stats = stats;
	pthread_mutex_init(&o->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&o->wake, &attr);
	pthread_condattr_destroy(&attr);
	for (int i = 0; i < 2; i++) {
		buf_init(&o->queues[i]);
		buf_reserve(&o->queues[i], QUEUE_BYTES);
	}
	o->front = &o->queues[0];
	/* Logs of several mounts may be put together: lines say whose they are. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint32_t)getpid();
	for (size_t i = 0; i < sizeof(o->client) - 1; i++)
		o->client[i] = "0123456789abcdef"[random >> 4 * i & 15];
	err = begin_file(o, path);
	if (!err)
		err = thread_start(&o->thread, "oplog", writer, o);
	if (err) {
		oplog_free(o);
		return err;
	}
	*out = o;
	return 0;
}

void oplog_close(struct oplog *o)
{
	if (!o)
		return;
	{
		scoped_lock(&o->lock);
		o->stop = true;
	}
	pthread_cond_signal(&o->wake);
	pthread_join(o->thread, NULL);
	oplog_free(o);
}
