/* webhook.c - who wants to be told, kept in step with the database.
 *
 * The list is read at the start, after every change made here, and when the rows' version
 * (asked for every few seconds) says that somebody else changed them. A webhook that is
 * gone from the rows stays until its last request has ended.
 *
 * What there is to send is found in two ways: an event kept by this daemon kicks the
 * webhooks that want it, and a poll each second finds what has become due. Without
 * webhooks nothing is asked but the version. */
#include <desk/webhook_priv.h>

#include <clock.h>
#include <io/lease.h>
#include <io/loop.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define POLL_MS	      1000
#define RETRY_LOAD_MS 1000
#define VERSION_US    INT64_C(5000000)
#define STATS_US      INT64_C(15000000)
#define MAINTAIN_US   INT64_C(60000000)
#define MAINTAIN_MAX  1000
#define DEADLINE_MS   10000
#define RUNNING_MAX   512

struct load {
	struct list link;
	bool later; /* asked while another was under way: that one may be too old */
	void (*done)(void *arg);
	void *arg;
};

/* ---- One webhook -------------------------------------------------------------------- */

void
webhook_run_free(struct webhook_run *r)
{
	list_remove(&r->link);
	for (size_t i = 0; i < r->n_jobs; i++) {
		mem_free(r->jobs[i].id);
		mem_free(r->jobs[i].type);
		mem_free(r->jobs[i].body);
	}
	mem_free(r->jobs);
	mem_free(r->key);
	mem_free(r);
}

static void
runs_free(struct list *runs)
{
	list_for_each_safe (runs, it)
		webhook_run_free(LIST_ENTRY(it, struct webhook_run, link));
}

static void
hook_clear(struct webhook *w)
{
	for (size_t i = 0; i < w->n_patterns; i++)
		xfree(&w->patterns[i]);
	w->n_patterns = 0;
	xfree(&w->url);
	xfree(&w->secret);
	xfree(&w->old_secret);
}

static void
hook_free(struct webhook *w)
{
	list_remove(&w->link);
	runs_free(&w->queued);
	runs_free(&w->running);
	runs_free(&w->finished);
	runs_free(&w->reporting);
	hook_clear(w);
	mem_free(w);
}

static struct webhook *
hook_new(struct webhooks *ws, int tenant_id, const struct uuid *id)
{
	const struct tenant *tenant = store_tenant_by_id(ws->store, tenant_id);
	struct webhook *w;

	if (!tenant)
		return NULL; /* a tenant that this daemon does not serve */
	w = xcalloc(1, sizeof(*w));
	w->all = ws;
	w->tenant = tenant;
	w->id = *id;
	list_init(&w->queued);
	list_init(&w->running);
	list_init(&w->finished);
	list_init(&w->reporting);
	list_append(&ws->list, &w->link);
	return w;
}

struct webhook *
webhook_find(struct webhooks *ws, int tenant_id, const struct uuid *id)
{
	list_for_each (&ws->list, it) {
		struct webhook *w = LIST_ENTRY(it, struct webhook, link);
		if (w->tenant->id == tenant_id && uuid_eq(&w->id, id))
			return w;
	}
	return NULL;
}

unsigned
webhook_reach(const struct webhooks *ws)
{
	return FETCH_TO_PUBLIC | (ws->conf->allow_private ? FETCH_TO_PRIVATE : 0);
}

/* ---- Reading them ------------------------------------------------------------------- */

static void
hook_take_patterns(struct webhook *w, const char *text)
{
	json_t *list = json_loads(text, 0, NULL), *v;
	size_t i;

	json_array_foreach(list, i, v) if (w->n_patterns < WEBHOOK_PATTERNS_MAX)
		w->patterns[w->n_patterns++] = xstrdup(json_string_value(v));
	json_decref(list);
}

static void
hook_name(struct webhook *w)
{
	char id[UUID_TEXT_LEN];
	const char *host = strstr(w->url, "://");

	host = host ? host + 3 : "";
	snprintf(w->who, sizeof(w->who), "%s (%.*s)", uuid_format(id, &w->id),
		(int)utf8_cut(host, strcspn(host, "/?#"), 80), host);
}

