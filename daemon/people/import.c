/* import.c - see import.h.
 *
 *	raw (bytes) --work--> ready (rows) --pg--> told, counts
 *
 * pump() is the only place that decides what happens next: it starts the reader when
 * `ready` is empty and there is something to read, the storing when nothing is being
 * stored, and ends when there is nothing left of either. */
#include <people/import.h>

#include <people/store_ask.h>

#include <clock.h>
#include <io/work.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RAW_MAX	      (256 * 1024)
#define PIECE_MAX     (64 * 1024)
#define BATCH_ROWS    500
#define BATCH_BYTES   (512 * 1024)
#define BATCH_MS      30000
#define TRIES	      16 /* about a minute */
#define RETRY_BASE_MS 250
#define RETRY_CAP_MS  5000
#define OBJECTS_PER_S 5000
#define UNSAVED_MAX   500 /* rejected lines, before they are noted */

/* What the thread works on. */
struct read_job {
	struct import_reader *reader;
	struct buf piece;
	bool at_end, ran;
	struct import_rows rows;
};

struct import {
	struct store *store;
	struct import_opts opts;
	struct import_callbacks cb;
	void *arg;
	struct tenant tenant;
	char actor[128], role[32], id_text[UUID_TEXT_LEN];
	struct uuid id;

	struct buf raw;
	bool ended, abandoned; /* no more will be fed */
	bool told_full;
	struct import_reader *reader; /* NULL while the thread has it */
	bool read_all;		      /* the reader has seen the end */
	struct work *work;

	struct import_rows ready; /* read, not being stored */
	struct import_rows batch; /* being stored: rows from `first`, `n` of them */
	size_t first, n;
	bool singly;
	struct import_unit *unit; /* in PostgreSQL's hands */
	struct event_stamp stamp; /* of that batch */
	unsigned tries;
	bool audited;	       /* and begun: a unit was stored */
	size_t statement;      /* of contact_import in the unit */
	uint64_t end_line;     /* of the batch */
	uint64_t read_line;    /* the last one read */
	bool ending;	       /* the last unit is on its way, or done */
	int64_t not_before_us; /* objects told are bounded per second */
	struct loop_timer *timer;
	bool done;

	struct import_counts counts;
	struct import_told *told;
	size_t n_told;
	/* What is not noted in the database yet; the first n_saving are on their way. */
	struct import_told *unsaved;
	size_t n_unsaved, cap_unsaved, n_saving;
};

/* Outlives an import that is freed meanwhile. */
struct import_unit {
	struct import *import;
};

static void pump(struct import *im);

/* ---- The end ---------------------------------------------------------------------- */

static int
by_line(const void *a, const void *b)
{
	const struct import_told *x = a, *y = b;

	return x->line < y->line ? -1 : x->line > y->line;
}

static void
finish(struct import *im, int status, const char *detail)
{
	struct import_result r = {.status = status,
		.detail = detail,
		.charset = im->reader ? import_reader_charset(im->reader) : "",
		.id = im->id,
		.counts = im->counts,
		.told = im->told,
		.n_told = im->n_told};

	if (im->done)
		return;
	im->done = true;
	if (im->n_told)
		qsort(im->told, im->n_told, sizeof(*im->told), by_line);
	im->cb.on_done(im->arg, &r);
}

/* For the database, with the next unit. */
static void
note_rejected(struct import *im, const struct import_row *row, const char *why)
{
	if (im->opts.dry_run)
		return;
	if (im->n_unsaved == im->cap_unsaved) {
		im->cap_unsaved = im->cap_unsaved ? im->cap_unsaved * 2 : 64;
		im->unsaved =
			xrealloc(im->unsaved, im->cap_unsaved * sizeof(*im->unsaved));
	}
	im->unsaved[im->n_unsaved++] =
		(struct import_told){row->line, row->lines, xstrdup(why)};
}

