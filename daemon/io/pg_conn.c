/* pg_conn.c - one connection to PostgreSQL: how it gets up and down, and sending units.
 *
 * conn_set_state is the only writer of `state`; the timer follows from the state. Any
 * failure ends in pg_conn_fail, which answers what was in flight as PG_LOST and waits
 * for the next attempt. Reading is always wanted while UP, writing while PQflush says
 * so. Next: pg_wire.c for what comes back. */
#include "io/pg_conn_priv.h"

#include <mem.h>
#include <str.h>

#include "io/loop.h"

#include <event2/event.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *const state_names[] = {
#define S(name, doc) #name,
	PG_CONN_STATES(S)
#undef S
};

static const unsigned state_next[] = {
	[PG_CONN_DOWN] = 1u << PG_CONN_RESOLVING,
	[PG_CONN_RESOLVING] = 1u << PG_CONN_CONNECTING | 1u << PG_CONN_DOWN,
	[PG_CONN_CONNECTING] = 1u << PG_CONN_UP | 1u << PG_CONN_DOWN,
	[PG_CONN_UP] = 1u << PG_CONN_DOWN,
};

static void conn_step(struct pg_conn *);

static void
conn_set_state(struct pg_conn *c, enum pg_conn_state next)
{
	assert(state_next[c->state] & 1u << next);
	log_debug(c->who, "%s -> %s", state_names[c->state], state_names[next]);
	c->state = next;
	switch (next) {
	case PG_CONN_DOWN:
		loop_timer_start(
			c->timer, loop_backoff_ms(c->failures++, PG_BACKOFF_MIN_MS,
					  PG_BACKOFF_MAX_MS));
		break;
	case PG_CONN_RESOLVING:
		loop_timer_start(c->timer, c->pg->opts.connect_timeout_ms);
		break;
	case PG_CONN_CONNECTING: break; /* the same deadline */
	case PG_CONN_UP:
		loop_timer_stop(c->timer);
		c->failures = 0;
		break;
	}
}

/* --- down --- */

static void
event_drop(struct event **evp)
{
	if (*evp)
		event_free(*evp);
	*evp = NULL;
}

static void
resolving_cancel(struct pg_conn *c)
{
	for (size_t i = 0; i < pg_conninfo_hosts(c->pg->conninfo); i++)
		resolve_cancel(&c->lookups[i].running);
}

void
pg_slot_free(struct pg_slot *s)
{
	list_remove(&s->link);
	s->conn->n_slots--;
	if (s->unit)
		s->unit->slot = NULL;
	xfree(&s->prepares);
	xfree(&s);
}

static void
slots_lose(struct pg_conn *c)
{
	list_for_each_safe (&c->slots, it) {
		struct pg_slot *s = LIST_ENTRY(it, struct pg_slot, link);
		struct pg_unit *u = s->unit;
		pg_slot_free(s);
		if (u) {
			pg_unit_forget_results(u);
			pg_finish(u, PG_LOST);
		}
	}
}

/* Lets go of everything that belongs to this attempt or session. */
static void
conn_reset(struct pg_conn *c)
{
	event_drop(&c->ev_read);
	event_drop(&c->ev_write);
	resolving_cancel(c);
	work_cancel(&c->cancel);
	c->cancelled_us = c->cancel_end_us = 0;
	PQfinish(c->pq);
	c->pq = NULL;
	for (size_t i = 0; i < c->n_prepared; i++)
		xfree(&c->prepared[i].error);
	xfree(&c->prepared);
	c->n_prepared = 0;
	slots_lose(c);
}

void
pg_conn_fail(struct pg_conn *c, const char *reason)
{
	bool was_up = c->state == PG_CONN_UP;
	char line[256];

	pg_one_line(line, sizeof(line), *c->farewell ? c->farewell : reason);
	/* Of a session's end only the first line tells: guesses follow. Of a failed
	 * attempt there is a line per host. */
	size_t first = strcspn(reason, "\n");
	if (was_up && !*c->farewell && first < strlen(line))
		line[first] = '\0';
	c->farewell[0] = '\0';
	conn_reset(c);
	conn_set_state(c, PG_CONN_DOWN);
	pg_on_conn_down(c->pg, c->who, was_up, line);
}

static void
conn_fail_pq(struct pg_conn *c)
{
	pg_conn_fail(c, PQerrorMessage(c->pq));
}

/* --- up --- */

static void
on_notice(void *arg, const PGresult *r)
{
	struct pg_conn *c = arg;
	char line[512];

	log_debug(
		c->who, "%s", pg_one_line(line, sizeof(line), PQresultErrorMessage(r)));
	pg_wire_note_fatal(c, r);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct pg_conn *c = arg;

	(void)fd;
	(void)what;
	/* What came before the connection broke may hold answers: read it first. */
	bool alive = PQconsumeInput(c->pq) == 1;
	pg_wire_read(c);
	if (c->state != PG_CONN_UP)
		return;
	if (!alive || PQstatus(c->pq) == CONNECTION_BAD)
		conn_fail_pq(c);
	else
		pg_conn_update_events(c);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pg_conn_update_events(arg);
}

