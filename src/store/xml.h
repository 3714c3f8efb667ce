/* xml.h - reading a document that a server sent, over expat, within limits.
 *
 * The reader keeps the names of the elements that are open, gathers the text of the innermost
 * one and calls back at the start and the end of each element. A result is read by matching
 * (depth, name), so unknown elements fall through, wherever a server puts them. A document
 * may nest XML_MAX_DEPTH deep and a text be XML_MAX_TEXT long; a document type declaration
 * ends the parse, so that no entity is ever defined. A text may have any byte, because
 * references to control characters are taken, which XML does not allow. Pure. */
#ifndef PAILFS_STORE_XML_H
#define PAILFS_STORE_XML_H

#include <stdbool.h>
#include <stddef.h>
#include "pailfs/base/buf.h"

#define XML_MAX_DEPTH 16
#define XML_MAX_TEXT 8192
#define XML_MAX_NAME 32

struct xml_document {
	/* Set by the caller; each may be NULL. */
	void (*start)(struct xml_document *d);
	void (*end)(struct xml_document *d);
	void *result;
	/* For the callbacks to read. */
	unsigned depth;                               /* elements that are open, this one included */
	char names[XML_MAX_DEPTH + 1][XML_MAX_NAME];  /* [1] is the root; without a namespace's prefix */
	struct buf text;                              /* of the innermost, since its last child */
	bool cut;                                     /* text was longer than the limit */
	/* Private. */
	bool refused;
	bool masked; /* text may have stand-ins for control characters */
	void *parser;
};

/* Returns 0 when the whole body was one well-formed document within the limits, else
 * -EBADMSG; the callbacks have run for what stood before the damage. */
int xml_parse(struct xml_document *d, const char *body, size_t n);
/* For callbacks: ends the parse, which returns -EBADMSG. */
void xml_refuse(struct xml_document *d);
/* Whether the innermost element is this one. */
bool xml_at(const struct xml_document *d, unsigned depth, const char *name);

#endif
