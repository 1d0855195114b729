/* writer.c - the queue of savings and its batches.
 *
 *	waiting -> batch (at most 64 interactions, one under way)
 *	batch: TOGETHER -> done                   committed
 *	       TOGETHER -> TOGETHER               lost, or the database cannot: after a pause
 *	       TOGETHER -> SINGLY -> ... -> done  some unit's data was refused
 *	       SINGLY   -> ASIDE -> SINGLY        that unit goes to quarantine
 *
 * Only what a unit itself can be blamed for (SQLSTATE classes of data and constraints)
 * takes it to quarantine; a database that is away, full, read-only or without its schema
 * is waited for. A checkpoint is written with its own unit or with a later one, never
 * before one that was given earlier. Callbacks come after the commit, in the order given.
 * Read next: writer_sql.c, then interactions_save in conf/sql/003-timeline.sql. */
#include <timeline/writer_priv.h>

#include <clock.h>
#include <io/loop.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define MAX_WAITING_DEFAULT 50000
#define DEADLINE_DEFAULT_MS 30000
#define COALESCED_MAX	    1024 /* savings in one batch, those replaced included */
#define MAINTAIN_FIRST_MS   (60 * 1000)
/* A batch that is not full begins when its oldest unit has waited so long, and no sooner
 * after the one before it began. Ten savings together cost the database a quarter of what
 * they cost singly; and the saving of a call that begins does not take the processor from
 * the screen pop of the same moment. Nobody waits for a commit but events of what is
 * saved. */
#define PACE_MS	    5
#define APART_MS    25
#define MAINTAIN_MS (600 * 1000)

enum batch_state { BATCH_TOGETHER, BATCH_SINGLY, BATCH_ASIDE };

struct batch {
	struct writer *writer; /* NULL: the writer was closed, nobody waits any more */
	enum batch_state state;
	struct list
		units; /* those not committed yet; the first is the one run singly */
	size_t n_units, n_savings;
};

struct writer {
	struct store *store;
	size_t max_waiting;
	unsigned deadline_ms;
	struct list waiting;
	struct batch *batch; /* NULL: nothing under way */
	int64_t began_us;    /* when the last one did; monotonic */
	bool kicked, closed, held;
	unsigned attempt; /* of the batch, since it last got somewhere */
	char why[200];	  /* its last attempt failed; "" = it did not */
	int64_t why_us;	  /* when the first of them did */
	struct loop_timer *retry, *maintain, *pace;
	struct map committed; /* "tenant/channel" -> uint64_t * */
	struct writer_stats stats;
	struct log_once once_lost, once_refused;
};

static void batch_run(struct batch *);
static void batch_go_on(struct batch *);
static pg_answer_fn on_batch_answer;

/* --- answering --- */

static void
unit_finish(struct writer_unit *u, const struct write_result *result)
{
	struct write_result r = *result;

	r.took_us = clock_mono_us() - u->given_mono_us;
	if (u->done)
		u->done(u->arg, &r);
}

/* A unit and those it replaced, oldest first: only the first can have created. */
static void
unit_finish_all(struct writer_unit *u, struct write_result r)
{
	list_for_each_safe (&u->older, it) {
		unit_finish(LIST_ENTRY(it, struct writer_unit, link), &r);
		r.created = r.contact_created = false;
	}
	unit_finish(u, &r);
	writer_unit_free(u);
}

static void
note_checkpoint(struct writer *w, const struct writer_unit *u)
{
	char key[TENANT_NAME_MAX + 80];
	uint64_t *seq;

	list_for_each (&u->older, it)
		note_checkpoint(w, LIST_ENTRY(it, struct writer_unit, link));
	if (!u->checkpoint.channel)
		return;
	snprintf(key, sizeof(key), "%s/%.70s", u->tenant->name, u->checkpoint.channel);
	seq = map_find(&w->committed, key);
	if (!seq) {
		seq = xcalloc(1, sizeof(*seq));
		map_put(&w->committed, key, seq);
	}
	if (u->checkpoint.seq > *seq)
		*seq = u->checkpoint.seq;
}

/* --- batches --- */

/* True if `later` must not replace `u`: it would reopen what has ended, or put losing
 * sight of it in the place of a true ending. The database has the same rule. */
static bool
goes_backwards(const struct interaction *u, const struct interaction *later)
{
	if (!uuid_is_nil(&u->absorbed_by))
		return true;
	if (!uuid_is_nil(&later->absorbed_by) || !str_eq(u->state, "ended"))
		return false;
	return !str_eq(later->state, "ended") ||
	       (str_eq(later->disposition, "interrupted") &&
		       !str_eq(u->disposition, "interrupted"));
}

