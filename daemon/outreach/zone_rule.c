/* zone_rule.c - a cursor over the text; `bad` sticks and is looked at once, at the end. */
#include <outreach/zone_rule.h>

#include <base/calendar.h>

#include <string.h>

#define DAY_S 86400

struct cursor {
	const char *at, *end;
	bool bad;
};

static char
peek(const struct cursor *in)
{
	return in->at < in->end ? *in->at : '\0';
}

static bool
accept(struct cursor *in, char c)
{
	if (peek(in) != c || !c)
		return false;
	in->at++;
	return true;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* At most three digits. */
static int
number(struct cursor *in, int min, int max)
{
	int value = 0, n = 0;

	for (; n < 3 && is_digit(peek(in)); n++)
		value = value * 10 + (*in->at++ - '0');
	if (n == 0 || value < min || value > max)
		in->bad = true;
	return in->bad ? min : value;
}

/* "CEST" or "<+0545>": three characters at least. */
static void
abbreviation(struct cursor *in)
{
	size_t n = 0;
	bool quoted = accept(in, '<');

	for (; is_letter(peek(in)) ||
		(quoted && (is_digit(peek(in)) || peek(in) == '+' || peek(in) == '-'));
		n++)
		in->at++;
	if (n < 3 || (quoted && !accept(in, '>')))
		in->bad = true;
}

/* [+-]hh[:mm[:ss]], in seconds. */
static int32_t
clock_time(struct cursor *in, int hours_max)
{
	bool minus = accept(in, '-');

	if (!minus)
		accept(in, '+');
	int32_t s = number(in, 0, hours_max) * 3600;
	if (accept(in, ':'))
		s += number(in, 0, 59) * 60;
	if (accept(in, ':'))
		s += number(in, 0, 59);
	return minus ? -s : s;
}

static struct zone_day
day_rule(struct cursor *in)
{
	struct zone_day d = {.form = ZONE_DAY_ZERO, .time = 2 * 3600};

	if (!accept(in, ','))
		in->bad = true;
	if (accept(in, 'M')) {
		d.form = ZONE_DAY_MONTH;
		d.month = number(in, 1, 12);
		in->bad |= !accept(in, '.');
		d.week = number(in, 1, 5);
		in->bad |= !accept(in, '.');
		d.day = number(in, 0, 6);
	} else if (accept(in, 'J')) {
		d.form = ZONE_DAY_JULIAN;
		d.day = number(in, 1, 365);
	} else {
		d.day = number(in, 0, 365);
	}
	if (accept(in, '/'))
		d.time = clock_time(in, 167);
	return d;
}

bool
zone_rule_parse(const char *text, size_t len, struct zone_rule *rule)
{
	struct cursor in = {text, text + len, false};

	memset(rule, 0, sizeof(*rule));
	abbreviation(&in);
	rule->std = -clock_time(&in, 24); /* POSIX counts westwards */
	rule->dst = rule->std + 3600;
	if (in.at < in.end && !in.bad) {
		rule->has_dst = true;
		abbreviation(&in);
		if (peek(&in) != ',')
			rule->dst = -clock_time(&in, 24);
		rule->start = day_rule(&in);
		rule->end = day_rule(&in);
	}
	return !in.bad && in.at == in.end;
}

/* The week-th weekday of a month, 0 = Sunday; the last one where there is no fifth. */
static int64_t
month_day(int64_t year, const struct zone_day *d)
{
	int64_t first = calendar_days(year, d->month, 1);
	int sunday_based = (calendar_weekday(first) + 1) % 7;
	int day = (d->day - sunday_based + 7) % 7 + 7 * (d->week - 1);

	if (day >= calendar_month_days(year, d->month))
		day -= 7;
	return first + day;
}

static int64_t
local_time(int64_t year, const struct zone_day *d)
{
	int64_t day = calendar_days(year, 1, 1) + d->day;

	if (d->form == ZONE_DAY_MONTH)
		day = month_day(year, d);
	else if (d->form == ZONE_DAY_JULIAN) /* day 60 is 1 March in every year */
		day += (calendar_is_leap(year) && d->day >= 60) - 1;
	return day * DAY_S + d->time;
}

int64_t
zone_rule_start(const struct zone_rule *rule, int64_t year)
{
	return local_time(year, &rule->start) - rule->std;
}

int64_t
zone_rule_end(const struct zone_rule *rule, int64_t year)
{
	return local_time(year, &rule->end) - rule->dst;
}
