/* tracker.c - the events' way into the tracker, and the changes' way out.
 *
 * tracker_apply writes the event's facts (apply_event and the files it calls), then
 * settles every group that was touched: begin a call, open legs, see how they are, look
 * whether the call is over; then the observer is told what differs. A group may ask to be
 * looked at again at a moment to come (`due`); tracker_tick, and every event by its own
 * time, does that. tracker_priv.h has the whole picture. */
#include <calls/tracker_priv.h>

#include <mem.h>
#include <str.h>

#include <assert.h>
#include <string.h>

/* ---- Telling ------------------------------------------------------------------------ */

static void
tell_leg(struct tracker *t, struct tcall *call, struct tleg *leg)
{
	const struct tracker_observer *o = t->opts.observer;
	void *arg = t->opts.observer_arg;

	if (!leg->changed)
		return;
	leg->changed = false;
	if (leg->pub.type == LEG_QUEUE) {
		if (o->queue_changed)
			o->queue_changed(arg, &call->pub, &leg->pub);
	} else if (leg->pub.pop && !leg->told) {
		leg->told = true;
		if (o->leg_begun)
			o->leg_begun(arg, &call->pub, &leg->pub);
		if (leg->pub.state == LEG_ENDED && o->leg_ended)
			o->leg_ended(arg, &call->pub, &leg->pub);
	} else if (leg->pub.pop && leg->pub.state == LEG_ENDED) {
		if (o->leg_ended)
			o->leg_ended(arg, &call->pub, &leg->pub);
	} else if (leg->pub.pop && o->leg_changed) {
		o->leg_changed(arg, &call->pub, &leg->pub);
	}
}

static void
tell_legs(struct tracker *t, struct tcall *call)
{
	list_for_each (&call->pub.legs, it)
		tell_leg(t, call, leg_of(it));
}

static void
tell_absorbed(struct tracker *t, struct tcall *call)
{
	const struct tracker_observer *o = t->opts.observer;

	while (!list_is_empty(&call->absorbed)) {
		struct tcall *gone =
			LIST_ENTRY(call->absorbed.next, struct tcall, absorbed_link);
		list_remove(&gone->absorbed_link);
		gone->pub.phase = CALL_PHASE_ENDED;
		if (gone->told) {
			tell_legs(t, gone);
			if (o->call_absorbed)
				o->call_absorbed(
					t->opts.observer_arg, &gone->pub, &call->pub);
		}
		call_free(gone);
	}
}

static void
tell(struct tracker *t, struct tcall *call)
{
	const struct tracker_observer *o = t->opts.observer;
	void *arg = t->opts.observer_arg;

	if (!call->told) {
		call->told = true;
		if (o->call_begun)
			o->call_begun(arg, &call->pub);
	} else if (call->changed && call->pub.phase != CALL_PHASE_ENDED &&
		   o->call_changed) {
		o->call_changed(arg, &call->pub);
	}
	call->changed = false;
	tell_legs(t, call);
	tell_absorbed(t, call);
	compare_tell_call(t, call);
	if (call->pub.phase == CALL_PHASE_ENDED && o->call_ended)
		o->call_ended(arg, &call->pub);
}

/* ---- Settling ------------------------------------------------------------------------ */

void
tracker_touch(struct tracker *t, struct group *g)
{
	if (g && !g->dirty_link.next)
		list_append(&t->dirty, &g->dirty_link);
}

static void
sooner(int64_t *due_us, int64_t candidate_us)
{
	if (candidate_us && (!*due_us || candidate_us < *due_us))
		*due_us = candidate_us;
}

static int64_t
group_due(const struct group *g)
{
	int64_t due_us = 0;

	list_for_each (&g->chans, it)
		sooner(&due_us,
			LIST_ENTRY(it, struct chan, group_link)->missing_due_us);
	if (!g->call)
		return due_us;
	sooner(&due_us, g->call->due_us);
	list_for_each (&g->call->pub.legs, it) {
		const struct tleg *leg = leg_of(it);
		if (leg->pub.state != LEG_ENDED)
			sooner(&due_us, leg->due_us);
	}
	return due_us;
}

/* `due` is sorted; as all waits are short and alike, the place is near its end. */
static void
set_due(struct tracker *t, struct group *g, int64_t due_us)
{
	struct list *at = t->due.prev;

	if (g->due_us == due_us)
		return;
	list_remove(&g->due_link);
	g->due_us = due_us;
	if (!due_us)
		return;
	at = t->due.prev;
	while (at != &t->due && LIST_ENTRY(at, struct group, due_link)->due_us > due_us)
		at = at->prev;
	list_prepend(at, &g->due_link);
}

