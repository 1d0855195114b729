/* test_log.c - what a log line looks like, on stderr and to the hook. */
#include <log.h>

#include <clock.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char seen[4096];

static void
remember(enum log_level level, const char *who, const char *text, void *arg)
{
	(void)level;
	(void)arg;
	snprintf(seen, sizeof(seen), "%s|%s", who ? who : "", text);
}

/* What fn writes to stderr. */
static const char *
stderr_of(void (*fn)(void))
{
	static char text[8192];
	FILE *f = tmpfile();
	int saved = dup(STDERR_FILENO);

	if (!f || saved < 0)
		abort();
	fflush(stderr);
	dup2(fileno(f), STDERR_FILENO);
	fn();
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(f);
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static void
two_lines(void)
{
	clock_fake(INT64_C(1795248000123000), 1);
	log_set_hook(NULL, NULL);
	log_warnx("channel pbx-main", "login refused: %s", "bad secret");
	log_info(NULL, "started");
	clock_fake(0, 0);
}

static void
test_lines_on_a_terminal(void)
{
	unsetenv("JOURNAL_STREAM");
	log_init(LOG_LVL_INFO);
	CHECK_STR(stderr_of(two_lines),
		"2026-11-21T08:00:00.123Z warning channel pbx-main: login refused: bad "
		"secret\n2026-11-21T08:00:00.123Z info started\n");
}

static void
as_service(void)
{
	struct stat st;
	char stream[64];

	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
		(uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init(LOG_LVL_INFO);
	two_lines();
}

static void
test_lines_under_systemd(void)
{
	CHECK_STR(stderr_of(as_service),
		"<4>channel pbx-main: login refused: bad secret\n"
		"<6>started\n");
	/* stderr is another stream now: JOURNAL_STREAM was inherited */
	log_init(LOG_LVL_INFO);
	CHECK(str_starts(stderr_of(two_lines), "2026-"));
	unsetenv("JOURNAL_STREAM");
}

static const struct {
	const char *text, *want;
} escapes[] = {
	{"plain \\ \xe5\xae\xa2 \xf0\x9f\x98\x80",
		"plain \\ \xe5\xae\xa2 \xf0\x9f\x98\x80"},
	{"a\nb\r\t", "a\\nb\\r\\t"},
	{"\x1b[2J\x7f\x01", "\\x1b[2J\\x7f\\x01"},
	{"\xff\xc3", "\\xff\\xc3"},
	{"\xc2\x9b", "\\u009b"},     /* CSI of one character */
	{"\xe2\x80\xae", "\\u202e"}, /* turns what follows around */
	{"\xe2\x81\xa6", "\\u2066"},
	{"\xe2\x80\xa8", "\\u2028"},
};

static void
test_nothing_can_forge_a_line(void)
{
	char want[100];

	log_set_hook(remember, NULL);
	for (size_t i = 0; i < ARRAY_LEN(escapes); i++) {
		log_info("who", "%s", escapes[i].text);
		snprintf(want, sizeof(want), "who|%s", escapes[i].want);
		CHECK_STR(seen, want);
	}
}

static void
long_lines(void)
{
	char text[6000];

	log_set_hook(remember, NULL);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("w", "%s", text);
	memset(text, '\n', sizeof(text) - 1);
	log_info("w", "%s", text);
	for (size_t i = 0; i + 3 < sizeof(text); i += 3)
		memcpy(text + i, "\xe5\xae\xa2", 3);
	log_info(text, "%s", text);
	log_set_hook(NULL, NULL);
}

static void
test_long_line_is_cut(void)
{
	const char *text = stderr_of(long_lines);
	int lines = 0;

	for (const char *end; (end = strchr(text, '\n')); text = end + 1, lines++) {
		CHECK(end - text < 2048 && end - text > 1900);
		CHECK(!memcmp(end - 3, "...", 3));
		CHECK(utf8_valid(text, (size_t)(end - text)));
	}
	CHECK_INT(lines, 3);
}

static void
test_levels(void)
{
	log_set_hook(remember, NULL);
	seen[0] = '\0';
	log_set_level(LOG_LVL_WARNING);
	log_info("x", "not wanted");
	log_debug("x", "not wanted");
	CHECK_STR(seen, "");
	CHECK(log_wants(LOG_LVL_ERROR) && !log_wants(LOG_LVL_INFO));
	log_set_level(LOG_LVL_DEBUG);
	log_debug("x", "wanted %d", 1);
	CHECK_STR(seen, "x|wanted 1");
	log_set_level(LOG_LVL_INFO);
	CHECK_INT(log_level_parse("error"), LOG_LVL_ERROR);
	CHECK_INT(log_level_parse("debug"), LOG_LVL_DEBUG);
	CHECK_INT(log_level_parse("warn"), -1);
	CHECK_INT(log_level_parse(NULL), -1);
}

static void
test_errno_is_told_and_kept(void)
{
	log_set_hook(remember, NULL);
	errno = ECONNREFUSED;
	log_error("pg 2", "connect %s", "db:5432");
	CHECK_STR(seen, "pg 2|connect db:5432: Connection refused");
	CHECK_INT(errno, ECONNREFUSED);
	char text[4000];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	errno = EPIPE;
	log_warn("w", "%s", text);
	CHECK(strstr(seen, "xxx: Broken pipe"));
	CHECK_INT(errno, EPIPE);
}

static void
test_once_per_cause(void)
{
	struct log_once once = {0};
	unsigned long suppressed = 9;

	clock_fake(1, 1000);
	CHECK(log_once_due(&once, 60, &suppressed));
	CHECK_INT((int64_t)suppressed, 0);
	for (int i = 0; i < 5; i++)
		CHECK(!log_once_due(&once, 60, &suppressed));
	clock_fake(1, 1000 + 60000000 - 1);
	CHECK(!log_once_due(&once, 60, &suppressed));
	clock_fake(1, 1000 + 60000000);
	CHECK(log_once_due(&once, 60, &suppressed));
	CHECK_INT((int64_t)suppressed, 6);
	CHECK(!log_once_due(&once, 60, NULL));
	clock_fake(0, 0);
}

static void
test_announced_log_is_taken(void)
{
	test_expect_log("second");
	test_expect_log("first");
	log_warnx("a", "the first");
	log_errorx("b", "the second");
	log_info("c", "not counted");
}

int
main(void)
{
	TEST(test_lines_on_a_terminal);
	TEST(test_lines_under_systemd);
	TEST(test_nothing_can_forge_a_line);
	TEST(test_long_line_is_cut);
	TEST(test_levels);
	TEST(test_errno_is_told_and_kept);
	TEST(test_once_per_cause);
	TEST(test_announced_log_is_taken);
	return test_done();
}
