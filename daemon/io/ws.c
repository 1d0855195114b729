/* ws.c - RFC 6455 framing for a server. A frame's head is collected in head[] until its
 * own bytes have said how long it is; payload is unmasked into message (data) or
 * control on its way, so that a frame may come in any pieces. What is too large is
 * refused at its head, before any of it is kept. Next: http_stream.c puts it on a
 * connection. */
#include "io/ws.h"

#include <str.h>

#include <assert.h>
#include <string.h>

#define MAX_CONTROL 125

void
ws_decoder_init(struct ws_decoder *d, size_t max_message)
{
	memset(d, 0, sizeof(*d));
	d->max_message = max_message;
	d->head_want = 2;
}

void
ws_decoder_fini(struct ws_decoder *d)
{
	buf_fini(&d->message);
	buf_fini(&d->control);
}

static enum ws_event
bad(struct ws_decoder *d, int code, const char *why)
{
	d->dead = true;
	d->close_code = code;
	d->why = why;
	return WS_EV_BAD;
}

static enum ws_opcode
opcode(const struct ws_decoder *d)
{
	return (enum ws_opcode)(d->head[0] & 0x0f);
}

static bool
is_control(const struct ws_decoder *d)
{
	return d->head[0] & 0x08;
}

static bool
is_final(const struct ws_decoder *d)
{
	return d->head[0] & 0x80;
}

/* What the first two bytes say already. */
static enum ws_event
check_start(struct ws_decoder *d)
{
	unsigned short_len = d->head[1] & 0x7f;

	if (d->head[0] & 0x70)
		return bad(d, WS_CLOSE_PROTOCOL, "a reserved bit is set");
	if (!(d->head[1] & 0x80))
		return bad(d, WS_CLOSE_PROTOCOL, "a frame is not masked");
	if (is_control(d) && (!is_final(d) || short_len > MAX_CONTROL))
		return bad(d, WS_CLOSE_PROTOCOL,
			"a control frame is too long or in parts");
	switch (opcode(d)) {
	case WS_OP_CONTINUATION:
		if (!d->in_message)
			return bad(d, WS_CLOSE_PROTOCOL, "a continuation of nothing");
		break;
	case WS_OP_TEXT:
		if (d->in_message)
			return bad(d, WS_CLOSE_PROTOCOL, "a message inside a message");
		break;
	case WS_OP_BINARY: return bad(d, WS_CLOSE_UNSUPPORTED, "a binary message");
	case WS_OP_CLOSE:
	case WS_OP_PING:
	case WS_OP_PONG: break;
	default: return bad(d, WS_CLOSE_PROTOCOL, "an unknown opcode");
	}
	d->head_want = 2 + 4 + (short_len == 127 ? 8 : short_len == 126 ? 2 : 0);
	return WS_EV_MORE;
}

/* The whole head is there: the length, in its shortest form (RFC 6455 §5.2). */
static enum ws_event
check_length(struct ws_decoder *d)
{
	size_t n_len = d->head_want - 6;
	uint64_t len = d->head[1] & 0x7f;

	if (n_len) {
		len = 0;
		for (size_t i = 0; i < n_len; i++)
			len = len << 8 | d->head[2 + i];
		if (len < (n_len == 2 ? 126u : 65536u) || len >> 63)
			return bad(d, WS_CLOSE_PROTOCOL, "a length in the wrong form");
	}
	if (!is_control(d)) {
		if (d->message_done)
			buf_clear(&d->message);
		d->message_done = false;
		if (len > d->max_message - d->message.len)
			return bad(d, WS_CLOSE_TOO_BIG, "a message is too long");
		d->in_message = true;
	} else {
		buf_clear(&d->control);
	}
	d->left = len;
	d->mask_at = 0;
	return WS_EV_MORE;
}

/* RFC 6455 §7.4: codes that may be on the wire. */
static bool
is_close_code(int code)
{
	if (code >= 3000)
		return code < 5000;
	return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}

