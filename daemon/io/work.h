/* work.h - a blocking call on a thread of its own, for what has no non-blocking form.
 *
 * The job is a private copy: nobody but the thread touches it between work_start and
 * done. Threads see nothing else of the daemon but the log. */
#ifndef INTERACTD_IO_WORK_H
#define INTERACTD_IO_WORK_H

#include <loop.h>

struct work;
typedef void work_fn(void *job);
typedef void work_done_fn(void *arg, void *job);

/* Runs run(job) on a new thread, then done(arg, job) on the loop's thread, then
 * free_job(job). Takes job. If no thread can be had, done comes without run. The work
 * is gone when done returns: forget the pointer there. */
struct work *work_start(struct loop *, work_fn *run, void *job, work_fn *free_job,
	work_done_fn *done, void *arg);
/* done will not come; the job is freed when its thread has ended. NULL-safe. */
void work_cancel(struct work **);

#endif
