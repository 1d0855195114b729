/* http_answer.c - a request as handlers see it, and how it is answered.
 *
 * A request is answered exactly once, by http_answer or by becoming a stream; it is
 * freed at the end of that turn of the loop, so a handler may still read it after
 * answering. Whoever is gone by then (connection, server) is not looked for. */
#include "io/http_priv.h"

#include <clock.h>
#include <json.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <event2/bufferevent.h>

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct http_request *
http_request_new(struct http_conn *c)
{
	struct http_request *r = xcalloc(1, sizeof(*r));

	assert(!c->request);
	r->server = c->server;
	r->loop = c->server->loop;
	r->conn = c;
	r->began_us = clock_mono_us();
	r->has_uid = c->has_uid;
	r->uid = c->uid;
	str_copy(r->peer, sizeof(r->peer), c->peer);
	c->request = r;
	list_append(&r->server->requests, &r->link);
	http_conn_set_state(c, HTTP_CONN_HANDLER);
	return r;
}

static void
request_free(void *arg)
{
	struct http_request *r = arg;

	if (r->context_free)
		r->context_free(r->context);
	http_message_fini(&r->message);
	buf_fini(&r->headers);
	mem_free(r->text);
	mem_free(r->params);
	mem_free(r->pattern);
	mem_free(r);
}

void
http_request_end(struct http_request *r, int status)
{
	struct http_server *s = r->server;

	if (s && s->after)
		s->after(r, status, clock_mono_us() - r->began_us, s->after_arg);
	if (r->conn)
		r->conn->request = NULL;
	r->conn = NULL;
	r->receiver = NULL;
	r->ended = true;
	list_remove(&r->link);
	loop_free_later(r->loop, request_free, r);
}

const char *
http_method(const struct http_request *r)
{
	return http_message_method(&r->message);
}

const char *
http_path(const struct http_request *r)
{
	return r->path ? r->path : "";
}

const char *
http_path_arg(const struct http_request *r, size_t n)
{
	return n < r->n_args ? r->args[n] : "";
}

const char *
http_query(const struct http_request *r, const char *name)
{
	for (size_t i = 0; i < r->n_params; i++)
		if (strcmp(r->params[i].name, name) == 0)
			return r->params[i].value;
	return NULL;
}

bool
http_query_nth(const struct http_request *r, size_t n, const char **name_r,
	const char **value_r)
{
	if (n >= r->n_params)
		return false;
	*name_r = r->params[n].name;
	*value_r = r->params[n].value;
	return true;
}

const char *
http_header(const struct http_request *r, const char *name)
{
	return http_message_find(&r->message, name);
}

const char *
http_body(const struct http_request *r, size_t *len_r)
{
	if (len_r)
		*len_r = r->message.body.len;
	return buf_str(&r->message.body);
}

const char *
http_peer(const struct http_request *r)
{
	return r->peer;
}

bool
http_peer_uid(const struct http_request *r, unsigned *uid_r)
{
	if (r->has_uid)
		*uid_r = r->uid;
	return r->has_uid;
}

bool
http_is_gone(const struct http_request *r)
{
	return !r->conn;
}

const char *
http_route_pattern(const struct http_request *r)
{
	return r->pattern ? r->pattern : "";
}

void
http_set_context(struct http_request *r, void *context, void (*free_fn)(void *))
{
	if (r->context_free)
		r->context_free(r->context);
	r->context = context;
	r->context_free = free_fn;
}

void *
http_context(const struct http_request *r)
{
	return r->context;
}

