/* tracker_call.c - when channels are a call with the outside, and who is the customer.
 *
 * Inbound: an outside channel that the phone system did not make. Outgoing: an outside
 * channel that somebody inside (or an originate) dials; or an originate whose target is
 * known to be outside, even if only the agent's phone ever rings. One that we asked for
 * is a call from then on: its answer tells its id. A call's number, its
 * direction and our own number are taken when it begins: later events show others
 * (transfers put the company's number on the customer's channel).
 *
 * A group that was not seen from its start makes no call unless a snapshot vouches for
 * it: replaying the tail of a call that is over must not begin it again. */
#include <calls/tracker_priv.h>

#include <mem.h>
#include <str.h>

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- Identity ------------------------------------------------------------------- */

/* The ms of "[system-]EPOCH.N", Asterisk's unique ids; 0 if it does not look like one. */
static int64_t
epoch_of(const char *linked)
{
	const char *dash = strrchr(linked, '-'), *s = dash ? dash + 1 : linked;
	size_t digits = strspn(s, "0123456789");
	int64_t seconds;
	char text[12];

	if (digits < 9 || digits > 11 || s[digits] != '.' ||
		!isdigit((unsigned char)s[digits + 1]))
		return 0;
	str_copy(text, digits + 1, s);
	return str_int(text, 1, INT64_C(99999999999), &seconds) ? seconds * 1000000 : 0;
}

static int64_t
id_time(const struct tcall *call)
{
	int64_t epoch = epoch_of(call->pub.linked);

	return epoch ? epoch : call->pub.at_us;
}

static struct uuid
derive(const char *tenant, const char *channel, const char *key, const char *what,
	int64_t time_us)
{
	char *name = xasprintf("%s/%s/%s%s%s", tenant, channel,
		strchr(key, '/') ? "" : "/", key, what);
	struct uuid id = uuid_derive(time_us, name);

	xfree(&name);
	return id;
}

struct uuid
call_derive_id(struct tracker *t, const struct tcall *call, const char *what)
{
	return derive(t->tenant, t->channel, call->key, what, id_time(call));
}

struct uuid
tracker_call_id(const char *tenant, const char *channel, const char *linked)
{
	return derive(tenant, channel, linked, "", epoch_of(linked));
}

/* ---- Numbers -------------------------------------------------------------------- */

/* A caller who does not show a number: nobody's identity. */
static bool
is_withheld(const char *number)
{
	static const char *const words[] = {"anonymous", "withheld", "private",
		"restricted", "unavailable", "unknown", "asserted", "blocked",
		"no number", "nobody", "<unknown>", "id unavailable", "+266696687",
		"266696687" /* "anonymous" on a keypad */};

	if (str_empty(number))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcasecmp(number, words[i]) == 0)
			return true;
	return strncasecmp(number, "anonymous@", 10) == 0;
}

static void
set_customer(struct tcall *call, const char *number, const char *display, bool withheld)
{
	struct call *pub = &call->pub;

	pub->withheld = withheld || is_withheld(number);
	xfree(&pub->number);
	if (!pub->withheld)
		pub->number = xstrdup(number);
	xfree(&pub->display);
	if (!str_empty(display) && !(pub->withheld && is_withheld(display)))
		pub->display = xstrdup(display);
	call->changed = true;
}

/* An extension of ours is short; nothing else tells it from a number outside. */
static bool
looks_outside(const char *number)
{
	size_t digits = 0;

	for (const char *s = number; *s; s++)
		digits += isdigit((unsigned char)*s) != 0;
	return digits >= 7 || number[0] == '+';
}

/* ---- Facts that calls take from channels ------------------------------------------- */

void
call_set_text(struct tcall *call, char **field, const char *value)
{
	if (str_empty(value) || str_eq(*field, value))
		return;
	chan_set(field, value);
	call->changed = true;
}

static void
set_variable(struct tcall *call, const char *name, const char *value)
{
	struct call *pub = &call->pub;
	size_t bytes = strlen(name) + strlen(value);

	for (unsigned i = 0; i < pub->n_vars; i++)
		if (strcmp(pub->vars[i].name, name) == 0) {
			call_set_text(call, &pub->vars[i].value, value);
			return;
		}
	if (call->vars_bytes + bytes > VARS_BYTES_MAX)
		return;
	call->vars_bytes += (unsigned)bytes;
	pub->vars = xrealloc(pub->vars, (pub->n_vars + 1) * sizeof(*pub->vars));
	pub->vars[pub->n_vars++] =
		(struct call_variable){xstrdup(name), xstrdup(value)};
	call->changed = true;
}

