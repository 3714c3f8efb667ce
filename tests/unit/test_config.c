/* The option table through its faces: argv, -o, the files, and what is shown of it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/xalloc.h"
#include "pailfs/config.h"
#include "src/config/option.h"
#include "unit.h"

#define MAX_ARGS 16

static char *directory; /* stands for ~/.config */

static void setup(void)
{
	char name[] = "/tmp/test_config.XXXXXX";
	char *sub;

	directory = xstrdup(mkdtemp(name));
	sub = xasprintf("%s/pailfs", directory);
	ck_assert_int_eq(mkdir(sub, 0700), 0);
	free(sub);
	setenv("XDG_CONFIG_HOME", directory, 1);
}

static void teardown(void)
{
	char *file = xasprintf("%s/pailfs/config", directory);
	char *sub = xasprintf("%s/pailfs", directory);

	unlink(file);
	rmdir(sub);
	rmdir(directory);
	free(file);
	free(sub);
	free(directory);
}

static void write_file(const char *text)
{
	char *path = xasprintf("%s/pailfs/config", directory);
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	free(path);
}

/* Parses a command line whose words are separated by spaces. */
static int parse(struct config *c, const char *line, struct buf *error)
{
	char *copy = xstrdup(line), *save = NULL, *argv[MAX_ARGS];
	int argc = 0, err;

	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		ck_assert_int_lt(argc, MAX_ARGS);
		argv[argc++] = word;
	}
	config_init(c);
	err = config_parse(c, argc, argv, error);
	free(copy);
	return err;
}

static void parse_well(struct config *c, const char *line)
{
	struct buf error = BUF_INIT;
	int err = parse(c, line, &error);

	ck_assert_msg(!err, "%s: %s", line, error.data);
	buf_release(&error);
}

START_TEST(defaults)
{
	struct config c;

	parse_well(&c, "pailfs s3://bucket /mnt");
	ck_assert_str_eq(c.source, "s3://bucket");
	ck_assert_str_eq(c.mountpoint, "/mnt");
	ck_assert_uint_eq(c.connections, 64);
	ck_assert_uint_eq(c.threads, 4);
	ck_assert_uint_eq(c.connect_timeout_ns, 5 * NS_PER_SECOND);
	ck_assert_uint_eq(c.store.retry_timeout_ns, 60 * NS_PER_SECOND);
	ck_assert_uint_eq(c.range_buffer, 8 << 20);
	ck_assert_uint_eq(c.max_gap, UINT64_MAX);
	ck_assert_uint_eq(c.readahead, 0);
	ck_assert_uint_ge(c.memory, 64ull << 20);
	ck_assert_uint_le(c.memory, 2ull << 30);
	ck_assert_str_eq(c.read_policy, "auto");
	ck_assert_str_eq(c.store.reader_type, "auto");
	ck_assert_str_eq(c.fsname, "s3://bucket");
	ck_assert_str_eq(c.log, "syslog");
	ck_assert_uint_eq(c.uid, getuid());
	ck_assert(!c.uid_set && !c.read_only && !c.read_write && !c.foreground);
	ck_assert_ptr_null(c.store.endpoints);
	config_release(&c);
}
END_TEST

START_TEST(command_line)
{
	struct config c;

	parse_well(&c, "pailfs -f s3://b -o ro,memory=1g,endpoint=http://h{1...3}:80/ -v /mnt "
	               "-oendpoint=https://other,region=eu,policy_rule=*.zip:ranged -o umask=027,uid=0 "
	               "-o http_version=2,addressing=virtual,publish=async,file_mode=640,fsname=a\\,b "
	               "-o log_level=debug:net+read");
	ck_assert(c.foreground && c.verbose && c.read_only);
	ck_assert_str_eq(c.log, "stderr");
	ck_assert_str_eq(c.log_level, "debug:net+read");
	ck_assert_uint_eq(c.memory, 1 << 30);
	ck_assert_str_eq(c.store.endpoints[0], "http://h1:80/");
	ck_assert_str_eq(c.store.endpoints[2], "http://h3:80/");
	ck_assert_str_eq(c.store.endpoints[3], "https://other");
	ck_assert_ptr_null(c.store.endpoints[4]);
	ck_assert_str_eq(c.store.region, "eu");
	ck_assert_uint_eq(c.rule_count, 1);
	ck_assert_str_eq(c.rules[0].glob, "*.zip");
	ck_assert_str_eq(c.rules[0].policy, "ranged");
	ck_assert(c.uid_set && !c.gid_set);
	ck_assert_uint_eq(c.umask, 027);
	ck_assert_uint_eq(c.file_mode, 0640);
	ck_assert_uint_eq(c.dir_mode, 0750);
	ck_assert(c.http2 && c.publish_async);
	ck_assert_int_eq(c.store.addressing, ADDRESSING_VIRTUAL);
	ck_assert_str_eq(c.fsname, "a,b");
	config_release(&c);
}
END_TEST

