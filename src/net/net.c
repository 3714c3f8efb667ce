/* The room's front: checks and copies the configuration, and hands what is asked for to one
 * of the loops. */
#include "pailfs/net.h"
#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <openssl/x509.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/log.h"
#include "src/net/loop.h"

/* A loop also answers the reads that waited for its bytes, and receives nothing meanwhile: a
 * second one does. What the processors have beyond that is for the readers. */
static unsigned default_loops(void)
{
	cpu_set_t set;
	int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 2;

	return (unsigned)MIN(MAX(count / 2, MIN(count, 2)), 4);
}

/* curl would find out with the first connection, in words that do not name the option. */
static int check_ca_file(const char *path)
{
	X509_STORE *store = X509_STORE_new();
	int ok = store && X509_STORE_load_file(store, path);

	X509_STORE_free(store);
	if (ok)
		return 0;
	log_error(LOG_NET,
		  "%s: no certificates can be read from it; check ca_file and AWS_CA_BUNDLE", path);
	return -EINVAL;
}

static void net_release(struct net *net)
{
	free((char *)net->config.ca_file);
	free(net);
	curl_global_cleanup();
}

int net_create(const struct net_config *config, struct net **out)
{
	unsigned connections = MAX(config->connections, 1u);
	unsigned loops = config->loops ? config->loops : default_loops();
	const char *ca_file = config->ca_file;
	struct net *net;
	int error;

	loops = MIN(MIN(loops, NET_LOOPS_MAX), connections);
	if (!ca_file)
		ca_file = getenv("AWS_CA_BUNDLE");
	if (ca_file && !*ca_file)
		ca_file = NULL;
	if (ca_file && (error = check_ca_file(ca_file)) != 0)
		return error;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;

	net = xcalloc(1, sizeof(*net) + loops * sizeof(net->loops[0]));
	net->config = *config;
	net->config.ca_file = ca_file ? xstrdup(ca_file) : NULL;
	while (net->loop_count < loops) {
		unsigned i = net->loop_count,
			 slots = connections / loops + (i < connections % loops);

		error = loop_start(&net->loops[i], net, i, slots);
		if (error) {
			net_destroy(net);
			return error;
		}
		net->loop_count++;
	}
	*out = net;
	return 0;
}

void net_destroy(struct net *net)
{
	if (!net)
		return;
	while (net->loop_count > 0)
		loop_stop(&net->loops[--net->loop_count]);
	net_release(net);
}

static struct net_loop *own_loop(struct net *net)
{
	for (unsigned i = 0; i < net->loop_count; i++)
		if (pthread_equal(net->loops[i].thread, pthread_self()))
			return &net->loops[i];
	return NULL;
}

/* The least busy; among equals the caller's own, which needs no wake-up, then the first,
 * whose connections are the warmest. */
static struct net_loop *choose_loop(struct net *net)
{
	struct net_loop *best = own_loop(net);

	if (!best)
		best = &net->loops[0];
	for (unsigned i = 0; i < net->loop_count; i++)
		if (atomic_load_explicit(&net->loops[i].load, memory_order_relaxed) <
		    atomic_load_explicit(&best->load, memory_order_relaxed))
			best = &net->loops[i];
	return best;
}

void net_start(struct net *net, struct net_request *r)
{
	struct net_loop *l = choose_loop(net);

	assert(r->handler && r->handler->done && r->url);
	r->error = 0;
	r->error_text[0] = 0;
	r->status = 0;
	r->started_ns = r->first_byte_ns = r->finished_ns = 0;
	r->received = r->sent = 0;
	r->remote[0] = 0;
	r->message = (struct net_message){.is_timer = false};
	list_init(&r->message.link);
	list_init(&r->link);
	r->transfer = NULL;
	r->loop = l;
	r->thread = (unsigned)(l - net->loops);
	atomic_fetch_add_explicit(&l->load, 1, memory_order_relaxed);
	loop_post(l, &r->message, WANT_START);
}

void net_cancel(struct net *net, struct net_request *r)
{
	loop_post(r->loop, &r->message, WANT_CANCEL);
}

void net_promote(struct net *net, struct net_request *r)
{
	loop_post(r->loop, &r->message, WANT_PROMOTE);
}

void net_timer_set(struct net *net, struct net_timer *t, uint64_t delay_ns)
{
	uint64_t now = clock_monotonic(net->config.clock);

	t->at_ns = delay_ns < UINT64_MAX - now ? now + delay_ns : UINT64_MAX;
	t->message = (struct net_message){.is_timer = true};
	list_init(&t->message.link);
	t->loop = own_loop(net);
	if (!t->loop)
		t->loop = &net->loops[0];
	loop_post(t->loop, &t->message, WANT_SET);
}

void net_timer_hurry(struct net *net, struct net_timer *t)
{
	loop_post(t->loop, &t->message, WANT_HURRY);
}
