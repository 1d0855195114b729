/* ami_events.c - what Asterisk's events mean, as call events.
 *
 * One table of event names and functions; names that are not in it (RTCP, TestEvent and
 * the like: most of a `read=all` stream) are dropped after one look-up. Every function
 * fills one struct call_event from the message and says whether there is one. How the
 * lines become its fields is in ami_fields.c, which variables are Asterisk's own in
 * ami_variables.c. */
#include "ami_events.h"
#include "ami_fields.h"
#include "ami_variables.h"

#include <mem.h>
#include <str.h>

#include <string.h>

#define INDEX_SIZE 256

struct event_kind;
struct ami_events {
	const struct event_kind *index[INDEX_SIZE]; /* hash of name -> kind */
	struct ami_fields fields;
};

typedef bool
translate_fn(struct ami_fields *, const struct ami_message *, struct call_event *);

struct event_kind {
	const char *name;
	translate_fn *translate;
};

/* ---- Channels -------------------------------------------------------------- */

static bool
on_new_channel(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ev->type = CALL_CHANNEL_NEW;
	return ami_fill_channel(e, m, ev);
}

static bool
on_state(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ev->type = CALL_CHANNEL_STATE;
	return ami_fill_channel(e, m, ev);
}

/* CID-CallingPres: bits 5 and 6 say restricted or not available (Q.931 §4.5.10). */
static bool
on_update(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ev->type = CALL_CHANNEL_UPDATE;
	if (ami_int(ami_get(m, "CID-CallingPres")) & 0x60)
		ev->flags |= CALL_WITHHELD;
	return ami_fill_channel(e, m, ev);
}

static bool
on_rename(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	const char *name = ami_get_known(m, "Newname");

	ev->type = CALL_CHANNEL_UPDATE;
	ev->uid = ami_get_known(m, "Uniqueid");
	if (!ev->uid || !name)
		return false;
	ev->name = ami_clean(e, name);
	ev->endpoint = ami_clean(e, ami_endpoint(e, name));
	return ev->endpoint != NULL;
}

static bool
on_hangup(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ev->type = CALL_CHANNEL_HANGUP;
	ev->cause = ami_int(ami_get(m, "Cause"));
	return ami_fill_channel(e, m, ev);
}

static bool
on_hangup_request(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ev->type = CALL_HANGUP_REQUEST;
	ev->cause = ami_int(ami_get(m, "Cause"));
	return ami_fill_channel(e, m, ev);
}

/* Its Cause is not Q.850's: 4 is AST_SOFTHANGUP_SHUTDOWN, Asterisk stops. */
static bool
on_soft_hangup(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ev->type = CALL_HANGUP_REQUEST;
	ev->flags = CALL_SOFT;
	if (ami_int(ami_get(m, "Cause")) == 4)
		ev->flags |= CALL_SHUTDOWN;
	return ami_fill_channel(e, m, ev);
}

static bool
on_hold(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ev->type = CALL_HOLD;
	return ami_fill_channel(e, m, ev);
}

static bool
on_unhold(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ev->type = CALL_UNHOLD;
	return ami_fill_channel(e, m, ev);
}

static bool
on_dtmf(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ev->type = CALL_DTMF;
	ev->detail = ami_get_known(m, "Digit");
	return str_eq(ami_get(m, "Direction"), "Received") &&
	       ami_fill_channel(e, m, ev);
}

/* ---- Dialling -------------------------------------------------------------- */

/* 0911222333@trunk, trunk/sip:0911222333@host and PJSIP/1001 say 0911222333 and 1001.
 */
static const char *
dialled_number(struct ami_fields *e, const char *dial_string)
{
	const char *at, *slash, *sip;
	size_t len;

	if (!dial_string)
		return NULL;
	sip = strstr(dial_string, "sip:");
	if (sip)
		dial_string = sip + 4;
	at = strchr(dial_string, '@');
	len = at ? (size_t)(at - dial_string) : strlen(dial_string);
	slash = memrchr(dial_string, '/', len);
	if (slash) {
		len -= (size_t)(slash + 1 - dial_string);
		dial_string = slash + 1;
	}
	return len ? ami_clean(e, ami_keep(e, dial_string, len)) : NULL;
}

