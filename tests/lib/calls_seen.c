/* calls_seen.c - see calls_seen.h. */
#include "calls_seen.h"

#include <mem.h>
#include <str.h>

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seen seen;

static void PRINTF_LIKE(2, 3) complain(struct seen *s, const char *fmt, ...)
{
	va_list ap;

	if (s->errors++)
		return;
	va_start(ap, fmt);
	vsnprintf(s->error, sizeof(s->error), fmt, ap);
	va_end(ap);
}

static struct seen_call *
find_call(struct seen *s, const struct uuid *id)
{
	for (unsigned i = s->n_calls; i-- > 0;)
		if (uuid_eq(&s->calls[i].id, id))
			return &s->calls[i];
	return NULL;
}

static struct seen_pop *
find_pop(struct seen *s, const struct uuid *id)
{
	for (unsigned i = s->n_pops; i-- > 0;)
		if (uuid_eq(&s->pops[i].id, id))
			return &s->pops[i];
	return NULL;
}

static void
take_legs(struct seen_call *sc, const struct call *c)
{
	sc->n_legs = 0;
	list_for_each (&c->legs, it) {
		const struct call_leg *leg = LIST_ENTRY(it, struct call_leg, link);
		struct seen_leg *sl = &sc->legs[sc->n_legs];
		if (sc->n_legs++ >= 63)
			break;
		memset(sl, 0, sizeof(*sl));
		sl->type = leg->type;
		sl->at_us = leg->at_us;
		sl->answered_us = leg->answered_us;
		sl->ended_us = leg->ended_us;
		sl->result = leg->result;
		str_copy(sl->agent, sizeof(sl->agent), leg->agent ? leg->agent : "");
		str_copy(sl->queue, sizeof(sl->queue), leg->queue ? leg->queue : "");
	}
}

