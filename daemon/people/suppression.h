/* suppression.h - addresses that nobody may write to or call, whoever has them.
 *
 * Single ones (they bounced, complained, asked for it), and lists of millions
 * (suppression_import.h). Callbacks come exactly once, later. */
#ifndef INTERACTD_PEOPLE_SUPPRESSION_H
#define INTERACTD_PEOPLE_SUPPRESSION_H

#include <people/address.h>
#include <people/store.h>

struct suppression_filter {
	const struct address *address; /* NULL = all */
	const char *reason, *list;     /* NULL = all */
};

/* {"items":[…],"next":…}. cursor as given in "next", or NULL. */
void suppression_list(struct store *, const struct tenant *,
	const struct suppression_filter *, unsigned limit, const char *cursor,
	store_answer_fn *, void *arg);
/* The lists there are, as {"items":[…],"next":null}. */
void
suppression_lists(struct store *, const struct tenant *, store_answer_fn *, void *arg);
/* body: {"kind","value","reason","source"}; STORE_OK if it was there. */
void suppression_add(struct store *, const struct actor *, const json_t *body,
	const struct idempotency *, store_answer_fn *, void *arg);
/* Takes an address off, from lists too; what stands for somebody erased only if reason is
 * "erased". Without an address: the whole list. */
void suppression_remove(struct store *, const struct actor *,
	const struct suppression_filter *, store_answer_fn *, void *arg);

/* The reasons there are: bounced, complained, do_not_call, manual, erased. */
bool suppression_reason_is_known(const char *);

#endif
