/* ami_peer.c - see ami_peer.h. */
#include <lib/ami_peer.h>

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A configuration's strings are its own. */
static char username[] = "interactd", secret[] = "s3cret",
	    classes[] = "call,agent,system";

/* ---- The rig ------------------------------------------------------------- */

static void
on_call_event(void *arg, struct channel *ch, const struct call_event *ev)
{
	struct rig *r = arg;

	(void)ch;
	CHECK(ev->at_us > 0);
	if (r->n_seen < SEEN_MAX)
		r->seen[r->n_seen++] = ev->type;
	str_copy(r->last_uid, sizeof(r->last_uid), ev->uid ? ev->uid : "");
}

static void
on_closed(void *arg)
{
	((struct rig *)arg)->closed = true;
}

void
rig_turn(struct rig *r)
{
	char data[65536];
	ssize_t n;

	loop_run_once(r->loop, 5);
	while (r->fd >= 0 && (n = recv(r->fd, data, sizeof(data), 0)) > 0)
		buf_add(&r->in, data, (size_t)n);
}

int64_t
rig_now(void)
{
	return clock_mono_us();
}

bool
rig_late(int64_t since_us)
{
	return clock_mono_us() - since_us > 5000000;
}

static int
listener_new(unsigned *port_r)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	CHECK(bind(fd, (struct sockaddr *)&sin, len) == 0 && listen(fd, 8) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&sin, &len) == 0);
	*port_r = ntohs(sin.sin_port);
	return fd;
}

/* Quick waits, so that deadlines can be seen to pass. */
void
rig_init(struct rig *r)
{
	unsigned port;

	memset(r, 0, sizeof(*r));
	r->fd = -1;
	r->listener = listener_new(&port);
	snprintf(r->address, sizeof(r->address), "127.0.0.1:%u", port);
	r->conf = (struct asterisk_conf){
		.address = r->address,
		.username = username,
		.secret = secret,
		.events = classes,
		.tls_verify = true,
		.keepalive_ms = 60000,
		.answer_ms = 5000,
		.boot_wait_ms = 5000,
		.reconnect_min_ms = 10,
		.reconnect_max_ms = 1000,
	};
	r->loop = loop_new();
	r->core = channel_core_new(
		r->loop, &(struct channel_sink){.call_event = on_call_event, .arg = r});
}

void
rig_open(struct rig *r)
{
	struct err err;

	r->channel = channel_core_open(r->core,
		&(struct channel_opts){.ops = &asterisk_channel,
			.name = "pbx",
			.tenant = "default",
			.conf = &r->conf},
		&err);
	CHECK(r->channel);
	r->a = channel_private(r->channel);
}

void
peer_close(struct rig *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	buf_clear(&r->in);
}

void
rig_fini(struct rig *r)
{
	channel_core_close(r->channel, on_closed, r);
	CHECK(!r->closed);
	UNTIL(r, r->closed);
	peer_close(r);
	close(r->listener);
	channel_core_free(&r->core);
	loop_free(&r->loop);
	buf_fini(&r->in);
}

bool
peer_accepted(struct rig *r)
{
	if (r->fd < 0)
		r->fd = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK);
	return r->fd >= 0;
}

