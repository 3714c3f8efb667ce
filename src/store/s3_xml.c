/* s3_xml.c - S3's documents, over xml.h.
 *
 * Keys wait undecoded until the end of the document, because a server may say
 * <EncodingType> behind the keys, and one of them decides how '+' is meant: AWS and minio
 * write a space as '+' (and a plus as %2B), others write %20 and may leave a plus alone. So a
 * page in which any key has %20 takes '+' for itself. */
#include "src/store/s3_xml.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "pailfs/base/xalloc.h"
#include "src/store/dialect.h"
#include "src/store/http_answer.h"
#include "src/store/xml.h"

/* ---- listings ---- */

struct raw_entry {
	size_t key, length; /* in listing.keys; length SIZE_MAX: there was none that can be used */
	struct store_attr attr;
};

struct listing {
	struct raw_entry *entries;
	size_t count, capacity;
	struct buf keys;
	struct buf token;
	bool is_listing, truncated, encoded;
};

static void copy_text(char *out, size_t size, const struct buf *text)
{
	size_t n = MIN(text->length, size - 1);

	memcpy(out, text->data, n);
	out[n] = '\0';
}

static void list_start(struct xml_document *d)
{
	struct listing *l = d->result;
	struct raw_entry *e;

	if (xml_at(d, 1, "ListBucketResult")) {
		l->is_listing = true;
		return;
	}
	if (!xml_at(d, 2, "Contents") && !xml_at(d, 2, "CommonPrefixes"))
		return;
	if (l->count == S3_XML_MAX_ENTRIES) {
		xml_refuse(d);
		return;
	}
	if (l->count == l->capacity) {
		l->capacity = l->capacity ? 2 * l->capacity : 1024;
		l->entries = xrealloc(l->entries, l->capacity, sizeof(*l->entries));
	}
	e = &l->entries[l->count++];
	*e = (struct raw_entry){.length = SIZE_MAX};
	e->attr.is_prefix = xml_at(d, 2, "CommonPrefixes");
	e->attr.size_unknown = !e->attr.is_prefix;
}

static void list_entry_end(struct xml_document *d)
{
	struct listing *l = d->result;
	struct raw_entry *e = &l->entries[l->count - 1];

	if (xml_at(d, 3, e->attr.is_prefix ? "Prefix" : "Key")) {
		if (d->cut)
			return;
		e->key = l->keys.length;
		e->length = d->text.length;
		buf_add(&l->keys, d->text.data, d->text.length);
	} else if (e->attr.is_prefix) {
		return;
	} else if (xml_at(d, 3, "Size")) {
		e->attr.size_unknown =
		        dialect_parse_number(d->text.data, d->text.length, &e->attr.size) < 0;
	} else if (xml_at(d, 3, "ETag")) {
		answer_take_etag(&e->attr, d->text.data, d->text.length);
	} else if (xml_at(d, 3, "LastModified")) {
		e->attr.mtime_ns = dialect_parse_date(d->text.data, d->text.length);
	} else if (xml_at(d, 3, "StorageClass")) {
		copy_text(e->attr.storage_class, sizeof(e->attr.storage_class), &d->text);
	}
}

/* XML's own boolean, and that of servers which print their language's: a page that is taken for the
 * last one hides names in silence. */
static bool is_true(const char *s)
{
	s += strspn(s, " \t\r\n");
	return *s == '1' || !strncasecmp(s, "true", 4);
}

static void list_end(struct xml_document *d)
{
	struct listing *l = d->result;

	if (d->depth == 3 &&
	    (!strcmp(d->names[2], "Contents") || !strcmp(d->names[2], "CommonPrefixes"))) {
		list_entry_end(d);
	} else if (xml_at(d, 2, "IsTruncated")) {
		l->truncated = is_true(d->text.data);
	} else if (xml_at(d, 2, "EncodingType")) {
		l->encoded = !strcmp(d->text.data, "url");
	} else if (xml_at(d, 2, "NextContinuationToken")) {
		if (d->cut) {
			xml_refuse(d);
			return;
		}
		buf_reset(&l->token);
		buf_add(&l->token, d->text.data, d->text.length);
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; a '%' that begins no byte stands for itself. Returns the new length. */
static size_t decode_key(char *key, size_t n, bool plus_is_space)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		int high, low;

		if (key[i] == '%' && i + 2 < n && (high = hex_digit(key[i + 1])) >= 0 &&
		    (low = hex_digit(key[i + 2])) >= 0) {
			key[out++] = (char)(high << 4 | low);
			i += 2;
		} else if (key[i] == '+' && plus_is_space) {
			key[out++] = ' ';
		} else {
			key[out++] = key[i];
		}
	}
	return out;
}

static void listing_deliver(struct listing *l, const char *prefix, struct list_page *page)
{
	size_t prefix_length = strlen(prefix);
	bool plus_is_space = !memmem(l->keys.data, l->keys.length, "%20", 3);

	for (size_t i = 0; i < l->count; i++) {
		struct raw_entry *e = &l->entries[i];
		char *key = l->keys.data + e->key;

		if (e->length == SIZE_MAX)
			goto unusable;
		if (l->encoded)
			e->length = decode_key(key, e->length, plus_is_space);
		/* Callers cut the prefix off. */
		if (e->length < prefix_length || memcmp(key, prefix, prefix_length) != 0)
			goto unusable;
		if (e->length && key[e->length - 1] == '/')
			e->attr.is_prefix = true;
		else if (e->attr.is_prefix)
			goto unusable;
		list_page_add(page, key, e->length, &e->attr);
		continue;
unusable:
		page->unusable++;
	}
	if (l->truncated)
		list_page_continue(page, l->token.data, l->token.length);
}

int s3_xml_parse_list(const char *body, size_t n, const char *prefix, struct list_page *page)
{
	struct listing l = {.keys = BUF_INIT, .token = BUF_INIT};
	struct xml_document d = {.start = list_start, .end = list_end, .result = &l};
	int result = xml_parse(&d, body, n);

	if (!result && (!l.is_listing || (l.truncated && !l.token.length)))
		result = -EBADMSG;
	if (!result)
		listing_deliver(&l, prefix, page);
	free(l.entries);
	buf_release(&l.keys);
	buf_release(&l.token);
	return result;
}

/* ---- errors ---- */

static void error_end(struct xml_document *d)
{
	struct s3_error *e = d->result;
	const struct {
		const char *name;
		char *out;
		size_t size;
	} fields[] = {
	        {"Code", e->code, sizeof(e->code)},
	        {"Message", e->message, sizeof(e->message)},
	        {"Region", e->region, sizeof(e->region)},
	        {"Endpoint", e->endpoint, sizeof(e->endpoint)},
	        {"RequestId", e->request_id, sizeof(e->request_id)},
	};

	if (d->depth != 2 || strcmp(d->names[1], "Error"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (xml_at(d, 2, fields[i].name))
			copy_text(fields[i].out, fields[i].size, &d->text);
}

int s3_xml_parse_error(const char *body, size_t n, struct s3_error *error)
{
	struct xml_document d = {.end = error_end, .result = error};
	int result;

	memset(error, 0, sizeof(*error));
	result = xml_parse(&d, body, n);
	return result ? result : error->code[0] ? 0 : -EBADMSG;
}
