/* import.c - POST /v1/contacts/import: a file of contacts, as long as it likes.
 *
 * The body goes piece by piece to people/import.h, which says when it has had enough for
 * now; the client is slowed down then. One answer comes when everything is stored. A
 * client that goes in the middle leaves what was stored; it sends the file again. */
#include <api/import.h>

#include <api/publish.h>
#include <api/reply.h>
#include <api/routes.h>
#include <json.h>
#include <list.h>
#include <log.h>
#include <mem.h>
#include <people/import.h>
#include <str.h>

#include <string.h>
#include <strings.h>

/* One tenant's must not keep the others waiting. */
#define AT_ONCE	   16
#define PER_TENANT 4

struct imports {
	struct app *app;
	struct list running; /* of struct running */
	size_t n;
};

struct running {
	struct list link;
	struct imports *all;
	struct app *app;
	const struct tenant *tenant;
	struct http_request
		*request; /* NULL: answered, only the last batch is awaited */
	struct import *import;
	struct uuid id; /* nil = the import made one */
	bool dry_run;
};

static void
forget(struct running *u)
{
	list_remove(&u->link);
	u->all->n--;
	import_free(&u->import);
	mem_free(u);
}

/* ---- The answer ------------------------------------------------------------------- */

static void
put_counts(struct json_out *j, const struct import_result *r)
{
	json_put_int(j, "created", (int64_t)r->counts.created);
	json_put_int(j, "updated", (int64_t)r->counts.updated);
	json_put_int(j, "unchanged", (int64_t)r->counts.unchanged);
	json_put_int(j, "rejected", (int64_t)r->counts.rejected);
}

static void
put_told(struct json_out *j, const struct import_told *t)
{
	json_put_object(j, NULL);
	json_put_int(j, "line", (int64_t)t->line);
	json_put_int(j, "lines", t->lines);
	json_put_string(j, "reason", t->why);
	json_put_object_end(j);
}

static void
answer_counts(struct running *u, const struct import_result *r)
{
	struct buf out = BUF_INIT;
	char id[UUID_TEXT_LEN];
	struct json_out j;

	json_out_init(&j, &out);
	json_put_object(&j, NULL);
	put_counts(&j, r);
	json_put_string(&j, "id", u->dry_run ? NULL : uuid_format(id, &r->id));
	json_put_bool(&j, "dry_run", u->dry_run);
	json_put_string(&j, "charset", r->charset[0] ? r->charset : NULL);
	json_put_array(&j, "rejected_lines");
	for (size_t i = 0; i < r->n_told; i++)
		put_told(&j, &r->told[i]);
	json_put_array_end(&j);
	json_put_object_end(&j);
	http_answer_json(u->request, 200, &out);
	buf_fini(&out);
}

/* What went well so far is said beside what went wrong. */
static void
answer_failed(struct running *u, const struct import_result *r)
{
	struct buf extra = BUF_INIT;
	struct json_out j;

	json_out_init(&j, &extra);
	json_put_object(&j, NULL);
	put_counts(&j, r);
	json_put_object_end(&j);
	extra.data[extra.len - 1] = '\0';
	if (r->status == 503)
		http_add_header(u->request, "Retry-After", "10");
	http_problem(u->request, r->status, extra.data + 1, "%s", r->detail);
	buf_fini(&extra);
}

static void
on_done(void *arg, const struct import_result *r)
{
	struct running *u = arg;

	log_info("import",
		"%s%llu contacts created, %llu updated, %llu unchanged, %llu lines "
		"rejected%s%s",
		u->dry_run ? "tried only: " : "", r->counts.created, r->counts.updated,
		r->counts.unchanged, r->counts.rejected,
		r->status == 200 ? "" : "; ended: ", r->detail);
	if (u->request && r->status == 200)
		answer_counts(u, r);
	else if (u->request)
		answer_failed(u, r);
	forget(u);
}

/* ---- Between body and import ------------------------------------------------------- */

static void
on_room(void *arg)
{
	struct running *u = arg;

	if (u->request)
		http_receive_pause(u->request, false);
}

/* Of u->tenant: the import has a copy of it. */
static struct event_stamp
stamp(void *arg, const struct tenant *tenant)
{
	struct running *u = arg;

	(void)tenant;
	return events_stamp(u->app->events, u->tenant);
}

static void
on_object(void *arg, const struct event_stamp *stamped, unsigned nth, const char *state,
	const char *json)
{
	struct running *u = arg;

	publish_object(u->app, u->tenant, stamped, nth,
		str_eq(state, "created") ? "contact.created" : "contact.updated", json,
		NULL);
}

static void
on_piece(void *arg, const char *data, size_t len)
{
	struct running *u = arg;

	if (!import_feed(u->import, data, len))
		http_receive_pause(u->request, true);
}

static void
on_end(void *arg, int status, const char *why)
{
	struct running *u = arg;

	if (!status) {
		import_end(u->import);
		return;
	}
	log_info("import", "broken off: %s; what was stored stays", why);
	http_problem(u->request, status, NULL, "%s; what was stored stays", why);
	u->request = NULL;
	import_abandon(u->import);
}

/* ---- The question ------------------------------------------------------------------ */

static bool
type_is(const char *type, const char *want)
{
	size_t n = strlen(want);

	return type && strncasecmp(type, want, n) == 0 && strchr(" ;", type[n]);
}

