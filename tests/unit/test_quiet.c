/* test_quiet.c - quiet hours as a table: rules, zones, the moment asked about, and when
 * it is over; holidays, in files and as quiet days. Run from the top of the source tree. */
#include <base/calendar.h>
#include <clock.h>
#include <lib/test.h>
#include <mem.h>
#include <outreach/quiet.h>
#include <outreach/zones.h>
#include <str.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct zones *zones;

/* ---- The table ---- */

/* rules: "DAYS FROM-TO; …"; zone: names separated by blanks, or a country's by "=US";
 * holidays: regions of conf/holidays, "/CC" = of that country only. over "": never. */
static const struct {
	const char *rules, *zone, *at, *over, *holidays;
} cases[] = {
	/* By day, in the zone. */
	{"daily 12:00-14:00", "Asia/Taipei", "2026-11-30T11:59:59+08:00", "=", NULL},
	{"daily 12:00-14:00", "Asia/Taipei", "2026-11-30T12:00:00+08:00",
		"2026-11-30T14:00:00+08:00", NULL},
	{"daily 12:00-14:00", "Asia/Taipei", "2026-11-30T13:59:59+08:00",
		"2026-11-30T14:00:00+08:00", NULL},
	{"daily 12:00-14:00", "Asia/Taipei", "2026-11-30T14:00:00+08:00", "=", NULL},
	/* Across midnight, of some days: it belongs to the day it begins on. */
	{"mon-fri 21:00-08:00", "Asia/Taipei", "2026-11-30T20:59:59+08:00", "=", NULL},
	{"mon-fri 21:00-08:00", "Asia/Taipei", "2026-11-30T21:00:00+08:00",
		"2026-12-01T08:00:00+08:00", NULL},
	{"mon-fri 21:00-08:00", "Asia/Taipei", "2026-12-01T00:00:00+08:00",
		"2026-12-01T08:00:00+08:00", NULL},
	{"mon-fri 21:00-08:00", "Asia/Taipei", "2026-11-30T07:59:00+08:00", "=", NULL},
	{"mon-fri 21:00-08:00", "Asia/Taipei", "2026-12-05T07:59:00+08:00",
		"2026-12-05T08:00:00+08:00", NULL},
	{"mon-fri 21:00-08:00", "Asia/Taipei", "2026-12-05T22:00:00+08:00", "=", NULL},
	/* Midnight as an end; the whole day; both together are one stretch. */
	{"daily 21:00-00:00", "Asia/Taipei", "2026-11-30T23:59:59+08:00",
		"2026-12-01T00:00:00+08:00", NULL},
	{"daily 21:00-24:00", "Asia/Taipei", "2026-12-01T00:00:00+08:00", "=", NULL},
	{"sun 00:00-24:00", "Asia/Taipei", "2026-11-29T00:00:00+08:00",
		"2026-11-30T00:00:00+08:00", NULL},
	{"sat,sun 00:00-00:00; mon-fri 20:00-09:00", "Asia/Taipei",
		"2026-11-27T20:00:00+08:00", "2026-11-30T00:00:00+08:00", NULL},
	{"sat,sun 00:00-00:00; daily 20:00-09:00", "Asia/Taipei",
		"2026-11-27T20:00:00+08:00", "2026-11-30T09:00:00+08:00", NULL},
	{"mon 08:00-08:00", "Asia/Taipei", "2026-12-01T07:59:00+08:00",
		"2026-12-01T08:00:00+08:00", NULL},
	{"daily 00:00-24:00", "Asia/Taipei", "2026-11-30T10:00:00+08:00", "", NULL},
	{"daily 09:00-09:00", "Asia/Taipei", "2026-11-30T10:00:00+08:00", "", NULL},
	/* Days over the week's end. */
	{"fri-mon 21:00-08:00", "Asia/Taipei", "2026-11-29T22:00:00+08:00",
		"2026-11-30T08:00:00+08:00", NULL},
	{"fri-mon 21:00-08:00", "Asia/Taipei", "2026-12-02T22:00:00+08:00", "=", NULL},
	/* Half and quarter hours. */
	{"daily 21:00-08:00", "Asia/Kolkata", "2026-11-30T02:29:00Z",
		"2026-11-30T02:30:00Z", NULL},
	{"daily 21:00-08:00", "Asia/Kathmandu", "2026-11-30T02:14:00Z",
		"2026-11-30T02:15:00Z", NULL},
	{"daily 21:00-08:00", "Pacific/Chatham", "2026-11-30T18:14:00Z",
		"2026-11-30T18:15:00Z", NULL},
	/* Clocks put forward at 2:00: an end that does not exist is at once. */
	{"daily 22:00-02:30", "Europe/Berlin", "2026-03-29T00:59:59Z",
		"2026-03-29T01:00:00Z", NULL},
	{"daily 22:00-02:30", "Europe/Berlin", "2026-03-29T01:00:00Z", "=", NULL},
	{"daily 02:15-02:45", "Europe/Berlin", "2026-03-29T01:00:00Z", "=", NULL},
	{"daily 02:15-08:00", "Europe/Berlin", "2026-03-29T01:00:00Z",
		"2026-03-29T06:00:00Z", NULL},
	{"daily 22:00-08:00", "Europe/Berlin", "2026-03-28T23:00:00Z",
		"2026-03-29T06:00:00Z", NULL},
	/* Put back from 3:00 to 2:00: it is over the second time, begins the first. */
	{"daily 22:00-02:30", "Europe/Berlin", "2026-10-25T00:29:59Z",
		"2026-10-25T01:30:00Z", NULL},
	{"daily 22:00-02:30", "Europe/Berlin", "2026-10-25T00:45:00Z",
		"2026-10-25T01:30:00Z", NULL},
	{"daily 22:00-02:30", "Europe/Berlin", "2026-10-25T01:30:00Z", "=", NULL},
	{"daily 02:30-04:00", "Europe/Berlin", "2026-10-25T00:30:00Z",
		"2026-10-25T03:00:00Z", NULL},
	{"daily 02:30-04:00", "Europe/Berlin", "2026-10-25T01:00:00Z",
		"2026-10-25T03:00:00Z", NULL},
	{"daily 22:00-08:00", "Europe/Berlin", "2026-10-24T21:00:00Z",
		"2026-10-25T07:00:00Z", NULL},
	{"daily 22:00-02:15", "Australia/Lord_Howe", "2026-04-04T14:50:00Z",
		"2026-04-04T15:45:00Z", NULL},
	/* Clocks that go back over midnight: the end of the day comes twice. */
	{"sat 20:00-24:00", "America/Havana", "2026-11-01T04:30:00Z",
		"2026-11-01T05:00:00Z", NULL},
	{"sat 20:00-24:00", "America/Havana", "2026-11-01T03:30:00Z",
		"2026-11-01T05:00:00Z", NULL},
	/* Clocks that go forward at midnight: the day begins at 1:00. */
	{"sun 00:00-06:00", "America/Havana", "2026-03-08T05:00:00Z",
		"2026-03-08T10:00:00Z", NULL},
	/* A day that is left out whole (Samoa had no Friday, 2011-12-30). */
	{"fri 00:00-24:00", "Pacific/Apia", "2011-12-30T10:00:00Z", "=", NULL},
	{"thu 21:00-08:00", "Pacific/Apia", "2011-12-30T09:30:00Z",
		"2011-12-30T10:00:00Z", NULL},
	/* A zone whose rules have changed: Pyongyang put its clocks forward for good. */
	{"daily 21:00-08:00", "Asia/Pyongyang", "2018-05-03T23:10:00Z",
		"2018-05-03T23:30:00Z", NULL},
	{"daily 21:00-08:00", "Asia/Pyongyang", "2018-05-04T23:10:00Z", "=", NULL},
	/* Leap days; the turn of a year; a year without a table. */
	{"daily 21:00-08:00", "Asia/Taipei", "2028-02-28T22:00:00+08:00",
		"2028-02-29T08:00:00+08:00", NULL},
	{"tue 21:00-08:00", "Asia/Taipei", "2028-02-29T22:00:00+08:00",
		"2028-03-01T08:00:00+08:00", NULL},
	{"daily 21:00-08:00", "Europe/Berlin", "2026-12-31T23:00:00+01:00",
		"2027-01-01T08:00:00+01:00", NULL},
	{"daily 21:00-08:00", "Europe/Berlin", "2100-07-01T23:00:00+02:00",
		"2100-07-02T08:00:00+02:00", NULL},
	/* Several zones: quiet in one is quiet. */
	{"daily 21:00-08:00", "Asia/Taipei Asia/Tokyo", "2026-11-30T19:59:00+08:00",
		"=", NULL},
	{"daily 21:00-08:00", "Asia/Taipei Asia/Tokyo", "2026-11-30T20:00:00+08:00",
		"2026-12-01T08:00:00+08:00", NULL},
	{"daily 21:00-08:00", "=US", "2026-07-01T12:00:00Z", "2026-07-01T18:00:00Z",
		NULL},
	{"daily 21:00-08:00", "=US", "2026-07-01T18:00:00Z", "=", NULL},
	{"daily 21:00-08:00", "=US", "2026-07-02T01:00:00Z", "2026-07-02T18:00:00Z",
		NULL},
	{"daily 18:00-10:00", "=RU", "2026-07-01T12:00:00Z", "", NULL},
	/* No rules, and holidays. */
	{"", "Asia/Taipei", "2026-11-30T03:00:00+08:00", "=", NULL},
	{"", "Asia/Taipei", "2026-12-25T00:00:00+08:00", "2026-12-26T00:00:00+08:00",
		"TW"},
	{"", "Asia/Taipei", "2026-12-24T23:59:59+08:00", "=", "TW"},
	{"", "Asia/Taipei", "2027-02-04T12:00:00+08:00", "2027-02-11T00:00:00+08:00",
		"TW"},
	{"daily 21:00-09:00", "Asia/Taipei", "2027-02-03T21:00:00+08:00",
		"2027-02-11T09:00:00+08:00", "TW"},
	{"", "Asia/Shanghai", "2026-10-01T12:00:00+08:00", "2026-10-08T00:00:00+08:00",
		"CN TW"},
	{"", "Asia/Shanghai", "2026-10-09T12:00:00+08:00", "2026-10-11T00:00:00+08:00",
		"CN TW"},
	{"", "Asia/Shanghai", "2026-10-09T12:00:00+08:00", "=", "CN TW/CN"},
	{"", "Asia/Shanghai", "2026-10-09T12:00:00+08:00", "=", "CN TW/JP"},
	{"", "Europe/Berlin", "2026-12-25T10:00:00+01:00", "2026-12-27T00:00:00+01:00",
		"DE/DE"},
	{"", "=US", "2026-11-26T04:59:59Z", "=", "US"},
	{"", "=US", "2026-11-26T05:00:00Z", "2026-11-27T10:00:00Z", "US"},
};

