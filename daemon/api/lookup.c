/* lookup.c - the look-ups of strangers: as configured, tried by POST /v1/lookup, counted
 * for /metrics. How one goes is people/lookup.h's matter. */
#include <api/metrics.h>
#include <api/publish.h>
#include <api/reply.h>
#include <api/routes.h>
#include <json.h>
#include <mem.h>
#include <people/check.h>
#include <people/lookup.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Configuration ----------------------------------------------------------------- */

void
app_lookups_set(struct app *app, const struct conf *conf)
{
	const struct conf_section *s;
	for (size_t i = 0; (s = conf_nth(conf, "tenant", i)); i++) {
		const struct tenant_settings *v = s->values;
		const struct tenant *t = store_tenant(&app->store, s->name);
		struct lookup_settings set = {
			.url = v->lookup_url,
			.header = v->lookup_header,
			.bearer = v->lookup_bearer,
			.ca_file = v->lookup_ca,
			.timeout_ms = (unsigned)v->lookup_timeout_ms,
			.known_s = (unsigned)(v->lookup_cache_ms / 1000),
			.unknown_s = (unsigned)(v->lookup_unknown_ms / 1000),
			.failures = (unsigned)v->lookup_failures,
			.pause_s = (unsigned)(v->lookup_pause_ms / 1000),
		};
		if (t) /* a new one needs a restart */
			lookups_set(app->lookups, t, &set);
	}
}

static struct event_stamp
stamp(void *arg, const struct tenant *tenant)
{
	struct app *app = arg;
	return events_stamp(app->events, tenant);
}

static void
on_changed(void *arg, const struct tenant *tenant, const struct event_stamp *stamped,
	unsigned nth, const char *state, const char *json)
{
	struct app *app = arg;
	publish_object(app, tenant, stamped, nth,
		str_eq(state, "created") ? "contact.created" : "contact.updated", json,
		NULL);
}

struct lookups *
app_lookups_new(struct app *app)
{
	app->lookups = lookups_new(&app->store);
	lookups_on_change(app->lookups, stamp, on_changed, app);
	app_lookups_set(app, app->conf);
	return app->lookups;
}

/* ---- Trying ------------------------------------------------------------------------ */

struct trial {
	struct app *app;
	struct http_request *request;
	const struct tenant *tenant;
	struct address address;
};

static void
put_found(struct json_out *j, const json_t *person)
{
	static const char *const keys[] = {"external", "organisation"};
	if (!person) {
		json_put_null(j, "found");
		return;
	}
	json_t *o = json_copy(json_object_get(person, "set"));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		json_object_set(o, keys[i], json_object_get(person, keys[i]));
	char *text = json_dumps(o, JSON_COMPACT);
	json_put_raw(j, "found", text);
	free(text);
	json_decref(o);
}

static void
put_totals(struct json_out *j, const struct lookup_stats *st)
{
	json_put_string(j, "breaker", st->breaker);
	json_put_object(j, "totals");
	json_put_int(j, "found", (int64_t)st->found);
	json_put_int(j, "unknown", (int64_t)st->unknown);
	json_put_int(j, "failed", (int64_t)st->failed);
	json_put_int(j, "remembered", (int64_t)st->remembered);
	json_put_int(j, "shared", (int64_t)st->shared);
	json_put_int(j, "refused", (int64_t)st->refused);
	json_put_object_end(j);
}

static void
put_report(struct json_out *j, const struct trial *t, const struct lookup_report *r)
{
	json_put_string(j, "number", t->address.value);
	json_put_string(j, "outcome", lookup_outcome_text(r->outcome));
	json_put_string(j, "url", r->url);
	if (r->status)
		json_put_int(j, "status", r->status);
	else
		json_put_null(j, "status");
	char took[32];
	snprintf(took, sizeof(took), "%.1f", (double)r->took_us / 1000);
	json_put_raw(j, "took_ms", took);
	put_found(j, r->person);
	json_put_array(j, "ignored");
	for (size_t i = 0; i < json_array_size(r->ignored); i++)
		json_put_string(
			j, NULL, json_string_value(json_array_get(r->ignored, i)));
	json_put_array_end(j);
	json_put_string(j, "detail", str_empty(r->why) ? NULL : r->why);
}

