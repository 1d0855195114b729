/* agent_token.c - tokens in PostgreSQL, tickets in Redis; see the header.
 *
 * A ticket is "<random>.<tenant>": the tenant says which key to take (GETDEL, so that one
 * of two who come with the same ticket gets in). Only its hash is a key's name. It keeps
 * the hash of what it was made with: the stream it opens ends with that. */
#include <desk/agent_token.h>

#include <clock.h>
#include <json.h>
#include <list.h>
#include <mem.h>
#include <people/store_ask.h>
#include <str.h>

#include <sodium.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_MS 5000
#define TTL_MIN_S   60
#define TTL_MAX_S   (30 * 24 * 3600)
/* Short of the 5 s in which a revocation holds everywhere. */
#define BELIEVE_US   INT64_C(4000000)
#define BELIEVED_MAX 10000
#define SECRET_BYTES 32
#define SECRET_TEXT  48 /* base64url of 32 bytes is 43 characters */
#define HASH_HEX     65
#define TOKEN_TEXT   (SECRET_TEXT + sizeof(AGENT_TOKEN_PREFIX))

struct believed {
	const struct tenant *tenant;
	char agent[65];
	int64_t until_us;   /* monotonic */
	int64_t expires_us; /* wall */
};

struct agent_tokens {
	struct store *store;
	struct redis *redis;
	struct map believed; /* hash -> struct believed */
	unsigned generation; /* rises with each revocation here */
	struct list calls;   /* struct token_call, under way */
};

/* Something asked of PostgreSQL or Redis; the tokens may be gone when it answers. */
struct token_call {
	struct list link;
	struct agent_tokens *tokens; /* NULL: freed meanwhile */
	struct store_ask *ask;	     /* a resource is asked for, or */
	agent_token_fn *verified;
	void *arg;
	const struct tenant *tenant;
	char agent[65];
	char hash[HASH_HEX];
	char secret[160]; /* a token or ticket, to be shown once */
	unsigned generation;
	struct believed found;
};

/* ---- Calls ---- */

static struct token_call *
call_new(struct agent_tokens *ts, const struct tenant *t, const char *agent)
{
	struct token_call *c = xcalloc(1, sizeof(*c));
	c->tokens = ts;
	c->tenant = t;
	c->generation = ts->generation;
	str_copy(c->agent, sizeof(c->agent), agent ? agent : "");
	list_append(&ts->calls, &c->link);
	return c;
}

static void
call_free(struct token_call *c)
{
	if (c->tokens)
		list_remove(&c->link);
	sodium_memzero(c, sizeof(*c));
	mem_free(c);
}

/* Ends the call; its question is the caller's to answer. */
static struct store_ask *
take_ask(struct token_call *c)
{
	struct store_ask *ask = c->ask;
	call_free(c);
	return ask;
}

static void
tell(struct token_call *c, enum agent_token_status status, const struct tenant *t,
	const char *agent)
{
	agent_token_fn *fn = c->verified;
	void *arg = c->arg;
	char name[65], hash[HASH_HEX];
	str_copy(name, sizeof(name), agent ? agent : "");
	str_copy(hash, sizeof(hash), c->hash);
	call_free(c);
	if (status == AGENT_TOKEN_VALID)
		fn(arg, status, t, name, hash);
	else
		fn(arg, status, NULL, NULL, NULL);
}

struct agent_tokens *
agent_tokens_new(struct store *store, struct redis *redis)
{
	struct agent_tokens *ts = xcalloc(1, sizeof(*ts));
	ts->store = store;
	ts->redis = redis;
	map_init(&ts->believed);
	list_init(&ts->calls);
	return ts;
}

static void
free_believed(const char *hash, void *value, void *arg)
{
	struct agent_tokens *ts = arg;
	map_remove(&ts->believed, hash);
	mem_free(value);
}

void
agent_tokens_free(struct agent_tokens **tsp)
{
	struct agent_tokens *ts = *tsp;
	if (!ts)
		return;
	*tsp = NULL;
	while (!list_is_empty(&ts->calls)) {
		struct token_call *c =
			LIST_ENTRY(ts->calls.next, struct token_call, link);
		list_remove(&c->link);
		c->tokens = NULL;
	}
	map_each(&ts->believed, free_believed, ts);
	map_fini(&ts->believed);
	mem_free(ts);
}

