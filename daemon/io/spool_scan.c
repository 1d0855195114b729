/* spool_scan.c - reading a segment: pure, over bytes in memory.
 *
 * Whatever the bytes are, a record is given only if its CRC over length, sequence and
 * payload is right and its sequence fits the row. Where no record stands, the next one
 * is searched on every multiple of 8: what lies between is damage. If there is none,
 * the rest is a torn tail: an append that a crash cut short. */
#include "io/spool.h"

#include "io/crc32c.h"
#include "io/spool_priv.h"

#include <string.h>

static uint64_t
get_le(const unsigned char *p, int bytes)
{
	uint64_t v = 0;

	while (bytes-- > 0)
		v = v << 8 | p[bytes];
	return v;
}

static void
put_le(unsigned char *p, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++, v >>= 8)
		p[i] = (unsigned char)v;
}

/* Header without its CRC field, then payload. */
static uint32_t
record_crc(const unsigned char *rec, size_t len)
{
	uint32_t crc = crc32c(0, rec, 4);

	return crc32c(crc, rec + 8, 8 + len);
}

size_t
spool_record_size(size_t payload_len)
{
	return (SPOOL_HEADER + payload_len + 7) & ~(size_t)7;
}

void
spool_record_put(unsigned char *dst, uint64_t seq, const void *data, size_t len)
{
	size_t size = spool_record_size(len);

	put_le(dst, len, 4);
	put_le(dst + 8, seq, 8);
	if (len > 0)
		memcpy(dst + SPOOL_HEADER, data, len);
	memset(dst + SPOOL_HEADER + len, 0, size - SPOOL_HEADER - len);
	put_le(dst + 4, record_crc(dst, len), 4);
}

/* Cheap checks first: the CRC of up to 256 KiB is taken only where the rest fits. */
static bool
record_at(const struct spool_walk *w, size_t off, struct spool_item *it)
{
	const unsigned char *p = w->data + off;

	if (w->len - off < SPOOL_HEADER)
		return false;
	size_t len = get_le(p, 4);
	uint64_t seq = get_le(p + 8, 8);
	/* Sequences cannot be further apart than records fit into the segment. */
	if (seq < w->next_seq || seq - w->next_seq > w->len / SPOOL_HEADER || seq == 0)
		return false;
	if (len > SPOOL_RECORD_MAX || len > w->len - off - SPOOL_HEADER)
		return false;
	if (get_le(p + 4, 4) != record_crc(p, len))
		return false;
	size_t size = spool_record_size(len);
	*it = (struct spool_item){.type = SPOOL_RECORD,
		.off = off,
		.len = size < w->len - off ? size : w->len - off,
		.seq = seq,
		.payload = p + SPOOL_HEADER,
		.payload_len = len};
	return true;
}

/* The end of what is not zero, from off on. */
static size_t
content_end(const struct spool_walk *w, size_t off)
{
	size_t end = w->len;

	while (end > off && w->data[end - 1] == 0)
		end--;
	return end;
}

void
spool_walk_next(struct spool_walk *w, struct spool_item *it)
{
	size_t start = w->off;

	if (record_at(w, start, it)) {
		w->off = start + it->len;
		w->next_seq = it->seq + 1;
		return;
	}
	size_t end = content_end(w, start);
	*it = (struct spool_item){.type = SPOOL_END, .off = start};
	if (end == start)
		return;
	for (size_t off = (start + 8) & ~(size_t)7; off < end; off += 8) {
		struct spool_item next;
		if (!record_at(w, off, &next))
			continue;
		it->type = SPOOL_DAMAGE;
		it->len = off - start;
		w->off = off;
		return;
	}
	it->type = SPOOL_TORN;
	it->len = end - start;
}

size_t
spool_scan(const void *segment, size_t len, uint64_t first_seq, spool_record_fn *fn,
	void *arg, bool *torn_r)
{
	struct spool_walk w = {.data = segment, .len = len, .next_seq = first_seq};
	struct spool_item it;

	*torn_r = false;
	for (;;) {
		spool_walk_next(&w, &it);
		if (it.type == SPOOL_TORN)
			*torn_r = true;
		if (it.type == SPOOL_TORN || it.type == SPOOL_END)
			return it.off;
		if (it.type == SPOOL_RECORD && fn &&
			!fn(arg, it.seq, it.payload, it.payload_len))
			return w.off;
	}
}
