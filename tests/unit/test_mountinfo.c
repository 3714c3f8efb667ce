/* Lines as the kernel writes them. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "pailfs/base/mountinfo.h"
#include "pailfs/base/xalloc.h"
#include "unit.h"

static const char lines[] =
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "30 22 0:5 / /mnt rw - tmpfs none rw\n"
        "31 30 0:44 / /mnt/a\\040b rw,nosuid shared:7 master:2 - fuse.pailfs s3://b\\134x rw\n"
        "nonsense\n"
        "32 30 0:45 / /mnt/over rw - fuse.old first rw\n"
        "33 30 0:46 / /mnt/over rw - fuse.pailfs second rw\n";

static const struct {
	const char *path, *point, *type, *source;
} cases[] = {
        {"/etc", "/", "ext4", "/dev/sda1"},
        {"/", "/", "ext4", "/dev/sda1"},
        {"/mnt", "/mnt", "tmpfs", "none"},
        {"/mnt/other", "/mnt", "tmpfs", "none"},
        {"/mntx", "/", "ext4", "/dev/sda1"},
        {"/mnt/a b", "/mnt/a b", "fuse.pailfs", "s3://b\\x"},
        {"/mnt/a b/c/d", "/mnt/a b", "fuse.pailfs", "s3://b\\x"},
        {"/mnt/over/x", "/mnt/over", "fuse.pailfs", "second"},
};

START_TEST(finds)
{
	FILE *f = fmemopen((void *)(uintptr_t)lines, strlen(lines), "r");
	struct mountinfo m;

	ck_assert_int_eq(mountinfo_find(f, cases[_i].path, &m), 0);
	ck_assert_str_eq(m.point, cases[_i].point);
	ck_assert_str_eq(m.type, cases[_i].type);
	ck_assert_str_eq(m.source, cases[_i].source);
	mountinfo_release(&m);
	fclose(f);
}
END_TEST

START_TEST(finds_nothing)
{
	static const char text[] = "31 30 0:44 / /mnt rw - fuse.pailfs x rw\n31 30\n- - - - - - -\n";
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	struct mountinfo m;

	ck_assert_int_eq(mountinfo_find(f, "/other", &m), -ENOENT);
	mountinfo_release(&m);
	fclose(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mountinfo");
	TCase *t = tcase_create("mountinfo");

	tcase_add_loop_test(t, finds, 0, ARRAY_SIZE(cases));
	tcase_add_test(t, finds_nothing);
	suite_add_tcase(s, t);
	return unit_run(s);
}
