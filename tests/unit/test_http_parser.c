/* test_http_parser.c - requests and refusals, whole and cut into every size of piece.
 */
#include "lib/test.h"

#include <buf.h>
#include <io/http_parser.h>
#include <mem.h>

#include <stdio.h>
#include <string.h>

static const struct http_limits limits = {
	.max_header_bytes = 512, .max_body_bytes = 64};

static void
describe(const struct http_message *m, struct buf *out)
{
	buf_printf(out, "%s %s", http_message_method(m), http_message_target(m));
	for (size_t i = 0; i < m->n_fields; i++)
		buf_printf(out, " [%s=%s]", m->head.data + m->fields[i].name,
			m->head.data + m->fields[i].value);
	if (m->body.len)
		buf_printf(out, " {%s}", buf_str(&m->body));
	buf_printf(out, "%s;", m->close ? " close" : "");
}

/* All requests in data as text; a refusal as its status. */
static void
run(const char *data, size_t len, size_t step, struct buf *out)
{
	struct http_parser p;
	enum http_event ev = HTTP_EV_MORE;

	http_parser_init(&p, &limits);
	buf_clear(out);
	for (size_t at = 0; at < len && ev != HTTP_EV_BAD;) {
		size_t n = len - at < step ? len - at : step;
		char *piece = xmalloc(n);
		memcpy(piece, data + at, n);
		at += http_parser_feed(&p, piece, n, &ev);
		mem_free(piece);
		if (ev == HTTP_EV_DONE) {
			struct http_message m;
			http_parser_take(&p, &m);
			describe(&m, out);
			http_message_fini(&m);
		}
	}
	if (ev == HTTP_EV_BAD)
		buf_printf(out, "%d", p.status);
	else if (!http_parser_is_idle(&p))
		buf_adds(out, "more");
	http_parser_fini(&p);
}

static void
expect(const char *data, size_t len, const char *want)
{
	struct buf got = BUF_INIT;

	for (size_t step = 1; step <= len; step = step < 9 ? step + 1 : step * 3) {
		run(data, len, step, &got);
		if (strcmp(buf_str(&got), want) != 0)
			test_fail(__FILE__, __LINE__,
				"in steps of %zu:\n%s\ngave %s, not %s", step, data,
				buf_str(&got), want);
	}
	run(data, len, len, &got);
	CHECK_STR(buf_str(&got), want);
	buf_fini(&got);
}

struct parse_case {
	const char *data;
	const char *want;
	size_t len; /* 0 = strlen */
};

static void
expect_table(const struct parse_case *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect(c[i].data, c[i].len ? c[i].len : strlen(c[i].data), c[i].want);
}

static void
test_good_requests(void)
{
	static const struct parse_case good[] = {
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / [Host=x];", 0},
		{"\r\nGET / HTTP/1.1\r\nHost:x\r\n\r\n", "GET / [Host=x];", 0},
		{"GET /a?b HTTP/1.1\r\nHost:\r\n\r\n", "GET /a?b [Host=];", 0},
		{"GET / HTTP/1.0\r\n\r\n", "GET / close;", 0},
		{"GET / HTTP/1.2\r\nHost: x\r\n\r\n", "GET / [Host=x];", 0},
		{"GET / HTTP/1.1\r\nHost: x\r\nA: \t b\tc \t\r\nA:\r\n\r\n",
			"GET / [Host=x] [A=b\tc] [A=];", 0},
		{"GET / HTTP/1.1\r\nHost: x\r\nA: \xe4\r\n\r\n",
			"GET / [Host=x] [A=\xe4];", 0},
		{"GET / HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n",
			"GET / [Host=[::1]:80] [Connection=close] close;", 0},
		{"GET HTTPS://u:80/p?q HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET /p?q [Host=x];", 0},
		{"GET http://u?q HTTP/1.1\r\nHost: x\r\n\r\n", "GET /?q [Host=x];", 0},
		{"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS * [Host=x];", 0},
		{"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 02\r\n\r\nabPUT",
			"PUT / [Host=x] [Content-Length=02] {ab};more", 0},
		{"PUT / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nHost: x\r\n\r\n"
		 "1\r\na\r\nA; b=\"c\"\r\n0123456789\r\n000\r\nX: y\r\n\r\n",
			"PUT / [Transfer-Encoding=Chunked] [Host=x] {a0123456789};", 0},
		{"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET /1 [Host=x];GET /2 [Host=x];", 0},
		{"", "", 0},
		{"GET / HTTP/1.1\r\nHost: x\r\n\r", "more", 0},
	};
	expect_table(good, ARRAY_LEN(good));
}

