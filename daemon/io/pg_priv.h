/* pg_priv.h - what the files of pg share; nobody else includes it.
 *
 *	pg.c          the pool: statements, queue, distribution, deadlines, answers
 *	pg_unit.c     a unit's parameters and results
 *	pg_conn.c     one connection: its states, what is sent
 *	pg_wire.c     what comes back, and cancelling
 *	pg_conninfo.c conninfo with its host names resolved
 *	pg_sync.c     the blocking form
 *
 * A unit is in exactly one place: being built (its owner's), pg->waiting, a
 * connection's slot, or pg->done. A slot is a unit's place in a connection's pipeline
 * and outlives a unit that timed out: what was sent must still be read. User callbacks
 * run only in pg_work (a timer of its own) and pg_close, never under a connection's
 * code. */
#ifndef INTERACTD_IO_PG_PRIV_H
#define INTERACTD_IO_PG_PRIV_H

#include <libpq-fe.h>
#include <list.h>
#include <log.h>
#include <map.h>
#include "io/pg.h"
#include "io/resolve.h"
#include "io/work.h"

/* Deeper pipelines gain nothing and make a unit wait behind more strangers. */
#define PG_DEPTH      16
#define PG_PARAMS_MAX 256 /* of one statement */
/* A cancelled unit that is not answered after this takes its connection with it. */
#define PG_CANCEL_GRACE_MS 2000
#define PG_CANCEL_RETRY_MS 250
#define PG_BACKOFF_MIN_MS  200
#define PG_BACKOFF_MAX_MS  5000

struct pg_statement {
	char *name, *sql;
	size_t index; /* in pg->statements and in a connection's `prepared` */
};

/* One statement of a unit with its parameters. */
struct pg_call {
	struct pg_statement *statement; /* NULL: sql */
	char *sql;
	size_t first, n; /* in unit->params */
	PGresult *result;
};

struct pg_slot;

struct pg_unit {
	struct list link;
	struct pg *pg;
	struct pg_slot *slot; /* while sent */
	struct pg_call *calls;
	size_t n_calls, cap_calls;
	size_t *params; /* offsets into data; SIZE_MAX = NULL */
	size_t n_params, cap_params;
	struct buf data;
	size_t array_len; /* elements so far of the array being built */
	bool in_array;
	struct loop_timer *deadline;
	pg_answer_fn *cb;
	void *arg;
	/* the answer */
	enum pg_status status;
	bool failed;
	size_t failed_at;
	char sqlstate[6];
	char *message, *constraint;
};

struct pg_conn;
struct pg_conninfo;

struct pg {
	struct loop *loop;
	struct pg_opts opts;	      /* strings are ours */
	char who[32];		      /* in the log: "pg reads" */
	struct pg_conninfo *conninfo; /* NULL: unusable, see reason */
	struct map by_name;
	struct pg_statement **statements;
	size_t n_statements;
	struct pg_conn **conns;
	struct list waiting, done;
	size_t n_units; /* waiting and sent */
	struct loop_timer
		*work; /* pg_work, soon; a timer because pg_close can stop it */
	bool closed;
	/* up and down */
	unsigned n_up;
	bool told_up, outage_logged;
	int64_t down_since_us, down_since_mono_us;
	char reason[256];
	struct log_once partial; /* one connection fails while others work */
};

/* pg.c, for connections. None calls back into user code. */
void pg_on_conn_up(struct pg *);
void pg_on_conn_down(struct pg *, const char *who, bool was_up, const char *reason);
void pg_finish(struct pg_unit *, enum pg_status); /* takes; removes it from its list */
void pg_requeue(struct pg_unit *); /* was rolled back by no fault of its own */
void pg_wake(struct pg *);	   /* pg_work, soon */

/* pg_unit.c */
void pg_unit_free(struct pg_unit *);
const char *pg_unit_param(const struct pg_unit *, size_t i);
void pg_unit_set_error(struct pg_unit *, size_t at, const PGresult *);
void pg_unit_forget_results(struct pg_unit *);

/* pg_conn.c and pg_wire.c */
struct pg_conn *pg_conn_new(struct pg *, unsigned number);
void pg_conn_free(struct pg_conn **); /* units in flight end as PG_LOST */
void pg_conn_start(struct pg_conn *);
bool pg_conn_can_take(const struct pg_conn *);
size_t pg_conn_load(const struct pg_conn *);
void pg_conn_send(struct pg_conn *, struct pg_unit *);
/* The unit timed out while sent: its slot stays, the unit is free to go. */
void pg_conn_abandon(struct pg_unit *);

/* pg_conninfo.c */
struct pg_conninfo *pg_conninfo_parse(const char *conninfo,
	const char *application_name, const char *server_options, struct err *);
void pg_conninfo_free(struct pg_conninfo **);
size_t pg_conninfo_hosts(const struct pg_conninfo *);
/* The i-th host's name if it has to be resolved, else NULL (socket, number, hostaddr).
 */
const char *pg_conninfo_name(const struct pg_conninfo *, size_t i);
/* What the i-th host's name turned out to be. */
struct pg_addresses {
	size_t n;
	char text[4][RESOLVE_TEXT_LEN];
	char why[160]; /* if n is 0 */
};
/* Starts a connection, hosts in turn from the first-th on; one entry of addrs per host.
 * NULL and err if none of the names is known. The caller checks PQstatus. */
PGconn *pg_conninfo_connect(const struct pg_conninfo *,
	const struct pg_addresses *addrs, size_t first, struct err *);
/* libpq's messages as one line. Returns dst. */
char *pg_one_line(char *dst, size_t cap, const char *message);

#endif
