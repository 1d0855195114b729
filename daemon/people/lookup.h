/* lookup.h - asking the company's own system (CRM) who has a number.
 *
 * One HTTP GET per number and tenant, however many calls ask for it at once. Answers, also
 * "not known", are remembered for a while, at most 10,000 of them in 16 MiB. A system that
 * fails or hangs is left alone for a while (breaker.h): then the answer is "failed" at
 * once, and nobody waits. What is answered is checked member by member (lookup_answer.c):
 * it is text of strangers. Everything on the loop's thread. */
#ifndef INTERACTD_PEOPLE_LOOKUP_H
#define INTERACTD_PEOPLE_LOOKUP_H

#include <histogram.h>
#include <people/address.h>
#include <people/store.h>

struct lookups;
struct lookup_ask;

/* A tenant's; strings borrowed until return. */
struct lookup_settings {
	/* With {number} (digits), {e164}, {national}, {channel}, {queue}, {tenant}. NULL or
	 * "" = no look-ups. */
	const char *url;
	const char *header; /* "Name: value", or NULL */
	const char *bearer; /* Authorization: Bearer …, or NULL */
	const char *ca_file;
	unsigned timeout_ms;
	unsigned known_s, unknown_s; /* how long answers are remembered */
	unsigned failures, pause_s;  /* as in breaker.h */
};

struct lookups *lookups_new(struct store *);
/* Callbacks of what is asked come before this returns. NULL-safe. */
void lookups_free(struct lookups **);
/* Also for a reload. What was remembered stays, but the breaker is closed. */
void
lookups_set(struct lookups *, const struct tenant *, const struct lookup_settings *);
/* What was remembered for the tenant is forgotten. */
void lookups_forget(struct lookups *, const struct tenant *);
/* Says what is wrong with a URL's form, or a header's. */
int lookup_check_url(const char *url, struct err *) MUST_CHECK;
int lookup_check_header(const char *header, struct err *) MUST_CHECK;

/* A valid phone number of a tenant that has a system to ask. */
bool
lookup_is_wanted(const struct lookups *, const struct tenant *, const struct address *);

struct lookup_question {
	const struct tenant *tenant;
	const struct address *address;
	const char *channel, *queue; /* may be NULL */
	bool afresh; /* a trial: nothing remembered, nothing shared, breaker or not */
};

enum lookup_outcome { LOOKUP_FOUND, LOOKUP_UNKNOWN, LOOKUP_FAILED };
const char *lookup_outcome_text(enum lookup_outcome);

/* Borrowed until the callback returns. */
struct lookup_report {
	enum lookup_outcome outcome;
	/* FOUND: {"set":{name, …}, "external", "organisation"}; to be kept by json_incref,
	 * never changed. Else NULL. */
	json_t *person;
	const char *why; /* FAILED: a sentence; else "" */
	const char *url; /* as it was asked; may hold secrets of the configuration */
	int status;	 /* HTTP's, 0 = none */
	int64_t took_us;
	bool remembered;
	const json_t *ignored; /* sentences on members that were no good, or NULL */
};
typedef void lookup_fn(void *arg, const struct lookup_report *);

/* cb comes exactly once, never before this returns. The handle is good until then. */
struct lookup_ask *lookup_start(
	struct lookups *, const struct lookup_question *, lookup_fn *cb, void *arg);
void lookup_cancel(struct lookup_ask **); /* then it never comes */

/* Writes what was found to the contact that has the address, or to the one to be made for
 * it under the id `made`: nothing is overridden, no two named contacts are joined. The
 * answer's json is the contact, or NULL if it was left as it was. */
void lookup_store(struct lookups *, const struct tenant *, const struct address *,
	const struct uuid *made, const json_t *person, store_answer_fn *, void *arg);
/* Whoever tells of changes: state "created" or "updated", the contact's JSON; as the nth
 * event of the stamp, which was asked for before the change. */
typedef void lookup_changed_fn(void *arg, const struct tenant *,
	const struct event_stamp *, unsigned nth, const char *state, const char *json);
void
lookups_on_change(struct lookups *, event_stamp_fn *, lookup_changed_fn *, void *arg);

struct lookup_stats {
	unsigned long long found, unknown, failed, remembered, shared, refused;
	struct histogram times; /* of those that were asked */
	const char *breaker;	/* "closed", "open", "half_open" */
};
/* Of the tenants that have a system to ask. */
typedef void
lookup_stats_fn(void *arg, const struct tenant *, const struct lookup_stats *);
void lookups_each(const struct lookups *, lookup_stats_fn *, void *arg);
/* False: the tenant has none. */
bool lookups_get(const struct lookups *, const struct tenant *, struct lookup_stats *);

#endif
