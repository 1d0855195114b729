/* tracker_channel.c - channels, the groups they form, bridges, and tombstones.
 *
 * A channel is in exactly one group. Its group follows its linked id, which may change
 * under it at any event (bridges join, the oldest wins): the channel moves then, and if
 * it was the customer of a call, that call is absorbed. A channel that is gone stays in
 * its group until its leg has ended; its tombstone keeps late and repeated events out. */
#include <calls/tracker_priv.h>

#include <mem.h>
#include <str.h>

#include <assert.h>
#include <string.h>

/* ---- Keys ------------------------------------------------------------------- */

static const char *
make_key(struct buf *key, const char *boot, const char *uid)
{
	if (!boot)
		return uid;
	buf_clear(key);
	buf_adds(key, boot);
	buf_addc(key, '/');
	buf_adds(key, uid);
	return buf_str(key);
}

struct chan *
chan_by_key(struct tracker *t, const char *key)
{
	return key ? map_find(&t->chans, key) : NULL;
}

struct chan *
chan_find(struct tracker *t, const char *boot, const char *uid)
{
	return uid && *uid ? map_find(&t->chans, make_key(&t->key, boot, uid)) : NULL;
}

struct tombstone *
tomb_find(struct tracker *t, const char *boot, const char *uid)
{
	return uid && *uid ? map_find(&t->tombs, make_key(&t->key, boot, uid)) : NULL;
}

bool
chan_is_buried(struct tracker *t, const char *boot, const char *uid)
{
	return tomb_find(t, boot, uid) != NULL;
}

void
chan_touch(struct tracker *t, struct chan *c)
{
	tracker_touch(t, c->group);
	if (c->leg)
		tracker_touch(t, c->leg->call->group);
	if (c->root_of)
		tracker_touch(t, c->root_of->group);
}

void
chan_set(char **field, const char *value)
{
	if (!value || str_eq(*field, value))
		return;
	xfree(field);
	*field = xstrdup(value);
}

/* ---- Tombstones -------------------------------------------------------------- */

static void
tomb_free(struct tracker *t, struct tombstone *tomb)
{
	map_remove(&t->tombs, tomb->uid);
	list_remove(&tomb->link);
	if (tomb->lost)
		call_free(tomb->lost);
	xfree(&tomb->uid);
	mem_free(tomb);
	t->n_tombs--;
}

void
tombs_expire(struct tracker *t, bool all)
{
	while (!list_is_empty(&t->tomb_list)) {
		struct tombstone *first =
			LIST_ENTRY(t->tomb_list.next, struct tombstone, link);
		if (!all && t->n_tombs <= TOMBSTONES_MAX &&
			t->now_us - first->at_us < TOMBSTONE_US)
			break;
		tomb_free(t, first);
	}
}

void
tomb_bury(struct tracker *t, const char *key)
{
	struct tombstone *tomb;

	if (map_find(&t->tombs, key))
		return;
	tomb = xcalloc(1, sizeof(*tomb));
	tomb->uid = xstrdup(key);
	tomb->at_us = t->now_us;
	list_append(&t->tomb_list, &tomb->link);
	map_put(&t->tombs, tomb->uid, tomb);
	t->n_tombs++;
	tombs_expire(t, false);
}

/* ---- Groups ------------------------------------------------------------------ */

/* The list is in the order of first_seq, which rises but for groups that take others in:
 * who asks for the oldest does so for every saving. */
static void
group_enlist(struct tracker *t, struct group *g)
{
	struct list *before = t->groups_list.prev;

	while (before != &t->groups_list &&
		LIST_ENTRY(before, struct group, link)->first_seq > g->first_seq)
		before = before->prev;
	list_prepend(before, &g->link);
}

void
group_is_as_old(struct tracker *t, struct group *g, uint64_t first_seq)
{
	if (first_seq >= g->first_seq)
		return;
	g->first_seq = first_seq;
	list_remove(&g->link);
	group_enlist(t, g);
}

struct group *
group_of_linked(struct tracker *t, const char *linked)
{
	struct group *g = map_find(&t->groups, linked);

	if (g)
		return g;
	g = xcalloc(1, sizeof(*g));
	g->linked = xstrdup(linked);
	list_init(&g->chans);
	g->at_us = t->now_us;
	g->first_seq = t->seq;
	group_enlist(t, g);
	map_put(&t->groups, linked, g);
	return g;
}

