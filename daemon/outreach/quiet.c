/* quiet.c - when quiet hours are over. A stretch belongs to the local day it begins on;
 * around a change of the clocks its ends are looked up in the zone, else computed. */
#include <outreach/quiet.h>

#include <base/calendar.h>
#include <str.h>

#include <string.h>
#include <strings.h>

#define DAY_S	  86400
#define STEADY_S  (3 * DAY_S) /* no change of the clocks is nearer: plain arithmetic */
#define DAYS_BACK 2	      /* a stretch that began then may still last */

/* ---- Text ---- */

static int
weekday_parse(const char **at)
{
	static const char names[] = "mon\0tue\0wed\0thu\0fri\0sat\0sun";

	for (int i = 0; i < 7; i++)
		if (strncasecmp(*at, names + 4 * i, 3) == 0) {
			*at += 3;
			return i;
		}
	return -1;
}

static void
skip_blanks(const char **at)
{
	while (**at == ' ')
		++*at;
}

bool
quiet_days_parse(const char *text, uint8_t *days_r)
{
	uint8_t days = 0;

	if (str_ieq(text, "daily")) {
		*days_r = QUIET_EVERY_DAY;
		return true;
	}
	for (const char *at = text;; at++) {
		skip_blanks(&at);
		int day = weekday_parse(&at), last = day;
		if (*at == '-') {
			at++;
			last = weekday_parse(&at);
		}
		skip_blanks(&at);
		if (day < 0 || last < 0 || (*at && *at != ','))
			return false;
		for (; day != last; day = (day + 1) % 7)
			days |= (uint8_t)(1u << day);
		days |= (uint8_t)(1u << last);
		if (!*at)
			break;
	}
	*days_r = days;
	return true;
}

bool
quiet_time_parse(const char *s, bool is_end, uint16_t *minute_r)
{
	for (int i = 0; i < 5; i++)
		if (i == 2 ? s[i] != ':' : s[i] < '0' || s[i] > '9')
			return false;
	int hour = (s[0] - '0') * 10 + s[1] - '0';
	int minute = (s[3] - '0') * 10 + s[4] - '0';
	if (s[5] || hour > 24 || minute > 59 || (hour == 24 && (minute || !is_end)))
		return false;
	/* Midnight as an end is that of the day's end. */
	*minute_r = (uint16_t)(hour * 60 + minute);
	if (is_end && *minute_r == 0)
		*minute_r = QUIET_DAY_MIN;
	return true;
}

/* ---- Ends ---- */

/* What a zone is asked around one moment. */
struct place {
	const struct zone *zone;
	struct zone_span span;
	bool steady;
	int64_t t, day; /* the local day of t */
	int weekday;	/* its */
};

static int64_t
instant(const struct place *p, int64_t local, enum zone_fold fold)
{
	return p->steady ? local - p->span.offset : zone_instant(p->zone, local, fold);
}

/* The end of the stretch of local time if t is in it, else t. */
static int64_t
stretch_end(const struct place *p, int64_t from, int64_t to)
{
	if (p->t < instant(p, from, ZONE_FIRST_TIME))
		return p->t;
	int64_t end = instant(p, to, ZONE_LAST_TIME);
	return end > p->t ? end : p->t;
}

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t
rule_end(const struct place *p, const struct quiet_rule *r)
{
	int back = p->steady ? 1 : DAYS_BACK, ahead = p->steady ? 0 : 1;
	int64_t end = p->t;

	for (int away = -back; away <= ahead; away++) {
		if (!(r->days >> (p->weekday + away + 7) % 7 & 1))
			continue;
		int64_t midnight = (p->day + away) * DAY_S;
		int64_t from = midnight + r->from * 60;
		int64_t to = midnight + r->to * 60 + (r->to <= r->from ? DAY_S : 0);
		end = later(end, stretch_end(p, from, to));
	}
	return end;
}

static int64_t
holiday_end(const struct place *p, const struct holidays *h)
{
	int reach = p->steady ? 0 : 1;
	int64_t end = p->t;

	for (int64_t day = p->day - reach; day <= p->day + reach; day++)
		if (holidays_name(h, day))
			end = later(
				end, stretch_end(p, day * DAY_S, (day + 1) * DAY_S));
	return end;
}

/* The latest end of what lasts at t in one zone; t if nothing does. */
static int64_t
place_end(const struct quiet *q, const struct zone *zone, int64_t t)
{
	struct place p = {.zone = zone, .span = zone_span(zone, t), .t = t};
	int64_t end = t;

	p.day = calendar_floor_div(t + p.span.offset, DAY_S);
	p.weekday = calendar_weekday(p.day);
	p.steady = (p.span.since == ZONE_FIRST || t - p.span.since > STEADY_S) &&
		   (p.span.until == ZONE_LAST || p.span.until - t > STEADY_S);
	for (int set = 0; set < 2; set++)
		for (size_t i = 0; i < q->n_rules[set]; i++)
			end = later(end, rule_end(&p, &q->rules[set][i]));
	for (size_t i = 0; i < q->n_holidays; i++)
		if (!*q->country || holidays_is_of_country(q->holidays[i], q->country))
			end = later(end, holiday_end(&p, q->holidays[i]));
	return end;
}

int64_t
quiet_over(const struct quiet *q, int64_t t)
{
	int64_t limit = t + QUIET_SEARCH_MAX;

	while (t <= limit) {
		int64_t end = t;
		for (size_t i = 0; i < q->n_zones; i++)
			end = later(end, place_end(q, q->zones[i], t));
		if (end == t)
			return t;
		t = end;
	}
	return QUIET_NEVER;
}
