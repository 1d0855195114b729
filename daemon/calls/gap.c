/* gap.c - gaps from comparisons, and their way into the database.
 *
 * `draft` collects the calls that the next comparison touches; gaps_compared makes a job
 * of it. Jobs are written one after the other, oldest first, and again after a while when
 * the database was away; a gap's row is the same however often it comes. None begins
 * before we know until when the channel was heard by the daemon before us.
 *
 * Questions under way keep the struct alive: the last answer frees it when it is closed. */
#include <calls/gap.h>

#include <clock.h>
#include <io/loop.h>
#include <json.h>
#include <list.h>
#include <log.h>
#include <map.h>
#include <mem.h>
#include <people/store_ask.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define JOBS_MAX     256
#define HEARD_US     30000000
#define CLOSE_US     500000
#define RETRY_MS     200
#define RETRY_MAX_MS 10000

struct touched {
	struct uuid id;
	unsigned missed; /* bits of enum tracker_missed */
};

struct draft {
	struct touched **calls;
	size_t n, cap;
	struct map by_id;
};

/* One statement to be done: a gap's row, or what the history gave for it. */
struct job {
	struct list link;
	struct gap_period period; /* began_us 0 = when the daemon before us ended */
	bool is_gap;
	enum gap_cause cause;
	struct tracker_compared compared;
	unsigned calls; /* whose beginning or end was missed */
	struct draft draft;
	struct event_stamp stamp; /* of its event, given with the first attempt */
	/* of the history */
	char *error;
	unsigned completed;
	struct uuid *written;
	size_t n_written;
};

struct gaps {
	struct gaps_opts opts;
	char *channel;
	char who[96];
	struct loop_timer *retry;
	struct draft draft;
	struct list jobs;
	size_t n_jobs;
	bool busy;     /* the first job is with the database */
	bool asking;   /* until when it was heard before us */
	bool known;    /* the answer has come: heard_us is true */
	bool compared; /* once since the start */
	bool closed;
	unsigned under_way, attempt;
	int64_t heard_us, written_us; /* as known here, as the database has it */
	struct gaps_stats stats;
};

static void run(struct gaps *);

const char *
gap_cause_text(enum gap_cause cause)
{
	static const char *const texts[] = {
#define C(name, text) text,
		GAP_CAUSES(C)
#undef C
	};
	return texts[cause];
}

/* ---- Drafts -------------------------------------------------------------------------- */

static void
draft_init(struct draft *d)
{
	memset(d, 0, sizeof(*d));
	map_init(&d->by_id);
}

static void
draft_fini(struct draft *d)
{
	for (size_t i = 0; i < d->n; i++)
		mem_free(d->calls[i]);
	xfree(&d->calls);
	map_fini(&d->by_id);
}

static struct touched *
draft_call(struct draft *d, const struct uuid *id)
{
	char text[UUID_TEXT_LEN];
	struct touched *t = map_find(&d->by_id, uuid_format(text, id));

	if (t)
		return t;
	if (d->n == d->cap) {
		d->cap = d->cap ? 2 * d->cap : 16;
		d->calls = xrealloc(d->calls, d->cap * sizeof(struct touched *));
	}
	t = xcalloc(1, sizeof(*t));
	t->id = *id;
	d->calls[d->n++] = t;
	map_put(&d->by_id, text, t);
	return t;
}

static unsigned
draft_missed_calls(const struct draft *d)
{
	unsigned n = 0, either = 1u << TRACKER_MISSED_BEGIN | 1u << TRACKER_MISSED_END;

	for (size_t i = 0; i < d->n; i++)
		n += (d->calls[i]->missed & either) != 0;
	return n;
}

void
gaps_touch(struct gaps *gs, const struct uuid *call, enum tracker_missed what)
{
	struct touched *t = draft_call(&gs->draft, call);

	if (what < TRACKER_MISSED_KINDS)
		t->missed |= 1u << what;
}

