/* work.c - blocking calls on detached threads.
 *
 * A work is shared by the thread and the loop. Its lock guards `loop` only: the thread
 * posts under it, a cancelling owner clears it under it, so a thread that outlives the
 * loop (a resolver that waits for a dead name server) finds NULL and frees the work
 * itself. Once posted, the work belongs to work_on_end. */
#include "io/work.h"

#include <mem.h>

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

struct work {
	pthread_mutex_t lock;
	struct loop *loop; /* NULL: cancelled */
	work_fn *run, *free_job;
	work_done_fn *done;
	void *job, *arg;
};

static void
work_free(struct work *w)
{
	w->free_job(w->job);
	pthread_mutex_destroy(&w->lock);
	xfree(&w);
}

/* Tells the owner, on the loop's thread. */
static void
work_on_end(void *arg)
{
	struct work *w = arg;

	/* The thread that posted this may still hold the lock: it must be out of it
	 * before the work is freed. */
	pthread_mutex_lock(&w->lock);
	bool cancelled = !w->loop;
	pthread_mutex_unlock(&w->lock);
	if (!cancelled)
		w->done(w->arg, w->job);
	work_free(w);
}

static void *
work_thread(void *arg)
{
	struct work *w = arg;

	w->run(w->job);
	pthread_mutex_lock(&w->lock);
	bool cancelled = !w->loop;
	if (!cancelled)
		loop_post(w->loop, work_on_end, w);
	pthread_mutex_unlock(&w->lock);
	if (cancelled)
		work_free(w);
	return NULL;
}

/* Starts a detached thread that takes no signals: those belong to the loop. */
static int
work_spawn(struct work *w)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	int rc = pthread_create(&thread, &attr, work_thread, w);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

struct work *
work_start(struct loop *loop, work_fn *run, void *job, work_fn *free_job,
	work_done_fn *done, void *arg)
{
	struct work *w = xcalloc(1, sizeof(*w));

	pthread_mutex_init(&w->lock, NULL);
	w->loop = loop;
	w->run = run;
	w->free_job = free_job;
	w->done = done;
	w->job = job;
	w->arg = arg;
	if (work_spawn(w) != 0)
		loop_defer(loop, work_on_end, w);
	return w;
}

void
work_cancel(struct work **wp)
{
	struct work *w = *wp;

	*wp = NULL;
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->loop = NULL;
	pthread_mutex_unlock(&w->lock);
}
