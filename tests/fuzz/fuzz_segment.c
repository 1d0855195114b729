/* fuzz_segment.c - whatever a filter says, the SQL it becomes is made of the compiler's own
 * pieces: the letters of the input, written as ones that no piece has, are never in it, and
 * its size is bounded. */
#include <mem.h>
#include <timeline/segment_filter.h>

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No piece of SQL has one of these. */
static void
check_sql(const struct buf *sql, unsigned values)
{
	assert(!strpbrk(buf_str(sql), "\"\\;#`~^%@{}?"));
	assert(!strstr(buf_str(sql), "--") && !strstr(buf_str(sql), "/*"));
	assert(sql->len < 64 * 1024);
	for (const char *s = buf_str(sql); (s = strchr(s, '$')); s++) {
		unsigned long n = strtoul(s + 1, NULL, 10);
		assert(n >= 1 && n < SEGMENT_FIRST_VALUE + values);
	}
	/* quotes stand around the one dash of language tags, and nowhere else */
	for (const char *s = buf_str(sql); (s = strchr(s, '\'')); s += 3)
		assert(strncmp(s, "'-'", 3) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *filter =
		json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	struct segment_filter f;

	/* every other one by somebody who sees some contacts only */
	const struct sight *sight =
		size % 2 ? sight_parse("[\"lead\"]", "[\"tier\"]") : NULL;

	if (filter &&
		segment_filter_init(&f, filter, sight, INT64_C(1800000000000000))) {
		struct buf sql = BUF_INIT;
		segment_filter_page_sql(&f, size % 3 == 0, &sql);
		check_sql(&sql, f.n_values);
		buf_clear(&sql);
		segment_filter_count_sql(&f, &sql);
		check_sql(&sql, f.n_values);
		buf_fini(&sql);
	} else if (filter) {
		assert(f.why[0]);
	}
	if (filter)
		segment_filter_fini(&f);
	json_decref(filter);
	sight_unref(&sight);
	return 0;
}
