/* pop.h - screen pops: what an agent's screen is told about the interaction in front of
 * them, over Redis, exactly as contract.md gives it.
 *
 * A subject is an interaction that agents may be shown (a call); its card (contact,
 * wishes, recent) is fetched once, as soon as the subject begins, and shared by its pops.
 * A pop opens when its card is there or pop_timeout_ms after it was asked for, whichever
 * comes first; then `degraded`, and an update follows with the card.
 *
 *   PENDING (waits for card) -> OPEN -> CLOSED        closed while pending: never opened
 *
 * Each open is closed exactly once. While Redis is away nothing is numbered: when it
 * returns, what is still true is issued, what ended is closed if it had been opened, and
 * nothing stale is replayed. If Redis lost its data (epoch) all open pops are opened
 * again. Scripts are idempotent, so a command whose answer was lost is given again. */
#ifndef INTERACTD_DESK_POP_H
#define INTERACTD_DESK_POP_H

#include <desk/agent.h>
#include <clock.h>
#include <desk/events.h>
#include <histogram.h>
#include <io/redis.h>
#include <people/address.h>
#include <people/lookup.h>
#include <people/store.h>
#include <timeline/card.h>
#include <timeline/privacy.h>

struct pops;
struct subject;

struct pops_opts {
	unsigned pop_timeout_ms; /* [daemon] pop_timeout_ms */
	unsigned wrapup_ms;	 /* [daemon] wrapup_s; 0 = off */
	unsigned stream_max;	 /* pops kept in an agent's stream, 0 = 1000 */
	/* Asked about numbers that no named contact has; NULL: nobody is. */
	struct lookups *lookups;
	/* What each of them may see of the contacts; NULL: everything. */
	const struct agents *agents;
};

struct pops *pops_new(struct store *, struct redis *, const struct pops_opts *);
/* Leaves open pops open in Redis: the next daemon compares (pops_adopt). */
void pops_free(struct pops **);
void pops_set_timeout(struct pops *, unsigned pop_timeout_ms);
/* From redis_opts.on_state: nothing waits for the next look (100 ms) then. */
void pops_on_redis(struct pops *, bool up);

/* From agents_on_sight: what an agent (NULL: any) may see is another. */
void pops_on_sight(struct pops *, const char *tenant, const char *agent);

/* The store is not held any more (store.h): cards that were not asked for are. */
void pops_ask_again(struct pops *);

/* A contact was changed, merged or taken out of another (type, object: the event's): pops
 * that show it, or that are of one of its addresses, get a pop.update if they would say
 * something else now. */
void pops_follow_contact(
	struct pops *, const struct tenant *, const char *type, const char *object);

/* What all pops of an interaction say; strings borrowed until return (copied). */
struct subject_info {
	const struct tenant *tenant;
	struct uuid interaction;
	const char *channel, *kind, *direction;	  /* "pbx-main", "call", "in" */
	const char *queue;			  /* NULL = none */
	const char *call_id;			  /* the phone system's linked id */
	const char *remote_kind, *remote_display; /* "phone"; display may be NULL */
	const char *remote_value; /* normalised; NULL = withheld or unknown */
	bool remote_normal, withheld, no_contact;
	enum trust trust;
	const char *local;
	const char *variables; /* JSON object text */
	int64_t at_us;	       /* the interaction's beginning */
};

struct subject *subject_begin(struct pops *, const struct subject_info *);
/* Variables, queue, display … changed: open pops get a pop.update if what they show
 * differs. */
void subject_update(struct subject *, const struct subject_info *);
/* The writer has the last word on who it is: if the contact differs from the card's, the
 * card is fetched again and open pops are updated. nil = nobody. */
void subject_contact(struct subject *, const struct uuid *contact);
/* Whom its pops show; `otherwise` if there is no subject, or if that is not known (yet). */
struct uuid subject_who(const struct subject *, const struct uuid *otherwise);
/* All its pops must be closed; one left open is closed as interrupted, with an error in
 * the log. Wrap-up may still run. Frees. */
