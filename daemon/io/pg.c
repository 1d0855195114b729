/* pg.c - the pool: named statements, the queue of units, who sends what, deadlines.
 *
 * Submitting sends at once what the connection with the fewest in flight can take: the
 * server works while we finish our turn. The rest queues. Callbacks are called by pg_work
 * alone, which runs from a timer of its own, tells the owner about up and down, and hands
 * on what waits. So neither callbacks nor pg_close ever run under a connection's code, and
 * whatever a callback does to the pool is safe.
 *
 * The pool is freed by loop_free_later: pg_close may have been called by a callback.
 * Next: pg_unit.c for what a unit holds, pg_conn.c for a connection. */
#include "io/pg_priv.h"

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- statements --- */

static void
statement_add(
	struct pg *pg, const char *name, size_t name_len, const char *sql, size_t len)
{
	struct pg_statement *st = xcalloc(1, sizeof(*st));

	while (len && strchr(" \t\r\n;", sql[len - 1]))
		len--;
	st->name = xstrndup(name, name_len);
	st->sql = xstrndup(sql, len);
	st->index = pg->n_statements++;
	pg->statements =
		xrealloc(pg->statements, pg->n_statements * sizeof(*pg->statements));
	pg->statements[st->index] = st;
	bool twice = map_put(&pg->by_name, st->name, st) != NULL;
	if (twice)
		log_errorx("pg", "statement \"%s\" is defined twice", st->name);
	assert(!twice && len);
}

/* The next line that begins with "-- name:", or NULL. */
static const char *
statement_find(const char *s)
{
	static const char mark[] = "-- name:";

	for (; s; s = strchr(s, '\n')) {
		s += *s == '\n';
		if (str_starts(s, mark))
			return s + strlen(mark);
	}
	return NULL;
}

void
pg_add_statements(struct pg *pg, const char *sql_text)
{
	const char *at = statement_find(sql_text);

	while (at) {
		at += strspn(at, " \t");
		size_t name_len = strcspn(at, " \t\r\n");
		const char *sql = at + strcspn(at, "\n");
		const char *next = statement_find(sql);
		size_t len =
			next ? (size_t)(next - sql) - strlen("-- name:") : strlen(sql);

		statement_add(pg, at, name_len, sql, len);
		at = next;
	}
}

static void
statements_free(struct pg *pg)
{
	for (size_t i = 0; i < pg->n_statements; i++) {
		struct pg_statement *st = pg->statements[i];
		xfree(&st->name);
		xfree(&st->sql);
		xfree(&st);
	}
	xfree(&pg->statements);
	map_fini(&pg->by_name);
}

/* --- up and down --- */

static void
note_down(struct pg *pg)
{
	pg->down_since_us = clock_wall_us();
	pg->down_since_mono_us = clock_mono_us();
}

static int64_t
outage_ms(const struct pg *pg)
{
	return (clock_mono_us() - pg->down_since_mono_us) / 1000;
}

void
pg_on_conn_up(struct pg *pg)
{
	if (pg->n_up++ == 0) {
		if (pg->outage_logged)
			log_info(pg->who, "connected, after %.1f s without",
				(double)outage_ms(pg) / 1000.0);
		else
			log_info(pg->who, "connected");
		pg->outage_logged = false;
		pg->reason[0] = '\0';
	}
	pg_wake(pg);
}

/* Waiting will not help; somebody has to change a setting. The server's words may be
 * translated, and libpq does not tell the SQLSTATE here: known phrases, best effort. */
static bool
reason_is_permanent(const char *reason)
{
	static const char *const phrases[] = {"authentication failed", "does not exist",
		"no pg_hba.conf entry", "no password supplied", "permission denied",
		"is not permitted to log in", "certificate",
		"invalid connection option"};

	for (size_t i = 0; i < ARRAY_LEN(phrases); i++) {
		if (strstr(reason, phrases[i]))
			return true;
	}
	return false;
}

/* One line when the outage begins, and one more if a cause that needs somebody shows.
 */
