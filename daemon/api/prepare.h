/* prepare.h - what must be known from the database before channels can begin: the
 * schema is applied, tenants have their ids, spools their checkpoints.
 *
 * Blocking work, so it runs on a thread, again and again until the database is there;
 * the loop goes on meanwhile. */
#ifndef INTERACTD_API_PREPARE_H
#define INTERACTD_API_PREPARE_H

#include <loop.h>
#include <people/store.h>

struct prepare;

struct prepare_spool {
	char *tenant, *channel;
	uint64_t checkpoint;
};

struct prepare_callbacks {
	/* Filled; the arrays are prepare's until prepare_free. */
	void (*on_ready)(void *arg, const struct tenant *tenants,
		const struct prepare_spool *spools);
	/* Not yet, and why; it is tried again in a second. */
	void (*on_waiting)(void *arg, const char *why);
	/* Trying again would not help (a newer schema, a broken migration). */
	void (*on_refused)(void *arg, const char *why);
};

/* Copies everything. tenants: names and settings, their ids are asked for. */
struct prepare *
prepare_start(struct loop *, const char *conninfo, const struct tenant *tenants,
	size_t n_tenants, const struct prepare_spool *spools, size_t n_spools,
	const struct prepare_callbacks *, void *arg);
/* No callback comes after it; a thread that still runs breaks off what it waits for. */
void prepare_free(struct prepare **);

#endif
