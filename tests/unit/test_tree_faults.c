/* What the dir and direct stores leave when a system call beneath them fails: each call of an
 * operation in turn, with EIO and with ENOSPC. Nothing beside the operation's own bytes is
 * damaged, nothing is left behind, and the error is the one that the call gave. */
#include <dirent.h>
#include "faulty_calls.h"
#include "tree_fixture.h"

enum { SIZE = 3 << 20 };

static struct fixture f;
static char *old_bytes, *new_bytes, *got;

static const int errors[] = {EIO, ENOSPC};

static void setup(int store)
{
	fixture_open(&f, store);
	old_bytes = xmalloc(SIZE);
	new_bytes = xmalloc(SIZE);
	got = xmalloc(SIZE + 1);
	memset(old_bytes, 'o', SIZE);
	memset(new_bytes, 'n', SIZE);
}

static void teardown(void)
{
	free(old_bytes);
	free(new_bytes);
	free(got);
	fixture_close(&f);
}

static bool is_value(const char *bytes, size_t n)
{
	struct tree_handle *h = fixture_value(&f);
	ssize_t r = tree_read(h, got, SIZE + 1, 0);

	tree_close(h);
	return r == (ssize_t)n && !memcmp(got, bytes, n);
}

static int entries(const char *path)
{
	DIR *d = opendir(path);
	int n = -2; /* "." and ".." */

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* The old value is there until the new one is; which of its calls failed says which. The last
 * two open the directory and sync it. */
START_TEST(w8_put_at_each_failing_call)
{
	int total, descriptors;

	setup(_i);
	ck_assert_int_eq(tree_put(f.root, "v", old_bytes, SIZE, NULL), 0);
	faulty_stop();
	ck_assert_int_eq(tree_put(f.root, "v", old_bytes, SIZE, NULL), 0);
	total = faulty_stop();
	ck_assert_int_ge(total,
	                 7); /* openat, pwrite, fchown, fchmod, fsync, renameat, openat, fsync */
	descriptors = entries("/proc/self/fd");
	for (size_t e = 0; e < ARRAY_SIZE(errors); e++)
		for (int n = 1; n <= total; n++) {
			int r;

			ck_assert_int_eq(tree_put(f.root, "v", old_bytes, SIZE, NULL), 0);
			faulty_nth(n, errors[e]);
			r = tree_put(f.root, "v", new_bytes, SIZE / 2, NULL);
			faulty_stop();
			ck_assert_msg(r == -errors[e], "call %d: %d", n, r);
			if (n > total - 2)
				ck_assert_msg(is_value(new_bytes, SIZE / 2), "call %d", n);
			else
				ck_assert_msg(is_value(old_bytes, SIZE), "call %d", n);
			ck_assert_msg(entries(f.path) == 1, "call %d left a file", n);
			ck_assert_msg(entries("/proc/self/fd") == descriptors,
			              "call %d left a descriptor", n);
		}
	teardown();
}
END_TEST

START_TEST(w8_the_first_put_at_each_failing_call)
{
	setup(_i);
	for (int n = 1, total = n; n <= total; n++) {
		int r;

		faulty_nth(n, ENOSPC);
		r = tree_put(f.root, "v", new_bytes, 100, NULL);
		total = faulty_stop();
		ck_assert_int_eq(r, n > total ? 0 : -ENOSPC);
		if (r && entries(f.path)) /* the directory's fsync */
			ck_assert(n >= total - 1 && is_value(new_bytes, 100));
		tree_unlink(f.root, "v");
		ck_assert_int_eq(entries(f.path), 0);
	}
	teardown();
}
END_TEST

/* Unaligned, so that direct reads, changes and writes blocks at both ends, with the value's
 * ragged last one at the third place. */
static const struct {
	size_t offset, length;
} ranges[] = {{0, 4096}, {100, 2 << 20}, {SIZE - 5000 - 4096, 5000}, {4096, 1 << 20}};

START_TEST(set_range_at_each_failing_call)
{
	setup(_i);
	ck_assert_int_eq(tree_put(f.root, "v", old_bytes, SIZE - 4096, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		for (int n = 1, total = n; n <= total; n++) {
			size_t offset = ranges[i].offset, end = offset + ranges[i].length;
			struct tree_handle *h = fixture_value(&f);
			int r;

			ck_assert_int_eq(tree_set_range(h, 0, old_bytes, SIZE - 4096), 0);
			faulty_nth(n, EIO);
			r = tree_set_range(h, (off_t)offset, new_bytes, end - offset);
			total = faulty_stop();
			ck_assert_int_eq(r, n > total ? 0 : -EIO);
			ck_assert_int_eq(tree_read(h, got, SIZE, 0), SIZE - 4096);
			for (size_t at = 0; at < SIZE - 4096; at++) {
				bool inside = at >= offset && at < end;

				if (got[at] != 'o' && !(inside && got[at] == 'n'))
					ck_abort_msg("range %zu, call %d, byte %zu", i, n, at);
				if (!r && inside && got[at] != 'n')
					ck_abort_msg("range %zu, byte %zu is not written", i, at);
			}
			tree_close(h);
		}
	teardown();
}
END_TEST

/* A write says how much of it there is: that and no other byte has changed. */
START_TEST(writes_count_what_they_wrote)
{
	setup(_i);
	for (unsigned seed = 1; seed <= 40; seed++) {
		size_t offset = ranges[seed % 4].offset, length = ranges[seed % 4].length, done;
		struct tree_handle *h;
		ssize_t r;

		ck_assert_int_eq(tree_put(f.root, "v", old_bytes, SIZE, NULL), 0);
		h = fixture_value(&f);
		faulty_share(30, seed);
		r = tree_write(h, new_bytes, length, (off_t)offset);
		faulty_stop();
		ck_assert_msg(r != 0 && r <= (ssize_t)length, "seed %u: %zd", seed, r);
		ck_assert(r > 0 || r == -EIO || r == -ENOSPC);
		done = r < 0 ? 0 : (size_t)r;
		memcpy(got, old_bytes, SIZE);
		memcpy(got + offset, new_bytes, done);
		memcpy(old_bytes, got, SIZE);
		ck_assert_msg(is_value(old_bytes, SIZE), "seed %u: %zd of %zu at %zu", seed, r,
		              length, offset);
		memset(old_bytes, 'o', SIZE);
		tree_close(h);
	}
	teardown();
}
END_TEST

START_TEST(one_call_is_one_failure)
{
	struct tree_change size = {.what = TREE_SET_SIZE, .size = 5};
	struct tree_handle *h;
	struct stat st;

	setup(_i);
	ck_assert_int_eq(tree_put(f.root, "v", old_bytes, 5000, NULL), 0);
	ck_assert_int_eq(tree_put(f.root, "w", new_bytes, 5000, NULL), 0);
	for (size_t e = 0; e < ARRAY_SIZE(errors); e++) {
		h = fixture_value(&f);
		faulty_nth(1, errors[e]);
		ck_assert_int_eq(tree_fsync(h, false), -errors[e]);
		faulty_nth(1, errors[e]);
		ck_assert_int_eq(tree_fsync(h, true), -errors[e]);
		faulty_nth(1, errors[e]);
		ck_assert_int_eq(tree_setattr(h->object, &size, h, &st), -errors[e]);
		faulty_nth(1, errors[e]);
		ck_assert_int_eq(tree_fallocate(h, 0, 0, 1 << 20), -errors[e]);
		faulty_nth(1, errors[e]);
		ck_assert_int_eq(tree_rename(f.root, "v", f.root, "w", 0), -errors[e]);
		faulty_nth(1, errors[e]);
		ck_assert_int_eq(tree_rename(f.root, "v", f.root, "w", RENAME_EXCHANGE),
		                 -errors[e]);
		ck_assert_int_eq(faulty_stop(), 1);
		ck_assert(is_value(old_bytes, 5000));
		tree_close(h);
	}
	ck_assert_int_eq(entries(f.path), 2);
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tree_faults");
	TCase *tc = tcase_create("tree_faults");

	tcase_set_timeout(tc, 100);
	tcase_add_loop_test(tc, w8_put_at_each_failing_call, FIXTURE_DIR, FIXTURE_DIRECT + 1);
	tcase_add_loop_test(tc, w8_the_first_put_at_each_failing_call, FIXTURE_DIR,
	                    FIXTURE_DIRECT + 1);
	tcase_add_loop_test(tc, set_range_at_each_failing_call, FIXTURE_DIR, FIXTURE_DIRECT + 1);
	tcase_add_loop_test(tc, writes_count_what_they_wrote, FIXTURE_DIR, FIXTURE_DIRECT + 1);
	tcase_add_loop_test(tc, one_call_is_one_failure, FIXTURE_DIR, FIXTURE_DIRECT + 1);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
