/* test_http_receive.c - request bodies in pieces: any length in bounded memory, pauses,
 * early answers, broken framing, slow drips, clients that go. */
#include "lib/test.h"

#include "lib/http_client.h"

#include <io/http.h>
#include <io/loop.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

static struct {
	struct loop *loop;
	struct http_server *server;
	struct http_request *request;
	struct buf got; /* what came of the body, if it is short */
	size_t bytes, largest;
	unsigned ends;
	int status;
	bool pause_each, answer_early, hold;
} t;

static void
on_piece(void *arg, const char *data, size_t len)
{
	CHECK(arg == &t);
	t.bytes += len;
	t.largest = len > t.largest ? len : t.largest;
	if (t.got.len < 1000)
		buf_add(&t.got, data, len);
	if (t.pause_each)
		http_receive_pause(t.request, true);
	if (t.answer_early)
		http_problem(t.request, 422, NULL, "enough");
}

static void
on_end(void *arg, int status, const char *why)
{
	CHECK(arg == &t);
	t.ends++;
	t.status = status;
	if (status)
		http_problem(t.request, status, NULL, "%s", why);
	else
		http_answer(t.request, 200, "text/plain", "whole", 5);
}

static const struct http_receiver receiver = {on_piece, on_end};

static void
on_import(struct http_request *r, void *arg)
{
	(void)arg;
	t.request = r;
	if (!t.hold)
		http_receive(r, &receiver, &t);
}

static void
on_other(struct http_request *r, void *arg)
{
	(void)arg;
	http_answer(r, 200, "text/plain", "other", 5);
}

static void
setup(void)
{
	static char v4[] = "127.0.0.1:0";
	static char *listen[] = {v4};
	static const struct conf_list l = {listen, 1};
	struct http_opts o = {.listen = &l,
		.max_header_bytes = 8192,
		.max_body_bytes = 1000,
		.header_timeout_ms = 2000,
		.body_timeout_ms = 300,
		.idle_timeout_ms = 2000,
		.max_output_bytes = 1 << 20};
	struct err e = {0};

	memset(&t, 0, sizeof(t));
	t.loop = loop_new();
	t.server = http_open(t.loop, &o, &e);
	CHECK_STR(e.text, "");
	http_route_pieces(t.server, "POST /import", on_import, NULL);
	http_route(t.server, "POST /other", on_other, NULL);
	http_route(t.server, "GET /import", on_other, NULL);
}

static void
teardown(void)
{
	http_close(&t.server);
	loop_free(&t.loop);
	buf_fini(&t.got);
}

static struct client *
open_with(const char *request)
{
	struct client *c = client_open(t.loop, http_port(t.server, 0));

	client_send(c, request, strlen(request));
	return c;
}

#define HEAD(more) "POST /import HTTP/1.1\r\nHost: x\r\n" more "\r\n"
#define GET_OTHER  "GET /import HTTP/1.1\r\nHost: x\r\n\r\n"

static void
test_short_bodies(void)
{
	static const struct {
		const char *request, *want;
	} cases[] = {
		{HEAD("Content-Length: 5\r\n") "hello", "hello"},
		{HEAD("Transfer-Encoding: chunked\r\n") "3\r\nhel\r\n2;x\r\nlo\r\n0\r\n"
							"T: x\r\n\r\n",
			"hello"},
		{HEAD("Content-Length: 0\r\n"), ""},
		{HEAD(""), ""},
		{HEAD("Transfer-Encoding: chunked\r\n") "0\r\n\r\n", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		setup();
		struct client *c = open_with(cases[i].request);
		CHECK(client_wait(c, "\r\n\r\nwhole"));
		CHECK_STR(buf_str(&t.got), cases[i].want);
		CHECK_INT(t.ends, 1);
		/* and the connection is good for the next request */
		client_forget(c);
		client_send(c, GET_OTHER, strlen(GET_OTHER));
		CHECK(client_wait(c, "other"));
		client_free(&c);
		teardown();
	}
}

static void
send_zeros(struct client *c, size_t n)
{
	static const char zeros[100000];

	for (; n; n -= n < sizeof(zeros) ? n : sizeof(zeros))
		client_send(c, zeros, n < sizeof(zeros) ? n : sizeof(zeros));
}

static void
test_any_length_past_max_body(void)
{
	setup();
	struct client *c = open_with(HEAD("Content-Length: 30000000\r\n"));
	send_zeros(c, 30000000);
	CHECK(client_wait(c, "whole"));
	CHECK_INT((int64_t)t.bytes, 30000000);
	CHECK(t.largest <= 64 * 1024);
	client_free(&c);

	c = open_with(
		"POST /other HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n");
	CHECK(client_wait(c, " 413 "));
	client_free(&c);
	c = open_with(
		"GET /import HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n");
	CHECK(client_wait(c, " 413 "));
	client_free(&c);
	teardown();
}

static int64_t
cpu_ms(void)
{
	struct timespec t_cpu;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t_cpu);
	return t_cpu.tv_sec * 1000 + t_cpu.tv_nsec / 1000000;
}

/* More has come than the input holds: the loop sleeps until it is wanted. */
static void
test_paused_and_full_costs_no_processor_time(void)
{
	static const char zeros[200000];

	setup();
	t.pause_each = true;
	struct client *c = open_with(HEAD("Content-Length: 400000\r\n"));
	client_send(c, zeros, sizeof(zeros));
	client_run(c, 100);
	int64_t before = cpu_ms();
	client_run(c, 400);
	CHECK(cpu_ms() - before < 200);
	t.pause_each = false;
	http_receive_pause(t.request, false);
	client_send(c, zeros, sizeof(zeros));
	CHECK(client_wait(c, "whole"));
	CHECK_INT((int64_t)t.bytes, 400000);
	client_free(&c);
	teardown();
}

