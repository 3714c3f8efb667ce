/* value.c - values: from text into struct config, and back into text. */
#include "option.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/xalloc.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* The largest first: the first that divides a value is the one that shows it. */
static const struct unit size_units[] = {
	{"t", 1ull << 40}, {"g", 1ull << 30}, {"m", 1ull << 20}, {"k", 1ull << 10}, {"", 1}, {NULL},
};
static const struct unit time_units[] = {
	{"h", 3600 * NS_PER_SECOND}, {"m", 60 * NS_PER_SECOND}, {"s", NS_PER_SECOND},
	{"ms", NS_PER_MS},           {"", NS_PER_SECOND},       {NULL},
};

/* A century: what is added to it does not overflow. */
#define TIME_MAX (100ull * 365 * 24 * 3600 * NS_PER_SECOND)

static const struct unit count_units[] = {{"", 1}, {NULL}};

static int parse_digits(const char **s, uint64_t *out)
{
	uint64_t n = 0;

	if (!isdigit((unsigned char)**s))
		return -EINVAL;
	for (; isdigit((unsigned char)**s); ++*s)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(**s - '0'), &n))
			return -EINVAL;
	*out = n;
	return 0;
}

static int parse_number(const char *s, const struct unit *units, uint64_t *out)
{
	uint64_t n;

	if (parse_digits(&s, &n))
		return -EINVAL;
	for (const struct unit *u = units; u->name; u++)
		if (!strcasecmp(s, u->name))
			return __builtin_mul_overflow(n, u->factor, out) ? -EINVAL : 0;
	return -EINVAL;
}

static void format_number(uint64_t n, const struct unit *units, struct buf *out)
{
	const struct unit *u = units;

	while (*u->name && (!n || n % u->factor))
		u++;
	buf_addf(out, "%llu%s", (unsigned long long)(n / u->factor), u->name);
}

int config_parse_size(const char *s, uint64_t *bytes)
{
	return parse_number(s, size_units, bytes);
}

int config_parse_time(const char *s, uint64_t *ns)
{
	return parse_number(s, time_units, ns);
}

/* Which of `words` the n bytes of value are, or -1. */
static int word_index_n(const char *words, const char *value, size_t length)
{
	int i = 0;

	for (; *words; i++) {
		size_t n = strcspn(words, "|");

		if (length == n && !memcmp(words, value, n))
			return i;
		words += n;
		words += *words == '|';
	}
	return -1;
}

static int word_index(const char *words, const char *value)
{
	return word_index_n(words, value, strlen(value));
}

static int parse_flag(const char *value, bool *out)
{
	static const char yes[] = "yes|on|true|1", no[] = "no|off|false|0";

	if (!value || word_index(yes, value) >= 0)
		*out = true;
	else if (word_index(no, value) >= 0)
		*out = false;
	else
		return -EINVAL;
	return 0;
}

static int parse_user(const char *s, uid_t *out)
{
	uint64_t n;
	const char *end = s;
	const struct passwd *user;

	if (!parse_digits(&end, &n) && !*end) {
		if (n >= UINT32_MAX)
			return -EINVAL;
		*out = (uid_t)n;
		return 0;
	}
	user = getpwnam(s);
	if (!user)
		return -EINVAL;
	*out = user->pw_uid;
	return 0;
}

static int parse_group(const char *s, gid_t *out)
{
	uint64_t n;
	const char *end = s;
	const struct group *group;

	if (!parse_digits(&end, &n) && !*end) {
		if (n >= UINT32_MAX)
			return -EINVAL;
		*out = (gid_t)n;
		return 0;
	}
	group = getgrnam(s);
	if (!group)
		return -EINVAL;
	*out = group->gr_gid;
	return 0;
}

static int parse_mode(const char *s, mode_t *out)
{
	char *end;
	unsigned long n;

	if (*s < '0' || *s > '7')
		return -EINVAL;
	n = strtoul(s, &end, 8);
	if (*end || n > 07777)
		return -EINVAL;
	*out = (mode_t)n;
	return 0;
}

