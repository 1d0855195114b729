/* http.h - the HTTP server: strict HTTP/1.1 on bufferevents, routes, WebSocket and SSE.
 *
 * Limits hold against slow drips too: a connection has header_timeout for its whole
 * header and body_timeout for its body, whatever trickles in, and idle_timeout between
 * requests. Header bytes are checked (RFC 9110 §5.5: no NUL, CR or bare LF; no blank
 * before the colon, RFC 9112 §5.1). Every refusal is a problem document. Host names no
 * resource: any Host is served. TCP_NODELAY on all listeners. */
#ifndef INTERACTD_IO_HTTP_H
#define INTERACTD_IO_HTTP_H

#include <conf.h>
#include <err.h>
#include <http.h>
#include <loop.h>
#include <sys/types.h>

struct http_server;

struct http_opts {
	const struct conf_list *listen; /* "127.0.0.1:8080", "[::1]:8080" */
	const char *socket; /* Unix socket of the operator (mode 0660), or NULL */
	/* Sockets that listen already, from the service manager (sd_listen_fds(3)); each
	 * takes the place of an address above. Taken over if http_open succeeds. */
	const int *inherited;
	size_t n_inherited;
	const char *tls_cert,
		*tls_key; /* PEM; both or neither; for the TCP listeners */
	const struct conf_list *origins; /* allowed Origin values; "*" alone = any */
	size_t max_header_bytes, max_body_bytes;
	/* Past the first, accepting pauses (the operator's socket has 16 more); past the
	 * second, 503. 0 = no limit. A peer is an IPv4 address or an IPv6 /64. */
	unsigned max_connections, max_connections_per_peer;
	unsigned header_timeout_ms, body_timeout_ms, idle_timeout_ms;
	size_t max_output_bytes; /* queued to a slow WebSocket or SSE client; then
				    closed */
	unsigned ping_ms; /* between WebSocket pings; 0 = 30000. SSE comments: half of
			     it */
};

/* Says whether an address of `listen` is one: IP and port, no name. */
int http_check_listen(const char *address, struct err *) MUST_CHECK;

/* Borrows opts and what they point to until return. NULL with a sentence on failure. */
struct http_server *http_open(struct loop *, const struct http_opts *, struct err *);
void http_close(struct http_server **); /* streams get their on_close first */

/* For a reload. New connections get the new certificate; on -1 the old one stays. */
int http_reload_tls(struct http_server *, const char *cert, const char *key,
	struct err *) MUST_CHECK;
void http_reload_origins(struct http_server *, const struct conf_list *);

/* "GET /v1/contacts/{}/timeline"; a name may stand in the braces. The longest match
 * wins: at the first segment where two patterns differ a word beats `{…}`, which takes
 * any one segment that is not empty, which beats `{*}` (last only), which takes the
 * rest with its slashes, even "". A known path with another method is 405 with Allow,
 * OPTIONS (a browser's preflight too) is answered from the routes, HEAD is answered as
 * GET. */
void http_route(struct http_server *, const char *method_and_path, http_handler_fn *,
	void *arg);
/* The same for a resource whose body comes in pieces, past max_body_bytes too: see
 * http_receive. Of such a body every 64 KiB must come within body_timeout. */
void http_route_pieces(struct http_server *, const char *method_and_path,
	http_handler_fn *, void *arg);
/* Runs before every routed handler; returns false if it has answered, or will answer
 * and run the handler itself by http_continue (authentication that asks the database).
 */
typedef bool http_before_fn(struct http_request *, void *arg);
void http_set_before(struct http_server *, http_before_fn *, void *arg);
/* Runs the routed handler now; or, if the client or the server is gone, ends the
 * request without it. */
void http_continue(struct http_request *);
/* The route's pattern ("GET /v1/contacts/{}"), for roles and metrics; "" if none. */
const char *http_route_pattern(const struct http_request *);
/* Runs after every answer, also to what was no request (method, path and pattern ""
 * then): for metrics and the access log at debug. Status 499: nobody was left to
 * answer. */
typedef void
http_after_fn(struct http_request *, int status, int64_t took_us, void *arg);
void http_set_after(struct http_server *, http_after_fn *, void *arg);

struct http_counters {
	unsigned connections, streams;
	unsigned long long accepted, requests, refused_header, refused_body, timeouts,
		refused_connections, bad_requests;
	/* refused_header: 414, 431. refused_body: 413. timeouts: 408, and connections
	   that sent nothing or did not read. refused_connections: one peer's too many.
	   bad_requests: other malformed ones. Each is in one of them only. */
};
void http_get_counters(const struct http_server *, struct http_counters *);
/* The TCP port actually bound by listener i (for port 0 in tests), 0 if none. */
int http_port(const struct http_server *, size_t i);

/* A long-lived answer: WebSocket (RFC 6455) or Server-Sent Events. Made from a request
 * instead of answering it. */
struct http_stream;
struct http_stream_callbacks {
	/* WebSocket text message, complete, at most 64 KiB; NULL = messages are
	 * ignored. */
	void (*on_message)(void *arg, const char *text, size_t len);
	void (*on_close)(void *arg); /* exactly once; the stream is gone after it */
};
bool http_wants_websocket(const struct http_request *); /* Upgrade: websocket */
/* The words of Sec-WebSocket-Protocol, in order; false past the end. */
bool
http_websocket_protocol(const struct http_request *, size_t n, char *dst, size_t cap);
/* Answers 101 with `protocol` (or none) and returns the stream; NULL if the handshake
 * was wrong (the problem is answered then). Pings every 30 s, closes after two missed.
 */
struct http_stream *http_websocket(struct http_request *, const char *protocol,
	const struct http_stream_callbacks *, void *arg);
/* Answers 200 text/event-stream; a comment every 15 s keeps proxies awake. Never NULL:
 * if the client is gone, or asked by HEAD, on_close follows soon. */
struct http_stream *
http_sse(struct http_request *, const struct http_stream_callbacks *, void *arg);
/* One text frame, or one event with id (NULL = none). A slow client past
 * max_output_bytes is closed (on_close comes later, never inside this call). */
void
http_stream_send(struct http_stream *, const char *id, const char *text, size_t len);
/* WebSocket close code (RFC 6455 §7.4.1); on_close follows, never inside this call. */
void http_stream_close(struct http_stream *, int code, const char *reason);

#endif
