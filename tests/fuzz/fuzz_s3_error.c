/* Any bytes as the body of an error, under any status: what comes out can be acted on and be
 * logged in one line. The first two bytes choose the status and the operation. */
#include <ctype.h>
#include <string.h>
#include "fuzz.h"
#include "pailfs/base/xalloc.h"
#include "src/store/s3.h"

static bool is_line(const char *s)
{
	for (; *s; s++)
		if (iscntrl((unsigned char)*s))
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = {200, 301, 307, 400, 401, 403, 404, 405,
	                               412, 416, 429, 500, 501, 503};
	struct s3_memory memory = {.no_versions = false};
	struct s3_config config = {.display = (char *)"s3://data", .bucket = (char *)"data",
	                           .memory = &memory};
	struct store_attr version = {.version = "v"};
	struct dialect_call call = {.key = "k\n", .prefix = "", .length = 1, .version = &version};
	struct dialect_session session = {.region = "us-east-1"};
	struct dialect_answer answer;
	struct buf sentence = BUF_INIT;
	enum dialect_verdict verdict;

	if (size < 2)
		return 0;
	dialect_answer_init(&answer);
	answer.status = statuses[data[0] % ARRAY_SIZE(statuses)];
	call.op = data[1] % 3;
	verdict = s3_classify(&config, &call, &answer, (const char *)data + 2, size - 2);
	must(verdict != DIALECT_WRONG_REGION || answer.region[0]);
	must(!answer.region[0] || s3_region_is_valid(answer.region));
	must(is_line(answer.code) && is_line(answer.message) && is_line(answer.request_id));
	s3_explain(&config, &call, &session, &answer, verdict, &sentence);
	must(sentence.length && is_line(sentence.data));
	buf_release(&sentence);
	return 0;
}
