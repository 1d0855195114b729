/* segment.c - segments kept, counted, looked into. What a filter means is
 * segment_filter.c's, finding by it contact_walk.c's. */
#include <timeline/segment.h>

#include <clock.h>
#include <json.h>
#include <mem.h>
#include <people/check.h>
#include <people/store_ask.h>
#include <str.h>
#include <timeline/contact_walk.h>

#include <stdio.h>
#include <string.h>

#define LIST_PAGE	200
#define DESCRIPTION_MAX 500
#define COUNT_MS	30000
#define PREVIEW_MS	5000
#define CANCELED	"57014" /* query_canceled */

/* ---- Made and changed --------------------------------------------------------------- */

static void
check_filter(struct check *c, const json_t *filter)
{
	struct segment_filter f;

	if (filter && !segment_filter_init(&f, filter, NULL, clock_wall_us()))
		check_fail(c, "%s", f.why);
	if (filter)
		segment_filter_fini(&f);
}

/* What may be set: in `set`, which is the caller's. */
static void
take_body(struct check *c, json_t *set)
{
	const char *name = check_text(c, "name", 100);
	const char *description = check_text(c, "description", DESCRIPTION_MAX);
	const json_t *filter = check_object(c, "filter", SEGMENT_BYTES_MAX);

	if (name && (!*name || name[strspn(name, " \t\r\n")] == '\0'))
		check_fail(c, "name: 1 to 100 characters");
	check_filter(c, filter);
	if (name)
		json_object_set_new(set, "name", json_string(name));
	if (description)
		json_object_set_new(set, "description", json_string(description));
	if (filter)
		json_object_set_new(set, "filter", json_deep_copy(filter));
}

static void
done_taken(struct store_ask *ask)
{
	store_ask_done(
		ask, STORE_CONFLICT, NULL, 0, "another segment has this name already");
}

static void
on_created(void *arg, const struct pg_answer *a)
{
	struct store_ask *ask = arg;
	const char *state = a->status == PG_OK ? pg_text(a, 0, 0, 0) : "";

	if (a->status != PG_OK)
		store_ask_failed(ask, a);
	else if (str_eq(state, "new"))
		store_ask_done_row(ask, STORE_CREATED, a, 0, 2);
	else if (str_eq(state, "taken"))
		done_taken(ask);
	else if (str_eq(state, "full"))
		store_ask_done(ask, STORE_CONFLICT, NULL, 0,
			"there are 1000 segments already");
	else
		store_ask_done_idempotent(ask, a, 0);
}

static void
param_actor(struct pg_unit *u, const struct actor *actor)
{
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
}

void
segment_create(struct store *store, const struct actor *actor, const json_t *body,
	const struct idempotency *idem, store_answer_fn *cb, void *arg)
{
	struct uuid id = uuid_new(clock_wall_us());
	json_t *set = json_object();
	struct check c;

	check_init(&c, body);
	take_body(&c, set);
	if (!json_object_get(set, "name"))
		check_fail(&c, "name: is required");
	if (!json_object_get(set, "filter"))
		check_fail(&c, "filter: is required; {} finds everybody");
	if (!check_done(&c)) {
		store_refuse(store, cb, arg, STORE_INVALID, "%s", c.why);
		json_decref(set);
		return;
	}
	struct pg_unit *u = pg_unit_new(store->writes);
	const char *description =
		json_string_value(json_object_get(set, "description"));

	pg_add(u, "segment_create");
	param_actor(u, actor);
	pg_param_uuid(u, &id);
	pg_param_text(u, json_string_value(json_object_get(set, "name")));
	pg_param_text(u, description ? description : "");
	store_param_json(u, json_object_get(set, "filter"));
	store_param_fields(u, body);
	store_param_idempotency(u, idem);
	pg_submit(&u, STORE_DEADLINE_MS, on_created, store_ask_new(store, cb, arg));
	json_decref(set);
}

static void
on_patched(void *arg, const struct pg_answer *a)
{
	struct store_ask *ask = arg;

	if (a->status != PG_OK)
		store_ask_failed(ask, a);
	else if (str_eq(pg_text(a, 0, 0, 0), "ok"))
		store_ask_done_row(ask, STORE_OK, a, 0, 1);
	else if (str_eq(pg_text(a, 0, 0, 0), "taken"))
		done_taken(ask);
	else
		store_ask_done(ask, STORE_NOT_FOUND, NULL, 0,
			"there is no segment with this id");
}

