/* asterisk_findings.c - what a check has learnt, as sentences: what is so, what follows
 * from it, what to write where. The commonest mistakes come first: patterns that fit no
 * phone, and a manager user who sees or may do too little. */
#include "asterisk_check.h"

#include <mem.h>
#include <str.h>

#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN	     8	    /* names in one sentence */
#define SLOW_US	     500000 /* for a Ping */
#define OLDEST	     16
#define READ_CLASSES "call,agent,system,user,dialplan,dtmf"

static void say(struct asterisk *a, enum channel_level level, const char *advice,
	const char *fmt, ...) PRINTF_LIKE(4, 5);

static void
say(struct asterisk *a, enum channel_level level, const char *advice, const char *fmt,
	...)
{
	struct asterisk_check *c = a->check;
	struct buf clean = BUF_INIT;
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	utf8_clean(&clean, text, strlen(text));
	c->report(c->arg, level, buf_str(&clean), advice);
	buf_fini(&clean);
}

void
findings_refused(struct asterisk *a, const char *why)
{
	say(a, CHANNEL_PROBLEM, NULL, "%s", why);
}

/* ---- The connection ----------------------------------------------------------- */

static bool
is_local(const char *address)
{
	return str_starts(address, "unix:") || str_starts(address, "127.") ||
	       str_starts(address, "localhost:") || str_starts(address, "[::1]");
}

/* "22.10.1", "certified/18.9-cert5" */
static int
major_version(const char *version)
{
	const char *s = strpbrk(version, "0123456789");

	return s ? atoi(s) : 0;
}

static void
on_version(struct asterisk *a)
{
	int major = a->version ? major_version(a->version) : 0;

	if (!a->version)
		say(a, CHANNEL_WARNING, "write = reporting",
			"logged in to %s as \"%s\"; its version is not told",
			a->address, a->conf->username);
	else if (major && major < OLDEST)
		say(a, CHANNEL_PROBLEM, "upgrade Asterisk to 16 or newer",
			"Asterisk %s at %s is too old: its events lack what calls are "
			"made of",
			a->version, a->address);
	else
		say(a, CHANNEL_OK, NULL, "logged in to Asterisk %s at %s as \"%s\"",
			a->version, a->address, a->conf->username);
	if (!a->conf->tls && !is_local(a->address))
		say(a, CHANNEL_WARNING,
			"manager.conf: tlsenable = yes, tlscertfile; here: tls = yes, "
			"port 5039",
			"the connection is not encrypted: names and numbers of "
			"customers go over the network in clear text");
}

static void
on_speed(struct asterisk *a)
{
	int64_t us = a->check->ping_took_us;

	if (us < 0)
		say(a, CHANNEL_PROBLEM, "is it overloaded? see its own log",
			"no answer to a Ping in %lld ms",
			(long long)a->conf->answer_ms);
	else if (us > SLOW_US)
		say(a, CHANNEL_WARNING,
			"a slow network, or an Asterisk that is busy; writetimeout in "
			"manager.conf should be 5000 or more",
			"a Ping takes %lld ms", (long long)(us / 1000));
	else
		say(a, CHANNEL_OK, NULL, "a Ping takes %lld.%lld ms",
			(long long)(us / 1000), (long long)(us / 100 % 10));
}

/* ---- What the user may do --------------------------------------------------------- */

static const struct {
	enum check_action action;
	enum channel_level level;
	const char *without, *advice;
} needs[] = {
	{CHECK_CHANNELS, CHANNEL_PROBLEM,
		"which calls there are cannot be asked: after an interruption nothing "
		"is known of them",
		"write = reporting"},
	{CHECK_STATUS, CHANNEL_WARNING,
		"when it was started cannot be asked: a restart may go unnoticed",
		"write = reporting"},
	{CHECK_DEVICES, CHANNEL_NOTE,
		"the states of phones cannot be asked, only heard of when they change",
		"write = reporting"},
	{CHECK_FILTER, CHANNEL_NOTE,
		"events that nobody needs cannot be filtered out: half of the stream is "
		"RTCP and statistics",
		"write = system, or eventfilter = !Event: RTCP"},
	{CHECK_PARKED, CHANNEL_NOTE,
		"calls parked before a connection look like calls on hold",
		"write = call"},
	{CHECK_PAUSE, CHANNEL_NOTE,
		"agents cannot be paused in its queues from here (PUT "
		"/v1/agents/{id}/state)",
		"write = agent"},
};

static bool
may(const struct asterisk *a, enum check_action action)
{
	return !a->check->commands_known || a->check->may[action];
}

