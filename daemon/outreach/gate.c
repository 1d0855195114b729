/* gate.c - the decision: ways in order, each through the steps, the first open one taken.
 *
 * The steps before quiet hours say no for good; from there on they say when. */
#include <outreach/gate.h>

#include <assert.h>
#include <string.h>

#define US_PER_S   INT64_C(1000000)
#define FOR_EVER   INT64_MAX
#define PROMOTIONS (1u << GATE_MARKETING | 1u << GATE_SURVEY)

/* One question being answered. */
struct gate {
	const struct gate_rules *rules;
	const struct gate_health *health;
	const struct gate_contact *contact;
	const struct gate_question *q;
	struct gate_decision *out;
	bool requested; /* it is, and of a purpose that may be */
	/* The time at which caps and quiet hours let something through depends on the
	 * zones, which mostly are the contact's: computed once then. */
	bool quiet_known;
	int64_t quiet_over_us;
};

/* What a way came to. */
struct outcome {
	enum gate_verdict verdict;
	enum gate_reason reason;
	int64_t until_us;
};

static bool
has(uint32_t mask, int bit)
{
	return bit < 32 && mask >> bit & 1;
}

/* ---- Steps that say no ---- */

/* They wrote from it, so that it may be answered there. */
static bool
is_answerable(const struct gate *g, const struct gate_address *a)
{
	int64_t age = g->q->now_us - a->wrote_us;

	return g->q->purpose == GATE_SERVICE && a->wrote_us != 0 &&
	       (g->rules->answer_us == 0 || age <= g->rules->answer_us);
}

/* A no about this way; one that is older than what they wrote from there since does not
 * keep us from answering. a: may be NULL. */
static bool
is_denied(const struct gate *g, int kind, const struct gate_address *a)
{
	const struct gate_contact *c = g->contact;
	uint32_t denied = c->denied[g->q->purpose] | (a ? a->denied[g->q->purpose] : 0);

	if (!has(denied, kind))
		return false;
	return !a || !is_answerable(g, a) || c->denied_us == 0 ||
	       c->denied_us >= a->wrote_us;
}

/* A yes about this way. */
static bool
is_allowed(const struct gate *g, int kind, const struct gate_address *a)
{
	uint32_t allowed = g->contact->allowed[g->q->purpose];

	if (a)
		allowed = (allowed & ~a->uncovered[g->q->purpose]) |
			  a->allowed[g->q->purpose];
	return has(allowed, kind);
}

/* The reason against a shared address, or -1: what is for one of its holders may be read
 * by the others, so promotions need a yes for it, and a no of any holder is one. */
static int
shared_reason(const struct gate *g, int kind, const struct gate_address *a)
{
	if (!a->shared)
		return -1;
	if (has(a->denied_by_others, (int)g->q->purpose) && !is_answerable(g, a))
		return GATE_SHARED;
	if (has(PROMOTIONS, (int)g->q->purpose) &&
		!has(a->allowed[g->q->purpose], kind))
		return GATE_SHARED;
	return -1;
}

/* The reason that stops it for good, or -1. */
static int
refusal(const struct gate *g, int kind, int address)
{
	const struct gate_address *a =
		address >= 0 ? &g->contact->addresses[address] : NULL;

	if (a && has(a->suppressed, kind) && !g->requested)
		return GATE_SUPPRESSED;
	if (a && a->trust == GATE_CLAIMED && !is_answerable(g, a))
		return GATE_UNVERIFIED;
	if (is_denied(g, kind, a))
		return GATE_OPTED_OUT;
	if (has(g->rules->needs_consent, (int)g->q->purpose) && !is_allowed(g, kind, a))
		return GATE_NO_CONSENT;
	return a ? shared_reason(g, kind, a) : -1;
}

/* ---- Steps that say when ---- */

/* When one more may go under this cap. */
static int64_t
cap_over(const struct gate *g, const struct gate_cap *cap)
{
	unsigned n = 0;

	if (cap->most == 0)
		return FOR_EVER;
	for (size_t i = 0; i < g->contact->n_sent; i++) {
		const struct gate_sent *s = &g->contact->sent[i];
		if (!has(cap->purposes, s->purpose) || !has(cap->kinds, s->kind))
			continue;
		if (s->at_us <= g->q->now_us - cap->window_us)
			break; /* so are all that follow */
		if (++n == cap->most)
			return s->at_us > FOR_EVER - cap->window_us
				       ? FOR_EVER
				       : s->at_us + cap->window_us;
	}
	return g->q->now_us;
}

