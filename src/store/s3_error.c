/* s3_error.c - what an error answer of S3 means, and what to tell the user.
 *
 * One table holds both for every code: the verdict that http_store acts on and the advice
 * that ends the sentence. Codes tell more than statuses (an expired token is a 400, a wrong
 * region a 301 or a 400), but some answers have none: those to HEAD, and those of proxies. */
#include "src/store/s3.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"
#include "src/store/s3_xml.h"

struct failure {
	const char *code;
	enum dialect_verdict verdict;
	const char *advice; /* NULL: the server's own words */
};

#define CHECK_ACCESS "check the bucket's policy or pick another profile with -o profile="
#define CHECK_KEY "check the access key where it comes from, and that the endpoint is its own"
#define RENEW "renew the session where it comes from; it is read again by itself"
#define CHECK_KMS "the key that encrypts it refuses: check its state and policy in KMS"

static const struct failure failures[] = {
        {"NoSuchKey", DIALECT_NOT_FOUND, "it is not in the bucket"},
        {"NoSuchBucket", DIALECT_NO_BUCKET, "check the bucket's name, endpoint and region"},
        {"InvalidBucketName", DIALECT_NO_BUCKET, "the server takes no bucket of this name"},
        {"NoSuchVersion", DIALECT_CHANGED, "this version was deleted; open the file again"},
        {"PreconditionFailed", DIALECT_CHANGED, "it was replaced meanwhile; open the file again"},
        {"InvalidRange", DIALECT_OUT_OF_RANGE, "it is shorter than it was; open the file again"},

        {"AccessDenied", DIALECT_DENIED, CHECK_ACCESS},
        {"AllAccessDisabled", DIALECT_DENIED, NULL},
        {"AccountProblem", DIALECT_DENIED, NULL},
        {"UserSuspended", DIALECT_DENIED, "this user is suspended; ask the server's operator"},
        {"InvalidObjectState", DIALECT_DENIED,
         "it is archived: restore it first (aws s3api restore-object)"},
        {"RequestTimeTooSkewed", DIALECT_CLOCK_SKEW, "set this machine's clock"},
        {"KMS.DisabledException", DIALECT_DENIED, CHECK_KMS},
        {"KMS.NotFoundException", DIALECT_DENIED, CHECK_KMS},
        {"KMS.KMSInvalidStateException", DIALECT_DENIED, CHECK_KMS},
        {"KMS.AccessDeniedException", DIALECT_DENIED, CHECK_KMS},
        {"KMS.ThrottlingException", DIALECT_RETRY, "KMS is being asked too often"},

        /* A rotated key shows as one that the server does not know or whose secret is another, so
         * it is read again. */
        {"InvalidAccessKeyId", DIALECT_EXPIRED, CHECK_KEY},
        {"SignatureDoesNotMatch", DIALECT_EXPIRED,
         "the secret key does not belong to this access key: check it where it comes from"},
        {"ExpiredToken", DIALECT_EXPIRED, RENEW},
        {"ExpiredTokenException", DIALECT_EXPIRED, RENEW},
        {"TokenRefreshRequired", DIALECT_EXPIRED, RENEW},
        {"InvalidToken", DIALECT_EXPIRED, RENEW},

        /* Wrong regions become DIALECT_WRONG_REGION when the answer tells the right one. */
        {"AuthorizationHeaderMalformed", DIALECT_DENIED, "give the bucket's region with -o region="},
        {"IllegalLocationConstraintException", DIALECT_DENIED,
         "give the bucket's region with -o region="},
        {"PermanentRedirect", DIALECT_FATAL, "give the bucket's region with -o region="},
        {"TemporaryRedirect", DIALECT_REDIRECT, NULL},
        {"Redirect", DIALECT_REDIRECT, NULL},

        {"SlowDown", DIALECT_RETRY, "it is asked too often; fewer -o connections= may help"},
        {"SlowDownRead", DIALECT_RETRY, "it is asked too often; fewer -o connections= may help"},
        {"BandwidthLimitExceeded", DIALECT_RETRY, NULL},
        {"RequestLimitExceeded", DIALECT_RETRY, NULL},
        {"Throttling", DIALECT_RETRY, NULL},
        {"ThrottlingException", DIALECT_RETRY, NULL},
        {"TooManyRequests", DIALECT_RETRY, NULL},
        {"ServiceUnavailable", DIALECT_RETRY, "the server is overloaded or being maintained"},
        {"InternalError", DIALECT_RETRY, "the server failed; its log knows why"},
        {"RequestTimeout", DIALECT_RETRY, "the server waited too long for us"},
        {"OperationAborted", DIALECT_RETRY, NULL},

        {"NotImplemented", DIALECT_UNSUPPORTED, NULL},
        {"MethodNotAllowed", DIALECT_UNSUPPORTED, NULL},
};

