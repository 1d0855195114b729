/* test_tracker_ends.c - what no recording has, as tables of events: restarts, late
 * endings, outgoing calls, systems without linked ids, bounds and ids. */
#include "lib/call_cases.h"

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

/* ---- Endings --------------------------------------------------------------------------- */

#define SNAPSHOT(ms) EV(ms, SNAPSHOT_BEGIN), EV(ms, SNAPSHOT_END)

static void
test_killed_and_started_again(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS, AGENT_ANSWERS,
		EV(4000, LINK_LOST), EV(9000, SYSTEM_STOPPED), SNAPSHOT(9010)};

	RUN(events, "in 0912345678 answered 1001 | 1001 ringing talking interrupted");
	CHECK_INT(seen.calls[0].talk_ms, 3000);
	CHECK_INT(seen.calls[0].ended_us, T0 + 4000000);
}

static void
test_gone_at_a_snapshot(void)
{
	const struct call_event events[] = {
		CUSTOMER_CALLS, EV(700, LINK_LOST), SNAPSHOT(9000)};
	struct tracker *t = seen_tracker(&seen);

	PLAY(t, events);
	CHECK_TOLD("in 0912345678 ringing - | 1001 ringing open");
	CHECK_INT(tracker_next_due(t), T0 + 10000000);
	tracker_tick(t, T0 + 9999999);
	CHECK_TOLD("in 0912345678 ringing - | 1001 ringing open");
	tracker_tick(t, T0 + 10000000);
	CHECK_TOLD("in 0912345678 interrupted - | 1001 ringing interrupted");
	CHECK_INT(seen.calls[0].ended_us, T0 + 700000);
	tracker_free(&t);
}

static void
test_the_hangup_may_still_come_after_the_snapshot(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS, AGENT_ANSWERS,
		EV(3000, LINK_LOST), SNAPSHOT(4000), CUSTOMER_HANGS_UP(4500),
		EV(4500, CHANNEL_HANGUP, U(11), L(10), .cause = 16)};

	RUN(events, "in 0912345678 answered 1001 | 1001 ringing talking completed");
	CHECK_INT(seen.calls[0].talk_ms, 3500);
}

static void
test_a_true_ending_comes_late(void)
{
	const struct call_event before[] = {
		CUSTOMER_CALLS, AGENT_ANSWERS, EV(3000, LINK_LOST), SNAPSHOT(4000)};
	const struct call_event after[] = {CUSTOMER_HANGS_UP(6000),
		EV(6000, CHANNEL_HANGUP, U(11), L(10), .cause = 16)};
	struct tracker *t = seen_tracker(&seen);

	PLAY(t, before);
	tracker_tick(t, T0 + 60000000);
	CHECK_TOLD("in 0912345678 answered 1001 | 1001 ringing talking interrupted");
	CHECK_INT(seen.calls[0].talk_ms, 2000);
	PLAY(t, after);
	CHECK(seen.calls[0].corrected);
	CHECK_INT(seen.calls[0].talk_ms, 5000);
	CHECK_INT(seen.calls[0].ended_us, T0 + 6000000);
	CHECK_INT(seen.calls[0].legs[0].result, CALL_REASON_COMPLETED);
	PLAY(t, after);
	CHECK_INT(seen.errors, 0);
	tracker_free(&t);
}

static void
test_an_abandoned_call_lost_and_found(void)
{
	const struct call_event before[] = {
		CUSTOMER_CALLS, EV(500, LINK_LOST), SNAPSHOT(4000)};
	const struct call_event after[] = {CUSTOMER_HANGS_UP(3000)};
	struct tracker *t = seen_tracker(&seen);

	PLAY(t, before);
	tracker_tick(t, T0 + 60000000);
	CHECK_TOLD("in 0912345678 interrupted - | 1001 ringing interrupted");
	PLAY(t, after);
	CHECK_TOLD("in 0912345678 abandoned - | 1001 ringing interrupted");
	tracker_free(&t);
}

static void
test_the_system_stops_right_after_the_hangups(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS, AGENT_ANSWERS,
		EV(3000, CHANNEL_HANGUP, U(11), L(10)),
		EV(3001, CHANNEL_HANGUP, U(10), L(10)), EV(3300, SYSTEM_STOPPED)};

	RUN(events, "in 0912345678 answered 1001 | 1001 ringing talking interrupted");
}

