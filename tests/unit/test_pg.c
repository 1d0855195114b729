/* The pool against a real PostgreSQL: run by tests/lib/with-servers, which gives
 * TEST_CONNINFO and TEST_PG_CTL. Skipped (77) without them. */
#include <clock.h>
#include <io/loop.h>
#include <io/pg.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char sql[] =
	"-- the statements of this test\n"
	"-- name: insert\n"
	"INSERT INTO t (id, name) VALUES ($1::int, $2);\n"
	"\n"
	"-- name: count\n"
	"SELECT count(*) FROM t;\n"
	"-- name: types\n"
	"SELECT $1::uuid, $2::bigint, $3::bool, $4::text, $5::uuid, '' AS empty\n"
	"-- name: texts\n"
	"SELECT x FROM unnest($1::text[]) WITH ORDINALITY AS u (x, n) ORDER BY n\n"
	"-- name: ints\n"
	"SELECT sum(x) FROM unnest($1::bigint[]) x\n"
	"-- name: bools\n"
	"SELECT b, id FROM unnest($1::bool[], $2::uuid[]) u (b, id)\n"
	"-- name: sleep\n"
	"SELECT pg_sleep($1::float8)\n"
	"-- name: prepared\n"
	"SELECT name, count(*) FROM pg_prepared_statements GROUP BY name ORDER BY "
	"name\n"
	"-- name: broken\n"
	"SELECT nothing FROM nowhere\n"
	"-- name: deferred\n"
	"INSERT INTO child (parent) VALUES ($1::int)\n"
	"-- name: settings\n"
	"SELECT current_setting('TimeZone'), current_setting('jit'),\n"
	"	current_setting('application_name'), "
	"current_setting('client_encoding')\n"
	"-- name: wide\n"
	"SELECT * FROM plan\n"
	"-- name: echo\n"
	"SELECT length($1::text), md5($1::text) = md5(repeat('x', 3000000))\n"
	"-- name: backend\n"
	"SELECT pg_backend_pid()\n"
	"-- name: kill\n"
	"SELECT pg_terminate_backend($1::int)\n";

struct got {
	int calls;
	enum pg_status status;
	char sqlstate[6], constraint[64], message[256], texts[16][64];
	size_t failed, rows, affected;
	int64_t number;
	bool inside; /* pg_submit has not returned */
};

struct env {
	struct loop *loop;
	struct pg *pg;
	int ups, downs;
};

static const char *conninfo;

static void
on_state(void *arg, bool up)
{
	struct env *e = arg;

	if (up)
		e->ups++;
	else
		e->downs++;
}

static void
env_start(struct env *e, const char *ci, unsigned connections, unsigned queue_max)
{
	struct pg_opts o = {.conninfo = ci,
		.connections = connections,
		.queue_max = queue_max,
		.connect_timeout_ms = 3000,
		.application_name = "test_pg",
		.on_state = on_state,
		.arg = e};

	*e = (struct env){.loop = loop_new()};
	e->pg = pg_open(e->loop, &o);
	pg_add_statements(e->pg, sql);
}

static void
env_end(struct env *e)
{
	pg_close(&e->pg);
	CHECK(!e->pg);
	loop_free(&e->loop);
}

/* Turns the loop until *counter has reached n; false after 20 s. */
static bool
until(struct env *e, const int *counter, int n)
{
	int64_t end = clock_mono_us() + 20 * 1000 * 1000;

	while (*counter < n && clock_mono_us() < end)
		loop_run_once(e->loop, 100);
	CHECK(*counter >= n);
	return *counter >= n;
}

static bool
until_up(struct env *e)
{
	int64_t end = clock_mono_us() + 20 * 1000 * 1000;

	while (!pg_is_up(e->pg) && clock_mono_us() < end)
		loop_run_once(e->loop, 100);
	return pg_is_up(e->pg);
}

