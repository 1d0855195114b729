/* Preferences and consents against a real PostgreSQL (tests/lib/with-servers): what may be
 * said, what stands afterwards, and that no merge widens anything. */
#include <people/consent.h>

#include <lib/store_env.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>
#include <timeline/card.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store_env env;
static struct store_got got;
static size_t told; /* events of the last answer */
static struct actor staff = {.name = "key:crm", .role = "admin"};

static void
on_wishes(void *arg, const struct store_answer *a, const json_t *events)
{
	told = json_array_size(events);
	store_got_answer(arg, a);
}

/* ---- Contacts -------------------------------------------------------------------- */

static struct uuid
id_of(unsigned n)
{
	struct uuid id;
	char text[UUID_TEXT_LEN];

	snprintf(text, sizeof(text), "01900000-0000-7000-8000-%012x", n);
	CHECK(uuid_parse(text, &id));
	return id;
}

/* Contact n with the number +8869110000NN. */
static struct uuid
person(unsigned n)
{
	char sql[1000];

	snprintf(sql, sizeof(sql),
		"INSERT INTO address VALUES (1, 'phone', '+8869110%05u') ON CONFLICT "
		"DO NOTHING;"
		"INSERT INTO contact (tenant_id, id, name) VALUES (1, "
		"'01900000-0000-7000-8000-%012x', 'P%u');"
		"INSERT INTO identity (tenant_id, kind, value, contact_id, trust) VALUES "
		"(1, 'phone', '+8869110%05u', '01900000-0000-7000-8000-%012x', 1)",
		n, n, n, n, n);
	store_env_exec(&env, sql);
	return id_of(n);
}

static void
merge(unsigned survivor, unsigned absorbed)
{
	char sql[400];

	snprintf(sql, sizeof(sql),
		"SELECT contact_absorb(1, '01900000-0000-7000-8000-%012x', "
		"'01900000-0000-7000-8000-%012x', '{}', 'test', '')",
		survivor, absorbed);
	store_env_exec(&env, sql);
}

/* As an unmerge does: closes the row and points the contacts back. */
static void
unmerge(unsigned absorbed)
{
	char sql[800];

	snprintf(sql, sizeof(sql),
		"UPDATE contact_merge SET undone_at = now() WHERE absorbed = "
		"'01900000-0000-7000-8000-%012x' AND undone_at IS NULL;"
		"UPDATE contact SET merged_into = NULL WHERE id = "
		"'01900000-0000-7000-8000-%012x'",
		absorbed, absorbed);
	store_env_exec(&env, sql);
}

/* ---- Asking ----------------------------------------------------------------------- */

static enum store_status
put(const struct uuid *id, const char *json)
{
	json_t *body = json_loads(json, 0, NULL);

	if (!body)
		test_fail(__FILE__, __LINE__, "no JSON: %s", json);
	preference_put(&env.store, &staff, id, body, on_wishes, &got);
	CHECK_INT(got.n, 0);
	json_decref(body);
	return store_env_answer(&env, &got);
}

static enum store_status
get(const struct uuid *id)
{
	preference_get(&env.store, staff.tenant, id, store_got_answer, &got);
	return store_env_answer(&env, &got);
}

static enum store_status
record(const struct uuid *id, const char *json, const struct idempotency *idem)
{
	json_t *body = json_loads(json, 0, NULL);

	if (!body)
		test_fail(__FILE__, __LINE__, "no JSON: %s", json);
	consent_record(&env.store, &staff, id, body, idem, on_wishes, &got);
	json_decref(body);
	return store_env_answer(&env, &got);
}

static enum store_status
confirm(const struct uuid *id, const struct uuid *entry, const char *token)
{
	json_t *body = json_pack("{s:s, s:s}", "token", token, "source", "link");

	consent_confirm(&env.store, &staff, id, entry, body, on_wishes, &got);
	json_decref(body);
	return store_env_answer(&env, &got);
}

static enum store_status
stop(const char *kind, const char *akind, const char *value)
{
	struct address a;
	struct consent_stop s = {kind, &a, "stop-word", NULL};

	CHECK(address_make(akind, value, "TW", &a));
	consent_stop(&env.store, &staff, &s, on_wishes, &got);
	return store_env_answer(&env, &got);
}

/* A member of the last answer as compact text with sorted keys. */
static const char *
member(const char *name)
{
	static char text[4][4096];
	static unsigned at;
	char *dst = text[at++ % 4];
	json_t *o = json_loads(got.json, 0, NULL);
	char *dump = json_dumps(json_object_get(o, name),
		JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);

	str_copy(dst, sizeof(text[0]), dump ? dump : "");
	free(dump);
	json_decref(o);
	return dst;
}

