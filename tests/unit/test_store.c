/* The wrapper, the table of stores, objects, and chaos over a small store in memory. */
#include <check.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pailfs/base/lock.h"
#include "pailfs/base/xalloc.h"
#include "src/store/dialect.h"
#include "src/store/list_page.h"
#include "src/store/store_impl.h"
#include "unit.h"

/* ---- a store of one value, answered at once, or never when it is told to hang ---- */

static const char value[] = "0123456789abcdefghij";

struct plain {
	struct store store;
	unsigned gets;
	bool hang;
	struct store_get *hanging;
};

static void plain_destroy(struct store *s)
{
	store_fini(s);
	free(s);
}

static int plain_get(struct store *s, struct store_get *op)
{
	struct plain *p = container_of(s, struct plain, store);

	p->gets++;
	if (p->hang) {
		p->hanging = op;
		return 0;
	}
	memcpy(op->buffer, value + op->offset, op->length);
	op->filled = op->length;
	if (op->progress)
		op->progress(op, op->filled);
	return 1;
}

static int plain_lookup(struct store *s, struct store_lookup *op)
{
	op->attr = (struct store_attr){.size = 20};
	return strcmp(op->key, "data") ? -ENOENT : 1;
}

static int plain_list(struct store *s, struct store_list *op)
{
	struct list_page page;
	struct store_attr attr = {.size = 20};

	list_page_init(&page);
	list_page_add(&page, "data", 4, &attr);
	list_page_finish(&page, op, true);
	return 1;
}

static void *end_hanging(void *data)
{
	struct store_get *get = data;

	get->op.done(&get->op, -ECANCELED);
	return NULL;
}

static void plain_cancel(struct store *s, struct store_op *op)
{
	pthread_t thread;

	pthread_create(&thread, NULL, end_hanging, container_of(op, struct store_get, op));
	pthread_detach(thread);
}

static const struct store_ops plain_ops = {
	.destroy = plain_destroy,
	.get_range = plain_get,
	.lookup = plain_lookup,
	.list = plain_list,
	.probe = plain_list,
	.cancel = plain_cancel,
};

/* ---- fixture ---- */

static struct plain *plain;
static struct store *store;
static struct stats *stats;

static void setup_chaos(const char *spec)
{
	struct store_options options = {0};
	struct store_config config = {.options = &options, .clock = &clock_system};
	struct buf error = BUF_INIT;

	stats = config.stats = stats_create();
	plain = xcalloc(1, sizeof(*plain));
	store_init(&plain->store, &plain_ops, "plain", STORE_LIST | STORE_READ_ONLY, "plain", "", &config);
	store = &plain->store;
	if (spec)
		ck_assert_msg(!chaos_store_create(spec, &plain->store, &config, &store, &error), "%s",
		              error.data);
	buf_release(&error);
}

static void teardown(void)
{
	store_destroy(store);
	stats_destroy(stats);
}

struct waiter {
	sem_t ended;
	pthread_mutex_t lock;
	int result;
	unsigned calls;
};

static struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note_done(struct store_op *op, int result)
{
	scoped_lock(&waiter.lock);
	waiter.result = result;
	waiter.calls++;
	sem_post(&waiter.ended);
}

static void prepare(struct store_op *op)
{
	sem_init(&waiter.ended, 0, 0);
	waiter.calls = 0;
	op->done = note_done;
}

static int wait_for(int started)
{
	if (started) {
		ck_assert_uint_eq(waiter.calls, 0);
		return started > 0 ? 0 : started;
	}
	sem_wait(&waiter.ended);
	ck_assert_uint_eq(waiter.calls, 1);
	return waiter.result;
}

static const struct store_attr data_attr = {.size = 20};
static char got[64];
static struct store_get last;

static int read_data(uint64_t offset, size_t length)
{
	struct store_object *o = store_object_open(store, "data", &data_attr);
	int r;

	memset(got, 0, sizeof(got));
	last = (struct store_get){.object = o, .offset = offset, .length = length, .buffer = got};
	prepare(&last.op);
	r = wait_for(store_get_range(store, &last));
	store_object_unref(o);
	return r;
}

/* ---- the wrapper ---- */

START_TEST(ranges_lie_inside)
{
	setup_chaos(NULL);
	ck_assert_int_eq(read_data(0, 20), 0);
	ck_assert_str_eq(got, value);
	ck_assert_int_eq(read_data(0, 21), -EINVAL);
	ck_assert_int_eq(read_data(20, 1), -EINVAL);
	ck_assert_int_eq(read_data(UINT64_MAX, 2), -EINVAL);
	ck_assert_uint_eq(plain->gets, 1);
	ck_assert_int_eq(read_data(20, 0), 0);
	ck_assert_uint_eq(plain->gets, 1);
	teardown();
}
END_TEST