static bool
take_format(struct http_request *r, struct import_opts *o)
{
	const char *type = http_header(r, "Content-Type");

	if (type_is(type, "text/csv")) {
		o->format = IMPORT_CSV;
	} else if (type_is(type, "application/x-ndjson") ||
		   type_is(type, "application/ndjson") ||
		   type_is(type, "application/jsonl")) {
		o->format = IMPORT_NDJSON;
	} else {
		http_problem(r, 415, NULL,
			"the body must be text/csv or application/x-ndjson");
		return false;
	}
	return true;
}

/* "text/csv; charset=gb18030" */
static void
take_charset(struct http_request *r, struct import_opts *o, char dst[32])
{
	const char *type = http_header(r, "Content-Type");
	const char *at = type ? strcasestr(type, "charset=") : NULL;

	o->charset = http_query(r, "charset");
	if (o->charset || !at)
		return;
	at += strlen("charset=");
	at += *at == '"';
	str_copy(dst, 32, at);
	dst[strcspn(dst, "\"; ")] = '\0';
	o->charset = dst;
}

/* ?id= and ?after= */
static bool
take_resume(struct http_request *r, struct import_opts *o)
{
	const char *id = http_query(r, "id"), *after = http_query(r, "after");
	int64_t line = 0;

	if (id && (!uuid_parse(id, &o->id) || uuid_is_nil(&o->id)))
		http_problem(r, 400, NULL, "id: a UUID");
	else if (after && (!id || !str_int(after, 0, INT64_MAX / 2, &line)))
		http_problem(r, 400, NULL, "after: a line, of the import `id`");
	else {
		o->after = (uint64_t)line;
		return true;
	}
	return false;
}

static bool
take_opts(struct http_request *r, struct import_opts *o, char charset[32])
{
	static const char *const known[] = {
		"charset", "dry_run", "events", "id", "after", NULL};

	if (!reply_query_known(r, known) || !take_format(r, o) ||
		!reply_flag(r, "dry_run", false, &o->dry_run) ||
		!reply_flag(r, "events", true, &o->objects) || !take_resume(r, o))
		return false;
	take_charset(r, o, charset);
	return true;
}

static bool
is_running(struct imports *all, const struct tenant *tenant, const struct uuid *id)
{
	list_for_each (&all->running, it) {
		const struct running *u = LIST_ENTRY(it, struct running, link);
		if (u->tenant == tenant && !uuid_is_nil(id) &&
			memcmp(&u->id, id, sizeof(*id)) == 0)
			return true;
	}
	return false;
}

/* False after a 503. */
static bool
has_room(struct http_request *r, struct imports *all, const struct tenant *tenant)
{
	size_t own = 0;
	list_for_each (&all->running, it)
		own += LIST_ENTRY(it, struct running, link)->tenant == tenant;
	if (all->n < AT_ONCE && own < PER_TENANT)
		return true;
	http_add_header(r, "Retry-After", "30");
	http_problem(r, 503, NULL, "%zu imports run already",
		own < PER_TENANT ? all->n : own);
	return false;
}

void
route_contact_import(struct http_request *r, void *arg)
{
	static const struct import_callbacks callbacks = {
		on_room, on_object, on_done, stamp};
	static const struct http_receiver receiver = {on_piece, on_end};
	struct app *app = arg;
	struct imports *all = app->imports;
	struct import_opts opts = {0};
	struct actor actor = caller_actor(r);
	struct err err;
	char charset[32];

	if (!take_opts(r, &opts, charset) || !has_room(r, all, actor.tenant))
		return;
	if (is_running(all, actor.tenant, &opts.id)) {
		http_problem(r, 409, NULL, "this import is running");
		return;
	}
	struct running *u = xcalloc(1, sizeof(*u));
	u->id = opts.id;
	u->all = all;
	u->app = app;
	u->tenant = actor.tenant;
	u->request = r;
	u->dry_run = opts.dry_run;
	u->import = import_begin(&app->store, &actor, &opts, &callbacks, u, &err);
	if (!u->import) {
		mem_free(u);
		http_problem(r, 400, NULL, "%s", err.text);
		return;
	}
	list_append(&all->running, &u->link);
	all->n++;
	http_receive(r, &receiver, u);
}

void
route_import_get(struct http_request *r, void *arg)
{
	struct app *app = arg;
	const struct tenant *tenant = caller_of(r)->tenant;
	struct uuid id;

	if (reply_path_uuid(r, &id))
		import_get(&app->store, tenant, &id,
			is_running(app->imports, tenant, &id), reply_from_store, r);
}

void
route_import_rejected(struct http_request *r, void *arg)
{
	static const char *const known[] = {"limit", "after", NULL};
	struct app *app = arg;
	const char *text = http_query(r, "after");
	int64_t after = 0;
	unsigned limit;
	struct uuid id;

	if (!reply_path_uuid(r, &id) || !reply_query_known(r, known) ||
		!reply_limit(r, 1000, 1000, &limit))
		return;
	if (text && !str_int(text, 0, INT64_MAX, &after))
		http_problem(r, 400, NULL, "after: a line");
	else
		import_rejected(&app->store, caller_of(r)->tenant, &id, (uint64_t)after,
			limit, reply_from_store, r);
}

struct imports *
imports_new(struct app *app)
{
	struct imports *all = xcalloc(1, sizeof(*all));

	all->app = app;
	list_init(&all->running);
	return all;
}

void
imports_free(struct imports **allp)
{
	struct imports *all = *allp;

	if (!all)
		return;
	while (!list_is_empty(&all->running)) {
		struct running *u = LIST_ENTRY(all->running.next, struct running, link);
		if (u->request)
			http_problem(u->request, 503, NULL,
				"the daemon ends; what was stored stays");
		forget(u);
	}
	xfree(allp);
}
