/* customer_page.h - links by which customers see and change their own wishes, and ask to be
 * erased, without a login.
 *
 * A link's token is 16 random bytes in base64url; kept is its BLAKE2b hash, by which it is
 * looked for: how long that takes tells nothing of any token. A link is made for a contact
 * or for one of its addresses. That is as far as it goes: after an unmerge it leads to who
 * has the address, and nowhere once its contact has lost it. Callbacks come exactly once,
 * later. */
#ifndef INTERACTD_PEOPLE_CUSTOMER_PAGE_H
#define INTERACTD_PEOPLE_CUSTOMER_PAGE_H

#include <people/preference.h>

#define CUSTOMER_PAGE_TOKEN_LEN 22 /* characters */

/* What the configuration says; borrowed until return. */
struct customer_page_opts {
	const char *
		base; /* "https://my.example.com", maybe with a path; no / at its end */
	int64_t ttl_s; /* unless the request says so */
};

/* body: {"identity"?: {kind, value} it is sent to, "ttl_s"?}. {"id", "contact",
 * "identity", "url", "expires_at"}; the url is told this once. */
void
customer_page_create(struct store *, const struct actor *, const struct uuid *contact,
	const json_t *body, const struct customer_page_opts *,
	const struct idempotency *, store_answer_fn *, void *arg);
/* Ends all links of a contact and of who is merged with it: {"revoked": n}. */
void customer_page_revoke(struct store *, const struct actor *,
	const struct uuid *contact, store_answer_fn *, void *arg);

enum customer_page_status {
	CUSTOMER_PAGE_OPEN,
	CUSTOMER_PAGE_GONE,    /* there was such a link */
	CUSTOMER_PAGE_UNKNOWN, /* there is none */
	CUSTOMER_PAGE_UNAVAILABLE,
};
/* tenant and page (customer_page_json of conf/sql/036-page.sql) if OPEN; borrowed until
 * return. */
typedef void customer_page_fn(void *arg, enum customer_page_status,
	const struct tenant *, const json_t *page);
/* token: whatever somebody sent. */
void
customer_page_open(struct store *, const char *token, customer_page_fn *, void *arg);

/* Tells staff that the contact of this link asks to be erased; variables: of the note in
 * its timeline. STORE_NOT_FOUND: the link has ended meanwhile. */
void
customer_page_erasure(struct store *, const struct actor *, const struct uuid *page,
	const json_t *variables, wishes_answer_fn *, void *arg);
/* Who has asked and is still there: {"items": [{contact, at, interaction}], "next": null},
 * at most 1000. */
void
erasure_requests(struct store *, const struct tenant *, store_answer_fn *, void *arg);

#endif