static void
hook_take_row(struct webhook *w, const struct pg_answer *a, size_t i, size_t row)
{
	int64_t updated_us = pg_int(a, i, row, 10);

	hook_clear(w);
	w->seen = true;
	w->url = xstrdup(pg_text(a, i, row, 2));
	hook_name(w);
	hook_take_patterns(w, pg_text(a, i, row, 3));
	w->secret = xstrdup(pg_text(a, i, row, 4));
	w->old_secret = xstrdup(pg_text(a, i, row, 5));
	w->old_until_us = pg_int(a, i, row, 6);
	if (updated_us == w->updated_us)
		return; /* how it stands is better known here */
	w->updated_us = updated_us;
	w->enabled = pg_bool(a, i, row, 7);
	w->failing = pg_bool(a, i, row, 8);
	w->failing_since_us = pg_int(a, i, row, 9);
	w->gone = false;
	w->failures = w->gones = w->probes = 0;
	w->hold_until_us = 0;
	w->due = true;
}

static void
hooks_take_rows(struct webhooks *ws, const struct pg_answer *a, size_t i)
{
	list_for_each (&ws->list, it)
		LIST_ENTRY(it, struct webhook, link)->seen = false;
	for (size_t row = 0; row < pg_rows(a, i); row++) {
		struct uuid id = pg_uuid(a, i, row, 1);
		int tenant_id = (int)pg_int(a, i, row, 0);
		struct webhook *w = webhook_find(ws, tenant_id, &id);
		if (!w)
			w = hook_new(ws, tenant_id, &id);
		if (w)
			hook_take_row(w, a, i, row);
	}
	list_for_each_safe (&ws->list, it) {
		struct webhook *w = LIST_ENTRY(it, struct webhook, link);
		if (!w->seen)
			w->enabled = false;
		webhook_go(w);
		if (!w->seen && webhook_is_idle(w))
			hook_free(w);
	}
}

static void load_start(struct webhooks *);

static void
load_finish(struct webhooks *ws)
{
	struct list told;

	list_init(&told);
	list_for_each_safe (&ws->loads, it) {
		struct load *l = LIST_ENTRY(it, struct load, link);
		if (l->later) {
			l->later = false;
			continue;
		}
		list_remove(&l->link);
		list_append(&told, &l->link);
	}
	if (!list_is_empty(&ws->loads))
		load_start(ws);
	while (!list_is_empty(&told)) {
		struct load *l = LIST_ENTRY(told.next, struct load, link);
		list_remove(&l->link);
		if (l->done)
			l->done(l->arg);
		mem_free(l);
	}
}

static void
on_loaded(void *arg, const struct pg_answer *a)
{
	struct webhooks *ws = arg;

	ws->asking--;
	ws->loading = false;
	if (ws->closing)
		return;
	if (a->status != PG_OK) {
		loop_timer_start(ws->retry_load, RETRY_LOAD_MS);
		return;
	}
	mem_free(ws->version);
	ws->version = xstrdup(pg_text(a, 0, 0, 0));
	hooks_take_rows(ws, a, 1);
	load_finish(ws);
}

/* The version first: what changes after it is seen by the next look at it. */
static void
load_start(struct webhooks *ws)
{
	struct pg_unit *u = pg_unit_new(ws->pg);

	ws->loading = true;
	ws->asking++;
	pg_add(u, "webhook_version");
	pg_add(u, "webhook_load");
	pg_submit(&u, DEADLINE_MS, on_loaded, ws);
}

static void
on_retry_load(void *arg)
{
	load_start(arg);
}

void
webhooks_load(struct webhooks *ws, void (*done)(void *arg), void *arg)
{
	struct load *l = xcalloc(1, sizeof(*l));

	l->done = done;
	l->arg = arg;
	l->later = ws->loading;
	list_append(&ws->loads, &l->link);
	if (!ws->loading && !loop_timer_is_running(ws->retry_load))
		load_start(ws);
}

/* ---- Polling ------------------------------------------------------------------------ */

