/* lookup.c - see lookup.h: who asks, who shares, and when nobody is asked.
 *
 *	ask --> remembered? --> the breaker? --> a flight for the same URL? --> a flight
 *
 * A flight is one HTTP request with everybody who waits for it. Every ask is answered at
 * the earliest at the end of the turn: those without a flight through `due`. */
#include <people/lookup_priv.h>

#include <people/breaker.h>

#include <clock.h>
#include <fetch.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define FLIGHTS_MAX 2000 /* more at once are answered "failed" */
#define ANSWER_MAX  65536
#define HEADERS_MAX 4

struct lookup_tenant {
	const struct tenant *tenant;
	char who[80]; /* "lookup default", in the log */
	struct lookup_settings set;
	char *url, *header, *bearer, *ca_file; /* what set points to */
	struct breaker breaker;
	struct lookup_stats stats;
	struct log_once failed_log;
};

struct flight {
	struct lookups *all;
	struct lookup_tenant *tenant;
	char *key; /* NULL: of one ask that wants it afresh */
	char *url;
	struct fetch_job *job;
	struct list asks;
};

struct lookup_ask {
	struct list link; /* in flight.asks; in none while it is due */
	struct lookup_tenant *tenant;
	struct loop *loop;
	lookup_fn *cb; /* NULL: cancelled */
	void *arg;
	/* without a flight */
	enum lookup_outcome outcome;
	json_t *person;
	const char *why;
	bool remembered;
	char *url;
};

const char *
lookup_outcome_text(enum lookup_outcome o)
{
	static const char *const texts[] = {"found", "unknown", "failed"};

	return texts[o];
}

static struct lookup_tenant *
tenant_of(const struct lookups *l, const struct tenant *t)
{
	struct lookup_tenant *lt = map_find(&l->tenants, t->name);

	return lt && lt->url ? lt : NULL;
}

bool
lookup_is_wanted(
	const struct lookups *l, const struct tenant *t, const struct address *a)
{
	return l && a->normal && str_eq(a->kind, "phone") && tenant_of(l, t);
}

void
lookups_forget(struct lookups *l, const struct tenant *t)
{
	/* as lookup_start makes keys; no name of a tenant holds a blank */
	char *beginning = xasprintf("%s ", t->name);

	lookup_cache_forget(&l->cache, beginning);
	xfree(&beginning);
}

/* ---- Answers without a flight ------------------------------------------------------ */

static void
ask_free(struct lookup_ask *ask)
{
	list_remove(&ask->link);
	json_decref(ask->person);
	xfree(&ask->url);
	mem_free(ask);
}

static void
on_due(void *arg)
{
	struct lookup_ask *ask = arg;
	struct lookup_report r = {.outcome = ask->outcome,
		.person = ask->person,
		.why = ask->why ? ask->why : "",
		.url = ask->url ? ask->url : "",
		.remembered = ask->remembered};

	if (ask->cb)
		ask->cb(ask->arg, &r);
	ask_free(ask);
}

static void
answer_soon(struct lookup_ask *ask, enum lookup_outcome outcome, const char *why)
{
	ask->outcome = outcome;
	ask->why = why;
	loop_defer(ask->loop, on_due, ask);
}

/* ---- Flights ------------------------------------------------------------------------ */

static void
flight_free(struct flight *f)
{
	if (f->key)
		map_remove(&f->all->flights, f->key);
	xfree(&f->key);
	xfree(&f->url);
	mem_free(f);
}

/* What an HTTP answer says; body's outcome is lookup_answer.c's. */
static enum lookup_outcome
read_answer(const struct lookup_tenant *lt, const struct fetch_answer *a,
	json_t **person_r, json_t *ignored, char why[200])
{
	why[0] = '\0';
	if (a->status == 0) {
		snprintf(why, 200, "%.190s", a->error ? a->error : "no answer");
		return LOOKUP_FAILED;
	}
	if (a->status == 404 || a->status == 410 || a->status == 204)
		return LOOKUP_UNKNOWN;
	if (a->status != 200) {
		snprintf(why, 200, "the system answers with HTTP status %d", a->status);
		return LOOKUP_FAILED;
	}
	if (a->cut) {
		snprintf(why, 200, "the answer is longer than 64 KiB");
		return LOOKUP_FAILED;
	}
	return lookup_answer_parse(a->body, a->len, lt->tenant, person_r, ignored, why);
}

