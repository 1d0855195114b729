/* asterisk.h - the driver's own header: one connection to one Asterisk's manager port.
 *
 * These files share struct asterisk: asterisk.c (the driver's face: keys, open, close,
 * status), asterisk_session.c (connection, keepalive, reconnect), asterisk_login.c,
 * asterisk_action.c (actions and their answers), asterisk_resync.c (snapshots),
 * asterisk_pause.c, asterisk_dial.c (calls placed) and asterisk_check.c. Bytes become messages in ami.c,
 * and messages become call events in ami_events.c, member events in ami_members.c. */
#ifndef INTERACTD_ASTERISK_ASTERISK_H
#define INTERACTD_ASTERISK_ASTERISK_H

#include <channel.h>
#include <list.h>
#include <log.h>
#include <stream.h>
#include "ami.h"
#include "ami_events.h"

extern const struct channel_ops asterisk_channel;

enum asterisk_auth { ASTERISK_AUTH_MD5, ASTERISK_AUTH_PLAINTEXT };

struct asterisk_conf {
	struct phone_conf phone; /* first: see channel.h */
	char *address, *tls_ca, *username, *secret, *events;
	bool tls, tls_verify;
	int auth; /* enum asterisk_auth */
	int64_t keepalive_ms, answer_ms, boot_wait_ms;
	int64_t reconnect_min_ms, reconnect_max_ms;
	char *dial_context, *dial_prefix, *dial_caller_id;
};

/* Where a session is. Each state but READY has a deadline. */
#define ASTERISK_STATES(S)                                                             \
	S(CLOSED, "closed", "not open yet, or let go")                                 \
	S(WAITING, "waiting", "no connection; tries again when the timer fires")       \
	S(CONNECTING, "connecting", "name, TCP and TLS")                               \
	S(BANNER, "banner", "connected; the first line has not come")                  \
	S(CHALLENGE, "challenge", "asked for what the MD5 login is computed from")     \
	S(LOGIN, "login", "name and secret are sent")                                  \
	S(ASKING, "asking", "logged in, events come; asked for version and start")     \
	S(BOOTING, "booting", "known; FullyBooted has not come")                       \
	S(READY, "ready", "all is in place")

enum asterisk_state {
#define S(name, text, help) ASTERISK_##name,
	ASTERISK_STATES(S)
#undef S
};

struct asterisk;
/* answer = NULL: none came before the deadline or the connection's end. Borrowed. */
typedef void
asterisk_answer_fn(struct asterisk *, uint64_t id, const struct ami_message *answer);

enum {
	ASTERISK_LIST_CHANNELS,
	ASTERISK_LIST_QUEUES,
	ASTERISK_LIST_PARKED,
	ASTERISK_LIST_DEVICES,
	ASTERISK_LISTS
};

enum asterisk_list_state {
	ASTERISK_LIST_IDLE,
	ASTERISK_LIST_ASKED, /* the answer "will follow", or its items, may still come
			      */
	ASTERISK_LIST_DONE,
	ASTERISK_LIST_FAILED,
};

struct asterisk_list {
	uint64_t id; /* of the action that asked for it */
	enum asterisk_list_state state;
	unsigned items;
	bool told; /* that it cannot be had; until it can */
};

struct asterisk_resync {
	bool running, again; /* again: asked for while one was running */
	struct asterisk_list lists[ASTERISK_LISTS];
	struct loop_timer *deadline;
	/* of the last one that ended, for status */
	int64_t ended_us;
	unsigned channels;
	bool complete;
};

struct asterisk {
	struct channel *channel;
	const struct asterisk_conf *conf;
	char *address; /* conf's, with a port */
	enum asterisk_state state;
	struct stream *stream;	   /* from CONNECTING on */
	struct ami_parser *parser; /* from BANNER on */
	struct ami_events
		*events; /* for the channel's life: names outlive connections */
	struct loop_timer *timer; /* the state's deadline, or when to try again */
	struct loop_timer *ping_timer;
	unsigned attempt; /* connections that did not last, in a row */
	int64_t ready_us; /* monotonic; 0 = this connection was not READY yet */
	struct log_once clear_text; /* "the secret goes in clear text" */

	/* actions waiting for answers, oldest (so next due) first */
	struct list pending;
	unsigned n_pending;
	uint64_t last_id;
	char id_prefix[32]; /* "interactd-<random>-", new for each connection */
	struct loop_timer *action_timer;

	/* of the phone system */
	char *banner, *version; /* as it calls itself; NULL until said */
	char *started; /* CoreStatus' start date and time; outlives connections */
	bool booted;   /* FullyBooted came on this connection */
	bool stopped;  /* it said Shutdown on this connection */
	bool asked_settings, asked_status; /* answers still to come */
	int64_t uptime_s;		   /* FullyBooted's, -1 = not told */
	int64_t lost_us;      /* monotonic: the last connection's end; 0 = none */
	int64_t heard_us;     /* monotonic: the last message */
	int64_t pinged_us;    /* monotonic: the last Ping sent */
	bool ping_out;	      /* it has not been answered yet */
	int64_t ping_took_us; /* the last one that was; 0 = none on this connection */
	char busy[120];	      /* what asterisk_session_busy says */

	struct asterisk_resync resync;
	struct list pauses; /* struct asterisk_pause: asked, not answered */

