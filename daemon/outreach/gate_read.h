/* gate_read.h - a contact as the store tells of it, made into what the gate asks: the
 * filler between people/'s JSON and gate.h's plain structs. */
#ifndef INTERACTD_OUTREACH_GATE_READ_H
#define INTERACTD_OUTREACH_GATE_READ_H

#include <jansson.h>
#include <outreach/gate.h>

/* Fills do_not_contact, preferred, denied, allowed and quiet of c (and of its addresses)
 * from contract.md's `preferences`. c's addresses stand already, for the entries that
 * name one: "identity": {"kind","value"}, "phone:+86…" or the value alone. An entry
 * without kind or purpose is about all of them; its `at` (RFC 3339) is when it was said.
 * Kinds that the rules do not have, and identities that c does not have, concern nobody.
 * A yes that cannot be read is left out; for anything else that cannot be taken as it
 * stands it returns false and sets do_not_contact: rather nothing goes than what was not
 * to. */
bool gate_wishes_read(
	const struct gate_rules *, const json_t *preferences, struct gate_contact *c);

/* Fills all of c but `sent` from an object {timezone, wishes (preferences), addresses:
 * [{kind, value, trust, suppressed: [reason…], shared, others_denied, denied, allowed:
 * [{kind, purpose}…], wrote: {kind: time}}]}; see gate_contact() of the wishes' migration
 * and what conf/sql/035-decide.sql adds. `others_denied`, kind and purpose "*": no contact. `allowed` of an address is all that it may be used for: where it is
 * there, a yes to any address counts for it only if it is in it, too. The country of
 * numbers is libphonenumber's word. Strings are borrowed: the object lives as long as c
 * is used. Addresses past GATE_ADDRESSES_MAX are left out. Returns as gate_wishes_read. */
bool gate_contact_read(const struct gate_rules *, const struct zones *,
	const json_t *object, struct gate_contact *c);

/* Fills c's `sent` from [[kind, purpose, microseconds], …], the newest first (gate_history
 * of conf/sql/035-decide.sql); kinds and purposes that the rules do not have, and more than
 * GATE_SENT_MAX, are left out. */
void
gate_sent_read(const struct gate_rules *, const json_t *list, struct gate_contact *c);
/* How far back caps look; 0: there are none. */
int64_t gate_history_us(const struct gate_rules *);

#endif
