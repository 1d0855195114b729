/* fetch.c - jobs, hosts and whose turn it is.
 *
 * Jobs wait at their host (name and port). A host with a job to start and room for it
 * stands in `ready`, and the hosts there take turns, one job each; so a host with
 * thousands of jobs delays another's only by one place of max_running. A host whose
 * addresses are unknown or old stands in `stale` first. At most RESOLVING_MAX names are
 * asked for at once: the resolver's threads serve the phone systems and PostgreSQL too.
 * Old addresses are used on while a new question has no answer.
 *
 * Finished jobs go through `done` and tell_timer, one each time: a callback may start,
 * cancel and close, for nothing here is touched after it. Where to read next:
 * fetch_curl.c. */
#include "io/fetch_priv.h"

#include <clock.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define RESOLVING_MAX	   2
#define RESOLVE_TIMEOUT_MS 15000
#define FRESH_US	   INT64_C(30000000)
#define FAILED_US	   INT64_C(5000000)
#define IDLE_HOSTS_MAX	   1000

static void pump(struct fetch *);
static void host_place(struct fetch_host *);

/* ---- Jobs -------------------------------------------------------------------------- */

static void
job_free(struct fetch_job *j)
{
	list_remove(&j->link);
	loop_timer_free(&j->deadline);
	fetch_curl_free(j);
	buf_fini(&j->body);
	mem_free(j);
}

/* Where its host knows of it. */
static void
job_leave(struct fetch_job *j)
{
	struct fetch *f = j->fetch;

	if (j->state == FETCH_WAITING && j->host)
		f->stats.waiting--;
	if (j->state == FETCH_RUNNING) {
		f->stats.running--;
		j->host->running--;
	}
	list_remove(&j->link);
}

void
fetch_job_finish(struct fetch_job *j)
{
	struct fetch *f = j->fetch;
	struct fetch_answer *a = &j->answer;

	job_leave(j);
	j->state = FETCH_DONE;
	loop_timer_stop(j->deadline);
	a->error = a->status ? NULL : j->error;
	a->body = buf_str(&j->body);
	a->len = j->body.len;
	a->type = j->type;
	a->took_us = clock_mono_us() - j->started_us;
	if (a->status)
		f->stats.answered++;
	else
		f->stats.failed++;
	list_append(&f->done, &j->link);
	loop_timer_start(f->tell_timer, 0);
	fetch_curl_free(j);
	if (j->host)
		host_place(j->host);
	j->host = NULL; /* it may be forgotten from here on */
}

static void
job_fail(struct fetch_job *j, const char *why)
{
	if (j->state == FETCH_RUNNING)
		fetch_curl_stop(j);
	str_copy(j->error, sizeof(j->error), why);
	j->answer.status = 0;
	fetch_job_finish(j);
}

static void
on_deadline(void *arg)
{
	struct fetch_job *j = arg;
	struct fetch *f = j->fetch;
	char why[64];

	snprintf(why, sizeof(why), "no answer in %u ms%s", j->timeout_ms,
		j->state == FETCH_RUNNING ? ""
		: j->host->n_addrs	  ? ": its turn never came"
					  : ": its host is not resolved yet");
	job_fail(j, why);
	pump(f);
}

static void
on_tell(void *arg)
{
	struct fetch *f = arg;
	struct fetch_job *j = LIST_ENTRY(f->done.next, struct fetch_job, link);

	list_remove(&j->link);
	if (!list_is_empty(&f->done))
		loop_timer_start(f->tell_timer, 0);
	pump(f);
	j->fn(j->arg, &j->answer);
	job_free(j);
}

/* ---- Hosts ------------------------------------------------------------------------- */

static void
host_free(struct fetch_host *h)
{
	list_remove(&h->link);
	resolve_cancel(&h->resolve);
	mem_free(h->key);
	mem_free(h->name);
	mem_free(h);
}

/* One whose addresses are old and that nobody needs. */
static void
host_forget_if_idle(const char *key, void *value, void *arg)
{
	struct fetch_host *h = value;
	struct fetch *f = arg;

	if (h->running || h->resolve || !list_is_empty(&h->waiting) ||
		h->fresh_until_us > clock_mono_us())
		return;
	map_remove(&f->hosts, key);
	host_free(h);
}

