/* pop_priv.h - what the files of the pops share; for daemon/desk/pop*.c only.
 *
 *	pops -> tenants -> lists (one per agent or queue: its keys, its order)
 *	     -> subjects -> pops (each on one list)
 *
 *	pop.c          pops: opening, changing, closing, wrap-up
 *	pop_subject.c  subjects and their cards
 *	pop_follow.c   contacts that change while they are shown
 *	pop_lookup.c   what the company's own system says of a stranger
 *	pop_json.c     the object
 *	pop_sight.c    the object for who may not see every contact
 *	pop_issue.c    what is sent to Redis, in which order, and again
 *	pop_adopt.c    after a restart; the pops open now
 *	pop_feed.c     an agent's stream
 *	pop_find.c     what is shown, or was, of somebody who is to be forgotten
 *	pop.lua, pop_feed.lua, pop_find.lua   what Redis does with it */
#ifndef INTERACTD_DESK_POP_PRIV_H
#define INTERACTD_DESK_POP_PRIV_H

#include <buf.h>
#include <desk/pop.h>
#include <list.h>
#include <log.h>
#include <map.h>
#include <uuid.h>

/* The epoch's word: 8 of ours; whatever a foreign hand wrote is cut here. */
#define POP_EPOCH_LEN 33
#define POP_MAX	      65536
/* For {"v":1,"type":"pop.update","epoch":"…","seq":18446744073709551615 */
#define POP_HEAD_MAX 128
#define POP_WORD_LEN 32 /* states, reasons */
#define POP_KEYS     5

struct adopt;

/* Where one agent's or one queue's pops go. Lives as long as its tenant: known_seq is
 * what tells that Redis has lost data. */
struct pop_list {
	struct pop_tenant *tenant;
	bool is_queue;
	char *id;	      /* as in keys */
	char *member;	      /* "agent:1001", its name in the open-index */
	char *keys[POP_KEYS]; /* epoch, stream, open, index, closed: the script's KEYS
			       */
	char *channel;
	char known_epoch[POP_EPOCH_LEN]; /* under which known_seq was learnt */
	uint64_t known_seq;		 /* the highest number an answer gave us */
	struct list waiting; /* of struct pop: something is to be sent, in this order */
	unsigned in_flight;
	bool held; /* Redis said no; nothing is sent until the next tick */
};

struct pop_tenant {
	struct pops *pops;
	const struct tenant *tenant;
	char epoch[POP_EPOCH_LEN]; /* "" = not known */
	struct map lists;	   /* member -> struct pop_list */
	bool asked;		   /* the epoch's watch waits for its answer */
};

enum pop_phase {
	POP_OPEN,    /* to be shown: pending while its subject waits for the card */
	POP_WRAPUP,  /* still shown, its timer runs */
	POP_CLOSING, /* ended; goes when Redis has confirmed the close */
};

enum pop_issued {
	POP_NOT_ISSUED, /* Redis has certainly not seen it */
	POP_UNSURE,	/* sent, or found after a restart; the answer is not there */
	POP_ISSUED,	/* Redis holds it, under pop.epoch */
};

struct pop {
	struct list link; /* in subject.shown_pops */
	struct list wait; /* in list.waiting */
	struct subject *subject;
	struct pop_list *list;
	struct uuid id;
	char text[UUID_TEXT_LEN];
	enum pop_phase phase;
	enum pop_issued issued;
	char epoch[POP_EPOCH_LEN]; /* "" = never confirmed */
	bool dirty;		   /* differs from what was last sent */
	bool quiet; /* from a replay: sends nothing of itself until something happens */
	bool needs_card;      /* adopted: what Redis holds is better than `degraded` */
	bool talked, counted; /* counted: as opened, in the statistics */
	bool done;	      /* the close is confirmed */
	unsigned in_flight;
	char state[POP_WORD_LEN], reason[POP_WORD_LEN];
	char *queue;
	int64_t began_us, at_us, waited_ms;
	int64_t asked_us; /* monotonic: pop_open; 0 = from a replay, or adopted */
	struct loop_timer *wrapup;
};

