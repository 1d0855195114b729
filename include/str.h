/* str.h - text from outside: UTF-8 made valid, numbers parsed whole, bounded copies. */
#ifndef INTERACTD_STR_H
#define INTERACTD_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "buf.h"

/* strlcpy: copies at most cap-1 bytes and ends with NUL; never cuts inside a UTF-8
 * sequence. Returns strlen(src). */
size_t str_copy(char *dst, size_t cap, const char *src);
bool str_empty(const char *s);		    /* NULL or "" */
bool str_eq(const char *a, const char *b);  /* NULL-safe */
bool str_ieq(const char *a, const char *b); /* ASCII case folded, NULL-safe */
bool str_starts(const char *s, const char *prefix);
/* The whole of s is a decimal integer in [min, max]. */
bool str_int(const char *s, int64_t min, int64_t max, int64_t *out_r);
/* Tenant, agent and queue ids: [A-Za-z0-9._-]{1,64}. */
bool str_is_id(const char *s);

/* Length (1 to 4) of the valid UTF-8 sequence at s, 0 if there is none in len bytes. */
size_t utf8_next(const char *s, size_t len);
/* Valid UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
bool utf8_valid(const char *s, size_t len);
/* Appends s with every byte that is no valid UTF-8 replaced by U+FFFD, NUL and other C0
 * control characters but TAB, CR and LF dropped: what PostgreSQL's text and JSON take.
 */
void utf8_clean(struct buf *out, const char *s, size_t len);
/* How many bytes of s (len long) fit in max without cutting a sequence. */
size_t utf8_cut(const char *s, size_t len, size_t max);

/* Bytes to lower-case hex; dst has room for 2 * len + 1. */
void hex_encode(char *dst, const void *src, size_t len);
/* 64-bit FNV-1a, for hash tables of our own strings and stable ids (see uuid.h for
 * ids). */
uint64_t str_hash(const char *s);

#endif