	struct asterisk_check *check; /* NULL but for `interactctl channel check` */
	struct list dials; /* calls asked for whose phone has not answered yet */
	unsigned n_dials;
};

/* "host", "host:port", "[v6]", "v6" or "unix:PATH", as an address for stream.h with the
 * manager's default port 5038 (Asterisk, manager.conf.sample). Returns, caller frees;
 * NULL if it is empty or has an empty host or port. */
char *asterisk_address(const char *address);
/* md5(challenge + secret) in hexadecimal: the Key of a login with AuthType: MD5
 * (Asterisk, "Manager Action Challenge"). */
#define ASTERISK_MD5_LEN 33
void asterisk_md5_key(
	char key_r[ASTERISK_MD5_LEN], const char *challenge, const char *secret);

/* ---- asterisk_session.c -------------------------------------------------- */

const char *asterisk_state_text(enum asterisk_state);
void asterisk_session_init(struct asterisk *);
void asterisk_session_start(struct asterisk *); /* connects, now and ever again */
void asterisk_session_fini(struct asterisk *);	/* lets go; good for a half-built one */
/* The only writer of a->state; starts the deadline it has. */
void asterisk_state_set(struct asterisk *, enum asterisk_state);
bool asterisk_is_logged_in(const struct asterisk *);
/* Ends the connection, for a reason told to the operator, and tries again after a
 * while; refused: after a long while, as trying again soon would not help. Nothing if
 * there is no connection. */
void asterisk_session_end(struct asterisk *, const char *fmt, ...) PRINTF_LIKE(2, 3);
void
asterisk_session_refused(struct asterisk *, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Why it should not be asked for lists now: a Ping took, or takes, too long. NULL: it
 * may. Valid until the next call. */
const char *asterisk_session_busy(struct asterisk *);
/* Gives the core an event that has a type and a time only. */
void asterisk_emit(struct asterisk *, enum call_event_type);

/* ---- asterisk_login.c ---------------------------------------------------- */

void asterisk_login_start(struct asterisk *, const char *banner);
void asterisk_login_answer(struct asterisk *, const struct ami_message *response);
bool asterisk_login_by_event(struct asterisk *);
void asterisk_login_booted(struct asterisk *, const struct ami_message *fully_booted);
void asterisk_login_boot_wait_over(struct asterisk *);

/* ---- asterisk_action.c --------------------------------------------------- */

#define ASTERISK_PENDING_MAX 1000

void asterisk_actions_init(struct asterisk *);
void asterisk_actions_reset(struct asterisk *); /* new prefix, for a new connection */
/* The connection ended: every pending action is answered with NULL. */
void asterisk_actions_cancel(struct asterisk *);
void asterisk_actions_fini(struct asterisk *);
/* Sends one. fields end with {NULL}. fn gets its answer, exactly once, never before
 * this returns; fn = NULL: nobody waits for it. Returns its id, or 0 if it was not sent
 * because ASTERISK_PENDING_MAX others wait (fn is not called then). */
uint64_t asterisk_action(struct asterisk *, const char *action,
	const char *const (*fields)[2], asterisk_answer_fn *fn);
/* The id in a message's ActionID if it is one of this connection's, else 0. */
uint64_t asterisk_action_id(const struct asterisk *, const struct ami_message *);
/* Gives a response to who waits for it; false if nobody does. */
bool asterisk_action_answered(struct asterisk *, const struct ami_message *);

/* ---- asterisk_resync.c --------------------------------------------------- */

/* Begins a snapshot, or another one after the one that is running; nothing if the
 * session is not READY. */
void asterisk_resync_start(struct asterisk *);
/* Every event message passes here after it was translated. */
void
asterisk_resync_event(struct asterisk *, const struct ami_message *, const char *event);
void asterisk_resync_abort(struct asterisk *); /* the connection ended */
void asterisk_resync_fini(struct asterisk *);

/* ---- asterisk_pause.c ---------------------------------------------------- */

/* channel_ops.pause */
int asterisk_pause(struct channel *, const struct channel_pause *,
	channel_done_fn *done, void *arg, struct err *);

/* ---- asterisk_check.c ---------------------------------------------------- */

/* channel_ops.check */
void asterisk_check(struct channel *, int64_t listen_ms, channel_report_fn *,
	channel_checked_fn *, void *arg);
/* What the session tells a check that is under way; nothing if there is none. */
void asterisk_check_ready(struct asterisk *);
void
asterisk_check_event(struct asterisk *, const struct ami_message *, const char *event);
void asterisk_check_ended(struct asterisk *, const char *why); /* the connection */
void asterisk_check_fini(struct asterisk *);

/* ---- asterisk_dial.c ----------------------------------------------------- */

#define ASTERISK_DIALS_MAX 1000

/* Keys of their own that go to the wire; -1 and a sentence. */
int asterisk_dial_check(const struct asterisk_conf *, struct err *);
/* channel_ops.dial */
int asterisk_dial(struct channel *, const struct channel_dial *, channel_done_fn *,
	void *arg, struct err *);
/* The uid of the call that the action of this ActionID asked for, and no more is known
 * of it; NULL if it was none of ours. Copied to uid_r. */
#define ASTERISK_UID_MAX 128
const char *asterisk_dial_ended(
	struct asterisk *, const char *action_id, char uid_r[ASTERISK_UID_MAX]);
void asterisk_dial_forget(struct asterisk *); /* the connection ended */

#endif
