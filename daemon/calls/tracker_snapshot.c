/* tracker_snapshot.c - comparing with the phone system's own list, and losing channels.
 *
 * An item of a snapshot is a fact like any other; what was not known begins, as
 * `recovered`. A channel that the list does not name and that has been silent since the
 * list was begun is missing: MISSING_WAIT_US later it is gone, unless its true ending
 * comes first. The last moment at which it was surely there is its last event, or the
 * moment when we stopped hearing the phone system.
 *
 * A channel is `unheard` from then on, until a list or an event tells what it did
 * meanwhile; if it never becomes known, what ends with it is `interrupted`. */
#include <calls/tracker_priv.h>

#include <mem.h>
#include <str.h>

#include <string.h>

static int64_t
last_known(const struct tracker *t, const struct chan *c)
{
	return t->link_lost_us > c->last_us ? t->link_lost_us : c->last_us;
}

static void
mark_missing(struct tracker *t, struct chan *c)
{
	if (c->missing_due_us)
		return;
	c->missing_due_us = t->now_us + MISSING_WAIT_US;
	c->missing_last_us = last_known(t, c);
	chan_touch(t, c);
}

void
snapshot_lost(struct tracker *t, struct chan *c)
{
	int64_t at_us = c->missing_due_us ? c->missing_last_us : last_known(t, c);

	c->vanished = true;
	struct tcall *call = c->group->call ? c->group->call : c->root_of;
	if (call && (call->customer ? call->customer == c : call->root == c)) {
		call->lost = true;
		call->meter_lost = call->meter;
	}
	if (c->missing_due_us)
		compare_lost(t, c);
	chan_gone(t, c, at_us);
}

/* Beyond the bound the channel that has been silent longest is given up. */
void
snapshot_overflow(struct tracker *t)
{
	struct chan *oldest;

	if (t->stats.channels < t->max_channels || list_is_empty(&t->lru))
		return;
	oldest = LIST_ENTRY(t->lru.next, struct chan, lru_link);
	t->stats.overflowed++;
	snapshot_lost(t, oldest);
}

static void
on_begin(struct tracker *t)
{
	t->snapshot++;
	t->snapshot_begin_no = t->event_no;
	t->in_snapshot = true;
}

/* What the list says that events have not said; of one it begins, that is all of it. */
static void
doubt_item(struct tracker *t, struct chan *c, const struct call_event *ev, bool known)
{
	const char *listed = str_empty(ev->bridge) ? NULL : ev->bridge;

	if (!known) {
		compare_doubt(t, c, TRACKER_MISSED_BEGIN);
		return;
	}
	if (ev->state == CALL_STATE_UP && c->state != CALL_STATE_UP)
		compare_doubt(t, c, TRACKER_MISSED_ANSWER);
	if (!str_eq(listed, c->bridge ? c->bridge->id : NULL))
		compare_doubt(t, c, TRACKER_MISSED_BRIDGE);
}

/* Which half belongs to which is in no list; but they are named alike, but for the ;1 and
 * ;2 at the end. */
static void
pair_local(struct chan *c, const char *name)
{
	const char *semicolon = name ? strrchr(name, ';') : NULL;

	if (!semicolon || c->partner)
		return;
	mem_free(c->local_name);
	c->local_name = xstrndup(name, (size_t)(semicolon - name));
	list_for_each (&c->group->chans, it) {
		struct chan *half = LIST_ENTRY(it, struct chan, group_link);
		if (half == c || half->partner || half->gone ||
			!str_eq(half->local_name, c->local_name))
			continue;
		c->side = half->side = SIDE_LOCAL;
		chan_set(&c->partner, half->uid);
		chan_set(&half->partner, c->uid);
	}
}

/* Known when it was listed, and not, or not so well, now: this is a replay from a
 * checkpoint that the call's beginning was before, so it is over and written. What the
 * replay has of its end makes no call, whatever else the list has of it. */
static bool
is_over(struct tracker *t, const struct call_event *ev)
{
	struct chan *c = chan_find(t, ev->boot, ev->uid);

	if (c && (c->group->rooted || !(ev->flags & CALL_VOUCHED))) {
		c->group->over = false; /* it is there, after all that was replayed */
		return false;
	}
	if (!(ev->flags & (CALL_KNOWN | CALL_VOUCHED)))
		return false;
	if (c)
		c->group->over = !c->group->call;
	return true;
}

static void
on_item(struct tracker *t, const struct call_event *ev)
{
	bool known = chan_find(t, ev->boot, ev->uid) != NULL;
	struct chan *c;
	bool stale;

	if (is_over(t, ev))
		return;
	c = chan_upsert(t, ev);
	if (!c)
		return;
	/* What events said of bridges since the list was begun is newer than the list. */
	stale = known && c->bridge_event >= t->snapshot_begin_no && t->in_snapshot;
	c->snapshot = t->snapshot;
	if (!stale)
		doubt_item(t, c, ev, known);
	if (!known || !c->group->rooted) {
		c->group->recovered = true;
		c->group->rooted = true;
		if (ev->age_ms > 0 && t->now_us - ev->age_ms * 1000 < c->group->at_us)
			c->group->at_us = t->now_us - ev->age_ms * 1000;
		if (ev->linked)
			c->outgoing = !str_eq(ev->linked, ev->uid) ||
				      ev->flags & CALL_OUTGOING;
	}
	chan_update(t, c, ev);
	if (ev->flags & CALL_LOCAL)
		pair_local(c, ev->name);
	if (stale)
		return;
	if (ev->bridge && *ev->bridge)
		chan_enter(t, c, ev->bridge, ev->flags & CALL_PARKING_BRIDGE);
	else
		chan_leave(t, c);
}