START_TEST(lists_only_as_it_can)
{
	struct store_list op = {.prefix = ""};

	setup_chaos(NULL);
	prepare(&op.op);
	ck_assert_int_eq(store_list(store, &op), -EOPNOTSUPP); /* no STORE_FLAT_LIST */
	op.delimited = true;
	op.start_after = "a";
	ck_assert_int_eq(store_list(store, &op), -EOPNOTSUPP); /* no STORE_ORDERED_LIST */
	op.start_after = NULL;
	ck_assert_int_eq(store_list(store, &op), 1);
	ck_assert_uint_eq(op.entry_count, 1);
	ck_assert_str_eq(op.entries[0].key, "data");
	store_list_release(&op);
	store_list_release(&op);
	teardown();
}
END_TEST

START_TEST(objects_are_counted)
{
	struct store_object *a, *b;

	setup_chaos(NULL);
	a = store_object_open(store, "data", &data_attr);
	b = store_object_open(store, "data", &data_attr);
	ck_assert_ptr_ne(a, b);
	ck_assert_ptr_eq(store_object_ref(a), a);
	store_object_unref(a);
	ck_assert_str_eq(a->key, "data");
	store_object_unref(a);
	store_object_unref(b);
	store_object_unref(NULL);
	teardown();
}
END_TEST

static int create(const char *source, struct store **out, struct buf *error)
{
	struct store_options options = {0};
	struct store_config config = {.source = source, .options = &options, .clock = &clock_system,
	                              .stats = stats};

	buf_reset(error);
	return store_create(&config, out, error);
}

START_TEST(sources_find_their_store)
{
	struct buf error = BUF_INIT;
	char dir[] = "/tmp/pailfs-store-XXXXXX", source[64];
	struct store *s;

	stats = stats_create();
	ck_assert_int_eq(create("gopher://x/y?secret", &s, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.data, "gopher://x/y"));
	ck_assert_ptr_nonnull(strstr(error.data, "http://"));
	ck_assert_ptr_null(strstr(error.data, "secret"));
	ck_assert_ptr_null(s);

	ck_assert_int_eq(create("http://host/dir/file", &s, &error), 0);
	ck_assert_str_eq(store_name(s), "http");
	ck_assert_str_eq(store_root(s), "file");
	ck_assert_uint_eq(store_capabilities(s), STORE_READ_ONLY);
	ck_assert_ptr_null(store_tree(s));
	store_destroy(s);

	ck_assert_int_eq(create("http://me:s3cret@host/file", &s, &error), -EINVAL);
	ck_assert_ptr_null(strstr(error.data, "s3cret"));
	ck_assert_int_eq(create("http://", &s, &error), -EINVAL);
	ck_assert_int_eq(create("http://host/a b", &s, &error), -EINVAL);

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(source, sizeof(source), "file://%s", dir);
	ck_assert_int_eq(create(source, &s, &error), 0);
	ck_assert(store_capabilities(s) & STORE_SET_RANGE);
	ck_assert_ptr_nonnull(store_tree(s));
	store_destroy(s);
	rmdir(dir);
	ck_assert_int_ne(create(source, &s, &error), 0);
	ck_assert_ptr_nonnull(strstr(error.data, dir));
	buf_release(&error);
	stats_destroy(stats);
}
END_TEST

/* ---- pages ---- */

START_TEST(pages_are_sorted_and_clean)
{
	static const char odd[] = "b\0c";
	struct store_attr attr = {0};
	struct store_list op = {.start_after = "a"};
	struct list_page page;

	list_page_init(&page);
	list_page_add(&page, "c", 1, &attr);
	list_page_add(&page, "\xff", 1, &attr);
	list_page_add(&page, odd, 3, &attr);
	list_page_add(&page, "", 0, &attr);
	list_page_add(&page, "a", 1, &attr);
	list_page_add(&page, "a/", 2, &attr);
	for (int i = 0; i < 1000; i++)
		list_page_add(&page, "b", 1, &attr);
	list_page_continue(&page, "next", 4);
	list_page_finish(&page, &op, true);
	ck_assert_uint_eq(op.unusable, 2);
	ck_assert_uint_eq(op.entry_count, 1003);
	ck_assert_str_eq(op.entries[0].key, "a/");
	ck_assert_str_eq(op.entries[1001].key, "c");
	ck_assert_str_eq(op.entries[1002].key, "\xff");
	ck_assert_str_eq(op.next_continuation, "next");
	store_list_release(&op);
	list_page_release(&page);
}
END_TEST

/* ---- chaos ---- */

