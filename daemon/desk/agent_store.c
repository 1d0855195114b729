/* agent_store.c - /v1/agents: list, read, create, change.
 *
 * Rows are made and changed by functions of conf/sql/011-desk.sql, each with its audit
 * and its idempotency in one transaction. An interface, word for word, belongs to one
 * agent: a call that rings there must have one answer. */
#include <desk/agent_priv.h>

#include <json.h>
#include <mem.h>
#include <people/store_ask.h>
#include <str.h>

#include <jansson.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 200
#define LIST_MAX       256
#define WORD_MAX       128
#define CAPACITY_MAX   1000

/* Ends the call; its question is the caller's to answer. */
static struct store_ask *
take_ask(struct agent_call *c)
{
	struct store_ask *ask = c->ask;
	agent_call_free(c);
	return ask;
}

static struct agent_call *
call_new(struct agents *as, const struct tenant *t, const char *id, store_answer_fn *fn,
	void *arg)
{
	struct agent_call *c = agent_call_new(as);
	c->tenant = t;
	c->text = xstrdup(id);
	c->ask = store_ask_new(as->store, fn, arg);
	return c;
}

/* ---- Reading ---- */

/* What others know of the agent, as the last members of an object that is open. */
static void
put_members(struct json_out *j, const struct agents *as, const struct tenant *t,
	const char *id)
{
	if (as->members)
		as->members(as->members_arg, t, id, j);
}

/* The same as text: `,"state":…}`, or `}` if there are none. */
static void
members_tail(struct buf *out, const struct agents *as, const struct tenant *t,
	const char *id)
{
	struct buf more = BUF_INIT;
	struct json_out m;
	json_out_init(&m, &more);
	json_put_object(&m, NULL);
	put_members(&m, as, t, id);
	json_put_object_end(&m);
	if (more.len > 2) /* not {} */
		buf_addc(out, ',');
	buf_adds(out, buf_str(&more) + 1);
	buf_fini(&more);
}

/* A row's object with them. */
static void
put_row(struct json_out *j, const struct agents *as, const struct tenant *t,
	const char *id, const char *object)
{
	struct buf whole = BUF_INIT;
	buf_add(&whole, object, (size_t)(strrchr(object, '}') - object));
	members_tail(&whole, as, t, id);
	json_put_raw(j, NULL, buf_str(&whole));
	buf_fini(&whole);
}

static void
put_learnt(struct json_out *j, const struct agents *as, const struct tenant *t,
	const struct learnt_agent *l)
{
	json_put_object(j, NULL);
	json_put_string(j, "id", l->id);
	json_put_string(j, "name", "");
	json_put_array(j, "interfaces");
	json_put_array_end(j);
	json_put_array(j, "queues");
	json_put_array_end(j);
	json_put_raw(j, "capacity", "{\"call\":1}");
	json_put_null(j, "contact_roles");
	json_put_null(j, "attributes");
	json_put_bool(j, "learnt", true);
	json_put_string(j, "channel", l->channel);
	put_members(j, as, t, l->id);
	json_put_object_end(j);
}

/* Learnt agents of one tenant, by id. */
struct learnt_list {
	const char *tenant;
	size_t tenant_len, n;
	const struct learnt_agent **items;
};

static void
add_learnt(const char *key, void *value, void *arg)
{
	struct learnt_list *ll = arg;
	if (!strncmp(key, ll->tenant, ll->tenant_len) && key[ll->tenant_len] == '\n')
		ll->items[ll->n++] = value;
}

static int
by_id(const void *a, const void *b)
{
	const struct learnt_agent *const *x = a, *const *y = b;
	return strcmp((*x)->id, (*y)->id);
}

static struct learnt_list
learnt_of(struct agents *as, const struct tenant *t)
{
	struct learnt_list ll = {.tenant = t->name, .tenant_len = strlen(t->name)};
	ll.items = xcalloc(as->learnt.len + 1, sizeof(*ll.items));
	map_each(&as->learnt, add_learnt, &ll);
	qsort(ll.items, ll.n, sizeof(*ll.items), by_id);
	return ll;
}

