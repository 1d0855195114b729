/* http_stream.c - WebSocket and Server-Sent Events on a connection.
 *
 * A stream ends in stream_end and nowhere else: that cuts it off its connection and
 * calls on_close, once. Calls from outside (send, close) never get there on their own
 * stack; they set `ending` and leave it to the timer. What a slow client has not read
 * is bounded by max_output_bytes. Framing: ws.c. */
#include "io/http_priv.h"

#include <log.h>
#include <mem.h>
#include <str.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <openssl/evp.h>

#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define MAX_MESSAGE   (64 * 1024)
#define CLOSE_WAIT_MS 2000
#define MAX_MISSED    2
#define DEAD_PEER_MS  60000 /* bytes unacknowledged for so long end the connection */
#define KEY_LEN	      24    /* 16 bytes in base64 */
#define SSE_RETRY_MS  2000

static void
stream_free(void *arg)
{
	mem_free(arg);
}

static void
stream_end(struct http_stream *s)
{
	struct http_conn *c = s->conn;

	s->ending = true;
	s->conn = NULL;
	if (c) {
		c->stream = NULL;
		if (s->drop)
			http_conn_close(c, "the stream is cut off");
		else
			http_conn_finish(c);
	}
	list_remove(&s->link);
	if (s->server)
		s->server->counters.streams--;
	loop_timer_free(&s->timer);
	ws_decoder_fini(&s->ws);
	if (s->callbacks.on_close)
		s->callbacks.on_close(s->arg);
	loop_free_later(s->loop, stream_free, s);
}

static void
stream_end_soon(struct http_stream *s, bool drop)
{
	if (s->ending)
		return;
	s->ending = true;
	s->drop = drop;
	loop_timer_start(s->timer, 0);
}

/* Queues bytes, or gives the client up. */
static void
stream_write(struct http_stream *s, const struct buf *b)
{
	struct evbuffer *out;

	if (s->ending || !s->conn)
		return;
	out = bufferevent_get_output(s->conn->bev);
	if (evbuffer_get_length(out) + b->len > s->server->opts.max_output_bytes) {
		log_info("http", "%s does not read its stream: closed", s->conn->peer);
		stream_end_soon(s, true);
		return;
	}
	bufferevent_write(s->conn->bev, b->data, b->len);
}

static void
stream_write_frame(
	struct http_stream *s, enum ws_opcode op, const void *data, size_t len)
{
	struct buf b = BUF_INIT;

	ws_encode(&b, op, data, len);
	stream_write(s, &b);
	buf_fini(&b);
}

static void
stream_write_close(struct http_stream *s, int code, const char *reason)
{
	struct buf b = BUF_INIT;

	if (s->closing)
		return;
	s->closing = true;
	ws_encode_close(&b, code, reason);
	stream_write(s, &b);
	buf_fini(&b);
}

static void
keepalive(struct http_stream *s)
{
	char text[] = ":\n\n";
	const struct buf comment = {text, sizeof(text) - 1, sizeof(text)};
	unsigned ms = s->server->opts.ping_ms;

	if (!s->websocket) {
		stream_write(s, &comment);
	} else if (s->unanswered++ < MAX_MISSED) {
		stream_write_frame(s, WS_OP_PING, "", 0);
	} else {
		log_debug("http", "%s answers no pings", s->conn->peer);
		s->drop = true;
		stream_end(s);
		return;
	}
	if (!s->ending)
		loop_timer_start(s->timer, s->websocket ? ms : (ms + 1) / 2);
}

static void
on_timer(void *arg)
{
	struct http_stream *s = arg;

	if (s->ending || s->closing)
		stream_end(s);
	else
		keepalive(s);
}

static void
on_frame(struct http_stream *s, enum ws_event ev)
{
	struct ws_decoder *d = &s->ws;

	switch (ev) {
	case WS_EV_MORE: break;
	case WS_EV_TEXT:
		if (!s->closing && s->callbacks.on_message)
			s->callbacks.on_message(
				s->arg, buf_str(&d->message), d->message.len);
		break;
	case WS_EV_PING:
		if (!s->closing)
			stream_write_frame(
				s, WS_OP_PONG, buf_str(&d->control), d->control.len);
		break;
	case WS_EV_PONG: s->unanswered = 0; break;
	case WS_EV_CLOSE:
		stream_write_close(s,
			d->close_code == WS_CLOSE_NO_CODE ? WS_CLOSE_NORMAL
							  : d->close_code,
			NULL);
		stream_end(s);
		break;
	case WS_EV_BAD:
		log_debug("http", "WebSocket of %s refused: %s", s->conn->peer, d->why);
		stream_write_close(s, d->close_code, d->why);
		stream_end(s);
		break;
	}
}

