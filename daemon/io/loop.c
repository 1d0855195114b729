/* loop.c - libevent's base, and what the rest of the daemon sees of it.
 *
 * Deferred functions run from one event, `turn`, which is activated behind the events
 * already active: so they come at the end of this turn of the loop. What a deferred
 * function defers itself is put off by a zero timer to the next turn, so that a
 * function which defers itself again and again never keeps the loop from looking at its
 * sockets.
 *
 * Frees run after the deferred functions: at that point no other callback is on the
 * stack, whatever asked for the free.
 *
 * Other threads reach the loop only through loop_post (a list under a mutex, and an
 * eventfd); libevent itself is used without its locks. */
#include "io/loop.h"

#include <list.h>
#include <log.h>
#include <mem.h>

#include "io/resolve.h"

#include <event2/event.h>
#include <event2/util.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct call {
	struct list link;
	loop_fn *fn;
	void *arg;
};

struct signal_watch {
	struct list link;
	struct event *ev;
	loop_signal_fn *fn;
	void *arg;
};

struct loop {
	struct event_base *base;
	struct event *turn; /* runs deferred, then frees */
	struct event *pass; /* ends loop_run_once's wait */
	struct event *wake; /* wake_fd is readable: something was posted */
	int wake_fd;
	bool stop;
	bool in_turn;
	struct list deferred, frees; /* of struct call */
	struct list signals;	     /* of struct signal_watch */
	struct resolver *resolver;
	pthread_mutex_t lock; /* guards posted */
	struct list posted;   /* of struct call */
};

struct loop_timer {
	struct event *ev;
	loop_fn *fn;
	void *arg;
};

static void
on_libevent_log(int severity, const char *msg)
{
	switch (severity) {
	case EVENT_LOG_DEBUG: log_debug("libevent", "%s", msg); break;
	case EVENT_LOG_MSG: log_info("libevent", "%s", msg); break;
	case EVENT_LOG_WARN: log_warnx("libevent", "%s", msg); break;
	default: log_errorx("libevent", "%s", msg); break;
	}
}

static void
on_libevent_fatal(int code)
{
	log_errorx("libevent", "gave up with code %d", code);
	abort();
}

static _Noreturn void
die(const char *what)
{
	log_error("loop", "cannot %s", what);
	abort();
}

static void
calls_add(struct list *calls, loop_fn *fn, void *arg)
{
	struct call *c = xmalloc(sizeof(*c));
	*c = (struct call){.fn = fn, .arg = arg};
	list_append(calls, &c->link);
}

/* Moves everything to `to`, so that what is added meanwhile waits for the next round.
 */
static void
calls_take(struct list *from, struct list *to)
{
	list_init(to);
	while (!list_is_empty(from)) {
		struct list *it = from->next;
		list_remove(it);
		list_append(to, it);
	}
}

static void
calls_run(struct list *calls, bool really)
{
	while (!list_is_empty(calls)) {
		struct call *c = LIST_ENTRY(calls->next, struct call, link);
		list_remove(&c->link);
		struct call copy = *c;
		mem_free(c);
		if (really)
			copy.fn(copy.arg);
	}
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	struct list now;

	(void)fd;
	(void)what;
	l->in_turn = true;
	calls_take(&l->deferred, &now);
	calls_run(&now, true);
	calls_take(&l->frees, &now);
	calls_run(&now, true);
	l->in_turn = false;
	if (!list_is_empty(&l->deferred) || !list_is_empty(&l->frees))
		event_add(l->turn, &(struct timeval){0, 0});
}

static void
turn_schedule(struct loop *l)
{
	if (!l->in_turn)
		event_active(l->turn, EV_TIMEOUT, 0);
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	struct list now;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
		log_error("loop", "cannot read the eventfd");
	pthread_mutex_lock(&l->lock);
	calls_take(&l->posted, &now);
	pthread_mutex_unlock(&l->lock);
	calls_run(&now, true);
}

static void
on_pass(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* The cached time of libevent is the turn's start: a timer set late in a long turn
 * would fire early by that much. */
static struct event_base *
base_new(void)
{
	struct event_config *cfg = event_config_new();
	struct event_base *base = NULL;

	if (cfg) {
		event_config_set_flag(cfg, EVENT_BASE_FLAG_PRECISE_TIMER);
		event_config_set_flag(cfg, EVENT_BASE_FLAG_NO_CACHE_TIME);
		event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
		base = event_base_new_with_config(cfg);
		event_config_free(cfg);
	}
	if (!base)
		die("make libevent's base");
	return base;
}

static struct event *
event_make(struct event_base *base, int fd, short what, event_callback_fn fn, void *arg)
{
	struct event *ev = event_new(base, fd, what, fn, arg);
	if (!ev)
		die("make an event");
	return ev;
}

struct loop *
loop_new(void)
{
	struct loop *l = xcalloc(1, sizeof(*l));

	event_set_log_callback(on_libevent_log);
	event_set_fatal_callback(on_libevent_fatal);
	sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
	/* A limit on file sizes is an error of write(), and no reason to die. */
	sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
	list_init(&l->deferred);
	list_init(&l->frees);
	list_init(&l->signals);
	list_init(&l->posted);
	pthread_mutex_init(&l->lock, NULL);
	l->base = base_new();
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0)
		die("make an eventfd");
	l->turn = event_make(l->base, -1, 0, on_turn, l);
	l->pass = event_make(l->base, -1, 0, on_pass, l);
	l->wake = event_make(l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
	if (event_add(l->wake, NULL) < 0)
		die("watch the eventfd");
	return l;
}

static void
signals_free(struct loop *l)
{
	list_for_each_safe (&l->signals, it) {
		struct signal_watch *w = LIST_ENTRY(it, struct signal_watch, link);
		event_free(w->ev);
		mem_free(w);
	}
}

void
loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	if (!l)
		return;
	*lp = NULL;
	resolver_free(&l->resolver);
	while (!list_is_empty(&l->frees))
		calls_run(&l->frees, true);
	calls_run(&l->deferred, false);
	calls_run(&l->posted, false);
	signals_free(l);
	event_del(l->turn);
	/* libevent frees bufferevents in a turn of its own. */
	event_base_loop(l->base, EVLOOP_NONBLOCK);
	event_free(l->turn);
	event_free(l->pass);
	event_free(l->wake);
	close(l->wake_fd);
	event_base_free(l->base);
	pthread_mutex_destroy(&l->lock);
	mem_free(l);
}

