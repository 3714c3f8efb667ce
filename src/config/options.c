/* options.c - the one table of options.
 *
 * argv, -o, the configuration files, --help, pailfs(1), completion and .pailfs/config all come
 * from it: adding an option is adding a row, and a field in struct config. */
#include "option.h"

#include <stdlib.h>
#include <string.h>
#include "pailfs-config.h"
#include "pailfs/base/xalloc.h"

/* offsetof, which does not compile when the field is not of this type. */
#define FIELD(type, field)                 \
	(offsetof(struct config, field) +  \
	 0 * sizeof((type *)NULL == &((struct config *)NULL)->field))

#define FLAG(f) .type = OPTION_FLAG, .offset = FIELD(bool, f)
#define COUNT(f, low, high, value)                                                            \
	.type = OPTION_COUNT, .offset = FIELD(unsigned, f), .min = low, .max = high, .initial = value, \
	.argument = "N"
#define SIZE(f, value) \
	.type = OPTION_SIZE, .offset = FIELD(uint64_t, f), .initial = value, .argument = "SIZE"
#define SIZE_OR_AUTO(f, number) SIZE(f, "auto"), .automatic = number
#define TIME(f, value) \
	.type = OPTION_TIME, .offset = FIELD(uint64_t, f), .initial = value, .argument = "TIME"
#define MODE(f) .type = OPTION_MODE, .offset = FIELD(mode_t, f), .argument = "OCTAL"
#define WORD(f, list, value)                                                                     \
	.type = OPTION_WORD, .offset = offsetof(struct config, f),                               \
	.width = sizeof(((struct config *)NULL)->f), .words = list, .initial = value, .argument = list
#define TEXT(f, what) .type = OPTION_TEXT, .offset = FIELD(char *, f), .argument = what
#define CONST_TEXT(f, what) .type = OPTION_TEXT, .offset = FIELD(const char *, f), .argument = what
#define PATH(f, what) .type = OPTION_PATH, .offset = FIELD(char *, f), .argument = what

static const struct option store_options[] = {
        {"endpoint", .type = OPTION_URLS, .offset = FIELD(char **, store.endpoints),
         .argument = "URL", .shown = "AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the profile's, the provider's",
         .help = "Where the store answers. Repeatable, and {1...8} expands; requests are balanced "
                 "over more than one."},
        {"region", CONST_TEXT(store.region, "NAME"), .shown = "AWS_REGION, the profile's, or learnt",
         .help = "The region that requests are signed for."},
        {"profile", CONST_TEXT(store.profile, "NAME"), .shown = "AWS_PROFILE, or default",
         .help = "The profile of the AWS files that gives keys, region and endpoint. Keys never "
                 "stand on a command line: they come from the environment or from these files."},
        {"no_sign", FLAG(store.no_sign), .help = "Send requests without a signature, as anybody."},
        {"addressing", WORD(store.addressing, "auto|path|virtual", "auto"),
         .help = "Whether a bucket's name stands in the path or in the host name of a request."},
        {"ca_file", PATH(ca_file, "FILE"), .shown = "AWS_CA_BUNDLE, then the system's",
         .help = "Certificates that a server's is checked against."},
        {"http_version", WORD(http2, "1.1|2", "1.1"),
         .help = "The version of HTTP. 2 on an http:// endpoint means prior knowledge."},
        {"manifest", PATH(manifest, "FILE"), .flags = OPTION_REFUSED, .shown = "off",
         .help = "Take names, sizes and ETags from a file, and list nothing."},
        {"connections", COUNT(connections, 1, 4096, "64"),
         .help = "Connections at most at once, all endpoints together."},
        {"connect_timeout", TIME(connect_timeout_ns, "5s"), .min = 1,
         .help = "How long a connection may take to be made."},
        {"stall_timeout", TIME(stall_timeout_ns, "10s"), .min = 1,
         .help = "How long a transfer may go without a byte before it is tried anew."},
        {"retry_timeout", TIME(retry_timeout_ns, "60s"), .min = 1,
         .help = "How long one operation is tried in all before it fails."},
};

