/* err.h - how a function says what failed and why.
 *
 * A function that can fail because of the outside (peer, disk, configuration) returns
 * -1 and fills a struct err with a sentence for a person: what was tried, on what, what
 * happened. Nothing is allocated. */
#ifndef INTERACTD_ERR_H
#define INTERACTD_ERR_H

#include <stdarg.h>

#define ERR_TEXT_MAX		512
#define MUST_CHECK		__attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))

struct err {
	int code; /* errno or 0 */
	char text[ERR_TEXT_MAX];
};

/* Fills e (may be NULL) with a formatted sentence and code 0. Returns -1 always. */
int err_set(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The same with errno's code, and ": strerror" appended. Returns -1 always. */
int err_errno(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
