/* suppression_import.c - see suppression_import.h.
 *
 *	BEGINNING -> RUNNING -> ENDING -> DONE
 *
 * pump() is the only place that decides what happens next while RUNNING: it starts the
 * reader when `ready` is empty and there is something to read, the storing when nothing is
 * being stored, and ends when there is nothing left of either. */
#include <people/suppression_import.h>

#include <people/store_ask.h>

#include <clock.h>
#include <io/work.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <assert.h>
#include <string.h>

#define RAW_MAX	      (256 * 1024)
#define PIECE_MAX     (64 * 1024)
#define BATCH_ROWS    5000
#define BATCH_MS      30000
#define TRIES	      16 /* about a minute */
#define RETRY_BASE_MS 250
#define RETRY_CAP_MS  5000

enum stage { BEGINNING, RUNNING, ENDING, DONE };

/* What the thread works on. */
struct read_job {
	struct suppression_reader *reader;
	struct buf piece;
	bool feeds, at_end, ran;
	struct suppression_rows rows;
};

struct suppression_import {
	struct store *store;
	struct suppression_import_callbacks cb;
	void *arg;
	struct tenant tenant;
	char actor[128], role[32], source[256], list_name[TENANT_NAME_MAX + 1];
	char kind[ADDRESS_KIND_MAX + 1];
	bool replace;

	enum stage stage;
	int64_t list, generation; /* once begun */
	struct buf raw;
	bool ended; /* no more will be fed */
	bool told_full, read_all;
	struct suppression_reader *reader; /* NULL while the thread has it */
	struct work *work;
	struct suppression_rows ready; /* read, not being stored */
	struct suppression_rows batch; /* being stored */
	struct import_unit *unit;      /* in PostgreSQL's hands */
	unsigned tries;
	struct loop_timer *timer;
	uint64_t added;
};

/* Outlives an import that is freed meanwhile. */
struct import_unit {
	struct suppression_import *import;
};

static void pump(struct suppression_import *im);

/* ---- The end ---------------------------------------------------------------------- */

static void
abort_list(struct suppression_import *im)
{
	struct pg_unit *u = pg_unit_new(im->store->writes);

	pg_add(u, "suppression_import_abort");
	pg_param_int(u, im->tenant.id);
	pg_param_int(u, im->list);
	pg_param_int(u, im->generation);
	pg_submit(&u, STORE_DEADLINE_MS, NULL, NULL);
}

static void
finish(struct suppression_import *im, int status, const char *detail)
{
	const struct suppression_reader *r = im->reader;
	struct suppression_import_result result = {
		.status = status, .detail = detail, .added = im->added};

	if (r) {
		result.valid = r->valid;
		result.rejected = r->n_rejected;
		result.told = r->rejected;
		result.n_told = r->n_rejected < SUPPRESSION_TOLD_MAX
					? (size_t)r->n_rejected
					: SUPPRESSION_TOLD_MAX;
	}
	if (status != 200 && im->stage != BEGINNING)
		abort_list(im);
	im->stage = DONE;
	im->cb.on_done(im->arg, &result);
}

static struct pg_unit *
unit_new(struct suppression_import *im, const char *statement)
{
	struct pg_unit *u = pg_unit_new(im->store->writes);

	pg_add(u, statement);
	pg_param_int(u, im->tenant.id);
	return u;
}

static void
unit_submit(struct suppression_import *im, struct pg_unit *u, pg_answer_fn *fn)
{
	im->unit = xcalloc(1, sizeof(*im->unit));
	im->unit->import = im;
	pg_submit(&u, BATCH_MS, fn, im->unit);
}

/* The import that an answer is for; NULL if it is gone. */
static struct suppression_import *
unit_end(struct import_unit *u)
{
	struct suppression_import *im = u->import;

	xfree(&u);
	if (im)
		im->unit = NULL;
	return im;
}

static void
on_ended(void *arg, const struct pg_answer *a)
{
	struct suppression_import *im = unit_end(arg);

	if (!im)
		return;
	if (a->status != PG_OK)
		finish(im, 503, "the database did not answer; import the file again");
	else if (!pg_bool(a, 0, 0, 0))
		finish(im, 409, "the list was removed or imported anew meanwhile");
	else
		finish(im, 200, "");
}