static int64_t
caps_over(const struct gate *g, int kind)
{
	int64_t over = g->q->now_us;

	for (size_t i = 0; i < g->rules->n_caps; i++) {
		const struct gate_cap *cap = &g->rules->caps[i];
		if (!has(cap->purposes, (int)g->q->purpose) || !has(cap->kinds, kind))
			continue;
		int64_t t = cap_over(g, cap);
		over = t > over ? t : over;
	}
	return over;
}

/* Fills zones with where the contact may be when it comes to this address: their own
 * zone; those of the number's country; of all their numbers' countries; the tenant's. */
static size_t
find_zones(const struct gate *g, const struct gate_address *a,
	const struct zone *zones[GATE_ADDRESSES_MAX * ZONES_COUNTRY_MAX])
{
	const struct gate_contact *c = g->contact;
	size_t n = 0;

	if (c->zone) {
		zones[n++] = c->zone;
	} else if (a && a->zones) {
		for (size_t i = 0; i < a->zones->n; i++)
			zones[n++] = a->zones->zones[i];
	} else {
		for (size_t i = 0; i < c->n_addresses; i++) {
			const struct zone_list *list = c->addresses[i].zones;
			bool again = i > 0 && list == c->addresses[i - 1].zones;
			for (size_t k = 0; list && !again && k < list->n; k++)
				zones[n++] = list->zones[k];
		}
	}
	if (n == 0)
		zones[n++] = g->rules->zone;
	return n;
}

/* The first moment from t_us on that is not quiet. */
static int64_t
quiet_over_us(const struct gate *g, const struct gate_address *a, int64_t t_us)
{
	const struct zone *zones[GATE_ADDRESSES_MAX * ZONES_COUNTRY_MAX];
	bool of_tenant = has(g->rules->quiet_purposes, (int)g->q->purpose);
	struct quiet quiet = {
		.rules = {g->contact->quiet, g->rules->quiet},
		.n_rules = {g->contact->n_quiet, of_tenant ? g->rules->n_quiet : 0},
		.holidays = g->rules->holidays,
		.n_holidays = of_tenant ? g->rules->n_holidays : 0,
		.country = g->contact->country,
		.zones = zones,
	};

	if (!quiet.n_rules[0] && !quiet.n_rules[1] && !quiet.n_holidays)
		return t_us;
	quiet.n_zones = find_zones(g, a, zones);
	int64_t t = t_us / US_PER_S, over = quiet_over(&quiet, t);
	if (over == t)
		return t_us;
	return over == QUIET_NEVER ? FOR_EVER : over * US_PER_S;
}

/* quiet_over_us of now, which is the same for every address if the zone is known. */
static int64_t
quiet_now_over(struct gate *g, const struct gate_address *a)
{
	if (!g->contact->zone)
		return quiet_over_us(g, a, g->q->now_us);
	if (!g->quiet_known)
		g->quiet_over_us = quiet_over_us(g, a, g->q->now_us);
	g->quiet_known = true;
	return g->quiet_over_us;
}

static struct outcome
wait_until(const struct gate *g, enum gate_reason reason, int64_t t)
{
	bool in_time = t != FOR_EVER && (!g->q->expires_us || t < g->q->expires_us);

	return (struct outcome){in_time ? GATE_WAIT : GATE_NO, reason, in_time ? t : 0};
}

/* The way is open as far as wishes go: now, or from when on? */
static struct outcome
time_of(struct gate *g, int kind, const struct gate_address *a)
{
	bool present = g->requested ||
		       (g->q->answer && a && is_answerable(g, a)); /* they are there */
	int64_t now = g->q->now_us, back = g->health->back_us[kind];
	int64_t quiet = present ? now : quiet_now_over(g, a);
	int64_t caps = present ? now : caps_over(g, kind), t = quiet;
	bool down = !has(g->health->up, kind);

	/* What is over at one time must be so together: quiet hours may begin again. */
	if (caps > now && caps != FOR_EVER && t != FOR_EVER)
		t = quiet_over_us(g, a, caps);
	if (down && back > t && t != FOR_EVER)
		t = present ? back : quiet_over_us(g, a, back);
	if (quiet > now)
		return wait_until(g, GATE_QUIET_HOURS, caps == FOR_EVER ? caps : t);
	if (caps > now)
		return wait_until(g, GATE_FREQUENCY_CAP, caps == FOR_EVER ? caps : t);
	if (down && back <= now)
		return (struct outcome){GATE_WAIT, GATE_CHANNEL_DOWN, 0};
	if (down)
		return wait_until(g, GATE_CHANNEL_DOWN, t);
	return (struct outcome){GATE_GO, GATE_FALLBACK, 0};
}