/* Rows and learnt agents, both in order of id, as one list. */
static void
put_items(struct json_out *j, const struct agent_call *c, const struct learnt_list *ll,
	const struct pg_answer *a)
{
	size_t row = 0, at = 0;
	while (row < pg_rows(a, 0) || at < ll->n) {
		const char *id = row < pg_rows(a, 0) ? pg_text(a, 0, row, 0) : NULL;
		int order = !id ? 1 : at >= ll->n ? -1 : strcmp(id, ll->items[at]->id);
		if (order <= 0)
			put_row(j, c->agents, c->tenant, id, pg_text(a, 0, row++, 1));
		else
			put_learnt(j, c->agents, c->tenant, ll->items[at]);
		if (order >= 0)
			at++;
	}
}

static void
on_list(void *arg, const struct pg_answer *a)
{
	struct agent_call *c = arg;
	struct buf b = BUF_INIT;
	struct json_out j;
	if (a->status != PG_OK || !c->agents) {
		store_ask_failed(take_ask(c), a);
		return;
	}
	struct learnt_list ll = learnt_of(c->agents, c->tenant);
	json_out_init(&j, &b);
	json_put_object(&j, NULL);
	json_put_array(&j, "items");
	put_items(&j, c, &ll, a);
	json_put_array_end(&j);
	json_put_null(&j, "next");
	json_put_object_end(&j);
	mem_free(ll.items);
	store_ask_done(take_ask(c), STORE_OK, b.data, b.len, NULL);
	buf_fini(&b);
}

void
agent_list(struct agents *as, const struct tenant *t, store_answer_fn *fn, void *arg)
{
	struct pg_unit *u = pg_unit_new(as->store->reads);
	pg_add(u, "agent_list");
	pg_param_int(u, t->id);
	pg_submit(&u, STORE_DEADLINE_MS, on_list, call_new(as, t, NULL, fn, arg));
}

static void
answer_object(struct agent_call *c, const struct learnt_agent *l, const char *row)
{
	struct buf b = BUF_INIT;
	struct json_out j;
	json_out_init(&j, &b);
	if (row && !c->agents)
		json_put_raw(&j, NULL, row);
	else if (row)
		put_row(&j, c->agents, c->tenant, c->text, row);
	else
		put_learnt(&j, c->agents, c->tenant, l);
	store_ask_done(take_ask(c), STORE_OK, b.data, b.len, NULL);
	buf_fini(&b);
}

static void
on_get(void *arg, const struct pg_answer *a)
{
	struct agent_call *c = arg;
	if (a->status != PG_OK || !c->agents) {
		store_ask_failed(take_ask(c), a);
		return;
	}
	const struct learnt_agent *l =
		agents_learnt(c->agents, c->tenant->name, c->text);
	if (pg_rows(a, 0) || l)
		answer_object(c, l, pg_rows(a, 0) ? pg_text(a, 0, 0, 0) : NULL);
	else
		store_ask_done(take_ask(c), STORE_NOT_FOUND, NULL, 0,
			"there is no agent with this id");
}

void
agent_get(struct agents *as, const struct tenant *t, const char *id,
	store_answer_fn *fn, void *arg)
{
	struct pg_unit *u = pg_unit_new(as->store->reads);
	pg_add(u, "agent_get");
	pg_param_int(u, t->id);
	pg_param_text(u, id);
	pg_submit(&u, STORE_DEADLINE_MS, on_get, call_new(as, t, id, fn, arg));
}

/* ---- Reading a body ---- */

struct agent_body {
	const char *id, *name; /* NULL = not given */
	const json_t *interfaces, *queues;
	char *capacity; /* JSON text; ours */
	json_t *sight; /* contact_roles and attributes, as far as given; or NULL; ours */
	const char *fields[8];
	size_t n_fields;
	char why[160]; /* what is wrong; "" = nothing */
};

static void
refuse(struct agent_body *b, const char *why)
{
	if (!b->why[0])
		str_copy(b->why, sizeof(b->why), why);
}

