/* fuzz_wishes.c - any JSON as somebody's preferences, and as all that a store tells of a
 * contact: what cannot be taken as it stands stops everything; what is taken lets the gate
 * decide, and lets nothing go once the contact says no to all. */
#include <outreach/gate_json.h>
#include <outreach/gate_read.h>

#include <jansson.h>
#include <string.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool cond)
{
	if (!cond)
		abort();
}

static void
add_address(struct gate_contact *c, const struct gate_rules *rules, const char *kind,
	const char *value)
{
	struct gate_address *a = &c->addresses[c->n_addresses++];

	a->kind = kind;
	a->value = value;
	a->kinds = gate_kinds_of(rules, kind);
	a->trust = GATE_RECORDED;
}

static void
check_written(const struct gate_decision *d, const struct gate_rules *rules,
	const struct gate_contact *c)
{
	struct buf text = BUF_INIT;
	struct json_out j;

	json_out_init(&j, &text);
	gate_decision_put(&j, NULL, d, rules, c);
	json_t *v = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
	require(json_is_boolean(json_object_get(v, "allowed")));
	require(json_array_size(json_object_get(v, "considered")) == d->n_considered);
	json_decref(v);
	buf_fini(&text);
}

static void
ask(const struct gate_rules *rules, struct gate_contact *c)
{
	static const struct gate_health health = {.up = GATE_ALL};
	struct gate_question q = {.kind = GATE_ANY, .address = GATE_ANY};
	struct gate_decision d;

	for (int purpose = 0; purpose < GATE_PURPOSES; purpose++) {
		q.purpose = (enum gate_purpose)purpose;
		q.now_us = INT64_C(1796047200000000) + purpose * INT64_C(30000000000);
		gate_decide(rules, &health, c, &q, &d);
		require(!c->do_not_contact || d.verdict == GATE_NO);
		check_written(&d, rules, c);
		struct gate_contact silent = *c;
		memset(silent.denied, 0xff, sizeof(silent.denied));
		gate_decide(rules, &health, &silent, &q, &d);
		require(d.verdict == GATE_NO);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *v = json_loadb((const char *)data, size,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	static struct zones *zones;
	struct gate_contact c;
	struct gate_rules rules;

	if (!zones && !(zones = zones_load(ZONES_DIR, NULL)))
		abort();
	if (!v)
		return 0;
	gate_rules_init(&rules);
	memset(&c, 0, sizeof(c));
	add_address(&c, &rules, "phone", "+886912345678");
	add_address(&c, &rules, "email", "a@b");
	bool ok = gate_wishes_read(&rules, v, &c);
	require(ok || c.do_not_contact);
	ask(&rules, &c);
	ok = gate_contact_read(&rules, zones, v, &c);
	require(ok || c.do_not_contact);
	ask(&rules, &c);
	json_decref(v);
	return 0;
}
