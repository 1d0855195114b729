/* test_tracker_cases.c - what no recording has, as tables of events: pickup, conferences,
 * ring groups, parking that times out, queues left, transfers between phones, Local
 * members. Endings and the rest are in test_tracker_ends.c. */
#include "lib/call_cases.h"

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

static void
test_pickup_takes_the_ringing_channel_over(void)
{
	/* Asterisk gives the ringing channel the name of the phone that picked up. */
	const struct call_event events[] = {CUSTOMER_CALLS,
		EV(500, CHANNEL_NEW, U(12), L(12), PHONE(1002), .exten = "*8",
			.state = CALL_STATE_RING),
		EV(600, CHANNEL_STATE, U(12), L(12), .state = CALL_STATE_UP),
		EV(600, PICKUP, U(12), L(12), OTHER(11)),
		EV(610, CHANNEL_UPDATE, U(11), L(10), PHONE(1002)),
		EV(610, CHANNEL_HANGUP, U(12), L(12), .cause = 26),
		EV(620, CHANNEL_STATE, U(11), L(10), .state = CALL_STATE_UP),
		EV(620, DIAL_END, U(10), L(10), OTHER(11),
			.result = CALL_RESULT_ANSWER),
		EV(630, BRIDGE_ENTER, U(11), L(10), .bridge = "b1"),
		EV(630, BRIDGE_ENTER, U(10), L(10), .bridge = "b1"),
		CUSTOMER_HANGS_UP(3000),
		EV(3000, CHANNEL_HANGUP, U(11), L(10), .cause = 16)};

	RUN(events, "in 0912345678 answered 1002 | 1001 ringing answered_elsewhere | "
		    "1002 talking completed");
	CHECK_INT(seen.calls[0].talk_ms, 2370);
}

static void
test_pickup_by_another_channel(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS,
		EV(500, CHANNEL_NEW, U(12), L(12), PHONE(1002),
			.state = CALL_STATE_RING),
		EV(600, CHANNEL_STATE, U(12), L(12), .state = CALL_STATE_UP),
		EV(600, PICKUP, U(12), L(10), OTHER(11)),
		EV(610, BRIDGE_ENTER, U(12), L(10), .bridge = "b1"),
		EV(610, BRIDGE_ENTER, U(10), L(10), .bridge = "b1"),
		EV(620, CHANNEL_HANGUP, U(11), L(10), .cause = 26),
		EV(3000, HANGUP_REQUEST, U(12), L(10), .cause = 16),
		EV(3000, CHANNEL_HANGUP, U(12), L(10), .cause = 16),
		EV(3010, CHANNEL_HANGUP, U(10), L(10), .cause = 16)};

	RUN(events, "in 0912345678 answered 1002 | 1001 ringing answered_elsewhere | "
		    "1002 talking completed");
}

static void
test_a_third_party_joins(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS, AGENT_ANSWERS,
		EV(1500, CHANNEL_NEW, U(20), L(20), PHONE(1003),
			.state = CALL_STATE_RING),
		EV(1500, CHANNEL_STATE, U(20), L(20), .state = CALL_STATE_UP),
		EV(2000, BRIDGE_ENTER, U(20), L(10), .bridge = "b1"),
		EV(3000, BRIDGE_LEAVE, U(11), L(10), .bridge = "b1"),
		EV(3000, HANGUP_REQUEST, U(11), L(10), .cause = 16),
		EV(3000, CHANNEL_HANGUP, U(11), L(10), .cause = 16),
		CUSTOMER_HANGS_UP(5000),
		EV(5000, CHANNEL_HANGUP, U(20), L(10), .cause = 16)};

	RUN(events, "in 0912345678 answered 1003 | 1001 ringing talking completed | "
		    "1003 talking completed");
	CHECK_INT(seen.calls[0].talk_ms, 4000); /* not the sum of both */
}

static void
test_ring_group(void)
{
	const struct call_event events[] = {
		EV(0, CHANNEL_NEW, U(10), L(10), TRUNK, .state = CALL_STATE_RING,
			.caller_number = "0912345678", .exten = "6050"),
		RING(11, 1001), RING(12, 1002), RING(13, 1003),
		EV(900, CHANNEL_STATE, U(12), L(10), .state = CALL_STATE_UP),
		EV(900, DIAL_END, U(10), L(10), OTHER(12),
			.result = CALL_RESULT_ANSWER),
		LOSES(900, 11, 26), LOSES(900, 13, 26),
		EV(910, BRIDGE_ENTER, U(12), L(10), .bridge = "b1"),
		EV(910, BRIDGE_ENTER, U(10), L(10), .bridge = "b1"),
		CUSTOMER_HANGS_UP(2000),
		EV(2000, CHANNEL_HANGUP, U(12), L(10), .cause = 16)};

	RUN(events, "in 0912345678 answered 1002 | 1001 ringing answered_elsewhere | "
		    "1002 ringing talking completed | 1003 ringing answered_elsewhere");
	CHECK_STR(seen.calls[0].local, "6050");
}

