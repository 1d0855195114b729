/* test_asterisk_input.c - what a manager may throw at the asterisk driver: bytes that
 * are no AMI, floods, silence on its reading side; and what an operator may configure.
 */
#include <clock.h>
#include <lib/ami_peer.h>
#include <mem.h>
#include <str.h>

#include <string.h>
#include <unistd.h>

/* ---- Bad input ----------------------------------------------------------- */

static const struct {
	const char *bytes;
	size_t len;
	const char *cause; /* counted as refused under it, or NULL: nothing to refuse */
} bad_input[] = {
#define BYTES(s) s, sizeof(s) - 1
	{BYTES("Event: Newchannel\r\na line without a colon\r\n\r\n"), "no_colon"},
	{BYTES("garbage\r\n\r\n"), "no_colon"},
	{BYTES("Event: New\0channel\r\nUniqueid: 1\0\r\n\r\n"), "nul"},
	{BYTES("Event: UserEvent\r\nText: \xff\xfe\xc3\x28\r\n\r\n"), NULL},
	{BYTES("\r\n\r\n\r\n\r\n"), NULL},
	{BYTES("Event:\r\n\r\n"), NULL},
	{BYTES("Key: value\r\n\r\n"), "no_kind"},
	{BYTES("Response: Success\r\nActionID: interactd-1-99\r\n\r\n"), NULL},
	{BYTES("Response: Success\r\nActionID: \r\n\r\n"), NULL},
	{BYTES("Event: Hangup\r\n\r\n"), NULL},
	{BYTES("Event: DialEnd\r\nDestUniqueid: \r\n\r\n"), NULL},
	{BYTES("Event: CoreShowChannelsComplete\r\nEventList: Complete\r\n\r\n"), NULL},
	{BYTES(FULLYBOOTED), NULL},
};

static void
test_bad_input_is_counted_and_the_next_message_is_read(void)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_input); i++) {
		struct rig r;

		rig_init(&r);
		rig_open(&r);
		peer_take_session(&r, "16:00:00");
		UNTIL(&r, rig_seen(&r, CALL_SNAPSHOT_END));
		if (bad_input[i].cause)
			test_expect_log(bad_input[i].cause);
		peer_write(&r, bad_input[i].bytes, bad_input[i].len);
		peer_say_hangup(&r, "1795278207.42");
		UNTIL(&r, !strcmp(r.last_uid, "1795278207.42"));
		if (bad_input[i].cause)
			CHECK(rig_counter(&r, bad_input[i].cause, true) > 0);
		CHECK(rig_is_up(&r));
		rig_fini(&r);
	}
}

static void
test_megabyte_lines_are_refused_once_each(void)
{
	struct rig r;
	size_t len = 1024 * 1024;
	char *line = xmalloc(len);

	rig_init(&r);
	rig_open(&r);
	peer_take_session(&r, "16:00:00");
	UNTIL(&r, rig_seen(&r, CALL_SNAPSHOT_END));
	test_expect_log("too_long");
	memset(line, 'A', len);
	for (int i = 0; i < 3; i++) {
		peer_say(&r, "Event: Hangup\r\nText: ");
		peer_write(&r, line, len);
		peer_say(&r, "\r\n\r\n");
	}
	peer_say_hangup(&r, "1795278207.43");
	UNTIL(&r, !strcmp(r.last_uid, "1795278207.43"));
	CHECK_INT(rig_counter(&r, "too_long", true), 3);
	CHECK_INT(rig_seen(&r, CALL_CHANNEL_HANGUP), 1);
	mem_free(line);
	rig_fini(&r);
}

static void
test_a_flood_is_read_to_its_end(void)
{
	struct rig r;
	struct buf flood = BUF_INIT;

	rig_init(&r);
	rig_open(&r);
	peer_take_session(&r, "16:00:00");
	UNTIL(&r, rig_seen(&r, CALL_SNAPSHOT_END));
	for (int i = 0; i < 30000; i++)
		buf_printf(&flood,
			"Event: Newstate\r\nPrivilege: call,all\r\n"
			"Channel: PJSIP/1001-%08x\r\nChannelState: 5\r\n"
			"ChannelStateDesc: Ringing\r\nUniqueid: 1795278207.%d\r\n"
			"Linkedid: 1795278207.%d\r\n\r\n",
			(unsigned)i, i, i);
	peer_write(&r, flood.data, flood.len);
	UNTIL(&r, rig_counter(&r, "CHANNEL_STATE", false) == 30000);
	CHECK(rig_is_up(&r));
	buf_fini(&flood);
	rig_fini(&r);
}

static unsigned n_answers;

