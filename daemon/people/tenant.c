/* tenant.c - the configuration's tenants as rows, once at start. */
#include <people/tenant.h>

#include <str.h>

#include <stdio.h>
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
	char age[16];
	const char *const params[] = {t->name, t->region,
		t->timezone[0] ? t->timezone : "UTC", t->languages, age};

	snprintf(age, sizeof(age), "%d", t->identity_age_days);

	return pg_sync_query(pg,
		"INSERT INTO tenant (name, region, timezone, languages, identity_age_days) "
		"VALUES ($1, $2, $3, $4, $5::int) ON CONFLICT (name) DO UPDATE "
		"SET region = excluded.region, timezone = excluded.timezone, "
		"languages = excluded.languages, "
		"identity_age_days = excluded.identity_age_days RETURNING id",
		5, params, on_id, &t->id, err);
}

int
tenant_load(struct pg_sync *pg, struct tenant *tenants, size_t n, struct err *err)
{
	int rc = 0;

	/* "default" exists from the first migration on; a section only changes it. */
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = tenant_upsert(pg, &tenants[i], err);
	return rc;
}
