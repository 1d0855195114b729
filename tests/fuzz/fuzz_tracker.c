/* fuzz_tracker.c - any bytes as a manager's connection, through parser, translation and
 * tracker. Whatever comes: every pop is opened once and closed once, inside its call's
 * life; every call ends once; and when at last nothing is left at the phone system,
 * nothing is left here. */
#include <asterisk/ami.h>
#include <asterisk/ami_events.h>
#include <calls/tracker.h>

#include <map.h>
#include <mem.h>
#include <str.h>

#include <stdlib.h>
#include <string.h>

struct world {
	struct tracker *tracker;
	struct ami_events *events;
	int64_t at_us;
	struct map open; /* ids of open calls and pops; the value is the world */
	unsigned messages;
};

static void
require(bool cond)
{
	if (!cond)
		abort();
}

static void
set_open(struct world *w, const struct uuid *id, bool open)
{
	char text[UUID_TEXT_LEN];

	uuid_format(text, id);
	require((map_find(&w->open, text) != NULL) != open);
	if (open)
		map_put(&w->open, text, w);
	else
		map_remove(&w->open, text);
}

static bool
is_open(const struct world *w, const struct uuid *id)
{
	char text[UUID_TEXT_LEN];

	return map_find(&w->open, uuid_format(text, id)) != NULL;
}

static void
check_call(const struct world *w, const struct call *c)
{
	unsigned n = 0;

	require(is_open(w, &c->id));
	require(!c->withheld || !c->number);
	require((c->phase == CALL_PHASE_ENDED) == (c->disposition != CALL_DISP_NONE));
	list_for_each (&c->legs, it)
		n++;
	require(n == c->n_legs);
}

static void
on_begun(void *arg, struct call *c)
{
	set_open(arg, &c->id, true);
}

static void
on_changed(void *arg, struct call *c)
{
	check_call(arg, c);
	require(c->phase != CALL_PHASE_ENDED);
}

static void
close_call(struct world *w, struct call *c)
{
	list_for_each (&c->legs, it)
		require(!is_open(w, &LIST_ENTRY(it, struct call_leg, link)->id));
	set_open(w, &c->id, false);
}

static void
on_ended(void *arg, struct call *c)
{
	check_call(arg, c);
	require(c->phase == CALL_PHASE_ENDED);
	require(c->wait_ms >= 0 && c->talk_ms >= 0 && c->hold_ms >= 0);
	close_call(arg, c);
}

static void
on_absorbed(void *arg, struct call *gone, struct call *into)
{
	require(gone != into && is_open(arg, &into->id));
	close_call(arg, gone);
}

static void
on_leg_begun(void *arg, struct call *c, struct call_leg *leg)
{
	require(is_open(arg, &c->id) && leg->agent && leg->pop);
	set_open(arg, &leg->id, true);
}

static void
on_leg_changed(void *arg, struct call *c, struct call_leg *leg)
{
	require(is_open(arg, &c->id) && is_open(arg, &leg->id));
	require(leg->state != LEG_ENDED);
}

static void
on_leg_ended(void *arg, struct call *c, struct call_leg *leg)
{
	require(is_open(arg, &c->id));
	require(leg->state == LEG_ENDED && leg->result != CALL_REASON_NONE);
	require(leg->talk_us >= 0 && leg->hold_us >= 0);
	set_open(arg, &leg->id, false);
}

static void
on_queue_changed(void *arg, struct call *c, struct call_leg *leg)
{
	require(is_open(arg, &c->id) && !leg->agent);
	if (leg->state == LEG_ENDED)
		require(leg->result != CALL_REASON_NONE);
}

static const struct tracker_observer observer = {on_begun, on_changed, on_ended,
	on_absorbed, on_leg_begun, on_leg_changed, on_leg_ended, on_queue_changed,
	NULL};

static void
on_event(void *arg, const struct call_event *ev)
{
	tracker_apply(((struct world *)arg)->tracker, ev, 1);
}

static void
say(struct world *w, enum call_event_type type)
{
	struct call_event ev = {.type = type, .at_us = w->at_us};

	tracker_apply(w->tracker, &ev, 1);
}

/* A call that we ask for, and the phone system's refusal. */
static void
say_originate(struct world *w, const struct ami_message *m, enum call_event_type type)
{
	struct call_event ev = {.type = type,
		.at_us = w->at_us,
		.flags = CALL_EXTERNAL | CALL_OUTGOING,
		.uid = ami_get_known(m, "Uniqueid"),
		.endpoint = ami_get_known(m, "Channel"),
		.exten = ami_get_known(m, "Exten"),
		.result = type == CALL_ORIGINATE ? CALL_RESULT_NONE
						 : CALL_RESULT_INVALID};

	ev.linked = ev.uid;
	tracker_apply(w->tracker, &ev, 0);
}

/* Answers of the manager stand for what the driver does on its own. */
static void
on_message(void *arg, const struct ami_message *m)
{
	struct world *w = arg;
	const char *response = ami_get(m, "Response");

	w->at_us += 1000;
	w->messages++;
	ami_events_translate(w->events, m, w->at_us, on_event, w);
	if (str_eq(response, "Begin"))
		say(w, CALL_SNAPSHOT_BEGIN);
	else if (str_eq(response, "End"))
		say(w, CALL_SNAPSHOT_END);
	else if (str_eq(response, "Lost"))
		say(w, CALL_LINK_LOST);
	else if (str_eq(response, "Ask"))
		say_originate(w, m, CALL_ORIGINATE);
	else if (str_eq(response, "No"))
		say_originate(w, m, CALL_ORIGINATE_RESULT);
	else if (str_eq(response, "Wait"))
		tracker_tick(w->tracker, w->at_us += 600000);
}

static const struct ami_parser_callbacks callbacks = {NULL, on_message, NULL};

static const struct phone_conf *
phone_conf(void)
{
	static struct phone_conf conf;

	if (conf.trunks.text)
		return &conf;
	require(regcomp(&conf.trunks.re, "^PJSIP/trunk", REG_EXTENDED) == 0);
	require(regcomp(&conf.agents.re, "^PJSIP/(100[1-6])$", REG_EXTENDED) == 0);
	conf.agents.text = conf.trunks.text = xstrdup("set");
	return &conf;
}

static void
end_of_the_world(struct world *w)
{
	struct tracker_stats stats;

	w->at_us += 10000000;
	say(w, CALL_SNAPSHOT_BEGIN);
	say(w, CALL_SNAPSHOT_END);
	/* Timestamps in messages may have run ahead of the wall. */
	tracker_tick(w->tracker, INT64_MAX / 4);
	tracker_get_stats(w->tracker, &stats);
	require(stats.calls == 0 && stats.channels == 0);
	require(w->open.len == 0);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t len);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t len)
{
	struct world w = {.at_us = INT64_C(1795277508000000)};
	struct tracker_opts opts = {.tenant = "default",
		.channel = "pbx",
		.conf = phone_conf(),
		.observer = &observer,
		.observer_arg = &w,
		.max_channels = 50};
	struct ami_parser *p = ami_parser_new(&callbacks, &w);
	const char *why;

	map_init(&w.open);
	w.tracker = tracker_new(&opts);
	w.events = ami_events_new();
	if (ami_parser_feed(p, "Asterisk Call Manager/1\r\n", 25, &why) && len)
		ami_parser_feed(p, (const char *)data, len, &why);
	end_of_the_world(&w);
	tracker_free(&w.tracker);
	ami_events_free(&w.events);
	ami_parser_free(&p);
	map_fini(&w.open);
	return 0;
}
