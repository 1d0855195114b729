/* tracker_end.c - when a call is over, and what is said of it then.
 *
 * A call ends with its customer's channel. Exceptions: an outgoing call whose customer has
 * not answered waits REASON_WAIT_US for another attempt (a second trunk); and an end that
 * nobody asked for waits as long, for it may be the phone system that stops.
 *
 * A call that ended because we lost sight of it stays at its customer's tombstone: if the
 * hangup still comes, the call is told again with its true ending. */
#include <calls/tracker_priv.h>

#include <mem.h>
#include <str.h>

#include <stddef.h>

/* ---- Dispositions ------------------------------------------------------------------- */

static bool
caller_left(const struct tcall *call)
{
	/* 127: Asterisk's cause for a SIP CANCEL. */
	return call->far_hangup || (call->customer && call->customer->cause == 127);
}

/* A call that reached neither a queue nor an agent: the trunk's own cause may say that the
 * dialplan tried one that cannot be reached; else it was the dialplan's alone. */
static enum call_disposition
untouched(const struct tcall *call)
{
	const struct chan *c = call->customer;

	if (call->queue_rejected)
		return CALL_DISP_REJECTED;
	if (call->pub.recovered || (c && c->dark))
		return CALL_DISP_INTERRUPTED; /* what else there was, nobody heard */
	if (!c || c->state == CALL_STATE_UP || caller_left(call))
		return CALL_DISP_IVR_ONLY;
	switch (c->cause) {
	case 1:
	case 3:
	case 20:
	case 27: return CALL_DISP_UNREACHABLE;
	case 17: return CALL_DISP_BUSY;
	case 21: return CALL_DISP_REJECTED;
	case 34:
	case 38:
	case 41:
	case 42: return CALL_DISP_FAILED;
	default: return CALL_DISP_IVR_ONLY;
	}
}

/* Some of it was not heard. */
static bool
is_patchy(const struct tcall *call)
{
	return call->pub.recovered || (call->customer && call->customer->was_unheard);
}

static enum call_disposition
of_reason(const struct tcall *call, enum call_reason reason, bool left)
{
	switch (reason) {
	case CALL_REASON_BUSY: return CALL_DISP_BUSY;
	case CALL_REASON_REJECTED: return CALL_DISP_REJECTED;
	case CALL_REASON_UNREACHABLE: return CALL_DISP_UNREACHABLE;
	case CALL_REASON_NO_ANSWER: return CALL_DISP_NO_ANSWER;
	case CALL_REASON_CALLER_HANGUP: return CALL_DISP_ABANDONED;
	case CALL_REASON_INTERRUPTED: return CALL_DISP_INTERRUPTED;
	default: break;
	}
	if (left)
		return CALL_DISP_ABANDONED;
	return is_patchy(call) ? CALL_DISP_INTERRUPTED : CALL_DISP_NO_ANSWER;
}

/* A wait is `reassigned` only if its end was heard, and then all after it was too. */
static enum call_disposition
of_queue(const struct tcall *call, enum call_reason reason)
{
	if (reason == CALL_REASON_NO_ANSWER)
		return CALL_DISP_QUEUE_TIMEOUT;
	if (reason == CALL_REASON_REASSIGNED && call->customer &&
		!call->customer->was_unheard && !caller_left(call))
		return CALL_DISP_NO_ANSWER;
	return of_reason(call, reason, caller_left(call));
}

/* What was tried last decides. Phones that a queue rang are the queue's affair. */
static enum call_disposition
unanswered_inbound(const struct tcall *call)
{
	const struct tleg *queued = NULL;

	for (struct list *it = call->pub.legs.prev; it != &call->pub.legs;
		it = it->prev) {
		const struct tleg *leg = leg_of(it);
		if (leg->pub.type == LEG_QUEUE)
			return of_queue(call, leg->pub.result);
		if (leg->pub.type != LEG_RING && leg->pub.type != LEG_TRANSFER)
			continue;
		if (!leg->pub.queue)
			return of_reason(call, leg->pub.result, caller_left(call));
		if (!queued)
			queued = leg;
	}
	return queued ? of_reason(call, queued->pub.result, caller_left(call))
		      : untouched(call);
}

