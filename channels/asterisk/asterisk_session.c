/* asterisk_session.c - the life of one connection to a manager, and then the next.
 *
 *	WAITING -> CONNECTING -> BANNER -> [CHALLENGE ->] LOGIN -> ASKING -> [BOOTING
 *->] READY, and from anywhere back to WAITING through session_end, which takes the
 *reason.
 *
 * Only state_set changes the state, and starts the deadline it has. Events count from
 *the login's answer on, whatever the state; they are given to the core as they come.
 *With READY begins a snapshot. A login that was refused is tried again slowly: the
 *operator has to do something first, and Asterisk's own log (and fail2ban) reads along.
 *
 * Nothing here may wait: Asterisk cuts off a client that does not read. */
#include "asterisk.h"

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CONNECT_MS	  10000
#define OUTPUT_MAX	  (256 * 1024)
#define LASTING_US	  10000000 /* READY for so long: the next failure is a first one */
#define SLOW_RETRY_FACTOR 10

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

static void
state_set(struct asterisk *a, enum asterisk_state next)
{
	int64_t limit = state_limit(a, next);

	log_debug(channel_who(a->channel), "session %s -> %s", state_texts[a->state],
		state_texts[next]);
	a->state = next;
	loop_timer_stop(a->timer);
	if (limit)
		loop_timer_start(a->timer, limit);
}

static bool
is_logged_in(const struct asterisk *a)
{
	return a->state >= ASTERISK_ASKING;
}

void
asterisk_emit(struct asterisk *a, enum call_event_type type)
{
	struct call_event ev = {.type = type, .at_us = clock_wall_us()};

	channel_call_event(a->channel, &ev);
}

/* ---- The end of a connection ------------------------------------------------------
 */

static void
connection_drop(struct asterisk *a)
{
	stream_free(&a->stream);
	if (a->parser)
		ami_parser_free(&a->parser);
	loop_timer_stop(a->ping_timer);
	asterisk_resync_abort(a);
	asterisk_actions_cancel(a);
	xfree(&a->banner);
	xfree(&a->version);
	a->asked_settings = a->asked_status = false;
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
	bool was_logged_in = is_logged_in(a);
	struct buf clean = BUF_INIT;
	char why[ERR_TEXT_MAX];

	if (a->state == ASTERISK_WAITING || a->state == ASTERISK_CLOSED)
		return;
	vsnprintf(why, sizeof(why), fmt, ap); /* before what ap may point to is freed */
	utf8_clean(&clean, why, strlen(why));
	state_set(a, ASTERISK_WAITING);
	connection_drop(a);
	loop_timer_start(a->timer, retry_ms(a, refused));
	a->ready_us = 0;
	if (was_logged_in) {
		a->lost_us = clock_wall_us();
		asterisk_emit(a, CALL_LINK_LOST);
	}
	channel_down(a->channel, buf_str(&clean));
	buf_fini(&clean);
}

