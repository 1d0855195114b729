/* merge.h - two contacts that are one person: merged, taken apart again, suggested.
 *
 * A merge destroys nothing and moves nothing; whatever is asked about either of them is
 * answered with the survivor (conf/sql/030-merge.sql says how it is undone exactly).
 * Repeating a request does nothing and is answered alike. Answers are the survivor's
 * object with "absorbed", "released" or "linked" when something was done; what is told of
 * it is kept for webhooks under the actor's stamp (contact.merged, .unmerged, .linked).
 * Callbacks come exactly once, later, on the loop's thread. */
#ifndef INTERACTD_PEOPLE_MERGE_H
#define INTERACTD_PEOPLE_MERGE_H

#include <people/address.h>
#include <people/store.h>

/* body: {"from": id, "force": bool}: `from` with all that is part of it becomes part of
 * `id`. Contacts with different external ids of one namespace only with force. */
void contact_merge(struct store *, const struct actor *, const struct uuid *id,
	const json_t *body, store_answer_fn *, void *arg);
/* body: {"contact": id}: takes that one out of the contact that `id` is or is part of. */
void contact_unmerge(struct store *, const struct actor *, const struct uuid *id,
	const json_t *body, store_answer_fn *, void *arg);

/* A channel has learnt that a contact has this address: network (it delivered from there)
 * or verified (a signed token, a challenge answered). Makes it one with the only contact
 * that is known by it, if that is certain; suggests it otherwise. The actor's name is the
 * channel's: it becomes the identity's source. evidence: an object for the merge's row. */
struct contact_proof {
	const struct uuid *contact; /* may be a merged one */
	const struct address *address;
	enum trust trust;
	const json_t *evidence; /* borrowed until return */
};
void contact_link(struct store *, const struct actor *, const struct contact_proof *,
	store_answer_fn *, void *arg);

/* {"items":[…],"next"}: state NULL = open; contact NULL = everybody's. */
void suggestion_list(struct store *, const struct tenant *, const char *state,
	const struct uuid *contact, unsigned limit, const char *cursor,
	store_answer_fn *, void *arg);
/* body: {"survivor": id, "force": bool}, both optional. Answers the survivor. */
void suggestion_accept(struct store *, const struct actor *, const struct uuid *id,
	const json_t *body, store_answer_fn *, void *arg);
/* The pair is not suggested again. Answers the suggestion. */
void suggestion_reject(struct store *, const struct actor *, const struct uuid *id,
	store_answer_fn *, void *arg);

#endif
