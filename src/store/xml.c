/* xml.c - reading a document that a server sent, over expat, within limits. */
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

static void XMLCALL add_text(void *data, const XML_Char *s, int n)
{
	struct xml_document *d = data;

	if (d->refused || d->cut)
		return;
	if (d->text.length + (size_t)n > XML_MAX_TEXT)
		d->cut = true;
	else
		buf_add(&d->text, s, (size_t)n);
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
	buf_init(&d->text);
	XML_SetUserData(parser, d);
	XML_SetElementHandler(parser, start_element, end_element);
	XML_SetCharacterDataHandler(parser, add_text);
	XML_SetStartDoctypeDeclHandler(parser, refuse_doctype);
	if (XML_Parse(parser, body, (int)n, XML_TRUE) != XML_STATUS_OK || d->refused)
		result = -EBADMSG;
	XML_ParserFree(parser);
	buf_release(&d->text);
	return result;
}