struct subject {
	struct list link; /* in pops.subjects */
	struct pops *pops;
	struct pop_tenant *tenant;
	bool ended; /* goes with its last pop */
	struct uuid interaction;
	char *channel, *kind, *direction, *queue, *call_id;
	char *remote_kind, *remote_value, *remote_display, *local, *variables;
	bool withheld, no_contact;
	bool forgotten; /* says nothing any more of who it is with */
	enum trust trust;
	int64_t at_us;

	bool wants_card; /* there is an address to look up */
	bool late;	 /* no card in time: pops go out without it */
	struct address address;
	struct card *card;
	char *unnamed; /* the contact made for an address we had not seen, or NULL */
	struct uuid shown;   /* the contact that pops show; nil = none */
	bool stale;	     /* the query began before a change: another follows it */
	bool told;	     /* the writer has told whose it is */
	struct uuid contact; /* …: this, or nobody's */
	struct card_query *query;
	int64_t asked_us; /* monotonic: when query began */
	struct loop_timer *deadline, *retry;
	/* pop_lookup.c */
	struct lookup_ask *lookup;
	bool looked_up;			 /* answered, or failed: not asked again */
	bool waits_for_lookup;		 /* pops do, till the deadline */
	json_t *person;			 /* what was found */
	struct subject_storing *storing; /* it is being written */
	bool stored;
	char *named; /* the contact, with what was found: shown instead of the card's */
	unsigned attempts;
	struct list shown_pops; /* of struct pop, closing ones too */
};

/* A command under way; its owner may be gone when the answer comes (owner NULL). */
struct pop_call {
	struct list link;  /* in pops.calls */
	struct pops *pops; /* NULL: freed meanwhile */
	void (*on_reply)(struct pop_call *, const struct redis_reply *);
	struct pop_list *list;
	struct pop_tenant *tenant;
	struct pop *pop;
	void *arg;
	char *text; /* freed with the call */
	bool closes;
};

/* How a pop ended that began and ended in a replay. */
struct replayed_end {
	char reason[POP_WORD_LEN];
	int64_t at_us;
};

struct pops {
	struct store *store;
	struct redis *redis;
	struct pops_opts opts;
	struct redis_script *script, *feed_script, *find_script;
	struct map tenants;  /* name -> struct pop_tenant */
	struct map by_id;    /* uuid -> struct pop */
	struct map replayed; /* uuid -> struct replayed_end, until adopted */
	struct list subjects, calls, feeds;
	struct adopt *adopt;
	bool silent;
	bool held; /* an answer was lost: nothing is sent until the next tick */
	bool was_up;
	int64_t watched_us; /* the epochs were last asked for (monotonic) */
	struct loop_timer *tick;
	int64_t tick_us; /* when it comes (monotonic) */
	struct log_once refused_log;
	int64_t refused_mono_us;	 /* stats.refused was said last */
	char fresh_epoch[POP_EPOCH_LEN]; /* offered to Redis should it have none */
	struct buf json;		 /* of the pop being sent */
	struct pops_stats stats;
};

/* ---- pop.c ---- */

/* Frees a pop, and its subject if that has ended and this was its last. */
void pop_free(struct pop **);
bool pop_is_live(const struct pop *); /* shown, or to be shown */
/* What it shows has changed at at_us (0: its own time stays). */
void pop_touch(struct pop *, int64_t at_us);

/* ---- pop_subject.c ---- */

bool subject_is_ready(const struct subject *); /* nothing to wait for any more */
bool subject_is_degraded(const struct subject *);
void
subject_fetch(struct subject *); /* asks for the card, if it is wanted and not here */
void subject_free(struct subject **);
/* It goes on without name, number and variables. */
void subject_forget(struct subject *);

/* ---- pop_lookup.c ---- */

