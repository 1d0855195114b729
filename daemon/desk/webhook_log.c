/* webhook_log.c - deliveries listed, shown and replayed. What is replayed waits again
 * under its old id and in its old place. */
#include <desk/webhook_priv.h>

#include <clock.h>
#include <mem.h>
#include <people/check.h>
#include <str.h>

#include <stdio.h>

#define REPLAY_MAX 10000

struct log_call {
	struct webhooks *all;
	struct store_ask *ask;
	const struct tenant *tenant;
	unsigned limit;
};

static struct log_call *
call_new(struct webhooks *ws, const struct tenant *tenant, store_answer_fn *fn,
	void *arg)
{
	struct log_call *c = xcalloc(1, sizeof(*c));

	c->all = ws;
	c->tenant = tenant;
	c->ask = store_ask_new(ws->store, fn, arg);
	ws->asking++;
	return c;
}

static struct store_ask *
call_end(struct log_call *c)
{
	struct store_ask *ask = c->ask;

	c->all->asking--;
	mem_free(c);
	return ask;
}

static bool
state_is_known(const char *s)
{
	return str_eq(s, "waiting") || str_eq(s, "delivered") || str_eq(s, "dead");
}

/* ---- Listed ------------------------------------------------------------------------- */

static void
on_page(void *arg, const struct pg_answer *a)
{
	struct log_call *c = arg;
	unsigned limit = c->limit;

	if (a->status == PG_OK)
		store_ask_done_page(call_end(c), a, 0, limit);
	else
		store_ask_failed(call_end(c), a);
}

static void
on_hook_page(void *arg, const struct pg_answer *a)
{
	struct log_call *c = arg;
	unsigned limit = c->limit;

	if (a->status != PG_OK)
		store_ask_failed(call_end(c), a);
	else if (!pg_rows(a, 0))
		store_ask_done(call_end(c), STORE_NOT_FOUND, NULL, 0,
			"there is no webhook with this id");
	else
		store_ask_done_page(call_end(c), a, 1, limit);
}

static void
param_before(struct pg_unit *u, int64_t before)
{
	if (before)
		pg_param_int(u, before);
	else
		pg_param_null(u);
}

void
webhook_deliveries(struct webhooks *ws, const struct tenant *tenant,
	const struct uuid *webhook, const char *state, unsigned limit,
	const char *before, store_answer_fn *fn, void *arg)
{
	int64_t seq = 0;
	bool all = uuid_is_nil(webhook);

	if (before && !str_int(before, 1, INT64_MAX, &seq)) {
		store_refuse(
			ws->store, fn, arg, STORE_INVALID, "before: not one of ours");
		return;
	}
	if (state && !state_is_known(state)) {
		store_refuse(ws->store, fn, arg, STORE_INVALID,
			"state: waiting, delivered or dead");
		return;
	}
	struct log_call *c = call_new(ws, tenant, fn, arg);
	struct pg_unit *u = pg_unit_new(ws->pg);

	c->limit = limit;
	if (!all) {
		pg_add(u, "webhook_get");
		pg_param_int(u, tenant->id);
		pg_param_uuid(u, webhook);
	}
	pg_add(u, all ? "webhook_dead_letters" : "webhook_deliveries");
	pg_param_int(u, tenant->id);
	if (!all) {
		pg_param_uuid(u, webhook);
		pg_param_text(u, state);
	}
	param_before(u, seq);
	pg_param_int(u, limit + 1);
	pg_submit(&u, STORE_DEADLINE_MS, all ? on_page : on_hook_page, c);
}

static void
on_delivery(void *arg, const struct pg_answer *a)
{
	store_ask_done_object(call_end(arg), a, "delivery");
}

void
webhook_delivery(struct webhooks *ws, const struct tenant *tenant,
	const struct uuid *webhook, const struct uuid *delivery, store_answer_fn *fn,
	void *arg)
{
	struct pg_unit *u = pg_unit_new(ws->pg);

	pg_add(u, "webhook_delivery");
	pg_param_int(u, tenant->id);
	pg_param_uuid(u, webhook);
	pg_param_uuid(u, delivery);
	pg_submit(&u, STORE_DEADLINE_MS, on_delivery, call_new(ws, tenant, fn, arg));
}

/* ---- Replayed ----------------------------------------------------------------------- */

static void
on_replayed(void *arg, const struct pg_answer *a)
{
	struct log_call *c = arg;
	struct webhooks *ws = c->all;
	char json[80];
	int64_t n;

	if (a->status != PG_OK) {
		store_ask_failed(call_end(c), a);
		return;
	}
	if (!pg_rows(a, 0)) {
		store_ask_done(call_end(c), STORE_NOT_FOUND, NULL, 0,
			"there is no webhook, or no delivery of it, with this id");
		return;
	}
	n = pg_int(a, 1, 0, 0);
	if (!ws->closing)
		webhooks_kick(ws, c->tenant, NULL);
	int len = snprintf(json, sizeof(json), "{\"replayed\":%lld,\"more\":%s}",
		(long long)n, n == REPLAY_MAX ? "true" : "false");
	store_ask_done(call_end(c), STORE_OK, json, (size_t)len, NULL);
}

struct period {
	const char *state; /* NULL: dead ones */
	int64_t from_us, to_us;
};

static bool
period_read(struct period *p, const json_t *body, struct check *c)
{
	check_init(c, body);
	p->state = check_text(c, "state", 20);
	if (p->state && !str_eq(p->state, "dead") && !str_eq(p->state, "delivered") &&
		!str_eq(p->state, "all"))
		check_fail(c, "state: dead, delivered or all");
	if (!check_time(c, "from", &p->from_us))
		check_fail(c, "from: is required, a time such as 2026-11-21T08:00:00Z");
	if (!check_time(c, "to", &p->to_us))
		p->to_us = clock_wall_us() + 1000000;
	return check_done(c);
}

static void
param_states(struct pg_unit *u, bool dead, bool delivered)
{
	pg_array_begin(u);
	if (dead)
		pg_array_add(u, "dead");
	if (delivered)
		pg_array_add(u, "delivered");
	pg_array_end(u);
}

void
webhook_replay(struct webhooks *ws, const struct actor *actor,
	const struct uuid *webhook, const struct uuid *delivery, const json_t *body,
	store_answer_fn *fn, void *arg)
{
	struct period p = {.state = "all"};
	struct check check;
	bool one = !uuid_is_nil(delivery);

	if (!one && !period_read(&p, body, &check)) {
		store_refuse(ws->store, fn, arg, STORE_INVALID, "%s", check.why);
		return;
	}
	struct pg_unit *u = pg_unit_new(ws->pg);

	pg_add(u, one ? "webhook_delivery" : "webhook_get");
	pg_param_int(u, actor->tenant->id);
	pg_param_uuid(u, webhook);
	if (one)
		pg_param_uuid(u, delivery);
	pg_add(u, "webhook_replay");
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
	pg_param_uuid(u, webhook);
	pg_param_uuid(u, delivery);
	param_states(u, !str_eq(p.state, "delivered"),
		str_eq(p.state, "all") || str_eq(p.state, "delivered"));
	param_before(u, p.from_us);
	param_before(u, p.to_us);
	pg_param_int(u, REPLAY_MAX);
	pg_submit(&u, 60000, on_replayed, call_new(ws, actor->tenant, fn, arg));
}
