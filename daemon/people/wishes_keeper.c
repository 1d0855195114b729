/* wishes_keeper.c - see wishes_keeper.h.
 *
 * One question is under way at a time. Sealing is asked for every SEAL_MS, at once again
 * after a full batch; sweeping every SWEEP_MS, likewise. An idle database is asked one
 * look into an empty table. */
#include <people/wishes_keeper.h>

#include <clock.h>
#include <io/lease.h>
#include <io/loop.h>
#include <log.h>
#include <mem.h>

#define SEAL_MS	    400
#define SEAL_MAX    1000
#define SWEEP_US    INT64_C(15000000)
#define SWEEP_MAX   20000
#define DEADLINE_MS 30000
#define RETRY_MS    1000
#define LAST_MS	    1000

struct wishes_keeper {
	struct store *store;
	struct lease *lease;
	struct loop_timer *timer;
	int64_t sweep_us; /* when next, monotonic */
	bool asking, sweeping, ending;
	bool freed; /* the answer under way frees it */
};

static void
next(struct wishes_keeper *k, int64_t ms)
{
	k->asking = false;
	if (!k->ending && lease_is_held(k->lease))
		loop_timer_start(k->timer, ms);
}

static void
on_done(void *arg, const struct pg_answer *a)
{
	struct wishes_keeper *k = arg;

	if (k->freed) {
		mem_free(k);
		return;
	}
	if (a->status != PG_OK) {
		log_debug("wishes", "%s: %s", k->sweeping ? "sweeping" : "sealing",
			a->message);
		next(k, RETRY_MS);
		return;
	}
	int64_t n = pg_int(a, 0, 0, 0);
	if (k->sweeping)
		k->sweep_us = n < SWEEP_MAX ? clock_mono_us() + SWEEP_US : 0;
	next(k, !k->sweeping && n >= SEAL_MAX ? 0 : SEAL_MS);
}

static void
ask(struct wishes_keeper *k)
{
	struct pg_unit *u = pg_unit_new(k->store->writes);

	pg_add(u, k->sweeping ? "suppression_sweep" : "consent_seal_due");
	pg_param_int(u, k->sweeping ? SWEEP_MAX : SEAL_MAX);
	k->asking = true;
	pg_submit(&u, DEADLINE_MS, on_done, k);
}

/* Sealing and sweeping in turn, so that neither keeps the other waiting. */
static void
on_timer(void *arg)
{
	struct wishes_keeper *k = arg;

	if (k->asking)
		return;
	k->sweeping = !k->sweeping && clock_mono_us() >= k->sweep_us;
	ask(k);
}

static void
on_taken(void *arg, int64_t fence)
{
	struct wishes_keeper *k = arg;

	(void)fence;
	loop_timer_start(k->timer, 0);
}

static void
on_lost(void *arg, const char *holder)
{
	struct wishes_keeper *k = arg;

	(void)holder;
	loop_timer_stop(k->timer);
}

struct wishes_keeper *
wishes_keeper_new(struct store *store)
{
	static const struct lease_callbacks callbacks = {on_taken, on_lost};
	struct wishes_keeper *k = xcalloc(1, sizeof(*k));

	k->store = store;
	k->sweep_us = clock_mono_us() + SWEEP_US;
	k->timer = loop_timer_new(store->loop, on_timer, k);
	k->lease = lease_open(store->loop, store->writes, 0, "wishes", &callbacks, k);
	return k;
}

/* Runs the loop until what is asked is answered, or it takes too long. */
static void
wait_answer(struct wishes_keeper *k, int64_t until)
{
	while (k->asking && clock_mono_us() < until)
		loop_run_once(k->store->loop, 50);
}

void
wishes_keeper_free(struct wishes_keeper **kp)
{
	struct wishes_keeper *k = *kp;
	int64_t until = clock_mono_us() + LAST_MS * INT64_C(1000);

	*kp = NULL;
	if (!k)
		return;
	k->ending = true;
	loop_timer_stop(k->timer);
	wait_answer(k, until);
	if (!k->asking && lease_is_held(k->lease) && pg_is_up(k->store->writes)) {
		k->sweeping = false;
		ask(k);
		wait_answer(k, until);
	}
	lease_close(&k->lease);
	loop_timer_free(&k->timer);
	/* an answer that did not come in time comes when the pool is closed */
	k->freed = k->asking;
	if (!k->freed)
		mem_free(k);
}
