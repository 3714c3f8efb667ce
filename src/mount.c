/* mount.c - the one place that sees every layer: it builds the stack bottom-up, hands it to
 * the file system, and takes it down in the opposite order.
 *
 *	fs          FUSE requests and replies
 *	names  read what is believed of keys; policies and ranged GETs
 *	       cache
 *	store       S3, http, a directory, memory
 *	net         loops over curl (buckets only)
 *
 * Signals that end a mount are blocked in all threads. This one takes them while it reads
 * credentials and waits for the store, which both may take long, when there is nothing to clean
 * up; a thread of fs_serve() does while it serves, and unmounts. */
#include "pailfs/mount.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "pailfs/base/log.h"
#include "pailfs/cache.h"
#include "pailfs/fs.h"
#include "pailfs/names.h"
#include "pailfs/net.h"
#include "pailfs/oplog.h"
#include "pailfs/read.h"

/* What a connection's receive buffer in curl and a FUSE thread's request buffer take. */
#define CONNECTION_BYTES (256ull << 10)
#define THREAD_BYTES (1536ull << 10)
/* The names index may take this share of what memory= allows, beside the data buffers. */
#define NAME_BYTES 256ull

struct stack {
	const struct config *config;
	struct stats *stats;
	struct oplog *oplog;
	struct net *net;
	struct store *store;
	struct names *names;
	struct cache *cache;
	struct read_engine *engine;
	struct fs *fs;
	sigset_t signals; /* that end a mount */
	enum mount_status status; /* of a build that fails */
	struct buf warning;       /* for who mounts; of a build that does not */
};

struct probe {
	struct store_list list;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool over;
	int result;
};

static void probe_done(struct store_op *op, int result)
{
	struct probe *p = container_of(op, struct probe, list.op);

	pthread_mutex_lock(&p->lock);
	p->result = result;
	p->over = true;
	pthread_cond_signal(&p->ended);
	pthread_mutex_unlock(&p->lock);
}

/* Reaches the store, and gives what it said to the names. */
static int reach_store(struct stack *s, struct buf *error)
{
	struct probe p = {.list.op.done = probe_done, .list.prefix = store_root(s->store),
	                  .list.delimited = true};
	int result;

	pthread_mutex_init(&p.lock, NULL);
	pthread_cond_init(&p.ended, NULL);
	result = store_probe(s->store, &p.list);
	if (result == 0) {
		pthread_mutex_lock(&p.lock);
		while (!p.over)
			pthread_cond_wait(&p.ended, &p.lock);
		pthread_mutex_unlock(&p.lock);
		result = p.result;
	}
	pthread_cond_destroy(&p.ended);
	pthread_mutex_destroy(&p.lock);
	if (result == -EACCES && p.list.op.denied) {
		/* Not the key, only listing is refused: names are looked up one by one (M2). That
		 * holds without a key, too: public objects in a bucket that lists nothing to
		 * strangers are common. */
		buf_addf(&s->warning, "%s. It is mounted all the same: files that exist can be read by "
		         "name, directories cannot be listed", p.list.op.error);
		names_deny_list(s->names, store_root(s->store));
		return 0;
	}
	if (result < 0) {
		buf_adds(error, *p.list.op.error ? p.list.op.error : strerror(-result));
		return result;
	}
	if (!p.list.entry_count && *store_root(s->store))
		buf_addf(&s->warning, "%s: nothing in the bucket begins with '%s', so the mount is empty; "
		         "a single object is mounted by mounting the folder that it lies in",
		         s->config->source, store_root(s->store));
	names_feed(s->names, &p.list);
	store_list_release(&p.list);
	return 0;
}

static uint64_t data_budget(const struct config *c)
{
	uint64_t overhead = c->connections * CONNECTION_BYTES + c->threads * THREAD_BYTES;

	/* A small budget keeps half of it for data; fewer connections are busy then. */
	return c->memory - MIN(overhead, c->memory / 2);
}

static int build_bucket(struct stack *s, struct buf *error)
{
	const struct config *c = s->config;
	uint64_t memory = data_budget(c);
	struct names_config names = {
	        .store = s->store,
	        .stats = s->stats,
	        .clock = &clock_system,
	        .metadata_ttl_ns = c->metadata_ttl_ns,
	        .patience_ns = c->retry_timeout_ns,
	        .negative_ttl_ns = c->negative_ttl_ns,
	        .max_entries = MAX(c->memory / 4 / NAME_BYTES, 100000),
	};
	struct cache_config cache = {.memory = memory, .stats = s->stats};
	struct read_config read = {
	        .store = s->store,
	        .stats = s->stats,
	        .clock = &clock_system,
	        .limits = {
	                .range_buffer = c->range_buffer,
	                .max_window = c->readahead ? MIN(c->readahead, memory / 2) :
	                                             MIN(memory / 4, 128ull << 20),
	                .max_part = MIN(8ull << 20, memory / 8),
	                .max_gap = c->max_gap,
	        },
	        .max_gets = c->connections,
	};

	s->names = names_create(&names);
	s->cache = read.cache = cache_create(&cache);
	s->engine = read_engine_create(&read);
	return reach_store(s, error);
}

static unsigned milliseconds(uint64_t ns)
{
	return (unsigned)MIN(ns / NS_PER_MS, UINT_MAX);
}

