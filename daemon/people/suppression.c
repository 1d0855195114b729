/* suppression.c - see suppression.h. */
#include <people/suppression.h>

#include <people/check.h>
#include <people/store_ask.h>

#include <mem.h>
#include <str.h>

#include <string.h>

#define PAGE_DEFAULT 50
#define PAGE_MAX     200
#define CURSOR_MAX   2000

bool
suppression_reason_is_known(const char *s)
{
	static const char *const reasons[] = {
		"bounced", "complained", "do_not_call", "manual", "erased"};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (str_eq(s, reasons[i]))
			return true;
	return false;
}

/* ---- Reading ---------------------------------------------------------------------- */

struct listing {
	struct store_ask *ask;
	unsigned limit;
};

static void
on_listed(void *arg, const struct pg_answer *a)
{
	struct listing *l = arg;

	if (a->status == PG_OK)
		store_ask_done_page(l->ask, a, 0, l->limit);
	else
		store_ask_failed(l->ask, a);
	xfree(&l);
}

/* Hex of the last item's place: what it decodes to is read by the database. */
static bool
cursor_is_sound(const char *s)
{
	size_t n = strlen(s);

	return n && n <= CURSOR_MAX && n % 2 == 0 && strspn(s, "0123456789abcdef") == n;
}

void
suppression_list(struct store *store, const struct tenant *tenant,
	const struct suppression_filter *f, unsigned limit, const char *cursor,
	store_answer_fn *cb, void *arg)
{
	if (cursor && !cursor_is_sound(cursor)) {
		store_refuse(store, cb, arg, STORE_INVALID, "cursor: not one of ours");
		return;
	}
	struct listing *l = xcalloc(1, sizeof(*l));
	struct pg_unit *u = pg_unit_new(store->reads);

	l->ask = store_ask_new(store, cb, arg);
	l->limit = !limit ? PAGE_DEFAULT : limit > PAGE_MAX ? PAGE_MAX : limit;
	pg_add(u, cursor ? "suppression_page" : "suppression_first");
	pg_param_int(u, tenant->id);
	pg_param_text(u, f->address ? f->address->kind : NULL);
	pg_param_text(u, f->address ? f->address->value : NULL);
	pg_param_text(u, f->reason);
	pg_param_text(u, f->list);
	if (cursor)
		pg_param_text(u, cursor);
	pg_param_int(u, l->limit + 1);
	pg_submit(&u, STORE_DEADLINE_MS, on_listed, l);
}

static void
on_lists(void *arg, const struct pg_answer *a)
{
	store_ask_done_object(arg, a, "list");
}

void
suppression_lists(struct store *store, const struct tenant *tenant, store_answer_fn *cb,
	void *arg)
{
	struct pg_unit *u = pg_unit_new(store->reads);

	pg_add(u, "suppression_lists");
	pg_param_int(u, tenant->id);
	pg_submit(&u, STORE_DEADLINE_MS, on_lists, store_ask_new(store, cb, arg));
}

/* ---- Changing --------------------------------------------------------------------- */

static void
param_actor(struct pg_unit *u, const struct actor *actor)
{
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
}

static void
on_added(void *arg, const struct pg_answer *a)
{
	struct store_ask *ask = arg;
	const char *state = a->status == PG_OK ? pg_text(a, 0, 0, 0) : "";

	if (a->status != PG_OK)
		store_ask_failed(ask, a);
	else if (str_eq(state, "created"))
		store_ask_done_row(ask, STORE_CREATED, a, 0, 2);
	else if (str_eq(state, "ok"))
		store_ask_done_row(ask, STORE_OK, a, 0, 2);
	else
		store_ask_done_idempotent(ask, a, 0);
}

void
suppression_add(struct store *store, const struct actor *actor, const json_t *body,
	const struct idempotency *idem, store_answer_fn *cb, void *arg)
{
	struct check c;
	struct address addr;

	check_init(&c, body);
	const char *kind = check_text(&c, "kind", ADDRESS_KIND_MAX);
	const char *value = check_text(&c, "value", 1000);
	const char *reason = check_text(&c, "reason", 20);
	const char *source = check_text(&c, "source", 200);
	if (!kind || !value || !address_make(kind, value, actor->tenant->region, &addr))
		check_fail(&c, "value: is no address of a known form");
	if (reason &&
		(!suppression_reason_is_known(reason) || str_eq(reason, "erased")))
		check_fail(&c, "reason: bounced, complained, do_not_call or manual");
	if (!check_done(&c)) {
		store_refuse(store, cb, arg, STORE_INVALID, "%s", c.why);
		return;
	}
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, "suppression_add");
	param_actor(u, actor);
	pg_param_text(u, addr.kind);
	pg_param_text(u, addr.value);
	pg_param_text(u, reason ? reason : "manual");
	pg_param_text(u, str_empty(source) ? actor->name : source);
	store_param_idempotency(u, idem);
	pg_submit(&u, STORE_DEADLINE_MS, on_added, store_ask_new(store, cb, arg));
}

/* A count, or whether there was a list. */
static void
on_removed(void *arg, const struct pg_answer *a)
{
	struct store_ask *ask = arg;

	if (a->status != PG_OK)
		store_ask_failed(ask, a);
	else if (pg_int(a, 0, 0, 0) || pg_bool(a, 0, 0, 0))
		store_ask_done(ask, STORE_OK, NULL, 0, NULL);
	else
		store_ask_done(ask, STORE_NOT_FOUND, NULL, 0,
			"nothing like that is suppressed");
}

void
suppression_remove(struct store *store, const struct actor *actor,
	const struct suppression_filter *f, store_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, f->address ? "suppression_remove" : "suppression_list_remove");
	param_actor(u, actor);
	if (f->address) {
		pg_param_text(u, f->address->kind);
		pg_param_text(u, f->address->value);
		pg_param_text(u, f->reason);
	} else {
		pg_param_text(u, f->list);
	}
	pg_submit(&u, STORE_DEADLINE_MS, on_removed, store_ask_new(store, cb, arg));
}