/* The call stays at its customer's tombstone if its true ending may still come. */
static void
dispose(struct tracker *t, struct tcall *call)
{
	struct tombstone *tomb = NULL;

	if (call->lost && call->customer)
		tomb = map_find(&t->tombs, call->customer->uid);
	call->group->call = NULL;
	t->n_calls--;
	if (call->root)
		call->root->root_of = NULL;
	call->root = NULL;
	call->pub.user = NULL;
	if (tomb && !tomb->lost) {
		call->customer = NULL;
		call->group = NULL;
		tomb->lost = call;
	} else {
		call_free(call);
	}
}

static bool
is_needed(const struct group *g, const struct chan *c)
{
	return !c->gone || c->leg || c->root_of || (g->call && g->call->customer == c);
}

static void
sweep(struct tracker *t, struct group *g)
{
	list_for_each_safe (&g->chans, it) {
		struct chan *c = LIST_ENTRY(it, struct chan, group_link);
		if (!is_needed(g, c))
			chan_free(t, c);
	}
	if (list_is_empty(&g->chans) && !g->call)
		group_free(t, g);
	else
		set_due(t, g, group_due(g));
}

static void
drop_missing(struct tracker *t, struct group *g)
{
	list_for_each (&g->chans, it) {
		struct chan *c = LIST_ENTRY(it, struct chan, group_link);
		if (c->missing_due_us && c->missing_due_us <= t->now_us)
			snapshot_lost(t, c);
	}
}

static void
settle(struct tracker *t, struct group *g)
{
	struct tcall *call;

	drop_missing(t, g);
	list_remove(&g->dirty_link);
	call_begin_if_due(t, g);
	if ((call = g->call)) {
		call_choose_phone(t, call);
		call_choose_customer(t, call);
		meter_connect(t, call);
		legs_open(t, call);
		legs_settle(t, call);
		queue_settle(t, call);
		meter_settle(t, call);
		meter_phase(call);
		end_settle(t, call);
		tell(t, call);
		if (call->pub.phase == CALL_PHASE_ENDED)
			dispose(t, call);
	}
	sweep(t, g);
}

/* Settling one group may touch another; each is settled again at most a few times. */
void
tracker_settle(struct tracker *t)
{
	while (!list_is_empty(&t->dirty))
		settle(t, LIST_ENTRY(t->dirty.next, struct group, dirty_link));
}

/* ---- Facts of single events ------------------------------------------------------------ */

static void
on_hangup(struct tracker *t, const struct call_event *ev)
{
	struct chan *c = chan_find(t, ev->boot, ev->uid);

	if (!c)
		return;
	chan_update(t, c, ev);
	c->cause = ev->cause;
	chan_tell_answer(t, c);
	if (ev->flags & CALL_SHUTDOWN)
		c->shutdown = true;
	if (c->shutdown && c->group->call && c->group->call->customer == c)
		c->group->call->shutdown = true;
	originate_hung_up(t, c);
	chan_gone(t, c, t->now_us);
}

static void
on_hangup_request(struct tracker *t, const struct call_event *ev)
{
	struct chan *c = chan_find(t, ev->boot, ev->uid);

	if (!c)
		return;
	c->asked_hangup = true;
	if (ev->flags & CALL_SHUTDOWN)
		c->shutdown = true;
	if (!(ev->flags & CALL_SOFT)) {
		c->far_hangup = true;
		c->request_cause = ev->cause;
	}
	chan_update(t, c, ev);
	chan_touch(t, c);
}

/* The dialled channel of a DIAL_… or QUEUE_… event, unless it is over. */
static struct chan *
other_of(struct tracker *t, const struct call_event *ev)
{
	struct chan *other = chan_find(t, ev->boot, ev->other_uid);

	if (other)
		chan_set_other(t, other, ev);
	return other;
}

static void
set_dialer(struct tracker *t, struct chan *other, const struct call_event *ev)
{
	struct chan *c;

	if (str_empty(ev->uid))
		return;
	if (ev->boot) {
		buf_clear(&t->other_key);
		buf_printf(&t->other_key, "%s/%s", ev->boot, ev->uid);
		chan_set(&other->dialer, buf_str(&t->other_key));
	} else {
		chan_set(&other->dialer, ev->uid);
	}
	c = chan_by_key(t, other->dialer);
	if (c && !ev->other_linked)
		chan_union(t, c, other);
}

