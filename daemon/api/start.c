/* start.c - from nothing to running.
 *
 *	prepared (a thread) -> agents -> lease -> agents' states -> live
 *		the database's side
 *	intake: channels begin, each replaying its spool first
 *
 * With PostgreSQL there, intake begins with the lease, from the checkpoints. If it is not
 * there (the first attempt failed, or INTAKE_WAIT_MS are over) nobody can say who holds
 * the lease or where the checkpoints are, but the phones ring now: intake begins without.
 * Until live, store.held keeps every statement from being built (tenants have no ids, and
 * another daemon may own this database): pops go out without cards, savings wait in the
 * writer. A daemon that then finds the lease with another one ends, having written
 * nothing. Events are in the spool from the first on, so nothing of this loses any. */
#include <api/start.h>

#include <api/prepare.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <string.h>
#include <systemd/sd-daemon.h>

/* How long a start waits for PostgreSQL before phones are heard without it. */
#define INTAKE_WAIT_MS 1500
/* Another daemon that is alive renews its lease; one that died has lost it by then. */
#define LEASE_WAIT_MS 9000
/* After an outage: pools connect again within about 5 s, and a holder renews then. */
#define LEASE_PATIENCE_MS 6500
#define LEASE_CHECK_MS	  1000
#define LEASE_SILENT_US	  INT64_C(2000000)
/* Pops of calls that no snapshot confirms are closed after this, at the latest. */
#define ADOPT_MS      15000
#define ADOPT_POLL_MS 250
/* A snapshot's "gone" waits a second for the true ending; so does the comparison. */
#define ADOPT_AFTER_SYNC_MS 1500
#define RESET_MS	    5000

struct start {
	struct app *app;
	struct loop_timer *adopt, *lease_wait, *hurry, *live;
	struct prepare *prepare;
	const struct prepare_spool *spools; /* once prepared */
	bool intake;
	unsigned resets; /* checkpoints being set back */
	int64_t lease_waited_ms, adopt_waited_ms, adopt_synced_ms;
};

static void
say_waiting(struct app *app, const char *why)
{
	if (str_eq(app->waiting_for, why))
		return;
	str_copy(app->waiting_for, sizeof(app->waiting_for), why);
	sd_notifyf(0, "STATUS=waiting for PostgreSQL: %s", why);
}

/* ---- Channels ---------------------------------------------------------------------
 */

static struct phone *
begin_phone(struct app *app, const struct conf_section *s, const uint64_t *checkpoint)
{
	const struct daemon_settings *daemon = conf_values(app->conf, "daemon");
	const struct channel_settings *values = s->values;
	struct err err;
	char *dir = xasprintf("%s/spool", daemon->state_dir);
	struct phone_opts opts = {
		.loop = app->loop,
		.tenant = store_tenant(&app->store, values->tenant),
		.channel = s->name,
		.conf = s->extension,
		.histories = settings_driver(s)->history,
		.store = &app->store,
		.writer = app->writer,
		.pops = app->pops,
		.events = app->events,
		.agents = app->agents,
		.states = app->states,
		.spool = {dir, s->name, 8 * 1024 * 1024, daemon->spool_max, true},
		.checkpoint = checkpoint ? *checkpoint : PHONE_CHECKPOINT_UNKNOWN,
	};
	struct phone *ph = phone_open(&opts, &err);
	if (ph)
		phone_replay(ph);
	else
		log_errorx(NULL,
			"channel %s cannot begin: %s (its events are kept in [daemon] "
			"state_dir)",
			s->name, err.text);
	xfree(&dir);
	return ph;
}

static bool
begin_channel(struct app *app, const struct conf_section *s, const uint64_t *checkpoint)
{
	const struct channel_settings *values = s->values;
	struct err err;
	struct phone *ph = NULL;
	const struct channel_ops *ops = settings_driver(s);
	if (ops->caps & CHANNEL_PHONE) {
		ph = begin_phone(app, s, checkpoint);
		if (!ph)
			return false;
	}
	const struct phone_conf *phone = s->extension;
	struct channel_opts opts = {ops, s->name, values->tenant, s->extension,
		ops->caps & CHANNEL_PHONE ? phone->resync_ms : 0};
	struct channel *ch = channel_core_open(app->channels, &opts, &err);
	if (!ch) {
		log_errorx(NULL, "channel %s: %s", s->name, err.text);
		phone_close(&ph);
		return false;
	}
	channel_set_user(ch, ph);
	return true;
}

/* checkpoints: as the database has them, in the order of the sections; NULL = it cannot
 * say now. */