static void
test_an_unanswered_call_when_the_system_stops(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS,
		EV(3000, HANGUP_REQUEST, U(10), L(10),
			.flags = CALL_SOFT | CALL_SHUTDOWN),
		EV(3000, DIAL_END, U(10), L(10), OTHER(11),
			.result = CALL_RESULT_CANCEL),
		EV(3000, CHANNEL_HANGUP, U(11), L(10), .cause = 16),
		EV(3001, CHANNEL_HANGUP, U(10), L(10), .cause = 16)};

	RUN(events, "in 0912345678 interrupted - | 1001 ringing interrupted");
}

static void
test_no_answer_then_voicemail(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS,
		EV(5000, DIAL_END, U(10), L(10), OTHER(11),
			.result = CALL_RESULT_NO_ANSWER),
		EV(5010, CHANNEL_HANGUP, U(11), L(10), .cause = 0),
		EV(5020, CHANNEL_STATE, U(10), L(10), .state = CALL_STATE_UP),
		EV(9000, VOICEMAIL, U(10), L(10), .detail = "INBOX/msg0000"),
		EV(9000, VOICEMAIL, U(10), L(10), .exten = "1001@default"),
		CUSTOMER_HANGS_UP(9100)};

	RUN(events, "in 0912345678 voicemail - | 1001 ringing no_answer");
	CHECK_STR(seen.calls[0].voicemail, "INBOX/msg0000");
}

static void
test_an_answer_and_a_hangup_that_cross(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS,
		EV(1000, CHANNEL_STATE, U(11), L(10), .state = CALL_STATE_UP),
		EV(1000, HANGUP_REQUEST, U(10), L(10), .cause = 127),
		EV(1000, DIAL_END, U(10), L(10), OTHER(11),
			.result = CALL_RESULT_ANSWER),
		EV(1010, CHANNEL_HANGUP, U(10), L(10), .cause = 127),
		EV(1020, CHANNEL_HANGUP, U(11), L(10), .cause = 16)};

	RUN(events, "in 0912345678 answered 1001 | 1001 ringing talking completed");
	CHECK_INT(seen.calls[0].talk_ms, 0);
}

/* A slow line brings the pieces of a hangup seconds apart. */
static void
test_a_slow_hangup_is_no_hold(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS, AGENT_ANSWERS,
		EV(4000, HANGUP_REQUEST, U(10), L(10), .cause = 16),
		EV(4000, BRIDGE_LEAVE, U(10), L(10), .bridge = "b1"),
		EV(8000, CHANNEL_HANGUP, U(10), L(10), .cause = 16),
		EV(8000, BRIDGE_LEAVE, U(11), L(10), .bridge = "b1"),
		EV(12000, CHANNEL_HANGUP, U(11), L(10), .cause = 16)};

	RUN(events, "in 0912345678 answered 1001 | 1001 ringing talking completed");
}

/* No word of hold, but each talks, or waits, in a bridge of their own. */
static void
test_who_talks_elsewhere_has_the_customer_on_hold(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS, AGENT_ANSWERS,
		EV(4000, BRIDGE_LEAVE, U(11), L(10), .bridge = "b1"),
		EV(4000, BRIDGE_ENTER, U(11), L(10), .bridge = "b2"),
		EV(8000, BRIDGE_LEAVE, U(11), L(10), .bridge = "b2"),
		EV(8000, BRIDGE_ENTER, U(11), L(10), .bridge = "b1"),
		CUSTOMER_HANGS_UP(10000),
		EV(10000, CHANNEL_HANGUP, U(11), L(10), .cause = 16)};

	RUN(events, "in 0912345678 answered 1001 | 1001 ringing talking held talking "
		    "completed");
}

/* ---- Outgoing -------------------------------------------------------------------------- */

#define DIALS_OUT(n, trunk)                                                            \
	EV(100, CHANNEL_NEW, U(n), L(10), .endpoint = "PJSIP/" #trunk,                 \
		.state = CALL_STATE_DOWN),                                             \
		EV(110, DIAL_BEGIN, U(10), L(10), OTHER(n),                            \
			.dial_string = "0911222333", .caller_number = "0285550100")

