/* The group-commit writer against a real PostgreSQL (tests/lib/with-servers). */
#include <timeline/writer.h>

#include <clock.h>
#include <io/loop.h>
#include <lib/store_env.h>
#include <lib/test.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store_env env;

struct saved {
	int n;
	struct write_result last;
};

static void
on_saved(void *arg, const struct write_result *r)
{
	struct saved *s = arg;

	s->n++;
	s->last = *r;
}

static int serial;

static struct interaction
call_of(const char *number, const char *state)
{
	static char external[32];
	struct interaction in = {.tenant = &env.tenants[0],
		.kind = "call",
		.direction = "in",
		.channel = "pbx",
		.state = state,
		.remote_kind = "phone",
		.remote_value = number,
		.remote_normal = true,
		.trust = TRUST_NETWORK,
		.local = "6000",
		.variables = "{}",
		.summary = "a call",
		.wait_ms = -1,
		.talk_ms = -1,
		.hold_ms = -1};

	snprintf(external, sizeof(external), "x%d", ++serial);
	in.at_us = clock_wall_us();
	in.id = uuid_new(in.at_us);
	in.new_contact = uuid_new(in.at_us);
	return in;
}

static struct writer *
writer_open(size_t max_waiting)
{
	struct writer_opts opts = {.max_waiting = max_waiting, .deadline_ms = 5000};

	return writer_new(&env.store, &opts);
}

static int
count(const char *table)
{
	char sql[100];

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
	return atoi(store_env_value(&env, sql));
}

static void
save_and_wait(struct writer *w, const struct interaction *in, struct saved *s)
{
	int want = s->n + 1;

	writer_save(w, in, NULL, on_saved, s);
	CHECK_INT(s->n, want - 1);
	CHECK(store_env_wait(&env, &s->n, want));
}

static void
test_stranger_becomes_an_unnamed_contact(void)
{
	struct writer *w = writer_open(0);
	struct saved s = {0};
	struct interaction in = call_of("+886911000001", "ringing");

	save_and_wait(w, &in, &s);
	CHECK_INT(s.last.status, WRITE_DONE);
	CHECK(s.last.created && s.last.contact_created);
	CHECK(uuid_eq(&s.last.contact, &in.new_contact));
	CHECK_STR(store_env_value(&env,
			  "SELECT concat_ws(',', trust, source) FROM identity "
			  "WHERE value = '+886911000001'"),
		"2,pbx");
	/* again, and another call of the same: nobody new */
	save_and_wait(w, &in, &s);
	CHECK(!s.last.created && !s.last.contact_created);
	struct interaction second = call_of("+886911000001", "ended");
	save_and_wait(w, &second, &s);
	CHECK(s.last.created && !s.last.contact_created);
	CHECK(uuid_eq(&s.last.contact, &in.new_contact));
	writer_close(&w, 1000);
}

