/* asterisk.c - the `asterisk` driver: its keys, and what the core calls.
 *
 * One channel is one Asterisk (16 to 22, others likely), spoken to through its manager
 * interface, AMI. Read on in asterisk_session.c. */
#include "asterisk.h"
#include "asterisk_history.h"

#include <mem.h>
#include <str.h>

#include <string.h>

#define PORT "5038"

static const char *const auth_choices[] = {"md5", "plaintext", NULL};

#define AT(member) offsetof(struct asterisk_conf, member)

static const struct conf_key keys[] = {
	PHONE_CONF_KEYS(struct asterisk_conf, phone),
	{"address", CONF_STRING, AT(address), NULL, 1, 300, CONF_REQUIRED, NULL,
		"Asterisk's manager port, host:port or unix:PATH; port 5038 if none is "
		"given."},
	{"tls", CONF_BOOL, AT(tls), "no", 0, 0, 0, NULL,
		"Speak TLS (manager.conf: tlsenable; its usual port is 5039)."},
	{"tls_ca", CONF_STRING, AT(tls_ca), NULL, 1, 4096, 0, NULL,
		"PEM file of the authorities trusted; absent: the system's."},
	{"tls_verify", CONF_BOOL, AT(tls_verify), "yes", 0, 0, 0, NULL,
		"Check the certificate and its name. \"no\" is for a lab."},
	{"username", CONF_STRING, AT(username), NULL, 1, 80, CONF_REQUIRED, NULL,
		"The manager user, a section of manager.conf. It needs read = "
		"call,agent,system,user,dialplan,dtmf (fewer see less) and write = "
		"reporting,system,call (originate too, to place calls; agent, to "
		"pause queue members)."},
	{"secret", CONF_STRING, AT(secret), NULL, 1, 256, CONF_REQUIRED | CONF_SECRET,
		NULL, "The manager user's secret."},
	{"auth", CONF_CHOICE, AT(auth), "md5", 0, 0, 0, auth_choices,
		"How to log in: by MD5 challenge (in plain text if the phone system "
		"gives "
		"none), or in plain text at once."},
	{"events", CONF_STRING, AT(events), "call,agent,system,user,dialplan,dtmf", 1,
		200, 0, NULL,
		"Classes of events to ask for. Calls need call and agent; system tells "
		"of "
		"restarts; dialplan tells of voicemail, recordings and variables, and "
		"can "
		"be left out where manager.conf has channelvars and no voicemail: it "
		"is "
		"half of the stream."},
	{"keepalive_s", CONF_DURATION, AT(keepalive_ms), "15", 100, 600000, 0, NULL,
		"A Ping after so long; unanswered, the connection is dropped and made "
		"anew."},
	{"answer_timeout_s", CONF_DURATION, AT(answer_ms), "10", 50, 120000, 0, NULL,
		"How long its first line, an answer, or a whole list may take."},
	{"boot_wait_s", CONF_DURATION, AT(boot_wait_ms), "3", 1, 120000, 0, NULL,
		"How long to wait after login for FullyBooted (told to users with read "
		"= "
		"system) before asking which calls there are."},
	{"reconnect_min_ms", CONF_DURATION, AT(reconnect_min_ms), "500", 10, 60000, 0,
		NULL,
		"Wait before connecting again; doubled each time, ten times as long "
		"after "
		"a refused login."},
	{"reconnect_max_ms", CONF_DURATION, AT(reconnect_max_ms), "30s", 10, 3600000, 0,
		NULL, "The longest such wait."},
	{"dial_context", CONF_STRING, AT(dial_context), "from-internal", 1, 79, 0, NULL,
		"Context of the dialplan where numbers are called that agents have "
		"dialled for them."},
	{"dial_prefix", CONF_STRING, AT(dial_prefix), "", 0, 10, 0, NULL,
		"Digits that the dialplan wants before such a number."},
	{"dial_caller_id", CONF_STRING, AT(dial_caller_id), NULL, 1, 32, 0, NULL,
		"Number that such a call shows outside; absent: the phone's own, or "
		"what "
		"the dialplan sets."},
	CONF_END,
};

