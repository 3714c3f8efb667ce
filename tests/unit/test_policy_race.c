/* The policies against each other on simulated links: auto is never slower than the better of
 * the two fixed ones by more than a tenth, on what tools do to files.
 *
 * The reads are those that arrive from the kernel, as they were traced (semantics.md). The link
 * is a time to the first byte, a rate for each GET, and one for all together, on which GETs that
 * were started earlier come first; a reader costs the time of its copies. So what is compared are
 * round trips and bytes, and nothing depends on the machine that this runs on.
 * What was measured of the link is known, as it is after a mount's first file. bench/policies
 * does the same with the real thing. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/clock.h"
#include "pailfs/base/xalloc.h"
#include "src/read/streams.h"

#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define GIB (1ull << 30)

#define MOST_READERS 8
#define COPY_RATE 2e9            /* bytes a second, of a reader with its bytes there */
#define GET_NS 50000             /* processor time of one GET */
#define REQUEST_NS 10000         /* … and of one request of the kernel's */

struct link_model {
	const char *name;
	uint64_t first_byte_ns;
	double rate, total; /* bytes a second, of one GET and of all */
};

static const struct link_model links[] = {
	{"loopback", 300000, 1e9, 1e9},
	{"a near store", 2 * NS_PER_MS, 300e6, 1.2e9},
	{"30 ms, 80 MB/s", 30 * NS_PER_MS, 80e6, 1e9},
	{"100 ms, 40 MB/s", 100 * NS_PER_MS, 40e6, 500e6},
};

/* A request of the kernel's; it may be one that nobody waits for, read ahead. */
struct request {
	struct range range;
	bool unwaited;
};

/* What one tool reads: readers that each go through requests of their own. */
struct workload {
	const char *name;
	uint64_t size;
	struct range directory; /* of an archive */
	struct request *reads[MOST_READERS];
	size_t counts[MOST_READERS];
};

static void add_read(struct workload *w, size_t reader, uint64_t start, uint64_t length)
{
	size_t *n = &w->counts[reader];

	w->reads[reader] = xrealloc(w->reads[reader], *n + 1, sizeof(struct request));
	w->reads[reader][(*n)++] = (struct request){.range = {start, MIN(start + length, w->size)}};
}

static void add_all(struct workload *w, const struct range *reads, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add_read(w, 0, reads[i].start, range_length(reads[i]));
}

static void add_sequence(struct workload *w, size_t reader, uint64_t start, uint64_t end, uint64_t step)
{
	for (uint64_t at = start; at < end; at += step)
		add_read(w, reader, at, MIN(step, end - at));
}

/* cat, cp, sha256sum: the kernel's readahead as a mount by root sets it, and by default; dd. */
static void make_sequential(struct workload *w)
{
	w->size = GIB / 4;
	add_sequence(w, 0, 0, w->size, MIB);
}

static void make_sequential_128k(struct workload *w)
{
	w->size = GIB / 4;
	add_sequence(w, 0, 0, w->size, 128 * KIB);
}

static void make_archive(struct workload *w)
{
	w->size = 1048824022;
	w->directory = (struct range){1048684000, 1048824000};
}

static const struct range listing[] = {
	{1048821760, 1048824022}, {1048682496, 1048690688}, {1048690688, 1048723456}, {1048723456, 1048821760},
};

static void make_zip_listing(struct workload *w)
{
	make_archive(w);
	add_all(w, listing, ARRAY_SIZE(listing));
}

static void make_zip_members(struct workload *w)
{
	static const struct range member[] = {
		{0, 8192}, {8192, 40960}, {40960, 163840}, {163840, 409600}, {409600, 532480}, {532480, 1884160},
	};
	unsigned seed = 5;

	make_zip_listing(w);
	for (int i = 0; i < 20; i++) {
		uint64_t at = (uint64_t)rand_r(&seed) % 1900 * 524350 & ~4095ull;

		for (size_t k = 0; k < ARRAY_SIZE(member); k++)
			add_read(w, 0, at + member[k].start, range_length(member[k]));
		w->reads[0][w->counts[0] - 1].unwaited = true;
	}
}

