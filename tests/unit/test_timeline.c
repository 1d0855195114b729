/* Reading the timeline and logging by hand, against a real PostgreSQL
 * (tests/lib/with-servers). */
#include <timeline/interaction.h>

#include <clock.h>
#include <jansson.h>
#include <lib/store_env.h>
#include <lib/test.h>
#include <mem.h>
#include <people/contact.h>
#include <str.h>
#include <timeline/audit.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store_env env;
static struct store_got got;
static struct actor staff = {.name = "key:crm", .role = "admin"};
static struct uuid contact;
static char contact_text[UUID_TEXT_LEN];

static json_t *
answer(void)
{
	json_t *o = json_loads(got.json, 0, NULL);

	if (!o)
		test_fail(__FILE__, __LINE__, "no JSON: %d %s %s", got.status,
			got.detail, got.json);
	return o;
}

static enum store_status
create(const char *json, const struct idempotency *idem)
{
	json_t *body = json_loads(json, 0, NULL);

	interaction_create(&env.store, &staff, body, idem, store_got_answer, &got);
	CHECK_INT(got.n, 0);
	json_decref(body);
	return store_env_answer(&env, &got);
}

static enum store_status
log_note(const char *at, const char *summary)
{
	char *body = xasprintf("{\"contact\":\"%s\",\"kind\":\"note\",\"at\":\"%s\","
			       "\"summary\":\"%s\"}",
		contact_text, at, summary);
	enum store_status st = create(body, NULL);

	xfree(&body);
	return st;
}

