/* stats.c - the table of stats.def, in numbers and in text. */
#include "pailfs/base/stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "pailfs/base/xalloc.h"

struct description {
	const char *kind, *name, *labels, *help;
};

static const struct description values[] = {
#define STAT(id, kind, name, labels, help) {#kind, name, labels, help},
#include "pailfs/base/stats.def"
};

static const struct description histograms[] = {
#define HISTOGRAM(id, name, labels, help) {"histogram", name, labels, help},
#include "pailfs/base/stats.def"
};

#define FIRST_BOUND_NS 100000ull /* the first bucket's upper bound; each next one is twice it */

struct stats *stats_create(void)
{
	return xcalloc(1, sizeof(struct stats));
}

void stats_destroy(struct stats *s)
{
	free(s);
}

void stats_observe(struct stats *s, enum stat_histogram_id id, uint64_t ns)
{
	struct stat_histogram *h = &s->histograms[id];
	unsigned i = 0;

	for (uint64_t bound = FIRST_BOUND_NS; i < HISTOGRAM_BUCKETS - 1 && ns > bound; bound *= 2)
		i++;
	atomic_fetch_add_explicit(&h->buckets[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum_ns, ns, memory_order_relaxed);
}

static void format_head(const struct description *d, struct buf *out)
{
	buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", d->name, d->help, d->name, d->kind);
}

void stats_format(const struct stats *s, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		const struct description *d = &values[i];

		if (i == 0 || strcmp(values[i - 1].name, d->name))
			format_head(d, out);
		buf_addf(out, *d->labels ? "%s{%s} %" PRId64 "\n" : "%s%s %" PRId64 "\n", d->name,
		         d->labels, stats_get(s, (enum stat_id)i));
	}
	for (size_t i = 0; i < ARRAY_SIZE(histograms); i++) {
		const struct stat_histogram *h = &s->histograms[i];
		const struct description *d = &histograms[i];
		uint64_t bound = FIRST_BOUND_NS, total = 0;

		format_head(d, out);
		for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++, bound *= 2) {
			total += atomic_load_explicit(&h->buckets[b], memory_order_relaxed);
			if (b < HISTOGRAM_BUCKETS - 1)
				buf_addf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", d->name,
				         (double)bound / 1e9, total);
			else
				buf_addf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", d->name, total);
		}
		buf_addf(out, "%s_sum %.9f\n%s_count %" PRIu64 "\n", d->name,
		         (double)atomic_load_explicit(&h->sum_ns, memory_order_relaxed) / 1e9, d->name,
		         total);
	}
}

/* The names of labels such as op="get",result="ok", whose values have no commas in them. */
static void add_label_names(const char *labels, struct buf *out)
{
	const char *separator = " by ";

	while (*labels) {
		buf_adds(out, separator);
		buf_add(out, labels, strcspn(labels, "="));
		separator = " and ";
		labels += strcspn(labels, ",");
		labels += *labels == ',';
	}
}

static void format_item(const struct description *d, struct buf *out)
{
	buf_addf(out, ".It Li %s No (%s", d->name, d->kind);
	add_label_names(d->labels, out);
	buf_addf(out, ")\n%s\n", d->help);
}

void stats_format_manual(struct buf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		if (i == 0 || strcmp(values[i - 1].name, values[i].name))
			format_item(&values[i], out);
	for (size_t i = 0; i < ARRAY_SIZE(histograms); i++)
		format_item(&histograms[i], out);
}
