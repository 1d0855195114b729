/* gate_json.h - a decision as JSON: contract.md's `decision`. */
#ifndef INTERACTD_OUTREACH_GATE_JSON_H
#define INTERACTD_OUTREACH_GATE_JSON_H

#include <json.h>
#include <outreach/gate.h>

/* {"allowed", "kind", "identity", "reason", "text", "until", "considered": [{"kind",
 * "identity", "reason", "text", "until"}]}: `text` is a sentence for a person, an identity
 * {"kind","value"} or null; a considered entry has `identity` and `until` only if there is
 * one. Of the rules and the contact that the decision was made with. */
void gate_decision_put(struct json_out *, const char *key, const struct gate_decision *,
	const struct gate_rules *, const struct gate_contact *);

#endif