/* Reading is always on. libpq buffers what the socket does not take. */
void
pg_conn_update_events(struct pg_conn *c)
{
	int more = PQflush(c->pq);

	if (more < 0)
		conn_fail_pq(c);
	else if (more)
		event_add(c->ev_write, NULL);
	else
		event_del(c->ev_write);
}

static void
event_make(struct pg_conn *c, struct event **evp, short what, event_callback_fn fn)
{
	event_drop(evp);
	*evp = event_new(loop_base(c->pg->loop), PQsocket(c->pq), what, fn, c);
	assert(*evp);
}

static void
conn_on_up(struct pg_conn *c)
{
	if (PQsetnonblocking(c->pq, 1) < 0 || !PQenterPipelineMode(c->pq)) {
		conn_fail_pq(c);
		return;
	}
	conn_set_state(c, PG_CONN_UP);
	event_make(c, &c->ev_read, EV_READ | EV_PERSIST, on_readable);
	event_make(c, &c->ev_write, EV_WRITE, on_writable);
	event_add(c->ev_read, NULL);
	pg_on_conn_up(c->pg);
}

static void
on_connect_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conn_step(arg);
}

/* libpq may change its socket from step to step (another host, without TLS). */
static void
conn_wait(struct pg_conn *c, short what)
{
	event_make(c, &c->ev_read, what, on_connect_event);
	event_add(c->ev_read, NULL);
}

static void
conn_step(struct pg_conn *c)
{
	event_drop(&c->ev_read);
	switch (PQconnectPoll(c->pq)) {
	case PGRES_POLLING_READING: conn_wait(c, EV_READ); break;
	case PGRES_POLLING_WRITING: conn_wait(c, EV_WRITE); break;
	case PGRES_POLLING_OK: conn_on_up(c); break;
	default: conn_fail_pq(c); break;
	}
}

static void
conn_connect(struct pg_conn *c)
{
	struct err err;

	conn_set_state(c, PG_CONN_CONNECTING);
	c->pq = pg_conninfo_connect(c->pg->conninfo, c->addresses, c->first_host, &err);
	if (!c->pq) {
		pg_conn_fail(c, err.text);
		return;
	}
	PQsetNoticeReceiver(c->pq, on_notice, c);
	if (PQstatus(c->pq) == CONNECTION_BAD)
		conn_fail_pq(c);
	else
		conn_wait(c, EV_WRITE);
}

static bool
conn_is_resolving(const struct pg_conn *c)
{
	for (size_t i = 0; i < pg_conninfo_hosts(c->pg->conninfo); i++) {
		if (c->lookups[i].running)
			return true;
	}
	return false;
}

static void
lookup_on_answer(void *arg, const struct resolve_addr *addrs, size_t n, const char *why)
{
	struct pg_lookup *l = arg;
	struct pg_conn *c = l->conn;
	struct pg_addresses *a = &c->addresses[l - c->lookups];

	l->running = NULL;
	a->n = n < ARRAY_LEN(a->text) ? n : ARRAY_LEN(a->text);
	for (size_t i = 0; i < a->n; i++)
		resolve_text(a->text[i], &addrs[i]);
	str_copy(a->why, sizeof(a->why), why ? why : "");
	if (!conn_is_resolving(c))
		conn_connect(c);
}

static void
conn_attempt(struct pg_conn *c)
{
	const struct pg_conninfo *ci = c->pg->conninfo;

	conn_set_state(c, PG_CONN_RESOLVING);
	for (size_t i = 0; i < pg_conninfo_hosts(ci); i++) {
		const char *name = pg_conninfo_name(ci, i);
		if (name)
			c->lookups[i].running = resolve_start(c->pg->loop, name, 0,
				c->pg->opts.connect_timeout_ms, lookup_on_answer,
				&c->lookups[i]);
	}
	if (!conn_is_resolving(c))
		conn_connect(c);
}

static void
conn_on_timer(void *arg)
{
	struct pg_conn *c = arg;
	char reason[80];

	switch (c->state) {
	case PG_CONN_DOWN: conn_attempt(c); break;
	case PG_CONN_RESOLVING:
	case PG_CONN_CONNECTING:
		snprintf(reason, sizeof(reason), "no connection within %u ms",
			c->pg->opts.connect_timeout_ms);
		c->first_host++; /* the silent one must not keep us from the others */
		pg_conn_fail(c, reason);
		break;
	case PG_CONN_UP: pg_wire_on_timer(c); break;
	}
}

/* --- sending --- */

