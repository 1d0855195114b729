/* phone.h - libphonenumber behind C: numbers to E.164 (ITU-T E.164 §6). */
#ifndef INTERACTD_PEOPLE_PHONE_H
#define INTERACTD_PEOPLE_PHONE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PHONE_E164_MAX	  17 /* '+', 15 digits, NUL */
#define PHONE_DIALLED_MAX 32

/* True if raw, read in region (ISO 3166; NULL or "" = only with a country code), is a
 * number that can exist: dst is its E.164 form. An extension is dropped: a caller's id
 * does not carry it. Answers are remembered per thread. */
bool phone_to_e164(const char *raw, const char *region, char dst[PHONE_E164_MAX]);
/* The region is one whose numbering plan is known. */
bool phone_region_is_known(const char *region);

/* The country of a number in E.164 (ISO 3166): that of its plan; where several share one
 * (+1 800 …) and the number is of no one of them, the largest. False: none (+800 …, +882
 * …), or no number. Not remembered. */
bool phone_country(const char *e164, char country_r[3]);

/* A number that somebody wants to call, and what may be held against it. */
struct phone_target {
	bool possible; /* can be a number: valid, or at least of a length that there is */
	char e164[PHONE_E164_MAX]; /* "" of a short number, which has none */
	/* As it is dialled from a phone in region: the national form; abroad the region's
	 * international prefix before it, or '+' if there are several to choose from.
	 * Digits, and no other '+'. E.164 without a region. */
	char dialled[PHONE_DIALLED_MAX];
	bool emergency; /* reaches an emergency service in region, whatever follows it */
	/* Premium rate or shared cost; a short number that is not known to cost little. */
	bool costly;
};
/* number: digits, maybe with a '+' in front; region as above. Not remembered: people do
 * not dial often. */
void phone_examine(const char *number, const char *region, struct phone_target *);

#ifdef __cplusplus
}
#endif

#endif