static size_t
read_rules(const char *text, struct quiet_rule *rules)
{
	char copy[200], *save;
	size_t n = 0;

	str_copy(copy, sizeof(copy), text);
	for (char *s = strtok_r(copy, ";", &save); s; s = strtok_r(NULL, ";", &save)) {
		char days[50], from[10], to[10];
		struct quiet_rule *r = &rules[n++];
		CHECK(sscanf(s, " %49s %5[0-9:]-%9s", days, from, to) == 3);
		CHECK(quiet_days_parse(days, &r->days));
		CHECK(quiet_time_parse(from, false, &r->from));
		CHECK(quiet_time_parse(to, true, &r->to));
	}
	return n;
}

static size_t
read_zones(const char *text, const struct zone **list)
{
	char copy[200], *save;
	size_t n = 0;

	if (*text == '=') {
		const struct zone_list *of = zones_country(zones, text + 1);
		for (; of && n < of->n; n++)
			list[n] = of->zones[n];
		return n;
	}
	str_copy(copy, sizeof(copy), text);
	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		list[n] = zones_find(zones, s);
		CHECK(list[n++] != NULL);
	}
	return n;
}

static size_t
read_holidays(const char *text, struct holidays **list, char country[3])
{
	char copy[200], *save;
	size_t n = 0;
	struct err err = {0};

	str_copy(copy, sizeof(copy), text ? text : "");
	char *slash = strchr(copy, '/');
	str_copy(country, 3, slash ? slash + 1 : "");
	if (slash)
		*slash = '\0';
	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		list[n] = holidays_load("conf/holidays", s, &err);
		CHECK_STR(err.text, "");
		n += list[n] != NULL;
	}
	return n;
}

