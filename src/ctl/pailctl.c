/* pailctl.c - looks into a mount and tells it what to do. One table of commands gives the
 * dispatch and --help. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "ctl.h"
#include "pailfs-config.h"
#include "pailfs/base/xalloc.h"
#include "pailfs/oplog.h"

enum { EXIT_USAGE = 1, EXIT_FAILED = 2 };

struct command {
	const char *name;
	const char *arguments;
	int min, max; /* arguments */
	/* Adds output or, when it returns -errno, a line on the failure. */
	int (*run)(char **argv, int argc, struct buf *out, struct buf *error);
	const char *help;
};

static int ask(const char *name, enum ctl_command command, const char *data, struct buf *out,
	       struct buf *error)
{
	struct ctl_message *m = xcalloc(1, sizeof(*m));
	struct target t;
	int err = target_find(name, command == CTL_REFRESH, &t, error);

	if (err)
		goto out;
	m->command = command;
	m->length = (uint32_t)strnlen(data, sizeof(m->data));
	memcpy(m->data, data, m->length);
	err = target_ask(&t, m, error);
	if (!err && m->length) {
		buf_add(out, m->data, m->length);
		if (m->data[m->length - 1] != '\n')
			buf_addc(out, '\n');
	}
	target_release(&t);
out:
	free(m);
	return err;
}

static int show_file(const char *name, const char *file, struct buf *out, struct buf *error)
{
	struct target t;
	int err = target_find(name, false, &t, error);

	if (err)
		return err;
	err = target_read(&t, file, out, error);
	target_release(&t);
	return err;
}

static int run_stat(char **argv, int argc, struct buf *out, struct buf *error)
{
	bool raw = argc && !strcmp(argv[0], "--raw");
	const char *name = argc > raw ? argv[raw] : ".";
	struct buf text = BUF_INIT;
	int err;

	if (raw)
		return show_file(name, "stats", out, error);
	err = show_file(name, "stats", &text, error);
	if (!err)
		summarize_stats(text.data, out);
	buf_release(&text);
	return err;
}

static int run_config(char **argv, int argc, struct buf *out, struct buf *error)
{
	return show_file(argc ? argv[0] : ".", "config", out, error);
}

static void add_attribute(const char *file, const char *attribute, struct buf *out)
{
	char value[4096];
	ssize_t n = getxattr(file, attribute, value, sizeof(value));

	if (n <= 0)
		return;
	buf_add(out, value, (size_t)n);
	buf_addc(out, '\n');
}

static int run_why(char **argv, int argc, struct buf *out, struct buf *error)
{
	int err = ask(argv[0], CTL_WHY, "", out, error);

	/* A mount of an older version tells it in an attribute only. */
	if (err == -EOPNOTSUPP || err == -ENOTTY) {
		add_attribute(argv[0], "user.pailfs.why", out);
		if (!out->length)
			return err;
	} else if (err) {
		return err;
	}
	add_attribute(argv[0], "user.pailfs.error", out);
	return 0;
}

static int run_policy(char **argv, int argc, struct buf *out, struct buf *error)
{
	return ask(argv[0], CTL_POLICY, argc > 1 ? argv[1] : "", out, error);
}

static int run_refresh(char **argv, int argc, struct buf *out, struct buf *error)
{
	return ask(argc ? argv[0] : ".", CTL_REFRESH, "", out, error);
}

static int run_flush(char **argv, int argc, struct buf *out, struct buf *error)
{
	return ask(argc ? argv[0] : ".", CTL_FLUSH, "", out, error);
}

static int read_input(struct buf *bytes, struct buf *error)
{
	char block[65536];
	ssize_t n;

	while ((n = read(STDIN_FILENO, block, sizeof(block))) > 0)
		buf_add(bytes, block, (size_t)n);
	if (n < 0)
		buf_addf(error, "standard input: %s", strerror(errno));
	return n < 0 ? -errno : 0;
}

/* The bytes are read to their end first: whether the range fits must be known before the
 * first of them is written. */
static int run_set_range(char **argv, int argc, struct buf *out, struct buf *error)
{
	struct buf bytes = BUF_INIT;
	uint64_t offset;
	char *end;
	int err;

	errno = 0;
	offset = strtoull(argv[1], &end, 10);
	if (errno || *end || *argv[1] < '0' || *argv[1] > '9') {
		buf_addf(error, "%s: an offset is a number of bytes, 0 or more", argv[1]);
		return -EINVAL;
	}
	err = read_input(&bytes, error);
	if (!err)
		err = set_range(argv[0], offset, &bytes, error);
	buf_release(&bytes);
	return err;
}

