/* The chain and the AWS files, with a home of the test's own. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "pailfs/base/xalloc.h"
#include "src/store/credentials.h"
#include "unit.h"

static char home[64];

static void write_file(const char *name, const char *text)
{
	char *path = xasprintf("%s/.aws/%s", home, name);
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	free(path);
}

static void set_up(void)
{
	static const char *const variables[] = {
	        "AWS_ACCESS_KEY_ID",   "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	        "AWS_PROFILE",         "AWS_DEFAULT_PROFILE",   "AWS_REGION",
	        "AWS_DEFAULT_REGION",  "AWS_ENDPOINT_URL",      "AWS_ENDPOINT_URL_S3",
	        "AWS_CONFIG_FILE",     "AWS_SHARED_CREDENTIALS_FILE",
	        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"};
	char *path;

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		unsetenv(variables[i]);
	strcpy(home, "/tmp/pailfs-credentials-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(home));
	setenv("HOME", home, 1);
	path = xasprintf("%s/.aws", home);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	free(path);
}

static void tear_down(void)
{
	static const char *const names[] = {"/.aws/credentials", "/.aws/config", "/.aws", ""};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *path = xasprintf("%s%s", home, names[i]);

		remove(path);
		free(path);
	}
}

static void expect(const char *profile, const char *id, const char *secret, const char *token,
                   const char *origin)
{
	struct dialect_credentials *c;
	struct buf error = BUF_INIT;

	ck_assert_msg(credentials_read(profile, &c, &error) == 0, "%s", error.data);
	ck_assert_str_eq(c->id, id);
	ck_assert_str_eq(c->secret, secret);
	ck_assert_str_eq(c->token, token);
	ck_assert_msg(strstr(c->origin, origin) != NULL, "%s", c->origin);
	ck_assert(c->expires_ns == INT64_MAX);
	dialect_credentials_unref(c);
	buf_release(&error);
}

/* The sentence holds each of the words, and never the secret of these tests. */
static void expect_none(const char *profile, const char *word, const char *another)
{
	struct dialect_credentials *c;
	struct buf error = BUF_INIT;

	ck_assert_int_eq(credentials_read(profile, &c, &error), -EACCES);
	ck_assert_ptr_null(c);
	ck_assert_msg(strstr(error.data, word) && strstr(error.data, another), "%s", error.data);
	ck_assert_ptr_null(strstr(error.data, "geheim"));
	buf_release(&error);
}

START_TEST(environment_comes_first)
{
	write_file("credentials", "[default]\naws_access_key_id=FILE\naws_secret_access_key=geheim\n");
	setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "geheim/env", 1);
	expect(NULL, "ENV", "geheim/env", "", "AWS_ACCESS_KEY_ID");
	setenv("AWS_SESSION_TOKEN", "token", 1);
	expect(NULL, "ENV", "geheim/env", "token", "AWS_ACCESS_KEY_ID");
	/* AWS_PROFILE does not displace keys that are set; the option does. */
	setenv("AWS_PROFILE", "default", 1);
	expect(NULL, "ENV", "geheim/env", "token", "AWS_ACCESS_KEY_ID");
	expect("default", "FILE", "geheim", "", "profile default in ");
}
END_TEST

START_TEST(half_an_environment_is_an_error)
{
	write_file("credentials", "[default]\naws_access_key_id=FILE\naws_secret_access_key=geheim\n");
	setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
	expect_none(NULL, "AWS_ACCESS_KEY_ID is set", "AWS_SECRET_ACCESS_KEY is not");
	unsetenv("AWS_ACCESS_KEY_ID");
	setenv("AWS_SECRET_ACCESS_KEY", "geheim", 1);
	expect_none(NULL, "AWS_SECRET_ACCESS_KEY is set", "AWS_ACCESS_KEY_ID is not");
}
END_TEST

