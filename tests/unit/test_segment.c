/* test_segment.c - what filters are, what they are refused for, and that the SQL made of
 * them holds nothing of theirs. */
#include "lib/test.h"

#include <mem.h>
#include <str.h>
#include <timeline/segment_filter.h>

#include <stdio.h>
#include <string.h>

#define NOW INT64_C(1800000000000000) /* 2027-01-15T08:00:00Z */

static bool
compile(struct segment_filter *f, const char *text)
{
	json_t *filter = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	bool ok = segment_filter_init(f, filter, NULL, NOW);

	CHECK(filter);
	json_decref(filter);
	return ok;
}

static const char *const good[] = {
	"{}",
	"{\"all\":[]}",
	"{\"any\":[]}",
	"{\"role\":\"customer\"}",
	"{\"role\":[\"customer\",\"lead\"]}",
	"{\"not\":{\"vip\":true}}",
	"{\"language\":\"zh\"}",
	"{\"timezone\":[\"Asia/Taipei\"]}",
	"{\"name\":{\"contains\":\"ZQX\"}}",
	"{\"name\":{\"exists\":false}}",
	"{\"attribute\":{\"name\":\"ZQX\",\"equals\":\"ZQX\"}}",
	"{\"attribute\":{\"name\":\"ZQX\",\"equals\":3}}",
	"{\"attribute\":{\"name\":\"ZQX\",\"gte\":1.5,\"lt\":20}}",
	"{\"attribute\":{\"name\":\"ZQX\",\"exists\":true}}",
	"{\"organisation\":\"019aa000-0000-7000-8000-000000000001\"}",
	"{\"organisation\":{\"exists\":true}}",
	"{\"identity\":{\"kind\":\"ZQX\",\"trust\":\"network\",\"begins\":\"ZQX\"}}",
	"{\"identity\":{}}",
	"{\"created\":{\"after\":\"90d\",\"before\":\"2027-01-01\"}}",
	"{\"updated\":{\"after\":\"2027-01-01T00:00:00Z\"}}",
	"{\"interaction\":{\"kind\":\"ZQX\",\"direction\":\"in\",\"agent\":\"ZQX\","
	"\"channel\":\"ZQX\",\"disposition\":\"ZQX\",\"after\":\"1y\",\"at_least\":2,"
	"\"at_most\":5}}",
	"{\"interaction\":{\"at_most\":0}}",
	"{\"last_interaction\":{\"kind\":\"call\",\"before\":\"12h\"}}",
	"{\"last_interaction\":{\"after\":\"8w\",\"before\":\"1w\"}}",
	"{\"consent\":{\"kind\":\"ZQX\",\"purpose\":\"marketing\",\"is\":\"none\"}}",
	"{\"not\":{\"consent\":{\"kind\":\"sms\",\"purpose\":\"survey\",\"is\":\"denied\"}}}",
	"{\"do_not_contact\":false}",
	"{\"preferred\":[\"ZQX\",\"email\"]}",
	"{\"suppressed\":{\"kind\":\"ZQX\"}}",
	"{\"suppressed\":{}}",
	"{\"any\":[{\"all\":[{\"vip\":true},{\"role\":\"lead\"}]},{\"not\":{\"any\":[]}}]}",
};

