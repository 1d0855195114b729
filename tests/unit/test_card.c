/* The card of a screen pop against a real PostgreSQL (tests/lib/with-servers). */
#include <timeline/card.h>

#include <clock.h>
#include <io/loop.h>
#include <jansson.h>
#include <lib/store_env.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>
#include <timeline/writer.h>

#include <stdio.h>
#include <string.h>

static struct store_env env;

struct shown {
	int n;
	enum card_status status;
	struct card *card;
};

static void
on_card(void *arg, enum card_status status, struct card *card)
{
	struct shown *s = arg;

	s->n++;
	s->status = status;
	card_free(&s->card);
	s->card = card;
}

static struct card *
fetch(struct shown *s, const char *number, const struct uuid *except)
{
	struct address a;
	int want = s->n + 1;

	CHECK(address_make("phone", number, "TW", &a));
	card_fetch(&env.store, &env.tenants[0], &a, TRUST_NETWORK, except, on_card, s);
	CHECK_INT(s->n, want - 1);
	CHECK(store_env_wait(&env, &s->n, want));
	CHECK_INT(s->status, CARD_READY);
	return s->card;
}

static void
count_done(void *arg, const struct write_result *r)
{
	CHECK_INT(r->status, WRITE_DONE);
	++*(int *)arg;
}

static struct uuid
call(struct writer *w, const char *number, int64_t at_us, const char *summary,
	int *done)
{
	struct address a;
	struct interaction in = {.tenant = &env.tenants[0],
		.kind = "call",
		.direction = "in",
		.channel = "pbx",
		.state = "ended",
		.agent = "1001",
		.remote_kind = "phone",
		.remote_normal = true,
		.trust = TRUST_NETWORK,
		.disposition = "answered",
		.at_us = at_us,
		.wait_ms = -1,
		.talk_ms = -1,
		.hold_ms = -1};

	CHECK(address_make("phone", number, "TW", &a));
	in.remote_value = a.value;
	in.summary = summary;
	in.id = uuid_new(at_us);
	in.new_contact = card_new_contact_id(in.tenant, &a, at_us);
	writer_save(w, &in, NULL, count_done, done);
	return in.id;
}

static json_t *
parsed(const char *text)
{
	json_t *o = json_loads(text, JSON_DECODE_ANY, NULL);

	if (!o)
		test_fail(__FILE__, __LINE__, "no JSON: %s", text);
	return o;
}

static const char *
text_at(const json_t *array, size_t i, const char *name)
{
	const char *s =
		json_string_value(json_object_get(json_array_get(array, i), name));

	return s ? s : "(none)";
}

static void
test_unknown_number(void)
{
	struct shown s = {0};
	struct card *c = fetch(&s, "0911000001", NULL);

	CHECK(!c->found && uuid_is_nil(&c->contact));
	CHECK_STR(c->contact_json, "null");
	CHECK_STR(c->candidates_json, "[]");
	CHECK_STR(c->recent_json, "[]");
	card_free(&s.card);
}

static void
test_unnamed_json_is_what_the_card_says_afterwards(void)
{
	struct writer_opts opts = {0};
	struct writer *w = writer_new(&env.store, &opts);
	struct shown s = {0};
	struct address a;
	int64_t at = clock_wall_us();
	int done = 0;

	call(w, "0911000002", at, "s", &done);
	CHECK(store_env_wait(&env, &done, 1));
	struct card *c = fetch(&s, "0911000002", NULL);
	CHECK(c->found);
	CHECK_INT(c->trust, TRUST_NETWORK);
	CHECK(address_make("phone", "0911000002", "TW", &a));
	struct uuid id = card_new_contact_id(&env.tenants[0], &a, at);
	CHECK(uuid_eq(&c->contact, &id));
	char *unnamed = card_unnamed_json(&id, &a, TRUST_NETWORK);
	CHECK_STR(c->contact_json, unnamed);
	xfree(&unnamed);
	card_free(&s.card);
	writer_close(&w, 1000);
}

