/* test_tracker.c - every recorded scenario, through parser, translation and tracker,
 * against what really happened; then the same under whatever a wire and a restart can do
 * to it. Cases that no recording has are in test_tracker_cases.c. */
#include "lib/calls_seen.h"
#include "lib/test.h"
#include "lib/traces.h"

#include <mem.h>
#include <str.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct traces all;
static struct seen seen;

/* ---- Playing ---------------------------------------------------------------------- */

static void
play(struct tracker *t, const struct trace_events *evs, size_t from, size_t to)
{
	struct call_var vars[CALL_VARS_MAX];
	struct call_event ev;

	for (size_t i = from; i < to; i++) {
		trace_event_get(&evs->items[i], &ev, vars);
		tracker_apply(t, &ev, i + 1);
	}
}

static void
play_at(struct tracker *t, const struct trace_events *evs, int64_t at_us)
{
	struct call_var vars[CALL_VARS_MAX];
	struct call_event ev;

	for (size_t i = 0; i < evs->n; i++) {
		trace_event_get(&evs->items[i], &ev, vars);
		ev.at_us = at_us;
		tracker_apply(t, &ev, 0);
	}
}

static void
say(struct tracker *t, enum call_event_type type, int64_t at_us)
{
	struct call_event ev = {.type = type, .at_us = at_us};

	tracker_apply(t, &ev, 0);
}

static int64_t
last_time(const struct trace_events *evs)
{
	return evs->n ? evs->items[evs->n - 1].at_us : 0;
}

static void
finish(struct tracker *t, const struct trace_events *evs)
{
	tracker_tick(t, last_time(evs) + 5000000);
}

/* seen = what happens if the events are played as they are. */
static void
run(const struct trace_events *evs)
{
	struct tracker *t = seen_tracker(&seen);
	struct tracker_stats stats;

	play(t, evs, 0, evs->n);
	finish(t, evs);
	tracker_get_stats(t, &stats);
	CHECK_INT(stats.calls, 0);
	CHECK(tracker_next_due(t) == 0);
	tracker_free(&t);
}

static const char *
scenario(const struct trace *tr)
{
	return strchr(tr->name, '/') + 1;
}

static bool
is(const struct trace *tr, const char *name)
{
	return strcmp(scenario(tr), name) == 0;
}

/* ---- The truth ---------------------------------------------------------------------- */

static const char *
text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static const char *
true_disposition(const char *said, bool answered)
{
	static const char *const words[][2] = {{"ivr-only", "ivr_only"},
		{"queue-timeout", "queue_timeout"}, {"no-answer", "no_answer"},
		{"agent-no-answer", "no_answer"},
		{"answered-then-lost-in-transfer", "answered"}};

	if (strcmp(said, "lost") == 0)
		return answered ? "answered" : "interrupted";
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(said, words[i][0]) == 0)
			return words[i][1];
	return said;
}

static void
check_seconds(const struct trace *tr, const json_t *truth, const char *key, double got)
{
	const json_t *want = json_object_get(truth, key);

	if (json_is_number(want) && fabs(json_number_value(want) - got) > 0.15)
		test_fail(__FILE__, __LINE__, "%s: %s is %.3f, not %.3f", tr->name, key,
			got, json_number_value(want));
}

static bool
has_word(const json_t *list, const char *word)
{
	size_t i;
	const json_t *item;

	json_array_foreach(list, i,
		item) if (strcmp(json_string_value(item), word) == 0) return true;
	return false;
}

/* Exactly the agents that the truth names had a leg, and no others. */
static void
check_rang(const struct trace *tr, const json_t *truth, const struct seen_call *c)
{
	const json_t *rang = json_object_get(truth, "rang");
	const json_t *tried = json_object_get(truth, "tried");
	size_t i;
	const json_t *item;

	if (!json_array_size(rang) && !json_array_size(tried))
		return;
	json_array_foreach(rang, i, item)
	{
		bool found = false;
		for (unsigned l = 0; l < c->n_legs; l++)
			found |= str_eq(c->legs[l].agent, json_string_value(item));
		if (!found)
			test_fail(__FILE__, __LINE__, "%s: %s has no leg", tr->name,
				json_string_value(item));
	}
	for (unsigned l = 0; l < c->n_legs; l++)
		if (c->legs[l].type == LEG_RING && !has_word(rang, c->legs[l].agent) &&
			!has_word(tried, c->legs[l].agent))
			test_fail(__FILE__, __LINE__, "%s: %s did not ring", tr->name,
				c->legs[l].agent);
}