/* ---- Ways ---- */

/* What the customer's request overcame is said, as nothing else would have let it go. */
static bool
was_overcome(struct gate *g, int kind, const struct gate_address *a)
{
	return g->contact->do_not_contact || (a && has(a->suppressed, kind)) ||
	       quiet_now_over(g, a) > g->q->now_us || caps_over(g, kind) > g->q->now_us;
}

static enum gate_reason
reason_to_go(struct gate *g, int kind, const struct gate_address *a)
{
	if (g->requested && was_overcome(g, kind, a))
		return GATE_REQUESTED;
	for (size_t i = 0; i < g->contact->n_preferred; i++)
		if (g->contact->preferred[i] == kind)
			return GATE_PREFERRED;
	return GATE_FALLBACK;
}

static struct outcome
consider(struct gate *g, int kind, int address)
{
	const struct gate_address *a =
		address >= 0 ? &g->contact->addresses[address] : NULL;
	int no = refusal(g, kind, address);

	if (no >= 0)
		return (struct outcome){GATE_NO, (enum gate_reason)no, 0};
	struct outcome o = time_of(g, kind, a);
	if (o.verdict == GATE_GO)
		o.reason = reason_to_go(g, kind, a);
	return o;
}

/* How much a reason tells whoever asked why nothing went: the furthest step counts. */
static int
rank(enum gate_reason r)
{
	switch (r) {
	case GATE_OPTED_OUT: return 5;
	case GATE_NO_CONSENT: return 4;
	case GATE_SUPPRESSED: return 3;
	case GATE_QUIET_HOURS:
	case GATE_FREQUENCY_CAP:
	case GATE_CHANNEL_DOWN: return 6;
	default: return 1;
	}
}

static bool
is_better(const struct outcome *o, const struct gate_decision *than)
{
	if (o->verdict != than->verdict)
		return o->verdict < than->verdict;
	if (o->verdict == GATE_WAIT)
		return o->until_us && (!than->until_us || o->until_us < than->until_us);
	return rank(o->reason) > rank(than->reason);
}

/* Of a whole decision: what stops single addresses is that there is none to use. */
static enum gate_reason
whole_reason(enum gate_reason r)
{
	return r == GATE_NEEDS_AGENT || r == GATE_UNVERIFIED || r == GATE_SHARED
		       ? GATE_NO_IDENTITY
		       : r;
}

/* Writes it into the chain, and over the decision if nothing before was as good. */
static void
note(struct gate *g, int kind, int address, struct outcome o)
{
	struct gate_decision *d = g->out;
	bool first = d->n_considered == 0;

	if (first || is_better(&o, d)) {
		d->verdict = o.verdict;
		d->reason = whole_reason(o.reason);
		d->until_us = o.until_us;
		d->kind = o.verdict == GATE_NO ? g->q->kind : kind;
		d->address = o.verdict == GATE_NO ? g->q->address : address;
	}
	/* The last place of the chain is kept for the way that is taken. */
	if (d->n_considered == GATE_CONSIDERED_MAX - (o.verdict == GATE_GO ? 0 : 1))
		return;
	d->considered[d->n_considered++] = (struct gate_considered){
		(int8_t)kind, (int8_t)address, o.reason, o.until_us};
}

static bool
is_asked_for(const struct gate *g, int address)
{
	return g->q->address == GATE_ANY || g->q->address == address;
}

/* Addresses of a kind in the order in which they are tried: one that was named by a yes
 * before others, one's own before a shared one, better known before less, as given. */
static int
address_rank(const struct gate *g, int kind, int address)
{
	const struct gate_address *a = &g->contact->addresses[address];

	return (has(a->allowed[g->q->purpose], kind) ? 16 : 0) + (a->shared ? 0 : 8) +
	       (int)a->trust;
}