/* The dialling channel is absent in an originate. */
static bool
fill_dial(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ami_fill_channel(e, m, ev);
	return ami_fill_other(e, m, "Dest", ev);
}

static bool
on_dial_begin(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ev->type = CALL_DIAL_BEGIN;
	ev->dial_string = dialled_number(e, ami_get_known(m, "DialString"));
	return fill_dial(e, m, ev);
}

static bool
on_dial_state(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	const char *status = ami_get(m, "DialStatus");

	if (!fill_dial(e, m, ev))
		return false;
	ev->type = CALL_DIAL_STATE;
	ev->other_state = str_eq(status, "RINGING")    ? CALL_STATE_RINGING
			  : str_eq(status, "PROGRESS") ? CALL_STATE_PROGRESS
						       : CALL_STATE_UNKNOWN;
	return true;
}

static enum call_result
dial_result(const char *status)
{
	static const struct {
		const char *status;
		enum call_result result;
	} results[] = {
		{"ANSWER", CALL_RESULT_ANSWER},
		{"CANCEL", CALL_RESULT_CANCEL},
		{"NOANSWER", CALL_RESULT_NO_ANSWER},
		{"BUSY", CALL_RESULT_BUSY},
		{"CONGESTION", CALL_RESULT_CONGESTION},
		{"CHANUNAVAIL", CALL_RESULT_UNAVAILABLE},
		{"DONTCALL", CALL_RESULT_REJECTED},
		{"TORTURE", CALL_RESULT_REJECTED},
	};

	for (size_t i = 0; status && i < ARRAY_LEN(results); i++)
		if (strcmp(status, results[i].status) == 0)
			return results[i].result;
	return CALL_RESULT_CANCEL; /* ABORT, GOTO, CONTINUE: withdrawn */
}

static bool
on_dial_end(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ev->type = CALL_DIAL_END;
	ev->result = dial_result(ami_get_known(m, "DialStatus"));
	ev->other_exten = ami_clean(e, ami_get_known(m, "Forward"));
	if (ev->other_exten)
		ev->result = CALL_RESULT_FORWARDED;
	return fill_dial(e, m, ev);
}

static bool
on_originate_response(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	const char *name = ami_get_known(m, "Channel");

	ev->type = CALL_ORIGINATE_RESULT;
	ev->action = ami_clean(e, ami_get_known(m, "ActionID"));
	ev->uid = ami_get_known(m, "Uniqueid");
	ev->exten = ami_clean(e, ami_get_known(m, "Exten"));
	/* Without a Uniqueid the name is the one asked for, and has no suffix. */
	if (name)
		ev->endpoint = ami_clean(e, ev->uid ? ami_endpoint(e, name) : name);
	switch (ami_int(ami_get(m, "Reason"))) {
	case 3: ev->result = CALL_RESULT_NO_ANSWER; break;
	case 4: ev->result = CALL_RESULT_ANSWER; break;
	case 5: ev->result = CALL_RESULT_BUSY; break;
	case 8: ev->result = CALL_RESULT_CONGESTION; break;
	default: ev->result = CALL_RESULT_FAILED;
	}
	return ev->uid || ev->endpoint;
}

/* ---- Queues ---------------------------------------------------------------- */

static bool
fill_queue(struct ami_fields *e, const struct ami_message *m, struct call_event *ev,
	enum call_event_type type)
{
	ev->type = type;
	ev->queue = ami_clean(e, ami_get_known(m, "Queue"));
	ev->position = ami_int(ami_get(m, "Position"));
	ev->interface = ami_clean(e, ami_get_known(m, "Interface"));
	ev->member = ami_clean(e, ami_get_known(m, "MemberName"));
	ami_fill_other(e, m, "Dest", ev);
	return ami_fill_channel(e, m, ev);
}

static bool
on_queue_join(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	return fill_queue(e, m, ev, CALL_QUEUE_JOIN);
}

static bool
on_queue_leave(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	return fill_queue(e, m, ev, CALL_QUEUE_LEAVE);
}

static bool
on_queue_abandon(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	return fill_queue(e, m, ev, CALL_QUEUE_ABANDON);
}

static bool
on_agent_called(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	return fill_queue(e, m, ev, CALL_QUEUE_OFFER);
}

static bool
on_agent_no_answer(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	return fill_queue(e, m, ev, CALL_QUEUE_NO_ANSWER);
}

