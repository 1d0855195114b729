/* tracker_queue.c - the customer waiting in queues.
 *
 * Each wait is a leg of its own. The phone system says that the caller has left the queue,
 * but hardly why: answered, hung up, timed out or taken out by somebody. An answer is known
 * at once (some leg through this queue was answered); for the rest the wait ends when it
 * is clear, at the latest REASON_WAIT_US after the caller left the queue. */
#include <calls/tracker_priv.h>

#include <mem.h>
#include <str.h>

void
queue_joined(struct tracker *t, struct chan *c, const char *queue, int64_t since_us)
{
	if (!t->listed)
		c->queue_event = t->event_no;
	if (c->queue && !c->queue_left_us && str_eq(c->queue, queue))
		return;
	chan_set(&c->queue, queue);
	c->queue_join_us = since_us;
	c->queue_left_us = 0;
	c->queue_abandoned = c->queue_over = c->queue_left_unheard = false;
	c->queue_result = CALL_RESULT_NONE;
	chan_touch(t, c);
}

/* The caller was turned away at the door, if it had not joined. */
void
queue_left(struct tracker *t, struct chan *c, const struct call_event *ev)
{
	struct tcall *call = c->group->call;

	if (ev->result == CALL_RESULT_REJECTED && call && call->customer == c)
		call->queue_rejected = true;
	if (ev->result != CALL_RESULT_NONE && ev->result != CALL_RESULT_REJECTED)
		c->queue_result = ev->result;
	if (ev->queue && c->queue && !str_eq(c->queue, ev->queue))
		return;
	if (c->queue) /* it was there until now */
		c->unheard = c->queue_left_unheard = false;
	c->queue_over = ev->type == CALL_QUEUE_ABANDON;
	c->queue_abandoned |= c->queue_over;
	if (c->queue && !c->queue_left_us)
		c->queue_left_us = t->now_us;
	chan_touch(t, c);
}

static void
open_wait(struct tracker *t, struct tcall *call, struct chan *c)
{
	struct tleg *leg = leg_new(t, call, LEG_QUEUE, c->plain_uid, c->queue_join_us);

	if (!leg)
		return;
	leg->pub.queue = xstrdup(c->queue);
	leg->pub.at_us = c->queue_join_us;
	c->queue_leg = leg;
	leg->waiter = c;
	call->pub.queue_since_us = c->queue_join_us;
	call_set_text(call, &call->pub.queue, c->queue);
}

/* A leg that came through this queue was answered. */
static bool
was_answered(const struct tcall *call, const struct tleg *wait)
{
	list_for_each (&call->pub.legs, it) {
		const struct tleg *leg = leg_of(it);
		if (leg != wait && leg->pub.type != LEG_QUEUE &&
			str_eq(leg->pub.queue, wait->pub.queue) &&
			leg->pub.answered_us >= wait->pub.at_us && leg->pub.answered_us)
			return true;
	}
	return false;
}

/* The last phones that rang for it were given up as nobody answered. */
static bool
rang_out(const struct tcall *call, const struct tleg *wait, int64_t left_us)
{
	list_for_each (&call->pub.legs, it) {
		const struct tleg *leg = leg_of(it);
		if (leg->pub.type == LEG_RING && leg->no_answer &&
			str_eq(leg->pub.queue, wait->pub.queue) &&
			leg->off_us >= left_us - REASON_WAIT_US)
			return true;
	}
	return false;
}

static enum call_reason
wait_reason(const struct tcall *call, const struct chan *c, const struct tleg *wait,
	bool last)
{
	int64_t left_us = c->queue_left_us ? c->queue_left_us : c->gone_us;

	if (was_answered(call, wait))
		return CALL_REASON_ANSWERED;
	if (c->queue_left_unheard && call->last_answer_us >= wait->pub.at_us)
		return CALL_REASON_ANSWERED; /* by somebody found talking */
	if (call->shutdown || call->lost || (c->unheard && c->gone))
		return CALL_REASON_INTERRUPTED;
	if (c->queue_left_unheard) /* unless the event comes right behind the list */
		return last ? CALL_REASON_INTERRUPTED : CALL_REASON_NONE;
	if (c->queue_result != CALL_RESULT_NONE)
		return CALL_REASON_NO_ANSWER;
	if (call->far_hangup)
		return CALL_REASON_CALLER_HANGUP;
	if (!last)
		return CALL_REASON_NONE;
	if (rang_out(call, wait, left_us))
		return CALL_REASON_NO_ANSWER;
	if (c->was_unheard && !c->gone)
		return CALL_REASON_INTERRUPTED;
	return c->gone ? CALL_REASON_CALLER_HANGUP : CALL_REASON_REASSIGNED;
}

static void
settle_wait(struct tracker *t, struct tcall *call, struct chan *c, bool last)
{
	struct tleg *wait = c->queue_leg;
	enum call_reason reason;

	if (!c->queue_left_us && !c->gone && !was_answered(call, wait)) {
		wait->due_us = 0;
		return;
	}
	if (!wait->off_us)
		wait->off_us = c->queue_left_us ? c->queue_left_us : t->now_us;
	last |= t->now_us >= wait->off_us + REASON_WAIT_US;
	reason = wait_reason(call, c, wait, last);
	if (reason == CALL_REASON_NONE) {
		wait->due_us = wait->off_us + REASON_WAIT_US;
		return;
	}
	wait->pub.answered_us =
		reason == CALL_REASON_ANSWERED ? call->last_answer_us : 0;
	leg_end(t, call, wait, reason,
		wait->pub.answered_us ? wait->pub.answered_us : wait->off_us);
	call->pub.queue_since_us = 0;
	if (!c->queue_left_us) {
		c->queue_left_us = wait->off_us;
		c->queue_over = true;
	}
}

void
queue_settle(struct tracker *t, struct tcall *call)
{
	struct chan *c = call->customer;

	if (!c)
		return;
	if (c->queue && !c->queue_left_us && !c->gone && !c->queue_leg)
		open_wait(t, call, c);
	if (c->queue_leg)
		settle_wait(t, call, c, false);
}

/* The call is over; every wait with it. */
void
queue_end(struct tracker *t, struct tcall *call, int64_t at_us)
{
	if (call->customer && call->customer->queue_leg)
		settle_wait(t, call, call->customer, true);
	list_for_each (&call->pub.legs, it)
		if (leg_of(it)->pub.state != LEG_ENDED &&
			leg_of(it)->pub.type == LEG_QUEUE)
			leg_end(t, call, leg_of(it), CALL_REASON_CALLER_HANGUP, at_us);
	call->pub.queue_since_us = 0;
}
