/* zone_rule.h - rules like "CET-1CEST,M3.5.0,M10.5.0/3" (the TZ string of POSIX, with
 * RFC 9636 §3.3.2's hours from -167 to 167): the footer of a TZif file. */
#ifndef INTERACTD_OUTREACH_ZONE_RULE_H
#define INTERACTD_OUTREACH_ZONE_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A day of every year, and a time of it. */
struct zone_day {
	enum { ZONE_DAY_JULIAN, ZONE_DAY_ZERO, ZONE_DAY_MONTH } form;
	int day;	 /* 1 to 365 without 29 Feb; 0 to 365; 0 (Sunday) to 6 */
	int month, week; /* ZONE_DAY_MONTH: 1 to 12; 1 to 5, 5 = the last */
	int32_t time;	 /* seconds after its midnight, by the clock till then */
};
struct zone_rule {
	bool has_dst;
	int32_t std, dst; /* offsets east of UTC, in seconds */
	struct zone_day start, end;
};

/* The whole of text is a rule. */
bool zone_rule_parse(const char *text, size_t len, struct zone_rule *rule_r);
/* When daylight saving begins and ends in that year, in UTC. has_dst only. */
int64_t zone_rule_start(const struct zone_rule *, int64_t year);
int64_t zone_rule_end(const struct zone_rule *, int64_t year);

#endif
