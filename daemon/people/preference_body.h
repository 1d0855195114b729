/* preference_body.h - for preference.c and consent.c only: what a request says of wishes,
 * checked and in the form that the database takes it (conf/sql/031-wishes.sql). */
#ifndef INTERACTD_PEOPLE_PREFERENCE_BODY_H
#define INTERACTD_PEOPLE_PREFERENCE_BODY_H

#include <people/check.h>
#include <people/store.h>

/* {preferred, quiet_hours, denied, allowed, do_not_contact, source} of a PUT; NULL with
 * c->why. source: whose words it is if the request does not say. Caller frees. */
json_t *
preference_body_make(struct check *c, const struct tenant *, const char *source);

/* {decision, kind, purpose, address_*, do_not_contact, pending_s, source, evidence} of a
 * consent; NULL with c->why. Caller frees. */
json_t *consent_body_make(struct check *c, const struct tenant *, const char *source);
/* {source, evidence} alone, as a confirmation has them; the same. */
json_t *consent_evidence_make(struct check *c, const char *source);

/* An address of the kind that such messages go to: sms, phone and fax to phone numbers,
 * email to email; others to any. False after c->why. */
bool preference_identity_fits(
	struct check *c, const char *where, const char *kind, const char *address_kind);

#endif
