/* test_zone.c - every zone of this machine against libc, transition by transition; wall
 * clocks put forward and back; damaged files. */
#include <base/calendar.h>
#include <buf.h>
#include <lib/test.h>
#include <mem.h>
#include <outreach/zone_rule.h>
#include <outreach/zones.h>
#include <str.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct zones *zones;

/* ---- libc as the oracle ---- */

static void
use_zone(const char *name)
{
	char tz[100];

	snprintf(tz, sizeof(tz), ":%s", name);
	setenv("TZ", tz, 1);
	tzset();
}

static int64_t
libc_offset(int64_t t)
{
	time_t at = t;
	struct tm tm;

	localtime_r(&at, &tm);
	return tm.tm_gmtoff;
}

static int64_t
libc_local(int64_t t)
{
	return t + libc_offset(t);
}

static bool
agrees(const struct zone *z, int64_t t)
{
	struct zone_span s = zone_span(z, t);

	if (s.since <= t && t < s.until && s.offset == libc_offset(t))
		return true;
	test_fail(__FILE__, __LINE__, "%s at %" PRId64 ": offset %d, libc has %" PRId64,
		zone_name(z), t, s.offset, libc_offset(t));
	return false;
}

static uint64_t seed = 20261130;

static uint64_t
next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

#define YEAR_1900 INT64_C(-2208988800)
#define YEAR_2400 INT64_C(13569465600)

/* Just before, at and after each change until 2400, the middle between two, and others. */
static void
compare_offsets(const struct zone *z)
{
	int64_t t = YEAR_1900;

	use_zone(zone_name(z));
	for (int i = 0; i < 2000 && t < YEAR_2400; i++) {
		struct zone_span s = zone_span(z, t);
		if (!agrees(z, t) || s.until == ZONE_LAST || !agrees(z, s.until - 1) ||
			!agrees(z, s.until) || !agrees(z, t + (s.until - t) / 2))
			break;
		t = s.until;
	}
	for (int i = 0; i < 200; i++) {
		t = YEAR_1900 +
		    (int64_t)(next_random() % (uint64_t)(YEAR_2400 - YEAR_1900));
		if (!agrees(z, t))
			break;
	}
}

static const char *const sampled[] = {"Africa/Casablanca", "Africa/Monrovia",
	"America/Argentina/San_Luis", "America/Caracas", "America/Havana",
	"America/Indiana/Knox", "America/New_York", "America/Nuuk", "America/Santiago",
	"America/Sao_Paulo", "America/St_Johns", "Antarctica/Troll", "Asia/Amman",
	"Asia/Calcutta", "Asia/Gaza", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Manila",
	"Asia/Pyongyang", "Asia/Shanghai", "Asia/Taipei", "Asia/Tehran",
	"Asia/Vladivostok", "Atlantic/Azores", "Australia/Adelaide",
	"Australia/Lord_Howe", "CST6CDT", "Etc/GMT+12", "Etc/GMT-14", "Europe/Berlin",
	"Europe/Dublin", "Europe/Istanbul", "Europe/London", "Europe/Moscow",
	"Europe/Samara", "Pacific/Apia", "Pacific/Chatham", "Pacific/Kiritimati",
	"Pacific/Kwajalein", "Pacific/Marquesas", "US/Hawaii", "UTC"};

static void
offsets_are_those_of_libc(void)
{
	for (size_t i = 0; i < ARRAY_LEN(sampled); i++) {
		const struct zone *z = zones_find(zones, sampled[i]);
		if (z)
			compare_offsets(z);
		else
			test_fail(__FILE__, __LINE__, "no %s", sampled[i]);
	}
}

/* The rest of them, by the table that names them. */
static void
every_zone_with_a_country_is_that_of_libc(void)
{
	char line[500], name[100];
	FILE *f = fopen(ZONES_DIR "/zone.tab", "r");
	int n = 0;

	CHECK(f != NULL);
	while (f && fgets(line, sizeof(line), f)) {
		if (*line == '#' || sscanf(line, "%*s %*s %99s", name) != 1)
			continue;
		const struct zone *z = zones_find(zones, name);
		CHECK(z != NULL);
		if (z)
			compare_offsets(z);
		n++;
	}
	if (f)
		fclose(f);
	CHECK(n > 400);
}

