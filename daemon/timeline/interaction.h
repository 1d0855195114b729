/* interaction.h - entries of the timeline: how they are saved and read.
 *
 * Shapes are contract.md's ("An interaction"). */
#ifndef INTERACTD_TIMELINE_INTERACTION_H
#define INTERACTD_TIMELINE_INTERACTION_H

#include <people/address.h>
#include <people/store.h>

struct interaction_leg {
	struct uuid id;
	const char *type, *agent, *interface, *queue, *result; /* NULL = null */
	int64_t at_us, answered_us, ended_us;		       /* 0 = null */
};

/* What is told when a saving is committed, for webhooks. interaction.created, .updated
 * or .ended, and contact.created if a contact was made for it. */
struct interaction_event {
	struct event_stamp stamp;
	bool ended;		 /* this saving is its end */
	bool quiet;		 /* replayed: only what turns out to be new is told */
	const char *object;	 /* the interaction's JSON with "contact":null */
	const char *new_contact; /* a contact's JSON with the nil id; or NULL */
};

/* One entry to be saved; strings borrowed until return. Saving the same id again
 * replaces what the first saving wrote (a call's beginning, then its end). */
struct interaction {
	const struct tenant *tenant;
	struct uuid id;		 /* its time is the interaction's `at` */
	const char *kind;	 /* "call", … */
	const char *direction;	 /* "in", "out" */
	const char *channel;	 /* NULL for what was logged by hand */
	const char *external_id; /* unique per (tenant, channel), or NULL */
	const char *state;	 /* "ringing" … "ended" */
	const char *agent, *queue;
	const char *remote_kind;  /* "phone", or NULL: none */
	const char *remote_value; /* normalised, or NULL if withheld */
	bool remote_normal;
	const char *remote_display;
	bool withheld;
	enum trust trust; /* of the remote address */
	const char *local;
	int64_t at_us, answered_us, ended_us;
	const char *summary;
	const char *variables; /* JSON object text */
	const char *details; /* JSON object text: recordings, voicemail, … or NULL */
	const char *disposition;
	int64_t wait_ms, talk_ms, hold_ms; /* < 0 = null */
	const struct interaction_leg *legs;
	size_t n_legs;
	struct uuid contact; /* nil = by remote address: found, or made as unnamed */
	bool no_contact;     /* withheld, or one of our own numbers: stays without */
	struct uuid new_contact; /* the id to give a contact made now (see card.h) */
	struct uuid
		absorbed_by; /* not nil: this entry turned out to be part of that one;
	                            it is deleted, with its legs */
	const struct interaction_event *event; /* NULL: nobody wants to be told */
};

/* STORE_OK with the interaction's JSON (with legs, body, history). */
void interaction_get(struct store *, const struct actor *, const struct uuid *id,
	store_answer_fn *, void *arg);

struct timeline_page {
	unsigned limit;		   /* 0 = the usual */
	const char *before, *kind; /* the previous page's "next"; NULL = all */
	bool people;		   /* of an organisation too */
};
/* A page, newest first, through all merged members. STORE_NOT_FOUND for a contact that is
 * unknown, or out of the actor's sight. */
void
interaction_timeline(struct store *, const struct actor *, const struct uuid *contact,
	const struct timeline_page *, store_answer_fn *, void *arg);
/* POST /v1/interactions: visits, letters, faxes, notes, events logged by hand. */
void interaction_create(struct store *, const struct actor *, const json_t *body,
	const struct idempotency *, store_answer_fn *, void *arg);

#endif
