/* agent_states_priv.h - for daemon/desk/agent_states*.c, agent_phones.c and
 * agent_orders.c only.
 *
 *	agent_states.c        the agents' records: what changes them, timers, JSON
 *	agent_phones.c        phones and queue memberships, live and listed
 *	agent_orders.c        pauses passed to the phone systems, and their echoes
 *	agent_states_store.c  PostgreSQL */
#ifndef INTERACTD_DESK_AGENT_STATES_PRIV_H
#define INTERACTD_DESK_AGENT_STATES_PRIV_H

#include <desk/agent_states.h>
#include <list.h>
#include <log.h>
#include <map.h>

#define AGENT_ECHOES_MAX 4
#define AGENT_SAVE_MAX	 64

struct agent_record {
	struct list link;     /* in states.records */
	struct list dirty;    /* in states.dirty: to be written */
	struct list wrapping; /* in states.wrapping: its wrap-up runs */
	struct list phones;   /* struct agent_phone */
	const struct tenant *tenant;
	char *id;
	struct agent_facts facts;
	int64_t wrapup_due_us; /* monotonic */
	unsigned calls, sessions;
	/* as told last */
	enum agent_mode told_mode;
	char told_reason[AGENT_REASON_LEN];
	int64_t told_until_us;
};

/* One channel, as far as it tells of phones. */
struct phone_source {
	struct list link; /* in states.sources */
	struct channel *channel;
	const struct tenant *tenant;
	const struct phone_conf *conf;
	struct map phones; /* name -> struct agent_phone */
	bool up, listed;   /* listed: its members are known, on this connection */
	unsigned round;	   /* counts lists */
	bool skew_known;
	int64_t skew_us; /* our clock less the phone system's, as least seen */
	int64_t lost_us; /* wall time of the last connection's end; 0 = none */
};

/* A pause of ours that the phone system will tell us of. */
struct agent_echo {
	bool paused;
	int64_t until_us; /* monotonic; INT64_MAX: its order is not answered yet */
};

/* A phone's membership of a queue. */
struct agent_queue {
	struct list link; /* in agent_phone.queues */
	char *name;
	bool paused;
	char reason[AGENT_REASON_LEN];
	int64_t last_pause_us; /* by our clock */
	int before; /* paused when the last connection ended; -1 = not known */
	unsigned round;
	struct agent_echo echoes[AGENT_ECHOES_MAX]; /* oldest first */
	unsigned n_echoes;
};

enum order_result { ORDER_NONE, ORDER_TAKEN, ORDER_REFUSED };

/* A phone, or what a queue calls its member (Local/1001@agents/n). */
struct agent_phone {
	struct list link; /* in agent_record.phones; in none if it is nobody's */
	struct phone_source *source;
	struct agent_record *agent;
	unsigned long generation; /* of the directory, when its agent was looked up */
	char *name, *endpoint, *presence; /* endpoint: whose it is follows from it */
	enum device_state device;
	int64_t device_us;
	unsigned round; /* of the list that told its device last */
	struct list queues;
	unsigned n_queues;
	struct agent_order *order; /* passed on, not answered yet */
	/* the last that was answered, until something else happens there */
	enum order_result result;
	bool ordered;
	char ordered_reason[AGENT_REASON_LEN], why[160];
	/* What we want there, if anything; and whether it was so since we want it. */
	bool wished, wish, agreed;
	char wish_reason[AGENT_REASON_LEN];
	struct log_once refused_log;
};

struct agent_order {
	struct list link;	     /* in states.orders */
	struct agent_states *states; /* NULL: freed meanwhile */
	struct agent_phone *phone;
	bool paused;
	char reason[AGENT_REASON_LEN];
};

/* A statement under way; the states may be gone when its answer comes. */
struct agent_saving {
	struct list link; /* in states.savings */
	struct agent_states *states;
	struct agent_record *records[AGENT_SAVE_MAX]; /* being written */
	size_t n;
};

struct agent_states {
	struct agent_states_opts opts;
	struct map by_id; /* "tenant\nid" -> struct agent_record */
	struct list records, dirty, wrapping, sources, orders, savings;
	struct map legs; /* uuid -> struct agent_record */
	unsigned long generation;
	struct loop_timer *wrapup, *save, *load;
	struct log_once failed_log;
	bool loaded, loading, saving;
	loop_fn *on_loaded;
	void *on_loaded_arg;
};

/* ---- agent_states.c ---- */

/* NULL if there is none; get makes one, or NULL if there are too many. */
struct agent_record *
agent_record_find(const struct agent_states *, const char *tenant, const char *id);
struct agent_record *
agent_record_get(struct agent_states *, const char *tenant, const char *id);
/* Something about it has changed: tells, arms, passes on. kept: what is written too. */
void agent_record_changed(struct agent_states *, struct agent_record *, bool kept);
void agent_record_arm(struct agent_states *, struct agent_record *);

/* ---- agent_phones.c ---- */

/* Looks up whose phone is whose again, if that may have changed. */
void agent_phones_refresh(struct agent_states *);
void agent_phones_reach(struct agent_record *, int64_t at_us);
/* All memberships on this phone system are paused, and there is one. */
bool agent_phones_all_paused(const struct agent_record *, const struct phone_source *);
/* What the lists taken so far say, now that what was kept is loaded. */
void agent_phones_judge(struct agent_states *);
void agent_phones_put(const struct agent_record *, struct json_out *);
void agent_sources_free(struct agent_states *);

/* ---- agent_orders.c ---- */

/* Passes what is wanted to every phone that does not have it. */
void agent_orders_pump(struct agent_states *, struct agent_record *);
/* The event is told because of an order of ours. */
bool agent_echo_take(struct agent_queue *, bool paused);
/* "none", "ok", "pending" or "refused"; why: of the last, else NULL. */
const char *agent_orders_text(const struct agent_record *, const char **why_r);
void agent_orders_forget(struct agent_states *);

/* ---- agent_states_store.c ---- */

void agent_states_save(void *states); /* what is dirty, now */
void agent_states_begin_load(void *states);
void agent_states_store_free(struct agent_states *);

#endif
