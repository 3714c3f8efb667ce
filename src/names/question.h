/* question.h - what to ask the store about names; question.c says why just that.
 *
 * Pure but for the notes that it leaves in the index, whose lock the caller holds. */
#ifndef PAILFS_NAMES_QUESTION_H
#define PAILFS_NAMES_QUESTION_H

#include <stdbool.h>
#include "index.h"

enum fetch_kind {
	FETCH_PAGE,  /* LIST, one page */
	FETCH_WHOLE, /* LIST, every page of a directory */
	FETCH_HEAD,  /* HEAD name, then name/ */
	FETCH_ONLY,  /* HEAD of the one object that there is */
};

/* All strings are owned. */
struct question {
	enum fetch_kind kind;
	bool delimited;
	char *prefix;       /* of the LIST, or the key */
	char *start_after;  /* NULL: from the prefix's first key */
	char *continuation; /* NULL, or a token that means the same as start_after */
	char *goal;         /* NULL, or the page must reach this key, or the end */
	char *directory;    /* which directory it was asked for */
};

/* About one key, or all that begin with it, of a directory. */
struct question question_key(enum fetch_kind kind, const char *directory, const char *key);
/* The LIST of a directory from its first page to its last. */
struct question question_whole(const char *directory);
/* The LIST that goes on with a directory at a gap in what is known of it. `root`: the topmost
 * directory that may be listed; `flat`: the store can list without grouping. */
struct question question_listing(struct index *ix, const char *directory, const struct place *gap,
                                 const char *root, bool flat, struct index_time time);
void question_release(struct question *q);

/* Do both have the same answer? */
bool question_equals(const struct question *a, const struct question *b);

#endif