static void
test_every_field_comes_back(void)
{
	struct writer *w = writer_open(0);
	struct saved s = {0};
	struct interaction in = call_of("+886911000002", "ended");
	struct interaction_leg legs[2] = {{.type = "ring",
						  .agent = "1001",
						  .interface = "PJSIP/1001",
						  .queue = "support",
						  .result = "answered_elsewhere",
						  .at_us = 1763712000000000,
						  .ended_us = 1763712003500000},
		{.type = "talk", .at_us = 1763712001000000}};

	legs[0].id = uuid_new(in.at_us);
	legs[1].id = uuid_new(in.at_us);
	in.external_id = "linked-2";
	in.agent = "1002";
	in.queue = "support";
	in.remote_display = "O'Hara \"{x}\" \\ 示例 \xff";
	in.answered_us = 1763712001250000;
	in.ended_us = 1763712003999999;
	in.variables = "{\"CUSTOMER_ID\":\"42\"}";
	in.details = "{\"recordings\":[\"a.wav\"]}";
	in.disposition = "answered";
	in.wait_ms = 0;
	in.talk_ms = 2750;
	in.legs = legs;
	in.n_legs = 2;
	save_and_wait(w, &in, &s);
	CHECK_STR(
		store_env_value(&env,
			"SELECT concat_ws('|', kind, direction, channel, external_id, "
			"state, agent, queue, remote_kind, remote_value, remote_display, "
			"withheld, trust, local, time_to_us(answered_at), "
			"time_to_us(ended_at), summary, variables, details, "
			"disposition, wait_ms, talk_ms, coalesce(hold_ms, -7)) "
			"FROM interaction WHERE external_id = 'linked-2'"),
		"call|in|pbx|linked-2|ended|1002|support|phone|+886911000002|"
		"O'Hara \"{x}\" \\ 示例 \xef\xbf\xbd|f|2|6000|1763712001250000|"
		"1763712003999999|a call|{\"CUSTOMER_ID\": \"42\"}|"
		"{\"recordings\": [\"a.wav\"]}|answered|0|2750|-7");
	CHECK_STR(
		store_env_value(&env,
			"SELECT string_agg(concat_ws('|', type, l.agent, interface, l.queue, "
			"result, time_to_us(l.at), time_to_us(l.ended_at)), ' ' ORDER BY "
			"l.at) FROM interaction_leg l JOIN interaction i "
			"ON i.id = l.interaction_id WHERE external_id = 'linked-2'"),
		"ring|1001|PJSIP/1001|support|answered_elsewhere|1763712000000000|"
		"1763712003500000 talk|1763712001000000");
	CHECK_STR(
		store_env_value(&env,
			"SELECT concat_ws('|', t.kind, t.channel, t.direction, t.agent, "
			"t.state, t.disposition, t.summary) FROM timeline t "
			"JOIN interaction i USING (tenant_id, id) "
			"WHERE external_id = 'linked-2'"),
		"call|pbx|in|1002|ended|answered|a call");
	/* a leg that a newer saving does not name goes */
	in.n_legs = 1;
	save_and_wait(w, &in, &s);
	CHECK_STR(store_env_value(&env,
			  "SELECT count(*) FROM interaction_leg l JOIN interaction i "
			  "ON i.id = l.interaction_id WHERE external_id = 'linked-2'"),
		"1");
	writer_close(&w, 1000);
}

static void
test_what_waits_is_one_batch_and_savings_of_one_call_coalesce(void)
{
	struct writer *w = writer_open(0);
	struct saved s = {0}, one = {0};
	struct writer_stats st;
	char number[32];
	struct interaction same = call_of("+886911000003", "ringing");
	int before = count("interaction");

	writer_save(w, &same, NULL, on_saved, &one);
	for (int i = 0; i < 200; i++) {
		snprintf(number, sizeof(number), "+8869220%05d", i % 50);
		struct interaction in = call_of(number, "ended");
		writer_save(w, &in, NULL, on_saved, &s);
		same.state = "talking";
		writer_save(w, &same, NULL, on_saved, &one);
	}
	same.state = "ended";
	writer_save(w, &same, NULL, on_saved, &one);
	CHECK(store_env_wait(&env, &s.n, 200));
	CHECK(store_env_wait(&env, &one.n, 202));
	CHECK_INT(count("interaction") - before, 201);
	writer_get_stats(w, &st);
	CHECK(st.batches <= 5);
	CHECK_INT((int64_t)st.units, 402);
	CHECK_INT((int64_t)st.waiting, 0);
	CHECK_STR(
		store_env_value(&env,
			"SELECT state FROM interaction WHERE remote_value = '+886911000003'"),
		"ended");
	CHECK_STR(
		store_env_value(&env,
			"SELECT count(*) FROM contact c JOIN identity i ON i.contact_id = c.id "
			"WHERE i.value LIKE '+8869220%'"),
		"50");
	writer_close(&w, 1000);
}

struct chain {
	struct writer *writer;
	int left, done;
};

static void
save_next(void *arg, const struct write_result *r)
{
	struct chain *c = arg;
	struct interaction in = call_of("+886911000003", "ended");

	c->done += r != NULL;
	if (c->left-- > 0)
		writer_save(c->writer, &in, NULL, save_next, c);
}

