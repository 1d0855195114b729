/* read_audit.h - a person has read something of a contact: it goes into the audit.
 *
 * People are agents, supervisors, admins and readers, by token, key or the operator's
 * socket. Keys of role integration are machines that read for people; what those see is
 * audited where they sit. Pops are not read but shown, and are not audited either. */
#ifndef INTERACTD_API_READ_AUDIT_H
#define INTERACTD_API_READ_AUDIT_H

#include <api/caller.h>

/* As reply_from_store, and notes each contact of the answer (an object, or a list of them)
 * as contact.read: how is "get", "find", "search". */
void read_audit_contacts(
	struct http_request *, const struct store_answer *, const char *how);
/* The same of one contact whose id is known, e.g. of its timeline. */
void read_audit_contact(struct http_request *, const struct store_answer *,
	const struct uuid *id, const char *how);
/* The same of an interaction, and of the contact it hangs on. */
void read_audit_interaction(struct http_request *, const struct store_answer *);

#endif
