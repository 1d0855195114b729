/* status.c - alive, able to work, and what is going on: /healthz, /readyz, /metrics,
 * /v1/status, /v1/openapi.json, /v1/calls. */
#include <api/app.h>
#include <api/caller.h>
#include <api/health.h>
#include <api/metrics.h>
#include <api/routes.h>
#include <base/embedded.h>
#include <clock.h>
#include <io/lease.h>

#include <string.h>

/* The lease is renewed every second. */
#define PG_SILENT_US INT64_C(2200000)

void
route_healthz(struct http_request *r, void *arg)
{
	(void)arg;
	http_answer(r, 200, "text/plain; charset=utf-8", "ok\n", 3);
}

/* One part that must work, and since when it does not. */
static void
put_part(struct json_out *j, const char *name, const char *why, int64_t since_us)
{
	json_put_object(j, name);
	json_put_bool(j, "ok", !why);
	if (why) {
		json_put_string(j, "reason", why);
		json_put_time(j, "since", since_us);
	}
	json_put_object_end(j);
}

/* A server that stalls keeps its connections for a long time, and one that only reads or
 * whose disk is full too: that the lease, which is asked for every second, is not renewed
 * tells it sooner, or that batches are not committed. */
const char *
app_postgresql_why(const struct app *app, int64_t *since_us_r)
{
	if (app->stage == APP_STARTING) {
		*since_us_r = app->started_us;
		return app->waiting_for[0] ? app->waiting_for : "starting";
	}
	if (!pg_is_up(app->store.writes))
		return pg_down_reason(app->store.writes, since_us_r);
	if (!pg_is_up(app->store.reads))
		return pg_down_reason(app->store.reads, since_us_r);
	if (app->lease && lease_silent_us(app->lease) >= PG_SILENT_US &&
		lease_why(app->lease)[0]) {
		*since_us_r = clock_wall_us() - lease_silent_us(app->lease);
		return lease_why(app->lease);
	}
	return writer_why(app->writer, since_us_r);
}

const char *
app_redis_why(const struct app *app, int64_t *since_us_r)
{
	if (!redis_is_up(app->redis))
		return redis_down_reason(app->redis, since_us_r);
	return pops_refused(app->pops, since_us_r);
}

static bool
put_postgresql(struct json_out *j, struct app *app)
{
	int64_t since = 0;
	const char *why = app_postgresql_why(app, &since);
	put_part(j, "postgresql", why, since);
	return !why;
}

static bool
put_redis(struct json_out *j, struct app *app)
{
	int64_t since = 0;
	const char *why = app_redis_why(app, &since);
	put_part(j, "redis", why, since);
	return !why;
}

static void
put_channel_part(void *arg, struct channel *ch)
{
	bool up = channel_core_state(ch) == CHANNEL_UP;
	const char *why = channel_core_why(ch);
	put_part(arg, channel_name(ch),
		up    ? NULL
		: why ? why
		      : "starting",
		channel_core_since_us(ch));
}

/* Ready: what is stored can be stored and what is shown can be shown. A phone system
 * that is away is told, but does not take this daemon out of service. */
void
route_readyz(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct buf b = BUF_INIT;
	struct json_out j;
	json_out_init(&j, &b);
	json_put_object(&j, NULL);
	bool ok = app->stage == APP_RUNNING;
	ok = put_postgresql(&j, app) && ok;
	ok = put_redis(&j, app) && ok;
	json_put_object(&j, "channels");
	channel_core_each(app->channels, put_channel_part, &j);
	json_put_object_end(&j);
	health_put(app->health, &j);
	json_put_bool(&j, "ready", ok);
	json_put_object_end(&j);
	http_answer_json(r, ok ? 200 : 503, &b);
	buf_fini(&b);
}

void
route_metrics(struct http_request *r, void *arg)
{
	struct buf b = BUF_INIT;
	metrics_write(&b, arg);
	http_answer(r, 200, "text/plain; version=0.0.4; charset=utf-8", b.data, b.len);
	buf_fini(&b);
}