static struct writer_unit *
batch_find(const struct batch *b, const struct writer_unit *u)
{
	list_for_each (&b->units, it) {
		struct writer_unit *old = LIST_ENTRY(it, struct writer_unit, link);

		if (old->has_interaction && u->has_interaction &&
			old->tenant == u->tenant && uuid_eq(&old->in.id, &u->in.id))
			return old;
	}
	return NULL;
}

/* Two savings of one interaction become one: the later takes the place of the earlier,
 * unless that would go backwards. The contact's id offered first stays: a pop may show
 * it. */
static void
batch_replace(struct writer_unit *old, struct writer_unit *u)
{
	if (goes_backwards(&old->in, &u->in)) {
		list_append(&old->older, &u->link);
		return;
	}
	if (!uuid_is_nil(&old->in.new_contact))
		u->in.new_contact = old->in.new_contact;
	list_append(&old->link, &u->link); /* right before old */
	list_remove(&old->link);
	list_for_each_safe (&old->older, it) {
		list_remove(it);
		list_append(&u->older, it);
	}
	list_append(&u->older, &old->link);
}

static bool
batch_take(struct batch *b, struct writer_unit *u)
{
	struct writer_unit *old = batch_find(b, u);

	if (b->n_savings == COALESCED_MAX || (!old && b->n_units == WRITER_BATCH_MAX))
		return false;
	list_remove(&u->link);
	b->n_savings++;
	if (old) {
		batch_replace(old, u);
	} else {
		list_append(&b->units, &u->link);
		b->n_units++;
	}
	return true;
}

static void
batch_begin(struct writer *w)
{
	struct batch *b = xcalloc(1, sizeof(*b));

	b->writer = w;
	list_init(&b->units);
	list_for_each_safe (&w->waiting, it)
		if (!batch_take(b, LIST_ENTRY(it, struct writer_unit, link)))
			break;
	w->stats.waiting -= b->n_savings;
	w->stats.in_batch = b->n_savings;
	w->batch = b;
	w->began_us = clock_mono_us();
	batch_run(b);
}

static void
on_kick(void *arg)
{
	struct writer *w = arg;

	w->kicked = false;
	if (!w->closed && !w->held && !w->batch && !list_is_empty(&w->waiting))
		batch_begin(w);
}

/* How long the next batch waits for company, in ms. */
static int64_t
pace_ms(const struct writer *w)
{
	const struct writer_unit *oldest =
		LIST_ENTRY(w->waiting.next, struct writer_unit, link);

	if (list_is_empty(&w->waiting) || w->stats.waiting >= WRITER_BATCH_MAX)
		return 0;
	int64_t due_us = oldest->given_mono_us + PACE_MS * 1000;
	if (due_us < w->began_us + APART_MS * 1000)
		due_us = w->began_us + APART_MS * 1000;
	int64_t left_us = due_us - clock_mono_us();
	return left_us > 0 ? (left_us + 999) / 1000 : 0;
}

/* At the end of the turn at the earliest. */
static void
writer_kick(struct writer *w)
{
	int64_t wait_ms;

	if (w->kicked || w->closed || w->held || w->batch)
		return;
	wait_ms = pace_ms(w);
	if (wait_ms > 0) {
		if (!loop_timer_is_running(w->pace))
			loop_timer_start(w->pace, wait_ms);
		return;
	}
	loop_timer_stop(w->pace);
	w->kicked = true;
	loop_defer(w->store->loop, on_kick, w);
}

static void
batch_end(struct batch *b)
{
	struct writer *w = b->writer;

	assert(list_is_empty(&b->units) && w->batch == b);
	w->batch = NULL;
	w->stats.in_batch = 0;
	w->stats.batches++;
	xfree(&b);
	writer_kick(w);
}

static size_t
unit_savings(const struct writer_unit *u)
{
	size_t n = 1;

	list_for_each (&u->older, it)
		n++;
	return n;
}

/* The first unit has its outcome. */
static void
batch_finish_first(struct batch *b, const struct write_result *r)
{
	struct writer_unit *u = LIST_ENTRY(b->units.next, struct writer_unit, link);
	struct writer *w = b->writer;

	list_remove(&u->link);
	note_checkpoint(w, u);
	if (r->status == WRITE_QUARANTINED)
		w->stats.quarantined += unit_savings(u);
	else
		w->stats.units += unit_savings(u);
	if (u->has_interaction && r->status == WRITE_DONE)
		histogram_add(&w->stats.commit, clock_mono_us() - u->given_mono_us);
	unit_finish_all(u, *r);
}

