/* Any bytes as one of the AWS files: each setting that is found is a trimmed line's worth. */
#include <ctype.h>
#include <string.h>
#include "fuzz.h"
#include "pailfs/base/xalloc.h"
#include "src/store/credentials.h"

static void check_setting(void *context, const char *section, const char *name, const char *value)
{
	size_t n = strlen(value);

	must(*section && *name && n);
	must(!isspace((unsigned char)value[0]) && !isspace((unsigned char)value[n - 1]));
	must(!strchr(section, '\n') && !strchr(name, '\n') && !strchr(value, '\n'));
	must(!strchr(name, '='));
	for (; *name; name++)
		must(!isupper((unsigned char)*name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (enum aws_file kind = 0; kind < AWS_FILES; kind++) {
		char *text = xmalloc(size ? size : 1);

		memcpy(text, data, size);
		aws_file_parse(text, size, kind, check_setting, NULL);
		free(text);
	}
	return 0;
}
