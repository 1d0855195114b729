/* api.c - the table of routes: who may call what, and what of it those who may see some
 * contacts only (caller.h: without a SIGHT_ bit they may not call it at all). What they do is
 * in the files beside it, one per resource; the same table is checked against openapi.json by
 * a test, and what the daemon does against that by another (test_access.py). */
#include <api/app.h>
#include <api/caller.h>
#include <api/export.h>
#include <api/import.h>
#include <api/metrics.h>
#include <api/page_guard.h>
#include <api/privacy.h>
#include <api/routes.h>
#include <api/suppressions.h>
#include <api/web.h>

#include <clock.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <string.h>

#define AWAY_US 1000000

struct route {
	const char *pattern;
	unsigned roles; /* and how a limited caller's sight is kept */
	bool needs_database;
	http_handler_fn *handler;
};

#define ROLES_LEAD_INTEGRATION (ROLES_LEAD | ROLE_INTEGRATION)
#define ROLES_LOOK	       (ROLES_ALL & ~ROLE_AGENT) /* at everybody at once */

static const struct route routes[] = {
	{"GET /healthz", ROLE_ANYBODY, false, route_healthz},
	{"GET /readyz", ROLE_ANYBODY, false, route_readyz},
	{"GET /metrics", ROLE_ANYBODY, false, route_metrics},
	{"GET /v1/openapi.json", ROLE_ANYBODY, false, route_openapi},
	{"GET /v1/status", (ROLES_ALL & ~ROLE_AGENT) | SIGHT_NONE, false, route_status},
	{"POST /v1/contacts", ROLES_WRITE | SIGHT_KEPT, true, route_contact_create},
	{"GET /v1/contacts", ROLES_ALL | SIGHT_KEPT, true, route_contact_list},
	{"POST /v1/contacts/import", ROLES_LEAD_INTEGRATION, true,
		route_contact_import},
	{"GET /v1/contacts/{}", ROLES_ALL | SIGHT_KEPT, true, route_contact_get},
	{"GET /v1/contacts/{}/people", ROLES_ALL | SIGHT_KEPT, true,
		route_contact_people},
	{"PATCH /v1/contacts/{}", ROLES_WRITE | SIGHT_KEPT, true, route_contact_patch},
	/* Nobody gets a person back who was erased by mistake: admins only. */
	{"DELETE /v1/contacts/{}", ROLE_ADMIN, true, route_contact_erase},
	{"GET /v1/contacts/{}/privacy", ROLE_ADMIN, true, route_contact_privacy},
	{"GET /v1/contacts/{}/timeline", ROLES_ALL | SIGHT_KEPT, true,
		route_contact_timeline},
	{"GET /v1/contacts/{}/preferences", ROLES_ALL | SIGHT_PATH, true,
		route_preferences_get},
	{"PUT /v1/contacts/{}/preferences", ROLES_WRITE | SIGHT_PATH, true,
		route_preferences_put},
	{"POST /v1/contacts/{}/decide", ROLES_ALL | SIGHT_PATH, true,
		route_contact_decide},
	{"GET /v1/contacts/{}/consents", ROLES_ALL | SIGHT_PATH, true,
		route_consent_list},
	{"POST /v1/contacts/{}/consents", ROLES_WRITE | SIGHT_PATH, true,
		route_consent_record},
	{"POST /v1/contacts/{}/consents/{}/confirm", ROLES_WRITE | SIGHT_PATH, true,
		route_consent_confirm},
	{"POST /v1/contacts/{}/page", ROLES_WRITE | SIGHT_PATH, true,
		route_page_create},
	{"DELETE /v1/contacts/{}/page", ROLES_WRITE | SIGHT_PATH, true,
		route_page_revoke},
	/* The customer's own: whoever has the token. */
	{"GET /p/{}", ROLE_ANYBODY, false, route_page_get},
	{"POST /p/{}", ROLE_ANYBODY, false, route_page_post},
	{"GET /v1/erasure-requests", ROLES_LEAD, true, route_erasure_requests},
	{"GET /v1/suppressions", ROLES_ALL, true, route_suppression_list},
	{"POST /v1/suppressions", ROLES_WRITE, true, route_suppression_add},
	{"DELETE /v1/suppressions", ROLES_LEAD_INTEGRATION, true,
		route_suppression_remove},
	{"GET /v1/suppressions/lists", ROLES_ALL, true, route_suppression_lists},
	{"POST /v1/suppressions/import", ROLES_LEAD_INTEGRATION, true,
		route_suppression_import},
	{"POST /v1/contacts/{}/merge", ROLES_WRITE, true, route_contact_merge},
	{"POST /v1/contacts/{}/unmerge", ROLES_WRITE, true, route_contact_unmerge},
	{"GET /v1/merge-suggestions", ROLES_ALL, true, route_suggestion_list},
	{"POST /v1/merge-suggestions/{}/accept", ROLES_WRITE, true,
		route_suggestion_accept},
	{"POST /v1/merge-suggestions/{}/reject", ROLES_WRITE, true,
		route_suggestion_reject},
	{"GET /v1/contacts/import/{}", ROLES_LEAD_INTEGRATION, true, route_import_get},
	{"GET /v1/contacts/import/{}/rejected", ROLES_LEAD_INTEGRATION, true,
		route_import_rejected},
	{"GET /v1/contacts/export", ROLES_LEAD_INTEGRATION | SIGHT_KEPT, true,
		route_contacts_export},
	{"GET /v1/contacts/{}/export", ROLES_LEAD_INTEGRATION | SIGHT_PATH, true,
		route_contact_export},
	{"GET /v1/segments/{}/export", ROLES_LEAD_INTEGRATION | SIGHT_KEPT, true,
		route_segment_export},
	{"POST /v1/segments", ROLES_LEAD_INTEGRATION, true, route_segment_create},
	{"GET /v1/segments", ROLES_LOOK | SIGHT_NONE, true, route_segment_list},
	{"POST /v1/segments/count", ROLES_LOOK | SIGHT_KEPT, true,
		route_segment_try_count},
	{"POST /v1/segments/preview", ROLES_LOOK | SIGHT_KEPT, true,
		route_segment_try_preview},
	{"GET /v1/segments/{}", ROLES_LOOK | SIGHT_NONE, true, route_segment_get},
	{"PATCH /v1/segments/{}", ROLES_LEAD_INTEGRATION, true, route_segment_patch},
	{"DELETE /v1/segments/{}", ROLES_LEAD_INTEGRATION, true, route_segment_delete},
	{"GET /v1/segments/{}/count", ROLES_LOOK | SIGHT_KEPT, true,
		route_segment_count},
	{"GET /v1/segments/{}/preview", ROLES_LOOK | SIGHT_KEPT, true,
		route_segment_preview},
	{"POST /v1/lookup", ROLE_ADMIN, false, route_lookup},
	{"POST /v1/interactions", ROLES_WRITE | SIGHT_KEPT, true,
		route_interaction_create},
	{"GET /v1/interactions/{}", ROLES_ALL | SIGHT_KEPT, true,
		route_interaction_get},
	{"GET /v1/calls", ROLES_ALL & ~ROLE_AGENT, false, route_calls},
	{"POST /v1/calls", ROLES_WRITE | SIGHT_KEPT, true, route_call_dial},
	{"GET /v1/agents", ROLES_ALL | SIGHT_NONE, true, route_agent_list},
	{"POST /v1/agents", ROLES_LEAD, true, route_agent_create},
	{"GET /v1/agents/{}", ROLES_ALL | SIGHT_NONE, true, route_agent_get},
	{"PATCH /v1/agents/{}", ROLES_LEAD, true, route_agent_patch},
	{"GET /v1/agents/{}/state", ROLES_ALL | SIGHT_NONE, false,
		route_agent_state_get},
	{"PUT /v1/agents/{}/state", ROLES_WRITE | SIGHT_NONE, false,
		route_agent_state_put},
	{"GET /v1/agents/{}/pops", ROLES_ALL | SIGHT_KEPT, false, route_agent_pops},
	{"GET /v1/agents/{}/stream", ROLES_ALL | SIGHT_KEPT, false, route_agent_stream},
	{"GET /v1/pops/stream", (ROLES_ALL & ~ROLE_AGENT) | SIGHT_KEPT, false,
		route_pop_stream},
	{"POST /v1/agents/{}/tokens", ROLES_LEAD_INTEGRATION, true, route_token_create},
	{"GET /v1/agents/{}/tokens", ROLES_LEAD_INTEGRATION, true, route_token_list},
	{"DELETE /v1/agents/{}/tokens/{}", ROLES_LEAD_INTEGRATION, true,
		route_token_revoke},
	{"POST /v1/agents/{}/tickets", ROLES_WRITE | SIGHT_SELF, false,
		route_ticket_create},
	{"POST /v1/api-keys", ROLE_ADMIN, true, route_key_create},
	{"GET /v1/api-keys", ROLE_ADMIN, true, route_key_list},
	{"PATCH /v1/api-keys/{}", ROLE_ADMIN, true, route_key_patch},
	{"DELETE /v1/api-keys/{}", ROLE_ADMIN, true, route_key_revoke},
	/* What is told names customers, and a URL may hold a secret: admins only. */
	{"POST /v1/webhooks", ROLE_ADMIN, true, route_webhook_create},
	{"GET /v1/webhooks", ROLE_ADMIN, true, route_webhook_list},
	{"GET /v1/webhooks/dead-letters", ROLE_ADMIN, true, route_webhook_dead_letters},
	{"GET /v1/webhooks/{}", ROLE_ADMIN, true, route_webhook_get},
	{"PATCH /v1/webhooks/{}", ROLE_ADMIN, true, route_webhook_patch},
	{"DELETE /v1/webhooks/{}", ROLE_ADMIN, true, route_webhook_delete},
	{"POST /v1/webhooks/{}/test", ROLE_ADMIN, true, route_webhook_test},
	{"POST /v1/webhooks/{}/replay", ROLE_ADMIN, true, route_webhook_replay},
	{"GET /v1/webhooks/{}/deliveries", ROLE_ADMIN, true, route_webhook_deliveries},
	{"GET /v1/webhooks/{}/deliveries/{}", ROLE_ADMIN, true, route_webhook_delivery},
	{"POST /v1/webhooks/{}/deliveries/{}/replay", ROLE_ADMIN, true,
		route_webhook_delivery_replay},
	{"GET /v1/audit", ROLES_LEAD, true, route_audit},
	{"GET /v1/privacy/retention", ROLES_LEAD, true, route_retention},
	{"GET /v1/quarantine", ROLE_ADMIN, true, route_quarantine_list},
	{"POST /v1/quarantine/retry", ROLE_ADMIN, true, route_quarantine_retry},
	{"POST /v1/channels/{}/resync", ROLES_LEAD | SIGHT_NONE, false,
		route_channel_resync},
	{"GET /v1/channels/{}/gaps", (ROLES_ALL & ~ROLE_AGENT) | SIGHT_NONE, true,
		route_channel_gaps},
};