static void
on_answer(void *arg, const struct pg_answer *a)
{
	struct got *g = arg;

	CHECK(!g->inside);
	CHECK(a->message != NULL);
	g->calls++;
	g->status = a->status;
	g->failed = a->failed;
	str_copy(g->sqlstate, sizeof(g->sqlstate), a->sqlstate);
	str_copy(g->message, sizeof(g->message), a->message);
	str_copy(g->constraint, sizeof(g->constraint), a->constraint);
	if (a->status != PG_OK)
		return;
	g->rows = pg_rows(a, 0);
	g->affected = pg_affected(a, 0);
	for (size_t i = 0; i < g->rows && i < ARRAY_LEN(g->texts); i++) {
		const char *s = pg_text(a, 0, i, 0);
		str_copy(g->texts[i], sizeof(g->texts[i]), s ? s : "(null)");
	}
	g->number = g->rows ? pg_int(a, 0, 0, 0) : -1;
}

static void
submit(struct pg_unit **u, unsigned deadline_ms, struct got *g)
{
	g->inside = true;
	pg_submit(u, deadline_ms, on_answer, g);
	CHECK(!*u);
	g->inside = false;
}

static void
add_insert(struct pg_unit *u, int64_t id, const char *name)
{
	pg_add(u, "insert");
	pg_param_int(u, id);
	pg_param_text(u, name);
}

static void
run(struct env *e, struct pg_unit *u, unsigned deadline_ms, struct got *g)
{
	memset(g, 0, sizeof(*g));
	submit(&u, deadline_ms, g);
	until(e, &g->calls, 1);
}

static struct pg_unit *
unit(struct env *e, const char *statement)
{
	struct pg_unit *u = pg_unit_new(e->pg);

	pg_add(u, statement);
	return u;
}

static struct pg_unit *
unit_sleep(struct env *e, const char *seconds)
{
	struct pg_unit *u = unit(e, "sleep");

	pg_param_text(u, seconds);
	return u;
}

static int64_t
count(struct env *e)
{
	struct got g;

	run(e, unit(e, "count"), 5000, &g);
	CHECK_INT(g.status, PG_OK);
	return g.number;
}

static void
sync_exec(const char *text)
{
	struct err err;
	struct pg_sync *s = pg_sync_open(conninfo, &err);

	CHECK(s != NULL);
	if (!s)
		return;
	int rc = pg_sync_exec(s, text, &err);
	CHECK_INT(rc, 0);
	pg_sync_close(&s);
}

static void
tables_make(void)
{
	sync_exec("DROP TABLE IF EXISTS t, child, parent, plan;"
		  "CREATE TABLE t (id int CONSTRAINT t_id_key PRIMARY KEY, name text);"
		  "CREATE TABLE parent (id int PRIMARY KEY);"
		  "CREATE TABLE child (parent int CONSTRAINT child_parent REFERENCES "
		  "parent DEFERRABLE INITIALLY DEFERRED)");
}

static void
test_two_statements_share_one_transaction(void)
{
	struct env e;
	struct got g;

	tables_make();
	env_start(&e, conninfo, 1, 100);
	struct pg_unit *u = pg_unit_new(e.pg);
	add_insert(u, 1, "a");
	add_insert(u, 2, NULL);
	run(&e, u, 5000, &g);
	CHECK_INT(g.status, PG_OK);
	CHECK_INT((int64_t)g.affected, 1);
	CHECK_INT(count(&e), 2);

	u = pg_unit_new(e.pg);
	add_insert(u, 3, "good");
	add_insert(u, 1, "twice");
	run(&e, u, 5000, &g);
	CHECK_INT(g.status, PG_ERROR);
	CHECK_STR(g.sqlstate, "23505");
	CHECK_STR(g.constraint, "t_id_key");
	CHECK(strstr(g.message, "duplicate key"));
	CHECK_INT((int64_t)g.failed, 1);
	CHECK_INT(count(&e), 2);
	CHECK_INT(e.ups, 1);
	CHECK_INT((int64_t)pg_backlog(e.pg), 0);
	env_end(&e);
}

