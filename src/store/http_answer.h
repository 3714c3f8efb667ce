/* http_answer.h - what the headers of an answer say, and whether it is the answer to what was
 * asked (R2, R3). Pure. */
#ifndef PAILFS_STORE_HTTP_ANSWER_H
#define PAILFS_STORE_HTTP_ANSWER_H

#include "src/store/dialect.h"

/* Notes a header of plain HTTP; others are ignored. name is in lower case. */
void answer_header(struct dialect_answer *a, const char *name, const char *value, size_t n);

/* Sets attr->etag to an entity tag of a header or a document, always in quotes: some servers leave
 * them out, in both or in one. An empty tag, as of servers that have none, or one that is too
 * long tells nothing: "". */
void answer_take_etag(struct store_attr *attr, const char *tag, size_t n);

/* "bytes 0-99/1234", "bytes 0-99/ *", "bytes * /1234" (without the blanks). Returns 0 and sets the
 * range, half-open, and the total, each DIALECT_UNKNOWN where it is '*'; or -EINVAL. */
int answer_parse_content_range(const char *s, size_t n, uint64_t *start, uint64_t *end, uint64_t *total);

enum answer_check {
	ANSWER_GOOD,
	ANSWER_CHANGED, /* of another version than the pinned one */
	ANSWER_WRONG,   /* not what was asked: to be asked again */
	ANSWER_IGNORED_RANGE, /* the whole value instead of the range */
};

/* Judges the headers of a 2xx answer to a ranged GET before its body is believed. *why is
 * a few words on anything but ANSWER_GOOD. A good answer with status 206 may end before the
 * range that was asked for does: range_end tells (RFC 9110, 15.3.7). */
enum answer_check answer_check_get(const struct dialect_call *call, const struct dialect_answer *a,
                                   const char **why);

/* Whether an entity tag may stand in If-Match: a weak one never matches there (RFC 9110). */
bool answer_etag_is_strong(const char *etag);

#endif
