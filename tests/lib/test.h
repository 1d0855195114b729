/* test.h - what a unit test program needs: named cases, checks that say what they saw.
 *
 *	static void test_x(void) { CHECK_STR(f("a"), "b"); CHECK(g() == 3); }
 *	int main(void) { TEST(test_x); return test_done(); }
 *
 * A warning or error that is logged without test_expect_log fails the case. */
#ifndef INTERACTD_TEST_H
#define INTERACTD_TEST_H

#include <stdbool.h>
#include <stdint.h>

void test_run(const char *name, void (*fn)(void));
#define TEST(fn) test_run(#fn, fn)
bool test_failing(void); /* the case that runs has failed already */
int test_done(void);	 /* prints the counts; the exit code */

void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* One warning or error whose text contains `part` is expected before the case ends. */
void test_expect_log(const char *part);

#define CHECK(cond)                                                                    \
	do {                                                                           \
		if (!(cond))                                                           \
			test_fail(__FILE__, __LINE__, "%s", #cond);                    \
	} while (0)
#define CHECK_INT(got, want) test_check_int(__FILE__, __LINE__, #got, got, want)
#define CHECK_STR(got, want) test_check_str(__FILE__, __LINE__, #got, got, want)
void
test_check_int(const char *file, int line, const char *what, int64_t got, int64_t want);
void test_check_str(const char *file, int line, const char *what, const char *got,
	const char *want);

#endif
