/* test_uuid.c - ids made from time. */
#include <uuid.h>

#include <lib/test.h>
#include <mem.h>

#include <string.h>

#define AT INT64_C(1795248000123456)

static void
test_new(void)
{
	struct uuid a = uuid_new(AT), b = uuid_new(AT);

	CHECK_INT(uuid_time_us(&a), INT64_C(1795248000123000));
	CHECK_INT(a.b[6] >> 4, 7);
	CHECK_INT(a.b[8] >> 6, 2);
	CHECK(!uuid_eq(&a, &b) && uuid_eq(&a, &a));
	CHECK(!uuid_is_nil(&a));
	struct uuid early = uuid_new(-5);
	CHECK_INT(uuid_time_us(&early), 0);
}

/* The value is fixed for ever: rows in databases bear it. It was computed with Python:
 * hashlib.blake2b(b"pbx-main/1700000000.42", digest_size=16). */
static void
test_derived_is_the_same_everywhere(void)
{
	char text[UUID_TEXT_LEN];
	struct uuid a = uuid_derive(AT, "pbx-main/1700000000.42");
	struct uuid b = uuid_derive(AT + 500, "pbx-main/1700000000.42");
	struct uuid c = uuid_derive(AT, "pbx-main/1700000000.43");
	struct uuid d = uuid_derive(AT + 1000, "pbx-main/1700000000.42");

	CHECK_STR(uuid_format(text, &a), "01a1fd1e-8c7b-7065-9f5c-06dc2459e31a");
	CHECK(uuid_eq(&a, &b) && !uuid_eq(&a, &c) && !uuid_eq(&a, &d));
	struct uuid empty = uuid_derive(0, "");
	CHECK(!uuid_is_nil(&empty));
}

static const char *const bad[] = {"", "0192f5e8-5c7b-7abc-8def-0123456789a",
	"0192f5e8-5c7b-7abc-8def-0123456789abc", "0192f5e8x5c7b-7abc-8def-0123456789ab",
	"0192f5e85-c7b-7abc-8def-0123456789ab", "0192f5e8-5c7b-7abc-8def-0123456789ag",
	"{192f5e8-5c7b-7abc-8def-0123456789a}", "0192f5e85c7b7abc8def0123456789ab0000",
	"-192f5e8-5c7b-7abc-8def-0123456789ab"};

static void
test_text(void)
{
	struct uuid u, v = {{0}};
	char text[UUID_TEXT_LEN];

	CHECK(uuid_parse("0192f5e8-5c7b-7abc-8def-0123456789ab", &u));
	CHECK_STR(uuid_format(text, &u), "0192f5e8-5c7b-7abc-8def-0123456789ab");
	CHECK(uuid_parse("0192F5E8-5C7B-7ABC-8DEF-0123456789AB", &v));
	CHECK(uuid_eq(&u, &v));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(!uuid_parse(bad[i], &v));
	CHECK(!uuid_parse(NULL, &v));
	CHECK(uuid_eq(&u, &v)); /* untouched */
	CHECK(uuid_parse("00000000-0000-0000-0000-000000000000", &v));
	CHECK(uuid_is_nil(&v));
}

int
main(void)
{
	TEST(test_new);
	TEST(test_derived_is_the_same_everywhere);
	TEST(test_text);
	return test_done();
}
