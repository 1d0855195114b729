/* asterisk_cdr.c - Asterisk's call detail records as call events.
 *
 * A CDR is one stretch of a call: party A (channel) with party B (dstchannel, or nobody),
 * from start over answer to end. The stretches of one linked id (or, where that column is
 * not written, of one unique id) are the call. What they do not say is guessed the same
 * way always: the wait in a queue is from A's start; a stretch of a queue was answered
 * when its record says "answer", which is the menu's answer if there was one; who hung up
 * is not known. CEL tells far more.
 *
 * Columns: Asterisk's "CDR specification" and cdr.conf.sample (loguniqueid is needed,
 * newcdrcolumns helps); cdr_pgsql and cdr_adaptive_odbc name them alike. */
#include "asterisk_history.h"

#include <list.h>
#include <map.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum column {
	SRC,
	DST,
	CLID,
	CHANNEL,
	DSTCHANNEL,
	APP,
	DATA,
	START,
	ANSWER,
	END,
	DURATION,
	BILLSEC,
	DISPOSITION,
	UID,
	LINKED,
};

static const char *const columns[] = {
	[SRC] = "src",
	[DST] = "dst",
	[CLID] = "clid",
	[CHANNEL] = "channel",
	[DSTCHANNEL] = "dstchannel",
	[APP] = "lastapp",
	[DATA] = "lastdata",
	[START] = "start|calldate",
	[ANSWER] = "answer",
	[END] = "end",
	[DURATION] = "duration",
	[BILLSEC] = "billsec",
	[DISPOSITION] = "disposition",
	[UID] = "uniqueid",
	[LINKED] = "linkedid",
	NULL,
};

/* cdr_csv with loguniqueid (and loguserfield, newcdrcolumns). */
static const char *const csv_order[] = {"accountcode", "src", "dst", "dcontext", "clid",
	"channel", "dstchannel", "lastapp", "lastdata", "start", "answer", "end",
	"duration", "billsec", "disposition", "amaflags", "uniqueid", "userfield",
	"peeraccount", "linkedid", "sequence", NULL};

enum outcome {
	OUTCOME_NONE,
	OUTCOME_ANSWERED,
	OUTCOME_NO_ANSWER,
	OUTCOME_BUSY,
	OUTCOME_FAILED
};

/* A channel that was party A or B of any record. */
struct cdr_party {
	struct list link;
	char *key, *uid; /* name; unique id, or the name if no record has it as A */
	char endpoint[128];
	bool local, begun, left, outgoing;
	int64_t start_us, end_us;
	int cause;
};

struct cdr_record {
	int64_t start_us, answer_us, end_us;
	struct cdr_party *a, *b; /* b: NULL = nobody */
	enum outcome outcome;
	char *uid, *linked;
	bool linked_known; /* or it is its unique id, which a Local channel's is not */
	const char *src, *dst, *app, *data, *channel, *dstchannel;
	char display[128], number[128], bridge[40];
	size_t order;
	char texts[];
};

/* What happens at one moment. */
enum step { STEP_BEGIN, STEP_OFFER, STEP_ANSWER, STEP_OVER, STEP_HANGUP };
struct cdr_step {
	int64_t at_us;
	enum step step;
	size_t order;
	struct cdr_record *record;
	struct cdr_party *party; /* of BEGIN and HANGUP */
};

struct cdr {
	struct history_zone zone;
	struct cdr_record **records;
	size_t n, cap;
	struct map parties; /* by linked id and name */
	struct map halves;  /* the ;1 of a Local channel -> a record that has it as B */
	struct list all;
	struct cdr_step *steps;
	size_t n_steps, cap_steps;
};

/* ---- Collecting ---------------------------------------------------------------------- */

static void *
cdr_begin(void)
{
	struct cdr *c = xcalloc(1, sizeof(*c));

	map_init(&c->parties);
	map_init(&c->halves);
	list_init(&c->all);
	return c;
}

