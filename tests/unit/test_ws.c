/* test_ws.c - frames in and out, whole and cut into single bytes. */
#include "lib/test.h"

#include <buf.h>
#include <io/ws.h>
#include <mem.h>

#include <stdio.h>
#include <string.h>

/* Appends one client frame, masked with 0x01020304; b0 holds FIN, RSV and opcode. */
static void
add_frame(struct buf *out, unsigned b0, const void *payload, size_t len)
{
	static const unsigned char mask[] = {1, 2, 3, 4};
	size_t n_len = len < 126 ? 0 : len < 65536 ? 2 : 8;

	buf_addc(out, (char)b0);
	buf_addc(out, (char)(0x80 | (n_len == 0 ? len : n_len == 2 ? 126 : 127)));
	for (size_t i = 0; i < n_len; i++)
		buf_addc(out, (char)(len >> 8 * (n_len - 1 - i)));
	buf_add(out, mask, 4);
	for (size_t i = 0; i < len; i++)
		buf_addc(
			out, (char)(((const unsigned char *)payload)[i] ^ mask[i & 3]));
}

/* Decodes in pieces of at most `step` bytes; the events as text. */
static void
run(const struct buf *in, size_t step, size_t max, struct buf *out)
{
	struct ws_decoder d;
	enum ws_event ev;

	ws_decoder_init(&d, max);
	buf_clear(out);
	for (size_t at = 0; at < in->len;) {
		size_t n = in->len - at < step ? in->len - at : step;
		/* A copy of its own, so that reading past the piece is seen. */
		char *piece = xmalloc(n);
		memcpy(piece, in->data + at, n);
		at += ws_decode(&d, piece, n, &ev);
		mem_free(piece);
		switch (ev) {
		case WS_EV_MORE: break;
		case WS_EV_TEXT:
			if (d.message.len > 64)
				buf_printf(out, "text[%zu] ", d.message.len);
			else
				buf_printf(out, "text(%s) ", buf_str(&d.message));
			break;
		case WS_EV_PING:
			buf_printf(out, "ping(%s) ", buf_str(&d.control));
			break;
		case WS_EV_PONG:
			buf_printf(out, "pong(%s) ", buf_str(&d.control));
			break;
		case WS_EV_CLOSE: buf_printf(out, "close(%d) ", d.close_code); break;
		case WS_EV_BAD: buf_printf(out, "bad(%d) ", d.close_code); break;
		}
	}
	ws_decoder_fini(&d);
}

static void
expect(const char *name, const struct buf *in, size_t max, const char *want)
{
	static const size_t steps[] = {1, 2, 3, 7, 1000000};
	struct buf got = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		run(in, steps[i], max, &got);
		if (strcmp(buf_str(&got), want) != 0)
			test_fail(__FILE__, __LINE__, "%s in steps of %zu: %s, not %s",
				name, steps[i], buf_str(&got), want);
	}
	buf_fini(&got);
}

#define MAX_FRAMES 5
struct frames {
	const char *name;
	struct {
		unsigned b0;
		const char *payload;
		size_t len; /* 0 = strlen */
	} f[MAX_FRAMES];
	const char *want;
};

static void
expect_table(const struct frames *t, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct buf in = BUF_INIT;
		for (size_t k = 0; k < MAX_FRAMES && t[i].f[k].payload; k++)
			add_frame(&in, t[i].f[k].b0, t[i].f[k].payload,
				t[i].f[k].len ? t[i].f[k].len
					      : strlen(t[i].f[k].payload));
		expect(t[i].name, &in, 65536, t[i].want);
		buf_fini(&in);
	}
}

static void
test_good_frames(void)
{
	static const struct frames good[] = {
		{"one text", {{0x81, "hello", 0}}, "text(hello) "},
		{"an empty text", {{0x81, "", 0}}, "text() "},
		{"two texts", {{0x81, "a", 0}, {0x81, "b", 0}}, "text(a) text(b) "},
		{"three fragments", {{0x01, "he", 0}, {0x00, "", 0}, {0x80, "llo", 0}},
			"text(hello) "},
		{"a sequence cut between fragments",
			{{0x01, "\xe7", 0}, {0x80, "\xa4\xba", 0}},
			"text(\xe7\xa4\xba) "},
		{"a ping inside a message",
			{{0x01, "he", 0}, {0x89, "p", 0}, {0x80, "llo", 0},
				{0x81, "x", 0}},
			"ping(p) text(hello) text(x) "},
		{"a pong", {{0x8a, "p", 0}}, "pong(p) "},
		{"an empty ping", {{0x89, "", 0}}, "ping() "},
		{"a close without a code", {{0x88, "", 0}}, "close(1005) "},
		{"a close", {{0x88, "\x03\xe8", 2}}, "close(1000) "},
		{"a close with a reason", {{0x88, "\x03\xe9going", 7}}, "close(1001) "},
		{"a private close code", {{0x88, "\x0f\xa0", 2}}, "close(4000) "},
		{"nothing counts after a close",
			{{0x88, "\x03\xe8", 2}, {0x81, "x", 0}}, "close(1000) "},
	};
	expect_table(good, ARRAY_LEN(good));
}