static void
test_batches_that_are_not_full_begin_apart(void)
{
	struct chain c = {.writer = writer_open(0), .left = 5};
	int64_t began_us = clock_mono_us();
	struct writer_stats st;

	save_next(&c, NULL);
	CHECK(store_env_wait(&env, &c.done, 5));
	CHECK(clock_mono_us() - began_us >= 4 * 25000);
	writer_get_stats(c.writer, &st);
	CHECK_INT(st.batches, 5);
	writer_close(&c.writer, 1000);
}

static void
test_nothing_reopens_what_has_ended(void)
{
	struct writer *w = writer_open(0);
	struct saved s = {0};
	struct interaction in = call_of("+886911000004", "ended");
	static const char now[] =
		"SELECT state || ' ' || disposition || ' ' || summary FROM "
		"interaction WHERE remote_value = '+886911000004'";

	in.disposition = "interrupted";
	save_and_wait(w, &in, &s);
	in.disposition = "answered";
	in.summary = "true ending";
	save_and_wait(w, &in, &s);
	CHECK_STR(store_env_value(&env, now), "ended answered true ending");
	in.disposition = "interrupted";
	in.summary = "late guess";
	save_and_wait(w, &in, &s);
	CHECK_STR(store_env_value(&env, now), "ended answered true ending");
	CHECK(!uuid_is_nil(&s.last.contact));
	in.state = "talking";
	in.disposition = NULL;
	save_and_wait(w, &in, &s);
	CHECK_STR(store_env_value(&env, now), "ended answered true ending");
	/* the same two in one batch */
	struct interaction both = call_of("+886911000005", "ended");
	both.disposition = "answered";
	writer_save(w, &both, NULL, on_saved, &s);
	both.state = "ringing";
	writer_save(w, &both, NULL, on_saved, &s);
	CHECK(store_env_wait(&env, &s.n, 6));
	CHECK_STR(store_env_value(&env, "SELECT state FROM interaction "
					"WHERE remote_value = '+886911000005'"),
		"ended");
	writer_close(&w, 1000);
}

static void
test_withheld_and_shared_numbers_are_nobody(void)
{
	struct writer *w = writer_open(0);
	struct saved s = {0};
	struct interaction in = call_of(NULL, "ended");
	int contacts = count("contact");

	in.withheld = in.no_contact = true;
	save_and_wait(w, &in, &s);
	CHECK_INT(s.last.status, WRITE_DONE);
	CHECK(uuid_is_nil(&s.last.contact) && s.last.created);
	store_env_exec(&env,
		"INSERT INTO address VALUES (1, 'phone', '+886911000006');"
		"INSERT INTO contact (tenant_id, id, name) VALUES "
		"(1, '01900000-0000-7000-8000-000000000001', 'A'),"
		"(1, '01900000-0000-7000-8000-000000000002', 'B');"
		"INSERT INTO identity (tenant_id, kind, value, contact_id, trust) "
		"SELECT 1, 'phone', '+886911000006', id, 1 FROM contact WHERE name IN ('A', 'B')");
	contacts += 2;
	in = call_of("+886911000006", "ended");
	save_and_wait(w, &in, &s);
	CHECK(uuid_is_nil(&s.last.contact) && !s.last.contact_created);
	/* merged, they are one: the call belongs to the member that holds it */
	store_env_exec(&env, "UPDATE contact SET merged_into = "
			     "'01900000-0000-7000-8000-000000000001' WHERE name = 'B'");
	in = call_of("+886911000006", "ended");
	save_and_wait(w, &in, &s);
	char text[UUID_TEXT_LEN];
	CHECK_STR(uuid_format(text, &s.last.contact),
		"01900000-0000-7000-8000-000000000001");
	CHECK_INT(count("contact"), contacts);
	writer_close(&w, 1000);
}

/* Who a call was filed with at its beginning stays, though the number has another holder
 * when it ends; its entry in the timeline is one. */
