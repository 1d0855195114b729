/* agent_states.h - every agent's state: fed by phone systems, calls, sessions and the
 * API, passed on to the phone systems' queues, kept in PostgreSQL, told on …:events.
 *
 * All is in memory and works while PostgreSQL, Redis or a phone system is away; what is
 * missed there is written, published or passed on when it is back. What a state follows
 * from is agent_state.h. On the loop's thread. */
#ifndef INTERACTD_DESK_AGENT_STATES_H
#define INTERACTD_DESK_AGENT_STATES_H

#include <channel.h>
#include <desk/agent.h>
#include <desk/agent_state.h>
#include <desk/events.h>

struct agent_states;

struct agent_states_opts {
	struct store *store;
	struct agents *agents;
	struct events *events;
	unsigned wrapup_ms; /* [daemon] wrapup_s; 0 = a call's end begins none */
	/* A wrap-up is over, by its time or before; may be NULL. */
	void (*wrapup_ended)(void *arg, const struct tenant *, const char *agent);
	void *arg;
};

/* Adds its members to the agents' objects (agents_set_members). */
struct agent_states *agent_states_new(const struct agent_states_opts *);
/* The channels are closed before; orders not answered yet are forgotten. */
void agent_states_free(struct agent_states **);
/* Reads what was kept, again and again until it could: done(arg) then, once. Call it
 * when the tenants have their ids. */
void agent_states_load(struct agent_states *, loop_fn *done, void *arg);
bool agent_states_is_loaded(const struct agent_states *);
/* Nothing waits to be written. */
bool agent_states_is_saved(const struct agent_states *);

/* ---- The API ---- */

#define AGENT_UNTIL_MAX_US (24 * 3600 * INT64_C(1000000))

struct agent_wish {
	enum agent_mode mode;
	const char *reason; /* "" or NULL = none; checked: no control characters */
	int64_t until_us;   /* of WRAPUP; 0 = wrapup_s, or a minute if that is off */
	const char *by;	    /* "agent:1001", "key:crm" */
};
void agent_states_set(struct agent_states *, const struct tenant *, const char *id,
	const struct agent_wish *);
/* The members of a state: state, reason, since, until, source, by, on_call, calls,
 * phone, phone_why. Any id: one that nothing is known of is offline. */
void agent_states_put(struct agent_states *, const struct tenant *, const char *id,
	struct json_out *);
/* Something was said of them, now or before a restart. */
bool
agent_states_knows(const struct agent_states *, const struct tenant *, const char *id);
/* A web session of the agent began (1) or ended (-1). */
void agent_states_session(
	struct agent_states *, const struct tenant *, const char *id, int change);
/* Agents by mode. */
void
agent_states_count(struct agent_states *, unsigned long counts_r[AGENT_MODE_COUNT]);

/* ---- Calls ---- */

/* The agent talks on this leg (or has it on hold). */
void agent_states_on_call(struct agent_states *, const struct tenant *,
	const char *agent, const struct uuid *leg);
/* The leg is over, at this wall time: wrap-up begins if they talked. Unknown legs too. */
void
agent_states_call_over(struct agent_states *, const struct uuid *leg, int64_t at_us);

/* ---- Phone systems: the sink of io/channel.h ---- */

void agent_states_member_event(
	struct agent_states *, struct channel *, const struct member_event *);
void agent_states_channel(struct agent_states *, struct channel *, bool up);
/* It is about to be closed. */
void agent_states_forget_channel(struct agent_states *, const struct channel *);

#endif
