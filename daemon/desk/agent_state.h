/* agent_state.h - the one state of an agent, decided from what was said and when. Pure:
 * no clock, no I/O; agent_states.h keeps one of these for every agent.
 *
 * Three things are said of an agent, each with its own time, in any order:
 *   a choice    available, paused (reason) or offline: by the API, or by a pause at the
 *               phone system; the latest by its time holds
 *   a wrap-up   began at a call's end, or was asked for; it covers a choice until its
 *               time is over, or until `available` or `offline` is chosen after it began
 *   reach       whether any phone (or web session) of theirs can be reached; without,
 *               the agent is offline, and what they were when it comes back
 * The same things said in any order give the same state. */
#ifndef INTERACTD_DESK_AGENT_STATE_H
#define INTERACTD_DESK_AGENT_STATE_H

#include <stdbool.h>
#include <stdint.h>

#define AGENT_MODES(M)                                                                 \
	M(OFFLINE, "offline", "not there")                                             \
	M(AVAILABLE, "available", "takes what comes")                                  \
	M(PAUSED, "paused", "there, and takes nothing (reason)")                       \
	M(WRAPUP, "wrapup", "works on what was, until a time")

enum agent_mode {
#define M(name, text, help) AGENT_##name,
	AGENT_MODES(M)
#undef M
		AGENT_MODE_COUNT
};
const char *agent_mode_text(enum agent_mode);
int agent_mode_parse(const char *); /* -1 if it is none */

/* Who or what made it so; the higher wins if two times are the same. */
#define AGENT_SOURCES(S)                                                               \
	S(NONE, "none", "nobody has said anything yet")                                \
	S(TIMER, "timer", "wrap-up's time was over")                                   \
	S(CALL, "call", "a call ended")                                                \
	S(PHONE, "phone", "the phone system")                                          \
	S(API, "api", "the API (by: whose key or token)")

enum agent_source {
#define S(name, text, help) AGENT_BY_##name,
	AGENT_SOURCES(S)
#undef S
};
const char *agent_source_text(enum agent_source);
int agent_source_parse(const char *); /* -1 if it is none */

/* Bytes with the NUL. The reason is what Asterisk's queues keep of one (app_queue.c:
 * reason_paused). */
#define AGENT_REASON_LEN 80
#define AGENT_BY_LEN	 128

struct agent_choice {
	enum agent_mode mode; /* not WRAPUP */
	int64_t at_us;	      /* wall time of the change; 0 = none was made */
	enum agent_source source;
	char reason[AGENT_REASON_LEN], by[AGENT_BY_LEN]; /* "" = none */
};

struct agent_wrapup {
	int64_t at_us, until_us; /* 0 = there was none */
	enum agent_source source;
	char by[AGENT_BY_LEN];
	bool over; /* its timer came, whatever the wall clock says */
};

struct agent_facts {
	struct agent_choice choice;
	struct agent_wrapup wrapup;
	int64_t cleared_us; /* the latest choice that ends wrap-ups */
	bool unreachable;
	int64_t reach_us; /* since when; 0 = it has not changed */
	int64_t seen_us;  /* first sign of life; 0 = none */
};

struct agent_state {
	enum agent_mode mode;
	int64_t since_us, until_us; /* until: of WRAPUP, else 0 */
	enum agent_source source;
	const char *reason, *by; /* of the facts; "" = none */
};

/* Each returns whether anything it keeps has changed. */
bool agent_facts_choose(struct agent_facts *, const struct agent_choice *);
bool agent_facts_wrapup(struct agent_facts *, const struct agent_wrapup *);
bool agent_facts_reach(struct agent_facts *, bool reachable, int64_t at_us);
bool agent_facts_see(struct agent_facts *, int64_t at_us);
/* What another copy knows (the database's) is brought in. */
bool agent_facts_merge(struct agent_facts *, const struct agent_facts *other);

/* Borrows from the facts. */
void
agent_state_of(const struct agent_facts *, int64_t now_us, struct agent_state *state_r);
/* A wrap-up covers the choice now. */
bool agent_is_wrapping_up(const struct agent_facts *, int64_t now_us);

/* What the phone system's queues are to do: 1 = pause (with reason), 0 = not, -1 = leave
 * them as they are (nobody has chosen anything). */
int
agent_wants_pause(const struct agent_facts *, int64_t now_us, const char **reason_r);
/* A reason that only agent_wants_pause gives: a pause with it is our own mark. */
bool agent_reason_is_mark(const char *reason);

/* How a queue member was found in a list, against the facts: 1 = it was paused there
 * after the choice, 0 = what we passed there was taken back afterwards, -1 = it tells
 * nothing new. agreed: what we wanted was so there at some time; last_pause_us is in
 * whole seconds, 0 = never since it became a member. */
int agent_item_tells(const struct agent_facts *, int64_t now_us, bool paused,
	const char *reason, int64_t last_pause_us, bool agreed);

#endif