static void
test_parking_times_out_and_rings_the_agent_again(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS, AGENT_ANSWERS,
		EV(2000, BRIDGE_LEAVE, U(10), L(10), .bridge = "b1"),
		EV(2000, PARK, U(10), L(10), .exten = "701"),
		EV(2000, BRIDGE_ENTER, U(10), L(10), .bridge = "p1",
			.flags = CALL_PARKING_BRIDGE),
		EV(2500, CHANNEL_HANGUP, U(11), L(10), .cause = 16),
		EV(22000, PARK_TIMEOUT, U(10), L(10)),
		EV(22000, BRIDGE_LEAVE, U(10), L(10), .bridge = "p1"),
		EV(22010, CHANNEL_NEW, U(14), L(10), PHONE(1001),
			.state = CALL_STATE_DOWN),
		EV(22020, DIAL_BEGIN, U(10), L(10), OTHER(14)),
		EV(23000, DIAL_END, U(10), L(10), OTHER(14),
			.result = CALL_RESULT_ANSWER),
		EV(23000, BRIDGE_ENTER, U(14), L(10), .bridge = "b2"),
		EV(23000, BRIDGE_ENTER, U(10), L(10), .bridge = "b2"),
		EV(25000, HANGUP_REQUEST, U(14), L(10), .cause = 16),
		EV(25000, BRIDGE_LEAVE, U(14), L(10), .bridge = "b2"),
		EV(25000, CHANNEL_HANGUP, U(14), L(10), .cause = 16),
		EV(25010, CHANNEL_HANGUP, U(10), L(10), .cause = 16)};

	RUN(events, "in 0912345678 answered 1001 | 1001 ringing talking transferred | "
		    "1001 ringing talking completed");
	CHECK_INT(seen.calls[0].hold_ms, 20000);
	CHECK_INT(seen.calls[0].talk_ms, 3000);
}

/* The caller waits in support while 1001 rings. */
#define CALLER_WAITS                                                                   \
	EV(0, CHANNEL_NEW, U(10), L(10), TRUNK, .state = CALL_STATE_RING,              \
		.caller_number = "0912345678", .exten = "6000"),                       \
		EV(100, CHANNEL_STATE, U(10), L(10), .state = CALL_STATE_UP),          \
		EV(500, QUEUE_JOIN, U(10), L(10), .queue = "support", .position = 1)

static void
test_redirected_out_of_a_queue(void)
{
	const struct call_event events[] = {CALLER_WAITS,
		EV(510, CHANNEL_NEW, U(11), L(10), PHONE(1001),
			.state = CALL_STATE_DOWN),
		EV(510, QUEUE_OFFER, U(10), L(10), OTHER(11), .queue = "support"),
		EV(510, DIAL_BEGIN, U(10), L(10), OTHER(11)),
		EV(2000, HANGUP_REQUEST, U(10), L(10), .flags = CALL_SOFT),
		EV(2000, DIAL_END, U(10), L(10), OTHER(11),
			.result = CALL_RESULT_CANCEL),
		EV(2000, QUEUE_ABANDON, U(10), L(10), .queue = "support"),
		EV(2000, QUEUE_LEAVE, U(10), L(10), .queue = "support"),
		EV(2010, CHANNEL_HANGUP, U(11), L(10), .cause = 0),
		EV(2020, CHANNEL_NEW, U(12), L(10), PHONE(1003),
			.state = CALL_STATE_DOWN),
		EV(2030, DIAL_BEGIN, U(10), L(10), OTHER(12)),
		EV(3000, DIAL_END, U(10), L(10), OTHER(12),
			.result = CALL_RESULT_ANSWER),
		EV(3000, BRIDGE_ENTER, U(12), L(10), .bridge = "b1"),
		EV(3000, BRIDGE_ENTER, U(10), L(10), .bridge = "b1"),
		CUSTOMER_HANGS_UP(4000),
		EV(4000, CHANNEL_HANGUP, U(12), L(10), .cause = 16)};

	RUN(events, "in 0912345678 answered 1003 | support waiting reassigned | "
		    "1001 ringing reassigned | 1003 ringing talking completed");
}

