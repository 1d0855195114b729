/* phone.h - libphonenumber behind C: numbers to E.164 (ITU-T E.164 §6). */
#ifndef INTERACTD_PEOPLE_PHONE_H
#define INTERACTD_PEOPLE_PHONE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PHONE_E164_MAX 17 /* '+', 15 digits, NUL */

/* True if raw, read in region (ISO 3166; NULL or "" = only with a country code), is a
 * number that can exist: dst is its E.164 form. An extension is dropped: a caller's id
 * does not carry it. Answers are remembered per thread. */
bool phone_to_e164(const char *raw, const char *region, char dst[PHONE_E164_MAX]);
/* The region is one whose numbering plan is known. */
bool phone_region_is_known(const char *region);

#ifdef __cplusplus
}
#endif

#endif
