/* page.c - /p/{token}, the customer's own page, and /v1/contacts/{id}/page, the links to it.
 *
 * The token is all that is needed, so it must not leak: nothing is cached, no referrer is
 * sent, nothing is loaded from elsewhere, no log has it. GET changes nothing (scanners of
 * mail follow links); a form is posted with a nonce made with the token, within a day.
 * What is saved goes the way of all wishes (people/preference.h), with its evidence. */
#include <api/page_guard.h>
#include <api/page_html.h>
#include <api/publish.h>
#include <api/reply.h>
#include <api/routes.h>
#include <people/customer_page.h>

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <sodium.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NONCE_LEN   64
#define NONCE_BYTES 16
#define NONCE_S	    86400

/* ---- Links, for staff ---------------------------------------------------------------- */

void
route_page_create(struct http_request *r, void *arg)
{
	struct app *app = arg;
	const struct outreach_settings *o = conf_values(app->conf, "outreach");
	struct idempotency idem;
	const struct idempotency *key;
	struct uuid id;

	if (!reply_path_uuid(r, &id) || !reply_idempotency(r, &idem, &key))
		return;
	if (str_empty(o->page_url)) {
		http_problem(r, 409, NULL,
			"[outreach] page_url is not set: where customers reach this "
			"daemon");
		return;
	}
	json_t *body = reply_body(r);
	if (!body)
		return;
	size_t n = strlen(o->page_url);
	char *base = xstrndup(o->page_url, n - (o->page_url[n - 1] == '/'));
	struct customer_page_opts opts = {base, o->page_ttl_ms / 1000};
	struct actor actor = caller_actor(r);
	customer_page_create(
		&app->store, &actor, &id, body, &opts, key, reply_from_store, r);
	xfree(&base);
	json_decref(body);
}

void
route_page_revoke(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct actor actor = caller_actor(r);
	struct uuid id;

	if (reply_path_uuid(r, &id))
		customer_page_revoke(&app->store, &actor, &id, reply_from_store, r);
}

void
route_erasure_requests(struct http_request *r, void *arg)
{
	struct app *app = arg;

	erasure_requests(&app->store, caller_of(r)->tenant, reply_from_store, r);
}

/* ---- A visit ------------------------------------------------------------------------- */

struct visit {
	struct app *app;
	struct http_request *request;
	enum page_lang lang;
	bool lang_is_said; /* by the visitor; else the contact's is taken */
	char peer[PAGE_GUARD_PEER_LEN];
	struct form *form; /* of a POST; NULL: one that was no form */
	bool is_post;
	/* Once the link is known to lead somewhere: */
	const struct tenant *tenant;
	json_t *page;
	struct event_stamp stamp;
	const char *done; /* for the address of the page afterwards */
};

static void
visit_free(struct visit **vp)
{
	form_free(&(*vp)->form);
	json_decref((*vp)->page);
	xfree(vp);
}

static void
answer_html(struct visit *v, int status, struct buf *html)
{
	struct http_request *r = v->request;
	char policy[256];

	snprintf(policy, sizeof(policy),
		"default-src 'none'; style-src '%s'; form-action 'self'; "
		"base-uri 'none'; frame-ancestors 'none'",
		page_style_hash());
	http_add_header(r, "Content-Security-Policy", policy);
	http_add_header(r, "Referrer-Policy", "no-referrer");
	http_add_header(r, "X-Content-Type-Options", "nosniff");
	http_add_header(r, "X-Frame-Options", "DENY");
	http_add_header(r, "X-Robots-Tag", "noindex, nofollow");
	http_add_header(r, "Cross-Origin-Resource-Policy", "same-origin");
	http_add_header(r, "Cross-Origin-Opener-Policy", "same-origin");
	http_add_header(r, "Cache-Control", "no-store");
	http_add_header(r, "Content-Language", page_lang_tag(v->lang));
	http_answer(r, status, "text/html; charset=utf-8", buf_str(html), html->len);
	buf_fini(html);
	visit_free(&v);
}

static void
answer_message(
	struct visit *v, int status, enum page_text title, enum page_text sentence)
{
	struct buf html = BUF_INIT;

	page_render_message(&html, v->lang, title, sentence);
	answer_html(v, status, &html);
}

static void
answer_away(struct visit *v)
{
	http_add_header(v->request, "Retry-After", "5");
	answer_message(v, 503, PAGE_TEXT_AWAY_TITLE, PAGE_TEXT_AWAY);
}

static void
make_nonce(char dst[NONCE_LEN], const char *token, int64_t at_s)
{
	unsigned char mac[NONCE_BYTES];
	int n = snprintf(dst, NONCE_LEN, "%llx.", (long long)at_s);

	crypto_generichash(mac, sizeof(mac), (const unsigned char *)dst, (size_t)n,
		(const unsigned char *)token, CUSTOMER_PAGE_TOKEN_LEN);
	hex_encode(dst + n, mac, sizeof(mac));
}

