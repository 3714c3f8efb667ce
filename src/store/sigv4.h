/* sigv4.h - AWS Signature Version 4, as S3 wants it.
 *
 * Everything but the cache is a pure function: the time, the keys and the request come in,
 * text comes out. Paths and queries arrive as they go over the wire, percent-encoded once
 * (S3 signs the path as sent; other services encode it a second time). Any thread may call
 * these.
 *
 * Source: "Authenticating Requests: Using the Authorization Header" in the S3 API reference,
 * and the published aws-sig-v4-test-suite. */
#ifndef PAILFS_STORE_SIGV4_H
#define PAILFS_STORE_SIGV4_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include "pailfs/base/buf.h"
#include "pailfs/base/crypto.h"

#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"
/* SHA-256 of nothing: the payload of a request without a body. */
#define SIGV4_EMPTY_PAYLOAD "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SIGV4_DATE_SIZE 17 /* "20130524T000000Z" and its NUL */
#define SIGV4_DAY_LENGTH 8
#define SIGV4_CACHED_SECRET 128
#define SIGV4_MAX_HEADERS 32 /* that one request may sign */

struct sigv4_header {
	const char *name;  /* lower case, each name once */
	const char *value; /* spaces at the ends and runs of spaces do not count */
};

struct sigv4_request {
	const char *method;  /* "GET" … */
	const char *path;    /* as sent, "/…" without a query */
	const char *query;   /* as sent, "name=value&name", any number in any order; "" none */
	const struct sigv4_header *headers; /* those to sign, in any order; host must be one */
	size_t header_count; /* at most SIGV4_MAX_HEADERS */
	const char *payload; /* lower case hex SHA-256 of the body, or SIGV4_UNSIGNED_PAYLOAD */
};

/* What a signature is good for: one day, one region, one service. */
struct sigv4_key {
	char day[SIGV4_DAY_LENGTH + 1];
	char region[64], service[16];
	uint8_t secret[SHA256_SIZE];
};

/* Formats ns since the epoch for x-amz-date. */
void sigv4_format_date(int64_t ns, char date[SIGV4_DATE_SIZE]);

/* Adds the canonical request to `out`, and its list of signed headers to `signed_headers`. */
void sigv4_canonical_request(const struct sigv4_request *r, struct buf *out,
                             struct buf *signed_headers);

/* Derives the day's key. Returns 0, or -EINVAL for a region or service that is too long.
 * The caller wipes the key when done with it. */
int sigv4_derive_key(const char *secret_key, const char *date, const char *region,
                     const char *service, struct sigv4_key *key);

/* Adds the value of the Authorization header for a request whose x-amz-date is `date`. */
void sigv4_authorize(const struct sigv4_request *r, const struct sigv4_key *key,
                     const char *access_key, const char *date, struct buf *out);

/* The last derived key: a day has one, and deriving it costs four HMACs. It changes no result. */
struct sigv4_cache {
	pthread_mutex_t lock;
	char secret_key[SIGV4_CACHED_SECRET]; /* that `key` was derived from; a longer one is not kept */
	struct sigv4_key key;
};

void sigv4_cache_init(struct sigv4_cache *c);
void sigv4_cache_release(struct sigv4_cache *c); /* wipes what it holds */
/* As sigv4_derive_key. */
int sigv4_cache_get(struct sigv4_cache *c, const char *secret_key, const char *date,
                    const char *region, const char *service, struct sigv4_key *key);

#endif
