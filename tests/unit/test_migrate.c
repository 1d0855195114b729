/* Migrations and leases against a real PostgreSQL (tests/lib/with-servers). */
#include <io/migrate.h>

#include <base/embedded.h>
#include <clock.h>
#include <io/lease.h>
#include <mem.h>
#include <io/loop.h>
#include <lib/store_env.h>
#include <lib/test.h>
#include <str.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct store_env env;

static int
known(void)
{
	int n = 0;

	for (const struct embedded *f = embedded_files; f->name; f++)
		n += str_starts(f->name, "conf/sql/");
	return n;
}

static void
count_step(void *arg, const char *name)
{
	(void)name;
	++*(int *)arg;
}

static void
test_all_are_applied_once(void)
{
	struct migration_status st;
	struct err err;
	int steps = 0;

	CHECK_INT(migrate_status(env.sync, &st, &err), 0);
	CHECK_INT(st.known, known());
	CHECK_INT(st.applied, known());
	CHECK_INT(st.pending, 0);
	CHECK_INT(st.newer, 0);
	CHECK(st.last[0] && !strstr(st.last, ".sql"));
	CHECK_INT(migrate_apply(env.sync, count_step, &steps, &err), 0);
	CHECK_INT(steps, 0);
}

static void
test_an_empty_database_has_all_pending(void)
{
	struct migration_status st;
	struct err err;
	char *conninfo =
		xasprintf("%s dbname=test_migrate_empty", getenv("TEST_CONNINFO"));

	store_env_exec(&env, "CREATE DATABASE test_migrate_empty TEMPLATE template0");
	struct pg_sync *pg = pg_sync_open(conninfo, &err);
	CHECK_INT(migrate_status(pg, &st, &err), 0);
	CHECK_INT(st.applied, 0);
	CHECK_INT(st.pending, known());
	CHECK_STR(st.last, "");
	pg_sync_close(&pg);
	xfree(&conninfo);
}

static void
test_a_changed_text_is_refused(void)
{
	struct err err;

	store_env_exec(&env,
		"UPDATE schema_migration SET hash = 'x' || hash WHERE name = '001-base'");
	CHECK_INT(migrate_apply(env.sync, NULL, NULL, &err), -1);
	CHECK(strstr(err.text, "001-base"));
	store_env_exec(&env, "UPDATE schema_migration SET hash = substr(hash, 2) "
			     "WHERE name = '001-base'");
	CHECK_INT(migrate_apply(env.sync, NULL, NULL, &err), 0);
}

static void
test_a_newer_database_is_refused_unless_compatible(void)
{
	struct migration_status st;
	struct err err;

	store_env_exec(
		&env, "INSERT INTO schema_migration VALUES ('999-future', 'h', true)");
	CHECK_INT(migrate_apply(env.sync, NULL, NULL, &err), 0);
	CHECK_INT(migrate_status(env.sync, &st, &err), 0);
	CHECK_INT(st.newer, 1);
	CHECK_INT(st.applied, known());
	store_env_exec(&env, "UPDATE schema_migration SET compatible = false "
			     "WHERE name = '999-future'");
	CHECK_INT(migrate_apply(env.sync, NULL, NULL, &err), -1);
	CHECK(strstr(err.text, "999-future"));
	store_env_exec(&env, "DELETE FROM schema_migration WHERE name = '999-future'");
}

static void
test_a_failing_one_leaves_nothing(void)
{
	struct migration_status st;
	struct err err;

	/* as if the last one had never run: it fails on what is there already */
	store_env_exec(&env, "DELETE FROM schema_migration WHERE name = "
			     "(SELECT max(name) FROM schema_migration)");
	CHECK_INT(migrate_apply(env.sync, NULL, NULL, &err), -1);
	CHECK(strstr(err.text, "already exists"));
	CHECK_INT(migrate_status(env.sync, &st, &err), 0);
	CHECK_INT(st.pending, 1);
	CHECK_INT(migrate_apply(env.sync, NULL, NULL, &err), -1);
}

static void
test_partitions_are_made_ahead_and_on_demand(void)
{
	CHECK_STR(store_env_value(&env, "SELECT count(*) FROM partition_month"), "3");
	CHECK_STR(
		store_env_value(&env, "SELECT ensure_partitions('2020-01-31 23:59+00', "
				      "'2020-02-01 00:00+00')"),
		"2");
	CHECK_STR(store_env_value(
			  &env, "SELECT ensure_partitions('2020-01-01', '2020-02-02')"),
		"0");
	CHECK_STR(store_env_value(&env, "SELECT store_maintain()"), "0");
	CHECK_STR(store_env_value(&env,
			  "SELECT uuid_time(uuid_floor('2020-02-01 00:00+00')) = "
			  "'2020-02-01 00:00+00'"),
		"t");
	CHECK_STR(store_env_value(&env, "SELECT to_regclass('interaction_leg_202001')"),
		"interaction_leg_202001");
}

static void
test_the_audit_can_only_be_added_to(void)
{
	struct err err;

	store_env_exec(&env,
		"SELECT audit_add(1, 'key:x', 'admin', 'a.done', 'a', 'i', '{f}')");
	CHECK_INT(pg_sync_exec(env.sync, "UPDATE audit SET actor = 'y'", &err), -1);
	CHECK_INT(pg_sync_exec(env.sync, "DELETE FROM audit", &err), -1);
	CHECK_INT(pg_sync_exec(env.sync, "TRUNCATE audit", &err), -1);
	CHECK_STR(store_env_value(&env, "SELECT actor FROM audit"), "key:x");
}

