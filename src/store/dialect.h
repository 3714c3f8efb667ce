/* dialect.h - how one kind of HTTP service is spoken to, as pure functions.
 *
 * http_store implements the asynchronous operations once: queueing, retries, redirects,
 * credentials that expire, checking of every answer. What differs between services is a
 * dialect: which request an operation is, how it is signed, what the answer says. A dialect
 * is one file with one `const struct dialect` at its end and one line in store.c's table.
 *
 * Everything here but configure() and credentials*() is a pure function of its arguments: no
 * I/O, no lock, no clock, so a table of inputs tests it and a fuzzer reaches it. They run on
 * any thread, many at once; `config` is immutable after configure(), or atomic.
 *
 * The life of an attempt:
 *
 *	build -> sign -> (network) -> header... -> 2xx: parse_list, or the body is the data
 *	                                        -> otherwise: classify -> retry, again, or explain
 */
#ifndef PAILFS_STORE_DIALECT_H
#define PAILFS_STORE_DIALECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "pailfs/base/buf.h"
#include "pailfs/net.h"
#include "pailfs/store.h"
#include "src/store/list_page.h"

/* ---- configuration ---- */

/* What configure() found out. All strings are malloc'ed, not NULL, and freed by http_store. */
struct dialect_source {
	void *config;          /* the dialect's own; release() frees it */
	unsigned capabilities; /* enum store_capability */
	char *display;         /* the source as sentences and logs name it: "s3://data"; no
	                        * secret, no query string */
	char *root;            /* store_root(): key prefix, or the single file's key */
	char *identity;        /* store_identity(): endpoint, account, bucket */
	char *region;          /* to start with; "" when the service has none */
	size_t endpoint_count; /* 1 to 64 */
};

/* A snapshot of credentials, counted: an attempt signs with the one that it took even when
 * a newer one has come since. */
struct dialect_credentials {
	atomic_uint refs;
	int64_t expires_ns;    /* realtime; INT64_MAX: never */
	char *id;              /* access key or account; "" anonymous */
	char *secret;          /* never shown */
	char *token;           /* session token; "" none; never shown */
	char *origin;          /* for sentences: "AWS_ACCESS_KEY_ID", "profile data in ~/.aws/…" */
};

/* Copies the strings; NULL counts as "". The result has one reference. */
struct dialect_credentials *dialect_credentials_create(const char *id, const char *secret,
                                                       const char *token, const char *origin,
                                                       int64_t expires_ns);
struct dialect_credentials *dialect_credentials_ref(struct dialect_credentials *c);
/* Clears secrets before it frees. NULL is fine. */
void dialect_credentials_unref(struct dialect_credentials *c);
/* Adds an access key so that its owner knows it and nobody else learns it: AKIA…7Q2. */
void dialect_add_short_id(struct buf *out, const char *id);

/* ---- requests ---- */

enum dialect_op { DIALECT_LIST, DIALECT_HEAD, DIALECT_GET };

/* One operation, as http_store asks for it. */
struct dialect_call {
	enum dialect_op op;
	/* HEAD, GET: the whole key, any bytes but NUL. */
	const char *key;
	/* GET: [offset, offset + length), length > 0. */
	uint64_t offset, length;
	/* GET: the version that must answer (If-Match, version id …); NULL: whichever is there. */
	const struct store_attr *version;
	/* LIST, as in struct store_list. */
	const char *prefix, *start_after, *continuation; /* the last two may be NULL */
	bool delimited;
};

#define DIALECT_MAX_HEADERS 24

struct dialect_request {
	enum net_method method;
	struct buf url;                      /* absolute and encoded, as it goes out */
	char *headers[DIALECT_MAX_HEADERS];  /* "Name: value", malloc'ed */
	size_t header_count;
	struct buf body;                     /* what PUT, POST and PROPFIND send */
};

