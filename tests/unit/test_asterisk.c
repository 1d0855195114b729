/* test_asterisk.c - the asterisk driver against a manager that the test plays. */
#include <clock.h>
#include <lib/ami_peer.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- Logging in ---------------------------------------------------------- */

static void
test_md5_login_never_shows_the_secret(void)
{
	struct rig r;
	struct action act;
	char value[256];

	rig_init(&r);
	rig_open(&r);
	UNTIL(&r, peer_accepted(&r));
	peer_say(&r, BANNER);
	act = peer_take(&r, "Challenge");
	action_field(&act, "AuthType", value, sizeof(value));
	CHECK_STR(value, "MD5");
	peer_answer(&r, &act, "Success", "Challenge: 123456789\r\n");
	act = peer_take(&r, "Login");
	action_field(&act, "Key", value, sizeof(value));
	CHECK_STR(value, "d32b5714dd0e3ae70d4a845d5e524f3f");
	action_field(&act, "Username", value, sizeof(value));
	CHECK_STR(value, "interactd");
	action_field(&act, "Events", value, sizeof(value));
	CHECK_STR(value, "call,agent,system");
	CHECK(!strstr(act.text, "s3cret"));
	peer_answer(&r, &act, "Success", "");
	peer_say(&r, FULLYBOOTED);
	peer_identify(&r, "16:00:00");
	UNTIL(&r, rig_is_up(&r));
	CHECK_STR(channel_core_peer(r.channel), "Asterisk 22.10.1");
	rig_fini(&r);
}

static void
test_plaintext_login_asks_for_no_challenge(void)
{
	struct rig r;
	struct action act;
	char value[256];

	rig_init(&r);
	r.conf.auth = ASTERISK_AUTH_PLAINTEXT;
	rig_open(&r);
	UNTIL(&r, peer_accepted(&r));
	peer_say(&r, BANNER);
	act = peer_take(&r, "Login");
	action_field(&act, "Secret", value, sizeof(value));
	CHECK_STR(value, "s3cret");
	rig_fini(&r);
}

static void
test_without_challenge_the_login_is_plaintext(void)
{
	struct rig r;
	struct action act;
	char value[256];

	rig_init(&r);
	rig_open(&r);
	UNTIL(&r, peer_accepted(&r));
	peer_say(&r, BANNER);
	act = peer_take(&r, "Challenge");
	test_expect_log("the secret is sent in clear text");
	peer_answer(&r, &act, "Error", "Message: Invalid/unknown command\r\n");
	act = peer_take(&r, "Login");
	action_field(&act, "Secret", value, sizeof(value));
	CHECK_STR(value, "s3cret");
	rig_fini(&r);
}

/* astmanproxy answers under ActionIDs of its own. */
static void
test_the_logins_answer_may_have_any_action_id(void)
{
	struct rig r;

	rig_init(&r);
	rig_open(&r);
	UNTIL(&r, peer_accepted(&r));
	peer_say(&r, "Asterisk Call Manager Proxy/1.28\r\n");
	peer_take(&r, "Challenge");
	peer_say(&r, "Response: Success\r\nChallenge: 1\r\n\r\n");
	peer_take(&r, "Login");
	peer_say(&r, "Response: Success\r\nActionID: other-7\r\n\r\n");
	peer_take(&r, "Events");
	rig_fini(&r);
}

/* A recording played back answers nothing, and a proxy may have logged in before us. */
static void
test_who_hears_events_is_logged_in(void)
{
	static const char *const says[] = {"Response: Success\r\nActionID: x-1\r\n"
					   "Message: Authentication accepted\r\n\r\n",
		FULLYBOOTED};

	for (int i = 0; i < 2; i++) {
		struct rig r;
		rig_init(&r);
		rig_open(&r);
		UNTIL(&r, peer_accepted(&r));
		peer_say(&r, BANNER);
		peer_take(&r, "Challenge");
		peer_say(&r, "%s", says[i]);
		peer_take(&r, "Events");
		peer_take(&r, "Filter");
		rig_fini(&r);
	}
}