/* The daemon leaves the directory that it was started in. */
START_TEST(relative_paths)
{
	char *here = getcwd(NULL, 0), *path = xasprintf("%s/a/log", here);
	struct config c;

	parse_well(&c, "pailfs mem:// /mnt -o oplog=a/log,log=a/log");
	ck_assert_str_eq(c.oplog, path);
	ck_assert_str_eq(c.log, path);
	config_release(&c);
	parse_well(&c, "pailfs mem:// /mnt -o log=x -o log=syslog");
	ck_assert_str_eq(c.log, "syslog");
	config_release(&c);
	free(path);
	free(here);
}
END_TEST

START_TEST(the_last_of_ro_and_rw_wins)
{
	struct config c;

	parse_well(&c, "pailfs s3://b /mnt -o ro,rw");
	ck_assert(c.read_write && !c.read_only && !c.store.read_only);
	config_release(&c);
	parse_well(&c, "pailfs s3://b /mnt -o rw,ro");
	ck_assert(!c.read_write && c.read_only && c.store.read_only);
	config_release(&c);
}
END_TEST

START_TEST(words_of_mount)
{
	struct config c;

	parse_well(&c, "pailfs s3://b /mnt -o nosuid,user,noatime,_netdev,x-systemd.automount,defaults,"
	               "context=a\\,b,uhelper=x,default_permissions");
	ck_assert_str_eq(c.fuse_options.data, "nosuid,noatime,context=a\\,b");
	ck_assert(c.default_permissions);
	config_release(&c);
}
END_TEST

START_TEST(called_by_mount)
{
	struct config c;

	parse_well(&c, "/sbin/mount.pailfs s3://b /mnt -s -n -v -t fuse.pailfs -o rw,noauto,nonsense,memory=64m");
	ck_assert(c.verbose && c.read_write && !c.foreground && !c.fake);
	ck_assert_uint_eq(c.memory, 64 << 20);
	ck_assert_str_eq(c.log_level, "info");
	config_release(&c);
	parse_well(&c, "mount.pailfs s3://b /mnt -f");
	ck_assert(c.fake && !c.foreground);
	config_release(&c);
}
END_TEST

static const struct {
	const char *line, *says;
} refusals[] = {
        {"pailfs", "SOURCE is missing"},
        {"pailfs s3://b", "MOUNTPOINT is missing"},
        {"pailfs s3://b /m extra", "one argument too many"},
        {"pailfs bucket /m", "a source is s3://BUCKET"},
        {"pailfs ftp://h/x /m", "a source is s3://BUCKET"},
        {"pailfs s3:///x /m", "a bucket's name is missing"},
        {"pailfs s3://a_b! /m", "letters, digits"},
        {"pailfs https:///x /m", "a host is missing"},
        {"pailfs file://x /m", "a directory is absolute"},
        {"pailfs s3://b /m -o log_level=loud", "error|warn|info|debug"},
        {"pailfs /data /m", "file:///data"},
        {"pailfs https://u:hunter2@h/ /m", "a password"},
        {"pailfs s3://b /m -o memroy=1g", "did you mean memory?"},
        {"pailfs s3://b /m -o no_exec", "did you mean noexec?"},
        {"pailfs s3://b /m -o zzzzzzzzzzz", "see pailfs --help"},
        {"pailfs s3://b /m -o aws_secret_access_key=hunter2", "keys never stand among the options"},
        {"pailfs s3://b /m -o endpoint=http://u:hunter2@h/", "without a user or password"},
        {"pailfs s3://b /m -o endpoint=h:80", "http:// or https://"},
        {"pailfs s3://b /m -o endpoint=http://h{1...x}/", "http:// or https://"},
        {"pailfs s3://b /m -o endpoint=http://h{8...1}/", "http:// or https://"},
        {"pailfs s3://b /m -o endpoint=http://h{1...999999999999}/", "http:// or https://"},
        {"pailfs s3://b /m -o endpoint=http://h{1...99}{1...99}/", "http:// or https://"},
        {"pailfs s3://b /m -o remount,ro", "unmount and mount again"},
        {"pailfs s3://b /m -o memory", "memory: a size"},
        {"pailfs s3://b /m -o memory=1", "from 8m to 1t"},
        {"pailfs s3://b /m -o memory=99999999999999999999g", "a size"},
        {"pailfs s3://b /m -o connections=0", "from 1 to 4096"},
        {"pailfs s3://b /m -o connections=-1", "from 1 to 4096"},
        {"pailfs s3://b /m -o stall_timeout=0", "not 0"},
        {"pailfs s3://b /m -o connect_timeout=5x", "a time"},
        {"pailfs s3://b /m -o retry_timeout=5000000h", "a time"},
        {"pailfs s3://b /m -o read_policy=fast", ": one of auto|sequential|ranged"},
        {"pailfs s3://b /m -o policy_rule=*.zip", "GLOB:POLICY"},
        {"pailfs s3://b /m -o policy_rule=*.zip:fast", "GLOB:POLICY"},
        {"pailfs s3://b /m -o ro=maybe", "yes or no"},
        {"pailfs s3://b /m -o umask=8", "octal"},
        {"pailfs s3://b /m -o uid=no-such-user-here", "no such user"},
        {"pailfs s3://b /m -o manifest=f", "not in this version"},
        {"pailfs s3://b /m -o posix_meta=store", "not in this version"},
        {"pailfs s3://b /m -o", "-o wants an argument"},
        {"pailfs s3://b /m -x", "unknown option -x"},
        {"pailfs s3://b /m --memory=1g", "-o memory=1g"},
};

