/* test_tracker_unseen.c - what may be said of a call of which some time was not heard:
 * that somebody hung up says nothing of what happened before, while nobody listened. */
#include "lib/call_cases.h"

#include <mem.h>
#include <str.h>

#define CALLER_WAITS                                                                   \
	EV(0, CHANNEL_NEW, U(10), L(10), TRUNK, .state = CALL_STATE_RING,              \
		.caller_number = "0912345678", .exten = "6001"),                       \
		EV(5, CHANNEL_STATE, U(10), L(10), .state = CALL_STATE_UP),            \
		EV(10, QUEUE_JOIN, U(10), L(10), .queue = "sales")
#define LISTED(ms, n, ...)                                                             \
	EV(ms, SNAPSHOT_CHANNEL, U(n), L(10), .state = CALL_STATE_UP, __VA_ARGS__)
#define HANGS_UP(ms)                                                                   \
	EV(ms, HANGUP_REQUEST, U(10), L(10), .cause = 16),                             \
		EV(ms, CHANNEL_HANGUP, U(10), L(10), .cause = 16)

/* An event that says nothing of bridges is no reason not to believe the list's. */
static void
test_a_remark_during_the_list_hides_no_answer(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS, EV(500, LINK_LOST),
		EV(2000, SNAPSHOT_BEGIN),
		EV(2001, HANGUP_REQUEST, U(10), L(10), .cause = 16),
		EV(2001, CHANNEL_UPDATE, U(11), L(10)),
		LISTED(2002, 10, TRUNK, .bridge = "b1"),
		LISTED(2002, 11, PHONE(1001), .bridge = "b1"), EV(2003, SNAPSHOT_END),
		EV(2100, BRIDGE_LEAVE, U(10), L(10), .bridge = "b1"),
		EV(2100, BRIDGE_LEAVE, U(11), L(10), .bridge = "b1"),
		EV(2100, CHANNEL_HANGUP, U(11), L(10), .cause = 16),
		EV(2100, CHANNEL_HANGUP, U(10), L(10), .cause = 16)};

	RUN(events, "in 0912345678 answered 1001 | 1001 ringing talking completed");
}

static void
test_what_events_said_of_a_bridge_is_newer_than_the_list(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS, AGENT_ANSWERS,
		EV(2000, SNAPSHOT_BEGIN),
		EV(2001, BRIDGE_LEAVE, U(10), L(10), .bridge = "b1"),
		EV(2001, BRIDGE_LEAVE, U(11), L(10), .bridge = "b1"),
		LISTED(2002, 10, TRUNK, .bridge = "b1"),
		LISTED(2002, 11, PHONE(1001), .bridge = "b1"), EV(2003, SNAPSHOT_END),
		EV(4000, CHANNEL_HANGUP, U(11), L(10), .cause = 16), HANGS_UP(4000)};

	RUN(events, "in 0912345678 answered 1001 | 1001 ringing talking completed");
	CHECK_INT(seen.calls[0].talk_ms, 1001);
}

/* It had left the queue unheard: answered and done with, or not? */
static void
test_left_the_queue_unheard_is_not_abandoned(void)
{
	const struct call_event events[] = {CALLER_WAITS, EV(500, LINK_LOST),
		EV(3000, SNAPSHOT_BEGIN), LISTED(3000, 10, TRUNK),
		EV(3000, SNAPSHOT_END), HANGS_UP(5000)};

	RUN(events, "in 0912345678 interrupted - | sales waiting interrupted");
}

static void
test_still_in_the_queue_afterwards_is_abandoned(void)
{
	const struct call_event events[] = {CALLER_WAITS, EV(500, LINK_LOST),
		EV(3000, SNAPSHOT_BEGIN), LISTED(3000, 10, TRUNK),
		EV(3000, SNAPSHOT_WAITING, U(10), .queue = "sales"),
		EV(3000, SNAPSHOT_END), HANGS_UP(5000)};

	RUN(events, "in 0912345678 abandoned - | sales waiting caller_hangup");
}