static void
test_a_repeated_challenge_is_no_login(void)
{
	struct rig r;
	struct action act;

	rig_init(&r);
	rig_open(&r);
	UNTIL(&r, peer_accepted(&r));
	peer_say(&r, BANNER);
	act = peer_take(&r, "Challenge");
	peer_answer(&r, &act, "Success", "Challenge: 1\r\n");
	peer_answer(&r, &act, "Success", "Challenge: 1\r\n");
	act = peer_take(&r, "Login");
	test_expect_log("refuses the login");
	peer_answer(&r, &act, "Error", "Message: Authentication failed\r\n");
	UNTIL(&r, rig_is_down(&r));
	rig_fini(&r);
}

static void
test_refused_login_says_what_to_check_and_is_retried_slowly(void)
{
	struct rig r;
	struct action act;

	rig_init(&r);
	r.conf.reconnect_min_ms = 60;
	rig_open(&r);
	UNTIL(&r, peer_accepted(&r));
	peer_say(&r, BANNER);
	act = peer_take(&r, "Challenge");
	peer_answer(&r, &act, "Success", "Challenge: 1\r\n");
	act = peer_take(&r, "Login");
	test_expect_log("refuses the login");
	peer_answer(&r, &act, "Error", "Message: Authentication failed\r\n");
	UNTIL(&r, rig_is_down(&r));
	CHECK(rig_why_has(&r, "(Authentication failed)"));
	CHECK(rig_why_has(&r, "[interactd] in manager.conf"));
	CHECK_INT(rig_seen(&r, CALL_LINK_LOST), 0);
	int64_t since = clock_mono_us();
	peer_close(&r);
	UNTIL(&r, peer_accepted(&r));
	CHECK(clock_mono_us() - since > 290000); /* 600 ms, less up to half */
	rig_fini(&r);
}

static const struct {
	const char *says;
	const char *why; /* NULL: it is accepted */
} banners[] = {
	{"Asterisk Call Manager/5.0.4\r\n", NULL},
	{"Asterisk Call Manager\r\n", NULL},
	{"Asterisk Call Manager Proxy/1.28\r\n", NULL},
	{"SSH-2.0-OpenSSH_9.2\r\n", "no Asterisk manager"},
	{"Content-Type: auth/request\r\n\r\n", "no Asterisk manager"},
	{"HTTP/1.1 400 Bad Request\r\n\r\n", "no Asterisk manager"},
	{"220 \x1b[2Jmail\r\n", "no Asterisk manager"},
	{"\xff\xfe\r\n", "no Asterisk manager"},
	{"", "says nothing"},
	{"Asterisk Call", "says nothing"},
};

static void
test_banners(void)
{
	for (size_t i = 0; i < ARRAY_LEN(banners); i++) {
		struct rig r;

		rig_init(&r);
		r.conf.answer_ms = banners[i].why ? 100 : 5000;
		rig_open(&r);
		if (banners[i].why)
			test_expect_log(banners[i].why);
		UNTIL(&r, peer_accepted(&r));
		peer_write(&r, banners[i].says, strlen(banners[i].says));
		if (!banners[i].why) {
			peer_take(&r, "Challenge");
		} else {
			UNTIL(&r, rig_is_down(&r));
			CHECK(rig_why_has(&r, banners[i].why));
		}
		rig_fini(&r);
	}
}

static void
test_endless_line_is_no_banner(void)
{
	struct rig r;
	char *line = xmalloc(100000);

	rig_init(&r);
	rig_open(&r);
	UNTIL(&r, peer_accepted(&r));
	memset(line, 'x', 100000);
	test_expect_log("no Asterisk manager");
	peer_write(&r, line, 50000);
	UNTIL(&r, rig_is_down(&r));
	mem_free(line);
	rig_fini(&r);
}

static void
test_silence_at_login_ends(void)
{
	struct rig r;

	rig_init(&r);
	r.conf.answer_ms = 100;
	rig_open(&r);
	UNTIL(&r, peer_accepted(&r));
	peer_say(&r, BANNER);
	peer_take(&r, "Challenge");
	test_expect_log("does not answer the login");
	UNTIL(&r, rig_is_down(&r));
	rig_fini(&r);
}

static void
test_nobody_listens(void)
{
	struct rig r;

	rig_init(&r);
	close(r.listener);
	test_expect_log("is Asterisk running");
	rig_open(&r);
	UNTIL(&r, rig_is_down(&r));
	CHECK(rig_why_has(&r, r.address));
	r.listener = dup(STDERR_FILENO);
	rig_fini(&r);
}