static void
on_tried(void *arg, const struct lookup_report *r)
{
	struct trial *t = arg;
	struct lookup_stats st = {.breaker = "closed"};
	struct buf out = BUF_INIT;
	struct json_out j;
	lookups_get(t->app->lookups, t->tenant, &st);
	json_out_init(&j, &out);
	json_put_object(&j, NULL);
	put_report(&j, t, r);
	put_totals(&j, &st);
	json_put_object_end(&j);
	http_answer_json(t->request, 200, &out);
	buf_fini(&out);
	mem_free(t);
}

/* False after the answer. */
static bool
take_question(struct http_request *r, const json_t *body, struct trial *t,
	struct lookup_question *q)
{
	struct check c;
	struct lookup_stats st;
	check_init(&c, body);
	const char *number = check_text(&c, "number", 100);
	q->channel = check_text(&c, "channel", 64);
	q->queue = check_text(&c, "queue", 64);
	if (!number)
		check_fail(&c, "number: is missing");
	if (!check_done(&c)) {
		http_problem(r, 422, NULL, "%s", c.why);
		return false;
	}
	if (!lookups_get(t->app->lookups, t->tenant, &st)) {
		http_problem(
			r, 404, NULL, "[tenant %s] has no lookup_url", t->tenant->name);
		return false;
	}
	if (!address_make("phone", number, t->tenant->region, &t->address) ||
		!t->address.normal) {
		http_problem(r, 422, NULL,
			"number: is none that can exist; without a country it is read in "
			"the tenant's region");
		return false;
	}
	return true;
}

void
route_lookup(struct http_request *r, void *arg)
{
	struct trial *t = xcalloc(1, sizeof(*t));
	json_t *body = reply_body(r);
	t->app = arg;
	t->request = r;
	t->tenant = body ? caller_of(r)->tenant : NULL;
	struct lookup_question q = {
		.tenant = t->tenant, .address = &t->address, .afresh = true};
	if (body && take_question(r, body, t, &q))
		lookup_start(t->app->lookups, &q, on_tried, t);
	else
		mem_free(t);
	json_decref(body);
}

/* ---- Metrics ----------------------------------------------------------------------- */

struct writing {
	struct buf *b;
	enum { RESULTS, TIMES, BREAKER } what;
};

static void
write_tenant(void *arg, const struct tenant *t, const struct lookup_stats *st)
{
	const struct writing *w = arg;
	const struct {
		const char *result;
		unsigned long long n;
	} results[] = {{"found", st->found}, {"unknown", st->unknown},
		{"failed", st->failed}, {"remembered", st->remembered},
		{"shared", st->shared}, {"refused", st->refused}};
	if (w->what == TIMES) {
		metrics_put_times(
			w->b, "lookup_seconds", "tenant", t->name, &st->times);
		return;
	}
	if (w->what == BREAKER) {
		buf_printf(w->b, "interactd_lookup_breaker_open{tenant=\"%s\"} %d\n",
			t->name, !str_eq(st->breaker, "closed"));
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(results); i++)
		buf_printf(w->b,
			"interactd_lookups_total{tenant=\"%s\",result=\"%s\"} %llu\n",
			t->name, results[i].result, results[i].n);
}

void
metrics_write_lookups(struct buf *b, struct app *app)
{
	struct writing w = {b, RESULTS};
	metrics_head(b, "lookups_total", "counter",
		"Look-ups of strangers in the tenant's own system, by result.");
	lookups_each(app->lookups, write_tenant, &w);
	w.what = TIMES;
	metrics_head(b, "lookup_seconds", "histogram", "How long that system took.");
	lookups_each(app->lookups, write_tenant, &w);
	w.what = BREAKER;
	metrics_head(b, "lookup_breaker_open", "gauge",
		"1 while it is not asked, for it fails.");
	lookups_each(app->lookups, write_tenant, &w);
}