static const struct seen_leg *
leg_of_agent(const struct seen_call *c, const char *agent)
{
	for (unsigned l = 0; l < c->n_legs; l++)
		if (str_eq(c->legs[l].agent, agent) && c->legs[l].answered_us)
			return &c->legs[l];
	return NULL;
}

static void
check_answered(const struct trace *tr, const json_t *truth, const struct seen_call *c)
{
	const char *by = text_of(truth, "answered_by"),
		   *to = text_of(truth, "transferred_to");

	if (by && strlen(by) == 4 && !leg_of_agent(c, by))
		test_fail(__FILE__, __LINE__, "%s: %s did not answer", tr->name, by);
	if (to && strlen(to) == 4 && !leg_of_agent(c, to))
		test_fail(__FILE__, __LINE__, "%s: %s did not get it", tr->name, to);
	if (to && strlen(to) == 4)
		CHECK_STR(c->agent, to);
	for (unsigned l = 0; !by && l < c->n_legs; l++)
		if (c->legs[l].answered_us && c->legs[l].type != LEG_QUEUE)
			test_fail(__FILE__, __LINE__, "%s: nobody answered", tr->name);
}

/* The phone's timer: of the leg that answered, else of the first that rang; outgoing, of
 * the customer's phone, if it was dialled. */
static double
ring_seconds(const struct trace *tr, const json_t *truth, const struct seen_call *c)
{
	const char *by = text_of(truth, "answered_by");
	const struct seen_leg *leg = by ? leg_of_agent(c, by) : NULL;

	if (c->direction == CALL_OUT && c->wait_ms)
		return (double)c->wait_ms / 1e3;
	if (leg)
		return (double)(leg->answered_us - leg->at_us) / 1e6;
	for (unsigned l = 0; l < c->n_legs; l++)
		if (c->legs[l].type == LEG_RING)
			return (double)(c->legs[l].ended_us - c->legs[l].at_us) / 1e6;
	test_fail(__FILE__, __LINE__, "%s: nothing rang", tr->name);
	return 0;
}

static void
check_times(const struct trace *tr, const json_t *truth, const struct seen_call *c)
{
	/* In these the script's timer counts something else: how long the customer waits
	 * before giving up (from the INVITE), or from when the menu answered. */
	if (is(tr, "burst-50"))
		return;
	if (json_is_number(json_object_get(truth, "ring_s")) &&
		!is(tr, "originate-noanswer") && !is(tr, "queue-abandon"))
		check_seconds(tr, truth, "ring_s", ring_seconds(tr, truth, c));
	check_seconds(tr, truth, "talk_s", (double)c->talk_ms / 1e3);
	check_seconds(tr, truth, "hold_s", (double)c->hold_ms / 1e3);
}

static void
check_call(const struct trace *tr, const json_t *truth, const struct seen_call *c)
{
	const char *number = text_of(truth, "customer"), *did = text_of(truth, "did"),
		   *queue = text_of(truth, "queue"),
		   *said = text_of(truth, "disposition");
	bool withheld = json_is_true(json_object_get(truth, "number_withheld"));

	CHECK_INT(c->direction,
		str_eq(text_of(truth, "direction"), "outbound") ? CALL_OUT : CALL_IN);
	CHECK_STR(c->number, withheld ? "" : number);
	CHECK_INT(c->withheld, withheld);
	if (did)
		CHECK_STR(c->local, did);
	CHECK_STR(c->queue, queue ? queue : "");
	if (said)
		CHECK_STR(call_disposition_text(c->disposition),
			true_disposition(said, text_of(truth, "answered_by") != NULL));
	check_rang(tr, truth, c);
	check_answered(tr, truth, c);
	check_times(tr, truth, c);
	CHECK(!str_eq(c->display, "<unknown>"));
	if (json_is_true(json_object_get(truth, "recorded")))
		CHECK(c->recordings[0]);
}

/* ---- Pops ---------------------------------------------------------------------------- */