START_TEST(refuses)
{
	struct buf error = BUF_INIT;
	struct config c;

	ck_assert_int_lt(parse(&c, refusals[_i].line, &error), 0);
	ck_assert_msg(strstr(error.data, refusals[_i].says), "%s: %s", refusals[_i].line, error.data);
	ck_assert_ptr_null(strchr(error.data, '\n'));
	ck_assert_ptr_null(strstr(error.data, "hunter2"));
	config_release(&c);
	buf_release(&error);
}
END_TEST

START_TEST(files)
{
	struct config c;

	write_file("# everybody\n"
	           "connections = 7\n"
	           "endpoint = http://a\n"
	           "endpoint = http://b\n"
	           "  threads = 2   ; a comment\n"
	           "noatime = yes\n"
	           "[s3://other-*]\n"
	           "memory = 8m\n"
	           "[s3://a-bucket-with-a-name-of-sixty-three-characters-as-s3-allows-it/*]\n"
	           "memory = 99m\n"
	           "no_sign = yes\n"
	           "endpoint = http://c\n"
	           "oplog = ~/log\n");
	setenv("HOME", "/home/me", 1);
	parse_well(&c, "pailfs s3://plain /mnt -o connections=9");
	ck_assert_uint_eq(c.connections, 9);
	ck_assert_uint_eq(c.threads, 2);
	ck_assert_str_eq(c.store.endpoints[1], "http://b");
	ck_assert_str_eq(c.fuse_options.data, "noatime");
	ck_assert_uint_ge(c.memory, 64 << 20);
	ck_assert(!c.store.no_sign);
	config_release(&c);

	parse_well(&c, "pailfs "
	               "s3://a-bucket-with-a-name-of-sixty-three-characters-as-s3-allows-it/x /mnt");
	ck_assert_uint_eq(c.connections, 7);
	ck_assert_uint_eq(c.memory, 99 << 20);
	ck_assert(c.store.no_sign);
	/* A later section's list replaces an earlier one's. */
	ck_assert_str_eq(c.store.endpoints[0], "http://c");
	ck_assert_ptr_null(c.store.endpoints[1]);
	ck_assert_str_eq(c.oplog, "/home/me/log");
	config_release(&c);
}
END_TEST

/* A mark of UTF-8 at the start, as some editors leave it, hides no section's name. */
START_TEST(files_with_a_mark)
{
	struct config c;

	write_file("\xef\xbb\xbf[s3://other]\nconnections = 7\n");
	parse_well(&c, "pailfs s3://plain /mnt");
	ck_assert_uint_ne(c.connections, 7);
	config_release(&c);
	write_file("\xef\xbb\xbf" "connections = 7\n");
	parse_well(&c, "pailfs s3://plain /mnt");
	ck_assert_uint_eq(c.connections, 7);
	config_release(&c);
}
END_TEST

