/* The plan of what goes wrong, as tables of texts and of decisions; and the layer over trees:
 * each operation fails when it was told to, and then has not happened. The layer over buckets
 * is in test_store.c. */
#include "src/store/chaos.h"
#include "tree_fixture.h"

/* ---- the plan ---- */

static bool understood(const char *spec, enum chaos_family family)
{
	struct buf error = BUF_INIT;
	struct chaos_plan p;
	int r = chaos_plan_init(&p, spec, family, &error);

	ck_assert_msg(r == 0 || r == -EINVAL, "%s: %d", spec, r);
	ck_assert_msg(!r == !error.length, "%s: %s", spec, error.data);
	if (!r)
		chaos_plan_release(&p);
	buf_release(&error);
	return !r;
}

START_TEST(texts)
{
	static const struct {
		const char *spec;
		bool bucket, tree;
	} table[] = {
		{"seed=7", true, true},
		{"delay=30ms", true, true},
		{"delay=5us,error=5%:EIO,short=0.5%", true, true},
		{"error=100%:ENOSPC", true, true},
		{"error=@3:EIO", true, true},
		{"error=@3+:EIO", true, true},
		{"error=@1:EIO:lookup", true, true},
		{"error=@1:EIO:get", true, false},
		{"error=@1:EIO:write:set_range", false, true},
		{"short=@2:write", false, true},
		{"hang=1%", true, false},
		{"space=64k", false, true},
		{"space=0", false, true},
		{"", false, false},
		{"delay", false, false},
		{"delay=1", false, false},
		{"delay=ms", false, false},
		{"delay=1h", false, false},
		{"delay=1000001s", false, false},
		{"error=5%", false, false},
		{"error=5:EIO", false, false},
		{"error=5%:ENOSUCH", false, false},
		{"error=5%:EIOX", false, false},
		{"error=101%:EIO", false, false},
		{"error=-1%:EIO", false, false},
		{"error=@0:EIO", false, false},
		{"error=@:EIO", false, false},
		{"error=@1:EIO:", false, false},
		{"error=@1:EIO:lookups", false, false},
		{"error=@1:EIO:look", false, false},
		{"short=x%", false, false},
		{"short=1%x", false, false},
		{"seed=-1", false, false},
		{"dealy=1ms", false, false},
		{"hang=nan%", false, false},
		{"space=64q", false, false},
		{"space=99999999999999g", false, false},
		{"seed=1,", false, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		ck_assert_msg(understood(table[i].spec, CHAOS_BUCKET) == table[i].bucket, "%s",
		              table[i].spec);
		ck_assert_msg(understood(table[i].spec, CHAOS_TREE) == table[i].tree, "%s",
		              table[i].spec);
	}
}
END_TEST

static struct chaos_plan plan_of(const char *spec)
{
	struct buf error = BUF_INIT;
	struct chaos_plan p;

	ck_assert_msg(!chaos_plan_init(&p, spec, CHAOS_TREE, &error), "%s", error.data);
	return p;
}

/* Which of eight operations fail: w writes, f fsyncs. */
START_TEST(counts)
{
	static const struct {
		const char *spec, *failing;
	} table[] = {
		{"error=@1:EIO", "x......."},
		{"error=@3:EIO", "..x....."},
		{"error=@3+:EIO", "..xxxxxx"},
		{"error=@2:EIO:fsync", "...x...."},
		{"error=@2+:EIO:write", "..x.x.x."},
		{"error=@1:EIO:fsync,error=@3:EIO:write", ".x..x..."},
		{"error=@1:EIO,error=@2:EIO:write", "x.x....."},
		{"error=@9:EIO", "........"},
		{"error=0%:EIO", "........"},
		{"error=100%:EIO:fsync", ".x.x.x.x"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct chaos_plan p = plan_of(table[i].spec);
		char failing[9] = "";

		for (int k = 0; k < 8; k++) {
			struct chaos_fate fate =
				chaos_decide(&p, k % 2 ? CHAOS_FSYNC : CHAOS_WRITE, 100);

			failing[k] = fate.error ? 'x' : '.';
			ck_assert_int_eq(fate.error, fate.error ? -EIO : 0);
			ck_assert_uint_eq(fate.length, fate.error ? 0 : 100);
		}
		ck_assert_msg(!strcmp(failing, table[i].failing), "%s: %s", table[i].spec, failing);
		chaos_plan_release(&p);
	}
}
END_TEST

START_TEST(shares_and_seeds)
{
	unsigned pattern[3] = {0};
	static const char *const specs[] = {"error=25%:EIO,seed=42", "error=25%:EIO,seed=42",
	                                    "error=25%:EIO,seed=43"};

	for (int i = 0; i < 3; i++) {
		struct chaos_plan p = plan_of(specs[i]);
		int failed = 0;

		for (int k = 0; k < 1000; k++) {
			bool bad = chaos_decide(&p, CHAOS_READ, 1).error != 0;

			failed += bad;
			pattern[i] = pattern[i] * 31 + bad;
		}
		ck_assert_int_gt(failed, 200);
		ck_assert_int_lt(failed, 300);
		chaos_plan_release(&p);
	}
	ck_assert_uint_eq(pattern[0], pattern[1]);
	ck_assert_uint_ne(pattern[0], pattern[2]);
}
END_TEST

START_TEST(parts)
{
	struct chaos_plan p = plan_of("short=100%,delay=7us");

	for (size_t n = 0; n < 300; n++) {
		struct chaos_fate fate = chaos_decide(&p, CHAOS_WRITE, n);

		ck_assert_uint_eq(fate.delay_ns, 7000);
		if (n < 2) {
			ck_assert_uint_eq(fate.length, n);
			ck_assert_int_eq(fate.error, 0);
			continue;
		}
		ck_assert_uint_gt(fate.length, 0);
		ck_assert_uint_lt(fate.length, n);
		ck_assert_int_eq(fate.error, -EIO);
	}
	chaos_plan_release(&p);
}
END_TEST

START_TEST(space)
{
	struct chaos_plan p = plan_of("space=1k");
	struct chaos_fate fate = chaos_decide(&p, CHAOS_WRITE, 1000);

	ck_assert_int_eq(fate.error, 0);
	fate = chaos_decide(&p, CHAOS_READ, 1000);
	ck_assert_int_eq(fate.error, 0);
	fate = chaos_decide(&p, CHAOS_SET_RANGE, 100);
	ck_assert_uint_eq(fate.length, 24);
	ck_assert_int_eq(fate.error, -ENOSPC);
	fate = chaos_decide(&p, CHAOS_WRITE, 1);
	ck_assert_uint_eq(fate.length, 0);
	ck_assert_int_eq(fate.error, -ENOSPC);
	fate = chaos_decide(&p, CHAOS_FSYNC, 0);
	ck_assert_int_eq(fate.error, 0);
	chaos_plan_release(&p);
}
END_TEST

/* ---- the layer over trees ---- */

static struct fixture f;

/* A tree of d/ and the value v, then the layer over it. */
static void open_over(const char *spec, int store)
{
	struct tree_object *o;
	struct stat st;

	fixture_open(&f, store);
	ck_assert_int_eq(tree_put(f.root, "v", "0123456789", 10, NULL), 0);
	ck_assert_int_eq(tree_make(f.root, "d", S_IFDIR | 0755, 0, NULL, NULL, &o, &st), 0);
	tree_object_unref(o);
	fixture_disturb(&f, spec);
}

static void expect(struct tree_handle *h, const char *data)
{
	char got[100] = "";

	ck_assert_int_eq(tree_read(h, got, sizeof(got) - 1, 0), (ssize_t)strlen(data));
	ck_assert_str_eq(got, data);
}

static bool ignore_entry(void *context, const char *name, uint64_t ino, mode_t type, off_t next)
{
	return true;
}

/* Calls one operation; -errno or what it returns. */
static ssize_t call(enum chaos_operation operation, struct tree_handle *h, struct tree_dir *d)
{
	struct tree_change mode = {.what = TREE_SET_MODE, .mode = 0600};
	struct tree_change size = {.what = TREE_SET_SIZE, .size = 3};
	struct tree_object *o = h->object, *out = NULL;
	struct tree_handle *handle = NULL;
	struct tree_dir *dir = NULL;
	struct statvfs vfs;
	struct stat st;
	char bytes[16];
	ssize_t r = 1;

	switch (operation) {
	case CHAOS_LOOKUP:
		r = tree_lookup(f.root, "v", &out, &st);
		break;
	case CHAOS_CREATE:
		r = tree_create(f.root, "new", O_RDWR, 0644, NULL, &handle, &st);
		break;
	case CHAOS_MAKE:
		r = tree_make(f.root, "new", S_IFLNK, 0, "target", NULL, &out, &st);
		break;
	case CHAOS_LINK:
		r = tree_link(o, f.root, "new", &st);
		break;
	case CHAOS_UNLINK:
		r = tree_rmdir(f.root, "d");
		break;
	case CHAOS_RENAME:
		r = tree_rename(f.root, "v", f.root, "new", 0);
		break;
	case CHAOS_PUT:
		r = tree_put(f.root, "v", "other", 5, NULL);
		break;
	case CHAOS_GETATTR:
		r = tree_getattr(o, &st);
		break;
	case CHAOS_SETATTR:
		r = tree_setattr(o, &mode, NULL, &st);
		break;
	case CHAOS_TRUNCATE:
		r = tree_setattr(o, &size, h, &st);
		break;
	case CHAOS_READLINK:
		r = tree_readlink(o, bytes, sizeof(bytes));
		break;
	case CHAOS_XATTR:
		r = tree_setxattr(o, "user.a", "b", 1, 0);
		break;
	case CHAOS_STATFS:
		r = tree_statfs(o, &vfs);
		break;
	case CHAOS_OPEN:
		r = tree_open(o, O_RDWR | O_TRUNC, &handle);
		break;
	case CHAOS_FLUSH:
		r = tree_flush(h);
		break;
	case CHAOS_READ:
		r = tree_read(h, bytes, 4, 0);
		break;
	case CHAOS_WRITE:
		r = tree_append(h, "xyz", 3);
		break;
	case CHAOS_SET_RANGE:
		r = tree_set_range(h, 2, "xyz", 3);
		break;
	case CHAOS_FSYNC:
		r = tree_fsync(h, true);
		break;
	case CHAOS_FALLOCATE:
		r = tree_fallocate(h, 0, 0, 100);
		break;
	case CHAOS_SEEK:
		r = tree_seek(h, 0, SEEK_HOLE);
		break;
	case CHAOS_COPY:
		r = tree_copy_range(h, 0, h, 5, 5);
		break;
	case CHAOS_OPENDIR:
		r = tree_opendir(f.root, &dir);
		break;
	case CHAOS_READDIR:
		r = tree_readdir(f.tree, d, 0, ignore_entry, NULL);
		break;
	case CHAOS_FSYNCDIR:
		r = tree_fsyncdir(f.tree, d, false);
		break;
	default:
		break;
	}
	tree_object_unref(out);
	tree_close(handle);
	if (dir)
		tree_closedir(f.tree, dir);
	return r;
}

static const char *const names[CHAOS_OPERATIONS] = {
	[CHAOS_LOOKUP] = "lookup",     [CHAOS_CREATE] = "create",
	[CHAOS_MAKE] = "make",         [CHAOS_LINK] = "link",
	[CHAOS_UNLINK] = "unlink",     [CHAOS_RENAME] = "rename",
	[CHAOS_PUT] = "put",           [CHAOS_GETATTR] = "getattr",
	[CHAOS_SETATTR] = "setattr",   [CHAOS_TRUNCATE] = "truncate",
	[CHAOS_READLINK] = "readlink", [CHAOS_XATTR] = "xattr",
	[CHAOS_STATFS] = "statfs",     [CHAOS_OPEN] = "open",
	[CHAOS_FLUSH] = "flush",       [CHAOS_READ] = "read",
	[CHAOS_WRITE] = "write",       [CHAOS_SET_RANGE] = "set_range",
	[CHAOS_FSYNC] = "fsync",       [CHAOS_FALLOCATE] = "fallocate",
	[CHAOS_SEEK] = "seek",         [CHAOS_COPY] = "copy",
	[CHAOS_OPENDIR] = "opendir",   [CHAOS_READDIR] = "readdir",
	[CHAOS_FSYNCDIR] = "fsyncdir",
};

static int count_names(struct store_tree *t, struct tree_object *root)
{
	struct tree_object *o;
	struct stat st;
	int n = 0;

	for (int i = 0; i < 3; i++)
		if (!tree_lookup(root, ((const char *const[]){"v", "d", "new"})[i], &o, &st)) {
			tree_object_unref(o);
			n += 1 << i;
		}
	return n;
}

/* Each operation fails once with the error it was told, and nothing has changed; the next
 * time it does what it does without the layer. */
START_TEST(each_operation_fails_once_and_does_nothing)
{
	for (int i = CHAOS_LOOKUP; i < CHAOS_OPERATIONS; i++) {
		/* Of a lookup, the one that the test makes to open v comes first. */
		char *spec = xasprintf("error=@%d:EDQUOT:%s",
		                       i == CHAOS_LOOKUP || i == CHAOS_OPEN ? 2 : 1, names[i]);
		struct tree_handle *h;
		struct tree_dir *d;
		struct stat before, after;
		ssize_t r;

		open_over(spec, _i);
		h = fixture_value(&f);
		ck_assert_int_eq(h->fd, -1);
		ck_assert_int_eq(tree_opendir(f.root, &d), i == CHAOS_OPENDIR ? -EDQUOT : 0);
		if (i == CHAOS_OPENDIR)
			ck_assert_int_eq(tree_opendir(f.root, &d), 0);
		else if (i == CHAOS_GETATTR)
			ck_assert_int_eq(call(CHAOS_GETATTR, h, d), -EDQUOT);
		ck_assert_int_eq(tree_getattr(h->object, &before), 0);
		if (i != CHAOS_OPENDIR && i != CHAOS_GETATTR) {
			r = call((enum chaos_operation)i, h, d);
			ck_assert_msg(r == -EDQUOT, "%s: %zd", spec, r);
		}
		ck_assert_int_eq(tree_getattr(h->object, &after), 0);
		ck_assert_int_eq(before.st_size, after.st_size);
		ck_assert_int_eq(before.st_mode, after.st_mode);
		ck_assert_mem_eq(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim));
		ck_assert_int_eq(count_names(f.tree, f.root), 3);
		expect(h, "0123456789");
		r = call((enum chaos_operation)i, h, d);
		ck_assert_msg(i == CHAOS_READLINK ? r == -EINVAL : r >= 0, "%s, then: %zd", spec,
		              r);
		tree_closedir(f.tree, d);
		tree_close(h);
		fixture_close(&f);
		free(spec);
	}
}
END_TEST

START_TEST(writes_are_cut_short)
{
	struct tree_handle *h;
	ssize_t n;

	open_over("short=@1:write,short=@1:set_range", _i);
	h = fixture_value(&f);
	n = tree_write(h, "abcdefghij", 10, 0);
	ck_assert_int_gt(n, 0);
	ck_assert_int_lt(n, 10);
	ck_assert_int_eq(tree_write(h, "abcdefghij", 10, 0), 10);
	expect(h, "abcdefghij");
	/* One that does not fit is still refused and not torn. */
	ck_assert_int_eq(tree_set_range(h, 5, "012345", 6), -EINVAL);
	expect(h, "abcdefghij");
	ck_assert_int_eq(tree_set_range(h, 0, "ABCDE", 5), 0);
	expect(h, "ABCDEfghij");
	tree_close(h);
	fixture_close(&f);
}
END_TEST

START_TEST(a_torn_range_stays_within_itself)
{
	static char got[100];
	struct tree_handle *h;

	open_over("short=100%:set_range", _i);
	h = fixture_value(&f);
	ck_assert_int_eq(tree_set_range(h, 2, "xxxxx", 5), -EIO);
	ck_assert_int_eq(tree_read(h, got, sizeof(got), 0), 10);
	ck_assert(!memcmp(got, "01", 2) && !memcmp(got + 7, "789", 3));
	ck_assert(memchr(got, 'x', 10) != NULL && got[2] == '2');
	tree_close(h);
	fixture_close(&f);
}
END_TEST

START_TEST(the_disk_is_full_in_the_middle)
{
	struct tree_handle *h;

	open_over("space=15", _i);
	h = fixture_value(&f);
	ck_assert_int_eq(tree_write(h, "abcdefghij", 10, 0), 10);
	ck_assert_int_eq(tree_append(h, "klmnopqrst", 10), 5);
	ck_assert_int_eq(tree_append(h, "pqrst", 5), -ENOSPC);
	ck_assert_int_eq(tree_put(f.root, "v", "new value", 9, NULL), -ENOSPC);
	ck_assert_int_eq(tree_set_range(h, 0, "x", 1), -ENOSPC);
	ck_assert_int_eq(tree_fallocate(h, 0, 0, 100), -ENOSPC);
	expect(h, "abcdefghijklmno");
	ck_assert_int_eq(tree_unlink(f.root, "v"), 0);
	tree_close(h);
	fixture_close(&f);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("chaos");
	TCase *tc = tcase_create("chaos");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, texts);
	tcase_add_test(tc, counts);
	tcase_add_test(tc, shares_and_seeds);
	tcase_add_test(tc, parts);
	tcase_add_test(tc, space);
	tcase_add_loop_test(tc, each_operation_fails_once_and_does_nothing, 0,
	                    FIXTURE_PLAIN_STORES);
	tcase_add_loop_test(tc, writes_are_cut_short, 0, FIXTURE_PLAIN_STORES);
	tcase_add_loop_test(tc, a_torn_range_stays_within_itself, 0, FIXTURE_PLAIN_STORES);
	tcase_add_loop_test(tc, the_disk_is_full_in_the_middle, 0, FIXTURE_PLAIN_STORES);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
