/* http_index.h - what web servers send for a folder, read into a page of a listing. Pure.
 *
 * Three forms: WebDAV's multistatus (exact in everything), nginx's JSON index (exact, without
 * ETags) and any server's HTML index, which is believed for names only: sizes there may be
 * rounded and times are in anybody's zone, so its files have size_unknown set. */
#ifndef PAILFS_STORE_HTTP_INDEX_H
#define PAILFS_STORE_HTTP_INDEX_H

#include <stddef.h>
#include "src/store/list_page.h"

/* Where entries go and which are wanted. */
struct http_index {
	const char *url;       /* absolute, of the folder; ends in '/' */
	const char *directory; /* the key prefix that it stands for: "" or ending in '/' */
	const char *prefix;    /* keys must begin so */
	struct list_page *page;
};

/* Each returns 0, or -EBADMSG for a body that is no such index; the page is then half filled
 * and only to be released. Names that cannot be file names are counted as unusable. */
int http_index_parse_dav(const struct http_index *index, const char *body, size_t n);
int http_index_parse_json(const struct http_index *index, const char *body, size_t n);
int http_index_parse_html(const struct http_index *index, const char *body, size_t n);

/* libxml2 wants to be initialised before threads meet in it; call it from the main one. */
void http_index_init(void);

#endif
