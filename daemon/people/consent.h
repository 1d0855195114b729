/* consent.h - the ledger of what contacts have allowed and denied.
 *
 * Entries are only ever added, each with its evidence; how wishes stand (preference.h)
 * follows from them. A hash chain over salted commitments makes tampering show
 * (consent_verify.h); what an entry says can be erased without breaking it. Callbacks come
 * exactly once, later. */
#ifndef INTERACTD_PEOPLE_CONSENT_H
#define INTERACTD_PEOPLE_CONSENT_H

#include <people/address.h>
#include <people/preference.h>

/* {"items":[…],"next":…}: newest first, of all that are merged. */
void consent_list(struct store *, const struct tenant *, const struct uuid *contact,
	unsigned limit, const char *cursor, store_answer_fn *, void *arg);
/* Something that was said elsewhere, with its evidence. With "double_opt_in": true it is
 * pending, and the answer has the token that confirms it, once, within 7 days. */
void consent_record(struct store *, const struct actor *, const struct uuid *contact,
	const json_t *body, const struct idempotency *, wishes_answer_fn *, void *arg);
/* body: {"token", and maybe source and evidence}. */
void consent_confirm(struct store *, const struct actor *, const struct uuid *contact,
	const struct uuid *entry, const json_t *body, wishes_answer_fn *, void *arg);

/* Who writes from `address` has said STOP: marketing and surveys of this kind to it are
 * denied from now on, for everybody who has it (an unnamed contact if nobody does). The
 * answer: {"contacts":[…],"recorded":n}; n = 0: it was so already. evidence: an object
 * (message id, the words, …) or NULL. Borrows until return. */
struct consent_stop {
	const char *kind; /* "sms", "email": of the messages that are to stop */
	const struct address *address;
	const char *source; /* "stop-word", "list-unsubscribe" */
	const json_t *evidence;
};
void consent_stop(struct store *, const struct actor *, const struct consent_stop *,
	wishes_answer_fn *, void *arg);

#endif
