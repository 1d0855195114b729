/* Agents, their tokens and tickets, against a real PostgreSQL and Redis
 * (tests/lib/with-servers; skipped with 77 without them). */
#include <base/embedded.h>
#include <clock.h>
#include <desk/agent.h>
#include <desk/agent_token.h>
#include <io/loop.h>
#include <io/migrate.h>
#include <io/pg.h>
#include <lib/test.h>
#include <mem.h>
#include <people/tenant.h>
#include <str.h>

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S INT64_C(1000000)

static struct {
	struct loop *loop;
	struct store store;
	struct tenant tenants[2];
	struct redis *redis;
	struct agents *agents;
	struct agent_tokens *tokens;
	struct actor actor;
	/* the last answer */
	bool answered;
	enum store_status status;
	int http_status;
	char json[4096], detail[256];
	enum agent_token_status verified;
	char whose[200], made_with[70];
	int loaded;
} e;

#define UNTIL(cond)                                                                    \
	do {                                                                           \
		int64_t end_us = clock_mono_us() + 15 * S;                             \
		while (!(cond) && clock_mono_us() < end_us)                            \
			loop_run_once(e.loop, 20);                                     \
		if (!(cond))                                                           \
			test_fail(__FILE__, __LINE__, "never: %s", #cond);             \
	} while (0)

static void
on_loaded(void *arg, bool ok)
{
	(void)arg;
	CHECK(ok);
	e.loaded++;
}

static struct pg *
open_pg(void)
{
	struct pg_opts o = {
		.conninfo = getenv("TEST_CONNINFO"),
		.connections = 1,
		.queue_max = 100,
		.connect_timeout_ms = 5000,
		.application_name = "test_agent",
	};
	struct pg *pg = pg_open(e.loop, &o);
	pg_add_statements(pg, embedded_find("daemon/desk/desk.sql")->data);
	return pg;
}

/* Everything but the agents and tokens themselves. */
static void
begin(void)
{
	struct err err;
	char *address = getenv("TEST_REDIS");
	struct conf_list list = {&address, 1};
	struct redis_opts o = {
		.addresses = &list, .command_timeout_ms = 2000, .max_pending = 100};
	struct pg_sync *pg = pg_sync_open(getenv("TEST_CONNINFO"), &err);
	memset(&e, 0, sizeof(e));
	CHECK_INT(migrate_apply(pg, NULL, NULL, &err), 0);
	CHECK_INT(pg_sync_exec(pg, "DELETE FROM agent; DELETE FROM agent_token", &err),
		0);
	str_copy(e.tenants[0].name, sizeof(e.tenants[0].name), "default");
	str_copy(e.tenants[1].name, sizeof(e.tenants[1].name), "other");
	for (int i = 0; i < 2; i++)
		str_copy(e.tenants[i].timezone, sizeof(e.tenants[i].timezone), "UTC");
	CHECK_INT(tenant_load(pg, e.tenants, 2, &err), 0);
	pg_sync_close(&pg);
	e.loop = loop_new();
	e.store.loop = e.loop;
	e.store.reads = open_pg();
	e.store.writes = open_pg();
	map_init(&e.store.tenants);
	for (int i = 0; i < 2; i++)
		map_put(&e.store.tenants, e.tenants[i].name, &e.tenants[i]);
	e.redis = redis_open(e.loop, &o);
	e.agents = agents_new(&e.store);
	e.tokens = agent_tokens_new(&e.store, e.redis);
	e.actor = (struct actor){
		.tenant = &e.tenants[0], .name = "key:test", .role = "admin"};
	UNTIL(redis_is_up(e.redis) && pg_is_up(e.store.reads));
	agents_load(e.agents, on_loaded, NULL);
	CHECK_INT(e.loaded, 0);
	UNTIL(e.loaded == 1);
}

static void
end(void)
{
	agent_tokens_free(&e.tokens);
	agents_free(&e.agents);
	redis_close(&e.redis);
	pg_close(&e.store.reads);
	pg_close(&e.store.writes);
	map_fini(&e.store.tenants);
	loop_free(&e.loop);
}

static void
on_answer(void *arg, const struct store_answer *a)
{
	(void)arg;
	CHECK(!e.answered);
	e.answered = true;
	e.status = a->status;
	e.http_status = a->http_status;
	str_copy(e.json, sizeof(e.json), a->json ? a->json : "");
	str_copy(e.detail, sizeof(e.detail), a->detail);
}

static void
wait_answer(void)
{
	CHECK(!e.answered); /* never before the starting call returns */
	UNTIL(e.answered);
	e.answered = false;
}

static enum store_status
create(const char *body, const struct idempotency *idem)
{
	json_t *o = json_loads(body, 0, NULL);
	CHECK(o);
	agent_create(e.agents, &e.actor, o, idem, on_answer, NULL);
	json_decref(o);
	wait_answer();
	return e.status;
}

static enum store_status
patch(const char *id, const char *body)
{
	json_t *o = json_loads(body, 0, NULL);
	CHECK(o);
	agent_patch(e.agents, &e.actor, id, o, on_answer, NULL);
	json_decref(o);
	wait_answer();
	return e.status;
}

static enum store_status
get(const char *id)
{
	agent_get(e.agents, &e.tenants[0], id, on_answer, NULL);
	wait_answer();
	return e.status;
}

static const char *
who(const char *channel, const char *endpoint, const char *pattern)
{
	return agents_of_endpoint(e.agents, "default", channel, endpoint, pattern);
}

/* ---- Agents ---- */

static void
test_create_read_change_list(void)
{
	begin();
	CHECK_INT(
		create("{\"id\":\"1001\",\"name\":\"王小明\",\"interfaces\":"
		       "[\"PJSIP/1001\",\"pbx-b:user/1001\"],\"queues\":[\"support\"]}",
			NULL),
		STORE_CREATED);
	CHECK(strstr(e.json, "\"capacity\" : {\"call\": 1}"));
	CHECK(strstr(e.json, "王小明"));
	CHECK_STR(who("pbx-a", "PJSIP/1001", NULL), "1001");
	CHECK_STR(who("pbx-b", "user/1001", NULL), "1001");
	CHECK(!who("pbx-a", "user/1001", NULL));
	CHECK(!agents_of_endpoint(e.agents, "other", "pbx-a", "PJSIP/1001", NULL));
	CHECK_INT(create("{\"id\":\"1001\"}", NULL), STORE_CONFLICT);
	CHECK_INT(create("{\"id\":\"1002\",\"interfaces\":[\"PJSIP/1001\"]}", NULL),
		STORE_CONFLICT);
	CHECK_STR(e.json, "\"agent\":\"1001\"");
	CHECK_INT(
		create("{\"id\":\"1002\",\"capacity\":{\"call\":1,\"chat\":3}}", NULL),
		STORE_CREATED);
	CHECK_INT(patch("1001", "{\"interfaces\":[\"PJSIP/2001\"]}"), STORE_OK);
	CHECK(strstr(e.json, "王小明"));
	CHECK(!who("pbx-a", "PJSIP/1001", NULL));
	CHECK_STR(who("pbx-a", "PJSIP/2001", NULL), "1001");
	CHECK_INT(patch("1002", "{\"interfaces\":[\"PJSIP/2001\"]}"), STORE_CONFLICT);
	CHECK_INT(patch("none", "{\"name\":\"x\"}"), STORE_NOT_FOUND);
	CHECK_INT(get("1002"), STORE_OK);
	CHECK(strstr(e.json, "\"chat\": 3"));
	CHECK_INT(get("none"), STORE_NOT_FOUND);
	CHECK_STR(who("pbx-a", "PJSIP/1000", "1000"), "1000");
	CHECK_STR(who("pbx-a", "PJSIP/1009", "1009"), "1009");
	agent_list(e.agents, &e.tenants[0], on_answer, NULL);
	wait_answer();
	json_t *o = json_loads(e.json, 0, NULL);
	json_t *items = json_object_get(o, "items");
	static const char *const ids[] = {"1000", "1001", "1002", "1009"};
	CHECK_INT((int64_t)json_array_size(items), ARRAY_LEN(ids));
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		json_t *item = json_array_get(items, i);
		CHECK_STR(json_string_value(json_object_get(item, "id")), ids[i]);
		CHECK_INT(json_is_true(json_object_get(item, "learnt")),
			i == 0 || i == 3);
	}
	json_decref(o);
	agent_list(e.agents, &e.tenants[1], on_answer, NULL);
	wait_answer();
	CHECK_STR(e.json, "{\"items\":[],\"next\":null}");
	end();
}