static bool
is_text(const json_t *v, size_t min, size_t max)
{
	const char *s = json_string_value(v);
	if (!s || json_string_length(v) != strlen(s))
		return false;
	for (const char *c = s; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	return strlen(s) >= min && strlen(s) <= max;
}

static bool
is_interfaces(const json_t *v)
{
	if (!json_is_array(v) || json_array_size(v) > LIST_MAX)
		return false;
	for (size_t i = 0; i < json_array_size(v); i++)
		if (!is_text(json_array_get(v, i), 1, WORD_MAX))
			return false;
	return true;
}

static bool
is_queues(const json_t *v)
{
	if (!json_is_array(v) || json_array_size(v) > LIST_MAX)
		return false;
	for (size_t i = 0; i < json_array_size(v); i++)
		if (!is_text(json_array_get(v, i), 1, 64) ||
			!str_is_id(json_string_value(json_array_get(v, i))))
			return false;
	return true;
}

static bool
is_capacity_number(const json_t *v)
{
	return json_is_integer(v) && json_integer_value(v) >= 0 &&
	       json_integer_value(v) <= CAPACITY_MAX;
}

/* A number means calls; an object has one number per kind. */
static char *
read_capacity(const json_t *v)
{
	const char *kind;
	const json_t *n;
	if (is_capacity_number(v))
		return xasprintf("{\"call\":%d}", (int)json_integer_value(v));
	if (!json_is_object(v) || json_object_size(v) > 16)
		return NULL;
	struct buf b = BUF_INIT;
	struct json_out j;
	bool ok = true;
	json_out_init(&j, &b);
	json_put_object(&j, NULL);
	for (void *it = json_object_iter((json_t *)(uintptr_t)v); it;
		it = json_object_iter_next((json_t *)(uintptr_t)v, it)) {
		kind = json_object_iter_key(it);
		n = json_object_iter_value(it);
		ok = ok && *kind && strlen(kind) <= 32 && is_capacity_number(n);
		json_put_int(&j, kind, json_integer_value(n));
	}
	json_put_object_end(&j);
	if (!ok)
		buf_fini(&b);
	return ok ? buf_steal(&b) : NULL;
}

static void
free_body(struct agent_body *b)
{
	xfree(&b->capacity);
	json_decref(b->sight);
}

/* contact_roles, attributes: what of the contacts they may see. */
static void
read_sight(struct agent_body *b, const char *key, const json_t *v)
{
	const char *why = str_eq(key, "attributes") ? sight_check_attributes(v)
						    : sight_check_roles(v);
	if (why)
		refuse(b, why);
	if (!b->sight)
		b->sight = json_object();
	json_object_set(b->sight, key, (json_t *)(uintptr_t)v);
}

static bool
read_field(struct agent_body *b, const char *key, const json_t *v, bool with_id)
{
	if (with_id && str_eq(key, "id")) {
		b->id = json_string_value(v);
		if (!b->id || !str_is_id(b->id))
			refuse(b, "id: [A-Za-z0-9._-], 1 to 64 characters");
	} else if (str_eq(key, "name")) {
		b->name = json_string_value(v);
		if (!is_text(v, 0, NAME_MAX_BYTES))
			refuse(b, "name: a text of at most 200 bytes");
	} else if (str_eq(key, "interfaces")) {
		b->interfaces = v;
		if (!is_interfaces(v))
			refuse(b, "interfaces: texts like \"PJSIP/1001\" or "
				  "\"pbx-main:PJSIP/1001\", at most 256");
	} else if (str_eq(key, "queues")) {
		b->queues = v;
		if (!is_queues(v))
			refuse(b, "queues: ids of queues, at most 256");
	} else if (str_eq(key, "capacity")) {
		b->capacity = read_capacity(v);
		if (!b->capacity)
			refuse(b, "capacity: a number from 0 to 1000, or an object of "
				  "them by kind: {\"call\":1,\"chat\":3}");
	} else if (str_eq(key, "contact_roles") || str_eq(key, "attributes")) {
		read_sight(b, key, v);
	} else {
		return false;
	}
	return true;
}

static bool
read_body(struct agent_body *b, const json_t *body, bool with_id)
{
	json_t *o = (json_t *)(uintptr_t)body;
	for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it)) {
		const char *key = json_object_iter_key(it);
		if (read_field(b, key, json_object_iter_value(it), with_id)) {
			b->fields[b->n_fields++] = key;
			continue;
		}
		char why[128];
		snprintf(why, sizeof(why), "%.64s: no such field", key);
		refuse(b, why);
	}
	if (with_id && !b->id)
		refuse(b, "id: missing");
	return !b->why[0];
}

/* ---- Changing ---- */

static void
param_array(struct pg_unit *u, const json_t *array, bool or_null)
{
	if (!array && or_null) {
		pg_param_null(u);
		return;
	}
	pg_array_begin(u);
	for (size_t i = 0; i < json_array_size(array); i++)
		pg_array_add(u, json_string_value(json_array_get(array, i)));
	pg_array_end(u);
}

