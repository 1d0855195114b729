/* test_gate_properties.c - what must hold of the gate whatever it is asked: random people,
 * wishes, rules and questions, made from a seed that a failure prints. */
#include <outreach/gate.h>

#include <base/calendar.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 60000
#define US     INT64_C(1000000)
#define DAY_US (86400 * US)

static struct zones *zones;
static struct holidays *holidays[2];
static uint64_t state;

static unsigned
below(unsigned n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 33) % n;
}

static bool
one_in(unsigned n)
{
	return below(n) == 0;
}

struct scene {
	uint64_t seed;
	struct gate_rules rules;
	struct gate_health health;
	struct gate_contact contact;
	struct gate_question question;
};

/* ---- Making them ---- */

static const struct zone *
some_zone(void)
{
	static const char *const names[] = {"Asia/Taipei", "Europe/Berlin",
		"America/New_York", "America/Havana", "Australia/Lord_Howe",
		"Asia/Kathmandu", "Pacific/Apia", "Asia/Tehran", "America/St_Johns"};

	return zones_find(zones, names[below(ARRAY_LEN(names))]);
}

static void
some_quiet(struct quiet_rule *rules, size_t *n_r)
{
	*n_r = one_in(2) ? below(4) : 0;
	for (size_t i = 0; i < *n_r; i++)
		rules[i] = (struct quiet_rule){(uint8_t)below(128),
			(uint16_t)(15 * below(96)), (uint16_t)(15 * (1 + below(96)))};
}

static void
some_rules(struct gate_rules *r, struct gate_health *h)
{
	gate_rules_init(r);
	r->zone = some_zone();
	r->needs_consent = one_in(3) ? below(16) : 1u << GATE_MARKETING;
	for (r->n_caps = below(4); r->n_caps && one_in(2); r->n_caps--)
		;
	for (size_t i = 0; i < r->n_caps; i++)
		r->caps[i] = (struct gate_cap){1 + below(15),
			one_in(2) ? GATE_ALL : below(128), one_in(9) ? 0 : 1 + below(4),
			(int64_t)(1 + below(200)) * 3600 * US};
	some_quiet(r->quiet, &r->n_quiet);
	if (one_in(3)) {
		r->holidays[0] = holidays[0];
		r->holidays[1] = holidays[1];
		r->n_holidays = below(3);
	}
	h->up = one_in(3) ? below(128) : GATE_ALL;
	for (int i = 0; i < GATE_KINDS_MAX; i++)
		h->back_us[i] = 0;
}

static void
some_address(struct gate_address *a, const struct gate_rules *r, int64_t now)
{
	static const char *const kinds[] = {
		"phone", "phone", "email", "email", "visitor", "external", "letter"};
	static const char *const countries[] = {"TW", "US", "DE", "CN", "RU"};

	a->kind = kinds[below(ARRAY_LEN(kinds))];
	a->value = "x";
	a->kinds = gate_kinds_of(r, a->kind);
	a->suppressed = one_in(5) ? (one_in(2) ? GATE_ALL : below(128)) : 0;
	a->trust = (enum gate_trust)below(4);
	a->shared = one_in(4);
	a->denied_by_others = a->shared && one_in(2) ? below(16) : 0;
	a->wrote_us = one_in(3) ? now - (int64_t)below(40) * DAY_US : 0;
	if (str_eq(a->kind, "phone") && !one_in(5))
		a->zones = zones_country(zones, countries[below(ARRAY_LEN(countries))]);
}

/* A yes or a no to some kinds for some purposes. */
static void
some_wish(uint32_t masks[GATE_PURPOSES])
{
	uint32_t kinds = one_in(4) ? GATE_ALL : 1u << below(7);

	for (int p = 0, only = one_in(3) ? GATE_ANY : (int)below(4); p < GATE_PURPOSES;
		p++)
		if (only == GATE_ANY || only == p)
			masks[p] |= kinds;
}