void
group_free(struct tracker *t, struct group *g)
{
	assert(list_is_empty(&g->chans) && !g->call);
	map_remove(&t->groups, g->linked);
	list_remove(&g->link);
	list_remove(&g->dirty_link);
	list_remove(&g->due_link);
	xfree(&g->linked);
	xfree(&g->originate_number);
	mem_free(g);
}

static void
group_add(struct tracker *t, struct group *g, struct chan *c)
{
	c->group = g;
	list_append(&g->chans, &c->group_link);
	if (!c->gone)
		g->n_alive++;
	tracker_touch(t, g);
}

static void
group_drop(struct tracker *t, struct chan *c)
{
	list_remove(&c->group_link);
	if (!c->gone)
		c->group->n_alive--;
	tracker_touch(t, c->group);
	c->group = NULL;
}

static void
move_call(struct tcall *call, struct group *to)
{
	call->group->call = NULL;
	to->call = call;
	call->group = to;
}

/* A customer takes its call along; an agent's leg stays with its call wherever the
 * channel is. */
static void
move_to(struct tracker *t, struct chan *c, struct group *to)
{
	struct group *from = c->group;
	struct tcall *call = from->call;

	if (from == to)
		return;
	to->recovered |= from->recovered;
	to->rooted |= from->rooted;
	group_is_as_old(t, to, from->first_seq);
	group_drop(t, c);
	group_add(t, to, c);
	if (!call || call->customer != c)
		return;
	if (to->call)
		call_absorb(t, call, to->call);
	else
		move_call(call, to);
}

void
chan_relink(struct tracker *t, struct chan *c, const char *linked)
{
	const char *key;

	if (!linked || !*linked || c->gone)
		return;
	if (c->plain_uid > c->uid) { /* it has a boot: so has its linked id */
		buf_clear(&t->other_key);
		buf_add(&t->other_key, c->uid, (size_t)(c->plain_uid - c->uid));
		buf_adds(&t->other_key, linked);
		key = buf_str(&t->other_key);
	} else {
		key = linked;
	}
	if (strcmp(c->group->linked, key) != 0)
		move_to(t, c, group_of_linked(t, key));
}

/* A group with a call keeps it; of two, and of none, the elder. */
static bool
is_elder(const struct group *a, const struct group *b)
{
	if (!a->call != !b->call)
		return a->call != NULL;
	return a->at_us <= b->at_us;
}

void
chan_union(struct tracker *t, struct chan *a, struct chan *b)
{
	if (a->gone || b->gone || a->group == b->group)
		return;
	if (is_elder(a->group, b->group))
		move_to(t, b, a->group);
	else
		move_to(t, a, b->group);
}

/* ---- Channels ------------------------------------------------------------------ */

static char *
pattern_agent(const struct tracker *t, const char *endpoint)
{
	return t->opts.conf ? phone_conf_agent(t->opts.conf, endpoint) : NULL;
}

/* NULL: nobody's. The caller frees it. */
static char *
ask_directory(const struct tracker *t, const struct chan *c)
{
	const struct tracker_directory *d = &t->opts.directory;
	const char *who = c->presence ? c->presence : c->endpoint;
	char *pattern = pattern_agent(t, who), *agent;

	if (!pattern && c->endpoint)
		pattern = pattern_agent(t, c->endpoint);
	agent = d->agent_of ? xstrdup(d->agent_of(d->arg, t->channel, who, pattern))
			    : xstrdup(pattern);
	xfree(&pattern);
	return agent;
}

/* Whose phone is it? Asked for every endpoint a channel gets, and again when the directory
 * has been loaded. */
static void
identify(struct tracker *t, struct chan *c, unsigned flags)
{
	xfree(&c->agent);
	if (flags & CALL_LOCAL)
		c->side = SIDE_LOCAL;
	else if (flags & CALL_EXTERNAL)
		c->side = SIDE_OUTSIDE;
	else if (t->opts.conf && phone_conf_is_trunk(t->opts.conf, c->endpoint))
		c->side = SIDE_OUTSIDE;
	else
		c->side = SIDE_INSIDE;
	if (c->side != SIDE_INSIDE)
		return;
	c->agent = ask_directory(t, c);
	if (c->agent)
		c->side = SIDE_AGENT;
}

