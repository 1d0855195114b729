/* charset.h - text files as people's programs write them, to UTF-8, in pieces.
 *
 * A byte order mark decides (UTF-8, UTF-16, GB18030). Without one and without a name the
 * first text beyond ASCII does: UTF-8 if all of it is, else GB18030 (and GBK and GB2312
 * with it) if all of it is that, else UTF-8. At most 64 KiB wait for that decision.
 * What cannot be read becomes a byte 0xFF, which is no UTF-8: the reader of the result
 * sees which line is damaged. */
#ifndef INTERACTD_BASE_CHARSET_H
#define INTERACTD_BASE_CHARSET_H

#include <buf.h>
#include <err.h>
#include <stddef.h>

struct charset;

/* name: NULL or "" = find out; else one of charset_names. NULL if it is none of them. */
struct charset *charset_new(const char *name);
void charset_free(struct charset **);
/* Appends what is known by now to out. */
void charset_feed(struct charset *, const char *data, size_t len, struct buf *out);
/* There is no more. */
void charset_end(struct charset *, struct buf *out);
/* What it is read as, "" if not decided: all ASCII so far. */
const char *charset_found(const struct charset *);
extern const char charset_names[]; /* "utf-8, gb18030, …", for messages */

#endif
