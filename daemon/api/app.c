/* app.c - the rooms wired together, started, reloaded and stopped.
 *
 * Start: loop and HTTP at once (/healthz, /readyz); then start.c.
 * Stop: channels let go, what waits is committed; open pops stay open in Redis for the
 * next daemon, which compares them with what the phone system says (pops_adopt). */
#include <api/app.h>

#include <api/health.h>
#include <api/start.h>
#include <base/embedded.h>
#include <clock.h>
#include <log.h>
#include <mem.h>
#include <outreach/regimes.h>
#include <str.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <sodium.h>
#include <systemd/sd-daemon.h>

#define CLOSE_CHANNELS_MS 2500
#define CLOSE_WRITER_MS	  5000
#define STOP_WEBHOOKS_MS  1500
#define SAVE_STATES_MS	  2000
#define STOP_READS_MS	  1500

struct phone *
app_phone(const struct channel *ch)
{
	return channel_user(ch);
}

void
app_stop(struct app *app, int exit_code)
{
	if (app->stage == APP_STOPPING)
		return;
	app->stage = APP_STOPPING;
	app->exit_code = exit_code;
	sd_notify(0, "STOPPING=1");
	loop_stop(app->loop);
}

/* ---- Tenants ----------------------------------------------------------------------
 */

static void
fill_tenant(struct tenant *t, const char *name, const struct tenant_settings *values)
{
	str_copy(t->name, sizeof(t->name), name);
	str_copy(t->timezone, sizeof(t->timezone), "UTC");
	t->identity_age_days = values ? (int)values->identity_age_days : 365;
	if (!values)
		return;
	str_copy(t->region, sizeof(t->region), values->region ? values->region : "");
	str_copy(t->timezone, sizeof(t->timezone), values->timezone);
	for (size_t i = 0; i < values->languages.n; i++) {
		size_t used = strlen(t->languages);
		snprintf(t->languages + used, sizeof(t->languages) - used, "%s%s",
			i ? ", " : "", values->languages.items[i]);
	}
}

/* The configured ones, and "default", which exists from the start. */
static void
make_tenants(struct app *app)
{
	const struct conf_section *s;
	size_t n = 0;
	while (conf_nth(app->conf, "tenant", n))
		n++;
	app->tenants = xcalloc(n + 1, sizeof(*app->tenants));
	for (size_t i = 0; (s = conf_nth(app->conf, "tenant", i)); i++)
		fill_tenant(&app->tenants[app->n_tenants++], s->name, s->values);
	map_init(&app->store.tenants);
	for (size_t i = 0; i < app->n_tenants; i++)
		map_put(&app->store.tenants, app->tenants[i].name, &app->tenants[i]);
	if (map_find(&app->store.tenants, "default"))
		return;
	struct tenant *t = &app->tenants[app->n_tenants++];
	fill_tenant(t, "default", NULL);
	map_put(&app->store.tenants, t->name, t);
}

static void
on_call_event(void *arg, struct channel *ch, const struct call_event *ev)
{
	(void)arg;
	if (app_phone(ch))
		phone_event(app_phone(ch), ev);
}

static void
on_member_event(void *arg, struct channel *ch, const struct member_event *ev)
{
	struct app *app = arg;
	agent_states_member_event(app->states, ch, ev);
}

static void
on_channel_state(void *arg, struct channel *ch, bool up)
{
	struct app *app = arg;
	agent_states_channel(app->states, ch, up);
}

/* ---- Rooms ------------------------------------------------------------------------
 */

static struct pg *
open_pg(struct app *app, unsigned connections, size_t queue_max, const char *name)
{
	const struct postgresql_settings *s = conf_values(app->conf, "postgresql");
	struct pg_opts opts = {
		.conninfo = s->conninfo,
		.connections = connections,
		.queue_max = queue_max,
		.connect_timeout_ms = (unsigned)s->connect_timeout_ms,
		.application_name = name,
		.server_options = app->pg_options,
	};
	struct pg *pg = pg_open(app->loop, &opts);
	for (const struct embedded *f = embedded_files; f->name; f++)
		if (str_starts(f->name, "daemon/") && strstr(f->name, ".sql"))
			pg_add_statements(pg, f->data);
	return pg;
}

#define INHERITED_MAX 32

