/* test_http_send.c - answers in pieces: any length in bounded memory, at the client's pace;
 * what cannot be finished looks unfinished. */
#include "lib/test.h"

#include "lib/http_client.h"

#include <clock.h>
#include <io/http.h>
#include <io/loop.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define PIECE 10000

static struct {
	struct loop *loop;
	struct http_server *server;
	struct http_request *request;
	size_t left, given; /* pieces */
	unsigned rooms, gones;
	bool cut, hold;
} t;

static void
produce(void)
{
	static char piece[PIECE];

	memset(piece, 'x', sizeof(piece));
	while (t.left) {
		t.left--;
		t.given++;
		if (!http_send(t.request, piece, sizeof(piece)))
			return;
	}
	if (!t.hold)
		http_send_end(t.request, !t.cut);
}

static void
on_room(void *arg)
{
	CHECK(arg == &t);
	t.rooms++;
	produce();
}

static void
on_gone(void *arg, const char *why)
{
	CHECK(arg == &t && *why);
	t.gones++;
	http_send_end(t.request, false);
}

static const struct http_sender sender = {on_room, on_gone};

static void
on_export(struct http_request *r, void *arg)
{
	(void)arg;
	t.request = r;
	http_send_begin(r, 200, "text/plain", &sender, &t);
	produce();
}

static void
setup(size_t pieces)
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
		.max_output_bytes = 65536};
	struct err err;

	memset(&t, 0, sizeof(t));
	t.left = pieces;
	t.loop = loop_new();
	t.server = http_open(t.loop, &o, &err);
	CHECK(t.server);
	http_route(t.server, "GET /export", on_export, NULL);
}

static void
teardown(void)
{
	http_close(&t.server);
	loop_run_once(t.loop, 0);
	loop_free(&t.loop);
}

static struct client *
ask(const char *request)
{
	struct client *c = client_open(t.loop, http_port(t.server, 0));

	client_send(c, request, strlen(request));
	return c;
}

static void
wait_gone(void)
{
	int64_t until = clock_mono_us() + 5000000;

	while (!t.gones && clock_mono_us() < until)
		loop_run_once(t.loop, 50);
}

#define GET "GET /export HTTP/1.1\r\nHost: x\r\n\r\n"

static void
test_a_long_answer_comes_whole_and_the_connection_stays(void)
{
	size_t len;

	setup(1000);
	struct client *c = ask(GET);
	CHECK(client_wait_len(c, 1000 * PIECE));
	CHECK(client_wait(c, "\r\n0\r\n\r\n"));
	CHECK(strstr(client_text(c), "Transfer-Encoding: chunked\r\n"));
	client_bytes(c, &len);
	CHECK(len > 1000 * PIECE && len < 1000 * (PIECE + 12));
	CHECK(t.rooms > 5);
	client_forget(c);
	t.left = 1;
	client_send(c, GET, strlen(GET));
	CHECK(client_wait(c, "\r\n0\r\n\r\n"));
	client_free(&c);
	teardown();
}

/* The client reads nothing: little is made for it, and its time is over. */
static void
test_a_client_that_does_not_read_holds_nothing(void)
{
	setup(100000);
	struct client *c = ask(GET);
	wait_gone();
	CHECK_INT(t.gones, 1);
	CHECK(t.given * PIECE < 16 * 1024 * 1024);
	client_free(&c);
	teardown();
}

static void
test_what_cannot_be_finished_is_cut_off(void)
{
	setup(3);
	t.cut = true;
	struct client *c = ask(GET);
	CHECK(client_wait_end(c));
	CHECK(!strstr(client_text(c), "\r\n0\r\n\r\n"));
	client_free(&c);
	teardown();
}

static void
test_http_1_0_gets_bytes_until_the_end(void)
{
	size_t len;

	setup(2);
	struct client *c = ask("GET /export HTTP/1.0\r\n\r\n");
	CHECK(client_wait_end(c));
	CHECK(!strstr(client_text(c), "chunked"));
	const char *body = strstr(client_text(c), "\r\n\r\n");
	CHECK(body);
	client_bytes(c, &len);
	CHECK_INT((int64_t)(len - (size_t)(body + 4 - client_text(c))), 2 * PIECE);
	client_free(&c);
	teardown();
}

static void
test_head_has_no_body(void)
{
	setup(2);
	struct client *c = ask("HEAD /export HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(client_wait(c, "\r\n\r\n"));
	t.left = 1;
	client_forget(c);
	client_send(c, GET, strlen(GET));
	CHECK(client_wait(c, "\r\n0\r\n\r\n"));
	CHECK(strncmp(client_text(c), "HTTP/1.1 200", 12) == 0);
	client_free(&c);
	teardown();
}

static void
test_a_client_that_goes_is_told_once(void)
{
	setup(1);
	t.hold = true;
	struct client *c = ask(GET);
	CHECK(client_wait_len(c, PIECE));
	client_reset(&c);
	wait_gone();
	CHECK_INT(t.gones, 1);
	teardown();
}

int
main(void)
{
	TEST(test_a_long_answer_comes_whole_and_the_connection_stays);
	TEST(test_a_client_that_does_not_read_holds_nothing);
	TEST(test_what_cannot_be_finished_is_cut_off);
	TEST(test_http_1_0_gets_bytes_until_the_end);
	TEST(test_head_has_no_body);
	TEST(test_a_client_that_goes_is_told_once);
	return test_done();
}
