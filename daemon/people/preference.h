/* preference.h - what a contact wants, as it stands now.
 *
 * Which kinds they like best, what they allow and deny per kind, purpose and address, their
 * quiet hours, and whether they want to be left alone. What is allowed and denied follows
 * from the ledger (consent.h), entry by entry, in the transaction that writes the entry.
 * Reading goes through merges: the strictest of all members. Callbacks come exactly once,
 * later. */
#ifndef INTERACTD_PEOPLE_PREFERENCE_H
#define INTERACTD_PEOPLE_PREFERENCE_H

#include <people/store.h>

/* As store_answer_fn; events: what is now to be told under the actor's stamp, the n-th of
 * them as the stamp's n-th event, [[type, object, changes or null], …], the texts as they
 * go out. NULL: nothing. Borrowed until return. */
typedef void
wishes_answer_fn(void *arg, const struct store_answer *, const json_t *events);

/* GET and PUT /v1/contacts/{id}/preferences, contract.md's shape with `contact`,
 * `updated_at` and maybe `merged_from`. body: borrowed until return. */
void preference_get(struct store *, const struct tenant *, const struct uuid *contact,
	store_answer_fn *, void *arg);
void preference_put(struct store *, const struct actor *, const struct uuid *contact,
	const json_t *body, wishes_answer_fn *, void *arg);

/* The same, as the contact themself said it: evidence (an object) goes with each entry of
 * the ledger. Borrowed until return. */
void
preference_put_said(struct store *, const struct actor *, const struct uuid *contact,
	const json_t *body, const json_t *evidence, wishes_answer_fn *, void *arg);

/* transactional, service, survey, marketing. */
bool preference_purpose_is_known(const char *);

/* All that the gate wants to know of a contact, in one round trip: the object of
 * gate_contact, with `sent` of gate_history (conf/sql/031-wishes.sql, 035-decide.sql): what
 * went to them from since_us to until_us (wall time), nothing if that is no time. */
void
preference_for_gate(struct store *, const struct tenant *, const struct uuid *contact,
	int64_t since_us, int64_t until_us, store_answer_fn *, void *arg);

#endif
