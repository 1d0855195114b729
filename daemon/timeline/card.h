/* card.h - what an agent is shown about whoever is at the other end, in one round trip:
 * contact, wishes, candidates and the first page of the timeline.
 *
 * The parts are JSON texts, ready to be put into a pop (contract.md, "Redis"). */
#ifndef INTERACTD_TIMELINE_CARD_H
#define INTERACTD_TIMELINE_CARD_H

#include <people/address.h>
#include <people/store.h>

struct card {
	struct uuid contact; /* nil: nobody, or several (candidates) */
	bool found;	     /* false: an address we had not seen; `contact` is nil */
	bool named;	     /* `contact` has a name */
	enum trust trust;    /* the identity's, if found */
	char *contact_json;  /* object, or "null" */
	/* Array: several holders; or, beside `contact` or nobody, who had the number before
	 * it was silent for too long (conf/sql/030-merge.sql). */
	char *candidates_json;
	char *recent_json; /* array, newest first, at most 10 */
};

/* found = false, contact null, empty arrays. Also of a number whose earlier holders are
 * candidates. */
struct card *card_new_unknown(void);
/* The contact object of somebody just made for this address: unnamed, role customer? no
 * roles, with that one identity. For callers we had never seen. */
char *card_unnamed_json(const struct uuid *contact, const struct address *, enum trust);
/* The id an unnamed contact made for this address at that time gets, wherever it is made
 * first: pop and writer agree on it. */
struct uuid
card_new_contact_id(const struct tenant *, const struct address *, int64_t at_us);
void card_free(struct card **);

enum card_status { CARD_READY, CARD_UNAVAILABLE };
typedef void card_fn(void *arg, enum card_status, struct card *card); /* gives card */
/* A claimed trust shows a contact only if it is the single holder, as unverified. The
 * interaction `except` (the call itself) is left out of `recent`. The deadline is long (5
 * s): the caller decides when to go on without. Returns a handle for card_cancel. */
struct card_query;
struct card_query *
card_fetch(struct store *, const struct tenant *, const struct address *, enum trust,
	const struct uuid *except, card_fn *, void *arg);
void card_cancel(struct card_query **); /* then the callback never comes */

#endif