static void
test_failing_unit_aborts_only_itself(void)
{
	struct env e;
	struct got g[10];

	tables_make();
	env_start(&e, conninfo, 1, 100);
	CHECK(until_up(&e));
	memset(g, 0, sizeof(g));
	for (int i = 0; i < 10; i++) {
		struct pg_unit *u = pg_unit_new(e.pg);
		add_insert(u, i % 3 == 1 ? 0 : i, "x");
		pg_add(u, "count");
		submit(&u, 5000, &g[i]);
	}
	for (int i = 0; i < 10; i++) {
		until(&e, &g[i].calls, 1);
		CHECK_INT(g[i].status, i % 3 == 1 ? PG_ERROR : PG_OK);
		CHECK_INT((int64_t)g[i].failed, 0);
	}
	CHECK_INT(count(&e), 7);
	env_end(&e);
}

static void
test_commit_that_fails_is_an_error(void)
{
	struct env e;
	struct got g, after;

	tables_make();
	env_start(&e, conninfo, 1, 100);
	struct pg_unit *u = unit(&e, "deferred");
	pg_param_int(u, 7);
	add_insert(u, 1, "rolled back too");
	memset(&g, 0, sizeof(g));
	memset(&after, 0, sizeof(after));
	submit(&u, 5000, &g);
	u = unit(&e, "count");
	submit(&u, 5000, &after);
	until(&e, &after.calls, 1);
	CHECK_INT(g.calls, 1);
	CHECK_INT(g.status, PG_ERROR);
	CHECK_STR(g.sqlstate, "23503");
	CHECK_STR(g.constraint, "child_parent");
	CHECK_INT(after.status, PG_OK);
	CHECK_INT(after.number, 0);
	env_end(&e);
}

static void
test_statements_are_prepared_once(void)
{
	struct env e;
	struct got g;

	tables_make();
	env_start(&e, conninfo, 1, 100);
	count(&e);
	count(&e);
	run(&e, unit(&e, "prepared"), 5000, &g);
	CHECK_INT((int64_t)g.rows, 2);
	CHECK_STR(g.texts[0], "count");
	CHECK_STR(g.texts[1], "prepared");
	env_end(&e);
}

static void
test_prepare_that_fails_fails_its_units(void)
{
	struct env e;
	struct got g[2], good;

	tables_make();
	env_start(&e, conninfo, 1, 100);
	memset(g, 0, sizeof(g));
	memset(&good, 0, sizeof(good));
	for (int i = 0; i < 2; i++) {
		struct pg_unit *u = unit(&e, "count");
		pg_add(u, "broken");
		submit(&u, 5000, &g[i]);
	}
	struct pg_unit *u = unit(&e, "count");
	submit(&u, 5000, &good);
	until(&e, &good.calls, 1);
	for (int i = 0; i < 2; i++) {
		CHECK_INT(g[i].status, PG_ERROR);
		CHECK_STR(g[i].sqlstate, "42P01");
		CHECK(strstr(g[i].message, "nowhere"));
	}
	CHECK_INT(good.status, PG_OK);
	sync_exec("CREATE TABLE nowhere (nothing int)");
	run(&e, unit(&e, "broken"), 5000, &g[0]);
	CHECK_INT(g[0].status, PG_OK);
	sync_exec("DROP TABLE nowhere");
	env_end(&e);
}

/* A migration changes a table under a running daemon: one unit fails, the next works.
 */
static void
test_plan_refused_after_alter_is_prepared_again(void)
{
	struct env e;
	struct got g;

	sync_exec("DROP TABLE IF EXISTS plan; CREATE TABLE plan AS SELECT 1 AS a");
	env_start(&e, conninfo, 1, 100);
	run(&e, unit(&e, "wide"), 5000, &g);
	CHECK_INT(g.status, PG_OK);
	sync_exec("ALTER TABLE plan ALTER a TYPE text");
	run(&e, unit(&e, "wide"), 5000, &g);
	CHECK_INT(g.status, PG_ERROR);
	CHECK_STR(g.sqlstate, "0A000");
	run(&e, unit(&e, "wide"), 5000, &g);
	CHECK_INT(g.status, PG_OK);
	env_end(&e);
}

