/* test_tracker_compare.c - what a snapshot proves missed, and what it does not: events
 * that are only a little behind the list. */
#include "lib/call_cases.h"

static const struct call_event calls_and_talks[] = {CUSTOMER_CALLS, AGENT_ANSWERS};

#define LIST(ms, n, at, ...)                                                           \
	EV(ms, SNAPSHOT_CHANNEL, U(n), L(10), at, .state = CALL_STATE_UP, __VA_ARGS__)
#define BEGIN(ms) EV(ms, SNAPSHOT_BEGIN, .uid = NULL)
#define END(ms)	  EV(ms, SNAPSHOT_END, .uid = NULL)

static const struct call_event first_snapshot[] = {BEGIN(-5000), END(-5000)};

/* A tracker that was compared once, when nobody was on the phone. */
static struct tracker *
synced(void)
{
	struct tracker *t = seen_tracker(&seen);

	PLAY(t, first_snapshot);
	tracker_tick(t, T0 - 3000000);
	CHECK_INT(seen.n_compared, 1);
	CHECK(!seen.compared.live);
	CHECK_INT(seen.compared.since_us, 0);
	CHECK_INT(seen.compared.events, 0);
	return t;
}

static void
check(struct tracker *t, unsigned begin, unsigned end, unsigned bridge, unsigned events)
{
	tracker_tick(t, T0 + 60000000);
	CHECK_INT(seen.n_compared, 2);
	CHECK(seen.compared.live);
	CHECK_INT(seen.compared.missed[TRACKER_MISSED_BEGIN], begin);
	CHECK_INT(seen.compared.missed[TRACKER_MISSED_END], end);
	CHECK_INT(seen.compared.missed[TRACKER_MISSED_BRIDGE], bridge);
	CHECK_INT(seen.compared.events, events);
	CHECK_STR(seen.error, "");
	tracker_free(&t);
}

static void
test_a_list_that_agrees_proves_nothing(void)
{
	static const struct call_event same[] = {BEGIN(5000),
		LIST(5000, 10, TRUNK, .bridge = "b1"),
		LIST(5000, 11, PHONE(1001), .bridge = "b1"), END(5001)};
	struct tracker *t = synced();

	PLAY(t, calls_and_talks);
	PLAY(t, same);
	check(t, 0, 0, 0, 0);
	CHECK_INT(seen.compared.since_us, T0 - 5000000);
	CHECK_INT(seen.compared.at_us, T0 + 5001000);
}

static void
test_a_call_we_never_heard_begin(void)
{
	static const struct call_event list[] = {BEGIN(5000),
		LIST(5000, 10, TRUNK, .bridge = "b1", .caller_number = "0912345678"),
		LIST(5000, 11, PHONE(1001), .bridge = "b1"), END(5001)};
	struct tracker *t = synced();

	PLAY(t, list);
	CHECK_INT(seen.n_calls, 1);
	CHECK_INT(seen.n_compared, 1); /* its events may still come */
	check(t, 2, 0, 0, 2);
	CHECK_INT(seen.calls[0].missed,
		1u << TRACKER_MISSED_BEGIN | 1u << TRACKER_MISSED_LEG);
}

static void
test_events_a_little_behind_the_list_were_not_missed(void)
{
	static const struct call_event list[] = {BEGIN(5),
		LIST(6, 10, TRUNK, .bridge = "b1"),
		LIST(6, 11, PHONE(1001), .bridge = "b1"), END(7)};
	struct tracker *t = synced();

	PLAY(t, list);
	PLAY(t, calls_and_talks);
	check(t, 0, 0, 0, 0);
	CHECK_INT(seen.calls[0].missed, 0);
}

static void
test_a_call_we_never_heard_end(void)
{
	static const struct call_event empty[] = {BEGIN(5000), END(5001)};
	struct tracker *t = synced();

	PLAY(t, calls_and_talks);
	PLAY(t, empty);
	check(t, 0, 2, 0, 2);
	CHECK(seen.calls[0].ended);
	CHECK(seen.calls[0].missed & 1u << TRACKER_MISSED_END);
}