static const struct {
	const char *text, *why;
} bad[] = {
	{"[]", "one member"},
	{"{\"vip\":true,\"role\":\"lead\"}", "one member"},
	{"{\"vip\":1}", "vip: true or false"},
	{"{\"tier\":1}", "a condition is one of"},
	{"{\"all\":{}}", "all: a list"},
	{"{\"role\":[]}", "role: a string"},
	{"{\"role\":[1]}", "role: a string"},
	{"{\"name\":{}}", "name: one of"},
	{"{\"name\":{\"contains\":\"a\",\"equals\":\"b\"}}", "name: one of"},
	{"{\"name\":{\"like\":\"a\"}}", "name: "},
	{"{\"attribute\":{\"equals\":1}}", "attribute: name: is required"},
	{"{\"attribute\":{\"name\":\"a\"}}", "attribute: one of"},
	{"{\"attribute\":{\"name\":\"a\",\"gt\":\"3\"}}", "gt: a number"},
	{"{\"attribute\":{\"name\":\"a\",\"gt\":3,\"exists\":true}}",
		"attribute: one of"},
	{"{\"organisation\":\"acme\"}", "organisation: a contact's id"},
	{"{\"identity\":{\"trust\":\"much\"}}", "trust: claimed"},
	{"{\"created\":{}}", "created: after"},
	{"{\"created\":{\"after\":\"soon\"}}", "after: a time"},
	{"{\"created\":{\"after\":\"99999d\"}}", "after: a time"},
	{"{\"interaction\":{\"direction\":\"up\"}}", "direction: in or out"},
	{"{\"interaction\":{\"at_least\":0}}", "at_least"},
	{"{\"interaction\":{\"at_least\":-1}}", "at_least"},
	{"{\"interaction\":{\"legs\":1}}", "legs: there is no such field"},
	{"{\"last_interaction\":{\"kind\":\"call\"}}", "after, before or both"},
	{"{\"consent\":{\"kind\":\"sms\",\"is\":\"allowed\"}}",
		"consent: purpose: is required"},
	{"{\"consent\":{\"kind\":\"sms\",\"purpose\":\"fun\",\"is\":\"allowed\"}}",
		"purpose: transactional"},
	{"{\"consent\":{\"kind\":\"sms\",\"purpose\":\"survey\",\"is\":\"maybe\"}}",
		"is: allowed, denied or none"},
	{"{\"do_not_contact\":1}", "do_not_contact: true or false"},
	{"{\"preferred\":[]}", "preferred: a string"},
	{"{\"suppressed\":true}", "suppressed: "},
	{"{\"suppressed\":{\"list\":\"x\"}}", "list: there is no such field"},
	{"{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":{\"not\":"
	 "{\"vip\":true}}}}}}}}}",
		"8 deep"},
};

static void
test_good_filters(void)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct segment_filter f;
		struct buf sql = BUF_INIT;

		if (!compile(&f, good[i]))
			test_fail(__FILE__, __LINE__, "%s: %s", good[i], f.why);
		segment_filter_page_sql(&f, true, &sql);
		segment_filter_count_sql(&f, &sql);
		/* nothing of the filter is in the SQL */
		CHECK(!strstr(buf_str(&sql), "ZQX") && !strstr(buf_str(&sql), "zqx"));
		CHECK(!strpbrk(buf_str(&sql), "\";\\"));
		buf_fini(&sql);
		segment_filter_fini(&f);
	}
}

static void
test_bad_filters(void)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct segment_filter f;

		if (compile(&f, bad[i].text))
			test_fail(__FILE__, __LINE__, "%s is taken", bad[i].text);
		else if (!strstr(f.why, bad[i].why))
			test_fail(__FILE__, __LINE__, "%s: %s, not %s", bad[i].text,
				f.why, bad[i].why);
		segment_filter_fini(&f);
	}
}

/* Other values, the same SQL: what was said is in the values, and only there. */
static void
test_values_are_apart(void)
{
	static const char *const texts[] = {
		"{\"all\":[{\"name\":{\"equals\":\"a\"}},{\"attribute\":{\"name\":\"b\","
		"\"contains\":\"c\"}},{\"interaction\":{\"kind\":\"call\",\"after\":\"1d\"}}]}",
		"{\"all\":[{\"name\":{\"equals\":\"x'; DROP TABLE contact; --\"}},{\"attribute\":"
		"{\"name\":\"$1\",\"contains\":\"\\\\\"}},{\"interaction\":{\"kind\":\"'\","
		"\"after\":\"1970-01-02\"}}]}"};
	struct segment_filter f[2];
	struct buf sql[2] = {BUF_INIT, BUF_INIT};

	for (int i = 0; i < 2; i++) {
		CHECK(compile(&f[i], texts[i]));
		segment_filter_page_sql(&f[i], false, &sql[i]);
	}
	CHECK_STR(buf_str(&sql[0]), buf_str(&sql[1]));
	CHECK_INT(f[0].n_values, f[1].n_values);
	CHECK_STR(f[1].values.data + f[1].offsets[0], "x'; DROP TABLE contact; --");
	for (int i = 0; i < 2; i++) {
		segment_filter_fini(&f[i]);
		buf_fini(&sql[i]);
	}
}

static void
test_how_long_ago(void)
{
	struct segment_filter f;

	CHECK(compile(&f, "{\"created\":{\"after\":\"90d\"}}"));
	CHECK_STR(f.values.data + f.offsets[0], "1792224000000000");
	segment_filter_fini(&f);
	CHECK(compile(&f, "{\"interaction\":{\"after\":\"1h\"}}"));
	CHECK_STR(f.values.data + f.offsets[0], "01a31825-6180-0000-0000-000000000000");
	segment_filter_fini(&f);
}

