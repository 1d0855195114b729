/* export_csv.c - see export_csv.h. */
#include <timeline/export_csv.h>

#include <mem.h>
#include <people/csv_write.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const before[] = {
	"id", "name", "type", "roles", "language", "timezone", "vip", "organisation"};
static const char *const after[] = {"created_at", "updated_at"};

static void
put(struct buf *out, const char *text, bool first)
{
	csv_put(out, text, strlen(text), first);
}

void
export_columns_fini(struct export_columns *c)
{
	json_decref(c->attributes);
	c->attributes = NULL;
}

static void
put_numbered(struct buf *out, const char *name, unsigned n)
{
	char text[32];

	for (unsigned i = 1; i <= n; i++) {
		if (i == 1)
			str_copy(text, sizeof(text), name);
		else
			snprintf(text, sizeof(text), "%s%u", name, i);
		put(out, text, false);
	}
}

void
export_csv_header(const struct export_columns *c, struct buf *out)
{
	struct buf name = BUF_INIT;

	buf_add(out, "\xef\xbb\xbf", 3);
	for (size_t i = 0; i < ARRAY_LEN(before); i++)
		put(out, before[i], i == 0);
	put_numbered(out, "external", c->externals);
	put_numbered(out, "phone", c->phones);
	put_numbered(out, "email", c->emails);
	for (size_t i = 0; i < json_array_size(c->attributes); i++) {
		buf_clear(&name);
		buf_adds(&name, "attributes.");
		buf_adds(&name, json_string_value(json_array_get(c->attributes, i)));
		csv_put(out, name.data, name.len, false);
	}
	for (size_t i = 0; i < ARRAY_LEN(after); i++)
		put(out, after[i], false);
	csv_put_end(out);
	buf_fini(&name);
}

static void
put_value(struct buf *out, const json_t *v, bool first)
{
	char *text;

	if (!v || json_is_null(v)) {
		put(out, "", first);
	} else if (json_is_string(v)) {
		csv_put(out, json_string_value(v), json_string_length(v), first);
	} else if (json_is_boolean(v)) {
		put(out, json_is_true(v) ? "true" : "false", first);
	} else {
		text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
		put(out, text ? text : "", first);
		free(text);
	}
}

static void
put_roles(struct buf *out, const json_t *roles)
{
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < json_array_size(roles); i++) {
		if (i)
			buf_addc(&text, ' ');
		buf_adds(&text, json_string_value(json_array_get(roles, i)));
	}
	csv_put(out, buf_str(&text), text.len, false);
	buf_fini(&text);
}

/* Of a claimed address an import would make a recorded one: it is left out. */
static void
put_addresses(struct buf *out, const json_t *identities, const char *kind, unsigned n)
{
	unsigned done = 0;

	for (size_t i = 0; i < json_array_size(identities) && done < n; i++) {
		const json_t *one = json_array_get(identities, i);
		if (!str_eq(json_string_value(json_object_get(one, "kind")), kind) ||
			str_eq(json_string_value(json_object_get(one, "trust")),
				"claimed"))
			continue;
		put_value(out, json_object_get(one, "value"), false);
		done++;
	}
	for (; done < n; done++)
		put(out, "", false);
}

void
export_csv_record(
	const struct export_columns *c, const json_t *contact, struct buf *out)
{
	const json_t *identities = json_object_get(contact, "identities");
	const json_t *attributes = json_object_get(contact, "attributes");

	for (size_t i = 0; i < ARRAY_LEN(before); i++) {
		const json_t *v = json_object_get(contact, before[i]);
		if (str_eq(before[i], "roles"))
			put_roles(out, v);
		else
			put_value(out, v, i == 0);
	}
	put_addresses(out, identities, "external", c->externals);
	put_addresses(out, identities, "phone", c->phones);
	put_addresses(out, identities, "email", c->emails);
	for (size_t i = 0; i < json_array_size(c->attributes); i++)
		put_value(out,
			json_object_get(attributes,
				json_string_value(json_array_get(c->attributes, i))),
			false);
	for (size_t i = 0; i < ARRAY_LEN(after); i++)
		put_value(out, json_object_get(contact, after[i]), false);
	csv_put_end(out);
}