static void
test_hung_up_before_anything_was_compared(void)
{
	const struct call_event waiting[] = {
		CALLER_WAITS, EV(500, LINK_LOST), HANGS_UP(3000)};
	const struct call_event ringing[] = {
		CUSTOMER_CALLS, EV(500, LINK_LOST), HANGS_UP(3000)};
	const struct call_event given_up[] = {CALLER_WAITS, EV(500, LINK_LOST),
		EV(3000, QUEUE_ABANDON, U(10), L(10), .queue = "sales"),
		EV(3000, QUEUE_LEAVE, U(10), L(10), .queue = "sales"), HANGS_UP(3000)};

	RUN(waiting, "in 0912345678 interrupted - | sales waiting interrupted");
	RUN(ringing, "in 0912345678 interrupted - | 1001 ringing interrupted");
	RUN(given_up, "in 0912345678 abandoned - | sales waiting caller_hangup");
}

/* Who was heard to leave a queue, but not to join it, did all that unheard. */
static void
test_given_up_in_a_queue_that_was_joined_unheard(void)
{
	const struct call_event events[] = {
		EV(0, CHANNEL_NEW, U(10), L(10), TRUNK, .state = CALL_STATE_UP,
			.caller_number = "0912345678", .exten = "6001"),
		EV(100, LINK_LOST),
		EV(3000, QUEUE_ABANDON, U(10), L(10), .queue = "sales"),
		EV(3000, QUEUE_LEAVE, U(10), L(10), .queue = "sales"), HANGS_UP(3000)};

	RUN(events, "in 0912345678 interrupted -");
}

/* Its phone still rang when it was hung up: nobody had answered it. */
static void
test_a_phone_that_still_rang_was_not_answered(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS, EV(500, LINK_LOST),
		EV(3000, DIAL_END, U(10), L(10), OTHER(11),
			.result = CALL_RESULT_CANCEL),
		EV(3000, CHANNEL_HANGUP, U(11), L(10), .state = CALL_STATE_RINGING),
		EV(3000, SNAPSHOT_BEGIN), LISTED(3000, 10, TRUNK),
		EV(3000, SNAPSHOT_END), HANGS_UP(3001)};

	RUN(events, "in 0912345678 abandoned - | 1001 ringing caller_hangup");
}

static void
test_answered_unheard_and_found_talking(void)
{
	const struct call_event events[] = {CALLER_WAITS, EV(500, LINK_LOST),
		EV(3000, SNAPSHOT_BEGIN), LISTED(3000, 10, TRUNK, .bridge = "b1"),
		LISTED(3000, 11, PHONE(1001), .bridge = "b1"), EV(3000, SNAPSHOT_END),
		EV(5000, BRIDGE_LEAVE, U(10), L(10), .bridge = "b1"),
		EV(5000, CHANNEL_HANGUP, U(11), L(10), .cause = 16), HANGS_UP(5000)};

	RUN(events, "in 0912345678 answered 1001 | sales waiting answered | "
		    "1001 talking completed");
}

/* Nobody knows what became of a call in a menu while nobody listened. */
static void
test_a_menu_unheard_for_long_is_not_all_there_was(void)
{
#define MENU                                                                           \
	EV(0, CHANNEL_NEW, U(10), L(10), TRUNK, .state = CALL_STATE_UP,                \
		.caller_number = "0912345678", .exten = "6001")
	const struct call_event brief[] = {MENU, EV(500, LINK_LOST),
		EV(700, SNAPSHOT_BEGIN), LISTED(700, 10, TRUNK), EV(700, SNAPSHOT_END),
		HANGS_UP(5000)};
	const struct call_event dark[] = {MENU, EV(500, LINK_LOST),
		EV(3400, SNAPSHOT_BEGIN), LISTED(3400, 10, TRUNK),
		EV(3400, SNAPSHOT_END), HANGS_UP(5000)};

	const struct call_event again[] = {MENU, EV(500, LINK_LOST),
		EV(3300, LINK_LOST), EV(3400, SNAPSHOT_BEGIN), LISTED(3400, 10, TRUNK),
		EV(3400, SNAPSHOT_END), HANGS_UP(5000)};

	RUN(again, "in 0912345678 interrupted -");
	RUN(brief, "in 0912345678 ivr_only -");
	RUN(dark, "in 0912345678 interrupted -");
}

