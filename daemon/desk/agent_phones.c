/* agent_phones.c - phones and queue memberships, as the phone systems tell of them.
 *
 *	source (a channel) -> phones (by name) -> queues (memberships)
 *	                         `-> whose it is, by the directory
 *
 * A change that somebody made there (a pause, live) is a choice of the agent's, unless
 * it is the echo of an order of ours. A pause counts when all of the agent's memberships
 * on that phone system are paused, its end when they were and one is not any more. How
 * things are (a list, after each connection and now and then) is taken in silently, and
 * judged when the list is whole (agent_item_tells).
 *
 * Times are the phone system's; what its clock differs from ours is learnt from its
 * events: the least time one took to come. Next: agent_orders.c. */
#include <desk/agent_states_priv.h>

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <io/channel.h>

#include <string.h>

#define PHONES_MAX 20000 /* of one channel */
#define QUEUES_MAX 256	 /* of one phone */
/* A live event is never older than this. */
#define LATE_MAX_US INT64_C(2000000)

/* ---- Sources ---- */

static struct phone_source *
source_find(struct agent_states *as, const struct channel *ch)
{
	list_for_each (&as->sources, it) {
		struct phone_source *src = LIST_ENTRY(it, struct phone_source, link);
		if (src->channel == ch)
			return src;
	}
	return NULL;
}

static struct phone_source *
source_get(struct agent_states *as, struct channel *ch)
{
	struct phone_source *src = source_find(as, ch);
	const struct tenant *t = store_tenant(as->opts.store, channel_tenant(ch));

	if (src || !t || !(channel_core_ops(ch)->caps & CHANNEL_PHONE) ||
		channel_core_state(ch) == CHANNEL_CLOSING)
		return src;
	src = xcalloc(1, sizeof(*src));
	src->channel = ch;
	src->tenant = t;
	src->conf = channel_conf(ch);
	map_init(&src->phones);
	list_append(&as->sources, &src->link);
	return src;
}

static void
queue_free(struct agent_phone *p, struct agent_queue *q)
{
	list_remove(&q->link);
	p->n_queues--;
	mem_free(q->name);
	mem_free(q);
}

static void
phone_free(struct agent_phone *p)
{
	list_for_each_safe (&p->queues, it)
		queue_free(p, LIST_ENTRY(it, struct agent_queue, link));
	if (p->order)
		p->order->phone = NULL;
	list_remove(&p->link);
	mem_free(p->name);
	mem_free(p->endpoint);
	mem_free(p->presence);
	mem_free(p);
}

static void
phone_free_entry(const char *name, void *phone, void *arg)
{
	(void)name, (void)arg;
	phone_free(phone);
}

static void
source_free(struct phone_source *src)
{
	map_each(&src->phones, phone_free_entry, NULL);
	map_fini(&src->phones);
	list_remove(&src->link);
	mem_free(src);
}

void
agent_sources_free(struct agent_states *as)
{
	while (!list_is_empty(&as->sources))
		source_free(LIST_ENTRY(as->sources.next, struct phone_source, link));
}

/* By our clock: an event's own time, and what its clock lags behind. Items of lists have
 * none of their own. */
static int64_t
our_time(struct phone_source *src, const struct member_event *ev)
{
	int64_t now = clock_wall_us(), at_us = ev->at_us, skew = now - at_us;

	if (ev->snapshot)
		return now;
	if (!src->skew_known || skew < src->skew_us) {
		src->skew_us = skew;
		src->skew_known = true;
	}
	at_us += src->skew_us;
	return at_us < now - LATE_MAX_US ? now - LATE_MAX_US : at_us;
}

/* ---- Whose phone it is ---- */