static int
open_http(struct app *app, struct err *err)
{
	const struct http_settings *s = conf_values(app->conf, "http");
	int inherited[INHERITED_MAX], n = sd_listen_fds(1);
	for (int i = 0; i < n && i < INHERITED_MAX; i++)
		inherited[i] = SD_LISTEN_FDS_START + i;
	struct http_opts opts = {
		.listen = &s->listen,
		.socket = s->socket,
		.inherited = inherited,
		.n_inherited = n > INHERITED_MAX ? INHERITED_MAX
			       : n > 0		 ? (size_t)n
						 : 0,
		.tls_cert = s->tls_cert,
		.tls_key = s->tls_key,
		.origins = &s->origins,
		.max_header_bytes = (size_t)s->max_header,
		.max_body_bytes = (size_t)s->max_body,
		.max_connections = (unsigned)s->max_connections,
		.max_connections_per_peer = (unsigned)s->max_connections_per_peer,
		.header_timeout_ms = (unsigned)s->header_timeout_ms,
		.body_timeout_ms = (unsigned)s->body_timeout_ms,
		.idle_timeout_ms = (unsigned)s->idle_timeout_ms,
		.max_output_bytes = 1024 * 1024,
	};
	app->http = http_open(app->loop, &opts, err);
	return app->http ? 0 : -1;
}

static void
on_redis_state(void *arg, bool up)
{
	struct app *app = arg;
	if (app->pops)
		pops_on_redis(app->pops, up);
}

static void
open_redis(struct app *app)
{
	const struct redis_settings *s = conf_values(app->conf, "redis");
	struct redis_opts opts = {
		.addresses = &s->address,
		.username = s->username,
		.password = s->password,
		.sentinel = s->sentinel,
		.command_timeout_ms = 5000,
		.max_pending = 100000,
		.on_state = on_redis_state,
		.arg = app,
	};
	app->redis = redis_open(app->loop, &opts);
}

static void
on_wrapup_ended(void *arg, const struct tenant *t, const char *agent)
{
	struct app *app = arg;
	if (app->pops)
		pops_end_wrapup(app->pops, t, agent);
}

static void
on_sight(void *arg, const char *tenant, const char *agent)
{
	struct app *app = arg;
	if (app->pops)
		pops_on_sight(app->pops, tenant, agent);
}

static void
on_contact_event(
	void *arg, const struct tenant *t, const char *type, const char *object)
{
	struct app *app = arg;
	if (app->pops)
		pops_follow_contact(app->pops, t, type, object);
}

static void
open_desk(struct app *app)
{
	const struct daemon_settings *s = conf_values(app->conf, "daemon");
	struct pops_opts opts = {
		.pop_timeout_ms = (unsigned)s->pop_timeout_ms,
		.wrapup_ms = (unsigned)s->wrapup_ms,
		.lookups = app->lookups,
	};
	app->events = events_new(app->loop, app->redis);
	app->webhooks =
		webhooks_new(&app->store, open_pg(app, 2, 20000, "interactd webhooks"),
			app->events, conf_values(app->conf, "webhooks"));
	app->agents = agents_new(&app->store);
	agents_on_sight(app->agents, on_sight, app);
	opts.agents = app->agents;
	struct agent_states_opts states = {
		.store = &app->store,
		.agents = app->agents,
		.events = app->events,
		.wrapup_ms = (unsigned)s->wrapup_ms,
		.wrapup_ended = on_wrapup_ended,
		.arg = app,
	};
	app->states = agent_states_new(&states);
	app->tokens = agent_tokens_new(&app->store, app->redis);
	app->pops = pops_new(&app->store, app->redis, &opts);
	events_on_contact(app->events, on_contact_event, app);
}

static void
open_dialler(struct app *app)
{
	struct dialler_opts opts = {
		.store = &app->store,
		.channels = app->channels,
		.agents = app->agents,
		.phone_of = app_phone,
	};
	app->dialler = dialler_new(&opts);
}

