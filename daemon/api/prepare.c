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
#include <sys/eventfd.h>
#include <unistd.h>

#define RETRY_MS    1000
#define PATIENCE_MS 10000 /* for one answer */

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
	int stop_fd; /* readable: the thread is to break off */
	enum outcome outcome;
	struct err err;
};

/* A server that is away, only reads or is out of connections comes back; a schema that is
 * not ours does not. A migration may take its time. */
static enum outcome
apply_schema(struct prepare *p, struct pg_sync *pg)
{
	struct migration_status st;
	int rc = migrate_status(pg, &st, &p->err);
	if (rc == 0 && st.pending)
		pg_sync_set_patience(pg, 0);
	if (rc == 0)
		rc = migrate_apply(pg, NULL, NULL, &p->err);
	pg_sync_set_patience(pg, PATIENCE_MS);
	if (rc == 0)
		return READY;
	return p->err.code == PG_MAY_PASS ? WAITING : REFUSED;
}

static enum outcome
load_rows(struct prepare *p, struct pg_sync *pg)
{
	if (tenant_load(pg, p->tenants, p->n_tenants, &p->err) < 0)
		return WAITING;
	for (size_t i = 0; i < p->n_spools; i++) {
		struct prepare_spool *s = &p->spools[i];
		if (writer_load_checkpoint(
			    pg, s->tenant, s->channel, &s->checkpoint, &p->err) < 0)
			return WAITING;
	}
	return READY;
}

static enum outcome
attempt(struct prepare *p)
{
	struct pg_sync *pg =
		pg_sync_open_patient(p->conninfo, PATIENCE_MS, p->stop_fd, &p->err);
	if (!pg)
		return WAITING;
	enum outcome outcome = apply_schema(p, pg);
	if (outcome == READY)
		outcome = load_rows(p, pg);
	pg_sync_close(&pg);
	return outcome;
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
	p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
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
	if (p->stop_fd >= 0)
		close(p->stop_fd);
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
	if (p->stop_fd >= 0 && eventfd_write(p->stop_fd, 1) < 0)
		log_warn(NULL, "cannot tell the thread to end");
	/* A thread that runs posts on_attempted, which must still find p. */
	while (p->thread_runs)
		loop_run_once(p->loop, 100);
	loop_free_later(p->loop, free_parts, p);
}
