/* bucket_xattr.c - user.pailfs.*: what is known of an object, and what was decided for it. */
#include "bucket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/lock.h"

#define PREFIX "user.pailfs."

/* Adds the value; false where the node has none. Under nodes.lock. */
typedef bool format_fn(struct fs *fs, struct node *node, struct buf *out);

static bool add_nonempty(struct buf *out, const char *s)
{
	buf_adds(out, s);
	return *s != '\0';
}

static bool format_url(struct fs *fs, struct node *node, struct buf *out)
{
	const char *source = fs->c.config->source;
	const char *below = node->key + strlen(nodes_of(fs)->root->key);

	/* A query may hold a signature. */
	buf_add(out, source, strcspn(source, "?"));
	if (!(store_capabilities(fs->c.store) & STORE_LIST))
		return true;
	if (out->length && out->data[out->length - 1] != '/')
		buf_addc(out, '/');
	buf_adds(out, below);
	return true;
}

static bool format_etag(struct fs *fs, struct node *node, struct buf *out)
{
	return add_nonempty(out, node->attr.etag);
}

static bool format_version(struct fs *fs, struct node *node, struct buf *out)
{
	return add_nonempty(out, node->object ? store_object_version(node->object) : node->attr.version);
}

static bool format_storage_class(struct fs *fs, struct node *node, struct buf *out)
{
	return add_nonempty(out, node->attr.storage_class);
}

static bool format_content_type(struct fs *fs, struct node *node, struct buf *out)
{
	return add_nonempty(out, node->attr.content_type);
}

static bool format_policy(struct fs *fs, struct node *node, struct buf *out)
{
	if (node->directory)
		return false;
	buf_adds(out, bucket_policy(fs, node)->name);
	return true;
}

/* What the reader says or, of a file that is not open, what its last one said. */
static void add_words(const struct node *node, void (*ask)(struct reader *, struct buf *), const char *last,
                      struct buf *out)
{
	if (node->reader)
		ask(node->reader, out);
	else if (last)
		buf_adds(out, last);
}

static bool format_why(struct fs *fs, struct node *node, struct buf *out)
{
	if (node->directory)
		return false;
	add_words(node, reader_why, node->why, out);
	if (!out->length)
		buf_adds(out, "nothing was read yet");
	return true;
}

void bucket_why(struct fs *fs, struct node *node, struct buf *out)
{
	scoped_lock(&nodes_of(fs)->lock);
	format_why(fs, node, out);
}

static bool format_error(struct fs *fs, struct node *node, struct buf *out)
{
	add_words(node, reader_error, node->error, out);
	return out->length > 0;
}

static const struct attribute {
	const char *name;
	format_fn *format;
} attributes[] = {
        {"url", format_url},
        {"etag", format_etag},
        {"version", format_version},
        {"storage_class", format_storage_class},
        {"content_type", format_content_type},
        {"policy", format_policy},
        {"why", format_why},
        {"error", format_error},
};

/* Replies with data, or its length when the caller asked for that. */
static void reply(fuse_req_t req, const struct buf *value, size_t size)
{
	if (size == 0)
		fuse_reply_xattr(req, value->length);
	else if (size < value->length)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, value->data, value->length);
}

void bucket_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct fs *fs = fs_of(req);
	struct node *node = node_get(nodes_of(fs), ino);
	struct buf value = BUF_INIT;
	int err = ENODATA;

	pthread_mutex_lock(&nodes_of(fs)->lock);
	for (size_t i = 0; node && i < ARRAY_SIZE(attributes); i++)
		if (!strncmp(name, PREFIX, strlen(PREFIX)) &&
		    !strcmp(name + strlen(PREFIX), attributes[i].name) &&
		    attributes[i].format(fs, node, &value))
			err = 0;
	pthread_mutex_unlock(&nodes_of(fs)->lock);
	if (err)
		fuse_reply_err(req, err);
	else
		reply(req, &value, size);
	buf_release(&value);
}

void bucket_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct fs *fs = fs_of(req);
	struct node *node = node_get(nodes_of(fs), ino);
	struct buf names = BUF_INIT, value = BUF_INIT;

	pthread_mutex_lock(&nodes_of(fs)->lock);
	for (size_t i = 0; node && i < ARRAY_SIZE(attributes); i++) {
		buf_reset(&value);
		if (attributes[i].format(fs, node, &value)) {
			buf_addf(&names, PREFIX "%s", attributes[i].name);
			buf_addc(&names, '\0');
		}
	}
	pthread_mutex_unlock(&nodes_of(fs)->lock);
	reply(req, &names, size);
	buf_release(&names);
	buf_release(&value);
}

void bucket_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
                     int flags)
{
	struct fs *fs = fs_of(req);
	struct node *node = node_get(nodes_of(fs), ino);
	const struct policy *policy;
	char *text;
	int err = 0;

	if (!node || node->directory || strcmp(name, PREFIX "policy")) {
		fuse_reply_err(req, ENOTSUP);
		return;
	}
	text = xstrndup(value, size);
	policy = policy_by_name(text);
	if (policy)
		bucket_set_policy(fs, node, policy);
	else
		err = EINVAL;
	free(text);
	fuse_reply_err(req, err);
}