static void
some_contact(struct gate_contact *c, const struct gate_rules *r, int64_t now)
{
	memset(c, 0, sizeof(*c));
	c->do_not_contact = one_in(10);
	c->zone = one_in(2) ? some_zone() : NULL;
	str_copy(c->country, sizeof(c->country),
		one_in(2)   ? ""
		: one_in(2) ? "TW"
			    : "US");
	c->n_preferred = below(4);
	for (size_t i = 0; i < c->n_preferred; i++)
		c->preferred[i] = (uint8_t)below((unsigned)r->n_kinds);
	c->n_addresses = one_in(200) ? GATE_ADDRESSES_MAX : below(5);
	for (size_t i = 0; i < c->n_addresses; i++)
		some_address(&c->addresses[i], r, now);
	for (unsigned n = below(6); n > 0; n--)
		some_wish(one_in(2) ? c->allowed : c->denied);
	for (unsigned n = c->n_addresses ? below(4) : 0; n > 0; n--) {
		struct gate_address *a = &c->addresses[below((unsigned)c->n_addresses)];
		some_wish(one_in(2)   ? a->allowed
			  : one_in(2) ? a->denied
				      : a->uncovered);
	}
	c->denied_us = one_in(2) ? now - (int64_t)below(40) * DAY_US : 0;
	some_quiet(c->quiet, &c->n_quiet);
	c->n_sent = one_in(200) ? GATE_SENT_MAX : below(8);
	for (size_t i = 0; i < c->n_sent; i++)
		c->sent[i] = (struct gate_sent){
			i ? c->sent[i - 1].at_us - (int64_t)below(90) * 3600 * US
			  : now - (int64_t)below(10) * 3600 * US,
			(uint8_t)below(7), (uint8_t)below(4)};
}

static void
make(struct scene *s, uint64_t seed)
{
	/* Around changes of clocks, holidays, a leap day, and any time. */
	static const int64_t around[] = {INT64_C(1774746000), INT64_C(1793491200),
		INT64_C(1798156800), INT64_C(1835395200), INT64_C(1796004000)};
	struct gate_question *q = &s->question;

	memset(s, 0, sizeof(*s));
	s->seed = seed;
	state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	q->now_us = around[below(ARRAY_LEN(around))] * US +
		    (int64_t)below(200000000) * 1000 * (one_in(10) ? 1000 : 1);
	some_rules(&s->rules, &s->health);
	for (int i = 0; i < GATE_KINDS_MAX; i++)
		s->health.back_us[i] =
			one_in(2) ? q->now_us + (int64_t)below(50) * 3600 * US : 0;
	some_contact(&s->contact, &s->rules, q->now_us);
	q->purpose = (enum gate_purpose)below(GATE_PURPOSES);
	q->kind = one_in(2) ? GATE_ANY : (int)below((unsigned)s->rules.n_kinds);
	q->address = one_in(4) && s->contact.n_addresses
			     ? (int)below((unsigned)s->contact.n_addresses)
			     : GATE_ANY;
	q->requested = one_in(4);
	q->answer = one_in(4);
	q->expires_us =
		one_in(4) ? q->now_us + (int64_t)(1 + below(100)) * 3600 * US : 0;
}

static void
decide(const struct scene *s, struct gate_decision *d)
{
	gate_decide(&s->rules, &s->health, &s->contact, &s->question, d);
}

static void
require(const struct scene *s, bool cond, const char *what)
{
	static int told;

	if (!cond && told++ < 20)
		test_fail(__FILE__, __LINE__, "seed %" PRIu64 ": %s", s->seed, what);
}

#define REQUIRE(cond) require(&s, cond, #cond)
#define EACH_SCENE(s, d)                                                               \
	for (uint64_t seed = 1; seed <= ROUNDS; seed++)                                \
		if (make(&s, seed), decide(&s, &d), true)

/* ---- What must hold ---- */

static void
the_same_question_has_the_same_answer(void)
{
	struct gate_decision d, again;
	struct scene s, copy;

	EACH_SCENE(s, d)
	{
		memcpy(&copy, &s, sizeof(s));
		memset(&again, 0xee, sizeof(again));
		decide(&s, &again);
		bool same = again.verdict == d.verdict && again.reason == d.reason &&
			    again.kind == d.kind && again.address == d.address &&
			    again.until_us == d.until_us &&
			    again.n_considered == d.n_considered;
		for (size_t i = 0; same && i < d.n_considered; i++)
			same = again.considered[i].kind == d.considered[i].kind &&
			       again.considered[i].address == d.considered[i].address &&
			       again.considered[i].reason == d.considered[i].reason &&
			       again.considered[i].until_us == d.considered[i].until_us;
		REQUIRE(same);
		REQUIRE(memcmp(&copy, &s, sizeof(s)) == 0);
	}
}

