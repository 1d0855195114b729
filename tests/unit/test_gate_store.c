/* The gate asked with what a real PostgreSQL tells of people (tests/lib/with-servers): the
 * rows of gate_contact and gate_history, read and decided upon. */
#include <outreach/gate_read.h>

#include <clock.h>
#include <lib/store_env.h>
#include <lib/test.h>
#include <people/preference.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define DAY_US (86400 * INT64_C(1000000))

static struct store_env env;
static struct store_got got;
static struct zones *zones;
static struct gate_rules rules;
static struct gate_contact contact;
static json_t *object; /* what contact borrows from */
static struct actor staff = {.name = "key:crm", .role = "admin"};

/* ---- People ------------------------------------------------------------------------- */

static struct uuid
id_of(unsigned n)
{
	struct uuid id;
	char text[UUID_TEXT_LEN];

	snprintf(text, sizeof(text), "01900000-0000-7000-8000-%012x", n);
	CHECK(uuid_parse(text, &id));
	return id;
}

/* Contact n has the number +8869110000NN of m too. */
static void
hold(unsigned n, unsigned m)
{
	char sql[600];

	snprintf(sql, sizeof(sql),
		"INSERT INTO address VALUES (1, 'phone', '+8869110%05u') ON CONFLICT "
		"DO NOTHING;"
		"INSERT INTO identity (tenant_id, kind, value, contact_id, trust) VALUES "
		"(1, 'phone', '+8869110%05u', '01900000-0000-7000-8000-%012x', 1)",
		m, m, n);
	store_env_exec(&env, sql);
}