void
segment_patch(struct store *store, const struct actor *actor, const struct uuid *id,
	const json_t *body, store_answer_fn *cb, void *arg)
{
	json_t *set = json_object();
	struct check c;

	check_init(&c, body);
	take_body(&c, set);
	if (!check_done(&c)) {
		store_refuse(store, cb, arg, STORE_INVALID, "%s", c.why);
		json_decref(set);
		return;
	}
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, "segment_patch");
	param_actor(u, actor);
	pg_param_uuid(u, id);
	store_param_json(u, set);
	store_param_fields(u, body);
	pg_submit(&u, STORE_DEADLINE_MS, on_patched, store_ask_new(store, cb, arg));
	json_decref(set);
}

static void
on_deleted(void *arg, const struct pg_answer *a)
{
	struct store_ask *ask = arg;

	if (a->status != PG_OK)
		store_ask_failed(ask, a);
	else if (pg_bool(a, 0, 0, 0))
		store_ask_done(ask, STORE_OK, "{}", 2, NULL);
	else
		store_ask_done(ask, STORE_NOT_FOUND, NULL, 0,
			"there is no segment with this id");
}

void
segment_delete(struct store *store, const struct actor *actor, const struct uuid *id,
	store_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, "segment_delete");
	param_actor(u, actor);
	pg_param_uuid(u, id);
	pg_submit(&u, STORE_DEADLINE_MS, on_deleted, store_ask_new(store, cb, arg));
}

/* ---- Read --------------------------------------------------------------------------- */

static void
on_get(void *arg, const struct pg_answer *a)
{
	store_ask_done_object(arg, a, "segment");
}

void
segment_get(struct store *store, const struct tenant *tenant, const struct uuid *id,
	store_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->reads);

	pg_add(u, "segment_get");
	pg_param_int(u, tenant->id);
	pg_param_uuid(u, id);
	pg_submit(&u, STORE_DEADLINE_MS, on_get, store_ask_new(store, cb, arg));
}

/* The cursor is a name: written as JSON, whatever is in it. */
static void
on_list(void *arg, const struct pg_answer *a)
{
	struct store_ask *ask = arg;
	struct buf out = BUF_INIT;

	if (a->status != PG_OK) {
		store_ask_failed(ask, a);
		return;
	}
	size_t n = pg_rows(a, 0);
	buf_adds(&out, "{\"items\":[");
	for (size_t i = 0; i < n && i < LIST_PAGE; i++) {
		if (i)
			buf_addc(&out, ',');
		buf_add(&out, pg_text(a, 0, i, 1), pg_text_len(a, 0, i, 1));
	}
	buf_adds(&out, "],\"next\":");
	if (n > LIST_PAGE) {
		const char *name = pg_text(a, 0, LIST_PAGE - 1, 0);
		json_quote(&out, name, strlen(name));
	} else {
		buf_adds(&out, "null");
	}
	buf_addc(&out, '}');
	store_ask_done(ask, STORE_OK, out.data, out.len, NULL);
	buf_fini(&out);
}

void
segment_list(struct store *store, const struct tenant *tenant, const char *cursor,
	store_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->reads);

	pg_add(u, "segment_list");
	pg_param_int(u, tenant->id);
	pg_param_text(u, cursor);
	pg_param_int(u, LIST_PAGE + 1);
	pg_submit(&u, STORE_DEADLINE_MS, on_list, store_ask_new(store, cb, arg));
}

/* ---- The filter of one -------------------------------------------------------------- */

struct load {
	segment_filter_fn *fn;
	void *arg;
};

static void
on_why(void *arg, const struct store_answer *why)
{
	struct load *l = arg;

	l->fn(l->arg, NULL, why);
	xfree(&l);
}

struct loading {
	struct store *store;
	struct load *load;
};

static void
on_loaded(void *arg, const struct pg_answer *a)
{
	struct loading *g = arg;
	struct load *l = g->load;
	struct store *store = g->store;
	json_t *filter = NULL;

	xfree(&g);
	if (a->status == PG_OK && pg_rows(a, 0))
		filter = json_loadb(
			pg_text(a, 0, 0, 0), pg_text_len(a, 0, 0, 0), 0, NULL);
	if (filter) {
		l->fn(l->arg, filter, NULL);
		xfree(&l);
		return;
	}
	struct store_ask *ask = store_ask_new(store, on_why, l);

	if (a->status != PG_OK)
		store_ask_failed(ask, a);
	else
		store_ask_done(ask, STORE_NOT_FOUND, NULL, 0,
			"there is no segment with this id");
}

