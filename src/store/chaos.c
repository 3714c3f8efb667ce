/* chaos.c - the plan of what goes wrong: its text, its counts and its dice.
 *
 * A rule counts the operations that it speaks of, whether it then applies or not, and each
 * share rolls the dice for each of them. So a rule's decisions depend on the operations
 * alone and not on what other rules did, and a test can say "the third write". */
#include "src/store/chaos.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/lock.h"
#include "pailfs/base/xalloc.h"

#define OF_BUCKETS (1u << CHAOS_BUCKET)
#define OF_TREES (1u << CHAOS_TREE)

static const struct {
	const char *name;
	unsigned families;
} operations[CHAOS_OPERATIONS] = {
	[CHAOS_PROBE] = {"probe", OF_BUCKETS},
	[CHAOS_LIST] = {"list", OF_BUCKETS},
	[CHAOS_GET] = {"get", OF_BUCKETS},
	[CHAOS_LOOKUP] = {"lookup", OF_BUCKETS | OF_TREES},
	[CHAOS_CREATE] = {"create", OF_TREES},
	[CHAOS_MAKE] = {"make", OF_TREES},
	[CHAOS_LINK] = {"link", OF_TREES},
	[CHAOS_UNLINK] = {"unlink", OF_TREES},
	[CHAOS_RENAME] = {"rename", OF_TREES},
	[CHAOS_PUT] = {"put", OF_TREES},
	[CHAOS_GETATTR] = {"getattr", OF_TREES},
	[CHAOS_SETATTR] = {"setattr", OF_TREES},
	[CHAOS_TRUNCATE] = {"truncate", OF_TREES},
	[CHAOS_READLINK] = {"readlink", OF_TREES},
	[CHAOS_XATTR] = {"xattr", OF_TREES},
	[CHAOS_STATFS] = {"statfs", OF_TREES},
	[CHAOS_OPEN] = {"open", OF_TREES},
	[CHAOS_FLUSH] = {"flush", OF_TREES},
	[CHAOS_READ] = {"read", OF_TREES},
	[CHAOS_WRITE] = {"write", OF_TREES},
	[CHAOS_SET_RANGE] = {"set_range", OF_TREES},
	[CHAOS_FSYNC] = {"fsync", OF_TREES},
	[CHAOS_FALLOCATE] = {"fallocate", OF_TREES},
	[CHAOS_SEEK] = {"seek", OF_TREES},
	[CHAOS_COPY] = {"copy", OF_TREES},
	[CHAOS_OPENDIR] = {"opendir", OF_TREES},
	[CHAOS_READDIR] = {"readdir", OF_TREES},
	[CHAOS_FSYNCDIR] = {"fsyncdir", OF_TREES},
};

/* What takes space in a tree. */
#define WRITING                                                                                    \
	(1u << CHAOS_PUT | 1u << CHAOS_WRITE | 1u << CHAOS_SET_RANGE | 1u << CHAOS_FALLOCATE |     \
	 1u << CHAOS_COPY)

/* ---- the text; each function takes what it knows off the front of *s ---- */

static bool take(const char **s, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(*s, word, n) != 0)
		return false;
	*s += n;
	return true;
}

/* A word up to the next ':' or the end. */
static bool take_word(const char **s, const char *word)
{
	size_t n = strcspn(*s, ":");

	if (strlen(word) != n || strncmp(*s, word, n) != 0)
		return false;
	*s += n;
	return true;
}

static int take_number(const char **s, uint64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)**s))
		return -EINVAL;
	errno = 0;
	*out = strtoull(*s, &end, 10);
	*s = end;
	return -errno;
}

static int take_delay(const char **s, uint64_t *ns)
{
	uint64_t n;

	if (take_number(s, &n) || n > 1000000)
		return -EINVAL;
	if (take(s, "us"))
		*ns = n * 1000;
	else if (take(s, "ms"))
		*ns = n * NS_PER_MS;
	else if (take(s, "s"))
		*ns = n * NS_PER_SECOND;
	else
		return -EINVAL;
	return 0;
}

static int take_size(const char **s, uint64_t *bytes)
{
	unsigned shift;

	if (take_number(s, bytes))
		return -EINVAL;
	shift = take(s, "k") ? 10 : take(s, "m") ? 20 : take(s, "g") ? 30 : 0;
	if (*bytes > UINT64_MAX >> shift)
		return -EINVAL;
	*bytes <<= shift;
	return 0;
}

static int take_when(const char **s, struct chaos_rule *rule)
{
	char *end;

	if (take(s, "@")) {
		if (take_number(s, &rule->first) || !rule->first)
			return -EINVAL;
		rule->last = take(s, "+") ? UINT64_MAX : rule->first;
		return 0;
	}
	if (!isdigit((unsigned char)**s))
		return -EINVAL;
	rule->share = strtod(*s, &end) / 100;
	*s = end;
	return take(s, "%") && rule->share <= 1 ? 0 : -EINVAL;
}

