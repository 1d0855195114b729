/* preference.c - see preference.h. What is decided is decided in the database, in the
 * transaction that does it (conf/sql/031-wishes.sql); here requests are checked and
 * answers handed on. */
#include <people/preference.h>

#include <people/preference_body.h>
#include <people/address.h>
#include <people/wishes_ask.h>

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>

/* ---- Answers with events ---------------------------------------------------------- */

static void
on_answer(void *arg, const struct store_answer *a)
{
	struct wishes_ask *w = arg;

	w->cb(w->arg, a, w->events);
	json_decref(w->events);
	xfree(&w);
}

struct wishes_ask *
wishes_ask_new(struct store *store, wishes_answer_fn *cb, void *arg)
{
	struct wishes_ask *w = xcalloc(1, sizeof(*w));

	w->cb = cb;
	w->arg = arg;
	w->ask = store_ask_new(store, on_answer, w);
	return w;
}

void
wishes_done_row(struct wishes_ask *w, enum store_status status,
	const struct pg_answer *a, int json, int events)
{
	const char *text = pg_text(a, 0, 0, events);

	w->events = text ? json_loads(text, 0, NULL) : NULL;
	store_ask_done_row(w->ask, status, a, 0, json);
}

void
wishes_done(struct wishes_ask *w, enum store_status status, const char *detail)
{
	store_ask_done(w->ask, status, NULL, 0, detail);
}

void
wishes_done_failed(struct wishes_ask *w, const struct pg_answer *a)
{
	store_ask_failed(w->ask, a);
}

void
wishes_done_otherwise(struct wishes_ask *w, const char *state, const char *json)
{
	char detail[ADDRESS_KIND_MAX + ADDRESS_VALUE_MAX + 100];

	if (str_eq(state, "not_theirs")) {
		snprintf(detail, sizeof(detail),
			"identity: this contact does not have the address %s",
			json ? json : "");
		wishes_done(w, STORE_INVALID, detail);
	} else {
		wishes_done(w, STORE_NOT_FOUND, "there is no contact with this id");
	}
}

void
wishes_refuse(struct store *store, wishes_answer_fn *cb, void *arg, const char *detail)
{
	struct wishes_ask *w = xcalloc(1, sizeof(*w));

	w->cb = cb;
	w->arg = arg;
	store_refuse(store, on_answer, w, STORE_INVALID, "%s", detail);
}

/* ---- Reading ---------------------------------------------------------------------- */

static void
on_get(void *arg, const struct pg_answer *a)
{
	store_ask_done_object(arg, a, "contact");
}

void
preference_get(struct store *store, const struct tenant *tenant,
	const struct uuid *contact, store_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->reads);

	pg_add(u, "preferences_get");
	pg_param_int(u, tenant->id);
	pg_param_uuid(u, contact);
	pg_submit(&u, STORE_DEADLINE_MS, on_get, store_ask_new(store, cb, arg));
}

void
preference_for_gate(struct store *store, const struct tenant *tenant,
	const struct uuid *contact, int64_t since_us, int64_t until_us,
	store_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->reads);

	pg_add(u, "gate_contact");
	pg_param_int(u, tenant->id);
	pg_param_uuid(u, contact);
	pg_param_int(u, since_us);
	pg_param_int(u, until_us);
	pg_submit(&u, STORE_DEADLINE_MS, on_get, store_ask_new(store, cb, arg));
}

/* ---- Changing --------------------------------------------------------------------- */

static void
on_put(void *arg, const struct pg_answer *a)
{
	struct wishes_ask *w = arg;

	if (a->status != PG_OK)
		wishes_done_failed(w, a);
	else if (str_eq(pg_text(a, 0, 0, 0), "ok"))
		wishes_done_row(w, STORE_OK, a, 1, 2);
	else
		wishes_done_otherwise(w, pg_text(a, 0, 0, 0), pg_text(a, 0, 0, 1));
}

/* What the event tells of: {"preferences": body}. */
static void
param_changes(struct pg_unit *u, const json_t *body)
{
	json_t *changes = json_pack("{s:O}", "preferences", (json_t *)(uintptr_t)body);

	store_param_json(u, changes);
	json_decref(changes);
}

void
preference_put(struct store *store, const struct actor *actor,
	const struct uuid *contact, const json_t *body, wishes_answer_fn *cb, void *arg)
{
	preference_put_said(store, actor, contact, body, NULL, cb, arg);
}

void
preference_put_said(struct store *store, const struct actor *actor,
	const struct uuid *contact, const json_t *body, const json_t *evidence,
	wishes_answer_fn *cb, void *arg)
{
	struct check c;

	check_init(&c, body);
	json_t *wishes = preference_body_make(&c, actor->tenant, actor->name);
	if (!wishes) {
		wishes_refuse(store, cb, arg, c.why);
		return;
	}
	if (evidence)
		json_object_set(wishes, "evidence", (json_t *)(uintptr_t)evidence);
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, "preferences_put");
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
	pg_param_uuid(u, contact);
	store_param_json(u, wishes);
	store_param_fields(u, body);
	event_param(u, actor->event);
	param_changes(u, body);
	pg_submit(&u, STORE_DEADLINE_MS, on_put, wishes_ask_new(store, cb, arg));
	json_decref(wishes);
}
