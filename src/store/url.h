/* url.h - the parts of an absolute http(s) URL, and RFC 3986's references. Pure. */
#ifndef PAILFS_STORE_URL_H
#define PAILFS_STORE_URL_H

#include <stdbool.h>
#include <stddef.h>
#include "pailfs/base/buf.h"

/* Slices of the string that was split; not NUL-terminated. */
struct url_part {
	const char *s;
	size_t n;
};

struct url {
	struct url_part scheme;   /* "http" or "https", as written */
	struct url_part userinfo; /* empty without one; may be a secret */
	struct url_part host;     /* brackets of an IPv6 address included */
	struct url_part port;     /* digits; empty: the scheme's */
	struct url_part path;     /* begins with '/', or empty */
	struct url_part query;    /* without '?'; may hold secrets (presigned URLs) */
	bool secure;              /* https */
	bool has_query;
};

/* Splits an absolute http or https URL; a fragment is left out. Returns 0, or -EINVAL for what
 * is none: another scheme, no host, a bad port, spaces or control bytes. */
int url_split(const char *s, struct url *out);
/* Same scheme, host and port (defaults filled in). */
bool url_same_origin(const struct url *a, const struct url *b);
/* The same host by https instead of http, each on its usual port. */
bool url_is_upgrade(const struct url *from, const struct url *to);
/* Adds "scheme://host[:port]": what may stand in logs. */
void url_add_origin(struct buf *out, const struct url *u);
/* Adds what `reference` (absolute or relative, as in a Location; blanks stand for %20, around it
 * for nothing) means seen from `base`.
 * Returns 0, or -EINVAL when the result is no http(s) URL. */
int url_resolve(const char *base, const char *reference, struct buf *out);
/* Adds s with %XX decoded; a malformed escape stays as it is. */
void url_add_decoded(struct buf *out, const char *s, size_t n);

#endif
