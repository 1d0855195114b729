/* dial.h - calls that agents have placed for them (click-to-dial).
 *
 *   POST /v1/calls -> who, what, by which phone -> audit and idempotency (PostgreSQL)
 *      -> CALL_ORIGINATE into the spool -> the driver's dial -> the answer
 *
 * The interaction's id is known before the phone system is asked: it follows from the
 * unique id that the agent's leg is given. What comes then follows by the call's events,
 * as of any other call: the agent's phone rings, then the customer's. */
#ifndef INTERACTD_CALLS_DIAL_H
#define INTERACTD_CALLS_DIAL_H

#include <calls/dial_number.h>
#include <calls/phone.h>
#include <io/channel.h>

struct dialler;

/* All borrowed for the dialler's life. phone_of: a channel's phone, or NULL. */
struct dialler_opts {
	struct store *store;
	struct channel_core *channels;
	struct agents *agents;
	struct phone *(*phone_of)(const struct channel *);
};

struct dialler *dialler_new(const struct dialler_opts *);
/* NULL-safe. After the channels and the database's pools are closed: nothing is under
 * way then. */
void dialler_free(struct dialler **);

/* Borrowed until dial_start returns; the actor's tenant for longer. */
struct dial_request {
	struct actor actor;
	const char *agent;   /* an id */
	const char *to;	     /* as a person typed it */
	const char *channel; /* NULL: the one where the agent has a phone */
	const struct idempotency *idem;
};

/* Borrowed until the callback returns. */
struct dial_answer {
	int status; /* HTTP's: 202, or why not */
	bool replayed;
	enum dial_refusal refusal;
	int retry_after_s; /* 0 = none */
	const char
		*json; /* of 202: {"id","agent","to","channel","interface","state"} */
	size_t json_len;
	const char *detail; /* of the others: a sentence */
};
typedef void dial_fn(void *arg, const struct dial_answer *);

/* done comes exactly once, never before this returns. */
void
dial_start(struct dialler *, const struct dial_request *, dial_fn *done, void *arg);

#endif
