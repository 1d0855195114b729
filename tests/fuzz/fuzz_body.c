/* fuzz_body.c - a request's JSON body on its way to the database: what Jansson takes and
 * the checks of contacts let through is valid text for PostgreSQL, of bounded size. */
#include <mem.h>
#include <people/contact_body.h>
#include <people/preference_body.h>
#include <str.h>

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX (1024 * 1024)

/* No text with NUL, none that is not UTF-8. */
static void
check_texts(const json_t *value)
{
	const char *key;
	json_t *member;
	size_t i;
	if (json_is_string(value)) {
		const char *s = json_string_value(value);
		assert(strlen(s) == json_string_length(value));
		assert(utf8_valid(s, strlen(s)));
	} else if (json_is_object(value)) {
		json_object_foreach((json_t *)(uintptr_t)value, key, member)
			check_texts(member);
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, member) check_texts(member);
	}
}

static void
try_body(const json_t *body, bool is_patch)
{
	static const struct tenant tenant = {
		.id = 1, .name = "default", .region = "TW", .timezone = "UTC"};
	struct contact_body b;
	contact_body_init(&b, body, &tenant, TRUST_RECORDED, is_patch);
	if (!b.why[0]) {
		check_texts(b.set);
		check_texts(b.add);
		char *text = json_dumps(b.set, JSON_COMPACT);
		assert(text && strlen(text) < 64 * 1024);
		json_t *again = json_loads(text, 0, NULL);
		assert(json_equal(again, b.set));
		json_decref(again);
		free(text);
	}
	contact_body_fini(&b);
}

/* What is made of a body, or nothing with a sentence. */
static void
try_wishes(const json_t *body,
	json_t *make(struct check *, const struct tenant *, const char *))
{
	static const struct tenant tenant = {
		.id = 1, .name = "default", .region = "TW", .timezone = "UTC"};
	struct check c;
	check_init(&c, body);
	json_t *made = make(&c, &tenant, "key:fuzz");
	assert(!made == !!c.why[0]);
	check_texts(made);
	char *text = made ? json_dumps(made, JSON_COMPACT) : NULL;
	assert(!made || (text && strlen(text) < 1024 * 1024));
	free(text);
	json_decref(made);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *body = size > BODY_MAX ? NULL
				       : json_loadb((const char *)data, size,
						 JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(body)) {
		try_body(body, false);
		try_body(body, true);
		try_wishes(body, preference_body_make);
		try_wishes(body, consent_body_make);
	}
	json_decref(body);
	return 0;
}
