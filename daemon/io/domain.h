/* domain.h - names of domains in the one form they are compared in. */
#ifndef INTERACTD_IO_DOMAIN_H
#define INTERACTD_IO_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>

#define DOMAIN_MAX 253 /* RFC 1035 §2.3.4, without the last dot */

/* Lower case, IDNA (RFC 5891, with the mapping of UTS 46) as A-labels, no last dot; an
 * address literal ("[192.0.2.1]") is lower-cased only. False if it is none of these. */
bool domain_normalise(const char *name, char dst[DOMAIN_MAX + 1]);

#endif
