/* Contacts against a real PostgreSQL (tests/lib/with-servers): what may be said of one,
 * who holds an address, and what is found. */
#include <people/contact.h>

#include <lib/store_env.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store_env env;
static struct store_got got;
static struct actor staff = {.name = "key:crm", .role = "admin"};

static enum store_status
create_with(const char *json, const struct idempotency *idem)
{
	json_t *body = json_loads(json, 0, NULL);

	contact_create(
		&env.store, &staff, body, TRUST_RECORDED, idem, store_got_answer, &got);
	CHECK_INT(got.n, 0);
	json_decref(body);
	return store_env_answer(&env, &got);
}

static enum store_status
create(const char *json)
{
	return create_with(json, NULL);
}

/* A member of the last answer as text, "" if absent; ids go to `id` too. */
static const char *
member(const char *name)
{
	static char text[4096];
	json_t *o = json_loads(got.json, 0, NULL);
	char *dump =
		json_dumps(json_object_get(o, name), JSON_COMPACT | JSON_ENCODE_ANY);

	str_copy(text, sizeof(text), dump ? dump : "");
	free(dump);
	json_decref(o);
	return text;
}

static struct uuid
id_of(const char *name)
{
	struct uuid id = {{0}};
	json_t *o = json_loads(got.json, 0, NULL);

	if (!uuid_parse(json_string_value(json_object_get(o, name)), &id))
		test_fail(__FILE__, __LINE__, "no %s in %s", name, got.json);
	json_decref(o);
	return id;
}

static bool
is_id(const char *name, const struct uuid *want)
{
	struct uuid id = id_of(name);

	return uuid_eq(&id, want);
}

static enum store_status
patch(const struct uuid *id, const char *json)
{
	json_t *body = json_loads(json, 0, NULL);

	contact_patch(
		&env.store, &staff, id, body, TRUST_RECORDED, store_got_answer, &got);
	json_decref(body);
	return store_env_answer(&env, &got);
}

static enum store_status
get(const struct uuid *id)
{
	contact_get(&env.store, &staff, id, store_got_answer, &got);
	return store_env_answer(&env, &got);
}

/* An unnamed contact as the writer makes them. */
static void
stranger(const char *id, const char *number)
{
	char sql[1000];

	snprintf(sql, sizeof(sql),
		"INSERT INTO address VALUES (1, 'phone', '%s') ON CONFLICT DO NOTHING;"
		"INSERT INTO contact (tenant_id, id) VALUES (1, '%s');"
		"INSERT INTO identity (tenant_id, kind, value, contact_id, trust, source) "
		"VALUES (1, 'phone', '%s', '%s', 2, 'pbx')",
		number, id, number, id);
	store_env_exec(&env, sql);
}

static void
test_create_answers_the_whole_object(void)
{
	CHECK_INT(
		create("{\"name\":\"示例客户\",\"roles\":[\"customer\",\"lead\",\"lead\"],"
		       "\"language\":\"zh-CN\",\"timezone\":\"Asia/Taipei\",\"vip\":true,"
		       "\"attributes\":{\"tier\":3},\"identities\":[{\"kind\":\"phone\","
		       "\"value\":\"0912-345-678\",\"trust\":\"recorded\"},"
		       "{\"kind\":\"email\",\"value\":\"Kunde@EXAMPLE.com\"}]}"),
		STORE_CREATED);
	CHECK_STR(member("name"), "\"示例客户\"");
	CHECK_STR(member("roles"), "[\"customer\",\"lead\"]");
	CHECK_STR(member("language"), "\"zh-CN\"");
	CHECK_STR(member("timezone"), "\"Asia/Taipei\"");
	CHECK_STR(member("vip"), "true");
	CHECK_STR(member("attributes"), "{\"tier\":3}");
	CHECK_STR(member("organisation"), "null");
	CHECK(strstr(member("identities"), "\"+886912345678\""));
	CHECK(strstr(member("identities"), "\"Kunde@example.com\""));
	CHECK(strstr(member("identities"), "\"source\":\"key:crm\""));
	CHECK_STR(member("merged_from"), "");
	struct uuid id = id_of("id");
	char before[65536];
	str_copy(before, sizeof(before), got.json);
	CHECK_INT(get(&id), STORE_OK);
	CHECK_STR(got.json, before);
	CHECK_STR(store_env_value(&env,
			  "SELECT action || ' ' || array_to_string(fields, ',') "
			  "FROM audit ORDER BY id DESC LIMIT 1"),
		"contact.created name,roles,language,timezone,vip,attributes,identities");
	staff.tenant = &env.tenants[1];
	CHECK_INT(get(&id), STORE_NOT_FOUND);
	staff.tenant = &env.tenants[0];
}

