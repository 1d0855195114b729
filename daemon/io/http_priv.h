/* http_priv.h - what the files of the HTTP server share. For http*.c in this folder
 * only.
 *
 *	http.c         server: options, TLS, counters, the end
 *	http_listen.c  listeners: TCP, the operator's socket, inherited ones
 *	http_conn.c    one client connection: states, deadlines, limits per peer
 *	http_parser.c  bytes to requests           ws.c  bytes to WebSocket frames
 *	http_route.c   target to handler: decoding, matching, preflight
 *	http_answer.c  request accessors and answers
 *	http_receive.c bodies in pieces
 *	http_send.c    answers in pieces
 *	http_stream.c  WebSocket and Server-Sent Events
 *
 * Who holds whom: the server lists its connections and streams; a connection has at
 * most one request in a handler's hands, or one stream. A request belongs to its
 * handler until it is answered; when connection or server go first, its pointers to
 * them become NULL and the answer only frees it. */
#ifndef INTERACTD_IO_HTTP_PRIV_H
#define INTERACTD_IO_HTTP_PRIV_H

#include "io/http.h"
#include "io/http_parser.h"
#include "io/ws.h"

#include <list.h>
#include <loop.h>
#include <map.h>
#include <netinet/in.h>

struct bufferevent;
struct evconnlistener;
struct ssl_ctx_st;

#define HTTP_MAX_SEGMENTS 32
#define HTTP_MAX_ARGS	  8
#define HTTP_MAX_PARAMS	  100

struct http_listener {
	struct http_server *server;
	struct evconnlistener *ev;
	bool is_unix;
	dev_t dev; /* of the socket file, so that only our own is removed */
	ino_t ino;
};

struct http_route {
	char *pattern;	    /* "GET /v1/contacts/{}" */
	const char *method; /* in text */
	char *text;	    /* method and segments, cut by NULs */
	const char *segments[HTTP_MAX_SEGMENTS];
	size_t n_segments;
	http_handler_fn *fn;
	void *arg;
	bool pieces;
};

/* Why a request or connection was refused; each is logged at most once a minute. */
enum http_cause {
	HTTP_CAUSE_BAD_REQUEST,
	HTTP_CAUSE_HEADER,
	HTTP_CAUSE_BODY,
	HTTP_CAUSE_TIMEOUT,
	HTTP_CAUSE_PEER_LIMIT,
	HTTP_CAUSE_TOTAL_LIMIT,
	HTTP_CAUSE_ACCEPT,
	HTTP_N_CAUSES,
};

struct http_server {
	struct loop *loop;
	struct http_opts opts; /* listen, socket, tls_* and origins are not kept here */
	char *socket;
	char **origins;
	size_t n_origins;
	struct ssl_ctx_st *tls;
	struct http_listener *listeners;
	size_t n_listeners, n_tcp;
	struct loop_timer *resume; /* after accept failed: out of descriptors */
	bool paused, closing;
	struct http_route **routes;
	size_t n_routes;
	http_before_fn *before;
	void *before_arg;
	http_after_fn *after;
	void *after_arg;
	struct list conns, requests, streams;
	struct map peers; /* address to struct peer (http_conn.c) */
	struct http_counters counters;
	int64_t logged_us[HTTP_N_CAUSES];
	unsigned unlogged[HTTP_N_CAUSES];
};

enum http_conn_state {
	HTTP_CONN_IDLE, /* no byte of a request yet; header_timeout for the first one,
			   then idle_timeout */
	HTTP_CONN_HEAD, /* part of a head; header_timeout from its first byte (the first
			   request's: from the accept) */
	HTTP_CONN_BODY, /* body_timeout from the head's end */
	HTTP_CONN_RECEIVE, /* the handler has the request, and its body comes in pieces:
			      body_timeout for each 64 KiB, less pauses */
	HTTP_CONN_HANDLER, /* the handler has the request and its own deadlines */
	HTTP_CONN_SEND,	   /* the handler has the request and answers in pieces; what is
			      queued must move within body_timeout */
	HTTP_CONN_ANSWER, /* the answer is leaving; a slow reader has time by its length
			   */
	HTTP_CONN_STREAM, /* belongs to an http_stream, which pings */
	HTTP_CONN_LINGER, /* all is said: our side is shut, input is thrown away for a
			     second, so that the peer reads the answer and no reset */
	HTTP_CONN_CLOSED, /* off the server's list; freed at the end of the turn */
};

struct http_conn {
	struct list link;
	struct http_server *server;
	struct bufferevent *bev;
	enum http_conn_state state;
	struct loop_timer *deadline;
	struct http_parser parser;
	struct http_request *request; /* in a handler's hands */
	struct http_stream *stream;
	char peer[INET6_ADDRSTRLEN];
	char *peer_key; /* in server->peers, NULL on the Unix socket */
	bool tls;
	bool has_uid;
	unsigned uid;
	bool served;	  /* a first request has come */
	bool eof;	  /* the peer has shut its side; answers still go out */
	bool close_after; /* the answer that is leaving is the last one */
	bool deaf;	  /* the input is full and nobody takes it: reading is off */
};