/* An absolute path, since the daemon leaves the directory it was started in. NULL: a file
 * named a relative one, which would mean something else in every directory. */
static char *absolute_path(const char *value, bool from_file)
{
	char *directory, *path;

	if (*value == '/')
		return xstrdup(value);
	if (value[0] == '~' && value[1] == '/' && getenv("HOME"))
		return xasprintf("%s%s", getenv("HOME"), value + 1);
	if (from_file)
		return NULL;
	directory = getcwd(NULL, 0);
	if (!directory)
		return NULL;
	path = xasprintf("%s/%s", strcmp(directory, "/") ? directory : "", value);
	free(directory);
	return path;
}

/* ---- lists ---- */

static int set_urls(char ***list, const char *value, bool replace)
{
	size_t count = 0;

	if (replace && *list) {
		for (char **s = *list; *s; s++)
			free(*s);
		free(*list);
		*list = NULL;
	}
	while (*list && (*list)[count])
		count++;
	return expand_endpoint(value, list, &count);
}

static void release_rules(struct config *c)
{
	for (size_t i = 0; i < c->rule_count; i++) {
		free(c->rules[i].glob);
		free(c->rules[i].policy);
	}
	free(c->rules);
	c->rules = NULL;
	c->rule_count = 0;
}

static int add_rule(struct config *c, const char *value, bool replace)
{
	const struct option *policy = option_find("read_policy", strlen("read_policy"));
	const char *colon = strrchr(value, ':');
	struct config_rule *rule;

	if (!colon || colon == value || word_index(policy->words, colon + 1) < 0)
		return -EINVAL;
	if (replace)
		release_rules(c);
	c->rules = xrealloc(c->rules, c->rule_count + 1, sizeof(*c->rules));
	rule = &c->rules[c->rule_count++];
	rule->glob = xstrndup(value, (size_t)(colon - value));
	rule->policy = xstrdup(colon + 1);
	return 0;
}

/* ---- one option ---- */

static void *field(const struct config *c, size_t offset)
{
	return (char *)(uintptr_t)c + offset;
}

/* What a value of this option looks like, for the line that refuses one. */
static const char *wanted(const struct option *o, const struct option_layer *layer)
{
	switch (o->type) {
	case OPTION_FLAG:
		return "say yes or no";
	case OPTION_COUNT:
		return "a number is wanted";
	case OPTION_SIZE:
		return "a size like 512k, 8m or 2g is wanted";
	case OPTION_TIME:
		return o->min ? "a time like 500ms, 10s or 1m is wanted, not 0"
			      : "a time like 500ms, 10s or 1m is wanted";
	case OPTION_MODE:
		return "octal permissions like 644 are wanted";
	case OPTION_USER:
		return "there is no such user";
	case OPTION_GROUP:
		return "there is no such group";
	case OPTION_PATH:
		return layer->file ? "a path here must be absolute or begin with ~/"
				   : "a path is wanted";
	case OPTION_URLS:
		return "an http:// or https:// URL without a user or password is wanted";
	case OPTION_RULES:
		return "GLOB:POLICY is wanted, with auto, sequential or ranged as the policy";
	case OPTION_WORD:
	case OPTION_TEXT:
		break;
	}
	return o->words ? o->words : "a value is wanted";
}

