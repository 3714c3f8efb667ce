/* Any bytes as the end of an object: a directory that is found lies inside the object. */
#include "fuzz.h"
#include "src/read/footer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* As large as its end, and as large as objects are. */
	for (uint64_t before = 0; before <= 1ull << 40; before = before * 256 + 1) {
		struct footer f = footer_find(data, size, before + size);

		must(f.directory.start <= f.directory.end && f.directory.end <= before + size);
		must((f.kind == FOOTER_UNKNOWN) == range_empty(f.directory));
	}
	return 0;
}
