/* fuzz_holidays.c - any bytes as a file of holidays: refused with its line, or every day
 * has one name or none, and the years that are covered have days. */
#include <base/calendar.h>
#include <outreach/holidays.h>
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	struct holidays *h = holidays_parse("TW", (const char *)data, size, &err);
	bool seen = false;

	require(h || *err.text);
	if (!h)
		return 0;
	for (int64_t day = calendar_days(2026, 1, 1); day < calendar_days(2027, 1, 1);
		day++) {
		const char *name = holidays_name(h, day);
		seen |= name != NULL;
		require(!name || (*name && utf8_valid(name, strlen(name))));
	}
	require(seen == holidays_cover_year(h, 2026));
	holidays_name(h, INT64_MIN);
	holidays_name(h, INT64_MAX);
	holidays_free(&h);
	return 0;
}
