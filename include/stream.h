/* stream.h - a client connection over TCP, TLS or a Unix socket, never blocking.
 *
 * Names are resolved off the loop. Exactly one of on_up or on_down follows
 * stream_connect, never before it returns; after on_up any number of on_data, then at
 * most one on_down. stream_free may be called at any time, also inside a callback;
 * nothing is called after it. TCP_NODELAY and keepalive (30 s idle) are set. */
#ifndef INTERACTD_STREAM_H
#define INTERACTD_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include "err.h"
#include "loop.h"

struct stream;

struct stream_opts {
	const char *address; /* "host:port", "[v6]:port" or "unix:PATH" */
	bool tls;	     /* TLS 1.2 or newer, certificate and name verified */
	const char *tls_ca;  /* PEM file; NULL = the system's */
	bool tls_no_verify; /* tests and self-signed labs; logged once per connection */
	unsigned connect_timeout_ms; /* name, connect and handshake together */
	size_t max_output; /* bytes queued to a peer that does not read; past it
			      on_down; 0 = 1 MiB */
};

struct stream_callbacks {
	void (*on_up)(void *arg);
	/* Consumes n bytes of data by returning n <= len; the rest is given again with
	 * more. Returning 0 with `len` at its limit (1 MiB) ends the connection. */
	size_t (*on_data)(void *arg, const char *data, size_t len);
	void (*on_down)(void *arg, const char *why); /* the stream is dead: free it */
};

/* Borrows opts and its strings until return. Returns an object, never NULL: a bad
 * address comes as on_down. */
struct stream *stream_connect(struct loop *, const struct stream_opts *,
	const struct stream_callbacks *, void *arg);
/* Copies. Before on_up it is queued (within max_output); after the end it is ignored.
 */
void stream_write(struct stream *, const void *data, size_t len);
/* Until the opposite is said, no on_data is called and the peer is slowed down; nor
 * on_down for an end the peer caused, for its last data comes first. */
void stream_pause(struct stream *, bool paused);
/* NULL-safe. What was written last goes out as far as the socket takes it at once. */
void stream_free(struct stream **);

#endif