static void
test_recent_is_the_last_ten_newest_first_without_this_call(void)
{
	struct writer_opts opts = {0};
	struct writer *w = writer_new(&env.store, &opts);
	struct shown s = {0};
	struct uuid last = {{0}};
	char summary[24];
	int64_t now = clock_wall_us();
	int done = 0;

	/* one a week, so that several months take part */
	for (int i = 0; i < 20; i++) {
		snprintf(summary, sizeof(summary), "call %d", i);
		last = call(w, "0911000003", now - (19 - i) * INT64_C(604800000000),
			summary, &done);
	}
	CHECK(store_env_wait(&env, &done, 20));
	json_t *recent = parsed(fetch(&s, "0911000003", NULL)->recent_json);
	CHECK_INT((int64_t)json_array_size(recent), 10);
	CHECK_STR(text_at(recent, 0, "summary"), "call 19");
	CHECK_STR(text_at(recent, 9, "summary"), "call 10");
	CHECK_STR(text_at(recent, 0, "kind"), "call");
	CHECK_STR(text_at(recent, 0, "agent"), "1001");
	CHECK_STR(text_at(recent, 0, "direction"), "in");
	char at[CLOCK_RFC3339_LEN];
	CHECK_STR(text_at(recent, 0, "at"), clock_format(at, now));
	json_decref(recent);
	recent = parsed(fetch(&s, "0911000003", &last)->recent_json);
	CHECK_INT((int64_t)json_array_size(recent), 10);
	CHECK_STR(text_at(recent, 0, "summary"), "call 18");
	json_decref(recent);
	card_free(&s.card);
	writer_close(&w, 1000);
}

static void
test_merged_members_share_one_timeline(void)
{
	struct writer_opts opts = {0};
	struct writer *w = writer_new(&env.store, &opts);
	struct shown s = {0};
	int64_t now = clock_wall_us();
	int done = 0;

	for (int i = 0; i < 6; i++)
		call(w, i % 2 ? "0911000004" : "0911000005", now - i * 60000000,
			i % 2 ? "four" : "five", &done);
	CHECK(store_env_wait(&env, &done, 6));
	store_env_exec(&env,
		"UPDATE contact SET merged_into = (SELECT contact_id FROM identity "
		"WHERE value = '+886911000005') WHERE id = (SELECT contact_id FROM identity "
		"WHERE value = '+886911000004');"
		"UPDATE contact SET name = 'Both', roles = '{customer}', vip = true, "
		"attributes = '{\"k\": 1}' WHERE id = (SELECT contact_id FROM identity "
		"WHERE value = '+886911000005')");
	struct card *c = fetch(&s, "0911000004", NULL);
	json_t *recent = parsed(c->recent_json), *contact = parsed(c->contact_json);
	CHECK_INT((int64_t)json_array_size(recent), 6);
	for (size_t i = 0; i < 6; i++)
		CHECK_STR(text_at(recent, i, "summary"), i % 2 ? "four" : "five");
	CHECK_STR(json_string_value(json_object_get(contact, "name")), "Both");
	CHECK(json_is_true(json_object_get(contact, "vip")));
	CHECK_INT((int64_t)json_array_size(json_object_get(contact, "identities")), 2);
	CHECK(strstr(c->contact_json, "\"roles\":[\"customer\"]"));
	CHECK(strstr(
		c->contact_json, "\"preferences\":{\"preferred\":[],\"denied\":[]}"));
	json_decref(recent);
	json_decref(contact);
	card_free(&s.card);
	writer_close(&w, 1000);
}

static void
test_shared_number_shows_candidates_and_no_guess(void)
{
	struct shown s = {0};

	store_env_exec(&env,
		"INSERT INTO address VALUES (1, 'phone', '+886911000006');"
		"INSERT INTO contact (tenant_id, id, name) VALUES "
		"(1, '01900000-0000-7000-8000-000000000001', 'A'),"
		"(1, '01900000-0000-7000-8000-000000000002', 'B'),"
		"(1, '01900000-0000-7000-8000-000000000003', 'Claims');"
		"INSERT INTO identity (tenant_id, kind, value, contact_id, trust) "
		"SELECT 1, 'phone', '+886911000006', id, CASE name WHEN 'B' THEN 2 "
		"WHEN 'A' THEN 1 ELSE 0 END FROM contact WHERE name IN ('A', 'B', 'Claims')");
	struct card *c = fetch(&s, "0911000006", NULL);
	CHECK(c->found && uuid_is_nil(&c->contact));
	CHECK_STR(c->contact_json, "null");
	CHECK_STR(c->recent_json, "[]");
	json_t *candidates = parsed(c->candidates_json);
	CHECK_INT((int64_t)json_array_size(candidates), 2);
	CHECK_STR(text_at(candidates, 0, "name"), "B");
	CHECK_STR(text_at(candidates, 1, "name"), "A");
	json_decref(candidates);
	/* who proved it wins over who claims it */
	store_env_exec(&env, "DELETE FROM identity WHERE contact_id = "
			     "'01900000-0000-7000-8000-000000000001'");
	c = fetch(&s, "0911000006", NULL);
	CHECK(!uuid_is_nil(&c->contact));
	CHECK(strstr(c->contact_json, "\"B\""));
	CHECK_STR(c->candidates_json, "[]");
	card_free(&s.card);
}

