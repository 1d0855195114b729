/* caller.h - who is asking, and whether they may. Kept beside each request. */
#ifndef INTERACTD_API_CALLER_H
#define INTERACTD_API_CALLER_H

#include <api/app.h>

/* Roles as bits, for the table of routes. */
#define ROLE_ADMIN	 1u
#define ROLE_SUPERVISOR	 2u
#define ROLE_AGENT	 4u
#define ROLE_INTEGRATION 8u
#define ROLE_READONLY	 16u
#define ROLES_ALL	 31u
#define ROLES_WRITE	 (ROLE_ADMIN | ROLE_SUPERVISOR | ROLE_AGENT | ROLE_INTEGRATION)
#define ROLES_LEAD	 (ROLE_ADMIN | ROLE_SUPERVISOR)
#define ROLE_ANYBODY	 32u /* no key needed */
/* Beside the roles: what a caller who may not see every contact (people/sight.h) may do.
 * Without one of these nothing: 403, so that what nobody has thought about shows nothing. */
#define SIGHT_NONE 64u	/* no contact is in it, nor in its answer */
#define SIGHT_KEPT 128u /* the room shows and changes only what is in sight */
#define SIGHT_PATH 256u /* the path's first id is a contact's; out of sight it is 404 */
#define SIGHT_SELF 512u /* an agent's token for that agent itself; a key is refused */

/* 32 bytes in hex, with the NUL. */
#define CALLER_HASH_LEN 65

struct caller {
	struct app *app;
	const struct tenant *tenant;
	unsigned role;	/* one bit */
	char name[128]; /* "key:crm", "agent:1001", "uid:0" */
	char identity
		[40];	/* of a key: what tells it from others of its name; else "" */
	char agent[65]; /* an agent's token: whose; else "" */
	enum trust max_trust;	   /* of identities this caller may set */
	const struct sight *sight; /* of the contacts; counted; NULL = everything */
	/* BLAKE2b of the key or token used, or of that which a ticket was made with; "":
	 * the operator's socket. */
	char hash[CALLER_HASH_LEN];
};

const char *role_text(unsigned role);
unsigned role_parse(const char *); /* 0 if none */

/* "none", "kept", "path", "self" of a route's bits; NULL: closed to limited callers. */
const char *sight_text(unsigned route);

/* The request's caller; never NULL in a handler of a route that is not ROLE_ANYBODY. */
struct caller *caller_of(const struct http_request *);
/* The same as the store's actor; borrows from the caller. */
struct actor caller_actor(const struct http_request *);
/* An agent's token reaches only that agent's resources: answers 403 and returns false.
 */
bool caller_may_see_agent(struct http_request *, const char *agent);

/* Finds out who asks: at once (peer credentials, a key seen lately), or by asking the
 * database; then calls http_continue. Returns what http_before_fn returns. */
bool caller_identify(struct app *, struct http_request *, unsigned roles_allowed);

/* Keys of the API, cached for a few seconds; made by the API. */
struct key_cache;
struct key_cache *key_cache_new(void);
void key_cache_free(struct key_cache **);
void key_cache_forget(struct key_cache *); /* a key was revoked or changed here */

#endif