static void
take_texts(struct seen_call *sc, const struct call *c)
{
	struct buf b = BUF_INIT;
	const struct {
		char *dst;
		size_t cap;
		const char *src;
	} texts[] = {
		{sc->number, sizeof(sc->number), c->number},
		{sc->display, sizeof(sc->display), c->display},
		{sc->local, sizeof(sc->local), c->local},
		{sc->queue, sizeof(sc->queue), c->queue},
		{sc->agent, sizeof(sc->agent), c->agent},
		{sc->language, sizeof(sc->language), c->language},
		{sc->voicemail, sizeof(sc->voicemail), c->voicemail},
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		str_copy(texts[i].dst, texts[i].cap, texts[i].src ? texts[i].src : "");
	for (unsigned i = 0; i < c->n_vars; i++)
		buf_printf(&b, "%s=%s;", c->vars[i].name, c->vars[i].value);
	str_copy(sc->vars, sizeof(sc->vars), buf_str(&b));
	buf_clear(&b);
	for (unsigned i = 0; i < c->n_recordings; i++)
		buf_printf(&b, "%s;", c->recordings[i]);
	str_copy(sc->recordings, sizeof(sc->recordings), buf_str(&b));
	buf_fini(&b);
}

static void
take(struct seen_call *sc, const struct call *c)
{
	sc->id = c->id;
	sc->direction = c->direction;
	sc->phase = c->phase;
	sc->disposition = c->disposition;
	sc->withheld = c->withheld;
	sc->recovered = c->recovered;
	sc->at_us = c->at_us;
	sc->ended_us = c->ended_us;
	sc->wait_ms = c->wait_ms;
	sc->talk_ms = c->talk_ms;
	sc->hold_ms = c->hold_ms;
	take_texts(sc, c);
	take_legs(sc, c);
}

static void
on_begun(void *arg, struct call *c)
{
	struct seen *s = arg;

	s->told++;
	if (find_call(s, &c->id))
		complain(s, "a call began twice");
	if (s->n_calls < SEEN_MAX)
		take(&s->calls[s->n_calls++], c);
	else
		complain(s, "too many calls");
	c->user = s;
}

static void
on_changed(void *arg, struct call *c)
{
	struct seen *s = arg;
	struct seen_call *sc = find_call(s, &c->id);

	s->told++;
	if (!sc || sc->ended || c->phase == CALL_PHASE_ENDED)
		complain(s, "change of a call not alive");
	else
		take(sc, c);
}

static void
check_closed(struct seen *s, const struct call *c)
{
	for (unsigned i = 0; i < s->n_pops; i++)
		if (s->pops[i].open && uuid_eq(&s->pops[i].call, &c->id))
			complain(s, "a pop of %s outlives its call", s->pops[i].agent);
}

static void
on_ended(void *arg, struct call *c)
{
	struct seen *s = arg;
	struct seen_call *sc = find_call(s, &c->id);

	s->told++;
	check_closed(s, c);
	if (!sc || sc->ended)
		complain(s, "a call ended twice, or never began");
	if (!sc)
		return;
	take(sc, c);
	sc->ended = true;
	if (c->disposition == CALL_DISP_NONE || c->phase != CALL_PHASE_ENDED ||
		c->ended_us < c->at_us || c->talk_ms < 0 || c->wait_ms < 0)
		complain(s, "a call's ending makes no sense");
}

static void
on_absorbed(void *arg, struct call *gone, struct call *into)
{
	struct seen *s = arg;
	struct seen_call *sc = find_call(s, &gone->id);

	s->told++;
	check_closed(s, gone);
	if (!sc || sc->ended || !find_call(s, &into->id))
		complain(s, "absorbed: a call not alive");
	if (!sc)
		return;
	sc->ended = sc->absorbed = true;
	sc->absorbed_by = into->id;
}

static void
on_corrected(void *arg, struct call *c)
{
	struct seen *s = arg;
	struct seen_call *sc = find_call(s, &c->id);

	if (!sc || !sc->ended || c->user)
		complain(s, "corrected: a call that had not ended");
	if (!sc)
		return;
	take(sc, c);
	sc->corrected = true;
}

static const char *const states[] = {"ringing", "talking", "held", "ended"};

static void
add_state(struct seen *s, struct seen_pop *p, enum leg_state state)
{
	size_t len = strlen(p->states);

	if (state == LEG_ENDED)
		return;
	if (len && p->state == state) {
		complain(s, "%s told twice", states[state]);
		return;
	}
	p->state = state;
	snprintf(p->states + len, sizeof(p->states) - len, "%s%s", len ? " " : "",
		states[state]);
}

static struct seen_pop *
new_pop(struct seen *s, const struct call *c, const struct call_leg *leg)
{
	struct seen_pop *p;
	const struct seen_call *call = find_call(s, &c->id);

	if (!call || call->ended)
		complain(s, "a leg of a call not alive");
	if (find_pop(s, &leg->id))
		complain(s, "a pop opened twice");
	if (s->n_pops == SEEN_MAX) {
		complain(s, "too many pops");
		return NULL;
	}
	p = &s->pops[s->n_pops++];
	memset(p, 0, sizeof(*p));
	p->id = leg->id;
	p->call = c->id;
	p->open = true;
	p->at_us = leg->at_us;
	str_copy(p->agent, sizeof(p->agent), leg->agent ? leg->agent : "");
	str_copy(p->queue, sizeof(p->queue), leg->queue ? leg->queue : "");
	return p;
}

static void
close_pop(struct seen *s, struct seen_pop *p, const struct call_leg *leg)
{
	if (!p->open || leg->state != LEG_ENDED || leg->result == CALL_REASON_NONE ||
		!leg->ended_us || leg->ended_us < leg->at_us)
		complain(s, "a pop's close makes no sense");
	p->open = false;
	p->reason = leg->result;
	p->ended_us = leg->ended_us;
	p->answered_us = leg->answered_us;
}

static void
on_leg_begun(void *arg, struct call *c, struct call_leg *leg)
{
	struct seen *s = arg;
	struct seen_pop *p = new_pop(s, c, leg);

	s->told++;
	if (!leg->agent || !leg->pop)
		complain(s, "a pop without an agent");
	if (p)
		add_state(s, p, leg->state == LEG_ENDED ? LEG_RINGING : leg->state);
}

static void
on_leg_changed(void *arg, struct call *c, struct call_leg *leg)
{
	struct seen *s = arg;
	struct seen_pop *p = find_pop(s, &leg->id);

	(void)c;
	s->told++;
	if (!p || !p->open)
		complain(s, "change of a pop not open");
	else if (p->state != leg->state)
		add_state(s, p, leg->state);
}

static void
on_leg_ended(void *arg, struct call *c, struct call_leg *leg)
{
	struct seen *s = arg;
	struct seen_pop *p = find_pop(s, &leg->id);

	(void)c;
	s->told++;
	if (!p)
		complain(s, "close of a pop never opened");
	else
		close_pop(s, p, leg);
}

static void
on_queue_changed(void *arg, struct call *c, struct call_leg *leg)
{
	struct seen *s = arg;
	struct seen_pop *p = find_pop(s, &leg->id);

	s->told++;
	if (!p && leg->state == LEG_ENDED)
		complain(s, "a queue pop closed that never opened");
	if (!p && (p = new_pop(s, c, leg)))
		str_copy(p->states, sizeof(p->states), "waiting");
	if (p && leg->state == LEG_ENDED)
		close_pop(s, p, leg);
}

static void
on_missed(void *arg, struct call *c, enum tracker_missed what)
{
	struct seen *s = arg;
	struct seen_call *call = find_call(s, &c->id);

	s->told++;
	if (!call)
		complain(s, "something missed of a call not begun");
	else if (call->ended)
		complain(s, "something missed of a call told ended");
	else if (call->missed & 1u << what)
		complain(s, "the same missed twice");
	else
		call->missed |= 1u << what;
}

static void
on_compared(void *arg, const struct tracker_compared *cmp)
{
	struct seen *s = arg;

	s->n_compared++;
	s->compared = *cmp;
}

const struct tracker_observer seen_observer = {on_begun, on_changed, on_ended,
	on_absorbed, on_leg_begun, on_leg_changed, on_leg_ended, on_queue_changed,
	on_corrected, on_missed, on_compared};

const struct phone_conf *
seen_phone_conf(void)
{
	static struct phone_conf conf;
	int rc = 0;

	if (conf.trunks.text)
		return &conf;
	rc |= regcomp(&conf.trunks.re, "^PJSIP/trunk", REG_EXTENDED);
	rc |= regcomp(&conf.agents.re, "^PJSIP/(100[1-6])$", REG_EXTENDED);
	assert(rc == 0);
	conf.trunks.text = (char *)(uintptr_t) "^PJSIP/trunk";
	conf.agents.text = (char *)(uintptr_t) "^PJSIP/(100[1-6])$";
	return &conf;
}

struct tracker *
seen_tracker(struct seen *s)
{
	struct tracker_opts opts = {.tenant = "default",
		.channel = "pbx-main",
		.conf = seen_phone_conf(),
		.observer = &seen_observer,
		.observer_arg = s};

	memset(s, 0, sizeof(*s));
	return tracker_new(&opts);
}

static void
print_call(struct buf *out, const struct seen_call *c, int64_t zero_us)
{
	buf_printf(out,
		"call %s number=%s%s display=%s local=%s queue=%s agent=%s lang=%s "
		"phase=%s disp=%s at=%" PRId64 " end=%" PRId64 " wait=%" PRId64
		" talk=%" PRId64 " hold=%" PRId64 "\n  vars=%s rec=%s vm=%s%s%s\n",
		c->direction == CALL_IN ? "in" : "out", c->number,
		c->withheld ? " withheld" : "", c->display, c->local, c->queue,
		c->agent, c->language, call_phase_text(c->phase),
		c->disposition ? call_disposition_text(c->disposition) : "-",
		(c->at_us - zero_us) / 1000,
		c->ended_us ? (c->ended_us - zero_us) / 1000 : 0, c->wait_ms,
		c->talk_ms, c->hold_ms, c->vars, c->recordings, c->voicemail,
		c->absorbed ? " absorbed" : "", c->corrected ? " corrected" : "");
	for (unsigned i = 0; i < c->n_legs && i < 64; i++) {
		const struct seen_leg *l = &c->legs[i];
		buf_printf(out,
			"  leg %s %s %s at=%" PRId64 " ans=%" PRId64 " end=%" PRId64
			" %s\n",
			leg_type_text(l->type), l->agent, l->queue,
			(l->at_us - zero_us) / 1000,
			l->answered_us ? (l->answered_us - zero_us) / 1000 : 0,
			l->ended_us ? (l->ended_us - zero_us) / 1000 : 0,
			l->result ? call_reason_text(l->result) : "-");
	}
}

void
seen_print(struct buf *out, const struct seen *s)
{
	int64_t zero_us = s->n_calls ? s->calls[0].at_us : 0;

	for (unsigned i = 0; i < s->n_calls; i++) {
		const struct seen_call *c = &s->calls[i];
		print_call(out, c, zero_us);
		for (unsigned p = 0; p < s->n_pops; p++)
			if (uuid_eq(&s->pops[p].call, &c->id))
				buf_printf(out, "  pop %s: %s -> %s\n",
					*s->pops[p].agent ? s->pops[p].agent
							  : s->pops[p].queue,
					s->pops[p].states,
					s->pops[p].open
						? "(open)"
						: call_reason_text(s->pops[p].reason));
	}
	if (s->errors)
		buf_printf(out, "ERRORS %u: %s\n", s->errors, s->error);
}

unsigned
seen_count_open(const struct seen *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_pops; i++)
		n += s->pops[i].open;
	return n;
}

const struct seen_call *
seen_find(const struct seen *s, const char *number)
{
	for (unsigned i = 0; i < s->n_calls; i++)
		if (strcmp(s->calls[i].number, number) == 0)
			return &s->calls[i];
	return NULL;
}