static const struct failure *find_failure(const char *code)
{
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++)
		if (!strcmp(failures[i].code, code))
			return &failures[i];
	return NULL;
}

/* ---- what it means ---- */

static void copy_printable(char *out, size_t size, const char *s)
{
	size_t n = strnlen(s, size - 1);

	for (size_t i = 0; i < n; i++)
		out[i] = iscntrl((unsigned char)s[i]) ? ' ' : s[i];
	out[n] = '\0';
}

/* "…; the region 'us-east-1' is wrong; expecting 'eu-central-1'": some servers say it in the
 * message only. */
static void region_of_message(const char *message, char region[40])
{
	static const char before[] = "expecting '";
	const char *start = strstr(message, before);
	size_t n;

	if (!start)
		return;
	start += strlen(before);
	n = strcspn(start, "'");
	if (start[n] != '\'' || n >= 40)
		return;
	memcpy(region, start, n);
	region[n] = '\0';
	if (!s3_region_is_valid(region))
		region[0] = '\0';
}

static void take_error(struct dialect_answer *a, const struct s3_error *e)
{
	copy_printable(a->code, sizeof(a->code), e->code);
	copy_printable(a->message, sizeof(a->message), e->message);
	if (!a->request_id[0])
		copy_printable(a->request_id, sizeof(a->request_id), e->request_id);
	/* The header x-amz-bucket-region, where it is, is the bucket's for certain. */
	if (!a->region[0] && s3_region_is_valid(e->region))
		memcpy(a->region, e->region, sizeof(a->region));
	if (!a->region[0])
		region_of_message(e->message, a->region);
	if (!a->region[0])
		s3_region_of_host(e->endpoint, strlen(e->endpoint), a->region);
}

static bool speaks_of_region(const char *code)
{
	return !strcmp(code, "AuthorizationHeaderMalformed") || !strcmp(code, "PermanentRedirect") ||
	       !strcmp(code, "IllegalLocationConstraintException");
}

enum dialect_verdict s3_classify(const void *config, const struct dialect_call *call,
                                 struct dialect_answer *a, const char *body, size_t n)
{
	const struct s3_config *c = config;
	const struct failure *failure;
	enum dialect_verdict verdict;
	struct s3_error e;

	/* Cut or damaged, an error still tells what it told so far. */
	s3_xml_parse_error(body, n, &e);
	take_error(a, &e);
	failure = find_failure(a->code);
	if (failure)
		verdict = failure->verdict;
	else if (!strncmp(a->code, "KMS.", 4))
		verdict = DIALECT_DENIED;
	else
		verdict = dialect_classify_status(a->status);

	if (a->region[0] && (speaks_of_region(a->code) ||
	                     (!a->code[0] && (a->status == 301 || a->status == 400))))
		return DIALECT_WRONG_REGION;
	/* To a HEAD, S3 answers an expired token with a bare 400. */
	if (!a->code[0] && a->status == 400 && call->op == DIALECT_HEAD)
		return DIALECT_EXPIRED;
	/* S3's 301 says where the bucket is, if at all, by its region. */
	if (verdict == DIALECT_REDIRECT && a->status == 301 && !a->location[0])
		return DIALECT_FATAL;
	if (verdict == DIALECT_NOT_FOUND && call->op == DIALECT_LIST)
		return DIALECT_NO_BUCKET;
	/* Others may have learnt it while this request was under way. */
	if (verdict == DIALECT_DENIED && call->op == DIALECT_GET && !strcmp(a->code, "AccessDenied") &&
	    strstr(a->url, "?versionId=")) {
		atomic_store(&c->memory->no_versions, true);
		return DIALECT_AGAIN;
	}
	return verdict;
}