void
http_stream_on_input(struct http_stream *s)
{
	struct evbuffer *in = bufferevent_get_input(s->conn->bev);

	if (!s->websocket || s->ending)
		evbuffer_drain(in, evbuffer_get_length(in));
	/* A callback may end stream, connection and server: s->conn is NULL then. */
	while (s->conn && !s->ending && evbuffer_get_length(in) > 0) {
		size_t n = evbuffer_get_contiguous_space(in);
		enum ws_event ev;
		n = ws_decode(&s->ws, evbuffer_pullup(in, (ev_ssize_t)n), n, &ev);
		evbuffer_drain(in, n);
		on_frame(s, ev);
	}
}

void
http_stream_on_lost(struct http_stream *s)
{
	s->conn->stream = NULL;
	s->conn = NULL;
	stream_end(s);
}

void
http_stream_shutdown(struct http_stream *s)
{
	if (s->conn && s->websocket && !s->ending)
		stream_write_close(s, WS_CLOSE_GOING_AWAY, "the server ends");
	stream_end(s);
}

/* Turns the answered request's connection, if there is one, into a stream. */
static struct http_stream *
stream_new(struct http_request *r, bool websocket,
	const struct http_stream_callbacks *cb, void *arg)
{
	struct http_stream *s = xcalloc(1, sizeof(*s));
	unsigned user_timeout = DEAD_PEER_MS;

	s->server = r->server;
	s->loop = r->loop;
	s->websocket = websocket;
	s->callbacks = *cb;
	s->arg = arg;
	s->timer = loop_timer_new(s->loop, on_timer, s);
	ws_decoder_init(&s->ws, MAX_MESSAGE);
	if (s->server) {
		list_append(&s->server->streams, &s->link);
		s->server->counters.streams++;
	}
	if (!r->conn || r->conn->eof) {
		stream_end_soon(s, true);
	} else {
		unsigned ms = s->server->opts.ping_ms;
		loop_timer_start(s->timer, websocket ? ms : (ms + 1) / 2);
	}
	s->conn = r->conn;
	if (s->conn) {
		s->conn->stream = s;
		http_conn_set_state(s->conn, HTTP_CONN_STREAM);
		setsockopt(bufferevent_getfd(s->conn->bev), IPPROTO_TCP,
			TCP_USER_TIMEOUT, &user_timeout, sizeof(user_timeout));
	}
	return s;
}

bool
http_wants_websocket(const struct http_request *r)
{
	return http_message_has_word(&r->message, "Upgrade", "websocket") &&
	       http_message_has_word(&r->message, "Connection", "upgrade");
}

bool
http_websocket_protocol(const struct http_request *r, size_t n, char *dst, size_t cap)
{
	const struct http_message *m = &r->message;

	for (size_t i = 0; i < m->n_fields; i++) {
		const char *s = m->head.data + m->fields[i].value;
		if (strcasecmp(m->head.data + m->fields[i].name,
			    "Sec-WebSocket-Protocol") != 0)
			continue;
		for (s += strspn(s, ", \t"); *s; s += strspn(s, ", \t")) {
			size_t len = strcspn(s, ", \t");
			if (n-- == 0) {
				len = len < cap ? len : cap - 1;
				memcpy(dst, s, len);
				dst[len] = '\0';
				return true;
			}
			s += len;
		}
	}
	return false;
}

/* RFC 6455 §4.2.2: base64(SHA-1(key + GUID)). */
static void
accept_key(const char *key, char dst[32])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	char text[KEY_LEN + 37];

	memcpy(text, key, KEY_LEN);
	memcpy(text + KEY_LEN, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 37);
	EVP_Digest(text, sizeof(text) - 1, digest, &len, EVP_sha1(), NULL);
	EVP_EncodeBlock((unsigned char *)dst, digest, (int)len);
}

static bool
is_websocket_key(const char *key)
{
	static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";

	return key && strlen(key) == KEY_LEN && strspn(key, base64) == KEY_LEN - 2 &&
	       strcmp(key + KEY_LEN - 2, "==") == 0;
}

/* A page may open a WebSocket to anywhere and the browser does not ask us first: so
 * only pages of our own host, or of an origin that is allowed (RFC 6455 §10.2). */
static bool
is_origin_fine(const struct http_request *r)
{
	const char *origin = http_header(r, "Origin"), *host = http_header(r, "Host");
	const char *sep;

	if (!origin || http_server_allows_origin(r->server, origin))
		return true;
	sep = strstr(origin, "://");
	return sep && host && str_ieq(sep + 3, host);
}

