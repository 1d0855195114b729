/* test_asterisk_members.c - queue members and phones: what Asterisk says of them as
 * member events, how its lists are marked, and QueuePause. */
#include <lib/ami_peer.h>
#include <mem.h>
#include <str.h>

#include <asterisk/ami_members.h>

#include <stdio.h>
#include <string.h>

/* ---- One message ---------------------------------------------------------- */

struct heard {
	struct ami_events *events;
	bool any;
	char text[512];
};

static void
on_member(void *arg, const struct member_event *ev)
{
	struct heard *h = arg;

	CHECK(!h->any);
	h->any = true;
	snprintf(h->text, sizeof(h->text), "%s %s %s p%d r%s%s%s d%d @%lld l%lld",
		ev->interface, ev->member ? ev->member : "-",
		ev->queue ? ev->queue : "-", ev->paused, ev->reason ? ev->reason : "-",
		ev->removed ? " gone" : "", ev->snapshot ? " list" : "",
		ev->device_said ? (int)ev->device : -1, (long long)ev->at_us,
		(long long)ev->last_pause_us);
}

static void
on_message(void *arg, const struct ami_message *m)
{
	struct heard *h = arg;

	bool was =
		ami_members_translate(ami_events_fields(h->events), m, 7, on_member, h);
	CHECK_INT(was, h->any);
}

static const char *
said(const char *message)
{
	static struct heard h;
	static const struct ami_parser_callbacks callbacks = {NULL, on_message, NULL};
	struct ami_parser *p;
	const char *why;

	memset(&h, 0, sizeof(h));
	h.events = ami_events_new();
	p = ami_parser_new(&callbacks, &h);
	CHECK(ami_parser_feed(p, BANNER, strlen(BANNER), &why));
	CHECK(ami_parser_feed(p, message, strlen(message), &why));
	CHECK(ami_parser_feed(p, "\r\n\r\n", 4, &why));
	ami_parser_free(&p);
	ami_events_free(&h.events);
	return h.any ? h.text : "nothing";
}

#define MEMBER                                                                         \
	"\r\nQueue: sales\r\nMemberName: Agent Four\r\nInterface: PJSIP/1004\r\n"      \
	"StateInterface: PJSIP/1004\r\nLastPause: 1795277828\r\n"

static void
test_what_is_said_of_members(void)
{
	CHECK_STR(said("Event: QueueMemberPause" MEMBER
		       "Status: 1\r\nPaused: 1\r\nPausedReason: lunch 午餐\r\n"
		       "Reason: lunch 午餐"),
		"PJSIP/1004 - sales p1 rlunch 午餐 d1 @7 l1795277828000000");
	CHECK_STR(said("Event: QueueMemberPause" MEMBER
		       "Timestamp: 1795277829.5\r\nStatus: 5\r\nPaused: 0"),
		"PJSIP/1004 - sales p0 r- d6 @1795277829500000 l1795277828000000");
	CHECK_STR(said("Event: QueueMemberAdded" MEMBER "Paused: 0"),
		"PJSIP/1004 - sales p0 r- d-1 @7 l1795277828000000");
	CHECK_STR(said("Event: QueueMemberRemoved" MEMBER "Paused: 1\r\nStatus: 99"),
		"PJSIP/1004 - sales p-1 r- gone d-1 @7 l1795277828000000");
	/* It comes with every ring: how it is, not a change. */
	CHECK_STR(said("Event: QueueMemberStatus" MEMBER "Paused: 1\r\nStatus: 6"),
		"PJSIP/1004 - sales p1 r- list d4 @7 l1795277828000000");
	CHECK_STR(said("Event: QueueMember\r\nActionID: x\r\nQueue: locals\r\n"
		       "Location: Local/1004@agents/n\r\nStateInterface: PJSIP/1004\r\n"
		       "LastPause: 0\r\nPaused: 0\r\nStatus: 8"),
		"PJSIP/1004 Local/1004@agents/n locals p0 r- list d5 @7 l0");
}