static bool
on_agent_connect(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	return fill_queue(e, m, ev, CALL_QUEUE_CONNECT);
}

static bool
on_agent_complete(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	const char *reason = ami_get(m, "Reason");

	ev->result = str_eq(reason, "caller")	  ? CALL_RESULT_CALLER
		     : str_eq(reason, "agent")	  ? CALL_RESULT_AGENT
		     : str_eq(reason, "transfer") ? CALL_RESULT_TRANSFER
						  : CALL_RESULT_NONE;
	return fill_queue(e, m, ev, CALL_QUEUE_COMPLETE);
}

/* ---- Bridges, transfers, parking ------------------------------------------- */

static bool
fill_bridge(struct ami_fields *e, const struct ami_message *m, struct call_event *ev,
	enum call_event_type type)
{
	ev->type = type;
	ev->bridge = ami_get_known(m, "BridgeUniqueid");
	if (str_eq(ami_get(m, "BridgeType"), "parking") ||
		str_eq(ami_get(m, "BridgeTechnology"), "holding_bridge"))
		ev->flags |= CALL_PARKING_BRIDGE;
	return ev->bridge && ami_fill_channel(e, m, ev);
}

static bool
on_bridge_enter(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	return fill_bridge(e, m, ev, CALL_BRIDGE_ENTER);
}

static bool
on_bridge_leave(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	return fill_bridge(e, m, ev, CALL_BRIDGE_LEAVE);
}

static bool
is_success(const struct ami_message *m)
{
	const char *result = ami_get(m, "Result");

	return !result || strcmp(result, "Success") == 0;
}

static bool
on_blind_transfer(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ev->type = CALL_TRANSFER_BLIND;
	ev->exten = ami_clean(e, ami_get_known(m, "Extension"));
	ami_fill_other(e, m, "Transferee", ev);
	return is_success(m) && ami_fill_first(e, m, "Transferer", ev);
}

static bool
on_attended_transfer(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ev->type = CALL_TRANSFER_ATTENDED;
	ev->second_uid = ami_get_known(m, "SecondTransfererUniqueid");
	ev->target_uid = ami_get_known(m, "TransferTargetUniqueid");
	ami_fill_other(e, m, "Transferee", ev);
	return is_success(m) && ami_fill_first(e, m, "OrigTransferer", ev);
}

static bool
on_pickup(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ev->type = CALL_PICKUP;
	ami_fill_other(e, m, "Target", ev);
	return ev->other_uid && ami_fill_channel(e, m, ev);
}

static bool
fill_parked(struct ami_fields *e, const struct ami_message *m, struct call_event *ev,
	enum call_event_type type)
{
	ev->type = type;
	if (!ami_fill_first(e, m, "Parkee", ev))
		return false;
	ev->exten = ami_clean(e, ami_get_known(m, "ParkingSpace"));
	ev->age_ms = (int64_t)ami_int(ami_get(m, "ParkingDuration")) * 1000;
	return true;
}

/* With an ActionID it is an item of the list of parked calls. */
static bool
on_parked(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ami_fill_other(e, m, "Parker", ev);
	return fill_parked(
		e, m, ev, ami_get(m, "ActionID") ? CALL_SNAPSHOT_PARKED : CALL_PARK);
}

static bool
on_unparked(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ami_fill_other(e, m, "Retriever", ev);
	return fill_parked(e, m, ev, CALL_UNPARK);
}

static bool
on_park_timeout(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	return fill_parked(e, m, ev, CALL_PARK_TIMEOUT);
}

static bool
on_park_give_up(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	return fill_parked(e, m, ev, CALL_PARK_GIVE_UP);
}

static bool
fill_local(struct ami_fields *e, const struct ami_message *m, struct call_event *ev,
	enum call_event_type type)
{
	ev->type = type;
	return ami_fill_first(e, m, "LocalOne", ev) &&
	       ami_fill_other(e, m, "LocalTwo", ev);
}

static bool
on_local_bridge(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	return fill_local(e, m, ev, CALL_LOCAL_BRIDGE);
}

static bool
on_local_optimized(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	return fill_local(e, m, ev, CALL_LOCAL_OPTIMIZED);
}

/* ---- Dialplan -------------------------------------------------------------- */

