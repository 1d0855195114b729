/* phone.h - one phone system at work: its events through the spool and the tracker, its
 * calls into timeline and pops.
 *
 *   driver -> phone_event -> spool (disk) -> tracker -> subject/pops (Redis)
 *                                               `----> writer (PostgreSQL, checkpoint)
 *
 * An event is in the spool before anything is done with it. The checkpoint committed
 * with a call's end is the highest record that no living call needs, so that after a
 * crash phone_replay makes the same calls with the same ids again. */
#ifndef INTERACTD_CALLS_PHONE_H
#define INTERACTD_CALLS_PHONE_H

#include <channel.h>
#include <desk/agent.h>
#include <desk/agent_states.h>
#include <desk/events.h>
#include <desk/pop.h>
#include <histogram.h>
#include <io/spool.h>
#include <calls/gap.h>
#include <calls/tracker.h>
#include <timeline/writer.h>

struct phone;

struct phone_opts {
	struct loop *loop;
	const struct tenant *tenant;
	const char *channel;
	const struct phone_conf *conf;			/* borrowed for life */
	const struct channel_history *const *histories; /* the driver's; may be NULL */
	struct store *store;
	struct writer *writer;
	struct pops *pops;
	struct events *events;
	struct agents *agents;
	struct agent_states *states; /* NULL: nobody wants to know */
	struct spool_opts spool;
	uint64_t checkpoint; /* as loaded from the database, or: */
};
/* The database cannot say now: everything that the spool holds is replayed (what was
 * written before is written once more, which changes nothing), and
 * phone_take_checkpoint comes later. */
#define PHONE_CHECKPOINT_UNKNOWN UINT64_MAX

struct phone *phone_open(const struct phone_opts *, struct err *);
/* Applies what the spool holds past the checkpoint, silently: no pop opens, no event is
 * published for what was known. Returns how many records. Before any phone_event. */
uint64_t phone_replay(struct phone *);
void phone_event(struct phone *, const struct call_event *);
/* The agents were loaded (again): phones that were nobody's may be somebody's now. */
void phone_agents_loaded(struct phone *);
/* What the database has as checkpoint, learnt after phone_open. True if it must be set
 * back to *back_r before anything is written: the spool's directory was lost or is an
 * older one, and its new records would count as done. */
bool
phone_take_checkpoint(struct phone *, uint64_t checkpoint, uint64_t *back_r) MUST_CHECK;
/* Calls still alive stay in the spool for the next daemon. */
void phone_close(struct phone **);

/* What the next comparison with a snapshot finds; NULL: none came in 20 s, or it closes.
 * fn comes once, later; while the phone's database questions wait, at once all the same. */
struct phone_comparison {
	struct tracker_compared compared;
	bool has_gap;
	struct uuid gap; /* the id of its record */
};
typedef void phone_compared_fn(void *arg, const struct phone_comparison *);
void phone_on_compared(struct phone *, phone_compared_fn *fn, void *arg);

/* Calls with somebody who is to be forgotten go on as nobody's; what the spool has of them
 * goes once they are over. Returns how many live. */
unsigned phone_forget(struct phone *, const struct privacy_subject *);

/* The calls alive now, as items of a JSON array (interaction objects of contract.md). */
void phone_calls_json(struct phone *, struct json_out *);
/* Members for the channel's object in /v1/status. */
void phone_status_json(const struct phone *, struct json_out *);
/* True once a snapshot has been taken in whole since the start. */
bool phone_is_synced(const struct phone *);

struct phone_stats {
	struct tracker_stats tracker;
	struct gaps_stats gaps;
	struct spool_stats spool;
	struct histogram handling; /* of an event: spooled, tracked, told on */
	unsigned long long events, not_spooled;
	uint64_t checkpoint;
	bool frozen; /* some calls are in the spool only, until there is room */
};
void phone_get_stats(const struct phone *, struct phone_stats *);

#endif
