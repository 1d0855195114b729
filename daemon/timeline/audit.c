/* audit.c - reading the audit, newest first. */
#include <timeline/audit.h>

#include <mem.h>
#include <people/store_ask.h>
#include <str.h>

#include <string.h>

struct audit_page {
	struct store_ask *ask;
	unsigned limit;
};

static void
on_page(void *arg, const struct pg_answer *a)
{
	struct audit_page *p = arg;

	if (a->status == PG_OK)
		store_ask_done_page(p->ask, a, 0, p->limit);
	else
		store_ask_failed(p->ask, a);
	xfree(&p);
}

/* "kind:id", or an id alone: ids of agents and the like hold no colon. */
static void
param_object(struct pg_unit *u, const char *object)
{
	const char *colon = object ? strchr(object, ':') : NULL;

	if (colon)
		pg_param_text_len(u, object, (size_t)(colon - object));
	else
		pg_param_null(u);
	pg_param_text(u, colon ? colon + 1 : object);
}

static void
param_time(struct pg_unit *u, int64_t us)
{
	if (us)
		pg_param_int(u, us);
	else
		pg_param_null(u);
}

void
audit_list(struct store *store, const struct tenant *tenant, unsigned limit,
	const char *before, const struct audit_filter *f, store_answer_fn *cb,
	void *arg)
{
	int64_t id = 0;

	if (before && !str_int(before, 1, INT64_MAX, &id)) {
		store_refuse(store, cb, arg, STORE_INVALID, "before: not one of ours");
		return;
	}
	struct audit_page *p = xcalloc(1, sizeof(*p));
	struct pg_unit *u = pg_unit_new(store->reads);

	p->ask = store_ask_new(store, cb, arg);
	p->limit = limit ? limit : 50;
	pg_add(u, "audit_list");
	pg_param_int(u, tenant->id);
	if (before)
		pg_param_int(u, id);
	else
		pg_param_null(u);
	param_object(u, f->object);
	pg_param_int(u, p->limit + 1);
	pg_param_text(u, f->actor);
	pg_param_text(u, f->action);
	param_time(u, f->from_us);
	param_time(u, f->to_us);
	pg_submit(&u, STORE_DEADLINE_MS, on_page, p);
}
