/* asterisk_session.c - the life of one connection to a manager, and then the next.
 *
 *	WAITING -> CONNECTING -> BANNER -> [CHALLENGE ->] LOGIN -> ASKING
 *		-> [BOOTING ->] READY
 *
 * and from anywhere back to WAITING through session_end, which takes the reason.
 *
 * Only state_set changes the state, and starts the deadline it has. Events count from
 * the login's answer on, whatever the state; they are given to the core as they come.
 * With READY begins a snapshot. A login that was refused is tried again slowly: the
 * operator has to do something first, and Asterisk's own log (and fail2ban) reads
 * along.
 *
 * Nothing here may wait: Asterisk cuts off a client that does not read. */
#include "asterisk.h"
#include "ami_members.h"

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_MS	  10000
#define OUTPUT_MAX	  (256 * 1024)
#define LASTING_US	  10000000 /* READY for so long: the next failure is a first one */
#define SLOW_RETRY_FACTOR 10
#define BUSY_US		  1000000 /* a Ping's round trip */

static const char *const state_texts[] = {
#define S(name, text, help) [ASTERISK_##name] = text,
	ASTERISK_STATES(S)
#undef S
};

const char *
asterisk_state_text(enum asterisk_state state)
{
	return state_texts[state];
}

/* How long a state may last, in ms; 0 = its end is watched elsewhere (by stream.c, by
 * actions' deadlines, by Pings). */
static int64_t
state_limit(const struct asterisk *a, enum asterisk_state state)
{
	switch (state) {
	case ASTERISK_BANNER:
	case ASTERISK_CHALLENGE:
	case ASTERISK_LOGIN: return a->conf->answer_ms;
	case ASTERISK_BOOTING: return a->conf->boot_wait_ms;
	case ASTERISK_CLOSED:
	case ASTERISK_WAITING:
	case ASTERISK_CONNECTING:
	case ASTERISK_ASKING:
	case ASTERISK_READY: break;
	}
	return 0;
}

void
asterisk_state_set(struct asterisk *a, enum asterisk_state next)
{
	int64_t limit = state_limit(a, next);

	log_debug(channel_who(a->channel), "session %s -> %s", state_texts[a->state],
		state_texts[next]);
	a->state = next;
	loop_timer_stop(a->timer);
	if (limit)
		loop_timer_start(a->timer, limit);
}

bool
asterisk_is_logged_in(const struct asterisk *a)
{
	return a->state >= ASTERISK_ASKING;
}

void
asterisk_emit(struct asterisk *a, enum call_event_type type)
{
	struct call_event ev = {.type = type, .at_us = clock_wall_us()};

	channel_call_event(a->channel, &ev);
}

/* ---- The end of a connection --------------------------------------------- */

static void
connection_drop(struct asterisk *a)
{
	stream_free(&a->stream);
	if (a->parser)
		ami_parser_free(&a->parser);
	loop_timer_stop(a->ping_timer);
	asterisk_resync_abort(a);
	asterisk_actions_cancel(a);
	asterisk_dial_forget(a);
	xfree(&a->banner);
	xfree(&a->version);
	a->asked_settings = a->asked_status = a->ping_out = false;
	a->ping_took_us = 0;
}

static int64_t
retry_ms(struct asterisk *a, bool refused)
{
	int64_t base = a->conf->reconnect_min_ms, cap = a->conf->reconnect_max_ms;

	if (a->ready_us && clock_mono_us() - a->ready_us > LASTING_US)
		a->attempt = 0;
	if (refused)
		base = base < cap / SLOW_RETRY_FACTOR ? base * SLOW_RETRY_FACTOR : cap;
	return loop_backoff_ms(a->attempt++, base, cap);
}

