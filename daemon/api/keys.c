/* keys.c - /v1/api-keys: made, listed, changed, revoked. A key is API_KEY_PREFIX and 256 random
 * bits; the database holds only its BLAKE2b hash, so it can be shown once only. */
#include <api/reply.h>
#include <api/routes.h>
#include <clock.h>
#include <mem.h>
#include <people/store_ask.h>
#include <str.h>

#include <jansson.h>
#include <sodium.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define API_KEY_PREFIX "ik_"
#define KEY_BYTES      32
#define NAME_MAX_CHARS 100
#define DEADLINE_MS    5000
#define ADMIN_SEES_ALL                                                                    \
	"contact_roles, attributes: an admin may change every limit, so such a key sees " \
	"everything; give it another role"

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

/* A key's body; strings are borrowed from the JSON. */
struct key_body {
	const char *name, *role;
	const json_t *roles, *attributes; /* what it may see of the contacts */
	char why[200];
};

static void
wrong(struct key_body *k, const char *why)
{
	if (why && !k->why[0])
		str_copy(k->why, sizeof(k->why), why);
}

static void
read_member(struct key_body *k, const char *name, const json_t *v, bool is_patch)
{
	char why[128];
	if (str_eq(name, "name")) {
		k->name = json_string_value(v);
		if (!name_is_sound(k->name) || strlen(k->name) != json_string_length(v))
			wrong(k, "name: 1 to 100 bytes, no control characters");
	} else if (str_eq(name, "role") && !is_patch) {
		k->role = json_string_value(v);
	} else if (str_eq(name, "contact_roles")) {
		k->roles = v;
		wrong(k, sight_check_roles(v));
	} else if (str_eq(name, "attributes")) {
		k->attributes = v;
		wrong(k, sight_check_attributes(v));
	} else {
		snprintf(why, sizeof(why), "%.64s: no such field", name);
		wrong(k, why);
	}
}

static bool
is_limited(const struct key_body *k)
{
	return json_is_array(k->roles) || json_is_array(k->attributes);
}

/* False after an answer. */
static bool
read_key_body(
	struct http_request *r, const json_t *body, bool is_patch, struct key_body *k)
{
	json_t *o = (json_t *)(uintptr_t)body;
	memset(k, 0, sizeof(*k));
	for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it))
		read_member(k, json_object_iter_key(it), json_object_iter_value(it),
			is_patch);
	if (!is_patch && !k->name)
		wrong(k, "name: 1 to 100 bytes, no control characters");
	if (!is_patch && !role_parse(k->role))
		wrong(k, "role: admin, supervisor, agent, integration or readonly");
	if (role_parse(k->role) == ROLE_ADMIN && is_limited(k))
		wrong(k, ADMIN_SEES_ALL);
	if (k->why[0])
		http_problem(r, 422, NULL, "%s", k->why);
	return !k->why[0];
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

void
route_key_create(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct idempotency idem;
	const struct idempotency *used;
	struct key_body k;
	char hash[65];
	if (!reply_idempotency(r, &idem, &used))
		return;
	json_t *body = reply_body(r);
	if (!body)
		return;
	if (read_key_body(r, body, false, &k)) {
		struct caller *c = caller_of(r);
		struct uuid id = uuid_new(clock_wall_us());
		const struct sight *sight = sight_new(k.roles, k.attributes);
		struct key_request *q = xcalloc(1, sizeof(*q));
		q->request = r;
		make_key(q->key, hash);
		struct pg_unit *u = pg_unit_new(app->store.writes);
		pg_add(u, "api_key_create");
		pg_param_int(u, c->tenant->id);
		pg_param_text(u, c->name);
		pg_param_text(u, role_text(c->role));
		pg_param_uuid(u, &id);
		pg_param_text(u, k.name);
		pg_param_text(u, k.role);
		pg_param_text(u, hash);
		sight_param(u, sight);
		store_param_fields(u, body);
		store_param_idempotency(u, used);
		pg_submit(&u, DEADLINE_MS, on_created, q);
		sight_unref(&sight);
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
on_patched(void *arg, const struct pg_answer *a)
{
	struct http_request *r = arg;
	const char *state = a->status == PG_OK ? pg_text(a, 0, 0, 0) : NULL;
	if (!state) {
		unavailable(r);
	} else if (str_eq(state, "not_found")) {
		http_problem(r, 404, NULL, "there is no key with this id");
	} else if (str_eq(state, "admin")) {
		http_problem(r, 422, NULL, "%s", ADMIN_SEES_ALL);
	} else {
		key_cache_forget(caller_of(r)->app->keys);
		http_answer(r, 200, "application/json", pg_text(a, 0, 0, 1),
			pg_text_len(a, 0, 0, 1));
	}
}

/* The name, and what it may see; never the role: what a key may do is asked when it is
 * made. */
void
route_key_patch(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	struct key_body k;
	const struct caller *c = caller_of(r);
	if (!reply_path_uuid(r, &id))
		return;
	json_t *body = reply_body(r);
	if (!body)
		return;
	if (read_key_body(r, body, true, &k)) {
		struct pg_unit *u = pg_unit_new(app->store.writes);
		pg_add(u, "api_key_patch");
		pg_param_int(u, c->tenant->id);
		pg_param_text(u, c->name);
		pg_param_text(u, role_text(c->role));
		pg_param_uuid(u, &id);
		store_param_json(u, body);
		store_param_fields(u, body);
		pg_submit(&u, DEADLINE_MS, on_patched, r);
	}
	json_decref(body);
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