static void
test_closing_at_any_moment(void)
{
	for (int step = 0; step < 6; step++) {
		struct rig r;

		rig_init(&r);
		rig_open(&r);
		if (step > 0)
			UNTIL(&r, peer_accepted(&r));
		if (step > 1)
			peer_say(&r, BANNER);
		if (step > 2)
			peer_take(&r, "Challenge");
		if (step > 3)
			peer_say(&r, "Response: Success\r\nChallenge: 1\r\n\r\n");
		if (step > 4) {
			peer_take(&r, "Login");
			peer_say(&r, "Response: Success\r\n\r\n" FULLYBOOTED);
			peer_identify(&r, "16:00:00");
			peer_take(&r, "CoreShowChannels");
		}
		rig_fini(&r);
	}
}

/* ---- Snapshots ----------------------------------------------------------- */

static void
peer_say_channel(struct rig *r, const char *id, const char *uid)
{
	peer_say(r,
		"Event: CoreShowChannel\r\nActionID: %s\r\n"
		"Channel: PJSIP/trunk-000000aa\r\nChannelState: 6\r\n"
		"ChannelStateDesc: Up\r\nCallerIDNum: 0911000001\r\nExten: 5001\r\n"
		"Uniqueid: %s\r\nLinkedid: %s\r\nApplication: Dial\r\n"
		"Duration: 00:00:02\r\nBridgeId: \r\n\r\n",
		id, uid, uid);
}

static void
peer_say_waiting_and_parked(struct rig *r)
{
	struct action act = peer_take(r, "QueueStatus");

	peer_answer(r, &act, "Success", "EventList: start\r\n");
	peer_say(r,
		"Event: QueueEntry\r\nActionID: %s\r\nQueue: sales\r\nPosition: 1\r\n"
		"Channel: PJSIP/trunk-000000a8\r\nUniqueid: 1795278207.285\r\n"
		"Wait: 1\r\n\r\n",
		act.id);
	peer_list_end(r, &act, 17);
	act = peer_take(r, "ParkedCalls");
	peer_answer(r, &act, "Success", "EventList: start\r\n");
	peer_say(r,
		"Event: ParkedCall\r\nActionID: %s\r\n"
		"ParkeeChannel: PJSIP/trunk-000000ab\r\nParkeeUniqueid: "
		"1795278207.288\r\n"
		"ParkeeLinkedid: 1795278207.288\r\nParkingSpace: 701\r\n"
		"ParkingDuration: 1\r\n\r\n",
		act.id);
	peer_list_end(r, &act, 1);
	peer_list_empty(r, "DeviceStateList");
}

static void
test_snapshot_is_bracketed_and_live_events_pass_through_it(void)
{
	struct rig r;
	struct action act;

	rig_init(&r);
	rig_open(&r);
	peer_take_login(&r, BANNER);
	peer_say(&r, FULLYBOOTED);
	peer_identify(&r, "16:00:00");
	act = peer_take(&r, "CoreShowChannels");
	CHECK_INT(rig_seen(&r, CALL_SNAPSHOT_BEGIN), 1);
	peer_answer(&r, &act, "Success", "EventList: start\r\n");
	peer_say_channel(&r, act.id, "1795278207.287");
	peer_say_hangup(&r, "1795278207.200");
	peer_say_channel(&r, act.id, "1795278207.288");
	peer_list_end(&r, &act, 2);
	peer_say_waiting_and_parked(&r);
	UNTIL(&r, rig_seen(&r, CALL_SNAPSHOT_END));
	CHECK_INT(rig_seen(&r, CALL_SNAPSHOT_CHANNEL), 2);
	CHECK_INT(rig_seen(&r, CALL_SNAPSHOT_WAITING), 1);
	CHECK_INT(rig_seen(&r, CALL_SNAPSHOT_PARKED), 1);
	CHECK_INT(rig_seen(&r, CALL_CHANNEL_HANGUP), 1);
	CHECK_INT(r.seen[0], CALL_SNAPSHOT_BEGIN);
	CHECK_INT(rig_last(&r, CALL_SNAPSHOT_END), r.n_seen - 1);
	CHECK_INT(rig_counter(&r, "snapshots", false), 1);
	rig_fini(&r);
}

