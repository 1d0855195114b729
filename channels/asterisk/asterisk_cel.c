/* asterisk_cel.c - Asterisk's channel event log as call events.
 *
 * CEL tells channels, answers, bridges, transfers and hangups as the manager does, but of
 * dialling only that an application (Dial, Queue) ran on some channel while another
 * channel of its linked id was made; who was offered the call, and why an offer ended,
 * follows from that. Two passes: the first finds each channel's hangup, because what an
 * application's end means depends on it; the second tells.
 *
 * Event types: Asterisk's "CEL specification" (docs.asterisk.org, Operation, CDR and
 * CEL); cel.h numbers them. cel.conf: apps = dial,queue at least, for queues and dialled
 * numbers to be known. */
#include "asterisk_history.h"

#include <list.h>
#include <map.h>
#include <mem.h>
#include <str.h>

#include <stdlib.h>
#include <string.h>

#define SOON_US	  1000000 /* one thing is the consequence of another */
#define TURNED_US 30000	  /* a Queue() that ended so soon had not let the caller in */

enum cel_type {
	CEL_OTHER,
	CEL_CHAN_START,
	CEL_HANGUP,
	CEL_ANSWER,
	CEL_APP_START,
	CEL_APP_END,
	CEL_BRIDGE_ENTER,
	CEL_BRIDGE_EXIT,
	CEL_BLINDTRANSFER,
	CEL_ATTENDEDTRANSFER,
	CEL_PARK_START,
	CEL_PARK_END,
};

static const struct {
	const char *name, *number;
	enum cel_type type;
} type_names[] = {
	{"CHAN_START", "1", CEL_CHAN_START},
	{"CHANNEL_START", NULL, CEL_CHAN_START},
	{"HANGUP", "3", CEL_HANGUP},
	{"ANSWER", "4", CEL_ANSWER},
	{"APP_START", "5", CEL_APP_START},
	{"APP_END", "6", CEL_APP_END},
	{"PARK_START", "7", CEL_PARK_START},
	{"PARK_END", "8", CEL_PARK_END},
	{"BRIDGE_ENTER", "10", CEL_BRIDGE_ENTER},
	{"BRIDGE_EXIT", "11", CEL_BRIDGE_EXIT},
	{"BLINDTRANSFER", "12", CEL_BLINDTRANSFER},
	{"ATTENDEDTRANSFER", "13", CEL_ATTENDEDTRANSFER},
};

enum column {
	TYPE,
	TIME,
	NUMBER,
	NAME,
	UID,
	LINKED,
	CHANNEL,
	EXTEN,
	CONTEXT,
	APP,
	DATA,
	EXTRA
};

static const char *const columns[] = {
	[TYPE] = "eventtype",
	[TIME] = "eventtime",
	[NUMBER] = "cid_num|cidnum",
	[NAME] = "cid_name|cidname",
	[UID] = "uniqueid",
	[LINKED] = "linkedid",
	[CHANNEL] = "channame|channel",
	[EXTEN] = "exten",
	[CONTEXT] = "context",
	[APP] = "appname",
	[DATA] = "appdata",
	[EXTRA] = "extra|eventextra",
	NULL,
};

/* cel_custom.conf.sample's mapping. */
static const char *const csv_order[] = {"eventtype", "eventtime", "cid_name", "cid_num",
	"cid_ani", "cid_rdnis", "cid_dnid", "exten", "context", "channame", "appname",
	"appdata", "amaflags", "accountcode", "uniqueid", "linkedid", "peer",
	"userfield", "userdeftype", "extra", NULL};

struct cel_chan {
	struct list link;
	char *uid, *name, *source; /* source: of its hangup */
	char endpoint[128];
	bool local, local_two, answered, begun, voicemail;
	int64_t hangup_us;
	int cause;
	struct cel_chan *dialer; /* who offers it the call */
	bool by_queue;
	int64_t leg_answer_us; /* of its legs, the last */
};