void dialect_request_init(struct dialect_request *r);
void dialect_request_release(struct dialect_request *r);
/* Adds a header line; a value with CR, LF or NUL in it is cut there. */
void dialect_request_header(struct dialect_request *r, const char *name, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* The value of a header line of r, case-insensitively; NULL when it is not there. */
const char *dialect_request_find(const struct dialect_request *r, const char *name);

/* What signing needs beside the request. */
struct dialect_session {
	const struct dialect_credentials *credentials; /* NULL: anonymous */
	const char *region;                            /* as configured or learnt */
	int64_t realtime_ns;
};

/* ---- answers ---- */

#define DIALECT_UNKNOWN UINT64_MAX

/* What the headers of an answer and, after classify(), an error body said. Zeroed with
 * dialect_answer_init before each attempt. The headers of plain HTTP (content-length,
 * transfer-encoding, content-range, content-type, etag, last-modified, date, location,
 * retry-after) are read by http_store itself; header() adds what only the dialect knows. */
struct dialect_answer {
	int status;
	const char *url;                    /* that answered, behind redirects; for classify(), parse_list() */
	uint64_t content_length;            /* DIALECT_UNKNOWN: not told */
	bool encoded;                       /* there is a Transfer-Encoding */
	uint64_t range_start, range_end;    /* Content-Range, half-open; both UNKNOWN without one */
	uint64_t range_total;               /* its total; UNKNOWN: '*' or none */
	bool has_range;                     /* a well-formed Content-Range was there */
	struct store_attr attr;             /* etag, mtime, version, class, type; size is http_store's */
	int64_t date_s;                     /* the server's clock; 0: not told */
	uint64_t retry_after_ns;            /* 0: not told */
	int64_t retry_at_s;                 /* the same as a date, by the server's clock; 0: not told */
	char location[8192];                /* "" none, or longer; as sent, may be relative */
	char region[40];                    /* where the bucket is, if the answer told */
	char request_id[96];                /* for the log; as sent */
	/* Of the error's body. */
	char code[64];                      /* "NoSuchKey"; "" none */
	char message[200];                  /* the server's words, printable; "" none */
};

void dialect_answer_init(struct dialect_answer *a);

enum dialect_verdict {
	DIALECT_RETRY,         /* 5xx, 429, SlowDown, RequestTimeout …: later, elsewhere */
	DIALECT_NOT_FOUND,     /* the key is not there: ENOENT */
	DIALECT_NO_BUCKET,     /* nor is the bucket: ENOENT, with another sentence */
	DIALECT_DENIED,        /* EACCES */
	DIALECT_EXPIRED,       /* credentials: read them again, try once more, then EACCES */
	DIALECT_WRONG_REGION,  /* answer.region tells: learn it, try again at once */
	DIALECT_REDIRECT,      /* follow answer.location (F3) */
	DIALECT_CHANGED,       /* 412: another version: ESTALE */
	DIALECT_OUT_OF_RANGE,  /* 416 */
	DIALECT_CLOCK_SKEW,    /* ours differs from the server's: EACCES */
	DIALECT_AGAIN,         /* the dialect learnt how to ask: build anew at once (a few times) */
	DIALECT_UNSUPPORTED,   /* 405, 501, NotImplemented: EOPNOTSUPP */
	DIALECT_FATAL,         /* anything else: EIO without a retry */
};

struct dialect {
	const char *name;                   /* store_name(): "s3" */

	/* Parses source and options. Asks nothing of the network and does not read credentials.
	 * Returns 0, or -errno with a line in `error`: what, where, what to do. */
	int (*configure)(const struct store_config *config, struct dialect_source *out, struct buf *error);
	void (*release)(void *config);

	/* Writes the base URL of endpoint `index` as it is in this region, without a trailing
	 * slash: "https://s3.eu-west-1.amazonaws.com". */
	void (*endpoint)(const void *config, size_t index, const char *region, struct buf *url);

	/* Reads the credentials anew; may block on files, so http_store calls it from
	 * store_create and from a thread of its own. *out NULL: anonymous. NULL: the service has
	 * none. Returns 0, or -EACCES with a sentence. */
	int (*credentials)(const void *config, struct dialect_credentials **out, struct buf *error);

	/* A number that changes when what credentials() reads has changed; 0: that never does. May
	 * block, as credentials() may. NULL: as one that returns 0. */
	uint64_t (*credentials_stamp)(const void *config);

	/* Fills an initialised request: method, URL on this endpoint, headers (no User-Agent,
	 * Accept-Encoding, Host or Content-Length). Returns 0, -EINVAL for what the service
	 * cannot express, -EOPNOTSUPP for an operation that it lacks. */
	int (*build)(const void *config, const struct dialect_call *call, const char *endpoint,
	             struct dialect_request *r);
	/* Adds what authenticates the request, from its URL (whose host may be a redirect's, not
	 * the endpoint's), headers and body as they are. NULL: nothing to sign. */
	void (*sign)(const void *config, const struct dialect_session *session, struct dialect_request *r);
	/* Whether a request to this absolute URL may carry credentials: same provider's domain or
	 * one of our endpoints. NULL: never. */
	bool (*trusts)(const void *config, const char *url);

	/* A header of an answer, name in lower case, value trimmed. May be NULL. */
	void (*header)(const void *config, struct dialect_answer *a, const char *name, const char *value,
	               size_t n);
	/* Bytes of a listing's page at most; a longer one fails. */
	size_t list_max;
	/* Adds the page's entries, sets the continuation. Returns 0, -EBADMSG for a body that is
	 * no listing (retried, then EIO), -ESTALE for one that repeats call->continuation. NULL
	 * without STORE_LIST. */
	int (*parse_list)(const void *config, const struct dialect_call *call, const struct dialect_answer *a,
	                  const char *body, size_t n, struct list_page *page);

	/* An answer that is not a success of this call: fills code, message, region … of `a` from
	 * the body (cut at 64 KiB, may be empty: HEAD) and says what it means. */
	enum dialect_verdict (*classify)(const void *config, const struct dialect_call *call,
	                                 struct dialect_answer *a, const char *body, size_t n);
	/* Adds the sentence for a final failure: what, where, what to do, without "pailfs: " and
	 * without a newline, at most some 200 bytes: "s3://data: 403 AccessDenied for
	 * ListObjectsV2 with key AKIA…7Q2 (from AWS_ACCESS_KEY_ID); check the bucket's policy or
	 * pick another profile with -o profile=". http_store adds the request's ID. Never a
	 * secret, never a query string. NULL: http_store's own words. */
	void (*explain)(const void *config, const struct dialect_call *call, const struct dialect_session *session,
	                const struct dialect_answer *a, enum dialect_verdict verdict, struct buf *out);
};

/* Registered in store.c. */
extern const struct dialect dialect_s3, dialect_http, dialect_http_folder;

/* ---- shared by dialects ---- */

/* An HTTP date in any of RFC 9110's three forms, or ISO 8601 as S3 and WebDAV write it
 * ("2024-01-31T12:00:00.000Z"), in ns since the epoch; 0 when it is none. */
int64_t dialect_parse_date(const char *s, size_t n);
/* Digits only, no sign, no overflow. Returns 0 or -EINVAL. */
int dialect_parse_number(const char *s, size_t n, uint64_t *out);
/* What plain HTTP says about a status: 404 and 410 NOT_FOUND, 401 and 403 DENIED, 3xx REDIRECT,
 * 412 CHANGED, 416 OUT_OF_RANGE, 408, 425, 429, 5xx RETRY (501, 505: UNSUPPORTED) … For what
 * the dialect's body does not tell better. */
enum dialect_verdict dialect_classify_status(int status);

#endif
