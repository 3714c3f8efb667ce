/* The contract of local-backed stores (semantics.md, W1 to W17 as far as a store can hold
 * them), property by property, on every one of them. */
#include "tree_fixture.h"

static struct fixture f;

static struct tree_handle *make(const char *name, const void *data, size_t n)
{
	struct tree_handle *h;
	struct stat st;

	ck_assert_int_eq(tree_create(f.root, name, O_RDWR | O_EXCL, 0644, NULL, &h, &st), 0);
	ck_assert(S_ISREG(st.st_mode));
	ck_assert_int_eq(tree_write(h, data, n, 0), (ssize_t)n);
	return h;
}

static void expect(struct tree_handle *h, const char *data, size_t n)
{
	char *got = xmalloc(n + 100);
	struct stat st;

	ck_assert_int_eq(tree_read(h, got, n + 100, 0), (ssize_t)n);
	ck_assert_mem_eq(got, data, n);
	ck_assert_int_eq(tree_getattr(h->object, &st), 0);
	ck_assert_int_eq(st.st_size, (off_t)n);
	free(got);
}

static struct stat stat_of(struct tree_handle *h)
{
	struct stat st;

	ck_assert_int_eq(tree_getattr(h->object, &st), 0);
	return st;
}

static void set_size(struct tree_handle *h, off_t size)
{
	struct tree_change change = {.what = TREE_SET_SIZE, .size = size};
	struct stat st;

	ck_assert_int_eq(tree_setattr(h->object, &change, h, &st), 0);
	ck_assert_int_eq(st.st_size, size);
}

START_TEST(w1_a_range_write_changes_just_its_bytes)
{
	struct tree_handle *h;
	struct stat before, after;

	fixture_open(&f, _i);
	h = make("a", "0123456789", 10);
	before = stat_of(h);
	ck_assert_int_eq(tree_set_range(h, 3, "xyz", 3), 0);
	expect(h, "012xyz6789", 10);
	ck_assert_int_eq(tree_write(h, "AB", 2, 0), 2);
	expect(h, "AB2xyz6789", 10);
	after = stat_of(h);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	tree_close(h);
	fixture_close(&f);
}
END_TEST

START_TEST(w2_write_extends_and_set_range_never_does)
{
	struct tree_handle *h;

	fixture_open(&f, _i);
	h = make("a", "01234", 5);
	ck_assert_int_eq(tree_write(h, "z", 1, 7), 1);
	expect(h, "01234\0\0z", 8);
	ck_assert_int_eq(tree_set_range(h, 6, "xyz", 3), -EINVAL);
	ck_assert_int_eq(tree_set_range(h, 8, "x", 1), -EINVAL);
	ck_assert_int_eq(tree_set_range(h, 1 << 20, "x", 1), -EINVAL);
	ck_assert_int_eq(tree_set_range(h, -1, "xyz", 3), -EINVAL);
	ck_assert_int_eq(tree_set_range(h, INT64_MAX, "xyz", 3), -EINVAL);
	expect(h, "01234\0\0z", 8);
	ck_assert_int_eq(tree_set_range(h, 5, "xyz", 3), 0);
	expect(h, "01234xyz", 8);
	tree_close(h);
	fixture_close(&f);
}
END_TEST