static void
test_bad_fields_are_named(void)
{
	static const char *const bad[][2] = {
		{"[]", "JSON object"},
		{"{\"nme\":\"x\"}", "nme: "},
		{"{\"name\":\"\"}", "name: "},
		{"{\"name\":7}", "name: "},
		{"{\"roles\":[\"boss\"]}", "roles: "},
		{"{\"roles\":\"lead\"}", "roles: "},
		{"{\"language\":\"z\"}", "language: "},
		{"{\"language\":\"zh_CN\"}", "language: "},
		{"{\"timezone\":\"Asia/Nowhere\"}", "timezone: "},
		{"{\"timezone\":\"FOO+3\"}", "timezone: "},
		{"{\"timezone\":\"CST\"}", "timezone: "},
		{"{\"vip\":1}", "vip: "},
		{"{\"attributes\":[]}", "attributes: "},
		{"{\"attributes\":{\"a\":[1e308]}}", "attributes: "},
		{"{\"attributes\":{\"a\":{\"b\":-1e19}}}", "attributes: "},
		{"{\"attributes\":{\"a\":5e-324}}", "attributes: "},
		{"{\"attributes\":{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"
		 "]]]]]]]]]]]]]]]]}}",
			"attributes: "},
		{"{\"organisation\":\"x\"}", "organisation: "},
		{"{\"organisation\":\"01900000-0000-7000-8000-00000000dead\"}",
			"organisation: "},
		{"{\"identities\":{}}", "identities: "},
		{"{\"identities\":[{\"kind\":\"phone\"}]}", "identities[0].value"},
		{"{\"identities\":[{\"kind\":\"phone\",\"value\":\"\"}]}",
			"identities[0].value"},
		{"{\"identities\":[{\"kind\":\"phone\",\"value\":\"anonymous\"}]}",
			"identities[0].value"},
		{"{\"identities\":[{\"kind\":\"external\",\"value\":\"42\"}]}",
			"identities[0].value"},
		{"{\"identities\":[{\"kind\":\"phone\",\"value\":\"110\",\"trust\":\"network\"}]}",
			"identities[0].trust"},
		{"{\"identities\":[{\"kind\":\"phone\",\"value\":\"110\",\"x\":1}]}",
			"identities[0]: x"},
		{"{\"identities\":[{\"kind\":\"phone\",\"value\":\"110\",\"remove\":true}]}",
			"identities[0]: remove"},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (create(bad[i][0]) != STORE_INVALID ||
			!strstr(got.detail, bad[i][1]))
			test_fail(__FILE__, __LINE__, "%s: %d %s", bad[i][0],
				got.status, got.detail);
	}
	CHECK_STR(store_env_value(&env, "SELECT count(*) FROM contact"), "1");
}

static void
test_long_values_are_refused(void)
{
	char *body = xasprintf("{\"attributes\":{\"a\":\"%*s\"}}", 17000, "x");

	CHECK_INT(create(body), STORE_INVALID);
	CHECK(strstr(got.detail, "attributes"));
	xfree(&body);
	body = xasprintf("{\"name\":\"%*s\"}", 201, "x");
	CHECK_INT(create(body), STORE_INVALID);
	xfree(&body);
	body = xasprintf("{\"name\":\"%*s\"}", 200, "客");
	CHECK_INT(create(body), STORE_CREATED);
	xfree(&body);
}