static void
test_wrong_bodies_are_named(void)
{
	static const struct {
		const char *body, *part;
	} bad[] = {
		{"{}", "id: missing"},
		{"{\"id\":\"a b\"}", "id:"},
		{"{\"id\":7}", "id:"},
		{"{\"id\":\"a\",\"name\":null}", "name:"},
		{"{\"id\":\"a\",\"name\":\"a\\u0007\"}", "name:"},
		{"{\"id\":\"a\",\"interfaces\":\"PJSIP/1\"}", "interfaces:"},
		{"{\"id\":\"a\",\"interfaces\":[\"\"]}", "interfaces:"},
		{"{\"id\":\"a\",\"queues\":[\"no queue\"]}", "queues:"},
		{"{\"id\":\"a\",\"capacity\":-1}", "capacity:"},
		{"{\"id\":\"a\",\"capacity\":{\"call\":\"1\"}}", "capacity:"},
		{"{\"id\":\"a\",\"state\":\"available\"}", "state: no such field"},
	};
	begin();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CHECK_INT(create(bad[i].body, NULL), STORE_INVALID);
		if (!strstr(e.detail, bad[i].part))
			test_fail(__FILE__, __LINE__, "%s: %s", bad[i].body, e.detail);
	}
	CHECK_INT(patch("a", "{\"id\":\"b\"}"), STORE_INVALID);
	end();
}

