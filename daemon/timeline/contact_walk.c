/* contact_walk.c - see contact_walk.h.
 *
 *	next -> bound (where the range ends) -> page -> callback, or the next range
 *
 * A unit holds a struct step, which is forgotten, not freed, when the walk goes first. */
#include <timeline/contact_walk.h>

#include <clock.h>
#include <io/loop.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define RANGE_MIN     64
#define RANGE_MAX     131072
#define STEP_MS	      15000
#define TRIES	      16 /* about a minute */
#define RETRY_BASE_MS 250
#define RETRY_CAP_MS  5000

struct step {
	struct contact_walk *walk; /* NULL: gone */
};

struct contact_walk {
	struct store *store;
	struct contact_walk_opts opts;
	int tenant;
	struct segment_filter filter;
	struct buf sql;
	contact_page_fn *fn;
	void *arg;
	struct uuid low, high; /* (low, high]: being asked */
	bool last;	       /* high is the end */
	unsigned range;	       /* contacts in it */
	unsigned tries;
	int64_t until_us; /* patience */
	struct step *step;
	struct loop_timer *timer;
};

static void ask_bound(struct contact_walk *w);

static void
on_timer(void *arg)
{
	ask_bound(arg);
}

struct contact_walk *
contact_walk_new(struct store *store, const struct contact_walk_opts *opts,
	contact_page_fn *fn, void *arg, struct err *err)
{
	struct contact_walk *w = xcalloc(1, sizeof(*w));

	if (!segment_filter_init(
		    &w->filter, opts->filter, opts->sight, clock_wall_us())) {
		err_set(err, "%s", w->filter.why);
		segment_filter_fini(&w->filter);
		xfree(&w);
		return NULL;
	}
	w->store = store;
	w->opts = *opts;
	w->opts.filter = NULL;
	w->opts.sight = NULL;
	w->tenant = opts->tenant->id;
	segment_filter_page_sql(&w->filter, opts->wishes, &w->sql);
	w->fn = fn;
	w->arg = arg;
	w->low = opts->after;
	w->range = opts->page > RANGE_MIN ? opts->page : RANGE_MIN;
	w->timer = loop_timer_new(store->loop, on_timer, w);
	return w;
}

void
contact_walk_free(struct contact_walk **wp)
{
	struct contact_walk *w = *wp;

	if (!w)
		return;
	*wp = NULL;
	if (w->step)
		w->step->walk = NULL;
	loop_timer_free(&w->timer);
	segment_filter_fini(&w->filter);
	buf_fini(&w->sql);
	mem_free(w);
}

static void
give(struct contact_walk *w, const struct pg_answer *a, const char *failed)
{
	struct contact_page p = {.answer = a,
		.n = a ? pg_rows(a, 1) : 0,
		.end = a && w->last && uuid_is_nil(&w->high),
		.after = w->low,
		.failed = failed};

	w->fn(w->arg, &p);
}

/* The walk, or NULL: it was freed meanwhile. */
static struct contact_walk *
step_end(void *arg)
{
	struct step *s = arg;
	struct contact_walk *w = s->walk;

	xfree(&s);
	if (w)
		w->step = NULL;
	return w;
}

static void
on_failed(struct contact_walk *w, const struct pg_answer *a)
{
	bool passes =
		a->status == PG_LOST || a->status == PG_FULL || a->status == PG_TIMEOUT;

	if ((a->status == PG_TIMEOUT || str_eq(a->sqlstate, "57014")) &&
		w->range > RANGE_MIN) {
		w->range = w->range / 8 > RANGE_MIN ? w->range / 8 : RANGE_MIN;
		ask_bound(w);
	} else if (passes && w->opts.waits_for_database && ++w->tries <= TRIES) {
		loop_timer_start(w->timer,
			loop_backoff_ms(w->tries, RETRY_BASE_MS, RETRY_CAP_MS));
	} else if (str_eq(a->sqlstate, "57014")) {
		give(w, NULL, "the database took too long; the filter asks too much");
	} else {
		give(w, NULL, a->message);
	}
}

static struct pg_unit *
unit_new(struct contact_walk *w)
{
	struct pg_unit *u = pg_unit_new(w->store->reports);
	char text[24];

	w->step = xcalloc(1, sizeof(*w->step));
	w->step->walk = w;
	pg_add(u, "report_guard");
	snprintf(text, sizeof(text), "%d", STEP_MS);
	pg_param_text(u, text);
	return u;
}

static void
param_id(struct pg_unit *u, const struct uuid *id)
{
	char text[UUID_TEXT_LEN];

	pg_param_text(u, uuid_format(text, id));
}

static void
on_page(void *arg, const struct pg_answer *a)
{
	struct contact_walk *w = step_end(arg);

	if (!w)
		return;
	if (a->status != PG_OK) {
		on_failed(w, a);
		return;
	}
	size_t n = pg_rows(a, 1);
	bool full = n >= w->opts.page;

	w->tries = 0;
	w->low = full ? pg_uuid(a, 1, n - 1, 0) : w->high;
	if (!full && w->last)
		memset(&w->high, 0, sizeof(w->high)); /* the end */
	else
		w->last = false;
	if (n < w->opts.page / 4 && w->range < RANGE_MAX)
		w->range *= 2;
	else if (full && w->range > 2 * w->opts.page)
		w->range /= 2;
	if (n || w->last || clock_mono_us() > w->until_us)
		give(w, a, NULL);
	else
		ask_bound(w);
}

static void
ask_page(struct contact_walk *w)
{
	const struct segment_filter *f = &w->filter;
	struct pg_unit *u = unit_new(w);

	pg_add_sql(u, buf_str(&w->sql));
	pg_param_int(u, w->tenant);
	param_id(u, &w->low);
	param_id(u, &w->high);
	pg_param_int(u, w->opts.page);
	for (unsigned i = 0; i < f->n_values; i++)
		pg_param_text(u, f->values.data + f->offsets[i]);
	pg_submit(&u, STEP_MS + 1000, on_page, w->step);
}

static void
on_bound(void *arg, const struct pg_answer *a)
{
	struct contact_walk *w = step_end(arg);

	if (!w)
		return;
	if (a->status != PG_OK) {
		on_failed(w, a);
		return;
	}
	w->last = !pg_rows(a, 1);
	if (w->last)
		memset(&w->high, 0xff, sizeof(w->high));
	else
		w->high = pg_uuid(a, 1, 0, 0);
	ask_page(w);
}

static void
ask_bound(struct contact_walk *w)
{
	struct pg_unit *u = unit_new(w);

	pg_add(u, "walk_bound");
	pg_param_int(u, w->tenant);
	param_id(u, &w->low);
	pg_param_int(u, w->range - 1);
	pg_submit(&u, STEP_MS + 1000, on_bound, w->step);
}

void
contact_walk_next(struct contact_walk *w)
{
	w->until_us = clock_mono_us() + (int64_t)w->opts.patience_ms * 1000;
	w->tries = 0;
	ask_bound(w);
}
