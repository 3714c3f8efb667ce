/* http_dialect.h - what the two dialects of plain web servers, file and folder, share. */
#ifndef PAILFS_STORE_HTTP_DIALECT_H
#define PAILFS_STORE_HTTP_DIALECT_H

#include "src/store/dialect.h"
#include "src/store/url.h"

/* Splits a source that is a URL and refuses what must not stand in one. Returns 0 or -EINVAL
 * with a sentence. */
int http_check_source(const struct store_config *config, struct url *out, struct buf *error);
/* Adds the headers of a ranged GET: the range and the version. */
void http_add_range(struct dialect_request *r, const struct dialect_call *call);
/* As in struct dialect. */
void http_header(const void *config, struct dialect_answer *a, const char *name, const char *value,
                 size_t n);

#endif
