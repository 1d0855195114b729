/* lookup_answer.c - what the company's system says of a number, checked by table.
 *
 * Each member is taken by itself with the checks of POST /v1/contacts (contact_body.c),
 * so that one that is no good costs no other: it is left out and named. Unknown members
 * are nobody's business. A name is one line of text. */
#include <people/lookup_priv.h>

#include <people/contact_body.h>

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define NAME_BYTES 1000

static void
ignore(json_t *ignored, const char *why)
{
	json_t *text = json_string(why);

	if (text && json_array_size(ignored) < 20)
		json_array_append_new(ignored, text);
	else
		json_decref(text);
}

/* Control characters become blanks, and the ends are cut. NULL if nothing is left. */
static json_t *
clean_name(const json_t *name)
{
	struct buf b = BUF_INIT;
	const char *s = json_string_value(name);
	json_t *clean = NULL;

	utf8_clean(&b, s, utf8_cut(s, strlen(s), NAME_BYTES));
	for (size_t i = 0; i < b.len; i++)
		if ((unsigned char)b.data[i] < ' ' || b.data[i] == 0x7f)
			b.data[i] = ' ';
	while (b.len && b.data[b.len - 1] == ' ')
		b.data[--b.len] = '\0';
	s = buf_str(&b) + strspn(buf_str(&b), " ");
	if (*s)
		clean = json_string(s);
	buf_fini(&b);
	return clean;
}

/* One member with its own check; what is sound goes to set. */
static void
take_member(json_t *set, const char *name, json_t *value, const struct tenant *t,
	json_t *ignored)
{
	json_t *one = json_object();
	struct contact_body b;

	json_object_set(one, name, value);
	contact_body_init(&b, one, t, TRUST_RECORDED, false);
	if (b.why[0])
		ignore(ignored, b.why);
	else
		json_object_update(set, b.set);
	contact_body_fini(&b);
	json_decref(one);
}

static void
take_external(json_t *person, const char *name, const json_t *value, json_t *ignored)
{
	struct address a;
	char why[100];

	if (!value || json_is_null(value))
		return;
	if (json_is_string(value) &&
		address_make("external", json_string_value(value), NULL, &a) &&
		a.normal) {
		json_object_set_new(person, name, json_string(a.value));
		return;
	}
	snprintf(why, sizeof(why), "%s: must be namespace:id", name);
	ignore(ignored, why);
}

static void
take_set(json_t *set, const json_t *answer, const struct tenant *t, json_t *ignored)
{
	static const char *const names[] = {
		"language", "timezone", "vip", "roles", "attributes"};
	json_t *name = json_object_get(answer, "name"), *clean = NULL;

	if (json_is_string(name))
		clean = clean_name(name);
	else if (name && !json_is_null(name))
		ignore(ignored, "name: must be a string");
	if (clean)
		take_member(set, "name", clean, t, ignored);
	json_decref(clean);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		json_t *value = json_object_get(answer, names[i]);
		if (value && !json_is_null(value))
			take_member(set, names[i], value, t, ignored);
	}
}

enum lookup_outcome
lookup_answer_parse(const char *body, size_t len, const struct tenant *t,
	json_t **person_r, json_t *ignored, char why[200])
{
	json_error_t e;
	json_t *answer = json_loadb(body, len, 0, &e), *person, *set;

	*person_r = NULL;
	if (!json_is_object(answer)) {
		if (answer)
			snprintf(why, 200, "the answer is no JSON object");
		else
			snprintf(why, 200,
				"the answer is no valid JSON: line %d: %.120s", e.line,
				e.text);
		json_decref(answer);
		return LOOKUP_FAILED;
	}
	person = json_object();
	set = json_object();
	take_set(set, answer, t, ignored);
	take_external(person, "external", json_object_get(answer, "external"), ignored);
	take_external(person, "organisation", json_object_get(answer, "organisation"),
		ignored);
	json_decref(answer);
	bool known = json_object_size(set) || json_object_get(person, "external");
	json_object_set_new(person, "set", set);
	if (!known) {
		json_decref(person);
		return LOOKUP_UNKNOWN;
	}
	*person_r = person;
	return LOOKUP_FOUND;
}
