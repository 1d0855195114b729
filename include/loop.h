/* loop.h - time and deferral on the one event loop.
 *
 * Everything runs on the loop's thread unless said otherwise; no callback is ever
 * called before the function that asked for it has returned. */
#ifndef INTERACTD_LOOP_H
#define INTERACTD_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_timer;
typedef void loop_fn(void *arg);

/* A one-shot timer, disarmed; embedded by pointer, freed with loop_timer_free. */
struct loop_timer *loop_timer_new(struct loop *, loop_fn *fn, void *arg);
void
loop_timer_free(struct loop_timer **); /* NULL-safe; also inside its own callback */
void loop_timer_start(struct loop_timer *, int64_t ms); /* restarts a running one */
void loop_timer_stop(struct loop_timer *);
bool loop_timer_is_running(const struct loop_timer *);

/* fn(arg) once, at the end of this turn of the loop, in the order asked for. */
void loop_defer(struct loop *, loop_fn *fn, void *arg);
/* free_fn(p) after all callbacks of this turn: nothing is freed under its own callback.
 */
void loop_free_later(struct loop *, loop_fn *free_fn, void *p);
/* From any thread: fn(arg) on the loop's thread, soon. */
void loop_post(struct loop *, loop_fn *fn, void *arg);

/* base * 2^attempt, at most cap, less up to half of it at random (jitter). */
int64_t loop_backoff_ms(unsigned attempt, int64_t base_ms, int64_t cap_ms);

#endif
