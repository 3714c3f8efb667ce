/* http_index.c - what web servers send for a folder, read into a page of a listing.
 *
 * WebDAV and HTML name children by references, which are resolved against the folder's URL:
 * what lands directly below it is a child, everything else (the parent, sorting links, a
 * logo, a page's links to another host) is not. Both sides are compared decoded, since servers differ in what
 * they encode. */
#include "src/store/http_index.h"

#include <errno.h>
#include <jansson.h>
#include <libxml/HTMLparser.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/xalloc.h"
#include "src/store/dialect.h"
#include "src/store/http_answer.h"
#include "src/store/url.h"
#include "src/store/xml.h"

#define ENTRIES_MAX 1000000

/* Adds a child, unless it is not wanted. */
static int add_child(const struct http_index *index, const char *name, size_t n, bool is_directory,
                     struct store_attr *attr)
{
	struct buf key = BUF_INIT;

	if (index->page->count + index->page->unusable >= ENTRIES_MAX)
		return -EBADMSG;
	if (!n || memchr(name, '/', n) || memchr(name, '\0', n) || (n == 1 && name[0] == '.') ||
	    (n == 2 && !memcmp(name, "..", 2))) {
		index->page->unusable++;
		return 0;
	}
	buf_adds(&key, index->directory);
	buf_add(&key, name, n);
	if (is_directory)
		buf_addc(&key, '/');
	attr->is_prefix = is_directory;
	if (!strncmp(key.data, index->prefix, strlen(index->prefix)))
		list_page_add(index->page, key.data, key.length, attr);
	buf_release(&key);
	return 0;
}

/* Finds the child that a reference leads to: true and its name, decoded, without the slash of
 * a folder. */
static bool find_child(const struct http_index *index, const char *reference, bool any_host,
                       struct buf *name, bool *is_directory)
{
	struct buf absolute = BUF_INIT, base_path = BUF_INIT, path = BUF_INIT;
	struct url base, target;
	bool found = false;
	size_t n;

	if (url_resolve(index->url, reference, &absolute) || url_split(absolute.data, &target) ||
	    url_split(index->url, &base) || target.has_query ||
	    !(any_host || url_same_origin(&base, &target)))
		goto out;
	/* An encoded slash or dot would turn into structure when it is decoded: the name is then
	 * found unusable by add_child. */
	n = target.path.n;
	*is_directory = n && target.path.s[n - 1] == '/';
	n -= *is_directory;
	while (n && target.path.s[n - 1] != '/')
		n--;
	url_add_decoded(&base_path, base.path.s, base.path.n);
	url_add_decoded(&path, target.path.s, n);
	if (path.length != base_path.length || memcmp(path.data, base_path.data, path.length) != 0)
		goto out;
	url_add_decoded(name, target.path.s + n, target.path.n - n - *is_directory);
	found = name->length > 0;
out:
	buf_release(&absolute);
	buf_release(&base_path);
	buf_release(&path);
	return found;
}

/* ---- WebDAV ---- */

struct multistatus {
	const struct http_index *index;
	bool is_multistatus;
	int error;
	/* Of the response that is open. */
	struct buf href;
	struct store_attr attr, found; /* `found` of the propstat that is open */
	bool is_directory, has_size, good;
};

static void copy_text(char *out, size_t size, const struct buf *text)
{
	if (text->length < size)
		memcpy(out, text->data, text->length + 1);
}

static void dav_start(struct xml_document *d)
{
	struct multistatus *m = d->result;

	if (d->depth == 1)
		m->is_multistatus = !strcmp(d->names[1], "multistatus");
	if (xml_at(d, 2, "response")) {
		buf_reset(&m->href);
		m->attr = (struct store_attr){.size_unknown = true};
		m->is_directory = false;
	} else if (xml_at(d, 3, "propstat")) {
		m->found = (struct store_attr){.size_unknown = true};
		m->good = true;
	}
}

/* A property of the propstat that is open. */
static void dav_property(struct xml_document *d, struct multistatus *m)
{
	const char *name = d->names[5];
	struct store_attr *a = &m->found;

	if (d->cut)
		return;
	if (!strcmp(name, "getcontentlength"))
		a->size_unknown = dialect_parse_number(d->text.data, d->text.length, &a->size) != 0;
	else if (!strcmp(name, "getlastmodified"))
		a->mtime_ns = dialect_parse_date(d->text.data, d->text.length);
	else if (!strcmp(name, "getetag"))
		answer_take_etag(a, d->text.data, d->text.length);
	else if (!strcmp(name, "getcontenttype"))
		copy_text(a->content_type, sizeof(a->content_type), &d->text);
}