static void
on_dial_begin(struct tracker *t, const struct call_event *ev)
{
	struct chan *other = other_of(t, ev);

	if (!other || other->dialled)
		return;
	other->dialled = true;
	other->outgoing = true;
	if (!other->offered_us)
		other->offered_us = t->now_us;
	set_dialer(t, other, ev);
	chan_set(&other->dial_number, ev->dial_string);
	chan_set(&other->shown_number, ev->caller_number);
	chan_touch(t, other);
}

/* Who dials a phone does nothing else meanwhile: what is told of the phone's ringing until
 * now tells of its callers too. */
static void
dialer_waited(struct tracker *t, const struct chan *other)
{
	struct chan *c = other->dialled ? chan_by_key(t, other->dialer) : NULL;

	for (int depth = 0; c && depth < 8; depth++) {
		c->unheard = false;
		c = c->side == SIDE_LOCAL ? chan_by_key(t, c->partner) : NULL;
		c = c ? chan_by_key(t, c->dialer) : NULL;
	}
}

static void
on_dial_end(struct tracker *t, const struct call_event *ev)
{
	struct chan *other = other_of(t, ev);

	if (!other || other->dial_result != CALL_RESULT_NONE)
		return;
	other->dial_result = ev->result;
	other->unheard = false; /* it was on offer until now */
	dialer_waited(t, other);
	if (ev->result == CALL_RESULT_ANSWER) {
		other->answered = true;
		other->answered_us = t->now_us;
	} else {
		other->off_us = t->now_us;
	}
	chan_touch(t, other);
}

static void
on_queue(struct tracker *t, const struct call_event *ev)
{
	struct chan *c = chan_find(t, ev->boot, ev->uid), *other = other_of(t, ev);

	if (other && ev->queue)
		chan_set(&other->offer_queue, ev->queue);
	if (other && ev->type == CALL_QUEUE_OFFER && !other->dialer)
		set_dialer(t, other, ev);
	if (other && ev->type == CALL_QUEUE_NO_ANSWER) {
		other->no_answer = true;
		other->unheard = false;
	}
	if (other && ev->type == CALL_QUEUE_CONNECT && !other->answered) {
		other->answered = true;
		other->answered_us = t->now_us;
	}
	if (other && ev->type == CALL_QUEUE_COMPLETE && other->leg &&
		ev->result == CALL_RESULT_TRANSFER && other->leg->pub.answered_us)
		leg_force(t, other, CALL_REASON_TRANSFERRED);
	if (other)
		chan_touch(t, other);
	if (c && ev->type == CALL_QUEUE_JOIN && ev->queue)
		queue_joined(t, c, ev->queue, t->now_us);
	else if (c && (ev->type == CALL_QUEUE_LEAVE || ev->type == CALL_QUEUE_ABANDON))
		queue_left(t, c, ev);
}

static void
join_bridged(struct tracker *t, struct chan *c)
{
	if (!c->bridge || c->bridge->parking)
		return;
	list_for_each_safe (&c->bridge->chans, it)
		chan_union(t, c, LIST_ENTRY(it, struct chan, bridge_link));
}

static void
on_bridge(struct tracker *t, const struct call_event *ev)
{
	struct chan *c = chan_find(t, ev->boot, ev->uid);

	if (!c || str_empty(ev->bridge))
		return;
	if (ev->type == CALL_BRIDGE_ENTER) {
		c->unheard = false;
		chan_enter(t, c, ev->bridge, ev->flags & CALL_PARKING_BRIDGE);
		if (!ev->linked)
			join_bridged(t, c);
	} else if (c->bridge && strcmp(c->bridge->id, ev->bridge) == 0) {
		chan_leave(t, c);
		chan_touch(t, c);
	}
}

static void
on_hold(struct tracker *t, const struct call_event *ev)
{
	struct chan *c = chan_find(t, ev->boot, ev->uid);
	bool hold = ev->type == CALL_HOLD;

	if (!c || c->hold == hold)
		return;
	c->hold = hold;
	if (!hold)
		c->unhold_us = t->now_us;
	chan_touch(t, c);
}

static void
on_local(struct tracker *t, const struct call_event *ev)
{
	struct chan *one = chan_find(t, ev->boot, ev->uid);
	struct chan *two = chan_find(t, ev->boot, ev->other_uid);

	if (!one || !two)
		return;
	one->side = two->side = SIDE_LOCAL;
	chan_set(&one->partner, two->uid);
	chan_set(&two->partner, one->uid);
	if (!ev->linked)
		chan_union(t, one, two);
	chan_touch(t, one);
	chan_touch(t, two);
}

