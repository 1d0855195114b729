/* caller.c - who is asking: peer credentials, API keys, agents' tokens; and may they.
 *
 * A key is looked up by its BLAKE2b hash and believed for KEY_BELIEVED_MS, so that a
 * revoked one ends within that time on every instance, and at once on the one that
 * revoked it. A wrong key costs one look-up by index; nothing here is slow on purpose:
 * keys have 256 random bits. */
#include <api/caller.h>

#include <clock.h>
#include <log.h>
#include <map.h>
#include <mem.h>
#include <people/contact.h>
#include <str.h>

#include <sodium.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define KEY_BELIEVED_MS	  5000
#define KEYS_BELIEVED_MAX 10000
#define LOOKUP_MS	  3000
/* The one place for tickets: EventSource cannot set a header. */
#define AGENT_STREAM_ROUTE "GET /v1/agents/{}/stream"

static const struct {
	unsigned role;
	const char *text;
} roles[] = {
	{ROLE_ADMIN, "admin"},
	{ROLE_SUPERVISOR, "supervisor"},
	{ROLE_AGENT, "agent"},
	{ROLE_INTEGRATION, "integration"},
	{ROLE_READONLY, "readonly"},
};

static const struct {
	unsigned sight;
	const char *text;
} sights[] = {
	{SIGHT_NONE, "none"},
	{SIGHT_KEPT, "kept"},
	{SIGHT_PATH, "path"},
	{SIGHT_SELF, "self"},
};

const char *
sight_text(unsigned route)
{
	for (size_t i = 0; i < ARRAY_LEN(sights); i++)
		if (route & sights[i].sight)
			return sights[i].text;
	return NULL;
}

const char *
role_text(unsigned role)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (roles[i].role == role)
			return roles[i].text;
	return "nobody";
}

unsigned
role_parse(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (str_eq(roles[i].text, text))
			return roles[i].role;
	return 0;
}

/* ---- Keys seen lately -------------------------------------------------------------
 */

struct believed {
	struct caller caller; /* its app is not set */
	int64_t until_us;     /* monotonic */
};

struct key_cache {
	struct map by_hash;
	unsigned generation; /* rises with each revocation here */
};

struct key_cache *
key_cache_new(void)
{
	struct key_cache *c = xcalloc(1, sizeof(*c));
	map_init(&c->by_hash);
	return c;
}

static void
believed_free(struct believed *b)
{
	if (!b)
		return;
	sight_unref(&b->caller.sight);
	mem_free(b);
}

static void
free_believed(const char *key, void *value, void *arg)
{
	(void)key;
	(void)arg;
	believed_free(value);
}

void
key_cache_forget(struct key_cache *c)
{
	c->generation++;
	map_each(&c->by_hash, free_believed, NULL);
	map_fini(&c->by_hash);
	map_init(&c->by_hash);
}

void
key_cache_free(struct key_cache **cp)
{
	if (!*cp)
		return;
	key_cache_forget(*cp);
	map_fini(&(*cp)->by_hash);
	xfree(cp);
}

static const struct caller *
believed_find(struct key_cache *c, const char *hash)
{
	struct believed *b = map_find(&c->by_hash, hash);
	return b && b->until_us > clock_mono_us() ? &b->caller : NULL;
}

static void
believe(struct key_cache *c, const char *hash, const struct caller *caller)
{
	if (c->by_hash.len >= KEYS_BELIEVED_MAX)
		key_cache_forget(c);
	struct believed *b = xcalloc(1, sizeof(*b));
	b->caller = *caller;
	sight_ref(caller->sight);
	b->until_us = clock_mono_us() + KEY_BELIEVED_MS * INT64_C(1000);
	believed_free(map_put(&c->by_hash, hash, b));
}

/* ---- The request's caller ---------------------------------------------------------
 */

struct caller *
caller_of(const struct http_request *r)
{
	return http_context(r);
}

struct actor
caller_actor(const struct http_request *r)
{
	const struct caller *c = caller_of(r);
	return (struct actor){.tenant = c->tenant,
		.name = c->name,
		.role = role_text(c->role),
		.sight = c->sight};
}

bool
caller_may_see_agent(struct http_request *r, const char *agent)
{
	const struct caller *c = caller_of(r);
	if (c->role != ROLE_AGENT || str_empty(c->agent) || str_eq(c->agent, agent))
		return true;
	http_problem(r, 403, NULL, "this token is agent %s's", c->agent);
	return false;
}

static void
free_caller(void *arg)
{
	struct caller *c = arg;
	sight_unref(&c->sight);
	mem_free(c);
}