struct pg_prepared *
pg_conn_prepared(struct pg_conn *c, const struct pg_statement *st)
{
	if (st->index >= c->n_prepared) {
		size_t n = c->pg->n_statements;
		c->prepared = xrealloc(c->prepared, n * sizeof(*c->prepared));
		memset(c->prepared + c->n_prepared, 0,
			(n - c->n_prepared) * sizeof(*c->prepared));
		c->n_prepared = n;
	}
	return &c->prepared[st->index];
}

/* The name on this connection, in dst if it differs from the statement's own. */
static const char *
prepared_name(struct pg_conn *c, const struct pg_statement *st, char *dst, size_t cap)
{
	unsigned generation = pg_conn_prepared(c, st)->generation;

	if (!generation)
		return st->name;
	snprintf(dst, cap, "%s.%u", st->name, generation);
	return dst;
}

static bool
send_prepare(struct pg_slot *s, struct pg_statement *st)
{
	struct pg_prepared *p = pg_conn_prepared(s->conn, st);
	char name[96];

	if (p->known)
		return true;
	p->known = true;
	s->preparing = true;
	s->prepares = xrealloc(s->prepares, (s->n_prepares + 1) * sizeof(*s->prepares));
	s->prepares[s->n_prepares++] = st;
	return PQsendPrepare(s->conn->pq,
		prepared_name(s->conn, st, name, sizeof(name)), st->sql, 0, NULL);
}

static bool
send_call(struct pg_slot *s, const struct pg_call *call)
{
	const char *values[PG_PARAMS_MAX];
	char name[96];

	assert(call->n <= PG_PARAMS_MAX);
	for (size_t i = 0; i < call->n; i++)
		values[i] = pg_unit_param(s->unit, call->first + i);
	if (!call->statement)
		return PQsendQueryParams(s->conn->pq, call->sql, (int)call->n, NULL,
			values, NULL, NULL, 0);
	return PQsendQueryPrepared(s->conn->pq,
		prepared_name(s->conn, call->statement, name, sizeof(name)),
		(int)call->n, values, NULL, NULL, 0);
}

/* The PREPAREs have a sync of their own: a unit that fails must not undo them. */
static bool
send_slot(struct pg_slot *s)
{
	const struct pg_unit *u = s->unit;

	for (size_t i = 0; i < u->n_calls; i++) {
		if (u->calls[i].statement && !send_prepare(s, u->calls[i].statement))
			return false;
	}
	if (s->preparing && !PQpipelineSync(s->conn->pq))
		return false;
	for (size_t i = 0; i < u->n_calls; i++) {
		if (!send_call(s, &u->calls[i]))
			return false;
	}
	return PQpipelineSync(s->conn->pq);
}

void
pg_conn_send(struct pg_conn *c, struct pg_unit *u)
{
	struct pg_slot *s = xcalloc(1, sizeof(*s));

	s->conn = c;
	s->unit = u;
	u->slot = s;
	list_append(&c->slots, &s->link);
	c->n_slots++;
	if (send_slot(s))
		pg_conn_update_events(c);
	else
		conn_fail_pq(c);
}

/* While a cancel is under way it could hit whatever comes next. */
bool
pg_conn_can_take(const struct pg_conn *c)
{
	if (c->state != PG_CONN_UP || c->n_slots >= PG_DEPTH || c->cancel)
		return false;
	return !c->n_slots || LIST_ENTRY(c->slots.next, struct pg_slot, link)->unit;
}

size_t
pg_conn_load(const struct pg_conn *c)
{
	return c->n_slots;
}

void
pg_conn_abandon(struct pg_unit *u)
{
	struct pg_slot *s = u->slot;

	u->slot = NULL;
	s->unit = NULL;
	pg_wire_check_head(s->conn);
}

/* --- life --- */

struct pg_conn *
pg_conn_new(struct pg *pg, unsigned number)
{
	struct pg_conn *c = xcalloc(1, sizeof(*c));
	size_t hosts = pg_conninfo_hosts(pg->conninfo);

	c->pg = pg;
	snprintf(c->who, sizeof(c->who), "%s %u", pg->who, number);
	c->timer = loop_timer_new(pg->loop, conn_on_timer, c);
	list_init(&c->slots);
	c->addresses = xcalloc(hosts, sizeof(*c->addresses));
	c->lookups = xcalloc(hosts, sizeof(*c->lookups));
	for (size_t i = 0; i < hosts; i++)
		c->lookups[i].conn = c;
	return c;
}

void
pg_conn_start(struct pg_conn *c)
{
	loop_timer_start(c->timer, 0);
}

void
pg_conn_free(struct pg_conn **cp)
{
	struct pg_conn *c = *cp;

	*cp = NULL;
	conn_reset(c);
	loop_timer_free(&c->timer);
	xfree(&c->addresses);
	xfree(&c->lookups);
	xfree(&c);
}
