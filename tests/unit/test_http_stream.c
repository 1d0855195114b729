/* test_http_stream.c - WebSocket and Server-Sent Events on the server, raw bytes in. */
#include "lib/test.h"

#include "lib/http_client.h"

#include <buf.h>
#include <io/http.h>
#include <io/loop.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

static struct {
	struct loop *loop;
	struct http_server *server;
	struct http_stream *stream;
	struct http_request *held;
	unsigned opened, closed;
	bool in_handler; /* no callback may come before the handler has returned */
	char last[64];
} t;

static void
on_message(void *arg, const char *text, size_t len)
{
	CHECK(arg == &t && !t.in_handler);
	str_copy(t.last, sizeof(t.last), text);
	if (strcmp(text, "bye") == 0)
		http_stream_close(t.stream, 4001, "as asked");
	else if (strcmp(text, "shutdown") == 0)
		http_close(&t.server);
	else
		http_stream_send(t.stream, NULL, text, len);
}

static void
on_close(void *arg)
{
	CHECK(arg == &t && !t.in_handler);
	t.closed++;
	http_stream_send(t.stream, NULL, "into nothing", 12);
	http_stream_close(t.stream, 1000, NULL);
	t.stream = NULL;
}

static const struct http_stream_callbacks callbacks = {on_message, on_close};

static void
on_ws(struct http_request *r, void *arg)
{
	char protocol[64] = "", second[64] = "";

	(void)arg;
	http_websocket_protocol(r, 0, protocol, sizeof(protocol));
	CHECK(!http_websocket_protocol(r, 1, second, sizeof(second)) ||
		strcmp(second, "bearer.x") == 0);
	t.in_handler = true;
	t.stream = http_websocket(r, *protocol ? protocol : NULL, &callbacks, &t);
	t.in_handler = false;
	t.opened += t.stream != NULL;
}

static void
on_sse(struct http_request *r, void *arg)
{
	(void)arg;
	t.in_handler = true;
	t.stream = http_sse(r, &callbacks, &t);
	t.in_handler = false;
	t.opened++;
}

static void
on_hold(struct http_request *r, void *arg)
{
	(void)arg;
	t.held = r;
}

static void
setup(unsigned ping_ms)
{
	static char v4[] = "127.0.0.1:0", desk[] = "https://desk.example";
	static char *listen[] = {v4}, *origins[] = {desk};
	static const struct conf_list l = {listen, 1}, allowed = {origins, 1};
	struct http_opts o = {.listen = &l,
		.origins = &allowed,
		.max_header_bytes = 8192,
		.max_body_bytes = 65536,
		.max_connections = 10,
		.header_timeout_ms = 2000,
		.body_timeout_ms = 2000,
		.idle_timeout_ms = 2000,
		.max_output_bytes = 1 << 20,
		.ping_ms = ping_ms};
	struct err e = {0};

	memset(&t, 0, sizeof(t));
	t.loop = loop_new();
	t.server = http_open(t.loop, &o, &e);
	CHECK_STR(e.text, "");
	http_route(t.server, "GET /ws", on_ws, NULL);
	http_route(t.server, "GET /sse", on_sse, NULL);
	http_route(t.server, "GET /hold", on_hold, NULL);
}

static void
teardown(void)
{
	http_close(&t.server);
	loop_free(&t.loop);
	CHECK_INT(t.closed, t.opened);
}

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UPGRADE                                                                        \
	"GET /ws HTTP/1.1\r\nHost: h.example\r\nUpgrade: WebSocket\r\n"                \
	"Connection: keep-alive, Upgrade\r\n"
#define VERSION	  "Sec-WebSocket-Version: 13\r\n"
#define HANDSHAKE UPGRADE KEY VERSION "\r\n"
/* "hello", masked with 1 2 3 4. */
#define HELLO "\x81\x85\1\2\3\4igohn"
#define CLOSE "\x88\x82\1\2\3\4\2\xea" /* 1000 */

static struct client *
open_client(const char *bytes, size_t len)
{
	struct client *c = client_open(t.loop, http_port(t.server, 0));

	client_send(c, bytes, len);
	return c;
}
#define OPEN(literal) open_client(literal, sizeof(literal) - 1)

/* A masked text frame below 126 bytes, mask 0. */
static void
send_text(struct client *c, const char *text)
{
	struct buf b = BUF_INIT;

	buf_addc(&b, (char)0x81);
	buf_addc(&b, (char)(0x80 | strlen(text)));
	buf_add(&b, "\0\0\0\0", 4);
	buf_adds(&b, text);
	client_send(c, b.data, b.len);
	buf_fini(&b);
}

static bool
wait_closed(struct client *c, unsigned n)
{
	for (int i = 0; i < 300 && t.closed < n; i++)
		client_run(c, 10);
	return t.closed == n;
}

