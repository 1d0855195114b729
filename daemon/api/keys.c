/* keys.c - /v1/api-keys: made, listed, revoked. A key is API_KEY_PREFIX and 256 random
 * bits; the database holds only its BLAKE2b hash, so it can be shown once only. */
#include <api/reply.h>
#include <api/routes.h>
#include <clock.h>
#include <mem.h>
#include <str.h>

#include <jansson.h>
#include <sodium.h>

#include <stdio.h>
#include <string.h>

#define API_KEY_PREFIX "ik_"
#define KEY_BYTES      32
#define NAME_MAX_CHARS 100
#define DEADLINE_MS    5000

struct key_request {
	struct http_request *request;
	char key[80];
};

static void
unavailable(struct http_request *r)
{
	http_add_header(r, "Retry-After", "2");
	http_problem(r, 503, NULL, "the database does not answer");
}

/* The stored object with the key put in, for the first answer only. */
static void
answer_created(struct key_request *k, const struct pg_answer *a)
{
	json_t *object = json_loads(pg_text(a, 0, 0, 2), 0, NULL);
	json_object_set_new(object, "key", json_string(k->key));
	char *text = json_dumps(object, JSON_COMPACT);
	http_answer(k->request, 201, "application/json", text, strlen(text));
	sodium_memzero(text, strlen(text));
	free(text);
	json_decref(object);
}

static void
on_created(void *arg, const struct pg_answer *a)
{
	struct key_request *k = arg;
	const char *state = a->status == PG_OK ? pg_text(a, 0, 0, 0) : "";
	if (a->status != PG_OK)
		unavailable(k->request);
	else if (str_eq(state, "new"))
		answer_created(k, a);
	else {
		struct store_answer answer = {
			.status = str_eq(state, "replayed")	? STORE_REPLAYED
				  : str_eq(state, "key_reused") ? STORE_KEY_REUSED
								: STORE_IN_PROGRESS,
			.http_status = (int)pg_int(a, 0, 0, 1),
			.json = pg_text(a, 0, 0, 2),
			.json_len = pg_text_len(a, 0, 0, 2),
			.detail = str_eq(state, "key_reused")
					  ? "this Idempotency-Key came with another "
					    "body before"
					  : "the first request with this "
					    "Idempotency-Key still runs",
		};
		reply_from_store(k->request, &answer);
	}
	sodium_memzero(k, sizeof(*k));
	mem_free(k);
}

/* A name is shown in the audit, in logs and on terminals: no control characters. */
static bool
name_is_sound(const char *name)
{
	if (str_empty(name) || strlen(name) > NAME_MAX_CHARS)
		return false;
	for (; *name; name++)
		if ((unsigned char)*name < 0x20 || *name == 0x7f)
			return false;
	return true;
}

static bool
read_key_body(struct http_request *r, const json_t *body, const char **name_r,
	const char **role_r)
{
	const char *field;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)body, field,
		value) if (!str_eq(field, "name") && !str_eq(field, "role"))
	{
		http_problem(
			r, 422, NULL, "%.64s: no such field; name and role", field);
		return false;
	}
	*name_r = json_string_value(json_object_get(body, "name"));
	*role_r = json_string_value(json_object_get(body, "role"));
	if (!name_is_sound(*name_r)) {
		http_problem(r, 422, NULL, "name: 1 to %d bytes, no control characters",
			NAME_MAX_CHARS);
		return false;
	}
	if (!role_parse(*role_r)) {
		http_problem(r, 422, NULL,
			"role: admin, supervisor, agent, integration or readonly");
		return false;
	}
	return true;
}

static void
make_key(char key[80], char hash_hex[65])
{
	unsigned char bytes[KEY_BYTES], hash[32];
	size_t n = strlen(API_KEY_PREFIX);
	randombytes_buf(bytes, sizeof(bytes));
	memcpy(key, API_KEY_PREFIX, n);
	sodium_bin2base64(key + n, 80 - n, bytes, sizeof(bytes),
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	crypto_generichash(
		hash, sizeof(hash), (const unsigned char *)key, strlen(key), NULL, 0);
	hex_encode(hash_hex, hash, sizeof(hash));
}

static void
add_idempotency(struct pg_unit *u, const struct idempotency *idem)
{
	char hex[65];
	pg_param_text(u, idem ? idem->caller : NULL);
	pg_param_text(u, idem ? idem->method : NULL);
	pg_param_text(u, idem ? idem->path : NULL);
	pg_param_text(u, idem ? idem->key : NULL);
	if (idem)
		hex_encode(hex, idem->body_hash, sizeof(idem->body_hash));
	pg_param_text(u, idem ? hex : NULL);
}

void
route_key_create(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct idempotency idem;
	const struct idempotency *used;
	const char *name, *role;
	char hash[65];
	if (!reply_idempotency(r, &idem, &used))
		return;
	json_t *body = reply_body(r);
	if (!body)
		return;
	if (read_key_body(r, body, &name, &role)) {
		struct caller *c = caller_of(r);
		struct uuid id = uuid_new(clock_wall_us());
		struct key_request *k = xcalloc(1, sizeof(*k));
		k->request = r;
		make_key(k->key, hash);
		struct pg_unit *u = pg_unit_new(app->store.writes);
		pg_add(u, "api_key_create");
		pg_param_int(u, c->tenant->id);
		pg_param_text(u, c->name);
		pg_param_text(u, role_text(c->role));
		pg_param_uuid(u, &id);
		pg_param_text(u, name);
		pg_param_text(u, role);
		pg_param_text(u, hash);
		add_idempotency(u, used);
		pg_submit(&u, DEADLINE_MS, on_created, k);
	}
	json_decref(body);
}

static void
on_listed(void *arg, const struct pg_answer *a)
{
	if (a->status != PG_OK)
		unavailable(arg);
	else
		http_answer(arg, 200, "application/json", pg_text(a, 0, 0, 0),
			pg_text_len(a, 0, 0, 0));
}

void
route_key_list(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct pg_unit *u = pg_unit_new(app->store.reads);
	pg_add(u, "api_key_list");
	pg_param_int(u, caller_of(r)->tenant->id);
	pg_submit(&u, DEADLINE_MS, on_listed, r);
}

static void
on_revoked(void *arg, const struct pg_answer *a)
{
	struct http_request *r = arg;
	if (a->status != PG_OK) {
		unavailable(r);
	} else if (!pg_bool(a, 0, 0, 0)) {
		http_problem(r, 404, NULL, "there is no key with this id");
	} else {
		key_cache_forget(caller_of(r)->app->keys);
		http_answer(r, 204, NULL, NULL, 0);
	}
}

void
route_key_revoke(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	struct caller *c = caller_of(r);
	if (!reply_path_uuid(r, &id))
		return;
	struct pg_unit *u = pg_unit_new(app->store.writes);
	pg_add(u, "api_key_revoke");
	pg_param_int(u, c->tenant->id);
	pg_param_text(u, c->name);
	pg_param_text(u, role_text(c->role));
	pg_param_uuid(u, &id);
	pg_submit(&u, DEADLINE_MS, on_revoked, r);
}