static struct agent_record *
agent_of(struct agent_states *as, struct phone_source *src, const struct agent_phone *p)
{
	const char *who = p->presence ? p->presence : p->endpoint, *id;
	char *pattern;

	if (phone_conf_is_trunk(src->conf, p->endpoint))
		return NULL;
	pattern = phone_conf_agent(src->conf, who);
	if (!pattern && p->presence)
		pattern = phone_conf_agent(src->conf, p->endpoint);
	id = agents_of_endpoint(as->opts.agents, src->tenant->name,
		channel_name(src->channel), who, pattern);
	mem_free(pattern);
	return id ? agent_record_get(as, src->tenant->name, id) : NULL;
}

/* Returns whose it was; the caller tells both that something changed. */
static struct agent_record *
phone_resolve(struct agent_states *as, struct agent_phone *p)
{
	struct agent_record *was = p->agent;

	p->generation = as->generation;
	p->agent = agent_of(as, p->source, p);
	if (p->agent == was)
		return was;
	list_remove(&p->link);
	if (p->agent)
		list_append(&p->agent->phones, &p->link);
	p->result = ORDER_NONE;
	p->wished = false;
	p->agreed = true;
	return was;
}

static void
see_phone(struct agent_states *as, struct agent_record *r, int64_t at_us)
{
	if (!r)
		return;
	agent_phones_reach(r, at_us);
	if (!r->facts.unreachable && !list_is_empty(&r->phones))
		agent_facts_see(&r->facts, at_us);
	agent_record_changed(as, r, false);
}

static void
refresh_phone(const char *name, void *value, void *arg)
{
	struct agent_states *as = arg;
	struct agent_phone *p = value;
	struct agent_record *was = phone_resolve(as, p);
	int64_t now = clock_wall_us();

	(void)name;
	if (was == p->agent)
		return;
	see_phone(as, was, now);
	see_phone(as, p->agent, now);
}

void
agent_phones_refresh(struct agent_states *as)
{
	unsigned long generation = agents_generation(as->opts.agents);

	if (as->generation == generation)
		return;
	as->generation = generation;
	list_for_each (&as->sources, it)
		map_each(&LIST_ENTRY(it, struct phone_source, link)->phones,
			refresh_phone, as);
}

static struct agent_phone *
phone_get(struct agent_states *as, struct phone_source *src, const char *name,
	const struct member_event *ev)
{
	struct agent_phone *p = map_find(&src->phones, name);

	if (p || src->phones.len >= PHONES_MAX)
		return p;
	p = xcalloc(1, sizeof(*p));
	p->source = src;
	p->name = xstrdup(name);
	p->endpoint = xstrdup(ev->interface);
	p->presence = xstrdup(ev->presence);
	list_init(&p->queues);
	p->agreed = true;
	map_put(&src->phones, name, p);
	phone_resolve(as, p);
	return p;
}

/* ---- Reach ---- */

/* What nothing is known of is no reason to be offline. */
void
agent_phones_reach(struct agent_record *r, int64_t at_us)
{
	bool known = false, reachable = false;

	list_for_each (&r->phones, it) {
		const struct agent_phone *p = LIST_ENTRY(it, struct agent_phone, link);
		if (p->device == DEVICE_UNKNOWN)
			continue;
		known = true;
		reachable = reachable || (p->device != DEVICE_UNAVAILABLE &&
						 p->device != DEVICE_INVALID);
	}
	agent_facts_reach(&r->facts, reachable || r->sessions || !known, at_us);
}

static void
on_device(struct agent_states *as, struct phone_source *src,
	const struct member_event *ev, int64_t at_us)
{
	struct agent_phone *p = phone_get(as, src, ev->interface, ev);

	if (!p)
		return;
	p->round = src->round;
	if (p->device == ev->device)
		return;
	p->device = ev->device;
	p->device_us = at_us;
	see_phone(as, p->agent, at_us);
}

/* ---- Memberships ---- */

static struct agent_queue *
queue_find(const struct agent_phone *p, const char *name)
{
	list_for_each (&p->queues, it) {
		struct agent_queue *q = LIST_ENTRY(it, struct agent_queue, link);
		if (str_eq(q->name, name))
			return q;
	}
	return NULL;
}

