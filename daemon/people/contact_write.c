/* contact_write.c - creating and changing contacts.
 *
 * The request is checked here (contact_body.c); who else holds an address, what is
 * absorbed and what conflicts is decided in the database, in the transaction that does
 * it: contact_create and contact_patch of conf/sql/002-people.sql, behind what the caller may
 * see and say (contact_create_seen and contact_patch_seen of 032-access.sql). */
#include <people/contact.h>

#include <people/contact_body.h>
#include <people/store_ask.h>

#include <clock.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define UNKNOWN_ZONE "22023" /* invalid_parameter_value */

static void
param_actor(struct pg_unit *u, const struct actor *actor)
{
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
}

static void
done_conflict(struct store_ask *ask, const char *contact)
{
	char extra[64];

	/* NULL: one that this caller does not see */
	if (contact)
		snprintf(extra, sizeof(extra), "\"contact\":\"%.36s\"", contact);
	store_ask_done(ask, STORE_CONFLICT, contact ? extra : NULL,
		contact ? strlen(extra) : 0,
		"another contact has one of these addresses; \"shared\": true lets both "
		"have it");
}

/* What both statements may say besides success; json is the state's column. */
static void
done_otherwise(struct store_ask *ask, const char *state, const char *json)
{
	if (str_eq(state, "conflict"))
		done_conflict(ask, json);
	else if (str_eq(state, "not_found"))
		store_ask_done(ask, STORE_NOT_FOUND, NULL, 0,
			"there is no contact with this id");
	else if (str_eq(state, "refused"))
		store_ask_done(ask, STORE_INVALID, NULL, 0, json);
	else if (str_eq(state, "cycle"))
		store_ask_done(ask, STORE_INVALID, NULL, 0,
			"organisation: that one belongs to this contact itself");
	else
		store_ask_done(ask, STORE_INVALID, NULL, 0,
			"organisation: must be another contact's id");
}

static void
done_failed(struct store_ask *ask, const struct pg_answer *a)
{
	if (a->status == PG_ERROR && str_eq(a->sqlstate, UNKNOWN_ZONE))
		store_ask_done(
			ask, STORE_INVALID, NULL, 0, "timezone: there is no such zone");
	else
		store_ask_failed(ask, a);
}

static void
on_created(void *arg, const struct pg_answer *a)
{
	struct store_ask *ask = arg;

	if (a->status != PG_OK)
		done_failed(ask, a);
	else if (str_eq(pg_text(a, 0, 0, 0), "created"))
		store_ask_done_seen(ask, STORE_CREATED, a, 2, 4);
	else if (!store_ask_done_idempotent(ask, a, 0))
		done_otherwise(ask, pg_text(a, 0, 0, 0), pg_text(a, 0, 0, 2));
}

static void
on_patched(void *arg, const struct pg_answer *a)
{
	struct store_ask *ask = arg;

	if (a->status != PG_OK)
		done_failed(ask, a);
	else if (str_eq(pg_text(a, 0, 0, 0), "ok"))
		store_ask_done_seen(ask, STORE_OK, a, 1, 3);
	else
		done_otherwise(ask, pg_text(a, 0, 0, 0), pg_text(a, 0, 0, 1));
}

void
contact_create(struct store *store, const struct actor *actor, const json_t *body,
	enum trust max_trust, const struct idempotency *idem, store_answer_fn *cb,
	void *arg)
{
	struct uuid id = uuid_new(clock_wall_us());
	struct contact_body b;

	contact_body_init(&b, body, actor->tenant, max_trust, false);
	if (b.why[0]) {
		store_refuse(store, cb, arg, STORE_INVALID, "%s", b.why);
		contact_body_fini(&b);
		return;
	}
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, "contact_create");
	param_actor(u, actor);
	pg_param_uuid(u, &id);
	store_param_json(u, b.set);
	store_param_json(u, b.add);
	pg_param_bool(u, b.shared);
	store_param_fields(u, body);
	store_param_idempotency(u, idem);
	event_param(u, actor->event);
	sight_param(u, actor->sight);
	pg_submit(&u, STORE_DEADLINE_MS, on_created, store_ask_new(store, cb, arg));
	contact_body_fini(&b);
}

void
contact_patch(struct store *store, const struct actor *actor, const struct uuid *id,
	const json_t *body, enum trust max_trust, store_answer_fn *cb, void *arg)
{
	struct contact_body b;

	contact_body_init(&b, body, actor->tenant, max_trust, true);
	if (b.why[0]) {
		store_refuse(store, cb, arg, STORE_INVALID, "%s", b.why);
		contact_body_fini(&b);
		return;
	}
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, "contact_patch");
	param_actor(u, actor);
	pg_param_uuid(u, id);
	store_param_json(u, b.set);
	store_param_json(u, b.add);
	store_param_json(u, b.remove);
	pg_param_bool(u, b.shared);
	store_param_fields(u, body);
	event_param(u, actor->event);
	store_param_json(u, actor->event && actor->event->kept ? body : NULL);
	sight_param(u, actor->sight);
	pg_submit(&u, STORE_DEADLINE_MS, on_patched, store_ask_new(store, cb, arg));
	contact_body_fini(&b);
}