void
segment_load(struct store *store, const struct tenant *tenant, const struct uuid *id,
	segment_filter_fn *fn, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->reads);
	struct loading *g = xcalloc(1, sizeof(*g));

	g->store = store;
	g->load = xcalloc(1, sizeof(*g->load));
	g->load->fn = fn;
	g->load->arg = arg;
	pg_add(u, "segment_filter");
	pg_param_int(u, tenant->id);
	pg_param_uuid(u, id);
	pg_submit(&u, STORE_DEADLINE_MS, on_loaded, g);
}

/* ---- Counted ------------------------------------------------------------------------ */

static void
on_counted(void *arg, const struct pg_answer *a)
{
	struct store_ask *ask = arg;
	char json[64];

	if (a->status == PG_TIMEOUT || str_eq(a->sqlstate, CANCELED)) {
		store_ask_done(ask, STORE_UNAVAILABLE, NULL, 0,
			"counting was stopped after 30 s: the filter asks too much, or the "
			"database is busy");
		return;
	}
	if (a->status != PG_OK) {
		store_ask_failed(ask, a);
		return;
	}
	snprintf(json, sizeof(json), "{\"count\":%lld}", (long long)pg_int(a, 1, 0, 0));
	store_ask_done(ask, STORE_OK, json, strlen(json), NULL);
}

void
segment_count(struct store *store, const struct actor *actor, const json_t *filter,
	store_answer_fn *cb, void *arg)
{
	struct segment_filter f;
	struct buf sql = BUF_INIT;
	char limit[16];

	if (!segment_filter_init(&f, filter, actor->sight, clock_wall_us())) {
		store_refuse(store, cb, arg, STORE_INVALID, "%s", f.why);
		segment_filter_fini(&f);
		return;
	}
	struct pg_unit *u = pg_unit_new(store->reports);

	segment_filter_count_sql(&f, &sql);
	pg_add(u, "report_guard");
	snprintf(limit, sizeof(limit), "%d", COUNT_MS);
	pg_param_text(u, limit);
	pg_add_sql(u, buf_str(&sql));
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, "00000000-0000-0000-0000-000000000000");
	pg_param_text(u, "ffffffff-ffff-ffff-ffff-ffffffffffff");
	pg_param_null(u);
	for (unsigned i = 0; i < f.n_values; i++)
		pg_param_text(u, f.values.data + f.offsets[i]);
	pg_submit(&u, COUNT_MS + 1000, on_counted, store_ask_new(store, cb, arg));
	buf_fini(&sql);
	segment_filter_fini(&f);
}

/* ---- Looked into -------------------------------------------------------------------- */

struct preview {
	struct store_ask *ask;
	struct contact_walk *walk;
};

static void
on_page(void *arg, const struct contact_page *page)
{
	struct preview *p = arg;
	struct buf out = BUF_INIT;
	char next[UUID_TEXT_LEN];

	if (page->failed) {
		store_ask_done(p->ask, STORE_UNAVAILABLE, NULL, 0, page->failed);
	} else {
		buf_adds(&out, "{\"items\":[");
		for (size_t i = 0; i < page->n; i++) {
			if (i)
				buf_addc(&out, ',');
			buf_add(&out, pg_text(page->answer, 1, i, 1),
				pg_text_len(page->answer, 1, i, 1));
		}
		if (page->end)
			buf_adds(&out, "],\"next\":null}");
		else
			buf_printf(&out, "],\"next\":\"%s\"}",
				uuid_format(next, &page->after));
		store_ask_done(p->ask, STORE_OK, out.data, out.len, NULL);
	}
	buf_fini(&out);
	contact_walk_free(&p->walk);
	xfree(&p);
}

void
segment_preview(struct store *store, const struct actor *actor, const json_t *filter,
	unsigned limit, const char *after, store_answer_fn *cb, void *arg)
{
	struct contact_walk_opts opts = {.tenant = actor->tenant,
		.filter = filter,
		.sight = actor->sight,
		.page = limit,
		.patience_ms = PREVIEW_MS};
	struct preview *p;
	struct err err;

	if (after && !uuid_parse(after, &opts.after)) {
		store_refuse(store, cb, arg, STORE_INVALID, "after: not one of ours");
		return;
	}
	p = xcalloc(1, sizeof(*p));
	p->walk = contact_walk_new(store, &opts, on_page, p, &err);
	if (!p->walk) {
		xfree(&p);
		store_refuse(store, cb, arg, STORE_INVALID, "%s", err.text);
		return;
	}
	p->ask = store_ask_new(store, cb, arg);
	contact_walk_next(p->walk);
}
