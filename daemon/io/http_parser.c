/* http_parser.c - the strict request parser; http_parser.h says what it refuses and
 * why.
 *
 * A head is collected line by line in message.head; when its CR LF has come, a line is
 * cut in place and checked at once. Every refusal is decided at a fixed byte of the
 * input (a line's end, or the byte that passes a limit), so that cutting the input
 * elsewhere changes nothing; tests/fuzz/fuzz_http.c holds us to that. Next: http_conn.c
 * feeds it. */
#include "io/http_parser.h"

#include <mem.h>
#include <str.h>

#include <assert.h>
#include <string.h>
#include <strings.h>

#define MAX_FIELDS     100
#define MAX_METHOD     32
#define MAX_CHUNK_LINE 256 /* size and extensions, which nobody needs */

enum {
	ST_REQUEST_LINE,
	ST_FIELDS,
	ST_BODY, /* of Content-Length */
	ST_CHUNK_SIZE,
	ST_CHUNK_DATA,
	ST_CHUNK_END, /* the CR LF after a chunk's data */
	ST_TRAILERS,
	ST_DONE,
	ST_BAD,
};

void
http_parser_init(struct http_parser *p, const struct http_limits *limits)
{
	memset(p, 0, sizeof(*p));
	p->limits = *limits;
}

void
http_parser_fini(struct http_parser *p)
{
	http_message_fini(&p->message);
	buf_fini(&p->scratch);
}

void
http_message_fini(struct http_message *m)
{
	buf_fini(&m->head);
	buf_fini(&m->body);
	xfree(&m->fields);
	memset(m, 0, sizeof(*m));
}

void
http_parser_take(struct http_parser *p, struct http_message *dst)
{
	assert(p->state == ST_DONE);
	*dst = p->message;
	memset(&p->message, 0, sizeof(p->message));
	buf_clear(&p->scratch);
	p->state = ST_REQUEST_LINE;
	p->line = p->trailer_bytes = 0;
	p->left = 0;
	p->skipped_blank_line = p->has_host = false;
}

void
http_parser_take_head(struct http_parser *p, struct http_message *dst)
{
	struct http_message *m = &p->message;

	assert(http_parser_in_body(p) && m->in_pieces && !m->body.len);
	*dst = *m;
	*m = (struct http_message){.in_pieces = true, .chunked = dst->chunked};
}

bool
http_parser_is_idle(const struct http_parser *p)
{
	return p->state == ST_REQUEST_LINE && p->message.head.len == 0;
}

bool
http_parser_in_body(const struct http_parser *p)
{
	return p->state > ST_FIELDS && p->state < ST_DONE;
}

static const char *
text_at(const struct http_message *m, uint32_t offset)
{
	return m->head.len ? m->head.data + offset : "";
}

const char *
http_message_method(const struct http_message *m)
{
	return text_at(m, m->method);
}

const char *
http_message_target(const struct http_message *m)
{
	return text_at(m, m->target);
}

const char *
http_message_find(const struct http_message *m, const char *name)
{
	for (size_t i = 0; i < m->n_fields; i++)
		if (strcasecmp(text_at(m, m->fields[i].name), name) == 0)
			return text_at(m, m->fields[i].value);
	return NULL;
}

static bool
list_has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (*list) {
		list += strspn(list, ", \t");
		size_t n = strcspn(list, ", \t");
		if (n == len && strncasecmp(list, word, n) == 0)
			return true;
		list += n;
	}
	return false;
}

bool
http_message_has_word(const struct http_message *m, const char *name, const char *word)
{
	for (size_t i = 0; i < m->n_fields; i++)
		if (strcasecmp(text_at(m, m->fields[i].name), name) == 0 &&
			list_has_word(text_at(m, m->fields[i].value), word))
			return true;
	return false;
}

/* RFC 9110 §5.6.2. */
static bool
is_token_char(unsigned char c)
{
	if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
		return true;
	return c && strchr("!#$%&'*+-.^_`|~", c);
}

static int
bad(struct http_parser *p, int status, const char *why)
{
	p->state = ST_BAD;
	p->status = status;
	p->why = why;
	return -1;
}

/* Takes bytes up to and with the next LF into *dst. Returns 1 when a line ending in
 * CR LF is complete (CR LF cut off, NUL in its place), 0 if more is needed, -1 if
 * refused. max counts all of dst. */