/* How the list of channels goes wrong, and what is logged then. */
static const struct {
	const char *response, *message;
	int items, list_items; /* -1: the end never comes */
	const char *log;
} incomplete[] = {
	{"Error", "Message: Permission denied\r\n", 0, -1, "(Permission denied)"},
	{"Success", "EventList: start\r\n", 1, 2, "(items are missing)"},
	{"Success", "EventList: start\r\n", 1, -1, "(not complete in time)"},
};

static void
test_incomplete_list_closes_nobody(void)
{
	for (size_t i = 0; i < ARRAY_LEN(incomplete); i++) {
		struct rig r;
		struct action act;

		rig_init(&r);
		r.conf.answer_ms = 300;
		rig_open(&r);
		peer_take_login(&r, BANNER);
		peer_say(&r, FULLYBOOTED);
		peer_identify(&r, "16:00:00");
		test_expect_log(incomplete[i].log);
		act = peer_take(&r, "CoreShowChannels");
		peer_answer(&r, &act, incomplete[i].response, incomplete[i].message);
		for (int n = 0; n < incomplete[i].items; n++)
			peer_say_channel(&r, act.id, "1795278207.287");
		if (incomplete[i].list_items >= 0)
			peer_list_end(&r, &act, incomplete[i].list_items);
		peer_list_empty(&r, "QueueStatus");
		peer_list_empty(&r, "ParkedCalls");
		peer_list_empty(&r, "DeviceStateList");
		UNTIL(&r, rig_counter(&r, "snapshots_incomplete", false));
		CHECK_INT(rig_seen(&r, CALL_SNAPSHOT_BEGIN), 1);
		CHECK_INT(rig_seen(&r, CALL_SNAPSHOT_END), 0);
		CHECK(rig_is_up(&r));
		rig_fini(&r);
	}
}

static void
test_without_queues_and_parking_the_snapshot_still_ends(void)
{
	struct rig r;
	struct action act;

	rig_init(&r);
	rig_open(&r);
	peer_take_login(&r, BANNER);
	peer_say(&r, FULLYBOOTED);
	peer_identify(&r, "16:00:00");
	peer_list_empty(&r, "CoreShowChannels");
	act = peer_take(&r, "QueueStatus");
	peer_answer(&r, &act, "Error", "Message: Invalid/unknown command\r\n");
	act = peer_take(&r, "ParkedCalls");
	peer_answer(&r, &act, "Error", "Message: Invalid/unknown command\r\n");
	peer_list_empty(&r, "DeviceStateList");
	UNTIL(&r, rig_seen(&r, CALL_SNAPSHOT_END));
	CHECK_INT(rig_counter(&r, "lists_missing", false), 2);
	rig_fini(&r);
}

static void
test_a_user_without_rights_still_gets_events(void)
{
	struct rig r;

	rig_init(&r);
	r.conf.boot_wait_ms = 50;
	rig_open(&r);
	peer_take_login(&r, BANNER);
	for (int i = 0; i < 5;
		i++) { /* Events, two Filters, CoreSettings, CoreStatus */
		static const char *const names[] = {
			"Events", "Filter", "Filter", "CoreSettings", "CoreStatus"};
		struct action act = peer_take(&r, names[i]);
		peer_answer(&r, &act, "Error", "Message: Permission denied\r\n");
	}
	UNTIL(&r, rig_is_up(&r));
	CHECK_STR(channel_core_peer(r.channel), "Asterisk Call Manager/11.0.0");
	peer_say_hangup(&r, "1795278207.7");
	UNTIL(&r, rig_seen(&r, CALL_CHANNEL_HANGUP));
	CHECK_STR(r.last_uid, "1795278207.7");
	rig_fini(&r);
}

static void
test_answers_that_never_come_hold_nothing_up(void)
{
	struct rig r;

	rig_init(&r);
	r.conf.answer_ms = 100;
	r.conf.boot_wait_ms = 20;
	rig_open(&r);
	peer_take_login(&r, BANNER);
	UNTIL(&r, rig_is_up(&r)); /* after the time for CoreSettings is over */
	test_expect_log("no list by CoreShowChannels (no");
	UNTIL(&r, rig_counter(&r, "snapshots_incomplete", false));
	CHECK(rig_is_up(&r));
	peer_say_hangup(&r, "1795278207.8");
	UNTIL(&r, rig_seen(&r, CALL_CHANNEL_HANGUP));
	rig_fini(&r);
}