static struct agent_queue *
queue_new(struct agent_phone *p, const char *name)
{
	struct agent_queue *q;

	if (p->n_queues >= QUEUES_MAX)
		return NULL;
	q = xcalloc(1, sizeof(*q));
	q->name = xstrdup(name);
	q->before = -1;
	list_append(&p->queues, &q->link);
	p->n_queues++;
	return q;
}

bool
agent_phones_all_paused(const struct agent_record *r, const struct phone_source *src)
{
	bool member = false;

	list_for_each (&r->phones, it) {
		const struct agent_phone *p = LIST_ENTRY(it, struct agent_phone, link);
		if (p->source != src)
			continue;
		list_for_each (&p->queues, at) {
			if (!LIST_ENTRY(at, struct agent_queue, link)->paused)
				return false;
			member = true;
		}
	}
	return member;
}

static bool
choose(struct agent_record *r, enum agent_mode mode, const char *reason, int64_t at_us)
{
	struct agent_choice c = {
		.mode = mode, .at_us = at_us, .source = AGENT_BY_PHONE};

	str_copy(c.reason, sizeof(c.reason), reason ? reason : "");
	return agent_facts_choose(&r->facts, &c);
}

static void
set_paused(
	struct phone_source *src, struct agent_queue *q, const struct member_event *ev)
{
	q->paused = ev->paused == 1;
	str_copy(q->reason, sizeof(q->reason), ev->reason ? ev->reason : "");
	q->last_pause_us =
		ev->last_pause_us
			? ev->last_pause_us + (src->skew_known ? src->skew_us : 0)
			: 0;
}

/* A pause, or its end, that somebody made just now. */
static void
on_pause(struct agent_states *as, struct agent_phone *p, struct agent_queue *q,
	const struct member_event *ev, int64_t at_us)
{
	struct agent_record *r = p->agent;
	bool before = r && agent_phones_all_paused(r, p->source), kept = false;

	if (agent_echo_take(q, ev->paused == 1)) {
		if (!q->n_echoes)
			set_paused(p->source, q, ev);
		if (r)
			agent_record_changed(as, r, false);
		return;
	}
	set_paused(p->source, q, ev);
	p->result = ORDER_NONE;
	if (!r)
		return;
	bool after = agent_phones_all_paused(r, p->source);
	if (p->source->listed && ev->paused == 1 && after)
		kept = choose(r, AGENT_PAUSED, ev->reason, at_us);
	else if (p->source->listed && ev->paused == 0 && before && !after)
		kept = choose(r, AGENT_AVAILABLE, NULL, at_us);
	agent_record_changed(as, r, kept);
}

/* A membership seen for the first time: a pause of ours is passed on to it. */
static void
on_new_queue(struct agent_states *as, struct phone_source *src, struct agent_phone *p,
	const struct member_event *ev, int64_t at_us)
{
	struct agent_queue *q = queue_new(p, ev->queue);

	if (!q)
		return;
	q->round = src->round;
	set_paused(src, q, ev);
	p->result = ORDER_NONE;
	if (!p->agent || !src->listed)
		return;
	bool kept = !ev->snapshot && q->paused &&
		    agent_phones_all_paused(p->agent, src) &&
		    choose(p->agent, AGENT_PAUSED, ev->reason, at_us);
	agent_facts_see(&p->agent->facts, at_us);
	agent_record_changed(as, p->agent, kept);
}

static void
on_membership(struct agent_states *as, struct phone_source *src,
	const struct member_event *ev, int64_t at_us)
{
	const char *name = ev->member ? ev->member : ev->interface;
	struct agent_phone *p = phone_get(as, src, name, ev);
	struct agent_queue *q = p ? queue_find(p, ev->queue) : NULL;

	if (ev->removed) {
		if (q)
			queue_free(p, q);
		if (q && p->agent)
			agent_record_changed(as, p->agent, false);
	} else if (p && !q) {
		on_new_queue(as, src, p, ev, at_us);
	} else if (q) {
		q->round = src->round;
		if (ev->paused >= 0 && !ev->snapshot)
			on_pause(as, p, q, ev, at_us);
		else if (ev->paused >= 0 && !q->n_echoes && !src->listed)
			set_paused(src, q, ev);
	}
}

