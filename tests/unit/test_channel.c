/* test_channel.c - the core's side of channels, with a driver that does as it is told. */
#include <clock.h>
#include <io/channel.h>
#include <io/loop.h>
#include <lib/test.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

struct fake_conf {
	struct phone_conf phone;
	bool refuse, close_late;
};

struct fake {
	unsigned resyncs;
};

struct heard {
	unsigned ups, downs, events, done;
	struct call_event last;
};

static int
fake_open(struct channel *ch, const void *conf, struct err *err)
{
	const struct fake_conf *c = conf;

	(void)ch;
	return c->refuse ? err_set(err, "refuse: it is on") : 0;
}

static void
fake_close(struct channel *ch)
{
	const struct fake_conf *c = channel_conf(ch);

	if (!c->close_late)
		channel_closed(ch);
}

static void
fake_resync(struct channel *ch)
{
	((struct fake *)channel_private(ch))->resyncs++;
}

static void
fake_status(const struct channel *ch, struct json_out *json)
{
	json_put_int(json, "resyncs", ((struct fake *)channel_private(ch))->resyncs);
}

static const struct channel_ops fake_ops = {
	.driver = "fake",
	.caps = CHANNEL_PHONE,
	.size = sizeof(struct fake),
	.conf_size = sizeof(struct fake_conf),
	.open = fake_open,
	.close = fake_close,
	.resync = fake_resync,
	.status = fake_status,
};

static const struct channel_ops mute_ops = {
	.driver = "mute", .size = 0, .open = fake_open, .close = fake_close};

static void
on_call_event(void *arg, struct channel *ch, const struct call_event *ev)
{
	struct heard *h = arg;

	(void)ch;
	h->events++;
	h->last = *ev;
}

static void
on_state(void *arg, struct channel *ch, bool up)
{
	struct heard *h = arg;

	(void)ch;
	if (up)
		h->ups++;
	else
		h->downs++;
}

static void
on_done(void *arg)
{
	((struct heard *)arg)->done++;
}

struct rig {
	struct loop *loop;
	struct channel_core *core;
	struct fake_conf conf;
	struct heard heard;
};

static void
rig_init(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->loop = loop_new();
	r->core = channel_core_new(
		r->loop, &(struct channel_sink){.call_event = on_call_event,
				 .state = on_state,
				 .arg = &r->heard});
}

static struct channel *
rig_open(struct rig *r, const struct channel_ops *ops, const char *name, int64_t resync)
{
	struct err err;
	struct channel *ch = channel_core_open(r->core,
		&(struct channel_opts){.ops = ops,
			.name = name,
			.tenant = "default",
			.conf = &r->conf,
			.resync_ms = resync},
		&err);

	CHECK(ch);
	return ch;
}

static void
rig_fini(struct rig *r)
{
	channel_core_free(&r->core);
	loop_free(&r->loop);
}

static void
test_states_are_told_when_they_change(void)
{
	struct rig r;

	rig_init(&r);
	struct channel *ch = rig_open(&r, &fake_ops, "a", 0);
	CHECK_INT(channel_core_state(ch), CHANNEL_STARTING);
	channel_up(ch, "Phone 1.2");
	channel_up(ch, "Phone 1.2");
	CHECK_INT(r.heard.ups, 1);
	CHECK_STR(channel_core_peer(ch), "Phone 1.2");
	test_expect_log("down: it rains"); /* once, though said twice */
	channel_down(ch, "it rains");
	channel_down(ch, "it rains");
	CHECK_INT(r.heard.downs, 1);
	CHECK_STR(channel_core_why(ch), "it rains");
	CHECK_STR(channel_core_peer(ch), NULL);
	test_expect_log("down: it snows");
	channel_down(ch, "it snows");
	CHECK_INT(r.heard.downs, 1);
	channel_up(ch, NULL);
	CHECK_STR(channel_core_why(ch), NULL);
	CHECK_INT(r.heard.ups, 2);
	rig_fini(&r);
}

static void
test_a_channel_that_never_was_up_goes_down_untold(void)
{
	struct rig r;

	rig_init(&r);
	struct channel *ch = rig_open(&r, &fake_ops, "a", 0);
	test_expect_log("down: no");
	channel_down(ch, "no");
	CHECK_INT(r.heard.downs, 0);
	CHECK_INT(channel_core_state(ch), CHANNEL_DOWN);
	rig_fini(&r);
}

