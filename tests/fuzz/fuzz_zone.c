/* fuzz_zone.c - any bytes as a time zone's file: refused with a sentence, or a zone whose
 * stretches of time follow one another without a gap, with clocks that show every time at
 * most 26 h away. The bytes are a rule of a footer, too. */
#include <mem.h>
#include <outreach/zone.h>
#include <outreach/zone_rule.h>

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
walk(const struct zone *z, int64_t t, int64_t end)
{
	for (int n = 0; n < 600 && t < end; n++) {
		struct zone_span s = zone_span(z, t);
		require(s.since <= t && t < s.until);
		require(s.offset > -ZONE_OFFSET_MAX && s.offset < ZONE_OFFSET_MAX);
		int64_t local = t + s.offset;
		int64_t first = zone_instant(z, local, ZONE_FIRST_TIME);
		int64_t last = zone_instant(z, local, ZONE_LAST_TIME);
		require(first <= t && t <= last);
		require(last - first <= 2 * ZONE_OFFSET_MAX);
		if (s.until == ZONE_LAST)
			break;
		zone_instant(z, s.until + s.offset + 1, ZONE_FIRST_TIME);
		t = s.until;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	struct zone_rule rule;
	struct zone *z = zone_parse("Fuzz/Zone", data, size, &err);

	require(z || *err.text);
	if (z) {
		walk(z, INT64_C(-5000000000), INT64_C(8000000000));
		walk(z, INT64_C(1790000000), INT64_C(1900000000));
		walk(z, INT64_C(-9000000000000), INT64_C(-8999000000000));
		walk(z, INT64_C(9000000000000), INT64_C(9000100000000));
		require(zone_same_since(z, z, 0));
		zone_same_since(z, zone_utc(), INT64_C(1577836800));
	}
	zone_free(&z);
	if (zone_rule_parse((const char *)data, size, &rule) && rule.has_dst) {
		zone_rule_start(&rule, 2026);
		zone_rule_end(&rule, 2028);
	}
	return 0;
}
