/* export.c - GET …/export: contacts, a segment's, or everything about one.
 *
 *	audit -> piece -> (as the client reads) piece … -> audit
 *
 * The first piece is awaited before anything is said, so that what cannot be begun is a
 * problem document; later a failure cuts the connection. That it was all is told by the
 * last chunk. Who asks for what is audited before the first byte, how much it was after the
 * last. */
#include <api/export.h>

#include <api/reply.h>
#include <api/routes.h>
#include <clock.h>
#include <list.h>
#include <log.h>
#include <mem.h>
#include <people/store_ask.h>
#include <str.h>
#include <timeline/export.h>
#include <timeline/segment.h>

#include <stdio.h>
#include <string.h>

/* One tenant's must not keep the others waiting. */
#define AT_ONCE	   8
#define PER_TENANT 3

struct exports {
	struct app *app;
	struct list running; /* of struct running */
	size_t n;
};

struct running {
	struct list link;
	struct exports *all;
	struct app *app;
	struct http_request *request;
	struct actor actor;
	char name[128], role[32];
	char id[UUID_TEXT_LEN];	     /* of the export, or of the one contact */
	char segment[UUID_TEXT_LEN]; /* "" = none */
	enum export_format format;
	bool is_document;
	struct uuid after;
	struct export *export;
	struct pending *pending; /* an answer that is awaited from the store */
	bool begun, full;
	bool due; /* a piece is awaited */
	unsigned long long rows;
};

/* Outlives a request that is cut off. */
struct pending {
	struct running *running;
};

static void
forget(struct running *u)
{
	list_remove(&u->link);
	u->all->n--;
	if (u->pending)
		u->pending->running = NULL;
	export_free(&u->export);
	mem_free(u);
}

static struct pending *
pending_new(struct running *u)
{
	u->pending = xcalloc(1, sizeof(*u->pending));
	u->pending->running = u;
	return u->pending;
}

/* NULL: cut off meanwhile. */
static struct running *
pending_end(void *arg)
{
	struct pending *p = arg;
	struct running *u = p->running;

	xfree(&p);
	if (u)
		u->pending = NULL;
	return u;
}

/* ---- Audit -------------------------------------------------------------------------- */

static struct pg_unit *
audit_unit(struct running *u, const char *action)
{
	struct pg_unit *q = pg_unit_new(u->app->store.writes);

	pg_add(q, "export_audit_add");
	pg_param_int(q, u->actor.tenant->id);
	pg_param_text(q, u->name);
	pg_param_text(q, u->role);
	pg_param_text(q, action);
	pg_param_text(q, u->is_document ? "contact" : "export");
	pg_param_text(q, u->id);
	pg_array_begin(q);
	if (!u->is_document)
		pg_array_add(q, u->format == EXPORT_CSV ? "csv" : "ndjson");
	if (u->segment[0]) {
		pg_array_add(q, "segment");
		pg_array_add(q, u->segment);
	}
	return q;
}

static void
audit_end(struct running *u, const char *how)
{
	struct pg_unit *q = audit_unit(
		u, u->is_document ? "contact.export_ended" : "contacts.export_ended");
	char rows[40];

	snprintf(rows, sizeof(rows), "%llu rows", u->rows);
	pg_array_add(q, rows);
	pg_array_add(q, how);
	pg_array_end(q);
	pg_submit(&q, STORE_DEADLINE_MS, NULL, NULL);
	log_info("export", "%s: %s, %s", u->name, rows, how);
}

/* ---- Pieces ------------------------------------------------------------------------- */

static void
ask(struct running *u)
{
	u->due = true;
	export_next(u->export);
}

static void
on_room(void *arg)
{
	struct running *u = arg;

	u->full = false;
	if (!u->due)
		ask(u);
}

static void
on_gone(void *arg, const char *why)
{
	struct running *u = arg;

	(void)why;
	audit_end(u, "the client went away");
	http_send_end(u->request, false);
	forget(u);
}

static void
begin_answer(struct running *u)
{
	static const struct http_sender sender = {on_room, on_gone};
	char name[128];
	const char *end = u->is_document	    ? "json"
			  : u->format == EXPORT_CSV ? "csv"
						    : "ndjson";

	snprintf(name, sizeof(name), "attachment; filename=\"%s%s.%s\"",
		u->is_document ? "contact-" : "contacts", u->is_document ? u->id : "",
		end);
	http_add_header(u->request, "Content-Disposition", name);
	http_send_begin(u->request, 200,
		u->is_document		  ? "application/json"
		: u->format == EXPORT_CSV ? "text/csv; charset=utf-8"
					  : "application/x-ndjson",
		&sender, u);
	u->begun = true;
}

static void
on_failed(struct running *u, const struct export_piece *p)
{
	audit_end(u, "it failed");
	if (u->begun) {
		log_warnx("export", "cut off after %llu rows: %s", u->rows, p->why);
		http_send_end(u->request, false);
	} else {
		if (p->status == 503)
			http_add_header(u->request, "Retry-After", "10");
		http_problem(u->request, p->status, NULL, "%s", p->why);
	}
	forget(u);
}

static void
on_piece(void *arg, const struct export_piece *p)
{
	struct running *u = arg;

	u->due = false;
	if (p->status) {
		on_failed(u, p);
		return;
	}
	if (http_is_gone(u->request)) { /* before anything was sent */
		audit_end(u, "the client went away");
		http_problem(u->request, 499, NULL, "the client is gone");
		forget(u);
		return;
	}
	if (!u->begun)
		begin_answer(u);
	u->rows += p->rows;
	u->full = !http_send(u->request, p->text, p->len);
	if (p->end || str_eq(http_method(u->request), "HEAD")) {
		audit_end(u, "whole");
		http_send_end(u->request, true);
		forget(u);
	} else if (!u->full) {
		ask(u);
	}
}

