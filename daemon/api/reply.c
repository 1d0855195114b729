/* reply.c - request bodies as JSON, the rooms' answers as HTTP. */
#include <api/reply.h>

#include <str.h>

#include <jansson.h>
#include <sodium.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define KEY_MAX 200

/* What a created object's Location is: its collection and its id. */
static void
add_location(struct http_request *r, const struct store_answer *a)
{
	json_t *object = json_loadb(a->json, a->json_len, 0, NULL);
	const char *id = json_string_value(json_object_get(object, "id"));
	char location[256];
	if (id && str_starts(http_path(r), "/v1/")) {
		snprintf(location, sizeof(location), "%s/%s", http_path(r), id);
		http_add_header(r, "Location", location);
	}
	json_decref(object);
}

static void
send_json(struct http_request *r, int status, const struct store_answer *a)
{
	http_answer(r, status, "application/json", a->json ? a->json : "{}",
		a->json ? a->json_len : 2);
}

void
reply_from_store(void *arg, const struct store_answer *a)
{
	struct http_request *r = arg;
	switch (a->status) {
	case STORE_OK: send_json(r, 200, a); return;
	case STORE_CREATED:
		add_location(r, a);
		send_json(r, 201, a);
		return;
	case STORE_REPLAYED:
		http_add_header(r, "Idempotency-Replayed", "true");
		send_json(r, a->http_status, a);
		return;
	case STORE_NOT_FOUND: http_problem(r, 404, NULL, "%s", a->detail); return;
	case STORE_CONFLICT: http_problem(r, 409, a->json, "%s", a->detail); return;
	case STORE_INVALID: http_problem(r, 422, NULL, "%s", a->detail); return;
	case STORE_KEY_REUSED: http_problem(r, 422, NULL, "%s", a->detail); return;
	case STORE_IN_PROGRESS:
		http_add_header(r, "Retry-After", "1");
		http_problem(r, 409, NULL, "%s", a->detail);
		return;
	case STORE_UNAVAILABLE:
		http_add_header(r, "Retry-After", "2");
		http_problem(r, 503, NULL, "%s", a->detail);
		return;
	}
}

static bool
is_json(const struct http_request *r)
{
	const char *type = http_header(r, "Content-Type");
	size_t n = strlen("application/json");
	return !type || (strncasecmp(type, "application/json", n) == 0 &&
				(type[n] == '\0' || type[n] == ';' || type[n] == ' '));
}

json_t *
reply_body(struct http_request *r)
{
	size_t len;
	json_error_t why;
	const char *body = http_body(r, &len);
	if (!is_json(r)) {
		http_problem(r, 415, NULL, "the body must be application/json");
		return NULL;
	}
	json_t *object = json_loadb(body, len, JSON_REJECT_DUPLICATES, &why);
	if (!object) {
		http_problem(r, 400, NULL, "the body is no valid JSON: line %d: %s",
			why.line, why.text);
		return NULL;
	}
	if (!json_is_object(object)) {
		http_problem(r, 400, NULL, "the body must be a JSON object");
		json_decref(object);
		return NULL;
	}
	return object;
}

static bool
key_is_sound(const char *key)
{
	size_t n = strlen(key);
	if (n == 0 || n > KEY_MAX)
		return false;
	for (; *key; key++)
		if ((unsigned char)*key < 0x21 || (unsigned char)*key > 0x7e)
			return false;
	return true;
}

bool
reply_idempotency(struct http_request *r, struct idempotency *idem,
	const struct idempotency **idem_r)
{
	size_t len;
	const char *key = http_header(r, "Idempotency-Key");
	const char *body = http_body(r, &len);
	*idem_r = NULL;
	if (!key)
		return true;
	if (!key_is_sound(key)) {
		http_problem(r, 400, NULL,
			"Idempotency-Key: 1 to %d printable ASCII characters without "
			"blanks",
			KEY_MAX);
		return false;
	}
	idem->key = key;
	const struct caller *c = caller_of(r);
	idem->caller = c->identity[0] ? c->identity : c->name;
	idem->method = http_method(r);
	idem->path = http_path(r);
	crypto_generichash(idem->body_hash, sizeof(idem->body_hash),
		(const unsigned char *)body, len, NULL, 0);
	*idem_r = idem;
	return true;
}

bool
reply_path_uuid(struct http_request *r, struct uuid *id_r)
{
	if (uuid_parse(http_path_arg(r, 0), id_r))
		return true;
	http_problem(r, 404, NULL, "there is nothing with this id");
	return false;
}

bool
reply_limit(struct http_request *r, unsigned def, unsigned max, unsigned *limit_r)
{
	int64_t n;
	const char *text = http_query(r, "limit");
	*limit_r = def;
	if (!text)
		return true;
	if (!str_int(text, 1, max, &n)) {
		http_problem(r, 400, NULL, "limit: a number from 1 to %u", max);
		return false;
	}
	*limit_r = (unsigned)n;
	return true;
}

bool
reply_flag(struct http_request *r, const char *name, bool def, bool *flag_r)
{
	const char *text = http_query(r, name);
	*flag_r = text ? str_eq(text, "1") || str_eq(text, "true") : def;
	if (!text || *flag_r || str_eq(text, "0") || str_eq(text, "false"))
		return true;
	http_problem(r, 400, NULL, "%s: true or false", name);
	return false;
}

bool
reply_query_known(struct http_request *r, const char *const *names)
{
	const char *name, *value;
	for (size_t i = 0; http_query_nth(r, i, &name, &value); i++) {
		bool known = false;
		for (const char *const *n = names; *n; n++)
			known = known || str_eq(*n, name);
		if (known)
			continue;
		http_problem(r, 400, NULL, "no such query parameter: %.64s", name);
		return false;
	}
	return true;
}