static void
test_refused_configuration_leaves_nothing(void)
{
	struct rig r;
	struct err err = {.text = ""};

	rig_init(&r);
	r.conf.refuse = true;
	CHECK(!channel_core_open(r.core,
		&(struct channel_opts){
			.ops = &fake_ops, .name = "a", .tenant = "t", .conf = &r.conf},
		&err));
	CHECK_STR(err.text, "refuse: it is on");
	CHECK_INT(channel_core_count(r.core), 0);
	r.conf.refuse = false;
	rig_open(&r, &fake_ops, "a", 0);
	CHECK(!channel_core_open(r.core,
		&(struct channel_opts){
			.ops = &fake_ops, .name = "a", .tenant = "t", .conf = &r.conf},
		&err));
	CHECK_STR(err.text, "there is a channel \"a\" already");
	rig_fini(&r);
}

static void
test_done_comes_once_and_later(void)
{
	struct rig r;

	rig_init(&r);
	struct channel *ch = rig_open(&r, &fake_ops, "a", 0);
	channel_up(ch, NULL);
	channel_core_close(ch, on_done, &r.heard);
	CHECK_INT(r.heard.done, 0);
	CHECK_INT(r.heard.downs, 1);
	CHECK(!channel_core_find(r.core, "a"));
	for (int i = 0; i < 5; i++)
		loop_run_once(r.loop, 1);
	CHECK_INT(r.heard.done, 1);
	CHECK_INT(channel_core_count(r.core), 0);
	rig_fini(&r);
}

static void
test_a_driver_that_does_not_let_go_is_left_after_two_seconds(void)
{
	struct rig r;
	int64_t since = clock_mono_us();

	rig_init(&r);
	r.conf.close_late = true;
	struct channel *ch = rig_open(&r, &fake_ops, "a", 0);
	channel_core_close(ch, on_done, &r.heard);
	test_expect_log("did not let go");
	while (!r.heard.done && clock_mono_us() - since < 5000000)
		loop_run_once(r.loop, 100);
	CHECK_INT(r.heard.done, 1);
	CHECK(clock_mono_us() - since >= 2000000);
	CHECK_INT(channel_core_count(r.core), 0);
	/* It still holds its memory, and may still speak. */
	channel_call_event(ch, &(struct call_event){.type = CALL_LINK_LOST});
	CHECK_INT(r.heard.events, 0);
	channel_closed(ch);
	loop_run_once(r.loop, 0);
	rig_fini(&r);
}

static void
test_events_get_a_time(void)
{
	struct rig r;

	rig_init(&r);
	struct channel *ch = rig_open(&r, &fake_ops, "a", 0);
	clock_fake(1795278207000000, 5000000);
	channel_call_event(ch, &(struct call_event){.type = CALL_CHANNEL_NEW});
	CHECK_INT(r.heard.last.at_us, 1795278207000000);
	channel_call_event(ch, &(struct call_event){.type = CALL_HOLD, .at_us = 77});
	CHECK_INT(r.heard.last.at_us, 77);
	CHECK_INT(r.heard.last.type, CALL_HOLD);
	clock_fake(0, 0);
	rig_fini(&r);
}

struct line {
	const char *name;
	bool refused;
	unsigned long long value;
};

static void
on_counter(void *arg, const char *name, bool refused, unsigned long long value)
{
	struct line *l = arg;

	if (refused == l->refused && !strcmp(name, l->name))
		l->value = value;
}

static unsigned long long
counter(const struct channel *ch, const char *name, bool refused)
{
	struct line l = {.name = name, .refused = refused};

	channel_core_counters(ch, on_counter, &l);
	return l.value;
}

static void
test_counters_are_bounded(void)
{
	struct rig r;
	char name[16];

	rig_init(&r);
	struct channel *ch = rig_open(&r, &fake_ops, "a", 0);
	for (int i = 0; i < 80; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		channel_count(ch, name, 2);
	}
	CHECK_INT(counter(ch, "c63", false), 2);
	CHECK_INT(counter(ch, "c64", false), 0);
	CHECK_INT(counter(ch, "others", false), 32);
	channel_count(ch, "c0", 5);
	CHECK_INT(counter(ch, "c0", false), 7);
	channel_call_event(ch, &(struct call_event){.type = CALL_HOLD});
	CHECK_INT(counter(ch, "HOLD", false), 1);
	rig_fini(&r);
}

