/* test_ami.c - the manager's wire format: framing, refusals, escapes, actions; and what
 * single events mean. Whole recordings are in test_tracker.c. */
#include <asterisk/ami.h>
#include <asterisk/ami_events.h>

#include "lib/test.h"
#include "lib/traces.h"

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BANNER "Asterisk Call Manager/11.0.0\r\n"

/* ---- What a stream is read as -------------------------------------------------------- */

struct told {
	struct buf text; /* "B:banner;" "M:key=value,key=value;" "R:refusal(detail);" */
	struct ami_parser *parser;
	bool free_in_message;
};

static void
on_banner(void *arg, const char *line)
{
	buf_printf(&((struct told *)arg)->text, "B:%s;", line);
}

static void
on_message(void *arg, const struct ami_message *m)
{
	struct told *told = arg;

	buf_adds(&told->text, "M:");
	for (size_t i = 0; i < m->n; i++) {
		const struct ami_line *l = &m->lines[i];
		CHECK_INT((int64_t)strlen(l->key), (int64_t)l->key_len);
		CHECK_INT((int64_t)strlen(l->value), (int64_t)l->value_len);
		buf_printf(&told->text, "%s%s=%s", i ? "," : "", l->key, l->value);
	}
	buf_addc(&told->text, ';');
	if (told->free_in_message)
		ami_parser_free(&told->parser);
}

static void
on_refused(void *arg, enum ami_refusal why, const char *detail)
{
	buf_printf(&((struct told *)arg)->text, "R:%s(%.12s);", ami_refusal_text(why),
		detail);
}

static const struct ami_parser_callbacks callbacks = {
	on_banner, on_message, on_refused};

static bool
read_in_pieces(struct told *told, const char *data, size_t len, size_t piece)
{
	const char *why;
	bool ok = true;

	buf_clear(&told->text);
	told->parser = ami_parser_new(&callbacks, told);
	for (size_t at = 0; ok && told->parser && at < len; at += piece)
		ok = ami_parser_feed(told->parser, data + at,
			piece < len - at ? piece : len - at, &why);
	ami_parser_free(&told->parser);
	return ok;
}

static const struct {
	const char *wire, *told;
} good[] = {
	{BANNER, "B:Asterisk Call Manager/11.0.0;"},
	{"Asterisk Call Manager/5.0.4\r\nResponse: Success\r\n\r\n",
		"B:Asterisk Call Manager/5.0.4;M:Response=Success;"},
	{BANNER "A: 1\r\nB: 2\r\n\r\nC: 3\r\n\r\n",
		"B:Asterisk Call Manager/11.0.0;M:A=1,B=2;M:C=3;"},
	/* an LF alone is part of the value */
	{BANNER "Message: Park successful\n\r\n\r\nA: 1\r\n\r\n",
		"B:Asterisk Call Manager/11.0.0;M:Message=Park successful\n;M:A=1;"},
	/* empty messages are nothing */
	{BANNER "\r\n\r\nA: 1\r\n\r\n\r\n\r\nB: 2\r\n\r\n",
		"B:Asterisk Call Manager/11.0.0;M:A=1;M:B=2;"},
	/* exactly one blank goes; colons, equals and the rest stay */
	{BANNER "A:  two: blanks = <x>; \r\nB:none\r\nC:\r\nD: \r\n\r\n",
		"B:Asterisk Call Manager/11.0.0;"
		"M:A= two: blanks = <x>; ,B=none,C=,D=;"},
	{BANNER "ChanVariable(PJSIP/1001-0000005c): a=b\r\nCause-txt: x\r\n\r\n",
		"B:Asterisk Call Manager/11.0.0;"
		"M:ChanVariable(PJSIP/1001-0000005c)=a=b,Cause-txt=x;"},
	/* repeated keys are all there */
	{BANNER "Output: 1\r\nOutput: 2\r\nOutput: 1\r\n\r\n",
		"B:Asterisk Call Manager/11.0.0;M:Output=1,Output=2,Output=1;"},
	/* a lone CR is text; one CR may precede the line's own */
	{BANNER "A: x\ry\r\r\n\r\n", "B:Asterisk Call Manager/11.0.0;M:A=x\ry\r;"},
	/* a line without a colon is left out and its message still given */
	{BANNER "A: 1\r\nrubbish\r\nB: 2\r\n\r\n",
		"B:Asterisk Call Manager/11.0.0;"
		"R:line without a colon(rubbish);M:A=1,B=2;"},
	{BANNER "rubbish\r\n\r\nB: 2\r\n\r\n",
		"B:Asterisk Call Manager/11.0.0;R:line without a colon(rubbish);M:B=2;"},
	/* what has not ended is not told */
	{BANNER "A: 1\r\nB: 2\r\n", "B:Asterisk Call Manager/11.0.0;"},
};

