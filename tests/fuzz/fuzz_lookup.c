/* fuzz_lookup.c - any bytes as the answer of a company's own system: what gets through is
 * bounded valid text in members we know, and a name is one line. */
#include <mem.h>
#include <people/contact_body.h>
#include <people/lookup_priv.h>
#include <str.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool cond)
{
	if (!cond)
		abort();
}

static void
check_name(const char *name)
{
	require(!name || *name);
	for (; name && *name; name++)
		require((unsigned char)*name >= ' ' && *name != 0x7f);
}

static void
check_person(const json_t *person, const struct tenant *t)
{
	const json_t *set = json_object_get(person, "set");
	char *text = json_dumps(person, JSON_COMPACT);
	struct contact_body b;

	require(json_is_object(set) && text && strlen(text) < 64 * 1024);
	require(utf8_valid(text, strlen(text)));
	check_name(json_string_value(json_object_get(set, "name")));
	contact_body_init(&b, set, t, TRUST_RECORDED, false);
	require(!b.why[0]);
	contact_body_fini(&b);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct tenant tenant = {
		.id = 1, .name = "default", .region = "TW"};
	json_t *person, *ignored = json_array();
	char why[200] = "";
	char *body = xmalloc(size + 1);

	memcpy(body, data, size);
	body[size] = '\0';
	enum lookup_outcome o =
		lookup_answer_parse(body, size, &tenant, &person, ignored, why);
	require((o == LOOKUP_FOUND) == (person != NULL));
	require((o == LOOKUP_FAILED) == (why[0] != '\0'));
	require(utf8_valid(why, strlen(why)) || o == LOOKUP_FAILED);
	require(json_array_size(ignored) <= 20);
	if (person)
		check_person(person, &tenant);
	json_decref(person);
	json_decref(ignored);
	mem_free(body);
	return 0;
}
