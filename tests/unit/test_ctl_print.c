/* What interactctl prints: nothing that moves a cursor, columns that know wide characters,
 * times in the local zone. */
#include <ctl/print.h>
#include <lib/test.h>
#include <mem.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct {
	const char *text, *safe;
} texts[] = {
	{"plain", "plain"},
	{"示例客户 é", "示例客户 é"},
	{"\033[31mred\033[0m", "\\x1b[31mred\\x1b[0m"},
	{"a\nb\tc\rd", "a\\nb\\tc\\rd"},
	{"bell\a\b\x7f", "bell\\x07\\x08\\x7f"},
	{"\xc2\x9b"
	 "31m",
		"\\x9b31m"}, /* C1: CSI as one character */
	{"\xe2\x80\xaegnp", "\\u{202e}gnp"},
	{"a\xe2\x80\x8b"
	 "b",
		"a\\u{200b}b"},
	{"\xef\xbb\xbfx", "\\u{feff}x"},
	{"\xff\xfe", "\\xff\\xfe"},
	{"\xe2\x82", "\\xe2\\x82"},
	{"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* a surrogate */
	{"", ""},
	{NULL, ""},
};

static void
test_text_is_made_safe(void)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct buf b = BUF_INIT, again = BUF_INIT;
		print_safe(&b, texts[i].text);
		CHECK_STR(buf_str(&b), texts[i].safe);
		/* Parts of lines are made safe twice. */
		print_safe(&again, buf_str(&b));
		CHECK_STR(buf_str(&again), texts[i].safe);
		buf_fini(&b);
		buf_fini(&again);
	}
}

static void
test_widths(void)
{
	CHECK_INT(print_width("abc"), 3);
	CHECK_INT(print_width("示例"), 4);
	CHECK_INT(print_width("ｱｲ"), 2);	/* half-width katakana */
	CHECK_INT(print_width("１２"), 4);	/* full-width digits */
	CHECK_INT(print_width("e\xcc\x81"), 1); /* combining */
	CHECK_INT(print_width("한국"), 4);
	CHECK_INT(print_width(""), 0);
}

static void
check_text(void (*fn)(struct buf *, const char *), const char *given, const char *want)
{
	struct buf b = BUF_INIT;
	fn(&b, given);
	CHECK_STR(buf_str(&b), want);
	buf_fini(&b);
}

static void
test_times_are_local(void)
{
	setenv("TZ", "Asia/Taipei", 1);
	tzset();
	check_text(print_time, "2026-11-21T20:00:05.123Z", "2026-11-22 04:00:05");
	check_text(print_clock, "2026-11-21T20:00:05.123Z", "04:00:05");
	check_text(print_time, NULL, "-");
	check_text(print_clock, "soon\033", "soon\\x1b");
}

static void
test_durations_and_bytes(void)
{
	static const struct {
		int64_t ms;
		const char *text;
	} durations[] = {{-1, "-"}, {0, "0:00"}, {5999, "0:05"}, {65000, "1:05"},
		{3600000, "1:00:00"}, {86400000 + 3660000, "1 d 1:01"}};
	static const struct {
		int64_t bytes;
		const char *text;
	} sizes[] = {{0, "0 B"}, {1023, "1023 B"}, {1024, "1.0 KiB"},
		{8 * 1024 * 1024, "8.0 MiB"}, {INT64_C(3) << 40, "3.0 TiB"},
		{INT64_C(5) << 50, "5120.0 TiB"}};
	for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
		struct buf b = BUF_INIT;
		print_duration(&b, durations[i].ms);
		CHECK_STR(buf_str(&b), durations[i].text);
		buf_fini(&b);
	}
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct buf b = BUF_INIT;
		print_bytes(&b, sizes[i].bytes);
		CHECK_STR(buf_str(&b), sizes[i].text);
		buf_fini(&b);
	}
}

/* What a table of `columns` prints. */
static void
check_table(unsigned columns, const char *want)
{
	struct ctl ctl = {.columns = columns};
	char got[512];
	int saved = dup(STDOUT_FILENO), ends[2];
	CHECK_INT(pipe(ends), 0);
	fflush(stdout);
	dup2(ends[1], STDOUT_FILENO);
	struct table *t = table_new(&ctl, "ID|~NAME|>N");
	table_cell(t, "a");
	table_cell(t, "示例客户有限公司");
	table_cell(t, "7");
	table_cell(t, "bb");
	table_cell(t, NULL);
	table_cell_fmt(t, "%d", 1234);
	table_end(&t, "none");
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(ends[1]);
	ssize_t n = read(ends[0], got, sizeof(got) - 1);
	close(ends[0]);
	got[n > 0 ? n : 0] = '\0';
	CHECK_STR(got, want);
}

static void
test_tables_are_aligned_and_cut_on_terminals_only(void)
{
	check_table(0, "ID  NAME                 N\n"
		       "a   示例客户有限公司     7\n"
		       "bb  -                 1234\n");
	check_table(20, "ID  NAME           N\n"
			"a   示例客户…      7\n"
			"bb  -           1234\n");
	/* Never narrower than can be read. */
	check_table(5, "ID  NAME         N\n"
		       "a   示例客…      7\n"
		       "bb  -         1234\n");
}

int
main(void)
{
	struct ctl ctl = {0};
	print_init(&ctl);
	TEST(test_text_is_made_safe);
	TEST(test_widths);
	TEST(test_times_are_local);
	TEST(test_durations_and_bytes);
	TEST(test_tables_are_aligned_and_cut_on_terminals_only);
	return test_done();
}
