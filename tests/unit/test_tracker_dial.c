/* test_tracker_dial.c - calls that we asked for ourselves: a call from the asking on,
 * with an id known beforehand, whatever becomes of the agent's phone. */
#include "lib/call_cases.h"

#include <mem.h>

#define ID	   "interactd-1795277508.77"
#define ME	   .uid = ID, .linked = ID
#define OF_MINE(n) .uid = "1795277508." #n, .linked = ID
#define WE_ASK(phone)                                                                  \
	EV(0, ORIGINATE, ME, .exten = "+886911222333", .endpoint = phone,              \
		.flags = CALL_EXTERNAL | CALL_OUTGOING)
#define PHONE_RINGS                                                                    \
	EV(50, CHANNEL_NEW, ME, PHONE(1001), .state = CALL_STATE_DOWN),                \
		EV(60, DIAL_BEGIN, .other_uid = ID, .other_linked = ID),               \
		EV(70, CHANNEL_STATE, ME, .state = CALL_STATE_RINGING)
#define PHONE_ANSWERS                                                                  \
	EV(1000, CHANNEL_STATE, ME, .state = CALL_STATE_UP),                           \
		EV(1000, DIAL_END, .other_uid = ID, .result = CALL_RESULT_ANSWER),     \
		EV(1001, ORIGINATE_RESULT, .uid = ID, .exten = "0911222333",           \
			.result = CALL_RESULT_ANSWER)
/* 11 is the customer's leg. */
#define CUSTOMER_RINGS(from)                                                           \
	EV(1100, CHANNEL_NEW, OF_MINE(11), TRUNK, .state = CALL_STATE_DOWN),           \
		EV(1110, DIAL_BEGIN, from, .linked = ID, .other_uid = "1795277508.11", \
			.dial_string = "0911222333")
#define CUSTOMER_ANSWERS(agent)                                                        \
	EV(2000, DIAL_END, .other_uid = "1795277508.11",                               \
		.result = CALL_RESULT_ANSWER),                                         \
		EV(2000, BRIDGE_ENTER, agent, .linked = ID, .bridge = "b1"),           \
		EV(2000, BRIDGE_ENTER, OF_MINE(11), .bridge = "b1")
#define BOTH_END(agent)                                                                \
	EV(5000, HANGUP_REQUEST, OF_MINE(11), .cause = 16),                            \
		EV(5000, CHANNEL_HANGUP, OF_MINE(11), .cause = 16),                    \
		EV(5010, CHANNEL_HANGUP, agent, .linked = ID, .cause = 16)

static void
check_id(void)
{
	struct uuid id = tracker_call_id("default", "pbx-main", ID);
	char want[UUID_TEXT_LEN], got[UUID_TEXT_LEN];

	CHECK_INT(seen.n_calls, 1);
	CHECK_STR(uuid_format(got, &seen.calls[0].id), uuid_format(want, &id));
	CHECK_INT(uuid_time_us(&id), INT64_C(1795277508000000));
}

static void
test_the_id_is_known_beforehand(void)
{
	const struct call_event events[] = {WE_ASK("PJSIP/1001"), PHONE_RINGS,
		PHONE_ANSWERS, CUSTOMER_RINGS(.uid = ID), CUSTOMER_ANSWERS(.uid = ID),
		BOTH_END(.uid = ID)};

	RUN(events, "out 0911222333 answered 1001 | 1001 ringing talking completed");
	check_id();
	CHECK_INT(seen.calls[0].talk_ms, 3000);
	CHECK_INT(seen.calls[0].wait_ms, 890);
}

static void
test_it_is_a_call_before_anything_rings(void)
{
	const struct call_event events[] = {WE_ASK("PJSIP/1001")};
	struct tracker *t = seen_tracker(&seen);

	PLAY(t, events);
	check_id();
	CHECK_STR(seen.calls[0].number, "+886911222333");
	CHECK_STR(seen.calls[0].agent, "1001");
	CHECK_INT(seen.n_pops, 0);
	const struct call_event rings[] = {PHONE_RINGS};
	PLAY(t, rings);
	CHECK_INT(seen.n_pops, 0);
	const struct call_event answers[] = {PHONE_ANSWERS};
	PLAY(t, answers);
	CHECK_INT(seen.n_pops, 1);
	tracker_free(&t);
}

static void
test_the_first_record_stays_in_the_spool(void)
{
	const struct call_event asked = WE_ASK("PJSIP/1001");
	struct tracker *t = seen_tracker(&seen);

	tracker_apply(t, &asked, 7);
	CHECK_INT(tracker_oldest_seq(t), 7);
	tracker_free(&t);
}

static void
test_a_phone_that_is_not_there(void)
{
	const struct call_event events[] = {WE_ASK("PJSIP/1001"),
		EV(30, ORIGINATE_RESULT, .uid = ID, .exten = "0911222333",
			.result = CALL_RESULT_FAILED)};

	RUN(events, "out +886911222333 unreachable 1001 | 1001 ringing unreachable");
	check_id();
}