static void
answers_are_in_bounds(void)
{
	struct gate_decision d;
	struct scene s;

	EACH_SCENE(s, d)
	{
		REQUIRE(d.reason < GATE_NEEDS_AGENT);
		REQUIRE(d.kind >= GATE_NONE && d.kind < (int)s.rules.n_kinds &&
			d.kind != GATE_ANY);
		REQUIRE(d.address >= GATE_NONE && d.address != GATE_ANY &&
			d.address < (int)s.contact.n_addresses);
		REQUIRE(d.n_considered <= GATE_CONSIDERED_MAX);
		for (size_t i = 0; i < d.n_considered; i++)
			REQUIRE(d.considered[i].kind >= 0 &&
				d.considered[i].kind < (int)s.rules.n_kinds &&
				d.considered[i].reason < GATE_REASON_COUNT &&
				d.considered[i].address < (int)s.contact.n_addresses);
		bool good = d.reason == GATE_PREFERRED || d.reason == GATE_FALLBACK ||
			    d.reason == GATE_REQUESTED;
		REQUIRE(good == (d.verdict == GATE_GO));
		REQUIRE(d.verdict != GATE_GO || d.kind >= 0);
		REQUIRE(d.verdict == GATE_WAIT || d.until_us == 0);
		REQUIRE(d.until_us == 0 || d.until_us > s.question.now_us);
		REQUIRE(!d.until_us || !s.question.expires_us ||
			d.until_us < s.question.expires_us);
	}
}

static void
what_goes_goes_where_it_may(void)
{
	struct gate_decision d;
	struct scene s;

	EACH_SCENE(s, d)
	{
		const struct gate_question *q = &s.question;
		bool requested = q->requested && q->purpose == GATE_TRANSACTIONAL;
		if (d.verdict != GATE_GO)
			continue;
		REQUIRE(!s.contact.do_not_contact || requested);
		REQUIRE(q->kind == GATE_ANY ? !s.rules.kinds[d.kind].needs_agent
					    : d.kind == q->kind);
		REQUIRE(q->address == GATE_ANY || d.address == q->address);
		REQUIRE(s.health.up >> d.kind & 1);
		if (d.address < 0) {
			REQUIRE(!*s.rules.kinds[d.kind].address);
			continue;
		}
		const struct gate_address *a = &s.contact.addresses[d.address];
		REQUIRE(a->kinds >> d.kind & 1);
		REQUIRE(!(a->suppressed >> d.kind & 1) || requested);
		REQUIRE(a->trust != GATE_CLAIMED ||
			(q->purpose == GATE_SERVICE && a->wrote_us));
	}
}

static void
do_not_contact_dominates(void)
{
	struct gate_decision d;
	struct scene s;

	EACH_SCENE(s, d)
	{
		s.contact.do_not_contact = true;
		decide(&s, &d);
		if (s.question.requested && s.question.purpose == GATE_TRANSACTIONAL)
			continue;
		REQUIRE(d.verdict == GATE_NO && d.reason == GATE_DO_NOT_CONTACT);
		REQUIRE(d.until_us == 0 && d.n_considered == 0);
	}
}

/* One more no anywhere, and what was not allowed is not allowed. */
static void
a_no_never_allows(void)
{
	struct gate_decision d, more;
	struct scene s;

	EACH_SCENE(s, d)
	{
		struct gate_contact *c = &s.contact;
		bool of_address = c->n_addresses && one_in(2);
		some_wish(of_address
				  ? c->addresses[below((unsigned)c->n_addresses)].denied
				  : c->denied);
		if (one_in(2))
			c->denied_us = one_in(2) ? 0 : s.question.now_us;
		decide(&s, &more);
		REQUIRE(d.verdict == GATE_GO || more.verdict != GATE_GO);
		REQUIRE(d.verdict != GATE_NO || more.verdict == GATE_NO);
		/* To everything, not known when: it is the end of it. */
		memset(c->denied, 0xff, sizeof(c->denied));
		c->denied_us = 0;
		decide(&s, &more);
		REQUIRE(more.verdict == GATE_NO);
	}
}