static void
tell_breaker(struct lookup_tenant *lt, enum lookup_outcome outcome, const char *why)
{
	unsigned long quiet;

	if (breaker_done(&lt->breaker, outcome != LOOKUP_FAILED, clock_mono_us())) {
		if (lt->breaker.state == BREAKER_OPEN)
			log_warnx(lt->who, "not asked for %u s, for it fails: %s",
				lt->set.pause_s, why);
		else
			log_info(lt->who, "answers again");
	} else if (outcome == LOOKUP_FAILED &&
		   log_once_due(&lt->failed_log, 60, &quiet)) {
		log_info(lt->who, "failed: %s (%lu more since the last line)", why,
			quiet);
	}
}

static void
count(struct lookup_tenant *lt, enum lookup_outcome outcome, int64_t took_us)
{
	lt->stats.found += outcome == LOOKUP_FOUND;
	lt->stats.unknown += outcome == LOOKUP_UNKNOWN;
	lt->stats.failed += outcome == LOOKUP_FAILED;
	histogram_add(&lt->stats.times, took_us);
}

static void
remember(struct flight *f, enum lookup_outcome outcome, json_t *person)
{
	const struct lookup_settings *set = &f->tenant->set;
	unsigned s = outcome == LOOKUP_FOUND ? set->known_s : set->unknown_s;

	if (f->key && s && outcome != LOOKUP_FAILED)
		lookup_cache_put(&f->all->cache, f->key, person,
			clock_mono_us() + (int64_t)s * 1000000);
}

/* A callback may ask again, or cancel another: the list is taken from its head. */
static void
answer_all(struct flight *f, const struct lookup_report *r)
{
	while (!list_is_empty(&f->asks)) {
		struct lookup_ask *ask =
			LIST_ENTRY(f->asks.next, struct lookup_ask, link);
		list_remove(&ask->link);
		if (ask->cb)
			ask->cb(ask->arg, r);
		ask_free(ask);
	}
}

static void
on_answer(void *arg, const struct fetch_answer *a)
{
	struct flight *f = arg;
	struct lookup_tenant *lt = f->tenant;
	json_t *person = NULL, *ignored = json_array();
	char why[200];
	enum lookup_outcome outcome = read_answer(lt, a, &person, ignored, why);

	f->job = NULL;
	count(lt, outcome, a->took_us);
	if (f->key)
		tell_breaker(lt, outcome, why);
	remember(f, outcome, person);
	if (f->key) { /* whoever asks from now on starts anew */
		map_remove(&f->all->flights, f->key);
		xfree(&f->key);
	}
	struct lookup_report r = {.outcome = outcome,
		.person = person,
		.why = why,
		.url = f->url,
		.status = a->status,
		.took_us = a->took_us,
		.ignored = ignored};
	answer_all(f, &r);
	json_decref(person);
	json_decref(ignored);
	flight_free(f);
}

/* Takes url. */
static struct flight *
flight_start(struct lookups *l, struct lookup_tenant *lt, const char *key, char *url)
{
	struct flight *f = xcalloc(1, sizeof(*f));
	const char *headers[HEADERS_MAX] = {"Accept: application/json"};
	char *bearer = NULL;
	size_t n = 1;

	f->all = l;
	f->tenant = lt;
	f->url = url;
	list_init(&f->asks);
	if (key) {
		f->key = xstrdup(key);
		map_put(&l->flights, key, f);
	}
	if (!str_empty(lt->header))
		headers[n++] = lt->header;
	if (!str_empty(lt->bearer))
		headers[n++] = bearer =
			xasprintf("Authorization: Bearer %s", lt->bearer);
	headers[n] = NULL;
	struct fetch_request q = {.url = url,
		.headers = headers,
		.timeout_ms = lt->set.timeout_ms,
		.connect_timeout_ms = lt->set.timeout_ms,
		.max_answer = ANSWER_MAX,
		.ca_file = str_empty(lt->ca_file) ? NULL : lt->ca_file};
	f->job = fetch_start(l->fetch, &q, on_answer, f);
	xfree(&bearer);
	return f;
}

/* ---- Asking -------------------------------------------------------------------------- */

static void
join(struct lookups *l, struct lookup_tenant *lt, struct lookup_ask *ask,
	const char *key)
{
	struct flight *f = map_find(&l->flights, key);

	if (f) {
		lt->stats.shared++;
	} else if (l->flights.len >= FLIGHTS_MAX) {
		answer_soon(ask, LOOKUP_FAILED, "too many are asked for at once");
		return;
	} else if (!breaker_may(&lt->breaker, clock_mono_us())) {
		lt->stats.refused++;
		answer_soon(ask, LOOKUP_FAILED,
			"the system is not asked for a while, for it failed");
		return;
	} else {
		f = flight_start(l, lt, key, ask->url);
		ask->url = NULL;
	}
	list_append(&f->asks, &ask->link);
}