/* Around a change, what zone_instant says of a wall clock's time is what libc shows. */
static void
check_instant(const struct zone *z, int64_t local)
{
	int64_t first = zone_instant(z, local, ZONE_FIRST_TIME);
	int64_t last = zone_instant(z, local, ZONE_LAST_TIME);
	int64_t day = calendar_floor_div(local, 86400), of_day = local - day * 86400;
	struct tm tm = {.tm_hour = (int)(of_day / 3600),
		.tm_min = (int)(of_day / 60 % 60),
		.tm_sec = (int)(of_day % 60),
		.tm_isdst = -1};

	calendar_date(day, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	tm.tm_year -= 1900;
	tm.tm_mon--;
	int64_t by_libc = mktime(&tm);
	bool shown = libc_local(first) == local && libc_local(last) == local;
	bool skipped = first == last && libc_local(first - 1) < local &&
		       libc_local(first) > local;
	if (first > last || (!shown && !skipped) ||
		(shown && by_libc != first && by_libc != last))
		test_fail(__FILE__, __LINE__,
			"%s: local %" PRId64 " is %" PRId64 " to %" PRId64
			", libc has %" PRId64,
			zone_name(z), local, first, last, by_libc);
}

static void
wall_clocks_are_those_of_libc(void)
{
	static const int around[] = {-7200, -3601, -3600, -1800, -1, 0, 1, 900, 1800,
		3599, 3600, 5400, 7200, 86399};

	for (size_t i = 0; i < ARRAY_LEN(sampled); i++) {
		const struct zone *z = zones_find(zones, sampled[i]);
		int64_t t = INT64_C(315532800); /* 1980 */
		use_zone(sampled[i]);
		for (int n = 0; n < 200; n++) {
			struct zone_span s = zone_span(z, t);
			if (s.until == ZONE_LAST)
				break;
			for (size_t k = 0; k < ARRAY_LEN(around); k++)
				check_instant(z, s.until + s.offset + around[k]);
			t = s.until;
		}
	}
}

/* ---- What one knows ---- */

static int64_t
utc(int year, int month, int day, int hour, int minute)
{
	return calendar_days(year, month, day) * 86400 + hour * 3600 + minute * 60;
}

static const struct {
	const char *zone;
	int local[5];
	int first[5], last[5]; /* UTC */
} known[] = {
	/* put forward from 2:00 to 3:00: 2:30 is never shown */
	{"Europe/Berlin", {2026, 3, 29, 2, 30}, {2026, 3, 29, 1, 0},
		{2026, 3, 29, 1, 0}},
	/* put back from 3:00 to 2:00: 2:30 is shown twice */
	{"Europe/Berlin", {2026, 10, 25, 2, 30}, {2026, 10, 25, 0, 30},
		{2026, 10, 25, 1, 30}},
	{"America/New_York", {2026, 11, 1, 1, 0}, {2026, 11, 1, 5, 0},
		{2026, 11, 1, 6, 0}},
	{"Asia/Taipei", {2026, 11, 30, 8, 0}, {2026, 11, 30, 0, 0},
		{2026, 11, 30, 0, 0}},
	{"Asia/Kathmandu", {2026, 11, 30, 8, 0}, {2026, 11, 30, 2, 15},
		{2026, 11, 30, 2, 15}},
	/* by half an hour only */
	{"Australia/Lord_Howe", {2026, 4, 5, 1, 45}, {2026, 4, 4, 14, 45},
		{2026, 4, 4, 15, 15}},
	/* at midnight: 0:30 is shown twice, on the same day */
	{"America/Havana", {2026, 11, 1, 0, 30}, {2026, 11, 1, 4, 30},
		{2026, 11, 1, 5, 30}},
	/* a day that Samoa did not have */
	{"Pacific/Apia", {2011, 12, 30, 12, 0}, {2011, 12, 30, 10, 0},
		{2011, 12, 30, 10, 0}},
	/* a leap day; far beyond what files list */
	{"Europe/Berlin", {2096, 2, 29, 12, 0}, {2096, 2, 29, 11, 0},
		{2096, 2, 29, 11, 0}},
	{"Europe/Berlin", {2199, 7, 1, 12, 0}, {2199, 7, 1, 10, 0},
		{2199, 7, 1, 10, 0}},
};

static void
gaps_and_overlaps(void)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		const struct zone *z = zones_find(zones, known[i].zone);
		const int *l = known[i].local, *f = known[i].first, *u = known[i].last;
		int64_t local = utc(l[0], l[1], l[2], l[3], l[4]);
		CHECK_INT(zone_instant(z, local, ZONE_FIRST_TIME),
			utc(f[0], f[1], f[2], f[3], f[4]));
		CHECK_INT(zone_instant(z, local, ZONE_LAST_TIME),
			utc(u[0], u[1], u[2], u[3], u[4]));
	}
}

