/* http_receive.c - request bodies in pieces, for resources that take any length.
 *
 * The parser asks at a head's end whether the route is such a one (http_wants_pieces); if
 * so the request goes to its handler at once, with the body still in the socket. Nothing
 * is read before the handler has called http_receive, nor while it pauses: TCP itself
 * slows the client down, so no more than the input's watermark is ever held here.
 *
 * body_due is true from the head until the body's last byte; on_end comes once, unless
 * the request is answered before. Who feeds: http_conn.c. */
#include "io/http_priv.h"

#include <mem.h>
#include <str.h>

#include <assert.h>
#include <string.h>

#define WINDOW_BYTES (64 * 1024)

bool
http_wants_pieces(void *arg, const struct http_message *m)
{
	const struct http_server *s = arg;
	struct http_request r = {.message = *m};
	const struct http_route *rt = NULL;

	if (!http_request_decode(&r))
		rt = http_route_find(s, &r, http_message_method(m));
	mem_free(r.text);
	mem_free(r.params);
	return rt && rt->pieces;
}

void
http_receive_head(struct http_conn *c)
{
	struct http_request *r = http_request_new(c);

	http_parser_take_head(&c->parser, &r->message);
	r->close = r->message.close;
	r->body_due = true;
	c->served = true;
	c->server->counters.requests++;
	http_dispatch(r);
}

static void
end(struct http_request *r, int status, const char *why)
{
	const struct http_receiver *to = r->receiver;

	r->receiver = NULL;
	if (to)
		to->on_end(r->receiver_arg, status, why);
}

/* The whole body was there with the head, or the client is gone: told at the turn's end. */
static void
on_due(void *arg)
{
	struct http_request *r = arg;
	const struct buf *body = &r->message.body;

	if (r->ended || !r->receiver)
		return;
	if (r->body_due) {
		end(r, 499, "the client is gone");
		return;
	}
	if (body->len)
		r->receiver->on_piece(r->receiver_arg, body->data, body->len);
	end(r, 0, "");
}

void
http_receive(struct http_request *r, const struct http_receiver *to, void *arg)
{
	struct http_conn *c = r->conn;

	assert(!r->receiver && !r->ended);
	r->receiver = to;
	r->receiver_arg = arg;
	if (!r->body_due || !c) {
		loop_defer(r->loop, on_due, r);
		return;
	}
	http_conn_set_state(c, HTTP_CONN_RECEIVE);
	http_conn_continue(c, &r->message);
	http_conn_resume(c);
}

void
http_receive_pause(struct http_request *r, bool paused)
{
	struct http_conn *c = r->conn;

	if (r->paused == paused)
		return;
	r->paused = paused;
	r->window = 0;
	if (!c || c->state != HTTP_CONN_RECEIVE)
		return;
	if (paused) {
		loop_timer_stop(c->deadline);
	} else {
		http_conn_set_state(c, HTTP_CONN_RECEIVE);
		http_conn_resume(c);
	}
}

static void
give_piece(struct http_conn *c, struct http_request *r)
{
	struct buf piece = c->parser.message.body;

	memset(&c->parser.message.body, 0, sizeof(piece));
	r->window += piece.len;
	if (r->window >= WINDOW_BYTES) {
		r->window = 0;
		http_conn_set_state(c, HTTP_CONN_RECEIVE);
	}
	r->receiver->on_piece(r->receiver_arg, piece.data, piece.len);
	buf_fini(&piece);
}

void
http_receive_fed(struct http_conn *c, enum http_event ev)
{
	struct http_request *r = c->request;
	struct http_message rest;

	if (ev == HTTP_EV_DONE)
		r->body_due = false;
	if (c->parser.message.body.len)
		give_piece(c, r);
	if (ev != HTTP_EV_DONE)
		return;
	http_parser_take(&c->parser, &rest);
	http_message_fini(&rest);
	if (r->ended)
		return;
	http_conn_set_state(c, HTTP_CONN_HANDLER);
	end(r, 0, "");
}

void
http_receive_lost(struct http_request *r, int status, const char *why)
{
	end(r, status, why);
}
