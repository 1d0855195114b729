/* zone.h - time zones as immutable objects in memory, so that what must not do I/O (the
 * gate) can still tell what a clock on somebody's wall shows.
 *
 * A zone is made from a TZif file's bytes (RFC 9636, version 2 and later) with the rule
 * in its footer for the time after the last transition. Times are seconds since
 * 1970-01-01T00:00Z without leap seconds; "local" seconds are what a wall clock shows,
 * counted as if it were UTC. Nothing here allocates or changes after zone_parse, so any
 * thread may ask. Files are read by zone_files.h. */
#ifndef INTERACTD_OUTREACH_ZONE_H
#define INTERACTD_OUTREACH_ZONE_H

#include <err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZONE_NAME_MAX 63
#define ZONE_FILE_MAX (64 * 1024) /* bytes of a TZif file; real ones have 4 KB */
/* Offsets from UTC are less than this, either way (RFC 9636 §3.2: 25 and 26 h). */
#define ZONE_OFFSET_MAX (26 * 3600)
#define ZONE_FIRST	INT64_MIN /* since and until of what has no beginning, no end */
#define ZONE_LAST	INT64_MAX

struct zone;

/* NULL and err: not TZif, an old version, leap seconds in it ("right/…"), damaged.
 * Returns, caller frees. */
struct zone *zone_parse(const char *name, const void *data, size_t len, struct err *);
void zone_free(struct zone **);
const char *zone_name(const struct zone *);
const struct zone *zone_utc(void); /* always there */

/* A stretch of time with one offset: since <= t < until. Neighbours may have the same
 * offset. */
struct zone_span {
	int64_t since, until;
	int32_t offset; /* local = UTC + offset, in seconds */
};
/* The one that t is in. t is within 292,000 years of 1970 (microseconds fit 64 bits). */
struct zone_span zone_span(const struct zone *, int64_t t);

/* When a wall clock shows `local`. Shown twice (clocks put back): the first or the last
 * time. Never shown (put forward): the moment they are put forward. */
enum zone_fold { ZONE_FIRST_TIME, ZONE_LAST_TIME };
int64_t zone_instant(const struct zone *, int64_t local, enum zone_fold);

/* Both have the same offset at every moment from t on, as far as is known today. */
bool zone_same_since(const struct zone *, const struct zone *, int64_t t);

#endif