START_TEST(profiles_are_found_in_both_files)
{
	write_file("credentials", "[default]\n"
	                          "aws_access_key_id = D\n"
	                          "aws_secret_access_key = geheim/d\n"
	                          "\n"
	                          "# a comment\n"
	                          "[both]\r\n"
	                          "aws_secret_access_key = geheim/b+c=\r\n"
	                          "AWS_ACCESS_KEY_ID = B ; which one\r\n"
	                          "aws_session_token=t#t\r\n");
	write_file("config", "[default]\nregion = eu-west-1\n"
	                     "[profile both]\naws_access_key_id = C\naws_secret_access_key = geheim/c\n"
	                     "[ profile  \"only config\" ]\n"
	                     "aws_access_key_id = O\naws_secret_access_key = geheim/o # mine\n"
	                     "[stray]\naws_access_key_id = S\naws_secret_access_key = geheim/s\n");
	expect(NULL, "D", "geheim/d", "", "/.aws/credentials");
	expect("both", "B", "geheim/b+c=", "t#t", "profile both in ");
	expect("only config", "O", "geheim/o", "", "/.aws/config");
	/* Without the word profile a section of the configuration is none. */
	expect_none("stray", "profile stray", "is not in");
	setenv("AWS_PROFILE", "both", 1);
	expect(NULL, "B", "geheim/b+c=", "t#t", "profile both in ");
}
END_TEST

START_TEST(keys_of_two_files_are_not_mixed)
{
	write_file("credentials", "[default]\naws_access_key_id = NEW\n");
	write_file("config", "[default]\naws_access_key_id = OLD\naws_secret_access_key = geheim\n");
	expect_none(NULL, "has aws_access_key_id but no aws_secret_access_key", "/.aws/credentials");
}
END_TEST

START_TEST(what_is_missing_is_said)
{
	expect_none(NULL, "AWS_ACCESS_KEY_ID is not set", "profile default is not in");
	write_file("config", "[default]\nrole_arn = arn:aws:iam::1:role/r\n[profile empty]\nregion=x\n");
	expect_none(NULL, "role_arn", "not supported");
	expect_none("empty", "profile empty", "has no aws_access_key_id");
}
END_TEST

START_TEST(files_are_read_again)
{
	write_file("credentials", "[default]\naws_access_key_id=ONE\naws_secret_access_key=geheim\n");
	expect(NULL, "ONE", "geheim", "", "");
	write_file("credentials", "[default]\naws_access_key_id=TWO\naws_secret_access_key=geheim2\n");
	expect(NULL, "TWO", "geheim2", "", "");
}
END_TEST

START_TEST(files_can_be_named)
{
	char *path = xasprintf("%s/.aws/config", home);

	write_file("config", "[elsewhere]\naws_access_key_id=E\naws_secret_access_key=geheim\n");
	setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
	setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
	expect("elsewhere", "E", "geheim", "", path);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/config", 1);
	expect("elsewhere", "E", "geheim", "", path);
	/* A directory cannot be read as a file, and that is worth a word. */
	setenv("AWS_SHARED_CREDENTIALS_FILE", home, 1);
	expect_none("elsewhere", "is not in", "directory");
	free(path);
}
END_TEST

/* ---- settings ---- */

static void expect_settings(const char *profile, const char *region, const char *endpoint)
{
	struct credentials_settings s;
	struct buf error = BUF_INIT;

	ck_assert_msg(credentials_read_settings(profile, &s, &error) == 0, "%s", error.data);
	ck_assert_pstr_eq(s.region, region);
	ck_assert_pstr_eq(s.endpoint_url, endpoint);
	credentials_settings_release(&s);
	buf_release(&error);
}

START_TEST(settings_have_an_order)
{
	expect_settings(NULL, NULL, NULL);
	write_file("config", "[default]\nregion = eu-west-1\nendpoint_url = http://default\n"
	                     "services = local\n"
	                     "[profile plain]\nendpoint_url = http://plain\n"
	                     "[services local]\n"
	                     "dynamodb =\n  endpoint_url = http://dynamo\n"
	                     "s3 = \n  signature_version = s3v4\n  endpoint_url = http://s3\n");
	expect_settings(NULL, "eu-west-1", "http://s3");
	expect_settings("plain", NULL, "http://plain");
	setenv("AWS_ENDPOINT_URL", "http://any", 1);
	expect_settings("plain", NULL, "http://any");
	setenv("AWS_ENDPOINT_URL_S3", "http://env", 1);
	setenv("AWS_DEFAULT_REGION", "us-west-1", 1);
	expect_settings(NULL, "us-west-1", "http://env");
	setenv("AWS_REGION", "us-west-2", 1);
	setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
	expect_settings(NULL, "us-west-2", NULL);
}
END_TEST

START_TEST(a_wanted_profile_must_exist)
{
	struct credentials_settings s;
	struct buf error = BUF_INIT;

	ck_assert_int_eq(credentials_read_settings("missing", &s, &error), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error.data, "profile missing is neither in"));
	credentials_settings_release(&s);
	buf_release(&error);
}
END_TEST

