/* channel.h - how a channel adapter (a "driver") is written. This header is the whole of
 * it: the functions the core calls (struct channel_ops), the functions the driver calls
 * (channel_*), and what travels between them (struct call_event for phone systems).
 *
 * A driver is a folder channels/NAME with its code, one line in channels/table.c, its
 * tests, and rows for its configuration keys. It knows its wire and nothing of contacts,
 * SQL, Redis or agents. Everything runs on the loop's thread; nothing may block: use
 * stream.h for connections and loop.h for time. Log with channel_who() as `who`.
 *
 * Life of a channel: the core allocates `size` zeroed bytes (channel_private) and a
 * filled configuration struct (channel_conf), then calls open. The driver connects in
 * its own time and reports channel_up, channel_down (with a sentence), again and again
 * as the wire comes and goes; reconnecting, with loop_backoff_ms, is the driver's.
 * close means: take no new work, let go, and call channel_closed once, now or later (the
 * core waits at most 2 s). After that the memory is freed by the core.
 *
 * A driver for a phone system turns what its wire says into call events, gives each to
 * channel_call_event the moment it arrives, and keeps no calls of its own. The core
 * writes the event to its spool, and its call tracker makes calls, legs, queues and
 * transfers of them. The tracker takes events late, twice, out of order or never; the
 * driver need not repair anything. After every (re)connection the driver sends a
 * snapshot (CALL_SNAPSHOT_BEGIN … END): what the phone system says is there now; live
 * events are given to the tracker as they come, also while a snapshot is being listed. */
#ifndef INTERACTD_CHANNEL_H
#define INTERACTD_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "conf.h"
#include "err.h"
#include "json.h"
#include "loop.h"

struct channel;
struct channel_history;

/* ---- What the core calls ---------------------------------------------------------- */

/* The answer to dial or pause. error NULL: the phone system took it, or did not answer
 * before its deadline or its connection's end (a dialled call is then followed by its
 * events, or found missing by the next snapshot); else its refusal, as a sentence. */
typedef void channel_done_fn(void *arg, const char *error);

/* A call to be placed: the agent's phone rings first, then the number is called. All is
 * borrowed until return; the core has checked it: no control characters, number is
 * [0-9*#+] only and may be dialled. The driver checks again what its wire could take
 * amiss. The core has put a CALL_ORIGINATE with that uid into the spool before it asks;
 * the driver gives a CALL_ORIGINATE_RESULT with it when the call is refused or fails. */
struct channel_dial {
	const char *endpoint; /* the agent's phone: "PJSIP/1001" */
	const char *number;   /* as the dialplan wants it */
	/* The unique id that the agent's leg is to get, so that the call's identity is
	 * known before its first event; the other half of a Local channel gets uid;2. */
	const char *uid;
	const char
		*display; /* shown by the agent's phone while it rings; may be NULL */
	unsigned ring_timeout_ms; /* of the agent's phone */
};

/* A queue member to be paused or taken back, in every queue of the phone system. */
struct channel_pause {
	const char *interface; /* "PJSIP/1001" */
	bool paused;
	const char *reason; /* checked as above; may be NULL */
};

/* What a check of a channel found (`interactctl channel check`). */
enum channel_level {
	CHANNEL_OK,	 /* as it should be */
	CHANNEL_NOTE,	 /* good to know; works without */
	CHANNEL_WARNING, /* works, with less than there could be */
	CHANNEL_PROBLEM, /* does not work so */
};
/* Borrowed until return; advice: what to do, or NULL. */
typedef void
channel_report_fn(void *arg, enum channel_level, const char *what, const char *advice);
/* The last word. to_write: what belongs into the phone system's own configuration, lines
 * with secrets masked; NULL if nothing is missing there. */
typedef void channel_checked_fn(void *arg, const char *to_write);

#define CHANNEL_PHONE 1u /* gives call events; its conf struct begins with phone_conf */

struct channel_ops {
	const char *
		driver; /* "asterisk": the value of `driver =` in a [channel] section */
	const char *summary; /* one line for `interactctl channels` and the manual */
	unsigned caps;	     /* CHANNEL_PHONE … */
	size_t size;	     /* of the driver's private state */
	size_t conf_size;    /* of the struct the rows fill */
	const struct conf_key *keys; /* ends with CONF_END */

