/* webhooks.c - /v1/webhooks…: who is told what happens, and what came of it. */
#include <api/reply.h>
#include <api/routes.h>

#include <jansson.h>

/* The second {} of the path; false after a 404. */
static bool
path_delivery(struct http_request *r, struct uuid *id_r)
{
	if (uuid_parse(http_path_arg(r, 1), id_r))
		return true;
	http_problem(r, 404, NULL, "there is no delivery with this id");
	return false;
}

void
route_webhook_create(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct idempotency idem;
	const struct idempotency *key;
	if (!reply_idempotency(r, &idem, &key))
		return;
	json_t *body = reply_body(r);
	if (!body)
		return;
	struct actor actor = caller_actor(r);
	webhook_create(app->webhooks, &actor, body, key, reply_from_store, r);
	json_decref(body);
}

void
route_webhook_list(struct http_request *r, void *arg)
{
	struct app *app = arg;
	webhook_list(app->webhooks, caller_of(r)->tenant, reply_from_store, r);
}

void
route_webhook_get(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	if (reply_path_uuid(r, &id))
		webhook_get(
			app->webhooks, caller_of(r)->tenant, &id, reply_from_store, r);
}

void
route_webhook_patch(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	if (!reply_path_uuid(r, &id))
		return;
	json_t *body = reply_body(r);
	if (!body)
		return;
	struct actor actor = caller_actor(r);
	webhook_patch(app->webhooks, &actor, &id, body, reply_from_store, r);
	json_decref(body);
}

static void
on_deleted(void *arg, const struct store_answer *a)
{
	if (a->status == STORE_OK)
		http_answer(arg, 204, NULL, NULL, 0);
	else
		reply_from_store(arg, a);
}

void
route_webhook_delete(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	struct actor actor = caller_actor(r);
	if (reply_path_uuid(r, &id))
		webhook_delete(app->webhooks, &actor, &id, on_deleted, r);
}

void
route_webhook_test(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	if (reply_path_uuid(r, &id))
		webhook_test(
			app->webhooks, caller_of(r)->tenant, &id, reply_from_store, r);
}

void
route_webhook_deliveries(struct http_request *r, void *arg)
{
	static const char *const known[] = {"limit", "before", "state", NULL};
	struct app *app = arg;
	struct uuid id;
	unsigned limit;
	if (reply_path_uuid(r, &id) && reply_query_known(r, known) &&
		reply_limit(r, 50, 200, &limit))
		webhook_deliveries(app->webhooks, caller_of(r)->tenant, &id,
			http_query(r, "state"), limit, http_query(r, "before"),
			reply_from_store, r);
}

void
route_webhook_dead_letters(struct http_request *r, void *arg)
{
	static const char *const known[] = {"limit", "before", NULL};
	struct app *app = arg;
	struct uuid all = {{0}};
	unsigned limit;
	if (reply_query_known(r, known) && reply_limit(r, 50, 200, &limit))
		webhook_deliveries(app->webhooks, caller_of(r)->tenant, &all, "dead",
			limit, http_query(r, "before"), reply_from_store, r);
}

void
route_webhook_delivery(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id, delivery;
	if (reply_path_uuid(r, &id) && path_delivery(r, &delivery))
		webhook_delivery(app->webhooks, caller_of(r)->tenant, &id, &delivery,
			reply_from_store, r);
}

void
route_webhook_delivery_replay(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id, delivery;
	struct actor actor = caller_actor(r);
	if (reply_path_uuid(r, &id) && path_delivery(r, &delivery))
		webhook_replay(app->webhooks, &actor, &id, &delivery, NULL,
			reply_from_store, r);
}

void
route_webhook_replay(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id, all = {{0}};
	if (!reply_path_uuid(r, &id))
		return;
	json_t *body = reply_body(r);
	if (!body)
		return;
	struct actor actor = caller_actor(r);
	webhook_replay(app->webhooks, &actor, &id, &all, body, reply_from_store, r);
	json_decref(body);
}
