/* pg_sync.c - PostgreSQL, blocking: for interactctl, migrations at start, and tests.
 *
 * Never from the loop. Whatever the server answers that is not success is an error with
 * its message and SQLSTATE. Inside it does not block: each wait has the caller's patience
 * as its end, and can be broken off from another thread through a descriptor. */
#include "io/pg_priv.h"

#include <clock.h>
#include <mem.h>

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX	   128
#define CONNECT_PATIENCE_S 10

struct pg_sync {
	PGconn *pq;
	unsigned patience_ms; /* 0 = no limit */
	int stop_fd;	      /* -1 = none */
};

static void
on_notice(void *arg, const char *message)
{
	char line[512];

	(void)arg;
	log_debug("pg", "%s", pg_one_line(line, sizeof(line), message));
}

static int
may_pass(struct err *err, const char *text)
{
	err_set(err, "%s", text);
	if (err)
		err->code = PG_MAY_PASS;
	return -1;
}

/* Waits for the socket until end_us (monotonic; 0 = no end). -1 and err if that is over,
 * or the wait was broken off. */
static int
socket_wait(struct pg_sync *s, short events, int64_t end_us, struct err *err)
{
	struct pollfd fds[2] = {{PQsocket(s->pq), events, 0}, {s->stop_fd, POLLIN, 0}};
	for (;;) {
		int64_t left = end_us ? (end_us - clock_mono_us() + 999) / 1000 : -1;
		if (end_us && left <= 0)
			return may_pass(err, "it does not answer");
		int n = poll(fds, 2, (int)left);
		if (n < 0 && errno != EINTR)
			return err_errno(err, "poll");
		if (n > 0 && fds[1].revents)
			return may_pass(err, "broken off");
		if (n > 0 && fds[0].revents)
			return 0;
	}
}

static int64_t
patience_end(const struct pg_sync *s)
{
	return s->patience_ms ? clock_mono_us() + s->patience_ms * INT64_C(1000) : 0;
}

/* libpq's connect_timeout is for PQconnectdb alone: here it is of the whole dialogue. */
static int
connect_wait(struct pg_sync *s, struct err *err)
{
	int64_t end_us = clock_mono_us() + CONNECT_PATIENCE_S * INT64_C(1000000);
	short want = POLLOUT;

	if (s->patience_ms && patience_end(s) < end_us)
		end_us = patience_end(s);
	while (PQstatus(s->pq) != CONNECTION_BAD) {
		if (socket_wait(s, want, end_us, err) < 0)
			return -1;
		switch (PQconnectPoll(s->pq)) {
		case PGRES_POLLING_OK: return 0;
		case PGRES_POLLING_READING: want = POLLIN; break;
		case PGRES_POLLING_WRITING: want = POLLOUT; break;
		default: break; /* the status is bad now */
		}
	}
	char line[256];
	return may_pass(err, pg_one_line(line, sizeof(line), PQerrorMessage(s->pq)));
}

struct pg_sync *
pg_sync_open_patient(
	const char *conninfo, unsigned patience_ms, int stop_fd, struct err *err)
{
	/* What stands before dbname is overridden by conninfo, what follows is not. */
	static const char *const keys[] = {"keepalives_idle", "keepalives_interval",
		"keepalives_count", "fallback_application_name", "dbname",
		"client_encoding", NULL};
	const char *const values[] = {
		"10", "5", "3", "interactd", conninfo, "UTF8", NULL};
	struct err ignored;
	struct pg_sync *s;

	if (pg_check_conninfo(conninfo, err) < 0)
		return NULL;
	s = xcalloc(1, sizeof(*s));
	s->patience_ms = patience_ms;
	s->stop_fd = stop_fd;
	s->pq = PQconnectStartParams(keys, values, 1);
	if (connect_wait(s, err) < 0) {
		pg_sync_close(&s);
		return NULL;
	}
	PQsetNoticeProcessor(s->pq, on_notice, NULL);
	if (pg_sync_exec(s, "SET timezone TO UTC", &ignored) < 0)
		log_debug("pg", "%s", ignored.text);
	return s;
}