static void
test_a_hangup_a_little_behind_the_list_was_not_missed(void)
{
	static const struct call_event late[] = {BEGIN(5000), END(5001),
		CUSTOMER_HANGS_UP(5100),
		EV(5101, CHANNEL_HANGUP, U(11), L(10), .cause = 16)};
	struct tracker *t = synced();

	PLAY(t, calls_and_talks);
	PLAY(t, late);
	check(t, 0, 0, 0, 0);
}

static void
test_an_answer_and_a_bridge_we_never_heard_of(void)
{
	static const struct call_event rings[] = {CUSTOMER_CALLS};
	static const struct call_event list[] = {BEGIN(5000),
		LIST(5000, 10, TRUNK, .bridge = "b1"),
		LIST(5000, 11, PHONE(1001), .bridge = "b1"), END(5001)};
	struct tracker *t = synced();

	PLAY(t, rings);
	PLAY(t, list);
	check(t, 0, 0, 2, 4);
	CHECK_INT(seen.compared.missed[TRACKER_MISSED_ANSWER], 2);
}

static void
test_a_wait_in_a_queue_we_never_heard_of(void)
{
	static const struct call_event arrives[] = {
		EV(0, CHANNEL_NEW, U(10), L(10), TRUNK, .state = CALL_STATE_UP,
			.caller_number = "0912345678", .exten = "6000")};
	static const struct call_event list[] = {BEGIN(5000), LIST(5000, 10, TRUNK),
		EV(5000, SNAPSHOT_WAITING, U(10), .queue = "support", .age_ms = 3000),
		END(5001)};
	struct tracker *t = synced();

	PLAY(t, arrives);
	PLAY(t, list);
	check(t, 0, 0, 0, 1);
	CHECK_INT(seen.compared.missed[TRACKER_MISSED_QUEUE], 1);
	CHECK_STR(seen.calls[0].queue, "support");
}

static void
test_a_lost_connection_is_not_live(void)
{
	static const struct call_event lost[] = {
		EV(3000, LINK_LOST, .uid = NULL), BEGIN(5000), END(5001)};
	struct tracker *t = synced();

	PLAY(t, calls_and_talks);
	PLAY(t, lost);
	tracker_tick(t, T0 + 60000000);
	CHECK_INT(seen.n_compared, 2);
	CHECK(!seen.compared.live);
	CHECK_INT(seen.compared.since_us, T0 + 3000000);
	CHECK_INT(seen.compared.missed[TRACKER_MISSED_END], 2);
	tracker_free(&t);
}

static void
test_a_connection_lost_again_at_once_settles_what_was_in_doubt(void)
{
	static const struct call_event list[] = {BEGIN(5000),
		LIST(5000, 10, TRUNK, .caller_number = "0912345678"), END(5001),
		EV(5002, LINK_LOST, .uid = NULL), BEGIN(5100), LIST(5100, 10, TRUNK),
		END(5101)};
	struct tracker *t = synced();

	PLAY(t, list);
	tracker_tick(t, T0 + 60000000);
	CHECK_INT(seen.n_compared, 3);
	CHECK(!seen.compared.live);
	CHECK_INT(seen.compared.events, 0);
	CHECK(seen.calls[0].missed & 1u << TRACKER_MISSED_BEGIN);
	tracker_free(&t);
}

int
main(void)
{
	TEST(test_a_list_that_agrees_proves_nothing);
	TEST(test_a_call_we_never_heard_begin);
	TEST(test_events_a_little_behind_the_list_were_not_missed);
	TEST(test_a_call_we_never_heard_end);
	TEST(test_a_hangup_a_little_behind_the_list_was_not_missed);
	TEST(test_an_answer_and_a_bridge_we_never_heard_of);
	TEST(test_a_wait_in_a_queue_we_never_heard_of);
	TEST(test_a_lost_connection_is_not_live);
	TEST(test_a_connection_lost_again_at_once_settles_what_was_in_doubt);
	return test_done();
}