static bool
pop_matches(const json_t *want, const struct seen_pop *p, const char *note)
{
	char states[128] = "";
	size_t i;
	const json_t *item;

	json_array_foreach(json_object_get(want, "states"), i, item)
		snprintf(states + strlen(states), sizeof(states) - strlen(states),
			"%s%s", i ? " " : "", json_string_value(item));
	if (!str_eq(p->agent, text_of(want, "agent")) || p->open)
		return false;
	if (json_is_true(json_object_get(want, "optional")) &&
		strcmp(p->states, "ringing") == 0)
		return true; /* the phone never rang: whatever it is closed with */
	if (!str_eq(call_reason_text(p->reason), text_of(want, "close")))
		return false;
	return strcmp(states, p->states) == 0 ||
	       (note && strstr(note, "acceptable") &&
		       strcmp(p->states, "ringing talking") == 0);
}

/* Each pop of the truth is there once, optional ones at most once, and no others. */
static void
check_pops(const struct trace *tr, const json_t *pops)
{
	bool used[SEEN_MAX] = {false};
	const char *note = text_of(tr->truth, "pops_note");
	size_t i;
	const json_t *want;

	json_array_foreach(pops, i, want)
	{
		unsigned p = 0;
		while (p < seen.n_pops &&
			(used[p] || !pop_matches(want, &seen.pops[p], note)))
			p++;
		if (p < seen.n_pops)
			used[p] = true;
		else if (!json_is_true(json_object_get(want, "optional")))
			test_fail(__FILE__, __LINE__, "%s: no pop of %s -> %s",
				tr->name, text_of(want, "agent"),
				text_of(want, "close"));
	}
	for (unsigned p = 0; p < seen.n_pops; p++)
		if (*seen.pops[p].agent && !used[p])
			test_fail(__FILE__, __LINE__, "%s: pop of %s (%s) -> %s",
				tr->name, seen.pops[p].agent, seen.pops[p].states,
				call_reason_text(seen.pops[p].reason));
}

/* Every wait in a queue has one pop of its own, closed as the call went on. */
static void
check_queue_pops(const struct trace *tr, const struct seen_call *c)
{
	unsigned waits = 0;
	bool joined = *c->queue && c->disposition != CALL_DISP_REJECTED;

	for (unsigned p = 0; p < seen.n_pops; p++) {
		const struct seen_pop *pop = &seen.pops[p];
		if (*pop->agent || !uuid_eq(&pop->call, &c->id))
			continue;
		waits++;
		CHECK_STR(pop->queue, c->queue);
		CHECK_STR(call_reason_text(pop->reason),
			c->disposition == CALL_DISP_ANSWERED	    ? "answered"
			: c->disposition == CALL_DISP_QUEUE_TIMEOUT ? "no_answer"
								    : "caller_hangup");
	}
	if (waits != joined)
		test_fail(__FILE__, __LINE__, "%s: %u queue pops", tr->name, waits);
}

static void
check_burst(void)
{
	unsigned agents = 0;

	for (unsigned p = 0; p < seen.n_pops; p++) {
		const struct seen_pop *pop = &seen.pops[p];
		if (!*pop->agent)
			continue;
		agents++;
		CHECK_STR(pop->states, "ringing talking");
		CHECK_STR(call_reason_text(pop->reason), "completed");
	}
	CHECK_INT(agents, 50);
}

static void
check_truth(const struct trace *tr)
{
	const json_t *calls = json_object_get(tr->truth, "calls"), *c;
	const json_t *pops = json_object_get(tr->truth, "pops");
	size_t i;

	if (seen.errors)
		test_fail(__FILE__, __LINE__, "%s: %s", tr->name, seen.error);
	CHECK_INT(seen.n_calls,
		json_integer_value(json_object_get(tr->truth, "interactions")));
	CHECK_INT(seen_count_open(&seen), 0);
	json_array_foreach(calls, i, c)
	{
		const char *number = text_of(c, "customer");
		const struct seen_call *got;
		if (json_integer_value(json_object_get(c, "interactions")) == 0)
			continue;
		got = seen_find(&seen,
			json_is_true(json_object_get(c, "number_withheld")) ? ""
									    : number);
		if (!got) {
			test_fail(__FILE__, __LINE__, "%s: no call of %s", tr->name,
				number);
			continue;
		}
		check_call(tr, c, got);
		check_queue_pops(tr, got);
	}
	if (is(tr, "burst-50"))
		check_burst();
	else
		check_pops(tr, pops);
}