void
loop_run(struct loop *l)
{
	/* Turn by turn, so that the turn in which loop_stop is called is finished. */
	while (!l->stop)
		if (event_base_loop(l->base, EVLOOP_ONCE) < 0)
			die("run libevent's loop");
	l->stop = false;
}

void
loop_stop(struct loop *l)
{
	l->stop = true;
}

static struct timeval
timeval_of_ms(int64_t ms)
{
	if (ms < 0)
		ms = 0;
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

void
loop_run_once(struct loop *l, int64_t max_ms)
{
	struct timeval tv = timeval_of_ms(max_ms);

	if (max_ms > 0)
		event_add(l->pass, &tv);
	if (event_base_loop(l->base, max_ms > 0 ? EVLOOP_ONCE : EVLOOP_NONBLOCK) < 0)
		die("run libevent's loop");
	event_del(l->pass);
}

struct event_base *
loop_base(struct loop *l)
{
	return l->base;
}

struct resolver **
loop_resolver(struct loop *l)
{
	return &l->resolver;
}

static void
on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct signal_watch *w = arg;

	(void)what;
	w->fn((int)signo, w->arg);
}

void
loop_on_signal(struct loop *l, int signo, loop_signal_fn *fn, void *arg)
{
	struct signal_watch *w = xcalloc(1, sizeof(*w));

	w->fn = fn;
	w->arg = arg;
	w->ev = event_make(l->base, signo, EV_SIGNAL | EV_PERSIST, on_signal, w);
	if (event_add(w->ev, NULL) < 0)
		die("watch a signal");
	list_append(&l->signals, &w->link);
}

void
loop_defer(struct loop *l, loop_fn *fn, void *arg)
{
	calls_add(&l->deferred, fn, arg);
	turn_schedule(l);
}

void
loop_free_later(struct loop *l, loop_fn *free_fn, void *p)
{
	calls_add(&l->frees, free_fn, p);
	turn_schedule(l);
}

void
loop_post(struct loop *l, loop_fn *fn, void *arg)
{
	uint64_t one = 1;

	pthread_mutex_lock(&l->lock);
	calls_add(&l->posted, fn, arg);
	/* Inside the lock: once it is released the call may have run, and the loop be
	 * gone. EAGAIN would mean the counter is full: then the loop is awake anyway.
	 */
	ssize_t n = write(l->wake_fd, &one, sizeof(one));
	(void)n;
	pthread_mutex_unlock(&l->lock);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *t = arg;

	(void)fd;
	(void)what;
	t->fn(t->arg);
}

struct loop_timer *
loop_timer_new(struct loop *l, loop_fn *fn, void *arg)
{
	struct loop_timer *t = xcalloc(1, sizeof(*t));

	t->fn = fn;
	t->arg = arg;
	t->ev = event_make(l->base, -1, 0, on_timer, t);
	return t;
}

void
loop_timer_free(struct loop_timer **tp)
{
	if (!*tp)
		return;
	event_free((*tp)->ev);
	xfree(tp);
}

void
loop_timer_start(struct loop_timer *t, int64_t ms)
{
	struct timeval tv = timeval_of_ms(ms);

	if (event_add(t->ev, &tv) < 0)
		die("start a timer");
}

void
loop_timer_stop(struct loop_timer *t)
{
	event_del(t->ev);
}

bool
loop_timer_is_running(const struct loop_timer *t)
{
	return event_pending(t->ev, EV_TIMEOUT, NULL) != 0;
}

int64_t
loop_backoff_ms(unsigned attempt, int64_t base_ms, int64_t cap_ms)
{
	int64_t ms = base_ms < cap_ms ? base_ms : cap_ms;
	uint64_t random;

	for (unsigned i = 0; i < attempt && ms < cap_ms; i++)
		ms = ms > cap_ms / 2 ? cap_ms : ms * 2;
	if (ms < 2)
		return ms;
	evutil_secure_rng_get_bytes(&random, sizeof(random));
	return ms - (int64_t)(random % (uint64_t)(ms / 2 + 1));
}