static void
test_unnamed_holder_is_absorbed(void)
{
	struct uuid unnamed, id;

	stranger("01900000-0000-7000-8000-0000000000a1", "+886922000001");
	uuid_parse("01900000-0000-7000-8000-0000000000a1", &unnamed);
	CHECK_INT(create("{\"name\":\"Absorber\",\"identities\":[{\"kind\":\"phone\","
			 "\"value\":\"0922000001\"}]}"),
		STORE_CREATED);
	id = id_of("id");
	CHECK_STR(member("absorbed"), "[\"01900000-0000-7000-8000-0000000000a1\"]");
	CHECK(strstr(member("identities"), "\"network\""));
	CHECK_INT(get(&unnamed), STORE_OK);
	CHECK(is_id("id", &id));
	CHECK_STR(member("merged_from"), "\"01900000-0000-7000-8000-0000000000a1\"");
	CHECK_STR(
		store_env_value(&env,
			"SELECT concat_ws(' ', m.absorbed, m.actor, m.undone_at IS NULL, "
			"m.evidence->'addresses'->0->>'value') FROM contact_merge m"),
		"01900000-0000-7000-8000-0000000000a1 key:crm t +886922000001");
	/* patching through the absorbed id reaches the survivor */
	CHECK_INT(patch(&unnamed, "{\"vip\":true}"), STORE_OK);
	CHECK(is_id("id", &id));
	CHECK_STR(member("vip"), "true");
	/* an absorber that is absorbed: everybody resolves to the last */
	store_env_exec(&env, "UPDATE contact SET name = NULL WHERE name = 'Absorber'");
	CHECK_INT(create("{\"name\":\"Last\",\"identities\":[{\"kind\":\"phone\","
			 "\"value\":\"+886922000001\"}]}"),
		STORE_CREATED);
	id = id_of("id");
	CHECK_INT(get(&unnamed), STORE_OK);
	CHECK(is_id("id", &id));
}