static const char *
wish(const struct uuid *id, const char *name)
{
	CHECK_INT(get(id), STORE_OK);
	return member(name);
}

#define MAIL   "{\"kind\":\"email\",\"purpose\":\"marketing\"}"
#define SMS    "{\"kind\":\"sms\",\"purpose\":\"marketing\"}"
#define SURVEY "{\"kind\":\"sms\",\"purpose\":\"survey\"}"

/* ---- Preferences ------------------------------------------------------------------ */

static void
test_nobody_has_wishes_at_first(void)
{
	struct uuid id = person(1), nobody = id_of(999);

	CHECK_INT(get(&id), STORE_OK);
	CHECK_STR(member("preferred"), "[]");
	CHECK_STR(member("denied"), "[]");
	CHECK_STR(member("allowed"), "[]");
	CHECK_STR(member("quiet_hours"), "[]");
	CHECK_STR(member("do_not_contact"), "false");
	CHECK_STR(member("source"), "null");
	CHECK_INT(get(&nobody), STORE_NOT_FOUND);
	CHECK_INT(put(&nobody, "{}"), STORE_NOT_FOUND);
}

static void
test_what_is_put_is_there(void)
{
	struct uuid id = person(2);

	CHECK_INT(put(&id, "{\"preferred\":[\"sms\",\"phone\"],\"denied\":[" MAIL
			   "],\"allowed\":[" SMS
			   "],\"quiet_hours\":[{\"days\":\"mon-fri\","
			   "\"from\":\"21:00\",\"to\":\"08:00\"}]}"),
		STORE_OK);
	CHECK_INT(told, 3); /* contact.updated and two entries */
	CHECK_STR(member("preferred"), "[\"sms\",\"phone\"]");
	CHECK_STR(member("denied"), "[" MAIL "]");
	CHECK_STR(member("allowed"), "[" SMS "]");
	CHECK_STR(member("quiet_hours"),
		"[{\"days\":\"mon-fri\",\"from\":\"21:00\",\"to\":\"08:00\"}]");
	CHECK_STR(member("source"), "\"key:crm\"");
	CHECK_STR(
		store_env_value(&env,
			"SELECT string_agg(action || ' ' || cardinality(fields), ',' "
			"ORDER BY id) FROM audit WHERE object_id LIKE '%000000000002'"),
		"consent.recorded 1,consent.recorded 1,preferences.updated 4");
}

static void
test_a_denial_ends_by_an_allowance_only(void)
{
	struct uuid id = id_of(2);

	/* preferred and quiet hours are replaced, denials and allowances stay */
	CHECK_INT(put(&id, "{\"source\":\"form 7\"}"), STORE_OK);
	CHECK_STR(member("preferred"), "[]");
	CHECK_STR(member("quiet_hours"), "[]");
	CHECK_STR(member("denied"), "[" MAIL "]");
	CHECK_STR(member("source"), "\"form 7\"");
	/* another address is another matter */
	CHECK_INT(
		put(&id, "{\"denied\":[{\"kind\":\"sms\",\"purpose\":\"service\","
			 "\"identity\":{\"kind\":\"phone\",\"value\":\"0911000002\"}}],"
			 "\"allowed\":[{\"kind\":\"sms\",\"purpose\":\"service\"}]}"),
		STORE_OK);
	CHECK(strstr(member("denied"), "+886911000002"));
	CHECK_INT(put(&id, "{\"allowed\":[" MAIL "]}"), STORE_OK);
	CHECK_INT(told, 2);
	CHECK(!strstr(member("denied"), "email"));
	CHECK(strstr(member("allowed"), "email"));
	CHECK_INT(put(&id, "{\"denied\":[" MAIL "]}"), STORE_OK);
	CHECK(strstr(member("denied"), "email"));
	CHECK(!strstr(member("allowed"), "email"));
}

static void
test_what_was_read_says_nothing_new(void)
{
	struct uuid id = id_of(2);
	char before[4096];

	CHECK_INT(get(&id), STORE_OK);
	str_copy(before, sizeof(before), got.json);
	CHECK_INT(put(&id, before), STORE_OK);
	CHECK_INT(told, 0);
	CHECK_STR(got.json, before);
}

