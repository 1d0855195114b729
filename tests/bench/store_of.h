/* store_of.h - a store on a database that has the schema, for programs of the bench that
 * measure a room without the daemon around it. */
#ifndef INTERACTD_BENCH_STORE_OF_H
#define INTERACTD_BENCH_STORE_OF_H

#include <base/embedded.h>
#include <io/loop.h>
#include <io/migrate.h>
#include <log.h>
#include <people/store.h>
#include <people/tenant.h>
#include <str.h>

#include "bench.h"

static inline struct pg *
store_of_pool(struct loop *loop, const char *conninfo)
{
	struct pg_opts opts = {.conninfo = conninfo,
		.connections = 1,
		.queue_max = 1000,
		.connect_timeout_ms = 5000,
		.application_name = "bench"};
	struct pg *pg = pg_open(loop, &opts);

	for (const struct embedded *f = embedded_files; f->name; f++)
		if (str_starts(f->name, "daemon/") && strstr(f->name, ".sql"))
			pg_add_statements(pg, f->data);
	return pg;
}

/* Migrates what needs it, and reads the tenant's id. */
static inline void
store_of_open(struct store *store, struct tenant *tenant, const char *conninfo)
{
	struct err err;
	struct pg_sync *sync = pg_sync_open(conninfo, &err);
	int rc = sync ? migrate_apply(sync, NULL, NULL, &err) : -1;

	if (rc < 0 || tenant_load(sync, tenant, 1, &err) < 0)
		die("postgresql", err.text);
	pg_sync_close(&sync);
	log_init(LOG_LVL_WARNING);
	store->loop = loop_new();
	store->reads = store_of_pool(store->loop, conninfo);
	store->writes = store_of_pool(store->loop, conninfo);
}

static inline void
store_of_close(struct store *store)
{
	pg_close(&store->reads);
	pg_close(&store->writes);
	loop_run_once(store->loop, 0);
	loop_free(&store->loop);
}

#endif
