/* test_clock.c - clocks and RFC 3339; the calendar is compared with libc's. */
#include <clock.h>

#include <lib/test.h>
#include <mem.h>

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static const struct {
	const char *text;
	int64_t us;
} good[] = {
	{"1970-01-01T00:00:00Z", 0},
	{"1969-12-31T23:59:59.999999Z", -1},
	{"2026-11-21T08:00:00.123Z", INT64_C(1795248000123000)},
	{"2026-11-21T16:00:00.123+08:00", INT64_C(1795248000123000)},
	{"2026-11-21t07:30:00.123456789-00:30", INT64_C(1795248000123456)},
	{"2026-11-21 08:00:00z", INT64_C(1795248000000000)},
	{"2000-02-29T00:00:00Z", INT64_C(951782400000000)},
	{"2016-12-31T23:59:60Z", INT64_C(1483228800000000)}, /* a leap second */
	{"0000-01-01T00:00:00Z", INT64_C(-62167219200000000)},
	{"9999-12-31T23:59:59.999Z", INT64_C(253402300799999000)},
};
static const char *const bad[] = {"", "2026", "2026-11-21", "2026-11-21T08:00:00",
	"2026-11-21T08:00Z", "2026-11-21T08:00:00.Z", "2026-11-21T08:00:00.1234567890Z",
	"2026-11-21T08:00:00+0800", "2026-11-21T08:00:00+08",
	"2026-11-21T08:00:00+24:00", "2026-11-21T08:00:00+08:60",
	"2026-11-21T24:00:00Z", "2026-11-21T08:60:00Z", "2026-11-21T08:00:60Z",
	"2026-11-21T08:59:61Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
	"2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z",
	"2026-01-00T00:00:00Z", " 2026-11-21T08:00:00Z", "2026-11-21T08:00:00Z ",
	"2026-11-21T08:00:00ZZ", "26-11-21T08:00:00Z", "+026-11-21T08:00:00Z",
	"2026-1-21T08:00:00Z", "2026-11-21T8:00:00Z", "Z", "-"};

static void
test_parse(void)
{
	int64_t us;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		us = 1;
		CHECK(clock_parse(good[i].text, &us));
		if (us != good[i].us)
			test_fail(
				__FILE__, __LINE__, "%s is %" PRId64, good[i].text, us);
	}
	us = 77;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (clock_parse(bad[i], &us))
			test_fail(__FILE__, __LINE__, "accepted: %s", bad[i]);
	CHECK(!clock_parse(NULL, &us));
	CHECK_INT(us, 77);
}

static void
test_format(void)
{
	char text[CLOCK_RFC3339_LEN];

	CHECK_STR(clock_format(text, 0), "1970-01-01T00:00:00.000Z");
	CHECK_STR(clock_format(text, -1), "1969-12-31T23:59:59.999Z");
	CHECK_STR(clock_format(text, INT64_C(1795248000123999)),
		"2026-11-21T08:00:00.123Z");
	CHECK_STR(clock_format(text, INT64_MAX), "9999-12-31T23:59:59.999Z");
	CHECK_STR(clock_format(text, INT64_MIN), "0000-01-01T00:00:00.000Z");
}

static void
test_calendar_is_that_of_libc(void)
{
	char text[CLOCK_RFC3339_LEN], want[64];
	int64_t back;

	/* about every 17 days from 1600 to 2600, at uneven times of the day */
	for (int64_t s = INT64_C(-11676096000); s < INT64_C(19880899200);
		s += 1468877) {
		time_t t = s;
		struct tm tm;
		gmtime_r(&t, &tm);
		strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.000Z", &tm);
		clock_format(text, s * 1000000);
		CHECK_STR(text, want);
		CHECK(clock_parse(text, &back));
		CHECK_INT(back, s * 1000000);
	}
}

static void
test_fake(void)
{
	clock_fake(5, 7);
	CHECK_INT(clock_wall_us(), 5);
	CHECK_INT(clock_mono_us(), 7);
	clock_fake(0, 0);
	CHECK(clock_wall_us() > INT64_C(1700000000000000));
	int64_t before = clock_mono_us();
	CHECK(before > 7 && clock_mono_us() >= before);
}

int
main(void)
{
	TEST(test_parse);
	TEST(test_format);
	TEST(test_calendar_is_that_of_libc);
	TEST(test_fake);
	return test_done();
}