/* What the dialplan says of a call beside where it goes. */
static void
on_remark(struct tracker *t, const struct call_event *ev)
{
	struct chan *c = chan_find(t, ev->boot, ev->uid);
	struct tcall *call = c ? c->group->call : NULL;

	if (!call)
		return;
	if (ev->type == CALL_RECORDING)
		call_add_recording(call, ev->detail);
	else if (ev->type == CALL_VOICEMAIL && c == call->customer)
		call_set_text(call, &call->pub.voicemail,
			ev->detail	      ? ev->detail
			: call->pub.voicemail ? NULL
					      : ev->exten);
	else if (ev->type == CALL_APPLICATION && c == call->customer &&
		 str_ieq(ev->detail, "Queue"))
		call_set_text(call, &call->pub.queue, ev->exten);
	chan_touch(t, c);
}

static void
on_unknown(struct tracker *t, const struct call_event *ev)
{
	struct tombstone *tomb = tomb_find(t, ev->boot, ev->uid);

	if (!tomb) {
		t->stats.unknown++;
		return;
	}
	t->stats.duplicates++;
	if (tomb->lost)
		end_correct(t, tomb, ev);
}

static void
apply_event(struct tracker *t, const struct call_event *ev)
{
	switch (ev->type) {
	case CALL_CHANNEL_HANGUP: on_hangup(t, ev); break;
	case CALL_HANGUP_REQUEST: on_hangup_request(t, ev); break;
	case CALL_DIAL_BEGIN: on_dial_begin(t, ev); break;
	case CALL_DIAL_STATE: other_of(t, ev); break;
	case CALL_DIAL_END: on_dial_end(t, ev); break;
	case CALL_QUEUE_JOIN:
	case CALL_QUEUE_LEAVE:
	case CALL_QUEUE_ABANDON:
	case CALL_QUEUE_OFFER:
	case CALL_QUEUE_NO_ANSWER:
	case CALL_QUEUE_CONNECT:
	case CALL_QUEUE_COMPLETE: on_queue(t, ev); break;
	case CALL_BRIDGE_ENTER:
	case CALL_BRIDGE_LEAVE: on_bridge(t, ev); break;
	case CALL_HOLD:
	case CALL_UNHOLD: on_hold(t, ev); break;
	case CALL_LOCAL_BRIDGE: on_local(t, ev); break;
	case CALL_RECORDING:
	case CALL_VOICEMAIL:
	case CALL_APPLICATION: on_remark(t, ev); break;
	case CALL_CHANNEL_NEW:
	case CALL_CHANNEL_STATE:
	case CALL_CHANNEL_UPDATE:
	case CALL_VARIABLE:
	case CALL_DTMF:
	case CALL_LOCAL_OPTIMIZED:
		break; /* its channel has been updated: that is all */
	default: transfer_apply(t, ev); snapshot_apply(t, ev);
	}
}

/* Every event says something of its own channel; a hangup and a snapshot's items do so in
 * their own way. Returns false if the event is of a channel that is over, or was never
 * there: nothing of it is to be applied, but what it says of other channels. */
static bool
apply_channel(struct tracker *t, const struct call_event *ev)
{
	struct chan *c;

	if (str_empty(ev->uid) || ev->type == CALL_SNAPSHOT_CHANNEL ||
		ev->type == CALL_ORIGINATE || ev->type == CALL_CHANNEL_HANGUP ||
		ev->type == CALL_HANGUP_REQUEST)
		c = NULL;
	else if (ev->type == CALL_CHANNEL_NEW)
		c = chan_upsert(t, ev);
	else
		c = chan_find(t, ev->boot, ev->uid);
	if (c) {
		chan_update(t, c, ev);
		if (!t->listed)
			compare_heard(c, ev->type);
		c->asked &= ev->type == CALL_ORIGINATE_RESULT;
	} else if (!str_empty(ev->uid) && !chan_find(t, ev->boot, ev->uid) &&
		   ev->type != CALL_SNAPSHOT_CHANNEL && ev->type != CALL_ORIGINATE) {
		on_unknown(t, ev);
	}
	return c != NULL;
}

/* A call that the list has told of begins when the list is whole; but not only after it
 * has come to an end. */
static void
begin_listed(struct tracker *t, const struct call_event *ev)
{
	struct chan *c;

	if (!t->in_snapshot ||
		(ev->type != CALL_CHANNEL_HANGUP && ev->type != CALL_HANGUP_REQUEST &&
			ev->type != CALL_BRIDGE_LEAVE))
		return;
	c = chan_find(t, ev->boot, ev->uid);
	if (!c || c->group->call || !c->group->recovered || c->group->at_once)
		return;
	c->group->at_once = true;
	tracker_touch(t, c->group);
	tracker_settle(t);
}