static void
check_types(void *arg, const struct pg_answer *a)
{
	struct uuid want;

	CHECK_INT(a->status, PG_OK);
	CHECK(uuid_parse("0193a000-0000-7000-8000-0123456789ab", &want));
	struct uuid got = pg_uuid(a, 0, 0, 0), none = pg_uuid(a, 0, 0, 4);
	CHECK(uuid_eq(&got, &want));
	CHECK_INT(pg_int(a, 0, 0, 1), INT64_MIN);
	CHECK(pg_bool(a, 0, 0, 2));
	CHECK(!pg_text(a, 0, 0, 3));
	CHECK_INT(pg_int(a, 0, 0, 3), 0);
	CHECK(uuid_is_nil(&none));
	CHECK_STR(pg_text(a, 0, 0, 5), "");
	CHECK_INT((int64_t)pg_text_len(a, 0, 0, 0), 36);
	++*(int *)arg;
}

static void
test_values_come_back_as_they_went(void)
{
	struct env e;
	struct uuid id, nil = {{0}};
	int calls = 0;

	env_start(&e, conninfo, 1, 100);
	struct pg_unit *u = unit(&e, "types");
	CHECK(uuid_parse("0193a000-0000-7000-8000-0123456789ab", &id));
	pg_param_uuid(u, &id);
	pg_param_int(u, INT64_MIN);
	pg_param_bool(u, true);
	pg_param_null(u);
	pg_param_uuid(u, &nil);
	pg_submit(&u, 5000, check_types, &calls);
	until(&e, &calls, 1);
	env_end(&e);
}

static void
test_array_elements_keep_odd_characters(void)
{
	static const char *const odd[] = {"", "a,b", "{}", "\"quoted\"", "back\\slash",
		"NULL", " blanks ", "\xe7\xa4\xba\xe4\xbe\x8b", "line\nbreak", "'"};
	struct env e;
	struct got g;

	env_start(&e, conninfo, 1, 100);
	struct pg_unit *u = unit(&e, "texts");
	pg_array_begin(u);
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		pg_array_add(u, odd[i]);
	pg_array_add(u, NULL);
	pg_array_add_len(u, "cut", 2);
	pg_array_end(u);
	run(&e, u, 5000, &g);
	CHECK_INT((int64_t)g.rows, (int64_t)ARRAY_LEN(odd) + 2);
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		CHECK_STR(g.texts[i], odd[i]);
	CHECK_STR(g.texts[ARRAY_LEN(odd)], "(null)");
	CHECK_STR(g.texts[ARRAY_LEN(odd) + 1], "cu");

	u = unit(&e, "texts");
	pg_array_begin(u);
	pg_array_end(u);
	run(&e, u, 5000, &g);
	CHECK_INT((int64_t)g.rows, 0);

	u = unit(&e, "ints");
	pg_array_begin(u);
	pg_array_add_int(u, -2);
	pg_array_add_int(u, 44);
	pg_array_end(u);
	run(&e, u, 5000, &g);
	CHECK_INT(g.number, 42);
	env_end(&e);
}

static void
test_arrays_of_bool_and_uuid(void)
{
	struct env e;
	struct got g;
	struct uuid id = uuid_new(clock_wall_us());

	env_start(&e, conninfo, 1, 100);
	struct pg_unit *u = unit(&e, "bools");
	pg_array_begin(u);
	pg_array_add_bool(u, true);
	pg_array_add_bool(u, false);
	pg_array_end(u);
	pg_array_begin(u);
	pg_array_add_uuid(u, &id);
	pg_array_add_uuid(u, NULL);
	pg_array_end(u);
	run(&e, u, 5000, &g);
	CHECK_INT(g.status, PG_OK);
	CHECK_STR(g.texts[0], "t");
	CHECK_STR(g.texts[1], "f");
	env_end(&e);
}

static void
test_big_parameter_goes_through(void)
{
	struct env e;
	struct got g;
	char *big = xmalloc(3000000);

	memset(big, 'x', 3000000);
	env_start(&e, conninfo, 1, 100);
	struct pg_unit *u = unit(&e, "echo");
	pg_param_text_len(u, big, 3000000);
	run(&e, u, 10000, &g);
	CHECK_INT(g.status, PG_OK);
	CHECK_INT(g.number, 3000000);
	xfree(&big);
	env_end(&e);
}