static void
test_what_is_bounded(void)
{
	struct buf text = BUF_INIT;
	struct segment_filter f;

	buf_adds(&text, "{\"all\":[");
	for (int i = 0; i < 11; i++)
		buf_printf(&text, "%s{\"interaction\":{}}", i ? "," : "");
	buf_adds(&text, "]}");
	CHECK(!compile(&f, buf_str(&text)));
	CHECK(strstr(f.why, "at most 10 conditions"));
	segment_filter_fini(&f);

	buf_clear(&text);
	buf_adds(&text, "{\"any\":[{\"all\":[");
	for (int i = 0; i < 51; i++)
		buf_printf(&text, "%s{\"vip\":true}",
			i == 0	  ? ""
			: i == 26 ? "]},{\"all\":["
				  : ",");
	buf_adds(&text, "]}]}");
	CHECK(!compile(&f, buf_str(&text)));
	CHECK(strstr(f.why, "at most 50 conditions"));
	segment_filter_fini(&f);
	buf_fini(&text);
}

/* What the caller may see holds beside whatever the filter says. */
static void
test_sight_is_always_kept(void)
{
	const struct sight *sight = sight_parse("[\"partner\"]", "[\"tier\"]");
	struct segment_filter f;
	struct buf sql = BUF_INIT;

	CHECK(segment_filter_init(&f, NULL, sight, NOW));
	CHECK_STR(buf_str(&f.where),
		"true AND c.roles && $5::text[] AND $6::text[] IS NOT NULL");
	CHECK_STR(f.values.data + f.offsets[0], "{\"partner\"}");
	segment_filter_page_sql(&f, false, &sql);
	CHECK(str_starts(buf_str(&sql),
		"SELECT x.id, contact_seen($1::int, x.object, $5::text[], $6::text[]) FROM"));
	segment_filter_fini(&f);
	sight_unref(&sight);

	buf_clear(&sql);
	CHECK(segment_filter_init(&f, NULL, sight_of_nobody(), NOW));
	CHECK_STR(f.values.data + f.offsets[0], "{}");
	segment_filter_fini(&f);

	sight = sight_parse(NULL, "[\"tier\"]");
	CHECK(segment_filter_init(&f, NULL, sight, NOW));
	CHECK_STR(buf_str(&f.where), "true AND $5::text[] IS NOT NULL");
	segment_filter_page_sql(&f, true, &sql);
	CHECK(strstr(buf_str(&sql),
		"contact_seen($1::int, x.object, NULL::text[], $5::text[])"));
	segment_filter_fini(&f);
	sight_unref(&sight);
	buf_fini(&sql);
}

/* How many it finds would tell what is out of sight. */
static void
test_what_is_out_of_sight_is_not_asked(void)
{
	static const struct {
		const char *text;
		bool ok;
	} cases[] = {
		{"{\"attribute\":{\"name\":\"tier\",\"exists\":true}}", true},
		{"{\"attribute\":{\"name\":\"margin\",\"exists\":true}}", false},
		{"{\"not\":{\"attribute\":{\"name\":\"margin\",\"gt\":3}}}", false},
		{"{\"role\":\"partner\"}", true},
		{"{\"role\":[\"partner\",\"customer\"]}", false},
		{"{\"role\":[3]}", false},
		{"{\"organisation\":{\"exists\":true}}", true},
	};
	const struct sight *sight = sight_parse("[\"partner\"]", "[\"tier\"]");

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *filter = json_loads(cases[i].text, 0, NULL);
		struct segment_filter f;

		if (segment_filter_init(&f, filter, sight, NOW) != cases[i].ok)
			test_fail(__FILE__, __LINE__, "%s: %s", cases[i].text, f.why);
		if (!cases[i].ok)
			CHECK(strstr(f.why, "this caller may not see"));
		segment_filter_fini(&f);
		json_decref(filter);
	}
	sight_unref(&sight);
}

int
main(void)
{
	TEST(test_good_filters);
	TEST(test_bad_filters);
	TEST(test_values_are_apart);
	TEST(test_how_long_ago);
	TEST(test_what_is_bounded);
	TEST(test_sight_is_always_kept);
	TEST(test_what_is_out_of_sight_is_not_asked);
	return test_done();
}