static void
test_refusals_are_logged_once_per_cause_and_minute(void)
{
	struct rig r;

	rig_init(&r);
	struct channel *ch = rig_open(&r, &fake_ops, "a", 0);
	clock_fake(1795278207000000, 5000000);
	test_expect_log("refused (no_colon): line 0");
	test_expect_log("refused (nul): here");
	for (int i = 0; i < 100; i++)
		channel_refused(ch, "no_colon", "line %d", i);
	channel_refused(ch, "nul", "here");
	clock_fake(1795278207000000, 66000000);
	test_expect_log("line 100 (and 99 more since)");
	channel_refused(ch, "no_colon", "line %d", 100);
	clock_fake(0, 0);
	CHECK_INT(counter(ch, "no_colon", true), 101);
	CHECK_INT(counter(ch, "no_colon", false), 0);
	rig_fini(&r);
}

static void
test_resync_is_asked_for_slowly_while_up(void)
{
	struct rig r;
	int64_t since = clock_mono_us();

	rig_init(&r);
	struct channel *ch = rig_open(&r, &fake_ops, "a", 20);
	struct fake *f = channel_private(ch);
	loop_run_once(r.loop, 50);
	CHECK_INT(f->resyncs, 0);
	channel_up(ch, NULL);
	while (f->resyncs < 3 && clock_mono_us() - since < 5000000)
		loop_run_once(r.loop, 50);
	CHECK_INT(f->resyncs, 3);
	test_expect_log("down: gone");
	channel_down(ch, "gone");
	loop_run_once(r.loop, 50);
	CHECK_INT(f->resyncs, 3);
	rig_fini(&r);
}

static void
test_who_cannot_resync_says_so(void)
{
	struct rig r;
	struct err err;

	rig_init(&r);
	struct channel *mute = rig_open(&r, &mute_ops, "m", 20);
	channel_up(mute, NULL);
	CHECK(channel_core_resync(mute, &err) < 0);
	CHECK_STR(err.text, "driver mute has nothing to compare with");
	struct channel *ch = rig_open(&r, &fake_ops, "a", 0);
	CHECK(channel_core_resync(ch, &err) < 0);
	CHECK_STR(err.text, "channel a is not up: starting");
	channel_up(ch, NULL);
	CHECK(channel_core_resync(ch, &err) == 0);
	CHECK(channel_core_resync(ch, &err) < 0);
	rig_fini(&r);
}

static void
test_status_object(void)
{
	struct rig r;
	struct buf text = BUF_INIT;
	struct json_out json;

	rig_init(&r);
	clock_fake(1795278207000000, 5000000);
	struct channel *ch = rig_open(&r, &fake_ops, "a", 0);
	channel_up(ch, "Phone 1.2");
	channel_count(ch, "messages", 3);
	json_out_init(&json, &text);
	json_put_object(&json, NULL);
	channel_core_put(ch, &json);
	json_put_object_end(&json);
	clock_fake(0, 0);
	CHECK_STR(buf_str(&text),
		"{\"name\":\"a\",\"tenant\":\"default\",\"driver\":\"fake\","
		"\"state\":\"up\",\"since\":\"2026-11-21T16:23:27.000Z\","
		"\"why\":null,\"peer\":\"Phone 1.2\",\"counters\":{\"messages\":3},"
		"\"refused\":{},\"resyncs\":0}");
	buf_fini(&text);
	rig_fini(&r);
}

static void
test_trunks_are_matched_by_endpoint(void)
{
	static char text[] = "^PJSIP/trunk";
	struct phone_conf conf = {.trunks.text = text};
	struct phone_conf none = {.agent_prefix = NULL};

	CHECK(regcomp(&conf.trunks.re, text, REG_EXTENDED | REG_NOSUB) == 0);
	CHECK(phone_conf_is_trunk(&conf, "PJSIP/trunk"));
	CHECK(phone_conf_is_trunk(&conf, "PJSIP/trunk2"));
	CHECK(!phone_conf_is_trunk(&conf, "PJSIP/1001"));
	CHECK(!phone_conf_is_trunk(&conf, ""));
	CHECK(!phone_conf_is_trunk(&conf, NULL));
	CHECK(!phone_conf_is_trunk(&none, "PJSIP/trunk"));
	regfree(&conf.trunks.re);
}

int
main(void)
{
	TEST(test_states_are_told_when_they_change);
	TEST(test_a_channel_that_never_was_up_goes_down_untold);
	TEST(test_refused_configuration_leaves_nothing);
	TEST(test_done_comes_once_and_later);
	TEST(test_a_driver_that_does_not_let_go_is_left_after_two_seconds);
	TEST(test_events_get_a_time);
	TEST(test_counters_are_bounded);
	TEST(test_refusals_are_logged_once_per_cause_and_minute);
	TEST(test_resync_is_asked_for_slowly_while_up);
	TEST(test_who_cannot_resync_says_so);
	TEST(test_status_object);
	TEST(test_trunks_are_matched_by_endpoint);
	return test_done();
}
