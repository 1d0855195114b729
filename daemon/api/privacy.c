/* privacy.c - DELETE /v1/contacts/{id} and GET …/privacy: the places outside of the
 * database, and the order in which all are gone through.
 *
 *	database (one transaction) -> memory -> Redis -> disk -> the receipt
 *	                              `--- again every 5 s until nothing is left ---'
 *
 * After the first step the person is forgotten whatever happens: what the others need to
 * find is kept with the erasure until they are through (`pending`). */
#include <api/privacy.h>

#include <api/erased_again.h>
#include <api/reply.h>
#include <api/routes.h>
#include <io/spool.h>
#include <io/work.h>
#include <list.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <jansson.h>

#include <stdlib.h>
#include <string.h>

#define LOOK_MS 5000

/* What privacy_place is for the database: the report and the erasure go by these rows. */
enum place { PLACE_STREAMS, PLACE_OPEN, PLACE_SPOOL, PLACE_MEMORY, PLACE_COUNT };
static const struct {
	const char *name, *where, *kept;
} places[PLACE_COUNT] = {
	[PLACE_STREAMS] = {"past pops", "Redis: pops:* and queue-pops:* of the tenant",
		"the last 1000 of each agent and queue"},
	[PLACE_OPEN] = {"open pops", "Redis: open:* and queue-open:* of the tenant",
		"while they are open"},
	[PLACE_SPOOL] = {"spool", "files: [daemon] state_dir/spool",
		"an hour, or until the calls of that hour are over if that is later; "
		"what was set aside (damaged, overflow) until its room is needed"},
	[PLACE_MEMORY] = {"look-up cache", "memory of the daemon",
		"[tenant] lookup_cache_s, or the daemon's life"},
};

struct found {
	struct pops_found pops;
	struct spool_found files;
};

/* One person being looked for, or forgotten. */
struct search {
	struct list link; /* in eraser.searches */
	struct app *app;
	struct http_request *request; /* NULL: nobody waits */
	struct privacy_subject *who;
	char *json; /* the report so far; NULL: an erasure */
	bool erase;
	struct pop_finder *finder;
	struct work *work;
	struct found found;
};

struct eraser {
	struct app *app;
	struct list searches;
	struct loop_timer *timer;
	bool asking, restored_looked_at;
	struct log_once log;
};

static void
search_free(struct search *s)
{
	list_remove(&s->link);
	pops_find_cancel(&s->finder);
	work_cancel(&s->work);
	privacy_subject_free(&s->who);
	xfree(&s->json);
	mem_free(s);
}

/* ---- Answers ----------------------------------------------------------------------- */

static json_t *
place_json(enum place place, json_t *count, const char *oldest, const char *newest)
{
	return json_pack("{s:s, s:s, s:o, s:s?, s:s?, s:s, s:b}", "place",
		places[place].name, "where", places[place].where, "count", count,
		"oldest", str_empty(oldest) ? NULL : oldest, "newest",
		str_empty(newest) ? NULL : newest, "kept", places[place].kept, "erased",
		1);
}

static const char *
time_or_none(char text[CLOCK_RFC3339_LEN], int64_t us)
{
	return us ? clock_format(text, us) : NULL;
}

static json_t *
count_or_none(bool known, unsigned n)
{
	return known ? json_integer(n) : json_null();
}

static void
answer_report(struct search *s)
{
	const struct pops_found *pops = &s->found.pops;
	const struct spool_found *files = &s->found.files;
	char oldest[CLOCK_RFC3339_LEN], newest[CLOCK_RFC3339_LEN];
	json_t *report = json_loads(s->json, 0, NULL);
	json_t *list = json_object_get(report, "places");
	json_array_append_new(list,
		place_json(PLACE_STREAMS, count_or_none(pops->reached, pops->entries),
			pops->oldest, pops->newest));
	json_array_append_new(
		list, place_json(PLACE_OPEN, count_or_none(pops->reached, pops->open),
			      NULL, NULL));
	json_array_append_new(list, place_json(PLACE_SPOOL, json_integer(files->files),
					    time_or_none(oldest, files->oldest_us),
					    time_or_none(newest, files->newest_us)));
	json_array_append_new(list, place_json(PLACE_MEMORY, json_null(), NULL, NULL));
	char *text = json_dumps(report, JSON_COMPACT);
	http_answer(s->request, 200, "application/json", text, strlen(text));
	free(text);
	json_decref(report);
	search_free(s);
}