/* ---- what to say ---- */

/* The permission that the operation needs is the name that the user will look for. */
static const char *operation_name(enum dialect_op op)
{
	switch (op) {
	case DIALECT_LIST:
		return "ListBucket";
	case DIALECT_HEAD:
		return "HeadObject";
	case DIALECT_GET:
		return "GetObject";
	}
	return "request";
}

static const char *status_name(int status)
{
	switch (status) {
	case 301:
		return "Moved Permanently";
	case 307:
		return "Temporary Redirect";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 412:
		return "Precondition Failed";
	case 416:
		return "Range Not Satisfiable";
	case 429:
		return "Too Many Requests";
	case 500:
		return "Internal Server Error";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	}
	return "answer";
}

/* What a status means to S3 when no code stands beside it. */
static const char *code_of_status(const struct dialect_call *call, int status)
{
	switch (status) {
	case 301:
		return "PermanentRedirect";
	case 400:
		return "ExpiredToken";
	case 401:
	case 403:
		return "AccessDenied";
	case 404:
		return call->op == DIALECT_LIST ? "NoSuchBucket" : "NoSuchKey";
	case 412:
		return "PreconditionFailed";
	case 416:
		return "InvalidRange";
	case 503:
		return "ServiceUnavailable";
	}
	return "";
}

static void add_skew(struct buf *out, int64_t seconds)
{
	int64_t size = seconds < 0 ? -seconds : seconds;

	buf_addf(out, "; this machine's clock is %" PRId64 " %s %s the server's: set it",
	         size >= 120 ? size / 60 : size, size >= 120 ? "minutes" : "seconds",
	         seconds < 0 ? "behind" : "ahead of");
}

void s3_explain(const void *config, const struct dialect_call *call,
                const struct dialect_session *session, const struct dialect_answer *a,
                enum dialect_verdict verdict, struct buf *out)
{
	const struct s3_config *c = config;
	const struct failure *failure =
	        find_failure(a->code[0] ? a->code : code_of_status(call, a->status));
	bool denied = verdict == DIALECT_DENIED || verdict == DIALECT_EXPIRED ||
	              verdict == DIALECT_CLOCK_SKEW;

	/* An endpoint with a path in it turns the bucket's name into a key's. */
	if (verdict == DIALECT_NO_BUCKET && failure && failure->verdict == DIALECT_NOT_FOUND)
		failure = find_failure("NoSuchBucket");
	if (call->op == DIALECT_LIST) {
		size_t n = call->prefix ? strlen(call->prefix) : 0;

		/* As a source is written: no slash at its end. */
		n -= n && call->prefix[n - 1] == '/';
		buf_addf(out, "s3://%s%s", c->bucket, n ? "/" : "");
		if (n)
			buf_add_quoted(out, call->prefix, n, 80);
	} else {
		buf_addf(out, "s3://%s/", c->bucket);
		buf_add_quoted(out, call->key, strlen(call->key), 80);
	}
	buf_addf(out, ": %d %s for %s", a->status, a->code[0] ? a->code : status_name(a->status),
	         operation_name(call->op));
	if (denied && session->credentials) {
		buf_adds(out, " with key ");
		dialect_add_short_id(out, session->credentials->id);
		buf_addf(out, " (from %s)", session->credentials->origin);
	} else if (denied) {
		buf_adds(out, " without credentials");
	}
	if (verdict == DIALECT_NO_BUCKET) {
		buf_adds(out, " at ");
		s3_endpoint(c, 0, session->region, out);
	}

	if (verdict == DIALECT_CLOCK_SKEW && a->date_s)
		add_skew(out, session->realtime_ns / (int64_t)NS_PER_SECOND - a->date_s);
	else if (verdict == DIALECT_DENIED && !session->credentials)
		buf_adds(out, "; it is not public: give credentials instead of -o no_sign");
	else if (verdict == DIALECT_WRONG_REGION && strcmp(a->region, session->region) != 0)
		buf_addf(out, "; the bucket is in region %s: mount with -o region=%s", a->region,
		         a->region);
	else if (failure && failure->advice)
		buf_addf(out, "; %s", failure->advice);
	else if (a->message[0])
		buf_addf(out, ": %s", a->message);
}
