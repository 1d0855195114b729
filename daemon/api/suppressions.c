/* suppressions.c - /v1/suppressions…: addresses nobody may write to or call.
 *
 * An import's body goes piece by piece to people/suppression_import.h, which says when it
 * has had enough for now; the client is slowed down then. One answer comes when everything
 * is stored. */
#include <api/suppressions.h>

#include <api/reply.h>
#include <api/routes.h>
#include <json.h>
#include <list.h>
#include <log.h>
#include <mem.h>
#include <people/suppression.h>
#include <people/suppression_import.h>
#include <str.h>

#include <string.h>
#include <strings.h>

#define AT_ONCE	     8
#define PER_TENANT   2
#define SOURCE_BYTES 200

/* ---- Single ones ------------------------------------------------------------------ */

static const char *
region_of(const struct caller *c)
{
	return c->tenant->region[0] ? c->tenant->region : NULL;
}

/* ?identity=, ?reason=, ?list=; false after a 400. */
static bool
take_filter(struct http_request *r, struct suppression_filter *f, struct address *a)
{
	const char *identity = http_query(r, "identity");
	*f = (struct suppression_filter){
		.reason = http_query(r, "reason"), .list = http_query(r, "list")};
	if (identity && !address_parse(identity, region_of(caller_of(r)), a)) {
		http_problem(r, 400, NULL,
			"identity: KIND:VALUE, for example phone:+8613800138000");
		return false;
	}
	if (f->reason && !suppression_reason_is_known(f->reason)) {
		http_problem(r, 400, NULL,
			"reason: bounced, complained, do_not_call, manual or erased");
		return false;
	}
	if (f->list && !str_is_id(f->list)) {
		http_problem(r, 400, NULL, "list: a list's name");
		return false;
	}
	f->address = identity ? a : NULL;
	return true;
}

void
route_suppression_list(struct http_request *r, void *arg)
{
	static const char *const known[] = {
		"identity", "reason", "list", "limit", "cursor", NULL};
	struct app *app = arg;
	struct suppression_filter f;
	struct address a;
	unsigned limit;
	if (reply_query_known(r, known) && reply_limit(r, 50, 200, &limit) &&
		take_filter(r, &f, &a))
		suppression_list(&app->store, caller_of(r)->tenant, &f, limit,
			http_query(r, "cursor"), reply_from_store, r);
}

void
route_suppression_lists(struct http_request *r, void *arg)
{
	struct app *app = arg;
	suppression_lists(&app->store, caller_of(r)->tenant, reply_from_store, r);
}

void
route_suppression_add(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct idempotency idem;
	const struct idempotency *key;
	if (!reply_idempotency(r, &idem, &key))
		return;
	json_t *body = reply_body(r);
	if (!body)
		return;
	struct actor actor = caller_actor(r);
	suppression_add(&app->store, &actor, body, key, reply_from_store, r);
	json_decref(body);
}

static void
on_removed(void *arg, const struct store_answer *a)
{
	if (a->status == STORE_OK)
		http_answer(arg, 204, NULL, NULL, 0);
	else
		reply_from_store(arg, a);
}

void
route_suppression_remove(struct http_request *r, void *arg)
{
	static const char *const known[] = {"identity", "reason", "list", NULL};
	struct app *app = arg;
	struct suppression_filter f;
	struct address a;
	struct actor actor = caller_actor(r);
	if (!reply_query_known(r, known) || !take_filter(r, &f, &a))
		return;
	if (!f.address == !f.list || (f.list && f.reason))
		http_problem(r, 400, NULL,
			"give ?identity=KIND:VALUE (and maybe reason), or ?list=NAME");
	else
		suppression_remove(&app->store, &actor, &f, on_removed, r);
}

/* ---- Imports ---------------------------------------------------------------------- */

struct suppression_imports {
	struct list running; /* of struct running */
	size_t n;
};

struct running {
	struct list link;
	struct suppression_imports *all;
	const struct tenant *tenant;
	struct http_request *request;
	struct suppression_import *import;
	char list[TENANT_NAME_MAX + 1];
};

static void
forget(struct running *u)
{
	list_remove(&u->link);
	u->all->n--;
	suppression_import_free(&u->import);
	mem_free(u);
}

static void
put_counts(struct json_out *j, const struct suppression_import_result *r)
{
	json_put_int(j, "valid", (int64_t)r->valid);
	json_put_int(j, "added", (int64_t)r->added);
	json_put_int(j, "rejected", (int64_t)r->rejected);
	json_put_array(j, "rejected_lines");
	for (size_t i = 0; i < r->n_told; i++) {
		json_put_object(j, NULL);
		json_put_int(j, "line", (int64_t)r->told[i].line);
		json_put_string(j, "reason", r->told[i].why);
		json_put_object_end(j);
	}
	json_put_array_end(j);
}

/* What went well so far is said beside what went wrong. */
static void
answer(struct running *u, const struct suppression_import_result *r)
{
	struct buf out = BUF_INIT;
	struct json_out j;

	json_out_init(&j, &out);
	json_put_object(&j, NULL);
	if (r->status == 200)
		json_put_string(&j, "list", u->list);
	put_counts(&j, r);
	json_put_object_end(&j);
	if (r->status == 200) {
		http_answer_json(u->request, 200, &out);
	} else {
		out.data[out.len - 1] = '\0';
		if (r->status == 503)
			http_add_header(u->request, "Retry-After", "10");
		http_problem(u->request, r->status, out.data + 1, "%s", r->detail);
	}
	buf_fini(&out);
}

