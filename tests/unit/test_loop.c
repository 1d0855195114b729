/* The loop's order of things, its timers, posts from threads, and the resolver. */
#include <clock.h>
#include <lib/test.h>
#include <mem.h>

#include "io/loop.h"
#include "io/resolve.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct trace {
	struct loop *loop;
	char text[256];
	int n;
	struct loop_timer *timer;
};

static void
put(struct trace *t, const char *word)
{
	strncat(t->text, word, sizeof(t->text) - strlen(t->text) - 1);
}

static void
put_free(void *arg)
{
	put(arg, "F");
}

static void
put_c(void *arg)
{
	put(arg, "c");
}

static void
put_a(void *arg)
{
	struct trace *t = arg;
	put(t, "a");
	loop_free_later(t->loop, put_free, t);
	loop_defer(t->loop, put_c, t);
}

static void
put_b(void *arg)
{
	put(arg, "b");
}

static void
on_timer(void *arg)
{
	struct trace *t = arg;
	loop_defer(t->loop, put_a, t);
	loop_defer(t->loop, put_b, t);
	put(t, "t");
	loop_timer_free(&t->timer);
}

static void
test_deferred_run_in_order_then_frees_then_next_turn(void)
{
	struct trace t = {.loop = loop_new()};

	t.timer = loop_timer_new(t.loop, on_timer, &t);
	loop_timer_start(t.timer, 1);
	CHECK(loop_timer_is_running(t.timer));
	loop_run_once(t.loop, 1000);
	CHECK_STR(t.text, "tabF");
	CHECK(!t.timer);
	loop_run_once(t.loop, 1000);
	CHECK_STR(t.text, "tabFc");
	loop_free(&t.loop);
}

static void
defer_forever(void *arg)
{
	struct trace *t = arg;
	t->n++;
	loop_defer(t->loop, defer_forever, t);
}

static void
stop(void *arg)
{
	struct trace *t = arg;
	loop_stop(t->loop);
}

static void
test_a_function_that_defers_itself_does_not_stop_the_loop(void)
{
	struct trace t = {.loop = loop_new()};

	t.timer = loop_timer_new(t.loop, stop, &t);
	loop_timer_start(t.timer, 20);
	loop_defer(t.loop, defer_forever, &t);
	loop_run(t.loop);
	CHECK(t.n > 1);
	loop_timer_free(&t.timer);
	loop_free(&t.loop);
}

static void
test_free_later_runs_at_the_loops_end(void)
{
	struct trace t = {.loop = loop_new()};

	loop_free_later(t.loop, put_free, &t);
	loop_defer(t.loop, put_a, &t);
	loop_free(&t.loop);
	CHECK_STR(t.text, "F");
	loop_free(&t.loop);
}

static void
count(void *arg)
{
	struct trace *t = arg;
	if (++t->n == 4000)
		loop_stop(t->loop);
}

static void *
post_thousand(void *arg)
{
	struct trace *t = arg;
	for (int i = 0; i < 1000; i++)
		loop_post(t->loop, count, t);
	return NULL;
}

static void
test_posts_from_threads_all_arrive(void)
{
	struct trace t = {.loop = loop_new()};
	pthread_t threads[4];

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_create(&threads[i], NULL, post_thousand, &t);
	loop_run(t.loop);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	CHECK_INT(t.n, 4000);
	loop_free(&t.loop);
}

static void
test_timers(void)
{
	struct trace t = {.loop = loop_new()};
	int64_t start = clock_mono_us();

	t.timer = loop_timer_new(t.loop, put_b, &t);
	loop_timer_start(t.timer, 1);
	loop_timer_stop(t.timer);
	CHECK(!loop_timer_is_running(t.timer));
	loop_run_once(t.loop, 30);
	CHECK_STR(t.text, "");
	CHECK(clock_mono_us() - start >= 29000);
	loop_timer_start(t.timer, 1000);
	loop_timer_start(t.timer, 5);
	start = clock_mono_us();
	loop_run_once(t.loop, 1000);
	CHECK_STR(t.text, "b");
	CHECK(clock_mono_us() - start >= 5000);
	CHECK(!loop_timer_is_running(t.timer));
	loop_timer_free(&t.timer);
	loop_timer_free(&t.timer);
	loop_free(&t.loop);
}

static void
on_signal(int signo, void *arg)
{
	struct trace *t = arg;
	t->n = signo;
	loop_stop(t->loop);
}

static void
test_signal(void)
{
	struct trace t = {.loop = loop_new()};

	loop_on_signal(t.loop, SIGUSR1, on_signal, &t);
	raise(SIGUSR1);
	loop_run(t.loop);
	CHECK_INT(t.n, SIGUSR1);
	loop_free(&t.loop);
}