/* Made by us for this link, not long ago. */
static bool
nonce_is_ours(const char *nonce, const char *token)
{
	char made[NONCE_LEN], *end;
	int64_t now = clock_wall_us() / 1000000;
	long long at = strtoll(nonce, &end, 16);

	if (*end != '.' || at > now + 300 || at < now - NONCE_S)
		return false;
	make_nonce(made, token, at);
	return strlen(nonce) == strlen(made) &&
	       sodium_memcmp(nonce, made, strlen(made)) == 0;
}

/* The company's name of [tenant]; NULL. */
static const char *
owner_of(const struct visit *v)
{
	const struct conf_section *s;

	for (size_t i = 0; (s = conf_nth(v->app->conf, "tenant", i)); i++) {
		const struct tenant_settings *t = s->values;
		if (str_eq(s->name, v->tenant->name))
			return t->page_name;
	}
	return NULL;
}

/* notice: -1 = none. */
static void
answer_page(struct visit *v, int status, int notice)
{
	struct buf html = BUF_INIT;
	char nonce[NONCE_LEN];
	struct page_view view = {
		.lang = v->lang,
		.owner = owner_of(v),
		.nonce = nonce,
		.notice =
			notice < 0 ? NULL : page_text(v->lang, (enum page_text)notice),
		.notice_is_bad = status != 200,
		.timezone = v->tenant->timezone,
		.page = v->page,
	};

	make_nonce(nonce, http_path_arg(v->request, 0), clock_wall_us() / 1000000);
	page_render(&html, &view);
	answer_html(v, status, &html);
}

/* ---- What was posted ----------------------------------------------------------------- */

static void
answer_done(struct visit *v)
{
	char where[64];
	struct buf none = BUF_INIT;

	snprintf(where, sizeof(where), "?done=%s&lang=%s", v->done,
		page_lang_tag(v->lang));
	http_add_header(v->request, "Location", where);
	answer_html(v, 303, &none);
}

static void
on_changed(void *arg, const struct store_answer *a, const json_t *events)
{
	struct visit *v = arg;
	size_t i;
	json_t *e;

	json_array_foreach(events, i, e)
	{
		events_told(v->app->events, v->tenant, &v->stamp, (unsigned)i,
			json_string_value(json_array_get(e, 0)),
			json_string_value(json_array_get(e, 1)),
			json_string_value(json_array_get(e, 2)));
	}
	if (a->status == STORE_OK)
		answer_done(v);
	else if (a->status == STORE_INVALID)
		answer_page(v, 422, PAGE_TEXT_WRONG_SAVE);
	else if (a->status == STORE_NOT_FOUND)
		answer_message(v, 410, PAGE_TEXT_GONE_TITLE, PAGE_TEXT_GONE);
	else
		answer_away(v);
}

static struct actor
visitor(struct visit *v)
{
	struct actor actor = {.tenant = v->tenant, .name = "page", .role = ""};

	v->stamp = events_stamp(v->app->events, v->tenant);
	actor.event = &v->stamp;
	return actor;
}

static bool
page_id(const struct visit *v, const char *member, struct uuid *id_r)
{
	const char *text = json_string_value(json_object_get(v->page, member));

	return text && uuid_parse(text, id_r);
}

/* Takes body. */
static void
put_wishes(struct visit *v, json_t *body)
{
	char at[CLOCK_RFC3339_LEN];
	struct uuid contact;
	struct actor actor = visitor(v);
	json_t *evidence = json_pack("{s:s, s:s, s:s, s:O}", "form_version",
		PAGE_FORM_VERSION, "language", page_lang_tag(v->lang), "at",
		clock_format(at, clock_wall_us()), "page",
		json_object_get(v->page, "id"));

	json_object_set_new(body, "source", json_string("page"));
	if (page_id(v, "contact", &contact))
		preference_put_said(&v->app->store, &actor, &contact, body, evidence,
			on_changed, v);
	else
		answer_away(v);
	json_decref(evidence);
	json_decref(body);
}

static void
save(struct visit *v)
{
	json_t *body = page_form_wishes(v->form, v->page);

	v->done = "saved";
	if (body)
		put_wishes(v, body);
	else
		answer_page(v, 422, PAGE_TEXT_WRONG_QUIET);
}

static void
silence(struct visit *v, bool silent)
{
	const json_t *wishes = json_object_get(v->page, "wishes");

	v->done = silent ? "stopped" : "resumed";
	put_wishes(v, json_pack("{s:b, s:O, s:O}", "do_not_contact", silent,
			      "preferred", json_object_get(wishes, "preferred"),
			      "quiet_hours", json_object_get(wishes, "quiet_hours")));
}

