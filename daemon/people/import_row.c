/* import_row.c - see import_row.h.
 *
 * Whatever a row came from, it becomes the object that POST /v1/contacts takes, and is
 * checked by the same code (contact_body.c). Here are the short members (phone, phone2,
 * email, external), an organisation told by its external id, and what only an import
 * wants: something by which the next import finds the contact again. */
#include <people/import_row.h>

#include <people/contact_body.h>
#include <people/csv_write.h>

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ALLOWED                                                                           \
	"name, type, phone, email, external (and phone2, email2, …), roles, language, " \
	"timezone, vip, organisation, attributes.NAME"

/* "phone", "phone2", …: the kind of address; NULL if it is none. */
static const char *
address_kind(const char *name)
{
	static const char *const kinds[] = {"phone", "email", "external"};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t n = strlen(kinds[i]);
		if (strncmp(name, kinds[i], n) == 0 && strlen(name) <= n + 2 &&
			strspn(name + n, "0123456789") == strlen(name + n))
			return kinds[i];
	}
	return NULL;
}

static char *
trimmed(const char *s)
{
	size_t n;

	s += strspn(s, " \t\r\n");
	n = strlen(s);
	while (n && strchr(" \t\r\n", s[n - 1]))
		n--;
	return xstrndup(s, n);
}

static bool
kind_of_column(struct import_column *c)
{
	static const char *const texts[] = {
		"id", "name", "type", "language", "timezone", "organisation"};

	if (str_starts(c->name, "attributes.") && c->name[11]) {
		c->kind = COLUMN_ATTRIBUTE;
		return true;
	}
	for (char *s = c->name; *s; s++)
		*s = (char)tolower((unsigned char)*s);
	c->kind = COLUMN_TEXT;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (str_eq(c->name, texts[i]))
			return true;
	if (str_eq(c->name, "roles"))
		c->kind = COLUMN_ROLES;
	else if (str_eq(c->name, "vip"))
		c->kind = COLUMN_BOOL;
	else if (str_eq(c->name, "created_at") || str_eq(c->name, "updated_at"))
		c->kind = COLUMN_IGNORED;
	else
		return address_kind(c->name) != NULL;
	return true;
}

bool
import_column_parse(struct import_column *c, const char *header, char *why, size_t cap)
{
	c->name = trimmed(header);
	if (kind_of_column(c))
		return true;
	snprintf(why, cap, "column \"%.*s\": there is no such field; allowed: " ALLOWED,
		(int)utf8_cut(c->name, strlen(c->name), 30), c->name);
	xfree(&c->name);
	return false;
}

static json_t *
roles_of(const char *cell)
{
	json_t *roles = json_array();

	for (size_t n; *cell; cell += n) {
		cell += strspn(cell, " ,;|/");
		n = strcspn(cell, " ,;|/");
		if (n)
			json_array_append_new(roles, json_stringn(cell, n));
	}
	return roles;
}

