/* webhook_api.c - webhooks made, changed, deleted and tried out.
 *
 * A change is answered once the list of webhook.c has been read again: what happens after
 * the answer is told accordingly. */
#include <desk/webhook_priv.h>

#include <clock.h>
#include <json.h>
#include <mem.h>
#include <people/check.h>
#include <str.h>

#include <sodium.h>

#include <stdio.h>
#include <string.h>

#define DESCRIPTION_MAX 200

/* One operation, from its start to its answer. */
struct hook_call {
	struct webhooks *all;
	struct store_ask *ask;
	char *json; /* the answer, kept while the list is read again */
	enum store_status status;
	char secret[WEBHOOK_SECRET_LEN]; /* to be shown once; "" = none */
	/* of a test */
	struct uuid id;
	const struct tenant *tenant;
};

static struct hook_call *
call_new(struct webhooks *ws, store_answer_fn *fn, void *arg)
{
	struct hook_call *c = xcalloc(1, sizeof(*c));

	c->all = ws;
	c->ask = store_ask_new(ws->store, fn, arg);
	ws->asking++;
	return c;
}

static struct store_ask *
call_end(struct hook_call *c)
{
	struct store_ask *ask = c->ask;

	c->all->asking--;
	if (c->json)
		sodium_memzero(c->json, strlen(c->json));
	mem_free(c->json);
	sodium_memzero(c, sizeof(*c));
	mem_free(c);
	return ask;
}

static void
on_list_known(void *arg)
{
	struct hook_call *c = arg;
	char *json = c->json;
	enum store_status status = c->status;

	c->json = NULL;
	store_ask_done(call_end(c), status, json, strlen(json), NULL);
	sodium_memzero(json, strlen(json));
	mem_free(json);
}

/* The object with the secret put in, when the list knows of the change. */
static void
call_changed(struct hook_call *c, enum store_status status, const char *json)
{
	size_t len = strlen(json);

	c->status = status;
	if (c->secret[0])
		c->json = xasprintf(
			"%.*s,\"secret\":\"%s\"}", (int)len - 1, json, c->secret);
	else
		c->json = xstrdup(json);
	if (c->all->closing)
		on_list_known(c);
	else
		webhooks_load(c->all, on_list_known, c);
}

/* ---- Bodies ------------------------------------------------------------------------- */

struct hook_body {
	const char *url, *secret, *description; /* NULL = not given */
	const json_t *events;
	bool has_enabled, enabled, wants_secret, ends_rotation;
};

static void
body_events(struct hook_body *b, struct check *c)
{
	b->events = check_take(c, "events");
	if (!b->events)
		return;
	size_t n = json_array_size(b->events);
	if (!json_is_array(b->events) || n < 1 || n > WEBHOOK_PATTERNS_MAX)
		check_fail(
			c, "events: a list of 1 to %d patterns", WEBHOOK_PATTERNS_MAX);
	for (size_t i = 0; i < n; i++) {
		const char *p = json_string_value(json_array_get(b->events, i));
		if (!p || !webhook_pattern_is_sound(p))
			check_fail(c, "events: \"*\", \"contact.*\" or a type such as "
				      "\"interaction.ended\"");
	}
}

static void
body_secret(struct hook_body *b, struct check *c)
{
	const json_t *v = json_object_get(c->object, "secret");

	b->wants_secret = json_is_null(v);
	b->secret = check_text(c, "secret", 200);
	if (b->secret && !webhook_secret_is_sound(b->secret))
		check_fail(c, "secret: 16 to 200 printable characters without blanks; "
			      "null or nothing makes one");
}

static void
body_read(struct hook_body *b, const struct webhooks *ws, struct check *c)
{
	struct err e;

	b->url = check_text(c, "url", 2048);
	if (b->url && fetch_check_url_to(b->url, webhook_reach(ws), &e) < 0)
		check_fail(c, "url: %s", e.text);
	body_events(b, c);
	body_secret(b, c);
	b->has_enabled = json_object_get(c->object, "enabled") != NULL;
	b->enabled = check_bool(c, "enabled", true);
	b->description = check_text(c, "description", DESCRIPTION_MAX);
}

static void
param_events(struct pg_unit *u, const json_t *events)
{
	pg_array_begin(u);
	for (size_t i = 0; i < json_array_size(events); i++)
		pg_array_add(u, json_string_value(json_array_get(events, i)));
	pg_array_end(u);
}

/* ---- Made --------------------------------------------------------------------------- */

