/* fuzz_call_event.c - any bytes as a record of the spool: refused, or an event that
 * encodes to a record which decodes to the same. */
#include <calls/event_codec.h>

#include <stdlib.h>
#include <string.h>

static void
require(bool cond)
{
	if (!cond)
		abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t len);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t len)
{
	struct call_var vars[CALL_VARS_MAX], vars2[CALL_VARS_MAX];
	struct call_event ev, again;
	struct buf first = BUF_INIT, second = BUF_INIT;

	if (call_event_decode(data, len, &ev, vars) != 0)
		return 0;
	call_event_encode(&first, &ev);
	require(call_event_decode(first.data, first.len, &again, vars2) == 0);
	call_event_encode(&second, &again);
	require(first.len == second.len &&
		memcmp(first.data, second.data, first.len) == 0);
	buf_fini(&first);
	buf_fini(&second);
	return 0;
}
