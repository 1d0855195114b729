/* store.c - how an operation on the store answers, and finding a tenant.
 *
 * Every operation has a struct store_ask from its start to its one answer. What is refused
 * before the database is asked is answered at the end of the turn, so that no callback
 * comes before the operation has returned. */
#include <people/store_ask.h>

#include <log.h>
#include <mem.h>
#include <str.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct tenant *
store_tenant(const struct store *s, const char *name)
{
	return map_find(&s->tenants, name);
}

struct by_id {
	int id;
	const struct tenant *found;
};

static void
match_id(const char *name, void *tenant, void *arg)
{
	struct by_id *b = arg;

	(void)name;
	if (((const struct tenant *)tenant)->id == b->id)
		b->found = tenant;
}

const struct tenant *
store_tenant_by_id(const struct store *s, int id)
{
	struct by_id b = {.id = id};
	struct map tenants = s->tenants; /* map_each wants one that may be changed */

	map_each(&tenants, match_id, &b);
	return b.found;
}

struct store_ask *
store_ask_new(struct store *store, store_answer_fn *cb, void *arg)
{
	struct store_ask *ask = xcalloc(1, sizeof(*ask));

	ask->store = store;
	ask->cb = cb;
	ask->arg = arg;
	return ask;
}

static void
answer(struct store_ask *ask, const struct store_answer *a)
{
	ask->cb(ask->arg, a);
	xfree(&ask);
}

void
store_ask_done(struct store_ask *ask, enum store_status status, const char *json,
	size_t len, const char *detail)
{
	struct store_answer a = {.status = status,
		.json = json,
		.json_len = len,
		.detail = detail ? detail : ""};

	answer(ask, &a);
}

void
store_ask_done_row(struct store_ask *ask, enum store_status status,
	const struct pg_answer *a, size_t i, int col)
{
	store_ask_done(
		ask, status, pg_text(a, i, 0, col), pg_text_len(a, i, 0, col), NULL);
}

void
store_ask_done_seen(struct store_ask *ask, enum store_status status,
	const struct pg_answer *a, int col, int whole)
{
	struct store_answer r = {.status = status,
		.json = pg_text(a, 0, 0, col),
		.json_len = pg_text_len(a, 0, 0, col),
		.whole = pg_text(a, 0, 0, whole),
		.detail = ""};

	answer(ask, &r);
}

void
store_ask_done_object(
	struct store_ask *ask, const struct pg_answer *a, const char *what)
{
	char detail[100];

	snprintf(detail, sizeof(detail), "there is no %s with this id", what);
	if (a->status != PG_OK)
		store_ask_failed(ask, a);
	else if (!pg_rows(a, 0))
		store_ask_done(ask, STORE_NOT_FOUND, NULL, 0, detail);
	else
		store_ask_done_row(ask, STORE_OK, a, 0, 0);
}

void
store_ask_failed(struct store_ask *ask, const struct pg_answer *a)
{
	bool unreadable = a->status == PG_ERROR && !strncmp(a->sqlstate, "22", 2);

	log_debug("store", "%s %s", a->sqlstate, a->message);
	if (unreadable)
		store_ask_done(ask, STORE_INVALID, NULL, 0,
			"the database cannot hold a value given");
	else
		store_ask_done(ask, STORE_UNAVAILABLE, NULL, 0,
			"the database did not answer in time");
}

struct refused {
	struct store_ask *ask;
	enum store_status status;
	char detail[256];
};

static void
on_refused(void *arg)
{
	struct refused *r = arg;

	store_ask_done(r->ask, r->status, NULL, 0, r->detail);
	xfree(&r);
}

void
store_refuse(struct store *store, store_answer_fn *cb, void *arg,
	enum store_status status, const char *detail_fmt, ...)
{
	struct refused *r = xcalloc(1, sizeof(*r));
	va_list ap;

	r->ask = store_ask_new(store, cb, arg);
	r->status = status;
	va_start(ap, detail_fmt);
	vsnprintf(r->detail, sizeof(r->detail), detail_fmt, ap);
	va_end(ap);
	loop_defer(store->loop, on_refused, r);
}

void
store_ask_done_page(
	struct store_ask *ask, const struct pg_answer *a, size_t i, size_t limit)
{
	struct buf out = BUF_INIT;
	size_t n = pg_rows(a, i);

	buf_adds(&out, "{\"items\":[");
	for (size_t row = 0; row < n && row < limit; row++) {
		if (row)
			buf_addc(&out, ',');
		buf_add(&out, pg_text(a, i, row, 1), pg_text_len(a, i, row, 1));
	}
	if (n > limit && limit)
		buf_printf(&out, "],\"next\":\"%s\"}", pg_text(a, i, limit - 1, 0));
	else
		buf_adds(&out, "],\"next\":null}");
	store_ask_done(ask, STORE_OK, out.data, out.len, NULL);
	buf_fini(&out);
}

void
store_param_idempotency(struct pg_unit *u, const struct idempotency *idem)
{
	char hash[sizeof(idem->body_hash) * 2 + 1];

	pg_param_text(u, idem ? idem->caller : NULL);
	pg_param_text(u, idem ? idem->method : NULL);
	pg_param_text(u, idem ? idem->path : NULL);
	pg_param_text(u, idem ? idem->key : NULL);
	if (idem)
		hex_encode(hash, idem->body_hash, sizeof(idem->body_hash));
	pg_param_text(u, idem ? hash : NULL);
}

void
store_param_json(struct pg_unit *u, const json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;

	pg_param_text(u, text ? text : "{}");
	free(text);
}

void
store_param_fields(struct pg_unit *u, const json_t *body)
{
	json_t *object =
		(json_t *)(uintptr_t)body; /* Jansson's iterators are not const */

	pg_array_begin(u);
	for (void *it = json_object_iter(object); it;
		it = json_object_iter_next(object, it))
		pg_array_add(u, json_object_iter_key(it));
	pg_array_end(u);
}

bool
store_ask_done_idempotent(struct store_ask *ask, const struct pg_answer *a, size_t i)
{
	const char *state = pg_text(a, i, 0, 0);

	if (!strcmp(state, "replayed")) {
		struct store_answer r = {.status = STORE_REPLAYED,
			.http_status = (int)pg_int(a, i, 0, 1),
			.json = pg_text(a, i, 0, 2),
			.json_len = pg_text_len(a, i, 0, 2),
			.detail = ""};

		answer(ask, &r);
	} else if (!strcmp(state, "key_reused")) {
		store_ask_done(ask, STORE_KEY_REUSED, NULL, 0,
			"this Idempotency-Key was used with another body");
	} else if (!strcmp(state, "in_progress")) {
		store_ask_done(ask, STORE_IN_PROGRESS, NULL, 0,
			"the first request with this Idempotency-Key is still running");
	} else {
		return false;
	}
	return true;
}
