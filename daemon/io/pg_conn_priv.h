/* pg_conn_priv.h - a connection as pg_conn.c and pg_wire.c see it.
 *
 * A slot is one unit's place in the pipeline, in the order of the wire:
 *
 *	PREPARE... Sync   only if a statement is new to this connection
 *	EXECUTE... Sync
 *
 * `at` counts the results of the part being read. The head of `slots` is what the
 * server works on now; only it is ever cancelled. */
#ifndef INTERACTD_IO_PG_CONN_PRIV_H
#define INTERACTD_IO_PG_CONN_PRIV_H

#include "io/pg_priv.h"

struct event;

#define PG_CONN_STATES(S)                                                              \
	S(DOWN, "waits for its next attempt")                                          \
	S(RESOLVING, "host names are being looked up")                                 \
	S(CONNECTING, "libpq's connection dialogue runs")                              \
	S(UP, "takes units")

enum pg_conn_state {
#define S(name, doc) PG_CONN_##name,
	PG_CONN_STATES(S)
#undef S
};

struct pg_slot {
	struct list link;
	struct pg_conn *conn;
	struct pg_unit *unit; /* NULL: timed out, nobody waits for this any more */
	struct pg_statement **prepares;
	size_t n_prepares;
	bool preparing; /* the PREPARE part is being read */
	size_t at;
	bool got; /* the result of `at` has come; its NULL has not */
};

/* How a statement stands on this connection. A plan that the server refuses since its
 * tables changed is prepared again under another name (`generation`). */
struct pg_prepared {
	bool known; /* PREPARE is sent or done */
	unsigned generation;
	/* Why its last PREPARE here failed (NULL: it did not); a unit sent behind it only
	 * sees "unknown". */
	char *error;
	char sqlstate[6];
};

/* A host name being looked up; knows which for the callback. */
struct pg_lookup {
	struct pg_conn *conn;
	struct resolve *running; /* NULL = not asked, or answered */
};

struct pg_conn {
	struct pg *pg;
	char who[48]; /* "pg reads 1" */
	enum pg_conn_state state;
	PGconn *pq;
	struct event *ev_read, *ev_write;
	/* DOWN: next attempt. RESOLVING, CONNECTING: their deadline. UP: runs while the
	 * head is being cancelled. */
	struct loop_timer *timer;
	unsigned failures; /* attempts since it was up */
	size_t first_host;
	struct pg_lookup *lookups; /* one per host, as are the addresses */
	struct pg_addresses *addresses;
	struct list slots;
	size_t n_slots;
	struct pg_prepared *prepared; /* by statement index */
	size_t n_prepared;
	struct work *cancel;
	int64_t cancelled_us;  /* when one was last under way; 0 = never */
	int64_t cancel_end_us; /* the head has to be through by then */
	char farewell[200];    /* the server's FATAL message before it hung up */
};

void pg_conn_fail(struct pg_conn *, const char *reason); /* whatever its state */
void pg_conn_update_events(struct pg_conn *);
struct pg_prepared *pg_conn_prepared(struct pg_conn *, const struct pg_statement *);
void pg_slot_free(struct pg_slot *);
/* pg_wire.c: reads what has come, as far as it goes. */
void pg_wire_read(struct pg_conn *);
/* Keeps what the server says before it hangs up. */
void pg_wire_note_fatal(struct pg_conn *, const PGresult *);
/* The head may be new, or nobody may wait for it any more: then asks the server to stop
 * it, and again until it is through or the connection is given up. */
void pg_wire_check_head(struct pg_conn *);
void pg_wire_on_timer(struct pg_conn *);

#endif