/* ---- Lists ---- */

/* Newest of what the items say, for all memberships on this phone system: as if the
 * agent had one. */
struct found {
	int64_t last_pause_us;
	const char *reason;
	bool agreed, before;
};

static struct found
found_items(const struct agent_record *r, const struct phone_source *src)
{
	struct found f = {.agreed = true};

	list_for_each (&r->phones, it) {
		const struct agent_phone *p = LIST_ENTRY(it, struct agent_phone, link);
		if (p->source != src)
			continue;
		list_for_each (&p->queues, at) {
			const struct agent_queue *q =
				LIST_ENTRY(at, struct agent_queue, link);
			f.agreed = f.agreed && p->agreed;
			f.before = f.before || q->before != 0;
			if (f.reason && q->last_pause_us <= f.last_pause_us)
				continue;
			f.last_pause_us = q->last_pause_us;
			f.reason = q->reason;
		}
	}
	return f;
}

/* A pause without a time that was not there when the connection ended is younger. */
static void
judge(struct agent_states *as, struct agent_record *r, struct phone_source *src)
{
	struct found f = found_items(r, src);
	int64_t now = clock_wall_us(), at_us = f.last_pause_us;
	bool paused = agent_phones_all_paused(r, src), kept = false;

	if (paused && !at_us && !f.before)
		at_us = src->lost_us;
	switch (agent_item_tells(&r->facts, now, paused, f.reason, at_us, f.agreed)) {
	case 1: kept = choose(r, AGENT_PAUSED, f.reason, at_us ? at_us : now); break;
	case 0:
		at_us = r->facts.choice.at_us + 1;
		kept = choose(r, AGENT_AVAILABLE, NULL,
			src->lost_us > at_us ? src->lost_us : at_us);
		break;
	}
	agent_facts_see(&r->facts, now);
	agent_record_changed(as, r, kept);
}

struct listed {
	struct agent_states *states;
	struct phone_source *source;
	bool members, devices; /* whole */
};

/* What was not listed is gone. */
static void
drop_unlisted(const char *name, void *value, void *arg)
{
	const struct listed *l = arg;
	struct agent_phone *p = value;
	struct agent_record *r = p->agent;

	if (l->members)
		list_for_each_safe (&p->queues, it) {
			struct agent_queue *q =
				LIST_ENTRY(it, struct agent_queue, link);
			if (q->round != l->source->round)
				queue_free(p, q);
		}
	if (l->devices && p->round != l->source->round)
		p->device = DEVICE_UNKNOWN;
	p->result = ORDER_NONE;
	if (!p->n_queues && p->device == DEVICE_UNKNOWN && !p->order) {
		map_remove(&l->source->phones, name);
		phone_free(p);
	}
	if (r)
		agent_phones_reach(r, clock_wall_us());
}

static bool
has_queue(const struct agent_record *r, const struct phone_source *src)
{
	list_for_each (&r->phones, it) {
		const struct agent_phone *p = LIST_ENTRY(it, struct agent_phone, link);
		if (p->source == src && p->n_queues)
			return true;
	}
	return false;
}

static void
on_list_end(struct agent_states *as, struct phone_source *src,
	const struct member_event *ev)
{
	struct listed l = {as, src, ev->mark == MEMBERS_END, ev->device_said};
	bool first = !src->listed;

	map_each(&src->phones, drop_unlisted, &l);
	src->listed = true;
	list_for_each (&as->records, it) {
		struct agent_record *r = LIST_ENTRY(it, struct agent_record, link);
		if (first && as->loaded && has_queue(r, src))
			judge(as, r, src);
		else
			agent_record_changed(as, r, false);
	}
}

