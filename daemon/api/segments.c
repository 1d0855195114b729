/* segments.c - /v1/segments…: filters over contacts, kept and tried. */
#include <api/reply.h>
#include <api/routes.h>

#include <mem.h>
#include <people/check.h>
#include <timeline/segment.h>
#include <timeline/segment_filter.h>

#include <string.h>

#define PREVIEW_DEFAULT 20
#define PREVIEW_MAX	200

void
route_segment_create(struct http_request *r, void *arg)
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
	segment_create(&app->store, &actor, body, key, reply_from_store, r);
	json_decref(body);
}

void
route_segment_list(struct http_request *r, void *arg)
{
	static const char *const known[] = {"cursor", NULL};
	struct app *app = arg;
	if (reply_query_known(r, known))
		segment_list(&app->store, caller_of(r)->tenant, http_query(r, "cursor"),
			reply_from_store, r);
}

void
route_segment_get(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	if (reply_path_uuid(r, &id))
		segment_get(
			&app->store, caller_of(r)->tenant, &id, reply_from_store, r);
}

void
route_segment_patch(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	if (!reply_path_uuid(r, &id))
		return;
	json_t *body = reply_body(r);
	if (!body)
		return;
	struct actor actor = caller_actor(r);
	segment_patch(&app->store, &actor, &id, body, reply_from_store, r);
	json_decref(body);
}

static void
on_deleted(void *arg, const struct store_answer *a)
{
	if (a->status == STORE_OK)
		http_answer(arg, 204, NULL, NULL, 0);
	else
		reply_from_store(arg, a);
}

void
route_segment_delete(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	struct actor actor = caller_actor(r);
	if (reply_path_uuid(r, &id))
		segment_delete(&app->store, &actor, &id, on_deleted, r);
}

/* ---- Asked -------------------------------------------------------------------------- */

/* What to do with a filter once it is known. */
struct question {
	struct app *app;
	struct http_request *request;
	bool counts;
	unsigned limit;
};

static void
ask(struct question *q, const json_t *filter)
{
	struct http_request *r = q->request;
	struct actor actor = caller_actor(r);

	if (q->counts)
		segment_count(&q->app->store, &actor, filter, reply_from_store, r);
	else
		segment_preview(&q->app->store, &actor, filter, q->limit,
			http_query(r, "after"), reply_from_store, r);
}

static void
on_filter(void *arg, json_t *filter, const struct store_answer *why)
{
	struct question *q = arg;

	if (filter)
		ask(q, filter);
	else
		reply_from_store(q->request, why);
	json_decref(filter);
	xfree(&q);
}

/* False after an answer. */
static bool
question_init(struct question *q, struct http_request *r, struct app *app, bool counts)
{
	static const char *const none[] = {NULL}, *const pages[] = {
							  "limit", "after", NULL};

	*q = (struct question){.app = app, .request = r, .counts = counts};
	return reply_query_known(r, counts ? none : pages) &&
	       (counts || reply_limit(r, PREVIEW_DEFAULT, PREVIEW_MAX, &q->limit));
}

static void
ask_kept(struct http_request *r, struct app *app, bool counts)
{
	struct question q, *copy;
	struct uuid id;

	if (!reply_path_uuid(r, &id) || !question_init(&q, r, app, counts))
		return;
	copy = xmalloc(sizeof(*copy));
	*copy = q;
	segment_load(&app->store, caller_of(r)->tenant, &id, on_filter, copy);
}

void
route_segment_count(struct http_request *r, void *arg)
{
	ask_kept(r, arg, true);
}

void
route_segment_preview(struct http_request *r, void *arg)
{
	ask_kept(r, arg, false);
}

/* {"filter":…} of the body. */
static void
ask_given(struct http_request *r, struct app *app, bool counts)
{
	struct question q;
	struct check c;

	if (!question_init(&q, r, app, counts))
		return;
	json_t *body = reply_body(r);
	if (!body)
		return;
	check_init(&c, body);
	const json_t *filter = check_object(&c, "filter", SEGMENT_BYTES_MAX);
	if (!filter)
		check_fail(&c, "filter: is required; {} finds everybody");
	if (check_done(&c))
		ask(&q, filter);
	else
		http_problem(r, 422, NULL, "%s", c.why);
	json_decref(body);
}

void
route_segment_try_count(struct http_request *r, void *arg)
{
	ask_given(r, arg, true);
}

void
route_segment_try_preview(struct http_request *r, void *arg)
{
	ask_given(r, arg, false);
}