/* ---- the grammar ---- */

static void note(void *context, const char *section, const char *name, const char *value)
{
	buf_addf(context, "%s|%s|%s\n", section, name, value);
}

static const struct {
	enum aws_file kind;
	const char *text, *settings;
} grammar[] = {
        {AWS_FILE_CONFIG, "", ""},
        {AWS_FILE_CONFIG, "a = b\n", ""},
        {AWS_FILE_CONFIG, "\xef\xbb\xbf[default]\na=b", "default|a|b\n"},
        {AWS_FILE_CONFIG, "[default]\nA = b = c\n=d\nno equals\n", "default|a|b = c\n"},
        {AWS_FILE_CONFIG, "[default\na=b\n[profile x\na=b\n", ""},
        {AWS_FILE_CONFIG, "[profile x] # c\na=b\n", "x|a|b\n"},
        {AWS_FILE_CONFIG, "[profile 'x y']\na=b\n[]\nc=d\n[profile ]\nc=d\n", "x y|a|b\n"},
        {AWS_FILE_CREDENTIALS, "[profile x]\na=b\n", "profile x|a|b\n"},
        {AWS_FILE_CONFIG, "[default]\ns3 =\n  k = v\n\tl=w\nm=n\n", "default|s3.k|v\ndefault|s3.l|w\ndefault|m|n\n"},
        {AWS_FILE_CONFIG, "[default]\n  k = v\n", ""},
        {AWS_FILE_CONFIG, "[default]\na = # none\nb = x;y\nc = x ;y\n", "default|b|x;y\ndefault|c|x\n"},
        {AWS_FILE_CONFIG, "[services s]\na=b\n[sso-session t]\nc=d\n", "services s|a|b\nsso-session t|c|d\n"},
};

START_TEST(understands_the_files)
{
	char *text = xstrdup(grammar[_i].text);
	struct buf got = BUF_INIT;

	aws_file_parse(text, strlen(text), grammar[_i].kind, note, &got);
	ck_assert_str_eq(got.data, grammar[_i].settings);
	buf_release(&got);
	free(text);
}
END_TEST

/* What is rotated is noticed without reading it. */
START_TEST(a_stamp_changes_with_the_files)
{
	uint64_t none = credentials_stamp(NULL), first, second;
	char *path = xasprintf("%s/.aws/credentials", home), *other = xasprintf("%s.new", path);

	write_file("credentials", "[default]\naws_access_key_id = A\naws_secret_access_key = B\n");
	first = credentials_stamp(NULL);
	ck_assert_uint_ne(none, 0);
	ck_assert_uint_ne(first, none);
	ck_assert_uint_eq(first, credentials_stamp(NULL));
	/* Another file of the same name and size. */
	ck_assert_int_eq(rename(path, other), 0);
	write_file("credentials", "[default]\naws_access_key_id = C\naws_secret_access_key = D\n");
	second = credentials_stamp(NULL);
	ck_assert_uint_ne(second, first);
	write_file("config", "[default]\n");
	ck_assert_uint_ne(credentials_stamp(NULL), second);
	/* The environment's stay as they are, and only an option's profile goes before them. */
	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "F", 1);
	ck_assert_uint_eq(credentials_stamp(NULL), 0);
	ck_assert_uint_ne(credentials_stamp("other"), 0);
	remove(other);
	free(other);
	free(path);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("credentials");
	TCase *chain = tcase_create("chain"), *files = tcase_create("grammar");

	tcase_add_checked_fixture(chain, set_up, tear_down);
	tcase_add_test(chain, environment_comes_first);
	tcase_add_test(chain, half_an_environment_is_an_error);
	tcase_add_test(chain, profiles_are_found_in_both_files);
	tcase_add_test(chain, keys_of_two_files_are_not_mixed);
	tcase_add_test(chain, what_is_missing_is_said);
	tcase_add_test(chain, files_are_read_again);
	tcase_add_test(chain, a_stamp_changes_with_the_files);
	tcase_add_test(chain, files_can_be_named);
	tcase_add_test(chain, settings_have_an_order);
	tcase_add_test(chain, a_wanted_profile_must_exist);
	tcase_add_loop_test(files, understands_the_files, 0, ARRAY_SIZE(grammar));
	suite_add_tcase(suite, chain);
	suite_add_tcase(suite, files);
	return unit_run(suite);
}