static void
forget_saved(struct import *im)
{
	if (!im->n_saving)
		return;
	for (size_t i = 0; i < im->n_saving; i++)
		xfree(&im->unsaved[i].why);
	im->n_unsaved -= im->n_saving;
	memmove(im->unsaved, im->unsaved + im->n_saving,
		im->n_unsaved * sizeof(*im->unsaved));
	im->n_saving = 0;
}

static void
tell(struct import *im, const struct import_row *row, const char *why)
{
	im->counts.rejected++;
	if (im->n_told == IMPORT_TOLD_MAX)
		return;
	if (!im->told)
		im->told = xcalloc(IMPORT_TOLD_MAX, sizeof(*im->told));
	im->told[im->n_told++] =
		(struct import_told){row->line, row->lines, xstrdup(why)};
}

/* ---- Storing ---------------------------------------------------------------------- */

/* The i-th row of the unit was stored so. */
static void
count_row(struct import *im, const struct import_row *row, const struct pg_answer *a,
	size_t statement, size_t i)
{
	const char *state = pg_text(a, statement, i, 1);
	const char *object = pg_text(a, statement, i, 3);

	if (str_eq(state, "created"))
		im->counts.created++;
	else if (str_eq(state, "updated"))
		im->counts.updated++;
	else if (str_eq(state, "unchanged"))
		im->counts.unchanged++;
	else
		tell(im, row, pg_text(a, statement, i, 2));
	if (object && im->cb.on_object)
		im->cb.on_object(im->arg, &im->stamp,
			EVENT_OF_NTH(pg_int(a, statement, i, 0)), state, object);
}

static void
on_stored_ok(struct import *im, const struct pg_answer *a)
{
	size_t statement = im->statement;
	size_t n = im->n ? pg_rows(a, statement) : 0, objects = 0;

	forget_saved(im);

	for (size_t i = 0; i < n && i < im->n; i++) {
		objects += pg_text(a, statement, i, 3) != NULL;
		count_row(im, &im->batch.rows[im->first + i], a, statement, i);
	}
	im->audited = true;
	im->tries = 0;
	im->first += im->n;
	im->n = 0;
	im->not_before_us =
		clock_mono_us() + (int64_t)objects * 1000000 / OBJECTS_PER_S;
}

/* The server said no to all of these: one by one then, and it is that one. */
static void
on_refused_rows(struct import *im, const struct pg_answer *a)
{
	log_debug("import", "%s %s", a->sqlstate, a->message);
	if (im->n > 1) {
		im->singly = true;
	} else {
		tell(im, &im->batch.rows[im->first],
			"the database cannot hold a value given");
		note_rejected(im, &im->batch.rows[im->first],
			"the database cannot hold a value given");
		im->first++;
	}
	im->n = 0;
}

static bool
is_our_rows_fault(const struct pg_answer *a)
{
	/* Class 22: data; 23: integrity; 54: a limit of the server. */
	return a->status == PG_ERROR &&
	       (!strncmp(a->sqlstate, "22", 2) || !strncmp(a->sqlstate, "23", 2) ||
		       !strncmp(a->sqlstate, "54", 2));
}

static void
on_stored(void *arg, const struct pg_answer *a)
{
	struct import_unit *u = arg;
	struct import *im = u->import;

	xfree(&u);
	if (!im)
		return;
	im->unit = NULL;
	if (im->abandoned) {
		pump(im);
		return;
	}
	if (a->status == PG_OK && im->ending) {
		finish(im, 200, "");
		return;
	}
	if (a->status == PG_OK) {
		on_stored_ok(im, a);
	} else if (is_our_rows_fault(a) && im->n) {
		on_refused_rows(im, a);
	} else if (++im->tries > TRIES) {
		finish(im, 503,
			"the database was away for too long; what is counted is stored: "
			"import the file again");
		return;
	} else {
		log_info("import", "a batch is tried again: %s", a->message);
		im->n = 0;
		im->ending = false;
		im->not_before_us =
			clock_mono_us() +
			1000 * loop_backoff_ms(im->tries, RETRY_BASE_MS, RETRY_CAP_MS);
	}
	pump(im);
}

