/* form.h - the body of a form that a browser posts (application/x-www-form-urlencoded,
 * WHATWG URL §5.1), within bounds. */
#ifndef INTERACTD_API_FORM_H
#define INTERACTD_API_FORM_H

#include <stddef.h>

#define FORM_BYTES_MAX	16384
#define FORM_FIELDS_MAX 256

struct form;

/* NULL if it is longer, has more fields, or a field is no percent-encoded UTF-8 or has a
 * control character but TAB, CR or LF in it. Returns, caller frees. */
struct form *form_parse(const char *body, size_t len);
void form_free(struct form **);
/* The first field of that name, decoded; "" if there is none. Borrowed from the form. */
const char *form_get(const struct form *, const char *name);

#endif
