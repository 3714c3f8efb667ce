/* source.c - what SOURCE may look like. The stores know the rest; what is plainly mistyped is
 * wrong usage and not a mount that failed. */
#include "option.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include "pailfs/base/xalloc.h"

/* The checks return what is wrong with what follows "SCHEME://", or NULL. */

/* Not S3's own rule for names, which old buckets and other servers do not keep. */
static const char *check_bucket(const char *rest)
{
	size_t n = strcspn(rest, "/");

	if (!n)
		return "a bucket's name is missing, as in s3://BUCKET";
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)rest[i]) && !strchr("._-", rest[i]))
			return "a bucket's name has letters, digits, dots, dashes and underscores "
			       "only";
	return n <= 255 ? NULL : "a bucket's name has at most 255 characters";
}

static const char *check_host(const char *rest)
{
	size_t n = strcspn(rest, "/?#");

	if (memchr(rest, '@', n))
		return "the URL has a user or a password in it, which ps and mount would show to "
		       "everybody; take it out";
	return n && *rest != ':' ? NULL : "a host is missing, as in https://HOST/PATH";
}

static const char *check_path(const char *rest)
{
	return *rest == '/' ? NULL : "a directory is absolute, as in file:///PATH";
}

static const char *check_empty(const char *rest)
{
	return *rest ? "nothing follows mem://" : NULL;
}

static const struct {
	const char *scheme;
	const char *(*check)(const char *rest);
} schemes[] = {
	{"s3", check_bucket}, {"http", check_host},   {"https", check_host},
	{"file", check_path}, {"direct", check_path}, {"mem", check_empty},
};

/* Bytes up to the host, so that a line about the rest does not show a password. */
static size_t safe_length(const char *source)
{
	const char *at = strchr(source, '@');

	return at ? strcspn(source, ":") + 3 : strlen(source);
}

int source_check(const char *source, struct buf *error)
{
	const char *colon = strstr(source, "://"), *wrong;

	for (size_t i = 0; colon && i < ARRAY_SIZE(schemes); i++) {
		size_t n = strlen(schemes[i].scheme);

		if ((size_t)(colon - source) != n || memcmp(source, schemes[i].scheme, n))
			continue;
		wrong = schemes[i].check(colon + 3);
		if (!wrong)
			return 0;
		buf_add_quoted(error, source, safe_length(source), 200);
		buf_addf(error, ": %s", wrong);
		return -EINVAL;
	}
	buf_add_quoted(error, source, safe_length(source), 200);
	buf_adds(error, *source ? ": " : "SOURCE is empty: ");
	if (*source == '/')
		buf_addf(error, "a source is a URL; write file://%s for a directory", source);
	else
		buf_adds(error,
			 "a source is s3://BUCKET[/PREFIX], https://HOST/PATH/, file:///PATH, "
			 "direct:///PATH or mem://");
	return -EINVAL;
}

/* A signed URL's query is as good as a key. */
char *source_shown(const char *source)
{
	return xstrndup(source, strncmp(source, "http", 4) ? strlen(source) : strcspn(source, "?"));
}
