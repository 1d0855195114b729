/* pg.h - PostgreSQL without blocking: connections in pipeline mode behind a pool.
 *
 * Work comes as units. A unit is one or more named statements that share one pipeline
 * sync, and so one transaction: all of it happens or none. Units on one connection run in
 * the order given; a failing unit aborts only itself. Statements live in .sql files
 *
 *	-- name: contact_get
 *	SELECT ... WHERE tenant_id = $1::int
 *
 * and are prepared once per connection, when first used, by that name.
 *
 * While no connection is up, units wait (bounded by queue_max and by their deadlines); a
 * unit whose connection broke before its answer came ends as PG_LOST: it may or may not
 * have happened, and the caller decides (our writes are idempotent).
 *
 * A sent unit whose deadline passes is answered at once and cancelled; if the server does
 * not react within 2 s, its connection is replaced (units behind it are PG_LOST). A unit
 * that such a cancel hits by mistake was rolled back, and is run again by itself.
 *
 * Host names in conninfo are resolved off the loop, all their addresses are tried; those
 * of a service file are not seen here and would block. */
#ifndef INTERACTD_IO_PG_H
#define INTERACTD_IO_PG_H

#include <buf.h>
#include <err.h>
#include <errno.h>
#include <loop.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uuid.h>

struct pg;
struct pg_unit;

struct pg_opts {
	const char *conninfo; /* libpq's, several hosts allowed */
	unsigned connections;
	unsigned queue_max; /* units waiting and running; one more fails as PG_FULL */
	unsigned connect_timeout_ms;
	const char *application_name; /* the last of several words stands in the log */
	/* Of every session, as "-c name=value …", after conninfo's own; NULL = none. Never
	 * logged. */
	const char *server_options;
	void (*on_state)(
		void *arg, bool up); /* may be NULL: first connection up, last down */
	void *arg;
};

/* Borrows opts until return; connects in the background. text: .sql source(s) with the
 * "-- name:" statements, borrowed for the pool's life (see embedded.h). */
struct pg *pg_open(struct loop *, const struct pg_opts *);
/* Says what is wrong with a conninfo (its syntax and option names; nothing is tried). */
int pg_check_conninfo(const char *conninfo, struct err *) MUST_CHECK;
/* Adds statements; a name given twice is an error of ours (assert). */
void pg_add_statements(struct pg *, const char *sql_text);
/* Ends all units that wait or run as PG_LOST (callbacks run before this returns). */
void pg_close(struct pg **);
bool pg_is_up(const struct pg *);
/* The last reason a connection failed, and since when none is up (wall us); "" if up. */
const char *pg_down_reason(const struct pg *, int64_t *since_us_r);
int64_t pg_down_us(const struct pg *); /* for how long none is up; 0 = one is */
size_t pg_backlog(const struct pg *);  /* units waiting or running */

enum pg_status {
	PG_OK,
	PG_ERROR, /* the server said no: see pg_result's sqlstate and message */
	PG_LOST,  /* connection broke, or pool closed: outcome unknown */
	PG_TIMEOUT, /* deadline passed; if it had been sent it is cancelled, outcome unknown */
	PG_FULL, /* never queued */
};

/* What a unit gives its callback; borrowed until the callback returns. */
struct pg_answer {
	enum pg_status status;
	char sqlstate[6];	/* of the statement that failed */
	const char *message;	/* primary message; never NULL */
	const char *constraint; /* violated constraint's name or "" */
	size_t failed;		/* index of the statement that failed */
	const void *priv;
};
typedef void pg_answer_fn(void *arg, const struct pg_answer *);

/* Rows of statement i of a unit (0-based). Text format; "" and NULL are told apart. */
size_t pg_rows(const struct pg_answer *, size_t i);
size_t pg_affected(const struct pg_answer *, size_t i);
const char *
pg_text(const struct pg_answer *, size_t i, size_t row, int col); /* or NULL */
size_t pg_text_len(const struct pg_answer *, size_t i, size_t row, int col);
int64_t pg_int(const struct pg_answer *, size_t i, size_t row, int col); /* NULL = 0 */
bool pg_bool(const struct pg_answer *, size_t i, size_t row, int col);
/* timestamptz columns must be selected as microseconds since 1970 (bigint): pg_int. */
struct uuid
pg_uuid(const struct pg_answer *, size_t i, size_t row, int col); /* or nil */

/* A unit being built: statements with their parameters, then pg_submit. */
struct pg_unit *pg_unit_new(struct pg *);
void pg_unit_drop(struct pg_unit **); /* instead of submitting */
void pg_add(struct pg_unit *, const char *statement);
/* A statement that was compiled, not written: constant pieces and $n, never text of
 * anybody's. It has no name and is planned for its parameters. Copied. */
void pg_add_sql(struct pg_unit *, const char *sql);
/* Parameters of the statement added last, in order; copied. NUL bytes are dropped
 * (PostgreSQL's text has none); text must be valid UTF-8 or the unit fails (utf8_clean). */
void pg_param_text(struct pg_unit *, const char *s); /* NULL = SQL NULL */
void pg_param_text_len(struct pg_unit *, const char *s, size_t len);
void pg_param_int(struct pg_unit *, int64_t v);
void pg_param_bool(struct pg_unit *, bool v);
void pg_param_uuid(struct pg_unit *, const struct uuid *); /* NULL or nil = SQL NULL */
void pg_param_null(struct pg_unit *);
/* Array literals, element by element: text[]; pg_array_add(NULL) adds a NULL element. */
void pg_array_begin(struct pg_unit *);
void pg_array_add(struct pg_unit *, const char *s);
void pg_array_add_len(struct pg_unit *, const char *s, size_t len);
void pg_array_add_int(struct pg_unit *, int64_t v);
void pg_array_add_bool(struct pg_unit *, bool v);
void pg_array_add_uuid(struct pg_unit *, const struct uuid *);
void pg_array_end(struct pg_unit *);
/* Takes the unit. deadline_ms counts from now, waiting included. cb comes exactly once,
 * never before this returns; cb may be NULL. */
void pg_submit(struct pg_unit **, unsigned deadline_ms, pg_answer_fn *cb, void *arg);

/* Blocking, for interactctl, migrations at start and tests: runs sql (several statements
 * allowed) on a connection of its own. */
struct pg_sync;
struct pg_sync *pg_sync_open(const char *conninfo, struct err *);
/* The same for a thread that must not wait for ever: an answer that takes longer than
 * patience_ms (0 = no limit), or that is not there when stop_fd (-1 = none) becomes
 * readable, is an error, and the session is of no more use. */
struct pg_sync *pg_sync_open_patient(
	const char *conninfo, unsigned patience_ms, int stop_fd, struct err *);
void pg_sync_set_patience(struct pg_sync *, unsigned patience_ms);
/* Of an error's code: it may pass by itself (the server is away, full, read-only). */
#define PG_MAY_PASS EAGAIN
void pg_sync_close(struct pg_sync **);
int pg_sync_exec(struct pg_sync *, const char *sql, struct err *) MUST_CHECK;
/* One statement with text parameters (NULL = SQL NULL). on_row may be NULL. */
typedef void pg_row_fn(void *arg, int n, char *const *cols);
int pg_sync_query(struct pg_sync *, const char *sql, int n_params,
	const char *const *params, pg_row_fn *on_row, void *arg,
	struct err *) MUST_CHECK;

#endif
