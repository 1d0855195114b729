/* test_json.c - what the writer writes, read back by Jansson. */
#include <json.h>

#include <jansson.h>

#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void
test_every_kind_of_value(void)
{
	struct buf b = BUF_INIT;
	struct json_out o;

	json_out_init(&o, &b);
	json_put_object(&o, NULL);
	json_put_string(&o, "s", "x");
	json_put_string(&o, "none", NULL);
	json_put_string_len(&o, "len", "abcdef", 3);
	json_put_int(&o, "i", INT64_MIN);
	json_put_double(&o, "d", 0.1);
	json_put_double(&o, "nan", NAN);
	json_put_bool(&o, "t", true);
	json_put_bool(&o, "f", false);
	json_put_null(&o, "n");
	json_put_time(&o, "at", INT64_C(1795248000123000));
	json_put_time(&o, "never", 0);
	json_put_raw(&o, "raw", "{\"a\":[1]}");
	json_put_raw(&o, "noraw", NULL);
	json_put_array(&o, "a");
	json_put_int(&o, NULL, 1);
	json_put_object(&o, NULL);
	json_put_object_end(&o);
	json_put_array(&o, NULL);
	json_put_array_end(&o);
	json_put_string(&o, NULL, "");
	json_put_array_end(&o);
	json_put_object(&o, "o");
	json_put_int(&o, "k", 2);
	json_put_object_end(&o);
	json_put_object_end(&o);
	CHECK_INT(o.depth, 0);
	CHECK_STR(buf_str(&b),
		"{\"s\":\"x\",\"none\":null,\"len\":\"abc\",\"i\":-9223372036854775808,"
		"\"d\":0.1,\"nan\":null,\"t\":true,\"f\":false,\"n\":null,"
		"\"at\":\"2026-11-21T08:00:00.123Z\",\"never\":null,\"raw\":{\"a\":[1]}"
		","
		"\"noraw\":null,\"a\":[1,{},[],\"\"],\"o\":{\"k\":2}}");
	buf_fini(&b);
}

static const struct {
	const char *text;
	size_t len;
	const char *want;
} strings[] = {
	{"", 0, "\"\""},
	{"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
	{"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
	{"\x01\x1f\x7f", 3, "\"\\u0001\\u001f\x7f\""},
	{"a\0b", 3, "\"ab\""},
	{"\xe5\xae\xa2", 3, "\"\xe5\xae\xa2\""},
	{"a\xff\xe5\xae", 4, "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
	{"\xf0\x9f\x98\x80", 4, "\"\xf0\x9f\x98\x80\""},
};

static void
test_quote(void)
{
	for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
		struct buf b = BUF_INIT;
		json_quote(&b, strings[i].text, strings[i].len);
		CHECK_STR(buf_str(&b), strings[i].want);
		buf_fini(&b);
	}
}

/* Whatever the bytes, a JSON parser takes what is written. */
/* Strings are looked through eight bytes at a time: every byte, at every place. */
static void
test_every_byte_at_every_place(void)
{
	struct buf b = BUF_INIT;

	for (int c = 1; c < 128; c++) {
		for (size_t at = 0; at < 20; at++) {
			char text[] = "abcdefghijklmnopqrst";
			text[at] = (char)c;
			buf_clear(&b);
			json_quote(&b, text, sizeof(text) - 1);
			json_t *back = json_loadb(b.data, b.len, JSON_DECODE_ANY, NULL);
			CHECK(back);
			CHECK_STR(json_string_value(back), text);
			CHECK(c < 0x20 || c == '"' || c == '\\' ||
				b.len == sizeof(text) + 1);
			json_decref(back);
		}
	}
	buf_fini(&b);
}

static void
test_any_bytes_make_valid_json(void)
{
	unsigned seed = 1;

	for (int round = 0; round < 2000; round++) {
		struct buf b = BUF_INIT;
		struct json_out o;
		char bytes[24];
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)(rand_r(&seed) >> 7);
		json_out_init(&o, &b);
		json_put_array(&o, NULL);
		json_put_string_len(&o, NULL, bytes, sizeof(bytes));
		json_put_array_end(&o);
		json_t *j = json_loadb(b.data, b.len, 0, NULL);
		CHECK(j && json_is_string(json_array_get(j, 0)));
		json_decref(j);
		buf_fini(&b);
	}
}

static void
test_double_survives(void)
{
	static const double numbers[] = {
		0, -0.5, 1.0 / 3, 1e300, 5e-324, DBL_MAX, 123456789.123};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		struct buf b = BUF_INIT;
		struct json_out o;
		json_out_init(&o, &b);
		json_put_double(&o, NULL, numbers[i]);
		CHECK(strtod(buf_str(&b), NULL) == numbers[i]);
		buf_fini(&b);
	}
}

static void
test_deepest_nesting(void)
{
	struct buf b = BUF_INIT;
	struct json_out o;

	json_out_init(&o, &b);
	for (int i = 0; i < 32; i++)
		json_put_array(&o, NULL);
	for (int i = 0; i < 32; i++)
		json_put_array_end(&o);
	CHECK_INT((int64_t)b.len, 64);
	buf_fini(&b);
}

int
main(void)
{
	TEST(test_every_kind_of_value);
	TEST(test_quote);
	TEST(test_every_byte_at_every_place);
	TEST(test_any_bytes_make_valid_json);
	TEST(test_double_survives);
	TEST(test_deepest_nesting);
	return test_done();
}
