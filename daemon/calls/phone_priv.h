/* phone_priv.h - for daemon/calls/phone*.c only. */
#ifndef INTERACTD_CALLS_PHONE_PRIV_H
#define INTERACTD_CALLS_PHONE_PRIV_H

#include <calls/call_record.h>
#include <calls/history.h>
#include <calls/phone.h>
#include <log.h>
#include <map.h>

struct phone {
	struct loop *loop;
	const struct tenant *tenant;
	char *channel;
	char who[96];
	const struct phone_conf *conf;
	struct store *store;
	struct writer *writer;
	struct pops *pops;
	struct events *events;
	struct agents *agents;
	struct agent_states *states;
	struct spool *spool;
	struct tracker *tracker;
	struct gaps *gaps;
	struct history *history; /* NULL: none is configured */
	bool hearing;		 /* compared, and not lost since */
	int64_t replayed_us;	 /* the last event's time in the spool */
	struct list waiters;	 /* for the next comparison */
	struct loop_timer *tick, *flush;
	struct list calls;	/* struct phone_call.link */
	struct map by_id;	/* the same, by the interaction's id */
	struct list dirty;	/* struct phone_call.dirty_link: changed since saved */
	uint64_t opened_seq;	/* the first that this daemon may have appended */
	uint64_t replayed_from; /* nothing before it is in the tracker */
	uint64_t last_seq;	/* of the last event applied */
	uint64_t sent_checkpoint; /* given to the writer last */
	uint64_t flushed;	  /* last_seq at the last flush */
	bool replaying, synced, closing;
	bool forgotten; /* a call of somebody forgotten ended: its events may go now */
	bool frozen;	/* the checkpoint stays: a saving was refused */
	struct heal *heal; /* under way; phone_heal.c */
	struct loop_timer *heal_timer;
	unsigned heal_savings; /* of `savings` */
	struct map
		refused;  /* ids of calls whose end was refused, at most REFUSED_MAX */
	bool closed;	  /* freed with the last saving's answer */
	unsigned savings; /* given to the writer, not answered yet */
	/* The phone system's clock as its events tell it: the time of the last event (0 =
	 * none yet), and our monotonic clock then. */
	int64_t event_us, event_mono_us;
	struct log_once not_spooled_log, refused_log;
	struct histogram handling;
	unsigned long long events_seen, not_spooled;
	struct buf scratch;
};

/* A call alive, in the observer's hands (struct call.user). */
struct phone_call {
	struct list link, dirty_link;
	struct phone *phone;
	struct call *call;
	struct subject *subject;
	struct uuid contact; /* as the last commit had it; nil = not known, or nobody */
	unsigned savings;    /* given to the writer, not answered yet */
};

extern const struct tracker_observer phone_observer;

/* phone_heal.c: begins it, if it is time. */
void phone_heal_begin(struct phone *);
void phone_heal_on_timer(void *phone);
void phone_heal_end(struct phone *);
/* Saves a call that the healing found ended, or part of another, unless it lives here.
 * False if there is no room. */
bool phone_save_found(struct phone *, struct call *, const struct uuid *absorbed_by);
/* A tracker like the phone's own, told to that observer. */
struct tracker *
phone_tracker_new(struct phone *, const struct tracker_observer *, void *arg);

/* Takes out of the record what must not be told of a forgotten call. */
void phone_hide(const struct phone_call *, struct call_record *);
/* Saves calls changed since their last saving, and moves the checkpoint along. */
void phone_flush(struct phone *);
/* The time by the phone system's clock, as far as it is known. */
int64_t phone_now(const struct phone *);
/* The highest record that no living call needs. */
uint64_t phone_checkpoint(const struct phone *);
/* How endpoints become agents, for a tracker. */
struct tracker_directory phone_directory(struct phone *);
/* The region that the channel's numbers are read in. */
const char *phone_region(const struct phone *);
bool phone_is_own_number(const struct phone *, const char *number);
/* The subject is left alone: its pops are closed, or stay open for the next daemon. */
void phone_call_free(struct phone_call *);
void phone_free(struct phone *);

/* Writes a call of the history; done (ok) comes once, later. */
typedef void phone_saved_fn(void *arg, bool ok);
void phone_save_past(struct phone *, struct call *, const char *source,
	phone_saved_fn *done, void *arg);

/* phone_gap.c: of the observer; and what hearing it, or not, has to do with gaps. */
void phone_compared(void *arg, const struct tracker_compared *);
void phone_call_missed(void *arg, struct call *, enum tracker_missed);
void phone_gap_open(struct phone *, const struct phone_opts *);
void phone_gap_event(struct phone *, enum call_event_type); /* one was applied */
void phone_gap_tick(struct phone *);			    /* about every second */
void phone_gap_close(struct phone *);

#endif
