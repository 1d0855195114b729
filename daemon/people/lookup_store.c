/* lookup_store.c - what a system said, written to the contact; what may be written is
 * decided in the database (contact_lookup of conf/sql/023-lookup.sql). */
#include <people/lookup_priv.h>

#include <people/store_ask.h>

#include <mem.h>
#include <str.h>

struct storing {
	struct lookups *lookups;
	const struct tenant *tenant;
	struct store_ask *ask;
	struct event_stamp stamp;
};

static void
on_stored(void *arg, const struct pg_answer *a)
{
	struct storing *st = arg;
	struct lookups *l = st->lookups;
	const char *state = a->status == PG_OK ? pg_text(a, 0, 0, 0) : NULL;
	const char *json = a->status == PG_OK ? pg_text(a, 0, 0, 2) : NULL;

	if (json && l->changed)
		l->changed(l->changed_arg, st->tenant, &st->stamp, EVENT_OF_NTH(1),
			state, json);
	if (!state)
		store_ask_failed(st->ask, a);
	else
		store_ask_done_row(st->ask, STORE_OK, a, 0, 2);
	xfree(&st);
}

void
lookup_store(struct lookups *l, const struct tenant *tenant, const struct address *addr,
	const struct uuid *made, const json_t *person, store_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(l->store->writes);
	struct storing *st = xcalloc(1, sizeof(*st));

	st->lookups = l;
	st->tenant = tenant;
	st->ask = store_ask_new(l->store, cb, arg);
	pg_add(u, "contact_lookup");
	pg_param_int(u, tenant->id);
	pg_param_text(u, addr->kind);
	pg_param_text(u, addr->value);
	pg_param_uuid(u, made);
	store_param_json(u, json_object_get(person, "set"));
	pg_param_text(u, json_string_value(json_object_get(person, "external")));
	pg_param_text(u, json_string_value(json_object_get(person, "organisation")));
	st->stamp =
		l->stamp ? l->stamp(l->changed_arg, tenant) : event_stamp_new(false);
	event_param(u, &st->stamp);
	pg_submit(&u, STORE_DEADLINE_MS, on_stored, st);
}

void
lookups_on_change(
	struct lookups *l, event_stamp_fn *stamp, lookup_changed_fn *fn, void *arg)
{
	l->stamp = stamp;
	l->changed = fn;
	l->changed_arg = arg;
}
