/* app.h - the daemon as a whole: every room's object, made by main, used by the API. */
#ifndef INTERACTD_API_APP_H
#define INTERACTD_API_APP_H

#include <base/settings.h>
#include <calls/dial.h>
#include <calls/phone.h>
#include <desk/agent.h>
#include <desk/agent_states.h>
#include <desk/agent_token.h>
#include <desk/events.h>
#include <desk/pop.h>
#include <desk/webhook.h>
#include <io/channel.h>
#include <io/http.h>
#include <io/lease.h>
#include <io/loop.h>
#include <io/redis.h>
#include <people/erasure_key.h>
#include <people/wishes_keeper.h>
#include <timeline/reads.h>
#include <timeline/retention.h>
#include <timeline/writer.h>

struct eraser;
struct exports;
struct imports;
struct key_cache;
struct regimes;
struct metrics;
struct health;
struct start;

enum app_stage {
	APP_STARTING, /* the database's side is not there yet; phones may be heard */
	APP_RUNNING,
	APP_STOPPING,
};

struct app {
	const char *conf_path;
	struct conf *conf;
	struct loop *loop;
	enum app_stage stage;
	char waiting_for[512]; /* while STARTING: what, for /readyz; "" */
	int64_t started_us;    /* wall time */
	int64_t started_mono_us;
	int exit_code;

	char pg_options[ERASURE_OPTIONS_LEN]; /* of every session of ours */
	struct store store;
	struct tenant *tenants; /* n_tenants; also in store.tenants by name */
	size_t n_tenants;
	struct writer *writer;
	struct reads *reads;
	struct retention *retention;
	struct redis *redis;
	struct events *events;
	struct webhooks *webhooks;
	struct agents *agents;
	struct agent_states *states;
	struct agent_tokens *tokens;
	struct key_cache *keys; /* api/caller.h */
	struct lookups *lookups;
	struct regimes *regimes;			 /* outreach/regimes.h */
	struct imports *imports;			 /* api/import.h */
	struct suppression_imports *suppression_imports; /* api/suppressions.h */
	struct wishes_keeper *keeper;
	struct eraser *eraser;	       /* api/privacy.h */
	struct exports *exports;       /* api/export.h */
	struct page_guard *page_guard; /* api/page_guard.h */
	struct metrics *metrics;
	struct health *health; /* api/health.h */
	struct pops *pops;
	struct channel_core *channels; /* channel_user() = its struct phone, or NULL */
	struct dialler *dialler;
	struct http_server *http;
	struct api *api;
	struct lease *lease;
	struct start *start; /* api/start.h */
	struct loop_timer *watchdog;
};

/* daemon/api/app_conf.c: settings_load, and what the rooms say of their values. NULL and
 * err ("file:line: …") if something is wrong. */
struct conf *app_load_conf(const char *path, struct err *) MUST_CHECK;

/* daemon/api/lookup.c: the systems that tenants ask about strangers, as configured; for a
 * reload with the conf to come. */
struct lookups *app_lookups_new(struct app *);
void app_lookups_set(struct app *, const struct conf *);

/* daemon/api/retention.c: as configured. */
struct retention *app_retention_new(struct app *);

/* Runs the daemon until SIGTERM or SIGINT; takes conf. Returns the exit code. */
int app_run(const char *conf_path, struct conf *conf);

/* Ends the loop, and the daemon with this exit code; the first call counts. */
void app_stop(struct app *, int exit_code);

/* The phone of a channel; NULL if it is no phone system's or not begun. */
struct phone *app_phone(const struct channel *);

/* daemon/api/status.c: why PostgreSQL cannot be worked with, and since when (wall time);
 * NULL if it can. */
const char *app_postgresql_why(const struct app *, int64_t *since_us_r);
/* The same of Redis. Borrowed until the next call. */
const char *app_redis_why(const struct app *, int64_t *since_us_r);

/* daemon/api/api.c: registers every resource on app->http. Routes that need the
 * database answer 503 with Retry-After while app->stage is STARTING. */
struct api *api_new(struct app *);
void api_free(struct api **);
/* "GET /v1/…" of the n-th route, NULL past the end: for tests and documentation. */
const char *api_route_nth(size_t n);
/* Who may call it, as bits of api/caller.h; 0 past the end. */
unsigned api_route_roles(size_t n);
/* How it keeps a limited caller's sight (sight_text of api/caller.h); NULL: closed. */
const char *api_route_sight(size_t n);

#endif
