/* tracker_leg.c - what each agent has to do with a call: when that begins, and how it ends.
 *
 * A leg begins when a phone is offered the customer (dialled on the customer's behalf,
 * directly or through Local channels, or ringing with the customer's number), or when its
 * channel finds itself connected with the customer; a consultation is neither, so it opens
 * nothing until the customer arrives. Two phones of one agent are one leg.
 *
 * A leg's end may have to wait for its reason: an unanswered one until its channel has
 * hung up (the hangup's cause says more than the end of the dialling), an answered one to
 * see whether the customer goes too or was transferred; neither longer than
 * REASON_WAIT_US. */
#include <calls/tracker_priv.h>

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

struct tleg *
leg_of(struct list *link)
{
	return LIST_ENTRY(LIST_ENTRY(link, struct call_leg, link), struct tleg, pub);
}

/* ---- Beginning --------------------------------------------------------------------- */

/* n-th leg of this channel in this call: part of the leg's id. */
static unsigned
count_legs(const struct tcall *call, const char *uid)
{
	unsigned n = 0;

	list_for_each (&call->pub.legs, it)
		n += str_eq(leg_of(it)->pub.uid, uid);
	return n;
}

struct tleg *
leg_new(struct tracker *t, struct tcall *call, enum leg_type type, const char *uid,
	int64_t at_us)
{
	struct tleg *leg;
	char *what;

	if (call->pub.n_legs >= LEGS_MAX) {
		t->stats.overflowed++;
		return NULL;
	}
	leg = xcalloc(1, sizeof(*leg));
	list_init(&leg->chans);
	leg->call = call;
	leg->pub.type = type;
	leg->pub.state = LEG_RINGING;
	leg->pub.uid = xstrdup(uid);
	leg->pub.at_us = at_us ? at_us : t->now_us;
	what = xasprintf("/%s/%u", uid, count_legs(call, uid));
	leg->pub.id = call_derive_id(t, call, what);
	xfree(&what);
	list_append(&call->pub.legs, &leg->pub.link);
	call->pub.n_legs++;
	leg->changed = call->changed = true;
	return leg;
}

static void
attach(struct tleg *leg, struct chan *c)
{
	list_append(&leg->chans, &c->leg_link);
	c->leg = leg;
}

/* The queue that offers the call: noted on the phone's channel, or on the Local half that
 * stands for it. */
static const char *
offering_queue(struct tracker *t, const struct chan *c)
{
	for (int depth = 0; c && depth < 8; depth++) {
		if (c->offer_queue)
			return c->offer_queue;
		c = chan_by_key(t, c->dialer);
		c = c && c->side == SIDE_LOCAL ? chan_by_key(t, c->partner) : NULL;
	}
	return NULL;
}

/* The agent's open leg that rings on another phone of theirs. */
static struct tleg *
find_ringing(struct tcall *call, const char *agent)
{
	list_for_each (&call->pub.legs, it) {
		struct tleg *leg = leg_of(it);
		if (agent && leg->pub.state != LEG_ENDED &&
			leg->pub.type != LEG_QUEUE && str_eq(leg->pub.agent, agent) &&
			!leg->outgoing)
			return leg;
	}
	return NULL;
}

static void
open_leg(struct tracker *t, struct tcall *call, struct chan *c, enum leg_type type,
	int64_t at_us)
{
	struct tleg *leg = find_ringing(call, c->agent);

	if (!leg) {
		leg = leg_new(t, call, type, c->plain_uid, at_us);
		if (!leg)
			return;
		leg->pub.agent = xstrdup(c->agent);
		leg->pub.interface = xstrdup(c->endpoint);
		leg->pub.queue = xstrdup(offering_queue(t, c));
		leg->pub.pop = c->agent != NULL;
		leg->outgoing = c == call->root;
	}
	attach(leg, c);
}

void
leg_take_agent(struct chan *c)
{
	struct tleg *leg = c->leg;

	if (!leg || leg->pub.agent || leg->pub.type == LEG_QUEUE ||
		leg->pub.state == LEG_ENDED || find_ringing(leg->call, c->agent))
		return;
	leg->pub.agent = xstrdup(c->agent);
	leg->pub.pop = true;
	leg->changed = leg->call->changed = true;
	if (leg->pub.answered_us)
		call_set_text(leg->call, &leg->call->pub.agent, c->agent);
}