/* The whole way of a merged organisation, from a number of one of its people. */
static void
test_a_person_is_shown_with_their_organisation(void)
{
	struct shown s = {0};

	store_env_exec(&env,
		"INSERT INTO address VALUES (1, 'phone', '+886911000007');"
		"INSERT INTO contact (tenant_id, id, name, roles) VALUES "
		"(1, '01900000-0000-7000-8000-000000000011', 'Bolts & Co', '{supplier}'),"
		"(1, '01900000-0000-7000-8000-000000000012', 'Bolts', '{}');"
		"INSERT INTO contact (tenant_id, id, name, organisation) VALUES "
		"(1, '01900000-0000-7000-8000-000000000013', 'Lin',"
		" '01900000-0000-7000-8000-000000000012');"
		"INSERT INTO identity (tenant_id, kind, value, contact_id, trust) VALUES "
		"(1, 'phone', '+886911000007', '01900000-0000-7000-8000-000000000013', 1)");
	struct card *c = fetch(&s, "0911000007", NULL);
	CHECK(c->named);
	CHECK(strstr(c->contact_json, "\"name\":\"Lin\""));
	CHECK(strstr(c->contact_json,
		"\"organisation\":{\"id\":\"01900000-0000-7000-8000-000000000012\","
		"\"name\":\"Bolts\",\"roles\":[]}"));
	store_env_exec(&env, "UPDATE contact SET merged_into = "
			     "'01900000-0000-7000-8000-000000000011' WHERE id = "
			     "'01900000-0000-7000-8000-000000000012'");
	c = fetch(&s, "0911000007", NULL);
	CHECK(strstr(c->contact_json,
		"\"organisation\":{\"id\":\"01900000-0000-7000-8000-000000000011\","
		"\"name\":\"Bolts & Co\",\"roles\":[\"supplier\"]}"));
	/* the same through card_shared: Lin has absorbed somebody */
	store_env_exec(&env, "INSERT INTO contact (tenant_id, id, merged_into) VALUES "
			     "(1, '01900000-0000-7000-8000-000000000014', "
			     "'01900000-0000-7000-8000-000000000013')");
	c = fetch(&s, "0911000007", NULL);
	CHECK(strstr(c->contact_json, "\"name\":\"Bolts & Co\""));
	/* a merge of both: nobody belongs to themselves */
	store_env_exec(&env,
		"UPDATE contact SET merged_into = "
		"'01900000-0000-7000-8000-000000000013' WHERE name LIKE 'Bolts%'");
	c = fetch(&s, "0911000007", NULL);
	CHECK(strstr(c->contact_json, "\"organisation\":null"));
	card_free(&s.card);
}

static void
test_cancelled_never_calls_back(void)
{
	struct shown s = {0}, other = {0};
	struct address a;

	CHECK(address_make("phone", "0911000003", "TW", &a));
	struct card_query *q = card_fetch(
		&env.store, &env.tenants[0], &a, TRUST_NETWORK, NULL, on_card, &s);
	card_cancel(&q);
	CHECK(!q);
	fetch(&other, "0911000003", NULL);
	fetch(&other, "0911000003", NULL);
	CHECK_INT(s.n, 0);
	card_free(&other.card);
}

static void
test_database_away_is_unavailable(void)
{
	struct shown s = {0};
	struct address a;

	CHECK(address_make("phone", "0911000003", "TW", &a));
	card_fetch(&env.store, &env.tenants[0], &a, TRUST_NETWORK, NULL, on_card, &s);
	pg_close(&env.store.reads);
	CHECK_INT(s.n, 1);
	CHECK_INT(s.status, CARD_UNAVAILABLE);
	CHECK_STR(s.card->contact_json, "null");
	card_free(&s.card);
}

int
main(void)
{
	if (!store_env_available())
		return 77;
	store_env_start(&env, "test_card");
	TEST(test_unknown_number);
	TEST(test_unnamed_json_is_what_the_card_says_afterwards);
	TEST(test_recent_is_the_last_ten_newest_first_without_this_call);
	TEST(test_merged_members_share_one_timeline);
	TEST(test_shared_number_shows_candidates_and_no_guess);
	TEST(test_a_person_is_shown_with_their_organisation);
	TEST(test_cancelled_never_calls_back);
	TEST(test_database_away_is_unavailable);
	store_env_stop(&env);
	return test_done();
}
