/* Locale has no say in what a header's name is, so the letters are compared by hand. */
#include "src/net/header.h"
#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool header_parse(const char *line, size_t n, struct header *h)
{
	const char *colon = memchr(line, ':', n), *end = line + n;
	size_t length = colon ? (size_t)(colon - line) : 0;

	if (length == 0 || length >= sizeof(h->name) || is_space(*line))
		return false;
	for (size_t i = 0; i < length; i++)
		h->name[i] =
			(char)(line[i] >= 'A' && line[i] <= 'Z' ? line[i] + 'a' - 'A' : line[i]);
	h->name[length] = 0;
	h->value = colon + 1;
	while (h->value < end && is_space(*h->value))
		h->value++;
	while (end > h->value && is_space(end[-1]))
		end--;
	h->value_length = (size_t)(end - h->value);
	return true;
}
