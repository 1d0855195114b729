/* wishes_keeper.h - what one instance does for the wishes of all tenants: it seals the
 * consent ledger within a second, and takes away the rows of lists that were replaced.
 * Owned through a lease; sealing by two at once would still be one chain. */
#ifndef INTERACTD_PEOPLE_WISHES_KEEPER_H
#define INTERACTD_PEOPLE_WISHES_KEEPER_H

#include <people/store.h>

struct wishes_keeper;

/* Not while the store is held. */
struct wishes_keeper *wishes_keeper_new(struct store *);
/* Seals what is there, if the database is, running the loop meanwhile. NULL-safe. */
void wishes_keeper_free(struct wishes_keeper **);

#endif