static const struct option read_options[] = {
        {"read_policy", TEXT(read_policy, POLICY_WORDS), .words = POLICY_WORDS,
         .initial = POLICY_DEFAULT,
         .help = "What is fetched when a file is read: sequential keeps a growing window ahead of a "
                 "reader, ranged loads range_buffer bytes from where a read begins, and auto begins "
                 "with exactly what is asked for and grows a window when a reader has to wait."},
        {"policy_rule", .type = OPTION_RULES, .offset = FIELD(struct config_rule *, rules),
         .argument = "GLOB:POLICY", .shown = "none",
         .help = "The policy of files whose path matches. Repeatable; the first match wins, and a "
                 "file that none matches has read_policy."},
        {"range_buffer", SIZE(range_buffer, "8m"),
         .help = "What the ranged policy loads for a smaller read. 0 fetches exact ranges."},
        {"max_gap", SIZE_OR_AUTO(max_gap, UINT64_MAX),
         .help = "Ranges of one file that are wanted at once and at most this far apart become one "
                 "request. auto is what a round trip would have carried."},
        {"readahead", SIZE_OR_AUTO(readahead, 0), .min = 4096, .max = 1ull << 40,
         .help = "The largest window ahead of one reader."},
};

static const struct option memory_options[] = {
        {"memory", SIZE_OR_AUTO(memory, 0), .min = 8ull << 20, .max = 1ull << 40,
         .shown = "an eighth of what the cgroup allows, 64m to 2g",
         .help = "All data buffers together; a hard limit."},
        {"cache_dir", PATH(cache_dir, "DIRECTORY"), .flags = OPTION_UNUSED, .shown = "off",
         .help = "Keep what was read in this directory, over remounts."},
        {"cache_size", SIZE(cache_size, "20g"), .flags = OPTION_UNUSED,
         .help = "The most that cache_dir may hold."},
        {"metadata_ttl", TIME(metadata_ttl_ns, "10s"),
         .help = "How long a name, a size or a listing is believed without asking."},
        {"negative_ttl", TIME(negative_ttl_ns, "2s"),
         .help = "How long a name is believed to be absent without asking."},
};

static const struct option write_options[] = {
        {"ro", FLAG(read_only), .opposite = FIELD(bool, read_write),
         .help = "Mount read-only."},
        {"rw", FLAG(read_write), .opposite = FIELD(bool, read_only),
         .shown = "on; in this version buckets and web servers are always ro",
         .help = "Mount for reading and writing, where the source can be written."},
        {"writeback", FLAG(writeback),
         .help = "Let the kernel keep what is written to a local directory or memory and send it "
                 "later, gathered. Nobody else may write to that directory meanwhile, and what was "
                 "not synced is lost when pailfs is killed. Closing a file and unmounting send all "
                 "of it."},
        {"spool_dir", PATH(spool_dir, "DIRECTORY"), .flags = OPTION_UNUSED,
         .shown = "under the user's cache directory",
         .help = "Where writes to a bucket wait for their publish."},
        {"spool_size", SIZE(spool_size, "20g"), .flags = OPTION_UNUSED,
         .help = "The most that spool_dir may hold."},
        {"part_size", SIZE_OR_AUTO(part_size, 0), .min = 5ull << 20, .max = 5ull << 30,
         .flags = OPTION_UNUSED,
         .help = "The length of the parts of a multipart upload."},
        {"publish", WORD(publish_async, "close|async", "close"), .flags = OPTION_UNUSED,
         .help = "What close(2) waits for when a file in a bucket was written: the bucket, or the "
                 "spool."},
};

static const struct option face_options[] = {
        {"posix_meta", WORD(posix_meta, "ignore|store|refuse", "ignore"), .flags = OPTION_REFUSED,
         .help = "What chmod, chown, times and symbolic links do on a bucket: succeed without effect, "
                 "stay in the object's metadata, or fail with EPERM."},
        {"uid", .type = OPTION_USER, .offset = FIELD(uid_t, uid), .mark = FIELD(bool, uid_set),
         .argument = "USER", .shown = "the user's", .help = "Who owns the files of a bucket."},
        {"gid", .type = OPTION_GROUP, .offset = FIELD(gid_t, gid), .mark = FIELD(bool, gid_set),
         .argument = "GROUP", .shown = "the user's", .help = "The group of the files of a bucket."},
        {"umask", MODE(umask), .shown = "the user's",
         .help = "Permissions that files do not have."},
        {"file_mode", MODE(file_mode), .shown = "666 without umask",
         .help = "The permissions of the files of a bucket."},
        {"dir_mode", MODE(dir_mode), .shown = "777 without umask",
         .help = "The permissions of the directories of a bucket."},
};