static void
end_list(struct suppression_import *im)
{
	struct pg_unit *u;
	const struct suppression_reader *r = im->reader;

	if (im->replace && !r->valid) {
		finish(im, 422,
			"there is no valid address in the file: the list stays as it "
			"was");
		return;
	}
	if (im->replace && r->n_rejected * 9 > r->valid) {
		finish(im, 422,
			"more than one line in ten is wrong: the list stays as it was");
		return;
	}
	im->stage = ENDING;
	u = unit_new(im, "suppression_import_end");
	pg_param_text(u, im->actor);
	pg_param_text(u, im->role);
	pg_param_int(u, im->list);
	pg_param_int(u, im->generation);
	pg_param_text(u, im->source);
	pg_param_int(u, (int64_t)im->added);
	unit_submit(im, u, on_ended);
}

/* ---- Storing ---------------------------------------------------------------------- */

static void
on_stored(void *arg, const struct pg_answer *a)
{
	struct suppression_import *im = unit_end(arg);

	if (!im)
		return;
	if (a->status == PG_OK && !pg_text(a, 0, 0, 0)) {
		finish(im, 409, "the list was removed or imported anew meanwhile");
		return;
	}
	if (a->status == PG_OK) {
		im->added += (uint64_t)pg_int(a, 0, 0, 0);
		im->tries = 0;
		suppression_rows_fini(&im->batch);
	} else if (++im->tries > TRIES) {
		finish(im, 503,
			"the database was away for too long; import the file again");
		return;
	} else {
		log_info("suppression", "a batch is tried again: %s", a->message);
		loop_timer_start(im->timer,
			loop_backoff_ms(im->tries, RETRY_BASE_MS, RETRY_CAP_MS));
		return;
	}
	pump(im);
}

static void
store_batch(struct suppression_import *im)
{
	struct pg_unit *u = unit_new(im, "suppression_import_rows");
	const char *at = im->batch.values.data;

	pg_param_int(u, im->list);
	pg_param_int(u, im->generation);
	pg_array_begin(u);
	for (size_t i = 0; i < im->batch.n; i++)
		pg_array_add(u, im->kind);
	pg_array_end(u);
	pg_array_begin(u);
	for (size_t i = 0; i < im->batch.n; i++, at += strlen(at) + 1)
		pg_array_add(u, at);
	pg_array_end(u);
	unit_submit(im, u, on_stored);
}

static void
store_next(struct suppression_import *im)
{
	if (im->unit || loop_timer_is_running(im->timer))
		return;
	if (!im->batch.n) {
		im->batch = im->ready;
		memset(&im->ready, 0, sizeof(im->ready));
	}
	if (im->batch.n)
		store_batch(im);
}

/* ---- Reading ---------------------------------------------------------------------- */

static void
read_run(void *arg)
{
	struct read_job *job = arg;

	job->ran = true;
	if (job->feeds)
		suppression_reader_feed(
			job->reader, buf_str(&job->piece), job->piece.len, job->at_end);
	suppression_reader_next(job->reader, &job->rows, BATCH_ROWS);
}

static void
read_free(void *arg)
{
	struct read_job *job = arg;

	suppression_reader_free(&job->reader);
	buf_fini(&job->piece);
	suppression_rows_fini(&job->rows);
	mem_free(job);
}

static void
on_read(void *arg, void *job_arg)
{
	struct suppression_import *im = arg;
	struct read_job *job = job_arg;

	if (!job->ran) /* there was no thread to be had */
		read_run(job);
	im->work = NULL;
	im->reader = job->reader;
	job->reader = NULL;
	im->ready = job->rows;
	memset(&job->rows, 0, sizeof(job->rows));
	pump(im);
}

static bool
can_read(const struct suppression_import *im)
{
	if (im->work || im->ready.n)
		return false;
	return !suppression_reader_is_empty(im->reader) || im->raw.len ||
	       (im->ended && !im->read_all);
}