static void
on_waiting(struct tracker *t, const struct call_event *ev)
{
	struct chan *c = chan_find(t, ev->boot, ev->uid);

	if (!c || !ev->queue)
		return;
	c->snapshot_waiting = true;
	if (c->queue_over && str_eq(c->queue, ev->queue))
		return;
	if (!c->queue || c->queue_left_us || !str_eq(c->queue, ev->queue))
		compare_doubt(t, c, TRACKER_MISSED_QUEUE);
	queue_joined(t, c, ev->queue, t->now_us - ev->age_ms * 1000);
}

static void
on_parked(struct tracker *t, const struct call_event *ev)
{
	struct chan *c = chan_find(t, ev->boot, ev->uid);

	if (!c || (c->bridge && c->bridge->known && !c->bridge->parking))
		return; /* fetched while the list was made */
	c->snapshot_parked = true;
	if (c->bridge)
		c->bridge->parking = true;
	if (!c->parked)
		compare_doubt(t, c, TRACKER_MISSED_PARK);
	park_set(t, c, true);
}

/* What a channel did while nobody listened: left its queue, was fetched. */
static void
compare(struct tracker *t, struct chan *c)
{
	if (c->group->recovered)
		chan_touch(t, c);
	if (c->snapshot != t->snapshot) {
		if (c->last_event < t->snapshot_begin_no)
			mark_missing(t, c);
		return;
	}
	if (c->queue && !c->queue_left_us && !c->snapshot_waiting &&
		c->queue_event < t->snapshot_begin_no) {
		c->queue_left_us = last_known(t, c);
		c->queue_left_unheard = true;
		compare_doubt(t, c, TRACKER_MISSED_QUEUE);
		chan_touch(t, c);
	}
	if (c->unheard)
		c->dark |= t->now_us >
			   t->link_lost_us +
				   (c->state == CALL_STATE_UP ? BRIEF_US : INSTANT_US);
	c->unheard = false;
	if (c->last_event < t->snapshot_begin_no && c->parked && !c->snapshot_parked) {
		compare_doubt(t, c, TRACKER_MISSED_PARK);
		park_set(t, c, false);
	}
}

static void
on_end(struct tracker *t)
{
	if (!t->in_snapshot)
		return;
	t->in_snapshot = false;
	list_for_each (&t->lru, it) {
		struct chan *c = LIST_ENTRY(it, struct chan, lru_link);
		compare(t, c);
		c->snapshot_waiting = c->snapshot_parked = false;
	}
	compare_begin(t);
	t->link_lost_us = 0;
}

static void
on_link_lost(struct tracker *t)
{
	t->in_snapshot = false;
	if (!t->link_lost_us) /* else no list has told since */
		t->link_lost_us = t->now_us;
	list_for_each (&t->lru, it) {
		struct chan *c = LIST_ENTRY(it, struct chan, lru_link);
		c->unheard = c->was_unheard = true;
	}
	compare_interrupted(t);
}

/* That it has started anew is known some events after the login: of those of them that
 * began a channel, the new life has begun already. */
static bool
is_of_new_life(const struct tracker *t, const struct chan *c)
{
	return t->link_lost_us && c && !c->unheard;
}

/* It stops, or has started anew: nothing that was there is there any more. */
static void
on_stopped(struct tracker *t)
{
	t->stopped = true;
	list_for_each (&t->lru, it) {
		struct chan *c = LIST_ENTRY(it, struct chan, lru_link);
		if (is_of_new_life(t, c))
			continue;
		c->shutdown = true;
		mark_missing(t, c);
	}
	list_for_each (&t->groups_list, it) {
		struct group *g = LIST_ENTRY(it, struct group, link);
		if (!g->call || is_of_new_life(t, g->call->customer ? g->call->customer
								    : g->call->root))
			continue;
		g->call->shutdown = true;
		tracker_touch(t, g);
	}
}

void
snapshot_apply(struct tracker *t, const struct call_event *ev)
{
	switch (ev->type) {
	case CALL_SNAPSHOT_BEGIN: on_begin(t); break;
	case CALL_SNAPSHOT_CHANNEL: on_item(t, ev); break;
	case CALL_SNAPSHOT_WAITING: on_waiting(t, ev); break;
	case CALL_SNAPSHOT_PARKED: on_parked(t, ev); break;
	case CALL_SNAPSHOT_END: on_end(t); break;
	case CALL_LINK_LOST: on_link_lost(t); break;
	case CALL_SYSTEM_STOPPED: on_stopped(t); break;
	default: break;
	}
}
