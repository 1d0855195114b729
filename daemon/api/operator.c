/* operator.c - what an operator asks for: the audit, the quarantine. */
#include <api/reply.h>
#include <api/routes.h>
#include <clock.h>
#include <str.h>
#include <timeline/audit.h>
#include <timeline/writer.h>

#include <jansson.h>

/* ?from=, ?to=: RFC 3339; false after a 400. */
static bool
read_time(struct http_request *r, const char *name, int64_t *us_r)
{
	const char *text = http_query(r, name);
	*us_r = 0;
	if (!text || clock_parse(text, us_r))
		return true;
	http_problem(r, 400, NULL, "%s: a time such as 2026-11-21T08:00:00Z (RFC 3339)",
		name);
	return false;
}

void
route_audit(struct http_request *r, void *arg)
{
	static const char *const known[] = {
		"limit", "before", "object", "actor", "action", "from", "to", NULL};
	struct app *app = arg;
	unsigned limit;
	struct audit_filter f = {.object = http_query(r, "object"),
		.actor = http_query(r, "actor"),
		.action = http_query(r, "action")};
	if (reply_query_known(r, known) && reply_limit(r, 50, 200, &limit) &&
		read_time(r, "from", &f.from_us) && read_time(r, "to", &f.to_us))
		audit_list(&app->store, caller_of(r)->tenant, limit,
			http_query(r, "before"), &f, reply_from_store, r);
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