static void
cdr_end(void *state)
{
	struct cdr *c = state;

	for (size_t i = 0; i < c->n; i++)
		mem_free(c->records[i]);
	mem_free(c->records);
	mem_free(c->steps);
	list_for_each_safe (&c->all, it) {
		struct cdr_party *p = LIST_ENTRY(it, struct cdr_party, link);
		xfree(&p->key);
		xfree(&p->uid);
		mem_free(p);
	}
	map_fini(&c->parties);
	map_fini(&c->halves);
	mem_free(c);
}

static bool
cdr_near(const char *const *v, int64_t *us_r)
{
	return history_near(*v[END] ? v[END] : v[START], v[UID], us_r);
}

static struct cdr_party *
party_of(struct cdr *c, const char *name, const struct cdr_record *r)
{
	char *key = xasprintf("%s %s", r->linked, name);
	struct cdr_party *p = map_find(&c->parties, key);

	if (p) {
		xfree(&key);
		return p;
	}
	p = xcalloc(1, sizeof(*p));
	p->key = key;
	/* names come again after a restart of Asterisk, linked ids do not */
	p->uid = xasprintf("%s:%s", r->linked, name);
	p->local = str_starts(name, "Local/");
	history_endpoint(p->endpoint, sizeof(p->endpoint), name);
	list_append(&c->all, &p->link);
	map_put(&c->parties, p->key, p);
	return p;
}

static void
party_spans(struct cdr_party *p, const struct cdr_record *r)
{
	if (!p->start_us || r->start_us < p->start_us)
		p->start_us = r->start_us;
	if (r->end_us > p->end_us)
		p->end_us = r->end_us;
}

static int64_t
time_of(struct cdr *c, const char *text, const char *uid)
{
	int64_t us;
	bool local;

	if (!*text || !history_time(text, &us, &local))
		return 0;
	return local ? history_utc(&c->zone, us, uid) : us;
}

static enum outcome
outcome_of(const char *text)
{
	if (str_ieq(text, "ANSWERED"))
		return OUTCOME_ANSWERED;
	if (str_ieq(text, "NO ANSWER"))
		return OUTCOME_NO_ANSWER;
	if (str_ieq(text, "BUSY"))
		return OUTCOME_BUSY;
	return OUTCOME_FAILED;
}

static const char *
put(char **at, const char *s)
{
	size_t len = strlen(s);
	char *start = *at;

	memcpy(start, s, len + 1);
	*at += len + 1;
	return len ? start : NULL;
}

/* "\"Name\" <number>": the name. */
static void
take_display(char *dst, size_t cap, const char *clid)
{
	const char *end = *clid == '"' ? strrchr(clid, '"') : NULL;

	dst[0] = '\0';
	if (end > clid + 1)
		str_copy(dst, (size_t)(end - clid) < cap ? (size_t)(end - clid) : cap,
			clid + 1);
}

static struct cdr_record *
record_new(const char *const *v)
{
	static const enum column kept[] = {
		UID, LINKED, UID, SRC, DST, APP, DATA, CHANNEL, DSTCHANNEL};
	struct cdr_record *r;
	size_t room = 1;
	char *at;

	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		room += strlen(v[kept[i]]) + 1;
	r = xcalloc(1, sizeof(*r) + room);
	at = r->texts;
	r->uid = at;
	put(&at, v[UID]);
	r->linked = at;
	put(&at, *v[LINKED] ? v[LINKED] : v[UID]);
	r->src = put(&at, v[SRC]);
	r->dst = put(&at, v[DST]);
	r->app = put(&at, v[APP]);
	r->data = put(&at, v[DATA]);
	r->channel = put(&at, v[CHANNEL]);
	r->dstchannel = put(&at, v[DSTCHANNEL]);
	r->linked_known = *v[LINKED] || !str_starts(v[CHANNEL], "Local/");
	take_display(r->display, sizeof(r->display), v[CLID]);
	r->outcome = outcome_of(v[DISPOSITION]);
	return r;
}

static int64_t
seconds_of(const char *text)
{
	char whole[20];
	int64_t n;

	str_copy(whole, sizeof(whole), text);
	whole[strcspn(whole, ".")] = '\0';
	return str_int(whole, 0, 86400 * 30, &n) ? n * 1000000 : 0;
}