/* ---- Jobs ---------------------------------------------------------------------------- */

static void
job_free(struct job *job)
{
	list_remove(&job->link);
	draft_fini(&job->draft);
	xfree(&job->error);
	xfree(&job->written);
	mem_free(job);
}

static struct job *
job_new(struct gaps *gs)
{
	struct job *job = xcalloc(1, sizeof(*job));

	if (gs->n_jobs == JOBS_MAX) { /* the second: the first may be under way */
		struct job *old = LIST_ENTRY(gs->jobs.next->next, struct job, link);
		log_warnx(gs->who,
			"too many gaps wait for the database: one is not recorded");
		job_free(old);
		gs->n_jobs--;
	}
	draft_init(&job->draft);
	list_append(&gs->jobs, &job->link);
	gs->n_jobs++;
	return job;
}

static void
gaps_drop(struct gaps *gs)
{
	draft_fini(&gs->draft);
	list_for_each_safe (&gs->jobs, it)
		job_free(LIST_ENTRY(it, struct job, link));
	xfree(&gs->channel);
	mem_free(gs);
}

/* True if the answer came too late: nobody waits any more. */
static bool
answered(struct gaps *gs)
{
	gs->under_way--;
	if (!gs->closed)
		return false;
	if (!gs->under_way)
		gaps_drop(gs);
	return true;
}

static void
submit(struct gaps *gs, struct pg_unit *u, pg_answer_fn *fn)
{
	gs->under_way++;
	pg_submit(&u, STORE_DEADLINE_MS, fn, gs);
}

void
gap_put_missed(struct json_out *j, const char *key, const struct tracker_compared *cmp)
{
	json_put_object(j, key);
	for (unsigned i = 0; i < TRACKER_MISSED_KINDS; i++)
		json_put_int(j, tracker_missed_text(i), cmp->missed[i]);
	json_put_object_end(j);
}

static void
param_missed(struct pg_unit *u, const struct tracker_compared *cmp)
{
	struct buf b = BUF_INIT;
	struct json_out j;

	json_out_init(&j, &b);
	gap_put_missed(&j, NULL, cmp);
	pg_param_text(u, buf_str(&b));
	buf_fini(&b);
}

static void
param_calls(struct pg_unit *u, const struct draft *d)
{
	struct buf words = BUF_INIT;

	pg_array_begin(u);
	for (size_t i = 0; i < d->n; i++)
		pg_array_add_uuid(u, &d->calls[i]->id);
	pg_array_end(u);
	pg_array_begin(u);
	for (size_t i = 0; i < d->n; i++) {
		buf_clear(&words);
		for (unsigned k = 0; k < TRACKER_MISSED_KINDS; k++)
			if (d->calls[i]->missed & 1u << k)
				buf_printf(&words, "%s%s", words.len ? " " : "",
					tracker_missed_text(k));
		pg_array_add(u, buf_str(&words));
	}
	pg_array_end(u);
	buf_fini(&words);
}

static void
add_gap(const struct gaps *gs, struct pg_unit *u, const struct job *job)
{
	pg_add(u, "gap_save");
	pg_param_int(u, gs->opts.tenant->id);
	pg_param_text(u, gs->channel);
	pg_param_uuid(u, &job->period.id);
	pg_param_int(u, job->period.began_us);
	pg_param_int(u, job->period.ended_us);
	pg_param_text(u, gap_cause_text(job->cause));
	param_missed(u, &job->compared);
	pg_param_int(u, job->compared.events);
	pg_param_int(u, job->calls);
	pg_param_text(u, gs->opts.history ? "waiting" : NULL);
	param_calls(u, &job->draft);
	event_param(u, &job->stamp);
}