static int
take_line(struct http_parser *p, struct buf *dst, const char *data, size_t len,
	size_t max, size_t *used_r)
{
	const char *lf = memchr(data, '\n', len);
	size_t n = lf ? (size_t)(lf - data) + 1 : len;

	*used_r = n;
	if (n > max - dst->len) {
		if (p->state == ST_REQUEST_LINE)
			return bad(p, 414, "the request line is too long");
		if (p->state == ST_CHUNK_SIZE)
			return bad(p, 400, "a chunk's size line is too long");
		return bad(p, 431, "the header is too long");
	}
	buf_add(dst, data, n);
	if (!lf)
		return 0;
	if (dst->len - p->line < 2 || dst->data[dst->len - 2] != '\r')
		return bad(p, 400, "a line ends in a bare LF");
	dst->data[dst->len - 2] = '\0';
	return 1;
}

static bool
is_known_method(const char *s)
{
	static const char *const known[] = {
		"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(s, known[i]) == 0)
			return true;
	return false;
}

/* "HTTP/" DIGIT "." DIGIT, RFC 9112 §2.3. Any 1.x above 1.1 is spoken to as 1.1. */
static int
check_version(struct http_parser *p, const char *s)
{
	if (strncmp(s, "HTTP/", 5) != 0 || strlen(s) != 8 || s[6] != '.' ||
		s[5] < '0' || s[5] > '9' || s[7] < '0' || s[7] > '9')
		return bad(p, 400, "the request line does not end in an HTTP version");
	if (s[5] != '1')
		return bad(p, 505, "this server speaks HTTP/1.1 and HTTP/1.0");
	p->message.minor = s[7] == '0' ? 0 : 1;
	p->message.close = p->message.minor == 0;
	return 0;
}

/* Origin-form, absolute-form (cut down to its path), or "*" (RFC 9112 §3.2). Bytes
 * above 0x7f pass here: people type UTF-8 into curl; it is checked after decoding. */
static int
check_target(struct http_parser *p, char *target)
{
	struct http_message *m = &p->message;

	for (const char *s = target; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f || *s == '#')
			return bad(
				p, 400, "the request target has a forbidden character");
	m->target = (uint32_t)(target - m->head.data);
	if (*target == '/' || (strcmp(target, "*") == 0 &&
				      strcmp(http_message_method(m), "OPTIONS") == 0))
		return 0;
	size_t scheme = strncasecmp(target, "http://", 7) == 0	  ? 7
			: strncasecmp(target, "https://", 8) == 0 ? 8
								  : 0;
	if (!scheme || strchr("/?", target[scheme]))
		return bad(p, 400, "the request target is neither a path nor a URL");
	size_t path = scheme + strcspn(target + scheme, "/?");
	if (target[path] != '/') /* "http://host?q": the host's last byte is spare */
		target[--path] = '/';
	m->target += (uint32_t)path;
	return 0;
}

static int
on_request_line(struct http_parser *p)
{
	struct http_message *m = &p->message;
	char *line = m->head.data + p->line;
	size_t len = m->head.len - p->line - 2;

	if (len == 0 && !p->skipped_blank_line) { /* RFC 9112 §2.2: one is forgiven */
		p->skipped_blank_line = true;
		buf_clear(&m->head);
		return 0;
	}
	if (memchr(line, '\0', len))
		return bad(p, 400, "the request line has a NUL");
	char *target = strchr(line, ' ');
	char *version = target ? strchr(target + 1, ' ') : NULL;
	if (!version)
		return bad(p, 400, "the request line is not METHOD TARGET VERSION");
	*target++ = '\0';
	*version++ = '\0';
	m->method = (uint32_t)(line - m->head.data);
	if (!*line || strlen(line) > MAX_METHOD)
		return bad(p, 400, "the method is not a token");
	for (const char *s = line; *s; s++)
		if (!is_token_char((unsigned char)*s))
			return bad(p, 400, "the method is not a token");
	if (check_version(p, version) || check_target(p, target))
		return -1;
	if (!is_known_method(line))
		return bad(p, 501, "this method is not known here");
	p->state = ST_FIELDS;
	p->line = m->head.len;
	return 0;
}

static int
on_content_length(struct http_parser *p, const char *value)
{
	struct http_message *m = &p->message;
	uint64_t n = 0;

	if (m->has_length)
		return bad(p, 400, "Content-Length came twice");
	if (!*value || strlen(value) > 18)
		return bad(p, 400, "Content-Length is not a length");
	for (const char *s = value; *s; s++) {
		if (*s < '0' || *s > '9')
			return bad(p, 400, "Content-Length is not a length");
		n = n * 10 + (uint64_t)(*s - '0');
	}
	m->has_length = true;
	m->content_length = n;
	return 0;
}

/* The fields that frame a message, checked as they come. */
static int
on_field(struct http_parser *p, const char *name, const char *value)
{
	struct http_message *m = &p->message;

	if (strcasecmp(name, "Content-Length") == 0)
		return on_content_length(p, value);
	if (strcasecmp(name, "Transfer-Encoding") == 0) {
		if (m->chunked)
			return bad(p, 400, "Transfer-Encoding came twice");
		if (m->minor == 0)
			return bad(p, 400, "HTTP/1.0 has no Transfer-Encoding");
		if (strcasecmp(value, "chunked") != 0)
			return bad(p, 501, "the only transfer coding known is chunked");
		m->chunked = true;
	} else if (strcasecmp(name, "Host") == 0) {
		if (p->has_host)
			return bad(p, 400, "Host came twice");
		if (strpbrk(value, " \t,/@?#\\"))
			return bad(p, 400, "Host is not a host");
		p->has_host = true;
	} else if (strcasecmp(name, "Expect") == 0) {
		if (strcasecmp(value, "100-continue") != 0)
			return bad(p, 417, "the only expectation met is 100-continue");
		m->expect_continue = m->minor > 0;
	}
	return 0;
}

/* RFC 9112 §5: field-name ":" OWS field-value OWS. Cuts line at both ends of the value;
 * returns the value, NULL if refused. */
static char *
cut_field(struct http_parser *p, char *line, size_t len)
{
	char *colon = memchr(line, ':', len), *value, *end = line + len;

	if (*line == ' ' || *line == '\t') {
		bad(p, 400, "a header line is folded");
		return NULL;
	}
	if (!colon || colon == line) {
		bad(p, 400, "a header line has no name and colon");
		return NULL;
	}
	for (const char *s = line; s < colon; s++)
		if (!is_token_char((unsigned char)*s)) {
			bad(p, 400, "a header's name is not a token");
			return NULL;
		}
	for (const char *s = colon + 1; s < end; s++)
		if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f) {
			bad(p, 400, "a header's value has a control character");
			return NULL;
		}
	*colon = '\0';
	for (value = colon + 1; *value == ' ' || *value == '\t'; value++)
		;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	return value;
}