static void
identify_again(const char *uid, void *value, void *arg)
{
	struct tracker *t = arg;
	struct chan *c = value;

	(void)uid;
	if (c->side != SIDE_INSIDE || !c->endpoint)
		return;
	c->agent = ask_directory(t, c);
	if (!c->agent)
		return;
	c->side = SIDE_AGENT;
	leg_take_agent(c);
	chan_touch(t, c);
}

void
tracker_identify_again(struct tracker *t)
{
	map_each(&t->chans, identify_again, t);
	tracker_settle(t);
}

/* An endpoint that changes is another phone taking the channel over (pickup, redirect). */
static void
set_endpoint(struct tracker *t, struct chan *c, const char *endpoint,
	const char *presence, unsigned flags)
{
	bool known = c->endpoint != NULL;

	if (!endpoint || (known && str_eq(c->endpoint, endpoint)))
		return;
	chan_set(&c->endpoint, endpoint);
	xfree(&c->presence);
	c->presence = xstrdup(presence);
	if (known && c->leg)
		leg_force(t, c, CALL_REASON_ANSWERED_ELSEWHERE);
	identify(t, c, flags);
	chan_touch(t, c);
}

static void
set_vars(struct chan *c, const struct call_var *vars, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *name = vars[i].name, *value = vars[i].value;
		unsigned v = 0;
		size_t bytes = strlen(name) + strlen(value ? value : "");
		if (!value || !*value)
			continue;
		while (v < c->n_vars && strcmp(c->vars[v].name, name) != 0)
			v++;
		if (v < c->n_vars) {
			chan_set(&c->vars[v].value, value);
			continue;
		}
		if (c->vars_bytes + bytes > VARS_BYTES_MAX)
			continue;
		c->vars_bytes += (unsigned)bytes;
		c->vars = xrealloc(c->vars, (c->n_vars + 1) * sizeof(*c->vars));
		c->vars[c->n_vars++] =
			(struct call_variable){xstrdup(name), xstrdup(value)};
	}
}

static void
set_state(struct tracker *t, struct chan *c, enum call_channel_state state)
{
	if (state == CALL_STATE_UNKNOWN || state == c->state ||
		(c->state == CALL_STATE_UP && state != CALL_STATE_BUSY))
		return;
	c->state = state;
	if (state == CALL_STATE_RINGING && !c->offered_us)
		c->offered_us = t->now_us;
	chan_touch(t, c);
}

void
chan_seen(struct tracker *t, struct chan *c)
{
	c->last_us = t->now_us;
	if (!t->listed)
		c->last_event = t->event_no;
	c->missing_due_us = 0;
	list_remove(&c->lru_link);
	list_append(&t->lru, &c->lru_link);
}

void
chan_tell_answer(struct tracker *t, struct chan *c)
{
	if (!c->outgoing || !(c->was_unheard || c->group->recovered))
		return;
	if (c->state != CALL_STATE_UP) {
		if (c->dialled) /* it still rang: nobody had answered it meanwhile */
			c->unheard = c->dark = false;
	} else if (!c->answered && c->dial_result == CALL_RESULT_NONE) {
		c->answered = true;
		c->answered_us = t->now_us;
	}
}

void
chan_update(struct tracker *t, struct chan *c, const struct call_event *ev)
{
	chan_seen(t, c);
	set_endpoint(t, c, ev->endpoint, ev->presence, ev->flags);
	chan_relink(t, c, ev->linked);
	chan_set(&c->number, ev->caller_number);
	chan_set(&c->display, ev->caller_name);
	chan_set(&c->connected, ev->connected_number);
	chan_set(&c->language, ev->language);
	if (ev->flags & CALL_WITHHELD)
		c->withheld = true;
	set_state(t, c, ev->state);
	set_vars(c, ev->vars, ev->n_vars);
	if (c->group->call)
		call_take_channel(t, c->group->call, c);
}

void
chan_set_other(struct tracker *t, struct chan *c, const struct call_event *ev)
{
	unsigned flags = ev->flags & CALL_OTHER_LOCAL ? CALL_LOCAL : 0;

	chan_seen(t, c);
	set_endpoint(t, c, ev->other_endpoint, ev->other_presence, flags);
	chan_relink(t, c, ev->other_linked);
	set_state(t, c, ev->other_state);
}