/* Answers and returns false if the handshake is wrong (RFC 6455 §4.2.1). */
static bool
check_handshake(struct http_request *r)
{
	const char *version = http_header(r, "Sec-WebSocket-Version");

	if (!str_eq(http_method(r), "GET") || r->message.minor == 0 ||
		!http_wants_websocket(r)) {
		http_add_header(r, "Upgrade", "websocket");
		http_problem(r, 426, NULL, "this path speaks WebSocket");
	} else if (!str_eq(version, "13")) {
		http_add_header(r, "Sec-WebSocket-Version", "13");
		http_problem(r, 426, NULL, "Sec-WebSocket-Version 13 is spoken here");
	} else if (!is_websocket_key(http_header(r, "Sec-WebSocket-Key"))) {
		http_problem(r, 400, NULL, "Sec-WebSocket-Key is missing or wrong");
	} else if (r->message.chunked || r->message.content_length) {
		http_problem(r, 400, NULL, "a WebSocket handshake has no body");
	} else if (!is_origin_fine(r)) {
		http_problem(r, 403, NULL, "this origin is not among [http] origins");
	} else {
		return true;
	}
	return false;
}

struct http_stream *
http_websocket(struct http_request *r, const char *protocol,
	const struct http_stream_callbacks *cb, void *arg)
{
	struct buf head = BUF_INIT;
	char accept[32];

	if (!r->conn) {
		http_request_end(r, 499);
		return NULL;
	}
	if (!check_handshake(r))
		return NULL;
	accept_key(http_header(r, "Sec-WebSocket-Key"), accept);
	http_add_header(r, "Upgrade", "websocket");
	http_add_header(r, "Connection", "Upgrade");
	http_add_header(r, "Sec-WebSocket-Accept", accept);
	if (protocol)
		http_add_header(r, "Sec-WebSocket-Protocol", protocol);
	r->close = false;
	http_write_head(r, &head, 101, NULL, -1);
	bufferevent_write(r->conn->bev, head.data, head.len);
	buf_fini(&head);
	struct http_stream *s = stream_new(r, true, cb, arg);
	/* Frames that came with the handshake are read after we have returned. */
	bufferevent_trigger(s->conn->bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
	http_request_end(r, 101);
	return s;
}

struct http_stream *
http_sse(struct http_request *r, const struct http_stream_callbacks *cb, void *arg)
{
	bool is_head = str_eq(http_method(r), "HEAD");
	struct buf head = BUF_INIT;
	struct http_stream *s;

	if (r->conn) {
		http_add_header(r, "X-Accel-Buffering", "no");
		r->close = true; /* no length, no chunks: it ends with the connection */
		http_write_head(r, &head, 200, "text/event-stream", -1);
		if (!is_head)
			buf_printf(&head, "retry: %d\n\n", SSE_RETRY_MS);
		bufferevent_write(r->conn->bev, head.data, head.len);
		buf_fini(&head);
	}
	s = stream_new(r, false, cb, arg);
	if (is_head)
		stream_end_soon(s, false);
	http_request_end(r, 200);
	return s;
}

/* The event stream format of the HTML standard (§9.2.6): one data field per line. */
static void
sse_encode(struct buf *out, const char *id, const char *text, size_t len)
{
	const char *end = text + len, *s = text;

	if (id)
		buf_printf(out, "id: %.*s\n", (int)strcspn(id, "\r\n"), id);
	for (;;) {
		const char *eol = s;
		while (eol < end && *eol != '\n' && *eol != '\r')
			eol++;
		buf_adds(out, "data: ");
		buf_add(out, s, (size_t)(eol - s));
		buf_addc(out, '\n');
		if (eol == end)
			break;
		s = eol + 1 + (*eol == '\r' && eol + 1 < end && eol[1] == '\n');
	}
	buf_addc(out, '\n');
}

void
http_stream_send(struct http_stream *s, const char *id, const char *text, size_t len)
{
	struct buf b = BUF_INIT;

	if (s->ending || s->closing)
		return;
	if (s->websocket)
		ws_encode(&b, WS_OP_TEXT, text, len);
	else
		sse_encode(&b, id, text, len);
	stream_write(s, &b);
	buf_fini(&b);
}

void
http_stream_close(struct http_stream *s, int code, const char *reason)
{
	if (s->ending || s->closing)
		return;
	if (!s->websocket) {
		stream_end_soon(s, false);
		return;
	}
	stream_write_close(s, code, reason);
	if (!s->ending)
		loop_timer_start(s->timer, CLOSE_WAIT_MS);
}