/* ---- Beginning ---------------------------------------------------------------------- */

static void
on_audited(void *arg, const struct pg_answer *a)
{
	struct running *u = pending_end(arg);

	if (!u)
		return;
	if (a->status == PG_OK) {
		ask(u);
		return;
	}
	http_add_header(u->request, "Retry-After", "2");
	http_problem(u->request, 503, NULL, "%s", a->message);
	forget(u);
}

static void
begin(struct running *u)
{
	struct pg_unit *q = audit_unit(
		u, u->is_document ? "contact.exported" : "contacts.exported");

	pg_array_end(q);
	pg_submit(&q, STORE_DEADLINE_MS, on_audited, pending_new(u));
}

static void
begin_list(struct running *u, const json_t *filter)
{
	struct export_opts opts = {.tenant = u->actor.tenant,
		.format = u->format,
		.filter = filter,
		.sight = u->actor.sight,
		.after = u->after};
	struct err err;

	u->export = export_contacts(&u->app->store, &opts, on_piece, u, &err);
	if (u->export) {
		begin(u);
		return;
	}
	http_problem(u->request, 422, NULL, "%s", err.text);
	forget(u);
}

static void
on_segment(void *arg, json_t *filter, const struct store_answer *why)
{
	struct running *u = pending_end(arg);

	if (u && filter) {
		begin_list(u, filter);
	} else if (u) {
		reply_from_store(u->request, why);
		forget(u);
	}
	json_decref(filter);
}

/* NULL after a 503. */
static struct running *
running_new(struct http_request *r, struct app *app)
{
	struct exports *all = app->exports;
	struct actor actor = caller_actor(r);
	struct uuid id = uuid_new(clock_wall_us());
	size_t own = 0;

	list_for_each (&all->running, it)
		own += LIST_ENTRY(it, struct running, link)->actor.tenant ==
		       actor.tenant;
	if (all->n >= AT_ONCE || own >= PER_TENANT) {
		http_add_header(r, "Retry-After", "30");
		http_problem(r, 503, NULL, "%zu exports run already",
			own >= PER_TENANT ? own : all->n);
		return NULL;
	}
	struct running *u = xcalloc(1, sizeof(*u));
	u->all = all;
	u->app = app;
	u->request = r;
	u->actor = actor;
	str_copy(u->name, sizeof(u->name), actor.name);
	str_copy(u->role, sizeof(u->role), actor.role);
	uuid_format(u->id, &id);
	list_append(&all->running, &u->link);
	all->n++;
	return u;
}

/* ?format= and ?after=; false after a 400. */
static bool
take_query(struct http_request *r, enum export_format *format_r, struct uuid *after_r)
{
	static const char *const known[] = {"format", "after", NULL};
	const char *format = http_query(r, "format"), *after = http_query(r, "after");

	memset(after_r, 0, sizeof(*after_r));
	*format_r = str_eq(format, "csv") ? EXPORT_CSV : EXPORT_NDJSON;
	if (!reply_query_known(r, known))
		return false;
	if (format && !str_eq(format, "csv") && !str_eq(format, "ndjson"))
		http_problem(r, 400, NULL, "format: ndjson or csv");
	else if (after && !uuid_parse(after, after_r))
		http_problem(r, 400, NULL, "after: the id of a contact");
	else
		return true;
	return false;
}

void
route_contacts_export(struct http_request *r, void *arg)
{
	enum export_format format;
	struct uuid after;

	if (!take_query(r, &format, &after))
		return;
	struct running *u = running_new(r, arg);
	if (!u)
		return;
	u->format = format;
	u->after = after;
	begin_list(u, NULL);
}

void
route_segment_export(struct http_request *r, void *arg)
{
	struct app *app = arg;
	enum export_format format;
	struct uuid id, after;

	if (!reply_path_uuid(r, &id) || !take_query(r, &format, &after))
		return;
	struct running *u = running_new(r, app);
	if (!u)
		return;
	u->format = format;
	u->after = after;
	uuid_format(u->segment, &id);
	segment_load(&app->store, u->actor.tenant, &id, on_segment, pending_new(u));
}

void
route_contact_export(struct http_request *r, void *arg)
{
	static const char *const none[] = {NULL};
	struct app *app = arg;
	struct uuid id;

	if (!reply_path_uuid(r, &id) || !reply_query_known(r, none))
		return;
	struct running *u = running_new(r, app);
	if (!u)
		return;
	u->is_document = true;
	uuid_format(u->id, &id);
	u->export = export_contact(&app->store, &u->actor, &id, on_piece, u);
	begin(u);
}

struct exports *
exports_new(struct app *app)
{
	struct exports *all = xcalloc(1, sizeof(*all));

	all->app = app;
	list_init(&all->running);
	return all;
}

void
exports_free(struct exports **allp)
{
	struct exports *all = *allp;

	if (!all)
		return;
	while (!list_is_empty(&all->running)) {
		struct running *u = LIST_ENTRY(all->running.next, struct running, link);
		if (u->begun)
			http_send_end(u->request, false);
		else
			http_problem(u->request, 503, NULL, "the daemon ends");
		forget(u);
	}
	xfree(allp);
}
