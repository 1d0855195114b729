/* webhook_keep.c - which events are kept for webhooks, and those that no transaction of
 * their effect writes.
 *
 * Before the list is known for the first time (PostgreSQL was away at the start), changes
 * are stamped as if somebody wanted them: the database knows better when they are written.
 * Events without a transaction are written in their order, one batch at a time, again and
 * again until the answer is known: a row is made once per event id. What the database
 * refuses for a reason of its own (a full disk, a standby, a deadlock) is tried again; what
 * it refuses for the event's sake is tried alone, so that it takes no other with it. */
#include <desk/webhook_priv.h>

#include <mem.h>
#include <str.h>

#include <string.h>

#define BATCH_MAX   64
#define WAITING_MAX 10000
#define KEEP_MS	    30000

struct keeping {
	struct list link; /* in keeps */
	const struct tenant *tenant;
	struct event_stamp stamp;
	char *type, *object, *changes;
};

static bool
hook_wants(const struct webhook *w, const struct tenant *tenant, const char *type)
{
	if (!w->enabled || !str_eq(w->tenant->name, tenant->name))
		return false;
	for (size_t i = 0; i < w->n_patterns; i++)
		if (!type || webhook_pattern_matches(w->patterns[i], type))
			return true;
	return false;
}

static bool
keeper_wants(void *arg, const struct tenant *tenant, const char *type)
{
	struct webhooks *ws = arg;

	if (!ws->version)
		return !type;
	list_for_each (&ws->list, it)
		if (hook_wants(LIST_ENTRY(it, struct webhook, link), tenant, type))
			return true;
	return false;
}

void
webhooks_kick(struct webhooks *ws, const struct tenant *tenant, const char *type)
{
	list_for_each (&ws->list, it) {
		struct webhook *w = LIST_ENTRY(it, struct webhook, link);
		if (!hook_wants(w, tenant, type))
			continue;
		w->due = w->again = true;
		webhook_go(w);
	}
}

static void
keeper_kept(void *arg, const struct tenant *tenant, const char *type)
{
	webhooks_kick(arg, tenant, type);
}

static void
keeping_free(struct webhooks *ws, struct keeping *k)
{
	list_remove(&k->link);
	ws->n_keeps--;
	mem_free(k->type);
	mem_free(k->object);
	mem_free(k->changes);
	mem_free(k);
}

static struct keeping *
keeping_first(struct webhooks *ws)
{
	return LIST_ENTRY(ws->keeps.next, struct keeping, link);
}

void
webhooks_keeps_free(struct webhooks *ws)
{
	while (!list_is_empty(&ws->keeps))
		keeping_free(ws, keeping_first(ws));
}

/* Data exception, constraint, a limit exceeded, raised by a function: PostgreSQL,
 * appendix A. All else may pass. */
static bool
is_events_fault(const struct pg_answer *a)
{
	static const char *const classes[] = {"21", "22", "23", "54", "P0"};

	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (a->status == PG_ERROR && !strncmp(a->sqlstate, classes[i], 2))
			return true;
	return false;
}

/* The first n_keeping of the list were asked for. */
static void
on_kept(void *arg, const struct pg_answer *a)
{
	struct webhooks *ws = arg;
	unsigned n = ws->n_keeping;
	bool refused = is_events_fault(a);

	ws->asking--;
	ws->n_keeping = 0;
	if (a->status != PG_OK && !refused)
		return; /* the poll tries again */
	if (refused && n > 1) {
		ws->n_singly = n;
		webhooks_keeps_pump(ws);
		return;
	}
	ws->n_singly -= ws->n_singly > 0;
	if (refused)
		log_warnx("webhook", "an event could not be kept for webhooks (%s)",
			a->sqlstate);
	for (; n; n--) {
		struct keeping *k = keeping_first(ws);
		if (!refused)
			webhooks_kick(ws, k->tenant, k->type);
		keeping_free(ws, k);
	}
	webhooks_keeps_pump(ws);
}

void
webhooks_keeps_pump(struct webhooks *ws)
{
	unsigned max = ws->n_singly ? 1 : BATCH_MAX;
	struct pg_unit *u;

	if (ws->n_keeping || list_is_empty(&ws->keeps) || !pg_is_up(ws->pg))
		return;
	u = pg_unit_new(ws->pg);
	list_for_each (&ws->keeps, it) {
		const struct keeping *k = LIST_ENTRY(it, struct keeping, link);
		if (ws->n_keeping == max)
			break;
		ws->n_keeping++;
		events_keep(u, k->tenant, &k->stamp, 0, k->type, k->object, k->changes);
	}
	ws->asking++;
	pg_submit(&u, KEEP_MS, on_kept, ws);
}

static void
keeper_keep(void *arg, const struct tenant *tenant, const struct event_stamp *stamp,
	const char *type, const char *object, const char *changes)
{
	struct webhooks *ws = arg;
	struct keeping *k;
	unsigned long quiet;

	if (ws->n_keeps >= WAITING_MAX) {
		if (log_once_due(&ws->keep_log, 60, &quiet))
			log_warnx("webhook",
				"events are lost to webhooks: %u wait for PostgreSQL",
				ws->n_keeps);
		return;
	}
	k = xcalloc(1, sizeof(*k));
	k->tenant = tenant;
	k->stamp = *stamp;
	k->type = xstrdup(type);
	k->object = xstrdup(object);
	k->changes = xstrdup(changes);
	list_append(&ws->keeps, &k->link);
	ws->n_keeps++;
	webhooks_keeps_pump(ws);
}

const struct events_keeper webhooks_keeper = {keeper_wants, keeper_keep, keeper_kept};