/* A bare LF may stand inside a value; what is said here goes into orders. */
static void
test_control_characters_are_no_part_of_it(void)
{
	CHECK_STR(said("Event: QueueMemberPause" MEMBER
		       "Paused: 1\r\nPausedReason: a\nAction: b\x01\x7f"),
		"PJSIP/1004 - sales p1 ra Action: b  d-1 @7 l1795277828000000");
}

static void
test_what_is_said_of_phones(void)
{
	CHECK_STR(said("Event: DeviceStateChange\r\nDevice: PJSIP/1001\r\n"
		       "State: UNAVAILABLE"),
		"PJSIP/1001 - - p-1 r- d6 @7 l0");
	CHECK_STR(
		said("Event: DeviceStateChange\r\nActionID: x\r\nDevice: PJSIP/1001\r\n"
		     "State: NOT_INUSE"),
		"PJSIP/1001 - - p-1 r- list d1 @7 l0");
}

static void
test_what_is_not_said(void)
{
	static const char *const nothing[] = {
		"Event: DeviceStateChange\r\nDevice: Queue:sales_avail\r\nState: INUSE",
		"Event: DeviceStateChange\r\nDevice: Queue:sales_pause_PJSIP/1004\r\n"
		"State: INUSE",
		"Event: DeviceStateChange\r\nDevice: park:701@parkedcalls\r\nState: INUSE",
		"Event: DeviceStateChange\r\nDevice: PJSIP/1001\r\nState: DANCING",
		"Event: DeviceStateChange\r\nState: INUSE",
		"Event: QueueMemberPause\r\nQueue: sales\r\nPaused: 1",
		"Event: QueueMemberPause\r\nInterface: PJSIP/1\r\nPaused: 1",
		"Event: QueueMemberPause\r\nQueue: sales\r\nInterface: PJSIP/1",
		"Event: QueueMember\r\nQueue: sales\r\nLocation: PJSIP/1\r\nPaused: 0",
		"Event: QueueParams\r\nQueue: sales",
		"Event: D",
		"Response: Success",
	};

	for (size_t i = 0; i < ARRAY_LEN(nothing); i++)
		CHECK_STR(said(nothing[i]), "nothing");
}

/* ---- A session ------------------------------------------------------------ */

struct marks {
	struct rig rig;
	enum member_mark mark[8];
	bool devices[8];
	unsigned n, members;
};

static void
on_rig_member(void *arg, struct channel *ch, const struct member_event *ev)
{
	struct marks *m = arg;

	(void)ch;
	CHECK(ev->at_us > 0);
	if (ev->mark == MEMBER_SAID) {
		m->members++;
	} else if (m->n < ARRAY_LEN(m->mark)) {
		m->devices[m->n] = ev->device_said;
		m->mark[m->n++] = ev->mark;
	}
}

static void
marks_init(struct marks *m)
{
	const struct channel_sink sink = {.member_event = on_rig_member, .arg = m};

	memset(m, 0, sizeof(*m));
	rig_init(&m->rig);
	channel_core_free(&m->rig.core);
	m->rig.core = channel_core_new(m->rig.loop, &sink);
	rig_open(&m->rig);
	peer_take_login(&m->rig, BANNER);
	peer_say(&m->rig, FULLYBOOTED);
	peer_identify(&m->rig, "16:00:00");
	peer_list_empty(&m->rig, "CoreShowChannels");
}

static void
test_lists_are_marked(void)
{
	struct marks m;
	struct action act;

	marks_init(&m);
	act = peer_take(&m.rig, "QueueStatus");
	peer_answer(&m.rig, &act, "Success", "EventList: start\r\n");
	peer_say(&m.rig,
		"Event: QueueMember\r\nActionID: %s\r\nQueue: sales\r\n"
		"Location: PJSIP/1004\r\nPaused: 0\r\nStatus: 1\r\n\r\n",
		act.id);
	peer_list_end(&m.rig, &act, 1);
	peer_list_empty(&m.rig, "ParkedCalls");
	act = peer_take(&m.rig, "DeviceStateList");
	peer_answer(&m.rig, &act, "Success", "EventList: start\r\n");
	peer_say(&m.rig,
		"Event: DeviceStateChange\r\nActionID: %s\r\nDevice: PJSIP/1004\r\n"
		"State: NOT_INUSE\r\n\r\n",
		act.id);
	CHECK_INT(m.n, 1);
	peer_list_end(&m.rig, &act, 1);
	UNTIL(&m.rig, m.n == 2);
	CHECK_INT(m.mark[0], MEMBERS_BEGIN);
	CHECK_INT(m.mark[1], MEMBERS_END);
	CHECK(m.devices[1]);
	CHECK_INT(m.members, 2);
	rig_fini(&m.rig);
}