/* ---- The contact of the path ---- */

static void
on_sight(void *arg, enum store_status status, bool seen)
{
	struct http_request *r = arg;
	if (status != STORE_OK) {
		http_add_header(r, "Retry-After", "2");
		http_problem(r, 503, NULL,
			"the database cannot say now whether you may see this contact");
	} else if (!seen) {
		http_problem(r, 404, NULL, "there is no contact with this id");
	} else {
		http_continue(r);
	}
}

/* True: it may go on. False after an answer, or when one has been asked for. */
static bool
keep_sight(struct http_request *r, const struct caller *c, unsigned allowed)
{
	struct uuid contact;
	struct actor actor = caller_actor(r);
	if (!c->sight || allowed & (SIGHT_NONE | SIGHT_KEPT) ||
		(allowed & SIGHT_SELF && c->agent[0]))
		return true;
	if (!(allowed & SIGHT_PATH)) {
		http_problem(r, 403, NULL,
			"this caller may see some contacts only, and this shows, or "
			"changes, what is of all");
		return false;
	}
	if (!uuid_parse(http_path_arg(r, 0), &contact))
		return true; /* the handler has an answer */
	contact_in_sight(&c->app->store, &actor, &contact, on_sight, r);
	return false;
}

static bool
accept(struct http_request *r, struct app *app, const struct caller *found,
	unsigned allowed)
{
	struct caller *c = xmalloc(sizeof(*c));
	*c = *found;
	c->app = app;
	sight_ref(c->sight);
	http_set_context(r, c, free_caller);
	if (c->role & allowed)
		return keep_sight(r, c, allowed);
	http_problem(r, 403, NULL, "role %s may not do this", role_text(c->role));
	return false;
}

static bool
refuse(struct http_request *r, const char *why)
{
	http_add_header(r, "WWW-Authenticate", "Bearer realm=\"interactd\"");
	http_problem(r, 401, NULL, "%s", why);
	return false;
}

/* ---- The operator's socket --------------------------------------------------------
 */

static bool
is_operator(const struct http_request *r, unsigned *uid_r)
{
	return http_peer_uid(r, uid_r) &&
	       (*uid_r == 0 || *uid_r == (unsigned)geteuid());
}

static bool
accept_operator(struct app *app, struct http_request *r, unsigned uid, unsigned allowed)
{
	const char *name = http_header(r, "Interactd-Tenant");
	struct caller c = {.role = ROLE_ADMIN, .max_trust = TRUST_VERIFIED};
	c.tenant = store_tenant(&app->store, name ? name : "default");
	snprintf(c.name, sizeof(c.name), "uid:%u", uid);
	if (!c.tenant) {
		http_problem(r, 404, NULL, "no such tenant: %.64s", name);
		return false;
	}
	return accept(r, app, &c, allowed);
}

/* ---- Keys and tokens --------------------------------------------------------------
 */

/* From the Authorization header (RFC 6750 §2.1), or a WebSocket's subprotocol
 * "bearer.<token>", since browsers cannot set the header there. */
static bool
bearer(const struct http_request *r, char *dst, size_t cap)
{
	const char *header = http_header(r, "Authorization");
	if (header) {
		if (strncasecmp(header, "Bearer ", 7) != 0)
			return false;
		return str_copy(dst, cap, header + 7) < cap;
	}
	char word[512];
	for (size_t i = 0; http_websocket_protocol(r, i, word, sizeof(word)); i++)
		if (str_starts(word, "bearer."))
			return str_copy(dst, cap, word + 7) < cap;
	return false;
}

static void
hash_key(char hex[CALLER_HASH_LEN], const char *key)
{
	unsigned char hash[32];
	crypto_generichash(
		hash, sizeof(hash), (const unsigned char *)key, strlen(key), NULL, 0);
	hex_encode(hex, hash, sizeof(hash));
}

struct lookup {
	struct app *app;
	struct http_request *request;
	unsigned allowed;
	unsigned generation; /* of the keys, when it was asked */
	char hash[CALLER_HASH_LEN];
};

static void
go_on(struct lookup *l, const struct caller *found)
{
	if (accept(l->request, l->app, found, l->allowed))
		http_continue(l->request);
}

static const struct tenant *
tenant_by_id(const struct app *app, int64_t id)
{
	for (size_t i = 0; i < app->n_tenants; i++)
		if (app->tenants[i].id == id)
			return &app->tenants[i];
	return NULL;
}

