/* dial_number.h - what somebody wants to call, and whether an agent may. */
#ifndef INTERACTD_CALLS_DIAL_NUMBER_H
#define INTERACTD_CALLS_DIAL_NUMBER_H

#include <channel.h>
#include <people/phone.h>

/* Why a call is not placed; the words are part of the API ("reason" of a problem). */
#define DIAL_REFUSALS(R)                                                               \
	R(NONE, "")                                                                    \
	R(NOT_A_NUMBER, "not_a_number")                                                \
	R(OWN_NUMBER, "own_number")                                                    \
	R(EMERGENCY, "emergency")                                                      \
	R(PREMIUM, "premium")                                                          \
	R(NOT_ALLOWED, "not_allowed")                                                  \
	R(NO_AGENT, "no_agent")                                                        \
	R(NO_PHONE, "no_phone")                                                        \
	R(CHANNEL_DOWN, "channel_down")                                                \
	R(RATE, "rate")                                                                \
	R(REFUSED, "refused")
enum dial_refusal {
#define R(name, text) DIAL_##name,
	DIAL_REFUSALS(R)
#undef R
};
const char *dial_refusal_text(enum dial_refusal);

#define DIAL_NUMBER_MAX 40

struct dial_number {
	char to[DIAL_NUMBER_MAX]; /* E.164; a short number as it is */
	char number
		[DIAL_NUMBER_MAX]; /* for the dialplan, in the channel's dial_format */
};

/* Reads a number as people write it: digits, maybe with a + in front, and blanks, dashes,
 * dots, brackets and slashes between them, in ASCII or full width. Anything else is
 * refused, also what is only invisible: this goes to a phone system's wire. */
bool dial_number_read(const char *raw, char digits_r[DIAL_NUMBER_MAX], struct err *);

/* May `digits` (dial_number_read's) be called on this channel? region: of numbers
 * without a country, or NULL. DIAL_NONE and *out_r, or why not and a sentence. */
enum dial_refusal dial_number_check(const struct phone_conf *, const char *region,
	const char *digits, struct dial_number *out_r, struct err *);

#endif