static void
test_a_second_trunk_after_the_first_failed(void)
{
	const struct call_event events[] = {
		EV(0, CHANNEL_NEW, U(10), L(10), PHONE(1001), .state = CALL_STATE_RING,
			.exten = "90911222333"),
		DIALS_OUT(11, trunk),
		EV(300, DIAL_END, U(10), L(10), OTHER(11),
			.result = CALL_RESULT_CONGESTION),
		EV(300, CHANNEL_HANGUP, U(11), L(10), .cause = 34),
		EV(310, CHANNEL_NEW, U(12), L(10), .endpoint = "PJSIP/trunk2",
			.state = CALL_STATE_DOWN),
		EV(320, DIAL_BEGIN, U(10), L(10), OTHER(12),
			.dial_string = "0911222333"),
		EV(2000, DIAL_END, U(10), L(10), OTHER(12),
			.result = CALL_RESULT_ANSWER),
		EV(2000, BRIDGE_ENTER, U(12), L(10), .bridge = "b1"),
		EV(2000, BRIDGE_ENTER, U(10), L(10), .bridge = "b1"),
		EV(4000, HANGUP_REQUEST, U(12), L(10), .cause = 16),
		EV(4000, CHANNEL_HANGUP, U(12), L(10), .cause = 16),
		EV(4000, CHANNEL_HANGUP, U(10), L(10), .cause = 16)};

	RUN(events, "out 0911222333 answered 1001 | 1001 ringing talking completed");
	CHECK_STR(seen.calls[0].local, "0285550100");
	CHECK_INT(seen.calls[0].talk_ms, 2000);
}

static void
test_dialled_from_the_phone_and_rejected(void)
{
	const struct call_event events[] = {
		EV(0, CHANNEL_NEW, U(10), L(10), PHONE(1001), .state = CALL_STATE_RING,
			.exten = "90911222333"),
		DIALS_OUT(11, trunk),
		EV(900, HANGUP_REQUEST, U(11), L(10), .cause = 21),
		EV(900, DIAL_END, U(10), L(10), OTHER(11),
			.result = CALL_RESULT_CONGESTION),
		EV(900, CHANNEL_HANGUP, U(11), L(10), .cause = 21),
		EV(5000, CHANNEL_HANGUP, U(10), L(10), .cause = 21)};

	RUN(events, "out 0911222333 rejected 1001 | 1001 ringing rejected");
}

static void
test_an_originate_of_ours_that_the_agent_does_not_take(void)
{
	const struct call_event events[] = {
		EV(0, ORIGINATE, U(10), .exten = "0911222333", .action = "7"),
		EV(50, CHANNEL_NEW, U(10), L(10), PHONE(1001),
			.state = CALL_STATE_DOWN),
		EV(60, DIAL_BEGIN, OTHER(10)),
		EV(3000, CHANNEL_HANGUP, U(10), L(10), .cause = 19)};

	RUN(events, "out 0911222333 no_answer 1001 | 1001 ringing no_answer");
}

static void
test_an_originate_to_a_colleague_is_no_interaction(void)
{
	const struct call_event events[] = {
		EV(0, ORIGINATE, U(10), .exten = "1002", .action = "7"),
		EV(50, CHANNEL_NEW, U(10), L(10), PHONE(1001),
			.state = CALL_STATE_DOWN),
		EV(60, DIAL_BEGIN, OTHER(10)),
		EV(500, CHANNEL_NEW, U(11), L(10), PHONE(1002),
			.state = CALL_STATE_DOWN),
		EV(600, DIAL_BEGIN, U(10), L(10), OTHER(11)),
		EV(3000, CHANNEL_HANGUP, U(11), L(10), .cause = 19),
		EV(3000, CHANNEL_HANGUP, U(10), L(10), .cause = 19)};

	RUN(events, "");
}

/* ---- A system without linked ids (FreeSWITCH) -------------------------------------------- */

#define A     "a1b2-customer"
#define B     "b1b2-agent"
#define FS(n) .boot = "core-1", .uid = n

static void
test_a_system_without_linked_ids(void)
{
	const struct call_event events[] = {
		EV(0, CHANNEL_NEW, FS(A), .endpoint = "sofia/external/0912345678",
			.flags = CALL_EXTERNAL, .state = CALL_STATE_RING,
			.caller_number = "0912345678", .exten = "5001"),
		EV(20, DIAL_BEGIN, FS(A),
			.other_uid = B), /* before it is there: lost */
		EV(20, CHANNEL_NEW, FS(B), .endpoint = "sofia/internal/1001",
			.presence = "PJSIP/1001", .flags = CALL_OUTGOING),
		EV(21, DIAL_BEGIN, FS(A), .other_uid = B),
		EV(500, CHANNEL_STATE, FS(B), .state = CALL_STATE_RINGING),
		EV(1500, CHANNEL_STATE, FS(B), .state = CALL_STATE_UP),
		EV(1500, DIAL_END, FS(A), .other_uid = B, .result = CALL_RESULT_ANSWER),
		EV(1510, BRIDGE_ENTER, FS(A), .bridge = A),
		EV(1510, BRIDGE_ENTER, FS(B), .bridge = A),
		EV(3510, CHANNEL_HANGUP, FS(B), .cause = 16),
		EV(3520, CHANNEL_HANGUP, FS(A), .cause = 16)};

	RUN(events, "in 0912345678 answered 1001 | 1001 ringing talking completed");
	CHECK_INT(seen.calls[0].talk_ms, 2000);
}

