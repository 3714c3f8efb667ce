/* Local-backed stores against a model: random operations on one value beside an array in
 * memory, and many threads at once. A failure of the model is shrunk to a short list of
 * operations, which the message shows. */
#include <pthread.h>
#include "tree_fixture.h"

enum { LIMIT = 96 << 10, STEPS = 300 };

enum kind { WRITE, SET_RANGE, APPEND, TRUNCATE, PUNCH, ZERO, ALLOCATE, COPY, PUT, REOPEN, KINDS };

static const char *const kind_names[KINDS] = {"write", "set_range", "append", "truncate", "punch", "zero",
                                              "allocate", "copy", "put", "reopen"};

struct op {
	enum kind kind;
	size_t offset, length, to;
	unsigned char byte;
};

struct model {
	char bytes[LIMIT * 2];
	size_t size;
};

/* Ends and lengths near blocks and pages are where mistakes live. */
static size_t place(unsigned *seed)
{
	static const size_t units[] = {1, 512, 4096, 65536};
	size_t unit = units[rand_r(seed) % ARRAY_SIZE(units)];
	size_t n = (size_t)rand_r(seed) % (LIMIT / unit) * unit;

	return rand_r(seed) % 2 ? n : n + (size_t)(rand_r(seed) % 3);
}

static void generate(struct op *ops, int n, unsigned seed)
{
	for (int i = 0; i < n; i++) {
		size_t a = MIN(place(&seed), LIMIT), b = MIN(place(&seed), LIMIT);

		ops[i] = (struct op){.kind = (enum kind)(rand_r(&seed) % KINDS), .offset = MIN(a, b),
		                     .length = MAX(a, b) - MIN(a, b), .to = place(&seed) % LIMIT,
		                     .byte = (unsigned char)(1 + i % 250)};
		if (rand_r(&seed) % 2)
			ops[i].length %= 5000;
	}
}

/* What the operation does to an array; whether it may succeed. */
static bool model_apply(struct model *m, const struct op *o)
{
	size_t end = o->offset + o->length;

	switch (o->kind) {
	case WRITE:
	case SET_RANGE:
		if (o->kind == SET_RANGE && o->length && end > m->size)
			return false;
		memset(m->bytes + o->offset, o->byte, o->length);
		m->size = o->length ? MAX(m->size, end) : m->size;
		return true;
	case APPEND:
		if (m->size + o->length > LIMIT)
			return true;
		memset(m->bytes + m->size, o->byte, o->length);
		m->size += o->length;
		return true;
	case TRUNCATE:
		if (o->offset < m->size)
			memset(m->bytes + o->offset, 0, m->size - o->offset);
		m->size = o->offset;
		return true;
	case PUNCH:
	case ZERO:
	case ALLOCATE:
		if (!o->length)
			return true;
		if (o->kind != ALLOCATE)
			memset(m->bytes + o->offset, 0, MIN(end, sizeof(m->bytes)) - o->offset);
		if (o->kind != PUNCH)
			m->size = MAX(m->size, end);
		return true;
	case COPY: {
		size_t n = o->offset < m->size ? MIN(o->length, m->size - o->offset) : 0;

		if (o->offset < o->to + o->length && o->to < o->offset + o->length)
			return true;
		memmove(m->bytes + o->to, m->bytes + o->offset, n);
		m->size = n ? MAX(m->size, o->to + n) : m->size;
		return true;
	}
	case PUT:
		memset(m->bytes, 0, sizeof(m->bytes));
		memset(m->bytes, o->byte, o->length);
		m->size = o->length;
		return true;
	case REOPEN:
	case KINDS:
		break;
	}
	return true;
}

static struct tree_handle *open_value(struct fixture *f)
{
	struct tree_object *o;
	struct tree_handle *h;
	struct stat st;

	if (tree_lookup(f->root, "v", &o, &st) || tree_open(o, O_RDWR, &h))
		return NULL;
	tree_object_unref(o);
	return h;
}

static int copy_all(struct tree_handle *h, const struct op *o, size_t size)
{
	/* What the value holds at the start: a copy behind its end makes it longer. */
	size_t done = 0, length = o->offset < size ? MIN(o->length, size - o->offset) : 0;

	if (o->offset < o->to + o->length && o->to < o->offset + o->length)
		return 0;
	while (done < length) {
		ssize_t n = tree_copy_range(h, (off_t)(o->offset + done), h, (off_t)(o->to + done), length - done);

		if (n <= 0)
			return (int)n;
		done += (size_t)n;
	}
	return 0;
}