static struct chan *
chan_new(struct tracker *t, const struct call_event *ev, const char *key)
{
	struct chan *c = xcalloc(1, sizeof(*c));
	struct group *g;

	c->uid = xstrdup(key);
	c->plain_uid = c->uid + strlen(key) - strlen(ev->uid);
	map_put(&t->chans, c->uid, c);
	list_append(&t->lru, &c->lru_link);
	t->stats.channels++;
	if (ev->linked && *ev->linked)
		g = group_of_linked(t, make_key(&t->other_key, ev->boot, ev->linked));
	else
		g = group_of_linked(t, c->uid);
	group_add(t, g, c);
	if (strcmp(g->linked, c->uid) == 0 || !ev->linked)
		g->rooted = true;
	c->outgoing = ev->flags & CALL_OUTGOING || ev->state == CALL_STATE_DOWN ||
		      ev->state == CALL_STATE_RINGING;
	chan_set(&c->exten, ev->exten);
	originate_new_channel(t, c);
	return c;
}

struct chan *
chan_upsert(struct tracker *t, const struct call_event *ev)
{
	struct chan *c;
	char *key;

	if (!ev->uid || !*ev->uid || chan_is_buried(t, ev->boot, ev->uid))
		return NULL;
	c = chan_find(t, ev->boot, ev->uid);
	if (!c) {
		snapshot_overflow(t);
		key = xstrdup(make_key(&t->key, ev->boot, ev->uid));
		c = chan_new(t, ev, key);
		xfree(&key);
	}
	return c;
}

void
chan_gone(struct tracker *t, struct chan *c, int64_t at_us)
{
	if (c->gone)
		return;
	compare_gone(t, c);
	chan_leave(t, c);
	c->gone = true;
	c->gone_us = at_us;
	if (!c->off_us)
		c->off_us = at_us;
	c->missing_due_us = 0;
	c->group->n_alive--;
	map_remove(&t->chans, c->uid);
	list_remove(&c->lru_link);
	t->stats.channels--;
	tomb_bury(t, c->uid);
	chan_touch(t, c);
}

void
chan_free(struct tracker *t, struct chan *c)
{
	if (!c->gone) {
		chan_leave(t, c);
		map_remove(&t->chans, c->uid);
		list_remove(&c->lru_link);
	}
	list_remove(&c->group_link);
	list_remove(&c->leg_link);
	if (c->root_of)
		c->root_of->root = NULL;
	if (c->queue_leg)
		c->queue_leg->waiter = NULL;
	for (unsigned i = 0; i < c->n_vars; i++) {
		xfree(&c->vars[i].name);
		xfree(&c->vars[i].value);
	}
	xfree(&c->vars);
	char **const texts[] = {&c->uid, &c->endpoint, &c->presence, &c->agent,
		&c->number, &c->display, &c->connected, &c->exten, &c->language,
		&c->dialer, &c->dial_number, &c->shown_number, &c->partner,
		&c->local_name, &c->offer_queue, &c->queue};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		xfree(texts[i]);
	mem_free(c);
}

/* ---- Bridges ------------------------------------------------------------------- */

void
chan_leave(struct tracker *t, struct chan *c)
{
	struct bridge *b = c->bridge;

	if (!t->listed)
		c->bridge_event = t->event_no;
	if (!b)
		return;
	list_for_each (&b->chans, it) {
		struct chan *other = LIST_ENTRY(it, struct chan, bridge_link);
		chan_touch(t, other);
	}
	list_remove(&c->bridge_link);
	c->bridge = NULL;
	if (list_is_empty(&b->chans)) {
		map_remove(&t->bridges, b->id);
		xfree(&b->id);
		mem_free(b);
	}
}

void
chan_enter(struct tracker *t, struct chan *c, const char *id, bool parking)
{
	struct bridge *b = map_find(&t->bridges, id);

	if (!t->listed)
		c->bridge_event = t->event_no;
	if (b && c->bridge == b)
		return;
	chan_leave(t, c);
	b = map_find(&t->bridges, id); /* leaving may have freed another, not this */
	if (!b) {
		b = xcalloc(1, sizeof(*b));
		b->id = xstrdup(id);
		list_init(&b->chans);
		map_put(&t->bridges, id, b);
	}
	b->parking |= parking;
	b->known |= !t->listed;
	if (b->known && !b->parking)
		park_set(t, c, false);
	c->bridge = b;
	c->leg_done = false;
	list_append(&b->chans, &c->bridge_link);
	list_for_each (&b->chans, it) {
		struct chan *other = LIST_ENTRY(it, struct chan, bridge_link);
		chan_touch(t, other);
	}
}