static void
on_created(void *arg, const struct pg_answer *a)
{
	struct hook_call *c = arg;
	const char *state = a->status == PG_OK ? pg_text(a, 0, 0, 0) : "";

	if (a->status != PG_OK)
		store_ask_failed(call_end(c), a);
	else if (str_eq(state, "new"))
		call_changed(c, STORE_CREATED, pg_text(a, 0, 0, 2));
	else if (str_eq(state, "full"))
		store_ask_done(call_end(c), STORE_CONFLICT, NULL, 0,
			"there are 100 webhooks already");
	else
		store_ask_done_idempotent(call_end(c), a, 0);
}

void
webhook_create(struct webhooks *ws, const struct actor *actor, const json_t *body,
	const struct idempotency *idem, store_answer_fn *fn, void *arg)
{
	struct hook_body b = {0};
	struct check check;
	struct uuid id = uuid_new(clock_wall_us());

	check_init(&check, body);
	body_read(&b, ws, &check);
	if (!b.url)
		check_fail(&check, "url: is required");
	if (!b.events)
		check_fail(&check, "events: is required, for example [\"*\"]");
	if (!check_done(&check)) {
		store_refuse(ws->store, fn, arg, STORE_INVALID, "%s", check.why);
		return;
	}
	struct hook_call *c = call_new(ws, fn, arg);
	struct pg_unit *u = pg_unit_new(ws->pg);

	if (!b.secret)
		webhook_secret_make(c->secret);
	pg_add(u, "webhook_create");
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
	pg_param_uuid(u, &id);
	pg_param_text(u, b.url);
	param_events(u, b.events);
	pg_param_text(u, b.secret ? b.secret : c->secret);
	pg_param_bool(u, b.enabled);
	pg_param_text(u, b.description ? b.description : "");
	store_param_fields(u, body);
	store_param_idempotency(u, idem);
	pg_submit(&u, STORE_DEADLINE_MS, on_created, c);
}

/* ---- Changed ------------------------------------------------------------------------ */

static void
on_patched(void *arg, const struct pg_answer *a)
{
	struct hook_call *c = arg;

	if (a->status == PG_OK && pg_text(a, 0, 0, 0))
		call_changed(c, STORE_OK, pg_text(a, 0, 0, 0));
	else if (a->status == PG_OK)
		store_ask_done(call_end(c), STORE_NOT_FOUND, NULL, 0,
			"there is no webhook with this id");
	else
		store_ask_failed(call_end(c), a);
}

static json_t *
patch_set(const struct hook_body *b, const char *secret)
{
	json_t *set = json_object();

	if (b->url)
		json_object_set_new(set, "url", json_string(b->url));
	if (b->events)
		json_object_set_new(set, "events", json_deep_copy(b->events));
	if (b->has_enabled)
		json_object_set_new(set, "enabled", json_boolean(b->enabled));
	if (b->description)
		json_object_set_new(set, "description", json_string(b->description));
	if (secret)
		json_object_set_new(set, "secret", json_string(secret));
	if (b->ends_rotation)
		json_object_set_new(set, "old_secret_until", json_null());
	return set;
}

void
webhook_patch(struct webhooks *ws, const struct actor *actor, const struct uuid *id,
	const json_t *body, store_answer_fn *fn, void *arg)
{
	struct hook_body b = {0};
	struct check check;
	const json_t *until;

	check_init(&check, body);
	body_read(&b, ws, &check);
	until = check_take(&check, "old_secret_until");
	if (until && !json_is_null(until))
		check_fail(
			&check, "old_secret_until: null ends the rotation; no other");
	b.ends_rotation = until != NULL;
	if (!check_done(&check)) {
		store_refuse(ws->store, fn, arg, STORE_INVALID, "%s", check.why);
		return;
	}
	struct hook_call *c = call_new(ws, fn, arg);
	struct pg_unit *u = pg_unit_new(ws->pg);

	if (b.wants_secret)
		webhook_secret_make(c->secret);
	json_t *set = patch_set(&b, b.wants_secret ? c->secret : b.secret);
	pg_add(u, "webhook_patch");
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
	pg_param_uuid(u, id);
	store_param_json(u, set);
	store_param_fields(u, body);
	pg_param_int(u, ws->conf->rotation_ms);
	pg_submit(&u, STORE_DEADLINE_MS, on_patched, c);
	json_decref(set);
}

static void
on_deleted(void *arg, const struct pg_answer *a)
{
	struct hook_call *c = arg;

	if (a->status == PG_OK && pg_bool(a, 0, 0, 0))
		call_changed(c, STORE_OK, "{}");
	else if (a->status == PG_OK)
		store_ask_done(call_end(c), STORE_NOT_FOUND, NULL, 0,
			"there is no webhook with this id");
	else
		store_ask_failed(call_end(c), a);
}

