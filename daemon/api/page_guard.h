/* page_guard.h - who tries links that do not exist: too many of them, and an address has to
 * wait. Tokens are too long to be guessed; this keeps guessing off the database. */
#ifndef INTERACTD_API_PAGE_GUARD_H
#define INTERACTD_API_PAGE_GUARD_H

#include <stdbool.h>

#define PAGE_GUARD_FAILURES 30	/* of one address … */
#define PAGE_GUARD_S	    600 /* … in so many seconds */

struct page_guard;

struct page_guard *page_guard_new(void);
void page_guard_free(struct page_guard **); /* NULL-safe */
/* The address that counts: of the peer (IPv6: its /64), or, from a proxy on this machine,
 * the one that it has put last into X-Forwarded-For (NULL: not sent). */
#define PAGE_GUARD_PEER_LEN 64
void
page_guard_peer(const char *peer, const char *forwarded, char dst[PAGE_GUARD_PEER_LEN]);
bool page_guard_blocks(struct page_guard *, const char *peer);
void page_guard_failed(struct page_guard *, const char *peer);

#endif
