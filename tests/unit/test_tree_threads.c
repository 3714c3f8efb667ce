/* Local-backed stores under many threads at once (W2, W5 to W7). */
#include <pthread.h>
#include "tree_fixture.h"

enum { THREADS = 4, PIECE = 1000, PIECES = 64, ROUNDS = 20 };

struct worker {
	pthread_t thread;
	struct fixture *f;
	int index;
};

static void together(struct fixture *f, void *(*work)(void *))
{
	struct worker workers[THREADS];

	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.f = f, .index = i};
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
}

/* Pieces of 1000 bytes, every fourth one's own: neighbours share pages and blocks. */
static void *write_pieces(void *arg)
{
	struct worker *w = arg;
	struct tree_handle *h = fixture_value(w->f);
	char data[PIECE];

	for (int round = 1; round <= ROUNDS; round++) {
		memset(data, w->index * ROUNDS + round, sizeof(data));
		for (int i = w->index; i < PIECES; i += THREADS)
			if (i % 2 ? tree_set_range(h, i * PIECE, data, PIECE)
			          : tree_write(h, data, PIECE, i * PIECE) != PIECE)
				abort();
	}
	tree_close(h);
	return NULL;
}

static void make_value(struct fixture *f, size_t size)
{
	char *zeros = xcalloc(1, size);

	ck_assert_int_eq(tree_put(f->root, "v", zeros, size, NULL), 0);
	free(zeros);
}

START_TEST(w5_disjoint_ranges_at_once)
{
	static char got[PIECES * PIECE + 1];
	struct tree_handle *h;
	struct fixture f;

	fixture_open(&f, _i);
	make_value(&f, PIECES * PIECE);
	together(&f, write_pieces);
	h = fixture_value(&f);
	ck_assert_int_eq(tree_read(h, got, sizeof(got), 0), PIECES * PIECE);
	for (int i = 0; i < PIECES * PIECE; i++)
		ck_assert_int_eq(got[i], i / PIECE % THREADS * ROUNDS + ROUNDS);
	tree_close(h);
	fixture_close(&f);
}
END_TEST

static void *write_same(void *arg)
{
	struct worker *w = arg;
	struct tree_handle *h = fixture_value(w->f);
	char data[9000];

	for (int round = 0; round < 50; round++) {
		memset(data, 1 + w->index, sizeof(data));
		if (tree_write(h, data, sizeof(data), 100) != sizeof(data))
			abort();
	}
	tree_close(h);
	return NULL;
}

START_TEST(w6_overlapping_writes_are_whole)
{
	static char got[20000];
	struct tree_handle *h;
	struct fixture f;

	fixture_open(&f, _i);
	make_value(&f, 20000);
	for (int round = 0; round < 5; round++) {
		together(&f, write_same);
		h = fixture_value(&f);
		ck_assert_int_eq(tree_read(h, got, sizeof(got), 0), sizeof(got));
		for (int i = 0; i < 9000; i++)
			ck_assert_int_eq(got[100 + i], got[100]);
		ck_assert_int_eq(got[99], 0);
		ck_assert_int_eq(got[9100], 0);
		tree_close(h);
	}
	fixture_close(&f);
}
END_TEST

static int truncate_by_create(struct fixture *f)
{
	struct tree_handle *h;
	struct stat st;
	int r = tree_create(f->root, "v", O_RDWR | O_TRUNC, 0644, NULL, &h, &st);

	if (!r)
		tree_close(h);
	return r;
}

/* Two truncate to nothing, one of them by opening anew, and back; two write a range that fits or
 * does not. */
static void *shrink_and_set(void *arg)
{
	struct worker *w = arg;
	struct tree_handle *h = fixture_value(w->f);
	char data[5000] = {1};
	struct stat st;

	for (int i = 0; i < 200; i++) {
		struct tree_change change = {.what = TREE_SET_SIZE, .size = i % 2 ? 10000 : 0};
		int r;

		if (w->index == 3 && !change.size)
			r = truncate_by_create(w->f);
		else if (w->index % 2)
			r = tree_setattr(h->object, &change, h, &st);
		else
			r = tree_set_range(h, 5000, data, sizeof(data));
		if (r && (w->index % 2 || r != -EINVAL))
			abort();
		if (tree_getattr(h->object, &st) || (st.st_size != 0 && st.st_size != 10000))
			abort();
	}
	tree_close(h);
	return NULL;
}

START_TEST(w2_set_range_never_extends_beside_truncation)
{
	struct fixture f;

	fixture_open(&f, _i);
	make_value(&f, 10000);
	together(&f, shrink_and_set);
	fixture_close(&f);
}
END_TEST

static void *put_and_read(void *arg)
{
	struct worker *w = arg;
	static const size_t sizes[] = {1, 5000, 100000};
	char *data = xmalloc(100001);

	for (int i = 0; i < 40; i++) {
		size_t size = sizes[i % 3];
		struct tree_handle *h;
		ssize_t n;

		if (w->index == 0) {
			memset(data, 'a' + i % 3, size);
			if (tree_put(w->f->root, "v", data, size, NULL))
				abort();
			continue;
		}
		h = fixture_value(w->f); /* never missing */
		if (!h)
			abort();
		n = tree_read(h, data, 100001, 0);
		if (n != (ssize_t)sizes[0] && n != (ssize_t)sizes[1] && n != (ssize_t)sizes[2])
			abort();
		for (ssize_t k = 1; k < n; k++)
			if (data[k] != data[0])
				abort();
		tree_close(h);
	}
	free(data);
	return NULL;
}

START_TEST(w7_a_replaced_key_is_always_there_and_whole)
{
	struct fixture f;

	fixture_open(&f, _i);
	make_value(&f, 1);
	together(&f, put_and_read);
	fixture_close(&f);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tree_threads");
	TCase *tc = tcase_create("tree_threads");

	tcase_set_timeout(tc, 100);
	tcase_add_loop_test(tc, w2_set_range_never_extends_beside_truncation, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, w5_disjoint_ranges_at_once, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, w6_overlapping_writes_are_whole, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, w7_a_replaced_key_is_always_there_and_whole, 0, FIXTURE_STORES);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
