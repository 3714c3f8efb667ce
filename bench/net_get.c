/* net_get URL [SIZE_MIB [PART_KIB [IN_FLIGHT [LOOPS]]]]
 *
 * Fetches the first SIZE_MIB (2048) of a file in ranged GETs of PART_KIB (8192), IN_FLIGHT (4)
 * at a time, over LOOPS (1) threads, each into memory of its own as a reader does, and prints
 * MB/s, requests a second, CPU seconds a GiB and the peak memory. Beside it run
 *
 *	curl -s -o /dev/null URL
 *
 * for what the machine can do at that moment, and either under `strace -c -f` to count system
 * calls. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "pailfs/base/lock.h"
#include "pailfs/base/stats.h"
#include "pailfs/base/xalloc.h"
#include "pailfs/net.h"

struct bench {
	struct net *net;
	const char *url;
	uint64_t size, part;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	/* The lock's. */
	uint64_t next;
	unsigned running, requests;
	int error;
};

struct stream {
	struct bench *bench;
	struct net_request request;
	char range[64];
	const char *headers[1];
	char *memory;
	size_t filled;
	uint64_t length;
};

static int on_body(struct net_request *r, const void *data, size_t n)
{
	struct stream *s = container_of(r, struct stream, request);

	if (s->filled + n > s->length)
		return -EFBIG;
	memcpy(s->memory + s->filled, data, n);
	s->filled += n;
	return 0;
}

/* Takes the next part, or ends the stream. */
static void stream_go_on(struct stream *s)
{
	struct bench *b = s->bench;
	uint64_t start;

	{
		scoped_lock(&b->lock);
		start = b->next;
		if (b->error || start >= b->size) {
			if (--b->running == 0)
				pthread_cond_signal(&b->ended);
			return;
		}
		s->length = MIN(b->part, b->size - start);
		b->next += s->length;
		b->requests++;
	}
	s->filled = 0;
	snprintf(s->range, sizeof(s->range), "Range: bytes=%llu-%llu", (unsigned long long)start,
		 (unsigned long long)(start + s->length - 1));
	net_start(b->net, &s->request);
}

static void on_done(struct net_request *r)
{
	struct stream *s = container_of(r, struct stream, request);

	if (r->error || r->status != 206 || s->filled != s->length) {
		fprintf(stderr, "net_get: status %d, %zu of %llu bytes: %s\n", r->status, s->filled,
			(unsigned long long)s->length, r->error_text);
		scoped_lock(&s->bench->lock);
		s->bench->error = 1;
	}
	stream_go_on(s);
}

static const struct net_handler handler = {.body = on_body, .done = on_done};

static uint64_t argument(int argc, char **argv, int i, uint64_t otherwise)
{
	return i < argc ? strtoull(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	struct bench b = {.url = argc > 1 ? argv[1] : NULL};
	unsigned in_flight = (unsigned)argument(argc, argv, 4, 4);
	struct net_config config = {
		.loops = (unsigned)argument(argc, argv, 5, 1),
		.connections = in_flight,
		.connect_timeout_ms = 5000,
		.stall_timeout_ms = 10000,
		.stats = stats_create(),
		.clock = &clock_system,
	};
	struct stream *streams;
	struct rusage usage;
	uint64_t begun;
	double seconds, cpu;

	if (!b.url) {
		fprintf(stderr, "usage: net_get URL [SIZE_MIB [PART_KIB [IN_FLIGHT [LOOPS]]]]\n");
		return 2;
	}
	b.size = argument(argc, argv, 2, 2048) << 20;
	b.part = argument(argc, argv, 3, 8192) << 10;
	pthread_mutex_init(&b.lock, NULL);
	pthread_cond_init(&b.ended, NULL);
	if (net_create(&config, &b.net))
		return 1;
	b.running = in_flight;
	streams = xcalloc(in_flight, sizeof(*streams));
	for (unsigned i = 0; i < in_flight; i++) {
		struct stream *s = &streams[i];

		*s = (struct stream){.bench = &b, .memory = xmalloc(b.part)};
		memset(s->memory, 0, b.part);
		s->headers[0] = s->range;
		s->request = (struct net_request){.handler = &handler,
						  .url = b.url,
						  .headers = s->headers,
						  .header_count = 1};
	}
	begun = clock_monotonic(&clock_system);
	for (unsigned i = 0; i < in_flight; i++)
		stream_go_on(&streams[i]);
	pthread_mutex_lock(&b.lock);
	while (b.running > 0)
		pthread_cond_wait(&b.ended, &b.lock);
	pthread_mutex_unlock(&b.lock);
	seconds = (double)(clock_monotonic(&clock_system) - begun) / 1e9;
	net_destroy(b.net);
	getrusage(RUSAGE_SELF, &usage);
	cpu = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
	      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	printf("%.0f MB/s  %.0f requests/s  %.2f CPU s/GiB  %ld MiB  %lld connections\n",
	       (double)b.size / 1e6 / seconds, b.requests / seconds,
	       cpu / ((double)b.size / (1 << 30)), usage.ru_maxrss / 1024,
	       (long long)stats_get(config.stats, STAT_CONNECTIONS_OPENED));
	for (unsigned i = 0; i < in_flight; i++)
		free(streams[i].memory);
	free(streams);
	stats_destroy(config.stats);
	return b.error;
}
