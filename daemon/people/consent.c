/* consent.c - see consent.h; the ledger itself is conf/sql/031-wishes.sql's. */
#include <people/consent.h>

#include <people/preference_body.h>
#include <people/wishes_ask.h>

#include <mem.h>
#include <str.h>

#define PAGE_DEFAULT 50
#define PAGE_MAX     200
#define TOKEN_CHARS  100

/* ---- Listing ---------------------------------------------------------------------- */

struct listing {
	struct store_ask *ask;
	unsigned limit;
};

static void
on_listed(void *arg, const struct pg_answer *a)
{
	struct listing *l = arg;

	if (a->status != PG_OK)
		store_ask_failed(l->ask, a);
	else if (!pg_text(a, 0, 0, 0))
		store_ask_done(l->ask, STORE_NOT_FOUND, NULL, 0,
			"there is no contact with this id");
	else
		store_ask_done_page(l->ask, a, 1, l->limit);
	xfree(&l);
}

void
consent_list(struct store *store, const struct tenant *tenant,
	const struct uuid *contact, unsigned limit, const char *cursor,
	store_answer_fn *cb, void *arg)
{
	int64_t before = 0;

	if (cursor && !str_int(cursor, 1, INT64_MAX, &before)) {
		store_refuse(store, cb, arg, STORE_INVALID, "cursor: not one of ours");
		return;
	}
	struct listing *l = xcalloc(1, sizeof(*l));
	struct pg_unit *u = pg_unit_new(store->reads);

	l->ask = store_ask_new(store, cb, arg);
	l->limit = !limit ? PAGE_DEFAULT : limit > PAGE_MAX ? PAGE_MAX : limit;
	pg_add(u, "consent_contact");
	pg_param_int(u, tenant->id);
	pg_param_uuid(u, contact);
	pg_add(u, "consent_list");
	pg_param_int(u, tenant->id);
	pg_param_uuid(u, contact);
	if (cursor)
		pg_param_int(u, before);
	else
		pg_param_null(u);
	pg_param_int(u, l->limit + 1);
	pg_submit(&u, STORE_DEADLINE_MS, on_listed, l);
}

/* ---- Recording -------------------------------------------------------------------- */

static void
param_actor(struct pg_unit *u, const struct actor *actor)
{
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
}

static void
on_recorded(void *arg, const struct pg_answer *a)
{
	struct wishes_ask *w = arg;

	if (a->status != PG_OK)
		wishes_done_failed(w, a);
	else if (str_eq(pg_text(a, 0, 0, 0), "created"))
		wishes_done_row(w, STORE_CREATED, a, 2, 3);
	else if (!store_ask_done_idempotent(w->ask, a, 0))
		wishes_done_otherwise(w, pg_text(a, 0, 0, 0), pg_text(a, 0, 0, 2));
}

void
consent_record(struct store *store, const struct actor *actor,
	const struct uuid *contact, const json_t *body, const struct idempotency *idem,
	wishes_answer_fn *cb, void *arg)
{
	struct check c;

	check_init(&c, body);
	json_t *entry = consent_body_make(&c, actor->tenant, actor->name);
	if (!entry) {
		wishes_refuse(store, cb, arg, c.why);
		return;
	}
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, "consent_record");
	param_actor(u, actor);
	pg_param_uuid(u, contact);
	store_param_json(u, entry);
	store_param_idempotency(u, idem);
	event_param(u, actor->event);
	pg_submit(&u, STORE_DEADLINE_MS, on_recorded, wishes_ask_new(store, cb, arg));
	json_decref(entry);
}

/* ---- Confirming ------------------------------------------------------------------- */

static const struct {
	const char *state;
	enum store_status status;
	const char *detail;
} refusals[] = {
	{"not_found", STORE_NOT_FOUND, "there is no such entry of this contact"},
	{"bad_token", STORE_INVALID, "token: is not the one of this entry"},
	{"expired", STORE_CONFLICT, "the token has expired: record the consent anew"},
	{"not_pending", STORE_CONFLICT,
		"this entry waits for no confirmation any more"},
	{"denied_since", STORE_CONFLICT,
		"the same was denied after this entry: record the consent anew"},
};

static void
on_confirmed(void *arg, const struct pg_answer *a)
{
	struct wishes_ask *w = arg;

	if (a->status != PG_OK) {
		wishes_done_failed(w, a);
		return;
	}
	const char *state = pg_text(a, 0, 0, 0);
	if (str_eq(state, "ok")) {
		wishes_done_row(w, STORE_OK, a, 1, 2);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		if (str_eq(state, refusals[i].state)) {
			wishes_done(w, refusals[i].status, refusals[i].detail);
			return;
		}
	wishes_done_otherwise(w, state, pg_text(a, 0, 0, 1));
}

void
consent_confirm(struct store *store, const struct actor *actor,
	const struct uuid *contact, const struct uuid *entry, const json_t *body,
	wishes_answer_fn *cb, void *arg)
{
	struct check c;

	check_init(&c, body);
	const char *token = check_text(&c, "token", TOKEN_CHARS);
	if (!token)
		check_fail(&c, "token: is required");
	json_t *said = consent_evidence_make(&c, actor->name);
	if (!said) {
		wishes_refuse(store, cb, arg, c.why);
		return;
	}
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, "consent_confirm");
	param_actor(u, actor);
	pg_param_uuid(u, contact);
	pg_param_uuid(u, entry);
	pg_param_text(u, token);
	pg_param_text(u, json_string_value(json_object_get(said, "source")));
	store_param_json(u, json_object_get(said, "evidence"));
	event_param(u, actor->event);
	pg_submit(&u, STORE_DEADLINE_MS, on_confirmed, wishes_ask_new(store, cb, arg));
	json_decref(said);
}

/* ---- STOP ------------------------------------------------------------------------- */

static void
on_stopped(void *arg, const struct pg_answer *a)
{
	struct wishes_ask *w = arg;

	if (a->status != PG_OK)
		wishes_done_failed(w, a);
	else
		wishes_done_row(w, STORE_OK, a, 0, 1);
}

void
consent_stop(struct store *store, const struct actor *actor,
	const struct consent_stop *stop, wishes_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, "consent_stop");
	param_actor(u, actor);
	pg_param_text(u, stop->kind);
	pg_param_text(u, stop->address->kind);
	pg_param_text(u, stop->address->value);
	pg_param_bool(u, stop->address->normal);
	pg_param_text(u, stop->source);
	store_param_json(u, stop->evidence);
	event_param(u, actor->event);
	pg_submit(&u, STORE_DEADLINE_MS, on_stopped, wishes_ask_new(store, cb, arg));
}