static void
check_case(size_t i)
{
	struct quiet_rule rules[16];
	const struct zone *where[32];
	struct holidays *holidays[4];
	char country[3], got[CLOCK_RFC3339_LEN], want[CLOCK_RFC3339_LEN];
	int64_t at, over = 0;
	struct quiet q = {.rules = {rules, NULL}, .zones = where, .country = country};

	q.n_rules[0] = read_rules(cases[i].rules, rules);
	q.n_zones = read_zones(cases[i].zone, where);
	q.n_holidays = read_holidays(cases[i].holidays, holidays, country);
	q.holidays = (const struct holidays *const *)holidays;
	CHECK(clock_parse(cases[i].at, &at));
	if (*cases[i].over == '=')
		over = at;
	else if (*cases[i].over)
		CHECK(clock_parse(cases[i].over, &over));
	int64_t real = quiet_over(&q, at / 1000000);
	clock_format(got, real == QUIET_NEVER ? 0 : real * 1000000);
	clock_format(want, over);
	if (strcmp(got, want) != 0)
		test_fail(__FILE__, __LINE__, "%s in %s at %s: %s, not %s",
			cases[i].rules, cases[i].zone, cases[i].at, got, want);
	for (size_t k = 0; k < q.n_holidays; k++)
		holidays_free(&holidays[k]);
}

