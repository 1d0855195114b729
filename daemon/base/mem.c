/* mem.c - allocation that ends the program when it fails.
 *
 * Sizes asked for here are our own: what a peer can size was bounded by the caller. So
 * a failure means the machine is out of memory, and a core dump with a message beats a
 * thousand error paths that nobody ever runs. */
#include <mem.h>

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No log.h here: the logger may itself be what asks for memory. */
_Noreturn static void
mem_die(size_t size)
{
	fprintf(stderr, "interactd: out of memory (%zu bytes asked for)\n", size);
	abort();
}

void *
xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);

	if (!p)
		mem_die(size);
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		mem_die(n > SIZE_MAX / (size ? size : 1) ? SIZE_MAX : n * size);
	return p;
}

void *
xrealloc(void *p, size_t size)
{
	void *bigger = realloc(p, size ? size : 1);

	if (!bigger)
		mem_die(size);
	return bigger;
}

char *
xstrdup(const char *s)
{
	if (!s)
		return NULL;
	return xstrndup(s, strlen(s));
}

char *
xstrndup(const char *s, size_t max)
{
	if (!s)
		return NULL;
	size_t len = strnlen(s, max);
	char *copy = xmalloc(len + 1);

	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

char *
xasprintf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		mem_die(0);
	return s;
}

void
mem_free(void *p)
{
	free(p);
}