static enum ws_event
on_close_frame(struct ws_decoder *d)
{
	const unsigned char *p = (const unsigned char *)buf_str(&d->control);
	size_t len = d->control.len;

	d->dead = true;
	d->close_code = WS_CLOSE_NO_CODE;
	if (len == 0)
		return WS_EV_CLOSE;
	if (len == 1 || !is_close_code(p[0] << 8 | p[1]))
		return bad(d, WS_CLOSE_PROTOCOL, "a close frame with a wrong code");
	if (!utf8_valid(d->control.data + 2, len - 2))
		return bad(d, WS_CLOSE_INVALID_TEXT, "a close reason is not UTF-8");
	d->close_code = p[0] << 8 | p[1];
	return WS_EV_CLOSE;
}

static enum ws_event
on_frame(struct ws_decoder *d)
{
	d->head_len = 0;
	d->head_want = 2;
	switch (opcode(d)) {
	case WS_OP_CLOSE: return on_close_frame(d);
	case WS_OP_PING: return WS_EV_PING;
	case WS_OP_PONG: return WS_EV_PONG;
	default: break;
	}
	if (!is_final(d))
		return WS_EV_MORE;
	d->in_message = false;
	d->message_done = true;
	if (!utf8_valid(buf_str(&d->message), d->message.len))
		return bad(d, WS_CLOSE_INVALID_TEXT, "a message is not UTF-8");
	return WS_EV_TEXT;
}

static void
take_payload(struct ws_decoder *d, const unsigned char *p, size_t len)
{
	struct buf *b = is_control(d) ? &d->control : &d->message;
	const unsigned char *mask = d->head + d->head_want - 4;
	size_t at = b->len;

	buf_add(b, p, len);
	for (size_t i = 0; i < len; i++)
		b->data[at + i] ^= (char)mask[(d->mask_at + i) & 3];
	d->mask_at += len;
	d->left -= len;
}

/* One byte of the head. */
static enum ws_event
take_head(struct ws_decoder *d, unsigned char c)
{
	enum ws_event ev = WS_EV_MORE;

	d->head[d->head_len++] = c;
	if (d->head_len == 2)
		ev = check_start(d);
	if (ev == WS_EV_MORE && d->head_len == d->head_want) {
		ev = check_length(d);
		if (ev == WS_EV_MORE && d->left == 0)
			ev = on_frame(d);
	}
	return ev;
}

size_t
ws_decode(struct ws_decoder *d, const void *data, size_t len, enum ws_event *ev_r)
{
	const unsigned char *p = data;
	size_t used = 0;

	*ev_r = WS_EV_MORE;
	if (d->dead)
		return len;
	while (used < len && *ev_r == WS_EV_MORE) {
		if (d->head_len < d->head_want) {
			*ev_r = take_head(d, p[used++]);
			continue;
		}
		size_t n = len - used < d->left ? len - used : (size_t)d->left;
		take_payload(d, p + used, n);
		used += n;
		if (d->left == 0)
			*ev_r = on_frame(d);
	}
	return used;
}

void
ws_encode(struct buf *out, enum ws_opcode op, const void *data, size_t len)
{
	unsigned char head[10] = {(unsigned char)(0x80 | op)};
	size_t n_len = len < 126 ? 0 : len < 65536 ? 2 : 8;

	head[1] = (unsigned char)(n_len == 0 ? len : n_len == 2 ? 126 : 127);
	for (size_t i = 0; i < n_len; i++)
		head[2 + i] = (unsigned char)((uint64_t)len >> 8 * (n_len - 1 - i));
	buf_add(out, head, 2 + n_len);
	buf_add(out, data, len);
}

void
ws_encode_close(struct buf *out, int code, const char *reason)
{
	char payload[MAX_CONTROL] = {(char)(code >> 8), (char)code};
	size_t len = 0;

	assert(is_close_code(code));
	if (reason) {
		len = utf8_cut(reason, strlen(reason), sizeof(payload) - 2);
		memcpy(payload + 2, reason, len);
	}
	ws_encode(out, WS_OP_CLOSE, payload, len + 2);
}
