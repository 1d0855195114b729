/* tracker_transfer.c - transfers, parking, pickup, and calls asked for (originate).
 *
 * A transfer needs little: the bridges show who the customer is with afterwards. What the
 * event adds is why the first agent's part is over. */
#include <calls/tracker_priv.h>

#include <mem.h>
#include <str.h>

#include <string.h>

/* ---- Transfers and parking ----------------------------------------------------------- */

static void
end_transferer(struct tracker *t, const struct call_event *ev, const char *uid)
{
	struct chan *c = chan_find(t, ev->boot, uid);

	if (c && c->leg && c->leg->pub.answered_us)
		leg_force(t, c, CALL_REASON_TRANSFERRED);
}

/* A transferer whose channel is gone already: its leg waits for its reason. */
static void
end_waiting_leg(struct tracker *t, const struct call_event *ev, const char *uid)
{
	struct chan *customer = chan_find(t, ev->boot, ev->other_uid);
	struct tcall *call = customer ? customer->group->call : NULL;

	if (!call || !uid)
		return;
	list_for_each (&call->pub.legs, it) {
		struct tleg *leg = leg_of(it);
		if (leg->pub.state != LEG_ENDED && leg->off_us &&
			leg->pub.answered_us && str_eq(leg->pub.uid, uid))
			leg_end(t, call, leg, CALL_REASON_TRANSFERRED, leg->off_us);
	}
	tracker_touch(t, customer->group);
}

static void
on_transfer(struct tracker *t, const struct call_event *ev)
{
	end_transferer(t, ev, ev->uid);
	end_transferer(t, ev, ev->second_uid);
	end_waiting_leg(t, ev, ev->uid);
	end_waiting_leg(t, ev, ev->second_uid);
}

/* The stay in the parking lot, as a detail of the call. */
static void
open_stay(struct tracker *t, struct tcall *call, struct chan *c)
{
	struct tleg *leg = leg_new(t, call, LEG_PARK, c->plain_uid, t->now_us);

	if (leg)
		leg->pub.state = LEG_HELD;
}

void
park_end(struct tracker *t, struct tcall *call, enum call_reason reason, int64_t at_us)
{
	list_for_each (&call->pub.legs, it)
		if (leg_of(it)->pub.type == LEG_PARK)
			leg_end(t, call, leg_of(it), reason, at_us);
}

void
park_set(struct tracker *t, struct chan *c, bool parked)
{
	struct tcall *call = c->group->call;

	if (c->parked == parked)
		return;
	c->parked = parked;
	chan_touch(t, c);
	if (!call || call->customer != c)
		return;
	if (!parked) {
		park_end(t, call, CALL_REASON_COMPLETED, t->now_us);
		return;
	}
	open_stay(t, call, c);
	list_for_each (&call->pub.legs, it) {
		struct tleg *leg = leg_of(it);
		if (leg->pub.state != LEG_ENDED && leg->pub.answered_us &&
			leg->pub.type != LEG_QUEUE && leg->pub.type != LEG_PARK)
			leg_end(t, call, leg, CALL_REASON_TRANSFERRED, t->now_us);
	}
}

static void
on_park(struct tracker *t, const struct call_event *ev)
{
	struct chan *c = chan_find(t, ev->boot, ev->uid);
	struct chan *other = chan_find(t, ev->boot, ev->other_uid);

	if (!c)
		return;
	chan_seen(t, c);
	chan_relink(t, c, ev->linked);
	if (c->group->call && ev->type == CALL_PARK_TIMEOUT)
		park_end(t, c->group->call, CALL_REASON_NO_ANSWER, t->now_us);
	if (c->group->call && ev->type == CALL_PARK_GIVE_UP)
		park_end(t, c->group->call, CALL_REASON_CALLER_HANGUP, t->now_us);
	park_set(t, c, ev->type == CALL_PARK);
	if (ev->type != CALL_PARK && c->bridge && !c->bridge->known) {
		c->bridge->parking = false; /* listed as parked in its last moment */
		chan_touch(t, c);
	}
	if (ev->type == CALL_UNPARK && other) {
		chan_seen(t, other);
		other->leg_done = false;
	}
}

/* The phone that rang did not get it; the one that did is seen by its bridge, or takes the
 * channel over (its endpoint changes). */
static void
on_pickup(struct tracker *t, const struct call_event *ev)
{
	struct chan *target = chan_find(t, ev->boot, ev->other_uid);

	if (target && target->leg && !target->leg->pub.answered_us)
		leg_force(t, target, CALL_REASON_ANSWERED_ELSEWHERE);
	if (target)
		target->leg_done = true; /* until a bridge, or its new owner */
}

/* ---- Originate ------------------------------------------------------------------------ */

static void
originate_free(struct tracker *t, struct originate *o)
{
	list_remove(&o->link);
	xfree(&o->uid);
	xfree(&o->number);
	mem_free(o);
	t->n_originates--;
}

void
originates_clear(struct tracker *t)
{
	while (!list_is_empty(&t->originates))
		originate_free(
			t, LIST_ENTRY(t->originates.next, struct originate, link));
}

