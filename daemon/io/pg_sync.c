/* pg_sync.c - PostgreSQL, blocking: for interactctl, migrations at start, and tests.
 *
 * Never from the loop. Whatever the server answers that is not success is an error with
 * its message and SQLSTATE. */
#include "io/pg_priv.h"

#include <mem.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 128

struct pg_sync {
	PGconn *pq;
};

static void
on_notice(void *arg, const char *message)
{
	char line[512];

	(void)arg;
	log_debug("pg", "%s", pg_one_line(line, sizeof(line), message));
}

struct pg_sync *
pg_sync_open(const char *conninfo, struct err *err)
{
	/* What stands before dbname is overridden by conninfo, what follows is not. */
	static const char *const keys[] = {"connect_timeout",
		"fallback_application_name", "dbname", "client_encoding", NULL};
	const char *const values[] = {"10", "interactd", conninfo, "UTF8", NULL};
	struct pg_sync *s;
	char line[256];

	if (pg_check_conninfo(conninfo, err) < 0)
		return NULL;
	s = xcalloc(1, sizeof(*s));
	s->pq = PQconnectdbParams(keys, values, 1);
	if (PQstatus(s->pq) != CONNECTION_OK) {
		err_set(err, "%s",
			pg_one_line(line, sizeof(line), PQerrorMessage(s->pq)));
		pg_sync_close(&s);
		return NULL;
	}
	PQsetNoticeProcessor(s->pq, on_notice, NULL);
	PQclear(PQexec(s->pq, "SET timezone TO UTC"));
	return s;
}

void
pg_sync_close(struct pg_sync **sp)
{
	if (!*sp)
		return;
	PQfinish((*sp)->pq);
	xfree(sp);
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
	PQclear(r);
	return rc;
}

int
pg_sync_exec(struct pg_sync *s, const char *sql, struct err *err)
{
	return result_check(PQexec(s->pq, sql), err);
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
	PGresult *r = PQexecParams(s->pq, sql, n_params, NULL, params, NULL, NULL, 0);

	if (on_row && PQresultStatus(r) == PGRES_TUPLES_OK)
		rows_give(r, on_row, arg);
	return result_check(r, err);
}
