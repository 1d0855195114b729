/* trace_play.c - see trace_play.h. */
#include "trace_play.h"
#include "test.h"

#include <mem.h>
#include <str.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

struct traces traces_all;

/* ---- Playing ---------------------------------------------------------------------- */

void
trace_play(struct tracker *t, const struct trace_events *evs, size_t from, size_t to)
{
	struct call_var vars[CALL_VARS_MAX];
	struct call_event ev;

	for (size_t i = from; i < to; i++) {
		trace_event_get(&evs->items[i], &ev, vars);
		tracker_apply(t, &ev, i + 1);
	}
}

void
trace_play_at(struct tracker *t, const struct trace_events *evs, int64_t at_us)
{
	struct call_var vars[CALL_VARS_MAX];
	struct call_event ev;

	for (size_t i = 0; i < evs->n; i++) {
		trace_event_get(&evs->items[i], &ev, vars);
		ev.at_us = at_us;
		tracker_apply(t, &ev, 0);
	}
}

void
trace_say(struct tracker *t, enum call_event_type type, int64_t at_us)
{
	struct call_event ev = {.type = type, .at_us = at_us};

	tracker_apply(t, &ev, 0);
}

int64_t
trace_last_time(const struct trace_events *evs)
{
	return evs->n ? evs->items[evs->n - 1].at_us : 0;
}

void
trace_finish(struct tracker *t, const struct trace_events *evs)
{
	tracker_tick(t, trace_last_time(evs) + 5000000);
}

/* seen = what happens if the events are played as they are. */
void
trace_run(const struct trace_events *evs)
{
	struct tracker *t = seen_tracker(&seen);
	struct tracker_stats stats;

	trace_play(t, evs, 0, evs->n);
	trace_finish(t, evs);
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

bool
trace_is(const struct trace *tr, const char *name)
{
	return strcmp(scenario(tr), name) == 0;
}

/* ---- The truth ---------------------------------------------------------------------- */

const char *
trace_text(const json_t *o, const char *key)
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
	const char *by = trace_text(truth, "answered_by"),
		   *to = trace_text(truth, "transferred_to");

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
	const char *by = trace_text(truth, "answered_by");
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
	if (trace_is(tr, "burst-50"))
		return;
	if (json_is_number(json_object_get(truth, "ring_s")) &&
		!trace_is(tr, "originate-noanswer") && !trace_is(tr, "queue-abandon"))
		check_seconds(tr, truth, "ring_s", ring_seconds(tr, truth, c));
	check_seconds(tr, truth, "talk_s", (double)c->talk_ms / 1e3);
	check_seconds(tr, truth, "hold_s", (double)c->hold_ms / 1e3);
}

static void
check_call(const struct trace *tr, const json_t *truth, const struct seen_call *c)
{
	const char *number = trace_text(truth, "customer"),
		   *did = trace_text(truth, "did"), *queue = trace_text(truth, "queue"),
		   *said = trace_text(truth, "disposition");
	bool withheld = json_is_true(json_object_get(truth, "number_withheld"));

	CHECK_INT(c->direction, str_eq(trace_text(truth, "direction"), "outbound")
					? CALL_OUT
					: CALL_IN);
	CHECK_STR(c->number, withheld ? "" : number);
	CHECK_INT(c->withheld, withheld);
	if (did)
		CHECK_STR(c->local, did);
	CHECK_STR(c->queue, queue ? queue : "");
	if (said)
		CHECK_STR(call_disposition_text(c->disposition),
			true_disposition(
				said, trace_text(truth, "answered_by") != NULL));
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
	if (!str_eq(p->agent, trace_text(want, "agent")) || p->open)
		return false;
	if (json_is_true(json_object_get(want, "optional")) &&
		strcmp(p->states, "ringing") == 0)
		return true; /* the phone never rang: whatever it is closed with */
	if (!str_eq(call_reason_text(p->reason), trace_text(want, "close")))
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
	const char *note = trace_text(tr->truth, "pops_note");
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
				tr->name, trace_text(want, "agent"),
				trace_text(want, "close"));
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

void
trace_check_truth(const struct trace *tr)
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
		const char *number = trace_text(c, "customer");
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
	if (trace_is(tr, "burst-50"))
		check_burst();
	else
		check_pops(tr, pops);
}

/* ---- Ways to play them ----------------------------------------------------------------- */

static char *
as_text(void)
{
	struct buf b = BUF_INIT;

	seen_print(&b, &seen);
	buf_adds(&b, "");
	return buf_str(&b), buf_steal(&b);
}

/* The observer was told the same as when the stream was played plainly. */
void
trace_check_same(const struct trace *tr, const char *truth, const char *how)
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
	return trace_is(tr, "resync-live");
}

void
trace_each(way_fn *way)
{
	for (size_t i = 0; i < traces_all.n; i++) {
		struct trace_events evs = {0};
		char *truth;
		if (is_live_at_start(&traces_all.items[i]))
			continue;
		trace_events_read(&evs, &traces_all.items[i], 0, 0, 0);
		trace_run(&evs);
		truth = as_text();
		way(&traces_all.items[i], &evs, truth);
		xfree(&truth);
		trace_events_free(&evs);
	}
}