static void make_tar_index(struct workload *w)
{
	w->size = 64 * MIB;
	for (uint64_t at = 0; at < w->size; at += 128 * KIB + 512)
		add_read(w, 0, at & ~4095ull, 4 * KIB);
}

/* Of an object that a hundred range buffers are next to nothing of. */
static void make_random_4k(struct workload *w)
{
	unsigned seed = 3;

	w->size = 256 * GIB;
	for (int i = 0; i < 100; i++)
		add_read(w, 0, ((uint64_t)rand_r(&seed) << 20) % w->size + (uint64_t)i * 4096, 4 * KIB);
}

static void make_h5_chunks(struct workload *w)
{
	static const struct range reads[] = {
		{0, 16384}, {36024320, 36028416}, {17039360, 17047552}, {26222592, 26488832},
		{17047552, 17059840}, {4456448, 4722688}, {16777216, 17039360}, {786432, 1052672},
	};

	w->size = 36030693;
	add_all(w, reads, ARRAY_SIZE(reads));
}

static void make_mapped_tensors(struct workload *w)
{
	static const struct range reads[] = {
		{0, 1048576}, {8912896, 9961472}, {9961472, 11005952}, {1572864, 2621440},
		{2621440, 3665920}, {13107200, 14155776}, {14155776, 15200256},
	};

	w->size = 16778696;
	add_all(w, reads, ARRAY_SIZE(reads));
}

static void make_streams_8(struct workload *w)
{
	w->size = GIB;
	for (size_t k = 0; k < 8; k++)
		add_sequence(w, k, k * GIB / 8, k * GIB / 8 + 32 * MIB, 256 * KIB);
}

/* `except` is not held: there, windows that happen to bring all of a small object cost next to
 * nothing, and who reads exactly waits for each tensor. */
static const struct {
	const char *name;
	void (*make)(struct workload *w);
	const char *except;
} workloads[] = {
	{"sequential, 1 MiB requests", make_sequential},
	{"sequential, 128 KiB requests", make_sequential_128k},
	{"zip: listing", make_zip_listing},
	{"zip: 20 members", make_zip_members},
	{"tar: index", make_tar_index},
	{"random 4 KiB", make_random_4k},
	{"HDF5: chunks", make_h5_chunks},
	{"safetensors: mapped", make_mapped_tensors, "a near store"},
	{"8 streams", make_streams_8},
};

/* ---- one run of a policy ---- */

struct get {
	struct range range;
	uint64_t first_ns; /* its first byte comes */
};

struct run {
	const struct link_model *link;
	const struct workload *work;
	struct streams streams;
	struct range_set claimed;
	struct get *gets;
	size_t count;
	uint64_t free_ns; /* what was started has come, if the link as a whole is what it waits for */
	struct policy_limits limits;
};

/* When the byte before `end`, which `get` brings, has come. */
static uint64_t arrival(const struct run *r, const struct get *get, uint64_t end)
{
	return get->first_ns + (uint64_t)((double)(end - get->range.start) / r->link->rate * 1e9);
}

/* When all of the range has come. */
static uint64_t complete(const struct run *r, struct range range)
{
	uint64_t last = 0;

	for (size_t i = 0; i < r->count; i++) {
		struct range part = range_intersect(r->gets[i].range, range);

		if (!range_empty(part))
			last = MAX(last, arrival(r, &r->gets[i], part.end));
	}
	return last;
}

/* Starts the GETs for what is absent of a range; each takes some time to start. */
static uint64_t fetch(struct run *r, struct range range, uint64_t part, uint64_t now)
{
	struct range gap;

	while (range_set_first_gap(&r->claimed, range, &gap)) {
		gap.end = MIN(gap.end, gap.start + part);
		r->gets = xrealloc(r->gets, r->count + 1, sizeof(*r->gets));
		now += GET_NS;
		r->free_ns = MAX(r->free_ns, now + r->link->first_byte_ns);
		r->gets[r->count++] = (struct get){gap, r->free_ns};
		r->free_ns += (uint64_t)((double)range_length(gap) / r->link->total * 1e9);
		range_set_add(&r->claimed, gap);
	}
	return now;
}

