/* wish.h - KIND:PURPOSE[:ADDRESS] on the command line and in tables. */
#ifndef INTERACTD_CTL_WISH_H
#define INTERACTD_CTL_WISH_H

#include <buf.h>
#include <jansson.h>

/* "sms:marketing", "sms:marketing:phone:+886…" to {kind, purpose, identity}; NULL if it is
 * none. Caller frees. */
json_t *wish_parse(const char *text);
/* The other way, safe text. */
void wish_text(struct buf *, const json_t *wish);

#endif