bool
leg_is_offered(struct tracker *t, const struct tcall *call, const struct chan *c)
{
	const struct chan *at = c;

	for (int depth = 0; depth < 8; depth++) {
		const struct chan *d = chan_by_key(t, at->dialer);
		if (!d)
			break;
		if (d == call->customer || d->side == SIDE_OUTSIDE)
			return true;
		if (d->side != SIDE_LOCAL)
			return false;
		at = chan_by_key(t, d->partner);
		if (!at)
			return false;
	}
	/* Ringing came before its dialling: the display tells whom it is for. */
	return at == c && !c->dialled && call->customer && call->customer->number &&
	       str_eq(c->connected, call->customer->number);
}

/* Another outside party, to whom the call is passed on: a mobile in a ring group, a
 * transfer outwards. Of an outgoing call it may be just the next trunk tried. */
static bool
is_third_party(const struct tcall *call, const struct chan *c)
{
	return c->side == SIDE_OUTSIDE && c->outgoing &&
	       (call->pub.direction == CALL_IN || call->pub.answered_us);
}

static void
open_for(struct tracker *t, struct tcall *call, struct chan *c)
{
	bool third = is_third_party(call, c);
	bool ringing = c->dialled || c->state == CALL_STATE_RINGING;

	if (c->leg && c->leg->call != call && meter_is_connected(t, c))
		leg_force(t, c, CALL_REASON_TRANSFERRED);
	if (c->leg || c->leg_done || c->gone || c == call->customer ||
		(c->side != SIDE_AGENT && c->side != SIDE_INSIDE && !third))
		return;
	if (c == call->root && c->side == SIDE_AGENT)
		open_leg(t, call, c, LEG_RING,
			c->offered_us > call->pub.at_us ? c->offered_us
							: call->pub.at_us);
	else if (ringing && c->dial_result == CALL_RESULT_NONE &&
		 leg_is_offered(t, call, c))
		open_leg(t, call, c, third ? LEG_TRANSFER : LEG_RING, c->offered_us);
	else if (c->state == CALL_STATE_UP && meter_is_connected(t, c))
		open_leg(t, call, c, third ? LEG_TRANSFER : LEG_TALK, t->now_us);
}

/* A phone that rings because we asked for it shows nothing before its agent took the call,
 * or is known not to: the customer's phone does not ring yet. */
static bool
phone_is_decided(const struct tcall *call)
{
	const struct chan *c = call->root;

	return !call->group->originate_outside || c->state == CALL_STATE_UP ||
	       (c->dial_result != CALL_RESULT_NONE &&
		       str_eq(c->uid, call->group->linked));
}

void
legs_open(struct tracker *t, struct tcall *call)
{
	if (!call->customer || call->customer->gone) {
		if (call->root && !call->customer && phone_is_decided(call))
			open_for(t, call, call->root);
		return;
	}
	list_for_each (&call->group->chans, it)
		open_for(t, call, LIST_ENTRY(it, struct chan, group_link));
	if (call->root && call->root->group != call->group)
		open_for(t, call, call->root);
}

/* ---- Reasons ------------------------------------------------------------------------ */

/* What a hangup cause (ITU-T Q.850 §2.2.7) says of a phone that did not answer. */
static enum call_reason
reason_of_cause(int cause)
{
	switch (cause) {
	case 26: return CALL_REASON_ANSWERED_ELSEWHERE; /* non-selected user clearing */
	case 17: return CALL_REASON_BUSY;
	case 23: return CALL_REASON_BUSY; /* redirected to a new destination */
	case 21: return CALL_REASON_REJECTED;
	case 18:
	case 19: return CALL_REASON_NO_ANSWER;
	case 1:
	case 2:
	case 3:
	case 20:
	case 22:
	case 27:
	case 28:
	case 34:
	case 38:
	case 41:
	case 42: return CALL_REASON_UNREACHABLE;
	default: return CALL_REASON_NONE;
	}
}

static enum call_reason
reason_of_result(enum call_result result)
{
	switch (result) {
	case CALL_RESULT_BUSY:
	case CALL_RESULT_FORWARDED: return CALL_REASON_BUSY;
	case CALL_RESULT_REJECTED: return CALL_REASON_REJECTED;
	case CALL_RESULT_CONGESTION:
	case CALL_RESULT_UNAVAILABLE: return CALL_REASON_UNREACHABLE;
	default: return CALL_REASON_NONE;
	}
}