static const struct {
	const char *text, *says;
} bad_files[] = {
        {"\nmemroy = 1g\n", "config:2: unknown option memroy; did you mean memory?"},
        {"nonsense\n", "config:1: a line is NAME = VALUE"},
        {"[s3://b\nmemory = 1g\n", "config:1: a section's name"},
        {"oplog = relative\n", "config:1: oplog=relative: a path here must be absolute"},
        {"log = relative\n", "config:1: log=relative: a path here must be absolute"},
        {"connections = 1\nfsname = 0123456789012345678901234567890123456789012345678901234567890123"
         "4567890123456789012345678901234567890123456789012345678901234567890123456789012345678901"
         "23456789012345678901234567890123456789012345678901234567890123456789\n",
         "config:2: the line is too long"},
};

START_TEST(refuses_files)
{
	struct buf error = BUF_INIT;
	struct config c;

	write_file(bad_files[_i].text);
	ck_assert_int_lt(parse(&c, "pailfs s3://b /mnt", &error), 0);
	ck_assert_msg(strstr(error.data, bad_files[_i].says), "%s", error.data);
	config_release(&c);
	buf_release(&error);
}
END_TEST

START_TEST(sizes_and_times)
{
	static const struct {
		const char *text;
		int err;
		uint64_t size;
	} sizes[] = {
	        {"0", 0, 0},           {"17", 0, 17},          {"4k", 0, 4096}, {"8M", 0, 8 << 20},
	        {"2g", 0, 2ull << 30}, {"1t", 0, 1ull << 40},  {"", -1, 0},     {"k", -1, 0},
	        {"1kk", -1, 0},        {"-1", -1, 0},          {"1.5g", -1, 0}, {" 1", -1, 0},
	        {"18446744073709551615", 0, UINT64_MAX},       {"18446744073709551616", -1, 0},
	        {"17179869184g", -1, 0},
	};
	static const struct {
		const char *text;
		int err;
		uint64_t ns;
	} times[] = {
	        {"10", 0, 10 * NS_PER_SECOND}, {"500ms", 0, 500 * NS_PER_MS}, {"3s", 0, 3 * NS_PER_SECOND},
	        {"2m", 0, 120 * NS_PER_SECOND}, {"1h", 0, 3600 * NS_PER_SECOND}, {"0", 0, 0},
	        {"1d", -1, 0}, {"ms", -1, 0},
	};
	uint64_t value;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		value = 0;
		ck_assert_msg((config_parse_size(sizes[i].text, &value) < 0) == (sizes[i].err < 0), "%s",
		              sizes[i].text);
		ck_assert_uint_eq(value * !sizes[i].err, sizes[i].size);
	}
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		value = 0;
		ck_assert_msg((config_parse_time(times[i].text, &value) < 0) == (times[i].err < 0), "%s",
		              times[i].text);
		ck_assert_uint_eq(value * !times[i].err, times[i].ns);
	}
}
END_TEST

START_TEST(shows_what_it_was_given)
{
	struct buf text = BUF_INIT;
	struct config c;

	write_file("[http*]\nmetadata_ttl = 90s\n");
	parse_well(&c, "pailfs https://h/f?X-Amz-Signature=hunter2 /mnt -o range_buffer=512k,max_gap=auto,"
	               "policy_rule=*.a:ranged,policy_rule=*.b:auto,addressing=path");
	config_format(&c, &text);
	ck_assert_ptr_null(strstr(text.data, "hunter2"));
	ck_assert_ptr_nonnull(strstr(text.data, "source = https://h/f  # command line\n"));
	ck_assert_ptr_nonnull(strstr(text.data, "\nfsname = https://h/f  # default\n"));
	ck_assert_ptr_nonnull(strstr(text.data, "\nrange_buffer = 512k  # command line\n"));
	ck_assert_ptr_nonnull(strstr(text.data, "\nmax_gap = auto  # command line\n"));
	ck_assert_ptr_nonnull(strstr(text.data, "\nstall_timeout = 10s  # default\n"));
	ck_assert_ptr_nonnull(strstr(text.data, "\nmetadata_ttl = 90s  # "));
	ck_assert_ptr_nonnull(strstr(text.data, "/pailfs/config:2\n"));
	ck_assert_ptr_nonnull(strstr(text.data, "\naddressing = path  # command line\n"));
	ck_assert_ptr_nonnull(strstr(text.data, "\npolicy_rule = *.a:ranged  # command line\n"
	                                        "policy_rule = *.b:auto  # command line\n"));
	ck_assert_ptr_nonnull(strstr(text.data, "\nendpoint =   # default\n"));
	config_release(&c);
	buf_release(&text);
}
END_TEST