static void
test_messages_in_any_pieces(void)
{
	static const size_t pieces[] = {1, 2, 3, 5, 7, 16, 1000};
	struct told told = {.text = BUF_INIT};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
			CHECK(read_in_pieces(
				&told, good[i].wire, strlen(good[i].wire), pieces[p]));
			CHECK_STR(buf_str(&told.text), good[i].told);
		}
	buf_fini(&told.text);
}

static void
test_a_nul_byte_spoils_its_line_only(void)
{
	static const char wire[] = BANNER "A: 1\0x\r\nB: 2\r\n\r\n";
	struct told told = {.text = BUF_INIT};

	CHECK(read_in_pieces(&told, wire, sizeof(wire) - 1, 4));
	CHECK_STR(buf_str(&told.text),
		"B:Asterisk Call Manager/11.0.0;R:NUL byte in a line(A: 1?x);M:B=2;");
	buf_fini(&told.text);
}

static void
test_what_is_no_manager(void)
{
	static const char *const bad[] = {"SSH-2.0-OpenSSH_9.2\r\n",
		"HTTP/1.1 400 Bad Request\r\n\r\n", "\r\n", "220 mail ESMTP\r\n"};
	struct told told = {.text = BUF_INIT};
	struct buf endless = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(!read_in_pieces(&told, bad[i], strlen(bad[i]), 3));
	for (int i = 0; i < 2000; i++)
		buf_addc(&endless, 'x');
	CHECK(!read_in_pieces(&told, endless.data, endless.len, 100));
	CHECK_STR(buf_str(&told.text), "");
	buf_fini(&endless);
	buf_fini(&told.text);
}

/* A message of `lines` lines of `len` bytes each between two small ones. */
static void
make_long(struct buf *wire, size_t lines, size_t len)
{
	buf_clear(wire);
	buf_adds(wire, BANNER "A: 1\r\n\r\n");
	for (size_t i = 0; i < lines; i++) {
		buf_adds(wire, "K: ");
		for (size_t b = 3; b < len; b++)
			buf_addc(wire, 'x');
		buf_adds(wire, "\r\n");
	}
	buf_adds(wire, "\r\nB: 2\r\n\r\n");
}

static void
test_messages_too_long_are_skipped_whole(void)
{
	static const struct {
		size_t lines, len;
		const char *why;
	} cases[] = {
		{1, 70000, "R:message too long(K: xxxxxxxxx);"},
		{1, 300000, "R:message too long(K: xxxxxxxxx);"},
		{1, 1000000, "R:message too long(K: xxxxxxxxx);"},
		{700, 100, "R:message of too many lines(K: xxxxxxxxx);"},
		{400, 300, "R:message too long(K: xxxxxxxxx);"},
	};
	static const size_t pieces[] = {1, 1448, 65536, 2000000};
	struct told told = {.text = BUF_INIT};
	struct buf wire = BUF_INIT, want = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
			make_long(&wire, cases[i].lines, cases[i].len);
			CHECK(read_in_pieces(&told, wire.data, wire.len, pieces[p]));
			buf_clear(&want);
			buf_printf(&want,
				"B:Asterisk Call Manager/11.0.0;M:A=1;%sM:B=2;",
				cases[i].why);
			CHECK_STR(buf_str(&told.text), buf_str(&want));
		}
	buf_fini(&want);
	buf_fini(&wire);
	buf_fini(&told.text);
}

static void
test_freed_inside_a_callback(void)
{
	static const char wire[] = BANNER "A: 1\r\n\r\nB: 2\r\n\r\n";
	struct told told = {.text = BUF_INIT, .free_in_message = true};

	CHECK(read_in_pieces(&told, wire, sizeof(wire) - 1, sizeof(wire)));
	CHECK_STR(buf_str(&told.text), "B:Asterisk Call Manager/11.0.0;M:A=1;");
	buf_fini(&told.text);
}

