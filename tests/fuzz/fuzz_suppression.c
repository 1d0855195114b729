/* fuzz_suppression.c - any bytes as a do-not-call list (the first one says phone or
 * email). However they are cut, the same addresses and wrong lines come out; an address is
 * valid UTF-8 of bounded length, and what is kept of a line is bounded. */
#include <mem.h>
#include <people/suppression_read.h>
#include <str.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool cond)
{
	if (!cond)
		abort();
}

static void
take_rows(struct suppression_reader *r, struct buf *out)
{
	while (!suppression_reader_is_empty(r)) {
		struct suppression_rows rows = {BUF_INIT, 0};
		suppression_reader_next(r, &rows, 3);
		const char *at = rows.values.data;
		for (size_t i = 0; i < rows.n; i++, at += strlen(at) + 1) {
			require(utf8_valid(at, strlen(at)) && *at);
			require(strlen(at) <= ADDRESS_VALUE_MAX);
			buf_printf(out, "%s\n", at);
		}
		require(!rows.n || at == rows.values.data + rows.values.len);
		suppression_rows_fini(&rows);
	}
}

static void
read_list(const char *kind, const char *data, size_t size, size_t step, struct buf *out)
{
	struct suppression_reader *r = suppression_reader_new(kind, "TW");

	for (size_t at = 0; at < size; at += step) {
		size_t n = size - at < step ? size - at : step;
		suppression_reader_feed(r, data + at, n, false);
		take_rows(r, out);
		require(r->text.len - r->at <= 1003 + n);
	}
	suppression_reader_feed(r, "", 0, true);
	take_rows(r, out);
	for (size_t i = 0; i < r->n_rejected && i < SUPPRESSION_TOLD_MAX; i++)
		buf_printf(out, "%llu %s\n", (unsigned long long)r->rejected[i].line,
			r->rejected[i].why);
	suppression_reader_free(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT, cut = BUF_INIT;

	if (!size)
		return 0;
	const char *kind = data[0] & 1 ? "email" : "phone";
	read_list(kind, (const char *)data + 1, size - 1, size, &whole);
	read_list(kind, (const char *)data + 1, size - 1, 1 + size % 7, &cut);
	require(whole.len == cut.len);
	require(!whole.len || memcmp(whole.data, cut.data, cut.len) == 0);
	buf_fini(&whole);
	buf_fini(&cut);
	return 0;
}