/* Of an outgoing call that was not answered: the customer's phone's answer, or, if it was
 * never dialled, the agent's. */
enum call_reason
end_outgoing_reason(const struct tcall *call)
{
	const struct chan *c = call->customer ? call->customer : call->root;

	if (call->shutdown || call->lost)
		return CALL_REASON_INTERRUPTED;
	/* That the agent answered, or somebody we know nothing of, is no outcome. */
	if ((call->out_result == CALL_RESULT_NONE ||
		    call->out_result == CALL_RESULT_ANSWER) &&
		(call->pub.recovered || (c && (c->dark || c->unheard))))
		return CALL_REASON_INTERRUPTED;
	switch (call->out_result) {
	case CALL_RESULT_BUSY: return CALL_REASON_BUSY;
	case CALL_RESULT_REJECTED: return CALL_REASON_REJECTED;
	case CALL_RESULT_CONGESTION:
	case CALL_RESULT_UNAVAILABLE:
		return call->out_cause == 21 ? CALL_REASON_REJECTED
					     : CALL_REASON_UNREACHABLE;
	default: break;
	}
	switch (call->out_cause) {
	case 17: return CALL_REASON_BUSY;
	case 21: return CALL_REASON_REJECTED;
	case 1:
	case 3:
	case 20:
	case 27:
	case 34:
	case 38: return CALL_REASON_UNREACHABLE;
	default: return CALL_REASON_NO_ANSWER;
	}
}

static enum call_disposition
unanswered_outgoing(const struct tcall *call)
{
	if (call->out_result == CALL_RESULT_INVALID ||
		(call->out_result == CALL_RESULT_CONGESTION && call->out_cause != 21))
		return CALL_DISP_FAILED;
	return of_reason(call, end_outgoing_reason(call), false);
}

static enum call_disposition
disposition(const struct tcall *call)
{
	if (call->pub.answered_us)
		return CALL_DISP_ANSWERED;
	if (call->lost || call->shutdown)
		return CALL_DISP_INTERRUPTED;
	if (call->pub.voicemail)
		return CALL_DISP_VOICEMAIL;
	if (call->customer && call->customer->unheard)
		return CALL_DISP_INTERRUPTED;
	if (call->pub.direction == CALL_OUT)
		return unanswered_outgoing(call);
	return unanswered_inbound(call);
}

/* ---- Ending ---------------------------------------------------------------------------- */

static void
set_durations(struct tcall *call)
{
	struct call *pub = &call->pub;
	int64_t until = pub->answered_us ? pub->answered_us : pub->ended_us;
	int64_t from = pub->at_us;

	if (pub->direction == CALL_OUT)
		from = call->ring_us ? call->ring_us : until;
	pub->wait_ms = until > from ? (until - from + 500) / 1000 : 0;
	pub->talk_ms = (call->talk_us + 500) / 1000;
	pub->hold_ms = (call->hold_us + 500) / 1000;
}

/* Who is left of the group has nothing more to do with this call. */
static void
spend_channels(struct tcall *call)
{
	list_for_each (&call->group->chans, it) {
		struct chan *c = LIST_ENTRY(it, struct chan, group_link);
		if (c->side == SIDE_OUTSIDE)
			c->spent = true;
		c->leg_done = true;
	}
	xfree(&call->group->originate_number);
}

