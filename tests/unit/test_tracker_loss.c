/* test_tracker_loss.c - the recorded scenarios when the connection is lost: cut anywhere,
 * with and without events lost, restarts, single events that never come, calls that were
 * up before us. Snapshots come from a model of what the phone system would list. */
#include "lib/calls_seen.h"
#include "lib/test.h"
#include "lib/trace_play.h"

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	trace_say(t, CALL_SNAPSHOT_BEGIN, at_us);
	trace_events_parse(&list, buf_str(&b), at_us);
	trace_play_at(t, &list, at_us);
	trace_say(t, CALL_SNAPSHOT_END, at_us);
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
	trace_play(t, evs, 0, cut);
	trace_say(t, CALL_LINK_LOST, at_us);
	give_snapshot(t, &m, at_us);
	trace_play(t, evs, cut, evs->n);
	trace_finish(t, evs);
	snprintf(how, sizeof(how), "cut after %zu of %zu events", cut, evs->n);
	trace_check_same(tr, truth, how);
	tracker_free(&t);
}

static void
way_cut(struct trace *tr, struct trace_events *evs, const char *truth)
{
	size_t step = trace_is(tr, "burst-50") ? evs->n / 6 : 1;

	for (size_t cut = 0; cut <= evs->n; cut += step ? step : 1)
		check_cut(tr, evs, truth, cut);
}

static void
test_cut_anywhere_nothing_lost(void)
{
	trace_each(way_cut);
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
	trace_play(t, evs, 0, cut);
	trace_say(t, CALL_LINK_LOST, cut ? evs->items[cut - 1].at_us : 0);
	give_snapshot(t, &m, back_us);
	trace_play(t, evs, back, evs->n);
	trace_finish(t, evs);
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
	unsigned rounds = trace_is(tr, "burst-50") ? 4 : 60;

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
	trace_each(way_lost);
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
		trace_play(t, evs, 0, cut);
		trace_say(t, CALL_LINK_LOST, lost_us);
		trace_say(t, CALL_SYSTEM_STOPPED, lost_us + 3000000);
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
	trace_each(way_gone);
}

/* One event that never comes changes what we know, but begins nothing twice, and at the
 * next snapshot everything that hung on it is closed. */
static void
way_missing(struct trace *tr, struct trace_events *evs, const char *truth)
{
	static struct model nothing;
	size_t step = trace_is(tr, "burst-50") ? evs->n / 6 : 1;
	json_int_t most =
		json_integer_value(json_object_get(tr->truth, "interactions"));

	(void)truth;
	for (size_t lost = 0; lost < evs->n; lost += step ? step : 1) {
		struct tracker *t = seen_tracker(&seen);
		trace_play(t, evs, 0, lost);
		trace_play(t, evs, lost + 1, evs->n);
		give_snapshot(t, &nothing, trace_last_time(evs) + 10000000);
		tracker_tick(t, trace_last_time(evs) + 20000000);
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
	trace_each(way_missing);
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
		const struct seen_call *got =
			seen_find(&seen, trace_text(c, "customer"));
		const char *state = trace_text(c, "state");
		if (!got) {
			test_fail(__FILE__, __LINE__, "%s: %s is not there", tr->name,
				trace_text(c, "customer"));
			continue;
		}
		CHECK(got->recovered);
		/* Which call is held, no list tells. */
		CHECK_STR(call_phase_text(got->phase),
			str_eq(state, "up") || str_eq(state, "held") ? "talking"
			: str_eq(state, "parked")		     ? "held"
								     : state);
		if (str_eq(state, "up") || str_eq(state, "held"))
			CHECK_STR(got->agent, trace_text(c, "answered_by"));
		CHECK_STR(got->queue,
			trace_text(c, "queue") ? trace_text(c, "queue") : "");
	}
}

static void
test_calls_up_when_we_come(void)
{
	const char *const names[] = {"16/resync-live", "22/resync-live"};

	for (size_t n = 0; n < ARRAY_LEN(names); n++) {
		struct trace *tr = traces_find(&traces_all, names[n]);
		struct tracker *t = seen_tracker(&seen);
		struct trace_events evs = {0};
		size_t listed = 0;
		trace_events_read(&evs, tr, 0, 0, 0);
		while (listed < evs.n &&
			evs.items[listed].at_us < evs.items[0].at_us + 1000000)
			listed++;
		trace_say(t, CALL_SNAPSHOT_BEGIN, evs.items[0].at_us);
		trace_play(t, &evs, 0, listed);
		trace_say(t, CALL_SNAPSHOT_END, evs.items[listed - 1].at_us);
		check_states(tr);
		CHECK_INT(
			seen_count_open(&seen), 4); /* 1001, 1002, 1004, queue sales */
		trace_play(t, &evs, listed, evs.n);
		trace_finish(t, &evs);
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
	traces_load(&traces_all);
	TEST(test_cut_anywhere_nothing_lost);
	TEST(test_cut_with_events_lost);
	TEST(test_a_restart_that_says_nothing);
	TEST(test_any_one_event_never_comes);
	TEST(test_calls_up_when_we_come);
	traces_free(&traces_all);
	return test_done();
}
