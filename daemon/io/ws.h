/* ws.h - WebSocket frames (RFC 6455 §5) out of and into bytes, server side, no I/O.
 *
 * The decoder puts fragments together, lets control frames through between them, and
 * refuses what the RFC tells a server to refuse. Text only: a binary message is 1003.
 */
#ifndef INTERACTD_IO_WS_H
#define INTERACTD_IO_WS_H

#include <buf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_opcode {
	WS_OP_CONTINUATION = 0,
	WS_OP_TEXT = 1,
	WS_OP_BINARY = 2,
	WS_OP_CLOSE = 8,
	WS_OP_PING = 9,
	WS_OP_PONG = 10,
};

/* RFC 6455 §7.4.1; those a daemon sends. */
enum ws_close_code {
	WS_CLOSE_NORMAL = 1000,
	WS_CLOSE_GOING_AWAY = 1001,
	WS_CLOSE_PROTOCOL = 1002,
	WS_CLOSE_UNSUPPORTED = 1003,
	WS_CLOSE_NO_CODE = 1005, /* never on the wire: the peer gave none */
	WS_CLOSE_INVALID_TEXT = 1007,
	WS_CLOSE_TOO_BIG = 1009,
};

enum ws_event {
	WS_EV_MORE, /* all was taken, more is needed */
	WS_EV_TEXT, /* a complete message in .message */
	WS_EV_PING, /* answer with a pong carrying .control */
	WS_EV_PONG,
	WS_EV_CLOSE, /* the peer closes with .close_code */
	WS_EV_BAD, /* fail the connection with .close_code; .why is a constant sentence
		    */
};

struct ws_decoder {
	size_t max_message;
	struct buf message, control; /* valid until the next ws_decode */
	int close_code;
	const char *why;
	/* private */
	unsigned char head[14]; /* the frame's head: flags, length, mask */
	size_t head_len, head_want;
	uint64_t left; /* payload bytes of this frame to come */
	size_t mask_at;
	bool in_message;   /* a data frame without FIN has come */
	bool message_done; /* message has been handed out; clear before the next */
	bool dead;	   /* after CLOSE or BAD nothing is decoded */
};

void ws_decoder_init(struct ws_decoder *, size_t max_message);
void ws_decoder_fini(struct ws_decoder *);
/* Takes some of data, up to one event, and returns how much. */
size_t ws_decode(struct ws_decoder *, const void *data, size_t len, enum ws_event *);

/* Appends one unmasked frame with FIN. */
void ws_encode(struct buf *out, enum ws_opcode, const void *data, size_t len);
/* Appends a close frame; the reason is cut to what fits (123 bytes of UTF-8). */
void ws_encode_close(struct buf *out, int code, const char *reason);

#endif