static void session_end(struct asterisk *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void
session_end(struct asterisk *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	session_end_v(a, false, fmt, ap);
	va_end(ap);
}

/* Trying again soon would not help. */
static void session_refused(struct asterisk *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void
session_refused(struct asterisk *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	session_end_v(a, true, fmt, ap);
	va_end(ap);
}

/* ---- Keepalive --------------------------------------------------------------------
 */

static void on_pong(struct asterisk *, uint64_t id, const struct ami_message *);

static void
ping(void *arg)
{
	struct asterisk *a = arg;

	a->pinged_us = clock_mono_us();
	if (!asterisk_action(a, "Ping", NULL, on_pong))
		loop_timer_start(a->ping_timer, a->conf->keepalive_ms);
}

/* An Asterisk busy sending events may answer late; one that sends nothing is dead. */
static void
on_pong(struct asterisk *a, uint64_t id, const struct ami_message *answer)
{
	(void)id;
	if (!is_logged_in(a))
		return;
	if (!answer && a->heard_us <= a->pinged_us)
		session_end(a,
			"%s has said nothing, and not answered a Ping, for %lld s",
			a->address, (long long)(a->conf->answer_ms / 1000));
	else
		loop_timer_start(a->ping_timer, a->conf->keepalive_ms);
}

/* ---- Getting to know each other ---------------------------------------------------
 */

static void
session_ready(struct asterisk *a)
{
	if (!a->booted)
		log_info(channel_who(a->channel),
			"no FullyBooted in %lld ms (it is told to users with \"read = "
			"system\"): going on",
			(long long)a->conf->boot_wait_ms);
	a->ready_us = clock_mono_us();
	state_set(a, ASTERISK_READY);
	asterisk_resync_start(a);
}

/* Channels from before a restart never get a Hangup, and uids start over. */
static void
system_restarted(struct asterisk *a)
{
	log_info(channel_who(a->channel), "the phone system has been restarted");
	ami_events_reset(a->events);
	asterisk_emit(a, CALL_SYSTEM_STOPPED);
}

/* By FullyBooted's Uptime, for who may not ask for CoreStatus: it is younger than our
 * last connection's end. */
static bool
uptime_tells_restart(const struct asterisk *a)
{
	return !a->started && a->lost_us && a->uptime_s >= 0 &&
	       clock_wall_us() - a->uptime_s * 1000000 > a->lost_us - 1000000;
}

static void
session_identified(struct asterisk *a)
{
	char *peer =
		a->version ? xasprintf("Asterisk %s", a->version) : xstrdup(a->banner);

	if (uptime_tells_restart(a))
		system_restarted(a);
	channel_up(a->channel, peer);
	mem_free(peer);
	if (a->booted)
		session_ready(a);
	else
		state_set(a, ASTERISK_BOOTING);
}

static void
asked_done(struct asterisk *a)
{
	if (a->state == ASTERISK_ASKING && !a->asked_settings && !a->asked_status)
		session_identified(a);
}

/* "22.10.1+dfsg+~cs6.17.60671434-1" -> "22.10.1"; "certified/18.9-cert5" stays. */
static void
on_settings(struct asterisk *a, uint64_t id, const struct ami_message *m)
{
	const char *version = m ? ami_get_known(m, "AsteriskVersion") : NULL;

	(void)id;
	a->asked_settings = false;
	if (version) {
		mem_free(a->version);
		a->version = xstrndup(version, strcspn(version, "+~ "));
	}
	asked_done(a);
}

static void
on_status(struct asterisk *a, uint64_t id, const struct ami_message *m)
{
	const char *date = m ? ami_get_known(m, "CoreStartupDate") : NULL;
	const char *time = m ? ami_get_known(m, "CoreStartupTime") : NULL;

	(void)id;
	a->asked_status = false;
	if (date && time) {
		char *started = xasprintf("%s %s", date, time);
		bool other = a->started && strcmp(a->started, started) != 0;
		mem_free(a->started);
		a->started = started;
		if (other)
			system_restarted(a);
	}
	asked_done(a);
}

static void
on_events_mask(struct asterisk *a, uint64_t id, const struct ami_message *m)
{
	(void)id;
	if (m && !str_ieq(ami_get(m, "Response"), "Success"))
		log_info(channel_who(a->channel), "the event mask \"%s\" was refused",
			a->conf->events);
}

/* Events nobody needs are best not sent at all. These two are half of a stream: RTCP
 * reports, and the statistics that Asterisk sets as variables at the end of a call. A
 * user without "write = system" is refused, which does no harm. */
static void
filters_add(struct asterisk *a)
{
	static const char *const no_rtcp[][2] = {
		{"Operation", "Add"}, {"Filter", "!Event: RTCP"}, {NULL, NULL}};
	static const char *const no_rtp_variables[][2] = {{"Operation", "Add"},
		{"Filter", "!Variable: RTPAUDIOQOS"}, {NULL, NULL}};

	asterisk_action(a, "Filter", no_rtcp, NULL);
	asterisk_action(a, "Filter", no_rtp_variables, NULL);
}

static void
logged_in(struct asterisk *a)
{
	const char *const mask[][2] = {{"EventMask", a->conf->events}, {NULL, NULL}};

	state_set(a, ASTERISK_ASKING);
	loop_timer_start(a->ping_timer, a->conf->keepalive_ms);
	/* The login asked for these events too, so that none is missed in between; a
	 * proxy may have logged in for us with others. */
	asterisk_action(a, "Events", mask, on_events_mask);
	filters_add(a);
	a->asked_settings = asterisk_action(a, "CoreSettings", NULL, on_settings) != 0;
	a->asked_status = asterisk_action(a, "CoreStatus", NULL, on_status) != 0;
	asked_done(a);
}

/* ---- Login ------------------------------------------------------------------------
 */

static void
login_plaintext(struct asterisk *a)
{
	const char *const fields[][2] = {{"Username", a->conf->username},
		{"Secret", a->conf->secret}, {"Events", a->conf->events}, {NULL, NULL}};

	state_set(a, ASTERISK_LOGIN);
	asterisk_action(a, "Login", fields, NULL);
}

static void
login_md5(struct asterisk *a, const char *challenge)
{
	char key[ASTERISK_MD5_LEN];

	asterisk_md5_key(key, challenge, a->conf->secret);
	const char *const fields[][2] = {{"AuthType", "MD5"},
		{"Username", a->conf->username}, {"Key", key},
		{"Events", a->conf->events}, {NULL, NULL}};
	state_set(a, ASTERISK_LOGIN);
	asterisk_action(a, "Login", fields, NULL);
}

static void
challenge_answered(struct asterisk *a, const struct ami_message *m)
{
	const char *challenge = ami_get_known(m, "Challenge");

	if (str_ieq(ami_get(m, "Response"), "Success") && challenge) {
		login_md5(a, challenge);
		return;
	}
	if (!a->conf->tls && log_once_due(&a->clear_text, 86400, NULL))
		log_warnx(channel_who(a->channel),
			"%s gives no challenge, the secret is sent in clear text",
			a->address);
	login_plaintext(a);
}

static void
login_answered(struct asterisk *a, const struct ami_message *m)
{
	const char *why = ami_get(m, "Message");

	if (str_ieq(ami_get(m, "Response"), "Success")) {
		logged_in(a);
		return;
	}
	session_refused(a,
		"%s refuses the login of user \"%s\" (%.100s): check [%s] in "
		"manager.conf: its secret, permit/deny and acl for this host, and that "
		"it was reloaded (manager reload)",
		a->address, a->conf->username, why ? why : "no reason given",
		a->conf->username);
}

/* ---- Messages ---------------------------------------------------------------------
 */

/* What a later use will want to know of; the rest of what calls do not need is counted
 * in one. */
static const char *
counter_of_ignored(const char *event)
{
	static const char *const names[] = {"QueueMemberAdded", "QueueMemberPause",
		"QueueMemberPenalty", "QueueMemberRemoved", "QueueMemberRinginuse",
		"QueueMemberStatus", "DeviceStateChange", "AgentLogin", "AgentLogoff"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_ieq(event, names[i]))
			return names[i];
	return "ignored";
}

static void
fully_booted(struct asterisk *a, const struct ami_message *m)
{
	const char *uptime = ami_get_known(m, "Uptime");

	if (a->booted)
		return;
	a->booted = true;
	if (!uptime || !str_int(uptime, 0, INT32_MAX, &a->uptime_s))
		a->uptime_s = -1;
	if (a->state == ASTERISK_BOOTING)
		session_ready(a);
	else /* READY without it: what was listed may not have been all */
		asterisk_resync_start(a);
}

static void
on_call_event(void *arg, const struct call_event *ev)
{
	struct asterisk *a = arg;

	channel_call_event(a->channel, ev);
}

static void
on_event(struct asterisk *a, const struct ami_message *m, const char *event)
{
	if (!is_logged_in(a))
		return;
	if (!ami_events_translate(a->events, m, clock_wall_us(), on_call_event, a))
		channel_count(a->channel, counter_of_ignored(event), 1);
	if (str_ieq(event, "FullyBooted"))
		fully_booted(a, m);
	else if (str_ieq(event, "Shutdown"))
		a->stopped = true;
	asterisk_resync_event(a, m, event);
}

/* While logging in there is one question at a time, and some proxies (astmanproxy)
 * answer it under an ActionID of their own. */
static void
on_response(struct asterisk *a, const struct ami_message *m)
{
	if (a->state == ASTERISK_CHALLENGE)
		challenge_answered(a, m);
	else if (a->state == ASTERISK_LOGIN)
		login_answered(a, m);
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

/* ---- The connection ---------------------------------------------------------------
 */

/* "Asterisk Call Manager/11.0.0", "Asterisk Call Manager Proxy/1.28": versions and
 * products differ, and nothing depends on them. */
static bool
banner_is_ami(const char *line)
{
	return strcasestr(line, "manager") || strcasestr(line, "asterisk");
}

static void
on_banner(void *arg, const char *line)
{
	static const char *const md5[][2] = {{"AuthType", "MD5"}, {NULL, NULL}};
	struct asterisk *a = arg;

	if (!banner_is_ami(line)) {
		session_refused(a,
			"%s answers with \"%.80s\", which is no Asterisk manager: "
			"check "
			"address and port (manager.conf: port, 5038 if not set)",
			a->address, line);
		return;
	}
	a->banner = xstrndup(line, 100);
	if (a->conf->auth == ASTERISK_AUTH_PLAINTEXT) {
		login_plaintext(a);
		return;
	}
	state_set(a, ASTERISK_CHALLENGE);
	asterisk_action(a, "Challenge", md5, NULL);
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
	state_set(a, ASTERISK_BANNER);
}

/* Always takes everything: see the top. */
static size_t
on_stream_data(void *arg, const char *data, size_t len)
{
	struct asterisk *a = arg;
	const char *why = NULL;

	channel_count(a->channel, "bytes", (unsigned)len);
	if (!ami_parser_feed(a->parser, data, len, &why) && a->parser)
		session_refused(a, "%s is no Asterisk manager: %s", a->address, why);
	return len;
}

static void
on_stream_down(void *arg, const char *why)
{
	struct asterisk *a = arg;

	if (a->state == ASTERISK_CONNECTING)
		session_end(a,
			"%s: is Asterisk running, and in manager.conf enabled = yes, "
			"bindaddr and port right?",
			why);
	else if (a->state == ASTERISK_BANNER)
		session_refused(a,
			"%s ended the connection before its first line (%s): TLS on "
			"both sides or on neither? is this host allowed?",
			a->address, why);
	else if (!is_logged_in(a))
		session_refused(
			a, "%s ended the connection at login: %s", a->address, why);
	else if (a->stopped)
		session_end(a, "%s was shut down", a->address);
	else
		session_end(a, "%s: connection lost: %s", a->address, why);
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
	state_set(a, ASTERISK_CONNECTING);
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
		session_refused(a,
			"%s took the connection and says nothing for %lld ms: is it "
			"the "
			"manager's port, and TLS on both sides or on neither?",
			a->address, ms);
		break;
	case ASTERISK_CHALLENGE:
	case ASTERISK_LOGIN:
		session_refused(
			a, "%s does not answer the login for %lld ms", a->address, ms);
		break;
	case ASTERISK_BOOTING: session_ready(a); break;
	case ASTERISK_CLOSED:
	case ASTERISK_CONNECTING:
	case ASTERISK_ASKING:
	case ASTERISK_READY: break;
	}
}

/* ---- Life -------------------------------------------------------------------------
 */

void
asterisk_session_init(struct asterisk *a)
{
	struct loop *loop = channel_loop(a->channel);

	a->events = ami_events_new();
	a->timer = loop_timer_new(loop, on_timer, a);
	a->ping_timer = loop_timer_new(loop, ping, a);
	asterisk_actions_init(a);
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
	state_set(a, ASTERISK_CLOSED);
	connection_drop(a);
	asterisk_resync_fini(a);
	asterisk_actions_fini(a);
	loop_timer_free(&a->timer);
	loop_timer_free(&a->ping_timer);
	ami_events_free(&a->events);
	xfree(&a->started);
	xfree(&a->address);
}