static void
on_lookups(void *arg, const struct ami_message *m)
{
	(void)arg;
	CHECK_STR(ami_get(m, "event"), "X");
	CHECK_STR(ami_get(m, "VARIABLE"), "1");
	CHECK_STR(ami_get_nth(m, "Variable", 1), "2");
	CHECK(!ami_get_nth(m, "Variable", 2));
	CHECK(!ami_get(m, "Var"));
	CHECK_STR(ami_get(m, "Name"), "<unknown>");
	CHECK(!ami_get_known(m, "Name"));
	CHECK(!ami_get_known(m, "None"));
	CHECK(!ami_get_known(m, "Empty"));
	CHECK_STR(ami_get_known(m, "Anonymous"), "anonymous");
}

static void
test_looking_keys_up(void)
{
	const struct ami_parser_callbacks cb = {NULL, on_lookups, NULL};
	struct ami_parser *p = ami_parser_new(&cb, NULL);
	static const char wire[] =
		BANNER "Event: X\r\nVariable: 1\r\nVariable: 2\r\nName: <unknown>\r\n"
		       "None: <none>\r\nEmpty: \r\nAnonymous: anonymous\r\n\r\n";
	const char *why;

	CHECK(ami_parser_feed(p, wire, sizeof(wire) - 1, &why));
	ami_parser_free(&p);
}

static void
test_escapes(void)
{
	static const char *const cases[][2] = {{"plain", "plain"},
		{"a\\\"b \\\\c %41 x=y,z \\tTab; é", "a\"b \\c %41 x=y,z \tTab; é"},
		{"\\n\\r", "\n\r"}, {"end\\", "end\\"}, {"\\x41", "\\x41"},
		{"\\'", "'"}, {"", ""}};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_clear(&b);
		ami_unescape(&b, cases[i][0]);
		CHECK_STR(buf_str(&b), cases[i][1]);
	}
	buf_fini(&b);
}

static void
test_actions_cannot_be_smuggled(void)
{
	struct buf b = BUF_INIT;

	ami_action_begin(&b, "Originate", "7");
	ami_action_add(&b, "CallerID", "x\r\nAction: Command");
	ami_action_add(&b, "Key: y\n", NULL);
	ami_action_end(&b);
	CHECK_STR(buf_str(&b), "Action: Originate\r\nActionID: 7\r\n"
			       "CallerID: x  Action: Command\r\nKey  y : \r\n\r\n");
	buf_fini(&b);
}

/* ---- What events mean ------------------------------------------------------------------ */