static void
note_use(struct lookup *l)
{
	struct pg_unit *u = pg_unit_new(l->app->store.writes);
	pg_add(u, "api_key_used");
	pg_param_text(u, l->hash);
	pg_submit(&u, LOOKUP_MS, NULL, NULL);
}

static void
on_key_found(void *arg, const struct pg_answer *a)
{
	struct lookup *l = arg;
	struct caller c = {.max_trust = TRUST_RECORDED};
	if (a->status == PG_OK && pg_rows(a, 0))
		c.tenant = tenant_by_id(l->app, pg_int(a, 0, 0, 0));
	/* Until live, tenants have no ids: that is no reason to call a key wrong. */
	if (a->status != PG_OK || (pg_rows(a, 0) && !c.tenant && l->app->store.held)) {
		http_add_header(l->request, "Retry-After", "2");
		http_problem(l->request, 503, NULL,
			"the database cannot say now whose key this is");
	} else if (!c.tenant) {
		refuse(l->request, "no such key, or it was revoked");
	} else {
		snprintf(c.name, sizeof(c.name), "key:%s", pg_text(a, 0, 0, 1));
		snprintf(c.identity, sizeof(c.identity), "key:%.32s", l->hash);
		c.role = role_parse(pg_text(a, 0, 0, 2));
		str_copy(c.hash, sizeof(c.hash), l->hash);
		c.sight = sight_parse(pg_text(a, 0, 0, 3), pg_text(a, 0, 0, 4));
		if (l->generation == l->app->keys->generation)
			believe(l->app->keys, l->hash, &c);
		note_use(l);
		go_on(l, &c);
	}
	sight_unref(&c.sight);
	mem_free(l);
}

static void
on_token_verified(void *arg, enum agent_token_status status,
	const struct tenant *tenant, const char *agent, const char *hash)
{
	struct lookup *l = arg;
	struct caller c = {
		.tenant = tenant, .role = ROLE_AGENT, .max_trust = TRUST_VERIFIED};
	if (status == AGENT_TOKEN_VALID) {
		snprintf(c.name, sizeof(c.name), "agent:%s", agent);
		str_copy(c.agent, sizeof(c.agent), agent);
		str_copy(c.hash, sizeof(c.hash), hash);
		c.sight = agents_sight(l->app->agents, tenant->name, agent);
		go_on(l, &c);
	} else if (status == AGENT_TOKEN_UNAVAILABLE) {
		http_add_header(l->request, "Retry-After", "2");
		http_problem(l->request, 503, NULL,
			"it cannot be said now whose token this is");
	} else {
		refuse(l->request, "no such token, or it has expired or was revoked");
	}
	mem_free(l);
}

static struct lookup *
lookup_new(struct app *app, struct http_request *r, unsigned allowed)
{
	struct lookup *l = xcalloc(1, sizeof(*l));
	l->app = app;
	l->request = r;
	l->allowed = allowed;
	l->generation = app->keys->generation;
	return l;
}

static bool
ask_for_key(struct app *app, struct http_request *r, const char *key, unsigned allowed)
{
	char hash[CALLER_HASH_LEN];
	hash_key(hash, key);
	const struct caller *known = believed_find(app->keys, hash);
	if (known)
		return accept(r, app, known, allowed);
	struct lookup *l = lookup_new(app, r, allowed);
	memcpy(l->hash, hash, sizeof(hash));
	struct pg_unit *u = pg_unit_new(app->store.reads);
	pg_add(u, "api_key_find");
	pg_param_text(u, hash);
	pg_submit(&u, LOOKUP_MS, on_key_found, l);
	return false;
}

bool
caller_identify(struct app *app, struct http_request *r, unsigned allowed)
{
	char key[512];
	unsigned uid;
	if (allowed & ROLE_ANYBODY)
		return true;
	if (is_operator(r, &uid) && !http_header(r, "Authorization"))
		return accept_operator(app, r, uid, allowed);
	const char *ticket = http_query(r, "ticket");
	if (ticket && str_eq(http_route_pattern(r), AGENT_STREAM_ROUTE)) {
		agent_ticket_redeem(app->tokens, ticket, on_token_verified,
			lookup_new(app, r, allowed));
		return false;
	}
	if (!bearer(r, key, sizeof(key)))
		return refuse(r, "give a key: Authorization: Bearer KEY");
	if (str_starts(key, AGENT_TOKEN_PREFIX)) {
		agent_token_verify(app->tokens, key, on_token_verified,
			lookup_new(app, r, allowed));
		return false;
	}
	return ask_for_key(app, r, key, allowed);
}