static void
start_reading(struct suppression_import *im)
{
	struct read_job *job = xcalloc(1, sizeof(*job));

	job->reader = im->reader;
	im->reader = NULL;
	if (suppression_reader_is_empty(job->reader)) {
		size_t n = im->raw.len < PIECE_MAX ? im->raw.len : PIECE_MAX;
		job->feeds = true;
		buf_add(&job->piece, buf_str(&im->raw), n);
		buf_drop_front(&im->raw, n);
		job->at_end = im->read_all = im->ended && !im->raw.len;
	}
	im->work = work_start(im->store->loop, read_run, job, read_free, on_read, im);
}

/* ---- What is next ----------------------------------------------------------------- */

static void
give_room(struct suppression_import *im)
{
	if (!im->told_full || im->raw.len >= RAW_MAX / 2)
		return;
	im->told_full = false;
	im->cb.on_room(im->arg);
}

static void
pump(struct suppression_import *im)
{
	if (im->stage != RUNNING)
		return;
	store_next(im);
	if (can_read(im))
		start_reading(im);
	give_room(im);
	if (im->read_all && !im->work && !im->unit && !im->ready.n && !im->batch.n &&
		suppression_reader_is_empty(im->reader))
		end_list(im);
}

static void
on_timer(void *arg)
{
	pump(arg);
}

static void
on_begun(void *arg, const struct pg_answer *a)
{
	struct import_unit *unit = arg;
	struct suppression_import *im = unit->import;
	const char *state = a->status == PG_OK ? pg_text(a, 0, 0, 0) : "";
	bool begun = str_eq(state, "ok");

	if (im && begun) {
		im->list = pg_int(a, 0, 0, 1);
		im->generation = pg_int(a, 0, 0, 2);
		im->stage = RUNNING;
	}
	if (!unit_end(unit))
		return; /* nobody writes: two minutes, and another may */
	if (begun)
		pump(im);
	else if (str_eq(state, "busy"))
		finish(im, 409, "an import of this list is running");
	else if (str_eq(state, "full"))
		finish(im, 409, "there are 100 lists already");
	else
		finish(im, 503, "the database did not answer; import the file again");
}

struct suppression_import *
suppression_import_begin(struct store *store, const struct actor *actor,
	const struct suppression_import_opts *opts,
	const struct suppression_import_callbacks *cb, void *arg)
{
	struct suppression_import *im = xcalloc(1, sizeof(*im));

	im->store = store;
	im->cb = *cb;
	im->arg = arg;
	im->tenant = *actor->tenant;
	str_copy(im->actor, sizeof(im->actor), actor->name);
	str_copy(im->role, sizeof(im->role), actor->role);
	str_copy(im->source, sizeof(im->source), opts->source);
	str_copy(im->list_name, sizeof(im->list_name), opts->list);
	str_copy(im->kind, sizeof(im->kind), opts->kind);
	im->replace = opts->replace;
	im->reader = suppression_reader_new(opts->kind, opts->region);
	im->timer = loop_timer_new(store->loop, on_timer, im);
	struct pg_unit *u = unit_new(im, "suppression_import_begin");
	pg_param_text(u, im->list_name);
	pg_param_text(u, im->source);
	pg_param_bool(u, im->replace);
	unit_submit(im, u, on_begun);
	return im;
}

static void
wake(struct suppression_import *im)
{
	if (im->stage == RUNNING && !loop_timer_is_running(im->timer))
		loop_timer_start(im->timer, 0);
}

bool
suppression_import_feed(struct suppression_import *im, const char *data, size_t len)
{
	assert(!im->ended);
	if (im->stage == DONE)
		return true;
	buf_add(&im->raw, data, len);
	im->told_full = im->raw.len >= RAW_MAX;
	wake(im);
	return !im->told_full;
}

void
suppression_import_end(struct suppression_import *im)
{
	im->ended = true;
	wake(im);
}

void
suppression_import_free(struct suppression_import **imp)
{
	struct suppression_import *im = *imp;

	if (!im)
		return;
	*imp = NULL;
	if (im->unit)
		im->unit->import = NULL;
	if (im->stage == RUNNING)
		abort_list(im);
	work_cancel(&im->work);
	loop_timer_free(&im->timer);
	suppression_reader_free(&im->reader);
	suppression_rows_fini(&im->ready);
	suppression_rows_fini(&im->batch);
	buf_fini(&im->raw);
	mem_free(im);
}
