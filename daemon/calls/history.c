/* history.c - one gap after the other: read, play, ask, play again, write.
 *
 *	WAITING -> READING -> FINDING -> ASKING -> WRITING -> next
 *
 * WAITING lets the phone system write its last records. READING is a thread's. FINDING
 * plays the events to a tracker and notes the calls that overlap the gap; ASKING has the
 * database say which of them it wants; WRITING plays them again, and saves those. Playing
 * goes in slices, so that the loop never stands still. The calls of a history are many
 * more than were ever up at once: its tracker has room for them. */
#include <calls/history.h>

#include <calls/history_source.h>
#include <io/work.h>
#include <list.h>
#include <log.h>
#include <map.h>
#include <mem.h>
#include <people/store_ask.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define PERIODS_MAX 64
#define SETTLE_MS   2500
#define AGAIN_MS    5000 /* after a failure; three times */
#define TRIES_MAX   3
#define SLICE	    500 /* events */
#define MARGIN_US   5000000
#define CALLS_MAX   100000
#define CHANNELS    1000000

enum state { IDLE, WAITING, READING, FINDING, ASKING, WRITING };

struct period {
	struct list link;
	struct gap_period gap;
};

struct wanted {
	bool known; /* there already, but not to its end */
	bool done;
};

struct history {
	struct history_opts opts;
	char *channel;
	char who[96];
	enum state state;
	struct list periods;
	size_t n_periods;
	struct loop_timer *timer;
	unsigned tries;
	struct work *work;
	struct history_job *job;
	struct tracker *tracker; /* FINDING and WRITING */
	size_t offset;		 /* of job's events */
	int64_t last_us;
	struct uuid *found; /* calls that overlap the gap */
	size_t n_found, cap_found;
	struct map wanted; /* id -> struct wanted */
	struct uuid *written;
	size_t n_written;
	unsigned completed, saving;
	bool full;   /* the writer had no room: this slice's calls are played again */
	bool asking; /* the database's answer frees it if it is closed */
	bool closed;
};

static void step(struct history *);

/* ---- Configuration ------------------------------------------------------------------- */

const struct channel_history *
history_format(
	const struct phone_conf *conf, const struct channel_history *const *formats)
{
	if (str_empty(conf->history) && str_empty(conf->history_conninfo))
		return NULL;
	for (; formats && *formats; formats++)
		if (str_eq((*formats)->format, conf->history_format))
			return *formats;
	return NULL;
}

static int
check_columns(const struct phone_conf *conf, const struct channel_history *format,
	struct err *err)
{
	const char *const *names =
		(const char *const *)(const void *)conf->history_columns.items;
	int order[HISTORY_COLUMNS_MAX];

	if (!conf->history_columns.n ||
		history_order(format, names, conf->history_columns.n, order) >= 3)
		return 0;
	return err_set(err, "history_columns: these are no columns of %s records",
		format->format);
}

int
history_check(const struct phone_conf *conf,
	const struct channel_history *const *formats, struct err *err)
{
	bool file = !str_empty(conf->history), db = !str_empty(conf->history_conninfo);
	const struct channel_history *format = history_format(conf, formats);

	if (db != !str_empty(conf->history_table))
		return err_set(err,
			"history_conninfo and history_table: give both or neither");
	if (file && db)
		return err_set(err, "history and history_conninfo: give only one");
	if (!file && !db)
		return 0;
	if (!formats || !*formats)
		return err_set(err, "history: this driver knows no such records");
	if (!format)
		return err_set(err, "history_format = %s: it must be cel or cdr",
			conf->history_format);
	if (db && pg_check_conninfo(conf->history_conninfo, err) < 0)
		return err_set(err, "history_conninfo: not a connection string");
	return check_columns(conf, format, err);
}

/* ---- What one gap leaves ------------------------------------------------------------- */

static void
free_wanted(const char *key, void *value, void *arg)
{
	(void)key;
	(void)arg;
	mem_free(value);
}

static void
forget(struct history *h)
{
	if (h->tracker)
		tracker_free(&h->tracker);
	if (h->job)
		history_job_free(h->job);
	h->job = NULL;
	map_each(&h->wanted, free_wanted, NULL);
	map_fini(&h->wanted);
	map_init(&h->wanted);
	xfree(&h->found);
	xfree(&h->written);
	h->n_found = h->cap_found = h->n_written = h->offset = 0;
	h->completed = 0;
}

static struct gap_period *
current(struct history *h)
{
	return &LIST_ENTRY(h->periods.next, struct period, link)->gap;
}

static void
wait(struct history *h, int64_t ms)
{
	h->state = WAITING;
	loop_timer_start(h->timer, ms);
}