static void
on_answer(struct asterisk *a, uint64_t id, const struct ami_message *m)
{
	(void)a;
	(void)id;
	CHECK(!m);
	n_answers++;
}

static void
test_pending_actions_are_bounded_and_each_is_answered_once(void)
{
	struct rig r;
	unsigned sent = 0;

	n_answers = 0;
	rig_init(&r);
	rig_open(&r);
	peer_take_session(&r, "16:00:00");
	UNTIL(&r, rig_seen(&r, CALL_SNAPSHOT_END));
	for (int i = 0; i < ASTERISK_PENDING_MAX + 50; i++)
		sent += asterisk_action(r.a, "Ping", NULL, on_answer) != 0;
	CHECK_INT(sent, ASTERISK_PENDING_MAX);
	CHECK_INT(n_answers, 0);
	CHECK_INT(rig_counter(&r, "actions_refused", false), 50);
	test_expect_log("connection lost");
	peer_close(&r);
	UNTIL(&r, rig_is_down(&r));
	CHECK_INT(n_answers, ASTERISK_PENDING_MAX);
	rig_fini(&r);
}

static void
test_a_peer_that_does_not_read_is_left(void)
{
	struct rig r;
	char value[1000];

	rig_init(&r);
	rig_open(&r);
	peer_take_session(&r, "16:00:00");
	UNTIL(&r, rig_seen(&r, CALL_SNAPSHOT_END));
	memset(value, 'v', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	const char *const fields[][2] = {{"Value", value}, {NULL, NULL}};
	int fd = r.fd;
	r.fd = -1; /* not pumped any more */
	test_expect_log("connection lost");
	for (int i = 0; i < 20000 && !rig_is_down(&r); i++) {
		if (r.a->stream)
			asterisk_action(r.a, "Setvar", fields, NULL);
		if (i % 100 == 0)
			loop_run_once(r.loop, 0);
	}
	UNTIL(&r, rig_is_down(&r));
	close(fd);
	rig_fini(&r);
}

/* ---- Configuration ------------------------------------------------------- */

static const struct {
	const char *given, *want;
} addresses[] = {
	{"pbx.example.net", "pbx.example.net:5038"},
	{"pbx.example.net:15038", "pbx.example.net:15038"},
	{"192.0.2.1", "192.0.2.1:5038"},
	{"2001:db8::1", "[2001:db8::1]:5038"},
	{"[2001:db8::1]", "[2001:db8::1]:5038"},
	{"[2001:db8::1]:5039", "[2001:db8::1]:5039"},
	{"unix:/run/ami.sock", "unix:/run/ami.sock"},
	{"", NULL},
	{":5038", NULL},
	{"pbx:", NULL},
	{"pbx:0", NULL},
	{"pbx:65536", NULL},
	{"pbx:ami", NULL},
	{"[2001:db8::1", NULL},
	{"[2001:db8::1]x", NULL},
	{"unix:", NULL},
};

static void
test_addresses(void)
{
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		char *got = asterisk_address(addresses[i].given);
		CHECK_STR(got, addresses[i].want);
		mem_free(got);
	}
}

static void
test_configuration_is_checked_without_opening_anything(void)
{
	static char username[] = "u", secret[] = "s";
	static char host[] = "pbx", bad_host[] = "pbx:x", ca[] = "/x.pem";
	struct asterisk_conf good = {.address = host,
		.username = username,
		.secret = secret,
		.reconnect_min_ms = 1,
		.reconnect_max_ms = 2};
	struct asterisk_conf bad = good;
	struct err err;

	CHECK(asterisk_channel.open(NULL, &good, &err) == 0);
	bad.reconnect_min_ms = 3;
	CHECK(asterisk_channel.open(NULL, &bad, &err) < 0);
	CHECK(strstr(err.text, "reconnect_min_ms"));
	bad = good;
	bad.address = bad_host;
	CHECK(asterisk_channel.open(NULL, &bad, &err) < 0);
	CHECK(strstr(err.text, "address"));
	bad = good;
	bad.tls_ca = ca;
	CHECK(asterisk_channel.open(NULL, &bad, &err) < 0);
	CHECK(strstr(err.text, "tls"));
}

int
main(void)
{
	TEST(test_bad_input_is_counted_and_the_next_message_is_read);
	TEST(test_megabyte_lines_are_refused_once_each);
	TEST(test_a_flood_is_read_to_its_end);
	TEST(test_pending_actions_are_bounded_and_each_is_answered_once);
	TEST(test_a_peer_that_does_not_read_is_left);
	TEST(test_addresses);
	TEST(test_configuration_is_checked_without_opening_anything);
	return test_done();
}