/* The customer's bridge and the agent's are joined by a Local channel whose making nobody
 * heard: the halves' names tell. */
static void
test_halves_of_a_local_channel_are_known_by_their_names(void)
{
#define HALF(n, m) .flags = CALL_LOCAL, .name = "Local/1002@ring-00000007;" #m
	const struct call_event events[] = {EV(0, SNAPSHOT_BEGIN),
		LISTED(0, 10, TRUNK, .caller_number = "0912345678", .bridge = "b1"),
		LISTED(0, 12, HALF(12, 1), .bridge = "b1"),
		LISTED(0, 13, HALF(13, 2), .bridge = "b2"),
		LISTED(0, 11, PHONE(1001), .bridge = "b2"), EV(0, SNAPSHOT_END),
		EV(2000, CHANNEL_HANGUP, U(11), L(10), .cause = 16), HANGS_UP(2000)};

	RUN(events, "in 0912345678 answered 1001 | 1001 talking completed");
}

/* A replay may begin after the call did, and the list that is in the spool names it. */
static void
test_a_replay_does_not_begin_what_was_over(void)
{
	const struct call_event events[] = {EV(0, LINK_LOST), EV(3000, SNAPSHOT_BEGIN),
		LISTED(3000, 10, TRUNK, .caller_number = "0912345678",
			.flags = CALL_KNOWN),
		EV(3000, SNAPSHOT_WAITING, U(10), .queue = "sales"),
		EV(3000, SNAPSHOT_END), HANGS_UP(5000)};

	RUN(events, "");
}

/* It hung up before any list: that it was up says that it was answered. */
static void
test_a_phone_that_hangs_up_was_answered_unheard(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS, EV(500, LINK_LOST),
		EV(3000, CHANNEL_HANGUP, U(11), L(10), .state = CALL_STATE_UP,
			.cause = 16),
		HANGS_UP(3001)};
	const struct call_event listed[] = {CUSTOMER_CALLS, EV(500, LINK_LOST),
		EV(3000, SNAPSHOT_BEGIN), LISTED(3000, 10, TRUNK),
		LISTED(3000, 11, PHONE(1001)), EV(3000, SNAPSHOT_END),
		EV(3001, CHANNEL_HANGUP, U(11), L(10), .cause = 16), HANGS_UP(3002)};

	const struct call_event second[] = {CUSTOMER_CALLS, EV(500, LINK_LOST),
		EV(3000, SNAPSHOT_BEGIN), LISTED(3000, 10, TRUNK),
		LISTED(3000, 11, PHONE(1001)), EV(3000, SNAPSHOT_END), HANGS_UP(3001)};

	RUN(events, "in 0912345678 answered 1001 | 1001 ringing talking completed");
	RUN(listed, "in 0912345678 answered 1001 | 1001 ringing talking completed");
	RUN(second, "in 0912345678 answered 1001 | 1001 ringing completed");
}

static void
test_an_outgoing_call_that_is_first_seen_dialling(void)
{
	const struct call_event events[] = {EV(0, SNAPSHOT_BEGIN),
		LISTED(0, 10, PHONE(1001)),
		EV(0, SNAPSHOT_CHANNEL, U(11), L(10), TRUNK, .state = CALL_STATE_DOWN,
			.flags = CALL_OUTGOING, .caller_number = "0912345678"),
		EV(0, SNAPSHOT_END),
		EV(2000, DIAL_END, U(10), L(10), OTHER(11), .result = CALL_RESULT_BUSY),
		EV(2000, CHANNEL_HANGUP, U(11), L(10), .cause = 17),
		EV(2000, CHANNEL_HANGUP, U(10), L(10), .cause = 17)};

	RUN(events, "out 0912345678 busy 1001 | 1001 ringing busy");
}