	/* Required. Checks of keys against each other happen here too (and alone, with
	 * channel = NULL and nothing opened, for --check-config): return -1 and a sentence
	 * about the key. May return before the channel is up. */
	int (*open)(struct channel *, const void *conf, struct err *);
	void (*close)(struct channel *);
	/* Optional: compare now with what the phone system lists (`channel resync`, and the
	 * core's slow timer). NULL: the core never asks. */
	void (*resync)(struct channel *);
	/* Optional: why the phone system is not to be asked for more than it must answer
	 * now (it is slow), as a sentence; NULL: it may. resync then waits. */
	const char *(*busy)(const struct channel *);
	/* Optional: members for this channel's object in /v1/status (json_* with keys). */
	void (*status)(const struct channel *, struct json_out *);
	/* Optional: how the phone system keeps past calls, ended by NULL. */
	const struct channel_history *const *history;
	/* Optional: places a call (struct channel_dial). -1 and a sentence if nothing was
	 * asked of the phone system; else done comes exactly once, later. */
	int (*dial)(struct channel *, const struct channel_dial *,
		channel_done_fn *done, void *arg, struct err *);
	/* Optional: finds out whether everything is as it should be at the other end, by
	 * questions that change nothing there; listens for listen_ms to what comes by
	 * itself. Called once, right after open: connecting is part of it. report comes
	 * any number of times, then done once, later. */
	void (*check)(struct channel *, int64_t listen_ms, channel_report_fn *report,
		channel_checked_fn *done, void *arg);
	/* Optional: has the phone system's queues pause a member or take it back (struct
	 * channel_pause). Like dial. */
	int (*pause)(struct channel *, const struct channel_pause *,
		channel_done_fn *done, void *arg, struct err *);
};

/* Every driver linked in, ended by NULL; channels/table.c. */
extern const struct channel_ops *const channel_drivers[];

/* ---- What the driver calls -------------------------------------------------------- */

void *channel_private(const struct channel *);
const void *channel_conf(const struct channel *); /* the struct of its rows */
const char *channel_name(const struct channel *); /* NAME of [channel NAME] */
const char *channel_tenant(const struct channel *);
const char *channel_who(const struct channel *); /* "channel NAME", for log_* */
struct loop *channel_loop(const struct channel *);

/* Connected, logged in and listening. peer: what is at the other end, as it calls itself
 * ("Asterisk 22.10.1"), or NULL. Twice without channel_down between is harmless. */
void channel_up(struct channel *, const char *peer);
/* Not connected any more, or still not: why, as a sentence for the operator, with what to
 * do about it where that is known. Logged when it changes, not each time. */
void channel_down(struct channel *, const char *why);
void channel_closed(struct channel *);
/* Adds n to the channel's counter of that name, made on first use (at most 64 per
 * channel): shown in /v1/status and as interactd_channel_events_total{channel,event}. */
void channel_count(struct channel *, const char *counter, unsigned n);
/* Something was refused (an unreadable message, one too long): counted under `cause`, a
 * short fixed word, and logged with the detail once per cause and minute. */
void channel_refused(struct channel *, const char *cause, const char *detail_fmt, ...)
	PRINTF_LIKE(3, 4);

/* ---- Phone systems ---------------------------------------------------------------- */

/* The keys every phone driver has; the first member of its conf struct, and the first of
 * its rows by PHONE_CONF_KEYS. The tracker reads them; a driver need not. */