static void dav_response(struct xml_document *d, struct multistatus *m)
{
	struct buf name = BUF_INIT;
	bool slash;

	/* A server behind a proxy may name itself as it knows itself; all that it lists are
	 * members of the folder. */
	if (find_child(m->index, m->href.data, true, &name, &slash))
		m->error = add_child(m->index, name.data, name.length, slash || m->is_directory, &m->attr);
	buf_release(&name);
	if (m->error)
		xml_refuse(d);
}

static void dav_end(struct xml_document *d)
{
	struct multistatus *m = d->result;

	if (xml_at(d, 3, "href") && !d->cut) {
		buf_reset(&m->href);
		buf_add(&m->href, d->text.data, d->text.length);
	} else if (d->depth == 5 && !strcmp(d->names[4], "prop")) {
		dav_property(d, m);
	} else if (xml_at(d, 6, "collection") && !strcmp(d->names[5], "resourcetype")) {
		m->is_directory = true;
	} else if (xml_at(d, 4, "status")) {
		m->good = strstr(d->text.data, " 200") != NULL;
	} else if (xml_at(d, 3, "propstat") && m->good) {
		m->attr = m->found;
	} else if (xml_at(d, 2, "response")) {
		dav_response(d, m);
	}
}

int http_index_parse_dav(const struct http_index *index, const char *body, size_t n)
{
	struct multistatus m = {.index = index, .href = BUF_INIT};
	struct xml_document d = {.start = dav_start, .end = dav_end, .result = &m};
	int r = xml_parse(&d, body, n);

	buf_release(&m.href);
	return r || m.error || !m.is_multistatus ? -EBADMSG : 0;
}

/* ---- nginx's JSON ----
 *
 * An index is read an entry at a time: a tree of all of it could be a hundred times its text.
 *
 * nginx writes the bytes of file names as they are, and names need not be UTF-8. JSON must be,
 * so that one such name would cost all the others. Its structure is ASCII, though: an entry that
 * is not UTF-8 is read as Latin-1, where each byte is a character, and the characters of its
 * name are bytes again. */

/* Of text: a name of 255 bytes takes at most 1,530. */
#define JSON_ENTRY_MAX 8192

static void add_latin1_as_utf8(struct buf *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x80)
			buf_addc(out, (char)(0xc0 | c >> 6));
		buf_addc(out, (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c));
	}
}

/* What Latin-1 does not have was escaped, and is UTF-8 then. */
static void add_utf8_as_latin1(struct buf *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == 0xc2 || c == 0xc3)
			c = (unsigned char)((c & 3) << 6 | (s[++i] & 0x3f));
		buf_addc(out, (char)c);
	}
}

/* Reads what s begins with; *length is how long that is. NULL: no JSON. */
static json_t *load_json(const char *s, size_t n, size_t *length)
{
	json_error_t where;
	json_t *value = json_loadb(s, n, JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, &where);

	*length = value ? (size_t)where.position : 0;
	return value;
}

/* As load_json; the value's strings hold characters that stand for bytes. */
static json_t *load_latin1(const char *s, size_t n, size_t *length)
{
	struct buf text = BUF_INIT;
	size_t of_text;
	json_t *value;

	add_latin1_as_utf8(&text, s, n);
	value = load_json(text.data, text.length, &of_text);
	*length = 0;
	for (size_t i = 0; i < of_text; i++)
		*length += (text.data[i] & 0xc0) != 0x80; /* a character's first byte */
	buf_release(&text);
	return value;
}