START_TEST(w3_a_missing_key_is_never_created)
{
	struct tree_object *o;
	struct tree_handle *h;
	struct stat st;

	fixture_open(&f, _i);
	ck_assert_int_eq(tree_set_range_at(f.tree, "a", 0, "x", 1), -ENOENT);
	ck_assert_int_eq(tree_set_range_at(f.tree, "a", 0, "", 0), -ENOENT);
	ck_assert_int_eq(tree_lookup(f.root, "a", &o, &st), -ENOENT);
	ck_assert_int_eq(tree_make(f.root, "d", S_IFDIR | 0755, 0, NULL, NULL, &o, &st), 0);
	ck_assert_int_eq(tree_set_range_at(f.tree, "d", 0, "x", 1), -EISDIR);
	ck_assert_int_eq(tree_create(o, "v", O_RDWR, 0644, NULL, &h, &st), 0);
	tree_object_unref(o);
	ck_assert_int_eq(tree_write(h, "abc", 3, 0), 3);
	ck_assert_int_eq(tree_set_range_at(f.tree, "d/v", 1, "x", 1), 0);
	ck_assert_int_eq(tree_set_range_at(f.tree, "d/v", 2, "xx", 2), -EINVAL);
	ck_assert_int_eq(tree_set_range_at(f.tree, "d/v/w", 1, "x", 1), -ENOTDIR);
	ck_assert_int_eq(tree_set_range_at(f.tree, "d/../d/v", 1, "x", 1), -EINVAL);
	expect(h, "axc", 3);
	tree_close(h);
	f.tree->read_only = true;
	ck_assert_int_eq(tree_set_range_at(f.tree, "d/v", 1, "y", 1), -EROFS);
	ck_assert_int_eq(tree_unlink(f.root, "d"), -EROFS);
	fixture_close(&f);
}
END_TEST

START_TEST(w4_nothing_written_changes_nothing)
{
	struct tree_handle *h;
	struct stat before, after;

	fixture_open(&f, _i);
	h = make("a", "0123", 4);
	before = stat_of(h);
	usleep(20000);
	ck_assert_int_eq(tree_set_range(h, 2, "", 0), 0);
	ck_assert_int_eq(tree_write(h, "", 0, 100), 0);
	ck_assert_int_eq(tree_set_range_at(f.tree, "a", 4, "", 0), 0);
	after = stat_of(h);
	ck_assert_mem_eq(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim));
	ck_assert_mem_eq(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim));
	expect(h, "0123", 4);
	tree_close(h);
	fixture_close(&f);
}
END_TEST

