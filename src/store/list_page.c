/* list_page.c - a page of a listing while it is being made. */
#include "src/store/list_page.h"

#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"

void list_page_init(struct list_page *p)
{
	*p = (struct list_page){.keys = BUF_INIT, .continuation = BUF_INIT};
}

void list_page_release(struct list_page *p)
{
	free(p->entries);
	buf_release(&p->keys);
	buf_release(&p->continuation);
	list_page_init(p);
}

void list_page_add(struct list_page *p, const char *key, size_t n, const struct store_attr *attr)
{
	struct store_entry *e;

	if (!n || memchr(key, '\0', n)) {
		p->unusable++;
		return;
	}
	if (p->count == p->capacity) {
		p->capacity = MAX(p->capacity * 2, 64);
		p->entries = xrealloc(p->entries, p->capacity, sizeof(*p->entries));
	}
	e = &p->entries[p->count++];
	e->key_length = n;
	e->attr = *attr;
	buf_add(&p->keys, key, n);
	buf_addc(&p->keys, '\0');
}

void list_page_continue(struct list_page *p, const char *token, size_t n)
{
	buf_reset(&p->continuation);
	buf_add(&p->continuation, token, n);
	p->truncated = true;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(((const struct store_entry *)a)->key, ((const struct store_entry *)b)->key);
}

void list_page_finish(struct list_page *p, struct store_list *op, bool sorted)
{
	size_t kept = 0;
	char *memory, *key;

	/* The keys stand still only now that the last is in. */
	key = memory = buf_detach(&p->keys);
	for (size_t i = 0; i < p->count; i++) {
		struct store_entry *e = &p->entries[i];

		e->key = key;
		key += e->key_length + 1;
		if (op->start_after && strcmp(e->key, op->start_after) <= 0)
			continue;
		p->entries[kept++] = *e;
	}
	if (sorted && kept)
		qsort(p->entries, kept, sizeof(*p->entries), compare_keys);
	op->entries = p->entries;
	op->entry_count = kept;
	op->unusable = p->unusable;
	op->next_continuation = p->truncated ? buf_detach(&p->continuation) : NULL;
	op->memory = memory;
	p->entries = NULL;
	p->count = p->capacity = 0;
	list_page_release(p);
}
