/* fuzz_csv.c - any bytes as a file to import (the first one says CSV or NDJSON). However
 * they are cut, the same rows and refusals come out; a row is valid JSON in UTF-8, or has
 * a sentence that says why not. */
#include <buf.h>
#include <mem.h>
#include <people/import_read.h>
#include <str.h>

#include <jansson.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool cond)
{
	if (!cond)
		abort();
}

/* A new contact's id is another each time. */
static void
describe_row(const char *json, struct buf *out)
{
	json_t *row = json_loads(json, JSON_REJECT_DUPLICATES, NULL);

	require(json_is_object(row));
	require(utf8_valid(json, strlen(json)));
	require(json_string_length(json_object_get(row, "id")) == 36);
	require(json_is_object(json_object_get(row, "set")));
	require(json_array_size(json_object_get(row, "add")) > 0);
	json_object_del(row, "id");
	char *text = json_dumps(row, JSON_COMPACT | JSON_SORT_KEYS);
	buf_adds(out, text);
	free(text);
	json_decref(row);
}

static void
describe(const struct import_rows *rows, struct buf *out)
{
	for (size_t i = 0; i < rows->n; i++) {
		const struct import_row *row = &rows->rows[i];
		require(!row->json != !row->why);
		require(row->line > 0 && row->lines > 0);
		buf_printf(out, "%llu+%u ", (unsigned long long)row->line, row->lines);
		if (row->json)
			describe_row(row->json, out);
		else
			buf_adds(out, row->why);
		buf_addc(out, '\n');
	}
}

static void
take_rows(struct import_reader *r, struct buf *out)
{
	while (!import_reader_is_empty(r)) {
		struct import_rows rows = {0};
		import_reader_next(r, &rows, 3, 1000);
		describe(&rows, out);
		import_rows_fini(&rows);
	}
}

static void
read_file(enum import_format format, const char *data, size_t size, size_t step,
	struct buf *out)
{
	static const struct tenant tenant = {
		.id = 1, .name = "default", .region = "TW"};
	struct import_reader *r = import_reader_new(format, NULL, 0, &tenant, NULL);

	for (size_t at = 0; at < size; at += step) {
		import_reader_feed(
			r, data + at, size - at < step ? size - at : step, false);
		take_rows(r, out);
	}
	import_reader_feed(r, "", 0, true);
	take_rows(r, out);
	if (import_reader_refusal(r))
		buf_adds(out, import_reader_refusal(r));
	buf_adds(out, import_reader_charset(r));
	import_reader_free(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT, cut = BUF_INIT;

	if (!size)
		return 0;
	enum import_format format = data[0] & 1 ? IMPORT_NDJSON : IMPORT_CSV;
	read_file(format, (const char *)data + 1, size - 1, size, &whole);
	read_file(format, (const char *)data + 1, size - 1, 1 + size % 7, &cut);
	require(whole.len == cut.len);
	require(!whole.len || memcmp(whole.data, cut.data, cut.len) == 0);
	buf_fini(&whole);
	buf_fini(&cut);
	return 0;
}
