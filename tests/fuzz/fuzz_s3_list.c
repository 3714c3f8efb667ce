/* Any bytes as the answer to ListObjectsV2: every entry that comes out can be a key below the
 * prefix that was asked for; the first byte says which of two. */
#include <string.h>
#include "fuzz.h"
#include "src/store/s3_xml.h"
#include "src/store/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store_list list = {.prefix = ""};
	const char *prefix;
	struct list_page page;

	if (!size)
		return 0;
	prefix = data[0] == '1' ? "a/" : "";
	list_page_init(&page);
	if (s3_xml_parse_list((const char *)data + 1, size - 1, prefix, &page)) {
		list_page_release(&page);
		return 0;
	}
	list_page_finish(&page, &list, true);
	must(list.entry_count + list.unusable <= S3_XML_MAX_ENTRIES);
	for (size_t i = 0; i < list.entry_count; i++) {
		const struct store_entry *e = &list.entries[i];

		must(e->key_length && e->key_length <= XML_MAX_TEXT);
		must(!strncmp(e->key, prefix, strlen(prefix)));
		must(strlen(e->key) == e->key_length);
		must(e->attr.is_prefix == (e->key[e->key_length - 1] == '/'));
		must(strnlen(e->attr.etag, sizeof(e->attr.etag)) < sizeof(e->attr.etag));
		must(strnlen(e->attr.storage_class, sizeof(e->attr.storage_class)) <
		     sizeof(e->attr.storage_class));
		must(!i || strcmp(list.entries[i - 1].key, e->key) <= 0);
	}
	must(!list.next_continuation || *list.next_continuation);
	store_list_release(&list);
	return 0;
}
