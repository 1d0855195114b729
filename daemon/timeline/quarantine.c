/* quarantine.c - units that failed alone: kept with their payload, listed, tried again.
 *
 * The payload is the unit as JSON with the fields of writer_sql.c's tables, so what is
 * tried again is exactly what was given. A retry that succeeds removes the row; one that
 * fails again changes it. */
#include <timeline/writer_priv.h>

#include <clock.h>
#include <json.h>
#include <log.h>
#include <mem.h>
#include <people/store_ask.h>
#include <str.h>

#include <jansson.h>

#include <string.h>

/* --- a unit as JSON --- */

static void
put_field(struct json_out *j, const void *object, const struct field *f)
{
	const void *p = (const char *)object + f->offset;
	char text[UUID_TEXT_LEN];

	switch (f->type) {
	case FIELD_TEXT: json_put_string(j, f->name, *(const char *const *)p); break;
	case FIELD_UUID:
		if (!uuid_is_nil(p))
			json_put_string(j, f->name, uuid_format(text, p));
		break;
	case FIELD_BOOL: json_put_bool(j, f->name, *(const bool *)p); break;
	case FIELD_TIME:
	case FIELD_MS: json_put_int(j, f->name, *(const int64_t *)p); break;
	case FIELD_TRUST:
		json_put_string(j, f->name, trust_text(*(const enum trust *)p));
		break;
	case FIELD_TENANT: break; /* the row's */
	}
}

static void
put_unit(struct buf *out, const struct interaction *in)
{
	struct json_out j;

	json_out_init(&j, out);
	json_put_object(&j, NULL);
	for (size_t i = 0; i < interaction_n_fields; i++)
		put_field(&j, in, &interaction_fields[i]);
	json_put_array(&j, "legs");
	for (size_t n = 0; n < in->n_legs; n++) {
		json_put_object(&j, NULL);
		for (size_t i = 0; i < leg_n_fields; i++)
			put_field(&j, &in->legs[n], &leg_fields[i]);
		json_put_object_end(&j);
	}
	json_put_array_end(&j);
	json_put_object_end(&j);
}

static void
get_field(const json_t *from, void *object, const struct field *f)
{
	void *p = (char *)object + f->offset;
	const json_t *v = json_object_get(from, f->name);
	int trust;

	switch (f->type) {
	case FIELD_TEXT: *(const char **)p = json_string_value(v); break;
	case FIELD_UUID:
		if (!uuid_parse(json_string_value(v), p))
			memset(p, 0, sizeof(struct uuid));
		break;
	case FIELD_BOOL: *(bool *)p = json_is_true(v); break;
	case FIELD_TIME:
	case FIELD_MS: *(int64_t *)p = json_integer_value(v); break;
	case FIELD_TRUST:
		trust = trust_parse(json_string_value(v));
		*(enum trust *)p = trust < 0 ? TRUST_CLAIMED : (enum trust)trust;
		break;
	case FIELD_TENANT: break;
	}
}

/* NULL if the payload is none of ours. */
static struct writer_unit *
get_unit(const struct tenant *tenant, const char *payload, size_t len)
{
	json_t *o = json_loadb(payload, len, 0, NULL);
	json_t *legs = json_object_get(o, "legs");
	struct interaction in = {.tenant = tenant, .n_legs = json_array_size(legs)};
	struct interaction_leg *copy = xcalloc(in.n_legs + 1, sizeof(*copy));
	struct writer_unit *u = NULL;

	for (size_t i = 0; i < interaction_n_fields; i++)
		get_field(o, &in, &interaction_fields[i]);
	for (size_t n = 0; n < in.n_legs; n++)
		for (size_t i = 0; i < leg_n_fields; i++)
			get_field(json_array_get(legs, n), &copy[n], &leg_fields[i]);
	in.legs = copy;
	if (in.kind && in.direction && !uuid_is_nil(&in.id))
		u = writer_unit_new(tenant, &in, NULL);
	xfree(&copy);
	json_decref(o);
	return u;
}

void
quarantine_add(struct pg_unit *q, const struct writer_unit *u, const char *sqlstate,
	const char *error)
{
	struct uuid id =
		uuid_is_nil(&u->quarantine) ? uuid_new(clock_wall_us()) : u->quarantine;
	struct buf payload = BUF_INIT;

	put_unit(&payload, &u->in);
	pg_add(q, "quarantine_add");
	pg_param_int(q, u->tenant->id);
	pg_param_uuid(q, &id);
	pg_param_uuid(q, &u->in.id);
	pg_param_text(q, u->in.channel);
	pg_param_text(q, u->in.kind);
	pg_param_text(q, sqlstate);
	pg_param_text(q, error);
	pg_param_text_len(q, payload.data, payload.len);
	buf_fini(&payload);
}

