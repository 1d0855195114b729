/* quiet.h - quiet hours: weekly stretches of wall-clock time, and holidays, in which
 * somebody is left in peace.
 *
 * A stretch begins the first time and ends the last time that clocks show its ends: an
 * hour that comes twice is quiet twice, one that is left out is not waited for. Pure:
 * nothing is allocated or read. */
#ifndef INTERACTD_OUTREACH_QUIET_H
#define INTERACTD_OUTREACH_QUIET_H

#include <outreach/holidays.h>
#include <outreach/zone.h>

#define QUIET_NEVER	INT64_MAX
#define QUIET_DAY_MIN	1440
#define QUIET_EVERY_DAY 0x7fu
#define QUIET_RULES_MAX 128
#define QUIET_SEARCH_MAX                                                               \
	(40 * 86400) /* how far ahead an end is looked for, in seconds */

/* from `from` (minutes of the day, 0 to 1439) on each of `days` (bit 0 = Monday) until
 * `to` (1 to 1440 = midnight): on the next day if that is not later. from == to is a
 * whole day. */
struct quiet_rule {
	uint8_t days;
	uint16_t from, to;
};

/* "mon-fri", "sat,sun", "mon, wed-fri", "daily"; fri-mon goes over the weekend. */
bool quiet_days_parse(const char *text, uint8_t *days_r);
/* "08:00"; "24:00" too where it is an end. */
bool quiet_time_parse(const char *text, bool is_end, uint16_t *minute_r);

/* Everything that makes a moment quiet; all borrowed. */
struct quiet {
	const struct quiet_rule *rules[2]; /* somebody's own, their tenant's */
	size_t n_rules[2];
	const struct holidays *const *holidays;
	size_t n_holidays;
	const char *country; /* whose holidays count; "": unknown, all of them */
	/* Where they may be; a moment is quiet if it is in any of these. n >= 1. */
	const struct zone *const *zones;
	size_t n_zones;
};
/* The first moment from t on that is not quiet: t itself, or QUIET_NEVER if there is none
 * within QUIET_SEARCH_MAX. Seconds since 1970 UTC. */
int64_t quiet_over(const struct quiet *, int64_t t);

#endif
