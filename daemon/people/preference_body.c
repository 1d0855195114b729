/* preference_body.c - what a client may say of a contact's wishes, and within which
 * limits. */
#include <people/preference_body.h>

#include <people/address.h>
#include <people/preference.h>

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define PREFERRED_MAX  16
#define ENTRIES_MAX    200
#define HOURS_MAX      50
#define DAYS_CHARS     40
#define SOURCE_CHARS   200
#define EVIDENCE_BYTES 4096
#define OPT_IN_S       (7 * 24 * 3600)

static const char purposes[] = "transactional, service, survey or marketing";

bool
preference_purpose_is_known(const char *s)
{
	return str_eq(s, "transactional") || str_eq(s, "service") ||
	       str_eq(s, "survey") || str_eq(s, "marketing");
}

static bool
kind_is_word(const char *s)
{
	static const char rest[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

	return s && *s >= 'a' && *s <= 'z' && strspn(s, rest) == strlen(s) &&
	       strlen(s) <= ADDRESS_KIND_MAX;
}

bool
preference_identity_fits(
	struct check *c, const char *where, const char *kind, const char *address_kind)
{
	const char *wanted = str_eq(kind, "email") ? "email" : NULL;

	if (str_eq(kind, "sms") || str_eq(kind, "phone") || str_eq(kind, "fax"))
		wanted = "phone";
	if (!wanted || str_eq(wanted, address_kind))
		return true;
	check_fail(c, "%sidentity: %.32s goes to an address of kind %s", where, kind,
		wanted);
	return false;
}

/* Puts address_kind and address_value into `into`; "" without an identity. */
static void
take_identity(struct check *c, const char *where, const json_t *v, const char *kind,
	const struct tenant *t, json_t *into)
{
	struct address addr = {.kind = ""};
	struct check one;

	if (v && !json_is_null(v)) {
		check_init(&one, v);
		const char *akind = check_text(&one, "kind", ADDRESS_KIND_MAX);
		const char *value = check_text(&one, "value", 1000);
		if (!check_done(&one))
			check_fail(c, "%sidentity: %s", where, one.why);
		else if (!akind || !value ||
			 !address_make(akind, value, t->region, &addr))
			check_fail(
				c, "%sidentity: is no address of a known form", where);
		else
			preference_identity_fits(c, where, kind, addr.kind);
	}
	json_object_set_new(into, "address_kind", json_string(addr.kind));
	json_object_set_new(into, "address_value", json_string(addr.value));
}

/* kind, purpose and maybe identity of `one`; where: "denied[2]." for messages. */
static json_t *
take_key(struct check *c, const char *where, struct check *one, const struct tenant *t)
{
	const char *kind = check_text(one, "kind", 200);
	const char *purpose = check_text(one, "purpose", 200);
	const json_t *identity = check_take(one, "identity");
	json_t *key = json_object();

	if (!kind_is_word(kind))
		check_fail(
			c, "%skind: a word such as sms, email, phone or letter", where);
	else if (!preference_purpose_is_known(purpose))
		check_fail(c, "%spurpose: %s", where, purposes);
	else
		take_identity(c, where, identity, kind, t, key);
	if (c->why[0]) {
		json_decref(key);
		return NULL;
	}
	json_object_set_new(key, "kind", json_string(kind));
	json_object_set_new(key, "purpose", json_string(purpose));
	return key;
}

static json_t *
take_entries(struct check *c, const char *name, const struct tenant *t)
{
	const json_t *v = check_take(c, name);
	json_t *out = json_array();

	if (v && (!json_is_array(v) || json_array_size(v) > ENTRIES_MAX))
		check_fail(c, "%s: an array of at most %d", name, ENTRIES_MAX);
	for (size_t i = 0; i < json_array_size(v) && !c->why[0]; i++) {
		char where[32];
		struct check one;
		snprintf(where, sizeof(where), "%s[%zu].", name, i);
		check_init(&one, json_array_get(v, i));
		json_t *key = one.why[0] ? NULL : take_key(c, where, &one, t);
		if (!check_done(&one))
			check_fail(c, "%s[%zu]: %s", name, i, one.why);
		if (key)
			json_array_append_new(out, key);
	}
	return out;
}

static void
refuse_contradictions(struct check *c, const json_t *denied, const json_t *allowed)
{
	for (size_t i = 0; i < json_array_size(denied); i++)
		for (size_t k = 0; k < json_array_size(allowed); k++)
			if (json_equal(json_array_get(denied, i),
				    json_array_get(allowed, k)))
				check_fail(c,
					"allowed[%zu]: the same is denied in this request",
					k);
}

static json_t *
take_preferred(struct check *c)
{
	const json_t *v = check_take(c, "preferred");
	json_t *out = json_array();

	if (v && (!json_is_array(v) || json_array_size(v) > PREFERRED_MAX))
		check_fail(c, "preferred: an array of at most %d kinds", PREFERRED_MAX);
	for (size_t i = 0; i < json_array_size(v) && !c->why[0]; i++) {
		json_t *kind = json_array_get(v, i);
		if (!kind_is_word(json_string_value(kind)))
			check_fail(c,
				"preferred[%zu]: a word such as sms, email, phone or "
				"letter",
				i);
		for (size_t k = 0; k < i; k++)
			if (json_equal(kind, json_array_get(v, k)))
				check_fail(c, "preferred[%zu]: comes twice", i);
		json_array_append(out, kind);
	}
	return out;
}

/* ---- Quiet hours -------------------------------------------------------------------- */

static bool
is_day(const char *s)
{
	static const char *const days[] = {
		"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

	for (size_t i = 0; i < ARRAY_LEN(days); i++)
		if (!strncmp(s, days[i], 3))
			return true;
	return false;
}

/* "mon-fri", "sat,sun", "fri-mon". */
static bool
days_are_sound(const char *s)
{
	if (!s)
		return false;
	for (;; s++) {
		if (!is_day(s))
			return false;
		s += 3;
		if (*s == '-') {
			if (!is_day(s + 1))
				return false;
			s += 4;
		}
		if (*s != ',')
			return !*s;
	}
}

/* "08:00"; 24:00 is the end of a day. */
static bool
time_is_sound(const char *s)
{
	if (!s || strlen(s) != 5 || s[2] != ':' || strspn(s, "0123456789:") != 5)
		return false;
	int hour = (s[0] - '0') * 10 + s[1] - '0',
	    minute = (s[3] - '0') * 10 + s[4] - '0';
	return minute < 60 && (hour < 24 || (hour == 24 && minute == 0)) &&
	       s[3] != ':' && s[4] != ':' && s[0] != ':' && s[1] != ':';
}

static json_t *
take_hours_entry(struct check *c, size_t i, const json_t *v)
{
	struct check one;

	check_init(&one, v);
	const char *days = check_text(&one, "days", DAYS_CHARS);
	const char *from = check_text(&one, "from", 5), *to = check_text(&one, "to", 5);
	if (!check_done(&one))
		check_fail(c, "quiet_hours[%zu]: %s", i, one.why);
	else if (!days_are_sound(days))
		check_fail(c, "quiet_hours[%zu].days: as in mon-fri or sat,sun", i);
	else if (!time_is_sound(from) || !time_is_sound(to) || str_eq(from, "24:00"))
		check_fail(c, "quiet_hours[%zu]: from and to as in 21:00", i);
	else if (str_eq(from, to))
		check_fail(c,
			"quiet_hours[%zu]: from and to are the same; a whole day is "
			"00:00 to 24:00",
			i);
	return c->why[0] ? NULL
			 : json_pack("{s:s, s:s, s:s}", "days", days, "from", from,
				   "to", to);
}

static json_t *
take_hours(struct check *c)
{
	const json_t *v = check_take(c, "quiet_hours");
	json_t *out = json_array();

	if (v && (!json_is_array(v) || json_array_size(v) > HOURS_MAX))
		check_fail(c, "quiet_hours: an array of at most %d", HOURS_MAX);
	for (size_t i = 0; i < json_array_size(v) && !c->why[0]; i++) {
		json_t *one = take_hours_entry(c, i, json_array_get(v, i));
		if (one)
			json_array_append_new(out, one);
	}
	return out;
}

/* ---- Bodies ------------------------------------------------------------------------- */

static json_t *
take_source(struct check *c, const char *source)
{
	const char *given = check_text(c, "source", SOURCE_CHARS);

	return json_string(str_empty(given) ? source : given);
}

/* Dropped, with c->why kept, if anything was wrong. */
static json_t *
done(struct check *c, json_t *out)
{
	if (check_done(c))
		return out;
	json_decref(out);
	return NULL;
}

json_t *
preference_body_make(struct check *c, const struct tenant *t, const char *source)
{
	json_t *out = json_object();
	json_t *denied = take_entries(c, "denied", t);
	json_t *allowed = take_entries(c, "allowed", t);
	bool silent = check_bool(c, "do_not_contact", false);

	refuse_contradictions(c, denied, allowed);
	json_object_set_new(out, "denied", denied);
	json_object_set_new(out, "allowed", allowed);
	json_object_set_new(out, "preferred", take_preferred(c));
	json_object_set_new(out, "quiet_hours", take_hours(c));
	json_object_set_new(out, "do_not_contact",
		json_object_get(c->object, "do_not_contact") ? json_boolean(silent)
							     : json_null());
	json_object_set_new(out, "source", take_source(c, source));
	/* what GET answers may come back as it is */
	check_take(c, "contact");
	check_take(c, "merged_from");
	check_take(c, "updated_at");
	return done(c, out);
}

/* Where the record comes from: its own words. */
static json_t *
take_evidence(struct check *c)
{
	static const struct {
		const char *name;
		size_t max;
	} texts[] = {{"message_id", 500}, {"form_version", 200}, {"who", 200}};
	json_t *out = json_object();
	int64_t at;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const char *text = check_text(c, texts[i].name, texts[i].max);
		if (text)
			json_object_set_new(out, texts[i].name, json_string(text));
	}
	if (check_time(c, "at", &at))
		json_object_set(out, "at", json_object_get(c->object, "at"));
	const json_t *more = check_object(c, "evidence", EVIDENCE_BYTES);
	if (more)
		json_object_update_missing(out, (json_t *)(uintptr_t)more);
	return out;
}

json_t *
consent_evidence_make(struct check *c, const char *source)
{
	json_t *out = json_object();

	json_object_set_new(out, "source", take_source(c, source));
	json_object_set_new(out, "evidence", take_evidence(c));
	return done(c, out);
}

static void
take_decision(struct check *c, json_t *out, bool silent)
{
	const char *decision = check_text(c, "decision", 20);
	bool twice = check_bool(c, "double_opt_in", false);

	if (!str_eq(decision, "allowed") && !str_eq(decision, "denied"))
		check_fail(c, "decision: allowed or denied");
	else if (twice && (silent || str_eq(decision, "denied")))
		check_fail(c, "double_opt_in: is for what is allowed, per kind and "
			      "purpose");
	else
		json_object_set_new(out, "decision", json_string(decision));
	if (twice)
		json_object_set_new(out, "pending_s", json_integer(OPT_IN_S));
	if (silent)
		json_object_set_new(out, "do_not_contact",
			json_boolean(str_eq(decision, "denied")));
}

json_t *
consent_body_make(struct check *c, const struct tenant *t, const char *source)
{
	bool silent = check_bool(c, "do_not_contact", false);
	json_t *out = silent ? json_object() : take_key(c, "", c, t);

	if (!out)
		return NULL;
	take_decision(c, out, silent);
	json_object_set_new(out, "source", take_source(c, source));
	json_object_set_new(out, "evidence", take_evidence(c));
	return done(c, out);
}
