/* pg_wire.c - what comes back on a connection's pipeline, and cancelling.
 *
 * libpq gives for each statement its result and a NULL, for each sync one
 * PGRES_PIPELINE_SYNC without a NULL; after an error PGRES_PIPELINE_ABORTED up to the
 * sync. A unit's outcome is known only at its sync: that is where the transaction ends,
 * and where a deferred constraint still fails it.
 *
 * A cancel names no statement: it hits whatever runs when it arrives. So it is sent
 * only for the head, nothing more is sent while it is under way, and a unit behind the
 * head that it hits all the same was rolled back and is run again. */
#include "io/pg_conn_priv.h"

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <assert.h>
#include <string.h>

/* Ours have at most some hundred rows; more is a statement without LIMIT. */
#define RESULT_WARN_BYTES (16u << 20)
/* A cancel acts at once or not at all; the rest is scheduling. */
#define STRAY_CANCEL_US (5 * 1000 * 1000)

static struct pg_slot *
wire_head(const struct pg_conn *c)
{
	if (list_is_empty(&c->slots))
		return NULL;
	return LIST_ENTRY(c->slots.next, struct pg_slot, link);
}

static const char *
result_field(const PGresult *r, int field)
{
	const char *s = PQresultErrorField(r, field);

	return s ? s : "";
}

void
pg_wire_note_fatal(struct pg_conn *c, const PGresult *r)
{
	if (strcmp(result_field(r, PG_DIAG_SEVERITY_NONLOCALIZED), "FATAL") == 0)
		str_copy(c->farewell, sizeof(c->farewell),
			result_field(r, PG_DIAG_MESSAGE_PRIMARY));
}

/* --- PREPARE --- */

/* Aborted by the one before it, and so for its reason. */
static void
prepare_on_abort(const struct pg_slot *s, struct pg_prepared *p)
{
	const struct pg_prepared *before =
		s->at ? pg_conn_prepared(s->conn, s->prepares[s->at - 1]) : NULL;

	if (!before || !before->error)
		return;
	p->error = xstrdup(before->error);
	str_copy(p->sqlstate, sizeof(p->sqlstate), before->sqlstate);
}

static void
prepare_on_result(struct pg_slot *s, const PGresult *r)
{
	if (s->at >= s->n_prepares)
		return;
	struct pg_prepared *p = pg_conn_prepared(s->conn, s->prepares[s->at]);

	xfree(&p->error);
	if (PQresultStatus(r) == PGRES_COMMAND_OK)
		return;
	p->known = false;
	if (PQresultStatus(r) != PGRES_FATAL_ERROR) {
		prepare_on_abort(s, p);
		return;
	}
	p->error = xstrdup(result_field(r, PG_DIAG_MESSAGE_PRIMARY));
	str_copy(p->sqlstate, sizeof(p->sqlstate), result_field(r, PG_DIAG_SQLSTATE));
	if (s->unit)
		pg_unit_set_error(s->unit, 0, r);
}

/* "prepared statement does not exist" is only the echo of a PREPARE that failed on this
 * connection; others may have made it meanwhile. */
static void
unit_blame_prepare(struct pg_unit *u, const struct pg_prepared *p)
{
	if (!p->error)
		return;
	str_copy(u->sqlstate, sizeof(u->sqlstate), p->sqlstate);
	xfree(&u->message);
	u->message = xstrdup(p->error);
}

/* What an error says about the statement's plan on this connection. */
static void
prepared_on_error(struct pg_slot *s, struct pg_statement *st, const PGresult *r)
{
	struct pg_prepared *p = pg_conn_prepared(s->conn, st);
	const char *state = result_field(r, PG_DIAG_SQLSTATE);

	if (strcmp(state, "26000") == 0) {
		p->known = false;
	} else if (strcmp(state, "0A000") == 0 &&
		   strcmp(result_field(r, PG_DIAG_SOURCE_FUNCTION),
			   "RevalidateCachedQuery") == 0) {
		p->known = false;
		p->generation++;
	}
}

/* --- EXECUTE --- */

static void
call_on_error(struct pg_slot *s, const PGresult *r)
{
	struct pg_unit *u = s->unit;
	/* Past the last call the sync itself failed: COMMIT said no. */
	size_t at = s->at < u->n_calls ? s->at : u->n_calls - 1;
	struct pg_statement *st = u->calls[at].statement;
	bool first = !u->failed;

	pg_unit_set_error(u, at, r);
	if (s->at >= u->n_calls || !st)
		return;
	prepared_on_error(s, st, r);
	if (first && strcmp(u->sqlstate, "26000") == 0)
		unit_blame_prepare(u, pg_conn_prepared(s->conn, st));
}

/* Takes r. */
static void
call_on_result(struct pg_slot *s, PGresult *r)
{
	struct pg_unit *u = s->unit;
	ExecStatusType status = PQresultStatus(r);
	bool ok = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;

	if (u && status == PGRES_FATAL_ERROR)
		call_on_error(s, r);
	if (!u || !ok || s->at >= u->n_calls) {
		PQclear(r);
		return;
	}
	if (PQresultMemorySize(r) > RESULT_WARN_BYTES)
		log_warnx(s->conn->who, "statement %s gave %zu MB",
			u->calls[s->at].statement ? u->calls[s->at].statement->name
						  : "(compiled)",
			PQresultMemorySize(r) >> 20);
	PQclear(u->calls[s->at].result);
	u->calls[s->at].result = r;
}

