/* Names: random questions against what is in the bucket, many threads, a million names. */
#include "names_fixture.h"

/* ---- a model ---- */

static const char *random_name(unsigned *seed)
{
	static const char *names[] = {"a", "a-", "a-b", "a.b", "a/", "a0", "ab", "b", "b!", "b!!",
	                              "b!!c", "c", "\xc3\xa9", "\xff", "zz", "a-b-c", "-", "!"};

	return names[(size_t)rand_r(seed) % ARRAY_SIZE(names)];
}

static char *random_prefix(unsigned *seed, int depth)
{
	struct buf prefix = BUF_INIT;

	for (int i = rand_r(seed) % (depth + 1); i > 0; i--) {
		const char *name = random_name(seed);

		buf_add(&prefix, name, strcspn(name, "/"));
		buf_addc(&prefix, '/');
	}
	return buf_detach(&prefix);
}

static int compare_shown(const void *a, const void *b_)
{
	return strcmp(*(char *const *)a, *(char *const *)b_);
}

/* What the bucket's keys say a directory shows. */
static char *truth(const char *prefix)
{
	size_t length = strlen(prefix), count = 0;
	char **shown = xcalloc(b->count + 1, sizeof(*shown));
	struct buf all = BUF_INIT;

	for (size_t i = 0; i < b->count; i++) {
		const char *rest = b->keys[i] + length;

		if (strncmp(b->keys[i], prefix, length) || !*rest)
			continue;
		shown[count++] = xasprintf("%.*s/", (int)strcspn(rest, "/"), rest);
	}
	qsort(shown, count, sizeof(*shown), compare_shown);
	for (size_t i = 0; i < count; i++) {
		char *key = xasprintf("%s%s", prefix, shown[i]);

		if (i == 0 || strcmp(shown[i - 1], shown[i]))
			buf_addf(&all, "%s%.*s", all.length ? "|" : "",
			         (int)strlen(shown[i]) - !bucket_has_below(b, key), shown[i]);
		free(key);
	}
	for (size_t i = 0; i < count; i++)
		free(shown[i]);
	free(shown);
	return buf_detach(&all);
}

static void mutate(unsigned *seed)
{
	for (int i = 0; i < 5; i++) {
		char *prefix = random_prefix(seed, 3);
		char *key = xasprintf("%s%s", prefix, random_name(seed));

		if (rand_r(seed) % 3)
			bucket_add(b, key);
		else
			bucket_remove(b, key);
		free(key);
		free(prefix);
	}
}

START_TEST(agrees_with_the_bucket)
{
	unsigned seed = (unsigned)_i * 7919 + 1;

	b->page_size = 1 + (size_t)rand_r(&seed) % 12;
	b->shows_prefix_again = rand_r(&seed) % 2;
	if (rand_r(&seed) % 2)
		bucket_set_mode(b, BUCKET_STEPS);
	log_open("/dev/null", "error");
	for (int i = rand_r(&seed) % 30; i >= 0; i--)
		mutate(&seed);
	start_with(rand_r(&seed) % 3 ? 1000000 : 20, rand_r(&seed) % 8 ? TTL : 0);
	for (int step = 0; step < 400; step++) {
		char *prefix = random_prefix(&seed, 2), *expected, *got, *key;
		const char *name = random_name(&seed);
		size_t length = strcspn(name, "/");
		char *plain = xstrndup(name, length);
		bool file, below;
		int error, result;

		switch (rand_r(&seed) % 12) {
		case 0:
			mutate(&seed);
			pass(TTL);
			while (bucket_step(b)) /* pages ahead are of before */
				;
			names_forget_below(n, "");
			break;
		case 1:
			while (bucket_step(b))
				;
			mutate(&seed);
			pass(TTL);
			break;
		case 2:
			pass(TTL / 3);
			break;
		case 3:
			names_forget(n, prefix, plain);
			break;
		case 4:
			names_forget_below(n, prefix);
			break;
		case 5:
		case 6:
		case 7:
			expected = truth(prefix);
			got = read_all(prefix, 1 + (size_t)rand_r(&seed) % 6, &error);
			ck_assert_int_eq(error, 0);
			ck_assert_str_eq(got, expected);
			free(expected);
			free(got);
			break;
		default:
			key = xasprintf("%s%s", prefix, plain);
			file = bucket_has(b, key);
			free(key);
			key = xasprintf("%s%s/", prefix, plain);
			below = bucket_has_below(b, key);
			free(key);
			result = lookup(prefix, plain, NULL);
			ck_assert_int_eq(result, file || below ? 0 : -ENOENT);
			if (below)
				ck_assert(is_directory(prefix, plain));
			else if (file)
				ck_assert(is_file(prefix, plain));
		}
		free(plain);
		free(prefix);
	}
	log_open("stderr", "warn");
}
END_TEST