static void
test_session_settings(void)
{
	struct env e;
	struct got g;

	env_start(&e, conninfo, 1, 100);
	run(&e, unit(&e, "settings"), 5000, &g);
	CHECK_STR(g.texts[0], "UTC");
	env_end(&e);
}

static void
test_timeout_is_answered_once_and_cancelled(void)
{
	struct env e;
	struct got slow, behind;
	int64_t start;

	env_start(&e, conninfo, 1, 100);
	CHECK(until_up(&e));
	memset(&behind, 0, sizeof(behind));
	start = clock_mono_us();
	struct pg_unit *u = unit_sleep(&e, "30"), *v = unit(&e, "settings");
	memset(&slow, 0, sizeof(slow));
	submit(&u, 200, &slow);
	submit(&v, 10000, &behind);
	until(&e, &slow.calls, 1);
	CHECK_INT(slow.status, PG_TIMEOUT);
	/* The cancel frees the connection for what waits behind. */
	until(&e, &behind.calls, 1);
	CHECK_INT(behind.status, PG_OK);
	CHECK(clock_mono_us() - start < 2000000);
	CHECK_INT(slow.calls, 1);
	CHECK_INT(e.ups, 1);
	CHECK_INT(e.downs, 0);
	env_end(&e);
}

/* Found by thinking: a cancel names no statement, so a unit that times out behind a
 * slow one must not kill the slow one. */
static void
test_timeout_behind_a_slow_unit_spares_it(void)
{
	struct env e;
	struct got slow, late, last;

	env_start(&e, conninfo, 1, 100);
	CHECK(until_up(&e));
	memset(&slow, 0, sizeof(slow));
	memset(&late, 0, sizeof(late));
	struct pg_unit *u = unit_sleep(&e, "0.6"), *v = unit_sleep(&e, "0");
	submit(&u, 10000, &slow);
	submit(&v, 100, &late);
	until(&e, &late.calls, 1);
	CHECK_INT(late.status, PG_TIMEOUT);
	CHECK_INT(slow.calls, 0);
	until(&e, &slow.calls, 1);
	CHECK_INT(slow.status, PG_OK);
	run(&e, unit(&e, "settings"), 5000, &last);
	CHECK_INT(last.status, PG_OK);
	CHECK_INT(e.downs, 0);
	env_end(&e);
}

/* The cancel hits the PREPAREs, and who was sent behind them, trusting
 * in them, was told that the statement does not exist. */
static void
test_a_prepare_that_a_cancel_hits_fails_nobody_behind_it(void)
{
	struct env e;
	struct got late, behind[2];
	struct err err;
	struct pg_sync *s = pg_sync_open(conninfo, &err);

	CHECK(s != NULL);
	tables_make();
	env_start(&e, conninfo, 1, 100);
	CHECK(until_up(&e));
	memset(&late, 0, sizeof(late));
	memset(behind, 0, sizeof(behind));
	CHECK(pg_sync_exec(s, "BEGIN; LOCK TABLE t", &err) == 0);
	struct pg_unit *u = pg_unit_new(e.pg), *v = pg_unit_new(e.pg);
	add_insert(u, 1, "x"); /* its PREPARE waits for the table */
	pg_add(u, "settings");
	add_insert(v, 2, "y");
	struct pg_unit *w = unit(&e, "settings");
	submit(&u, 100, &late);
	submit(&v, 60000, &behind[0]);
	submit(&w, 60000, &behind[1]);
	until(&e, &late.calls, 1);
	CHECK_INT(late.status, PG_TIMEOUT);
	CHECK(pg_sync_exec(s, "COMMIT", &err) == 0);
	pg_sync_close(&s);
	for (int i = 0; i < 2; i++) {
		until(&e, &behind[i].calls, 1);
		CHECK_INT(behind[i].status, PG_OK);
	}
	env_end(&e);
}

