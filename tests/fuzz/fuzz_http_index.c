/* Any bytes as a folder's index, in each of its three forms; the first byte chooses. Whatever
 * comes out lies directly in the folder. */
#include <string.h>
#include "fuzz.h"
#include "src/store/http_index.h"

static void check_entry(const struct store_entry *e, const char *directory)
{
	const char *name = e->key + strlen(directory);
	size_t n = strlen(name);

	must(strlen(e->key) == e->key_length);
	must(!strncmp(e->key, directory, strlen(directory)));
	must(n && strcmp(name, "..") && strcmp(name, ".") && strcmp(name, "../") && strcmp(name, "./"));
	must(e->attr.is_prefix == (name[n - 1] == '/'));
	must(!memchr(name, '/', n - 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct list_page page;
	struct http_index index = {.url = "http://h/a%20b/", .directory = "d/", .prefix = "d/", .page = &page};
	struct store_list list = {.prefix = ""};

	if (!size)
		return 0;
	http_index_init();
	list_page_init(&page);
	if (data[0] % 3 == 0)
		http_index_parse_dav(&index, (const char *)data + 1, size - 1);
	else if (data[0] % 3 == 1)
		http_index_parse_json(&index, (const char *)data + 1, size - 1);
	else
		http_index_parse_html(&index, (const char *)data + 1, size - 1);
	list_page_finish(&page, &list, true);
	for (size_t i = 0; i < list.entry_count; i++)
		check_entry(&list.entries[i], index.directory);
	store_list_release(&list);
	return 0;
}