static int store_apply(struct fixture *f, struct tree_handle **h, const struct op *o, size_t size)
{
	static char data[LIMIT * 2];
	struct tree_change change = {.what = TREE_SET_SIZE, .size = (off_t)o->offset};
	struct stat st;
	ssize_t n;
	int r;

	memset(data, o->byte, o->length);
	switch (o->kind) {
	case WRITE:
		n = tree_write(*h, data, o->length, (off_t)o->offset);
		return n == (ssize_t)o->length ? 0 : -1;
	case SET_RANGE:
		return tree_set_range(*h, (off_t)o->offset, data, o->length);
	case APPEND:
		if (size + o->length > LIMIT)
			return 0;
		n = tree_append(*h, data, o->length);
		return n == (ssize_t)o->length ? 0 : -1;
	case TRUNCATE:
		return tree_setattr((*h)->object, &change, o->byte % 2 ? *h : NULL, &st);
	case PUNCH:
		r = tree_fallocate(*h, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)o->offset, (off_t)o->length);
		return o->length ? r : 0;
	case ZERO:
		r = tree_fallocate(*h, FALLOC_FL_ZERO_RANGE, (off_t)o->offset, (off_t)o->length);
		return o->length ? r : 0;
	case ALLOCATE:
		r = tree_fallocate(*h, 0, (off_t)o->offset, (off_t)o->length);
		return o->length ? r : 0;
	case COPY:
		return copy_all(*h, o, size);
	case PUT:
		r = tree_put(f->root, "v", data, o->length, NULL);
		if (r)
			return r;
		__attribute__((fallthrough));
	case REOPEN:
		tree_close(*h);
		*h = open_value(f);
		return *h ? 0 : -1;
	case KINDS:
		break;
	}
	return -1;
}

/* Runs the list on a fresh value; returns the first step after which store and model differ,
 * or -1. */
static int run(struct fixture *f, const struct op *ops, int n)
{
	static struct model m;
	static char got[LIMIT * 2];
	struct tree_handle *h;
	struct stat st;
	int bad = -1;

	memset(&m, 0, sizeof(m));
	tree_unlink(f->root, "v");
	ck_assert_int_eq(tree_create(f->root, "v", O_RDWR | O_EXCL, 0644, NULL, &h, &st), 0);
	for (int i = 0; i < n && bad < 0; i++) {
		size_t size = m.size;
		bool may = model_apply(&m, &ops[i]);
		int r = store_apply(f, &h, &ops[i], size);

		if (!h || r != (may ? 0 : -EINVAL) || tree_getattr(h->object, &st) ||
		    st.st_size != (off_t)m.size ||
		    tree_read(h, got, sizeof(got), 0) != (ssize_t)m.size || memcmp(got, m.bytes, m.size))
			bad = i;
	}
	tree_close(h);
	return bad;
}

/* Takes pieces out of a failing list as long as it goes on failing. */
static int shrink(struct fixture *f, struct op *ops, int n)
{
	for (int piece = n / 2; piece; piece /= 2) {
		for (int at = 0; at + piece <= n;) {
			struct op rest[STEPS];
			int bad;

			memcpy(rest, ops, (size_t)at * sizeof(*ops));
			memcpy(rest + at, ops + at + piece, (size_t)(n - at - piece) * sizeof(*ops));
			bad = run(f, rest, n - piece);
			if (bad < 0) {
				at += piece;
				continue;
			}
			memcpy(ops, rest, sizeof(rest));
			n = bad + 1;
		}
	}
	return n;
}

START_TEST(w1_to_w14_like_an_array)
{
	static struct op ops[STEPS];
	struct buf report = BUF_INIT;
	struct fixture f;
	int bad, seeds = getenv("PAILFS_LONG") ? 300 : 12;

	fixture_open(&f, _i);
	for (int seed = 1; seed <= seeds; seed++) {
		generate(ops, STEPS, (unsigned)seed);
		bad = run(&f, ops, STEPS);
		if (bad < 0)
			continue;
		bad = shrink(&f, ops, bad + 1);
		for (int i = 0; i < bad; i++)
			buf_addf(&report, "\n  %s offset %zu length %zu to %zu", kind_names[ops[i].kind],
			         ops[i].offset, ops[i].length, ops[i].to);
		ck_abort_msg("%s, seed %d:%s", f.tree->name, seed, report.data);
	}
	fixture_close(&f);
}
END_TEST

/* ---- many at once ---- */

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
	struct tree_handle *h = open_value(w->f);
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
	h = open_value(&f);
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
	struct tree_handle *h = open_value(w->f);
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
		h = open_value(&f);
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

/* Two truncate to nothing and back, two write a range that fits or does not. */
static void *shrink_and_set(void *arg)
{
	struct worker *w = arg;
	struct tree_handle *h = open_value(w->f);
	char data[5000] = {1};
	struct stat st;

	for (int i = 0; i < 200; i++) {
		struct tree_change change = {.what = TREE_SET_SIZE, .size = i % 2 ? 10000 : 0};
		int r = w->index % 2 ? tree_setattr(h->object, &change, h, &st)
		                     : tree_set_range(h, 5000, data, sizeof(data));

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
		h = open_value(w->f); /* never missing */
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
	Suite *suite = suite_create("tree_model");
	TCase *tc = tcase_create("tree_model");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, getenv("PAILFS_LONG") ? 3600 : 100);
	tcase_add_loop_test(tc, w1_to_w14_like_an_array, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, w2_set_range_never_extends_beside_truncation, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, w5_disjoint_ranges_at_once, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, w6_overlapping_writes_are_whole, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, w7_a_replaced_key_is_always_there_and_whole, 0, FIXTURE_STORES);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
