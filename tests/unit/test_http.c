/* test_http.c - the server over real loopback sockets, client and server in one loop.
 * What the parser alone refuses is in test_http_parser.c; streams in
 * test_http_stream.c. */
#include "lib/test.h"

#include "lib/http_client.h"

#include <io/http.h>
#include <io/loop.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

static struct {
	struct loop *loop;
	struct http_server *server;
	struct http_request *late; /* GET /late, not answered yet */
	unsigned freed_contexts, after_calls;
	int after_status;
	char after_pattern[64];
	bool hold; /* `before` keeps the request */
	struct http_request *held;
} t;

static void
on_args(struct http_request *r, void *arg)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "%s %s %s [%s] [%s]", (const char *)arg, http_method(r),
		http_path(r), http_path_arg(r, 0), http_path_arg(r, 1));
	http_answer(r, 200, "text/plain", b.data, b.len);
	buf_fini(&b);
}

static struct {
	char one[8], list[8], delete[8], part[8], file[8];
} names = {"one", "list", "delete", "part", "file"};

static void
on_query(struct http_request *r, void *arg)
{
	struct buf b = BUF_INIT;
	const char *name, *value;

	(void)arg;
	for (size_t i = 0; http_query_nth(r, i, &name, &value); i++)
		buf_printf(&b, "(%s=%s)", name, value);
	http_answer(r, 200, "text/plain", b.data, b.len);
	buf_fini(&b);
}

static void
on_body(struct http_request *r, void *arg)
{
	size_t len;
	const char *body = http_body(r, &len);

	(void)arg;
	http_answer(r, 200, "text/plain", body, len);
}

static void
on_late(struct http_request *r, void *arg)
{
	(void)arg;
	t.late = r;
}

static void
on_big(struct http_request *r, void *arg)
{
	char *big = xmalloc(4000000);

	(void)arg;
	memset(big, 'b', 4000000);
	http_answer(r, 200, "text/plain", big, 4000000);
	mem_free(big);
}

static void
on_split(struct http_request *r, void *arg)
{
	(void)arg;
	http_add_header(r, "X-Name", "a\r\nSet-Cookie: b");
	http_add_header(r, "Cache-Control", "max-age=60");
	http_answer(r, 204, "text/plain", "ignored", 7);
}

static void
on_problem(struct http_request *r, void *arg)
{
	(void)arg;
	http_problem(r, 409, "\"contact\":\"42\"", "held by \"%s\"\n\xff", "x");
}

static void
free_context(void *p)
{
	t.freed_contexts += p == &t;
}

static bool
before(struct http_request *r, void *arg)
{
	(void)arg;
	http_set_context(r, &t, free_context);
	if (!t.hold)
		return true;
	t.held = r;
	return false;
}

static void
after(struct http_request *r, int status, int64_t took_us, void *arg)
{
	(void)arg;
	CHECK(took_us >= 0);
	t.after_calls++;
	t.after_status = status;
	str_copy(t.after_pattern, sizeof(t.after_pattern), http_route_pattern(r));
}

static struct http_opts
default_opts(void)
{
	static char v4[] = "127.0.0.1:0", v6[] = "[::1]:0",
		    desk[] = "https://desk.example";
	static char *listen[] = {v4, v6}, *origins[] = {desk};
	static const struct conf_list l = {listen, 2}, o = {origins, 1};

	return (struct http_opts){.listen = &l,
		.origins = &o,
		.max_header_bytes = 8192,
		.max_body_bytes = 65536,
		.max_connections = 100,
		.max_connections_per_peer = 50,
		.header_timeout_ms = 2000,
		.body_timeout_ms = 2000,
		.idle_timeout_ms = 2000,
		.max_output_bytes = 1 << 20};
}

static void
setup_with(const struct http_opts *o)
{
	struct err e = {0};

	memset(&t, 0, sizeof(t));
	t.loop = loop_new();
	t.server = http_open(t.loop, o, &e);
	CHECK_STR(e.text, "");
	http_route(t.server, "GET /things/{id}", on_args, names.one);
	http_route(t.server, "GET /things/list", on_args, names.list);
	http_route(t.server, "DELETE /things/{}", on_args, names.delete);
	http_route(t.server, "GET /things/{}/parts/{}", on_args, names.part);
	http_route(t.server, "GET /files/{*}", on_args, names.file);
	http_route(t.server, "GET /query", on_query, NULL);
	http_route(t.server, "POST /body", on_body, NULL);
	http_route(t.server, "GET /late", on_late, NULL);
	http_route(t.server, "GET /big", on_big, NULL);
	http_route(t.server, "GET /split", on_split, NULL);
	http_route(t.server, "GET /problem", on_problem, NULL);
	http_set_before(t.server, before, NULL);
	http_set_after(t.server, after, NULL);
}