static void
on_done(void *arg, const struct suppression_import_result *r)
{
	struct running *u = arg;

	log_info("suppression",
		"list %s: %llu addresses, %llu new, %llu lines rejected%s%s", u->list,
		(unsigned long long)r->valid, (unsigned long long)r->added,
		(unsigned long long)r->rejected,
		r->status == 200 ? "" : "; ended: ", r->detail);
	answer(u, r);
	forget(u);
}

static void
on_room(void *arg)
{
	struct running *u = arg;

	http_receive_pause(u->request, false);
}

static void
on_piece(void *arg, const char *data, size_t len)
{
	struct running *u = arg;

	if (!suppression_import_feed(u->import, data, len))
		http_receive_pause(u->request, true);
}

static void
on_end(void *arg, int status, const char *why)
{
	struct running *u = arg;

	if (!status) {
		suppression_import_end(u->import);
		return;
	}
	log_info("suppression", "list %s: broken off: %s", u->list, why);
	http_problem(u->request, status, NULL, "%s; send the file again", why);
	forget(u);
}

static bool
has_room(struct http_request *r, struct suppression_imports *all,
	const struct tenant *tenant)
{
	size_t own = 0;
	list_for_each (&all->running, it)
		own += LIST_ENTRY(it, struct running, link)->tenant == tenant;
	if (all->n < AT_ONCE && own < PER_TENANT)
		return true;
	http_add_header(r, "Retry-After", "30");
	http_problem(r, 503, NULL, "%zu imports of lists run already",
		own < PER_TENANT ? all->n : own);
	return false;
}

static bool
type_is_text(const struct http_request *r)
{
	const char *type = http_header(r, "Content-Type");
	size_t n = type ? strcspn(type, "; ") : 0;
	return (n == 8 && strncasecmp(type, "text/csv", n) == 0) ||
	       (n == 10 && strncasecmp(type, "text/plain", n) == 0);
}

/* False after a 400 or 415. */
static bool
take_opts(struct http_request *r, struct suppression_import_opts *o)
{
	static const char *const known[] = {
		"list", "mode", "kind", "region", "source", NULL};
	const char *mode = http_query(r, "mode"), *kind = http_query(r, "kind");
	const char *region = http_query(r, "region"), *why = NULL;

	if (!reply_query_known(r, known))
		return false;
	*o = (struct suppression_import_opts){.list = http_query(r, "list"),
		.kind = kind ? kind : "phone",
		.region = region ? region : caller_of(r)->tenant->region,
		.source = http_query(r, "source"),
		.replace = !str_eq(mode, "add")};
	if (!o->source)
		o->source = caller_of(r)->name;
	if (!type_is_text(r)) {
		http_problem(r, 415, NULL, "the body must be text/csv or text/plain");
		return false;
	}
	if (!o->list || !str_is_id(o->list))
		why = "list: a name for the list, of letters, digits, . _ and -";
	else if (mode && o->replace && !str_eq(mode, "replace"))
		why = "mode: replace (the default) or add";
	else if (!str_eq(o->kind, "phone") && !str_eq(o->kind, "email"))
		why = "kind: phone or email";
	else if (region && (strlen(region) != 2 ||
				   strspn(region, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 2))
		why = "region: two capitals, as in TW";
	else if (strlen(o->source) > SOURCE_BYTES ||
		 !utf8_valid(o->source, strlen(o->source)))
		why = "source: at most 200 bytes of UTF-8";
	if (why)
		http_problem(r, 400, NULL, "%s", why);
	return !why;
}

void
route_suppression_import(struct http_request *r, void *arg)
{
	static const struct suppression_import_callbacks callbacks = {on_room, on_done};
	static const struct http_receiver receiver = {on_piece, on_end};
	struct app *app = arg;
	struct suppression_imports *all = app->suppression_imports;
	struct suppression_import_opts opts;
	struct actor actor = caller_actor(r);

	if (!take_opts(r, &opts) || !has_room(r, all, actor.tenant))
		return;
	struct running *u = xcalloc(1, sizeof(*u));
	u->all = all;
	u->tenant = actor.tenant;
	u->request = r;
	str_copy(u->list, sizeof(u->list), opts.list);
	list_append(&all->running, &u->link);
	all->n++;
	u->import = suppression_import_begin(&app->store, &actor, &opts, &callbacks, u);
	http_receive(r, &receiver, u);
}

struct suppression_imports *
suppression_imports_new(void)
{
	struct suppression_imports *all = xcalloc(1, sizeof(*all));

	list_init(&all->running);
	return all;
}

void
suppression_imports_free(struct suppression_imports **allp)
{
	struct suppression_imports *all = *allp;

	if (!all)
		return;
	while (!list_is_empty(&all->running)) {
		struct running *u = LIST_ENTRY(all->running.next, struct running, link);
		http_problem(
			u->request, 503, NULL, "the daemon ends; send the file again");
		forget(u);
	}
	xfree(allp);
}