static void
add_filled(const struct gaps *gs, struct pg_unit *u, const struct job *job)
{
	pg_add(u, "gap_filled");
	pg_param_int(u, gs->opts.tenant->id);
	pg_param_text(u, gs->channel);
	pg_param_uuid(u, &job->period.id);
	pg_param_text(u, job->error);
	pg_param_int(u, (int64_t)job->n_written);
	pg_param_int(u, job->completed);
	pg_array_begin(u);
	for (size_t i = 0; i < job->n_written; i++)
		pg_array_add_uuid(u, &job->written[i]);
	pg_array_end(u);
	event_param(u, &job->stamp);
}

/* What was missed is told; that we were away and nothing happened is not (the statements
 * have the same rule for webhooks). */
static void
job_told(struct gaps *gs, const struct job *job, const char *json)
{
	const char *type = job->is_gap ? "channel.gap_found" : "channel.gap_filled";

	if (json && (job->is_gap ? job->compared.events > 0
				 : job->n_written || job->completed))
		events_told(gs->opts.events, gs->opts.tenant, &job->stamp, 0, type,
			json, NULL);
	if (job->is_gap && gs->opts.history && gs->opts.recorded)
		gs->opts.recorded(gs->opts.arg, &job->period);
}

static void
on_job_done(void *arg, const struct pg_answer *a)
{
	struct gaps *gs = arg;
	struct job *job = LIST_ENTRY(gs->jobs.next, struct job, link);

	if (answered(gs))
		return;
	gs->busy = false;
	if (a->status != PG_OK && a->status != PG_ERROR) {
		loop_timer_start(gs->retry,
			loop_backoff_ms(gs->attempt++, RETRY_MS, RETRY_MAX_MS));
		return;
	}
	gs->attempt = 0;
	if (a->status == PG_OK)
		job_told(gs, job, pg_text(a, 0, 0, 0));
	else
		log_errorx(gs->who, "a gap could not be recorded: %s (%s)", a->message,
			a->sqlstate);
	gs->n_jobs--;
	job_free(job);
	run(gs);
}

/* Where the daemon before us ended is where the gap began; a first start has none. */
static bool
job_is_due(struct gaps *gs, struct job *job)
{
	if (job->is_gap && !job->period.began_us)
		job->period.began_us = gs->heard_us;
	if (!job->is_gap || job->period.began_us)
		return true;
	log_debug(gs->who, "the first start: nothing was missed that we know of");
	gs->n_jobs--;
	job_free(job);
	return false;
}

/* ---- Until when it was heard --------------------------------------------------------- */

static void
on_waiting(void *arg, const struct pg_answer *a)
{
	struct gaps *gs = arg;

	if (answered(gs) || a->status != PG_OK)
		return;
	for (size_t row = 0; row < pg_rows(a, 0); row++) {
		struct gap_period p = {.id = pg_uuid(a, 0, row, 0),
			.began_us = pg_int(a, 0, row, 1),
			.ended_us = pg_int(a, 0, row, 2)};
		gs->opts.recorded(gs->opts.arg, &p);
	}
}

static void
ask_waiting(struct gaps *gs)
{
	struct pg_unit *u;

	if (!gs->opts.history || !gs->opts.recorded)
		return;
	u = pg_unit_new(gs->opts.store->reads);
	pg_add(u, "gap_waiting");
	pg_param_int(u, gs->opts.tenant->id);
	pg_param_text(u, gs->channel);
	submit(gs, u, on_waiting);
}

static void
on_heard(void *arg, const struct pg_answer *a)
{
	struct gaps *gs = arg;
	int64_t at_us = 0;

	if (answered(gs))
		return;
	gs->asking = false;
	if (a->status != PG_OK) {
		loop_timer_start(gs->retry,
			loop_backoff_ms(gs->attempt++, RETRY_MS, RETRY_MAX_MS));
		return;
	}
	if (pg_rows(a, 0))
		at_us = pg_int(a, 0, 0, 0);
	gs->attempt = 0;
	gs->known = true;
	gs->written_us = at_us;
	if (at_us > gs->heard_us)
		gs->heard_us = at_us;
	ask_waiting(gs);
	run(gs);
}

