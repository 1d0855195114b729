/* contacts.c - /v1/contacts… and /v1/interactions…: people and what happened. */
#include <api/publish.h>
#include <api/read_audit.h>
#include <api/reply.h>
#include <api/routes.h>
#include <mem.h>
#include <people/contact.h>
#include <str.h>
#include <timeline/interaction.h>

#include <jansson.h>

#include <stdlib.h>

/* A number is read in the tenant's region. */
static const char *
region_of(const struct caller *c)
{
	return c->tenant->region[0] ? c->tenant->region : NULL;
}

/* A change under way: when it is stored, the answer goes out and an event tells of it. */
struct change {
	struct http_request *request;
	const char *created, *updated; /* types of events; NULL = none */
	json_t *body;		       /* what was asked for: the event's `changes` */
	struct event_stamp stamp;
	struct actor actor; /* with the stamp */
};

static struct change *
change_new(
	struct http_request *r, const char *created, const char *updated, json_t *body)
{
	struct change *c = xcalloc(1, sizeof(*c));
	c->request = r;
	c->stamp = events_stamp(caller_of(r)->app->events, caller_of(r)->tenant);
	c->actor = caller_actor(r);
	c->actor.event = &c->stamp;
	c->created = created;
	c->updated = updated;
	c->body = body;
	return c;
}

static void
publish_change(const struct change *c, const struct store_answer *a)
{
	const struct caller *caller = caller_of(c->request);
	const char *type = a->status == STORE_CREATED ? c->created : c->updated;
	char *changes = c->updated ? json_dumps(c->body, JSON_COMPACT) : NULL;
	publish_object(caller->app, caller->tenant, &c->stamp, 0, type,
		a->whole ? a->whole : a->json, /* events are the tenant's */
		a->status == STORE_CREATED ? NULL : changes);
	free(changes);
}

static void
on_changed(void *arg, const struct store_answer *a)
{
	struct change *c = arg;
	if (a->status == STORE_CREATED || (a->status == STORE_OK && c->updated))
		publish_change(c, a);
	reply_from_store(c->request, a);
	json_decref(c->body);
	mem_free(c);
}

void
route_contact_create(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct idempotency idem;
	const struct idempotency *key;
	if (!reply_idempotency(r, &idem, &key))
		return;
	json_t *body = reply_body(r);
	if (!body)
		return;
	struct change *c = change_new(r, "contact.created", NULL, body);
	contact_create(&app->store, &c->actor, body, caller_of(r)->max_trust, key,
		on_changed, c);
}

void
route_contact_patch(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	if (!reply_path_uuid(r, &id))
		return;
	json_t *body = reply_body(r);
	if (!body)
		return;
	struct change *c = change_new(r, NULL, "contact.updated", body);
	contact_patch(&app->store, &c->actor, &id, body, caller_of(r)->max_trust,
		on_changed, c);
}

static void
on_got(void *r, const struct store_answer *a)
{
	read_audit_contacts(r, a, "get");
}

static void
on_found(void *r, const struct store_answer *a)
{
	read_audit_contacts(r, a, "find");
}

static void
on_searched(void *r, const struct store_answer *a)
{
	read_audit_contacts(r, a, "search");
}

static void
on_timeline(void *r, const struct store_answer *a)
{
	struct uuid id;
	if (reply_path_uuid(r, &id))
		read_audit_contact(r, a, &id, "timeline");
}

static void
on_interaction(void *r, const struct store_answer *a)
{
	read_audit_interaction(r, a);
}

void
route_contact_get(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	struct actor actor = caller_actor(r);
	if (reply_path_uuid(r, &id))
		contact_get(&app->store, &actor, &id, on_got, r);
}

void
route_contact_people(struct http_request *r, void *arg)
{
	static const char *const known[] = {"limit", "cursor", NULL};
	struct app *app = arg;
	struct uuid id;
	struct actor actor = caller_actor(r);
	unsigned limit;
	if (reply_path_uuid(r, &id) && reply_query_known(r, known) &&
		reply_limit(r, 50, 200, &limit))
		contact_people(&app->store, &actor, &id, limit, http_query(r, "cursor"),
			on_searched, r);
}

static void
find_by_identity(struct http_request *r, struct app *app, const char *text)
{
	struct address a;
	struct actor actor = caller_actor(r);
	if (address_parse(text, region_of(caller_of(r)), &a))
		contact_find(&app->store, &actor, &a, on_found, r);
	else
		http_problem(r, 400, NULL,
			"identity: KIND:VALUE, for example phone:+8613800138000");
}

void
route_contact_list(struct http_request *r, void *arg)
{
	static const char *const known[] = {"identity", "q", "limit", "cursor", NULL};
	struct app *app = arg;
	struct actor actor = caller_actor(r);
	unsigned limit;
	const char *identity = http_query(r, "identity"), *q = http_query(r, "q");
	if (!reply_query_known(r, known) || !reply_limit(r, 50, 200, &limit))
		return;
	if (identity && !q)
		find_by_identity(r, app, identity);
	else if (q && !identity && !str_empty(q))
		contact_search(&app->store, &actor, q, limit, http_query(r, "cursor"),
			on_searched, r);
	else
		http_problem(r, 400, NULL, "give ?identity=KIND:VALUE or ?q=NAME");
}

void
route_contact_timeline(struct http_request *r, void *arg)
{
	static const char *const known[] = {"limit", "before", "kind", "people", NULL};
	struct app *app = arg;
	struct uuid id;
	struct actor actor = caller_actor(r);
	struct timeline_page page = {
		.before = http_query(r, "before"), .kind = http_query(r, "kind")};
	if (reply_path_uuid(r, &id) && reply_query_known(r, known) &&
		reply_limit(r, 50, 200, &page.limit) &&
		reply_flag(r, "people", false, &page.people))
		interaction_timeline(&app->store, &actor, &id, &page, on_timeline, r);
}

void
route_interaction_create(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct idempotency idem;
	const struct idempotency *key;
	if (!reply_idempotency(r, &idem, &key))
		return;
	json_t *body = reply_body(r);
	if (!body)
		return;
	/* An agent's token speaks for that agent. */
	const char *agent = json_string_value(json_object_get(body, "agent"));
	if (agent && !caller_may_see_agent(r, agent)) {
		json_decref(body);
		return;
	}
	struct change *c = change_new(r, "interaction.created", NULL, body);
	interaction_create(&app->store, &c->actor, body, key, on_changed, c);
}

void
route_interaction_get(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	struct actor actor = caller_actor(r);
	if (reply_path_uuid(r, &id))
		interaction_get(&app->store, &actor, &id, on_interaction, r);
}