static int
open_rooms(struct app *app, struct err *err)
{
	const struct postgresql_settings *pg = conf_values(app->conf, "postgresql");
	const struct writer_opts writer = {.deadline_ms = 30000};
	const struct channel_sink sink = {
		.call_event = on_call_event,
		.member_event = on_member_event,
		.state = on_channel_state,
		.arg = app,
	};
	const struct daemon_settings *daemon = conf_values(app->conf, "daemon");
	app->regimes = regimes_new(err);
	if (!app->regimes || regimes_set(app->regimes, app->conf, err) < 0 ||
		open_http(app, err) < 0 ||
		erasure_key_options(daemon->erasure_key, daemon->state_dir,
			app->pg_options, err) < 0)
		return -1;
	app->store.loop = app->loop;
	app->store.reads =
		open_pg(app, (unsigned)pg->connections, 20000, "interactd reads");
	app->store.writes = open_pg(app, 2, 20000, "interactd writes");
	app->store.upkeep = open_pg(app, 1, 1000, "interactd upkeep");
	app->store.reports = open_pg(app, 4, 200, "interactd reports");
	app->writer = writer_new(&app->store, &writer);
	app->reads = reads_new(&app->store);
	app->retention = app_retention_new(app);
	open_redis(app);
	app->lookups = app_lookups_new(app);
	open_desk(app);
	app->channels = channel_core_new(app->loop, &sink);
	open_dialler(app);
	app->health = health_new(app);
	app->api = api_new(app);
	return 0;
}

static void
on_channel_closed(void *arg)
{
	size_t *open = arg;
	(*open)--;
}

struct closing {
	struct app *app;
	struct phone **phones;
	size_t n, open;
};

static void
close_channel(void *arg, struct channel *ch)
{
	struct closing *c = arg;
	c->phones[c->n++] = app_phone(ch);
	channel_set_user(ch, NULL);
	agent_states_forget_channel(c->app->states, ch);
	c->open++;
	channel_core_close(ch, on_channel_closed, &c->open);
}

static void
close_channels(struct app *app)
{
	struct closing c = {.app = app};
	c.phones = xcalloc(channel_core_count(app->channels) + 1, sizeof(*c.phones));
	channel_core_each(app->channels, close_channel, &c);
	int64_t until = clock_mono_us() + CLOSE_CHANNELS_MS * INT64_C(1000);
	while (c.open && clock_mono_us() < until)
		loop_run_once(app->loop, 50);
	for (size_t i = 0; i < c.n; i++)
		phone_close(&c.phones[i]);
	xfree(&c.phones);
}

/* What was chosen a moment ago is known to the next daemon, if the database is there. */
static void
save_states(struct app *app)
{
	int64_t until = clock_mono_us() + SAVE_STATES_MS * INT64_C(1000);
	while (app->states && !agent_states_is_saved(app->states) && !app->store.held &&
		pg_is_up(app->store.writes) && clock_mono_us() < until)
		loop_run_once(app->loop, 20);
}

/* Good for what open_rooms left half-built. The loop still runs in some of these, and
 * requests are still answered: what they use goes after the HTTP server. */
static void
close_rooms(struct app *app)
{
	loop_timer_free(&app->watchdog);
	start_end(app);
	health_free(&app->health);
	if (app->channels)
		close_channels(app);
	if (app->writer)
		writer_close(&app->writer, CLOSE_WRITER_MS);
	if (app->reads)
		reads_stop(app->reads, STOP_READS_MS);
	if (app->retention)
		retention_stop(app->retention);
	save_states(app);
	wishes_keeper_free(&app->keeper);
	if (app->webhooks)
		webhooks_stop(app->webhooks, STOP_WEBHOOKS_MS);
	lease_close(&app->lease);
	http_close(&app->http);
	api_free(&app->api);
	if (app->channels)
		channel_core_free(&app->channels);
	pops_free(&app->pops);
	lookups_free(&app->lookups);
	agent_tokens_free(&app->tokens);
	agent_states_free(&app->states);
	agents_free(&app->agents);
	webhooks_free(&app->webhooks);
	events_free(&app->events);
	redis_close(&app->redis);
	pg_close(&app->store.reads);
	pg_close(&app->store.writes);
	pg_close(&app->store.upkeep);
	reads_free(&app->reads);
	retention_free(&app->retention);
	pg_close(&app->store.reports);
	start_free(app);
	dialler_free(&app->dialler);
	regimes_free(&app->regimes);
}

/* ---- Signals, watchdog ------------------------------------------------------------
 */

static void
on_stop_signal(int signo, void *arg)
{
	log_info(NULL, "signal %s: ending", strsignal(signo));
	app_stop(arg, 0);
}