static void
test_a_call_stays_with_whom_it_began(void)
{
	struct writer *w = writer_open(0);
	struct saved s = {0};
	struct interaction other = call_of("+886911000081", "ended");
	struct interaction in = call_of("+886911000080", "ringing");

	save_and_wait(w, &other, &s);
	save_and_wait(w, &in, &s);
	CHECK(uuid_eq(&s.last.contact, &in.new_contact));
	store_env_exec(&env,
		"UPDATE identity i SET contact_id = o.contact_id FROM identity o "
		"WHERE i.value = '+886911000080' AND o.value = '+886911000081'");
	in.state = "ended";
	save_and_wait(w, &in, &s);
	CHECK(uuid_eq(&s.last.contact, &in.new_contact));
	CHECK(!s.last.created && !s.last.contact_created);
	CHECK_STR(
		store_env_value(&env,
			"SELECT count(*) || ',' || bool_and(t.contact_id = i.contact_id) "
			"FROM timeline t JOIN interaction i USING (tenant_id, id) "
			"WHERE remote_value = '+886911000080'"),
		"1,true");
	writer_close(&w, 1000);
}

static void
test_claimed_goes_to_the_single_holder_and_raises_nothing(void)
{
	struct writer *w = writer_open(0);
	struct saved s = {0};
	struct interaction in = call_of("eve@example.com", "ended");
	struct uuid first;

	in.kind = "email";
	in.remote_kind = "email";
	in.trust = TRUST_CLAIMED;
	save_and_wait(w, &in, &s);
	CHECK(s.last.contact_created);
	first = s.last.contact;
	struct interaction again = in;
	again.id = uuid_new(in.at_us);
	save_and_wait(w, &again, &s);
	CHECK(uuid_eq(&s.last.contact, &first));
	static const char trust[] =
		"SELECT max(trust) FROM identity WHERE value = 'eve@example.com'";
	CHECK_STR(store_env_value(&env, trust), "0");
	again.id = uuid_new(in.at_us);
	again.trust = TRUST_NETWORK;
	save_and_wait(w, &again, &s);
	CHECK(uuid_eq(&s.last.contact, &first));
	CHECK_STR(store_env_value(&env, trust), "2");
	writer_close(&w, 1000);
}

static void
test_redelivery_under_another_id_adds_nothing(void)
{
	struct writer *w = writer_open(0);
	struct saved s = {0};
	struct interaction in = call_of("bob@example.com", "ended");
	struct uuid contact;

	in.kind = "email";
	in.remote_kind = "email";
	in.external_id = "<1@example.com>";
	save_and_wait(w, &in, &s);
	contact = s.last.contact;
	in.id = uuid_new(in.at_us + 5000000);
	in.new_contact = uuid_new(in.at_us);
	save_and_wait(w, &in, &s);
	CHECK(!s.last.created);
	CHECK(uuid_eq(&s.last.contact, &contact));
	CHECK_STR(store_env_value(&env, "SELECT count(*) FROM interaction "
					"WHERE external_id = '<1@example.com>'"),
		"1");
	writer_close(&w, 1000);
}

static void
test_two_calls_of_one_linked_id_are_two(void)
{
	struct writer *w = writer_open(0);
	struct saved s = {0};
	struct interaction in = call_of("+886911000013", "ended");

	in.external_id = "1763712000.12";
	save_and_wait(w, &in, &s);
	in = call_of("+886911000014", "ended");
	in.external_id = "1763712000.12";
	save_and_wait(w, &in, &s);
	CHECK(s.last.created);
	CHECK(uuid_eq(&s.last.contact, &in.new_contact));
	CHECK_STR(store_env_value(&env, "SELECT count(*) FROM interaction "
					"WHERE external_id = '1763712000.12'"),
		"2");
	writer_close(&w, 1000);
}