/* The queue gave the call up while the caller stayed. */
static bool
queue_gave_up(const struct tcall *call, const struct tleg *leg)
{
	const struct chan *c = call->customer;

	return leg->pub.queue && c && c->queue_abandoned &&
	       c->queue_result == CALL_RESULT_NO_ANSWER;
}

/* The phone may have been answered, and done with it, while nobody listened. */
static bool
is_unheard(const struct tleg *leg)
{
	list_for_each (&leg->chans, it)
		if (LIST_ENTRY(it, struct chan, leg_link)->unheard)
			return true;
	return false;
}

/* Why an unanswered leg is over; NONE while that is not clear. `last`: the time to wait
 * for a better reason is over. */
static enum call_reason
ring_reason(const struct tcall *call, const struct tleg *leg, bool hung_up, bool last)
{
	enum call_reason by_cause = reason_of_cause(leg->cause);
	enum call_reason by_result = reason_of_result(leg->result);

	if (leg->lost || leg->shutdown || call->shutdown || is_unheard(leg))
		return CALL_REASON_INTERRUPTED;
	if (leg->outgoing)
		return last ? end_outgoing_reason(call) : CALL_REASON_NONE;
	if (by_result == CALL_REASON_BUSY && by_cause == CALL_REASON_REJECTED)
		return by_cause;
	if (by_result != CALL_REASON_NONE)
		return by_result;
	if (by_cause != CALL_REASON_NONE && hung_up)
		return by_cause;
	if (leg->no_answer || leg->result == CALL_RESULT_NO_ANSWER)
		return hung_up || last ? CALL_REASON_NO_ANSWER : CALL_REASON_NONE;
	if (call->last_answer_us && call->last_answer_us >= leg->pub.at_us)
		return CALL_REASON_ANSWERED_ELSEWHERE;
	if (call->far_hangup || !call->customer || call->customer->gone)
		return CALL_REASON_CALLER_HANGUP;
	if (!last)
		return CALL_REASON_NONE;
	return queue_gave_up(call, leg) ? CALL_REASON_NO_ANSWER
					: CALL_REASON_REASSIGNED;
}

/* Collects from its channels what the leg must know when they are gone. */
static void
take_facts(struct tracker *t, struct tleg *leg, const struct chan *c)
{
	leg->shutdown |= c->shutdown;
	leg->lost |= c->vanished;
	leg->no_answer |= c->no_answer;
	if (c->request_cause)
		leg->cause = c->request_cause;
	if (c->gone && c->cause)
		leg->cause = c->cause;
	if (leg->result == CALL_RESULT_NONE)
		leg->result = c->dial_result;
	/* What the queue said of a Local member holds for the phone behind it. */
	const struct chan *d = chan_by_key(t, c->dialer);
	if (d && d->side == SIDE_LOCAL && (d = chan_by_key(t, d->partner)))
		leg->no_answer |= d->no_answer;
}

/* ---- Ends --------------------------------------------------------------------------- */

static void
detach_all(struct tleg *leg)
{
	if (leg->waiter)
		leg->waiter->queue_leg = NULL;
	leg->waiter = NULL;
	while (!list_is_empty(&leg->chans)) {
		struct chan *c = LIST_ENTRY(leg->chans.next, struct chan, leg_link);
		list_remove(&c->leg_link);
		c->leg = NULL;
		c->leg_done = true;
	}
}

void
leg_end(struct tracker *t, struct tcall *call, struct tleg *leg,
	enum call_reason reason, int64_t at_us)
{
	if (leg->pub.state == LEG_ENDED)
		return;
	meter_leg(t, leg, METER_NONE, at_us);
	leg->pub.state = LEG_ENDED;
	leg->pub.result = reason;
	leg->pub.ended_us = at_us < leg->pub.at_us ? leg->pub.at_us : at_us;
	leg->due_us = 0;
	leg->changed = call->changed = true;
	detach_all(leg);
}

