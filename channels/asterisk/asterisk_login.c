/* asterisk_login.c - from a manager's first line to READY.
 *
 * First the login, by MD5 challenge or in plain text; from its answer on events count.
 * Then who it is: CoreSettings for the version, CoreStatus for when it was started,
 * which tells whether it was restarted since the last connection. Then FullyBooted is
 * waited for a moment, as an Asterisk that is still starting has not all to list.
 * Whatever of this is denied to the manager user is done without. */
#include "asterisk.h"

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <string.h>

/* ---- Getting to know each other ------------------------------------------ */

static void
login_ready(struct asterisk *a)
{
	if (!a->booted)
		log_info(channel_who(a->channel),
			"no FullyBooted in %lld ms (it is told to users with \"read = "
			"system\"): going on",
			(long long)a->conf->boot_wait_ms);
	a->ready_us = clock_mono_us();
	asterisk_state_set(a, ASTERISK_READY);
	asterisk_check_ready(a);
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
	       clock_mono_us() - a->uptime_s * 1000000 > a->lost_us - 1000000;
}

static void
login_identified(struct asterisk *a)
{
	char *peer =
		a->version ? xasprintf("Asterisk %s", a->version) : xstrdup(a->banner);

	if (uptime_tells_restart(a))
		system_restarted(a);
	channel_up(a->channel, peer);
	mem_free(peer);
	if (a->booted)
		login_ready(a);
	else
		asterisk_state_set(a, ASTERISK_BOOTING);
}

static void
asked_done(struct asterisk *a)
{
	if (a->state == ASTERISK_ASKING && !a->asked_settings && !a->asked_status)
		login_identified(a);
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

	asterisk_state_set(a, ASTERISK_ASKING);
	loop_timer_start(a->ping_timer, a->conf->keepalive_ms);
	/* The login asked for these events too, so that none is missed in between; a
	 * proxy may have logged in for us with others. */
	asterisk_action(a, "Events", mask, on_events_mask);
	filters_add(a);
	a->asked_settings = asterisk_action(a, "CoreSettings", NULL, on_settings) != 0;
	a->asked_status = asterisk_action(a, "CoreStatus", NULL, on_status) != 0;
	asked_done(a);
}

/* ---- Login --------------------------------------------------------------- */

static void
login_plaintext(struct asterisk *a)
{
	const char *const fields[][2] = {{"Username", a->conf->username},
		{"Secret", a->conf->secret}, {"Events", a->conf->events}, {NULL, NULL}};

	asterisk_state_set(a, ASTERISK_LOGIN);
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
	asterisk_state_set(a, ASTERISK_LOGIN);
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
	if (str_ieq(ami_get(m, "Message"), "Authentication accepted")) {
		logged_in(a);
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
	asterisk_session_refused(a,
		"%s refuses the login of user \"%s\" (%.100s): check [%s] in "
		"manager.conf: its secret, permit/deny and acl for this host, and that "
		"it was reloaded (manager reload)",
		a->address, a->conf->username, why ? why : "no reason given",
		a->conf->username);
}

/* Only who is logged in hears events: something between us and Asterisk (a proxy, a
 * recording played back) has done so, whatever it answered, and what it tells counts. */
bool
asterisk_login_by_event(struct asterisk *a)
{
	if (a->state != ASTERISK_CHALLENGE && a->state != ASTERISK_LOGIN)
		return false;
	logged_in(a);
	return true;
}

void
asterisk_login_booted(struct asterisk *a, const struct ami_message *m)
{
	const char *uptime = ami_get_known(m, "Uptime");

	if (a->booted)
		return;
	a->booted = true;
	if (!uptime || !str_int(uptime, 0, INT32_MAX, &a->uptime_s))
		a->uptime_s = -1;
	if (a->state == ASTERISK_BOOTING)
		login_ready(a);
	else /* READY without it: what was listed may not have been all */
		asterisk_resync_start(a);
}

void
asterisk_login_start(struct asterisk *a, const char *banner)
{
	static const char *const md5[][2] = {{"AuthType", "MD5"}, {NULL, NULL}};

	a->banner = xstrndup(banner, 100);
	if (a->conf->auth == ASTERISK_AUTH_PLAINTEXT) {
		login_plaintext(a);
		return;
	}
	asterisk_state_set(a, ASTERISK_CHALLENGE);
	asterisk_action(a, "Challenge", md5, NULL);
}

void
asterisk_login_boot_wait_over(struct asterisk *a)
{
	login_ready(a);
}

/* While logging in there is one question at a time, and some proxies (astmanproxy)
 * answer it under an ActionID of their own. */
void
asterisk_login_answer(struct asterisk *a, const struct ami_message *m)
{
	uint64_t id = asterisk_action_id(a, m);

	if (id && id != a->last_id)
		return;
	if (a->state == ASTERISK_CHALLENGE)
		challenge_answered(a, m);
	else
		login_answered(a, m);
}
