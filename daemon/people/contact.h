/* contact.h - contacts and their identities: create, read, change, look up, search.
 *
 * Shapes are contract.md's. Reads and look-ups go through merges: an absorbed id answers
 * with its survivor and `merged_from`. Creating or patching with an address that an
 * unnamed contact holds absorbs that one (a contact_merge row, undoable); one that a named
 * contact holds is STORE_CONFLICT with `"contact":"<id>"`, unless "shared": true. Every
 * change is audited by field names, never values. An actor whose sight is limited
 * (sight.h) gets, and changes, only what it shows; who holds an address is not told then. Callbacks come exactly once, later. */
#ifndef INTERACTD_PEOPLE_CONTACT_H
#define INTERACTD_PEOPLE_CONTACT_H

#include <people/address.h>
#include <people/store.h>

/* body: the request's object, borrowed until return; unknown fields are STORE_INVALID.
 * max_trust: what this caller may set at most (API keys: recorded). */
void contact_create(struct store *, const struct actor *, const json_t *body,
	enum trust max_trust, const struct idempotency *, store_answer_fn *, void *arg);
void contact_patch(struct store *, const struct actor *, const struct uuid *id,
	const json_t *body, enum trust max_trust, store_answer_fn *, void *arg);
void contact_get(struct store *, const struct actor *, const struct uuid *id,
	store_answer_fn *, void *arg);
/* {"items":[…],"next":null}: every contact that holds the address, best trust first. */
void contact_find(struct store *, const struct actor *, const struct address *,
	store_answer_fn *, void *arg);
/* By name (word prefixes, and parts for CJK). cursor as given in "next", or NULL. */
void contact_search(struct store *, const struct actor *, const char *q, unsigned limit,
	const char *cursor, store_answer_fn *, void *arg);
/* Who belongs to an organisation, the latest first; STORE_NOT_FOUND for an unknown one. */
void contact_people(struct store *, const struct actor *, const struct uuid *id,
	unsigned limit, const char *cursor, store_answer_fn *, void *arg);
/* Whether the actor, who is limited, sees this contact: for what is not asked of a room
 * that looks itself. seen is false if it is not there at all. */
typedef void contact_sight_fn(void *arg, enum store_status, bool seen);
void contact_in_sight(struct store *, const struct actor *, const struct uuid *id,
	contact_sight_fn *, void *arg);

#endif