/* Asks about the address, if it is to be and has not been. True: pops should wait. */
bool subject_look_up(struct subject *);
/* The card is a new one: what was found is put over it, if it names nobody. */
void subject_show_found(struct subject *);
void subject_forget_lookup(struct subject *);

/* In pop_subject.c: the card has to be asked for again; pops may go, or show something
 * else. */
void subject_ask_again(struct subject *);
void subject_release(struct subject *);
void subject_touch(struct subject *);
/* What the card says has changed: it is read again. */
void subject_card_changed(struct subject *);

/* ---- pop_json.c ---- */

/* Appends everything after the number: `,"at":…}`; at most POP_MAX with the head. */
void pop_json_tail(struct buf *out, const struct pop *);
/* The tail of the close of what `json`, an object of ours read from Redis, opened.
 * False if it is none. */
bool pop_json_close_tail(
	struct buf *out, const char *json, const char *reason, int64_t at_us);

struct pop_head {
	const char *type; /* "pop.open", type_len long */
	size_t type_len;
	char epoch[POP_EPOCH_LEN];
	uint64_t seq;
	const char *rest; /* from the comma after the type on */
};
bool pop_json_head(const char *json, size_t len, struct pop_head *);

/* ---- pop_sight.c ---- */

/* What of the contacts its agent may see; borrowed. */
const struct sight *pop_sight(const struct pop *);

/* ---- pop_issue.c ---- */

/* The list of an agent, or with queue = true of a queue. Characters that no id may have
 * become '_'. */
struct pop_list *
pop_list_get(struct pops *, const struct tenant *, const char *id, bool queue);
struct pop_list *pop_list_of_member(struct pop_tenant *, const char *member);
struct pop_tenant *pop_tenant_get(struct pops *, const struct tenant *);
/* interactd:<tenant>:<what>[<id>]; returns, caller frees. The one place where keys are
 * made. */
char *pop_key(const struct tenant *, const char *what, const char *id);

void pop_issue(struct pop *);  /* has something to send: now, or when Redis is back */
void pops_pump(struct pops *); /* everything that waits */
bool pops_can_send(const struct pops *);
void pops_hold(struct pops *); /* an answer was lost */
bool pops_are_refused(const struct pops *);
/* An answer names the tenant's epoch. */
void pop_tenant_learn(struct pop_tenant *, const char *epoch);
void pops_on_tick(void *arg);

struct pop_call *pop_call_new(
	struct pops *, void (*on_reply)(struct pop_call *, const struct redis_reply *));
/* redis_reply_fn with a struct pop_call as arg: calls on_reply unless the pops are
 * gone, then frees the call. */
void pop_call_done(void *call, const struct redis_reply *);
/* Answers still to come find no pop. */
void pop_calls_forget(const struct pop *);
/* Sends op ("put", "close", "sweep") for one pop of a list. */
struct pop_script_args {
	const char *op, *pop, *pop_epoch;
	int64_t at_us; /* put: its beginning; close: its end */
	const char *tail;
	size_t tail_len;
};
void pop_list_run(struct pop_list *, const struct pop_script_args *, struct pop_call *);

/* ---- pop_adopt.c, pop_feed.c ---- */

void pops_adopt_go_on(struct pops *); /* Redis is back */
void pops_adopt_free(struct pops *);
void pop_feeds_go_on(struct pops *);
void pop_feeds_orphan(struct pops *);
/* Numbers and objects that an answer of pop_feed.lua has. */
struct pop_read {
	const char *epoch;
	uint64_t last;
	enum { POP_READ_GOES_ON, POP_READ_SNAPSHOT, POP_READ_WAIT } kind;
	bool more; /* the page was full */
};
bool pop_read_parse(const struct redis_reply *, struct pop_read *);
/* The objects in order of seq; fn returns false to stop. */
typedef bool
pop_read_fn(void *arg, const struct pop_head *, const char *json, size_t len);
void pop_read_each(const struct redis_reply *, pop_read_fn *, void *arg);
void pop_list_read(struct pop_list *, uint64_t after, const char *epoch,
	redis_reply_fn *, void *arg);

#endif