static void
test_absorbed_vanishes_and_stays_away(void)
{
	struct writer *w = writer_open(0);
	struct saved s = {0};
	struct interaction_leg leg = {.type = "ring", .at_us = clock_wall_us()};
	struct interaction in = call_of("+886911000007", "ringing"), into;

	into = call_of("+886911000008", "ringing");
	into.external_id = "abs-2";
	save_and_wait(w, &into, &s);
	leg.id = uuid_new(leg.at_us);
	in.external_id = "abs-1";
	in.legs = &leg;
	in.n_legs = 1;
	save_and_wait(w, &in, &s);
	in.absorbed_by = into.id;
	save_and_wait(w, &in, &s);
	CHECK_INT(s.last.status, WRITE_DONE);
	static const char left[] =
		"SELECT (SELECT count(*) FROM interaction WHERE external_id = 'abs-1') "
		"+ (SELECT count(*) FROM timeline t JOIN identity i USING (contact_id) "
		"WHERE i.value = '+886911000007') + (SELECT count(*) FROM interaction_leg l "
		"WHERE NOT EXISTS (SELECT FROM interaction i WHERE i.id = l.interaction_id))";
	CHECK_STR(store_env_value(&env, left), "0");
	memset(&in.absorbed_by, 0, sizeof(in.absorbed_by));
	save_and_wait(w, &in, &s); /* replayed */
	CHECK_STR(store_env_value(&env, left), "0");
	writer_close(&w, 1000);
}

static void
test_poison_goes_to_quarantine_and_blocks_nobody(void)
{
	struct writer *w = writer_open(0);
	struct saved s = {0}, bad = {0};
	struct writer_stats st;
	struct store_got *got = xcalloc(1, sizeof(*got));
	char number[32];

	test_expect_log("quarantined");
	for (uint64_t i = 0; i < 20; i++) {
		struct checkpoint at = {"pbx-poison", 100 + i};
		snprintf(number, sizeof(number), "+8869330%05d", (int)i);
		struct interaction in = call_of(number, "ended");
		if (i == 7)
			in.variables = "{broken";
		writer_save(w, &in, &at, on_saved, i == 7 ? &bad : &s);
	}
	CHECK(store_env_wait(&env, &s.n, 19));
	CHECK(store_env_wait(&env, &bad.n, 1));
	CHECK_INT(bad.last.status, WRITE_QUARANTINED);
	writer_get_stats(w, &st);
	CHECK_INT((int64_t)st.quarantined, 1);
	CHECK_INT((int64_t)st.batch_failures, 1);
	CHECK_INT((int64_t)writer_committed(w, "default", "pbx-poison"), 119);
	CHECK_STR(store_env_value(&env, "SELECT seq FROM spool_checkpoint "
					"WHERE channel = 'pbx-poison'"),
		"119");
	CHECK_STR(
		store_env_value(&env,
			"SELECT count(*) FROM interaction WHERE remote_value LIKE '+8869330%'"),
		"19");
	quarantine_list(&env.store, &env.tenants[0], 10, NULL, store_got_answer, got);
	CHECK_INT(store_env_answer(&env, got), STORE_OK);
	CHECK(strstr(got->json, "22P02") && strstr(got->json, "\"next\":null"));
	quarantine_list(&env.store, &env.tenants[1], 10, NULL, store_got_answer, got);
	CHECK_INT(store_env_answer(&env, got), STORE_OK);
	CHECK_STR(got->json, "{\"items\":[],\"next\":null}");

	struct actor me = {.tenant = &env.tenants[0], .name = "uid:0", .role = "admin"};
	test_expect_log("quarantined");
	quarantine_retry(w, &me, NULL, store_got_answer, got);
	CHECK_INT(store_env_answer(&env, got), STORE_OK);
	CHECK_STR(got->json, "{\"retried\":0,\"failed\":1}");
	CHECK_STR(store_env_value(
			  &env, "SELECT count(*) || ' ' || max(tries) FROM quarantine"),
		"1 2");
	/* an operator mends it */
	store_env_exec(&env,
		"UPDATE quarantine SET payload = replace(payload, '{broken', '{}')");
	quarantine_retry(w, &me, NULL, store_got_answer, got);
	CHECK_INT(store_env_answer(&env, got), STORE_OK);
	CHECK_STR(got->json, "{\"retried\":1,\"failed\":0}");
	writer_close(&w, 1000);
	CHECK_STR(
		store_env_value(&env,
			"SELECT count(*) FROM interaction WHERE remote_value LIKE '+8869330%'"),
		"20");
	xfree(&got);
}

