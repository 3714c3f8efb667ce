/* Credentials, regions and listings over HTTP, with a dialect made for the tests. */
#include "http_store_fixture.h"

/* ---- a dialect of its own, for what plain web servers lack ---- */

/* Credentials are numbered as they are read, region and endpoint go into the path, a listing is a
 * line a key, and an error's body is the name of its verdict. */
struct toy {
	char *origin;
	atomic_uint read;      /* credentials read so far */
	int64_t lifetime_ns;   /* of credentials; 0: for ever */
	bool fail;             /* reading them */
	sem_t *hang;           /* reading them waits for it; NULL: for nothing */
};

static struct toy *toy_config;
/* Of the next one. */
static int64_t toy_lifetime_ns;
static size_t toy_endpoints = 1;
static size_t toy_dead; /* how many of them, the first ones, nobody listens at */

static int toy_configure(const struct store_config *config, struct dialect_source *out, struct buf *error)
{
	struct toy *t = xcalloc(1, sizeof(*t));

	t->origin = xstrdup(config->source);
	t->lifetime_ns = toy_lifetime_ns;
	toy_config = t;
	*out = (struct dialect_source){
		.config = t,
		.capabilities = STORE_LIST | STORE_ORDERED_LIST | STORE_FLAT_LIST,
		.display = xstrdup("toy://bucket"),
		.root = xstrdup(""),
		.identity = xstrdup("toy"),
		.region = xstrdup("here"),
		.endpoint_count = toy_endpoints,
	};
	return 0;
}

static void toy_release(void *config)
{
	struct toy *t = config;

	free(t->origin);
	free(t);
}

static void toy_endpoint(const void *config, size_t index, const char *region, struct buf *url)
{
	buf_addf(url, "%s/%s", index < toy_dead ? "http://127.0.0.1:1" : ((const struct toy *)config)->origin,
	         region);
	if (index)
		buf_addf(url, "-%zu", index);
}

static int toy_credentials(const void *config, struct dialect_credentials **out, struct buf *error)
{
	struct toy *t = (struct toy *)config;
	unsigned n = atomic_fetch_add(&t->read, 1);
	char id[32];

	if (n && t->hang)
		sem_wait(t->hang);
	if (n && t->fail) {
		buf_adds(error, "the file is gone");
		return -EACCES;
	}
	snprintf(id, sizeof(id), "key-%u", n);
	*out = dialect_credentials_create(id, "secret", "", "the test",
	                                  t->lifetime_ns ? clock_realtime(&clock_system) + t->lifetime_ns
	                                                 : INT64_MAX);
	return 0;
}

/* What toy's credentials come from; 0: it never changes. */
static _Atomic uint64_t toy_stamp;

static uint64_t toy_credentials_stamp(const void *config)
{
	return atomic_load(&toy_stamp);
}

static int toy_build(const void *config, const struct dialect_call *call, const char *endpoint,
                     struct dialect_request *r)
{
	buf_addf(&r->url, "%s/%s", endpoint, call->op == DIALECT_LIST ? "" : call->key);
	if (call->op == DIALECT_HEAD)
		r->method = NET_HEAD;
	if (call->op == DIALECT_GET)
		dialect_request_header(r, "Range", "bytes=%lu-%lu", (unsigned long)call->offset,
		                       (unsigned long)(call->offset + call->length - 1));
	if (call->continuation)
		buf_addf(&r->url, "?after=%s", call->continuation);
	return 0;
}

static void toy_sign(const void *config, const struct dialect_session *session, struct dialect_request *r)
{
	dialect_request_header(r, "Authorization", "%s", session->credentials->id);
}

static bool toy_trusts(const void *config, const char *url)
{
	return !strncmp(url, ((const struct toy *)config)->origin,
	                strlen(((const struct toy *)config)->origin));
}