static void
set_target(struct tracker *t, struct chan *c, const char *number)
{
	if (c->group->call || str_empty(number))
		return;
	c->outgoing = true;
	chan_set(&c->group->originate_number, number);
	chan_touch(t, c);
}

/* Was it asked for before it came? */
void
originate_new_channel(struct tracker *t, struct chan *c)
{
	list_for_each_safe (&t->originates, it) {
		struct originate *o = LIST_ENTRY(it, struct originate, link);
		if (strcmp(o->uid, c->plain_uid) != 0)
			continue;
		set_target(t, c, o->number);
		originate_free(t, o);
		return;
	}
}

/* Asked for by ourselves, with a uid of our choice and a target known to be outside: it is
 * a call from now on. The channel is taken as there until something else is heard of it. */
static void
ask_for(struct tracker *t, const struct call_event *ev)
{
	struct call_event phone = *ev; /* its flag is of the target, not of the phone */
	struct chan *c;

	phone.flags = CALL_OUTGOING;
	c = chan_upsert(t, &phone);
	if (!c)
		return;
	chan_update(t, c, &phone);
	c->asked = true;
	c->group->originate_outside = true;
	set_target(t, c, ev->exten);
}

static void
on_originate(struct tracker *t, const struct call_event *ev)
{
	struct chan *c = chan_find(t, ev->boot, ev->uid);
	struct originate *o;

	if (!c && !str_empty(ev->exten) && ev->flags & CALL_EXTERNAL) {
		ask_for(t, ev);
		return;
	}
	if (c) {
		set_target(t, c, ev->exten);
		return;
	}
	if (str_empty(ev->uid) || str_empty(ev->exten) ||
		chan_is_buried(t, ev->boot, ev->uid))
		return;
	if (t->n_originates == ORIGINATES_MAX)
		originate_free(
			t, LIST_ENTRY(t->originates.next, struct originate, link));
	o = xcalloc(1, sizeof(*o));
	o->uid = xstrdup(ev->uid);
	o->number = xstrdup(ev->exten);
	list_append(&t->originates, &o->link);
	t->n_originates++;
}

/* An agent's phone that rings by an originate of which only the failure is told, with the
 * phone's name. */
static struct chan *
find_originated(struct tracker *t, const char *endpoint)
{
	list_for_each (&t->lru, it) {
		struct chan *c = LIST_ENTRY(it, struct chan, lru_link);
		if (str_eq(c->endpoint, endpoint) && c->dialled && !c->dialer &&
			!c->group->call && c->state != CALL_STATE_UP)
			return c;
	}
	return NULL;
}

/* The agent's phone did not take it. A channel follows with its hangup, if there ever was
 * one. */
static void
originate_failed(struct tracker *t, struct chan *c, enum call_result result)
{
	if (c->dial_result == CALL_RESULT_NONE)
		c->dial_result = !c->asked || result == CALL_RESULT_INVALID
					 ? result
					 : CALL_RESULT_UNAVAILABLE;
	c->off_us = t->now_us;
	chan_touch(t, c);
	if (!c->asked)
		return;
	if (c->root_of && result != CALL_RESULT_INVALID)
		legs_open(t, c->root_of);
	chan_gone(t, c, t->now_us);
}

static void
on_originate_result(struct tracker *t, const struct call_event *ev)
{
	struct chan *c = chan_find(t, ev->boot, ev->uid);

	if (!c && str_empty(ev->uid) && ev->endpoint)
		c = find_originated(t, ev->endpoint);
	if (!c || (!ev->exten && !c->group->originate_outside))
		return;
	chan_seen(t, c);
	set_target(t, c, ev->exten);
	if (ev->result == CALL_RESULT_NO_ANSWER)
		c->no_answer = true;
	if (c->group->originate_outside && ev->result != CALL_RESULT_ANSWER)
		originate_failed(t, c, ev->result);
}

/* The phone of a call that we asked for is gone without having taken it: if nothing said
 * why, its hangup's cause will. */
void
originate_hung_up(struct tracker *t, struct chan *c)
{
	struct tcall *call = c->root_of;

	if (!call || call->customer || c->leg || c->state == CALL_STATE_UP ||
		!call->group->originate_outside)
		return;
	if (c->dial_result == CALL_RESULT_NONE)
		c->dial_result = CALL_RESULT_CANCEL;
	legs_open(t, call);
}

void
transfer_apply(struct tracker *t, const struct call_event *ev)
{
	switch (ev->type) {
	case CALL_TRANSFER_BLIND:
	case CALL_TRANSFER_ATTENDED: on_transfer(t, ev); break;
	case CALL_PARK:
	case CALL_UNPARK:
	case CALL_PARK_TIMEOUT:
	case CALL_PARK_GIVE_UP: on_park(t, ev); break;
	case CALL_PICKUP: on_pickup(t, ev); break;
	case CALL_ORIGINATE: on_originate(t, ev); break;
	case CALL_ORIGINATE_RESULT: on_originate_result(t, ev); break;
	default: break;
	}
}
