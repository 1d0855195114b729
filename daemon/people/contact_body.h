/* contact_body.h - for contact_*.c only: a request's contact, checked. */
#ifndef INTERACTD_PEOPLE_CONTACT_BODY_H
#define INTERACTD_PEOPLE_CONTACT_BODY_H

#include <people/address.h>
#include <people/check.h>
#include <people/store.h>

struct contact_body {
	json_t *set;	/* the members to set, as contact_set takes them */
	json_t *add;	/* [{kind, value, normal, trust}] */
	json_t *remove; /* [{kind, value}] */
	bool shared;
	char why[160]; /* what is wrong, "" = nothing */
};

/* is_patch: identities may have "remove". Always pairs with fini. */
void contact_body_init(struct contact_body *, const json_t *body, const struct tenant *,
	enum trust max_trust, bool is_patch);
void contact_body_fini(struct contact_body *);
/* One of contract.md's roles; NULL is none. */
bool contact_role_is_known(const char *role);

#endif