static void
describe(struct buf *b, const struct call_event *ev)
{
	static const char *const names[] = {
#define E(name, help) #name,
		CALL_EVENTS(E)
#undef E
	};

	buf_adds(b, names[ev->type]);
#define T(name, help)                                                                  \
	if (ev->name)                                                                  \
		buf_printf(b, " " #name "=%s", ev->name);
	CALL_EVENT_TEXTS(T)
#undef T
	if (ev->cause)
		buf_printf(b, " cause=%d", ev->cause);
	if (ev->result)
		buf_printf(b, " result=%d", ev->result);
	if (ev->flags)
		buf_printf(b, " flags=%u", ev->flags);
	if (ev->age_ms)
		buf_printf(b, " age=%d", (int)ev->age_ms);
	for (size_t i = 0; i < ev->n_vars; i++)
		buf_printf(b, " %s=%s", ev->vars[i].name, ev->vars[i].value);
}

static const struct {
	const char *message, *meaning; /* lines end in | here; NULL = means nothing */
} events[] = {
	{"Event: RTCPSent|Uniqueid: 1.1|", NULL},
	{"Event: TestEvent|State: x|State: x|", NULL},
	{"Event: DeviceStateChange|Device: PJSIP/1001|", NULL},
	{"Response: Success|ActionID: 1|", NULL},
	{"Event: Newchannel|Channel: PJSIP/1001-0000005c|", NULL}, /* no Uniqueid */
	{"Event: Newchannel|Channel: PJSIP/my-trunk-0000005c|ChannelState: 4|"
	 "CallerIDNum: 0912345678|CallerIDName: <unknown>|Exten: 5001|Uniqueid: 1.1|"
	 "Linkedid: 1.1|ChanVariable: A=1|ChanVariable: B=|ChanVariable: C=\\\"x=y\\\"|"
	 "ChanVariable: CHANNEL(language)=zh|",
		"CHANNEL_NEW uid=1.1 linked=1.1 name=PJSIP/my-trunk-0000005c "
		"endpoint=PJSIP/my-trunk caller_number=0912345678 exten=5001 language=zh "
		"A=1 C=\"x=y\""},
	{"Event: Newchannel|Channel: Local/1002@agents-00000002;1|Uniqueid: 1.1|",
		"CHANNEL_NEW uid=1.1 name=Local/1002@agents-00000002;1 "
		"endpoint=Local/1002@agents flags=1"},
	{"Event: NewCallerid|Channel: PJSIP/t-1|Uniqueid: 1.1|CallerIDNum: anonymous|"
	 "CallerIDName: O\\\\\\\"Neil \\\\\\\\|CID-CallingPres: 35 (Prohibited)|",
		"CHANNEL_UPDATE uid=1.1 name=PJSIP/t-1 endpoint=PJSIP/t "
		"caller_number=anonymous caller_name=O\"Neil \\ flags=32"},
	{"Event: Newstate|Uniqueid: 1.1|CallerIDName: bad \xff\xfe bytes|",
		"CHANNEL_STATE uid=1.1 caller_name=bad \xef\xbf\xbd\xef\xbf\xbd bytes"},
	{"Event: Hangup|Uniqueid: 1.1|Channel: PJSIP/1001-1<ZOMBIE>|Cause: 26|",
		"CHANNEL_HANGUP uid=1.1 name=PJSIP/1001-1<ZOMBIE> cause=26"},
	{"Event: SoftHangupRequest|Uniqueid: 1.1|Cause: 4|",
		"HANGUP_REQUEST uid=1.1 flags=24"},
	{"Event: SoftHangupRequest|Uniqueid: 1.1|Cause: 32|",
		"HANGUP_REQUEST uid=1.1 flags=16"},
	{"Event: DialBegin|Uniqueid: 1.1|DestUniqueid: 1.2|DestChannel: PJSIP/trunk-2|"
	 "DialString: 0911222333@trunk|",
		"DIAL_BEGIN uid=1.1 other_uid=1.2 other_name=PJSIP/trunk-2 "
		"other_endpoint=PJSIP/trunk dial_string=0911222333"},
	{"Event: DialBegin|DestUniqueid: 1.2|DialString: trunk/sip:0911222333@10.0.0.1|",
		"DIAL_BEGIN other_uid=1.2 dial_string=0911222333"},
	{"Event: DialBegin|DestUniqueid: 1.2|DialString: DAHDI/g1/0911222333|",
		"DIAL_BEGIN other_uid=1.2 dial_string=0911222333"},
	{"Event: DialBegin|Uniqueid: 1.1|DialString: x|", NULL},
	{"Event: DialEnd|Uniqueid: 1.1|DestUniqueid: 1.2|DialStatus: CANCEL|Forward: 1004|",
		"DIAL_END uid=1.1 other_uid=1.2 other_exten=1004 result=8"},
	{"Event: OriginateResponse|ActionID: 7|Response: Failure|Channel: PJSIP/my-phone|"
	 "Exten: 0911222333|Reason: 3|Uniqueid: <unknown>|",
		"ORIGINATE_RESULT endpoint=PJSIP/my-phone exten=0911222333 action=7 "
		"result=3"},
	{"Event: AgentCalled|Uniqueid: 1.1|DestUniqueid: 1.2|Queue: support|"
	 "Interface: Local/1004@agents/n|MemberName: Agent Four|",
		"QUEUE_OFFER uid=1.1 other_uid=1.2 queue=support "
		"interface=Local/1004@agents/n member=Agent Four"},
	{"Event: AgentComplete|Uniqueid: 1.1|Queue: support|Reason: transfer|",
		"QUEUE_COMPLETE uid=1.1 queue=support result=11"},
	{"Event: BridgeEnter|Uniqueid: 1.1|BridgeUniqueid: b|BridgeType: parking|",
		"BRIDGE_ENTER uid=1.1 bridge=b flags=4"},
	{"Event: BridgeEnter|Uniqueid: 1.1|BridgeUniqueid: b|BridgeType: base|"
	 "BridgeTechnology: holding_bridge|",
		"BRIDGE_ENTER uid=1.1 bridge=b flags=4"},
	{"Event: BlindTransfer|Result: Fail|TransfererUniqueid: 1.1|"
	 "TransfereeUniqueid: 1.2|",
		NULL},
	{"Event: AttendedTransfer|Result: Success|OrigTransfererUniqueid: 1.1|"
	 "SecondTransfererUniqueid: 1.3|TransfereeUniqueid: 1.2|"
	 "TransferTargetUniqueid: 1.4|",
		"TRANSFER_ATTENDED uid=1.1 other_uid=1.2 second_uid=1.3 target_uid=1.4"},
	{"Event: ParkedCall|ParkeeUniqueid: 1.1|ParkingSpace: 701|",
		"PARK uid=1.1 exten=701"},
	{"Event: ParkedCall|ActionID: 3|ParkeeUniqueid: 1.1|ParkingSpace: 701|"
	 "ParkingDuration: 9|",
		"SNAPSHOT_PARKED uid=1.1 exten=701 age=9000"},
	{"Event: Pickup|Uniqueid: 1.3|TargetUniqueid: 1.2|",
		"PICKUP uid=1.3 other_uid=1.2"},
	{"Event: VarSet|Uniqueid: 1.1|Variable: __CUSTOMER_ID|Value: C-\\\"1\\\"|",
		"VARIABLE uid=1.1 CUSTOMER_ID=C-\"1\""},
	{"Event: VarSet|Uniqueid: 1.1|Variable: RTPAUDIOQOSJITTER|Value: 1|", NULL},
	{"Event: VarSet|Uniqueid: 1.1|Variable: __QUEUENAME|Value: x|", NULL},
	{"Event: VarSet|Uniqueid: 1.1|Variable: LOCAL(ARG1)|Value: x|", NULL},
	{"Event: VarSet|Uniqueid: 1.1|Variable: CUSTOMER_ID|Value: |", NULL},
	{"Event: VarSet|Uniqueid: 1.1|Variable: QUEUESTATUS|Value: JOINEMPTY|",
		"QUEUE_LEAVE uid=1.1 result=7"},
	{"Event: VarSet|Uniqueid: 1.1|Variable: QUEUESTATUS|Value: TIMEOUT|",
		"QUEUE_LEAVE uid=1.1 result=3"},
	{"Event: VarSet|Uniqueid: 1.1|Variable: QUEUESTATUS|Value: CONTINUE|", NULL},
	{"Event: VarSet|Uniqueid: 1.1|Variable: MIXMONITOR_FILENAME|Value: /a.wav|",
		"RECORDING uid=1.1 detail=/a.wav"},
	{"Event: MessageWaiting|Mailbox: 1001@default|Waiting: 1|", NULL},
	{"Event: MessageWaiting|Uniqueid: 1.1|Mailbox: 1001@default|Waiting: 1|",
		"VOICEMAIL uid=1.1 exten=1001@default"},
	{"Event: Newexten|Uniqueid: 1.1|Application: NoOp|AppData: x|", NULL},
	{"Event: Newexten|Uniqueid: 1.1|Application: Queue|AppData: strict,tT,,,5|",
		"APPLICATION uid=1.1 exten=strict detail=Queue"},
	{"Event: CoreShowChannel|Uniqueid: 1.1|BridgeId: b|", NULL}, /* no ActionID */
	{"Event: CoreShowChannel|ActionID: 1|Uniqueid: 1.1|Linkedid: 1.0|BridgeId: b|"
	 "Application: Dial|Duration: 01:02:03|",
		"SNAPSHOT_CHANNEL uid=1.1 linked=1.0 bridge=b detail=Dial age=3723000"},
	{"Event: QueueEntry|ActionID: 1|Queue: sales|Position: 1|Uniqueid: 1.1|Wait: 7|",
		"SNAPSHOT_WAITING uid=1.1 queue=sales age=7000"},
	{"Event: Shutdown|Shutdown: Cleanly|", "SYSTEM_STOPPED"},
};

static void
on_event(void *arg, const struct call_event *ev)
{
	describe(arg, ev);
}

struct translation {
	struct ami_events *events;
	struct buf text;
	bool matters;
};

static void
on_translated(void *arg, const struct ami_message *m)
{
	struct translation *tr = arg;

	tr->matters = ami_events_translate(tr->events, m, 1, on_event, &tr->text);
}

static void
test_events_and_what_they_mean(void)
{
	const struct ami_parser_callbacks cb = {NULL, on_translated, NULL};
	struct translation tr = {ami_events_new(), BUF_INIT, false};

	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		struct ami_parser *p = ami_parser_new(&cb, &tr);
		struct buf wire = BUF_INIT;
		const char *why;
		buf_adds(&wire, BANNER);
		for (const char *s = events[i].message; *s; s++)
			if (*s == '|')
				buf_adds(&wire, "\r\n");
			else
				buf_addc(&wire, *s);
		buf_adds(&wire, "\r\n");
		buf_clear(&tr.text);
		CHECK(ami_parser_feed(p, wire.data, wire.len, &why));
		CHECK_STR(
			buf_str(&tr.text), events[i].meaning ? events[i].meaning : "");
		CHECK_INT(tr.matters, events[i].meaning != NULL);
		ami_parser_free(&p);
		buf_fini(&wire);
	}
	buf_fini(&tr.text);
	ami_events_free(&tr.events);
}