/* Rows come for the units with an interaction, in their order. */
static void
batch_committed(struct batch *b, const struct pg_answer *a, size_t n_units)
{
	size_t row = 0;

	for (; n_units && !list_is_empty(&b->units); n_units--) {
		const struct writer_unit *u =
			LIST_ENTRY(b->units.next, struct writer_unit, link);
		struct write_result r = {.status = WRITE_DONE};

		if (u->has_interaction && row < pg_rows(a, 0)) {
			r.created = pg_bool(a, 0, row, 0);
			r.contact = pg_uuid(a, 0, row, 1);
			r.contact_created = pg_bool(a, 0, row, 2);
			row++;
		}
		batch_finish_first(b, &r);
	}
}

/* Classes of SQLSTATE (PostgreSQL, appendix A) that say the data is wrong: cardinality,
 * data exception, constraint, a limit exceeded, raised by a function, internal error. */
static bool
is_units_fault(const struct pg_answer *a)
{
	static const char *const classes[] = {"21", "22", "23", "54", "P0", "XX"};

	if (a->status != PG_ERROR)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (!strncmp(a->sqlstate, classes[i], 2))
			return true;
	return false;
}

static void
on_retry_due(void *arg)
{
	struct writer *w = arg;

	if (w->batch)
		batch_run(w->batch);
}

static void
batch_lost(struct batch *b, const struct pg_answer *a)
{
	struct writer *w = b->writer;
	unsigned long suppressed;

	w->stats.lost++;
	if (!w->attempt)
		w->why_us = clock_wall_us();
	str_copy(w->why, sizeof(w->why), a->message);
	if (log_once_due(&w->once_lost, 60, &suppressed))
		log_warnx("writer",
			"a batch of %zu was not confirmed and is repeated: %s%s%s",
			b->n_savings, a->message, a->sqlstate[0] ? " " : "",
			a->sqlstate);
	loop_timer_start(w->retry, loop_backoff_ms(w->attempt++, 50, 5000));
}

/* The first unit failed alone: it goes aside. The server's message may quote what a
 * customer wrote, so it is for the row and not for the log. */
static void
batch_set_aside(struct batch *b, const struct pg_answer *a)
{
	struct writer *w = b->writer;
	struct writer_unit *u = LIST_ENTRY(b->units.next, struct writer_unit, link);
	struct pg_unit *q = pg_unit_new(w->store->writes);

	log_errorx("writer",
		"an interaction was refused by the database (%s): quarantined",
		a->sqlstate);
	log_debug("writer", "it said: %s", a->message);
	if (u->has_interaction)
		quarantine_add(q, u, a->sqlstate, a->message);
	writer_sql_checkpoints(q, u);
	b->state = BATCH_ASIDE;
	pg_submit(&q, w->deadline_ms, on_batch_answer, b);
}

/* What the quarantine row was refused for cannot be the unit's data any more. */
static void
batch_drop_first(struct batch *b, const struct pg_answer *a)
{
	struct write_result r = {.status = WRITE_QUARANTINED};

	log_errorx("writer",
		"an interaction could not even be quarantined (%s): dropped",
		a->sqlstate);
	batch_finish_first(b, &r);
	batch_go_on(b);
}

static void
batch_refused(struct batch *b, const struct pg_answer *a)
{
	if (b->state == BATCH_ASIDE) {
		batch_drop_first(b, a);
		return;
	}
	if (b->state == BATCH_TOGETHER)
		b->writer->stats.batch_failures++;
	if (b->state == BATCH_SINGLY || b->n_units == 1) {
		batch_set_aside(b, a);
		return;
	}
	log_debug(
		"writer", "a batch was refused, its units run singly: %s", a->message);
	b->state = BATCH_SINGLY;
	batch_run(b);
}

/* After an outcome: the next single unit, or the end. */
static void
batch_go_on(struct batch *b)
{
	if (list_is_empty(&b->units)) {
		batch_end(b);
		return;
	}
	b->state = BATCH_SINGLY;
	batch_run(b);
}

static void
batch_confirmed(struct batch *b, const struct pg_answer *a)
{
	struct write_result aside = {.status = WRITE_QUARANTINED};

	b->writer->attempt = 0;
	b->writer->why[0] = '\0';
	if (b->state == BATCH_ASIDE)
		batch_finish_first(b, &aside);
	else
		batch_committed(b, a, b->state == BATCH_TOGETHER ? SIZE_MAX : 1);
	batch_go_on(b);
}