static int store_value(struct config *c, const struct option *o, const char *value,
		       const struct option_layer *layer, bool replace)
{
	void *at = field(c, o->offset);
	uint64_t n;
	char *path;
	int index;

	if (!value && o->type != OPTION_FLAG)
		return -EINVAL;
	switch (o->type) {
	case OPTION_FLAG:
		if (parse_flag(value, at))
			return -EINVAL;
		if (o->opposite && *(bool *)at)
			*(bool *)field(c, o->opposite) = false;
		return 0;
	case OPTION_COUNT:
		if (parse_digits(&value, &n) || *value || n < o->min || n > o->max)
			return -EINVAL;
		*(unsigned *)at = (unsigned)n;
		return 0;
	case OPTION_SIZE:
		if (o->initial && !strcmp(o->initial, "auto") && !strcmp(value, "auto"))
			n = o->automatic;
		else if (config_parse_size(value, &n) || (o->max && (n < o->min || n > o->max)))
			return -EINVAL;
		*(uint64_t *)at = n;
		return 0;
	case OPTION_TIME:
		if (config_parse_time(value, &n) || n < o->min || n > TIME_MAX)
			return -EINVAL;
		*(uint64_t *)at = n;
		return 0;
	case OPTION_MODE:
		return parse_mode(value, at);
	case OPTION_USER:
		return parse_user(value, at);
	case OPTION_GROUP:
		return parse_group(value, at);
	case OPTION_WORD:
		index = word_index(o->words, value);
		if (index < 0)
			return -EINVAL;
		if (o->width == sizeof(bool))
			*(bool *)at = index != 0;
		else
			*(unsigned *)at = (unsigned)index;
		return 0;
	case OPTION_TEXT:
		n = o->flags & OPTION_SUFFIX ? strcspn(value, ":") : strlen(value);
		if (!*value || (o->words && word_index_n(o->words, value, n) < 0))
			return -EINVAL;
		free(*(char **)at);
		*(char **)at = xstrdup(value);
		return 0;
	case OPTION_PATH:
		if (o->words && word_index(o->words, value) >= 0)
			path = xstrdup(value);
		else
			path = *value ? absolute_path(value, layer->file) : NULL;
		if (!path)
			return -EINVAL;
		free(*(char **)at);
		*(char **)at = path;
		return 0;
	case OPTION_URLS:
		return set_urls(at, value, replace);
	case OPTION_RULES:
		return add_rule(c, value, replace);
	}
	return -EINVAL;
}

int option_set(struct config *c, const struct option *o, const char *value,
	       const struct option_layer *layer, struct buf *error)
{
	struct provenance *from = option_provenance(c, o);
	bool replace = from->layer != layer->number;
	const char *what;
	int err;

	if ((o->flags & OPTION_REFUSED) && layer->number &&
	    (!o->initial || !value || strcmp(value, o->initial))) {
		buf_addf(error, "%s is not in this version of pailfs yet; leave it out", o->name);
		return -EINVAL;
	}
	err = store_value(c, o, value, layer, replace);
	if (err) {
		buf_adds(error, o->name);
		/* A URL that is refused may have a password in it. */
		if (value && !(o->type == OPTION_URLS && strchr(value, '@'))) {
			buf_addc(error, '=');
			buf_add_quoted(error, value, strlen(value), 100);
		}
		what = wanted(o, layer);
		buf_addf(error, ": %s%s", what == o->words ? "one of " : "", what);
		if (o->max) {
			const struct unit *units =
				o->type == OPTION_SIZE ? size_units : count_units;

			buf_adds(error, ", from ");
			format_number(o->min, units, error);
			buf_adds(error, " to ");
			format_number(o->max, units, error);
		}
		return err;
	}
	if (o->mark && layer->number)
		*(bool *)field(c, o->mark) = true;
	free(from->where);
	from->where = xstrdup(layer->where);
	from->layer = layer->number;
	return 0;
}

/* Words that somebody who looks for a place to put a key would write. */
static bool looks_secret(const char *name, size_t n)
{
	static const char *const parts[] = {"secret", "passw", "access_key", "token", "credential"};
	char word[32];

	if (n >= sizeof(word))
		return false;
	memcpy(word, name, n);
	word[n] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (strcasestr(word, parts[i]))
			return true;
	return false;
}

int option_apply(struct config *c, const char *item, size_t n, const struct option_layer *layer,
		 struct buf *error)
{
	const char *equals = memchr(item, '=', n), *near;
	size_t length = equals ? (size_t)(equals - item) : n;
	const struct option *o = option_find(item, length);
	char *value;
	int err;

