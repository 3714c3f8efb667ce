/* config.c - puts the layers together: defaults, the files, the command line.
 *
 * The files' sections are globs over SOURCE, so the command line is read first and applied
 * last: a first pass takes it apart into SOURCE, MOUNTPOINT, flags and -o items. */
#include "pailfs/config.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "option.h"
#include "pailfs/base/xalloc.h"

#define SYSTEM_FILE "/etc/pailfs.conf"

struct command_line {
	const char *source, *mountpoint;
	const char **items; /* the arguments of -o, each a comma separated list */
	size_t item_count;
	bool helper; /* called by mount(8), as mount.pailfs */
	bool sloppy; /* mount -s: options that nobody knows are no error */
	bool fake;   /* mount -f: all but mounting */
};

void config_init(struct config *c)
{
	static const struct option_layer defaults = {.where = "default"};
	struct buf error = BUF_INIT;

	*c = (struct config){.uid = getuid(), .gid = getgid()};
	buf_init(&c->fuse_options);
	c->provenance = xcalloc(option_total(), sizeof(struct provenance));
	/* The only way to read the umask is to set it. */
	c->umask = umask(022);
	umask(c->umask);
	option_for_each(o)
	{
		if (o->initial && option_set(c, o, o->initial, &defaults, &error))
			abort();
		if (!o->initial)
			option_provenance(c, o)->where = xstrdup("default");
	}
}

void config_release(struct config *c)
{
	struct provenance *from = c->provenance;

	option_for_each(o) option_release(c, o);
	for (size_t i = 0; i < option_total(); i++)
		free(from[i].where);
	free(from);
	free(c->source);
	free(c->mountpoint);
	buf_release(&c->fuse_options);
	*c = (struct config){0};
}

/* ---- the command line ---- */

static bool called_as_helper(const char *program)
{
	const char *name = strrchr(program, '/');

	return !strncmp(name ? name + 1 : program, "mount.", 6);
}

static int short_options(struct config *c, struct command_line *line, int argc, char **argv,
			 int *at, struct buf *error)
{
	for (const char *s = argv[*at] + 1; *s; s++) {
		const char *rest = s[1] ? s + 1 : NULL;

		switch (*s) {
		case 'f':
			line->fake = line->helper;
			c->foreground = !line->helper;
			break;
		case 'd':
			c->debug_fuse = c->foreground = true;
			break;
		case 'v':
			c->verbose = true;
			break;
		case 'h':
			c->show_help = true;
			break;
		case 'V':
			c->show_version = true;
			break;
		case 's':
		case 'n':
			if (!line->helper)
				goto unknown;
			line->sloppy |= *s == 's';
			break;
		case 'o':
		case 't': /* mount(8) tells its helper the type and a namespace */
		case 'N':
			if (*s != 'o' && !line->helper)
				goto unknown;
			if (!rest && *at + 1 < argc)
				rest = argv[++*at];
			if (!rest) {
				buf_addf(error, "-%c wants an argument; see pailfs --help", *s);
				return -EINVAL;
			}
			if (*s == 'o') {
				line->items = xrealloc(line->items, line->item_count + 1,
						       sizeof(*line->items));
				line->items[line->item_count++] = rest;
			}
			return 0;
		default:
		unknown:
			buf_addf(error, "unknown option -%c; see pailfs --help", *s);
			return -EINVAL;
		}
	}
	return 0;
}

static int long_option(struct config *c, const char *arg, struct buf *error)
{
	const char *name = arg + 2;
	size_t n = strcspn(name, "=");

	if (!strcmp(name, "help")) {
		c->show_help = true;
	} else if (!strcmp(name, "version")) {
		c->show_version = true;
	} else if (option_find(name, n)) {
		buf_addf(error, "%s: options follow -o, as in -o %s", arg, name);
		return -EINVAL;
	} else {
		buf_addf(error, "unknown option %s; see pailfs --help", arg);
		return -EINVAL;
	}
	return 0;
}

static int read_arguments(struct config *c, struct command_line *line, int argc, char **argv,
			  struct buf *error)
{
	bool options = true;
	int err;

	line->helper = argc > 0 && called_as_helper(argv[0]);
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];

		err = 0;
		if (options && !strcmp(arg, "--")) {
			options = false;
		} else if (options && arg[0] == '-' && arg[1] == '-') {
			err = long_option(c, arg, error);
		} else if (options && arg[0] == '-' && arg[1]) {
			err = short_options(c, line, argc, argv, &i, error);
		} else if (!line->source) {
			line->source = arg;
		} else if (!line->mountpoint) {
			line->mountpoint = arg;
		} else {
			buf_addf(error, "%s: one argument too many; options follow -o", arg);
			err = -EINVAL;
		}
		if (err)
			return err;
	}
	return 0;
}