/* ---- Ways to play them ----------------------------------------------------------------- */

typedef void way_fn(struct trace *tr, struct trace_events *evs, const char *truth);

static char *
as_text(void)
{
	struct buf b = BUF_INIT;

	seen_print(&b, &seen);
	buf_adds(&b, "");
	return buf_str(&b), buf_steal(&b);
}

/* The observer was told the same as when the stream was played plainly. */
static void
check_same(const struct trace *tr, const char *truth, const char *how)
{
	char *got = as_text();

	if (!str_eq(got, truth))
		test_fail(__FILE__, __LINE__, "%s, %s:\n%snot\n%s", tr->name, how,
			got ? got : "", truth ? truth : "");
	xfree(&got);
}

static bool
is_live_at_start(const struct trace *tr)
{
	return is(tr, "resync-live");
}

static void
each_trace(way_fn *way)
{
	for (size_t i = 0; i < all.n; i++) {
		struct trace_events evs = {0};
		char *truth;
		if (is_live_at_start(&all.items[i]))
			continue;
		trace_events_read(&evs, &all.items[i], 0, 0, 0);
		run(&evs);
		truth = as_text();
		way(&all.items[i], &evs, truth);
		xfree(&truth);
		trace_events_free(&evs);
	}
}

static void
way_truth(struct trace *tr, struct trace_events *evs, const char *truth)
{
	(void)evs;
	(void)truth;
	check_truth(tr);
}

static void
test_what_really_happened(void)
{
	each_trace(way_truth);
}

static void
check_pieces(struct trace *tr, const char *truth, size_t piece, unsigned seed)
{
	struct trace_events evs = {0};

	trace_events_read(&evs, tr, piece, seed, 0);
	run(&evs);
	check_same(tr, truth, "in pieces");
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
	each_trace(way_pieces);
}

static void
way_twice(struct trace *tr, struct trace_events *evs, const char *truth)
{
	struct trace_events twice = {0};

	(void)evs;
	trace_events_read(&twice, tr, 0, 0, 1);
	run(&twice);
	check_same(tr, truth, "every message twice");
	trace_events_free(&twice);
}

static void
test_every_message_twice(void)
{
	each_trace(way_twice);
}

static void
way_again(struct trace *tr, struct trace_events *evs, const char *truth)
{
	struct tracker *t = seen_tracker(&seen);

	play(t, evs, 0, evs->n);
	finish(t, evs);
	play(t, evs, 0, evs->n);
	finish(t, evs);
	check_same(tr, truth, "the whole stream again");
	tracker_free(&t);
}

static void
test_the_stream_played_again(void)
{
	each_trace(way_again);
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
		run(&other);
		check_truth(tr);
		trace_events_free(&other);
	}
}

static void
test_orders_that_asterisk_does_not_keep(void)
{
	each_trace(way_order);
}

/* ---- Losing the connection -------------------------------------------------------------- */

/* What CoreShowChannels, QueueStatus and ParkedCalls would list: kept by looking at the
 * events as Asterisk's own state would change. */
struct model_channel {
	char uid[64], linked[64], name[96], number[128], caller_name[300],
		connected[128], exten[64], bridge[64], queue[32], context[32];
	int state;
	int64_t at_us, queue_us;
	bool parked;
};
struct model {
	struct model_channel channels[256];
	unsigned n;
};

static struct model_channel *
model_find(struct model *m, const char *uid)
{
	for (unsigned i = 0; uid && i < m->n; i++)
		if (strcmp(m->channels[i].uid, uid) == 0)
			return &m->channels[i];
	return NULL;
}

static void
set(char *dst, size_t cap, const char *src)
{
	if (src)
		str_copy(dst, cap, src);
}

static const int state_numbers[] = {
	[CALL_STATE_DOWN] = 0,
	[CALL_STATE_RING] = 4,
	[CALL_STATE_RINGING] = 5,
	[CALL_STATE_UP] = 6,
	[CALL_STATE_BUSY] = 7,
};

