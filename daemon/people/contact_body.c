/* contact_body.c - what a client may say of a contact, and within which limits. */
#include <people/contact_body.h>

#include <mem.h>
#include <str.h>

#include <string.h>

#define NAME_CHARS	 200
#define IDENTITIES_MAX	 50
#define ATTRIBUTES_BYTES (16 * 1024)

static void
set_text(struct contact_body *b, struct check *c, const char *name, const char *text)
{
	/* present but null clears; absent leaves as it is */
	if (json_object_get(c->object, name))
		json_object_set_new(
			b->set, name, text ? json_string(text) : json_null());
}

static void
take_name(struct contact_body *b, struct check *c)
{
	const char *name = check_text(c, "name", NAME_CHARS);

	if (name && !*name)
		check_fail(c, "name: 1 to %d characters, or null", NAME_CHARS);
	set_text(b, c, "name", name);
}

bool
contact_role_is_known(const char *role)
{
	static const char *const roles[] = {"customer", "partner", "supplier",
		"distributor", "agency", "franchisee", "competitor", "lead"};

	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (str_eq(role, roles[i]))
			return true;
	return false;
}

static bool
array_has(const json_t *array, const char *text)
{
	for (size_t i = 0; i < json_array_size(array); i++)
		if (str_eq(json_string_value(json_array_get(array, i)), text))
			return true;
	return false;
}

static void
take_roles(struct contact_body *b, struct check *c)
{
	const json_t *v = check_take(c, "roles");
	json_t *roles;

	if (!v)
		return;
	if (!json_is_array(v)) {
		check_fail(c, "roles: must be an array");
		return;
	}
	roles = json_array();
	for (size_t i = 0; i < json_array_size(v); i++) {
		const char *role = json_string_value(json_array_get(v, i));

		if (!contact_role_is_known(role))
			check_fail(c,
				"roles: customer, partner, supplier, distributor, "
				"agency, franchisee, competitor or lead");
		else if (!array_has(roles, role))
			json_array_append_new(roles, json_string(role));
	}
	json_object_set_new(b->set, "roles", roles);
}

static void
take_type(struct contact_body *b, struct check *c)
{
	const char *type = check_text(c, "type", 20);

	if (type && !str_eq(type, "person") && !str_eq(type, "organisation"))
		check_fail(c, "type: person or organisation");
	if (type)
		set_text(b, c, "type", type);
}

/* The shape of a tag (RFC 5646 §2.1), not whether it is registered. */
static bool
language_is_sound(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

	if (n < 2 || n > 8)
		return false;
	for (s += n; *s == '-'; s += n) {
		s++;
		n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			      "0123456789");
		if (n < 1 || n > 8)
			return false;
	}
	return !*s;
}

/* A zone's name and no rule (TZ=FOO+3) or abbreviation, which PostgreSQL would take too;
 * whether there is such a zone it says itself. */
static bool
timezone_is_sound(const char *s)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-/";

	if (str_starts(s, "Etc/GMT"))
		return strspn(s + 7, "+-0123456789") == strlen(s + 7);
	return !strcmp(s, "UTC") || (strchr(s, '/') && strspn(s, letters) == strlen(s));
}

static void
take_place(struct contact_body *b, struct check *c)
{
	const char *language = check_text(c, "language", 35);
	const char *timezone = check_text(c, "timezone", 60);

	if (language && !language_is_sound(language))
		check_fail(c, "language: a tag such as zh-CN");
	if (timezone && !timezone_is_sound(timezone))
		check_fail(c, "timezone: a zone such as Asia/Taipei");
	set_text(b, c, "language", language);
	set_text(b, c, "timezone", timezone);
}

