/* Events of a stream: the same ones whether the bytes come at once or one by one. */
#include <ctl/sse.h>

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
on_event(void *arg, const char *data, size_t len)
{
	struct buf *all = arg;
	assert(strlen(data) == len);
	buf_add(all, data, len);
	buf_addc(all, '\0');
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sse whole = {.has_data = false}, pieces = {.has_data = false};
	struct buf a = BUF_INIT, b = BUF_INIT;
	enum sse_result last = SSE_MORE;
	const char *bytes = (const char *)data;

	enum sse_result r = sse_feed(&whole, bytes, size, on_event, &a);
	for (size_t i = 0; i < size && last == SSE_MORE; i++)
		last = sse_feed(&pieces, bytes + i, 1, on_event, &b);
	assert(r == last);
	assert(a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0));
	sse_fini(&whole);
	sse_fini(&pieces);
	buf_fini(&a);
	buf_fini(&b);
	return 0;
}
