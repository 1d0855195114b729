/* check.c - see check.h. Bodies are parsed without JSON_ALLOW_NUL, so no text holds NUL. */
#include <people/check.h>

#include <clock.h>
#include <str.h>

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32

void
check_init(struct check *c, const json_t *object)
{
	memset(c, 0, sizeof(*c));
	c->object = object;
	if (!json_is_object(object))
		check_fail(c, "the body must be a JSON object");
}

void
check_fail(struct check *c, const char *fmt, ...)
{
	va_list ap;

	if (c->why[0])
		return;
	va_start(ap, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
}

static bool
is_taken(const struct check *c, const char *name)
{
	for (unsigned i = 0; i < c->n_taken; i++)
		if (!strcmp(c->taken[i], name))
			return true;
	return false;
}

bool
check_done(struct check *c)
{
	void *it = json_object_iter((json_t *)(uintptr_t)c->object);

	for (; it; it = json_object_iter_next((json_t *)(uintptr_t)c->object, it))
		if (!is_taken(c, json_object_iter_key(it)))
			check_fail(c, "%.64s: there is no such field",
				json_object_iter_key(it));
	return !c->why[0];
}

const json_t *
check_take(struct check *c, const char *name)
{
	assert(c->n_taken < CHECK_FIELDS_MAX);
	c->taken[c->n_taken++] = name;
	return json_object_get(c->object, name);
}

static const json_t *
take_unless_null(struct check *c, const char *name)
{
	const json_t *v = check_take(c, name);

	return json_is_null(v) ? NULL : v;
}

static size_t
count_chars(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

const char *
check_text(struct check *c, const char *name, size_t max_chars)
{
	const json_t *v = take_unless_null(c, name);

	if (!v)
		return NULL;
	if (!json_is_string(v))
		check_fail(c, "%s: must be a string", name);
	else if (count_chars(json_string_value(v)) > max_chars)
		check_fail(c, "%s: at most %zu characters", name, max_chars);
	return json_string_value(v);
}

bool
check_bool(struct check *c, const char *name, bool def)
{
	const json_t *v = check_take(c, name);

	if (v && !json_is_boolean(v))
		check_fail(c, "%s: must be true or false", name);
	return v ? json_is_true(v) : def;
}

bool
check_uuid(struct check *c, const char *name, struct uuid *out_r)
{
	const json_t *v = take_unless_null(c, name);

	memset(out_r, 0, sizeof(*out_r));
	if (!v)
		return false;
	if (!uuid_parse(json_string_value(v), out_r))
		check_fail(c, "%s: must be an id", name);
	return true;
}

bool
check_time(struct check *c, const char *name, int64_t *us_r)
{
	const json_t *v = take_unless_null(c, name);
	const char *text = json_string_value(v);

	*us_r = 0;
	if (!v)
		return false;
	if (!text || !clock_parse(text, us_r))
		check_fail(c, "%s: must be a time as in 2026-11-21T08:00:00Z", name);
	return true;
}

/* jsonb writes a number out in digits: 1e308 comes back as an integer that most readers
 * (Jansson among them) refuse, and 5e-324 as 300 zeros. */
static bool
is_plain_number(double v)
{
	return v == 0 || (fabs(v) > 1e-30 && fabs(v) < 9e18);
}

/* Others wrap it in objects of their own and read it again. */
static bool
is_plain(const json_t *v, unsigned levels)
{
	json_t *item, *object = (json_t *)(uintptr_t)v;
	const char *key;
	size_t i;

	if (json_is_real(v))
		return is_plain_number(json_real_value(v));
	if (!json_is_object(v) && !json_is_array(v))
		return true;
	if (levels == 0)
		return false;
	json_object_foreach(object, key, item)
	{
		if (!is_plain(item, levels - 1))
			return false;
	}
	json_array_foreach(v, i, item)
	{
		if (!is_plain(item, levels - 1))
			return false;
	}
	return true;
}

const json_t *
check_object(struct check *c, const char *name, size_t max_bytes)
{
	const json_t *v = take_unless_null(c, name);
	char *text;

	if (!v)
		return NULL;
	if (!json_is_object(v)) {
		check_fail(c, "%s: must be an object", name);
		return NULL;
	}
	if (!is_plain(v, DEPTH_MAX)) {
		check_fail(c, "%s: at most %d levels, numbers of at most 18 digits",
			name, DEPTH_MAX);
		return NULL;
	}
	text = json_dumps(v, JSON_COMPACT);
	if (!text || strlen(text) > max_bytes)
		check_fail(c, "%s: at most %zu bytes of JSON", name, max_bytes);
	free(text);
	return v;
}
