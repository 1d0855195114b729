/* tracker_meter.c - who is connected with the customer, and for how long.
 *
 * Connected: in one bridge, or in bridges joined by Local channels. The call's meter runs
 * as TALK while some agent is connected and not holding, else as HOLD while the customer
 * is parked or an agent holds. Each leg has the same meter for its own agent. */
#include <calls/tracker_priv.h>

#include <str.h>

static void
mark_bridge(struct tracker *t, struct bridge *b, int depth)
{
	if (!b || b->parking || depth > 16)
		return;
	list_for_each (&b->chans, it) {
		struct chan *c = LIST_ENTRY(it, struct chan, bridge_link), *half;
		if (c->mark == t->mark)
			continue;
		c->mark = t->mark;
		if (c->side != SIDE_LOCAL || !(half = chan_by_key(t, c->partner)))
			continue;
		half->mark = t->mark;
		mark_bridge(t, half->bridge, depth + 1);
	}
}

void
meter_connect(struct tracker *t, struct tcall *call)
{
	t->mark++;
	if (call->customer && !call->customer->gone)
		mark_bridge(t, call->customer->bridge, 0);
}

bool
meter_is_connected(const struct tracker *t, const struct chan *c)
{
	return c->mark == t->mark && !c->gone;
}

void
meter_leg(struct tracker *t, struct tleg *leg, enum meter meter, int64_t at_us)
{
	int64_t since = at_us - leg->meter_us;

	(void)t;
	if (leg->meter == meter)
		return;
	if (since > 0 && leg->meter == METER_TALK)
		leg->pub.talk_us += since;
	else if (since > 0 && leg->meter == METER_HOLD)
		leg->pub.hold_us += since;
	leg->meter = meter;
	leg->meter_us = at_us;
}

static void
set_meter(struct tcall *call, enum meter meter, int64_t at_us)
{
	int64_t since = at_us - call->meter_us;

	if (call->meter == meter)
		return;
	if (since > 0 && call->meter == METER_TALK)
		call->talk_us += since;
	else if (since > 0 && call->meter == METER_HOLD)
		call->hold_us += since;
	call->meter = meter;
	call->meter_us = at_us;
	call->changed = true;
}

void
meter_stop(struct tcall *call, int64_t at_us)
{
	set_meter(call, METER_NONE, at_us);
}

static enum meter
leg_meter(const struct tracker *t, const struct tleg *leg)
{
	enum meter meter = METER_NONE;

	list_for_each (&leg->chans, it) {
		const struct chan *c = LIST_ENTRY(it, struct chan, leg_link);
		if (c->gone)
			continue;
		if (c->hold)
			meter = METER_HOLD;
		else if (meter_is_connected(t, c))
			return METER_TALK;
	}
	return meter;
}

/* When what the channels say now became true: usually now, but of channels that were lost
 * the last moment at which they were there. */
static int64_t
changed_at(const struct tracker *t, const struct tcall *call)
{
	int64_t at_us = 0;

	if (call->customer && call->customer->gone)
		return call->customer->gone_us;
	list_for_each (&call->pub.legs, it) {
		const struct tleg *leg = leg_of(it);
		if (leg->lost && leg->off_us > call->meter_us && leg->off_us > at_us)
			at_us = leg->off_us;
	}
	return at_us ? at_us : t->now_us;
}

void
meter_settle(struct tracker *t, struct tcall *call)
{
	bool there = call->customer && !call->customer->gone && call->pub.answered_us;
	enum meter total = there && call->customer->parked ? METER_HOLD : METER_NONE;

	list_for_each (&call->pub.legs, it) {
		struct tleg *leg = leg_of(it);
		enum meter meter;
		if (leg->pub.state == LEG_ENDED || leg->pub.type == LEG_QUEUE ||
			leg->pub.type == LEG_PARK || !leg->pub.answered_us)
			continue;
		meter = there ? leg_meter(t, leg) : METER_NONE;
		if (!list_is_empty(&leg->chans) && !leg->off_us)
			meter_leg(
				t, leg, meter, there ? t->now_us : changed_at(t, call));
		if (!leg->pub.agent || meter == METER_NONE)
			continue;
		if (meter == METER_TALK || total == METER_NONE)
			total = meter;
	}
	set_meter(call, total, total == METER_NONE ? changed_at(t, call) : t->now_us);
}

static enum call_phase
phase_now(const struct tcall *call)
{
	bool waiting = false, talking = false;

	list_for_each (&call->pub.legs, it) {
		const struct tleg *leg = leg_of(it);
		if (leg->pub.state == LEG_ENDED)
			continue;
		waiting |= leg->pub.type == LEG_QUEUE;
		talking |= leg->pub.state == LEG_TALKING;
	}
	if (talking)
		return CALL_PHASE_TALKING;
	if (waiting)
		return CALL_PHASE_WAITING;
	return call->pub.answered_us ? CALL_PHASE_HELD : CALL_PHASE_RINGING;
}

void
meter_phase(struct tcall *call)
{
	enum call_phase phase = phase_now(call);

	if (phase != call->pub.phase)
		call->changed = true;
	call->pub.phase = phase;
}