/* One read at that time; returns when its reader goes on. */
static uint64_t run_read(struct run *r, const struct policy *policy, const struct request *request,
                         uint64_t now)
{
	struct range range = request->range;
	struct policy_read read = {.range = range, .object_size = r->work->size, .now_ns = now + 1};
	struct policy_history *history = &r->streams.history;
	struct policy_plan plan = {0};
	struct policy_stream *stream;
	struct range gap;

	read.missing = range_set_first_gap(&r->claimed, range, &gap) ? gap.start : range.end;
	read.stalled = !policy_read_covered(&read) || complete(r, range) > now;
	stream = streams_observe(&r->streams, range, r->limits.max_gap);
	policy->plan(&r->limits, history, stream, &read, &plan);
	history->reads++;
	if (!policy_read_covered(&read))
		now = fetch(r, plan.demand, r->limits.max_part, now);
	if (!range_empty(plan.ahead))
		now = fetch(r, plan.ahead, plan.part, now);
	stream->fetched_to = MAX(stream->fetched_to, MAX(plan.demand.end, plan.ahead.end));
	if (history->tail) {
		history->directory = r->work->directory;
		history->archive = !range_empty(history->directory);
	}
	if (request->unwaited)
		return now;
	now = MAX(now, complete(r, range));
	return now + REQUEST_NS + (uint64_t)((double)range_length(range) / COPY_RATE * 1e9);
}

/* The time that a policy takes for a workload, nanoseconds. */
static uint64_t race(const struct policy *policy, const struct workload *w, const struct link_model *link)
{
	struct run r = {
		.link = link,
		.work = w,
		.limits = {.range_buffer = 8 * MIB,
		           .max_window = 128 * MIB,
		           .max_part = 8 * MIB,
		           .kernel_ahead = MIB,
		           .first_byte_ns = link->first_byte_ns,
		           .rate = (uint64_t)link->rate},
	};
	uint64_t at[MOST_READERS] = {0}, last = 0;
	size_t done[MOST_READERS] = {0};

	r.limits.max_gap = MAX((uint64_t)((double)link->first_byte_ns * link->rate / 1e9), 256 * KIB);
	range_set_init(&r.claimed);
	for (;;) {
		size_t next = MOST_READERS;

		for (size_t k = 0; k < MOST_READERS; k++)
			if (done[k] < w->counts[k] && (next == MOST_READERS || at[k] < at[next]))
				next = k;
		if (next == MOST_READERS)
			break;
		at[next] = run_read(&r, policy, &w->reads[next][done[next]++], at[next]);
		last = MAX(last, at[next]);
	}
	range_set_release(&r.claimed);
	free(r.gets);
	return last;
}

/* One test a workload and link. */
START_TEST(auto_keeps_up_with_the_better_fixed_policy)
{
	const struct link_model *link = &links[(size_t)_i % ARRAY_SIZE(links)];
	size_t which = (size_t)_i / ARRAY_SIZE(links);
	struct workload w = {.name = workloads[which].name};
	uint64_t sequential, ranged, ours;

	workloads[which].make(&w);
	sequential = race(&policy_sequential, &w, link);
	ranged = race(&policy_ranged, &w, link);
	ours = race(&policy_auto, &w, link);
	if (getenv("CK_VERBOSITY") && !strcmp(getenv("CK_VERBOSITY"), "verbose"))
		printf("%-30s %-16s sequential %8.2f ranged %8.2f auto %8.2f ms: %.2f\n", w.name, link->name,
		       (double)sequential / 1e6, (double)ranged / 1e6, (double)ours / 1e6,
		       (double)ours / (double)MIN(sequential, ranged));
	ck_assert_msg(ours <= MIN(sequential, ranged) * 11 / 10 ||
	                      (workloads[which].except && !strcmp(workloads[which].except, link->name)),
	              "%s, %s: sequential %.2f ms, ranged %.2f ms, auto %.2f ms", w.name, link->name,
	              (double)sequential / 1e6, (double)ranged / 1e6, (double)ours / 1e6);
	for (size_t k = 0; k < MOST_READERS; k++)
		free(w.reads[k]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy_race");
	TCase *tc = tcase_create("policy_race");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, auto_keeps_up_with_the_better_fixed_policy, 0,
	                    ARRAY_SIZE(workloads) * ARRAY_SIZE(links));
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