struct held {
	int taken, lost;
	int64_t fence;
};

static void
on_taken(void *arg, int64_t fence)
{
	struct held *h = arg;

	h->taken++;
	h->fence = fence;
}

static void
on_lost(void *arg, const char *holder)
{
	struct held *h = arg;

	CHECK_STR(holder, "somebody");
	h->lost++;
}

static void
test_a_lease_is_taken_kept_and_yielded_to_a_higher_fence(void)
{
	static const struct lease_callbacks callbacks = {on_taken, on_lost};
	struct held h = {0};
	struct lease *l =
		lease_open(env.loop, env.store.writes, 0, "pbx", &callbacks, &h);

	CHECK(!lease_is_held(l));
	CHECK(store_env_wait(&env, &h.taken, 1));
	CHECK(lease_is_held(l));
	CHECK_STR(lease_current_holder(l), lease_holder_name());
	CHECK_INT(h.fence, 1);
	test_expect_log("the lease went to somebody");
	store_env_exec(&env, "UPDATE lease SET holder = 'somebody', fence = fence + 1, "
			     "renewed_at = clock_timestamp()");
	CHECK(store_env_wait(&env, &h.lost, 1));
	CHECK(!lease_is_held(l));
	CHECK_STR(lease_current_holder(l), "somebody");
	/* not renewed for five seconds by the database's clock */
	store_env_exec(
		&env, "UPDATE lease SET renewed_at = now() - interval '6 seconds'");
	CHECK(store_env_wait(&env, &h.taken, 2));
	CHECK_INT(h.fence, 3);
	lease_close(&l);
	for (int i = 0;
		i < 50 && strcmp(store_env_value(&env, "SELECT renewed_at FROM lease"),
				  "-infinity") != 0;
		i++)
		loop_run_once(env.loop, 100);
	CHECK_STR(env.value, "-infinity");
}

/* A child takes the lease's name and dies as kill -9 would let it: whoever
 * comes next need not wait until the lease has run out. */
static void
test_a_dead_holder_is_followed_at_once(void)
{
	static const struct lease_callbacks callbacks = {on_taken, on_lost};
	struct held h = {0};
	char holder[200], sql[400];
	int fds[2];
	CHECK_INT(pipe(fds), 0);
	pid_t child = fork();
	if (child == 0) {
		const char *name = lease_holder_name();
		_exit(write(fds[1], name, strlen(name) + 1) < 0);
	}
	CHECK(read(fds[0], holder, sizeof(holder)) > 0);
	snprintf(sql, sizeof(sql),
		"INSERT INTO lease (tenant_id, name, holder) VALUES (0, 'dead', '%s')",
		holder);
	store_env_exec(&env, sql);
	CHECK_INT(waitpid(child, NULL, 0), child);
	int64_t began = clock_mono_us();
	struct lease *l =
		lease_open(env.loop, env.store.writes, 0, "dead", &callbacks, &h);
	CHECK(store_env_wait(&env, &h.taken, 1));
	CHECK(clock_mono_us() - began < 4000000);
	CHECK_INT(h.fence, 2);
	lease_close(&l);
	close(fds[0]);
	close(fds[1]);
}

/* After an outage its holder may be alive, and had no way to renew: it is waited for, and
 * what it gave back is not. */
static void
test_a_patient_lease_waits_for_the_holder(void)
{
	static const struct lease_callbacks callbacks = {on_taken, on_lost};
	struct held h = {0};
	store_env_exec(&env,
		"INSERT INTO lease (tenant_id, name, holder, renewed_at) "
		"VALUES (0, 'slow', 'elsewhere', now() - interval '1 hour')");
	struct lease *l =
		lease_open(env.loop, env.store.writes, 0, "slow", &callbacks, &h);
	lease_be_patient(l, 1500);
	int64_t began = clock_mono_us();
	CHECK(store_env_wait(&env, &h.taken, 1));
	CHECK(clock_mono_us() - began >= 1500000);
	lease_close(&l);
	h.taken = 0;
	store_env_exec(&env, "UPDATE lease SET holder = 'elsewhere', renewed_at = "
			     "'-infinity' WHERE name = 'slow'");
	l = lease_open(env.loop, env.store.writes, 0, "slow", &callbacks, &h);
	lease_be_patient(l, 60000);
	CHECK(store_env_wait(&env, &h.taken, 1));
	lease_close(&l);
}

static void
test_a_lease_closed_while_it_asks(void)
{
	static const struct lease_callbacks callbacks = {on_taken, on_lost};
	struct held h = {0};
	struct lease *l =
		lease_open(env.loop, env.store.writes, 0, "x", &callbacks, &h);

	lease_close(&l);
	for (int i = 0; i < 5; i++)
		loop_run_once(env.loop, 20);
	CHECK_INT(h.taken, 0);
}

int
main(void)
{
	if (!store_env_available())
		return 77;
	store_env_start(&env, "test_migrate");
	TEST(test_all_are_applied_once);
	TEST(test_an_empty_database_has_all_pending);
	TEST(test_a_changed_text_is_refused);
	TEST(test_a_newer_database_is_refused_unless_compatible);
	TEST(test_partitions_are_made_ahead_and_on_demand);
	TEST(test_the_audit_can_only_be_added_to);
	TEST(test_a_lease_is_taken_kept_and_yielded_to_a_higher_fence);
	TEST(test_a_dead_holder_is_followed_at_once);
	TEST(test_a_patient_lease_waits_for_the_holder);
	TEST(test_a_lease_closed_while_it_asks);
	TEST(test_a_failing_one_leaves_nothing);
	store_env_stop(&env);
	return test_done();
}