static void
test_echo(void)
{
	struct http_counters n;

	setup(0);
	struct client *c = OPEN(HANDSHAKE);
	CHECK(client_wait(c, "HTTP/1.1 101 Switching Protocols\r\n"));
	CHECK(client_wait(c, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	CHECK(client_wait(c, "\r\n\r\n"));
	http_get_counters(t.server, &n);
	CHECK_INT(n.streams, 1);
	client_send(c, HELLO, sizeof(HELLO) - 1);
	CHECK(client_wait(c, "\x81\x05hello"));
	client_send(c, "\x89\x81\0\0\0\0p", 7);
	CHECK(client_wait(c, "\x8a\x01p"));
	client_send(c, CLOSE, sizeof(CLOSE) - 1);
	CHECK(client_wait(c, "\x88\x02\x03\xe8"));
	CHECK(client_wait_end(c));
	CHECK_INT(t.closed, 1);
	http_get_counters(t.server, &n);
	CHECK_INT(n.streams, 0);
	client_free(&c);
	teardown();
}

static void
test_frame_in_the_handshake_packet(void)
{
	setup(0);
	struct client *c = OPEN(HANDSHAKE HELLO CLOSE);
	CHECK(client_wait(c, "\x81\x05hello\x88\x02\x03\xe8"));
	CHECK(client_wait_end(c));
	client_free(&c);
	teardown();
}

static void
test_protocol_is_chosen(void)
{
	setup(0);
	struct client *c = OPEN(UPGRADE KEY VERSION
		"Sec-WebSocket-Protocol: interactd.v1, bearer.x\r\n\r\n");
	CHECK(client_wait(c, "Sec-WebSocket-Protocol: interactd.v1\r\n"));
	client_free(&c);
	teardown();
}

static void
test_bad_handshakes(void)
{
	static const struct {
		const char *request, *part;
	} bad[] = {
		{"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426 "},
		{UPGRADE KEY "\r\n", "Sec-WebSocket-Version: 13\r\n"},
		{UPGRADE KEY "Sec-WebSocket-Version: 8\r\n\r\n", "HTTP/1.1 426 "},
		{UPGRADE VERSION "\r\n", "HTTP/1.1 400 "},
		{UPGRADE VERSION "Sec-WebSocket-Key: short\r\n\r\n", "HTTP/1.1 400 "},
		{UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=a\r\n\r\n",
			"HTTP/1.1 400 "},
		{UPGRADE KEY VERSION "Content-Length: 1\r\n\r\nx", "HTTP/1.1 400 "},
		{UPGRADE KEY VERSION "Origin: https://evil.example\r\n\r\n",
			"HTTP/1.1 403 "},
		{UPGRADE KEY VERSION "Origin: https://h.example.evil\r\n\r\n",
			"HTTP/1.1 403 "},
		{UPGRADE KEY VERSION "Origin: null\r\n\r\n", "HTTP/1.1 403 "},
		{UPGRADE KEY VERSION "Origin: https://desk.example\r\n\r\n",
			"HTTP/1.1 101 "},
		{UPGRADE KEY VERSION "Origin: https://H.example\r\n\r\n",
			"HTTP/1.1 101 "},
	};

	setup(0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct client *c = open_client(bad[i].request, strlen(bad[i].request));
		if (!client_wait(c, bad[i].part))
			test_fail(__FILE__, __LINE__, "%s: %s, not %s", bad[i].request,
				client_text(c), bad[i].part);
		client_free(&c);
	}
	CHECK_INT(t.opened, 2);
	teardown();
}

static void
test_bad_frame_is_answered_by_its_code(void)
{
	setup(0);
	struct client *c = OPEN(HANDSHAKE "\x81\x01x");
	CHECK(client_wait(c, "\x88\x17\x03\xea"
			     "a frame is not masked"));
	CHECK(client_wait_end(c));
	CHECK_INT(t.closed, 1);
	client_free(&c);
	teardown();
}

static void
test_close_by_us(void)
{
	setup(0);
	struct client *c = OPEN(HANDSHAKE);
	client_wait(c, "\r\n\r\n");
	send_text(c, "bye");
	CHECK(client_wait(c, "\x88\x0a\x0f\xa1"
			     "as asked"));
	CHECK_INT(t.closed, 0); /* the peer's close is awaited */
	send_text(c, "too late");
	client_run(c, 20);
	CHECK_STR(t.last, "bye");
	client_send(c, CLOSE, sizeof(CLOSE) - 1);
	CHECK(client_wait_end(c));
	CHECK_INT(t.closed, 1);
	client_free(&c);
	teardown();
}

static void
test_lost_client(void)
{
	setup(0);
	struct client *c = OPEN(HANDSHAKE);
	client_wait(c, "\r\n\r\n");
	struct client *d = client_open(t.loop, http_port(t.server, 0));
	client_reset(&c);
	CHECK(wait_closed(d, 1));
	client_free(&d);
	teardown();
}

static void
test_missed_pongs_end_it(void)
{
	setup(30);
	struct client *c = OPEN(HANDSHAKE);
	client_wait(c, "\r\n\r\n");
	CHECK(wait_closed(c, 1));
	CHECK(client_wait_end(c));
	client_free(&c);
	teardown();
}

static void
test_pongs_keep_it(void)
{
	setup(20);
	struct client *c = OPEN(HANDSHAKE);
	client_wait(c, "\r\n\r\n");
	for (int i = 0; i < 20; i++) {
		client_send(c, "\x8a\x80\0\0\0\0", 6);
		client_run(c, 10);
	}
	CHECK_INT(t.closed, 0);
	client_free(&c);
	teardown();
}

static void
test_slow_reader_is_cut_off(void)
{
	char *text = xcalloc(1, 50000);

	memset(text, 'x', 50000);
	setup(0);
	struct client *c = OPEN(HANDSHAKE);
	client_wait(c, "\r\n\r\n");
	for (int i = 0; i < 30; i++) { /* 1.5 MB in one turn: past max_output_bytes */
		http_stream_send(t.stream, NULL, text, 50000);
		CHECK_INT(t.closed, 0);
	}
	CHECK(wait_closed(c, 1));
	client_free(&c);
	teardown();
	mem_free(text);
}

static void
test_server_says_1001(void)
{
	setup(0);
	struct client *c = OPEN(HANDSHAKE);
	client_wait(c, "\r\n\r\n");
	http_close(&t.server);
	CHECK_INT(t.closed, 1);
	CHECK(client_wait(c, "\x88\x11\x03\xe9the server ends"));
	CHECK(client_wait_end(c));
	client_free(&c);
	teardown();
}

static void
test_server_closed_inside_on_message(void)
{
	setup(0);
	struct client *c = OPEN(HANDSHAKE);
	client_wait(c, "\r\n\r\n");
	send_text(c, "shutdown");
	CHECK(client_wait(c, "\x88\x11\x03\xe9the server ends"));
	client_free(&c);
	teardown();
}

static void
test_sse(void)
{
	setup(40);
	struct client *c = OPEN("GET /sse HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(client_wait(c, "Content-Type: text/event-stream\r\n"));
	CHECK(client_wait(c, "\r\n\r\nretry: 2000\n\n"));
	CHECK(!strstr(client_text(c), "Content-Length"));
	http_stream_send(t.stream, "42", "{\"a\":1}", 7);
	CHECK(client_wait(c, "id: 42\ndata: {\"a\":1}\n\n"));
	http_stream_send(t.stream, "4\nevent: x", "a\nb\r\nc\rd\n", 9);
	CHECK(client_wait(c, "id: 4\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"));
	client_forget(c);
	CHECK(client_wait(c, ":\n\n:\n\n"));	      /* two comments */
	client_send(c, "GET / HTTP/1.1\r\n\r\n", 18); /* ignored */
	http_stream_close(t.stream, 1000, "done");
	CHECK_INT(t.closed, 0);
	CHECK(client_wait_end(c));
	CHECK_INT(t.closed, 1);
	client_free(&c);
	teardown();
}

static void
test_sse_by_head(void)
{
	setup(0);
	struct client *c = OPEN("HEAD /sse HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(client_wait_end(c));
	CHECK(strstr(client_text(c), "text/event-stream"));
	CHECK(!strstr(client_text(c), "retry"));
	CHECK_INT(t.closed, 1);
	client_free(&c);
	teardown();
}

/* Who left while we asked the database gets a stream that ends, or none. */
static void
test_stream_for_a_gone_client(void)
{
	setup(0);
	for (int i = 0; i < 2; i++) {
		struct client *c = OPEN("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
		struct client *d = client_open(t.loop, http_port(t.server, 0));
		client_run(c, 20);
		client_reset(&c);
		while (!http_is_gone(t.held))
			client_run(d, 5);
		if (i == 0)
			on_sse(t.held, NULL);
		else
			on_ws(t.held, NULL);
		CHECK(wait_closed(d, 1));
		client_free(&d);
	}
	CHECK_INT(t.opened, 1);
	teardown();
}

static void
test_sse_for_a_half_closed_client_ends(void)
{
	setup(0);
	struct client *c = OPEN("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
	client_shutdown(c);
	client_run(c, 20);
	on_sse(t.held, NULL);
	CHECK(wait_closed(c, 1));
	client_free(&c);
	teardown();
}

int
main(void)
{
	TEST(test_echo);
	TEST(test_frame_in_the_handshake_packet);
	TEST(test_protocol_is_chosen);
	TEST(test_bad_handshakes);
	TEST(test_bad_frame_is_answered_by_its_code);
	TEST(test_close_by_us);
	TEST(test_lost_client);
	TEST(test_missed_pongs_end_it);
	TEST(test_pongs_keep_it);
	TEST(test_slow_reader_is_cut_off);
	TEST(test_server_says_1001);
	TEST(test_server_closed_inside_on_message);
	TEST(test_sse);
	TEST(test_sse_by_head);
	TEST(test_stream_for_a_gone_client);
	TEST(test_sse_for_a_half_closed_client_ends);
	return test_done();
}