static void
model_update(struct model_channel *c, const struct call_event *ev)
{
	set(c->linked, sizeof(c->linked), ev->linked);
	set(c->name, sizeof(c->name), ev->name);
	set(c->number, sizeof(c->number), ev->caller_number);
	set(c->caller_name, sizeof(c->caller_name), ev->caller_name);
	set(c->connected, sizeof(c->connected), ev->connected_number);
	set(c->exten, sizeof(c->exten), ev->exten);
	if (ev->state && ev->state != CALL_STATE_PROGRESS)
		c->state = state_numbers[ev->state];
	switch (ev->type) {
	case CALL_BRIDGE_ENTER: set(c->bridge, sizeof(c->bridge), ev->bridge); break;
	case CALL_BRIDGE_LEAVE: c->bridge[0] = '\0'; break;
	case CALL_QUEUE_JOIN:
		set(c->queue, sizeof(c->queue), ev->queue);
		c->queue_us = ev->at_us;
		break;
	case CALL_QUEUE_LEAVE: c->queue[0] = '\0'; break;
	case CALL_PARK: c->parked = true; break;
	case CALL_UNPARK: c->parked = false; break;
	default: break;
	}
}

static void
model_apply(struct model *m, const struct trace_event *item)
{
	struct call_var vars[CALL_VARS_MAX];
	struct call_event ev;
	struct model_channel *c;

	trace_event_get(item, &ev, vars);
	if (ev.type == CALL_CHANNEL_NEW && m->n < 256 && !model_find(m, ev.uid)) {
		c = &m->channels[m->n++];
		memset(c, 0, sizeof(*c));
		set(c->uid, sizeof(c->uid), ev.uid);
		c->at_us = ev.at_us;
	}
	c = model_find(m, ev.uid);
	if (c)
		model_update(c, &ev);
	if (c && ev.type == CALL_CHANNEL_HANGUP)
		*c = m->channels[--m->n];
}

static void
list_channel(struct buf *b, const struct model_channel *c, int64_t now_us)
{
	int64_t age = (now_us - c->at_us) / 1000000;

	buf_printf(b,
		"Event: CoreShowChannel\r\nActionID: x\r\nChannel: %s\r\n"
		"ChannelState: %d\r\nCallerIDNum: %s\r\nCallerIDName: <unknown>\r\n"
		"ConnectedLineNum: %s\r\nExten: %s\r\nUniqueid: %s\r\nLinkedid: %s\r\n"
		"Application: Dial\r\nDuration: %02d:%02d:%02d\r\nBridgeId: %s\r\n\r\n",
		c->name, c->state, c->number, c->connected, c->exten, c->uid, c->linked,
		(int)(age / 3600), (int)(age / 60 % 60), (int)(age % 60), c->bridge);
}

/* The snapshot as bytes, parsed and translated like any other message. */
static void
give_snapshot(struct tracker *t, const struct model *m, int64_t at_us)
{
	struct buf b = BUF_INIT;
	struct trace_events list = {0};

	for (unsigned i = 0; i < m->n; i++)
		list_channel(&b, &m->channels[i], at_us);
	for (unsigned i = 0; i < m->n; i++)
		if (m->channels[i].queue[0])
			buf_printf(&b,
				"Event: QueueEntry\r\nActionID: y\r\nQueue: %s\r\n"
				"Position: 1\r\nChannel: %s\r\nUniqueid: %s\r\n"
				"Wait: %d\r\n\r\n",
				m->channels[i].queue, m->channels[i].name,
				m->channels[i].uid,
				(int)((at_us - m->channels[i].queue_us) / 1000000));
	for (unsigned i = 0; i < m->n; i++)
		if (m->channels[i].parked)
			buf_printf(&b,
				"Event: ParkedCall\r\nActionID: z\r\nParkeeChannel: %s\r\n"
				"ParkeeUniqueid: %s\r\nParkeeLinkedid: %s\r\n"
				"ParkingSpace: 701\r\n\r\n",
				m->channels[i].name, m->channels[i].uid,
				m->channels[i].linked);
	say(t, CALL_SNAPSHOT_BEGIN, at_us);
	trace_events_parse(&list, buf_str(&b), at_us);
	play_at(t, &list, at_us);
	say(t, CALL_SNAPSHOT_END, at_us);
	trace_events_free(&list);
	buf_fini(&b);
}

