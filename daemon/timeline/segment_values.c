/* segment_values.c - the values of a filter: each is kept aside and becomes a $n. */
#include <timeline/segment_priv.h>

#include <clock.h>
#include <mem.h>
#include <str.h>
#include <uuid.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S	  86400
#define LIST_MAX  50
#define COUNT_MAX 1000000

void
segment_fail(struct compiler *c, const char *what, const char *why)
{
	if (!c->f->why[0])
		snprintf(c->f->why, sizeof(c->f->why), "filter: %s%s%s", what,
			*what ? ": " : "", why);
}

static void
value_len(struct compiler *c, struct buf *sql, const char *text, size_t len)
{
	struct segment_filter *f = c->f;

	if (f->n_values == SEGMENT_VALUES_MAX) {
		segment_fail(c, "", "too many values");
		return;
	}
	f->offsets[f->n_values] = f->values.len;
	buf_add(&f->values, text, len);
	buf_addc(&f->values, '\0');
	buf_addc(sql, '$');
	buf_add_int(sql, SEGMENT_FIRST_VALUE + (int64_t)f->n_values++);
}

void
segment_value(struct compiler *c, struct buf *sql, const char *text)
{
	value_len(c, sql, text, strlen(text));
}

void
segment_value_int(struct compiler *c, struct buf *sql, int64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)v);
	segment_value(c, sql, text);
}

void
segment_value_number(struct compiler *c, struct buf *sql, const json_t *v)
{
	char text[40];

	if (json_is_integer(v))
		snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(v));
	else
		snprintf(text, sizeof(text), "%.17g", json_real_value(v));
	segment_value(c, sql, text);
}

static void
array_item(struct buf *out, const char *s)
{
	buf_addc(out, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *s);
	}
	buf_addc(out, '"');
}

void
segment_value_texts(
	struct compiler *c, struct buf *sql, const char *what, const json_t *v)
{
	struct buf list = BUF_INIT;
	size_t n = json_is_array(v) ? json_array_size(v) : 1;
	bool sound = n >= 1 && n <= LIST_MAX;

	buf_addc(&list, '{');
	for (size_t i = 0; i < n && sound; i++) {
		const char *s =
			json_string_value(json_is_array(v) ? json_array_get(v, i) : v);
		sound = s && *s && strlen(s) <= TEXT_MAX;
		if (i)
			buf_addc(&list, ',');
		if (sound)
			array_item(&list, s);
	}
	buf_addc(&list, '}');
	if (sound)
		value_len(c, sql, list.data, list.len);
	else
		segment_fail(c, what,
			"a string, or a list of at most 50, of 1 to 200 bytes");
	buf_fini(&list);
}

unsigned
segment_value_sight(struct compiler *c, const json_t *list)
{
	struct buf text = BUF_INIT, sql = BUF_INIT;

	if (!list)
		return 0;
	buf_addc(&text, '{');
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (i)
			buf_addc(&text, ',');
		array_item(&text, json_string_value(json_array_get(list, i)));
	}
	buf_addc(&text, '}');
	value_len(c, &sql, text.data, text.len);
	buf_fini(&text);
	buf_fini(&sql);
	return SEGMENT_FIRST_VALUE + c->f->n_values - 1;
}

void
segment_put_sight(struct buf *sql, unsigned n)
{
	if (n) {
		buf_addc(sql, '$');
		buf_add_int(sql, n);
	} else {
		PUT(sql, "NULL");
	}
	PUT(sql, "::text[]");
}

/* "12h", "90d", "8w", "1y": that long before now. */
static bool
parse_ago(const char *s, int64_t now_us, int64_t *us_r)
{
	size_t n = strspn(s, "0123456789");
	static const struct {
		char unit;
		int64_t s;
	} units[] = {{'h', 3600}, {'d', DAY_S}, {'w', 7 * DAY_S}, {'y', 365 * DAY_S}};

	if (n < 1 || n > 4 || strlen(s) != n + 1)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (units[i].unit != s[n])
			continue;
		*us_r = now_us - strtoll(s, NULL, 10) * units[i].s * 1000000;
		return *us_r > 0;
	}
	return false;
}

static bool
parse_when(const char *s, int64_t now_us, int64_t *us_r)
{
	char day[32];

	if (strlen(s) == 10) {
		snprintf(day, sizeof(day), "%sT00:00:00Z", s);
		return clock_parse(day, us_r);
	}
	return parse_ago(s, now_us, us_r) || clock_parse(s, us_r);
}

bool
segment_take_when(struct compiler *c, struct check *k, const char *name, int64_t *us_r)
{
	const char *text = check_text(k, name, 40);

	if (!text)
		return false;
	if (parse_when(text, c->now_us, us_r) && *us_r >= 0)
		return true;
	check_fail(k, "%s: a time, a date, or how long ago (12h, 90d, 8w, 1y)", name);
	return false;
}

bool
segment_take_int(struct check *k, const char *name, int64_t *n_r)
{
	const json_t *v = check_take(k, name);

	if (!v)
		return false;
	*n_r = json_integer_value(v);
	if (!json_is_integer(v) || *n_r < 0 || *n_r > COUNT_MAX)
		check_fail(k, "%s: 0 to %d", name, COUNT_MAX);
	return true;
}

void
segment_done(struct compiler *c, struct check *k, const char *what)
{
	if (!check_done(k))
		segment_fail(c, what, k->why);
}