static void
test_do_not_contact_ends_by_saying_so(void)
{
	struct uuid id = id_of(2);

	CHECK_INT(put(&id, "{\"do_not_contact\":true}"), STORE_OK);
	CHECK_STR(member("do_not_contact"), "true");
	CHECK_INT(put(&id, "{}"), STORE_OK);
	CHECK_STR(member("do_not_contact"), "true");
	CHECK_INT(put(&id, "{\"do_not_contact\":false}"), STORE_OK);
	CHECK_STR(member("do_not_contact"), "false");
}

static void
test_what_is_wrong_is_named(void)
{
	static const char *const bad[][2] = {
		{"{\"preferd\":[]}", "preferd: "},
		{"{\"preferred\":\"sms\"}", "preferred: "},
		{"{\"preferred\":[\"SMS\"]}", "preferred[0]: "},
		{"{\"preferred\":[\"sms\",\"sms\"]}", "preferred[1]: comes twice"},
		{"{\"preferred\":[1]}", "preferred[0]: "},
		{"{\"denied\":{}}", "denied: "},
		{"{\"denied\":[7]}", "denied[0]: "},
		{"{\"denied\":[{\"kind\":\"*\",\"purpose\":\"survey\"}]}",
			"denied[0].kind: "},
		{"{\"denied\":[{\"kind\":\"sms\",\"purpose\":\"fun\"}]}",
			"denied[0].purpose: "},
		{"{\"denied\":[{\"kind\":\"sms\",\"purpose\":\"survey\",\"x\":1}]}",
			"denied[0]: x"},
		{"{\"denied\":[" SMS "],\"allowed\":[" SMS "]}", "allowed[0]: "},
		{"{\"denied\":[{\"kind\":\"sms\",\"purpose\":\"survey\",\"identity\":"
		 "{\"kind\":\"email\",\"value\":\"a@example.com\"}}]}",
			"denied[0].identity: sms goes to an address of kind phone"},
		{"{\"denied\":[{\"kind\":\"email\",\"purpose\":\"survey\",\"identity\":7}]}",
			"denied[0].identity: "},
		{"{\"allowed\":[{\"kind\":\"sms\",\"purpose\":\"survey\",\"identity\":"
		 "{\"kind\":\"phone\",\"value\":\"0911099999\"}}]}",
			"does not have the address phone:+886911099999"},
		{"{\"quiet_hours\":[{\"days\":\"monday\",\"from\":\"21:00\",\"to\":"
		 "\"08:00\"}]}",
			"quiet_hours[0].days"},
		{"{\"quiet_hours\":[{\"days\":\"mon,\",\"from\":\"21:00\",\"to\":"
		 "\"08:00\"}]}",
			"quiet_hours[0].days"},
		{"{\"quiet_hours\":[{\"days\":\"mon\",\"from\":\"24:00\",\"to\":"
		 "\"08:00\"}]}",
			"quiet_hours[0]: "},
		{"{\"quiet_hours\":[{\"days\":\"mon\",\"from\":\"8:00\",\"to\":"
		 "\"09:00\"}]}",
			"quiet_hours[0]: "},
		{"{\"quiet_hours\":[{\"days\":\"mon\",\"from\":\"08:00\",\"to\":"
		 "\"08:00\"}]}",
			"quiet_hours[0]: "},
		{"{\"do_not_contact\":\"yes\"}", "do_not_contact: "},
		{"{\"source\":7}", "source: "},
	};
	struct uuid id = id_of(2);
	const char *n = "SELECT count(*) FROM consent";
	char before[32];

	str_copy(before, sizeof(before), store_env_value(&env, n));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (put(&id, bad[i][0]) != STORE_INVALID ||
			!strstr(got.detail, bad[i][1]))
			test_fail(__FILE__, __LINE__, "%s: %d %s", bad[i][0],
				got.status, got.detail);
	CHECK_STR(store_env_value(&env, n), before);
	staff.tenant = &env.tenants[1];
	CHECK_INT(put(&id, "{}"), STORE_NOT_FOUND);
	staff.tenant = &env.tenants[0];
}

/* ---- Merges ----------------------------------------------------------------------- */

static void
test_the_strictest_of_all_members_counts(void)
{
	struct uuid a = person(10), b = person(11);

	CHECK_INT(
		put(&a, "{\"preferred\":[\"sms\"],\"allowed\":[" SMS "," MAIL
			"],\"quiet_hours\":[{\"days\":\"mon\",\"from\":\"21:00\",\"to\":"
			"\"08:00\"}]}"),
		STORE_OK);
	CHECK_INT(put(&b, "{\"denied\":[" MAIL "],\"quiet_hours\":[{\"days\":\"sun\","
			  "\"from\":\"00:00\",\"to\":\"24:00\"}]}"),
		STORE_OK);
	merge(11, 10);
	CHECK_INT(get(&a), STORE_OK);
	CHECK_STR(member("merged_from"), "\"01900000-0000-7000-8000-00000000000a\"");
	CHECK_STR(member("contact"), "\"01900000-0000-7000-8000-00000000000b\"");
	CHECK_STR(member("preferred"), "[\"sms\"]");
	CHECK_STR(member("denied"), "[" MAIL "]");
	CHECK_STR(member("allowed"), "[" SMS "]");
	CHECK(strstr(member("quiet_hours"), "mon") &&
		strstr(member("quiet_hours"), "sun"));
}