/* --- listing --- */

struct listing {
	struct store_ask *ask;
	unsigned limit;
};

static void
on_list(void *arg, const struct pg_answer *a)
{
	struct listing *l = arg;

	if (a->status == PG_OK)
		store_ask_done_page(l->ask, a, 0, l->limit);
	else
		store_ask_failed(l->ask, a);
	xfree(&l);
}

void
quarantine_list(struct store *store, const struct tenant *tenant, unsigned limit,
	const char *cursor, store_answer_fn *cb, void *arg)
{
	struct uuid before = {{0}};
	struct listing *l;

	if (cursor && !uuid_parse(cursor, &before)) {
		store_refuse(store, cb, arg, STORE_INVALID, "cursor: not one of ours");
		return;
	}
	l = xcalloc(1, sizeof(*l));
	l->ask = store_ask_new(store, cb, arg);
	l->limit = limit ? limit : 50;
	struct pg_unit *u = pg_unit_new(store->reads);

	pg_add(u, "quarantine_list");
	pg_param_int(u, tenant->id);
	pg_param_uuid(u, &before);
	pg_param_int(u, l->limit + 1);
	pg_submit(&u, STORE_DEADLINE_MS, on_list, l);
}

/* --- trying again --- */

struct retry {
	struct writer *writer;
	struct store_ask *ask;
	const struct tenant *tenant;
	size_t under_way, done, failed;
	bool wanted_one;
};

struct retry_unit {
	struct retry *retry;
	struct uuid id;
};

static void
retry_finish(struct retry *r)
{
	struct buf out = BUF_INIT;

	if (r->wanted_one && r->done + r->failed == 0) {
		store_ask_done(r->ask, STORE_NOT_FOUND, NULL, 0,
			"there is no quarantined unit with this id");
	} else {
		buf_printf(
			&out, "{\"retried\":%zu,\"failed\":%zu}", r->done, r->failed);
		store_ask_done(r->ask, STORE_OK, out.data, out.len, NULL);
	}
	buf_fini(&out);
	xfree(&r);
}

static void
retry_remove(const struct retry *r, const struct uuid *id)
{
	struct pg_unit *u = pg_unit_new(r->ask->store->writes);

	pg_add(u, "quarantine_remove");
	pg_param_int(u, r->tenant->id);
	pg_param_uuid(u, id);
	pg_submit(&u, STORE_DEADLINE_MS, NULL, NULL);
}

static void
on_retried(void *arg, const struct write_result *result)
{
	struct retry_unit *one = arg;
	struct retry *r = one->retry;

	if (result->status == WRITE_DONE) {
		r->done++;
		retry_remove(r, &one->id);
	} else {
		r->failed++;
	}
	xfree(&one);
	if (--r->under_way == 0)
		retry_finish(r);
}

static void
retry_one(struct retry *r, const struct pg_answer *a, size_t row)
{
	struct writer_unit *u =
		get_unit(r->tenant, pg_text(a, 0, row, 1), pg_text_len(a, 0, row, 1));

	if (!u) {
		r->failed++;
		return;
	}
	struct retry_unit *one = xcalloc(1, sizeof(*one));

	one->retry = r;
	one->id = u->quarantine = pg_uuid(a, 0, row, 0);
	r->under_way++;
	writer_save_unit(r->writer, u, on_retried, one);
}

static void
on_fetched(void *arg, const struct pg_answer *a)
{
	struct retry *r = arg;

	if (a->status != PG_OK) {
		store_ask_failed(r->ask, a);
		xfree(&r);
		return;
	}
	for (size_t row = 0; row < pg_rows(a, 0); row++)
		retry_one(r, a, row);
	if (!r->under_way)
		retry_finish(r);
}

void
quarantine_retry(struct writer *w, const struct actor *actor, const struct uuid *id,
	store_answer_fn *cb, void *arg)
{
	struct retry *r = xcalloc(1, sizeof(*r));
	struct pg_unit *u = pg_unit_new(writer_store(w)->writes);
	char text[UUID_TEXT_LEN];

	r->writer = w;
	r->ask = store_ask_new(writer_store(w), cb, arg);
	r->tenant = actor->tenant;
	r->wanted_one = id && !uuid_is_nil(id);
	pg_add(u, "quarantine_fetch");
	pg_param_int(u, actor->tenant->id);
	pg_param_uuid(u, id);
	pg_add(u, "audit_add");
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
	pg_param_text(u, "quarantine.retried");
	pg_param_text(u, "quarantine");
	pg_param_text(u, r->wanted_one ? uuid_format(text, id) : "all");
	pg_submit(&u, STORE_DEADLINE_MS, on_fetched, r);
}