struct lookup_ask *
lookup_start(
	struct lookups *l, const struct lookup_question *q, lookup_fn *cb, void *arg)
{
	struct lookup_ask *ask = xcalloc(1, sizeof(*ask));
	struct lookup_tenant *lt = tenant_of(l, q->tenant);
	json_t *person;

	ask->tenant = lt;
	ask->loop = l->store->loop;
	ask->cb = cb;
	ask->arg = arg;
	if (!lt || !lookup_is_wanted(l, q->tenant, q->address)) {
		answer_soon(ask, LOOKUP_FAILED,
			lt ? "no valid phone number" : "no lookup_url is configured");
		return ask;
	}
	ask->url = lookup_url_make(lt->url, q);
	if (q->afresh) {
		struct flight *f = flight_start(l, lt, NULL, ask->url);
		ask->url = NULL;
		list_append(&f->asks, &ask->link);
		return ask;
	}
	char *key = xasprintf("%s %s", lt->tenant->name, ask->url);
	if (lookup_cache_get(&l->cache, key, clock_mono_us(), &person)) {
		lt->stats.remembered++;
		ask->person = json_incref(person);
		ask->remembered = true;
		answer_soon(ask, person ? LOOKUP_FOUND : LOOKUP_UNKNOWN, NULL);
	} else {
		join(l, lt, ask, key);
	}
	xfree(&key);
	return ask;
}

void
lookup_cancel(struct lookup_ask **ap)
{
	struct lookup_ask *ask = *ap;

	*ap = NULL;
	if (ask)
		ask->cb = NULL; /* its flight goes on: the answer is remembered */
}

/* ---- Configuration ------------------------------------------------------------------- */

static void
put(char **dst, const char *src)
{
	xfree(dst);
	*dst = str_empty(src) ? NULL : xstrdup(src);
}

void
lookups_set(
	struct lookups *l, const struct tenant *t, const struct lookup_settings *set)
{
	struct lookup_tenant *lt = map_find(&l->tenants, t->name);

	if (!lt) {
		if (str_empty(set->url))
			return;
		lt = xcalloc(1, sizeof(*lt));
		lt->tenant = t;
		snprintf(lt->who, sizeof(lt->who), "lookup %s", t->name);
		map_put(&l->tenants, t->name, lt);
	}
	lt->set = *set;
	put(&lt->url, set->url);
	put(&lt->header, set->header);
	put(&lt->bearer, set->bearer);
	put(&lt->ca_file, set->ca_file);
	breaker_init(&lt->breaker, set->failures, set->pause_s);
}

struct lookups *
lookups_new(struct store *store)
{
	static const struct fetch_opts opts = {
		.max_running = 64, .max_per_host = 32, .max_waiting = FLIGHTS_MAX};
	struct lookups *l = xcalloc(1, sizeof(*l));

	l->store = store;
	l->fetch = fetch_open(store->loop, &opts);
	map_init(&l->tenants);
	map_init(&l->flights);
	lookup_cache_init(&l->cache);
	return l;
}

static void
free_tenant(const char *key, void *value, void *arg)
{
	struct lookup_tenant *lt = value;

	(void)key;
	(void)arg;
	xfree(&lt->url);
	xfree(&lt->header);
	xfree(&lt->bearer);
	xfree(&lt->ca_file);
	mem_free(lt);
}

void
lookups_free(struct lookups **lp)
{
	struct lookups *l = *lp;

	if (!l)
		return;
	*lp = NULL;
	fetch_close(&l->fetch); /* every flight lands */
	lookup_cache_fini(&l->cache);
	map_each(&l->tenants, free_tenant, NULL);
	map_fini(&l->tenants);
	map_fini(&l->flights);
	mem_free(l);
}

/* ---- What is counted ----------------------------------------------------------------- */

static void
fill_stats(const struct lookup_tenant *lt, struct lookup_stats *st)
{
	*st = lt->stats;
	st->breaker = breaker_text(&lt->breaker);
}

bool
lookups_get(const struct lookups *l, const struct tenant *t, struct lookup_stats *st)
{
	const struct lookup_tenant *lt = tenant_of(l, t);

	if (lt)
		fill_stats(lt, st);
	return lt != NULL;
}

struct each {
	lookup_stats_fn *fn;
	void *arg;
};

static void
each_tenant(const char *key, void *value, void *arg)
{
	const struct lookup_tenant *lt = value;
	struct each *e = arg;
	struct lookup_stats st;

	(void)key;
	if (!lt->url)
		return;
	fill_stats(lt, &st);
	e->fn(e->arg, lt->tenant, &st);
}

void
lookups_each(const struct lookups *l, lookup_stats_fn *fn, void *arg)
{
	struct each e = {fn, arg};

	map_each((struct map *)(uintptr_t)&l->tenants, each_tenant, &e);
}
