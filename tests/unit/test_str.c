/* test_str.c - text from outside: numbers, ids, UTF-8. */
#include <str.h>

#include <lib/test.h>
#include <mem.h>

#include <string.h>

static const struct {
	const char *text;
	size_t len;
	const char *clean;
} good[] = {
	{"", 0, ""}, {"plain\t\r\n", 8, "plain\t\r\n"}, {"\x7f", 1, "\x7f"},
	{"\xc2\x80", 2, "\xc2\x80"},					  /* U+0080 */
	{"\xdf\xbf", 2, "\xdf\xbf"}, {"\xe0\xa0\x80", 3, "\xe0\xa0\x80"}, /* U+0800 */
	{"\xed\x9f\xbf", 3, "\xed\x9f\xbf"},				  /* U+D7FF */
	{"\xee\x80\x80", 3, "\xee\x80\x80"},				  /* U+E000 */
	{"\xef\xbf\xbf", 3, "\xef\xbf\xbf"},
	{"\xf0\x90\x80\x80", 4, "\xf0\x90\x80\x80"}, /* U+10000 */
	{"\xf4\x8f\xbf\xbf", 4, "\xf4\x8f\xbf\xbf"}, /* U+10FFFF */
	{"a\0b\x01\x1f", 5, "ab"},		     /* valid, but no text: dropped */
};
#define FFFD "\xef\xbf\xbd"
static const struct {
	const char *text;
	size_t len;
	const char *clean;
} bad[] = {
	{"\x80", 1, FFFD},
	{"a\xff"
	 "b",
		3, "a" FFFD "b"},
	{"\xc0\x80", 2, FFFD FFFD}, /* overlong */
	{"\xc1\xbf", 2, FFFD FFFD},
	{"\xe0\x9f\xbf", 3, FFFD FFFD FFFD},
	{"\xed\xa0\x80", 3, FFFD FFFD FFFD}, /* surrogate */
	{"\xf0\x8f\xbf\xbf", 4, FFFD FFFD FFFD FFFD},
	{"\xf4\x90\x80\x80", 4, FFFD FFFD FFFD FFFD}, /* above U+10FFFF */
	{"\xf5\x80\x80\x80", 4, FFFD FFFD FFFD FFFD},
	{"\xe5\xae", 2, FFFD FFFD}, /* cut */
	{"\xe5\xae"
	 "a",
		3, FFFD FFFD "a"},
	{"\xf0\x90\x80", 3, FFFD FFFD FFFD},
};

static void
check_clean(const char *text, size_t len, const char *want)
{
	struct buf out = BUF_INIT;

	/* On the heap, so that reading past the end is seen. */
	char *copy = xmalloc(len);
	memcpy(copy, text, len);
	utf8_clean(&out, copy, len);
	CHECK_STR(buf_str(&out), want);
	CHECK(utf8_valid(buf_str(&out), out.len));
	xfree(&copy);
	buf_fini(&out);
}

static void
test_utf8(void)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		CHECK(utf8_valid(good[i].text, good[i].len));
		check_clean(good[i].text, good[i].len, good[i].clean);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CHECK(!utf8_valid(bad[i].text, bad[i].len));
		check_clean(bad[i].text, bad[i].len, bad[i].clean);
	}
}

static void
test_utf8_cut(void)
{
	static const char s[] = "a\xe5\xae\xa2\xf0\x9f\x98\x80";

	static const size_t want[] = {0, 1, 1, 1, 4, 4, 4, 4, 8, 8};
	for (size_t max = 0; max < ARRAY_LEN(want); max++)
		CHECK_INT((int64_t)utf8_cut(s, 8, max), (int64_t)want[max]);
	/* no UTF-8 at all: cut anywhere, but cut */
	CHECK_INT((int64_t)utf8_cut("\x80\x80\x80\x80\x80\x80", 6, 5), 5);
	CHECK_INT((int64_t)utf8_cut("\x80\x80", 2, 1), 1);
}