START_TEST(chaos_without_faults_changes_nothing)
{
	struct store_lookup lookup = {.key = "data"};
	struct store_list list = {.prefix = "", .delimited = true};

	setup_chaos("seed=3");
	ck_assert_int_eq(read_data(4, 10), 0);
	ck_assert_str_eq(got, "456789abcd");
	prepare(&lookup.op);
	ck_assert_int_eq(store_lookup(store, &lookup), 1);
	ck_assert_uint_eq(lookup.attr.size, 20);
	lookup.key = "x";
	ck_assert_int_eq(store_lookup(store, &lookup), -ENOENT);
	prepare(&list.op);
	ck_assert_int_eq(store_list(store, &list), 1);
	ck_assert_uint_eq(list.entry_count, 1);
	store_list_release(&list);
	ck_assert_int_eq(store_probe(store, &list), 1);
	store_list_release(&list);
	teardown();
}
END_TEST

START_TEST(chaos_delays)
{
	uint64_t start = clock_monotonic(&clock_system);

	setup_chaos("delay=30ms");
	ck_assert_int_eq(read_data(4, 10), 0);
	ck_assert_str_eq(got, "456789abcd");
	ck_assert_uint_ge(clock_monotonic(&clock_system) - start, 30 * NS_PER_MS);
	teardown();
}
END_TEST

START_TEST(chaos_fails)
{
	setup_chaos("error=100%:ESTALE");
	ck_assert_int_eq(read_data(4, 10), -ESTALE);
	ck_assert_uint_eq(plain->gets, 0);
	ck_assert_ptr_nonnull(strstr(last.op.error, "chaos"));
	teardown();
	setup_chaos("delay=1ms,error=100%:EIO");
	ck_assert_int_eq(read_data(4, 10), -EIO);
	teardown();
}
END_TEST

START_TEST(chaos_cuts)
{
	setup_chaos("short=100%");
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(read_data(4, 10), -EIO);
		ck_assert_uint_lt(last.filled, 10);
		ck_assert(!strncmp(got, "456789abcd", last.filled));
	}
	teardown();
}
END_TEST

START_TEST(chaos_keeps_its_shares_and_its_seed)
{
	unsigned failed[2] = {0, 0};
	uint64_t pattern[2] = {0, 0};

	for (int round = 0; round < 2; round++) {
		setup_chaos("error=20%:EIO,seed=42");
		for (int i = 0; i < 1000; i++) {
			bool bad = read_data(0, 1) == -EIO;

			failed[round] += bad;
			pattern[round] = pattern[round] * 31 + bad;
		}
		teardown();
	}
	ck_assert_uint_gt(failed[0], 150);
	ck_assert_uint_lt(failed[0], 250);
	ck_assert_uint_eq(pattern[0], pattern[1]);
}
END_TEST

static void cancel_pending(bool below)
{
	struct store_object *o = store_object_open(store, "data", &data_attr);
	struct store_get get = {.object = o, .offset = 0, .length = 10, .buffer = got};

	plain->hang = below;
	prepare(&get.op);
	ck_assert_int_eq(store_get_range(store, &get), 0);
	usleep(20000);
	{
		scoped_lock(&waiter.lock);
		ck_assert_uint_eq(waiter.calls, 0);
		store_cancel(&get.op);
		store_cancel(&get.op);
	}
	ck_assert_int_eq(wait_for(0), -ECANCELED);
	store_object_unref(o);
}

START_TEST(chaos_hangs_until_cancelled)
{
	setup_chaos("hang=100%");
	cancel_pending(false);
	ck_assert_uint_eq(plain->gets, 0);
	teardown();
}
END_TEST

START_TEST(chaos_cancels_below)
{
	setup_chaos("delay=1ms");
	cancel_pending(true);
	ck_assert_uint_eq(plain->gets, 1);
	teardown();
	setup_chaos("seed=1");
	cancel_pending(true);
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *tc = tcase_create("store");

	tcase_add_test(tc, ranges_lie_inside);
	tcase_add_test(tc, lists_only_as_it_can);
	tcase_add_test(tc, objects_are_counted);
	tcase_add_test(tc, sources_find_their_store);
	tcase_add_test(tc, pages_are_sorted_and_clean);
	tcase_add_test(tc, chaos_without_faults_changes_nothing);
	tcase_add_test(tc, chaos_delays);
	tcase_add_test(tc, chaos_fails);
	tcase_add_test(tc, chaos_cuts);
	tcase_add_test(tc, chaos_keeps_its_shares_and_its_seed);
	tcase_add_test(tc, chaos_hangs_until_cancelled);
	tcase_add_test(tc, chaos_cancels_below);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