static void
test_a_phone_that_nobody_picks_up(void)
{
	const struct call_event events[] = {WE_ASK("PJSIP/1001"), PHONE_RINGS,
		EV(3000, ORIGINATE_RESULT, .uid = ID, .exten = "0911222333",
			.result = CALL_RESULT_NO_ANSWER),
		EV(3010, CHANNEL_HANGUP, ME, .cause = 19)};

	RUN(events, "out +886911222333 no_answer 1001 | 1001 ringing no_answer");
	check_id();
}

static void
test_a_hangup_that_comes_before_the_answer(void)
{
	const struct call_event events[] = {WE_ASK("PJSIP/1001"), PHONE_RINGS,
		EV(3000, CHANNEL_HANGUP, ME, .cause = 17),
		EV(3010, ORIGINATE_RESULT, .uid = ID, .exten = "0911222333",
			.result = CALL_RESULT_BUSY)};

	RUN(events, "out +886911222333 busy 1001 | 1001 ringing busy");
}

static void
test_refused_by_the_phone_system(void)
{
	const struct call_event events[] = {WE_ASK("PJSIP/1001"),
		EV(30, ORIGINATE_RESULT, .uid = ID, .result = CALL_RESULT_INVALID)};

	RUN(events, "out +886911222333 failed 1001");
	check_id();
}

/* The list of a snapshot that was under way names nothing that was asked for since; the
 * next one must. */
static void
test_one_that_never_came(void)
{
	const struct call_event events[] = {EV(0, SNAPSHOT_BEGIN, .uid = NULL),
		WE_ASK("PJSIP/1001"), EV(10, SNAPSHOT_END, .uid = NULL),
		EV(60000, SNAPSHOT_BEGIN, .uid = NULL),
		EV(60010, SNAPSHOT_END, .uid = NULL),
		EV(62000, SNAPSHOT_BEGIN, .uid = NULL)};

	RUN(events, "out +886911222333 interrupted 1001");
}

/* A short number is outside too: we were told. */
static void
test_a_short_number(void)
{
	const struct call_event events[] = {
		EV(0, ORIGINATE, ME, .exten = "95588", .endpoint = "PJSIP/1001",
			.flags = CALL_EXTERNAL | CALL_OUTGOING),
		PHONE_RINGS, EV(900, CHANNEL_HANGUP, ME, .cause = 21)};

	RUN(events, "out 95588 rejected 1001 | 1001 ringing rejected");
	check_id();
}

/* Local/1001@agents is ID and its half; behind them rings the phone (12). */
static void
test_a_phone_behind_a_local_channel(void)
{
	const struct call_event events[] = {WE_ASK("Local/1001@agents/n"),
		EV(50, CHANNEL_NEW, ME, .endpoint = "Local/1001@agents",
			.flags = CALL_LOCAL, .state = CALL_STATE_DOWN),
		EV(50, CHANNEL_NEW, .uid = ID ";2", .linked = ID,
			.endpoint = "Local/1001@agents", .flags = CALL_LOCAL,
			.state = CALL_STATE_RING),
		EV(55, DIAL_BEGIN, .other_uid = ID, .other_linked = ID,
			.flags = CALL_OTHER_LOCAL),
		EV(60, LOCAL_BRIDGE, ME, .other_uid = ID ";2"),
		EV(70, CHANNEL_NEW, OF_MINE(12), PHONE(1001), .state = CALL_STATE_DOWN),
		EV(80, DIAL_BEGIN, .uid = ID ";2", .linked = ID,
			.other_uid = "1795277508.12"),
		EV(80, CHANNEL_STATE, OF_MINE(12), .state = CALL_STATE_RINGING),
		EV(1000, CHANNEL_STATE, OF_MINE(12), .state = CALL_STATE_UP),
		EV(1000, DIAL_END, .uid = ID ";2", .linked = ID,
			.other_uid = "1795277508.12", .result = CALL_RESULT_ANSWER),
		EV(1010, BRIDGE_ENTER, OF_MINE(12), .bridge = "b0"),
		EV(1010, BRIDGE_ENTER, .uid = ID ";2", .linked = ID, .bridge = "b0"),
		PHONE_ANSWERS, CUSTOMER_RINGS(.uid = ID), CUSTOMER_ANSWERS(.uid = ID),
		EV(5000, HANGUP_REQUEST, OF_MINE(11), .cause = 16),
		EV(5000, CHANNEL_HANGUP, OF_MINE(11), .cause = 16),
		EV(5010, CHANNEL_HANGUP, ME, .cause = 16),
		EV(5010, CHANNEL_HANGUP, .uid = ID ";2", .linked = ID, .cause = 16),
		EV(5010, CHANNEL_HANGUP, OF_MINE(12), .cause = 16)};

	RUN(events, "out 0911222333 answered 1001 | 1001 ringing talking completed");
	check_id();
	CHECK_INT(seen.calls[0].talk_ms, 3000);
}

int
main(void)
{
	TEST(test_the_id_is_known_beforehand);
	TEST(test_it_is_a_call_before_anything_rings);
	TEST(test_the_first_record_stays_in_the_spool);
	TEST(test_a_phone_that_is_not_there);
	TEST(test_a_phone_that_nobody_picks_up);
	TEST(test_a_hangup_that_comes_before_the_answer);
	TEST(test_refused_by_the_phone_system);
	TEST(test_one_that_never_came);
	TEST(test_a_short_number);
	TEST(test_a_phone_behind_a_local_channel);
	return test_done();
}