/* "a=b,c,d=e\,f": a backslash takes the meaning from a comma or a backslash. */
static int apply_items(struct config *c, const char *items, const struct command_line *line,
		       const struct option_layer *layer, struct buf *error)
{
	struct buf item = BUF_INIT;
	int err = 0;

	while (*items && !err) {
		buf_reset(&item);
		for (; *items && *items != ','; items++) {
			if (*items == '\\' && (items[1] == ',' || items[1] == '\\'))
				items++;
			buf_addc(&item, *items);
		}
		items += *items == ',';
		if (!item.length)
			continue;
		if (line->sloppy && !option_find(item.data, strcspn(item.data, "=")) &&
		    mount_word_find(item.data, item.length) == MOUNT_WORD_UNKNOWN)
			continue;
		err = option_apply(c, item.data, item.length, layer, error);
	}
	buf_release(&item);
	return err;
}

/* ---- all together ---- */

static char *user_file(void)
{
	const char *directory = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	const struct passwd *user;

	if (directory && *directory == '/')
		return xasprintf("%s/pailfs/config", directory);
	/* mount(8) and systemd may start us without HOME. */
	if (!home || *home != '/') {
		user = getpwuid(getuid());
		home = user ? user->pw_dir : NULL;
	}
	return home ? xasprintf("%s/.config/pailfs/config", home) : NULL;
}

static bool given(const struct config *c, const char *name)
{
	return option_provenance(c, option_find(name, strlen(name)))->layer;
}

/* What one option leaves to others to say. */
static void derive(struct config *c)
{
	const uint64_t least = 64ull << 20, most = 2ull << 30;

	if (!c->memory)
		c->memory = MAX(least, MIN(most, memory_allowed("") / 8));
	if (!given(c, "file_mode"))
		c->file_mode = 0666 & ~c->umask;
	if (!given(c, "dir_mode"))
		c->dir_mode = 0777 & ~c->umask;
	if (!c->fsname)
		c->fsname = source_shown(c->source);
	if (!c->log)
		c->log = xstrdup(c->foreground ? "stderr" : "syslog");
	if (c->verbose && !given(c, "log_level")) {
		free(c->log_level);
		c->log_level = xstrdup("info");
	}
	c->store.retry_timeout_ns = c->retry_timeout_ns;
	c->store.read_only = c->read_only;
	c->store.reader_type = c->read_policy;
}

static int apply_layers(struct config *c, const struct command_line *line, struct buf *error)
{
	unsigned layer = 0;
	char *user = user_file();
	int err;

	err = config_read_file(c, SYSTEM_FILE, &layer, error);
	if (!err && user)
		err = config_read_file(c, user, &layer, error);
	free(user);
	for (size_t i = 0; i < line->item_count && !err; i++) {
		const struct option_layer argv_layer = {.number = layer + 1,
							.where = "command line"};

		err = apply_items(c, line->items[i], line, &argv_layer, error);
	}
	return err;
}

int config_parse(struct config *c, int argc, char **argv, struct buf *error)
{
	struct command_line line = {0};
	int err;

	err = read_arguments(c, &line, argc, argv, error);
	if (err || c->show_help || c->show_version)
		goto out;
	err = -EINVAL;
	if (!line.source || !line.mountpoint) {
		buf_addf(error,
			 "usage: pailfs SOURCE MOUNTPOINT [-o OPTION,...]; %s is missing "
			 "(pailfs --help says more)",
			 line.source ? "MOUNTPOINT" : "SOURCE");
		goto out;
	}
	err = source_check(line.source, error);
	if (err)
		goto out;
	c->source = xstrdup(line.source);
	c->mountpoint = xstrdup(line.mountpoint);
	c->fake = line.fake;
	err = apply_layers(c, &line, error);
	if (!err)
		derive(c);
out:
	free(line.items);
	return err;
}

void config_format(const struct config *c, struct buf *out)
{
	char *source = source_shown(c->source);

	buf_addf(out, "source = %s  # command line\nmountpoint = %s  # command line\n", source,
		 c->mountpoint);
	option_for_each(o)
	{
		const struct provenance *from = option_provenance(c, o);
		size_t i = 0;

		if ((o->flags & OPTION_HIDDEN) && !from->layer)
			continue;
		do {
			buf_addf(out, "%s = ", o->name);
			if (!option_format(c, o, i, out) && i) {
				buf_truncate(out, out->length - strlen(o->name) - 3);
				break;
			}
			buf_addf(out, "  # %s\n", from->where);
		} while (++i && (o->type == OPTION_URLS || o->type == OPTION_RULES));
	}
	free(source);
}

void config_list_unused(const struct config *c, struct buf *out)
{
	option_for_each(o) if ((o->flags & OPTION_UNUSED) && option_provenance(c, o)->layer)
		buf_addf(out, "%s%s", out->length ? ", " : "", o->name);
}