static void
less_is_never_more(void)
{
	struct gate_decision d, more;
	struct scene s;

	EACH_SCENE(s, d)
	{
		bool went = d.verdict == GATE_GO;
		/* Without any yes. */
		struct scene t = s;
		memset(t.contact.allowed, 0, sizeof(t.contact.allowed));
		for (size_t i = 0; i < t.contact.n_addresses; i++)
			memset(t.contact.addresses[i].allowed, 0,
				sizeof(t.contact.addresses[i].allowed));
		decide(&t, &more);
		REQUIRE(went || more.verdict != GATE_GO);
		/* With more that was sent, all of it now. */
		t = s;
		if (t.contact.n_sent == GATE_SENT_MAX)
			t.contact.n_sent--;
		memmove(t.contact.sent + 1, t.contact.sent,
			t.contact.n_sent * sizeof(t.contact.sent[0]));
		t.contact.n_sent++;
		t.contact.sent[0] = (struct gate_sent){
			t.question.now_us, (uint8_t)below(7), (uint8_t)below(4)};
		decide(&t, &more);
		REQUIRE(went || more.verdict != GATE_GO);
		/* With another quiet hour. */
		t = s;
		if (t.contact.n_quiet < QUIET_RULES_MAX)
			t.contact.quiet[t.contact.n_quiet++] = (struct quiet_rule){
				(uint8_t)below(128), (uint16_t)below(1440),
				(uint16_t)(1 + below(1440))};
		decide(&t, &more);
		REQUIRE(went || more.verdict != GATE_GO);
	}
}

/* Asked again then, nothing that time heals is in the way. */
static void
until_is_when_it_may_go(void)
{
	struct gate_decision d, then;
	struct scene s;
	int n = 0;

	EACH_SCENE(s, d)
	{
		if (!d.until_us)
			continue;
		int kind = d.kind;
		n++;
		s.question.now_us = d.until_us;
		s.health.up |= s.health.back_us[kind] <= d.until_us ? 1u << kind : 0;
		decide(&s, &then);
		/* An answer or a claimed address may have grown too old meanwhile. */
		if (s.question.purpose == GATE_SERVICE && then.verdict == GATE_NO)
			continue;
		REQUIRE(then.reason != GATE_QUIET_HOURS &&
			then.reason != GATE_FREQUENCY_CAP);
		REQUIRE(then.verdict == GATE_GO || then.reason == GATE_CHANNEL_DOWN);
	}
	CHECK(n > 1000);
}

/* Not a moment too late: while it is quiet it does not go. */
static void
quiet_is_kept(void)
{
	struct gate_decision d, then;
	struct scene s;
	int n = 0;

	EACH_SCENE(s, d)
	{
		if (!d.until_us || d.reason != GATE_QUIET_HOURS ||
			s.question.kind == GATE_ANY || s.rules.n_caps ||
			!(s.health.up >> d.kind & 1) || s.contact.n_addresses > 2)
			continue;
		n++;
		s.question.now_us +=
			(int64_t)((uint64_t)(d.until_us - s.question.now_us) / 100 *
				  below(100));
		decide(&s, &then);
		if (s.question.purpose == GATE_SERVICE && then.verdict == GATE_NO)
			continue;
		REQUIRE(then.verdict == GATE_WAIT && then.until_us == d.until_us);
	}
	CHECK(n > 100);
}

int
main(void)
{
	struct err err;

	zones = zones_load(ZONES_DIR, &err);
	holidays[0] = holidays_load("conf/holidays", "TW", &err);
	holidays[1] = holidays_load("conf/holidays", "US", &err);
	if (!zones || !holidays[0] || !holidays[1]) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	TEST(the_same_question_has_the_same_answer);
	TEST(answers_are_in_bounds);
	TEST(what_goes_goes_where_it_may);
	TEST(do_not_contact_dominates);
	TEST(a_no_never_allows);
	TEST(less_is_never_more);
	TEST(until_is_when_it_may_go);
	TEST(quiet_is_kept);
	holidays_free(&holidays[0]);
	holidays_free(&holidays[1]);
	zones_free(&zones);
	return test_done();
}
