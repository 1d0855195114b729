/* consent_verify.h - is the consent ledger what was once written?
 *
 * Everything is computed anew here, from the tables alone: nothing that the database's own
 * functions say is believed, for whoever may change rows may change those too. Found is
 * what was changed, removed, put in or moved, with its place; entries whose details were
 * erased are counted as such. What cannot be seen from inside is that the newest seals were
 * taken away, or everything was forged anew: note the head now and then, elsewhere, and
 * give it to the next check. Blocking: for interactctl. */
#ifndef INTERACTD_PEOPLE_CONSENT_VERIFY_H
#define INTERACTD_PEOPLE_CONSENT_VERIFY_H

#include <err.h>
#include <io/pg.h>
#include <stdbool.h>
#include <stdint.h>

#define CONSENT_HASH_LEN 65 /* hex, with the NUL */

struct consent_head {
	int64_t number; /* of the last seal; 0 = none */
	char hash[CONSENT_HASH_LEN];
};

struct consent_verified {
	uint64_t seals, entries, erased, unsealed, findings;
	struct consent_head head;
};

/* where: "seal 3", "entry 17 (0190…)"; what: a sentence without a full stop. */
typedef void consent_finding_fn(void *arg, const char *where, const char *what);

/* known: a head noted earlier, or NULL. Returns -1 and err if the database cannot be
 * asked. */
int consent_verify(struct pg_sync *, int tenant_id, const struct consent_head *known,
	consent_finding_fn *, void *arg, struct consent_verified *,
	struct err *) MUST_CHECK;

#endif