static void
setup(void)
{
	struct http_opts o = default_opts();
	setup_with(&o);
}

static void
teardown(void)
{
	http_close(&t.server);
	loop_free(&t.loop);
}

static struct client *
open_client(void)
{
	return client_open(t.loop, http_port(t.server, 0));
}

/* Sends a request on a connection of its own; the whole answer, until `part` is there.
 */
static void
expect_answer(const char *request, const char *part)
{
	struct client *c = open_client();

	client_send(c, request, strlen(request));
	if (!client_wait(c, part))
		test_fail(__FILE__, __LINE__, "%s\nanswered\n%s\nnot %s", request,
			client_text(c), part);
	client_free(&c);
}

#define GET(target) "GET " target " HTTP/1.1\r\nHost: x\r\n\r\n"

static void
test_routes(void)
{
	static const struct {
		const char *request, *part;
	} cases[] = {
		{GET("/things/7"), "\r\n\r\none GET /things/7 [7] []"},
		{GET("/things/list"), "list GET /things/list [] []"},
		{GET("/things/a%2Fb/parts/%e7%a4%ba"), "[a/b] [\xe7\xa4\xba]"},
		{GET("/things/a+b"), "[a+b]"},
		{GET("http://other.example/things/7?q"), "one GET /things/7 [7]"},
		{GET("/files/a/b%20c/d"), "file GET /files/a/b c/d [a/b c/d] []"},
		{GET("/files/"), "file GET /files/ [] []"},
		{GET("/files"), "HTTP/1.1 404 "},
		{GET("/things/"), "HTTP/1.1 404 "},
		{GET("/things/1/"), "HTTP/1.1 404 "},
		{GET("/"), "HTTP/1.1 404 "},
		{GET("http://x"), "HTTP/1.1 404 "},
		{"HEAD /things/7 HTTP/1.1\r\nHost: x\r\n\r\n",
			"Content-Length: 25\r\n"},
		{"PUT /things/7 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
			"Allow: OPTIONS, GET, HEAD, DELETE\r\n"},
		{"PUT /things/7 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 "},
		{"DELETE /things/list HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 "},
		{"OPTIONS /things/list HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 204 "},
		{"OPTIONS /things/list HTTP/1.1\r\nHost: x\r\n\r\n",
			"Allow: OPTIONS, GET, HEAD\r\n"},
		{"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 204 "},
	};

	setup();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect_answer(cases[i].request, cases[i].part);
	teardown();
}

static void
test_query(void)
{
	static const struct {
		const char *request, *part;
	} cases[] = {
		{GET("/query?a=1&b=2"), "(a=1)(b=2)"},
		{GET("/query?identity=phone:+8613800138000"),
			"(identity=phone: 8613800138000)"},
		{GET("/query?q=%2B86%26x&q=y%3dz"), "(q=+86&x)(q=y=z)"},
		{GET("/query?a&&b=&=c"), "(a=)(b=)(=c)"},
		{GET("/query?q=\xe7\xa4\xba"), "(q=\xe7\xa4\xba)"},
		{GET("/query?a=b=c?d"), "(a=b=c?d)"},
		{GET("/query?a=%00"), "HTTP/1.1 400 "},
		{GET("/query?a=%"), "HTTP/1.1 400 "},
		{GET("/query?a=%4"), "HTTP/1.1 400 "},
		{GET("/query?a=%4&b=1"), "HTTP/1.1 400 "},
		{GET("/query?a=%zz"), "HTTP/1.1 400 "},
		{GET("/query?a=%ff"), "HTTP/1.1 400 "},
		{GET("/quer%00"), "HTTP/1.1 400 "},
		{GET("/quer%"), "HTTP/1.1 400 "},
		{GET("/things/\xff"), "HTTP/1.1 400 "},
		{GET("/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/"
		     "a"),
			"HTTP/1.1 400 "},
	};

	setup();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect_answer(cases[i].request, cases[i].part);
	teardown();
}

