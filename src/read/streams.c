/* streams.c - by position, with tolerances that grow with confidence.
 *
 *	read that begins …                                        joins        confidence
 *	at the frontier                                           any stream   2
 *	some requests beyond the frontier (R4)                    a proven one 2
 *	a request or two beyond                                   the recent   2
 *	at most max_gap beyond: tar's headers, a scan by stride   the recent   1
 *	behind the frontier, where the stream has passed          any stream   0
 *
 * Two streams whose frontiers come so near each other that reads could join either are one: two
 * requests of one reader that were swapped at its beginning began them.
 *
 * What is joined by chance costs bytes that nobody reads: a random reader leaves single reads
 * all over the object, and the next one must not lie near one of them. So the tolerances are
 * in lengths of the request, and hold for a stream that has proved itself or was just read. */
#include "streams.h"

#include "pailfs/base/xalloc.h"

#define MOST_REACH (4ull << 20)
#define LEAST_REACH (64ull << 10)
/* A stream is active if it is among those of so many reads. */
#define ACTIVE_READS (8 * STREAMS_MAX)

enum match { MATCH_NONE, MATCH_BEHIND, MATCH_GAP, MATCH_NEAR };

static uint64_t reach_beyond(const struct streams *all, const struct policy_stream *s, uint64_t length)
{
	if (s->confidence >= 4)
		return MAX(MIN(4 * length, MOST_REACH), LEAST_REACH);
	return s == all->recent ? MIN(2 * length, MOST_REACH) : 0;
}

static enum match match(const struct streams *all, const struct policy_stream *s, struct range read,
                        uint64_t max_gap, uint64_t *distance)
{
	if (read.start < s->frontier) {
		*distance = s->frontier - read.start;
		if (read.start < s->first || *distance > MOST_REACH)
			return MATCH_NONE;
		return read.end > s->frontier ? MATCH_NEAR : MATCH_BEHIND;
	}
	*distance = read.start - s->frontier;
	if (*distance <= reach_beyond(all, s, range_length(read)))
		return MATCH_NEAR;
	return s == all->recent && *distance <= max_gap ? MATCH_GAP : MATCH_NONE;
}

/* A stream is taken for finished when another begins right after it. */
static void count_run(struct streams *s, struct policy_stream *finished)
{
	struct policy_history *h = &s->history;
	uint64_t run;

	if (!finished || finished->counted || finished->directory)
		return;
	run = policy_run(finished);
	finished->counted = true;
	h->typical_run = h->typical_run ? (h->typical_run + run) / 2 : run;
	h->runs[h->finished++ % ARRAY_SIZE(h->runs)] = run;
}

/* One that was taken for finished goes on: streams take turns, and what their runs seemed to
 * be was their beginnings. */
static void discount_run(struct streams *s, struct policy_stream *stream)
{
	stream->counted = false;
	s->history.finished = 0;
	s->history.typical_run = MAX(s->history.typical_run, policy_run(stream));
}

/* What s and `other` have seen is one sequence, which goes on in s. */
static void absorb(struct policy_stream *s, struct policy_stream *other)
{
	struct policy_stream *early = other->first < s->first ? other : s;
	struct policy_stream merged = other->window > s->window ? *other : *s;

	merged.first = early->first;
	merged.opening = early->opening;
	merged.piece = MIN(s->piece, other->piece);
	merged.frontier = MAX(s->frontier, other->frontier);
	merged.fetched_to = MAX(s->fetched_to, other->fetched_to);
	merged.reads = s->reads + other->reads;
	merged.confidence = s->confidence + other->confidence;
	merged.counted = s->counted;
	merged.directory = s->directory && other->directory;
	*s = merged;
	*other = (struct policy_stream){0};
}

static void absorb_near(struct streams *all, struct policy_stream *s, struct range read)
{
	uint64_t near = MIN(4 * range_length(read), MOST_REACH);

	for (struct policy_stream *i = all->streams; i < all->streams + STREAMS_MAX; i++)
		if (i != s && i->used_tick && i->first <= read.end && i->frontier >= read.start &&
		    i->frontier <= read.end + near && s->frontier <= i->frontier + near)
			absorb(s, i);
}

/* Streams with a window of which something was read lately. */
static unsigned count_active(const struct streams *all, const struct policy_stream *current)
{
	unsigned n = 1;

	for (const struct policy_stream *i = all->streams; i < all->streams + STREAMS_MAX; i++)
		n += i != current && i->window && i->used_tick + ACTIVE_READS > all->tick;
	return n;
}

struct policy_stream *streams_observe(struct streams *s, struct range read, uint64_t max_gap)
{
	struct policy_stream *best = NULL, *oldest = &s->streams[0];
	uint64_t best_distance = UINT64_MAX, distance;
	enum match best_match = MATCH_NONE, m;

	for (struct policy_stream *i = s->streams; i < s->streams + STREAMS_MAX; i++) {
		if (i->used_tick < oldest->used_tick)
			oldest = i;
		if (!i->used_tick)
			continue;
		m = match(s, i, read, max_gap, &distance);
		if (m > best_match || (m == best_match && m && distance < best_distance)) {
			best = i;
			best_match = m;
			best_distance = distance;
		}
	}
	if (!best) {
		count_run(s, s->recent);
		best = oldest;
		*best = (struct policy_stream){
		        .first = read.start,
		        .frontier = read.start,
		        .fetched_to = read.start,
		};
	} else if (best_match != MATCH_BEHIND) {
		best->confidence += best_match == MATCH_NEAR ? 2 : 1;
	}
	if (best_match == MATCH_NEAR)
		absorb_near(s, best, read);
	best->adjoins = best_match == MATCH_NEAR;
	best->joint = best->adjoins ? MIN(best->frontier, read.start) : read.start;
	if (best_match == MATCH_NONE || best_match == MATCH_GAP) {
		best->piece = read.start;
		best->opening = range_length(read);
	}
	best->advanced = read.end > best->frontier;
	best->frontier = MAX(best->frontier, read.end);
	if (best->counted && best->advanced)
		discount_run(s, best);
	best->reads++;
	best->used_tick = ++s->tick;
	s->recent = best;
	s->history.active = count_active(s, best);
	return best;
}