START_TEST(w8_put_replaces_whole_values)
{
	struct tree_handle *old, *h;
	struct tree_object *o;
	struct stat st;

	fixture_open(&f, _i);
	ck_assert_int_eq(tree_put(f.root, "a", "first", 5, NULL), 0);
	ck_assert_int_eq(tree_lookup(f.root, "a", &o, &st), 0);
	ck_assert_int_eq(tree_setattr(o, &(struct tree_change){.what = TREE_SET_MODE, .mode = 0640}, NULL, &st), 0);
	ck_assert_int_eq(tree_open(o, O_RDWR, &old), 0);
	tree_object_unref(o);
	ck_assert_int_eq(tree_put(f.root, "a", "the second", 10, NULL), 0);
	expect(old, "first", 5);
	ck_assert_int_eq(tree_lookup(f.root, "a", &o, &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0640);
	ck_assert_int_eq(tree_open(o, O_RDONLY, &h), 0);
	expect(h, "the second", 10);
	tree_close(old);
	tree_close(h);
	tree_object_unref(o);
	ck_assert_int_eq(tree_make(f.root, "d", S_IFDIR | 0755, 0, NULL, NULL, &o, &st), 0);
	tree_object_unref(o);
	ck_assert_int_eq(tree_put(f.root, "d", "x", 1, NULL), -EISDIR);
	fixture_close(&f);
}
END_TEST

START_TEST(w10_attributes_round_trip)
{
	struct tree_handle *h;
	struct tree_change change = {.what = TREE_SET_TIMES};
	struct stat st, before;

	fixture_open(&f, _i);
	h = make("a", "0123456789", 10);
	set_size(h, 4);
	expect(h, "0123", 4);
	set_size(h, 10);
	expect(h, "0123\0\0\0\0\0\0", 10);
	change.times[0] = (struct timespec){1000000001, 123456789};
	change.times[1] = (struct timespec){-5, 999999999};
	ck_assert_int_eq(tree_setattr(h->object, &change, NULL, &st), 0);
	ck_assert_int_eq(st.st_atim.tv_sec, 1000000001);
	ck_assert_int_eq(st.st_atim.tv_nsec, 123456789);
	ck_assert_int_eq(st.st_mtim.tv_sec, -5);
	ck_assert_int_eq(st.st_mtim.tv_nsec, 999999999);
	change.times[0].tv_nsec = UTIME_OMIT;
	change.times[1].tv_nsec = UTIME_NOW;
	ck_assert_int_eq(tree_setattr(h->object, &change, NULL, &st), 0);
	ck_assert_int_eq(st.st_atim.tv_sec, 1000000001);
	ck_assert_int_ge(st.st_mtim.tv_sec, time(NULL) - 5);
	change = (struct tree_change){.what = TREE_SET_MODE, .mode = 02751};
	ck_assert_int_eq(tree_setattr(h->object, &change, NULL, &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 02751);
	if (!geteuid()) {
		change = (struct tree_change){.what = TREE_SET_UID | TREE_SET_GID | TREE_SET_MODE | TREE_SET_SIZE,
			.uid = 1234, .gid = 5678, .mode = 04755, .size = 3};
		ck_assert_int_eq(tree_setattr(h->object, &change, NULL, &st), 0);
		ck_assert_uint_eq(st.st_uid, 1234);
		ck_assert_uint_eq(st.st_gid, 5678);
		ck_assert_uint_eq(st.st_mode, S_IFREG | 04755);
		ck_assert_int_eq(st.st_size, 3);
	}
	before = stat_of(h);
	ck_assert_int_eq(tree_setattr(h->object, &(struct tree_change){0}, NULL, &st), 0);
	ck_assert_mem_eq(&before.st_ctim, &st.st_ctim, sizeof(st.st_ctim));
	change = (struct tree_change){.what = TREE_SET_SIZE, .size = -1};
	ck_assert_int_eq(tree_setattr(h->object, &change, NULL, &st), -EINVAL);
	tree_close(h);
	fixture_close(&f);
}
END_TEST

START_TEST(w11_every_handle_sees_a_write)
{
	struct tree_handle *h, *other;

	fixture_open(&f, _i);
	h = make("a", "0123", 4);
	ck_assert_int_eq(tree_open(h->object, O_RDONLY, &other), 0);
	ck_assert_int_eq(tree_write(other, "x", 1, 0), -EBADF);
	ck_assert_int_eq(tree_set_range(other, 0, "x", 1), -EBADF);
	ck_assert_int_eq(tree_write(h, "ab", 2, 1), 2);
	expect(other, "0ab3", 4);
	ck_assert_int_eq(tree_append(h, "Z", 1), 1);
	expect(other, "0ab3Z", 5);
	tree_close(h);
	ck_assert_int_eq(tree_open(other->object, O_WRONLY | O_TRUNC, &h), 0);
	expect(other, "", 0);
	tree_close(h);
	tree_close(other);
	fixture_close(&f);
}
END_TEST

START_TEST(w17_what_is_open_stays)
{
	struct tree_handle *h, *other;
	struct stat st;

	fixture_open(&f, _i);
	h = make("a", "0123", 4);
	other = make("b", "other", 5);
	ck_assert_int_eq(tree_unlink(f.root, "a"), 0);
	ck_assert_int_eq(tree_getattr(h->object, &st), 0);
	ck_assert_uint_eq(st.st_nlink, 0);
	set_size(h, 2);
	ck_assert_int_eq(tree_set_range(h, 1, "x", 1), 0);
	expect(h, "0x", 2);
	tree_close(h);
	h = make("a", "new", 3);
	ck_assert_int_eq(tree_rename(f.root, "a", f.root, "b", 0), 0);
	expect(other, "other", 5);
	expect(h, "new", 3);
	tree_close(h);
	tree_close(other);
	fixture_close(&f);
}
END_TEST

START_TEST(renames_as_asked)
{
	struct tree_handle *a, *b, *h;
	struct tree_object *d, *o;
	struct stat st;

	fixture_open(&f, _i);
	a = make("a", "A", 1);
	b = make("b", "B", 1);
	ck_assert_int_eq(tree_rename(f.root, "a", f.root, "b", RENAME_NOREPLACE), -EEXIST);
	ck_assert_int_eq(tree_rename(f.root, "a", f.root, "b", RENAME_EXCHANGE), 0);
	ck_assert_int_eq(tree_walk(f.tree, "a", &o, &st), 0);
	ck_assert_int_eq(tree_open(o, O_RDONLY, &h), 0);
	expect(h, "B", 1);
	tree_close(h);
	tree_object_unref(o);
	ck_assert_int_eq(tree_make(f.root, "d", S_IFDIR | 0755, 0, NULL, NULL, &d, &st), 0);
	ck_assert_int_eq(tree_rename(f.root, "d", d, "e", 0), -EINVAL);
	ck_assert_int_eq(tree_rename(f.root, "missing", d, "e", 0), -ENOENT);
	ck_assert_int_eq(tree_rename(f.root, "a", d, "e", RENAME_NOREPLACE), 0);
	ck_assert_int_eq(tree_walk(f.tree, "d/e", &o, &st), 0);
	tree_object_unref(o);
	ck_assert_int_eq(tree_rename(f.root, "b", f.root, "d", 0), -EISDIR);
	ck_assert_int_eq(tree_rename(f.root, "d", f.root, "b", 0), -ENOTDIR);
	ck_assert_int_eq(tree_make(f.root, "d2", S_IFDIR | 0755, 0, NULL, NULL, &o, &st), 0);
	tree_object_unref(o);
	ck_assert_int_eq(tree_rename(f.root, "d2", f.root, "d", 0), -ENOTEMPTY);
	ck_assert_int_eq(tree_rename(f.root, "d", f.root, "d2", 0), 0);
	ck_assert_int_eq(tree_rmdir(f.root, "d2"), -ENOTEMPTY);
	ck_assert_int_eq(tree_unlink(f.root, "d2"), -EISDIR);
	ck_assert_int_eq(tree_rmdir(f.root, "b"), -ENOTDIR);
	ck_assert_int_eq(tree_unlink(d, "e"), 0);
	tree_object_unref(d);
	ck_assert_int_eq(tree_rmdir(f.root, "d2"), 0);
	ck_assert_int_eq(tree_rename(f.root, "b", f.root, "c", 1 << 5), -EINVAL);
	tree_close(a);
	tree_close(b);
	fixture_close(&f);
}
END_TEST

START_TEST(names_are_single_components)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "/", "../x"};
	char name[258];
	struct tree_object *o;
	struct tree_handle *h;
	struct stat st;

	fixture_open(&f, _i);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(tree_lookup(f.root, bad[i], &o, &st), -EINVAL);
		ck_assert_int_eq(tree_create(f.root, bad[i], O_RDWR, 0644, NULL, &h, &st), -EINVAL);
		ck_assert_int_eq(tree_make(f.root, bad[i], S_IFDIR | 0755, 0, NULL, NULL, &o, &st), -EINVAL);
		ck_assert_int_eq(tree_unlink(f.root, bad[i]), -EINVAL);
		ck_assert_int_eq(tree_rename(f.root, "x", f.root, bad[i], 0), -EINVAL);
	}
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	ck_assert_int_eq(tree_create(f.root, name, O_RDWR, 0644, NULL, &h, &st), -ENAMETOOLONG);
	name[255] = '\0';
	ck_assert_int_eq(tree_create(f.root, name, O_RDWR, 0644, NULL, &h, &st), 0);
	tree_close(h);
	ck_assert_int_eq(tree_create(f.root, "\x01\xff \n", O_RDWR, 0644, NULL, &h, &st), 0);
	tree_close(h);
	ck_assert_int_eq(tree_lookup(f.root, "\x01\xff \n", &o, &st), 0);
	tree_object_unref(o);
	fixture_close(&f);
}
END_TEST