static void
test_other_times_than_ours_get_their_partition_or_quarantine(void)
{
	struct writer *w = writer_open(0);
	struct saved s = {0};
	struct interaction in = call_of("+886911000009", "ended");

	in.at_us = 1000000000000000; /* September 2001 */
	in.id = uuid_new(in.at_us);
	save_and_wait(w, &in, &s);
	CHECK_INT(s.last.status, WRITE_DONE);
	CHECK_STR(
		store_env_value(&env, "SELECT count(*) FROM interaction_200109"), "1");
	test_expect_log("quarantined");
	in.at_us = 4102444800000000; /* 2100 */
	in.id = uuid_new(in.at_us);
	save_and_wait(w, &in, &s);
	CHECK_INT(s.last.status, WRITE_QUARANTINED);
	writer_close(&w, 1000);
}

static void
test_two_first_calls_of_one_stranger_make_one_contact(void)
{
	struct writer *a = writer_open(0), *b = writer_open(0);
	struct saved sa = {0}, sb = {0};
	char number[32];

	/* two writers = two transactions at once, on the two connections of the pool */
	for (int i = 0; i < 200; i++) {
		snprintf(number, sizeof(number), "+8869440%05d", i);
		struct interaction in = call_of(number, "ended");
		writer_save(a, &in, NULL, on_saved, &sa);
		snprintf(number, sizeof(number), "+8869440%05d", 199 - i);
		in = call_of(number, "ended");
		writer_save(b, &in, NULL, on_saved, &sb);
	}
	CHECK(store_env_wait(&env, &sa.n, 200));
	CHECK(store_env_wait(&env, &sb.n, 200));
	CHECK_STR(
		store_env_value(&env,
			"SELECT count(*) || ' ' || count(DISTINCT contact_id) FROM identity "
			"WHERE value LIKE '+8869440%'"),
		"200 200");
	CHECK_STR(store_env_value(&env, "SELECT count(*) FROM timeline t "
					"JOIN identity i USING (contact_id) "
					"WHERE value LIKE '+8869440%'"),
		"400");
	writer_close(&a, 1000);
	writer_close(&b, 1000);
}

static void
test_full_queue_refuses_and_the_rest_is_kept(void)
{
	struct writer *w = writer_open(3);
	struct saved s = {0}, refused = {0};

	test_expect_log("no more are taken");
	for (int i = 0; i < 5; i++) {
		struct interaction in = call_of("+886911000010", "ended");
		writer_save(w, &in, NULL, on_saved, i < 3 ? &s : &refused);
	}
	CHECK_INT(refused.n, 0);
	CHECK(store_env_wait(&env, &s.n, 3));
	CHECK_INT(refused.n, 2);
	CHECK_INT(refused.last.status, WRITE_REFUSED);
	CHECK_INT(s.last.status, WRITE_DONE);
	writer_close(&w, 1000);
}

static void
test_checkpoint_alone_moves_forward_only(void)
{
	struct writer *w = writer_open(0);
	struct checkpoint at = {"pbx-alone", 7};
	struct saved s = {0};
	struct err err;
	uint64_t seq;

	writer_checkpoint(w, &env.tenants[0], &at);
	at.seq = 9;
	writer_checkpoint(w, &env.tenants[0], &at);
	at.seq = 8;
	writer_checkpoint(w, &env.tenants[0], &at);
	struct interaction in = call_of("+886911000011", "ended");
	save_and_wait(w, &in, &s);
	CHECK_INT((int64_t)writer_committed(w, "default", "pbx-alone"), 9);
	CHECK_INT((int64_t)writer_committed(w, "other", "pbx-alone"), 0);
	writer_close(&w, 1000);
	CHECK_INT(writer_load_checkpoint(env.sync, "default", "pbx-alone", &seq, &err),
		0);
	CHECK_INT((int64_t)seq, 9);
	CHECK_INT(writer_load_checkpoint(env.sync, "default", "none", &seq, &err), 0);
	CHECK_INT((int64_t)seq, 0);
}