static json_t *
page(unsigned limit, const char *before, const char *kind)
{
	struct timeline_page what = {.limit = limit, .before = before, .kind = kind};

	interaction_timeline(
		&env.store, &staff, &contact, &what, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	return answer();
}

static const char *
item(const json_t *page, size_t i, const char *name)
{
	const char *s = json_string_value(json_object_get(
		json_array_get(json_object_get(page, "items"), i), name));

	return s ? s : "(none)";
}

static void
make_contact(void)
{
	json_t *body = json_loads("{\"name\":\"T\"}", 0, NULL), *o;

	contact_create(
		&env.store, &staff, body, TRUST_RECORDED, NULL, store_got_answer, &got);
	json_decref(body);
	CHECK_INT(store_env_answer(&env, &got), STORE_CREATED);
	o = answer();
	uuid_parse(json_string_value(json_object_get(o, "id")), &contact);
	json_decref(o);
	uuid_format(contact_text, &contact);
}

static void
test_logged_by_hand_appears_at_its_time(void)
{
	make_contact();
	CHECK_INT(log_note("2026-03-02T08:00:00Z", "second"), STORE_CREATED);
	CHECK_INT(log_note("2003-07-01T12:00:00.250+02:00", "first"), STORE_CREATED);
	CHECK_INT(log_note("2026-03-02T08:00:01Z", "third"), STORE_CREATED);
	json_t *p = page(0, NULL, NULL);
	CHECK_INT((int64_t)json_array_size(json_object_get(p, "items")), 3);
	CHECK_STR(item(p, 0, "summary"), "third");
	CHECK_STR(item(p, 1, "summary"), "second");
	CHECK_STR(item(p, 2, "summary"), "first");
	CHECK_STR(item(p, 2, "at"), "2003-07-01T10:00:00.250Z");
	CHECK_STR(item(p, 2, "contact"), contact_text);
	CHECK_STR(item(p, 2, "direction"), "in");
	CHECK(json_is_null(json_object_get(p, "next")));
	CHECK(!json_object_get(json_array_get(json_object_get(p, "items"), 0), "legs"));
	json_decref(p);
}

static void
test_one_is_read_with_everything(void)
{
	struct uuid id;

	CHECK_INT(log_note("2026-03-03T08:00:00Z", "whole"), STORE_CREATED);
	json_t *o = answer();
	static const char *const members[] = {"id", "kind", "direction", "channel",
		"external_id", "state", "contact", "conversation", "agent", "queue",
		"remote", "local", "at", "answered_at", "ended_at", "summary",
		"variables", "disposition", "wait_ms", "talk_ms", "hold_ms", "legs",
		"body", "history"};
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (!json_object_get(o, members[i]))
			test_fail(__FILE__, __LINE__, "no %s", members[i]);
	CHECK(uuid_parse(json_string_value(json_object_get(o, "id")), &id));
	json_decref(o);
	interaction_get(&env.store, &staff, &id, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	CHECK(strstr(got.json, "interaction.created"));
	struct actor other = {
		.tenant = &env.tenants[1], .name = "key:o", .role = "admin"};
	interaction_get(&env.store, &other, &id, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_NOT_FOUND);
}

static void
test_bad_bodies_name_the_field(void)
{
	static const char *const bad[][2] = {
		{"{\"kind\":\"note\"}", "contact: "},
		{"{\"contact\":\"7\",\"kind\":\"note\"}", "contact: "},
		{"{\"contact\":\"01900000-0000-7000-8000-00000000dead\",\"kind\":\"note\"}",
			"contact: "},
		{"{\"contact\":\"%s\"}", "kind: "},
		{"{\"contact\":\"%s\",\"kind\":\"A b\"}", "kind: "},
		{"{\"contact\":\"%s\",\"kind\":\"note\",\"direction\":\"up\"}",
			"direction: "},
		{"{\"contact\":\"%s\",\"kind\":\"note\",\"at\":\"yesterday\"}", "at: "},
		{"{\"contact\":\"%s\",\"kind\":\"note\",\"at\":\"2999-01-01T00:00:00Z\"}",
			"at: "},
		{"{\"contact\":\"%s\",\"kind\":\"note\",\"at\":\"1960-01-01T00:00:00Z\"}",
			"at: "},
		{"{\"contact\":\"%s\",\"kind\":\"note\",\"agent\":\"a b\"}", "agent: "},
		{"{\"contact\":\"%s\",\"kind\":\"note\",\"summary\":1}", "summary: "},
		{"{\"contact\":\"%s\",\"kind\":\"note\",\"variables\":[]}",
			"variables: "},
		{"{\"contact\":\"%s\",\"kind\":\"note\",\"colour\":1}", "colour: "},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *gap = strstr(bad[i][0], "%s");
		char *body = gap ? xasprintf("%.*s%s%s", (int)(gap - bad[i][0]),
					   bad[i][0], contact_text, gap + 2)
				 : xstrdup(bad[i][0]);
		if (create(body, NULL) != STORE_INVALID ||
			!strstr(got.detail, bad[i][1]))
			test_fail(__FILE__, __LINE__, "%s: %d %s", body, got.status,
				got.detail);
		xfree(&body);
	}
}

static void
test_pages_join_without_gap_or_double(void)
{
	char at[40], summary[16], cursor[64] = "";
	int seen = 0, pages = 0;

	make_contact();
	for (int i = 0; i < 25; i++) {
		snprintf(at, sizeof(at), "2025-%02d-%02dT08:00:00Z", 1 + i % 12, 1 + i);
		snprintf(summary, sizeof(summary), "n%d", i);
		CHECK_INT(log_note(at, summary), STORE_CREATED);
	}
	char last[64] = "9";
	do {
		json_t *p = page(10, *cursor ? cursor : NULL, NULL);
		size_t n = json_array_size(json_object_get(p, "items"));
		for (size_t i = 0; i < n; i++) {
			CHECK(strcmp(item(p, i, "at"), last) < 0);
			str_copy(last, sizeof(last), item(p, i, "at"));
		}
		seen += (int)n;
		const char *next = json_string_value(json_object_get(p, "next"));
		str_copy(cursor, sizeof(cursor), next ? next : "");
		json_decref(p);
	} while (*cursor && ++pages < 10);
	CHECK_INT(seen, 25);
	CHECK_INT(pages, 2);
}

static void
test_kind_filters_and_merged_members_take_part(void)
{
	struct uuid survivor;
	char sql[300], into[UUID_TEXT_LEN];

	make_contact();
	CHECK_INT(log_note("2026-01-01T00:00:00Z", "absorbed's"), STORE_CREATED);
	struct uuid absorbed = contact;
	make_contact();
	survivor = contact;
	char *body = xasprintf("{\"contact\":\"%s\",\"kind\":\"visit\",\"at\":"
			       "\"2026-01-02T00:00:00Z\"}",
		contact_text);
	CHECK_INT(create(body, NULL), STORE_CREATED);
	xfree(&body);
	char from[UUID_TEXT_LEN];
	snprintf(sql, sizeof(sql),
		"UPDATE contact SET merged_into = '%s' WHERE id = '%s'",
		uuid_format(into, &survivor), uuid_format(from, &absorbed));
	store_env_exec(&env, sql);
	contact = absorbed;
	json_t *p = page(0, NULL, NULL);
	CHECK_INT((int64_t)json_array_size(json_object_get(p, "items")), 2);
	CHECK_STR(item(p, 1, "summary"), "absorbed's");
	CHECK_STR(item(p, 1, "contact"), into);
	json_decref(p);
	p = page(0, NULL, "visit");
	CHECK_INT((int64_t)json_array_size(json_object_get(p, "items")), 1);
	json_decref(p);
	uuid_parse("01900000-0000-7000-8000-00000000dead", &contact);
	struct timeline_page what = {.limit = 0};
	interaction_timeline(
		&env.store, &staff, &contact, &what, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_NOT_FOUND);
	what.before = "junk";
	interaction_timeline(
		&env.store, &staff, &contact, &what, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_INVALID);
}

static void
test_idempotency_key_logs_once(void)
{
	struct idempotency key = {"k", "key:crm", "POST", "/v1/interactions", {1}};

	make_contact();
	char *body =
		xasprintf("{\"contact\":\"%s\",\"kind\":\"letter\"}", contact_text);
	CHECK_INT(create(body, &key), STORE_CREATED);
	CHECK_INT(create(body, &key), STORE_REPLAYED);
	CHECK_INT(got.http_status, 201);
	xfree(&body);
	json_t *p = page(0, NULL, "letter");
	CHECK_INT((int64_t)json_array_size(json_object_get(p, "items")), 1);
	json_decref(p);
}

static int64_t
audit_count(const struct audit_filter *f)
{
	audit_list(&env.store, staff.tenant, 10, NULL, f, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	json_t *p = answer();
	int64_t n = (int64_t)json_array_size(json_object_get(p, "items"));
	json_decref(p);
	return n;
}

static void
test_audit_pages_and_filters(void)
{
	const struct audit_filter all = {0};
	make_contact();
	log_note("2026-01-01T00:00:00Z", "secret words");
	audit_list(&env.store, staff.tenant, 1, NULL, &all, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	json_t *p = answer();
	CHECK_STR(item(p, 0, "action"), "interaction.created");
	CHECK_STR(item(p, 0, "actor"), "key:crm");
	CHECK(!strstr(got.json, "secret"));
	char cursor[40];
	str_copy(cursor, sizeof(cursor), json_string_value(json_object_get(p, "next")));
	json_decref(p);
	audit_list(&env.store, staff.tenant, 1, cursor, &all, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	p = answer();
	CHECK_STR(item(p, 0, "action"), "contact.created");
	json_decref(p);
	char object[80];
	snprintf(object, sizeof(object), "contact:%s", contact_text);
	const int64_t now = clock_wall_us(), hour = 3600 * INT64_C(1000000);
	const struct {
		struct audit_filter filter;
		int64_t n;
	} cases[] = {
		{{.object = object}, 1},
		{{.object = contact_text}, 1},
		{{.object = object, .actor = "key:crm"}, 1},
		{{.object = object, .actor = "key:CRM"}, 0},
		{{.object = object, .action = "contact.created"}, 1},
		{{.object = object, .action = "contact.*"}, 1},
		{{.object = object, .action = "*.created"}, 1},
		{{.action = "contact_*"}, 0},
		{{.object = object, .from_us = now - hour, .to_us = now + hour}, 1},
		{{.from_us = now + hour}, 0},
		{{.to_us = now - hour}, 0},
		{{.object = object, .action = "interaction.created"}, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_INT(audit_count(&cases[i].filter), cases[i].n);
	audit_list(&env.store, &env.tenants[1], 10, NULL, &all, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	CHECK_STR(got.json, "{\"items\":[],\"next\":null}");
}

int
main(void)
{
	if (!store_env_available())
		return 77;
	store_env_start(&env, "test_timeline");
	staff.tenant = &env.tenants[0];
	TEST(test_logged_by_hand_appears_at_its_time);
	TEST(test_one_is_read_with_everything);
	TEST(test_bad_bodies_name_the_field);
	TEST(test_pages_join_without_gap_or_double);
	TEST(test_kind_filters_and_merged_members_take_part);
	TEST(test_idempotency_key_logs_once);
	TEST(test_audit_pages_and_filters);
	store_env_stop(&env);
	return test_done();
}