static void
on_batch_answer(void *arg, const struct pg_answer *a)
{
	struct batch *b = arg;

	if (!b->writer)
		xfree(&b);
	else if (a->status == PG_OK)
		batch_confirmed(b, a);
	else if (is_units_fault(a))
		batch_refused(b, a);
	else
		batch_lost(b, a);
}

/* Sends the batch, or its first unit. One that was going aside when the answer was lost
 * is tried again from the start: what was wrong may have passed. */
static void
batch_run(struct batch *b)
{
	struct writer *w = b->writer;
	struct pg_unit *q = pg_unit_new(w->store->writes);

	if (b->state == BATCH_TOGETHER) {
		writer_sql_save(q, &b->units);
	} else {
		struct list *first = b->units.next, one;

		list_init(&one);
		list_remove(first);
		list_append(&one, first);
		writer_sql_save(q, &one);
		list_remove(first);
		list_prepend(&b->units, first);
		b->state = BATCH_SINGLY;
	}
	pg_submit(&q, w->deadline_ms, on_batch_answer, b);
}

/* --- the writer --- */

/* Partitions ahead, old idempotency keys. If it fails the next one makes up for it: the
 * writer itself makes a partition that is missing. */
static void
on_maintain_due(void *arg)
{
	struct writer *w = arg;
	loop_timer_start(w->maintain, w->held ? MAINTAIN_FIRST_MS : MAINTAIN_MS);
	if (w->held)
		return;
	struct pg_unit *q = pg_unit_new(w->store->writes);
	pg_add(q, "store_maintain");
	pg_submit(&q, w->deadline_ms, NULL, NULL);
}

struct writer *
writer_new(struct store *store, const struct writer_opts *opts)
{
	struct writer *w = xcalloc(1, sizeof(*w));

	w->store = store;
	w->max_waiting = opts->max_waiting ? opts->max_waiting : MAX_WAITING_DEFAULT;
	w->deadline_ms = opts->deadline_ms ? opts->deadline_ms : DEADLINE_DEFAULT_MS;
	list_init(&w->waiting);
	map_init(&w->committed);
	w->retry = loop_timer_new(store->loop, on_retry_due, w);
	w->maintain = loop_timer_new(store->loop, on_maintain_due, w);
	w->pace = loop_timer_new(store->loop, on_kick, w);
	loop_timer_start(w->maintain, MAINTAIN_FIRST_MS);
	return w;
}

void
writer_hold(struct writer *w, bool held)
{
	w->held = held;
	if (!held)
		writer_kick(w);
}

struct store *
writer_store(struct writer *w)
{
	return w->store;
}

static void
free_value(const char *key, void *value, void *arg)
{
	(void)key;
	(void)arg;
	mem_free(value);
}

static void
writer_free(void *arg)
{
	struct writer *w = arg;

	loop_timer_free(&w->retry);
	loop_timer_free(&w->maintain);
	loop_timer_free(&w->pace);
	map_each(&w->committed, free_value, NULL);
	map_fini(&w->committed);
	xfree(&w);
}

/* Nobody will commit these: their givers keep them. */
static void
units_give_back(struct list *units)
{
	struct write_result r = {.status = WRITE_REFUSED};

	list_for_each_safe (units, it) {
		list_remove(it);
		unit_finish_all(LIST_ENTRY(it, struct writer_unit, link), r);
	}
}

void
writer_close(struct writer **wp, unsigned deadline_ms)
{
	struct writer *w = *wp;
	int64_t until = clock_mono_us() + deadline_ms * INT64_C(1000);

	if (!w)
		return;
	*wp = NULL;
	while ((w->batch || !list_is_empty(&w->waiting)) && !w->held &&
		clock_mono_us() < until)
		loop_run_once(w->store->loop, 20);
	w->closed = true;
	if (w->stats.waiting || w->batch)
		log_warnx("writer", "closed with %zu savings not confirmed",
			w->stats.waiting + w->stats.in_batch);
	if (w->batch) {
		units_give_back(&w->batch->units);
		/* with a question under way its answer frees the batch */
		if (loop_timer_is_running(w->retry))
			xfree(&w->batch);
		else
			w->batch->writer = NULL;
	}
	units_give_back(&w->waiting);
	loop_timer_stop(w->retry);
	loop_timer_stop(w->maintain);
	loop_timer_stop(w->pace);
	loop_free_later(w->store->loop, writer_free, w);
}

