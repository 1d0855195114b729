/* test_csv.c - records, their lines and refusals, whole and cut into pieces; and the
 * encodings that files come in. */
#include "lib/test.h"

#include <base/charset.h>
#include <mem.h>
#include <people/csv.h>

#include <string.h>

static void
describe(const struct csv *c, enum csv_event ev, struct buf *out)
{
	buf_printf(out, "%u", (unsigned)c->line);
	if (c->lines > 1)
		buf_printf(out, "+%u", c->lines - 1);
	if (ev == CSV_BAD)
		buf_printf(out, "!%s", c->why);
	for (size_t i = 0; ev == CSV_RECORD && i < c->n; i++)
		buf_printf(out, "[%s]", csv_field(c, i));
	buf_addc(out, ' ');
}

static void
run(const char *text, size_t len, size_t step, struct buf *out)
{
	struct csv c;
	enum csv_event ev;

	csv_init(&c);
	buf_clear(out);
	for (size_t at = 0; at < len;) {
		size_t n = len - at < step ? len - at : step;
		at += csv_feed(&c, text + at, n, &ev);
		if (ev != CSV_MORE)
			describe(&c, ev, out);
	}
	ev = csv_end(&c);
	if (ev != CSV_MORE)
		describe(&c, ev, out);
	csv_fini(&c);
}

static void
test_records(void)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"", ""},
		{"\n\r\n\n", ""},
		{"a", "1[a] "},
		{"a,b\n1,2\n", "1[a][b] 2[1][2] "},
		{"a,b\r\n1,2", "1[a][b] 2[1][2] "},
		{"a,b\r1,2\r", "1[a][b] 2[1][2] "},
		{"a;b\n1,5;2\n", "1[a][b] 2[1,5][2] "},
		{"a\tb,c\td\n", "1[a][b,c][d] "},
		{"sep=;\na,b\n", "2[a,b] "},
		{"sep=,\r\na;b;c,d\r\n", "2[a;b;c][d] "},
		{"\n\na,b\n\n1,2\n\n", "3[a][b] 5[1][2] "},
		{"a,b,\n,,\n", "1[a][b][] 2[][][] "},
		{"a,\"b;;;\"\n", "1[a][b;;;] "},
		{"a\n\"x \"\"y\"\" z\"\n", "1[a] 2[x \"y\" z] "},
		{"a\n\"two\r\nlines\"\nb\n", "1[a] 2+1[two\r\nlines] 4[b] "},
		{"\"a\nb\",c\n1,2\n", "1+1[a\nb][c] 3[1][2] "},
		{"a\n\"x\"  \nb 5\" c\n", "1[a] 2[x] 3[b 5\" c] "},
		{"a\n\"x\"y\nz\n", "1[a] 2!text after a closing quote 3[z] "},
		{"a\nx\n\"open\n1\n2", "1[a] 2[x] 3+1!a quote is left open "},
		{"a\n\"\"\n", "1[a] 2[] "},
		{"名,电话\n王小明,0912\n", "1[名][电话] 2[王小明][0912] "},
	};
	struct buf got = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t step = 1; step < 40; step += step < 4 ? 1 : 12) {
			run(cases[i].text, strlen(cases[i].text), step, &got);
			CHECK_STR(buf_str(&got), cases[i].want);
		}
	run("a\nb\0c\nd", 7, 99, &got);
	CHECK_STR(buf_str(&got), "1[a] 2!a NUL byte 3[d] ");
	buf_fini(&got);
}

static void
test_what_is_too_much(void)
{
	struct buf text = BUF_INIT, got = BUF_INIT;

	buf_adds(&text, "a\n\"");
	for (int i = 0; i < 70000; i++)
		buf_addc(&text, 'x');
	buf_adds(&text, "\nb\n");
	for (int i = 0; i < 256; i++)
		buf_addc(&text, ',');
	buf_adds(&text, "\nc\n");
	for (size_t step = 1; step < 200000; step *= 37) {
		run(text.data, text.len, step, &got);
		CHECK_STR(buf_str(&got),
			"1[a] 2!longer than 64 KiB (is a quote left open?) 3[b] "
			"4!more than 256 fields 5[c] ");
	}
	buf_fini(&text);
	buf_fini(&got);
}

/* ---- Encodings -------------------------------------------------------------------- */

static void
decode(const char *name, const char *data, size_t len, size_t step, struct buf *out,
	const char **found_r)
{
	struct charset *c = charset_new(name);
	static const char *const seen[] = {
		"", "utf-8", "gb18030", "utf-16le", "utf-16be", "big5"};

	buf_clear(out);
	CHECK(c);
	for (size_t at = 0; at < len; at += step)
		charset_feed(c, data + at, len - at < step ? len - at : step, out);
	charset_end(c, out);
	*found_r = "?";
	for (size_t i = 0; i < ARRAY_LEN(seen); i++)
		if (!strcmp(seen[i], charset_found(c)))
			*found_r = seen[i];
	charset_free(&c);
}

static void
test_encodings(void)
{
	static const struct {
		const char *name, *data;
		size_t len; /* 0: strlen */
		const char *want, *found;
	} cases[] = {
		{NULL, "", 0, "", ""},
		{NULL, "ab", 0, "ab", ""},
		{NULL, "plain text", 0, "plain text", ""},
		{NULL, "\xef\xbb\xbfname", 0, "name", "utf-8"},
		{NULL, "name,王小明", 0, "name,王小明", "utf-8"},
		{NULL, "name,\xcd\xf5\xd0\xa1\xc3\xf7", 0, "name,王小明", "gb18030"},
		{"gbk", "\xcd\xf5\xd0\xa1\xc3\xf7", 0, "王小明", "?"},
		{"big5", "\xa4\xfd\xa4\x70\xa9\xfa", 0, "王小明", "big5"},
		{NULL, "\xff\xfe\x8b\x73\x61\0", 6, "王a", "utf-16le"},
		{NULL, "\xfe\xff\x73\x8b\0a", 6, "王a", "utf-16be"},
		{"utf-16", "\xfe\xff\0a", 4, "a", "utf-16be"},
		{NULL, "\x84\x31\x95\x33\xcd\xf5", 6, "王", "gb18030"},
		{NULL, "a\xff\xff", 3, "a\xff\xff", "utf-8"},
		{"big5", "\xa4\xfd\xa4", 3, "王\xff", "big5"},
	};
	struct buf got = BUF_INIT;
	const char *found;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t step = 1; step < 20; step += step < 3 ? 1 : 16) {
			size_t len =
				cases[i].len ? cases[i].len : strlen(cases[i].data);
			decode(cases[i].name, cases[i].data, len, step, &got, &found);
			CHECK_STR(buf_str(&got), cases[i].want);
			CHECK_STR(found, cases[i].found);
		}
	CHECK(!charset_new("klingon"));
	buf_fini(&got);
}

static void
test_a_long_file_is_decided_early(void)
{
	struct charset *c = charset_new(NULL);
	struct buf out = BUF_INIT;
	static const char name[] = "\xcd\xf5\xd0\xa1\xc3\xf7\n"; /* GB18030 */

	for (int i = 0; i < 20000; i++)
		charset_feed(c, name, 7, &out);
	CHECK_STR(charset_found(c), "gb18030");
	CHECK(out.len > 100000);
	charset_end(c, &out);
	CHECK_INT((int64_t)out.len, 20000 * 10);
	charset_free(&c);
	buf_fini(&out);
}

int
main(void)
{
	TEST(test_records);
	TEST(test_what_is_too_much);
	TEST(test_encodings);
	TEST(test_a_long_file_is_decided_early);
	return test_done();
}