static int toy_parse_list(const void *config, const struct dialect_call *call, const struct dialect_answer *a,
                          const char *body, size_t n, struct list_page *page)
{
	struct store_attr attr = {.size = 1};

	for (const char *end; (end = memchr(body, '\n', n)); n -= (size_t)(end + 1 - body), body = end + 1) {
		size_t length = (size_t)(end - body);

		if (length && *body == '?')
			return -EBADMSG;
		if (length && *body == '>' && call->continuation &&
		    !strncmp(call->continuation, body + 1, length - 1))
			return -ESTALE;
		if (length && *body == '>')
			list_page_continue(page, body + 1, length - 1);
		else
			list_page_add(page, body, length, &attr);
	}
	return 0;
}

static enum dialect_verdict toy_classify(const void *config, const struct dialect_call *call,
                                         struct dialect_answer *a, const char *body, size_t n)
{
	if (!strcmp(body, "expired"))
		return DIALECT_EXPIRED;
	if (!strcmp(body, "region")) {
		snprintf(a->region, sizeof(a->region), "there");
		return DIALECT_WRONG_REGION;
	}
	if (!strcmp(body, "again"))
		return DIALECT_AGAIN;
	return dialect_classify_status(a->status);
}

static const struct dialect toy_dialect = {
	.name = "toy",
	.configure = toy_configure,
	.release = toy_release,
	.endpoint = toy_endpoint,
	.credentials = toy_credentials,
	.credentials_stamp = toy_credentials_stamp,
	.build = toy_build,
	.sign = toy_sign,
	.trusts = toy_trusts,
	.list_max = 16 << 20,
	.parse_list = toy_parse_list,
	.classify = toy_classify,
};

/* ---- credentials, regions, listings: the toy dialect ---- */

static struct store_list listed;

static int begin_list(const char *continuation)
{
	memset(&listed, 0, sizeof(listed));
	listed.prefix = "";
	listed.continuation = continuation;
	prepare(&listed.op);
	return store_list(store, &listed);
}

static int list(const char *continuation)
{
	return wait_for(begin_list(continuation));
}

#define OK_LIST "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nb\na\nc\n"

START_TEST(lists_in_order)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nb\na\n\n>c\nc"}, {OK_LIST}};

	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 2);
	ck_assert_int_eq(list(NULL), 0);
	ck_assert_uint_eq(listed.entry_count, 2);
	ck_assert_uint_eq(listed.unusable, 1);
	ck_assert_str_eq(listed.entries[0].key, "a");
	ck_assert_str_eq(listed.entries[1].key, "b");
	ck_assert_str_eq(listed.next_continuation, "c");
	store_list_release(&listed);
	ck_assert_int_eq(list("c"), 0);
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 1), "GET /here/?after=c "));
	ck_assert_uint_eq(listed.entry_count, 3);
	ck_assert_ptr_null(listed.next_continuation);
	store_list_release(&listed);
	teardown();
}
END_TEST

START_TEST(lists_that_turn_in_circles_end)
{
	static const struct http_step steps[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na\n>x\n"}};

	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 1);
	ck_assert_int_eq(list("x"), -EIO);
	ck_assert_uint_eq(http_server_count(server), 1);
	ck_assert_ptr_nonnull(strstr(listed.op.error, "continuation"));
	teardown();
}
END_TEST

START_TEST(bodies_that_are_no_listing_are_retried)
{
	static const struct http_step steps[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n?x\n"},
	                                         {OK_LIST}};

	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 2);
	ck_assert_int_eq(list(NULL), 0);
	ck_assert_uint_eq(listed.entry_count, 3);
	store_list_release(&listed);
	teardown();
}
END_TEST

#define BAD_LIST "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n?x\n"
#define GO_THERE "HTTP/1.1 307 Go\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"

/* What is tried a few times only is so however many redirects lead to it. */
START_TEST(a_redirect_is_no_failure)
{
	static const struct http_step steps[] = {{GO_THERE}, {BAD_LIST}, {GO_THERE},
	                                         {BAD_LIST}, {GO_THERE}, {OK_LIST}};

	setup(&toy_dialect, "", 5000, 1000);
	http_server_script(server, steps, ARRAY_SIZE(steps));
	ck_assert_int_eq(list(NULL), 0);
	store_list_release(&listed);
	teardown();
}
END_TEST