/* ---- threads ---- */

struct crowd_member {
	struct names_lookup lookup;
	struct names_readdir readdir;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool ended;
	int result;
	unsigned seed;
};

static void member_wake(struct crowd_member *m, int result)
{
	pthread_mutex_lock(&m->lock);
	m->ended = true;
	m->result = result;
	pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->lock);
}

static void member_lookup_done(struct names_lookup *q, int result)
{
	member_wake(container_of(q, struct crowd_member, lookup), result);
}

static void member_readdir_done(struct names_readdir *q, int result)
{
	member_wake(container_of(q, struct crowd_member, readdir), result);
}

static int member_wait(struct crowd_member *m, int result)
{
	if (result)
		return result == 1 ? 0 : result;
	pthread_mutex_lock(&m->lock);
	while (!m->ended)
		pthread_cond_wait(&m->wake, &m->lock);
	pthread_mutex_unlock(&m->lock);
	return m->result;
}

static void *crowd(void *arg)
{
	struct crowd_member *m = arg;

	for (int i = 0; i < 400; i++) {
		char name[16], prefix[16];
		int what = rand_r(&m->seed) % 8, result;

		snprintf(prefix, sizeof(prefix), "%02d/", rand_r(&m->seed) % 20);
		snprintf(name, sizeof(name), "%02d", rand_r(&m->seed) % 60);
		m->ended = false;
		if (what < 4) {
			m->lookup = (struct names_lookup){.done = member_lookup_done};
			result = names_lookup(n, &m->lookup, prefix, name);
			if (result == 0 && what == 0)
				names_lookup_interrupt(n, &m->lookup);
			result = member_wait(m, result);
			ck_assert(result == (atoi(name) < 50 ? 0 : -ENOENT) || result == -EINTR);
			names_entry_release(&m->lookup.entry);
		} else if (what < 6) {
			m->readdir = (struct names_readdir){.done = member_readdir_done};
			result = names_readdir(n, &m->readdir, prefix, NULL, 100);
			if (result == 0 && what == 4)
				names_readdir_interrupt(n, &m->readdir);
			result = member_wait(m, result);
			ck_assert(result == 0 || result == -EINTR);
			names_readdir_release(&m->readdir);
		} else if (what == 6) {
			names_forget(n, prefix, name);
			pass(TTL / 50);
		} else {
			names_forget_below(n, i % 10 ? prefix : "");
		}
	}
	return NULL;
}

START_TEST(many_threads_ask)
{
	struct crowd_member members[6] = {0};
	pthread_t threads[ARRAY_SIZE(members)];

	for (int i = 0; i < 1000; i++)
		bucket_addf(b, "%02d/%02d", i / 50, i % 50);
	b->page_size = 40;
	bucket_set_mode(b, BUCKET_THREAD);
	start_with(300, TTL);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		pthread_mutex_init(&members[i].lock, NULL);
		pthread_cond_init(&members[i].wake, NULL);
		members[i].seed = (unsigned)i + 1;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, crowd, &members[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		pthread_join(threads[i], NULL);
}
END_TEST

/* A million names: what is held is compact and found in a moment. */
START_TEST(a_million_names)
{
	enum { NAMES = 1000000 };
	struct asked_readdir a;
	size_t count = 0;
	char *cursor = NULL;
	bool end = false;

	b->keys = xcalloc(NAMES, sizeof(*b->keys));
	b->capacity = b->count = NAMES;
	for (size_t i = 0; i < NAMES; i++)
		b->keys[i] = xasprintf("train/sample-%07zu.jpg", i);
	start_with(2 * NAMES, 1000 * NS_PER_SECOND);
	while (!end) {
		ck_assert_int_eq(some(&a, "train/", cursor, 128), 0);
		count += a.q.count;
		if (a.q.count > 0) {
			free(cursor);
			cursor = names_cursor(&a.q.entries[a.q.count - 1]);
		}
		end = a.q.end;
		names_readdir_release(&a.q);
	}
	free(cursor);
	ck_assert_uint_eq(count, NAMES);
	ck_assert_uint_eq(b->lists, NAMES / 1000);
	for (unsigned i = 0, seed = 1; i < 100000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "sample-%07d.jpg", rand_r(&seed) % NAMES);
		ck_assert(is_file("train/", name));
	}
	ck_assert_uint_eq(b->lists, NAMES / 1000);
	/* And "train" itself. */
	ck_assert_int_eq(stats_get(stats, STAT_NAMES_ENTRIES), NAMES + 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names_model");
	TCase *tc = tcase_create("names_model");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120); /* a million names take a while under a sanitizer */
	tcase_add_test(tc, many_threads_ask);
	tcase_add_test(tc, a_million_names);
	tcase_add_loop_test(tc, agrees_with_the_bucket, 0, 40);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
