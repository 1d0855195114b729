/* test_tracker.c - every recorded scenario, through parser, translation and tracker,
 * against what really happened; then in pieces, doubled, again, and in other orders. What
 * a lost connection does is in test_tracker_loss.c, what no recording has in
 * test_tracker_cases.c and test_tracker_ends.c. */
#include "lib/calls_seen.h"
#include "lib/test.h"
#include "lib/trace_play.h"

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
way_truth(struct trace *tr, struct trace_events *evs, const char *truth)
{
	(void)evs;
	(void)truth;
	trace_check_truth(tr);
}

static void
test_what_really_happened(void)
{
	trace_each(way_truth);
}

static void
check_pieces(struct trace *tr, const char *truth, size_t piece, unsigned seed)
{
	struct trace_events evs = {0};

	trace_events_read(&evs, tr, piece, seed, 0);
	trace_run(&evs);
	trace_check_same(tr, truth, "in pieces");
	trace_events_free(&evs);
}

static void
way_pieces(struct trace *tr, struct trace_events *evs, const char *truth)
{
	(void)evs;
	check_pieces(tr, truth, 1, 1);
	check_pieces(tr, truth, 7, 2);
	check_pieces(tr, truth, 100, 3);
	check_pieces(tr, truth, 5000, 4);
}

static void
test_bytes_in_any_pieces(void)
{
	trace_each(way_pieces);
}

static void
way_twice(struct trace *tr, struct trace_events *evs, const char *truth)
{
	struct trace_events twice = {0};

	(void)evs;
	trace_events_read(&twice, tr, 0, 0, 1);
	trace_run(&twice);
	trace_check_same(tr, truth, "every message twice");
	trace_events_free(&twice);
}

static void
test_every_message_twice(void)
{
	trace_each(way_twice);
}

static void
way_again(struct trace *tr, struct trace_events *evs, const char *truth)
{
	struct tracker *t = seen_tracker(&seen);

	trace_play(t, evs, 0, evs->n);
	trace_finish(t, evs);
	trace_play(t, evs, 0, evs->n);
	trace_finish(t, evs);
	trace_check_same(tr, truth, "the whole stream again");
	tracker_free(&t);
}

static void
test_the_stream_played_again(void)
{
	trace_each(way_again);
}

/* ---- Order --------------------------------------------------------------------------- */

static bool
is_pair(enum call_event_type a, enum call_event_type b)
{
	static const enum call_event_type pairs[][2] = {
		{CALL_CHANNEL_STATE, CALL_DIAL_BEGIN},
		{CALL_DIAL_STATE, CALL_CHANNEL_STATE},
		{CALL_QUEUE_COMPLETE, CALL_BRIDGE_LEAVE},
		{CALL_TRANSFER_BLIND, CALL_BRIDGE_LEAVE},
		{CALL_ORIGINATE_RESULT, CALL_CHANNEL_STATE},
		{CALL_QUEUE_NO_ANSWER, CALL_DIAL_END},
		{CALL_CHANNEL_HANGUP, CALL_CHANNEL_HANGUP},
	};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if ((a == pairs[i][0] && b == pairs[i][1]) ||
			(a == pairs[i][1] && b == pairs[i][0]))
			return true;
	return false;
}

/* An event moves only across others that it does not depend on, and keeps its moment: the
 * times stay in order, as a receiver's clock would have it. */
static void
swap_events(struct trace_events *evs, size_t i, size_t j)
{
	struct trace_event a = evs->items[i];
	int64_t first_us = a.at_us, second_us = evs->items[j].at_us;

	evs->items[i] = evs->items[j];
	evs->items[j] = a;
	evs->items[i].at_us = first_us;
	evs->items[j].at_us = second_us;
}

static bool
touches(const struct call_event *a, const struct call_event *b)
{
	return (a->uid && (str_eq(a->uid, b->uid) || str_eq(a->uid, b->other_uid))) ||
	       (a->other_uid && (str_eq(a->other_uid, b->uid) ||
					str_eq(a->other_uid, b->other_uid)));
}

/* Newstate Up before DialEnd, and what a hangup ends, hold always. */
static bool
may_swap(const struct trace_event *ea, const struct trace_event *eb)
{
	struct call_var va[CALL_VARS_MAX], vb[CALL_VARS_MAX];
	struct call_event a, b;

	trace_event_get(ea, &a, va);
	trace_event_get(eb, &b, vb);
	if (!is_pair(a.type, b.type) || eb->at_us - ea->at_us > 100000)
		return false;
	if (a.type == CALL_CHANNEL_HANGUP)
		return !str_eq(a.uid, b.uid);
	return touches(&a, &b);
}

static void
way_order(struct trace *tr, struct trace_events *evs, const char *truth)
{
	(void)truth;
	for (unsigned seed = 1; seed <= 8; seed++) {
		unsigned random = seed;
		struct trace_events other = {0};
		trace_events_read(&other, tr, 0, 0, 0);
		for (size_t i = 0; i + 1 < evs->n; i++)
			if (may_swap(&other.items[i], &other.items[i + 1]) &&
				(seed == 1 || rand_r(&random) % 2)) {
				swap_events(&other, i, i + 1);
				i++;
			}
		trace_run(&other);
		trace_check_truth(tr);
		trace_events_free(&other);
	}
}

static void
test_orders_that_asterisk_does_not_keep(void)
{
	trace_each(way_order);
}

int
main(void)
{
	traces_load(&traces_all);
	TEST(test_what_really_happened);
	TEST(test_bytes_in_any_pieces);
	TEST(test_every_message_twice);
	TEST(test_the_stream_played_again);
	TEST(test_orders_that_asterisk_does_not_keep);
	traces_free(&traces_all);
	return test_done();
}