static void
outage_log(struct pg *pg, const char *reason)
{
	bool same = strcmp(pg->reason, reason) == 0;
	bool permanent = reason_is_permanent(reason);

	if (permanent && (!pg->outage_logged || !same))
		log_errorx(
			pg->who, "cannot connect until this is put right: %s", reason);
	else if (!pg->outage_logged)
		log_warnx(pg->who, "not connected: %s", reason);
	else
		log_debug(pg->who, "still not connected: %s", reason);
	pg->outage_logged = true;
}

void
pg_on_conn_down(struct pg *pg, const char *who, bool was_up, const char *reason)
{
	unsigned long more;

	if (was_up && --pg->n_up == 0)
		note_down(pg);
	if (pg->n_up == 0) {
		outage_log(pg, reason);
		str_copy(pg->reason, sizeof(pg->reason), reason);
	} else if (log_once_due(&pg->partial, 60, &more)) {
		log_info(who, "%s; others are up (%lu more such since the last line)",
			reason, more);
	}
	pg_wake(pg);
}

/* False if the owner closed the pool while it was told. */
static bool
state_tell(struct pg *pg)
{
	bool up = pg->n_up > 0;

	if (pg->told_up != up) {
		pg->told_up = up;
		if (pg->opts.on_state)
			pg->opts.on_state(pg->opts.arg, up);
	}
	return !pg->closed;
}

bool
pg_is_up(const struct pg *pg)
{
	return pg->n_up > 0;
}

const char *
pg_down_reason(const struct pg *pg, int64_t *since_us_r)
{
	if (since_us_r)
		*since_us_r = pg->n_up ? 0 : pg->down_since_us;
	if (pg->n_up)
		return "";
	return pg->reason[0] ? pg->reason : "not yet connected";
}

int64_t
pg_down_us(const struct pg *pg)
{
	return pg->n_up ? 0 : clock_mono_us() - pg->down_since_mono_us;
}

size_t
pg_backlog(const struct pg *pg)
{
	return pg->n_units;
}

/* --- the way of a unit --- */

void
pg_finish(struct pg_unit *u, enum pg_status status)
{
	struct pg *pg = u->pg;

	assert(!u->slot);
	list_remove(&u->link);
	loop_timer_free(&u->deadline);
	u->status = status;
	pg->n_units--;
	list_append(&pg->done, &u->link);
	pg_wake(pg);
}

void
pg_requeue(struct pg_unit *u)
{
	assert(!u->slot);
	pg_unit_forget_results(u);
	list_prepend(&u->pg->waiting, &u->link);
	pg_wake(u->pg);
}

static void
unit_on_deadline(void *arg)
{
	struct pg_unit *u = arg;

	if (u->slot)
		pg_conn_abandon(u);
	pg_unit_forget_results(u);
	pg_finish(u, PG_TIMEOUT);
}

static struct pg_conn *
conn_choose(struct pg *pg)
{
	struct pg_conn *best = NULL;

	for (unsigned i = 0; i < pg->opts.connections; i++) {
		struct pg_conn *c = pg->conns[i];
		if (pg_conn_can_take(c) &&
			(!best || pg_conn_load(c) < pg_conn_load(best)))
			best = c;
	}
	return best;
}

static void
units_dispatch(struct pg *pg)
{
	struct pg_conn *c;

	while (!list_is_empty(&pg->waiting) && (c = conn_choose(pg))) {
		struct pg_unit *u = LIST_ENTRY(pg->waiting.next, struct pg_unit, link);
		list_remove(&u->link);
		pg_conn_send(c, u);
	}
}

void
pg_submit(struct pg_unit **up, unsigned deadline_ms, pg_answer_fn *cb, void *arg)
{
	struct pg_unit *u = *up;
	struct pg *pg = u->pg;

	*up = NULL;
	assert(u->n_calls && !u->in_array);
	u->cb = cb;
	u->arg = arg;
	bool full = pg->closed || pg->n_units >= pg->opts.queue_max;
	pg->n_units++;
	if (full) {
		pg_finish(u, PG_FULL);
		return;
	}
	u->deadline = loop_timer_new(pg->loop, unit_on_deadline, u);
	loop_timer_start(u->deadline, deadline_ms);
	list_append(&pg->waiting, &u->link);
	units_dispatch(pg);
}