static const struct option mount_options[] = {
        {"allow_other", FLAG(allow_other),
         .help = "Let other users use the mount. For anyone but root it needs user_allow_other in "
                 "/etc/fuse.conf."},
        {"default_permissions", FLAG(default_permissions),
         .help = "Let the kernel check permissions by owner and mode."},
        {"fsname", TEXT(fsname, "NAME"), .shown = "SOURCE",
         .help = "What the first column of mount(8) shows."},
        {"subtype", TEXT(subtype, "NAME"), .initial = "pailfs",
         .help = "The type that mount(8) shows, after \"fuse.\"."},
        {"threads", COUNT(threads, 1, 64, "4"), .help = "Threads that answer the kernel."},
};

static const struct option record_options[] = {
        {"log", PATH(log, "stderr|syslog|PATH"), .words = "stderr|syslog", .shown = "syslog; stderr with -f",
         .help = "Where log lines go."},
        {"log_level", TEXT(log_level, "LEVEL"), .initial = "warn", .flags = OPTION_SUFFIX,
         .words = "error|warn|info|debug",
         .help = "error, warn, info or debug; debug may name rooms, as in debug:net+read."},
        {"oplog", PATH(oplog, "FILE"), .shown = "off",
         .help = "Write a line for each operation on the store, in the columns that warp's tools "
                 "read; compressed when the name ends in .zst."},
        {"chaos", CONST_TEXT(store.chaos, "FAULTS"), .flags = OPTION_HIDDEN,
         .help = "Faults that a layer over the store brings about, for tests."},
};

const struct option_group option_groups[] = {
        {"Reaching the store", store_options, ARRAY_SIZE(store_options)},
        {"Reading", read_options, ARRAY_SIZE(read_options)},
        {"Memory and caches", memory_options, ARRAY_SIZE(memory_options)},
        {"Writing", write_options, ARRAY_SIZE(write_options)},
        {"Files as they show", face_options, ARRAY_SIZE(face_options)},
        {"The mount", mount_options, ARRAY_SIZE(mount_options)},
        {"Records", record_options, ARRAY_SIZE(record_options)},
};
const size_t option_group_count = ARRAY_SIZE(option_groups);

/* What mount(8) and libfuse know. The first kind is the kernel's or libfuse's to act on; the
 * second is for mount(8) itself, systemd or fstab's reader, and ends here as it does there. A
 * '=' at the end stands for a value, a '*' for anything. */
