/* option.h - the table of options and what a row says; private to the config room.
 *
 * A row is all that the program knows of an option. Reading a value, showing it, --help, the
 * manual page and completion work on rows and never on an option's name. */
#ifndef PAILFS_CONFIG_OPTION_H
#define PAILFS_CONFIG_OPTION_H

#include "pailfs/config.h"

enum option_type {
	OPTION_FLAG,  /* bool; no argument, or yes and no */
	OPTION_COUNT, /* unsigned, min to max */
	OPTION_SIZE,  /* uint64_t, bytes */
	OPTION_TIME,  /* uint64_t, nanoseconds */
	OPTION_MODE,  /* mode_t, octal */
	OPTION_USER,  /* uid_t, a number or a name */
	OPTION_GROUP, /* gid_t, likewise */
	OPTION_WORD,  /* an enum or a bool: the index of the value in `words` */
	OPTION_TEXT,  /* char *; one of `words` where there are some */
	OPTION_PATH,  /* char *; one of `words` where there are some, or made absolute */
	OPTION_URLS,  /* char **, NULL-terminated; repeatable, {1...8} expanded */
	OPTION_RULES, /* config.rules and rule_count; repeatable */
};

enum option_flags {
	OPTION_HIDDEN = 1 << 0,  /* for tests: not in --help, the manual or completion */
	OPTION_UNUSED = 1 << 1,  /* read and shown, but without effect in this version */
	OPTION_REFUSED = 1 << 2, /* not in this version: a value but the default's is an error */
	OPTION_SUFFIX = 1 << 3,  /* a colon and more may follow one of `words` */
};

struct option {
	const char *name;
	enum option_type type;
	unsigned flags;
	size_t offset;       /* of the value in struct config */
	size_t width;        /* of the value, where the type leaves that open (OPTION_WORD) */
	size_t mark;         /* of a bool that says the user gave it; 0: none */
	size_t opposite;     /* OPTION_FLAG: of the bool that this one clears; 0: none */
	const char *words;   /* separated by '|' */
	uint64_t min, max;   /* OPTION_COUNT; OPTION_SIZE where max is not 0 */
	uint64_t automatic;  /* OPTION_SIZE: what "auto" stands for, where it is the default */
	const char *initial; /* the default, read like a user's value; NULL: unset */
	const char *shown;   /* the default in words, where that says more */
	const char *argument;
	const char *help; /* sentences */
};

struct option_group {
	const char *title;
	const struct option *options;
	size_t count;
};

extern const struct option_group option_groups[];
extern const size_t option_group_count;

/* The order of the table: groups, and the rows of each. */
#define option_for_each(o)                                                                         \
	for (const struct option_group *g_ = option_groups;                                        \
	     g_ < option_groups + option_group_count; g_++)                                        \
		for (const struct option *o = g_->options; o < g_->options + g_->count; o++)

/* NULL when there is none of that name (n bytes). */
const struct option *option_find(const char *name, size_t n);

/* Words that mount(8) and libfuse know beside ours. */
enum mount_word { MOUNT_WORD_UNKNOWN, MOUNT_WORD_PASSED, MOUNT_WORD_DROPPED };
/* What happens with `word` or `word=value` (n bytes in all). */
enum mount_word mount_word_find(const char *word, size_t n);

/* The option or mount word that is nearest to a misspelt one, or NULL when none is near. */
const char *option_nearest(const char *name, size_t n);

/* Where a value came from, and which list values it replaces: those of another layer (a
 * file's section, or the command line). */
struct option_layer {
	unsigned number;   /* grows; 0: defaults */
	const char *where; /* "command line", "/etc/pailfs.conf:12" */
	bool file;         /* paths must be absolute or begin with ~/ */
};

/* Reads a value; NULL for a bare flag. Returns 0, or -EINVAL with a line in `error`. */
int option_set(struct config *c, const struct option *o, const char *value,
	       const struct option_layer *layer, struct buf *error);
/* `name=value` or `name`, n bytes: an option or a word of mount(8). */
int option_apply(struct config *c, const char *item, size_t n, const struct option_layer *layer,
		 struct buf *error);
/* Adds the value as a user would write it; `index` counts a repeatable option's values.
 * Returns false when there is no such value. */
bool option_format(const struct config *c, const struct option *o, size_t index, struct buf *out);
void option_release(struct config *c, const struct option *o);

/* Where the value of an option came from: one entry an option, in the table's order. */
struct provenance {
	char *where;
	unsigned layer;
};
struct provenance *option_provenance(const struct config *c, const struct option *o);
size_t option_total(void);

/* Reads one configuration file; a missing one is no error. *layer is the last layer's number
 * and grows. */
int config_read_file(struct config *c, const char *path, unsigned *layer, struct buf *error);

/* Whether SOURCE names a store; -EINVAL with a line in `error`. */
int source_check(const char *source, struct buf *error);
/* SOURCE as mount(8), ps and .pailfs/config may show it; the caller frees it. */
char *source_shown(const char *source);

/* What the cgroup and the machine allow this process, in bytes. `root` stands before /proc
 * and /sys, for tests; "" otherwise. */
uint64_t memory_allowed(const char *root);

/* Expands each {1...8} in an endpoint; adds to a NULL-terminated list of *count strings.
 * Returns 0 or -EINVAL. */
int expand_endpoint(const char *pattern, char ***list, size_t *count);

#endif