static void
test_uids_that_start_over_with_a_boot(void)
{
	const struct call_event events[] = {
		EV(0, CHANNEL_NEW, .boot = "1", .uid = "1", TRUNK,
			.state = CALL_STATE_RING, .caller_number = "0911000001"),
		EV(100, CHANNEL_HANGUP, .boot = "1", .uid = "1", .cause = 16),
		EV(200, CHANNEL_NEW, .boot = "2", .uid = "1", TRUNK,
			.state = CALL_STATE_RING, .caller_number = "0911000002"),
		EV(300, CHANNEL_HANGUP, .boot = "2", .uid = "1", .cause = 16)};

	RUN(events, "in 0911000001 ivr_only -\nin 0911000002 ivr_only -");
	CHECK(!uuid_eq(&seen.calls[0].id, &seen.calls[1].id));
}

/* ---- Agents, bounds, beginnings --------------------------------------------------------- */

static const char *
both_are_anna(void *arg, const char *channel, const char *endpoint, const char *pattern)
{
	(void)arg;
	(void)channel;
	if (str_eq(endpoint, "PJSIP/1001") || str_eq(endpoint, "PJSIP/mobile"))
		return "anna";
	return pattern;
}

static void
test_two_phones_of_one_agent_are_one_pop(void)
{
	const struct call_event events[] = {
		EV(0, CHANNEL_NEW, U(10), L(10), TRUNK, .state = CALL_STATE_RING,
			.caller_number = "0912345678", .exten = "6050"),
		RING(11, 1001), RING(12, mobile), RING(13, 1003),
		EV(900, DIAL_END, U(10), L(10), OTHER(12),
			.result = CALL_RESULT_ANSWER),
		LOSES(900, 11, 26), LOSES(900, 13, 26),
		EV(910, BRIDGE_ENTER, U(12), L(10), .bridge = "b1"),
		EV(910, BRIDGE_ENTER, U(10), L(10), .bridge = "b1"),
		CUSTOMER_HANGS_UP(2000),
		EV(2000, CHANNEL_HANGUP, U(12), L(10), .cause = 16)};
	struct tracker_opts opts = {.tenant = "default",
		.channel = "pbx-main",
		.conf = seen_phone_conf(),
		.observer = &seen_observer,
		.observer_arg = &seen,
		.directory = {both_are_anna, NULL}};
	struct tracker *t = tracker_new(&opts);

	memset(&seen, 0, sizeof(seen));
	PLAY(t, events);
	tracker_tick(t, T0 + 9000000);
	CHECK_TOLD("in 0912345678 answered anna | anna ringing talking completed | "
		   "1003 ringing answered_elsewhere");
	tracker_free(&t);
}

static void
test_an_internal_phone_answers(void)
{
	const struct call_event events[] = {
		EV(0, CHANNEL_NEW, U(10), L(10), TRUNK, .state = CALL_STATE_RING,
			.caller_number = "0912345678", .exten = "5099"),
		RING(11, door),
		EV(900, DIAL_END, U(10), L(10), OTHER(11),
			.result = CALL_RESULT_ANSWER),
		EV(910, BRIDGE_ENTER, U(11), L(10), .bridge = "b1"),
		EV(910, BRIDGE_ENTER, U(10), L(10), .bridge = "b1"),
		CUSTOMER_HANGS_UP(2000),
		EV(2000, CHANNEL_HANGUP, U(11), L(10), .cause = 16)};

	RUN(events, "in 0912345678 answered -"); /* no agent, no pop */
	CHECK_INT(seen.calls[0].n_legs, 1);
	CHECK_INT(seen.calls[0].talk_ms, 0); /* not with an agent */
}

