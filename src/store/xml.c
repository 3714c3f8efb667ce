/* xml.c - reading a document that a server sent, over expat, within limits.
 *
 * XML 1.0 has no control characters, not even as references, but keys have, and there are
 * servers that write them as &#x1; (radosgw does in the token that continues a listing). One
 * such key must not hide a page of others. So those references are replaced by the
 * noncharacters that Unicode keeps for a program's own use, and turned into bytes in the text. */
#include "src/store/xml.h"

#include <errno.h>
#include <expat.h>
#include <stdint.h>
#include <string.h>

void xml_refuse(struct xml_document *d)
{
	d->refused = true;
	XML_StopParser(d->parser, XML_FALSE);
}

static void XMLCALL start_element(void *data, const XML_Char *name, const XML_Char **attributes)
{
	struct xml_document *d = data;
	const char *colon = strrchr(name, ':');

	if (d->refused)
		return;
	if (d->depth == XML_MAX_DEPTH) {
		xml_refuse(d);
		return;
	}
	d->depth++;
	if (colon)
		name = colon + 1;
	/* No name that means something is as long as the limit: one that is cut matches none. */
	strncpy(d->names[d->depth], name, XML_MAX_NAME - 1);
	d->names[d->depth][XML_MAX_NAME - 1] = '\0';
	buf_reset(&d->text);
	d->cut = false;
	if (d->start)
		d->start(d);
}

static void XMLCALL end_element(void *data, const XML_Char *name)
{
	struct xml_document *d = data;

	if (d->refused)
		return;
	if (d->end)
		d->end(d);
	buf_reset(&d->text);
	d->cut = false;
	d->depth--;
}

/* U+FDD0 to U+FDEF in UTF-8 are these two bytes and a third; they stand for 0x00 to 0x1F. */
static const char mask[] = {(char)0xef, (char)0xb7};
#define MASK_THIRD 0x90u

static void add_unmasked(struct buf *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned control = i + 2 < n ? (unsigned char)s[i + 2] - MASK_THIRD : 0x20;

		if (control < 0x20 && !memcmp(s + i, mask, sizeof(mask))) {
			buf_addc(out, (char)control);
			i += 2;
		} else {
			buf_addc(out, s[i]);
		}
	}
}

static void XMLCALL add_text(void *data, const XML_Char *s, int n)
{
	struct xml_document *d = data;

	if (d->refused || d->cut)
		return;
	if (d->text.length + (size_t)n > XML_MAX_TEXT)
		d->cut = true;
	else if (d->masked)
		add_unmasked(&d->text, s, (size_t)n);
	else
		buf_add(&d->text, s, (size_t)n);
}

/* The length of a reference to a character that XML does not have, at the start of s; 0: it is
 * none. */
static size_t control_reference(const char *s, const char *end, unsigned *control)
{
	bool hex = end - s > 3 && s[2] == 'x';
	const char *p = s + (hex ? 3 : 2);
	unsigned value = 0;

	if (end - s < 4 || s[0] != '&' || s[1] != '#' || *p == ';')
		return 0;
	for (; p < end && *p != ';'; p++) {
		int digit = *p >= '0' && *p <= '9' ? *p - '0' : hex ? (*p | 0x20) - 'a' + 10 : -1;

		if (digit < 0 || digit >= (hex ? 16 : 10) || (hex && *p > '9' && digit < 10))
			return 0;
		value = value * (hex ? 16 : 10) + (unsigned)digit;
		if (value >= 0x20)
			return 0;
	}
	if (p == end || value == '\t' || value == '\n' || value == '\r')
		return 0;
	*control = value;
	return (size_t)(p + 1 - s);
}

/* Copies the document with such references masked; false when there are none. */
static bool mask_controls(const char *body, size_t n, struct buf *out)
{
	const char *end = body + n, *from = body;
	unsigned control;
	size_t length;

	for (const char *p = body; (p = memchr(p, '&', (size_t)(end - p))) != NULL;) {
		length = control_reference(p, end, &control);
		if (!length) {
			p++;
			continue;
		}
		buf_add(out, from, (size_t)(p - from));
		buf_add(out, mask, sizeof(mask));
		buf_addc(out, (char)(MASK_THIRD + control));
		from = p += length;
	}
	if (from == body)
		return false;
	buf_add(out, from, (size_t)(end - from));
	return true;
}

static void XMLCALL refuse_doctype(void *data, const XML_Char *name, const XML_Char *system_id,
                                   const XML_Char *public_id, int has_internal_subset)
{
	xml_refuse(data);
}

bool xml_at(const struct xml_document *d, unsigned depth, const char *name)
{
	return d->depth == depth && strcmp(d->names[depth], name) == 0;
}

int xml_parse(struct xml_document *d, const char *body, size_t n)
{
	struct buf masked = BUF_INIT;
	XML_Parser parser;
	int result = 0;

	if (n > INT32_MAX)
		return -EBADMSG;
	parser = XML_ParserCreate(NULL);
	if (!parser)
		return -ENOMEM;
	d->parser = parser;
	d->depth = 0;
	d->refused = d->cut = false;
	d->masked = mask_controls(body, n, &masked);
	if (d->masked) {
		body = masked.data;
		n = masked.length;
	}
	buf_init(&d->text);
	XML_SetUserData(parser, d);
	XML_SetElementHandler(parser, start_element, end_element);
	XML_SetCharacterDataHandler(parser, add_text);
	XML_SetStartDoctypeDeclHandler(parser, refuse_doctype);
	if (XML_Parse(parser, body, (int)n, XML_TRUE) != XML_STATUS_OK || d->refused)
		result = -EBADMSG;
	XML_ParserFree(parser);
	buf_release(&d->text);
	buf_release(&masked);
	return result;
}
