/* wishes.c - /v1/contacts/{id}/preferences and …/consents: what contacts want, and the
 * record that proves it. */
#include <api/publish.h>
#include <api/reply.h>
#include <api/routes.h>
#include <mem.h>
#include <people/consent.h>

#include <jansson.h>

/* A change under way, with the stamp of its events. */
struct wishes_change {
	struct http_request *request;
	struct event_stamp stamp;
	struct actor actor;
};

static struct wishes_change *
change_new(struct http_request *r)
{
	struct wishes_change *c = xcalloc(1, sizeof(*c));
	c->request = r;
	c->stamp = events_stamp(caller_of(r)->app->events, caller_of(r)->tenant);
	c->actor = caller_actor(r);
	c->actor.event = &c->stamp;
	return c;
}

static void
on_changed(void *arg, const struct store_answer *a, const json_t *events)
{
	struct wishes_change *c = arg;
	const struct caller *caller = caller_of(c->request);
	size_t i;
	json_t *e;
	json_array_foreach(events, i, e)
	{
		events_told(caller->app->events, caller->tenant, &c->stamp, (unsigned)i,
			json_string_value(json_array_get(e, 0)),
			json_string_value(json_array_get(e, 1)),
			json_string_value(json_array_get(e, 2)));
	}
	reply_from_store(c->request, a);
	mem_free(c);
}

void
route_preferences_get(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	if (reply_path_uuid(r, &id))
		preference_get(
			&app->store, caller_of(r)->tenant, &id, reply_from_store, r);
}

void
route_preferences_put(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	if (!reply_path_uuid(r, &id))
		return;
	json_t *body = reply_body(r);
	if (!body)
		return;
	struct wishes_change *c = change_new(r);
	preference_put(&app->store, &c->actor, &id, body, on_changed, c);
	json_decref(body);
}

void
route_consent_list(struct http_request *r, void *arg)
{
	static const char *const known[] = {"limit", "cursor", NULL};
	struct app *app = arg;
	struct uuid id;
	unsigned limit;
	if (reply_path_uuid(r, &id) && reply_query_known(r, known) &&
		reply_limit(r, 50, 200, &limit))
		consent_list(&app->store, caller_of(r)->tenant, &id, limit,
			http_query(r, "cursor"), reply_from_store, r);
}

void
route_consent_record(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct idempotency idem;
	const struct idempotency *key;
	struct uuid id;
	if (!reply_path_uuid(r, &id) || !reply_idempotency(r, &idem, &key))
		return;
	json_t *body = reply_body(r);
	if (!body)
		return;
	struct wishes_change *c = change_new(r);
	consent_record(&app->store, &c->actor, &id, body, key, on_changed, c);
	json_decref(body);
}

void
route_consent_confirm(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id, entry;
	if (!reply_path_uuid(r, &id))
		return;
	if (!uuid_parse(http_path_arg(r, 1), &entry)) {
		http_problem(r, 404, NULL, "there is no entry with this id");
		return;
	}
	json_t *body = reply_body(r);
	if (!body)
		return;
	struct wishes_change *c = change_new(r);
	consent_confirm(&app->store, &c->actor, &id, &entry, body, on_changed, c);
	json_decref(body);
}