static const char *
status_text(enum pg_status status)
{
	switch (status) {
	case PG_OK: return "";
	case PG_ERROR: return "the server refused the statement";
	case PG_LOST: return "the connection to the database broke";
	case PG_TIMEOUT: return "the database did not answer in time";
	case PG_FULL: return "too much is waiting for the database";
	}
	return "";
}

static void
units_deliver(struct pg *pg)
{
	while (!list_is_empty(&pg->done)) {
		struct pg_unit *u = LIST_ENTRY(pg->done.next, struct pg_unit, link);
		bool refused = u->status == PG_ERROR;
		struct pg_answer a = {.status = u->status,
			.message = refused && u->message ? u->message
							 : status_text(u->status),
			.constraint = refused && u->constraint ? u->constraint : "",
			.failed = refused ? u->failed_at : 0,
			.priv = u};

		str_copy(a.sqlstate, sizeof(a.sqlstate), refused ? u->sqlstate : "");
		list_remove(&u->link);
		if (u->cb)
			u->cb(u->arg, &a);
		pg_unit_free(u);
	}
}

static void
pg_work(void *arg)
{
	struct pg *pg = arg;

	units_dispatch(pg);
	if (state_tell(pg))
		units_deliver(pg);
}

void
pg_wake(struct pg *pg)
{
	if (!pg->closed && !loop_timer_is_running(pg->work))
		loop_timer_start(pg->work, 0);
}

/* --- opening and closing --- */

int
pg_check_conninfo(const char *conninfo, struct err *err)
{
	struct pg_conninfo *ci = pg_conninfo_parse(conninfo, NULL, NULL, err);

	if (!ci)
		return -1;
	pg_conninfo_free(&ci);
	return 0;
}

static void
conns_start(struct pg *pg, const struct pg_opts *opts)
{
	struct err err;

	pg->conninfo = pg_conninfo_parse(
		opts->conninfo, pg->opts.application_name, opts->server_options, &err);
	if (!pg->conninfo) {
		str_copy(pg->reason, sizeof(pg->reason), err.text);
		log_errorx(pg->who, "%s", err.text);
		pg->opts.connections = 0;
		return;
	}
	pg->conns = xcalloc(pg->opts.connections, sizeof(struct pg_conn *));
	for (unsigned i = 0; i < pg->opts.connections; i++) {
		pg->conns[i] = pg_conn_new(pg, i + 1);
		pg_conn_start(pg->conns[i]);
	}
}

struct pg *
pg_open(struct loop *loop, const struct pg_opts *opts)
{
	struct pg *pg = xcalloc(1, sizeof(*pg));

	pg->loop = loop;
	pg->opts = *opts;
	pg->opts.conninfo = NULL;
	pg->opts.application_name = xstrdup(opts->application_name);
	const char *word = str_empty(opts->application_name)
				   ? NULL
				   : strrchr(opts->application_name, ' ');
	snprintf(pg->who, sizeof(pg->who), "pg%s", word ? word : "");
	note_down(pg);
	map_init(&pg->by_name);
	list_init(&pg->waiting);
	list_init(&pg->done);
	pg->work = loop_timer_new(loop, pg_work, pg);
	conns_start(pg, opts);
	return pg;
}

static void
pg_free(void *p)
{
	struct pg *pg = p;
	char *name = (char *)(uintptr_t)pg->opts.application_name;

	statements_free(pg);
	pg_conninfo_free(&pg->conninfo);
	xfree(&name);
	xfree(&pg->conns);
	xfree(&pg);
}

void
pg_close(struct pg **pgp)
{
	struct pg *pg = *pgp;

	if (!pg || pg->closed)
		return;
	pg->closed = true;
	loop_timer_free(&pg->work);
	for (unsigned i = 0; i < pg->opts.connections; i++)
		pg_conn_free(&pg->conns[i]);
	list_for_each_safe (&pg->waiting, it)
		pg_finish(LIST_ENTRY(it, struct pg_unit, link), PG_LOST);
	units_deliver(pg);
	loop_free_later(pg->loop, pg_free, pg);
	*pgp = NULL;
}