/* Something said outright how this leg ends. */
void
leg_force(struct tracker *t, struct chan *c, enum call_reason reason)
{
	struct tleg *leg = c->leg;

	c->leg_done = true;
	if (!leg)
		return;
	tracker_touch(t, leg->call->group);
	leg_end(t, leg->call, leg, reason, t->now_us);
	if (reason == CALL_REASON_ANSWERED_ELSEWHERE)
		c->leg_done = false; /* it may be another's channel from now on */
}

static void
answer(struct tracker *t, struct tcall *call, struct tleg *leg, const struct chan *c)
{
	int64_t at_us = c->answered_us ? c->answered_us : t->now_us;

	if (at_us < leg->pub.at_us)
		at_us = leg->pub.at_us; /* up before, in a consultation */
	leg->pub.answered_us = at_us;
	leg->pub.state = LEG_TALKING;
	leg->changed = call->changed = true;
	leg->off_us = 0;
	if (strcmp(c->plain_uid, leg->pub.uid) != 0) {
		chan_set(&leg->pub.uid, c->plain_uid);
		chan_set(&leg->pub.interface, c->endpoint);
	}
	call->last_answer_us = at_us;
	if (!call->pub.answered_us)
		call->pub.answered_us = at_us;
	if (leg->pub.agent)
		call_set_text(call, &call->pub.agent, leg->pub.agent);
}

/* Its phone had been answered, though nobody heard that: it is up. */
static struct chan *
found_up(const struct tleg *leg)
{
	list_for_each (&leg->chans, it) {
		struct chan *c = LIST_ENTRY(it, struct chan, leg_link);
		if (c->was_unheard && c->state == CALL_STATE_UP &&
			c->dial_result == CALL_RESULT_NONE)
			return c;
	}
	return NULL;
}

/* The call is over: so is what any agent had to do with it. */
void
legs_end_all(struct tracker *t, struct tcall *call, int64_t at_us)
{
	list_for_each (&call->pub.legs, it) {
		struct tleg *leg = leg_of(it);
		enum call_reason reason = CALL_REASON_COMPLETED;
		if (leg->pub.state == LEG_ENDED || leg->pub.type == LEG_QUEUE ||
			leg->pub.type == LEG_PARK)
			continue;
		list_for_each (&leg->chans, c)
			take_facts(t, leg, LIST_ENTRY(c, struct chan, leg_link));
		if (!leg->pub.answered_us && !leg->outgoing && found_up(leg))
			answer(t, call, leg, found_up(leg));
		if (call->lost || call->shutdown || leg->lost || leg->shutdown)
			reason = CALL_REASON_INTERRUPTED;
		else if (!leg->pub.answered_us)
			reason = ring_reason(call, leg, true, true);
		else if (call->customer && !call->customer->gone)
			reason = CALL_REASON_TRANSFERRED; /* absorbed by another call */
		leg_end(t, call, leg, reason,
			leg->off_us && leg->off_us < at_us ? leg->off_us : at_us);
	}
}

/* ---- Settling ----------------------------------------------------------------------- */

struct leg_view {
	bool alive, on_offer; /* any channel is there; may still be answered */
	bool connected, held;
	bool bridged; /* with somebody, or waiting for one */
	struct chan *answered;
	int64_t off_us, unhold_us;
};

static struct leg_view
look_at(struct tracker *t, struct tleg *leg)
{
	struct leg_view v = {0};

	list_for_each (&leg->chans, it) {
		struct chan *c = LIST_ENTRY(it, struct chan, leg_link);
		bool connected = meter_is_connected(t, c) && leg->call->customer;
		take_facts(t, leg, c);
		v.alive |= !c->gone;
		v.on_offer |= !c->gone && c->dial_result == CALL_RESULT_NONE;
		v.connected |= connected;
		v.held |= c->hold && !c->gone;
		v.bridged |= c->bridge && !c->gone;
		if (c->unhold_us > v.unhold_us)
			v.unhold_us = c->unhold_us;
		if (!v.answered && (c->answered || (connected && !c->gone)))
			v.answered = c;
		if (c->off_us > v.off_us)
			v.off_us = c->off_us;
		if (!leg->pub.queue && (leg->pub.queue = xstrdup(offering_queue(t, c))))
			leg->changed = true;
	}
	return v;
}