void
route_openapi(struct http_request *r, void *arg)
{
	const struct embedded *f = embedded_find("daemon/api/openapi.json");
	(void)arg;
	http_answer(r, 200, "application/json", f->data, f->len);
}

static void
put_channel(void *arg, struct channel *ch)
{
	struct json_out *j = arg;
	json_put_object(j, NULL);
	channel_core_put(ch, j);
	if (app_phone(ch)) {
		json_put_object(j, "phone");
		phone_status_json(app_phone(ch), j);
		json_put_object_end(j);
	}
	json_put_object_end(j);
}

static void
put_pops(struct json_out *j, struct app *app)
{
	struct pops_stats p;
	pops_get_stats(app->pops, &p);
	json_put_object(j, "pops");
	json_put_int(j, "open", p.open);
	json_put_int(j, "pending", p.pending);
	json_put_int(j, "opened", (int64_t)p.opened);
	json_put_int(j, "updated", (int64_t)p.updated);
	json_put_int(j, "closed", (int64_t)p.closed);
	json_put_int(j, "degraded", (int64_t)p.degraded);
	json_put_int(j, "reissued", (int64_t)p.reissued);
	json_put_object_end(j);
}

static void
put_backlog(struct json_out *j, struct app *app)
{
	struct writer_stats w;
	writer_get_stats(app->writer, &w);
	json_put_object(j, "backlog");
	json_put_int(j, "waiting", (int64_t)w.waiting);
	json_put_int(j, "in_batch", (int64_t)w.in_batch);
	json_put_time(j, "oldest", w.oldest_us);
	json_put_int(j, "committed", (int64_t)w.units);
	json_put_int(j, "quarantined", (int64_t)w.quarantined);
	json_put_int(j, "refused", (int64_t)w.refused);
	json_put_object_end(j);
}

static const char *
stage_text(const struct app *app)
{
	return app->stage == APP_RUNNING    ? "running"
	       : app->stage == APP_STARTING ? "starting"
					    : "stopping";
}

void
route_status(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct buf b = BUF_INIT;
	struct json_out j;
	json_out_init(&j, &b);
	json_put_object(&j, NULL);
	json_put_string(&j, "version", INTERACTD_VERSION);
	json_put_string(&j, "state", stage_text(app));
	json_put_time(&j, "started_at", app->started_us);
	json_put_int(
		&j, "uptime_s", (clock_mono_us() - app->started_mono_us) / 1000000);
	put_postgresql(&j, app);
	put_redis(&j, app);
	health_put(app->health, &j);
	json_put_array(&j, "channels");
	channel_core_each(app->channels, put_channel, &j);
	json_put_array_end(&j);
	put_pops(&j, app);
	put_backlog(&j, app);
	json_put_array(&j, "instances");
	json_put_object(&j, NULL);
	json_put_string(&j, "name", lease_holder_name());
	json_put_bool(&j, "active", app->lease && lease_is_held(app->lease));
	json_put_object_end(&j);
	json_put_array_end(&j);
	json_put_object_end(&j);
	http_answer_json(r, 200, &b);
	buf_fini(&b);
}

struct calls_listing {
	struct json_out *j;
	const char *tenant;
};

static void
put_calls(void *arg, struct channel *ch)
{
	struct calls_listing *l = arg;
	if (app_phone(ch) && strcmp(channel_tenant(ch), l->tenant) == 0)
		phone_calls_json(app_phone(ch), l->j);
}

void
route_calls(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct buf b = BUF_INIT;
	struct json_out j;
	struct calls_listing l = {&j, caller_of(r)->tenant->name};
	json_out_init(&j, &b);
	json_put_object(&j, NULL);
	json_put_array(&j, "items");
	channel_core_each(app->channels, put_calls, &l);
	json_put_array_end(&j);
	json_put_null(&j, "next");
	json_put_object_end(&j);
	http_answer_json(r, 200, &b);
	buf_fini(&b);
}