static struct uuid
person(unsigned n)
{
	char sql[200];

	snprintf(sql, sizeof(sql),
		"INSERT INTO contact (tenant_id, id, name) VALUES (1, "
		"'01900000-0000-7000-8000-%012x', 'P%u')",
		n, n);
	store_env_exec(&env, sql);
	hold(n, n);
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

/* An entry of n's timeline, `ago` (SQL interval) ago; from or to its own number. */
static void
happened(unsigned n, const char *kind, const char *direction, const char *ago,
	const char *disposition, const char *variables)
{
	char sql[1500];

	snprintf(sql, sizeof(sql),
		"WITH t AS (SELECT now() - interval '%s' AS at),"
		"i AS (INSERT INTO interaction (tenant_id, id, kind, direction, "
		"contact_id, remote_kind, remote_value, at, disposition, variables) "
		"SELECT 1, uuid_floor(at), '%s', '%s', "
		"'01900000-0000-7000-8000-%012x', 'phone', '+8869110%05u', at, "
		"nullif('%s', ''), '%s' FROM t RETURNING *)"
		"INSERT INTO timeline (tenant_id, contact_id, id, kind, direction, "
		"disposition) SELECT 1, contact_id, id, kind, direction, disposition "
		"FROM i",
		ago, kind, direction, n, n, disposition, variables);
	store_env_exec(&env, sql);
}

static void
on_put(void *arg, const struct store_answer *a, const json_t *events)
{
	(void)events;
	store_got_answer(arg, a);
}

/* Single quotes stand for double ones. */
static void
wish(const struct uuid *id, const char *text)
{
	char json[1000];

	str_copy(json, sizeof(json), text);
	for (char *c = json; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	json_t *body = json_loads(json, 0, NULL);
	if (!body)
		test_fail(__FILE__, __LINE__, "no JSON: %s", json);
	preference_put(&env.store, &staff, id, body, on_put, &got);
	json_decref(body);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
}

/* ---- The gate ----------------------------------------------------------------------- */

/* Of the last `days`. */
static void
look(const struct uuid *id, int days)
{
	int64_t now = clock_wall_us();

	preference_for_gate(&env.store, staff.tenant, id, now - days * DAY_US, now,
		store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	json_decref(object);
	object = json_loads(got.json, 0, NULL);
	CHECK(gate_contact_read(&rules, zones, object, &contact));
	gate_sent_read(&rules, json_object_get(object, "sent"), &contact);
}

/* "yes fallback", "no shared": of this way to n's number (0: to any). */
static const char *
ask(const struct uuid *id, enum gate_purpose purpose, const char *kind, unsigned n)
{
	static const struct gate_health health = {.up = GATE_ALL};
	static char text[100];
	char value[32];
	struct gate_question q = {
		.purpose = purpose, .address = GATE_ANY, .now_us = clock_wall_us()};
	struct gate_decision d;

	look(id, 7);
	snprintf(value, sizeof(value), "+8869110%05u", n);
	q.kind = gate_kind_find(&rules, kind);
	for (size_t i = 0; n && i < contact.n_addresses; i++)
		if (str_eq(contact.addresses[i].value, value))
			q.address = (int)i;
	CHECK(!n || q.address >= 0);
	gate_decide(&rules, &health, &contact, &q, &d);
	enum gate_reason reason =
		d.n_considered ? d.considered[d.n_considered - 1].reason : d.reason;
	snprintf(text, sizeof(text), "%s %s", d.verdict == GATE_GO ? "yes" : "no",
		gate_reason_text(reason));
	return text;
}

static void
test_what_they_want_is_kept(void)
{
	struct uuid a = person(1);

	CHECK_STR(ask(&a, GATE_SERVICE, "sms", 0), "yes fallback");
	CHECK_STR(ask(&a, GATE_MARKETING, "sms", 0), "no no_consent");
	wish(&a,
		"{'preferred':['sms'],'allowed':[{'kind':'sms','purpose':'marketing'}],"
		"'denied':[{'kind':'phone','purpose':'service'}]}");
	CHECK_STR(ask(&a, GATE_MARKETING, "sms", 0), "yes preferred");
	CHECK_STR(ask(&a, GATE_SERVICE, "phone", 0), "no opted_out");
	CHECK_STR(ask(&a, GATE_SERVICE, "fax", 0), "yes fallback");
	wish(&a, "{'do_not_contact':true}");
	CHECK_STR(ask(&a, GATE_SERVICE, "sms", 0), "no do_not_contact");
}

static void
test_a_merge_opens_no_number(void)
{
	struct uuid a = person(2), b = person(3);

	wish(&a, "{'allowed':[{'kind':'sms','purpose':'marketing'}]}");
	merge(3, 2);
	CHECK_STR(ask(&b, GATE_MARKETING, "sms", 2), "yes fallback");
	CHECK_STR(ask(&b, GATE_MARKETING, "sms", 3), "no no_consent");
	wish(&b, "{'denied':[{'kind':'sms','purpose':'marketing',"
		 "'identity':{'kind':'phone','value':'+886911000002'}}]}");
	CHECK_STR(ask(&b, GATE_MARKETING, "sms", 2), "no opted_out");
	CHECK_STR(ask(&a, GATE_SERVICE, "sms", 2), "yes fallback");
}

static void
test_who_writes_after_a_denial_is_answered(void)
{
	struct uuid a = person(4);

	happened(4, "sms", "in", "1 hour", "", "{}");
	wish(&a, "{'denied':[{'kind':'sms','purpose':'service'}]}");
	CHECK_STR(ask(&a, GATE_SERVICE, "sms", 0), "no opted_out");
	CHECK(contact.denied_us > clock_wall_us() - DAY_US);
	happened(4, "sms", "in", "-1 second", "", "{}");
	CHECK_STR(ask(&a, GATE_SERVICE, "sms", 0), "yes fallback");
	CHECK_STR(ask(&a, GATE_SURVEY, "sms", 0), "yes fallback");
	wish(&a, "{'denied':[{'kind':'sms','purpose':'survey'}]}");
	CHECK_STR(ask(&a, GATE_SURVEY, "sms", 0), "no opted_out");
}

static void
test_others_have_a_say_in_what_is_shared(void)
{
	struct uuid a = person(5), b = person(6);

	hold(6, 5);
	wish(&a, "{'allowed':[{'kind':'sms','purpose':'marketing'}]}");
	CHECK_STR(ask(&a, GATE_MARKETING, "sms", 0), "no shared");
	wish(&a, "{'allowed':[{'kind':'sms','purpose':'marketing',"
		 "'identity':{'kind':'phone','value':'+886911000005'}}]}");
	CHECK_STR(ask(&a, GATE_MARKETING, "sms", 0), "yes fallback");
	wish(&b, "{'denied':[{'kind':'email','purpose':'marketing'}]}");
	CHECK_STR(ask(&a, GATE_MARKETING, "sms", 0), "yes fallback");
	wish(&b, "{'denied':[{'kind':'sms','purpose':'marketing'}]}");
	CHECK_STR(ask(&a, GATE_MARKETING, "sms", 0), "no shared");
	CHECK_STR(ask(&a, GATE_SERVICE, "sms", 0), "yes fallback");
	wish(&b, "{'do_not_contact':true}");
	CHECK_STR(ask(&a, GATE_SERVICE, "sms", 0), "no shared");
}

static void
test_suppressed_and_claimed_addresses(void)
{
	struct uuid a = person(7);

	store_env_exec(&env, "UPDATE identity SET trust = 0 WHERE value = "
			     "'+886911000007'");
	CHECK_STR(ask(&a, GATE_SERVICE, "sms", 0), "no unverified");
	store_env_exec(&env, "UPDATE identity SET trust = 2 WHERE value = "
			     "'+886911000007'");
	CHECK_STR(ask(&a, GATE_SERVICE, "sms", 0), "yes fallback");
	store_env_exec(&env, "INSERT INTO suppression (tenant_id, kind, value, reason) "
			     "VALUES (1, 'phone', '+886911000007', 'do_not_call')");
	CHECK_STR(ask(&a, GATE_SERVICE, "sms", 0), "no suppressed");
}

static void
test_what_was_sent_counts(void)
{
	struct uuid a = person(8), b = person(9);
	int sms = gate_kind_find(&rules, "sms"),
	    phone = gate_kind_find(&rules, "phone");

	happened(8, "sms", "out", "1 hour", "", "{\"purpose\": \"marketing\"}");
	happened(9, "call", "out", "2 hours", "no_answer", "{\"purpose\": \"spam\"}");
	happened(9, "call", "out", "3 hours", "failed", "{}");
	happened(9, "sms", "in", "4 hours", "", "{}");
	happened(9, "note", "out", "5 hours", "", "{}");
	happened(9, "sms", "out", "8 days", "", "{}");
	look(&b, 7);
	CHECK_INT(contact.n_sent, 1);
	CHECK(contact.sent[0].kind == phone && contact.sent[0].purpose == GATE_SERVICE);
	merge(9, 8);
	look(&a, 9);
	CHECK_INT(contact.n_sent, 3);
	CHECK(contact.sent[0].kind == sms && contact.sent[0].purpose == GATE_MARKETING);
	CHECK(contact.sent[0].at_us > contact.sent[1].at_us &&
		contact.sent[1].at_us > contact.sent[2].at_us);
	look(&a, 0);
	CHECK_INT(contact.n_sent, 0);
}

static void
test_a_long_history_is_cut(void)
{
	struct uuid a = person(10);

	store_env_exec(&env,
		"WITH i AS (INSERT INTO interaction (tenant_id, id, kind, direction, "
		"contact_id, at) SELECT 1, uuid_floor(now() - n * interval '1 minute'), "
		"'sms', 'out', '01900000-0000-7000-8000-00000000000a', "
		"now() - n * interval '1 minute' FROM generate_series(1, 300) n "
		"RETURNING *) INSERT INTO timeline (tenant_id, contact_id, id, kind, "
		"direction) SELECT 1, contact_id, id, kind, direction FROM i");
	look(&a, 7);
	CHECK_INT(contact.n_sent, GATE_SENT_MAX);
	CHECK(contact.sent[0].at_us > clock_wall_us() - 2 * 60 * INT64_C(1000000));
}

int
main(void)
{
	if (!store_env_available())
		return 0;
	store_env_start(&env, "test_gate_store");
	store_env_exec(&env, "SELECT ensure_partitions(now() - interval '40 days', "
			     "now() + interval '1 month')");
	staff.tenant = &env.tenants[0];
	zones = zones_load(ZONES_DIR, NULL);
	gate_rules_init(&rules);
	CHECK(zones != NULL);
	TEST(test_what_they_want_is_kept);
	TEST(test_a_merge_opens_no_number);
	TEST(test_who_writes_after_a_denial_is_answered);
	TEST(test_others_have_a_say_in_what_is_shared);
	TEST(test_suppressed_and_claimed_addresses);
	TEST(test_what_was_sent_counts);
	TEST(test_a_long_history_is_cut);
	json_decref(object);
	zones_free(&zones);
	store_env_stop(&env);
	return test_done();
}
