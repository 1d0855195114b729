/* retention.c - see retention.h.
 *
 *	WAITING -> whole months -> rule after rule, step after step -> months -> WAITING
 *
 * Whole months first, because that costs nothing per entry; and once more at the end,
 * because the steps may have emptied some. A step that fails is tried at the next run. */
#include <timeline/retention.h>

#include <people/store_ask.h>

#include <clock.h>
#include <io/lease.h>
#include <log.h>
#include <mem.h>

#include <string.h>

#define RUN_MS	   (3600 * INT64_C(1000))
#define FIRST_MS   3000
#define PAUSE_MS   100
#define LOOK_AT	   2000
#define STEP_MS	   30000
#define MONTHS_MAX 1200
#define DAY_US	   (24 * 3600 * INT64_C(1000000))

struct retention {
	struct store *store;
	struct retention_rule *rules;
	size_t n;
	struct lease *lease;
	struct loop_timer *timer;
	bool stopped;
	int64_t now_us; /* the run's: what "old" is measured from; 0 = none runs */
	enum { MONTHS, STEPS, EMPTIED } phase;
	size_t rule;			    /* of the steps */
	unsigned long long deleted, months; /* by the run */
	struct retention_stats stats;
};

struct retention *
retention_new(struct store *store, const struct retention_rule *rules, size_t n)
{
	struct retention *r = xcalloc(1, sizeof(*r));

	r->store = store;
	r->rules = xcalloc(n + 1, sizeof(*r->rules));
	memcpy(r->rules, rules, n * sizeof(*rules));
	r->n = n;
	return r;
}

static int64_t
before_us(const struct retention *r, size_t rule)
{
	return r->now_us - r->rules[rule].days * DAY_US;
}

static void
end_run(struct retention *r)
{
	if (r->deleted || r->months)
		log_info(NULL,
			"retention: %llu interactions and %llu whole months have "
			"served their time",
			r->deleted, r->months);
	r->now_us = 0;
	r->stats.run_us = clock_wall_us();
	loop_timer_start(r->timer, RUN_MS);
}

static void
on_stepped(void *arg, const struct pg_answer *a)
{
	struct retention *r = arg;

	if (r->stopped)
		return;
	bool ok = a->status == PG_OK && pg_rows(a, 0);
	if (ok) {
		r->deleted += (unsigned long long)pg_int(a, 0, 0, 0);
		r->stats.deleted += (unsigned long long)pg_int(a, 0, 0, 0);
	} else {
		log_warnx(NULL, "retention: a step failed and is tried again later: %s",
			a->message);
	}
	if ((!ok || !pg_bool(a, 0, 0, 1)) && ++r->rule == r->n)
		r->phase = EMPTIED;
	loop_timer_start(r->timer, PAUSE_MS);
}

static void
step(struct retention *r)
{
	const struct retention_rule *rule = &r->rules[r->rule];
	struct pg_unit *u = pg_unit_new(r->store->upkeep);

	pg_add(u, "retention_step");
	pg_param_int(u, rule->tenant->id);
	pg_param_text(u, rule->kind);
	pg_param_int(u, before_us(r, r->rule));
	pg_param_int(u, LOOK_AT);
	pg_submit(&u, STEP_MS, on_stepped, r);
}

static void
on_dropped(void *arg, const struct pg_answer *a)
{
	struct retention *r = arg;

	if (r->stopped)
		return;
	if (a->status != PG_OK)
		log_warnx(NULL, "retention: no month could be dropped: %s", a->message);
	if (a->status == PG_OK && pg_text(a, 0, 0, 0) && r->months < MONTHS_MAX) {
		r->months++;
		r->stats.months++;
	} else if (r->phase == EMPTIED) {
		end_run(r);
		return;
	} else {
		r->phase = STEPS;
	}
	loop_timer_start(r->timer, PAUSE_MS);
}

static void
drop_month(struct retention *r)
{
	struct pg_unit *u = pg_unit_new(r->store->upkeep);

	pg_add(u, "retention_drop");
	pg_array_begin(u);
	for (size_t i = 0; i < r->n; i++)
		pg_array_add_int(u, r->rules[i].tenant->id);
	pg_array_end(u);
	pg_array_begin(u);
	for (size_t i = 0; i < r->n; i++)
		pg_array_add(u, r->rules[i].kind);
	pg_array_end(u);
	pg_array_begin(u);
	for (size_t i = 0; i < r->n; i++)
		pg_array_add_int(u, before_us(r, i));
	pg_array_end(u);
	pg_submit(&u, STEP_MS, on_dropped, r);
}

static void
on_timer(void *arg)
{
	struct retention *r = arg;

	if (!lease_is_held(r->lease) || !pg_is_up(r->store->upkeep)) {
		loop_timer_start(r->timer, FIRST_MS);
		return;
	}
	if (!r->now_us) {
		r->now_us = clock_wall_us();
		r->phase = MONTHS;
		r->rule = 0;
		r->deleted = r->months = 0;
	}
	if (r->phase == STEPS)
		step(r);
	else
		drop_month(r);
}

static void
on_taken(void *arg, int64_t fence)
{
	struct retention *r = arg;

	(void)fence;
	if (!r->now_us)
		loop_timer_start(r->timer, FIRST_MS);
}

static void
on_lost(void *arg, const char *holder)
{
	(void)arg;
	log_info(NULL, "retention is %s's now", holder);
}

void
retention_begin(struct retention *r)
{
	static const struct lease_callbacks callbacks = {on_taken, on_lost};

	if (!r->n || r->lease)
		return;
	r->timer = loop_timer_new(r->store->loop, on_timer, r);
	r->lease = lease_open(
		r->store->loop, r->store->writes, 0, "retention", &callbacks, r);
}

void
retention_stop(struct retention *r)
{
	r->stopped = true;
	loop_timer_free(&r->timer);
	if (r->lease)
		lease_close(&r->lease);
}

void
retention_free(struct retention **rp)
{
	if (!*rp)
		return;
	loop_timer_free(&(*rp)->timer);
	xfree(&(*rp)->rules);
	xfree(rp);
}

void
retention_get_stats(const struct retention *r, struct retention_stats *st)
{
	*st = r->stats;
}

static void
on_due(void *arg, const struct pg_answer *a)
{
	store_ask_done_object(arg, a, "kind");
}

void
retention_due(struct store *store, const struct tenant *tenant,
	const char *const *kinds, const int64_t *days, size_t n, store_answer_fn *cb,
	void *arg)
{
	struct pg_unit *u = pg_unit_new(store->upkeep);

	pg_add(u, "retention_due");
	pg_param_int(u, tenant->id);
	pg_array_begin(u);
	for (size_t i = 0; i < n; i++)
		pg_array_add(u, kinds[i]);
	pg_array_end(u);
	pg_array_begin(u);
	for (size_t i = 0; i < n; i++)
		pg_array_add_int(u, days[i]);
	pg_array_end(u);
	pg_submit(&u, STEP_MS, on_due, store_ask_new(store, cb, arg));
}
