/* operator.c - what an operator asks for: the audit, the quarantine. */
#include <api/reply.h>
#include <api/routes.h>
#include <str.h>
#include <timeline/audit.h>
#include <timeline/writer.h>

#include <jansson.h>

void
route_audit(struct http_request *r, void *arg)
{
	static const char *const known[] = {"limit", "before", "object", NULL};
	struct app *app = arg;
	unsigned limit;
	if (reply_query_known(r, known) && reply_limit(r, 50, 200, &limit))
		audit_list(&app->store, caller_of(r)->tenant, limit,
			http_query(r, "before"), http_query(r, "object"),
			reply_from_store, r);
}

void
route_quarantine_list(struct http_request *r, void *arg)
{
	static const char *const known[] = {"limit", "cursor", NULL};
	struct app *app = arg;
	unsigned limit;
	if (reply_query_known(r, known) && reply_limit(r, 50, 200, &limit))
		quarantine_list(&app->store, caller_of(r)->tenant, limit,
			http_query(r, "cursor"), reply_from_store, r);
}

/* {"id": "<uuid>"}, or no body: all of them. */
void
route_quarantine_retry(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id = {{0}};
	size_t len;
	http_body(r, &len);
	if (len > 0) {
		json_t *body = reply_body(r);
		if (!body)
			return;
		bool ok =
			json_object_size(body) == 1 &&
			uuid_parse(json_string_value(json_object_get(body, "id")), &id);
		json_decref(body);
		if (!ok) {
			http_problem(
				r, 422, NULL, "id: the id of one quarantined unit");
			return;
		}
	}
	struct actor actor = caller_actor(r);
	quarantine_retry(app->writer, &actor, &id, reply_from_store, r);
}
