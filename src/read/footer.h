/* footer.h - where the formats that keep their directory at the end say that it lies. Pure. */
#ifndef PAILFS_READ_FOOTER_H
#define PAILFS_READ_FOOTER_H

#include <stddef.h>
#include <stdint.h>
#include "pailfs/base/range.h"

/* So many bytes at an object's end are looked at: a zip's records, and a comment of some size. */
#define FOOTER_BYTES 4096

enum footer_kind { FOOTER_UNKNOWN, FOOTER_ZIP, FOOTER_PARQUET };

struct footer {
	enum footer_kind kind;
	struct range directory; /* empty when unknown; lies inside the object */
};

/* Looks at the last n bytes of an object of `size` bytes, n at most size. They come from outside
 * and may be anything; what is found is a hint at what will be read, and no more. */
struct footer footer_find(const uint8_t *tail, size_t n, uint64_t size);

#endif