static int add_json_entry(const struct http_index *index, const json_t *entry, bool latin1)
{
	const json_t *name = json_object_get(entry, "name"), *size = json_object_get(entry, "size");
	const char *type = json_string_value(json_object_get(entry, "type"));
	const char *mtime = json_string_value(json_object_get(entry, "mtime"));
	struct store_attr attr = {.size_unknown = true};
	struct buf bytes = BUF_INIT;
	int r;

	if (!json_is_string(name) || !type)
		return -EBADMSG;
	/* What is neither cannot be read. */
	if (strcmp(type, "file") != 0 && strcmp(type, "directory") != 0)
		return 0;
	if (json_is_integer(size) && json_integer_value(size) >= 0) {
		attr.size = (uint64_t)json_integer_value(size);
		attr.size_unknown = false;
	}
	if (mtime)
		attr.mtime_ns = dialect_parse_date(mtime, strlen(mtime));
	if (!latin1)
		return add_child(index, json_string_value(name), json_string_length(name), *type == 'd',
		                 &attr);
	add_utf8_as_latin1(&bytes, json_string_value(name), json_string_length(name));
	r = add_child(index, bytes.data, bytes.length, *type == 'd', &attr);
	buf_release(&bytes);
	return r;
}

static void skip_blanks(const char **s, const char *end)
{
	while (*s < end && memchr(" \t\r\n", **s, 4))
		(*s)++;
}

static bool take(const char **s, const char *end, char c)
{
	skip_blanks(s, end);
	if (*s == end || **s != c)
		return false;
	(*s)++;
	return true;
}

static int take_entry(const struct http_index *index, const char **s, const char *end)
{
	size_t n = MIN((size_t)(end - *s), JSON_ENTRY_MAX), length;
	json_t *entry = load_json(*s, n, &length);
	bool latin1 = !entry;
	int r;

	if (latin1)
		entry = load_latin1(*s, n, &length);
	r = entry ? add_json_entry(index, entry, latin1) : -EBADMSG;
	json_decref(entry);
	*s += length;
	return r;
}

int http_index_parse_json(const struct http_index *index, const char *body, size_t n)
{
	const char *s = body, *end = body + n;
	int r = 0;

	if (!take(&s, end, '['))
		return -EBADMSG;
	if (!take(&s, end, ']')) {
		do
			r = take_entry(index, &s, end);
		while (!r && take(&s, end, ','));
		if (!r && !take(&s, end, ']'))
			r = -EBADMSG;
	}
	skip_blanks(&s, end);
	return r || s == end ? r : -EBADMSG;
}

/* ---- HTML ---- */

/* libxml2's parser is run as a stream of events: no tree is built, so no nesting is too deep. */
struct page {
	const struct http_index *index;
	struct buf last; /* the child seen last, a folder with its slash: many indexes link an icon
	                  * and a name */
	bool is_html;
	int error;
};

static void html_link(struct page *p, const char *reference)
{
	struct store_attr attr = {.size_unknown = true};
	struct buf name = BUF_INIT;
	bool is_directory;

	if (p->error || !find_child(p->index, reference, false, &name, &is_directory))
		goto out;
	if (is_directory)
		buf_addc(&name, '/');
	if (name.length != p->last.length || memcmp(name.data, p->last.data, name.length) != 0) {
		p->error = add_child(p->index, name.data, name.length - is_directory, is_directory,
		                     &attr);
		buf_reset(&p->last);
		buf_add(&p->last, name.data, name.length);
	}
out:
	buf_release(&name);
}

static void html_start(void *data, const xmlChar *name, const xmlChar **attributes)
{
	struct page *p = data;

	p->is_html = true;
	if (strcasecmp((const char *)name, "a") != 0 || !attributes)
		return;
	for (; attributes[0]; attributes += 2)
		if (!strcasecmp((const char *)attributes[0], "href") && attributes[1])
			html_link(p, (const char *)attributes[1]);
}

void http_index_init(void)
{
	xmlInitParser();
}

int http_index_parse_html(const struct http_index *index, const char *body, size_t n)
{
	xmlSAXHandler handler = {.startElement = html_start};
	struct page p = {.index = index, .last = BUF_INIT};
	htmlParserCtxtPtr parser;
	int r;

	if (n > INT32_MAX)
		return -EBADMSG;
	/* The encoding is told, so that bytes come out as they went in, or nearly. */
	parser = htmlCreatePushParserCtxt(&handler, &p, NULL, 0, NULL, XML_CHAR_ENCODING_UTF8);
	if (!parser)
		return -ENOMEM;
	htmlCtxtUseOptions(parser, HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
	                                   HTML_PARSE_NONET);
	htmlParseChunk(parser, body, (int)n, 1);
	xmlFreeDoc(parser->myDoc);
	htmlFreeParserCtxt(parser);
	r = p.error || !p.is_html ? -EBADMSG : 0;
	buf_release(&p.last);
	return r;
}