static void
test_forwarded_to_a_mobile_outside(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS,
		EV(30, CHANNEL_NEW, U(12), L(10), TRUNK, .state = CALL_STATE_DOWN),
		EV(40, DIAL_BEGIN, U(10), L(10), OTHER(12),
			.dial_string = "0911222333"),
		EV(900, CHANNEL_STATE, U(12), L(10), .state = CALL_STATE_UP),
		EV(900, DIAL_END, U(10), L(10), OTHER(12),
			.result = CALL_RESULT_ANSWER),
		LOSES(900, 11, 26), EV(910, BRIDGE_ENTER, U(12), L(10), .bridge = "b1"),
		EV(910, BRIDGE_ENTER, U(10), L(10), .bridge = "b1"),
		CUSTOMER_HANGS_UP(2000),
		EV(2000, CHANNEL_HANGUP, U(12), L(10), .cause = 16)};

	RUN(events, "in 0912345678 answered - | 1001 ringing answered_elsewhere");
	CHECK_INT(seen.calls[0].legs[1].type, LEG_TRANSFER);
	CHECK_INT(seen.calls[0].legs[1].result, CALL_REASON_COMPLETED);
	CHECK_INT(seen.calls[0].talk_ms, 0); /* with no agent */
}

static void
test_two_calls_of_one_linked_id_have_ids_of_their_own(void)
{
	const struct call_event events[] = {
		EV(0, CHANNEL_NEW, U(10), L(10), PHONE(1001), .state = CALL_STATE_RING),
		DIALS_OUT(11, trunk),
		EV(900, DIAL_END, U(10), L(10), OTHER(11),
			.result = CALL_RESULT_ANSWER),
		EV(1000, CHANNEL_HANGUP, U(11), L(10), .cause = 16),
		DIALS_OUT(12, trunk),
		EV(2000, DIAL_END, U(10), L(10), OTHER(12),
			.result = CALL_RESULT_ANSWER),
		EV(3000, CHANNEL_HANGUP, U(12), L(10), .cause = 16),
		EV(3000, CHANNEL_HANGUP, U(10), L(10), .cause = 16)};

	RUN(events, "out 0911222333 answered 1001 | 1001 ringing talking completed\n"
		    "out 0911222333 answered 1001 | 1001 ringing talking completed");
}

static void
test_the_tail_of_a_call_begins_nothing(void)
{
	/* As a replayed spool may begin: the customer's channel was before it. */
	const struct call_event events[] = {EV(20, DIAL_BEGIN, U(10), L(10), OTHER(11)),
		EV(30, CHANNEL_NEW, U(12), L(10), TRUNK, .state = CALL_STATE_DOWN),
		EV(40, DIAL_BEGIN, U(10), L(10), OTHER(12),
			.dial_string = "0911222333"),
		EV(50, BRIDGE_ENTER, U(10), L(10), .bridge = "b1"),
		EV(60, QUEUE_JOIN, U(10), L(10), .queue = "support"),
		EV(70, CHANNEL_HANGUP, U(12), L(10), .cause = 16),
		EV(70, CHANNEL_HANGUP, U(10), L(10), .cause = 16)};

	RUN(events, "");
}

static void
test_more_channels_than_allowed(void)
{
	struct tracker_opts opts = {.tenant = "default",
		.channel = "pbx-main",
		.conf = seen_phone_conf(),
		.observer = &seen_observer,
		.observer_arg = &seen,
		.max_channels = 10};
	struct tracker *t = tracker_new(&opts);
	struct tracker_stats stats;

	memset(&seen, 0, sizeof(seen));
	for (int i = 0; i < 50; i++) {
		char uid[32];
		struct call_event ev = EV(i * 10, CHANNEL_NEW, .uid = uid,
			.linked = uid, TRUNK, .state = CALL_STATE_RING,
			.caller_number = "0912345678");
		snprintf(uid, sizeof(uid), "1795277508.%d", i);
		tracker_apply(t, &ev, 0);
	}
	tracker_get_stats(t, &stats);
	CHECK_INT(stats.channels, 10);
	CHECK_INT(stats.calls, 10);
	CHECK_INT(stats.overflowed, 40);
	CHECK_INT(stats.interrupted, 40);
	CHECK_INT(seen.errors, 0);
	tracker_free(&t);
}

