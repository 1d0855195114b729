/* gap.h - when a phone system was not heard, and what was missed then.
 *
 * A gap is a row of the table `gap`: from when to when, why, what a comparison proved
 * missed, and which interactions it touches (`gap_call`). It is one of four causes:
 *
 *	daemon_down		from when we last heard it, before we ended, to the first
 *				comparison of this start
 *	disconnected		from the connection's loss to the comparison after it
 *	phone_system_restarted	the same, and it stopped or started anew in between
 *	events_lost		a comparison on a live connection proved something missed
 *
 * The first three are recorded always, the last only if something was missed. One struct
 * gaps per phone system; what it has to write waits while the database is away. */
#ifndef INTERACTD_CALLS_GAP_H
#define INTERACTD_CALLS_GAP_H

#include <calls/tracker.h>
#include <desk/events.h>
#include <json.h>
#include <people/store.h>

/* One list makes the enum, the words in the database, the metric's labels. */
#define GAP_CAUSES(C)                                                                  \
	C(DAEMON_DOWN, "daemon_down")                                                  \
	C(DISCONNECTED, "disconnected")                                                \
	C(RESTARTED, "phone_system_restarted")                                         \
	C(EVENTS_LOST, "events_lost")

enum gap_cause {
#define C(name, text) GAP_##name,
	GAP_CAUSES(C)
#undef C
		GAP_CAUSE_COUNT
};
const char *gap_cause_text(enum gap_cause);

struct gap_period {
	struct uuid id;
	int64_t began_us, ended_us; /* by the phone system's clock */
};

struct gaps;
struct gaps_opts {
	struct store *store;
	struct events *events;
	const struct tenant *tenant;
	const char *channel; /* copied */
	bool history; /* the phone system's own records will be read: gaps wait for it */
	/* A gap is in the database, and waits for the history; also those that an earlier
	 * daemon left so. May be NULL. */
	void (*recorded)(void *arg, const struct gap_period *);
	void *arg;
};

struct gaps *gaps_new(const struct gaps_opts *);
/* Waits a moment, running the loop, for what is under way; the rest is lost. */
void gaps_free(struct gaps **);

/* The phone system was heard until then; written at most every 30 s, or at once if it is
 * not heard any more. */
void gaps_heard(struct gaps *, int64_t at_us, bool last);
/* The daemon before us heard it then: the last event in its spool. */
void gaps_heard_before(struct gaps *, int64_t at_us);
/* A call is touched by the gap whose comparison comes next: TRACKER_MISSED_KINDS = it was
 * up, and nothing is known to be missing of it. */
void gaps_touch(struct gaps *, const struct uuid *call, enum tracker_missed);
/* Records the gap that this comparison shows: true and its id; false if there is none. */
bool gaps_compared(struct gaps *, const struct tracker_compared *, struct uuid *gap_r);
/* What the history gave for a gap. calls: the n interactions that only it knew; error:
 * NULL, or why it could not be read. */
void gaps_filled(struct gaps *, const struct uuid *gap, const char *error,
	unsigned completed, const struct uuid *calls, size_t n);

struct gaps_stats {
	unsigned long long by_cause[GAP_CAUSE_COUNT];
	unsigned long long missed_calls;  /* their beginning or end, or the whole */
	unsigned long long missed_events; /* at least */
	unsigned long long written, completed; /* from the history */
	int64_t compared_us; /* the last comparison's snapshot; 0 = none yet */
	size_t waiting;	     /* to be written */
};
void gaps_get_stats(const struct gaps *, struct gaps_stats *);

/* A page of a channel's gaps, newest first: {"items":[…],"next":…}. */
void gap_list(struct store *, const struct tenant *, const char *channel,
	unsigned limit, const char *cursor, store_answer_fn *, void *arg);

/* {"begin":0,"end":1,…} */
void
gap_put_missed(struct json_out *, const char *key, const struct tracker_compared *);

#endif
