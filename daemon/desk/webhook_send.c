/* webhook_send.c - a webhook's keys claimed, their deliveries sent, the outcomes reported.
 *
 *	due -> claim -> queued -> running (at most `concurrency` keys) -> finished -> report
 *
 * A run sends its deliveries one after another until one fails, a second or two are over,
 * or there are no more; then its key is given back with what became of them. Reports of a
 * webhook are collected while one is under way. What is claimed is ours for a lease; what
 * cannot be begun well before its end is given back unsent.
 *
 * A webhook that has only failed for long is `failing`: one key with one delivery at a
 * time, at growing distances, until an answer comes. */
#include <desk/webhook_priv.h>

#include <clock.h>
#include <io/loop.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define EACH_MAX	8 /* deliveries of a key in one run */
#define KEYS_PER_PLACE	4 /* keys claimed ahead, per place to send */
#define RUN_US		INT64_C(2000000)
#define LEASE_MS	120000
#define REPORT_MS	10000
#define GONES_MAX	3
#define FAILURES_MIN	3
#define PROBE_MAX_MS	300000
#define HOLD_MAX_S	86400
#define ANSWER_MAX	1024
#define ERROR_OF_STATUS "the answer was %d"

static void report_start(struct webhook *);
static void run_send(struct webhook_run *);

static int64_t
lease_ms(const struct webhooks *ws)
{
	return LEASE_MS + 2 * ws->conf->timeout_ms;
}

bool
webhook_is_idle(const struct webhook *w)
{
	return !w->claiming && list_is_empty(&w->queued) &&
	       list_is_empty(&w->running) && list_is_empty(&w->finished) &&
	       list_is_empty(&w->reporting);
}

static bool
may_send(const struct webhook *w)
{
	return w->enabled && !w->all->closing && w->all->begun &&
	       clock_mono_us() >= w->hold_until_us;
}

/* ---- Runs --------------------------------------------------------------------------- */

/* With what became of it, and due again after delay_ms. */
static void
run_finish(struct webhook_run *r, int64_t delay_ms)
{
	struct webhook *w = r->webhook;

	r->delay_ms = delay_ms;
	list_remove(&r->link);
	list_append(&w->finished, &r->link);
}

void
webhook_give_back(struct webhook *w)
{
	list_for_each_safe (&w->queued, it) {
		w->n_queued--;
		run_finish(LIST_ENTRY(it, struct webhook_run, link), 0);
	}
}

static void
hook_gone(struct webhook *w)
{
	w->enabled = false;
	w->gone = true;
	log_warnx("webhook", "%s answers 410 Gone: disabled until somebody enables it",
		w->who);
}

/* It failed, again. Paused when that has gone on for long. */
static void
hook_count_failure(struct webhook *w, const struct fetch_answer *a)
{
	const struct webhooks_settings *conf = w->all->conf;
	int64_t now = clock_wall_us();
	enum webhook_verdict verdict = webhook_judge(a->status, a->retry_after_s);

	w->failures++;
	if (!w->failing_since_us)
		w->failing_since_us = now;
	w->gones = verdict == WEBHOOK_GONE ? w->gones + 1 : 0;
	if (w->gones >= GONES_MAX)
		hook_gone(w);
	if (verdict == WEBHOOK_WAIT) {
		int64_t s =
			a->retry_after_s < HOLD_MAX_S ? a->retry_after_s : HOLD_MAX_S;
		w->hold_until_us = clock_mono_us() + s * 1000000;
	}
	if (!w->failing && w->failures >= FAILURES_MIN &&
		now - w->failing_since_us >= conf->failing_after_ms * 1000) {
		w->failing = true;
		log_warnx("webhook",
			"%s has only failed for %lld s: probed from now on", w->who,
			(long long)((now - w->failing_since_us) / 1000000));
		webhook_give_back(w);
	}
	if (w->failing) {
		int64_t probe =
			clock_mono_us() + loop_backoff_ms(w->probes++,
						  conf->retry_first_ms, PROBE_MAX_MS) *
						  1000;
		if (w->hold_until_us < probe)
			w->hold_until_us = probe;
	}
}