static void
test_fetched_from_parking_while_it_was_listed(void)
{
	const struct call_event events[] = {EV(0, SNAPSHOT_BEGIN),
		LISTED(0, 10, TRUNK, .caller_number = "0912345678", .bridge = "b2"),
		LISTED(0, 11, PHONE(1001), .bridge = "b2"),
		EV(0, SNAPSHOT_PARKED, U(10), .exten = "701"), EV(0, SNAPSHOT_END),
		EV(10, UNPARK, U(10), L(10), OTHER(11)),
		EV(2000, CHANNEL_HANGUP, U(11), L(10), .cause = 16), HANGS_UP(2000)};

	RUN(events, "in 0912345678 answered 1001 | 1001 talking completed");
}

/* Its leaving the queue was heard, and so was all that came after. */
static void
test_a_recovered_caller_leaves_the_queue_and_hangs_up_later(void)
{
	const struct call_event events[] = {EV(0, SNAPSHOT_BEGIN),
		LISTED(0, 10, TRUNK, .caller_number = "0912345678"),
		EV(0, SNAPSHOT_WAITING, U(10), .queue = "sales"), EV(0, SNAPSHOT_END),
		EV(3000, QUEUE_ABANDON, U(10), L(10), .queue = "sales"),
		EV(3000, QUEUE_LEAVE, U(10), L(10), .queue = "sales"),
		EV(4500, CHANNEL_HANGUP, U(10), L(10), .cause = 0)};

	RUN(events, "in 0912345678 no_answer - | sales waiting reassigned");
}

/* A restart is found out by asking when the system was started: calls come before the
 * answer does. */
static void
test_a_call_that_came_before_the_restart_was_known(void)
{
	const struct call_event events[] = {EV(-5000, LINK_LOST), CUSTOMER_CALLS,
		EV(30, SYSTEM_STOPPED), EV(31, SNAPSHOT_BEGIN),
		LISTED(32, 10, TRUNK, .caller_number = "0912345678"),
		EV(32, SNAPSHOT_CHANNEL, U(11), L(10), PHONE(1001),
			.state = CALL_STATE_RINGING),
		EV(33, SNAPSHOT_END), AGENT_ANSWERS, CUSTOMER_HANGS_UP(3000),
		EV(3000, CHANNEL_HANGUP, U(11), L(10), .cause = 16)};

	RUN(events, "in 0912345678 answered 1001 | 1001 ringing talking completed");
}

/* Who dials does nothing else meanwhile: the phone's ringing tells of the caller too. */
static void
test_the_caller_of_a_phone_that_rang_was_heard(void)
{
	const struct call_event events[] = {CUSTOMER_CALLS, EV(500, LINK_LOST),
		EV(900, HANGUP_REQUEST, U(10), L(10), .cause = 127),
		EV(900, DIAL_END, U(10), L(10), OTHER(11),
			.result = CALL_RESULT_CANCEL),
		EV(900, CHANNEL_HANGUP, U(11), L(10), .state = CALL_STATE_RINGING),
		EV(900, CHANNEL_HANGUP, U(10), L(10), .cause = 127)};

	RUN(events, "in 0912345678 abandoned - | 1001 ringing caller_hangup");
}