static void
param_fields(struct pg_unit *u, const struct agent_body *b)
{
	pg_array_begin(u);
	for (size_t i = 0; i < b->n_fields; i++)
		pg_array_add(u, b->fields[i]);
	pg_array_end(u);
}

/* Done: known here at once. */
static void
note_changed(struct agent_call *c, const char *object)
{
	json_t *o = json_loads(object, 0, NULL);
	if (c->agents)
		agents_note(c->agents, c->tenant->name, c->text, o);
	json_decref(o);
}

/* One of another agent's interfaces. */
static void
answer_conflict(struct agent_call *c, const char *other)
{
	char extra[128];
	snprintf(extra, sizeof(extra), "\"agent\":\"%s\"", other);
	store_ask_done(take_ask(c), STORE_CONFLICT, extra, strlen(extra),
		"another agent has one of these interfaces");
}

static void
on_created(void *arg, const struct pg_answer *a)
{
	struct agent_call *c = arg;
	const char *state = a->status == PG_OK ? pg_text(a, 0, 0, 0) : NULL;
	if (!state)
		store_ask_failed(take_ask(c), a);
	else if (str_eq(state, "new")) {
		note_changed(c, pg_text(a, 0, 0, 2));
		store_ask_done_row(take_ask(c), STORE_CREATED, a, 0, 2);
	} else if (str_eq(state, "conflict"))
		answer_conflict(c, pg_text(a, 0, 0, 2));
	else if (str_eq(state, "exists"))
		store_ask_done(take_ask(c), STORE_CONFLICT, NULL, 0,
			"there is an agent with this id");
	else
		store_ask_done_idempotent(take_ask(c), a, 0);
}

static void
on_patched(void *arg, const struct pg_answer *a)
{
	struct agent_call *c = arg;
	const char *state = a->status == PG_OK ? pg_text(a, 0, 0, 0) : NULL;
	if (!state)
		store_ask_failed(take_ask(c), a);
	else if (str_eq(state, "done")) {
		note_changed(c, pg_text(a, 0, 0, 1));
		answer_object(c, NULL, pg_text(a, 0, 0, 1));
	} else if (str_eq(state, "conflict"))
		answer_conflict(c, pg_text(a, 0, 0, 1));
	else
		store_ask_done(take_ask(c), STORE_NOT_FOUND, NULL, 0,
			"there is no agent with this id");
}

void
agent_create(struct agents *as, const struct actor *actor, const json_t *body,
	const struct idempotency *idem, store_answer_fn *fn, void *arg)
{
	struct agent_body b = {0};
	struct buf members = BUF_INIT;
	if (!read_body(&b, body, true)) {
		store_refuse(as->store, fn, arg, STORE_INVALID, "%s", b.why);
		free_body(&b);
		return;
	}
	struct pg_unit *u = pg_unit_new(as->store->writes);
	pg_add(u, "agent_create");
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
	pg_param_text(u, b.id);
	pg_param_text(u, b.name ? b.name : "");
	param_array(u, b.interfaces, false);
	param_array(u, b.queues, false);
	pg_param_text(u, b.capacity ? b.capacity : "{\"call\": 1}");
	store_param_json(u, b.sight);
	param_fields(u, &b);
	store_param_idempotency(u, idem);
	members_tail(&members, as, actor->tenant, b.id);
	pg_param_text(u, buf_str(&members));
	buf_fini(&members);
	pg_submit(&u, STORE_DEADLINE_MS, on_created,
		call_new(as, actor->tenant, b.id, fn, arg));
	free_body(&b);
}

void
agent_patch(struct agents *as, const struct actor *actor, const char *id,
	const json_t *body, store_answer_fn *fn, void *arg)
{
	struct agent_body b = {0};
	if (!read_body(&b, body, false)) {
		store_refuse(as->store, fn, arg, STORE_INVALID, "%s", b.why);
		free_body(&b);
		return;
	}
	struct pg_unit *u = pg_unit_new(as->store->writes);
	pg_add(u, "agent_patch");
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
	pg_param_text(u, id);
	pg_param_text(u, b.name);
	param_array(u, b.interfaces, true);
	param_array(u, b.queues, true);
	pg_param_text(u, b.capacity);
	store_param_json(u, b.sight);
	param_fields(u, &b);
	pg_param_bool(u, agents_learnt(as, actor->tenant->name, id) != NULL);
	pg_submit(&u, STORE_DEADLINE_MS, on_patched,
		call_new(as, actor->tenant, id, fn, arg));
	free_body(&b);
}