static void
test_bad_frames(void)
{
	static const struct frames bad[] = {
		{"a reserved bit", {{0xc1, "x", 0}}, "bad(1002) "},
		{"an unknown opcode", {{0x83, "x", 0}}, "bad(1002) "},
		{"an unknown control opcode", {{0x8b, "x", 0}}, "bad(1002) "},
		{"binary", {{0x82, "x", 0}}, "bad(1003) "},
		{"a continuation of nothing", {{0x80, "x", 0}}, "bad(1002) "},
		{"a text inside a text", {{0x01, "x", 0}, {0x81, "y", 0}},
			"bad(1002) "},
		{"a ping in parts", {{0x09, "x", 0}}, "bad(1002) "},
		{"not UTF-8", {{0x81, "\xff", 0}}, "bad(1007) "},
		{"a surrogate", {{0x81, "\xed\xa0\x80", 0}}, "bad(1007) "},
		{"cut UTF-8", {{0x01, "\xe7", 0}, {0x80, "", 0}}, "bad(1007) "},
		{"half a close code", {{0x88, "\x03", 1}}, "bad(1002) "},
		{"close code 1005", {{0x88, "\x03\xed", 2}}, "bad(1002) "},
		{"close code 999", {{0x88, "\x03\xe7", 2}}, "bad(1002) "},
		{"close code 2000", {{0x88, "\x07\xd0", 2}}, "bad(1002) "},
		{"close code 5000", {{0x88, "\x13\x88", 2}}, "bad(1002) "},
		{"a close reason that is not UTF-8", {{0x88, "\x03\xe8\xff", 3}},
			"bad(1007) "},
	};
	expect_table(bad, ARRAY_LEN(bad));
}

static void
test_bad_bytes(void)
{
	static const struct {
		const char *name, *bytes;
		size_t len;
		const char *want;
	} bad[] = {
		{"not masked", "\x81\x01x", 3, "bad(1002) "},
		{"a long ping", "\x89\xfe\x00\x7e\1\2\3\4", 8, "bad(1002) "},
		{"16 bits for 125", "\x81\xfe\x00\x7d\1\2\3\4", 8, "bad(1002) "},
		{"64 bits for 65535", "\x81\xff\0\0\0\0\0\0\xff\xff\1\2\3\4", 14,
			"bad(1002) "},
		{"a length with the top bit", "\x81\xff\x80\0\0\0\0\0\0\0\1\2\3\4", 14,
			"bad(1002) "},
		{"a huge length is refused at its head",
			"\x81\xff\0\0\1\0\0\0\0\0\1\2\3\4", 14, "bad(1009) "},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf in = BUF_INIT;
		buf_add(&in, bad[i].bytes, bad[i].len);
		expect(bad[i].name, &in, 65536, bad[i].want);
		buf_fini(&in);
	}
}

static void
test_sizes(void)
{
	static const size_t sizes[] = {125, 126, 127, 65535, 65536};
	char *text = xmalloc(65537), want[64];
	struct buf in = BUF_INIT;

	memset(text, 'x', 65537);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		buf_clear(&in);
		add_frame(&in, 0x81, text, sizes[i]);
		snprintf(want, sizeof(want), "text[%zu] ", sizes[i]);
		expect("a size", &in, 65536, want);
	}
	buf_clear(&in);
	add_frame(&in, 0x81, text, 65537);
	expect("one byte too many", &in, 65536, "bad(1009) ");
	buf_clear(&in);
	add_frame(&in, 0x01, text, 65536);
	add_frame(&in, 0x80, "x", 1);
	expect("one byte too many in the second part", &in, 65536, "bad(1009) ");
	buf_fini(&in);
	mem_free(text);
}

static void
test_encode(void)
{
	static const struct {
		size_t len;
		const char *head;
		size_t n;
	} cases[] = {{0, "\x81\x00", 2}, {125, "\x81\x7d", 2},
		{126, "\x81\x7e\x00\x7e", 4}, {65535, "\x81\x7e\xff\xff", 4},
		{65536, "\x81\x7f\0\0\0\0\0\1\0\0", 10}};
	char *text = xcalloc(1, 65536);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf out = BUF_INIT;
		ws_encode(&out, WS_OP_TEXT, text, cases[i].len);
		CHECK_INT((int64_t)out.len, (int64_t)(cases[i].n + cases[i].len));
		CHECK(memcmp(out.data, cases[i].head, cases[i].n) == 0);
		buf_fini(&out);
	}
	mem_free(text);
}

static void
test_encode_close_cuts_the_reason(void)
{
	struct buf out = BUF_INIT;
	char reason[200] = "";

	for (int i = 0; i < 50; i++)
		strcat(reason, "\xe7\xa4\xba");
	ws_encode_close(&out, WS_CLOSE_GOING_AWAY, reason);
	CHECK_INT((int64_t)out.len, 2 + 2 + 123);
	CHECK(memcmp(out.data, "\x88\x7d\x03\xe9\xe7", 5) == 0);
	buf_clear(&out);
	ws_encode_close(&out, WS_CLOSE_NORMAL, NULL);
	CHECK_INT((int64_t)out.len, 4);
	buf_fini(&out);
}

int
main(void)
{
	TEST(test_good_frames);
	TEST(test_bad_frames);
	TEST(test_bad_bytes);
	TEST(test_sizes);
	TEST(test_encode);
	TEST(test_encode_close_cuts_the_reason);
	return test_done();
}
