/* The spool's reader over arbitrary bytes: sequences rise, payloads lie inside the
 * segment, and what it says about the end is true. The first byte shifts first_seq. */
#include "io/spool.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct seen {
	const uint8_t *data;
	size_t len, bytes;
	uint64_t last;
};

static bool
on_record(void *arg, uint64_t seq, const void *data, size_t len)
{
	struct seen *v = arg;
	const uint8_t *p = data;

	assert(seq > v->last);
	assert(len <= SPOOL_RECORD_MAX);
	assert(p >= v->data + 16 && p + len <= v->data + v->len);
	v->last = seq;
	v->bytes += 16 + len;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen v = {.data = data + 1, .len = size - 1};
	bool torn;

	if (size == 0)
		return 0;
	size_t end = spool_scan(v.data, v.len, 1 + data[0], on_record, &v, &torn);
	assert(end <= v.len && v.bytes <= end);
	size_t rest = end;
	while (rest < v.len && v.data[rest] == 0)
		rest++;
	assert(torn == (rest < v.len));
	return 0;
}
