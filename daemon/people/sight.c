/* sight.c - see sight.h; contact_seen of conf/sql/032-access.sql is the same filter. */
#include <people/sight.h>

#include <people/contact_body.h>

#include <mem.h>
#include <str.h>

#include <stdint.h>
#include <string.h>

#define ATTRIBUTE_BYTES 100

struct sight {
	unsigned refs;
	json_t *roles, *attributes; /* arrays of strings; NULL = all */
};

static json_t *
copy_list(const json_t *list)
{
	return json_is_array(list) ? json_deep_copy(list) : NULL;
}

const struct sight *
sight_new(const json_t *roles, const json_t *attributes)
{
	if (!json_is_array(roles) && !json_is_array(attributes))
		return NULL;
	struct sight *s = xcalloc(1, sizeof(*s));
	s->refs = 1;
	s->roles = copy_list(roles);
	s->attributes = copy_list(attributes);
	return s;
}

const struct sight *
sight_parse(const char *roles, const char *attributes)
{
	json_t *r = roles ? json_loads(roles, 0, NULL) : NULL;
	json_t *a = attributes ? json_loads(attributes, 0, NULL) : NULL;
	const struct sight *s = sight_new(r, a);
	json_decref(r);
	json_decref(a);
	return s;
}

const struct sight *
sight_of_nobody(void)
{
	static struct sight nobody = {.refs = 1};
	if (!nobody.roles) {
		nobody.roles = json_array();
		nobody.attributes = json_array();
	}
	return &nobody;
}

static struct sight *mutable(const struct sight *s)
{
	return (struct sight *)(uintptr_t)s;
}

const struct sight *
sight_ref(const struct sight *s)
{
	if (s)
		mutable(s)->refs++;
	return s;
}

void
sight_unref(const struct sight **sp)
{
	struct sight *s = mutable(*sp);
	*sp = NULL;
	if (!s || --s->refs)
		return;
	json_decref(s->roles);
	json_decref(s->attributes);
	mem_free(s);
}

static bool
same_list(const json_t *a, const json_t *b)
{
	return a == b || (a && b && json_equal(a, b));
}

bool
sight_eq(const struct sight *a, const struct sight *b)
{
	if (!a || !b)
		return a == b;
	return same_list(a->roles, b->roles) && same_list(a->attributes, b->attributes);
}

/* ---- From outside ------------------------------------------------------------------ */

const char *
sight_check_roles(const json_t *v)
{
	static const char why[] =
		"contact_roles: null for all contacts, or an array of customer, partner, "
		"supplier, distributor, agency, franchisee, competitor, lead";
	if (json_is_null(v))
		return NULL;
	if (!json_is_array(v) || json_array_size(v) > 8)
		return why;
	for (size_t i = 0; i < json_array_size(v); i++)
		if (!contact_role_is_known(json_string_value(json_array_get(v, i))))
			return why;
	return NULL;
}

static bool
is_attribute(const json_t *v)
{
	const char *s = json_string_value(v);
	return !str_empty(s) && strlen(s) == json_string_length(v) &&
	       strlen(s) <= ATTRIBUTE_BYTES;
}

const char *
sight_check_attributes(const json_t *v)
{
	static const char why[] =
		"attributes: null for all of them, or an array of at most 100 names of 1 "
		"to 100 bytes";
	if (json_is_null(v))
		return NULL;
	if (!json_is_array(v) || json_array_size(v) > SIGHT_ATTRIBUTES_MAX)
		return why;
	for (size_t i = 0; i < json_array_size(v); i++)
		if (!is_attribute(json_array_get(v, i)))
			return why;
	return NULL;
}

/* ---- Looking ----------------------------------------------------------------------- */

static void
param_list(struct pg_unit *u, const json_t *list)
{
	if (!list) {
		pg_param_null(u);
		return;
	}
	pg_array_begin(u);
	for (size_t i = 0; i < json_array_size(list); i++)
		pg_array_add(u, json_string_value(json_array_get(list, i)));
	pg_array_end(u);
}

void
sight_param_roles(struct pg_unit *u, const struct sight *s)
{
	param_list(u, s ? s->roles : NULL);
}

void
sight_param(struct pg_unit *u, const struct sight *s)
{
	sight_param_roles(u, s);
	param_list(u, s ? s->attributes : NULL);
}

static bool
list_has(const json_t *list, const char *text)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (str_eq(json_string_value(json_array_get(list, i)), text))
			return true;
	return false;
}

const json_t *
sight_roles(const struct sight *s)
{
	return s ? s->roles : NULL;
}

const json_t *
sight_attributes(const struct sight *s)
{
	return s ? s->attributes : NULL;
}

bool
sight_shows_role(const struct sight *s, const char *role)
{
	return !s || !s->roles || list_has(s->roles, role);
}

bool
sight_shows_attribute(const struct sight *s, const char *name)
{
	return !s || !s->attributes || list_has(s->attributes, name);
}

bool
sight_has(const struct sight *s, const json_t *roles)
{
	if (!s || !s->roles)
		return true;
	for (size_t i = 0; i < json_array_size(roles); i++)
		if (list_has(s->roles, json_string_value(json_array_get(roles, i))))
			return true;
	return false;
}

static void
filter_roles(const struct sight *s, json_t *contact)
{
	json_t *roles = json_object_get(contact, "roles"), *kept = json_array();
	for (size_t i = 0; i < json_array_size(roles); i++)
		if (list_has(s->roles, json_string_value(json_array_get(roles, i))))
			json_array_append(kept, json_array_get(roles, i));
	json_object_set_new(contact, "roles", kept);
}

static void
filter_attributes(const struct sight *s, json_t *contact)
{
	json_t *kept = json_object(), *value;
	const char *name;
	json_object_foreach(json_object_get(contact, "attributes"), name, value)
	{
		if (list_has(s->attributes, name))
			json_object_set(kept, name, value);
	}
	json_object_set_new(contact, "attributes", kept);
}

bool
sight_filter(const struct sight *s, json_t *contact)
{
	json_t *organisation = json_object_get(contact, "organisation");
	if (!s)
		return true;
	if (!sight_has(s, json_object_get(contact, "roles")))
		return false;
	if (s->roles)
		filter_roles(s, contact);
	if (s->attributes && json_object_get(contact, "attributes"))
		filter_attributes(s, contact);
	if (json_is_object(organisation) && !sight_filter(s, organisation))
		json_object_set_new(contact, "organisation", json_null());
	return true;
}
