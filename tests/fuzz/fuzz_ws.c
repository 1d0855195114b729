/* fuzz_ws.c - any bytes as a WebSocket client's. However they are cut, the same events
 * come out; a text is UTF-8 and within its limit; a refusal has a code that may be
 * sent. */
#include <io/ws.h>

#include <str.h>

#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGE 300

static void
require(bool cond)
{
	if (!cond)
		abort();
}

static void
describe(const struct ws_decoder *d, enum ws_event ev, struct buf *out)
{
	struct buf frame = BUF_INIT;

	buf_printf(out, "%d;", ev);
	switch (ev) {
	case WS_EV_TEXT:
		require(d->message.len <= MAX_MESSAGE);
		require(utf8_valid(buf_str(&d->message), d->message.len));
		buf_add(out, buf_str(&d->message), d->message.len);
		break;
	case WS_EV_PING:
	case WS_EV_PONG:
		require(d->control.len <= 125);
		buf_add(out, buf_str(&d->control), d->control.len);
		break;
	case WS_EV_CLOSE:
	case WS_EV_BAD:
		buf_printf(out, "%d", d->close_code);
		if (d->close_code != WS_CLOSE_NO_CODE)
			ws_encode_close(&frame, d->close_code, d->why);
		break;
	case WS_EV_MORE: break;
	}
	buf_fini(&frame);
}

static void
decode(const uint8_t *data, size_t size, size_t step, struct buf *out)
{
	struct ws_decoder d;
	enum ws_event ev;

	ws_decoder_init(&d, MAX_MESSAGE);
	for (size_t at = 0; at < size;) {
		size_t n = size - at < step ? size - at : step;
		at += ws_decode(&d, data + at, n, &ev);
		if (ev != WS_EV_MORE)
			describe(&d, ev, out);
	}
	ws_decoder_fini(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT, cut = BUF_INIT;

	decode(data, size, size, &whole);
	decode(data, size, 1 + size % 7, &cut);
	require(whole.len == cut.len);
	require(!cut.len || memcmp(whole.data, cut.data, cut.len) == 0);
	buf_fini(&whole);
	buf_fini(&cut);
	return 0;
}
