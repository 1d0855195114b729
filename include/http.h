/* http.h - requests and answers of the built-in HTTP server, as resources see them.
 *
 * The server (daemon/io/http.c) has checked framing and limits before a handler runs.
 * A handler answers once, now or later; until then the request stays valid even if the
 * client goes away (http_is_gone tells; an answer is then dropped). */
#ifndef INTERACTD_HTTP_H
#define INTERACTD_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "buf.h"

struct http_request;
typedef void http_handler_fn(struct http_request *, void *arg);

/* What the client sent; borrowed for the request's life. */
const char *http_method(const struct http_request *); /* "GET" */
const char *
http_path(const struct http_request *); /* decoded, no query, begins with / */
/* The n-th `{…}` of the route, decoded; "" if there is none. */
const char *http_path_arg(const struct http_request *, size_t n);
/* A query parameter, decoded (valid UTF-8, "+" is a blank); NULL if absent. */
const char *http_query(const struct http_request *, const char *name);
/* The n-th parameter's name and value; false past the end. */
bool http_query_nth(const struct http_request *, size_t n, const char **name_r,
	const char **value_r);
/* The first field of that name (any case), or NULL. No control characters but TAB, yet
 * any byte from 0x80 up may be in it (RFC 9110 §5.5): check before it is stored. */
const char *http_header(const struct http_request *, const char *name);
const char *http_body(const struct http_request *, size_t *len_r); /* ends with NUL */
/* The body of a route made by http_route_pieces, of any length: the handler runs when the
 * head is there, and calls http_receive (once, at once or later). No callback comes before
 * it has returned, none after the request was answered; an answer before the end is the
 * connection's last. */
struct http_receiver {
	/* The next bytes, borrowed until return. */
	void (*on_piece)(void *arg, const char *data, size_t len);
	/* Exactly once. status 0: the body is whole. Else it will never be, `why` says it
	 * (broken framing 400, too slow 408, the client is gone 499), and the request is
	 * still to be answered: http_problem(r, status, NULL, "%s", why) does. */
	void (*on_end)(void *arg, int status, const char *why);
};
void http_receive(struct http_request *, const struct http_receiver *, void *arg);
/* While paused no piece comes, and the client is slowed down by its full socket. */
void http_receive_pause(struct http_request *, bool paused);
const char *http_peer(const struct http_request *); /* "127.0.0.1", "::1" or "unix" */
/* On the operator's Unix socket: the peer's uid (SO_PEERCRED). false elsewhere. */
bool http_peer_uid(const struct http_request *, unsigned *uid_r);
/* The connection broke or the server ended. A client that only shut its sending side is
 * not gone: it gets its answer. */
bool http_is_gone(const struct http_request *);

/* The answer. A header may be added any time before the answer is sent. */
void http_add_header(struct http_request *, const char *name, const char *value);
/* Sends status with a body of that type; body borrowed until return. */
void http_answer(struct http_request *, int status, const char *type, const void *body,
	size_t len);
/* An answer of any length, in pieces: begin, send as long as it says true, and again when
 * on_room is called; then end. No callback comes inside a call. */
struct http_sender {
	void (*on_room)(void *arg); /* http_send said false; now there is room */
	/* The client is gone: nothing more can be sent, and http_send_end is due. */
	void (*on_gone)(void *arg, const char *why);
};
void http_send_begin(struct http_request *, int status, const char *type,
	const struct http_sender *, void *arg);
/* Copied. False: that is enough for now (it was taken all the same). */
bool http_send(struct http_request *, const char *data, size_t len);
/* The request is answered. Not whole: the connection is cut so that the client sees it. */
void http_send_end(struct http_request *, bool whole);
void http_answer_json(struct http_request *, int status, const struct buf *body);
/* An RFC 9457 problem document: {"type":"about:blank","title":…,"status":…,"detail":…}
 * with extra members (JSON text `"name":value,…` without braces, or NULL). */
void http_problem(struct http_request *, int status, const char *extra,
	const char *detail_fmt, ...) __attribute__((format(printf, 4, 5)));
const char *http_status_title(int status);

/* Kept beside a request by the layers between server and handler (who is asking). */
void http_set_context(struct http_request *, void *context, void (*free_fn)(void *));
void *http_context(const struct http_request *);

#endif