/* Also with the same paths: a certificate is renewed in its place. */
static void
reload_http(struct app *app, const struct conf *next)
{
	const struct http_settings *was = conf_values(app->conf, "http");
	const struct http_settings *now = conf_values(next, "http");
	struct err err;
	http_reload_origins(app->http, &now->origins);
	if (str_empty(was->tls_cert) != str_empty(now->tls_cert))
		log_warnx(NULL, "[http] TLS is switched on and off by a restart only");
	else if (!str_empty(now->tls_cert) &&
		 http_reload_tls(app->http, now->tls_cert, now->tls_key, &err) < 0)
		log_errorx(NULL, "the certificate in use stays: %s", err.text);
}

/* What a reload can change is applied; the rest is named. Channels keep the rows they
 * were opened with, so the old conf stays until they are closed. */
static void
on_reload_signal(int signo, void *arg)
{
	struct app *app = arg;
	struct err err;
	char restart[1024] = "";
	(void)signo;
	sd_notify(0, "RELOADING=1");
	struct conf *next = app_load_conf(app->conf_path, &err);
	if (!next) {
		log_errorx(NULL,
			"not reloaded, the old configuration stays in force: %s",
			err.text);
		sd_notify(0, "READY=1");
		return;
	}
	const struct daemon_settings *s = conf_values(next, "daemon");
	log_set_level((enum log_level)s->log_level);
	pops_set_timeout(app->pops, (unsigned)s->pop_timeout_ms);
	reload_http(app, next);
	app_lookups_set(app, next);
	if (regimes_set(app->regimes, next, &err) < 0)
		log_errorx(
			NULL, "the rules of outreach stay as they were: %s", err.text);
	if (!app->store.held)
		agents_load(app->agents, NULL, NULL);
	if (conf_restart_needed(app->conf, next, restart, sizeof(restart)))
		log_warnx(NULL, "reloaded; these changes need a restart: %s", restart);
	else
		log_info(NULL, "configuration reloaded");
	conf_free(&next);
	sd_notify(0, "READY=1");
}

static void
on_watchdog(void *arg)
{
	struct app *app = arg;
	uint64_t us;
	sd_notify(0, "WATCHDOG=1");
	if (sd_watchdog_enabled(0, &us) > 0)
		loop_timer_start(app->watchdog, (int64_t)(us / 3000));
}

static int
make_state_dir(const struct app *app)
{
	const struct daemon_settings *s = conf_values(app->conf, "daemon");
	struct stat st;
	const char *verb = "make";
	if (mkdir(s->state_dir, 0700) == 0)
		return 0;
	if (errno == EEXIST) {
		verb = "write to";
		errno = stat(s->state_dir, &st) == 0 && !S_ISDIR(st.st_mode) ? ENOTDIR
									     : 0;
		if (!errno && access(s->state_dir, W_OK | X_OK) == 0)
			return 0;
	}
	log_error(NULL,
		"cannot %s [daemon] state_dir = %s, which must be a directory that "
		"interactd may write to",
		verb, s->state_dir);
	return -1;
}

int
app_run(const char *conf_path, struct conf *conf)
{
	struct app app = {.conf_path = conf_path, .conf = conf};
	struct err err;
	const struct daemon_settings *s = conf_values(conf, "daemon");
	log_init((enum log_level)s->log_level);
	log_info(NULL, "interactd " INTERACTD_VERSION " starts with %s", conf_path);
	if (sodium_init() < 0)
		return 1;
	app.started_us = clock_wall_us();
	app.started_mono_us = clock_mono_us();
	app.loop = loop_new();
	make_tenants(&app);
	if (make_state_dir(&app) < 0)
		app.exit_code = 1;
	else if (open_rooms(&app, &err) < 0) {
		log_errorx(NULL, "%s", err.text);
		app.exit_code = 1;
	} else {
		loop_on_signal(app.loop, SIGTERM, on_stop_signal, &app);
		loop_on_signal(app.loop, SIGINT, on_stop_signal, &app);
		loop_on_signal(app.loop, SIGHUP, on_reload_signal, &app);
		app.watchdog = loop_timer_new(app.loop, on_watchdog, &app);
		loop_timer_start(app.watchdog, 0);
		start_begin(&app);
		loop_run(app.loop);
	}
	close_rooms(&app);
	map_fini(&app.store.tenants);
	xfree(&app.tenants);
	loop_free(&app.loop);
	conf_free(&app.conf);
	log_info(NULL, "ended");
	return app.exit_code;
}