void subject_end(struct subject **);

struct pop_info {
	struct uuid pop;
	const char *agent; /* NULL: a queue's pop, of `queue` */
	const char *queue; /* through which it came, or NULL */
	const char *state; /* ringing, talking, held, waiting, … */
	int64_t at_us;	   /* of the change */
	int64_t waited_ms; /* so far in the queue, or since the call's beginning */
};
/* Opening one that is open already is an update. */
void pop_open(struct subject *, const struct pop_info *);
void pop_update(struct subject *, const struct pop_info *);
/* reason: contract.md's. With wrap-up on, an agent's pop that was talked on becomes
 * `wrapup` and closes by itself. Unknown or closed: nothing. */
void
pop_close(struct subject *, const struct uuid *pop, const char *reason, int64_t at_us);

/* The agent has ended their wrap-up before its time: pops in it close now. */
void pops_end_wrapup(struct pops *, const struct tenant *, const char *agent);

/* After a restart: the calls that live have been opened again silently (see
 * pops_set_silent); everything else of these channels that Redis holds as open is closed
 * as interrupted. done comes once. */
void pops_set_silent(struct pops *, bool silent); /* replay: pops go to memory only */
void pops_adopt(struct pops *, void (*done)(void *arg), void *arg);

/* GET /v1/agents/{id}/pops: {"items":[…],"next":null}, the latest object of each, as one
 * with this sight may see it. */
void pops_list(struct pops *, const struct tenant *, const char *agent,
	const struct sight *, store_answer_fn *, void *arg);
/* A pop as one with this sight (not NULL) may see it is appended; false if it is none. */
bool pop_json_seen(struct buf *out, const char *json, size_t len, const struct sight *);

/* Somebody is to be forgotten: pops of their interactions go on without name, number and
 * variables; others that name them are looked up again. Returns how many subjects. */
unsigned pops_forget(struct pops *, const struct privacy_subject *);
/* What Redis' lists of the tenant hold of somebody; erase: those of the past go. cb comes
 * once, later; borrows the subject until this returns. */
struct pops_found {
	bool reached; /* false: Redis did not answer, and the rest is not known */
	bool asked;
	unsigned entries; /* of streams */
	unsigned
		erased; /* entries that went, those of others in the same streams too */
	unsigned open;	/* pops open now */
	char oldest[CLOCK_RFC3339_LEN], newest[CLOCK_RFC3339_LEN]; /* "" = none */
};
struct pop_finder;
typedef void pops_found_fn(void *arg, const struct pops_found *);
struct pop_finder *pops_find(struct pops *, const struct privacy_subject *, bool erase,
	pops_found_fn *, void *arg);
void pops_find_cancel(struct pop_finder **); /* then it never comes */

struct pops_stats {
	unsigned open, pending;
	unsigned long long opened, updated, closed, degraded, reissued;
	struct histogram shown; /* from pop_open until Redis has published it */
	struct histogram cards; /* from asking for a card until it was there */
	bool redis_up;
	/* What Redis as a whole says instead of storing pops (it is full, read-only …),
	 * and since when (wall time); "" = it stores them. */
	char refused[160];
	int64_t refused_us;
};
/* The same: why and since when; NULL = it stores them. */
const char *pops_refused(const struct pops *, int64_t *since_us_r);
void pops_get_stats(const struct pops *, struct pops_stats *);

/* An agent's live stream (GET /v1/agents/{id}/stream): first what the stream holds after
 * `after` (0 = only what is open now; if the epoch was lost or `after` is too old for the
 * stream, the open pops as pop.open), then live, in order of seq, none twice. */
struct pop_feed;
typedef void pop_feed_fn(void *arg, uint64_t seq, const char *json, size_t len);
struct pop_feed *pop_feed_open(struct pops *, const struct tenant *, const char *agent,
	uint64_t after, pop_feed_fn *, void *arg);
void pop_feed_close(struct pop_feed **);

#endif