static void session_end_v(struct asterisk *a, bool refused, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

static void
session_end_v(struct asterisk *a, bool refused, const char *fmt, va_list ap)
{
	bool was_logged_in = asterisk_is_logged_in(a);
	struct buf clean = BUF_INIT;
	char why[ERR_TEXT_MAX];

	if (a->state == ASTERISK_WAITING || a->state == ASTERISK_CLOSED)
		return;
	vsnprintf(why, sizeof(why), fmt, ap); /* before what ap may point to is freed */
	utf8_clean(&clean, why, strlen(why));
	asterisk_state_set(a, ASTERISK_WAITING);
	connection_drop(a);
	loop_timer_start(a->timer, retry_ms(a, refused));
	a->ready_us = 0;
	if (was_logged_in) {
		a->lost_us = clock_mono_us();
		asterisk_emit(a, CALL_LINK_LOST);
	}
	channel_down(a->channel, buf_str(&clean));
	asterisk_check_ended(a, buf_str(&clean));
	buf_fini(&clean);
}

void
asterisk_session_end(struct asterisk *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	session_end_v(a, false, fmt, ap);
	va_end(ap);
}

void
asterisk_session_refused(struct asterisk *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	session_end_v(a, true, fmt, ap);
	va_end(ap);
}

/* ---- Keepalive ----------------------------------------------------------- */

static void on_pong(struct asterisk *, uint64_t id, const struct ami_message *);

static void
ping(void *arg)
{
	struct asterisk *a = arg;

	a->pinged_us = clock_mono_us();
	a->ping_out = asterisk_action(a, "Ping", NULL, on_pong) != 0;
	if (!a->ping_out)
		loop_timer_start(a->ping_timer, a->conf->keepalive_ms);
}

/* An Asterisk busy sending events may answer late; one that sends nothing is dead. */
static void
on_pong(struct asterisk *a, uint64_t id, const struct ami_message *answer)
{
	(void)id;
	a->ping_out = false;
	if (!asterisk_is_logged_in(a))
		return;
	a->ping_took_us = clock_mono_us() - a->pinged_us;
	if (!answer && a->heard_us <= a->pinged_us)
		asterisk_session_end(a,
			"%s has said nothing, and not answered a Ping, for %lld ms",
			a->address, (long long)a->conf->answer_ms);
	else
		loop_timer_start(a->ping_timer, a->conf->keepalive_ms);
}

/* An overloaded manager answers behind what it has to send. */
const char *
asterisk_session_busy(struct asterisk *a)
{
	int64_t took_us = a->ping_out ? clock_mono_us() - a->pinged_us : 0;

	if (a->ping_took_us > took_us)
		took_us = a->ping_took_us;
	if (took_us < BUSY_US)
		return NULL;
	snprintf(a->busy, sizeof(a->busy),
		"it is slow to answer (a Ping: %lld ms), and is left alone until it is "
		"not",
		(long long)(took_us / 1000));
	return a->busy;
}

/* ---- Messages ------------------------------------------------------------ */

static void
on_call_event(void *arg, const struct call_event *ev)
{
	struct asterisk *a = arg;
	struct call_event named;
	char uid[ASTERISK_UID_MAX];

	if (ev->type != CALL_ORIGINATE_RESULT ||
		!asterisk_dial_ended(a, ev->action, uid) || ev->uid) {
		channel_call_event(a->channel, ev);
		return;
	}
	/* Of one that failed Asterisk tells but the name that was asked for. */
	named = *ev;
	named.uid = uid;
	named.endpoint = NULL;
	channel_call_event(a->channel, &named);
}

static void
on_member_event(void *arg, const struct member_event *ev)
{
	struct asterisk *a = arg;

	channel_member_event(a->channel, ev);
}

/* What neither calls nor agents' states need is counted in one. */
static void
translate(struct asterisk *a, const struct ami_message *m)
{
	int64_t now = clock_wall_us();

	if (ami_events_translate(a->events, m, now, on_call_event, a))
		return;
	channel_count(a->channel,
		ami_members_translate(
			ami_events_fields(a->events), m, now, on_member_event, a)
			? "members"
			: "ignored",
		1);
}

static void
on_event(struct asterisk *a, const struct ami_message *m, const char *event)
{
	if (!asterisk_is_logged_in(a) && !asterisk_login_by_event(a))
		return;
	translate(a, m);
	if (str_ieq(event, "FullyBooted"))
		asterisk_login_booted(a, m);
	else if (str_ieq(event, "Shutdown"))
		a->stopped = true;
	asterisk_resync_event(a, m, event);
	asterisk_check_event(a, m, event);
}

static void
on_response(struct asterisk *a, const struct ami_message *m)
{
	if (a->state == ASTERISK_CHALLENGE || a->state == ASTERISK_LOGIN)
		asterisk_login_answer(a, m);
	else
		asterisk_action_answered(a, m);
}

/* OriginateResponse is an event with a "Response" in it: ask for "Event" first. */
static void
on_message(void *arg, const struct ami_message *m)
{
	struct asterisk *a = arg;
	const char *event = ami_get(m, "Event");

	a->heard_us = clock_mono_us();
	channel_count(a->channel, "messages", 1);
	if (event)
		on_event(a, m, event);
	else if (ami_get(m, "Response"))
		on_response(a, m);
	else
		channel_refused(a->channel, "no_kind",
			"a message with neither Event nor Response");
}

/* What was refused may hold a customer's name or number: its text is for debug. */
static void
on_refused(void *arg, enum ami_refusal refusal, const char *detail)
{
	static const char *const causes[] = {[AMI_TOO_LONG] = "too_long",
		[AMI_TOO_MANY_LINES] = "too_many_lines",
		[AMI_NO_COLON] = "no_colon",
		[AMI_NUL] = "nul"};
	struct asterisk *a = arg;

	channel_refused(a->channel, causes[refusal], "%s", ami_refusal_text(refusal));
	log_debug(channel_who(a->channel), "refused: %s", detail);
}

/* ---- The connection ------------------------------------------------------ */

static void
on_banner(void *arg, const char *line)
{
	asterisk_login_start(arg, line);
}

static const struct ami_parser_callbacks parser_callbacks = {
	.on_banner = on_banner,
	.on_message = on_message,
	.on_refused = on_refused,
};

static void
on_stream_up(void *arg)
{
	struct asterisk *a = arg;

	a->parser = ami_parser_new(&parser_callbacks, a);
	asterisk_actions_reset(a);
	channel_count(a->channel, "connections", 1);
	asterisk_state_set(a, ASTERISK_BANNER);
}

/* What answers, when it is no manager. */
static void
wrong_banner(struct asterisk *a, const char *data, size_t len)
{
	const char *end = memchr(data, '\r', len < 60 ? len : 60);
	int n = (int)(end ? end - data : len < 60 ? (long)len : 60);

	asterisk_session_refused(a,
		"%s answers with \"%.*s\", which is no Asterisk manager: check address "
		"and port (manager.conf: port, 5038 if not set)",
		a->address, n, data);
}

/* Always takes everything: see the top. */
static size_t
on_stream_data(void *arg, const char *data, size_t len)
{
	struct asterisk *a = arg;
	const char *why;

	channel_count(a->channel, "bytes", (unsigned)len);
	if (!ami_parser_feed(a->parser, data, len, &why) && a->parser)
		wrong_banner(a, data, len);
	return len;
}

static void
on_stream_down(void *arg, const char *why)
{
	struct asterisk *a = arg;

	if (a->state == ASTERISK_CONNECTING)
		asterisk_session_end(a, "%s: is Asterisk running, and %s?", why,
			a->conf->tls ? "in manager.conf tlsenable = yes, tlsbindaddr "
				       "right? Does tls_ca know its certificate"
				     : "in manager.conf enabled = yes, bindaddr and "
				       "port right");
	else if (a->state == ASTERISK_BANNER)
		asterisk_session_refused(a,
			"%s, before its first line: TLS on both sides or on neither? "
			"is "
			"this host allowed?",
			why);
	else if (!asterisk_is_logged_in(a))
		asterisk_session_refused(a, "%s, at login", why);
	else if (a->stopped)
		asterisk_session_end(a, "%s was shut down", a->address);
	else
		asterisk_session_end(a, "connection lost: %s", why);
}

static const struct stream_callbacks stream_callbacks = {
	.on_up = on_stream_up,
	.on_data = on_stream_data,
	.on_down = on_stream_down,
};

static void
session_connect(struct asterisk *a)
{
	struct stream_opts opts = {
		.address = a->address,
		.tls = a->conf->tls,
		.tls_ca = a->conf->tls_ca,
		.tls_no_verify = !a->conf->tls_verify,
		.connect_timeout_ms = CONNECT_MS,
		.max_output = OUTPUT_MAX,
	};

	a->booted = a->stopped = false;
	a->uptime_s = -1;
	asterisk_state_set(a, ASTERISK_CONNECTING);
	a->stream =
		stream_connect(channel_loop(a->channel), &opts, &stream_callbacks, a);
}

/* The state's time is over. */
static void
on_timer(void *arg)
{
	struct asterisk *a = arg;
	long long ms = (long long)a->conf->answer_ms;

	switch (a->state) {
	case ASTERISK_WAITING: session_connect(a); break;
	case ASTERISK_BANNER:
		asterisk_session_refused(a,
			"%s took the connection and says nothing for %lld ms: is it "
			"the "
			"manager's port, and TLS on both sides or on neither?",
			a->address, ms);
		break;
	case ASTERISK_CHALLENGE:
	case ASTERISK_LOGIN:
		asterisk_session_refused(
			a, "%s does not answer the login for %lld ms", a->address, ms);
		break;
	case ASTERISK_BOOTING: asterisk_login_boot_wait_over(a); break;
	case ASTERISK_CLOSED:
	case ASTERISK_CONNECTING:
	case ASTERISK_ASKING:
	case ASTERISK_READY: break;
	}
}

/* ---- Life ---------------------------------------------------------------- */

void
asterisk_session_init(struct asterisk *a)
{
	struct loop *loop = channel_loop(a->channel);

	a->events = ami_events_new();
	list_init(&a->dials);
	a->timer = loop_timer_new(loop, on_timer, a);
	a->ping_timer = loop_timer_new(loop, ping, a);
	asterisk_actions_init(a);
	list_init(&a->pauses);
}

void
asterisk_session_start(struct asterisk *a)
{
	session_connect(a);
}

void
asterisk_session_fini(struct asterisk *a)
{
	if (!a->events)
		return;
	asterisk_state_set(a, ASTERISK_CLOSED);
	asterisk_check_fini(a);
	connection_drop(a);
	asterisk_resync_fini(a);
	asterisk_actions_fini(a);
	loop_timer_free(&a->timer);
	loop_timer_free(&a->ping_timer);
	ami_events_free(&a->events);
	xfree(&a->started);
	xfree(&a->address);
}