static void
hook_count_success(struct webhook *w)
{
	if (w->failing) {
		log_info("webhook", "%s answers again", w->who);
		w->wake = true;
	}
	w->failing = false;
	w->failing_since_us = 0;
	w->failures = w->gones = w->probes = 0;
}

/* When the delivery may be tried again, and whether it still may. */
static int64_t
job_fail(struct webhook_run *r, struct webhook_job *j, const struct fetch_answer *a)
{
	const struct webhooks_settings *conf = r->webhook->all->conf;
	int64_t age_ms = (clock_wall_us() - j->queued_us) / 1000, delay;

	j->outcome = "waiting";
	j->status = a->status;
	if (a->status)
		snprintf(j->error, sizeof(j->error), ERROR_OF_STATUS, a->status);
	else
		str_copy(j->error, sizeof(j->error), a->error);
	if (age_ms >= conf->give_up_ms) {
		j->outcome = "dead";
		r->webhook->all->stats.dead++;
		return 0;
	}
	r->webhook->all->stats.retried++;
	delay = loop_backoff_ms(j->tries, conf->retry_first_ms, conf->retry_max_ms);
	if (webhook_judge(a->status, a->retry_after_s) == WEBHOOK_WAIT)
		delay = (a->retry_after_s < HOLD_MAX_S ? a->retry_after_s
						       : HOLD_MAX_S) *
			1000;
	return delay < conf->give_up_ms - age_ms ? delay : conf->give_up_ms - age_ms;
}

/* The end of a run frees its place. */
static void
run_end(struct webhook_run *r, int64_t delay_ms)
{
	struct webhook *w = r->webhook;

	w->n_running--;
	run_finish(r, delay_ms);
	webhook_go(w);
}

static void
on_answer(void *arg, const struct fetch_answer *a)
{
	struct webhook_run *r = arg;
	struct webhook *w = r->webhook;
	struct webhook_job *j = &r->jobs[r->at];

	r->fetch = NULL;
	if (w->all->closing && !a->status) {
		run_end(r, 0); /* nobody knows what came of it: it goes out again */
		return;
	}
	if (webhook_judge(a->status, a->retry_after_s) != WEBHOOK_DELIVERED) {
		int64_t delay = job_fail(r, j, a);
		hook_count_failure(w, a);
		log_debug("webhook", "%s to %s: %s", j->id, w->who, j->error);
		run_end(r, delay);
		return;
	}
	j->outcome = "delivered";
	j->status = a->status;
	w->all->stats.delivered++;
	hook_count_success(w);
	r->at++;
	if (r->at < r->n_jobs && may_send(w) && clock_mono_us() - r->begun_us < RUN_US)
		run_send(r);
	else
		run_end(r, 0);
}

struct fetch_job *
webhook_post(struct webhooks *ws, const char *url, const char *secret,
	const char *old_secret, const char *type, const char *delivery,
	const char *body, fetch_fn *fn, void *arg)
{
	char signature[WEBHOOK_SIGNATURE_LEN], header[3][WEBHOOK_SIGNATURE_LEN + 32];
	const char *const headers[] = {"Content-Type: application/json", header[0],
		header[1], header[2], NULL};
	size_t len = strlen(body);

	webhook_sign(
		signature, secret, old_secret, clock_wall_us() / 1000000, body, len);
	snprintf(header[0], sizeof(header[0]), "Interactd-Signature: %s", signature);
	snprintf(header[1], sizeof(header[1]), "Interactd-Event: %.100s", type);
	snprintf(header[2], sizeof(header[2]), "Interactd-Delivery: %s", delivery);
	struct fetch_request r = {.url = url,
		.headers = headers,
		.method = "POST",
		.body = body,
		.body_len = len,
		.timeout_ms = (unsigned)ws->conf->timeout_ms,
		.connect_timeout_ms = (unsigned)ws->conf->timeout_ms,
		.max_answer = ANSWER_MAX,
		.ca_file = ws->conf->ca_file,
		.to = webhook_reach(ws),
		.repeatable = true};
	return fetch_start(ws->fetch, &r, fn, arg);
}

