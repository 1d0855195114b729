/* tenant.h - tenants: configured sections made rows, at start, before anything else. */
#ifndef INTERACTD_PEOPLE_TENANT_H
#define INTERACTD_PEOPLE_TENANT_H

#include <err.h>
#include <people/store.h>

/* Blocking, at start: makes sure each of `names` (and "default") has a row and fills
 * tenants' ids. `tenants` is an array of n, with name, region, timezone, languages set. */
int tenant_load(
	struct pg_sync *, struct tenant *tenants, size_t n, struct err *) MUST_CHECK;

#endif
