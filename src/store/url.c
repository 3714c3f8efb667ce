/* url.c - the parts of an absolute http(s) URL, and RFC 3986's references. */
#include "src/store/url.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "pailfs/base/xalloc.h"

static struct url_part part(const char *start, const char *end)
{
	return (struct url_part){start, (size_t)(end - start)};
}

static int port_number(const struct url *u)
{
	return u->port.n ? atoi(u->port.s) : u->secure ? 443 : 80;
}

static int split_authority(const char *s, const char *end, struct url *out)
{
	const char *at = memrchr(s, '@', (size_t)(end - s)), *colon;
	const char *host_end;

	if (at) {
		out->userinfo = part(s, at);
		s = at + 1;
	}
	if (s < end && *s == '[') {
		host_end = memchr(s, ']', (size_t)(end - s));
		if (!host_end)
			return -EINVAL;
		host_end++;
	} else {
		colon = memchr(s, ':', (size_t)(end - s));
		host_end = colon ? colon : end;
	}
	out->host = part(s, host_end);
	if (!out->host.n)
		return -EINVAL;
	if (host_end < end) {
		if (*host_end != ':')
			return -EINVAL;
		out->port = part(host_end + 1, end);
		if (out->port.n > 5 || strspn(out->port.s, "0123456789") < out->port.n ||
		    port_number(out) > UINT16_MAX)
			return -EINVAL;
	}
	return 0;
}

int url_split(const char *s, struct url *out)
{
	const char *rest, *end, *path_end;

	memset(out, 0, sizeof(*out));
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return -EINVAL;
	if (!strncasecmp(s, "http://", 7))
		out->scheme = part(s, s + 4);
	else if (!strncasecmp(s, "https://", 8))
		out->scheme = part(s, s + 5);
	else
		return -EINVAL;
	out->secure = out->scheme.n == 5;
	rest = s + out->scheme.n + 3;
	end = rest + strcspn(rest, "/?#");
	if (split_authority(rest, end, out))
		return -EINVAL;
	path_end = end + strcspn(end, "?#");
	out->path = part(end, path_end);
	if (*path_end == '?') {
		out->has_query = true;
		out->query = part(path_end + 1, path_end + 1 + strcspn(path_end + 1, "#"));
	}
	return 0;
}

static bool same_host(const struct url *a, const struct url *b)
{
	return a->host.n == b->host.n && !strncasecmp(a->host.s, b->host.s, a->host.n);
}

bool url_is_upgrade(const struct url *from, const struct url *to)
{
	return same_host(from, to) && !from->secure && port_number(from) == 80 && to->secure &&
	       port_number(to) == 443;
}

bool url_same_origin(const struct url *a, const struct url *b)
{
	return a->secure == b->secure && port_number(a) == port_number(b) && same_host(a, b);
}

void url_add_origin(struct buf *out, const struct url *u)
{
	buf_adds(out, u->secure ? "https://" : "http://");
	buf_add(out, u->host.s, u->host.n);
	if (u->port.n) {
		buf_addc(out, ':');
		buf_add(out, u->port.s, u->port.n);
	}
}

/* RFC 3986, 5.2.4: works on path in place and returns its new length. */
static size_t remove_dot_segments(char *path, size_t n)
{
	size_t in = 0, out = 0;

	while (in < n) {
		const char *slash = memchr(path + in + 1, '/', n - in - 1);
		size_t end = slash ? (size_t)(slash - path) : n, length = end - in;

		if (length == 2 && path[in + 1] == '.') {
			if (end == n)
				path[out++] = '/';
		} else if (length == 3 && path[in + 1] == '.' && path[in + 2] == '.') {
			while (out && path[--out] != '/')
				;
			if (end == n)
				path[out++] = '/';
		} else {
			memmove(path + out, path + in, length);
			out += length;
		}
		in = end;
	}
	return out;
}

static bool has_scheme(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

	return isalpha((unsigned char)*s) && s[n] == ':';
}

/* Adds a reference without its fragment. Blanks have no place in one, but whoever writes links by
 * hand leaves them in names and around them; they are taken as browsers take them. */
static void add_reference(struct buf *out, const char *s)
{
	size_t n;

	s += strspn(s, " ");
	n = strcspn(s, "#");
	while (n && s[n - 1] == ' ')
		n--;
	for (size_t i = 0; i < n; i++)
		if (s[i] == ' ')
			buf_adds(out, "%20");
		else
			buf_addc(out, s[i]);
}

/* Adds the path without its dot segments, then what follows it. */
static void add_path(struct buf *out, const struct buf *path, const char *rest)
{
	size_t start = out->length;

	buf_add(out, path->data, path->length);
	if (path->length)
		buf_truncate(out, start + remove_dot_segments(out->data + start, path->length));
	buf_adds(out, rest);
}

/* Adds a reference that begins with a path or a query, or is empty. */
static void add_relative(struct buf *out, const struct url *base, const char *s)
{
	struct buf path = BUF_INIT;
	size_t path_length = strcspn(s, "?");
	const char *slash;

	url_add_origin(out, base);
	if (s[0] != '/' && path_length) {
		slash = memrchr(base->path.s, '/', base->path.n);
		if (slash)
			buf_add(&path, base->path.s, (size_t)(slash - base->path.s) + 1);
		else
			buf_addc(&path, '/');
	} else if (!path_length) {
		buf_add(&path, base->path.s, base->path.n);
	}
	buf_add(&path, s, path_length);
	add_path(out, &path, s + path_length);
	if (!*s && base->has_query) {
		buf_addc(out, '?');
		buf_add(out, base->query.s, base->query.n);
	}
	buf_release(&path);
}

int url_resolve(const char *base, const char *reference, struct buf *out)
{
	struct buf clean = BUF_INIT;
	size_t start = out->length;
	struct url b, check;

	if (url_split(base, &b))
		return -EINVAL;
	add_reference(&clean, reference);
	if (has_scheme(clean.data)) {
		buf_adds(out, clean.data);
	} else if (!strncmp(clean.data, "//", 2)) {
		buf_adds(out, b.secure ? "https:" : "http:");
		buf_adds(out, clean.data);
	} else {
		add_relative(out, &b, clean.data);
	}
	buf_release(&clean);
	return url_split(out->data + start, &check);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

void url_add_decoded(struct buf *out, const char *s, size_t n)
{
	buf_reserve(out, n);
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '%' && i + 2 < n && hex_digit(s[i + 1]) >= 0 && hex_digit(s[i + 2]) >= 0) {
			buf_addc(out, (char)(hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2])));
			i += 2;
		} else {
			buf_addc(out, s[i]);
		}
	}
}
