/* interaction.c - reading entries of the timeline, and logging one by hand.
 *
 * Pages and single objects come as JSON from the database (they are not the fast path;
 * card.c is). A page's cursor is the id of its last item: ids are in the order of time. */
#include <timeline/interaction.h>

#include <clock.h>
#include <mem.h>
#include <people/check.h>
#include <people/store_ask.h>
#include <str.h>

#include <string.h>

#define PAGE_DEFAULT  50
#define PAGE_MAX      200
#define SUMMARY_MAX   10000 /* characters */
#define VARIABLES_MAX (16 * 1024)
#define DAY_US	      (86400 * INT64_C(1000000))
#define OLDEST_US     (631152000 * INT64_C(1000000)) /* 1990: see ensure_partitions */

static void
on_get(void *arg, const struct pg_answer *a)
{
	store_ask_done_object(arg, a, "interaction");
}

void
interaction_get(struct store *store, const struct actor *actor, const struct uuid *id,
	store_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->reads);

	pg_add(u, "interaction_get");
	pg_param_int(u, actor->tenant->id);
	pg_param_uuid(u, id);
	sight_param_roles(u, actor->sight);
	pg_submit(&u, STORE_DEADLINE_MS, on_get, store_ask_new(store, cb, arg));
}

struct page {
	struct store_ask *ask;
	unsigned limit;
};

static void
on_page(void *arg, const struct pg_answer *a)
{
	struct page *p = arg;

	if (a->status != PG_OK)
		store_ask_failed(p->ask, a);
	else if (!pg_text(a, 0, 0, 0))
		store_ask_done(p->ask, STORE_NOT_FOUND, NULL, 0,
			"there is no contact with this id");
	else
		store_ask_done_page(p->ask, a, 1, p->limit);
	xfree(&p);
}

void
interaction_timeline(struct store *store, const struct actor *actor,
	const struct uuid *contact, const struct timeline_page *what,
	store_answer_fn *cb, void *arg)
{
	struct uuid last;
	struct pg_unit *u;
	struct page *p;

	memset(&last, 0xff, sizeof(last));
	if (what->before && !uuid_parse(what->before, &last)) {
		store_refuse(store, cb, arg, STORE_INVALID, "before: not one of ours");
		return;
	}
	p = xcalloc(1, sizeof(*p));
	p->ask = store_ask_new(store, cb, arg);
	p->limit = !what->limit		    ? PAGE_DEFAULT
		   : what->limit > PAGE_MAX ? PAGE_MAX
					    : what->limit;
	u = pg_unit_new(store->reads);
	pg_add(u, "timeline_contact");
	pg_param_int(u, actor->tenant->id);
	pg_param_uuid(u, contact);
	sight_param_roles(u, actor->sight);
	pg_add(u, what->people ? "timeline_people_page" : "timeline_page");
	pg_param_int(u, actor->tenant->id);
	pg_param_uuid(u, contact);
	pg_param_uuid(u, &last);
	pg_param_text(u, what->kind);
	pg_param_int(u, p->limit + 1);
	if (what->people)
		sight_param_roles(u, actor->sight);
	pg_submit(&u, STORE_DEADLINE_MS, on_page, p);
}

/* --- by hand --- */

struct by_hand {
	struct uuid id, contact;
	const char *kind, *direction, *summary, *agent;
	const json_t *variables;
	int64_t at_us;
};

static bool
is_word(const char *s)
{
	return s && *s >= 'a' && *s <= 'z' && strlen(s) <= 32 &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(s);
}

static void
by_hand_check(struct by_hand *h, struct check *c)
{
	int64_t now = clock_wall_us();

	if (!check_uuid(c, "contact", &h->contact))
		check_fail(c, "contact: is required");
	h->kind = check_text(c, "kind", 32);
	if (!is_word(h->kind))
		check_fail(
			c, "kind: is required, a word such as visit, letter or note");
	h->direction = check_text(c, "direction", 3);
	if (!h->direction)
		h->direction = "in";
	if (!str_eq(h->direction, "in") && !str_eq(h->direction, "out"))
		check_fail(c, "direction: must be in or out");
	if (!check_time(c, "at", &h->at_us))
		h->at_us = now;
	if (h->at_us > now + DAY_US)
		check_fail(c, "at: more than a day in the future");
	if (h->at_us < OLDEST_US)
		check_fail(c, "at: before 1990");
	h->summary = check_text(c, "summary", SUMMARY_MAX);
	h->agent = check_text(c, "agent", 64);
	if (h->agent && !str_is_id(h->agent))
		check_fail(c, "agent: must be an agent's id");
	h->variables = check_object(c, "variables", VARIABLES_MAX);
}

static void
on_created(void *arg, const struct pg_answer *a)
{
	struct store_ask *ask = arg;

	if (a->status != PG_OK)
		store_ask_failed(ask, a);
	else if (str_eq(pg_text(a, 0, 0, 0), "created"))
		store_ask_done_row(ask, STORE_CREATED, a, 0, 2);
	else if (!store_ask_done_idempotent(ask, a, 0))
		store_ask_done(ask, STORE_INVALID, NULL, 0,
			"contact: there is no contact with this id");
}

void
interaction_create(struct store *store, const struct actor *actor, const json_t *body,
	const struct idempotency *idem, store_answer_fn *cb, void *arg)
{
	struct by_hand h = {0};
	struct check c;

	check_init(&c, body);
	by_hand_check(&h, &c);
	if (!check_done(&c)) {
		store_refuse(store, cb, arg, STORE_INVALID, "%s", c.why);
		return;
	}
	struct pg_unit *u = pg_unit_new(store->writes);

	h.id = uuid_new(h.at_us);
	pg_add(u, "interaction_create");
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
	pg_param_uuid(u, &h.id);
	pg_param_uuid(u, &h.contact);
	pg_param_text(u, h.kind);
	pg_param_text(u, h.direction);
	pg_param_int(u, h.at_us);
	pg_param_text(u, h.summary);
	pg_param_text(u, h.agent);
	store_param_json(u, h.variables);
	store_param_fields(u, body);
	store_param_idempotency(u, idem);
	event_param(u, actor->event);
	sight_param_roles(u, actor->sight);
	pg_submit(&u, STORE_DEADLINE_MS, on_created, store_ask_new(store, cb, arg));
}