static size_t
sort_addresses(const struct gate *g, int kind, int8_t order[GATE_ADDRESSES_MAX])
{
	int ranks[GATE_ADDRESSES_MAX];
	size_t n = 0;

	for (int i = 0; i < (int)g->contact->n_addresses; i++) {
		if (!has(g->contact->addresses[i].kinds, kind) || !is_asked_for(g, i))
			continue;
		int r = address_rank(g, kind, i);
		size_t at = n++;
		for (; at > 0 && ranks[at - 1] < r; at--) {
			ranks[at] = ranks[at - 1];
			order[at] = order[at - 1];
		}
		ranks[at] = r;
		order[at] = (int8_t)i;
	}
	return n;
}

/* True if it may go by this kind. */
static bool
consider_kind(struct gate *g, int kind)
{
	const struct gate_kind *k = &g->rules->kinds[kind];
	int8_t order[GATE_ADDRESSES_MAX];
	struct outcome o = {GATE_NO, GATE_NO_IDENTITY, 0};

	if (g->q->kind == GATE_ANY && k->needs_agent) {
		o.reason = GATE_NEEDS_AGENT;
		note(g, kind, GATE_NONE, o);
		return false;
	}
	if (!*k->address && g->q->address == GATE_ANY) {
		o = consider(g, kind, GATE_NONE);
		note(g, kind, GATE_NONE, o);
		return o.verdict == GATE_GO;
	}
	size_t n = sort_addresses(g, kind, order);
	if (n == 0)
		note(g, kind, GATE_NONE, o);
	for (size_t i = 0; i < n; i++) {
		o = consider(g, kind, order[i]);
		note(g, kind, order[i], o);
		if (o.verdict == GATE_GO)
			return true;
	}
	return false;
}

/* Auto leaves out what the contact does not prefer and has no address for: that tells
 * nobody anything. */
static bool
is_worth_a_look(const struct gate *g, int kind)
{
	if (g->rules->kinds[kind].if_preferred)
		return false;
	for (size_t i = 0; i < g->contact->n_addresses; i++)
		if (has(g->contact->addresses[i].kinds, kind) &&
			is_asked_for(g, (int)i))
			return true;
	return false;
}

static void
consider_all(struct gate *g)
{
	uint32_t seen = 0;

	for (size_t i = 0; i < g->contact->n_preferred; i++) {
		int kind = g->contact->preferred[i];
		if (has(seen, kind))
			continue;
		seen |= 1u << kind;
		if (consider_kind(g, kind))
			return;
	}
	for (int kind = 0; kind < (int)g->rules->n_kinds; kind++)
		if (!has(seen, kind) && is_worth_a_look(g, kind) &&
			consider_kind(g, kind))
			return;
}

static void
check(const struct gate_rules *rules, const struct gate_contact *c,
	const struct gate_question *q)
{
	assert(rules->n_kinds <= GATE_KINDS_MAX && rules->n_caps <= GATE_CAPS_MAX);
	assert(rules->n_quiet <= QUIET_RULES_MAX);
	assert(rules->n_holidays <= GATE_CALENDARS_MAX && rules->zone);
	assert(c->n_addresses <= GATE_ADDRESSES_MAX);
	assert(c->n_quiet <= QUIET_RULES_MAX && c->n_sent <= GATE_SENT_MAX);
	assert(c->n_preferred <= GATE_KINDS_MAX);
	for (size_t i = 0; i < c->n_preferred; i++)
		assert(c->preferred[i] < rules->n_kinds);
	assert(q->kind >= GATE_ANY && q->kind < (int)rules->n_kinds);
	assert(q->address >= GATE_ANY && q->address < (int)c->n_addresses);
	assert(q->purpose < GATE_PURPOSES && q->now_us >= 0);
}

void
gate_decide(const struct gate_rules *rules, const struct gate_health *health,
	const struct gate_contact *contact, const struct gate_question *q,
	struct gate_decision *out)
{
	struct gate g = {.rules = rules,
		.health = health,
		.contact = contact,
		.q = q,
		.out = out,
		.requested = q->requested && q->purpose == GATE_TRANSACTIONAL};

	check(rules, contact, q);
	out->verdict = GATE_NO;
	out->reason = GATE_NO_IDENTITY;
	out->kind = q->kind;
	out->address = q->address;
	out->until_us = 0;
	out->n_considered = 0;
	if (contact->do_not_contact && !g.requested)
		out->reason = GATE_DO_NOT_CONTACT;
	else if (q->kind != GATE_ANY)
		consider_kind(&g, q->kind);
	else
		consider_all(&g);
	if (out->kind == GATE_ANY)
		out->kind = GATE_NONE;
	if (out->address == GATE_ANY)
		out->address = GATE_NONE;
}