static void
period_end(struct history *h)
{
	struct period *p = LIST_ENTRY(h->periods.next, struct period, link);

	forget(h);
	list_remove(&p->link);
	mem_free(p);
	h->n_periods--;
	h->tries = 0;
	h->state = IDLE;
	if (!list_is_empty(&h->periods))
		wait(h, SETTLE_MS);
}

static void
fail(struct history *h, const char *why)
{
	log_warnx(h->who, "the history of a gap cannot be read: %s", why);
	if (++h->tries < TRIES_MAX) {
		forget(h);
		wait(h, AGAIN_MS * h->tries);
		return;
	}
	h->opts.filled(h->opts.arg, &current(h)->id, why, 0, NULL, 0);
	period_end(h);
}

static void
finish(struct history *h)
{
	log_info(h->who,
		"the history of a gap: %zu records, %zu calls that only it knew, %u "
		"completed%s",
		h->job->records, h->n_written, h->completed,
		h->job->refused ? "; some records could not be read" : "");
	h->opts.filled(h->opts.arg, &current(h)->id, NULL, h->completed, h->written,
		h->n_written);
	period_end(h);
}

/* ---- Reading ------------------------------------------------------------------------- */

static void
on_read(void *arg, void *job)
{
	struct history *h = arg;
	struct history_job *done = job, *kept;

	h->work = NULL;
	if (done->err.text[0]) {
		fail(h, done->err.text);
		return;
	}
	/* The work frees its job when this returns: what we want of it moves. */
	kept = xcalloc(1, sizeof(*kept));
	kept->events = done->events;
	kept->records = done->records;
	kept->refused = done->refused;
	done->events = (struct buf)BUF_INIT;
	h->job = kept;
	h->state = FINDING;
	step(h);
}

static void
begin_reading(struct history *h)
{
	const struct phone_conf *conf = h->opts.conf;
	struct history_job *job = xcalloc(1, sizeof(*job));
	size_t n = conf->history_columns.n;

	job->format = h->opts.format;
	job->path = xstrdup(conf->history);
	job->conninfo = xstrdup(conf->history_conninfo);
	job->table = xstrdup(conf->history_table);
	job->column_names = xcalloc(n + 1, sizeof(*job->column_names));
	for (size_t i = 0; i < n; i++)
		job->column_names[i] = xstrdup(conf->history_columns.items[i]);
	job->n_column_names = n;
	job->from_us = current(h)->began_us - MARGIN_US;
	job->until_us = current(h)->ended_us + MARGIN_US;
	err_set(&job->err, "no thread could be had");
	h->state = READING;
	h->work = work_start(
		h->opts.loop, history_job_run, job, history_job_free, on_read, h);
}

/* ---- Playing ------------------------------------------------------------------------- */

/* We have lost sight of such a call in the records, too. */
static bool
is_whole(const struct call *c)
{
	list_for_each (&c->legs, it)
		if (LIST_ENTRY(it, struct call_leg, link)->result ==
			CALL_REASON_INTERRUPTED)
			return false;
	return c->disposition != CALL_DISP_INTERRUPTED;
}

static void
on_found(struct history *h, const struct call *c)
{
	const struct gap_period *gap = current(h);

	if (c->ended_us < gap->began_us - MARGIN_US ||
		c->at_us > gap->ended_us + MARGIN_US || h->n_found == CALLS_MAX)
		return;
	if (h->n_found == h->cap_found) {
		h->cap_found = h->cap_found ? 2 * h->cap_found : 64;
		h->found = xrealloc(h->found, h->cap_found * sizeof(*h->found));
	}
	h->found[h->n_found++] = c->id;
}

static void
on_saved(void *arg, bool ok)
{
	struct history *h = arg;

	(void)ok;
	h->saving--;
	if (h->closed && !h->saving && !h->asking)
		mem_free(h);
	else if (!h->closed && h->state == WRITING && !h->saving && !h->tracker &&
		 !loop_timer_is_running(h->timer))
		finish(h);
}

static void
on_wanted(struct history *h, struct call *c)
{
	char text[UUID_TEXT_LEN];
	struct wanted *w = map_find(&h->wanted, uuid_format(text, &c->id));

	if (!w || w->done || h->opts.is_up(h->opts.arg, &c->id))
		return;
	if (h->full || !h->opts.save(h->opts.arg, c, on_saved, h)) {
		h->full = true;
		return;
	}
	w->done = true;
	h->saving++;
	if (w->known)
		h->completed++;
	else
		h->written[h->n_written++] = c->id;
}

static void
call_ended(void *arg, struct call *c)
{
	struct history *h = arg;

	if (!is_whole(c))
		return;
	if (h->state == FINDING)
		on_found(h, c);
	else
		on_wanted(h, c);
}