static void
check_country(const char *country, size_t n)
{
	const struct zone_list *list = zones_country(zones, country);

	CHECK_INT(list ? list->n : 0, n);
}

static void
countries_have_their_zones(void)
{
	check_country("TW", 1);
	check_country("CN", 2); /* Shanghai and Urumqi */
	check_country("IN", 1);
	check_country("DE", 1);
	/* New York, Chicago, Denver, Phoenix, Los Angeles, Anchorage, Adak, Honolulu */
	check_country("US", 8);
	check_country("XX", 0);
	check_country("", 0);
	CHECK(zones_country(zones, "RU")->n >= 11);
	CHECK(zones_count(zones) > 400);
}

static void
names_lead_nowhere(void)
{
	static const char *const bad[] = {"", "/etc/localtime", "../../../etc/passwd",
		"Asia/../Asia/Taipei", "Asia//Taipei", "Asia", "asia/taipei",
		"Mars/Phobos", "posix/Asia/Taipei", "right/Asia/Taipei", "zone.tab",
		"tzdata.zi", "Asia/Taipei ", "Asia/Taipei\n"};
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (zones_find(zones, bad[i]))
			test_fail(__FILE__, __LINE__, "found: \"%s\"", bad[i]);
	CHECK(zones_find(zones, "ROC") && zones_find(zones, "Asia/Taipei"));
	CHECK(zones_load("/nonexistent", &err) == NULL);
	CHECK_STR(err.text, "/nonexistent: no time zones there; install the package "
			    "tzdata");
}

static void
same_zones(void)
{
	const struct zone *taipei = zones_find(zones, "Asia/Taipei");
	const struct zone *berlin = zones_find(zones, "Europe/Berlin");

	CHECK(zone_same_since(
		taipei, zones_find(zones, "Asia/Shanghai"), utc(2000, 1, 1, 0, 0)));
	CHECK(!zone_same_since(
		taipei, zones_find(zones, "Asia/Shanghai"), utc(1970, 1, 1, 0, 0)));
	CHECK(zone_same_since(
		berlin, zones_find(zones, "Europe/Paris"), utc(2000, 1, 1, 0, 0)));
	CHECK(!zone_same_since(
		berlin, zones_find(zones, "Africa/Tunis"), utc(2020, 1, 1, 0, 0)));
	CHECK(zone_same_since(zone_utc(), zones_find(zones, "Etc/UTC"), 0));
	CHECK_STR(zone_name(zone_utc()), "UTC");
}

/* ---- Rules ---- */

