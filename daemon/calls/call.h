/* call.h - one call with an outside party, as the tracker sees it; and its legs.
 *
 * One customer call is one interaction, whatever happens to it inside the phone system.
 * Everybody but the tracker only reads these. */
#ifndef INTERACTD_CALLS_CALL_H
#define INTERACTD_CALLS_CALL_H

#include <list.h>
#include <stdbool.h>
#include <stdint.h>
#include <uuid.h>

enum call_direction { CALL_IN, CALL_OUT };

/* What an interaction of kind call says of itself while it lives. */
#define CALL_PHASES(S)                                                                 \
	S(RINGING, "ringing",                                                          \
		"nobody has answered; announcements and menus count here")             \
	S(WAITING, "waiting", "in a queue")                                            \
	S(TALKING, "talking", "bridged with an agent")                                 \
	S(HELD, "held", "on hold, parked, or between two agents")                      \
	S(ENDED, "ended", "over")

enum call_phase {
#define S(name, text, help) CALL_PHASE_##name,
	CALL_PHASES(S)
#undef S
};
const char *call_phase_text(enum call_phase);

/* contract.md's words, for dispositions of calls… */
#define CALL_DISPOSITIONS(D)                                                           \
	D(NONE, "")                                                                    \
	D(ANSWERED, "answered")                                                        \
	D(ABANDONED, "abandoned")                                                      \
	D(BUSY, "busy")                                                                \
	D(NO_ANSWER, "no_answer")                                                      \
	D(REJECTED, "rejected")                                                        \
	D(UNREACHABLE, "unreachable")                                                  \
	D(QUEUE_TIMEOUT, "queue_timeout")                                              \
	D(VOICEMAIL, "voicemail")                                                      \
	D(IVR_ONLY, "ivr_only")                                                        \
	D(FAILED, "failed")                                                            \
	D(INTERRUPTED, "interrupted")
enum call_disposition {
#define D(name, text) CALL_DISP_##name,
	CALL_DISPOSITIONS(D)
#undef D
};
const char *call_disposition_text(enum call_disposition); /* NULL for NONE */

/* …and for how a leg, and so its pop, ended. */
#define CALL_REASONS(R)                                                                \
	R(NONE, "")                                                                    \
	R(COMPLETED, "completed")                                                      \
	R(ANSWERED_ELSEWHERE, "answered_elsewhere")                                    \
	R(NO_ANSWER, "no_answer")                                                      \
	R(BUSY, "busy")                                                                \
	R(REJECTED, "rejected")                                                        \
	R(CALLER_HANGUP, "caller_hangup")                                              \
	R(TRANSFERRED, "transferred")                                                  \
	R(UNREACHABLE, "unreachable")                                                  \
	R(INTERRUPTED, "interrupted")                                                  \
	R(REASSIGNED, "reassigned")                                                    \
	R(ANSWERED, "answered")
enum call_reason {
#define R(name, text) CALL_REASON_##name,
	CALL_REASONS(R)
#undef R
};
const char *call_reason_text(enum call_reason); /* NULL for NONE */

enum leg_type {
	LEG_QUEUE,
	LEG_RING,
	LEG_TALK,
	LEG_HOLD,
	LEG_PARK,
	LEG_TRANSFER,
	LEG_IVR
};
const char *leg_type_text(enum leg_type); /* "queue", "ring", "talk", … */

enum leg_state { LEG_RINGING, LEG_TALKING, LEG_HELD, LEG_ENDED };

/* What one agent (or another endpoint of ours, or a queue) had to do with the call.
 * An agent's leg begins with the offer ("ring") and lasts to its end; a queue's begins
 * with the join. A leg taken up without ringing (a parked call fetched, an attended
 * transfer) has type talk. */
struct call_leg {
	struct list link; /* in call.legs, oldest first */
	struct uuid id;
	enum leg_type type;
	enum leg_state state;
	char *agent;	 /* NULL: a queue's leg, or an endpoint that is no agent's */
	char *interface; /* "PJSIP/1001" */
	char *queue; /* queue through which it was offered, or the queue's own name */
	char *uid;   /* the phone system's channel */
	int64_t at_us, answered_us, ended_us; /* 0 = not (yet) */
	int64_t talk_us, hold_us;	      /* finished stretches */
	enum call_reason result;
	bool pop; /* it is shown to its agent: open until LEG_ENDED */
};

struct call_variable {
	char *name, *value;
};

struct call {
	struct uuid id;		      /* the interaction's */
	const char *tenant, *channel; /* of the tracker */
	char *linked; /* the first linked id: with channel and boot, the call's identity */
	/* linked, or linked#2, … if that was the key of a call before: unique */
	const char *key;
	enum call_direction direction;
	enum call_phase phase;
	char *number; /* outside party's number as given; NULL if withheld or unknown */
	char *display; /* its name as given, made valid; or NULL */
	bool withheld;
	char *local; /* our number: the DID dialled, or the number shown outside */
	char *agent; /* who has it, or had it last; while unanswered NULL (outgoing: caller) */
	char *queue;	/* the last queue it was in */
	char *language; /* of the dialplan's channel, or NULL */
	struct call_variable *vars;
	unsigned n_vars;
	char **recordings; /* references as the phone system gives them */
	unsigned n_recordings;
	char *voicemail; /* reference, or NULL */
	int64_t at_us, answered_us, ended_us, queue_since_us;
	int64_t wait_ms, talk_ms, hold_ms; /* final once ended */
	enum call_disposition disposition;
	struct list legs;
	unsigned n_legs;
	bool recovered;	 /* seen first in a snapshot: times are estimates */
	bool forgotten;	 /* whom it is with is not to be told any more (phone_forget) */
	unsigned missed; /* bits of enum tracker_missed: not heard, only found out */
	uint64_t first_seq; /* of the spool: nothing of this call is older */
	void *user;	    /* the observer's */
};

#endif