static struct fetch_host *
host_get(struct fetch *f, const struct fetch_target *t)
{
	char *key = xasprintf("%s:%u", t->host, t->port);
	struct fetch_host *h = map_find(&f->hosts, key);

	if (h) {
		mem_free(key);
		return h;
	}
	if (f->hosts.len >= IDLE_HOSTS_MAX)
		map_each(&f->hosts, host_forget_if_idle, f);
	h = xcalloc(1, sizeof(*h));
	h->fetch = f;
	h->key = key;
	h->name = xstrdup(t->host);
	h->port = t->port;
	list_init(&h->waiting);
	map_put(&f->hosts, key, h);
	return h;
}

static void
on_resolved(void *arg, const struct resolve_addr *addrs, size_t n, const char *why)
{
	struct fetch_host *h = arg;
	struct fetch *f = h->fetch;

	h->resolve = NULL;
	f->n_resolving--;
	if (n > 0) {
		memcpy(h->addrs, addrs, n * sizeof(*addrs));
		h->n_addrs = n;
	}
	str_copy(h->why, sizeof(h->why), n > 0 ? "" : why);
	h->fresh_until_us = clock_mono_us() + (n > 0 ? FRESH_US : FAILED_US);
	host_place(h);
	pump(f);
}

static void
host_resolve(struct fetch_host *h)
{
	h->fetch->n_resolving++;
	h->resolve = resolve_start(
		h->fetch->loop, h->name, h->port, RESOLVE_TIMEOUT_MS, on_resolved, h);
}

/* Puts it where its state says. */
static void
host_place(struct fetch_host *h)
{
	struct fetch *f = h->fetch;

	list_remove(&h->link);
	if (f->closing || list_is_empty(&h->waiting) ||
		h->running >= f->opts.max_per_host)
		return;
	bool fresh = clock_mono_us() < h->fresh_until_us;
	if (!fresh && !h->resolve && f->n_resolving < RESOLVING_MAX)
		host_resolve(h);
	if (fresh || h->n_addrs > 0)
		list_append(&f->ready, &h->link);
	else if (!h->resolve)
		list_append(&f->stale, &h->link);
}

static void
host_fail_waiting(struct fetch_host *h, const char *why)
{
	list_for_each_safe (&h->waiting, it)
		job_fail(LIST_ENTRY(it, struct fetch_job, link), why);
}

static bool
host_may_go(const struct fetch_host *h, unsigned to)
{
	for (size_t i = 0; i < h->n_addrs; i++)
		if (fetch_may_go(to, (const struct sockaddr *)&h->addrs[i].sa))
			return true;
	return false;
}

static void
host_start_one(struct fetch_host *h)
{
	struct fetch *f = h->fetch;
	struct fetch_job *j = LIST_ENTRY(h->waiting.next, struct fetch_job, link);
	char text[RESOLVE_TEXT_LEN], why[160];

	if (h->n_addrs == 0) {
		job_fail(j, h->why);
		return;
	}
	if (!host_may_go(h, j->to)) {
		snprintf(why, sizeof(why), "requests to %s (%.80s) are not allowed",
			resolve_text(text, &h->addrs[0]), h->name);
		job_fail(j, why);
		return;
	}
	job_leave(j);
	j->state = FETCH_RUNNING;
	list_append(&f->running, &j->link);
	f->stats.running++;
	h->running++;
	fetch_curl_start(j);
}

static struct fetch_host *
first_host(struct list *l)
{
	struct fetch_host *h = LIST_ENTRY(l->next, struct fetch_host, link);

	list_remove(&h->link);
	return h;
}

/* Starts what may be started. */
static void
pump(struct fetch *f)
{
	while (!f->closing && !list_is_empty(&f->stale) &&
		f->n_resolving < RESOLVING_MAX) {
		host_place(first_host(&f->stale));
	}
	while (!f->closing && !list_is_empty(&f->ready) &&
		f->stats.running < f->opts.max_running) {
		struct fetch_host *h = first_host(&f->ready);
		if (!list_is_empty(&h->waiting))
			host_start_one(h);
		host_place(h);
	}
}

/* ---- The interface ----------------------------------------------------------------- */

