/* test_asterisk_dial.c - calls placed through Asterisk's manager: what goes over the wire,
 * and what never does. */
#include <lib/ami_peer.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

struct told {
	unsigned times;
	bool failed;
	char error[ERR_TEXT_MAX];
};

static void
on_done(void *arg, const char *error)
{
	struct told *t = arg;

	t->times++;
	t->failed = error != NULL;
	str_copy(t->error, sizeof(t->error), error ? error : "");
}

static const struct channel_dial good = {
	.endpoint = "PJSIP/1001",
	.number = "0912345678",
	.uid = "interactd-1795277508.5",
	.display = "+886912345678",
	.ring_timeout_ms = 20000,
};

static int
place(struct rig *r, const struct channel_dial *call, struct told *told,
	struct err *err)
{
	return channel_core_ops(r->channel)->dial(r->channel, call, on_done, told, err);
}

static char context[] = "outgoing", prefix[] = "9", caller_id[] = "0285550100";

static void
rig_ready(struct rig *r)
{
	rig_init(r);
	r->conf.dial_context = context;
	r->conf.dial_prefix = prefix;
	rig_open(r);
	peer_take_session(r, "16:00:00");
}

static void
check_field(const struct action *act, const char *key, const char *want)
{
	char value[256];

	action_field(act, key, value, sizeof(value));
	CHECK_STR(value, want);
}

static void
test_what_is_asked(void)
{
	struct rig r;
	struct told told = {0};
	struct err err;

	rig_ready(&r);
	CHECK_INT(place(&r, &good, &told, &err), 0);
	CHECK_INT(told.times, 0);
	struct action act = peer_take(&r, "Originate");
	check_field(&act, "Channel", "PJSIP/1001");
	check_field(&act, "Context", "outgoing");
	check_field(&act, "Exten", "90912345678");
	check_field(&act, "Priority", "1");
	check_field(&act, "Timeout", "20000");
	check_field(&act, "CallerID", "\"+886912345678\" <>");
	check_field(&act, "Async", "true");
	check_field(&act, "ChannelId", "interactd-1795277508.5");
	peer_answer(&r, &act, "Success", "Message: Originate successfully queued\r\n");
	UNTIL(&r, told.times == 1);
	CHECK(!told.failed);
	rig_fini(&r);
	CHECK_INT(told.times, 1);
}

/* Each of these must be refused without a byte on the wire. */
static const struct channel_dial bad[] = {
	{.number = "0912\r\nAction: Command"},
	{.number = "0912\n"},
	{.number = "${SHELL(id)}"},
	{.number = "0912,1"},
	{.number = "0912|1"},
	{.number = "0912&1"},
	{.number = "0912;1"},
	{.number = "0912@x"},
	{.number = "0912 1"},
	{.number = "s"},
	{.number = ""},
	{.number = "01234567890123456789012345678901234567890"},
	{.endpoint = "PJSIP/1001\r\nAction: Command"},
	{.endpoint = "PJSIP/${X}"},
	{.endpoint = "PJSIP/1,2"},
	{.endpoint = "PJSIP/1&PJSIP/2"},
	{.endpoint = "PJSIP/1 2"},
	{.endpoint = "PJSIP/1\"2"},
	{.endpoint = "PJSIP/"},
	{.endpoint = "/1001"},
	{.endpoint = "1001"},
	{.endpoint = ""},
	{.uid = "a\r\nb"},
	{.uid = "a;2"},
	{.uid = "a b"},
	{.uid = ""},
};

static void
test_nothing_else_gets_to_the_wire(void)
{
	struct rig r;
	struct told told = {0};

	rig_ready(&r);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct channel_dial call = good;
		struct err err = {0};
		if (bad[i].number)
			call.number = bad[i].number;
		if (bad[i].endpoint)
			call.endpoint = bad[i].endpoint;
		if (bad[i].uid)
			call.uid = bad[i].uid;
		if (place(&r, &call, &told, &err) != -1 || !err.text[0])
			test_fail(__FILE__, __LINE__, "taken: %s %s %s", call.number,
				call.endpoint, call.uid);
	}
	CHECK_INT(told.times, 0);
	struct err err;
	CHECK_INT(place(&r, &good, &told, &err), 0);
	peer_take(&r, "Originate"); /* the next action is the good one */
	CHECK(!strstr(buf_str(&r.in), "Action: Command"));
	rig_fini(&r);
}

static void
test_the_name_shown_is_made_harmless(void)
{
	struct rig r;
	struct told told = {0};
	struct err err;
	struct channel_dial call = good;

	rig_init(&r);
	r.conf.dial_context = context;
	r.conf.dial_caller_id = caller_id;
	rig_open(&r);
	peer_take_session(&r, "16:00:00");
	call.display = "A\" <666>\r\nAction: x,${Y}|&;@";
	CHECK_INT(place(&r, &call, &told, &err), 0);
	struct action act = peer_take(&r, "Originate");
	check_field(&act, "CallerID", "\"A 666Action xY\" <0285550100>");
	check_field(&act, "Exten", "0912345678");
	rig_fini(&r);
}