static void
test_paused_nothing_comes_and_no_time_runs(void)
{
	setup();
	t.pause_each = true;
	struct client *c = open_with(HEAD("Content-Length: 10\r\n") "hello");
	client_run(c, 50);
	CHECK_STR(buf_str(&t.got), "hello");
	client_send(c, "world", 5);
	client_run(c, 400); /* longer than body_timeout */
	CHECK_STR(buf_str(&t.got), "hello");
	CHECK_INT(t.ends, 0);
	http_receive_pause(t.request, false);
	CHECK(client_wait(c, "whole"));
	CHECK_STR(buf_str(&t.got), "helloworld");
	client_free(&c);
	teardown();
}

static void
test_a_client_that_shuts_its_side_is_answered(void)
{
	setup();
	t.pause_each = true;
	struct client *c = open_with(HEAD("Content-Length: 10\r\n") "hello");
	client_run(c, 50);
	client_send(c, "world", 5);
	client_shutdown(c);
	client_run(c, 50);
	CHECK_INT(t.ends, 0);
	http_receive_pause(t.request, false);
	CHECK(client_wait(c, "whole"));
	client_free(&c);
	teardown();
}

static void
test_broken_framing_is_told_and_answered(void)
{
	setup();
	struct client *c =
		open_with(HEAD("Transfer-Encoding: chunked\r\n") "3\r\nhel\r\nzz\r\n");
	CHECK(client_wait(c, "HTTP/1.1 400 "));
	CHECK(client_wait_end(c));
	CHECK_INT(t.ends, 1);
	CHECK_INT(t.status, 400);
	CHECK_STR(buf_str(&t.got), "hel");
	client_free(&c);
	teardown();
}

static void
test_a_slow_drip_is_408(void)
{
	setup();
	struct client *c = open_with(HEAD("Content-Length: 1000\r\n"));
	for (int i = 0; i < 20 && !t.ends; i++) {
		client_send(c, "x", 1);
		client_run(c, 50);
	}
	CHECK(client_wait(c, "HTTP/1.1 408 "));
	CHECK_INT(t.status, 408);
	CHECK(t.bytes < 20);
	client_free(&c);
	teardown();
}

static void
test_a_client_that_goes_is_told_once(void)
{
	setup();
	struct client *c = open_with(HEAD("Content-Length: 1000\r\n") "hello");
	client_run(c, 50);
	CHECK_STR(buf_str(&t.got), "hello");
	client_reset(&c);
	struct client *other = open_with(GET_OTHER);
	CHECK(client_wait(other, "other"));
	CHECK_INT(t.ends, 1);
	CHECK_INT(t.status, 499);
	client_free(&other);
	teardown();
}

static void
test_gone_before_the_handler_asks(void)
{
	setup();
	t.hold = true;
	struct client *c = open_with(HEAD("Content-Length: 1000\r\n") "hello");
	client_run(c, 50);
	client_reset(&c);
	struct client *other = open_with(GET_OTHER);
	CHECK(client_wait(other, "other"));
	client_free(&other);
	http_receive(t.request, &receiver, &t);
	CHECK_INT(t.ends, 0);
	loop_run_once(t.loop, 10);
	CHECK_INT(t.ends, 1);
	CHECK_INT(t.status, 499);
	teardown();
}

static void
test_an_early_answer_ends_the_connection(void)
{
	setup();
	t.answer_early = true;
	struct client *c = open_with(HEAD("Content-Length: 1000000\r\n"));
	send_zeros(c, 100000);
	CHECK(client_wait(c, "HTTP/1.1 422 "));
	CHECK(client_wait(c, "Connection: close"));
	CHECK(client_wait_end(c));
	CHECK_INT(t.ends, 0);
	client_free(&c);
	teardown();
}

static void
test_continue_is_said_when_the_handler_asks(void)
{
	setup();
	t.hold = true;
	struct client *c =
		open_with(HEAD("Content-Length: 5\r\nExpect: 100-continue\r\n"));
	client_run(c, 50);
	CHECK_STR(client_text(c), "");
	http_receive(t.request, &receiver, &t);
	CHECK(client_wait(c, "HTTP/1.1 100 Continue\r\n\r\n"));
	client_send(c, "hello", 5);
	CHECK(client_wait(c, "whole"));
	client_free(&c);
	teardown();
}

static void
test_the_servers_end_is_told(void)
{
	setup();
	struct client *c = open_with(HEAD("Content-Length: 1000\r\n") "hello");
	client_run(c, 50);
	http_close(&t.server);
	CHECK_INT(t.ends, 1);
	CHECK_INT(t.status, 499);
	client_free(&c);
	teardown();
}

int
main(void)
{
	TEST(test_short_bodies);
	TEST(test_any_length_past_max_body);
	TEST(test_paused_and_full_costs_no_processor_time);
	TEST(test_paused_nothing_comes_and_no_time_runs);
	TEST(test_a_client_that_shuts_its_side_is_answered);
	TEST(test_broken_framing_is_told_and_answered);
	TEST(test_a_slow_drip_is_408);
	TEST(test_a_client_that_goes_is_told_once);
	TEST(test_gone_before_the_handler_asks);
	TEST(test_an_early_answer_ends_the_connection);
	TEST(test_continue_is_said_when_the_handler_asks);
	TEST(test_the_servers_end_is_told);
	return test_done();
}
