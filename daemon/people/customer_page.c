/* customer_page.c - see customer_page.h. */
#include <people/customer_page.h>

#include <people/address.h>
#include <people/check.h>
#include <people/wishes_ask.h>

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <sodium.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_BYTES 16
#define HASH_HEX     65
#define TTL_MIN_S    60
#define TTL_MAX_S    (2 * 366 * INT64_C(86400))

static const char token_chars[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void
make_token(char token[CUSTOMER_PAGE_TOKEN_LEN + 1])
{
	unsigned char bytes[SECRET_BYTES];

	randombytes_buf(bytes, sizeof(bytes));
	sodium_bin2base64(token, CUSTOMER_PAGE_TOKEN_LEN + 1, bytes, sizeof(bytes),
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	sodium_memzero(bytes, sizeof(bytes));
}

static void
hash_token(char hex[HASH_HEX], const char *token)
{
	unsigned char hash[crypto_generichash_BYTES];

	crypto_generichash(hash, sizeof(hash), (const unsigned char *)token,
		strlen(token), NULL, 0);
	hex_encode(hex, hash, sizeof(hash));
}

/* ---- Making and ending links -------------------------------------------------------- */

struct page_making {
	struct store_ask *ask;
	char *url;
};

/* The stored object, with the url put in for this once. */
static void
answer_created(struct store_ask *ask, const char *stored, const char *url)
{
	json_t *o = json_loads(stored, 0, NULL);

	json_object_set_new(o, "url", json_string(url));
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	store_ask_done(ask, STORE_CREATED, text, strlen(text), NULL);
	sodium_memzero(text, strlen(text));
	free(text);
}

static void
refuse_unless_theirs(struct store_ask *ask, const char *state, const char *address)
{
	char detail[ADDRESS_KIND_MAX + ADDRESS_VALUE_MAX + 100];

	if (!str_eq(state, "not_theirs")) {
		store_ask_done(ask, STORE_NOT_FOUND, NULL, 0,
			"there is no contact with this id");
		return;
	}
	snprintf(detail, sizeof(detail),
		"identity: this contact does not have the address %s", address);
	store_ask_done(ask, STORE_INVALID, NULL, 0, detail);
}

static void
on_created(void *arg, const struct pg_answer *a)
{
	struct page_making *m = arg;

	if (a->status != PG_OK)
		store_ask_failed(m->ask, a);
	else if (str_eq(pg_text(a, 0, 0, 0), "created"))
		answer_created(m->ask, pg_text(a, 0, 0, 2), m->url);
	else if (!store_ask_done_idempotent(m->ask, a, 0))
		refuse_unless_theirs(m->ask, pg_text(a, 0, 0, 0), pg_text(a, 0, 0, 2));
	sodium_memzero(m->url, strlen(m->url));
	xfree(&m->url);
	xfree(&m);
}

/* False: c->why. Without an address its kind is "". */
static void
read_body(struct check *c, const struct tenant *t, struct address *addr_r,
	int64_t *ttl_s_r)
{
	const json_t *identity = check_take(c, "identity");
	const json_t *ttl = check_take(c, "ttl_s");
	struct check one;

	if (ttl && !json_is_null(ttl)) {
		*ttl_s_r = json_integer_value(ttl);
		if (*ttl_s_r < TTL_MIN_S || *ttl_s_r > TTL_MAX_S)
			check_fail(c, "ttl_s: %d to %lld seconds (two years)",
				TTL_MIN_S, (long long)TTL_MAX_S);
	}
	if (!identity || json_is_null(identity))
		return;
	check_init(&one, identity);
	const char *kind = check_text(&one, "kind", ADDRESS_KIND_MAX);
	const char *value = check_text(&one, "value", 1000);
	if (!check_done(&one))
		check_fail(c, "identity: %s", one.why);
	else if (!kind || !value || !address_make(kind, value, t->region, addr_r))
		check_fail(c, "identity: is no address of a known form");
}

void
customer_page_create(struct store *store, const struct actor *actor,
	const struct uuid *contact, const json_t *body,
	const struct customer_page_opts *opts, const struct idempotency *idem,
	store_answer_fn *cb, void *arg)
{
	struct uuid id = uuid_new(clock_wall_us());
	char token[CUSTOMER_PAGE_TOKEN_LEN + 1], hash[HASH_HEX];
	struct address addr = {.kind = ""};
	int64_t ttl_s = opts->ttl_s;
	struct check c;

	check_init(&c, body);
	read_body(&c, actor->tenant, &addr, &ttl_s);
	if (!check_done(&c)) {
		store_refuse(store, cb, arg, STORE_INVALID, "%s", c.why);
		return;
	}
	make_token(token);
	hash_token(hash, token);
	struct page_making *m = xcalloc(1, sizeof(*m));
	m->ask = store_ask_new(store, cb, arg);
	m->url = xasprintf("%s/p/%s", opts->base, token);
	sodium_memzero(token, sizeof(token));
	struct pg_unit *u = pg_unit_new(store->writes);
	pg_add(u, "customer_page_create");
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
	pg_param_uuid(u, &id);
	pg_param_uuid(u, contact);
	pg_param_text(u, addr.kind);
	pg_param_text(u, addr.value);
	pg_param_text(u, hash);
	pg_param_int(u, ttl_s);
	store_param_idempotency(u, idem);
	pg_submit(&u, STORE_DEADLINE_MS, on_created, m);
}

static void
on_revoked(void *arg, const struct pg_answer *a)
{
	char json[48];

	if (a->status != PG_OK) {
		store_ask_failed(arg, a);
	} else if (!pg_text(a, 0, 0, 0)) {
		store_ask_done(arg, STORE_NOT_FOUND, NULL, 0,
			"there is no contact with this id");
	} else {
		int n = snprintf(json, sizeof(json), "{\"revoked\":%lld}",
			(long long)pg_int(a, 0, 0, 0));
		store_ask_done(arg, STORE_OK, json, (size_t)n, NULL);
	}
}

void
customer_page_revoke(struct store *store, const struct actor *actor,
	const struct uuid *contact, store_answer_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, "customer_page_revoke");
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
	pg_param_uuid(u, contact);
	pg_submit(&u, STORE_DEADLINE_MS, on_revoked, store_ask_new(store, cb, arg));
}

/* ---- Opening ------------------------------------------------------------------------ */

struct page_opening {
	struct store *store;
	customer_page_fn *cb;
	void *arg;
};

static void
tell(struct page_opening *o, enum customer_page_status status, const struct tenant *t,
	const json_t *page)
{
	o->cb(o->arg, status, t, page);
	xfree(&o);
}

static void
on_opened(void *arg, const struct pg_answer *a)
{
	struct page_opening *o = arg;

	if (a->status != PG_OK || !pg_rows(a, 0)) {
		tell(o, CUSTOMER_PAGE_UNAVAILABLE, NULL, NULL);
		return;
	}
	if (!pg_text(a, 0, 0, 0)) {
		tell(o, CUSTOMER_PAGE_UNKNOWN, NULL, NULL);
		return;
	}
	const struct tenant *t = store_tenant_by_id(o->store, (int)pg_int(a, 0, 0, 0));
	const char *text = pg_text(a, 0, 0, 1);
	json_t *page = text ? json_loads(text, 0, NULL) : NULL;
	if (t && page)
		tell(o, CUSTOMER_PAGE_OPEN, t, page);
	else
		tell(o, CUSTOMER_PAGE_GONE, NULL, NULL);
	json_decref(page);
}

static void
tell_unknown(void *arg)
{
	tell(arg, CUSTOMER_PAGE_UNKNOWN, NULL, NULL);
}

void
customer_page_open(
	struct store *store, const char *token, customer_page_fn *cb, void *arg)
{
	struct page_opening *o = xcalloc(1, sizeof(*o));
	char hash[HASH_HEX];

	*o = (struct page_opening){store, cb, arg};
	if (strlen(token) != CUSTOMER_PAGE_TOKEN_LEN ||
		strspn(token, token_chars) != CUSTOMER_PAGE_TOKEN_LEN) {
		loop_defer(store->loop, tell_unknown, o);
		return;
	}
	hash_token(hash, token);
	struct pg_unit *u = pg_unit_new(store->reads);
	pg_add(u, "customer_page_open");
	pg_param_text(u, hash);
	pg_submit(&u, STORE_DEADLINE_MS, on_opened, o);
}

/* ---- Asking to be erased ------------------------------------------------------------ */

static void
on_erasure(void *arg, const struct pg_answer *a)
{
	struct wishes_ask *w = arg;

	if (a->status != PG_OK)
		wishes_done_failed(w, a);
	else if (pg_text(a, 0, 0, 0))
		wishes_done_row(w, STORE_OK, a, 0, 1);
	else
		wishes_done(w, STORE_NOT_FOUND, "this link has ended");
}

void
customer_page_erasure(struct store *store, const struct actor *actor,
	const struct uuid *page, const json_t *variables, wishes_answer_fn *cb,
	void *arg)
{
	int64_t now = clock_wall_us();
	struct uuid id = uuid_new(now);
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, "customer_page_erasure");
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
	pg_param_uuid(u, page);
	pg_param_uuid(u, &id);
	pg_param_int(u, now);
	store_param_json(u, variables);
	event_param(u, actor->event);
	pg_submit(&u, STORE_DEADLINE_MS, on_erasure, wishes_ask_new(store, cb, arg));
}

static void
on_requests(void *arg, const struct pg_answer *a)
{
	if (a->status != PG_OK) {
		store_ask_failed(arg, a);
		return;
	}
	char *text = xasprintf("{\"items\":%s,\"next\":null}", pg_text(a, 0, 0, 0));
	store_ask_done(arg, STORE_OK, text, strlen(text), NULL);
	xfree(&text);
}

void
erasure_requests(struct store *store, const struct tenant *tenant, store_answer_fn *cb,
	void *arg)
{
	struct pg_unit *u = pg_unit_new(store->reads);

	pg_add(u, "erasure_requests");
	pg_param_int(u, tenant->id);
	pg_submit(&u, STORE_DEADLINE_MS, on_requests, store_ask_new(store, cb, arg));
}