static const struct {
	const char *word;
	enum mount_word kind;
} mount_words[] = {
        {"suid", MOUNT_WORD_PASSED},       {"nosuid", MOUNT_WORD_PASSED},
        {"dev", MOUNT_WORD_PASSED},        {"nodev", MOUNT_WORD_PASSED},
        {"exec", MOUNT_WORD_PASSED},       {"noexec", MOUNT_WORD_PASSED},
        {"sync", MOUNT_WORD_PASSED},       {"async", MOUNT_WORD_PASSED},
        {"dirsync", MOUNT_WORD_PASSED},    {"atime", MOUNT_WORD_PASSED},
        {"noatime", MOUNT_WORD_PASSED},    {"nodiratime", MOUNT_WORD_PASSED},
        {"auto_unmount", MOUNT_WORD_PASSED}, {"context=", MOUNT_WORD_PASSED},
        {"fscontext=", MOUNT_WORD_PASSED}, {"defcontext=", MOUNT_WORD_PASSED},
        {"rootcontext=", MOUNT_WORD_PASSED},
        {"defaults", MOUNT_WORD_DROPPED},  {"auto", MOUNT_WORD_DROPPED},
        {"noauto", MOUNT_WORD_DROPPED},    {"user", MOUNT_WORD_DROPPED},
        {"user=", MOUNT_WORD_DROPPED},     {"nouser", MOUNT_WORD_DROPPED},
        {"users", MOUNT_WORD_DROPPED},     {"owner", MOUNT_WORD_DROPPED},
        {"group", MOUNT_WORD_DROPPED},     {"nofail", MOUNT_WORD_DROPPED},
        {"_netdev", MOUNT_WORD_DROPPED},   {"comment=", MOUNT_WORD_DROPPED},
        {"uhelper=", MOUNT_WORD_DROPPED},  {"helper=", MOUNT_WORD_DROPPED},
        {"x-*", MOUNT_WORD_DROPPED},       {"X-*", MOUNT_WORD_DROPPED},
        {"relatime", MOUNT_WORD_DROPPED},  {"norelatime", MOUNT_WORD_DROPPED},
        {"strictatime", MOUNT_WORD_DROPPED}, {"nostrictatime", MOUNT_WORD_DROPPED},
        {"lazytime", MOUNT_WORD_DROPPED},  {"nolazytime", MOUNT_WORD_DROPPED},
        {"diratime", MOUNT_WORD_DROPPED},  {"iversion", MOUNT_WORD_DROPPED},
        {"noiversion", MOUNT_WORD_DROPPED}, {"silent", MOUNT_WORD_DROPPED},
        {"loud", MOUNT_WORD_DROPPED},
};

const struct option *option_find(const char *name, size_t n)
{
	option_for_each(o)
		if (strlen(o->name) == n && !memcmp(o->name, name, n))
			return o;
	return NULL;
}

size_t option_total(void)
{
	size_t total = 0;

	for (size_t i = 0; i < option_group_count; i++)
		total += option_groups[i].count;
	return total;
}

struct provenance *option_provenance(const struct config *c, const struct option *o)
{
	struct provenance *p = c->provenance;

	for (size_t i = 0; i < option_group_count; i++) {
		const struct option_group *g = &option_groups[i];

		if (o >= g->options && o < g->options + g->count)
			return p + (o - g->options);
		p += g->count;
	}
	abort();
}

enum mount_word mount_word_find(const char *word, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(mount_words); i++) {
		const char *known = mount_words[i].word;
		size_t length = strlen(known);
		bool open = known[length - 1] == '=' || known[length - 1] == '*';
		size_t fixed = known[length - 1] == '*' ? length - 1 : length;

		if (open ? n >= fixed && !memcmp(word, known, fixed)
		         : n == length && !memcmp(word, known, n))
			return mount_words[i].kind;
	}
	return MOUNT_WORD_UNKNOWN;
}

/* Changes that turn one word into the other: inserted, lost, replaced and swapped bytes. */
static unsigned edit_distance(const char *a, size_t n, const char *b, size_t m)
{
	unsigned rows[3][32];
	unsigned *before = rows[0], *last = rows[1], *now = rows[2];

	if (n >= ARRAY_SIZE(rows[0]) || m >= ARRAY_SIZE(rows[0]))
		return UINT32_MAX;
	for (size_t j = 0; j <= m; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *free_row = before;

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);

			best = MIN(best, last[j] + 1);
			best = MIN(best, now[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = MIN(best, before[j - 2] + 1);
			now[j] = best;
		}
		before = last;
		last = now;
		now = free_row;
	}
	return last[m];
}

const char *option_nearest(const char *name, size_t n)
{
	/* A third of the word may be wrong; a word that is further off is another word. */
	unsigned nearest = (unsigned)n / 3 + 2;
	const char *found = NULL;

	option_for_each(o) {
		unsigned d = edit_distance(name, n, o->name, strlen(o->name));

		if (!(o->flags & OPTION_HIDDEN) && d < nearest) {
			nearest = d;
			found = o->name;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(mount_words); i++) {
		const char *word = mount_words[i].word;
		unsigned d = edit_distance(name, n, word, strcspn(word, "=*"));

		if (d < nearest) {
			nearest = d;
			found = word;
		}
	}
	return found;
}
