/* address.h - addresses of contacts, in the one form they are stored and compared in. */
#ifndef INTERACTD_PEOPLE_ADDRESS_H
#define INTERACTD_PEOPLE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#define ADDRESS_KIND_MAX  32
#define ADDRESS_VALUE_MAX 254

struct address {
	char kind[ADDRESS_KIND_MAX +
		  1]; /* "phone", "email", "visitor", "external", … */
	char value[ADDRESS_VALUE_MAX + 1];
	bool normal; /* a form that is the same for everybody (E.164, …); others never merge */
};

/* trust, weakest first; the order is the numbers'. */
enum trust { TRUST_CLAIMED, TRUST_RECORDED, TRUST_NETWORK, TRUST_VERIFIED };
const char *trust_text(enum trust);
int trust_parse(const char *); /* -1 if none */

/* Fills addr from what a user or a channel gave. phone: E.164 by libphonenumber when the
 * number is valid in region (may be NULL) or carries its country; full-width digits
 * folded, a blank before digits read as '+', a leading 00 as '+' where the region's own
 * reading is invalid; otherwise the digits as given, not normal. email: domain lower
 * case and IDNA, local part kept. external: "namespace:id". Returns false if nothing is
 * left to store (empty, or too long), or the kind is no word [a-z][a-z0-9_-]*. */
bool address_make(
	const char *kind, const char *raw, const char *region, struct address *addr_r);
/* Numbers that are nobody's: anonymous, unknown, restricted, +266696687, … */
bool address_phone_is_nobody(const char *raw);
/* "kind:value", as in ?identity= and interactctl; splits at the first colon. */
bool address_parse(const char *text, const char *region, struct address *addr_r);

#endif