static void
test_without_fully_booted_the_snapshot_waits_a_little_and_comes_again_with_it(void)
{
	struct rig r;

	rig_init(&r);
	r.conf.boot_wait_ms = 80;
	rig_open(&r);
	peer_take_login(&r, BANNER);
	peer_identify(&r, "16:00:00");
	UNTIL(&r, rig_is_up(&r));
	CHECK_INT(rig_seen(&r, CALL_SNAPSHOT_BEGIN), 0);
	peer_lists_empty(&r);
	UNTIL(&r, rig_seen(&r, CALL_SNAPSHOT_END) == 1);
	peer_say(&r, FULLYBOOTED FULLYBOOTED);
	peer_lists_empty(&r);
	UNTIL(&r, rig_seen(&r, CALL_SNAPSHOT_END) == 2);
	CHECK_INT(rig_seen(&r, CALL_SNAPSHOT_BEGIN), 2);
	rig_fini(&r);
}

static void
test_resync_on_request(void)
{
	struct rig r;
	struct err err;

	rig_init(&r);
	rig_open(&r);
	CHECK(channel_core_resync(r.channel, &err) < 0);
	peer_take_session(&r, "16:00:00");
	UNTIL(&r, rig_seen(&r, CALL_SNAPSHOT_END) == 1);
	CHECK(channel_core_resync(r.channel, &err) == 0);
	CHECK(channel_core_resync(r.channel, &err) < 0); /* a moment ago */
	peer_lists_empty(&r);
	UNTIL(&r, rig_seen(&r, CALL_SNAPSHOT_END) == 2);
	rig_fini(&r);
}

/* ---- Losing and regaining ------------------------------------------------ */

static void
test_lost_connection_is_told_made_anew_and_compared(void)
{
	struct rig r;

	rig_init(&r);
	rig_open(&r);
	peer_take_session(&r, "16:00:00");
	UNTIL(&r, rig_seen(&r, CALL_SNAPSHOT_END) == 1);
	test_expect_log("connection lost");
	peer_close(&r);
	UNTIL(&r, rig_seen(&r, CALL_LINK_LOST) == 1);
	CHECK(rig_is_down(&r));
	peer_take_session(&r, "16:00:00");
	UNTIL(&r, rig_seen(&r, CALL_SNAPSHOT_END) == 2);
	CHECK_INT(rig_seen(&r, CALL_LINK_LOST), 1);
	CHECK_INT(rig_seen(&r, CALL_SYSTEM_STOPPED), 0);
	CHECK(rig_is_up(&r));
	rig_fini(&r);
}

static void
test_another_startup_time_is_a_restart(void)
{
	struct rig r;

	rig_init(&r);
	rig_open(&r);
	peer_take_session(&r, "16:00:00");
	UNTIL(&r, rig_seen(&r, CALL_SNAPSHOT_END) == 1);
	test_expect_log("connection lost");
	peer_close(&r);
	UNTIL(&r, rig_is_down(&r));
	peer_take_session(&r, "16:00:07");
	UNTIL(&r, rig_seen(&r, CALL_SNAPSHOT_END) == 2);
	CHECK_INT(rig_seen(&r, CALL_SYSTEM_STOPPED), 1);
	CHECK(rig_last(&r, CALL_SYSTEM_STOPPED) > rig_last(&r, CALL_LINK_LOST));
	CHECK(rig_last(&r, CALL_SYSTEM_STOPPED) < rig_last(&r, CALL_SNAPSHOT_BEGIN));
	rig_fini(&r);
}

static void
test_a_young_uptime_is_a_restart_if_status_is_denied(void)
{
	struct rig r;

	rig_init(&r);
	rig_open(&r);
	for (int round = 0; round < 2; round++) {
		peer_take_login(&r, BANNER);
		peer_say(&r, "Event: FullyBooted\r\nUptime: %d\r\n\r\n",
			round ? 0 : 5000);
		peer_identify_denied(&r);
		UNTIL(&r, rig_is_up(&r));
		CHECK_INT(rig_seen(&r, CALL_SYSTEM_STOPPED), round);
		test_expect_log(round ? "was shut down" : "connection lost");
		if (round)
			peer_say(&r, "Event: Shutdown\r\nPrivilege: system,all\r\n"
				     "Shutdown: Cleanly\r\nRestart: False\r\n\r\n");
		peer_close(&r);
		UNTIL(&r, rig_is_down(&r));
	}
	CHECK_INT(rig_seen(&r, CALL_SYSTEM_STOPPED), 2); /* and the Shutdown itself */
	rig_fini(&r);
}