static void
test_queue_time_out_without_words(void)
{
	/* No QUEUESTATUS was heard: the members' ring time-outs say it. */
	const struct call_event events[] = {CALLER_WAITS,
		EV(510, CHANNEL_NEW, U(11), L(10), PHONE(1001),
			.state = CALL_STATE_DOWN),
		EV(510, QUEUE_OFFER, U(10), L(10), OTHER(11), .queue = "support"),
		EV(510, DIAL_BEGIN, U(10), L(10), OTHER(11)),
		EV(5000, QUEUE_NO_ANSWER, U(10), L(10), OTHER(11), .queue = "support"),
		EV(5000, DIAL_END, U(10), L(10), OTHER(11),
			.result = CALL_RESULT_NO_ANSWER),
		EV(5000, QUEUE_ABANDON, U(10), L(10), .queue = "support"),
		EV(5000, QUEUE_LEAVE, U(10), L(10), .queue = "support"),
		EV(5010, CHANNEL_HANGUP, U(11), L(10), .cause = 0),
		EV(9000, CHANNEL_HANGUP, U(10), L(10), .cause = 16)};

	RUN(events, "in 0912345678 queue_timeout - | support waiting no_answer | "
		    "1001 ringing no_answer");
}

/* 1001 holds the customer and calls 1002 from its second line (15 -> 16, bridge b2). */
#define AGENT_CONSULTS                                                                 \
	EV(2000, HOLD, U(11), L(10)),                                                  \
		EV(2100, CHANNEL_NEW, U(15), L(15), PHONE(1001), .exten = "1002",      \
			.state = CALL_STATE_RING),                                     \
		EV(2110, CHANNEL_NEW, U(16), L(15), PHONE(1002),                       \
			.state = CALL_STATE_DOWN),                                     \
		EV(2120, DIAL_BEGIN, U(15), L(15), OTHER(16)),                         \
		EV(2130, CHANNEL_STATE, U(16), L(15), .state = CALL_STATE_RINGING,     \
			.connected_number = "1001"),                                   \
		EV(3000, CHANNEL_STATE, U(16), L(15), .state = CALL_STATE_UP),         \
		EV(3000, DIAL_END, U(15), L(15), OTHER(16),                            \
			.result = CALL_RESULT_ANSWER),                                 \
		EV(3000, CHANNEL_STATE, U(15), L(15), .state = CALL_STATE_UP),         \
		EV(3000, BRIDGE_ENTER, U(16), L(15), .bridge = "b2"),                  \
		EV(3000, BRIDGE_ENTER, U(15), L(15), .bridge = "b2")
#define SECOND_AGENT_GOES_ON                                                           \
	EV(5010, CHANNEL_HANGUP, U(11), L(10), .cause = 16),                           \
		EV(5010, CHANNEL_HANGUP, U(15), L(15), .cause = 16),                   \
		EV(8000, HANGUP_REQUEST, U(10), L(10), .cause = 16),                   \
		EV(8000, CHANNEL_HANGUP, U(10), L(10), .cause = 16),                   \
		EV(8000, CHANNEL_HANGUP, U(16), L(10), .cause = 16)

static const char attended[] = "in 0912345678 answered 1002 | "
			       "1001 ringing talking held transferred | "
			       "1002 talking completed";

static void
test_attended_transfer_between_phones(void)
{
	/* The target comes into the customer's bridge, and its linked id just changes. */
	const struct call_event events[] = {CUSTOMER_CALLS, AGENT_ANSWERS,
		AGENT_CONSULTS, EV(4950, UNHOLD, U(11), L(10)),
		EV(5000, BRIDGE_LEAVE, U(16), L(15), .bridge = "b2"),
		EV(5000, BRIDGE_LEAVE, U(11), L(10), .bridge = "b1"),
		EV(5000, BRIDGE_ENTER, U(16), L(10), .bridge = "b1"),
		EV(5000, TRANSFER_ATTENDED, U(11), L(10), OTHER(10),
			.second_uid = "1795277508.15", .target_uid = "1795277508.16"),
		SECOND_AGENT_GOES_ON};

	RUN(events, attended);
	CHECK_INT(seen.calls[0].hold_ms, 2950);
	CHECK_INT(seen.calls[0].talk_ms, 1000 + 50 + 3000);
}

static void
test_attended_transfer_moves_the_customer(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS, AGENT_ANSWERS,
		AGENT_CONSULTS, EV(5000, BRIDGE_LEAVE, U(10), L(10), .bridge = "b1"),
		EV(5000, BRIDGE_LEAVE, U(15), L(15), .bridge = "b2"),
		EV(5000, BRIDGE_ENTER, U(10), L(10), .bridge = "b2"),
		EV(5000, CHANNEL_UPDATE, U(16), L(10)),
		EV(5000, TRANSFER_ATTENDED, U(11), L(10), OTHER(10),
			.second_uid = "1795277508.15"),
		SECOND_AGENT_GOES_ON};

	RUN(events, attended);
}