static void
add_audit(struct import *im, struct pg_unit *u)
{
	const char *column;

	pg_add(u, "import_audit");
	pg_param_int(u, im->tenant.id);
	pg_param_text(u, im->actor);
	pg_param_text(u, im->role);
	pg_param_text(u, im->id_text);
	pg_array_begin(u);
	for (size_t i = 0; im->reader && (column = import_reader_column(im->reader, i));
		i++)
		pg_array_add(u, column);
	pg_array_end(u);
}

/* The statements before the rows' own: that it runs, and what is to be noted. */
static void
add_notes(struct import *im, struct pg_unit *u, uint64_t line)
{
	im->statement = 0;
	im->n_saving = 0;
	if (im->opts.dry_run)
		return;
	if (!im->audited) {
		add_audit(im, u);
		pg_add(u, "import_run_begin");
		pg_param_int(u, im->tenant.id);
		pg_param_uuid(u, &im->id);
		pg_param_text(u, im->opts.format == IMPORT_CSV ? "csv" : "ndjson");
		pg_param_text(u, im->actor);
		pg_param_int(u, (int64_t)im->opts.after);
		im->statement = 2;
	}
	if (!im->n_unsaved && im->n)
		return;
	im->n_saving = im->n_unsaved;
	im->statement++;
	pg_add(u, "import_run_reject");
	pg_param_int(u, im->tenant.id);
	pg_param_uuid(u, &im->id);
	pg_param_int(u, im->n ? 0 : (int64_t)line);
	pg_array_begin(u);
	for (size_t i = 0; i < im->n_saving; i++)
		pg_array_add_int(u, (int64_t)im->unsaved[i].line);
	pg_array_end(u);
	pg_array_begin(u);
	for (size_t i = 0; i < im->n_saving; i++)
		pg_array_add_int(u, im->unsaved[i].lines);
	pg_array_end(u);
	pg_array_begin(u);
	for (size_t i = 0; i < im->n_saving; i++)
		pg_array_add(u, im->unsaved[i].why);
	pg_array_end(u);
}

static void
send_unit(struct import *im, struct pg_unit *u)
{
	im->unit = xcalloc(1, sizeof(*im->unit));
	im->unit->import = im;
	pg_submit(&u, BATCH_MS, on_stored, im->unit);
}

/* What line the rows from `first`, n of them, settle. */
static uint64_t
line_after(const struct import *im)
{
	size_t next = im->first + im->n;

	return next < im->batch.n ? im->batch.rows[next].line - 1 : im->end_line;
}

static void
add_rows(struct import *im, struct pg_unit *u)
{
	struct buf rows = BUF_INIT;

	buf_addc(&rows, '[');
	for (size_t i = im->first; i < im->first + im->n; i++) {
		if (i > im->first)
			buf_addc(&rows, ',');
		buf_adds(&rows, im->batch.rows[i].json);
	}
	buf_addc(&rows, ']');
	pg_add(u, "contact_import");
	pg_param_int(u, im->tenant.id);
	pg_param_text(u, im->actor);
	pg_param_text(u, im->role);
	pg_param_text_len(u, rows.data, rows.len);
	pg_param_bool(u, im->opts.dry_run);
	pg_param_bool(u, im->opts.objects);
	im->stamp = im->cb.stamp ? im->cb.stamp(im->arg, &im->tenant)
				 : event_stamp_new(false);
	event_param(u, &im->stamp);
	pg_param_uuid(u, im->opts.dry_run ? NULL : &im->id);
	pg_param_int(u, (int64_t)line_after(im));
	pg_array_begin(u);
	for (size_t i = im->first; i < im->first + im->n; i++)
		pg_array_add_int(u, (int64_t)im->batch.rows[i].line);
	pg_array_end(u);
	pg_array_begin(u);
	for (size_t i = im->first; i < im->first + im->n; i++)
		pg_array_add_int(u, im->batch.rows[i].lines);
	pg_array_end(u);
	buf_fini(&rows);
}