static void
the_table(void)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_case(i);
}

/* Minute by minute over the changes of clocks: a moment is quiet if and only if a wall
 * clock there shows a quiet time, or has not shown the end for the last time. */
static void
quiet_is_what_wall_clocks_show(void)
{
	static const char *const where[] = {"Europe/Berlin", "America/Havana",
		"Australia/Lord_Howe", "Asia/Taipei", "America/St_Johns"};
	/* two days before the clocks change, or any day */
	static const int64_t from[] = {INT64_C(1774656000), INT64_C(1772841600),
		INT64_C(1775260800), INT64_C(1792886400), INT64_C(1793404800)};

	for (size_t z = 0; z < ARRAY_LEN(where); z++) {
		const struct zone *zone = zones_find(zones, where[z]);
		struct quiet_rule rule = {QUIET_EVERY_DAY, 23 * 60, 5 * 60};
		struct quiet q = {.rules = {&rule, NULL},
			.n_rules = {1, 0},
			.country = "",
			.zones = &zone,
			.n_zones = 1};
		for (int64_t t = from[z]; t < from[z] + 3 * 86400; t += 60) {
			int64_t minute = (t + zone_span(zone, t).offset) / 60 % 1440;
			bool quiet = minute >= 23 * 60 || minute < 5 * 60;
			int64_t over = quiet_over(&q, t);
			if ((over > t) != quiet || quiet_over(&q, over) != over)
				test_fail(__FILE__, __LINE__, "%s at %" PRId64,
					where[z], t);
		}
	}
}

/* ---- Words ---- */

static void
days_and_times(void)
{
	static const struct {
		const char *text;
		int days;
	} days[] = {{"mon", 1}, {"mon-fri", 0x1f}, {"sat,sun", 0x60}, {"daily", 0x7f},
		{"mon, wed-thu", 0x0d}, {"fri-mon", 0x71}, {"sun-sat", 0x7f},
		{"Mon-Fri", 0x1f}, {"sun-sun", 0x40}, {"", -1}, {"monday", -1},
		{"mon-", -1}, {"mon,", -1}, {"-mon", -1}, {"mon fri", -1}, {"xyz", -1},
		{"mon-fri-sat", -1}, {",", -1}, {"mon - fri", -1}};
	static const struct {
		const char *text;
		int from, to;
	} times[] = {{"00:00", 0, 1440}, {"08:00", 480, 480}, {"23:59", 1439, 1439},
		{"24:00", -1, 1440}, {"24:01", -1, -1}, {"25:00", -1, -1},
		{"8:00", -1, -1}, {"08:60", -1, -1}, {"0800", -1, -1},
		{"08:000", -1, -1}, {"", -1, -1}, {"08", -1, -1}, {"08:", -1, -1},
		{"ab:cd", -1, -1}};

	for (size_t i = 0; i < ARRAY_LEN(days); i++) {
		uint8_t mask;
		int got = quiet_days_parse(days[i].text, &mask) ? mask : -1;
		if (got != days[i].days)
			test_fail(__FILE__, __LINE__, "\"%s\": %d", days[i].text, got);
	}
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		uint16_t m;
		int from = quiet_time_parse(times[i].text, false, &m) ? m : -1;
		int to = quiet_time_parse(times[i].text, true, &m) ? m : -1;
		if (from != times[i].from || to != times[i].to)
			test_fail(__FILE__, __LINE__, "\"%s\": %d, %d", times[i].text,
				from, to);
	}
}