static json_t *
bool_of(const char *cell)
{
	static const char *const yes[] = {"1", "yes", "y", "true", "t", "on", "是"};
	static const char *const no[] = {"0", "no", "n", "false", "f", "off", "否"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (str_ieq(cell, yes[i]))
			return json_true();
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (str_ieq(cell, no[i]))
			return json_false();
	return NULL;
}

static void
put_attribute(json_t *body, const char *name, json_t *value)
{
	json_t *attributes = json_object_get(body, "attributes");

	if (!attributes) {
		attributes = json_object();
		json_object_set_new(body, "attributes", attributes);
	}
	json_object_set_new(attributes, name, value);
}

bool
import_column_put(const struct import_column *c, const char *cell, json_t *body,
	char *why, size_t cap)
{
	char *text = trimmed(csv_unguard(cell));
	json_t *value = NULL;
	bool ok = true;

	if (!*text || c->kind == COLUMN_IGNORED) { /* says nothing */
		xfree(&text);
		return true;
	}
	if (c->kind == COLUMN_ROLES)
		value = roles_of(text);
	else if (c->kind == COLUMN_BOOL)
		value = bool_of(text);
	else
		value = json_string(text); /* NULL if it is no UTF-8 */
	if (!value) {
		ok = false;
		snprintf(why, cap, "%.64s: %s", c->name,
			c->kind == COLUMN_BOOL ? "must be yes or no"
					       : "is no valid UTF-8");
	} else if (c->kind == COLUMN_ATTRIBUTE) {
		put_attribute(body, c->name + strlen("attributes."), value);
	} else {
		json_object_set_new(body, c->name, value);
	}
	xfree(&text);
	return ok;
}

/* ---- Rows ------------------------------------------------------------------------- */

/* Adds one address; the sentence names the member, which the identities' index would
 * not tell the author of a file. */
static bool
put_address(json_t *identities, const char *member, const char *kind, const char *value,
	const struct tenant *t, char why[200])
{
	struct address a;

	if (!value)
		snprintf(why, 200, "%s: must be a string", member);
	else if (str_eq(kind, "phone") && address_phone_is_nobody(value))
		snprintf(why, 200, "%s: such a number is nobody's", member);
	else if (!address_make(kind, value, t->region, &a))
		snprintf(why, 200, "%s: is no address of a known form", member);
	else if (str_eq(kind, "external") && !a.normal)
		snprintf(why, 200, "%s: must be namespace:id", member);
	else {
		json_array_append_new(identities,
			json_pack("{s:s, s:s}", "kind", kind, "value", value));
		return true;
	}
	return false;
}

/* The short members become identities. */
static bool
take_addresses(json_t *body, const struct tenant *t, char why[200])
{
	json_t *identities = json_object_get(body, "identities"), *value;
	const char *key;
	void *next;
	bool ok = true;

	identities = identities ? json_incref(identities) : json_array();
	json_object_foreach_safe(body, next, key, value)
	{
		const char *kind = address_kind(key);
		if (!kind || !ok)
			continue;
		char member[16];
		str_copy(member, sizeof(member), key);
		if (!json_is_null(value))
			ok = put_address(identities, member, kind,
				json_string_value(value), t, why);
		json_object_del(body, member);
	}
	json_object_set_new(body, "identities", identities);
	return ok;
}

/* "crm:77" instead of an id is taken out, for the database to find. */
static bool
take_organisation(json_t *body, json_t *row, char why[200])
{
	const char *text = json_string_value(json_object_get(body, "organisation"));
	struct address a;
	struct uuid id;

	if (!text || uuid_parse(text, &id))
		return true;
	if (!address_make("external", text, NULL, &a) || !a.normal) {
		str_copy(why, 200,
			"organisation: a contact's id, or its external id (namespace:id)");
		return false;
	}
	json_object_set_new(row, "organisation", json_string(a.value));
	json_object_del(body, "organisation");
	return true;
}

/* What an export says besides is known here or is not ours to set. Its id, if it is one
 * of ours, tells whom the row means; what a network vouched for there is recorded here. */
static void
take_exported(json_t *body, json_t *row)
{
	static const char *const told[] = {"id", "created_at", "updated_at",
		"merged_from", "absorbed", "preferences"};
	static const char *const seen[] = {"source", "first_seen", "last_seen"};
	json_t *identities = json_object_get(body, "identities");
	json_t *id = json_object_get(body, "id");
	struct uuid uuid;

	if (uuid_parse(json_string_value(id), &uuid))
		json_object_set(row, "known", id);
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		json_object_del(body, told[i]);
	for (size_t i = 0; i < json_array_size(identities); i++) {
		json_t *one = json_array_get(identities, i);
		const char *trust = json_string_value(json_object_get(one, "trust"));
		for (size_t k = 0; k < ARRAY_LEN(seen); k++)
			json_object_del(one, seen[k]);
		if (str_eq(trust, "network") || str_eq(trust, "verified"))
			json_object_set_new(one, "trust", json_string("recorded"));
	}
}

/* Without one a repeated import would make the contact anew. */
static bool
has_handle(const json_t *add)
{
	for (size_t i = 0; i < json_array_size(add); i++)
		if (json_is_true(json_object_get(json_array_get(add, i), "normal")))
			return true;
	return false;
}

static bool
make(json_t *body, json_t *row, const struct tenant *t, char why[200])
{
	struct contact_body b;
	char id[UUID_TEXT_LEN];
	struct uuid uuid = uuid_new(clock_wall_us());

	take_exported(body, row);
	if (!take_organisation(body, row, why) || !take_addresses(body, t, why))
		return false;
	contact_body_init(&b, body, t, TRUST_RECORDED, false);
	if (b.why[0]) {
		str_copy(why, 200, b.why);
	} else if (!has_handle(b.add) && !json_object_get(row, "known")) {
		str_copy(why, 200,
			"no external id, and no number or address that is valid "
			"(numbers without a country are read in the tenant's region)");
	} else {
		json_object_set_new(row, "id", json_string(uuid_format(id, &uuid)));
		json_object_set(row, "set", b.set);
		json_object_set(row, "add", b.add);
	}
	contact_body_fini(&b);
	return json_object_get(row, "id") != NULL;
}

bool
import_row_make(json_t *body, const struct tenant *t, char **json_r, char why[200])
{
	json_t *row = json_object();

	*json_r = NULL;
	if (make(body, row, t, why))
		*json_r = json_dumps(row, JSON_COMPACT);
	json_decref(row);
	return *json_r != NULL;
}