/* Where the port begins in "host:port" or "[v6]:port", or NULL if there is none; a bare
 * IPv6 address has several colons and no port. */
static const char *
port_of(const char *address)
{
	const char *end = address[0] == '[' ? strchr(address, ']') : address;
	const char *colon = end ? strchr(end, ':') : NULL;

	if (!colon || (address[0] != '[' && strchr(colon + 1, ':')))
		return NULL;
	return colon + 1;
}

char *
asterisk_address(const char *address)
{
	const char *port = port_of(address);
	int64_t n;

	if (str_empty(address))
		return NULL;
	if (str_starts(address, "unix:"))
		return address[5] ? xstrdup(address) : NULL;
	if (port)
		return port - address > 1 && str_int(port, 1, 65535, &n)
			       ? xstrdup(address)
			       : NULL;
	if (address[0] == '[')
		return address[strlen(address) - 1] == ']'
			       ? xasprintf("%s:" PORT, address)
			       : NULL;
	if (strchr(address, ':'))
		return xasprintf("[%s]:" PORT, address);
	return xasprintf("%s:" PORT, address);
}

/* What rows cannot say: keys against each other. */
static int
conf_check(const struct asterisk_conf *conf, struct err *err)
{
	char *address = asterisk_address(conf->address);

	if (!address)
		return err_set(err,
			"address: \"%s\" is not host, host:port or unix:PATH",
			conf->address);
	mem_free(address);
	if (conf->reconnect_min_ms > conf->reconnect_max_ms)
		return err_set(err, "reconnect_min_ms is above reconnect_max_ms");
	if (conf->tls_ca && !conf->tls)
		return err_set(err, "tls_ca is of no use without tls = yes");
	return asterisk_dial_check(conf, err);
}

static int
asterisk_open(struct channel *ch, const void *conf_any, struct err *err)
{
	const struct asterisk_conf *conf = conf_any;

	if (conf_check(conf, err) < 0)
		return -1;
	if (!ch)
		return 0;
	struct asterisk *a = channel_private(ch);
	a->channel = ch;
	a->conf = conf;
	a->address = asterisk_address(conf->address);
	asterisk_session_init(a);
	asterisk_session_start(a);
	return 0;
}

static void
asterisk_close(struct channel *ch)
{
	asterisk_session_fini(channel_private(ch));
	channel_closed(ch);
}

static void
asterisk_resync(struct channel *ch)
{
	asterisk_resync_start(channel_private(ch));
}

static const char *
asterisk_busy(const struct channel *ch)
{
	return asterisk_session_busy(channel_private(ch));
}

static void
asterisk_status(const struct channel *ch, struct json_out *json)
{
	const struct asterisk *a = channel_private(ch);
	const struct asterisk_resync *r = &a->resync;

	json_put_string(json, "address", a->address);
	json_put_string(json, "session", asterisk_state_text(a->state));
	json_put_string(json, "system_started", a->started);
	json_put_int(json, "actions_pending", a->n_pending);
	json_put_int(json, "ping_us", a->ping_took_us);
	json_put_object(json, "snapshot");
	json_put_time(json, "at", r->ended_us);
	json_put_int(json, "channels", r->channels);
	json_put_bool(json, "complete", r->complete);
	json_put_bool(json, "running", r->running);
	json_put_object_end(json);
}

static const struct channel_history *const histories[] = {
	&asterisk_cel, &asterisk_cdr, NULL};

const struct channel_ops asterisk_channel = {
	.driver = "asterisk",
	.summary = "Asterisk 16 to 22, through its manager interface (AMI)",
	.caps = CHANNEL_PHONE,
	.size = sizeof(struct asterisk),
	.conf_size = sizeof(struct asterisk_conf),
	.keys = keys,
	.open = asterisk_open,
	.close = asterisk_close,
	.resync = asterisk_resync,
	.busy = asterisk_busy,
	.history = histories,
	.status = asterisk_status,
	.pause = asterisk_pause,
	.dial = asterisk_dial,
	.check = asterisk_check,
};