static void
test_named_holder_is_a_conflict_unless_shared(void)
{
	char want[100], text[UUID_TEXT_LEN];
	struct uuid first;

	CHECK_INT(create("{\"name\":\"First\",\"identities\":[{\"kind\":\"phone\","
			 "\"value\":\"0922000002\"}]}"),
		STORE_CREATED);
	first = id_of("id");
	snprintf(want, sizeof(want), "\"contact\":\"%s\"", uuid_format(text, &first));
	const char *before = store_env_value(&env, "SELECT count(*) FROM contact");
	int n = atoi(before);
	static const char second[] = "{\"name\":\"Second\",\"identities\":[{\"kind\":"
				     "\"phone\",\"value\":\"0922-000-002\"}]%s}";
	char *body = xasprintf(second, "");
	CHECK_INT(create(body), STORE_CONFLICT);
	CHECK_STR(got.json, want);
	CHECK_INT(atoi(store_env_value(&env, "SELECT count(*) FROM contact")), n);
	xfree(&body);
	body = xasprintf(second, ",\"shared\":true");
	CHECK_INT(create(body), STORE_CREATED);
	xfree(&body);
	struct address a;
	address_make("phone", "0922000002", "TW", &a);
	contact_find(&env.store, &staff, &a, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	CHECK(strstr(got.json, "\"First\"") && strstr(got.json, "\"Second\""));
}

static void
test_different_external_ids_are_different_people(void)
{
	stranger("01900000-0000-7000-8000-0000000000a2", "+886922000003");
	store_env_exec(&env,
		"INSERT INTO address VALUES (1, 'external', 'crm:7');"
		"INSERT INTO identity (tenant_id, kind, value, contact_id, trust) VALUES "
		"(1, 'external', 'crm:7', '01900000-0000-7000-8000-0000000000a2', 1)");
	CHECK_INT(
		create("{\"name\":\"Eight\",\"identities\":[{\"kind\":\"external\","
		       "\"value\":\"crm:8\"},{\"kind\":\"phone\",\"value\":\"0922000003\"}]}"),
		STORE_CONFLICT);
	CHECK_INT(
		create("{\"name\":\"Seven\",\"identities\":[{\"kind\":\"external\","
		       "\"value\":\"crm:7\"},{\"kind\":\"phone\",\"value\":\"0922000003\"}]}"),
		STORE_CREATED);
}

static void
test_patch_sets_adds_and_removes(void)
{
	struct uuid id, nobody;

	CHECK_INT(
		create("{\"name\":\"P\",\"language\":\"de\",\"identities\":[{\"kind\":"
		       "\"phone\",\"value\":\"0922000004\"}]}"),
		STORE_CREATED);
	id = id_of("id");
	CHECK_INT(
		patch(&id,
			"{\"language\":null,\"roles\":[\"partner\"],\"identities\":["
			"{\"kind\":\"phone\",\"value\":\"0922000004\",\"remove\":true},"
			"{\"kind\":\"email\",\"value\":\"p@example.com\"}]}"),
		STORE_OK);
	CHECK_STR(member("language"), "null");
	CHECK_STR(member("name"), "\"P\"");
	CHECK_STR(member("roles"), "[\"partner\"]");
	CHECK(!strstr(member("identities"), "+886922000004"));
	CHECK(strstr(member("identities"), "p@example.com"));
	CHECK_INT(patch(&id, "{\"identities\":[{\"kind\":\"phone\",\"value\":"
			     "\"0922000002\"}]}"),
		STORE_CONFLICT);
	CHECK_INT(patch(&id, "{\"timezone\":\"Mars/Base\"}"), STORE_INVALID);
	CHECK_INT(patch(&id, "{}"), STORE_OK);
	uuid_parse("01900000-0000-7000-8000-00000000dead", &nobody);
	CHECK_INT(patch(&nobody, "{\"vip\":true}"), STORE_NOT_FOUND);
	CHECK_INT(get(&nobody), STORE_NOT_FOUND);
}

static void
test_idempotency_key_gives_the_stored_answer(void)
{
	struct idempotency key = {"k-1", "key:crm", "POST", "/v1/contacts", {1}};
	char first[65536];

	CHECK_INT(create_with("{\"name\":\"Once\"}", &key), STORE_CREATED);
	str_copy(first, sizeof(first), got.json);
	CHECK_INT(create_with("{\"name\":\"Once\"}", &key), STORE_REPLAYED);
	CHECK_STR(got.json, first);
	CHECK_INT(got.http_status, 201);
	key.body_hash[0] = 2;
	CHECK_INT(create_with("{\"name\":\"Twice\"}", &key), STORE_KEY_REUSED);
	key.caller = "key:other";
	CHECK_INT(create_with("{\"name\":\"Twice\"}", &key), STORE_CREATED);
	CHECK_STR(store_env_value(
			  &env, "SELECT count(*) FROM contact WHERE name = 'Once'"),
		"1");
}

static void
test_two_requests_with_one_key_at_once(void)
{
	struct idempotency key = {"k-2", "key:crm", "POST", "/v1/contacts", {1}};
	struct store_got *both = xcalloc(2, sizeof(*both));
	json_t *body = json_loads("{\"name\":\"Race\"}", 0, NULL);

	for (int i = 0; i < 2; i++)
		contact_create(&env.store, &staff, body, TRUST_RECORDED, &key,
			store_got_answer, &both[i]);
	json_decref(body);
	for (int i = 0; i < 2; i++)
		store_env_answer(&env, &both[i]);
	CHECK((both[0].status == STORE_CREATED) + (both[1].status == STORE_CREATED) ==
		1);
	CHECK_STR(store_env_value(
			  &env, "SELECT count(*) FROM contact WHERE name = 'Race'"),
		"1");
	xfree(&both);
}

static int
search(const char *q)
{
	int n;

	contact_search(&env.store, &staff, q, 200, NULL, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	json_t *o = json_loads(got.json, 0, NULL);
	n = (int)json_array_size(json_object_get(o, "items"));
	json_decref(o);
	return n;
}

static void
test_search_finds_prefixes_and_parts_of_cjk(void)
{
	static const struct {
		const char *q;
		int n;
	} cases[] = {{"müll", 1}, {"MÜLLER", 1}, {"anna mü", 1}, {"mü ann", 1},
		{"ller", 0}, {"王小明", 1}, {"小明", 1}, {"王", 1}, {"明", 1},
		{"王明", 0}, {"明王", 0}, {"台北", 1}, {"acme", 1}, {"ＡＣＭＥ", 1},
		{"acme 台", 1}, {"o'har", 1}, {"!!", 0}, {"'", 0}, {"\\", 0},
		{"a & b | !", 0}, {"ｶﾝﾊﾟﾆｰ", 1}, {"김철", 1}};

	create("{\"name\":\"Anna Müller\"}");
	create("{\"name\":\"王小明\"}");
	create("{\"name\":\"ACME 台北有限公司\"}");
	create("{\"name\":\"Pat O'Hara\"}");
	create("{\"name\":\"カンパニー\"}");
	create("{\"name\":\"김철수\"}");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int n = search(cases[i].q);
		if (n != cases[i].n)
			test_fail(__FILE__, __LINE__, "%s: %d", cases[i].q, n);
	}
	staff.tenant = &env.tenants[1];
	CHECK_INT(search("王小明"), 0);
	CHECK_INT(search(NULL), 0);
	staff.tenant = &env.tenants[0];
	CHECK(search("") > 5);
}

static void
test_search_pages(void)
{
	char body[100], cursor[64] = "";
	int seen = 0, pages = 0;

	for (int i = 0; i < 25; i++) {
		snprintf(body, sizeof(body), "{\"name\":\"Paging %d\"}", i);
		CHECK_INT(create(body), STORE_CREATED);
	}
	do {
		contact_search(&env.store, &staff, "paging", 10,
			*cursor ? cursor : NULL, store_got_answer, &got);
		CHECK_INT(store_env_answer(&env, &got), STORE_OK);
		json_t *o = json_loads(got.json, 0, NULL);
		seen += (int)json_array_size(json_object_get(o, "items"));
		const char *next = json_string_value(json_object_get(o, "next"));
		str_copy(cursor, sizeof(cursor), next ? next : "");
		json_decref(o);
		pages++;
	} while (*cursor && pages < 10);
	CHECK_INT(seen, 25);
	CHECK_INT(pages, 3);
	contact_search(&env.store, &staff, "x", 10, "junk", store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_INVALID);
}

static void
test_two_that_take_each_others_addresses(void)
{
	struct store_got *both = xcalloc(2, sizeof(*both));
	struct uuid a, b;

	create("{\"name\":\"X\",\"identities\":[{\"kind\":\"phone\",\"value\":\"0922000011\"}]}");
	a = id_of("id");
	create("{\"name\":\"Y\",\"identities\":[{\"kind\":\"phone\",\"value\":\"0922000012\"}]}");
	b = id_of("id");
	json_t *to_a = json_loads("{\"identities\":[{\"kind\":\"phone\",\"value\":"
				  "\"0922000012\"}],\"shared\":true}",
		0, NULL);
	json_t *to_b = json_loads("{\"identities\":[{\"kind\":\"phone\",\"value\":"
				  "\"0922000011\"}],\"shared\":true}",
		0, NULL);
	for (int i = 0; i < 50; i++) {
		contact_patch(&env.store, &staff, &a, to_a, TRUST_RECORDED,
			store_got_answer, &both[0]);
		contact_patch(&env.store, &staff, &b, to_b, TRUST_RECORDED,
			store_got_answer, &both[1]);
		CHECK_INT(store_env_answer(&env, &both[0]), STORE_OK);
		CHECK_INT(store_env_answer(&env, &both[1]), STORE_OK);
	}
	json_decref(to_a);
	json_decref(to_b);
	xfree(&both);
}

int
main(void)
{
	if (!store_env_available())
		return 77;
	store_env_start(&env, "test_contact");
	staff.tenant = &env.tenants[0];
	TEST(test_create_answers_the_whole_object);
	TEST(test_bad_fields_are_named);
	TEST(test_long_values_are_refused);
	TEST(test_unnamed_holder_is_absorbed);
	TEST(test_named_holder_is_a_conflict_unless_shared);
	TEST(test_different_external_ids_are_different_people);
	TEST(test_patch_sets_adds_and_removes);
	TEST(test_idempotency_key_gives_the_stored_answer);
	TEST(test_two_requests_with_one_key_at_once);
	TEST(test_search_finds_prefixes_and_parts_of_cjk);
	TEST(test_search_pages);
	TEST(test_two_that_take_each_others_addresses);
	store_env_stop(&env);
	return test_done();
}