static void
test_headers_always_sent(void)
{
	setup();
	expect_answer(GET("/things/1"), "X-Content-Type-Options: nosniff\r\n");
	expect_answer(GET("/things/1"), "Cache-Control: no-store\r\n");
	expect_answer(GET("/things/1"), " GMT\r\n");
	expect_answer(GET("/split"), "X-Name: a  Set-Cookie: b\r\n");
	expect_answer(GET("/split"), "Cache-Control: max-age=60\r\n");
	struct client *c = open_client();
	client_send(c, GET("/split") GET("/things/9"),
		strlen(GET("/split") GET("/things/9")));
	CHECK(client_wait(c, "[9]"));
	CHECK(!strstr(client_text(c), "no-store\r\nX-Name"));
	CHECK(!strstr(client_text(c), "ignored")); /* 204 has no body */
	client_free(&c);
	teardown();
}

static void
test_problem_documents(void)
{
	setup();
	expect_answer(GET("/problem"), "Content-Type: application/problem+json\r\n");
	expect_answer(GET("/problem"),
		"{\"type\":\"about:blank\",\"title\":\"Conflict\",\"status\":409,"
		"\"detail\":\"held by \\\"x\\\"\\n\xef\xbf\xbd\",\"contact\":\"42\"}");
	expect_answer("BAD\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n");
	expect_answer("BAD\r\n\r\n", "Content-Type: application/problem+json\r\n");
	expect_answer("BAD\r\n\r\n", "Connection: close\r\n");
	CHECK_INT(t.after_status, 400);
	CHECK_STR(t.after_pattern, "");
	teardown();
}

/* Every refusal ends the connection with a document; nothing after it is a request. */
static void
test_bad_requests_end_the_connection(void)
{
	static const char bad[] = "GET / HTTP/1.1\r\nHost : x\r\n\r\n" GET("/things/1");
	struct http_counters n;

	setup();
	struct client *c = open_client();
	client_send(c, bad, strlen(bad));
	CHECK(client_wait_end(c));
	CHECK(strstr(client_text(c), "HTTP/1.1 400 "));
	CHECK(!strstr(client_text(c), "things"));
	client_free(&c);
	http_get_counters(t.server, &n);
	CHECK_INT((int64_t)n.bad_requests, 1);
	CHECK_INT((int64_t)n.requests, 0);
	teardown();
}

static void
test_keep_alive_and_pipelining(void)
{
	struct buf many = BUF_INIT;

	setup();
	for (int i = 0; i < 300; i++)
		buf_printf(&many, "GET /things/n%d HTTP/1.1\r\nHost: x\r\n\r\n", i);
	struct client *c = open_client();
	client_send(c, many.data, many.len);
	CHECK(client_wait(c, "[n299]"));
	const char *at = client_text(c);
	for (int i = 0; i < 300 && at; i++) {
		char part[16];
		snprintf(part, sizeof(part), "[n%d]", i);
		at = strstr(at, part); /* in the order asked for */
	}
	CHECK(at != NULL);
	client_free(&c);
	buf_fini(&many);
	teardown();
}

static void
test_closing(void)
{
	static const char *const cases[] = {
		"GET /things/1 HTTP/1.0\r\n\r\n",
		"GET /things/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"GET /things/1 HTTP/1.1\r\nHost: x\r\nConnection: foo, Close\r\n\r\n",
	};

	setup();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct client *c = open_client();
		client_send(c, cases[i], strlen(cases[i]));
		CHECK(client_wait_end(c));
		CHECK(strstr(client_text(c), "Connection: close\r\n"));
		CHECK(strstr(client_text(c), "[1]"));
		client_free(&c);
	}
	teardown();
}

static void
test_bodies(void)
{
	static const struct {
		const char *request, *part;
	} cases[] = {
		{"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
			"\r\n\r\nhello"},
		{"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "3\r\nhel\r\n2;x=\"y\"\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n" GET(
			 "/things/5"),
			"\r\n\r\nhelloHTTP/1.1 200 OK"},
		{"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n",
			"HTTP/1.1 413 "},
		{"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "10001\r\n",
			"HTTP/1.1 413 "},
	};

	setup();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect_answer(cases[i].request, cases[i].part);
	teardown();
}

