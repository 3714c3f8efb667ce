/* bucket.h - a bucket of names in memory for tests, listed in pages as a server would.
 *
 * An operation is answered at once, by the next bucket_step(), or by the bucket's thread. The
 * counters and the knobs belong to the test's thread while no operation is under way. */
#ifndef PAILFS_TESTS_BUCKET_H
#define PAILFS_TESTS_BUCKET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include "src/store/store_impl.h"

struct bucket {
	struct store store;
	char **keys;             /* sorted by their bytes, no two alike */
	size_t count, capacity;
	size_t page_size;
	enum { BUCKET_AT_ONCE, BUCKET_STEPS, BUCKET_THREAD } mode;

	/* What a server may do. */
	bool shows_prefix_again; /* start_after=a/ shows the common prefix a/ once more */
	bool reversed;           /* pages come in the reverse order of keys */
	bool ignores_start_after;
	unsigned token_circle;   /* tokens repeat after so many pages; 0: never */
	unsigned empty_pages;    /* so many empty pages come before the next one with keys */
	struct test_clock *clock; /* turned by page_ns for each LIST; NULL: none is */
	uint64_t page_ns;
	unsigned unusable;       /* counted in every page */
	int list_error, lookup_error;
	bool exhausts;           /* these errors come at the end of all retries */
	const char *denied;      /* LIST is 403 below this prefix; NULL: nowhere */
	bool denies_heads;       /* an absent key is 403 where LIST is */
	unsigned fail_page;      /* the LIST of this number fails with EIO; 0: none */

	atomic_uint lists, flat_lists, heads;
	char *last_list;         /* of the last LIST: "prefix|delimiter|start_after" */

	pthread_mutex_t lock;    /* of what follows */
	pthread_cond_t wake;
	struct list queue;
	bool stop;
	pthread_t thread;
};

/* capabilities beside STORE_READ_ONLY; root as store_root(). */
struct bucket *bucket_create(unsigned capabilities, const char *root, size_t page_size);
void bucket_destroy(struct bucket *b);
void bucket_set_mode(struct bucket *b, int mode); /* BUCKET_THREAD starts the thread */
void bucket_add(struct bucket *b, const char *key);
void bucket_addf(struct bucket *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void bucket_remove(struct bucket *b, const char *key);
bool bucket_has(const struct bucket *b, const char *key);
/* Is there a key that begins with these bytes and is longer? */
bool bucket_has_below(const struct bucket *b, const char *prefix);
/* Answers the operation that has waited for longest; false when none waits. */
bool bucket_step(struct bucket *b);

/* A clock that a test turns. */
struct test_clock {
	struct clock clock;
	_Atomic uint64_t now;
};
void test_clock_init(struct test_clock *c);

#endif
