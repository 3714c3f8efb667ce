/* s3_xml.h - the documents that S3 sends: listings and errors.
 *
 * Pure functions of a whole body, within xml.h's limits; a listing may hold 10,000 entries.
 * What comes out is bytes, checked for nothing but what is
 * said below; region and endpoint are to be validated before they are used. */
#ifndef PAILFS_STORE_S3_XML_H
#define PAILFS_STORE_S3_XML_H

#include <stddef.h>
#include "src/store/list_page.h"

#define S3_XML_MAX_ENTRIES 10000

/* Reads a ListObjectsV2 result into an initialised page: keys decoded when the server says
 * that it encoded them, ETags always quoted, LastModified in ns, a continuation when the
 * result is truncated. Keys that cannot be delivered (a NUL, longer than the limit, missing, not
 * below `prefix`, which was asked for) are counted. Returns 0, or -EBADMSG for anything but one whole ListBucketResult: damaged,
 * cut off, an <Error> with status 200, truncated without a token; `page` is then half filled
 * and only to be released. */
int s3_xml_parse_list(const char *body, size_t n, const char *prefix, struct list_page *page);

/* Texts are cut where they do not fit; "" what was not there. */
struct s3_error {
	char code[64];
	char message[200];
	char region[40];     /* the bucket's, of AuthorizationHeaderMalformed and redirects */
	char endpoint[256];  /* the host to use, of PermanentRedirect */
	char request_id[96];
};

/* Reads an <Error>. Returns 0, or -EBADMSG when it is none or is damaged; what stood before
 * the damage is filled in all the same, because the body may have been cut on purpose. */
int s3_xml_parse_error(const char *body, size_t n, struct s3_error *error);

#endif
