/* credentials.h - where AWS credentials and settings come from.
 *
 * The links of the chain, in order: the environment, then the AWS files (~/.aws/credentials
 * and ~/.aws/config, or what AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE name). A profile
 * that is asked for by option skips the environment's keys, as the AWS tools do; one that
 * AWS_PROFILE names does not. Nothing is kept between calls: reading again is how rotated keys
 * are found. The functions read files and may block; any thread. */
#ifndef PAILFS_STORE_CREDENTIALS_H
#define PAILFS_STORE_CREDENTIALS_H

#include <stddef.h>
#include <stdint.h>
#include "pailfs/base/buf.h"
#include "src/store/dialect.h"

/* Walks the chain; `profile` is the option's or NULL. Returns 0, or -EACCES with a sentence
 * that says where was looked, what is wrong there and what to do; never a secret. */
int credentials_read(const char *profile, struct dialect_credentials **out, struct buf *error);

/* A number that changes when the files do (another inode, size or time), and never 0; 0 when
 * the keys are the environment's, which stay as they are. */
uint64_t credentials_stamp(const char *profile);

/* What the environment and the profile say beside the keys. */
struct credentials_settings {
	char *region;       /* NULL: not told */
	char *endpoint_url; /* for S3; NULL: not told */
};

/* Missing files tell nothing; a profile that was asked for by option and is in no file is
 * -ENOENT with a sentence. Release in any case. */
int credentials_read_settings(const char *profile, struct credentials_settings *out,
                              struct buf *error);
void credentials_settings_release(struct credentials_settings *s);

/* ---- the files' grammar, a pure function ---- */

enum aws_file { AWS_FILE_CREDENTIALS, AWS_FILE_CONFIG, AWS_FILES };

/* Calls `setting` for each "name = value" of the sections that speak of profiles or services:
 * section is a profile's name, or "services NAME"; name is in lower case; a setting nested
 * below another is "s3.endpoint_url". All are terminated and gone after the call. Lines that
 * cannot be understood are skipped, as the AWS tools do. `text` is changed and wiped by the
 * caller. */
typedef void aws_setting_fn(void *context, const char *section, const char *name,
                            const char *value);
void aws_file_parse(char *text, size_t n, enum aws_file kind, aws_setting_fn *setting,
                    void *context);

#endif