struct poll {
	struct webhooks *all;
	int due, version, stats; /* which statement of the unit; -1 = none */
	int n;
};

static void
poll_take_due(struct webhooks *ws, const struct pg_answer *a, size_t i)
{
	for (size_t row = 0; row < pg_rows(a, i); row++) {
		struct uuid id = pg_uuid(a, i, row, 1);
		struct webhook *w = webhook_find(ws, (int)pg_int(a, i, row, 0), &id);
		if (!w)
			continue;
		w->due = w->again = true;
		webhook_go(w);
	}
}

static void
on_polled(void *arg, const struct pg_answer *a)
{
	struct poll *p = arg;
	struct webhooks *ws = p->all;

	ws->asking--;
	ws->polling = false;
	if (a->status == PG_OK && !ws->closing) {
		if (p->due >= 0)
			poll_take_due(ws, a, (size_t)p->due);
		if (p->stats >= 0) {
			size_t i = (size_t)p->stats;
			ws->stats.waiting = pg_int(a, i, 0, 0);
			ws->stats.dead_kept = pg_int(a, i, 0, 1);
			ws->stats.failing = pg_int(a, i, 0, 2);
			ws->stats.oldest_us = pg_int(a, i, 0, 3);
		}
		if (p->version >= 0 && !ws->loading &&
			!str_eq(ws->version, pg_text(a, (size_t)p->version, 0, 0)))
			webhooks_load(ws, NULL, NULL);
	}
	mem_free(p);
}

static bool
is_time(int64_t *next_us, int64_t every_us)
{
	int64_t now = clock_mono_us();

	if (now < *next_us)
		return false;
	*next_us = now + every_us;
	return true;
}

static void
poll_start(struct webhooks *ws)
{
	struct poll *p = xcalloc(1, sizeof(*p));
	struct pg_unit *u = pg_unit_new(ws->pg);
	bool any = !list_is_empty(&ws->list);

	*p = (struct poll){.all = ws, .due = -1, .version = -1, .stats = -1};
	if (any) {
		pg_add(u, "webhook_due");
		p->due = p->n++;
	}
	if (is_time(&ws->next_version_us, VERSION_US)) {
		pg_add(u, "webhook_version");
		p->version = p->n++;
	}
	if (any && is_time(&ws->next_stats_us, STATS_US)) {
		pg_add(u, "webhook_stats");
		p->stats = p->n++;
	}
	if (p->n == 0) {
		pg_unit_drop(&u);
		mem_free(p);
		return;
	}
	ws->polling = true;
	ws->asking++;
	pg_submit(&u, DEADLINE_MS, on_polled, p);
}

static void
on_maintained(void *arg, const struct pg_answer *a)
{
	struct webhooks *ws = arg;

	ws->asking--;
	ws->maintaining = false;
	if (a->status != PG_OK)
		return;
	ws->stats.dead += (unsigned long long)pg_int(a, 0, 0, 0);
	if (pg_int(a, 0, 0, 0) >= MAINTAIN_MAX || pg_int(a, 0, 0, 1) >= MAINTAIN_MAX)
		ws->next_maintain_us = 0;
}

static void
maintain_start(struct webhooks *ws)
{
	struct pg_unit *u = pg_unit_new(ws->pg);

	ws->maintaining = true;
	ws->asking++;
	pg_add(u, "webhooks_maintain");
	pg_param_int(u, ws->conf->give_up_ms);
	pg_param_int(u, ws->conf->retention_ms);
	pg_param_int(u, ws->conf->dead_retention_ms);
	pg_param_int(u, MAINTAIN_MAX);
	pg_submit(&u, 60000, on_maintained, ws);
}