static void
test_many_timeouts_lose_no_other_unit(void)
{
	enum { N = 40 };
	struct env e;
	struct got slow[N], good[N];

	tables_make();
	env_start(&e, conninfo, 2, 1000);
	CHECK(until_up(&e));
	memset(slow, 0, sizeof(slow));
	memset(good, 0, sizeof(good));
	for (int i = 0; i < N; i++) {
		struct pg_unit *u = unit_sleep(&e, "20"), *v = pg_unit_new(e.pg);
		submit(&u, 50 + (unsigned)i * 20, &slow[i]);
		add_insert(v, i, "x");
		submit(&v, 60000, &good[i]);
	}
	for (int i = 0; i < N; i++) {
		until(&e, &good[i].calls, 1);
		until(&e, &slow[i].calls, 1);
		CHECK_INT(good[i].status, PG_OK);
		CHECK_INT(slow[i].status, PG_TIMEOUT);
	}
	CHECK_INT(count(&e), N);
	CHECK_INT((int64_t)pg_backlog(e.pg), 0);
	env_end(&e);
}

static void
test_units_wait_for_the_server_and_time_out_unsent(void)
{
	struct env e;
	struct got g;

	test_expect_log("not connected");
	env_start(&e, "host=/nonexistent", 2, 100);
	run(&e, unit(&e, "settings"), 300, &g);
	CHECK_INT(g.status, PG_TIMEOUT);
	CHECK(!pg_is_up(e.pg));
	int64_t since;
	CHECK(strstr(pg_down_reason(e.pg, &since), "/nonexistent"));
	CHECK(since > 0);
	CHECK_INT(e.ups + e.downs, 0);
	env_end(&e);
}

static void
test_permanent_failure_is_said(void)
{
	struct env e;
	struct got g;
	char *ci = xasprintf("%s dbname=missing", conninfo);

	test_expect_log("database \"missing\" does not exist");
	env_start(&e, ci, 1, 100);
	run(&e, unit(&e, "settings"), 800, &g);
	CHECK(strstr(pg_down_reason(e.pg, NULL), "missing"));
	env_end(&e);
	xfree(&ci);
}

static void
test_bad_conninfo_is_refused(void)
{
	static const char *const bad[] = {"host", "passwrd=x",
		"host=a,b hostaddr=1.1.1.1", "host=a,b,c port=1,2"};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_INT(pg_check_conninfo(bad[i], &err), -1);
	CHECK_INT(pg_check_conninfo("host=a,/b port=5432,5433 user=x", &err), 0);
	CHECK_INT(
		pg_check_conninfo("postgresql://a,b/db?target_session_attrs=any", &err),
		0);
	CHECK_INT(pg_check_conninfo("hunter2", &err), -1);
	CHECK(!strstr(err.text, "hunter2"));
}

static void
test_name_is_resolved_and_other_hosts_are_tried(void)
{
	struct env e;
	struct got g;
	const char *dir = getenv("TEST_DIR");
	char *ci = xasprintf("host=localhost,%s/pg port=1,5432 user=interactd "
			     "dbname=postgres",
		dir ? dir : "");

	env_start(&e, ci, 1, 100);
	run(&e, unit(&e, "settings"), 5000, &g);
	CHECK_INT(g.status, PG_OK);
	env_end(&e);
	xfree(&ci);
}

static void
test_unknown_name_is_said(void)
{
	struct env e;
	struct got g;

	test_expect_log("cannot resolve");
	env_start(&e, "host=name.invalid", 1, 100);
	run(&e, unit(&e, "settings"), 3500, &g);
	CHECK(strstr(pg_down_reason(e.pg, NULL), "name.invalid"));
	env_end(&e);
}

static void
ctl(const char *what)
{
	char *cmd = xasprintf("%s %s", getenv("TEST_PG_CTL"), what);

	CHECK_INT(system(cmd), 0);
	xfree(&cmd);
}