static void
test_idempotent_create_is_replayed(void)
{
	struct idempotency idem = {"k1", "key:test", "POST", "/v1/agents", {1}};
	begin();
	CHECK_INT(create("{\"id\":\"1001\"}", &idem), STORE_CREATED);
	char first[4096];
	str_copy(first, sizeof(first), e.json);
	CHECK_INT(create("{\"id\":\"1001\"}", &idem), STORE_REPLAYED);
	CHECK_INT(e.http_status, 201);
	CHECK_STR(e.json, first);
	idem.body_hash[0] = 2;
	CHECK_INT(create("{\"id\":\"1002\"}", &idem), STORE_KEY_REUSED);
	CHECK_INT(get("1002"), STORE_NOT_FOUND);
	end();
}

static void
test_pattern_agents_are_bound_to_their_channel(void)
{
	begin();
	CHECK_STR(who("pbx-a", "PJSIP/1001", "1001"), "1001");
	CHECK_STR(who("pbx-a", "PJSIP/1001", "1001"), "1001");
	CHECK(agents_exists(e.agents, "default", "1001"));
	CHECK(!agents_exists(e.agents, "other", "1001"));
	test_expect_log("already bound to channel pbx-a");
	CHECK(!who("pbx-b", "user/1001", "1001"));
	CHECK(!who("pbx-b", "user/1001", "1001"));
	/* Its interfaces may name the other channel; then it is the same person. */
	CHECK_INT(patch("1001", "{\"interfaces\":[\"pbx-b:user/1001\"]}"), STORE_OK);
	CHECK_STR(who("pbx-b", "user/1001", "1001"), "1001");
	/* Bound by interfaces to a channel we know of: not taken from another. */
	CHECK_INT(
		create("{\"id\":\"1002\",\"interfaces\":[\"pbx-b:user/1002\"]}", NULL),
		STORE_CREATED);
	test_expect_log("already bound to channel pbx-b");
	CHECK(!who("pbx-a", "PJSIP/1002", "1002"));
	CHECK_INT(create("{\"id\":\"1003\"}", NULL), STORE_CREATED);
	CHECK_STR(who("pbx-a", "PJSIP/1003", "1003"), "1003");
	test_expect_log("which is no agent id");
	CHECK(!who("pbx-a", "PJSIP/x", "a b"));
	CHECK(!who("pbx-a", "PJSIP/x", NULL));
	CHECK(!who("pbx-a", "PJSIP/x", ""));
	CHECK(!who("pbx-a", NULL, NULL));
	/* Another tenant's 1001 is another agent. */
	CHECK_STR(agents_of_endpoint(e.agents, "other", "pbx-c", "SIP/1001", "1001"),
		"1001");
	end();
}

