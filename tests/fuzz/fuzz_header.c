/* Any bytes as a line of an answer's headers: what comes out lies inside of the line. */
#include <string.h>
#include "fuzz.h"
#include "src/net/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *line = (const char *)data;
	struct header h;

	if (!header_parse(line, size, &h))
		return 0;
	must(h.name[0] && strnlen(h.name, sizeof(h.name)) < sizeof(h.name));
	must(!strpbrk(h.name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ:"));
	must(h.value > line && h.value + h.value_length <= line + size);
	must(!h.value_length || (!strchr(" \t\r\n", h.value[0]) || !h.value[0]));
	return 0;
}
