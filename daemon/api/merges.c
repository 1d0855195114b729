/* merges.c - /v1/contacts/{id}/merge, /unmerge and /v1/merge-suggestions…: contacts that
 * are one person. */
#include <api/publish.h>
#include <api/reply.h>
#include <api/routes.h>
#include <mem.h>
#include <people/merge.h>
#include <str.h>

#include <jansson.h>

#include <string.h>

/* A request under way; what its answer's object says came of it is told. */
struct merging {
	struct http_request *request;
	struct event_stamp stamp;
	struct actor actor; /* with the stamp */
};

static struct merging *
merging_new(struct http_request *r)
{
	struct merging *m = xcalloc(1, sizeof(*m));
	m->request = r;
	m->stamp = events_stamp(caller_of(r)->app->events, caller_of(r)->tenant);
	m->actor = caller_actor(r);
	m->actor.event = &m->stamp;
	return m;
}

/* False: the answer is no unmerge's (a contact may have an attribute of that name). */
static bool
publish_released(struct app *app, const struct merging *m, const char *json)
{
	json_t *contact = json_loads(json, 0, NULL);
	const char *id = json_string_value(
		json_array_get(json_object_get(contact, "released"), 0));
	if (id) {
		char *changes = xasprintf("{\"released\":\"%s\"}", id);
		publish_object(app, m->actor.tenant, &m->stamp, 0, "contact.unmerged",
			json, changes);
		xfree(&changes);
	}
	bool published = id != NULL;
	json_decref(contact);
	return published;
}

static void
on_done(void *arg, const struct store_answer *a)
{
	struct merging *m = arg;
	struct app *app = caller_of(m->request)->app;
	if (a->status == STORE_OK &&
		!(strstr(a->json, "\"released\"") && publish_released(app, m, a->json)))
		publish_object(app, m->actor.tenant, &m->stamp, 0, NULL, a->json, NULL);
	reply_from_store(m->request, a);
	mem_free(m);
}

void
route_contact_merge(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	if (!reply_path_uuid(r, &id))
		return;
	json_t *body = reply_body(r);
	if (!body)
		return;
	struct merging *m = merging_new(r);
	contact_merge(&app->store, &m->actor, &id, body, on_done, m);
	json_decref(body);
}

void
route_contact_unmerge(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	if (!reply_path_uuid(r, &id))
		return;
	json_t *body = reply_body(r);
	if (!body)
		return;
	struct merging *m = merging_new(r);
	contact_unmerge(&app->store, &m->actor, &id, body, on_done, m);
	json_decref(body);
}

void
route_suggestion_list(struct http_request *r, void *arg)
{
	static const char *const known[] = {
		"state", "contact", "limit", "cursor", NULL};
	struct app *app = arg;
	unsigned limit;
	struct uuid contact;
	const char *whose = http_query(r, "contact");
	if (!reply_query_known(r, known) || !reply_limit(r, 50, 200, &limit))
		return;
	if (whose && !uuid_parse(whose, &contact)) {
		http_problem(r, 400, NULL, "contact: must be a contact's id");
		return;
	}
	suggestion_list(&app->store, caller_of(r)->tenant, http_query(r, "state"),
		whose ? &contact : NULL, limit, http_query(r, "cursor"),
		reply_from_store, r);
}

/* The body may be left out. NULL after an answer. */
static json_t *
optional_body(struct http_request *r)
{
	size_t len;
	http_body(r, &len);
	return len ? reply_body(r) : json_object();
}

void
route_suggestion_accept(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	if (!reply_path_uuid(r, &id))
		return;
	json_t *body = optional_body(r);
	if (!body)
		return;
	struct merging *m = merging_new(r);
	suggestion_accept(&app->store, &m->actor, &id, body, on_done, m);
	json_decref(body);
}

void
route_suggestion_reject(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	if (!reply_path_uuid(r, &id))
		return;
	json_t *body = optional_body(r);
	if (!body)
		return;
	size_t members = json_object_size(body);
	struct actor actor = caller_actor(r);
	json_decref(body);
	if (members)
		http_problem(r, 422, NULL, "the body has no members");
	else
		suggestion_reject(&app->store, &actor, &id, reply_from_store, r);
}
