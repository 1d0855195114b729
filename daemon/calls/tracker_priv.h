/* tracker_priv.h - for daemon/calls/tracker*.c only.
 *
 * Events write facts about channels (struct chan): who dialled it, its state, its bridge,
 * how its offer ended. After each event the groups it touched are settled: what the call
 * and its legs are now is derived from the facts, and differences are told. So the order
 * in which facts arrive hardly matters, and a fact told twice changes nothing.
 *
 *	tracker.c	    the events' way in, settling, timers
 *	tracker_channel.c   channels, groups (linked ids), bridges, tombstones
 *	tracker_call.c	    when a group is a call with the outside; its customer, variables
 *	tracker_leg.c	    agents' legs: when they begin, are answered, end, and why
 *	tracker_queue.c	    waiting in queues
 *	tracker_meter.c	    who is connected with whom; talk, hold, phase
 *	tracker_transfer.c  transfers, parking, pickup, originate
 *	tracker_snapshot.c  comparing with the phone system's own list; channels lost
 *	tracker_compare.c   what a comparison proved that we had missed
 *	tracker_end.c	    dispositions, durations, endings
 *
 * Times are event times (us). A group is in `dirty` while it waits to be settled, and in
 * `due` (sorted) while a moment is set when it is to be settled without an event. */
#ifndef INTERACTD_CALLS_TRACKER_PRIV_H
#define INTERACTD_CALLS_TRACKER_PRIV_H

#include <buf.h>
#include <calls/tracker.h>
#include <map.h>

#define REASON_WAIT_US	500000	/* an ending waits so long for its reason */
#define UNHOLD_WAIT_US	200000	/* taken back, or about to be transferred? */
#define APART_WAIT_US	2000000 /* apart for so long is on hold, without a word of it */
#define MISSING_WAIT_US 1000000 /* a late hangup may still tell the true ending */
#define COMPARE_WAIT_US 1500000 /* events may come so long behind a list */
#define BRIEF_US	300000 /* nobody is offered a call and done with it meanwhile */
#define INSTANT_US	20000  /* nor is a call given up that was not answered yet */
#define TOMBSTONE_US	(15 * 60 * INT64_C(1000000))
#define TOMBSTONES_MAX	65536
#define MAX_CHANNELS	20000
#define VARS_BYTES_MAX	(16 * 1024)
#define LEGS_MAX	256
#define ORIGINATES_MAX	1024

enum side {
	SIDE_UNKNOWN, /* no endpoint known */
	SIDE_OUTSIDE, /* a trunk */
	SIDE_AGENT,
	SIDE_INSIDE, /* neither: an internal phone, an application */
	SIDE_LOCAL,  /* half of a Local channel: no leg of its own */
};

enum meter { METER_NONE, METER_TALK, METER_HOLD };

struct tleg;
struct tcall;
struct group;

struct bridge {
	char *id;
	struct list chans; /* struct chan.bridge_link */
	bool parking;	   /* a place to wait: its members do not talk */
	bool known;	   /* an event said what it is, not only a list */
};

struct chan {
	struct list group_link, lru_link, bridge_link, leg_link;
	struct group *group;
	struct bridge *bridge;
	struct tleg *leg; /* open, of whatever call; phones of one agent share it */
	struct tleg *queue_leg; /* open: it waits in a queue */
	struct tcall *root_of;	/* the outgoing call that it dials */
	char *uid;		/* as key: with its boot */
	char *plain_uid;	/* points into uid */
	char *endpoint, *presence, *agent;
	char *number, *display, *connected, *exten, *language;
	enum side side;
	enum call_channel_state state;
	bool outgoing; /* the phone system dialled out on it */
	bool asked;    /* we asked for it (originate), nothing was seen of it yet */
	bool withheld;

	char *dialer; /* uid of who dials it; NULL: nobody (originate) or not known */
	char *dial_number, *shown_number;
	char *partner;	   /* uid of a Local channel's other half */
	char *local_name;  /* what both halves' names begin with; once listed */
	char *offer_queue; /* the queue that offers the call to it */
	bool dialled, answered, no_answer, hold, parked, far_hangup, asked_hangup,
		shutdown;
	bool leg_done;	     /* had its leg; only a new bridge gives it another */
	bool spent;	     /* an outside channel whose call is over */
	bool gone, vanished; /* hung up; vanished: we only know that it is not there */
	bool unheard; /* time of it was not heard, and nothing has told of that time */
	bool dark;    /* for so long that an agent may have had it meanwhile */
	bool was_unheard;
	enum call_result dial_result; /* the first that came */
	int cause, request_cause;
	int64_t offered_us, answered_us, off_us, gone_us, last_us, unhold_us;
	int64_t missing_due_us, missing_last_us; /* when given up; surely there until */