/* A phone may have rung, and the caller have given up, within a moment. */
static void
test_a_caller_not_answered_yet_was_not_all_heard(void)
{
	const struct call_event events[] = {
		EV(0, CHANNEL_NEW, U(10), L(10), TRUNK, .state = CALL_STATE_RING,
			.caller_number = "0912345678", .exten = "5001"),
		EV(100, LINK_LOST), EV(300, SNAPSHOT_BEGIN),
		EV(300, SNAPSHOT_CHANNEL, U(10), L(10), TRUNK,
			.state = CALL_STATE_RING),
		EV(300, SNAPSHOT_END),
		EV(400, CHANNEL_HANGUP, U(10), L(10), .cause = 127)};

	RUN(events, "in 0912345678 interrupted -");
}

/* The agent's phone answered; what became of the customer's nobody heard. */
#define AGENT_IS_CALLED_FIRST                                                          \
	EV(0, CHANNEL_NEW, U(10), L(10), PHONE(1001), .state = CALL_STATE_DOWN),       \
		EV(10, DIAL_BEGIN, OTHER(10)),                                         \
		EV(400, CHANNEL_STATE, U(10), L(10), .state = CALL_STATE_UP),          \
		EV(400, DIAL_END, OTHER(10), .result = CALL_RESULT_ANSWER),            \
		EV(400, ORIGINATE_RESULT, U(10), .exten = "0912345678",                \
			.result = CALL_RESULT_ANSWER)
static void
test_that_the_agent_answered_is_no_outcome(void)
{
	const struct call_event events[] = {AGENT_IS_CALLED_FIRST, EV(500, LINK_LOST),
		EV(3000, SNAPSHOT_BEGIN), LISTED(3000, 10, PHONE(1001)),
		EV(3000, SNAPSHOT_END), HANGS_UP(3100)};

	RUN(events, "out 0912345678 interrupted 1001 | 1001 ringing interrupted");
}

/* It still rings when we are back, so that nobody else was called for it meanwhile. */
static void
test_an_agents_phone_that_still_rang_is_an_outcome(void)
{
	const struct call_event events[] = {
		EV(0, ORIGINATE, U(10), .exten = "0912345678", .action = "7"),
		EV(10, CHANNEL_NEW, U(10), L(10), PHONE(1001),
			.state = CALL_STATE_DOWN),
		EV(20, DIAL_BEGIN, OTHER(10)),
		EV(400, CHANNEL_STATE, U(10), L(10), .state = CALL_STATE_RINGING),
		EV(500, LINK_LOST), EV(3000, SNAPSHOT_BEGIN),
		EV(3000, SNAPSHOT_CHANNEL, U(10), L(10), PHONE(1001),
			.state = CALL_STATE_RINGING),
		EV(3000, SNAPSHOT_END),
		EV(3100, CHANNEL_HANGUP, U(10), L(10), .state = CALL_STATE_RINGING,
			.cause = 19)};

	RUN(events, "out 0912345678 no_answer 1001 | 1001 ringing no_answer");
}

/* Answered, but by whom was before the daemon's time. */
static void
test_a_customer_who_answered_somebody_unknown(void)
{
	const struct call_event events[] = {EV(0, SNAPSHOT_BEGIN),
		EV(0, SNAPSHOT_CHANNEL, U(11), L(10), TRUNK,
			.state = CALL_STATE_RINGING, .flags = CALL_OUTGOING,
			.caller_number = "0912345678"),
		EV(0, SNAPSHOT_END),
		EV(100, DIAL_END, U(10), L(10), OTHER(11),
			.result = CALL_RESULT_ANSWER),
		EV(2000, CHANNEL_HANGUP, U(11), L(10), .cause = 16)};

	RUN(events, "out 0912345678 interrupted -");
}

/* A checkpoint lies where another call began, in the middle of this one, which is over
 * and written: its second half is no call, though a list in it names its channels. */