static void
test_a_consultation_that_ends_is_no_part_of_the_call(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS, AGENT_ANSWERS,
		AGENT_CONSULTS, EV(5000, CHANNEL_HANGUP, U(16), L(15), .cause = 16),
		EV(5000, CHANNEL_HANGUP, U(15), L(15), .cause = 16),
		EV(6000, UNHOLD, U(11), L(10)), CUSTOMER_HANGS_UP(8000),
		EV(8000, CHANNEL_HANGUP, U(11), L(10), .cause = 16)};

	RUN(events, "in 0912345678 answered 1001 | "
		    "1001 ringing talking held talking completed");
	CHECK_INT(seen.calls[0].hold_ms, 4000);
	CHECK_INT(seen.calls[0].talk_ms, 3000);
}

static void
test_consulting_an_outside_party_makes_one_call_of_two(void)
{
	/* 1001 dials out to B on its second line, then joins the customer with B. */
	const struct call_event events[] = {CUSTOMER_CALLS, AGENT_ANSWERS,
		EV(2000, HOLD, U(11), L(10)),
		EV(2100, CHANNEL_NEW, U(15), L(15), PHONE(1001), .exten = "90911222333",
			.state = CALL_STATE_RING),
		EV(2110, CHANNEL_NEW, U(16), L(15), TRUNK, .state = CALL_STATE_DOWN),
		EV(2120, DIAL_BEGIN, U(15), L(15), OTHER(16),
			.dial_string = "0911222333", .caller_number = "0285550100"),
		EV(3000, DIAL_END, U(15), L(15), OTHER(16),
			.result = CALL_RESULT_ANSWER),
		EV(3000, BRIDGE_ENTER, U(16), L(15), .bridge = "b2"),
		EV(3000, BRIDGE_ENTER, U(15), L(15), .bridge = "b2"),
		EV(5000, BRIDGE_LEAVE, U(16), L(15), .bridge = "b2"),
		EV(5000, BRIDGE_LEAVE, U(11), L(10), .bridge = "b1"),
		EV(5000, BRIDGE_ENTER, U(16), L(10), .bridge = "b1"),
		EV(5000, TRANSFER_ATTENDED, U(11), L(10), OTHER(10),
			.second_uid = "1795277508.15"),
		EV(5010, CHANNEL_HANGUP, U(11), L(10), .cause = 16),
		EV(5010, CHANNEL_HANGUP, U(15), L(15), .cause = 16),
		EV(8000, HANGUP_REQUEST, U(10), L(10), .cause = 16),
		EV(8000, CHANNEL_HANGUP, U(10), L(10), .cause = 16),
		EV(8000, CHANNEL_HANGUP, U(16), L(10), .cause = 16)};

	RUN(events,
		"in 0912345678 answered 1001 | 1001 ringing talking held transferred\n"
		"out 0911222333 absorbed 1001 | 1001 ringing talking transferred");
}

#define LOCAL_PAIR(one, two)                                                           \
	EV(510, CHANNEL_NEW, U(one), L(10), .endpoint = "Local/1004@agents",           \
		.flags = CALL_LOCAL, .state = CALL_STATE_DOWN),                        \
		EV(510, CHANNEL_NEW, U(two), L(10), .endpoint = "Local/1004@agents",   \
			.flags = CALL_LOCAL, .state = CALL_STATE_RING),                \
		EV(510, LOCAL_BRIDGE, U(one), L(10), OTHER(two),                       \
			.flags = CALL_LOCAL | CALL_OTHER_LOCAL)