/* What the queue said when it let the caller go (app_queue's QUEUESTATUS). */
static enum call_result
queue_status(const char *value)
{
	if (str_eq(value, "TIMEOUT"))
		return CALL_RESULT_NO_ANSWER;
	if (str_eq(value, "FULL") || str_starts(value, "JOIN"))
		return CALL_RESULT_REJECTED;
	if (str_starts(value, "LEAVE"))
		return CALL_RESULT_UNAVAILABLE;
	return CALL_RESULT_NONE;
}

static bool
on_variable(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	const char *name = ami_get(m, "Variable"), *value = ami_get_known(m, "Value");

	if (!name || !value)
		return false;
	if (strcmp(name, "MIXMONITOR_FILENAME") == 0) {
		ev->type = CALL_RECORDING;
		ev->detail = ami_unescaped(e, value);
		return ami_fill_channel(e, m, ev);
	}
	if (strcmp(name, "VM_MESSAGEFILE") == 0) {
		ev->type = CALL_VOICEMAIL;
		ev->detail = ami_unescaped(e, value);
		return ami_fill_channel(e, m, ev);
	}
	if (strcmp(name, "QUEUESTATUS") == 0) {
		ev->type = CALL_QUEUE_LEAVE;
		ev->result = queue_status(value);
		return ev->result != CALL_RESULT_NONE && ami_fill_channel(e, m, ev);
	}
	if (!ami_variable_is_plain(name) || ami_variable_is_noise(name))
		return false;
	ev->type = CALL_VARIABLE;
	if (!ami_fill_channel(e, m, ev) || ev->n_vars == CALL_VARS_MAX)
		return false;
	e->vars[ev->n_vars++] =
		(struct call_var){ami_variable_plain(name), ami_unescaped(e, value)};
	return e->vars[ev->n_vars - 1].value != NULL;
}

/* Of the applications only those that the events themselves do not tell of. */
static bool
on_application(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	const char *app = ami_get(m, "Application"),
		   *data = ami_get_known(m, "AppData");

	if (!str_ieq(app, "Queue") && !str_ieq(app, "VoiceMail"))
		return false;
	if (!ami_fill_channel(e, m, ev))
		return false;
	ev->type = CALL_APPLICATION;
	ev->detail = app;
	ev->exten = data ? ami_clean(e, ami_keep(e, data, strcspn(data, ","))) : NULL;
	return true;
}

static bool
on_recording(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ev->type = CALL_RECORDING;
	return ami_fill_channel(e, m, ev);
}

/* Sent for a mailbox that changed; with a channel, for the one that left the message.
 */
static bool
on_message_waiting(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	ev->type = CALL_VOICEMAIL;
	if (!str_eq(ami_get(m, "Waiting"), "1") || !ami_fill_channel(e, m, ev))
		return false;
	ev->exten = ami_clean(e, ami_get_known(m, "Mailbox"));
	return true;
}

static bool
on_shutdown(struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	(void)e;
	(void)m;
	ev->type = CALL_SYSTEM_STOPPED;
	return true;
}

/* ---- Lists ----------------------------------------------------------------- */

/* "00:01:02" */
static int64_t
duration_ms(const char *s)
{
	int64_t total = 0;

	for (; s; s = strchr(s, ':') ? strchr(s, ':') + 1 : NULL)
		total = total * 60 + ami_int(s);
	return total * 1000;
}

static bool
on_list_channel(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	if (!ami_get(m, "ActionID") || !ami_fill_channel(e, m, ev))
		return false;
	ev->type = CALL_SNAPSHOT_CHANNEL;
	ev->bridge = ami_get_known(m, "BridgeId");
	ev->detail = ami_clean(e, ami_get_known(m, "Application"));
	ev->age_ms = duration_ms(ami_get(m, "Duration"));
	return true;
}

static bool
on_list_waiting(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	if (!ami_get(m, "ActionID"))
		return false;
	ev->age_ms = (int64_t)ami_int(ami_get(m, "Wait")) * 1000;
	return fill_queue(e, m, ev, CALL_SNAPSHOT_WAITING);
}

/* ---- The table ------------------------------------------------------------- */