bool
call_involves(const struct tcall *call, const struct chan *c)
{
	return c == call->customer || c == call->root;
}

/* The name may be looked up by the dialplan after the call began; a number that changes
 * is the channel's, not the customer's, any more, and its name with it. */
static void
take_display(struct tcall *call, const struct chan *c)
{
	if (call->pub.direction == CALL_IN && call->pub.number && c->display &&
		str_eq(call->pub.number, c->number))
		call_set_text(call, &call->pub.display, c->display);
}

void
call_take_channel(struct tracker *t, struct tcall *call, struct chan *c)
{
	(void)t;
	if (!call_involves(call, c))
		return;
	for (unsigned i = 0; i < c->n_vars; i++)
		set_variable(call, c->vars[i].name, c->vars[i].value);
	if (c != call->customer)
		return;
	take_display(call, c);
	call_set_text(call, &call->pub.language, c->language);
	call->far_hangup |= c->far_hangup;
	call->shutdown |= c->shutdown;
}

void
call_add_recording(struct tcall *call, const char *where)
{
	struct call *pub = &call->pub;

	if (str_empty(where) || pub->n_recordings == 64)
		return;
	for (unsigned i = 0; i < pub->n_recordings; i++)
		if (strcmp(pub->recordings[i], where) == 0)
			return;
	pub->recordings = xrealloc(
		pub->recordings, (pub->n_recordings + 1) * sizeof(*pub->recordings));
	pub->recordings[pub->n_recordings++] = xstrdup(where);
	call->changed = true;
}

/* ---- Beginning --------------------------------------------------------------------- */

/* What the call's ids are made from: the linked id, or, if a call was made of that
 * already, the linked id with a number. That it was is remembered as a tombstone. */
static char *
new_key(struct tracker *t, const char *linked)
{
	char *key = xasprintf("=%s", linked);

	for (unsigned n = 2; map_find(&t->tombs, key) && n < 1000; n++) {
		xfree(&key);
		key = xasprintf("=%s#%u", linked, n);
	}
	tomb_bury(t, key);
	memmove(key, key + 1, strlen(key));
	return key;
}

static struct tcall *
call_new(struct tracker *t, struct group *g, enum call_direction direction)
{
	struct tcall *call = xcalloc(1, sizeof(*call));
	const char *slash = strrchr(g->linked, '/');

	call->group = g;
	g->call = call;
	call->key = new_key(t, g->linked);
	call->pub.key = call->key;
	list_init(&call->absorbed);
	list_init(&call->pub.legs);
	call->pub.tenant = t->tenant;
	call->pub.channel = t->channel;
	call->pub.linked = xstrdup(slash ? slash + 1 : g->linked);
	call->pub.direction = direction;
	call->pub.at_us = strchr(call->key, '#') ? t->now_us : g->at_us;
	call->pub.recovered = g->recovered;
	call->pub.first_seq = g->first_seq;
	call->pub.id = call_derive_id(t, call, "");
	call->changed = true;
	t->n_calls++;
	return call;
}

static void
begin_inbound(struct tracker *t, struct group *g, struct chan *c)
{
	struct tcall *call = call_new(t, g, CALL_IN);

	call->customer = c;
	set_customer(call, c->number, c->display, c->withheld);
	/* In the middle of a call the dialplan is in some macro: "s" is no number. */
	if (!g->recovered || (c->exten && strpbrk(c->exten, "0123456789")))
		call_set_text(call, &call->pub.local, c->exten);
	if (c->parked) /* somebody had it, and parked it */
		call->pub.answered_us = call->last_answer_us = t->now_us;
	call_take_channel(t, call, c);
}

/* Who dials c, through Local halves: an agent's channel, any other, or NULL. */
static struct chan *
find_root(struct tracker *t, struct chan *c)
{
	struct chan *d = chan_by_key(t, c->dialer);

	for (int depth = 0; d && d->side == SIDE_LOCAL && depth < 8; depth++) {
		struct chan *half = chan_by_key(t, d->partner);
		d = half ? chan_by_key(t, half->dialer) : NULL;
	}
	if (d)
		return d;
	list_for_each (&c->group->chans, it) {
		struct chan *other = LIST_ENTRY(it, struct chan, group_link);
		if (other->side == SIDE_AGENT &&
			strcmp(other->uid, c->group->linked) == 0)
			return other;
	}
	return NULL;
}