	if (o) {
		value = equals ? xstrndup(equals + 1, n - length - 1) : NULL;
		err = option_set(c, o, value, layer, error);
		free(value);
		return err;
	}
	switch (mount_word_find(item, n)) {
	case MOUNT_WORD_PASSED:
		/* fuse_opt's own escapes, which are the ones -o has. */
		if (c->fuse_options.length)
			buf_addc(&c->fuse_options, ',');
		for (size_t i = 0; i < n; i++) {
			if (item[i] == ',' || item[i] == '\\')
				buf_addc(&c->fuse_options, '\\');
			buf_addc(&c->fuse_options, item[i]);
		}
		return 0;
	case MOUNT_WORD_DROPPED:
		return 0;
	case MOUNT_WORD_UNKNOWN:
		break;
	}
	buf_adds(error, "unknown option ");
	buf_add_quoted(error, item, length, 60);
	near = option_nearest(item, length);
	if (looks_secret(item, length))
		buf_adds(error,
			 ": keys never stand among the options; put them in the environment "
			 "(AWS_ACCESS_KEY_ID …) or in ~/.aws/credentials and name the profile "
			 "with -o profile=");
	else if (length == strlen("remount") && !memcmp(item, "remount", length))
		buf_adds(error, ": a mount's options cannot be changed; unmount and mount again");
	else if (near)
		buf_addf(error, "; did you mean %.*s?", (int)strcspn(near, "=*"), near);
	else
		buf_adds(error, "; see pailfs --help");
	return -EINVAL;
}

bool option_format(const struct config *c, const struct option *o, size_t index, struct buf *out)
{
	const void *at = field(c, o->offset);
	char *const *urls;
	const char *word, *text;
	unsigned n;

	if (o->type == OPTION_URLS) {
		urls = *(char *const *const *)at;
		for (size_t i = 0; urls && urls[i]; i++)
			if (i == index) {
				buf_adds(out, urls[i]);
				return true;
			}
		return false;
	}
	if (o->type == OPTION_RULES) {
		if (index >= c->rule_count)
			return false;
		buf_addf(out, "%s:%s", c->rules[index].glob, c->rules[index].policy);
		return true;
	}
	if (index)
		return false;
	switch (o->type) {
	case OPTION_FLAG:
		buf_adds(out, *(const bool *)at ? "yes" : "no");
		return true;
	case OPTION_COUNT:
		buf_addf(out, "%u", *(const unsigned *)at);
		return true;
	case OPTION_SIZE:
		if (o->initial && !strcmp(o->initial, "auto") &&
		    *(const uint64_t *)at == o->automatic)
			buf_adds(out, "auto");
		else
			format_number(*(const uint64_t *)at, size_units, out);
		return true;
	case OPTION_TIME:
		format_number(*(const uint64_t *)at, time_units, out);
		return true;
	case OPTION_MODE:
		buf_addf(out, "%03o", *(const mode_t *)at);
		return true;
	case OPTION_USER:
		buf_addf(out, "%lu", (unsigned long)*(const uid_t *)at);
		return true;
	case OPTION_GROUP:
		buf_addf(out, "%lu", (unsigned long)*(const gid_t *)at);
		return true;
	case OPTION_WORD:
		n = o->width == sizeof(bool) ? *(const bool *)at : *(const unsigned *)at;
		for (word = o->words; n; n--)
			word = strchr(word, '|') + 1;
		buf_add(out, word, strcspn(word, "|"));
		return true;
	case OPTION_TEXT:
	case OPTION_PATH:
		text = *(const char *const *)at;
		if (text)
			buf_adds(out, text);
		return text;
	case OPTION_URLS:
	case OPTION_RULES:
		break;
	}
	return false;
}

void option_release(struct config *c, const struct option *o)
{
	void *at = field(c, o->offset);

	switch (o->type) {
	case OPTION_TEXT:
	case OPTION_PATH:
		free(*(char **)at);
		*(char **)at = NULL;
		break;
	case OPTION_URLS:
		for (char **s = *(char ***)at; s && *s; s++)
			free(*s);
		free(*(char ***)at);
		*(char ***)at = NULL;
		break;
	case OPTION_RULES:
		release_rules(c);
		break;
	default:
		break;
	}
}