static void
on_time(void *arg, const struct call_event *ev)
{
	*(int64_t *)arg = ev->at_us;
}

static void
on_timed(void *arg, const struct ami_message *m)
{
	struct ami_events *e = ami_events_new();

	ami_events_translate(e, m, 42, on_time, arg);
	ami_events_free(&e);
}

static void
test_the_messages_own_time_wins(void)
{
	const struct ami_parser_callbacks cb = {NULL, on_timed, NULL};
	int64_t at_us = 0;
	struct ami_parser *p = ami_parser_new(&cb, &at_us);
	static const char with[] = BANNER
		"Event: Hold\r\nTimestamp: 1795278209.736857\r\nUniqueid: 1\r\n\r\n";
	static const char without[] =
		"Event: Hold\r\nTimestamp: soon\r\nUniqueid: 1\r\n\r\n";
	const char *why;

	CHECK(ami_parser_feed(p, with, sizeof(with) - 1, &why));
	CHECK_INT(at_us, INT64_C(1795278209736857));
	CHECK(ami_parser_feed(p, without, sizeof(without) - 1, &why));
	CHECK_INT(at_us, 42);
	ami_parser_free(&p);
}

/* ---- Recordings ------------------------------------------------------------------------- */

static void
on_counted(void *arg, const struct ami_message *m)
{
	(void)m;
	++*(int64_t *)arg;
}

