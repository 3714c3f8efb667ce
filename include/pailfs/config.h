/* config.h - what the user asked for: one table of options gives argv, -o, the configuration
 * files, --help, the manual page, shell completion and .pailfs/config.
 *
 * Order: /etc/pailfs.conf, ~/.config/pailfs/config, argv; the last wins. */
#ifndef PAILFS_CONFIG_H
#define PAILFS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "pailfs/base/buf.h"
#include "pailfs/store.h"

/* One `policy_rule=GLOB:POLICY`. */
struct config_rule {
	char *glob, *policy;
};

struct config {
	char *source, *mountpoint;
	bool foreground, verbose, debug_fuse;
	bool show_help, show_version;
	bool fake; /* mount(8)'s -f: check all, mount nothing */

	struct store_options store; /* endpoints, region, profile … as store.h has them */
	char *ca_file, *manifest;
	bool http2;
	unsigned connections, threads;
	uint64_t connect_timeout_ns, stall_timeout_ns, retry_timeout_ns;
	bool read_only, read_write; /* asked for explicitly */
	bool writeback;
	char *read_policy;
	struct config_rule *rules;
	size_t rule_count;
	uint64_t range_buffer, max_gap; /* bytes; UINT64_MAX: auto */
	uint64_t readahead, memory;     /* bytes; 0: auto */
	char *cache_dir, *spool_dir;
	uint64_t cache_size, spool_size, part_size;
	uint64_t metadata_ttl_ns, negative_ttl_ns;
	bool publish_async;
	enum { POSIX_META_IGNORE, POSIX_META_STORE, POSIX_META_REFUSE } posix_meta;
	uid_t uid;
	gid_t gid;
	mode_t umask, file_mode, dir_mode;
	bool uid_set, gid_set;
	bool allow_other, default_permissions;
	char *fsname, *subtype;
	char *log, *log_level, *oplog;
	struct buf fuse_options;        /* comma separated: what libfuse or mount(8) know */

	void *provenance;               /* private: where each value came from */
};

void config_init(struct config *c);
void config_release(struct config *c);

/* Reads the configuration files, then argv. Returns 0, or -EINVAL with one line in `error`
 * that names what was wrong and, for a misspelt option, the nearest one. Checks that the
 * values fit together; asks nothing of the network. */
int config_parse(struct config *c, int argc, char **argv, struct buf *error);

/* --help's text; the options part of pailfs(1) as mdoc; bash completion. */
void config_format_help(struct buf *out);
void config_format_manual(struct buf *out);
void config_format_completion(struct buf *out);
/* Every option with its value and where it came from, a line each; no secret. */
void config_format(const struct config *c, struct buf *out);

/* Adds the names of options that the user gave and that have no effect in this version, with
 * commas between. */
void config_list_unused(const struct config *c, struct buf *out);

/* Parse "8m", "10s"; return 0 or -EINVAL. Sizes take k m g t (1024), times ms s m h. */
int config_parse_size(const char *s, uint64_t *bytes);
int config_parse_time(const char *s, uint64_t *ns);

#endif
