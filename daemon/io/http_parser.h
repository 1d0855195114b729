/* http_parser.h - HTTP/1.x requests out of bytes (RFC 9112), without any I/O.
 *
 * Strict on purpose: whatever two servers could read differently is refused, because
 * that is what request smuggling lives on (RFC 9112 §11.2). Lines end in CR LF and
 * nothing else; no folding; no blank before a colon; one Host; one Content-Length or
 * "chunked", never both. The outcome does not depend on how the bytes were cut. */
#ifndef INTERACTD_IO_HTTP_PARSER_H
#define INTERACTD_IO_HTTP_PARSER_H

#include <buf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_event {
	HTTP_EV_MORE, /* all was taken, more is needed */
	HTTP_EV_HEAD, /* the head is complete and a body follows */
	HTTP_EV_DONE, /* the request is complete */
	HTTP_EV_BAD,  /* refused: status and why say how; nothing more can be parsed */
};

struct http_limits {
	size_t max_header_bytes; /* request line and header fields; trailers again */
	size_t max_body_bytes;
};

/* A header field; offsets of NUL-terminated texts in head.data. */
struct http_field {
	uint32_t name, value;
};

struct http_message {
	struct buf head; /* the head's bytes, cut by NULs in place */
	struct buf body;
	struct http_field *fields;
	size_t n_fields, cap_fields;
	uint32_t method, target; /* offsets in head.data */
	unsigned minor;		 /* HTTP/1.minor */
	bool close;		 /* the connection ends after the answer */
	bool chunked, has_length, expect_continue;
	bool in_pieces; /* body holds what has come since it was last taken */
	uint64_t content_length;
};

struct http_parser {
	struct http_limits limits;
	struct http_message message;
	/* Asked when a head is complete and a body follows: is that body given in pieces
	 * (http_parser_take_piece), of any length? NULL: never. */
	bool (*wants_pieces)(void *arg, const struct http_message *);
	void *arg;
	int state;
	size_t line; /* where the line being read begins: in head, or in scratch */
	struct buf scratch; /* chunk sizes and trailers */
	size_t trailer_bytes;
	uint64_t left; /* of the body, or of the chunk */
	bool skipped_blank_line;
	bool has_host;
	int status;	 /* of HTTP_EV_BAD: 400, 413, 414, 417, 431, 501 or 505 */
	const char *why; /* a constant sentence for the problem document */
};

void http_parser_init(struct http_parser *, const struct http_limits *);
void http_parser_fini(struct http_parser *);
/* Takes some of data and returns how much; *ev_r says what that made. After DONE take
 * the message, then go on with the rest of the bytes. */
size_t http_parser_feed(
	struct http_parser *, const char *data, size_t len, enum http_event *ev_r);
/* Moves the complete message to *dst and is ready for the next request. */
void http_parser_take(struct http_parser *, struct http_message *dst);
/* After HTTP_EV_HEAD of a body in pieces: moves the head to *dst. From then on each feed
 * leaves what it found of the body in message.body, for the caller to clear; DONE ends it
 * (take and drop the message then). */
void http_parser_take_head(struct http_parser *, struct http_message *dst);
/* True between requests: no byte of the next one has come yet. */
bool http_parser_is_idle(const struct http_parser *);
/* True once a request's head is complete and its body is awaited. */
bool http_parser_in_body(const struct http_parser *);

void http_message_fini(struct http_message *);
const char *http_message_method(const struct http_message *); /* "" if there is none */
const char *http_message_target(const struct http_message *);
/* The first field of that name (case-insensitive), or NULL. */
const char *http_message_find(const struct http_message *, const char *name);
/* Does a comma-separated header, over all its fields, contain this word (any case)? */
bool
http_message_has_word(const struct http_message *, const char *name, const char *word);

#endif