static void
add_field(struct http_message *m, const char *name, const char *value)
{
	if (m->n_fields == m->cap_fields) {
		m->cap_fields = m->cap_fields ? m->cap_fields * 2 : 16;
		m->fields = xrealloc(m->fields, m->cap_fields * sizeof(*m->fields));
	}
	m->fields[m->n_fields++] = (struct http_field){
		(uint32_t)(name - m->head.data), (uint32_t)(value - m->head.data)};
}

static enum http_event
done(struct http_parser *p)
{
	p->state = ST_DONE;
	return HTTP_EV_DONE;
}

/* The blank line: decides how the body is framed (RFC 9112 §6.3). */
static enum http_event
on_head_end(struct http_parser *p)
{
	struct http_message *m = &p->message;

	bool has_body = m->chunked || m->content_length;
	p->state = ST_BAD;
	m->in_pieces = has_body && p->wants_pieces && p->wants_pieces(p->arg, m);
	if (m->minor > 0 && !p->has_host)
		bad(p, 400, "Host is missing");
	else if (m->chunked && m->has_length)
		bad(p, 400, "both Content-Length and Transfer-Encoding");
	else if (!m->in_pieces && m->content_length > p->limits.max_body_bytes)
		bad(p, 413, "the body is too large");
	else if (m->chunked)
		p->state = ST_CHUNK_SIZE;
	else
		p->state = ST_BODY;
	if (p->state == ST_BAD)
		return HTTP_EV_BAD;
	if (http_message_has_word(m, "Connection", "close"))
		m->close = true;
	p->left = m->content_length;
	p->line = 0;
	return has_body ? HTTP_EV_HEAD : done(p);
}

static enum http_event
feed_head(struct http_parser *p, const char *data, size_t len, size_t *used_r)
{
	struct http_message *m = &p->message;

	if (m->head.len == 0 && *data != '\r' && !is_token_char((unsigned char)*data)) {
		*used_r = 1; /* most likely a TLS hello; do not wait for a line's end */
		bad(p, 400, "this is not an HTTP request");
		return HTTP_EV_BAD;
	}
	int r = take_line(p, &m->head, data, len, p->limits.max_header_bytes, used_r);
	if (r <= 0)
		return r ? HTTP_EV_BAD : HTTP_EV_MORE;
	if (p->state == ST_REQUEST_LINE)
		return on_request_line(p) ? HTTP_EV_BAD : HTTP_EV_MORE;

	char *line = m->head.data + p->line, *value;
	size_t n = m->head.len - p->line - 2;
	p->line = m->head.len;
	if (n == 0)
		return on_head_end(p);
	if (m->n_fields == MAX_FIELDS) {
		bad(p, 431, "too many header fields");
		return HTTP_EV_BAD;
	}
	value = cut_field(p, line, n);
	if (!value || on_field(p, line, value))
		return HTTP_EV_BAD;
	add_field(m, line, value);
	return HTTP_EV_MORE;
}