struct http_param {
	const char *name, *value;
};

struct http_request {
	struct list link; /* in server->requests */
	struct loop *loop;
	struct http_server *server;
	struct http_conn *conn;
	struct http_message message;
	int64_t began_us;
	char peer[INET6_ADDRSTRLEN];
	bool has_uid;
	unsigned uid;
	bool close; /* the connection ends with the answer */
	/* A body in pieces. */
	const struct http_receiver *receiver; /* NULL: not asked for, or ended */
	void *receiver_arg;
	bool body_due; /* not all of it has come */
	bool paused, ended;
	size_t window; /* bytes since the deadline was set */
	/* An answer in pieces. */
	const struct http_sender *sender; /* NULL: not begun, or ended */
	void *sender_arg;
	int send_status;
	bool send_full; /* on_room is due */
	/* The decoded target; all texts are in `text`. */
	char *text;
	const char *path;
	const char *segments[HTTP_MAX_SEGMENTS];
	size_t n_segments;
	const char *args[HTTP_MAX_ARGS];
	size_t n_args;
	struct http_param *params;
	size_t n_params;
	char *pattern;
	http_handler_fn *fn;
	void *fn_arg;
	struct buf headers; /* added by handlers, as lines */
	bool has_cache_control;
	void *context;
	void (*context_free)(void *);
};

struct http_stream {
	struct list link;	    /* in server->streams */
	struct http_server *server; /* NULL: the server was gone when it was made */
	struct loop *loop;
	struct http_conn *conn; /* NULL: gone, on_close is due */
	struct http_stream_callbacks callbacks;
	void *arg;
	bool websocket;
	bool closing;	     /* our close frame is out; the peer's is awaited */
	bool ending;	     /* nothing more goes in or out; the timer calls on_close */
	bool drop;	     /* with the end, what is queued is dropped */
	unsigned unanswered; /* pings */
	struct ws_decoder ws;
	struct loop_timer *timer; /* keepalive, closing deadline, or the end */
};

/* http.c */
void http_server_log(
	struct http_server *, enum http_cause, const char *peer, const char *why);
/* Enables or pauses accepting by the number of connections. */
/* Opens what opts name; -1 with a sentence. */
int http_server_listen(struct http_server *, const struct http_opts *, struct err *);
void http_server_unlisten(struct http_server *);
void http_server_update_listeners(struct http_server *);
void http_server_resume(void *server); /* accepting, after a pause */
bool http_server_allows_origin(const struct http_server *, const char *origin);

/* http_conn.c */
void http_conn_accept(struct http_listener *, int fd, const struct sockaddr *);
void http_conn_set_state(struct http_conn *, enum http_conn_state);
/* Sends "100 Continue" if the client of this message may be waiting for it. */
void http_conn_continue(struct http_conn *, const struct http_message *);
/* Goes on with what is in the input; soon, not now. */
void http_conn_resume(struct http_conn *);
/* Ends it now; what was queued is lost. Its stream, if any, must be cut off before. */
void http_conn_close(struct http_conn *, const char *why);
/* Hands the kernel what it takes of the queued output, before the process ends. */
void http_conn_flush_now(struct http_conn *);
/* Sends what is queued, then ends it gently. */
void http_conn_finish(struct http_conn *);

/* http_receive.c */
/* Does the message's route take its body in pieces? */
bool http_wants_pieces(void *server, const struct http_message *);
/* The head of such a message is complete. */
void http_receive_head(struct http_conn *);
/* What was fed is in the parser's message. */
void http_receive_fed(struct http_conn *, enum http_event);
/* The body will not come any more. */
void http_receive_lost(struct http_request *, int status, const char *why);

/* http_send.c */
void http_send_on_written(struct http_conn *);
/* The client of an answer in pieces is gone. */
void http_send_lost(struct http_request *, const char *why);

/* http_route.c */
const struct http_route *http_route_find(
	const struct http_server *, const struct http_request *, const char *method);
void http_dispatch(struct http_request *);
void http_route_free(struct http_route *);
/* Decodes message.target into path, segments and params. NULL if fine, else a sentence.
 */
const char *http_request_decode(struct http_request *);

/* http_answer.c */
struct http_request *http_request_new(struct http_conn *);
/* The head up to and with the blank line; length < 0: no Content-Length. */
void http_write_head(struct http_request *, struct buf *, int status, const char *type,
	int64_t length);
/* Metrics, then the request is freed at the end of this turn. */
void http_request_end(struct http_request *, int status);

/* http_stream.c */
void http_stream_on_input(struct http_stream *);
/* The connection died under it: on_close is called now. */
void http_stream_on_lost(struct http_stream *);
/* The server ends: says 1001, calls on_close now. */
void http_stream_shutdown(struct http_stream *);

#endif
