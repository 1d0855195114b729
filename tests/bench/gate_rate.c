/* gate_rate.c - decisions of the gate per second on one core, of people as they are:
 * three or four addresses, six wishes, quiet hours and holidays, two caps, twelve
 * messages sent before; round about the clock, so that quiet times are among them.
 *
 *	gate_rate SECONDS
 *
 * `known_per_s` is of those whose time zone is known, `unknown_per_s` of numbers in the
 * US without one: eight zones are asked then. */
#include <outreach/gate.h>

#include "bench.h"

#define US     INT64_C(1000000)
#define PEOPLE 4096 /* more than the first caches hold */

static struct gate_rules rules;
static struct gate_health health = {.up = GATE_ALL};
static uint64_t seed = 88172645463325252u;

static unsigned
below(unsigned n)
{
	return (unsigned)(next_random(&seed) >> 33) % n;
}

static void
add_address(struct gate_contact *c, const char *kind, const struct zone_list *zones)
{
	struct gate_address *a = &c->addresses[c->n_addresses++];

	a->kind = kind;
	a->kinds = gate_kinds_of(&rules, kind);
	a->trust = GATE_NETWORK;
	a->zones = zones;
}

static void
make_contact(struct gate_contact *c, const struct zone *zone,
	const struct zone_list *zones, int64_t now)
{
	memset(c, 0, sizeof(*c));
	c->zone = zone;
	add_address(c, "phone", zones);
	add_address(c, "phone", zones);
	add_address(c, "email", NULL);
	if (below(2))
		add_address(c, "visitor", NULL);
	c->preferred[c->n_preferred++] = (uint8_t)below((unsigned)rules.n_kinds);
	c->preferred[c->n_preferred++] = (uint8_t)gate_kind_find(&rules, "sms");
	for (int i = 0; i < 6; i++)
		(below(3) ? c->allowed : c->denied)[below(GATE_PURPOSES)] |=
			1u << below((unsigned)rules.n_kinds);
	c->quiet[c->n_quiet++] = (struct quiet_rule){0x1f, 21 * 60, 8 * 60};
	c->quiet[c->n_quiet++] = (struct quiet_rule){0x60, 20 * 60, 10 * 60};
	for (c->n_sent = 0; c->n_sent < 12; c->n_sent++)
		c->sent[c->n_sent] = (struct gate_sent){
			now - (int64_t)(c->n_sent * 20 + below(20)) * 3600 * US,
			(uint8_t)below((unsigned)rules.n_kinds),
			(uint8_t)below(GATE_PURPOSES)};
}

/* This process' own time on a processor: what else runs there does not count. */
static int64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double
rate(const struct gate_contact *people, int64_t now, int64_t seconds)
{
	struct gate_question q = {.kind = GATE_ANY, .address = GATE_ANY};
	struct gate_decision d;
	uint64_t n = 0, allowed = 0;
	int64_t began = cpu_ns(), end = began + seconds * 1000000000;

	do {
		for (size_t i = 0; i < PEOPLE; i++) {
			q.now_us = now + (int64_t)((n + i) % 1440) * 60 * US;
			q.purpose = (enum gate_purpose)((n + i) % GATE_PURPOSES);
			gate_decide(&rules, &health, &people[i], &q, &d);
			allowed += d.verdict == GATE_GO;
		}
		n += PEOPLE;
	} while (cpu_ns() < end);
	if (allowed == 0 || allowed == n)
		die("gate_rate", "all the same: nothing was measured");
	return (double)n * 1e9 / (double)(cpu_ns() - began);
}

int
main(int argc, char **argv)
{
	/* 2026-03-28: clocks change in Europe on the next day */
	int64_t now = INT64_C(1774656000) * US;
	struct err err;

	if (argc != 2)
		die("usage", "gate_rate SECONDS");
	struct zones *zones = zones_load(ZONES_DIR, &err);
	if (!zones)
		die("zones", err.text);
	struct holidays *german = holidays_load("conf/holidays", "DE", &err);
	if (!german)
		die("holidays", err.text);
	gate_rules_init(&rules);
	rules.zone = zones_find(zones, "Europe/Berlin");
	rules.holidays[rules.n_holidays++] = german;
	rules.caps[rules.n_caps++] =
		(struct gate_cap){1u << GATE_MARKETING, GATE_ALL, 2, 7 * 86400 * US};
	rules.caps[rules.n_caps++] = (struct gate_cap){
		1u << GATE_MARKETING | 1u << GATE_SURVEY, GATE_ALL, 5, 30 * 86400 * US};
	struct gate_contact *people = xcalloc(PEOPLE, sizeof(*people));
	for (size_t i = 0; i < PEOPLE; i++)
		make_contact(&people[i], rules.zone, NULL, now);
	printf("known_per_s %.0f\n", rate(people, now, atoll(argv[1])));
	for (size_t i = 0; i < PEOPLE; i++)
		make_contact(&people[i], NULL, zones_country(zones, "US"), now);
	printf("unknown_per_s %.0f\n", rate(people, now, atoll(argv[1])));
	xfree(&people);
	holidays_free(&german);
	zones_free(&zones);
	return 0;
}