struct pg_sync *
pg_sync_open(const char *conninfo, struct err *err)
{
	return pg_sync_open_patient(conninfo, 0, -1, err);
}

void
pg_sync_set_patience(struct pg_sync *s, unsigned patience_ms)
{
	s->patience_ms = patience_ms;
}

void
pg_sync_close(struct pg_sync **sp)
{
	if (!*sp)
		return;
	PQfinish((*sp)->pq);
	xfree(sp);
}

/* Classes of SQLSTATE (PostgreSQL, appendix A) that are the server's state and not the
 * statement's fault: connection, transaction rolled back, resources, intervention; and
 * 25006, a server that only reads. None: the connection broke. */
static bool
state_may_pass(const char *state)
{
	static const char *const begins[] = {"08", "25006", "40", "53", "55P03", "57"};

	for (size_t i = 0; state && i < ARRAY_LEN(begins); i++)
		if (!strncmp(state, begins[i], strlen(begins[i])))
			return true;
	return !state;
}

/* Takes r. */
static int
result_check(PGresult *r, struct err *err)
{
	ExecStatusType status = PQresultStatus(r);
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	char line[400];
	int rc = 0;

	if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT)
		rc = err_set(err, "COPY is not for this");
	else if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK &&
		 status != PGRES_EMPTY_QUERY)
		rc = err_set(err, "%s%s%s%s",
			pg_one_line(line, sizeof(line), PQresultErrorMessage(r)),
			state ? " (" : "", state ? state : "", state ? ")" : "");
	if (rc < 0 && err && state_may_pass(state))
		err->code = PG_MAY_PASS;
	PQclear(r);
	return rc;
}

/* The first bad result of what was sent, else the last; NULL and err if it did not come.
 * `sent` is what libpq said to the sending. */
static PGresult *
result_wait(struct pg_sync *s, int sent, struct err *err)
{
	int64_t end_us = patience_end(s);
	PGresult *kept = NULL, *r;
	char line[256];

	if (!sent) {
		may_pass(err, pg_one_line(line, sizeof(line), PQerrorMessage(s->pq)));
		return NULL;
	}
	for (;;) {
		while (PQisBusy(s->pq)) {
			if (socket_wait(s, POLLIN, end_us, err) < 0) {
				PQclear(kept);
				return NULL;
			}
			if (!PQconsumeInput(s->pq))
				break; /* PQgetResult tells */
		}
		r = PQgetResult(s->pq);
		if (!r)
			return kept;
		bool bad = kept && PQresultStatus(kept) == PGRES_FATAL_ERROR;
		PQclear(bad ? r : kept);
		kept = bad ? kept : r;
		if (PQresultStatus(kept) == PGRES_COPY_IN ||
			PQresultStatus(kept) == PGRES_COPY_OUT)
			return kept; /* it would come for ever */
	}
}

int
pg_sync_exec(struct pg_sync *s, const char *sql, struct err *err)
{
	PGresult *r = result_wait(s, PQsendQuery(s->pq, sql), err);

	return r ? result_check(r, err) : -1;
}

static void
rows_give(const PGresult *r, pg_row_fn *on_row, void *arg)
{
	char *cols[COLUMNS_MAX];
	int n = PQnfields(r);

	assert(n <= COLUMNS_MAX);
	for (int row = 0; row < PQntuples(r); row++) {
		for (int i = 0; i < n; i++)
			cols[i] = PQgetisnull(r, row, i) ? NULL : PQgetvalue(r, row, i);
		on_row(arg, n, cols);
	}
}

int
pg_sync_query(struct pg_sync *s, const char *sql, int n_params,
	const char *const *params, pg_row_fn *on_row, void *arg, struct err *err)
{
	PGresult *r = result_wait(s,
		PQsendQueryParams(s->pq, sql, n_params, NULL, params, NULL, NULL, 0),
		err);

	if (!r)
		return -1;
	if (on_row && PQresultStatus(r) == PGRES_TUPLES_OK)
		rows_give(r, on_row, arg);
	return result_check(r, err);
}