static bool
is_complete(const struct found *f)
{
	return f->pops.reached && !f->pops.open && f->files.files == f->files.erased;
}

static void
on_receipt(void *request, const struct store_answer *a)
{
	if (request)
		reply_from_store(request, a);
}

/* What was found is noted with the erasure, be it complete or not. */
static void
note_erased(struct search *s)
{
	json_t *counts = json_array();
	if (s->found.pops.erased)
		json_array_append_new(counts,
			json_pack("{s:s, s:i}", "place", places[PLACE_STREAMS].name,
				"count", (int)s->found.pops.entries));
	if (s->found.files.erased)
		json_array_append_new(counts,
			json_pack("{s:s, s:i}", "place", places[PLACE_SPOOL].name,
				"count", (int)s->found.files.erased));
	char *text = json_dumps(counts, JSON_COMPACT);
	privacy_erased(&s->app->store, s->who->tenant, &s->who->root, text,
		is_complete(&s->found), on_receipt, s->request);
	free(text);
	json_decref(counts);
	search_free(s);
}

/* ---- Redis, then the disk ---------------------------------------------------------- */

struct disk_job {
	char *dir;
	char **words;
	size_t n;
	int64_t until_us;
	bool erase;
	struct spool_found found;
};

static void
disk_run(void *arg)
{
	struct disk_job *job = arg;
	spool_find(job->dir, (const char *const *)job->words, job->n, job->until_us,
		job->erase, &job->found);
}

static void
disk_free(void *arg)
{
	struct disk_job *job = arg;
	privacy_words_free(job->words, job->n);
	xfree(&job->dir);
	mem_free(job);
}

static void
on_disk(void *arg, void *done)
{
	struct search *s = arg;
	const struct disk_job *job = done;
	s->work = NULL;
	s->found.files = job->found;
	if (s->json)
		answer_report(s);
	else
		note_erased(s);
}

static void
on_redis(void *arg, const struct pops_found *found)
{
	struct search *s = arg;
	const struct daemon_settings *d = conf_values(s->app->conf, "daemon");
	struct disk_job *job = xcalloc(1, sizeof(*job));
	s->finder = NULL;
	s->found.pops = *found;
	job->dir = xasprintf("%s/spool", d->state_dir);
	job->words = privacy_words(s->who, true, &job->n);
	job->until_us = s->who->until_us;
	job->erase = s->erase;
	s->work = work_start(s->app->loop, disk_run, job, disk_free, on_disk, s);
}

/* Takes who and json. */
static void
search_begin(struct app *app, struct http_request *r, struct privacy_subject *who,
	char *json, bool erase)
{
	struct search *s = xcalloc(1, sizeof(*s));
	s->app = app;
	s->request = r;
	s->who = who;
	s->json = json;
	s->erase = erase;
	list_append(&app->eraser->searches, &s->link);
	s->finder = pops_find(app->pops, who, erase, on_redis, s);
}

/* ---- What was left incomplete ------------------------------------------------------ */

static bool
is_under_way(const struct eraser *e, const struct privacy_subject *who)
{
	list_for_each (&e->searches, it) {
		const struct search *s = LIST_ENTRY(it, struct search, link);
		if (s->erase && uuid_eq(&s->who->root, &who->root))
			return true;
	}
	return false;
}

static void
on_pending(void *arg, struct privacy_subject *who)
{
	struct app *app = arg;
	struct eraser *e = app->eraser;
	unsigned long quiet;
	if (!e || !who || is_under_way(e, who)) {
		privacy_subject_free(&who);
	} else {
		if (log_once_due(&e->log, 3600, &quiet))
			log_info(NULL,
				"what an erased contact left in Redis or on disk "
				"is looked for again");
		search_begin(app, NULL, who, NULL, true);
	}
	if (e)
		e->asking = false;
}

