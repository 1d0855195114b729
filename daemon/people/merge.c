/* merge.c - requests about merges, and what their outcomes mean to who asked.
 *
 * Everything is decided in the database (conf/sql/030-merge.sql), in the transaction that
 * does it. Its word for the outcome is looked up in one table per operation here. */
#include <people/merge.h>

#include <people/check.h>
#include <people/store_ask.h>

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define PAGE_DEFAULT 50
#define PAGE_MAX     200

/* What a state means. With STORE_OK the JSON is the answer, with STORE_CONFLICT it is a
 * contact's id, or nothing. */
struct outcome {
	const char *state;
	enum store_status status;
	const char *detail;
};

static const struct outcome outcomes[] = {
	{"merged", STORE_OK, NULL},
	{"already", STORE_OK, NULL},
	{"released", STORE_OK, NULL},
	{"linked", STORE_OK, NULL},
	{"known", STORE_OK, NULL},
	{"not_found", STORE_NOT_FOUND, "there is no contact with this id"},
	{"no_from", STORE_NOT_FOUND, "from: there is no contact with this id"},
	{"no_member", STORE_NOT_FOUND, "contact: there is no contact with this id"},
	{"itself", STORE_INVALID, "from: is this very contact"},
	{"reversed", STORE_CONFLICT,
		"they are one already, and the other one is the survivor; to choose this "
		"one, unmerge it first"},
	{"clash", STORE_CONFLICT,
		"they have different external ids of one namespace, so another system "
		"says that they are two; \"force\": true merges them all the same"},
	{"survivor", STORE_CONFLICT,
		"contact: is the survivor; name the one that was merged into it"},
	{"elsewhere", STORE_CONFLICT, "contact: is part of another contact"},
	{"apart", STORE_CONFLICT, "contact: was never merged into this one"},
	{"gone", STORE_CONFLICT, "one of them is part of another contact by now"},
	{"no_survivor", STORE_INVALID, "survivor: must be one of the two"},
};

static void
done_outcome(struct store_ask *ask, const struct outcome *o, const struct pg_answer *a)
{
	const char *contact = pg_text(a, 0, 0, 1);
	char extra[64] = "";

	if (o->status == STORE_OK) {
		store_ask_done_row(ask, STORE_OK, a, 0, 1);
		return;
	}
	if (o->status == STORE_CONFLICT && contact && strlen(contact) == 36)
		snprintf(extra, sizeof(extra), "\"contact\":\"%s\"", contact);
	store_ask_done(ask, o->status, *extra ? extra : NULL, strlen(extra), o->detail);
}

static void
on_contact_done(void *arg, const struct pg_answer *a)
{
	const char *state = a->status == PG_OK ? pg_text(a, 0, 0, 0) : NULL;

	for (size_t i = 0; state && i < ARRAY_LEN(outcomes); i++)
		if (str_eq(state, outcomes[i].state)) {
			done_outcome(arg, &outcomes[i], a);
			return;
		}
	store_ask_failed(arg, a);
}

static void
on_suggestion_done(void *arg, const struct pg_answer *a)
{
	const char *state = a->status == PG_OK ? pg_text(a, 0, 0, 0) : NULL;
	const char *json = state ? pg_text(a, 0, 0, 1) : NULL;

	if (str_eq(state, "not_found"))
		store_ask_done(arg, STORE_NOT_FOUND, NULL, 0,
			"there is no suggestion with this id");
	else if (str_eq(state, "rejected") && json)
		store_ask_done_row(arg, STORE_OK, a, 0, 1);
	else if (str_eq(state, "rejected"))
		store_ask_done(arg, STORE_CONFLICT, NULL, 0, "it was rejected before");
	else if (str_eq(state, "accepted"))
		store_ask_done(arg, STORE_CONFLICT, NULL, 0,
			"it was accepted before; unmerge them instead");
	else
		on_contact_done(arg, a);
}

static void
param_actor(struct pg_unit *u, const struct actor *actor)
{
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
}

void
contact_merge(struct store *store, const struct actor *actor, const struct uuid *id,
	const json_t *body, store_answer_fn *cb, void *arg)
{
	struct uuid from;
	struct check c;

	check_init(&c, body);
	if (!check_uuid(&c, "from", &from))
		check_fail(&c, "from: is required, the id of a contact");
	bool force = check_bool(&c, "force", false);
	if (!check_done(&c)) {
		store_refuse(store, cb, arg, STORE_INVALID, "%s", c.why);
		return;
	}
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, "contact_merge");
	param_actor(u, actor);
	pg_param_uuid(u, id);
	pg_param_uuid(u, &from);
	pg_param_bool(u, force);
	event_param(u, actor->event);
	pg_submit(
		&u, STORE_DEADLINE_MS, on_contact_done, store_ask_new(store, cb, arg));
}