static void
test_lists_that_are_refused_are_marked_too(void)
{
	struct marks m;
	struct action act;

	marks_init(&m);
	act = peer_take(&m.rig, "QueueStatus");
	peer_answer(&m.rig, &act, "Error", "Message: Permission denied\r\n");
	peer_list_empty(&m.rig, "ParkedCalls");
	act = peer_take(&m.rig, "DeviceStateList");
	peer_answer(&m.rig, &act, "Error", "Message: Permission denied\r\n");
	UNTIL(&m.rig, m.n == 2);
	CHECK_INT(m.mark[1], MEMBERS_FAILED);
	CHECK(!m.devices[1]);
	rig_fini(&m.rig);
}

/* ---- QueuePause ----------------------------------------------------------- */

struct done {
	int n;
	bool ok;
	char error[200];
};

static void
on_done(void *arg, const char *error)
{
	struct done *d = arg;

	d->n++;
	d->ok = !error;
	str_copy(d->error, sizeof(d->error), error ? error : "");
}

static int
order(struct rig *r, bool paused, const char *reason, struct done *d)
{
	const struct channel_pause what = {"PJSIP/1004", paused, reason};
	struct err err;

	memset(d, 0, sizeof(*d));
	return asterisk_channel.pause(r->channel, &what, on_done, d, &err);
}

static void
test_an_order_is_answered_once(void)
{
	struct rig r;
	struct done d;
	struct action act;
	char value[100];

	rig_init(&r);
	rig_open(&r);
	CHECK_INT(order(&r, true, NULL, &d), -1); /* not connected */
	peer_take_session(&r, "16:00:00");
	CHECK_INT(order(&r, true, "lunch\r\nQueue: x", &d), 0);
	CHECK_INT(d.n, 0);
	act = peer_take(&r, "QueuePause");
	action_field(&act, "Interface", value, sizeof(value));
	CHECK_STR(value, "PJSIP/1004");
	action_field(&act, "Paused", value, sizeof(value));
	CHECK_STR(value, "true");
	action_field(&act, "Queue", value, sizeof(value));
	CHECK_STR(value, "");
	peer_answer(&r, &act, "Success", "Message: Interface paused successfully\r\n");
	UNTIL(&r, d.n == 1);
	CHECK(d.ok);
	CHECK_INT(order(&r, false, "", &d), 0);
	act = peer_take(&r, "QueuePause");
	action_field(&act, "Paused", value, sizeof(value));
	CHECK_STR(value, "false");
	CHECK(!strstr(act.text, "Reason"));
	peer_answer(&r, &act, "Error", "Message: Interface not found\r\n");
	UNTIL(&r, d.n == 1);
	CHECK_STR(d.error, "Interface not found");
	rig_fini(&r);
}

static void
test_an_order_ends_with_the_connection(void)
{
	struct rig r;
	struct done d;

	rig_init(&r);
	rig_open(&r);
	peer_take_session(&r, "16:00:00");
	CHECK_INT(order(&r, true, "lunch", &d), 0);
	peer_take(&r, "QueuePause");
	test_expect_log("connection lost");
	peer_close(&r);
	UNTIL(&r, d.n == 1);
	CHECK(!d.ok);
	rig_fini(&r);
	CHECK_INT(d.n, 1);
}

int
main(void)
{
	TEST(test_what_is_said_of_members);
	TEST(test_control_characters_are_no_part_of_it);
	TEST(test_what_is_said_of_phones);
	TEST(test_what_is_not_said);
	TEST(test_lists_are_marked);
	TEST(test_lists_that_are_refused_are_marked_too);
	TEST(test_an_order_is_answered_once);
	TEST(test_an_order_ends_with_the_connection);
	return test_done();
}
