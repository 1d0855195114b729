/* phone_gap.c - what a phone system's comparisons and silences have to do with gaps.
 *
 * Heard is a phone system from the end of its first snapshot until its connection is
 * lost. A gap that follows a silence touches every call that was up meanwhile, whether or
 * not anything is known to be missing of it. While the spool is replayed nothing is
 * recorded: that was done when it happened, or belongs to the gap of the restart. */
#include <calls/phone_priv.h>

#include <mem.h>

#define COMPARED_MS 20000

struct waiter {
	struct list link;
	struct loop_timer *deadline;
	phone_compared_fn *fn;
	void *arg;
};

static void
waiter_end(struct waiter *w, const struct phone_comparison *c)
{
	list_remove(&w->link);
	loop_timer_free(&w->deadline);
	w->fn(w->arg, c);
	mem_free(w);
}

static void
on_deadline(void *arg)
{
	waiter_end(arg, NULL);
}

void
phone_on_compared(struct phone *ph, phone_compared_fn *fn, void *arg)
{
	struct waiter *w = xcalloc(1, sizeof(*w));

	w->fn = fn;
	w->arg = arg;
	w->deadline = loop_timer_new(ph->loop, on_deadline, w);
	loop_timer_start(w->deadline, COMPARED_MS);
	list_append(&ph->waiters, &w->link);
}

static void
waiters_end(struct phone *ph, const struct phone_comparison *c)
{
	while (!list_is_empty(&ph->waiters))
		waiter_end(LIST_ENTRY(ph->waiters.next, struct waiter, link), c);
}

void
phone_call_missed(void *arg, struct call *c, enum tracker_missed what)
{
	struct phone *ph = arg;

	if (!ph->replaying)
		gaps_touch(ph->gaps, &c->id, what);
}

void
phone_compared(void *arg, const struct tracker_compared *cmp)
{
	struct phone *ph = arg;
	struct phone_comparison result = {.compared = *cmp};

	if (ph->replaying)
		return;
	if (!cmp->live)
		list_for_each (&ph->calls, it) {
			struct phone_call *pc = LIST_ENTRY(it, struct phone_call, link);
			if (pc->call->at_us < cmp->at_us)
				gaps_touch(
					ph->gaps, &pc->call->id, TRACKER_MISSED_KINDS);
		}
	result.has_gap = gaps_compared(ph->gaps, cmp, &result.gap);
	waiters_end(ph, &result);
}

void
phone_gap_event(struct phone *ph, enum call_event_type type)
{
	if (type == CALL_SNAPSHOT_END)
		ph->hearing = true;
	if (type != CALL_LINK_LOST || !ph->hearing)
		return;
	ph->hearing = false;
	gaps_heard(ph->gaps, phone_now(ph), true);
}

void
phone_gap_tick(struct phone *ph)
{
	if (ph->hearing)
		gaps_heard(ph->gaps, phone_now(ph), false);
}

/* ---- The history --------------------------------------------------------------------- */

static bool
is_up(void *arg, const struct uuid *call)
{
	struct phone *ph = arg;
	char text[UUID_TEXT_LEN];

	return map_find(&ph->by_id, uuid_format(text, call)) != NULL;
}

static bool
save_past(void *arg, struct call *c, phone_saved_fn *done, void *done_arg)
{
	struct phone *ph = arg;

	if (writer_is_full(ph->writer))
		return false;
	phone_save_past(ph, c, ph->conf->history_format, done, done_arg);
	return true;
}

static void
filled(void *arg, const struct uuid *gap, const char *error, unsigned completed,
	const struct uuid *calls, size_t n)
{
	struct phone *ph = arg;

	gaps_filled(ph->gaps, gap, error, completed, calls, n);
}

static void
recorded(void *arg, const struct gap_period *gap)
{
	struct phone *ph = arg;

	if (ph->history) /* else we are closing: the next daemon fills it */
		history_fill(ph->history, gap);
}

/* ---- Life ---------------------------------------------------------------------------- */

void
phone_gap_open(struct phone *ph, const struct phone_opts *phone_opts)
{
	struct history_opts history = {
		.loop = ph->loop,
		.store = ph->store,
		.tenant = ph->tenant,
		.channel = ph->channel,
		.conf = ph->conf,
		.format = history_format(ph->conf, phone_opts->histories),
		.directory = phone_directory(ph),
		.is_up = is_up,
		.save = save_past,
		.filled = filled,
		.arg = ph,
	};
	struct gaps_opts opts = {
		.store = ph->store,
		.events = ph->events,
		.tenant = ph->tenant,
		.channel = ph->channel,
		.history = history.format != NULL,
		.recorded = recorded,
		.arg = ph,
	};

	list_init(&ph->waiters);
	if (history.format)
		ph->history = history_new(&history);
	ph->gaps = gaps_new(&opts);
}

void
phone_gap_close(struct phone *ph)
{
	waiters_end(ph, NULL);
	history_free(&ph->history);
	if (ph->hearing)
		gaps_heard(ph->gaps, phone_now(ph), true);
	ph->hearing = false;
	gaps_free(&ph->gaps);
}
