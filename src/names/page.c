/* page.c - compact records of names (page.h). */
#include "page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"

#define STRING_TABLE_MAX 255 /* linear search stays cheap; a page's records mostly agree */

void string_table_init(struct string_table *t)
{
	t->strings = xcalloc(STRING_TABLE_MAX, sizeof(*t->strings));
	t->strings[0] = xstrdup("");
	t->count = 1;
}

void string_table_release(struct string_table *t)
{
	for (uint16_t i = 0; i < t->count; i++)
		free(t->strings[i]);
	free(t->strings);
}

static uint16_t string_table_add(struct string_table *t, const char *s)
{
	for (uint16_t i = 0; i < t->count; i++) {
		if (!strcmp(t->strings[i], s))
			return i;
	}
	if (t->count == STRING_TABLE_MAX)
		return 0;
	t->strings[t->count] = xstrdup(s);
	return t->count++;
}

int key_compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
	int order = memcmp(a, b, MIN(a_length, b_length));

	if (order)
		return order;
	return (a_length > b_length) - (a_length < b_length);
}

void page_builder_init(struct page_builder *b, struct string_table *strings)
{
	*b = (struct page_builder){.strings = strings, .text = BUF_INIT};
}

bool page_builder_add(struct page_builder *b, const char *key, size_t length,
                      const struct store_attr *attr)
{
	struct record *r;

	if (b->count > 0) {
		r = &b->records[b->count - 1];
		if (key_compare(b->text.data + r->text, r->key_length, key, length) >= 0)
			return false;
	}
	if (b->count == b->capacity) {
		b->capacity = b->capacity ? b->capacity * 2 : 16;
		b->records = xrealloc(b->records, b->capacity, sizeof(*b->records));
	}
	r = &b->records[b->count++];
	*r = (struct record){
		.size = attr->size,
		.mtime_ns = attr->mtime_ns,
		.text = (uint32_t)b->text.length,
		.key_length = (uint16_t)length,
		.etag_length = (uint8_t)strlen(attr->etag),
		.version_length = (uint8_t)strlen(attr->version),
		.storage_class = string_table_add(b->strings, attr->storage_class),
		.content_type = string_table_add(b->strings, attr->content_type),
		.size_unknown = attr->size_unknown,
	};
	buf_add(&b->text, key, length);
	buf_add(&b->text, attr->etag, r->etag_length);
	buf_add(&b->text, attr->version, r->version_length);
	return true;
}

struct page *page_builder_finish(struct page_builder *b)
{
	size_t records = b->count * sizeof(struct record);
	struct page *p = xmalloc(sizeof(*p) + records + b->text.length);
	char *text = (char *)p->records + records;

	p->refs = 1;
	p->count = b->count;
	p->text = text;
	if (b->count > 0) {
		memcpy(p->records, b->records, records);
		memcpy(text, b->text.data, b->text.length);
	}
	free(b->records);
	buf_release(&b->text);
	return p;
}

struct page *page_ref(struct page *p)
{
	p->refs++;
	return p;
}

void page_unref(struct page *p)
{
	if (--p->refs == 0)
		free(p);
}

size_t page_find(const struct page *p, const char *key, size_t length)
{
	size_t low = 0, high = p->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct record *r = &p->records[middle];

		if (key_compare(page_key(p, r), r->key_length, key, length) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void page_attr(const struct page *p, const struct record *r, const struct string_table *strings,
               struct store_attr *attr)
{
	const char *text = page_key(p, r) + r->key_length;

	*attr = (struct store_attr){
		.size = r->size,
		.mtime_ns = r->mtime_ns,
		.is_prefix = record_is_directory(p, r),
		.size_unknown = r->size_unknown,
	};
	memcpy(attr->etag, text, r->etag_length);
	memcpy(attr->version, text + r->etag_length, r->version_length);
	snprintf(attr->storage_class, sizeof(attr->storage_class), "%s",
	         strings->strings[r->storage_class]);
	snprintf(attr->content_type, sizeof(attr->content_type), "%s",
	         strings->strings[r->content_type]);
}
