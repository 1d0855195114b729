/* import_run.c - how far imports have come, as the database knows it. */
#include <people/import.h>

#include <mem.h>
#include <people/store_ask.h>

static void
on_get(void *arg, const struct pg_answer *a)
{
	store_ask_done_object(arg, a, "import");
}

void
import_get(struct store *store, const struct tenant *tenant, const struct uuid *id,
	bool runs, store_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->reads);

	pg_add(u, "import_run_get");
	pg_param_int(u, tenant->id);
	pg_param_uuid(u, id);
	pg_param_bool(u, runs);
	pg_submit(&u, STORE_DEADLINE_MS, on_get, store_ask_new(store, cb, arg));
}

struct rejected_page {
	struct store_ask *ask;
	unsigned limit;
};

static void
on_rejected(void *arg, const struct pg_answer *a)
{
	struct rejected_page *p = arg;

	if (a->status != PG_OK)
		store_ask_failed(p->ask, a);
	else if (!pg_rows(a, 0))
		store_ask_done(p->ask, STORE_NOT_FOUND, NULL, 0,
			"there is no import with this id");
	else
		store_ask_done_page(p->ask, a, 1, p->limit);
	xfree(&p);
}

void
import_rejected(struct store *store, const struct tenant *tenant, const struct uuid *id,
	uint64_t after, unsigned limit, store_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->reads);
	struct rejected_page *p = xcalloc(1, sizeof(*p));

	p->ask = store_ask_new(store, cb, arg);
	p->limit = limit;
	pg_add(u, "import_run_get");
	pg_param_int(u, tenant->id);
	pg_param_uuid(u, id);
	pg_param_bool(u, false);
	pg_add(u, "import_run_rejected");
	pg_param_int(u, tenant->id);
	pg_param_uuid(u, id);
	pg_param_int(u, (int64_t)after);
	pg_param_int(u, (int64_t)limit + 1);
	pg_submit(&u, STORE_DEADLINE_MS, on_rejected, p);
}