/* ---- Secrets ---- */

static void
make_secret(char text[SECRET_TEXT])
{
	unsigned char bytes[SECRET_BYTES];
	randombytes_buf(bytes, sizeof(bytes));
	sodium_bin2base64(text, SECRET_TEXT, bytes, sizeof(bytes),
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	sodium_memzero(bytes, sizeof(bytes));
}

static void
hash_secret(char hex[HASH_HEX], const char *secret)
{
	unsigned char hash[crypto_generichash_BYTES];
	_Static_assert(sizeof(hash) * 2 + 1 == HASH_HEX, "32 bytes in hex");
	crypto_generichash(hash, sizeof(hash), (const unsigned char *)secret,
		strlen(secret), NULL, 0);
	hex_encode(hex, hash, sizeof(hash));
}

/* ---- Tokens ---- */

/* The stored object, with the token put in for this once. */
static void
answer_created(struct token_call *c, const char *stored)
{
	json_t *o = json_loads(stored, 0, NULL);
	json_object_set_new(o, "token", json_string(c->secret));
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	store_ask_done(take_ask(c), STORE_CREATED, text, strlen(text), NULL);
	sodium_memzero(text, strlen(text));
	free(text);
}

static void
on_created(void *arg, const struct pg_answer *a)
{
	struct token_call *c = arg;
	if (a->status != PG_OK)
		store_ask_failed(take_ask(c), a);
	else if (!store_ask_done_idempotent(c->ask, a, 0))
		answer_created(c, pg_text(a, 0, 0, 2));
	else
		call_free(c);
}

void
agent_token_create(struct agent_tokens *ts, const struct actor *actor,
	const char *agent, int64_t ttl_s, const struct idempotency *idem,
	store_answer_fn *fn, void *arg)
{
	struct uuid id = uuid_new(clock_wall_us());
	char secret[SECRET_TEXT];
	if (ttl_s < TTL_MIN_S || ttl_s > TTL_MAX_S) {
		store_refuse(ts->store, fn, arg, STORE_INVALID,
			"ttl_s: %d to %d seconds (30 days)", TTL_MIN_S, TTL_MAX_S);
		return;
	}
	struct token_call *c = call_new(ts, actor->tenant, agent);
	c->ask = store_ask_new(ts->store, fn, arg);
	make_secret(secret);
	snprintf(c->secret, sizeof(c->secret), AGENT_TOKEN_PREFIX "%s", secret);
	sodium_memzero(secret, sizeof(secret));
	hash_secret(c->hash, c->secret);
	struct pg_unit *u = pg_unit_new(ts->store->writes);
	pg_add(u, "agent_token_create");
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
	pg_param_uuid(u, &id);
	pg_param_text(u, agent);
	pg_param_text(u, c->hash);
	pg_param_int(u, ttl_s);
	store_param_idempotency(u, idem);
	pg_submit(&u, STORE_DEADLINE_MS, on_created, c);
}

static void
on_list(void *arg, const struct pg_answer *a)
{
	if (a->status == PG_OK)
		store_ask_done_row(arg, STORE_OK, a, 0, 0);
	else
		store_ask_failed(arg, a);
}

void
agent_token_list(struct agent_tokens *ts, const struct tenant *t, const char *agent,
	store_answer_fn *fn, void *arg)
{
	struct pg_unit *u = pg_unit_new(ts->store->reads);
	pg_add(u, "agent_token_list");
	pg_param_int(u, t->id);
	pg_param_text(u, agent);
	pg_submit(&u, STORE_DEADLINE_MS, on_list, store_ask_new(ts->store, fn, arg));
}

static void
on_revoked(void *arg, const struct pg_answer *a)
{
	struct token_call *c = arg;
	if (c->tokens) {
		/* Also what is being asked right now is not believed afterwards. */
		c->tokens->generation++;
		map_each(&c->tokens->believed, free_believed, c->tokens);
	}
	struct store_ask *ask = take_ask(c);
	if (a->status != PG_OK)
		store_ask_failed(ask, a);
	else if (pg_bool(a, 0, 0, 0))
		store_ask_done(ask, STORE_OK, "{}", 2, NULL);
	else
		store_ask_done(ask, STORE_NOT_FOUND, NULL, 0,
			"there is no token with this id");
}

void
agent_token_revoke(struct agent_tokens *ts, const struct actor *actor,
	const char *agent, const struct uuid *id, store_answer_fn *fn, void *arg)
{
	struct token_call *c = call_new(ts, actor->tenant, agent);
	struct pg_unit *u = pg_unit_new(ts->store->writes);
	c->ask = store_ask_new(ts->store, fn, arg);
	pg_add(u, "agent_token_revoke");
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
	pg_param_text(u, agent);
	pg_param_uuid(u, id);
	pg_submit(&u, STORE_DEADLINE_MS, on_revoked, c);
}

/* ---- Verifying ---- */

struct tenant_search {
	int64_t id;
	const struct tenant *found;
};

static void
match_tenant(const char *name, void *value, void *arg)
{
	struct tenant_search *s = arg;
	const struct tenant *t = value;
	(void)name;
	if (t->id == s->id)
		s->found = t;
}

static void
believe(struct agent_tokens *ts, const char *hash, const struct believed *found)
{
	if (ts->believed.len >= BELIEVED_MAX)
		map_each(&ts->believed, free_believed, ts);
	struct believed *b = xcalloc(1, sizeof(*b));
	*b = *found;
	b->until_us = clock_mono_us() + BELIEVE_US;
	mem_free(map_put(&ts->believed, hash, b));
}

static void
note_use(struct agent_tokens *ts, const char *hash)
{
	struct pg_unit *u = pg_unit_new(ts->store->writes);
	pg_add(u, "agent_token_used");
	pg_param_text(u, hash);
	pg_submit(&u, STORE_DEADLINE_MS, NULL, NULL);
}

static void
on_found(void *arg, const struct pg_answer *a)
{
	struct token_call *c = arg;
	if (a->status != PG_OK || !c->tokens) {
		tell(c, AGENT_TOKEN_UNAVAILABLE, NULL, NULL);
		return;
	}
	struct tenant_search s = {pg_rows(a, 0) ? pg_int(a, 0, 0, 0) : 0, NULL};
	map_each(&c->tokens->store->tenants, match_tenant, &s);
	if (pg_rows(a, 0) && !s.found && c->tokens->store->held) {
		/* Tenants have no ids yet: a page that came back early keeps its token. */
		tell(c, AGENT_TOKEN_UNAVAILABLE, NULL, NULL);
		return;
	}
	if (!pg_rows(a, 0) || !s.found) {
		tell(c, AGENT_TOKEN_INVALID, NULL, NULL);
		return;
	}
	struct believed found = {.tenant = s.found, .expires_us = pg_int(a, 0, 0, 2)};
	str_copy(found.agent, sizeof(found.agent), pg_text(a, 0, 0, 1));
	if (c->generation == c->tokens->generation)
		believe(c->tokens, c->hash, &found);
	note_use(c->tokens, c->hash);
	tell(c, AGENT_TOKEN_VALID, found.tenant, found.agent);
}

static void
tell_believed(void *arg)
{
	struct token_call *c = arg;
	tell(c, AGENT_TOKEN_VALID, c->found.tenant, c->found.agent);
}

static void
tell_invalid(void *arg)
{
	tell(arg, AGENT_TOKEN_INVALID, NULL, NULL);
}

void
agent_token_verify(
	struct agent_tokens *ts, const char *token, agent_token_fn *fn, void *arg)
{
	struct token_call *c = call_new(ts, NULL, NULL);
	c->verified = fn;
	c->arg = arg;
	if (!str_starts(token, AGENT_TOKEN_PREFIX) || strlen(token) >= TOKEN_TEXT) {
		loop_defer(ts->store->loop, tell_invalid, c);
		return;
	}
	hash_secret(c->hash, token);
	const struct believed *b = map_find(&ts->believed, c->hash);
	if (b && b->until_us > clock_mono_us() && b->expires_us > clock_wall_us()) {
		c->found = *b;
		loop_defer(ts->store->loop, tell_believed, c);
		return;
	}
	struct pg_unit *u = pg_unit_new(ts->store->reads);
	pg_add(u, "agent_token_find");
	pg_param_text(u, c->hash);
	pg_submit(&u, STORE_DEADLINE_MS, on_found, c);
}

/* ---- Tickets ---- */

static char *
ticket_key(const char *tenant, const char *hash)
{
	return xasprintf("interactd:%s:ticket:%s", tenant, hash);
}

static void
on_ticket_stored(void *arg, const struct redis_reply *r)
{
	struct token_call *c = arg;
	struct buf b = BUF_INIT;
	struct json_out j;
	if (redis_type(r) != REDIS_STRING) {
		store_ask_done(take_ask(c), STORE_UNAVAILABLE, NULL, 0,
			"Redis, which keeps tickets, does not answer");
		return;
	}
	json_out_init(&j, &b);
	json_put_object(&j, NULL);
	json_put_string(&j, "ticket", c->secret);
	json_put_string(&j, "agent", c->agent);
	json_put_time(
		&j, "expires_at", clock_wall_us() + AGENT_TICKET_S * INT64_C(1000000));
	json_put_object_end(&j);
	store_ask_done(take_ask(c), STORE_CREATED, b.data, b.len, NULL);
	sodium_memzero(b.data, b.len);
	buf_fini(&b);
}

void
agent_ticket_create(struct agent_tokens *ts, const struct tenant *t, const char *agent,
	const char *hash, store_answer_fn *fn, void *arg)
{
	struct token_call *c = call_new(ts, t, agent);
	char secret[SECRET_TEXT], ttl[16];
	c->ask = store_ask_new(ts->store, fn, arg);
	make_secret(secret);
	snprintf(c->secret, sizeof(c->secret), "%s.%s", secret, t->name);
	sodium_memzero(secret, sizeof(secret));
	hash_secret(c->hash, c->secret);
	snprintf(ttl, sizeof(ttl), "%d", AGENT_TICKET_S);
	char *key = ticket_key(t->name, c->hash);
	char *value = xasprintf("%s %s", agent, hash);
	const char *argv[] = {"SET", key, value, "NX", "EX", ttl};
	redis_command(ts->redis, ARRAY_LEN(argv), argv, NULL, on_ticket_stored, c);
	xfree(&value);
	xfree(&key);
}

/* The value is "<agent> <hash of what it was made with>". */
static void
tell_ticket(struct token_call *c, const char *value)
{
	char agent[65];
	size_t n = strcspn(value, " ");
	if (n >= sizeof(agent)) {
		tell(c, AGENT_TOKEN_INVALID, NULL, NULL);
		return;
	}
	str_copy(agent, n + 1, value);
	str_copy(c->hash, sizeof(c->hash), value + n + (value[n] == ' '));
	tell(c, AGENT_TOKEN_VALID, c->tenant, agent);
}

static void
on_ticket_taken(void *arg, const struct redis_reply *r)
{
	struct token_call *c = arg;
	if (redis_type(r) == REDIS_STRING)
		tell_ticket(c, redis_str(r, NULL));
	else if (redis_type(r) == REDIS_NIL)
		tell(c, AGENT_TOKEN_INVALID, NULL, NULL);
	else
		tell(c, AGENT_TOKEN_UNAVAILABLE, NULL, NULL);
}

void
agent_ticket_redeem(
	struct agent_tokens *ts, const char *ticket, agent_token_fn *fn, void *arg)
{
	const char *name = strchr(ticket, '.');
	const struct tenant *t = name ? map_find(&ts->store->tenants, name + 1) : NULL;
	struct token_call *c = call_new(ts, t, NULL);
	c->verified = fn;
	c->arg = arg;
	if (!t) {
		loop_defer(ts->store->loop, tell_invalid, c);
		return;
	}
	hash_secret(c->hash, ticket);
	char *key = ticket_key(t->name, c->hash);
	const char *argv[] = {"GETDEL", key};
	redis_command(ts->redis, ARRAY_LEN(argv), argv, NULL, on_ticket_taken, c);
	xfree(&key);
}