static void
ask_heard(struct gaps *gs)
{
	struct pg_unit *u = pg_unit_new(gs->opts.store->reads);

	gs->asking = true;
	pg_add(u, "channel_heard_get");
	pg_param_int(u, gs->opts.tenant->id);
	pg_param_text(u, gs->channel);
	submit(gs, u, on_heard);
}

static void
on_heard_written(void *arg, const struct pg_answer *a)
{
	(void)a; /* the next one makes up for it */
	answered(arg);
}

void
gaps_heard_before(struct gaps *gs, int64_t at_us)
{
	if (at_us > gs->heard_us)
		gs->heard_us = at_us;
}

/* Before the first comparison it is the end of the daemon before us that counts. */
void
gaps_heard(struct gaps *gs, int64_t at_us, bool last)
{
	struct pg_unit *u;

	if (!gs->compared)
		return;
	gs->heard_us = at_us;
	if (!gs->known || (!last && at_us - gs->written_us < HEARD_US))
		return;
	gs->written_us = at_us;
	u = pg_unit_new(gs->opts.store->writes);
	pg_add(u, "channel_heard_set");
	pg_param_int(u, gs->opts.tenant->id);
	pg_param_text(u, gs->channel);
	pg_param_int(u, at_us);
	submit(gs, u, on_heard_written);
}

/* ---- Running ------------------------------------------------------------------------- */

static void
run(struct gaps *gs)
{
	struct pg_unit *u;
	struct job *job;

	if (gs->busy || gs->asking || loop_timer_is_running(gs->retry))
		return;
	if (gs->opts.store->held) { /* the daemon is not live yet */
		loop_timer_start(gs->retry, RETRY_MS);
		return;
	}
	if (!gs->known) {
		ask_heard(gs);
		return;
	}
	do {
		if (list_is_empty(&gs->jobs))
			return;
		job = LIST_ENTRY(gs->jobs.next, struct job, link);
	} while (!job_is_due(gs, job));
	if (!job->stamp.at_us)
		job->stamp = events_stamp(gs->opts.events, gs->opts.tenant);
	u = pg_unit_new(gs->opts.store->writes);
	if (job->is_gap)
		add_gap(gs, u, job);
	else
		add_filled(gs, u, job);
	gs->busy = true;
	submit(gs, u, on_job_done);
}

static void
on_retry(void *arg)
{
	run(arg);
}

static enum gap_cause
cause_of(const struct gaps *gs, const struct tracker_compared *cmp)
{
	if (!gs->compared)
		return GAP_DAEMON_DOWN;
	if (cmp->stopped)
		return GAP_RESTARTED;
	return cmp->live ? GAP_EVENTS_LOST : GAP_DISCONNECTED;
}

static struct uuid
gap_id(const struct gaps *gs, const struct tracker_compared *cmp)
{
	char *name = xasprintf("gap/%s/%s/%lld", gs->opts.tenant->name, gs->channel,
		(long long)cmp->at_us);
	struct uuid id = uuid_derive(cmp->at_us, name);

	xfree(&name);
	return id;
}

static void
tell_log(struct gaps *gs, const struct job *job)
{
	const struct tracker_compared *c = &job->compared;

	if (!c->events)
		return;
	log_warnx(gs->who,
		"%s: a comparison shows that at least %u events were missed; %u calls "
		"began or ended unheard",
		gap_cause_text(job->cause), c->events, job->calls);
}

