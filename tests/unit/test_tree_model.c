/* Local-backed stores against a model: random operations on one value beside an array in
 * memory, also when a part of them fails, in a layer above the store or in a system call
 * beneath it. A failure of the model is shrunk to a short list of operations, which the message
 * shows. */
#include "faulty_calls.h"
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

/* What went wrong on purpose while the list ran. */
enum faults { NO_FAULTS, FAULTY_LAYER, FAULTY_CALLS };

static int check_count(ssize_t n, size_t wanted, size_t *done)
{
	*done = n < 0 ? 0 : (size_t)n;
	return n < 0 ? (int)n : *done < wanted ? -ENOSPC : 0;
}

static int copy_all(struct tree_handle *h, const struct op *o, size_t size, size_t *done)
{
	/* What the value holds at the start: a copy behind its end makes it longer. */
	size_t length = o->offset < size ? MIN(o->length, size - o->offset) : 0;

	*done = 0;
	if (o->offset < o->to + o->length && o->to < o->offset + o->length)
		return 0;
	while (*done < length) {
		ssize_t n = tree_copy_range(h, (off_t)(o->offset + *done), h, (off_t)(o->to + *done),
		                            length - *done);

		if (n <= 0)
			return n ? (int)n : -EIO;
		*done += (size_t)n;
	}
	return 0;
}

/* Does it to the store. -errno when it failed, and how many bytes were written before that,
 * by those operations that tell. */
static int store_apply(struct fixture *f, struct tree_handle **h, const struct op *o, size_t size, size_t *done)
{
	static char data[LIMIT * 2];
	struct tree_change change = {.what = TREE_SET_SIZE, .size = (off_t)o->offset};
	off_t offset = (off_t)o->offset, length = (off_t)o->length;
	struct stat st;
	int r = 0;

	memset(data, o->byte, o->length);
	switch (o->kind) {
	case WRITE:
		return check_count(tree_write(*h, data, o->length, offset), o->length, done);
	case SET_RANGE:
		return tree_set_range(*h, offset, data, o->length);
	case APPEND:
		if (size + o->length > LIMIT)
			return 0;
		return check_count(tree_append(*h, data, o->length), o->length, done);
	case TRUNCATE:
		return tree_setattr((*h)->object, &change, o->byte % 2 ? *h : NULL, &st);
	case PUNCH:
		return length ? tree_fallocate(*h, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) : 0;
	case ZERO:
		return length ? tree_fallocate(*h, FALLOC_FL_ZERO_RANGE, offset, length) : 0;
	case ALLOCATE:
		return length ? tree_fallocate(*h, 0, offset, length) : 0;
	case COPY:
		return copy_all(*h, o, size, done);
	case PUT:
		r = tree_put(f->root, "v", data, o->length, NULL);
		__attribute__((fallthrough));
	case REOPEN:
		tree_close(*h);
		*h = fixture_value(f);
		break;
	case KINDS:
		break;
	}
	return r;
}

static bool holds(struct tree_handle *h, const struct model *m, struct model *got)
{
	struct stat st;

	memset(got, 0, sizeof(*got));
	if (tree_getattr(h->object, &st) || tree_read(h, got->bytes, sizeof(got->bytes), 0) != st.st_size)
		return false;
	got->size = (size_t)st.st_size;
	return got->size == m->size && !memcmp(got->bytes, m->bytes, m->size);
}

/* Whether this is what a set_range may leave that has failed in the middle. */
static bool torn_inside(const struct model *before, const struct model *got, const struct op *o)
{
	if (got->size != before->size)
		return false;
	for (size_t i = 0; i < got->size; i++) {
		bool inside = i >= o->offset && i < o->offset + o->length;

		if (got->bytes[i] != before->bytes[i] && !(inside && (unsigned char)got->bytes[i] == o->byte))
			return false;
	}
	return true;
}

/* Whether the value is what it may be after an operation that failed; the model takes that
 * over. What tells how far it came has come just so far; a range that did not fit is as it
 * was; all else has not happened, but for the one thing that a put does after its rename. */
