/* gate_json.h - the gate in JSON: a decision written as contract.md's `decision`, and a
 * contact's wishes read from contract.md's `preferences`. */
#ifndef INTERACTD_OUTREACH_GATE_JSON_H
#define INTERACTD_OUTREACH_GATE_JSON_H

#include <jansson.h>
#include <json.h>
#include <outreach/gate.h>

/* {"allowed", "kind", "identity", "reason", "text", "until", "considered": [{"kind",
 * "identity", "reason", "text", "until"}]}: `text` is a sentence for a person, an identity
 * {"kind","value"} or null; a considered entry has `identity` and `until` only if there is
 * one. Of rules and contact that the decision was made with. */
void gate_decision_put(struct json_out *, const char *key, const struct gate_decision *,
	const struct gate_rules *, const struct gate_contact *);

/* Fills do_not_contact, preferred, wishes and quiet of c from a preferences object; c's
 * addresses stand already, for the wishes that name one ("identity": "phone:+86…", the
 * value alone, or {"kind","value"}). What is not said is GATE_ANY; `at` (RFC 3339) of a
 * wish is when it was said. Kinds that the rules do not have, and identities that c no
 * longer has, concern nobody. A yes that cannot be read or has no room is left out; for
 * anything else that cannot be taken as it stands it returns false and sets
 * do_not_contact: rather nothing goes than what was not to. */
bool gate_wishes_read(
	const struct gate_rules *, const json_t *preferences, struct gate_contact *c);

#endif
