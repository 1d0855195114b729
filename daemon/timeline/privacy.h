/* privacy.h - what is kept of a person in the database, and their erasure there.
 *
 * Which places there are is said once, in privacy_place of conf/sql/034-privacy.sql: report
 * and erasure go by it. What lies outside of the database (Redis, the spools, memory) is
 * gone through by api/privacy.c, which needs the ids and addresses for that. */
#ifndef INTERACTD_TIMELINE_PRIVACY_H
#define INTERACTD_TIMELINE_PRIVACY_H

#include <people/address.h>
#include <people/store.h>

/* Whose traces are looked for. ids: the contact and all that were merged into it;
 * addresses: those that nobody else has. */
struct privacy_subject {
	const struct tenant *tenant;
	struct uuid root;
	struct uuid *ids;
	size_t n_ids;
	struct address *addresses;
	size_t n_addresses;
	/* Traces that are later are of somebody seen anew; 0 = all are theirs. */
	int64_t until_us;
};
void privacy_subject_free(struct privacy_subject **);
bool privacy_has_id(const struct privacy_subject *, const struct uuid *);
bool privacy_has_address(
	const struct privacy_subject *, const char *kind, const char *value);
/* Words by which their traces are recognised in texts: ids and addresses; of a phone number
 * the last digits, however it is written, if phone_tails. Returns, caller frees each and
 * the array; *n_r of them. Words too short to mean anybody are left out. */
char **privacy_words(const struct privacy_subject *, bool phone_tails, size_t *n_r);
void privacy_words_free(char **words, size_t n);

/* subject: NULL if nothing is left to be found (there is no such contact, it was erased
 * before, or the answer is no success); the callback's to free. answer's json: the report
 * {contact, members, erased_at, places: […]} or the receipt. */
typedef void privacy_fn(
	void *arg, const struct store_answer *answer, struct privacy_subject *subject);

/* The whole person, whichever of their ids is given; also of one who was erased. */
void privacy_report(struct store *, const struct tenant *, const struct uuid *id,
	privacy_fn *, void *arg);
/* bar: they must not be contacted again, even if no wish of theirs says so. The event
 * contact.erased is kept for webhooks under actor->event. */
void privacy_erase(struct store *, const struct actor *, const struct uuid *id,
	bool bar, privacy_fn *, void *arg);
/* Traces outside of the database are gone; counts: [{"place", "count"}]; complete: all of
 * them. The answer is the receipt. */
void privacy_erased(struct store *, const struct tenant *, const struct uuid *root,
	const char *counts, bool complete, store_answer_fn *, void *arg);
/* Somebody whose traces outside of the database are not gone yet, of any tenant; nobody:
 * subject NULL. */
typedef void privacy_pending_fn(void *arg, struct privacy_subject *subject);
void privacy_pending(struct store *, privacy_pending_fn *, void *arg);

#endif
