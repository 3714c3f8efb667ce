/* s3.h - what the files of the S3 dialect share; private to it.
 *
 * s3.c         requests, signing, answers; the vtable
 * s3_config.c  the source, the options, endpoints and addressing
 * s3_error.c   what an error answer means, and the sentence for it
 * s3_xml.c     documents; sigv4.c signatures; credentials.c the chain */
#ifndef PAILFS_STORE_S3_H
#define PAILFS_STORE_S3_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include "pailfs/base/buf.h"
#include "pailfs/store.h"
#include "src/store/dialect.h"
#include "src/store/sigv4.h"

#define S3_DEFAULT_REGION "us-east-1"

/* The part of a configuration that operations may change; no result but the one that the
 * comment names depends on it. */
struct s3_memory {
	struct sigv4_cache keys;
	/* The credentials may read objects but not versions of objects, which S3 counts as
	 * another permission: requests go by ETag alone. */
	atomic_bool no_versions;
};

struct s3_config {
	char *display;         /* "s3://bucket/prefix" */
	char *bucket;
	char *profile;         /* the option's; NULL: the environment's, or the default one */
	char **endpoints;      /* without a slash at the end; NULL: AWS's own, by region */
	size_t endpoint_count; /* of `endpoints` */
	bool virtual_host;     /* the bucket goes into the host's name */
	bool no_sign;
	struct s3_memory *memory;
};

/* ---- s3_config.c ---- */

/* As dialect.h has them. */
int s3_configure(const struct store_config *config, struct dialect_source *out, struct buf *error);
void s3_release(void *config);
void s3_endpoint(const void *config, size_t index, const char *region, struct buf *url);
bool s3_trusts(const void *config, const char *url);

/* Adds the URL of the bucket on an endpoint, with the slash behind it. */
void s3_add_bucket_url(const struct s3_config *c, const char *endpoint, struct buf *url);
/* Letters, digits, '-' and '_', at most 39: what may become part of a host's name. */
bool s3_region_is_valid(const char *region);
/* The region that a host of AWS speaks of ("data.s3.eu-west-1.amazonaws.com", also with "s3-");
 * false when it names none. */
bool s3_region_of_host(const char *host, size_t n, char region[40]);

/* ---- s3_error.c ---- */

enum dialect_verdict s3_classify(const void *config, const struct dialect_call *call,
                                 struct dialect_answer *a, const char *body, size_t n);
void s3_explain(const void *config, const struct dialect_call *call,
                const struct dialect_session *session, const struct dialect_answer *a,
                enum dialect_verdict verdict, struct buf *out);

#endif
