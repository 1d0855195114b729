/* loop.h - the one event loop (libevent). include/loop.h has timers and deferral. */
#ifndef INTERACTD_IO_LOOP_H
#define INTERACTD_IO_LOOP_H

#include <loop.h>

struct event_base;
struct resolver;

struct loop *loop_new(void);
/* NULL-safe. Timers and connections made with it are freed before, and threads that
 * post to it have ended. What is still asked for by loop_free_later is freed; deferred
 * and posted functions are dropped without being called. */
void loop_free(struct loop **);
void loop_run(struct loop *); /* returns at the end of the turn that called loop_stop */
void loop_stop(struct loop *); /* before loop_run: loop_run returns at once */
/* One pass: waits for the next event at most max_ms (tests). */
void loop_run_once(struct loop *, int64_t max_ms);
/* For the loop's life; fn is called on the loop, not inside the signal handler. */
typedef void loop_signal_fn(int signo, void *arg);
void loop_on_signal(struct loop *, int signo, loop_signal_fn *, void *arg);
/* For io/ only: libevent's base. */
struct event_base *loop_base(struct loop *);
/* For resolve.c only: where the loop keeps its resolver, NULL until first used. */
struct resolver **loop_resolver(struct loop *);

#endif
