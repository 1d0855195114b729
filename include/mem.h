/* mem.h - allocation that cannot fail: it aborts with a message instead.
 *
 * Only for sizes of ours; what a peer can size is bounded before it gets here. */
#ifndef INTERACTD_MEM_H
#define INTERACTD_MEM_H

#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
/* s may be NULL: then NULL is returned. */
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t max);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Frees *p and sets it to NULL. For `char *` members and the like: xfree(&x->name). */
#define xfree(pp)                                                                      \
	do {                                                                           \
		mem_free((void *)*(pp));                                               \
		*(pp) = NULL;                                                          \
	} while (0)
void mem_free(void *p);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