void
peer_write(struct rig *r, const char *data, size_t len)
{
	int64_t since_us = clock_mono_us();

	while (len && !rig_late(since_us)) {
		ssize_t n = send(r->fd, data, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			break;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else {
			rig_turn(r);
		}
	}
	CHECK_INT(len, 0);
}

void
peer_say(struct rig *r, const char *fmt, ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	peer_write(r, text, strlen(text));
}

void
action_field(const struct action *act, const char *key, char *value, size_t cap)
{
	char pattern[64];
	const char *at;

	snprintf(pattern, sizeof(pattern), "\r\n%s: ", key);
	at = strstr(act->text, pattern);
	value[0] = '\0';
	if (!at)
		return;
	at += strlen(pattern);
	size_t n = strcspn(at, "\r");
	snprintf(value, cap, "%.*s", (int)(n < cap ? n : cap - 1), at);
}

static bool
action_is_there(struct rig *r)
{
	return r->in.len && strstr(buf_str(&r->in), "\r\n\r\n");
}

/* The next action, whichever; an empty name if none comes. */
static struct action
peer_take_any(struct rig *r)
{
	struct action act = {.text = ""};

	UNTIL(r, action_is_there(r));
	if (!action_is_there(r))
		return act;
	size_t len = (size_t)(strstr(buf_str(&r->in), "\r\n\r\n") - r->in.data) + 4;
	snprintf(act.text, sizeof(act.text), "\r\n%.*s", (int)len, r->in.data);
	buf_drop_front(&r->in, len);
	action_field(&act, "Action", act.name, sizeof(act.name));
	action_field(&act, "ActionID", act.id, sizeof(act.id));
	CHECK(str_starts(act.id, "interactd-"));
	return act;
}

/* Takes the next action, which must have that name; Pings in between are answered. */
struct action
peer_take(struct rig *r, const char *name)
{
	struct action act = peer_take_any(r);

	while (!strcmp(act.name, "Ping") && strcmp(name, "Ping") != 0) {
		peer_say(r, "Response: Success\r\nActionID: %s\r\nPing: Pong\r\n\r\n",
			act.id);
		act = peer_take_any(r);
	}
	CHECK_STR(act.name, name);
	return act;
}

void
peer_answer(struct rig *r, const struct action *act, const char *kind, const char *more)
{
	peer_say(r, "Response: %s\r\nActionID: %s\r\n%s\r\n", kind, act->id, more);
}

void
peer_take_login(struct rig *r, const char *banner)
{
	struct action act;

	UNTIL(r, peer_accepted(r));
	peer_say(r, "%s", banner);
	act = peer_take(r, "Challenge");
	peer_answer(r, &act, "Success", "Challenge: 123456789\r\n");
	act = peer_take(r, "Login");
	peer_answer(r, &act, "Success", "Message: Authentication accepted\r\n");
}

/* Answers what is asked after a login, with this start time. */
void
peer_identify(struct rig *r, const char *started)
{
	struct action act = peer_take(r, "Events");
	char text[200];

	peer_answer(r, &act, "Success", "Events: On\r\n");
	act = peer_take(r, "Filter");
	peer_answer(r, &act, "Error", "Message: Permission denied\r\n");
	act = peer_take(r, "Filter");
	peer_answer(r, &act, "Success", "");
	act = peer_take(r, "CoreSettings");
	peer_answer(r, &act, "Success",
		"AsteriskVersion: 22.10.1+dfsg+~cs6.17.60671434-1\r\n");
	act = peer_take(r, "CoreStatus");
	snprintf(text, sizeof(text),
		"CoreStartupDate: 2026-11-21\r\nCoreStartupTime: %s\r\n", started);
	peer_answer(r, &act, "Success", text);
}

void
peer_list_end(struct rig *r, const struct action *act, int items)
{
	peer_say(r,
		"Event: %sComplete\r\nActionID: %s\r\nEventList: Complete\r\n"
		"ListItems: %d\r\n\r\n",
		act->name, act->id, items);
}

void
peer_list_empty(struct rig *r, const char *name)
{
	struct action act = peer_take(r, name);

	peer_answer(r, &act, "Success", "EventList: start\r\n");
	peer_list_end(r, &act, 0);
}

void
peer_lists_empty(struct rig *r)
{
	peer_list_empty(r, "CoreShowChannels");
	peer_list_empty(r, "QueueStatus");
	peer_list_empty(r, "ParkedCalls");
	peer_list_empty(r, "DeviceStateList");
}

/* From nothing to READY, with an empty snapshot. */
void
peer_take_session(struct rig *r, const char *started)
{
	peer_take_login(r, BANNER);
	peer_say(r, FULLYBOOTED);
	peer_identify(r, started);
	peer_lists_empty(r);
}

unsigned
rig_seen(const struct rig *r, enum call_event_type type)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_seen; i++)
		n += r->seen[i] == type;
	return n;
}

unsigned
rig_last(const struct rig *r, enum call_event_type type)
{
	for (unsigned i = r->n_seen; i-- > 0;)
		if (r->seen[i] == type)
			return i;
	test_fail(__FILE__, __LINE__, "no %s", call_event_name(type));
	return 0;
}

void
peer_say_hangup(struct rig *r, const char *uid)
{
	peer_say(r,
		"Event: Hangup\r\nPrivilege: call,all\r\nChannel: "
		"PJSIP/1001-0000005c\r\n"
		"ChannelState: 6\r\nUniqueid: %s\r\nLinkedid: %s\r\nCause: 16\r\n\r\n",
		uid, uid);
}

bool
rig_is_up(const struct rig *r)
{
	return channel_core_state(r->channel) == CHANNEL_UP;
}

bool
rig_is_down(const struct rig *r)
{
	return channel_core_state(r->channel) == CHANNEL_DOWN;
}

bool
rig_why_has(const struct rig *r, const char *part)
{
	const char *why = channel_core_why(r->channel);

	return why && strstr(why, part);
}

struct counter_want {
	const char *name;
	bool refused;
	unsigned long long value;
};

static void
on_counter(void *arg, const char *name, bool refused, unsigned long long value)
{
	struct counter_want *w = arg;

	if (refused == w->refused && !strcmp(name, w->name))
		w->value = value;
}

unsigned long long
rig_counter(const struct rig *r, const char *name, bool refused)
{
	struct counter_want w = {.name = name, .refused = refused};

	channel_core_counters(r->channel, on_counter, &w);
	return w.value;
}

void
peer_identify_denied(struct rig *r)
{
	static const char *const names[] = {
		"Events", "Filter", "Filter", "CoreSettings", "CoreStatus"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct action act = peer_take(r, names[i]);
		peer_answer(r, &act, "Error", "Message: Permission denied\r\n");
	}
}
