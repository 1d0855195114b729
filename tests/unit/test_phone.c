/* A phone's calls between spool, writer and database: what the writer had no room for is
 * written when there is; a replay without the database's checkpoint. */
#include <calls/phone.h>

#include <clock.h>
#include <io/loop.h>
#include <lib/store_env.h>
#include <lib/test.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_US (20 * INT64_C(1000000))

static struct store_env env;
static struct phone_conf conf;
static struct redis *redis;
static struct events *events;
static struct agents *agents;
static struct pops *pops;
static struct writer *writer;
static struct phone *phone;
static char top[64];
static int64_t base_us; /* of the calls' times */

static void
ignore_log(enum log_level level, const char *who, const char *text, void *arg)
{
	(void)level, (void)who, (void)text, (void)arg;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void
open_phone(const char *name, size_t max_waiting, uint64_t checkpoint)
{
	struct writer_opts wo = {.max_waiting = max_waiting, .deadline_ms = 5000};
	struct err err;
	writer = writer_new(&env.store, &wo);
	struct phone_opts opts = {
		.loop = env.loop,
		.tenant = &env.tenants[0],
		.channel = name,
		.conf = &conf,
		.store = &env.store,
		.writer = writer,
		.pops = pops,
		.events = events,
		.agents = agents,
		.spool = {top, name, 1024 * 1024, 64 * 1024 * 1024, false},
		.checkpoint = checkpoint,
	};
	phone = phone_open(&opts, &err);
	CHECK(phone != NULL);
	pops_set_silent(pops, true);
	phone_replay(phone);
	pops_set_silent(pops, false);
}

static void
close_phone(void)
{
	phone_close(&phone);
	writer_close(&writer, 2000);
	loop_run_once(env.loop, 0);
}

static void
say(enum call_event_type type, unsigned n, int64_t after_ms)
{
	char uid[32], number[32];
	snprintf(uid, sizeof(uid), "1795277508.%u", n);
	snprintf(number, sizeof(number), "0912%06u", n);
	struct call_event ev = {
		.type = type,
		.at_us = base_us + n * INT64_C(10000) + after_ms * 1000,
		.uid = uid,
		.linked = uid,
		.endpoint = "PJSIP/trunk",
		.state = CALL_STATE_RING,
		.caller_number = number,
		.exten = "5001",
		.cause = 16,
	};
	phone_event(phone, &ev);
}

static void
short_calls(unsigned from, unsigned to)
{
	for (unsigned n = from; n < to; n++) {
		say(CALL_CHANNEL_NEW, n, 0);
		say(CALL_CHANNEL_HANGUP, n, 5);
	}
}

static int
count(const char *channel, const char *state)
{
	char sql[200];
	snprintf(sql, sizeof(sql),
		"SELECT count(*) FROM interaction WHERE channel = '%s' AND state = "
		"'%s'",
		channel, state);
	return atoi(store_env_value(&env, sql));
}

/* Runs until the phone is not frozen and nothing waits. */
static bool
settle(void)
{
	int64_t until = clock_mono_us() + PATIENCE_US;
	struct phone_stats st;
	struct writer_stats w;
	do {
		loop_run_once(env.loop, 50);
		phone_get_stats(phone, &st);
		writer_get_stats(writer, &w);
	} while ((st.frozen || w.waiting || w.in_batch) && clock_mono_us() < until);
	return !st.frozen && !w.waiting && !w.in_batch;
}

static void
test_calls_that_found_the_queue_full_are_written_when_there_is_room(void)
{
	struct phone_stats st;
	log_set_hook(ignore_log, NULL);
	open_phone("pbx-full", 20, 0);
	writer_hold(writer, true); /* as if the database were away */
	say(CALL_CHANNEL_NEW, 1, 0);
	short_calls(1000, 1500);
	say(CALL_CHANNEL_NEW, 2, 0);
	phone_get_stats(phone, &st);
	CHECK(st.frozen);
	CHECK(st.spool.write_error != NULL);
	uint64_t kept = st.checkpoint;
	CHECK(kept < 10);
	writer_hold(writer, false);
	CHECK(settle());
	CHECK_INT(count("pbx-full", "ended"), 500);
	phone_get_stats(phone, &st);
	CHECK(st.spool.write_error == NULL);
	CHECK_INT(st.tracker.calls, 2); /* those that live were not touched */
	say(CALL_CHANNEL_HANGUP, 1, 9000);
	say(CALL_CHANNEL_HANGUP, 2, 9000);
	CHECK(settle());
	CHECK_INT(count("pbx-full", "ended"), 502);
	CHECK_INT(count("pbx-full", "ringing"), 0);
	CHECK_INT(atoi(store_env_value(&env, "SELECT count(DISTINCT remote_value) FROM "
					     "interaction WHERE channel = 'pbx-full'")),
		502);
	/* The checkpoint moves again. */
	for (int i = 0; i < 100 && st.checkpoint < st.spool.last_seq; i++) {
		loop_run_once(env.loop, 50);
		phone_get_stats(phone, &st);
	}
	CHECK_INT((int64_t)st.checkpoint, (int64_t)st.spool.last_seq);
	close_phone();
}

static void
test_calls_that_come_while_it_heals_are_there_once(void)
{
	log_set_hook(ignore_log, NULL);
	open_phone("pbx-busy", 40, 0);
	writer_hold(writer, true);
	short_calls(0, 300);
	writer_hold(writer, false);
	for (unsigned n = 300; n < 900; n += 5) {
		short_calls(n, n + 5);
		loop_run_once(env.loop, 5);
	}
	CHECK(settle());
	CHECK_INT(count("pbx-busy", "ended"), 900);
	CHECK_INT(atoi(store_env_value(&env, "SELECT count(DISTINCT remote_value) FROM "
					     "interaction WHERE channel = 'pbx-busy'")),
		900);
	close_phone();
}

static void
test_a_replay_without_the_checkpoint_writes_nothing_twice(void)
{
	uint64_t back;
	struct phone_stats st;
	log_set_hook(ignore_log, NULL);
	open_phone("pbx-blind", 0, 0);
	short_calls(0, 50);
	CHECK(settle());
	say(CALL_CHANNEL_NEW, 100, 0);
	CHECK(settle());
	phone_get_stats(phone, &st);
	uint64_t checkpoint = st.checkpoint;
	close_phone();
	open_phone("pbx-blind", 0, PHONE_CHECKPOINT_UNKNOWN);
	writer_hold(writer, true);
	say(CALL_CHANNEL_HANGUP, 100, 5000);
	CHECK(!phone_take_checkpoint(phone, checkpoint, &back));
	writer_hold(writer, false);
	CHECK(settle());
	CHECK_INT(count("pbx-blind", "ended"), 51);
	CHECK_INT(count("pbx-blind", "ringing"), 0);
	/* An older spool put back: its new records are below what the database has. */
	CHECK(phone_take_checkpoint(phone, 5000000, &back));
	CHECK_INT((int64_t)back, 0);
	close_phone();
}

/* ---- Clocks that jump --------------------------------------------------------------- */

#define HOUR_US INT64_C(3600000000)

/* An answered call: customer 0, agent's phone 1, in one bridge from 1 s to 9 s. */
static const struct step {
	int64_t ms;
	enum call_event_type type;
	int channel, other; /* other: -1 = none */
	enum call_channel_state state;
} steps[] = {
	{0, CALL_CHANNEL_NEW, 0, -1, CALL_STATE_RING},
	{10, CALL_CHANNEL_NEW, 1, -1, CALL_STATE_DOWN},
	{20, CALL_DIAL_BEGIN, 0, 1, 0},
	{30, CALL_CHANNEL_STATE, 1, -1, CALL_STATE_RINGING},
	{1000, CALL_CHANNEL_STATE, 1, -1, CALL_STATE_UP},
	{1000, CALL_DIAL_END, 0, 1, 0},
	{1010, CALL_CHANNEL_STATE, 0, -1, CALL_STATE_UP},
	{1020, CALL_BRIDGE_ENTER, 1, -1, 0},
	{1030, CALL_BRIDGE_ENTER, 0, -1, 0},
	{3000, CALL_HOLD, 1, -1, 0},
	{5000, CALL_UNHOLD, 1, -1, 0},
	{9000, CALL_BRIDGE_LEAVE, 0, -1, 0},
	{9000, CALL_CHANNEL_HANGUP, 0, -1, 0},
	{9010, CALL_BRIDGE_LEAVE, 1, -1, 0},
	{9010, CALL_CHANNEL_HANGUP, 1, -1, 0},
};

static void
step(const struct step *st, unsigned n, int64_t at_us)
{
	char uids[2][32], bridge[32], number[32];
	for (int i = 0; i < 2; i++)
		snprintf(uids[i], sizeof(uids[i]), "1795277508.%u", 2 * n + i);
	snprintf(bridge, sizeof(bridge), "b%u", n);
	snprintf(number, sizeof(number), "0955%06u", n);
	bool bridged = st->type == CALL_BRIDGE_ENTER || st->type == CALL_BRIDGE_LEAVE;
	struct call_event ev = {
		.type = st->type,
		.at_us = at_us,
		.uid = uids[st->channel],
		.linked = uids[0],
		.other_uid = st->other < 0 ? NULL : uids[st->other],
		.endpoint = st->channel ? "PJSIP/1001" : "PJSIP/trunk",
		.state = st->state,
		.bridge = bridged ? bridge : NULL,
		.caller_number = st->channel ? NULL : number,
		.exten = st->channel ? NULL : "5001",
		.result = st->type == CALL_DIAL_END ? CALL_RESULT_ANSWER : 0,
		.cause = st->type == CALL_CHANNEL_HANGUP && st->ms > 5000 ? 16 : 0,
	};
	phone_event(phone, &ev);
}

static void
wait_no_calls(void)
{
	int64_t until = clock_mono_us() + 5000000;
	struct phone_stats st;
	do {
		loop_run_once(env.loop, 50);
		phone_get_stats(phone, &st);
	} while (st.tracker.calls && clock_mono_us() < until);
	CHECK_INT(st.tracker.calls, 0);
}

/* By hours back and forth, at every place of a call: every call ends within moments, once,
 * with durations that can be. */
static void
test_a_clock_that_jumps_spoils_no_call(void)
{
	static const int64_t jumps[] = {
		0, 5 * HOUR_US, -5 * HOUR_US, 40 * 24 * HOUR_US, -400 * 24 * HOUR_US};
	unsigned n = 0;
	log_set_hook(ignore_log, NULL);
	open_phone("pbx-jump", 0, 0);
	for (size_t j = 0; j < ARRAY_LEN(jumps); j++)
		for (size_t k = 0; k < ARRAY_LEN(steps); k += j ? 1 : 100, n++)
			for (size_t i = 0; i < ARRAY_LEN(steps); i++)
				step(&steps[i], n,
					base_us + steps[i].ms * 1000 +
						(i >= k ? jumps[j] : 0));
	wait_no_calls();
	CHECK(settle());
	CHECK_INT(count("pbx-jump", "ended"), n);
	CHECK_STR(
		store_env_value(&env,
			"SELECT count(*) FROM interaction WHERE channel = 'pbx-jump' AND "
			"(disposition <> 'answered' OR ended_at < answered_at OR answered_at < at "
			"OR wait_ms < 0 OR talk_ms < 0 OR hold_ms < 0)"),
		"0");
	CHECK_STR(store_env_value(&env,
			  "SELECT count(*) FROM interaction_leg WHERE ended_at < at OR "
			  "answered_at < at"),
		"0");
	CHECK_STR(store_env_value(&env,
			  "SELECT wait_ms || ' ' || talk_ms || ' ' || hold_ms FROM "
			  "interaction WHERE channel = 'pbx-jump' AND remote_value = "
			  "'+886955000000'"),
		"1000 5970 2000");
	close_phone();
}

/* An ending that waits for its reason does not wait for the hours to come again. */
static void
test_a_clock_put_back_keeps_no_ending_waiting(void)
{
	struct phone_stats st;
	log_set_hook(ignore_log, NULL);
	open_phone("pbx-back", 0, 0);
	for (size_t i = 0; i < 4; i++)
		step(&steps[i], 500, base_us + steps[i].ms * 1000);
	struct step silent = {2000, CALL_CHANNEL_HANGUP, 0, -1, 0};
	struct step other = {2000, CALL_CHANNEL_NEW, 0, -1, CALL_STATE_RING};
	step(&silent, 500, base_us + 2000000);
	step(&other, 501, base_us + 2000000 - 5 * HOUR_US);
	phone_get_stats(phone, &st);
	CHECK_INT(st.tracker.calls, 1);
	silent.ms = 3000;
	step(&silent, 501, base_us + 3000000 - 5 * HOUR_US);
	wait_no_calls();
	CHECK(settle());
	CHECK_INT(count("pbx-back", "ended"), 2);
	close_phone();
}

static void
begin(void)
{
	char *address = getenv("TEST_REDIS");
	struct conf_list list = {&address, 1};
	struct redis_opts ro = {
		.addresses = &list, .command_timeout_ms = 2000, .max_pending = 5000};
	struct pops_opts po = {.pop_timeout_ms = 250};
	str_copy(top, sizeof(top), "/tmp/interactd-phone.XXXXXX");
	CHECK(mkdtemp(top) != NULL);
	store_env_start(&env, "test_phone");
	CHECK_INT(regcomp(&conf.trunks.re, "^PJSIP/trunk$", REG_EXTENDED), 0);
	conf.trunks.text = xstrdup("^PJSIP/trunk$");
	CHECK_INT(regcomp(&conf.agents.re, "^PJSIP/(100[0-9])$", REG_EXTENDED), 0);
	conf.agents.text = xstrdup("^PJSIP/(100[0-9])$");
	base_us = clock_wall_us() - INT64_C(60000000);
	redis = redis_open(env.loop, &ro);
	events = events_new(env.loop, redis);
	agents = agents_new(&env.store);
	pops = pops_new(&env.store, redis, &po);
}

static void
end(void)
{
	pops_free(&pops);
	agents_free(&agents);
	events_free(&events);
	redis_close(&redis);
	store_env_stop(&env);
	regfree(&conf.trunks.re);
	xfree(&conf.trunks.text);
	regfree(&conf.agents.re);
	xfree(&conf.agents.text);
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int
main(void)
{
	if (!store_env_available() || !getenv("TEST_REDIS"))
		return 77;
	begin();
	TEST(test_calls_that_found_the_queue_full_are_written_when_there_is_room);
	TEST(test_calls_that_come_while_it_heals_are_there_once);
	TEST(test_a_clock_that_jumps_spoils_no_call);
	TEST(test_a_clock_put_back_keeps_no_ending_waiting);
	TEST(test_a_replay_without_the_checkpoint_writes_nothing_twice);
	end();
	return test_done();
}
