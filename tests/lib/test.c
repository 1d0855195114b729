/* test.c - the runner behind test.h.
 *
 * A case fails if a check in it fails, if it logs a warning or error that was not
 * announced with test_expect_log, or if one announced did not come. All checks of a
 * case run, so that one run shows all that is wrong. */
#include "test.h"

#include <log.h>
#include <str.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECTED_MAX 32

static struct {
	const char *name; /* of the case that runs */
	unsigned passed, failed, failures_here;
	char expected[EXPECTED_MAX][256];
	unsigned n_expected;
	pthread_mutex_t lock; /* worker threads log too */
} test = {.lock = PTHREAD_MUTEX_INITIALIZER};

void
test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	test.failures_here++;
	fprintf(stderr, "%s:%d: %s: ", file, line, test.name ? test.name : "(no case)");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void
test_expect_log(const char *part)
{
	pthread_mutex_lock(&test.lock);
	if (test.n_expected == EXPECTED_MAX)
		test_fail(
			__FILE__, __LINE__, "more than %d logs expected", EXPECTED_MAX);
	else
		str_copy(test.expected[test.n_expected++], sizeof(test.expected[0]),
			part);
	pthread_mutex_unlock(&test.lock);
}

static bool
take_expected(const char *text)
{
	for (unsigned i = 0; i < test.n_expected; i++) {
		if (!strstr(text, test.expected[i]))
			continue;
		test.n_expected--;
		memmove(test.expected + i, test.expected + i + 1,
			(test.n_expected - i) * sizeof(test.expected[0]));
		return true;
	}
	return false;
}

static void
on_log(enum log_level level, const char *who, const char *text, void *arg)
{
	(void)arg;
	if (level > LOG_LVL_WARNING)
		return;
	pthread_mutex_lock(&test.lock);
	if (!take_expected(text))
		test_fail(__FILE__, __LINE__, "unexpected log: %s: %s",
			who ? who : "(daemon)", text);
	pthread_mutex_unlock(&test.lock);
}

void
test_run(const char *name, void (*fn)(void))
{
	if (!test.name)
		log_init(LOG_LVL_INFO);
	test.name = name;
	test.failures_here = test.n_expected = 0;
	log_set_hook(on_log, NULL);
	fn();
	log_set_hook(NULL, NULL);
	for (unsigned i = 0; i < test.n_expected; i++)
		test_fail(__FILE__, __LINE__, "never logged: %s", test.expected[i]);
	if (test.failures_here)
		test.failed++;
	else
		test.passed++;
	printf("%s %s\n", test.failures_here ? "FAIL" : "ok  ", name);
	fflush(stdout);
}

bool
test_failing(void)
{
	return test.failures_here > 0;
}

int
test_done(void)
{
	printf("%u passed, %u failed\n", test.passed, test.failed);
	return test.failed || !test.passed ? EXIT_FAILURE : EXIT_SUCCESS;
}

void
test_check_int(const char *file, int line, const char *what, int64_t got, int64_t want)
{
	if (got != want)
		test_fail(
			file, line, "%s is %" PRId64 ", not %" PRId64, what, got, want);
}

void
test_check_str(
	const char *file, int line, const char *what, const char *got, const char *want)
{
	if (!str_eq(got, want))
		test_fail(file, line, "%s is\n\t%s\nand not\n\t%s", what,
			got ? got : "NULL", want ? want : "NULL");
}
