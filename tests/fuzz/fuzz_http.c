/* fuzz_http.c - any bytes as a connection's input. However they are cut, the same
 * requests and the same refusal come out; what a request says of itself holds; its
 * target decodes to UTF-8 or not at all. */
#include <io/http_priv.h>

#include <mem.h>
#include <str.h>

#include <stdlib.h>
#include <string.h>

static const struct http_limits limits = {
	.max_header_bytes = 1024, .max_body_bytes = 256};

static void
require(bool cond)
{
	if (!cond)
		abort();
}

static void
check_decoded(const struct http_message *m)
{
	struct http_request r = {.message = *m};

	if (!http_request_decode(&r)) {
		require(utf8_valid(r.path, strlen(r.path)));
		for (size_t i = 0; i < r.n_segments; i++)
			require(utf8_valid(r.segments[i], strlen(r.segments[i])));
		for (size_t i = 0; i < r.n_params; i++)
			require(r.params[i].name && r.params[i].value &&
				utf8_valid(
					r.params[i].value, strlen(r.params[i].value)));
	}
	mem_free(r.text);
	mem_free(r.params);
}

static void
check_message(const struct http_message *m)
{
	require(m->in_pieces || m->body.len <= limits.max_body_bytes);
	require(m->head.len <= limits.max_header_bytes);
	require(!(m->chunked && m->has_length));
	require(m->in_pieces || m->chunked || m->body.len == m->content_length);
	require(*http_message_target(m) == '/' || *http_message_target(m) == '*');
	for (size_t i = 0; i < m->n_fields; i++) {
		const char *name = m->head.data + m->fields[i].name;
		require(*name && !strpbrk(name, " \t\r\n:"));
		require(!strpbrk(m->head.data + m->fields[i].value, "\r\n"));
	}
	http_message_has_word(m, "Connection", "close");
	check_decoded(m);
}

static void
describe(const struct http_message *m, struct buf *out)
{
	buf_printf(out, "%s %s %d\n", http_message_method(m), http_message_target(m),
		m->close);
	for (size_t i = 0; i < m->n_fields; i++)
		buf_printf(out, "%s: %s\n", m->head.data + m->fields[i].name,
			m->head.data + m->fields[i].value);
	buf_add(out, buf_str(&m->body), m->body.len);
}

/* A target under /p takes its body in pieces. */
static bool
wants_pieces(void *arg, const struct http_message *m)
{
	(void)arg;
	return strncmp(http_message_target(m), "/p", 2) == 0;
}

/* The head is taken with HEAD, the body as it comes; both are told when it is whole. */
static void
parse_pieces(struct http_parser *p, enum http_event ev, struct buf *told)
{
	struct http_message *m = &p->message;

	if (ev == HTTP_EV_HEAD && m->in_pieces) {
		struct http_message head;
		http_parser_take_head(p, &head);
		check_message(&head);
		describe(&head, told);
		http_message_fini(&head);
	} else if (m->in_pieces && m->body.len) {
		buf_add(told, m->body.data, m->body.len);
		buf_clear(&m->body);
	}
}

/* Pieces of 1 to 16 bytes by a generator seeded with `seed`; seed 0: all at once. */
static void
parse(const char *data, size_t size, uint32_t seed, struct buf *out)
{
	struct http_parser p;
	enum http_event ev = HTTP_EV_MORE;

	http_parser_init(&p, &limits);
	p.wants_pieces = wants_pieces;
	for (size_t at = 0; at < size && ev != HTTP_EV_BAD;) {
		size_t n = size - at;
		seed = seed * 1664525u + 1013904223u * (seed != 0);
		if (seed && n > 1 + (seed >> 28))
			n = 1 + (seed >> 28);
		at += http_parser_feed(&p, data + at, n, &ev);
		parse_pieces(&p, ev, out);
		if (ev == HTTP_EV_DONE) {
			struct http_message m;
			http_parser_take(&p, &m);
			if (!m.in_pieces) {
				check_message(&m);
				describe(&m, out);
			}
			http_message_fini(&m);
		}
	}
	if (ev == HTTP_EV_BAD)
		buf_printf(out, "%d %s", p.status, p.why);
	buf_printf(out, "%d%d", http_parser_is_idle(&p), http_parser_in_body(&p));
	http_parser_fini(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT, cut = BUF_INIT;

	parse((const char *)data, size, 0, &whole);
	parse((const char *)data, size, (uint32_t)size * 2 + 1, &cut);
	require(whole.len == cut.len && memcmp(whole.data, cut.data, cut.len) == 0);
	buf_fini(&whole);
	buf_fini(&cut);
	return 0;
}