static void
run_send(struct webhook_run *r)
{
	struct webhook *w = r->webhook;
	const struct webhook_job *j = &r->jobs[r->at];
	bool old = w->old_secret && w->old_until_us > clock_wall_us();

	r->fetch = webhook_post(w->all, w->url, w->secret, old ? w->old_secret : NULL,
		j->type, j->id, j->body, on_answer, r);
}

/* Its lease would end while it is being sent: somebody else may have it by then. */
static bool
run_is_old(const struct webhook_run *r)
{
	const struct webhooks *ws = r->webhook->all;
	int64_t safe_ms = lease_ms(ws) - ws->conf->timeout_ms - LEASE_MS / 2;

	return clock_mono_us() - r->claimed_us > safe_ms * 1000;
}

static void
runs_begin(struct webhook *w)
{
	unsigned places = w->failing ? 1 : (unsigned)w->all->conf->concurrency;

	while (w->n_running < places && !list_is_empty(&w->queued) && may_send(w)) {
		struct webhook_run *r =
			LIST_ENTRY(w->queued.next, struct webhook_run, link);
		w->n_queued--;
		if (run_is_old(r)) {
			run_finish(r, 0);
			continue;
		}
		list_remove(&r->link);
		list_append(&w->running, &r->link);
		w->n_running++;
		r->begun_us = clock_mono_us();
		run_send(r);
	}
}

/* ---- Claiming ----------------------------------------------------------------------- */

static struct webhook_run *
run_new(struct webhook *w, const char *key)
{
	struct webhook_run *r = xcalloc(1, sizeof(*r));

	r->webhook = w;
	r->key = xstrdup(key);
	r->jobs = xcalloc(EACH_MAX, sizeof(*r->jobs));
	r->claimed_us = clock_mono_us();
	list_append(&w->queued, &r->link);
	w->n_queued++;
	return r;
}

/* Rows come by key, then in order. */
static void
claim_take(struct webhook *w, const struct pg_answer *a)
{
	struct webhook_run *r = NULL;

	for (size_t row = 0; row < pg_rows(a, 0); row++) {
		if (!r || !str_eq(r->key, pg_text(a, 0, row, 0)))
			r = run_new(w, pg_text(a, 0, row, 0));
		if (r->n_jobs == EACH_MAX)
			continue;
		r->jobs[r->n_jobs++] = (struct webhook_job){
			.seq = pg_int(a, 0, row, 1),
			.id = xstrdup(pg_text(a, 0, row, 2)),
			.type = xstrdup(pg_text(a, 0, row, 3)),
			.body = xstrdup(pg_text(a, 0, row, 4)),
			.tries = (unsigned)pg_int(a, 0, row, 5),
			.queued_us = pg_int(a, 0, row, 6),
		};
	}
}

static void
on_claimed(void *arg, const struct pg_answer *a)
{
	struct webhook *w = arg;

	w->all->asking--;
	w->claiming = false;
	if (a->status == PG_OK)
		claim_take(w, a);
	w->due = w->again || (a->status == PG_OK && pg_rows(a, 0) > 0);
	webhook_go(w);
}

static void
claim_start(struct webhook *w)
{
	struct pg_unit *u = pg_unit_new(w->all->pg);

	w->claiming = true;
	w->again = false;
	w->all->asking++;
	pg_add(u, "webhook_claim");
	pg_param_int(u, w->tenant->id);
	pg_param_uuid(u, &w->id);
	pg_param_int(u, w->failing ? 1 : KEYS_PER_PLACE * w->all->conf->concurrency);
	pg_param_int(u, w->failing ? 1 : EACH_MAX);
	pg_param_int(u, lease_ms(w->all));
	pg_submit(&u, LEASE_MS / 4, on_claimed, w);
}

void
webhook_go(struct webhook *w)
{
	unsigned places = (unsigned)w->all->conf->concurrency;

	if (!w->enabled || w->all->closing || clock_mono_us() < w->hold_until_us)
		webhook_give_back(w);
	runs_begin(w);
	if (may_send(w) && w->due && !w->claiming && pg_is_up(w->all->pg) &&
		w->n_queued < (w->failing ? 1 : places) &&
		(!w->failing || w->n_running == 0))
		claim_start(w);
	report_start(w);
}

