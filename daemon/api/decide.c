/* decide.c - POST /v1/contacts/{id}/decide: what the gate says of a message that nobody
 * sends. Nothing is written but that somebody asked (api/read_audit.h): the answer shows
 * addresses, and what the contact wants. */
#include <api/read_audit.h>
#include <api/reply.h>
#include <api/routes.h>
#include <clock.h>
#include <mem.h>
#include <outreach/gate_json.h>
#include <outreach/gate_read.h>
#include <outreach/regimes.h>
#include <people/address.h>
#include <people/check.h>
#include <people/preference.h>
#include <str.h>

#include <stdio.h>

#define YEARS_AHEAD_US (10 * 366 * 86400 * INT64_C(1000000))

/* A question under way. */
struct asked {
	struct http_request *request;
	struct uuid contact;
	char kind[GATE_KIND_MAX + 1]; /* "auto", or one */
	bool has_address;
	struct address address;
	struct gate_question question; /* its kind and address: once all is known */
};

/* ---- The question ------------------------------------------------------------------- */

static void
take_identity(struct check *c, const struct tenant *t, struct asked *a)
{
	const json_t *v = check_take(c, "identity");
	struct check one;

	if (!v || json_is_null(v))
		return;
	check_init(&one, v);
	const char *kind = check_text(&one, "kind", ADDRESS_KIND_MAX);
	const char *value = check_text(&one, "value", 1000);
	a->has_address = true;
	if (!check_done(&one))
		check_fail(c, "identity: %s", one.why);
	else if (!kind || !value || !address_make(kind, value, t->region, &a->address))
		check_fail(c, "identity: is no address of a known form");
}

static void
take_times(struct check *c, struct gate_question *q)
{
	int64_t now = clock_wall_us();

	if (!check_time(c, "at", &q->now_us))
		q->now_us = now;
	else if (q->now_us < 0 || q->now_us > now + YEARS_AHEAD_US)
		check_fail(c, "at: from 1970 on, and no more than ten years ahead");
	if (check_time(c, "expires", &q->expires_us) && q->expires_us <= q->now_us)
		check_fail(c, "expires: is not after `at`");
}

/* False with c->why. */
static bool
take_question(struct check *c, const struct tenant *t, struct asked *a)
{
	const char *word = check_text(c, "purpose", 40);
	const char *kind = check_text(c, "kind", GATE_KIND_MAX);
	int purpose = gate_purpose_parse(word);

	str_copy(a->kind, sizeof(a->kind), kind ? kind : "auto");
	a->question.requested = check_bool(c, "requested", false);
	take_identity(c, t, a);
	take_times(c, &a->question);
	if (purpose < 0)
		check_fail(
			c, word ? "purpose: must be transactional, service, survey or "
				  "marketing"
				: "purpose: is missing");
	else if (a->question.requested && purpose != GATE_TRANSACTIONAL)
		check_fail(c, "requested: counts for transactional messages only");
	a->question.purpose = purpose < 0 ? GATE_MARKETING : (enum gate_purpose)purpose;
	return check_done(c);
}

/* ---- The answer --------------------------------------------------------------------- */

static void
refuse_kind(const struct asked *a, const struct gate_rules *rules)
{
	struct buf known = BUF_INIT;

	for (size_t i = 0; i < rules->n_kinds; i++)
		buf_printf(&known, ", %s", rules->kinds[i].name);
	http_problem(a->request, 422, NULL, "kind: there is no %s; known are auto%s",
		a->kind, buf_str(&known));
	buf_fini(&known);
}

/* Fills in what depends on the contact and the rules; false after an answer. */
static bool
complete(struct asked *a, const struct gate_rules *rules, const struct gate_contact *c)
{
	struct gate_question *q = &a->question;

	q->kind = str_eq(a->kind, "auto") ? GATE_ANY : gate_kind_find(rules, a->kind);
	if (q->kind < 0 && !str_eq(a->kind, "auto")) {
		refuse_kind(a, rules);
		return false;
	}
	q->address = GATE_ANY;
	for (size_t i = 0; a->has_address && i < c->n_addresses; i++)
		if (str_eq(c->addresses[i].kind, a->address.kind) &&
			str_eq(c->addresses[i].value, a->address.value))
			q->address = (int)i;
	if (!a->has_address || q->address >= 0)
		return true;
	http_problem(a->request, 422, NULL,
		"identity: this contact does not have the address %s:%s",
		a->address.kind, a->address.value);
	return false;
}

static void
answer(struct asked *a, const struct gate_rules *rules, const struct gate_contact *c)
{
	/* Whether a channel is up is not known here: as if each were. */
	static const struct gate_health health = {.up = GATE_ALL};
	struct gate_decision d;
	struct buf out = BUF_INIT;
	struct json_out j;

	gate_decide(rules, &health, c, &a->question, &d);
	json_out_init(&j, &out);
	gate_decision_put(&j, NULL, &d, rules, c);
	const struct store_answer told = {.status = STORE_OK,
		.json = buf_str(&out),
		.json_len = out.len,
		.detail = ""};
	read_audit_contact(a->request, &told, &a->contact, "decide");
	buf_fini(&out);
}

static void
on_contact(void *arg, const struct store_answer *got)
{
	struct asked *a = arg;
	const struct caller *caller = caller_of(a->request);
	const struct regimes *regimes = caller->app->regimes;
	const struct gate_rules *rules = regimes_rules(regimes, caller->tenant->name);
	json_t *o = got->status == STORE_OK
			    ? json_loadb(got->json, got->json_len, 0, NULL)
			    : NULL;

	if (got->status != STORE_OK) {
		reply_from_store(a->request, got);
	} else {
		struct gate_contact *c = xmalloc(sizeof(*c));
		gate_contact_read(rules, regimes_zones(regimes), o, c);
		gate_sent_read(rules, json_object_get(o, "sent"), c);
		if (complete(a, rules, c))
			answer(a, rules, c);
		xfree(&c);
	}
	json_decref(o);
	mem_free(a);
}

void
route_contact_decide(struct http_request *r, void *arg)
{
	struct app *app = arg;
	const struct tenant *tenant = caller_of(r)->tenant;
	struct asked *a = xcalloc(1, sizeof(*a));
	json_t *body = reply_path_uuid(r, &a->contact) ? reply_body(r) : NULL;
	struct check c;

	a->request = r;
	if (body)
		check_init(&c, body);
	if (body && take_question(&c, tenant, a)) {
		int64_t until = a->question.now_us;
		int64_t since = until - gate_history_us(regimes_rules(
						app->regimes, tenant->name));
		preference_for_gate(&app->store, tenant, &a->contact,
			since < 0 ? 0 : since, until, on_contact, a);
	} else {
		if (body)
			http_problem(r, 422, NULL, "%s", c.why);
		mem_free(a);
	}
	json_decref(body);
}