START_TEST(links_are_not_followed)
{
	struct tree_object *link, *o;
	struct tree_handle *h;
	struct stat st;
	char target[32];

	fixture_open(&f, _i);
	ck_assert_int_eq(tree_make(f.root, "out", S_IFLNK, 0, "/etc", NULL, &link, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	ck_assert_int_eq(tree_readlink(link, target, sizeof(target)), 4);
	ck_assert_mem_eq(target, "/etc", 4);
	ck_assert_int_eq(tree_readlink(link, target, 2), 2);
	ck_assert_int_eq(tree_readlink(f.root, target, 2), -EINVAL);
	ck_assert_int_eq(tree_walk(f.tree, "out/passwd", &o, &st), -ELOOP);
	ck_assert_int_eq(tree_open(link, O_RDONLY, &h), -ELOOP);
	ck_assert_int_eq(tree_set_range_at(f.tree, "out", 0, "x", 1), -EINVAL);
	ck_assert_int_eq(tree_create(f.root, "out", O_RDWR, 0644, NULL, &h, &st), -ELOOP);
	/* Times of the link itself. */
	ck_assert_int_eq(tree_setattr(link, &(struct tree_change){.what = TREE_SET_TIMES,
	                 .times = {{1, 0}, {2, 0}}}, NULL, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	ck_assert_int_eq(st.st_mtim.tv_sec, 2);
	ck_assert_int_eq(tree_link(link, f.root, "hard", &st), 0);
	ck_assert_uint_eq(st.st_nlink, 2);
	tree_object_unref(link);
	fixture_close(&f);
}
END_TEST

START_TEST(nodes_of_every_type)
{
	static const mode_t types[] = {S_IFREG, S_IFIFO, S_IFSOCK};
	struct tree_object *o;
	struct tree_handle *h;
	struct stat st;

	fixture_open(&f, _i);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		ck_assert_int_eq(tree_make(f.root, "n", types[i] | 0600, 0, NULL, NULL, &o, &st), 0);
		ck_assert_uint_eq(st.st_mode, types[i] | 0600);
		ck_assert_int_eq(tree_make(f.root, "n", types[i] | 0600, 0, NULL, NULL, &o, &st), -EEXIST);
		if (types[i] != S_IFREG)
			ck_assert_int_eq(tree_open(o, O_RDWR, &h), -ENXIO);
		ck_assert_int_eq(tree_setattr(o, &(struct tree_change){.what = TREE_SET_MODE, .mode = 0444}, NULL, &st), 0);
		ck_assert_uint_eq(st.st_mode, types[i] | 0444);
		ck_assert_int_eq(tree_unlink(f.root, "n"), 0);
		tree_object_unref(o);
	}
	ck_assert_int_eq(tree_make(f.root, "n", S_IFLNK, 0, NULL, NULL, &o, &st), -EINVAL);
	fixture_close(&f);
}
END_TEST

START_TEST(extended_attributes)
{
	struct tree_handle *h;
	char value[32];

	fixture_open(&f, _i);
	h = make("a", "x", 1);
	ck_assert_int_eq(tree_getxattr(h->object, NULL, "user.a", value, sizeof(value)), -ENODATA);
	ck_assert_int_eq(tree_setxattr(h->object, "user.a", "1234", 4, XATTR_REPLACE), -ENODATA);
	ck_assert_int_eq(tree_setxattr(h->object, "user.a", "1234", 4, XATTR_CREATE), 0);
	ck_assert_int_eq(tree_setxattr(h->object, "user.a", "1234", 4, XATTR_CREATE), -EEXIST);
	ck_assert_int_eq(tree_getxattr(h->object, NULL, "user.a", value, 0), 4);
	ck_assert_int_eq(tree_getxattr(h->object, NULL, "user.a", value, 3), -ERANGE);
	ck_assert_int_eq(tree_getxattr(h->object, NULL, "user.a", value, sizeof(value)), 4);
	ck_assert_mem_eq(value, "1234", 4);
	memset(value, 0, sizeof(value));
	ck_assert_int_eq(tree_getxattr(h->object, h, "user.a", value, 0), 4);
	ck_assert_int_eq(tree_getxattr(h->object, h, "user.a", value, sizeof(value)), 4);
	ck_assert_mem_eq(value, "1234", 4);
	ck_assert_int_eq(tree_getxattr(h->object, h, "user.b", value, sizeof(value)), -ENODATA);
	ck_assert_int_eq(tree_setxattr(h->object, "user.a", "", 0, 0), 0);
	ck_assert_int_eq(tree_setxattr(h->object, "user.", "1", 1, 0), -EINVAL);
	ck_assert_int_eq(tree_setxattr(h->object, "unheard-of.a", "1", 1, 0), -EOPNOTSUPP);
	ck_assert_int_eq(tree_getxattr(h->object, NULL, "user.a", value, sizeof(value)), 0);
	ck_assert_int_eq(tree_listxattr(h->object, value, 0), 7);
	ck_assert_int_eq(tree_listxattr(h->object, value, sizeof(value)), 7);
	ck_assert_mem_eq(value, "user.a", 7);
	ck_assert_int_eq(tree_removexattr(h->object, "user.a"), 0);
	ck_assert_int_eq(tree_removexattr(h->object, "user.a"), -ENODATA);
	tree_close(h);
	fixture_close(&f);
}
END_TEST

START_TEST(handles_say_what_they_can_do)
{
	static const int modes[] = {O_RDONLY, O_WRONLY, O_RDWR};
	struct tree_handle *h;
	struct stat st;
	char byte;

	fixture_open(&f, _i);
	ck_assert_int_eq(tree_create(f.root, "a", O_RDWR, 0600, NULL, &h, &st), 0);
	ck_assert(h->readable && h->writable && !h->strict);
	ck_assert_int_eq(tree_write(h, "x", 1, 0), 1);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct tree_handle *other;

		ck_assert_int_eq(tree_open(h->object, modes[i], &other), 0);
		ck_assert(other->writable == (modes[i] != O_RDONLY));
		ck_assert(other->readable || modes[i] == O_WRONLY);
		if (other->readable)
			ck_assert_int_eq(tree_read(other, &byte, 1, 0), 1);
		tree_close(other);
	}
	tree_close(h);
	fixture_close(&f);
}
END_TEST

START_TEST(holes)
{
	enum { SIZE = 1 << 20 };
	char *data = xmalloc(SIZE), *got = xmalloc(SIZE);
	struct tree_handle *h;
	int64_t before;
	struct stat st;

	fixture_open(&f, _i);
	memset(data, 'd', SIZE);
	h = make("a", data, SIZE);
	ck_assert_int_eq(tree_fallocate(h, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100000, 500000), 0);
	memset(data + 100000, 0, 500000);
	ck_assert_int_eq(tree_read(h, got, SIZE, 0), SIZE);
	ck_assert_mem_eq(got, data, SIZE);
	st = stat_of(h);
	ck_assert_int_lt(st.st_blocks * 512, SIZE - 200000);
	ck_assert_int_eq(tree_seek(h, 0, SEEK_DATA), 0);
	ck_assert_int_ge(tree_seek(h, 0, SEEK_HOLE), 100000);
	ck_assert_int_lt(tree_seek(h, 0, SEEK_HOLE), 200000);
	ck_assert_int_gt(tree_seek(h, 300000, SEEK_DATA), 500000);
	ck_assert_int_eq(tree_seek(h, 700000, SEEK_HOLE), SIZE);
	ck_assert_int_eq(tree_seek(h, SIZE, SEEK_DATA), -ENXIO);
	ck_assert_int_eq(tree_seek(h, -1, SEEK_DATA), -ENXIO);
	ck_assert_int_eq(tree_fallocate(h, 0, SIZE, 10), 0);
	ck_assert_int_eq(stat_of(h).st_size, SIZE + 10);
	ck_assert_int_eq(tree_fallocate(h, FALLOC_FL_KEEP_SIZE, SIZE, 100000), 0);
	st = stat_of(h);
	ck_assert_int_eq(st.st_size, SIZE + 10);
	before = st.st_blocks * 512;
	/* A truncation gives back what lies behind the new end, behind the old one too. */
	ck_assert_int_eq(tree_setattr(h->object, &(struct tree_change){.what = TREE_SET_SIZE, .size = SIZE},
	                 h, &st), 0);
	ck_assert_int_le(st.st_blocks * 512, before - 80000);
	ck_assert_int_eq(tree_fallocate(h, FALLOC_FL_ZERO_RANGE, 10, 20), 0);
	memset(data + 10, 0, 20);
	ck_assert_int_eq(tree_read(h, got, SIZE, 0), SIZE);
	ck_assert_mem_eq(got, data, SIZE);
	ck_assert_int_eq(tree_fallocate(h, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), -EOPNOTSUPP);
	ck_assert_int_eq(tree_fallocate(h, 0, 0, 0), -EINVAL);
	tree_close(h);
	free(data);
	free(got);
	fixture_close(&f);
}
END_TEST

START_TEST(copies_ranges)
{
	struct tree_handle *a, *b;
	ssize_t n;

	fixture_open(&f, _i);
	a = make("a", "0123456789", 10);
	b = make("b", "xxx", 3);
	n = tree_copy_range(a, 2, b, 5, 4);
	ck_assert_int_eq(n, 4);
	expect(b, "xxx\0\0" "2345", 9);
	ck_assert_int_eq(tree_copy_range(a, 8, b, 0, 100), 2);
	expect(b, "89x\0\0" "2345", 9);
	ck_assert_int_eq(tree_copy_range(a, 10, b, 0, 100), 0);
	ck_assert_int_eq(tree_copy_range(a, -1, b, 0, 1), -EINVAL);
	ck_assert_int_eq(tree_copy_range(a, 0, a, 5, 5), 5);
	expect(a, "0123401234", 10);
	tree_close(a);
	tree_close(b);
	fixture_close(&f);
}
END_TEST

struct seen {
	unsigned counts[300];
	int left;
	off_t next;
	bool dots;
};

static bool see(void *context, const char *name, uint64_t ino, mode_t type, off_t next)
{
	struct seen *s = context;

	if (!s->left)
		return false;
	s->left--;
	s->next = next;
	if (name[0] == '.') {
		s->dots = true;
		ck_assert_uint_eq(type, S_IFDIR);
		return true;
	}
	ck_assert_uint_ne(ino, 0);
	s->counts[atoi(name)]++;
	return true;
}

START_TEST(directories_in_pieces)
{
	static struct seen s;
	struct tree_object *o;
	struct tree_dir *d;
	char name[16];
	struct stat st;
	off_t before;

	s = (struct seen){0};
	fixture_open(&f, _i);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "%d", i);
		ck_assert_int_eq(tree_make(f.root, name, S_IFREG | 0600, 0, NULL, NULL, &o, &st), 0);
		tree_object_unref(o);
	}
	ck_assert_int_eq(tree_opendir(f.root, &d), 0);
	do {
		before = s.next;
		s.left = 7;
		ck_assert_int_eq(tree_readdir(f.tree, d, s.next, see, &s), 0);
		/* Going on behind entries that are gone. */
		if (s.counts[13] == 1 && !tree_unlink(f.root, "13"))
			s.counts[13] = 100;
	} while (s.next != before);
	for (int i = 0; i < 300; i++)
		ck_assert_uint_eq(s.counts[i], i == 13 ? 100 : 1);
	ck_assert(s.dots);
	ck_assert_int_eq(tree_fsyncdir(f.tree, d, false), 0);
	/* From the start again. */
	s = (struct seen){.left = 1000};
	ck_assert_int_eq(tree_readdir(f.tree, d, 0, see, &s), 0);
	ck_assert_uint_eq(s.counts[299], 1);
	tree_closedir(f.tree, d);
	fixture_close(&f);
}
END_TEST