static int take_error(const char **s, int *error)
{
	static const struct {
		const char *name;
		int error;
	} names[] = {
		{"EIO", EIO},       {"EACCES", EACCES},
		{"ENOENT", ENOENT}, {"ESTALE", ESTALE},
		{"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT},
		{"EROFS", EROFS},   {"EMFILE", EMFILE},
		{"ENOMEM", ENOMEM}, {"ETIMEDOUT", ETIMEDOUT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (take_word(s, names[i].name)) {
			*error = -names[i].error;
			return 0;
		}
	return -EINVAL;
}

static int take_operations(const char **s, enum chaos_family family, uint32_t *bits)
{
	while (take(s, ":")) {
		size_t i = 0;

		while (i < CHAOS_OPERATIONS &&
		       !(operations[i].families & 1u << family && take_word(s, operations[i].name)))
			i++;
		if (i == CHAOS_OPERATIONS)
			return -EINVAL;
		*bits |= 1u << i;
	}
	if (!*bits)
		*bits = UINT32_MAX;
	return 0;
}

static int take_rule(const char **s, enum chaos_effect effect, enum chaos_family family,
                     struct chaos_plan *p)
{
	struct chaos_rule rule = {.effect = effect};
	int r = p->rule_count < CHAOS_RULES_MAX ? take_when(s, &rule) : -EINVAL;

	if (!r && effect == CHAOS_ERROR)
		r = take(s, ":") ? take_error(s, &rule.error) : -EINVAL;
	if (!r)
		r = take_operations(s, family, &rule.operations);
	if (!r)
		p->rules[p->rule_count++] = rule;
	return r;
}

static int parse_item(const char *s, enum chaos_family family, struct chaos_plan *p)
{
	int r = -EINVAL;

	if (take(&s, "delay="))
		r = take_delay(&s, &p->delay_ns);
	else if (take(&s, "seed="))
		r = take_number(&s, &p->seed);
	else if (take(&s, "error="))
		r = take_rule(&s, CHAOS_ERROR, family, p);
	else if (take(&s, "short="))
		r = take_rule(&s, CHAOS_SHORT, family, p);
	else if (family == CHAOS_BUCKET && take(&s, "hang="))
		r = take_rule(&s, CHAOS_HANG, family, p);
	else if (family == CHAOS_TREE && take(&s, "space="))
		r = take_size(&s, &p->space);
	return r || !*s ? r : -EINVAL;
}

int chaos_plan_init(struct chaos_plan *p, const char *spec, enum chaos_family family,
                    struct buf *error)
{
	char *copy = xstrdup(spec), *rest = copy, *item;
	int r = 0;

	*p = (struct chaos_plan){.seed = 1, .space = UINT64_MAX};
	while (!r && (item = strsep(&rest, ",")) != NULL) {
		r = parse_item(item, family, p);
		if (r)
			buf_addf(error,
			         "chaos: %s is none of delay=30ms, error=5%%:EIO, "
			         "error=@3+:EIO:%s, short=1%%, %s, seed=7",
			         item, family == CHAOS_TREE ? "write" : "get",
			         family == CHAOS_TREE ? "space=64k" : "hang=1%");
	}
	free(copy);
	p->dice = p->seed * 0x9e3779b97f4a7c15ull | 1;
	if (!r)
		pthread_mutex_init(&p->lock, NULL);
	return r;
}

void chaos_plan_release(struct chaos_plan *p)
{
	pthread_mutex_destroy(&p->lock);
}

/* ---- decisions, with the lock held ---- */

/* xorshift64*: enough for faults. */
static uint64_t roll(struct chaos_plan *p)
{
	p->dice ^= p->dice >> 12;
	p->dice ^= p->dice << 25;
	p->dice ^= p->dice >> 27;
	return p->dice * 0x2545f4914f6cdd1dull;
}

static bool applies(struct chaos_plan *p, struct chaos_rule *rule)
{
	rule->seen++;
	if (rule->first)
		return rule->seen >= rule->first && rule->seen <= rule->last;
	return (double)(roll(p) >> 11) / (double)(1ull << 53) < rule->share;
}

static void carry_out(struct chaos_plan *p, const struct chaos_rule *rule, size_t whole,
                      struct chaos_fate *fate)
{
	switch (rule->effect) {
	case CHAOS_ERROR:
		*fate = (struct chaos_fate){.delay_ns = fate->delay_ns, .error = rule->error};
		break;
	case CHAOS_SHORT:
		if (whole < 2)
			break;
		fate->length = 1 + (size_t)(roll(p) % (whole - 1));
		fate->error = -EIO;
		break;
	case CHAOS_HANG:
		fate->hang = true;
		break;
	}
}

/* Takes what is to be written off the space that is left. */
static void take_space(struct chaos_plan *p, struct chaos_fate *fate)
{
	if (fate->length > p->space) {
		fate->length = (size_t)p->space;
		fate->error = -ENOSPC;
	}
	p->space -= fate->length;
}

struct chaos_fate chaos_decide(struct chaos_plan *p, enum chaos_operation operation, size_t length)
{
	struct chaos_fate fate = {.delay_ns = p->delay_ns, .length = length};
	uint32_t bit = 1u << operation;

	scoped_lock(&p->lock);
	for (size_t i = 0; i < p->rule_count; i++)
		if ((p->rules[i].operations & bit) && applies(p, &p->rules[i]) && !fate.error &&
		    !fate.hang)
			carry_out(p, &p->rules[i], length, &fate);
	if ((bit & WRITING) && p->space != UINT64_MAX)
		take_space(p, &fate);
	return fate;
}