static void
set_root(struct tcall *call, struct chan *root)
{
	if (call->root || !root || root->root_of || root == call->customer)
		return;
	call->root = root;
	root->root_of = call;
	root->leg_done = false; /* that was of an earlier call */
	if (root->agent)
		call_set_text(call, &call->pub.agent, root->agent);
}

/* The customer's leg of an outgoing call is there. */
static void
take_outside(struct tracker *t, struct tcall *call, struct chan *c)
{
	const char *number = c->dial_number ? c->dial_number : c->number;

	call->customer = c;
	if (c->offered_us && !call->ring_us)
		call->ring_us = c->offered_us;
	set_root(call, find_root(t, c));
	if (!call->number_final && number)
		set_customer(call, number, NULL, false);
	call->number_final = c->dial_number != NULL;
	call_set_text(call, &call->pub.local, c->shown_number);
	call_take_channel(t, call, c);
	if (call->root)
		call_take_channel(t, call, call->root);
}

/* Known to be dialled out, and to whom (or no more will be learnt). */
static bool
is_outgoing_ready(const struct chan *c)
{
	return c->outgoing &&
	       (c->dialled || c->state == CALL_STATE_UP || c->bridge ||
		       (c->snapshot && c->number && c->group->recovered));
}

static void
begin_originated(struct tracker *t, struct group *g, struct chan *root)
{
	struct tcall *call = call_new(t, g, CALL_OUT);

	set_root(call, root);
	set_customer(call, g->originate_number, NULL, false);
	call_take_channel(t, call, root);
}

static struct chan *
first_chan(struct group *g, enum side side, bool outgoing)
{
	list_for_each (&g->chans, it) {
		struct chan *c = LIST_ENTRY(it, struct chan, group_link);
		if (c->side == side && c->outgoing == outgoing && !c->spent && !c->gone)
			return c;
	}
	return NULL;
}

static struct chan *
first_outgoing(struct group *g)
{
	list_for_each (&g->chans, it) {
		struct chan *c = LIST_ENTRY(it, struct chan, group_link);
		if (c->side == SIDE_OUTSIDE && !c->spent && !c->gone &&
			is_outgoing_ready(c))
			return c;
	}
	return NULL;
}

/* The channel that was asked for, to be followed by a call to the outside. */
static struct chan *
find_originated(struct group *g)
{
	struct chan *c = NULL;

	if (!g->originate_number)
		return NULL;
	if (g->originate_outside || looks_outside(g->originate_number))
		c = first_chan(g, SIDE_AGENT, true);
	if (!c && g->originate_outside)
		c = first_chan(g, SIDE_INSIDE, true);
	return c && !c->leg_done ? c : NULL;
}

void
call_begin_if_due(struct tracker *t, struct group *g)
{
	struct chan *c;

	if (g->call || g->over || !(g->rooted || g->recovered) ||
		(g->recovered && t->in_snapshot && !g->at_once))
		return;
	if ((c = first_chan(g, SIDE_OUTSIDE, false))) {
		begin_inbound(t, g, c);
	} else if ((c = first_outgoing(g))) {
		take_outside(t, call_new(t, g, CALL_OUT), c);
	} else if ((c = find_originated(g))) {
		begin_originated(t, g, c);
	}
}

/* ---- The agent's phone --------------------------------------------------------------- */

static void
replace_root(struct tcall *call, struct chan *root)
{
	if (root == call->root || root->root_of)
		return;
	call->root->root_of = NULL;
	call->root = NULL;
	set_root(call, root);
}

/* Of the phones that a Local channel rings: the one that answered, else one that may. */
static struct chan *
find_phone_behind(struct group *g, const struct chan *local)
{
	struct chan *best = NULL;

	list_for_each (&g->chans, it) {
		struct chan *c = LIST_ENTRY(it, struct chan, group_link);
		if (c->side == SIDE_AGENT && !c->gone &&
			str_eq(c->dialer, local->partner) &&
			(!best || (c->answered && !best->answered)))
			best = c;
	}
	return best;
}

