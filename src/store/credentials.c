/* credentials.c - the chain that finds AWS credentials, and the AWS files.
 *
 * The chain is a table of links; each says "here they are", "not here" or what is wrong. A
 * link that is half there (an access key without its secret) ends the search with a sentence,
 * because going on would use somebody's other keys in silence. More links are more lines.
 *
 * The files are read whole into memory that is wiped before it is freed. Their grammar is
 * the one that the AWS SDKs share: sections in brackets, "name = value", comments by line or
 * behind a space, settings nested by indentation below a name without a value. */
#include "src/store/credentials.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "pailfs/base/crypto.h"
#include "pailfs/base/xalloc.h"

#define MAX_FILE (1024 * 1024)
#define DEFAULT_PROFILE "default"

static const char *from_env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static void free_secret(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

/* ---- the files ---- */

static char *file_path(enum aws_file kind)
{
	const char *given = from_env(kind == AWS_FILE_CONFIG ? "AWS_CONFIG_FILE"
	                                                     : "AWS_SHARED_CREDENTIALS_FILE");
	const char *home = from_env("HOME");
	char buffer[4096];
	struct passwd entry, *found = NULL;

	/* fstab's mounts run without HOME. */
	if (!home && !getpwuid_r(getuid(), &entry, buffer, sizeof(buffer), &found) && found)
		home = entry.pw_dir;
	if (!home)
		home = "";
	if (given)
		return given[0] == '~' && given[1] == '/' ? xasprintf("%s%s", home, given + 1)
		                                           : xstrdup(given);
	return xasprintf("%s/.aws/%s", home, kind == AWS_FILE_CONFIG ? "config" : "credentials");
}

static int read_whole(const char *path, char **text, size_t *n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), result = 0;
	struct stat st;
	char *data = NULL;
	size_t length = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		result = -errno;
	else if (S_ISDIR(st.st_mode))
		result = -EISDIR;
	if (result < 0)
		goto out;
	data = xmalloc(MAX_FILE);
	while (length < MAX_FILE) {
		ssize_t got = read(fd, data + length, MAX_FILE - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			result = -errno;
		if (got <= 0)
			break;
		length += (size_t)got;
	}
	if (length == MAX_FILE)
		result = -EFBIG;
out:
	close(fd);
	if (result < 0 && data)
		explicit_bzero(data, length);
	if (result < 0) {
		free(data);
		return result;
	}
	*text = data;
	*n = length;
	return 0;
}

/* A span of a line, [start, end). */
struct span {
	char *start, *end;
};

static struct span trim(struct span s)
{
	while (s.start < s.end && isspace((unsigned char)*s.start))
		s.start++;
	while (s.start < s.end && isspace((unsigned char)s.end[-1]))
		s.end--;
	return s;
}

/* Cuts what follows a '#' or ';' behind a space: a secret key may hold either, but no space. */
static struct span without_comment(struct span s)
{
	for (char *c = s.start; c < s.end; c++)
		if ((*c == '#' || *c == ';') && c > s.start && isspace((unsigned char)c[-1]))
			s.end = c;
	return trim(s);
}

static char *span_copy(struct span s)
{
	return xstrndup(s.start, (size_t)(s.end - s.start));
}

static bool span_has(struct span s, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(s.end - s.start) >= n && !memcmp(s.start, word, n);
}

/* The name by which a section is known to callers; NULL for one that they never ask for. */
static char *section_name(struct span s, enum aws_file kind)
{
	static const char *const words[] = {"profile", "services", "sso-session"};
	char *close = memchr(s.start, ']', (size_t)(s.end - s.start));
	const char *word = NULL;

	if (!close)
		return NULL;
	s = trim((struct span){s.start + 1, close});
	for (size_t i = 0; i < ARRAY_SIZE(words) && kind == AWS_FILE_CONFIG; i++) {
		char *after = s.start + strlen(words[i]);

		if (span_has(s, words[i]) && after < s.end && isspace((unsigned char)*after)) {
			word = words[i];
			s = trim((struct span){after, s.end});
			break;
		}
	}
	if (s.end - s.start >= 2 && (*s.start == '"' || *s.start == '\'') && s.end[-1] == *s.start) {
		s.start++;
		s.end--;
	}
	if (s.start == s.end)
		return NULL;
	if (word && strcmp(word, "profile") != 0) {
		char *name = span_copy(s), *whole = xasprintf("%s %s", word, name);

		free(name);
		return whole;
	}
	/* In the configuration file only the default profile may stand without the word. */
	if (kind == AWS_FILE_CONFIG && !word &&
	    ((size_t)(s.end - s.start) != strlen(DEFAULT_PROFILE) || !span_has(s, DEFAULT_PROFILE)))
		return NULL;
	return span_copy(s);
}

static void lower(char *s)
{
	for (; *s; s++)
		*s = (char)tolower((unsigned char)*s);
}

static void take_setting(struct span line, const char *section, char **parent, bool nested,
                         aws_setting_fn *setting, void *context)
{
	char *equals = memchr(line.start, '=', (size_t)(line.end - line.start));
	char *name, *value;
	struct span name_span, value_span;

	if (!equals)
		return;
	name_span = trim((struct span){line.start, equals});
	if (name_span.start == name_span.end)
		return;
	name = span_copy(name_span);
	lower(name);
	/* The leading space stays until comments are cut: "name = # none" has no value. */
	value_span = without_comment((struct span){equals + 1, line.end});
	value = span_copy(value_span);
	if (nested) {
		char *whole = xasprintf("%s.%s", *parent, name);

		free(name);
		name = whole;
	} else {
		free(*parent);
		*parent = xstrdup(name);
	}
	if (*value)
		setting(context, section, name, value);
	free(name);
	free_secret(value);
}

void aws_file_parse(char *text, size_t n, enum aws_file kind, aws_setting_fn *setting,
                    void *context)
{
	char *end = text + n, *section = NULL, *parent = NULL;

	if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	while (text < end) {
		char *newline = memchr(text, '\n', (size_t)(end - text));
		char *line_end = newline ? newline : end;
		bool indented = *text == ' ' || *text == '\t';
		struct span line = trim((struct span){text, line_end});

		text = newline ? newline + 1 : end;
		if (line.start == line.end || *line.start == '#' || *line.start == ';' ||
		    memchr(line.start, '\0', (size_t)(line.end - line.start)))
			continue;
		if (*line.start == '[' && !indented) {
			free(section);
			free(parent);
			parent = NULL;
			section = section_name(line, kind);
		} else if (section && (!indented || parent)) {
			take_setting(line, section, &parent, indented, setting, context);
		}
	}
	free(section);
	free(parent);
}

/* ---- one profile, out of both files ---- */

enum field {
	FIELD_ACCESS_KEY,
	FIELD_SECRET_KEY,
	FIELD_TOKEN,
	FIELD_REGION,
	FIELD_ENDPOINT,
	FIELD_SERVICES,
	FIELD_COUNT,
};

static const char *const field_names[FIELD_COUNT] = {
        [FIELD_ACCESS_KEY] = "aws_access_key_id",
        [FIELD_SECRET_KEY] = "aws_secret_access_key",
        [FIELD_TOKEN] = "aws_session_token",
        [FIELD_REGION] = "region",
        [FIELD_ENDPOINT] = "endpoint_url",
        [FIELD_SERVICES] = "services",
};

/* Ways to credentials that the chain does not have a link for. */
static const char *const unsupported[] = {"credential_process", "role_arn", "sso_session",
                                          "sso_start_url", "web_identity_token_file"};

struct profile {
	const char *name;
	char *fields[AWS_FILES][FIELD_COUNT];
	char *service_endpoint;         /* of the services section that the profile names */
	const char *unsupported;        /* static; a setting that we cannot follow, or NULL */
	bool found;                     /* some section spoke of it */
	/* While reading: */
	enum aws_file reading;
	const char *wanted_section;     /* "services NAME" */
};

static void replace(char **field, const char *value)
{
	free_secret(*field);
	*field = xstrdup(value);
}

/* The credentials file wins. */
static const char *profile_get(const struct profile *p, enum field field)
{
	const char *value = p->fields[AWS_FILE_CREDENTIALS][field];

	return value ? value : p->fields[AWS_FILE_CONFIG][field];
}

/* The file whose keys count: they are never put together from both. */
static enum aws_file profile_keys_file(const struct profile *p)
{
	char *const *fields = p->fields[AWS_FILE_CREDENTIALS];

	return fields[FIELD_ACCESS_KEY] || fields[FIELD_SECRET_KEY] ? AWS_FILE_CREDENTIALS
	                                                            : AWS_FILE_CONFIG;
}

static void take_profile_setting(void *context, const char *section, const char *name,
                                 const char *value)
{
	struct profile *p = context;

	if (strcmp(section, p->name) != 0)
		return;
	p->found = true;
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (!strcmp(name, field_names[i]))
			replace(&p->fields[p->reading][i], value);
	for (size_t i = 0; i < ARRAY_SIZE(unsupported); i++)
		if (!strcmp(name, unsupported[i]))
			p->unsupported = unsupported[i];
}

static void take_service_setting(void *context, const char *section, const char *name,
                                 const char *value)
{
	struct profile *p = context;

	if (!strcmp(section, p->wanted_section) && !strcmp(name, "s3.endpoint_url"))
		replace(&p->service_endpoint, value);
}

static void profile_release(struct profile *p)
{
	for (size_t i = 0; i < AWS_FILES * FIELD_COUNT; i++)
		free_secret(p->fields[i / FIELD_COUNT][i % FIELD_COUNT]);
	free(p->service_endpoint);
}

static void read_file(struct profile *p, enum aws_file kind, aws_setting_fn *take,
                      struct buf *error)
{
	char *path = file_path(kind), *text = NULL;
	size_t n = 0;
	int result = read_whole(path, &text, &n);

	if (!result) {
		p->reading = kind;
		aws_file_parse(text, n, kind, take, p);
		explicit_bzero(text, n);
		free(text);
	} else if (result != -ENOENT && result != -ENOTDIR) {
		buf_addf(error, "%s%s: %s", error->length ? "; " : "", path, strerror(-result));
	}
	free(path);
}

/* `error` receives which files are there but cannot be read; that is no failure yet. */
static void profile_read(struct profile *p, const char *option, struct buf *error)
{
	const char *name = option ? option : from_env("AWS_PROFILE"), *services;

	if (!name)
		name = from_env("AWS_DEFAULT_PROFILE");
	*p = (struct profile){.name = name ? name : DEFAULT_PROFILE};
	read_file(p, AWS_FILE_CONFIG, take_profile_setting, error);
	read_file(p, AWS_FILE_CREDENTIALS, take_profile_setting, error);
	services = profile_get(p, FIELD_SERVICES);
	if (services) {
		char *section = xasprintf("services %s", services);
		struct buf ignored = BUF_INIT;

		p->wanted_section = section;
		read_file(p, AWS_FILE_CONFIG, take_service_setting, &ignored);
		p->wanted_section = NULL;
		buf_release(&ignored);
		free(section);
	}
}

/* ---- the chain ---- */

/* 1: found; 0: not here; -EACCES: half here, with a sentence. `notes` gathers what the
 * sentence of an empty chain should mention. */
typedef int link_fn(const char *profile, struct dialect_credentials **out, struct buf *error,
                    struct buf *notes);

static int read_environment(const char *profile, struct dialect_credentials **out,
                            struct buf *error, struct buf *notes)
{
	const char *id = from_env("AWS_ACCESS_KEY_ID"), *secret = from_env("AWS_SECRET_ACCESS_KEY");

	if (profile)
		return 0;
	if (!id && !secret) {
		buf_adds(notes, "AWS_ACCESS_KEY_ID is not set");
		return 0;
	}
	if (!id || !secret) {
		buf_addf(error, "AWS_%s is set but AWS_%s is not; set both or none",
		         id ? "ACCESS_KEY_ID" : "SECRET_ACCESS_KEY",
		         id ? "SECRET_ACCESS_KEY" : "ACCESS_KEY_ID");
		return -EACCES;
	}
	*out = dialect_credentials_create(id, secret, from_env("AWS_SESSION_TOKEN"),
	                                  "AWS_ACCESS_KEY_ID", INT64_MAX);
	return 1;
}

static void add_profile(struct buf *out, const char *name)
{
	buf_adds(out, "profile ");
	buf_add_quoted(out, name, strlen(name), 60);
}

static int read_profile(const char *option, struct dialect_credentials **out, struct buf *error,
                        struct buf *notes)
{
	struct profile p;
	struct buf unreadable = BUF_INIT, origin = BUF_INIT;
	char *const *fields, *path;
	const char *id, *secret;
	int result = 0;

	profile_read(&p, option, &unreadable);
	fields = p.fields[profile_keys_file(&p)];
	id = fields[FIELD_ACCESS_KEY];
	secret = fields[FIELD_SECRET_KEY];
	path = file_path(profile_keys_file(&p));
	if (id && secret) {
		add_profile(&origin, p.name);
		buf_addf(&origin, " in %s", path);
		*out = dialect_credentials_create(id, secret, fields[FIELD_TOKEN], origin.data,
		                                  INT64_MAX);
		result = 1;
	} else if (id || secret) {
		add_profile(error, p.name);
		buf_addf(error, " in %s has %s but no %s", path,
		         field_names[id ? FIELD_ACCESS_KEY : FIELD_SECRET_KEY],
		         field_names[id ? FIELD_SECRET_KEY : FIELD_ACCESS_KEY]);
		result = -EACCES;
	} else {
		char *credentials = file_path(AWS_FILE_CREDENTIALS);

		buf_adds(notes, notes->length ? ", " : "");
		add_profile(notes, p.name);
		if (p.unsupported)
			buf_addf(notes, " asks for %s, which is not supported", p.unsupported);
		else if (p.found)
			buf_addf(notes, " has no aws_access_key_id");
		else
			buf_addf(notes, " is not in %s", credentials);
		if (unreadable.length)
			buf_addf(notes, " (%s)", unreadable.data);
		free(credentials);
	}
	free(path);
	buf_release(&unreadable);
	buf_release(&origin);
	profile_release(&p);
	return result;
}

static link_fn *const chain[] = {
        read_environment,
        read_profile,
};

int credentials_read(const char *profile, struct dialect_credentials **out, struct buf *error)
{
	struct buf notes = BUF_INIT;
	int result = 0;

	*out = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(chain) && result == 0; i++)
		result = chain[i](profile, out, error, &notes);
	if (result == 0) {
		buf_addf(error, "no credentials: %s; set them%s", notes.data,
		         profile ? " there" : ", or mount a public bucket with -o no_sign");
		result = -EACCES;
	}
	buf_release(&notes);
	return result > 0 ? 0 : result;
}

