/* test_webhook.c - patterns, secrets, signatures, verdicts; and that an event's row has
 * the body that is published, in the order of its contact. */
#include "lib/test.h"

#include "lib/store_env.h"

#include <buf.h>
#include <clock.h>
#include <desk/events.h>
#include <desk/webhook_rules.h>
#include <mem.h>
#include <str.h>

#include <sodium.h>

#include <stdio.h>
#include <string.h>

static void
test_patterns(void)
{
	static const char *const good[] = {
		"*", "contact.*", "interaction.ended", "agent.state_changed"};
	static const char *const bad[] = {"", ".", "contact", "contact.", ".created",
		"*.*", "contact.*.x", "contact.**", "Contact.*", "contact.a b",
		"contact.created\n", "abcdefghijklmnopqrstuvwxyzabcdefgh.x"};
	static const struct {
		const char *pattern, *type;
		bool want;
	} cases[] = {
		{"*", "contact.created", true},
		{"contact.*", "contact.created", true},
		{"contact.created", "contact.created", true},
		{"contact.*", "contacts.created", false},
		{"contact.*", "contact", false},
		{"contact.created", "contact.created_twice", false},
		{"interaction.*", "contact.created", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		CHECK(webhook_pattern_is_sound(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (webhook_pattern_is_sound(bad[i]))
			test_fail(__FILE__, __LINE__, "sound: %s", bad[i]);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (webhook_pattern_matches(cases[i].pattern, cases[i].type) !=
			cases[i].want)
			test_fail(__FILE__, __LINE__, "%s %s", cases[i].pattern,
				cases[i].type);
}

static void
test_secrets(void)
{
	char a[WEBHOOK_SECRET_LEN], b[WEBHOOK_SECRET_LEN], text[256];

	webhook_secret_make(a);
	webhook_secret_make(b);
	CHECK(webhook_secret_is_sound(a) && !str_eq(a, b) && str_starts(a, "whsec_"));
	CHECK_INT((int64_t)strlen(a), 49);
	CHECK(webhook_secret_is_sound("0123456789abcdef"));
	CHECK(!webhook_secret_is_sound("0123456789abcde"));
	CHECK(!webhook_secret_is_sound("0123456789 abcdef"));
	CHECK(!webhook_secret_is_sound("0123456789\xc3\xa9"
				       "abcdef"));
	memset(text, 'x', sizeof(text));
	text[201] = '\0';
	CHECK(!webhook_secret_is_sound(text));
}

#define VECTOR_1 "0c4a6159cebd90af5bc491f3abfe08d161446acba2cdca90792e12f70bb72973"
#define VECTOR_2 "c7a9ec322b973d352808e2405904898920d07ccda6d7d73c3759be697c780ff3"

/* Made with `printf '%s' '1795277508.{"v":1}' | openssl dgst -sha256 -hmac SECRET`. */
static void
test_signature_vectors(void)
{
	static const char body[] = "{\"v\":1}";
	char s[WEBHOOK_SIGNATURE_LEN];

	webhook_sign(s, "whsec_test-secret-1", NULL, 1795277508, body, strlen(body));
	CHECK_STR(s, "t=1795277508,v1=" VECTOR_1);
	webhook_sign(s, "whsec_test-secret-1", "an-older-secret-2", 1795277508, body,
		strlen(body));
	CHECK_STR(s, "t=1795277508,v1=" VECTOR_1 ",v1=" VECTOR_2);
	/* The longest there can be. */
	webhook_sign(s, "x", "y", INT64_MAX, "", 0);
	CHECK_INT((int64_t)strlen(s), 2 + 19 + 2 * (4 + 64));
}

static void
test_verdicts(void)
{
	static const struct {
		int status;
		int64_t retry_after;
		enum webhook_verdict want;
	} cases[] = {
		{200, -1, WEBHOOK_DELIVERED},
		{204, -1, WEBHOOK_DELIVERED},
		{299, 5, WEBHOOK_DELIVERED},
		{0, -1, WEBHOOK_RETRY},
		{302, -1, WEBHOOK_RETRY},
		{400, -1, WEBHOOK_RETRY},
		{429, -1, WEBHOOK_RETRY},
		{429, 0, WEBHOOK_WAIT},
		{503, 120, WEBHOOK_WAIT},
		{500, 120, WEBHOOK_RETRY},
		{410, -1, WEBHOOK_GONE},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (webhook_judge(cases[i].status, cases[i].retry_after) !=
			cases[i].want)
			test_fail(__FILE__, __LINE__, "%d", cases[i].status);
}

static void
test_stamps(void)
{
	struct event_stamp s = event_stamp_new(true);
	struct uuid zero = event_nth(&s, 0), n = event_nth(&s, 0x1234);

	CHECK(uuid_eq(&zero, &s.id) && s.at_us % 1000 == 0);
	CHECK(n.b[14] == 0x12 && n.b[15] == 0x34 && memcmp(n.b, s.id.b, 14) == 0);
}

/* ---- With a database ---------------------------------------------------------------- */

static struct store_env env;

static void
add_hook(const char *events)
{
	char sql[400];

	snprintf(sql, sizeof(sql),
		"insert into webhook (tenant_id, id, url, events, secret) values "
		"(%d, gen_random_uuid(), 'https://a.example/', '{%s}', 's')",
		env.tenants[0].id, events);
	store_env_exec(&env, sql);
}

static void
on_kept(void *arg, const struct pg_answer *a)
{
	CHECK_STR(a->message, "");
	CHECK_INT(a->status, PG_OK);
	(*(int *)arg)++;
}

static void
keep(const struct event_stamp *s, unsigned nth, const char *type, const char *object)
{
	struct pg_unit *u = pg_unit_new(env.store.writes);
	int n = 0;

	events_keep(u, &env.tenants[0], s, nth, type, object, NULL);
	pg_submit(&u, 10000, on_kept, &n);
	CHECK(store_env_wait(&env, &n, 1));
}

static void
test_rows_are_what_is_published(void)
{
	static const char object[] = "{\"id\":\"k1\",\"name\":\"示例 \\\"x\\\" \\\\\"}";
	char want[1000], id[UUID_TEXT_LEN], at[CLOCK_RFC3339_LEN];

	add_hook("contact.*");
	add_hook("interaction.ended");
	struct event_stamp s = event_stamp_new(true);
	struct uuid third = event_nth(&s, 3);
	keep(&s, 3, "contact.updated", object);
	snprintf(want, sizeof(want),
		"{\"v\":1,\"id\":\"%s\",\"type\":\"contact.updated\",\"at\":\"%s\","
		"\"tenant\":\"default\",\"object\":%s,\"changes\":{}}",
		uuid_format(id, &third), clock_format(at, s.at_us), object);
	CHECK_STR(store_env_value(&env, "select body from webhook_delivery"), want);
	CHECK_STR(store_env_value(&env, "select order_key from webhook_queue"), "k1");
	/* Again under the same id: once. */
	keep(&s, 3, "contact.updated", object);
	CHECK_STR(store_env_value(&env, "select sum(pending) from webhook_queue"), "1");
	/* What nobody wants has no row. */
	keep(&s, 4, "interaction.created", object);
	CHECK_STR(store_env_value(&env, "select count(*) from webhook_delivery"), "1");
}

static void
test_keys_of_order(void)
{
	static const struct {
		const char *type, *object, *want;
	} cases[] = {
		{"contact.updated", "{\"id\":\"a\",\"contact\":\"b\"}", "a"},
		{"interaction.ended", "{\"id\":\"a\",\"contact\":\"b\"}", "b"},
		{"interaction.ended", "{\"id\":\"a\",\"contact\":null}", "a"},
		{"agent.state_changed", "{\"id\":\"1001\"}", "1001"},
		{"system.odd", "{}", "system.odd"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char sql[300];
		snprintf(sql, sizeof(sql), "select event_key('%s', '%s')",
			cases[i].type, cases[i].object);
		CHECK_STR(store_env_value(&env, sql), cases[i].want);
	}
}

/* A key under a sender's hands is not taken twice, and what arrives meanwhile is counted. */
static void
test_claims_and_reports(void)
{
	char sql[800];
	const char *claim = "select string_agg(order_key || ':' || type, ' ' order by "
			    "seq) from webhook_claim((select tenant_id from webhook "
			    "where events = '{x.*}'), (select id from webhook where "
			    "events = '{x.*}'), 10, 2, 60000)";

	add_hook("x.*");
	for (unsigned i = 0; i < 3; i++) {
		struct event_stamp s = event_stamp_new(true);
		snprintf(sql, sizeof(sql), "x.e%c", 'a' + (int)i);
		keep(&s, 0, sql, "{\"id\":\"k\"}");
	}
	CHECK_STR(store_env_value(&env, claim), "k:x.ea k:x.eb");
	CHECK_STR(store_env_value(&env, claim), "(null)");
	struct event_stamp s = event_stamp_new(true);
	keep(&s, 0, "x.ed", "{\"id\":\"k\"}");
	CHECK_STR(store_env_value(&env, claim), "(null)");
	/* The first is delivered, the second fails: its turn comes again, first. */
	snprintf(sql, sizeof(sql),
		"select webhook_report(w.tenant_id, w.id, '{k}', '{0}', "
		"array(select seq from webhook_delivery where type in ('x.ea', 'x.eb') "
		"order by seq), '{delivered,waiting}', '{200,500}', "
		"'{null,\"the answer was 500\"}', 'ok', null, false) "
		"from webhook w where events = '{x.*}'");
	store_env_value(&env, sql);
	CHECK_STR(store_env_value(&env,
			  "select pending || ' ' || leased from webhook_queue "
			  "where order_key = 'k'"),
		"3 false");
	store_env_value(&env, sql); /* the answer was lost, and it is told again */
	CHECK_STR(store_env_value(&env,
			  "select pending from webhook_queue where order_key = 'k'"),
		"3");
	CHECK_STR(store_env_value(&env, claim), "k:x.eb k:x.ec");
	/* Given up by age only when nobody holds it. */
	store_env_exec(&env, "update webhook_delivery set queued_at = now() - "
			     "interval '73 hours' where type = 'x.eb'");
	const char *maintain = "select expired from webhooks_maintain(72 * 3600000::"
			       "bigint, 1000000, 1000000, 100)";
	CHECK_STR(store_env_value(&env, maintain), "0");
	store_env_exec(&env, "update webhook_queue set leased = false");
	CHECK_STR(store_env_value(&env, maintain), "1");
	CHECK_STR(store_env_value(&env,
			  "select pending from webhook_queue where order_key = 'k'"),
		"2");
}

int
main(void)
{
	if (sodium_init() < 0)
		return 1;
	TEST(test_patterns);
	TEST(test_secrets);
	TEST(test_signature_vectors);
	TEST(test_verdicts);
	TEST(test_stamps);
	if (store_env_available()) {
		store_env_start(&env, "test_webhook");
		TEST(test_rows_are_what_is_published);
		TEST(test_keys_of_order);
		TEST(test_claims_and_reports);
		store_env_stop(&env);
	}
	return test_done();
}