/* ---- Reporting ---------------------------------------------------------------------- */

/* When the first of the keys given back is due again, in ms. */
static int64_t
soonest(const struct list *runs)
{
	int64_t ms = INT64_MAX;

	list_for_each (runs, it) {
		const struct webhook_run *r = LIST_ENTRY(it, struct webhook_run, link);
		if (r->delay_ms < ms)
			ms = r->delay_ms;
	}
	return ms;
}

static void
on_reported(void *arg, const struct pg_answer *a)
{
	struct webhook *w = arg;
	struct webhooks *ws = w->all;
	unsigned long quiet;
	int64_t delay_ms = soonest(&w->reporting);

	ws->asking--;
	list_for_each_safe (&w->reporting, it) {
		struct webhook_run *r = LIST_ENTRY(it, struct webhook_run, link);
		if (a->status == PG_OK) {
			webhook_run_free(r);
			continue;
		}
		list_remove(it);
		list_append(&w->finished, it);
	}
	if (a->status == PG_OK) {
		webhooks_poll_within(ws, delay_ms);
		w->due = w->again = true; /* of these keys more may wait */
		webhook_go(w);
	} else if (!ws->closing && log_once_due(&ws->report_log, 60, &quiet)) {
		log_warnx("webhook", "outcomes could not be written yet: %s",
			a->message); /* the poll tries again */
	}
}

static void
param_keys(struct pg_unit *u, const struct list *runs)
{
	pg_array_begin(u);
	list_for_each (runs, it)
		pg_array_add(u, LIST_ENTRY(it, struct webhook_run, link)->key);
	pg_array_end(u);
	pg_array_begin(u);
	list_for_each (runs, it)
		pg_array_add_int(u, LIST_ENTRY(it, struct webhook_run, link)->delay_ms);
	pg_array_end(u);
}

enum job_column { JOB_SEQ, JOB_STATE, JOB_STATUS, JOB_ERROR, JOB_COLUMNS };

static void
param_job(struct pg_unit *u, const struct webhook_job *j, enum job_column column)
{
	switch (column) {
	case JOB_SEQ: pg_array_add_int(u, j->seq); break;
	case JOB_STATE: pg_array_add(u, j->outcome); break;
	case JOB_STATUS:
		if (j->status)
			pg_array_add_int(u, j->status);
		else
			pg_array_add(u, NULL);
		break;
	case JOB_ERROR: pg_array_add(u, j->error[0] ? j->error : NULL); break;
	case JOB_COLUMNS: break;
	}
}

static void
param_jobs(struct pg_unit *u, const struct list *runs)
{
	for (int column = 0; column < JOB_COLUMNS; column++) {
		pg_array_begin(u);
		list_for_each (runs, it) {
			const struct webhook_run *r =
				LIST_ENTRY(it, struct webhook_run, link);
			for (size_t i = 0; i < r->n_jobs; i++)
				if (r->jobs[i].outcome)
					param_job(u, &r->jobs[i],
						(enum job_column)column);
		}
		pg_array_end(u);
	}
}

static void
report_start(struct webhook *w)
{
	struct pg_unit *u;

	if (list_is_empty(&w->finished) || !list_is_empty(&w->reporting) ||
		!pg_is_up(w->all->pg))
		return;
	list_for_each_safe (&w->finished, it) {
		list_remove(it);
		list_append(&w->reporting, it);
	}
	u = pg_unit_new(w->all->pg);
	w->all->asking++;
	pg_add(u, "webhook_report");
	pg_param_int(u, w->tenant->id);
	pg_param_uuid(u, &w->id);
	param_keys(u, &w->reporting);
	param_jobs(u, &w->reporting);
	pg_param_text(u, w->gone ? "gone" : w->failing ? "failing" : "ok");
	if (w->failing_since_us)
		pg_param_int(u, w->failing_since_us);
	else
		pg_param_null(u);
	pg_param_bool(u, w->wake);
	w->wake = false;
	pg_submit(&u, REPORT_MS, on_reported, w);
}