static int run_umount(char **argv, int argc, struct buf *out, struct buf *error)
{
	bool lazy = !strcmp(argv[0], "-l");
	struct target t;
	int err;

	if (argc - lazy != 1) {
		buf_adds(error, "usage: pailctl umount [-l] MOUNTPOINT");
		return -EINVAL;
	}
	err = target_find(argv[lazy], false, &t, error);
	if (err)
		return err;
	if (*t.path) {
		buf_addf(error, "%s: is not a mount point, but lies in the one of %s", argv[lazy],
			 t.mountpoint);
		err = -EINVAL;
	} else {
		err = unmount(&t, lazy, error);
	}
	target_release(&t);
	return err;
}

static int run_oplog(char **argv, int argc, struct buf *out, struct buf *error)
{
	int err;

	if (strcmp(argv[0], "summary")) {
		buf_adds(error, "usage: pailctl oplog summary FILE");
		return -EINVAL;
	}
	err = oplog_summary(argv[1], out);
	if (err == -EBADMSG)
		buf_addf(error,
			 "%s: ends in the middle or is damaged; the table is of what came before",
			 argv[1]);
	else if (err)
		buf_addf(error, "%s: %s", argv[1], strerror(-err));
	return err;
}

static const struct command commands[] = {
	{"stat", "[--raw] [MOUNTPOINT]", 0, 2, run_stat,
	 "what was asked of the store and moved; --raw: all statistics"},
	{"why", "FILE", 1, 1, run_why, "what the read engine saw and chose for a file"},
	{"policy", "FILE [auto|sequential|ranged]", 1, 2, run_policy,
	 "show or set how a file is read"},
	{"refresh", "[PATH]", 0, 1, run_refresh, "forget what is believed of PATH and the names below it"},
	{"flush", "[MOUNTPOINT]", 0, 1, run_flush, "wait until all that was written is stored"},
	{"set-range", "FILE OFFSET < BYTES", 2, 2, run_set_range,
	 "write bytes inside a file, which it never extends or creates"},
	{"config", "[MOUNTPOINT]", 0, 1, run_config,
	 "every option, its value, and where it is from"},
	{"umount", "[-l] MOUNTPOINT", 1, 2, run_umount,
	 "flush, unmount, wait for the daemon to end; -l: even when in use"},
	{"oplog", "summary FILE", 2, 2, run_oplog, "counts and times of an operation log"},
};

/* Commands to come, so that who reads of them elsewhere is told. */
static const char *const later[] = {"order", "warm", "cache", "spool", "manifest"};

static void show_help(void)
{
	printf("usage: pailctl COMMAND [ARGUMENT...]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("    %s %s\n          %s\n", commands[i].name, commands[i].arguments,
		       commands[i].help);
	printf("\nWithout a MOUNTPOINT or PATH it is the current directory's mount.\n");
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	for (size_t i = 0; i < ARRAY_SIZE(later); i++)
		if (!strcmp(later[i], name)) {
			fprintf(stderr, "pailctl: %s is not in this version yet\n", name);
			return NULL;
		}
	fprintf(stderr, "pailctl: unknown command %s; see pailctl --help\n", name);
	return NULL;
}

int main(int argc, char **argv)
{
	struct buf out = BUF_INIT, error = BUF_INIT;
	const struct command *c;
	int err;

	if (argc < 2) {
		fprintf(stderr, "pailctl: a command is missing; see pailctl --help\n");
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		show_help();
		return 0;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("pailctl " PAILFS_VERSION "\n");
		return 0;
	}
	c = find_command(argv[1]);
	if (!c)
		return EXIT_USAGE;
	if (argc - 2 < c->min || argc - 2 > c->max) {
		fprintf(stderr, "pailctl: usage: pailctl %s %s\n", c->name, c->arguments);
		return EXIT_USAGE;
	}
	err = c->run(argv + 2, argc - 2, &out, &error);
	fwrite(out.data, 1, out.length, stdout);
	if (err)
		fprintf(stderr, "pailctl: %s\n", error.data);
	if (fflush(stdout) && !err) {
		fprintf(stderr, "pailctl: standard output: %s\n", strerror(errno));
		err = -EIO;
	}
	buf_release(&out);
	buf_release(&error);
	return err ? EXIT_FAILED : 0;
}