struct cel_row {
	int64_t at_us, end_us; /* end_us: of an APP_START's application; 0 = never */
	size_t order;
	enum cel_type type;
	struct cel_chan *chan;
	char *linked;
	const char *number, *name, *exten, *context, *app, *data, *extra;
	char texts[];
};

/* A Dial or Queue that runs on a channel. */
struct cel_app {
	struct list link;
	const struct cel_row *start;
};

struct cel {
	struct history_zone zone;
	struct cel_row **rows;
	size_t n, cap;
	struct map chans; /* uid -> struct cel_chan */
	struct map names; /* the first name of a Local half -> the same */
	struct list all;
	struct list apps; /* running, latest last */
	call_event_fn *fn;
	void *arg;
	const struct cel_row *row; /* being told */
};

/* ---- Collecting ---------------------------------------------------------------------- */

static void *
cel_begin(void)
{
	struct cel *c = xcalloc(1, sizeof(*c));

	map_init(&c->chans);
	map_init(&c->names);
	list_init(&c->all);
	list_init(&c->apps);
	return c;
}

static void
cel_end(void *state)
{
	struct cel *c = state;

	for (size_t i = 0; i < c->n; i++)
		mem_free(c->rows[i]);
	mem_free(c->rows);
	list_for_each_safe (&c->all, it) {
		struct cel_chan *chan = LIST_ENTRY(it, struct cel_chan, link);
		xfree(&chan->uid);
		xfree(&chan->name);
		xfree(&chan->source);
		mem_free(chan);
	}
	list_for_each_safe (&c->apps, it)
		mem_free(LIST_ENTRY(it, struct cel_app, link));
	map_fini(&c->chans);
	map_fini(&c->names);
	mem_free(c);
}

static bool
cel_near(const char *const *values, int64_t *us_r)
{
	return history_near(values[TIME], values[UID], us_r);
}

static enum cel_type
type_of(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++)
		if (str_eq(text, type_names[i].name) ||
			str_eq(text, type_names[i].number))
			return type_names[i].type;
	return CEL_OTHER;
}

static struct cel_chan *
chan_of(struct cel *c, const char *uid, const char *name)
{
	struct cel_chan *chan = map_find(&c->chans, uid);
	size_t len = strlen(name);

	if (!chan) {
		chan = xcalloc(1, sizeof(*chan));
		chan->uid = xstrdup(uid);
		chan->name = xstrdup(name);
		history_endpoint(chan->endpoint, sizeof(chan->endpoint), name);
		chan->local = str_starts(name, "Local/");
		chan->local_two = chan->local && len > 2 && name[len - 1] == '2';
		list_append(&c->all, &chan->link);
		map_put(&c->chans, chan->uid, chan);
		if (chan->local)
			map_put(&c->names, chan->name, chan);
	}
	return chan;
}

static const char *
put(char **at, const char *s)
{
	size_t len = strlen(s);
	char *start = *at;

	if (!len)
		return NULL;
	memcpy(start, s, len + 1);
	*at += len + 1;
	return start;
}

static struct cel_row *
row_new(const char *const *v)
{
	static const enum column kept[] = {
		LINKED, NUMBER, NAME, EXTEN, CONTEXT, APP, DATA, EXTRA};
	struct cel_row *row;
	size_t room = 1;
	char *at;

	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		room += strlen(v[kept[i]]) + 1;
	row = xcalloc(1, sizeof(*row) + room);
	at = row->texts;
	row->linked = at;
	put(&at, v[LINKED]);
	row->number = put(&at, v[NUMBER]);
	row->name = put(&at, v[NAME]);
	row->exten = put(&at, v[EXTEN]);
	row->context = put(&at, v[CONTEXT]);
	row->app = put(&at, v[APP]);
	row->data = put(&at, v[DATA]);
	row->extra = put(&at, v[EXTRA]);
	return row;
}