static void
begin_intake(struct start *st, const struct prepare_spool *checkpoints)
{
	struct app *app = st->app;
	const struct conf_section *s;
	if (st->intake || app->stage == APP_STOPPING)
		return;
	st->intake = true;
	loop_timer_stop(st->hurry);
	if (!checkpoints)
		log_warnx(NULL, "PostgreSQL is away: phones are heard without it; "
				"screen pops show no contact data, calls are kept in "
				"the spool and written when it is back");
	pops_set_silent(app->pops, true);
	for (size_t i = 0; (s = conf_nth(app->conf, "channel", i)); i++)
		if (!begin_channel(
			    app, s, checkpoints ? &checkpoints[i].checkpoint : NULL)) {
			app_stop(app, 1);
			return;
		}
	pops_set_silent(app->pops, false);
	loop_timer_start(st->adopt, ADOPT_POLL_MS);
	sd_notify(0, "READY=1");
}

/* ---- Open pops of the daemon before -----------------------------------------------
 */

static void
count_unsynced(void *arg, struct channel *ch)
{
	size_t *unsynced = arg;
	if (app_phone(ch) && !phone_is_synced(app_phone(ch)))
		(*unsynced)++;
}

static void
on_adopted(void *arg)
{
	(void)arg;
	log_debug(NULL, "open pops compared with the calls that live");
}

/* Once every phone system has said what is there (or will not for now), pops that Redis
 * holds and no call explains are closed. */
static void
on_adopt_due(void *arg)
{
	struct start *st = arg;
	struct app *app = st->app;
	size_t unsynced = 0;
	channel_core_each(app->channels, count_unsynced, &unsynced);
	st->adopt_waited_ms += ADOPT_POLL_MS;
	if (!unsynced)
		st->adopt_synced_ms += ADOPT_POLL_MS;
	if (st->adopt_synced_ms < ADOPT_AFTER_SYNC_MS && st->adopt_waited_ms < ADOPT_MS)
		loop_timer_start(st->adopt, ADOPT_POLL_MS);
	else
		pops_adopt(app->pops, on_adopted, app);
}

/* ---- Live -------------------------------------------------------------------------
 */

static void
go_live(struct start *st)
{
	struct app *app = st->app;
	app->stage = APP_RUNNING;
	app->waiting_for[0] = '\0';
	app->store.held = false;
	writer_hold(app->writer, false);
	pops_ask_again(app->pops);
	webhooks_begin(app->webhooks);
	app->keeper = wishes_keeper_new(&app->store);
	retention_begin(app->retention);
	sd_notify(0, "READY=1\nSTATUS=running");
	log_info(NULL, "running: %zu channels", channel_core_count(app->channels));
}

static void
on_reset(void *arg, const struct pg_answer *a)
{
	struct start *st = arg;
	if (st->app->stage == APP_STOPPING)
		return;
	if (a->status != PG_OK) {
		loop_timer_start(st->live, LEASE_CHECK_MS);
		st->resets = 0;
	} else if (st->resets && --st->resets == 0) {
		go_live(st);
	}
}

static void
reset_checkpoint(struct start *st, const struct prepare_spool *s, uint64_t seq)
{
	struct pg_unit *u = pg_unit_new(st->app->store.writes);
	pg_add(u, "checkpoint_reset");
	pg_param_int(u, store_tenant(&st->app->store, s->tenant)->id);
	pg_param_text(u, s->channel);
	pg_param_int(u, (int64_t)seq);
	st->resets++;
	pg_submit(&u, RESET_MS, on_reset, st);
}

/* What the phones did without the database is brought together with its checkpoints.
 * Repeated until the database has taken all of it. */
static void
on_live_due(void *arg)
{
	struct start *st = arg;
	const struct conf_section *s;
	for (size_t i = 0; (s = conf_nth(st->app->conf, "channel", i)); i++) {
		struct channel *ch = channel_core_find(st->app->channels, s->name);
		uint64_t back;
		if (ch && app_phone(ch) &&
			phone_take_checkpoint(
				app_phone(ch), st->spools[i].checkpoint, &back))
			reset_checkpoint(st, &st->spools[i], back);
	}
	if (!st->resets)
		go_live(st);
}

/* ---- Database, lease --------------------------------------------------------------
 */

/* Not before the lease is ours: another daemon may still write them. */
static void
on_states_loaded(void *arg)
{
	struct start *st = arg;
	if (st->app->stage == APP_STARTING)
		on_live_due(st);
}

static void
on_lease_taken(void *arg, int64_t fence)
{
	struct start *st = arg;
	log_debug(NULL, "lease taken, fence %lld", (long long)fence);
	if (st->app->stage != APP_STARTING)
		return;
	loop_timer_stop(st->lease_wait);
	begin_intake(st, st->spools);
	if (st->app->stage == APP_STARTING)
		agent_states_load(st->app->states, on_states_loaded, st);
}

static void
on_lease_lost(void *arg, const char *holder)
{
	struct start *st = arg;
	log_errorx(NULL,
		"another interactd (%s) has taken over this database; this one ends, "
		"so that "
		"no event is handled twice",
		holder);
	app_stop(st->app, 1);
}