uint64_t credentials_stamp(const char *profile)
{
	uint64_t marks[AWS_FILES][5] = {{0}};

	if (!profile && from_env("AWS_ACCESS_KEY_ID"))
		return 0;
	for (enum aws_file kind = 0; kind < AWS_FILES; kind++) {
		char *path = file_path(kind);
		struct stat st;

		if (!stat(path, &st))
			memcpy(marks[kind],
			       (uint64_t[]){st.st_dev, st.st_ino, (uint64_t)st.st_size,
			                    (uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec},
			       sizeof(marks[kind]));
		free(path);
	}
	return crypto_hash64(marks, sizeof(marks)) | 1;
}

/* ---- settings ---- */

int credentials_read_settings(const char *profile, struct credentials_settings *out,
                              struct buf *error)
{
	const char *ignore = from_env("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
	const char *region = from_env("AWS_REGION"), *endpoint = from_env("AWS_ENDPOINT_URL_S3");
	struct buf unreadable = BUF_INIT;
	struct profile p;
	int result = 0;

	profile_read(&p, profile, &unreadable);
	if (!region)
		region = from_env("AWS_DEFAULT_REGION");
	if (!region)
		region = profile_get(&p, FIELD_REGION);
	if (!endpoint)
		endpoint = from_env("AWS_ENDPOINT_URL");
	if (!endpoint)
		endpoint = p.service_endpoint ? p.service_endpoint : profile_get(&p, FIELD_ENDPOINT);
	if (ignore && !strcasecmp(ignore, "true"))
		endpoint = NULL;
	*out = (struct credentials_settings){
	        .region = region ? xstrdup(region) : NULL,
	        .endpoint_url = endpoint ? xstrdup(endpoint) : NULL,
	};
	if (profile && !p.found) {
		char *credentials = file_path(AWS_FILE_CREDENTIALS), *config = file_path(AWS_FILE_CONFIG);

		add_profile(error, profile);
		buf_addf(error, " is neither in %s nor in %s%s%s", credentials, config,
		         unreadable.length ? ": " : "; check -o profile=", unreadable.data);
		free(credentials);
		free(config);
		result = -ENOENT;
	}
	buf_release(&unreadable);
	profile_release(&p);
	return result;
}

void credentials_settings_release(struct credentials_settings *s)
{
	free(s->region);
	free(s->endpoint_url);
	*s = (struct credentials_settings){.region = NULL};
}