static const struct event_kind kinds[] = {
	{"AgentCalled", on_agent_called},
	{"AgentComplete", on_agent_complete},
	{"AgentConnect", on_agent_connect},
	{"AgentRingNoAnswer", on_agent_no_answer},
	{"AttendedTransfer", on_attended_transfer},
	{"BlindTransfer", on_blind_transfer},
	{"BridgeEnter", on_bridge_enter},
	{"BridgeLeave", on_bridge_leave},
	{"CoreShowChannel", on_list_channel},
	{"DTMFEnd", on_dtmf},
	{"DialBegin", on_dial_begin},
	{"DialEnd", on_dial_end},
	{"DialState", on_dial_state},
	{"Hangup", on_hangup},
	{"HangupRequest", on_hangup_request},
	{"Hold", on_hold},
	{"LocalBridge", on_local_bridge},
	{"LocalOptimizationEnd", on_local_optimized},
	{"MessageWaiting", on_message_waiting},
	{"MixMonitorStart", on_recording},
	{"NewCallerid", on_update},
	{"NewConnectedLine", on_update},
	{"Newchannel", on_new_channel},
	{"Newexten", on_application},
	{"Newstate", on_state},
	{"OriginateResponse", on_originate_response},
	{"ParkedCall", on_parked},
	{"ParkedCallGiveUp", on_park_give_up},
	{"ParkedCallTimeOut", on_park_timeout},
	{"Pickup", on_pickup},
	{"QueueCallerAbandon", on_queue_abandon},
	{"QueueCallerJoin", on_queue_join},
	{"QueueCallerLeave", on_queue_leave},
	{"QueueEntry", on_list_waiting},
	{"Rename", on_rename},
	{"Shutdown", on_shutdown},
	{"SoftHangupRequest", on_soft_hangup},
	{"UnParkedCall", on_unparked},
	{"Unhold", on_unhold},
	{"VarSet", on_variable},
};

/* Spreads the names above over the index; the rest mostly meets an empty slot. */
static unsigned
name_slot(const char *name, size_t len)
{
	unsigned h = (unsigned)len * 31;

	h = h * 33 + (unsigned char)name[0];
	h = h * 33 + (unsigned char)name[len / 2];
	h = h * 33 + (unsigned char)name[len - 1];
	return (h ^ h >> 8) % INDEX_SIZE;
}

static const struct event_kind *
find_kind(const struct ami_events *e, const struct ami_line *line)
{
	if (line->value_len == 0)
		return NULL;
	for (unsigned i = name_slot(line->value, line->value_len); e->index[i];
		i = (i + 1) % INDEX_SIZE)
		if (strcmp(e->index[i]->name, line->value) == 0)
			return e->index[i];
	return NULL;
}

struct ami_events *
ami_events_new(void)
{
	struct ami_events *e = xmalloc(sizeof(*e));

	memset(e, 0, offsetof(struct ami_events, fields.arena));
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		unsigned i = name_slot(kinds[k].name, strlen(kinds[k].name));
		while (e->index[i])
			i = (i + 1) % INDEX_SIZE;
		e->index[i] = &kinds[k];
	}
	return e;
}

void
ami_events_free(struct ami_events **ep)
{
	if (!*ep)
		return;
	buf_fini(&(*ep)->fields.scratch);
	buf_fini(&(*ep)->fields.scratch2);
	xfree(ep);
}

/* Asterisk names every channel's Uniqueid in all events that matter, so nothing has to
 * be remembered between messages but the room they are translated in. */
void
ami_events_reset(struct ami_events *e)
{
	e->fields.used = 0;
}

struct ami_fields *
ami_events_fields(struct ami_events *e)
{
	e->fields.used = 0;
	return &e->fields;
}

bool
ami_events_translate(struct ami_events *e, const struct ami_message *m, int64_t at_us,
	ami_call_event_fn *fn, void *arg)
{
	struct call_event ev;
	const struct event_kind *kind;

	if (m->n == 0 || !str_ieq(m->lines[0].key, "Event"))
		return false;
	kind = find_kind(e, &m->lines[0]);
	if (!kind)
		return false;
	memset(&ev, 0, sizeof(ev));
	e->fields.used = 0;
	if (!kind->translate(&e->fields, m, &ev))
		return false;
	ev.at_us = ami_timestamp_us(m, at_us);
	fn(arg, &ev);
	return true;
}