struct phone_conf {
	struct conf_regex trunks; /* over endpoints: those that lead outside */
	struct conf_regex
		agents;	    /* over endpoints (or presence): group 1 = agent's id */
	char *agent_prefix; /* put before ids found by `agents` */
	struct conf_list own_numbers; /* never a contact */
	struct conf_regex dial_allow; /* numbers that may be dialled */
	char *region;	   /* for numbers without a country; NULL = the tenant's */
	int64_t resync_ms; /* a comparison with a snapshot so often; 0 = never */
	/* Of calls that agents have placed (POST /v1/calls); the core reads them. */
	int dial_format; /* enum phone_dial_format */
	bool dial_premium;
	int64_t dial_rate;	 /* calls per agent and minute */
	int64_t dial_timeout_ms; /* how long the agent's own phone rings */
	/* Where the phone system keeps past calls: a CSV file, or a table. NULL = nowhere */
	char *history, *history_format, *history_conninfo, *history_table;
	struct conf_list
		history_columns; /* of the file, if not the format's own order */
};
enum phone_dial_format { PHONE_DIAL_NATIONAL, PHONE_DIAL_E164, PHONE_DIAL_DIGITS };
extern const char *const phone_dial_formats[]; /* "national", …; ends with NULL */
#define PHONE_CONF_KEYS(type, member)                                                  \
	{"trunks", CONF_REGEX, offsetof(type, member.trunks), NULL, 0, 0,              \
		CONF_REQUIRED, NULL,                                                   \
		"Endpoints that lead outside, as a POSIX extended regular expression " \
		"(PJSIP/trunk, sofia/external/)."},                                    \
		{"agents", CONF_REGEX, offsetof(type, member.agents), NULL, 1, 0, 0,   \
			NULL,                                                          \
			"Endpoints of agents; the first group is the agent's id "      \
			"(^PJSIP/(100[0-9])$). Agents found so need not be created."}, \
		{"agent_prefix", CONF_STRING, offsetof(type, member.agent_prefix), "", \
			0, 32, 0, NULL, "Put before agent ids found by `agents`."},    \
		{"own_numbers", CONF_LIST, offsetof(type, member.own_numbers), NULL,   \
			0, 10000, 0, NULL,                                             \
			"Numbers of our own, which are never a contact."},             \
		{"dial_allow", CONF_REGEX, offsetof(type, member.dial_allow), NULL, 0, \
			0, 0, NULL,                                                    \
			"Numbers that may be dialled, as a POSIX extended regular "    \
			"expression over +8613800138000 and over the number as "       \
			"dial_format writes it; none if absent."},                     \
		{"dial_format", CONF_CHOICE, offsetof(type, member.dial_format),       \
			"national", 0, 0, 0, phone_dial_formats,                       \
			"How the dialplan wants a number: as a phone of this region "  \
			"dials it (abroad with its prefix for that, or + if it has "   \
			"several), as +8613800138000, or as that without the +."},     \
		{"dial_premium", CONF_BOOL, offsetof(type, member.dial_premium), "no", \
			0, 0, 0, NULL,                                                 \
			"Let agents dial premium-rate and shared-cost numbers, and "   \
			"short numbers of unknown cost, if dial_allow has them."},     \
		{"dial_rate", CONF_INT, offsetof(type, member.dial_rate), "20", 1,     \
			1000, 0, NULL, "Calls an agent may place in a minute."},       \
		{"dial_timeout_s", CONF_DURATION,                                      \
			offsetof(type, member.dial_timeout_ms), "30", 1000, 300000, 0, \
			NULL,                                                          \
			"How long the agent's own phone rings before a call that was " \
			"asked for is given up."},                                     \
		{"region", CONF_STRING, offsetof(type, member.region), NULL, 2, 2, 0,  \
			NULL,                                                          \
			"Country (ISO 3166, CN, TW, US) of numbers without one; "      \
			"absent: the tenant's."},                                      \
		{"resync_s", CONF_DURATION, offsetof(type, member.resync_ms), "600",   \
			0, 86400000, 0, NULL,                                          \
			"How often to compare with the phone system's own list, to "   \
			"find what was missed; 0: only after a connection; at least "  \
			"10 s."},                                                      \
		{"history", CONF_STRING, offsetof(type, member.history), NULL, 1,      \
			4096, 0, NULL,                                                 \
			"File (CSV) in which the phone system keeps past calls: "      \
			"those made while it was not heard are filled in from it."},   \
		{"history_format", CONF_STRING, offsetof(type, member.history_format), \
			"cel", 1, 16, 0, NULL,                                         \
			"What these records are: cel (tells most) or cdr."},           \
		{"history_columns", CONF_LIST, offsetof(type, member.history_columns), \
			NULL, 0, 64, 0, NULL,                                          \
			"Order of the file's columns, if it is not that of the "       \
			"samples and its first line does not name them."},             \
		{"history_conninfo", CONF_STRING,                                      \
			offsetof(type, member.history_conninfo), NULL, 1, 4000,        \
			CONF_SECRET, NULL,                                             \
			"PostgreSQL database (libpq's connection string) with "        \
			"these records in history_table, instead of a file."},         \
	{                                                                              \
		"history_table", CONF_STRING, offsetof(type, member.history_table),    \
			NULL, 1, 130, 0, NULL, "The table: cel, or public.cdr."        \
	}

