/* http_conn.c - one client connection: bytes in, one request at a time, answers out.
 *
 * Invariants: a deadline runs in every state but HANDLER and STREAM, whose owners have
 * their own; it is never put off by bytes that trickle in. Requests sent ahead
 * (pipelining) wait in the socket: the next one is parsed when the last answer has
 * left, so neither input nor output grows with what a peer sends. http_conn_set_state
 * is the only writer of state. */
#include "io/http_priv.h"

#include <log.h>
#include <mem.h>
#include <str.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "io/loop.h"

#include <arpa/inet.h>
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_BYTES	 (64 * 1024) /* of bytes not parsed yet */
#define LINGER_MS	 1000
#define MIN_BYTES_PER_MS 16 /* an answer may take a client this long: 16 kB/s */

struct peer {
	unsigned n;
};

static bool
is_reading(const struct http_conn *c)
{
	return c->state == HTTP_CONN_IDLE || c->state == HTTP_CONN_HEAD ||
	       c->state == HTTP_CONN_BODY ||
	       (c->state == HTTP_CONN_RECEIVE && !c->request->paused);
}

static size_t
queued(const struct http_conn *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

/* While nobody takes the input, a full one must not be looked at again and again:
 * libevent calls for as long as it is above its watermark and reading is enabled. */
static void
update_reading(struct http_conn *c)
{
	bool takes = is_reading(c) || c->state == HTTP_CONN_STREAM ||
		     c->state == HTTP_CONN_LINGER;
	bool deaf = !takes &&
		    evbuffer_get_length(bufferevent_get_input(c->bev)) >= INPUT_BYTES;

	if (deaf == c->deaf)
		return;
	c->deaf = deaf;
	if (deaf)
		bufferevent_disable(c->bev, EV_READ);
	else
		bufferevent_enable(c->bev, EV_READ);
}

void
http_conn_set_state(struct http_conn *c, enum http_conn_state next)
{
	const struct http_opts *o = &c->server->opts;
	enum http_conn_state last = c->state;

	assert(last != HTTP_CONN_CLOSED);
	c->state = next;
	switch (next) {
	case HTTP_CONN_IDLE:
		loop_timer_start(c->deadline,
			c->served ? o->idle_timeout_ms : o->header_timeout_ms);
		break;
	case HTTP_CONN_HEAD:
		if (c->served)
			loop_timer_start(c->deadline, o->header_timeout_ms);
		break;
	case HTTP_CONN_BODY:
	case HTTP_CONN_RECEIVE:
		loop_timer_start(c->deadline, o->body_timeout_ms);
		break;
	case HTTP_CONN_ANSWER:
		loop_timer_start(c->deadline,
			o->body_timeout_ms + (int64_t)(queued(c) / MIN_BYTES_PER_MS));
		break;
	case HTTP_CONN_SEND:
		if (queued(c))
			loop_timer_start(c->deadline, o->body_timeout_ms);
		else
			loop_timer_stop(c->deadline);
		break;
	case HTTP_CONN_LINGER: loop_timer_start(c->deadline, LINGER_MS); break;
	case HTTP_CONN_HANDLER:
	case HTTP_CONN_STREAM:
	case HTTP_CONN_CLOSED: loop_timer_stop(c->deadline); break;
	}
	update_reading(c);
}

static void
peer_release(struct http_conn *c)
{
	struct peer *p = c->peer_key ? map_find(&c->server->peers, c->peer_key) : NULL;

	if (p && --p->n == 0) {
		map_remove(&c->server->peers, c->peer_key);
		mem_free(p);
	}
	xfree(&c->peer_key);
}

static void
conn_free(void *arg)
{
	mem_free(arg);
}

void
http_conn_close(struct http_conn *c, const char *why)
{
	if (c->state == HTTP_CONN_CLOSED)
		return;
	assert(!c->stream);
	log_debug("http", "connection from %s ends: %s", c->peer, why);
	http_conn_set_state(c, HTTP_CONN_CLOSED);
	list_remove(&c->link);
	c->server->counters.connections--;
	peer_release(c);
	struct http_request *r = c->request;
	if (r)
		r->conn = NULL;
	bufferevent_setcb(c->bev, NULL, NULL, NULL, NULL);
	bufferevent_free(c->bev);
	loop_timer_free(&c->deadline);
	http_parser_fini(&c->parser);
	http_server_update_listeners(c->server);
	loop_free_later(c->server->loop, conn_free, c);
	if (r) {
		http_receive_lost(r, 499, why);
		http_send_lost(r, why);
	}
}

/* Nothing more will be written: shuts our side and waits for the peer's. */
static void
conn_linger(struct http_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	SSL *ssl = bufferevent_openssl_get_ssl(c->bev);

	http_conn_set_state(c, HTTP_CONN_LINGER);
	if (c->eof) {
		http_conn_close(c, "answered, and the peer had ended");
		return;
	}
	if (ssl && SSL_is_init_finished(ssl))
		SSL_shutdown(ssl);
	ERR_clear_error();
	shutdown(bufferevent_getfd(c->bev), SHUT_WR);
	evbuffer_drain(in, evbuffer_get_length(in));
}

void
http_conn_flush_now(struct http_conn *c)
{
	/* The output's front is frozen to all but the bufferevent: looked at, not
	 * taken. */
	struct evbuffer *out = bufferevent_get_output(c->bev);
	SSL *ssl = bufferevent_openssl_get_ssl(c->bev);
	struct evbuffer_iovec v[16];
	int n = evbuffer_peek(out, -1, NULL, v, (int)ARRAY_LEN(v));

	if (n > (int)ARRAY_LEN(v))
		n = (int)ARRAY_LEN(v);
	for (int i = 0; i < n; i++) {
		ssize_t sent = 0;
		if (!ssl)
			sent = send(bufferevent_getfd(c->bev), v[i].iov_base,
				v[i].iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
		else if (SSL_is_init_finished(ssl) && v[i].iov_len <= INT_MAX)
			sent = SSL_write(ssl, v[i].iov_base, (int)v[i].iov_len);
		if (sent != (ssize_t)v[i].iov_len)
			break;
	}
	ERR_clear_error();
}

void
http_conn_finish(struct http_conn *c)
{
	c->close_after = true;
	if (queued(c))
		http_conn_set_state(c, HTTP_CONN_ANSWER);
	else
		conn_linger(c);
}

static void
count_refusal(struct http_conn *c, int status, const char *why)
{
	struct http_counters *n = &c->server->counters;
	enum http_cause cause = HTTP_CAUSE_BAD_REQUEST;

	switch (status) {
	case 408:
		n->timeouts++;
		cause = HTTP_CAUSE_TIMEOUT;
		break;
	case 413:
		n->refused_body++;
		cause = HTTP_CAUSE_BODY;
		break;
	case 414:
	case 431:
		n->refused_header++;
		cause = HTTP_CAUSE_HEADER;
		break;
	default: n->bad_requests++; break;
	}
	http_server_log(c->server, cause, c->peer, why);
}

/* Answers what is no whole request, as far as it has come, and ends the connection. */
static void
conn_refuse(struct http_conn *c, int status, const char *why)
{
	count_refusal(c, status, why);
	struct http_request *r = http_request_new(c);
	r->close = true;
	http_problem(r, status, NULL, "%s", why);
}

static void
on_request(struct http_conn *c)
{
	struct http_request *r = http_request_new(c);

	http_parser_take(&c->parser, &r->message);
	r->close = r->message.close;
	c->served = true;
	c->server->counters.requests++;
	http_dispatch(r);
}

void
http_conn_continue(struct http_conn *c, const struct http_message *m)
{
	if (m->expect_continue &&
		evbuffer_get_length(bufferevent_get_input(c->bev)) == 0)
		evbuffer_add_printf(bufferevent_get_output(c->bev),
			"HTTP/1.1 100 Continue\r\n\r\n");
}

/* The body is refused in the middle: the handler, which has the request, says it. */
static void
receive_refuse(struct http_conn *c, int status, const char *why)
{
	count_refusal(c, status, why);
	http_conn_set_state(c, HTTP_CONN_HANDLER);
	http_receive_lost(c->request, status, why);
}

static void
on_parsed(struct http_conn *c, enum http_event ev)
{
	if (c->state == HTTP_CONN_RECEIVE) {
		http_receive_fed(c, ev);
		if (ev == HTTP_EV_BAD && c->state == HTTP_CONN_RECEIVE)
			receive_refuse(c, c->parser.status, c->parser.why);
		return;
	}
	switch (ev) {
	case HTTP_EV_MORE:
		if (c->state == HTTP_CONN_IDLE && !http_parser_is_idle(&c->parser))
			http_conn_set_state(c, HTTP_CONN_HEAD);
		break;
	case HTTP_EV_HEAD:
		if (c->parser.message.in_pieces) {
			http_receive_head(c);
			break;
		}
		http_conn_set_state(c, HTTP_CONN_BODY);
		http_conn_continue(c, &c->parser.message);
		break;
	case HTTP_EV_DONE: on_request(c); break;
	case HTTP_EV_BAD: conn_refuse(c, c->parser.status, c->parser.why); break;
	}
}

/* Parses while a request is awaited and there are bytes. */
static void
conn_pump(struct http_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	while (is_reading(c) && evbuffer_get_length(in) > 0) {
		size_t n = evbuffer_get_contiguous_space(in);
		const char *p = (const char *)evbuffer_pullup(in, (ev_ssize_t)n);
		enum http_event ev;
		evbuffer_drain(in, http_parser_feed(&c->parser, p, n, &ev));
		on_parsed(c, ev);
	}
	if (is_reading(c) && c->eof)
		http_conn_close(c, "the peer ended");
}

void
http_conn_resume(struct http_conn *c)
{
	update_reading(c);
	bufferevent_trigger(
		c->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

static void
read_cb(struct bufferevent *bev, void *arg)
{
	struct http_conn *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);

	if (c->state == HTTP_CONN_STREAM)
		http_stream_on_input(c->stream);
	else if (c->state == HTTP_CONN_LINGER)
		evbuffer_drain(in, evbuffer_get_length(in));
	else
		conn_pump(c);
	if (c->state != HTTP_CONN_CLOSED)
		update_reading(c);
}

static void
write_cb(struct bufferevent *bev, void *arg)
{
	struct http_conn *c = arg;

	(void)bev;
	if (c->state == HTTP_CONN_SEND) {
		http_send_on_written(c);
		return;
	}
	if (c->state != HTTP_CONN_ANSWER || queued(c))
		return;
	if (c->close_after) {
		conn_linger(c);
		return;
	}
	http_conn_set_state(c, HTTP_CONN_IDLE);
	conn_pump(c);
}

/* The peer ended its side (a half-closed client still gets its answer), or the
 * connection broke. */
static void
event_cb(struct bufferevent *bev, short what, void *arg)
{
	struct http_conn *c = arg;

	(void)bev;
	if (what & BEV_EVENT_CONNECTED) /* TLS is up */
		return;
	ERR_clear_error();
	c->eof = true;
	if (what & BEV_EVENT_EOF && !c->tls &&
		(c->state == HTTP_CONN_HANDLER || c->state == HTTP_CONN_SEND ||
			c->state == HTTP_CONN_ANSWER))
		return;
	/* What is in the input may be all of the body. */
	if (what & BEV_EVENT_EOF && c->state == HTTP_CONN_RECEIVE) {
		conn_pump(c);
		return;
	}
	if (c->stream)
		http_stream_on_lost(c->stream);
	http_conn_close(c, what & BEV_EVENT_EOF ? "the peer ended" : "it broke");
}

static void
on_deadline(void *arg)
{
	struct http_conn *c = arg;

	switch (c->state) {
	case HTTP_CONN_HEAD:
		conn_refuse(c, 408, "the header did not come in time");
		break;
	case HTTP_CONN_BODY:
		conn_refuse(c, 408, "the body did not come in time");
		break;
	case HTTP_CONN_RECEIVE:
		receive_refuse(c, 408, "the body did not come in time");
		break;
	case HTTP_CONN_IDLE:
		if (!c->served)
			c->server->counters.timeouts++;
		http_conn_close(c, "it was idle");
		break;
	case HTTP_CONN_SEND:
	case HTTP_CONN_ANSWER:
		c->server->counters.timeouts++;
		http_conn_close(c, "the answer was not read in time");
		break;
	default: http_conn_close(c, "its time was over"); break;
	}
}

/* Text of the address, and the key it is counted by: an IPv6 customer owns a /64. */
static void
peer_name(struct http_conn *c, const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;
		inet_ntop(AF_INET, &in->sin_addr, c->peer, sizeof(c->peer));
		c->peer_key = xstrdup(c->peer);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;
		const unsigned char *b = in6->sin6_addr.s6_addr;
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
			inet_ntop(AF_INET, b + 12, c->peer, sizeof(c->peer));
			c->peer_key = xstrdup(c->peer);
			return;
		}
		inet_ntop(AF_INET6, b, c->peer, sizeof(c->peer));
		c->peer_key = xmalloc(17);
		hex_encode(c->peer_key, b, 8);
	} else {
		str_copy(c->peer, sizeof(c->peer), "unix");
	}
}

/* Counts the peer in; false if it has all the connections it may have. */
static bool
peer_admit(struct http_conn *c)
{
	struct http_server *s = c->server;
	struct peer *p;

	if (!c->peer_key)
		return true;
	p = map_find(&s->peers, c->peer_key);
	if (!p) {
		p = xcalloc(1, sizeof(*p));
		map_put(&s->peers, c->peer_key, p);
	}
	if (s->opts.max_connections_per_peer &&
		p->n >= s->opts.max_connections_per_peer)
		return false;
	p->n++;
	return true;
}

/* One connection too many: a short word if it fits the socket's buffer, no state kept.
 */
static void
turn_away(struct http_server *s, const char *peer, int fd)
{
	static const char text[] =
		"HTTP/1.1 503 Service Unavailable\r\n"
		"Content-Type: application/problem+json\r\n"
		"Content-Length: 114\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
		"{\"type\":\"about:blank\",\"title\":\"Service "
		"Unavailable\",\"status\":503,"
		"\"detail\":\"too many connections from one address\"}";
	char unread[4096];
	ssize_t ignored;

	s->counters.refused_connections++;
	http_server_log(s, HTTP_CAUSE_PEER_LIMIT, peer, "too many connections from it");
	if (!s->tls) {
		ignored = send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		ignored = recv(fd, unread, sizeof(unread), MSG_DONTWAIT);
		(void)ignored;
		shutdown(fd, SHUT_WR);
	}
	close(fd);
}

static struct bufferevent *
bev_new(struct http_server *s, int fd, bool tls)
{
	struct event_base *base = loop_base(s->loop);

	if (!tls)
		return bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	SSL *ssl = SSL_new(s->tls);
	if (!ssl)
		return NULL;
	struct bufferevent *bev = bufferevent_openssl_socket_new(
		base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (bev)
		bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	else
		SSL_free(ssl);
	return bev;
}

static void
conn_start(struct http_conn *c)
{
	struct http_server *s = c->server;
	struct http_limits limits = {s->opts.max_header_bytes, s->opts.max_body_bytes};

	list_append(&s->conns, &c->link);
	s->counters.accepted++;
	s->counters.connections++;
	http_parser_init(&c->parser, &limits);
	c->parser.wants_pieces = http_wants_pieces;
	c->parser.arg = s;
	c->deadline = loop_timer_new(s->loop, on_deadline, c);
	http_conn_set_state(c, HTTP_CONN_IDLE);
	bufferevent_setwatermark(c->bev, EV_READ, 0, INPUT_BYTES);
	bufferevent_setcb(c->bev, read_cb, write_cb, event_cb, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	http_server_update_listeners(s);
}

void
http_conn_accept(struct http_listener *l, int fd, const struct sockaddr *sa)
{
	struct http_server *s = l->server;
	struct http_conn *c = xcalloc(1, sizeof(*c));
	struct ucred cred;
	socklen_t len = sizeof(cred);

	c->server = s;
	c->tls = s->tls && !l->is_unix;
	peer_name(c, sa);
	if (!peer_admit(c)) {
		turn_away(s, c->peer, fd);
		xfree(&c->peer_key);
		mem_free(c);
		return;
	}
	if (l->is_unix && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0) {
		c->has_uid = true;
		c->uid = cred.uid;
	}
	c->bev = bev_new(s, fd, c->tls);
	if (!c->bev) {
		http_server_log(s, HTTP_CAUSE_ACCEPT, c->peer, "no TLS session");
		ERR_clear_error();
		close(fd);
		peer_release(c);
		mem_free(c);
		return;
	}
	conn_start(c);
}