static void
test_change_of_another_instance_is_seen(void)
{
	struct err err;
	begin();
	CHECK(!who("pbx-a", "PJSIP/7", NULL));
	struct pg_sync *pg = pg_sync_open(getenv("TEST_CONNINFO"), &err);
	CHECK_INT(pg_sync_exec(pg,
			  "INSERT INTO agent (tenant_id, id, interfaces) SELECT id, "
			  "'77', '{PJSIP/7}' FROM tenant WHERE name = 'default'",
			  &err),
		0);
	UNTIL(who("pbx-a", "PJSIP/7", NULL));
	CHECK_STR(who("pbx-a", "PJSIP/7", NULL), "77");
	CHECK_INT(pg_sync_exec(pg, "DELETE FROM agent WHERE id = '77'", &err), 0);
	pg_sync_close(&pg);
	UNTIL(!who("pbx-a", "PJSIP/7", NULL));
	end();
}

static void
test_every_change_is_audited(void)
{
	struct err err;
	begin();
	create("{\"id\":\"1001\",\"name\":\"secret name\"}", NULL);
	patch("1001", "{\"name\":\"other\",\"queues\":[]}");
	struct pg_sync *pg = pg_sync_open(getenv("TEST_CONNINFO"), &err);
	CHECK_INT(
		pg_sync_exec(pg,
			"DO $$ BEGIN ASSERT (SELECT string_agg(action || ' ' || "
			"fields::text, ',' ORDER BY id DESC) FROM (SELECT * FROM audit "
			"ORDER BY id DESC LIMIT 2) x) = 'agent.updated {name,queues},"
			"agent.created {id,name}'; END $$",
			&err),
		0);
	pg_sync_close(&pg);
	end();
}

/* ---- Tokens ---- */

static void
on_verified(void *arg, enum agent_token_status status, const struct tenant *t,
	const char *agent, const char *hash)
{
	(void)arg;
	CHECK((status == AGENT_TOKEN_VALID) == (hash != NULL));
	snprintf(e.made_with, sizeof(e.made_with), "%s", hash ? hash : "");
	CHECK(!e.answered);
	e.answered = true;
	e.verified = status;
	snprintf(e.whose, sizeof(e.whose), "%s/%s", t ? t->name : "",
		agent ? agent : "");
}

static enum agent_token_status
verify(const char *token)
{
	agent_token_verify(e.tokens, token, on_verified, NULL);
	wait_answer();
	return e.verified;
}

static char *
member(const char *name)
{
	json_t *o = json_loads(e.json, 0, NULL);
	char *text = xstrdup(json_string_value(json_object_get(o, name)));
	CHECK(text);
	json_decref(o);
	return text;
}