/* What --help says of sizes, the manual and completion say too: every option is in each. */
START_TEST(every_option_is_documented)
{
	struct buf help = BUF_INIT, manual = BUF_INIT, completion = BUF_INIT, name = BUF_INIT;

	config_format_help(&help);
	config_format_manual(&manual);
	config_format_completion(&completion);
	option_for_each(o) {
		bool hidden = o->flags & OPTION_HIDDEN;

		buf_reset(&name);
		buf_addf(&name, "\n    %s%s", o->name, o->argument ? "=" : "\n");
		ck_assert_msg(!strstr(help.data, name.data) == hidden, "%s", o->name);
		buf_reset(&name);
		buf_addf(&name, "\n.It Cm %s%s", o->name, o->argument ? " Ns = Ns Ar" : "\n");
		ck_assert_msg(!strstr(manual.data, name.data) == hidden, "%s", o->name);
		buf_reset(&name);
		buf_addf(&name, "%s%s ", o->name, o->argument ? "=" : "");
		ck_assert_msg(!strstr(completion.data, name.data) == hidden, "%s", o->name);
	}
	for (char *line = strtok(help.data, "\n"); line; line = strtok(NULL, "\n"))
		ck_assert_msg(strlen(line) <= 82, "%s", line);
	buf_release(&help);
	buf_release(&manual);
	buf_release(&completion);
	buf_release(&name);
}
END_TEST

static void put(const char *root, const char *path, const char *text)
{
	char *name = xasprintf("%s%s", root, path), *slash = name + strlen(root);
	FILE *f;

	while ((slash = strchr(slash + 1, '/'))) {
		*slash = '\0';
		mkdir(name, 0700);
		*slash = '/';
	}
	f = fopen(name, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	free(name);
}

START_TEST(memory_of_cgroups)
{
	char root[] = "/tmp/test_config_cgroup.XXXXXX";
	char *command;

	ck_assert_ptr_nonnull(mkdtemp(root));
	ck_assert_uint_eq(memory_allowed(root), UINT64_MAX);
	put(root, "/proc/meminfo", "MemTotal:        1000 kB\n");
	ck_assert_uint_eq(memory_allowed(root), 1024000);
	put(root, "/proc/self/cgroup", "0::/a/b\n");
	put(root, "/sys/fs/cgroup/a/b/memory.max", "max\n");
	ck_assert_uint_eq(memory_allowed(root), 1024000);
	put(root, "/sys/fs/cgroup/a/memory.max", "500000\n");
	ck_assert_uint_eq(memory_allowed(root), 500000);
	/* A container's own view: the limit stands at the root. */
	put(root, "/sys/fs/cgroup/memory.max", "400000\n");
	ck_assert_uint_eq(memory_allowed(root), 400000);
	put(root, "/proc/self/cgroup", "5:cpu,memory:/x\n3:cpuset:/y\n0::/none\n");
	put(root, "/sys/fs/cgroup/memory.max", "max\n");
	put(root, "/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "300000\n");
	ck_assert_uint_eq(memory_allowed(root), 300000);
	command = xasprintf("rm -r %s", root);
	ck_assert_int_eq(system(command), 0);
	free(command);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("config");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, defaults);
	tcase_add_test(t, command_line);
	tcase_add_test(t, relative_paths);
	tcase_add_test(t, the_last_of_ro_and_rw_wins);
	tcase_add_test(t, words_of_mount);
	tcase_add_test(t, called_by_mount);
	tcase_add_loop_test(t, refuses, 0, ARRAY_SIZE(refusals));
	tcase_add_test(t, files);
	tcase_add_test(t, files_with_a_mark);
	tcase_add_loop_test(t, refuses_files, 0, ARRAY_SIZE(bad_files));
	tcase_add_test(t, sizes_and_times);
	tcase_add_test(t, shows_what_it_was_given);
	tcase_add_test(t, every_option_is_documented);
	tcase_add_test(t, memory_of_cgroups);
	suite_add_tcase(s, t);
	return unit_run(s);
}