static void
test_copy(void)
{
	char dst[6];

	CHECK_INT((int64_t)str_copy(dst, sizeof(dst), "abc"), 3);
	CHECK_STR(dst, "abc");
	CHECK_INT((int64_t)str_copy(dst, sizeof(dst), "abcdefg"), 7);
	CHECK_STR(dst, "abcde");
	CHECK_INT((int64_t)str_copy(dst, sizeof(dst), "ab\xe5\xae\xa2\xe5"), 6);
	CHECK_STR(dst, "ab\xe5\xae\xa2");
	CHECK_INT((int64_t)str_copy(dst, 5, "ab\xe5\xae\xa2"), 5);
	CHECK_STR(dst, "ab");
	CHECK_INT((int64_t)str_copy(dst, 1, "x"), 1);
	CHECK_STR(dst, "");
	dst[0] = 'k';
	CHECK_INT((int64_t)str_copy(dst, 0, "x"), 1);
	CHECK_INT(dst[0], 'k');
}

static void
test_compare(void)
{
	CHECK(str_empty(NULL) && str_empty("") && !str_empty(" "));
	CHECK(str_eq(NULL, NULL) && str_eq("a", "a"));
	CHECK(!str_eq(NULL, "") && !str_eq("a", NULL) && !str_eq("a", "A"));
	CHECK(str_ieq(NULL, NULL) && str_ieq("aZ@", "Az@") && str_ieq("", ""));
	CHECK(!str_ieq(NULL, "") && !str_ieq("a", "ab") && !str_ieq("ab", "a"));
	CHECK(!str_ieq("@", "`") && !str_ieq("[", "{"));
	CHECK(!str_ieq("\xc3\x84", "\xc3\xa4")); /* ASCII only */
	CHECK(str_starts("abc", "ab") && str_starts("a", "") && !str_starts("a", "ab"));
}

static const struct {
	const char *text;
	int64_t min, max, value;
} numbers[] = {
	{"0", 0, 0, 0},
	{"-0", 0, 0, 0},
	{"007", 0, 10, 7},
	{"-5", -5, 5, -5},
	{"9223372036854775807", INT64_MIN, INT64_MAX, INT64_MAX},
	{"-9223372036854775808", INT64_MIN, INT64_MAX, INT64_MIN},
};
static const char *const no_numbers[] = {"", "-", "+1", " 1", "1 ", "1.0", "0x1", "1e3",
	"--1", "9223372036854775808", "-9223372036854775809",
	"99999999999999999999999999", "\xd9\xa1"};

static void
test_int(void)
{
	int64_t v;

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		CHECK(str_int(numbers[i].text, numbers[i].min, numbers[i].max, &v));
		CHECK_INT(v, numbers[i].value);
	}
	v = 77;
	for (size_t i = 0; i < ARRAY_LEN(no_numbers); i++)
		CHECK(!str_int(no_numbers[i], INT64_MIN, INT64_MAX, &v));
	CHECK(!str_int(NULL, 0, 1, &v));
	CHECK(!str_int("11", 0, 10, &v) && !str_int("-1", 0, 10, &v));
	CHECK_INT(v, 77);
	CHECK(str_int("1", 0, 10, NULL));
}

static void
test_id(void)
{
	char text[66];

	memset(text, 'a', 65);
	text[65] = '\0';
	CHECK(!str_is_id(text));
	text[64] = '\0';
	CHECK(str_is_id(text));
	CHECK(str_is_id("1001") && str_is_id("A.b_c-9"));
	CHECK(!str_is_id(NULL) && !str_is_id("") && !str_is_id("a b"));
	CHECK(!str_is_id("a/b") && !str_is_id("a:b") && !str_is_id("\xc3\xa4"));
}

static void
test_hex_and_hash(void)
{
	char hex[9];

	hex_encode(hex, "\x00\x0f\xf0\xff", 4);
	CHECK_STR(hex, "000ff0ff");
	hex_encode(hex, "", 0);
	CHECK_STR(hex, "");
	/* the published vectors of FNV-1a, 64 bits */
	CHECK(str_hash("") == 0xcbf29ce484222325u);
	CHECK(str_hash("a") == 0xaf63dc4c8601ec8cu);
	CHECK(str_hash("foobar") == 0x85944171f73967e8u);
}

int
main(void)
{
	TEST(test_utf8);
	TEST(test_utf8_cut);
	TEST(test_copy);
	TEST(test_compare);
	TEST(test_int);
	TEST(test_id);
	TEST(test_hex_and_hash);
	return test_done();
}