/* What happened. One list makes the enum, the names in logs and the spool's numbers:
 * only ever append. "channel" here is one leg's connection on the phone system, known by
 * its unique id (uid). */
#define CALL_EVENTS(E)                                                                 \
	E(CHANNEL_NEW, "a channel began; all that is known of it")                     \
	E(CHANNEL_STATE, "its state changed (state)")                                  \
	E(CHANNEL_UPDATE, "its linked id, numbers, names, exten or variables changed") \
	E(CHANNEL_HANGUP, "it ended (cause; flag CALL_SHUTDOWN)")                      \
	E(HANGUP_REQUEST, "its far end hung up, or somebody ordered it (flag soft)")   \
	E(DIAL_BEGIN, "uid (may be empty: originate) offers a call to other_uid")      \
	E(DIAL_STATE, "the offer to other_uid: ringing, progress (state)")             \
	E(DIAL_END, "the offer ended (result; forward = new target of a 302)")         \
	E(QUEUE_JOIN, "uid waits in queue (position)")                                 \
	E(QUEUE_LEAVE, "uid left queue, for whatever reason")                          \
	E(QUEUE_ABANDON, "the queue gave uid up: caller left, or queue's time-out")    \
	E(QUEUE_OFFER, "queue offers uid to member interface (other_uid = its leg)")   \
	E(QUEUE_NO_ANSWER, "the member's ring time ran out")                           \
	E(QUEUE_CONNECT, "the member took uid")                                        \
	E(QUEUE_COMPLETE,                                                              \
		"the member's part is over (result: caller, agent, transfer)")         \
	E(BRIDGE_ENTER, "uid is in bridge (flag CALL_PARKING_BRIDGE …)")               \
	E(BRIDGE_LEAVE, "uid left bridge")                                             \
	E(HOLD, "uid's user put the other side on hold")                               \
	E(UNHOLD, "and took it back")                                                  \
	E(PARK, "uid was parked (exten = space; other_uid or other_name = parker)")    \
	E(UNPARK, "uid was taken back by other_uid")                                   \
	E(PARK_TIMEOUT, "uid's parking ran out; it goes to the dialplan")              \
	E(PARK_GIVE_UP, "uid hung up while parked")                                    \
	E(TRANSFER_BLIND, "uid (transferer) sends other_uid (transferee) to exten")    \
	E(TRANSFER_ATTENDED, "uid joins other_uid with second_uid's other side")       \
	E(PICKUP, "uid answered the call that rang at other_uid")                      \
	E(LOCAL_BRIDGE, "uid and other_uid are the halves of one Local channel")       \
	E(LOCAL_OPTIMIZED, "the halves uid and other_uid are being taken out")         \
	E(VARIABLE, "the dialplan set a variable on uid (vars)")                       \
	E(RECORDING, "a recording of uid began (detail = where)")                      \
	E(VOICEMAIL, "uid left a voicemail (exten = mailbox; detail = where)")         \
	E(DTMF, "uid's user pressed a key (detail)")                                   \
	E(APPLICATION, "uid runs a dialplan application (detail = name, exten)")       \
	E(ORIGINATE, "an originate was asked for: uid if known, exten = target (flag " \
		     "CALL_EXTERNAL: by ourselves, and that is outside)")              \
	E(ORIGINATE_RESULT,                                                            \
		"and its answer (result; agent's phone; INVALID: refused)")            \
	E(SNAPSHOT_BEGIN, "what follows is the phone system's own list")               \
	E(SNAPSHOT_CHANNEL,                                                            \
		"one channel in it, as CHANNEL_NEW; bridge, age_ms, detail "           \
		"= application")                                                       \
	E(SNAPSHOT_WAITING, "one caller waiting in queue (age_ms)")                    \
	E(SNAPSHOT_PARKED, "one parked caller")                                        \
	E(SNAPSHOT_END, "the list is complete: what is not in it is gone")             \
	E(LINK_LOST, "we do not hear the phone system any more")                       \
	E(SYSTEM_STOPPED, "the phone system says it stops, or has restarted")

