/* agent_states_store.c - what was said of agents, kept in PostgreSQL.
 *
 * Records that changed are written together, at most AGENT_SAVE_MAX in one transaction, one at
 * a time; while the database is away they wait in the list of dirty ones, each once. A
 * record that changes while it is being written is dirty again. Loading brings what is
 * kept into what memory knows already, by the times of both. */
#include <desk/agent_states_priv.h>

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <string.h>

#define DEADLINE_MS    5000
#define RETRY_MS       1000
#define FAILURES_LOG_S 60

/* ---- Writing ---- */

static struct agent_saving *
saving_new(struct agent_states *as)
{
	struct agent_saving *s = xcalloc(1, sizeof(*s));

	s->states = as;
	list_append(&as->savings, &s->link);
	return s;
}

/* Its states; NULL if they were freed meanwhile. */
static struct agent_states *
saving_end(struct agent_saving *s)
{
	struct agent_states *as = s->states;

	if (as)
		list_remove(&s->link);
	mem_free(s);
	return as;
}

static void
add_record(struct pg_unit *u, const struct agent_record *r)
{
	const struct agent_choice *c = &r->facts.choice;
	const struct agent_wrapup *w = &r->facts.wrapup;

	pg_add(u, "agent_state_save");
	pg_param_int(u, r->tenant->id);
	pg_param_text(u, r->id);
	pg_param_text(u, c->at_us ? agent_mode_text(c->mode) : NULL);
	pg_param_int(u, c->at_us);
	pg_param_text(u, c->reason);
	pg_param_text(u, agent_source_text(c->source));
	pg_param_text(u, c->by);
	pg_param_int(u, w->at_us);
	pg_param_int(u, w->at_us ? w->until_us : 0);
	pg_param_text(u, agent_source_text(w->source));
	pg_param_text(u, w->by);
	pg_param_int(u, r->facts.cleared_us);
}

static void
mark_dirty(struct agent_states *as, struct agent_record *r)
{
	if (!r->dirty.next)
		list_append(&as->dirty, &r->dirty);
}

static void
on_saved(void *arg, const struct pg_answer *a)
{
	struct agent_saving *s = arg;
	struct agent_states *as = s->states;
	bool ok = a->status == PG_OK;

	if (as && !ok)
		for (size_t i = 0; i < s->n; i++)
			mark_dirty(as, s->records[i]);
	if (!saving_end(s))
		return;
	if (a->status == PG_ERROR &&
		log_once_due(&as->failed_log, FAILURES_LOG_S, NULL))
		log_errorx("agents", "their states cannot be written: %s", a->message);
	as->saving = false;
	if (!list_is_empty(&as->dirty))
		loop_timer_start(as->save, ok ? 0 : RETRY_MS);
}

void
agent_states_save(void *arg)
{
	struct agent_states *as = arg;

	if (as->saving || !as->loaded || list_is_empty(&as->dirty))
		return;
	if (as->opts.store->held) {
		loop_timer_start(as->save, RETRY_MS);
		return;
	}
	struct pg_unit *u = pg_unit_new(as->opts.store->writes);
	struct agent_saving *s = saving_new(as);
	while (!list_is_empty(&as->dirty) && s->n < AGENT_SAVE_MAX) {
		struct agent_record *r =
			LIST_ENTRY(as->dirty.next, struct agent_record, dirty);
		list_remove(&r->dirty);
		s->records[s->n++] = r;
		add_record(u, r);
	}
	as->saving = true;
	pg_submit(&u, DEADLINE_MS, on_saved, s);
}

/* ---- Loading ---- */

struct tenant_of {
	int64_t id;
	const char *name;
};

static void
match_tenant(const char *name, void *value, void *arg)
{
	const struct tenant *t = value;
	struct tenant_of *of = arg;

	if (t->id == of->id)
		of->name = name;
}

static int
at_least(int value, int least)
{
	return value < least ? least : value;
}

static void
read_facts(struct agent_facts *f, const struct pg_answer *a, size_t row)
{
	struct agent_choice *c = &f->choice;
	struct agent_wrapup *w = &f->wrapup;

	memset(f, 0, sizeof(*f));
	c->mode = (enum agent_mode)at_least(agent_mode_parse(pg_text(a, 0, row, 2)), 0);
	c->at_us = pg_int(a, 0, row, 3);
	str_copy(c->reason, sizeof(c->reason), pg_text(a, 0, row, 4));
	c->source = (enum agent_source)at_least(
		agent_source_parse(pg_text(a, 0, row, 5)), 0);
	str_copy(c->by, sizeof(c->by), pg_text(a, 0, row, 6));
	w->at_us = pg_int(a, 0, row, 7);
	w->until_us = pg_int(a, 0, row, 8);
	w->source = (enum agent_source)at_least(
		agent_source_parse(pg_text(a, 0, row, 9)), 0);
	str_copy(w->by, sizeof(w->by), pg_text(a, 0, row, 10));
	f->cleared_us = pg_int(a, 0, row, 11);
}

static void
take_row(struct agent_states *as, const struct pg_answer *a, size_t row)
{
	struct tenant_of tenant = {pg_int(a, 0, row, 0), NULL};
	struct agent_facts kept;
	struct agent_record *r;

	map_each(&as->opts.store->tenants, match_tenant, &tenant);
	r = tenant.name ? agent_record_get(as, tenant.name, pg_text(a, 0, row, 1))
			: NULL;
	if (!r) /* of a tenant that is not configured */
		return;
	read_facts(&kept, a, row);
	agent_facts_merge(&r->facts, &kept);
	agent_record_changed(as, r, false);
}

static void
on_load(void *arg, const struct pg_answer *a)
{
	struct agent_states *as = saving_end(arg);

	if (!as)
		return;
	if (a->status != PG_OK) {
		loop_timer_start(as->load, RETRY_MS);
		return;
	}
	for (size_t row = 0; row < pg_rows(a, 0); row++)
		take_row(as, a, row);
	as->loaded = true;
	as->loading = false;
	agent_phones_judge(as);
	agent_states_save(as);
	if (as->on_loaded)
		as->on_loaded(as->on_loaded_arg);
}

void
agent_states_begin_load(void *arg)
{
	struct agent_states *as = arg;
	struct pg_unit *u = pg_unit_new(as->opts.store->reads);

	as->loading = true;
	pg_add(u, "agent_state_load");
	pg_submit(&u, DEADLINE_MS, on_load, saving_new(as));
}

void
agent_states_load(struct agent_states *as, loop_fn *done, void *arg)
{
	as->on_loaded = done;
	as->on_loaded_arg = arg;
	if (!as->loading)
		agent_states_begin_load(as);
}

bool
agent_states_is_loaded(const struct agent_states *as)
{
	return as->loaded;
}

bool
agent_states_is_saved(const struct agent_states *as)
{
	return !as->saving && list_is_empty(&as->dirty);
}

void
agent_states_store_free(struct agent_states *as)
{
	while (!list_is_empty(&as->savings)) {
		struct agent_saving *s =
			LIST_ENTRY(as->savings.next, struct agent_saving, link);
		list_remove(&s->link);
		s->states = NULL;
	}
}