static void
on_any_refusal(void *arg, enum ami_refusal why, const char *detail)
{
	(void)arg;
	test_fail(
		__FILE__, __LINE__, "refused: %s (%s)", ami_refusal_text(why), detail);
}

static void
count_messages(const struct trace *tr, unsigned seed)
{
	const struct ami_parser_callbacks cb = {NULL, on_counted, on_any_refusal};
	int64_t n = 0,
		want = json_integer_value(json_object_get(tr->truth, "messages"));
	struct ami_parser *p = ami_parser_new(&cb, &n);
	const char *why;

	for (size_t at = 0, len; at < tr->bytes.len; at += len) {
		len = seed ? 1 + (size_t)rand_r(&seed) % 3000 : tr->bytes.len;
		len = len < tr->bytes.len - at ? len : tr->bytes.len - at;
		CHECK(ami_parser_feed(p, tr->bytes.data + at, len, &why));
	}
	ami_parser_free(&p);
	CHECK_INT(n, want);
}

static void
test_recorded_messages_are_all_there(void)
{
	struct traces all;

	traces_load(&all);
	for (size_t i = 0; i < all.n; i++)
		for (unsigned seed = 0; seed < 4; seed++)
			count_messages(&all.items[i], seed);
	traces_free(&all);
}

int
main(void)
{
	TEST(test_messages_in_any_pieces);
	TEST(test_a_nul_byte_spoils_its_line_only);
	TEST(test_what_is_no_manager);
	TEST(test_messages_too_long_are_skipped_whole);
	TEST(test_freed_inside_a_callback);
	TEST(test_looking_keys_up);
	TEST(test_escapes);
	TEST(test_actions_cannot_be_smuggled);
	TEST(test_events_and_what_they_mean);
	TEST(test_the_messages_own_time_wins);
	TEST(test_recorded_messages_are_all_there);
	return test_done();
}