enum call_event_type {
#define E(name, help) CALL_##name,
	CALL_EVENTS(E)
#undef E
		CALL_EVENT_TYPES
};

enum call_channel_state {
	CALL_STATE_UNKNOWN,
	CALL_STATE_DOWN,    /* exists, nothing rings yet */
	CALL_STATE_RING,    /* the caller's side hears ringing */
	CALL_STATE_RINGING, /* this phone rings */
	CALL_STATE_PROGRESS,
	CALL_STATE_UP,
	CALL_STATE_BUSY,
};

enum call_result {
	CALL_RESULT_NONE,
	CALL_RESULT_ANSWER,
	CALL_RESULT_BUSY,
	CALL_RESULT_NO_ANSWER,
	CALL_RESULT_CANCEL, /* withdrawn: caller left, or answered elsewhere */
	CALL_RESULT_CONGESTION,
	CALL_RESULT_UNAVAILABLE,
	CALL_RESULT_REJECTED,
	CALL_RESULT_FORWARDED, /* 302: other_exten says where */
	CALL_RESULT_CALLER,    /* QUEUE_COMPLETE: who ended it */
	CALL_RESULT_AGENT,
	CALL_RESULT_TRANSFER,
	CALL_RESULT_FAILED,
	CALL_RESULT_INVALID,
};

#define CALL_LOCAL	    1u /* uid is a half of a Local channel (name ends in ;1 or ;2) */
#define CALL_OTHER_LOCAL    2u /* so is other_uid */
#define CALL_PARKING_BRIDGE 4u /* BRIDGE_ENTER: a place to wait, not to talk */
#define CALL_SHUTDOWN	    8u /* hung up because the phone system stops */
#define CALL_SOFT	    16u /* HANGUP_REQUEST: ordered by somebody, not by the far end */
#define CALL_WITHHELD	    32u /* the caller's number is withheld */
#define CALL_OUTGOING	    64u /* the phone system made this channel (it dials out on it) */
#define CALL_EXTERNAL                                                                  \
	128u /* the phone system itself says that the channel leads outside */

#define CALL_KNOWN                                                                     \
	256u /* the core's, in its spool: a list's item of a channel known before */
#define CALL_VOUCHED                                                                   \
	512u /* the same: and it was known how its call began, or a list had told */

/* The text fields; one list makes the struct, the spool's format (only ever append) and
 * the debug print. Absent = NULL. Number fields are as the phone system gave them. */
#define CALL_EVENT_TEXTS(T)                                                            \
	T(boot, "a word that changes when uids may start over; NULL if they never do") \
	T(uid, "the channel's unique id")                                              \
	T(linked, "id of the oldest channel it belongs with; changes as bridges join") \
	T(name, "the channel's name, PJSIP/1001-0000005c")                             \
	T(endpoint, "the phone or trunk it belongs to, PJSIP/1001")                    \
	T(presence,                                                                    \
		"what `agents` is matched with if not the endpoint, 1001@pbx.test")    \
	T(caller_number, "the number the channel presents")                            \
	T(caller_name, "")                                                             \
	T(connected_number, "who it talks to, as the phone system says")               \
	T(connected_name, "")                                                          \
	T(exten, "dialled digits (CHANNEL_NEW), target, parking space, mailbox")       \
	T(context, "")                                                                 \
	T(other_uid, "the second channel of the event")                                \
	T(other_linked, "")                                                            \
	T(other_name, "")                                                              \
	T(other_endpoint, "")                                                          \
	T(other_presence, "")                                                          \
	T(other_caller_number, "")                                                     \
	T(other_exten, "DIAL_END forwarded: where to")                                 \
	T(second_uid, "TRANSFER_ATTENDED: transferer's second leg")                    \
	T(target_uid, "TRANSFER_ATTENDED: who is now with other_uid, if known")        \
	T(dial_string, "the number handed to the trunk")                               \
	T(queue, "")                                                                   \
	T(interface, "the queue member's interface")                                   \
	T(member, "the queue member's name")                                           \
	T(bridge, "")                                                                  \
	T(language, "")                                                                \
	T(detail, "see the type")                                                      \
	T(action, "ORIGINATE…: the request's own id")

struct call_var {
	const char *name, *value;
};
#define CALL_VARS_MAX 64

