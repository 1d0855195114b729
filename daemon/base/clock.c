/* clock.c - the two clocks and RFC 3339.
 *
 * Dates are computed by calendar.h, without time_t and time zones. The fake clock of the
 * tests is atomic because worker threads read the time too. */
#include <clock.h>

#include <base/calendar.h>
#include <str.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define US_PER_S   INT64_C(1000000)
#define US_PER_DAY (86400 * US_PER_S)

static _Atomic int64_t fake_wall_us, fake_mono_us;

static int64_t
clock_read(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

int64_t
clock_wall_us(void)
{
	int64_t fake = atomic_load_explicit(&fake_wall_us, memory_order_relaxed);

	return fake ? fake : clock_read(CLOCK_REALTIME);
}

int64_t
clock_mono_us(void)
{
	int64_t fake = atomic_load_explicit(&fake_mono_us, memory_order_relaxed);

	return fake ? fake : clock_read(CLOCK_MONOTONIC);
}

void
clock_fake(int64_t wall_us, int64_t mono_us)
{
	atomic_store(&fake_wall_us, wall_us);
	atomic_store(&fake_mono_us, mono_us);
}

/* The last n digits of v. Returns what follows. */
static char *
put_digits(char *at, unsigned v, int n, char after)
{
	for (int i = n; i-- > 0; v /= 10)
		at[i] = (char)('0' + v % 10);
	at[n] = after;
	return at + n + 1;
}

char *
clock_format(char dst[CLOCK_RFC3339_LEN], int64_t wall_us)
{
	int year, month, day;
	int64_t first = calendar_days(0, 1, 1) * US_PER_DAY;
	int64_t last = calendar_days(10000, 1, 1) * US_PER_DAY - 1;

	/* RFC 3339 has four digits for the year, no more and no sign. */
	wall_us = wall_us < first ? first : wall_us > last ? last : wall_us;
	int64_t days = calendar_floor_div(wall_us, US_PER_DAY);
	unsigned ms = (unsigned)((wall_us - days * US_PER_DAY) / 1000);
	calendar_date(days, &year, &month, &day);
	char *at = put_digits(dst, (unsigned)year, 4, '-');
	at = put_digits(at, (unsigned)month, 2, '-');
	at = put_digits(at, (unsigned)day, 2, 'T');
	at = put_digits(at, ms / 3600000, 2, ':');
	at = put_digits(at, ms / 60000 % 60, 2, ':');
	at = put_digits(at, ms / 1000 % 60, 2, '.');
	at = put_digits(at, ms % 1000, 3, 'Z');
	*at = '\0';
	return dst;
}

/* A cursor over the text; `bad` sticks and is looked at once, at the end. */
struct scan {
	const char *s;
	bool bad;
};

static int
scan_digits(struct scan *in, int n, int min, int max)
{
	int value = 0;

	for (int i = 0; i < n && !in->bad; i++) {
		if (*in->s < '0' || *in->s > '9')
			in->bad = true;
		else
			value = value * 10 + (*in->s++ - '0');
	}
	if (value < min || value > max)
		in->bad = true;
	return value;
}

static char
scan_one_of(struct scan *in, const char *set)
{
	if (in->bad || !*in->s || !strchr(set, *in->s)) {
		in->bad = true;
		return 0;
	}
	return *in->s++;
}

/* ".123" up to nine digits, as microseconds (cut, not rounded). */
static int64_t
scan_fraction(struct scan *in)
{
	int64_t us = 0, unit = US_PER_S / 10;
	int n = 0;

	if (in->bad || *in->s != '.')
		return 0;
	for (in->s++; *in->s >= '0' && *in->s <= '9'; in->s++, n++, unit /= 10)
		us += (*in->s - '0') * unit;
	if (n < 1 || n > 9)
		in->bad = true;
	return us;
}

static int64_t
scan_offset_us(struct scan *in)
{
	char sign = scan_one_of(in, "Zz+-");

	if (in->bad || sign == 'Z' || sign == 'z')
		return 0;
	int hours = scan_digits(in, 2, 0, 23);
	scan_one_of(in, ":");
	int64_t us = (hours * 60 + scan_digits(in, 2, 0, 59)) * 60 * US_PER_S;
	return sign == '-' ? -us : us;
}

bool
clock_parse(const char *s, int64_t *wall_us_r)
{
	struct scan in = {s, str_empty(s)};
	int year = scan_digits(&in, 4, 0, 9999);
	scan_one_of(&in, "-");
	int month = scan_digits(&in, 2, 1, 12);
	scan_one_of(&in, "-");
	int day = scan_digits(&in, 2, 1, in.bad ? 0 : calendar_month_days(year, month));
	scan_one_of(&in, "Tt ");
	int hour = scan_digits(&in, 2, 0, 23);
	scan_one_of(&in, ":");
	int minute = scan_digits(&in, 2, 0, 59);
	scan_one_of(&in, ":");
	/* :60 is a leap second; it is the first moment of the next minute here. */
	int second = scan_digits(&in, 2, 0, minute == 59 ? 60 : 59);
	int64_t us = scan_fraction(&in);
	int64_t offset = scan_offset_us(&in);

	if (in.bad || *in.s)
		return false;
	us += ((hour * 60 + minute) * 60 + second) * US_PER_S;
	*wall_us_r = calendar_days(year, month, day) * US_PER_DAY + us - offset;
	return true;
}
