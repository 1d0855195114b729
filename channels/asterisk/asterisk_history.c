/* asterisk_history.c - what CDRs and CELs have in common: times, names, dial strings.
 *
 * Everything here is text from files that others write, and is cut to size. */
#include "asterisk_history.h"

#include <clock.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define FIRST_US   (INT64_C(946684800) * 1000000)  /* 2000-01-01 */
#define LAST_US	   (INT64_C(4102444800) * 1000000) /* 2100-01-01 */
#define SECOND_US  INT64_C(1000000)
#define QUARTER_US (900 * SECOND_US) /* zones differ by multiples of it */
/* A record so long after its channel's making still tells the zone. */
#define MADE_WITH_US (60 * SECOND_US)

int64_t
history_uid_us(const char *uid)
{
	const char *dash = strrchr(uid, '-'), *s = dash ? dash + 1 : uid;
	size_t digits = strspn(s, "0123456789");
	char text[12];
	int64_t seconds;

	if (digits < 9 || digits > 11 || s[digits] != '.')
		return 0;
	str_copy(text, digits + 1, s);
	return str_int(text, 1, INT64_C(99999999999), &seconds) ? seconds * SECOND_US
								: 0;
}

/* Seconds with up to six digits of fraction. */
static bool
epoch_time(const char *text, int64_t *us_r)
{
	size_t digits = strspn(text, "0123456789");
	int64_t seconds, micro = 0, unit = SECOND_US / 10;
	char whole[12];

	if (digits < 9 || digits > 11 || (text[digits] && text[digits] != '.'))
		return false;
	str_copy(whole, digits + 1, text);
	if (!str_int(whole, 1, INT64_C(99999999999), &seconds))
		return false;
	for (const char *s = text[digits] ? text + digits + 1 : ""; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		micro += (*s - '0') * unit;
		unit /= 10;
	}
	*us_r = seconds * SECOND_US + micro;
	return true;
}

static bool
read_time(const char *text, int64_t *us_r, bool *local_r)
{
	char buf[64];
	size_t len = strlen(text);

	*local_r = false;
	if (epoch_time(text, us_r))
		return true;
	if (len < 19 || len > 40 || text[4] != '-')
		return false;
	str_copy(buf, sizeof(buf), text);
	buf[10] = 'T';
	if (clock_parse(buf, us_r))
		return true;
	/* PostgreSQL's +08 is RFC 3339's +08:00 */
	if (len > 21 && (text[len - 3] == '+' || text[len - 3] == '-')) {
		snprintf(buf + len, sizeof(buf) - len, ":00");
		return clock_parse(buf, us_r);
	}
	snprintf(buf + len, sizeof(buf) - len, "Z");
	*local_r = true;
	return clock_parse(buf, us_r);
}

/* There was no Asterisk before 2000; and a record that claims to be of a far future, or
 * past, would have the tracker wait for what never comes. */
bool
history_time(const char *text, int64_t *us_r, bool *local_r)
{
	return read_time(text, us_r, local_r) && *us_r >= FIRST_US && *us_r < LAST_US;
}

static int64_t
nearest_quarter(int64_t us)
{
	int64_t half = us < 0 ? -QUARTER_US / 2 : QUARTER_US / 2;

	return (us + half) / QUARTER_US * QUARTER_US;
}

int64_t
history_utc(struct history_zone *z, int64_t local_us, const char *uid)
{
	int64_t made_us = history_uid_us(uid), off, late;

	if (made_us) {
		off = nearest_quarter(local_us - made_us);
		late = local_us - made_us - off;
		if ((late > -2 * SECOND_US && late < MADE_WITH_US) || !z->known) {
			z->known = true;
			z->offset_us = off;
		}
	}
	return local_us - z->offset_us;
}

bool
history_near(const char *text, const char *uid, int64_t *us_r)
{
	struct history_zone z = {0};
	bool local;

	if (!history_time(text, us_r, &local))
		return false;
	if (local)
		*us_r = history_utc(&z, *us_r, uid);
	return true;
}

void
history_endpoint(char *dst, size_t cap, const char *name)
{
	const char *dash = strrchr(name, '-');
	size_t len = dash ? (size_t)(dash - name) : strlen(name);

	str_copy(dst, len < cap ? len + 1 : cap, name);
}

void
history_word(char *dst, size_t cap, const char *data)
{
	size_t len = strcspn(data, ",");

	str_copy(dst, len < cap ? len + 1 : cap, data);
}

/* One destination: TECH/NUMBER@TRUNK, TECH/TRUNK/NUMBER or TECH/PHONE. */
static bool
take_destination(
	char *dst, size_t cap, const char *one, size_t len, const char *endpoint)
{
	const char *slash = memchr(one, '/', len), *at = memrchr(one, '@', len);
	const char *name = strchr(endpoint, '/');
	const char *second, *end = one + len;
	size_t n = name ? strlen(name + 1) : 0;

	if (!slash || !n)
		return false;
	if (at && at > slash && (size_t)(end - at - 1) == n &&
		!memcmp(at + 1, name + 1, n)) {
		len = (size_t)(at - slash - 1);
		str_copy(dst, len < cap ? len + 1 : cap, slash + 1);
		return true;
	}
	second = memchr(slash + 1, '/', (size_t)(end - slash - 1));
	if (!second || (size_t)(second - slash - 1) != n ||
		memcmp(slash + 1, name + 1, n) != 0)
		return false;
	if ((size_t)(end - second) > 5 && !memcmp(second + 1, "sip:", 4))
		second += 4;
	at = memchr(second, '@', (size_t)(end - second));
	len = (size_t)((at ? at : end) - second - 1);
	str_copy(dst, len < cap ? len + 1 : cap, second + 1);
	return true;
}

void
history_dialled(char *dst, size_t cap, const char *data, const char *endpoint)
{
	size_t all = strcspn(data, ",");

	dst[0] = '\0';
	for (const char *one = data; one < data + all;) {
		const char *amp = memchr(one, '&', (size_t)(data + all - one));
		const char *end = amp ? amp : data + all;
		if (take_destination(dst, cap, one, (size_t)(end - one), endpoint))
			return;
		one = end + 1;
	}
}

const char *
history_text(const char *s)
{
	return str_empty(s) ? NULL : s;
}
