/* gate_rules.c - the words of the gate, and a tenant's rules before anything is said. */
#include <outreach/gate.h>

#include <str.h>

#include <assert.h>
#include <string.h>

#define DAY_US (86400 * INT64_C(1000000))

static const char *const purposes[GATE_PURPOSES] = {
	[GATE_TRANSACTIONAL] = "transactional",
	[GATE_SERVICE] = "service",
	[GATE_SURVEY] = "survey",
	[GATE_MARKETING] = "marketing",
};

const char *
gate_purpose_text(enum gate_purpose purpose)
{
	return purposes[purpose];
}

int
gate_purpose_parse(const char *s)
{
	for (int i = 0; i < GATE_PURPOSES; i++)
		if (str_eq(s, purposes[i]))
			return i;
	return -1;
}

static const struct {
	const char *word, *sentence;
} reasons[] = {
#define R(name, word, sentence) {word, sentence},
	GATE_REASONS(R)
#undef R
};

const char *
gate_reason_text(enum gate_reason r)
{
	return reasons[r].word;
}

const char *
gate_reason_sentence(enum gate_reason r)
{
	return reasons[r].sentence;
}

/* What disturbs least and costs least comes first. */
static const struct gate_kind usual[] = {
	{"email", "email", false, false},
	{"sms", "phone", false, false},
	{"chat", "visitor", false, false},
	{"fax", "phone", false, true}, /* few numbers have one */
	{"letter", "letter", false, false},
	{"phone", "phone", true, false},
	{"visit", "", true, false},
};

void
gate_rules_init(struct gate_rules *rules)
{
	memset(rules, 0, sizeof(*rules));
	memcpy(rules->kinds, usual, sizeof(usual));
	rules->n_kinds = sizeof(usual) / sizeof(usual[0]);
	rules->needs_consent = 1u << GATE_MARKETING;
	rules->quiet_purposes = 1u << GATE_MARKETING | 1u << GATE_SURVEY;
	rules->answer_us = 30 * DAY_US;
	rules->zone = zone_utc();
}

bool
gate_rules_add_kind(struct gate_rules *rules, const char *name, const char *address,
	bool needs_agent)
{
	if (rules->n_kinds == GATE_KINDS_MAX || gate_kind_find(rules, name) >= 0)
		return false;
	struct gate_kind *k = &rules->kinds[rules->n_kinds++];
	str_copy(k->name, sizeof(k->name), name);
	str_copy(k->address, sizeof(k->address), address);
	k->needs_agent = needs_agent;
	return true;
}

int
gate_kind_find(const struct gate_rules *rules, const char *name)
{
	for (size_t i = 0; i < rules->n_kinds; i++)
		if (str_eq(rules->kinds[i].name, name))
			return (int)i;
	return -1;
}

uint32_t
gate_kinds_of(const struct gate_rules *rules, const char *address_kind)
{
	uint32_t mask = 0;

	for (size_t i = 0; i < rules->n_kinds; i++)
		if (*rules->kinds[i].address &&
			str_eq(rules->kinds[i].address, address_kind))
			mask |= 1u << i;
	return mask;
}
