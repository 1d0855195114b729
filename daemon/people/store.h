/* store.h - what the rooms that keep things in PostgreSQL share: the pool, the tenants,
 * who acts, and how an asynchronous operation answers. */
#ifndef INTERACTD_PEOPLE_STORE_H
#define INTERACTD_PEOPLE_STORE_H

#include <buf.h>
#include <io/pg.h>
#include <jansson.h>
#include <loop.h>
#include <map.h>
#include <people/event.h>
#include <people/sight.h>
#include <stdbool.h>
#include <stdint.h>
#include <uuid.h>

#define TENANT_NAME_MAX 64

struct tenant {
	int id; /* tenant_id in every table */
	char name[TENANT_NAME_MAX + 1];
	char region[3];	       /* ISO 3166, for numbers without a country; "" = none */
	char timezone[64];     /* IANA; "UTC" */
	char languages[128];   /* "zh-CN, en"; "" */
	int identity_age_days; /* numbers unseen for longer prove nobody; 0 = all do */
};

struct store {
	struct loop *loop;
	struct pg *reads;   /* look-ups: never behind a batch */
	struct pg *writes;  /* group commit (timeline/writer.h) and single changes */
	struct pg *upkeep;  /* what may take seconds, behind which nobody else waits */
	struct pg *reports; /* long reading (segments, exports): behind nobody's back */
	struct map tenants; /* name -> struct tenant */
	/* True while the daemon starts: tenants have no ids yet, or another daemon may own
	 * this database. No statement may be built then; what waits for that is asked
	 * again once it is false, for good. */
	bool held;
};

/* NULL if there is no such tenant. */
const struct tenant *store_tenant(const struct store *, const char *name);
const struct tenant *store_tenant_by_id(const struct store *, int id);

/* Who does something: for authorisation and the audit. Strings borrowed. */
struct actor {
	const struct tenant *tenant;
	const char *name; /* "key:crm", "agent:1001", "uid:0", "daemon" */
	const char *role; /* contract.md's words */
	/* Under which the change is told of; NULL: its event, if any, is not kept with
	 * it. */
	const struct event_stamp *event;
	/* What of the contacts they may see. */
	const struct sight *sight;
};

enum store_status {
	STORE_OK,
	STORE_CREATED,
	STORE_NOT_FOUND,
	STORE_CONFLICT, /* detail, and json has members that say with what */
	STORE_INVALID,	/* detail names the field */
	STORE_REPLAYED, /* idempotency: json and http_status are the stored answer's */
	STORE_KEY_REUSED,  /* idempotency: same key, other body */
	STORE_IN_PROGRESS, /* idempotency: the first request still runs */
	STORE_UNAVAILABLE, /* database away or too slow; nothing known to be done */
};

/* Borrowed until the callback returns. */
struct store_answer {
	enum store_status status;
	int http_status; /* STORE_REPLAYED only */
	const char
		*json; /* the object or list; for CONFLICT extra members without braces,
	                     or NULL */
	size_t json_len;
	/* The whole object, for its event, where json is but what the caller may see of it;
	 * else NULL. */
	const char *whole;
	const char *detail; /* a sentence for the caller; never NULL */
};
typedef void store_answer_fn(void *arg, const struct store_answer *);

/* An Idempotency-Key, kept 24 h per (tenant, caller, method, path); written in the same
 * transaction as the effect. NULL where an operation takes one = no key was sent. */
struct idempotency {
	const char *key, *caller, *method, *path;
	unsigned char body_hash[32];
};

#endif