static void
test_backoff(void)
{
	for (unsigned attempt = 0; attempt < 100; attempt++) {
		int64_t full = attempt < 6 ? 100 << attempt : 5000;
		if (full > 5000)
			full = 5000;
		int64_t ms = loop_backoff_ms(attempt, 100, 5000);
		CHECK(ms <= full && ms >= full / 2);
	}
	CHECK_INT(loop_backoff_ms(9, 0, 5000), 0);
}

struct answer {
	struct loop *loop;
	int n;
	size_t n_addrs;
	char text[RESOLVE_TEXT_LEN], why[200];
};

static void
on_answer(void *arg, const struct resolve_addr *addrs, size_t n, const char *why)
{
	struct answer *a = arg;
	a->n++;
	a->n_addrs = n;
	snprintf(a->why, sizeof(a->why), "%s", why);
	if (n > 0)
		resolve_text(a->text, &addrs[0]);
}

static void
wait_answer(struct answer *a, int n)
{
	for (int64_t end = clock_mono_us() + 10000000;
		a->n < n && clock_mono_us() < end;)
		loop_run_once(a->loop, 100);
	CHECK_INT(a->n, n);
}

static void
test_resolve_numeric_and_names(void)
{
	static const struct {
		const char *host, *text, *why;
	} cases[] = {
		{"192.0.2.7", "192.0.2.7", ""},
		{"2001:db8::1", "2001:db8::1", ""},
		{"localhost", NULL, ""},
		{"no-such-host.invalid", NULL,
			"cannot resolve \"no-such-host.invalid\""},
		{"", NULL, "is no address"},
	};
	struct answer a = {.loop = loop_new()};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		a.n = 0;
		resolve_start(a.loop, cases[i].host, 5038, 9000, on_answer, &a);
		CHECK_INT(a.n, 0);
		wait_answer(&a, 1);
		CHECK_INT(a.n_addrs > 0, !*cases[i].why);
		if (cases[i].text)
			CHECK_STR(a.text, cases[i].text);
		CHECK(strstr(a.why, cases[i].why));
	}
	loop_free(&a.loop);
}

static void
test_resolve_cancel_and_full_queue(void)
{
	struct answer a = {.loop = loop_new()}, none = {.loop = a.loop};
	struct resolve *r[80];

	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		r[i] = resolve_start(a.loop, "no-such-host.invalid", 1, 9000, on_answer,
			i % 2 ? &a : &none);
	for (size_t i = 0; i < ARRAY_LEN(r); i += 2)
		resolve_cancel(&r[i]);
	wait_answer(&a, ARRAY_LEN(r) / 2);
	CHECK_INT(none.n, 0);
	resolve_start(a.loop, "no-such-host.invalid", 1, 0, on_answer, &a);
	wait_answer(&a, ARRAY_LEN(r) / 2 + 1);
	r[0] = resolve_start(a.loop, "localhost", 1, 9000, on_answer, &none);
	r[1] = resolve_start(a.loop, "127.0.0.1", 1, 9000, on_answer, &none);
	resolve_cancel(&r[0]);
	resolve_cancel(&r[1]);
	resolve_cancel(&r[1]);
	loop_free(&a.loop);
	CHECK_INT(none.n, 0);
}

static void
test_resolve_split(void)
{
	static const struct {
		const char *address;
		unsigned default_port;
		const char *host; /* NULL = refused */
		unsigned port;
	} cases[] = {
		{"pbx:5038", 0, "pbx", 5038},
		{"[2001:db8::1]:80", 0, "2001:db8::1", 80},
		{"pbx", 5038, "pbx", 5038},
		{"[::1]", 1, "::1", 1},
		{"pbx", 0, NULL, 0},
		{"", 1, NULL, 0},
		{":1", 0, NULL, 0},
		{"pbx:", 1, NULL, 0},
		{"pbx:0", 0, NULL, 0},
		{"pbx:65536", 0, NULL, 0},
		{"pbx:12a", 0, NULL, 0},
		{"::1", 1, NULL, 0},
		{"[::1", 1, NULL, 0},
		{"[::1]x", 1, NULL, 0},
		{"[]:1", 1, NULL, 0},
		{"a-host-name-too-long:1", 0, NULL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char host[16] = "";
		unsigned port = 0;
		bool ok = resolve_split(cases[i].address, cases[i].default_port, host,
			sizeof(host), &port);
		CHECK_INT(ok, cases[i].host != NULL);
		if (ok)
			CHECK_STR(host, cases[i].host);
		CHECK_INT(port, cases[i].port);
	}
}

int
main(void)
{
	TEST(test_deferred_run_in_order_then_frees_then_next_turn);
	TEST(test_a_function_that_defers_itself_does_not_stop_the_loop);
	TEST(test_free_later_runs_at_the_loops_end);
	TEST(test_posts_from_threads_all_arrive);
	TEST(test_timers);
	TEST(test_signal);
	TEST(test_backoff);
	TEST(test_resolve_numeric_and_names);
	TEST(test_resolve_cancel_and_full_queue);
	TEST(test_resolve_split);
	return test_done();
}
