/* What of the contacts somebody may see: the filter in C, and the same in the database,
 * with what limited callers may do to contacts. */
#include <people/contact.h>
#include <people/sight.h>

#include <lib/store_env.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>
#include <timeline/interaction.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store_env env;
static struct store_got got;
static struct actor staff = {.name = "key:crm", .role = "admin"};
static struct actor buyer = {.name = "key:buyer", .role = "agent"};

static const struct sight *
sight(const char *roles, const char *attributes)
{
	return sight_parse(roles, attributes);
}

/* ---- The filter ---- */

/* What is left of a contact; "" = nothing. */
static const char *
left(const char *roles, const char *attributes, const char *contact)
{
	static char text[1000];
	const struct sight *s = sight(roles, attributes);
	json_t *o = json_loads(contact, 0, NULL);
	text[0] = '\0';
	if (sight_filter(s, o)) {
		char *dump = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
		str_copy(text, sizeof(text), dump);
		free(dump);
	}
	json_decref(o);
	sight_unref(&s);
	return text;
}

static void
test_filter(void)
{
	static const char both[] =
		"{\"roles\":[\"customer\",\"supplier\"],\"attributes\":"
		"{\"a\":1,\"b\":[2]},\"organisation\":{\"roles\":[]}}";
	static const struct {
		const char *roles, *attributes, *contact, *left;
	} cases[] = {
		{NULL, NULL, both, both},
		{"[\"lead\"]", NULL, both, ""},
		{"[]", NULL, both, ""},
		{"[]", NULL, "{\"roles\":[]}", ""},
		{"[\"lead\"]", NULL, "{}", ""},
		{"[\"supplier\",\"lead\"]", NULL, both,
			"{\"roles\":[\"supplier\"],\"attributes\":{\"a\":1,\"b\":[2]},"
			"\"organisation\":null}"},
		{"[\"supplier\"]", "[\"b\",\"c\"]", both,
			"{\"roles\":[\"supplier\"],\"attributes\":{\"b\":[2]},"
			"\"organisation\":null}"},
		{NULL, "[]", both,
			"{\"roles\":[\"customer\",\"supplier\"],\"attributes\":{},"
			"\"organisation\":{\"roles\":[]}}"},
		{"[\"supplier\"]", NULL,
			"{\"roles\":[\"supplier\"],\"organisation\":"
			"{\"roles\":[\"supplier\",\"lead\"]}}",
			"{\"roles\":[\"supplier\"],\"organisation\":{\"roles\":"
			"[\"supplier\"]}}"},
		{"[\"supplier\"]", NULL,
			"{\"roles\":[\"supplier\"],\"organisation\":\"id\"}",
			"{\"roles\":[\"supplier\"],\"organisation\":\"id\"}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_STR(left(cases[i].roles, cases[i].attributes, cases[i].contact),
			cases[i].left);
	json_t *o = json_pack("{s:[s]}", "roles", "supplier");
	CHECK(!sight_filter(sight_of_nobody(), o));
	json_decref(o);
}

static void
test_what_members_may_say(void)
{
	static const struct {
		const char *json;
		bool roles, attributes;
	} cases[] = {{"null", true, true}, {"[]", true, true},
		{"[\"supplier\"]", true, true}, {"[\"king\"]", false, true},
		{"[7]", false, false}, {"\"supplier\"", false, false},
		{"{}", false, false}, {"[\"\"]", false, false},
		{"[\"a\\u0000b\"]", false, false}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *v = json_loads(
			cases[i].json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		CHECK_INT(!sight_check_roles(v), cases[i].roles);
		CHECK_INT(!sight_check_attributes(v), cases[i].attributes);
		json_decref(v);
	}
	const struct sight *a = sight("[\"lead\"]", NULL), *b = sight(NULL, "[\"x\"]"),
			   *c = sight("[\"lead\"]", "null");
	CHECK(sight(NULL, NULL) == NULL && sight("null", "null") == NULL);
	CHECK(sight_eq(a, c) && !sight_eq(a, b) && !sight_eq(a, NULL));
	CHECK(sight_eq(NULL, NULL));
	sight_unref(&a);
	sight_unref(&b);
	sight_unref(&c);
}

/* ---- Contacts ---- */

static enum store_status
create(const struct actor *actor, const char *json)
{
	json_t *body = json_loads(json, 0, NULL);
	contact_create(
		&env.store, actor, body, TRUST_RECORDED, NULL, store_got_answer, &got);
	json_decref(body);
	return store_env_answer(&env, &got);
}

static enum store_status
patch(const struct actor *actor, const struct uuid *id, const char *json)
{
	json_t *body = json_loads(json, 0, NULL);
	contact_patch(
		&env.store, actor, id, body, TRUST_RECORDED, store_got_answer, &got);
	json_decref(body);
	return store_env_answer(&env, &got);
}

static enum store_status
get(const struct actor *actor, const struct uuid *id)
{
	contact_get(&env.store, actor, id, store_got_answer, &got);
	return store_env_answer(&env, &got);
}

/* A member of the last answer as text. */
static const char *
member(const char *name)
{
	static char text[4096];
	json_t *o = json_loads(got.json, 0, NULL);
	char *dump = json_dumps(json_object_get(o, name),
		JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
	str_copy(text, sizeof(text), dump ? dump : "");
	free(dump);
	json_decref(o);
	return text;
}

static struct uuid
made(const char *json)
{
	struct uuid id = {{0}};
	CHECK_INT(create(&staff, json), STORE_CREATED);
	json_t *o = json_loads(got.json, 0, NULL);
	CHECK(uuid_parse(json_string_value(json_object_get(o, "id")), &id));
	json_decref(o);
	return id;
}

static size_t
items(void)
{
	json_t *o = json_loads(got.json, 0, NULL);
	size_t n = json_array_size(json_object_get(o, "items"));
	if (!o)
		test_fail(__FILE__, __LINE__, "no JSON: %s", got.json);
	json_decref(o);
	return n;
}

static size_t
found(const struct actor *actor, const char *q)
{
	contact_search(&env.store, actor, q, 50, NULL, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	return items();
}

static size_t
holders(const struct actor *actor, const char *number)
{
	struct address a;
	CHECK(address_make("phone", number, "TW", &a));
	contact_find(&env.store, actor, &a, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	return items();
}

static void
test_only_contacts_of_the_roles_are_there(void)
{
	buyer.sight = sight("[\"supplier\"]", "[\"grade\"]");
	struct uuid in =
		made("{\"name\":\"Seen Sup\",\"roles\":[\"supplier\",\"customer\"],"
		     "\"attributes\":{\"grade\":\"A\",\"margin\":7},"
		     "\"identities\":[{\"kind\":\"phone\",\"value\":"
		     "\"0912000001\"}]}");
	struct uuid out = made("{\"name\":\"Seen Cust\",\"roles\":[\"customer\"],"
			       "\"identities\":[{\"kind\":\"phone\",\"value\":"
			       "\"0912000002\"}]}");
	CHECK_INT(get(&buyer, &in), STORE_OK);
	CHECK_STR(member("roles"), "[\"supplier\"]");
	CHECK_STR(member("attributes"), "{\"grade\":\"A\"}");
	CHECK_INT(get(&buyer, &out), STORE_NOT_FOUND);
	CHECK_INT((int64_t)found(&buyer, "Seen"), 1);
	CHECK_INT((int64_t)found(&staff, "Seen"), 2);
	CHECK_INT((int64_t)found(&buyer, ""), 1);
	CHECK_INT((int64_t)holders(&buyer, "0912000001"), 1);
	CHECK(!strstr(got.json, "margin"));
	CHECK_INT((int64_t)holders(&buyer, "0912000002"), 0);
	CHECK_INT((int64_t)holders(&staff, "0912000002"), 1);
	sight_unref(&buyer.sight);
}

static void
test_what_is_not_seen_is_not_changed(void)
{
	buyer.sight = sight("[\"supplier\",\"agency\"]", "[\"grade\",\"note\"]");
	struct uuid id =
		made("{\"name\":\"Keep\",\"roles\":[\"supplier\",\"customer\"],"
		     "\"attributes\":{\"grade\":\"A\",\"note\":1,\"margin\":7}}");
	CHECK_INT(patch(&buyer, &id,
			  "{\"roles\":[\"agency\"],"
			  "\"attributes\":{\"grade\":\"B\"}}"),
		STORE_OK);
	CHECK_STR(member("roles"), "[\"agency\"]");
	CHECK_STR(member("attributes"), "{\"grade\":\"B\"}");
	CHECK_INT(get(&staff, &id), STORE_OK);
	CHECK_STR(member("roles"), "[\"agency\",\"customer\"]");
	CHECK_STR(member("attributes"), "{\"grade\":\"B\",\"margin\":7}");
	CHECK_INT(patch(&buyer, &id, "{\"attributes\":{\"margin\":0}}"), STORE_INVALID);
	CHECK(strstr(got.detail, "attributes: "));
	CHECK_INT(patch(&buyer, &id, "{\"roles\":[\"customer\"]}"), STORE_INVALID);
	CHECK_INT(patch(&buyer, &id, "{\"roles\":[]}"), STORE_INVALID);
	CHECK(strstr(got.detail, "roles: "));
	CHECK_INT(get(&staff, &id), STORE_OK);
	CHECK_STR(member("roles"), "[\"agency\",\"customer\"]");
	struct uuid other = made("{\"name\":\"Hidden\",\"roles\":[\"customer\"]}");
	CHECK_INT(patch(&buyer, &other, "{\"name\":\"Mine\"}"), STORE_NOT_FOUND);
	CHECK_INT(get(&staff, &other), STORE_OK);
	CHECK_STR(member("name"), "\"Hidden\"");
	sight_unref(&buyer.sight);
}

static void
test_what_a_limited_caller_makes_is_theirs_to_see(void)
{
	buyer.sight = sight("[\"supplier\"]", "[\"grade\"]");
	CHECK_INT(create(&buyer, "{\"name\":\"New\"}"), STORE_CREATED);
	CHECK_STR(member("roles"), "[\"supplier\"]");
	CHECK_INT(create(&buyer, "{\"name\":\"N\",\"roles\":[\"customer\"]}"),
		STORE_INVALID);
	CHECK_INT(create(&buyer, "{\"name\":\"N\",\"roles\":[]}"), STORE_INVALID);
	CHECK_INT(create(&buyer, "{\"name\":\"N\",\"attributes\":{\"margin\":1}}"),
		STORE_INVALID);
	sight_unref(&buyer.sight);
	buyer.sight = sight("[\"supplier\",\"agency\"]", NULL);
	CHECK_INT(create(&buyer, "{\"name\":\"N\"}"), STORE_INVALID);
	CHECK_INT(create(&buyer, "{\"name\":\"N\",\"roles\":[\"agency\"],"
				 "\"attributes\":{\"any\":1}}"),
		STORE_CREATED);
	CHECK_STR(member("attributes"), "{\"any\":1}");
	sight_unref(&buyer.sight);
}

static void
test_a_conflict_names_nobody_out_of_sight(void)
{
	static const char taken[] =
		"{\"name\":\"N\",\"identities\":[{\"kind\":\"phone\","
		"\"value\":\"%s\"}]%s}";
	char body[300];
	buyer.sight = sight("[\"supplier\"]", NULL);
	made("{\"name\":\"C\",\"roles\":[\"customer\"],\"identities\":[{\"kind\":\"phone\","
	     "\"value\":\"0912000011\"}]}");
	made("{\"name\":\"S\",\"roles\":[\"supplier\"],\"identities\":[{\"kind\":\"phone\","
	     "\"value\":\"0912000012\"}]}");
	made("{\"roles\":[\"customer\"],\"identities\":[{\"kind\":\"phone\","
	     "\"value\":\"0912000013\"}]}");
	made("{\"identities\":[{\"kind\":\"phone\",\"value\":\"0912000014\"}]}");
	struct uuid mine = made("{\"name\":\"M\",\"roles\":[\"supplier\"]}");
	snprintf(body, sizeof(body), taken, "0912000011", "");
	CHECK_INT(create(&buyer, body), STORE_CONFLICT);
	CHECK_STR(got.json, "");
	CHECK_INT(patch(&buyer, &mine, body), STORE_CONFLICT);
	CHECK_STR(got.json, "");
	snprintf(body, sizeof(body), taken, "0912000012", "");
	CHECK_INT(create(&buyer, body), STORE_CONFLICT);
	CHECK(strstr(got.json, "\"contact\""));
	/* an unnamed one out of sight does not become theirs, shared or not */
	snprintf(body, sizeof(body), taken, "0912000013", ",\"shared\":true");
	CHECK_INT(create(&buyer, body), STORE_CONFLICT);
	CHECK_STR(got.json, "");
	CHECK_INT(patch(&buyer, &mine, body), STORE_CONFLICT);
	/* somebody who called and of whom nothing is known does */
	snprintf(body, sizeof(body), taken, "0912000014", "");
	CHECK_INT(create(&buyer, body), STORE_CREATED);
	sight_unref(&buyer.sight);
}

/* ---- Organisations ---- */

static char *
text_of(const struct uuid *id)
{
	static char text[4][UUID_TEXT_LEN];
	static unsigned n;
	return uuid_format(text[n++ % 4], id);
}

static const char *
belongs(const char *name, const struct uuid *to, const char *more)
{
	static char body[300];
	snprintf(body, sizeof(body), "{\"name\":\"%s\",\"organisation\":\"%s\"%s}",
		name, text_of(to), more);
	return body;
}

static size_t
people(const struct actor *actor, const struct uuid *of)
{
	contact_people(&env.store, actor, of, 50, NULL, store_got_answer, &got);
	if (store_env_answer(&env, &got) != STORE_OK)
		return 999;
	return items();
}

static void
test_people_of_an_organisation(void)
{
	struct uuid nobody;
	buyer.sight = sight("[\"supplier\"]", NULL);
	uuid_parse("01900000-0000-7000-8000-00000000dead", &nobody);
	struct uuid firm = made("{\"name\":\"Firm\",\"roles\":[\"supplier\"]}");
	CHECK_STR(member("type"), "\"person\"");
	CHECK_INT((int64_t)people(&staff, &firm), 0);
	struct uuid lin = made(belongs("Lin", &firm, ",\"roles\":[\"supplier\"]"));
	made(belongs("Wu", &firm, ",\"roles\":[\"customer\"]"));
	CHECK_INT(get(&staff, &firm), STORE_OK);
	CHECK_STR(member("type"), "\"organisation\"");
	CHECK_INT((int64_t)people(&staff, &firm), 2);
	CHECK(strstr(got.json, "Lin") && strstr(got.json, "Wu"));
	CHECK_INT((int64_t)people(&buyer, &firm), 1);
	CHECK(strstr(got.json, "Lin"));
	CHECK_INT((int64_t)people(&staff, &nobody), 999);
	/* what was merged into it brings its people */
	struct uuid branch = made("{\"name\":\"Branch\",\"type\":\"organisation\"}");
	CHECK_STR(member("type"), "\"organisation\"");
	made(belongs("Branch's", &branch, ""));
	char sql[200];
	snprintf(sql, sizeof(sql),
		"UPDATE contact SET merged_into = '%s' WHERE id = '%s'", text_of(&firm),
		text_of(&branch));
	store_env_exec(&env, sql);
	CHECK_INT((int64_t)people(&staff, &firm), 3);
	CHECK_INT((int64_t)people(&staff, &branch), 3);
	/* a hidden organisation is none, and not theirs to change */
	struct uuid hidden = made("{\"name\":\"Hid\",\"roles\":[\"customer\"]}");
	CHECK_INT((int64_t)people(&buyer, &hidden), 999);
	CHECK_INT(patch(&staff, &lin, belongs("Lin", &hidden, "")), STORE_OK);
	CHECK_INT(get(&buyer, &lin), STORE_OK);
	CHECK_STR(member("organisation"), "null");
	CHECK_INT(patch(&buyer, &lin, "{\"organisation\":null}"), STORE_INVALID);
	CHECK_INT(create(&buyer, belongs("X", &hidden, "")), STORE_INVALID);
	CHECK_INT(create(&buyer, belongs("X", &firm, "")), STORE_CREATED);
	sight_unref(&buyer.sight);
}

static void
test_no_organisation_belongs_to_its_own(void)
{
	struct uuid a = made("{\"name\":\"A\"}");
	struct uuid b = made(belongs("B", &a, ""));
	struct uuid c = made(belongs("C", &b, ""));
	CHECK_INT(patch(&staff, &a, belongs("A", &c, "")), STORE_INVALID);
	CHECK(strstr(got.detail, "organisation: "));
	CHECK_INT(patch(&staff, &a, belongs("A", &a, "")), STORE_INVALID);
	CHECK_INT(patch(&staff, &b, "{\"type\":\"person\"}"), STORE_INVALID);
	CHECK(strstr(got.detail, "type: "));
	CHECK_INT(patch(&staff, &c, "{\"type\":\"organisation\"}"), STORE_OK);
	CHECK_INT(patch(&staff, &c, "{\"type\":\"person\"}"), STORE_OK);
	CHECK_INT(patch(&staff, &c, "{\"type\":\"thing\"}"), STORE_INVALID);
	CHECK_INT(patch(&staff, &b, "{\"organisation\":null}"), STORE_OK);
	CHECK_INT(patch(&staff, &a, belongs("A", &c, "")), STORE_OK);
}

static void
test_the_timeline_with_people(void)
{
	struct timeline_page plain = {.limit = 0}, all = {.people = true};
	struct uuid firm = made("{\"name\":\"T\",\"roles\":[\"supplier\"]}");
	struct uuid person[] = {made(belongs("P", &firm, ",\"roles\":[\"supplier\"]")),
		made(belongs("Q", &firm, ",\"roles\":[\"lead\"]"))};
	buyer.sight = sight("[\"supplier\"]", NULL);
	for (int i = 0; i < 3; i++) {
		json_t *body = json_pack("{s:s,s:s,s:s}", "contact",
			text_of(i < 2 ? &person[i] : &firm), "kind", "note", "summary",
			i == 0	 ? "of P"
			: i == 1 ? "of Q"
				 : "of T");
		interaction_create(
			&env.store, &staff, body, NULL, store_got_answer, &got);
		CHECK_INT(store_env_answer(&env, &got), STORE_CREATED);
		/* out of sight is as if it were not there */
		interaction_create(
			&env.store, &buyer, body, NULL, store_got_answer, &got);
		CHECK_INT(store_env_answer(&env, &got),
			i == 1 ? STORE_INVALID : STORE_CREATED);
		json_decref(body);
	}
	interaction_timeline(&env.store, &staff, &firm, &plain, store_got_answer, &got);
	store_env_answer(&env, &got);
	CHECK(strstr(got.json, "of T") && !strstr(got.json, "of P"));
	interaction_timeline(&env.store, &staff, &firm, &all, store_got_answer, &got);
	store_env_answer(&env, &got);
	CHECK(strstr(got.json, "of T") && strstr(got.json, "of P") &&
		strstr(got.json, "of Q"));
	interaction_timeline(&env.store, &buyer, &firm, &all, store_got_answer, &got);
	store_env_answer(&env, &got);
	CHECK(strstr(got.json, "of T") && strstr(got.json, "of P") &&
		!strstr(got.json, "of Q"));
	interaction_timeline(
		&env.store, &buyer, &person[1], &plain, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_NOT_FOUND);
	sight_unref(&buyer.sight);
}

int
main(void)
{
	TEST(test_filter);
	TEST(test_what_members_may_say);
	if (!store_env_available())
		return 77;
	store_env_start(&env, "test_sight");
	staff.tenant = buyer.tenant = &env.tenants[0];
	TEST(test_only_contacts_of_the_roles_are_there);
	TEST(test_what_is_not_seen_is_not_changed);
	TEST(test_what_a_limited_caller_makes_is_theirs_to_see);
	TEST(test_a_conflict_names_nobody_out_of_sight);
	TEST(test_people_of_an_organisation);
	TEST(test_no_organisation_belongs_to_its_own);
	TEST(test_the_timeline_with_people);
	store_env_stop(&env);
	return test_done();
}