static void
make_token(int64_t ttl_s, const struct idempotency *idem)
{
	agent_token_create(e.tokens, &e.actor, "1001", ttl_s, idem, on_answer, NULL);
	wait_answer();
}

/* An agent's page that comes back before the daemon is live must not be told that its
 * token is wrong: it would not try again. */
static void
test_a_token_is_not_called_wrong_while_the_daemon_starts(void)
{
	begin();
	int64_t id = e.tenants[0].id;
	make_token(3600, NULL);
	char *token = member("token");
	e.tenants[0].id = 0;
	e.store.held = true;
	CHECK_INT(verify(token), AGENT_TOKEN_UNAVAILABLE);
	CHECK_INT(verify("ia_unknown"), AGENT_TOKEN_INVALID);
	e.tenants[0].id = id;
	e.store.held = false;
	CHECK_INT(verify(token), AGENT_TOKEN_VALID);
	xfree(&token);
	end();
}

static void
test_token_is_good_until_revoked(void)
{
	struct uuid uuid;
	begin();
	make_token(3600, NULL);
	CHECK_INT(e.status, STORE_CREATED);
	char *token = member("token"), *id = member("id");
	CHECK(str_starts(token, AGENT_TOKEN_PREFIX));
	CHECK_INT((int64_t)strlen(token), (int64_t)strlen(AGENT_TOKEN_PREFIX) + 43);
	CHECK_INT(verify(token), AGENT_TOKEN_VALID);
	CHECK_STR(e.whose, "default/1001");
	CHECK_INT(verify(token), AGENT_TOKEN_VALID);
	agent_token_list(e.tokens, &e.tenants[0], "1001", on_answer, NULL);
	wait_answer();
	CHECK(strstr(e.json, id) && !strstr(e.json, token));
	CHECK(uuid_parse(id, &uuid));
	/* Another tenant's or agent's is not there. */
	struct actor stranger = {
		.tenant = &e.tenants[1], .name = "key:x", .role = "admin"};
	agent_token_revoke(e.tokens, &stranger, "1001", &uuid, on_answer, NULL);
	wait_answer();
	CHECK_INT(e.status, STORE_NOT_FOUND);
	agent_token_revoke(e.tokens, &e.actor, "1002", &uuid, on_answer, NULL);
	wait_answer();
	CHECK_INT(e.status, STORE_NOT_FOUND);
	CHECK_INT(verify(token), AGENT_TOKEN_VALID);
	/* A second instance believes for a while, but not longer than 5 s. */
	struct agent_tokens *second = agent_tokens_new(&e.store, e.redis);
	agent_token_verify(second, token, on_verified, NULL);
	wait_answer();
	CHECK_INT(e.verified, AGENT_TOKEN_VALID);
	agent_token_revoke(e.tokens, &e.actor, "1001", &uuid, on_answer, NULL);
	wait_answer();
	CHECK_INT(e.status, STORE_OK);
	CHECK_INT(verify(token), AGENT_TOKEN_INVALID);
	int64_t revoked_us = clock_mono_us();
	do {
		agent_token_verify(second, token, on_verified, NULL);
		wait_answer();
	} while (e.verified == AGENT_TOKEN_VALID &&
		 clock_mono_us() < revoked_us + 9 * S);
	CHECK_INT(e.verified, AGENT_TOKEN_INVALID);
	CHECK(clock_mono_us() < revoked_us + 5 * S);
	agent_tokens_free(&second);
	agent_token_list(e.tokens, &e.tenants[0], "1001", on_answer, NULL);
	wait_answer();
	CHECK(!strstr(e.json, id));
	xfree(&token);
	xfree(&id);
	end();
}