static void
take_rest(struct contact_body *b, struct check *c)
{
	struct uuid organisation;
	char text[UUID_TEXT_LEN];
	bool vip = check_bool(c, "vip", false);
	bool has = check_uuid(c, "organisation", &organisation);
	const json_t *attributes = check_object(c, "attributes", ATTRIBUTES_BYTES);

	if (json_object_get(c->object, "vip"))
		json_object_set_new(b->set, "vip", json_boolean(vip));
	if (json_object_get(c->object, "attributes"))
		json_object_set_new(b->set, "attributes",
			attributes ? json_deep_copy(attributes) : json_object());
	set_text(b, c, "organisation", has ? uuid_format(text, &organisation) : NULL);
	b->shared = check_bool(c, "shared", false);
}

/* "field" of "identities[i]" is wrong. */
static void
identity_fail(struct check *c, size_t i, const char *what)
{
	check_fail(c, "identities[%zu].%s", i, what);
}

static void
check_address(struct check *c, size_t i, const struct address *addr, const char *raw)
{
	if (str_eq(addr->kind, "phone") && address_phone_is_nobody(raw))
		identity_fail(c, i, "value: such a number is nobody's");
	else if (str_eq(addr->kind, "external") && !addr->normal)
		identity_fail(c, i, "value: must be namespace:id");
}

static enum trust
check_trust(struct check *c, size_t i, const char *text, enum trust max)
{
	int trust = text ? trust_parse(text) : (int)TRUST_RECORDED;

	if (trust < 0)
		identity_fail(c, i, "trust: claimed, recorded, network or verified");
	else if (text && trust > (int)max)
		check_fail(c, "identities[%zu].trust: at most %s", i, trust_text(max));
	return trust < 0 || trust > (int)max ? max : (enum trust)trust;
}

static void
take_identity(struct contact_body *b, struct check *c, size_t i, const struct tenant *t,
	enum trust max_trust, bool is_patch)
{
	struct check one;
	struct address addr;

	check_init(&one, json_array_get(json_object_get(c->object, "identities"), i));
	const char *kind = check_text(&one, "kind", ADDRESS_KIND_MAX);
	const char *value = check_text(&one, "value", 1000);
	const char *trust = check_text(&one, "trust", 20);
	bool remove = is_patch && check_bool(&one, "remove", false);

	if (!check_done(&one)) {
		check_fail(c, "identities[%zu]: %s", i, one.why);
		return;
	}
	if (!kind || !value || !address_make(kind, value, t->region, &addr)) {
		identity_fail(c, i, "value: is no address of a known form");
		return;
	}
	check_address(c, i, &addr, value);
	json_t *o = json_pack("{s:s, s:s, s:b}", "kind", addr.kind, "value", addr.value,
		"normal", addr.normal);
	if (!remove)
		json_object_set_new(
			o, "trust", json_integer(check_trust(c, i, trust, max_trust)));
	json_array_append_new(remove ? b->remove : b->add, o);
}

static void
take_identities(struct contact_body *b, struct check *c, const struct tenant *t,
	enum trust max_trust, bool is_patch)
{
	const json_t *v = check_take(c, "identities");

	if (!v)
		return;
	if (!json_is_array(v) || json_array_size(v) > IDENTITIES_MAX) {
		check_fail(c, "identities: an array of at most %d", IDENTITIES_MAX);
		return;
	}
	for (size_t i = 0; i < json_array_size(v) && !c->why[0]; i++)
		take_identity(b, c, i, t, max_trust, is_patch);
}

void
contact_body_init(struct contact_body *b, const json_t *body, const struct tenant *t,
	enum trust max_trust, bool is_patch)
{
	struct check c;

	memset(b, 0, sizeof(*b));
	b->set = json_object();
	b->add = json_array();
	b->remove = json_array();
	check_init(&c, body);
	take_name(b, &c);
	take_type(b, &c);
	take_roles(b, &c);
	take_place(b, &c);
	take_rest(b, &c);
	take_identities(b, &c, t, max_trust, is_patch);
	if (!check_done(&c))
		str_copy(b->why, sizeof(b->why), c.why);
}

void
contact_body_fini(struct contact_body *b)
{
	json_decref(b->set);
	json_decref(b->add);
	json_decref(b->remove);
}