struct api {
	struct app *app;
};

static bool
takes_any_length(const struct route *route)
{
	return route->handler == route_contact_import ||
	       route->handler == route_suppression_import;
}

static const struct route *
find_route(const char *pattern)
{
	for (size_t i = 0; i < ARRAY_LEN(routes); i++)
		if (str_eq(routes[i].pattern, pattern))
			return &routes[i];
	return NULL;
}

/* Why nothing that needs the database can be done now; NULL if it can. A connection that
 * broke a moment ago is waited for, a database that has been away is said at once. */
static const char *
unable(const struct app *app)
{
	if (app->stage == APP_STOPPING)
		return "the daemon is ending";
	if (app->stage == APP_STARTING)
		return "the daemon is starting";
	if (pg_is_up(app->store.reads) && pg_is_up(app->store.writes))
		return NULL;
	int64_t away_us = pg_down_us(app->store.reads);
	if (pg_down_us(app->store.writes) > away_us)
		away_us = pg_down_us(app->store.writes);
	return away_us > AWAY_US ? "the database is away" : NULL;
}

static bool
before(struct http_request *r, void *arg)
{
	struct api *api = arg;
	const struct route *route = find_route(http_route_pattern(r));
	if (!route)
		return true;
	const char *why = route->needs_database ? unable(api->app) : NULL;
	if (why) {
		http_add_header(r, "Retry-After", "2");
		http_problem(r, 503, NULL, "%s", why);
		return false;
	}
	return caller_identify(api->app, r, route->roles);
}