/* ---- Holidays ---- */

static const struct {
	const char *text, *why;
} bad_files[] = {
	{"2026-01-01\n", "line 1: the name of the holiday is missing"},
	{"# x\n\n2026-13-01 x\n", "line 3: begins with a date such as 2026-02-14"},
	{"2026-02-29 x\n", "line 1: begins with a date such as 2026-02-14"},
	{"01.01.2026 x\n", "line 1: begins with a date such as 2026-02-14"},
	{"2026-01-01x\n", "line 1: a blank and a name follow the date"},
	{"2026-01-01.. x\n", "line 1: a date such as 2026-02-22 follows the dots"},
	{"2026-01-02..2026-01-01 x\n", "line 1: the last day comes before the first"},
	{"2026-01-01..2026-12-31 x\n", "line 1: a holiday has at most 60 days"},
	{"2026-01-01 x\n2026-01-01 y\n", "\"x\" and \"y\" share a day"},
	{"2026-01-05 y\n2026-01-01..2026-01-07 x\n", "\"x\" and \"y\" share a day"},
	{"2026-01-01 \xff\n", "line 1: a name has at most 200 bytes of UTF-8"},
	{"2026-01", "line 1: begins with a date such as 2026-02-14"},
};

static void
files_of_holidays(void)
{
	static const char text[] =
		"# Source: none\r\n\r\n2026-02-14..2026-02-22\t春節 \r\n"
		"2026-01-01 New Year";
	struct err err = {0};
	struct holidays *h = holidays_parse("TW", text, strlen(text), &err);

	CHECK_STR(err.text, "");
	CHECK_STR(holidays_region(h), "TW");
	CHECK_STR(holidays_name(h, calendar_days(2026, 1, 1)), "New Year");
	CHECK_STR(holidays_name(h, calendar_days(2026, 2, 22)), "春節");
	CHECK(holidays_name(h, calendar_days(2026, 2, 23)) == NULL);
	CHECK(holidays_name(h, calendar_days(2025, 12, 31)) == NULL);
	CHECK(holidays_cover_year(h, 2026) && !holidays_cover_year(h, 2027));
	CHECK(holidays_is_of_country(h, "TW") && !holidays_is_of_country(h, "T"));
	holidays_free(&h);
	h = holidays_parse("DE-BY", "", 0, &err);
	CHECK(holidays_is_of_country(h, "DE") && !holidays_is_of_country(h, "BY"));
	CHECK(holidays_name(h, 0) == NULL && !holidays_cover_year(h, 2026));
	holidays_free(&h);
	for (size_t i = 0; i < ARRAY_LEN(bad_files); i++) {
		h = holidays_parse(
			"XX", bad_files[i].text, strlen(bad_files[i].text), &err);
		CHECK(h == NULL);
		CHECK_STR(err.text, bad_files[i].why);
		holidays_free(&h);
	}
}

static void
shipped_holidays(void)
{
	static const char *const regions[] = {"CN", "TW", "DE", "US"};
	static const char *const nowhere[] = {
		"../holidays/CN", "cn", "", "C", "-C", ".", "CN/", "ABCDEFGHI", "ZZ"};
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(regions); i++) {
		struct holidays *h = holidays_load("conf/holidays", regions[i], &err);
		CHECK_STR(err.text, "");
		CHECK(h && holidays_cover_year(h, 2026) &&
			holidays_cover_year(h, 2027));
		CHECK(h && holidays_name(h, calendar_days(2026, 1, 1)));
		CHECK(h && !holidays_name(h, calendar_days(2026, 11, 30)));
		holidays_free(&h);
	}
	for (size_t i = 0; i < ARRAY_LEN(nowhere); i++)
		if (holidays_load("conf/holidays", nowhere[i], &err))
			test_fail(__FILE__, __LINE__, "loaded: %s", nowhere[i]);
}

int
main(void)
{
	struct err err;

	zones = zones_load(ZONES_DIR, &err);
	if (!zones) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	TEST(the_table);
	TEST(quiet_is_what_wall_clocks_show);
	TEST(days_and_times);
	TEST(files_of_holidays);
	TEST(shipped_holidays);
	zones_free(&zones);
	return test_done();
}