/* A server that comes back answers badly once, after a time of no answer at all. */
START_TEST(trouble_of_one_kind_does_not_count_for_another)
{
	static const struct http_step steps[] = {{STATUS("503 Busy")}, {STATUS("503 Busy")},
	                                         {STATUS("503 Busy")}, {BAD_LIST}, {OK_LIST}};

	setup(&toy_dialect, "", 20000, 1000);
	http_server_script(server, steps, ARRAY_SIZE(steps));
	ck_assert_int_eq(list(NULL), 0);
	store_list_release(&listed);
	teardown();
}
END_TEST

/* An endpoint that refuses a request is not left out for it as one in trouble is. */
START_TEST(a_refusal_is_no_fault_of_the_endpoint)
{
	static const struct http_step steps[] = {{STATUS("400 Bad")}, {OK_LIST}};

	toy_endpoints = 2;
	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, ARRAY_SIZE(steps));
	ck_assert_int_eq(list(NULL), -EIO);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(list(NULL), 0);
		store_list_release(&listed);
	}
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 0), "GET /here/ "));
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 1), "GET /here-1/ "));
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 2), "GET /here/ "));
	teardown();
	toy_endpoints = 1;
}
END_TEST

/* A mount tries a host that cannot be reached a few times only, but each of its endpoints. */
START_TEST(one_endpoint_that_lives_is_found)
{
	static const struct http_step steps[] = {{OK_LIST}};

	toy_endpoints = 5;
	toy_dead = 4;
	setup(&toy_dialect, "", 20000, 1000);
	http_server_script(server, steps, 1);
	memset(&listed, 0, sizeof(listed));
	prepare(&listed.op);
	ck_assert_int_eq(wait_for(store_probe(store, &listed)), 0);
	store_list_release(&listed);
	teardown();
	toy_dead = 0;
	toy_endpoints = 1;
}
END_TEST

START_TEST(a_listing_without_end_is_cut)
{
	struct buf body = BUF_INIT;
	struct http_step step;

	buf_adds(&body, "HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n");
	for (int i = 0; i < 2000000; i++)
		buf_adds(&body, "aaaaaaaa\n\n");
	step = (struct http_step){body.data};
	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, &step, 1);
	ck_assert_int_eq(list(NULL), -EIO);
	ck_assert_ptr_nonnull(strstr(listed.op.error, "too long"));
	ck_assert_uint_eq(http_server_count(server), 1);
	teardown();
	buf_release(&body);
}
END_TEST

START_TEST(expired_credentials_are_read_again)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 400 Bad\r\nContent-Length: 7\r\n\r\nexpired"}, {OK_LIST}};

	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 2);
	ck_assert_int_eq(list(NULL), 0);
	store_list_release(&listed);
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 0), "Authorization: key-0\r\n"));
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 1), "Authorization: key-1\r\n"));
	teardown();
}
END_TEST

START_TEST(expired_twice_is_denied)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 400 Bad\r\nContent-Length: 7\r\n\r\nexpired"}};

	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 1);
	ck_assert_int_eq(list(NULL), -EACCES);
	ck_assert_uint_eq(http_server_count(server), 2);
	/* Nothing to read any more: the old ones are tried, and denied. */
	toy_config->fail = true;
	http_server_script(server, steps, 1);
	ck_assert_int_eq(list(NULL), -EACCES);
	ck_assert_uint_eq(http_server_count(server), 2);
	teardown();
}
END_TEST

/* Their time is nearly over: whoever notices goes on with them. */
START_TEST(credentials_are_read_before_they_expire)
{
	static const struct http_step steps[] = {{OK_LIST}};

	toy_lifetime_ns = 30 * (int64_t)NS_PER_SECOND;
	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 1);
	ck_assert_int_eq(list(NULL), 0);
	store_list_release(&listed);
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 0), "Authorization: key-0\r\n"));
	for (int i = 0; i < 2000 && atomic_load(&toy_config->read) < 2; i++)
		usleep(5000);
	ck_assert_uint_eq(atomic_load(&toy_config->read), 2);
	teardown();
	toy_lifetime_ns = 0;
}
END_TEST