static int build_net(struct stack *s, struct buf *error)
{
	const struct config *c = s->config;
	struct net_config net = {
	        .connections = c->connections,
	        .connect_timeout_ms = milliseconds(c->connect_timeout_ns),
	        .stall_timeout_ms = milliseconds(c->stall_timeout_ns),
	        .ca_file = c->ca_file,
	        .http2 = c->http2,
	        .stats = s->stats,
	        .clock = &clock_system,
	};
	int err = net_create(&net, &s->net);

	if (err == -EINVAL)
		buf_addf(error, "the certificates in %s cannot be read; check -o ca_file= or AWS_CA_BUNDLE",
		         c->ca_file ? c->ca_file : getenv("AWS_CA_BUNDLE"));
	else if (err)
		buf_addf(error, "cannot start the network threads: %s", strerror(-err));
	return err;
}

static int build(struct stack *s, struct buf *error)
{
	const struct config *c = s->config;
	struct store_config store = {
	        .source = c->source,
	        .options = &c->store,
	        .stats = s->stats,
	        .clock = &clock_system,
	};
	struct fs_config fs = {.config = c, .stats = s->stats, .clock = &clock_system};
	int err;

	err = log_open(c->log, c->log_level);
	if (err) {
		buf_addf(error, "%s: the log cannot be opened: %s; check -o log=", c->log, strerror(-err));
		return err;
	}
	if (c->oplog) {
		err = oplog_open(c->oplog, s->stats, &s->oplog);
		if (err) {
			buf_addf(error, "%s: the operation log cannot be opened: %s; check -o oplog=",
			         c->oplog, strerror(-err));
			return err;
		}
	}
	err = build_net(s, error);
	if (err)
		return err;
	store.net = s->net;
	store.oplog = s->oplog;
	/* Nothing is mounted yet, so whoever loses patience may end us at once. */
	pthread_sigmask(SIG_UNBLOCK, &s->signals, NULL);
	err = store_create(&store, &s->store, error);
	if (err == -EINVAL)
		s->status = MOUNT_USAGE;
	if (!err && !store_tree(s->store))
		err = build_bucket(s, error);
	pthread_sigmask(SIG_BLOCK, &s->signals, NULL);
	if (err)
		return err;
	fs.store = s->store;
	fs.names = s->names;
	fs.engine = s->engine;
	return fs_mount(&fs, &s->fs, error);
}

static void take_down(struct stack *s)
{
	fs_destroy(s->fs);
	read_engine_destroy(s->engine);
	names_destroy(s->names);
	cache_destroy(s->cache);
	store_destroy(s->store);
	net_destroy(s->net);
	oplog_close(s->oplog);
}

/* What the mount asked and moved, in a line that no log_level hides. */
static void log_summary(const struct stack *s)
{
	const struct stats *t = s->stats;

	log_write(LOG_LEVEL_INFO, LOG_MAIN, "%s: unmounted; sent %lld GET, %lld LIST and %lld HEAD requests, received %lld "
	         "bytes, answered reads with %lld and took writes of %lld",
	         s->config->mountpoint, (long long)stats_get(t, STAT_REQ_GET_OK),
	         (long long)stats_get(t, STAT_REQ_LIST_OK), (long long)stats_get(t, STAT_REQ_HEAD_OK),
	         (long long)stats_get(t, STAT_RECEIVED_BYTES), (long long)stats_get(t, STAT_READ_BYTES),
	         (long long)stats_get(t, STAT_WRITTEN_BYTES));
}

static void settle_process(sigset_t *signals)
{
	struct rlimit files;

	/* Credentials live in this process's memory: no core file, no tracing by others (F7). */
	prctl(PR_SET_DUMPABLE, 0);
	/* Each inode of a local-backed store that the kernel remembers is a descriptor here. */
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
		files.rlim_cur = files.rlim_max = 1 << 20;
		setrlimit(RLIMIT_NOFILE, &files); /* root may */
	}
	/* The kernel has applied the caller's umask already, and a limit on file sizes is an
	 * error of one write, not the end of the daemon. */
	umask(0);
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(signals);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, signals, NULL);
}

enum mount_status mount_run(const struct config *config,
                            void (*ready)(void *arg, enum mount_status status, const char *line),
                            void *arg)
{
	struct stack s = {
	        .config = config,
	        .stats = stats_create(),
	        .status = MOUNT_FAILED,
	        .warning = BUF_INIT,
	};
	struct buf error = BUF_INIT;
	int err;

	settle_process(&s.signals);
	err = build(&s, &error);
	if (!err && s.warning.length)
		log_warn(LOG_MAIN, "%s", s.warning.data);
	ready(arg, err ? s.status : MOUNT_GOOD, err ? error.data : s.warning.data);
	if (!err) {
		s.status = MOUNT_GOOD;
		err = fs_serve(s.fs);
		if (err) {
			s.status = MOUNT_FAILED;
			log_error(LOG_MAIN, "%s: serving ended: %s", config->mountpoint, strerror(-err));
		}
	}
	take_down(&s);
	if (!err)
		log_summary(&s);
	stats_destroy(s.stats);
	buf_release(&error);
	buf_release(&s.warning);
	return s.status;
}
