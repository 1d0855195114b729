/* tracker.h - makes calls of call events; one per phone system (channel).
 *
 * Pure but for its clock: no I/O, no SQL. Time comes with the events and with
 * tracker_tick. Events may come late, twice, out of order or never. The same events
 * (whatever the pieces they came in) give the same calls with the same ids.
 *
 * Bounded: at most max_channels live channels and calls (the oldest silent ones are
 * closed as interrupted beyond it, counted), 16 KiB of variables per call, 256 legs per
 * call, and the tombstones of ended channels (so that a repeated message begins
 * nothing) for 15 minutes, at most 65536. */
#ifndef INTERACTD_CALLS_TRACKER_H
#define INTERACTD_CALLS_TRACKER_H

#include <channel.h>
#include <calls/call.h>

struct tracker;

/* What a snapshot can prove that we had not heard; of a channel, so of its call. */
#define TRACKER_MISSED(M)                                                              \
	M(BEGIN, "begin", "the call began")                                            \
	M(END, "end", "the call ended")                                                \
	M(LEG, "leg", "a phone of ours was offered the call, or left it")              \
	M(ANSWER, "answer", "it was answered")                                         \
	M(BRIDGE, "bridge", "it was connected with others, or taken from them")        \
	M(QUEUE, "queue", "it joined or left a queue")                                 \
	M(PARK, "park", "it was parked, or fetched")

enum tracker_missed {
#define M(name, text, help) TRACKER_MISSED_##name,
	TRACKER_MISSED(M)
#undef M
		TRACKER_MISSED_KINDS
};
const char *tracker_missed_text(enum tracker_missed);

/* The outcome of one comparison with a snapshot. */
struct tracker_compared {
	bool live; /* no connection was lost: what was missed, was lost on a live one */
	bool stopped; /* the phone system stopped or started anew in between */
	int64_t since_us; /* the connection's loss, or the comparison before; 0 = the first */
	int64_t at_us;			       /* of the snapshot's end */
	unsigned missed[TRACKER_MISSED_KINDS]; /* channels, internal ones too */
	unsigned events;		       /* that were missed at least */
};

/* Told about every change, never inside a half-made one; may not call the tracker. */
struct tracker_observer {
	/* A call with an outside party is there (it may have been going on inside before
	 * that was clear). Its legs are told after it. */
	void (*call_begun)(void *arg, struct call *);
	/* Something a timeline shows changed: phase, agent, queue, variables, times. Several
	 * changes of one event come as one. */
	void (*call_changed)(void *arg, struct call *);
	/* Over: all is final, all its legs have been told ended. The call is freed after. */
	void (*call_ended)(void *arg, struct call *);
	/* Two calls turned out to be one (linked ids joined): `absorbed` goes without an
	 * ending; its interaction, if one was written, is to vanish silently. Its legs that
	 * live on are told as legs of `into` (leg_moved). Freed after. */
	void (*call_absorbed)(void *arg, struct call *absorbed, struct call *into);

	/* An agent's phone is offered the call, or the agent has it: open a pop. */
	void (*leg_begun)(void *arg, struct call *, struct call_leg *);
	void (*leg_changed)(void *arg, struct call *, struct call_leg *); /* state */
	void (*leg_ended)(
		void *arg, struct call *, struct call_leg *); /* result is set */
	/* The call waits in leg->queue (a queue pop), or does not any more (leg->state is
	 * LEG_ENDED, result answered, caller_hangup, no_answer or reassigned). */
	void (*queue_changed)(void *arg, struct call *, struct call_leg *);

	/* May be NULL. A call that was told ended because we had lost sight of it did end,
	 * only later: times, talk and disposition are now the true ones. Its `user` is NULL
	 * (the call was given up at call_ended), its id the same, its legs are not told
	 * again. Freed after. */
	void (*call_corrected)(void *arg, struct call *);

	/* May be NULL. A snapshot proved that this of the call was missed (after call_begun,
	 * before call_ended; once per kind and call). */
	void (*call_missed)(void *arg, struct call *, enum tracker_missed);
	/* May be NULL. A comparison is over: COMPARE_WAIT after the snapshot's end, as events
	 * may be behind the list; what of them comes in that time was not missed. Its
	 * call_missed came before. */
	void (*compared)(void *arg, const struct tracker_compared *);
};

/* How endpoints become agents: the directory's answer, beside the channel's pattern. */
struct tracker_directory {
	/* The agent who has `endpoint` (of `channel`) among their interfaces, or NULL.
	 * `pattern_agent` is what the channel's `agents` pattern says (prefix included), or
	 * NULL; the directory decides, and may refuse it. Answers live until the next call. */
	const char *(*agent_of)(void *arg, const char *channel, const char *endpoint,
		const char *pattern_agent);
	void *arg;
};

struct tracker_opts {
	const char *tenant, *channel;
	const struct phone_conf *conf; /* borrowed for the tracker's life */
	struct tracker_directory directory;
	const struct tracker_observer *observer; /* borrowed */
	void *observer_arg;
	unsigned max_channels; /* 0 = 20000 */
};

/* The id of the call that begins with the linked id `linked`, for one that has its time
 * inside ("anything-EPOCH.N", as Asterisk's own): so that it is known beforehand. */
struct uuid
tracker_call_id(const char *tenant, const char *channel, const char *linked);

struct tracker *tracker_new(const struct tracker_opts *);
/* Frees all; the observer is told nothing. */
void tracker_free(struct tracker **);

/* seq: the event's place in the spool (0 = none). */
void tracker_apply(struct tracker *, const struct call_event *, uint64_t seq);
/* The directory knows more than it did: phones of calls that live and were nobody's are
 * asked for again, and their legs begin to be told. An agent once found stays. */
void tracker_identify_again(struct tracker *);
/* Some endings wait up to 500 ms for their reason, and a snapshot's "gone" a moment for
 * the true ending. The next moment (wall us, as event times are) something is due, or
 * 0; then call tracker_tick with the time now. */
int64_t tracker_next_due(const struct tracker *);
void tracker_tick(struct tracker *, int64_t now_us);

/* The channel is there, as far as events and lists have told. */
bool tracker_knows(struct tracker *, const char *boot, const char *uid);
/* CALL_KNOWN and CALL_VOUCHED, as they are for a list's item before it is applied. */
unsigned tracker_item_flags(struct tracker *, const struct call_event *);

/* The lowest spool sequence that a call still alive needs, or UINT64_MAX. */
uint64_t tracker_oldest_seq(const struct tracker *);

struct tracker_stats {
	unsigned channels, calls;
	unsigned long long events, duplicates, unknown, interrupted, overflowed;
};
void tracker_get_stats(const struct tracker *, struct tracker_stats *);

#endif