/* cdr_pgsql's old table has neither answer nor end: duration and billsec tell. */
static bool
take_times(struct cdr *c, struct cdr_record *r, const char *const *v)
{
	int64_t duration = seconds_of(v[DURATION]), talked = seconds_of(v[BILLSEC]);

	r->start_us = time_of(c, v[START], v[UID]);
	if (!r->start_us)
		return false;
	r->answer_us = time_of(c, v[ANSWER], v[UID]);
	r->end_us = time_of(c, v[END], v[UID]);
	if (!r->end_us)
		r->end_us = r->start_us + duration;
	if (!r->answer_us && r->outcome == OUTCOME_ANSWERED)
		r->answer_us = r->end_us - talked;
	if (r->end_us < r->start_us)
		r->end_us = r->start_us;
	if (r->answer_us < r->start_us)
		r->answer_us = r->start_us;
	return true;
}

static bool
cdr_add(void *state, const char *const *v)
{
	struct cdr *c = state;
	struct cdr_record *r;

	if (!*v[UID] || !*v[CHANNEL])
		return false;
	r = record_new(v);
	if (!take_times(c, r, v)) {
		mem_free(r);
		return false;
	}
	r->order = c->n;
	snprintf(r->bridge, sizeof(r->bridge), "cdr-%zu", c->n);
	if (r->dstchannel && str_starts(r->dstchannel, "Local/"))
		map_put(&c->halves, r->dstchannel, r);
	if (c->n == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 256;
		c->records = xrealloc(c->records, c->cap * sizeof(struct cdr_record *));
	}
	c->records[c->n++] = r;
	return true;
}

/* ---- Parties ------------------------------------------------------------------------- */

/* A Local channel's other half: the same name with the other digit. Caller frees. */
static char *
other_half(const char *name)
{
	size_t len = strlen(name);
	char *half;

	if (!str_starts(name, "Local/") || len < 2 || name[len - 2] != ';')
		return NULL;
	half = xstrdup(name);
	half[len - 1] = half[len - 1] == '1' ? '2' : '1';
	return half;
}

/* Without a linked id, the call of ;2 is the one that has ;1 as its party B. */
static void
find_linked(struct cdr *c, struct cdr_record *r)
{
	char *half = r->linked_known ? NULL : other_half(r->channel);
	const struct cdr_record *with = half ? map_find(&c->halves, half) : NULL;

	if (with && with != r) {
		r->linked = with->linked;
		r->linked_known = with->linked_known;
	}
	mem_free(half);
}

static void
take_parties(struct cdr *c, struct cdr_record *r)
{
	r->a = party_of(c, r->channel, r);
	xfree(&r->a->uid);
	r->a->uid = xstrdup(r->uid);
	party_spans(r->a, r);
	if (!r->dstchannel)
		return;
	r->b = party_of(c, r->dstchannel, r);
	party_spans(r->b, r);
}

/* ---- Steps --------------------------------------------------------------------------- */

static void
step_add(struct cdr *c, int64_t at_us, enum step step, struct cdr_record *r,
	struct cdr_party *party)
{
	if (c->n_steps == c->cap_steps) {
		c->cap_steps = c->cap_steps ? 2 * c->cap_steps : 1024;
		c->steps = xrealloc(c->steps, c->cap_steps * sizeof(struct cdr_step));
	}
	c->steps[c->n_steps] = (struct cdr_step){at_us, step, c->n_steps, r, party};
	c->n_steps++;
}