/* If a Local channel was asked for as the agent's phone, the phone is behind it. */
void
call_choose_phone(struct tracker *t, struct tcall *call)
{
	struct chan *local = chan_by_key(t, call->group->linked), *phone;

	if (!call->root || call->customer || !local || local->side != SIDE_LOCAL ||
		!local->partner)
		return;
	phone = find_phone_behind(call->group, local);
	replace_root(call, phone ? phone : local);
}

/* ---- The customer's channel -------------------------------------------------------- */

/* Another channel took the customer's place (a redirect that masquerades). */
static struct chan *
find_replacement(struct tcall *call)
{
	list_for_each (&call->group->chans, it) {
		struct chan *c = LIST_ENTRY(it, struct chan, group_link);
		if (c->side == SIDE_OUTSIDE && c != call->customer && !c->gone &&
			!c->dialled && !c->outgoing)
			return c;
	}
	return NULL;
}

/* Of several trunks tried, the one that answered, else one that still rings. */
static struct chan *
find_dialled(struct tcall *call)
{
	struct chan *best = call->customer;

	list_for_each (&call->group->chans, it) {
		struct chan *c = LIST_ENTRY(it, struct chan, group_link);
		if (c->side != SIDE_OUTSIDE || c == best || !is_outgoing_ready(c) ||
			c->gone)
			continue;
		if (!best || c->answered || best->gone)
			best = c;
	}
	return best;
}

void
call_choose_customer(struct tracker *t, struct tcall *call)
{
	struct chan *c;

	if (call->pub.direction == CALL_IN) {
		if (call->customer->gone && (c = find_replacement(call)))
			call->customer = c;
		return;
	}
	if (call->pub.answered_us)
		return;
	c = find_dialled(call);
	if (c && (c != call->customer || (!call->number_final && c->dial_number)))
		take_outside(t, call, c);
}

/* ---- Ends ---------------------------------------------------------------------------- */

void
call_absorb(struct tracker *t, struct tcall *gone, struct tcall *into)
{
	legs_end_all(t, gone, t->now_us);
	park_end(t, gone, CALL_REASON_TRANSFERRED, t->now_us);
	queue_end(t, gone, t->now_us);
	for (unsigned i = 0; i < gone->pub.n_vars; i++)
		set_variable(into, gone->pub.vars[i].name, gone->pub.vars[i].value);
	for (unsigned i = 0; i < gone->pub.n_recordings; i++)
		call_add_recording(into, gone->pub.recordings[i]);
	if (gone->pub.first_seq < into->pub.first_seq)
		into->pub.first_seq = gone->pub.first_seq;
	group_is_as_old(t, into->group, gone->pub.first_seq);
	gone->group->call = NULL;
	if (gone->root)
		gone->root->root_of = NULL;
	gone->root = gone->customer = NULL;
	list_append(&into->absorbed, &gone->absorbed_link);
	while (!list_is_empty(&gone->absorbed)) {
		struct list *it = gone->absorbed.next;
		list_remove(it);
		list_append(&into->absorbed, it);
	}
	t->n_calls--;
	tracker_touch(t, into->group);
}

static void
leg_free(struct tleg *leg)
{
	if (leg->waiter)
		leg->waiter->queue_leg = NULL;
	while (!list_is_empty(&leg->chans)) {
		struct chan *c = LIST_ENTRY(leg->chans.next, struct chan, leg_link);
		list_remove(&c->leg_link);
		c->leg = NULL;
	}
	xfree(&leg->pub.agent);
	xfree(&leg->pub.interface);
	xfree(&leg->pub.queue);
	xfree(&leg->pub.uid);
	mem_free(leg);
}

void
call_free(struct tcall *call)
{
	struct call *pub = &call->pub;

	list_for_each_safe (&pub->legs, it)
		leg_free(leg_of(it));
	if (call->root)
		call->root->root_of = NULL;
	for (unsigned i = 0; i < pub->n_vars; i++) {
		xfree(&pub->vars[i].name);
		xfree(&pub->vars[i].value);
	}
	for (unsigned i = 0; i < pub->n_recordings; i++)
		xfree(&pub->recordings[i]);
	xfree(&pub->vars);
	xfree(&pub->recordings);
	list_for_each_safe (&call->absorbed, it)
		call_free(LIST_ENTRY(it, struct tcall, absorbed_link));
	char **const texts[] = {&call->key, &pub->linked, &pub->number, &pub->display,
		&pub->local, &pub->agent, &pub->queue, &pub->language, &pub->voicemail};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		xfree(texts[i]);
	mem_free(call);
}