void
webhook_delete(struct webhooks *ws, const struct actor *actor, const struct uuid *id,
	store_answer_fn *fn, void *arg)
{
	struct pg_unit *u = pg_unit_new(ws->pg);

	pg_add(u, "webhook_delete");
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
	pg_param_uuid(u, id);
	pg_submit(&u, STORE_DEADLINE_MS, on_deleted, call_new(ws, fn, arg));
}

/* ---- Read --------------------------------------------------------------------------- */

static void
on_read(void *arg, const struct pg_answer *a)
{
	store_ask_done_object(call_end(arg), a, "webhook");
}

void
webhook_list(struct webhooks *ws, const struct tenant *tenant, store_answer_fn *fn,
	void *arg)
{
	struct pg_unit *u = pg_unit_new(ws->pg);

	pg_add(u, "webhook_list");
	pg_param_int(u, tenant->id);
	pg_submit(&u, STORE_DEADLINE_MS, on_read, call_new(ws, fn, arg));
}

void
webhook_get(struct webhooks *ws, const struct tenant *tenant, const struct uuid *id,
	store_answer_fn *fn, void *arg)
{
	struct pg_unit *u = pg_unit_new(ws->pg);

	pg_add(u, "webhook_get");
	pg_param_int(u, tenant->id);
	pg_param_uuid(u, id);
	pg_submit(&u, STORE_DEADLINE_MS, on_read, call_new(ws, fn, arg));
}

/* ---- Tried out ---------------------------------------------------------------------- */

static void
on_tested(void *arg, const struct fetch_answer *a)
{
	struct hook_call *c = arg;
	struct buf b = BUF_INIT;
	struct json_out j;

	json_out_init(&j, &b);
	json_put_object(&j, NULL);
	json_put_bool(&j, "delivered",
		webhook_judge(a->status, a->retry_after_s) == WEBHOOK_DELIVERED);
	if (a->status)
		json_put_int(&j, "status", a->status);
	else
		json_put_null(&j, "status");
	json_put_string(&j, "error", a->error);
	json_put_int(&j, "took_ms", a->took_us / 1000);
	json_put_object_end(&j);
	store_ask_done(call_end(c), STORE_OK, b.data, b.len, NULL);
	buf_fini(&b);
}

static void
test_send(struct hook_call *c, const char *url, const char *secret, const char *old)
{
	struct event_stamp stamp = event_stamp_new(false);
	char event[UUID_TEXT_LEN], hook[UUID_TEXT_LEN], delivery[UUID_TEXT_LEN];
	struct uuid id = uuid_new(clock_wall_us());
	struct buf b = BUF_INIT;
	struct json_out j;

	json_out_init(&j, &b);
	json_put_object(&j, NULL);
	json_put_int(&j, "v", 1);
	json_put_string(&j, "id", uuid_format(event, &stamp.id));
	json_put_string(&j, "type", "webhook.test");
	json_put_time(&j, "at", stamp.at_us);
	json_put_string(&j, "tenant", c->tenant->name);
	json_put_object(&j, "object");
	json_put_string(&j, "id", uuid_format(hook, &c->id));
	json_put_object_end(&j);
	json_put_raw(&j, "changes", "{}");
	json_put_object_end(&j);
	webhook_post(c->all, url, secret, old, "webhook.test",
		uuid_format(delivery, &id), b.data, on_tested, c);
	buf_fini(&b);
}

static void
on_target(void *arg, const struct pg_answer *a)
{
	struct hook_call *c = arg;

	if (a->status != PG_OK || c->all->closing)
		store_ask_failed(call_end(c), a);
	else if (!pg_rows(a, 0))
		store_ask_done(call_end(c), STORE_NOT_FOUND, NULL, 0,
			"there is no webhook with this id");
	else
		test_send(c, pg_text(a, 0, 0, 0), pg_text(a, 0, 0, 1),
			pg_text(a, 0, 0, 2));
}

void
webhook_test(struct webhooks *ws, const struct tenant *tenant, const struct uuid *id,
	store_answer_fn *fn, void *arg)
{
	struct hook_call *c = call_new(ws, fn, arg);
	struct pg_unit *u = pg_unit_new(ws->pg);

	c->tenant = tenant;
	c->id = *id;
	pg_add(u, "webhook_target");
	pg_param_int(u, tenant->id);
	pg_param_uuid(u, id);
	pg_submit(&u, STORE_DEADLINE_MS, on_target, c);
}
