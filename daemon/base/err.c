/* err.c - filling struct err: one sentence, cut between characters, never allocated.
 *
 * The sentence is built aside first, so that a caller may wrap what is there already:
 * err_set(e, "%s: %s", file, e->text). */
#include <err.h>

#include <str.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void
err_fill(struct err *e, int code, const char *fmt, va_list ap) PRINTF_LIKE(3, 0);

static void
err_fill(struct err *e, int code, const char *fmt, va_list ap)
{
	char text[2 * ERR_TEXT_MAX], cause[128];
	int n = vsnprintf(text, sizeof(text), fmt, ap);

	if (n < 0)
		str_copy(text, sizeof(text), fmt);
	str_copy(e->text, sizeof(e->text), text);
	e->code = code;
	size_t at = strlen(e->text);
	if (code && at + 2 < sizeof(e->text)) {
		const char *why = strerror_r(code, cause, sizeof(cause));
		snprintf(e->text + at, sizeof(e->text) - at, ": %s", why);
	}
}

int
err_set(struct err *e, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -1;
	va_start(ap, fmt);
	err_fill(e, 0, fmt, ap);
	va_end(ap);
	return -1;
}

int
err_errno(struct err *e, const char *fmt, ...)
{
	int code = errno;
	va_list ap;

	if (!e)
		return -1;
	va_start(ap, fmt);
	err_fill(e, code, fmt, ap);
	va_end(ap);
	errno = code;
	return -1;
}