/* At one moment: what begins before what is over, A before B. */
static int
by_time(const void *a, const void *b)
{
	const struct cdr_step *x = a, *y = b;

	if (x->at_us != y->at_us)
		return x->at_us < y->at_us ? -1 : 1;
	if (x->step != y->step)
		return x->step < y->step ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static void
plan(struct cdr *c)
{
	for (size_t i = 0; i < c->n; i++)
		find_linked(c, c->records[i]);
	for (size_t i = 0; i < c->n; i++)
		if (c->records[i]->linked_known)
			take_parties(c, c->records[i]);
	for (size_t i = 0; i < c->n; i++) {
		struct cdr_record *r = c->records[i];
		if (!r->a) /* of a Local channel that nobody dialled that we know */
			continue;
		bool answered = r->outcome == OUTCOME_ANSWERED;
		step_add(c, r->a->start_us, STEP_BEGIN, r, r->a);
		if (r->b)
			step_add(c, r->start_us, STEP_OFFER, r, r->b);
		if (answered)
			step_add(c, r->answer_us, STEP_ANSWER, r, NULL);
		step_add(c, r->end_us, STEP_OVER, r, NULL);
		step_add(c, r->a->end_us, STEP_HANGUP, r, r->a);
		if (r->b)
			step_add(c, r->b->end_us, STEP_HANGUP, r, r->b);
	}
	if (c->n_steps)
		qsort(c->steps, c->n_steps, sizeof(*c->steps), by_time);
}

/* ---- Telling ------------------------------------------------------------------------- */

struct telling {
	struct cdr *cdr;
	call_event_fn *fn;
	void *arg;
	const struct cdr_step *step;
};

static struct call_event
event(const struct telling *t, enum call_event_type type, const struct cdr_party *p)
{
	struct call_event ev = {.type = type, .at_us = t->step->at_us};

	ev.uid = p->uid;
	ev.linked = t->step->record->linked;
	ev.name = strchr(p->key, ' ') + 1;
	ev.endpoint = p->endpoint;
	ev.flags = p->local ? CALL_LOCAL : 0;
	return ev;
}

static void
tell(const struct telling *t, const struct call_event *ev)
{
	t->fn(t->arg, ev);
}

static void
set_other(struct call_event *ev, const struct cdr_party *other)
{
	ev->other_uid = other->uid;
	ev->other_linked = ev->linked;
	ev->other_endpoint = other->endpoint;
	if (other->local)
		ev->flags |= CALL_OTHER_LOCAL;
}

/* Once both halves of a Local channel are there. */
static void
tell_local(const struct telling *t, const struct cdr_party *p)
{
	char *half = other_half(strchr(p->key, ' ') + 1);
	char *key = half ? xasprintf("%s %s", t->step->record->linked, half) : NULL;
	const struct cdr_party *other = key ? map_find(&t->cdr->parties, key) : NULL;

	if (other && other->begun) {
		struct call_event ev = event(t, CALL_LOCAL_BRIDGE, p);
		set_other(&ev, other);
		tell(t, &ev);
	}
	mem_free(key);
	mem_free(half);
}

static void
tell_voicemail(const struct telling *t, const struct cdr_record *r)
{
	struct call_event ev = event(t, CALL_VOICEMAIL, r->a);
	char box[80];

	history_word(box, sizeof(box), r->data ? r->data : "voicemail");
	ev.exten = box;
	tell(t, &ev);
}

static void
on_begin(const struct telling *t, struct cdr_party *p)
{
	const struct cdr_record *r = t->step->record;
	struct call_event ev = event(t, CALL_CHANNEL_NEW, p);
	char queue[80];

	if (p->begun)
		return;
	p->begun = true;
	ev.state = p->outgoing ? CALL_STATE_DOWN : CALL_STATE_RING;
	if (p == r->a) {
		ev.caller_number = r->src;
		ev.caller_name = history_text(r->display);
		if (r->dst && strpbrk(r->dst, "0123456789"))
			ev.exten = r->dst;
	}
	tell(t, &ev);
	if (p->local)
		tell_local(t, p);
	if (p != r->a || !str_ieq(r->app, "Queue") || !r->data)
		return;
	ev = event(t, CALL_QUEUE_JOIN, p);
	history_word(queue, sizeof(queue), r->data);
	ev.queue = history_text(queue);
	if (ev.queue)
		tell(t, &ev);
}

static void
on_offer(const struct telling *t)
{
	struct cdr_record *r = t->step->record;
	struct call_event ev;
	char number[128], queue[80];

	r->b->outgoing = true;
	if (!r->b->begun)
		on_begin(t, r->b);
	ev = event(t, CALL_DIAL_BEGIN, r->a);
	history_dialled(number, sizeof(number), r->data ? r->data : "", r->b->endpoint);
	set_other(&ev, r->b);
	ev.dial_string = number[0] ? number : r->dst;
	ev.caller_number = r->src;
	tell(t, &ev);
	if (!str_ieq(r->app, "Queue") || !r->data)
		return;
	ev = event(t, CALL_QUEUE_OFFER, r->a);
	history_word(queue, sizeof(queue), r->data);
	set_other(&ev, r->b);
	ev.queue = history_text(queue);
	ev.interface = r->b->endpoint;
	tell(t, &ev);
}

static void
on_answer(const struct telling *t)
{
	struct cdr_record *r = t->step->record;
	struct call_event ev;

	ev = event(t, CALL_CHANNEL_STATE, r->a);
	ev.state = CALL_STATE_UP;
	tell(t, &ev);
	if (str_ieq(r->app, "VoiceMail"))
		tell_voicemail(t, r);
	if (!r->b)
		return;
	ev = event(t, CALL_CHANNEL_STATE, r->b);
	ev.state = CALL_STATE_UP;
	tell(t, &ev);
	ev = event(t, CALL_DIAL_END, r->a);
	set_other(&ev, r->b);
	ev.result = CALL_RESULT_ANSWER;
	tell(t, &ev);
	if (str_ieq(r->app, "Queue")) {
		ev = event(t, CALL_QUEUE_LEAVE, r->a);
		tell(t, &ev);
	}
	ev = event(t, CALL_BRIDGE_ENTER, r->a);
	ev.bridge = r->bridge;
	tell(t, &ev);
	ev = event(t, CALL_BRIDGE_ENTER, r->b);
	ev.bridge = r->bridge;
	tell(t, &ev);
}

static void
on_over(const struct telling *t)
{
	static const enum call_result results[] = {
		[OUTCOME_NO_ANSWER] = CALL_RESULT_NO_ANSWER,
		[OUTCOME_BUSY] = CALL_RESULT_BUSY,
		[OUTCOME_FAILED] = CALL_RESULT_CONGESTION};
	struct cdr_record *r = t->step->record;
	struct call_event ev;

	if (!r->b)
		return;
	if (r->outcome != OUTCOME_ANSWERED) {
		r->b->cause = r->outcome == OUTCOME_BUSY ? 17 : 0;
		ev = event(t, CALL_DIAL_END, r->a);
		set_other(&ev, r->b);
		ev.result = results[r->outcome];
		tell(t, &ev);
		return;
	}
	ev = event(t, CALL_BRIDGE_LEAVE, r->b);
	ev.bridge = r->bridge;
	tell(t, &ev);
	ev = event(t, CALL_BRIDGE_LEAVE, r->a);
	ev.bridge = r->bridge;
	tell(t, &ev);
}

static void
on_hangup(const struct telling *t)
{
	struct cdr_party *p = t->step->party;
	struct call_event ev = event(t, CALL_CHANNEL_HANGUP, p);

	if (p->left)
		return;
	p->left = true;
	ev.cause = p->cause ? p->cause : 16;
	tell(t, &ev);
}

static void
cdr_emit(void *state, call_event_fn *fn, void *arg)
{
	struct cdr *c = state;
	struct telling t = {c, fn, arg, NULL};

	plan(c);
	for (size_t i = 0; i < c->n_steps; i++) {
		t.step = &c->steps[i];
		switch (t.step->step) {
		case STEP_BEGIN: on_begin(&t, t.step->party); break;
		case STEP_OFFER: on_offer(&t); break;
		case STEP_ANSWER: on_answer(&t); break;
		case STEP_OVER: on_over(&t); break;
		case STEP_HANGUP: on_hangup(&t); break;
		}
	}
}

const struct channel_history asterisk_cdr = {
	.format = "cdr",
	.columns = columns,
	.csv_order = csv_order,
	.time_column = "end|start|calldate",
	.near = cdr_near,
	.begin = cdr_begin,
	.add = cdr_add,
	.emit = cdr_emit,
	.end = cdr_end,
};