	char *queue; /* that it waits, or last waited, in */
	enum call_result queue_result;
	int64_t queue_join_us, queue_left_us;
	bool queue_abandoned;
	bool queue_over; /* its wait is over, though the queue still lists it */
	bool queue_left_unheard;

	struct call_variable *vars;
	unsigned n_vars, vars_bytes;
	unsigned snapshot; /* the last that listed it */
	bool snapshot_waiting, snapshot_parked;
	unsigned
		doubts; /* bits of enum tracker_missed: a list said so, no event (yet) */
	unsigned long long last_event, bridge_event, queue_event; /* their numbers */
	unsigned mark; /* == tracker.mark: connected with the customer */
};

/* Channels that belong together: one linked id. */
struct group {
	struct list link, dirty_link, due_link;
	char *linked;
	struct list chans;
	unsigned n_alive;
	struct tcall *call;
	int64_t at_us, due_us;
	uint64_t first_seq;
	bool rooted;	/* its first channel was seen to begin, or a snapshot had it */
	bool recovered; /* known from a snapshot */
	bool at_once;	/* its call does not wait for the snapshot's end */
	bool over;	/* a replay's: what was of it was over before */
	char *originate_number; /* asked for: the agent's phone first, then this */
	bool originate_outside; /* and that is outside, whatever it looks like */
};

struct tleg {
	struct call_leg pub;
	struct tcall *call;
	struct list chans;   /* struct chan.leg_link */
	struct chan *waiter; /* of a wait in a queue: its channel, while it is there */
	bool told, changed, outgoing;
	bool connected_once;
	enum call_reason forced; /* known whatever the channels say */
	int64_t forced_us, off_us, apart_us, due_us;
	enum meter meter;
	int64_t meter_us;
	bool shutdown, lost;
	int cause;
	enum call_result result;
	bool no_answer;
};

struct tcall {
	struct call pub;
	struct group *group;
	struct chan *customer; /* NULL: none yet */
	struct chan *root;     /* outgoing: the agent's channel that dials */
	bool told, changed;
	bool number_final; /* outgoing: the number comes from the dial string */
	bool far_hangup, shutdown, lost, queue_rejected;
	enum call_result out_result;
	int out_cause;
	int64_t ring_us; /* outgoing: the customer's phone was dialled */
	int64_t last_answer_us;
	enum meter meter, meter_lost;
	int64_t meter_us, talk_us, hold_us;
	unsigned vars_bytes;
	int64_t due_us;
	unsigned missed_told; /* bits of pub.missed */
	char *key; /* its first linked id, with its boot; #2 for the second with that */
	struct list absorbed, absorbed_link; /* calls that became part of this one */
};

struct tombstone {
	struct list link;
	char *uid;
	int64_t at_us;
	struct tcall *lost; /* ended `interrupted`; its true ending may come late */
};

struct originate {
	struct list link;
	char *uid, *number;
};

struct tracker {
	struct tracker_opts opts;
	char *tenant, *channel;
	unsigned max_channels;
	struct map chans, groups, bridges, tombs; /* uid, linked id, bridge id, uid */
	struct list groups_list;		  /* in the order of first_seq */
	struct list dirty, due;
	struct list lru; /* struct chan.lru_link, longest silent first */
	struct list tomb_list, originates;
	unsigned n_tombs, n_originates, n_calls;
	int64_t now_us; /* the latest event's time */
	int64_t link_lost_us;
	uint64_t seq; /* of the event being applied */
	unsigned long long event_no, snapshot_begin_no;
	unsigned snapshot, mark;
	bool in_snapshot, listed; /* listed: the event is an item of a snapshot */
	bool link_lost, stopped;  /* since the last comparison */
	int64_t compared_us;	  /* of the last one; 0 = none */
	int64_t compare_due_us;	  /* one waits to be told; 0 = none does */
	struct tracker_compared comparison; /* being made */
	struct tracker_stats stats;
	struct buf key, other_key;
};

/* tracker.c */
void tracker_touch(struct tracker *, struct group *); /* settle it soon */
void tracker_settle(struct tracker *);		      /* all that was touched, now */