static void
test_pings_are_sent_and_their_answers_keep_the_connection(void)
{
	struct rig r;

	rig_init(&r);
	r.conf.keepalive_ms = 30;
	r.conf.answer_ms = 2000;
	rig_open(&r);
	peer_take_session(&r, "16:00:00");
	for (int i = 0; i < 4; i++) {
		struct action act = peer_take(&r, "Ping");
		peer_answer(&r, &act, "Success", "Ping: Pong\r\n");
	}
	CHECK(rig_is_up(&r));
	CHECK_INT(rig_counter(&r, "connections", false), 1);
	rig_fini(&r);
}

/* What the peer says before it falls silent. */
static const char *const last_words[] = {
	"",
	"Event: Hangup\r\nChannel: PJSIP/10",
	"Event: Hangup\r\n",
};

static void
test_silence_ends_the_connection_also_in_half_a_message(void)
{
	for (size_t i = 0; i < ARRAY_LEN(last_words); i++) {
		struct rig r;

		rig_init(&r);
		r.conf.keepalive_ms = 50;
		r.conf.answer_ms = 300;
		rig_open(&r);
		peer_take_session(&r, "16:00:00");
		UNTIL(&r, rig_seen(&r, CALL_SNAPSHOT_END));
		peer_write(&r, last_words[i], strlen(last_words[i]));
		test_expect_log("not answered a Ping");
		UNTIL(&r, rig_seen(&r, CALL_LINK_LOST));
		CHECK(rig_is_down(&r));
		rig_fini(&r);
	}
}

/* It is busy, not dead: events come, the Ping waits behind them. */
static void
test_events_count_as_life(void)
{
	struct rig r;

	rig_init(&r);
	r.conf.keepalive_ms = 30;
	r.conf.answer_ms = 400;
	rig_open(&r);
	peer_take_session(&r, "16:00:00");
	UNTIL(&r, rig_seen(&r, CALL_SNAPSHOT_END));
	peer_take(&r, "Ping");
	peer_say_hangup(&r, "1795278207.1");
	struct action act = peer_take(&r, "Ping"); /* the next one, no reconnect */
	peer_answer(&r, &act, "Success", "Ping: Pong\r\n");
	CHECK(rig_is_up(&r));
	CHECK_INT(rig_seen(&r, CALL_LINK_LOST), 0);
	rig_fini(&r);
}

int
main(void)
{
	TEST(test_md5_login_never_shows_the_secret);
	TEST(test_plaintext_login_asks_for_no_challenge);
	TEST(test_without_challenge_the_login_is_plaintext);
	TEST(test_the_logins_answer_may_have_any_action_id);
	TEST(test_who_hears_events_is_logged_in);
	TEST(test_a_repeated_challenge_is_no_login);
	TEST(test_refused_login_says_what_to_check_and_is_retried_slowly);
	TEST(test_banners);
	TEST(test_endless_line_is_no_banner);
	TEST(test_silence_at_login_ends);
	TEST(test_nobody_listens);
	TEST(test_closing_at_any_moment);
	TEST(test_snapshot_is_bracketed_and_live_events_pass_through_it);
	TEST(test_incomplete_list_closes_nobody);
	TEST(test_without_queues_and_parking_the_snapshot_still_ends);
	TEST(test_a_user_without_rights_still_gets_events);
	TEST(test_answers_that_never_come_hold_nothing_up);
	TEST(test_without_fully_booted_the_snapshot_waits_a_little_and_comes_again_with_it);
	TEST(test_resync_on_request);
	TEST(test_lost_connection_is_told_made_anew_and_compared);
	TEST(test_another_startup_time_is_a_restart);
	TEST(test_a_young_uptime_is_a_restart_if_status_is_denied);
	TEST(test_pings_are_sent_and_their_answers_keep_the_connection);
	TEST(test_silence_ends_the_connection_also_in_half_a_message);
	TEST(test_events_count_as_life);
	return test_done();
}