static enum http_event
feed_body(struct http_parser *p, const char *data, size_t len, size_t *used_r)
{
	size_t n = len < p->left ? len : (size_t)p->left;

	buf_add(&p->message.body, data, n);
	p->left -= n;
	*used_r = n;
	if (p->left)
		return HTTP_EV_MORE;
	if (p->state == ST_BODY)
		return done(p);
	p->state = ST_CHUNK_END;
	return HTTP_EV_MORE;
}

/* chunk-size [ chunk-ext ] CR LF, RFC 9112 §7.1. */
static int
on_chunk_size(struct http_parser *p)
{
	const char *s = p->scratch.data;
	uint64_t n = 0;
	unsigned digits = 0;

	for (; digits < 16; s++, digits++) {
		if (*s >= '0' && *s <= '9')
			n = n * 16 + (uint64_t)(*s - '0');
		else if ((*s | 0x20) >= 'a' && (*s | 0x20) <= 'f')
			n = n * 16 + (uint64_t)((*s | 0x20) - 'a') + 10;
		else
			break;
	}
	if (!digits || (*s && *s != ';') || strlen(s) + digits + 2 != p->scratch.len)
		return bad(p, 400, "a chunk's size is not a number");
	for (; *s; s++) /* ignored, but a line is a line to everybody on the way */
		if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
			return bad(p, 400, "a chunk's size is not a number");
	if (!p->message.in_pieces && n > p->limits.max_body_bytes - p->message.body.len)
		return bad(p, 413, "the body is too large");
	buf_clear(&p->scratch);
	p->left = n;
	p->state = n ? ST_CHUNK_DATA : ST_TRAILERS;
	return 0;
}

static enum http_event
feed_chunk_size(struct http_parser *p, const char *data, size_t len, size_t *used_r)
{
	int r = take_line(p, &p->scratch, data, len, MAX_CHUNK_LINE, used_r);

	if (r > 0)
		r = on_chunk_size(p);
	return r < 0 ? HTTP_EV_BAD : HTTP_EV_MORE;
}

static enum http_event
feed_chunk_end(struct http_parser *p, const char *data, size_t *used_r)
{
	*used_r = 1;
	if (*data != (p->scratch.len ? '\n' : '\r')) {
		bad(p, 400, "a chunk is longer than its size");
		return HTTP_EV_BAD;
	}
	if (p->scratch.len) {
		buf_clear(&p->scratch);
		p->state = ST_CHUNK_SIZE;
	} else {
		buf_addc(&p->scratch, '\r');
	}
	return HTTP_EV_MORE;
}

/* Trailers are checked like fields and dropped: none means anything to us. */
static enum http_event
feed_trailers(struct http_parser *p, const char *data, size_t len, size_t *used_r)
{
	size_t max = p->limits.max_header_bytes - p->trailer_bytes;
	int r = take_line(p, &p->scratch, data, len, max, used_r);

	if (r <= 0)
		return r ? HTTP_EV_BAD : HTTP_EV_MORE;
	size_t n = p->scratch.len - 2;
	if (n == 0)
		return done(p);
	if (!cut_field(p, p->scratch.data, n))
		return HTTP_EV_BAD;
	p->trailer_bytes += p->scratch.len;
	buf_clear(&p->scratch);
	return HTTP_EV_MORE;
}

static enum http_event
feed_some(struct http_parser *p, const char *data, size_t len, size_t *used_r)
{
	switch (p->state) {
	case ST_REQUEST_LINE:
	case ST_FIELDS: return feed_head(p, data, len, used_r);
	case ST_BODY:
	case ST_CHUNK_DATA: return feed_body(p, data, len, used_r);
	case ST_CHUNK_SIZE: return feed_chunk_size(p, data, len, used_r);
	case ST_CHUNK_END: return feed_chunk_end(p, data, used_r);
	case ST_TRAILERS: return feed_trailers(p, data, len, used_r);
	case ST_DONE: *used_r = 0; return HTTP_EV_DONE;
	default: *used_r = 0; return HTTP_EV_BAD;
	}
}

size_t
http_parser_feed(
	struct http_parser *p, const char *data, size_t len, enum http_event *ev_r)
{
	size_t total = 0, used;

	*ev_r = HTTP_EV_MORE;
	while (total < len && *ev_r == HTTP_EV_MORE) {
		used = 0;
		*ev_r = feed_some(p, data + total, len - total, &used);
		total += used;
	}
	return total;
}
