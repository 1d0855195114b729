/* prepare.c - the schema, tenants and checkpoints, before anything else.
 *
 * The thread works on copies and touches nothing of the loop's but loop_post. Between
 * two attempts no thread runs. */
#include <api/prepare.h>

#include <io/loop.h>
#include <io/migrate.h>
#include <log.h>
#include <mem.h>
#include <people/tenant.h>
#include <timeline/writer.h>

#include <pthread.h>
#include <string.h>

#define RETRY_MS 1000

enum outcome { READY, WAITING, REFUSED };

struct prepare {
	struct loop *loop;
	char *conninfo;
	struct tenant *tenants;
	size_t n_tenants;
	struct prepare_spool *spools;
	size_t n_spools;
	struct prepare_callbacks callbacks;
	void *arg;
	struct loop_timer *retry;
	pthread_t thread;
	bool thread_runs, closed;
	enum outcome outcome;
	struct err err;
};

static enum outcome
apply_schema(struct prepare *p)
{
	struct migration_status st;
	struct pg_sync *pg = pg_sync_open(p->conninfo, &p->err);
	if (!pg)
		return WAITING;
	enum outcome outcome = READY;
	if (migrate_status(pg, &st, &p->err) < 0 ||
		migrate_apply(pg, NULL, NULL, &p->err) < 0)
		outcome = REFUSED;
	pg_sync_close(&pg);
	return outcome;
}

static enum outcome
attempt(struct prepare *p)
{
	enum outcome outcome = apply_schema(p);
	if (outcome != READY)
		return outcome;
	if (tenant_load(p->conninfo, p->tenants, p->n_tenants, &p->err) < 0)
		return WAITING;
	for (size_t i = 0; i < p->n_spools; i++) {
		struct prepare_spool *s = &p->spools[i];
		if (writer_load_checkpoint(p->conninfo, s->tenant, s->channel,
			    &s->checkpoint, &p->err) < 0)
			return WAITING;
	}
	return READY;
}

static void
on_attempted(void *arg)
{
	struct prepare *p = arg;
	pthread_join(p->thread, NULL);
	p->thread_runs = false;
	if (p->closed)
		return;
	if (p->outcome == READY)
		p->callbacks.on_ready(p->arg, p->tenants, p->spools);
	else if (p->outcome == REFUSED)
		p->callbacks.on_refused(p->arg, p->err.text);
	else {
		loop_timer_start(p->retry, RETRY_MS);
		p->callbacks.on_waiting(p->arg, p->err.text);
	}
}

static void *
thread_main(void *arg)
{
	struct prepare *p = arg;
	p->outcome = attempt(p);
	loop_post(p->loop, on_attempted, p);
	return NULL;
}

static void
start_attempt(void *arg)
{
	struct prepare *p = arg;
	if (pthread_create(&p->thread, NULL, thread_main, p) == 0) {
		p->thread_runs = true;
		return;
	}
	log_error(NULL, "cannot start a thread; trying again");
	loop_timer_start(p->retry, RETRY_MS);
}

struct prepare *
prepare_start(struct loop *loop, const char *conninfo, const struct tenant *tenants,
	size_t n_tenants, const struct prepare_spool *spools, size_t n_spools,
	const struct prepare_callbacks *callbacks, void *arg)
{
	struct prepare *p = xcalloc(1, sizeof(*p));
	p->loop = loop;
	p->conninfo = xstrdup(conninfo);
	p->tenants = xcalloc(n_tenants + 1, sizeof(*tenants));
	memcpy(p->tenants, tenants, n_tenants * sizeof(*tenants));
	p->n_tenants = n_tenants;
	p->spools = xcalloc(n_spools + 1, sizeof(*spools));
	p->n_spools = n_spools;
	for (size_t i = 0; i < n_spools; i++) {
		p->spools[i].tenant = xstrdup(spools[i].tenant);
		p->spools[i].channel = xstrdup(spools[i].channel);
	}
	p->callbacks = *callbacks;
	p->arg = arg;
	p->retry = loop_timer_new(loop, start_attempt, p);
	loop_timer_start(p->retry, 0);
	return p;
}

static void
free_parts(void *arg)
{
	struct prepare *p = arg;
	for (size_t i = 0; i < p->n_spools; i++) {
		xfree(&p->spools[i].tenant);
		xfree(&p->spools[i].channel);
	}
	xfree(&p->spools);
	xfree(&p->tenants);
	xfree(&p->conninfo);
	mem_free(p);
}

void
prepare_free(struct prepare **pp)
{
	struct prepare *p = *pp;
	if (!p)
		return;
	*pp = NULL;
	p->closed = true;
	loop_timer_free(&p->retry);
	/* A thread that runs posts on_attempted, which must still find p. */
	while (p->thread_runs)
		loop_run_once(p->loop, 100);
	loop_free_later(p->loop, free_parts, p);
}
