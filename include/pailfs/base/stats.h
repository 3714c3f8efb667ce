/* stats.h - counters, gauges and histograms, declared together with their documentation.
 *
 * stats.def is the one table: from it come the enum, the Prometheus text and the manual's
 * table. Every update is one relaxed atomic addition; any thread may update or read. */
#ifndef PAILFS_BASE_STATS_H
#define PAILFS_BASE_STATS_H

#include <stdatomic.h>
#include <stdint.h>
#include "pailfs/base/buf.h"

enum stat_id {
#define STAT(id, kind, name, labels, help) STAT_##id,
#include "pailfs/base/stats.def"
	STAT_COUNT,
};

enum stat_histogram_id {
#define HISTOGRAM(id, name, labels, help) HISTOGRAM_##id,
#include "pailfs/base/stats.def"
	HISTOGRAM_COUNT,
};

#define HISTOGRAM_BUCKETS 20 /* upper bounds 100 us * 2^i; the last is +Inf */

struct stat_histogram {
	_Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
	_Atomic uint64_t sum_ns;
};

struct stats {
	_Atomic int64_t values[STAT_COUNT];
	struct stat_histogram histograms[HISTOGRAM_COUNT];
};

struct stats *stats_create(void); /* all zero; free with stats_destroy */
void stats_destroy(struct stats *s);

static inline void stats_add(struct stats *s, enum stat_id id, int64_t n)
{
	atomic_fetch_add_explicit(&s->values[id], n, memory_order_relaxed);
}

static inline void stats_inc(struct stats *s, enum stat_id id)
{
	stats_add(s, id, 1);
}

static inline int64_t stats_get(const struct stats *s, enum stat_id id)
{
	return atomic_load_explicit(&s->values[id], memory_order_relaxed);
}

void stats_observe(struct stats *s, enum stat_histogram_id id, uint64_t ns);

/* Adds the whole set in the Prometheus text exposition format 0.0.4. */
void stats_format(const struct stats *s, struct buf *out);
/* Adds each name with its kind, the names of its labels and its help, as mdoc list items for the
 * manual. */
void stats_format_manual(struct buf *out);

#endif
