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

	if (length == 0 || length >= sizeof(h->name))
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = line[i];

		if ((unsigned char)c <= ' ')
			return false;
		h->name[i] = (char)(c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
	}
	h->name[length] = 0;
	h->value = colon + 1;
	while (h->value < end && is_space(*h->value))
		h->value++;
	while (end > h->value && is_space(end[-1]))
		end--;
	h->value_length = (size_t)(end - h->value);
	return true;
}