static void
test_callers_without_a_number(void)
{
	static const char *const withheld[] = {"anonymous", "Anonymous", "", NULL,
		"Restricted", "unavailable", "+266696687",
		"anonymous@anonymous.invalid"};
	static const char *const shown[] = {
		"0912345678", "+886912345678", "1001", "alice"};

	for (size_t i = 0; i < ARRAY_LEN(withheld) + ARRAY_LEN(shown); i++) {
		bool hidden = i < ARRAY_LEN(withheld);
		const char *number =
			hidden ? withheld[i] : shown[i - ARRAY_LEN(withheld)];
		const struct call_event ev = EV(0, CHANNEL_NEW, U(10), L(10), TRUNK,
			.state = CALL_STATE_RING, .caller_number = number,
			.caller_name = "Anonymous");
		struct tracker *t = seen_tracker(&seen);
		tracker_apply(t, &ev, 1);
		CHECK_INT(seen.calls[0].withheld, hidden);
		CHECK_STR(seen.calls[0].number, hidden ? "" : number);
		CHECK_STR(seen.calls[0].display, hidden ? "" : "Anonymous");
		tracker_free(&t);
	}
}

static void
test_ids_follow_from_the_events(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS, AGENT_ANSWERS};
	struct tracker *t = seen_tracker(&seen);
	struct uuid call, pop;
	char text[UUID_TEXT_LEN];

	PLAY(t, events);
	tracker_free(&t);
	call = uuid_derive(T0, "default/pbx-main//1795277508.10");
	pop = uuid_derive(T0, "default/pbx-main//1795277508.10/1795277508.11/0");
	CHECK_STR(uuid_format(text, &seen.calls[0].id),
		uuid_format((char[37]){0}, &call));
	CHECK_STR(
		uuid_format(text, &seen.pops[0].id), uuid_format((char[37]){0}, &pop));
}

static void
test_the_oldest_record_still_needed(void)
{
	const struct call_event first[] = {CUSTOMER_CALLS};
	const struct call_event second[] = {EV(500, CHANNEL_NEW, U(30), L(30), TRUNK,
		.state = CALL_STATE_RING, .caller_number = "0911000002")};
	const struct call_event end[] = {CUSTOMER_HANGS_UP(1000),
		EV(1000, CHANNEL_HANGUP, U(11), L(10), .cause = 16)};
	struct tracker *t = seen_tracker(&seen);

	CHECK(tracker_oldest_seq(t) == UINT64_MAX);
	for (size_t i = 0; i < ARRAY_LEN(first); i++)
		tracker_apply(t, &first[i], 100 + i);
	tracker_apply(t, &second[0], 200);
	CHECK_INT(tracker_oldest_seq(t), 100);
	for (size_t i = 0; i < ARRAY_LEN(end); i++)
		tracker_apply(t, &end[i], 300 + i);
	tracker_tick(t, T0 + 9000000);
	CHECK_INT(tracker_oldest_seq(t), 200);
	tracker_free(&t);
}

int
main(void)
{
	TEST(test_killed_and_started_again);
	TEST(test_gone_at_a_snapshot);
	TEST(test_the_hangup_may_still_come_after_the_snapshot);
	TEST(test_a_true_ending_comes_late);
	TEST(test_an_abandoned_call_lost_and_found);
	TEST(test_the_system_stops_right_after_the_hangups);
	TEST(test_an_unanswered_call_when_the_system_stops);
	TEST(test_no_answer_then_voicemail);
	TEST(test_an_answer_and_a_hangup_that_cross);
	TEST(test_a_slow_hangup_is_no_hold);
	TEST(test_who_talks_elsewhere_has_the_customer_on_hold);
	TEST(test_a_second_trunk_after_the_first_failed);
	TEST(test_dialled_from_the_phone_and_rejected);
	TEST(test_an_originate_of_ours_that_the_agent_does_not_take);
	TEST(test_an_originate_to_a_colleague_is_no_interaction);
	TEST(test_a_system_without_linked_ids);
	TEST(test_uids_that_start_over_with_a_boot);
	TEST(test_two_phones_of_one_agent_are_one_pop);
	TEST(test_an_internal_phone_answers);
	TEST(test_forwarded_to_a_mobile_outside);
	TEST(test_two_calls_of_one_linked_id_have_ids_of_their_own);
	TEST(test_the_tail_of_a_call_begins_nothing);
	TEST(test_more_channels_than_allowed);
	TEST(test_callers_without_a_number);
	TEST(test_ids_follow_from_the_events);
	TEST(test_the_oldest_record_still_needed);
	return test_done();
}
