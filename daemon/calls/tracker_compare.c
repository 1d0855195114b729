/* tracker_compare.c - what a snapshot proved that we had not heard.
 *
 * A list and the events about the same things come through one connection, but the phone
 * system makes them on different threads: an event may come some milliseconds after the
 * list that shows its effect. So what a list says first is a doubt. The event itself, if
 * it comes within COMPARE_WAIT_US of the list's end, clears it; what is left then was
 * missed. A channel that ends meanwhile cannot clear any doubt more, but its beginning
 * was not heard all the same.
 *
 * A connection that is lost first does not end a comparison: what was in doubt is settled
 * at once, as nothing more will be heard. */
#include <calls/tracker_priv.h>

const char *
tracker_missed_text(enum tracker_missed what)
{
	static const char *const texts[] = {
#define M(name, text, help) text,
		TRACKER_MISSED(M)
#undef M
	};
	return texts[what];
}

void
compare_doubt(struct tracker *t, struct chan *c, enum tracker_missed what)
{
	(void)t;
	/* All that is said of one whose beginning was missed belongs to that. */
	if (!(c->doubts & 1u << TRACKER_MISSED_BEGIN))
		c->doubts |= 1u << what;
}

void
compare_heard(struct chan *c, enum call_event_type type)
{
	unsigned heard = 0;

	if (!c->doubts)
		return;
	switch (type) {
	case CALL_CHANNEL_NEW: heard = ~0u; break;
	case CALL_CHANNEL_STATE: heard = 1u << TRACKER_MISSED_ANSWER; break;
	case CALL_BRIDGE_ENTER:
	case CALL_BRIDGE_LEAVE: heard = 1u << TRACKER_MISSED_BRIDGE; break;
	case CALL_QUEUE_JOIN:
	case CALL_QUEUE_LEAVE:
	case CALL_QUEUE_ABANDON: heard = 1u << TRACKER_MISSED_QUEUE; break;
	case CALL_PARK:
	case CALL_UNPARK:
	case CALL_PARK_TIMEOUT:
	case CALL_PARK_GIVE_UP: heard = 1u << TRACKER_MISSED_PARK; break;
	default: break;
	}
	c->doubts &= ~heard;
}

/* Counts one thing missed of a channel, and notes it at its call. */
static void
count(struct tracker *t, struct chan *c, enum tracker_missed what)
{
	struct tcall *call = c->leg ? c->leg->call : c->group->call;
	bool its_own = call && (c == call->customer || (!c->leg && c == call->root));

	t->comparison.missed[what]++;
	t->comparison.events++;
	if (!call)
		return;
	if (!its_own && what <= TRACKER_MISSED_END)
		what = TRACKER_MISSED_LEG;
	call->pub.missed |= 1u << what;
	tracker_touch(t, call->group);
}

static void
settle_doubts(struct tracker *t, struct chan *c)
{
	unsigned doubts = c->doubts;

	c->doubts = 0;
	for (unsigned what = 0; doubts && what < TRACKER_MISSED_KINDS; what++)
		if (doubts & 1u << what)
			count(t, c, what);
}

void
compare_gone(struct tracker *t, struct chan *c)
{
	settle_doubts(t, c);
}

void
compare_lost(struct tracker *t, struct chan *c)
{
	count(t, c, TRACKER_MISSED_END);
}

void
compare_begin(struct tracker *t)
{
	struct tracker_compared *cmp = &t->comparison;

	if (!t->compare_due_us) {
		cmp->live = !t->link_lost;
		cmp->stopped = false;
		cmp->since_us = t->link_lost_us ? t->link_lost_us : t->compared_us;
	}
	cmp->live &= !t->link_lost;
	cmp->stopped |= t->stopped;
	cmp->at_us = t->now_us;
	t->compared_us = t->now_us;
	t->link_lost = t->stopped = false;
	t->compare_due_us = t->now_us + COMPARE_WAIT_US;
}

void
compare_interrupted(struct tracker *t)
{
	t->link_lost = true;
	if (t->compare_due_us)
		t->compare_due_us = t->now_us;
}

void
compare_tick(struct tracker *t, int64_t now_us)
{
	const struct tracker_observer *o = t->opts.observer;
	struct tracker_compared outcome;

	if (!t->compare_due_us || t->compare_due_us > now_us || t->in_snapshot)
		return;
	if (t->compare_due_us > t->now_us)
		t->now_us = t->compare_due_us;
	t->compare_due_us = 0;
	list_for_each (&t->lru, it)
		settle_doubts(t, LIST_ENTRY(it, struct chan, lru_link));
	tracker_settle(t);
	outcome = t->comparison;
	t->comparison = (struct tracker_compared){0};
	if (o->compared)
		o->compared(t->opts.observer_arg, &outcome);
}

void
compare_tell_call(struct tracker *t, struct tcall *call)
{
	const struct tracker_observer *o = t->opts.observer;
	unsigned untold = call->pub.missed & ~call->missed_told;

	call->missed_told = call->pub.missed;
	for (unsigned what = 0; untold && what < TRACKER_MISSED_KINDS; what++)
		if (untold & 1u << what && o->call_missed)
			o->call_missed(t->opts.observer_arg, &call->pub, what);
}
