/* resolve.c - getaddrinfo on a few threads, its answers back on the loop.
 *
 * A struct resolve lives on the loop: callback, deadline. A struct job is what a thread
 * works on. The job knows its owner, but only the loop's thread reads or clears that
 * field, so a question may be cancelled or time out while a thread is still inside
 * getaddrinfo: the job comes back, has no owner, and is freed.
 *
 * A job is in exactly one place: in `waiting`, in a thread's hands, or in `done`. The
 * resolver is freed by loop_free if no thread is left, else by the last thread: nobody
 * can interrupt getaddrinfo, and the daemon's end must not wait for a silent DNS. */
#include "io/resolve.h"

#include <list.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include "io/loop.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define THREADS_MAX 4
#define WAITING_MAX 64
#define HOST_LEN    256 /* RFC 1035 §2.3.4: a name has at most 255 octets */

struct job {
	struct list link;      /* in waiting or done */
	struct resolve *owner; /* loop's thread only */
	char host[HOST_LEN];
	char port[8];
	struct resolve_addr addrs[RESOLVE_MAX];
	size_t n;
	char why[160];
};

struct resolver {
	struct loop *loop;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work;
	struct list waiting, done; /* of struct job */
	unsigned n_waiting, n_threads, n_idle;
	bool closed;
};

struct resolve {
	struct resolver *resolver;
	struct job *job; /* never NULL until the callback */
	bool answered;	 /* the job is ours: numeric, or refused */
	unsigned timeout_ms;
	struct loop_timer *timer; /* deadline; or at once if answered */
	resolve_fn *cb;
	void *arg;
};

static void
job_take_list(struct job *j, const struct addrinfo *list)
{
	for (const struct addrinfo *ai = list; ai && j->n < RESOLVE_MAX;
		ai = ai->ai_next) {
		if (ai->ai_addrlen > sizeof(j->addrs[0].sa))
			continue;
		memcpy(&j->addrs[j->n].sa, ai->ai_addr, ai->ai_addrlen);
		j->addrs[j->n++].len = ai->ai_addrlen;
	}
}

/* Blocks unless flags has AI_NUMERICHOST. Returns getaddrinfo's code. */
static int
job_run(struct job *j, int flags)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = flags | AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	int rc = getaddrinfo(j->host, j->port, &hints, &list);

	if (rc == 0) {
		job_take_list(j, list);
		freeaddrinfo(list);
	}
	if (rc != 0)
		snprintf(j->why, sizeof(j->why), "cannot resolve \"%.100s\": %s",
			j->host, gai_strerror(rc));
	else if (j->n == 0)
		snprintf(j->why, sizeof(j->why), "\"%.100s\" has no address", j->host);
	return rc;
}

static void
jobs_free(struct list *jobs)
{
	list_for_each_safe (jobs, it)
		mem_free(LIST_ENTRY(it, struct job, link));
	list_init(jobs);
}

static void
resolver_destroy(struct resolver *rs)
{
	pthread_cond_destroy(&rs->work);
	pthread_mutex_destroy(&rs->lock);
	mem_free(rs);
}

/* Frees the handle and its job and calls back, in the order that lets the callback ask
 * again at once. */
static void
resolve_answer(struct resolve *r, struct job *j)
{
	resolve_fn *cb = r->cb;
	void *arg = r->arg;

	loop_timer_free(&r->timer);
	mem_free(r);
	cb(arg, j->addrs, j->n, j->why);
	mem_free(j);
}

/* On the loop: what threads have finished. One job a lock, for callbacks may cancel. */
static void
on_done(void *arg)
{
	struct resolver *rs = arg;

	for (;;) {
		struct job *j = NULL;
		pthread_mutex_lock(&rs->lock);
		if (!list_is_empty(&rs->done)) {
			j = LIST_ENTRY(rs->done.next, struct job, link);
			list_remove(&j->link);
		}
		pthread_mutex_unlock(&rs->lock);
		if (!j)
			return;
		if (j->owner)
			resolve_answer(j->owner, j);
		else
			mem_free(j);
	}
}

/* With the lock held. Returns NULL when the loop is gone. */
static struct job *
thread_next_job(struct resolver *rs)
{
	while (!rs->closed && list_is_empty(&rs->waiting)) {
		rs->n_idle++;
		pthread_cond_wait(&rs->work, &rs->lock);
		rs->n_idle--;
	}
	if (rs->closed)
		return NULL;
	struct job *j = LIST_ENTRY(rs->waiting.next, struct job, link);
	list_remove(&j->link);
	rs->n_waiting--;
	return j;
}

static void *
thread_main(void *arg)
{
	struct resolver *rs = arg;
	struct job *j;

	pthread_mutex_lock(&rs->lock);
	while ((j = thread_next_job(rs))) {
		pthread_mutex_unlock(&rs->lock);
		job_run(j, 0);
		pthread_mutex_lock(&rs->lock);
		if (rs->closed) {
			mem_free(j);
			break;
		}
		list_append(&rs->done, &j->link);
		/* Under the lock: resolver_free cannot pass, so the loop is there. */
		loop_post(rs->loop, on_done, rs);
	}
	bool last = --rs->n_threads == 0;
	pthread_mutex_unlock(&rs->lock);
	if (last)
		resolver_destroy(rs);
	return NULL;
}

/* With the lock held. Signals are the main thread's. If no thread can be made,
 * questions end by their deadlines. */
static void
resolver_add_thread(struct resolver *rs)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&thread, &attr, thread_main, rs);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (rc == 0)
		rs->n_threads++;
	else
		log_warnx("resolve", "cannot start a thread: %s", strerror(rc));
}