static void
test_a_replay_from_the_middle_of_a_call_does_not_begin_it(void)
{
	const struct call_event half[] = {
		EV(0, CHANNEL_NEW, U(11), L(10), TRUNK, .state = CALL_STATE_DOWN,
			.caller_number = "0912345678"),
		EV(0, DIAL_BEGIN, U(10), L(10), OTHER(11), .dial_string = "0912345678"),
		EV(500, LINK_LOST), EV(600, SNAPSHOT_BEGIN),
		LISTED(600, 10, PHONE(1001), .flags = CALL_KNOWN | CALL_VOUCHED),
		LISTED(600, 11, TRUNK, .flags = CALL_KNOWN | CALL_VOUCHED),
		EV(600, SNAPSHOT_END), EV(700, CHANNEL_HANGUP, U(11), L(10)),
		EV(700, CHANNEL_HANGUP, U(10), L(10))};

	RUN(half, "");
}

/* A call's first record may be an item of a list: the list's beginning is not replayed. */
static void
test_a_replay_that_begins_inside_a_list(void)
{
	const struct call_event events[] = {LISTED(0, 10, PHONE(1001)),
		EV(0, SNAPSHOT_CHANNEL, U(11), L(10), TRUNK,
			.state = CALL_STATE_RINGING, .flags = CALL_OUTGOING,
			.caller_number = "0912345678"),
		EV(0, SNAPSHOT_END), EV(100, LINK_LOST), EV(3000, SNAPSHOT_BEGIN),
		EV(3000, SNAPSHOT_END)};

	RUN(events, "out 0912345678 interrupted 1001 | 1001 ringing interrupted");
}

/* What the list has told is not forgotten because it ended before the list did. */
static void
test_hung_up_while_it_was_listed(void)
{
	const struct call_event events[] = {EV(0, SNAPSHOT_BEGIN),
		LISTED(0, 10, TRUNK, .caller_number = "0912345678", .bridge = "b1"),
		LISTED(0, 11, PHONE(1001), .bridge = "b1"),
		EV(1, BRIDGE_LEAVE, U(10), L(10), .bridge = "b1"),
		EV(1, BRIDGE_LEAVE, U(11), L(10), .bridge = "b1"),
		EV(1, CHANNEL_HANGUP, U(11), L(10), .cause = 16), HANGS_UP(1),
		EV(2, SNAPSHOT_END)};

	RUN(events, "in 0912345678 answered 1001 | 1001 talking completed");
}

int
main(void)
{
	TEST(test_the_caller_of_a_phone_that_rang_was_heard);
	TEST(test_a_caller_not_answered_yet_was_not_all_heard);
	TEST(test_that_the_agent_answered_is_no_outcome);
	TEST(test_an_agents_phone_that_still_rang_is_an_outcome);
	TEST(test_a_customer_who_answered_somebody_unknown);
	TEST(test_a_replay_from_the_middle_of_a_call_does_not_begin_it);
	TEST(test_a_replay_that_begins_inside_a_list);
	TEST(test_hung_up_while_it_was_listed);
	TEST(test_a_remark_during_the_list_hides_no_answer);
	TEST(test_what_events_said_of_a_bridge_is_newer_than_the_list);
	TEST(test_left_the_queue_unheard_is_not_abandoned);
	TEST(test_still_in_the_queue_afterwards_is_abandoned);
	TEST(test_hung_up_before_anything_was_compared);
	TEST(test_given_up_in_a_queue_that_was_joined_unheard);
	TEST(test_a_phone_that_still_rang_was_not_answered);
	TEST(test_answered_unheard_and_found_talking);
	TEST(test_a_menu_unheard_for_long_is_not_all_there_was);
	TEST(test_halves_of_a_local_channel_are_known_by_their_names);
	TEST(test_a_replay_does_not_begin_what_was_over);
	TEST(test_a_phone_that_hangs_up_was_answered_unheard);
	TEST(test_an_outgoing_call_that_is_first_seen_dialling);
	TEST(test_fetched_from_parking_while_it_was_listed);
	TEST(test_a_recovered_caller_leaves_the_queue_and_hangs_up_later);
	TEST(test_a_call_that_came_before_the_restart_was_known);
	return test_done();
}