static void
ask_erasure(struct visit *v)
{
	struct uuid id;

	v->done = "asked";
	if (!str_eq(form_get(v->form, "agree"), "yes")) {
		answer_page(v, 422, PAGE_TEXT_WRONG_AGREE);
		return;
	}
	if (!page_id(v, "id", &id)) {
		answer_away(v);
		return;
	}
	struct actor actor = visitor(v);
	json_t *variables = json_pack("{s:s, s:s, s:s, s:O}", "request", "erasure",
		"form_version", PAGE_FORM_VERSION, "language", page_lang_tag(v->lang),
		"page", json_object_get(v->page, "id"));
	customer_page_erasure(&v->app->store, &actor, &id, variables, on_changed, v);
	json_decref(variables);
}

static void
act(struct visit *v)
{
	const char *site = http_header(v->request, "Sec-Fetch-Site");
	const char *what = v->form ? form_get(v->form, "do") : "";
	bool ours =
		v->form && !str_eq(site, "cross-site") &&
		nonce_is_ours(form_get(v->form, "form"), http_path_arg(v->request, 0));

	if (ours && str_eq(what, "save"))
		save(v);
	else if (ours && (str_eq(what, "stop") || str_eq(what, "resume")))
		silence(v, str_eq(what, "stop"));
	else if (ours && str_eq(what, "erase"))
		ask_erasure(v);
	else
		answer_page(v, 400, PAGE_TEXT_WRONG_FORM);
}

/* ---- Opening ------------------------------------------------------------------------- */

/* What has just been done, in the address that it led to. */
static int
notice_of(const struct visit *v)
{
	static const struct {
		const char *done;
		enum page_text text;
	} notices[] = {{"saved", PAGE_TEXT_DONE_SAVED},
		{"stopped", PAGE_TEXT_DONE_STOPPED},
		{"resumed", PAGE_TEXT_DONE_RESUMED}, {"asked", PAGE_TEXT_DONE_ASKED}};
	const char *done = http_query(v->request, "done");

	for (size_t i = 0; i < ARRAY_LEN(notices); i++)
		if (str_eq(done, notices[i].done))
			return (int)notices[i].text;
	return -1;
}

static void
on_open(void *arg, enum customer_page_status status, const struct tenant *tenant,
	const json_t *page)
{
	struct visit *v = arg;

	switch (status) {
	case CUSTOMER_PAGE_UNAVAILABLE: answer_away(v); return;
	case CUSTOMER_PAGE_UNKNOWN:
		page_guard_failed(v->app->page_guard, v->peer);
		answer_message(v, 404, PAGE_TEXT_UNKNOWN_TITLE, PAGE_TEXT_UNKNOWN);
		return;
	case CUSTOMER_PAGE_GONE:
		answer_message(v, 410, PAGE_TEXT_GONE_TITLE, PAGE_TEXT_GONE);
		return;
	case CUSTOMER_PAGE_OPEN: break;
	}
	v->tenant = tenant;
	v->page = json_incref((json_t *)(uintptr_t)page);
	if (!v->lang_is_said)
		page_lang_parse(
			json_string_value(json_object_get(page, "language")), &v->lang);
	if (v->is_post)
		act(v);
	else
		answer_page(v, 200, notice_of(v));
}

static struct visit *
visit_new(struct app *app, struct http_request *r)
{
	struct visit *v = xcalloc(1, sizeof(*v));

	v->app = app;
	v->request = r;
	v->lang = PAGE_EN;
	v->lang_is_said = page_lang_parse(http_query(r, "lang"), &v->lang) ||
			  page_lang_accept(http_header(r, "Accept-Language"), &v->lang);
	page_guard_peer(http_peer(r), http_header(r, "X-Forwarded-For"), v->peer);
	return v;
}

static void
open_page(struct visit *v)
{
	struct app *app = v->app;

	if (page_guard_blocks(app->page_guard, v->peer)) {
		http_add_header(v->request, "Retry-After", "600");
		answer_message(v, 429, PAGE_TEXT_BUSY_TITLE, PAGE_TEXT_BUSY);
	} else if (app->stage != APP_RUNNING || !pg_is_up(app->store.reads) ||
		   !pg_is_up(app->store.writes)) {
		answer_away(v);
	} else {
		customer_page_open(
			&app->store, http_path_arg(v->request, 0), on_open, v);
	}
}

void
route_page_get(struct http_request *r, void *arg)
{
	open_page(visit_new(arg, r));
}

void
route_page_post(struct http_request *r, void *arg)
{
	static const char form_type[] = "application/x-www-form-urlencoded";
	const char *type = http_header(r, "Content-Type");
	struct visit *v = visit_new(arg, r);
	size_t len;
	const char *body = http_body(r, &len);

	v->is_post = true;
	if (type && strncasecmp(type, form_type, strlen(form_type)) == 0)
		v->form = form_parse(body, len);
	open_page(v);
}