static int
pg_ctl(const char *what)
{
	char command[600];

	snprintf(command, sizeof(command), "%s %s >/dev/null 2>&1",
		getenv("TEST_PG_CTL"), what);
	return system(command); // NOLINT: a test's own script
}

static void
test_server_restart_in_the_middle_loses_and_doubles_nothing(void)
{
	struct writer *w = writer_open(0);
	struct saved s = {0};
	struct writer_stats st;
	char number[32];
	int total = 0;

	pg_sync_close(&env.sync);
	log_set_level(LOG_LVL_ERROR); /* how often it warns is up to the restart */
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 300; i++, total++) {
			struct checkpoint at = {"pbx-restart", (uint64_t)total + 1};
			snprintf(number, sizeof(number), "+8869550%05d", total);
			struct interaction in = call_of(number, "ended");
			writer_save(w, &in, &at, on_saved, &s);
		}
		CHECK(store_env_wait(&env, &s.n, total - 300 + 64));
		CHECK_INT(pg_ctl("restart immediate"), 0);
	}
	CHECK(store_env_wait(&env, &s.n, total));
	CHECK_INT(s.n, total);
	CHECK_INT((int64_t)writer_committed(w, "default", "pbx-restart"), total);
	writer_get_stats(w, &st);
	CHECK_INT((int64_t)st.quarantined, 0);
	log_set_level(LOG_LVL_INFO);
	CHECK_STR(store_env_value(&env,
			  "SELECT count(*) || ' ' || count(DISTINCT remote_value) "
			  "FROM interaction WHERE remote_value LIKE '+8869550%'"),
		"900 900");
	writer_close(&w, 1000);
}

static void
test_close_gives_back_what_was_not_confirmed(void)
{
	struct writer *w = writer_open(0);
	struct saved s = {0};

	pg_sync_close(&env.sync);
	CHECK_INT(pg_ctl("stop immediate"), 0);
	log_set_level(LOG_LVL_ERROR);
	for (int i = 0; i < 100; i++) {
		struct interaction in = call_of("+886911000012", "ended");
		writer_save(w, &in, NULL, on_saved, &s);
	}
	writer_close(&w, 200);
	CHECK_INT(s.n, 100);
	CHECK_INT(s.last.status, WRITE_REFUSED);
	log_set_level(LOG_LVL_INFO);
	CHECK_INT(pg_ctl("start"), 0);
}

int
main(void)
{
	if (!store_env_available())
		return 77;
	store_env_start(&env, "test_writer");
	TEST(test_stranger_becomes_an_unnamed_contact);
	TEST(test_every_field_comes_back);
	TEST(test_what_waits_is_one_batch_and_savings_of_one_call_coalesce);
	TEST(test_batches_that_are_not_full_begin_apart);
	TEST(test_nothing_reopens_what_has_ended);
	TEST(test_withheld_and_shared_numbers_are_nobody);
	TEST(test_a_call_stays_with_whom_it_began);
	TEST(test_claimed_goes_to_the_single_holder_and_raises_nothing);
	TEST(test_redelivery_under_another_id_adds_nothing);
	TEST(test_two_calls_of_one_linked_id_are_two);
	TEST(test_absorbed_vanishes_and_stays_away);
	TEST(test_poison_goes_to_quarantine_and_blocks_nobody);
	TEST(test_other_times_than_ours_get_their_partition_or_quarantine);
	TEST(test_two_first_calls_of_one_stranger_make_one_contact);
	TEST(test_full_queue_refuses_and_the_rest_is_kept);
	TEST(test_checkpoint_alone_moves_forward_only);
	TEST(test_server_restart_in_the_middle_loses_and_doubles_nothing);
	TEST(test_close_gives_back_what_was_not_confirmed);
	store_env_stop(&env);
	return test_done();
}
