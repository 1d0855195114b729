/* http_send.c - answers of any length, sent as the client reads them.
 *
 * The request stays in its handler's hands until http_send_end. What is queued is bounded
 * by FULL_BYTES and what one call gives; the client's own pace then is the handler's. A
 * client of HTTP/1.1 gets chunks (RFC 9112 §7.1), and with them the word that it was all;
 * one of HTTP/1.0 gets the bytes until the connection ends. An answer that cannot be
 * finished is cut off without its last chunk: no client takes it for a whole one. */
#include "io/http_priv.h"

#include <str.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define FULL_BYTES (512 * 1024)
#define ROOM_BYTES (128 * 1024)

static bool
is_chunked(const struct http_request *r)
{
	return r->message.minor > 0;
}

void
http_send_begin(struct http_request *r, int status, const char *type,
	const struct http_sender *to, void *arg)
{
	struct http_conn *c = r->conn;
	struct buf head = BUF_INIT;

	assert(!r->sender && !r->ended);
	r->sender = to;
	r->sender_arg = arg;
	r->send_status = status;
	r->close |= r->body_due || !is_chunked(r);
	if (!c)
		return;
	if (is_chunked(r))
		http_add_header(r, "Transfer-Encoding", "chunked");
	http_add_header(r, "X-Accel-Buffering", "no");
	http_write_head(r, &head, status, type, -1);
	bufferevent_write(c->bev, head.data, head.len);
	buf_fini(&head);
	bufferevent_setwatermark(c->bev, EV_WRITE, ROOM_BYTES, 0);
	http_conn_set_state(c, HTTP_CONN_SEND);
}

bool
http_send(struct http_request *r, const char *data, size_t len)
{
	struct http_conn *c = r->conn;
	char size[24];

	assert(r->sender);
	if (!c || !len || str_eq(http_method(r), "HEAD"))
		return true;
	struct evbuffer *out = bufferevent_get_output(c->bev);

	if (is_chunked(r)) {
		snprintf(size, sizeof(size), "%zx\r\n", len);
		evbuffer_add(out, size, strlen(size));
	}
	evbuffer_add(out, data, len);
	if (is_chunked(r))
		evbuffer_add(out, "\r\n", 2);
	r->send_full = evbuffer_get_length(out) >= FULL_BYTES;
	if (r->send_full)
		http_conn_set_state(c, HTTP_CONN_SEND);
	return !r->send_full;
}

void
http_send_on_written(struct http_conn *c)
{
	struct http_request *r = c->request;

	http_conn_set_state(c, HTTP_CONN_SEND);
	if (!r || !r->send_full)
		return;
	r->send_full = false;
	r->sender->on_room(r->sender_arg);
}

void
http_send_lost(struct http_request *r, const char *why)
{
	if (!r->ended && r->sender)
		r->sender->on_gone(r->sender_arg, why);
}

void
http_send_end(struct http_request *r, bool whole)
{
	struct http_conn *c = r->conn;
	int status = !c ? 499 : r->send_status;

	assert(r->sender);
	r->sender = NULL;
	http_request_end(r, status);
	if (!c)
		return;
	if (!whole) {
		http_conn_close(c, "the answer could not be finished");
		return;
	}
	bufferevent_setwatermark(c->bev, EV_WRITE, 0, 0);
	if (r->close || !is_chunked(r)) {
		if (is_chunked(r) && !str_eq(http_method(r), "HEAD"))
			bufferevent_write(c->bev, "0\r\n\r\n", 5);
		http_conn_finish(c);
		return;
	}
	c->close_after = false;
	if (!str_eq(http_method(r), "HEAD"))
		bufferevent_write(c->bev, "0\r\n\r\n", 5);
	http_conn_set_state(c, HTTP_CONN_ANSWER);
	bufferevent_trigger(c->bev, EV_WRITE,
		BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}