static void
on_dialling(struct asterisk *a)
{
	const struct asterisk_check *c = a->check;
	const char *error = c->lists[CHECK_LIST_DIALPLAN].error;

	if (!a->conf->phone.dial_allow.text) {
		say(a, CHANNEL_NOTE, NULL,
			"nobody may place calls (POST /v1/calls): there is no "
			"dial_allow");
		return;
	}
	if (!may(a, CHECK_ORIGINATE))
		say(a, CHANNEL_PROBLEM, "write = originate",
			"calls cannot be placed, though there is a dial_allow");
	if (error[0] && strcasestr(error, "context"))
		say(a, CHANNEL_PROBLEM,
			"set dial_context to a context of extensions.conf",
			"calls cannot be placed: there is no context %s in the dialplan "
			"(dial_context)",
			a->conf->dial_context);
	else if (c->lists[CHECK_LIST_DIALPLAN].whole && may(a, CHECK_ORIGINATE))
		say(a, CHANNEL_OK, NULL, "calls are placed through context %s",
			a->conf->dial_context);
}

static void
on_permissions(struct asterisk *a)
{
	struct asterisk_check *c = a->check;
	bool missing = false;

	if (!c->commands_known) {
		say(a, CHANNEL_WARNING, NULL,
			"what the user may do cannot be asked (ListCommands)");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
		if (c->may[needs[i].action])
			continue;
		missing = true;
		say(a, needs[i].level, needs[i].advice, "%s", needs[i].without);
	}
	if (!missing)
		say(a, CHANNEL_OK, NULL, "the user may ask for all that is needed");
	if (c->may[CHECK_COMMAND])
		say(a, CHANNEL_WARNING,
			"a user of its own with the write = below, not write = all",
			"the user may run Asterisk's console commands: who has this "
			"secret has the whole phone system");
}

/* ---- What it hears ------------------------------------------------------------------ */

static void
on_classes(struct asterisk *a)
{
	const struct asterisk_check *c = a->check;
	char heard[128] = "", silent[128] = "";

	for (size_t i = 0; i < CHECK_CLASSES_N; i++) {
		char *list = c->by_class[i] ? heard : silent;
		size_t n = strlen(list);
		snprintf(list + n, sizeof(heard) - n, "%s%s", n ? ", " : "",
			check_classes[i]);
	}
	if (silent[0])
		say(a, CHANNEL_NOTE,
			"make a call and a queue call while --listen 30 runs: call and "
			"agent must be heard then",
			"events heard in %lld ms: %s; not heard (it may be that "
			"nothing happened): %s",
			(long long)c->listen_ms, heard[0] ? heard : "none", silent);
	else
		say(a, CHANNEL_OK, NULL, "events of every class are heard: %s", heard);
}

static void
on_reading(struct asterisk *a)
{
	const struct asterisk_check *c = a->check;

	if (!a->booted)
		say(a, CHANNEL_WARNING, "read = " READ_CLASSES,
			"FullyBooted was not heard: read = lacks system, so restarts and "
			"phones that come and go are not told, or Asterisk is still "
			"starting");
	on_classes(a);
	if (c->heard && !c->heard_timestamp)
		say(a, CHANNEL_WARNING, "[general] timestampevents = yes",
			"events say no time: talk and wait times are those of receipt");
	else if (c->heard)
		say(a, CHANNEL_OK, NULL, "events say their time (timestampevents)");
}

/* ---- Who is who ---------------------------------------------------------------------- */

struct group {
	unsigned n;
	char names[400];
};

static void
group_add(struct group *g, const char *name)
{
	size_t n = strlen(g->names);

	if (g->n++ < SHOWN)
		snprintf(g->names + n, sizeof(g->names) - n, "%s%s", n ? ", " : "",
			name);
	else if (g->n == SHOWN + 1)
		snprintf(g->names + n, sizeof(g->names) - n, ", …");
}

static bool
is_agent(const struct asterisk *a, const char *endpoint)
{
	const struct conf_regex *re = &a->conf->phone.agents;

	return re->text && regexec(&re->re, endpoint, 0, NULL, 0) == 0;
}

static void
on_trunks(struct asterisk *a, const struct group *trunks, const struct group *both)
{
	if (!trunks->n)
		say(a, CHANNEL_PROBLEM,
			"set trunks to what matches the lines to your carrier",
			"no endpoint matches trunks = %s: no call would count as one "
			"with the outside",
			a->conf->phone.trunks.text);
	else
		say(a, CHANNEL_OK, NULL, "%u trunk%s (trunks): %s", trunks->n,
			trunks->n == 1 ? "" : "s", trunks->names);
	if (both->n)
		say(a, CHANNEL_WARNING, "make the two patterns exclude each other",
			"these match both trunks and agents, and count as trunks: %s",
			both->names);
}

