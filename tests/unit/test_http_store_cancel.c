/* Cancelling operations over HTTP, and many of them at once. */
#include "http_store_fixture.h"

/* ---- cancelling ---- */

static void cancel_after(unsigned ms, const struct http_step *step)
{
	struct store_object *o;
	struct store_get get = {.offset = 4, .length = 10, .buffer = got};
	uint64_t start;

	setup(NULL, "/data", 20000, 20000);
	http_server_script(server, step, 1);
	o = store_object_open(store, "data", &data_attr);
	get.object = o;
	prepare(&get.op);
	ck_assert_int_eq(store_get_range(store, &get), 0);
	usleep(ms * 1000);
	start = clock_monotonic(&clock_system);
	{
		scoped_lock(&waiter.lock);
		store_cancel(&get.op);
		store_cancel(&get.op);
	}
	ck_assert_int_eq(wait_for(0), -ECANCELED);
	ck_assert_uint_lt(clock_monotonic(&clock_system) - start, NS_PER_SECOND);
	store_object_unref(o);
	teardown();
}

START_TEST(cancel_at_once)
{
	static const struct http_step hang = {.hang = true};

	cancel_after(0, &hang);
}
END_TEST

START_TEST(cancel_on_the_net)
{
	static const struct http_step hang = {HEAD_206("4-13/20", "10") "456", .hang = true};

	cancel_after(100, &hang);
}
END_TEST

START_TEST(cancel_in_back_off)
{
	static const struct http_step busy = {
		"HTTP/1.1 503 Busy\r\nRetry-After: 10\r\nContent-Length: 0\r\n\r\n"};

	cancel_after(100, &busy);
}
END_TEST

/* Cancels and ends meet in every order; each operation still ends once. */
START_TEST(cancel_races)
{
	static const struct http_step steps[] = {{STATUS("503 Busy")}, {GOOD}, {GOOD, .close = true},
	                                         {STATUS("500 Busy"), .close = true}, {GOOD}};
	unsigned seed = 1;

	setup(NULL, "/data", 20000, 20000);
	for (int i = 0; i < 200; i++) {
		struct store_object *o = store_object_open(store, "data", &data_attr);
		struct store_get get = {.object = o, .offset = 4, .length = 10, .buffer = got};
		int r;

		http_server_script(server, steps, 1 + (size_t)i % 5);
		get.op.speculative = i % 2;
		prepare(&get.op);
		ck_assert_int_eq(store_get_range(store, &get), 0);
		usleep((unsigned)rand_r(&seed) % 1500);
		{
			scoped_lock(&waiter.lock);
			if (!waiter.calls) {
				store_promote(&get.op);
				store_cancel(&get.op);
			}
		}
		r = wait_for(0);
		ck_assert(r == 0 || r == -ECANCELED);
		store_object_unref(o);
	}
	teardown();
}
END_TEST

/* ---- many at once ---- */

struct many {
	struct store_get get;
	sem_t *ended;
	char data[11];
	int result;
};

static void many_done(struct store_op *op, int result)
{
	struct many *m = container_of(op, struct many, get.op);

	m->result = result;
	sem_post(m->ended);
}

START_TEST(many_at_once)
{
	enum { COUNT = 100 };
	static const struct http_step steps[] = {
		{GOOD}, {STATUS("503 Busy")}, {GOOD, .close = true}, {.reset = true}, {GOOD}};
	struct many *many = xcalloc(COUNT, sizeof(*many));
	struct store_object *o;
	sem_t ended;

	setup(NULL, "/data", 20000, 5000);
	http_server_script(server, steps, ARRAY_SIZE(steps));
	sem_init(&ended, 0, 0);
	o = store_object_open(store, "data", &data_attr);
	for (int i = 0; i < COUNT; i++) {
		struct many *m = &many[i];

		m->ended = &ended;
		m->get = (struct store_get){.object = o, .offset = 4, .length = 10, .buffer = m->data,
		                            .op.done = many_done, .op.speculative = i % 3 == 0};
		ck_assert_int_eq(store_get_range(store, &m->get), 0);
	}
	for (int i = 0; i < COUNT; i++)
		sem_wait(&ended);
	for (int i = 0; i < COUNT; i++) {
		ck_assert_int_eq(many[i].result, 0);
		ck_assert_str_eq(many[i].data, "456789abcd");
	}
	store_object_unref(o);
	free(many);
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_store_cancel");
	TCase *tc = tcase_create("http_store_cancel");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, cancel_at_once);
	tcase_add_test(tc, cancel_on_the_net);
	tcase_add_test(tc, cancel_in_back_off);
	tcase_add_test(tc, cancel_races);
	tcase_add_test(tc, many_at_once);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
