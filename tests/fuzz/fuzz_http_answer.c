/* Any bytes as headers of an answer (a line "name: value" each): what is noted stays within its
 * bounds, and an answer that is taken for good is one of the range asked for. */
#include <string.h>
#include "fuzz.h"
#include "pailfs/base/xalloc.h"
#include "src/store/http_answer.h"

static void note(struct dialect_answer *a, const char *line, size_t n)
{
	const char *colon = memchr(line, ':', n);
	char *name, *value;

	if (!colon)
		return;
	name = xstrndup(line, (size_t)(colon - line));
	value = xstrndup(colon + 1, n - (size_t)(colon + 1 - line));
	answer_header(a, name, value, strlen(value));
	free(name);
	free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct store_attr pinned = {.size = 20, .etag = "\"v1\""};
	struct dialect_call call = {.op = DIALECT_GET, .key = "k", .offset = 4, .length = 10, .version = &pinned};
	struct dialect_answer a;
	const char *why;

	if (!size)
		return 0;
	dialect_answer_init(&a);
	a.status = data[0] & 1 ? 206 : 200;
	for (const char *s = (const char *)data + 1, *end = (const char *)data + size, *eol; s < end; s = eol + 1) {
		eol = memchr(s, '\n', (size_t)(end - s));
		if (!eol)
			eol = end;
		note(&a, s, (size_t)(eol - s));
	}
	must(a.has_range || (a.range_start == DIALECT_UNKNOWN && a.range_total == DIALECT_UNKNOWN));
	must(strlen(a.attr.etag) < sizeof(a.attr.etag) && strlen(a.location) < sizeof(a.location));
	must(a.retry_after_ns <= 3600 * NS_PER_SECOND);
	if (answer_check_get(&call, &a, &why) == ANSWER_GOOD) {
		must(!*why);
		must(!a.attr.etag[0] || strstr(a.attr.etag, "\"v1\""));
		must(a.status == 200 ? a.content_length == 10 : a.range_start == 4 && a.range_end > 4 && a.range_end <= 14);
	} else {
		must(*why);
	}
	return 0;
}