static const struct {
	const char *text;
	bool has_dst;
	int std, dst;
	int start[5], end[5]; /* of 2028, in UTC */
} good[] = {
	{"CET-1CEST,M3.5.0,M10.5.0/3", true, 3600, 7200, {2028, 3, 26, 1, 0},
		{2028, 10, 29, 1, 0}},
	{"EST5EDT,M3.2.0,M11.1.0", true, -18000, -14400, {2028, 3, 12, 7, 0},
		{2028, 11, 5, 6, 0}},
	{"CST-8", false, 28800, 0, {0}, {0}},
	{"<+0545>-5:45", false, 20700, 0, {0}, {0}},
	{"<-0330>3:30", false, -12600, 0, {0}, {0}},
	/* Lord Howe: half an hour; southern */
	{"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", true, 37800, 39600,
		{2028, 9, 30, 15, 30}, {2028, 4, 1, 15, 0}},
	/* Dublin: winter is the exception */
	{"IST-1GMT0,M10.5.0,M3.5.0/1", true, 3600, 0, {2028, 10, 29, 1, 0},
		{2028, 3, 26, 1, 0}},
	/* Nuuk: a negative hour */
	{"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", true, -7200, -3600, {2028, 3, 26, 1, 0},
		{2028, 10, 29, 1, 0}},
	/* Gaza once: more than a day */
	{"EET-2EEST,M3.4.4/50,M10.4.4/50", true, 7200, 10800, {2028, 3, 25, 0, 0},
		{2028, 10, 27, 23, 0}},
	/* J60 is 1 March in a leap year too; 59 is then 29 February */
	{"AAA0BBB,J60/0,59/0:0:0", true, 0, 3600, {2028, 3, 1, 0, 0},
		{2028, 2, 28, 23, 0}},
	{"AAA0BBB,J59/0,365/0", true, 0, 3600, {2028, 2, 28, 0, 0},
		{2028, 12, 30, 23, 0}},
};
static const char *const bad_rules[] = {"", "CET", "C-1", "CE-1", "CET-25", "CET-1CEST",
	"CET-1CEST,M3.5.0", "CET-1CEST,M3.5.0,M10.5.0/168", "CET-1CEST,M13.5.0,M10.5.0",
	"CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0",
	"CET-1CEST,M3.0.0,M10.5.0", "CET-1CEST,J0,J365", "CET-1CEST,J1,J366",
	"CET-1CEST,0,366", "CET-1CEST,M3.5.0,M10.5.0,", "CET-1CEST,M3.5.0,M10.5.0 ",
	"<+05-5", "<+5>", "+05-5", "CET-1:60", "CET-1:00:60", "CET-1x", "CET-1CEST,,",
	"CET--1", "CET-1CEST,M3,M4"};

static void
rules(void)
{
	struct zone_rule r;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		const int *s = good[i].start, *e = good[i].end;
		if (!zone_rule_parse(good[i].text, strlen(good[i].text), &r)) {
			test_fail(__FILE__, __LINE__, "refused: %s", good[i].text);
			continue;
		}
		CHECK_INT(r.has_dst, good[i].has_dst);
		CHECK_INT(r.std, good[i].std);
		if (!r.has_dst)
			continue;
		CHECK_INT(r.dst, good[i].dst);
		CHECK_INT(zone_rule_start(&r, 2028), utc(s[0], s[1], s[2], s[3], s[4]));
		CHECK_INT(zone_rule_end(&r, 2028), utc(e[0], e[1], e[2], e[3], e[4]));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad_rules); i++)
		if (zone_rule_parse(bad_rules[i], strlen(bad_rules[i]), &r))
			test_fail(__FILE__, __LINE__, "accepted: %s", bad_rules[i]);
}

/* ---- Files ---- */

static void
add_be32(struct buf *b, uint32_t v)
{
	unsigned char raw[4] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16),
		(unsigned char)(v >> 8), (unsigned char)v};

	buf_add(b, raw, 4);
}

static void
add_header(struct buf *b, char version, uint32_t leap, uint32_t times, uint32_t types)
{
	buf_add(b, "TZif", 4);
	buf_addc(b, version);
	buf_add(b, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15);
	add_be32(b, 0);
	add_be32(b, 0);
	add_be32(b, leap);
	add_be32(b, times);
	add_be32(b, types);
	add_be32(b, 4);
}