static void
settle_ringing(struct tracker *t, struct tcall *call, struct tleg *leg,
	const struct leg_view *v)
{
	enum call_reason reason;
	bool last;

	if (v->on_offer) {
		leg->due_us = 0;
		return;
	}
	leg->off_us = v->off_us ? v->off_us : t->now_us;
	last = t->now_us >= leg->off_us + REASON_WAIT_US;
	reason = ring_reason(call, leg, !v->alive, last);
	if (reason == CALL_REASON_NONE)
		leg->due_us = leg->off_us + REASON_WAIT_US;
	else
		leg_end(t, call, leg, reason, leg->off_us);
}

/* The agent's channel is gone while the customer is there: transferred, or done. */
static void
settle_left(struct tracker *t, struct tcall *call, struct tleg *leg, int64_t off_us)
{
	leg->off_us = off_us;
	meter_leg(t, leg, METER_NONE, off_us);
	if (leg->shutdown || leg->lost)
		leg_end(t, call, leg, CALL_REASON_INTERRUPTED, off_us);
	else if (t->now_us >= off_us + REASON_WAIT_US)
		leg_end(t, call, leg, CALL_REASON_COMPLETED, off_us);
	else
		leg->due_us = off_us + REASON_WAIT_US;
}

static void
set_leg_state(struct tcall *call, struct tleg *leg, enum leg_state state)
{
	if (leg->pub.state == state)
		return;
	leg->pub.state = state;
	leg->changed = call->changed = true;
}

/* Each of them is in a bridge, and not in the same. Who is in none is on the way somewhere,
 * or hanging up. */
static bool
is_apart(const struct tcall *call, const struct leg_view *v)
{
	const struct chan *customer = call->customer;

	return customer && customer->bridge && !customer->gone && v->bridged;
}

/* Without a word of hold, an agent who talks to somebody else for a while has the customer
 * on hold all the same. */
static void
settle_talking(struct tracker *t, struct tcall *call, struct tleg *leg,
	const struct leg_view *v)
{
	leg->due_us = 0;
	leg->connected_once |= v->connected;
	if (v->held) {
		set_leg_state(call, leg, LEG_HELD);
		return;
	}
	if (v->connected || !leg->connected_once) {
		leg->apart_us = 0;
		if (leg->pub.state == LEG_HELD &&
			t->now_us < v->unhold_us + UNHOLD_WAIT_US)
			leg->due_us = v->unhold_us + UNHOLD_WAIT_US;
		else
			set_leg_state(call, leg, LEG_TALKING);
		return;
	}
	if (!is_apart(call, v)) {
		leg->apart_us = 0;
		return;
	}
	if (!leg->apart_us)
		leg->apart_us = t->now_us;
	if (t->now_us >= leg->apart_us + APART_WAIT_US)
		set_leg_state(call, leg, LEG_HELD);
	else
		leg->due_us = leg->apart_us + APART_WAIT_US;
}

static void
settle_outgoing(struct tracker *t, struct tcall *call, struct tleg *leg,
	const struct leg_view *v)
{
	const struct chan *customer = call->customer;

	if (customer && (customer->answered || v->connected)) {
		struct chan *c = LIST_ENTRY(leg->chans.next, struct chan, leg_link);
		if (list_is_empty(&leg->chans))
			return;
		if (!c->answered_us || c->answered_us < customer->answered_us)
			c->answered_us = customer->answered_us;
		answer(t, call, leg, c);
	}
}

static void
leg_settle(struct tracker *t, struct tcall *call, struct tleg *leg)
{
	struct leg_view v = look_at(t, leg);

	if (!leg->pub.answered_us) {
		if (leg->outgoing)
			settle_outgoing(t, call, leg, &v);
		else if (v.answered)
			answer(t, call, leg, v.answered);
		else
			settle_ringing(t, call, leg, &v);
	}
	if (!leg->pub.answered_us || leg->pub.state == LEG_ENDED)
		return;
	if (v.alive)
		settle_talking(t, call, leg, &v);
	else
		settle_left(t, call, leg, v.off_us);
}

void
legs_settle(struct tracker *t, struct tcall *call)
{
	list_for_each (&call->pub.legs, it) {
		struct tleg *leg = leg_of(it);
		if (leg->pub.state != LEG_ENDED && leg->pub.type != LEG_QUEUE &&
			leg->pub.type != LEG_PARK)
			leg_settle(t, call, leg);
	}
}