static void
after(struct http_request *r, int status, int64_t took_us, void *arg)
{
	struct api *api = arg;
	const char *pattern = http_route_pattern(r);
	metrics_request(api->app->metrics, pattern, status, took_us);
	/* the path of a customer's page is a secret */
	log_debug("http", "%s %s -> %d in %lld us", http_method(r),
		strstr(pattern, " /p/") ? "/p/..." : http_path(r), status,
		(long long)took_us);
}

struct api *
api_new(struct app *app)
{
	struct api *api = xcalloc(1, sizeof(*api));
	api->app = app;
	app->keys = key_cache_new();
	app->metrics = metrics_new();
	app->imports = imports_new(app);
	app->suppression_imports = suppression_imports_new();
	app->eraser = eraser_new(app);
	app->exports = exports_new(app);
	app->page_guard = page_guard_new();
	for (size_t i = 0; i < ARRAY_LEN(routes); i++)
		(takes_any_length(&routes[i]) ? http_route_pieces : http_route)(
			app->http, routes[i].pattern, routes[i].handler, app);
	web_register(app->http);
	http_set_before(app->http, before, api);
	http_set_after(app->http, after, api);
	return api;
}

void
api_free(struct api **api)
{
	if (!*api)
		return;
	key_cache_free(&(*api)->app->keys);
	imports_free(&(*api)->app->imports);
	suppression_imports_free(&(*api)->app->suppression_imports);
	eraser_free(&(*api)->app->eraser);
	exports_free(&(*api)->app->exports);
	page_guard_free(&(*api)->app->page_guard);
	metrics_free(&(*api)->app->metrics);
	xfree(api);
}

const char *
api_route_nth(size_t n)
{
	return n < ARRAY_LEN(routes) ? routes[n].pattern : NULL;
}

unsigned
api_route_roles(size_t n)
{
	return n < ARRAY_LEN(routes) ? routes[n].roles & (ROLES_ALL | ROLE_ANYBODY) : 0;
}

const char *
api_route_sight(size_t n)
{
	return n < ARRAY_LEN(routes) ? sight_text(routes[n].roles) : NULL;
}