static void
test_queue_members_behind_local_channels(void)
{
	const struct call_event events[] = {CALLER_WAITS, LOCAL_PAIR(20, 21),
		EV(520, QUEUE_OFFER, U(10), L(10), OTHER(20), .queue = "support",
			.interface = "Local/1004@agents/n", .flags = CALL_OTHER_LOCAL),
		EV(520, DIAL_BEGIN, U(10), L(10), OTHER(20), .flags = CALL_OTHER_LOCAL),
		EV(530, CHANNEL_NEW, U(22), L(10), PHONE(1004),
			.state = CALL_STATE_DOWN),
		EV(530, CHANNEL_STATE, U(22), L(10), .state = CALL_STATE_RINGING),
		EV(540, DIAL_BEGIN, U(21), L(10), OTHER(22), .flags = CALL_LOCAL),
		EV(1500, DIAL_END, U(21), L(10), OTHER(22),
			.result = CALL_RESULT_ANSWER),
		EV(1500, BRIDGE_ENTER, U(22), L(10), .bridge = "b2"),
		EV(1500, BRIDGE_ENTER, U(21), L(10), .bridge = "b2"),
		EV(1510, DIAL_END, U(10), L(10), OTHER(20),
			.result = CALL_RESULT_ANSWER),
		EV(1510, QUEUE_LEAVE, U(10), L(10), .queue = "support"),
		EV(1510, QUEUE_CONNECT, U(10), L(10), OTHER(20), .queue = "support"),
		EV(1520, BRIDGE_ENTER, U(20), L(10), .bridge = "b1"),
		EV(1520, BRIDGE_ENTER, U(10), L(10), .bridge = "b1"),
		CUSTOMER_HANGS_UP(3520),
		EV(3520, CHANNEL_HANGUP, U(20), L(10), .cause = 16),
		EV(3520, CHANNEL_HANGUP, U(21), L(10), .cause = 16),
		EV(3520, CHANNEL_HANGUP, U(22), L(10), .cause = 16)};

	RUN(events, "in 0912345678 answered 1004 | support waiting answered | "
		    "1004 ringing talking completed");
	CHECK_INT(seen.calls[0].talk_ms, 2000);
	CHECK_STR(seen.calls[0].legs[1].queue, "support");
}

static void
test_a_redirected_member_is_the_phone_that_answers(void)
{
	const struct call_event events[] = {CALLER_WAITS,
		EV(510, CHANNEL_NEW, U(11), L(10), PHONE(1001),
			.state = CALL_STATE_DOWN),
		EV(510, QUEUE_OFFER, U(10), L(10), OTHER(11), .queue = "support",
			.interface = "PJSIP/1001"),
		EV(510, DIAL_BEGIN, U(10), L(10), OTHER(11)),
		EV(560, HANGUP_REQUEST, U(11), L(10), .cause = 23), LOCAL_PAIR(20, 21),
		EV(570, DIAL_END, U(10), L(10), OTHER(11),
			.result = CALL_RESULT_FORWARDED, .other_exten = "1004"),
		EV(570, DIAL_BEGIN, U(10), L(10), OTHER(20), .flags = CALL_OTHER_LOCAL),
		EV(570, CHANNEL_HANGUP, U(11), L(10), .cause = 23),
		EV(580, CHANNEL_NEW, U(22), L(10), PHONE(1004),
			.state = CALL_STATE_DOWN),
		EV(590, DIAL_BEGIN, U(21), L(10), OTHER(22), .flags = CALL_LOCAL),
		EV(1500, DIAL_END, U(21), L(10), OTHER(22),
			.result = CALL_RESULT_ANSWER),
		EV(1510, QUEUE_LEAVE, U(10), L(10), .queue = "support"),
		EV(1510, QUEUE_CONNECT, U(10), L(10), OTHER(20), .queue = "support",
			.interface = "PJSIP/1001"),
		EV(1520, BRIDGE_ENTER, U(22), L(10), .bridge = "b2"),
		EV(1520, BRIDGE_ENTER, U(21), L(10), .bridge = "b2"),
		EV(1520, BRIDGE_ENTER, U(20), L(10), .bridge = "b1"),
		EV(1520, BRIDGE_ENTER, U(10), L(10), .bridge = "b1"),
		CUSTOMER_HANGS_UP(3520),
		EV(3520, CHANNEL_HANGUP, U(22), L(10), .cause = 16),
		EV(3520, CHANNEL_HANGUP, U(21), L(10), .cause = 16),
		EV(3520, CHANNEL_HANGUP, U(20), L(10), .cause = 16)};

	RUN(events, "in 0912345678 answered 1004 | support waiting answered | "
		    "1001 ringing busy | 1004 ringing talking completed");
}

int
main(void)
{
	TEST(test_pickup_takes_the_ringing_channel_over);
	TEST(test_pickup_by_another_channel);
	TEST(test_a_third_party_joins);
	TEST(test_ring_group);
	TEST(test_parking_times_out_and_rings_the_agent_again);
	TEST(test_redirected_out_of_a_queue);
	TEST(test_queue_time_out_without_words);
	TEST(test_attended_transfer_between_phones);
	TEST(test_attended_transfer_moves_the_customer);
	TEST(test_a_consultation_that_ends_is_no_part_of_the_call);
	TEST(test_consulting_an_outside_party_makes_one_call_of_two);
	TEST(test_queue_members_behind_local_channels);
	TEST(test_a_redirected_member_is_the_phone_that_answers);
	return test_done();
}
