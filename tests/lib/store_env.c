/* store_env.c - see store_env.h. */
#include <lib/store_env.h>

#include <base/embedded.h>
#include <clock.h>
#include <io/loop.h>
#include <io/migrate.h>
#include <lib/test.h>
#include <mem.h>
#include <people/tenant.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Both padded forms of a key of zeros. */
#define EIGHT(x) x x x x x x x x
#define PAD_36	 EIGHT(EIGHT("36"))
#define PAD_5C	 EIGHT(EIGHT("5c"))

#define PATIENCE_US (20 * INT64_C(1000000))

bool
store_env_available(void)
{
	if (getenv("TEST_CONNINFO"))
		return true;
	fputs("SKIP: no TEST_CONNINFO; run it under tests/lib/with-servers\n", stderr);
	return false;
}

static void
require(int rc, const struct err *err)
{
	if (rc == 0)
		return;
	fprintf(stderr, "store_env: %s\n", err->text);
	exit(1);
}

static struct pg_sync *
sync_open(const char *conninfo)
{
	struct err err;
	struct pg_sync *pg = pg_sync_open(conninfo, &err);

	require(pg ? 0 : -1, &err);
	return pg;
}

static void
database_make(const char *name)
{
	struct pg_sync *pg = sync_open(getenv("TEST_CONNINFO"));
	char sql[400];
	struct err err;

	snprintf(sql, sizeof(sql), "DROP DATABASE IF EXISTS %s WITH (FORCE)", name);
	require(pg_sync_exec(pg, sql, &err), &err);
	snprintf(sql, sizeof(sql), "CREATE DATABASE %s", name);
	require(pg_sync_exec(pg, sql, &err), &err);
	/* as the daemon gives its sessions (people/erasure_key.h), but to every one */
	snprintf(sql, sizeof(sql),
		"ALTER DATABASE %s SET interactd.erasure_key = '%s.%s'", name, PAD_36,
		PAD_5C);
	require(pg_sync_exec(pg, sql, &err), &err);
	pg_sync_close(&pg);
}

static struct pg *
pool_open(struct store_env *env, unsigned connections)
{
	struct pg_opts opts = {.conninfo = env->conninfo,
		.connections = connections,
		.queue_max = 10000,
		.connect_timeout_ms = 3000,
		.application_name = "test"};
	struct pg *pg = pg_open(env->loop, &opts);

	for (const struct embedded *f = embedded_files; f->name; f++)
		if (str_starts(f->name, "daemon/") && strstr(f->name, ".sql"))
			pg_add_statements(pg, f->data);
	return pg;
}

void
store_env_start(struct store_env *env, const char *name)
{
	struct err err;

	memset(env, 0, sizeof(*env));
	database_make(name);
	snprintf(env->conninfo, sizeof(env->conninfo), "%s dbname=%s",
		getenv("TEST_CONNINFO"), name);
	env->sync = sync_open(env->conninfo);
	require(migrate_apply(env->sync, NULL, NULL, &err), &err);
	env->tenants[0] = (struct tenant){.name = "default", .region = "TW"};
	env->tenants[1] = (struct tenant){.name = "other", .region = "CN"};
	require(tenant_load(env->sync, env->tenants, 2, &err), &err);
	env->loop = env->store.loop = loop_new();
	map_init(&env->store.tenants);
	for (int i = 0; i < 2; i++)
		map_put(&env->store.tenants, env->tenants[i].name, &env->tenants[i]);
	env->store.reads = pool_open(env, 2);
	env->store.writes = pool_open(env, 2);
	env->store.reports = pool_open(env, 1);
}

void
store_env_stop(struct store_env *env)
{
	pg_close(&env->store.reads);
	pg_close(&env->store.writes);
	pg_close(&env->store.reports);
	loop_run_once(env->loop, 0);
	loop_free(&env->loop);
	map_fini(&env->store.tenants);
	pg_sync_close(&env->sync);
}

static void
on_value(void *arg, int n, char *const *cols)
{
	struct store_env *env = arg;

	(void)n;
	if (!env->value[0])
		str_copy(env->value, sizeof(env->value), cols[0] ? cols[0] : "(null)");
}

const char *
store_env_value(struct store_env *env, const char *sql)
{
	struct err err;

	env->value[0] = '\0';
	if (!env->sync)
		env->sync = sync_open(env->conninfo);
	if (pg_sync_query(env->sync, sql, 0, NULL, on_value, env, &err) < 0)
		test_fail(__FILE__, __LINE__, "%s: %s", sql, err.text);
	return env->value;
}

void
store_env_exec(struct store_env *env, const char *sql)
{
	struct err err;

	if (!env->sync)
		env->sync = sync_open(env->conninfo);
	if (pg_sync_exec(env->sync, sql, &err) < 0)
		test_fail(__FILE__, __LINE__, "%s: %s", sql, err.text);
}

bool
store_env_wait(struct store_env *env, const int *n, int want)
{
	int64_t until = clock_mono_us() + PATIENCE_US;

	while (*n < want && clock_mono_us() < until)
		loop_run_once(env->loop, 100);
	return *n >= want;
}

void
store_got_answer(void *arg, const struct store_answer *a)
{
	struct store_got *got = arg;

	got->n++;
	got->status = a->status;
	got->http_status = a->http_status;
	snprintf(got->json, sizeof(got->json), "%.*s", (int)a->json_len,
		a->json ? a->json : "");
	if (a->json && !a->json_len)
		str_copy(got->json, sizeof(got->json), a->json);
	str_copy(got->detail, sizeof(got->detail), a->detail);
}

enum store_status
store_env_answer(struct store_env *env, struct store_got *got)
{
	if (!store_env_wait(env, &got->n, 1))
		test_fail(__FILE__, __LINE__, "no answer");
	CHECK_INT(got->n, 1);
	got->n = 0;
	return got->status;
}