static const struct tracker_observer observer = {.call_ended = call_ended};

static void
play_begin(struct history *h)
{
	struct tracker_opts opts = {
		.tenant = h->opts.tenant->name,
		.channel = h->channel,
		.conf = h->opts.conf,
		.directory = h->opts.directory,
		.observer = &observer,
		.observer_arg = h,
		.max_channels = CHANNELS,
	};

	h->tracker = tracker_new(&opts);
	h->offset = 0;
	h->last_us = 0;
}

/* True when all has been played. */
static bool
play_slice(struct history *h)
{
	struct call_var vars[CALL_VARS_MAX];
	struct call_event ev;

	for (unsigned n = 0; n < SLICE; n++) {
		if (!history_job_next(h->job, &h->offset, &ev, vars)) {
			tracker_tick(h->tracker, h->last_us + 10000000);
			return true;
		}
		h->last_us = ev.at_us;
		tracker_apply(h->tracker, &ev, 0);
	}
	return false;
}

/* ---- Asking -------------------------------------------------------------------------- */

static void
on_answer(void *arg, const struct pg_answer *a)
{
	struct history *h = arg;
	char text[UUID_TEXT_LEN];

	h->asking = false;
	if (h->closed) {
		if (!h->saving)
			mem_free(h);
		return;
	}
	if (a->status != PG_OK) { /* the database is away: not the history's failure */
		forget(h);
		wait(h, AGAIN_MS);
		return;
	}
	for (size_t row = 0; row < pg_rows(a, 0); row++) {
		struct uuid id = pg_uuid(a, 0, row, 0);
		struct wanted *w = xcalloc(1, sizeof(*w));
		w->known = pg_bool(a, 0, row, 1);
		mem_free(map_put(&h->wanted, uuid_format(text, &id), w));
	}
	h->written = xcalloc(h->n_found + 1, sizeof(*h->written));
	h->state = WRITING;
	step(h);
}

static void
ask(struct history *h)
{
	struct pg_unit *u = pg_unit_new(h->opts.store->reads);

	pg_add(u, "history_wanted");
	pg_param_int(u, h->opts.tenant->id);
	pg_array_begin(u);
	for (size_t i = 0; i < h->n_found; i++)
		pg_array_add_uuid(u, &h->found[i]);
	pg_array_end(u);
	h->state = ASKING;
	h->asking = true;
	pg_submit(&u, 4 * STORE_DEADLINE_MS, on_answer, h);
}

/* ---- Steps --------------------------------------------------------------------------- */

static void
played(struct history *h)
{
	tracker_free(&h->tracker);
	if (h->state == FINDING) {
		ask(h);
	} else if (h->full) { /* those that found no room, once there is some */
		h->full = false;
		loop_timer_start(h->timer, AGAIN_MS);
	} else if (!h->saving) {
		finish(h);
	}
}

static void
step(struct history *h)
{
	if (h->state == WAITING) {
		begin_reading(h);
		return;
	}
	if (!h->tracker)
		play_begin(h);
	if (play_slice(h))
		played(h);
	else
		loop_timer_start(h->timer, 0);
}

static void
on_timer(void *arg)
{
	step(arg);
}

/* ---- Life ---------------------------------------------------------------------------- */

struct history *
history_new(const struct history_opts *opts)
{
	struct history *h = xcalloc(1, sizeof(*h));

	h->opts = *opts;
	h->channel = xstrdup(opts->channel);
	snprintf(h->who, sizeof(h->who), "calls %s", opts->channel);
	list_init(&h->periods);
	map_init(&h->wanted);
	h->timer = loop_timer_new(opts->loop, on_timer, h);
	return h;
}

void
history_free(struct history **hp)
{
	struct history *h = *hp;

	*hp = NULL;
	if (!h)
		return;
	work_cancel(&h->work);
	loop_timer_free(&h->timer);
	forget(h);
	map_fini(&h->wanted);
	list_for_each_safe (&h->periods, it)
		mem_free(LIST_ENTRY(it, struct period, link));
	xfree(&h->channel);
	h->closed = true;
	if (!h->asking && !h->saving)
		mem_free(h);
}

void
history_fill(struct history *h, const struct gap_period *gap)
{
	struct period *p;

	if (h->n_periods == PERIODS_MAX) {
		h->opts.filled(h->opts.arg, &gap->id, "too many gaps wait", 0, NULL, 0);
		return;
	}
	p = xcalloc(1, sizeof(*p));
	p->gap = *gap;
	list_append(&h->periods, &p->link);
	h->n_periods++;
	if (h->state == IDLE)
		wait(h, SETTLE_MS);
}