static void
submit(struct import *im)
{
	struct pg_unit *u = pg_unit_new(im->store->writes);

	im->n = im->singly ? 1 : im->batch.n - im->first;
	add_notes(im, u, 0);
	add_rows(im, u);
	send_unit(im, u);
}

/* Nothing but rejected lines came for a while. */
static void
submit_notes(struct import *im)
{
	struct pg_unit *u = pg_unit_new(im->store->writes);

	im->n = 0;
	add_notes(im, u, im->read_line);
	send_unit(im, u);
}

static void
add_end(struct import *im, struct pg_unit *u, const char *state, const char *detail)
{
	pg_add(u, "import_run_end");
	pg_param_int(u, im->tenant.id);
	pg_param_uuid(u, &im->id);
	pg_param_text(u, state);
	pg_param_text(u, detail);
}

static void
submit_end(struct import *im)
{
	struct pg_unit *u = pg_unit_new(im->store->writes);

	im->n = 0;
	im->ending = true;
	add_notes(im, u, im->read_line);
	add_end(im, u, "done", "");
	send_unit(im, u);
}

/* ---- Reading ---------------------------------------------------------------------- */

static void
read_run(void *arg)
{
	struct read_job *job = arg;

	job->ran = true;
	if (import_reader_is_empty(job->reader))
		import_reader_feed(
			job->reader, buf_str(&job->piece), job->piece.len, job->at_end);
	import_reader_next(job->reader, &job->rows, BATCH_ROWS, BATCH_BYTES);
}

static void
read_free(void *arg)
{
	struct read_job *job = arg;

	import_reader_free(&job->reader);
	buf_fini(&job->piece);
	import_rows_fini(&job->rows);
	mem_free(job);
}

/* What the reader has rejected is told, and goes. */
static void
tell_rejected(struct import *im, struct import_rows *rows)
{
	size_t kept = 0;

	for (size_t i = 0; i < rows->n; i++) {
		struct import_row *row = &rows->rows[i];
		if (row->json) {
			rows->rows[kept++] = *row;
			continue;
		}
		tell(im, row, row->why);
		note_rejected(im, row, row->why);
		xfree(&row->why);
	}
	rows->n = kept;
}

static void
on_read(void *arg, void *job_arg)
{
	struct import *im = arg;
	struct read_job *job = job_arg;

	if (!job->ran) /* there was no thread to be had */
		read_run(job);
	im->work = NULL;
	im->reader = job->reader;
	job->reader = NULL;
	im->ready = job->rows;
	memset(&job->rows, 0, sizeof(job->rows));
	if (im->ready.end_line > im->read_line)
		im->read_line = im->ready.end_line;
	tell_rejected(im, &im->ready);
	if (!im->ready.n)
		import_rows_fini(&im->ready);
	pump(im);
}

static void
start_reading(struct import *im)
{
	struct read_job *job = xcalloc(1, sizeof(*job));

	job->reader = im->reader;
	im->reader = NULL;
	if (import_reader_is_empty(job->reader)) {
		size_t n = im->raw.len < PIECE_MAX ? im->raw.len : PIECE_MAX;
		buf_add(&job->piece, buf_str(&im->raw), n);
		buf_drop_front(&im->raw, n);
		job->at_end = im->read_all = im->ended && !im->raw.len;
	}
	im->work = work_start(im->store->loop, read_run, job, read_free, on_read, im);
}

static bool
can_read(const struct import *im)
{
	if (im->work || im->ready.n)
		return false;
	return !import_reader_is_empty(im->reader) || im->raw.len ||
	       (im->ended && !im->read_all);
}

/* ---- What is next ----------------------------------------------------------------- */

static void
give_room(struct import *im)
{
	if (!im->told_full || im->raw.len >= RAW_MAX / 2)
		return;
	im->told_full = false;
	im->cb.on_room(im->arg);
}