static void
test_what_is_denied_while_merged_stays_on_both(void)
{
	struct uuid a = id_of(10), b = id_of(11);

	CHECK_INT(
		put(&b, "{\"denied\":[" SURVEY "],\"do_not_contact\":true}"), STORE_OK);
	unmerge(10);
	CHECK(strstr(wish(&a, "denied"), SURVEY));
	CHECK(strstr(wish(&b, "denied"), SURVEY));
	CHECK_STR(wish(&a, "do_not_contact"), "true");
	CHECK_STR(wish(&b, "do_not_contact"), "true");
	/* each has its own record of it, and of both it is one */
	consent_list(&env.store, staff.tenant, &a, 1, NULL, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	CHECK(strstr(got.json, "\"do_not_contact\" : true"));
}

static void
test_what_is_allowed_while_merged_ends_with_the_merge(void)
{
	struct uuid a = person(20), b = person(21);

	CHECK_INT(put(&a, "{\"denied\":[" MAIL "]}"), STORE_OK);
	merge(21, 20);
	CHECK_INT(put(&b, "{\"allowed\":[" MAIL "," SMS "]}"), STORE_OK);
	CHECK_STR(member("denied"), "[]");
	CHECK_STR(member("allowed"), "[" MAIL "," SMS "]");
	unmerge(20);
	CHECK_STR(wish(&a, "denied"), "[" MAIL "]");
	CHECK_STR(wish(&a, "allowed"), "[]");
	CHECK_STR(wish(&b, "allowed"), "[]");
	/* merged again it is another merge */
	merge(21, 20);
	CHECK_STR(wish(&b, "allowed"), "[]");
	CHECK_STR(wish(&b, "denied"), "[" MAIL "]");
	unmerge(20);
}

static void
test_what_is_allowed_for_an_address_is_its_members(void)
{
	struct uuid a = person(22), b = person(23);

	merge(23, 22);
	CHECK_INT(
		put(&b, "{\"allowed\":[{\"kind\":\"sms\",\"purpose\":\"marketing\","
			"\"identity\":{\"kind\":\"phone\",\"value\":\"0911000022\"}}]}"),
		STORE_OK);
	unmerge(22);
	CHECK(strstr(wish(&a, "allowed"), "+886911000022"));
	CHECK_STR(wish(&b, "allowed"), "[]");
}

static void
test_quiet_hours_said_while_merged(void)
{
	static const char hours[] = "[{\"days\":\"sat\",\"from\":\"00:00\",\"to\":"
				    "\"24:00\"}]";
	struct uuid a = person(24), b = person(25);
	char body[300];

	CHECK_INT(
		put(&a, "{\"quiet_hours\":[{\"days\":\"mon\",\"from\":\"21:00\",\"to\":"
			"\"08:00\"}]}"),
		STORE_OK);
	merge(25, 24);
	snprintf(body, sizeof(body), "{\"quiet_hours\":%s}", hours);
	CHECK_INT(put(&b, body), STORE_OK);
	CHECK_STR(member("quiet_hours"), hours);
	unmerge(24);
	/* the own ones again, and what was asked for since */
	CHECK(strstr(wish(&a, "quiet_hours"), "mon"));
	CHECK(strstr(wish(&a, "quiet_hours"), "sat"));
	CHECK_STR(wish(&b, "quiet_hours"), hours);
	CHECK_INT(put(&a, "{}"), STORE_OK);
	CHECK_STR(member("quiet_hours"), "[]");
}

/* ---- Consents --------------------------------------------------------------------- */

static void
test_consents_have_their_evidence(void)
{
	struct uuid id = person(30);
	struct idempotency idem = {
		.key = "k1", .caller = "c", .method = "POST", .path = "/"};

	CHECK_INT(
		record(&id,
			"{\"decision\":\"allowed\",\"kind\":\"sms\",\"purpose\":"
			"\"marketing\",\"source\":\"web form\",\"form_version\":\"v3\","
			"\"message_id\":\"m-1\",\"at\":\"2026-11-01T10:00:00Z\","
			"\"evidence\":{\"ip\":\"192.0.2.7\"}}",
			&idem),
		STORE_CREATED);
	CHECK_INT(told, 1);
	CHECK_STR(member("state"), "\"confirmed\"");
	CHECK_STR(member("evidence"),
		"{\"at\":\"2026-11-01T10:00:00Z\",\"form_version\":\"v3\",\"ip\":"
		"\"192.0.2.7\",\"message_id\":\"m-1\"}");
	CHECK_STR(wish(&id, "allowed"), "[" SMS "]");
	CHECK_INT(record(&id,
			  "{\"decision\":\"allowed\",\"kind\":\"sms\",\"purpose\":"
			  "\"marketing\"}",
			  &idem),
		STORE_REPLAYED);
	CHECK_INT(
		record(&id, "{\"decision\":\"denied\",\"do_not_contact\":true}", NULL),
		STORE_CREATED);
	CHECK_STR(wish(&id, "do_not_contact"), "true");
	consent_list(&env.store, staff.tenant, &id, 1, NULL, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	CHECK(strstr(got.json, "\"do_not_contact\" : true"));
	json_t *o = json_loads(got.json, 0, NULL);
	char cursor[64];
	str_copy(cursor, sizeof(cursor), json_string_value(json_object_get(o, "next")));
	json_decref(o);
	consent_list(&env.store, staff.tenant, &id, 1, cursor, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	CHECK(strstr(got.json, "web form") && strstr(got.json, "\"next\":null"));
}

static void
test_bad_consents_are_refused(void)
{
	static const char *const bad[][2] = {
		{"{}", "kind: "},
		{"{\"kind\":\"sms\",\"purpose\":\"survey\"}", "decision: "},
		{"{\"decision\":\"maybe\",\"kind\":\"sms\",\"purpose\":\"survey\"}",
			"decision: "},
		{"{\"decision\":\"denied\",\"kind\":\"sms\",\"purpose\":\"survey\","
		 "\"double_opt_in\":true}",
			"double_opt_in: "},
		{"{\"decision\":\"allowed\",\"kind\":\"sms\",\"purpose\":\"survey\","
		 "\"at\":\"yesterday\"}",
			"at: "},
		{"{\"decision\":\"allowed\",\"kind\":\"sms\",\"purpose\":\"survey\","
		 "\"evidence\":[]}",
			"evidence: "},
		{"{\"decision\":\"allowed\",\"kind\":\"sms\",\"purpose\":\"survey\","
		 "\"evidnce\":{}}",
			"evidnce: "},
		{"{\"decision\":\"allowed\",\"do_not_contact\":true,\"kind\":\"sms\"}",
			"kind: there is no such field"},
	};
	struct uuid id = id_of(30), nobody = id_of(999);

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (record(&id, bad[i][0], NULL) != STORE_INVALID ||
			!strstr(got.detail, bad[i][1]))
			test_fail(__FILE__, __LINE__, "%s: %d %s", bad[i][0],
				got.status, got.detail);
	CHECK_INT(record(&nobody, "{\"decision\":\"denied\",\"do_not_contact\":true}",
			  NULL),
		STORE_NOT_FOUND);
}

#define TWICE                                                                          \
	"{\"decision\":\"allowed\",\"kind\":\"sms\",\"purpose\":\"marketing\","        \
	"\"double_opt_in\":true}"

static void
take_token(struct uuid *entry, char token[100])
{
	json_t *o = json_loads(got.json, 0, NULL);

	CHECK(uuid_parse(json_string_value(json_object_get(o, "id")), entry));
	str_copy(token, 100, json_string_value(json_object_get(o, "token")));
	json_decref(o);
}

static void
test_double_opt_in_counts_once_it_is_confirmed(void)
{
	struct uuid id = person(31), other = person(32), entry;
	char token[100];

	CHECK_INT(record(&id, TWICE, NULL), STORE_CREATED);
	CHECK_STR(member("state"), "\"pending\"");
	take_token(&entry, token);
	CHECK_STR(wish(&id, "allowed"), "[]");
	CHECK_INT(confirm(&other, &entry, token), STORE_NOT_FOUND);
	CHECK_INT(confirm(&id, &entry, "1.2"), STORE_INVALID);
	token[0]++; /* a longer life is not signed */
	CHECK_INT(confirm(&id, &entry, token), STORE_INVALID);
	token[0]--;
	CHECK_STR(wish(&id, "allowed"), "[]");
	CHECK_INT(confirm(&id, &entry, token), STORE_OK);
	CHECK_INT(told, 1);
	CHECK_STR(wish(&id, "allowed"), "[" SMS "]");
	CHECK_INT(confirm(&id, &entry, token), STORE_CONFLICT);
}

static void
test_a_stop_is_not_undone_by_an_old_link(void)
{
	struct uuid id = person(33), entry;
	char token[100];

	CHECK_INT(record(&id, TWICE, NULL), STORE_CREATED);
	take_token(&entry, token);
	CHECK_INT(stop("sms", "phone", "0911000033"), STORE_OK);
	CHECK_INT(confirm(&id, &entry, token), STORE_CONFLICT);
	CHECK(strstr(got.detail, "denied after"));
	CHECK_STR(wish(&id, "allowed"), "[]");
}

static void
test_stop_binds_everybody_with_the_address(void)
{
	struct uuid a = person(34), b = person(35), c = person(36);

	store_env_exec(&env,
		"INSERT INTO identity (tenant_id, kind, value, contact_id, trust) VALUES "
		"(1, 'phone', '+886911000034', '01900000-0000-7000-8000-000000000023', 1)");
	merge(36, 35);
	CHECK_INT(stop("sms", "phone", "0911000034"), STORE_OK);
	CHECK_STR(member("recorded"), "4");
	CHECK(strstr(wish(&a, "denied"), "survey") &&
		strstr(wish(&a, "denied"), "market"));
	CHECK(strstr(wish(&c, "denied"), "+886911000034"));
	unmerge(35);
	CHECK(strstr(wish(&b, "denied"), "+886911000034"));
	CHECK(strstr(wish(&c, "denied"), "+886911000034"));
	CHECK_INT(stop("sms", "phone", "0911000034"), STORE_OK);
	CHECK_STR(member("recorded"), "0");
	/* nobody has it yet: whoever gets it has the denial too */
	CHECK_INT(stop("email", "email", "new@example.com"), STORE_OK);
	CHECK_STR(member("recorded"), "2");
	CHECK_STR(store_env_value(&env,
			  "SELECT c.name IS NULL FROM identity i JOIN contact c "
			  "ON c.id = i.contact_id WHERE i.value = 'new@example.com'"),
		"t");
}

static void
test_the_ledger_can_only_be_added_to(void)
{
	static const char *const forbidden[] = {"UPDATE consent SET at = now()",
		"DELETE FROM consent", "TRUNCATE consent",
		"UPDATE consent_seal SET number = 1", "DELETE FROM consent_seal",
		"TRUNCATE consent_seal", "UPDATE consent_detail SET payload = ''",
		"TRUNCATE consent_detail"};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(forbidden); i++)
		CHECK(pg_sync_exec(env.sync, forbidden[i], &err) < 0 &&
			strstr(err.text, "can only be added to"));
	CHECK_STR(store_env_value(&env,
			  "SELECT count(*) FROM information_schema.role_table_grants "
			  "WHERE table_name IN ('consent', 'consent_seal') AND "
			  "privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE')"),
		"0");
}

/* ---- The card --------------------------------------------------------------------- */

struct shown {
	int n;
	struct card *card;
};

static void
on_card(void *arg, enum card_status status, struct card *card)
{
	struct shown *s = arg;

	CHECK_INT(status, CARD_READY);
	s->n++;
	s->card = card;
}

static void
card_has(const char *number, const char *text)
{
	struct shown s = {0};
	struct address a;

	CHECK(address_make("phone", number, "TW", &a));
	card_fetch(&env.store, staff.tenant, &a, TRUST_NETWORK, NULL, on_card, &s);
	CHECK(store_env_wait(&env, &s.n, 1));
	if (!strstr(s.card->contact_json, text))
		test_fail(__FILE__, __LINE__, "%s: %s", text, s.card->contact_json);
	card_free(&s.card);
}

static void
test_a_screen_pop_shows_them(void)
{
	struct uuid a = person(40);

	person(41);
	card_has("0911000040", "\"preferences\":{\"preferred\":[],\"denied\":[]}");
	CHECK_INT(
		put(&a, "{\"preferred\":[\"phone\"],\"denied\":[" MAIL "]}"), STORE_OK);
	card_has("0911000040", "\"preferences\":{\"preferred\":[\"phone\"],\"denied\":["
			       "{\"kind\":\"email\",\"purpose\":\"marketing\"}]}");
	CHECK_INT(put(&a, "{\"preferred\":[\"phone\"],\"do_not_contact\":true}"),
		STORE_OK);
	card_has("0911000040", "\"do_not_contact\":true}");
	merge(41, 40);
	card_has("0911000041", "\"preferred\":[\"phone\"]");
	card_has("0911000041", "\"kind\": \"email\"");
	card_has("0911000041", "\"do_not_contact\":true}");
	unmerge(40);
	card_has("0911000041", "\"preferences\":{\"preferred\":[],\"denied\":[]}");
}

/* ---- For the gate ----------------------------------------------------------------- */

static void
test_the_gate_is_told_per_address(void)
{
	struct uuid a = person(50);

	person(51);
	CHECK_INT(put(&a, "{\"allowed\":[" SMS "]}"), STORE_OK);
	store_env_exec(&env, "INSERT INTO suppression (tenant_id, kind, value, reason) "
			     "VALUES (1, 'phone', '+886911000051', 'bounced')");
	merge(51, 50);
	preference_for_gate(&env.store, staff.tenant, &a, 0, 0, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	json_t *o = json_loads(got.json, 0, NULL);
	const json_t *list = json_object_get(o, "addresses");
	CHECK_INT(json_array_size(list), 2);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		bool own = str_eq(json_string_value(json_object_get(one, "value")),
			"+886911000050");
		/* the other's number is not opened by the merge */
		CHECK_INT(
			json_array_size(json_object_get(one, "allowed")), own ? 1 : 0);
		CHECK_INT(json_array_size(json_object_get(one, "suppressed")),
			own ? 0 : 1);
	}
	json_decref(o);
	unmerge(50);
}

static void
test_the_gate_is_told_of_shared_addresses(void)
{
	struct uuid a = person(52), b = person(53);

	store_env_exec(&env,
		"INSERT INTO identity (tenant_id, kind, value, contact_id, trust) VALUES "
		"(1, 'phone', '+886911000052', '01900000-0000-7000-8000-000000000035', 1)");
	CHECK_INT(put(&b, "{\"denied\":[" SMS "," MAIL "]}"), STORE_OK);
	preference_for_gate(&env.store, staff.tenant, &a, 0, 0, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	CHECK(strstr(got.json, "\"shared\": true"));
	CHECK(strstr(got.json, "\"others_denied\": [{\"kind\": \"email\""));
	preference_for_gate(&env.store, staff.tenant, &b, 0, 0, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	CHECK(strstr(got.json, "\"shared\": true") &&
		strstr(got.json, "\"shared\": false"));
	CHECK(!strstr(got.json, "\"others_denied\": [{"));
}

/* ---- Property --------------------------------------------------------------------- */

#define PEOPLE 4
#define FIRST  100

static uint32_t dice;

static unsigned
roll(unsigned n)
{
	dice = dice * 1664525u + 1013904223u;
	return (dice >> 8) % n;
}

/* What an address may be used for: "kind purpose" of sms and email, as the gate is told;
 * every address of every contact, as "contact address kind purpose" lines, sorted. */
static const char *
permitted(void)
{
	return store_env_value(&env,
		"SELECT coalesce(string_agg(x, E'\\n' ORDER BY x), '') FROM ("
		"SELECT DISTINCT (a->>'value') || ' ' || (r->>'kind') || ' ' || "
		"(r->>'purpose') AS x FROM contact c, gate_contact(1, c.id) g, "
		"jsonb_array_elements(g->'addresses') a, "
		"jsonb_array_elements(a->'allowed') r "
		"WHERE c.name LIKE 'P1__' AND c.merged_into IS NULL "
		"AND NOT (g->'wishes'->>'do_not_contact')::boolean) p");
}

/* Who denies what, by their own word or while merged. */
static const char *
denials(void)
{
	return store_env_value(&env,
		"SELECT coalesce(string_agg(x, E'\\n' ORDER BY x), '') FROM ("
		"SELECT w.contact_id || ' ' || w.kind || ' ' || w.purpose || ' ' || "
		"w.address_value AS x FROM wish w JOIN contact c ON c.id = w.contact_id "
		"WHERE c.name LIKE 'P1__' AND w.own = 'denied') d");
}

/* Every line of `less` is one of `more`. */
static bool
is_part(const char *less, const char *more)
{
	char line[200];

	for (const char *s = less; *s; s += strcspn(s, "\n"), s += *s == '\n') {
		size_t n = strcspn(s, "\n");
		bool found = false;
		snprintf(line, sizeof(line), "%.*s", (int)n, s);
		for (const char *m = more; *m && !found;
			m += strcspn(m, "\n"), m += *m == '\n')
			found = strcspn(m, "\n") == n && !strncmp(m, line, n);
		if (!found)
			return false;
	}
	return true;
}

static int merged_into[PEOPLE]; /* -1: itself a root */

static int
root_of(int n)
{
	while (merged_into[n] >= 0)
		n = merged_into[n];
	return n;
}

static void
random_wish(int n, bool deny)
{
	static const char *const kinds[] = {"sms", "phone"};
	static const char *const purposes[] = {"marketing", "survey"};
	struct uuid id = id_of(FIRST + (unsigned)n);
	char body[400], identity[120] = "";

	if (roll(3) == 0)
		snprintf(identity, sizeof(identity),
			",\"identity\":{\"kind\":\"phone\",\"value\":\"+8869110%05u\"}",
			FIRST + (unsigned)n);
	snprintf(body, sizeof(body),
		"{\"%s\":[{\"kind\":\"%s\",\"purpose\":\"%s\"%s}]}",
		deny ? "denied" : "allowed", kinds[roll(2)], purposes[roll(2)],
		identity);
	CHECK_INT(put(&id, body), STORE_OK);
}

static void
step(int i)
{
	static char may[32768], no[32768];
	int n = (int)roll(PEOPLE), other = (int)roll(PEOPLE);
	unsigned what = roll(10);

	str_copy(may, sizeof(may), permitted());
	str_copy(no, sizeof(no), denials());
	if (what < 3) {
		random_wish(n, true);
		if (!is_part(no, denials()) || !is_part(permitted(), may))
			test_fail(__FILE__, __LINE__, "step %d: a denial allowed", i);
	} else if (what < 6) {
		random_wish(n, false);
	} else if (what < 8 && root_of(n) != root_of(other)) {
		int survivor = root_of(n), absorbed = root_of(other);
		merge(FIRST + (unsigned)survivor, FIRST + (unsigned)absorbed);
		merged_into[absorbed] = survivor;
		if (!is_part(permitted(), may))
			test_fail(__FILE__, __LINE__,
				"step %d: a merge opened something: before\n%s\nafter\n%s",
				i, may, permitted());
		CHECK_STR(denials(), no);
	} else if (what >= 8 && merged_into[n] >= 0) {
		/* only leaves of the tree, so that pointing back is one contact */
		for (int k = 0; k < PEOPLE; k++)
			if (merged_into[k] == n)
				return;
		unmerge(FIRST + (unsigned)n);
		merged_into[n] = -1;
		CHECK_STR(denials(), no);
	}
}

static void
test_consent_never_widens_by_a_merge(void)
{
	for (unsigned n = 0; n < PEOPLE; n++)
		person(FIRST + n);
	for (dice = 1; dice < 13;) {
		uint32_t seed = dice;
		for (int n = 0; n < PEOPLE; n++) {
			if (merged_into[n] >= 0)
				unmerge(FIRST + (unsigned)n);
			merged_into[n] = -1;
		}
		store_env_exec(&env, "DELETE FROM wish USING contact c WHERE c.id = "
				     "contact_id AND c.name LIKE 'P1__'");
		for (int i = 0; i < 40; i++)
			step((int)seed * 100 + i);
		dice = seed + 1;
	}
}

int
main(void)
{
	if (!store_env_available())
		return 0;
	store_env_start(&env, "test_wishes");
	staff.tenant = &env.tenants[0];
	for (int n = 0; n < PEOPLE; n++)
		merged_into[n] = -1;
	TEST(test_nobody_has_wishes_at_first);
	TEST(test_what_is_put_is_there);
	TEST(test_a_denial_ends_by_an_allowance_only);
	TEST(test_what_was_read_says_nothing_new);
	TEST(test_do_not_contact_ends_by_saying_so);
	TEST(test_what_is_wrong_is_named);
	TEST(test_the_strictest_of_all_members_counts);
	TEST(test_what_is_denied_while_merged_stays_on_both);
	TEST(test_what_is_allowed_while_merged_ends_with_the_merge);
	TEST(test_what_is_allowed_for_an_address_is_its_members);
	TEST(test_quiet_hours_said_while_merged);
	TEST(test_consents_have_their_evidence);
	TEST(test_bad_consents_are_refused);
	TEST(test_double_opt_in_counts_once_it_is_confirmed);
	TEST(test_a_stop_is_not_undone_by_an_old_link);
	TEST(test_stop_binds_everybody_with_the_address);
	TEST(test_the_ledger_can_only_be_added_to);
	TEST(test_a_screen_pop_shows_them);
	TEST(test_the_gate_is_told_per_address);
	TEST(test_the_gate_is_told_of_shared_addresses);
	TEST(test_consent_never_widens_by_a_merge);
	store_env_stop(&env);
	return test_done();
}
