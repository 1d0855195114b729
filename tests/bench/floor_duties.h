/* floor_duties.h - what the contract forces upon a screen pop beside looking up and
 * publishing, done in the least way; for floor_pop.c.
 *
 * Every byte goes to a file that a thread syncs every 5 ms. Pops are numbered, stored and
 * published by the product's own script: opened, updated when the agent answers, closed
 * at the end. A call that ended is a row in the table of floor_commit.c (what waited while
 * the last batch committed is the next), and an event on Redis after its commit. */
#ifndef INTERACTD_BENCH_FLOOR_DUTIES_H
#define INTERACTD_BENCH_FLOOR_DUTIES_H

#include <base/embedded.h>
#include <map.h>
#include <str.h>

#include "bench.h"

#include <event2/event.h>
#include <fcntl.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <unistd.h>

struct caller {
	char number[32], name[48], uid[48], leg[48], agent[32];
};

struct duty_call {
	struct caller who;
	int64_t contact;
	struct buf tail; /* of its pop */
};

struct duties {
	bool on;
	int spool;
	redisAsyncContext *redis;
	char sha1[41];
	struct map calls; /* leg -> struct duty_call */
	PGconn *pg;
	struct event *readable, *writable;
	struct buf rows, committing; /* "(contact,'json'),…": values of an INSERT */
	struct buf events, told;     /* their agents, a NUL after each */
	unsigned n_rows;
	bool busy;
};

static struct duties duties;

static void
duties_spool(const char *data, size_t len)
{
	if (duties.on && write(duties.spool, data, len) != (ssize_t)len)
		die("spool", "cannot be written");
}

static inline void *
duties_sync(void *arg)
{
	struct timespec pause = {0, 5000000};

	for (;;) {
		fdatasync(duties.spool);
		nanosleep(&pause, NULL);
	}
	return arg;
}

/* One call of pop.lua: its keys and arguments are described there. */
static void
duties_script(const struct duty_call *c, const char *op)
{
	static const char key[] = "interactd:default:";
	const char *a = c->who.agent;

	redisAsyncCommand(duties.redis, NULL, NULL,
		"EVALSHA %s 5 %sepoch %spops:%s %sopen:%s %sopen-index %sclosed:%s %s %s "
		"%sagent:%s agent:%s 1000 floor0 %s 0 %s %s %b",
		duties.sha1, key, key, a, key, a, key, key, a, op, c->who.leg, key, a,
		a, "", "", "1", c->tail.data, c->tail.len);
}

static void
duties_open(const struct caller *who, int64_t contact, const struct buf *tail)
{
	struct duty_call *c = xcalloc(1, sizeof(*c));

	c->who = *who;
	c->contact = contact;
	buf_add(&c->tail, tail->data, tail->len);
	map_put(&duties.calls, who->leg, c);
	duties_script(c, "put");
}

static void
duties_answer(const char *leg)
{
	struct duty_call *c = map_find(&duties.calls, leg);

	if (!c)
		return;
	c->tail.data[c->tail.len - 1] = ',';
	buf_adds(&c->tail, "\"state\":\"talking\"}");
	duties_script(c, "put");
}

/* ---- Committing ------------------------------------------------------------ */

static void
duties_flush(void)
{
	if (PQflush(duties.pg) == 1)
		event_add(duties.writable, NULL);
	else
		event_del(duties.writable);
}

static void
duties_commit(void)
{
	struct buf swap = duties.committing;

	if (duties.busy || !duties.n_rows)
		return;
	duties.committing = duties.rows;
	duties.rows = swap;
	swap = duties.told;
	duties.told = duties.events;
	duties.events = swap;
	buf_clear(&duties.rows);
	buf_clear(&duties.events);
	duties.n_rows = 0;
	duties.busy = true;
	if (!PQsendQuery(duties.pg, duties.committing.data))
		die("insert", PQerrorMessage(duties.pg));
	duties_flush();
}

static void
duties_committed(void)
{
	for (size_t at = 0; at < duties.told.len;
		at += strlen(duties.told.data + at) + 1)
		redisAsyncCommand(duties.redis, NULL, NULL,
			"PUBLISH interactd:default:events "
			"{\"type\":\"interaction.ended\",\"agent\":\"%s\"}",
			duties.told.data + at);
	duties.busy = false;
	duties_commit();
}

static void
duties_on_pg(evutil_socket_t fd, short what, void *arg)
{
	PGresult *r;

	(void)fd, (void)arg;
	if (what & EV_WRITE)
		duties_flush();
	if (!PQconsumeInput(duties.pg))
		die("postgresql", PQerrorMessage(duties.pg));
	while (duties.busy && !PQisBusy(duties.pg)) {
		r = PQgetResult(duties.pg);
		if (!r) {
			duties_committed();
			return;
		}
		if (PQresultStatus(r) != PGRES_COMMAND_OK)
			die("insert", PQresultErrorMessage(r));
		PQclear(r);
	}
}

static void
duties_end(const char *leg)
{
	struct duty_call *c = map_find(&duties.calls, leg);

	if (!c)
		return;
	map_remove(&duties.calls, leg);
	duties_script(c, "close");
	buf_adds(&duties.rows, duties.n_rows++
				       ? ","
				       : "insert into entry (contact_id, channel, "
					 "direction, at, payload) values ");
	buf_printf(&duties.rows,
		"(%lld,1,0,now(),'{\"uid\":\"%s\",\"agent\":\"%s\",\"summary\":"
		"\"answered\",\"text\":\"%0280d\"}')",
		(long long)c->contact, c->who.uid, c->who.agent, 7);
	buf_add(&duties.events, c->who.agent, strlen(c->who.agent) + 1);
	duties_commit();
	buf_fini(&c->tail);
	xfree(&c);
}

/* ---- Beginning ------------------------------------------------------------- */

static void
duties_load_script(const char *redis_socket)
{
	redisContext *c = redisConnectUnix(redis_socket);
	const struct embedded *f = embedded_files;

	while (f->name && strcmp(f->name, "daemon/desk/pop.lua") != 0)
		f++;
	redisReply *r = f->name ? redisCommand(c, "SCRIPT LOAD %s", f->data) : NULL;
	if (!r || r->type != REDIS_REPLY_STRING)
		die("redis", "does not take the script");
	str_copy(duties.sha1, sizeof(duties.sha1), r->str);
	freeReplyObject(r);
	redisFree(c);
}

static void
duties_begin(struct event_base *base, redisAsyncContext *redis, const char *conninfo,
	const char *redis_socket, const char *spool)
{
	pthread_t thread;

	duties.on = true;
	duties.redis = redis;
	duties.spool = open(spool, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (duties.spool < 0 || pthread_create(&thread, NULL, duties_sync, NULL))
		die(spool, "cannot be opened");
	map_init(&duties.calls);
	duties_load_script(redis_socket);
	duties.pg = PQconnectdb(conninfo);
	if (PQstatus(duties.pg) != CONNECTION_OK)
		die("postgresql", PQerrorMessage(duties.pg));
	PQsetnonblocking(duties.pg, 1);
	duties.readable = event_new(
		base, PQsocket(duties.pg), EV_READ | EV_PERSIST, duties_on_pg, NULL);
	duties.writable =
		event_new(base, PQsocket(duties.pg), EV_WRITE, duties_on_pg, NULL);
	event_add(duties.readable, NULL);
}

#endif