static void
on_agents(struct asterisk *a, const struct group *agents, const struct group *rest)
{
	if (agents->n)
		say(a, CHANNEL_OK, NULL, "%u phone%s of agents (agents): %s", agents->n,
			agents->n == 1 ? "" : "s", agents->names);
	else
		say(a, CHANNEL_WARNING,
			"set agents, or give each agent interfaces (interactctl agent "
			"set)",
			"no endpoint matches agents = %s: only agents with interfaces "
			"of their own get screen pops",
			a->conf->phone.agents.text ? a->conf->phone.agents.text
						   : "(not set)");
	if (rest->n)
		say(a, CHANNEL_NOTE,
			"is a carrier's line or an agent's phone among them? then widen "
			"trunks or agents",
			"%u internal (neither trunk nor agent by pattern): %s", rest->n,
			rest->names);
}

static void
on_endpoints(struct asterisk *a)
{
	const struct check_names *all = &a->check->endpoints;
	struct group trunks = {0}, agents = {0}, both = {0}, rest = {0};

	if (!all->n) {
		say(a, CHANNEL_WARNING, "write = system",
			"which phones and trunks there are cannot be seen, so trunks and "
			"agents are not compared with them");
		return;
	}
	for (size_t i = 0; i < all->n; i++) {
		bool trunk = phone_conf_is_trunk(&a->conf->phone, all->items[i]);
		bool agent = is_agent(a, all->items[i]);
		if (trunk && agent)
			group_add(&both, all->items[i]);
		group_add(trunk ? &trunks : agent ? &agents : &rest, all->items[i]);
	}
	on_trunks(a, &trunks, &both);
	on_agents(a, &agents, &rest);
}

static void
on_members(struct asterisk *a)
{
	const struct check_names *all = &a->check->members;
	struct group strangers = {0};

	for (size_t i = 0; i < all->n; i++)
		if (!is_agent(a, strchr(all->items[i], ' ') + 1))
			group_add(&strangers, all->items[i]);
	if (strangers.n)
		say(a, CHANNEL_WARNING,
			"widen agents, or name them among an agent's interfaces",
			"%u queue member%s not an agent by pattern: %s", strangers.n,
			strangers.n == 1 ? " is" : "s are", strangers.names);
	else if (all->n)
		say(a, CHANNEL_OK, NULL, "every queue member is an agent");
}

static void
on_own_numbers(struct asterisk *a)
{
	if (!a->conf->phone.own_numbers.n)
		say(a, CHANNEL_WARNING, "own_numbers = 4008001234, 0285550100",
			"own_numbers is empty: a number of your own that calls, or is "
			"shown, becomes a contact");
}

void
findings_all(struct asterisk *a)
{
	on_version(a);
	on_speed(a);
	on_permissions(a);
	on_reading(a);
	on_endpoints(a);
	on_members(a);
	on_own_numbers(a);
	on_dialling(a);
}

/* ---- What to write --------------------------------------------------------------------- */

/* Everything that is needed is there already. */
static bool
is_complete(const struct asterisk *a)
{
	const struct asterisk_check *c = a->check;

	if (!c->commands_known || !a->booted || c->may[CHECK_COMMAND] ||
		(c->heard && !c->heard_timestamp) ||
		(a->conf->phone.dial_allow.text && !c->may[CHECK_ORIGINATE]))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(needs); i++)
		if (!c->may[needs[i].action])
			return false;
	return true;
}

void
findings_to_write(const struct asterisk *a, struct buf *out)
{
	if (is_complete(a))
		return;
	buf_printf(out,
		"; /etc/asterisk/manager.conf, then: asterisk -rx 'manager reload'\n"
		"[general]\n"
		"enabled = yes\n"
		"timestampevents = yes\n"
		"\n"
		"[%s]\n"
		"secret = ********          ; the channel's secret\n"
		"deny = 0.0.0.0/0.0.0.0\n"
		"permit = %s\n"
		"read = " READ_CLASSES "\n"
		"write = reporting,system,call,agent%s\n"
		"writetimeout = 5000\n",
		a->conf->username,
		is_local(a->address) ? "127.0.0.1/255.255.255.255"
				     : "192.0.2.10/255.255.255.255   ; this host",
		a->conf->phone.dial_allow.text ? ",originate" : "");
}
