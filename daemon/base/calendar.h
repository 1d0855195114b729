/* calendar.h - dates of the proleptic Gregorian calendar as counts of days, without
 * time zones and without libc's. */
#ifndef INTERACTD_BASE_CALENDAR_H
#define INTERACTD_BASE_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

/* Days since 1970-01-01 of a date; month 1 to 12, day 1 to 31. */
int64_t calendar_days(int64_t year, int month, int day);
/* The date of a day; any within some million years. */
void calendar_date(int64_t days, int *year_r, int *month_r, int *day_r);
bool calendar_is_leap(int64_t year);
int calendar_month_days(int64_t year, int month); /* 28 to 31 */
int calendar_weekday(int64_t days);		  /* 0 = Monday … 6 = Sunday */

/* Division that rounds down, for what lies before 1970. b > 0. */
static inline int64_t
calendar_floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

#endif