struct refusal {
	write_done_fn *done;
	void *arg;
};

static void
on_refusal(void *arg)
{
	struct refusal *r = arg;
	struct write_result result = {.status = WRITE_REFUSED};

	r->done(r->arg, &result);
	xfree(&r);
}

static void
writer_refuse(struct writer *w, write_done_fn *done, void *arg)
{
	unsigned long suppressed;

	w->stats.refused++;
	if (log_once_due(&w->once_refused, 60, &suppressed))
		log_warnx("writer",
			"%zu savings wait for the database: no more are taken",
			w->stats.waiting);
	if (done) {
		struct refusal *r = xmalloc(sizeof(*r));

		*r = (struct refusal){done, arg};
		loop_defer(w->store->loop, on_refusal, r);
	}
}

void
writer_save_unit(
	struct writer *w, struct writer_unit *u, write_done_fn *done, void *arg)
{
	u->done = done;
	u->arg = arg;
	u->given_mono_us = clock_mono_us();
	u->given_wall_us = clock_wall_us();
	list_append(&w->waiting, &u->link);
	w->stats.waiting++;
	writer_kick(w);
}

bool
writer_is_full(const struct writer *w)
{
	return w->closed || w->stats.waiting >= w->max_waiting;
}

bool
writer_has_room(const struct writer *w)
{
	return !w->closed && w->stats.waiting < (w->max_waiting + 1) / 2;
}

void
writer_save(struct writer *w, const struct interaction *in,
	const struct checkpoint *checkpoint, write_done_fn *done, void *arg)
{
	if (writer_is_full(w)) {
		writer_refuse(w, done, arg);
		return;
	}
	writer_save_unit(w, writer_unit_new(in->tenant, in, checkpoint), done, arg);
}

/* The same channel's checkpoint at the queue's end may just move on: a busy channel with
 * nothing to save would fill the queue with them while the database is away. */
void
writer_checkpoint(struct writer *w, const struct tenant *tenant,
	const struct checkpoint *checkpoint)
{
	struct writer_unit *last =
		LIST_ENTRY(w->waiting.prev, struct writer_unit, link);

	if (!list_is_empty(&w->waiting) && !last->has_interaction &&
		last->tenant == tenant &&
		str_eq(last->checkpoint.channel, checkpoint->channel)) {
		if (checkpoint->seq > last->checkpoint.seq)
			last->checkpoint.seq = checkpoint->seq;
		return;
	}
	if (!writer_is_full(w))
		writer_save_unit(
			w, writer_unit_new(tenant, NULL, checkpoint), NULL, NULL);
}

uint64_t
writer_committed(const struct writer *w, const char *tenant, const char *channel)
{
	char key[TENANT_NAME_MAX + 80];
	const uint64_t *seq;

	snprintf(key, sizeof(key), "%s/%.70s", tenant, channel);
	seq = map_find(&w->committed, key);
	return seq ? *seq : 0;
}

const char *
writer_why(const struct writer *w, int64_t *since_us_r)
{
	if (w->attempt < 2 || !w->why[0])
		return NULL;
	*since_us_r = w->why_us;
	return w->why;
}

void
writer_get_stats(const struct writer *w, struct writer_stats *st)
{
	struct list *first = w->batch ? w->batch->units.next : w->waiting.next;

	*st = w->stats;
	st->oldest_us = st->oldest_age_us = 0;
	if (w->batch ? list_is_empty(&w->batch->units) : list_is_empty(&w->waiting))
		return;
	const struct writer_unit *u = LIST_ENTRY(first, struct writer_unit, link);
	st->oldest_us = u->given_wall_us;
	st->oldest_age_us = clock_mono_us() - u->given_mono_us;
}

static void
on_checkpoint_row(void *arg, int n, char *const *cols)
{
	int64_t seq;

	(void)n;
	if (str_int(cols[0], 0, INT64_MAX, &seq))
		*(uint64_t *)arg = (uint64_t)seq;
}

int
writer_load_checkpoint(struct pg_sync *pg, const char *tenant, const char *channel,
	uint64_t *seq_r, struct err *err)
{
	const char *const params[] = {tenant, channel};

	*seq_r = 0;
	return pg_sync_query(pg,
		"SELECT k.seq FROM spool_checkpoint k JOIN tenant t ON t.id = k.tenant_id "
		"WHERE t.name = $1 AND k.channel = $2",
		2, params, on_checkpoint_row, seq_r, err);
}