/* ---- The outside ------------------------------------------------------------------------ */

struct tracker *
tracker_new(const struct tracker_opts *opts)
{
	struct tracker *t = xcalloc(1, sizeof(*t));

	t->opts = *opts;
	t->tenant = xstrdup(opts->tenant);
	t->channel = xstrdup(opts->channel);
	t->max_channels = opts->max_channels ? opts->max_channels : MAX_CHANNELS;
	t->link_lost = true; /* nothing has been compared yet */
	t->snapshot = 1; /* a replay may begin inside a list: its items belong to one */
	map_init(&t->chans);
	map_init(&t->groups);
	map_init(&t->bridges);
	map_init(&t->tombs);
	list_init(&t->groups_list);
	list_init(&t->dirty);
	list_init(&t->due);
	list_init(&t->lru);
	list_init(&t->tomb_list);
	list_init(&t->originates);
	return t;
}

void
tracker_free(struct tracker **tp)
{
	struct tracker *t = *tp;

	*tp = NULL;
	if (!t)
		return;
	list_for_each_safe (&t->groups_list, it) {
		struct group *g = LIST_ENTRY(it, struct group, link);
		if (g->call)
			call_free(g->call);
		g->call = NULL;
		list_for_each_safe (&g->chans, ch)
			chan_free(t, LIST_ENTRY(ch, struct chan, group_link));
		group_free(t, g);
	}
	tombs_expire(t, true);
	originates_clear(t);
	map_fini(&t->chans);
	map_fini(&t->groups);
	map_fini(&t->bridges);
	map_fini(&t->tombs);
	buf_fini(&t->key);
	buf_fini(&t->other_key);
	xfree(&t->tenant);
	xfree(&t->channel);
	mem_free(t);
}

void
tracker_apply(struct tracker *t, const struct call_event *ev, uint64_t seq)
{
	if (ev->at_us > t->now_us)
		tracker_tick(t, ev->at_us);
	/* Nothing is waited for before 1970: 0 is "no time" everywhere here. */
	if (ev->at_us > 0)
		t->now_us = ev->at_us; /* may be earlier: facts keep their own times */
	t->seq = seq;
	t->event_no++;
	t->stats.events++;
	t->listed = ev->type >= CALL_SNAPSHOT_BEGIN && ev->type <= CALL_SNAPSHOT_END;
	begin_listed(t, ev);
	apply_channel(t, ev);
	apply_event(t, ev);
	tracker_settle(t);
}

static int64_t
next_group_due(const struct tracker *t)
{
	return list_is_empty(&t->due)
		       ? 0
		       : LIST_ENTRY(t->due.next, struct group, due_link)->due_us;
}

int64_t
tracker_next_due(const struct tracker *t)
{
	int64_t due_us = next_group_due(t);

	if (t->compare_due_us && (!due_us || t->compare_due_us < due_us))
		return t->compare_due_us;
	return due_us;
}

void
tracker_tick(struct tracker *t, int64_t now_us)
{
	int64_t due_us;

	while ((due_us = next_group_due(t)) && due_us <= now_us) {
		struct group *g = LIST_ENTRY(t->due.next, struct group, due_link);
		if (due_us > t->now_us)
			t->now_us = due_us;
		set_due(t, g, 0);
		tracker_touch(t, g);
		tracker_settle(t);
	}
	compare_tick(t, now_us);
}

bool
tracker_knows(struct tracker *t, const char *boot, const char *uid)
{
	return chan_find(t, boot, uid) != NULL;
}

unsigned
tracker_item_flags(struct tracker *t, const struct call_event *ev)
{
	const struct chan *c = ev->type == CALL_SNAPSHOT_CHANNEL
				       ? chan_find(t, ev->boot, ev->uid)
				       : NULL;

	if (!c)
		return 0;
	return c->group->rooted ? CALL_KNOWN | CALL_VOUCHED : CALL_KNOWN;
}

/* No call is older than its group. */
uint64_t
tracker_oldest_seq(const struct tracker *t)
{
	const struct group *oldest =
		LIST_ENTRY(t->groups_list.next, struct group, link);

	return list_is_empty(&t->groups_list) ? UINT64_MAX : oldest->first_seq;
}

void
tracker_get_stats(const struct tracker *t, struct tracker_stats *stats)
{
	*stats = t->stats;
	stats->calls = t->n_calls;
}