/* Another daemon has the lease, or nobody can say. */
static void
on_lease_wait(void *arg)
{
	struct start *st = arg;
	struct app *app = st->app;
	if (app->stage != APP_STARTING || lease_is_held(app->lease))
		return;
	loop_timer_start(st->lease_wait, LEASE_CHECK_MS);
	if (lease_silent_us(app->lease) > LEASE_SILENT_US) {
		const char *why = lease_why(app->lease);
		say_waiting(app, why[0] ? why : "it does not answer");
		begin_intake(st, NULL);
		return;
	}
	say_waiting(app, "another interactd has this database");
	st->lease_waited_ms += LEASE_CHECK_MS;
	if (st->lease_waited_ms < LEASE_WAIT_MS)
		return;
	log_errorx(NULL,
		"another interactd (%s) runs on this database; end it first, or give "
		"this one "
		"another database",
		lease_current_holder(app->lease));
	app_stop(app, 1);
}

static void
tell_agents(void *arg, struct channel *ch)
{
	(void)arg;
	if (app_phone(ch))
		phone_agents_loaded(app_phone(ch));
}

static void
on_agents_loaded(void *arg, bool ok)
{
	static const struct lease_callbacks callbacks = {on_lease_taken, on_lease_lost};
	struct start *st = arg;
	struct app *app = st->app;
	if (!ok)
		log_warnx(NULL, "the agents could not be read yet");
	if (app->stage != APP_STARTING || app->lease)
		return;
	channel_core_each(app->channels, tell_agents, NULL);
	say_waiting(app, "the lease is being taken");
	app->lease =
		lease_open(app->loop, app->store.writes, 0, "daemon", &callbacks, st);
	if (st->intake)
		lease_be_patient(app->lease, LEASE_PATIENCE_MS);
	loop_timer_start(st->lease_wait, LEASE_CHECK_MS);
}

static void
on_prepared(void *arg, const struct tenant *tenants, const struct prepare_spool *spools)
{
	struct start *st = arg;
	struct app *app = st->app;
	for (size_t i = 0; i < app->n_tenants; i++)
		app->tenants[i].id = tenants[i].id;
	st->spools = spools;
	loop_timer_stop(st->hurry);
	webhooks_load(app->webhooks, NULL, NULL);
	agents_load(app->agents, on_agents_loaded, st);
}

static void
on_waiting(void *arg, const char *why)
{
	struct start *st = arg;
	if (!str_eq(st->app->waiting_for, why))
		log_errorx(NULL, "waiting for PostgreSQL: %s", why);
	say_waiting(st->app, why);
	begin_intake(st, NULL);
}

static void
on_refused(void *arg, const char *why)
{
	struct start *st = arg;
	log_errorx(NULL, "%s", why);
	app_stop(st->app, 1);
}

static void
on_hurry(void *arg)
{
	struct start *st = arg;
	say_waiting(st->app, "it does not answer");
	begin_intake(st, NULL);
}

static void
begin_prepare(struct start *st)
{
	static const struct prepare_callbacks callbacks = {
		on_prepared, on_waiting, on_refused};
	struct app *app = st->app;
	const struct postgresql_settings *pg = conf_values(app->conf, "postgresql");
	const struct conf_section *s;
	size_t n = 0;
	while (conf_nth(app->conf, "channel", n))
		n++;
	struct prepare_spool *spools = xcalloc(n + 1, sizeof(*spools));
	for (size_t i = 0; (s = conf_nth(app->conf, "channel", i)); i++) {
		const struct channel_settings *values = s->values;
		spools[i].tenant = values->tenant; /* copied */
		spools[i].channel = s->name;
	}
	st->prepare = prepare_start(app->loop, pg->conninfo, app->tenants,
		app->n_tenants, spools, n, &callbacks, st);
	xfree(&spools);
}

void
start_begin(struct app *app)
{
	struct start *st = xcalloc(1, sizeof(*st));
	app->start = st;
	st->app = app;
	st->adopt = loop_timer_new(app->loop, on_adopt_due, st);
	st->lease_wait = loop_timer_new(app->loop, on_lease_wait, st);
	st->hurry = loop_timer_new(app->loop, on_hurry, st);
	st->live = loop_timer_new(app->loop, on_live_due, st);
	app->store.held = true;
	writer_hold(app->writer, true);
	loop_timer_start(st->hurry, INTAKE_WAIT_MS);
	begin_prepare(st);
}

void
start_end(struct app *app)
{
	struct start *st = app->start;
	if (!st)
		return;
	loop_timer_free(&st->adopt);
	loop_timer_free(&st->lease_wait);
	loop_timer_free(&st->hurry);
	loop_timer_free(&st->live);
	prepare_free(&st->prepare);
}

void
start_free(struct app *app)
{
	xfree(&app->start);
}