void
contact_unmerge(struct store *store, const struct actor *actor, const struct uuid *id,
	const json_t *body, store_answer_fn *cb, void *arg)
{
	struct uuid member;
	struct check c;

	check_init(&c, body);
	if (!check_uuid(&c, "contact", &member))
		check_fail(&c, "contact: is required, the id of a merged contact");
	if (!check_done(&c)) {
		store_refuse(store, cb, arg, STORE_INVALID, "%s", c.why);
		return;
	}
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, "contact_unmerge");
	param_actor(u, actor);
	pg_param_uuid(u, id);
	pg_param_uuid(u, &member);
	event_param(u, actor->event);
	pg_submit(
		&u, STORE_DEADLINE_MS, on_contact_done, store_ask_new(store, cb, arg));
}

void
contact_link(struct store *store, const struct actor *actor,
	const struct contact_proof *proof, store_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, "contact_link");
	param_actor(u, actor);
	pg_param_uuid(u, proof->contact);
	pg_param_text(u, proof->address->kind);
	pg_param_text(u, proof->address->value);
	pg_param_bool(u, proof->address->normal);
	pg_param_int(u, proof->trust);
	store_param_json(u, proof->evidence);
	event_param(u, actor->event);
	pg_submit(
		&u, STORE_DEADLINE_MS, on_contact_done, store_ask_new(store, cb, arg));
}

struct page {
	struct store_ask *ask;
	unsigned limit;
};

static void
on_page(void *arg, const struct pg_answer *a)
{
	struct page *p = arg;

	if (a->status == PG_OK)
		store_ask_done_page(p->ask, a, 0, p->limit);
	else
		store_ask_failed(p->ask, a);
	xfree(&p);
}

void
suggestion_list(struct store *store, const struct tenant *tenant, const char *state,
	const struct uuid *contact, unsigned limit, const char *cursor,
	store_answer_fn *cb, void *arg)
{
	struct uuid last = {{0}};

	if (state && !str_eq(state, "open") && !str_eq(state, "accepted") &&
		!str_eq(state, "rejected")) {
		store_refuse(store, cb, arg, STORE_INVALID,
			"state: open, accepted or rejected");
		return;
	}
	if (cursor && !uuid_parse(cursor, &last)) {
		store_refuse(store, cb, arg, STORE_INVALID, "cursor: not one of ours");
		return;
	}
	struct page *p = xcalloc(1, sizeof(*p));
	struct pg_unit *u = pg_unit_new(store->reads);

	p->ask = store_ask_new(store, cb, arg);
	p->limit = !limit ? PAGE_DEFAULT : limit > PAGE_MAX ? PAGE_MAX : limit;
	pg_add(u, "suggestion_list");
	pg_param_int(u, tenant->id);
	pg_param_text(u, state ? state : "open");
	pg_param_uuid(u, contact);
	pg_param_uuid(u, cursor ? &last : NULL);
	pg_param_int(u, p->limit + 1);
	pg_submit(&u, STORE_DEADLINE_MS, on_page, p);
}

void
suggestion_accept(struct store *store, const struct actor *actor, const struct uuid *id,
	const json_t *body, store_answer_fn *cb, void *arg)
{
	struct uuid survivor;
	struct check c;

	check_init(&c, body);
	bool chosen = check_uuid(&c, "survivor", &survivor);
	bool force = check_bool(&c, "force", false);
	if (!check_done(&c)) {
		store_refuse(store, cb, arg, STORE_INVALID, "%s", c.why);
		return;
	}
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, "suggestion_accept");
	param_actor(u, actor);
	pg_param_uuid(u, id);
	pg_param_uuid(u, chosen ? &survivor : NULL);
	pg_param_bool(u, force);
	event_param(u, actor->event);
	pg_submit(&u, STORE_DEADLINE_MS, on_suggestion_done,
		store_ask_new(store, cb, arg));
}

void
suggestion_reject(struct store *store, const struct actor *actor, const struct uuid *id,
	store_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, "suggestion_reject");
	param_actor(u, actor);
	pg_param_uuid(u, id);
	pg_submit(&u, STORE_DEADLINE_MS, on_suggestion_done,
		store_ask_new(store, cb, arg));
}
