/* buf.h - a growable run of bytes, always followed by a NUL that is not counted. */
#ifndef INTERACTD_BUF_H
#define INTERACTD_BUF_H

#include <stddef.h>
#include <stdint.h>
#include "err.h"

/* Zero-initialised = empty; data may be NULL then (use buf_str). */
struct buf {
	char *data;
	size_t len, cap;
};
#define BUF_INIT                                                                       \
	{                                                                              \
		NULL, 0, 0                                                             \
	}

void buf_fini(struct buf *);  /* frees; the struct is empty and usable again */
void buf_clear(struct buf *); /* len = 0, memory kept */
void buf_reserve(struct buf *, size_t more);
void buf_add(struct buf *, const void *data, size_t len);
void buf_adds(struct buf *, const char *s);
void buf_addc(struct buf *, char c);
void buf_add_int(struct buf *, int64_t); /* decimal */
void buf_printf(struct buf *, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_drop_front(struct buf *, size_t n); /* n <= len */
const char *buf_str(const struct buf *);     /* never NULL */
char *buf_steal(struct buf *); /* returns, caller frees; the buf is empty after */

#endif