static bool may_be(struct tree_handle *h, struct model *m, const struct op *o, size_t done, bool fits)
{
	static struct model got, before;
	struct op part = *o;

	part.length = done;
	if (o->kind == WRITE || o->kind == APPEND || o->kind == COPY)
		model_apply(m, &part);
	if (holds(h, m, &got))
		return true;
	before = *m;
	*m = got;
	if (o->kind == SET_RANGE)
		return fits && torn_inside(&before, &got, o);
	model_apply(&before, o);
	return o->kind == PUT && got.size == before.size && !memcmp(got.bytes, before.bytes, got.size);
}

/* Runs the list on a fresh value; returns the first step after which store and model differ,
 * or -1. */
static int run(int store, enum faults faults, const struct op *ops, int n)
{
	static struct model m, got;
	struct fixture f;
	struct tree_handle *h;
	struct stat st;
	int bad = -1;

	memset(&m, 0, sizeof(m));
	fixture_open(&f, store);
	ck_assert_int_eq(tree_create(f.root, "v", O_RDWR | O_EXCL, 0644, NULL, &h, &st), 0);
	if (faults == FAULTY_LAYER) {
		tree_close(h);
		fixture_disturb(&f, "error=5%:EIO:write:set_range:truncate:fallocate:copy:put:open,"
		                    "short=10%:write:set_range:copy");
		h = NULL;
	}
	for (int i = 0; i < n && bad < 0; i++) {
		size_t size = m.size, done = 0;
		bool fits;
		int r;

		while (!h)
			h = fixture_value(&f);
		if (faults == FAULTY_CALLS)
			faulty_share(10, ops[i].byte);
		r = store_apply(&f, &h, &ops[i], size, &done);
		faulty_stop();
		while (!h)
			h = fixture_value(&f);
		fits = ops[i].kind != SET_RANGE || !ops[i].length || ops[i].offset + ops[i].length <= size;
		if (r && faults)
			bad = may_be(h, &m, &ops[i], done, fits) ? -1 : i;
		else if (r != (model_apply(&m, &ops[i]) ? 0 : -EINVAL) || !holds(h, &m, &got))
			bad = i;
	}
	tree_close(h);
	fixture_close(&f);
	return bad;
}

/* Takes pieces out of a failing list as long as it goes on failing. */
static int shrink(int store, enum faults faults, struct op *ops, int n)
{
	for (int piece = n / 2; piece; piece /= 2) {
		for (int at = 0; at + piece <= n;) {
			struct op rest[STEPS];
			int bad;

			memcpy(rest, ops, (size_t)at * sizeof(*ops));
			memcpy(rest + at, ops + at + piece, (size_t)(n - at - piece) * sizeof(*ops));
			bad = run(store, faults, rest, n - piece);
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

static void compare(int store, enum faults faults)
{
	static struct op ops[STEPS];
	struct buf report = BUF_INIT;
	int bad, seeds = getenv("PAILFS_LONG") ? 300 : 12;

	for (int seed = 1; seed <= seeds; seed++) {
		generate(ops, STEPS, (unsigned)seed);
		bad = run(store, faults, ops, STEPS);
		if (bad < 0)
			continue;
		bad = shrink(store, faults, ops, bad + 1);
		for (int i = 0; i < bad; i++)
			buf_addf(&report, "\n  %s offset %zu length %zu to %zu", kind_names[ops[i].kind],
			         ops[i].offset, ops[i].length, ops[i].to);
		ck_abort_msg("store %d, seed %d:%s", store, seed, report.data);
	}
}

START_TEST(w1_to_w14_like_an_array)
{
	compare(_i, NO_FAULTS);
}
END_TEST

START_TEST(what_failed_has_not_happened)
{
	compare(_i, FAULTY_LAYER);
}
END_TEST

START_TEST(what_failed_beneath_has_not_happened)
{
	compare(_i, FAULTY_CALLS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tree_model");
	TCase *tc = tcase_create("tree_model");

	tcase_set_timeout(tc, getenv("PAILFS_LONG") ? 3600 : 100);
	tcase_add_loop_test(tc, w1_to_w14_like_an_array, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, what_failed_has_not_happened, 0, FIXTURE_PLAIN_STORES);
	tcase_add_loop_test(tc, what_failed_beneath_has_not_happened, FIXTURE_DIR, FIXTURE_DIRECT + 1);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