static void
test_expect_continue(void)
{
	static const char head[] = "POST /body HTTP/1.1\r\nHost: x\r\n"
				   "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n";

	setup();
	struct client *c = open_client();
	client_send(c, head, strlen(head));
	CHECK(client_wait(c, "HTTP/1.1 100 Continue\r\n\r\n"));
	client_send(c, "abc", 3);
	CHECK(client_wait(c, "\r\n\r\nabc"));
	client_free(&c);
	teardown();
}

/* A body that is refused while it is still coming: the document must get through. */
static void
test_refused_upload_reads_its_answer(void)
{
	static const char head[] =
		"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n";
	char *rest = xcalloc(1, 300000);

	setup();
	struct client *c = open_client();
	client_send(c, head, strlen(head));
	client_send(c, rest, 300000);
	CHECK(client_wait(c, "the body is too large"));
	client_free(&c);
	mem_free(rest);
	teardown();
}

static void
test_slow_drip_is_timed_out(void)
{
	static const char request[] =
		"POST /body HTTP/1.1\r\nHost: x\r\nA: b\r\nC: d\r\n";
	struct http_opts o = default_opts();
	struct http_counters n;

	o.header_timeout_ms = 150;
	o.body_timeout_ms = 100;
	setup_with(&o);
	struct client *c = open_client();
	size_t i = 0;
	while (i < sizeof(request) - 1 && !strstr(client_text(c), "408")) {
		client_send(c, request + i++, 1);
		client_run(c, 10);
	}
	CHECK(i > 5 && i < 25); /* in spite of a byte every 10 ms */
	CHECK(client_wait(c, "the header did not come in time"));
	CHECK(client_wait_end(c));
	client_free(&c);
	c = open_client();
	client_send(
		c, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab", 53);
	CHECK(client_wait(c, "the body did not come in time"));
	client_free(&c);
	c = open_client(); /* who says nothing gets nothing */
	CHECK(client_wait_end(c));
	CHECK_STR(client_text(c), "");
	client_free(&c);
	http_get_counters(t.server, &n);
	CHECK_INT((int64_t)n.timeouts, 3);
	teardown();
}

static void
test_idle_connections_end(void)
{
	struct http_opts o = default_opts();

	o.idle_timeout_ms = 50;
	setup_with(&o);
	struct client *c = open_client();
	client_send(c, GET("/things/1"), strlen(GET("/things/1")));
	CHECK(client_wait(c, "[1]"));
	CHECK(client_wait_end(c));
	CHECK(!strstr(client_text(c), "408"));
	client_free(&c);
	teardown();
}

static void
test_client_that_leaves_amid_an_answer(void)
{
	struct http_opts o = default_opts();
	struct http_counters n = {0};

	o.body_timeout_ms =
		20; /* and 4,000,000 / 16 ms for the length: too long here */
	setup_with(&o);
	struct client *c = open_client();
	client_send(c, GET("/big"), strlen(GET("/big")));
	CHECK(client_wait(c, "bbbb"));
	client_free(&c); /* resets: the rest of the answer has no reader */
	for (int i = 0; i < 200; i++) {
		loop_run_once(t.loop, 10);
		http_get_counters(t.server, &n);
		if (n.connections == 0)
			break;
	}
	CHECK_INT(n.connections, 0);
	teardown();
}

static void
test_late_answer(void)
{
	setup();
	struct client *c = open_client();
	client_send(c, GET("/late") GET("/things/2"),
		strlen(GET("/late") GET("/things/2")));
	client_run(c, 20);
	CHECK(t.late && !http_is_gone(t.late));
	CHECK_STR(client_text(c), "");
	http_answer(t.late, 200, "text/plain", "late", 4);
	CHECK(client_wait(c, "\r\n\r\nlateHTTP/1.1 200"));
	CHECK(client_wait(c, "[2]"));
	client_free(&c);
	teardown();
	CHECK_INT(t.freed_contexts, 2);
}

static void
test_half_closed_client_gets_its_answer(void)
{
	setup();
	struct client *c = open_client();
	client_send(c, GET("/late") GET("/things/2"),
		strlen(GET("/late") GET("/things/2")));
	client_shutdown(c);
	client_run(c, 20);
	CHECK(t.late && !http_is_gone(t.late));
	http_answer(t.late, 200, "text/plain", "late", 4);
	CHECK(client_wait_end(c));
	CHECK(strstr(client_text(c), "[2]"));
	client_free(&c);
	teardown();
}

static void
test_late_answer_after_client_gone(void)
{
	setup();
	struct client *c = open_client();
	client_send(c, GET("/late"), strlen(GET("/late")));
	client_run(c, 20);
	client_reset(&c);
	for (int i = 0; i < 100 && !http_is_gone(t.late); i++)
		loop_run_once(t.loop, 10);
	CHECK(http_is_gone(t.late));
	CHECK_STR(http_path(t.late), "/late");
	http_add_header(t.late, "X", "y");
	http_answer(t.late, 200, "text/plain", "late", 4);
	CHECK_INT(t.after_calls, 1);
	teardown();
	CHECK_INT(t.freed_contexts, 1);
}

static void
test_late_answer_after_server_gone(void)
{
	setup();
	struct client *c = open_client(), *gone = open_client();
	client_send(gone, GET("/late"), strlen(GET("/late")));
	client_run(gone, 20);
	struct http_request *first = t.late;
	client_reset(&gone);
	client_send(c, GET("/late"), strlen(GET("/late")));
	client_run(c, 20);
	CHECK(first != t.late);
	http_close(&t.server);
	CHECK(http_is_gone(t.late) && http_is_gone(first));
	CHECK(client_wait_end(c));
	http_problem(first, 500, NULL, "too late");
	http_continue(t.late);
	client_free(&c);
	teardown();
	CHECK_INT(t.freed_contexts, 2);
	CHECK_INT(t.after_calls, 0);
}

static void
test_before_may_wait(void)
{
	setup();
	t.hold = true;
	struct client *c = open_client();
	client_send(c, GET("/things/3"), strlen(GET("/things/3")));
	client_run(c, 20);
	CHECK_STR(client_text(c), "");
	CHECK_STR(http_route_pattern(t.held), "GET /things/{id}");
	http_continue(t.held);
	CHECK(client_wait(c, "[3]"));
	CHECK_STR(t.after_pattern, "GET /things/{id}");
	client_send(c, GET("/things/4"), strlen(GET("/things/4")));
	client_run(c, 20);
	client_reset(&c);
	while (!http_is_gone(t.held))
		loop_run_once(t.loop, 10);
	http_continue(t.held); /* runs nothing */
	CHECK_INT(t.after_status, 499);
	teardown();
}

static void
test_cors(void)
{
#define FROM(origin) "GET /things/1 HTTP/1.1\r\nHost: x\r\nOrigin: " origin "\r\n\r\n"
#define PREFLIGHT(origin)                                                              \
	"OPTIONS /things/1 HTTP/1.1\r\nHost: x\r\nOrigin: " origin "\r\n"              \
	"Access-Control-Request-Method: DELETE\r\n\r\n"
	setup();
	expect_answer(FROM("https://desk.example"),
		"Access-Control-Allow-Origin: https://desk.example\r\n");
	expect_answer(FROM("https://desk.example"), "Vary: Origin\r\n");
	expect_answer(PREFLIGHT("https://desk.example"),
		"Access-Control-Allow-Methods: OPTIONS, GET, HEAD, DELETE\r\n");
	expect_answer(PREFLIGHT("https://desk.example"),
		"Access-Control-Allow-Headers: Authorization, Content-Type, "
		"Idempotency-Key, Interactd-Tenant, Last-Event-ID\r\n");
	expect_answer(PREFLIGHT("https://evil.example"), "HTTP/1.1 403 ");
	struct client *c = open_client();
	client_send(
		c, FROM("https://evil.example"), strlen(FROM("https://evil.example")));
	CHECK(client_wait(c, "[1]"));
	CHECK(!strstr(client_text(c), "Access-Control-Allow-Origin"));
	client_free(&c);
	teardown();
}

int
main(void)
{
	TEST(test_routes);
	TEST(test_query);
	TEST(test_headers_always_sent);
	TEST(test_problem_documents);
	TEST(test_bad_requests_end_the_connection);
	TEST(test_keep_alive_and_pipelining);
	TEST(test_closing);
	TEST(test_bodies);
	TEST(test_expect_continue);
	TEST(test_refused_upload_reads_its_answer);
	TEST(test_slow_drip_is_timed_out);
	TEST(test_idle_connections_end);
	TEST(test_client_that_leaves_amid_an_answer);
	TEST(test_late_answer);
	TEST(test_half_closed_client_gets_its_answer);
	TEST(test_late_answer_after_client_gone);
	TEST(test_late_answer_after_server_gone);
	TEST(test_before_may_wait);
	TEST(test_cors);
	return test_done();
}