static void
test_token_limits_and_replay(void)
{
	struct idempotency idem = {"k2", "key:test", "POST", "/tokens", {3}};
	static const char *const bad[] = {"", "x", AGENT_TOKEN_PREFIX,
		AGENT_TOKEN_PREFIX "0123456789012345678901234567890123456789012",
		AGENT_TOKEN_PREFIX
		"0123456789012345678901234567890123456789012345678901234"
		"5678901234567890"};
	begin();
	make_token(59, NULL);
	CHECK_INT(e.status, STORE_INVALID);
	make_token(30 * 24 * 3600 + 1, NULL);
	CHECK_INT(e.status, STORE_INVALID);
	make_token(60, &idem);
	CHECK_INT(e.status, STORE_CREATED);
	make_token(60, &idem);
	CHECK_INT(e.status, STORE_REPLAYED);
	CHECK(!strstr(e.json, "\"token\""));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_INT(verify(bad[i]), AGENT_TOKEN_INVALID);
	end();
}

static void
test_expired_token_is_none(void)
{
	struct err err;
	begin();
	make_token(3600, NULL);
	char *token = member("token");
	struct pg_sync *pg = pg_sync_open(getenv("TEST_CONNINFO"), &err);
	CHECK_INT(
		pg_sync_exec(pg, "UPDATE agent_token SET expires_at = now()", &err), 0);
	pg_sync_close(&pg);
	CHECK_INT(verify(token), AGENT_TOKEN_INVALID);
	xfree(&token);
	end();
}

static void
test_ticket_opens_once(void)
{
	begin();
	agent_ticket_create(e.tokens, &e.tenants[1], "1001", "0a1b", on_answer, NULL);
	wait_answer();
	CHECK_INT(e.status, STORE_CREATED);
	char *ticket = member("ticket");
	agent_ticket_redeem(e.tokens, ticket, on_verified, NULL);
	wait_answer();
	CHECK_INT(e.verified, AGENT_TOKEN_VALID);
	CHECK_STR(e.whose, "other/1001");
	CHECK_STR(e.made_with, "0a1b");
	static const char *const bad[] = {"", "x", "x.", "x.default", "x.none"};
	agent_ticket_redeem(e.tokens, ticket, on_verified, NULL);
	wait_answer();
	CHECK_INT(e.verified, AGENT_TOKEN_INVALID);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		agent_ticket_redeem(e.tokens, bad[i], on_verified, NULL);
		wait_answer();
		CHECK_INT(e.verified, AGENT_TOKEN_INVALID);
	}
	xfree(&ticket);
	/* Redis away: said so. */
	redis_close(&e.redis);
	end();
}

static void
test_stop_with_questions_under_way(void)
{
	json_t *o = json_pack("{s:s}", "id", "1009");
	begin();
	agent_create(e.agents, &e.actor, o, NULL, on_answer, NULL);
	agents_free(&e.agents);
	wait_answer();
	CHECK_INT(e.status, STORE_CREATED);
	agent_token_verify(e.tokens,
		AGENT_TOKEN_PREFIX "0123456789012345678901234567890123456789012",
		on_verified, NULL);
	agent_tokens_free(&e.tokens);
	wait_answer();
	CHECK_INT(e.verified, AGENT_TOKEN_UNAVAILABLE);
	json_decref(o);
	end();
}

int
main(void)
{
	if (!getenv("TEST_REDIS") || !getenv("TEST_CONNINFO")) {
		fputs("SKIP: no TEST_CONNINFO; run it under tests/lib/with-servers\n",
			stderr);
		return 77;
	}
	TEST(test_create_read_change_list);
	TEST(test_wrong_bodies_are_named);
	TEST(test_idempotent_create_is_replayed);
	TEST(test_pattern_agents_are_bound_to_their_channel);
	TEST(test_change_of_another_instance_is_seen);
	TEST(test_every_change_is_audited);
	TEST(test_a_token_is_not_called_wrong_while_the_daemon_starts);
	TEST(test_token_is_good_until_revoked);
	TEST(test_token_limits_and_replay);
	TEST(test_expired_token_is_none);
	TEST(test_ticket_opens_once);
	TEST(test_stop_with_questions_under_way);
	return test_done();
}
