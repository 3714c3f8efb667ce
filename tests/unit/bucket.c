/* bucket.c - a bucket of names in memory for tests (bucket.h). The sizes of objects are the
 * lengths of their keys, their ETags quote them. */
#include "bucket.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"

static struct bucket *bucket_of(struct store *s)
{
	return container_of(s, struct bucket, store);
}

/* The number of the first key that is not before this one. */
static size_t find(const struct bucket *b, const char *key)
{
	size_t low = 0, high = b->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(b->keys[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool bucket_has(const struct bucket *b, const char *key)
{
	size_t i = find(b, key);

	return i < b->count && !strcmp(b->keys[i], key);
}

bool bucket_has_below(const struct bucket *b, const char *prefix)
{
	size_t i = find(b, prefix);

	if (i < b->count && !strcmp(b->keys[i], prefix))
		return true;
	return i < b->count && !strncmp(b->keys[i], prefix, strlen(prefix));
}

void bucket_add(struct bucket *b, const char *key)
{
	size_t i = find(b, key);

	if (bucket_has(b, key))
		return;
	if (b->count == b->capacity) {
		b->capacity = b->capacity ? b->capacity * 2 : 1024;
		b->keys = xrealloc(b->keys, b->capacity, sizeof(*b->keys));
	}
	memmove(b->keys + i + 1, b->keys + i, (b->count - i) * sizeof(*b->keys));
	b->keys[i] = xstrdup(key);
	b->count++;
}

void bucket_addf(struct bucket *b, const char *format, ...)
{
	va_list ap;
	char *key;

	va_start(ap, format);
	if (vasprintf(&key, format, ap) < 0)
		abort();
	va_end(ap);
	bucket_add(b, key);
	free(key);
}

void bucket_remove(struct bucket *b, const char *key)
{
	size_t i = find(b, key);

	if (!bucket_has(b, key))
		return;
	free(b->keys[i]);
	memmove(b->keys + i, b->keys + i + 1, (b->count - i - 1) * sizeof(*b->keys));
	b->count--;
}

static void fill_attr(const char *key, struct store_attr *attr)
{
	size_t length = strlen(key);

	*attr = (struct store_attr){
		.size = length,
		.mtime_ns = 1000000000ll * (int64_t)length,
		.storage_class = "STANDARD",
		.is_prefix = length > 0 && key[length - 1] == '/',
	};
	if (!attr->is_prefix)
		snprintf(attr->etag, sizeof(attr->etag), "\"%.60s\"", key);
}

/* Gives the entries, which point into the bucket, memory of their own. */
static void own_entries(struct store_list *op)
{
	size_t size = 1;
	char *to;

	for (size_t i = 0; i < op->entry_count; i++)
		size += op->entries[i].key_length + 1;
	op->memory = to = xcalloc(size, 1);
	for (size_t i = 0; i < op->entry_count; i++) {
		struct store_entry *e = &op->entries[i];

		memcpy(to, e->key, e->key_length);
		e->key = to;
		fill_attr(to, &e->attr);
		to += e->key_length + 1;
	}
}

static bool is_denied(const struct bucket *b, const char *key)
{
	return b->denied && !strncmp(key, b->denied, strlen(b->denied));
}

static int answer_list(struct bucket *b, struct store_list *op)
{
	unsigned number = atomic_fetch_add(&b->lists, 1) + 1;
	const char *from = op->start_after;
	size_t prefix = strlen(op->prefix), i;
	bool more = false;

	if (!op->delimited)
		atomic_fetch_add(&b->flat_lists, 1);
	free(b->last_list);
	b->last_list = xasprintf("%s|%s|%s", op->prefix, op->delimited ? "/" : "",
	                         op->start_after ? op->start_after : "");
	op->op.exhausted = b->list_error && b->exhausts;
	if (b->list_error)
		return b->list_error;
	if (is_denied(b, op->prefix)) {
		snprintf(op->op.error, sizeof(op->op.error), "403 AccessDenied");
		op->op.denied = true;
		return -EACCES;
	}
	if (b->fail_page == number)
		return -EIO;
	if (b->ignores_start_after)
		from = NULL;
	if (op->continuation)
		from = strchr(op->continuation, ':') + 1; /* "number:key" */
	if (b->clock)
		atomic_fetch_add(&b->clock->now, b->page_ns);
	op->entries = xcalloc(b->page_size + 1, sizeof(*op->entries));
	op->unusable = b->unusable;
	i = find(b, op->prefix);
	if (from)
		i = MAX(i, find(b, from));
	for (; i < b->count; i++) {
		const char *key = b->keys[i], *slash;
		size_t length = strlen(key);
		bool again;

		if (strncmp(key, op->prefix, prefix))
			break;
		slash = op->delimited ? strchr(key + prefix, '/') : NULL;
		if (slash)
			length = (size_t)(slash - key) + 1;
		again = op->entry_count > 0 &&
		        op->entries[op->entry_count - 1].key_length == length &&
		        !strncmp(op->entries[op->entry_count - 1].key, key, length);
		if (again)
			continue;
		if (from && strcmp(key, from) <= 0)
			continue;
		/* What was shown as a common prefix is passed over. */
		if (from && slash && strlen(from) == length && !strncmp(key, from, length) &&
		    (op->continuation || !b->shows_prefix_again))
			continue;
		if (op->entry_count == b->page_size || b->empty_pages > 0) {
			more = true;
			break;
		}
		op->entries[op->entry_count++] = (struct store_entry){
			.key = key,
			.key_length = length,
		};
	}
	if (more && b->token_circle) {
		op->next_continuation = xasprintf("%u:%s", number % b->token_circle,
		                                  from ? from : "");
	} else if (more && op->entry_count > 0) {
		const struct store_entry *last = &op->entries[op->entry_count - 1];

		op->next_continuation = xasprintf("%u:%.*s", number, (int)last->key_length,
		                                  last->key);
	} else if (more) {
		op->next_continuation = xasprintf("%u:%s", number, from ? from : "");
	}
	if (b->empty_pages > 0)
		b->empty_pages--;
	if (b->reversed) {
		for (size_t k = 0; k < op->entry_count / 2; k++) {
			struct store_entry e = op->entries[k];

			op->entries[k] = op->entries[op->entry_count - 1 - k];
			op->entries[op->entry_count - 1 - k] = e;
		}
	}
	own_entries(op);
	return 0;
}

static int answer_lookup(struct bucket *b, struct store_lookup *op)
{
	atomic_fetch_add(&b->heads, 1);
	op->op.exhausted = b->lookup_error && b->exhausts;
	if (b->lookup_error)
		return b->lookup_error;
	if (!bucket_has(b, op->key)) {
		op->op.denied = b->denies_heads && is_denied(b, op->key);
		return op->op.denied ? -EACCES : -ENOENT;
	}
	fill_attr(op->key, &op->attr);
	return 0;
}

static int answer(struct bucket *b, struct store_op *op)
{
	if (op->state)
		return answer_lookup(b, container_of(op, struct store_lookup, op));
	return answer_list(b, container_of(op, struct store_list, op));
}

static int begin(struct store *s, struct store_op *op, bool is_lookup)
{
	struct bucket *b = bucket_of(s);
	int result;

	op->state = is_lookup ? b : NULL;
	if (b->mode == BUCKET_AT_ONCE) {
		result = answer(b, op);
		return result ? result : 1;
	}
	pthread_mutex_lock(&b->lock);
	list_append(&b->queue, &op->link);
	pthread_cond_signal(&b->wake);
	pthread_mutex_unlock(&b->lock);
	return 0;
}

static int begin_lookup(struct store *s, struct store_lookup *op)
{
	return begin(s, &op->op, true);
}

static int begin_list(struct store *s, struct store_list *op)
{
	return begin(s, &op->op, false);
}

static struct store_op *take(struct bucket *b, bool wait)
{
	struct store_op *op = NULL;

	pthread_mutex_lock(&b->lock);
	while (wait && list_empty(&b->queue) && !b->stop)
		pthread_cond_wait(&b->wake, &b->lock);
	if (!list_empty(&b->queue)) {
		op = list_first(&b->queue, struct store_op, link);
		list_remove(&op->link);
	}
	pthread_mutex_unlock(&b->lock);
	return op;
}

bool bucket_step(struct bucket *b)
{
	struct store_op *op = take(b, false);

	if (!op)
		return false;
	op->done(op, answer(b, op));
	return true;
}

static void *serve(void *arg)
{
	struct bucket *b = arg;
	struct store_op *op;

	while ((op = take(b, true)))
		op->done(op, answer(b, op));
	return NULL;
}

static const struct store_ops bucket_ops = {
	.lookup = begin_lookup,
	.list = begin_list,
};

struct bucket *bucket_create(unsigned capabilities, const char *root, size_t page_size)
{
	struct bucket *b = xcalloc(1, sizeof(*b));
	struct store_config config = {.stats = stats_create(), .clock = &clock_system};

	store_init(&b->store, &bucket_ops, "bucket", capabilities | STORE_READ_ONLY, "test", root,
	           &config);
	b->page_size = page_size;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->wake, NULL);
	list_init(&b->queue);
	return b;
}

void bucket_set_mode(struct bucket *b, int mode)
{
	b->mode = mode;
	if (mode == BUCKET_THREAD && pthread_create(&b->thread, NULL, serve, b))
		abort();
}

void bucket_destroy(struct bucket *b)
{
	if (b->mode == BUCKET_THREAD) {
		pthread_mutex_lock(&b->lock);
		b->stop = true;
		pthread_cond_signal(&b->wake);
		pthread_mutex_unlock(&b->lock);
		pthread_join(b->thread, NULL);
	}
	for (size_t i = 0; i < b->count; i++)
		free(b->keys[i]);
	free(b->keys);
	free(b->last_list);
	stats_destroy(b->store.stats);
	store_fini(&b->store);
	pthread_mutex_destroy(&b->lock);
	pthread_cond_destroy(&b->wake);
	free(b);
}

static uint64_t test_monotonic(const struct clock *c)
{
	return atomic_load(&((const struct test_clock *)c)->now);
}

static int64_t test_realtime(const struct clock *c)
{
	return (int64_t)test_monotonic(c);
}

void test_clock_init(struct test_clock *c)
{
	c->clock = (struct clock){.monotonic = test_monotonic, .realtime = test_realtime};
	atomic_init(&c->now, 1000 * NS_PER_SECOND);
}