static void
on_timer(void *arg)
{
	struct eraser *e = arg;
	struct app *app = e->app;
	if (app->stage == APP_RUNNING && !app->store.held && !e->asking &&
		pg_is_up(app->store.reads)) {
		if (!e->restored_looked_at)
			erased_again(app);
		e->restored_looked_at = true;
		e->asking = true;
		privacy_pending(&app->store, on_pending, app);
	}
	loop_timer_start(e->timer, LOOK_MS);
}

struct eraser *
eraser_new(struct app *app)
{
	struct eraser *e = xcalloc(1, sizeof(*e));
	e->app = app;
	list_init(&e->searches);
	e->timer = loop_timer_new(app->loop, on_timer, e);
	loop_timer_start(e->timer, LOOK_MS);
	return e;
}

void
eraser_free(struct eraser **ep)
{
	struct eraser *e = *ep;
	if (!e)
		return;
	*ep = NULL;
	list_for_each_safe (&e->searches, it) {
		struct search *s = LIST_ENTRY(it, struct search, link);
		if (s->request)
			http_problem(s->request, 503, NULL, "the daemon is ending");
		search_free(s);
	}
	loop_timer_free(&e->timer);
	mem_free(e);
}

/* ---- Routes ------------------------------------------------------------------------ */

struct asked {
	struct app *app;
	struct http_request *request;
	struct event_stamp stamp;
	bool bar;
};

static struct asked *
asked_new(struct app *app, struct http_request *r)
{
	struct asked *a = xcalloc(1, sizeof(*a));
	a->app = app;
	a->request = r;
	return a;
}

static void
forget_calls(void *who, struct channel *ch)
{
	if (app_phone(ch))
		phone_forget(app_phone(ch), who);
}

static void
on_erased(void *arg, const struct store_answer *answer, struct privacy_subject *who)
{
	struct asked *a = arg;
	struct app *app = a->app;
	char id[UUID_TEXT_LEN];
	if (!who || !app->eraser) {
		reply_from_store(a->request, answer);
		privacy_subject_free(&who);
		mem_free(a);
		return;
	}
	char *object = xasprintf("{\"id\":\"%s\"}", uuid_format(id, &who->root));
	events_told(
		app->events, who->tenant, &a->stamp, 0, "contact.erased", object, NULL);
	xfree(&object);
	erased_note(app, who, a->bar);
	pops_forget(app->pops, who);
	channel_core_each(app->channels, forget_calls, who);
	lookups_forget(app->lookups, who->tenant);
	search_begin(app, a->request, who, NULL, true);
	mem_free(a);
}

/* ?do_not_contact=true|false; false after a 400. */
static bool
read_bar(struct http_request *r, bool *bar_r)
{
	const char *text = http_query(r, "do_not_contact");
	*bar_r = str_eq(text, "true");
	if (!text || *bar_r || str_eq(text, "false"))
		return true;
	http_problem(r, 400, NULL, "do_not_contact: true or false");
	return false;
}

void
route_contact_erase(struct http_request *r, void *arg)
{
	static const char *const known[] = {"do_not_contact", NULL};
	struct app *app = arg;
	struct uuid id;
	bool bar;
	if (!reply_path_uuid(r, &id) || !reply_query_known(r, known) ||
		!read_bar(r, &bar))
		return;
	struct asked *a = asked_new(app, r);
	a->bar = bar;
	struct actor actor = caller_actor(r);
	a->stamp = events_stamp(app->events, actor.tenant);
	actor.event = &a->stamp;
	privacy_erase(&app->store, &actor, &id, bar, on_erased, a);
}

static void
on_reported(void *arg, const struct store_answer *answer, struct privacy_subject *who)
{
	struct asked *a = arg;
	struct app *app = a->app;
	if (who && app->eraser) {
		search_begin(app, a->request, who, xstrdup(answer->json), false);
	} else {
		reply_from_store(a->request, answer);
		privacy_subject_free(&who);
	}
	mem_free(a);
}

void
route_contact_privacy(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid id;
	if (reply_path_uuid(r, &id))
		privacy_report(&app->store, caller_of(r)->tenant, &id, on_reported,
			asked_new(app, r));
}