struct call_event {
	enum call_event_type type;
	enum call_channel_state state, other_state;
	enum call_result result;
	unsigned flags;
	int cause; /* ITU-T Q.850 §2.2.7; 0 = none given */
	int position;
	int64_t age_ms; /* SNAPSHOT_…: for how long already */
	int64_t at_us; /* wall time: the phone system's if it sends one, else receipt */
#define T(name, help) const char *name;
	CALL_EVENT_TEXTS(T)
#undef T
	const struct call_var *vars;
	size_t n_vars;
};

const char *call_event_name(enum call_event_type); /* "CHANNEL_NEW" */

/* Hands one event to the core. Everything is borrowed until return. at_us 0 = now. */
void channel_call_event(struct channel *, const struct call_event *);

/* What the phone system says of a device: one list makes enum and words. */
#define DEVICE_STATES(D)                                                               \
	D(UNKNOWN, "unknown", "nobody said, or it cannot be known")                    \
	D(IDLE, "idle", "reachable, not in use")                                       \
	D(IN_USE, "in_use", "")                                                        \
	D(BUSY, "busy", "in use and takes no second call")                             \
	D(RINGING, "ringing", "")                                                      \
	D(ON_HOLD, "on_hold", "")                                                      \
	D(UNAVAILABLE, "unavailable", "not registered, or not reachable")              \
	D(INVALID, "invalid", "the phone system knows no such device")

enum device_state {
#define D(name, text, help) DEVICE_##name,
	DEVICE_STATES(D)
#undef D
};

/* A list of all members begins, and ends: after a MEMBERS_END whoever was not listed is
 * no member any more, and with device_said the list of devices was whole too. If no list
 * could be had, MEMBERS_FAILED ends it. Marks name no interface. */
enum member_mark { MEMBER_SAID, MEMBERS_BEGIN, MEMBERS_END, MEMBERS_FAILED };

/* What a phone system says about a queue member or an agent's phone. Not an event of a
 * call: it goes to the agents' states and is not spooled, as a snapshot tells it again.
 * Borrowed until return. */
struct member_event {
	enum member_mark mark;
	const char *interface; /* "PJSIP/1001": the phone, or the member's interface */
	/* What the queue calls the member, and channel_pause must name, if that is not the
	 * phone: "Local/1001@agents/n"; else NULL. */
	const char *member;
	const char *presence; /* "1001@pbx.test", or NULL */
	const char *queue;    /* NULL: not about one queue */
	int paused;	      /* 1, 0; -1 = not said */
	const char *reason;   /* of the pause; may be NULL */
	bool removed;	      /* no longer a member of queue */
	bool device_said;     /* device is said */
	enum device_state device;
	bool snapshot; /* how it is (an item of a list), not a change made now */
	int64_t at_us; /* wall time of the change; 0 = now */
	/* When it was paused last, if the phone system says; 0 = not said, or never since
	 * it became a member. */
	int64_t last_pause_us;
};
void channel_member_event(struct channel *, const struct member_event *);

/* ---- Past calls, from the phone system's own records --------------------------------- */

typedef void call_event_fn(void *arg, const struct call_event *);

/* One format of records (CDR, CEL, …), in a CSV file or a table of a database. Pure
 * functions: they are called on a thread of their own. `values` has one text per entry of
 * columns, "" for what is absent. */
struct channel_history {
	const char *format; /* the word of `history_format` */
	/* What is read, by name ("a|b": either); ends with NULL, at most 32. */
	const char *const *columns;
	/* The order in a file if the configuration and the file's first line say none. */
	const char *const *csv_order;
	const char *time_column; /* of a table: "a|b", the first there is */
	/* About when a record was written, to some minutes; false: unreadable. */
	bool (*near)(const char *const *values, int64_t *us_r);
	/* Records are collected (false: unreadable), then told as events in the order of
	 * time, then let go. */
	void *(*begin)(void);
	bool (*add)(void *state, const char *const *values);
	void (*emit)(void *state, call_event_fn *fn, void *arg);
	void (*end)(void *state);
};

/* `endpoint` is one of the channel's trunks. */
bool phone_conf_is_trunk(const struct phone_conf *, const char *endpoint);
/* The agent's id that `agents` finds in it, prefix included, or NULL; caller frees. */
char *phone_conf_agent(const struct phone_conf *, const char *endpoint);

#endif
