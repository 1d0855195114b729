/* Blocking calls on threads: each ends once, on the loop, or not at all if cancelled. */
#include <clock.h>
#include <io/loop.h>
#include <io/work.h>
#include <lib/test.h>
#include <mem.h>

#include <stdatomic.h>
#include <unistd.h>

struct job {
	unsigned pause_us;
	int ran;
};

static atomic_int freed;

static void
job_run(void *arg)
{
	struct job *j = arg;

	if (j->pause_us)
		usleep(j->pause_us);
	j->ran = 1;
}

static void
job_free(void *arg)
{
	freed++;
	mem_free(arg);
}

static void
on_done(void *arg, void *job)
{
	CHECK_INT(((struct job *)job)->ran, 1);
	++*(int *)arg;
}

static void
until(struct loop *loop, const int *counter, int n)
{
	int64_t end = clock_mono_us() + 20 * 1000 * 1000;

	while (*counter < n && clock_mono_us() < end)
		loop_run_once(loop, 100);
	CHECK_INT(*counter, n);
}

/* The thread was still inside its lock when the loop freed it: a corrupted heap in one of
 * ten runs of the PostgreSQL tests. */
static void
test_work_is_freed_only_when_its_thread_is_out_of_it(void)
{
	enum { N = 3000, AT_ONCE = 8 };
	struct loop *loop = loop_new();
	int done = 0;

	freed = 0;
	for (int i = 0; i < N; i += AT_ONCE) {
		for (int k = 0; k < AT_ONCE; k++)
			work_start(loop, job_run, xcalloc(1, sizeof(struct job)),
				job_free, on_done, &done);
		CHECK(done <= i);
		until(loop, &done, i + AT_ONCE);
	}
	CHECK_INT(freed, N);
	loop_free(&loop);
}

static void
test_cancelled_work_ends_in_silence(void)
{
	enum { N = 200 };
	struct loop *loop = loop_new();
	int done = 0, last = 0;

	freed = 0;
	for (int i = 0; i < N; i++) {
		struct job *j = xcalloc(1, sizeof(*j));
		j->pause_us = (unsigned)(i % 5) * 100;
		struct work *w = work_start(loop, job_run, j, job_free, on_done, &done);
		if (i % 3 == 0)
			loop_run_once(loop, 0);
		if (done) {
			done = 0;
			continue; /* it was through already: nothing to cancel */
		}
		work_cancel(&w);
		CHECK(!w);
	}
	struct work *none = NULL;
	work_cancel(&none);
	struct job *j = xcalloc(1, sizeof(*j));
	work_start(loop, job_run, j, job_free, on_done, &last);
	until(loop, &last, 1);
	for (int i = 0; i < 1000 && freed < N + 1; i++)
		loop_run_once(loop, 10);
	CHECK_INT(freed, N + 1);
	CHECK_INT(done, 0);
	loop_free(&loop);
}

int
main(void)
{
	TEST(test_work_is_freed_only_when_its_thread_is_out_of_it);
	TEST(test_cancelled_work_ends_in_silence);
	return test_done();
}