static void
test_restart_loses_what_ran_and_keeps_what_waits(void)
{
	struct env e;
	struct got sent, waiting;

	tables_make();
	env_start(&e, conninfo, 1, 100);
	CHECK(until_up(&e));
	memset(&sent, 0, sizeof(sent));
	memset(&waiting, 0, sizeof(waiting));
	struct pg_unit *u = unit_sleep(&e, "20");
	submit(&u, 60000, &sent);
	loop_run_once(e.loop, 50);
	loop_run_once(e.loop, 50);
	test_expect_log("not connected");
	ctl("stop immediate");
	until(&e, &sent.calls, 1);
	CHECK_INT(sent.status, PG_LOST);
	until(&e, &e.downs, 1);
	CHECK(!pg_is_up(e.pg));
	u = pg_unit_new(e.pg);
	add_insert(u, 1, "kept");
	submit(&u, 60000, &waiting);
	loop_run_once(e.loop, 50);
	CHECK_INT(waiting.calls, 0);
	ctl("start");
	until(&e, &waiting.calls, 1);
	CHECK_INT(waiting.status, PG_OK);
	until(&e, &e.ups, 2);
	CHECK_INT(e.downs, 1);
	CHECK_STR(pg_down_reason(e.pg, NULL), "");
	CHECK_INT(count(&e), 1);
	env_end(&e);
}

static void
test_connection_lost_among_others(void)
{
	struct env e;
	struct got pid, victim, g;

	env_start(&e, conninfo, 1, 100);
	run(&e, unit(&e, "backend"), 5000, &pid);
	memset(&victim, 0, sizeof(victim));
	struct pg_unit *u = unit_sleep(&e, "20");
	submit(&u, 60000, &victim);
	loop_run_once(e.loop, 50);
	loop_run_once(e.loop, 50);
	char *kill = xasprintf("SELECT pg_terminate_backend(%s)", pid.texts[0]);
	test_expect_log("terminating connection due to administrator command");
	sync_exec(kill);
	xfree(&kill);
	until(&e, &victim.calls, 1);
	CHECK_INT(victim.status, PG_LOST);
	run(&e, unit(&e, "settings"), 5000, &g);
	CHECK_INT(g.status, PG_OK);
	env_end(&e);
}

/* A backend that does not even take the cancel is left behind after 2 s. */
static void
test_hung_backend_is_replaced(void)
{
	struct env e;
	struct got pid, hung, behind;

	env_start(&e, conninfo, 1, 100);
	run(&e, unit(&e, "backend"), 5000, &pid);
	CHECK_INT(kill((pid_t)pid.number, SIGSTOP), 0);
	memset(&hung, 0, sizeof(hung));
	memset(&behind, 0, sizeof(behind));
	struct pg_unit *u = unit(&e, "settings"), *v = unit(&e, "settings");
	submit(&u, 300, &hung);
	submit(&v, 20000, &behind);
	until(&e, &hung.calls, 1);
	CHECK_INT(hung.status, PG_TIMEOUT);
	test_expect_log("did not answer a cancelled statement");
	until(&e, &behind.calls, 1);
	CHECK_INT(behind.status, PG_LOST);
	CHECK_INT(hung.calls, 1);
	run(&e, unit(&e, "settings"), 5000, &behind);
	CHECK_INT(behind.status, PG_OK);
	CHECK_INT(kill((pid_t)pid.number, SIGCONT), 0);
	env_end(&e);
}

static void
test_full_queue_refuses(void)
{
	struct env e;
	struct got g[5];

	env_start(&e, conninfo, 1, 3);
	memset(g, 0, sizeof(g));
	for (int i = 0; i < 5; i++) {
		struct pg_unit *u = unit_sleep(&e, "0.1");
		submit(&u, 5000, &g[i]);
	}
	CHECK_INT((int64_t)pg_backlog(e.pg), 3);
	for (int i = 0; i < 5; i++) {
		until(&e, &g[i].calls, 1);
		CHECK_INT(g[i].status, i < 3 ? PG_OK : PG_FULL);
	}
	env_end(&e);
}

static void
test_close_answers_everything(void)
{
	struct env e;
	struct got g[40];

	env_start(&e, conninfo, 2, 100);
	CHECK(until_up(&e));
	memset(g, 0, sizeof(g));
	for (int i = 0; i < 40; i++) {
		struct pg_unit *u = unit_sleep(&e, "5");
		submit(&u, 60000, &g[i]);
		if (i == 20)
			loop_run_once(e.loop, 50);
	}
	struct pg_unit *dropped = unit(&e, "settings");
	pg_unit_drop(&dropped);
	env_end(&e);
	for (int i = 0; i < 40; i++) {
		CHECK_INT(g[i].calls, 1);
		CHECK_INT(g[i].status, PG_LOST);
	}
}