/* Their time is over: nothing is asked with them. */
START_TEST(expired_credentials_are_not_used)
{
	static const struct http_step steps[] = {{OK_LIST}};

	toy_lifetime_ns = 1;
	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 1);
	ck_assert_int_eq(list(NULL), 0);
	store_list_release(&listed);
	ck_assert_uint_eq(http_server_count(server), 1);
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 0), "Authorization: key-1\r\n"));
	teardown();
	toy_lifetime_ns = 0;
}
END_TEST

/* Nobody has refused the old ones: what they came from has changed. Who notices does not wait. */
START_TEST(changed_credentials_are_read)
{
	static const struct http_step steps[] = {{OK_LIST}};
	bool fresh = false;

	atomic_store(&toy_stamp, 1);
	setup(&toy_dialect, "", 2000, 1000);
	atomic_store(&toy_stamp, 2);
	http_server_script(server, steps, 1);
	for (int i = 0; i < 200 && !fresh; i++) {
		ck_assert_int_eq(list(NULL), 0);
		store_list_release(&listed);
		fresh = strstr(http_server_request(server, http_server_count(server) - 1),
		               "Authorization: key-1\r\n");
		usleep(5000);
	}
	ck_assert(fresh);
	/* Nothing new, or not yet looked for again. */
	ck_assert_int_eq(list(NULL), 0);
	store_list_release(&listed);
	ck_assert_uint_eq(atomic_load(&toy_config->read), 2);
	atomic_store(&toy_stamp, 0);
	teardown();
}
END_TEST

/* The file system that has them does not answer: neither an operation nor whoever takes it back
 * waits for that. The last one does, and comes to an end with it. */
START_TEST(credentials_that_cannot_be_read_hold_nobody)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 400 Bad\r\nContent-Length: 7\r\n\r\nexpired"}};
	static const struct http_step good[] = {
		{"HTTP/1.1 400 Bad\r\nContent-Length: 7\r\n\r\nexpired"}, {OK_LIST}};
	uint64_t start = clock_monotonic(&clock_system);
	sem_t hang;

	sem_init(&hang, 0, 0);
	setup(&toy_dialect, "", 500, 1000);
	toy_config->hang = &hang;
	http_server_script(server, steps, 1);
	ck_assert_int_eq(list(NULL), -ETIMEDOUT);
	ck_assert_uint_ge(clock_monotonic(&clock_system) - start, 400 * NS_PER_MS);
	ck_assert_uint_lt(clock_monotonic(&clock_system) - start, 5 * NS_PER_SECOND);
	ck_assert_ptr_nonnull(strstr(listed.op.error, "credentials"));
	ck_assert(listed.op.exhausted);

	start = clock_monotonic(&clock_system);
	ck_assert_int_eq(begin_list(NULL), 0);
	usleep(100000);
	{
		scoped_lock(&waiter.lock);
		store_cancel(&listed.op);
	}
	ck_assert_int_eq(wait_for(0), -ECANCELED);
	ck_assert_uint_lt(clock_monotonic(&clock_system) - start, 400 * NS_PER_MS);

	http_server_script(server, good, 2);
	ck_assert_int_eq(begin_list(NULL), 0);
	usleep(100000);
	/* What was being read when it asked may be older than what it was refused for. */
	sem_post(&hang);
	sem_post(&hang);
	ck_assert_int_eq(wait_for(0), 0);
	store_list_release(&listed);
	teardown();
	sem_destroy(&hang);
}
END_TEST

/* Nor does it hold the end of a mount. */
START_TEST(credentials_that_cannot_be_read_hold_no_end)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 400 Bad\r\nContent-Length: 7\r\n\r\nexpired"}};
	uint64_t start;
	sem_t hang;

	sem_init(&hang, 0, 0);
	setup(&toy_dialect, "", 300, 1000);
	toy_config->hang = &hang;
	http_server_script(server, steps, 1);
	ck_assert_int_eq(list(NULL), -ETIMEDOUT);
	start = clock_monotonic(&clock_system);
	teardown();
	ck_assert_uint_lt(clock_monotonic(&clock_system) - start, 5 * NS_PER_SECOND);
}
END_TEST