static void
store_next(struct import *im)
{
	int64_t wait_us = im->not_before_us - clock_mono_us();

	if (im->first == im->batch.n) {
		import_rows_fini(&im->batch);
		im->first = 0;
		im->singly = false;
		im->batch = im->ready;
		im->end_line = im->ready.end_line;
		memset(&im->ready, 0, sizeof(im->ready));
	}
	if (im->first == im->batch.n && im->n_unsaved < UNSAVED_MAX)
		return;
	if (im->first == im->batch.n && wait_us <= 0) {
		submit_notes(im);
		return;
	}
	if (wait_us > 0)
		loop_timer_start(im->timer, wait_us / 1000 + 1);
	else
		submit(im);
}

static void
end(struct import *im)
{
	int64_t wait_us = im->not_before_us - clock_mono_us();

	if (im->opts.dry_run)
		finish(im, 200, "");
	else if (wait_us > 0)
		loop_timer_start(im->timer, wait_us / 1000 + 1);
	else
		submit_end(im);
}

static void
pump(struct import *im)
{
	if (im->done)
		return;
	if (im->abandoned) {
		if (!im->unit)
			finish(im, 499, "the client is gone");
		return;
	}
	if (im->reader && import_reader_refusal(im->reader)) {
		finish(im, 422, import_reader_refusal(im->reader));
		return;
	}
	if (!im->unit && !loop_timer_is_running(im->timer) &&
		(im->audited || im->reader))
		store_next(im);
	if (can_read(im))
		start_reading(im);
	give_room(im);
	if (im->read_all && !im->work && !im->unit && !im->ready.n && !im->batch.n &&
		import_reader_is_empty(im->reader) && !loop_timer_is_running(im->timer))
		end(im);
}

static void
on_timer(void *arg)
{
	pump(arg);
}

struct import *
import_begin(struct store *store, const struct actor *actor,
	const struct import_opts *opts, const struct import_callbacks *cb, void *arg,
	struct err *err)
{
	struct import *im;
	struct import_reader *reader = import_reader_new(
		opts->format, opts->charset, opts->after, actor->tenant, err);

	if (!reader)
		return NULL;
	im = xcalloc(1, sizeof(*im));
	im->store = store;
	im->opts = *opts;
	im->opts.charset = NULL;
	im->cb = *cb;
	im->arg = arg;
	im->tenant = *actor->tenant;
	str_copy(im->actor, sizeof(im->actor), actor->name);
	str_copy(im->role, sizeof(im->role), actor->role);
	im->id = uuid_is_nil(&opts->id) ? uuid_new(clock_wall_us()) : opts->id;
	im->read_line = opts->after;
	uuid_format(im->id_text, &im->id);
	im->reader = reader;
	im->timer = loop_timer_new(store->loop, on_timer, im);
	return im;
}

bool
import_feed(struct import *im, const char *data, size_t len)
{
	assert(!im->ended);
	if (im->done)
		return true;
	buf_add(&im->raw, data, len);
	im->told_full = im->raw.len >= RAW_MAX;
	if (!loop_timer_is_running(im->timer))
		loop_timer_start(im->timer, 0);
	return !im->told_full;
}

void
import_end(struct import *im)
{
	im->ended = true;
	if (!loop_timer_is_running(im->timer))
		loop_timer_start(im->timer, 0);
}

void
import_abandon(struct import *im)
{
	im->ended = im->abandoned = true;
	if (!im->done)
		loop_timer_start(im->timer, 0);
}

void
import_free(struct import **imp)
{
	struct import *im = *imp;

	if (!im)
		return;
	*imp = NULL;
	if (im->unit)
		im->unit->import = NULL;
	work_cancel(&im->work);
	loop_timer_free(&im->timer);
	import_reader_free(&im->reader);
	import_rows_fini(&im->ready);
	import_rows_fini(&im->batch);
	buf_fini(&im->raw);
	for (size_t i = 0; i < im->n_told; i++)
		xfree(&im->told[i].why);
	xfree(&im->told);
	for (size_t i = 0; i < im->n_unsaved; i++)
		xfree(&im->unsaved[i].why);
	xfree(&im->unsaved);
	mem_free(im);
}
