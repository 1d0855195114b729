/* test_calendar.c - dates as days, against libc. */
#include <base/calendar.h>
#include <lib/test.h>

#include <time.h>

static void
dates_are_those_of_libc(void)
{
	for (int64_t day = -400000; day < 800000; day += 7) {
		time_t t = day * 86400;
		struct tm tm;
		int y, m, d;
		gmtime_r(&t, &tm);
		calendar_date(day, &y, &m, &d);
		if (y != tm.tm_year + 1900 || m != tm.tm_mon + 1 || d != tm.tm_mday ||
			calendar_days(y, m, d) != day ||
			calendar_weekday(day) != (tm.tm_wday + 6) % 7)
			test_fail(__FILE__, __LINE__, "%d-%d-%d", y, m, d);
	}
	for (int64_t day = -20; day < 20; day++) {
		time_t t = day * 86400;
		struct tm tm;
		gmtime_r(&t, &tm);
		CHECK_INT(calendar_weekday(day), (tm.tm_wday + 6) % 7);
	}
}

static void
leap_years(void)
{
	CHECK(calendar_is_leap(2024) && calendar_is_leap(2000));
	CHECK(!calendar_is_leap(2026) && !calendar_is_leap(2100));
	CHECK_INT(calendar_month_days(2028, 2), 29);
	CHECK_INT(calendar_month_days(2026, 2), 28);
	CHECK_INT(calendar_month_days(2026, 12), 31);
	CHECK_INT(calendar_floor_div(-1, 86400), -1);
	CHECK_INT(calendar_floor_div(-86400, 86400), -1);
}

int
main(void)
{
	TEST(dates_are_those_of_libc);
	TEST(leap_years);
	return test_done();
}