struct fetch *
fetch_open(struct loop *l, const struct fetch_opts *o)
{
	struct fetch *f = xcalloc(1, sizeof(*f));

	f->loop = l;
	f->opts = *o;
	if (!f->opts.max_running)
		f->opts.max_running = 64;
	if (!f->opts.max_per_host)
		f->opts.max_per_host = 8;
	if (!f->opts.max_waiting)
		f->opts.max_waiting = 10000;
	f->user_agent = xstrdup(o->user_agent);
	map_init(&f->hosts);
	list_init(&f->ready);
	list_init(&f->stale);
	list_init(&f->running);
	list_init(&f->done);
	f->tell_timer = loop_timer_new(l, on_tell, f);
	fetch_curl_open(f);
	return f;
}

static void
host_end(const char *key, void *value, void *arg)
{
	(void)key;
	(void)arg;
	host_fail_waiting(value, "the daemon ends");
}

static void
host_free_each(const char *key, void *value, void *arg)
{
	struct fetch *f = arg;

	map_remove(&f->hosts, key);
	host_free(value);
}

/* What a callback starts meanwhile is refused, and so told here too. */
static void
tell_all(struct fetch *f)
{
	while (!list_is_empty(&f->done)) {
		struct fetch_job *j = LIST_ENTRY(f->done.next, struct fetch_job, link);
		list_remove(&j->link);
		j->fn(j->arg, &j->answer);
		job_free(j);
	}
}

void
fetch_close(struct fetch **fp)
{
	struct fetch *f = *fp;

	if (!f)
		return;
	*fp = NULL;
	f->closing = true;
	list_for_each_safe (&f->running, it)
		job_fail(LIST_ENTRY(it, struct fetch_job, link), "the daemon ends");
	map_each(&f->hosts, host_end, NULL);
	tell_all(f);
	map_each(&f->hosts, host_free_each, f);
	map_fini(&f->hosts);
	loop_timer_free(&f->tell_timer);
	fetch_curl_close(f);
	mem_free(f->user_agent);
	mem_free(f);
}

/* The reason why not, or NULL. */
static const char *
job_refusal(const struct fetch *f, const struct fetch_request *r)
{
	for (const char *const *h = r->headers; h && *h; h++)
		if (!fetch_header_is_sound(*h))
			return "a header of the request is malformed";
	if (f->closing)
		return "the daemon ends";
	if (f->stats.waiting >= f->opts.max_waiting)
		return "too many requests wait already";
	return NULL;
}

static int
job_queue(struct fetch_job *j, const struct fetch_request *r, struct err *e)
{
	struct fetch *f = j->fetch;
	struct fetch_target t;
	const char *refusal = job_refusal(f, r);

	if (refusal)
		return err_set(e, "%s", refusal);
	if (fetch_check_url_to(r->url, r->to, e) < 0 ||
		fetch_url_parse(r->url, &t, e) < 0)
		return -1;
	j->to = r->to && t.plain ? FETCH_TO_PRIVATE : r->to;
	j->url = t.url;
	fetch_curl_prepare(j, r);
	j->host = host_get(f, &t);
	list_append(&j->host->waiting, &j->link);
	f->stats.waiting++;
	return 0;
}

struct fetch_job *
fetch_start(struct fetch *f, const struct fetch_request *r, fetch_fn *done, void *arg)
{
	struct fetch_job *j = xcalloc(1, sizeof(*j));
	struct err e = {0};

	j->fetch = f;
	j->fn = done;
	j->arg = arg;
	j->started_us = clock_mono_us();
	j->timeout_ms = r->timeout_ms ? r->timeout_ms : 30000;
	j->max_answer = r->max_answer ? r->max_answer : 65536;
	j->answer.retry_after_s = -1;
	j->deadline = loop_timer_new(f->loop, on_deadline, j);
	f->stats.started++;
	if (job_queue(j, r, &e) < 0) {
		job_fail(j, e.text);
		return j;
	}
	loop_timer_start(j->deadline, j->timeout_ms);
	host_place(j->host);
	pump(f);
	return j;
}

void
fetch_cancel(struct fetch_job **jp)
{
	struct fetch_job *j = *jp;

	if (!j)
		return;
	*jp = NULL;
	struct fetch *f = j->fetch;
	struct fetch_host *h = j->host; /* NULL when it is done */
	if (j->state == FETCH_RUNNING)
		fetch_curl_stop(j);
	job_leave(j);
	job_free(j);
	if (list_is_empty(&f->done))
		loop_timer_stop(f->tell_timer);
	if (h)
		host_place(h);
	pump(f);
}

void
fetch_get_stats(const struct fetch *f, struct fetch_stats *out)
{
	*out = f->stats;
}
