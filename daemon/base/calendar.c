/* calendar.c - the proleptic Gregorian calendar in 400-year eras that begin on 1 March,
 * so that the leap day comes last. */
#include <base/calendar.h>

#define ERA_DAYS  146097 /* days in 400 years */
#define ERA_SHIFT 719468 /* days from 0000-03-01 to 1970-01-01 */

int64_t
calendar_days(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = calendar_floor_div(year, 400), yoe = year - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * ERA_DAYS + doe - ERA_SHIFT;
}

void
calendar_date(int64_t days, int *year_r, int *month_r, int *day_r)
{
	int64_t shifted = days + ERA_SHIFT, era = calendar_floor_div(shifted, ERA_DAYS);
	int64_t doe = shifted - era * ERA_DAYS;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*day_r = (int)(doy - (153 * mp + 2) / 5 + 1);
	*month_r = (int)(mp < 10 ? mp + 3 : mp - 9);
	*year_r = (int)(yoe + era * 400 + (*month_r <= 2));
}

bool
calendar_is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int
calendar_month_days(int64_t year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && calendar_is_leap(year));
}

/* 1970-01-01 was a Thursday. */
int
calendar_weekday(int64_t days)
{
	return (int)(days + 3 - 7 * calendar_floor_div(days + 3, 7));
}
