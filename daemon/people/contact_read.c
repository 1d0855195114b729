/* contact_read.c - contacts by id, by address, by name. The objects come as JSON from
 * contact_json (conf/sql/002-people.sql), the same that create and patch answer with. */
#include <people/contact.h>

#include <people/store_ask.h>

#include <mem.h>
#include <str.h>

#include <stdint.h>
#include <string.h>

#define PAGE_DEFAULT 50
#define PAGE_MAX     200

static void
on_get(void *arg, const struct pg_answer *a)
{
	store_ask_done_object(arg, a, "contact");
}

void
contact_get(struct store *store, const struct actor *actor, const struct uuid *id,
	store_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->reads);

	pg_add(u, "contact_get");
	pg_param_int(u, actor->tenant->id);
	pg_param_uuid(u, id);
	sight_param(u, actor->sight);
	pg_submit(&u, STORE_DEADLINE_MS, on_get, store_ask_new(store, cb, arg));
}

static void
on_found(void *arg, const struct pg_answer *a)
{
	if (a->status == PG_OK)
		store_ask_done_page(arg, a, 0, SIZE_MAX);
	else
		store_ask_failed(arg, a);
}

void
contact_find(struct store *store, const struct actor *actor, const struct address *addr,
	store_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->reads);

	pg_add(u, "contact_find");
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, addr->kind);
	pg_param_text(u, addr->value);
	sight_param(u, actor->sight);
	pg_submit(&u, STORE_DEADLINE_MS, on_found, store_ask_new(store, cb, arg));
}

struct page {
	struct store_ask *ask;
	unsigned limit;
	bool of_contact; /* statement 0 says whether it is there */
};

static void
on_page(void *arg, const struct pg_answer *a)
{
	struct page *p = arg;

	if (a->status != PG_OK)
		store_ask_failed(p->ask, a);
	else if (p->of_contact && !pg_rows(a, 0))
		store_ask_done(p->ask, STORE_NOT_FOUND, NULL, 0,
			"there is no contact with this id");
	else
		store_ask_done_page(p->ask, a, p->of_contact, p->limit);
	xfree(&p);
}

/* NULL after a refusal; *last_r is where the page before ended. */
static struct page *
page_new(struct store *store, unsigned limit, const char *cursor, struct uuid *last_r,
	store_answer_fn *cb, void *arg)
{
	*last_r = (struct uuid){{0}};
	if (cursor && !uuid_parse(cursor, last_r)) {
		store_refuse(store, cb, arg, STORE_INVALID, "cursor: not one of ours");
		return NULL;
	}
	struct page *p = xcalloc(1, sizeof(*p));

	p->ask = store_ask_new(store, cb, arg);
	p->limit = !limit ? PAGE_DEFAULT : limit > PAGE_MAX ? PAGE_MAX : limit;
	return p;
}

void
contact_search(struct store *store, const struct actor *actor, const char *q,
	unsigned limit, const char *cursor, store_answer_fn *cb, void *arg)
{
	struct uuid last;
	struct page *p = page_new(store, limit, cursor, &last, cb, arg);

	if (!p)
		return;
	struct pg_unit *u = pg_unit_new(store->reads);

	pg_add(u, str_empty(q) ? "contact_list" : "contact_search");
	pg_param_int(u, actor->tenant->id);
	if (!str_empty(q))
		pg_param_text_len(u, q, utf8_cut(q, strlen(q), 400));
	pg_param_uuid(u, &last);
	pg_param_int(u, p->limit + 1);
	sight_param(u, actor->sight);
	pg_submit(&u, STORE_DEADLINE_MS, on_page, p);
}

void
contact_people(struct store *store, const struct actor *actor, const struct uuid *id,
	unsigned limit, const char *cursor, store_answer_fn *cb, void *arg)
{
	struct uuid last;
	struct page *p = page_new(store, limit, cursor, &last, cb, arg);

	if (!p)
		return;
	struct pg_unit *u = pg_unit_new(store->reads);

	p->of_contact = true;
	pg_add(u, "contact_get");
	pg_param_int(u, actor->tenant->id);
	pg_param_uuid(u, id);
	sight_param(u, actor->sight);
	pg_add(u, "contact_people");
	pg_param_int(u, actor->tenant->id);
	pg_param_uuid(u, id);
	pg_param_uuid(u, &last);
	pg_param_int(u, p->limit + 1);
	sight_param(u, actor->sight);
	pg_submit(&u, STORE_DEADLINE_MS, on_page, p);
}

struct looking {
	contact_sight_fn *cb;
	void *arg;
};

static void
on_looked(void *arg, const struct pg_answer *a)
{
	struct looking *l = arg;
	bool ok = a->status == PG_OK;

	l->cb(l->arg, ok ? STORE_OK : STORE_UNAVAILABLE, ok && pg_bool(a, 0, 0, 0));
	xfree(&l);
}

void
contact_in_sight(struct store *store, const struct actor *actor, const struct uuid *id,
	contact_sight_fn *cb, void *arg)
{
	struct looking *l = xcalloc(1, sizeof(*l));
	struct pg_unit *u = pg_unit_new(store->reads);

	l->cb = cb;
	l->arg = arg;
	pg_add(u, "contact_in_sight");
	pg_param_int(u, actor->tenant->id);
	pg_param_uuid(u, id);
	sight_param_roles(u, actor->sight);
	pg_submit(&u, STORE_DEADLINE_MS, on_looked, l);
}