static int no_groups(const struct tree_caller *caller, gid_t *list, int max)
{
	return 0;
}

START_TEST(w16_creations_belong_to_the_caller)
{
	const struct tree_caller caller = {.uid = 4321, .gid = 8765, .groups = no_groups};
	struct tree_object *d, *o;
	struct tree_handle *h;
	struct stat st;

	if (geteuid())
		return;
	fixture_open(&f, _i);
	/* 0700 of root: the kernel has checked what matters on the mount. */
	ck_assert_int_eq(tree_make(f.root, "d", S_IFDIR | 0700, 0, NULL, NULL, &d, &st), 0);
	ck_assert_int_eq(tree_create(d, "a", O_RDWR, 0640, &caller, &h, &st), 0);
	tree_close(h);
	ck_assert_uint_eq(st.st_uid, 4321);
	ck_assert_uint_eq(st.st_gid, 8765);
	ck_assert_int_eq(tree_setattr(d, &(struct tree_change){.what = TREE_SET_MODE | TREE_SET_GID,
	                 .mode = 02700, .gid = 99}, NULL, &st), 0);
	ck_assert_int_eq(tree_make(d, "e", S_IFDIR | 0755, 0, NULL, &caller, &o, &st), 0);
	tree_object_unref(o);
	ck_assert_uint_eq(st.st_uid, 4321);
	ck_assert_uint_eq(st.st_gid, 99);
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 02755);
	ck_assert_int_eq(tree_make(d, "s", S_IFLNK, 0, "t", &caller, &o, &st), 0);
	tree_object_unref(o);
	ck_assert_uint_eq(st.st_uid, 4321);
	/* Not a member of group 99: the sgid bit of a program is not theirs to give. */
	ck_assert_int_eq(tree_create(d, "b", O_RDWR, 02755, &caller, &h, &st), 0);
	tree_close(h);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0755);
	/* This thread is itself again. */
	ck_assert_int_eq(tree_create(d, "c", O_RDWR, 0600, NULL, &h, &st), 0);
	tree_close(h);
	ck_assert_uint_eq(st.st_uid, 0);
	ck_assert_int_eq(tree_put(d, "p", "x", 1, &caller), 0);
	ck_assert_int_eq(tree_lookup(d, "p", &o, &st), 0);
	ck_assert_uint_eq(st.st_uid, 4321);
	tree_object_unref(o);
	tree_object_unref(d);
	fixture_close(&f);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tree");
	TCase *tc = tcase_create("tree");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, w1_a_range_write_changes_just_its_bytes, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, w2_write_extends_and_set_range_never_does, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, w3_a_missing_key_is_never_created, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, w4_nothing_written_changes_nothing, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, w8_put_replaces_whole_values, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, w10_attributes_round_trip, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, w11_every_handle_sees_a_write, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, w16_creations_belong_to_the_caller, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, w17_what_is_open_stays, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, renames_as_asked, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, names_are_single_components, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, links_are_not_followed, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, nodes_of_every_type, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, extended_attributes, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, handles_say_what_they_can_do, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, holes, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, copies_ranges, 0, FIXTURE_STORES);
	tcase_add_loop_test(tc, directories_in_pieces, 0, FIXTURE_STORES);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