static bool
cel_add(void *state, const char *const *v)
{
	struct cel *c = state;
	struct cel_row *row;
	int64_t at_us;
	bool local;

	if (!*v[UID] || !*v[LINKED] || !*v[CHANNEL] || !*v[TYPE] ||
		!history_time(v[TIME], &at_us, &local))
		return false;
	row = row_new(v);
	row->at_us = local ? history_utc(&c->zone, at_us, v[UID]) : at_us;
	row->order = c->n;
	row->type = type_of(v[TYPE]);
	row->chan = chan_of(c, v[UID], v[CHANNEL]);
	if (c->n == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 256;
		c->rows = xrealloc(c->rows, c->cap * sizeof(struct cel_row *));
	}
	c->rows[c->n++] = row;
	return true;
}

/* ---- Details: {"hangupcause":16,"hangupsource":"PJSIP/…"} ------------------------------ */

/* A member of the flat object that CEL's extra is; "" if it is not there. */
static void
extra_get(char *dst, size_t cap, const char *extra, const char *key)
{
	size_t len = strlen(key);
	const char *s = extra ? extra : "", *end;

	dst[0] = '\0';
	while ((s = strstr(s, key))) {
		if (s > extra && s[-1] == '"' && s[len] == '"' && s[len + 1] == ':')
			break;
		s += len;
	}
	if (!s)
		return;
	s += len + 2;
	s += strspn(s, " ");
	end = *s == '"' ? strchr(s + 1, '"') : s + strcspn(s, ",}");
	s += *s == '"';
	if (end)
		str_copy(dst, (size_t)(end - s) < cap ? (size_t)(end - s) + 1 : cap, s);
}