/* ---- What a phone system says ---- */

void
agent_states_member_event(
	struct agent_states *as, struct channel *ch, const struct member_event *ev)
{
	struct phone_source *src = source_get(as, ch);
	int64_t at_us;

	if (!src)
		return;
	agent_phones_refresh(as);
	switch (ev->mark) {
	case MEMBERS_BEGIN: src->round++; return;
	case MEMBERS_END:
	case MEMBERS_FAILED: on_list_end(as, src, ev); return;
	case MEMBER_SAID: break;
	}
	at_us = our_time(src, ev);
	if (ev->queue)
		on_membership(as, src, ev, at_us);
	if (ev->device_said)
		on_device(as, src, ev, at_us);
}

static void
keep_before(const char *name, void *value, void *arg)
{
	struct agent_phone *p = value;

	(void)name, (void)arg;
	p->result = ORDER_NONE;
	list_for_each (&p->queues, it) {
		struct agent_queue *q = LIST_ENTRY(it, struct agent_queue, link);
		q->before = q->paused;
		q->n_echoes = 0;
	}
}

void
agent_states_channel(struct agent_states *as, struct channel *ch, bool up)
{
	struct phone_source *src = source_get(as, ch);

	if (!src)
		return;
	src->up = up;
	if (up)
		return;
	src->listed = src->skew_known = false;
	src->lost_us = clock_wall_us();
	map_each(&src->phones, keep_before, NULL);
}

void
agent_states_forget_channel(struct agent_states *as, const struct channel *ch)
{
	struct phone_source *src = source_find(as, ch);

	if (src)
		source_free(src);
}

void
agent_phones_judge(struct agent_states *as)
{
	list_for_each (&as->sources, it) {
		struct phone_source *src = LIST_ENTRY(it, struct phone_source, link);
		list_for_each (&as->records, at) {
			struct agent_record *r =
				LIST_ENTRY(at, struct agent_record, link);
			if (src->listed && has_queue(r, src))
				judge(as, r, src);
		}
	}
}

/* ---- JSON ---- */

static const char *const device_texts[] = {
#define D(name, text, help) [DEVICE_##name] = text,
	DEVICE_STATES(D)
#undef D
};

static void
put_phone(struct json_out *j, const struct agent_phone *p)
{
	json_put_object(j, NULL);
	json_put_string(j, "channel", channel_name(p->source->channel));
	json_put_string(j, "interface", p->name);
	json_put_string(j, "device", device_texts[p->device]);
	json_put_array(j, "queues");
	list_for_each (&p->queues, it) {
		const struct agent_queue *q = LIST_ENTRY(it, struct agent_queue, link);
		json_put_object(j, NULL);
		json_put_string(j, "queue", q->name);
		json_put_bool(j, "paused", q->paused);
		json_put_string(
			j, "reason", q->paused && *q->reason ? q->reason : NULL);
		json_put_object_end(j);
	}
	json_put_array_end(j);
	json_put_object_end(j);
}

static bool
said_before(const struct agent_record *r, const struct list *phone, const char *queue)
{
	for (struct list *it = r->phones.next; it != phone; it = it->next)
		if (queue_find(LIST_ENTRY(it, struct agent_phone, link), queue))
			return true;
	return false;
}

void
agent_phones_put(const struct agent_record *r, struct json_out *j)
{
	json_put_array(j, "phones");
	list_for_each (&r->phones, it)
		put_phone(j, LIST_ENTRY(it, struct agent_phone, link));
	json_put_array_end(j);
	json_put_array(j, "phone_queues");
	list_for_each (&r->phones, it) {
		const struct agent_phone *p = LIST_ENTRY(it, struct agent_phone, link);
		list_for_each (&p->queues, at) {
			const char *name =
				LIST_ENTRY(at, struct agent_queue, link)->name;
			if (!said_before(r, it, name))
				json_put_string(j, NULL, name);
		}
	}
	json_put_array_end(j);
}