/* Cut at one place, nothing lost. */
static void
check_cut(struct trace *tr, struct trace_events *evs, const char *truth, size_t cut)
{
	static struct model m;
	struct tracker *t = seen_tracker(&seen);
	int64_t at_us = cut ? evs->items[cut - 1].at_us : 0;
	char how[64];

	m.n = 0;
	for (size_t i = 0; i < cut; i++)
		model_apply(&m, &evs->items[i]);
	play(t, evs, 0, cut);
	say(t, CALL_LINK_LOST, at_us);
	give_snapshot(t, &m, at_us);
	play(t, evs, cut, evs->n);
	finish(t, evs);
	snprintf(how, sizeof(how), "cut after %zu of %zu events", cut, evs->n);
	check_same(tr, truth, how);
	tracker_free(&t);
}

static void
way_cut(struct trace *tr, struct trace_events *evs, const char *truth)
{
	size_t step = is(tr, "burst-50") ? evs->n / 6 : 1;

	for (size_t cut = 0; cut <= evs->n; cut += step ? step : 1)
		check_cut(tr, evs, truth, cut);
}

static void
test_cut_anywhere_nothing_lost(void)
{
	each_trace(way_cut);
}

/* Cut, and the events between `cut` and `back` are never heard. */
static void
check_lost(struct trace *tr, struct trace_events *evs, size_t cut, size_t back)
{
	static struct model m;
	struct tracker *t = seen_tracker(&seen);
	struct tracker_stats stats;
	int64_t back_us = back ? evs->items[back - 1].at_us : 0;
	size_t interactions =
		(size_t)json_integer_value(json_object_get(tr->truth, "interactions"));

	m.n = 0;
	for (size_t i = 0; i < back; i++)
		model_apply(&m, &evs->items[i]);
	play(t, evs, 0, cut);
	say(t, CALL_LINK_LOST, cut ? evs->items[cut - 1].at_us : 0);
	give_snapshot(t, &m, back_us);
	play(t, evs, back, evs->n);
	finish(t, evs);
	if (seen.errors || seen_count_open(&seen) || seen.n_calls > interactions)
		test_fail(__FILE__, __LINE__,
			"%s, events %zu to %zu lost: %u calls, %u open: %s", tr->name,
			cut, back, seen.n_calls, seen_count_open(&seen), seen.error);
	for (unsigned i = 0; i < seen.n_calls; i++)
		if (!seen.calls[i].ended)
			test_fail(__FILE__, __LINE__, "%s, %zu to %zu lost: never ends",
				tr->name, cut, back);
	tracker_get_stats(t, &stats);
	CHECK_INT(stats.calls, 0);
	CHECK_INT(stats.channels, 0);
	tracker_free(&t);
}

static void
way_lost(struct trace *tr, struct trace_events *evs, const char *truth)
{
	unsigned random = 11;
	unsigned rounds = is(tr, "burst-50") ? 4 : 60;

	(void)truth;
	for (unsigned i = 0; evs->n && i < rounds; i++) {
		size_t cut = (size_t)rand_r(&random) % (evs->n + 1);
		size_t back = cut + (size_t)rand_r(&random) % (evs->n + 1 - cut);
		check_lost(tr, evs, cut, back);
	}
}

static void
test_cut_with_events_lost(void)
{
	each_trace(way_lost);
}

/* Calls whose channels are gone at the next snapshot ended when we lost sight of them. */
static void
way_gone(struct trace *tr, struct trace_events *evs, const char *truth)
{
	static struct model nothing;

	(void)truth;
	for (size_t cut = 1; cut < evs->n; cut += 1 + evs->n / 25) {
		struct tracker *t = seen_tracker(&seen);
		int64_t lost_us = evs->items[cut - 1].at_us;
		play(t, evs, 0, cut);
		say(t, CALL_LINK_LOST, lost_us);
		say(t, CALL_SYSTEM_STOPPED, lost_us + 3000000);
		give_snapshot(t, &nothing, lost_us + 3000000);
		tracker_tick(t, lost_us + 9000000);
		CHECK_INT(seen_count_open(&seen), 0);
		if (seen.errors)
			test_fail(__FILE__, __LINE__, "%s: %s", tr->name, seen.error);
		for (unsigned i = 0; i < seen.n_calls; i++) {
			CHECK(seen.calls[i].ended);
			CHECK(seen.calls[i].ended_us <= lost_us + 1);
		}
		tracker_free(&t);
	}
}