/* A zone of one type with that offset, and a footer. */
static void
make_file(
	struct buf *b, char version, uint32_t leap, uint32_t offset, const char *footer)
{
	buf_clear(b);
	for (int i = 0; i < 2; i++) {
		add_header(b, version, leap, 0, 1);
		add_be32(b, offset);
		buf_add(b, "\0\0XXX\0", 6);
		for (uint32_t k = 0; k < leap * (i ? 12 : 8); k++)
			buf_addc(b, 0);
	}
	buf_adds(b, footer);
}

static void
check_refused(const struct buf *b, const char *why)
{
	struct err err = {0};
	struct zone *z = zone_parse("Test/Zone", b->data, b->len, &err);

	CHECK(z == NULL);
	CHECK_STR(err.text, why);
	zone_free(&z);
}

static void
damaged_files(void)
{
	struct buf b = BUF_INIT;
	struct err err = {0};

	make_file(&b, '2', 0, 3600, "\nXXX-1\n");
	struct zone *z = zone_parse("Test/Zone", b.data, b.len, &err);
	CHECK(z && zone_span(z, 0).offset == 3600);
	zone_free(&z);
	for (size_t n = 0; n < b.len; n++) {
		z = zone_parse("Test/Zone", b.data, n, &err);
		if (z)
			test_fail(__FILE__, __LINE__, "%zu bytes are a zone", n);
		zone_free(&z);
	}
	make_file(&b, '2', 0, 3600, "\n\n");
	z = zone_parse("Test/Zone", b.data, b.len, &err);
	CHECK(z && zone_span(z, INT64_C(4102444800)).offset == 3600);
	zone_free(&z);
	make_file(&b, '\0', 0, 0, "");
	check_refused(&b, "TZif version 1, without times after 2037");
	make_file(&b, '2', 1, 0, "\n\n");
	check_refused(&b, "counts leap seconds, as no other clock does");
	make_file(&b, '2', 0, 26 * 3600, "\n\n");
	check_refused(&b, "damaged: an offset of more than 26 h");
	make_file(&b, '2', 0, (uint32_t)-26 * 3600, "\n\n");
	check_refused(&b, "damaged: an offset of more than 26 h");
	make_file(&b, '2', 0, 0x80000000u, "\n\n");
	check_refused(&b, "damaged: an offset of more than 26 h");
	make_file(&b, '2', 0, 0, "\nnonsense\n");
	check_refused(&b, "damaged: a footer that is no rule");
	make_file(&b, '2', 0, 0, "UTC0\n");
	check_refused(&b, "damaged: no footer");
	b.data[2] = 'I';
	check_refused(&b, "no TZif file");
	buf_fini(&b);
}

/* A zone that is always on daylight saving never leaves it: RFC 9636's example. */
static void
daylight_saving_all_year(void)
{
	struct buf b = BUF_INIT;
	struct err err;

	make_file(&b, '3', 0, (uint32_t)-14400, "\nXXX3EDT4,0/0,J365/23\n");
	struct zone *z = zone_parse("Test/Zone", b.data, b.len, &err);
	CHECK(z != NULL);
	for (int64_t t = utc(2026, 12, 30, 0, 0); z && t < utc(2029, 1, 3, 0, 0);
		t += 1800)
		if (zone_span(z, t).offset != -14400)
			test_fail(__FILE__, __LINE__, "%" PRId64 " is not", t);
	zone_free(&z);
	buf_fini(&b);
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
	TEST(offsets_are_those_of_libc);
	TEST(every_zone_with_a_country_is_that_of_libc);
	TEST(wall_clocks_are_those_of_libc);
	TEST(gaps_and_overlaps);
	TEST(countries_have_their_zones);
	TEST(names_lead_nowhere);
	TEST(same_zones);
	TEST(rules);
	TEST(damaged_files);
	TEST(daylight_saving_all_year);
	zones_free(&zones);
	return test_done();
}