bool
gaps_compared(struct gaps *gs, const struct tracker_compared *cmp, struct uuid *gap_r)
{
	enum gap_cause cause = cause_of(gs, cmp);
	struct job *job;

	gs->stats.compared_us = cmp->at_us;
	if (cause == GAP_EVENTS_LOST && !cmp->events)
		return false;
	job = job_new(gs);
	job->is_gap = true;
	job->cause = cause;
	job->compared = *cmp;
	job->period.id = gap_id(gs, cmp);
	job->period.ended_us = cmp->at_us;
	job->period.began_us = cause == GAP_DAEMON_DOWN ? 0 : cmp->since_us;
	job->calls = draft_missed_calls(&gs->draft);
	draft_fini(&job->draft);
	job->draft = gs->draft;
	draft_init(&gs->draft);
	gs->compared = true;
	gs->stats.by_cause[cause]++;
	gs->stats.missed_calls += job->calls;
	gs->stats.missed_events += cmp->events;
	*gap_r = job->period.id;
	tell_log(gs, job);
	run(gs);
	return true;
}

void
gaps_filled(struct gaps *gs, const struct uuid *gap, const char *error,
	unsigned completed, const struct uuid *calls, size_t n)
{
	struct job *job = job_new(gs);

	job->period.id = *gap;
	job->error = xstrdup(error);
	job->completed = completed;
	job->n_written = n;
	job->written = xcalloc(n + 1, sizeof(*calls));
	if (n)
		memcpy(job->written, calls, n * sizeof(*calls));
	gs->stats.written += n;
	gs->stats.completed += completed;
	gs->stats.missed_calls += n;
	run(gs);
}

struct gaps *
gaps_new(const struct gaps_opts *opts)
{
	struct gaps *gs = xcalloc(1, sizeof(*gs));

	gs->opts = *opts;
	gs->channel = xstrdup(opts->channel);
	snprintf(gs->who, sizeof(gs->who), "calls %s", opts->channel);
	list_init(&gs->jobs);
	draft_init(&gs->draft);
	gs->retry = loop_timer_new(opts->store->loop, on_retry, gs);
	run(gs);
	return gs;
}

void
gaps_free(struct gaps **gsp)
{
	struct gaps *gs = *gsp;
	int64_t until = clock_mono_us() + CLOSE_US;

	if (!gs)
		return;
	/* The next daemon wants to know until when it was heard. */
	while (gs->under_way && clock_mono_us() < until)
		loop_run_once(gs->opts.store->loop, 20);
	*gsp = NULL;
	gs->closed = true;
	loop_timer_free(&gs->retry);
	if (gs->n_jobs)
		log_warnx(gs->who, "closed with %zu gaps not recorded", gs->n_jobs);
	if (!gs->under_way)
		gaps_drop(gs);
}

void
gaps_get_stats(const struct gaps *gs, struct gaps_stats *st)
{
	*st = gs->stats;
	st->waiting = gs->n_jobs;
}

/* ---- The list ------------------------------------------------------------------------ */

struct page {
	struct store_ask *ask;
	unsigned limit;
};

static void
on_page(void *arg, const struct pg_answer *a)
{
	struct page *p = arg;

	if (a->status != PG_OK)
		store_ask_failed(p->ask, a);
	else
		store_ask_done_page(p->ask, a, 0, p->limit);
	xfree(&p);
}

void
gap_list(struct store *store, const struct tenant *tenant, const char *channel,
	unsigned limit, const char *cursor, store_answer_fn *cb, void *arg)
{
	struct uuid before = {{0}};
	struct page *p;
	struct pg_unit *u;

	if (cursor && !uuid_parse(cursor, &before)) {
		store_refuse(store, cb, arg, STORE_INVALID, "cursor: not one of ours");
		return;
	}
	p = xcalloc(1, sizeof(*p));
	p->ask = store_ask_new(store, cb, arg);
	p->limit = limit;
	u = pg_unit_new(store->reads);
	pg_add(u, "gap_list");
	pg_param_int(u, tenant->id);
	pg_param_text(u, channel);
	pg_param_uuid(u, &before);
	pg_param_int(u, limit + 1);
	pg_submit(&u, STORE_DEADLINE_MS, on_page, p);
}