static int
by_time(const void *a, const void *b)
{
	const struct cel_row *x = *(struct cel_row *const *)a,
			     *y = *(struct cel_row *const *)b;

	if (x->at_us != y->at_us)
		return x->at_us < y->at_us ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static void
app_remove(struct cel_app *app)
{
	list_remove(&app->link);
	mem_free(app);
}

static struct cel_app *
app_find(struct cel *c, const struct cel_chan *chan, const char *name)
{
	for (struct list *it = c->apps.prev; it != &c->apps; it = it->prev) {
		struct cel_app *app = LIST_ENTRY(it, struct cel_app, link);
		if (app->start->chan == chan &&
			(!name || str_ieq(app->start->app, name)))
			return app;
	}
	return NULL;
}

static struct cel_app *
app_push(struct cel *c, const struct cel_row *row)
{
	struct cel_app *app = xcalloc(1, sizeof(*app));

	app->start = row;
	list_append(&c->apps, &app->link);
	return app;
}

static void
apps_drop(struct cel *c, const struct cel_chan *chan)
{
	struct cel_app *app;

	while ((app = app_find(c, chan, NULL)))
		app_remove(app);
}

static void
note(struct cel *c, struct cel_row *row)
{
	struct cel_app *app;
	char text[160];
	int64_t cause;

	if (row->type == CEL_HANGUP) {
		row->chan->hangup_us = row->at_us;
		extra_get(text, sizeof(text), row->extra, "hangupcause");
		row->chan->cause = str_int(text, 0, 255, &cause) ? (int)cause : 0;
		extra_get(text, sizeof(text), row->extra, "hangupsource");
		xfree(&row->chan->source);
		row->chan->source = xstrdup(text);
		apps_drop(c, row->chan);
	} else if (row->type == CEL_APP_START) {
		app_push(c, row);
	} else if (row->type == CEL_APP_END &&
		   (app = app_find(c, row->chan, row->app))) {
		/* rows are ours: it is const for the second pass */
		((struct cel_row *)(uintptr_t)app->start)->end_us = row->at_us;
		app_remove(app);
	}
}

/* ---- Telling ------------------------------------------------------------------------- */

static bool
hung_up_itself(const struct cel_chan *chan)
{
	return chan->hangup_us && str_eq(chan->source, chan->name);
}

static struct call_event
event(const struct cel *c, enum call_event_type type, const struct cel_chan *chan)
{
	struct call_event ev = {.type = type, .at_us = c->row->at_us};

	ev.uid = chan->uid;
	ev.linked = chan == c->row->chan ? c->row->linked : NULL;
	return ev;
}

static void
tell(struct cel *c, const struct call_event *ev)
{
	c->fn(c->arg, ev);
}

static void
set_other(struct call_event *ev, const struct cel_chan *other)
{
	ev->other_uid = other->uid;
	ev->other_name = other->name;
	ev->other_endpoint = other->endpoint;
	if (other->local)
		ev->flags |= CALL_OTHER_LOCAL;
}

/* Of the applications that run in this linked id: the one whose exten is this phone's,
 * for several Local channels dial at once, else the latest. */
static const struct cel_row *
dialling(struct cel *c, const struct cel_row *row)
{
	const struct cel_row *best = NULL;

	for (struct list *it = c->apps.prev; it != &c->apps; it = it->prev) {
		const struct cel_row *start =
			LIST_ENTRY(it, struct cel_app, link)->start;
		if (start->chan == row->chan || !str_eq(start->linked, row->linked))
			continue;
		if (row->number && str_eq(start->exten, row->number))
			return start;
		if (!best)
			best = start;
	}
	return best;
}

static void
tell_offer(struct cel *c, const struct cel_row *start, struct cel_chan *chan)
{
	struct call_event ev = event(c, CALL_DIAL_BEGIN, start->chan);
	const char *data = start->data ? start->data : "";
	char number[128], queue[80];

	history_dialled(number, sizeof(number), data, chan->endpoint);
	chan->dialer = start->chan;
	chan->by_queue = str_ieq(start->app, "Queue");
	set_other(&ev, chan);
	ev.caller_number = start->number;
	ev.dial_string = number[0] ? number : *data ? NULL : start->exten;
	tell(c, &ev);
	if (!chan->by_queue)
		return;
	ev = event(c, CALL_QUEUE_OFFER, start->chan);
	history_word(queue, sizeof(queue), data);
	set_other(&ev, chan);
	ev.queue = history_text(queue);
	ev.interface = chan->endpoint;
	tell(c, &ev);
}

/* The halves' names differ in the last digit. */
static void
tell_local(struct cel *c, struct cel_chan *two)
{
	char *name = xstrdup(two->name);
	struct cel_chan *one;
	struct call_event ev;

	name[strlen(name) - 1] = '1';
	one = map_find(&c->names, name);
	xfree(&name);
	if (!one)
		return;
	ev = event(c, CALL_LOCAL_BRIDGE, one);
	set_other(&ev, two);
	ev.linked = c->row->linked;
	tell(c, &ev);
}

static void
on_start(struct cel *c)
{
	const struct cel_row *row = c->row, *start;
	struct cel_chan *chan = row->chan;
	struct call_event ev = event(c, CALL_CHANNEL_NEW, chan);
	bool root = str_eq(chan->uid, row->linked);

	chan->begun = true;
	ev.name = chan->name;
	ev.endpoint = chan->endpoint;
	ev.flags = chan->local ? CALL_LOCAL : 0;
	ev.caller_number = row->number;
	ev.caller_name = row->name;
	ev.context = row->context;
	if (row->exten && strpbrk(row->exten, "0123456789"))
		ev.exten = row->exten;
	ev.state = root || chan->local_two ? CALL_STATE_RING : CALL_STATE_DOWN;
	tell(c, &ev);
	if (chan->local_two)
		tell_local(c, chan);
	else if (!root && (start = dialling(c, row)))
		tell_offer(c, start, chan);
}

static void
on_answer(struct cel *c)
{
	struct cel_chan *chan = c->row->chan;
	struct call_event ev = event(c, CALL_CHANNEL_STATE, chan);

	ev.state = CALL_STATE_UP;
	tell(c, &ev);
	if (chan->answered || !chan->dialer)
		return;
	chan->answered = true;
	chan->dialer->leg_answer_us = c->row->at_us;
	ev = event(c, CALL_DIAL_END, chan->dialer);
	set_other(&ev, chan);
	ev.result = CALL_RESULT_ANSWER;
	tell(c, &ev);
	if (chan->by_queue) {
		ev = event(c, CALL_QUEUE_LEAVE, chan->dialer);
		tell(c, &ev);
	}
}

static void
on_app_start(struct cel *c)
{
	const struct cel_row *row = c->row;
	struct call_event ev = event(c, CALL_QUEUE_JOIN, row->chan);
	char queue[80];

	app_push(c, row);
	if (!str_ieq(row->app, "Queue"))
		return;
	history_word(queue, sizeof(queue), row->data ? row->data : "");
	if (row->end_us && row->end_us - row->at_us < TURNED_US) {
		ev.type = CALL_QUEUE_LEAVE;
		ev.result = CALL_RESULT_REJECTED;
	}
	ev.queue = history_text(queue);
	if (ev.queue)
		tell(c, &ev);
}

/* Nobody had answered: the caller left, or the queue gave up. */
static void
tell_queue_over(struct cel *c, struct cel_chan *chan)
{
	struct call_event ev = event(c, CALL_QUEUE_ABANDON, chan);

	if (hung_up_itself(chan) && chan->hangup_us - c->row->at_us < SOON_US) {
		ev.type = CALL_HANGUP_REQUEST;
		tell(c, &ev);
		ev.type = CALL_QUEUE_ABANDON;
		tell(c, &ev);
		return;
	}
	tell(c, &ev);
	ev.type = CALL_QUEUE_LEAVE;
	ev.result = CALL_RESULT_NO_ANSWER;
	tell(c, &ev);
}

static void
on_app_end(struct cel *c)
{
	struct cel_app *app = app_find(c, c->row->chan, c->row->app);
	int64_t began_us;

	if (!app)
		return;
	began_us = app->start->at_us;
	app_remove(app);
	if (str_ieq(c->row->app, "Queue") && c->row->chan->leg_answer_us < began_us &&
		c->row->at_us - began_us >= TURNED_US)
		tell_queue_over(c, c->row->chan);
}

static void
on_bridge(struct cel *c, enum call_event_type type)
{
	struct call_event ev = event(c, type, c->row->chan);
	char id[80], tech[40];

	extra_get(id, sizeof(id), c->row->extra, "bridge_id");
	extra_get(tech, sizeof(tech), c->row->extra, "bridge_technology");
	ev.bridge = history_text(id);
	if (str_eq(tech, "holding_bridge"))
		ev.flags |= CALL_PARKING_BRIDGE;
	if (ev.bridge)
		tell(c, &ev);
}

/* Why an offer that was not taken is over. */
static enum call_result
offer_result(const struct cel *c, const struct cel_chan *chan)
{
	const struct cel_chan *root = map_find(&c->chans, c->row->linked);

	if (chan->cause == 17)
		return CALL_RESULT_BUSY;
	if (chan->dialer->leg_answer_us > chan->hangup_us - SOON_US)
		return CALL_RESULT_CANCEL;
	if (root && hung_up_itself(root) && root->hangup_us - chan->hangup_us < SOON_US)
		return CALL_RESULT_CANCEL;
	switch (chan->cause) {
	case 0:
	case 16:
	case 18:
	case 19: return CALL_RESULT_NO_ANSWER;
	default: return CALL_RESULT_CANCEL;
	}
}

static void
tell_offer_over(struct cel *c, struct cel_chan *chan)
{
	struct call_event ev = event(c, CALL_DIAL_END, chan->dialer);

	set_other(&ev, chan);
	ev.result = offer_result(c, chan);
	if (chan->by_queue && ev.result == CALL_RESULT_NO_ANSWER) {
		ev.type = CALL_QUEUE_NO_ANSWER;
		tell(c, &ev);
		ev.type = CALL_DIAL_END;
	}
	tell(c, &ev);
}

static void
on_hangup(struct cel *c)
{
	struct cel_chan *chan = c->row->chan;
	struct call_event ev = event(c, CALL_HANGUP_REQUEST, chan);

	if (chan->dialer && !chan->answered)
		tell_offer_over(c, chan);
	ev.cause = chan->cause;
	if (hung_up_itself(chan))
		tell(c, &ev);
	ev.type = CALL_CHANNEL_HANGUP;
	tell(c, &ev);
	apps_drop(c, chan);
}

static void
on_transfer(struct cel *c, enum call_event_type type)
{
	struct call_event ev = event(c, type, c->row->chan);
	char other[80], second[80], target[80], exten[80];

	extra_get(other, sizeof(other), c->row->extra, "transferee_channel_uniqueid");
	extra_get(second, sizeof(second), c->row->extra, "channel2_uniqueid");
	extra_get(target, sizeof(target), c->row->extra,
		"transfer_target_channel_uniqueid");
	extra_get(exten, sizeof(exten), c->row->extra, "extension");
	ev.other_uid = history_text(other);
	ev.second_uid = history_text(second);
	ev.target_uid = history_text(target);
	ev.exten = history_text(exten);
	if (ev.other_uid)
		tell(c, &ev);
}

static void
on_park_end(struct cel *c)
{
	struct call_event ev = event(c, CALL_UNPARK, c->row->chan);
	char reason[40];

	extra_get(reason, sizeof(reason), c->row->extra, "reason");
	if (str_eq(reason, "ParkedCallTimeOut"))
		ev.type = CALL_PARK_TIMEOUT;
	else if (str_eq(reason, "ParkedCallGiveUp"))
		ev.type = CALL_PARK_GIVE_UP;
	tell(c, &ev);
}

/* No event of its own: the application's name stands in whatever happens meanwhile. */
static void
see_voicemail(struct cel *c)
{
	struct cel_chan *chan = c->row->chan;
	struct call_event ev = event(c, CALL_VOICEMAIL, chan);
	char box[80];

	if (chan->voicemail || !str_ieq(c->row->app, "VoiceMail"))
		return;
	chan->voicemail = true;
	history_word(box, sizeof(box), c->row->data ? c->row->data : "voicemail");
	ev.exten = box;
	tell(c, &ev);
}

static void
tell_row(struct cel *c)
{
	switch (c->row->type) {
	case CEL_CHAN_START: on_start(c); break;
	case CEL_HANGUP: on_hangup(c); break;
	case CEL_ANSWER: on_answer(c); break;
	case CEL_APP_START: on_app_start(c); break;
	case CEL_APP_END: on_app_end(c); break;
	case CEL_BRIDGE_ENTER: on_bridge(c, CALL_BRIDGE_ENTER); break;
	case CEL_BRIDGE_EXIT: on_bridge(c, CALL_BRIDGE_LEAVE); break;
	case CEL_BLINDTRANSFER: on_transfer(c, CALL_TRANSFER_BLIND); break;
	case CEL_ATTENDEDTRANSFER: on_transfer(c, CALL_TRANSFER_ATTENDED); break;
	case CEL_PARK_START: {
		struct call_event ev = event(c, CALL_PARK, c->row->chan);
		tell(c, &ev);
		break;
	}
	case CEL_PARK_END: on_park_end(c); break;
	case CEL_OTHER: see_voicemail(c); break;
	}
}

static void
cel_emit(void *state, call_event_fn *fn, void *arg)
{
	struct cel *c = state;

	if (c->n)
		qsort(c->rows, c->n, sizeof(struct cel_row *), by_time);
	for (size_t i = 0; i < c->n; i++)
		note(c, c->rows[i]);
	list_for_each_safe (&c->apps, it)
		app_remove(LIST_ENTRY(it, struct cel_app, link));
	c->fn = fn;
	c->arg = arg;
	for (size_t i = 0; i < c->n; i++) {
		c->row = c->rows[i];
		if (c->row->chan->begun || c->row->type == CEL_CHAN_START)
			tell_row(c);
	}
}

const struct channel_history asterisk_cel = {
	.format = "cel",
	.columns = columns,
	.csv_order = csv_order,
	.time_column = "eventtime",
	.near = cel_near,
	.begin = cel_begin,
	.add = cel_add,
	.emit = cel_emit,
	.end = cel_end,
};