static void
finish(struct tracker *t, struct tcall *call, int64_t at_us)
{
	call->pub.ended_us = at_us < call->pub.at_us ? call->pub.at_us : at_us;
	meter_stop(call, at_us);
	legs_end_all(t, call, at_us);
	park_end(t, call,
		call->lost || call->shutdown ? CALL_REASON_INTERRUPTED
					     : CALL_REASON_CALLER_HANGUP,
		at_us);
	queue_end(t, call, at_us);
	set_durations(call);
	call->pub.disposition = disposition(call);
	call->pub.phase = CALL_PHASE_ENDED;
	call->changed = true;
	if (call->lost || call->pub.disposition == CALL_DISP_INTERRUPTED)
		t->stats.interrupted++;
	spend_channels(call);
}

/* Did anything say that this end was coming? */
static bool
is_explained(const struct tcall *call)
{
	if (call->shutdown || call->lost || call->customer->cause)
		return true;
	list_for_each (&call->group->chans, it) {
		const struct chan *c = LIST_ENTRY(it, struct chan, group_link);
		if (c->asked_hangup)
			return true;
	}
	return false;
}

static void
take_outgoing(struct tcall *call)
{
	const struct chan *c = call->customer ? call->customer : call->root;

	if (!c || (!c->gone && c->dial_result == CALL_RESULT_NONE))
		return;
	call->lost |= c->vanished && !call->customer;
	call->out_result = c->dial_result;
	call->out_cause = c->request_cause ? c->request_cause : c->cause;
}

/* When the call is over: that time; 0 while it is not; or sets due_us to look again. */
static int64_t
over_since(struct tracker *t, struct tcall *call)
{
	const struct chan *c = call->customer, *root = call->root;
	int64_t wait;

	call->due_us = 0;
	if (!c)
		return !root || root->gone ? (root ? root->gone_us : t->now_us) : 0;
	if (!c->gone)
		return 0;
	if (call->pub.direction == CALL_OUT && !call->pub.answered_us) {
		if (!root || root->gone)
			return root && root->gone_us > c->gone_us ? root->gone_us
								  : c->gone_us;
	} else if (is_explained(call)) {
		return c->gone_us;
	}
	wait = c->gone_us + REASON_WAIT_US;
	if (t->now_us >= wait)
		return c->gone_us;
	call->due_us = wait;
	return 0;
}

void
end_settle(struct tracker *t, struct tcall *call)
{
	int64_t at_us;

	if (call->pub.direction == CALL_OUT && !call->pub.answered_us)
		take_outgoing(call);
	at_us = over_since(t, call);
	if (at_us)
		finish(t, call, at_us);
}

/* ---- The true ending, late --------------------------------------------------------------- */

static void
correct_legs(struct tcall *call, int64_t at_us)
{
	list_for_each (&call->pub.legs, it) {
		struct tleg *leg = leg_of(it);
		if (leg->pub.result != CALL_REASON_INTERRUPTED)
			continue;
		leg->pub.ended_us = at_us;
		leg->pub.result = leg->pub.answered_us ? CALL_REASON_COMPLETED
						       : CALL_REASON_CALLER_HANGUP;
	}
}

void
end_correct(struct tracker *t, struct tombstone *tomb, const struct call_event *ev)
{
	struct tcall *call = tomb->lost;
	const struct tracker_observer *o = t->opts.observer;
	int64_t more = ev->at_us - call->pub.ended_us;

	if (ev->type == CALL_HANGUP_REQUEST) {
		call->far_hangup |= !(ev->flags & CALL_SOFT);
		call->shutdown |= (ev->flags & CALL_SHUTDOWN) != 0;
	}
	if (ev->type != CALL_CHANNEL_HANGUP)
		return;
	tomb->lost = NULL;
	if (more > 0 && !(ev->flags & CALL_SHUTDOWN) && !call->shutdown) {
		call->lost = false;
		call->talk_us += call->meter_lost == METER_TALK ? more : 0;
		call->hold_us += call->meter_lost == METER_HOLD ? more : 0;
		call->pub.ended_us = ev->at_us;
		correct_legs(call, ev->at_us);
		set_durations(call);
		call->pub.disposition = disposition(call);
		if (o->call_corrected)
			o->call_corrected(t->opts.observer_arg, &call->pub);
	}
	call_free(call);
}