const char *
http_status_title(int status)
{
	static const struct {
		int status;
		const char *title;
	} titles[] = {{101, "Switching Protocols"}, {200, "OK"}, {201, "Created"},
		{202, "Accepted"}, {204, "No Content"}, {206, "Partial Content"},
		{301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"},
		{304, "Not Modified"}, {307, "Temporary Redirect"},
		{308, "Permanent Redirect"}, {400, "Bad Request"},
		{401, "Unauthorized"}, {403, "Forbidden"}, {404, "Not Found"},
		{405, "Method Not Allowed"}, {406, "Not Acceptable"},
		{408, "Request Timeout"}, {409, "Conflict"}, {410, "Gone"},
		{411, "Length Required"}, {412, "Precondition Failed"},
		{413, "Content Too Large"}, {414, "URI Too Long"},
		{415, "Unsupported Media Type"}, {417, "Expectation Failed"},
		{422, "Unprocessable Content"}, {423, "Locked"},
		{426, "Upgrade Required"}, {428, "Precondition Required"},
		{429, "Too Many Requests"}, {431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"}, {501, "Not Implemented"},
		{502, "Bad Gateway"}, {503, "Service Unavailable"},
		{504, "Gateway Timeout"}, {505, "HTTP Version Not Supported"},
		{507, "Insufficient Storage"}};

	for (size_t i = 0; i < ARRAY_LEN(titles); i++)
		if (titles[i].status == status)
			return titles[i].title;
	return "Unknown";
}

/* RFC 9110 §5.6.7, whatever the locale says. */
static void
add_date(struct buf *out)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = (time_t)(clock_wall_us() / 1000000);
	struct tm tm;

	gmtime_r(&now, &tm);
	buf_printf(out, "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n",
		days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon,
		tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* A value with a line's end in it would be a header, or a body, of somebody's choosing:
 * control characters become blanks. */
static void
add_clean(struct buf *out, const char *value)
{
	for (; *value; value++)
		buf_addc(out,
			(unsigned char)*value < ' ' || *value == 0x7f ? ' ' : *value);
}

void
http_add_header(struct http_request *r, const char *name, const char *value)
{
	if (str_ieq(name, "Cache-Control"))
		r->has_cache_control = true;
	add_clean(&r->headers, name);
	buf_adds(&r->headers, ": ");
	add_clean(&r->headers, value);
	buf_adds(&r->headers, "\r\n");
}

/* The Fetch standard's CORS headers, for a browser at an origin we know. */
static void
add_cors(const struct http_request *r, struct buf *out)
{
	const char *origin = http_header(r, "Origin");

	if (!origin)
		return;
	buf_adds(out, "Vary: Origin\r\n");
	if (!http_server_allows_origin(r->server, origin))
		return;
	buf_adds(out, "Access-Control-Allow-Origin: ");
	add_clean(out, origin);
	buf_adds(out, "\r\nAccess-Control-Expose-Headers: Location, Retry-After\r\n");
}

void
http_write_head(struct http_request *r, struct buf *out, int status, const char *type,
	int64_t length)
{
	buf_printf(out, "HTTP/1.1 %d %s\r\n", status, http_status_title(status));
	add_date(out);
	if (type) {
		buf_adds(out, "Content-Type: ");
		add_clean(out, type);
		buf_adds(out, "\r\n");
	}
	if (length >= 0)
		buf_printf(out, "Content-Length: %lld\r\n", (long long)length);
	buf_adds(out, "X-Content-Type-Options: nosniff\r\n");
	if (!r->has_cache_control)
		buf_adds(out, "Cache-Control: no-store\r\n");
	if (r->close)
		buf_adds(out, "Connection: close\r\n");
	add_cors(r, out);
	buf_add(out, buf_str(&r->headers), r->headers.len);
	buf_adds(out, "\r\n");
}

static bool
has_no_body(int status)
{
	return status < 200 || status == 204 || status == 304; /* RFC 9110 §6.4.1 */
}

void
http_answer(struct http_request *r, int status, const char *type, const void *body,
	size_t len)
{
	struct http_conn *c = r->conn;
	struct buf head = BUF_INIT;

	r->close |= r->body_due;
	if (c) {
		if (has_no_body(status))
			http_write_head(r, &head, status, NULL, -1);
		else
			http_write_head(r, &head, status, type, (int64_t)len);
		bufferevent_write(c->bev, head.data, head.len);
		if (len && !has_no_body(status) && !str_eq(http_method(r), "HEAD"))
			bufferevent_write(c->bev, body, len);
		buf_fini(&head);
		c->close_after = r->close;
		http_conn_set_state(c, HTTP_CONN_ANSWER);
	}
	http_request_end(r, status);
}

void
http_answer_json(struct http_request *r, int status, const struct buf *body)
{
	http_answer(r, status, "application/json", buf_str(body), body->len);
}

void
http_problem(struct http_request *r, int status, const char *extra,
	const char *detail_fmt, ...)
{
	struct buf out = BUF_INIT, detail = BUF_INIT;
	const char *title = http_status_title(status);
	char text[1024];
	va_list ap;

	va_start(ap, detail_fmt);
	vsnprintf(text, sizeof(text), detail_fmt, ap);
	va_end(ap);
	utf8_clean(&detail, text, utf8_cut(text, strlen(text), sizeof(text)));
	buf_adds(&out, "{\"type\":\"about:blank\",\"title\":");
	json_quote(&out, title, strlen(title));
	buf_printf(&out, ",\"status\":%d,\"detail\":", status);
	json_quote(&out, buf_str(&detail), detail.len);
	if (extra && *extra)
		buf_printf(&out, ",%s", extra);
	buf_addc(&out, '}');
	http_answer(r, status, "application/problem+json", out.data, out.len);
	buf_fini(&out);
	buf_fini(&detail);
}
