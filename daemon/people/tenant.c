/* tenant.c - the configuration's tenants as rows, once at start. */
#include <people/tenant.h>

#include <str.h>

#include <stdlib.h>

static void
on_id(void *arg, int n, char *const *cols)
{
	(void)n;
	*(int *)arg = atoi(cols[0]);
}

static int
tenant_upsert(struct pg_sync *pg, struct tenant *t, struct err *err)
{
	const char *const params[] = {
		t->name, t->region, t->timezone[0] ? t->timezone : "UTC", t->languages};

	return pg_sync_query(pg,
		"INSERT INTO tenant (name, region, timezone, languages) "
		"VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO UPDATE "
		"SET region = excluded.region, timezone = excluded.timezone, "
		"languages = excluded.languages RETURNING id",
		4, params, on_id, &t->id, err);
}

int
tenant_load(const char *conninfo, struct tenant *tenants, size_t n, struct err *err)
{
	struct pg_sync *pg = pg_sync_open(conninfo, err);
	int rc = 0;

	if (!pg)
		return -1;
	/* "default" exists from the first migration on; a section only changes it. */
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = tenant_upsert(pg, &tenants[i], err);
	pg_sync_close(&pg);
	return rc;
}