static const struct {
	const char *says, *words;
} refusals[] = {
	{"Permission denied", "needs originate"},
	{"Extension does not exist.", "no extension 90912345678 in context outgoing"},
	{"Something", "refused: Something"},
};

static void
test_refusals_say_what_to_do(void)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		struct rig r;
		struct told told = {0};
		struct err err;
		char line[100];

		rig_ready(&r);
		CHECK_INT(place(&r, &good, &told, &err), 0);
		struct action act = peer_take(&r, "Originate");
		snprintf(line, sizeof(line), "Message: %s\r\n", refusals[i].says);
		peer_answer(&r, &act, "Error", line);
		UNTIL(&r, told.times == 1);
		CHECK(told.failed);
		if (!strstr(told.error, refusals[i].words))
			test_fail(__FILE__, __LINE__, "%s", told.error);
		CHECK_INT(rig_seen(&r, CALL_ORIGINATE_RESULT), 1);
		CHECK_STR(r.last_uid, good.uid);
		rig_fini(&r);
	}
}

/* Of a call that failed Asterisk does not tell the unique id; we know it. */
static void
test_a_failure_is_told_with_its_uid(void)
{
	struct rig r;
	struct told told = {0};
	struct err err;

	rig_ready(&r);
	CHECK_INT(place(&r, &good, &told, &err), 0);
	struct action act = peer_take(&r, "Originate");
	peer_answer(&r, &act, "Success", "");
	peer_say(&r,
		"Event: OriginateResponse\r\nPrivilege: call,all\r\nActionID: %s\r\n"
		"Response: Failure\r\nChannel: PJSIP/1001\r\nExten: 90912345678\r\n"
		"Reason: 0\r\nUniqueid: <unknown>\r\n\r\n",
		act.id);
	UNTIL(&r, rig_seen(&r, CALL_ORIGINATE_RESULT) == 1);
	CHECK_STR(r.last_uid, good.uid);
	CHECK_INT(r.a->n_dials, 0);
	CHECK_INT(told.times, 1);
	rig_fini(&r);
}

/* Whether it rings is not known: that is no refusal. */
static void
test_an_answer_that_never_comes(void)
{
	struct rig r;
	struct told told = {0};
	struct err err;

	rig_ready(&r);
	CHECK_INT(place(&r, &good, &told, &err), 0);
	peer_take(&r, "Originate");
	test_expect_log("connection lost");
	peer_close(&r);
	UNTIL(&r, told.times == 1);
	CHECK(!told.failed);
	CHECK_INT(r.a->n_dials, 0);
	CHECK_INT(place(&r, &good, &told, &err), -1);
	CHECK(strstr(err.text, "not connected") != NULL);
	rig_fini(&r);
	CHECK_INT(told.times, 1);
}

static void
test_as_many_as_there_is_room_for(void)
{
	struct rig r;
	struct told told = {0};
	struct err err;
	unsigned n = 0;

	rig_ready(&r);
	while (place(&r, &good, &told, &err) == 0 && n <= ASTERISK_DIALS_MAX)
		n++;
	CHECK(n > 900 && n <= ASTERISK_DIALS_MAX);
	rig_fini(&r);
	CHECK_INT(told.times, n);
}

static const struct {
	const char *context, *prefix, *caller_id;
	bool good;
} confs[] = {
	{"from-internal", "", NULL, true},
	{"a_b.c-1", "*9#", "+886285550100", true},
	{"a b", "", NULL, false},
	{"a,1", "", NULL, false},
	{"x", "9w", NULL, false},
	{"x", "", "12 34", false},
	{"x", "", "a@b", false},
};

static void
test_keys_that_go_to_the_wire(void)
{
	for (size_t i = 0; i < ARRAY_LEN(confs); i++) {
		struct asterisk_conf conf = {0};
		struct err err;
		conf.dial_context = xstrdup(confs[i].context);
		conf.dial_prefix = xstrdup(confs[i].prefix);
		conf.dial_caller_id = xstrdup(confs[i].caller_id);
		CHECK_INT(asterisk_dial_check(&conf, &err), confs[i].good ? 0 : -1);
		xfree(&conf.dial_context);
		xfree(&conf.dial_prefix);
		xfree(&conf.dial_caller_id);
	}
}

int
main(void)
{
	TEST(test_what_is_asked);
	TEST(test_nothing_else_gets_to_the_wire);
	TEST(test_the_name_shown_is_made_harmless);
	TEST(test_refusals_say_what_to_do);
	TEST(test_a_failure_is_told_with_its_uid);
	TEST(test_an_answer_that_never_comes);
	TEST(test_as_many_as_there_is_room_for);
	TEST(test_keys_that_go_to_the_wire);
	return test_done();
}
