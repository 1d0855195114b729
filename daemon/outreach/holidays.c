/* holidays.c - a file of holidays as a sorted table of stretches of days. */
#include <outreach/holidays.h>

#include <base/calendar.h>
#include <buf.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct holiday {
	int64_t first, last; /* days since 1970-01-01 */
	char *name;
};
struct holidays {
	char region[HOLIDAYS_REGION_MAX + 1];
	size_t n;
	struct holiday *list; /* by first; no two share a day */
};

/* ---- Parsing ---- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* "2026-02-14" at *at, which goes past it. */
static bool
parse_date(const char **at, const char *end, int64_t *day_r)
{
	static const char shape[] = "dddd-dd-dd";
	int part[3] = {0, 0, 0}, n = 0;
	const char *s = *at;

	if (end - s < 10)
		return false;
	for (int i = 0; i < 10; i++) {
		if (shape[i] == '-') {
			if (s[i] != '-')
				return false;
			n++;
		} else if (s[i] < '0' || s[i] > '9') {
			return false;
		} else {
			part[n] = part[n] * 10 + (s[i] - '0');
		}
	}
	if (part[0] < 1970 || part[1] < 1 || part[1] > 12 || part[2] < 1 ||
		part[2] > calendar_month_days(part[0], part[1]))
		return false;
	*day_r = calendar_days(part[0], part[1], part[2]);
	*at = s + 10;
	return true;
}

/* Fills h; NULL, or what is wrong. */
static const char *
parse_line(const char *at, const char *end, struct holiday *h)
{
	if (!parse_date(&at, end, &h->first))
		return "begins with a date such as 2026-02-14";
	h->last = h->first;
	if (end - at >= 2 && at[0] == '.' && at[1] == '.') {
		at += 2;
		if (!parse_date(&at, end, &h->last))
			return "a date such as 2026-02-22 follows the dots";
		if (h->last < h->first)
			return "the last day comes before the first";
		if (h->last - h->first >= HOLIDAYS_LENGTH_MAX)
			return "a holiday has at most 60 days";
	}
	if (at < end && !is_blank(*at))
		return "a blank and a name follow the date";
	while (at < end && is_blank(*at))
		at++;
	if (at == end)
		return "the name of the holiday is missing";
	if (end - at > 200 || !utf8_valid(at, (size_t)(end - at)))
		return "a name has at most 200 bytes of UTF-8";
	h->name = xstrndup(at, (size_t)(end - at));
	return NULL;
}

static const char *
take_line(struct holidays *h, const char *at, const char *end)
{
	while (end > at && (is_blank(end[-1]) || end[-1] == '\r'))
		end--;
	if (at == end || *at == '#')
		return NULL;
	if (h->n == HOLIDAYS_LINES_MAX)
		return "more than 4000 holidays";
	if (memchr(at, '\0', (size_t)(end - at)))
		return "a NUL byte";
	/* Grows by doubling: a power of two is full. */
	if ((h->n & (h->n - 1)) == 0)
		h->list = xrealloc(h->list, (h->n ? 2 * h->n : 1) * sizeof(*h->list));
	const char *why = parse_line(at, end, &h->list[h->n]);
	if (!why)
		h->n++;
	return why;
}

static int
by_first(const void *a, const void *b)
{
	const struct holiday *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static int
sort(struct holidays *h, struct err *err)
{
	if (h->n)
		qsort(h->list, h->n, sizeof(*h->list), by_first);
	for (size_t i = 1; i < h->n; i++)
		if (h->list[i].first <= h->list[i - 1].last)
			return err_set(err, "\"%s\" and \"%s\" share a day",
				h->list[i - 1].name, h->list[i].name);
	return 0;
}

static int
parse(struct holidays *h, const char *text, size_t len, struct err *err)
{
	const char *end = text + len;

	for (int line = 1; text < end; line++) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		const char *why = take_line(h, text, stop ? stop : end);
		if (why)
			return err_set(err, "line %d: %s", line, why);
		text = stop ? stop + 1 : end;
	}
	return sort(h, err);
}

struct holidays *
holidays_parse(const char *region, const char *text, size_t len, struct err *err)
{
	struct holidays *h = xcalloc(1, sizeof(*h));

	str_copy(h->region, sizeof(h->region), region);
	if (parse(h, text, len, err) < 0)
		holidays_free(&h);
	return h;
}

/* ---- A file ---- */

static bool
is_region(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");

	return !s[n] && n >= 2 && n <= HOLIDAYS_REGION_MAX && *s != '-';
}

struct holidays *
holidays_load(const char *dir, const char *region, struct err *err)
{
	struct holidays *h = NULL;
	struct err why;
	char path[4200];

	if (!is_region(region)) {
		err_set(err, "\"%s\" is no region such as CN or DE-BY", region);
		return NULL;
	}
	snprintf(path, sizeof(path), "%s/%s", dir, region);
	FILE *f = fopen(path, "rbe");
	if (!f) {
		err_errno(err, "no holidays of %s: %s", region, path);
		return NULL;
	}
	char *text = xmalloc(HOLIDAYS_FILE_MAX + 1);
	size_t len = fread(text, 1, HOLIDAYS_FILE_MAX + 1, f);
	if (ferror(f))
		err_errno(err, "%s", path);
	else if (len > HOLIDAYS_FILE_MAX)
		err_set(err, "%s: more than 256 KB", path);
	else if (!(h = holidays_parse(region, text, len, &why)))
		err_set(err, "%s: %s", path, why.text);
	fclose(f);
	xfree(&text);
	return h;
}

void
holidays_free(struct holidays **hp)
{
	if (!*hp)
		return;
	for (size_t i = 0; i < (*hp)->n; i++)
		xfree(&(*hp)->list[i].name);
	xfree(&(*hp)->list);
	xfree(hp);
}

/* ---- Asking ---- */

const char *
holidays_region(const struct holidays *h)
{
	return h->region;
}

bool
holidays_is_of_country(const struct holidays *h, const char *country)
{
	return strlen(country) == 2 && str_starts(h->region, country) &&
	       (h->region[2] == '\0' || h->region[2] == '-');
}

const char *
holidays_name(const struct holidays *h, int64_t day)
{
	size_t low = 0, high = h->n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (h->list[mid].last < day)
			low = mid + 1;
		else
			high = mid;
	}
	return low < h->n && h->list[low].first <= day ? h->list[low].name : NULL;
}

bool
holidays_cover_year(const struct holidays *h, int year)
{
	int64_t from = calendar_days(year, 1, 1), to = calendar_days(year + 1, 1, 1);

	for (size_t i = 0; i < h->n; i++)
		if (h->list[i].last >= from && h->list[i].first < to)
			return true;
	return false;
}
