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
contact_get(struct store *store, const struct tenant *tenant, const struct uuid *id,
	store_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->reads);

	pg_add(u, "contact_get");
	pg_param_int(u, tenant->id);
	pg_param_uuid(u, id);
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
contact_find(struct store *store, const struct tenant *tenant,
	const struct address *addr, store_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->reads);

	pg_add(u, "contact_find");
	pg_param_int(u, tenant->id);
	pg_param_text(u, addr->kind);
	pg_param_text(u, addr->value);
	pg_submit(&u, STORE_DEADLINE_MS, on_found, store_ask_new(store, cb, arg));
}

struct search {
	struct store_ask *ask;
	unsigned limit;
};

static void
on_searched(void *arg, const struct pg_answer *a)
{
	struct search *s = arg;

	if (a->status == PG_OK)
		store_ask_done_page(s->ask, a, 0, s->limit);
	else
		store_ask_failed(s->ask, a);
	xfree(&s);
}

void
contact_search(struct store *store, const struct tenant *tenant, const char *q,
	unsigned limit, const char *cursor, store_answer_fn *cb, void *arg)
{
	struct uuid last = {{0}};
	struct pg_unit *u;
	struct search *s;

	if (cursor && !uuid_parse(cursor, &last)) {
		store_refuse(store, cb, arg, STORE_INVALID, "cursor: not one of ours");
		return;
	}
	s = xcalloc(1, sizeof(*s));
	s->ask = store_ask_new(store, cb, arg);
	s->limit = !limit ? PAGE_DEFAULT : limit > PAGE_MAX ? PAGE_MAX : limit;
	u = pg_unit_new(store->reads);
	pg_add(u, str_empty(q) ? "contact_list" : "contact_search");
	pg_param_int(u, tenant->id);
	if (!str_empty(q))
		pg_param_text_len(u, q, utf8_cut(q, strlen(q), 400));
	pg_param_uuid(u, &last);
	pg_param_int(u, s->limit + 1);
	pg_submit(&u, STORE_DEADLINE_MS, on_searched, s);
}