struct closer {
	struct env *env;
	int calls;
};

static void
on_answer_close(void *arg, const struct pg_answer *a)
{
	struct closer *c = arg;

	(void)a;
	c->calls++;
	if (c->env->pg) {
		struct pg_unit *u = unit(c->env, "settings");
		pg_submit(&u, 1000, NULL, NULL);
		pg_close(&c->env->pg);
	}
}

static void
test_close_inside_a_callback(void)
{
	struct env e;
	struct closer c = {&e, 0};

	env_start(&e, conninfo, 1, 100);
	CHECK(until_up(&e));
	for (int i = 0; i < 3; i++) {
		struct pg_unit *u = unit(&e, "settings");
		pg_submit(&u, 5000, on_answer_close, &c);
	}
	until(&e, &c.calls, 3);
	loop_run_once(e.loop, 10);
	env_end(&e);
}

static void
on_row(void *arg, int n, char *const *cols)
{
	CHECK_INT(n, 2);
	CHECK_STR(cols[0], "x'y");
	CHECK(!cols[1]);
	++*(int *)arg;
}

static void
test_sync_runs_and_reports(void)
{
	const char *const params[] = {"x'y", NULL};
	struct err err;
	int rows = 0;

	CHECK(!pg_sync_open("host=/nonexistent", &err));
	CHECK(strstr(err.text, "/nonexistent"));
	struct pg_sync *s = pg_sync_open(conninfo, &err);
	CHECK(s != NULL);
	if (!s)
		return;
	CHECK_INT(pg_sync_exec(s, "SELECT 1; SELECT 2", &err), 0);
	CHECK_INT(pg_sync_exec(s, "SELECT 1; SELEC 2", &err), -1);
	CHECK(strstr(err.text, "42601"));
	CHECK_INT(pg_sync_query(s, "SELECT $1::text, $2::text", 2, params, on_row,
			  &rows, &err),
		0);
	CHECK_INT(rows, 1);
	CHECK_INT(pg_sync_query(s, "SELECT 1/0", 0, NULL, NULL, NULL, &err), -1);
	CHECK(strstr(err.text, "22012"));
	CHECK_INT(pg_sync_exec(s, "COPY pg_class TO STDOUT", &err), -1);
	pg_sync_close(&s);
}

int
main(void)
{
	conninfo = getenv("TEST_CONNINFO");
	if (!conninfo || !getenv("TEST_PG_CTL")) {
		fputs("SKIP: no TEST_CONNINFO; run it under tests/lib/with-servers\n",
			stderr);
		return 77;
	}
	TEST(test_two_statements_share_one_transaction);
	TEST(test_failing_unit_aborts_only_itself);
	TEST(test_commit_that_fails_is_an_error);
	TEST(test_statements_are_prepared_once);
	TEST(test_prepare_that_fails_fails_its_units);
	TEST(test_plan_refused_after_alter_is_prepared_again);
	TEST(test_values_come_back_as_they_went);
	TEST(test_array_elements_keep_odd_characters);
	TEST(test_arrays_of_bool_and_uuid);
	TEST(test_big_parameter_goes_through);
	TEST(test_session_settings);
	TEST(test_timeout_is_answered_once_and_cancelled);
	TEST(test_timeout_behind_a_slow_unit_spares_it);
	TEST(test_a_prepare_that_a_cancel_hits_fails_nobody_behind_it);
	TEST(test_many_timeouts_lose_no_other_unit);
	TEST(test_units_wait_for_the_server_and_time_out_unsent);
	TEST(test_permanent_failure_is_said);
	TEST(test_bad_conninfo_is_refused);
	TEST(test_name_is_resolved_and_other_hosts_are_tried);
	TEST(test_unknown_name_is_said);
	TEST(test_restart_loses_what_ran_and_keeps_what_waits);
	TEST(test_connection_lost_among_others);
	TEST(test_hung_backend_is_replaced);
	TEST(test_full_queue_refuses);
	TEST(test_close_answers_everything);
	TEST(test_close_inside_a_callback);
	TEST(test_sync_runs_and_reports);
	return test_done();
}
