/* footer.c - zip's end record (APPNOTE.TXT 4.3.14 to 4.3.16) and Parquet's footer.
 *
 *	zip       ... directory | [ZIP64 record | ZIP64 locator] | end record, comment
 *	Parquet   ... footer | its length, 4 bytes | "PAR1"
 *
 * Offsets that stand in a zip count from where the archive begins, which is not the object's
 * start when something was put before it. So the directory's place is reckoned backwards, from
 * the record that follows it. */
#include "footer.h"

#include <string.h>
#include "pailfs/base/xalloc.h"

#define ZIP_END 22
#define ZIP64_END 56
#define ZIP64_LOCATOR 20
#define PARQUET_END 8

static uint64_t little(const uint8_t *p, size_t n)
{
	uint64_t value = 0;

	while (n--)
		value = value << 8 | p[n];
	return value;
}

/* The range of `length` bytes before `end`; empty where there are not so many. */
static struct range before(uint64_t end, uint64_t length)
{
	return length <= end ? (struct range){end - length, end} : (struct range){0};
}

/* An end record at p, to which `known` bytes lead up, at `offset` in the object. */
static struct range zip_directory(const uint8_t *p, size_t known, uint64_t offset)
{
	const size_t record = ZIP64_LOCATOR + ZIP64_END;

	if (little(p + 12, 4) != 0xffffffff)
		return before(offset, little(p + 12, 4));
	if (known < record || memcmp(p - record, "PK\6\6", 4) != 0)
		return (struct range){0};
	return before(offset - record, little(p - record + 40, 8));
}

struct footer footer_find(const uint8_t *tail, size_t n, uint64_t size)
{
	struct footer found = {.kind = FOOTER_UNKNOWN};
	const uint8_t *end = tail + n;

	if (n >= PARQUET_END && !memcmp(end - 4, "PAR1", 4)) {
		found.directory = before(size - PARQUET_END, little(end - PARQUET_END, 4));
		found.kind = range_empty(found.directory) ? FOOTER_UNKNOWN : FOOTER_PARQUET;
		return found;
	}
	/* The last one whose comment reaches to the end. */
	for (size_t back = ZIP_END; back <= n; back++) {
		const uint8_t *p = end - back;

		if (memcmp(p, "PK\5\6", 4) != 0 || little(p + 20, 2) != back - ZIP_END)
			continue;
		found.directory = zip_directory(p, n - back, size - back);
		found.kind = range_empty(found.directory) ? FOOTER_UNKNOWN : FOOTER_ZIP;
		break;
	}
	return found;
}