static void
test_a_restart_that_says_nothing(void)
{
	each_trace(way_gone);
}

/* One event that never comes changes what we know, but begins nothing twice, and at the
 * next snapshot everything that hung on it is closed. */
static void
way_missing(struct trace *tr, struct trace_events *evs, const char *truth)
{
	static struct model nothing;
	size_t step = is(tr, "burst-50") ? evs->n / 6 : 1;
	json_int_t most =
		json_integer_value(json_object_get(tr->truth, "interactions"));

	(void)truth;
	for (size_t lost = 0; lost < evs->n; lost += step ? step : 1) {
		struct tracker *t = seen_tracker(&seen);
		play(t, evs, 0, lost);
		play(t, evs, lost + 1, evs->n);
		give_snapshot(t, &nothing, last_time(evs) + 10000000);
		tracker_tick(t, last_time(evs) + 20000000);
		if (seen.errors || seen_count_open(&seen) || seen.n_calls > most)
			test_fail(__FILE__, __LINE__,
				"%s without event %zu: %u calls: %s", tr->name, lost,
				seen.n_calls, seen.error);
		for (unsigned i = 0; i < seen.n_calls; i++)
			CHECK(seen.calls[i].ended);
		tracker_free(&t);
	}
}

static void
test_any_one_event_never_comes(void)
{
	each_trace(way_missing);
}

/* ---- The daemon starts while calls are up ------------------------------------------------ */

static void
check_states(const struct trace *tr)
{
	const json_t *calls = json_object_get(tr->truth, "calls"), *c;
	size_t i;

	CHECK_INT(seen.n_calls, 5);
	json_array_foreach(calls, i, c)
	{
		const struct seen_call *got = seen_find(&seen, text_of(c, "customer"));
		const char *state = text_of(c, "state");
		if (!got) {
			test_fail(__FILE__, __LINE__, "%s: %s is not there", tr->name,
				text_of(c, "customer"));
			continue;
		}
		CHECK(got->recovered);
		/* Which call is held, no list tells. */
		CHECK_STR(call_phase_text(got->phase),
			str_eq(state, "up") || str_eq(state, "held") ? "talking"
			: str_eq(state, "parked")		     ? "held"
								     : state);
		if (str_eq(state, "up") || str_eq(state, "held"))
			CHECK_STR(got->agent, text_of(c, "answered_by"));
		CHECK_STR(got->queue, text_of(c, "queue") ? text_of(c, "queue") : "");
	}
}

static void
test_calls_up_when_we_come(void)
{
	const char *const names[] = {"16/resync-live", "22/resync-live"};

	for (size_t n = 0; n < ARRAY_LEN(names); n++) {
		struct trace *tr = traces_find(&all, names[n]);
		struct tracker *t = seen_tracker(&seen);
		struct trace_events evs = {0};
		size_t listed = 0;
		trace_events_read(&evs, tr, 0, 0, 0);
		while (listed < evs.n &&
			evs.items[listed].at_us < evs.items[0].at_us + 1000000)
			listed++;
		say(t, CALL_SNAPSHOT_BEGIN, evs.items[0].at_us);
		play(t, &evs, 0, listed);
		say(t, CALL_SNAPSHOT_END, evs.items[listed - 1].at_us);
		check_states(tr);
		CHECK_INT(
			seen_count_open(&seen), 4); /* 1001, 1002, 1004, queue sales */
		play(t, &evs, listed, evs.n);
		finish(t, &evs);
		CHECK_INT(seen_count_open(&seen), 0);
		CHECK_INT(seen.errors, 0);
		CHECK_INT(seen.n_calls, 5);
		tracker_free(&t);
		trace_events_free(&evs);
	}
}

int
main(void)
{
	traces_load(&all);
	TEST(test_what_really_happened);
	TEST(test_bytes_in_any_pieces);
	TEST(test_every_message_twice);
	TEST(test_the_stream_played_again);
	TEST(test_orders_that_asterisk_does_not_keep);
	TEST(test_cut_anywhere_nothing_lost);
	TEST(test_cut_with_events_lost);
	TEST(test_a_restart_that_says_nothing);
	TEST(test_any_one_event_never_comes);
	TEST(test_calls_up_when_we_come);
	traces_free(&all);
	return test_done();
}