/* tracker_channel.c */
struct chan *chan_find(struct tracker *, const char *boot, const char *uid);
struct chan *chan_by_key(struct tracker *, const char *key); /* NULL if key is NULL */
/* Finds or makes the channel that ev begins or lists. NULL if it is over already. */
struct chan *chan_upsert(struct tracker *, const struct call_event *ev);
/* Takes what ev says of its channel. */
void chan_update(struct tracker *, struct chan *, const struct call_event *ev);
void chan_set_other(struct tracker *, struct chan *, const struct call_event *ev);
void chan_seen(struct tracker *, struct chan *); /* alive right now */
/* It hangs up: if nobody heard whether it was answered, its state tells. */
void chan_tell_answer(struct tracker *, struct chan *);
void chan_relink(struct tracker *, struct chan *, const char *linked);
/* For systems without linked ids: the younger's channel joins the elder's group. */
void chan_union(struct tracker *, struct chan *, struct chan *);
void chan_gone(struct tracker *, struct chan *, int64_t at_us);
void chan_free(struct tracker *, struct chan *);
bool chan_is_buried(struct tracker *, const char *boot, const char *uid);
void chan_enter(struct tracker *, struct chan *, const char *bridge, bool parking);
void chan_leave(struct tracker *, struct chan *);
void chan_touch(struct tracker *, struct chan *); /* all it has to do with */
void chan_set(char **field, const char *value);	  /* copies if it differs */
struct group *group_of_linked(struct tracker *, const char *linked);
/* It holds something that old. */
void group_is_as_old(struct tracker *, struct group *, uint64_t first_seq);
void group_free(struct tracker *, struct group *);
struct tombstone *tomb_find(struct tracker *, const char *boot, const char *uid);
void tombs_expire(struct tracker *, bool all);
void tomb_bury(struct tracker *, const char *key);

/* tracker_call.c */
void call_begin_if_due(struct tracker *, struct group *);
void call_choose_customer(struct tracker *, struct tcall *);
void call_take_channel(struct tracker *, struct tcall *, struct chan *);
void call_absorb(struct tracker *, struct tcall *gone, struct tcall *into);
void call_free(struct tcall *);
void call_set_text(struct tcall *, char **field, const char *value);
void call_add_recording(struct tcall *, const char *where);
struct uuid call_derive_id(struct tracker *, const struct tcall *, const char *what);
bool call_involves(const struct tcall *, const struct chan *);
void call_choose_phone(struct tracker *, struct tcall *);

/* tracker_leg.c */
void legs_open(struct tracker *, struct tcall *);
void legs_settle(struct tracker *, struct tcall *);
struct tleg *leg_new(struct tracker *, struct tcall *, enum leg_type, const char *uid,
	int64_t at_us);
void leg_end(struct tracker *, struct tcall *, struct tleg *, enum call_reason,
	int64_t at_us);
void legs_end_all(struct tracker *, struct tcall *, int64_t at_us);
void leg_force(struct tracker *, struct chan *, enum call_reason);
/* The directory knows only now whose phone it is. */
void leg_take_agent(struct chan *);
/* The channel is dialled on behalf of the customer. */
bool leg_is_offered(struct tracker *, const struct tcall *, const struct chan *);
struct tleg *leg_of(struct list *link);

/* tracker_queue.c */
void queue_joined(struct tracker *, struct chan *, const char *queue, int64_t since_us);
void queue_left(struct tracker *, struct chan *, const struct call_event *);
void queue_settle(struct tracker *, struct tcall *);
void queue_end(struct tracker *, struct tcall *, int64_t at_us);

/* tracker_meter.c */
void meter_connect(struct tracker *, struct tcall *); /* marks who is connected */
bool meter_is_connected(const struct tracker *, const struct chan *);
void meter_settle(struct tracker *, struct tcall *);
void meter_leg(struct tracker *, struct tleg *, enum meter, int64_t at_us);
void meter_stop(struct tcall *, int64_t at_us);
void meter_phase(struct tcall *);

/* tracker_transfer.c */
void transfer_apply(struct tracker *, const struct call_event *);
void park_set(struct tracker *, struct chan *, bool parked);
void park_end(struct tracker *, struct tcall *, enum call_reason, int64_t at_us);
void originate_new_channel(struct tracker *, struct chan *);
void originate_hung_up(struct tracker *, struct chan *);
void originates_clear(struct tracker *);

/* tracker_snapshot.c */
void snapshot_apply(struct tracker *, const struct call_event *);
void snapshot_lost(struct tracker *, struct chan *); /* its time is up */
void snapshot_overflow(struct tracker *); /* makes room for one more channel */

/* tracker_compare.c */
void compare_doubt(struct tracker *, struct chan *, enum tracker_missed);
void
compare_heard(struct chan *, enum call_event_type); /* an event, not a list, says it */
void compare_gone(struct tracker *, struct chan *); /* it will be heard of no more */
void
compare_lost(struct tracker *, struct chan *); /* the list proved that it is gone */
void compare_begin(struct tracker *);	       /* the snapshot's end has come */
void compare_interrupted(struct tracker *);    /* the connection was lost */
/* Settles what is in doubt and tells the outcome, once it is due. */
void compare_tick(struct tracker *, int64_t now_us);
void compare_tell_call(struct tracker *, struct tcall *);

/* tracker_end.c */
void end_settle(struct tracker *, struct tcall *);
void end_correct(struct tracker *, struct tombstone *, const struct call_event *);
enum call_reason end_outgoing_reason(const struct tcall *);

#endif