/* --- the end of a unit --- */

static bool
unit_is_stray(const struct pg_conn *c, const struct pg_unit *u)
{
	return u->failed && strcmp(u->sqlstate, "57014") == 0 && c->cancelled_us &&
	       (c->cancel || clock_mono_us() - c->cancelled_us < STRAY_CANCEL_US);
}

static void
slot_on_end(struct pg_slot *s)
{
	struct pg_conn *c = s->conn;
	struct pg_unit *u = s->unit;
	bool stray = u && unit_is_stray(c, u);

	pg_slot_free(s);
	if (stray)
		pg_requeue(u);
	else if (u)
		pg_finish(u, u->failed ? PG_ERROR : PG_OK);
	if (c->cancel_end_us)
		loop_timer_stop(c->timer);
	c->cancel_end_us = 0;
	pg_wire_check_head(c);
	pg_wake(c->pg);
}

static void
slot_on_sync(struct pg_slot *s)
{
	if (!s->preparing) {
		slot_on_end(s);
		return;
	}
	s->preparing = false;
	s->at = 0;
	s->got = false;
}

/* Takes r, and may free the slot. */
static void
slot_on_result(struct pg_slot *s, PGresult *r)
{
	if (PQresultStatus(r) == PGRES_PIPELINE_SYNC) {
		PQclear(r);
		slot_on_sync(s);
		return;
	}
	pg_wire_note_fatal(s->conn, r);
	s->got = true;
	if (s->preparing) {
		prepare_on_result(s, r);
		PQclear(r);
	} else {
		call_on_result(s, r);
	}
}

static bool
result_is_copy(const PGresult *r)
{
	ExecStatusType status = PQresultStatus(r);

	return status == PGRES_COPY_IN || status == PGRES_COPY_OUT ||
	       status == PGRES_COPY_BOTH;
}

void
pg_wire_read(struct pg_conn *c)
{
	struct pg_slot *s;
	unsigned idle = 0; /* NULLs that end nothing: libpq has no more */

	while ((s = wire_head(c)) && idle < 2 && !PQisBusy(c->pq)) {
		PGresult *r = PQgetResult(c->pq);
		if (r && result_is_copy(r)) {
			PQclear(r);
			pg_conn_fail(c, "a statement wants COPY, which no unit can do");
			return;
		}
		if (r) {
			idle = 0;
			slot_on_result(s, r);
		} else if (s->got) {
			s->got = false;
			s->at++;
		} else {
			idle++;
		}
		if (PQstatus(c->pq) == CONNECTION_BAD) {
			pg_conn_fail(c, PQerrorMessage(c->pq));
			return;
		}
	}
	if (!s)
		(void)PQisBusy(c->pq); /* lets libpq take notices that come unasked */
}

/* --- cancelling --- */

struct cancel_job {
	PGcancel *cancel;
	char error[256];
};

/* On a thread: PQcancel connects, and waits. */
static void
cancel_run(void *arg)
{
	struct cancel_job *j = arg;

	if (!j->cancel || !PQcancel(j->cancel, j->error, sizeof(j->error)))
		log_debug("pg", "cannot cancel: %s", j->error);
}

static void
cancel_free(void *arg)
{
	struct cancel_job *j = arg;

	PQfreeCancel(j->cancel);
	xfree(&j);
}

static void
cancel_on_end(void *arg, void *job)
{
	struct pg_conn *c = arg;

	(void)job;
	c->cancel = NULL;
	c->cancelled_us = clock_mono_us();
	pg_wake(c->pg);
}

static void
cancel_start(struct pg_conn *c)
{
	if (c->cancel)
		return;
	struct cancel_job *j = xcalloc(1, sizeof(*j));
	j->cancel = PQgetCancel(c->pq);
	c->cancelled_us = clock_mono_us();
	c->cancel =
		work_start(c->pg->loop, cancel_run, j, cancel_free, cancel_on_end, c);
}

void
pg_wire_check_head(struct pg_conn *c)
{
	const struct pg_slot *s = wire_head(c);

	if (c->state != PG_CONN_UP || !s || s->unit || c->cancel_end_us)
		return;
	c->cancel_end_us = clock_mono_us() + PG_CANCEL_GRACE_MS * 1000;
	loop_timer_start(c->timer, PG_CANCEL_RETRY_MS);
	cancel_start(c);
}

/* One that arrives between two statements has no effect: hence more than once. */
void
pg_wire_on_timer(struct pg_conn *c)
{
	if (clock_mono_us() >= c->cancel_end_us) {
		pg_conn_fail(c, "the server did not answer a cancelled statement");
		return;
	}
	loop_timer_start(c->timer, PG_CANCEL_RETRY_MS);
	cancel_start(c);
}