START_TEST(the_region_is_learnt_once)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 400 Bad\r\nContent-Length: 6\r\n\r\nregion"}, {OK_LIST}};

	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 2);
	ck_assert_int_eq(list(NULL), 0);
	store_list_release(&listed);
	ck_assert_int_eq(list(NULL), 0);
	store_list_release(&listed);
	ck_assert_uint_eq(http_server_count(server), 3);
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 0), "GET /here/ "));
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 1), "GET /there/ "));
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 2), "GET /there/ "));
	teardown();
}
END_TEST

START_TEST(wrong_regions_end)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 400 Bad\r\nContent-Length: 6\r\n\r\nregion"}};

	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 1);
	ck_assert_int_eq(list(NULL), -EIO);
	ck_assert_uint_le(http_server_count(server), 4);
	teardown();
}
END_TEST

START_TEST(asking_otherwise_ends)
{
	static const struct http_step steps[] = {
		{"HTTP/1.1 400 Bad\r\nContent-Length: 5\r\n\r\nagain"}};

	setup(&toy_dialect, "", 2000, 1000);
	http_server_script(server, steps, 1);
	ck_assert_int_eq(list(NULL), -EIO);
	ck_assert_uint_le(http_server_count(server), 6);
	teardown();
}
END_TEST

/* Within the provider a redirect is signed anew; elsewhere nothing says who we are. */
START_TEST(secrets_stay_with_the_provider)
{
	char *here, *away;
	struct http_step steps[3] = {{0}, {0}, {OK_LIST}};

	setup(&toy_dialect, "", 2000, 1000);
	here = xasprintf("HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:%d/x\r\nContent-Length: 0\r\n\r\n",
	                 server->port);
	away = xasprintf("HTTP/1.1 307 Go\r\nLocation: http://localhost:%d/y\r\nContent-Length: 0\r\n\r\n",
	                 server->port);
	steps[0].answer = here;
	steps[1].answer = away;
	http_server_script(server, steps, 3);
	ck_assert_int_eq(list(NULL), 0);
	store_list_release(&listed);
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 1), "GET /x "));
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 1), "Authorization: "));
	ck_assert_ptr_nonnull(strstr(http_server_request(server, 2), "GET /y "));
	ck_assert_ptr_null(strstr(http_server_request(server, 2), "Authorization: "));
	teardown();
	free(here);
	free(away);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_store_session");
	TCase *tc = tcase_create("http_store_session");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, lists_in_order);
	tcase_add_test(tc, lists_that_turn_in_circles_end);
	tcase_add_test(tc, bodies_that_are_no_listing_are_retried);
	tcase_add_test(tc, a_redirect_is_no_failure);
	tcase_add_test(tc, trouble_of_one_kind_does_not_count_for_another);
	tcase_add_test(tc, a_refusal_is_no_fault_of_the_endpoint);
	tcase_add_test(tc, one_endpoint_that_lives_is_found);
	tcase_add_test(tc, a_listing_without_end_is_cut);
	tcase_add_test(tc, expired_credentials_are_read_again);
	tcase_add_test(tc, expired_twice_is_denied);
	tcase_add_test(tc, credentials_are_read_before_they_expire);
	tcase_add_test(tc, expired_credentials_are_not_used);
	tcase_add_test(tc, changed_credentials_are_read);
	tcase_add_test(tc, credentials_that_cannot_be_read_hold_nobody);
	tcase_add_test(tc, credentials_that_cannot_be_read_hold_no_end);
	tcase_add_test(tc, the_region_is_learnt_once);
	tcase_add_test(tc, wrong_regions_end);
	tcase_add_test(tc, asking_otherwise_ends);
	tcase_add_test(tc, secrets_stay_with_the_provider);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
