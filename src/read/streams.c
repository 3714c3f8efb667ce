/* streams.c - by position, with tolerances that grow with confidence.
 *
 * A stream that has proved itself may be missed by some megabytes (readahead of 1 MiB, two
 * or three requests under way, in any order); a single read may not, or the reads of a random
 * reader would soon lie near some stream by chance. A small gap forward from the stream that
 * was read last counts for less: a scan of a tar's headers looks so, and four in a row are
 * no chance. */
#include "streams.h"

#define KNOWN_REACH (4ull << 20)
#define GAP_REACH (1ull << 20)
#define FIRST_REACH (64ull << 10)

enum match { MATCH_NONE, MATCH_GAP, MATCH_NEAR };

static bool proven(const struct policy_stream *s)
{
	return s->confidence >= 4;
}

static enum match match(const struct streams *all, const struct policy_stream *s, struct range read,
                        uint64_t *distance)
{
	uint64_t length = range_length(read);
	uint64_t reach = proven(s) ? KNOWN_REACH : 2 * length > FIRST_REACH ? 2 * length : FIRST_REACH;
	bool behind = read.start < s->frontier;

	*distance = behind ? s->frontier - read.start : read.start - s->frontier;
	/* Behind the frontier only what the stream itself has passed is its own. */
	if (behind && read.start < s->first)
		return MATCH_NONE;
	if (*distance <= reach)
		return MATCH_NEAR;
	if (!behind && s == all->recent && *distance <= GAP_REACH)
		return MATCH_GAP;
	return MATCH_NONE;
}

/* A stream is taken for finished when another begins right after it. */
static void count_run(struct streams *s, struct policy_stream *finished)
{
	uint64_t run;

	if (!finished || finished->counted || finished->tail)
		return;
	run = finished->frontier - finished->first;
	finished->counted = true;
	s->history.typical_run = s->history.typical_run ? (s->history.typical_run + run) / 2 : run;
}

struct policy_stream *streams_observe(struct streams *s, struct range read)
{
	struct policy_stream *best = NULL, *oldest = &s->streams[0];
	uint64_t best_distance = UINT64_MAX, distance;
	enum match best_match = MATCH_NONE, m;

	for (struct policy_stream *i = s->streams; i < s->streams + STREAMS_MAX; i++) {
		if (i->used_tick < oldest->used_tick)
			oldest = i;
		if (!i->used_tick)
			continue;
		m = match(s, i, read, &distance);
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
		        .first = read.start, .frontier = read.start, .fetched_to = read.start};
	} else if (read.end > best->frontier) {
		best->confidence += best_match == MATCH_NEAR ? 2 : 1;
	}
	if (read.end > best->frontier)
		best->frontier = read.end;
	best->reads++;
	best->used_tick = ++s->tick;
	s->recent = best;
	return best;
}