static void
on_poll(void *arg)
{
	struct webhooks *ws = arg;
	int64_t every_us = ws->conf->give_up_ms * 250; /* a quarter of it */

	loop_timer_start(ws->poll, POLL_MS);
	list_for_each_safe (&ws->list, it) {
		struct webhook *w = LIST_ENTRY(it, struct webhook, link);
		webhook_go(w);
		if (!w->seen && webhook_is_idle(w))
			hook_free(w);
	}
	webhooks_keeps_pump(ws);
	if (!ws->polling && pg_is_up(ws->pg))
		poll_start(ws);
	/* Also for webhooks that were deleted, and so are not in the list. */
	if (!ws->maintaining && pg_is_up(ws->pg) &&
		is_time(&ws->next_maintain_us,
			every_us < MAINTAIN_US ? every_us : MAINTAIN_US))
		maintain_start(ws);
}

void
webhooks_poll_within(struct webhooks *ws, int64_t ms)
{
	if (!ws->closing && ms > 0 && ms < POLL_MS)
		loop_timer_start(ws->poll, ms + 1);
}

/* ---- Life --------------------------------------------------------------------------- */

struct webhooks *
webhooks_new(struct store *store, struct pg *pg, struct events *events,
	const struct webhooks_settings *conf)
{
	struct webhooks *ws = xcalloc(1, sizeof(*ws));

	ws->store = store;
	ws->pg = pg;
	ws->events = events;
	ws->conf = conf;
	/* How many go to one host is not for fetch to say: two webhooks may share one. */
	ws->fetch =
		fetch_open(store->loop, &(struct fetch_opts){.max_running = RUNNING_MAX,
						.max_per_host = RUNNING_MAX});
	list_init(&ws->list);
	list_init(&ws->loads);
	list_init(&ws->keeps);
	ws->poll = loop_timer_new(store->loop, on_poll, ws);
	ws->retry_load = loop_timer_new(store->loop, on_retry_load, ws);
	events_set_keeper(events, &webhooks_keeper, ws);
	return ws;
}

static void
on_released(void *arg, const struct pg_answer *a)
{
	struct webhooks *ws = arg;

	ws->asking--;
	ws->begun = true;
	if (a->status != PG_OK)
		log_debug("webhook", "leases of before run out by themselves");
	if (!ws->closing)
		loop_timer_start(ws->poll, 0);
}

void
webhooks_begin(struct webhooks *ws)
{
	struct pg_unit *u = pg_unit_new(ws->pg);

	ws->asking++;
	pg_add(u, "webhook_release");
	pg_submit(&u, 60000, on_released, ws);
}

static bool
is_busy(const struct webhooks *ws)
{
	list_for_each (&ws->list, it)
		if (!webhook_is_idle(LIST_ENTRY(it, struct webhook, link)))
			return true;
	return ws->asking > 0;
}

void
webhooks_stop(struct webhooks *ws, unsigned deadline_ms)
{
	int64_t until = clock_mono_us() + deadline_ms * INT64_C(1000);

	ws->closing = true;
	events_set_keeper(ws->events, NULL, NULL);
	loop_timer_stop(ws->poll);
	loop_timer_stop(ws->retry_load);
	list_for_each (&ws->list, it)
		webhook_go(LIST_ENTRY(it, struct webhook, link));
	while (is_busy(ws) && pg_is_up(ws->pg) && clock_mono_us() < until)
		loop_run_once(ws->store->loop, 20);
}

void
webhooks_free(struct webhooks **wsp)
{
	struct webhooks *ws = *wsp;

	if (!ws)
		return;
	*wsp = NULL;
	if (!ws->closing)
		webhooks_stop(ws, 0);
	fetch_close(&ws->fetch); /* what still runs is sent again by the next daemon */
	pg_close(&ws->pg);	 /* answers all that was asked */
	list_for_each (&ws->loads, it)
		LIST_ENTRY(it, struct load, link)->later = false;
	load_finish(ws);
	while (!list_is_empty(&ws->list))
		hook_free(LIST_ENTRY(ws->list.next, struct webhook, link));
	loop_timer_free(&ws->poll);
	loop_timer_free(&ws->retry_load);
	webhooks_keeps_free(ws);
	mem_free(ws->version);
	mem_free(ws);
}

void
webhooks_get_stats(const struct webhooks *ws, struct webhooks_stats *out)
{
	struct fetch_stats f;

	fetch_get_stats(ws->fetch, &f);
	*out = ws->stats;
	out->running = f.running;
}