#define HEAD "GET / HTTP/1.1\r\nHost: x\r\n"

static void
test_bad_heads(void)
{
	static const struct parse_case bad[] = {
		{"GET / HTTP/1.1\nHost: x\n\n", "400", 0},
		{"GET / HTTP/1.1\r\nHost: x\n\r\n", "400", 0},
		{HEAD "\n", "400", 0},
		{"GET / HTTP/1.1\r\r\nHost: x\r\n\r\n", "400", 0},
		{"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "400", 0},
		{"\x16\x03\x01", "400", 0}, /* a TLS hello: refused at once */
		{" GET / HTTP/1.1\r\n", "400", 0},
		{"GET\r\n", "400", 0},
		{"GET /\r\n", "400", 0}, /* HTTP/0.9 */
		{"GET  / HTTP/1.1\r\n", "400", 0},
		{"GET / a HTTP/1.1\r\n", "400", 0},
		{"GET / HTTP/1.1 \r\n", "400", 0},
		{"GET /\tHTTP/1.1\r\n", "400", 0},
		{"G(T / HTTP/1.1\r\n", "400", 0},
		{"GET a HTTP/1.1\r\n", "400", 0},
		{"GET * HTTP/1.1\r\n", "400", 0},
		{"GET http:///a HTTP/1.1\r\n", "400", 0},
		{"GET http:/a HTTP/1.1\r\n", "400", 0},
		{"GET /a#b HTTP/1.1\r\n", "400", 0},
		{"GET /\x7f HTTP/1.1\r\n", "400", 0},
		{"GET /\0 HTTP/1.1\r\n", "400", 17},
		{"GET / http/1.1\r\n", "400", 0},
		{"GET / HTTP/1\r\n", "400", 0},
		{"GET / HTTP/11\r\n", "400", 0},
		{"GET / HTTP/2.0\r\n", "505", 0},
		{"GET / HTTP/0.9\r\n", "505", 0},
		{"PRI * HTTP/2.0\r\n", "505", 0},
		{"TRACE / HTTP/1.1\r\n", "501", 0},
		{"CONNECT x:1 HTTP/1.1\r\n", "400", 0},
		{"get / HTTP/1.1\r\n", "501", 0},
		{"GET / HTTP/1.1\r\n\r\n", "400", 0},
		{HEAD "Host: x\r\n", "400", 0},
		{"GET / HTTP/1.1\r\nHost: x, y\r\n", "400", 0},
		{"GET / HTTP/1.1\r\nHost: x/y\r\n", "400", 0},
		{"GET / HTTP/1.1\r\n Host: x\r\n", "400", 0},
		{HEAD "A: b\r\n c\r\n", "400", 0},
		{HEAD "A : b\r\n", "400", 0},
		{HEAD "A\r\n", "400", 0},
		{HEAD ": b\r\n", "400", 0},
		{HEAD "A\x01: b\r\n", "400", 0},
		{HEAD "\xc3\xa4: b\r\n", "400", 0},
		{HEAD "A: b\rc\r\n", "400", 0},
		{HEAD "A: b\x01\r\n", "400", 0},
		{HEAD "A: b\0c\r\n", "400", sizeof(HEAD) - 1 + 8},
		{HEAD "Expect: cookies\r\n", "417", 0},
	};
	expect_table(bad, ARRAY_LEN(bad));
}

/* What two servers in a row could read differently (RFC 9112 §6.3, §11.2). */
static void
test_smuggling_is_refused(void)
{
	static const struct parse_case bad[] = {
		{HEAD "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400",
			0},
		{HEAD "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", "400",
			0},
		{HEAD "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", "400",
			0},
		{HEAD "Content-Length: 1\r\nContent-Length: 2\r\n", "400", 0},
		{HEAD "Content-Length: 1\r\nContent-Length: 1\r\n", "400", 0},
		{HEAD "Content-Length: 1, 1\r\n", "400", 0},
		{HEAD "Content-Length: +1\r\n", "400", 0},
		{HEAD "Content-Length: -1\r\n", "400", 0},
		{HEAD "Content-Length: 0x1\r\n", "400", 0},
		{HEAD "Content-Length: 1 1\r\n", "400", 0},
		{HEAD "Content-Length:\r\n", "400", 0},
		{HEAD "Content-Length: 18446744073709551617\r\n", "400", 0},
		{HEAD "Content-Length : 1\r\n", "400", 0},
		{HEAD "Transfer-Encoding: chunked, chunked\r\n", "501", 0},
		{HEAD "Transfer-Encoding: gzip, chunked\r\n", "501", 0},
		{HEAD "Transfer-Encoding: identity\r\n", "501", 0},
		{HEAD "Transfer-Encoding: xchunked\r\n", "501", 0},
		{HEAD "Transfer-Encoding: \x0b"
		      "chunked\r\n",
			"400", 0},
		{HEAD "Transfer-Encoding : chunked\r\n", "400", 0},
		{HEAD "Transfer-Encoding:\r\n chunked\r\n", "501", 0},
		{HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
			"400", 0},
		{"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "400", 0},
	};
	expect_table(bad, ARRAY_LEN(bad));
}

#define CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"

static void
test_bad_bodies(void)
{
	static const struct parse_case bad[] = {
		{HEAD "Content-Length: 65\r\n\r\n", "413", 0},
		{HEAD "Content-Length: 999999999999999999\r\n\r\n", "413", 0},
		{CHUNKED "41\r\n", "413", 0},
		{CHUNKED "1\r\na\r\n40\r\n", "413", 0},
		{CHUNKED "ffffffffffffffff\r\n", "413", 0},
		{CHUNKED "fffffffffffffffff\r\n", "400", 0},
		{CHUNKED "\r\n", "400", 0},
		{CHUNKED "x\r\n", "400", 0},
		{CHUNKED "-1\r\n", "400", 0},
		{CHUNKED "0x1\r\n", "400", 0},
		{CHUNKED " 1\r\n", "400", 0},
		{CHUNKED "1\n", "400", 0},
		{CHUNKED "1 \r\n", "400", 0},
		{CHUNKED "1;a\rb\r\n", "400", 0},
		{CHUNKED "1\0\r\n", "400", sizeof(CHUNKED) - 1 + 4},
		{CHUNKED "1\r\nab\r\n", "400", 0},
		{CHUNKED "1\r\na\n", "400", 0},
		{CHUNKED "1\r\na\rb", "400", 0},
		{CHUNKED "0\r\nX : y\r\n", "400", 0},
		{CHUNKED "0\r\n X: y\r\n", "400", 0},
		{CHUNKED "0\r\n\n", "400", 0},
	};
	expect_table(bad, ARRAY_LEN(bad));
}

static void
repeat(struct buf *b, const char *s, int n)
{
	while (n-- > 0)
		buf_adds(b, s);
}

static void
test_limits(void)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, "GET /");
	repeat(&b, "a", 600); /* no line's end: refused all the same */
	expect(b.data, b.len, "414");
	buf_adds(&b, " HTTP/1.1\r\n");
	expect(b.data, b.len, "414");
	buf_clear(&b);
	buf_adds(&b, HEAD "A: ");
	repeat(&b, "a", 600);
	expect(b.data, b.len, "431");
	buf_clear(&b);
	buf_adds(&b, HEAD);
	repeat(&b, "A:\r\n", 100);
	expect(b.data, b.len, "431");
	buf_clear(&b);
	buf_adds(&b, CHUNKED "0\r\n");
	repeat(&b, "A: b\r\n", 100);
	expect(b.data, b.len, "431");
	buf_clear(&b);
	buf_adds(&b, CHUNKED "1;");
	repeat(&b, "a", 300);
	expect(b.data, b.len, "400");
	buf_fini(&b);
}

static void
test_words(void)
{
	static const char data[] =
		HEAD "Connection: keep-alive, Upgrade\r\nConnection: x\r\n\r\n";
	struct http_parser p;
	struct http_message m;
	enum http_event ev;

	http_parser_init(&p, &limits);
	http_parser_feed(&p, data, strlen(data), &ev);
	CHECK_INT(ev, HTTP_EV_DONE);
	http_parser_take(&p, &m);
	CHECK(http_message_has_word(&m, "connection", "upgrade"));
	CHECK(http_message_has_word(&m, "Connection", "X"));
	CHECK(!http_message_has_word(&m, "Connection", "keep"));
	CHECK(!http_message_has_word(&m, "Upgrade", "x"));
	CHECK_STR(http_message_find(&m, "CONNECTION"), "keep-alive, Upgrade");
	http_message_fini(&m);
	http_parser_fini(&p);
}

int
main(void)
{
	TEST(test_good_requests);
	TEST(test_bad_heads);
	TEST(test_smuggling_is_refused);
	TEST(test_bad_bodies);
	TEST(test_limits);
	TEST(test_words);
	return test_done();
}
