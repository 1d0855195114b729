/* value.c - see value.h. What is printed goes through print_safe. */
#include <ctl/value.h>

#include <clock.h>
#include <ctl/print.h>
#include <mem.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD_WIDTH 16

json_t *
value_at(const json_t *o, const char *path)
{
	while (o && *path) {
		char name[64];
		size_t n = strcspn(path, ".");
		snprintf(name, sizeof(name), "%.*s", (int)n, path);
		o = json_object_get(o, name);
		path += n + (path[n] == '.');
	}
	return (json_t *)(uintptr_t)o;
}

const char *
value_text(const json_t *o, const char *path)
{
	return json_string_value(value_at(o, path));
}

int64_t
value_int(const json_t *o, const char *path)
{
	return json_integer_value(value_at(o, path));
}

bool
value_flag(const json_t *o, const char *path)
{
	return json_is_true(value_at(o, path));
}

void
value_join(struct buf *out, const json_t *array)
{
	size_t start = out->len;
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *s = json_string_value(json_array_get(array, i));
		buf_printf(out, "%s%s", out->len > start ? ", " : "", s ? s : "?");
	}
}

void
value_print_field(const struct ctl *ctl, const char *name, const char *value)
{
	struct buf b = BUF_INIT;
	print_safe(&b, name);
	printf("%s%s%s", print_color(ctl, COLOR_DIM), buf_str(&b),
		print_color(ctl, COLOR_NONE));
	unsigned width = print_width(buf_str(&b));
	printf("%*s", width < FIELD_WIDTH ? (int)(FIELD_WIDTH - width) : 2, "");
	print_text(value);
	putchar('\n');
	buf_fini(&b);
}

static bool
is_flat(const json_t *array)
{
	for (size_t i = 0; i < json_array_size(array); i++)
		if (!json_is_string(json_array_get(array, i)))
			return false;
	return true;
}

static void
add_value(struct buf *out, const json_t *value)
{
	int64_t us;
	if (json_is_string(value) && clock_parse(json_string_value(value), &us)) {
		print_time(out, json_string_value(value));
	} else if (json_is_string(value)) {
		buf_adds(out, json_string_value(value));
	} else if (json_is_boolean(value)) {
		buf_adds(out, json_is_true(value) ? "yes" : "no");
	} else if (json_is_array(value) && is_flat(value)) {
		value_join(out, value);
	} else {
		char *text = json_dumps(
			value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
		buf_adds(out, text ? text : "");
		free(text);
	}
}

static void print_member(const struct ctl *ctl, const char *name, const json_t *value);

static void
print_members(const struct ctl *ctl, const char *prefix, const json_t *object)
{
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		char *full = xasprintf("%s%s%s", prefix, *prefix ? "." : "", name);
		print_member(ctl, full, value);
		xfree(&full);
	}
}

/* What is null or empty is left out. */
static void
print_member(const struct ctl *ctl, const char *name, const json_t *value)
{
	struct buf b = BUF_INIT;
	if (json_is_object(value)) {
		print_members(ctl, name, value);
	} else if (json_is_array(value) && !is_flat(value)) {
		for (size_t i = 0; i < json_array_size(value); i++) {
			buf_clear(&b);
			add_value(&b, json_array_get(value, i));
			value_print_field(ctl, i ? "" : name, buf_str(&b));
		}
	} else if (!json_is_null(value)) {
		add_value(&b, value);
		if (b.len)
			value_print_field(ctl, name, buf_str(&b));
	}
	buf_fini(&b);
}

void
value_print(const struct ctl *ctl, const json_t *object)
{
	print_members(ctl, "", object);
}