static struct resolver *
resolver_get(struct loop *l)
{
	struct resolver **rsp = loop_resolver(l);

	if (!*rsp) {
		struct resolver *rs = xcalloc(1, sizeof(*rs));
		rs->loop = l;
		pthread_mutex_init(&rs->lock, NULL);
		pthread_cond_init(&rs->work, NULL);
		list_init(&rs->waiting);
		list_init(&rs->done);
		*rsp = rs;
	}
	return *rsp;
}

void
resolver_free(struct resolver **rsp)
{
	struct resolver *rs = *rsp;

	if (!rs)
		return;
	*rsp = NULL;
	pthread_mutex_lock(&rs->lock);
	rs->closed = true;
	jobs_free(&rs->waiting);
	jobs_free(&rs->done);
	pthread_cond_broadcast(&rs->work);
	bool last = rs->n_threads == 0;
	pthread_mutex_unlock(&rs->lock);
	if (last)
		resolver_destroy(rs);
}

/* Gives the job to the threads; false if too many wait. */
static bool
resolver_submit(struct resolver *rs, struct job *j)
{
	bool room;

	pthread_mutex_lock(&rs->lock);
	room = rs->n_waiting < WAITING_MAX;
	if (room) {
		list_append(&rs->waiting, &j->link);
		rs->n_waiting++;
		if (rs->n_waiting > rs->n_idle && rs->n_threads < THREADS_MAX)
			resolver_add_thread(rs);
		pthread_cond_signal(&rs->work);
	}
	pthread_mutex_unlock(&rs->lock);
	return room;
}

/* Parts the job from its question: frees it, or leaves it to the thread that has it. */
static void
resolver_disown(struct resolver *rs, struct job *j)
{
	pthread_mutex_lock(&rs->lock);
	list_for_each (&rs->waiting, it) {
		if (it == &j->link) {
			list_remove(&j->link);
			rs->n_waiting--;
			pthread_mutex_unlock(&rs->lock);
			mem_free(j);
			return;
		}
	}
	pthread_mutex_unlock(&rs->lock);
	j->owner = NULL;
}

static void
on_timer(void *arg)
{
	struct resolve *r = arg;
	struct job *mine = r->job;

	if (!r->answered) {
		mine = xcalloc(1, sizeof(*mine));
		snprintf(mine->why, sizeof(mine->why),
			"cannot resolve \"%.100s\": no answer in %u ms", r->job->host,
			r->timeout_ms);
		resolver_disown(r->resolver, r->job);
	}
	resolve_answer(r, mine);
}

/* Fills the job with an answer that needs no thread: a numeric address, or a refusal.
 */
static bool
job_answer_at_once(struct job *j, const char *host, unsigned port)
{
	size_t len = str_copy(j->host, sizeof(j->host), host);

	snprintf(j->port, sizeof(j->port), "%u", port & 0xffffu);
	if (len == 0 || len >= sizeof(j->host) || port > 0xffff) {
		snprintf(j->why, sizeof(j->why), "\"%.100s\" port %u is no address",
			host, port);
		return true;
	}
	if (job_run(j, AI_NUMERICHOST) == 0)
		return true;
	j->why[0] = '\0';
	return false;
}

struct resolve *
resolve_start(struct loop *l, const char *host, unsigned port, unsigned timeout_ms,
	resolve_fn *cb, void *arg)
{
	struct resolve *r = xcalloc(1, sizeof(*r));
	struct job *j = xcalloc(1, sizeof(*j));

	*r = (struct resolve){.resolver = resolver_get(l),
		.job = j,
		.timeout_ms = timeout_ms,
		.timer = loop_timer_new(l, on_timer, r),
		.cb = cb,
		.arg = arg};
	j->owner = r;
	r->answered = job_answer_at_once(j, host, port);
	if (!r->answered && !resolver_submit(r->resolver, j)) {
		r->answered = true;
		snprintf(j->why, sizeof(j->why),
			"cannot resolve \"%.100s\": %d names wait already", host,
			WAITING_MAX);
	}
	loop_timer_start(r->timer, r->answered ? 0 : timeout_ms);
	return r;
}

void
resolve_cancel(struct resolve **rp)
{
	struct resolve *r = *rp;

	if (!r)
		return;
	*rp = NULL;
	loop_timer_free(&r->timer);
	if (r->answered)
		mem_free(r->job);
	else
		resolver_disown(r->resolver, r->job);
	mem_free(r);
}

bool
resolve_split(const char *address, unsigned default_port, char *host, size_t cap,
	unsigned *port_r)
{
	bool bracketed = address[0] == '[';
	const char *start = bracketed ? address + 1 : address;
	const char *end = bracketed ? strchr(start, ']') : start + strcspn(start, ":");
	int64_t port = default_port;

	if (!end || end == start || (size_t)(end - start) >= cap)
		return false;
	const char *rest = bracketed ? end + 1 : end;
	if (*rest == ':' && !str_int(rest + 1, 1, 65535, &port))
		return false;
	if ((*rest && *rest != ':') || port < 1 || port > 65535)
		return false;
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	*port_r = (unsigned)port;
	return true;
}

const char *
resolve_text(char dst[RESOLVE_TEXT_LEN], const struct resolve_addr *a)
{
	const struct sockaddr *sa = (const struct sockaddr *)&a->sa;

	dst[0] = '\0';
	if (sa->sa_family == AF_UNIX)
		str_copy(dst, RESOLVE_TEXT_LEN,
			((const struct sockaddr_un *)&a->sa)->sun_path);
	else if (getnameinfo(sa, a->len, dst, RESOLVE_TEXT_LEN, NULL, 0,
			 NI_NUMERICHOST) != 0)
		str_copy(dst, RESOLVE_TEXT_LEN, "?");
	return dst;
}
