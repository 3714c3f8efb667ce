/* http_store_fixture.h - a store over a web server that answers by script (http_server.h), and
 * operations that are waited for. */
#ifndef PAILFS_TESTS_HTTP_STORE_FIXTURE_H
#define PAILFS_TESTS_HTTP_STORE_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/log.h"
#include "pailfs/net.h"
#include "pailfs/store.h"
#include "src/store/dialect.h"
#include "src/store/store_impl.h"
#include "http_server.h"
#include "unit.h"

static struct http_server *server;
static struct net *net;
static struct stats *stats;
static struct store *store;
static char *source;

#define HEAD_206(range, length) \
	"HTTP/1.1 206 Partial Content\r\nETag: \"v1\"\r\nContent-Range: bytes " range \
	"\r\nContent-Length: " length "\r\n\r\n"
#define GOOD HEAD_206("4-13/20", "10") "456789abcd"
#define STATUS(line) "HTTP/1.1 " line "\r\nContent-Length: 0\r\n\r\n"

static inline void setup(const struct dialect *dialect, const char *path, unsigned retry_ms, unsigned stall_ms)
{
	struct net_config nc = {
		.connections = 8,
		.loops = 2,
		.connect_timeout_ms = 2000,
		.stall_timeout_ms = stall_ms,
		.clock = &clock_system,
	};
	struct store_options options = {.retry_timeout_ns = retry_ms * NS_PER_MS, .reader_type = "auto"};
	struct store_config config = {.options = &options, .clock = &clock_system};
	struct buf error = BUF_INIT;

	log_open("/dev/null", "debug");
	stats = nc.stats = config.stats = stats_create();
	server = http_server_start();
	ck_assert_int_eq(net_create(&nc, &net), 0);
	config.net = net;
	config.source = source = xasprintf("http://127.0.0.1:%d%s", server->port, path);
	if (dialect)
		ck_assert_int_eq(http_store_create(dialect, &config, &store, &error), 0);
	else
		ck_assert_msg(!store_create(&config, &store, &error), "%s", error.data);
	buf_release(&error);
}

static inline void teardown(void)
{
	store_destroy(store);
	net_destroy(net);
	http_server_stop(server);
	stats_destroy(stats);
	free(source);
}

struct waiter {
	sem_t ended;
	pthread_mutex_t lock; /* an operation is cancelled with it held, and only before its end */
	int result;
	unsigned calls;
};

static struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline void note_done(struct store_op *op, int result)
{
	scoped_lock(&waiter.lock);
	waiter.result = result;
	waiter.calls++;
	sem_post(&waiter.ended);
}

static inline void prepare(struct store_op *op)
{
	sem_init(&waiter.ended, 0, 0);
	waiter.calls = 0;
	op->done = note_done;
}

static inline int wait_for(int started)
{
	if (started)
		return started > 0 ? 0 : started;
	sem_wait(&waiter.ended);
	ck_assert_uint_eq(waiter.calls, 1);
	return waiter.result;
}

static size_t last_progress;

static inline void note_progress(struct store_get *get, size_t filled)
{
	ck_assert_uint_eq(filled, get->filled);
	ck_assert_uint_gt(filled, last_progress);
	last_progress = filled;
}

static const struct store_attr data_attr = {.size = 20, .etag = "\"v1\""};
static char got[64], error_text[256];

/* Reads [offset, offset+length) of a 20 byte object. */
static inline int read_data(const struct store_attr *attr, uint64_t offset, size_t length)
{
	struct store_object *o = store_object_open(store, "data", attr);
	struct store_get get = {.object = o, .offset = offset, .length = length, .buffer = got,
	                        .progress = note_progress};
	int r;

	memset(got, 0, sizeof(got));
	last_progress = 0;
	prepare(&get.op);
	r = wait_for(store_get_range(store, &get));
	ck_assert_uint_le(get.filled, length);
	if (!r)
		ck_assert_uint_eq(get.filled, length);
	snprintf(error_text, sizeof(error_text), "%s", get.op.error);
	store_object_unref(o);
	return r;
}

#endif
